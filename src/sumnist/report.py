"""Evaluating a run, and its figures as text for people.

`evaluate_run` leaves `evaluation.json` and `plots/` in the run folder. `table` shows one evaluation, `comparison` sets
several networks side by side. Both fit 80 columns, and both say whether the sum was computed or learned.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from sumnist.config import Config
from sumnist.data.mnist import load_mnist
from sumnist.devices import choose_device
from sumnist.errors import DataError, RunError
from sumnist.evaluation import Accuracy, Evaluation, answer_grid, evaluate
from sumnist.files import WEIGHTS, make_folder, write_atomically
from sumnist.model.checkpoint import load_config, load_network
from sumnist.model.encoders import count_parameters
from sumnist.model.network import TwoInputNet
from sumnist.record import commit, now
from sumnist.run import EVALUATION, METRICS, PLOTS, RECORD, read_metrics

__all__ = ["ComparisonRow", "compare_runs", "comparison", "evaluate_run", "table"]

ComparisonRow = tuple[str, Config, Evaluation, float]
"""A network's label, its configuration, its evaluation, and the seconds that its training took."""
WIDTH = 80
"""Columns of a terminal."""


def evaluate_run(
    folder: str | Path, data_dir: str | Path | None = None, device: str = "auto", plots: bool = True
) -> Evaluation:
    """The figures of the run `folder` on the grid of the test images of the data that it was trained on.

    Writes `evaluation.json` (the figures, with date and commit) and, unless `plots` is False, `plots/*.png` into the
    folder. `data_dir` overrides the run's own `--data-dir`. Raises `RunError` for a folder that is no run or a network
    whose answers are no numbers, `DataError` if the data are gone, `OutputError`, `MissingExtraError` (plots need
    matplotlib).
    """
    folder = Path(folder)
    if plots:
        from sumnist.plots import draw_plots  # so that matplotlib is missed before the work, not after it
    net, config = load_network(folder, choose_device(device))
    try:
        digits = load_mnist("test", data_dir or config.data_dir)
    except DataError as error:
        if data_dir or not config.data_dir:
            raise
        raise DataError(f"{folder} was trained on data of its own, which cannot be loaded: {error}") from error
    answers = answer_grid(net, digits)
    if not np.isfinite(answers.digit_nll + answers.sum_nll).all():
        raise RunError(f"{folder / WEIGHTS}: its answers are not numbers: train the run again, with a lower --lr")
    evaluation = evaluate(answers, digits.name)
    facts = {"date": now(), "commit": commit(), **evaluation.as_dict()}
    write_atomically(folder / EVALUATION, json.dumps(facts, indent=2) + "\n")
    if plots:
        make_folder(folder / PLOTS)
        draw_plots(folder / PLOTS, answers, digits, read_metrics(folder / METRICS))
    return evaluation


def table(evaluation: Evaluation) -> str:
    """The figures of one network as text, at most 80 columns wide, without a newline at the end."""
    e = evaluation
    lines = [
        f"{e.data}: {counted(e.images, 'image')} × 10 numbers = {10 * e.images:,} pairs",
        "",
        f"{'':<12}{'right':>8}    {'95 % interval':<18}{'loss (NLL)':>11}{'ECE-15':>10}",
        accuracy_line("digit", e.digit, e.digit_nll, e.digit_ece),
        accuracy_line("sum", e.sum, e.sum_nll, e.sum_ece),
        accuracy_line("joint", e.joint),
    ]
    if e.sum_by_bits is not None:
        lines.append(accuracy_line("sum by bits", e.sum_by_bits))
    digit, total = ("  digit %", "  sum %") if not e.sum_computed else ("  % right", "")
    for title, digits, sums in (
        ("by number", e.digit_by_number, e.sum_by_number),
        ("by digit", e.digit_by_digit, e.sum_by_digit),
    ):
        lines += ["", cells(title, range(10)), cells(digit, map(percent, digits))]
        if total:
            lines.append(cells(total, map(percent, sums)))
    return "\n".join([*lines, "", *notes(e)])


def notes(evaluation: Evaluation) -> list[str]:
    """What a reader must know to read the figures right."""
    e = evaluation
    wrong = f"{counted(e.errors, 'image')} with a wrong answer"
    if e.errors_outside_disputed is not None:
        wrong += f", {e.errors_outside_disputed:,} outside the 15 disputed labels"
    if e.sum_computed:
        lines = [f"{wrong}.", "The sum is computed from the digit: digit, sum and joint are one figure."]
    else:
        lines = [f"{wrong}.", "The sum is learned: adding is what the network was taught, not a rule built in."]
    if e.sum_by_bits is not None:
        lines.append("Sum by bits: each bit set or not on its own, instead of the likeliest of 0 … 18.")
    if e.risk_at_99 is not None:
        lines.append(f"Of the 99 % of the digits it is surest of, {percent(e.risk_at_99)} % are wrong.")
    return lines


def accuracy_line(name: str, accuracy: Accuracy, nll: float | None = None, ece: float | None = None) -> str:
    line = f"{name:<12}{percent(accuracy.value):>6} %    {interval(accuracy):<18}"
    if nll is not None and ece is not None:
        line += f"{nll:>6.4f} nats{percent(ece):>8} %"
    return line.rstrip()


def cells(name: str, values: Iterable[object]) -> str:
    """A name and ten values, 80 columns."""
    return f"{name:<10}" + "".join(f"{value:>7}" for value in values)


def percent(share: float | None) -> str:
    """A share in percent with two decimals; a dash for what does not occur."""
    return "–" if share is None else f"{100 * share:.2f}"


def interval(accuracy: Accuracy) -> str:
    """The ends of the 95 % interval in percent."""
    return f"{percent(accuracy.low)} – {percent(accuracy.high)}"


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def compare_runs(folders: Sequence[str | Path]) -> str:
    """The `comparison` of runs that `evaluate_run` has measured. Raises `RunError` for one that it has not."""
    paths = [Path(folder) for folder in folders]
    names = [path.resolve().name for path in paths]
    labels = names if len(set(names)) == len(names) else [str(path) for path in paths]
    rows = []
    for label, path in zip(labels, paths, strict=True):
        config = load_config(path)
        if not (path / EVALUATION).is_file():
            raise RunError(f"{path}: no {EVALUATION}, expected an evaluated run: run `sumnist evaluate {path}` first")
        try:
            evaluation = Evaluation.from_dict(json.loads((path / EVALUATION).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path / EVALUATION}: not an evaluation of this version of sumnist ({error}): "
                f"run `sumnist evaluate {path}` again"
            ) from error
        rows.append((label, config, evaluation, training_seconds(path / RECORD)))
    return comparison(rows)


def training_seconds(path: Path) -> float:
    """The seconds of training in the record of a run; NaN if it does not say."""
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return math.nan


def comparison(rows: Sequence[ComparisonRow]) -> str:
    """One table with a row for each network, and a closing line that says which computes the sum and which learned it.

    At most 80 columns wide for labels of up to 15 characters; without a newline at the end.
    """
    width = max([len("network"), *(len(label) for label, *_ in rows)])
    head = f"{'network':<{width}}  {'parameters':>10}  {'training':>11}  {'digit':>6}  {'sum':>6}  {'joint':>6}"
    lines = [f"{head}  {'95 % interval':>14}"]
    for label, config, e, seconds in rows:
        shares = "  ".join(f"{percent(accuracy.value):>6}" for accuracy in (e.digit, e.sum, e.joint))
        line = f"{label:<{width}}  {count_of(config):>10,}  {duration(seconds):>11}  {shares}  {interval(e.joint):>14}"
        lines.append(line)
    data = listing(list(dict.fromkeys(e.data for _, _, e, _ in rows)))
    caption = f"Percent right of all pairs of {data}; the interval is of joint, with images as the unit."
    return "\n".join([textwrap.fill(caption, WIDTH), "", *lines, "", textwrap.fill(closing(rows), WIDTH)])


def closing(rows: Sequence[ComparisonRow]) -> str:
    """Which of the networks compute the sum and which learned it."""
    computed = [label for label, _, e, _ in rows if e.sum_computed]
    learned = [label for label, _, e, _ in rows if not e.sum_computed]
    parts = []
    if computed:
        parts.append(f"Sum computed from the digit: {listing(computed)}.")
    if learned:
        parts.append(f"Sum learned: {listing(learned)}.")
    return " ".join(parts)


def listing(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def count_of(config: Config) -> int:
    """Trainable numbers of the network that `config` describes; torch's random numbers stay as they were."""
    with torch.random.fork_rng(devices=[]):
        return count_parameters(TwoInputNet.from_config(config))


def duration(seconds: float) -> str:
    """Seconds with one decimal below a minute, else minutes and seconds, or hours and minutes; a dash for NaN."""
    if math.isnan(seconds):
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"

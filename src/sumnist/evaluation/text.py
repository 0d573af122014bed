"""Format figures as text: `table` and `sum_table` show one evaluation, `comparison` sets several networks side by side.

The tables fit 80 columns. `table` and `comparison` say whether the sum was computed or learned. Importing this module
does not import torch.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sumnist.config import Training

if TYPE_CHECKING:
    from sumnist.evaluation.metrics import Accuracy, Evaluation, SumEvaluation

WIDTH = 80
"""Columns of a terminal."""


def table(evaluation: Evaluation) -> str:
    """The figures of one network as text, at most 80 columns wide, without a newline at the end."""
    e = evaluation
    wrong = f"{counted(e.errors, 'image')} with a wrong answer"
    if e.errors_outside_disputed is not None:
        wrong += f", {e.errors_outside_disputed:,} outside the 15 disputed labels"
    how = "learned: adding is what the network was taught, not a rule built in"
    if e.sum_computed:
        how = "computed from the digit: digit, sum and joint are one figure"
    notes = [f"{wrong}.", f"The sum is {how}."]
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
        notes.append("Sum by bits: each bit set or not on its own, instead of the likeliest of 0 … 18.")
    if e.risk_at_99 is not None:
        notes.append(f"Without the 1 % of digits it doubts most, {percent(e.risk_at_99)} % are wrong.")
    by = ("number", e.digit_by_number, e.sum_by_number), ("digit", e.digit_by_digit, e.sum_by_digit)
    for name, digits, sums in by:
        lines += ["", cells(f"by {name}", range(10))]
        lines.append(cells("  % right" if e.sum_computed else "  digit %", map(percent, digits)))
        lines += [] if e.sum_computed else [cells("  sum %", map(percent, sums))]
    return "\n".join([*lines, "", *notes])


def sum_table(evaluation: SumEvaluation) -> str:
    """The figures of one network on sums as text, at most 80 columns wide, without a newline at the end."""
    e = evaluation
    sums = f"{counted(e.sums, 'sum')} of {e.addends} numbers of {counted(e.digits, 'digit')}"
    title = f"{e.data}: {counted(e.images, 'image')}, {sums}"
    note = (
        "Sum: the most probable digits add up to it, with the images in their order. Total: the most probable total, "
        f"found for certain for {percent(e.total_certain)} % of them. Regrouped: as sum, mean and standard deviation "
        f"of {e.regroupings} random orders of the images."
    )
    lines = [
        f"{'':<12}{'right':>8}    {'95 % interval':<18}{'loss (NLL)':>11}",
        accuracy_line("sum", e.sum, e.sum_nll),
        f"{'total':<12}{percent(e.total):>6} %",
        f"{'regrouped':<12}{percent(e.regrouped):>6} %    ± {percent(e.regrouped_sd)}",
        accuracy_line("digit", e.digit, e.digit_nll),
    ]
    return "\n".join([textwrap.fill(title, WIDTH), "", *lines, "", textwrap.fill(note, WIDTH)])


def accuracy_line(name: str, accuracy: Accuracy, nll: float | None = None, ece: float | None = None) -> str:
    """The line of a table for one accuracy, with the loss in nats and the calibration error if they are given."""
    line = f"{name:<12}{percent(accuracy.value):>6} %    {interval(accuracy):<18}"
    if nll is not None:
        line += f"{nll:>6.4f} nats"
    if ece is not None:
        line += f"{percent(ece):>8} %"
    return line.rstrip()


def cells(name: str, values: Iterable[object]) -> str:
    """A line with a name and ten values, 80 columns wide."""
    return f"{name:<10}" + "".join(f"{value:>7}" for value in values)


def percent(share: float | None, digits: int = 2) -> str:
    """A share in percent as text, without the sign; a dash for None.

    Args:
        share: From 0 to 1, or None if it does not occur or was not measured.
        digits: The number of decimals.
    """
    return "–" if share is None else f"{100 * share:.{digits}f}"


def interval(accuracy: Accuracy) -> str:
    """The ends of the 95 % interval in percent."""
    return f"{percent(accuracy.low)} – {percent(accuracy.high)}"


def counted(number: int, thing: str) -> str:
    """A number of things: `1 image`, `2,000 images`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def comparison(rows: Sequence[tuple[str, Training, Evaluation, float]]) -> str:
    """One table with a row for each network, and a closing line that says which networks compute the sum and which
    learned it.

    Each of `rows` has a label, a configuration, an evaluation, and the seconds that the training took. The table is at
    most 80 columns wide for labels of up to 15 characters. It has no newline at the end.
    """
    width = max([len("network"), *(len(label) for label, *_ in rows)])
    head = f"{'network':<{width}}  {'parameters':>10}  {'training':>11}  {'digit':>6}  {'sum':>6}  {'joint':>6}"
    lines = [f"{head}  {'95 % interval':>14}"]
    for label, config, e, seconds in rows:
        shares = "  ".join(f"{percent(accuracy.value):>6}" for accuracy in (e.digit, e.sum, e.joint))
        facts = f"{label:<{width}}  {count_of(config):>10,}  {duration(seconds):>11}"
        lines.append(f"{facts}  {shares}  {interval(e.joint):>14}")
    data = listing(list(dict.fromkeys(e.data for _, _, e, _ in rows)))
    caption = f"Percent right of all pairs of {data}; the interval is of joint, with images as the unit."
    kinds = {kind: [label for label, _, e, _ in rows if e.sum_computed == computed]
             for kind, computed in (("computed from the digit", True), ("learned", False))}  # fmt: skip
    closing = " ".join(f"Sum {kind}: {listing(labels)}." for kind, labels in kinds.items() if labels)
    return "\n".join([textwrap.fill(caption, WIDTH), "", *lines, "", textwrap.fill(closing, WIDTH)])


def listing(names: Sequence[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def count_of(config: Training) -> int:
    """The number of trainable parameters of the network that `config` describes. It leaves torch's random state as it
    was."""
    import torch

    from sumnist.model.encoders import count_parameters
    from sumnist.model.network import TwoInputNet

    with torch.random.fork_rng(devices=[]):
        return count_parameters(TwoInputNet.from_config(config))


def duration(seconds: float) -> str:
    """Seconds with one decimal below a minute, else minutes and seconds, or hours and minutes; a dash if not finite."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"

"""A run, evaluated: `evaluation.json` and `plots/` in its folder, and several runs side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sumnist.data.mnist import load_mnist
from sumnist.environment import commit, now
from sumnist.errors import DataError, RunError
from sumnist.evaluation.metrics import Evaluation, answer_grid
from sumnist.evaluation.text import comparison
from sumnist.files import WEIGHTS, make_folder, write_atomically
from sumnist.model.checkpoint import load_config
from sumnist.model.network import load_network
from sumnist.training.devices import choose_device
from sumnist.training.folder import EVALUATION, METRICS, PLOTS, RECORD, read_metrics

__all__ = ["compare_runs", "evaluate_run", "training_seconds"]


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
        from sumnist.evaluation.plots import draw_plots  # so that matplotlib is missed before the work, not after it
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
    evaluation = Evaluation.of(answers, digits.name)
    facts = {"date": now(), "commit": commit(), **evaluation.as_dict()}
    write_atomically(folder / EVALUATION, json.dumps(facts, indent=2) + "\n")
    if plots:
        make_folder(folder / PLOTS)
        draw_plots(folder / PLOTS, answers, digits, read_metrics(folder / METRICS))
    return evaluation


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

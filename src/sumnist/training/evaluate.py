"""Measure trained networks on the grid or on sums, write `evaluation.json` and `plots/` into their runs, and put
several side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.config import Training
from sumnist.data.additions import per_sum
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.environment import commit, now
from sumnist.errors import DataError, RunError
from sumnist.evaluation.metrics import Evaluation, SumEvaluation, answer_grid, answer_sums
from sumnist.evaluation.text import comparison
from sumnist.files import WEIGHTS, make_folder, write_atomically
from sumnist.model import folder as files
from sumnist.model.checkpoint import load_config
from sumnist.model.folder import EVALUATION, METRICS, PLOTS, read_record
from sumnist.model.network import TwoInputNet
from sumnist.training.devices import choose_device
from sumnist.training.folder import read_metrics
from sumnist.typed import typed

DRAWABLE = {"digit_loss", "sum_loss", "train_digit", "train_sum"}
HELD_OUT = {"validation_digit", "validation_sum", "validation_digit_nll", "validation_sum_nll"}
"""Names of figures in a row of metrics. `DRAWABLE`: without these, the row cannot be drawn. `HELD_OUT`: the figures for
held-out images."""


@typed
def evaluate_run(
    run_folder: str | Path, data_dir: str | Path | None = None, device: str = "auto", plots: bool = True
) -> Evaluation:
    """Measure a run on the grid: every test image of the data that it was trained on, with every number.

    Writes `evaluation.json` (the figures, with date and commit) and `plots/*.png` into the folder. These files carry
    the checksum of the weights. Plots that were made from other weights are removed.

    Args:
        run_folder: The run.
        data_dir: Folder of IDX files to measure on, instead of the run's own data.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        plots: Whether to draw the plots.

    Returns:
        The figures, with 95 % intervals over images.

    Raises:
        RunError: The folder holds no run of the task `digits`, or the network's answers are not numbers.
        DataError: The data are missing or damaged.
        OutputError: The folder cannot be written.
        MissingExtraError: Plots were asked for, and matplotlib is not installed.

    Examples:
        >>> evaluate_run("runs/tiny", plots=False).digit.value > 0.9  # which `train` left
        True
    """
    folder = Path(run_folder)
    if plots:
        from sumnist.evaluation.plots import draw_plots  # first, so that a missing matplotlib costs no work
    net, config, checksum, digits = loaded(folder, data_dir, device)
    if config.task != "digits":
        raise RunError(
            f"{folder}: a network of --task {config.task}: expected one of --task digits; `sumnist evaluate` measures "
            "it on sums"
        )
    answers = answer_grid(net, digits)
    check_finite(folder, answers.digit_nll + answers.sum_nll)
    evaluation = Evaluation.of(answers, digits.name)
    write_evaluation(folder, checksum, evaluation.as_dict())
    if plots:
        # Draw rows that have all figures of training, and all or none of the figures for held-out images.
        rows = [row for row in read_metrics(folder / METRICS)
                if row.keys() >= DRAWABLE and row.keys() & HELD_OUT in (set(), HELD_OUT)]  # fmt: skip
        make_folder(folder / PLOTS)
        draw_plots(folder / PLOTS, answers, digits, rows, checksum)
    return evaluation


@typed
def evaluate_sums(run_folder: str | Path, data_dir: str | Path | None = None, device: str = "auto") -> SumEvaluation:
    """Measure a run of the task `addition` on sums of test images, and on the digits of these images.

    Writes `evaluation.json`, as `evaluate_run` does, but no plots.

    Args:
        run_folder: The run.
        data_dir: Folder of IDX files to measure on, instead of the run's own data.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Returns:
        The figures.

    Raises:
        RunError: The folder holds no run of the task `addition`, or the network's answers are not numbers.
        DataError: The data are missing, damaged, or too few for a sum.
        OutputError: The folder cannot be written.
    """
    folder = Path(run_folder)
    net, config, checksum, digits = loaded(folder, data_dir, device)
    if config.task != "addition":
        raise RunError(f"{folder}: a network of --task {config.task}: expected one of --task addition")
    if len(digits) < per_sum(config):
        raise DataError(
            f"{digits.name}: {len(digits):,} images, expected at least {per_sum(config):,}, of which a sum is made: "
            "name another --data-dir"
        )
    answers = answer_sums(net, digits, config)
    check_finite(folder, answers.scores)
    evaluation = SumEvaluation.of(answers, digits.name)
    write_evaluation(folder, checksum, evaluation.as_dict())
    return evaluation


def loaded(folder: Path, data_dir: str | Path | None, device: str) -> tuple[TwoInputNet, Training, str, DigitSet]:
    """The network of a run, its configuration and checksum, and the test images. The images come from `data_dir`, or
    else from the run's data. Raises `RunError` and `DataError`."""
    net, config, checksum = TwoInputNet.load(folder, choose_device(device))
    try:
        return net, config, checksum, load_mnist("test", data_dir or config.data_dir)
    except DataError as error:
        if data_dir or not config.data_dir:
            raise
        raise DataError(f"{folder} was trained on data of its own, which cannot be loaded: {error}") from error


def check_finite(folder: Path, scores: NDArray[np.float32]) -> None:
    """Raise `RunError` unless all answers of a run's network are finite numbers."""
    if not np.isfinite(scores).all():
        raise RunError(f"{folder / WEIGHTS}: its answers are not numbers: train the run again, with a lower --lr")


def write_evaluation(folder: Path, checksum: str, figures: Mapping[str, Any]) -> None:
    """Write `evaluation.json`, and remove plots that were made from other weights. Raises `OutputError`."""
    facts = {"date": now(), "commit": commit(), "weights": checksum, **figures}
    write_atomically(folder / EVALUATION, json.dumps(facts, indent=2) + "\n")
    files.remove_stale(folder, files.DRAWN)


def side_by_side(evaluations: Mapping[Path, Evaluation]) -> str:
    """Measured runs in one table, as text, from their folders and figures. Raises `RunError`."""
    names = [path.resolve().name for path in evaluations]
    labels = names if len(set(names)) == len(names) else [str(path) for path in evaluations]
    rows: list[tuple[str, Training, Evaluation, float]] = []
    for label, (path, evaluation) in zip(labels, evaluations.items(), strict=True):
        seconds = read_record(path).get("seconds")
        rows.append((label, load_config(path), evaluation, seconds if isinstance(seconds, int | float) else math.nan))
    return comparison(rows)

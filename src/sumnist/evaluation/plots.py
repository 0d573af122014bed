"""Draw the plots of an evaluation with matplotlib: confusion, calibration, mistakes and the course of the training.

The figures need no window and change no global state. All plots have one style: blue is the digit, orange the sum (of
Okabe and Ito's colours, which colour-blind readers can tell apart), dark red a mistake. The title states the finding.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from sumnist.data.mnist import DigitSet
from sumnist.data.sampling import NUMBERS, SUMS
from sumnist.errors import ConfigError, MissingExtraError
from sumnist.evaluation.metrics import GridAnswers, calibration_bins, calibration_error, disputed_labels
from sumnist.evaluation.text import percent
from sumnist.files import write_atomically

try:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter
except ImportError as error:
    raise MissingExtraError("matplotlib", "train", "drawing plots") from error
except ValueError as error:
    name = os.environ.get("MPLBACKEND", "")
    raise ConfigError(f"MPLBACKEND {name} in the environment: expected what matplotlib has: unset it") from error

COLOURS = {"digit": "#0072B2", "sum": "#E69F00"}
GREY, WRONG = "#666666", "#B2182B"
STYLE: Any = {
    "font.size": 11, "figure.titlesize": 14, "figure.titleweight": "bold", "axes.titlesize": 12,
    "axes.titlelocation": "left", "axes.edgecolor": GREY, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E6E6E6", "legend.frameon": False,
    "legend.fontsize": 10, "lines.linewidth": 2, "lines.markersize": 5, "savefig.dpi": 130,
}  # fmt: skip
LEAST = 1e-6
"""Curves on a logarithmic axis are clipped below, since a loss or a share of wrong answers may be 0."""
SHOWN_MISTAKES = 20


def draw_plots(
    folder: Path, answers: GridAnswers, digits: DigitSet, metrics: Sequence[dict[str, float]], checksum: str
) -> None:
    """Write the plots of an evaluation as PNG files.

    Args:
        folder: An existing folder.
        answers: A network's answers to the images of `digits`.
        digits: The images and their true digits.
        metrics: The rows of the training's `metrics.jsonl`. Without rows there is no `training.png`.
        checksum: The checksum of the network's weights, which goes into the files.

    Raises:
        OutputError: A file cannot be written.
    """
    figures = {f"confusion-{name}": confusion(answers, name) for name in COLOURS}
    figures |= {"reliability": reliability(answers), "mistakes": mistakes(answers, digits)}
    if metrics:
        figures["training"] = training_curves(metrics, bits=answers.sum_by_bits is not None)
    for name, figure in figures.items():
        buffer = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            figure.savefig(buffer, format="png", metadata={"Weights": checksum})
        write_atomically(folder / f"{name}.png", buffer.getvalue())


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure in this module's style, `width` × `height` inches."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.12 / width, ha="left")
    return figure


@matplotlib.rc_context(STYLE)
def training_curves(metrics: Sequence[dict[str, float]], bits: bool = False) -> Figure:
    """Losses and shares of wrong answers by epoch, from the rows of a `metrics.jsonl`. Held-out images have solid
    curves, training has dashed ones. `bits` says that the sum was trained bit by bit."""
    last, count = metrics[-1], len(metrics)
    held_out = "validation_digit" in last
    digit, total = (signed(last[f"{'validation' if held_out else 'train'}_{name}"]) for name in COLOURS)
    finding = f"digit and sum {digit}" if digit == total else f"digit {digit}, sum {total}"
    where = "on images held out" if held_out else "in training"
    figure = new_figure(10, 4.8, f"After {count} {'epoch' if count == 1 else 'epochs'}: {finding} right {where}")
    losses = "Loss in nats" + (" (sum, training: mean of five bits)" if bits else "")
    panels = (losses, "validation_{}_nll", "{}_loss"), ("Wrong answers", "validation_{}", "train_{}")
    for axes, (title, *templates) in zip(figure.subplots(1, 2), panels, strict=True):
        for template, style, kind in zip(templates, ("o-", "o--"), ("held out", "training"), strict=True):
            for name, colour in COLOURS.items():
                known = [(row["epoch"], row[key]) for row in metrics if (key := template.format(name)) in row]
                if known:
                    epochs, values = np.array(known).T
                    shown = (1 - values if title == "Wrong answers" else values).clip(LEAST)
                    label = f"{name}, {kind}: {shown[-1]:.3g}"
                    axes.plot(epochs, shown, style, color=colour, label=label, markersize=3)
        axes.set(title=title, xlabel="epoch", yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return figure


def signed(share: float) -> str:
    """A share in percent, with the sign."""
    return f"{percent(share)} %"


@matplotlib.rc_context(STYLE)
def confusion(answers: GridAnswers, name: str) -> Figure:
    """How often each true digit (or sum: `name`) got each answer; only wrong answers are coloured.

    Counts images if the digit's answer is the same with every number, else pairs.
    """
    truth = np.broadcast_to(answers.truth[:, None], answers.digit.shape) if name == "digit" else answers.true_sum
    answer, size = (answers.digit, NUMBERS) if name == "digit" else (answers.sum, SUMS)
    unit = "pairs"
    if name == "digit" and (answer == answer[:, :1]).all():
        truth, answer, unit = truth[:, :1], answer[:, :1], "images"
    matrix = np.bincount(truth.ravel() * size + answer.ravel(), minlength=size * size).reshape(size, size)
    wrong = matrix - np.diag(np.diag(matrix))
    width, finding = (6.6 if name == "digit" else 10.4), f"{wrong.sum():,} of {truth.size:,} {unit} get a wrong {name}"
    figure = new_figure(width, width + 0.4, finding)
    axes = figure.subplots()
    if wrong.any():
        true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
        axes.set_title(f"most often {true} is taken for {taken}: {wrong.max():,} {unit}")
    ceiling = max(int(wrong.max()), 1)
    axes.imshow(np.ma.masked_equal(wrong, 0), cmap="Reds", vmin=-0.15 * ceiling, vmax=ceiling)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            ink = GREY if row == column else "white" if count > 0.6 * ceiling else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize=8)
    axes.set(xticks=range(size), yticks=range(size), xlabel=f"{name} answered", ylabel=f"true {name}")
    axes.grid(False)
    return figure


@matplotlib.rc_context(STYLE)
def reliability(answers: GridAnswers) -> Figure:
    """Confidence against accuracy in 15 bins, for digit and sum; one panel if the sum is computed from the digit."""
    title = "digit and sum" if answers.sum_computed else "digit"
    panels = [(title, answers.digit_confidence, answers.digit_right)]
    panels += [] if answers.sum_computed else [("sum", answers.sum_confidence, answers.sum_right)]
    errors = [f"{name} {signed(calibration_error(confidence, right))}" for name, confidence, right in panels]
    figure = new_figure(0.6 + 5.2 * len(panels), 6, f"Calibration error: {', '.join(errors)}")
    for axes, (name, confidence, right) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="perfectly calibrated")
        for sure, accuracy, share in calibration_bins(confidence, right):
            axes.plot(sure, accuracy, "o", color=COLOURS["sum" if name == "sum" else "digit"], clip_on=False)
            axes.annotate(signed(share), (sure, accuracy), (6, -10), textcoords="offset points", fontsize=8, color=GREY)
        means = signed(float(confidence.mean(dtype=float))), signed(float(right.mean()))
        axes.set(title=f"{name}: {means[0]} sure, {means[1]} right", xlabel="confidence, and the share of the answers",
                 ylabel="share of them right", xlim=(0, 1), ylim=(0, 1))  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, 0, " %"))
        axes.legend()
    return figure


def most_confident_mistakes(answers: GridAnswers, most: int = SHOWN_MISTAKES) -> list[tuple[int, int, float]]:
    """The surest mistakes, up to `most` of them, at most one per image, surest first.

    Each has the image, the number, and the confidence of the wrong answer, or of the surer one if both answers are
    wrong. Where an image's numbers tie, as they all do when the sum is computed, they take turns from image to image.
    """
    confidence = np.maximum(
        np.where(answers.digit_right, -1.0, answers.digit_confidence),
        np.where(answers.sum_right, -1.0, answers.sum_confidence),
    )  # [N, 10]
    surest = confidence.max(1)  # [N]
    turn = (np.arange(len(surest))[:, None] + np.arange(NUMBERS)) % NUMBERS  # [N, 10]: image i begins with i mod 10
    ties = np.isclose(np.take_along_axis(confidence, turn, 1), surest[:, None], rtol=0, atol=1e-6)
    number = np.take_along_axis(turn, ties.argmax(1)[:, None], 1)[:, 0]
    order = np.argsort(-surest, kind="stable")[:most]
    return [(int(i), int(number[i]), float(surest[i])) for i in order if surest[i] >= 0]


@matplotlib.rc_context(STYLE)
def mistakes(answers: GridAnswers, digits: DigitSet) -> Figure:
    """The most confident mistakes as pictures, with the number, the truth, both answers and their confidence. No
    confidence is rounded up to certainty."""
    chosen = most_confident_mistakes(answers)
    if not chosen:
        figure = new_figure(7, 1.2, "No wrong answer")
        figure.text(0.12 / 7, 0.3, f"All {len(digits):,} images are right with all ten numbers.", color=GREY)
        return figure
    disputed = disputed_labels(answers.truth)
    total, columns = int((~(answers.digit_right & answers.sum_right).all(1)).sum()), min(5, max(3, len(chosen)))
    shown = "" if total == len(chosen) else f"; the {len(chosen)} most confident"
    title = f"{total:,} of {len(digits):,} images {'has' if total == 1 else 'have'} a wrong answer{shown}"
    rows = -(-len(chosen) // columns)
    figure = new_figure(2.2 * columns, 3.2 * rows + 0.6, title)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, mistake in zip_longest(grid.flat, chosen):
        axes.set_axis_off()
        if mistake is None:
            continue
        image, number, _ = mistake
        at = image, number
        sure = ["> 99.9 %" if share >= 0.9995 else f"{100 * share:.1f} %"
                for share in (answers.digit_confidence[at], answers.sum_confidence[at])]  # fmt: skip
        axes.imshow(digits.images[image], cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"+ {number}" + ("   (label disputed)" if disputed is not None and disputed[image] else ""))
        axes.text(0, -0.05, f"truth {answers.truth[image]}, sum {answers.true_sum[at]}", transform=axes.transAxes,
                  va="top", fontsize=10)  # fmt: skip
        answer = f"answer {answers.digit[at]}, sum {answers.sum[at]}\nsure {sure[0]}, {sure[1]}"
        axes.text(0, -0.17, answer, transform=axes.transAxes, va="top", fontsize=10, color=WRONG)
    return figure

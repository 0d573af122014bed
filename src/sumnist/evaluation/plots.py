"""Draw the plots of an evaluation with matplotlib: confusion, calibration, mistakes and the course of the training.

The figures need no window and change no global state. All plots have one style: blue is the digit, orange the sum (of
Okabe and Ito's colours, which colour-blind readers can tell apart), dark red a mistake. The title states the finding.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
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
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter
except ImportError as error:
    raise MissingExtraError("matplotlib", "train", "drawing plots") from error
except ValueError as error:
    name = os.environ.get("MPLBACKEND", "")
    raise ConfigError(f"MPLBACKEND {name} in the environment: expected what matplotlib has: unset it") from error

COLOURS = {"digit": "#0072B2", "sum": "#E69F00"}
GREY, PALE, WRONG = "#666666", "#EFEFEF", "#B2182B"
STYLE: Any = {
    "font.size": 11, "figure.titlesize": 14, "figure.titleweight": "bold", "axes.titlesize": 12,
    "axes.titlelocation": "left", "axes.edgecolor": GREY, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E6E6E6", "legend.frameon": False,
    "legend.fontsize": 10, "lines.linewidth": 2, "lines.markersize": 5, "savefig.dpi": 130,
}  # fmt: skip
SHOWN = (1e-6, 1e3)
"""Limits at which curves on a logarithmic axis are clipped: a loss may be 0, and in a failed training it may have any
size."""
SHOWN_MISTAKES = 20
TILE = 3.15
"""Height in inches of a mistake with its caption."""
FEW_PAIRS = 300
"""A point of fewer pairs (this is the number for 30 images) is drawn hollow: its share may be chance."""


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


def new_figure(width: float, height: float, title: str, arranged: bool = True) -> Figure:
    """An empty figure in this module's style, `width` × `height` inches. If `arranged`, matplotlib places its parts."""
    figure = Figure(figsize=(width, height), layout="constrained" if arranged else None, facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.12 / width, ha="left", **({} if arranged else {"y": 1 - 0.12 / height}))
    return figure


def as_svg(figure: Figure) -> str:
    """The figure as SVG text; the same figure gives the same text."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "sumnist", "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


@matplotlib.rc_context(STYLE)
def training_curves(metrics: Sequence[dict[str, float]], bits: bool = False) -> Figure:
    """Losses and shares of wrong answers by epoch, from the rows of a `metrics.jsonl`; bars if there is only one epoch.

    `bits` says that the sum was trained bit by bit.
    """
    last, count = metrics[-1], len(metrics)
    held_out = "validation_digit" in last
    digit, total = (signed(last[f"{'validation' if held_out else 'train'}_{name}"]) for name in COLOURS)
    finding = f"digit and sum {digit}" if digit == total else f"digit {digit}, sum {total}"
    where = "on images held out" if held_out else "in training"
    figure = new_figure(10, 4.8, f"After {count} {'epoch' if count == 1 else 'epochs'}: {finding} right {where}")
    left, right = figure.subplots(1, 2)
    wrong = [{name: value if name == "epoch" else 1 - value for name, value in row.items()} for row in metrics]
    draw_curves(left, metrics, "{:.3g}".format, ("validation_{}_nll", "{}_loss"))
    draw_curves(right, wrong, lambda share: f"{100 * share:.3g} %", ("validation_{}", "train_{}"))
    left.set_title("Loss in nats" + (" (sum, training: mean of five bits)" if bits else ""))
    right.set_title("Wrong answers")
    return figure


def draw_curves(
    axes: Axes, metrics: Sequence[dict[str, float]], text: Callable[[float], str], templates: tuple[str, str]
) -> None:
    """Draw the figures of digit and sum that two templates name, for held-out images (solid) and for training (hollow).

    If digit and sum have the same figures, they share a curve. The axis is logarithmic, so that the last epochs can be
    told apart. The curves of training are dashed. The digit's curves are broader, so they can be seen under the sum's.
    The legend, below, has the last values. A single epoch is drawn as bars.
    """
    curves = []
    for template, held_out in zip(templates, (True, False), strict=True):
        values = [np.array([row.get(template.format(name), np.nan) for row in metrics], float) for name in COLOURS]
        same = np.array_equal(values[0], values[1], equal_nan=True)
        if not np.isnan(values[0]).all():
            for name, of in zip(COLOURS, values[:1] if same else values, strict=False):
                label = f"{'digit = sum' if same else name}, {'held out' if held_out else 'training'}"
                curves.append((label, COLOURS[name], COLOURS[name] if held_out else "white", of))
    if len(metrics) == 1:
        labels, colours, fills, values = map(list, zip(*curves, strict=True))
        last = [float(of[-1]) for of in values]
        axes.bar_label(axes.barh(labels, last, 0.6, color=fills, edgecolor=colours), list(map(text, last)), padding=5)
        axes.set(xlim=(0, 1.25 * max(*last, SHOWN[0])), xticks=[], ylim=(len(curves) - 0.4, -0.6))
        axes.grid(False)
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
        return
    for label, colour, fill, of in curves:
        held_out = fill == colour
        axes.plot([row["epoch"] for row in metrics], of.clip(*SHOWN), color=colour, label=f"{label}: {text(of[-1])}",
                  linewidth=(2 if held_out else 1.3) * (1.6 if colour == COLOURS["digit"] else 1), marker="o",
                  linestyle="-" if held_out else (0, (4, 2)), clip_on=False, markerfacecolor=fill,
                  zorder=3 if held_out else 2)  # fmt: skip
    axes.set(xlabel="epoch", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


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
        on_diagonal = row == column
        if on_diagonal:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=PALE, linewidth=0))
        if count:
            ink = GREY if on_diagonal else "white" if count > 0.6 * ceiling else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink,
                      fontsize=8 if on_diagonal and size == SUMS else 9.5)  # fmt: skip
    axes.set(xticks=range(size), yticks=range(size), xlabel=f"{name} answered", ylabel=f"true {name}")
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(False)
    axes.grid(which="minor")
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return figure


@matplotlib.rc_context(STYLE)
def reliability(answers: GridAnswers) -> Figure:
    """Confidence against accuracy in 15 bins, for digit and sum; one panel if the sum is computed from the digit."""
    title = "digit and sum" if answers.sum_computed else "digit"
    panels = [(title, answers.digit_confidence, answers.digit_right)]
    panels += [] if answers.sum_computed else [("sum", answers.sum_confidence, answers.sum_right)]
    errors = [f"{name} {signed(calibration_error(confidence, right))}" for name, confidence, right in panels]
    figure = new_figure(0.6 + 5.2 * len(panels), 7.3, f"Calibration error: {', '.join(errors)}")
    grid = figure.subplots(2, len(panels), squeeze=False, sharex=True, height_ratios=(3.6, 1))
    for (above, below), (name, confidence, right) in zip(grid.T, panels, strict=True):
        colour = COLOURS["sum" if name == "sum" else "digit"]
        # One point per bin, with its distance from the diagonal; hollow if the bin has too few answers to be sure.
        above.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 2)), label="perfectly calibrated")
        for are_few, fill, size, width, label in (
            (False, colour, 8, 5, "answers of one bin"), (True, "white", 6, 1, f"fewer than {FEW_PAIRS} pairs"),
        ):  # fmt: skip
            points = [(sure, accuracy) for sure, accuracy, share in calibration_bins(confidence, right)
                      if (share * right.size < FEW_PAIRS) == are_few]  # fmt: skip
            if points:
                x, y = np.transpose(points)
                above.vlines(x, x, y, color=colour, alpha=0.35, linewidth=width)
                above.plot(x, y, "o", color=colour, markerfacecolor=fill, markersize=size, label=label, clip_on=False,
                           zorder=3)  # fmt: skip
        above.set(ylabel="share of them right", xlim=(0, 1), ylim=(0, 1))
        above.yaxis.set_major_formatter(PercentFormatter(1, 0, " %"))
        means = signed(float(confidence.mean(dtype=float))), signed(float(right.mean()))
        above.set_title(f"{name}: {means[0]} sure, {means[1]} right")
        below.hist(confidence.ravel(), bins=np.linspace(0, 1, 16), color=colour, rwidth=0.9)
        below.set(yscale="log", xlabel="confidence", ylabel="pairs")
        below.set_ylim(bottom=0.7)
        below.xaxis.set_major_formatter(PercentFormatter(1, 0, " %"))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        below.yaxis.set_minor_locator(NullLocator())
        below.legend(*above.get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, -0.5), ncols=3,
                     fontsize=9, columnspacing=1, handletextpad=0.2)  # fmt: skip
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
    """The most confident mistakes as pictures, with the number, the truth, both answers and their confidence. Wrong
    answers stand out, and no confidence is rounded up to certainty."""
    chosen = most_confident_mistakes(answers)
    if not chosen:
        figure = new_figure(7, 1.2, "No wrong answer", arranged=False)
        figure.text(0.12 / 7, 0.3, f"All {len(digits):,} images are right with all ten numbers.", color=GREY)
        return figure
    disputed, right = disputed_labels(answers.truth), (answers.digit_right, answers.sum_right)
    total, columns = int((~(right[0] & right[1]).all(1)).sum()), min(5, max(3, len(chosen)))
    rows = -(-len(chosen) // columns)
    shown = "" if total == len(chosen) else f"; the {len(chosen)} most confident"
    verb = "has" if total == 1 else "have"
    height = TILE * rows + 0.6
    figure = new_figure(
        2.2 * columns, height, f"{total:,} of {len(digits):,} images {verb} a wrong answer{shown}", arranged=False
    )
    for place, (image, number, _) in enumerate(chosen):
        row, column = divmod(place, columns)
        left, bottom = (2.2 * column + 0.2) / (2.2 * columns), (TILE * (rows - row) - 2.1) / height
        axes = figure.add_axes((left, bottom, 1.8 / (2.2 * columns), 1.8 / height))
        axes.imshow(digits.images[image], cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        doubt = disputed is not None and disputed[image]
        axes.set_title(f"+ {number}" + ("   (label disputed)" if doubt else ""), pad=4)
        at = image, number
        sure = [float(share[at]) for share in (answers.digit_confidence, answers.sum_confidence)]
        inks = ["black" if of[at] else WRONG for of in right]
        for line, (texts, colours) in enumerate((
            (("", "digit", "sum"), (GREY, GREY)),
            (("truth", f"{answers.truth[image]}", f"{answers.true_sum[at]}"), ("black", "black")),
            (("answer", f"{answers.digit[at]}", f"{answers.sum[at]}"), inks),
            (("sure", *("> 99.9 %" if share >= 0.9995 else f"{100 * share:.1f} %" for share in sure)), inks),
        )):  # fmt: skip
            for x, text, ink in zip((0, 0.62, 1), texts, (GREY, *colours), strict=True):
                axes.text(x, -0.05 - 0.12 * line, text, color=ink, transform=axes.transAxes, fontsize=10, va="top",
                          ha="left" if x == 0 else "right", fontweight="bold" if ink == WRONG else None)  # fmt: skip
    return figure

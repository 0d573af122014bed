"""The pictures of an evaluation, drawn with matplotlib on figures of their own: no window, no state outside.

One style for all: blue is the digit, orange the sum (of Okabe and Ito's colours, which colour-blind readers can tell
apart), dark red a mistake; the title states the finding.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.data.mnist import DigitSet
from sumnist.data.sampling import NUMBERS, SUMS
from sumnist.errors import MissingExtraError
from sumnist.evaluation.metrics import GridAnswers, calibration_bins, calibration_error, disputed_labels
from sumnist.files import write_atomically

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
except ImportError as error:
    raise MissingExtraError("matplotlib", "train", "drawing plots") from error

__all__ = [
    "COLOURS",
    "GREY",
    "STYLE",
    "WRONG",
    "as_svg",
    "confusion",
    "draw_plots",
    "mistakes",
    "most_confident_mistakes",
    "new_figure",
    "reliability",
    "training_curves",
]

COLOURS = {"digit": "#0072B2", "sum": "#E69F00"}
GREY, PALE, WRONG = "#666666", "#EFEFEF", "#B2182B"
STYLE: Any = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.titlesize": 14,
    "figure.titleweight": "bold",
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "savefig.dpi": 130,
}
LEAST_ERROR = 1e-4
"""Where the axis of accuracies ends: at 99.99 %."""
LOSS_TICKS = tuple(digit * 10.0**power for power in range(-6, 4) for digit in (1, 2, 5))
ACCURACY_TICKS = (0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998)
SHOWN_MISTAKES = 20
TILE = 3.15
"""Height in inches of a mistake with its caption."""
FEW_PAIRS = 300
"""Those of 30 images."""


def draw_plots(
    folder: Path, answers: GridAnswers, digits: DigitSet, metrics: Sequence[dict[str, float]] = ()
) -> list[Path]:
    """Write the plots into `folder`, which exists, and return their paths.

    `answers` are a network's to the images of `digits`; `metrics` are the rows of its training's `metrics.jsonl`; with
    none, `training.png` is left out. Raises `OutputError`.
    """
    figures = {
        "confusion-digit": confusion(answers, "digit"),
        "confusion-sum": confusion(answers, "sum"),
        "reliability": reliability(answers),
        "mistakes": mistakes(answers, digits),
    }
    if metrics:
        figures["training"] = training_curves(metrics, bits=answers.sum_by_bits is not None)
    return [save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def new_figure(width: float, height: float, title: str, arranged: bool = True) -> Figure:
    """An empty figure in this module's style, `width` × `height` inches; `arranged`: matplotlib places its parts."""
    figure = Figure(figsize=(width, height), layout="constrained" if arranged else None, facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.12 / width, ha="left", **({} if arranged else {"y": 1 - 0.12 / height}))
    return figure


def save(figure: Figure, path: Path) -> Path:
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())
    return path


def as_svg(figure: Figure) -> str:
    """The figure as an SVG text, the same for the same figure."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "sumnist", "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


@matplotlib.rc_context(STYLE)
def training_curves(metrics: Sequence[dict[str, float]], bits: bool = False) -> Figure:
    """Losses and accuracies by epoch, from the rows of a `metrics.jsonl`. `bits`: the sum was trained bit by bit.

    Accuracies are drawn by their distance from 100 %, on a logarithmic axis: there the last epochs can be told apart.
    """
    last, count = metrics[-1], len(metrics)
    held_out = "validation_digit" in last
    digit, total = (percent(last[f"{'validation' if held_out else 'train'}_{name}"]) for name in COLOURS)
    finding = f"digit and sum {digit}" if digit == total else f"digit {digit}, sum {total}"
    where = "on images held out" if held_out else "in training"
    figure = new_figure(10, 4.8, f"After {count} {'epoch' if count == 1 else 'epochs'}: {finding} right {where}")
    left, right = figure.subplots(1, 2)
    draw_curves(left, metrics, "{}_loss", "validation_{}_nll", "{:.3f}".format)
    low, high = LOSS_TICKS[0], LOSS_TICKS[-1]
    for curve in left.lines:
        curve.set_ydata(np.clip(np.asarray(curve.get_ydata(), float), low, high))
    left.relim()
    left.set(title="Loss" + (" (sum, training: mean of five bits)" if bits else ""), ylabel="nats", yscale="log")
    set_ticks(left, LOSS_TICKS, "{:g}".format)
    draw_curves(right, metrics, "train_{}", "validation_{}", percent)
    as_distance_from_one(right)
    right.set(title="Accuracy", ylabel="right answers")
    return figure


def draw_curves(
    axes: Axes,
    metrics: Sequence[dict[str, float]],
    training_name: str,
    validation_name: str,
    text: Callable[[float], str],
) -> None:
    """Digit and sum, in training (dashed, hollow) and validation (solid); the legend has the last values."""
    for template, kind in ((validation_name, "held out"), (training_name, "training")):
        curves = {name: column(metrics, template.format(name)) for name in COLOURS}
        if np.isnan(curves["digit"]).all():
            continue
        same = np.array_equal(curves["digit"], curves["sum"], equal_nan=True)
        for name in ("digit",) if same else COLOURS:
            label = f"{'digit = sum' if same else name}, {kind}: {text(curves[name][-1])}"
            solid = kind == "held out"
            axes.plot([row["epoch"] for row in metrics], curves[name], color=COLOURS[name], label=label, marker="o",
                      linestyle="-" if solid else (0, (4, 2)), linewidth=2 if solid else 1.3, clip_on=False,
                      markerfacecolor=COLOURS[name] if solid else "white", zorder=3 if solid else 2)  # fmt: skip
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(metrics) == 1:
        axes.set(xticks=[metrics[0]["epoch"]], xlim=(metrics[0]["epoch"] - 1, metrics[0]["epoch"] + 1))
    axes.legend(loc="best")


def column(metrics: Sequence[dict[str, float]], name: str) -> NDArray[np.float64]:
    """The figure `name` of every epoch, NaN where an epoch lacks it."""
    return np.array([row.get(name, np.nan) for row in metrics], float)


def as_distance_from_one(axes: Axes) -> None:
    """Give `axes` a vertical axis for accuracies that is logarithmic in the errors: 90, 99 and 99.9 % at even steps."""
    axes.set_yscale("function", functions=(
        lambda accuracy: -np.log10(np.maximum(1 - np.asarray(accuracy), LEAST_ERROR)),
        lambda height: 1 - 10 ** -np.asarray(height),
    ))  # fmt: skip
    set_ticks(axes, (*ACCURACY_TICKS, 1 - LEAST_ERROR), lambda share: f"{100 * share:.4g} %")


def set_ticks(axes: Axes, ticks: Sequence[float], text: Callable[[float], str]) -> None:
    """Limit the vertical axis to the ticks that enclose what is drawn, and one more at either end."""
    low, high = axes.dataLim.intervaly
    below = max(sum(tick <= low for tick in ticks) - 2, 0)
    above = min(sum(tick < high for tick in ticks) + 1, len(ticks) - 1)
    axes.set(ylim=(ticks[below], ticks[above]), yticks=ticks[below : above + 1])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


@matplotlib.rc_context(STYLE)
def confusion(answers: GridAnswers, name: str) -> Figure:
    """How often each true digit (or sum: `name`) got each answer; colour is for the wrong answers alone.

    Counts images where the answer is the same with every number, else pairs.
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
    """Confidence against accuracy in 15 bins, for digit and sum; one panel where the sum is computed from the digit."""
    panels = [
        ("digit", answers.digit_confidence, answers.digit_right),
        ("sum", answers.sum_confidence, answers.sum_right),
    ]
    errors = {name: percent(calibration_error(confidence, right)) for name, confidence, right in panels}
    title = "Calibration error: " + ", ".join(f"{name} {error}" for name, error in errors.items())
    if answers.sum_computed:
        panels, title = panels[:1], f"Calibration error, digit = sum: {errors['digit']}"
    figure = new_figure(0.4 + 5.2 * len(panels), 7, title)
    grid = figure.subplots(2, len(panels), squeeze=False, sharex=True, height_ratios=(3.6, 1))
    for (above, below), (name, confidence, right) in zip(grid.T, panels, strict=True):
        draw_reliability(above, confidence, right, COLOURS[name])
        means = percent(float(confidence.mean(dtype=float))), percent(float(right.mean()))
        above.set_title(f"{name}: {means[0]} sure, {means[1]} right")
        below.hist(confidence.ravel(), bins=np.linspace(0, 1, 16), color=COLOURS[name], rwidth=0.9)
        below.set(yscale="log", xlabel=f"confidence in the {name}", ylabel="pairs")
        below.set_ylim(bottom=0.7)
        below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        below.yaxis.set_minor_locator(NullLocator())
    return figure


def draw_reliability(axes: Axes, confidence: NDArray[np.float32], right: NDArray[np.bool_], colour: str) -> None:
    """A point a bin, with its distance from the diagonal; hollow where too few answers stand behind it to be sure."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 2)), label="perfectly calibrated")
    bins = calibration_bins(confidence, right)
    many = [one for one in bins if one.share * right.size >= FEW_PAIRS]
    few = [one for one in bins if one not in many]
    for group, fill, width, label in (
        (many, colour, 5, "answers of one bin"),
        (few, "white", 1, f"fewer than {FEW_PAIRS} pairs"),
    ):
        if group:
            x, y = [one.confidence for one in group], [one.accuracy for one in group]
            axes.vlines(x, x, y, color=colour, alpha=0.35, linewidth=width)
            axes.plot(x, y, "o", color=colour, markerfacecolor=fill, markersize=8 if fill == colour else 6, label=label,
                      clip_on=False, zorder=3)  # fmt: skip
    axes.set(ylabel="share of them right", xlim=(0, 1), ylim=(0, 1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.legend(loc="best")


@dataclass(frozen=True)
class Mistake:
    """One pair with a wrong answer; `confidence` is that of the wrong answer, of the surer one where both are wrong."""

    image: int
    number: int
    confidence: float


def most_confident_mistakes(answers: GridAnswers, most: int = SHOWN_MISTAKES) -> list[Mistake]:
    """The `most` surest mistakes, each of another image, surest first.

    Where an image's numbers tie, as they all do when the sum is computed, they take turns from image to image.
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
    return [Mistake(int(i), int(number[i]), float(surest[i])) for i in order if surest[i] >= 0]


@matplotlib.rc_context(STYLE)
def mistakes(answers: GridAnswers, digits: DigitSet) -> Figure:
    """The most confident mistakes as pictures, with the number, the truth, both answers and their confidence."""
    chosen = most_confident_mistakes(answers)
    if not chosen:
        figure = new_figure(7, 1.2, "No wrong answer", arranged=False)
        figure.text(0.12 / 7, 0.3, f"All {len(digits):,} images are right with all ten numbers.", color=GREY)
        return figure
    disputed = disputed_labels(answers.truth)
    total = int((~(answers.digit_right & answers.sum_right).all(1)).sum())
    columns = min(5, max(3, len(chosen)))
    rows = -(-len(chosen) // columns)
    shown = "" if total == len(chosen) else f"; the {len(chosen)} most confident"
    verb = "has" if total == 1 else "have"
    height = TILE * rows + 0.6
    figure = new_figure(
        2.2 * columns, height, f"{total:,} of {len(digits):,} images {verb} a wrong answer{shown}", arranged=False
    )
    for place, mistake in enumerate(chosen):
        row, column = divmod(place, columns)
        left, bottom = (2.2 * column + 0.2) / (2.2 * columns), (TILE * (rows - row) - 2.1) / height
        axes = figure.add_axes((left, bottom, 1.8 / (2.2 * columns), 1.8 / height))
        axes.imshow(digits.images[mistake.image], cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        doubt = disputed is not None and disputed[mistake.image]
        axes.set_title(f"+ {mistake.number}" + ("   (label disputed)" if doubt else ""), pad=4)
        caption(axes, answers, mistake)
    return figure


def caption(axes: Axes, answers: GridAnswers, mistake: Mistake) -> None:
    """Under a picture: truth, answer and confidence, for digit and sum; what is wrong stands out."""
    at = mistake.image, mistake.number
    line(axes, 0, ("", "digit", "sum"), (GREY,) * 3)
    line(axes, 1, ("truth", f"{answers.truth[at[0]]}", f"{answers.true_sum[at]}"), (GREY, "black", "black"))
    inks = ["black" if right[at] else WRONG for right in (answers.digit_right, answers.sum_right)]
    line(axes, 2, ("answer", f"{answers.digit[at]}", f"{answers.sum[at]}"), (GREY, *inks))
    sure = [certainty(float(share[at])) for share in (answers.digit_confidence, answers.sum_confidence)]
    line(axes, 3, ("sure", *sure), (GREY, *inks))


def line(axes: Axes, row: int, texts: Sequence[str], inks: Sequence[str]) -> None:
    for x, text, ink in zip((0, 0.62, 1), texts, inks, strict=True):
        axes.text(x, -0.05 - 0.12 * row, text, transform=axes.transAxes, ha="left" if x == 0 else "right", va="top",
                  color=ink, fontsize=10, fontweight="bold" if ink == WRONG else "normal")  # fmt: skip


def certainty(share: float) -> str:
    """A confidence in percent with one decimal, never rounded up to certainty."""
    return "> 99.9 %" if share >= 0.9995 else f"{100 * share:.1f} %"

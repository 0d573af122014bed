"""The pictures of the study. In all of them blue is the digit, orange the sum; lines are 95 % intervals over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sumnist.data.sampling import NUMBERS
from sumnist.evaluation.plots import COLOURS, GREY, STYLE, as_svg, new_figure
from sumnist.study.network import build_encoding, remove_biases
from sumnist.study.results import LEARNED, Results
from sumnist.study.statistics import Mean
from sumnist.study.variants import MAIN, Variant

__all__ = ["FIGURES"]

GREEN, PINK, SKY = "#009E73", "#CC79A7", "#56B4E9"
ROW = 0.27
"""Height of a line of a table-like plot, in inches."""
WIDEST = 1.4
"""Errors in percent beyond which a design of the main comparison is off the picture."""
ERROR_TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)
COMPARED = ("fusion", "number", "sum", "digit loss", "weights", "details", "original", "published")
GROUP_TITLES = {
    "fusion": "How they meet", "number": "The number is", "sum": "The sum is", "digit loss": "The loss",
    "weights": "Loss weights", "details": "Details", "original": "The original", "published": "Published designs",
}  # fmt: skip


def errors_on_log_axis(axes: Axes) -> None:
    """A logarithmic axis of errors in percent, few to the left."""
    axes.set_xscale("log")
    axes.set_xlim(0.45, 130)
    axes.set_xticks(ERROR_TICKS, [f"{tick:g} %" for tick in ERROR_TICKS])
    axes.minorticks_off()
    axes.grid(axis="y", visible=False)


def bar(axes: Axes, mean: Mean, y: float, colour: str, flip: bool = False) -> None:
    """A mean as a dot, its interval as a line; `flip`: 100 minus it."""
    values = [100 - v if flip else v for v in (mean.value, mean.low, mean.high)]
    if mean.n > 1:
        axes.plot([max(1e-3, v) for v in values[1:]], [y, y], color=colour, lw=1.6, solid_capstyle="round")
    axes.plot(max(1e-3, values[0]), y, "o", ms=5, color=colour)


def main_comparison(results: Results) -> Figure:
    """Joint accuracy of the designs that are tested against each other: each seed, the mean, its interval."""
    found = [(v, m) for v in results.variants if v.name in MAIN and (m := results.mean(v.name, "test.joint"))]
    found.sort(key=lambda item: item[1].value)
    figure = new_figure(9.5, 1.5 + 0.5 * len(found), leaders(results, found))
    axes = figure.subplots()
    for y, (v, mean) in enumerate(found):
        errors = 100 - mean.value
        if errors > WIDEST:  # off the picture
            axes.plot(WIDEST, y, ">", ms=9, color=COLOURS["digit"], clip_on=False)
        else:
            seeds = [100 - value for value in results.values(v.name, "test.joint")]
            axes.plot(seeds, [y] * len(seeds), "|", ms=11, mew=1, color=GREY, alpha=0.5)
            bar(axes, mean, y, COLOURS["digit"], flip=True)
        axes.annotate(f"{mean.value:.2f} %", (min(errors, WIDEST), y), xytext=(0, 9), textcoords="offset points",
                      ha="right" if errors > WIDEST else "center", fontsize=9.5)  # fmt: skip
    axes.set_yticks(range(len(found)), [v.title for v, _ in found])
    axes.set(ylim=(-0.6, len(found) - 0.3), xlim=(0.5, WIDEST))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("pairs with an error, % of the test grid; thin marks: seeds")
    return figure


def leaders(results: Results, found: list[tuple[Variant, Mean]]) -> str:
    """Who has most pairs right, as a title: all that are not clearly apart from the best."""
    if not found:
        return "Pairs right: not measured yet"
    best, mean = found[-1]
    effects = [results.effect(best.name, v.name, "test.joint") for v, _ in found[:-1]]
    beside = sum(e is not None and (e.n < 2 or not e.clear) for e in effects)
    name = best.title.split(":")[0]
    return f"Most pairs right: {name}, {mean.value:.2f} %" + (f", and {beside} not clearly apart" if beside else "")


def designs(results: Results) -> Figure:
    """Errors of digit and sum of every design."""
    groups = [(g, results.group(g)) for g in COMPARED if results.group(g)]
    lines = sum(len(found) + 1.3 for _, found in groups)
    figure = new_figure(10.5, 1.3 + ROW * lines, "The digit is easy for all designs; the sum is not")
    axes, y, ticks, labels = figure.subplots(), 0.0, [], []
    for group, found in groups:
        axes.annotate(GROUP_TITLES[group], (0, y), xycoords=("axes fraction", "data"), xytext=(-6, 0),
                      textcoords="offset points", ha="right", va="center", fontsize=10, fontweight="bold")  # fmt: skip
        y += 1
        for v in found:
            for output in ("digit", "sum"):
                mean = results.mean(v.name, f"test.{output}")
                if mean is not None:
                    bar(axes, mean, y - 0.12 if output == "digit" else y + 0.12, COLOURS[output], flip=True)
            ticks.append(y)
            labels.append(v.title)
            y += 1
        y += 0.3
    axes.set_yticks(ticks, labels, fontsize=9)
    axes.set_ylim(y, -1.2)
    errors_on_log_axis(axes)
    axes.set_xlabel("wrong answers on the test grid, logarithmic")
    for output, x in (("digit", 0.62), ("sum", 0.75)):
        axes.plot(x, 1.012, "o", ms=6, color=COLOURS[output], transform=axes.transAxes, clip_on=False)
        axes.text(x + 0.015, 1.012, output, va="center", transform=axes.transAxes)
    return figure


CURVES = {
    "exact": ("exact", COLOURS["digit"]), "reference": ("features + one-hot", COLOURS["sum"]),
    "logits": ("logits + one-hot", SKY), "logits-normalised": ("logits, normalised layers", GREEN),
    "linear-logits": ("logits, one linear layer", PINK), "value": ("a value (squared error)", "#8C6D31"),
    "scalar-bits": ("scalar → five bits", "#666666"), "original": ("the original's design", "#B2182B"),
}  # fmt: skip


def learning(results: Results) -> Figure:
    """How fast the sum is learned."""
    figure = new_figure(10, 5.2, "A sum can be computed at once, learned in a hundred steps, or hardly at all")
    axes = figure.subplots()
    ends: list[Any] = []
    for name, (label, colour) in CURVES.items():
        if name in results:
            steps, sums = results.curve(name)
            axes.plot(steps, sums, color=colour, marker="o", ms=3)
            ends.append([sums[-1], label, colour, steps[-1]])
    spread_out(ends, 4.6)
    for place, label, colour, step in ends:
        axes.annotate(label, (step, place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=10,
                      color=colour, annotation_clip=False)  # fmt: skip
    axes.axhline(100 * LEARNED, color=GREY, lw=1, ls=":")
    axes.annotate(f"learned: {LEARNED:.0%}", (10, 100 * LEARNED), xytext=(0, 3), textcoords="offset points", fontsize=9,
                  color=GREY)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks([10, 20, 50, 100, 200, 400, 860], ["10", "20", "50", "100", "200", "400", "860"])
    axes.minorticks_off()
    axes.set(xlabel="steps of 256 images, logarithmic (215 are an epoch)", ylabel="sums right, % (held-out images)",
             ylim=(0, 102))  # fmt: skip
    figure.set_layout_engine("constrained", rect=(0, 0, 0.83, 1))  # room for the labels
    return figure


def spread_out(ends: list[Any], least: float) -> None:
    """Move labels, each with its place first, apart by at least `least`, from the top down."""
    ends.sort(reverse=True, key=lambda end: end[0])
    for above, below in pairwise(ends):
        below[0] = min(below[0], above[0] - least)


def digit_effect(results: Results) -> Figure:
    """What the sum's loss does to the digit: the difference to learning digits alone, paired by seed."""
    names = ("reference", "deep", "logits", "argmax", "outer", "film", "bits", "value", "ordinal", "weights-1-5",
             "weights-5-1", "weights-learned", "ten-numbers", "original", "exact")  # fmt: skip
    titles = {v.name: v.title for v in results.variants}
    found = [(n, e) for n in names if (e := results.effect(n, "digit-only", "test.digit"))]
    found.sort(key=lambda item: item[1].difference)
    clear = sum(e.clear for _, e in found if e.n > 1)
    title = f"Learning the sum changes the digit clearly in {clear} of {len(found)} designs"
    figure = new_figure(9.5, 1.4 + 0.3 * len(found), title)
    axes = figure.subplots()
    for y, (_, e) in enumerate(found):
        colour = COLOURS["digit"] if e.clear else GREY
        if e.n > 1:
            axes.plot([e.low, e.high], [y, y], color=colour, lw=2)
        axes.plot(e.difference, y, "o", color=colour)
    axes.axvline(0, color=GREY, lw=1)
    axes.set_yticks(range(len(found)), [titles[n] for n, _ in found])
    axes.set_xlabel("points of digit accuracy against digits alone; blue: clear of zero")
    axes.grid(axis="y", visible=False)
    return figure


def unseen(results: Results) -> Figure:
    """Sums of pairs whose combination training never showed, beside those it did."""
    found = [v for v in results.group("left-out") if results.mean(v.name, "test.sum_unseen")]
    found.sort(key=lambda v: results.mean(v.name, "test.sum_unseen").value)  # type: ignore[union-attr]
    figure = new_figure(
        9.5, 1.6 + 0.34 * len(found), "A pair that was never seen is not added, unless adding is built in"
    )
    axes = figure.subplots()
    for y, v in enumerate(found):
        ends: list[Any] = []
        for name, colour in (("sum_seen", COLOURS["sum"]), ("sum_unseen", GREEN)):
            mean = results.mean(v.name, f"test.{name}")
            assert mean is not None
            ends.append(mean.value)
            bar(axes, mean, y, colour)
        axes.plot(ends, [y, y], color="#D0D0D0", lw=1, zorder=0)
    titles = {v.name: v.title for v in results.variants}
    axes.set_yticks(range(len(found)), [titles.get(v.title, v.title) for v in found])
    axes.set_xlim(-2, 102)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("sums right, %: pairs seen (orange), never seen (green)")
    return figure


def by_number(results: Results) -> Figure:
    """Sums by number, where training drew some numbers seldom or never."""
    shown = {
        "reference": ("all numbers alike", COLOURS["digit"]), "to-8": ("never a 9", "#B2182B"),
        "skewed-reference": ("large numbers seldom", COLOURS["sum"]),
        "skewed-outer": ("… outer product", GREEN), "skewed-scalar-value": ("… a scalar and a value", PINK),
    }  # fmt: skip
    figure = new_figure(9, 4.2, "A number that training leaves out is not learned")
    axes = figure.subplots()
    for name, (label, colour) in shown.items():
        if name in results:
            axes.plot(range(NUMBERS), results.sum_by_number(name), "o-", color=colour, label=label)
    axes.set_xticks(range(NUMBERS))
    axes.set(xlabel="number", ylabel="sums right, %", ylim=(-3, 102))
    if axes.lines:
        axes.legend(loc="center left")
    return figure


def number_path(results: Results) -> Figure:
    """The original's number path, three layers: without biases, and with them. Freshly drawn weights, for it is true of
    any."""
    figure = new_figure(9.5, 3.9, "Without biases, three layers for the number are one scalar")
    for axes, biases in zip(figure.subplots(1, 2, sharey=True), (False, True), strict=True):
        torch.manual_seed(0)
        path = build_encoding("path")
        if not biases:
            remove_biases(path)
        with torch.inference_mode():
            encoded = path(torch.arange(NUMBERS))  # [10, 64]
        share = (encoded / encoded.abs().amax().clamp_min(1e-9)).numpy().round(3)  # the same on any processor
        axes.plot(range(NUMBERS), share[:, share[-1] > 0.02], lw=1, color=COLOURS["sum"], alpha=0.75)
        values = torch.linalg.svdvals(encoded)
        count = int((values > 1e-3 * values[0]).sum())
        word = "direction" if count == 1 else "directions"
        axes.set_title(f"{'with' if biases else 'without'} biases: {count} {word}")
        axes.set_xlabel("number")
        axes.set_xticks(range(0, NUMBERS, 3))
    figure.axes[0].set_ylabel("the path's 64 units, scaled")
    return figure


FIGURES: dict[str, Callable[[Results], Figure]] = {
    "main": main_comparison, "designs": designs, "learning": learning, "digit-effect": digit_effect,
    "unseen": unseen, "by-number": by_number, "number-path": number_path,
}  # fmt: skip
"""Name → picture."""


def draw(results: Results) -> dict[str, str]:
    """Every picture that the results suffice for, as SVG text."""
    with matplotlib.rc_context(STYLE):
        return {name: as_svg(figure(results)) for name, figure in FIGURES.items()}


def titles_of(found: Sequence[Variant]) -> dict[str, str]:
    """Name → title."""
    return {v.name: v.title for v in found}

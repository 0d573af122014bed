"""The pictures of the study. In all of them blue is the digit, orange the sum; lines are 95 % intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sumnist.data.sampling import NUMBERS
from sumnist.evaluation.plots import COLOURS, GREY, STYLE, as_svg, new_figure
from sumnist.lab.study.designs import MAIN, Variant
from sumnist.lab.study.network import ENCODINGS, remove_biases
from sumnist.lab.study.results import LEARNED, Mean, Results

GREEN, PINK, SKY, BROWN, RED = "#009E73", "#CC79A7", "#56B4E9", "#8C6D31", "#B2182B"
ROW = 0.27
"""Height of a line of a table-like plot, in inches."""
SHOWN = 2
"""Designs of the main comparison with more than so many times the errors of the best one are off the picture."""
LEAST_ERROR = 1e-3
"""The least error in percent that is drawn; an interval may go down to less, or below zero."""
ERROR_TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)
ERRORS = 0.45, 130
"""The ends of a logarithmic axis of errors, in percent."""
STEP_TICKS = (10, 20, 50, 100, 200, 400, 860)
LABEL_HEIGHT = 4.6
"""Points of accuracy that a label takes up at the end of a learning curve."""
GROUP_TITLES = {
    "fusion": "How they meet", "number": "The number is", "sum": "The sum is", "digit loss": "The loss",
    "weights": "Loss weights", "details": "Details", "original": "The original", "published": "Published designs",
}  # fmt: skip
"""The groups whose designs are drawn together, in order."""
CURVES = {
    "exact": ("exact", COLOURS["digit"]), "reference": ("features + one-hot", COLOURS["sum"]),
    "logits": ("logits + one-hot", SKY), "logits-normalised": ("logits, normalised layers", GREEN),
    "linear-logits": ("logits, one linear layer", PINK), "value": ("a value (squared error)", BROWN),
    "scalar-bits": ("scalar → five bits", GREY), "original": ("the original's design", RED),
}  # fmt: skip
"""The designs whose learning is drawn, with label and colour."""
BESIDE_DIGITS_ALONE = (
    "reference", "deep", "logits", "argmax", "outer", "film", "bits", "value", "ordinal", "weights-1-5", "weights-5-1",
    "weights-learned", "ten-numbers", "original", "exact",
)  # fmt: skip
"""The designs whose digits are compared with those of a network that learns digits alone."""
DRAWN_SELDOM = {
    "reference": ("all numbers alike", COLOURS["digit"]), "to-8": ("never a 9", RED),
    "skewed-reference": ("large numbers seldom", COLOURS["sum"]), "skewed-outer": ("… outer product", GREEN),
    "skewed-scalar-value": ("… a scalar and a value", PINK),
}  # fmt: skip
"""The designs whose sums are drawn by number, with label and colour."""
APART = 0.13
"""Distance between the marks of two designs at the same number."""


def draw(results: Results) -> dict[str, str]:
    """Every picture that the results suffice for, by name, as SVG text."""
    with matplotlib.rc_context(STYLE):
        figures = {name: figure(results) for name, figure in FIGURES.items()}
        return {name: as_svg(figure) for name, figure in figures.items() if figure is not None}


def main_comparison(results: Results) -> Figure | None:
    """Joint accuracy of the designs that are tested against each other: each seed, the mean, its interval."""
    measured = [(v, mean) for v in results.variants if v.name in MAIN and (mean := results.mean(v.name, "joint"))]
    if not measured:
        return None
    measured.sort(key=lambda item: item[1].value)
    least = 100 - measured[-1][1].value
    low, high = math.floor(7 * least) / 10, math.ceil(10 * SHOWN * least) / 10
    xlabel = "pairs with an error, % of the test grid; thin marks: seeds"
    figure, axes = rows_of(
        1.5 + 0.5 * len(measured), leaders(results, measured), [v.title for v, _ in measured], xlabel
    )
    for y, (v, mean) in enumerate(measured):
        errors = 100 - mean.value
        if errors > high:
            axes.plot(high, y, ">", ms=9, color=COLOURS["digit"], clip_on=False)
        else:
            seeds = [100 - value for value in results.by_seed(v.name, "joint").values()]
            axes.plot(seeds, [y] * len(seeds), "|", ms=11, mew=1, color=GREY, alpha=0.5)
            bar(axes, errors_of(mean), y, COLOURS["digit"])
        axes.annotate(f"{mean.value:.2f} %", (min(errors, high), y), xytext=(0, 9), textcoords="offset points",
                      ha="right" if errors > high else "center", fontsize=9.5)  # fmt: skip
    axes.set(ylim=(-0.6, len(measured) - 0.3), xlim=(low, high))
    return figure


def leaders(results: Results, measured: list[tuple[Variant, Mean]]) -> str:
    """Which design has most pairs right, as a title, and how many are not clearly apart from it, if seeds can tell."""
    best, mean = measured[-1]
    finding = f"{best.title.split(':')[0].capitalize()} leads: {mean.value:.2f} % of pairs right"
    effects = [effect for v, _ in measured[:-1] if (effect := results.effect(best.name, v.name, "joint"))]
    if any(effect.n < 2 for effect in effects):
        return f"{finding} (one seed)"
    beside = sum(not effect.clear for effect in effects)
    return finding + (f"; {beside} of the others not clearly apart" if beside else "")


def designs(results: Results) -> Figure | None:
    """Errors of digit and sum of every design."""
    groups = {group: variants for group in GROUP_TITLES if (variants := results.group(group))}
    if not groups:
        return None
    lines = sum(len(variants) + 1.3 for variants in groups.values())
    figure = new_figure(10.5, 1.3 + ROW * lines, "The digit is easy for all designs; the sum is not")
    axes, y = figure.subplots(), 0.0
    titles, places = [], []
    for group, variants in groups.items():
        axes.annotate(GROUP_TITLES[group], (0, y), xycoords=("axes fraction", "data"), xytext=(-6, 0),
                      textcoords="offset points", ha="right", va="center", fontsize=10, fontweight="bold")  # fmt: skip
        for v in variants:
            y += 1
            for output, aside in (("digit", -0.12), ("sum", 0.12)):
                if mean := results.mean(v.name, output):
                    bar(axes, errors_of(mean), y + aside, COLOURS[output])
            titles.append(v.title)
            places.append(y)
        y += 1.3
    axes.set_yticks(places, titles, fontsize=9)
    axes.set(ylim=(y, -1.2), xscale="log", xlim=ERRORS, xlabel="wrong answers on the test grid, logarithmic")
    axes.set_xticks(ERROR_TICKS, [f"{tick:g} %" for tick in ERROR_TICKS])
    axes.minorticks_off()
    axes.grid(axis="y", visible=False)
    for output, x in (("digit", 0.62), ("sum", 0.75)):
        axes.plot(x, 1.012, "o", ms=6, color=COLOURS[output], transform=axes.transAxes, clip_on=False)
        axes.text(x + 0.015, 1.012, output, va="center", transform=axes.transAxes)
    return figure


def errors_of(mean: Mean) -> Mean:
    """The errors in percent of a mean of right answers, as a logarithmic axis can show them."""
    value, low, high = (max(LEAST_ERROR, 100 - right) for right in (mean.value, mean.high, mean.low))
    return Mean(value, low, high, mean.spread, mean.n)


def bar(axes: Axes, mean: Mean, y: float, colour: str, size: float = 5) -> None:
    """A mean as a dot, its interval as a line."""
    if mean.n > 1:
        axes.plot([mean.low, mean.high], [y, y], color=colour, lw=1.6, solid_capstyle="round")
    axes.plot(mean.value, y, "o", ms=size, color=colour)


def rows_of(height: float, title: str, names: list[str], xlabel: str) -> tuple[Figure, Axes]:
    """A figure of rows 0, 1, … from below, with their names beside them."""
    figure = new_figure(9.5, height, title)
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(xlabel)
    return figure, axes


def learning(results: Results) -> Figure | None:
    """How fast the sum is learned."""
    curves = [(*results.curve(name), label, colour) for name, (label, colour) in CURVES.items() if name in results]
    if not curves:
        return None
    figure = new_figure(10, 5.2, "A sum can be computed at once, learned in a hundred steps, or hardly at all")
    axes = figure.subplots()
    for steps, sums, _, colour in curves:
        axes.plot(steps, sums, color=colour, marker="o", ms=3)
    place = math.inf
    for end, step, label, colour in sorted(
        ((sums[-1], steps[-1], *drawn) for steps, sums, *drawn in curves), reverse=True
    ):
        place = min(end, place - LABEL_HEIGHT)  # no label on the one above
        axes.annotate(label, (step, place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=10,
                      color=colour, annotation_clip=False)  # fmt: skip
    last = max(steps[-1] for steps, *_ in curves)
    axes.plot([STEP_TICKS[0], last], [100 * LEARNED] * 2, color=GREY, lw=1, ls=":")  # not as far as the labels
    axes.annotate(f"learned: {100 * LEARNED:.0f} %", (10, 100 * LEARNED), xytext=(0, 3), textcoords="offset points",
                  fontsize=9, color=GREY)  # fmt: skip
    axes.set_xscale("log")
    ticks = [tick for tick in STEP_TICKS if tick <= last]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.set(xlabel="steps of 256 images, logarithmic (215 are an epoch)", ylabel="sums right, % (held-out images)",
             ylim=(0, 102))  # fmt: skip
    figure.set_layout_engine("constrained", rect=(0, 0, 0.83, 1))  # room for the labels
    return figure


def digit_effect(results: Results) -> Figure | None:
    """What the sum's loss does to the digit: the difference to learning digits alone, paired by seed."""
    effects = [(name, e) for name in BESIDE_DIGITS_ALONE if (e := results.effect(name, "digit-only", "digit"))]
    if not any(e.n > 1 for _, e in effects):
        return None
    effects.sort(key=lambda item: item[1].value)
    clear = sum(e.clear for _, e in effects)
    title = f"Learning the sum changes the digit clearly in {clear} of {len(effects)} designs"
    xlabel = "points of digit accuracy against digits alone; blue: clear of zero"
    figure, axes = rows_of(1.4 + 0.3 * len(effects), title, [results.titles[name] for name, _ in effects], xlabel)
    for y, (_, e) in enumerate(effects):
        colour = COLOURS["digit"] if e.clear else GREY
        if e.n > 1:
            axes.plot([e.low, e.high], [y, y], color=colour, lw=2)
        axes.plot(e.value, y, "o", color=colour)
    axes.axvline(0, color=GREY, lw=1)
    return figure


def unseen(results: Results) -> Figure | None:
    """Sums of pairs whose combination training never showed, beside those it did."""
    measured = [
        (v, seen, never)
        for v in results.group("left-out")
        if (seen := results.mean(v.name, "sum_seen")) and (never := results.mean(v.name, "sum_unseen"))
    ]
    if not measured:
        return None
    measured.sort(key=lambda item: item[2].value)
    title = "A pair that was never seen is not added, unless adding is built in"
    names = [results.titles.get(v.title, v.title) for v, *_ in measured]
    xlabel = "sums right, %: pairs seen (orange), never seen (green)"
    figure, axes = rows_of(1.6 + 0.34 * len(measured), title, names, xlabel)
    for y, (_, seen, never) in enumerate(measured):
        axes.plot([seen.value, never.value], [y, y], color="#D0D0D0", lw=1, zorder=0)
        bar(axes, seen, y, COLOURS["sum"], size=9)  # larger, to be seen where both are the same
        bar(axes, never, y, GREEN)
    axes.set(xlim=(-2, 102), ylim=(-0.5, len(measured) - 0.5))
    return figure


def by_number(results: Results) -> Figure | None:
    """Wrong sums by number, where training drew some numbers seldom or never; side by side, so that none is hidden."""
    shown = [(name, label, colour) for name, (label, colour) in DRAWN_SELDOM.items() if name in results]
    if "to-8" not in results:
        return None
    figure = new_figure(9, 4.2, "A number that training leaves out is not learned")
    axes = figure.subplots()
    for place, (name, label, colour) in enumerate(shown):
        aside = APART * (place - (len(shown) - 1) / 2)
        errors = [max(LEAST_ERROR, 100 - right) for right in results.sum_by_number(name)]
        axes.plot([number + aside for number in range(NUMBERS)], errors, "o", color=colour, label=label)
    axes.set(yscale="log", ylim=ERRORS, xlabel="number", ylabel="wrong sums, logarithmic")
    axes.set_yticks(ERROR_TICKS, [f"{tick:g} %" for tick in ERROR_TICKS])
    axes.minorticks_off()
    axes.set_xticks(range(NUMBERS))
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left")
    return figure


def number_path(results: Results) -> Figure:
    """The original's number path, three layers: without biases, and with them. Freshly drawn weights, for it is true of
    any."""
    figure = new_figure(9.5, 3.9, "Without biases, three layers for the number are one scalar")
    for axes, biases in zip(figure.subplots(1, 2, sharey=True), (False, True), strict=True):
        torch.manual_seed(0)
        path = ENCODINGS["path"][1]()
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


FIGURES: dict[str, Callable[[Results], Figure | None]] = {
    "main": main_comparison, "designs": designs, "learning": learning, "digit-effect": digit_effect,
    "unseen": unseen, "by-number": by_number, "number-path": number_path,
}  # fmt: skip
"""Each picture by its name; None where the results do not suffice for it."""

"""Write the report of a study from its rows, as Markdown pages for the docs and as one HTML file.

The first part computes figures of variants from the rows: means with intervals, effects paired by seed, and the one
family of tests. The second part draws the pictures: blue is the digit, orange the sum, and lines are 95 % intervals
over seeds. The third part writes tables, sentences and the report.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.study.designs import MAIN, VARIANTS, Variant
from lab.study.network import ENCODINGS, remove_biases
from lab.study.rows import Row
from sumnist.data.sampling import NUMBERS
from sumnist.errors import MissingExtraError
from sumnist.evaluation.plots import COLOURS, GREY, STYLE, as_svg, new_figure
from sumnist.evaluation.text import duration, markdown_table
from sumnist.files import make_folder, write_atomically

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markdown_it import MarkdownIt
    from scipy import stats
except ImportError as error:
    raise MissingExtraError(error.name or "jinja2", "study", "the study's report") from error

LEARNED = 0.95
"""The share of right sums at which a sum counts as learned."""
EPOCH = 215
"""Steps in an epoch of 55,000 images in batches of 256."""


@dataclass(frozen=True)
class Mean:
    """The mean of `n` seeds, its 95 % interval (Student's t; none with one seed), and the standard deviation of the
    seeds."""

    value: float
    low: float
    high: float
    spread: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Return the mean of one value per seed."""
        n, value = len(values), float(np.mean(values))
        if n < 2:
            return cls(value, math.nan, math.nan, math.nan, n)
        spread = float(np.std(values, ddof=1))
        half = float(stats.t.ppf(0.975, n - 1)) * spread / math.sqrt(n)
        return cls(value, value - half, value + half, spread, n)

    @classmethod
    def effect(cls, values: Sequence[float], others: Sequence[float]) -> Mean:
        """Return how much larger `values` are than `others`, for the same seeds in the same order."""
        return cls.of([a - b for a, b in zip(values, others, strict=True)])

    @property
    def size(self) -> float:
        """An effect as a multiple of its standard deviation (Cohen's d for pairs); infinite if all differences are
        equal."""
        return self.value / self.spread if self.spread else math.copysign(math.inf, self.value) if self.value else 0.0

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero; False for one seed, which has no interval."""
        return self.n > 1 and not self.low <= 0 <= self.high


class Comparison(NamedTuple):
    """Two designs, `first` minus `second`: the effect, and the p-value of its paired t-test after Holm's correction.
    `signs`: the p-value of the exact sign-flip test of the same differences, which assumes no normality."""

    first: str
    second: str
    effect: Mean
    corrected: float
    signs: float


def compare_all(values: Mapping[str, Sequence[float]]) -> list[Comparison]:
    """Compare each two designs; `values`: one value per seed for each design, the same seeds in the same order."""
    pairs = list(combinations(values, 2))
    corrected = holm([float(stats.ttest_rel(values[a], values[b]).pvalue) for a, b in pairs])
    return [
        Comparison(a, b, Mean.effect(values[a], values[b]), p, sign_flips(values[a], values[b]))
        for (a, b), p in zip(pairs, corrected, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values so that they hold for the whole family at once (Holm's step-down, 1979)."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(stepped.clip(max=1)) if len(p_values) else stepped
    return corrected.tolist()


def sign_flips(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the p-value of the exact sign-flip test: of all 2ⁿ ways to swap the two designs within seeds, the share
    whose mean difference is at least as large as the measured one."""
    differences = np.subtract(values, others)
    sums = np.zeros(1)
    for difference in differences:  # all sums of ± differences, by doubling
        sums = np.concatenate([sums - difference, sums + difference])
    return float(np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-12))


class Results:
    """The rows whose recipe is still that of their variant.

    A figure is a share of the test grid, by its name in a row: "digit", "sum", "joint", "sum_unseen", …; all are in
    percent.
    """

    def __init__(self, rows: Sequence[Row], variants: Sequence[Variant]) -> None:
        self.rows: dict[str, list[Row]] = {v.name: [] for v in variants}
        recipes = {v.name: v.recipe.as_dict() for v in variants}
        for row in sorted(rows, key=lambda row: int(row["seed"])):
            if recipes.get(row["variant"]) == row["recipe"]:
                self.rows[row["variant"]].append(row)
        self.variants = [v for v in variants if self.rows[v.name]]
        self.titles = {v.name: v.title for v in self.variants}
        self.quoted = [row for rows in self.rows.values() for row in rows]

    def __contains__(self, name: str) -> bool:
        return bool(self.rows.get(name))

    def group(self, *names: str) -> list[Variant]:
        """Return the variants of some groups that have rows; without names, those of all groups."""
        return [v for v in self.variants if v.group in names or not names]

    def count(self, name: str) -> int:
        """Count the rows of a variant that are quoted."""
        return len(self.rows.get(name, []))

    def by_seed(self, name: str, figure: str) -> dict[int, float]:
        """Return seed → the figure of the variant `name`, in percent; seeds without the figure are left out."""
        shares = {row["seed"]: row["test"][figure] for row in self.rows.get(name, [])}
        return {seed: 100 * share for seed, share in shares.items() if share is not None}

    def mean(self, name: str, figure: str) -> Mean | None:
        """Return mean and interval of a figure; None if the variant has no such output."""
        values = self.by_seed(name, figure)
        return Mean.of([*values.values()]) if values else None

    def effect(self, name: str, other: str, figure: str) -> Mean | None:
        """Return how much larger the figure is than that of another variant, over the seeds that both have."""
        ours, theirs = self.by_seed(name, figure), self.by_seed(other, figure)
        seeds = sorted(ours.keys() & theirs.keys())
        return Mean.effect([ours[s] for s in seeds], [theirs[s] for s in seeds]) if seeds else None

    def after_an_epoch(self, name: str, output: str) -> Mean | None:
        """Return the share of right digits or sums on held-out images after the first epoch, in percent."""
        place = {"digit": 1, "sum": 2}[output]
        looks = [[100 * look[place] for look in row["curve"] if look[0] == EPOCH] for row in self.rows.get(name, [])]
        return Mean.of([look[0] for look in looks]) if looks and all(looks) else None

    def steps_to_learn(self, name: str) -> list[int | None]:
        """Return, for each seed, the first measured step at which the sum was learned; None for never."""
        curves = [row["curve"] for row in self.rows.get(name, [])]
        return [next((step for step, _, total in curve if total >= LEARNED), None) for curve in curves]

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Return the steps, and at each the share of right sums in percent, the mean over seeds."""
        curves = [row["curve"] for row in self.rows[name]]
        return [step for step, _, _ in curves[0]], means([[look[2] for look in curve] for curve in curves])

    def sum_by_number(self, name: str) -> list[float]:
        """Return the share of right sums with each number in percent, the mean over seeds."""
        return means([row["test"]["sum_by_number"] for row in self.rows[name]])


def means(lists: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of several lists of shares, place by place, in percent."""
    return [100 * sum(column) / len(lists) for column in zip(*lists, strict=True)]


# The pictures.

GREEN, PINK, SKY, BROWN, RED = "#009E73", "#CC79A7", "#56B4E9", "#8C6D31", "#B2182B"
ROW = 0.27
"""Height of a line of a table-like plot, in inches."""
SHOWN = 2
"""Designs of the main comparison with more than this many times the errors of the best one are off the picture."""
LEAST_ERROR = 1e-3
"""Least error that is drawn, in percent; an interval may go lower, even below zero."""
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
    """Draw each picture for which there are enough results: name → SVG text."""
    with matplotlib.rc_context(STYLE):
        figures = {name: figure(results) for name, figure in FIGURES.items()}
        return {name: as_svg(figure) for name, figure in figures.items() if figure is not None}


def main_comparison(results: Results) -> Figure | None:
    """Draw the joint accuracy of the designs that are tested against each other: each seed, the mean, its interval."""
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
    """Write a title: which design has most pairs right, and how many others are not clearly apart from it, if seeds can
    tell."""
    best, mean = measured[-1]
    finding = f"{best.title.split(':')[0].capitalize()} leads: {mean.value:.2f} % of pairs right"
    effects = [effect for v, _ in measured[:-1] if (effect := results.effect(best.name, v.name, "joint"))]
    if any(effect.n < 2 for effect in effects):
        return f"{finding} (one seed)"
    beside = sum(not effect.clear for effect in effects)
    return finding + (f"; {beside} of {len(effects)} others not clearly worse" if beside else "")


def designs(results: Results) -> Figure | None:
    """Draw the errors of digit and sum of every design."""
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
    """Turn a mean of right answers into errors in percent, not below the least error that a logarithmic axis can
    show."""
    value, low, high = (max(LEAST_ERROR, 100 - right) for right in (mean.value, mean.high, mean.low))
    return Mean(value, low, high, mean.spread, mean.n)


def bar(axes: Axes, mean: Mean, y: float, colour: str, size: float = 5) -> None:
    """Draw a mean as a dot, and its interval as a line."""
    if mean.n > 1:
        axes.plot([mean.low, mean.high], [y, y], color=colour, lw=1.6, solid_capstyle="round")
    axes.plot(mean.value, y, "o", ms=size, color=colour)


def rows_of(height: float, title: str, names: list[str], xlabel: str) -> tuple[Figure, Axes]:
    """Make a figure of rows 0, 1, … from below, with their names beside them."""
    figure = new_figure(9.5, height, title)
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(xlabel)
    return figure, axes


def learning(results: Results) -> Figure | None:
    """Draw how fast the sum is learned."""
    curves = [(*results.curve(name), label, colour) for name, (label, colour) in CURVES.items() if name in results]
    if not curves:
        return None
    figure = new_figure(10, 5.2, "A sum can be computed at once, learned in a hundred steps, or hardly at all")
    axes = figure.subplots()
    for steps, sums, _, colour in curves:
        axes.plot(steps, sums, color=colour, marker="o", ms=3)
    ends = sorted(((sums[-1], steps[-1], label, colour) for steps, sums, label, colour in curves), reverse=True)
    place = math.inf
    for end, step, label, colour in ends:
        place = min(end, place - LABEL_HEIGHT)  # so that labels do not overlap
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
    """Draw the effect of the sum's loss on the digit: the difference from learning digits alone, paired by seed."""
    effects = [(name, e) for name in BESIDE_DIGITS_ALONE if (e := results.effect(name, "digit-only", "digit"))]
    if not any(e.n > 1 for _, e in effects):
        return None
    effects.sort(key=lambda item: item[1].value)
    clear = sum(e.clear for _, e in effects)
    title = f"Learning the sum changes the digit clearly in {clear} of {len(effects)} designs"
    xlabel = "right digits, points above digits alone; blue: interval without 0"
    figure, axes = rows_of(1.4 + 0.3 * len(effects), title, [results.titles[name] for name, _ in effects], xlabel)
    for y, (_, e) in enumerate(effects):
        colour = COLOURS["digit"] if e.clear else GREY
        if e.n > 1:
            axes.plot([e.low, e.high], [y, y], color=colour, lw=2)
        axes.plot(e.value, y, "o", color=colour)
    axes.axvline(0, color=GREY, lw=1)
    return figure


def unseen(results: Results) -> Figure | None:
    """Draw the right sums of pairs whose combination training never showed, beside those of the others."""
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
    """Draw wrong sums by number, where training drew some numbers seldom or never; side by side, so that none is
    hidden."""
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
    """Draw the original's number path, three layers, without biases and with them.

    The weights are random: without biases, any weights give one direction.
    """
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
"""The function of each picture, by name; it returns None if there are too few results."""


# Tables and sentences.

NONE = "–"
SPACE = "\u00a0"
"""A space at which no line ends."""
OUTPUTS = "digit", "sum", "joint"
RATES = {"quarter": "a quarter", "": "the common rate", "double": "twice", "tenfold": "ten times"}
"""How variants with other learning rates are named, and the titles of their columns."""
ENCODED = "reference", "scalar", "embedding", "path", "original", "original-biases"
"""The variants for which the report tells how many directions the number's encoding takes."""
COUNTED = {"sum_cut": "the value cut, not rounded", "sum_unrounded": "bits compared without a threshold"}
"""Other ways to count the right sums, by the names of their figures."""


def with_interval(mean: Mean | None) -> str:
    """Write a mean in percent, with the half-width of its interval."""
    if mean is None:
        return NONE
    return f"{mean.value:.2f}" + (f"{SPACE}±{SPACE}{mean.high - mean.value:.2f}" if mean.n > 1 else "")


def points(effect: Mean | None) -> str:
    """Write a difference in points, with its interval."""
    if effect is None:
        return NONE
    interval = f" ({effect.low:+.2f}{SPACE}to{SPACE}{effect.high:+.2f})" if effect.n > 1 else ""
    return f"{effect.value:+.2f}{interval}"


def size(effect: Mean | None) -> str:
    """Write an effect as a multiple of its standard deviation."""
    return f"{effect.size:+.1f}" if effect and effect.n > 1 and math.isfinite(effect.size) else NONE


def probability(p: float) -> str:
    """Write a p-value."""
    return f"<{SPACE}0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def counted(numbers: Collection[int], thing: str) -> str:
    """Write `1 seed`, `3 seeds`, `2 to 5 seeds`."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return (f"{low}" if low == high else f"{low} to {high}") + f" {thing}" + ("" if high == 1 else "s")


Column = Callable[[Variant], str]


class Tables(Results):
    """The results as tables of the report and as figures for its sentences.

    The template asks for sentences only about variants that have rows.
    """

    def table(self, head: Sequence[str], variants: Sequence[Variant], *columns: Column) -> str:
        """Write a table with a line for each of the variants, and a last column of how many seeds it has."""
        body = [[*(column(v) for column in columns), str(self.count(v.name))] for v in variants]
        return markdown_table([*head, "seeds"], body)

    def figure(self, figure: str) -> Column:
        """Make a column of the means of a figure."""
        return lambda v: with_interval(self.mean(v.name, figure))

    def title(self, v: Variant) -> str:
        """Return the title of a variant; a variant that is made from another one has the other's name as its title."""
        return self.titles.get(v.title, v.title)

    def of(self, *groups: str, against: str = "reference") -> str:
        """Compare every variant of some groups with the one they are measured against."""
        variants = [v for v in self.variants if v.name == against]
        variants += [v for v in self.group(*groups) if v.name != against]

        def early(output: str) -> Column:
            return lambda v: with_interval(self.mean(v.name, output) and self.after_an_epoch(v.name, output))

        def gain(v: Variant) -> Mean | None:
            return None if v.name == against else self.effect(v.name, against, "sum")

        head = ["", "digit %", "sum %", "joint %", "after an epoch: digit %", "sum %",
                f"steps to {100 * LEARNED:.0f}{SPACE}% sums", "sum, points against the first line", "d"]  # fmt: skip
        return self.table(
            head, variants, lambda v: v.title, *map(self.figure, OUTPUTS), early("digit"), early("sum"), self.steps,
            lambda v: points(gain(v)), lambda v: size(gain(v)),
        )  # fmt: skip

    def steps(self, v: Variant) -> str:
        """Write the median step at which the sum was learned, and how many seeds never got there."""
        if self.mean(v.name, "sum") is None:
            return NONE
        steps = self.steps_to_learn(v.name)
        learned = [step for step in steps if step is not None]
        if not learned:
            return "never"
        never = len(steps) - len(learned)
        return f"{median(learned):g}" + (f" ({never} of {len(steps)} never)" if never else "")

    def published(self) -> str:
        """Compare what published designs achieve here with what their authors report."""
        head = ["design", "its author: digit %", "its author: sum %", "here: digit %", "sum %", "joint %"]
        theirs: list[Column] = [lambda v: (v.published or (NONE, NONE))[0], lambda v: (v.published or (NONE, NONE))[1]]
        variants = self.group("published")
        return self.table(head, variants, lambda v: v.title, *theirs, *map(self.figure, OUTPUTS))

    def compared(self) -> dict[str, list[float]]:
        """Return the joint accuracies of each design of the main comparison, over the seeds that all have; empty if
        there are too few."""
        by_seed = {name: self.by_seed(name, "joint") for name in MAIN if name in self}
        seeds = sorted(set.intersection(*(set(values) for values in by_seed.values()))) if by_seed else []
        enough = len(seeds) > 1 and len(by_seed) > 1
        return {name: [values[seed] for seed in seeds] for name, values in by_seed.items()} if enough else {}

    def main(self) -> str:
        """Compare every two designs of the main comparison."""
        titles, values = self.titles, self.compared()
        body = [
            [titles[c.first], titles[c.second], points(c.effect), size(c.effect), probability(c.corrected),
             probability(c.signs)]
            for c in compare_all(values)
        ]  # fmt: skip
        head = ["", "against", "joint, points", "d", "p, Holm", "p, sign flips"]
        return markdown_table(head, body) + f"\n\nn = {len(next(iter(values.values())))} seeds, the same for all."

    def spread(self) -> str:
        """Show how far the seeds of the main designs lie apart."""

        def extreme(choose: Callable[[Collection[float]], float]) -> Column:
            return lambda v: f"{choose(self.by_seed(v.name, 'joint').values()):.2f}"

        def deviation(v: Variant) -> str:
            mean = self.mean(v.name, "joint")
            return f"{mean.spread:.2f}" if mean and mean.n > 1 else NONE

        variants = [v for v in self.variants if v.name in MAIN and self.mean(v.name, "joint")]
        head = ["", "joint %", "standard deviation", "worst seed", "best seed"]
        return self.table(
            head, variants, lambda v: v.title, self.figure("joint"), deviation, extreme(min), extreme(max)
        )

    def beyond(self) -> str:
        """Show sums with numbers above 9, if any design can be asked for them."""
        body = [
            [v.title, *(self.figure(name)(v) for name in ("sum", "sum_beyond"))]
            for v in self.group("fusion", "number", "sum", "original", "published")
            if self.mean(v.name, "sum_beyond")
        ]
        return markdown_table(["", "sum %, numbers 0 to 9", "numbers 10 to 15"], body) if body else ""

    def rates(self) -> str:
        """Show sums of the designs that fall behind, by learning rate."""
        names = dict.fromkeys(v.name.rpartition("-rate-")[0] for v in self.group("rates"))
        body = [
            [self.titles[name],
             *(with_interval(self.mean(f"{name}-rate-{rate}" if rate else name, "sum")) for rate in RATES)]
            for name in names if name in self
        ]  # fmt: skip
        return markdown_table(["sum % at", *RATES.values()], body)

    def unseen(self) -> str:
        """Show sums of combinations that training showed, and of those that it left out."""
        head, variants = ["", "sum %, combinations seen", "never seen"], self.group("left-out")
        return self.table(head, variants, self.title, self.figure("sum_seen"), self.figure("sum_unseen"))

    def skewed(self) -> str:
        """Show sums by number, where large numbers were seldom drawn."""

        def with_number(number: int) -> Column:
            return lambda v: f"{self.sum_by_number(v.name)[number]:.2f}"

        head, variants = ["", "sum %", "… with 0", "3", "6", "9"], self.group("skewed")
        return self.table(head, variants, self.title, self.figure("sum"), *map(with_number, (0, 3, 6, 9)))

    def counted(self) -> str:
        """Show the same answers counted in other widespread ways."""
        body = [
            [v.title, self.figure("sum")(v), title, self.figure(figure)(v)]
            for v in self.group("sum", "original")
            for figure, title in COUNTED.items()
            if self.mean(v.name, figure)
        ]
        return markdown_table(["", "sum %", "counted otherwise", "gives"], body)

    def directions(self) -> str:
        """Show how many directions the number's encoding takes, in trained networks."""
        body = []
        for name in (name for name in ENCODED if name in self):
            lists = [row["number_singular_values"] for row in self.rows[name]]
            counts = [sum(value > 1e-3 * values[0] for value in values) for values in lists]
            low, high = min(counts), max(counts)
            body.append([self.titles[name], str(low) if low == high else f"{low} to {high}"])
        return markdown_table(["number given as", "directions"], body)

    # Sentences.

    def share(self, name: str, figure: str = "sum") -> str:
        """Write a mean in percent, plainly."""
        mean = self.mean(name, figure)
        return f"{mean.value:.2f} %" if mean else NONE

    def with_nine(self, name: str) -> str:
        """Write the share of sums right with the number 9."""
        return f"{self.sum_by_number(name)[9]:.2f} %"

    def against(self, name: str, other: str, figure: str = "sum") -> str:
        """Write a difference in words, and whether its interval leaves out zero."""
        effect = self.effect(name, other, figure)
        if effect is None or effect.n < 2:
            return "has too few seeds to tell"
        verdict = ("raises" if effect.value > 0 else "lowers") if effect.clear else "does not clearly change"
        return f"{verdict} the share of right {figure}s: {points(effect)} points, {effect.n} seeds"

    def counts(self) -> str:
        """Write how many runs of how many designs there are."""
        return f"{counted([len(self.quoted)], 'run')} of {counted([len(self.variants)], 'design')}"

    def missing(self) -> int:
        """Count the variants of the whole study that have no row."""
        return sum(v.name not in self for v in VARIANTS)

    def compared_with(self) -> str:
        """Write how many designs are compared, and with how many seeds."""
        counts = [self.count(name) for name in MAIN if name in self]
        return f"{counted([len(counts)], 'design')}, {counted([min(counts)], 'seed')}"

    def seeds(self, *groups: str) -> str:
        """Write how many seeds the variants of some groups have; without groups, all variants."""
        return counted([self.count(v.name) for v in self.group(*groups)], "seed")

    def epochs(self, *groups: str) -> str:
        """Write for how many epochs the variants of some groups are trained; without groups, all variants."""
        return counted([v.recipe.epochs for v in self.group(*groups)], "epoch")

    def machines(self) -> str:
        """Write where the rows were measured, and with which torch."""
        processors = sorted({row["machine"]["processor"] for row in self.quoted})
        versions = sorted({row["machine"]["versions"]["torch"] for row in self.quoted})
        return f"{'; '.join(processors)}; torch {', '.join(versions)}"

    def time(self) -> str:
        """Write how long all trainings took together."""
        return duration(sum(row["seconds"] for row in self.quoted))


# The report.


@dataclass(frozen=True)
class Report:
    """The finished report, each file by its name: two pages in Markdown, `design-choices.md` and its appendix; the
    pictures in `images/`; and `study.html`, which holds everything."""

    files: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write all files into `folder`, which is created if it is missing. Raises `OutputError`."""
        make_folder(folder / "images")
        for name, text in self.files.items():
            write_atomically(folder / name, text)


def report(rows: Sequence[Row], variants: Sequence[Variant]) -> Report:
    """Write the report of a study: every figure, count and verdict comes from its rows.

    Args:
        rows: The rows, as `read_rows` gives them. Rows of recipes that are no longer studied are left out, and so are
            parts of the report for which there are no rows.
        variants: The variants to report, in the order of the tables.

    Returns:
        The report, which does not depend on the order of the rows.
    """
    tables = Tables(rows, variants)
    pictures = draw(tables)
    environment = Environment(
        loader=PackageLoader("lab.study"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    environment.globals.update(
        tables=tables, words=tables, pictures=pictures,
        measured=lambda *names: all(name in tables for name in names),
        any_of=lambda *groups: bool(tables.group(*groups)),
    )  # fmt: skip
    files = {
        name: environment.get_template(f"{name}.j2").render() for name in ("design-choices.md", "appendix-designs.md")
    }
    body = MarkdownIt("commonmark").enable("table").render("\n".join(files.values()))
    body = re.sub(r'<a href="(?!https?:)[^"]*">(.*?)</a>', r"\1", body)  # no links to the other files
    for name, picture in pictures.items():
        files[f"images/study-{name}.svg"] = picture
        embedded = "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
        body = body.replace(f'src="images/study-{name}.svg"', f'src="{embedded}"')
    return Report(files | {"study.html": environment.get_template("study.html.j2").render(body=body)})

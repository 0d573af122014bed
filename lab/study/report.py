"""The figures and plots of the study's page, from its rows.

Figures of variants are means with intervals and effects paired by seed; only the main comparison is tested for
significance. In the plots, blue is the digit, orange the sum, and lines are 95 % intervals over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from lab.rendering import as_svg, markdown_table
from lab.study.designs import MAIN, RATES, VARIANTS, Variant
from lab.study.rows import Row
from sumnist.evaluation.plots import COLOURS, GREY, STYLE, new_figure
from sumnist.evaluation.text import duration


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
    def clear(self) -> bool:
        """Whether the interval leaves out zero; False for one seed, which has no interval."""
        return self.n > 1 and not self.low <= 0 <= self.high


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

    def sum_by_number(self, name: str) -> list[float]:
        """Return the share of right sums with each number in percent, the mean over seeds."""
        return means([row["test"]["sum_by_number"] for row in self.rows[name]])


def means(lists: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of several lists of shares, place by place, in percent."""
    return [100 * sum(column) / len(lists) for column in zip(*lists, strict=True)]


# Plots.

ROW = 0.27
"""Height of a line of a table-like plot, in inches."""
SHOWN = 2
"""Designs of the main comparison with more than this many times the errors of the best one are off the picture."""
LEAST_ERROR = 1e-3
"""Least error that is drawn, in percent; an interval may go lower, even below zero."""
ERROR_TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)
ERRORS = 0.45, 130
"""The ends of a logarithmic axis of errors, in percent."""
GROUP_TITLES = {
    "fusion": "How they meet", "number": "The number is", "sum": "The sum is", "digit loss": "The loss",
    "weights": "Loss weights", "details": "Details", "original": "The original", "published": "Published designs",
}  # fmt: skip
"""The groups whose designs are drawn together, in order."""


def main_comparison(results: Results) -> Figure:
    """Draw the joint accuracy of the designs that are tested against each other: each seed, the mean, its interval."""
    measured = [(v, mean) for v in results.variants if v.name in MAIN and (mean := results.mean(v.name, "joint"))]
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
    """Write a title: which design has most pairs right, and how many others are not clearly apart from it."""
    best, mean = measured[-1]
    finding = f"{best.title.split(':')[0].capitalize()} leads: {mean.value:.2f} % of pairs right"
    effects = [effect for v, _ in measured[:-1] if (effect := results.effect(best.name, v.name, "joint"))]
    beside = sum(not effect.clear for effect in effects)
    return finding + (f"; {beside} of {len(effects)} others not clearly worse" if beside else "")


def designs(results: Results) -> Figure:
    """Draw the errors of digit and sum of every design."""
    groups = {group: variants for group in GROUP_TITLES if (variants := results.group(group))}
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


PLOTS: dict[str, Callable[[Results], Figure]] = {"study-main": main_comparison, "study-designs": designs}
"""The function of each plot, by name."""


# Tables and sentences.

NONE = "–"
SPACE = "\u00a0"
"""A space at which no line ends."""


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


def probability(p: float) -> str:
    """Write a p-value."""
    return f"<{SPACE}0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


LISTED = "fusion", "number", "sum", "published", "full"
"""The groups whose designs are in a table; the plot has all."""


def all_designs(results: Results) -> str:
    """Write a table of the groups in `LISTED`, each design with its sums at other learning rates."""
    body = []
    rates = {v.name: results.mean(v.name, "sum") for v in results.group("rates")}
    for group in LISTED:
        for v in results.group(group):
            author = f" (its author: {v.published[0]}, {v.published[1]})" if v.published else ""
            mean = results.mean(v.name, "sum") or results.mean(v.name, "digit")
            others = [f"{other.value:.2f}" for label in RATES if (other := rates.get(f"{v.name}-rate-{label}"))]
            share = (f"{mean.value:.2f}" if mean else NONE) + (f" ({', '.join(others)})" if others else "")
            body.append([f"{v.title}{author}", share, str(results.count(v.name))])
    head = ["design", f"sum % (rate × {', '.join(f'{factor:g}' for _, factor in RATES.values())})", "seeds"]
    return f"\n{markdown_table(head, body)}\n"


def compared(results: Results) -> str:
    """Write a table of the main comparison: how far the seeds lie apart, and each design against the best one.

    The p-values of paired t-tests are corrected for all of them together (Holm, 1979). Those of the exact sign-flip
    test of the same differences assume no normality.
    """
    by_seed = {name: results.by_seed(name, "joint") for name in MAIN if name in results}
    seeds = sorted(set.intersection(*map(set, by_seed.values())))
    values = {name: [of[seed] for seed in seeds] for name, of in by_seed.items()}
    order = sorted(values, key=lambda name: -float(np.mean(values[name])))
    best, others = values[order[0]], order[1:]
    corrected = dict(zip(others, holm([float(stats.ttest_rel(best, values[name]).pvalue) for name in others]),
                         strict=True))  # fmt: skip
    body = []
    for name in order:
        mean, tests = Mean.of(values[name]), [""] * 3
        if name in corrected:
            beside, flips = Mean.effect(values[name], best), sign_flips(values[name], best)
            tests = [points(beside), probability(corrected[name]), probability(flips)]
        body.append([results.titles[name], f"{mean.value:.2f}", f"{mean.spread:.2f}", f"{min(values[name]):.2f}",
                     f"{max(values[name]):.2f}", *tests])  # fmt: skip
    head = ["design", "joint %", "standard deviation", "worst seed", "best seed", "against the best, points", "p, Holm",
            "p, sign flips"]  # fmt: skip
    return f"\n{markdown_table(head, body)}\n"


def unseen(results: Results) -> str:
    """Write a table of the right sums of pairs that training showed, and of those that it left out."""
    measured = [(results.mean(v.name, "sum_unseen"), v) for v in results.group("left-out")]
    measured.sort(key=lambda pair: -pair[0].value if pair[0] else 0.0)
    seen = {v.name: with_interval(results.mean(v.name, "sum_seen")) for _, v in measured}
    body = [[results.titles.get(v.title, v.title), seen[v.name], with_interval(never)] for never, v in measured]
    head = ["design", "sum %, pairs seen", "never seen"]
    return f"\n{markdown_table(head, body)}\n"


def share(results: Results, name: str, figure: str = "sum") -> str:
    """Write a mean in percent, plainly."""
    mean = results.mean(name, figure)
    return f"{mean.value:.2f} %" if mean else NONE


def with_nine(results: Results, name: str) -> str:
    """Write the share of sums that are right with the number 9."""
    return f"{results.sum_by_number(name)[9]:.2f} %" if name in results else NONE


def against(results: Results, name: str, other: str, figure: str = "sum") -> str:
    """Write a difference in words, and whether its interval leaves out zero."""
    effect = results.effect(name, other, figure)
    assert effect is not None
    verdict = ("raises" if effect.value > 0 else "lowers") if effect.clear else "does not clearly change"
    return f"{verdict} the share of right {figure}s: {points(effect)} points, {effect.n} seeds"


def runs(results: Results) -> str:
    """Write how many runs of how many designs there are."""
    return f"{len(results.quoted):,} runs of {len(results.variants)} designs"


def cost(results: Results) -> str:
    """Write how long all trainings took together, where, and with which torch."""
    machines = {row["machine"]["processor"] for row in results.quoted}
    versions = {row["machine"]["versions"]["torch"] for row in results.quoted}
    spent = duration(sum(row["seconds"] for row in results.quoted))
    return f"{spent} on {'; '.join(sorted(machines))}; torch {', '.join(sorted(versions))}"


FIGURES: dict[str, Callable[..., str]] = {
    "study-designs": all_designs, "study-compared": compared, "study-unseen": unseen,
    "study-share": share, "study-nine": with_nine, "study-against": against, "study-runs": runs, "study-cost": cost,
}  # fmt: skip
"""The figures of pages: functions of the results and of the words behind the figure's name."""


def results_of(rows: Sequence[Row]) -> Results:
    """Return the results of all designs."""
    return Results(rows, VARIANTS)


def plotted(name: str, results: Results) -> str:
    """Return a plot as SVG."""
    with matplotlib.rc_context(STYLE):
        return as_svg(PLOTS[name](results))

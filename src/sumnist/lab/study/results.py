"""The rows of a study, asked by variant: means with intervals, effects paired by seed, and the one family of tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from sumnist.errors import MissingExtraError
from sumnist.lab.study.designs import Variant

try:
    from scipy import stats
except ImportError as error:
    raise MissingExtraError("scipy", "study", "the study's report") from error

LEARNED = 0.95
"""The share of right sums at which a sum counts as learned."""
EPOCH = 215
"""Steps in an epoch of 55,000 images in batches of 256."""


@dataclass(frozen=True)
class Mean:
    """The mean of `n` seeds, its 95 % interval (Student's t; none with one seed), and their standard deviation."""

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
        """Return how much more `values` are than `others`, of the same seeds in the same order."""
        return cls.of([a - b for a, b in zip(values, others, strict=True)])

    @property
    def size(self) -> float:
        """An effect as a multiple of its standard deviation (Cohen's d for pairs); infinite where all are the same."""
        return self.value / self.spread if self.spread else math.copysign(math.inf, self.value) if self.value else 0.0

    @property
    def clear(self) -> bool:
        """Whether there is an interval, which one seed does not give, and it leaves out zero."""
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
    """Compare every two of some designs, each given by one value per seed, same seeds in the same order."""
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
    """Return the share of all 2ⁿ ways to swap the two designs within seeds whose mean difference is at least as large
    as the one that was found."""
    differences = np.subtract(values, others)
    sums = np.zeros(1)
    for difference in differences:  # all sums of ± differences, by doubling
        sums = np.concatenate([sums - difference, sums + difference])
    return float(np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-12))


class Results:
    """Those of `rows` whose recipe is still that of their variant. A figure is a share of the test grid by its name in
    a row: "digit", "sum", "joint", "sum_unseen", …; all are in percent."""

    def __init__(self, rows: Sequence[dict[str, Any]], variants: Sequence[Variant]) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {v.name: [] for v in variants}
        recipes = {v.name: v.recipe.as_dict() for v in variants}
        for row in sorted(rows, key=lambda row: int(row["seed"])):
            if recipes.get(row["variant"]) == row["recipe"]:
                self.rows[row["variant"]].append(row)
        self.variants = [v for v in variants if self.rows[v.name]]
        self.titles = {v.name: v.title for v in self.variants}

    def __contains__(self, name: str) -> bool:
        return bool(self.rows.get(name))

    def group(self, *names: str) -> list[Variant]:
        """Return the variants of some groups that have rows; of all groups without names."""
        return [v for v in self.variants if v.group in names or not names]

    def count(self, name: str) -> int:
        """Count the rows of a variant that are quoted."""
        return len(self.rows.get(name, []))

    def by_seed(self, name: str, figure: str) -> dict[int, float]:
        """Return seed → the figure of the variant `name`, in percent; without those that have none."""
        shares = {row["seed"]: row["test"][figure] for row in self.rows.get(name, [])}
        return {seed: 100 * share for seed, share in shares.items() if share is not None}

    def mean(self, name: str, figure: str) -> Mean | None:
        """Return mean and interval of a figure; None where the variant has no such output."""
        values = self.by_seed(name, figure)
        return Mean.of([*values.values()]) if values else None

    def effect(self, name: str, other: str, figure: str) -> Mean | None:
        """Return how much more the figure is than that of another variant, over the seeds that both have."""
        ours, theirs = self.by_seed(name, figure), self.by_seed(other, figure)
        seeds = sorted(ours.keys() & theirs.keys())
        return Mean.effect([ours[s] for s in seeds], [theirs[s] for s in seeds]) if seeds else None

    def after_an_epoch(self, name: str, output: str) -> Mean | None:
        """Return the digits or sums right on held-out images after the first epoch, in percent."""
        place = {"digit": 1, "sum": 2}[output]
        looks = [[100 * look[place] for look in row["curve"] if look[0] == EPOCH] for row in self.rows.get(name, [])]
        return Mean.of([look[0] for look in looks]) if looks and all(looks) else None

    def steps_to_learn(self, name: str) -> list[int | None]:
        """Return, for each seed, the first step at which the sum was seen to be learned; None for never."""
        curves = [row["curve"] for row in self.rows.get(name, [])]
        return [next((step for step, _, total in curve if total >= LEARNED), None) for curve in curves]

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Return steps, and the mean over seeds of the sums right at each, in percent."""
        curves = [row["curve"] for row in self.rows[name]]
        return [step for step, _, _ in curves[0]], means([[look[2] for look in curve] for curve in curves])

    def sum_by_number(self, name: str) -> list[float]:
        """Return the mean over seeds of the sums right with each number, in percent."""
        return means([row["test"]["sum_by_number"] for row in self.rows[name]])


def means(lists: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of several lists of shares, place by place, in percent."""
    return [100 * sum(column) / len(lists) for column in zip(*lists, strict=True)]

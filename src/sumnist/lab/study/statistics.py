"""Means with intervals, effects paired by seed, and the one family of tests, corrected for their number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from sumnist.errors import MissingExtraError

try:
    from scipy import stats
except ImportError as error:
    raise MissingExtraError("scipy", "study", "the study's report") from error

__all__ = ["Comparison", "Effect", "Mean", "compare_all", "effect", "holm", "mean_of"]


@dataclass(frozen=True)
class Mean:
    """The mean of `n` seeds, its 95 % interval (Student's t; none with one seed), and the seeds' spread."""

    value: float
    low: float
    high: float
    spread: float
    n: int


@dataclass(frozen=True)
class Effect:
    """The mean difference to another design, paired by seed, with its 95 % interval, and as a multiple of the spread of
    these differences (Cohen's d for pairs; infinite where they are all the same)."""

    difference: float
    low: float
    high: float
    size: float
    n: int

    @property
    def clear(self) -> bool:
        """Whether there is an interval, which one seed does not give, and it leaves out zero."""
        return self.n > 1 and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Comparison:
    """Two designs, `first` minus `second`: the effect, the p-value of its paired t-test, and Holm's correction of it.
    `signs`: the p-value of the exact sign-flip test of the same differences, which assumes no normality."""

    first: str
    second: str
    effect: Effect
    p: float
    corrected: float
    signs: float


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of one value per seed."""
    n, value = len(values), float(np.mean(values))
    if n < 2:
        return Mean(value, math.nan, math.nan, math.nan, n)
    spread = float(np.std(values, ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * spread / math.sqrt(n)
    return Mean(value, value - half, value + half, spread, n)


def effect(values: Sequence[float], others: Sequence[float]) -> Effect:
    """How much more `values` are than `others`, of the same seeds in the same order."""
    mean = mean_of([a - b for a, b in zip(values, others, strict=True)])
    size = mean.value / mean.spread if mean.spread else math.copysign(math.inf, mean.value) if mean.value else 0.0
    return Effect(mean.value, mean.low, mean.high, size, mean.n)


def compare_all(values: Mapping[str, Sequence[float]]) -> list[Comparison]:
    """Every two of some designs, each given by one value per seed, same seeds in the same order."""
    pairs = list(combinations(values, 2))
    tests: list[Any] = [stats.ttest_rel(values[a], values[b]) for a, b in pairs]
    raw = [float(test.pvalue) for test in tests]
    return [
        Comparison(a, b, effect(values[a], values[b]), p, corrected, sign_flips(values[a], values[b]))
        for (a, b), p, corrected in zip(pairs, raw, holm(raw), strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): p-values that hold for the whole family at once."""
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def sign_flips(values: Sequence[float], others: Sequence[float]) -> float:
    """The share of all 2ⁿ ways to swap the two designs within seeds whose mean difference is at least as large as the
    one that was found."""
    differences = np.subtract(values, others)
    sums = np.zeros(1)
    for difference in differences:  # all sums of ± differences, by doubling
        sums = np.concatenate([sums - difference, sums + difference])
    return float(np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-12))

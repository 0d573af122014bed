"""The sum of independent terms, whole numbers of small ranges: of digits in a column, of dense integers.

A term is `step · x` with log-probabilities of x = 0..n − 1. The sums of the first terms are a chain: `running[k]` is
the distribution of the first k + 1 terms, and `outward` goes back through it, from what is left to the sum (the weight
of all else, given the sum) to what is left to each term. Together they are the forward–backward algorithm, and the
derivative of the log-partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.semiring import Add, Array, take

__all__ = ["Convolution", "Term"]

Term = tuple[int, Array]
"""A step and log-probabilities `[n, ...]`."""


@lru_cache(maxsize=256)
def windows(count: int, width: int, step: int) -> NDArray[np.int64]:
    """Indices `[width, count]`: column v has those that are `step` apart and begin at v, or end there if it is
    negative."""
    return np.arange(count) + step * np.arange(width)[:, None] + max(0, -step) * (width - 1)


def stretched(width: int, step: int) -> NDArray[np.int64]:
    """For each value of `step · x`, from the least on, the index x; −1 between them."""
    values = np.arange(width)[:: 1 if step > 0 else -1]
    return np.where(values % step == 0, values // abs(step), -1)


class Convolution:
    """The distribution of a sum of terms.

    Attributes:
        first: The least sum.
        running: The distributions of the sums of the first 1, 2, … terms, each from its least value on.
    """

    def __init__(self, terms: Sequence[Term], add: Add) -> None:
        self.terms, self.add = list(terms), add
        self.first = sum(min(0, step * (len(term) - 1)) for step, term in terms)
        (step, term), *others = self.terms
        width = abs(step) * (len(term) - 1) + 1
        self.running = [term if step == 1 else take(term, stretched(width, step))]
        for step, term in others:
            self.running.append(self.plus(self.running[-1], step, term))

    @property
    def sums(self) -> Array:
        """The distribution of the sum, from `first` on: `[m, ...]`."""
        return self.running[-1]

    def plus(self, sums: Array, step: int, term: Array) -> Array:
        """`sums` `[m, ...]` and one more term: `[m + |step| (n − 1), ...]`."""
        reach = abs(step) * (len(term) - 1)
        index = windows(len(sums) + reach, len(term), -step) - reach
        return self.add(take(sums, index) + term[:, None], 0)

    def outward(self, outside: Array) -> list[Array]:
        """What is left to each term, `[n, ...]`, given what is left to the sum, `[m, ...]`."""
        left = []
        for (step, term), before in zip(self.terms[:0:-1], self.running[-2::-1], strict=True):
            here = take(outside, windows(len(before), len(term), step))  # [n, m', ...]
            left.append(self.add(here + before, 1))
            outside = self.add(here + term[:, None], 0)
        step, term = self.terms[0]
        return [take(outside, windows(1, len(term), step)[:, 0]), *left[::-1]]

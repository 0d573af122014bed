"""The sum of independent terms, whole numbers of small ranges: of digits in a column, of dense integers.

A term is `step · x` with log-probabilities of x = 0..n − 1. The sums of the last 1, 2, … terms are a chain. `outward`
goes back through it, from what is left to the sum (the weight of all else, given the sum) to what is left to each
term. Together they are the forward–backward algorithm, and the derivative of the log-partition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.semiring import Add, Array, Choose, host, library, picked, take

__all__ = ["Convolution", "Term", "in_blocks"]

Term = tuple[int, Array]
"""A step, which is not zero, and log-probabilities `[n, ...]`."""
BLOCK = 2**18
"""Elements that are worked on at once: few enough for the processor's cache, chosen by measuring."""


def in_blocks(rows: int, size: int) -> Iterator[slice]:
    """0..rows − 1 in blocks, each of as many rows of `size` elements as make up `BLOCK`, but at least of one."""
    count = max(1, BLOCK // max(1, size))
    return (slice(start, min(start + count, rows)) for start in range(0, rows, count))


class Convolution:
    """The distribution of a sum of terms.

    Attributes:
        terms: From the last to the first.
        add: `log_sum` or `log_max`.
        first: The least sum.
        last: The greatest one.
        running: The distributions of the sums of the last 1, 2, … terms but of all, each from its least value on.
    """

    def __init__(self, terms: Sequence[Term], add: Add) -> None:
        self.terms, self.add = list(terms)[::-1], add
        self.first = sum(below(term) for term in terms)
        self.last = self.first + sum(span(term) - 1 for term in terms)
        step, term = self.terms[0]
        values = np.arange(span(self.terms[0])) + below(self.terms[0])
        self.running = [term if step == 1 else take(term, np.where(values % step == 0, values // step, -1))]
        for one in self.terms[1:-1]:
            self.running.append(self.plus(self.running[-1], one))

    @cached_property
    def sums(self) -> Array:
        """The distribution of the sum, from `first` on: `[m, ...]`."""
        return self.plus(self.running[-1], self.terms[-1]) if len(self.terms) > 1 else self.running[0]

    def at(self, sums: NDArray[np.int64]) -> Array:
        """The log-probabilities of some sums `[*k, ...]`; those alone are made, if they are few."""
        step, term = self.terms[-1]
        wanted = prod(sums.shape[: sums.ndim - term.ndim + 1])
        if len(self.terms) == 1 or wanted > self.last - self.first:
            return picked(self.sums, sums - self.first)
        x = np.arange(len(term)).reshape(-1, *(1 for _ in sums.shape))
        others = picked(self.running[-1], sums - (self.first - below(self.terms[-1])) - step * x)
        return self.add(others + term[:, *(None for _ in sums.shape[: sums.ndim - term.ndim + 1])], 0)

    def plus(self, sums: Array, added: Term) -> Array:
        """`sums` and one more term."""
        step, term = added
        values = np.arange(len(sums) + span(added) - 1) + below(added)
        parts = [
            self.add(take(sums, values - step * np.arange(block.start, block.stop)[:, None]) + term[block, None], 0)
            for block in in_blocks(len(term), len(values) * prod(sums.shape[1:]))
        ]
        return self.together(parts)

    def together(self, parts: list[Array]) -> Array:
        """Alternatives in parts."""
        return parts[0] if len(parts) == 1 else self.add(library(parts[0]).stack(parts), 0)

    def outward(self, outside: Array) -> list[Array]:
        """What is left to each term, `[n, ...]`, given what is left to the sum, `[m, ...]`."""
        left = []
        for (step, term), before in zip(self.terms[:0:-1], self.running[::-1], strict=False):
            values = np.arange(len(before)) - below((step, term))
            to_term, to_others = [], []
            for block in in_blocks(len(term), prod(before.shape)):
                here = take(outside, values + step * np.arange(block.start, block.stop)[:, None])
                to_term.append(self.add(here + before, 1))
                to_others.append(self.add(here + term[block, None], 0))
            left.append(library(outside).concat(to_term, axis=0))
            outside = self.together(to_others)
        step, term = self.terms[0]
        return [*left, take(outside, step * np.arange(len(term)) - below(self.terms[0]))]

    def split(self, index: NDArray[np.int64], choose: Choose) -> list[NDArray[np.int64]]:
        """For the sum at an index `[...]`, an x of each term; the first term's is chosen first."""
        chosen = []
        for (step, term), before in zip(self.terms[:0:-1], self.running[::-1], strict=False):
            index = index + below((step, term))  # of the sum of the terms before, were x zero
            x = np.arange(len(term)).reshape(-1, *(1 for _ in index.shape))
            one = choose(picked(host(before), index - step * x) + host(term))
            index = index - step * one
            chosen.append(one)
        return [*chosen, (index + below(self.terms[0])) // self.terms[0][0]]


def below(term: Term) -> int:
    """The least value of a term."""
    step, x = term
    return min(0, step * (len(x) - 1))


def span(term: Term) -> int:
    """How many values there are from the least of a term to its greatest."""
    step, x = term
    return abs(step) * (len(x) - 1) + 1

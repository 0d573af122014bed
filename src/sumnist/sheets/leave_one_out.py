"""Sums of terms, of all of them and of all but each one, forwards and backwards.

Before and behind each term there is a running sum; the two together are the sum without the term. `outward` goes back
through them, from what is left to these sums to what is left to each term: the derivative, with nothing subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.sheets.mistakes import UNKNOWN
from sumnist.sheets.rings import Ring, Weights

__all__ = ["STATES", "Added", "Chain", "Sums", "Support", "TooMany", "places", "points"]

Support = range | NDArray[np.int64]
"""Numbers: all of a range, or some points, all different."""
STATES = 2**17
"""The most pairs of partial sums and candidates that are looked at: tens of milliseconds and some 100 MB."""


def points(support: Support) -> NDArray[np.int64]:
    """The numbers of a support."""
    return np.arange(support.start, support.stop) if isinstance(support, range) else support


def places(support: Support, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where numbers are in a support, whose points ascend; −1 if they are not there."""
    if isinstance(support, range):
        return np.where((numbers >= support.start) & (numbers < support.stop), numbers - support.start, -1)
    index = np.minimum(np.searchsorted(support, numbers), len(support) - 1)
    return np.where(support[index] == numbers, index, -1)


class TooMany(Exception):  # noqa: N818
    """There are more partial sums than are looked at."""


@dataclass(frozen=True)
class Added:
    """Two terms, and the support of their sum. Points are merged, exactly; a sum with `UNKNOWN` is unknown."""

    one: Support
    two: Support

    @cached_property
    def table(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The sums of points, and which of them each pair makes: `[E]` and `[n, m]`. Raises `TooMany`."""
        shape = len(self.one), len(self.two)
        if shape[0] * shape[1] > STATES:
            raise TooMany
        sums = points(self.one)[:, None] + points(self.two)
        found, pairs = np.unique(np.where(sums >= UNKNOWN // 2, UNKNOWN, sums), return_inverse=True)
        return found, pairs.reshape(shape)

    @property
    def dense(self) -> bool:
        """Whether both are ranges."""
        return isinstance(self.one, range) and isinstance(self.two, range)

    @cached_property
    def support(self) -> Support:
        """The support of the sum."""
        if isinstance(self.one, range) and isinstance(self.two, range):
            return range(self.one.start + self.two.start, self.one.stop + self.two.stop - 1)
        return self.table[0]

    def forward(self, ring: Ring, one: Weights, two: Weights) -> Weights:
        """The weights of the sum."""
        if self.dense:
            return ring.convolved(one, two)
        sums, pairs = self.table
        return ring.gathered(pairs.reshape(-1), ring.times(one[:, None], two).reshape(-1), len(sums))

    def to_one(self, ring: Ring, outside: Weights, two: Weights) -> Weights:
        """What is left to the first term, given what is left to the sum."""
        if self.dense:
            return ring.correlated(outside, two)
        return np.asarray(ring.plus.reduce(ring.times(outside[self.table[1]], two), axis=1))

    def to_two(self, ring: Ring, outside: Weights, one: Weights) -> Weights:
        """What is left to the second term."""
        if self.dense:
            return ring.correlated(outside, one)
        return np.asarray(ring.plus.reduce(ring.times(outside[self.table[1]], one[:, None]), axis=0))


class Sums(NamedTuple):
    """Weights of the sums of the first 0, 1, … terms, of the last n, n − 1, …, and of all but each one."""

    before: list[Weights]
    behind: list[Weights]
    rests: list[Weights]

    @property
    def all(self) -> Weights:
        """Of the sum of all terms."""
        return self.before[-1]


class Chain:
    """The sum of terms with given supports.

    Attributes:
        support: Of the sum of all.
        rests: Of the sum of all but each one.

    Raises:
        TooMany: There are more partial sums than are looked at.
    """

    def __init__(self, terms: Sequence[Support]) -> None:
        start = range(1) if all(isinstance(term, range) for term in terms) else np.zeros(1, np.int64)
        self._start: Support = start
        self._up: list[Added] = []
        self._down: list[Added] = []
        for term in terms:
            self._up.append(Added(self._up[-1].support if self._up else start, term))
        for term in reversed(terms):
            self._down.append(Added(self._down[-1].support if self._down else start, term))
        self._down.reverse()
        self._across = [
            Added(up.one, down.one) for up, down in zip(self._up, self._down, strict=True)
        ]  # what is before a term, and what is behind it
        self.support, self.rests = self._up[-1].support, [across.support for across in self._across]
        self._down[0].support  # noqa: B018 (every table is made now, or refused)

    def sums(self, ring: Ring, terms: Sequence[Weights]) -> Sums:
        """All sums."""
        before, behind = [np.full(1, ring.one)], [np.full(1, ring.one)]
        for added, x in zip(self._up, terms, strict=True):
            before.append(added.forward(ring, before[-1], x))
        for added, x in zip(self._down[::-1], terms[::-1], strict=True):
            behind.append(added.forward(ring, behind[-1], x))
        behind.reverse()
        rests = [
            across.forward(ring, one, two)
            for across, one, two in zip(self._across, before[:-1], behind[1:], strict=True)
        ]
        return Sums(before, behind, rests)

    def outward(
        self, ring: Ring, terms: Sequence[Weights], sums: Sums, to_all: Weights, to_rests: Sequence[Weights]
    ) -> list[Weights]:
        """What is left to each term, given what is left to the sum of all and to those of all but each one."""
        count = len(terms)
        to_before = [
            across.to_one(ring, outside, behind)
            for across, outside, behind in zip(self._across, to_rests, sums.behind[1:], strict=True)
        ]
        to_behind = [
            across.to_two(ring, outside, before)
            for across, outside, before in zip(self._across, to_rests, sums.before[:-1], strict=True)
        ]
        left, outside = [], to_all
        for place in range(count - 1, -1, -1):
            left.append(self._up[place].to_two(ring, outside, sums.before[place]))
            outside = ring.plus(to_before[place], self._up[place].to_one(ring, outside, terms[place]))
        left.reverse()
        outside = to_behind[0]
        for place in range(1, count):
            left[place] = ring.plus(left[place], self._down[place].to_two(ring, outside, sums.behind[place + 1]))
            outside = ring.plus(to_behind[place], self._down[place].to_one(ring, outside, terms[place]))
        return left

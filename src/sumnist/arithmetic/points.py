"""The sum of independent terms that have a few values each: candidate lists.

Equal partial sums are merged, exactly, so that there are no more states than there must be. As in a convolution, the
partial sums are a chain that is gone through forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import found, narrow
from sumnist.arithmetic.semiring import Add, Array, Choose, host, library, like, picked, take
from sumnist.errors import NumberError

__all__ = ["STATES", "PartialSums", "Points", "limited"]

Points = tuple[NDArray[Any], Array]
"""Values `[n]` and their log-probabilities `[n, *batch]`."""
STATES = 2**24
"""The most states that are looked at, for each entry of a batch."""


def limited(states: int, what: str, mend: str) -> None:
    """Raises `NumberError` if there are too many states."""
    if states > STATES:
        raise NumberError(f"{what} would be {states:,}: expected at most {STATES:,}; {mend}")


class PartialSums:
    """The distribution of a sum of terms with few values.

    Attributes:
        points: The sums of the last 0, 1, 2, … terms, ascending: `[E]`.
        running: Their log-probabilities `[E, *batch]`.
        pairs: For each partial sum and each value of the next term, which sum they make: `[E, n]`.
    """

    def __init__(self, terms: Sequence[Points], add: Add, reference: Array) -> None:
        self.terms, self.add = list(terms)[::-1], add
        self.points = [np.zeros(1, np.int64)]
        self.running = [like(reference, np.zeros((1, *(1 for _ in reference.shape[1:]))))]
        self.pairs = []
        for values, x in self.terms:
            shape = len(self.points[-1]), len(values)
            limited(shape[0] * shape[1], "Partial sums of candidates", "give fewer candidates for each number")
            sums, pairs = np.unique(narrow(np.asarray(self.points[-1][:, None] + values)), return_inverse=True)
            self.points.append(sums)
            self.pairs.append(pairs.reshape(shape))
            both = self.running[-1][:, None] + x
            both = library(both).reshape(both, (shape[0] * shape[1], *both.shape[2:]))
            self.running.append(merged(both, pairs.reshape(-1), add))

    def outward(self, outside: Array) -> list[Array]:
        """What is left to each term, `[n, *batch]`, given what is left to the sum, `[E, *batch]`."""
        left = []
        for (_, x), pairs, before in zip(self.terms[::-1], self.pairs[::-1], self.running[-2::-1], strict=True):
            here = take(outside, pairs)
            left.append(self.add(here + before[:, None], 0))
            outside = self.add(here + x, 1)
        return left

    def split(self, index: NDArray[np.int64], choose: Choose) -> list[NDArray[np.int64]]:
        """For the sum at an index `[...]`, which value of each term it has; the first term's is chosen first."""
        chosen = []
        for (values, x), points, before, sums in zip(
            self.terms[::-1], self.points[-2::-1], self.running[-2::-1], self.points[:0:-1], strict=True
        ):
            rest = found(points, sums[index] - values.reshape(-1, *(1 for _ in index.shape)))  # [n, ...]
            one = choose(picked(host(before), rest) + host(x))
            index = np.take_along_axis(rest, one[None], 0)[0]
            chosen.append(one)
        return chosen


def merged(x: Array, group: NDArray[np.int64], add: Add) -> Array:
    """Alternatives `[n, ...]` put together by the group, 0..E − 1, that each is in: `[E, ...]`.

    Groups of up to 1, 2, 4, … members are done together, each filled up with what is impossible.
    """
    order, sizes = np.argsort(group, kind="stable"), np.bincount(group)
    starts, member, parts, places = np.cumsum(sizes) - sizes, np.arange(sizes.max()), [], []
    for width in 2 ** np.arange(int(sizes.max() - 1).bit_length() + 1):
        rows = np.flatnonzero((sizes > width // 2) & (sizes <= width))
        if len(rows):
            among = member[:width, None] < sizes[rows]
            index = order[np.where(among, starts[rows] + member[:width, None], 0)]
            parts.append(add(take(x, np.where(among, index, -1)), 0))
            places.append(rows)
    return take(library(x).concat(parts, axis=0), np.argsort(np.concatenate(places)))

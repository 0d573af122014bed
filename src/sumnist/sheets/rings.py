"""How the weights of alternatives are put together: two operations, and the convolutions made of them.

Messages of a sum are worked out with probabilities, which is fast, while it is safe: each message has a maximum of one,
and `together` refuses products all of which are below `SAFE`. What underflows is then less than 1e-200 of what counts.
Otherwise the same is done with logarithms, in which nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.semiring import IMPOSSIBLE

__all__ = ["LOG_MAX", "LOG_SUM", "PROBABILITIES", "Ring", "Underflow", "Weights"]

Weights = NDArray[np.float64]
SAFE = 1e-100
"""The least probability, beside that of the best values of each message by itself, that is worked on as such."""


class Underflow(Exception):  # noqa: N818
    """Too improbable for a ring: take logarithms; with logarithms, impossible."""


@dataclass(frozen=True)
class Ring:
    """A semiring of weights.

    Attributes:
        plus: Puts alternatives together.
        times: Puts independent parts together.
        zero: The weight of what is impossible.
        one: The weight of what is certain.
        least: Products of which the greatest is no greater are refused.
    """

    plus: np.ufunc
    times: np.ufunc
    zero: float
    one: float
    least: float

    def weights(self, log_weights: Weights) -> Weights:
        """Of this ring, from logarithms."""
        return np.exp(log_weights) if self is PROBABILITIES else log_weights

    def logs(self, weights: Weights) -> Weights:
        """Logarithms of weights of this ring."""
        with np.errstate(divide="ignore"):
            return np.log(weights) if self is PROBABILITIES else weights

    def total(self, x: Weights) -> float:
        """All alternatives together."""
        return float(self.plus.reduce(x, initial=self.zero))

    def others(self, x: Weights) -> Weights:
        """Of each alternative all others together; nothing is subtracted."""
        edge = np.full(1, self.zero)
        before = np.concatenate([edge, self.plus.accumulate(x)[:-1]])
        after = np.concatenate([self.plus.accumulate(x[::-1])[-2::-1], edge])
        return np.asarray(self.plus(before, after))[: len(x)]

    def gathered(self, index: NDArray[np.int64], x: Weights, size: int) -> Weights:
        """The alternatives with each index 0..`size` − 1 together; those with −1 are left out."""
        if self is PROBABILITIES:
            return np.asarray(np.bincount(index + 1, x, size + 1)[1:], np.float64)
        found = np.full(size + 1, self.zero)
        self.plus.at(found, index, x)
        return found[:-1]

    def picked(self, x: Weights, index: NDArray[np.int64]) -> Weights:
        """The weights at an index; what has −1 is impossible."""
        return np.append(x, self.zero)[index]

    def levelled(self, x: Weights) -> tuple[Weights, float]:
        """Weights with a maximum of one, and the logarithm of what it was. Raises `Underflow`."""
        most = x.max()
        if not self.least < most < np.inf:
            raise Underflow
        return (x / most, float(np.log(most))) if self is PROBABILITIES else (x - most, float(most))

    def together(self, one: Weights, two: Weights) -> tuple[Weights, float]:
        """Two levelled messages as one, levelled, and the logarithm of what its maximum was. Raises `Underflow`."""
        return self.levelled(self.times(one, two))

    def convolved(self, one: Weights, two: Weights) -> Weights:
        """The sum of two: `[n + m − 1]`."""
        if self is PROBABILITIES:
            return np.convolve(one, two)
        one, two = (two, one) if len(two) > len(one) else (one, two)
        found = np.full(len(one) + len(two) - 1, self.zero)
        for start, weight in enumerate(two):
            part = found[start : start + len(one)]
            self.plus(part, self.times(one, weight), out=part)
        return found

    def correlated(self, outside: Weights, other: Weights) -> Weights:
        """What is left to one of two terms, given what is left to their sum `[n + m − 1]` and the other one `[m]`."""
        if self is PROBABILITIES:
            return np.correlate(outside, other, "valid")
        count = len(outside) - len(other) + 1
        if count < len(other):
            rows = [self.total(self.times(outside[start : start + len(other)], other)) for start in range(count)]
            return np.array(rows)
        found = np.full(count, self.zero)
        for start, weight in enumerate(other):
            self.plus(found, self.times(outside[start : start + count], weight), out=found)
        return found


PROBABILITIES = Ring(np.add, np.multiply, 0.0, 1.0, SAFE)
LOG_SUM = Ring(np.logaddexp, np.add, IMPOSSIBLE, 0.0, IMPOSSIBLE)
LOG_MAX = Ring(np.maximum, np.add, IMPOSSIBLE, 0.0, IMPOSSIBLE)
"""The most probable alternative counts."""

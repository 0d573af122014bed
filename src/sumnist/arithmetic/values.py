"""Holds the values that a number may have, with their probabilities and the probability of all other values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import EXACT, Known, bare, is_number, whole
from sumnist.arithmetic.sumproduct import IMPOSSIBLE, Array, host, like, limited
from sumnist.arithmetic.sums import FACTOR, TOLERANCE, Added, Kind, Operand
from sumnist.errors import NumberError, briefly

Value = int | Decimal
"""A whole number, or one with decimals."""
DENSE = 0.5
"""A list is added as a range if it has at least this share of the whole numbers between its least and its greatest
value."""
FEW = 32
"""A list with fewer values is not added as a range."""


@dataclass(frozen=True)
class Values(Operand):
    """A distribution over numbers. The probabilities of its values and `other` sum to one.

    `+` and `-` of two `Values`, or with a known number, give the distribution of the result at once; with digits or
    dense integers they make a `Sum`. Operands are independent, so `a + a` is the sum of two numbers with the same
    distribution, and not `2 * a`. `Sum.of(a, b)` keeps the two apart, so that a total says something about each.

    Attributes:
        probabilities: The probability of each listed value, the most probable first.
        other: The probability of all other values together. The true probability of a listed value lies between its
            entry in `probabilities` and that entry plus `other`.

    Raises:
        NumberError: A value is not a number, or the probabilities do not sum to one.

    Examples:
        >>> one = Values({4: 0.75, 9: 0.25}, 0.0)
        >>> (one + 7).probabilities
        {11: 0.75, 16: 0.25}
        >>> (one + one).probabilities
        {8: 0.5625, 13: 0.375, 18: 0.0625}
        >>> (2 * one).probabilities
        {8: 0.75, 18: 0.25}
    """

    probabilities: Mapping[Value, float]
    other: float

    def __post_init__(self) -> None:
        if not isinstance(self.probabilities, Mapping):
            given = briefly(self.probabilities)
            raise NumberError(f"{given} are no probabilities of values: expected a mapping, such as {{7: 0.6, 1: 0.4}}")
        wrong = [value for value in self.probabilities if not is_number(value)]
        if wrong:
            raise NumberError(f"{briefly(wrong[0])} is a value of a distribution: expected whole numbers and Decimals")
        shares = [*self.probabilities.values(), self.other]
        are_numbers = all(isinstance(share, float | int | np.floating | np.integer) for share in shares)
        if not (are_numbers and min(shares) >= 0 and max(shares) < 2 and abs(sum(shares) - 1) < TOLERANCE):
            given, other = briefly(dict(self.probabilities)), briefly(self.other)
            raise NumberError(f"{given}, and {other} for all others: expected probabilities that sum to one")

    @property
    def mode(self) -> Value | None:
        """The most probable of the listed values; None if there are none."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default=None)

    def spread(self, first: int, last: int) -> Values:
        """The distribution with `other` spread evenly over the whole numbers in `first`..`last` that are not listed.

        Raises:
            NumberError: All these numbers are listed, or there are more than `sumproduct.STATES`.
        """
        first, last = whole(first, "the first of a range"), whole(last, "the last of a range")
        if not self.other:
            return self
        limited(last - first + 1, "Values", "spread over fewer")
        new = [value for value in range(first, last + 1) if value not in self.probabilities]
        if not new:
            raise NumberError(
                f"No value is left in {briefly(first)}..{briefly(last)}: expected a range of more than the candidates"
            )
        return ordered({**self.probabilities, **dict.fromkeys(new, self.other / len(new))}, 0.0)

    # As an operand.

    @cached_property
    def ascending(self) -> list[Value]:
        """The listed values, ascending. If there are none, a zero with probability 0."""
        return sorted(self.probabilities) or [0]

    @cached_property
    def index(self) -> NDArray[np.int64] | None:
        """For values that are added as a range, the distance of each one from the least; otherwise None."""
        first, last, count = self.ascending[0], self.ascending[-1], len(self.ascending)
        if count < FEW or last - first > count / DENSE or not all(isinstance(one, int) for one in self.ascending):
            return None
        return np.array([one - first for one in self.ascending], np.int64)

    @property
    def kind(self) -> Kind:
        """The kind is "ranges" if the values are added as a range (`DENSE`, `FEW`), else "points"."""
        return "points" if self.index is None else "ranges"

    @property
    def support(self) -> Known:
        """All values; for a range, only the least one."""
        return Known.of(self.ascending if self.index is None else self.ascending[0])

    def laid(self, reference: Array, rank: int, positions: int) -> Array:
        """Log-probabilities `[n, 1, …]`, with `rank` axes of length 1, in the library and type of `reference`."""
        shares = np.array([self.probabilities.get(value, 0.0) for value in self.ascending])
        with np.errstate(divide="ignore"):
            x = np.log(shares)
        if self.index is not None:
            x, known = np.full(int(self.index[-1]) + 1, IMPOSSIBLE), x
            x[self.index] = known
        return like(reference, x.reshape(-1, *(1 for _ in range(rank))))

    def given(self, log_probs: Array, other: Array | float) -> Any:
        """The same values with log-probabilities `[n, *batch]`: one distribution, or an array of them."""
        shares = np.exp(host(log_probs))
        shares = shares if self.index is None else shares[self.index]
        found = np.empty(shares.shape[1:], object)
        others = np.broadcast_to(host(other), found.shape)
        for entry in np.ndindex(found.shape):
            known = zip(self.ascending, shares[:, *entry].tolist(), strict=True) if self.probabilities else ()
            found[entry] = ordered(dict(known), float(others[entry]))
        return bare(found)

    def chosen(self, index: NDArray[np.int64]) -> Any:
        """The values at these indices: a single one, or an array of Python's numbers."""
        index = index if self.index is None else np.searchsorted(self.index, index)
        return bare(np.asarray(np.array(self.ascending, object)[index], object))

    # Sums.

    def __mul__(self, factor: int) -> Values:
        factor = whole(factor, FACTOR)
        if not factor:
            return Values({0: 1.0}, 0.0)
        products = {
            value * factor if isinstance(value, int) else EXACT.multiply(value, factor): share
            for value, share in self.probabilities.items()
        }
        return Values(products, self.other)

    def _added(self, *terms: tuple[int, Any]) -> Any:
        both = [values_of(one) for _, one in terms]
        if None in both:
            return super()._added(*terms)
        first, second = (one * step for one, (step, _) in zip(both, terms, strict=True) if one is not None)
        limited(len(first.probabilities) * len(second.probabilities), "Sums of two values", "give fewer candidates")
        sums: dict[Value, float] = {}
        for one, its in first.probabilities.items():
            for two, others in second.probabilities.items():
                total = plus(one, two)
                sums[total] = sums.get(total, 0.0) + its * others
        return ordered(sums, first.other + second.other - first.other * second.other)


def ordered(probabilities: Mapping[Value, float], other: float) -> Values:
    """A distribution whose values are ordered, the most probable first."""
    return Values(dict(sorted(probabilities.items(), key=lambda pair: -pair[1])), other)


def plus(one: Value, two: Value) -> Value:
    """The exact sum of two values."""
    return one + two if isinstance(one, int) and isinstance(two, int) else EXACT.add(one, two)


def values_of(number: Any) -> Values | None:
    """A known number, or an object with `values`, as `Values`. None for an array or another operand. Raises
    `NumberError`."""
    if isinstance(values := getattr(number, "values", number), Values):
        return values
    if isinstance(number, Added | list | tuple) or getattr(number, "ndim", False):
        return None
    known = Known.of(number)
    return Values({number if isinstance(number, Decimal) else known.units.item(): 1.0}, 0.0)


def plain(value: Value | None) -> int | str | None:
    """A value for JSON: a Decimal becomes text."""
    return f"{value:f}" if isinstance(value, Decimal) else value

"""A few values with their probabilities, and the probability of all others: what reading a number gives.

Two such numbers are independent of each other, so `a + a` is the sum of two that are written alike, not twice one.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

from sumnist.errors import NumberError

__all__ = ["Value", "Values", "plain", "plus"]

Value = int | Decimal
EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Decimals are added to their last digit; Python alone rounds to 28."""


@dataclass(frozen=True)
class Values:
    """A distribution over numbers. The probabilities of its values and `other` sum to one.

    Attributes:
        probabilities: Of each value that is known, the most probable one first.
        other: Of all other values together: a value's own probability is at least what `probabilities` has, and at most
            that and `other`.

    Example:
        >>> one = Values({4: 0.75, 9: 0.25}, 0.0)
        >>> (one + 7).probabilities
        {11: 0.75, 16: 0.25}
        >>> (one + one).probabilities
        {8: 0.5625, 13: 0.375, 18: 0.0625}
    """

    probabilities: Mapping[Value, float]
    other: float

    @property
    def mode(self) -> Value | None:
        """The most probable value that is known; None if none is."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default=None)

    def __add__(self, other: Any) -> Values:
        """The distribution of the sum with a number, or with another, independent distribution."""
        added = values_of(other)
        sums: dict[Value, float] = {}
        for one, its in self.probabilities.items():
            for two, others in added.probabilities.items():
                total = plus(one, two)
                sums[total] = sums.get(total, 0.0) + its * others
        known = dict(sorted(sums.items(), key=lambda pair: -pair[1]))
        return Values(known, self.other + added.other - self.other * added.other)

    __radd__ = __add__


def plus(one: Value, two: Value) -> Value:
    """The sum, exactly."""
    return one + two if isinstance(one, int) and isinstance(two, int) else EXACT.add(one, two)


def values_of(number: Any) -> Values:
    """A number, or what has a distribution of its own, as one. Raises `NumberError`."""
    if isinstance(number, Values):
        return number
    if hasattr(number, "values") and isinstance(number.values, Values):
        return number.values
    if isinstance(number, int | Decimal) and not isinstance(number, bool):
        return Values({number: 1.0}, 0.0)
    raise NumberError(f"{reprlib.repr(number)} cannot be added: expected a whole number, a Decimal or another reading")


def plain(value: Value | None) -> int | str | None:
    """A value as `json` writes it."""
    return f"{value:f}" if isinstance(value, Decimal) else value

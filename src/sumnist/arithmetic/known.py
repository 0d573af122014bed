"""Holds known numbers of any size exactly, as arrays of whole numbers, and converts them from and to digits.

The arrays are int64, or arrays of Python's integers if one number is too large. Decimals are counted in units of their
last place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import NumberError, briefly

EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""A context that adds Decimals exactly; Python's default rounds to 28 digits."""
SAFE = 2**62
"""If the absolute values of all numbers are below this, they are int64: the sum of two of them still fits."""
MOST = 2**22
"""The most numbers of a range that are listed."""
Support = range | NDArray[Any]
"""The possible values of a number: a range, or an array of distinct points."""


def narrow(numbers: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as int64 if all of them are below `SAFE`, else as Python's integers."""
    small = numbers.size == 0 or (numbers.min() > -SAFE and numbers.max() < SAFE)
    return numbers.astype(np.int64 if small else object)


def is_number(one: Any) -> bool:
    """Whether `one` is a whole number or a finite Decimal."""
    if isinstance(one, Decimal):
        return one.is_finite()
    return isinstance(one, int | np.integer) and not isinstance(one, bool)


def whole(given: Any, what: str, least: int | None = None, most: int | None = None) -> int:
    """A whole number as Python's integer. Raises `NumberError` if it is none, or not in `least`..`most`; `what` names
    it."""
    is_whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if not is_whole or (least is not None and given < least) or (most is not None and given > most):
        expected = "a whole number" if least is None else f"a whole number from {least} on"
        expected += "" if most is None else f", at most {most:,}"
        raise NumberError(f"{briefly(given)} was given as {what}: expected {expected}")
    return int(given)


@dataclass(frozen=True)
class Known:
    """Known numbers: `units` `[...]` times 10^−`places`."""

    units: NDArray[Any]
    places: int = 0

    @classmethod
    def of(cls, given: Any) -> Known:
        """Convert an integer, a Decimal, or integers or Decimals in an array of NumPy or torch or in nested lists.

        Raises:
            NumberError: `given` is something else.
        """
        if hasattr(given, "detach"):
            given = np.asarray(given.detach().cpu())
        if isinstance(given, range) and len(given) > MOST:
            raise NumberError(f"{len(given):,} numbers were given: expected at most {MOST:,}; give fewer")
        numbers = np.asarray(given) if isinstance(given, np.ndarray | np.generic) else np.array(given, dtype=object)
        if numbers.dtype.kind in "iu":
            return cls(narrow(numbers))
        flat = numbers.ravel().tolist()
        if not all(is_number(one) for one in flat):
            wrong = next(one for one in flat if not is_number(one))
            raise NumberError(
                f"{briefly(wrong)} cannot be added: expected a whole number, a Decimal or another reading"
            )
        if not any(isinstance(one, Decimal) for one in flat):
            return cls(narrow(np.array([int(one) for one in flat], object).reshape(numbers.shape)))
        decimals = [one if isinstance(one, Decimal) else Decimal(int(one)) for one in flat]
        places = max([0, *(-int(one.as_tuple().exponent) for one in decimals)])
        units = np.array([int(EXACT.scaleb(one, places)) for one in decimals], object)
        return cls(narrow(units.reshape(numbers.shape)), places)

    @property
    def numbers(self) -> Any:
        """The numbers: integers, or Decimals if there are decimal places. An array of them, or a single number if there
        are no axes."""
        if self.places:
            units = np.frompyfunc(lambda one: EXACT.scaleb(Decimal(one), -self.places), 1, 1)(self.units.astype(object))
            return bare(np.asarray(units))
        return bare(self.units)

    def at(self, places: int) -> NDArray[Any]:
        """The numbers in units of 10^−`places`. `places` must be at least the number of their places."""
        if places == self.places:
            return self.units
        return narrow(np.asarray(self.units.astype(object) * 10 ** (places - self.places)))

    def plus(self, other: Known, factor: int = 1) -> Known:
        """These numbers plus `factor` times the other ones. Raises `NumberError` if their shapes do not fit."""
        if other is NOTHING:
            return self
        together((self.units.shape, other.units.shape))
        places = max(self.places, other.places)
        more = other.at(places) if factor == 1 else np.asarray(other.at(places).astype(object) * factor)
        return Known(narrow(np.asarray(self.at(places) + narrow(more))), places)


def together(shapes: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The common batch shape of arrays with these shapes. Raises `NumberError` if they do not fit together."""
    shapes = list(shapes)
    distinct = {shape for shape in shapes if shape}
    if len(distinct) < 2:  # np.broadcast_shapes makes arrays of these shapes, which takes a while
        return next(iter(distinct), ())
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        given = " and ".join(str(list(shape)) for shape in dict.fromkeys(shapes) if shape)
        raise NumberError(f"Batches of {given} do not fit together: expected equal shapes, or lengths of one") from None


def bare(numbers: NDArray[Any]) -> Any:
    """The array itself, or, if it has no axes, its only number."""
    return numbers if numbers.ndim else numbers.item()


NOTHING = Known(np.zeros((), np.int64))
"""Zero."""


def points_of(support: Support) -> NDArray[Any]:
    """The numbers of a support."""
    if isinstance(support, range):
        return np.arange(support.start, support.stop, support.step)
    return support


def found(support: Support, values: NDArray[Any]) -> NDArray[np.int64]:
    """The index of each value in a range without gaps, or among ascending points; −1 where it is missing."""
    if isinstance(support, range):
        inside = (values >= support.start) & (values < support.stop)
        index = np.asarray(np.where(inside, values, support.start) - support.start).astype(np.int64)
        return np.where(inside, index, -1)
    support = support.astype(object) if values.dtype == object else support  # else large values overflow
    index = np.minimum(np.searchsorted(support, values), len(support) - 1)
    return np.where(support[index] == values, index, -1).astype(np.int64)


def columns(numbers: NDArray[Any], base: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The last `count` digits of numbers `[...]`, and the part above these digits.

    The digits are `[count, ...]`, the least significant first. For a negative number, the part above is negative and
    the digits are not: −3 = 7 − 1 · 10.
    """
    digits = np.empty((count, *numbers.shape), np.int64)
    for position in range(count):
        digits[position] = numbers % base
        numbers = numbers // base
    return digits, np.asarray(np.clip(numbers, -SAFE, SAFE)).astype(np.int64)


def numeral(digits: Any, base: int = 10) -> NDArray[Any]:
    """Make numbers from their digits. The numbers may have any length, even one that is too large for an int64.

    Args:
        digits: `[..., L]`, the most significant first.
        base: The base of the digits.

    Returns:
        `[...]`, int64, or Python's integers if one is too large.

    Raises:
        NumberError: A digit is not in 0..base − 1, or there are no digits.

    Examples:
        >>> numeral([[0, 4, 2], [1, 0, 0]])
        array([ 42, 100])
        >>> int(numeral([9] * 25))
        9999999999999999999999999
    """
    given, base = Known.of(digits), whole(base, "a base", 2, SAFE)
    units = given.units
    if (
        given.places
        or not units.ndim
        or not units.shape[-1]
        or (units.size and not (units.min() >= 0 and units.max() < base))
    ):
        raise NumberError(f"{briefly(digits)} are not digits: expected 0..{base - 1} in an array [..., L]")
    numbers = np.zeros(units.shape[:-1], object)
    for digit in np.moveaxis(units.astype(object), -1, 0):
        numbers = numbers * base + digit
    return narrow(np.asarray(numbers, object))

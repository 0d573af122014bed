"""Known whole numbers of any size, as arrays: from what a caller gives, and to digits."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import NumberError

__all__ = ["columns", "minus", "numeral", "whole"]

SAFE = 2**62
"""Numbers up to here are int64, and the sum of two still is; larger ones are Python's own, in arrays of objects."""


def whole(given: Any) -> NDArray[Any]:
    """Whole numbers as an array of int64, or of Python's own if one is too large.

    Args:
        given: An integer, or integers in an array of NumPy or torch or in nested lists.

    Raises:
        NumberError: It is not whole numbers.
    """
    if hasattr(given, "detach"):
        given = given.detach().cpu()
    try:
        numbers = np.asarray(given)
    except ValueError:
        numbers = np.asarray(None)
    if numbers.dtype == object and all(isinstance(one, int) for one in numbers.ravel().tolist()):
        return numbers
    if numbers.dtype.kind not in "iu":
        raise NumberError(f"{reprlib.repr(given)} is not a whole number: expected an integer, or an array of integers")
    return narrow(numbers.astype(object)) if numbers.dtype == np.uint64 else numbers.astype(np.int64)


def narrow(numbers: NDArray[Any]) -> NDArray[Any]:
    """As int64, if all of them are small enough."""
    small = numbers.size == 0 or (numbers.min() > -SAFE and numbers.max() < SAFE)
    return numbers.astype(np.int64 if small else object)


def minus(one: NDArray[Any], two: NDArray[Any]) -> NDArray[Any]:
    """The difference, exactly."""
    one, two = narrow(one), narrow(two)
    return narrow(np.asarray(np.subtract(one, two)))


def fitting(base: int) -> int:
    """How many digits always fit into an int64."""
    return int(np.log2(SAFE) / np.log2(base))


def columns(numbers: NDArray[Any], base: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The last `count` digits `[count, ...]` of numbers `[...]`, the least significant first, and what is left above.

    Of negative numbers, what is left is negative, and the digits are not: −3 = 7 − 1 · 10.
    """
    digits = np.empty((count, *numbers.shape), np.int64)
    length = fitting(base)
    for start in range(0, count, length):
        part = digits[start : start + length]
        low = np.asarray(numbers % base ** len(part)).astype(np.int64)
        numbers = numbers // base ** len(part)
        for position in range(len(part)):
            low, part[position] = np.divmod(low, base)
    return digits, np.asarray(np.clip(numbers, -SAFE, SAFE)).astype(np.int64)


def numeral(digits: Any, base: int = 10) -> NDArray[Any]:
    """Numbers by their digits, of any length: `[..., L]`, the most significant first → `[...]`, for totals past int64.

    Raises:
        NumberError: A digit is not in 0..base − 1.

    Example:
        >>> numeral([[0, 4, 2], [1, 0, 0]])
        array([ 42, 100])
    """
    digits = whole(digits)
    if not digits.ndim or (digits.size and not (digits.min() >= 0 and digits.max() < base)):
        raise NumberError(f"{reprlib.repr(digits)} are not digits: expected 0..{base - 1} in an array [..., L]")
    numbers = np.zeros(digits.shape[:-1], object)
    length = fitting(base)
    for start in range(digits.shape[-1] % length - length, digits.shape[-1], length):
        part = digits[..., max(0, start) : start + length]
        numbers = numbers * base ** part.shape[-1] + part @ base ** np.arange(part.shape[-1])[::-1]
    return narrow(np.asarray(numbers))

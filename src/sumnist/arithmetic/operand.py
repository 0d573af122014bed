"""What a sum is made of: the common side of its operands, and the check of their log-probabilities."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import Known
from sumnist.arithmetic.semiring import COARSE, IMPOSSIBLE, Array, host, library, plain
from sumnist.errors import NumberError

__all__ = ["TOLERANCE", "Kind", "Operand", "checked", "possible", "whole_factor"]

Kind = Literal["digits", "ranges", "points"]
"""How an operand enters a sum: digit by digit, as dense integers, or as a list of values."""
TOLERANCE = 1e-3
"""Probabilities may sum to so much more or less than one: half precision needs it."""


class Operand(ABC):
    """A random number that is independent of all others.

    Attributes:
        log_probs: Its log-probabilities `[*batch, n]`, of digits `[*batch, N, base]`; None if it has floats only.
        other: The probability of values that nobody knows.
    """

    log_probs: Array = None
    other: float
    __array_ufunc__ = None
    """NumPy leaves `array + operand` to us."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """How it enters a sum."""

    @property
    @abstractmethod
    def support(self) -> Known:
        """Of points all values, of a range the least, of digits zero."""

    @property
    def batch(self) -> tuple[int, ...]:
        """The shape of its batch."""
        if self.log_probs is None:
            return ()
        return tuple(self.log_probs.shape[: -2 if self.kind == "digits" else -1])

    @property
    def beside(self) -> str:
        """The shape of its batch, as `repr` shows it."""
        return f", batch {list(self.batch)}" if self.batch else ""

    @abstractmethod
    def laid(self, reference: Array, rank: int, positions: int) -> Array:
        """Its log-probabilities for a sum, values first: `[n, *batch]`, or `[base, positions, *batch]` of digits."""

    @abstractmethod
    def given(self, log_probs: Array, other: Array | float) -> Any:
        """What it is, by log-probabilities as they are laid, if `other` `[*batch]` may be anywhere."""

    @abstractmethod
    def chosen(self, index: NDArray[np.int64]) -> Any:
        """Its values at indices into what is laid."""


def checked(log_probs: Array, axes: tuple[str, ...]) -> Array:
    """Log-probabilities `[..., *axes]`, if they are; those of the last axis sum to one. Raises `NumberError`."""
    shape = f"[..., {', '.join(axes)}]"
    try:
        xp = library(log_probs)
    except TypeError:
        given = reprlib.repr(log_probs)
        raise NumberError(f"{given} are no log-probabilities: expected an array {shape} of NumPy or torch") from None
    sizes = log_probs.shape[-len(axes) :]
    if len(sizes) < len(axes) or 0 in sizes or not xp.isdtype(log_probs.dtype, "real floating"):
        given = f"{log_probs.dtype} {list(log_probs.shape)}"
        raise NumberError(f"{given} are no log-probabilities: expected floating-point numbers {shape}")
    x = plain(log_probs.detach() if hasattr(log_probs, "detach") else log_probs)
    rounding = float(library(x).finfo(x.dtype).eps)
    x, tolerance = (x.float(), 4 * rounding) if rounding > COARSE else (x, TOLERANCE)
    sums = library(x).exp(library(x).clip(x, max=1.0)).sum(-1)  # so that nothing overflows
    if not bool((abs(sums - 1) < tolerance).all()):
        wrong = host(sums)[~(np.abs(host(sums) - 1) < tolerance)][0]
        raise NumberError(
            f"Log-probabilities {shape} of probabilities that sum to {wrong:.6g}: expected a sum of one along the last "
            "axis; of a network's outputs, take log_softmax"
        )
    return log_probs


def whole_factor(factor: Any) -> int:
    """A whole number to multiply by. Raises `NumberError`."""
    if isinstance(factor, bool) or not isinstance(factor, int | np.integer):
        raise NumberError(f"A distribution cannot be multiplied by {reprlib.repr(factor)}: expected a whole number")
    return int(factor)


def possible(log_prob: Array, what: str) -> None:
    """Raises `NumberError` if a log-probability `[...]` is −inf, and says which of the batch."""
    wrong = np.argwhere(host(log_prob) == IMPOSSIBLE)
    if len(wrong):
        where = f" in entry {wrong[0].tolist()} of the batch" if wrong.shape[1] else ""
        raise NumberError(f"{what} is impossible{where}: expected one whose log_prob is more than −inf")

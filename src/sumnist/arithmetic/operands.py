"""What a sum is made of: the common side of its operands, the check of their log-probabilities, and dense integers."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import Known, bare, narrow
from sumnist.arithmetic.semiring import (
    COARSE,
    IMPOSSIBLE,
    Array,
    batch_first,
    best,
    draws,
    host,
    library,
    like,
    log_sum,
    normalised,
    picked,
    plain,
    values_first,
)
from sumnist.arithmetic.sumproduct import LOG_SUM, stretched
from sumnist.errors import NumberError

__all__ = ["TOLERANCE", "Integers", "Kind", "Operand", "checked", "possible", "whole_factor"]

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


class Integers(Operand):
    """A distribution over `first`, `first` + 1, …, `last`.

    `+`, `-` and `*` with whole numbers, and the sum and difference of two, give the distribution of what comes out, at
    once. The two are independent of each other, so `a + a` is the sum of two draws, and not `2 * a`. With digits or
    candidates they make a `Sum`; `Sum.of(a, b)` makes one of two ranges, too, that can be asked about each of them.

    Args:
        log_probs: `[..., n]`, of NumPy or torch.
        first: The least number.

    Raises:
        NumberError: These are no log-probabilities.

    Examples:
        >>> import numpy as np
        >>> die = Integers(np.log([1 / 6] * 6), first=1)
        >>> (die + die).mode, (2 * die).mode
        (7, 2)
        >>> float(np.exp((die + die).log_prob(3)).round(4)), float(np.exp((2 * die).log_prob(3)))
        (0.0556, 0.0)
    """

    kind: Kind = "ranges"
    other = 0.0

    def __init__(self, log_probs: Array, first: int = 0) -> None:
        self.log_probs, self.first = checked(log_probs, ("n",)), whole_factor(first)

    @classmethod
    def made(cls, laid: Array, first: int) -> Integers:
        """Of log-probabilities `[n, *batch]` that are known to be some, or are lower bounds."""
        new = cls.__new__(cls)
        new.log_probs, new.first = batch_first(laid), first
        return new

    def __repr__(self) -> str:
        return f"Integers({self.first}..{self.last}{self.beside})"

    @property
    def last(self) -> int:
        """The greatest number."""
        return self.first + int(self.log_probs.shape[-1]) - 1

    # As an operand.

    @property
    def support(self) -> Known:
        """The least number."""
        return Known.of(self.first)

    def laid(self, reference: Array = None, rank: int | None = None, positions: int = 0) -> Array:
        """Log-probabilities `[n, *batch]`."""
        return values_first(self.log_probs, len(self.batch) if rank is None else rank)

    def given(self, log_probs: Array, other: Array | float = 0.0) -> Integers:
        """The same numbers with log-probabilities `[n, *batch]`."""
        return Integers.made(log_probs, self.first)

    def chosen(self, index: NDArray[np.int64]) -> Any:
        """The numbers at indices."""
        return bare(narrow(np.asarray(index.astype(object) + self.first)))

    # What is known of it.

    def log_prob(self, value: Any) -> Array:
        """The log-probability of an integer, or of an array of them that fits the batch; −inf out of the range."""
        known = Known.of(value)
        if known.places:
            raise NumberError(f"{value} was asked for: expected whole numbers")
        index = narrow(np.asarray(known.units - self.first))
        rank = max(index.ndim, len(self.batch))
        index = index.reshape((1,) * (rank - index.ndim + 1) + index.shape)
        return picked(self.laid(rank=rank), index)[0]

    @property
    def mode(self) -> Any:
        """The most probable number `[...]`, the least of them if there are several."""
        return self.chosen(np.asarray(best(host(self.laid()))))

    @property
    def mean(self) -> Array:
        """The mean `[...]`."""
        return library(self.log_probs).sum(self.probabilities * self.steps, axis=-1) + self.first

    @property
    def variance(self) -> Array:
        """The variance `[...]`."""
        away = self.steps - (self.mean - self.first)[..., None]
        return library(self.log_probs).sum(self.probabilities * away * away, axis=-1)

    @property
    def entropy(self) -> Array:
        """The entropy `[...]`, in nats."""
        xp, x = library(self.log_probs), self.log_probs
        return -xp.sum(xp.exp(x) * xp.where(x == IMPOSSIBLE, xp.zeros_like(x), x), axis=-1)

    @property
    def probabilities(self) -> Array:
        """The probabilities `[..., n]`."""
        return library(self.log_probs).exp(self.log_probs)

    @property
    def steps(self) -> Array:
        """How far each number is from the first: `[n]`."""
        return like(self.log_probs, np.arange(self.log_probs.shape[-1], dtype=np.float64))

    def sample(self, count: int, random: Any = None) -> NDArray[Any]:
        """Independent draws `[count, ...]`; `random` is a seed or a generator of NumPy."""
        weights = host(self.laid())
        weights = np.broadcast_to(weights[:, None], (len(weights), count, *self.batch))
        return np.asarray(self.chosen(draws(np.random.default_rng(random))(weights)))

    def condition(self, allowed: Iterable[int]) -> Integers:
        """The distribution if the number is one of those allowed. Raises `NumberError` if it cannot be."""
        numbers = set(allowed)
        mask = [0.0 if number in numbers else IMPOSSIBLE for number in range(self.first, self.last + 1)]
        x = self.laid() + like(self.log_probs, np.reshape(mask, (-1, *(1 for _ in self.batch))))
        possible(log_sum(x), "Each of the numbers allowed")
        return self.given(normalised(x))

    # Sums.

    def __add__(self, other: Any) -> Any:
        return self._plus(other, 1)

    def __sub__(self, other: Any) -> Any:
        return self._plus(other, -1)

    __radd__ = __add__

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __neg__(self) -> Integers:
        return self * -1

    def __mul__(self, factor: int) -> Integers:
        factor = whole_factor(factor)
        if not factor:
            return Integers.made(log_sum(self.laid())[None], 0)
        times = stretched([(factor, self.laid())], LOG_SUM)
        return Integers.made(times.all, times.chain.support[0] + factor * self.first)

    __rmul__ = __mul__

    def _plus(self, other: Any, step: int) -> Any:
        if isinstance(other, int | np.integer) and not isinstance(other, bool):
            return Integers.made(self.laid(), self.first + step * int(other))
        if not isinstance(other, Integers):
            return NotImplemented
        rank = max(len(self.batch), len(other.batch))
        both = stretched([(1, self.laid(rank=rank)), (step, other.laid(rank=rank))], LOG_SUM)
        return Integers.made(both.all, both.chain.support[0] + self.first + step * other.first)

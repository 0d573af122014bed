"""Sums of independent terms over a semiring: what the terms say of their sum, and the sum of each term.

A term has a support, all numbers of a range or some points, with weights `[n, ...]`: its values are on the first axis,
what is independent (positions, batch) on the others. Terms are added one after another, and equal partial sums are
merged, exactly, so that there are no more states than there must be. `Sums.backward` goes back through them, from what
is left to the sum (the weight of all else, given the sum) to what is left to each term. Together they are the
forward-backward algorithm, and the derivative of the log-partition. The structure of the sums (`Chain`) is made once
for all weights and semirings, of which there are three:

- `LOG_SUM`: logarithms of probabilities, which are added up;
- `LOG_MAX`: the most probable alternative counts;
- `PROBABILITIES`: fast, and safe as long as each message has a maximum of one and products all of which are below
  `SAFE` are refused. What underflows is then less than 1e-200 of what counts. Of NumPy's arrays `[n]` alone.

Arrays are NumPy's, which has the array API, or PyTorch's and whatever else `array_api_compat` knows; torch itself is
never imported. Each partial sum has its own maximum, so that 1e-300 stays 1e-300 beside 1, and the gradient of what is
impossible is zero.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sumnist.arithmetic.known import Support, found, narrow, points_of
from sumnist.errors import MissingExtraError, NumberError

Array = Any
"""An array of NumPy, PyTorch or another library of the array API."""
Add = Callable[[Array, int], Array]
"""Alternatives along an axis → one log-probability for all of them."""
Choose = Callable[[NDArray[Any]], NDArray[np.int64]]
"""Log-weights of alternatives `[n, ...]` → which one is chosen, `[...]`."""
IMPOSSIBLE = -np.inf
COARSE = 2e-3
"""The distance from 1 to the next number in types that NumPy lacks, such as bfloat16, is greater; single precision is
used for them."""
FEW = 500
"""Elements up to which NumPy's own sum, one call, is faster than whole rows in several."""
ROUNDING = 16
"""Log-probabilities that differ by less than so many roundings are equally probable."""


LIBRARIES: dict[type, Any] = {}
"""By the type of an array; finding out takes longer than most of what is done then."""


def library(x: Array) -> Any:
    """The functions of the array API for an array. Raises `TypeError` if it is none, `MissingExtraError`."""
    if type(x) not in LIBRARIES:
        if isinstance(x, np.ndarray | np.generic):
            LIBRARIES[type(x)] = np
            return np
        if not hasattr(x, "dtype"):
            raise TypeError(type(x))
        try:
            from array_api_compat import array_namespace
        except ModuleNotFoundError as error:
            raise MissingExtraError.of(error, "arithmetic on arrays that are not NumPy's") from error
        LIBRARIES[type(x)] = array_namespace(x)
    return LIBRARIES[type(x)]


def device_of(x: Array) -> Any:
    """Where an array lies."""
    return getattr(x, "device", None)  # NumPy has it from version 2 on


def like(x: Array, values: NDArray[Any]) -> Array:
    """An array of NumPy as one of the library and the device of `x`, and of its type unless it holds whole numbers."""
    dtype = x.dtype if values.dtype.kind == "f" else None
    return library(x).asarray(values, dtype=dtype, device=device_of(x))


def host(x: Array) -> NDArray[Any]:
    """An array as one of NumPy."""
    if not hasattr(x, "detach"):
        return np.asarray(x)
    x = x.detach().cpu()
    return np.asarray(x if library(x).finfo(x.dtype).eps < COARSE else x.float())


def plain(x: Array) -> Array:
    """The same numbers as an array of NumPy, if that takes no copy and nobody asks for a gradient; else `x` itself."""
    if isinstance(x, np.ndarray) or getattr(x, "requires_grad", True):
        return x
    try:
        return x.numpy()
    except (TypeError, RuntimeError):  # on another device, of a type that NumPy lacks, or only traced
        return x


def values_first(x: Array, rank: int) -> Array:
    """`[*batch, n]` as `[n, *batch]`, with a batch of `rank` axes."""
    xp = library(x)
    x = xp.reshape(x, (*(1 for _ in range(rank + 1 - x.ndim)), *x.shape))
    return xp.permute_dims(x, (rank, *range(rank)))


def batch_first(x: Array) -> Array:
    """`[n, *batch]` as `[*batch, n]`."""
    return library(x).permute_dims(x, (*range(1, x.ndim), 0))


# Sums.


def top(x: Array, axis: int | tuple[int, ...]) -> Array:
    """The maximum along axes, which stay with length one; for gradients it is a constant."""
    return library(x).max(x.detach() if hasattr(x, "detach") else x, axis=axis, keepdims=True)


def lifted(x: Array, most: Array) -> Array:
    """`x` minus its maximum, or unchanged where the maximum is −inf."""
    xp = library(x)
    return x - xp.clip(most, min=float(xp.finfo(x.dtype).min))


def log_sum(x: Array, axis: int = 0) -> Array:
    """The logarithm of the sum of the exponentials."""
    if type(x) is np.ndarray and x.size <= FEW and x.shape[axis]:
        return np.logaddexp.reduce(x, axis)
    xp = library(x)
    most = top(x, axis)
    total = xp.sum(xp.exp(lifted(x, most)), axis=axis)
    # The largest term is exp(0), so that a sum is at least one, or there was nothing to add.
    return xp.log(xp.clip(total, min=0.5)) + xp.squeeze(most, axis=axis)


def log_max(x: Array, axis: int = 0) -> Array:
    """The largest."""
    return library(x).max(x, axis=axis)


def max_normalised(x: Array, axes: tuple[int, ...]) -> Array:
    """`x` with the maximum zero along axes: a long product of such weights keeps its precision."""
    return lifted(x, top(x, axes))


def normalised(x: Array) -> Array:
    """Log-weights `[n, ...]` as log-probabilities; −inf stays where all are."""
    x = max_normalised(x, (0,))  # the sum of large ones would be rounded
    return lifted(x, log_sum(x)[None])


# Elements.


def with_impossible(x: Array) -> Array:
    """`x` with one more row, for what is outside of it: `[n, ...]` → `[n + 1, ...]`."""
    none = np.full((1, *x.shape[1:]), IMPOSSIBLE)
    return library(x).concat([x, like(x, none)], axis=0)


def take(x: Array, index: NDArray[np.int64]) -> Array:
    """The rows of `x` `[n, ...]` at an index, −inf where it is not in 0..n − 1: `[*index.shape, ...]`."""
    xp = library(x)
    outside = (index < 0) | (index >= len(x))
    if outside.any():
        index, x = np.where(outside, len(x), index), with_impossible(x)
    rows = xp.take(x, like(x, index.reshape(-1)), axis=0)
    return xp.reshape(rows, (*index.shape, *x.shape[1:]))


def picked(x: Array, index: NDArray[np.int64]) -> Array:
    """Of each column of `x` `[n, ...]` the elements at `index` `[*k, ...]`, −inf where it is not in 0..n − 1.

    The axes behind the first of `x` are the last ones of `index`; lengths of one are repeated in both.
    """
    xp = library(x)
    ahead = index.ndim - x.ndim + 1
    flat = np.where((index < 0) | (index >= len(x)), len(x), index)
    flat = flat.reshape(int(np.prod(index.shape[:ahead])), *index.shape[ahead:])
    found = xp.take_along_axis(with_impossible(x), like(x, flat), axis=0)
    return xp.reshape(found, (*index.shape[:ahead], *found.shape[1:]))


# Choices.


def best(weights: NDArray[Any]) -> NDArray[np.int64]:
    """The first of the most probable alternatives; those that differ by roundings only are equally probable."""
    most = weights.max(0)
    margin = ROUNDING * np.finfo(weights.dtype).eps * np.maximum(1, np.abs(most))
    return np.asarray((weights >= most - np.where(np.isfinite(most), margin, 0)).argmax(0))


def draws(random: np.random.Generator) -> Choose:
    """Chooses at random, by the weights: the greatest after noise with a Gumbel distribution."""
    return lambda weights: np.asarray((weights + random.gumbel(size=weights.shape)).argmax(0))


# Sums of terms.

Weights = NDArray[np.float64]
STATES = 2**24
"""The most states that are looked at, for each entry of a batch."""
NEAR, MANY, DEEPEST = 64, 8, 700.0
"""Sums that are worked on with one maximum; of so many times more, and terms of so many values, it is faster; and how
far below it logarithms may be, so that no exponential of them is rounded to zero."""
BLOCK = 2**18
"""Elements that are worked on at once: few enough for the processor's cache, chosen by measuring."""
SAFE = 1e-100
"""The least probability, beside that of the best values of each message by itself, that is worked on as such."""


class TooManyError(NumberError):
    """There are more states than are looked at."""


class Underflow(Exception):  # noqa: N818
    """Too improbable for a semiring: take logarithms; with logarithms, impossible."""


def limited(states: int, what: str, mend: str, most: int | None = None) -> None:
    """Raises `TooManyError` if there are too many states."""
    most = STATES if most is None else most
    if states > most:
        raise TooManyError(f"{what} would be {states:,}: expected at most {most:,}; {mend}")


def in_blocks(rows: int, size: int) -> Iterator[slice]:
    """0..rows − 1 in blocks, each of as many rows of `size` elements as make up `BLOCK`, but at least of one."""
    count = max(1, BLOCK // max(1, size))
    return (slice(start, min(start + count, rows)) for start in range(0, rows, count))


@dataclass(frozen=True)
class Ring:
    """A semiring of weights.

    Attributes:
        add: Puts alternatives along an axis together.
        plus: Puts two alternatives together.
        times: Puts independent parts together.
        zero: The weight of what is impossible.
        one: The weight of what is certain.
        least: Products of which the greatest is no greater are refused.
        linear: Whether weights are probabilities, and not their logarithms.
    """

    add: Add
    plus: np.ufunc
    times: Callable[[Any, Any], Any]
    zero: float
    one: float
    least: float
    linear: bool

    def weights(self, log_weights: Weights) -> Weights:
        """Weights of this semiring, from logarithms."""
        return np.exp(log_weights) if self.linear else log_weights

    def logs(self, weights: Weights) -> Weights:
        """Logarithms of weights of this semiring."""
        with np.errstate(divide="ignore"):
            return np.log(weights) if self.linear else weights

    def total(self, x: Weights) -> float:
        """All alternatives `[n]` together."""
        return float(self.plus.reduce(x, initial=self.zero))

    def others(self, x: Weights) -> Weights:
        """For each alternative all others together; nothing is subtracted."""
        edge = np.full(1, self.zero)
        before = np.concatenate([edge, self.plus.accumulate(x)[:-1]])
        after = np.concatenate([self.plus.accumulate(x[::-1])[-2::-1], edge])
        return np.asarray(self.plus(before, after))[: len(x)]

    def gathered(self, index: NDArray[np.int64], x: Weights, size: int) -> Weights:
        """The alternatives with each index 0..`size` − 1 together; those with −1 are left out."""
        if self.linear:
            return np.asarray(np.bincount(index + 1, x, size + 1)[1:], np.float64)
        into = np.full(size + 1, self.zero)
        self.plus.at(into, index, x)
        return into[:-1]

    def picked(self, x: Weights, index: NDArray[np.int64]) -> Weights:
        """The weights at an index; what has −1 is impossible."""
        return np.append(x, self.zero)[index]

    def normalised(self, x: Weights) -> tuple[Weights, float]:
        """Weights with a maximum of one, and the logarithm of what it was. Raises `Underflow`."""
        most = x.max()
        if not self.least < most < np.inf:
            raise Underflow
        return (x / most, float(np.log(most))) if self.linear else (x - most, float(most))


LOG_SUM = Ring(log_sum, np.logaddexp, operator.add, IMPOSSIBLE, 0.0, IMPOSSIBLE, linear=False)
LOG_MAX = Ring(log_max, np.maximum, operator.add, IMPOSSIBLE, 0.0, IMPOSSIBLE, linear=False)
PROBABILITIES = Ring(np.add.reduce, np.add, operator.mul, 0.0, 1.0, SAFE, linear=True)


@dataclass(frozen=True)
class Added:
    """Two terms, and the support of their sum.

    Attributes:
        one, two: Their supports: of the first a range without gaps, or points; of the second any range, or points.
        unknown: Stands for a number that is not known, and so for a sum with one.
        states: The most pairs of points, or numbers of a range, that are looked at.
        times: Whether they are multiplied instead; both are then points.
    """

    one: Support
    two: Support
    unknown: int | None = None
    states: int | None = None
    times: bool = False

    @cached_property
    def offsets(self) -> list[int] | None:
        """How far each number of the second is from its least, if both are ranges."""
        if not (isinstance(self.one, range) and isinstance(self.two, range)):
            return None
        return [number - min(self.two[0], self.two[-1]) for number in self.two]

    @cached_property
    def table(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The sums of points, and which of them each pair makes: `[E]` and `[n, m]`. Raises `TooManyError`."""
        shape = len(self.one), len(self.two)
        mend = "give fewer candidates for each number"
        limited(shape[0] * shape[1], "Partial sums of candidates", mend, self.states)
        one, two = points_of(self.one)[:, None], points_of(self.two)
        sums = narrow(np.asarray(one * two if self.times else one + two))
        if self.unknown is not None:
            sums = np.where((one == self.unknown) | (two == self.unknown), self.unknown, sums)
        made, pairs = np.unique(sums, return_inverse=True)
        return made, pairs.reshape(shape)

    @cached_property
    def support(self) -> Support:
        """The support of the sum. Raises `TooManyError`."""
        if not (isinstance(self.one, range) and isinstance(self.two, range)):
            return self.table[0]
        ends = self.two[0], self.two[-1]
        first, last = self.one[0] + min(ends), self.one[-1] + max(ends)
        limited(last - first + 1, "Sums of digits or ranges", "multiply them by smaller numbers", self.states)
        return range(first, last + 1)

    def forward(self, ring: Ring, one: Array, two: Array) -> Array:
        """The weights of the sum, `[E, ...]`."""
        if self.offsets is None:
            sums, pairs = self.table
            both = ring.times(one[:, None], two)
            both = library(both).reshape(both, (pairs.size, *both.shape[2:]))
            return ring.gathered(pairs.reshape(-1), both, len(sums)) if ring.linear else merged(both, pairs, ring.add)
        if ring.linear:
            return np.convolve(one, two)
        if len(one) == 1 and self.two == range(len(two)):
            return one + two
        size, margin = len(self.support), max(self.offsets)
        edge = like(one, np.full((margin, *one.shape[1:]), ring.zero))
        padded = library(one).concat([edge, one, edge], axis=0)
        return self.over_two(ring, padded, [margin - offset for offset in self.offsets], size, two)

    def to_one(self, ring: Ring, outside: Array, two: Array) -> Array:
        """What is left to the first term, given what is left to the sum."""
        if self.offsets is None:
            return ring.add(ring.times(take(outside, self.table[1]), two), 1)
        if ring.linear:
            return np.correlate(outside, two, "valid")
        return self.over_two(ring, outside, self.offsets, len(self.one), two)

    def over_two(self, ring: Ring, x: Array, offsets: list[int], size: int, two: Array) -> Array:
        """For each of `size` numbers all values of the second term together, at offsets in `x`."""
        xp, whole = library(x), None
        if ring is LOG_SUM and (fast := convolved(x, offsets, size, two)) is not None:
            return fast
        for block in in_blocks(len(offsets), size * prod(x.shape[1:])):
            rows = xp.stack([x[offset : offset + size] for offset in offsets[block]])
            part = ring.add(rows + two[block, None], 0)
            whole = part if whole is None else ring.add(xp.stack([whole, part]), 0)
        return whole

    def to_two(self, ring: Ring, outside: Array, one: Array) -> Array:
        """What is left to the second term, given what is left to the sum."""
        if self.offsets is None:
            return ring.add(ring.times(take(outside, self.table[1]), one[:, None]), 0)
        if ring.linear:
            return np.correlate(outside, one, "valid")
        xp, size, parts = library(outside), len(one), []
        if ring is LOG_SUM and (fast := correlated(outside, self.offsets, one)) is not None:
            return fast
        for block in in_blocks(len(self.offsets), prod(one.shape)):
            rows = xp.stack([outside[offset : offset + size] for offset in self.offsets[block]])
            parts.append(ring.add(rows + one, 1))
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)

    def rests(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """For sums at an index `[...]`, the place of the first term by the second, or −1: `[m, ...]`."""
        sums = points_of(self.support)[index]
        return found(self.one, sums - points_of(self.two).reshape(-1, *(1 for _ in index.shape)))


class Chain:
    """Terms with supports, and those of the sums of the first 0, 1, 2, … of them.

    Args:
        supports: Of the terms.
        unknown, states, times: As of `Added`.

    Raises:
        TooManyError: There are too many partial sums.
    """

    def __init__(
        self, supports: Sequence[Support], unknown: int | None = None, states: int | None = None, times: bool = False
    ) -> None:
        dense = all(isinstance(one, range) for one in supports)
        self.support: Support = range(1) if dense else np.full(1, times, np.int64)
        self.added: list[Added] = []
        for one in supports:
            self.added.append(Added(self.support, one, unknown, states, times))
            self.support = self.added[-1].support


class Sums:
    """Weights of the sums of a chain.

    Attributes:
        running: Those of the first 0, 1, 2, … terms, without the sum of all.
    """

    def __init__(self, chain: Chain, ring: Ring, terms: Sequence[Array], start: Array = None) -> None:
        self.chain, self.ring, self.terms = chain, ring, list(terms)
        self.running = [np.full(1, ring.one) if start is None else start]
        for added, x in zip(chain.added[:-1], self.terms, strict=False):
            self.running.append(added.forward(ring, self.running[-1], x))

    @cached_property
    def all(self) -> Array:
        """The weights of the sum of all terms."""
        if not self.terms:
            return self.running[0]
        return self.chain.added[-1].forward(self.ring, self.running[-1], self.terms[-1])

    def at(self, sums: NDArray[np.int64]) -> Array:
        """The log-weights of some sums of a range `[*k, ...]`; those alone are made, if they are few."""
        added, term = self.chain.added[-1], self.terms[-1]
        ahead = sums.ndim - term.ndim + 1
        if len(self.terms) == 1 or prod(sums.shape[:ahead]) >= len(self.chain.support):
            return picked(self.all, found(self.chain.support, sums))
        rests = found(added.one, sums - points_of(added.two).reshape(-1, *(1 for _ in sums.shape)))
        return self.ring.add(picked(self.running[-1], rests) + term[:, *(None for _ in range(ahead))], 0)

    def backward(self, outside: Array, more: Sequence[Array] | None = None) -> list[Array]:
        """What is left to each term, given what is left to the sum, and by `more` what else to the sums before."""
        left = []
        for place in reversed(range(len(self.terms))):
            added = self.chain.added[place]
            left.append(added.to_two(self.ring, outside, self.running[place]))
            if place:
                outside = added.to_one(self.ring, outside, self.terms[place])
                outside = outside if more is None else self.ring.plus(more[place], outside)
        return left[::-1]

    def split(self, index: NDArray[np.int64], choose: Choose) -> list[NDArray[np.int64]]:
        """For the sum at an index `[...]`, which value of each term it has; the last term's is chosen first."""
        chosen = []
        for added, before, x in zip(self.chain.added[::-1], self.running[::-1], self.terms[::-1], strict=False):
            rests = added.rests(index)
            one = choose(picked(host(before), rests) + host(x))
            index = np.take_along_axis(rests, one[None], 0)[0]
            chosen.append(one)
        return chosen[::-1]


def windows(x: Weights, width: int, count: int) -> tuple[Weights, Weights, float]:
    """Weights from logarithms `[n, *batch]`, in `count` windows `[count, *batch, width]` that begin `NEAR` apart.

    Returns:
        Them with a maximum of one, the logarithm of what it was `[count, *batch, 1]`, and how far below it they reach.
    """
    lacking = np.full((max(0, (count - 1) * NEAR + width - len(x)), *x.shape[1:]), IMPOSSIBLE)
    found = sliding_window_view(np.concatenate([x, lacking]), width, 0)[: count * NEAR : NEAR]
    most = found.max(-1, keepdims=True)
    found = found - np.maximum(most, np.finfo(x.dtype).min)
    return np.exp(found), most, -float(found.min(initial=0, where=found > IMPOSSIBLE))


def convolved(x: Array, offsets: list[int], size: int, two: Array) -> Weights | None:
    """What `Added.over_two` gives of logarithms, by products of what is near each other, of large arrays of NumPy.

    None if these are none, or if products would be rounded to zero.
    """
    if not (isinstance(x, np.ndarray) and isinstance(two, np.ndarray)) or min(size // NEAR, len(offsets)) < MANY:
        return None
    near, most, depth = windows(x, max(offsets) + NEAR, -(-size // NEAR))
    if depth - float(two.min(initial=0, where=two > IMPOSSIBLE)) > DEEPEST:
        return None
    total = sum(near[..., o : o + NEAR] * share[..., None] for o, share in zip(offsets, np.exp(two), strict=True))
    with np.errstate(divide="ignore"):
        return np.asarray(np.moveaxis(np.log(total) + most, -1, 1).reshape(-1, *total.shape[1:-1])[:size])


def correlated(outside: Array, offsets: list[int], one: Array) -> Weights | None:
    """What `Added.to_two` gives of logarithms, in the same way; or None."""
    if not (isinstance(outside, np.ndarray) and isinstance(one, np.ndarray)) or len(one) // NEAR < MANY:
        return None
    count = -(-len(one) // NEAR)
    near, most, depth = windows(outside, max(offsets) + NEAR, count)
    own, its, deep = windows(one, NEAR, count)
    if depth + deep > DEEPEST:
        return None
    total = np.stack([(near[..., offset : offset + NEAR] * own).sum(-1) for offset in offsets])
    with np.errstate(divide="ignore"):
        return np.asarray(log_sum(np.log(total) + (most + its)[..., 0], 1))


def stretched(terms: Sequence[tuple[int, Array]], ring: Ring, check: Callable[[range], object] = len) -> Sums:
    """The sum of `step · x` with weights of x = 0..n − 1, `[n, ...]`, the first term last.

    Before anything is worked out `check` may refuse the range of the sum.
    """
    terms = terms[::-1]
    start = like(terms[0][1], np.zeros((1,) * terms[0][1].ndim))
    chain = Chain([range(0, step * len(x), step) for step, x in terms])
    assert isinstance(chain.support, range)
    check(chain.support)
    return Sums(chain, ring, [x for _, x in terms], start)


def merged(x: Array, group: NDArray[np.int64], add: Add) -> Array:
    """Alternatives `[n, ...]` put together by the group, 0..E − 1, that each is in: `[E, ...]`.

    Groups of up to 1, 2, 4, … members are done together, each filled up with what is impossible.
    """
    group = group.reshape(-1)
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

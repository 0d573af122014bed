"""Adds independent terms over a semiring: forward to the weights of their sum, backward to the weights of each term.

A term has a support, which is a range or some points, with weights `[n, ...]`: its values are on the first axis,
independent entries (positions, batch) on the others. Terms are added one after another, and equal partial sums are
merged, exactly, so that there are as few states as possible. `Sums.backward` goes back through the terms, from the
outside weights of the sum to the outside weights of each term. The outside weight of a value is the weight of
everything else, given that value. Together this is the forward-backward algorithm, and the derivative of the
log-partition function. The structure of the sums (`Chain`) is made once for all weights and semirings. There are three
semirings:

- `LOG_SUM`: logarithms of probabilities; alternatives are added up;
- `LOG_MAX`: logarithms of probabilities; only the most probable alternative counts;
- `PROBABILITIES`: probabilities, in NumPy's arrays `[n]` only. It is fast. It is safe as long as each message has a
  maximum of one, and a product is refused if all its entries are below `SAFE`: a weight that underflows is then less
  than 1e-200 of the weights that count.

Arrays are NumPy's, which has the array API, or those of PyTorch and other libraries that `array_api_compat` knows; this
module never imports torch. Each partial sum has its own maximum, so that 1e-300 stays 1e-300 beside 1. The gradient of
an impossible value is zero.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
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
"""Types whose distance from 1 to the next number is greater, such as bfloat16, are missing in NumPy; single precision
is used for them."""
ROUNDING = 16
"""Log-probabilities that differ by less than this many roundings count as equal."""


LIBRARIES: dict[type, Any] = {}
"""The library of each type of array; finding it takes longer than most computations with it."""


def library(x: Array) -> Any:
    """The functions of the array API for an array. Raises `TypeError` if `x` is not an array, and
    `MissingExtraError`."""
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
    """The device of an array."""
    return getattr(x, "device", None)  # NumPy has it from version 2 on


def like(x: Array, values: NDArray[Any]) -> Array:
    """A NumPy array converted to the library and the device of `x`, and to its type unless it holds whole numbers."""
    dtype = x.dtype if values.dtype.kind == "f" else None
    return library(x).asarray(values, dtype=dtype, device=device_of(x))


def host(x: Array) -> NDArray[Any]:
    """An array converted to NumPy."""
    if not hasattr(x, "detach"):
        return np.asarray(x)
    x = x.detach().cpu()
    return np.asarray(x if library(x).finfo(x.dtype).eps < COARSE else x.float())


def values_first(x: Array, rank: int) -> Array:
    """`[*batch, n]` as `[n, *batch]`, with a batch of `rank` axes."""
    xp = library(x)
    x = xp.reshape(x, (*(1 for _ in range(rank + 1 - x.ndim)), *x.shape))
    return xp.permute_dims(x, (rank, *range(rank)))


def batch_first(x: Array) -> Array:
    """`[n, *batch]` as `[*batch, n]`."""
    return library(x).permute_dims(x, (*range(1, x.ndim), 0)) if x.ndim > 1 else x


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
    xp = library(x)
    most = top(x, axis)
    total = xp.sum(xp.exp(lifted(x, most)), axis=axis)
    # The largest term is exp(0), so a sum is at least one, unless all its terms are impossible.
    return xp.log(xp.clip(total, min=0.5)) + xp.squeeze(most, axis=axis)


def log_max(x: Array, axis: int = 0) -> Array:
    """The largest of the alternatives."""
    return library(x).max(x, axis=axis)


def max_normalised(x: Array, axes: tuple[int, ...]) -> Array:
    """`x` shifted to a maximum of zero along axes, so that a long product of weights keeps its precision."""
    return lifted(x, top(x, axes))


def normalised(x: Array) -> Array:
    """Log-weights `[n, ...]` as log-probabilities; where all are −inf, they stay −inf."""
    x = max_normalised(x, (0,))  # the sum of large log-weights would lose precision
    return lifted(x, log_sum(x)[None])


# Elements.


def with_impossible(x: Array) -> Array:
    """`x` with one more row of −inf, for indices outside of it: `[n, ...]` → `[n + 1, ...]`."""
    none = np.full((1, *x.shape[1:]), IMPOSSIBLE)
    return library(x).concat([x, like(x, none)], axis=0)


def take(x: Array, index: NDArray[np.int64]) -> Array:
    """The rows of `x` `[n, ...]` at an index, −inf where the index is not in 0..n − 1: `[*index.shape, ...]`."""
    xp = library(x)
    outside = (index < 0) | (index >= len(x))
    if outside.any():
        index, x = np.where(outside, len(x), index), with_impossible(x)
    rows = xp.take(x, like(x, index.reshape(-1)), axis=0)
    return xp.reshape(rows, (*index.shape, *x.shape[1:]))


def picked(x: Array, index: NDArray[np.int64]) -> Array:
    """The elements of each column of `x` `[n, ...]` at `index` `[*k, ...]`, −inf where the index is not in 0..n − 1.

    The axes of `x` behind its first are the last axes of `index`; lengths of one are broadcast in both.
    """
    xp = library(x)
    ahead = index.ndim - x.ndim + 1
    flat = np.where((index < 0) | (index >= len(x)), len(x), index)
    flat = flat.reshape(int(np.prod(index.shape[:ahead])), *index.shape[ahead:])
    found = xp.take_along_axis(with_impossible(x), like(x, flat), axis=0)
    return xp.reshape(found, (*index.shape[:ahead], *found.shape[1:]))


# Choices.


def best(weights: NDArray[Any]) -> NDArray[np.int64]:
    """The first of the most probable alternatives; alternatives that differ only by rounding are equally probable."""
    most = weights.max(0)
    margin = ROUNDING * np.finfo(weights.dtype).eps * np.maximum(1, np.abs(most))
    return np.asarray((weights >= most - np.where(np.isfinite(most), margin, 0)).argmax(0))


def draws(random: np.random.Generator) -> Choose:
    """A function that chooses at random, by the weights: it adds Gumbel noise and takes the greatest."""
    return lambda weights: np.asarray((weights + random.gumbel(size=weights.shape)).argmax(0))


# Sums of terms.

Weights = NDArray[np.float64]
"""Weights of values, in NumPy."""
STATES = 2**24
"""The most states for each entry of a batch."""
BLOCK = 2**18
"""Elements that are processed at once: few enough for the processor's cache, chosen by measuring."""
SAFE = 1e-100
"""The least probability of a product that `PROBABILITIES` accepts, relative to the best value of each message."""


class TooManyError(NumberError):
    """There are too many states."""


class Underflow(Exception):  # noqa: N818
    """All weights are too small for a semiring: take logarithms. With logarithms, nothing is possible."""


def limited(states: int, what: str, mend: str, most: int | None = None) -> None:
    """Raises `TooManyError` if there are too many states."""
    most = STATES if most is None else most
    if states > most:
        shown = f"{states:,}" if states < 10**30 else f"about 10^{states.bit_length() * 3 // 10}"
        raise TooManyError(f"{what} would be {shown}: expected at most {most:,}; {mend}")


def in_blocks(rows: int, size: int) -> Iterator[slice]:
    """0..rows − 1 in blocks of at most `BLOCK` elements, with `size` elements in a row, but of at least one row."""
    count = max(1, BLOCK // max(1, size))
    return (slice(start, min(start + count, rows)) for start in range(0, rows, count))


@dataclass(frozen=True)
class Ring:
    """A semiring of weights.

    Attributes:
        add: Combines alternatives along an axis.
        plus: Combines two alternatives.
        times: Combines independent parts.
        zero: The weight of the impossible.
        one: The weight of the certain.
        least: Messages whose greatest weight is not above this are refused.
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
        """The weight of all alternatives `[n]` together."""
        return float(self.plus.reduce(x, initial=self.zero))

    def others(self, x: Weights) -> Weights:
        """For each alternative, the weight of all others together, computed without subtraction."""
        edge = np.full(1, self.zero)
        before = np.concatenate([edge, self.plus.accumulate(x)[:-1]])
        after = np.concatenate([self.plus.accumulate(x[::-1])[-2::-1], edge])
        return np.asarray(self.plus(before, after))[: len(x)]

    def gathered(self, index: NDArray[np.int64], x: Weights, size: int) -> Weights:
        """For each index 0..`size` − 1, the weight of all its alternatives together; index −1 is left out."""
        if self.linear:
            return np.asarray(np.bincount(index + 1, x, size + 1)[1:], np.float64)
        into = np.full(size + 1, self.zero)
        self.plus.at(into, index, x)
        return into[:-1]

    def picked(self, x: Weights, index: NDArray[np.int64]) -> Weights:
        """The weights at an index; the index −1 is impossible."""
        return np.append(x, self.zero)[index]

    def normalised(self, x: Weights) -> tuple[Weights, float]:
        """The weights scaled to a maximum of one, and the logarithm of their old maximum. Raises `Underflow`."""
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
        one, two: Their supports. The first is a range without gaps, or points; the second is any range, or points.
        unknown: Stands for an unknown number, and for any sum with one.
        states: The most pairs of points, or numbers of a range.
        times: Whether the terms are multiplied instead of added; both are then points.
    """

    one: Support
    two: Support
    unknown: int | None = None
    states: int | None = None
    times: bool = False

    @cached_property
    def offsets(self) -> range | None:
        """The distance of each number of the second term from its least one, if both terms are ranges."""
        if not (isinstance(self.one, range) and isinstance(self.two, range)):
            return None
        least = min(self.two[0], self.two[-1])
        return range(self.two.start - least, self.two.stop - least, self.two.step)

    @cached_property
    def table(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The distinct sums of points `[E]`, and the index of each pair's sum `[n, m]`. Raises `TooManyError`."""
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
        size, margin = len(self.support), max(self.offsets)
        edge = like(one, np.full((margin, *one.shape[1:]), ring.zero))
        padded = library(one).concat([edge, one, edge], axis=0)
        return self.over_two(ring, padded, self.offsets[::-1], size, two)

    def to_one(self, ring: Ring, outside: Array, two: Array) -> Array:
        """The outside weights of the first term, given those of the sum."""
        if self.offsets is None:
            return ring.add(ring.times(take(outside, self.table[1]), two), 1)
        if ring.linear:
            return np.correlate(outside, two, "valid")
        return self.over_two(ring, outside, self.offsets, len(self.one), two)

    def over_two(self, ring: Ring, x: Array, offsets: range, size: int, two: Array) -> Array:
        """For each of `size` numbers, the weight of all values of the second term together, at offsets in `x`."""
        xp, whole = library(x), None
        for block in in_blocks(len(offsets), size * prod(x.shape[1:])):
            rows = xp.stack([x[offset : offset + size] for offset in offsets[block]])
            part = ring.add(rows + two[block, None], 0)
            whole = part if whole is None else ring.add(xp.stack([whole, part]), 0)
        return whole

    def to_two(self, ring: Ring, outside: Array, one: Array) -> Array:
        """The outside weights of the second term, given those of the sum."""
        if self.offsets is None:
            return ring.add(ring.times(take(outside, self.table[1]), one[:, None]), 0)
        if ring.linear:
            return np.correlate(outside, one, "valid")
        xp, size, parts = library(outside), len(one), []
        for block in in_blocks(len(self.offsets), prod(one.shape)):
            rows = xp.stack([outside[offset : offset + size] for offset in self.offsets[block]])
            parts.append(ring.add(rows + one, 1))
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)

    def rests(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """For sums at an index `[...]` and each value of the second term, the index of the first term's value, or −1:
        `[m, ...]`."""
        sums = np.asarray(points_of(self.support)[index])
        return found(self.one, sums - points_of(self.two).reshape(-1, *(1 for _ in index.shape)))


class Chain:
    """The supports of terms, and of the sums of the first 0, 1, 2, … of them.

    Args:
        supports: The supports of the terms.
        unknown, states, times: As in `Added`.

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
    """The weights of the sums of a chain.

    Attributes:
        running: The weights of the sums of the first 0, 1, 2, … terms, without the sum of all.
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

    def backward(self, outside: Array, more: Sequence[Array] | None = None) -> list[Array]:
        """The outside weights of each term, given those of the sum; `more` are further ones of the running sums."""
        left = []
        for place in reversed(range(len(self.terms))):
            added = self.chain.added[place]
            left.append(added.to_two(self.ring, outside, self.running[place]))
            if place:
                outside = added.to_one(self.ring, outside, self.terms[place])
                outside = outside if more is None else self.ring.plus(more[place], outside)
        return left[::-1]

    def split(self, index: NDArray[np.int64], choose: Choose) -> list[NDArray[np.int64]]:
        """Choose a value of each term for the sum at an index `[...]`: indices; the last term's is chosen first."""
        chosen = []
        for added, before, x in zip(self.chain.added[::-1], self.running[::-1], self.terms[::-1], strict=False):
            rests = added.rests(index)
            one = choose(picked(host(before), rests) + host(x))
            index = np.take_along_axis(rests, one[None], 0)[0]
            chosen.append(one)
        return chosen[::-1]


TRANSFORMED = 8
"""From this many single digits on, `given_total` is faster than `Sums`; chosen by measuring."""


@dataclass(frozen=True)
class Transform:
    """How precisely `given_total` computes."""

    negligible: float = -42.0
    """The logarithm of what is rounded away beside one."""
    likely: float = 1e-4
    """The least probability, among tilted digits, that is precise enough. Digits that make even totals only, for
    example, give an odd one less."""
    turns: int = 50
    """The most steps to find a tilt; a few are usual."""


TRANSFORM = Transform()


def given_total(log_probs: Weights, total: Weights) -> tuple[Weights, Weights, Weights]:
    """How probable the totals of many single digits are, and the digits given them, by a discrete Fourier transform.

    The digits are `tilted` first, so that the total is likely, and not lost in rounding. The sum of many digits varies
    much less than its range, so a period that Bernstein's inequality permits is enough. Most frequencies are
    negligible. The factors of the others are multiplied from both ends: each digit can then be left out without a
    division.

    Args:
        log_probs: Log-probabilities of the digits `[S, K, n]`, in double precision.
        total: The totals `[S]`, likewise.

    Returns:
        The log-probability of each total `[S]`, nan if it is impossible or not precise; the log-probabilities of its
        digits, given the total, `[S, K, n]`; and the least probability that a tilted digit leaves to the others, `[S]`.
        Such probabilities, and those of tilted totals, have errors of a few roundings of one.
    """
    logs, factor, variance = tilted(log_probs, total)
    share, digit = np.exp(logs), np.arange(logs.shape[2])
    bound = -TRANSFORM.negligible * digit[-1] / 3
    reach = bound + np.sqrt(bound**2 - 2 * TRANSFORM.negligible * variance.max())
    period = int(min(logs.shape[1] * digit[-1], np.ceil(reach))) + len(digit)
    wave = np.arange(period // 2 + 1)
    for some in share[:, ::256], share[:, ::16], share:  # a product is negligible if that of some of its factors is
        angle = 2 * np.pi / period * digit[:, None] * wave
        factors = some @ np.cos(angle) + 1j * (some @ np.sin(angle))  # [S, K, F]
        size = np.log(np.maximum(np.abs(factors), np.finfo(np.float64).tiny))
        counts = (size.sum(1) - size.min(1) > TRANSFORM.negligible).any(0)  # whichever digit is left out
        wave, angle, factors = wave[counts], angle[:, counts], factors[..., counts]
    edge = np.ones_like(factors[:, :1])
    before = np.concatenate([edge, factors[:, :-1]], 1).cumprod(1)
    behind = np.concatenate([edge, factors[:, :0:-1]], 1).cumprod(1)[:, ::-1]
    back = -2 * np.pi / period * (wave * total[:, None] % period)
    others = before * behind * np.exp(1j * back)[:, None]
    weight = np.where((wave == 0) | (2 * wave == period), 1.0, 2.0) / period  # most frequencies stand for a pair
    left = others.real @ (weight * np.cos(angle)).T - others.imag @ (weight * np.sin(angle)).T
    likely = (share * left).sum(2).mean(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_prob = np.where(likely > TRANSFORM.likely, np.log(likely) + factor, np.nan)
        posterior = logs + np.log(np.maximum(left / likely[:, None, None], 0))
    return log_prob, posterior, left.min((1, 2), where=share > 0, initial=1)


def tilted(log_probs: Weights, total: Weights) -> tuple[Weights, Weights, Weights]:
    """The log-probabilities of digits `[S, K, n]`, tilted (Esscher, 1932): each probability P(x) is multiplied by
    exp(t · x), and divided by the sum of all, with the t at which the mean of all totals is `total` `[S]`.

    No posterior changes. Also returns what to add to the log-probability of a tilted total, nan if there is no such t,
    and the variance of the totals, `[S]`.
    """
    digit, tilt = np.arange(float(log_probs.shape[2])), np.zeros(len(total))
    for _ in range(TRANSFORM.turns):
        logs = log_probs + tilt[:, None, None] * digit
        whole = log_sum(logs, 2)
        logs = logs - whole[..., None]
        share = np.exp(logs)
        mean = share @ digit
        variance = (share @ digit**2 - mean**2).sum(1)
        away = total - mean.sum(1)
        near = away**2 <= 0.01 * variance + 0.01
        if near.all():
            break
        tilt = tilt + np.where(near, 0, np.clip(away / np.maximum(variance, 1e-6), -1, 1))
    return logs, np.where(near, whole.sum(1) - tilt * total, np.nan), variance


def merged(x: Array, group: NDArray[np.int64], add: Add) -> Array:
    """Combine alternatives `[n, ...]` that are in the same group, 0..E − 1: `[E, ...]`.

    Groups of up to 1, 2, 4, … members are processed together; each is filled up with impossible members.
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

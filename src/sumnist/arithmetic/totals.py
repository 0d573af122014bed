"""All totals of a sum: their distribution, and the most probable of them.

The distribution is made by halves. The low positions have a table of their digits and the carry out of them, the high
ones of their digits and the carries in and out, and each total is a sum over the carry between the two.

The most probable total is a marginal MAP: the maximum over totals of a sum over all digits that make it. It has no
recursion, since the best digit at a position depends on the carry, which is summed over. So totals are searched digit
by digit, from the least significant on. A prefix has a weight for each carry from it, and is left out if another one's
weights are all as large. Of the others the `BEAM` best by a bound are kept, which lets each higher digit be chosen
knowing the carry. If no prefix that was dropped so could beat what was found, that is certain.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.equation import Points, Terms, added_up, carries, listed
from sumnist.arithmetic.known import columns, narrow, points_of
from sumnist.arithmetic.semiring import IMPOSSIBLE, ROUNDING, Array, best, host, library, log_max, log_sum, take
from sumnist.arithmetic.sumproduct import LOG_SUM, Sums, TooManyError, in_blocks, limited, merged, stretched

__all__ = ["MostProbable", "dense_totals", "most_probable"]

BEAM = 128
"""Prefixes of totals that are kept."""
WIDE = 2 * BEAM
"""Prefixes that are compared with each other before."""
MEND = "ask log_prob of single totals, or most_probable_total"


@dataclass(frozen=True)
class MostProbable:
    """The most probable total, as far as it is known.

    Attributes:
        total: The most probable total that was found, `[...]`.
        log_prob: Its log-probability.
        bound: No total has a greater log-probability.
    """

    total: Any
    log_prob: NDArray[np.float64]
    bound: NDArray[np.float64]

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Whether no other total is more probable, up to roundings: `[...]`."""
        margin = ROUNDING * np.finfo(np.float64).eps * np.maximum(1, np.abs(self.log_prob))
        return self.bound <= self.log_prob + margin


def dense_totals(terms: Terms) -> tuple[int, Array]:
    """The least total and the log-probabilities of all from there on, `[T, *batch]`; of terms of whole numbers."""
    dense, first = list(terms.ranges), 0
    if terms.points:
        least, x = filled_up(terms.points)
        dense.append((1, x))
        first += least
    if terms.digits:
        least, x = totals_of_digits(terms)
        dense.append((1, x))
        first += least
    limited(1 + sum(abs(step) * (len(x) - 1) for step, x in dense), "All totals", MEND)
    both = stretched(dense, LOG_SUM)
    return first + both.chain.support[0], both.all


def filled_up(lists: list[Points]) -> tuple[int, Array]:
    """The sum of lists as a range: its first number, and log-probabilities `[n, *batch]`."""
    sums = added_up(lists, LOG_SUM, lists[0][1])
    points = points_of(sums.chain.support)
    first, last = int(points[0]), int(points[-1])
    limited(last - first + 1, "All totals", MEND)
    index = np.full(last - first + 1, -1)
    index[(points - first).astype(np.int64)] = np.arange(len(points))
    return first, take(sums.all, index)


def totals_of_digits(terms: Terms) -> tuple[int, Array]:
    """The least total of the digits, and the log-probabilities of all from there on, `[T, *batch]`."""
    (_, term), *_ = terms.digits
    base, count = len(term), term.shape[1]
    reach = sum(abs(step) for step, _ in terms.digits)
    limited(reach * base**count, "All totals", MEND)
    column = stretched(terms.digits, LOG_SUM)
    first, last = column.chain.support[0], column.chain.support[-1]
    carry = carries(first, last, base, 0, base - 1)
    limited(base * len(carry) ** min(2, count), "Digits and pairs of carries", MEND)
    xp = library(term)

    def steps(position: int) -> Array:
        """The digit at a position, the carry to it and from it: `[base, C, C', *batch]`."""
        digit, fro = np.arange(base)[:, None, None], carry[:, None] if position else np.zeros((1, 1), np.int64)
        return take(column.all[:, position], digit + base * carry - fro - first)

    def table(start: int, stop: int) -> Array:
        """The digits at some positions, the carries to them and from them: `[base ** (stop − start), C, C', ...]`."""
        if stop - start > 1:
            return joined(table(start, (start + stop) // 2), table((start + stop) // 2, stop))
        one = steps(start)
        if stop < count:
            return one
        one = xp.permute_dims(one, (2, 0, 1, *range(3, one.ndim)))  # what is carried on top is one more digit
        return xp.reshape(one, (len(carry) * base, one.shape[2], 1, *one.shape[3:]))

    greatest = [step * (base**length - 1) for (step, _), length in zip(terms.digits, terms.lengths, strict=True)]
    least = sum(min(0, one) for one in greatest)
    start = least - int(carry[0]) * base**count
    return least, table(0, count)[start : start + sum(map(abs, greatest)) + 1, 0, 0]


def joined(low: Array, high: Array) -> Array:
    """Two tables `[V, C, K, *batch]` and `[U, K, C', *batch]` as one, `[U · V, C, C', *batch]`."""
    xp, parts = library(low), []
    for block in in_blocks(len(high), prod(low.shape) * high.shape[2]):
        part = log_sum(low[None, :, :, :, None] + high[block, None, None], 3)
        parts.append(xp.reshape(part, (part.shape[0] * part.shape[1], *part.shape[2:])))
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)


def most_probable(terms: Terms) -> MostProbable:
    """The most probable total, of terms of whole numbers, or without digits of any."""
    lists = list(terms.points)
    if terms.ranges:
        lists.append(listed(stretched(terms.ranges, LOG_SUM), terms.unit))
    reference = terms.digits[0][1][:, 0] if terms.digits else lists[0][1]
    sums = added_up(lists, LOG_SUM, reference)
    if terms.digits:
        try:
            search = Search(terms, sums)
        except TooManyError:
            with suppress(TooManyError):
                return best_of(*dense_totals(terms))
            raise
        return search.found()
    return best_of(points_of(sums.chain.support), sums.all)


def best_of(totals: NDArray[Any] | int, x: Array) -> MostProbable:
    """The most probable of totals, or of those from one on, with log-probabilities `[T, *batch]`."""
    weights = host(x)
    index = best(weights)
    log_prob = np.take_along_axis(weights, index[None], 0)[0]
    return MostProbable(index + totals if isinstance(totals, int) else totals[index], log_prob, log_prob)


def flat(x: Array, batch: tuple[int, ...]) -> NDArray[np.float64]:
    """`[..., *batch]` with one axis for all of the batch: `[..., B]`."""
    whole = host(x).astype(np.float64)
    ahead = whole.shape[: whole.ndim - len(batch)]
    return np.broadcast_to(whole, (*ahead, *batch)).reshape(*ahead, prod(batch))


def kept_of(
    weights: NDArray[np.float64], bound: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Of prefixes `[F, C, E, B]` and their bounds `[F, B]` those that are kept, the best first.

    Returns:
        Which they are, and their bounds, −inf of those that are dominated by others, `[F', B]` both; and the greatest
        bound of those that were dropped without being dominated, `[B]`.
    """
    order = np.argsort(-bound, 0, kind="stable")
    bound = np.take_along_axis(bound, order, 0)
    lost = bound[WIDE:].max(0, initial=IMPOSSIBLE)
    order, bound = order[:WIDE], bound[:WIDE]
    bound[dominated(np.take_along_axis(weights, order[:, None, None], 0))] = IMPOSSIBLE
    again = np.argsort(-bound, 0, kind="stable")
    order, bound = np.take_along_axis(order, again, 0), np.take_along_axis(bound, again, 0)
    count = min(BEAM, int((bound > IMPOSSIBLE).sum(0).max(initial=1)))
    return order[:count], bound[:count], np.maximum(lost, bound[count:].max(0, initial=IMPOSSIBLE))


def dominated(weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of prefixes `[F, C, E, B]` can be left out, since another one has no smaller weight anywhere: `[F, B]`."""
    count, batch = len(weights), weights.shape[-1]
    no_less = np.ones((count, count, batch), np.bool_)
    for one in np.moveaxis(weights.reshape(count, prod(weights.shape[1:3]), batch), 1, 0):
        no_less &= one[:, None] >= one
    equal = no_less & no_less.swapaxes(0, 1)
    first = np.arange(count)[:, None, None] < np.arange(count)[:, None]
    return np.asarray((no_less & (first | ~equal)).any(0))


class Search:
    """The search of the most probable total of digits and lists.

    A prefix of totals has weights over the carry from it and the sums of the lists, `[C, E, B]`; all prefixes that are
    kept have `[F, C, E, B]`.
    """

    def __init__(self, terms: Terms, lists: Sums) -> None:
        (_, term), *_ = terms.digits
        self.base, self.count = len(term), term.shape[1]
        column, given, points = stretched(terms.digits, LOG_SUM), lists.all, points_of(lists.chain.support)
        self.first, last = column.chain.support[0], column.chain.support[-1]
        self.digits, self.above = columns(points, self.base, self.count)  # of the lists' sums: [M, E], [E]
        self.carry = carries(self.first, last + int(self.digits.max()), self.base, 0, self.base - 1)
        states = BEAM * self.base * len(self.carry) ** 2 * len(self.above)
        limited(states, "States of the search", "give fewer candidates or operands")
        self.batch = np.broadcast_shapes(term.shape[2:], column.all.shape[2:], given.shape[1:])
        self.sums, self.lists = flat(column.all, self.batch), flat(given, self.batch)

    def steps(self, position: int) -> NDArray[np.float64]:
        """From a carry, by a digit of the total, to a carry: `[base, C, C', E, B]`."""
        digit, to, fro = np.arange(self.base)[:, None, None, None], self.carry[:, None], self.carry[:, None, None]
        reached = digit + self.base * to - fro - self.digits[position]
        return np.asarray(take(self.sums[:, position], reached - self.first))

    def bounds(self) -> list[NDArray[np.float64]]:
        """The most that is above 0, 1, … positions if each digit were chosen knowing the carry: `[C, E, B]`."""
        above = [np.zeros((len(self.carry), *self.lists.shape))]
        for position in reversed(range(self.count)):
            above.append(log_max(log_sum(self.steps(position) + above[-1], 2)))
        return above[::-1]

    def found(self) -> MostProbable:
        """The most probable total that is found."""
        start = np.where(self.carry == 0, 0.0, IMPOSSIBLE)[None, :, None, None]
        weights, kept, dropped = start + self.lists, [], np.full(prod(self.batch), IMPOSSIBLE)
        for position, above in enumerate(self.bounds()[1:]):
            weights = log_sum(weights[:, None, :, None] + self.steps(position), 2)  # [F, base, C', E, B]
            weights = weights.reshape(len(weights) * self.base, *weights.shape[2:])
            order, bound, lost = kept_of(weights, log_sum(log_sum(weights + above, 1), 1))
            weights = np.take_along_axis(weights, order[:, None, None], 0)
            weights[np.broadcast_to((bound == IMPOSSIBLE)[:, None, None], weights.shape)] = IMPOSSIBLE
            kept.append(order)
            dropped = np.maximum(dropped, lost)
        total, log_prob = self.completed(weights, kept)
        bound = np.maximum(log_prob, dropped)
        return MostProbable(total.reshape(self.batch), log_prob.reshape(self.batch), bound.reshape(self.batch))

    def completed(
        self, weights: NDArray[np.float64], kept: list[NDArray[np.int64]]
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Of the prefixes the best, with what it has above its digits; and its log-probability: `[B]` both."""
        tops, top = np.unique(self.carry[:, None] + self.above, return_inverse=True)
        prefixes, batch = len(weights), weights.shape[-1]
        weights = np.moveaxis(weights, 0, 2).reshape(top.size, prefixes, batch)
        weights = merged(weights, top.reshape(-1), log_sum).reshape(len(tops) * prefixes, batch)
        index = best(weights)
        log_prob = np.take_along_axis(weights, index[None], 0)[0]
        total, prefix = tops[index // prefixes].astype(object), index % prefixes
        for one in reversed(kept):
            index = np.take_along_axis(one, prefix[None], 0)[0]
            total, prefix = total * self.base + index % self.base, index // self.base
        return narrow(total), log_prob

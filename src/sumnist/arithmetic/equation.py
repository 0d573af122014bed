"""The sum of terms of all kinds that has a known value: its log-probability, and what it leaves to each term.

Dense integers and candidate lists are added up as they are (`sumproduct`). Numbers with digits are written as columns:
column i holds the sum V_i of its digits, an independent random number, and the carry C_i from the column below. The
total has the digit t_i there if

    V_i + C_i = t_i + base · C_{i+1},   C_0 = 0,

and C_M is what the total has above the last column. So the probability of a total is a product of matrices, one a
position, over the few carries that can occur: T_i[c, c'] = P(V_i = t_i + base · c' − c). Borrows are negative carries,
and a total below zero has digits too, below a negative C_M (`known.columns`). Matrices are multiplied one by one, or in
pairs, pairs of pairs and so on: fewer, larger steps, which is faster as long as there are few carries. Either way the
messages before and behind each position give the posterior.

If there are digits, all partial sums of the lists are gone through, and for each the chain is asked for the rest, in
one batch. If there are none, the lists meet in the middle: the partial sums of one half and of the other that together
make the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import columns, found, narrow, points_of
from sumnist.arithmetic.operand import Kind
from sumnist.arithmetic.semiring import (
    IMPOSSIBLE,
    Array,
    Choose,
    batch_first,
    host,
    library,
    lifted,
    like,
    log_sum,
    max_normalised,
    normalised,
    picked,
    values_first,
)  # fmt: skip
from sumnist.arithmetic.sumproduct import Chain, Ring, Sums, limited, stretched

__all__ = ["Carries", "Equation", "Points", "Term", "Terms", "added_up", "carries", "listed"]

Term = tuple[int, Array]
"""A step, which is not zero, and log-probabilities `[n, ...]`."""
Points = tuple[NDArray[Any], Array]
"""Values `[n]` and their log-probabilities `[n, *batch]`."""
SPARSE = 16
"""Ranges are added as lists if their sums have so many numbers for each combination of theirs: as prices have."""
PAIRED_CARRIES = 6
"""With up to as many carries, matrices are multiplied in pairs: chosen by measuring."""


def carries(first: int, last: int, base: int, least_digit: int, greatest_digit: int) -> NDArray[np.int64]:
    """The carries that can occur if columns have sums of first..last, and the total such digits."""
    least = most = 0
    while (lower := -((greatest_digit - first - least) // base)) < least:
        least = lower
    while (higher := (last + most - least_digit) // base) > most:
        most = higher
    return np.arange(least, most + 1)


class Carries:
    """The carries of a sum whose total is known.

    Args:
        column: The sum of the digits in each column, of digits `[base, M, *batch]`.
        digits: The total's digits `[M, *batch]`.
        above: What the total has above them `[*batch]`.
        base: Of the digits.
    """

    def __init__(self, column: Sums, digits: NDArray[np.int64], above: NDArray[np.int64], base: int) -> None:
        self.column, self.digits, self.above, self.base, self.add = column, digits, above, base, column.ring.add
        extremes = (int(digits.min()), int(digits.max())) if digits.size else (0, 0)
        reach = column.chain.support
        self.carry = carries(reach[0], reach[-1], base, *extremes)
        carry = self.carry.reshape(-1, *(1 for _ in digits.shape))  # [C, 1, ...]
        self.steps = column.at(digits + base * carry - carry[:, None])  # [C, C', M, *batch]
        self.start = like(self.steps, np.where(carry[:, 0] == 0, 0.0, IMPOSSIBLE))
        self.end = like(self.steps, np.where(carry[:, 0] == above, 0.0, IMPOSSIBLE))

    @property
    def paired(self) -> bool:
        """Whether matrices are multiplied in pairs."""
        return len(self.carry) <= PAIRED_CARRIES

    def log_prob(self) -> Array:
        """The log-probability of the total `[*batch]`."""
        steps = self.steps
        while self.paired and steps.shape[2] > 1:
            steps = self.pairs(steps)
        carried = self.start
        for position in range(steps.shape[2]):
            carried = self.add(carried[:, None] + steps[:, :, position], 0)
        return self.add(carried + self.end, 0)

    def pairs(self, steps: Array) -> Array:
        """The products of two and two neighbours; a last one without neighbour stays."""
        one, two = steps[:, :, :-1:2], steps[:, :, 1::2]
        product = self.add(one[:, :, None] + two[None], 1)
        if steps.shape[2] % 2 == 0:
            return product
        return library(steps).concat([product, steps[:, :, -1:]], axis=2)

    def backward(self) -> Array:
        """What is left to each column's sum `[W, M, *batch]`: the log-weight of all else given that sum, such that the
        weights of all sums together are one; −inf if the total is impossible."""
        before, behind = self.messages(self.steps)
        sums = points_of(self.column.chain.support).reshape(-1, 1, *(1 for _ in self.digits.shape))
        carry = self.carry.reshape(-1, *(1 for _ in self.digits.shape))
        carried, left = np.divmod(sums + carry - self.digits, self.base)
        to = np.where(left == 0, carried - self.carry[0], -1)  # [W, C, M, *batch], the carry from the column
        outside = self.add(before + picked(behind, to), 1)
        return lifted(outside, log_sum(self.column.all + outside)[None])

    def messages(self, steps: Array) -> tuple[Array, Array]:
        """The log-weights, up to a constant, of what is before and behind each position, given the carry there:
        `[C, M, *batch]` twice."""
        xp, count = library(steps), steps.shape[2]
        if not self.paired or count == 1:
            return self.messages_in_turn(steps)
        before, behind = self.messages(max_normalised(self.pairs(steps), (0, 1)))  # of the pairs
        half = count // 2
        between = self.add(before[:, None, :half] + steps[:, :, :-1:2], 0)
        after = self.add(steps[:, :, 1::2] + behind[None, :, :half], 1)

        def alternating(one: Array, two: Array, last: Array) -> Array:
            both = xp.stack([one, two], axis=2)
            both = xp.reshape(both, (len(both), 2 * half, *both.shape[3:]))
            return both if count % 2 == 0 else xp.concat([both, last], axis=1)

        return (
            alternating(before[:, :half], between, before[:, half:]),
            alternating(after, behind[:, :half], behind[:, half:]),
        )

    def messages_in_turn(self, steps: Array) -> tuple[Array, Array]:
        """The same, position by position."""
        xp, shape = library(steps), (steps.shape[0], *steps.shape[3:])
        before, behind = [xp.broadcast_to(self.start, shape)], [xp.broadcast_to(self.end, shape)]
        for position in range(steps.shape[2] - 1):
            before.append(max_normalised(self.add(before[-1][:, None] + steps[:, :, position], 0), (0,)))
            behind.append(max_normalised(self.add(steps[:, :, -1 - position] + behind[-1], 1), (0,)))
        return xp.stack(before, axis=1), xp.stack(behind[::-1], axis=1)

    def split(self, choose: Choose, batch: tuple[int, ...]) -> NDArray[np.int64]:
        """Sums of the columns that make up a possible total, as indices from the least on, `[M, *batch]`.

        The most significant position comes first, and there the smallest sum, that is the largest carry to it.
        """
        before, steps = host(self.messages(self.steps)[0])[::-1], host(self.steps)[::-1]
        to = np.broadcast_to(self.above - self.carry[0], batch)
        sums = np.empty((len(self.digits), *batch), np.int64)
        for i in reversed(range(len(sums))):
            weights = before[:, i] + np.take_along_axis(steps[:, :, i], to[None, None], 1)[:, 0]
            fro = len(self.carry) - 1 - choose(weights)
            sums[i] = self.digits[i] + self.base * self.carry[to] - self.carry[fro] - self.column.chain.support[0]
            to = fro
        return sums


@dataclass
class Terms:
    """What a sum is made of, by kind. Values come first, then positions, if there are some, then the batch.

    Attributes:
        digits: Steps and digits `[base, M, *batch]`, the least significant position first.
        lengths: How many positions each of these numbers has of its own.
        ranges: Steps and dense integers from zero on, `[n, *batch]`.
        points: Values with their steps, in units of which `unit` make up one, and their `[n, *batch]`.
    """

    digits: list[Term] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    ranges: list[Term] = field(default_factory=list)
    points: list[Points] = field(default_factory=list)
    unit: int = 1


class Equation:
    """A sum of terms that has a known value.

    Args:
        terms: Its terms, at least one of them.
        target: Its value `[*batch]`, in the units of `terms`.
        ring: `LOG_SUM` or `LOG_MAX`.

    Attributes:
        weights: The log-probability of each partial sum of the lists together with the total: `[E, *batch]`.
    """

    def __init__(self, terms: Terms, target: NDArray[Any], ring: Ring) -> None:
        self.terms, self.target, self.add = terms, target, ring.add
        lists, self.dense, self.sparse = list(terms.points), None, 0
        if 1 + sum(span(*one) for one in terms.ranges) > SPARSE * prod(len(x) for _, x in terms.ranges):
            self.sparse = len(terms.ranges)
            numbers = [terms.unit * step * np.arange(len(x)).astype(object) for step, x in terms.ranges]
            lists = [(narrow(one), x) for one, (_, x) in zip(numbers, terms.ranges, strict=True)] + lists
        elif terms.ranges:
            self.dense = stretched(terms.ranges, ring)
            lists.insert(0, listed(self.dense, terms.unit))
        middle = len(lists) if terms.digits else middle_of([len(values) for values, _ in lists])
        reference = terms.digits[0][1][:, 0] if terms.digits else lists[0][1]
        self.left = added_up(lists[:middle], ring, reference)
        points = points_of(self.left.chain.support)
        if terms.digits:
            (_, first), states = terms.digits[0], len(points) * terms.digits[0][1].shape[1]

            def check(sums: range) -> None:
                what = "Partial sums of candidates, times the positions and the sums of digits at each,"
                limited(states * len(sums), what, "give fewer candidates for each number")
                pairs = len(carries(sums[0], sums[-1], len(first), 0, len(first) - 1)) ** 2
                what = "Partial sums of candidates, times the positions and the pairs of carries,"
                limited(states * pairs, what, "add fewer numbers, or multiply them by smaller ones")

            self.column = stretched([(step, x[..., None]) for step, x in terms.digits], ring, check)
            rest = target[..., None] - points if lists else target[..., None]
            self.chain = self.chain_to(rest)
            self.rest = values_first(self.chain.log_prob(), target.ndim)
            if terms.unit > 1:
                whole = np.where(rest % terms.unit == 0, 0.0, IMPOSSIBLE)
                self.rest = self.rest + values_first(like(self.rest, whole), target.ndim)
        else:
            self.right = added_up(lists[middle:], ring, reference)
            self.rest = picked(self.right.all, self.to(self.right, points))
        self.weights = self.left.all + self.rest if lists else self.rest

    def chain_to(self, rest: NDArray[Any]) -> Carries:
        """The chain of the digits, that sum up to what is left to them `[*batch, E]`."""
        (_, term), *_ = self.terms.digits
        rest = rest // self.terms.unit if self.terms.unit > 1 else rest
        return Carries(self.column, *columns(rest, len(term), term.shape[1]), len(term))

    def to(self, others: Sums, points: NDArray[Any]) -> NDArray[np.int64]:
        """Which of the others' sums is left to points `[E]`, or −1: `[E, *batch]`."""
        return found(others.chain.support, narrow(self.target - points.reshape(-1, *(1 for _ in self.target.shape))))

    def log_prob(self) -> Array:
        """The log-probability of the total `[*batch]`."""
        return self.add(self.weights, 0) if len(self.weights) > 1 else self.weights[0]

    def backward(self) -> dict[Kind, list[Array]]:
        """What is left to each term: with its own log-probabilities, its distribution given the total, up to a
        constant; −inf if the total is impossible."""
        lists, digits = self.left.backward(normalised(self.rest))[::-1], []
        if self.terms.digits:
            outside = self.chain.backward() + batch_first(normalised(self.weights))  # [W, M, *batch, E]
            outside = self.add(outside, outside.ndim - 1)[..., None] if lists else outside
            digits = [one[..., 0] for one in self.column.backward(outside)[::-1]]
        else:
            points = points_of(self.right.chain.support)
            lists += self.right.backward(picked(self.left.all, self.to(self.left, points)))[::-1]
        ranges = self.dense.backward(lists.pop(0))[::-1] if self.dense else lists[: self.sparse]
        return {"digits": digits, "ranges": ranges, "points": lists[self.sparse :]}

    def split(self, choose: Choose, batch: tuple[int, ...]) -> dict[Kind, list[NDArray[np.int64]]]:
        """For each term which of its values it has, of digits `[M, *batch]`, of others `[*batch]`."""
        weights = host(self.weights)
        index = choose(np.broadcast_to(weights, (len(weights), *batch)))
        lists, digits = self.left.split(index, choose)[::-1], []
        rest = narrow(np.asarray(self.target - points_of(self.left.chain.support)[index]))
        if self.terms.digits:
            sums = self.chain_to(rest[..., None]).split(choose, (*batch, 1))
            digits = [one[..., 0] for one in self.column.split(sums, choose)[::-1]]
        else:
            lists += self.right.split(found(self.right.chain.support, rest), choose)[::-1]
        ranges = self.dense.split(lists.pop(0), choose)[::-1] if self.dense else lists[: self.sparse]
        return {"digits": digits, "ranges": ranges, "points": lists[self.sparse :]}


def added_up(lists: Sequence[Points], ring: Ring, reference: Array) -> Sums:
    """The sum of lists, the first of them last; `reference` is an array of their library, type and batch."""
    chain = Chain([values for values, _ in lists[::-1]])
    start = like(reference, np.zeros((1, *(1 for _ in reference.shape[1:]))))
    return Sums(chain, ring, [x for _, x in lists[::-1]], start)


def listed(dense: Sums, unit: int) -> Points:
    """Dense integers as a list of values, of which `unit` make up one."""
    values = points_of(dense.chain.support)
    return (values if unit == 1 else narrow(values.astype(object) * unit)), dense.all


def span(step: int, x: Array) -> int:
    """How far the greatest of a term is from the least."""
    return abs(step) * (len(x) - 1)


def middle_of(lengths: list[int]) -> int:
    """Where lists of such lengths are cut, so that neither side has many sums."""
    return min(range(len(lengths) + 1), key=lambda cut: max(prod(lengths[:cut]), prod(lengths[cut:])))

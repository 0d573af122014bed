"""Positional numbers: the carry as the state of a hidden Markov chain over the positions.

A sum of numbers with digits is written as columns: column i holds the sum V_i of its digits, an independent random
number, and the carry C_i from the column below. The total has the digit t_i there if

    V_i + C_i = t_i + base · C_{i+1},   C_0 = 0,

and C_M is what the total has above the last column. So the probability of a total is a product of matrices, one a
position, over the few carries that can occur: T_i[c, c'] = P(V_i = t_i + base · c' − c). Borrows are negative carries,
and a total below zero has digits too, below a negative C_M (`known.columns`).

Matrices are multiplied one by one, or in pairs, pairs of pairs and so on: fewer, larger steps, which is faster as long
as there are few carries. Either way the messages before and behind each position give the posterior.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.convolution import Convolution
from sumnist.arithmetic.semiring import (
    IMPOSSIBLE,
    Array,
    Choose,
    host,
    levelled,
    library,
    lifted,
    like,
    log_sum,
    picked,
)

__all__ = ["Chain", "carries"]

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


class Chain:
    """The carries of a sum whose total is known.

    Args:
        column: The sum of the digits in each column, of digits `[base, M, *batch]`.
        digits: The total's digits `[M, *batch]`.
        above: What the total has above them `[*batch]`.
        base: Of the digits.
    """

    def __init__(self, column: Convolution, digits: NDArray[np.int64], above: NDArray[np.int64], base: int) -> None:
        self.column, self.digits, self.above, self.base, self.add = column, digits, above, base, column.add
        extremes = (int(digits.min()), int(digits.max())) if digits.size else (0, 0)
        self.carry = carries(column.first, column.last, base, *extremes)
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

    def outward(self) -> Array:
        """What is left to each column's sum `[W, M, *batch]`: the log-weight of all else given that sum, such that the
        weights of all sums together are one; −inf if the total is impossible."""
        before, behind = self.messages(self.steps)
        sums = np.arange(self.column.first, self.column.last + 1).reshape(-1, 1, *(1 for _ in self.digits.shape))
        carry = self.carry.reshape(-1, *(1 for _ in self.digits.shape))
        carried, left = np.divmod(sums + carry - self.digits, self.base)
        to = np.where(left == 0, carried - self.carry[0], -1)  # [W, C, M, *batch], the carry from the column
        outside = self.add(before + picked(behind, to), 1)
        return lifted(outside, log_sum(self.column.sums + outside)[None])

    def messages(self, steps: Array) -> tuple[Array, Array]:
        """The log-weights, up to a constant, of what is before and behind each position, given the carry there:
        `[C, M, *batch]` twice."""
        xp, count = library(steps), steps.shape[2]
        if not self.paired or count == 1:
            return self.messages_in_turn(steps)
        before, behind = self.messages(levelled(self.pairs(steps), (0, 1)))  # of the pairs
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
            before.append(levelled(self.add(before[-1][:, None] + steps[:, :, position], 0), (0,)))
            behind.append(levelled(self.add(steps[:, :, -1 - position] + behind[-1], 1), (0,)))
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
            sums[i] = self.digits[i] + self.base * self.carry[to] - self.carry[fro] - self.column.first
            to = fro
        return sums

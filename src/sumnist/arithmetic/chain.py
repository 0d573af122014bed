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
from array_api_compat import array_namespace
from numpy.typing import NDArray

from sumnist.arithmetic.semiring import IMPOSSIBLE, Add, Array, levelled, like, picked

__all__ = ["Chain"]

PAIRED_CARRIES = 4
"""With up to as many carries, matrices are multiplied in pairs: chosen by measuring."""


class Chain:
    """The carries of a sum whose total is known.

    Args:
        columns: The distribution of each column's sum `[W, M, *batch]`, the least significant position first.
        first: The least sum of a column.
        digits: The total's digits `[M, *batch]`.
        above: What the total has above them `[*batch]`.
        base: Of the digits.
        add: `log_sum` or `log_max`.
    """

    def __init__(
        self, columns: Array, first: int, digits: NDArray[np.int64], above: NDArray[np.int64], base: int, add: Add
    ) -> None:
        self.columns, self.first, self.digits, self.base, self.add = columns, first, digits, base, add
        least, most = carries(first, first + len(columns) - 1, digits, base)
        carry = np.arange(least, most + 1)
        ahead = (slice(None), *(None for _ in digits.shape))
        self.carry = carry[ahead]  # [C, 1, ...]
        self.steps = picked(columns, digits + base * self.carry - self.carry[:, None] - first)  # [C, C', M, *batch]
        self.start = like(columns, np.where(self.carry[:, 0] == 0, 0.0, IMPOSSIBLE))
        self.end = like(columns, np.where(self.carry[:, 0] == above, 0.0, IMPOSSIBLE))

    def log_prob(self) -> Array:
        """The log-probability of the total `[*batch]`."""
        steps = self.steps
        while self.paired and steps.shape[2] > 1:
            steps = self.pairs(steps)
        carried = self.start
        for position in range(steps.shape[2]):
            carried = self.add(carried[:, None] + steps[:, :, position], 0)
        return self.add(carried + self.end, 0)

    @property
    def paired(self) -> bool:
        """Whether matrices are multiplied in pairs."""
        return len(self.carry) <= PAIRED_CARRIES

    def pairs(self, steps: Array) -> Array:
        """The products of two and two neighbours; a last one without neighbour stays."""
        one, two = steps[:, :, :-1:2], steps[:, :, 1::2]
        product = self.add(one[:, :, None] + two[None], 1)
        if steps.shape[2] % 2 == 0:
            return product
        return array_namespace(steps).concat([product, steps[:, :, -1:]], axis=2)

    def outward(self) -> Array:
        """What is left to each column's sum `[W, M, *batch]`: the log-weight of all else given that sum, up to a
        constant for each column."""
        before, behind = self.messages(self.steps)
        sums = np.arange(len(self.columns)).reshape(-1, *(1 for _ in self.carry.shape))
        carried, left = np.divmod(sums + self.first + self.carry - self.digits, self.base)
        to = np.where(left == 0, carried - self.carry.min(), -1)  # [W, C, M, *batch], the carry from the column
        return self.add(before + picked(behind, to), 1)

    def messages(self, steps: Array) -> tuple[Array, Array]:
        """The log-weights, up to a constant, of what is before and behind each position, given the carry there:
        `[C, M, *batch]` twice."""
        xp, count = array_namespace(steps), steps.shape[2]
        if not self.paired or count == 1:
            return self.messages_in_turn(steps)
        before, behind = self.messages(levelled(self.pairs(steps), (0, 1)))
        first, second, half = steps[:, :, :-1:2], steps[:, :, 1::2], count // 2
        within = (
            levelled(self.add(before[:, None, :half] + first, 0), (0,)),
            levelled(self.add(second + behind[None, :, :half], 1), (0,)),
        )

        def interleaved(one: Array, two: Array, last: Array) -> Array:
            both = xp.stack([one, two], axis=2)
            both = xp.reshape(both, (both.shape[0], 2 * half, *both.shape[3:]))
            return xp.concat([both, last[:, half:]], axis=1) if count % 2 else both

        return interleaved(before[:, :half], within[0], before), interleaved(within[1], behind[:, :half], behind)

    def messages_in_turn(self, steps: Array) -> tuple[Array, Array]:
        """The same, position by position."""
        xp, shape = array_namespace(steps), (steps.shape[0], *steps.shape[3:])
        before, behind = [xp.broadcast_to(self.start, shape)], [xp.broadcast_to(self.end, shape)]
        for position in range(steps.shape[2] - 1):
            before.append(levelled(self.add(before[-1][:, None] + steps[:, :, position], 0), (0,)))
            behind.append(levelled(self.add(steps[:, :, -1 - position] + behind[-1], 1), (0,)))
        return xp.stack(before, axis=1), xp.stack(behind[::-1], axis=1)


def carries(first: int, last: int, digits: NDArray[np.int64], base: int) -> tuple[int, int]:
    """The least and the greatest carry, if columns have sums of first..last."""
    if not digits.size:
        return 0, 0
    least = most = 0
    while (lower := -((int(digits.max()) - first - least) // base)) < least:
        least = lower
    while (higher := (last + most - int(digits.min())) // base) > most:
        most = higher
    return least, most

"""The sum of terms of all kinds that has a known value: their log-partition, and what it leaves to each term.

The digits are a chain (`chain`), dense integers a convolution, candidate lists partial sums; a convolution is then one
more list. If there are digits, all partial sums of the lists are gone through, and for each the chain is asked for the
rest, in one batch. If there are none, the lists meet in the middle: the partial sums of one half and of the other that
together make the total.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.chain import Chain
from sumnist.arithmetic.convolution import Convolution, Term
from sumnist.arithmetic.known import columns, found, narrow
from sumnist.arithmetic.operand import Kind
from sumnist.arithmetic.points import PartialSums, Points, limited
from sumnist.arithmetic.semiring import (
    IMPOSSIBLE,
    Add,
    Array,
    Choose,
    batch_first,
    host,
    like,
    normalised,
    picked,
    values_first,
)

__all__ = ["Equation", "Terms", "listed"]


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
        add: `log_sum` or `log_max`.

    Attributes:
        weights: The log-probability of each partial sum of the lists together with the total: `[E, *batch]`.
    """

    def __init__(self, terms: Terms, target: NDArray[Any], add: Add) -> None:
        self.terms, self.target, self.add = terms, target, add
        lists, self.dense = list(terms.points), None
        if terms.ranges:
            self.dense = Convolution(terms.ranges, add)
            lists.insert(0, listed(self.dense, terms.unit))
        middle = len(lists) if terms.digits else middle_of([len(values) for values, _ in lists])
        reference = terms.digits[0][1][:, 0] if terms.digits else lists[0][1]
        self.left = PartialSums(lists[:middle], add, reference)
        if terms.digits:
            self.column = Convolution([(step, x[..., None]) for step, x in terms.digits], add)
            limited(
                len(self.left.points[-1]) * terms.digits[0][1].shape[1] * (self.column.last - self.column.first + 1),
                "Partial sums of candidates, times the positions and the sums of digits at each,",
                "give fewer candidates for each number",
            )
            rest = target[..., None] - self.left.points[-1] if lists else target[..., None]
            self.chain = self.chain_to(rest)
            self.rest = values_first(self.chain.log_prob(), target.ndim)
            if terms.unit > 1:
                whole = np.where(rest % terms.unit == 0, 0.0, IMPOSSIBLE)
                self.rest = self.rest + values_first(like(self.rest, whole), target.ndim)
        else:
            self.right = PartialSums(lists[middle:], add, reference)
            self.rest = picked(self.right.running[-1], self.to(self.right, self.left.points[-1]))
        self.weights = self.left.running[-1] + self.rest if lists else self.rest

    def chain_to(self, rest: NDArray[Any]) -> Chain:
        """The chain of the digits, that sum up to what is left to them `[*batch, E]`."""
        (_, term), *_ = self.terms.digits
        rest = rest // self.terms.unit if self.terms.unit > 1 else rest
        return Chain(self.column, *columns(rest, len(term), term.shape[1]), len(term))

    def to(self, others: PartialSums, points: NDArray[Any]) -> NDArray[np.int64]:
        """Which of the others' sums is left to points `[E]`, or −1: `[E, *batch]`."""
        return found(others.points[-1], narrow(self.target - points.reshape(-1, *(1 for _ in self.target.shape))))

    def log_prob(self) -> Array:
        """The log-probability of the total `[*batch]`."""
        return self.add(self.weights, 0) if len(self.weights) > 1 else self.weights[0]

    def outward(self) -> dict[Kind, list[Array]]:
        """What is left to each term: with its own log-probabilities, its distribution given the total, up to a
        constant; −inf if the total is impossible."""
        lists, digits = self.left.outward(normalised(self.rest)), []
        if self.terms.digits:
            outside = self.chain.outward() + batch_first(normalised(self.weights))  # [W, M, *batch, E]
            outside = self.add(outside, outside.ndim - 1)[..., None] if lists else outside
            digits = [one[..., 0] for one in self.column.outward(outside)]
        else:
            lists += self.right.outward(picked(self.left.running[-1], self.to(self.left, self.right.points[-1])))
        ranges = self.dense.outward(lists.pop(0)) if self.dense else []
        return {"digits": digits, "ranges": ranges, "points": lists}

    def split(self, choose: Choose, batch: tuple[int, ...]) -> dict[Kind, list[NDArray[np.int64]]]:
        """For each term which of its values it has, of digits `[M, *batch]`, of others `[*batch]`."""
        weights = host(self.weights)
        index = choose(np.broadcast_to(weights, (len(weights), *batch)))
        lists, digits = self.left.split(index, choose), []
        rest = narrow(np.asarray(self.target - self.left.points[-1][index]))
        if self.terms.digits:
            sums = self.chain_to(rest[..., None]).split(choose, (*batch, 1))
            digits = [one[..., 0] for one in self.column.split(sums, choose)]
        else:
            lists += self.right.split(found(self.right.points[-1], rest), choose)
        ranges = self.dense.split(lists.pop(0), choose) if self.dense else []
        return {"digits": digits, "ranges": ranges, "points": lists}


def listed(dense: Convolution, unit: int) -> Points:
    """Dense integers as a list of values, of which `unit` make up one."""
    values = np.arange(dense.first, dense.last + 1)
    return (values if unit == 1 else narrow(values.astype(object) * unit)), dense.sums


def middle_of(lengths: list[int]) -> int:
    """Where lists of such lengths are cut, so that neither side has many sums."""
    return min(range(len(lengths) + 1), key=lambda cut: max(prod(lengths[:cut]), prod(lengths[cut:])))

"""Numbers of which the sum is known, each with a few values, with those of a pattern, or with any at all.

The terms are dealt to two sides. Where the partial sums of both sides together make the total, each side's are weighed
by the other's, and the way back gives every term its share (`points`). So there are about as many states as the square
root of all combinations. A term that is alone on its side is not listed, only looked up: a pattern may have hundreds of
unknown digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import found, narrow, points_of
from sumnist.arithmetic.semiring import IMPOSSIBLE, Array, best, picked
from sumnist.arithmetic.sumproduct import Chain, Ring, Sums
from sumnist.errors import NumberError

__all__ = ["FILLINGS", "Anything", "Domain", "Listed", "Meeting", "Pattern"]

FILLINGS = 10**5
"""The most numbers of a pattern that are listed: less than a second of work."""

T = TypeVar("T")
Whole = NDArray[Any]
"""Whole numbers, int64 or Python's own."""


@dataclass(frozen=True)
class Listed:
    """A few values with their log-weights."""

    weights: Mapping[int, float]

    @property
    def size(self) -> float:
        """How many there are."""
        return len(self.weights)

    def weight(self, value: int) -> float:
        """The log-weight of a value, −∞ if it is none of them."""
        return self.weights.get(value, IMPOSSIBLE)

    def values(self) -> Whole:
        """All of them, ascending."""
        return narrow(np.array(sorted(self.weights), object))


@dataclass(frozen=True)
class Pattern:
    """Every number that `text` becomes when each `_` in it becomes a digit; each weighs one."""

    text: str

    @property
    def size(self) -> float:
        """How many there are."""
        return int(10 ** self.text.count("_"))

    def weight(self, value: int) -> float:
        """The log-weight of a value, −∞ if it is none of them."""
        fits = re.fullmatch(self.text.replace("_", "[0-9]"), f"{value:0{len(self.text)}}")
        return 0.0 if fits else IMPOSSIBLE

    def values(self) -> Whole:
        """All of them, ascending."""
        if self.size > FILLINGS:
            raise NumberError(
                f"a pattern would be filled in more than {FILLINGS:,} ways, expected fewer unknown digits beside other "
                "unknowns: write more of the digits that are known"
            )
        values = np.array([int(self.text.replace("_", "0"))], object)
        for place, character in enumerate(reversed(self.text)):
            if character == "_":
                values = np.add.outer(np.array([digit * 10**place for digit in range(10)], object), values).ravel()
        return narrow(values)


@dataclass(frozen=True)
class Anything:
    """Every whole number; each weighs one."""

    size = math.inf

    def weight(self, value: int) -> float:
        """The log-weight of a value."""
        return 0.0

    def values(self) -> Whole:
        """There is no list of them. Raises `NumberError`."""
        raise NumberError("two numbers that may be anything, expected at most one in an equation: give the other one")


Domain = Listed | Pattern | Anything
Term = tuple[int, Domain]
"""What a number is multiplied with, perhaps zero, and which numbers it may be."""


class Meeting:
    """What there is to say of terms of which the sum is known.

    Args:
        terms: Numbers that are independent of each other, each times a step.
        total: Their sum.
        ring: `LOG_SUM` for `posterior`, `LOG_MAX` for `most_probable`.

    Attributes:
        log_weight: Of all that makes the total; −∞ if nothing does.

    Raises:
        NumberError: There are too many partial sums.
    """

    def __init__(self, terms: Sequence[Term], total: int, ring: Ring) -> None:
        self.places = dealt([domain.size for _, domain in terms])
        left, right = ([terms[place] for place in side] for side in self.places)
        alone = len(right) == 1 and right[0][0] != 0
        self.left = Side(left, ring)
        self.right = Lookup(*right[0]) if alone else Side(right, ring)
        self.rests = narrow(np.asarray(total - self.left.sums.astype(object)))
        self.others = self.right.weights_of(self.rests)
        self.both = self.left.weights_of(self.left.sums) + self.others
        self.log_weight = float(ring.add(self.both, 0))

    def posterior(self) -> list[dict[int, float]]:
        """Of each term, the log-weight of all that makes the total with each of its values that can make it."""
        left = self.left.within(self.left.sums, self.others)
        return self.in_order(left, self.right.within(self.rests, self.left.weights_of(self.left.sums)))

    def most_probable(self) -> list[int]:
        """Of each term a value, which together make the total most probably, if anything does."""
        index = int(best(self.both))
        return self.in_order(self.left.split(self.left.sums[index]), self.right.split(self.rests[index]))

    def in_order(self, left: list[T], right: list[T]) -> list[T]:
        """What was found on each side, in the order of the terms."""
        answers = dict(zip(self.places[0] + self.places[1], left + right, strict=True))
        return [answers[place] for place in range(len(answers))]


class Side:
    """Terms that are listed, and their partial sums.

    Attributes:
        sums: The sums of all terms, ascending.
    """

    def __init__(self, terms: list[Term], ring: Ring) -> None:
        self.values = [domain.values() for _, domain in terms]
        self.own = [np.array([domain.weight(value) for value in values.tolist()])
                    for (_, domain), values in zip(terms, self.values, strict=True)]  # fmt: skip
        moves = [narrow(step * values.astype(object)) for (step, _), values in zip(terms, self.values, strict=True)]
        self.partial = Sums(Chain(moves[::-1]), ring, self.own[::-1])
        self.sums = points_of(self.partial.chain.support)

    def weights_of(self, totals: Whole) -> Array:
        """The log-weights of some sums."""
        return picked(self.partial.all, found(self.sums, totals))

    def within(self, totals: Whole, others: Array) -> list[dict[int, float]]:
        """Of each term the log-weights of its values, given what else there is to each of these sums."""
        order = np.argsort(totals)
        outside = picked(others[order], found(totals[order], self.sums))
        left = self.partial.backward(outside)[::-1]
        return [possible(*one) for one in zip(self.values, map(np.add, self.own, left), strict=True)]

    def split(self, total: Any) -> list[int]:
        """Of each term a value, which together make one of the sums, by `log_max` most probably."""
        chosen = self.partial.split(found(self.sums, np.asarray(total)), best)[::-1]
        return [int(values[index]) for values, index in zip(self.values, chosen, strict=True)]


class Lookup:
    """A term alone, of which it is asked only whether it makes a sum."""

    def __init__(self, step: int, domain: Domain) -> None:
        self.step, self.domain = step, domain

    def weights_of(self, totals: Whole) -> Array:
        """The log-weights of some sums."""
        weight, pairs = self.domain.weight, (divmod(total, self.step) for total in totals.tolist())
        return np.array([IMPOSSIBLE if rest else weight(value) for value, rest in pairs])

    def within(self, totals: Whole, others: Array) -> list[dict[int, float]]:
        """The log-weights of its values, given what else there is to each of these sums."""
        return [possible(totals // self.step, others + self.weights_of(totals))]

    def split(self, total: Any) -> list[int]:
        """Its value that makes a sum."""
        return [int(total) // self.step]


def possible(values: Whole, weights: Array) -> dict[int, float]:
    """The values that have a weight."""
    pairs = zip(values.tolist(), weights.tolist(), strict=True)
    return {value: weight for value, weight in pairs if weight > IMPOSSIBLE}


def dealt(sizes: Sequence[float]) -> tuple[list[int], list[int]]:
    """The places of terms on each side, with about as many combinations; the largest of all is on the second."""
    sides: tuple[list[int], list[int]] = [], []
    loads = [0.0, 0.0]
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        side = 1 if not sides[1] or loads[1] < loads[0] else 0
        sides[side].append(place)
        loads[side] += math.log(sizes[place])
    return sides

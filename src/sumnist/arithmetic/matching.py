"""Numbers of which the sum is known: their probabilities then, by partial sums from two sides that meet.

The terms are dealt to two sides. A side's sums are a chain: those of its first 0, 1, 2, … terms, equal ones merged.
Where the sums of both sides together make the total, each side's are weighed by the other's, and the way back along the
chain gives every term its share. This is the forward–backward algorithm, exact, with about the square root of as many
states as there are combinations. A term that is alone on its side is not listed, only looked up: so a pattern may have
hundreds of unknown digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import NumberError

__all__ = ["STATES", "Anything", "Domain", "Listed", "Meeting", "Pattern"]

STATES = 2**21
"""The most partial sums that are looked at in a step: about a second of work."""
SAFE = 2**62
"""Sums up to here are int64; larger ones are Python's own integers, in arrays of objects."""

T = TypeVar("T")
Whole = NDArray[Any]
"""Whole numbers, int64 or Python's own."""
Weights = NDArray[np.float64]
"""Their log-weights."""


@dataclass(frozen=True)
class Listed:
    """A few values with their log-weights."""

    weights: Mapping[int, float]

    @property
    def size(self) -> float:
        """How many there are."""
        return len(self.weights)

    @property
    def reach(self) -> int:
        """None is further from zero."""
        return max(map(abs, self.weights))

    def weight(self, value: int) -> float:
        """The log-weight of a value, −∞ if it is none of them."""
        return self.weights.get(value, -math.inf)

    def listed(self, dtype: Any) -> tuple[Whole, Weights]:
        """All values, and their log-weights."""
        return np.array(list(self.weights), dtype), np.array(list(self.weights.values()), float)


@dataclass(frozen=True)
class Pattern:
    """Every number that `text` becomes when each `_` in it becomes a digit; each weighs one."""

    text: str

    @property
    def size(self) -> float:
        """How many there are."""
        return int(10 ** self.text.count("_"))

    @property
    def reach(self) -> int:
        """None is further from zero."""
        return int(10 ** len(self.text))

    def weight(self, value: int) -> float:
        """The log-weight of a value, −∞ if it is none of them."""
        fits = re.fullmatch(self.text.replace("_", "[0-9]"), f"{value:0{len(self.text)}}")
        return 0.0 if fits else -math.inf

    def listed(self, dtype: Any) -> tuple[Whole, Weights]:
        """All values, and their log-weights."""
        values = np.array([int(self.text.replace("_", "0"))], dtype)
        for place, character in enumerate(reversed(self.text)):
            if character == "_":
                values = np.add.outer(np.array([digit * 10**place for digit in range(10)], dtype), values).ravel()
        return values, np.zeros(len(values))


@dataclass(frozen=True)
class Anything:
    """Every whole number; each weighs one."""

    size = math.inf
    reach = 0

    def weight(self, value: int) -> float:
        """The log-weight of a value."""
        return 0.0

    def listed(self, dtype: Any) -> tuple[Whole, Weights]:
        """There is no list of them. Raises `NumberError`."""
        raise NumberError("two numbers that may be anything: expected at most one in an equation: give the other one")


Domain = Listed | Pattern | Anything
Term = tuple[int, Domain]
"""What a number is multiplied with, perhaps zero, and which numbers it may be."""


class Meeting:
    """What there is to say of terms of which the sum is known.

    Args:
        terms: Numbers that are independent of each other, each times a step.
        total: Their sum.
        add: How alternatives are put together: `np.logaddexp` for `posterior`, `np.maximum` for `most_probable`.

    Attributes:
        log_weight: Of all that makes the total; −∞ if nothing does.

    Raises:
        NumberError: There are more than `STATES` partial sums.
    """

    def __init__(self, terms: Sequence[Term], total: int, add: np.ufunc) -> None:
        reach = abs(total) + sum(abs(step) * domain.reach for step, domain in terms)
        dtype = np.int64 if reach < SAFE else object
        self.places = dealt([domain.size for _, domain in terms])
        left, right = ([terms[place] for place in side] for side in self.places)
        self.left = Chain(left, add, dtype)
        alone = len(right) == 1 and right[0][0] != 0
        self.right = Lookup(*right[0]) if alone else Chain(right, add, dtype)
        self.rests = total - self.left.sums
        self.others = self.right.weights_of(self.rests)
        self.both = self.left.weights + self.others
        self.log_weight = float(add.reduce(self.both))

    def posterior(self) -> list[dict[int, float]]:
        """Of each term, the log-weight of all that makes the total with each of its values that can make it."""
        left = self.left.within(self.left.sums, self.others)
        return self.in_order(left, self.right.within(self.rests, self.left.weights))

    def most_probable(self) -> list[int]:
        """Of each term a value, which together make the total most probably, if anything does."""
        best = int(self.both.argmax())
        return self.in_order(self.left.split(int(self.left.sums[best])), self.right.split(int(self.rests[best])))

    def in_order(self, left: list[T], right: list[T]) -> list[T]:
        """What was found on each side, in the order of the terms."""
        found = dict(zip(self.places[0] + self.places[1], left + right, strict=True))
        return [found[place] for place in range(len(found))]


class Chain:
    """The sums of terms that are listed.

    Attributes:
        layers: The sums of the first 0, 1, 2, … terms, ascending, and their weights.
    """

    def __init__(self, terms: list[Term], add: np.ufunc, dtype: Any) -> None:
        self.add = add
        self.layers: list[tuple[Whole, Weights]] = [(np.zeros(1, dtype), np.zeros(1))]
        self.moves: list[tuple[Whole, int, Weights]] = []
        for step, domain in terms:
            sums, weights = self.layers[-1]
            if len(sums) * domain.size > STATES:
                raise NumberError(
                    f"more than {STATES:,} sums would have to be looked at, expected fewer unknown digits and numbers: "
                    "write more of the digits that are known, or leave numbers out"
                )
            values, own = domain.listed(dtype)
            self.moves.append((values, step, own))
            self.layers.append(merged(np.add.outer(sums, step * values), np.add.outer(weights, own), add))

    @property
    def sums(self) -> Whole:
        """The sums of all terms."""
        return self.layers[-1][0]

    @property
    def weights(self) -> Weights:
        """Their weights."""
        return self.layers[-1][1]

    def weights_of(self, totals: Whole) -> Weights:
        """The weights of some sums."""
        return taken(self.weights, found(self.sums, totals))

    def within(self, totals: Whole, others: Weights) -> list[dict[int, float]]:
        """Of each term the weights of its values, given what else there is to each of these sums."""
        order = np.argsort(totals)
        outside = taken(others[order], found(totals[order], self.sums))
        answers = []
        layers = zip(self.layers[-2::-1], self.layers[:0:-1], self.moves[::-1], strict=True)
        for (sums, weights), (after, _), (values, step, own) in layers:
            beyond = outside[np.searchsorted(after, np.add.outer(sums, step * values))]
            mine = self.add.reduce(beyond + weights[:, None], axis=0) + own
            outside = self.add.reduce(beyond + own, axis=1)
            answers.append(possible(values, mine))
        return answers[::-1]

    def split(self, total: int) -> list[int]:
        """Of each term a value, which together make one of the sums; by `np.maximum`, most probably."""
        chosen = []
        for (sums, weights), (values, step, own) in zip(self.layers[-2::-1], self.moves[::-1], strict=True):
            value = int(values[(taken(weights, found(sums, total - step * values)) + own).argmax()])
            total -= step * value
            chosen.append(value)
        return chosen[::-1]


class Lookup:
    """A term alone, of which it is asked only whether it makes a sum."""

    def __init__(self, step: int, domain: Domain) -> None:
        self.step, self.domain = step, domain

    def weights_of(self, totals: Whole) -> Weights:
        """The weights of some sums."""
        weight, pairs = self.domain.weight, (divmod(total, self.step) for total in totals.tolist())
        return np.array([-math.inf if rest else weight(value) for value, rest in pairs])

    def within(self, totals: Whole, others: Weights) -> list[dict[int, float]]:
        """The weights of its values, given what else there is to each of these sums."""
        return [possible(totals // self.step, others + self.weights_of(totals))]

    def split(self, total: int) -> list[int]:
        """Its value that makes a sum."""
        return [total // self.step]


def merged(sums: Whole, weights: Weights, add: np.ufunc) -> tuple[Whole, Weights]:
    """Sums, ascending, equal ones once, with their weights put together."""
    order = np.argsort(sums, axis=None, kind="stable")
    sums, weights = sums.ravel()[order], weights.ravel()[order]
    starts = np.flatnonzero(np.append(True, sums[1:] != sums[:-1]))
    return sums[starts], add.reduceat(weights, starts)


def found(among: Whole, values: Whole) -> NDArray[np.int64]:
    """Where values are among others, which ascend; −1 where they are not."""
    index = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return np.where(among[index] == values, index, -1)


def taken(weights: Weights, index: NDArray[np.int64]) -> Weights:
    """The weights at an index, −∞ where it is −1."""
    return np.append(weights, -math.inf)[index]


def possible(values: Whole, weights: Weights) -> dict[int, float]:
    """The values that have a weight."""
    pairs = zip(values.tolist(), weights.tolist(), strict=True)
    return {value: weight for value, weight in pairs if weight > -math.inf}


def dealt(sizes: Sequence[float]) -> tuple[list[int], list[int]]:
    """The places of terms on each side, with about as many combinations; the largest of all is on the second."""
    sides: tuple[list[int], list[int]] = [], []
    loads = [0.0, 0.0]
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        side = 1 if not sides[1] or loads[1] < loads[0] else 0
        sides[side].append(place)
        loads[side] += math.log(sizes[place])
    return sides

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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import ClassVar, TypeVar

from sumnist.errors import NumberError

__all__ = ["STATES", "Anything", "Domain", "Listed", "Meeting", "Pattern", "log_sum"]

STATES = 2**20
"""The most partial sums that are looked at in a step: a second of work."""
Weights = dict[int, float]
"""Log-weights by value; what is impossible is not in there."""
Add = Callable[[float, float], float]
T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """A few values with their log-probabilities."""

    weights: Weights

    @property
    def size(self) -> float:
        """How many there are."""
        return len(self.weights)

    def weight(self, value: int) -> float:
        """The log-weight of a value."""
        return self.weights.get(value, -math.inf)

    def items(self) -> Iterable[tuple[int, float]]:
        """All values with their log-weights."""
        return self.weights.items()


@dataclass(frozen=True)
class Pattern:
    """Every number that `text` becomes when each `_` in it becomes a digit; each weighs one."""

    text: str

    @property
    def size(self) -> int:
        """How many there are."""
        return int(10 ** self.text.count("_"))

    def weight(self, value: int) -> float:
        """The log-weight of a value."""
        fits = re.fullmatch(self.text.replace("_", "[0-9]"), f"{value:0{len(self.text)}}")
        return 0.0 if fits else -math.inf

    def items(self) -> Iterable[tuple[int, float]]:
        """All values with their log-weights."""
        form = self.text.replace("_", "{}")
        return ((int(form.format(*digits)), 0.0) for digits in product("0123456789", repeat=self.text.count("_")))


@dataclass(frozen=True)
class Anything:
    """Every whole number; each weighs one."""

    size: ClassVar[float] = math.inf

    def weight(self, value: int) -> float:
        """The log-weight of a value."""
        return 0.0

    def items(self) -> Iterable[tuple[int, float]]:
        """There is no list of them. Raises `NumberError`."""
        raise NumberError("two numbers that may be anything: expected at most one in an equation: give the other one")


Domain = Listed | Pattern | Anything
Term = tuple[int, Domain]
"""What a number is multiplied with, not zero, and which numbers it may be."""


class Meeting:
    """What there is to say of terms of which the sum is known.

    Args:
        terms: Numbers that are independent of each other, each times a step.
        total: Their sum.
        add: How alternatives are put together: `log_sum` for `posterior`, `max` for `most_probable`.

    Raises:
        NumberError: There are more than `STATES` partial sums.
    """

    def __init__(self, terms: Sequence[Term], total: int, add: Add) -> None:
        self.total, self.add = total, add
        self.places = dealt([domain.size for _, domain in terms])
        left, right = ([terms[place] for place in side] for side in self.places)
        self.left = Chain(left, add)
        self.right = Lookup(*right[0]) if len(right) == 1 else Chain(right, add)
        meets = ((sum_, mine, self.right.weight(total - sum_)) for sum_, mine in self.left.sums.items())
        self.both = {sum_: (mine, other) for sum_, mine, other in meets if other > -math.inf}

    @property
    def log_weight(self) -> float:
        """Of all that makes the total; −∞ if nothing does."""
        return reduce(self.add, (mine + other for mine, other in self.both.values()), -math.inf)

    def posterior(self) -> list[Weights]:
        """Of each term, the log-weight of all that makes the total with each of its values."""
        left = self.left.within({sum_: other for sum_, (_, other) in self.both.items()})
        right = self.right.within({self.total - sum_: mine for sum_, (mine, _) in self.both.items()})
        return self.in_order(left, right)

    def most_probable(self) -> list[int]:
        """Of each term a value, which together make the total most probably, if anything does."""
        best = max(self.both, key=lambda sum_: sum(self.both[sum_]))
        return self.in_order(self.left.split(best), self.right.split(self.total - best))

    def in_order(self, left: list[T], right: list[T]) -> list[T]:
        """What was found on each side, in the order of the terms."""
        found = dict(zip(self.places[0] + self.places[1], left + right, strict=True))
        return [found[place] for place in range(len(found))]


class Chain:
    """The sums of terms that are listed.

    Attributes:
        layers: The weights of the sums of the first 0, 1, 2, … terms.
    """

    def __init__(self, terms: list[Term], add: Add) -> None:
        self.terms, self.add = terms, add
        self.layers: list[Weights] = [{0: 0.0}]
        for step, domain in terms:
            before, sums = self.layers[-1], Weights()
            if len(before) * domain.size > STATES:
                raise NumberError(
                    f"more than {STATES:,} sums would have to be looked at, expected fewer unknown digits and numbers: "
                    "write more of the digits that are known, or leave numbers out"
                )
            for value, weight in domain.items():
                for sum_, mine in before.items():
                    put(sums, sum_ + step * value, mine + weight, add)
            self.layers.append(sums)

    @property
    def sums(self) -> Weights:
        """The weights of the sums of all terms."""
        return self.layers[-1]

    def weight(self, total: int) -> float:
        """The weight of a sum."""
        return self.sums.get(total, -math.inf)

    def within(self, outside: Weights) -> list[Weights]:
        """Of each term the weight of each of its values, given what else there is to each sum of all."""
        found = []
        for (step, domain), before in zip(reversed(self.terms), reversed(self.layers[:-1]), strict=True):
            mine, earlier = Weights(), Weights()
            for value, weight in domain.items():
                for sum_, others in before.items():
                    if (beyond := outside.get(sum_ + step * value)) is not None:
                        put(mine, value, others + weight + beyond, self.add)
                        put(earlier, sum_, weight + beyond, self.add)
            outside = earlier
            found.append(mine)
        return found[::-1]

    def split(self, total: int) -> list[int]:
        """Of each term a value, which together make a sum; by `max`, most probably."""
        found = []
        for (step, domain), before in zip(reversed(self.terms), reversed(self.layers[:-1]), strict=True):
            makes = ((weight + before[rest], value) for value, weight in domain.items()
                     if (rest := total - step * value) in before)  # fmt: skip
            value = max(makes, key=lambda one: one[0])[1]
            total -= step * value
            found.append(value)
        return found[::-1]


class Lookup:
    """A term alone, of which it is asked only whether it makes a sum."""

    def __init__(self, step: int, domain: Domain) -> None:
        self.step, self.domain = step, domain

    def weight(self, total: int) -> float:
        """The weight of a sum."""
        value, rest = divmod(total, self.step)
        return -math.inf if rest else self.domain.weight(value)

    def within(self, outside: Weights) -> list[Weights]:
        """The weights of its values, given what else there is to each sum."""
        return [{total // self.step: others + self.weight(total) for total, others in outside.items()}]

    def split(self, total: int) -> list[int]:
        """Its value that makes a sum."""
        return [total // self.step]


def log_sum(one: float, two: float) -> float:
    """The logarithm of the sum of two exponentials, one of which is not zero."""
    return max(one, two) + math.log1p(math.exp(-abs(one - two)))


def put(weights: Weights, value: int, weight: float, add: Add) -> None:
    """Add an alternative to those of a value."""
    weights[value] = add(weights[value], weight) if value in weights else weight


def dealt(sizes: Sequence[float]) -> tuple[list[int], list[int]]:
    """The places of terms on each side, with about as many combinations; the largest of all is on the second."""
    sides: tuple[list[int], list[int]] = [], []
    loads = [0.0, 0.0]
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        side = 1 if not sides[1] or loads[1] < loads[0] else 0
        sides[side].append(place)
        loads[side] += math.log(sizes[place])
    return sides

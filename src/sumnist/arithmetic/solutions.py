"""Equations with unknowns: which numbers make them true, with exact probabilities.

Before, each digit is as probable as any other in the place of a `_`, and each number in that of a `_` alone. What
pictures show are independent draws from the distributions that were read, and the same picture twice is one number. How
often a number counts, with all on the left side, is its step s_k. P(x | Σ s_k x_k = 0) is then exact, given that each
picture shows one of its candidates.

In the equation these have the weight

    L = Σ P(x), over all x of candidates, and of fillings of the patterns, with Σ s_k x_k = 0,

and what else may be there has at most the weight

    X = Σ_k o_k min(M R_k, N R_k − S_k) + M P(two or more show no candidate).

o_k is `other` of picture k, R_k the probability that all others show candidates, N how many ways there are to fill the
patterns, M how many of these make the same sum at most, and S_k the weight of the others where a candidate of k makes
the equation true, so that k can show nothing else. Given the equation, each picture shows one of its candidates with a
probability of at least L / (L + X).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any

from sumnist.arithmetic.matching import Anything, Domain, Listed, Meeting, Pattern, log_sum
from sumnist.arithmetic.queries import Blanks, Query, Term
from sumnist.arithmetic.values import Value, Values, plain
from sumnist.errors import EquationError, NumberError

__all__ = ["Answer", "Solution", "solution_of"]

FORMAT = 1
"""The version of what `Solution.as_dict` gives."""
MANY = 1e300
"""Where counts of possibilities end."""


@dataclass(frozen=True)
class Answer:
    """What the equation says of one number in it.

    Attributes:
        term: The number as the query has it.
        before: The probabilities that were read on the picture alone; None of an unknown.
        after: Those given the equation, and given that each picture shows one of its candidates.
        reason: Why the reading of the picture alone is not accepted; None if it is, and of an unknown.
    """

    term: str
    before: Values | None
    after: Values
    reason: str | None = None

    @property
    def value(self) -> Value:
        """The most probable value."""
        return next(iter(self.after.probabilities))

    @property
    def probability(self) -> float:
        """That of `value`, given the equation."""
        return self.after.probabilities[self.value]

    @property
    def impossible(self) -> tuple[Value, ...]:
        """The candidates that cannot be, the one first that was the most probable."""
        read = self.before.probabilities if self.before else {}
        return tuple(value for value in read if value not in self.after.probabilities)

    def as_dict(self, count: int = 3) -> dict[str, Any]:
        """The answer as types that `json` writes, with up to `count` values, and as many that are impossible."""
        before = self.before.probabilities if self.before else {}
        after = list(self.after.probabilities.items())[:count]
        values = [{"value": plain(value), "before": before.get(value), "after": share} for value, share in after]
        return {
            "term": self.term, "value": plain(self.value), "probability": self.probability, "values": values,
            "impossible": [plain(value) for value in self.impossible[:count]],
            "other": self.before.other if self.before else None, "reason": self.reason,
        }  # fmt: skip


@dataclass(frozen=True)
class Solution:
    """What makes an equation true. Probabilities are given the equation, and given that each picture shows one of its
    candidates, if nothing else is said.

    Attributes:
        query: The equation as it is written.
        solved: The same with the numbers that together make it true most probably.
        probability: That of all these numbers together.
        unknowns: The patterns, and `_`, in the order of the query.
        pictures: What was read, each picture once, likewise.
        at_least: The least probability, given the equation, that each picture shows one of its candidates. What has a
            probability p has, without this condition, at least p · `at_least` and at most 1 − (1 − p) · `at_least`.
        is_true: The least and the greatest probability that the equation is true, by the pictures alone; None if there
            is an unknown in it.
    """

    query: str
    solved: str
    probability: float
    unknowns: tuple[Answer, ...]
    pictures: tuple[Answer, ...]
    at_least: float
    is_true: tuple[float, float] | None

    def as_dict(self, count: int = 3) -> dict[str, Any]:
        """The solution as types that `json` writes; a value with decimals is a string.

        Args:
            count: How many values of each number there are at most.

        Returns:
            `format`, the version of this form, which is 1, and every field by its name. Each of `unknowns` and
            `pictures` has `term`; `value`, the most probable one, and its `probability`; `values`, the most probable
            ones, each with its probability `before`, null if it was not read, and `after`; `impossible`, candidates
            that cannot be; `other`, the probability before of all that are no candidates; and `reason`, why the reading
            alone is not accepted.
        """
        return {
            "format": FORMAT, "query": self.query, "solved": self.solved, "probability": self.probability,
            "unknowns": [answer.as_dict(count) for answer in self.unknowns],
            "pictures": [answer.as_dict(count) for answer in self.pictures],
            "at_least": self.at_least, "is_true": None if self.is_true is None else list(self.is_true),
        }  # fmt: skip


class Quantity:
    """A number of an equation whose value is not known.

    Args:
        term: Where it stands first.
        content: `Blanks`, `Anything`, or what has `values`.
        places: The decimals of the equation, in whose last one everything is counted.

    Attributes:
        step: How often it counts, all on the left side.
        domain: What it may be.
        before: Its distribution, if it was read.
    """

    def __init__(self, term: Term, content: Any, places: int) -> None:
        self.term, self.step, self.places = term, 0, places
        self.own_places, self.before, self.reason = places, None, None
        self.listed: dict[int, Value] = {}
        self.domain: Domain = Anything()
        if isinstance(content, Blanks):
            self.own_places = content.places
            self.domain = Pattern(content.text + "0" * (places - content.places))
        elif not isinstance(content, Anything):
            self.before, self.reason = distribution(content), getattr(content, "reason", None)
            shares = {value: share for value, share in self.before.probabilities.items() if share > 0}
            if not shares:
                raise NumberError(f"{term.text}: has no candidate, expected at least one: read it anew")
            self.listed = {scaled(value, places): value for value in shares}
            self.domain = Listed({scaled(value, places): math.log(share) for value, share in shares.items()})

    def value(self, units: int) -> Value:
        """What so many of the last decimal place are."""
        if units in self.listed:
            return self.listed[units]
        number = units // 10 ** (self.places - self.own_places)
        return Decimal(f"{number}E-{self.own_places}") if self.own_places else number

    def answer(self, weights: Mapping[int, float]) -> Answer:
        """What log-weights of its values say, of which not all are −∞."""
        total = log_total(weights.values())
        ranked = sorted(weights.items(), key=lambda one: (-one[1], one[0]))
        shares = {self.value(units): math.exp(min(0.0, weight - total)) for units, weight in ranked}
        return Answer(self.term.text, self.before, Values(shares, 0.0), self.reason)


def solution_of(query: Query, readings: Mapping[Hashable, Any]) -> Solution:
    """What makes the equation of a query true.

    Args:
        query: The equation.
        readings: By the keys of `query.pictures`, what has `values`.

    Raises:
        EquationError: No candidates make it true.
        NumberError: There are more possibilities than are looked at, or a number has no candidate.
    """
    contents = [readings.get(term.key, term.content) for term in query.terms]
    places, total = max(map(places_of, contents)), 0
    quantities: dict[Hashable, Quantity] = {}
    for term, content in zip(query.terms, contents, strict=True):
        if isinstance(content, Value):
            total -= term.step * scaled(content, places)
            continue
        if term.key not in quantities:
            quantities[term.key] = Quantity(term, content, places)
        quantities[term.key].step += term.step
    moving = {key: one for key, one in quantities.items() if one.step}
    summands = [(one.step, one.domain) for one in moving.values()]
    meeting, best = Meeting(summands, total, log_sum), Meeting(summands, total, max)
    if meeting.log_weight == -math.inf:
        raise impossible(query, list(moving.values()), total)
    after = dict(zip(moving, meeting.posterior(), strict=True))
    chosen = dict(zip(moving, best.most_probable(), strict=True))
    together = best.log_weight - meeting.log_weight
    for key in quantities.keys() - moving.keys():  # what is added and subtracted as often
        after[key] = dict(quantities[key].domain.items())
        chosen[key] = max(after[key], key=after[key].__getitem__)
        together += after[key][chosen[key]] - log_total(after[key].values())
    answers = {key: one.answer(after[key]) for key, one in quantities.items()}
    unknowns = tuple(answer for answer in answers.values() if answer.before is None)
    doubt = foreign(list(moving.values()), list(map(after.__getitem__, moving)))
    weight = meeting.log_weight
    return Solution(
        query.text,
        query.filled({key: plain(quantities[key].value(units)) for key, units in chosen.items()}),
        math.exp(min(0.0, together)),
        unknowns,
        tuple(answer for answer in answers.values() if answer.before is not None),
        math.exp(-log_sum(0.0, math.log(doubt) - weight)) if doubt else 1.0,
        None if unknowns else (min(1.0, math.exp(weight)), min(1.0, math.exp(weight) + doubt)),
    )


def foreign(quantities: list[Quantity], after: list[Mapping[int, float]]) -> float:
    """The greatest weight, X, of what makes the equation true though a picture shows none of its candidates."""
    sizes = [min(one.domain.size, MANY) for one in quantities if one.before is None]
    ways, same = (float(min(math.prod(some), MANY)) for some in (sizes, sorted(sizes)[:-1]))
    read = [(one, one.before, mine) for one, mine in zip(quantities, after, strict=True) if one.before is not None]
    none, one_alone, more = 1.0, 0.0, 0.0  # how probable it is that so many show none
    for _, before, _ in read:
        more += one_alone * before.other
        one_alone = one_alone * (1 - before.other) + none * before.other
        none *= 1 - before.other
    found = more * same
    for quantity, before, weights in read:
        rest = math.prod(1 - other.other for one, other, _ in read if one is not quantity)
        fits = sum(math.exp(weight - quantity.domain.weight(value)) for value, weight in weights.items())
        found += before.other * max(0.0, min(same * rest, ways * rest - fits))
    return found


def impossible(query: Query, quantities: list[Quantity], total: int) -> EquationError:
    """The error that nothing makes the equation true."""
    read = [one for one in quantities if one.before is not None]
    named = " and ".join(one.term.text for one in read)
    tried = [f"no reading of {named}"] if len(read) == 1 else [f"no readings of {named} together"] if read else []
    tried += ["no digits in the place of _"] if len(read) < len(quantities) else []
    what = f"{' with '.join(tried)} makes it true"
    if len(quantities) == len(read) == 1:
        needed = Fraction(total, read[0].step * 10 ** read[0].places)
        what += f", which would have to be {needed}"
    other = 1 - math.prod(1 - one.before.other for one in read if one.before is not None)
    what += f"; that a picture shows none of its candidates has a probability of {other:.2g}" if other else ""
    return EquationError(f"{query.near()}: {what}: check the equation and the pictures")


def distribution(reading: Any) -> Values:
    """The values of a reading."""
    values: Values = reading if isinstance(reading, Values) else reading.values
    return values


def places_of(content: Any) -> int:
    """How many decimals a content has, at most."""
    if isinstance(content, Blanks):
        return content.places
    if isinstance(content, Decimal):
        return max(0, -int(content.as_tuple().exponent))
    if isinstance(content, int | Anything):
        return 0
    return max(map(places_of, distribution(content).probabilities), default=0)


def scaled(value: Value, places: int) -> int:
    """A value in units of a decimal place."""
    return int(Fraction(value) * 10**places)


def log_total(weights: Iterable[float]) -> float:
    """The logarithm of the sum of exponentials."""
    return reduce(log_sum, weights)

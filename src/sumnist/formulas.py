"""Parses and writes relations, such as "total = q1 + … + q12" and "mean = (max + min) / 2".

`arithmetic/relations` computes probabilities with them. This module does not need NumPy.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import Any

from sumnist.errors import LayoutError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
NAME_EXPECTED = "a name of up to 32 letters from a to z, digits and _, a letter first"
NUMBERED = re.compile(r"(.*?)([0-9]{1,9})")
"""The name of a numbered field, such as q12: its letters, and its number."""
SIGNS = {"+": 1, "-": -1, "−": -1}
DOTS = {"…", "..."}
TIMES = re.compile(r"[*×·]")
DIVIDED = re.compile(r"\s*\((.*)\)\s*[/:÷]\s*([0-9]{1,6})\s*|([^()+−-]*)[/:÷]\s*([0-9]{1,6})\s*", re.DOTALL)
"""A division: the dividend, in brackets unless it has no sign, and the divisor."""
LONGEST_FORMULA = 2_000
"""The most characters of a formula: ten times what a formula needs for all the fields that fit on a page."""
LARGEST_FACTOR = 999_999
"""The largest factor of a term, and the largest divisor."""
WIDEST = 200
"""The most fields that three dots may stand for."""
MISTAKE = 0.02
"""ε: the probability that a total is wrong, unless the user knows better."""


@dataclass(frozen=True)
class Relation:
    """An equation: a number, the total, is a weighted sum or a product of other numbers.

    Attributes:
        total: The name of the total.
        terms: The terms: a weight, mostly 1 or −1, and the name of a number.
        divisor: The divisor of the sum or product; the quotient is rounded.
        times: Whether the terms are multiplied instead of added; all weights but the first are then 1.
    """

    total: str
    terms: tuple[tuple[int, str], ...]
    divisor: int = 1
    times: bool = False

    @classmethod
    def of(cls, text: str) -> Relation:
        """Parse a relation. Raises `LayoutError`."""
        shown = f"formula {text[:80]!r}"
        total, equals, right = text.partition("=")
        if not equals or len(text) > LONGEST_FORMULA:
            raise LayoutError(f"{shown}: expected one = in {LONGEST_FORMULA:,} characters: write it as 't = q1 + q2'")
        divisor = 1
        if divided := DIVIDED.fullmatch(right):
            right, divisor = divided[1] or divided[3] or "", int(divided[2] or divided[4])
        before, *parts = re.split(r"([+−-])", right)
        parts = ["+", before, *parts] if before.strip() else parts
        pairs = [(SIGNS[sign], name.strip()) for sign, name in zip(parts[::2], parts[1::2], strict=True)]
        terms: list[tuple[int, str]] = []
        times = len(pairs) == 1 and sum(not one.strip().isdecimal() for one in TIMES.split(pairs[0][1])) > 1
        for place, (sign, name) in enumerate(pairs):
            if name in DOTS:
                terms += [(sign, inner) for inner in between(shown, pairs[max(0, place - 1) : place + 2])]
                continue
            factors = [one.strip() for one in TIMES.split(name)]
            weights = [int(one) for one in factors if re.fullmatch(r"[0-9]{1,6}", one)] if len(factors) > 1 else []
            names = [one for one in factors if not (weights and re.fullmatch(r"[0-9]{1,6}", one))]
            if (len(names) > 1 and not times) or not names:
                names = [name]
            terms += [(sign * prod(weights) if place == 0 else 1, one) for place, one in enumerate(names)]
        for name in (total.strip(), *(name for _, name in terms)) if terms else ("",):
            if not NAME.fullmatch(name):
                raise LayoutError(f"{shown}: {name[:40]!r} for a field's name, expected {NAME_EXPECTED}: correct it")
        check_relation(relation := cls(total.strip(), tuple(terms), divisor, times))
        return relation

    @property
    def text(self) -> str:
        """The relation as text, with every field written out."""
        if self.times:
            (weight, _), *_ = self.terms
            right = ("-" if weight < 0 else "") + " * ".join(
                [*[str(abs(weight))] * (abs(weight) > 1), *(name for _, name in self.terms)]
            )
        else:
            parts = [
                (" + " if weight > 0 else " - ") + f"{abs(weight)} * " * (abs(weight) > 1) + name
                for weight, name in self.terms
            ]
            right = "".join(parts).removeprefix(" + ").lstrip()
        if self.divisor > 1:
            right = f"({right})" if len(self.terms) > 1 or self.terms[0][0] < 0 else right
            right = f"{right} / {self.divisor}"
        return f"{self.total} = {right}"

    @property
    def names(self) -> tuple[str, ...]:
        """The total and the terms."""
        return self.total, *(name for _, name in self.terms)

    def result(self, values: Mapping[str, int]) -> int:
        """What the terms come to, divided and rounded, given their values."""
        return int(rounded(self.value([values[name] for _, name in self.terms]), self.divisor))

    def implied(self, name: str, values: Mapping[str, int], room: range) -> range:
        """All values of `name` in `room` that make the relation true, given the values of all its other numbers.

        If the result is rounded, several values of a term give the same total. If a factor is zero, all may, or none.
        """
        if name == self.total:
            low = high = self.result(values)
        else:
            at_zero, at_one = (
                int(self.value([value if one == name else values[one] for _, one in self.terms])) for value in (0, 1)
            )
            slope, exact = at_one - at_zero, self.divisor * values[self.total]
            least, most = exact - self.divisor // 2 - at_zero, exact + (self.divisor - 1) // 2 - at_zero
            if not slope:
                return room if least <= 0 <= most else range(0)
            least, most = (least, most) if slope > 0 else (-most, -least)
            low, high = -(-least // abs(slope)), most // abs(slope)
        return range(max(low, room.start), min(high + 1, room.stop))

    def value(self, terms: Sequence[Any]) -> Any:
        """The weighted sum or product of terms, before the division: numbers, or arrays of them."""
        parts = [weight * one for (weight, _), one in zip(self.terms, terms, strict=True)]
        return prod(parts) if self.times else sum(parts)


def check_relation(relation: Relation) -> None:
    """Raise `LayoutError` for a relation whose text could not be parsed again."""
    factors = relation.divisor, *(abs(weight) for weight, _ in relation.terms)
    if not relation.terms or not all(0 < factor <= LARGEST_FACTOR for factor in factors):
        raise LayoutError(f"formula of {relation.total}: its factors, expected 1 to {LARGEST_FACTOR:,}: correct them")
    if (length := len(relation.text)) > LONGEST_FORMULA:
        raise LayoutError(f"formula of {relation.total}: {length:,} signs, expected {LONGEST_FORMULA:,}: shorten names")


def rounded(sums: Any, divisor: int) -> Any:
    """Sums divided by `divisor` and rounded to the nearest whole number, halves up: numbers, or arrays of them."""
    return sums if divisor == 1 else (2 * sums + divisor) // (2 * divisor)


def between(shown: str, triple: list[tuple[int, str]]) -> Iterator[str]:
    """The names that dots stand for; the dots are the middle one of the three terms. Raises `LayoutError`."""
    first, last = (NUMBERED.fullmatch(name) for _, name in (triple[0], triple[-1]))
    if len(triple) == 3 and first and last and first[1] == last[1] and len({sign for sign, _ in triple}) == 1:
        low, high, width = int(first[2]), int(last[2]), len(first[2]) if first[2].startswith("0") else 0
        if low < high <= low + WIDEST:
            return (f"{first[1]}{number:0{width}}" for number in range(low + 1, high))
    raise LayoutError(f"{shown}: dots, expected between names that count up, with one sign, to {WIDEST}: write it out")


def in_order(relations: Iterable[Relation], names: Iterable[str]) -> list[Relation]:
    """Check the relations over the fields `names`, and sort them: a relation comes after those of its terms.

    Raises `LayoutError` if a field is unknown, stands twice in a relation, or is a part of itself.
    """
    known, by_total = set(names), dict[str, list[Relation]]()
    for relation in relations:
        for name in relation.names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                mend = f"did you mean {near[0]}?" if near else "add the field, or correct the name"
                raise LayoutError(f"formula {relation.text[:80]!r}: no field is named {name}, expected one: {mend}")
        if not relation.terms or not all(weight for weight, _ in relation.terms) or relation.divisor < 1:
            expected = "terms with weights other than 0, and a divisor of 1 or more: correct them"
            raise LayoutError(
                f"formula of {relation.total}: {relation.terms} by {relation.divisor}, expected {expected}"
            )
        if twice := next((name for _, name in relation.terms if sum(name == one for _, one in relation.terms) > 1), ""):
            raise LayoutError(f"{twice}: is twice in the formula of {relation.total}, expected once: write 2 * {twice}")
        if relation in by_total.setdefault(relation.total, []):
            raise LayoutError(f"formula {relation.text[:80]!r}: is there twice, expected it once: leave one out")
        by_total[relation.total].append(relation)
    # Not sets: their order differs from run to run, and with it the last bits of what is summed in this order.
    parts = {name: dict.fromkeys(term for one in many for _, term in one.terms) for name, many in by_total.items()}
    try:
        place = {name: place for place, name in enumerate(TopologicalSorter(parts).static_order())}
    except CycleError as error:
        circle = error.args[1][::-1]
        way = " of ".join(circle)
        raise LayoutError(f"field {circle[0]}: is part of itself, by {way}, expected no circle: drop one") from error
    return sorted((one for many in by_total.values() for one in many), key=lambda one: place[one.total])

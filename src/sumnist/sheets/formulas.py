"""Formulas of a form: a total is what other fields add up to, less those with a minus.

    total = q1 + … + q12
    change = paid - price

Every field is in one formula at most, and a total may be in another one, so that formulas are trees: what is known of
one number then reaches every other one along one path, and each can be told exactly.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sumnist.errors import LayoutError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
NAME_EXPECTED = "a name of up to 32 letters from a to z, digits and _, a letter first"
NUMBERED = re.compile(r"(.*?)([0-9]{1,9})")
"""The name of a field that is one of several: what they share, and its number."""
SIGNS = {"+": 1, "-": -1, "−": -1}
DOTS = {"…", "..."}
LONGEST = 2_000
"""Characters of a formula: ten times one of as many fields as fit on a page."""
WIDEST = 200
"""Fields that three dots may stand for."""


@dataclass(frozen=True)
class Formula:
    """What a total is.

    Attributes:
        total: The name of the field that is the total.
        terms: What it is made of: 1 or −1, and the name of a field.
    """

    total: str
    terms: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, text: str) -> Formula:
        """The formula that is written as `text`. Raises `LayoutError`."""
        shown = f"formula {text[:80]!r}"
        total, equals, right = text.partition("=")
        if not equals or len(text) > LONGEST:
            raise LayoutError(
                f"{shown}: expected one = in at most {LONGEST:,} characters: write it as in 'total = q1 + q2'"
            )
        before, *parts = re.split(r"([+−-])", right)
        parts = ["+", before, *parts] if before.strip() else parts
        pairs = [(SIGNS[sign], name.strip()) for sign, name in zip(parts[::2], parts[1::2], strict=True)]
        terms: list[tuple[int, str]] = []
        for place, (sign, name) in enumerate(pairs):
            if name in DOTS:
                terms += [(sign, inner) for inner in between(shown, pairs[max(0, place - 1) : place + 2])]
            else:
                terms.append((sign, name))
        for name in (total.strip(), *(name for _, name in terms)) if terms else ("",):
            if not NAME.fullmatch(name):
                raise LayoutError(
                    f"{shown}: {name[:40]!r} where a field is named, expected {NAME_EXPECTED}: correct it"
                )
        return cls(total.strip(), tuple(terms))

    @property
    def text(self) -> str:
        """The formula as it is written, every field of it."""
        first, *rest = ((" + " if sign > 0 else " - ") + name for sign, name in self.terms)
        return f"{self.total} = {first.removeprefix(' + ').lstrip()}{''.join(rest)}"


def between(shown: str, triple: list[tuple[int, str]]) -> Iterator[str]:
    """The names that dots stand for, in the middle of three terms. Raises `LayoutError`."""
    ends = [NUMBERED.fullmatch(name) for _, name in (triple[0], triple[-1])] if len(triple) == 3 else []
    match ends:
        case [re.Match() as first, re.Match() as last] if (
            first[1] == last[1] and len({sign for sign, _ in triple}) == 1
        ):
            low, high, width = int(first[2]), int(last[2]), len(first[2]) if first[2].startswith("0") else 0
            if low < high <= low + WIDEST:
                return (f"{first[1]}{number:0{width}}" for number in range(low + 1, high))
    raise LayoutError(
        f"{shown}: its dots do not stand between two names that count up, with one sign, expected as in "
        f"'q1 + … + q12', over at most {WIDEST} fields: write the terms out"
    )


def in_order(formulas: Iterable[Formula], names: Iterable[str]) -> list[Formula]:
    """The formulas over the fields `names`, each after those of the totals in it.

    Raises `LayoutError`: a field is unknown, is the total of two formulas, is in two places, or is a part of itself.
    """
    known, by_total, parent = set(names), dict[str, Formula](), dict[str, str]()
    for formula in formulas:
        for name in (formula.total, *(name for _, name in formula.terms)):
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                mend = f"did you mean {near[0]}?" if near else "add the field, or correct the name"
                raise LayoutError(
                    f"formula {formula.text[:80]!r}: no field is named {name}, expected those there are: {mend}"
                )
        if any(sign not in (1, -1) for sign, _ in formula.terms):
            raise LayoutError(f"formula of {formula.total}: {formula.terms}, expected signs of 1 or -1: correct them")
        if formula.total in by_total:
            raise LayoutError(f"field {formula.total}: has two formulas, expected one: leave one of them out")
        by_total[formula.total] = formula
        for _, name in formula.terms:
            if name in parent:
                where = (
                    f"twice in the formula of {formula.total}" if parent[name] == formula.total else
                    f"in the formulas of {parent[name]} and of {formula.total}"
                )  # fmt: skip
                raise LayoutError(
                    f"field {name}: is {where}, expected it once: make a total of others a part of the second"
                )
            parent[name] = formula.total
    return sorted(by_total.values(), key=lambda formula: -len(above(formula.total, parent)))


def above(name: str, parent: dict[str, str]) -> list[str]:
    """The totals that a field is a part of, the nearest first. Raises `LayoutError` if it is a part of itself."""
    chain: list[str] = []
    while name in parent:
        name = parent[name]
        if name in chain:
            circle = " of ".join([*chain[chain.index(name) :], name])
            raise LayoutError(
                f"field {name}: is a part of itself, by {circle}, expected no circle: take it out of one of them"
            )
        chain.append(name)
    return chain

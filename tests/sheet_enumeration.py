"""Sheets by counting out all numbers of all fields, and the writer's channel by strings: the oracle of the check."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sumnist.formulas import Relation

WEIGHTS = {"off by one": 0.25, "carry": 0.25, "swapped": 0.05, "skipped": 0.2, "anything": 0.25}


CUT_OFF = 0.05
"""How often somebody cuts off what is left, instead of rounding."""


def come_to(relation: Relation, values: Sequence[int], without: int | None = None) -> int:
    """What values come to, before it is divided; perhaps without one of them."""
    parts = [weight * value for place, ((weight, _), value) in enumerate(zip(relation.terms, values, strict=True))
             if place != without]  # fmt: skip
    return math.prod(parts) if relation.times else sum(parts)


def nearest(relation: Relation, whole: int) -> int:
    """Divided and rounded, up from halfway."""
    return int((Fraction(whole, relation.divisor) + Fraction(1, 2)).__floor__())


def alternatives(relation: Relation, values: Sequence[int], largest: int, halves: bool) -> dict[str, list[int | None]]:
    """Of each kind of mistake all totals that may be written, each as probable; None if it cannot be."""
    f, unit = nearest(relation, come_to(relation, values)), 2 if halves else 1
    carries = [unit * 10**place for place in range(1, 20) if unit * 10**place <= largest]
    swapped: list[int | None] = []
    digits = str(f // unit) if f >= 0 else ""
    for place in range(len(digits) - 1):
        other = digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
        swapped.append(None if other == digits or other[0] == "0" else unit * int(other) + f % unit)
    return {
        "off by one": [f + sign * step for step in ([1, 2] if halves else [1]) for sign in (1, -1)],
        "carry": [f + sign * step for step in carries for sign in (1, -1)],
        "swapped": swapped,
        "skipped": [None if weight * value == int(relation.times) else nearest(relation, come_to(relation, values, at))
                    for at, ((weight, _), value) in enumerate(zip(relation.terms, values, strict=True))],
    }  # fmt: skip


@lru_cache(2**16)
def channel(
    relation: Relation, values: tuple[int, ...], room: range, mistake: float, halves: bool = False
) -> dict[tuple[int, str], float]:
    """The probability of each total of a room, and of each way to come to it: as the docs say."""
    whole = come_to(relation, values)
    f = nearest(relation, whole)
    rest = Fraction(whole, relation.divisor) - f
    other = 0.5 if rest == Fraction(-1, 2) else CUT_OFF if rest else 0.0
    ways: list[tuple[int | None, str, float]] = [
        (f, "right", (1 - mistake) * (1 - other)), (f + (1 if rest > 0 else -1), "right", (1 - mistake) * other),
    ]  # fmt: skip
    lost = mistake * WEIGHTS["anything"]
    for kind, totals in alternatives(relation, values, room[-1], halves).items():
        ways += [(total, kind, mistake * WEIGHTS[kind] / len(totals)) for total in totals]
        lost += mistake * WEIGHTS[kind] * (not totals)
    found: defaultdict[tuple[int, str], float] = defaultdict(float)
    for total, kind, share in ways:
        if total is not None and total in room:
            found[total, kind] += share
        else:
            lost += share
    others = [total for total in room if total != f]
    for total in others:
        found[total, "anything"] += lost / len(others)
    return dict(found)


class Form(NamedTuple):
    """A form, and what is read on it: likelihoods `[largest + 1]` of each field."""

    likelihoods: dict[str, NDArray[np.float64]]
    formulas: list[Relation]
    mistake: float
    halves: frozenset[str] = frozenset()

    @property
    def largest(self) -> dict[str, int]:
        return {name: len(shares) - 1 for name, shares in self.likelihoods.items()}

    @property
    def evidence(self) -> dict[str, NDArray[np.float64]]:
        with np.errstate(divide="ignore"):
            return {name: np.log(shares) for name, shares in self.likelihoods.items()}


class Way(NamedTuple):
    """Numbers of all fields, how the writer came to each total, and how probable that is."""

    values: dict[str, int]
    kinds: dict[str, str]
    weight: float


def ways(form: Form) -> Iterator[Way]:
    """All that may be on a sheet, with weights that are not normalised."""
    names = list(form.likelihoods)
    for numbers in product(*(range(len(shares)) for shares in form.likelihoods.values())):
        values = dict(zip(names, numbers, strict=True))
        weight = float(np.prod([form.likelihoods[name][value] for name, value in values.items()]))
        if not weight:
            continue
        written: list[dict[str, float]] = []
        for formula in form.formulas:
            terms, room = tuple(values[name] for _, name in formula.terms), range(form.largest[formula.total] + 1)
            made = channel(formula, terms, room, form.mistake, formula.total in form.halves)
            written.append({kind: share for (total, kind), share in made.items() if total == values[formula.total]})
        for kinds in product(*written):
            share = float(np.prod([one[kind] for one, kind in zip(written, kinds, strict=True)]))
            if share:
                totals = [formula.total for formula in form.formulas]
                yield Way(values, dict(zip(totals, kinds, strict=True)), weight * share)


def by_values(counted: Sequence[Way]) -> dict[tuple[int, ...], float]:
    """The probability of all numbers together, whatever the writer did."""
    found: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for way in counted:
        found[tuple(way.values.values())] += way.weight
    whole = sum(found.values())
    return {values: weight / whole for values, weight in found.items()}


SHAPES = [
    (dict(zip(names, largest, strict=True), t=most), [Relation.of(text) for text in texts])
    for names, largest, most, texts in (
        ("ab", (3, 4), 8, ["t = a + b"]), ("ab", (3, 4), 5, ["t = a + b"]), ("ab", (5, 4), 6, ["t = a - b"]),
        ("a", (12,), 21, ["t = a"]), ("abc", (2, 3, 2), 6, ["t = a - b + c"]),
        ("absc", (2, 2, 3, 2), 4, ["s = a + b", "t = s + c"]), ("abs", (2, 2, 3), 2, ["s = a + b", "t = - s"]),
        ("asbz", (2, 3, 2, 1), 3, ["s = a", "t = b"]),
    )
]  # fmt: skip
"""Sums, a total too small for them, differences, subtotals, two formulas, and a field in none."""


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """A form with likelihoods that are mostly one number, or some, or anything."""
    largest, formulas = draw(st.sampled_from(SHAPES))
    share = st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-12, 1.0))
    likelihoods = {}
    for name, most in largest.items():
        shares = draw(st.lists(share, min_size=most + 1, max_size=most + 1).filter(any))
        likelihoods[name] = np.array(shares)
    mistake = draw(st.sampled_from([0.02, 0.3, 0.999, 1.0, 1e-9]))
    halves = draw(st.sets(st.sampled_from([formula.total for formula in formulas])))
    return Form(likelihoods, formulas, mistake, frozenset(halves))


def read(form: Mapping[str, int], values: Mapping[str, int], other: float = 1e-6) -> dict[str, NDArray[np.float64]]:
    """Log-probabilities of a sure reading of each field."""
    found = {}
    for name, largest in form.items():
        shares = np.full(largest + 1, other / largest)
        shares[values[name]] = 1 - other
        found[name] = np.log(shares)
    return found

"""Decides what to say of a sheet, given the posterior of its numbers (`arithmetic/relations`).

The most probable combination of numbers is taken if its probability is at least `SURE`. Then the sheet adds up as it is
read, adds up after corrections, or does not add up. A less sure sheet also counts as "does not add up" if one of its
totals is wrong with at least the probability `WRONG`, whatever the numbers are. `WRONG` is less than `SURE`, because a
person looks at such a sheet in any case. All other sheets are doubtful.

If the numbers are not sure, a person should look at as few cells as possible. They are the smallest set C of fields
with

    Σ_c  max { P(x) : x has the numbers c in C }  ≥  SETTLED,

where the sum goes over all numbers c that the fields in C may have. The sum is the probability that the most probable
numbers are right once the numbers in C are known. All sets are tried, the smallest first, on all combinations of
plausible numbers. Among sets of one size, the set with the largest sum is taken. The combinations that are left out
could only make the sum larger.

If there are too many combinations or sets, the most doubtful cells are taken instead, until the doubts of all other
cells add up to at most 1 − `SETTLED`. Then the other cells' most probable numbers are right with at least the
probability `SETTLED`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.relations import KINDS, RIGHT, UNKNOWN, Kind, Posterior, plain

Outcome = Literal["adds up", "corrected", "does not add up", "doubtful", "blank"]
"""What the check says of a sheet."""
SURE = 0.995
"""If all numbers together have at least this probability, they are taken: one such sheet in two hundred may be
wrong."""
WRONG = 0.9
"""If a total is wrong with at least this probability, the program says so: one such sheet in ten may be right."""
SETTLED = 0.995
"""Cells settle a sheet if its most probable numbers are right with at least this probability once the cells are known.
It could be lower, because a sheet is judged again after a person has looked at it."""
TRIED = 2**24
"""The most combinations of numbers, times sets of cells, to try: about a second of work."""
RARE = 1e-4
"""Combinations less probable than this share of the allowed doubt, 1 − `SETTLED`, are not listed. The limit rises
tenfold while too many combinations remain."""
LEFT = 0.1
"""The least probable of the listed combinations are left out, up to this share of the allowed doubt."""
SHOWN = 0.01
"""A candidate of a doubtful cell is shown if it has at least this probability; the two best candidates are always
shown."""


class Correction(NamedTuple):
    """A cell whose number the sums change."""

    field: str
    read: int | None
    value: int
    probability: float
    """The probability of the value, whatever the other numbers are."""


class WrongTotal(NamedTuple):
    """A total that is not the sum of its terms, with the most probable kind of slip."""

    field: str
    written: int
    sum: int
    kind: Kind
    probability: float
    """The probability of that kind, if the numbers are read right."""


class DoubtfulField(NamedTuple):
    """A cell to look at, with its candidates, the most probable first; None stands for any other number."""

    field: str
    candidates: tuple[tuple[int | None, float], ...]


@dataclass(frozen=True)
class Verdict:
    """What the program says of a sheet.

    Attributes:
        state: "adds up" as it is read; "corrected", so that it adds up; "does not add up", however its cells are
            read; or "doubtful".
        probability: The probability of all values together.
        values: The most probable combination of the numbers of all fields; None for an unknown number.
        corrections: The cells whose numbers the sums change, if the numbers are sure.
        wrong: The totals that are wrong, if the sheet does not add up.
        look: The fewest cells that settle the sheet, if its numbers are not sure.
    """

    state: Outcome
    probability: float
    values: Mapping[str, int | None]
    corrections: tuple[Correction, ...] = ()
    wrong: tuple[WrongTotal, ...] = ()
    look: tuple[DoubtfulField, ...] = ()


def verdict(posterior: Posterior) -> Verdict:
    """Decide what to say of a sheet, given the posterior of its numbers."""
    values, probability = solved(posterior)
    known = {name: value for name, value in values.items() if value is not None}
    totals = wrong_totals(posterior, known) if len(known) == len(values) else ()
    is_sure = len(known) == len(values) and probability >= SURE
    look = () if is_sure else cells(posterior)
    is_wrong = bool(totals) and (is_sure or wrongness(posterior, totals) >= WRONG)
    corrections = []
    for name, value in known.items() if is_sure else ():
        if (read := posterior.read[name]) != value:
            numbers, shares = posterior.numbers[name]
            # A number that a relation implies is at least as probable as all numbers together.
            share = float(max(shares[numbers == value].sum(), probability))
            corrections.append(Correction(name, read, value, share))
    outcome: Outcome = "corrected" if corrections else "adds up"
    outcome = "does not add up" if is_wrong else outcome if is_sure else "doubtful"
    return Verdict(outcome, probability, values, tuple(corrections), totals if is_wrong else (), look)


def wrongness(posterior: Posterior, totals: Sequence[WrongTotal]) -> float:
    """The largest probability that one of these totals is wrong."""
    named = {one.field for one in totals}
    return max(1 - ways["right"] for relation, ways in posterior.kinds.items() if relation.total in named)


def solved(posterior: Posterior) -> tuple[dict[str, int | None], float]:
    """The most probable combination of numbers, and its probability. If exactly one number of a relation is none of its
    candidates, it is computed from the others, provided that just one value fits that the field has room for."""
    model, values, probability = posterior.model, dict(posterior.values), posterior.probability
    for relation, writer in model.writers.items():
        lacking = [name for name in relation.names if posterior.values[name] is None]
        if len(lacking) == 1 and values[lacking[0]] is None:
            (name,) = lacking
            known, listed = {one: value or 0 for one, value in values.items()}, set(posterior.numbers[name][0].tolist())
            fitting = [value for value in relation.implied(name, known, model.rooms[name]) if value not in listed]
            if len(fitting) == 1:
                values[name] = fitting[0]
                probability *= 1 - writer.mistake
    return values, probability


def wrong_totals(posterior: Posterior, values: Mapping[str, int]) -> tuple[WrongTotal, ...]:
    """The totals that differ from the value of their formula."""
    found = []
    for relation, writer in posterior.model.writers.items():
        terms = np.array([[weight * values[name] for weight, name in relation.terms]])
        written = np.array([values[relation.total]])
        (ways,) = writer.kinds(written, terms)
        due = writer.rounded(relation.value([values[name] for _, name in relation.terms]))
        if due != written[0] and (relation.divisor == 1 or not ways[RIGHT]):
            kind, share = KINDS[int(ways.argmax())], float(ways.max() / ways.sum())
            found.append(WrongTotal(relation.total, int(written[0]), due, kind, share))
    return tuple(found)


def cells(posterior: Posterior) -> tuple[DoubtfulField, ...]:
    """The fewest cells that settle a sheet."""
    names = fewest(posterior)
    if names is None:
        doubts = {}
        for name in posterior.model.rooms:
            numbers, shares = posterior.numbers[name]
            doubts[name] = 1 - float(shares[numbers != UNKNOWN].max(initial=0.0))
        ordered = sorted(doubts, key=lambda name: -doubts[name])
        left = np.cumsum([doubts[name] for name in reversed(ordered)])
        names = ordered[: max(1, len(ordered) - int((left <= 1 - SETTLED).sum()))]
    return tuple(DoubtfulField(name, shown(posterior, name)) for name in posterior.model.rooms if name in names)


def shown(posterior: Posterior, name: str) -> tuple[tuple[int | None, float], ...]:
    """The candidates of a cell that are shown, with their probabilities."""
    numbers, shares = posterior.numbers[name]
    best = np.argsort(-shares, kind="stable")
    count = max(2, int((shares >= SHOWN).sum()))
    return tuple((plain(numbers[place]), float(shares[place])) for place in best[:count])


def fewest(posterior: Posterior) -> Sequence[str] | None:
    """The smallest set of fields that settles a sheet; None if there are too many combinations or sets."""
    least, listed = RARE * (1 - SETTLED), None
    while listed is None and least < 1:
        listed = posterior.listed(least)
        least *= 10
    if listed is None:
        return None
    values, shares = listed
    order = np.argsort(-shares)
    count = 1 + int((np.cumsum(shares[order]) < shares.sum() - LEFT * (1 - SETTLED)).sum())
    values, shares = {name: numbers[order[:count]] for name, numbers in values.items()}, shares[order[:count]]
    codes = {name: np.unique(numbers, return_inverse=True)[1] for name, numbers in values.items()}
    unknown = {name: numbers == UNKNOWN for name, numbers in values.items()}
    doubtful = [name for name in posterior.model.rooms if codes[name].any() or unknown[name].any()]
    for size in range(1, len(doubtful) + 1):
        if comb(len(doubtful), size) * len(shares) > TRIED:
            return None
        sets = list(combinations(doubtful, size))
        found = [right(codes, unknown, shares, chosen) for chosen in sets]
        best = int(np.argmax(found))
        if found[best] >= SETTLED:
            return sets[best]
    return None


def right(
    codes: Mapping[str, NDArray[np.int64]], unknown: Mapping[str, NDArray[np.bool_]], shares: NDArray[np.float64],
    chosen: Sequence[str],
) -> float:  # fmt: skip
    """The probability that the most probable numbers are right, once the numbers of the chosen fields are known."""
    group = np.zeros(len(shares), np.int64)
    for name in chosen:
        group = group * (codes[name].max() + 1) + codes[name]
    free = [name for name in unknown if name not in chosen and unknown[name].any()]
    shares = np.where(np.any([unknown[name] for name in free], axis=0), 0.0, shares) if free else shares
    _, group = np.unique(group, return_inverse=True)
    best = np.zeros(group.max() + 1)
    np.maximum.at(best, group, shares)
    return float(best.sum())

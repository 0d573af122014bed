"""What to say of a sheet, by the posterior of its numbers (`arithmetic/relations`).

If the most probable numbers of all fields have the probability `SURE` together, they are taken: the sheet adds up as it
is read, or with cells corrected. If a total is wrong with the probability `WRONG`, whatever the numbers are, that is
said, and is less than `SURE`: a person looks at such a sheet in any case. Otherwise it is doubtful. Of a sheet that is
not taken a person should look at the fewest cells that settle it: the smallest set C of fields with

    Σ_c  max { P(x) : x has the numbers c in C }  ≥  SETTLED,

where the sum is over what may be seen in C. It is the probability that the most probable numbers, once those in C are
known, are right. All sets are tried, the smallest first, on all combinations of plausible numbers; of those that are as
small the one that settles most is taken. The combinations that are left out only make the sum smaller. If there are too
many combinations or sets, the most doubtful cells are taken, so many that the doubts of all others add up to
1 − `SETTLED` at most: then the others' most probable numbers are right with at least that probability.
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
SURE = 0.995
"""The probability of all numbers together from which on they are taken: one sheet in two hundred may be wrong."""
WRONG = 0.9
"""The probability of a wrong total from which on it is told: with one such sheet in ten all may be right."""
SETTLED = 0.995
"""The probability that cells settle a sheet. It may be lower: a sheet that was looked at is judged again."""
TRIED = 2**24
"""Combinations of numbers, times sets of cells, that are tried: about a second."""
RARE = 1e-4
"""Combinations that are less probable than so much of the doubt that is allowed are not looked for, if there are many
likelier ones not even some that are more probable."""
LEFT = 0.1
"""The share of the doubt that is allowed which the least probable combinations that were found may have: left out."""
SHOWN = 0.01
"""The probability from which on a candidate of a doubtful cell is shown; the two best ones always are."""


class Correction(NamedTuple):
    """A cell whose number, by the sums, is not what was read."""

    field: str
    read: int | None
    value: int
    probability: float
    """Of the value, whatever all others are."""


class WrongTotal(NamedTuple):
    """A total that is not the sum of its terms, and how the writer most probably came to it."""

    field: str
    written: int
    sum: int
    kind: Kind
    probability: float
    """Of the kind, if these are the numbers."""


class Cell(NamedTuple):
    """A cell to look at, and what it may be, the most probable first; None is any other number."""

    field: str
    candidates: tuple[tuple[int | None, float], ...]


@dataclass(frozen=True)
class Verdict:
    """What to say of a sheet.

    Attributes:
        outcome: "adds up" as it is read; "corrected" to add up; "does not add up", whatever its cells are; or
            "doubtful".
        probability: Of all values together.
        values: The most probable numbers of all fields together; None for one that is not known.
        corrections: The cells that are read otherwise, if the sheet is not doubtful.
        wrong: The totals that are wrong, if the sheet does not add up.
        look: The fewest cells that settle it, if they are not sure.
    """

    outcome: Outcome
    probability: float
    values: Mapping[str, int | None]
    corrections: tuple[Correction, ...] = ()
    wrong: tuple[WrongTotal, ...] = ()
    look: tuple[Cell, ...] = ()


def verdict(posterior: Posterior) -> Verdict:
    """What to say of a sheet, by the posterior of its numbers."""
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
            # One that is implied is as probable as all numbers together.
            share = float(max(shares[numbers == value].sum(), probability))
            corrections.append(Correction(name, read, value, share))
    outcome: Outcome = "corrected" if corrections else "adds up"
    outcome = "does not add up" if is_wrong else outcome if is_sure else "doubtful"
    return Verdict(outcome, probability, values, tuple(corrections), totals if is_wrong else (), look)


def wrongness(posterior: Posterior, totals: Sequence[WrongTotal]) -> float:
    """How probably one of some totals is wrong."""
    named = {one.field for one in totals}
    return max(1 - ways["right"] for relation, ways in posterior.kinds.items() if relation.total in named)


def solved(posterior: Posterior) -> tuple[dict[str, int | None], float]:
    """The most probable numbers of all fields, and their probability together; one that is none of its candidates is
    what makes a relation right, if all others there are known and there is room for it."""
    model, values, probability = posterior.model, dict(posterior.values), posterior.probability
    for relation, writer in model.writers.items():
        lacking = [name for name in relation.names if posterior.values[name] is None]
        if len(lacking) == 1 and values[lacking[0]] is None:
            (name,) = lacking
            own = relation.implied(name, {one: value or 0 for one, value in values.items()})
            if own is not None and own in model.rooms[name] and own not in posterior.numbers[name][0]:
                values[name] = own
                probability *= 1 - writer.mistake
    return values, probability


def wrong_totals(posterior: Posterior, values: Mapping[str, int]) -> tuple[WrongTotal, ...]:
    """The totals that are not what their terms come to."""
    found = []
    for relation, writer in posterior.model.writers.items():
        terms = np.array([[weight * values[name] for weight, name in relation.terms]])
        written = np.array([values[relation.total]])
        (ways,) = writer.kinds(written, terms)
        own = writer.rounded(relation.value([values[name] for _, name in relation.terms]))
        if own != written[0] and (relation.divisor == 1 or not ways[RIGHT]):
            kind, share = KINDS[int(ways.argmax())], float(ways.max() / ways.sum())
            found.append(WrongTotal(relation.total, int(written[0]), own, kind, share))
    return tuple(found)


def cells(posterior: Posterior) -> tuple[Cell, ...]:
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
    return tuple(Cell(name, shown(posterior, name)) for name in posterior.model.rooms if name in names)


def shown(posterior: Posterior, name: str) -> tuple[tuple[int | None, float], ...]:
    """What a cell may be."""
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
    """How probably the most probable numbers are right, once those of the chosen fields are known."""
    group = np.zeros(len(shares), np.int64)
    for name in chosen:
        group = group * (codes[name].max() + 1) + codes[name]
    free = [name for name in unknown if name not in chosen and unknown[name].any()]
    shares = np.where(np.any([unknown[name] for name in free], axis=0), 0.0, shares) if free else shares
    _, group = np.unique(group, return_inverse=True)
    best = np.zeros(group.max() + 1)
    np.maximum.at(best, group, shares)
    return float(best.sum())

"""What is seen in the cells of a field → how probable that makes each of its numbers.

A reader of cells gives the likelihood of each class (a digit, a number of several, empty, filler, crossed out),
relative to that of any picture: its probability divided by the prior that it was trained with. With

- w(x), that x is written in the boxes: its digits in neighbouring ones, mostly the last, and nothing in the others; or
  in the strip, by the reader of numbers, whose own prior is divided out as well;
- b, f, c, that they are blank, filled with what means nothing ("–"), or crossed out; and for the correction w′ and b′,

a field has the number x with the likelihood

    number      ORDINARY · s(x) · w(x) · b′      s: how often a zero is written as one; 1 for all others
    empty       (ORDINARY · [x = 0] · s + l) · b · b′       l: how often it was forgotten, or a total left out
    filler      ORDINARY · [x = 0] · s · f · b′
    correction  (CORRECTED · c + WRITTEN_ANEW · mean w) · w′(x)
    unclear     VOID · c · b′ + OTHERWISE

of which the last says the same of all numbers: there is always a chance that the cells show what no class describes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.values import ordered
from sumnist.inference.cells import CELL_CLASSES
from sumnist.sheets.check import DENSE
from sumnist.sheets.layout import Field
from sumnist.sheets.readings import Evidence

__all__ = ["Seen", "Shown", "in_boxes", "in_strip", "seen"]

How = Literal["number", "empty", "filler", "correction", "unclear"]
"""How a field shows its number."""
HOW: tuple[How, ...] = get_args(How)

DIGITS, SEVERAL, EMPTY, FILLER, CROSSED = slice(0, 10), 10, 11, 12, 13
"""The places of the classes in `CELL_CLASSES`."""
assert CELL_CLASSES[SEVERAL:] == ("number", "empty", "filler", "crossed")

ORDINARY, CORRECTED, WRITTEN_ANEW, VOID, OTHERWISE = 0.946, 0.04, 0.005, 0.002, 0.002
"""How often a field is filled in as asked; crossed out and corrected; corrected without being crossed out; crossed out
and left so; or shows what no class describes. By judgement, not estimated: orders of magnitude are what counts."""
FORGOTTEN, LEFT_OUT = 0.004, 0.03
"""The share of the empty fields whose number was forgotten, for those that mean zero; how often a total is left out."""
ZERO = {"number": 0.6, "empty": 0.25, "filler": 0.15}
"""How a zero is shown. Nobody leaves a total of zero out, or fills it."""
LAST, SHIFTED, LED = 0.93, 0.05, 0.02
"""Where the digits of a number stand that has fewer than there are boxes: in the last ones, in others, or in the last
ones behind zeros."""
NO_HALF = 0.5
"""Share of the whole numbers with nothing behind the point, where there is a box for halves, not with a 0."""
PARTLY = {CROSSED: 0.8, EMPTY: 0.15}
"""What the boxes of a number show that is crossed out; any digit for the rest."""
KEPT = 48
"""Numbers that are candidates, where a field may have more than can all be looked at."""
LENGTHS = (0.09, 0.16, 0.15, 0.16, 0.15, 0.10, 0.06, 0.04, 0.03, 0.025, 0.02, 0.015)
"""Shares of numbers with 1, 2, … 12 digits among those that the reader of strips learned from (`data/texts`)."""

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Shown:
    """What the boxes, or the strip, of a number show: likelihoods, relative to that of any picture.

    Attributes:
        values: Numbers in units of the field, ascending, `[k]`.
        written: That each is written, `[k]`.
        rest: That any one other is.
        mean: The mean over all numbers of the field.
        blank, filler, crossed: That there is no number, but this.
    """

    values: Numbers
    written: Floats
    rest: float
    mean: float
    blank: float
    filler: float
    crossed: float

    def at(self, values: Numbers) -> Floats:
        """The likelihoods of numbers `[n]`."""
        if not len(self.values):
            return np.full(len(values), self.rest)
        places = np.searchsorted(self.values, values).clip(max=len(self.values) - 1)
        return np.where(self.values[places] == values, self.written[places], self.rest)


@dataclass(frozen=True)
class Seen:
    """What is seen of a field.

    Attributes:
        evidence: Likelihoods of its numbers, as `Check` takes them.
        ways: By number, the likelihood of each way of showing it; None is any other number.
    """

    evidence: Evidence
    ways: Mapping[int | None, Floats]

    def how(self, value: int | None) -> How:
        """How the field shows a number, most probably."""
        return HOW[int(self.ways.get(value, self.ways[None]).argmax())]


def seen(field: Field, main: Shown, correction: Shown, is_total: bool) -> Seen:
    """What is seen of a field in its cells, and in those of its correction."""
    values = np.union1d(np.union1d(main.values, correction.values), [0])
    anew, zero = CORRECTED * main.crossed + WRITTEN_ANEW * main.mean, values == 0
    lacking = LEFT_OUT if is_total else ORDINARY * ZERO["empty"] * FORGOTTEN / field.largest
    shares = {"number": 1.0, "empty": 0.0, "filler": 0.0} if is_total else ZERO
    unclear = VOID * main.crossed * correction.blank + OTHERWISE
    ways = np.zeros((len(values), len(HOW)))
    ways[:, 0] = ORDINARY * np.where(zero, shares["number"], 1.0) * main.at(values) * correction.blank
    ways[:, 1] = (ORDINARY * shares["empty"] * zero + lacking) * main.blank * correction.blank
    ways[:, 2] = ORDINARY * shares["filler"] * zero * main.filler * correction.blank
    ways[:, 3] = anew * correction.at(values)
    ways[:, 4] = unclear
    other = np.array([
        ORDINARY * main.rest * correction.blank, lacking * main.blank * correction.blank, 0.0, anew * correction.rest,
        unclear,
    ])  # fmt: skip
    known: dict[int | None, Floats] = dict(zip(values.tolist(), ways, strict=True))
    likelihoods = ways.sum(1)
    if len(values) == field.largest + 1:
        return Seen(np.log(likelihoods), known | {None: other})
    rest = float(other.sum()) * (field.largest + 1 - len(values))
    scale = likelihoods.sum() + rest
    candidates = dict(zip(values.tolist(), (likelihoods / scale).tolist(), strict=True))
    return Seen(ordered(candidates, rest / scale), known | {None: other})


# Boxes.


def in_boxes(field: Field, logs: NDArray[Any]) -> Shown:
    """What the boxes of a number show, by log-likelihoods of the classes in each, `[boxes, 14]`."""
    ratios = np.exp(np.asarray(logs, np.float64))
    digits, empty = ratios[:, DIGITS], ratios[:, EMPTY]
    halves = (digits[-1, 0] * (1 - NO_HALF) + empty[-1] * NO_HALF, digits[-1, 5]) if field.halves else (1.0, 0.0)
    wholes, boxes = 1 + field.halves, slice(0, field.digits)
    most = field.largest // wholes
    whole = np.arange(most + 1, dtype=np.int64) if field.largest < DENSE else likely(digits[boxes], empty[boxes], most)
    found = written_in(whole, digits[boxes], empty[boxes])
    values: Numbers = (wholes * whole[:, None] + np.arange(wholes)).reshape(-1)
    written = (found[:, None] * halves[:wholes]).reshape(-1)
    values, written = values[values <= field.largest], written[values <= field.largest]
    left = field.largest + 1 - len(values)
    all_written = max(sum_written(digits[boxes], empty[boxes]) * sum(halves), float(written.sum()))
    rest = (all_written - float(written.sum())) / left if left else 0.0
    return Shown(
        values, written, rest, (float(written.sum()) + rest * left) / (field.largest + 1), float(empty.prod()),
        some(ratios[:, FILLER], empty), crossed_out(ratios),
    )  # fmt: skip


def alignments(count: int, length: int) -> list[tuple[int, float]]:
    """Where a number of so many digits may begin in so many boxes, and how often it does; −1 is behind zeros."""
    free = count - length
    if not free:
        return [(0, 1.0)]
    return [(free, LAST), (-1, LED), *((start, SHIFTED / free) for start in range(free))]


def written_in(numbers: Numbers, digits: Floats, empty: Floats) -> Floats:
    """The likelihood that each number `[k]` is written in boxes, by those of the digits `[n, 10]` and of none `[n]`."""
    count, found = len(empty), np.zeros(len(numbers))
    for length in range(1, count + 1):
        chosen = np.flatnonzero((numbers < 10**length) & (numbers >= (10 ** (length - 1) if length > 1 else 0)))
        places = 10 ** np.arange(length)[::-1]
        own = numbers[chosen, None] // places % 10  # [c, length]
        for start, share in alignments(count, length):
            first = count - length if start < 0 else start
            before = digits[:first, 0] if start < 0 else empty[:first]
            around = share * before.prod() * empty[first + length :].prod()
            found[chosen] += around * digits[np.arange(first, first + length), own].prod(1)
    return found


def sum_written(digits: Floats, empty: Floats) -> float:
    """The sum of these likelihoods over all numbers that the boxes have room for."""
    count, total = len(empty), 0.0
    for length in range(1, count + 1):
        for start, share in alignments(count, length):
            first = count - length if start < 0 else start
            before = digits[:first, 0] if start < 0 else empty[:first]
            leading = digits[first, 1 if length > 1 else 0 :].sum()
            inner = digits[first + 1 : first + length].sum(1).prod()
            total += share * before.prod() * leading * inner * empty[first + length :].prod()
    return float(total)


def likely(digits: Floats, empty: Floats, most: int) -> Numbers:
    """The numbers up to `most` that are most probably written, ascending."""
    count, found = len(empty), np.zeros(1, np.int64)
    for length in range(1, count + 1):
        for start in range(count - length + 1):
            numbers, weights = np.zeros(1, np.int64), np.ones(1)
            for place in range(start, start + length):
                numbers = (10 * numbers[:, None] + np.arange(10)).reshape(-1)
                weights = (weights[:, None] * digits[place]).reshape(-1)
                best = np.argsort(-weights, kind="stable")[:KEPT]
                numbers, weights = numbers[best], weights[best] / max(weights.max(), np.finfo(float).tiny)
            found = np.union1d(found, numbers)
    found = found[found <= most]
    weights = written_in(found, digits, empty)
    return np.sort(found[np.argsort(-weights, kind="stable")[:KEPT]])


def some(filler: Floats, empty: Floats) -> float:
    """The likelihood that boxes show filler, or nothing, but filler at least once."""
    both, none = ((filler + empty) / 2).prod(), (empty / 2).prod()
    return float((both - none) / (1 - 0.5 ** len(empty)))


def crossed_out(ratios: Floats) -> float:
    """The likelihood that what stands in boxes is crossed out in one at least."""
    any_digit = 1 - sum(PARTLY.values())
    others = PARTLY[EMPTY] * ratios[:, EMPTY] + any_digit * ratios[:, DIGITS].mean(1)
    all_crossed = (PARTLY[CROSSED] * ratios[:, CROSSED] + others).prod() - others.prod()
    return float(all_crossed / (1 - (1 - PARTLY[CROSSED]) ** len(ratios)))


# Strips.


def in_strip(
    field: Field, logs: NDArray[Any], prior: NDArray[Any], candidates: Sequence[tuple[int, float]], other: float
) -> Shown:
    """What the strip of a number shows.

    Args:
        field: The field.
        logs: Log-likelihoods of the classes, `[14]`.
        prior: Of the classes, which these were divided by, `[14]`.
        candidates: Numbers in units of the field, with their probabilities by a reader, if there is a number.
        other: The probability of all others.
    """
    ratios, numbers = np.exp(np.asarray(logs, np.float64)), slice(0, SEVERAL + 1)
    number = float(prior[numbers] @ ratios[numbers] / prior[numbers].sum())
    shares = {value: share for value, share in candidates if 0 <= value <= field.largest}
    values = np.array(sorted(shares), np.int64)
    learned = learned_prior(values, field)
    probabilities = np.array([shares[value] for value in values.tolist()])
    rest = number * other / max(1 - float(learned.sum()), np.finfo(float).eps)
    written = number * probabilities / learned
    left = field.largest + 1 - len(values)
    if not left:
        rest = 0.0
    mean = (float(written.sum()) + rest * left) / (field.largest + 1)
    return Shown(values, written, rest, mean, *(float(ratios[place]) for place in (EMPTY, FILLER, CROSSED)))


def learned_prior(values: Numbers, field: Field) -> Floats:
    """How often numbers `[k]` are among those that the reader of strips learned from, if they have no more digits than
    the field."""
    whole = values // (1 + field.halves)
    lengths = np.array([len(str(number)) for number in whole.tolist()], np.int64)
    shares = np.array(LENGTHS[: field.digits]) / sum(LENGTHS[: field.digits])
    numbers = np.where(lengths == 1, 10.0, 9 * 10.0 ** (lengths - 1))
    return np.asarray(shares[lengths - 1] / numbers / (1 + field.halves))

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
All numbers of a field that is no total are equally probable beforehand, but for 0, whose share is `NOTHING` at least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.sumproduct import IMPOSSIBLE
from sumnist.arithmetic.values import ordered
from sumnist.data.cell_classes import CELL_CLASSES
from sumnist.data.texts import LENGTHS
from sumnist.sheets.check import DENSE, Evidence
from sumnist.sheets.layout import Field

How = Literal["number", "empty", "filler", "correction", "unclear"]
"""How a field shows its number."""
HOW: tuple[How, ...] = get_args(How)

DIGITS, SEVERAL, EMPTY, FILLER, CROSSED = slice(0, 10), 10, 11, 12, 13
"""The places of the classes in `CELL_CLASSES`."""
assert CELL_CLASSES[SEVERAL:] == ("number", "empty", "filler", "crossed")

ORDINARY, CORRECTED, WRITTEN_ANEW, VOID, OTHERWISE = 0.9528, 0.04, 0.005, 0.002, 0.0002
"""How often a field is filled in as asked; crossed out and corrected; corrected without being crossed out; crossed out
and left so; or shows what no class describes. By judgement, not estimated: orders of magnitude are what counts."""
FORGOTTEN, LEFT_OUT = 0.004, 0.03
"""The share of the empty fields whose number was forgotten, for those that mean zero; how often a total is left out."""
NOTHING = 0.05
"""How often there is nothing to write, at least: the other numbers share the rest, however many they are."""
ZERO = {"number": 0.6, "empty": 0.25, "filler": 0.15}
"""How a zero is shown. Nobody leaves a total of zero out, or fills it."""
LAST, SHIFTED = 0.92, 0.05
"""How often the digits of a number that has fewer than there are boxes stand in the last ones, or in others."""
LED = {0: 0.02, FILLER: 0.01}
"""How often they stand in the last ones behind zeros, or behind signs that mean nothing."""
TAILS = {0: 0.47, EMPTY: 0.5, FILLER: 0.03}
"""What stands behind the point of a whole number, where there is a box for halves."""
ONE, SLASH = 1, 0.05
"""How often a sign that means nothing is a slash that looks like a 1."""
PARTLY = {CROSSED: 0.8, EMPTY: 0.15}
"""What the boxes of a number show that is crossed out; any digit for the rest."""
KEPT = 48
"""Numbers that are candidates, where a field may have more than can all be looked at."""

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


def seen(field: Field, main: Shown, correction: Shown, is_total: bool, unit: int = 1) -> Seen:
    """What is seen of a field in its cells, and in those of its correction; as evidence of its numbers times `unit`."""
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
    if not is_total:
        ways[zero] *= max(1.0, NOTHING * (field.largest + 1))
    known: dict[int | None, Floats] = dict(zip(values.tolist(), ways, strict=True))
    likelihoods = ways.sum(1)
    if len(values) == field.largest + 1:
        logs = np.full(unit * field.largest + 1, IMPOSSIBLE)
        logs[::unit] = np.log(likelihoods)
        return Seen(logs, known | {None: other})
    rest = float(other.sum()) * (field.largest + 1 - len(values))
    scale = likelihoods.sum() + rest
    candidates = dict(zip((unit * values).tolist(), (likelihoods / scale).tolist(), strict=True))
    return Seen(ordered(candidates, rest / scale), known | {None: other})


# Boxes.


def in_boxes(field: Field, logs: NDArray[Any]) -> Shown:
    """What the boxes of a number show, by log-likelihoods of the classes in each, `[boxes, 14]`."""
    ratios = np.exp(np.asarray(logs, np.float64))
    boxes, wholes, tails = ratios[: field.digits], 1 + field.halves, np.ones(1)
    if field.halves:
        tails = np.array([sum(share * ratios[-1, kind] for kind, share in TAILS.items()), ratios[-1, 5]])
    places, most = places_in(boxes), field.largest // wholes
    if field.largest < DENSE:
        whole = np.arange(most + 1, dtype=np.int64)
        found = written_in(whole, boxes, places)
    else:
        whole, found = likely(boxes, most, places)
    values: Numbers = (wholes * whole[:, None] + np.arange(wholes)).reshape(-1)
    written = (found[:, None] * tails).reshape(-1)
    values, written = values[values <= field.largest], written[values <= field.largest]
    left, listed, rest = field.largest + 1 - len(values), float(written.sum()), 0.0
    if left:  # of all numbers that the boxes have room for
        every, digits = 0.0, boxes[:, DIGITS]
        for length, starts in enumerate(places, 1):
            for start, others in starts:
                leading = float(digits[start, 1 if length > 1 else 0 :].sum())
                every += others * leading * float(digits[start + 1 : start + length].sum(1).prod())
        rest = max(0.0, every * float(tails.sum()) - listed) / left
    # Signs that mean nothing, or nothing, but a sign at least once.
    sign, empty = (1 - SLASH) * ratios[:, FILLER] + SLASH * ratios[:, ONE], ratios[:, EMPTY]
    filler = (((sign + empty) / 2).prod() - (empty / 2).prod()) / (1 - 0.5 ** len(ratios))
    # What stands in the boxes is crossed out in one at least.
    uncrossed = PARTLY[EMPTY] * empty + (1 - sum(PARTLY.values())) * ratios[:, DIGITS].mean(1)
    crossed = (PARTLY[CROSSED] * ratios[:, CROSSED] + uncrossed).prod() - uncrossed.prod()
    return Shown(
        values, written, rest, (listed + rest * left) / (field.largest + 1), float(empty.prod()), float(filler),
        float(crossed / (1 - (1 - PARTLY[CROSSED]) ** len(ratios))),
    )  # fmt: skip


Places = list[list[tuple[int, float]]]
"""For numbers of 1, 2, … digits where they may begin in boxes, and the likelihood of all other boxes, times how often
they begin there."""


def places_in(boxes: Floats) -> Places:
    """The places of numbers in boxes `[n, 14]`."""
    empty, places = boxes[:, EMPTY], []
    for length in range(1, len(boxes) + 1):
        free, starts = len(boxes) - length, []
        for start in range(free + 1):
            others = float(empty[:start].prod() * empty[start + length :].prod())
            starts.append((start, others * (1.0 if not free else LAST if start == free else SHIFTED / free)))
        if free:
            led = sum([share * float(boxes[:free, kind].prod()) for kind, share in LED.items()])
            starts.append((free, led))
        places.append(starts)
    return places


def written_in(numbers: Numbers, boxes: Floats, places: Places) -> Floats:
    """The likelihood that each number `[k]` is written in boxes `[n, 14]`."""
    found = np.zeros(len(numbers))
    for length, starts in enumerate(places, 1):
        chosen = np.flatnonzero((numbers < 10**length) & (numbers >= (10 ** (length - 1) if length > 1 else 0)))
        own = numbers[chosen, None] // 10 ** np.arange(length)[::-1] % 10  # [c, length]
        for start, others in starts:
            found[chosen] += others * boxes[np.arange(start, start + length), own].prod(1)
    return found


def likely(boxes: Floats, most: int, places: Places) -> tuple[Numbers, Floats]:
    """The numbers up to `most` that are most probably written, ascending, and the likelihood of each."""
    count, found = len(boxes), np.zeros(1, np.int64)
    for length in range(1, count + 1):
        for start in range(count - length + 1):
            numbers, weights = np.zeros(1, np.int64), np.ones(1)
            for place in range(start, start + length):
                numbers = (10 * numbers[:, None] + np.arange(10)).reshape(-1)
                weights = (weights[:, None] * boxes[place, DIGITS]).reshape(-1)
                best = np.argsort(-weights, kind="stable")[:KEPT]
                numbers, weights = numbers[best], weights[best] / max(weights.max(), np.finfo(float).tiny)
            found = np.union1d(found, numbers)
    found = found[found <= most]
    weights = written_in(found, boxes, places)
    kept = np.sort(np.argsort(-weights, kind="stable")[:KEPT])
    return found[kept], weights[kept]


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
    # How often they are among the numbers of no more digits that the reader learned from.
    lengths = np.array([len(str(value // (1 + field.halves))) for value in sorted(shares)], np.int64)
    of_length = np.array(LENGTHS[: field.digits]) / sum(LENGTHS[: field.digits])
    learned = of_length[lengths - 1] / np.where(lengths == 1, 10.0, 9 * 10.0 ** (lengths - 1)) / (1 + field.halves)
    written = number * np.array([shares[value] for value in sorted(shares)]) / learned
    left = field.largest + 1 - len(values)
    rest = number * other / max(1 - float(learned.sum()), np.finfo(float).eps) if left else 0.0
    mean = (float(written.sum()) + rest * left) / (field.largest + 1)
    return Shown(values, written, rest, mean, *(float(ratios[place]) for place in (EMPTY, FILLER, CROSSED)))

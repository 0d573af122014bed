"""Measure how well numbers on pictures are found and read.

A number is found if a reading covers it with an intersection over union of at least 0.5, of their polygons rather than
of upright boxes. It is read right if its value is right. On pictures where the number's place is unknown, the largest
reading counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.batch.measure import Row, shares
from sumnist.inference.page import Column
from sumnist.inference.reader import Reader

Points = NDArray[np.float64]
"""Corners (x, y), `[4, 2]`."""
Value = int | Decimal | None

FOUND = 0.5
"""Least intersection over union with which a number is found."""
TOUCHED = 0.1
"""Least intersection over union with which a reading counts as the reading of a number. It is low because a 1 is
narrow, so even a good frame may overlap little with it."""


class Said(NamedTuple):
    """A number that a reader finds on a picture.

    Attributes:
        text: The number as it was read.
        value: Its value; None if the text has none.
        accepted: Whether the reader accepts it.
        corners: Its corners, in the order of those of `FoundNumber`.
    """

    text: str
    value: Value
    accepted: bool
    corners: Points

    @property
    def digits(self) -> str:
        """Its digits, without leading zeros."""
        return digits_of(self.text)


class There(NamedTuple):
    """A number that stands on a picture.

    Attributes:
        text: The number as it is written.
        value: Its value; None if no number is meant.
        corners: Its corners; None if its place is not known.
    """

    text: str
    value: Value
    corners: Points | None = None

    def is_said(self, said: Said | None) -> bool:
        """Whether `said` is right: by its value, or by its digits if the place of the number is unknown."""
        if said is None or self.value is None:
            return False
        return said.digits == self.text if self.corners is None else said.value == self.value


def digits_of(text: str) -> str:
    """The digits of a text, without leading zeros."""
    return re.sub(r"\D", "", text).lstrip("0") or "0" * ("0" in text)


# Where numbers stand.


def area(corners: Points) -> float:
    """The area of a polygon `[N, 2]`, positive if its corners run clockwise, y down."""
    x, y = corners.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 if len(corners) else 0.0


def clipped(one: Points, other: Points) -> Points:
    """Return the part of one convex polygon that lies in another one; both run clockwise (Sutherland and Hodgman)."""
    for start, end in zip(other, np.roll(other, -1, 0), strict=True):
        (dx, dy), away = end - start, one - start
        side, kept = dx * away[:, 1] - dy * away[:, 0], []
        for place in range(len(one)):
            here, before = side[place], side[place - 1]
            if (here >= 0) != (before >= 0):
                kept.append(one[place - 1] + (one[place] - one[place - 1]) * before / (before - here))
            if here >= 0:
                kept.append(one[place])
        one = np.array(kept).reshape(-1, 2)
    return one


def common(one: Points, other: Points) -> float:
    """The area that two convex polygons have in common, whichever way their corners run."""
    if (one.max(0) < other.min(0)).any() or (other.max(0) < one.min(0)).any():
        return 0.0
    one, other = (corners if area(corners) >= 0 else corners[::-1] for corners in (one, other))
    return abs(area(clipped(one, other)))


def overlap(one: Points, other: Points) -> float:
    """The intersection over union of two convex polygons."""
    both = common(one, other)
    union = abs(area(one)) + abs(area(other)) - both
    return both / union if union else 0.0


def pairs(there: Sequence[There], said: Sequence[Said], least: float = FOUND) -> dict[int, int]:
    """Match numbers with readings by their places: the best fit first, each at most once, if their intersection over
    union is at least `least`. Returns places in `there` → places in `said`."""
    fits = [(overlap(one.corners, other.corners), i, j) for i, one in enumerate(there) for j, other in enumerate(said)
            if one.corners is not None]  # fmt: skip
    found: dict[int, int] = {}
    for fit, i, j in sorted(fits, reverse=True):
        if fit >= least and i not in found and j not in found.values():
            found[i] = j
    return found


# Figures.


class Answer(NamedTuple):
    """What a reader said about a picture.

    Attributes:
        name: The name of the picture.
        there: The numbers on the picture.
        said: The numbers that the reader found.
    """

    name: str
    there: list[There]
    said: list[Said]


def answered(reader: Reader, name: str, picture: Any, there: Sequence[There]) -> Answer:
    """Ask a reader about a picture."""
    said = [Said(one.text, one.value, one.accepted, np.array(one.corners, float).reshape(4, 2))
            for one in reader.find(picture)]  # fmt: skip
    return Answer(name, [*there], said)


def largest(said: Sequence[Said]) -> Said | None:
    """The largest of the readings, None if there are none."""
    return max(said, key=lambda one: abs(area(one.corners)), default=None)


def folder_figures(name: str, answers: Sequence[Answer]) -> Row:
    """Compute the figures of pictures that each show one number, whose place is unknown: those of `measure.shares`,
    where a number is right if its digits are."""
    best = [largest(one.said) for one in answers]
    right = np.array([one.there[0].is_said(said) for one, said in zip(answers, best, strict=True)], bool)
    accepted = np.array([said is not None and said.accepted for said in best], bool)
    return shares(name, right, accepted)


def mean(values: Iterable[Any]) -> float | None:
    """The mean of some values, None if there are none."""
    values = [*values]
    return float(np.mean(values)) if values else None


def page_figures(answers: Sequence[Answer]) -> Row:
    """Compute the figures of pages whose numbers and places are all known.

    Returns:
        The counts of `pages` and of their `numbers`. By place alone: the `recall` of the numbers, the `precision` of
        the readings, and their harmonic mean `f1`. The share of the numbers that is `read` right, and the share that is
        `accepted`, right or wrong. `accuracy_accepted`, the share of all accepted readings that match a number and have
        its value.
    """
    numbers, said = (sum(len(some) for some in each) for each in zip(*(one[1:3] for one in answers), strict=True))
    found = sum(len(pairs(one.there, one.said)) for one in answers)
    matched = [(one.there[i], one.said[j]) for one in answers for i, j in pairs(one.there, one.said, TOUCHED).items()]
    right = [best.accepted for number, best in matched if number.is_said(best)]
    every = sum(best.accepted for one in answers for best in one.said)
    return {
        "numbers": numbers, "recall": found / numbers,
        "precision": found / said if said else None, "f1": 2 * found / (numbers + said), "read": len(right) / numbers,
        "accepted": sum(best.accepted for _, best in matched) / numbers,
        "accuracy_accepted": sum(right) / every if every else None,
    }  # fmt: skip


def sign_figures(answers: Sequence[Answer]) -> Row:
    """Compute the figures of pictures of one sign each.

    Returns:
        The share on which all numbers are read `right` and accepted, and nothing else. The share that is `wrong`:
        something is accepted, but it has another value than the numbers there, or one of the numbers was not found.
    """
    right, wrong = [], []
    for one in answers:
        values = [number.value for number in one.there if number.value is not None]
        stands = [said.value for said in one.said if said.accepted]
        every = len(pairs(one.there, one.said, TOUCHED)) == len(one.there)
        wrong.append(bool(stands) and not (every and set(stands) <= set(values)))
        right.append(bool(values) and set(stands) == set(values) and len(stands) == len(values))
    return {"pictures": len(answers), "right": mean(right), "wrong": mean(wrong)}


# Sums of columns.

OUTCOMES = "right", "provisional", "wrong", "refused"
"""What may become of a column."""


def outcome_of_sum(addends: Sequence[Decimal], total: Decimal | None, column: Column | None) -> str:
    """What became of a column that `sumnist add` was asked about.

    Returns:
        "right" if the sum is, and the written total is called right or wrong as it should be; without a total, no
        number must be left to check. Otherwise "provisional" if a person is asked to look, "wrong" if nobody is. And
        "refused" if nothing was added.
    """
    if column is None:
        return "refused"
    asks, truth = column.agrees is False or bool(column.to_check), sum(addends, Decimal(0))
    said: Value = next(iter(column.sum.probabilities))
    if column.agrees and column.check is not None:  # the total says which candidates of the addends are right
        said = sum(one.together or 0 for one in column.check.pictures[: len(column.addends)])
    if total is None or total == truth:
        right = said == truth and not asks and bool(column.agrees) == (total is not None)
    else:
        right = said == truth and column.stated == total and column.agrees is False
    return "right" if right else "provisional" if asks else "wrong"

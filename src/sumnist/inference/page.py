"""Adds up the numbers on a picture, and checks whether they agree with a total that is written there.

A number is the total if it stands under a rule, or behind =, or if it is the sum of the others. What follows the total
is no addend. A rule is a straight dark line between a number and the one above it, as wide as the number. Lines
between the other numbers belong to a table or to ruled paper, and a rule is darker than these. Checking the total means
solving an equation (`arithmetic/solutions`). A sum is provisional while a reading is not accepted and no total confirms
it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.solutions import Answer, Query, Solution, solution_of
from sumnist.arithmetic.values import Value, Values, plain
from sumnist.errors import ConfigError, EquationError, NumberError
from sumnist.formulas import MISTAKE
from sumnist.inference.columns import DISTINCT, line_between
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import AFTER_TOTAL, UNSURE, FoundNumber, decimals_of
from sumnist.inference.solve import COMBINATIONS
from sumnist.pictures.decode import Intensities, Picture, size_of

FORMAT = 1
"""The version of the format of `Column.as_dict`."""
KEPT = 1000
"""How many sums are kept while numbers are added, the most probable ones. The others count as `other`."""
MOST_KNOWN = 1_200
"""The most characters of a total that is given as a text."""
FLOORS = 1e-9, 1e-6, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 1.0
"""Least probabilities of the candidates that the check may choose. The check uses the first one that leaves few enough
combinations."""
RULE, BEHIND, SUMMED, NEARLY, TOLD = "under a rule", "behind =", "the sum of the others", "nearly their sum", "as told"
"""Why a number is taken for the total."""
FEWEST, LIKELY, NEAR = 3, 0.1, 100
"""If no rule is seen, as on ruled paper, the last number is the total if it is the sum of at least `FEWEST` others with
at least the probability `LIKELY`, by the pictures alone. It is a wrong total if it is off in one digit, by a
`NEAR`th of the sum at most. Few numbers add up so by chance."""
SLIP, SURE = MISTAKE / 20, 0.995
"""`SLIP`: how often a writer's total is off by just the amount that readings would have to change. `SURE`: the least
probability of a total that changes readings without asking a person."""
AS_DARK = 0.4
"""The least darkness of a rule, as a share of the darkness of the number's ink."""


def page_as_dict(picture: Picture, found: Sequence[FoundNumber]) -> dict[str, Any]:
    """The numbers found on a picture, and its size in pixels, as types that `json` writes."""
    width, height = size_of(picture)
    return {"width": width, "height": height, "numbers": [one.as_dict() for one in found]}


# Added up.


@dataclass(frozen=True)
class Column:
    """Numbers that were added up.

    Attributes:
        addends: The numbers added up, in reading order.
        left_out: Other finds that are not numbers to add; the `reason` of each says why.
        sum: The distribution of the sum of the addends.
        total: The expected sum: the number that is written as the total, or a known value; None if there is none.
        how: Why this number is taken for the total.
        check: What the total implies: the solution of `#1 + #2 + … = total`, whose terms are the addends and the total.
            None without a total, and if no candidates make the total.
    """

    addends: tuple[FoundNumber, ...]
    left_out: tuple[FoundNumber, ...]
    sum: Values
    total: FoundNumber | Value | None = None
    how: str | None = None
    check: Solution | None = None

    @property
    def stated(self) -> Value | None:
        """The value of the total: known, or read from the total alone."""
        return self.total.value if isinstance(self.total, FoundNumber) else self.total

    @property
    def agrees(self) -> bool | None:
        """Whether the addends and the total agree without contradicting a clear number; None without a total."""
        if self.total is None:
            return None
        return self.check is not None and not self.check.contradicted

    @property
    def to_check(self) -> tuple[FoundNumber, ...]:
        """The numbers that a person should check: without a total that confirms them, those whose readings are not
        accepted; with one, those that it changes, unless a slip of the writer is far less probable."""
        numbers = (*self.addends, *([self.total] if isinstance(self.total, FoundNumber) else []))
        if not self.agrees or self.check is None:
            return tuple(one for one in numbers if not one.accepted)
        as_read = math.prod([max(one.before.probabilities.values()) for one in self.check.pictures if one.before])
        if self.check.is_true is None or self.check.is_true[0] * (1 - SURE) >= SLIP * as_read:
            return ()
        changed = {answer.term for answer in self.corrected}
        return tuple(number for number, one in zip(numbers, self.check.pictures, strict=True) if one.term in changed)

    @property
    def corrected(self) -> tuple[Answer, ...]:
        """The numbers that were probably misread, given the total."""
        pictures = () if self.check is None else self.check.pictures
        return tuple(answer for answer in pictures if answer.together != answer.read)

    def as_dict(self, count: int = 10) -> dict[str, Any]:
        """The column as types that `json` writes, with up to `count` sums; a value with decimals is a string."""
        sums, total = list(self.sum.probabilities.items())[:count], self.total
        return {
            "format": FORMAT, "sum": plain(sums[0][0]), "confidence": sums[0][1],
            "candidates": [{"value": plain(value), "probability": share} for value, share in sums],
            "other": max(0.0, 1 - math.fsum(share for _, share in sums)),
            "total": plain(self.stated), "how": self.how, "agrees": self.agrees, "to_check": len(self.to_check),
            "check": None if self.check is None else self.check.as_dict(),
            "addends": [one.as_dict() for one in self.addends],
            "left_out": [one.as_dict() for one in self.left_out],
            "total_reading": total.as_dict() if isinstance(total, FoundNumber) else None,
        }  # fmt: skip


def column_of(found: Sequence[FoundNumber], seen: Intensities | None = None, total: str = "auto") -> Column | None:
    """Add up the numbers found on a picture.

    Args:
        found: The numbers in reading order.
        seen: The picture, to look for a rule; None if there is no picture to search.
        total: How to find the total, or the total itself, such as "1485". "last": the last number is the total. "none":
            every number is an addend. "auto": a number is the total if it stands under a rule, or behind =, or if the
            last one is the sum of the others, or nearly.

    Returns:
        The column; None if no number can be added.

    Raises:
        ConfigError: `total` is none of these.
        NumberError: `total` is "last" and there is only one number, or there are too many possibilities.
    """
    found = [maybe_none(one) if one.reason == UNSURE else one for one in found]
    addends = [one for one in found if one.value is not None and (one.accepted or one.reason == UNSURE)]
    if not addends:
        return None
    left_out = [one for one in found if one not in addends]
    target: FoundNumber | Value | None = known(total)
    how = None if target is None else TOLD
    if total == "last" and len(addends) == 1:
        raise NumberError("--total last: one number was found, expected others before it: leave --total out")
    if target is None and total != "none":
        place, how = (len(addends) - 1, TOLD) if total == "last" else total_among(found, addends, seen)
        if how is not None:
            left_out += [replace(one, accepted=False, reason=AFTER_TOTAL) for one in addends[place + 1 :]]
            target, addends = addends[place], addends[:place]
    check = None if target is None else checked(addends, target)
    return Column(tuple(addends), tuple(left_out), added(addends), target, how, check)


def maybe_none(number: FoundNumber) -> FoundNumber:
    """A reading that may be no number, such as one that is struck out: then it adds 0, which is a candidate, too."""
    share, zero = number.is_number_probability, sum(one.probability for one in number.candidates if one.value == 0)
    candidates = [replace(one, probability=share * one.probability) for one in number.candidates if one.value != 0]
    candidates += [Candidate("0", 0, 1 - share + share * zero)] if share < 1 or zero else []
    candidates.sort(key=lambda one: -one.probability)
    return replace(number, candidates=tuple(candidates), other=share * number.other)


def known(total: str) -> Value | None:
    """The known total; None if `total` says how to find it. Raises `ConfigError`."""
    if total in ("auto", "last", "none"):
        return None
    if len(total) > MOST_KNOWN or not re.fullmatch(r"[+-]?\d+([.,']\d+)*", total, re.ASCII):
        raise ConfigError(f"--total {total}: expected auto, last, none, or the total itself, such as 1485 or 14.85")
    # The signs mean what they mean for the reader of numbers.
    value, decimals = int(re.sub("[.,']", "", total)), decimals_of(total.lstrip("+-"))
    return Decimal(value).scaleb(-decimals) if decimals else value


def added(numbers: Sequence[FoundNumber]) -> Values:
    """The distribution of the sum of the numbers."""
    total = Values({0: 1.0}, 0.0)
    for number in numbers:
        more: Values = number + total
        likely = dict(islice(more.probabilities.items(), KEPT))
        total = Values(likely, max(0.0, 1 - math.fsum(likely.values())))
    return total


def checked(addends: Sequence[FoundNumber], total: FoundNumber | Value) -> Solution | None:
    """What the total implies for the addends; None if no candidates make the total."""
    names = [f"#{place}" for place in range(1, len(addends) + 1)]
    words = [word for name in names for word in ("+", name)][1:]
    query = Query([*words, "=", "total" if isinstance(total, FoundNumber) else total])
    numbers = [*addends, total] if isinstance(total, FoundNumber) else addends
    for floor in FLOORS:
        some = [probable(number, floor) for number in numbers]
        if math.prod(len(one.candidates) for one in some) <= COMBINATIONS**2:
            break
    try:
        return solution_of(query, dict(zip(query.pictures, some, strict=True)))
    except EquationError:
        return None


def probable(number: FoundNumber, floor: float) -> FoundNumber:
    """A number with fewer candidates: the first one, and those whose probability is at least `floor`."""
    first, *others = number.candidates
    kept = first, *(one for one in others if one.probability >= floor)
    return replace(number, candidates=kept, other=max(0.0, 1 - math.fsum(one.probability for one in kept)))


# Which number is the total.


def total_among(
    found: Sequence[FoundNumber], addends: Sequence[FoundNumber], seen: Intensities | None
) -> tuple[int, str | None]:
    """Which of the addends is the total of those before it, and why; 0 and None if none is.

    A number that others follow needs two numbers above its rule: one with a rule below may be a heading. And the last
    number must not be the sum of the others: then the rule is a line of the paper.
    """
    last, ruled_off = len(addends) - 1, 0
    for place, one in enumerate(addends[1:], 1):
        if one.written.startswith("=") or found[found.index(one) - 1].written.endswith("="):
            return place, BEHIND
    if seen is not None:
        ruled_off = ruled(found, addends, seen)
    if ruled_off < last:
        check = checked(addends[:-1], addends[-1]) if len(addends) > FEWEST else None
        if check is not None and check.is_true is not None and check.is_true[0] >= LIKELY:
            return last, SUMMED
    above = sum((Decimal(one.value or 0) for one in addends[:-1]), Decimal(0))
    slip = abs(Decimal(addends[-1].value or 0) - above)
    is_near = last >= FEWEST and NEAR * slip <= above and len(slip.normalize().as_tuple().digits) == 1
    return (ruled_off, RULE) if ruled_off else (last, NEARLY) if is_near else (0, None)


def ruled(found: Sequence[FoundNumber], addends: Sequence[FoundNumber], seen: Intensities) -> int:
    """The place of the addend that stands under a rule; 0 if none does. The rule is darker than any line between other
    numbers of its column."""
    corners = np.array([one.corners for one in found])
    columns, darkness = [], []
    for one in addends:
        column = [found[other] for other in in_column(corners[: found.index(one) + 1])]
        columns.append(column)
        upper, lower = (np.array(each.corners) / seen.reduction for each in (column[-2:][0], one))
        is_dark = not (one.how or "").startswith("light")
        darkness.append(line_between(seen.grey, upper, lower, lower, is_dark))  # 0 for the first of a column
    for place in range(len(addends) - 1, 0, -1):
        others = [
            dark for dark, one, column in zip(darkness, addends, columns, strict=True)
            if one is not addends[place] and (one in columns[place] or addends[place] in column)
        ]  # fmt: skip
        enough = place == len(addends) - 1 or len(columns[place]) > 2
        if enough and darkness[place] > max(AS_DARK, DISTINCT * max(others, default=0.0)):
            return place
    return 0


def in_column(corners: NDArray[np.float64]) -> NDArray[np.int64]:
    """The places of the last number and of the numbers above it, from the top down. The corners of the numbers are
    `[N, 4, 2]`."""
    along, down = corners[-1, 1] - corners[-1, 0], corners[-1, 3] - corners[-1, 0]
    across, heights = corners @ along, (corners @ down).mean(1)
    reaches = (across.max(1) > across[-1, 0]) & (across.min(1) < across[-1, 1])
    places = np.flatnonzero(reaches & (heights <= heights[-1]))
    return places[np.argsort(heights[places], kind="stable")]

"""Measure how well numbers on pictures are found and read, and why some are missed.

A number is found if a reading covers it with an intersection over union of at least 0.5, of their polygons rather than
of upright boxes. It is read right if its value is right. On pictures where the number's place is unknown, the largest
reading counts. In tables where the places are unknown, the order within a column counts: a number is right if it is in
the longest sequence that the true column and a found one have in common.

Other systems are asked in the same way: a `System` takes a picture and returns what it `Said`. PP-OCRv6 is the
detection and recognition of the package `rapidocr` with its defaults, except that it runs on one thread and finds up to
10,000 lines. Its lines of text are split at spaces, and a word counts as a number if it contains nothing else.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sumnist.batch.measure import Row, shares
from sumnist.config import ReadingEngine
from sumnist.inference.reader import Reader

Points = NDArray[np.float64]
"""Corners (x, y), `[4, 2]`."""
Value = int | Decimal | None

FOUND = 0.5
"""Least intersection over union with which a number is found."""
TOUCHED = 0.1
"""Least intersection over union with which a reading counts as the reading of a number. It is low because a 1 is
narrow, so even a good frame may overlap little with it. Also, a reading touches a number if it covers more than this
share of the number."""
WRITTEN = re.compile(r"[-−–]?(\d{1,3}([ .,'’]\d{3})+|\d+)([.,]\d{1,2})?[.,:=–-]*")
"""A pattern of a number as text, and of the signs that may follow it. It is for systems that return no values."""
MOST_LINES = 10_000
"""Lines that PP-OCRv6 may find on a picture: with its default, 1,000, it sees only the lowest rows of a large table."""
REACH = 1.0
"""Largest horizontal distance of a reading from the middle of its column, divided by the median height of readings."""
ASIDE = 0.35
"""Largest distance of a reading from its row, divided by the distance between two rows."""
CAUSES = ("not found", "cut short", "two taken for one", "other digit", "other writing taken for a number", "refused")
"""Why a number is missed, or why an accepted reading is no number of the picture."""


class Said(NamedTuple):
    """A number that a system finds on a picture.

    Attributes:
        text: The number as it was read.
        value: Its value; None if the text has none.
        accepted: Whether the system accepts it.
        corners: Its corners, in the order of those of `FoundNumber`.
        reason: Why it is not accepted, if the system says so.
    """

    text: str
    value: Value
    accepted: bool
    corners: Points
    reason: str | None = None

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


System = Callable[[Any], list[Said]]
"""A picture as `Reader.find` takes it → the numbers on it."""


def digits_of(text: str) -> str:
    """The digits of a text, without leading zeros."""
    return re.sub(r"\D", "", text).lstrip("0") or "0" * ("0" in text)


# Systems.


def ours(reader: Reader, engine: ReadingEngine = "ours") -> System:
    """Return the system that asks our reader."""

    def ask(picture: Any) -> list[Said]:
        return [Said(one.text, one.value, one.accepted, np.array(one.corners, float).reshape(4, 2), one.reason)
                for one in reader.find(picture, engine)]  # fmt: skip

    return ask


def ppocr() -> System:
    """Return the system that asks PP-OCRv6. It needs the package `rapidocr`."""
    from rapidocr import RapidOCR

    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "critical"}
    system = RapidOCR(params=threads | {"Det.max_candidates": MOST_LINES})

    def ask(picture: Any) -> list[Said]:
        answer: Any = system(np.ascontiguousarray(np.asarray(opened(picture))[:, :, ::-1]))
        lines = [] if answer.boxes is None else zip(answer.boxes, answer.txts, strict=True)
        return [word for box, text in lines for word in words(np.asarray(box, float), text)]

    return ask


def words(box: Points, text: str) -> list[Said]:
    """Split a line into words, and return those with a digit. Each gets a part of the line's box, in proportion to its
    characters."""
    found = []
    parts = [text] if WRITTEN.fullmatch(text) else re.findall(r"\S+", text)
    for word, start in zip(parts, np.cumsum([0] + [len(one) + 1 for one in parts]).tolist(), strict=False):
        if any(one.isdecimal() for one in word):
            (a, b, c, d), share = box, np.array([start, start + len(word)]) / len(text)
            ends = [a + share[0] * (b - a), a + share[1] * (b - a), d + share[1] * (c - d), d + share[0] * (c - d)]
            value = value_of(word)
            found.append(Said(word, value, value is not None, np.array(ends), None))
    return found


def value_of(text: str) -> Value:
    """Return the value of a text, None if it is anything but a number."""
    written = WRITTEN.fullmatch(text)
    if written is None:
        return None
    places = len(written[3] or ".") - 1
    value = Decimal(re.sub(r"\D", "", text)).scaleb(-places)
    return -value if text[0] in "-−–" else value


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
    """What a system said about a picture.

    Attributes:
        name: The name of the picture.
        there: The numbers on the picture.
        said: The numbers that the system found.
        seconds: How many seconds the system took.
    """

    name: str
    there: list[There]
    said: list[Said]
    seconds: float


def answered(system: System, name: str, picture: Any, there: Sequence[There]) -> Answer:
    """Ask a system about a picture."""
    began = time.perf_counter()
    said = system(picture)
    return Answer(name, [*there], said, time.perf_counter() - began)


def largest(said: Sequence[Said]) -> Said | None:
    """The largest of the readings, None if there are none."""
    return max(said, key=lambda one: abs(area(one.corners)), default=None)


class Miss(NamedTuple):
    """A number that is missed, or an accepted reading that is no number of the picture.

    Attributes:
        picture: The name of the picture.
        text: The number as it is written; None for a reading that is no number.
        read: The number as it was read; None if it has no reading.
        accepted: Whether the reading was accepted.
        reason: Why the reading was not accepted.
        cause: One of `CAUSES`.
        corners: The place of the number or of the reading; None if it is not known.
    """

    picture: str
    text: str | None
    read: str | None
    accepted: bool
    reason: str | None
    cause: str
    corners: Points | None = None


def misses(answer: Answer) -> list[Miss]:
    """Return the numbers of a picture that are missed, and accepted readings that touch none of its numbers."""
    numbers = [one for one in answer.there if one.value is not None]
    alone = len(numbers) == 1 and numbers[0].corners is None
    best = {i: answer.said[j] for i, j in pairs(numbers, answer.said, TOUCHED).items()}
    if alone and (one := largest(answer.said)):
        best[0] = one
    found = []
    for place, number in enumerate(numbers):
        said = best.get(place)
        if not (said and said.accepted and number.is_said(said)):
            read, accepted, reason = (said.text, said.accepted, said.reason) if said else (None, False, None)
            cause = cause_of(number, said, numbers, answer.said)
            found.append(Miss(answer.name, number.text, read, accepted, reason, cause, number.corners))
    strays = (one for one in answer.said if one.accepted and not any(touches(one, number) for number in numbers))
    return found + [Miss(answer.name, None, one.text, True, one.reason, CAUSES[4], one.corners)
                    for one in strays if not alone]  # fmt: skip


def touches(said: Said, number: There, share: float = TOUCHED) -> bool:
    """Whether a reading covers more than a `share` of a number."""
    return number.corners is not None and common(said.corners, number.corners) > share * abs(area(number.corners))


def cause_of(number: There, said: Said | None, numbers: Sequence[There], every: Sequence[Said]) -> str:
    """Return why a number is missed. `said`: its reading, if any. `numbers`: all numbers of the picture. `every`: all
    readings of the picture."""
    if said is not None:
        if number.is_said(said):
            return CAUSES[5]
        if number.corners is None and any(number.is_said(one) for one in every):
            return CAUSES[4]
        more = len(said.digits) - len(digits_of(number.text))
        return CAUSES[1 if more < 0 else 2 if more else 3]
    near = [one for one in every if touches(one, number)]
    together = any(sum(touches(one, other, 0.5) for other in numbers) > 1 for one in near)
    return CAUSES[2 if together else 1 if near else 0]


def folder_figures(name: str, answers: Sequence[Answer]) -> Row:
    """Compute the figures of pictures that each show one number, whose place is unknown, or no number.

    Returns:
        For pictures with a number: the figures of `measure.shares`, where a number is right if its digits are, and
            `any`, the share on which any reading is right. For pictures without one: `blank`, how many there are, and
            the shares on which something was found (`blank_found`) and accepted (`blank_accepted`). For all: the median
            `seconds`, the `causes` with their counts, and all `misses`.
    """
    some, none = [one for one in answers if one.there], [one.said for one in answers if not one.there]
    best = [largest(one.said) for one in some]
    right = np.array([one.there[0].is_said(said) for one, said in zip(some, best, strict=True)], bool)
    row: Row = {"name": name, "pictures": 0}
    if some:
        row = shares(name, right, np.array([said is not None and said.accepted for said in best], bool))
    missed = [{key: value for key, value in miss._asdict().items() if key != "corners"}
              for one in answers for miss in misses(one)]  # fmt: skip
    return row | {
        "any": mean(any(one.there[0].is_said(said) for said in one.said) for one in some),
        "blank": len(none), "blank_found": mean(map(bool, none)),
        "blank_accepted": mean(any(one.accepted for one in said) for said in none),
        "seconds": float(np.median([one.seconds for one in answers])),
        "causes": dict(Counter(one["cause"] for one in missed)), "misses": missed,
    }  # fmt: skip


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
        its value. The median `seconds`. The `causes` of misses with their counts.
    """
    numbers, said = (sum(len(some) for some in each) for each in zip(*(one[1:3] for one in answers), strict=True))
    found = sum(len(pairs(one.there, one.said)) for one in answers)
    matched = [(one.there[i], one.said[j]) for one in answers for i, j in pairs(one.there, one.said, TOUCHED).items()]
    right = [best.accepted for number, best in matched if number.is_said(best)]
    every = sum(best.accepted for one in answers for best in one.said)
    return {
        "pages": len(answers), "numbers": numbers, "recall": found / numbers,
        "precision": found / said if said else None, "f1": 2 * found / (numbers + said), "read": len(right) / numbers,
        "accepted": sum(best.accepted for _, best in matched) / numbers,
        "accuracy_accepted": sum(right) / every if every else None,
        "seconds": float(np.median([one.seconds for one in answers])),
        "causes": dict(Counter(miss.cause for one in answers for miss in misses(one))),
    }  # fmt: skip


def sign_figures(answers: Sequence[Answer]) -> Row:
    """Compute the figures of pictures of one sign each.

    Returns:
        The share on which all numbers are read `right` and accepted, and nothing else. The share on which anything is
        `accepted`. The share that is `wrong`: something is accepted, but it has another value than the numbers there,
        or one of the numbers was not found.
    """
    right, accepted, wrong = [], [], []
    for one in answers:
        values = [number.value for number in one.there if number.value is not None]
        stands = [said.value for said in one.said if said.accepted]
        accepted.append(bool(stands))
        every = len(pairs(one.there, one.said, TOUCHED)) == len(one.there)
        wrong.append(bool(stands) and not (every and set(stands) <= set(values)))
        right.append(bool(values) and set(stands) == set(values) and len(stands) == len(values))
    return {"pictures": len(answers), "right": mean(right), "accepted": mean(accepted), "wrong": mean(wrong)}


# Tables.

Column = Mapping[int, str]
"""The digits of the numbers of a column, by their rows."""


def in_both(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places, in both sequences, of a longest sequence that they have in common."""
    best = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, text in enumerate(one, 1):
        for j, said in enumerate(other, 1):
            best[i][j] = best[i - 1][j - 1] + 1 if text == said else max(best[i - 1][j], best[i][j - 1])
    found, i, j = [], len(one), len(other)
    while i and j:
        if one[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif best[i - 1][j] >= best[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found[::-1]


def table_figures(columns: Sequence[Column], answers: Sequence[Answer]) -> Row:
    """Compute the figures of one answer about a whole table. The numbers of some columns are known, but not their
    places.

    Each reading suggests a column: all readings near its x. A known column is taken to be where most of its numbers are
    found in their order. These numbers give the heights of their rows; the rows between them are interpolated. A
    reading in the column has no plausible place if it is on no row, or if its row has another reading.

    Returns:
        `numbers`: how many numbers are known. `found`: how many readings there are on the whole sheet. `in_order`: the
        share of the known numbers that are found in their column in their order. `accepted`: the accepted readings on a
        row of a column, divided by the count of known numbers. `accuracy_accepted`: the share of these readings that is
        right. `nowhere`: the share of the readings in a column that have no plausible place. `seconds`.
    """
    said, seconds = answers[0].said, answers[0].seconds
    middles = np.array([one.corners.mean(0) for one in said]).reshape(-1, 2)
    height = np.median([np.linalg.norm(one.corners[3] - one.corners[0]) for one in said]) if said else 0.0
    order = np.argsort(middles[:, 1], kind="stable")
    right, inside, nowhere, left = 0, 0, 0, -np.inf
    accepted: list[bool] = []
    for column in columns:
        rows, texts = [*column], [*column.values()]
        near = [order[np.abs(middles[order, 0] - x) < REACH * height] for x in middles[:, 0] if x > left]
        if not near:
            continue
        fits = [in_both(texts, [said[place].digits for place in some]) for some in near]
        best = max(range(len(near)), key=lambda place: len(fits[place]))
        some, fit = near[best], fits[best]
        if len(fit) < 2:
            continue
        right, inside, left = right + len(fit), inside + len(some), float(middles[some, 0].mean()) + REACH * height
        taken = {rows[i]: some[j] for i, j in fit}
        ends = np.array([rows[0] - 1, rows[-1] + 1])
        known = middles[[*taken.values()], 1]
        low, high = np.polyval(np.polyfit([*taken], known, 1), ends)
        along, down = [ends[0], *taken, ends[1]], [min(low, known[0] - 1), *known, max(high, known[-1] + 1)]
        for place in some:
            at = float(np.interp(middles[place, 1], down, along))
            row = round(at)
            if abs(at - row) > ASIDE or row not in column or taken.setdefault(row, place) != place:
                nowhere += 1
            elif said[place].accepted:
                accepted.append(said[place].digits == column[row])
    count = sum(map(len, columns))
    return {
        "numbers": count, "found": len(said), "in_order": right / count, "accepted": len(accepted) / count,
        "accuracy_accepted": mean(accepted), "nowhere": nowhere / inside if inside else None, "seconds": seconds,
    }  # fmt: skip


def opened(picture: Any) -> Image.Image:
    """Open a picture upright and in colour."""
    with Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as file:
        return ImageOps.exif_transpose(file).convert("RGB")

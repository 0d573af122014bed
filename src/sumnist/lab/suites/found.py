"""How well numbers are found on pictures and read: what is found beside what is there, and why numbers are missed.

A number is found if a found one covers it with an intersection over union of at least 0.5, of the polygons and not of
upright boxes. It is read right if its value is. Where nobody has told where numbers stand, the largest one that is
found on a picture counts, and of tables the order down a column: of the true column and a found one, the longest
sequence that is in both.

Other systems are asked alike: a `System` takes a picture and gives what it `Said`. PP-OCRv6 is detection and
recognition of the package `rapidocr`, as it is by default, on one thread; its lines of text are parted at spaces, and
a word counts as a number if nothing but a number stands in it.
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
from PIL import Image, ImageDraw, ImageOps

from sumnist.config import ReadingEngine
from sumnist.inference.reader import Reader
from sumnist.lab.suites.measure import Row, shares

Points = NDArray[np.float64]
"""Corners (x, y), `[4, 2]`."""
Value = int | Decimal | None

FOUND = 0.5
"""The intersection over union from which on a number is found."""
TOUCHED = 0.1
"""Of a true or a found number: the share that the other covers from which on they have to do with each other."""
WRITTEN = re.compile(r"[-−–]?(\d{1,3}([ .,'’]\d{3})+|\d+)([.,]\d{1,2})?[.,:=–-]*")
"""A number as a system without values writes it, and what may follow."""
REACH = 1.0
"""How far from the middle of a column the middles of its numbers may be, by their usual height."""
ASIDE = 0.35
"""How far from a row, by the distance of two, a number of it may be."""
CAUSES = ("not found", "cut short", "two taken for one", "other digit", "other writing taken for a number", "refused")
"""Why a number is missed, or what was found is none."""


class Said(NamedTuple):
    """A number that a system says is on a picture; `corners` as those of `FoundNumber`."""

    text: str
    value: Value
    accepted: bool
    corners: Points
    reason: str | None = None

    @property
    def digits(self) -> str:
        """Its digits, without zeros before them."""
        return digits_of(self.text)


class There(NamedTuple):
    """A number that is on a picture, and its corners, if they are known; `value`: None if no number is meant."""

    text: str
    value: Value
    corners: Points | None = None


System = Callable[[Any], list[Said]]
"""A picture as `Reader.find` takes it → the numbers on it."""


def digits_of(text: str) -> str:
    """The digits of a text, without zeros before them."""
    return re.sub(r"\D", "", text).lstrip("0") or "0" * ("0" in text)


# Systems.


def ours(reader: Reader, engine: ReadingEngine = "ours") -> System:
    """What a reader finds."""

    def ask(picture: Any) -> list[Said]:
        return [Said(one.text, one.value, one.accepted, np.array(one.corners, float).reshape(4, 2), one.reason)
                for one in reader.find(picture, engine)]  # fmt: skip

    return ask


def ppocr() -> System:
    """What PP-OCRv6 finds, one thread. The package of its name must be there."""
    from rapidocr import RapidOCR  # type: ignore[import-untyped]

    system = RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "critical"})

    def ask(picture: Any) -> list[Said]:
        with Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as opened:
            pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))[:, :, ::-1]
        answer = system(np.ascontiguousarray(pixels))
        lines = [] if answer.boxes is None else zip(answer.boxes, answer.txts, strict=True)
        return [word for box, text in lines for word in words(np.asarray(box, float), text)]

    return ask


def words(box: Points, text: str) -> list[Said]:
    """The words of a line that have a digit; each has its part of the line's box, by the characters before it."""
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
    """The value of what is written, None if it is no number alone."""
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
    """The part of one convex polygon that lies in another one, clockwise both (Sutherland and Hodgman)."""
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


def pairs(there: Sequence[There], said: Sequence[Said]) -> dict[int, int]:
    """Which number is which of those found, by their places: the best fitting first, each once."""
    fits = [(overlap(one.corners, other.corners), i, j) for i, one in enumerate(there) for j, other in enumerate(said)
            if one.corners is not None]  # fmt: skip
    found: dict[int, int] = {}
    for fit, i, j in sorted(fits, reverse=True):
        if fit >= FOUND and i not in found and j not in found.values():
            found[i] = j
    return found


# Figures.


class Answer(NamedTuple):
    """What a system said of a picture, in how many seconds; `there`: what is on it; `name`: which picture it is."""

    name: str
    there: list[There]
    said: list[Said]
    seconds: float


def answered(system: System, name: str, picture: Any, there: Sequence[There]) -> Answer:
    """Ask a system for a picture."""
    began = time.perf_counter()
    said = system(picture)
    return Answer(name, [*there], said, time.perf_counter() - began)


def largest(said: Sequence[Said]) -> Said | None:
    """The largest of the numbers found."""
    return max(said, key=lambda one: abs(area(one.corners)), default=None)


def folder_figures(name: str, answers: Sequence[Answer]) -> Row:
    """The figures of pictures on each of which there is one number, and nobody has said where, or none at all.

    Returns:
        Of pictures with a number those of `measure.shares` (a number is right if its digits are), and `any`, the share
        on which any number found is right. `blank` ones, and the shares of them on which something is `blank_found` and
        `blank_accepted`. `seconds`, the median; `causes` and `misses`.
    """
    some = [(one, largest(one.said)) for one in answers if one.there]
    none = [one.said for one in answers if not one.there]
    right = np.array([best is not None and best.digits == one.there[0].text for one, best in some], bool)
    accepted = np.array([best is not None and best.accepted for _, best in some], bool)
    row: Row = shares(name, right, accepted) if some else {"name": name, "pictures": 0}
    misses = [{"picture": one.name, "text": one.there[0].text, "read": best.text if best else None,
               "accepted": best is not None and best.accepted, "reason": best.reason if best else None,
               "cause": cause_alone(one, best)}
              for (one, best), good in zip(some, right & accepted, strict=True) if not good]  # fmt: skip
    return row | {
        "any": mean(any(said.digits == one.there[0].text for said in one.said) for one, _ in some),
        "blank": len(none), "blank_found": mean(map(bool, none)),
        "blank_accepted": mean(any(one.accepted for one in said) for said in none),
        "seconds": float(np.median([one.seconds for one in answers])),
        "causes": dict(Counter(str(one["cause"]) for one in misses)), "misses": misses,
    }  # fmt: skip


def mean(values: Iterable[Any]) -> float | None:
    """The mean of some values, None if there are none."""
    values = [*values]
    return float(np.mean(values)) if values else None


def cause_alone(answer: Answer, best: Said | None) -> str:
    """Why the only number of a picture is missed, of which `best` is said."""
    text = answer.there[0].text
    if best is None:
        return CAUSES[0]
    if best.digits != text and any(one.digits == text for one in answer.said):
        return CAUSES[4]
    return cause_of(text, best)


def cause_of(text: str, said: Said) -> str:
    """Why a number with these digits is missed, of which something is said."""
    if said.digits == text:
        return CAUSES[5]
    if len(said.digits) == len(text):
        return CAUSES[3]
    return CAUSES[1 if len(said.digits) < len(text) else 2]


# Tables.

Column = Mapping[int, str]
"""The digits of the numbers of a column, by their rows."""


def in_both(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """The places of a longest sequence that is in both."""
    best = np.zeros((len(one) + 1, len(other) + 1), int)
    for i, text in enumerate(one, 1):
        for j, said in enumerate(other, 1):
            best[i, j] = best[i - 1, j - 1] + 1 if text == said else max(best[i - 1, j], best[i, j - 1])
    found, i, j = [], len(one), len(other)
    while i and j:
        if one[i - 1] == other[j - 1]:
            found.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif best[i - 1, j] >= best[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return found[::-1]


def table_figures(said: Sequence[Said], columns: Sequence[Column]) -> Row:
    """The figures of a whole table, some of whose columns are known, but not where they are.

    A column is the numbers near one of those found, from left to right; it is where most of its true numbers are found
    in their order. By these its rows are known. What is found in the column, but on no row, or beside another one on
    the same row, stands in no plausible place.

    Returns:
        `numbers`, how many there truly are; `found` on the whole sheet; `in_order`, the share of the true ones that are
        among those of their column in their order; `accepted`, of what stands on a row of a column; `accuracy_accepted`
        of these; `nowhere`, the share of what is found in a column that stands in no plausible place.
    """
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
        slope, start = np.polyfit([rows[i] for i, _ in fit], [middles[some[j], 1] for _, j in fit], 1)
        taken = {rows[i]: some[j] for i, j in fit}
        for place in some:
            at = (middles[place, 1] - start) / slope
            row = round(at)
            if abs(at - row) > ASIDE or row not in column or taken.setdefault(row, place) != place:
                nowhere += 1
            elif said[place].accepted:
                accepted.append(said[place].digits == column[row])
    count = sum(map(len, columns))
    return {
        "numbers": count, "found": len(said), "in_order": right / count, "accepted": len(accepted) / count,
        "accuracy_accepted": mean(accepted), "nowhere": nowhere / inside if inside else None,
    }  # fmt: skip


# Pictures of it.

SHOWN, ACROSS = (240, 170), 6
"""Pixels of a picture among others, its line of text included, and how many stand beside each other."""
RIGHT, REFUSED, WRONG = (20, 140, 60), (230, 150, 0), (210, 30, 40)


def shown(pictures: Sequence[tuple[Any, Answer]]) -> Image.Image:
    """Pictures beside each other, with what was found on them: accepted in green, in red where it is none of what is
    there, refused in orange; below each what is there → what was read."""
    wide, high = SHOWN
    sheet = Image.new("RGB", (ACROSS * wide, -(-len(pictures) // ACROSS) * high), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (picture, answer) in enumerate(pictures):
        left, top = place % ACROSS * wide, place // ACROSS * high
        with Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as opened:
            whole = ImageOps.exif_transpose(opened).convert("RGB")
        factor = min((wide - 6) / whole.width, (high - 20) / whole.height)
        size = max(1, round(whole.width * factor)), max(1, round(whole.height * factor))
        sheet.paste(whole.resize(size, Image.Resampling.LANCZOS), (left + 3, top + 2))
        texts = {one.text for one in answer.there}
        for one in answer.said:
            colour = REFUSED if not one.accepted else RIGHT if {one.digits, one.text} & texts else WRONG
            corners = one.corners * factor + (left + 3, top + 2)
            pen.polygon([(x, y) for x, y in corners.tolist()], outline=colour, width=2)
        line = f"{' '.join(sorted(texts)) or '–'} → {' '.join(one.text for one in answer.said) or '–'}"
        pen.text((left + 3, top + high - 15), line[:38].replace("→", ">").replace("–", "-"), fill="black")
    return sheet

"""How well numbers are found on pictures and read: what is found beside what is there, and why numbers are missed.

A number is found if a found one covers it with an intersection over union of at least 0.5, of the polygons and not of
upright boxes. It is read right if its value is. Where nobody has told where numbers stand, the largest one that is
found on a picture counts, and of tables the order down a column: of the true column and a found one, the longest
sequence that is in both.

Other systems are asked alike: a `System` takes a picture and gives what it `Said`. PP-OCRv6 is detection and
recognition of the package `rapidocr`, as it is by default, but on one thread and with no limit to how much it finds;
its lines of text are parted at spaces, and a word counts as a number if nothing but a number stands in it.
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
"""And that from which on what is read is about that number, however well it is framed: a 1 is narrow. Also the share of
a number that something covers which has to do with it."""
WRITTEN = re.compile(r"[-−–]?(\d{1,3}([ .,'’]\d{3})+|\d+)([.,]\d{1,2})?[.,:=–-]*")
"""A number as a system without values writes it, and what may follow."""
MOST_LINES = 10_000
"""Lines that PP-OCRv6 may find on a picture: with its default, 1,000, it sees only the lowest rows of a large table."""
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

    def is_said(self, said: Said | None) -> bool:
        """Whether it is read right: its value, or its digits where only these are known, and not where it stands."""
        if said is None or self.value is None:
            return False
        return said.digits == self.text if self.corners is None else said.value == self.value


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
    """What PP-OCRv6 finds. The package `rapidocr` must be there."""
    from rapidocr import RapidOCR

    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "critical"}
    system = RapidOCR(params=threads | {"Det.max_candidates": MOST_LINES})

    def ask(picture: Any) -> list[Said]:
        answer: Any = system(np.ascontiguousarray(np.asarray(opened(picture))[:, :, ::-1]))
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


def pairs(there: Sequence[There], said: Sequence[Said], least: float = FOUND) -> dict[int, int]:
    """Which number is which of those found, by their places: the best fitting first, each once, if they have this
    intersection over union."""
    fits = [(overlap(one.corners, other.corners), i, j) for i, one in enumerate(there) for j, other in enumerate(said)
            if one.corners is not None]  # fmt: skip
    found: dict[int, int] = {}
    for fit, i, j in sorted(fits, reverse=True):
        if fit >= least and i not in found and j not in found.values():
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


class Miss(NamedTuple):
    """A number that is missed, or what is accepted and none; `cause`: one of `CAUSES`; `corners`: where, if known."""

    picture: str
    text: str | None
    read: str | None
    accepted: bool
    reason: str | None
    cause: str
    corners: Points | None = None


def misses(answer: Answer) -> list[Miss]:
    """What is missed on a picture, and what is accepted there that is none of its numbers."""
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
    """Whether what was found covers a share of a number."""
    return number.corners is not None and common(said.corners, number.corners) > share * abs(area(number.corners))


def cause_of(number: There, said: Said | None, numbers: Sequence[There], every: Sequence[Said]) -> str:
    """Why a number is missed, of which something is `said` or nothing, beside all that are there and are found."""
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
    """The figures of pictures on each of which there is one number, and nobody has said where, or none at all.

    Returns:
        Of pictures with a number those of `measure.shares` (a number is right if its digits are), and `any`, the share
        on which any number found is right. `blank` ones, and the shares of them on which something is `blank_found` and
        `blank_accepted`. `seconds`, the median; `causes`; `misses`, each of them.
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
    """The figures of pages of which all is known.

    Returns:
        `pages`, and the `numbers` on them; `recall` of these and `precision` of what was found, by their places, and
        their harmonic mean `f1`; the share of the numbers that is `read` right, and that is `accepted`, right or not;
        `accuracy_accepted`, of all that was accepted the share that is a number with this value; `seconds`, the median;
        `causes` of what was missed.
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
    """The figures of pictures of one thing each: the shares on which all is read `right` and accepted, on which
    anything is `accepted`, and on which something is accepted that is `wrong`: another value than is there, or one of
    two numbers where nothing is found in the other's place."""
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
    """The places of a longest sequence that is in both."""
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
    """The figures of the one answer about a whole table, some of whose columns are known, but not where they are.

    A column is the numbers near one of those found, from left to right; it is where most of its true numbers are found
    in their order. By these its rows are known, and those between them in proportion. What is found in the column, but
    on no row, or beside another one on the same row, stands in no plausible place.

    Returns:
        `numbers`, how many there truly are; `found` on the whole sheet; `in_order`, the share of the true ones that are
        among those of their column in their order; `accepted`, of what stands on a row of a column; `accuracy_accepted`
        of these; `nowhere`, the share of what is found in a column that stands in no plausible place.
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


# Pictures of it.

WIDTH, LINE = 1440, 15
"""Pixels of a picture of pictures, and of a line of text below each."""
RIGHT, REFUSED, WRONG = (20, 140, 60), (230, 150, 0), (210, 30, 40)


def shown(pictures: Sequence[tuple[Any, Answer]]) -> Image.Image:
    """Pictures beside each other, with what was found on them: accepted in green, in red where it is none of what is
    there, refused in orange; below each what is there, and what was read."""
    tiles = []
    for picture, answer in pictures:
        whole = opened(picture)
        pen, width = ImageDraw.Draw(whole), max(2, max(whole.size) // 250)
        for one in answer.said:
            right = any(number.is_said(one) for number in answer.there)
            colour = REFUSED if not one.accepted else RIGHT if right else WRONG
            pen.polygon([(x, y) for x, y in one.corners.tolist()], outline=colour, width=width)
        texts = (", ".join(one.text for one in some) or "nothing" for some in (answer.there, answer.said))
        tiles.append((whole, " > ".join(texts)))
    return tiled(tiles, 6 if all(len(answer.there) < 2 for _, answer in pictures) else 3)


def shown_misses(pictures: Sequence[tuple[Any, Answer]]) -> Image.Image:
    """What was missed, by its cause: the part of the picture with it, what is there, and what was read."""
    missed = [(CAUSES.index(miss.cause), miss, picture) for picture, answer in pictures for miss in misses(answer)]
    tiles = []
    for _, miss, picture in sorted(missed, key=lambda one: one[0]):
        part = opened(picture)
        if miss.corners is not None:
            (left, top), (right, bottom) = miss.corners.min(0), miss.corners.max(0)
            room = 0.7 * min(right - left, bottom - top) + 4
            part = part.crop((int(left - room), int(top - room), int(right + room), int(bottom + room)))
        tiles.append((part, f"{miss.cause}: {miss.text} > {miss.read}"))
    return tiled(tiles, 6)


def opened(picture: Any) -> Image.Image:
    """A picture, upright, in colours."""
    with Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as file:
        return ImageOps.exif_transpose(file).convert("RGB")


def tiled(tiles: Sequence[tuple[Image.Image, str]], across: int) -> Image.Image:
    """Pictures beside each other, `across` of them, each with a line of text below."""
    wide, high = WIDTH // across, WIDTH // across * 3 // 4
    sheet = Image.new("RGB", (WIDTH, max(1, -(-len(tiles) // across)) * high), "white")
    for place, (picture, text) in enumerate(tiles):
        left, top = place % across * wide, place // across * high
        factor = min((wide - 6) / picture.width, (high - LINE - 4) / picture.height)
        size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
        sheet.paste(picture.resize(size, Image.Resampling.LANCZOS), (left + 3, top + 2))
        ImageDraw.Draw(sheet).text((left + 3, top + high - LINE), text[: wide // 6], fill="black")
    return sheet

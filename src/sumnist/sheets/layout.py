"""The layout of a form: its fields, their formulas, and who fills it in (a short TOML file); where each lies on its
page; and the people who get one (a CSV file).

title = "Mathematics"

[[field]]
name = "q1"
label = "Question 1"
largest = 9

[[field]]
name = "q2"
label = "Question 2"
largest = 7.5
halves = true

[[total]]
name = "total"
label = "Total"
formula = "total = q1 + q2"
"""

from __future__ import annotations

import csv
import json
import re
import tomllib
import unicodedata
from base64 import b32encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate
from math import ceil, prod
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from sumnist.config import shown, unknown
from sumnist.errors import DataError, LayoutError, SumnistError
from sumnist.files import read_whole
from sumnist.formulas import NAME, NAME_EXPECTED, Relation, in_order

Kind = Literal["boxes", "strip"]
Paper = Literal["A4", "Letter"]
Identified = Literal["printed", "digits", "none"]

FORMAT = 1
"""Rises when the same layout would lie elsewhere on its page, so that old prints are known from new ones."""
MOST_DIGITS = 12
"""Digits of a number: more boxes than these are wider than a page."""
MOST_FIELDS = 100
"""Fields of a layout: twice as many as fit on a page."""
LONGEST, LONGEST_LINE = 50_000, 2_500
"""Bytes of a TOML file, ten times one of as many fields as fit on a page, and of a line of it, as the longest formula:
what reads TOML takes quadratic time for names with many dots."""
LONGEST_TITLE, LONGEST_LABEL = 100, 80
"""Characters: more than these do not fit beside the corner tags, or beside the boxes."""
MARK = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}(\.[05])?")
"""The largest mark of a question as a command has it."""
TWICE = "field {}: is there twice, expected a name for each field: give one of them another"
UNPRINTED = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of characters that end a line, change a terminal, or have no form."""


def check_number(what: str, value: int, most: int, mend: str) -> None:
    """Raise `LayoutError` for a number that is not from 1 to `most`."""
    if not 1 <= value <= most:
        raise LayoutError(f"{what} {shown(value)}, expected 1 to {most:,}: {mend}")


def check_name(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raise `LayoutError` for what is not one of these names."""
    if value not in known:
        raise LayoutError(unknown(what, value, known))


def check_text(what: str, text: str, most: int) -> None:
    """Raise `LayoutError` for a text that cannot be one line of at most `most` characters."""
    if not text.strip() or len(text) > most or UNPRINTED & set(map(unicodedata.category, text)):
        raise LayoutError(f"{what} {text[:60]!r}: expected one line of 1 to {most} characters: give it another one")


# What is on a form.


@dataclass(frozen=True)
class Field:
    """A place for one handwritten number, from 0 to `largest`.

    Values are whole numbers in units of `step`: with `halves`, 15 is 7½.

    Attributes:
        name: What formulas and tables call it.
        label: What is printed beside it.
        kind: "boxes", one for each digit, or "strip", one for the whole number.
        digits: How many digits the number has at most, before the point.
        largest: The largest value.
        halves: Whether the number is one of halves: 5 or 0 behind a printed point.
    """

    name: str
    label: str
    kind: Kind
    digits: int
    largest: int
    halves: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise LayoutError(f"field {self.name[:40]!r}: expected {NAME_EXPECTED}: give it another one")
        check_text(f"field {self.name}: label", self.label, LONGEST_LABEL)
        check_name(f"field {self.name}: kind", self.kind, get_args(Kind))
        check_number(f"field {self.name}: digits", self.digits, MOST_DIGITS, "make two fields of it")
        most = full(self.digits, self.halves)
        if not 1 <= self.largest <= most:
            raise LayoutError(
                f"field {self.name}: largest {self.shown(self.largest)}, expected at least {self.shown(1)} and at most "
                f"{self.shown(most)}, what can be written with digits = {self.digits}: change the one or the other"
            )

    @property
    def step(self) -> int:
        """How many halves a unit of its values is."""
        return 1 if self.halves else 2

    def shown(self, value: int) -> str:
        """A value as it is printed, such as 13 or 7½."""
        whole, half = divmod(value, 2) if self.halves else (value, 0)
        return ("" if half and not whole else str(whole)) + "½" * half

    def plain(self, value: int | None) -> int | float | None:
        """A value as programs write it, such as 13 or 7.5."""
        return value if value is None or not self.halves else value / 2 if value % 2 else value // 2


def full(digits: int, halves: bool) -> int:
    """The largest value that so many digits can write."""
    power: int = 10 ** max(0, min(digits, MOST_DIGITS))
    return power * (2 if halves else 1) - 1


@dataclass(frozen=True)
class Identity:
    """How a page says whose it is.

    Attributes:
        kind: "printed", as a QR code and in text; "digits", a number written by hand; "none".
        digits: How many digits that number has.
    """

    kind: Identified = "printed"
    digits: int = 6

    def __post_init__(self) -> None:
        check_name("identity: kind", self.kind, get_args(Identified))
        check_number("identity: digits", self.digits, 10, "ask for a shorter number")


@dataclass(frozen=True)
class Layout:
    """What is on a form.

    Attributes:
        title: What is printed above it.
        fields: In the order in which they are printed, totals last.
        formulas: One for each total, or several, in the order of these.
        version: Counts what is printed of it, if you care to.
        paper: "A4" or "Letter".
        identity: How a page says whose it is.
    """

    title: str
    fields: tuple[Field, ...]
    formulas: tuple[Relation, ...]
    version: int = 1
    paper: Paper = "A4"
    identity: Identity = Identity()

    def __post_init__(self) -> None:
        check_text("title", self.title, LONGEST_TITLE)
        check_name("paper", self.paper, get_args(Paper))
        check_number("version", self.version, 9_999, "begin again at 1")
        if not 1 <= len(self.fields) <= MOST_FIELDS:
            raise LayoutError(
                f"{len(self.fields):,} fields, expected 1 to {MOST_FIELDS}: make two layouts of it, or add one"
            )
        names = [field.name for field in self.fields]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise LayoutError(TWICE.format(twice))
        known = {field.name: field for field in self.fields}
        for formula in in_order(self.formulas, names):
            total = known[formula.total]
            halved = next((name for _, name in formula.terms if known[name].halves), None)
            if halved and formula.times:
                raise LayoutError(
                    f"field {total.name}: its formula multiplies {halved}, which has halves, expected whole numbers: "
                    "leave halves out"
                )
            if halved and not total.halves:
                raise LayoutError(
                    f"field {total.name}: is whole, and {halved} in its formula has halves, expected halves in both: "
                    "add halves = true"
                )
            if total.largest < (most := most_of(formula, known, total.halves)):
                raise LayoutError(
                    f"field {total.name}: largest {total.shown(total.largest)}, expected at least {total.shown(most)}, "
                    "the largest that its formula comes to: leave largest and digits out, which finds them"
                )
        totals = {formula.total for formula in self.formulas}
        object.__setattr__(self, "fields", tuple(sorted(self.fields, key=lambda field: field.name in totals)))
        object.__setattr__(self, "formulas", tuple(sorted(self.formulas, key=lambda one: self.names.index(one.total))))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> Field:
        """The field of a name, which must be there."""
        return next(field for field in self.fields if field.name == name)

    @property
    def totals(self) -> tuple[Field, ...]:
        """The fields that have a formula."""
        names = {formula.total for formula in self.formulas}
        return tuple(field for field in self.fields if field.name in names)

    @property
    def id(self) -> str:
        """Eight letters and digits that differ where anything does that reading needs: not title, labels, version."""
        told = [
            self.paper, self.identity.kind, self.identity.digits if self.identity.kind == "digits" else 0,
            [[f.name, f.kind, f.digits, f.largest, f.halves] for f in self.fields],
            [formula.text for formula in self.formulas],
        ]  # fmt: skip
        return b32encode(sha256(json.dumps(told).encode()).digest())[:8].decode().lower()

    def code(self, identity: str = "") -> str:
        """What the QR code of a page says, of the person with that identity."""
        return f"sumnist:{FORMAT}:{self.id}:{self.version}:{identity}"

    @classmethod
    def of_line(cls, line: str, title: str = "Exam", paper: Paper = "A4") -> Layout:
        """The layout of an exam: questions with these largest marks, as in "9,7.5,13", and their total.

        Raises `LayoutError`.
        """
        questions: dict[str, Field] = {}
        for place, mark in enumerate(map(str.strip, line.split(",")), 1):
            if not (found := MARK.fullmatch(mark)):
                raise LayoutError(
                    f"question {place}: largest mark {mark[:40]!r}, expected a number such as 9 or 7.5: write them as "
                    "in 9,7.5,13"
                )
            entry = {"label": f"Question {place}", "largest": float(mark) if found[1] else int(mark)}
            questions[f"q{place}"] = field_of({"name": f"q{place}", "halves": bool(found[1]), **entry})
        formula = Relation("total", tuple((1, name) for name in questions))
        total = total_of({"name": "total", "label": "Total"}, [formula], questions)
        return cls(title, (*questions.values(), total), (formula,), paper=paper)

    @classmethod
    def load(cls, path: str | Path) -> Layout:
        """The layout of a TOML file. Raises `LayoutError`."""
        return loaded(path, cls.of_toml)

    @classmethod
    def of_toml(cls, data: bytes) -> Layout:
        """The layout that the content of a TOML file describes. Raises `LayoutError`."""
        values = values_of(data)
        check_keys("the layout", values, {
            "title": str, "version": int, "paper": str, "identity": dict, "field": list, "total": list,
        }, ("title", "field"))  # fmt: skip
        ordinary, totals = values.pop("field"), values.pop("total", [])
        for place, entry in enumerate([*ordinary, *totals], 1):
            if not isinstance(entry, dict):
                raise LayoutError(
                    f"field {place}: {str(entry)[:60]!r}, expected a table, [[field]] or [[total]]: write it so"
                )
            name, more = entry.get("name"), {"formula": (str, list)} if place > len(ordinary) else {}
            what = f"field {name[:40] if isinstance(name, str) else place}"
            check_keys(what, entry, FIELD | more, ("name", *more))
        check_keys("identity", identity := values.pop("identity", {}), {"kind": str, "digits": int})
        found = [field_of(entry) for entry in ordinary]
        formulas, entries = list[Relation](), dict[str, dict[str, Any]]()
        known = {field.name: field for field in found}
        for entry in totals:
            if (name := entry["name"]) in known or name in entries:
                raise LayoutError(TWICE.format(name))
            entries[name] = entry
            for text in [entry["formula"]] if isinstance(entry["formula"], str) else entry["formula"]:
                formulas.append(formula := Relation.of(str(text)))
                if formula.total != name:
                    raise LayoutError(
                        f"field {name[:40]}: its formula is of {formula.total}, expected {name[:40]} = …: change it"
                    )
        for formula in in_order(formulas, [*known, *entries]):
            own = [one for one in formulas if one.total == formula.total]
            known[formula.total] = total_of(entries[formula.total], own, known)
        fields = (*found, *(known[name] for name in entries))
        return cls(fields=fields, formulas=tuple(formulas), identity=Identity(**identity), **values)

    def to_toml(self) -> str:
        """The TOML file that `load` reads as this layout."""
        formulas: dict[str, list[str]] = {}
        for formula in self.formulas:
            formulas.setdefault(formula.total, []).append(formula.text)
        identity = written(self.identity, "kind", "digits")
        lines = [*written(self, "title", "version", "paper"), "", "[identity]", *identity]
        for field in self.fields:
            lines += ["", "[[total]]" if field.name in formulas else "[[field]]"]
            lines += written(field, "name", "label", "kind", "digits", *["halves"] * field.halves)
            lines += [f"largest = {field.largest / 2 if field.halves else field.largest}"]
            if texts := formulas.get(field.name):
                lines += [f"formula = {json.dumps(texts[0] if len(texts) == 1 else texts)}"]
        return "\n".join(lines) + "\n"


FIELD: dict[str, type | tuple[type, ...]] = {
    "name": str, "label": str, "kind": str, "digits": int, "largest": (int, float), "halves": bool,
}  # fmt: skip
"""The keys of a field in TOML, and the types of their values."""
TYPES = {str: "a text in quotes", int: "a whole number", bool: "true or false", dict: "a table", list: "tables"}
TEXTS = "a text in quotes, or several in brackets"
"""What messages call the types."""


Described = TypeVar("Described")
"""What a file describes."""


def loaded(path: str | Path, of_toml: Callable[[bytes], Described]) -> Described:
    """What a TOML file describes. Raises `LayoutError`, which names it."""
    data = read_or(Path(path), LayoutError, "a layout")
    try:
        return of_toml(data)
    except LayoutError as error:
        raise LayoutError(f"{path}: {error}") from error


def values_of(data: bytes) -> dict[str, Any]:
    """The values in the content of a TOML file. Raises `LayoutError`."""
    if len(data) > LONGEST or (longest := max(map(len, data.split(b"\n")))) > LONGEST_LINE:
        what = f"{len(data):,} bytes" if len(data) > LONGEST else f"a line of {longest:,} bytes"
        raise LayoutError(
            f"{what}, expected a layout of at most {LONGEST:,} in lines of at most {LONGEST_LINE:,}: give another file"
        )
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise LayoutError(f"is no TOML ({reason}), expected a layout: correct it there") from error


def check_keys(what: str, values: Mapping[str, Any], types: Mapping[str, Any], needed: Sequence[str] = ()) -> None:
    """Raise `LayoutError` for a key that is unknown or missing, and for a value of another type."""
    for key, value in values.items():
        if key not in types:
            raise LayoutError(f"{what}: {unknown('key', key[:40], tuple(types))}")
        kind = types[key]
        if type(value) not in (kind if isinstance(kind, tuple) else (kind,)):
            several = isinstance(kind, tuple)
            expected = TYPES[kind] if not several else TEXTS if str in kind else "a number"
            raise LayoutError(f"{what}: {key} = {str(value)[:60]!r}, expected {expected}: write it so")
    if missing := [key for key in needed if key not in values]:
        raise LayoutError(f"{what}: no {missing[0]}, expected one: add {missing[0]} = …")


def field_of(entry: Mapping[str, Any]) -> Field:
    """A field as TOML has it. Raises `LayoutError`."""
    name, halves, largest = entry["name"], entry.get("halves", False), entry.get("largest")
    if largest is not None:
        units = largest * 2 if halves else largest
        if not abs(units) < 10**15 or units != int(units):
            more = " of halves" if halves else ", or one of halves with halves = true"
            raise LayoutError(f"field {name[:40]}: largest {shown(largest)}, expected a whole number{more}: change it")
        largest = int(units)
    elif "digits" in entry:
        largest = full(entry["digits"], halves)
    else:
        raise LayoutError(f"field {name}: neither digits nor largest, expected one of them: add digits = 2, say")
    digits = entry.get("digits", len(str(largest // 2 if halves else largest)))
    return Field(name, entry.get("label", name), entry.get("kind", "boxes"), digits, largest, halves)


def read_or(path: Path, kind: type[SumnistError], expected: str) -> bytes:
    """The bytes of a file; an error of a kind, with what was expected, if it cannot be read."""
    try:
        return read_whole(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise kind(f"{path}: cannot be read ({reason}), expected {expected}: check the name") from error


def most_of(formula: Relation, parts: Mapping[str, Field], halves: bool) -> int:
    """The largest value that a formula comes to, in units of its total."""
    if formula.times:
        return max(0, prod([weight * parts[name].largest for weight, name in formula.terms])) // formula.divisor
    most = sum(weight * parts[name].largest * parts[name].step for weight, name in formula.terms if weight > 0)
    return -(-most // ((1 if halves else 2) * formula.divisor))


def total_of(entry: Mapping[str, Any], formulas: Sequence[Relation], known: Mapping[str, Field]) -> Field:
    """A total as TOML has it; what it leaves out is what its formulas need. Raises `LayoutError`."""
    halves = entry.get("halves", any(known[name].halves for one in formulas for _, name in one.terms))
    largest = max(1, *(most_of(one, known, halves) for one in formulas))
    given = largest / 2 if halves else largest
    return field_of({"halves": halves, "largest": given, **{key: entry[key] for key in entry if key != "formula"}})


def written(thing: Any, *keys: str) -> list[str]:
    """Lines of TOML with these attributes: texts, numbers, true and false, which are in TOML as in JSON."""
    return [f"{key} = {json.dumps(getattr(thing, key), ensure_ascii=False)}" for key in keys]


# Where everything lies on a page, in millimetres: what printing draws, and where reading looks for it. It follows from
# what `Layout.id` tells and from nothing else, so not from titles and labels: a form that was printed long ago is found
# by its layout. What changes the geometry here raises `FORMAT`.

SIZES: dict[Paper, tuple[float, float]] = {"A4": (210.0, 297.0), "Letter": (215.9, 279.4)}
"""Width and height of each paper."""
MARGIN = 10.0
"""From the edge to the tags: twice what most printers leave white."""
TAG = 13.0
"""Side of a corner tag's black square: its cells are 5 pixels wide where a page is 650 pixels wide."""
CODE = 20.0
"""Side of the QR code: cells of about 0.6 mm, which a telephone resolves from where it sees all of an A4 page."""
QUIET = 4.0
"""White around tags and code: more than one cell of a tag and four of the code, as their standards ask."""
BOX = (8.0, 10.0)
"""Width and height of a box for a digit."""
POINT = 3.0
"""Width of the space for a printed point."""
BETWEEN = 4.0
"""From the boxes to those of the correction."""
LABEL = 20.0
"""Least width of a label: the words "Question 12" in small print."""
BENEATH = 2.0
"""From the boxes to those of a correction beneath them."""
GAP = 2.0
"""From a label to the boxes."""
GUTTER = 8.0
"""Between columns."""
SPACING = (2.5, 6.0)
"""The least and the most between rows; the boxes above must not catch the tails of digits."""
HEADING = 5.0
"""Height of the words above the corrections."""
FRAME = 2.5
"""From the boxes of a total to the frame around it: so far off that no digit touches it."""
MOST_COLUMNS = 4


@dataclass(frozen=True)
class Rectangle:
    """A part of a page, in millimetres from its top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    def below(self, height: float) -> Rectangle:
        """What is left of it without so much at its top."""
        return Rectangle(self.x, self.y + height, self.width, self.height - height)

    def grown(self, by: float) -> Rectangle:
        """The rectangle with so much more on each side."""
        return Rectangle(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)


@dataclass(frozen=True)
class Place:
    """Where a field lies.

    Attributes:
        name: The name of the field; "" for the identity.
        label: For its label.
        boxes: One for each digit, from left to right, the one for halves last; or the one strip.
        correction: The same for what is written instead.
        frame: Around all of it, if it is a total.
    """

    name: str
    label: Rectangle
    boxes: tuple[Rectangle, ...]
    correction: tuple[Rectangle, ...]
    frame: Rectangle | None = None


@dataclass(frozen=True)
class Page:
    """Where everything lies on a page, in millimetres from its top left corner.

    Attributes:
        width: Of the paper.
        height: Of the paper.
        tags: The black squares of the corner tags, clockwise from the top left.
        code: The QR code, without the white around it.
        title: For the title.
        person: For who it is.
        instruction: For the line that says how to fill it in.
        footer: For what the layout is.
        identity: Where a number is written that says who it is, if one is.
        places: Where each field lies, in the order of the layout.
        headings: For the word above, or beside, the corrections.
    """

    width: float
    height: float
    tags: tuple[Rectangle, Rectangle, Rectangle, Rectangle]
    code: Rectangle
    title: Rectangle
    person: Rectangle
    instruction: Rectangle
    footer: Rectangle
    identity: Place | None
    places: tuple[Place, ...]
    headings: tuple[Rectangle, ...]

    @classmethod
    def of(cls, layout: Layout) -> Page:
        """The page of a layout. Raises `LayoutError` if it is too small for it."""
        width, height = SIZES[layout.paper]
        tags = near, _, far, _ = tags_on(layout.paper)
        right, low = far.x, far.y
        code = Rectangle(right - QUIET - CODE, MARGIN, CODE, CODE)
        left, y = near.right + QUIET, code.bottom + QUIET
        beside = code.x - QUIET - left
        line = Rectangle(MARGIN + FRAME, y, width - 2 * (MARGIN + FRAME), HEADING)
        body = Rectangle(line.x, line.bottom + HEADING, line.width, low - QUIET - line.bottom - HEADING)
        identity: Place | None = None
        headings: tuple[Rectangle, ...] = ()
        if layout.identity.kind == "digits":
            number = Field("identity", "Number", "boxes", layout.identity.digits, 1)
            (column,) = columns([number], 1, body, [number])
            (identity,), headings = column.laid(0.0)
            body = body.below(column.height(0.0) + QUIET + HEADING)
        places, more = arranged(layout, body)
        return cls(
            width, height, tags, code,
            title=Rectangle(left, MARGIN, beside, 9.0), person=Rectangle(left, MARGIN + 11, beside, 9.0),
            instruction=line, footer=Rectangle(left, far.bottom - HEADING, far.x - QUIET - left, HEADING),
            identity=identity, places=places, headings=(*headings, *more),
        )  # fmt: skip


def tags_on(paper: Paper) -> tuple[Rectangle, Rectangle, Rectangle, Rectangle]:
    """The black squares of the corner tags on a paper, clockwise from the top left."""
    right, low = (side - MARGIN - TAG for side in SIZES[paper])
    return (
        Rectangle(MARGIN, MARGIN, TAG, TAG), Rectangle(right, MARGIN, TAG, TAG), Rectangle(right, low, TAG, TAG),
        Rectangle(MARGIN, low, TAG, TAG),
    )  # fmt: skip


@dataclass(frozen=True)
class Column:
    """Fields below each other.

    Attributes:
        fields: From top to bottom.
        area: Where they go; they may end above its end.
        whole: The width of the widest correction that is beside its field, up to the point.
        tail: What that has behind the point.
        framed: Whether there are frames around them, which reach to the left and the right of the area.
    """

    fields: Sequence[Field]
    area: Rectangle
    whole: float
    tail: float
    framed: bool = False

    @property
    def fits(self) -> bool:
        """Whether it is wide enough, and high enough."""
        wide = all(LABEL + whole(field) + self.tail <= self.area.width for field in self.fields)
        return wide and self.height(SPACING[0]) <= self.area.height

    @property
    def spacing(self) -> float:
        """As much between its rows as there is room for, within limits."""
        room = (self.area.height - self.height(0.0)) / max(1, len(self.fields) - 1)
        return min(max(room, SPACING[0]), SPACING[1])

    def height(self, spacing: float) -> float:
        """How high it is with so much between its rows."""
        return sum(map(self.row, self.fields)) + spacing * (len(self.fields) - 1)

    def row(self, field: Field) -> float:
        """How high the row of a field is, whose correction is beside it if that fits, or else beneath."""
        return BOX[1] + (0.0 if whole(field) <= self.whole else BENEATH + BOX[1]) + 2 * FRAME * self.framed

    def laid(self, spacing: float) -> tuple[tuple[Place, ...], tuple[Rectangle, ...]]:
        """Where each field lies, and the word "correction": above those beside their fields, before those beneath."""
        area, places, headings = self.area, [], []
        befores = accumulate((self.row(field) + spacing for field in self.fields), initial=0.0)
        for field, before in zip(self.fields, befores, strict=False):
            y, point, beside = area.y + FRAME * self.framed + before, area.right - self.tail, whole(field) <= self.whole
            boxes = boxes_of(field, point - self.whole - self.tail - BETWEEN if beside else point, y)
            correction = boxes_of(field, point, y if beside else y + BOX[1] + BENEATH)
            frame = Rectangle(area.x - FRAME, y - FRAME, area.width + 2 * FRAME, self.row(field))
            label = Rectangle(area.x, y, boxes[0].x - GAP - area.x, BOX[1])
            places.append(Place(field.name, label, boxes, correction, frame if self.framed else None))
            if not beside:
                headings.append(Rectangle(area.x, correction[0].y, correction[0].x - GAP - area.x, BOX[1]))
        if not self.framed and len(headings) < len(places):
            headings.insert(0, Rectangle(area.right - LABEL, area.y - HEADING, LABEL, HEADING))
        return tuple(places), tuple(headings)


def whole(field: Field) -> float:
    """The width of the boxes of a field up to its point."""
    return field.digits * BOX[0]


def tail(field: Field) -> float:
    """The width of what a field has behind its last whole digit."""
    return POINT + BOX[0] if field.halves else 0.0


def boxes_of(field: Field, point: float, y: float) -> tuple[Rectangle, ...]:
    """The boxes of a field, or its strip, whose last whole digit ends at `point`."""
    left = point - whole(field)
    if field.kind == "strip":
        return (Rectangle(left, y, whole(field) + tail(field), BOX[1]),)
    edges = [left + place * BOX[0] for place in range(field.digits)] + [point + POINT] * field.halves
    return tuple(Rectangle(x, y, *BOX) for x in edges)


def arranged(layout: Layout, body: Rectangle) -> tuple[tuple[Place, ...], tuple[Rectangle, ...]]:
    """The places and headings of a layout's fields, in as few columns as will do, and of its totals below them. Raises
    `LayoutError`."""
    totals = layout.totals
    ordinary = layout.fields[: len(layout.fields) - len(totals)]
    for across in range(1, MOST_COLUMNS + 1):
        for below in range(1, across + 1 if totals else 2):
            peers = layout.fields if across == below else totals
            last = columns(totals, below, body, peers, framed=True)
            high = max((column.height(SPACING[0]) for column in last), default=-QUIET) + QUIET
            upper = replace(body, height=body.height - high)
            first = columns(ordinary, across, upper, layout.fields if across == below else ordinary)
            if not all(column.fits for column in (*first, *last)):
                continue
            spacing = min((column.spacing for column in first), default=0.0)
            used = max((column.height(spacing) for column in first), default=-QUIET) + QUIET
            last = columns(totals, below, body.below(used), peers, framed=True)
            laid = [*(column.laid(spacing) for column in first), *(column.laid(SPACING[0]) for column in last)]
            return sum((places for places, _ in laid), ()), sum((headings for _, headings in laid), ())
    width, height = SIZES[layout.paper]
    digits = max(field.digits for field in layout.fields)
    raise LayoutError(
        f"{len(layout.fields)} fields, totals among them, of up to {digits} digits do not fit on {layout.paper}, "
        f"{width:g}×{height:g} mm, expected at most about 40 fields of two digits: make two layouts of it"
    )


def columns(
    fields: Sequence[Field], count: int, area: Rectangle, peers: Sequence[Field], framed: bool = False
) -> list[Column]:
    """Fields in up to `count` columns of one width, the first ones in the first; the boxes of each stand below those of
    its `peers`."""
    width, rows = (area.width - (count - 1) * GUTTER) / count, max(1, ceil(len(fields) / count))
    end = max(map(tail, peers), default=0.0)
    widest = [whole(field) for field in peers if LABEL + 2 * (whole(field) + end) + BETWEEN <= width]
    return [
        Column(fields[start : start + rows], replace(area, x=area.x + place * (width + GUTTER), width=width),
               max(widest, default=0.0), end, framed)
        for place, start in enumerate(range(0, len(fields), rows))
    ]  # fmt: skip


# People.

HEADERS = {"id", "identity", "name", "number", "student"}
"""First words of a line that names the columns; no person is called so."""
SEPARATORS = ",;\t"
"""What stands between columns, by the country and the program that wrote the file."""
LONGEST_PEOPLE = 1_000_000
"""Bytes of the file: some ten thousand people."""
MOST_BYTES = 60
"""Bytes of an identity: as many as leave cells of half a millimetre in its QR code."""
MOST_CHARACTERS = 100
"""Characters of a name: more than fit on the line."""


@dataclass(frozen=True)
class Person:
    """Somebody on a form.

    Attributes:
        identity: What the QR code says, and a table has.
        name: What is printed beside it, if that is another text.
    """

    identity: str
    name: str = ""

    @property
    def text(self) -> str:
        """The person in print."""
        return " · ".join(filter(None, (self.name, self.identity)))


def read_people(path: Path) -> list[Person]:
    """The people of a CSV file: an identity or a name, and perhaps a name behind it. Raises `DataError`."""
    data = read_or(path, DataError, "a CSV file of people")
    if len(data) > LONGEST_PEOPLE:
        raise DataError(
            f"{path}: {len(data):,} bytes, expected at most {LONGEST_PEOPLE:,}: print a part of these people at a time"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not in UTF-8 ({error.reason}): save it as CSV in UTF-8") from error
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=max(SEPARATORS, key=first.count), strict=True)
    people: dict[str, Person] = {}
    try:
        for row in rows:
            values = [value.strip() for value in row]
            if not any(values) or (rows.line_num == 1 and values[0].casefold() in HEADERS):
                continue
            if len(values) > 2:
                raise LayoutError(
                    f"{len(values)} columns, expected an identity, and perhaps a name: leave the others out"
                )
            identity, name = (*values, "")[:2]
            if (size := len(identity.encode())) > MOST_BYTES:
                raise LayoutError(
                    f"{identity[:30]!r}… has {size:,} bytes, expected at most {MOST_BYTES}, for its QR code: put a "
                    "short number first, and the name behind it"
                )
            check_text("identity", identity, MOST_BYTES)
            check_text("name", name or identity, MOST_CHARACTERS)
            if identity in people:
                raise LayoutError(f"{identity!r} is there twice, expected each once: tell them apart")
            people[identity] = Person(identity, name)
    except (csv.Error, LayoutError) as error:
        told = f"is not CSV ({error}), expected an identity and a name" if isinstance(error, csv.Error) else error
        raise DataError(f"{path}: line {rows.line_num}: {told}") from error
    if not people:
        raise DataError(f"{path}: nobody is in it, expected a line for each person: add some")
    return list(people.values())

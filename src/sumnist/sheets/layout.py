"""Describes a form: its fields and formulas (a TOML file), their places on the page, and the people who get one (a CSV
file).

A layout is a short TOML file, such as:

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import accumulate
from math import ceil, prod
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from sumnist.config import shown, unknown
from sumnist.errors import UNPRINTED, DataError, LayoutError, SumnistError
from sumnist.files import fits, parse_json, read_whole
from sumnist.formulas import NAME, NAME_EXPECTED, Relation, check_relation, in_order, rounded
from sumnist.typed import typed

FieldKind = Literal["boxes", "strip"]
"""How a field is printed: a box for each digit, or one frame for the whole number."""
Paper = Literal["A4", "Letter"]
"""The sizes of paper."""
Identified = Literal["printed", "digits", "none"]
"""How a page says who its person is: in print and in its code, by a number written in boxes, or not at all."""

FORMAT = 1
"""The version of the geometry. It rises when the same layout gets another geometry, so that the program can tell old
prints from new ones."""


@dataclass(frozen=True)
class Most:
    """The most that a layout and a list of people may have."""

    digits: int = 12
    """The most digits of a number: more boxes than these are wider than a page."""
    fields: int = 100
    """The most fields of a layout: twice as many as fit on a page."""
    bytes: int = 50_000
    """The most bytes of a TOML file. A layout that fills a page takes a tenth of it."""
    line_bytes: int = 2_500
    """The most bytes of a line of it; the longest formula takes them. Without limits, the TOML parser takes quadratic
    time for names with many dots."""
    title: int = 100
    """The most characters of a title: a longer one does not fit beside the corner tags."""
    label: int = 80
    """The most characters of a label."""
    lines: int = 12
    """The most lines to write on."""
    people_bytes: int = 1_000_000
    """The most bytes of the file: some ten thousand people."""
    identity_bytes: int = 60
    """The most bytes of an identity: even then, the cells of its QR code are half a millimetre wide."""
    name: int = 100
    """The most characters of a name. The line of a form has room for fewer."""


MOST = Most()

NOTE, LINES = "For the marker only", ("Date", "Marked by", "Signature")
"""The words above the fields of an exam, and the labels of its lines to write on."""
TWICE = "field {}: is there twice, expected a name for each field: give one of them another"


def check_number(what: str, value: int, most: int, mend: str) -> None:
    """Raise `LayoutError` for a number that is not from 1 to `most`."""
    if not 1 <= value <= most:
        raise LayoutError(f"{what} {shown(value)}, expected 1 to {most:,}: {mend}")


def check_name(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raise `LayoutError` for a value that is not one of the known names."""
    if value not in known:
        raise LayoutError(unknown(what, value, known))


def check_text(what: str, text: str, most: int) -> None:
    """Raise `LayoutError` for a text that cannot be one line of at most `most` characters."""
    if not text.strip() or len(text) > most or UNPRINTED & set(map(unicodedata.category, text)):
        raise LayoutError(f"{what} {text[:60]!r}: expected one line of 1 to {most} characters: give it another one")


# The content of a form.


@dataclass(frozen=True)
class Field:
    """A place for one handwritten number, from 0 to `largest`.

    Values are whole numbers in units of `step`: with `halves`, 15 is 7½.

    Attributes:
        name: The name in formulas and tables.
        label: The text printed beside it.
        kind: "boxes", one for each digit, or "strip", one for the whole number.
        digits: How many digits the number has at most, before the point.
        largest: The largest value.
        halves: Whether halves are allowed: a 5 or a 0 stands behind a printed point.

    Examples:
        >>> Field("q1", "Question 1", "boxes", digits=1, largest=9).largest
        9
    """

    name: str
    label: str
    kind: FieldKind
    digits: int
    largest: int
    halves: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise LayoutError(f"field {self.name[:40]!r}: expected {NAME_EXPECTED}: give it another one")
        what = f"field {self.name}:"
        check_text(f"{what} label", self.label, MOST.label)
        check_name(f"{what} kind", self.kind, get_args(FieldKind))
        check_number(f"{what} digits", self.digits, MOST.digits, "make two fields of it")
        most = full(self.digits, self.halves)
        if not 1 <= self.largest <= most:
            expected = f"{self.shown(1)} to {self.shown(most)} with digits = {self.digits}"
            raise LayoutError(f"{what} largest {self.shown(self.largest)}, expected {expected}: change one of them")

    @property
    def step(self) -> int:
        """The unit of its values, in halves: 1 with `halves`, otherwise 2."""
        return 1 if self.halves else 2

    def shown(self, value: int) -> str:
        """A value as it is printed, such as 13 or 7½."""
        whole, half = divmod(value, 2) if self.halves else (value, 0)
        return ("" if half and not whole else str(whole)) + "½" * half

    def plain(self, value: int | None) -> int | float | None:
        """A value as programs write it, such as 13 or 7.5."""
        return value if value is None or not self.halves else value / 2 if value % 2 else value // 2


def full(digits: int, halves: bool) -> int:
    """The largest value that this many digits can write."""
    power: int = 10 ** max(0, min(digits, MOST.digits))
    return power * (2 if halves else 1) - 1


@dataclass(frozen=True)
class Identity:
    """How a page says who its person is.

    Attributes:
        kind: "printed", as a QR code and in text; "digits", a number written by hand; "none".
        digits: How many digits the handwritten number has.
    """

    kind: Identified = "printed"
    digits: int = 6

    def __post_init__(self) -> None:
        check_name("identity: kind", self.kind, get_args(Identified))
        check_number("identity: digits", self.digits, 10, "ask for a shorter number")


@dataclass(frozen=True)
class Layout:
    """The content of a form.

    Attributes:
        title: The title printed above it.
        fields: The fields in the order in which they are printed, totals last.
        formulas: One or more formulas for each total, in the order of the totals.
        version: A number that you may raise with each edition.
        paper: "A4" or "Letter".
        identity: How a page says who its person is.
        note: The words printed above the fields; "" for none.
        lines: The labels of lines to write on; as many are printed as there is room for. They are not read.

    Examples:
        >>> layout = Layout.of_line("9,7", title="Quiz")
        >>> layout.title, layout.field("total").largest
        ('Quiz', 16)
    """

    title: str
    fields: tuple[Field, ...]
    formulas: tuple[Relation, ...]
    version: int = 1
    paper: Paper = "A4"
    identity: Identity = Identity()
    note: str = ""
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_text("title", self.title, MOST.title)
        check_text("note", self.note or NOTE, MOST.label)
        for line in self.lines:
            check_text("line", line, MOST.label)
        if len(self.lines) > MOST.lines:
            raise LayoutError(f"{len(self.lines):,} lines, expected at most {MOST.lines}: leave some out")
        check_name("paper", self.paper, get_args(Paper))
        check_number("version", self.version, 9_999, "begin again at 1")
        if not 1 <= len(self.fields) <= MOST.fields:
            raise LayoutError(f"{len(self.fields):,} fields, expected 1 to {MOST.fields}: split it, or add one")
        names = [field.name for field in self.fields]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise LayoutError(TWICE.format(twice))
        known = {field.name: field for field in self.fields}
        for formula in in_order(self.formulas, names):
            check_relation(formula)
            total = known[formula.total]
            halved = next((name for _, name in formula.terms if known[name].halves), None)
            if halved and (formula.times or not total.halves):
                expected = "whole numbers: drop halves" if formula.times else f"halves in {total.name}, too: allow them"
                raise LayoutError(f"field {total.name}: {halved} in its formula has halves, expected {expected}")
            if total.largest < (most := most_of(formula, known, total.halves)):
                least = f"largest {total.shown(total.largest)}, expected at least {total.shown(most)}"
                raise LayoutError(f"field {total.name}: {least}, by its formula: leave largest and digits out")
        totals = {formula.total for formula in self.formulas}
        object.__setattr__(self, "fields", tuple(sorted(self.fields, key=lambda field: field.name in totals)))
        object.__setattr__(self, "formulas", tuple(sorted(self.formulas, key=lambda one: self.names.index(one.total))))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> Field:
        """The field with this name, which must exist."""
        return next(field for field in self.fields if field.name == name)

    @property
    def totals(self) -> tuple[Field, ...]:
        """The fields that have a formula."""
        names = {formula.total for formula in self.formulas}
        return tuple(field for field in self.fields if field.name in names)

    def sum_of(self, formula: Relation, values: Mapping[str, Any]) -> int | float | None:
        """What the terms of a formula come to, rounded to the unit of its total; None if a term is unknown. Numbers are
        as people write them: 7.5, not 15."""
        parts = [values.get(name) for _, name in formula.terms]
        if None in parts:
            return None
        total = self.field(formula.total)
        return total.plain(rounded(int(formula.value(parts) * 2 // total.step), formula.divisor))

    def agrees(self, formula: Relation, values: Mapping[str, Any]) -> bool | None:
        """Whether a total is what its terms come to, a mean also if it is rounded to the other side; None if one of
        these numbers is unknown. Numbers are as people write them."""
        written, parts = values.get(formula.total), [values.get(name) for _, name in formula.terms]
        if written is None or None in parts:
            return None
        step, divisor = self.field(formula.total).step, formula.divisor
        off = abs(divisor * written - formula.value(parts)) * 2  # in halves
        return bool(off < divisor * step if divisor > 1 else off == 0)

    @property
    def id(self) -> str:
        """Eight letters and digits that identify the layout. They depend on all that reading needs: not on title,
        labels, note, lines and version."""
        content = [
            self.paper, self.identity.kind, self.identity.digits if self.identity.kind == "digits" else 0,
            [[f.name, f.kind, f.digits, f.largest, f.halves] for f in self.fields],
            [formula.text for formula in self.formulas],
        ]  # fmt: skip
        return b32encode(sha256(json.dumps(content).encode()).digest())[:8].decode().lower()

    def code(self, identity: str = "") -> str:
        """The text of the QR code on the page of the person with this identity."""
        return f"sumnist:{FORMAT}:{self.id}:{self.version}:{identity}"

    @classmethod
    @typed
    def of_line(cls, line: str, title: str = "Exam", paper: Paper = "A4") -> Layout:
        """The layout of an exam: questions with these largest marks, as in "9,7.5,13", and their total.

        Raises `LayoutError`.

        Examples:
            >>> Layout.of_line("9,7.5,13").names
            ('q1', 'q2', 'q3', 'total')
        """
        questions: dict[str, Field] = {}
        for place, mark in enumerate(map(str.strip, line.split(",")), 1):
            if not (found := re.fullmatch(r"[0-9]{1,12}(\.[05])?", mark)):
                raise LayoutError(f"question {place}: largest mark {mark[:40]!r}, expected as in 9 or 7.5: correct it")
            entry = {"label": f"Question {place}", "largest": float(mark) if found[1] else int(mark)}
            questions[f"q{place}"] = field_of({"name": f"q{place}", "halves": bool(found[1]), **entry})
        formula = Relation("total", tuple((1, name) for name in questions))
        total = total_of({"name": "total", "label": "Total"}, [formula], questions)
        return cls(title, (*questions.values(), total), (formula,), paper=paper, note=NOTE, lines=LINES)

    @classmethod
    @typed
    def load(cls, path: str | Path) -> Layout:
        """The layout of a TOML file. Raises `LayoutError`."""
        return loaded(path, cls.of_toml)

    @classmethod
    def of_toml(cls, data: bytes) -> Layout:
        """The layout that the content of a TOML file describes. Raises `LayoutError`."""
        values = values_of(data)
        check_keys("the layout", values, {
            "title": str, "version": int, "paper": str, "note": str, "lines": (str, list), "identity": dict,
            "field": list, "total": list,
        }, ("title", "field"))  # fmt: skip
        ordinary, totals, lines = values.pop("field"), values.pop("total", []), values.pop("lines", ())
        lines = (lines,) if isinstance(lines, str) else tuple(lines)
        for line in lines:
            check_keys("the layout", {"lines": line}, {"lines": str})
        for place, entry in enumerate([*ordinary, *totals], 1):
            more = {"formula": (str, list)} if place > len(ordinary) else {}
            name = entry.get("name") if isinstance(entry, dict) else None
            check_keys(f"field {name[:40] if isinstance(name, str) else place}", entry, FIELD | more, ("name", *more))
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
            alike = [one for one in formulas if one.total == formula.total]
            known[formula.total] = total_of(entries[formula.total], alike, known)
        fields = (*found, *(known[name] for name in entries))
        return cls(fields=fields, formulas=tuple(formulas), identity=Identity(**identity), lines=lines, **values)

    def to_toml(self) -> str:
        """The TOML file that `load` reads as this layout."""
        formulas: dict[str, list[str]] = {}
        for formula in self.formulas:
            formulas.setdefault(formula.total, []).append(formula.text)
        head = {key: getattr(self, key) for key in ("title", "version", "paper", "note", "lines")}
        lines = [*written(head), "", "[identity]", *written(asdict(self.identity))]
        for field in self.fields:
            texts, halves = formulas.get(field.name), field.halves or None
            entry = {key: getattr(field, key) for key in ("name", "label", "kind", "digits")}
            entry |= {"halves": halves, "largest": field.largest / 2 if halves else field.largest}
            entry["formula"] = texts[0] if texts and len(texts) == 1 else texts
            lines += ["", "[[total]]" if texts else "[[field]]", *written(entry)]
        return "\n".join(lines) + "\n"


FIELD: dict[str, type | tuple[type, ...]] = {
    "name": str, "label": str, "kind": str, "digits": int, "largest": (int, float), "halves": bool,
}  # fmt: skip
"""The keys of a field in TOML, and the types of their values."""
TYPES: dict[Any, str] = {
    str: "a text in quotes", int: "a whole number", bool: "true or false", dict: "a table", list: "tables",
    (str, list): "a text in quotes, or several in brackets", (int, float): "a number",
}  # fmt: skip
"""The names of types in messages."""


Described = TypeVar("Described")
"""The type of object that a file describes."""


def loaded(path: str | Path, of_toml: Callable[[bytes], Described]) -> Described:
    """The object that a TOML file describes. Raises `LayoutError`, which names the file."""
    data = read_or(Path(path), LayoutError, "a layout")
    try:
        return of_toml(data)
    except LayoutError as error:
        raise LayoutError(f"{path}: {error}") from error


def values_of(data: bytes) -> dict[str, Any]:
    """The values in the content of a TOML file. Raises `LayoutError`."""
    if len(data) > MOST.bytes or (longest := max(map(len, data.split(b"\n")))) > MOST.line_bytes:
        what = f"{len(data):,} bytes" if len(data) > MOST.bytes else f"a line of {longest:,} bytes"
        raise LayoutError(f"{what}, expected at most {MOST.bytes:,}, in lines of {MOST.line_bytes:,}: shorten it")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise LayoutError(f"is no TOML ({reason}), expected a layout: correct it there") from error


def check_keys(what: str, values: Any, types: Mapping[str, Any], needed: Sequence[str] = ()) -> None:
    """Raise `LayoutError` for an entry that is no table, a key that is unknown or missing, or a value of another
    type."""
    if not isinstance(values, dict):
        raise LayoutError(f"{what}: {str(values)[:60]!r}, expected a table: write it as in [[field]] or [[rules]]")
    for key, value in values.items():
        if key not in types:
            raise LayoutError(f"{what}: {unknown('key', key[:40], tuple(types))}")
        kind = types[key]
        if type(value) not in (kind if isinstance(kind, tuple) else (kind,)):
            raise LayoutError(f"{what}: {key} = {str(value)[:60]!r}, expected {TYPES[kind]}: write it so")
    if missing := [key for key in needed if key not in values]:
        raise LayoutError(f"{what}: no {missing[0]}, expected one: add {missing[0]} = …")


def field_of(entry: Mapping[str, Any]) -> Field:
    """A field from its TOML entry. Raises `LayoutError`."""
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
    """The bytes of a file. If it cannot be read, raises an error of this kind that says what was expected."""
    try:
        return read_whole(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise kind(f"{path}: cannot be read ({reason}), expected {expected}: check the name") from error


def json_lines(path: Path, content: bytes, shape: Any, message: str) -> Iterator[tuple[str, Any]]:
    """The values in the lines of a file with this content, each with its place. A last line that was written by half,
    when its program was stopped, is left out. Raises `DataError` with the message for another line that is no JSON of
    the shape."""
    for number, line in enumerate(lines := content.splitlines(keepends=True), 1):
        where, value = f"{path}, line {number}", None
        with suppress(ValueError):
            value = parse_json(line)
        if fits(value, shape):
            yield where, value
        elif number < len(lines) or line.endswith(b"\n"):
            raise DataError(f"{where}: {message}")


def most_of(formula: Relation, parts: Mapping[str, Field], halves: bool) -> int:
    """The largest value that a formula can have, in units of its total."""
    if formula.times:
        return max(0, prod([weight * parts[name].largest for weight, name in formula.terms])) // formula.divisor
    most = sum(weight * parts[name].largest * parts[name].step for weight, name in formula.terms if weight > 0)
    return -(-most // ((1 if halves else 2) * formula.divisor))


def total_of(entry: Mapping[str, Any], formulas: Sequence[Relation], known: Mapping[str, Field]) -> Field:
    """A total from its TOML entry; what the entry leaves out follows from the formulas. Raises `LayoutError`."""
    halves = entry.get("halves", any(known[name].halves for one in formulas for _, name in one.terms))
    largest = max(1, *(most_of(one, known, halves) for one in formulas))
    given = largest / 2 if halves else largest
    return field_of({"halves": halves, "largest": given, **{key: entry[key] for key in entry if key != "formula"}})


def written(entries: Mapping[str, Any]) -> list[str]:
    """Lines of TOML with these entries; None is left out."""
    return [f"{key} = {toml_of(value)}" for key, value in entries.items() if value is not None]


def toml_of(value: Any) -> str:
    """A text, a number, a truth value or a list as TOML, which writes them as JSON does, but for one control character;
    a long list gets a line for each entry."""
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return text if len(text.encode()) < MOST.line_bytes - 100 else "[\n" + ",\n".join(map(toml_of, value)) + "]"


# The geometry of a page, in millimetres: printing and reading both use it. It depends only on the values in
# `Layout.id`, so not on titles and labels: the layout of a form that was printed long ago still gives its geometry. If
# you change the geometry here, raise `FORMAT`.

SIZES: dict[Paper, tuple[float, float]] = {"A4": (210.0, 297.0), "Letter": (215.9, 279.4)}
"""Width and height of each paper."""


@dataclass(frozen=True)
class Geometry:
    """The lengths of a page, in millimetres."""

    margin: float = 10.0
    """The distance from the edge of the paper to the tags: twice the border that most printers leave white."""
    tag: float = 13.0
    """Side of a corner tag's black square: its cells are 5 pixels wide in a picture where the page is 650 pixels
    wide."""
    code: float = 20.0
    """Side of the QR code: its cells are about 0.6 mm wide, which a telephone resolves from where it sees a whole A4
    page."""
    quiet: float = 4.0
    """White space around tags and code. Their standards ask for less: the width of one cell of a tag, and of four cells
    of the code."""
    box: tuple[float, float] = (8.0, 10.0)
    """Width and height of a box for a digit."""
    point: float = 3.0
    """Width of the space for a printed point."""
    between: float = 4.0
    """The distance from the boxes of a field to those of its correction, if the correction is beside the field."""
    label: float = 20.0
    """The least width of a label: room for the words "Question 12" in small print."""
    beneath: float = 2.0
    """The distance from the boxes of a field down to those of its correction, if the correction is beneath the
    field."""
    gap: float = 2.0
    """Space from a label to its boxes."""
    gutter: float = 8.0
    """Space between columns."""
    spacing: tuple[float, float] = (2.5, 6.0)
    """The least and the most space between rows; digits must not reach into the boxes of another row."""
    heading: float = 5.0
    """Height of the word "correction" above the corrections."""
    headed: float = 15.5
    """Width of it."""
    frame: float = 2.5
    """The distance from the boxes of a total to the frame around it: far enough that no digit touches the frame."""
    columns: int = 4
    """The most columns of fields."""


MM = Geometry()


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
        """The rectangle without a strip of this height at its top."""
        return Rectangle(self.x, self.y + height, self.width, self.height - height)

    def grown(self, by: float) -> Rectangle:
        """The rectangle, larger by this much on each side."""
        return Rectangle(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)


@dataclass(frozen=True)
class Place:
    """Where a field lies on its page.

    Attributes:
        name: The name of the field; "" for the identity.
        label: The space for its label.
        boxes: One box for each digit, from left to right, the box for halves last; or the one strip.
        correction: The boxes, or the strip, for the number that replaces a wrong one.
        frame: The frame around a total; None for other fields.
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
        width: Width of the paper.
        height: Height of the paper.
        tags: The black squares of the corner tags, clockwise from the top left.
        code: The QR code, without the white around it.
        title: The space for the title.
        person: The space for the person.
        example: The space for the line with worked examples.
        instruction: The space for the line that says how to fill in the form.
        note: The space for the words above the fields.
        footer: The space for the layout's id and version.
        identity: Where a person writes the identity, if the layout asks for it by hand; otherwise None.
        places: Where each field lies, in the order of the layout.
        headings: The spaces for the word "correction", above or beside the corrections.
        free: Two areas below the fields that nothing else uses. The first is as wide as the fields and ends above the
            lower tags. The second lies between the lower tags and ends above the footer. The two may overlap.
    """

    width: float
    height: float
    tags: tuple[Rectangle, ...]
    code: Rectangle
    title: Rectangle
    person: Rectangle
    example: Rectangle
    instruction: Rectangle
    note: Rectangle
    footer: Rectangle
    identity: Place | None
    places: tuple[Place, ...]
    headings: tuple[Rectangle, ...]
    free: tuple[Rectangle, Rectangle]

    @classmethod
    def of(cls, layout: Layout) -> Page:
        """The page of a layout. Raises `LayoutError` if the fields do not fit on it."""
        width, height = SIZES[layout.paper]
        tags = near, _, far, _ = tags_on(layout.paper)
        right, low = far.x, far.y
        code = Rectangle(right - MM.quiet - MM.code, MM.margin, MM.code, MM.code)
        left, y = near.right + MM.quiet, code.bottom + MM.quiet
        beside = code.x - MM.quiet - left
        line = Rectangle(MM.margin + MM.frame, y, width - 2 * (MM.margin + MM.frame), MM.heading)
        body = Rectangle(line.x, line.bottom + MM.heading, line.width, low - MM.quiet - line.bottom - MM.heading)
        identity: Place | None = None
        headings: tuple[Rectangle, ...] = ()
        if layout.identity.kind == "digits":
            number = Field("identity", "Number", "boxes", layout.identity.digits, 1)
            (column,) = columns([number], 1, body, [number])
            (identity,), headings = column.laid(0.0)
            body = body.below(column.height(0.0) + MM.quiet + MM.heading)
        places, more = arranged(layout, body)
        first, top = places[0], places[0].label.y - MM.heading
        end = min((one.x for one in more if one.y == top), default=first.correction[-1].right)
        used = max((place.frame or place.correction[-1]).bottom for place in places)
        footer = Rectangle(left, far.bottom - MM.heading, far.x - MM.quiet - left, MM.heading)
        return cls(
            width, height, tags, code,
            title=Rectangle(left, MM.margin, beside, 8.0), person=Rectangle(left, MM.margin + 8, beside, 9.0),
            example=Rectangle(line.x, line.y - 6.8, code.x - MM.quiet - line.x, MM.heading),
            instruction=replace(line, y=line.y - 1.5),
            note=Rectangle(first.label.x, top, end - first.label.x, MM.heading - 2.5), footer=footer,
            identity=identity, places=places, headings=(*headings, *more),
            free=(Rectangle(line.x, used + MM.quiet, line.width, body.bottom - used - MM.quiet),
                  Rectangle(left, used + MM.quiet / 2, footer.width, footer.y - used - MM.quiet / 2)),
        )  # fmt: skip


def tags_on(paper: Paper) -> tuple[Rectangle, ...]:
    """The black squares of the four corner tags on a paper, clockwise from the top left."""
    right, low = (side - MM.margin - MM.tag for side in SIZES[paper])
    places = (MM.margin, MM.margin), (right, MM.margin), (right, low), (MM.margin, low)
    return tuple(Rectangle(x, y, MM.tag, MM.tag) for x, y in places)


@dataclass(frozen=True)
class Column:
    """A column of fields.

    Attributes:
        fields: The fields from top to bottom.
        area: The space for them; they may end above its lower edge.
        whole: The width of the widest correction beside a field, as far as its decimal point.
        tail: The width of the widest part behind a decimal point.
        framed: Whether each field has a frame, which sticks out of the area on the left and on the right.
    """

    fields: Sequence[Field]
    area: Rectangle
    whole: float
    tail: float
    framed: bool = False

    @property
    def fits(self) -> bool:
        """Whether the fields fit into the width and the height of the area."""
        wide = all(MM.label + whole(field) + self.tail <= self.area.width for field in self.fields)
        return wide and self.height(MM.spacing[0]) <= self.area.height

    @property
    def spacing(self) -> float:
        """The space between rows: as much as there is room for, within `MM.spacing`."""
        room = (self.area.height - self.height(0.0)) / max(1, len(self.fields) - 1)
        return min(max(room, MM.spacing[0]), MM.spacing[1])

    def height(self, spacing: float) -> float:
        """The height of the column with this much space between rows."""
        return sum(map(self.row, self.fields)) + spacing * (len(self.fields) - 1)

    def row(self, field: Field) -> float:
        """The height of a field's row. The correction is beside the field if it fits there, or else beneath it."""
        return MM.box[1] + (0.0 if whole(field) <= self.whole else MM.beneath + MM.box[1]) + 2 * MM.frame * self.framed

    def laid(self, spacing: float) -> tuple[tuple[Place, ...], tuple[Rectangle, ...]]:
        """Where each field lies, and the places of the word "correction": one above the corrections that are beside
        their fields, and one on the left of each correction beneath its field."""
        area, places, headings = self.area, [], []
        befores = accumulate((self.row(field) + spacing for field in self.fields), initial=0.0)
        for field, before in zip(self.fields, befores, strict=False):
            point, beside = area.right - self.tail, whole(field) <= self.whole
            y = area.y + MM.frame * self.framed + before
            boxes = boxes_of(field, point - self.whole - self.tail - MM.between if beside else point, y)
            correction = boxes_of(field, point, y if beside else y + MM.box[1] + MM.beneath)
            frame = Rectangle(area.x - MM.frame, y - MM.frame, area.width + 2 * MM.frame, self.row(field))
            label = Rectangle(area.x, y, boxes[0].x - MM.gap - area.x, MM.box[1])
            places.append(Place(field.name, label, boxes, correction, frame if self.framed else None))
            if not beside:
                headings.append(Rectangle(area.x, correction[0].y, correction[0].x - MM.gap - area.x, MM.box[1]))
        if not self.framed and len(headings) < len(places):
            headings.insert(0, Rectangle(area.right - MM.headed, area.y - MM.heading, MM.headed, MM.heading))
        return tuple(places), tuple(headings)


def whole(field: Field) -> float:
    """The width of the boxes of a field up to its point."""
    return field.digits * MM.box[0]


def tail(field: Field) -> float:
    """The width of a field's part behind its last whole digit."""
    return MM.point + MM.box[0] if field.halves else 0.0


def boxes_of(field: Field, point: float, y: float) -> tuple[Rectangle, ...]:
    """The boxes of a field, or its strip, placed so that the last whole digit ends at `point`."""
    left = point - whole(field)
    if field.kind == "strip":
        return (Rectangle(left, y, whole(field) + tail(field), MM.box[1]),)
    edges = [left + place * MM.box[0] for place in range(field.digits)] + [point + MM.point] * field.halves
    return tuple(Rectangle(x, y, *MM.box) for x in edges)


def arranged(layout: Layout, body: Rectangle) -> tuple[tuple[Place, ...], tuple[Rectangle, ...]]:
    """The places and headings of a layout's fields, in as few columns as possible, and of its totals below them. Raises
    `LayoutError`."""
    totals = layout.totals
    ordinary = layout.fields[: len(layout.fields) - len(totals)]
    for across in range(1, MM.columns + 1):
        for below in range(1, across + 1 if totals else 2):
            peers = layout.fields if across == below else totals
            last = columns(totals, below, body, peers, framed=True)
            high = max((column.height(MM.spacing[0]) for column in last), default=-MM.quiet) + MM.quiet
            upper = replace(body, height=body.height - high)
            first = columns(ordinary, across, upper, layout.fields if across == below else ordinary)
            if not all(column.fits for column in (*first, *last)):
                continue
            spacing = min((column.spacing for column in first), default=0.0)
            used = max((column.height(spacing) for column in first), default=-MM.quiet) + MM.quiet
            last = columns(totals, below, body.below(used), peers, framed=True)
            laid = [*(column.laid(spacing) for column in first), *(column.laid(MM.spacing[0]) for column in last)]
            return sum((places for places, _ in laid), ()), sum((headings for _, headings in laid), ())
    what = f"{len(layout.fields)} fields of up to {max(field.digits for field in layout.fields)} digits"
    raise LayoutError(f"{what} do not fit on {layout.paper}, expected about 40 of two digits: make two layouts of it")


def columns(
    fields: Sequence[Field], count: int, area: Rectangle, peers: Sequence[Field], framed: bool = False
) -> list[Column]:
    """Distribute fields in order over up to `count` columns of one width. The boxes line up with those of the fields
    `peers`, which stand in columns of the same width."""
    width, rows = (area.width - (count - 1) * MM.gutter) / count, max(1, ceil(len(fields) / count))
    end = max(map(tail, peers), default=0.0)
    widest = [whole(field) for field in peers if MM.label + 2 * (whole(field) + end) + MM.between <= width]
    return [
        Column(fields[start : start + rows], replace(area, x=area.x + place * (width + MM.gutter), width=width),
               max(widest, default=0.0), end, framed)
        for place, start in enumerate(range(0, len(fields), rows))
    ]  # fmt: skip


# People.

HEADERS = {"id", "identity", "name", "number", "student"}
"""If the first line begins with one of these words, it names the columns and is no person."""


@dataclass(frozen=True)
class Person:
    """A person who gets a form.

    Attributes:
        identity: The text in the QR code and in tables.
        name: The name printed beside the identity, if it is another text.
    """

    identity: str
    name: str = ""

    @property
    def text(self) -> str:
        """The printed text: name and identity."""
        return " · ".join(filter(None, (self.name, self.identity)))


def read_people(path: Path) -> list[Person]:
    """The people in a CSV file. Each line has an identity or a name, and perhaps a name behind it. Raises
    `DataError`."""
    data = read_or(path, DataError, "a CSV file of people")
    if len(data) > MOST.people_bytes:
        raise DataError(f"{path}: {len(data):,} bytes, expected at most {MOST.people_bytes:,}: print a part first")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not in UTF-8 ({error.reason}): save it as CSV in UTF-8") from error
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=max(",;\t", key=first.count), strict=True)
    people: dict[str, Person] = {}
    try:
        for row in rows:
            values = [value.strip() for value in row]
            if not any(values) or (rows.line_num == 1 and values[0].casefold() in HEADERS):
                continue
            if len(values) > 2:
                raise LayoutError(f"{len(values)} columns, expected an identity, and perhaps a name: drop the others")
            identity, name = (*values, "")[:2]
            if (size := len(identity.encode())) > MOST.identity_bytes:
                raise LayoutError(f"{identity[:30]!r}… has {size:,} bytes, expected {MOST.identity_bytes}: shorten it")
            check_text("identity", identity, MOST.identity_bytes)
            check_text("name", name or identity, MOST.name)
            if identity in people:
                raise LayoutError(f"{identity!r} is there twice, expected each once: tell them apart")
            people[identity] = Person(identity, name)
    except (csv.Error, LayoutError) as error:
        reason = f"is not CSV ({error}), expected an identity and a name" if isinstance(error, csv.Error) else error
        raise DataError(f"{path}: line {rows.line_num}: {reason}") from error
    if not people:
        raise DataError(f"{path}: nobody is in it, expected a line for each person: add some")
    return list(people.values())

"""The layout of a form: its fields, their formulas, and who fills it in; a short TOML file.

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

import json
import re
import tomllib
import unicodedata
from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from sumnist.config import shown, unknown
from sumnist.errors import LayoutError
from sumnist.files import read_whole
from sumnist.sheets.formulas import NAME, NAME_EXPECTED, Formula, in_order

__all__ = ["Field", "Identity", "Kind", "Layout", "Paper", "check_text"]

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
UNPRINTED = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of characters that end a line or have no form."""


def check_text(what: str, text: str, most: int) -> None:
    """Raise `LayoutError` for a text that cannot be one line of at most `most` characters."""
    if not text.strip() or len(text) > most or UNPRINTED & set(map(unicodedata.category, text)):
        raise LayoutError(f"{what} {text[:60]!r}: expected one line of 1 to {most} characters: give it another one")


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
        if self.kind not in get_args(Kind):
            raise LayoutError(f"field {self.name}: {unknown('kind', self.kind, get_args(Kind))}")
        if not 1 <= self.digits <= MOST_DIGITS:
            raise LayoutError(
                f"field {self.name}: digits {shown(self.digits)}, expected 1 to {MOST_DIGITS}: make two fields of it"
            )
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
        if self.kind not in get_args(Identified):
            raise LayoutError(f"identity: {unknown('kind', self.kind, get_args(Identified))}")
        if not 1 <= self.digits <= 10:
            raise LayoutError(f"identity: digits {shown(self.digits)}, expected 1 to 10: ask for a shorter number")


@dataclass(frozen=True)
class Layout:
    """What is on a form.

    Attributes:
        title: What is printed above it.
        fields: In the order in which they are printed, totals last.
        formulas: One for each total, in the order of these.
        version: Counts what is printed of it, if you care to.
        paper: "A4" or "Letter".
        identity: How a page says whose it is.
    """

    title: str
    fields: tuple[Field, ...]
    formulas: tuple[Formula, ...]
    version: int = 1
    paper: Paper = "A4"
    identity: Identity = Identity()

    def __post_init__(self) -> None:
        check_text("title", self.title, LONGEST_TITLE)
        if self.paper not in get_args(Paper):
            raise LayoutError(unknown("paper", self.paper, get_args(Paper)))
        if not 1 <= self.version <= 9_999:
            raise LayoutError(f"version {shown(self.version)}, expected 1 to 9,999: begin again at 1")
        if not 1 <= len(self.fields) <= MOST_FIELDS:
            raise LayoutError(
                f"{len(self.fields):,} fields, expected 1 to {MOST_FIELDS}: make two layouts of it, or add one"
            )
        names = [field.name for field in self.fields]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise LayoutError(
                f"field {twice}: is there twice, expected a name for each field: give one of them another"
            )
        for formula in in_order(self.formulas, names):
            self.check_range(formula)
        totals = {formula.total: formula for formula in self.formulas}
        object.__setattr__(self, "fields", tuple(sorted(self.fields, key=lambda field: field.name in totals)))
        object.__setattr__(self, "formulas", tuple(totals[name] for name in self.names if name in totals))

    def check_range(self, formula: Formula) -> None:
        """Raise `LayoutError` for a total that cannot hold every sum."""
        total, parts = self.field(formula.total), [self.field(name) for _, name in formula.terms]
        halved = next((part.name for part in parts if part.halves), None)
        if halved and not total.halves:
            raise LayoutError(
                f"field {total.name}: is whole, and {halved} in its formula has halves, expected halves in both: add "
                "halves = true"
            )
        most = most_of(formula, {part.name: part for part in parts}, total.halves)
        if total.largest < most:
            raise LayoutError(
                f"field {total.name}: largest {total.shown(total.largest)}, expected at least {total.shown(most)}, the "
                "largest that its formula comes to: leave largest and digits out, which finds them"
            )

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
        return tuple(self.field(formula.total) for formula in self.formulas)

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
        marks = [word.strip() for word in line.split(",")]
        questions = [
            field_of({"name": f"q{place}", "label": f"Question {place}", **mark_of(place, mark)})
            for place, mark in enumerate(marks, 1)
        ]
        formula = Formula("total", tuple((1, question.name) for question in questions))
        total = total_of({"name": "total", "label": "Total"}, formula, {field.name: field for field in questions})
        return cls(title, (*questions, total), (formula,), paper=paper)

    @classmethod
    def load(cls, path: str | Path) -> Layout:
        """The layout of a TOML file. Raises `LayoutError`."""
        try:
            data = read_whole(Path(path))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise LayoutError(f"{path}: cannot be read ({reason}), expected a layout: check the name") from error
        try:
            return cls.of_toml(data)
        except LayoutError as error:
            raise LayoutError(f"{path}: {error}") from error

    @classmethod
    def of_toml(cls, data: bytes) -> Layout:
        """The layout that the content of a TOML file describes. Raises `LayoutError`."""
        if len(data) > LONGEST or (longest := max(map(len, data.split(b"\n")))) > LONGEST_LINE:
            what = f"{len(data):,} bytes" if len(data) > LONGEST else f"a line of {longest:,} bytes"
            raise LayoutError(
                f"{what}, expected a layout of at most {LONGEST:,} in lines of at most {LONGEST_LINE:,}: give another "
                "file"
            )
        try:
            values = tomllib.loads(data.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
            raise LayoutError(f"is no TOML ({reason}), expected a layout: correct it there") from error
        check_keys("the layout", values, {
            "title": str, "version": int, "paper": str, "identity": dict, "field": list, "total": list,
        }, ("title", "field"))  # fmt: skip
        ordinary, totals = values.pop("field"), values.pop("total", [])
        for place, entry in enumerate([*ordinary, *totals], 1):
            what = f"field {place}"
            if not isinstance(entry, dict):
                raise LayoutError(f"{what}: {str(entry)[:60]!r}, expected a table, [[field]] or [[total]]: write it so")
            is_total = place > len(ordinary)
            if isinstance(entry.get("name"), str):
                what = f"field {entry['name'][:40]}"
            check_keys(what, entry, FIELD | ({"formula": str} if is_total else {}),
                       ("name", "formula") if is_total else ("name",))  # fmt: skip
        identity = values.pop("identity", {})
        check_keys("identity", identity, {"kind": str, "digits": int})
        found, formulas = with_totals([field_of(entry) for entry in ordinary], totals)
        return cls(fields=tuple(found), formulas=tuple(formulas), identity=Identity(**identity), **values)

    def to_toml(self) -> str:
        """The TOML file that `load` reads as this layout."""
        formulas = {formula.total: formula.text for formula in self.formulas}
        lines = [
            *written(self, "title", "version", "paper"),
            "",
            "[identity]",
            *written(self.identity, "kind", "digits"),
        ]
        for field in self.fields:
            lines += ["", "[[total]]" if field.name in formulas else "[[field]]"]
            lines += written(field, "name", "label", "kind", "digits", *["halves"] * field.halves)
            lines += [f"largest = {field.largest / 2 if field.halves else field.largest}"]
            lines += [f"formula = {quoted(formulas[field.name])}"] if field.name in formulas else []
        return "\n".join(lines) + "\n"


FIELD: dict[str, type | tuple[type, ...]] = {
    "name": str, "label": str, "kind": str, "digits": int, "largest": (int, float), "halves": bool,
}  # fmt: skip
"""The keys of a field in TOML, and the types of their values."""
TYPES = {str: "a text in quotes", int: "a whole number", bool: "true or false", dict: "a table", list: "tables"}
"""What messages call the types."""


def check_keys(
    what: str,
    values: Mapping[str, Any],
    types: Mapping[str, type | tuple[type, ...]],
    needed: Sequence[str] = (),
) -> None:
    """Raise `LayoutError` for a key that is unknown or missing, and for a value of another type."""
    for key, value in values.items():
        if key not in types:
            raise LayoutError(f"{what}: {unknown('key', key[:40], tuple(types))}")
        kind = types[key]
        if type(value) not in (kind if isinstance(kind, tuple) else (kind,)):
            expected = "a number" if isinstance(kind, tuple) else TYPES[kind]
            raise LayoutError(f"{what}: {key} = {str(value)[:60]!r}, expected {expected}: write it so")
    if missing := [key for key in needed if key not in values]:
        raise LayoutError(f"{what}: no {missing[0]}, expected one: add {missing[0]} = …")


def field_of(entry: Mapping[str, Any]) -> Field:
    """A field as TOML has it. Raises `LayoutError`."""
    name, halves = entry["name"], entry.get("halves", False)
    if "digits" not in entry and "largest" not in entry:
        raise LayoutError(f"field {name}: neither digits nor largest, expected one of them: add digits = 2, say")
    largest = units(name, entry["largest"], halves) if "largest" in entry else full(entry["digits"], halves)
    digits = entry.get("digits", digits_of(largest, halves))
    return Field(name, entry.get("label", name), entry.get("kind", "boxes"), digits, largest, halves)


def units(name: str, largest: float, halves: bool) -> int:
    """A largest value in units of the field's values. Raises `LayoutError`."""
    value = largest * 2 if halves else largest
    if not abs(value) < 10**15 or value != int(value):
        raise LayoutError(
            f"field {name[:40]}: largest {shown(largest)}, expected a whole number" + (" of halves" if halves else
            ", or one of halves with halves = true") + ": change it"
        )  # fmt: skip
    return int(value)


def digits_of(largest: int, halves: bool) -> int:
    """How many digits a value has before the point."""
    return len(str(largest // 2 if halves else largest))


def most_of(formula: Formula, parts: Mapping[str, Field], halves: bool) -> int:
    """The largest value that a formula comes to, in units of its total."""
    most = sum(parts[name].largest * parts[name].step for sign, name in formula.terms if sign > 0)
    return most if halves else most // 2


def total_of(entry: Mapping[str, Any], formula: Formula, known: Mapping[str, Field]) -> Field:
    """A total as TOML has it; what it leaves out is what its formula needs. Raises `LayoutError`."""
    halves = entry.get("halves", any(known[name].halves for _, name in formula.terms))
    largest = max(1, most_of(formula, known, halves))
    given = largest / 2 if halves else largest
    return field_of({"halves": halves, "largest": given, **{key: entry[key] for key in entry if key != "formula"}})


def with_totals(ordinary: Sequence[Field], totals: Sequence[Mapping[str, Any]]) -> tuple[list[Field], list[Formula]]:
    """All fields, and the formulas, of fields and totals as TOML has them. Raises `LayoutError`."""
    formulas = []
    for entry in totals:
        formula = Formula.of(entry["formula"])
        if formula.total != (name := entry["name"][:40]):
            raise LayoutError(f"field {name}: its formula is of {formula.total}, expected {name} = …: change it")
        formulas.append(formula)
    entries = {entry["name"]: entry for entry in totals}
    known = {field.name: field for field in ordinary}
    if twice := next((name for name in entries if name in known), None):
        raise LayoutError(f"field {twice}: is there twice, expected a name for each field: give one of them another")
    for formula in in_order(formulas, [*known, *entries]):
        known[formula.total] = total_of(entries[formula.total], formula, known)
    return [*ordinary, *(known[formula.total] for formula in formulas)], formulas


def mark_of(place: int, mark: str) -> dict[str, Any]:
    """The largest mark of a question as TOML would have it. Raises `LayoutError`."""
    if not (found := MARK.fullmatch(mark)):
        raise LayoutError(
            f"question {place}: largest mark {mark[:40]!r}, expected a number such as 9 or 7.5: write them as in "
            "9,7.5,13"
        )
    return {"largest": float(mark) if found[1] else int(mark), "halves": bool(found[1])}


def written(thing: Any, *keys: str) -> list[str]:
    """Lines of TOML with these attributes."""
    return [f"{key} = {quoted(getattr(thing, key))}" for key in keys]


def quoted(value: object) -> str:
    """A text, a number, true or false in TOML, which for these is JSON but for one control character."""
    return json.dumps(value, ensure_ascii=False)

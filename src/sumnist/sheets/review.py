"""Manages sheets that need a person: what to ask of each, the person's corrections, and the workbook of both.

The readings are in `marks.jsonl`, which never changes. The corrections are in a file beside it that only grows, with
one line for each change:

    {"time": "2025-06-02T09:30:00.125+00:00", "row": 3, "field": "q2", "before": 7, "after": 1, "who": "review"}

A line without a field marks the whole sheet, as "accepted" or "skipped". Taking a change back adds a line, too, with
"undo": true: it undoes the last change of that field that was not taken back yet. The field "" is the identity of the
sheet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from PIL import Image, ImageOps

from sumnist.errors import DataError, ImageError, MissingExtraError
from sumnist.files import Journal, fits, parse_json
from sumnist.sheets.batch import BY_HAND, Summary
from sumnist.sheets.layout import Field, Layout, Page, Person, Place, Rectangle, json_lines, read_or
from sumnist.sheets.pictures import FilePage, colours_of

Row = dict[str, Any]
"""A line of `marks.jsonl`."""
IDENTITY = ""
"""The name of the identity among the names of fields, as on the page."""


# Readings.

NUMBER = (None, float)
READ = {
    "row": int, "path": str, "state": str, "layout": str, "values": dict, "matrix": [float] * 9,
    "look": [{"field": str, "candidates": [{"value": NUMBER, "probability": float}]}],
    "wrong": [{"field": str, "written": float, "sum": float}],
}  # fmt: skip
UNREADABLE = {"row": int, "path": str, "error": str}
"""The shapes of a row, as `files.fits` takes them: of a sheet that was read, and of one that was not."""
ASKED = None, "doubtful", "does not add up"
"""The states of the sheets that need a person; None stands for an unreadable sheet."""


class Doubts(dict[int, Row]):
    """The sheets that need a person, in the order of the file, by the numbers of their rows.

    Attributes:
        path: The file.
        layout: The layout of the sheets.
        count: How many sheets the file has, including those that need nobody.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        """Raises `DataError` if the file cannot be read, or if a line of it is no sheet of this layout."""
        super().__init__()
        self.path, self.layout, self.count = path, layout, 0
        for row in read_rows(path, layout):
            self.count += 1
            if row.get("state") in ASKED:
                self[row["row"]] = row

    def row(self, number: int) -> Row:
        """A row of the file. Raises `KeyError`."""
        return self[number]

    def questions(self, row: Row) -> list[dict[str, Any]]:
        """The questions about a sheet: the cells that settle it and the totals that are wrong, or all fields if it is
        unreadable.

        Each question has a "field" and its "candidates", the most probable first. A candidate has a "value" (None for
        any other number) and its "probability". For a wrong total, the probability is None, and a "note" says where the
        value is from.
        """
        if row.get("state") is None:
            names = (*[IDENTITY] * (self.layout.identity.kind != "none"), *self.layout.names)
            return [{"field": name, "candidates": []} for name in names]
        candidates = {cell["field"]: [{**one, "note": ""} for one in cell["candidates"]] for cell in row["look"]}
        for one in row["wrong"]:
            total, written = (
                {"value": one[key], "probability": None, "note": note}
                for key, note in (("sum", "the sum"), ("written", "as written"))
            )
            if one["field"] not in candidates:
                candidates[one["field"]] = [total, written]
            elif one["sum"] not in [candidate["value"] for candidate in candidates[one["field"]]]:
                candidates[one["field"]].append(total)  # the written total is not sure, either
        return [{"field": name, "candidates": found} for name, found in candidates.items() if name in self.layout.names]


def read_rows(path: Path, layout: Layout) -> Iterator[Row]:
    """The rows of a file of marks, one by one. Raises `DataError`."""
    content = read_or(path, DataError, "the marks.jsonl of sheets that were read")
    message, seen = "not a sheet that was read, expected a JSON object: take it out, or read anew", set[int]()
    for where, row in json_lines(path, content, (READ, UNREADABLE), message):
        if row.get("layout") not in (None, layout.id):
            raise DataError(f"{where}: a sheet of layout {row['layout']:.20}, expected {layout.id}: name its --layout")
        if row["row"] in seen:
            raise DataError(f"{where}: row {row['row']} is there twice, expected each once: take one out")
        seen.add(row["row"])
        yield row


def number_of(field: Field, value: object) -> int | float | None:
    """A value as people write it; None if the field cannot have it."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    units = value * (2 if field.halves else 1)
    return field.plain(int(units)) if 0 <= units <= field.largest and units == int(units) else None


# Corrections.

Value = int | float | str | None
"""A number as people write it; an identity; or None if nothing is written there."""
Decision = Literal["accepted", "skipped"]
SHAPE = {"time": str, "row": int, "field": (None, str), "after": (None, float, str), "who": str}
"""The shape of a line, as `files.fits` takes it."""


class Change(NamedTuple):
    """A change that a person made.

    Attributes:
        row: The row of the sheet.
        field: The name of the field; None if the person marked the whole sheet.
        after: What the person says is written in the field, or the mark.
    """

    row: int
    field: str | None
    after: Any


class Corrections:
    """The corrections in the lines of a file. Raises `DataError` for a line that is no correction.

    Attributes:
        changes: The changes that were not taken back, in the order in which they were made.
    """

    def __init__(self, lines: Iterable[bytes] = (), path: Path = Path()) -> None:
        self.changes: list[Change] = []
        for number, line in enumerate(lines, 1):
            try:
                self.apply(parse_json(line))
            except ValueError as error:
                raise DataError(f"{path}, line {number}: no correction of a sheet: take the line out") from error

    def apply(self, line: Any) -> None:
        """Apply a line. Raises `ValueError` if it is no correction."""
        if not fits(line, SHAPE):
            raise ValueError("expected a correction")
        change = Change(line["row"], line["field"], line["after"])
        if not line.get("undo"):
            if change.field is None and change.after not in get_args(Decision):
                raise ValueError("expected a mark")
            self.changes.append(change)
            return
        places = [place for place, one in enumerate(self.changes) if one[:2] == change[:2]]
        if not places:
            raise ValueError("expected a change to take back")
        del self.changes[places[-1]]

    @property
    def values(self) -> dict[int, dict[str, Value]]:
        """The values that people typed, by row and field."""
        found: dict[int, dict[str, Value]] = {}
        for row, name, after in self.changes:
            if name is not None:
                found.setdefault(row, {})[name] = after
        return found

    @property
    def marks(self) -> dict[int, Decision]:
        """The marks of whole sheets, by row."""
        return {row: after for row, name, after in self.changes if name is None}


class Recorder(Corrections):
    """An open file of corrections, to which no other process can add. Each change is on the disk once it is added."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it. Raises `OutputError`, also if another process has it open, and `DataError`."""
        self.journal = Journal(path, f"{path}: another review adds corrections to it: go on there, or end it first")
        try:
            super().__init__(self.journal.lines, path)
        except DataError:
            self.journal.close()
            raise

    def add(self, row: int, name: str | None, before: Value, after: Value, **more: bool) -> None:
        """Record what a person says is written in a field, or the mark of the whole sheet if `name` is None. If it
        raises `OutputError`, nothing has changed."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "row": row, "field": name, "before": before, "after": after, "who": "review", **more}
        self.journal.add(json.dumps(line))
        self.apply(line)

    def undo(self) -> Change | None:
        """Take the last change back, and return it; None if there is none. If it raises `OutputError`, nothing has
        changed."""
        if not self.changes:
            return None
        *others, last = self.changes
        before = next((one.after for one in reversed(others) if one[:2] == last[:2]), None)
        self.add(last.row, last.field, last.after, before, undo=True)
        return last

    def close(self) -> None:
        """Release the file for other processes."""
        self.journal.close()


def beside(marks: Path) -> Path:
    """The path of the corrections of a file of marks."""
    return marks.with_suffix(".corrections.jsonl")


def by_hand(row: Mapping[str, Any], typed: Mapping[str, Value], layout: Layout) -> Mapping[str, Any]:
    """A row of marks.jsonl with typed values in place of the readings; the same row if nothing was typed.

    If no cell is left to look at and no number is unknown, the row has no probability. Its state is then "by hand", or
    "does not add up" if a total still differs from the sum of its terms. Corrections and doubts of typed fields are
    removed. Totals are added up again if they or one of their terms were typed. The key "typed" has the values of the
    typed fields before.

    Args:
        row: The row as it was read.
        typed: The values that were typed, by field: None for a field without a number, a text for `IDENTITY`.
        layout: The layout of the sheets.
    """
    if not typed:
        return row
    fields = {name: value for name, value in typed.items() if name != IDENTITY}
    before = {IDENTITY: row.get("identity"), **(row.get("values") or {})}
    values: dict[str, Any] = {name: before.get(name) for name in layout.names} | fields
    corrections, look = (
        [entry for entry in row.get(key) or () if entry["field"] not in fields] for key in ("corrections", "look")
    )
    known, wrong = {entry["field"]: entry for entry in row.get("wrong") or ()}, []
    for formula in layout.formulas:
        old, written = known.get(formula.total), values[formula.total]
        if {formula.total, *(name for _, name in formula.terms)}.isdisjoint(fields):
            wrong += [old] if old else []
        elif layout.agrees(formula, values) is False:
            now = {"field": formula.total, "written": written, "sum": layout.sum_of(formula, values)}
            same = old is not None and now.items() <= old.items()
            wrong.append(old if same else now | {"kind": "anything", "probability": None})
    settled: dict[str, Any] = {}
    if fields and not look and all(values[name] is not None for name in values.keys() - fields.keys()):
        settled = {"state": "does not add up" if wrong else BY_HAND, "probability": None, "error": None}
    return {
        **row, **settled, "corrections": corrections, "look": look, "wrong": wrong, "values": values,
        "identity": typed.get(IDENTITY, row.get("identity")), "typed": {name: before.get(name) for name in typed},
    }  # fmt: skip


# Pictures.

PAGE_SCALE, CROP_SCALE, BOOK_SCALE = 6.0, 12.0, 6.0
"""Pixels per millimetre of the whole page, of a field, and of a field in a workbook: 150, 300 and 150 per inch."""
LONGEST = 1800
"""The most pixels on the longer side of a picture that is shown as it is."""
MARGIN = 2.0
"""Millimetres of paper that are shown around a field: enough for a digit that leaves its box."""
PAGE_OF_PDF = re.compile(r"(.+)#page=([0-9]{1,6})", re.DOTALL)
"""How a row names a page of a PDF; pages count from 1."""


class Views:
    """The pictures of the sheets of a layout; `picture` gives the whole picture of a row in RGB, upright."""

    def __init__(self, layout: Layout, picture: Callable[[Mapping[str, Any]], Image.Image]) -> None:
        self.page, self.picture = Page.of(layout), picture
        self.places = {place.name: place for place in self.page.places}
        if self.page.identity is not None:
            self.places[IDENTITY] = self.page.identity

    def whole(self, row: Mapping[str, Any]) -> Image.Image:
        """The page, straightened, or the picture of a sheet that could not be read. Raises `ImageError`."""
        picture = self.picture(row)
        if not row.get("matrix"):
            return ImageOps.contain(picture, (LONGEST, LONGEST)) if max(picture.size) > LONGEST else picture
        return straightened(picture, row["matrix"], Rectangle(0, 0, self.page.width, self.page.height), PAGE_SCALE)

    def crop(self, row: Mapping[str, Any], name: str, scale: float = CROP_SCALE) -> bytes:
        """A field and its correction as PNG, with `scale` pixels per millimetre. Raises `ImageError`."""
        field = around(self.places[name]).grown(MARGIN)
        straightened(self.picture(row), row["matrix"], field, scale).save(stream := BytesIO(), "PNG")
        return stream.getvalue()

    def size(self, name: str) -> tuple[int, int]:
        """Width and height of the crop of a field."""
        return size_of(around(self.places[name]).grown(MARGIN), CROP_SCALE)


def pictures_of(folder: Path) -> Callable[[Mapping[str, Any]], Image.Image]:
    """A function that opens the whole picture of a row in RGB, upright; it may also be in `folder`. It raises
    `ImageError`. Only two pictures are kept in memory: for the sheet on the screen, and for the next one."""
    opened = lru_cache(maxsize=2)(colours_of)

    def picture(row: Mapping[str, Any]) -> Image.Image:
        match = PAGE_OF_PDF.fullmatch(row["path"])
        name = match[1] if match else row["path"]
        there = (row.get("file") or name, name, folder / name, folder / Path(name).name)
        path = next((path for path in map(Path, there) if path.is_file()), None)
        if path is None:
            raise ImageError(f"{name}: is not there any more, expected the picture read: put it back, or into {folder}")
        return opened(FilePage(str(path), int(match[2])) if match else path)

    return picture


def around(place: Place) -> Rectangle:
    """The part of the page with the boxes of a field and those of its correction."""
    boxes = (*place.boxes, *place.correction)
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    return Rectangle(left, top, max(box.right for box in boxes) - left, max(box.bottom for box in boxes) - top)


def size_of(rectangle: Rectangle, scale: float) -> tuple[int, int]:
    """Width and height of a rectangle in pixels."""
    return round(rectangle.width * scale), round(rectangle.height * scale)


def straightened(picture: Image.Image, matrix: list[float], rectangle: Rectangle, scale: float) -> Image.Image:
    """Cut a rectangle of a page, in millimetres, out of the picture of the sheet, with `scale` pixels per millimetre.
    The matrix `[9]`, row by row, maps millimetres to pixels of the picture. Raises `ImageError` if it maps the
    rectangle nowhere."""
    size = size_of(rectangle, scale)
    to_page = np.array([[1 / scale, 0, rectangle.x], [0, 1 / scale, rectangle.y], [0, 0, 1]])
    whole = np.reshape(matrix, (3, 3)).astype(float) @ to_page
    corners = whole @ np.array([[0, size[0], size[0], 0], [0, 0, size[1], size[1]], [1, 1, 1, 1]])
    if not (np.isfinite(whole).all() and (corners[2] * np.sign(whole[2, 2]) > 0).all()):
        raise ImageError(f"the matrix of the sheet is {matrix}, expected where its page lies: read the sheets again")
    whole = whole / whole[2, 2]
    across = float(np.hypot(*(corners[:2, 1] / corners[2, 1] - corners[:2, 0] / corners[2, 0]))) / size[0]
    if (factor := int(across)) > 1:  # pixels that would be skipped are averaged
        picture = picture.reduce(factor)
        whole = np.diag([1 / factor, 1 / factor, 1]) @ whole
    way = whole.ravel()[:8].tolist()
    return picture.transform(size, Image.Transform.PERSPECTIVE, way, Image.Resampling.BICUBIC, fillcolor=(255,) * 3)


def export(
    marks: Path, layout: Layout, out: Path, people: Sequence[Person] = (), corrections: Corrections | None = None
) -> Summary:
    """Write the workbook of a file of marks, whole or not at all.

    Args:
        marks: The file of readings.
        layout: The layout of its sheets.
        out: The workbook.
        people: The people who should have a sheet.
        corrections: The corrections of the sheets.

    Raises:
        DataError: `marks` is no file of readings.
        OutputError: The workbook cannot be written.
        MissingExtraError: The extra `sheets` is not installed.
    """
    try:
        from sumnist.sheets.workbook import write_workbook
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error, "writing a workbook") from error
    views = Views(layout, pictures_of(marks.parent))

    def crop(row: Mapping[str, Any], name: str) -> bytes | None:
        """A field as PNG; None if its picture is gone."""
        try:
            return views.crop(row, name, BOOK_SCALE)
        except (ImageError, MissingExtraError):
            return None

    typed = corrections.values if corrections else {}
    rows = (by_hand(row, typed.get(row["row"], {}), layout) for row in read_rows(marks, layout))
    return write_workbook(rows, layout, out, people, crop)

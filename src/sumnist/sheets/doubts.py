"""The sheets of `marks.jsonl` that need a person, and what to ask of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sumnist.errors import DataError
from sumnist.files import fits, parse_json, read_whole
from sumnist.sheets.corrections import Value
from sumnist.sheets.layout import Field, Layout

__all__ = ["Candidate", "Doubts", "Question", "Row", "number_of", "read_rows"]

Row = dict[str, Any]
NUMBER = (None, float)
READ = {
    "row": int, "path": str, "state": str, "layout": str, "values": dict, "matrix": [float] * 9,
    "look": [{"field": str, "candidates": [{"value": NUMBER, "probability": float}]}],
    "wrong": [{"field": str, "written": float, "sum": float}],
}  # fmt: skip
UNREADABLE = {"row": int, "path": str, "error": str}
"""What a row has, as `files.fits` takes it: of a sheet that was read, and of one that was not."""
ASKED = "doubtful", "does not add up"
"""The states of those sheets that were read and need a person."""


class Candidate(NamedTuple):
    """What a field may say: None is any other number. Its probability, or what it is instead."""

    value: Value
    probability: float | None
    note: str = ""


class Question(NamedTuple):
    """A field to look at, and what it may say, the most probable first."""

    field: str
    candidates: tuple[Candidate, ...] = ()


class Doubts:
    """The sheets that need a person, in the order of the file. Each is kept as its line.

    Attributes:
        path: The file.
        layout: That of the sheets.
        count: How many sheets there are, with those that need nobody.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        """Raises `DataError`: the file cannot be read, or a line of it is no sheet of this layout."""
        self.path, self.layout, self.count = path, layout, 0
        self._lines: dict[int, bytes] = {}
        for row, line in lines_of(path, layout):
            self.count += 1
            if row.get("state") in (None, *ASKED):
                self._lines[row["row"]] = line

    def __contains__(self, row: object) -> bool:
        return row in self._lines

    def __iter__(self) -> Iterator[int]:
        """The numbers of the rows."""
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def row(self, number: int) -> Row:
        """A row of the file. Raises `KeyError`."""
        row: Row = parse_json(self._lines[number])
        return row

    def questions(self, row: Row) -> list[Question]:
        """What to ask of a sheet: the cells that settle it, the totals that are wrong, or everything."""
        names = set(self.layout.names)
        if row.get("state") is None:
            return [Question(name) for name in (*[""] * (self.layout.identity.kind != "none"), *self.layout.names)]
        said = {
            cell["field"]: [Candidate(one["value"], one["probability"]) for one in cell["candidates"]]
            for cell in row["look"]
        }
        for one in row["wrong"]:
            total = Candidate(one["sum"], None, "the sum")
            if one["field"] in said:  # it is not sure what is written, either
                values = [candidate.value for candidate in said[one["field"]]]
                said[one["field"]] += [total] * (one["sum"] not in values)
            else:
                said[one["field"]] = [total, Candidate(one["written"], None, "as written")]
        return [Question(name, tuple(candidates)) for name, candidates in said.items() if name in names]


def read_rows(path: Path, layout: Layout) -> list[Row]:
    """All rows of a file of marks. Raises `DataError`."""
    return [row for row, _ in lines_of(path, layout)]


def lines_of(path: Path, layout: Layout) -> Iterator[tuple[Row, bytes]]:
    """The rows of a file with their lines; a last one whose writing was cut short is left out. Raises `DataError`."""
    try:
        content = read_whole(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(
            f"{path}: cannot be read ({reason}), expected the marks.jsonl of sheets that were read: check the name"
        ) from error
    seen: set[int] = set()
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        row = row_of(line, f"{path}, line {number}", layout)
        if row["row"] in seen:
            raise DataError(f"{path}, line {number}: row {row['row']} is there twice, expected each once: take one out")
        seen.add(row["row"])
        yield row, line


def row_of(line: bytes, where: str, layout: Layout) -> Row:
    """The row that a line is. Raises `DataError`."""
    try:
        row: Row = parse_json(line)
    except ValueError:
        row = {}
    if not fits(row, READ if isinstance(row, dict) and row.get("state") is not None else UNREADABLE):
        raise DataError(f"{where}: not a sheet that was read, expected a JSON object: take it out, or read them again")
    if row.get("layout") not in (None, layout.id):
        raise DataError(
            f"{where}: a sheet of the layout {row['layout']:.20}, expected {layout.id}: name its layout with --layout"
        )
    return row


def number_of(field: Field, value: object) -> int | float | None:
    """A value as people write it, if the field can have it; None if it cannot."""
    if type(value) not in (int, float) or not 0 <= value * 2 <= field.largest * field.step:  # type: ignore[operator]
        return None
    halves: float = value * 2  # type: ignore[operator]
    if halves != int(halves) or (halves % 2 and not field.halves):
        return None
    return halves / 2 if halves % 2 else int(halves) // 2

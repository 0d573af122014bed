"""What people say of sheets: a file beside `marks.jsonl` that only grows, with one line for each change.

    {"time": "2025-06-02T09:30:00.125+00:00", "row": 3, "field": "q2", "before": 7, "after": 1, "who": "review"}

A line without a field marks the whole sheet, as "accepted" or "skipped". Who takes a change back adds a line, too, with
"undo": true, for the last change of that field which still holds. The field "" is whose the sheet is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from sumnist.errors import DataError
from sumnist.files import Journal, fits, parse_json, read_whole

__all__ = ["Change", "Corrections", "Mark", "Recorder", "Value", "beside", "read_corrections", "read_marks"]

Value = int | float | str | None
"""A number as people write it, whose a sheet is, or None: nothing is written there."""
Mark = Literal["accepted", "skipped"]
SHAPE = {"time": str, "row": int, "field": (None, str), "after": (None, float, str), "who": str}
"""What a line must have, as `files.fits` takes it."""
MISSING = object()


class Change(NamedTuple):
    """A change that holds, and what held before it: `MISSING` if nothing did."""

    row: int
    field: str | None
    before: Any


@dataclass
class Corrections:
    """What holds by now.

    Attributes:
        values: By row and field, what a person says is written there.
        marks: By row, what was made of the sheet.
        changes: Those that can be taken back, the last one last.
    """

    values: dict[int, dict[str, Value]] = field(default_factory=dict)
    marks: dict[int, Mark] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, lines: Iterable[bytes], path: Path) -> Corrections:
        """Those of the lines of a file. Raises `DataError`."""
        found = cls()
        for number, line in enumerate(lines, 1):
            try:
                found.apply(parse_json(line))
            except ValueError as error:
                raise DataError(
                    f"{path}, line {number}: no correction of a sheet: take the line out, or name another file"
                ) from error
        return found

    def apply(self, line: Any) -> None:
        """Let a line hold. Raises `ValueError`."""
        if not fits(line, SHAPE):
            raise ValueError("expected a correction")
        row, name, after = line["row"], line["field"], line["after"]
        if name is None and not (line.get("undo") or after in get_args(Mark)):
            raise ValueError("expected a mark")
        if line.get("undo"):
            self.take_back(row, name)
            return
        holds: dict[Any, Any] = self.marks if name is None else self.values.setdefault(row, {})
        key = row if name is None else name
        self.changes.append(Change(row, name, holds.get(key, MISSING)))
        holds[key] = after

    def take_back(self, row: int, name: str | None) -> None:
        """Let the last change of a field, or of the mark, hold no more. Raises `ValueError` if there is none."""
        places = (place for place in reversed(range(len(self.changes))) if self.changes[place][:2] == (row, name))
        if (last := next(places, None)) is None:
            raise ValueError("expected a change to take back")
        before = self.changes.pop(last).before
        holds: dict[Any, Any] = self.marks if name is None else self.values[row]
        key = row if name is None else name
        if before is MISSING:
            del holds[key]
        else:
            holds[key] = before


class Recorder:
    """An open file of corrections, which no other process may add to. What was added is on the disk.

    Attributes:
        corrections: What holds by now.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises `OutputError`, also if another process has it open, and `DataError`."""
        busy = f"{path}: another review adds corrections to it: go on there, or end it first"
        self.journal = Journal(path, busy)
        try:
            self.corrections = Corrections.of(self.journal.lines, path)
        except DataError:
            self.journal.close()
            raise

    def correct(self, row: int, name: str, before: Value, after: Value) -> None:
        """A person says what is written in a field. Raises `OutputError`, and nothing has changed."""
        self.add(row, name, before, after)

    def mark(self, row: int, mark: Mark) -> None:
        """A person is done with a sheet. Raises `OutputError`, and nothing has changed."""
        self.add(row, None, self.corrections.marks.get(row), mark)

    def undo(self) -> Change | None:
        """Take the last change back; which one it was. Raises `OutputError`, and nothing has changed."""
        if not self.corrections.changes:
            return None
        last = self.corrections.changes[-1]
        marks, values = self.corrections.marks, self.corrections.values.get(last.row, {})
        now = marks.get(last.row) if last.field is None else values.get(last.field)
        self.add(last.row, last.field, now, None if last.before is MISSING else last.before, undo=True)
        return last

    def add(self, row: int, name: str | None, before: Value, after: Value, **more: bool) -> None:
        """Write a line, and then let it hold."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "row": row, "field": name, "before": before, "after": after, "who": "review", **more}
        self.journal.add(json.dumps(line))
        self.corrections.apply(line)

    def close(self) -> None:
        """Let others have the file."""
        self.journal.close()


def beside(marks: Path) -> Path:
    """The file of corrections of a file of marks."""
    return marks.with_suffix(".corrections.jsonl")


def read_corrections(path: Path) -> dict[int, dict[str, Value]]:
    """What people say is written in the fields of each row of marks, by its number and the names of fields. None if
    there is no file. Raises `DataError`."""
    return {row: values for row, values in read(path).values.items() if values}


def read_marks(path: Path) -> dict[int, Mark]:
    """The sheets that a person is done with, by their rows. None if there is no file. Raises `DataError`."""
    return read(path).marks


def read(path: Path) -> Corrections:
    """What the lines of a file come to; a last one whose writing was cut short is left out. Raises `DataError`."""
    try:
        content = read_whole(path)
    except FileNotFoundError:
        return Corrections()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{path}: cannot be read ({reason}), expected corrections: check its permissions") from error
    return Corrections.of(content.split(b"\n")[:-1], path)

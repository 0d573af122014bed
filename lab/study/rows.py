"""Read and append rows in JSON Lines files; a row whose writing was cut short is left out."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sumnist.errors import OutputError, SumnistError
from sumnist.files import Journal, fits, parse_json, read_whole

Row = dict[str, Any]

PATIENCE = 10.0
"""Seconds to wait for another process to finish with a file."""


class StudyError(SumnistError):
    """Rows of a study that cannot be read, or a study that cannot go on."""


def read_jsonl(path: Path, shape: Any = dict) -> list[Row]:
    """Read the rows of a file; a missing file has no rows.

    A last line without a line end is a row whose writing was cut short, and is left out.

    Args:
        path: The file.
        shape: The shape of every row, as `fits` takes it.

    Raises:
        StudyError: The file cannot be read, or a line of it is not a row of that shape.
    """
    try:
        content = read_whole(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StudyError(f"{path}: cannot be read ({reason}), expected a file of rows: name another file") from error
    rows = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            row = parse_json(line)
            if not fits(row, shape):
                raise ValueError
        except ValueError as error:
            raise StudyError(
                f"{path}, line {number}: not a row of a study: take it out, or choose another file"
            ) from error
        rows.append(row)
    return rows


def open_rows(path: Path) -> Journal:
    """Open a file of rows to append to; meanwhile no other process may append to it.

    Raises `OutputError`, also if another process still appends to it after `PATIENCE` seconds.
    """
    busy, until = f"{path}: another process adds rows to it: wait for it, or name another file", monotonic() + PATIENCE
    while True:
        try:
            return Journal(path, busy)
        except OutputError as error:
            if str(error) != busy or monotonic() >= until:
                raise
        sleep(0.01)


def append_jsonl(path: Path, row: Row) -> None:
    """Append a row to a file, and return when it is on the disk. Raises `OutputError`, and leaves the file as it
    was."""
    with open_rows(path) as rows:
        rows.add(json.dumps(row))

"""Files of rows, one JSON object a line: a row is appended in one write, so that a kill loses no other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sumnist.errors import StudyError
from sumnist.files import cannot_write, fits, parse_json, read_whole

__all__ = ["Row", "append_jsonl", "read_jsonl"]

Row = dict[str, Any]


def read_jsonl(path: Path, shape: Any = dict, mend: bool = False) -> list[Row]:
    """The rows of a file, none if there is no file.

    A last line without its end is a row whose writing was cut short, and is left out.

    Args:
        path: The file.
        shape: That of every row, as `fits` takes it.
        mend: Whether to take a row that was cut short from the file, too.

    Raises:
        StudyError: The file cannot be read, or a line of it is not a row of that shape.
    """
    try:
        content = read_whole(path)
        whole = content[: content.rfind(b"\n") + 1]
        if mend and len(whole) < len(content):
            os.truncate(path, len(whole))
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StudyError(f"{path}: cannot be read ({reason}), expected a file of rows: choose another one") from error
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
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


def append_jsonl(path: Path, row: Row) -> None:
    """Add a row to a file in one write; it is on the disk when this returns. Raises `OutputError`."""
    try:
        with path.open("ab") as stream:
            stream.write(json.dumps(row).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise cannot_write(path, error) from error

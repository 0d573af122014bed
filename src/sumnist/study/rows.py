"""Files of rows, one JSON object a line: a row is appended in one write, so that a kill loses no other."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sumnist.errors import StudyError
from sumnist.files import cannot_write

__all__ = ["Row", "append_jsonl", "read_jsonl"]

Row = dict[str, Any]


def read_jsonl(path: Path, keys: Collection[str] = (), mend: bool = False) -> list[Row]:
    """The rows of a file, none if there is no file.

    A last line without its end is a row whose writing was cut short, and is left out.

    Args:
        path: The file.
        keys: What every row must have.
        mend: Whether to take a row that was cut short from the file, too.

    Raises:
        StudyError: A line is not a row, or lacks one of `keys`.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if mend and len(whole) < len(content):
        os.truncate(path, len(whole))
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not row.keys() >= set(keys):
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

"""`labels.csv`: which number stands on which picture of a folder."""

from __future__ import annotations

import reprlib
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from sumnist.batch.sources import LONGEST_PATH, csv_header, csv_records, open_text, reading
from sumnist.errors import DataError
from sumnist.inference.ctc import value_of

__all__ = ["Label", "labels_of", "value_written"]

COLUMNS = ["path", "text"]
DIGITS = frozenset("0123456789")
SEPARATORS = frozenset(" .,-'’_\u00a0\u2009\u202f")
"""What may stand between the digits of a text."""
MOST_DIGITS = 600
"""Digits of a text: Python makes no whole number of more than a few thousand."""


class Label(NamedTuple):
    """A row. `path`: that of the picture, from the folder. `text`: what is written on it, and its `value`, or None
    where the row is broken; `error` says how."""

    path: str
    text: str
    value: int | Decimal | None
    error: str | None = None


def labels_of(file: Path, decimal: str | None = None) -> list[Label]:
    """The rows of a CSV file with the columns `path` and `text`, whatever is wrong with some of them.

    Args:
        file: The file.
        decimal: "." or ",", the sign before decimals; without one all separators are left out.

    Raises:
        DataError: It cannot be read, lacks one of the columns, or has no rows.
    """
    if not file.is_file():
        state = "is no file" if file.exists() else "does not exist"
        raise DataError(f"--labels {file}: {state}, expected a CSV with the columns path and text: check the name")
    with reading(file):
        columns = columns_of(file)
        with open_text(file) as stream:
            _, *records = csv_records(stream, columns)
    if not records:
        raise DataError(f"--labels {file}: no rows, expected one for each picture: add them")
    return [label_of(values, line, decimal) for line, values in records]


def columns_of(file: Path) -> list[int]:
    """Where the columns are. Raises `DataError`."""
    header = csv_header(file, f"--labels {file}", "path,text")
    if any(header.count(name) != 1 for name in COLUMNS):
        shown = ", ".join(header)[:200] or "(none)"
        raise DataError(
            f"--labels {file}: its first line has the columns {shown}, expected path and text, each once: name them so"
        )
    return [header.index(name) for name in COLUMNS]


def label_of(values: list[str | None] | str, line: int, decimal: str | None) -> Label:
    """The label that a record has, or is to have."""
    if isinstance(values, str):
        return Label("", "", None, values)
    path, text = (value or "" for value in values)
    if not path or len(path) > LONGEST_PATH:
        return Label("", text, None, f"line {line}: no path of a picture, expected a name such as 0001.png")
    try:
        return Label(path, text, value_written(text, decimal))
    except DataError as error:
        return Label(path, text, None, f"line {line}: {error}")


def value_written(text: str, decimal: str | None = None) -> int | Decimal:
    """The number that a text is, whatever separates its digits. Raises `DataError` if it is none."""
    digits = sum(character in DIGITS for character in text)
    if not 1 <= digits <= MOST_DIGITS or set(text) - DIGITS - SEPARATORS:
        raise DataError(f"text {reprlib.repr(text)}: expected a number in digits, such as 1,480: mend it")
    return value_of("".join(character for character in text if character in DIGITS or character == decimal), decimal)

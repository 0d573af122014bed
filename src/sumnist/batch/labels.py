"""Reads labelled pictures: a folder with sub-folders 0 to 9, or a CSV with the columns path and text."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from sumnist.batch.sources import (
    LONGEST_PATH,
    MOST_DIGITS,
    check_file,
    csv_columns,
    csv_records,
    open_text,
    pictures_in,
    reading,
)
from sumnist.errors import DataError, briefly
from sumnist.inference.alphabet import DIGITS, digits_written
from sumnist.inference.ctc import value_of


class Label(NamedTuple):
    """A row of `labels.csv`.

    Attributes:
        path: The path of the picture, relative to the folder.
        text: The number written on it.
        value: The value of the number; None if the row is broken.
        error: What is wrong with a broken row.
    """

    path: str
    text: str
    value: int | Decimal | None
    error: str | None = None


def labels_of(file: Path, decimal: str | None = None) -> list[Label]:
    """Read the rows of a CSV file with the columns `path` and `text`; broken rows are returned with their error.

    Args:
        file: The file.
        decimal: The decimal sign, "." or ","; if None, all separators are ignored.

    Raises:
        DataError: The file cannot be read, lacks one of the columns, or has no rows.
    """
    check_file(file, f"--labels {file}", "a CSV with the columns path and text")
    with reading(file):
        columns = csv_columns(file, f"--labels {file}", "path", "text")
        with open_text(file) as stream:
            _, *records = csv_records(stream, columns)
    if not records:
        raise DataError(f"--labels {file}: no rows, expected one for each picture: add them")
    found = []
    for line, values in records:
        if isinstance(values, str):
            found.append(Label("", "", None, values))
            continue
        path, text = (value or "" for value in values)
        try:
            if not path or len(path) > LONGEST_PATH:
                path = ""
                raise DataError("no path of a picture, expected a name such as 0001.png")
            found.append(Label(path, text, value_written(text, decimal)))
        except DataError as error:
            found.append(Label(path, text, None, f"line {line}: {error}"))
    return found


def pictures_by_digit(path: Path) -> list[tuple[Path, int]]:
    """Return the pictures in the sub-folders 0 to 9 of a folder, with the digit on each. Raises `DataError` if there
    are none."""
    folders = [(path / str(digit), digit) for digit in range(10)]
    pictures = [(place / name, digit) for place, digit in folders if place.is_dir() for name in pictures_in(place)]
    if not pictures:
        raise DataError(
            f"{path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its name"
        )
    return pictures


def examples_in(source: Path) -> list[tuple[Path, str]]:
    """Return labelled pictures: of a folder with sub-folders 0 to 9, or of a CSV file with `path`, relative to its
    folder, and `text`. Raises `DataError`, also for a broken row."""
    if source.is_dir():
        return [(picture, str(digit)) for picture, digit in pictures_by_digit(source)]
    rows = labels_of(source)
    if broken := next((row.error for row in rows if row.error), None):
        raise DataError(f"{source}: {broken}")
    return [(source.parent / row.path, row.text) for row in rows]


def value_written(text: str, decimal: str | None = None) -> int | Decimal:
    """Return the number in a text, whatever separates its digits. Raises `DataError` if the text is no number."""
    digits = digits_written(text)
    if digits is None or len(digits) > MOST_DIGITS:
        raise DataError(f"text {briefly(text)}: expected a number in digits, such as 1,480: mend it")
    kept = "".join(character for character in text if character in DIGITS or character == decimal)
    return int(digits) if decimal is None else value_of(kept, decimal)

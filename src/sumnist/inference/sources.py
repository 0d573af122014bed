"""Where the rows of a scoring come from: a folder of pictures, a table of paths and numbers, or IDX files.

A source gives its rows in an order that is always the same, one at a time, and holds none of them.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from sumnist.data.mnist import FILES, find_idx
from sumnist.errors import DataError
from sumnist.pictures.normalize import Picture

__all__ = ["Row", "Source", "source_of"]

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".heic", ".heif"}
"""What counts as a picture in a folder."""
SIDE = 28
SIDES = 2 * SIDE.to_bytes(4)
"""Height and width in the header of an IDX file of images."""
UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a file that may be gzipped raises, of one that is damaged."""


class Row(NamedTuple):
    """One picture to read. `path`: what the output calls it. `picture`: what a reader takes, or None where the row
    itself is broken; `error` says how."""

    path: str
    number: Any
    picture: Picture | None = None
    error: str | None = None


Source = tuple[Iterator[Row], int]
"""Rows in order, and how many there are, as far as that is known without reading them."""


def source_of(path: Path, number: Any = None) -> Source:
    """The rows of a source.

    Args:
        path: A CSV or JSONL file, a folder of IDX files, or a folder of pictures.
        number: Goes with every picture that has none of its own.

    Returns:
        The rows in order, and how many there are.

    Raises:
        DataError: It is none of these, or lacks pictures, columns or the number.
    """
    if path.is_dir():
        if number is None:
            raise DataError(f"{path}: pictures without numbers, expected --number: give the one to add to each of them")
        files = [file for key in ("x_train", "x_test") if (file := find_idx(path, FILES[key]))]
        return idx_source(files, number) if files else folder_source(path, number)
    if not path.is_file():
        raise DataError(f"{path}: does not exist, expected a folder, a .csv or a .jsonl: check the name")
    if path.suffix == ".csv":
        return csv_source(path, number)
    if path.suffix == ".jsonl":
        return jsonl_rows(path, number), count_lines(path)
    raise DataError(
        f"{path}: expected a folder of pictures or of IDX files, a .csv or a .jsonl; `sumnist predict` reads single "
        "pictures"
    )


def folder_source(folder: Path, number: Any) -> Source:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise DataError(f"{folder}: no pictures in it, expected files such as {', '.join(sorted(SUFFIXES)[:4])}")
    return (Row(str(path.relative_to(folder)), number, path) for path in paths), len(paths)


def csv_source(path: Path, number: Any) -> Source:
    with open_csv(path) as stream:
        header = next(csv.reader(stream), [])
    wanted = ["path"] if number is not None else ["path", "number"]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DataError(
            f"{path}: its first line has the columns {', '.join(header) or '(none)'}, expected path and number: "
            f"add {' and '.join(missing)}" + ("" if missing != ["number"] else ", or give --number")
        )
    return csv_rows(path, number), max(0, count_lines(path) - 1)


def open_csv(path: Path) -> TextIO:
    """The text of a CSV file, with the names of files as the system has them."""
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def csv_rows(path: Path, number: Any) -> Iterator[Row]:
    with open_csv(path) as stream:
        table = csv.DictReader(stream)
        while True:
            try:
                values = next(table)
            except StopIteration:
                return
            except csv.Error as error:
                message = f"line {table.line_num}: not CSV ({error}), expected a path and a number"
                yield Row("", None, error=message)
                continue
            given = whole(values["number"]) if number is None else number
            yield row_of(path, values["path"], given, table.line_num)


def jsonl_rows(path: Path, number: Any) -> Iterator[Row]:
    with path.open(encoding="utf-8", errors="surrogateescape") as stream:
        for place, line in enumerate(stream, 1):
            try:
                values = json.loads(line)
                name, given = values["path"], values["number"] if number is None else number
                if not isinstance(name, str):
                    raise TypeError("path is no text")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                message = f'line {place}: {error!r}, expected {{"path": "five.png", "number": 7}}'
                yield Row("", None, error=message)
                continue
            yield row_of(path, name, given, place)


def row_of(table: Path, name: str | None, number: Any, line: int) -> Row:
    """The row of a table with these values; its path counts from the folder of the table."""
    if not name:
        return Row("", number, error=f"line {line}: no path, expected the name of a picture")
    return Row(name, number, table.parent / name)


def idx_source(files: list[Path], number: Any) -> Source:
    counts = {path: idx_count(path) for path in files}
    return (row for path in files for row in idx_rows(path, counts[path], number)), sum(counts.values())


def open_idx(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def idx_count(path: Path) -> int:
    """How many images the header of an IDX file promises. Raises `DataError`: no images of 28×28."""
    try:
        with open_idx(path) as stream:
            header = stream.read(16)
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read ({error}): copy or download it again") from error
    if header[:4] != b"\0\0\x08\x03" or header[8:] != SIDES:
        raise DataError(f"{path}: starts with 0x{header.hex()}, expected an IDX file of 28×28 images")
    return int.from_bytes(header[4:8])


def idx_rows(path: Path, count: int, number: Any) -> Iterator[Row]:
    with open_idx(path) as stream:
        stream.read(16)
        for place in range(count):
            name = f"{path.name}[{place}]"
            try:
                pixels = stream.read(SIDE * SIDE)
            except UNREADABLE:
                pixels = b""
            if len(pixels) == SIDE * SIDE:
                yield Row(name, number, np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE))
            else:
                yield Row(name, number, error=f"{name}: the file is cut short: copy or download it again")


def whole(text: str | None) -> Any:
    """The whole number that `text` writes; otherwise `text` itself, which a reader refuses by name."""
    try:
        return int(text or "")
    except ValueError:
        return text


def count_lines(path: Path) -> int:
    """The lines of a file; the last may lack its end."""
    with path.open("rb") as stream:
        return sum(1 for _ in stream)

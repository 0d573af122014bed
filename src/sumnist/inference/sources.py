"""Where the rows of a scoring come from: a folder of pictures, a table of paths and numbers, or IDX files.

A source gives its rows in an order that is always the same, one at a time, and holds none of them.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sumnist.data.mnist import FILES, find_idx
from sumnist.errors import DataError
from sumnist.pictures.normalize import Picture

__all__ = ["Row", "Source", "source_of"]

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".heic", ".heif"}
"""What counts as a picture in a folder."""
SIDE = 28


class Row(NamedTuple):
    """One picture to read. `path`: what the output calls it. `picture`: what a reader takes, or None where the row
    itself is broken; `error` says how."""

    path: str
    number: Any
    picture: Picture | None
    error: str | None = None


@dataclass(frozen=True)
class Source:
    """Rows in order, and how many there are, as far as that is known without reading them."""

    rows: Callable[[], Iterator[Row]]
    count: int | None

    def __iter__(self) -> Iterator[Row]:
        return self.rows()


def source_of(path: Path, number: Any = None) -> Source:
    """The rows of `path`: a CSV or JSONL file, a folder of IDX files, or a folder of pictures.

    `number` goes with every picture that has none of its own. Raises `DataError`.
    """
    if path.is_dir():
        files = [found for key in ("x_train", "x_test") if (found := find_idx(path, FILES[key]))]
        return idx_source(files, number) if files else folder_source(path, number)
    if not path.is_file():
        raise DataError(f"{path}: does not exist, expected a folder, a .csv or a .jsonl: check the name")
    if path.suffix == ".csv":
        return csv_source(path, number)
    if path.suffix == ".jsonl":
        return Source(lambda: jsonl_rows(path, number), count_lines(path))
    raise DataError(
        f"{path}: expected a folder of pictures or of IDX files, a .csv or a .jsonl; `sumnist predict` reads single "
        "pictures"
    )


def folder_source(folder: Path, number: Any) -> Source:
    need_number(folder, number)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise DataError(f"{folder}: no pictures in it, expected files such as {', '.join(sorted(SUFFIXES)[:4])}")
    return Source(lambda: (Row(str(path.relative_to(folder)), number, path) for path in paths), len(paths))


def csv_source(path: Path, number: Any) -> Source:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        header = next(csv.reader(stream), [])
    wanted = ["path"] if number is not None else ["path", "number"]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DataError(
            f"{path}: its first line has the columns {', '.join(header) or '(none)'}, expected path and number: "
            f"add {' and '.join(missing)}" + ("" if missing != ["number"] else ", or give --number")
        )
    return Source(lambda: csv_rows(path, number), max(0, count_lines(path) - 1))


def csv_rows(path: Path, number: Any) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        table = csv.DictReader(stream)
        while True:
            try:
                values = next(table)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row("", None, None, f"line {table.line_num}: not CSV ({error}), expected a path and a number")
                continue
            given = number if number is not None else whole(values["number"])
            yield row_of(path, values["path"], given, f"line {table.line_num}")


def jsonl_rows(path: Path, number: Any) -> Iterator[Row]:
    with path.open(encoding="utf-8", errors="surrogateescape") as stream:
        for place, line in enumerate(stream, 1):
            try:
                values = json.loads(line)
                name, given = values["path"], number if number is not None else values["number"]
                if not isinstance(name, str):
                    raise TypeError("path is no text")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                yield Row("", None, None, f'line {place}: {error!r}, expected {{"path": "five.png", "number": 7}}')
                continue
            yield row_of(path, name, given, f"line {place}")


def row_of(table: Path, name: str | None, number: Any, line: str) -> Row:
    """A row whose path counts from the folder of its table."""
    if not name:
        return Row("", number, None, f"{line}: no path, expected the name of a picture")
    return Row(name, number, table.parent / name)


def idx_source(files: list[Path], number: Any) -> Source:
    need_number(files[0].parent, number)
    counts = {path: idx_count(path) for path in files}
    return Source(lambda: (row for path in files for row in idx_rows(path, counts[path], number)), sum(counts.values()))


def idx_count(path: Path) -> int:
    """How many images the header of an IDX file promises. Raises `DataError`: no images of 28×28."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            header = stream.read(16)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}): copy or download it again") from error
    sizes = np.frombuffer(header[4:], ">u4") if len(header) == 16 else np.zeros(3, int)
    if header[:4] != b"\0\0\x08\x03" or tuple(sizes[1:]) != (SIDE, SIDE):
        raise DataError(f"{path}: starts with 0x{header.hex()}, expected an IDX file of 28×28 images")
    return int(sizes[0])


def idx_rows(path: Path, count: int, number: Any) -> Iterator[Row]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
        stream.read(16)
        for place in range(count):
            name = f"{path.name}[{place}]"
            try:
                pixels = stream.read(SIDE * SIDE)
            except (OSError, EOFError, zlib.error):
                pixels = b""
            if len(pixels) == SIDE * SIDE:
                yield Row(name, number, np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE))
            else:
                yield Row(name, number, None, f"{name}: the file is cut short: copy or download it again")


def need_number(source: Path, number: Any) -> None:
    if number is None:
        raise DataError(f"{source}: pictures without numbers, expected --number: give the one to add to each of them")


def whole(text: str | None) -> Any:
    """The whole number that `text` writes; otherwise `text` itself, which a reader refuses by name."""
    try:
        return int(text or "")
    except ValueError:
        return text


def count_lines(path: Path) -> int:
    """The lines of a file; the last may lack its end."""
    lines, last = 0, b"\n"
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            lines += part.count(b"\n")
            last = part[-1:]
    return lines + (last != b"\n")

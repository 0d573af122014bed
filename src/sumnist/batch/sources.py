"""Where the rows of a scoring come from: a folder of pictures, a table of paths and numbers, or IDX files.

A source gives its rows in an order that is always the same, one at a time. Whatever a row holds, it is a row: one that
cannot be read has an error, and those after it are read.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import zlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

import numpy as np

from sumnist.data.mnist import FILES, find_idx
from sumnist.errors import DataError, NumberError
from sumnist.inference.reader import check_number

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".heic", ".heif"}
"""What counts as a picture in a folder."""
SIDE = 28
SIDES = 2 * SIDE.to_bytes(4)
"""Height and width in the header of an IDX file of images."""
UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a file that may be gzipped raises, of one that is damaged."""
LONGEST = 2**20
"""Characters of a row of a CSV or JSONL; a longer one is an error of that row."""
LONGEST_PATH = 2**15
"""Characters of a path: no system has longer ones, and not every program can read a table that has."""
MOST_DIGITS = 600
"""Digits of a number: Python writes and reads no whole numbers of more than a few thousand, and sums are written."""
LIMIT = 10**MOST_DIGITS
BLOCK = 2**20
"""Bytes that are read at once where they are counted or their checksum is taken."""


class Row(NamedTuple):
    """One picture to read. `path`: what the output calls it. `number`: None where there is none. `picture`: what the
    task reads, or None where the row itself is broken; `error` says how."""

    path: str
    number: int | None
    picture: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Source:
    """Rows, and where they come from.

    Attributes:
        rows: The rows in order. Whoever takes them closes them, and with them their file.
        count: How many there are, as far as that is known without reading them.
        files: The files that it is made of; of a table without the pictures that it names.
        content: By a name for each part, the checksum of what the rows depend on.
    """

    rows: Generator[Row, None, None]
    count: int
    files: Iterable[str | Path]
    content: dict[str, str]

    @property
    def changed(self) -> bool:
        """Whether its files are others than when the source was opened; of a folder, that never matters by then."""
        return "bytes" in self.content and checksum(self.files) != self.content["bytes"]


def source_of(path: Path, number: Any = None, sums: bool = True) -> Source:
    """The rows of a source.

    Args:
        path: A CSV or JSONL file, a folder of IDX files, or a folder of pictures.
        number: Goes with every picture, whatever a table says.
        sums: Whether each picture needs a number, this one or its own.

    Raises:
        DataError: It is none of these, cannot be read, or lacks pictures, columns or the number.
    """
    if path.is_dir():
        if number is None and sums:
            raise DataError(f"{path}: pictures without numbers, expected --number: give the one to add to each of them")
        files = [file for key in ("x_train", "x_test") if (file := find_idx(path, FILES[key]))]
        if files:
            with reading(files[0].parent):
                counts = {file: idx_count(file) for file in files}
                rows = (row for file, count in counts.items() for row in idx_rows(file, count, number))
                there = [  # of what is not packed, by its size
                    count if file.suffix == ".gz" else min(count, file.stat().st_size // SIDE**2)
                    for file, count in counts.items()
                ]
                return Source(rows, sum(there), files, {"bytes": checksum(files)})
        names = pictures_in(path)
        if not names:
            raise DataError(f"{path}: no pictures in it, expected files such as {', '.join(sorted(SUFFIXES)[:4])}")
        rows = (Row(name, number, os.path.join(path, name)) for name in names)
        return Source(rows, len(names), (os.path.join(path, name) for name in names), listing(path, names))
    if not path.is_file():
        state = "is a device or a pipe" if path.exists() else "does not exist"
        raise DataError(f"{path}: {state}, expected a folder, a .csv or a .jsonl: check the name")
    if path.suffix not in (".csv", ".jsonl"):
        raise DataError(
            f"{path}: expected a folder of pictures or of IDX files, a .csv or a .jsonl; `sumnist predict` reads "
            "single pictures"
        )
    with reading(path):
        count, content = count_lines(path), {"bytes": checksum([path])}
        if path.suffix == ".csv":
            columns = csv_columns(path, number, sums)
            return Source(csv_rows(path, columns, number, sums), max(0, count - 1), [path], content)
        open_text(path).close()
        return Source(jsonl_rows(path, number, sums), count, [path], content)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises `DataError` for what goes wrong in reading `path`."""
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: str | Path, error: OSError) -> DataError:
    """What to raise for a file that is refused."""
    reason = (error.strerror or str(error)).lower()
    return DataError(f"{path}: cannot be read ({reason}): check its permissions, or copy it again")


def checksum(files: Iterable[str | Path]) -> str:
    """One SHA-256 of the names and bytes of files."""
    found = hashlib.sha256()
    for path in map(Path, files):
        with path.open("rb") as stream:
            found.update(os.fsencode(path.name) + b"\0" + hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()


def count_lines(path: Path) -> int:
    """The lines of a file; the last may lack its end."""
    count, block = 0, b"\n"
    with path.open("rb") as stream:
        while more := stream.read(BLOCK):
            count, block = count + more.count(b"\n"), more
    return count + (block[-1:] != b"\n")


# Folders of pictures.


def pictures_in(folder: Path, *others: str) -> list[str]:
    """The pictures in a folder and below, as paths from it, in the order of their names; and files with `others` of
    endings.

    A picture is what has the ending of one. Names that begin with a dot are left out, and what is in such folders:
    systems put files of their own there. Links to folders are not followed. Raises `DataError`.
    """

    def refuse(error: OSError) -> NoReturn:
        raise unreadable(error.filename, error)

    found, endings = [], {*SUFFIXES, *others}
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        there = [name for name in names if name[0] != "." and os.path.splitext(name)[1].lower() in endings]
        found += [os.path.normpath(os.path.join(os.path.relpath(place, folder), name)) for name in there]
    return sorted(found, key=lambda path: path.split(os.sep))


def listing(folder: Path | str, names: list[str]) -> dict[str, str]:
    """The checksum of the names of pictures, and that of their sizes and times."""
    called, states = hashlib.sha256(), hashlib.sha256()
    for name in names:
        try:
            state = os.stat(os.path.join(folder, name))
            states.update(f"{state.st_size} {state.st_mtime_ns}\n".encode())
        except OSError:  # a link to nothing, for one
            states.update(b"none\n")
        called.update(os.fsencode(name) + b"\0")
    return {"names": called.hexdigest(), "sizes and times": states.hexdigest()}


# Tables.


def open_text(path: Path) -> TextIO:
    """The text of a file, with the names of files as the system has them. Raises `DataError` for UTF-16."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise DataError(f"{path}: starts with 0x{start.hex()}, as UTF-16 does, expected UTF-8: save it as UTF-8")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


class TooLong(csv.Error):
    """A row of a table that is longer than any should be."""

    def __init__(self) -> None:
        super().__init__(f"longer than {LONGEST:,} characters")


def lines_of(stream: TextIO) -> Iterator[str]:
    """The lines of a text; of one that is too long only the first `LONGEST` characters."""
    while line := stream.readline(LONGEST):
        yield line
        while len(line) == LONGEST and not line.endswith(("\n", "\r")):
            line = stream.readline(LONGEST)


def csv_header(path: Path, name: str, expected: str) -> list[str]:
    """The first line of a CSV, which messages call `name`. Raises `DataError`."""
    with open_text(path) as stream:
        try:
            return next(csv.reader(lines_of(stream), strict=True), [])
        except csv.Error as error:
            raise DataError(f"{name}: line 1: not CSV ({error}), expected {expected}") from error


def csv_columns(path: Path, number: Any, sums: bool) -> list[int]:
    """Where the columns `path` and, if there is no `number` for all, `number` are; without `sums` the second may be
    missing. Raises `DataError`."""
    header = csv_header(path, str(path), "the names of the columns")
    wanted = ["path"] if number is not None or not (sums or "number" in header) else ["path", "number"]
    missing = [name for name in wanted if name not in header]
    if missing:
        shown = ", ".join(header)[:200] or "(none)"
        raise DataError(
            f"{path}: its first line has the columns {shown}, expected path{' and number' if sums else ''}: "
            f"add {' and '.join(missing)}" + ("" if missing != ["number"] else ", or give --number")
        )
    for name in wanted:
        if header.count(name) > 1:
            raise DataError(f"{path}: its first line has the column {name} twice, expected it once: rename the other")
    return [header.index(name) for name in wanted]


def csv_rows(path: Path, columns: list[int], number: Any, sums: bool) -> Generator[Row, None, None]:
    """The rows of a CSV."""
    with reading(path), open_text(path) as stream:
        records = csv_records(stream, columns)
        next(records, None)  # the names of the columns
        for line, values in records:
            if isinstance(values, str):
                yield Row("", None, error=values)
            else:
                given = whole(values[1]) if len(columns) > 1 else number
                yield row_of(path, values[0], given, line, sums)


def csv_records(stream: TextIO, columns: list[int]) -> Iterator[tuple[int, list[str | None] | str]]:
    """The values of `columns` of each record, None where it is too short, or what is wrong with it; with its line.

    Of a record over several lines that is none, or has a path or number over several lines, the first line is taken to
    be the one that is wrong, by a quote that is not closed, and the others are read as records.
    """
    lines, again, record = enumerate(lines_of(stream), 1), deque[tuple[int, str]](), list[tuple[int, str]]()

    def taken() -> Iterator[str]:
        """The next lines, which become the record."""
        size = 0
        while one := again.popleft() if again else next(lines, None):
            record.append(one)
            size += len(one[1])
            if size >= LONGEST:
                raise TooLong
            yield one[1]

    while True:
        record.clear()
        values: list[str | None] | str
        try:
            fields = next(csv.reader(taken(), strict=True), None)
            if fields is None:
                return
            values = [fields[column] if column < len(fields) else None for column in columns]
        except csv.Error as error:
            fields, values = None, f"not CSV ({error}), expected a path and a number"
        if len(record) > 1 and (fields is None or any("\n" in value or "\r" in value for value in values if value)):
            values = "a quote opens that is not closed, expected a path and a number: close it"
            again.extendleft(reversed(record[1:]))
        if fields != []:  # a blank line
            line = record[0][0]
            yield line, f"line {line}: {values}" if isinstance(values, str) else values


def jsonl_rows(path: Path, number: Any, sums: bool) -> Generator[Row, None, None]:
    """The rows of a JSONL."""
    with reading(path), open_text(path) as stream:
        for place, line in enumerate(lines_of(stream), 1):
            if not line.strip():
                continue
            try:
                if len(line) >= LONGEST:
                    raise TooLong
                values = json.loads(line, object_pairs_hook=without_doubles)
                name, own = values["path"], values["number"] if sums and number is None else values.get("number")
                if not isinstance(name, str):
                    raise TypeError("path is no text")
            except (ValueError, KeyError, TypeError, RecursionError, TooLong) as error:
                message = f'line {place}: {error!r}, expected {{"path": "five.png", "number": 7}}'
                yield Row("", None, error=message)
            else:
                yield row_of(path, name, own if number is None else number, place, sums)


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises `ValueError` if it has a key twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} twice")
    return values


def row_of(table: Path, name: str | None, number: Any, line: int, sums: bool) -> Row:
    """The row of a table with these values; its path counts from the folder of the table. Without `sums` there need be
    no number."""
    if not name or len(name) > LONGEST_PATH:
        long = f"a path of {len(name or ''):,} characters, expected at most {LONGEST_PATH:,}"
        return Row("", None, error=f"line {line}: {long if name else 'no path, expected the name of a picture'}")
    try:
        check_digits(number)
        given = check_number(number, exact=True) if sums or number not in (None, "") else None
        return Row(name, given, os.path.join(table.parent, name))
    except NumberError as error:
        return Row(name, None, error=str(error))


def whole(text: str | None) -> Any:
    """The whole number that `text` writes; otherwise `text` itself, which a reader refuses by name."""
    try:
        return int(text or "")
    except ValueError:
        return text


def addend(text: str, exact: bool) -> int:
    """The number to add that `text` writes, any whole one if the sum is `exact`. Raises `NumberError`."""
    number = check_number(whole(text), exact)
    check_digits(number)
    return number


def check_digits(number: Any) -> None:
    """Raise `NumberError` for a number, or the text of one, that is too long to be written and read again."""
    is_long = len(number) > MOST_DIGITS if isinstance(number, str) else isinstance(number, int) and abs(number) >= LIMIT
    if is_long:
        raise NumberError(f"a number of more than {MOST_DIGITS} digits, expected fewer: no sum of it can be written")


# IDX files.


def open_idx(path: Path) -> BufferedIOBase:
    """The bytes of a file, unpacked."""
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


def idx_rows(path: Path, count: int, number: Any) -> Generator[Row, None, None]:
    """The images of a file, and one row with an error if there are fewer, or more, than the `count` of its header."""
    there, state = 0, "and there is more"
    with reading(path), open_idx(path) as stream:
        stream.read(16)
        try:
            while there < count and len(pixels := stream.read(SIDE * SIDE)) == SIDE * SIDE:
                yield Row(f"{path.name}[{there}]", number, np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE))
                there += 1
            if there == count and not stream.read(1):
                return
        except UNREADABLE as error:
            state = f"and it is damaged ({error})"
    if there < count:
        state = f"{there:,} are there"
    message = f"{path.name}: its header claims {count:,} images, {state}: copy or download it again"
    yield Row(f"{path.name}[{there}]", number, error=message)

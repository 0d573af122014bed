"""Gives the rows of a scoring: from a folder of pictures, a table of paths and numbers, or IDX files.

A source gives its rows one at a time, always in the same order. A row that cannot be read has an error, and the rows
after it are still read.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

from sumnist.data.mnist import FILES, find_idx, idx_bytes, parse_idx
from sumnist.errors import DataError, NumberError
from sumnist.inference.reader import check_number

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".heic", ".heif"}
"""The endings of files that count as pictures in a folder."""
LONGEST_PATH = 2**15
"""The most characters of a path: no system has longer paths, and some programs cannot read a table with longer ones."""
MOST_DIGITS = 600
"""The most digits of a number: Python writes and reads whole numbers of a few thousand digits, and sums are written."""
LIMIT = 10**MOST_DIGITS
CONTENT = "content of the source"
"""The name of the checksum of files that are read from beginning to end."""
BLOCK = 2**20
"""How many bytes are read at once for a count or a checksum."""


class Row(NamedTuple):
    """One picture to read.

    Attributes:
        path: The name of the picture in the output.
        number: The number to add, or None.
        picture: The input of the task; None if the row itself is broken.
        error: Why the row is broken, or None.
    """

    path: str
    number: int | None
    picture: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Source:
    """Rows, and where they come from.

    Attributes:
        rows: The rows in order. The caller closes this generator, and with it the file.
        count: How many rows there are, as far as the number is known without reading the rows.
        files: The files of the source. For a table, the pictures that it names do not belong to them.
        content: Checksums of everything that the rows depend on, by a name for each part.
    """

    rows: Generator[Row, None, None]
    count: int
    files: Iterable[str | Path]
    content: dict[str, str]

    @property
    def changed(self) -> bool:
        """Whether the files have changed since the source was opened; False for a folder of pictures."""
        return CONTENT in self.content and checksum(self.files) != self.content[CONTENT]


def source_of(path: Path, number: Any = None, sums: bool = True) -> Source:
    """The rows of a source.

    Args:
        path: A CSV or JSONL file, a folder of IDX files, or a folder of pictures.
        number: The number for every picture, even if a table has other numbers.
        sums: Whether each picture needs a number: `number`, or one from the table.

    Raises:
        DataError: The source is of another kind, cannot be read, or lacks pictures, columns or the number.
    """
    if path.is_dir():
        if number is None and sums:
            raise DataError(f"{path}: pictures without numbers, expected --number: give the one to add to each of them")
        files = [file for key in ("x_train", "x_test") if (file := find_idx(path, FILES[key]))]
        if files:
            sets = {file.name: idx_images(file) for file in files}
            rows = (
                Row(f"{name}[{place}]", number, image)
                for name, images in sets.items()
                for place, image in enumerate(images)
            )
            return Source(rows, sum(map(len, sets.values())), files, {CONTENT: checksum(files)})
        names = pictures_in(path)
        if not names:
            raise DataError(f"{path}: no pictures in it, expected files such as {', '.join(sorted(SUFFIXES)[:4])}")
        rows = (Row(name, number, os.path.join(path, name)) for name in names)
        return Source(rows, len(names), (os.path.join(path, name) for name in names), listing(path, names))
    check_file(path, str(path), "a folder, a .csv or a .jsonl")
    if path.suffix not in (".csv", ".jsonl"):
        raise DataError(
            f"{path}: expected a folder of pictures or of IDX files, a .csv or a .jsonl; `sumnist predict` reads "
            "single pictures"
        )
    with reading(path):
        count, content = count_lines(path), {CONTENT: checksum([path])}
        if path.suffix == ".csv":
            needed = ("path", "number") if sums and number is None else ("path",)
            columns = csv_columns(path, str(path), *needed, also=() if number is not None else ("number",))
            return Source(csv_rows(path, columns, number, sums), max(0, count - 1), [path], content)
        open_text(path).close()
        return Source(jsonl_rows(path, number, sums), count, [path], content)


def check_file(path: Path, name: str, expected: str) -> None:
    """Raise `DataError`, which calls the path `name`, if there is no plain file."""
    if not path.is_file():
        state = "is no plain file" if path.exists() else "does not exist"
        raise DataError(f"{name}: {state}, expected {expected}: check the name")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an `OSError` from reading `path` into a `DataError`."""
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: str | Path, error: OSError) -> DataError:
    """The error to raise for a file that the system refuses to read."""
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
    """How many lines a file has; the last may lack its end."""
    count, block = 0, b"\n"
    with path.open("rb") as stream:
        while more := stream.read(BLOCK):
            count, block = count + more.count(b"\n"), more
    return count + (block[-1:] != b"\n")


# Folders of pictures.


def pictures_in(folder: Path, *others: str) -> list[str]:
    """The pictures in a folder and its sub-folders, in the order of their names, as paths relative to the folder. Files
    whose endings are in `others` are listed, too.

    A file is a picture if it has the ending of one. Files and folders whose names begin with a dot are left out, since
    systems put their own files there. Links to folders are not followed. Raises `DataError`.
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
    """A checksum of the names of pictures, their sizes and times."""
    found = hashlib.sha256()
    for name in names:
        try:
            state = os.stat(os.path.join(folder, name))
            found.update(os.fsencode(name) + f"\0{state.st_size} {state.st_mtime_ns}\n".encode())
        except OSError:  # such as a link to nothing
            found.update(os.fsencode(name) + b"\0none\n")
    return {"state of the pictures": found.hexdigest()}


# Tables.


def open_text(path: Path) -> TextIO:
    """Open a file as UTF-8 text. Bytes that are not UTF-8 stay as they are, since names of files may have such bytes.
    Raises `DataError` for UTF-16."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise DataError(f"{path}: starts with 0x{start.hex()}, as UTF-16 does, expected UTF-8: save it as UTF-8")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def csv_columns(path: Path, name: str, *needed: str, also: Sequence[str] = ()) -> list[int]:
    """The places of the columns `needed` in the first line of a CSV, and of those in `also` that it has. Raises
    `DataError`, which calls the file `name`."""
    with open_text(path) as stream:
        try:
            header = next(csv.reader(stream, strict=True), [])
        except csv.Error as error:
            raise DataError(f"{name}: line 1: not CSV ({error}), expected the names of the columns") from error
    read = dict.fromkeys([*needed, *(column for column in also if column in header)])
    if any(header.count(column) != 1 for column in read):
        mend = ", or give --number" if "number" in needed else ""
        raise DataError(
            f"{name}: its first line has the columns {', '.join(header)[:200] or '(none)'}, expected "
            f"{' and '.join(read)}, each once: name them so{mend}"
        )
    return [header.index(column) for column in read]


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
    """For each record: its line; and the values of `columns`, None where the record is too short, or an error message.

    A record may extend over several lines. If such a record is no CSV, or its path or number extends over several
    lines, its first line probably has a quote that is not closed. Then this line gets the error, and the other lines
    are read as records.
    """
    lines, again, record = enumerate(stream, 1), deque[tuple[int, str]](), list[tuple[int, str]]()

    def taken() -> Iterator[str]:
        """The next lines, which also become part of the record."""
        while one := again.popleft() if again else next(lines, None):
            record.append(one)
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
        if fields != []:  # a blank line is no record
            line = record[0][0]
            yield line, f"line {line}: {values}" if isinstance(values, str) else values


def jsonl_rows(path: Path, number: Any, sums: bool) -> Generator[Row, None, None]:
    """The rows of a JSONL."""
    with reading(path), open_text(path) as stream:
        for place, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line, object_pairs_hook=without_doubles)
                name, own = values["path"], values["number"] if sums and number is None else values.get("number")
                if not isinstance(name, str):
                    raise TypeError("path is no text")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
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
    """The row of a table with these values. Its path is relative to the folder of the table. Without `sums`, the number
    may be missing."""
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
    """The whole number in `text`. If there is none, `text` itself: the reader that refuses it names it in the
    message."""
    try:
        return int(text or "")
    except ValueError:
        return text


def addend(text: str, exact: bool) -> int:
    """The number to add, from `text`: any whole number if the sum is `exact`. Raises `NumberError`."""
    number = check_number(whole(text), exact)
    check_digits(number)
    return number


def check_digits(number: Any) -> None:
    """Raise `NumberError` if a number, or its text, is too long to be written and read again."""
    is_long = len(number) > MOST_DIGITS if isinstance(number, str) else isinstance(number, int) and abs(number) >= LIMIT
    if is_long:
        raise NumberError(f"a number of more than {MOST_DIGITS} digits, expected fewer: no sum of it can be written")


# IDX files.


def idx_images(path: Path) -> NDArray[np.uint8]:
    """The images of an IDX file. Raises `DataError` if the file is not whole, or if they are not images of 28×28."""
    images = parse_idx(idx_bytes(path), path)
    if images.shape[1:] != (28, 28):
        raise DataError(f"{path}: an IDX file of {list(images.shape)}, expected images of 28×28")
    return images

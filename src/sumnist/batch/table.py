"""The table that a scoring writes: rows that are safe once they are noted, in a file that is whole or not there.

The rows go to a file beside the table, `.NAME.partial`, which takes the name of the table when it is whole. A note
beside it, `.NAME.progress`, says from before the first row on what is scored, and now and then how far the rows are on
the disk, so that a scoring that was killed goes on from there: the table is, byte for byte, what it would have been.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar, Protocol

from sumnist.arithmetic.values import plain
from sumnist.batch.sources import Row
from sumnist.errors import OutputError, ScoreError
from sumnist.files import Journal, check_replaceable, make_folder, write_all, writing

__all__ = ["Output", "Read", "Result", "Task"]

Result = dict[str, Any] | str
"""What became of a row: the values of its columns, or the message of what went wrong."""
Read = Callable[[list[Any], list[int | None]], list[Result]]
"""What reads pictures, each with its number."""

SAVE_EVERY = 2.0
"""Seconds between two notes of how far the output goes."""
BLOCK = 2**20
"""Bytes that are read at once where their checksum is taken."""
WITH_ANOTHER = "with another {name}: give the same {name} to go on with it"
CHANGES = {
    "names": "that began before pictures were added, removed or renamed: bring the folder back to go on with it",
    "sizes and times": "that began before pictures were changed: bring them back to go on with it",
    "bytes": "that began before the source was changed: bring it back to go on with it",
}
"""What is said where a part of a scoring is of another source than this: by what is another."""
FORMULA = frozenset("=+-@\t\r")
"""What a text begins with that spreadsheets take for a formula."""


class Task(Protocol):
    """What is read of each picture.

    Attributes:
        columns: What the table has of a row, by the names of its columns, the first of them `path`.
        chunk: Rows that a worker reads at once; always the same, so that a restart computes the same numbers.
    """

    columns: ClassVar[tuple[str, ...]]
    chunk: ClassVar[int]

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of a row, with a column of their own for each part of those that are lists; any may be None."""

    def settings(self) -> dict[str, Any]:
        """All that the readings depend on, by what messages call it, as types that `json` writes."""

    def start(self) -> Read:
        """Load the network: what reads pictures with it."""


class Output:
    """The rows of a table to be, `.NAME.partial`, and the note beside them, `.NAME.progress`, which is also the lock.

    The first line of the note is the job. It is on the disk before the first row is. Each other line says how many
    rows and bytes are on the disk for certain, with their checksum. The last one, before the rows become the table,
    says that they are whole.

    Attributes:
        rows: How many rows there are, of which `failed` have an error.
        whole: Whether all had been done when this was opened: the table is there, and only the note is to be removed.
    """

    def __init__(
        self, path: Path, job: dict[str, Any], overwrite: bool, columns: tuple[str, ...],
        flat: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:  # fmt: skip
        self.out, self.job, self.overwrite = path, job, overwrite
        self.columns, self.flat = ("row", *columns, "error"), flat
        check_replaceable(path)
        self.path = Path(os.path.realpath(path))
        self.partial = self.path.with_name(f".{self.path.name}.partial")
        self.is_csv = path.suffix == ".csv"
        self.rows = self.failed = self.bytes = 0
        self.sum, self.whole = hashlib.sha256(), False
        self.stream: FileIO | None = None
        make_folder(self.path.parent)
        note = self.path.with_name(f".{self.path.name}.progress")
        self.note = Journal(note, f"--out {path}: another scoring writes it: wait for it or name another")
        try:
            with writing(path):
                self.begin()
        except BaseException:
            self.close()
            raise
        self.saved = time.monotonic()

    def begin(self) -> None:
        """Bring the rows to the point from which to go on. Raises `OutputError`, `ScoreError`."""
        last = self.last_note()
        if last and last["whole"] and not self.partial.exists() and self.take_up(self.path, last):
            self.whole = True
            return
        self.check_free()
        if last and not self.take_up(self.partial, last) and not self.overwrite:
            raise ScoreError(
                f"--out {self.out}: {self.partial} is not what the note of it, {self.note.path.name}, says: add "
                "--overwrite to begin anew"
            )
        self.stream = FileIO(self.partial, "a")
        if self.rows:
            self.stream.truncate(self.bytes)
            return
        self.note.clear()
        self.stream.truncate(0)
        self.note.add(json.dumps({"job": self.job}))
        if self.is_csv:
            self.write(csv_line({name: name for name in self.flat(dict.fromkeys(self.columns))}).encode())

    def last_note(self) -> dict[str, Any] | None:
        """What the note says last, if there are rows, and if they are of this job. Raises `ScoreError` if they are of
        another, and are not to be overwritten."""
        if len(self.note.lines) < 2:
            return None
        try:
            job, last = dict(json.loads(self.note.lines[0])["job"]), json.loads(self.note.lines[-1])
            last = {"rows": int(last["rows"]), "failed": int(last["failed"]), "bytes": int(last["bytes"]),
                    "sha256": str(last["sha256"]), "whole": bool(last["whole"])}  # fmt: skip
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if self.overwrite:
                return None
            raise ScoreError(f"{self.note.path}: not a note of how far a scoring is: add --overwrite") from error
        if job == self.job:
            return last
        if self.overwrite:
            return None
        name = next(name for name in (*self.job, *job) if job.get(name) != self.job.get(name))
        raise ScoreError(
            f"--out {self.out}: holds part of a scoring {CHANGES.get(name, WITH_ANOTHER.format(name=name))}, name "
            "another file, or add --overwrite"
        )

    def check_free(self) -> None:
        """Raise `OutputError` if there is a table already, which is not to be replaced."""
        if not self.overwrite and self.path.exists() and self.path.stat().st_size:
            raise OutputError(f"--out {self.out}: holds something already: name another file or add --overwrite")

    def take_up(self, path: Path, note: dict[str, Any]) -> bool:
        """Go on from `note`, if what it says of the first bytes of `path` is true."""
        try:
            found = sum_of(path, note["bytes"])
        except FileNotFoundError:
            return False
        if found.hexdigest() != note["sha256"]:
            return False
        self.rows, self.failed, self.bytes, self.sum = note["rows"], note["failed"], note["bytes"], found
        return True

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, chunk: list[Row], results: list[Result]) -> None:
        """Write a chunk, and now and then the note."""
        lines = []
        for place, (row, result) in enumerate(zip(chunk, results, strict=True), self.rows):
            known: dict[str, Any] = {"error": result} if isinstance(result, str) else result
            known = {"row": place, "path": row.path, "number": row.number} | known
            values = {name: known.get(name) for name in self.columns}
            lines.append(csv_line(self.flat(values)) if self.is_csv else json_line(values))
        self.write(b"".join(map(encoded, lines)))
        self.rows += len(chunk)
        self.failed += sum(isinstance(result, str) for result in results)
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()

    def write(self, data: bytes) -> None:
        """Write bytes, and count them in."""
        assert self.stream is not None
        with writing(self.out):
            write_all(self.stream, data)
        self.sum.update(data)
        self.bytes += len(data)

    def save(self, whole: bool = False) -> None:
        """Bring the rows to the disk, then note how far they go."""
        assert self.stream is not None
        with writing(self.out):
            os.fsync(self.stream.fileno())
        note = {"rows": self.rows, "failed": self.failed, "bytes": self.bytes, "sha256": self.sum.hexdigest()}
        self.note.add(json.dumps(note | {"whole": whole}))
        self.saved = time.monotonic()

    def finish(self, then: Callable[[], object] | None = None) -> None:
        """Make the rows the table, which needs no note when what is to be done then is done."""
        with writing(self.out):
            if self.stream is not None:
                self.save(whole=True)
                self.check_free()
                self.stream.close()
                os.replace(self.partial, self.path)
        if then is not None:
            then()
        with writing(self.out):
            self.note.remove()

    def close(self) -> None:
        """Leave off; nothing stays of a scoring without rows."""
        if self.stream is not None:
            if not self.rows and not self.note.stream.closed:
                with suppress(OSError):
                    self.note.clear()
                    self.partial.unlink(missing_ok=True)
            self.stream.close()
        self.note.close()


def sum_of(path: Path, size: int) -> hashlib._Hash:
    """The SHA-256 of the first `size` bytes of a file."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(min(size, BLOCK)):
            found.update(block)
            size -= len(block)
    return found


def csv_line(values: dict[str, Any]) -> str:
    line, cells = io.StringIO(), [cell(name, value) for name, value in values.items()]
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # so that both characters are quoted in values
    return line.getvalue()[:-2] + "\n"


def cell(name: str, value: Any) -> Any:
    """A value as a spreadsheet may open it: a text that it would take for a formula, as the name of a file may be, gets
    something before it. A path still leads to its picture."""
    if isinstance(value, str) and value[:1] in FORMULA:
        return ("./" if name == "path" else "'") + value
    return plain(value) if isinstance(value, Decimal) else value


def json_line(values: dict[str, Any]) -> str:
    line = json.dumps(values, ensure_ascii=False, default=plain)
    try:
        line.encode()
    except UnicodeEncodeError:  # the name of a file that is no text
        line = json.dumps(values, default=plain)
    return line + "\n"


def encoded(line: str) -> bytes:
    """The bytes of a line: names of files as the system has them, and half a character from JSON as its escape."""
    try:
        return line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return line.encode("utf-8", "backslashreplace")

"""Many pictures: a table of them in, a table of readings out, in bounded memory and on all cores.

The source is cut into chunks; an engine reads the chunks side by side and gives them back in order. The rows go to a
file beside the table, `.NAME.partial`, which takes the name of the table when it is whole. A note beside it,
`.NAME.progress`, says from before the first row on what is scored, and now and then how far the rows are on the disk,
so that a scoring that was killed goes on from there: the table is, byte for byte, what it would have been.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from io import FileIO
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sumnist.arithmetic.values import plain
from sumnist.config import Engine, InkColour
from sumnist.environment import library_version
from sumnist.errors import ConfigError, OutputError, RunError, ScoreError
from sumnist.files import PRETRAINED, Journal, check_replaceable, make_folder, write_all, writing
from sumnist.inference.engines import start_workers
from sumnist.inference.reader import check_ink, check_number
from sumnist.inference.sources import Row, check_digits, source_of
from sumnist.inference.tasks import NEXT, DigitTask, NumberOptions, NumberTask, Read, Result, Task

__all__ = ["Scored", "score"]

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


@dataclass(frozen=True)
class Scored:
    """What became of the rows: how many there are, how many of them failed, and how many this call read, in how many
    seconds."""

    rows: int
    failed: int
    read_now: int
    seconds: float


def score(
    source: str | Path,
    out: str | Path,
    number: Any = None,
    model: str | Path = PRETRAINED,
    engine: Engine = "local",
    workers: int = 0,
    overwrite: bool = False,
    progress: bool = True,
    ink: InkColour = "auto",
    numbers: NumberOptions | None = None,
) -> Scored:
    """Read every picture of a source and write a row for each. Called again after it was killed, it goes on where it
    stopped. A row that fails is a row with an `error`.

    Args:
        source: A folder of pictures, a CSV or JSONL with `path` and `number`, or a folder of IDX files.
        out: The table to write, a `.csv` or `.jsonl`.
        number: What to add to every picture; a CSV or JSONL may have numbers of its own.
        model: An ONNX file or a run folder; a Ray cluster, and numbers of any length, need one that has been exported.
            By default the packaged network.
        engine: "local", the cores of this machine, or "ray", a Ray cluster.
        workers: Processes that read; 0 is one for each core.
        overwrite: Whether to replace what `out` holds.
        progress: Whether to draw a bar on stderr.
        ink: "dark" or "light", if it is known that all ink is darker or lighter than its ground; else "auto".
        numbers: How to read a number of any length of each picture, to which a number is added where there is one;
            None reads a digit.

    Returns:
        How many rows there are, how many of them failed, and how many this call read.

    Raises:
        ConfigError: `out`, `workers`, `ink` or `numbers` makes no sense, or `out` is a file of the source.
        DataError: The source is missing, none of those, or cannot be read.
        RunError: The model is no network of sumnist.
        NumberError: `number` is none that the network can add.
        OutputError: `out` cannot be written, holds something else, or another scoring writes it.
        ScoreError: `out` is begun by another scoring, the source changed meanwhile, or a worker died.
        MissingExtraError: The engine, or what reads the numbers, is not installed.
    """
    began = time.monotonic()
    out = Path(out)
    if out.suffix not in (".csv", ".jsonl"):
        raise ConfigError(f"--out {out}: expected a name that ends in .csv or .jsonl")
    if workers < 0:
        raise ConfigError(f"--workers {workers}: expected a whole number of at least 0, which is one for each core")
    ink = check_ink(ink)
    task: Task = NumberTask.of(model, ink, numbers) if numbers else DigitTask.of(model, ink, engine == "ray")
    if number is not None:  # what is wrong with it or the model is known before the work
        number = check_number(number, task.exact)
        check_digits(number)
    found = source_of(Path(source), number, task.sums)
    check_apart(out, found.files)
    settings = task.settings()
    job = {"source": str(Path(source).resolve()), "number": number, **settings,
           "version of sumnist": library_version("sumnist"), **found.content}  # fmt: skip
    prepare = partial(row_reader, task, settings)
    with Output(out, job, overwrite, task.columns) as output:
        first = output.rows
        if not output.whole:
            with start_workers(engine, workers, prepare, ScoreError) as readers, tqdm(
                total=found.count, initial=first, unit=" rows", disable=not progress, smoothing=0.05
            ) as bar:  # fmt: skip
                for chunk, results in readers.in_order(chunks(islice(found.rows, first, None), task.chunk)):
                    check_apart(out, (row.picture for row in chunk if isinstance(row.picture, str)))
                    output.add(chunk, results)
                    bar.update(len(chunk))
        if found.changed:
            raise ScoreError(f"{source}: changed while it was read: run the same command again, with --overwrite")
        output.finish()
    return Scored(output.rows, output.failed, output.rows - first, time.monotonic() - began)


def check_apart(out: Path, files: Iterable[str | Path]) -> None:
    """Raise `ConfigError` if `out` is one of `files`, by whatever name."""
    if (state := state_of(out)) is None:
        return
    for file in files:
        found = state_of(file)
        if found is not None and os.path.samestat(state, found):
            raise ConfigError(f"--out {out}: is read from, as {file}, expected another file: name another")


def state_of(file: str | Path) -> os.stat_result | None:
    """What the system says of a file; None if there is none, or no file can have that name."""
    try:
        return os.stat(file)
    except (OSError, ValueError):
        return None


def chunks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """The rows, `size` at a time."""
    while chunk := list(islice(rows, size)):
        yield chunk


def row_reader(task: Task, known: dict[str, Any]) -> Callable[[list[Row]], list[Result]]:
    """Start the task in a worker: the function that reads a chunk of rows. Raises `RunError` if its settings are not
    the `known` ones any more, which happens to a model in a folder."""
    read = task.start()
    if task.settings() != known:
        raise RunError("the model changed while the scoring began: run the same command again, with --overwrite")
    return partial(read_rows, read)


def read_rows(read: Read, rows: list[Row]) -> list[Result]:
    """What became of each row."""
    sound = [(row.picture, row.number) for row in rows if row.picture is not None]
    results: Iterator[Result] | None = None
    try:
        results = iter(read([picture for picture, _ in sound], [number for _, number in sound]))
    except Exception as error:  # memory that one picture takes, or what nobody thought of
        if len(rows) == 1:
            return [f"{rows[0].path}: cannot be read ({str(error) or type(error).__name__})"]
    if results is None:  # by now what the error held is free
        return [result for row in rows for result in read_rows(read, [row])]
    return [row.error or "" if row.picture is None else next(results) for row in rows]


class Output:
    """The rows of a table to be, `.NAME.partial`, and the note beside them, `.NAME.progress`, which is also the lock.

    The first line of the note is the job. It is on the disk before the first row is. Each other line says how many
    rows and bytes are on the disk for certain, with their checksum. The last one, before the rows become the table,
    says that they are whole.

    Attributes:
        rows: How many rows there are, of which `failed` have an error.
        whole: Whether all had been done when this was opened: the table is there, and only the note is to be removed.
    """

    def __init__(self, path: Path, job: dict[str, Any], overwrite: bool, columns: Iterable[str]) -> None:
        self.out, self.job, self.overwrite = path, job, overwrite
        self.columns = ("row", "path", "number", *columns, "error")
        check_replaceable(path)
        self.path = Path(os.path.realpath(path))
        self.partial = self.path.with_name(f".{self.path.name}.partial")
        self.line = csv_line if path.suffix == ".csv" else json_line
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
        if self.line is csv_line:
            self.write(csv_line({name: name for name in flat(dict.fromkeys(self.columns))}).encode())

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
        empty = dict.fromkeys(self.columns)
        values = [
            empty | {"row": place, "path": row.path, "number": row.number}
            | ({"error": result} if isinstance(result, str) else result)
            for place, (row, result) in enumerate(zip(chunk, results, strict=True), self.rows)
        ]  # fmt: skip
        self.write(b"".join(encoded(self.line(of_row)) for of_row in values))
        self.rows += len(chunk)
        self.failed += sum(isinstance(result, str) for result in results)
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()

    def write(self, data: bytes) -> None:
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

    def finish(self) -> None:
        """Make the rows the table, which needs no note."""
        with writing(self.out):
            if self.stream is not None:
                self.save(whole=True)
                self.check_free()
                self.stream.close()
                os.replace(self.partial, self.path)
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
    line, cells = io.StringIO(), [cell(name, value) for name, value in flat(values).items()]
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # so that both characters are quoted in values
    return line.getvalue()[:-2] + "\n"


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """The values with columns of their own for each of the next ones, counted from the second."""
    if "next" not in values:
        return values
    cells: dict[str, Any] = {}
    for name, value in values.items():
        if name != "next":
            cells[name] = value
            continue
        for place, one in zip_longest(range(2, 2 + NEXT), value or ()):
            cells |= {f"{key}_{place}": one and one[key] for key in ("value", "probability")}
    return cells


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

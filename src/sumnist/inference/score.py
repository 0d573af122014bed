"""Many pictures: a table of them in, a table of readings out, in bounded memory and on all cores.

The source is cut into chunks; an engine reads the chunks side by side and gives them back in order. Now and then the
output is flushed to the disk, and a small file beside it notes how far it goes, so that a scoring that was killed goes
on from there: the output is, byte for byte, what it would have been.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sumnist.config import Engine
from sumnist.errors import ConfigError, OutputError, ScoreError
from sumnist.files import CONFIG, PRETRAINED, WEIGHTS, cannot_write, lock, make_folder, write_atomically
from sumnist.inference.engines import start_workers
from sumnist.inference.reader import Reader, Reading, check_number, model_file
from sumnist.inference.sources import Row, source_of

__all__ = ["Scored", "score"]

CHUNK = 256
"""Rows that a worker reads at once; always cut at the same places, so that a restart computes the same numbers."""
SAVE_EVERY = 2.0
"""Seconds between two notes of how far the output goes."""
Result = Reading | str
"""What became of a row: its reading, or the message of what went wrong."""
COLUMNS = ("row", "path", "number", "digit", "sum", "confidence", "accepted", "reason", "error")


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
) -> Scored:
    """Read every picture of a source and write a row for each. Called again after it was killed, it goes on where it
    stopped. A row that fails is a row with an `error`.

    Args:
        source: A folder of pictures, a CSV or JSONL with `path` and `number`, or a folder of IDX files.
        out: The table to write, a `.csv` or `.jsonl`.
        number: What to add to every picture; a CSV or JSONL may have numbers of its own.
        model: An ONNX file or a run folder; a Ray cluster needs one that has been exported.
        engine: "local", the cores of this machine, or "ray", a Ray cluster.
        workers: Processes that read; 0 is one for each core.
        overwrite: Whether to replace what `out` holds.
        progress: Whether to draw a bar on stderr.

    Returns:
        How many rows there are, how many of them failed, and how many this call read.

    Raises:
        ConfigError: `out` or `workers` makes no sense.
        DataError: The source is missing or none of those.
        RunError: The model is no network of sumnist.
        NumberError: `number` is none that the network can add.
        OutputError: `out` cannot be written, or holds something else.
        ScoreError: `out` holds part of another scoring, or a worker died.
    """
    began = time.monotonic()
    if Path(out).suffix not in (".csv", ".jsonl"):
        raise ConfigError(f"--out {out}: expected a name that ends in .csv or .jsonl")
    if workers < 0:
        raise ConfigError(f"--workers {workers}: expected a whole number of at least 0, which is one for each core")
    path = model_file(model)
    if engine == "ray" and path.is_dir():
        raise ConfigError(
            f"--model {model}: a run that is not exported, expected an ONNX file for --engine ray: run `sumnist export "
            f"{model}` first"
        )
    reader = Reader(path)  # what is wrong with the model or the number is known before the work
    if number is not None:
        number = check_number(number, reader.exact)
    rows, count = source_of(Path(source), number)
    job = {"source": str(Path(source).resolve()), "number": number, "model": fingerprint(path)}
    prepare = partial(row_reader, path.read_bytes() if engine == "ray" else path)
    with Output(Path(out), job, overwrite) as output, start_workers(engine, workers, prepare, ScoreError) as readers:
        first = output.rows
        bar = tqdm(total=count, initial=first, unit=" rows", disable=not progress, smoothing=0.05)
        for chunk, results in readers.in_order(chunks(islice(rows, first, None))):
            output.add(chunk, results)
            bar.update(len(chunk))
        bar.close()
        output.finish()
    return Scored(output.rows, output.failed, output.rows - first, time.monotonic() - began)


def chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """The rows, `CHUNK` at a time."""
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def row_reader(model: Path | bytes) -> Callable[[list[Row]], list[Result]]:
    """Load the network of a worker: the function that reads a chunk of rows with it."""
    return partial(read_rows, Reader(model))


def read_rows(reader: Reader, rows: list[Row]) -> list[Result]:
    """The result of each row; readings come without their images, which no table holds and no process need send."""
    sound = [(row.picture, row.number) for row in rows if row.picture is not None]
    readings = iter(reader.read_each([picture for picture, _ in sound], [number for _, number in sound]))
    return [row.error or "" if row.picture is None else without_image(next(readings)) for row in rows]


def without_image(reading: Reading | Exception) -> Result:
    """A reading as its row needs it, or the message of an error."""
    return replace(reading, image=None) if isinstance(reading, Reading) else str(reading)


def fingerprint(path: Path) -> str:
    """What tells one model from another, an ONNX file or a run folder without one."""
    files = [path / CONFIG, path / WEIGHTS] if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises `OutputError` for what goes wrong in writing `path`."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


class Output:
    """The table that is written, and the note beside it, `.NAME.progress`, of how far it is on the disk."""

    def __init__(self, path: Path, job: dict[str, Any], overwrite: bool) -> None:
        self.path, self.job = path, job
        self.note = path.with_name(f".{path.name}.progress")
        self.line = csv_line if path.suffix == ".csv" else json_line
        self.rows = self.failed = self.bytes = 0
        make_folder(path.parent)
        with writing(path):
            self.stream = path.open("ab")
        try:
            self.begin(overwrite)
        except BaseException:
            self.stream.close()
            raise
        self.saved = time.monotonic()

    def begin(self, overwrite: bool) -> None:
        """Bring the table to the point from which to go on. Raises `OutputError`, `ScoreError`."""
        self.lock()
        if overwrite:
            self.note.unlink(missing_ok=True)
        elif self.note.exists():
            try:
                self.go_on(json.loads(self.note.read_text(encoding="utf-8")))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ScoreError(f"{self.note}: not a note of how far a scoring is: add --overwrite") from error
        elif self.path.stat().st_size:
            raise OutputError(f"--out {self.path}: holds something already: name another file or add --overwrite")
        self.bytes = self.bytes if self.rows else 0
        self.stream.truncate(self.bytes)
        if not self.rows and self.line is csv_line:
            self.write(csv_line(dict(zip(COLUMNS, COLUMNS, strict=True))))

    def lock(self) -> None:
        """Raise `OutputError` if another process writes the same table."""
        if not lock(self.stream):
            raise OutputError(f"--out {self.path}: another scoring writes it: wait for it or name another")

    def go_on(self, note: dict[str, Any]) -> None:
        """Take up the scoring that `note` is of. Raises `ScoreError` if it is another one."""
        for name, value in self.job.items():
            if note["job"][name] != value:
                raise ScoreError(
                    f"--out {self.path}: holds part of a scoring with another {name}: give the same {name} to go on "
                    "with it, name another file, or add --overwrite"
                )
        self.rows, self.failed, self.bytes = note["rows"], note["failed"], note["bytes"]

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def add(self, chunk: list[Row], results: list[Result]) -> None:
        """Write a chunk, and now and then the note."""
        places = range(self.rows, self.rows + len(chunk))
        values = [values_of(*of_row) for of_row in zip(places, chunk, results, strict=True)]
        self.write("".join(map(self.line, values)))
        self.rows += len(chunk)
        self.failed += sum(isinstance(result, str) for result in results)
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()

    def write(self, text: str) -> None:
        with writing(self.path):
            self.bytes += self.stream.write(text.encode("utf-8", "surrogateescape"))

    def save(self) -> None:
        """Bring the table to the disk, then note how far it goes."""
        with writing(self.path):
            self.stream.flush()
            os.fsync(self.stream.fileno())
        note = {"job": self.job, "rows": self.rows, "failed": self.failed, "bytes": self.bytes}
        write_atomically(self.note, json.dumps(note))
        self.saved = time.monotonic()

    def finish(self) -> None:
        """The table is whole and needs no note."""
        self.save()
        self.note.unlink(missing_ok=True)


def values_of(place: int, row: Row, result: Result) -> dict[str, Any]:
    """A row of the output by the names of its columns."""
    values = dict.fromkeys(COLUMNS) | {"row": place, "path": row.path, "number": row.number}
    if isinstance(result, str):
        return values | {"error": result}
    read = {name: getattr(result, name) for name in ("number", "digit", "sum", "accepted", "reason")}
    return values | read | {"confidence": round(result.confidence, 6)}


def csv_line(values: dict[str, Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values.values())
    return line.getvalue()


def json_line(values: dict[str, Any]) -> str:
    line = json.dumps(values, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # the name of a file that is no text
        line = json.dumps(values)
    return line + "\n"

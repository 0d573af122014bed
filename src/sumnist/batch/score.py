"""Scores many pictures: reads a folder or a table of them into a table of readings, on all cores, in bounded memory.

The source is cut into chunks; workers read the chunks side by side and give them back in order. A task says what to
read on each picture: one digit, or a number of any length. The task goes to the workers together with its network, and
each worker starts it.

The rows go to a journal beside the table, `.NAME.partial`, whose first line says what is scored. When all rows are
there, the table is made from it and gets its name in one step. A scoring that was killed goes on behind the last row of
the journal, and the table is the same byte for byte.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tqdm import tqdm

from sumnist import files
from sumnist.arithmetic.values import plain, plus
from sumnist.batch.pool import reads, start_workers
from sumnist.batch.sources import Row, Source, check_digits, source_of
from sumnist.config import Engine, InkColour
from sumnist.environment import library_version
from sumnist.errors import ConfigError, OutputError, RunError, ScoreError, SumnistError
from sumnist.inference.adaptation import Lesson, helps
from sumnist.inference.hand import Hand
from sumnist.inference.numbers import NumberReading, Numbers, check_bounds, check_sign
from sumnist.inference.reader import Reader, Reading, check_ink, check_number, model_file
from sumnist.pictures.decode import Picture

Result = dict[str, Any] | str
"""The result of a row: the values of its columns, or an error message."""
Read = Callable[[list[Any], list[int | None]], list[Result]]
"""A function that reads pictures, each with its number."""

FORMULA = frozenset("=+-@\t\r")
"""The first characters by which spreadsheets take a text for a formula."""
NEXT = 3
"""How many values of a number a table has besides the most probable one."""
LEARNED, SURE, FEWEST, MOSTLY = 500, 0.9, 10, 0.5
"""Limits for learning the hand of one writer from their pictures. `LEARNED`: the most pictures. `SURE`: a reading
counts as a label from this confidence on. `FEWEST`: the fewest such readings. `MOSTLY`: their least share of the
pictures. If fewer readings are sure, the hand is strange, and even sure readings are often wrong, so the hand needs
labels."""


@dataclass(frozen=True)
class Scored:
    """The result of a scoring.

    Attributes:
        rows: How many rows there are.
        failed: How many of them failed.
        read_now: How many rows this call read.
        seconds: How long this call took.
    """

    rows: int
    failed: int
    read_now: int
    seconds: float


def score(
    source: str | Path,
    out: str | Path,
    number: Any = None,
    model: str | Path = files.PRETRAINED,
    engine: Engine = "local",
    workers: int = 0,
    overwrite: bool = False,
    progress: bool = True,
    ink: InkColour = "auto",
    numbers: NumberOptions | None = None,
    hand: Hand | None = None,
    same_hand: bool = False,
) -> Scored:
    """Read every picture of a source and write a row for each. If the program was killed, the same call goes on where
    it stopped. A row that cannot be read has an `error`.

    Args:
        source: A folder of pictures, a CSV or JSONL with `path` and `number`, or a folder of IDX files.
        out: The table to write, a `.csv` or `.jsonl`.
        number: The number to add to every picture; a CSV or JSONL may have numbers of its own.
        model: An ONNX file or a run folder, by default the packaged network. A Ray cluster, and numbers of any length,
            need a network that has been exported.
        engine: "local", the cores of this machine, or "ray", a Ray cluster.
        workers: How many processes read; 0 is one for each core.
        overwrite: Whether to replace the content of `out`.
        progress: Whether to draw a bar on stderr.
        ink: "dark" or "light", if all ink is known to be darker or lighter than its ground; else "auto".
        numbers: How to read a number of any length on each picture; None reads a digit.
        hand: The hand of the writer, if it is known.
        same_hand: Whether all pictures are by one writer. The writer's hand is then learned first, from sure readings.
            It is used if it helps in cross-validation.

    Returns:
        How many rows there are, how many of them failed, how many this call read, and how long it took.

    Raises:
        ConfigError: `out`, `workers`, `ink` or `numbers` makes no sense, or `out` is a file of the source.
        DataError: The source is missing, of another kind, or cannot be read.
        HandError: The hand belongs to another network.
        RunError: The model is not a network of sumnist.
        NumberError: The network cannot add `number`.
        OutputError: `out` cannot be written, holds something else, or another scoring writes it.
        ScoreError: Another scoring began `out`, the source changed meanwhile, or a worker died.
        MissingExtraError: The engine is not installed.
    """
    ink = check_ink(ink)
    if same_hand:
        hand = hand_of(Path(source), model, ink, numbers)
    task = NumberTask.of(model, ink, numbers, hand) if numbers else DigitTask.of(model, ink, engine == "ray", hand)
    if number is not None:  # errors of the number or the model come before the work
        number = check_number(number, task.exact)
        check_digits(number)
    found = source_of(Path(source), number, task.sums)
    asked = {"source": str(Path(source).resolve()), "number": number}
    return tabulate(found, Path(out), task, asked, engine, workers, overwrite, progress)


def hand_of(source: Path, model: str | Path, ink: InkColour, numbers: NumberOptions | None) -> Hand | None:
    """The hand of the one writer of a source, learned from sure readings of its first pictures; None if there are too
    few of these, or the hand does not help. Raises `ConfigError`, `DataError`, `HandError`, `RunError`."""
    reader = Reader(exported(model, "--same-hand"))
    if numbers:
        reader.numbers = Numbers(strips_file(model))
    with closing(source_of(source, 0, sums=False).rows) as rows:
        pictures = [row.picture for row in islice(rows, LEARNED) if row.picture is not None]
    read: Sequence[Any] = reader.read_each(pictures, ink=ink)
    if numbers:
        read = reader.numbers.read_each(pictures, numbers.digits, numbers.decimal, ink)
    sure = [
        (picture, one.digits if isinstance(one, NumberReading) else one.digit)
        for picture, one in zip(pictures, read, strict=True)
        if not isinstance(one, SumnistError) and one.accepted and one.confidence >= SURE
    ]
    if len(sure) < max(FEWEST, MOSTLY * len(pictures)):
        return None
    lesson = Lesson(reader, *zip(*sure, strict=True))
    return lesson.hand() if helps(lesson.trials()) else None


def tabulate(
    found: Source, out: Path, task: Task, asked: Mapping[str, Any], engine: Engine = "local", workers: int = 0,
    overwrite: bool = False, progress: bool = True, then: Callable[[], object] | None = None,
) -> Scored:  # fmt: skip
    """Write a row for each row of a source, as `score` does, with any task.

    Args:
        found: The source.
        out: The table to write.
        task: What to read on each picture.
        asked: Everything else that tells one job from another, as types that `json` writes.
        engine: As for `score`.
        workers: As for `score`.
        overwrite: As for `score`.
        progress: As for `score`.
        then: Called when the table is complete. If it fails, or is killed, the same call of `tabulate` calls it again.

    Raises:
        SumnistError: As for `score`.
    """
    began = time.monotonic()
    files.check_suffix("--out", out, ".csv", ".jsonl")
    if workers < 0:
        raise ConfigError(f"--workers {workers}: expected a whole number of at least 0, which is one for each core")
    check_apart(out, found.files)
    settings = task.settings()
    job = {**asked, **settings, "version of sumnist": library_version("sumnist"), **found.content}
    prepare = partial(row_reader, task, settings)
    with closing(found.rows), closing(Output(out, job, overwrite, task)) as output:
        first = output.rows
        rows = islice(found.rows, first, None)
        with start_workers(engine, workers, prepare, ScoreError) as readers, tqdm(
            total=found.count, initial=first, unit=" rows", disable=not progress, smoothing=0.05
        ) as bar:  # fmt: skip
            for chunk, results in readers.in_order(iter(lambda: list(islice(rows, task.chunk)), [])):
                check_apart(out, (row.picture for row in chunk if isinstance(row.picture, str)))
                output.add(chunk, results)
                bar.update(len(chunk))
        if found.changed:
            raise ScoreError(
                f"{asked['source']}: changed while it was read: run the same command again, with --overwrite"
            )
        output.finish(then)
    return Scored(output.rows, output.failed, output.rows - first, time.monotonic() - began)


def check_apart(out: Path, sources: Iterable[str | Path]) -> None:
    """Raise `ConfigError` if one of `sources` is the file that the table would replace. Only sources with the name of
    this file need a look at the disk."""
    target, same = os.path.realpath(out), False
    name = os.path.basename(target)
    for file in sources:
        if os.path.basename(file) == name:
            with suppress(OSError, ValueError):  # no such file, or not a possible name
                same = os.path.samefile(file, target)
        if same:
            raise ConfigError(f"--out {out}: is read from, as {file}, expected another file: name another")


def row_reader(task: Task, known: dict[str, Any]) -> Callable[[list[Row]], list[Result]]:
    """Start the task in a worker. Returns the function that reads a chunk of rows. Raises `RunError` if the settings
    are no longer the `known` ones, because the model in a folder has changed."""
    read = task.start()
    if task.settings() != known:
        raise RunError("the model changed while the scoring began: run the same command again, with --overwrite")
    return partial(read_rows, read)


def read_rows(read: Read, rows: list[Row]) -> list[Result]:
    """The result of each row."""
    sound = [row for row in rows if row.picture is not None]
    results: Iterator[Result] | None = None
    try:
        results = iter(read(Named(sound), [row.number for row in sound]))
    except Exception as error:  # one picture takes too much memory, or an unforeseen error
        if len(rows) == 1:
            return [f"{rows[0].path}: cannot be read ({str(error) or type(error).__name__})"]
    if results is None:  # by now the memory that the error held is free
        return [result for row in rows for result in read_rows(read, [row])]
    return [row.error or "" if row.picture is None else next(results) for row in rows]


class Named(list[Any]):
    """The pictures of rows. Whenever one is taken from the list, its name goes to the pool, in case it ends the
    process."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__(row.picture for row in rows)
        self.names = [row.path for row in rows]

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, int):
            reads(self.names[place])
        return super().__getitem__(place)

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self)))


class Task(Protocol):
    """What to read on each picture.

    Attributes:
        columns: The names of the table's columns between `row` and `error`, `path` first.
        chunk: How many rows a worker reads at once. It is always the same, so that a restart computes the same numbers.
    """

    columns: ClassVar[tuple[str, ...]]
    chunk: ClassVar[int]

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of a row, with lists split into columns of their own; any value may be None."""
        return values

    def settings(self) -> dict[str, Any]:
        """Everything that the readings depend on, by its name in messages, as types that `json` writes."""

    def start(self) -> Read:
        """Load the network. Returns the function that reads pictures with it."""


@dataclass(frozen=True)
class DigitTask(Task):
    """Reads one digit on each picture, and adds a number. See `Task` for the class variables.

    Attributes:
        network: The content of the network's file, or the folder of a run that is not exported.
        exact: Whether the network can add any whole number.
        ink: "dark", "light" or "auto".
        hand: The hand of the writer, or None.
    """

    network: bytes | Path
    exact: bool
    ink: InkColour
    hand: Hand | None = None
    columns: ClassVar[tuple[str, ...]] = ("path", "number", "digit", "sum", "confidence", "accepted", "reason")
    chunk: ClassVar[int] = 256
    sums: ClassVar[bool] = True

    @classmethod
    def of(cls, model: str | Path, ink: InkColour, travels: bool, hand: Hand | None = None) -> DigitTask:
        """The task with a model, which must be a file if it `travels` to other machines. Raises `ConfigError`,
        `HandError`, `RunError` and `MissingExtraError`."""
        path = exported(model, "--engine ray") if travels else model_file(model)
        reader = Reader(path, hand=hand)
        return cls(path if path.is_dir() else path.read_bytes(), reader.exact, ink, hand)

    def settings(self) -> dict[str, Any]:
        """The ink, the network and the hand."""
        return {"task": "digits", "ink": self.ink, "model": fingerprint(self.network), **fingerprint_of(self.hand)}

    def start(self) -> Read:
        """The function that reads digits."""
        reader = Reader(self.network, hand=self.hand)

        def read(pictures: list[Picture], numbers: list[int | None]) -> list[Result]:
            readings = reader.read_each(pictures, [number or 0 for number in numbers], self.ink)
            return [
                {name: getattr(one, name) for name in ("digit", "sum", "accepted", "reason")}
                | {"confidence": rounded(one.confidence)}
                if isinstance(one, Reading)
                else str(one)
                for one in readings
            ]

        return read


@dataclass(frozen=True)
class NumberOptions:
    """How to read numbers.

    Attributes:
        digits: How many digits the numbers have, or the least and the most number of digits, where None means no limit.
        decimal: The decimal sign, "." or ",". With None, signs mean what they usually mean.
    """

    digits: Any = (1, None)
    decimal: str | None = None


@dataclass(frozen=True)
class NumberTask(Task):
    """Reads a number of any length on each picture, and adds the row's number, if it has one. See `Task` for the class
    variables.

    Attributes:
        network: The content of the network's file.
        options: How to read numbers.
        ink: "dark", "light" or "auto".
        hand: The hand of the writer, or None.
    """

    network: bytes
    options: NumberOptions
    ink: InkColour
    hand: Hand | None = None
    columns: ClassVar[tuple[str, ...]] = (
        "path", "number", "text", "value", "sum", "confidence", "accepted", "reason", "is_number_probability", "other",
        "next",
    )  # fmt: skip
    chunk: ClassVar[int] = 32
    sums: ClassVar[bool] = False
    exact: ClassVar[bool] = True

    @classmethod
    def of(cls, model: str | Path, ink: InkColour, options: NumberOptions, hand: Hand | None = None) -> NumberTask:
        """The task with a model. Raises `ConfigError`, `HandError` and `RunError`."""
        check_bounds(options.digits)
        check_sign(options.decimal)
        path = strips_file(model)
        Numbers(path).with_hand(hand).recognizer()
        return cls(path.read_bytes(), options, ink, hand)

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values, with columns for each of the next candidates, counted from the second."""
        cells: dict[str, Any] = {name: value for name, value in values.items() if name not in ("next", "error")}
        for place, one in zip_longest(range(2, 2 + NEXT), values["next"] or ()):
            cells |= {f"{key}_{place}": one and one[key] for key in ("value", "probability")}
        return cells | {"error": values["error"]}

    def settings(self) -> dict[str, Any]:
        """The options, the ink and the network."""
        return {"task": "numbers", "--digits": list(check_bounds(self.options.digits)),
                "--decimal": self.options.decimal, "ink": self.ink, "model": fingerprint(self.network),
                **fingerprint_of(self.hand)}  # fmt: skip

    def start(self) -> Read:
        """The function that reads numbers."""
        reader, how = Numbers(self.network).with_hand(self.hand), self.options
        reader.recognizer()

        def read(pictures: list[Picture], numbers: list[int | None]) -> list[Result]:
            readings = reader.read_each(pictures, how.digits, how.decimal, self.ink, 1 + NEXT)
            return [
                number_values(one, number) if isinstance(one, NumberReading) else str(one)
                for one, number in zip(readings, numbers, strict=True)
            ]

        return read


def number_values(reading: NumberReading, number: int | None) -> dict[str, Any]:
    """The columns of a number. `next` holds the most probable values after the first one."""
    total = None if reading.value is None or number is None else plus(reading.value, number)
    return {
        "text": reading.text, "value": reading.value, "sum": total,
        "confidence": rounded(reading.confidence), "accepted": reading.accepted, "reason": reading.reason,
        "is_number_probability": rounded(reading.is_number_probability), "other": rounded(reading.other),
        "next": [{"value": one.value, "probability": rounded(one.probability)} for one in reading.candidates[1:]],
    }  # fmt: skip


def rounded(probability: float) -> float:
    """The probability as a table has it, with six decimals."""
    return round(probability, 6)


def strips_file(model: str | Path, what: str = "--numbers") -> Path:
    """The ONNX file of the network of strips that `model` names; the packaged one if `model` is the default. Raises
    `ConfigError` and `RunError`."""
    if Path(model) == files.PRETRAINED:
        return files.NUMBERS
    return exported(model, what)


def exported(model: str | Path, what: str) -> Path:
    """The ONNX file that `model` names. Raises `ConfigError` for a run without an ONNX file, because `what` needs
    one."""
    path = model_file(model)
    if path.is_dir():
        raise ConfigError(
            f"--model {model}: a run that is not exported, expected an ONNX file for {what}: run `sumnist export "
            f"{model}` first"
        )
    return path


def fingerprint_of(hand: Hand | None) -> dict[str, str]:
    """The checksum of a hand, if there is one, as a setting."""
    return {} if hand is None else {"hand": hand.checksum}


def fingerprint(model: Path | bytes) -> str:
    """The checksum of a model: an ONNX file or its bytes, or a run folder without one."""
    if isinstance(model, Path):
        parts = [model / name for name in (files.CONFIG, files.WEIGHTS)] if model.is_dir() else [model]
        model = b"".join(part.read_bytes() for part in parts)
    return hashlib.sha256(model).hexdigest()


class Output:
    """The rows of a future table, in the journal `.NAME.partial` beside it.

    Its first line describes the job. Each other line is a chunk: the number of its first row, how many rows it has, how
    many of them failed, and their text in the table.

    Attributes:
        rows: How many rows there are.
        failed: How many of them have an error.
    """

    def __init__(self, path: Path, job: dict[str, Any], overwrite: bool, task: Task) -> None:
        self.out, self.overwrite = path, overwrite
        self.columns, self.flat = ("row", *task.columns, "error"), task.flat
        files.check_replaceable(path)
        self.path = Path(os.path.realpath(path))
        self.is_csv = path.suffix == ".csv"
        self.rows = self.failed = 0
        files.make_folder(self.path.parent)
        partial = self.path.with_name(f".{self.path.name}.partial")
        self.journal = files.Journal(partial, f"--out {path}: another scoring writes it: wait for it or name another")
        try:
            self.begin(job)
        except BaseException:
            self.journal.close()
            raise

    def begin(self, job: dict[str, Any]) -> None:
        """Go on with the rows of this job, or begin anew. Raises `OutputError`, and `ScoreError` if there are rows that
        must not be overwritten."""
        begun = self.begun()
        if begun != job and self.rows and not self.overwrite:
            name = next(name for name in (*job, *(begun or ())) if (begun or {}).get(name) != job.get(name))
            raise ScoreError(
                f"--out {self.out}: holds part of a scoring with another {name}: give the same {name} to go on with "
                "it, name another file, or add --overwrite"
            )
        self.check_free()
        if begun != job:
            self.rows = self.failed = 0
            self.journal.clear()
            self.journal.add(json.dumps({"job": job}))

    def begun(self) -> dict[str, Any] | None:
        """The job of the rows that are there, which are counted; None if there are none. Raises `ScoreError` if they
        are no rows, and must not be overwritten."""
        job = None
        try:
            for line in map(files.parse_json, self.journal.lines):
                if job is None:
                    job = dict(line["job"])
                elif line["row"] != self.rows or not isinstance(line["text"], str):
                    raise ValueError("a row is missing")
                else:
                    self.rows, self.failed = self.rows + int(line["rows"]), self.failed + int(line["failed"])
        except (ValueError, KeyError, TypeError) as error:
            if self.overwrite:
                return None
            raise ScoreError(
                f"--out {self.out}: {self.journal.path} does not hold the rows of a scoring: add --overwrite to begin "
                "anew"
            ) from error
        return job

    def check_free(self) -> None:
        """Raise `OutputError` if there is something else already that must not be replaced."""
        with files.writing(self.out):
            if not self.overwrite and self.path.exists() and self.path.stat().st_size and not self.is_written():
                raise OutputError(f"--out {self.out}: holds something already: name another file or add --overwrite")

    def is_written(self) -> bool:
        """Whether the table has exactly these rows: a scoring was stopped when it had written it."""
        with self.path.open("rb") as stream:
            return all(stream.read(len(part)) == part for part in self.parts()) and not stream.read(1)

    def parts(self) -> Iterator[bytes]:
        """The bytes of the table, piece by piece."""
        if self.is_csv:
            yield csv_line({name: name for name in self.flat(dict.fromkeys(self.columns))}).encode()
        yield from (encoded(json.loads(line)["text"]) for line in islice(self.journal.lines, 1, None))

    def add(self, chunk: list[Row], results: list[Result]) -> None:
        """Write a chunk."""
        lines = []
        for place, (row, result) in enumerate(zip(chunk, results, strict=True), self.rows):
            known: dict[str, Any] = {"error": result} if isinstance(result, str) else result
            known = {"row": place, "path": row.path, "number": row.number} | known
            values = {name: known.get(name) for name in self.columns}
            lines.append(csv_line(self.flat(values)) if self.is_csv else json_line(values))
        failed = sum(isinstance(result, str) for result in results)
        line = {"row": self.rows, "rows": len(chunk), "failed": failed, "text": "".join(lines)}
        self.journal.add(json.dumps(line), sync=False)
        self.rows, self.failed = self.rows + len(chunk), self.failed + failed

    def finish(self, then: Callable[[], object] | None = None) -> None:
        """Write the table, call `then`, and remove the journal."""
        self.check_free()
        with files.replacing(self.path) as stream:
            stream.writelines(self.parts())
        if then is not None:
            then()
        self.journal.remove()

    def close(self) -> None:
        """Close the journal; a scoring without rows leaves none."""
        if not self.rows and not self.journal.stream.closed:
            with suppress(OutputError):
                self.journal.clear()
        self.journal.close()


def csv_line(values: dict[str, Any]) -> str:
    """A row of a CSV."""
    line, cells = io.StringIO(), [cell(name, value) for name, value in values.items()]
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # so that both \r and \n are quoted in values
    return line.getvalue()[:-2] + "\n"


def cell(name: str, value: Any) -> Any:
    """A value that is safe to open in a spreadsheet. A text that looks like a formula, such as the name of a file, gets
    a prefix. A path still leads to its picture."""
    if isinstance(value, str) and value[:1] in FORMULA:
        return ("./" if name == "path" else "'") + value
    return plain(value) if isinstance(value, Decimal) else value


def json_line(values: dict[str, Any]) -> str:
    """A row of a JSONL."""
    line = json.dumps(values, ensure_ascii=False, default=plain)
    try:
        line.encode()
    except UnicodeEncodeError:  # the name of a file is not text
        line = json.dumps(values, default=plain)
    return line + "\n"


def encoded(line: str) -> bytes:
    """The bytes of a line. Names of files have the bytes that the system has. Half a surrogate pair from JSON becomes
    an escape sequence."""
    try:
        return line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return line.encode("utf-8", "backslashreplace")

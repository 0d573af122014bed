"""Many pictures: a table of them in, a table of readings out, in bounded memory and on all cores.

The source is cut into chunks; an engine reads the chunks side by side and gives them back in order. What is written,
and how it is safe from being killed, is the matter of `inference/table`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sumnist.config import Engine, InkColour
from sumnist.environment import library_version
from sumnist.errors import ConfigError, RunError, ScoreError
from sumnist.files import PRETRAINED
from sumnist.inference.engines import start_workers
from sumnist.inference.reader import check_ink, check_number
from sumnist.inference.sources import Row, Source, check_digits, source_of
from sumnist.inference.table import Output
from sumnist.inference.tasks import DigitTask, NumberOptions, NumberTask, PictureTask, Read, Result, Task

__all__ = ["Scored", "score", "tabulate"]


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
    ink = check_ink(ink)
    task: PictureTask = NumberTask.of(model, ink, numbers) if numbers else DigitTask.of(model, ink, engine == "ray")
    if number is not None:  # what is wrong with it or the model is known before the work
        number = check_number(number, task.exact)
        check_digits(number)
    found = source_of(Path(source), number, task.sums)
    asked = {"source": str(Path(source).resolve()), "number": number}
    return tabulate(found, Path(out), task, asked, engine, workers, overwrite, progress)


def tabulate(
    found: Source, out: Path, task: Task, asked: Mapping[str, Any], engine: Engine = "local", workers: int = 0,
    overwrite: bool = False, progress: bool = True, then: Callable[[], object] | None = None,
) -> Scored:  # fmt: skip
    """Write a row for each of a source, as `score` does, by any task.

    Args:
        asked: What else tells one job from another, as types that `json` writes.
        then: What is to be done with the table. Where that fails, or is killed, the same call does it again.

    Raises:
        What `score` does.
    """
    began = time.monotonic()
    if out.suffix not in (".csv", ".jsonl"):
        raise ConfigError(f"--out {out}: expected a name that ends in .csv or .jsonl")
    if workers < 0:
        raise ConfigError(f"--workers {workers}: expected a whole number of at least 0, which is one for each core")
    check_apart(out, found.files)
    settings = task.settings()
    job = {**asked, **settings, "version of sumnist": library_version("sumnist"), **found.content}
    prepare = partial(row_reader, task, settings)
    with Output(out, job, overwrite, task.columns, task.flat) as output:
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
            raise ScoreError(
                f"{asked['source']}: changed while it was read: run the same command again, with --overwrite"
            )
        output.finish(then)
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

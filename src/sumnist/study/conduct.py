"""Conducting a study: which runs are still to do, who does them, and one row for each, whatever happens in between."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sumnist.config import Engine
from sumnist.environment import core_count
from sumnist.errors import MissingExtraError, StudyError
from sumnist.files import cannot_write, make_folder
from sumnist.inference.engines import end_with_parent
from sumnist.study.recipe import Recipe
from sumnist.study.runs import run
from sumnist.study.variants import Variant

__all__ = ["Job", "Row", "conduct", "jobs_of", "read_rows", "repeat"]

Row = dict[str, Any]
Job = tuple[str, Recipe, int]
"""Variant, recipe, seed."""


def jobs_of(variants: Sequence[Variant]) -> list[Job]:
    """Every run of the study, a seed of all variants before the next seed: stopped early, all have as many."""
    count = max((variant.seeds for variant in variants), default=0)
    return [(v.name, v.recipe, seed) for seed in range(count) for v in variants if seed < v.seeds]


def conduct(jobs: Sequence[Job], path: Path, engine: Engine = "local", workers: int = 0, progress: bool = True) -> int:
    """Do those of `jobs` that have no row in the file `path` yet, appending theirs as they finish; how many.

    Raises `StudyError`: a row that is none, or a worker that died; `OutputError`; `MissingExtraError` without Ray.
    """
    done = {(row["variant"], Recipe.from_dict(row["recipe"]).key, row["seed"]) for row in read_rows(path, mend=True)}
    left = [job for job in jobs if (job[0], job[1].key, job[2]) not in done]
    make_folder(path.parent)
    with engine_of(engine, workers) as results, tqdm(
        total=len(jobs), initial=len(jobs) - len(left), desc="study", unit="run", smoothing=0.02,
        disable=None if progress else True,
    ) as bar:  # fmt: skip
        for row in results(left):
            append(path, row)
            bar.update()
            bar.set_postfix_str(f"{row['variant']}, seed {row['seed']}: {row['seconds']:.0f} s")
    return len(left)


def read_rows(path: Path, mend: bool = False) -> list[Row]:
    """The rows of the file `path`, none if there is no file. A last line without its end is a row whose writing was
    cut short: it is left out, and with `mend` taken from the file. Raises `StudyError` for anything else."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if mend and len(whole) < len(content):
        os.truncate(path, len(whole))
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            row["variant"], row["recipe"], row["seed"]
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(
                f"{path}, line {number}: not a row of a study: take it out, or choose another file"
            ) from error
        rows.append(row)
    return rows


def repeat(path: Path, name: str, seed: int) -> list[str]:
    """Do the run again that the file `path` has a row of. What of it came out otherwise: nothing, on the machine and
    with the versions of the row. Raises `StudyError`: there is no such row."""
    rows = [row for row in read_rows(path) if row["variant"] == name and row["seed"] == seed]
    if not rows:
        raise StudyError(f"{path}: no row of {name} with seed {seed}: choose one that is there")
    again = json.loads(json.dumps(run(name, Recipe.from_dict(rows[-1]["recipe"]), seed)))
    return [part for part in ("weights", "curve", "validation", "test") if again[part] != rows[-1][part]]


def append(path: Path, row: Row) -> None:
    """Add a row in one write, on the disk when this returns."""
    try:
        with path.open("ab") as stream:
            stream.write(json.dumps(row).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def engine_of(name: Engine, workers: int) -> Iterator[Callable[[Sequence[Job]], Iterator[Row]]]:
    """Who does the runs, each on one thread: jobs in, rows out as they finish."""
    if name == "ray":
        with ray_engine() as results:
            yield results
        return
    count = workers or core_count()
    if count == 1:
        yield lambda jobs: (run(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, start_worker) as pool:
        try:
            yield lambda jobs: (future.result() for future in soonest(pool, jobs))
        except BrokenProcessPool as error:
            raise StudyError("a worker process died, out of memory perhaps: run the same command again to go on, with "
                             "fewer --workers") from error  # fmt: skip
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def soonest(pool: ProcessPoolExecutor, jobs: Sequence[Job]) -> Iterator[Future[Row]]:
    return as_completed([pool.submit(run, *job) for job in jobs])


def start_worker() -> None:
    """Ctrl-C is for the process that started this one, and this one ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


@contextmanager
def ray_engine() -> Iterator[Callable[[Sequence[Job]], Iterator[Row]]]:
    """The cores of a Ray cluster: the one that RAY_ADDRESS names, or one on this machine."""
    try:
        ray: Any = import_module("ray")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ray", "ray", "--engine ray") from error
    ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    task = ray.remote(num_cpus=1)(run)

    def results(jobs: Sequence[Job]) -> Iterator[Row]:
        pending = [task.remote(*job) for job in jobs]
        while pending:
            ready, pending = ray.wait(pending)
            yield from ray.get(ready)

    try:
        yield results
    except ray.exceptions.RayError as error:
        raise StudyError(f"the Ray cluster failed ({error}): run the same command again to go on") from error
    finally:
        ray.shutdown()

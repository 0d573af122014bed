"""Conducting a study: which runs are still to do, who does them, and one row for each, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from sumnist.batch.pool import start_workers
from sumnist.config import Engine
from sumnist.errors import StudyError
from sumnist.files import make_folder
from sumnist.lab.study.recipe import Recipe
from sumnist.lab.study.rows import Row, open_rows, read_jsonl
from sumnist.lab.study.runs import run
from sumnist.lab.study.variants import Variant

__all__ = ["Job", "conduct", "jobs_of", "read_rows", "repeat"]

FIGURES = {
    **dict.fromkeys(("digit", "sum", "joint", "sum_seen", "sum_unseen", "sum_beyond"), (float, None)),
    "sum_by_number": ([float], None),
}
ROW = {
    "variant": str, "recipe": {"hidden": [int]}, "seed": int, "seconds": float, "curve": [[int, float, float]],
    "weights": str, "validation": FIGURES, "test": FIGURES, "number_singular_values": ([float], None),
    "machine": {"processor": str, "versions": {"torch": str}},
}  # fmt: skip
"""The shape of a row, as far as it is read again."""
Job = tuple[str, Recipe, int]
"""Variant, recipe, seed."""


def jobs_of(variants: Sequence[Variant]) -> list[Job]:
    """Every run of the study, a seed of all variants before the next seed: stopped early, all have as many."""
    count = max((variant.seeds for variant in variants), default=0)
    return [(v.name, v.recipe, seed) for seed in range(count) for v in variants if seed < v.seeds]


def conduct(jobs: Sequence[Job], path: Path, engine: Engine = "local", workers: int = 0, progress: bool = True) -> int:
    """Do the runs of a study that have no row yet, each on one thread, and append their rows as they finish.

    Args:
        jobs: The runs of the whole study.
        path: The file of its rows, in JSON Lines; it and its folder are made if they are not there.
        engine: `local`, the cores of this machine, or `ray`, a Ray cluster.
        workers: The number of runs at once; 0 is one for each core.
        progress: Whether to show a bar.

    Returns:
        How many runs were done.

    Raises:
        StudyError: A line of the file is not a row, a worker process died, or the cluster failed.
        OutputError: The file cannot be written, or another process adds rows to it.
        MissingExtraError: The engine is `ray`, and Ray is not installed.
    """
    make_folder(path.parent)
    with open_rows(path) as rows:
        done = {(row["variant"], Recipe.from_dict(row["recipe"]).key, row["seed"]) for row in read_rows(path)}
        left = [job for job in jobs if (job[0], job[1].key, job[2]) not in done]
        with start_workers(engine, workers, runner, StudyError, ahead=1) as runners, tqdm(
            total=len(jobs), initial=len(jobs) - len(left), desc="study", unit="run", smoothing=0.02,
            disable=None if progress else True,
        ) as bar:  # fmt: skip
            for row in runners.as_they_finish(left):
                rows.add(json.dumps(row))
                bar.update()
                bar.set_postfix_str(f"{row['variant']}, seed {row['seed']}: {row['seconds']:.0f} s")
    return len(left)


def runner() -> Callable[[Job], Row]:
    """The function with which a worker does its jobs."""
    return lambda job: run(*job)


def read_rows(path: Path) -> list[Row]:
    """The rows of a study. Raises `StudyError`."""
    return read_jsonl(path, ROW)


def repeat(path: Path, name: str, seed: int) -> list[str]:
    """Do a run again that has a row.

    Args:
        path: The file of the rows.
        name: The variant of the run.
        seed: Its seed.

    Returns:
        The parts of the row that came out otherwise: none, on the machine and with the versions of the row.

    Raises:
        StudyError: There is no such row.
    """
    rows = [row for row in read_rows(path) if row["variant"] == name and row["seed"] == seed]
    if not rows:
        raise StudyError(f"{path}: no row of {name} with seed {seed}: choose one that is there")
    again = json.loads(json.dumps(run(name, Recipe.from_dict(rows[-1]["recipe"]), seed)))
    return [part for part in ("weights", "curve", "validation", "test") if again[part] != rows[-1][part]]

"""Who reads the chunks of a scoring: the cores of this machine, or those of a Ray cluster. Order in, order out."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from sumnist.config import Engine
from sumnist.environment import core_count
from sumnist.errors import MissingExtraError, ScoreError
from sumnist.inference.reader import Reader, Reading
from sumnist.inference.sources import Row

__all__ = ["Result", "engine_of", "read_rows"]

Result = Reading | str
"""What became of a row: its reading, or the message of what went wrong."""
Results = Callable[[Iterator[list[Row]]], Iterator[tuple[list[Row], list[Result]]]]
"""Chunks in, the same chunks with their results out, in order."""
AHEAD = 3
"""Chunks per worker that are on their way at once: enough to keep it busy, few enough to bound the memory."""


def read_rows(reader: Reader, rows: list[Row]) -> list[Result]:
    """The result of each row."""
    sound = [(row.picture, row.number) for row in rows if row.picture is not None]
    readings = iter(reader.read_each([picture for picture, _ in sound], [number for _, number in sound]))
    return [row.error or "" if row.picture is None else said(next(readings)) for row in rows]


def said(reading: Reading | Exception) -> Result:
    """A reading without its image, which no table holds and no process need send to another."""
    return replace(reading, image=None) if isinstance(reading, Reading) else str(reading)


@contextmanager
def engine_of(name: Engine, model: Path, workers: int = 0) -> Iterator[Results]:
    """The engine `name` with the network of `model`; by default as many workers as there are cores."""
    if name == "ray":
        with ray_engine(model, workers) as results:
            yield results
        return
    count = workers or core_count()
    if count == 1:
        reader = Reader(model)
        yield lambda chunks: ((rows, read_rows(reader, rows)) for rows in chunks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, start_worker, (model,)) as pool:
        try:
            yield lambda chunks: in_order(chunks, lambda rows: pool.submit(work, rows).result, count)
        except BrokenProcessPool as error:
            raise ScoreError(
                "a worker process died, out of memory perhaps: run the same command again to go on, with fewer "
                "--workers"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def in_order(
    chunks: Iterator[list[Row]], start: Callable[[list[Row]], Callable[[], list[Result]]], workers: int
) -> Iterator[tuple[list[Row], list[Result]]]:
    """Each chunk with its results: `start` sets a chunk going and returns what waits for it."""
    under_way: deque[tuple[list[Row], Callable[[], list[Result]]]] = deque()
    for rows in chunks:
        under_way.append((rows, start(rows)))
        if len(under_way) >= AHEAD * workers:
            done, result = under_way.popleft()
            yield done, result()
    for done, result in under_way:
        yield done, result()


READER: list[Reader] = []
"""The reader of this worker process."""


def start_worker(model: Path) -> None:
    """Make this process a worker: load the network."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    READER.append(Reader(model))
    end_with_parent()


def end_with_parent() -> None:
    """End this process when the one that started it does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def work(rows: list[Row]) -> list[Result]:
    """What a worker process does with a chunk."""
    return read_rows(READER[0], rows)


@contextmanager
def ray_engine(model: Path, workers: int) -> Iterator[Results]:
    """Workers on a Ray cluster: the one that RAY_ADDRESS names, or one on this machine."""
    try:
        ray: Any = import_module("ray")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ray", "ray", "--engine ray") from error
    ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    try:
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        kind: Any = ray.remote(num_cpus=1)(RayWorker)
        content = model.read_bytes()
        actors = deque(kind.remote(content) for _ in range(count))

        def start(rows: list[Row]) -> Callable[[], list[Result]]:
            actors.rotate()
            pending = actors[0].read.remote(rows)
            return lambda: ray.get(pending)

        yield lambda chunks: in_order(chunks, start, count)
    except ray.exceptions.RayError as error:
        raise ScoreError(f"the Ray cluster failed ({error}): run the same command again to go on") from error
    finally:
        ray.shutdown()


class RayWorker:
    """A worker on a Ray cluster."""

    def __init__(self, model: bytes) -> None:
        self.reader = Reader(model)

    def read(self, rows: list[Row]) -> list[Result]:
        """The results of a chunk."""
        return read_rows(self.reader, rows)

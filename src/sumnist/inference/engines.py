"""Workers that do many jobs side by side: processes on the cores of this machine, or actors on a Ray cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import connection
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from sumnist.config import Engine
from sumnist.environment import core_count
from sumnist.errors import MissingExtraError, SumnistError

__all__ = ["Workers", "start_workers"]

Job = TypeVar("Job")
Result = TypeVar("Result")
Prepare = Callable[[], Callable[[Job], Result]]
AHEAD = 3
"""Jobs of a worker that are under way at once: enough to keep it busy, few enough to bound the memory."""
RETRIES = 3
"""How often Ray starts a worker that died again, and its job with it: as often as it repeats a plain task."""


@dataclass(frozen=True)
class Workers(Generic[Job, Result]):
    """Workers that are ready. `submit` starts a job; at most `limit` jobs are under way at once."""

    submit: Callable[[Job], Future[Result]]
    limit: int

    def in_order(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Each job with its result, in the order of the jobs, which are taken only as far ahead as the limit allows."""
        under_way: deque[tuple[Job, Future[Result]]] = deque()
        for job in jobs:
            under_way.append((job, self.submit(job)))
            if len(under_way) == self.limit:
                first, future = under_way.popleft()
                yield first, future.result()
        for first, future in under_way:
            yield first, future.result()

    def as_they_finish(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """The result of each job as soon as it is there."""
        under_way: set[Future[Result]] = set()
        for job in jobs:
            if len(under_way) == self.limit:
                finished, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
            under_way.add(self.submit(job))
        yield from (future.result() for future in as_completed(under_way))


@contextmanager
def start_workers(
    engine: Engine, count: int, prepare: Prepare[Job, Result], failure: type[SumnistError], ahead: int = AHEAD
) -> Iterator[Workers[Job, Result]]:
    """Start workers, and stop them at the end.

    Args:
        engine: `local`, the cores of this machine, or `ray`, a Ray cluster: the one that RAY_ADDRESS names, or else one
            on this machine.
        count: The number of workers; 0 is one for each core. One local worker is this process itself.
        prepare: Called once in each worker, to make the function that does its jobs. It must be picklable, like the
            jobs and the results; the function need not.
        failure: The class of the error to raise when workers or cluster fail.
        ahead: The jobs that each worker may have at once; with 1, none waits while another worker is free.

    Raises:
        SumnistError: As `failure`: a worker process died, or the cluster failed. An error of a job is raised as it is.
        MissingExtraError: The engine is `ray`, and Ray is not installed.
    """
    if engine == "ray":
        starting = ray_workers(count, prepare, failure, ahead)
    elif (count or core_count()) == 1:
        starting = this_process(prepare)
    else:
        starting = processes(count or core_count(), prepare, failure, ahead)
    with starting as workers:
        yield workers


@contextmanager
def this_process(prepare: Prepare[Job, Result]) -> Iterator[Workers[Job, Result]]:
    """This process as the only worker, which does a job when it is submitted."""
    work = prepare()

    def submit(job: Job) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_result(work(job))
        return future

    yield Workers(submit, limit=1)


WORK: list[Callable[[Any], Any]] = []
"""The function that does the jobs of this worker process."""


@contextmanager
def processes(
    count: int, prepare: Prepare[Job, Result], failure: type[SumnistError], ahead: int
) -> Iterator[Workers[Job, Result]]:
    """Freshly started processes on this machine."""
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), start_process, (prepare,)) as pool:
        try:
            yield Workers(lambda job: pool.submit(work, job), ahead * count)
        except BrokenProcessPool as error:
            raise failure(
                "a worker process died, out of memory perhaps: run the same command again to go on, with fewer "
                "--workers"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def start_process(prepare: Prepare[Any, Any]) -> None:
    """Make this process a worker, which ends with the process that started it and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (connection.wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    WORK.append(prepare())


def work(job: Any) -> Any:
    """The result of a job, in a worker process."""
    return WORK[0](job)


@contextmanager
def ray_workers(
    count: int, prepare: Prepare[Job, Result], failure: type[SumnistError], ahead: int
) -> Iterator[Workers[Job, Result]]:
    """Actors on a Ray cluster, each of which takes up one of its cores."""
    try:
        ray: Any = import_module("ray")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ray", "ray", "--engine ray") from error
    ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    try:
        count = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        start: Any = ray.remote(num_cpus=1, max_restarts=RETRIES, max_task_retries=RETRIES)(RayWorker).remote
        free: SimpleQueue[Any] = SimpleQueue()  # each actor once for every job that it can still take

        def submit(job: Job) -> Future[Result]:
            actor = free.get()
            future: Future[Result] = actor.do.remote(job).future()
            future.add_done_callback(lambda _: free.put(actor))
            return future

        for actor in ahead * [start(prepare) for _ in range(count)]:
            free.put(actor)
        yield Workers(submit, ahead * count)
    except ray.exceptions.RayError as error:
        raise failure(f"the Ray cluster failed ({error}): run the same command again to go on") from error
    finally:
        ray.shutdown()


class RayWorker:
    """A worker on a Ray cluster."""

    def __init__(self, prepare: Prepare[Any, Any]) -> None:
        self.work = prepare()

    def do(self, job: Any) -> Any:
        """The result of a job."""
        return self.work(job)

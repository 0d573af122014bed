"""Workers that do many jobs side by side: processes on the cores of this machine, or actors on a Ray cluster."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from queue import Empty, SimpleQueue
from subprocess import PIPE, Popen
from typing import Any, Generic, TypeVar

from sumnist.config import Engine
from sumnist.environment import core_count
from sumnist.errors import MissingExtraError, SumnistError

__all__ = ["Workers", "start_workers"]

Job = TypeVar("Job")
Result = TypeVar("Result")
Prepare = Callable[[], Callable[[Job], Result]]
DIED = "a worker process died, out of memory perhaps: run the same command again to go on, with fewer --workers"
BOOT = """
import os, pickle, sys
try:
    sys.path[:] = pickle.load(sys.stdin.buffer)
    from sumnist.inference.engines import be_worker
except BaseException as error:
    try:
        os.write(1, pickle.dumps((None, ImportError(str(error)))))
    finally:
        os._exit(1)
be_worker()
"""
"""What a worker process runs. It imports nothing of the program that started it, which need not guard its main part."""
AHEAD = 3
"""Jobs of a worker that are under way at once: enough to keep it busy, few enough to bound the memory."""
AT_ONCE = 2
"""Jobs that a worker process holds at once: one that it does, and the next."""
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


@contextmanager
def processes(
    count: int, prepare: Prepare[Job, Result], failure: type[SumnistError], ahead: int
) -> Iterator[Workers[Job, Result]]:
    """Freshly started processes on this machine."""
    pool = Pool(count, prepare, failure, min(ahead, AT_ONCE))
    try:
        yield Workers(pool.submit, ahead * count)
    finally:
        pool.close()


class Pool(Generic[Job, Result]):
    """Worker processes, each at the other end of two pipes and tended by a thread of its own.

    They take jobs from one queue, and are started as jobs come, up to `count` of them. The first that dies or cannot
    start ends the pool: what it had and what is in the queue get the error.
    """

    def __init__(self, count: int, prepare: Prepare[Job, Result], failure: type[SumnistError], at_once: int) -> None:
        self.count, self.prepare, self.failure, self.at_once = count, prepare, failure, at_once
        self.jobs: SimpleQueue[tuple[Job, Future[Result]] | None] = SimpleQueue()
        self.processes: list[Popen[bytes]] = []
        self.threads: list[threading.Thread] = []
        self.error: Exception | None = None

    def submit(self, job: Job) -> Future[Result]:
        """Start a job as soon as a worker is free."""
        future: Future[Result] = Future()
        if len(self.processes) < self.count and self.error is None:
            self.start()
        self.jobs.put((job, future))
        if self.error is not None:
            self.fail(self.error)
        return future

    def start(self) -> None:
        """Start a worker, in a session of its own: Ctrl-C is left to this process, with which the worker ends. Raises
        `failure`."""
        try:
            process = Popen([sys.executable, "-P", "-c", BOOT], stdin=PIPE, stdout=PIPE, start_new_session=True)
            self.processes.append(process)
            thread = threading.Thread(target=self.tend, args=(process,), daemon=True)
            thread.start()
            self.threads.append(thread)
        except (OSError, RuntimeError) as error:
            raise self.no_start(error) from error

    def no_start(self, error: Exception) -> SumnistError:
        """What to raise for what has kept a worker from starting."""
        if isinstance(error, SumnistError):
            return error
        why = str(error) or type(error).__name__
        return self.failure(
            f"a worker process cannot start ({why}): run the same command again to go on, with fewer --workers"
        )

    def tend(self, process: Popen[bytes]) -> None:
        """Give a worker its jobs and their futures what comes of them, until it or the pool ends."""
        under_way: deque[Future[Result]] = deque()
        try:
            with suppress(BrokenPipeError):  # it may have said why
                send(process.stdin, sys.path)
                send(process.stdin, self.prepare)
            _, error = receive(process.stdout)
            if error is not None:
                raise self.no_start(error)
            while True:
                while len(under_way) < self.at_once and (taken := self.take(wait=not under_way)) is not None:
                    under_way.append(taken[1])
                    send(process.stdin, taken[0])
                if not under_way:
                    return
                result, error = receive(process.stdout)
                future = under_way.popleft()
                future.set_result(result) if error is None else future.set_exception(error)
        except (OSError, EOFError, pickle.UnpicklingError):
            self.fail(self.failure(DIED), under_way)
        except Exception as error:
            self.fail(error, under_way)

    def take(self, wait: bool) -> tuple[Job, Future[Result]] | None:
        """The next job; None if there is none, after which, where it was waited for, there will never be one."""
        try:
            taken = self.jobs.get(wait)
        except Empty:
            return None
        if taken is None:
            self.jobs.put(None)  # for the next one who asks
        return taken

    def fail(self, error: Exception, under_way: Iterable[Future[Result]] = ()) -> None:
        """Give this error to the futures of a worker, and to all that are in the queue or still to come."""
        self.error = error
        for future in under_way:
            future.set_exception(error)
        while (taken := self.take(wait=False)) is not None:
            taken[1].set_exception(error)

    def close(self) -> None:
        """End the workers, whatever they are at."""
        self.jobs.put(None)
        for process in self.processes:
            process.kill()
        for thread in self.threads:
            thread.join()
        for process in self.processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was still to be sent
                    pipe.close()  # type: ignore[union-attr]


def send(pipe: Any, value: Any) -> None:
    """Write a value whole. Raises `OSError` if nobody is at the other end."""
    pipe.write(pickle.dumps(value))
    pipe.flush()


def receive(pipe: Any) -> Any:
    """The next value. Raises `EOFError` or `UnpicklingError` if nobody is at the other end."""
    return pickle.load(pipe)


def be_worker() -> None:
    """Do jobs for the process at the other end of the pipes, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    jobs: SimpleQueue[Any] = SimpleQueue()

    def reply(result: Any, error: Exception | None = None) -> None:
        try:
            send(replies, (result, error and picklable(error)))
        except OSError:
            os._exit(1)

    def take_jobs() -> None:
        try:
            while True:
                jobs.put(receive(sys.stdin.buffer))
        finally:
            os._exit(1)

    try:
        work = receive(sys.stdin.buffer)()
    except Exception as error:
        return reply(None, error)
    reply(None)
    threading.Thread(target=take_jobs, daemon=True).start()
    while True:
        try:
            result = work(jobs.get())
        except Exception as error:
            reply(None, error)
        else:
            reply(result)


def picklable(error: Exception) -> Exception:
    """The error, or one of its message if it does not come through a pipe."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return (SumnistError if isinstance(error, SumnistError) else RuntimeError)(str(error))
    return error


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

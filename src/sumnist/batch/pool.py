"""Runs many jobs in parallel workers: processes on the cores of this machine, or actors on a Ray cluster."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from queue import SimpleQueue
from subprocess import PIPE, Popen
from typing import Any, Generic, TypeVar

from sumnist.config import Engine
from sumnist.environment import core_count
from sumnist.errors import MissingExtraError, SumnistError

Job = TypeVar("Job")
Result = TypeVar("Result")
Prepare = Callable[[], Callable[[Job], Result]]
BOOT = """
import os, pickle, sys
try:
    sys.path[:] = pickle.load(sys.stdin.buffer)
    from sumnist.batch.pool import be_worker
except BaseException as error:
    try:
        os.write(1, pickle.dumps((None, ImportError(str(error)))))
    finally:
        os._exit(1)
be_worker()
"""
"""The code of a worker process. It does not import the program that started it, so this program needs no
`if __name__ == "__main__"`."""
AHEAD = 3
"""How many jobs each worker has under way at once: enough to keep it busy, few enough to bound the memory."""
RETRIES = 3
"""How often Ray restarts a worker that died and repeats its job. Ray repeats a plain task as often."""


@dataclass(frozen=True)
class Workers(Generic[Job, Result]):
    """A pool of workers that are ready.

    Attributes:
        submit: Starts a job.
        limit: How many jobs are under way at once, at most.
    """

    submit: Callable[[Job], Future[Result]]
    limit: int

    def in_order(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Each job with its result, in the order of the jobs. At most `limit` jobs are taken in advance."""
        under_way: deque[tuple[Job, Future[Result]]] = deque()
        for job in jobs:
            under_way.append((job, self.submit(job)))
            if len(under_way) == self.limit:
                first, future = under_way.popleft()
                yield first, future.result()
        for first, future in under_way:
            yield first, future.result()

    def as_they_finish(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """The results of the jobs, each as soon as it is there, in any order."""
        under_way: set[Future[Result]] = set()
        for job in jobs:
            if len(under_way) == self.limit:
                finished, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
            under_way.add(self.submit(job))
        yield from (future.result() for future in as_completed(under_way))


def start_workers(
    engine: Engine, count: int, prepare: Prepare[Job, Result], failure: type[SumnistError], ahead: int = AHEAD
) -> AbstractContextManager[Workers[Job, Result]]:
    """Start workers, and stop them at the end.

    Args:
        engine: `local`, the cores of this machine; or `ray`, the Ray cluster that RAY_ADDRESS names, or else a cluster
            on this machine.
        count: The number of workers; 0 is one for each core. A single local worker is this process itself.
        prepare: Called once in each worker, to make the function that does its jobs. `prepare`, jobs and results must
            be picklable; the function need not be.
        failure: The class of the error to raise when workers or the cluster fail.
        ahead: How many jobs each worker may have at once. With 1, no job waits while another worker is free.

    Raises:
        SumnistError: A worker process died, or the cluster failed. The error is of the class `failure`. The error of a
            job is raised as it is.
        MissingExtraError: The engine is `ray`, and Ray is not installed.
    """
    if engine == "ray":
        return ray_workers(count, prepare, failure, ahead)
    count = count or core_count()
    return this_process(prepare) if count == 1 else processes(count, prepare, failure, ahead)


@contextmanager
def this_process(prepare: Prepare[Job, Result]) -> Iterator[Workers[Job, Result]]:
    """This process as the only worker; it does a job when the job is submitted."""
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
    """Fresh processes on this machine. Each has a thread of its own, and starts at its first job. If one process dies
    or cannot start, its error ends all: the jobs under way and all later ones get this error."""
    own, lock = threading.local(), threading.Lock()
    workers: list[Worker[Job, Result]] = []
    ended: list[SumnistError] = []

    def start() -> Worker[Job, Result]:
        try:
            with lock:
                if ended:
                    raise ended[0]
                worker: Worker[Job, Result] = Worker()
                workers.append(worker)
            worker.start(prepare)
        except SumnistError as error:
            ended.append(error)
            raise
        return worker

    def do(job: Job) -> Result:
        try:
            if ended:
                raise ended[0]
            if not hasattr(own, "worker"):
                own.worker = start()
            result: Result = own.worker.ask(job)
        except WorkerError as error:
            ended.append(failure(f"{error}: run the same command again to go on, with fewer --workers"))
            raise ended[0] from error
        return result

    threads = ThreadPoolExecutor(count)
    try:
        yield Workers(lambda job: threads.submit(do, job), ahead * count)
    finally:
        with lock:
            ended.append(failure("the workers have ended"))
            for worker in workers:
                worker.kill()
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            worker.close()


class WorkerError(Exception):
    """A worker process cannot start, or has died."""


class Worker(Generic[Job, Result]):
    """A process that does one job at a time, at the other end of two pipes. It ends when this process ends. It has a
    session of its own, so that Ctrl-C reaches this process only. Raises `WorkerError` if it cannot be started."""

    def __init__(self) -> None:
        try:
            self.process = Popen([sys.executable, "-P", "-c", BOOT], stdin=PIPE, stdout=PIPE, start_new_session=True)
        except OSError as error:
            raise WorkerError(f"a worker process cannot start ({error})") from error

    def start(self, prepare: Prepare[Job, Result]) -> None:
        """Call `prepare` in the process, and wait until it can do jobs. Raises `WorkerError`, or a `SumnistError` of
        `prepare`."""
        try:
            with suppress(BrokenPipeError):  # the process may have said why it ended
                send(self.process.stdin, sys.path)
                send(self.process.stdin, prepare)
            self.answer()
        except (SumnistError, WorkerError):
            raise
        except Exception as error:
            raise WorkerError(f"a worker process cannot start ({str(error) or type(error).__name__})") from error

    def ask(self, job: Job) -> Result:
        """Do a job: return its result, or raise its error. Raises `WorkerError` if the process has died."""
        with suppress(BrokenPipeError):  # there is no answer then, which raises WorkerError
            send(self.process.stdin, job)
        result: Result = self.answer()
        return result

    def answer(self) -> Any:
        """The next answer of the process. If the answer is an error, it is raised."""
        try:
            result, error = pickle.load(self.process.stdout)  # type: ignore[arg-type]
        except (OSError, EOFError, pickle.UnpicklingError) as gone:
            raise WorkerError("a worker process died, out of memory perhaps") from gone
        if error is not None:
            raise error
        return result

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self.process.kill()

    def close(self) -> None:
        """End the process, and close its pipes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # some data may still be unsent
                pipe.close()  # type: ignore[union-attr]


def send(pipe: Any, value: Any) -> None:
    """Write a pickled value to a pipe. Raises `OSError` if nobody is at the other end."""
    pipe.write(pickle.dumps(value))
    pipe.flush()


def be_worker() -> None:
    """Do jobs for the process at the other end of the pipes, until that process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # text that a library prints must not mix with the replies
    jobs: SimpleQueue[Any] = SimpleQueue()

    def reply(result: Any, error: Exception | None = None) -> None:
        try:
            send(replies, (result, error and picklable(error)))
        except OSError:
            os._exit(1)

    def take_jobs() -> None:
        try:
            while True:
                jobs.put(pickle.load(sys.stdin.buffer))
        finally:
            os._exit(1)

    try:
        work = pickle.load(sys.stdin.buffer)()
    except Exception as error:
        return reply(None, error)
    reply(None)
    threading.Thread(target=take_jobs, daemon=True).start()
    while True:
        try:
            reply(work(jobs.get()))
        except Exception as error:
            reply(None, error)


def picklable(error: Exception) -> Exception:
    """The error itself, if it can be pickled; otherwise another error with its message."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return (SumnistError if isinstance(error, SumnistError) else RuntimeError)(str(error))
    return error


@contextmanager
def ray_workers(
    count: int, prepare: Prepare[Job, Result], failure: type[SumnistError], ahead: int
) -> Iterator[Workers[Job, Result]]:
    """Actors on a Ray cluster. Each takes up one of the cluster's cores."""
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

"""Runs many jobs in parallel workers: processes on the cores of this machine, or actors on a Ray cluster.

One pool serves batches and the server. Its processes do not import the program that started them, say which picture
they read, and are replaced one by one when they die or are killed. The executors of the standard library do none of
that: one death fails all their jobs, and no process can be stopped alone.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from queue import SimpleQueue
from subprocess import PIPE, Popen
from typing import IO, Any, Generic, TypeVar

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
STARTS, PAUSE = 3, 1.0
"""How often a worker process is started before the pool gives up, and the seconds after a start that failed."""
BLAS_THREADS = "OPENBLAS_NUM_THREADS"
"""The environment variable with the number of threads of NumPy's linear algebra."""
REPLIES: list[IO[bytes]] = []
"""In a worker process, the pipe for its answers."""
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


@contextmanager
def start_workers(
    engine: Engine, count: int, prepare: Prepare[Job, Result], failure: type[SumnistError]
) -> Iterator[Workers[Job, Result]]:
    """Start workers, and stop them at the end.

    Args:
        engine: `local`, the cores of this machine; or `ray`, the Ray cluster that RAY_ADDRESS names, or else a cluster
            on this machine.
        count: The number of workers; 0 is one for each core. A single local worker is this process itself.
        prepare: Called once in each worker, to make the function that does its jobs. `prepare`, jobs and results must
            be picklable; the function need not be.
        failure: The class of the error to raise when workers or the cluster fail.

    Raises:
        SumnistError: A worker process died, or the cluster failed. The error is of the class `failure`. The error of a
            job is raised as it is.
        MissingExtraError: The engine is `ray`, and Ray is not installed.
    """
    if engine == "ray":
        with ray_workers(count, prepare, failure) as workers:
            yield workers
    elif (count := count or core_count()) == 1:
        work = prepare()

        def submit(job: Job) -> Future[Result]:
            future: Future[Result] = Future()
            future.set_result(work(job))
            return future

        yield Workers(submit, limit=1)
    else:

        def ended(error: WorkerError) -> SumnistError:
            return failure(f"{error}: run the same command again to go on, with fewer --workers")

        with closing(Pool(count, prepare, ended)) as pool:
            yield Workers(pool.submit, AHEAD * count)


class WorkerError(Exception):
    """A worker process cannot start, or has died."""


class Task(Future[Result]):
    """A job of a pool, as the future of its result. `worker` does it, unless it is `stopped`. The `job` is forgotten as
    soon as nobody needs it."""

    worker: Worker | None = None
    stopped = False

    def __init__(self, job: Any) -> None:
        super().__init__()
        self.job = job

    def cancel(self) -> bool:
        """Give up the job if it has not begun; returns whether it had not."""
        cancelled = super().cancel()
        self.job = None if cancelled else self.job
        return cancelled


class Pool(Generic[Job, Result]):
    """`count` processes, each kept by a thread. If a process dies, its job fails with a `WorkerError` that names the
    picture which was read, another process takes its place, and all other jobs go on.

    Args:
        count: How many processes there are at most.
        prepare: As for `start_workers`.
        ended: Makes the error for a job from a `WorkerError`.

    Attributes:
        failure: Why the pool does no more jobs: no process can start. None while it works.
    """

    def __init__(
        self, count: int, prepare: Prepare[Job, Result], ended: Callable[[WorkerError], Exception] = lambda error: error
    ) -> None:
        self.failure: Exception | None = None
        self._count, self._prepare, self._ended = count, prepare, ended
        self._tasks: SimpleQueue[Task[Result] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._workers: set[Worker] = set()
        self._lock = threading.Lock()

    def submit(self, job: Job | None) -> Task[Result]:
        """Start a job. None does nothing, as soon as a process is ready."""
        task: Task[Result] = Task(job)
        with self._lock:
            self._tasks.put(task)
            if len(self._threads) < self._count and self.failure is None:
                self._threads.append(threading.Thread(target=self._keep, daemon=True))
                self._threads[-1].start()
        return task

    def stop(self, task: Task[Result]) -> None:
        """Give up a job; if a process does it, the process is killed."""
        task.stopped = True
        if not task.cancel() and task.worker is not None:
            task.worker.process.kill()

    def close(self) -> None:
        """End all processes, whatever they do; jobs that are not done fail."""
        with self._lock:
            self.failure = self.failure or self._ended(WorkerError("the workers have ended"))
            for worker in self._workers:
                worker.process.kill()
            for _ in self._threads:
                self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.close()

    def _keep(self) -> None:
        """Keep a process, and give it one job after another."""
        worker = self._living(None)
        while (task := self._tasks.get()) is not None:
            if not task.set_running_or_notify_cancel():
                continue
            job, task.job = task.job, None
            worker = self._living(worker)
            result: Any = None
            error: Exception | None = self.failure
            if worker is not None and error is None:
                task.worker = worker
                if task.stopped:
                    worker.process.kill()
                try:
                    result, error = (None, None) if job is None else worker.ask(job)
                except Exception as died:  # the process is dead, or there is no memory for the job or its result
                    worker.kill()
                    error = self.failure or (self._ended(died) if isinstance(died, WorkerError) else died)
                    error = error.with_traceback(None)  # which would hold the job
            if error is not None:
                task.set_exception(error)
            else:
                task.set_result(result)
            del job, task, error  # or they would be held until the next job
            worker = self._living(worker)

    def _living(self, worker: Worker | None) -> Worker | None:
        """The worker if it lives, or else one that has taken its place; None if none can start."""
        if worker is not None and worker.process.poll() is None:
            return worker
        if worker is not None:
            with self._lock:
                self._workers.discard(worker)
            worker.close()
        for left in reversed(range(STARTS)):
            try:
                with self._lock:
                    if self.failure is not None:
                        return None
                    self._workers.add(worker := Worker())
                worker.start(self._prepare)
                return worker
            except SumnistError as error:  # what the prepared function says of itself
                self.failure = self.failure or error
            except WorkerError as error:
                if not left:
                    self.failure = self.failure or self._ended(error)
                time.sleep(PAUSE if left else 0)
        return None


class Worker:
    """A process that does one job at a time, at the other end of two pipes. It ends when this process ends. It has a
    session of its own, so that Ctrl-C reaches this process only. Raises `WorkerError` if it cannot be started.

    Attributes:
        picture: What the process says that it reads now.
    """

    def __init__(self) -> None:
        self.picture = ""
        environment = {BLAS_THREADS: "1"} | os.environ  # the processes share the cores already
        command = [sys.executable, "-P", "-c", BOOT]
        try:
            self.process = Popen(command, stdin=PIPE, stdout=PIPE, start_new_session=True, env=environment)
        except Exception as error:  # no more processes, or no memory for one
            raise WorkerError(f"a worker process cannot start ({error})") from error

    def start(self, prepare: Callable[[], Any]) -> None:
        """Call `prepare` in the process, and wait until it can do jobs. Raises `WorkerError`, or a `SumnistError` of
        `prepare`."""
        try:
            with suppress(BrokenPipeError):  # the process may have said why it ended
                send(self.process.stdin, sys.path)
                send(self.process.stdin, prepare)
            _, error = self.answer()
        except WorkerError:
            raise
        except Exception as unsent:
            error = unsent
        if isinstance(error, SumnistError):
            raise error
        if error is not None:
            raise WorkerError(f"a worker process cannot start ({str(error) or type(error).__name__})") from error

    def ask(self, job: Any) -> tuple[Any, Exception | None]:
        """Do a job: its result, and its error or None. Raises `WorkerError` if the process dies."""
        with suppress(BrokenPipeError):  # there is no answer then, which raises WorkerError
            send(self.process.stdin, job)
        return self.answer()

    def answer(self) -> tuple[Any, Exception | None]:
        """The next answer of the process: a result, and an error or None. Raises `WorkerError`."""
        self.picture = ""
        try:
            while isinstance(answer := pickle.load(self.process.stdout), str):  # type: ignore[arg-type]
                self.picture = answer
        except (OSError, EOFError, pickle.UnpicklingError) as gone:
            self.kill()
            about = f"{self.picture}: the worker process that read it died" if self.picture else "a worker process died"
            raise WorkerError(f"{about}, out of memory perhaps") from gone
        result, error = answer
        return result, error

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the process, and close its pipes."""
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # some data may still be unsent
                pipe.close()  # type: ignore[union-attr]


def send(pipe: Any, value: Any) -> None:
    """Write a pickled value to a pipe. Raises `OSError` if nobody is at the other end."""
    pipe.write(pickle.dumps(value))
    pipe.flush()


def reads(picture: str) -> None:
    """Tell the pool of this process which picture is read now, so that the error names it if the process dies of it."""
    if REPLIES:
        send(REPLIES[0], picture)


def be_worker() -> None:
    """Do jobs for the process at the other end of the pipes, until that process ends."""
    for name in (signal.SIGINT, signal.SIGTERM):  # they may go to all processes; the other end kills this one
        signal.signal(name, signal.SIG_IGN)
    REPLIES.append(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # text that a library prints must not mix with the replies
    jobs: SimpleQueue[Any] = SimpleQueue()

    def reply(result: Any, error: Exception | None = None) -> None:
        try:
            send(REPLIES[0], (result, error and picklable(error)))
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
    count: int, prepare: Prepare[Job, Result], failure: type[SumnistError]
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

        for actor in AHEAD * [start(prepare) for _ in range(count)]:
            free.put(actor)
        yield Workers(submit, AHEAD * count)
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

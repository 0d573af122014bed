"""Runs jobs in worker processes, with a bounded queue and a time limit for each job.

A process does one job at a time. If it dies or takes too long, it is replaced, and the jobs of other processes go on.
No executor of a library does that: under `concurrent.futures` one death fails all jobs, and no process can be stopped
alone. The worker processes that score pictures (`sumnist.batch.pool`) work in another way. If one of them dies, the run
ends, and the next run continues from the table. They get jobs ahead, and no client waits for a single job.

This module loads nothing that can be missing. So if a library or memory is lacking, a process can still report in one
line why it cannot work.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from sumnist.errors import ServeError
from sumnist.serve.problems import HIDDEN, Problem

LOG = logging.getLogger("sumnist.serve")
LENGTH = 8
"""How many bytes in front of a message hold its length."""
BLAS_THREADS = "OPENBLAS_NUM_THREADS"
"""The environment variable with the number of threads of NumPy's linear algebra."""
HOLD = 1.0
"""Seconds for which a request waits for room before it is refused: without the wait, clients that ask again at once
would take the processor from the processes that read."""
MOST_FAILURES = 3
"""How many starts in a row may fail before the pool gives up."""
PAUSE = 1.0
"""Seconds between a failed start and the next one."""
END = 2.0
"""Seconds that a process has to end after its connection is closed."""


@dataclass(frozen=True)
class Fault:
    """A fault that no request should cause: a line, or a traceback, for the log."""

    text: str


def framed(message: Any) -> bytes:
    """The bytes of a message: its pickle, with its length before it."""
    data = pickle.dumps(message)
    return len(data).to_bytes(LENGTH) + data


def work(connection: socket.socket, prepare: bytes) -> None:
    """Run a process: answer each message on `connection` until the other side closes it.

    First it sends None, or a `Fault` if it cannot work. `prepare` is a pickled function that returns the function that
    does the jobs.
    """
    for sig in (signal.SIGINT, signal.SIGTERM):  # the server handles them, and closes the connection when it ends
        signal.signal(sig, signal.SIG_IGN)
    try:
        with connection, connection.makefile("rb") as stream:
            try:
                answer_to, fault = pickle.loads(prepare)(), None
            except Exception as error:
                fault = Fault(str(error) or repr(error))
            connection.sendall(framed(fault))
            while not fault and len(length := stream.read(LENGTH)) == LENGTH:
                connection.sendall(framed(answer_to(pickle.loads(stream.read(int.from_bytes(length))))))
    except (MemoryError, ConnectionError):  # no memory for a message, or no server; the server notices the end
        sys.exit(1)


class Pool:
    """`count` processes and a queue of at most `queue` jobs. Each job has `seconds` from the moment it joins the queue.
    `prepare` is pickled. Called in a process, it returns the function that does the jobs.

    Attributes:
        failure: Why the pool does no more jobs; None while it works.
    """

    def __init__(self, count: int, queue: int, seconds: float, prepare: Callable[[], Callable[[Any], Any]]) -> None:
        self._seconds, self._prepare = seconds, pickle.dumps(prepare)
        self._count, self._room = count, count + queue
        self._taken = 0
        self._free: asyncio.LifoQueue[Process] = asyncio.LifoQueue()  # the last one to work has the warmest caches
        self._keepers: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[Any]] = set()
        self._failures = 0
        self._first: asyncio.Future[None] | None = None
        self.failure: ServeError | None = None

    async def start(self) -> None:
        """Start the processes, and return when the first of them can work. Raises `ServeError` if none can."""
        if self._first is None:
            loop = asyncio.get_running_loop()
            self._first = loop.create_future()
            self._keepers = {loop.create_task(self._keep_one(self._first)) for _ in range(self._count)}
        await self._first

    async def room(self) -> None:
        """Return when there is room for a job. Raises `Problem` if there is still none after a moment."""
        if self._taken >= self._room:
            await asyncio.sleep(HOLD)
            if self._taken >= self._room:
                raise Problem("busy", f"{self._room} requests are being read or wait already: try again in a second")

    async def run(self, job: Any, name: str) -> Any:
        """Run a job; the log calls it `name`. A job that is cancelled while it waits is given up.

        Returns:
            The result of the process's function.

        Raises:
            Problem: The function returned a `Problem` or a `Fault`, there is no room, or the time is over.
        """
        await self.room()
        self._taken += 1
        end = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(end):
                while (process := await self._free.get()).lost.is_set():
                    pass
            # do not wait again before the process has its job: the process would be lost
            asking = asyncio.create_task(self._ask(process, job, end))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
            answer = await asyncio.shield(asking)  # if the client leaves now, the job goes on
        except TimeoutError:
            answer = self._too_late()
        finally:
            self._taken -= 1
        if isinstance(answer, Fault):
            LOG.error("%s failed: %s", name, answer.text)
            raise Problem("internal", HIDDEN)
        if isinstance(answer, Problem):
            raise copy(answer)  # a copy: else this frame and the error's traceback hold each other and the job
        return answer

    async def _ask(self, process: Process, job: Any, end: float) -> Any:
        """The answer of a free process to a job. Then the process is free again; if it takes too long, it is killed."""
        try:
            async with asyncio.timeout_at(end):
                answer = await process.ask(job)
        except TimeoutError:
            process.child.kill()
            return self._too_late()
        self._free.put_nowait(process)
        return answer

    def _too_late(self) -> Problem:
        detail = f"no reading within {self._seconds:g} seconds: try again, or with smaller or fewer pictures"
        return Problem("reading-timeout", detail)

    async def close(self) -> None:
        """End all processes."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep_one(self, first: asyncio.Future[None]) -> None:
        """Start a process, and another one whenever it has died; give up if several starts in a row fail."""
        while self.failure is None:
            try:
                process = Process(self._prepare)
                try:
                    fault = await process.start()
                    if fault is None:
                        self._failures = 0
                        self._free.put_nowait(process)
                        if not first.done():
                            first.set_result(None)
                        await process.lost.wait()
                finally:
                    await process.end()
            except OSError as error:  # no more processes, or no memory for one
                fault = Fault(str(error))
            if fault is None:
                code = process.child.exitcode or 0
                fate = f"was ended by signal {-code}" if code < 0 else f"exited with {code}"
                LOG.error("a process that reads %s; another one takes its place", fate)
                continue
            self._failures += 1
            if self._failures < MOST_FAILURES:
                if first.done():
                    LOG.error("a process that reads could not start (%s); another one is tried", fault.text)
                await asyncio.sleep(PAUSE)
                continue
            self.failure = ServeError(f"no process that reads can start: {fault.text}")
            if not first.done():
                first.set_exception(self.failure)


class Process(asyncio.Protocol):
    """A worker process, and the server's end of its connection: one job goes in, then its answer comes out.

    Attributes:
        lost: Set when the connection is closed, because the process has died or been killed.

    Raises `OSError` if there are no more sockets.
    """

    def __init__(self, prepare: bytes) -> None:
        self.lost = asyncio.Event()
        self._received = bytearray()
        self._answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None
        self._ours, self._theirs = socket.socketpair()
        self.child = multiprocessing.get_context("spawn").Process(target=work, args=(self._theirs, prepare))

    async def start(self) -> Fault | None:
        """Start the process; returns why it cannot work, or None if it can. Raises `OSError`."""
        os.environ.setdefault(BLAS_THREADS, "1")  # the processes share the cores already
        with self._theirs:
            self.child.start()
        self._transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: self, self._ours)
        fault: Fault | None = await self._answer
        return fault

    async def ask(self, job: Any) -> Any:
        """The process's answer to a job. The next job must wait for it."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(framed(job))
        return await self._answer

    async def end(self) -> None:
        """Close the connection, so that the process ends by itself; kill it if it does not."""
        (self._transport or self._ours).close()
        if self.child.pid is None:  # it never started
            return
        await asyncio.to_thread(self.child.join, END)
        if self.child.is_alive():
            self.child.kill()
            await asyncio.to_thread(self.child.join)

    def data_received(self, data: bytes) -> None:
        """Collect the bytes of an answer."""
        self._received += data
        size = len(self._received) - LENGTH
        if size >= 0 and size == int.from_bytes(self._received[:LENGTH]):
            answer = pickle.loads(memoryview(self._received)[LENGTH:])
            self._received = bytearray()
            if not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the process has ended."""
        self.lost.set()
        if not self._answer.done():
            self._answer.set_result(Fault("the process that was to do it died"))

"""Processes that work, a bounded queue before them, and a time limit for each job.

A process does one job at a time. One that dies is replaced, and so is one that takes too long; the jobs of others are
not touched. No executor of a library does that: under `concurrent.futures` one death fails all jobs, and no process can
be stopped alone. The workers of a scoring (`sumnist.batch.pool`) share nothing but the shape: there one death
ends the run, which goes on from its table, jobs are handed out ahead, and nobody waits for a single one.

The module loads nothing that can be missing, so that whatever keeps a process from working, a library or memory, is
told to the server in a line.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
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
"""Bytes that tell how long a message is, before it."""
HOLD = 1.0
"""Seconds for which a request waits for room before it is refused: clients that ask again at once would otherwise take
the processor from those that read."""
MOST_FAILURES = 3
"""Starts in a row that fail before no more are tried."""
PAUSE = 1.0
"""Seconds between a start that failed and the next one."""
END = 2.0
"""Seconds that a process has to end when its connection is closed."""


@dataclass(frozen=True)
class Fault:
    """What went wrong that no request should cause: a line, or a traceback, for the log."""

    text: str


def framed(message: Any) -> bytes:
    """The bytes of a message: its pickle, with its length before it."""
    data = pickle.dumps(message)
    return len(data).to_bytes(LENGTH) + data


def work(connection: socket.socket, prepare: bytes) -> None:
    """Run a process: answer each message on `connection` until the other side closes it.

    The first thing that it sends is None, or the `Fault` for which it cannot work. `prepare` is the pickled function
    that makes the one that does its jobs.
    """
    for sig in (signal.SIGINT, signal.SIGTERM):  # they are the server's, which closes the connection at its end
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
    except (MemoryError, ConnectionError):  # no room for a message, or nobody there; the server notices the end
        sys.exit(1)


class Pool:
    """`count` processes and a queue of at most `queue` jobs, each of which has `seconds` from the moment it joins.
    `prepare` makes, in a process, the function that does its jobs; it is pickled.

    Attributes:
        failure: Why no job will be done any more; None while they are.
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
        """Return when there is room for a job. Raises `Problem` if there is none in a moment either."""
        if self._taken >= self._room:
            await asyncio.sleep(HOLD)
            if self._taken >= self._room:
                raise Problem("busy", f"{self._room} requests are being read or wait already: try again in a second")

    async def run(self, job: Any, name: str) -> Any:
        """Have a job done; `name` stands for it in the log. One that is cancelled while it waits is given up.

        Returns:
            What the function of a process returns, if it is no `Problem` or `Fault`.

        Raises:
            Problem: The job's own, or that there is no room, or that its time is over.
        """
        await self.room()
        self._taken += 1
        end = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(end):
                while (process := await self._free.get()).lost.is_set():
                    pass
            # no other wait before the process has its job: it would be lost
            asking = asyncio.create_task(self._ask(process, job, end))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
            answer = await asyncio.shield(asking)  # a client that goes away now does not stop it
        except TimeoutError:
            answer = self._too_late()
        finally:
            self._taken -= 1
        if isinstance(answer, Fault):
            LOG.error("%s failed: %s", name, answer.text)
            raise Problem("internal", HIDDEN)
        if isinstance(answer, Problem):
            raise copy(answer)  # this frame would hold the error, whose traceback holds the frame, and so the job
        return answer

    async def _ask(self, process: Process, job: Any, end: float) -> Any:
        """What a free process answers, which is free again then, or replaced if it takes too long."""
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
        """Start a process, and another one whenever it has died; give up if several in a row cannot work."""
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
    """A process that works, and the server's end of the connection to it: one job at a time, then its answer.

    Attributes:
        lost: Set when the connection is closed, because the process has died or been killed.

    Raises `OSError` where there are no more sockets.
    """

    def __init__(self, prepare: bytes) -> None:
        self.lost = asyncio.Event()
        self._received = bytearray()
        self._answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None
        self._ours, self._theirs = socket.socketpair()
        self.child = multiprocessing.get_context("spawn").Process(target=work, args=(self._theirs, prepare))

    async def start(self) -> Fault | None:
        """Start it; why it cannot work, None if it can. Raises `OSError`."""
        with self._theirs:
            self.child.start()
        self._transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: self, self._ours)
        fault: Fault | None = await self._answer
        return fault

    async def ask(self, job: Any) -> Any:
        """What it answers. It must have answered before the next job."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(framed(job))
        return await self._answer

    async def end(self) -> None:
        """Close the connection, at which it ends by itself, and kill it if it does not."""
        (self._transport or self._ours).close()
        if self.child.pid is None:  # it never began
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
        """Note that it has ended."""
        self.lost.set()
        if not self._answer.done():
            self._answer.set_result(Fault("the process that was to do it died"))

"""Processes that read, a bounded queue before them, and a time limit for each request.

A process reads one request at a time. One that dies is replaced, and so is one that takes too long; the requests that
others read are not touched.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import pickle
import socket
from contextlib import ExitStack
from copy import copy
from functools import partial
from multiprocessing.context import SpawnProcess
from typing import Any

from sumnist.errors import ServeError
from sumnist.serve.messages import LENGTH, Fault, begin, framed
from sumnist.serve.problems import HIDDEN, Problem
from sumnist.serve.reading import Answer, Job, Load, answering

__all__ = ["Pool"]

LOG = logging.getLogger("sumnist.serve")
HOLD = 1.0
"""Seconds for which a request waits for room before it is refused: clients that ask again at once would otherwise take
the processor from those that read."""
MOST_FAILURES = 3
"""Starts in a row that fail before no more are tried."""
PAUSE = 1.0
"""Seconds between a start that failed and the next one."""
END = 2.0
"""Seconds that a process has to end when its connection is closed."""


class Pool:
    """`count` processes and a queue of at most `queue` requests, each of which has `seconds` from the moment it joins.

    Attributes:
        failure: Why there will be no readings any more; None while there will.
    """

    def __init__(self, count: int, queue: int, seconds: float, load: Load) -> None:
        self._seconds, self._load = seconds, load
        self._count, self._room = count, count + queue
        self._taken = 0
        self._free: asyncio.LifoQueue[Process] = asyncio.LifoQueue()  # the last one to read has the warmest caches
        self._keepers: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[Answer | Problem | Fault]] = set()
        self._failures = 0
        self._first: asyncio.Future[None] | None = None
        self.failure: ServeError | None = None

    async def start(self) -> None:
        """Start the processes, and return when the first of them can read. Raises `ServeError` if none can."""
        if self._first is None:
            loop = asyncio.get_running_loop()
            self._first = loop.create_future()
            self._keepers = {loop.create_task(self._keep_one()) for _ in range(self._count)}
        await self._first

    async def room(self) -> None:
        """Return when there is room for a request. Raises `Problem` if there is none in a moment either."""
        if self._taken >= self._room:
            await asyncio.sleep(HOLD)
            if self._taken >= self._room:
                raise Problem("busy", f"{self._room} requests are being read or wait already: try again in a second")

    async def run(self, job: Job) -> Answer:
        """The answer to a job. One that is cancelled while it waits is given up.

        Raises `Problem`: the request's own, or that there is no room, or that its time is over.
        """
        await self.room()
        self._taken += 1
        end = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(end):
                process = await self._free_process()  # no other wait before it has its job: it would be lost
            asking = asyncio.create_task(self._ask(process, job, end))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
            answer = await asyncio.shield(asking)  # a client that goes away now does not stop it
        except TimeoutError:
            answer = self._too_late()
        finally:
            self._taken -= 1
        if isinstance(answer, Fault):
            LOG.error("%s failed: %s", job.path, answer.text)
            raise Problem("internal", HIDDEN)
        if isinstance(answer, Problem):
            raise copy(answer)  # this frame would hold the error, whose traceback holds the frame, and so the body
        return answer

    async def _ask(self, process: Process, job: Job, end: float) -> Answer | Problem | Fault:
        """What a free process answers, which is free again then, or replaced if it takes too long."""
        try:
            async with asyncio.timeout_at(end):
                answer = await process.ask(job)
        except TimeoutError:
            process.kill()
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

    async def _free_process(self) -> Process:
        """A process that is alive and has nothing to do."""
        while (process := await self._free.get()).lost.is_set():
            pass
        return process

    async def _keep_one(self) -> None:
        """Start a process, and another one whenever it has died; no more if several in a row could not read."""
        assert self._first is not None
        while self.failure is None:
            process = Process()
            try:
                fault = await process.start(self._load)
                if fault is None:
                    self._failures = 0
                    self._free.put_nowait(process)
                    if not self._first.done():
                        self._first.set_result(None)
                    await process.lost.wait()
            except OSError as error:  # no more processes, or no memory for one
                fault = Fault(str(error))
            finally:
                await process.end()
            if fault is not None:
                await self._count_failure(self._first, fault)
            else:
                LOG.error("%s; another one takes its place", process.fate)

    async def _count_failure(self, first: asyncio.Future[None], fault: Fault) -> None:
        """Give up, or pause before the next start."""
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self.failure = ServeError(f"no process that reads can start: {fault.text}")
            if not first.done():
                first.set_exception(self.failure)
            return
        if first.done():
            LOG.error("a process that reads could not start (%s); another one is tried", fault.text)
        await asyncio.sleep(PAUSE)


class Process(asyncio.Protocol):
    """A process that reads, and the server's end of the connection to it: one job at a time, then its answer.

    Attributes:
        lost: Set when the connection is closed, because the process has died or been killed.
    """

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._received = bytearray()
        self._answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._process: SpawnProcess | None = None
        self._transport: asyncio.Transport | None = None

    async def start(self, load: Load) -> Fault | None:
        """Start it; why it cannot read, None if it can. Raises `OSError`."""
        prepare = pickle.dumps(partial(answering, load))
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as unless_connected:
            unless_connected.enter_context(ours)
            self._process = multiprocessing.get_context("spawn").Process(target=begin, args=(theirs, prepare))
            self._process.start()
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.connect_accepted_socket(lambda: self, ours)
            unless_connected.pop_all()
        fault: Fault | None = await self._answer
        return fault

    async def ask(self, job: Job) -> Answer | Problem | Fault:
        """What it answers. It must have answered before the next job."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(framed(job))
        answer: Answer | Problem | Fault = await self._answer
        return answer

    def kill(self) -> None:
        """End it at once, whatever it does."""
        if self._process is not None:
            self._process.kill()

    async def end(self) -> None:
        """Close the connection, at which it ends by itself, and kill it if it does not."""
        if self._transport is not None:
            self._transport.close()
        if self._process is None or self._process.pid is None:  # it never began
            return
        await asyncio.to_thread(self._process.join, END)
        if self._process.is_alive():
            self._process.kill()
            await asyncio.to_thread(self._process.join)

    @property
    def fate(self) -> str:
        """How it ended, for the log."""
        code = (self._process and self._process.exitcode) or 0
        return f"a process that reads {f'was ended by signal {-code}' if code < 0 else f'exited with {code}'}"

    def data_received(self, data: bytes) -> None:
        """Some bytes of an answer."""
        self._received += data
        size = len(self._received) - LENGTH
        if size >= 0 and size == int.from_bytes(self._received[:LENGTH]):
            answer = pickle.loads(memoryview(self._received)[LENGTH:])
            self._received = bytearray()
            if not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self.lost.set()
        if not self._answer.done():
            self._answer.set_result(Fault("the process that was to do it died"))

"""A few threads that read, with a bounded queue before them and a time limit for each request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sumnist.serve.problems import Problem

__all__ = ["Pool"]

Result = TypeVar("Result")


class Pool:
    """`threads` that work and a queue of at most `queue` requests; each has `seconds` from the moment it joins."""

    def __init__(self, threads: int, queue: int, seconds: float) -> None:
        self._executor = ThreadPoolExecutor(threads, "reading")
        self._room = threads + queue
        self._seconds = seconds
        self._taken = 0
        self._lock = threading.Lock()

    def check_room(self) -> None:
        """Raises `Problem` if a request that came now would find no room."""
        if self._taken >= self._room:
            raise Problem("busy", f"{self._room} requests are being read or wait already: try again in a second")

    async def run(self, work: Callable[[float], Result]) -> Result:
        """What `work` returns, called on a thread with the moment of the monotonic clock at which its time is over.

        Raises `Problem` at once if there is no room, and when the time is over. A thread cannot be stopped: its place
        is taken until it ends by itself.
        """
        self.check_room()
        with self._lock:
            self._taken += 1
        future = self._executor.submit(work, time.monotonic() + self._seconds)
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            detail = f"no reading within {self._seconds:g} seconds: try again, or with smaller or fewer pictures"
            raise Problem("reading-timeout", detail) from error

    def _leave(self, _: Future[Any]) -> None:
        with self._lock:
            self._taken -= 1

    def close(self) -> None:
        """Let the threads end, without waiting for one that is still at work."""
        self._executor.shutdown(wait=False, cancel_futures=True)

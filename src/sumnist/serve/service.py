"""What happens to a request for a reading, from its body to the bytes of the answer. The event loop only moves bytes:
parsing, decoding, reading and writing JSON are done on the threads of the pool."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from sumnist.errors import SumnistError
from sumnist.inference.reader import Reader, Reading, check_number
from sumnist.serve.bodies import Asked, Body, Inbox, asked_of, checker, one_of
from sumnist.serve.metrics import Metrics
from sumnist.serve.pool import Pool
from sumnist.serve.problems import KINDS, Problem, problem_of
from sumnist.serve.settings import Settings

__all__ = ["Answer", "Service"]

Outcome = Reading | Problem


@dataclass(frozen=True)
class Answer:
    """The bytes of JSON to send, and what came of each picture, to be counted."""

    content: bytes
    outcomes: list[Outcome] = field(default_factory=list)


class Service:
    """A reader and what stands before it; a second one, whose answers are told beside its own to whoever asks for
    them. `ready` until the server is told to end."""

    def __init__(self, reader: Reader, settings: Settings, metrics: Metrics, second: Reader | None = None) -> None:
        self.reader = reader
        self.second = second
        self.settings = settings
        self.metrics = metrics
        self.ready = True
        self.pool = Pool(settings.concurrency, settings.queue, settings.reading_seconds)
        self.inbox = Inbox(settings)
        self._check: Callable[[Any], int] = checker(check_number, reader.exact)

    async def read(self, request: Request, image: bool, beside: bool = False) -> bytes:
        """The reading of one picture, as JSON, with that of the second reader `beside` it if there is one. Raises
        `Problem` and `SumnistError`."""
        return await self._answered(request, lambda body, _: self._read_one(body, image, beside))

    async def read_batch(self, request: Request, image: bool) -> bytes:
        """The readings of several pictures, or the problem with each, as JSON. Raises `Problem` and `SumnistError`."""
        instance = request.url.path
        return await self._answered(request, lambda body, end: self._read_all(body, image, end, instance))

    async def _answered(self, request: Request, work: Callable[[Body, float], Answer]) -> bytes:
        self.pool.check_room()  # before the body, so that a server that is full spends nothing on it
        body = await self.inbox.receive(request)
        try:
            answer = await self.pool.run(lambda end: work(body, end))
        finally:
            self.inbox.release(body)
        for outcome in answer.outcomes:
            self.metrics.count(outcome)
        return answer.content

    def _read_one(self, body: Body, image: bool, beside: bool) -> Answer:
        asked = one_of(body, self._check)
        found = self._outcome(asked, self.reader)
        if isinstance(found, Problem):
            raise found
        told = reading_as_dict(found, image)
        if beside and self.second is not None:
            other = self._outcome(asked, self.second)  # a problem if it has not learned to add this number
            told["beside"] = None if isinstance(other, Problem) else reading_as_dict(other, False)
        return Answer(json.dumps(told).encode(), [found])

    def _read_all(self, body: Body, image: bool, end: float, instance: str) -> Answer:
        outcomes: list[Outcome] = []
        for asked in asked_of(body, self._check, self.settings.batch):
            if time.monotonic() > end:  # nobody waits for it any more
                raise KINDS["reading-timeout"]("the batch was not read in time")
            outcomes.append(self._outcome(asked, self.reader))
        readings = [
            {"error": one.as_dict(instance)} if isinstance(one, Problem) else reading_as_dict(one, image)
            for one in outcomes
        ]
        return Answer(json.dumps({"readings": readings}).encode(), outcomes)

    def _outcome(self, asked: Asked, reader: Reader) -> Outcome:
        """The reading of what is asked, or the problem with it."""
        if isinstance(asked.picture, Problem):
            return asked.picture
        try:
            return reader.read(asked.picture, asked.number)
        except SumnistError as error:
            problem = problem_of(error)
            if problem.kind.status == 500:
                raise
            return problem

    def close(self) -> None:
        """Let go of the threads."""
        self.pool.close()


def reading_as_dict(reading: Reading, image: bool) -> dict[str, Any]:
    """All that is told of a reading."""
    return reading.as_dict(image) | {"sum_confidence": reading.sum_confidence}

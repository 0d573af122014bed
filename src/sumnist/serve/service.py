"""From the body of a request to the bytes of its answer. The event loop only moves bytes: parsing, decoding, reading
and writing JSON are done on the threads of the pool."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from sumnist.errors import SumnistError
from sumnist.inference.reader import Reader, Reading
from sumnist.serve.bodies import Body, Inbox, Item, item_of, items_of
from sumnist.serve.metrics import Metrics
from sumnist.serve.pool import Pool
from sumnist.serve.problems import Problem, problem_of
from sumnist.serve.settings import Settings

__all__ = ["Service"]

Outcome = Reading | Problem
Answer = tuple[bytes, list[Outcome]]
"""The JSON to send, and what came of each picture, to be counted."""


class Service:
    """A reader with its limits, and perhaps a second one, whose readings are added for clients that want them.
    `ready` until the server is told to end."""

    def __init__(self, reader: Reader, settings: Settings, metrics: Metrics, second: Reader | None = None) -> None:
        self.reader = reader
        self.second = second
        self.settings = settings
        self.metrics = metrics
        self.ready = True
        self.pool = Pool(settings.concurrency, settings.queue, settings.reading_seconds)
        self.inbox = Inbox(settings)

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
        async with self.inbox.receiving(request) as body:
            content, outcomes = await self.pool.run(lambda end: work(body, end))
        for outcome in outcomes:
            self.metrics.count(outcome)
        return content

    def _read_one(self, body: Body, image: bool, beside: bool) -> Answer:
        item = item_of(body, self.reader.exact)
        outcome = read_item(item, self.reader)
        if isinstance(outcome, Problem):
            raise outcome
        answer = reading_as_dict(outcome, image)
        if beside and self.second is not None:
            second = read_item(item, self.second)  # a problem if it has not learned to add this number
            answer["beside"] = None if isinstance(second, Problem) else reading_as_dict(second, False)
        return json.dumps(answer).encode(), [outcome]

    def _read_all(self, body: Body, image: bool, end: float, instance: str) -> Answer:
        outcomes: list[Outcome] = []
        for item in items_of(body, self.reader.exact, self.settings.batch):
            if time.monotonic() > end:  # nobody waits for it any more
                raise Problem("reading-timeout", "the batch was not read in time")
            outcomes.append(read_item(item, self.reader))
        readings = [
            {"error": outcome.as_dict(instance)} if isinstance(outcome, Problem) else reading_as_dict(outcome, image)
            for outcome in outcomes
        ]
        return json.dumps({"readings": readings}).encode(), outcomes


def read_item(item: Item, reader: Reader) -> Outcome:
    """The reading of a picture, or the problem with it. Raises errors that are not the request's."""
    if isinstance(item.picture, Problem):
        return item.picture
    try:
        return reader.read(item.picture, item.number)
    except SumnistError as error:
        problem = problem_of(error)
        if problem.kind.status == 500:
            raise
        return problem


def reading_as_dict(reading: Reading, image: bool) -> dict[str, Any]:
    """The fields of a reading in an answer."""
    return reading.as_dict(image) | {"sum_confidence": reading.sum_confidence}

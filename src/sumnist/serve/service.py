"""From a request to the bytes of its answer: received here, read in one of the processes of the pool, counted here."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request

from sumnist.serve.bodies import Inbox
from sumnist.serve.metrics import Metrics
from sumnist.serve.pool import Pool
from sumnist.serve.reading import Job, Load
from sumnist.serve.settings import Settings

__all__ = ["Service"]


class Service:
    """Processes that read, with their limits. `ready` until the server is told to end."""

    def __init__(self, settings: Settings, load: Load, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.ready = True
        self.pool = Pool(settings.processes, settings.queue, settings.reading_seconds, load)
        self.inbox = Inbox(settings)

    async def read(self, request: Request, image: bool, beside: bool, inside: bool, evidence: bool) -> bytes:
        """The reading of one picture, as JSON, with what else is wanted, as a `Job` has it. Raises `Problem`."""
        job = partial(Job, image=image, beside=beside, inside=inside, evidence=evidence)
        return await self._answered(request, job)

    async def read_number(self, request: Request) -> bytes:
        """The reading of a number of any length, as JSON. Raises `Problem`."""
        return await self._answered(request, partial(Job, of_a_number=True))

    async def read_batch(self, request: Request, image: bool) -> bytes:
        """The readings of several pictures, or the problem with each, as JSON. Raises `Problem`."""
        return await self._answered(request, partial(Job, image=image, most=self.settings.batch))

    async def _answered(self, request: Request, job_with: partial[Job]) -> bytes:
        await self.pool.room()  # before the body, so that a server that is full spends nothing on it
        async with self.inbox.receiving(request) as body:
            answer = await self.pool.run(job_with(body, request.url.path))
        for outcome in answer.outcomes:
            self.metrics.count(outcome)
        return answer.content

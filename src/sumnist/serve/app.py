"""The application: its paths, and what all of them share: headers, counts and the shape of errors."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sumnist.serve import models
from sumnist.serve.bodies import Inbox
from sumnist.serve.metrics import Metrics, MetricsText
from sumnist.serve.models import AskedDigit, AskedNumber, body_of, problems
from sumnist.serve.pool import Pool
from sumnist.serve.problems import MEDIA_TYPE, Problem, problem_of
from sumnist.serve.protocol import LINGER
from sumnist.serve.reading import Job, Load, answering, load_readers
from sumnist.serve.settings import Settings

__all__ = ["HEADERS", "STATIC", "Service", "answer_of", "create_app", "files_of"]

LOG = logging.getLogger("sumnist.serve")
HEADERS = [
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""The headers of every answer."""
NOT_KEPT = {"cache-control": "no-store"}
STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".woff2": "font/woff2",
}  # fmt: skip
"""Types by suffix; those of the system may be wrong, or changed by whoever set it up."""
PAGES = {"/": "index.html", "/about": "about.html", "/docs": "docs.html"}

Flag = Literal["true", "false"]
Image = Annotated[Flag, Query(description="true: add what the network saw, 28 rows of 28 numbers from 0 to 1.")]
Beside = Annotated[Flag, Query(description="true: add what the second network says, if the server has one.")]
Inside = Annotated[
    Flag, Query(description="true: add the steps to what the network saw, all that was tried, and its layers.")
]
Evidence = Annotated[Flag, Query(description="true: add which places of what the network saw speak for which digits.")]


class Service:
    """Processes that read, with their limits, and what is counted. `ready` until the server is told to end."""

    def __init__(self, settings: Settings, load: Load, metrics: Metrics) -> None:
        self.settings, self.metrics, self.ready = settings, metrics, True
        self.pool = Pool(settings.processes, settings.queue, settings.reading_seconds, partial(answering, load))
        self.inbox = Inbox(settings)

    async def answer(self, request: Request, **wanted: Any) -> Response:
        """The answer to a request to read, as JSON, or a problem; `wanted` are fields of its `Job`."""
        path = request.scope["path"]
        try:
            await self.pool.room()  # before the body, so that a server that is full spends nothing on it
            async with self.inbox.receiving(request) as body:
                answer = await self.pool.run(Job(body, path, **wanted), path)
        except ClientDisconnect:
            return Response()  # to nobody
        except Problem as problem:  # FastAPI would hold its traceback in a cycle, and so the body
            return self.refusal(problem, path)
        for outcome in answer.outcomes:
            self.metrics.count(outcome)
        return Response(answer.content, media_type="application/json")

    def refusal(self, error: Exception, path: str) -> Response:
        """The answer to a request that failed with `error`, which is counted, and logged if it is not the request's."""
        problem = problem_of(error)
        if problem.kind.status == 500 and problem is not error:
            LOG.error("%s failed", path, exc_info=error)
        self.metrics.count(problem)
        return answer_of(problem, path)


def answer_of(problem: Problem, path: str) -> Response:
    """The answer to a request for `path` that is a problem."""
    return Response(problem.as_json(path), problem.kind.status, problem.headers | NOT_KEPT, MEDIA_TYPE)


def create_app(settings: Settings, load: Load | None = None, metrics: Metrics | None = None) -> FastAPI:
    """The application, which any ASGI server serves.

    Args:
        settings: The limits. Those that concern sockets and processes (`host`, `port`, `workers`, and the time of a
            request's head) are not the application's.
        load: Called in each process that reads, and once here, for its reader and its second reader, or None; it is
            pickled. By default those that `settings` name.
        metrics: Where requests are counted; None: for this application alone.

    Returns:
        The application; its `state.service` is the `Service`.

    Raises:
        ConfigError: The second network computes its sum.
        RunError: One of the networks is none of sumnist.
    """
    load = load or partial(load_readers, settings)
    exact = load()[0].exact  # before any process starts, so that what is wrong with a network is said once
    service = Service(settings, load, metrics or Metrics())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.pool.start()
        yield
        service.ready = False
        await service.pool.close()

    app = FastAPI(
        title="Sumnist", version=version("sumnist"), description=models.SUMMARY, openapi_url=None, docs_url=None,
        redoc_url=None, redirect_slashes=False, lifespan=lifespan,
        exception_handlers=dict.fromkeys((HTTPException, RequestValidationError), refused),
    )  # fmt: skip
    app.add_middleware(Envelope, service=service)
    app.state.service = service
    add_readings(app, service, exact)
    add_state(app, service)
    files = files_of(STATIC)
    for name, answer in files.items():
        app.add_route(f"/static/{name}", answer, ["GET"], include_in_schema=False)
    for path, name in PAGES.items():
        app.add_route(path, files[name], ["GET"], include_in_schema=False)
    return app


class Envelope:
    """Counts and times the requests to the application behind it, adds the headers to its answers, and makes an answer
    of each error."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = arrived = gone = lingers = False  # for the body; the whole of it; the client; after the answer
        status, path = 0, scope["path"]

        async def receiving() -> Message:
            nonlocal asked, arrived, gone
            asked = True
            message = await receive()
            arrived, gone = not message.get("more_body", False), message["type"] == "http.disconnect"
            return message

        async def sending(message: Message) -> None:
            nonlocal status, lingers
            if gone:
                return
            if message["type"] == "http.response.start":
                status, headers = message["status"], [*message["headers"], *HEADERS]
                if not self._service.ready or (not asked and any(name == b"expect" for name, _ in scope["headers"])):
                    headers.append((b"connection", b"close"))  # without "100 continue" the body may come, or may not
                lingers = status >= 400 and not arrived and closes(scope, headers)
                await send({**message, "headers": headers})
            else:
                await send({**message, "more_body": lingers})

        begun = self._service.metrics.begin()
        method = "GET" if scope["method"] == "HEAD" else scope["method"]  # the server leaves the body out
        asking: Scope = {**scope, "method": method}
        try:
            await self._app(asking, receiving, sending)
        except Exception as error:
            await self._service.refusal(error, path)(asking, receiving, sending)
        finally:
            self._service.metrics.end(path, status, begun)
        if lingers:  # the client may read its answer only when it has sent all
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while not arrived:
                        await receiving()
            await send({"type": "http.response.body"})


async def refused(request: Request, error: Exception) -> Response:
    """Raise the `Problem` with a request that no endpoint answers, or whose flags are wrong."""
    path = request.scope["path"]
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        message = first["msg"]
        raise Problem("invalid-request", f"{first['loc'][-1]}: {message[:1].lower()}{message[1:]}")
    if not isinstance(error, HTTPException) or error.status_code != 405:
        raise Problem("not-found", f"{path:.100}: expected one of the paths that /openapi.json lists")
    allowed = "GET, HEAD" if "GET" in (error.headers or {})["Allow"] else "POST"
    raise Problem("method-not-allowed", f"{request.method:.20} {path:.100}: expected {allowed}", allow=allowed)


def closes(scope: Scope, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the connection is closed after the answer with these headers."""
    connection = [value.lower() for name, value in [*scope["headers"], *headers] if name == b"connection"]
    return scope["http_version"] == "1.0" or b"close" in connection


# Paths.


def add_readings(app: FastAPI, service: Service, exact: bool) -> None:
    """Those that read."""
    most = service.settings.batch

    @app.post(
        "/v1/read", operation_id="read", summary="Read one picture and add a number", tags=["readings"],
        response_model=models.Reading, response_description="The reading, accepted or not.",
        responses=problems(*models.OF_READING), openapi_extra=body_of(AskedDigit, exact),
    )  # fmt: skip
    async def read(
        request: Request, image: Image = "false", beside: Beside = "false", inside: Inside = "false",
        evidence: Evidence = "false",
    ) -> Response:  # fmt: skip
        flags = {"image": image, "beside": beside, "inside": inside, "evidence": evidence}
        return await service.answer(request, **{name: flag == "true" for name, flag in flags.items()})

    @app.post(
        "/v1/read/batch", operation_id="readBatch", summary="Read several pictures", tags=["readings"],
        response_model=models.Readings, response_description="A reading or a problem for each picture.",
        responses=problems(*models.OF_BATCH), openapi_extra=body_of(AskedDigit, exact, most),
    )  # fmt: skip
    async def read_batch(request: Request, image: Image = "false") -> Response:
        return await service.answer(request, image=image == "true", most=most)

    @app.post(
        "/v1/read-number", operation_id="readNumber", summary="Read a number of any length", tags=["readings"],
        response_model=models.NumberReading, response_description="The reading, accepted or not.",
        responses=problems(*models.OF_NUMBER), openapi_extra=body_of(AskedNumber),
    )  # fmt: skip
    async def read_number(request: Request) -> Response:
        return await service.answer(request, of_a_number=True)


def add_state(app: FastAPI, service: Service) -> None:
    """Those that say how the server is."""
    responses = problems(*models.OF_STATE)

    @app.get(
        "/healthz", operation_id="healthz", summary="Whether the process lives", tags=["server"],
        response_model=models.Status, response_description="It does.", responses=responses,
    )  # fmt: skip
    async def healthz() -> Response:
        return JSONResponse({"status": "alive"}, headers=NOT_KEPT)

    @app.get(
        "/readyz", operation_id="readyz", summary="Whether to send requests here", tags=["server"],
        response_model=models.Status, response_description="The network is loaded.",
        responses=problems(*models.OF_STATE, "not-ready"),
    )  # fmt: skip
    async def readyz() -> Response:
        if not service.ready:
            raise Problem("not-ready", "this server ends as soon as it has answered: ask another one")
        return JSONResponse({"status": "ready"}, headers=NOT_KEPT)

    @app.get(
        "/metrics", operation_id="metrics", summary="Counts and times, for Prometheus", tags=["server"],
        response_class=MetricsText, response_description="Its text format.", responses=responses,
    )  # fmt: skip
    async def metrics() -> Response:
        return service.metrics.answer()

    @app.get(
        "/openapi.json", operation_id="openapi", summary="This document", tags=["server"],
        response_model=dict[str, Any], response_description="OpenAPI 3.1.", responses=responses,
    )  # fmt: skip
    async def document() -> Response:
        return JSONResponse(app.openapi(), headers=NOT_KEPT)


def files_of(folder: Path) -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """Endpoints for the files in `folder` and below, by their path from there: read once, asked for again by their
    checksum, so that a new version is seen at once. No other file is ever sent."""

    def sending(path: Path) -> Callable[[Request], Awaitable[Response]]:
        content = path.read_bytes()
        headers = {"etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "cache-control": "no-cache"}

        async def file(request: Request) -> Response:
            if request.headers.get("if-none-match") == headers["etag"]:
                return Response(status_code=304, headers=headers)
            return Response(content, media_type=TYPES[path.suffix], headers=headers)

        return file

    return {
        path.relative_to(folder).as_posix(): sending(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in TYPES
    }

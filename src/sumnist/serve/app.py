"""The application: its paths, and what all of them share: headers, counts and the shape of errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sumnist.errors import SumnistError
from sumnist.serve import openapi
from sumnist.serve.assets import files_in
from sumnist.serve.metrics import Metrics
from sumnist.serve.problems import MEDIA_TYPE, Problem, problem_of
from sumnist.serve.protocol import LINGER
from sumnist.serve.reading import Load, load_readers
from sumnist.serve.service import Service
from sumnist.serve.settings import Settings

__all__ = ["create_app"]

LOG = logging.getLogger("sumnist.serve")
HEADERS = [
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""The headers of every answer."""
HANDLED = (Problem, SumnistError, HTTPException, RequestValidationError)
"""Errors that are answered where they leave the routes; any other one comes to `Around`."""
NOT_KEPT = {"cache-control": "no-store"}
PAGES = {"/": "index.html", "/docs": "docs.html"}

Flag = Literal["true", "false"]
Image = Annotated[Flag, Query(description="true: add what the network saw, 28 rows of 28 numbers from 0 to 1.")]
Beside = Annotated[Flag, Query(description="true: add what the second network says, if the server has one.")]


def create_app(settings: Settings, load: Load | None = None, metrics: Metrics | None = None) -> FastAPI:
    """The application, which any ASGI server serves.

    Args:
        settings: The networks and the limits. Those that concern sockets (`host`, `port`, and the time of a request's
            head) are not the application's.
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
        title="Sumnist", version=version("sumnist"), description=openapi.SUMMARY,
        openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan,
        exception_handlers=dict.fromkeys(HANDLED, answer_to_error),
    )  # fmt: skip
    app.state.service = service
    add_readings(app, service, exact)
    add_state(app, service)
    add_page(app)
    app.add_middleware(Around, service=service)
    return app


# Paths.


def add_readings(app: FastAPI, service: Service, exact: bool) -> None:
    """The two that read."""
    most = service.settings.batch

    @app.post(
        "/v1/read", operation_id="read", summary="Read one picture and add a number", tags=["readings"],
        response_model=openapi.Reading, response_description="The reading, accepted or not.",
        responses=openapi.problems(*openapi.OF_READING), openapi_extra=openapi.body_of_read(exact),
    )  # fmt: skip
    async def read(request: Request, image: Image = "false", beside: Beside = "false") -> Response:
        content = await service.read(request, image == "true", beside == "true")
        return Response(content, media_type="application/json")

    @app.post(
        "/v1/read/batch", operation_id="readBatch", summary="Read several pictures", tags=["readings"],
        response_model=openapi.Readings, response_description="A reading or a problem for each picture.",
        responses=openapi.problems(*openapi.OF_BATCH), openapi_extra=openapi.body_of_batch(exact, most),
    )  # fmt: skip
    async def read_batch(request: Request, image: Image = "false") -> Response:
        return Response(await service.read_batch(request, image == "true"), media_type="application/json")


def add_state(app: FastAPI, service: Service) -> None:
    """Those that say how the server is."""
    responses = openapi.problems(*openapi.OF_STATE)

    @app.get(
        "/healthz", operation_id="healthz", summary="Whether the process lives", tags=["server"],
        response_model=openapi.Status, response_description="It does.", responses=responses,
    )  # fmt: skip
    async def healthz() -> Response:
        return JSONResponse({"status": "alive"}, headers=NOT_KEPT)

    @app.get(
        "/readyz", operation_id="readyz", summary="Whether to send requests here", tags=["server"],
        response_model=openapi.Status, response_description="The network is loaded.",
        responses=openapi.problems(*openapi.OF_STATE, "not-ready"),
    )  # fmt: skip
    async def readyz() -> Response:
        if not service.ready:
            raise Problem("not-ready", "this server ends as soon as it has answered: ask another one")
        return JSONResponse({"status": "ready"}, headers=NOT_KEPT)

    @app.get(
        "/metrics", operation_id="metrics", summary="Counts and times, for Prometheus", tags=["server"],
        response_class=openapi.MetricsText, response_description="Its text format.", responses=responses,
    )  # fmt: skip
    async def metrics() -> Response:
        return openapi.MetricsText(service.metrics.text())

    @app.get(
        "/openapi.json", operation_id="openapi", summary="This document", tags=["server"],
        response_model=dict[str, Any], response_description="OpenAPI 3.1.", responses=responses,
    )  # fmt: skip
    async def document() -> Response:
        return JSONResponse(app.openapi(), headers=NOT_KEPT)


def add_page(app: FastAPI) -> None:
    """The files of the package: the page, that of the API, and what belongs to them."""
    answers = files_in()

    async def file(request: Request) -> Response:
        path = request.url.path
        answer = answers.get(PAGES.get(path, path.removeprefix("/static/")))
        if answer is None:
            raise HTTPException(404)
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(status_code=304, headers={key: answer.headers[key] for key in ("etag", "cache-control")})
        return answer

    for path in (*PAGES, "/static/{name:path}"):
        app.add_route(path, file, methods=["GET"], include_in_schema=False)


# Errors.


async def answer_to_error(request: Request, error: Exception) -> Response:
    """The answer to a request that failed with `error`."""
    path = request.url.path
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        problem = Problem("method-not-allowed", f"{request.method:.20} {path:.100}: expected {allowed}", allow=allowed)
    elif isinstance(error, HTTPException):
        problem = Problem("not-found", f"{path:.100}: expected one of the paths that /openapi.json lists")
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        problem = Problem("invalid-request", f"{first['loc'][-1]}: {first['msg'][0].lower()}{first['msg'][1:]}"[:300])
    else:
        problem = problem_of(error)
        if problem.kind.status == 500:
            LOG.error("%s failed", path, exc_info=error)
    request.scope["problem"] = problem.kind.slug  # not the error, whose frames would keep the body
    return Response(problem.as_json(path), problem.kind.status, problem.headers | NOT_KEPT, MEDIA_TYPE)


class Around:
    """Around everything: counts and times each request, adds the headers, and turns what nobody expected into a 500."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        arrived = False  # the whole body
        lingers = False  # the answer is not ended yet

        async def receiving() -> Message:
            nonlocal arrived
            message = await receive()
            arrived = not message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            nonlocal status, lingers
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS]
                if not self._service.ready:
                    message["headers"].append((b"connection", b"close"))
                lingers = status >= 400 and not arrived and closes(scope, message["headers"])
            elif lingers:
                message["more_body"] = True
            await send(message)

        metrics = self._service.metrics
        begun = metrics.begin()
        try:
            await self._app(scope, receiving, sending)
        except ClientDisconnect:
            pass  # there is nobody to answer
        except Exception as error:
            if status:
                raise
            await (await answer_to_error(Request(scope), error))(scope, receiving, sending)
        finally:
            if "problem" in scope:
                metrics.count_problem(scope["problem"])
            metrics.end(scope["path"], status, begun)
        if lingers:  # the client may read its answer only when it has sent all
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while not arrived:
                        await receiving()
            await send({"type": "http.response.body"})


def closes(scope: Scope, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the connection is closed after the answer with these headers."""
    connection = [value.lower() for name, value in [*scope["headers"], *headers] if name == b"connection"]
    return scope["http_version"] == "1.0" or b"close" in connection

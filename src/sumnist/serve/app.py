"""The application: which path leads where, and the same headers, counts and shape of errors for all of them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sumnist.errors import SumnistError
from sumnist.inference.reader import Reader
from sumnist.serve.assets import File, files_in
from sumnist.serve.metrics import MEDIA_TYPE as METRICS_TYPE
from sumnist.serve.metrics import Metrics
from sumnist.serve.openapi import BATCH, HEALTH, METRICS, OPENAPI, READ, READY, document_of
from sumnist.serve.problems import KINDS, MEDIA_TYPE, Problem, problem_of
from sumnist.serve.protocol import LINGER
from sumnist.serve.service import Service
from sumnist.serve.settings import Settings

__all__ = ["create_app"]

LOG = logging.getLogger("sumnist.serve")
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""What every answer has."""
RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

Image = Annotated[
    Literal["true", "false"], Query(description="true: add what the network saw, 28 rows of 28 numbers from 0 to 1.")
]

Beside = Annotated[
    Literal["true", "false"], Query(description="true: add what the second network says, if the server has one.")
]


def create_app(
    settings: Settings, reader: Reader, metrics: Metrics | None = None, second: Reader | None = None
) -> FastAPI:
    """The application around `reader`, and a `second` one beside it, which any ASGI server serves; its `state.service`
    is the `Service`."""
    service = Service(reader, settings, metrics or Metrics(), second)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.ready = False
        service.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    add_readings(app, service)
    add_state(app, service)
    add_page(app, files_in())
    document = document_of(app, settings, reader.exact)
    app.openapi = lambda: document  # type: ignore[method-assign]
    for kind in (Problem, SumnistError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer_to_error)
    app.add_middleware(Around, service=service)
    return app


# Paths.


def add_readings(app: FastAPI, service: Service) -> None:
    """The two that read."""

    @app.post("/v1/read", **READ)
    async def read(request: Request, image: Image = "false", beside: Beside = "false") -> Response:
        content = await service.read(request, image == "true", beside == "true")
        return Response(content, media_type="application/json")

    @app.post("/v1/read/batch", **BATCH)
    async def read_batch(request: Request, image: Image = "false") -> Response:
        return Response(await service.read_batch(request, image == "true"), media_type="application/json")


def add_state(app: FastAPI, service: Service) -> None:
    """Those that tell how the server is."""

    @app.get("/healthz", **HEALTH)
    async def healthz() -> Response:
        return as_json({"status": "alive"})

    @app.get("/readyz", **READY)
    async def readyz() -> Response:
        if not service.ready:
            raise KINDS["not-ready"]("this server ends as soon as it has answered: ask another one")
        return as_json({"status": "ready"})

    @app.get("/metrics", **METRICS)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=METRICS_TYPE)

    @app.get("/openapi.json", **OPENAPI)
    async def openapi() -> Response:
        return as_json(app.openapi())


def add_page(app: FastAPI, files: dict[str, File]) -> None:
    """The files of the package: the page, the documentation, and what belongs to them."""

    async def file(request: Request) -> Response:
        names = {"/": "index.html", "/docs": "docs.html"}
        path = request.url.path
        found = files.get(names.get(path, path.removeprefix("/static/")))
        if found is None:
            raise HTTPException(404)
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers={key: found.headers[key] for key in ("etag", "cache-control")})
        return Response(found.content, headers=found.headers)

    for path in ("/", "/docs", "/static/{name:path}"):
        app.add_route(path, file, methods=["GET"], include_in_schema=False)


def as_json(value: Any) -> Response:
    return Response(json.dumps(value).encode(), media_type="application/json", headers={"cache-control": "no-store"})


# Errors.


async def answer_to_error(request: Request, error: Exception) -> Response:
    """The problem that `error` is."""
    if isinstance(error, HTTPException):
        problem = of_http(error, request)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        problem = KINDS["invalid-request"](f"{first['loc'][-1]}: {first['msg'][0].lower()}{first['msg'][1:]}"[:300])
    else:
        problem = problem_of(error)
        if problem.kind.status == 500:
            LOG.error("%s failed", request.url.path, exc_info=error)
    request.scope["problem"] = problem
    return Response(
        problem.as_json(request.url.path),
        problem.kind.status,
        {**problem.headers, "cache-control": "no-store"},
        MEDIA_TYPE,
    )


def of_http(error: HTTPException, request: Request) -> Problem:
    """What the router refused: no such path, or not with this method."""
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return KINDS["method-not-allowed"](
            f"{request.method:.20} {request.url.path:.100}: expected {allowed}", allow=allowed
        )
    return KINDS["not-found"](f"{request.url.path:.100}: expected one of the paths that /openapi.json lists")


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
        open_end = False  # of the answer

        async def receiving() -> Message:
            nonlocal arrived
            message = await receive()
            arrived = not message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            nonlocal status, open_end
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *RAW_HEADERS]
                if not self._service.ready:
                    message["headers"].append((b"connection", b"close"))
            elif status >= 400 and not arrived:
                open_end = message["more_body"] = True
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
                metrics.count(scope["problem"])
            metrics.end(route_of(scope["path"]), status, begun)
        if open_end:  # a client may read its answer only when it has sent all
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while not arrived:
                        await receiving()
            await send({"type": "http.response.body"})


def route_of(path: str) -> str:
    return "/static" if path.startswith("/static/") else path

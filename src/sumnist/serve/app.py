"""The application: its paths, and what all of them share: headers, counts and the shape of errors."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from sumnist.serve import openapi
from sumnist.serve.assets import files_in
from sumnist.serve.metrics import Metrics
from sumnist.serve.problems import MEDIA_TYPE, Problem, problem_of
from sumnist.serve.protocol import LINGER
from sumnist.serve.reading import Load, load_readers
from sumnist.serve.service import Service
from sumnist.serve.settings import Settings

__all__ = ["Application", "create_app"]

LOG = logging.getLogger("sumnist.serve")
HEADERS = [
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""The headers of every answer."""
NOT_KEPT = {"cache-control": "no-store"}
PAGES = {"/": "index.html", "/about": "about.html", "/docs": "docs.html"}

Flag = Literal["true", "false"]
Image = Annotated[Flag, Query(description="true: add what the network saw, 28 rows of 28 numbers from 0 to 1.")]
Beside = Annotated[Flag, Query(description="true: add what the second network says, if the server has one.")]
Inside = Annotated[
    Flag, Query(description="true: add the steps to what the network saw, all that was tried, and its layers.")
]
Evidence = Annotated[Flag, Query(description="true: add which places of what the network saw speak for which digits.")]
Endpoint = Callable[..., Awaitable[Response]]
"""What answers the requests to a path: called with the request and the flags in its query."""


def create_app(settings: Settings, load: Load | None = None, metrics: Metrics | None = None) -> Application:
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
    app = Application(service)
    add_readings(app, service, exact)
    add_state(app, service)
    add_page(app)
    return app


class Application:
    """Calls the endpoint of each path, counts and times its requests, adds the headers, and answers errors.

    FastAPI describes the endpoints, and runs what belongs to the server's start and end. It is not asked for requests:
    what it does for each of them takes longer than all the rest, and there is no more to do than to look a path up.
    """

    def __init__(self, service: Service) -> None:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            await service.pool.start()
            yield
            service.ready = False
            await service.pool.close()

        self._described = FastAPI(
            title="Sumnist", version=version("sumnist"), description=openapi.SUMMARY,
            openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan,
        )  # fmt: skip
        self._service = service
        self._endpoints: dict[str, dict[str, tuple[Endpoint, list[str]]]] = {}
        self.state = self._described.state
        self.state.service = service

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Have `endpoint` answer this method of this path."""
        _, *flags = inspect.signature(endpoint).parameters
        self._endpoints.setdefault(path, {})[method] = endpoint, flags

    def route(self, method: str, path: str, **description: Any) -> Callable[[Endpoint], Endpoint]:
        """Decorates an endpoint: adds it, and describes it in the document."""

        def decorate(endpoint: Endpoint) -> Endpoint:
            self.add(method, path, endpoint)
            self._described.add_api_route(path, endpoint, methods=[method], **description)
            return endpoint

        return decorate

    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return self._described.openapi()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._described(scope, receive, send)
            return
        asked = arrived = False  # for the body, and the whole of it

        async def receiving() -> Message:
            nonlocal asked, arrived
            asked = True
            message = await receive()
            arrived = not message.get("more_body", False)
            return message

        metrics, status = self._service.metrics, 0
        begun = metrics.begin()
        try:
            response = await self._response(Request(scope, receiving))
            headers = [*response.raw_headers, *HEADERS]
            if not self._service.ready or (not asked and any(name == b"expect" for name, _ in scope["headers"])):
                headers.append((b"connection", b"close"))  # without "100 continue" the body may come, or may not
            status = response.status_code
            lingers = status >= 400 and not arrived and closes(scope, headers)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            content = b"" if scope["method"] == "HEAD" else response.body
            await send({"type": "http.response.body", "body": content, "more_body": lingers})
        except ClientDisconnect:
            return  # there is nobody to answer
        finally:
            metrics.end(scope["path"], status, begun)
        if lingers:  # the client may read its answer only when it has sent all
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while not arrived:
                        await receiving()
            await send({"type": "http.response.body"})

    async def _response(self, request: Request) -> Response:
        """The answer to a request. Raises `ClientDisconnect`."""
        try:
            endpoint, flags = self._endpoint_of(request.method, request.scope["path"])
            return await endpoint(request, **flags_of(request, flags))
        except ClientDisconnect:
            raise
        except Exception as error:
            return self._answer_to_error(request.scope["path"], error)

    def _endpoint_of(self, method: str, path: str) -> tuple[Endpoint, list[str]]:
        """The endpoint, and the names of its flags. Raises `Problem`."""
        endpoints = self._endpoints.get(path)
        if endpoints is None:
            raise Problem("not-found", f"{path:.100}: expected one of the paths that /openapi.json lists")
        endpoint = endpoints.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allowed = ", ".join([*endpoints, "HEAD"] if "GET" in endpoints else endpoints)
            raise Problem("method-not-allowed", f"{method:.20} {path:.100}: expected {allowed}", allow=allowed)
        return endpoint

    def _answer_to_error(self, path: str, error: Exception) -> Response:
        """The answer to a request that failed with `error`, which is counted, and logged if it is not the request's."""
        problem = problem_of(error)
        if problem.kind.status == 500:
            LOG.error("%s failed", path, exc_info=error)
        self._service.metrics.count(problem)
        return Response(problem.as_json(path), problem.kind.status, problem.headers | NOT_KEPT, MEDIA_TYPE)


def flags_of(request: Request, names: list[str]) -> dict[str, str]:
    """The flags with these names that the query has. Raises `Problem` for one that is neither true nor false."""
    if not (names and request.scope["query_string"]):
        return {}
    flags = {name: value for name, value in request.query_params.items() if name in names}
    for name, value in flags.items():
        if value not in ("true", "false"):
            raise Problem("invalid-request", f"{name}: input should be 'true' or 'false'")
    return flags


def closes(scope: Scope, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the connection is closed after the answer with these headers."""
    connection = [value.lower() for name, value in [*scope["headers"], *headers] if name == b"connection"]
    return scope["http_version"] == "1.0" or b"close" in connection


# Paths.


def add_readings(app: Application, service: Service, exact: bool) -> None:
    """Those that read."""
    most = service.settings.batch

    @app.route(
        "POST", "/v1/read", operation_id="read", summary="Read one picture and add a number", tags=["readings"],
        response_model=openapi.Reading, response_description="The reading, accepted or not.",
        responses=openapi.problems(*openapi.OF_READING), openapi_extra=openapi.body_of_read(exact),
    )  # fmt: skip
    async def read(
        request: Request, image: Image = "false", beside: Beside = "false", inside: Inside = "false",
        evidence: Evidence = "false",
    ) -> Response:  # fmt: skip
        flags = {"image": image, "beside": beside, "inside": inside, "evidence": evidence}
        content = await service.read(request, **{name: flag == "true" for name, flag in flags.items()})
        return Response(content, media_type="application/json")

    @app.route(
        "POST", "/v1/read/batch", operation_id="readBatch", summary="Read several pictures", tags=["readings"],
        response_model=openapi.Readings, response_description="A reading or a problem for each picture.",
        responses=openapi.problems(*openapi.OF_BATCH), openapi_extra=openapi.body_of_batch(exact, most),
    )  # fmt: skip
    async def read_batch(request: Request, image: Image = "false") -> Response:
        return Response(await service.read_batch(request, image == "true"), media_type="application/json")

    @app.route(
        "POST", "/v1/read-number", operation_id="readNumber", summary="Read a number of any length", tags=["readings"],
        response_model=openapi.NumberReading, response_description="The reading, accepted or not.",
        responses=openapi.problems(*openapi.OF_NUMBER), openapi_extra=openapi.body_of_number(),
    )  # fmt: skip
    async def read_number(request: Request) -> Response:
        return Response(await service.read_number(request), media_type="application/json")


def add_state(app: Application, service: Service) -> None:
    """Those that say how the server is."""
    responses = openapi.problems(*openapi.OF_STATE)

    @app.route(
        "GET", "/healthz", operation_id="healthz", summary="Whether the process lives", tags=["server"],
        response_model=openapi.Status, response_description="It does.", responses=responses,
    )  # fmt: skip
    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"}, headers=NOT_KEPT)

    @app.route(
        "GET", "/readyz", operation_id="readyz", summary="Whether to send requests here", tags=["server"],
        response_model=openapi.Status, response_description="The network is loaded.",
        responses=openapi.problems(*openapi.OF_STATE, "not-ready"),
    )  # fmt: skip
    async def readyz(_: Request) -> Response:
        if not service.ready:
            raise Problem("not-ready", "this server ends as soon as it has answered: ask another one")
        return JSONResponse({"status": "ready"}, headers=NOT_KEPT)

    @app.route(
        "GET", "/metrics", operation_id="metrics", summary="Counts and times, for Prometheus", tags=["server"],
        response_class=openapi.MetricsText, response_description="Its text format.", responses=responses,
    )  # fmt: skip
    async def metrics(_: Request) -> Response:
        return openapi.MetricsText(service.metrics.text())

    @app.route(
        "GET", "/openapi.json", operation_id="openapi", summary="This document", tags=["server"],
        response_model=dict[str, Any], response_description="OpenAPI 3.1.", responses=responses,
    )  # fmt: skip
    async def document(_: Request) -> Response:
        return JSONResponse(app.document(), headers=NOT_KEPT)


def add_page(app: Application) -> None:
    """The files of the package: the page, that of the API, and what belongs to them."""
    answers = files_in()
    for name, answer in answers.items():
        app.add("GET", f"/static/{name}", sending(answer))
    for path, name in PAGES.items():
        app.add("GET", path, sending(answers[name]))


def sending(answer: Response) -> Endpoint:
    """An endpoint that answers with a file, or that the client's copy of it is still right."""

    async def file(request: Request) -> Response:
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(status_code=304, headers={key: answer.headers[key] for key in ("etag", "cache-control")})
        return answer

    return file

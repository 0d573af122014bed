"""Answers HTTP requests: the paths, headers, metrics and errors of the server, and how it starts and ends.

One process moves bytes; the processes of its pool read pictures.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server

from sumnist.environment import core_count
from sumnist.errors import ConfigError, ServeError
from sumnist.inference.numbers import NUMBER_ADVICE
from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE, UNUSUAL
from sumnist.memory import return_freed_memory
from sumnist.serve import bodies, forms, models, reading
from sumnist.serve.access import Access, check_open
from sumnist.serve.bodies import AskedDigit, AskedExample, AskedNumber, AskedNumbers, Inbox, body_of
from sumnist.serve.models import problems
from sumnist.serve.pool import Pool
from sumnist.serve.problems import KINDS, MEDIA_TYPE, Problem, problem_of
from sumnist.serve.protocol import LINGER, protocol_with
from sumnist.serve.reading import ACCEPTED, Job, Load, answering, load_readers
from sumnist.serve.settings import Settings
from sumnist.sheets.batch import STATES

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
    ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg",
    ".woff2": "font/woff2",
}  # fmt: skip
"""Media types by suffix. The system's own types may be wrong or changed."""
PAGES = {"/": "index.html", "/about": "about.html", "/docs": "docs.html"}
OTHER = "other"
TIMED = (
    "/v1/read", "/v1/read/batch", "/v1/read-number", "/v1/find", "/v1/sheets/form", "/v1/sheets", "/v1/tables",
    "/v1/hands",
)  # fmt: skip
ROUTES = (*TIMED, "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/", "/static")
"""The routes that the metrics tell apart; any other path counts as "other"."""
NAMED = {"parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]}
"""The parameter of the path of a hand. For one of its own, FastAPI lists an answer that is never given."""
EDGES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper edges of the histogram's buckets, in seconds."""
OUTCOMES = (ACCEPTED, *REASONS.values(), NOT_A_DIGIT, UNUSUAL, UNSURE, *NUMBER_ADVICE, *STATES)
KEEP_ALIVE = 30
"""Seconds for which a connection without a request is kept open."""
GRACE = 0.25
"""Seconds at the end in which the server takes no more connections, and waits for requests that clients have already
sent."""

disable_created_metrics()  # type: ignore[no-untyped-call]


class MetricsText(Response):
    """Prometheus' text format."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4


class PdfFile(Response):
    """A PDF file."""

    media_type = "application/pdf"


class Metrics:
    """The metrics of a server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

        def made(kind: Any, name: str, text: str, *labels: str, **more: Any) -> Any:
            return kind(f"sumnist_{name}", text, labels, registry=self._registry, **more)

        seconds = "Seconds from a request's headers to the end of its answer."
        self._requests = made(Counter, "requests", "Requests answered, by route and status.", "route", "status")
        self._seconds = made(Histogram, "request_seconds", seconds, "route", buckets=EDGES)
        self._in_flight = made(Gauge, "requests_in_flight", "Requests that are being received, read or answered.")
        self._shed = made(Counter, "requests_shed", "Requests answered 503 because there was no room.")
        self._readings = made(Counter, "readings", "Pictures read: accepted, or the reason why not.", "outcome")
        by_type = "Pictures and requests that came to a problem, by its type."
        self._problems = made(Counter, "problems", by_type, "problem")
        for counts, values in ((self._seconds, TIMED), (self._readings, OUTCOMES), (self._problems, KINDS)):
            for value in values:
                counts.labels(value)  # shown as 0 until it occurs

    def begin(self) -> float:
        """Count a request that has arrived; returns the time, for `end`."""
        self._in_flight.inc()
        return time.perf_counter()

    def end(self, path: str, status: int, begun: float) -> None:
        """Count the answer to a request. If the client has given up, the `status` is 0, and only the end counts."""
        self._in_flight.dec()
        if not status:
            return
        route = "/static" if path.startswith("/static/") else path if path in ROUTES else OTHER
        self._requests.labels(route, status).inc()
        if route in TIMED:
            self._seconds.labels(route).observe(time.perf_counter() - begun)

    def count(self, outcome: str | Problem) -> None:
        """Count the outcome of a picture, one of `OUTCOMES`, or the problem with it or its request."""
        if isinstance(outcome, Problem):
            self._problems.labels(outcome.kind.slug).inc()
            self._shed.inc(outcome.kind.slug == "busy")
        else:
            self._readings.labels(outcome).inc()

    def refused(self, problem: Problem) -> None:
        """Count a connection that was closed with a problem before its request had a route."""
        self.count(problem)
        self._requests.labels(OTHER, problem.kind.status).inc()

    def answer(self) -> MetricsText:
        """All metrics, as a response."""
        return MetricsText(generate_latest(self._registry))


class Service:
    """The processes that read, their limits, and the metrics. `ready` until the server is told to end."""

    def __init__(self, settings: Settings, load: Load) -> None:
        self.settings, self.metrics, self.ready = settings, Metrics(), True
        processes = settings.workers or core_count()
        self.pool = Pool(processes, settings.queue, settings.reading_seconds, partial(answering, load))
        self.inbox = Inbox(settings)
        self.access = Access(settings.token_file, settings.allow_host)

    async def answer(
        self, request: Request, by: Callable[..., reading.Found], flags: Iterable[tuple[str, str]] = (),
        most: int | None = None,
    ) -> Response:  # fmt: skip
        """Answer a request with JSON, a PDF or a problem. The other arguments are those of its `Job`."""
        path = request.scope["path"]
        try:
            await self.pool.room()  # before the body, so that a full server spends nothing on it
            async with self.inbox.receiving(request) as body:
                wanted = frozenset(name for name, flag in flags if flag == "true")
                job = Job(body, path, by, self.settings.kept, most, wanted)
                content, outcomes = await self.pool.run(job, path)
        except ClientDisconnect:
            return Response()  # nobody receives it
        except Problem as problem:  # FastAPI would keep its traceback in a cycle, and so the body
            return self.refusal(problem, path)
        for outcome in outcomes:
            self.metrics.count(outcome)
        return Response(content, media_type=PdfFile.media_type if content.startswith(forms.PDF) else "application/json")

    def refusal(self, error: Exception, path: str) -> Response:
        """The answer to a request that failed with `error`. The error is counted, and logged if it is not the request's
        fault."""
        problem = problem_of(error)
        if problem.kind.status == 500 and problem is not error:
            LOG.error("%s failed", path, exc_info=error)
        self.metrics.count(problem)
        return answer_of(problem, path)


def answer_of(problem: Problem, path: str) -> Response:
    """The response with a problem, for a request for `path`."""
    content = json.dumps(problem.as_dict(path))  # in ASCII: a file name that is no text has no UTF-8
    return Response(content, problem.kind.status, problem.headers | NOT_KEPT, MEDIA_TYPE)


def create_app(settings: Settings, load: Load | None = None) -> FastAPI:
    """Create the application, which any ASGI server can run.

    Args:
        settings: The limits and the networks. The ASGI server, not the application, handles `host`, `port`, and the
            time limit of a request's head.
        load: Returns the reader, and the second reader or None. It is pickled, and called in each process that reads,
            and once here. By default it loads the networks of `settings`.

    Returns:
        The application; its `state.service` is the `Service`.

    Raises:
        ConfigError: The second network computes its sum, or the file of tokens is not valid.
        RunError: A file is no network of sumnist.
    """
    load = load or partial(load_readers, settings)
    exact = load()[0].exact  # before any process starts, so that a fault of a network is reported once
    service = Service(settings, load)

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
    add_paths(app, service, exact)
    files = files_of(STATIC)
    for name, answer in files.items():
        app.add_route(f"/static/{name}", answer, ["GET"], include_in_schema=False)
    for path, name in PAGES.items():
        app.add_route(path, files[name], ["GET"], include_in_schema=False)
    return app


class Envelope:
    """Counts and times the requests to an application, adds headers to its answers, and turns each error into an
    answer."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI calls it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = arrived = gone = lingers = False  # for the body; all of it; the client; after the answer
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
                    headers.append((b"connection", b"close"))  # without "100 continue" the body may or may not follow
                said = {(name, value.lower()) for name, value in (*scope["headers"], *headers)}
                closes = scope["http_version"] == "1.0" or (b"connection", b"close") in said
                lingers = status >= 400 and not arrived and closes
                await send({**message, "headers": headers})
            else:
                await send({**message, "more_body": lingers})

        begun = self._service.metrics.begin()
        method = "GET" if scope["method"] == "HEAD" else scope["method"]  # the server leaves the body out
        asking: Scope = {**scope, "method": method}
        try:
            self._service.access.check(scope)
            await self._app(asking, receiving, sending)
        except Exception as error:
            await self._service.refusal(error, path)(asking, receiving, sending)
        finally:
            self._service.metrics.end(path, status, begun)
        if lingers:  # some clients read the answer only after they have sent everything
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
    methods = (error.headers or {})["Allow"]
    allowed = "GET, HEAD" if "GET" in methods else methods
    raise Problem("method-not-allowed", f"{request.method:.20} {path:.100}: expected {allowed}", allow=allowed)


# Paths.


Flag = Literal["true", "false"]
IMAGE = "true: add what the network saw, 28 rows of 28 numbers from 0 to 1."


class Flags(BaseModel):
    """What else an answer should contain."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    image: Annotated[Flag, Query(description=IMAGE)] = "false"
    beside: Flag = "false"
    """true: add the reading of the second network, if the server has one."""
    inside: Flag = "false"
    """true: add the steps from the picture to the image that the network saw, all proposals, and the network's
    layers."""
    evidence: Flag = "false"
    """true: add which places of the image speak for which digits."""


class SheetFlags(BaseModel):
    """What else the answer about forms should contain."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    workbook: Flag = "false"
    """true: add the workbook, as `sumnist sheet read` writes it."""
    crops: Flag = "false"
    """true: add pictures of the cells that are corrected, doubtful or wrong."""


class TableFlags(BaseModel):
    """What else should be done with a table."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    workbook: Flag = "false"
    """true: add the workbook, as `sumnist table read` writes it."""
    learn: Flag = "false"
    """true: learn the writer's hand from the numbers that relations settle, and read the others again, as the command
    does; this takes about twice as long."""


def add_paths(app: FastAPI, service: Service, exact: bool) -> None:
    """Add the paths that read, and the paths that say how the server is."""
    most, of_state = service.settings.batch, problems(*models.OF_STATE)
    token = HTTPBearer(scheme_name="token", description="One of the server's tokens.", auto_error=False)
    guarded = [Depends(token)] if service.settings.token_file else []  # described here; `Access` checks it

    @app.post(
        "/v1/read", operation_id="read", summary="Read one picture and add a number", tags=["readings"],
        response_model=models.Reading, response_description="The reading, accepted or not.",
        responses=problems(*models.OF_READING), openapi_extra=body_of(AskedDigit, exact), dependencies=guarded,
    )  # fmt: skip
    async def read(request: Request, flags: Annotated[Flags, Query()]) -> Response:
        return await service.answer(request, reading.read_one, flags)

    @app.post(
        "/v1/read/batch", operation_id="readBatch", summary="Read several pictures", tags=["readings"],
        response_model=models.Readings, response_description="A reading or a problem for each picture.",
        responses=problems(*models.OF_BATCH), openapi_extra=body_of(AskedDigit, exact, most), dependencies=guarded,
    )  # fmt: skip
    async def read_batch(request: Request, image: Annotated[Flag, Query(description=IMAGE)] = "false") -> Response:
        return await service.answer(request, reading.read_all, [("image", image)], most)

    @app.post(
        "/v1/read-number", operation_id="readNumber", summary="Read a number of any length", tags=["readings"],
        response_model=models.NumberReading, response_description="The reading, accepted or not.",
        responses=problems(*models.OF_NUMBER), openapi_extra=body_of(AskedNumber), dependencies=guarded,
    )  # fmt: skip
    async def read_number(request: Request) -> Response:
        return await service.answer(request, reading.read_number)

    @app.post(
        "/v1/find", operation_id="find", summary="Find and read every number on a picture", tags=["readings"],
        response_model=models.FoundNumbers, response_description="The numbers, each accepted or not.",
        responses=problems(*models.OF_NUMBER), openapi_extra=body_of(AskedNumbers), dependencies=guarded,
    )  # fmt: skip
    async def find(request: Request) -> Response:
        return await service.answer(request, reading.find_numbers)

    @app.post(
        "/v1/sheets/form", operation_id="printForm", summary="Print a form whose total checks it", tags=["forms"],
        response_class=PdfFile, response_description="A blank form.", responses=problems(*models.OF_FORM),
        openapi_extra=body_of(bodies.AskedForm), dependencies=guarded,
    )  # fmt: skip
    async def print_form(request: Request) -> Response:
        return await service.answer(request, forms.print_form)

    @app.post(
        "/v1/sheets", operation_id="readSheets", summary="Read filled forms, checked by their totals", tags=["forms"],
        response_model=models.Sheets, response_description="A row for each form.",
        responses=problems(*models.OF_SHEETS), openapi_extra=body_of(bodies.AskedSheet, most=forms.MOST_SHEETS),
        dependencies=guarded,
    )  # fmt: skip
    async def read_sheets(request: Request, flags: Annotated[SheetFlags, Query()]) -> Response:
        return await service.answer(request, forms.read_sheets, flags, forms.MOST_SHEETS)

    @app.post(
        "/v1/tables", operation_id="readTable", summary="Read a table that somebody wrote", tags=["forms"],
        response_model=models.ReadTable, response_description="Its numbers, and the relations among them.",
        responses=problems(*models.OF_TABLE), openapi_extra=body_of(bodies.AskedPage), dependencies=guarded,
    )  # fmt: skip
    async def read_table(request: Request, flags: Annotated[TableFlags, Query()]) -> Response:
        return await service.answer(request, forms.read_table, flags)

    @app.post(
        "/v1/hands", operation_id="learnHand", summary="Learn how someone writes from labelled pictures",
        tags=["hands"], response_model=models.LearnedHand, response_description="The hand, and whether it helps.",
        responses=problems(*models.OF_HAND), openapi_extra=body_of(AskedExample, most=service.settings.examples),
        dependencies=guarded,
    )  # fmt: skip
    async def learn(request: Request) -> Response:
        return await service.answer(request, reading.learn_hand, most=service.settings.examples)

    @app.delete(
        "/v1/hands/{name}", operation_id="forgetHand", summary="Forget a hand that is kept", tags=["hands"],
        response_model=models.Status, response_description="It is gone.",
        responses=problems(*models.OF_TOKENS, "not-found"), dependencies=guarded, openapi_extra=NAMED,
    )  # fmt: skip
    async def forget(request: Request) -> Response:
        kept, name = service.settings.kept, request.path_params["name"]
        if kept is None or not kept.remove(name):
            raise Problem("not-found", f"hand {name:.40}: is not kept here")
        return JSONResponse({"status": "forgotten"}, headers=NOT_KEPT)

    @app.get(
        "/healthz", operation_id="healthz", summary="Whether the process lives", tags=["server"],
        response_model=models.Status, response_description="It does.", responses=of_state,
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
        response_class=MetricsText, response_description="Its text format.",
        responses=problems(*models.OF_TOKENS), dependencies=guarded,
    )  # fmt: skip
    async def metrics() -> Response:
        return service.metrics.answer()

    @app.get(
        "/openapi.json", operation_id="openapi", summary="This document", tags=["server"],
        response_model=dict[str, Any], response_description="OpenAPI 3.1.", responses=of_state,
    )  # fmt: skip
    async def document() -> Response:
        return JSONResponse(app.openapi(), headers=NOT_KEPT)


def files_of(folder: Path) -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """Endpoints for the files in `folder` and below, by their path from there. Each file is read once. Clients ask for
    it again by its checksum, so they see a new version at once. No other file is ever sent."""

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


# Start and end.


def serve(settings: Settings, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and then until every request that was sent is answered.

    Args:
        settings: Where to listen, with which networks, and the limits.
        started: Called once with the URL, as soon as requests are answered there.

    Raises:
        ConfigError: The server cannot listen on the address, or others can reach it without tokens or `open`; the file
            of tokens is not valid; or the second network computes its sum.
        RunError: A file is no network of sumnist.
        ServeError: The processes that read cannot start, or cannot start again.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")  # the server's log is on stderr
    return_freed_memory()
    app = create_app(settings)
    host, port = settings.host, settings.port
    with listening(host, port, f"--host {host} --port {port}") as listener:
        check_open(listener.getsockname()[0], settings.token_file, settings.open)
        if settings.token_file is not None and hasattr(signal, "SIGHUP"):  # Windows has none
            signal.signal(signal.SIGHUP, lambda *_: app.state.service.access.reload())
        server = ReadingServer(app, app.state.service, lambda: started(url_of(listener)))
        server.run(sockets=[listener])
    if server.failure is not None:
        raise server.failure


def listening(host: str, port: int, flags: str) -> socket.socket:
    """A socket bound to the address; messages name the address by `flags`. Raises `ConfigError`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise ConfigError(
            f"{flags}: cannot listen there ({reason}), expected an address of this machine and a free port: choose "
            "another one, or --port 0 for any"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL at which a socket listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class TellingServer(Server):
    """uvicorn's server, which also reports when it can be asked, and ends without complaint, within `end_seconds`. A
    request must arrive within `receive_seconds`."""

    def __init__(
        self, app: ASGIApp, receive_seconds: float, end_seconds: int, metrics: Metrics, started: Callable[[], None]
    ) -> None:
        super().__init__(
            Config(
                app, http=protocol_with(receive_seconds, metrics.refused), ws="none", lifespan="on", log_level="error",
                access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=end_seconds,
            )
        )  # fmt: skip
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and report it."""
        await super().startup(sockets)
        self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on SIGTERM or Ctrl-C; on a second one, at once."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True


class ReadingServer(TellingServer):
    """A server that, before it ends, reports for a while that it is not ready, so that a load balancer notices."""

    def __init__(self, app: ASGIApp, service: Service, started: Callable[[], None]) -> None:
        settings = service.settings
        end_seconds = int(settings.receive_seconds + settings.reading_seconds) + 5
        super().__init__(app, settings.receive_seconds, end_seconds, service.metrics, started)
        self._service = service
        self._end = math.inf
        self.failure: ServeError | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen once a process can read, and report it."""
        try:
            await self._service.pool.start()
        except ServeError as error:
            self.failure = error
            self.should_exit = True
            return
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End `drain_seconds` after SIGTERM or Ctrl-C; on a second one, at once."""
        del sig, frame
        if self._service.ready:
            self._service.ready = False
            self._end = time.monotonic() + self._service.settings.drain_seconds
        else:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Check ten times a second whether to end."""
        self.failure = self._service.pool.failure
        if self.failure is not None or time.monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, wait for requests that are about to arrive, and answer all."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(GRACE)
        await super().shutdown(sockets)

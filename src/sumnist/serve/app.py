"""Answers HTTP requests: the table of paths, headers, metrics and errors of the server, and how it starts and ends.

One process moves bytes; the processes of its pool read pictures.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import FIRST_COMPLETED
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server

from sumnist.batch.pool import Pool, WorkerError
from sumnist.environment import core_count
from sumnist.errors import ConfigError, ServeError
from sumnist.inference.numbers import NUMBER_ADVICE
from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE, UNUSUAL
from sumnist.memory import return_freed_memory
from sumnist.serve import bodies, forms, models, reading
from sumnist.serve.access import Access, check_open
from sumnist.serve.bodies import Asked, Inbox, body_of
from sumnist.serve.problems import KINDS, MEDIA_TYPE, Problem, problem_of
from sumnist.serve.protocol import LINGER, MOST_HEAD, connection_with
from sumnist.serve.reading import ACCEPTED, Answer, Job, Load, answering, load_readers
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
KEEP_ALIVE = 30
"""Seconds for which a connection without a request is kept open."""
GRACE = 0.25
"""Seconds at the end in which the server takes no more connections, and waits for requests that clients have already
sent."""
HOLD = 1.0
"""Seconds for which a request waits for room before it is refused: without the wait, clients that ask again at once
would take the processor from the processes that read."""

PDF = "application/pdf"

disable_created_metrics()  # type: ignore[no-untyped-call]

# The table of paths.


@dataclass(frozen=True)
class Operation:
    """A path of the server, and what it answers.

    Attributes:
        path: The path itself.
        name: The name of the operation.
        tag: The group of the document.
        summary: What it does.
        told: What the answer is.
        answer: The model of the answer, or its media type.
        problems: The kinds of problems that it may have.
        by: The function that answers in a process of the pool, or the method of `Service` that answers at once.
        asks: The class of its requests; None if it has no body.
        flags: What else a client may ask for, by the parameter of the query, with descriptions.
        most: The most pictures of a batch, or the setting that says it; None if it is no batch.
        method: The method; a path for GET answers HEAD, too.
    """

    path: str
    name: str
    tag: str
    summary: str
    told: str
    answer: Any
    problems: tuple[str, ...]
    by: Callable[..., Any]
    asks: type[Asked] | None = None
    flags: dict[str, str] = field(default_factory=dict)
    most: Callable[[Settings], int] | None = None
    method: str = "POST"

    def needs_token(self, settings: Settings) -> bool:
        """Whether a client must send a token."""
        return settings.token_file is not None and "unauthorized" in self.problems

    def described(self, settings: Settings, exact: bool) -> dict[str, Any]:
        """The operation of the OpenAPI document. `exact`: whether the network adds any number."""
        media, schema = "application/json", {"$ref": f"#/components/schemas/{getattr(self.answer, '__name__', '')}"}
        if not hasattr(self.answer, "model_fields"):
            media, schema = self.answer, {"type": "object" if self.answer == media else "string"}
        most = self.most and self.most(settings)
        flags: list[dict[str, Any]] = [
            {"name": name, "in": "query", "description": f"true: {text}",
             "schema": {"enum": ["true", "false"], "type": "string", "default": "false"}}
            for name, text in self.flags.items()
        ]  # fmt: skip
        names = re.findall(r"{(\w+)}", self.path)
        of_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
        return {
            "operationId": self.name, "tags": [self.tag], "summary": self.summary,
            **({"parameters": of_path + flags} if of_path or flags else {}),
            **({} if self.asks is None else {"requestBody": body_of(self.asks, exact, most)}),
            "responses": {"200": {"description": self.told, "content": {media: {"schema": schema}}}}
            | models.responses(self.problems),
            **({"security": [{"token": []}]} if self.needs_token(settings) else {}),
        }  # fmt: skip

    def wanted(self, request: Request) -> frozenset[str]:
        """The flags that are true. Raises `Problem`."""
        for name in self.flags:
            if request.query_params.get(name, "false") not in ("true", "false"):
                bodies.invalid(f"{name} {request.query_params[name]!r:.40}: expected true or false")
        return frozenset(name for name in self.flags if request.query_params.get(name) == "true")


IMAGE = {"image": "add what the network saw, 28 rows of 28 numbers from 0 to 1."}
WORKBOOK = "add the workbook, as `sumnist {} read` writes it."

OPERATIONS = (
    Operation(
        "/v1/read", "read", "readings", "Read one picture and add a number", "The reading, accepted or not.",
        models.Reading, models.MayHave.reading, reading.read_one, bodies.AskedDigit, IMAGE | {
            "beside": "add the reading of the second network, if the server has one.",
            "inside": "add the steps from the picture to the image that the network saw, all proposals, and the "
            "network's layers.",
            "evidence": "add which places of the image speak for which digits.",
        },
    ),
    Operation(
        "/v1/read/batch", "readBatch", "readings", "Read several pictures",
        "A reading or a problem for each picture.", models.Readings, models.MayHave.batch, reading.read_all,
        bodies.AskedDigit, IMAGE, lambda settings: settings.batch,
    ),
    Operation(
        "/v1/read-number", "readNumber", "readings", "Read a number of any length", "The reading, accepted or not.",
        models.NumberReading, models.MayHave.number, reading.read_number, bodies.AskedNumber,
    ),
    Operation(
        "/v1/find", "find", "readings", "Find and read every number on a picture",
        "The numbers, each accepted or not.", models.FoundNumbers, models.MayHave.number, reading.find_numbers,
        bodies.AskedNumbers,
    ),
    Operation(
        "/v1/sums", "checkSums", "readings", "Check the sums on a picture", "The sums, each with its verdict.",
        models.PaperSums, models.MayHave.number, reading.check_sums, bodies.AskedSums,
    ),
    Operation(
        "/v1/sheets/form", "printForm", "forms", "Print a form whose total checks it", "A blank form.",
        PDF, models.MayHave.form, forms.print_form, bodies.AskedForm,
    ),
    Operation(
        "/v1/sheets", "readSheets", "forms", "Read filled forms, checked by their totals", "A row for each form.",
        models.Sheets, models.MayHave.sheets, forms.read_sheets, bodies.AskedSheet, {
            "workbook": WORKBOOK.format("sheet"),
            "crops": "add pictures of the cells that are corrected, doubtful or wrong.",
        }, lambda _: forms.MOST_SHEETS,
    ),
    Operation(
        "/v1/tables", "readTable", "forms", "Read a table that somebody wrote",
        "Its numbers, and the relations among them.", models.ReadTable, models.MayHave.table, forms.read_table,
        bodies.AskedPage, {
            "workbook": WORKBOOK.format("table"),
            "learn": "learn the writer's hand from the numbers that relations settle, and read the others again, as "
            "the command does; this takes about twice as long.",
        },
    ),
    Operation(
        "/v1/hands", "learnHand", "hands", "Learn how someone writes from labelled pictures",
        "The hand, and whether it helps.", models.LearnedHand, models.MayHave.hand, reading.learn_hand,
        bodies.AskedExample,
        most=lambda settings: settings.examples,
    ),
    Operation(
        "/v1/hands/{name}", "forgetHand", "hands", "Forget a hand that is kept", "It is gone.", models.Status,
        (*models.MayHave.tokens, "not-found"), lambda service, name: service.forget(name), method="DELETE",
    ),
    Operation(
        "/healthz", "healthz", "server", "Whether the process lives", "It does.", models.Status, models.MayHave.state,
        lambda service: service.said("alive"), method="GET",
    ),
    Operation(
        "/readyz", "readyz", "server", "Whether to send requests here", "The network is loaded.", models.Status,
        (*models.MayHave.state, "not-ready"), lambda service: service.said("ready"), method="GET",
    ),
    Operation(
        "/metrics", "metrics", "server", "Counts and times, for Prometheus", "Its text format.",
        CONTENT_TYPE_PLAIN_0_0_4, models.MayHave.tokens, lambda service: service.metrics.answer(), method="GET",
    ),
    Operation(
        "/openapi.json", "openapi", "server", "This document", "OpenAPI 3.1.", "application/json", models.MayHave.state,
        lambda service: service.document(), method="GET",
    ),
)  # fmt: skip
"""Every path of the API: the routes, the document, and the metrics are made from it."""
TIMED = [one.path for one in OPERATIONS if one.asks is not None]
EDGES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper edges of the histogram's buckets, in seconds."""
OUTCOMES = (ACCEPTED, *REASONS.values(), NOT_A_DIGIT, UNUSUAL, UNSURE, *NUMBER_ADVICE, *STATES)


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
        known = [one.path for one in OPERATIONS] + ["/docs", "/"]
        route = "/static" if path.startswith("/static/") else path if path in known else "other"
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
        self._requests.labels("other", problem.kind.status).inc()

    def answer(self) -> Response:
        """All metrics, as a response."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class Service:
    """The processes that read, their limits, and the metrics. `ready` until the server is told to end.

    Args:
        settings: As for `create_app`.
        load: As for `create_app`.
    """

    def __init__(self, settings: Settings, load: Load) -> None:
        self.settings, self.metrics, self.ready = settings, Metrics(), True
        self.exact = load()[0].exact  # before any process starts, so that a fault of a network is reported once
        self.inbox, self.access = Inbox(settings), Access(settings.token_file, settings.allow_host)
        if settings.kept is not None:
            settings.kept.make()
        self._processes, self._taken = settings.workers or core_count(), 0
        self.pool: Pool[Job, Answer] = Pool(self._processes, partial(answering, load))
        self._started: list[Any] = []

    @property
    def failure(self) -> ServeError | None:
        """Why no picture can be read any more; None while pictures can be read."""
        fault = self.pool.failure if self.ready else None
        return None if fault is None else ServeError(f"no process that reads can start: {fault}")

    async def start(self) -> None:
        """Start the processes, and return when the first of them can read. Raises `ServeError` if none can."""
        self._started = self._started or [self.pool.submit(None) for _ in range(self._processes)]
        with suppress(Exception):
            await asyncio.wrap_future(self._started[0])
        if self.failure is not None:
            raise self.failure

    async def answer(self, operation: Operation, request: Request) -> Response:
        """Answer a request with JSON, a PDF or a problem."""
        path = request.scope["path"]
        try:
            if operation.asks is None:
                answer: Response = operation.by(self, **request.path_params)
                return answer
            wanted, most = operation.wanted(request), operation.most and operation.most(self.settings)
            await self._room()  # before the body, so that a full server spends nothing on it
            async with self.inbox.receiving(request) as body:
                job = Job(body, path, operation.by, self.settings.kept, most, wanted)
                content, outcomes = await self._read(job, request)
        except ClientDisconnect:
            return Response()  # nobody receives it
        except Exception as error:
            return self.refusal(error, path)
        for outcome in outcomes:
            self.metrics.count(outcome)
        return Response(content, media_type=PDF if content.startswith(forms.PDF) else "application/json")

    async def _room(self) -> None:
        """Return when there is room for a job. Raises `Problem` if there is still none after a moment."""
        room = self._processes + self.settings.queue
        for left in (True, False):
            if self._taken < room:
                return
            if left:
                await asyncio.sleep(HOLD)
        raise Problem("busy", f"{room} requests are being read or wait already: try again in a second")

    async def _read(self, job: Job, request: Request) -> Answer:
        """The answer of a process to a job. A job that has not begun is given up if the client leaves, and a process
        that takes too long is killed. Raises `Problem`, `ClientDisconnect`."""
        await self._room()
        self._taken += 1
        task = self.pool.submit(job)
        done = asyncio.wrap_future(task)
        gone: asyncio.Future[Any] = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait([done, gone], timeout=self.settings.reading_seconds, return_when=FIRST_COMPLETED)
            if not done.done() and gone.done():
                raise ClientDisconnect
            if not done.done():
                self.pool.stop(task)
                detail = f"no reading within {self.settings.reading_seconds:g} seconds"
                raise Problem("reading-timeout", f"{detail}: try again, or with smaller or fewer pictures")
            died = done.exception()
            if isinstance(died, WorkerError):
                LOG.error("%s failed: %s", job.path, died)
                raise Problem("internal", f"{died}: send it again, or without the picture that it died of")
            if isinstance(died, Exception):
                raise problem_of(died)  # another object, since the task and the error hold each other
            return done.result()
        finally:
            self._taken -= 1
            gone.cancel()
            done.cancel()

    def refusal(self, error: Exception, path: str) -> Response:
        """The answer to a request that failed with `error`. The error is counted, and logged if it is not the request's
        fault."""
        problem = problem_of(error)
        if problem.log is not None:
            LOG.error("%s failed: %s", path, problem.log)
        self.metrics.count(problem)
        return answer_of(problem, path)

    # What is answered at once.

    def said(self, state: str) -> Response:
        """That the server is alive, or ready. Raises `Problem` if it is not ready."""
        if state == "ready" and not self.ready:
            raise Problem("not-ready", "this server ends as soon as it has answered: ask another one")
        return JSONResponse({"status": state}, headers=NOT_KEPT)

    def forget(self, name: str) -> Response:
        """Forget a hand. Raises `Problem` if none is kept by this name."""
        kept = self.settings.kept
        if kept is None or not kept.remove(name):
            raise Problem("not-found", f"hand {name:.40}: is not kept here")
        return self.said("forgotten")

    def document(self) -> Response:
        """The OpenAPI document."""
        paths: dict[str, Any] = {}
        for one in OPERATIONS:
            paths.setdefault(one.path, {})[one.method.lower()] = one.described(self.settings, self.exact)
        answers = [one.answer for one in OPERATIONS if hasattr(one.answer, "model_fields")]
        token = {"type": "http", "scheme": "bearer", "description": "One of the server's tokens."}
        components: dict[str, Any] = {"schemas": models.schemas(answers)}
        if self.settings.token_file is not None:
            components["securitySchemes"] = {"token": token}
        info = {"title": "Sumnist", "version": version("sumnist"), "description": models.SUMMARY}
        document = {"openapi": "3.1.0", "info": info, "paths": paths, "components": components}
        return JSONResponse(document, headers=NOT_KEPT)


def answer_of(problem: Problem, path: str) -> Response:
    """The response with a problem, for a request for `path`."""
    content = json.dumps(problem.as_dict(path))  # in ASCII: a file name that is no text has no UTF-8
    return Response(content, problem.kind.status, problem.headers | NOT_KEPT, MEDIA_TYPE)


def create_app(settings: Settings, load: Load | None = None) -> Starlette:
    """Create the application, which any ASGI server can run.

    Args:
        settings: The limits and the networks. The ASGI server, not the application, handles `host`, `port`, and the
            time limit of a request's head.
        load: Returns the reader, and the second reader or None. It is pickled, and called in each process that reads,
            and once here. By default it loads the networks of `settings`.

    Returns:
        The application; its `state.service` is the `Service`.

    Raises:
        ConfigError: The second network computes its sum, or the file of tokens or the folder of hands is not valid.
        RunError: A file is no network of sumnist.
    """
    service = Service(settings, load or partial(load_readers, settings))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await service.start()
        yield
        service.ready = False
        await asyncio.to_thread(service.pool.close)

    files = files_of(STATIC)
    sent = {f"/static/{name}": file for name, file in files.items()} | {path: files[at] for path, at in PAGES.items()}
    app = Starlette(
        routes=[Route(one.path, partial(service.answer, one), methods=[one.method]) for one in OPERATIONS]
        + [Route(path, file, methods=["GET"]) for path, file in sent.items()],
        exception_handlers={HTTPException: refused}, lifespan=lifespan,
    )  # fmt: skip
    app.router.redirect_slashes = False
    app.add_middleware(Envelope, service=service)
    app.state.service = service
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
        path, asked = scope["path"], dict(scope["headers"])
        whole = asked.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in asked
        status, gone, expects = 0, False, b"expect" in asked  # expects: the body may follow only if it is asked for

        async def receiving() -> Message:
            nonlocal whole, gone, expects
            message = await receive()
            whole = whole or not message.get("more_body", False)
            gone, expects = message["type"] == "http.disconnect", False
            return message

        async def sending(message: Message) -> None:
            nonlocal status
            if gone:
                return
            if message["type"] == "http.response.start":
                status, headers = message["status"], [*message["headers"], *HEADERS]
                if not self._service.ready or expects:
                    headers.append((b"connection", b"close"))
                said = {(name, value.lower()) for name, value in (*scope["headers"], *headers)}
                closes = scope["http_version"] == "1.0" or (b"connection", b"close") in said
                if status >= 400 and closes and not expects:
                    with suppress(TimeoutError):  # some clients read the answer only after they have sent everything
                        async with asyncio.timeout(LINGER):
                            while not whole:
                                await receiving()
                message["headers"] = headers
            await send(message)

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


async def refused(request: Request, error: Exception) -> Response:
    """Raise the `Problem` with a request that no operation answers."""
    path = request.scope["path"]
    if not isinstance(error, HTTPException) or error.status_code != 405:
        raise Problem("not-found", f"{path:.100}: expected one of the paths that /openapi.json lists")
    methods = (error.headers or {})["Allow"]
    allowed = "GET, HEAD" if "GET" in methods else methods
    raise Problem("method-not-allowed", f"{request.method:.20} {path:.100}: expected {allowed}", allow=allowed)


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
                app, http=connection_with(receive_seconds, metrics.refused), ws="none", lifespan="on",
                log_level="error", access_log=False, server_header=False, proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=end_seconds, h11_max_incomplete_event_size=MOST_HEAD,
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
            await self._service.start()
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
        self.failure = self._service.failure
        if self.failure is not None or time.monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, wait for requests that are about to arrive, and answer all."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(GRACE)
        await super().shutdown(sockets)

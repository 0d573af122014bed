"""Extends uvicorn's HTTP connections: limits are added, and each request is answered in order, whatever the client
does.

The limits are on the time and size of a request's head, on the time of its body, on the requests that wait behind it,
and on connections. A request that breaks a limit gets a problem as its answer, like every other error.

We extend uvicorn because plain uvicorn failed 16 of the 32 tests of connections that existed when we tried it (with its
h11 protocol, which is stricter than its httptools protocol). Input that is not HTTP gets a bare 400 or nothing, before
the answers that are due. The bytes around chunks and the waiting requests have no limit. A client that has sent
everything is taken for a client that is gone, and work for a client that is gone goes on. Two hundred lines over
uvicorn's class mend that, so its version is capped. Everything else that needs care (slow bodies, answers to bodies
that are still arriving, the end of the server) is done in `app`, without uvicorn's internals.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Literal

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sumnist.serve.problems import MEDIA_TYPE, Problem

MOST_HEAD = 64 * 1024
"""The most bytes of a request's line and headers, and of the headers after a body."""
MOST_WAITING = 100
"""The most requests without an answer on one connection; one more is answered 503 after them, and the connection is
closed."""
MOST_CONNECTIONS = 1000
"""The most connections of a worker; one more is answered 503 and closed."""
LATER = 2.0
"""Seconds after which a late body is cut off if the application has not refused it, or if nobody reads it."""
LINGER = 2.0
"""Seconds for which the server throws away what a client still sends after its answer. If it closed the connection at
once, the system would reset it, and the client would not see the answer."""


class Protocol(HttpToolsProtocol):
    """uvicorn's connection, with limits. A request must arrive, and the first one begin, within `seconds`. `count` is
    called with the problem of each request that is refused before it has a route.

    A `Problem` that is raised in a method that the parser calls refuses the request that is arriving.
    """

    seconds: float
    count: Callable[[Problem], None]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.app = self._answer
        self._task: asyncio.Task[None] | None = None  # of the request that is answered now
        self._waiting: deque[RequestResponseCycle] = deque()  # the requests without an answer, the current one first
        self._incoming: Literal["nothing", "head", "body"] = "nothing"
        self._bytes = 0  # of the arriving head, or since the last bytes of a body
        self._refused = False  # nothing is read any more
        self._refusal: Problem | None = None  # the last answer
        self._linger = LINGER
        self._deadline: asyncio.TimerHandle | None = None

    # The event loop calls these.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._set_deadline(self.seconds)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(Problem("busy", f"{MOST_CONNECTIONS:,} connections are open: try again in a second"), linger=0)

    def data_received(self, data: bytes) -> None:
        """Some bytes have arrived."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._bytes += len(data)
        try:
            self._parse(memoryview(data))
        except HttpParserError as error:
            cause = error.__context__  # raised in one of the methods below
            reason = error if cause is None else "the target is no path"
            self._refuse(cause if isinstance(cause, Problem) else malformed(f"not HTTP ({reason}): expected HTTP/1.1"))
            return
        if self._incoming == "nothing":
            return
        if self._bytes > MOST_HEAD:
            self._refuse(too_large())
        elif self._deadline is None:
            self._set_deadline(self.seconds)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may still listen. Returns whether the connection stays open for its answers."""
        if self._refused:
            self._linger = 0
        elif self._incoming != "nothing":
            detail = "the connection was closed in the middle of a request: expected all of it: send it again"
            self._refuse(malformed(detail), linger=0)
        elif self._waiting:
            self._waiting[-1].keep_alive = False
        return bool(self._waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: requests without an answer are given up."""
        self._set_deadline(None)
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        for cycle in self._waiting:
            cycle.disconnected = True
        super().connection_lost(exc)
        if self._waiting and self._task is not None:
            self._task.cancel()

    # The parser calls these.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if len(self._waiting) >= MOST_WAITING:
            raise Problem("busy", f"{MOST_WAITING} requests wait on this connection: wait for their answers")
        super().on_message_begin()
        self._incoming = "head"
        self._set_deadline(None)  # the connection's deadline

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of a request; a header after the body is ignored."""
        if self._incoming == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """All headers are there; the application begins."""
        if self.parser.get_method() == b"CONNECT":
            raise malformed("CONNECT: expected another method: this server is no proxy")
        if self.parser.should_upgrade():  # the head is parsed again without the upgrade
            return
        version = self.parser.get_http_version()
        if version == "0.9":
            raise malformed("a request without a version: expected HTTP/1.1")
        self.expect_100_continue &= version == "1.1"
        if self._bytes > MOST_HEAD and sum(len(name) + len(value) + 4 for name, value in self.headers) > MOST_HEAD:
            raise too_large()
        super().on_headers_complete()
        self._waiting.append(self.cycle)
        self._incoming = "body"

    def on_body(self, body: bytes) -> None:
        """Some bytes of a body."""
        self._bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._incoming, self._bytes = "nothing", 0
        self._set_deadline(None)
        if not self.parser.should_keep_alive():  # a header after the body may say so: the parser has ended
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def _parse(self, data: memoryview) -> None:
        """Parse bytes that have arrived. An upgrade is never accepted: if the parser stops for one, the head is parsed
        again without the header that offers it."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
            version = self.parser.get_http_version().encode()
            lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
            lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = HttpRequestParser(self)  # the old parser may have ended with this head
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    # The application's side calls these.

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application; it is stopped when the client leaves."""
        self._task = asyncio.current_task()
        try:
            await self.config.loaded_app(scope, receive, send)
        except asyncio.CancelledError:
            if not self.transport.is_closing():
                raise

    def on_response_complete(self) -> None:
        """A request is answered; it is the next one's turn."""
        self._waiting.popleft()
        super().on_response_complete()
        if self._refused:
            self._end()
        elif self._incoming != "nothing":  # reading may have paused meanwhile
            self._set_deadline(self.seconds)

    # Limits.

    def _set_deadline(self, seconds: float | None) -> None:
        """Set the time in which the next request must arrive. None cancels it, once the request has arrived or the
        connection is closed."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._incoming == "nothing":
            self.transport.close()
        elif self.flow.read_paused:
            self._set_deadline(self.seconds)
        elif self._incoming == "head":
            detail = f"the headers were not complete after {self.seconds:g} seconds: send them faster"
            self._refuse(Problem("request-timeout", detail))
        else:  # the application has the same limit, and refuses the body if it reads it
            self._deadline = self.loop.call_later(LATER, self.transport.abort)

    def _refuse(self, problem: Problem, linger: float = LINGER) -> None:
        """Answer the arriving request with a problem, after the requests before it, and close after `linger`
        seconds."""
        self._refused, self._refusal, self._linger = True, problem, linger
        self._set_deadline(None)
        if self._incoming == "body":  # the application has the request, but will not get all of it
            if self.cycle.response_started:
                self._refusal = None
            if self._waiting and self._waiting[-1] is self.cycle:
                self._waiting.pop()
            if self.pipeline:
                self.pipeline.popleft()
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._end()

    def _end(self) -> None:
        """Close the connection, with the refusal as the last answer, unless answers before it are still due."""
        if self._waiting or self.transport.is_closing():
            return
        if self._refusal is not None:
            self.count(self._refusal)
            self.transport.write(response(self._refusal))
        self.flow.resume_reading()
        self.loop.call_later(self._linger, self.transport.close)


def malformed(detail: str) -> Problem:
    """The problem with input that is no request."""
    return Problem("malformed-request", detail)


def too_large() -> Problem:
    """The problem with a head that is too large."""
    return Problem("headers-too-large", f"more than {MOST_HEAD:,} bytes of headers: send fewer or shorter ones")


def response(problem: Problem) -> bytes:
    """The bytes of a whole response, after which the connection is closed."""
    content = json.dumps(problem.as_dict("")).encode()
    status = HTTPStatus(problem.kind.status)
    headers = problem.headers | {
        "content-type": MEDIA_TYPE, "content-length": str(len(content)), "connection": "close",
        "x-content-type-options": "nosniff",
    }  # fmt: skip
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def protocol_with(seconds: float, count: Callable[[Problem], None]) -> type[Protocol]:
    """The class of connections with these limits."""
    return type("Protocol", (Protocol,), {"seconds": seconds, "count": staticmethod(count)})

"""A connection of uvicorn's with what uvicorn lacks: an answer to each request, in order, whatever else a client sends,
offers or stops sending; and limits on the time and size of a request's head, on the time of its body, on the requests
that wait behind it, and on connections. What breaks them is answered as a problem, like all other errors.

Why it is our own: behind plain uvicorn (its h11 protocol, which is stricter than that on httptools) 16 of the 32 tests
of connections that there were when it was tried failed. What is no HTTP gets a bare 400 or nothing, before the answers
due; what stands around chunks and the requests that wait are not bounded; a client that has sent all is taken for one
that is gone, and the work of one that is gone goes on. Two hundred lines over its class mend that; its version is
capped. Everything else that needs care (slow bodies, answers to bodies that are still coming in, the end of the server)
is done in `app`, without uvicorn's internals.
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
"""Bytes of a request's line and headers, and of those after a body."""
MOST_WAITING = 100
"""Requests without an answer on one connection; one more is answered 503 after them, and the connection closed."""
MOST_CONNECTIONS = 1000
"""Connections of a worker; one more is answered 503 and closed."""
LATER = 2.0
"""Seconds after which a body is cut off that the application should have refused in time, or that nobody reads."""
LINGER = 2.0
"""Seconds for which what a client still sends after its answer is thrown away: if the connection were closed at once,
the system would reset it, and the client would not see the answer."""


class Protocol(HttpToolsProtocol):
    """uvicorn's, with limits. `seconds`: the longest time for a request to come in, and for the first to begin. `count`
    is told of what is refused before its request has a route.

    A `Problem` that is raised in what the parser calls refuses what is coming in.
    """

    seconds: float
    count: Callable[[Problem], None]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.app = self._answer
        self._task: asyncio.Task[None] | None = None  # of the request that is being answered
        self._waiting: deque[RequestResponseCycle] = deque()  # the requests without an answer, that one first
        self._incoming: Literal["nothing", "head", "body"] = "nothing"
        self._bytes = 0  # of the head that is coming in, or since the last of a body
        self._refused = False  # nothing is read any more
        self._refusal: Problem | None = None  # the last answer
        self._linger = LINGER
        self._deadline: asyncio.TimerHandle | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._set_deadline(self.seconds)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(Problem("busy", f"{MOST_CONNECTIONS:,} connections are open: try again in a second"), linger=0)

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._bytes += len(data)
        try:
            self._parse(memoryview(data))
        except HttpParserError as error:
            cause = error.__context__  # what was raised in one of the methods below
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
        """The client sends no more, but may still listen. Whether the connection stays open, for what it asked."""
        if self._refused:
            self._linger = 0
        elif self._incoming != "nothing":
            detail = "the connection was closed in the middle of a request: expected all of it: send it again"
            self._refuse(malformed(detail), linger=0)
        elif self._waiting:
            self._waiting[-1].keep_alive = False
        return bool(self._waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: what is not answered is given up."""
        self._set_deadline(None)
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        for cycle in self._waiting:
            cycle.disconnected = True
        super().connection_lost(exc)
        if self._waiting and self._task is not None:
            self._task.cancel()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if len(self._waiting) >= MOST_WAITING:
            raise Problem("busy", f"{MOST_WAITING} requests wait on this connection: wait for their answers")
        super().on_message_begin()
        self._incoming = "head"
        self._set_deadline(None)  # of the connection

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or one after a body, which does not matter."""
        if self._incoming == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """All headers are there; the application begins."""
        if self.parser.get_method() == b"CONNECT":
            raise malformed("CONNECT: expected another method: this server is no proxy")
        if self.parser.should_upgrade():  # and comes again without it
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
        if not self.parser.should_keep_alive():  # as a header after the body may say: the parser has ended
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def _parse(self, data: memoryview) -> None:
        """Parse what has come. An upgrade is never taken: where the parser stops for one, the head is parsed again
        without the header that offers it."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
            version = self.parser.get_http_version().encode()
            lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
            lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = HttpRequestParser(self)  # the old one may have ended with this head
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    # What the application's side calls.

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """The application, which is stopped when the client goes away."""
        self._task = asyncio.current_task()
        try:
            await self.config.loaded_app(scope, receive, send)
        except asyncio.CancelledError:
            if not self.transport.is_closing():
                raise

    def on_response_complete(self) -> None:
        """A request is answered; the next one's turn has come."""
        self._waiting.popleft()
        super().on_response_complete()
        if self._refused:
            self._end()
        elif self._incoming != "nothing":  # it may not have been read meanwhile
            self._set_deadline(self.seconds)

    # Limits.

    def _set_deadline(self, seconds: float | None) -> None:
        """Within `seconds` a request must have come in; None: it has, or the connection is closed."""
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
        else:  # the application, which has the same limit, refuses the body if it reads it
            self._deadline = self.loop.call_later(LATER, self.transport.abort)

    def _refuse(self, problem: Problem, linger: float = LINGER) -> None:
        """Answer what is coming in with a problem, after what came before it, and close after `linger` seconds."""
        self._refused, self._refusal, self._linger = True, problem, linger
        self._set_deadline(None)
        if self._incoming == "body":  # the application has the request, but will not have all of it
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
        """Close, with the refusal as the last answer, if none is owed before it."""
        if self._waiting or self.transport.is_closing():
            return
        if self._refusal is not None:
            self.count(self._refusal)
            self.transport.write(response(self._refusal))
        self.flow.resume_reading()
        self.loop.call_later(self._linger, self.transport.close)


def malformed(detail: str) -> Problem:
    """That what came is no request."""
    return Problem("malformed-request", detail)


def too_large() -> Problem:
    """That a head is too large."""
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

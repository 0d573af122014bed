"""A connection of uvicorn's with the limits that uvicorn lacks: on the time and size of a request's head, on the time
of its body, and on the number of connections. What breaks them is answered as a problem, like all other errors.

Everything else that needs care (slow bodies, answers to bodies that are still coming in, the end of the server) is done
in the application and in `server`, without uvicorn's internals.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sumnist.serve.metrics import Metrics
from sumnist.serve.problems import MEDIA_TYPE, Problem

__all__ = ["LINGER", "protocol_with"]

MOST_HEAD = 64 * 1024
"""Bytes of a request's line and headers."""
MOST_CONNECTIONS = 1000
"""Connections of a worker; one more is answered 503 and closed."""
LATER = 2.0
"""Seconds after which a body is cut off that the application should have refused in time, or that nobody reads."""
LINGER = 2.0
"""Seconds for which what a client still sends after its answer is thrown away: if the connection were closed at once,
the system would reset it, and the client would not see the answer."""


class Protocol(HttpToolsProtocol):
    """uvicorn's, with limits. `seconds`: the longest time for a request to come in, and for the first to begin."""

    seconds: float
    metrics: Metrics

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._incoming: Literal["nothing", "head", "body"] = "nothing"
        self._bytes = 0  # of the request that is coming in
        self._refused = False
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
        self._bytes += len(data)
        super().data_received(data)
        if self._incoming == "head" and self._bytes > MOST_HEAD:
            detail = f"more than {MOST_HEAD:,} bytes of headers: send fewer or shorter ones"
            self._refuse(Problem("headers-too-large", detail))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._set_deadline(None)
        super().connection_lost(exc)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._incoming = "head"
        self._set_deadline(self.seconds)

    def on_headers_complete(self) -> None:
        """All headers are there; the application begins."""
        super().on_headers_complete()
        self._incoming = "body"

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        super().on_message_complete()
        self._incoming, self._bytes = "nothing", 0
        self._set_deadline(None)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        self._refuse(Problem("malformed-request", f"{msg.rstrip('.').lower()}: expected HTTP/1.1"))

    # Limits.

    def _set_deadline(self, seconds: float | None) -> None:
        """Within `seconds` a request must have come in; None: it has, or the connection is closed."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._incoming == "nothing":
            self.transport.close()
        elif self._incoming == "head":
            detail = f"the headers were not complete after {self.seconds:g} seconds: send them faster"
            self._refuse(Problem("request-timeout", detail))
        else:  # the application, which has the same limit, refuses the body if it reads it
            self._deadline = self.loop.call_later(LATER, self.transport.abort)

    def _refuse(self, problem: Problem, linger: float = LINGER) -> None:
        """Answer with a problem, without the application, and close after `linger` seconds."""
        self._refused = True
        self._set_deadline(None)
        self.metrics.refused(problem)
        self.transport.write(response(problem))
        self.loop.call_later(linger, self.transport.close)


def response(problem: Problem) -> bytes:
    """The bytes of a whole response, after which the connection is closed."""
    content = problem.as_json("")
    status = HTTPStatus(problem.kind.status)
    headers = problem.headers | {
        "content-type": MEDIA_TYPE, "content-length": str(len(content)), "connection": "close",
        "x-content-type-options": "nosniff",
    }  # fmt: skip
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def protocol_with(seconds: float, metrics: Metrics) -> type[Protocol]:
    """The class of connections with these limits."""
    return type("Protocol", (Protocol,), {"seconds": seconds, "metrics": metrics})

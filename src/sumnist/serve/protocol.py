"""A connection, held to limits that uvicorn does not have: time and size of a request's head, and a number of
connections. It refuses in the shape of all other errors, and ends without losing a request that is on its way."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sumnist.serve.metrics import Metrics
from sumnist.serve.problems import KINDS, MEDIA_TYPE, Problem

__all__ = ["MOST_CONNECTIONS", "MOST_HEAD", "Protocol", "protocol_with"]

MOST_HEAD = 64 * 1024
"""Bytes of a request's line and headers."""
MOST_CONNECTIONS = 1000
"""Connections of a worker; one more is answered 503 and closed."""
LATER = 2.0
"""Seconds after which a request is cut by force that the application should have refused in time."""
LINGER = 2.0
"""Seconds for which what a client still sends after its answer is thrown away before the connection is closed."""
GRACE = 0.25
"""Seconds for which a connection stays open at the end, for a request that was sent before its client could know."""


class Lingering:
    """A transport which, if it is closed while a request still comes in, stays open for a moment. To close it at once
    would reset the connection, and the client would not see the answer that it has got."""

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._lingers = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether it is closed for all that is not here."""
        return self._lingers or self._transport.is_closing()

    def close(self) -> None:
        """Send what is to be sent, and close."""
        if self.is_closing():
            return
        if self._protocol.is_receiving() and self._transport.can_write_eof():
            self._lingers = True
            self._protocol.flow.resume_reading()
            self._transport.write_eof()
            self._protocol.loop.call_later(LINGER, self._transport.close)
        else:
            self._transport.close()


class Protocol(HttpToolsProtocol):
    """uvicorn's, with limits. `seconds`: the longest time for a request to come in, and for the first to begin."""

    seconds: float
    metrics: Metrics

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        self._head = 0
        self._in_message = False
        self._ending = False
        self._deadline: asyncio.TimerHandle | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(cast(asyncio.Transport, Lingering(transport, self)))
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(KINDS["busy"](f"{MOST_CONNECTIONS:,} connections are open: try again in a second"))
        else:
            self._arm()

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if self.transport.is_closing():
            return
        before = self._in_head
        super().data_received(data)
        if before and self._in_head:
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._refuse(
                    KINDS["headers-too-large"](f"more than {MOST_HEAD:,} bytes of headers: send fewer or shorter ones")
                )

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._disarm()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends: answer what is under way or about to arrive, then close."""
        self._ending = True
        if self._is_busy():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(GRACE, self._close_if_idle)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._in_head = self._in_message = True
        self._head = 0
        self._arm()

    def on_headers_complete(self) -> None:
        """All headers are there; the application begins."""
        super().on_headers_complete()
        self._in_head = False
        if self._ending:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        super().on_message_complete()
        self._in_message = False
        self._disarm()

    # Limits.

    def is_receiving(self) -> bool:
        """Whether a request has begun to come in, and has not ended."""
        return self._in_message

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arm(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(self.seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        """The time for this request is over."""
        self._deadline = None
        if self._in_message and not self._in_head and self._is_busy():
            # A body that does not end, which the application answers; if it cannot, that is that.
            self._deadline = self.loop.call_later(LATER, self.transport.abort)
        elif self._in_head and self._in_message:
            self._refuse(
                KINDS["request-timeout"](
                    f"the headers were not complete after {self.seconds:g} seconds: send them faster"
                )
            )
        else:  # nothing came at all, or the body of a request that was refused long ago still does
            self.transport.close()

    def _close_if_idle(self) -> None:
        arriving = self._in_message and self._in_head
        if not arriving and not self._is_busy():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        self._refuse(KINDS["malformed-request"](f"{msg.rstrip('.').lower()}: expected HTTP/1.1"))

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem, without the application, and close."""
        self._disarm()
        if self.transport.is_closing():
            return
        self.metrics.refused(problem)
        if not (self._is_busy() and self.cycle.response_started):
            self.transport.write(response(problem))
        self.transport.close()


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

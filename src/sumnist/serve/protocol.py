"""Adds to uvicorn's connections what it has no setting for: a deadline, clients that end early, and errors as problems.

uvicorn with h11 bounds the size of a head and of the lines around chunks, answers requests in their order, and pauses
clients that send ahead. Three lines that this server promises do not hold without code of our own:

- A client that sends its head byte by byte, or a body that nobody reads, would hold its connection for ever.
- uvicorn takes a client that has sent everything, and closed its sending half, for one that is gone.
- What is no request, or one connection too many, would get a plain text, which a reset may destroy before the client
  reads it. Every error is a problem by RFC 9457.

A proxy in front of the server would do this, too (see "How to serve readings"). Slow bodies are cut off by
`bodies.Inbox`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sumnist.serve.problems import MEDIA_TYPE, Problem

MOST_HEAD = 64 * 1024
"""The most bytes of a request's line and headers, and of the lines around the chunks of a body."""
MOST_CONNECTIONS = 1000
"""The most connections of a worker; one more is answered 503 and closed."""
LINGER = 2.0
"""Seconds for which the server throws away what a client still sends after its answer. If it closed the connection at
once, the system would reset it, and the client would not see the answer."""


class Connection(H11Protocol):
    """uvicorn's connection. A head must arrive within `seconds`, and so must a body that nobody reads. `count` is
    called with the problem of each request that is refused before it has a route."""

    seconds: float
    count: Callable[[Problem], None]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._ended = self._refused = False  # the client sends no more; nothing is read any more

    @property
    def _working(self) -> bool:
        """Whether a request is without its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.seconds, self._too_slow)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(Problem("busy", f"{MOST_CONNECTIONS:,} connections are open: try again in a second"))

    def data_received(self, data: bytes) -> None:
        """Some bytes have arrived."""
        if not self._refused:
            super().data_received(data)
            self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may still listen. Returns whether the connection stays open for answers."""
        self._ended = True
        self._watch()
        return self._working and not self._refused

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self._deadline is not None:
            self._deadline.cancel()

    def on_response_complete(self) -> None:
        """A request is answered; it is the next one's turn."""
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Set the deadline while a part of a request is there, and no other time limit holds. If no more will come,
        refuse that part, and close."""
        cut = self._working and self.conn.their_state is h11.SEND_BODY
        idle = not self._working and not self._refused
        part = idle and (bool(self.conn.trailing_data[0]) or self.conn.their_state is h11.SEND_BODY)
        if self._ended and (cut or part):
            self._refuse(Problem("malformed-request", "closed in the middle of a request: expected all of it"))
        elif self._ended and idle:
            self.transport.close()
        elif part and self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self._too_slow)
        elif not part and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; uvicorn calls it while it handles the parser's error."""
        error = sys.exception()
        if getattr(error, "error_status_hint", 400) == 431:
            detail = f"more than {MOST_HEAD:,} bytes of headers: send fewer or shorter ones"
            self._refuse(Problem("headers-too-large", detail))
        else:
            self._refuse(Problem("malformed-request", f"not HTTP ({error}): expected HTTP/1.1"))

    def _too_slow(self) -> None:
        if self.conn.trailing_data[0]:
            detail = f"the headers were not complete after {self.seconds:g} seconds: send them faster"
            self._refuse(Problem("request-timeout", detail))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun; read nothing more, and close."""
        self._refused = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.count(problem)
            content = json.dumps(problem.as_dict("")).encode()
            headers = problem.headers | {
                "content-type": MEDIA_TYPE, "content-length": str(len(content)), "connection": "close",
                "x-content-type-options": "nosniff",
            }  # fmt: skip
            answer = h11.Response(status_code=problem.kind.status, headers=[*headers.items()])
            for event in (answer, h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.loop.call_later(0 if self._ended else LINGER, self.transport.close)


def connection_with(seconds: float, count: Callable[[Problem], None]) -> type[Connection]:
    """The class of connections with these limits."""
    return type("Connection", (Connection,), {"seconds": seconds, "count": staticmethod(count)})

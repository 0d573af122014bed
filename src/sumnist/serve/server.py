"""The server: where it listens, how it starts and ends. One process moves bytes, those of its pool read."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

from uvicorn import Config, Server

from sumnist.errors import ConfigError, ServeError
from sumnist.memory import return_freed_memory
from sumnist.serve.app import Service, create_app
from sumnist.serve.metrics import Metrics
from sumnist.serve.protocol import protocol_with
from sumnist.serve.reading import load_readers
from sumnist.serve.settings import Settings

__all__ = ["TellingServer", "listening", "serve", "url_of"]

KEEP_ALIVE = 30
"""Seconds for which a connection without a request is kept."""
GRACE = 0.25
"""Seconds at the end in which nobody can connect any more, for requests that were sent before their clients knew."""


def serve(settings: Settings, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and then until every request that was sent is answered.

    Args:
        settings: Where to listen, with which networks, and the limits.
        started: Called once with the URL, as soon as requests are answered there.

    Raises:
        ConfigError: The address cannot be listened on, or the second network computes its sum.
        RunError: One of the networks is none of sumnist.
        ServeError: The processes that read cannot be started, or not any more.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")  # the server's log is on stderr
    return_freed_memory()
    metrics = Metrics()
    app = create_app(settings, partial(load_readers, settings), metrics)
    host, port = settings.host, settings.port
    with listening(host, port, f"--host {host} --port {port}") as listener:
        config = Config(
            app, http=protocol_with(settings.receive_seconds, metrics), ws="none", lifespan="on", log_level="error",
            access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=int(settings.receive_seconds + settings.reading_seconds) + 5,
        )  # fmt: skip
        server = ReadingServer(config, app.state.service, lambda: started(url_of(listener)))
        server.run(sockets=[listener])
    if server.failure is not None:
        raise server.failure


def listening(host: str, port: int, flags: str) -> socket.socket:
    """A socket bound to the address, for which `flags` stand in messages. Raises `ConfigError`."""
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
    """uvicorn's server, which says when it can be asked, and ends without complaint."""

    def __init__(self, config: Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or Ctrl-C: end; a second one: at once."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True


class ReadingServer(TellingServer):
    """One that at its end first says for a while that it is not ready, so that a balancer notices."""

    def __init__(self, config: Config, service: Service, started: Callable[[], None]) -> None:
        super().__init__(config, started)
        self._service = service
        self._end = math.inf
        self.failure: ServeError | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen once a process can read, and say so."""
        try:
            await self._service.pool.start()
        except ServeError as error:
            self.failure = error
            self.should_exit = True
            return
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or Ctrl-C: end in a while; a second one: at once."""
        del sig, frame
        if self._service.ready:
            self._service.ready = False
            self._end = time.monotonic() + self._service.settings.drain_seconds
        else:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
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

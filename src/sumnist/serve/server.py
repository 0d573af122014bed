"""The processes that serve: where they listen, and how they start and end.

Each worker has a socket of its own on the one port (`SO_REUSEPORT`), and the kernel deals the connections out: of a
socket that they all share, the first to wake would take most of them.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

from uvicorn import Config, Server

from sumnist.errors import ConfigError
from sumnist.inference.reader import Reader
from sumnist.memory import return_freed_memory
from sumnist.serve.app import create_app
from sumnist.serve.metrics import Metrics, table_bytes
from sumnist.serve.protocol import protocol_with
from sumnist.serve.service import Service
from sumnist.serve.settings import Settings

__all__ = ["serve"]

KEEP_ALIVE = 30
"""Seconds for which a connection without a request is kept."""
GRACE = 0.25
"""Seconds at the end in which nobody can connect any more, for requests that were sent before their clients knew."""
PAUSE = 1.0
"""Seconds before a worker that died is replaced."""
CAN_SHARE = sys.platform == "linux"
"""Whether the kernel deals connections out among sockets with the same address."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
Readers = tuple[Reader, Reader | None]


def serve(settings: Settings, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and then until every request that was sent is answered.

    Args:
        settings: Where to listen, with which networks, and the limits.
        started: Called once with the URL, as soon as requests are answered there.

    Raises:
        ConfigError: The address cannot be listened on, or the second network computes its sum.
        RunError: One of the networks is none of sumnist.
    """
    readers = readers_of(settings)  # before anything starts, so that what is wrong with them is said once
    with listening(settings) as listener:
        url = url_of(listener)
        if settings.workers == 1:
            work(settings, listener, None, readers, lambda: started(url))
            return
        del readers  # each worker loads its own
        with tempfile.TemporaryDirectory(prefix="sumnist-") as folder:
            table = Path(folder) / "metrics"
            table.write_bytes(bytes(table_bytes(settings.workers)))
            Workers(settings, listener, table).run(lambda: started(url))


def readers_of(settings: Settings) -> Readers:
    """The reader, and the second one if there is to be one. Raises `RunError` for a file that is no network of sumnist,
    `ConfigError` for a second one whose sum is computed."""
    second = None if settings.beside is None else Reader(settings.beside)
    if second is not None and second.exact:
        raise ConfigError(
            f"--beside {settings.beside}: its sum is computed as the first one's is, expected a network that "
            "learned to add: train one with --fusion concat"
        )
    return Reader(settings.model), second


# Where it listens.


def listening(settings: Settings) -> socket.socket:
    """A socket bound to the address, for a single worker to listen on, or for several to hold the port while they come
    and go. Raises `ConfigError`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = bound_to(family, address, share=False)
        if settings.workers > 1 and CAN_SHARE:  # only now: sharing would also let in a port that another server has
            address = listener.getsockname()
            listener.close()
            listener = bound_to(family, address, share=True)
        return listener
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"--host {settings.host} --port {settings.port}: cannot listen there ({reason}), expected an address of "
            "this machine and a free port: choose another one, or --port 0 for any"
        ) from error


def bound_to(family: int, address: Any, share: bool) -> socket.socket:
    """A socket with this address, as `getaddrinfo` gives it; with `share`, one of several. Raises `OSError`."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# One worker.


class Worker(Server):
    """uvicorn's server, which at its end first says for a while that it is not ready, so that a balancer notices."""

    def __init__(self, config: Config, service: Service, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._started = started
        self._end: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._started()

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
        parent = multiprocessing.parent_process()
        if parent is not None and self._end is None and not parent.is_alive():  # killed, so that it sent no signal
            self.handle_exit(signal.SIGTERM, None)
        if self._end is not None and time.monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, wait for requests that are about to arrive, and answer all."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(GRACE)
        await super().shutdown(sockets)


def work(
    settings: Settings, listener: socket.socket, table: Path | None, readers: Readers, started: Callable[[], None]
) -> None:
    """Serve on a bound socket until told to end. `table`: where the counts of several workers are."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")  # the server's log is on stderr
    return_freed_memory()
    metrics = Metrics(table)
    app = create_app(settings, readers[0], metrics, readers[1])
    config = Config(
        app, http=protocol_with(settings.receive_seconds, metrics), ws="none", lifespan="on", log_level="error",
        access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.receive_seconds + settings.reading_seconds) + 5,
    )  # fmt: skip
    Worker(config, app.state.service, started).run(sockets=[listener])


# Several workers.


def work_apart(settings: Settings, listener: socket.socket, table: Path) -> None:
    """What the process of a worker runs."""
    if CAN_SHARE:
        with listener:
            listener = bound_to(listener.family, listener.getsockname(), share=True)
    work(settings, listener, table, readers_of(settings), lambda: None)


class Workers:
    """Keeps as many processes as there should be, until this one is told to end."""

    def __init__(self, settings: Settings, listener: socket.socket, table: Path) -> None:
        self._given = (settings, listener, table)
        self._ending = False

    def run(self, started: Callable[[], None]) -> None:
        """Until SIGTERM or Ctrl-C, and then until the last request is answered."""
        before = {sig: signal.signal(sig, self._end) for sig in SIGNALS}
        settings, listener, _ = self._given
        workers = [self._new() for _ in range(settings.workers)]
        try:
            wait_for(listener, workers)
            started()
            while not self._ending:
                time.sleep(0.1)
                for place, worker in enumerate(workers):
                    if not (worker.is_alive() or self._ending):
                        worker.join()
                        time.sleep(PAUSE)
                        workers[place] = self._new()
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _end(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self._ending = True

    def _new(self) -> SpawnProcess:
        worker = multiprocessing.get_context("spawn").Process(target=work_apart, args=self._given)
        worker.start()
        return worker


def wait_for(listener: socket.socket, workers: list[SpawnProcess]) -> None:
    """Return when a worker listens where `listener` is bound, or all workers have died."""
    while any(worker.is_alive() for worker in workers):
        try:
            socket.create_connection(listener.getsockname()[:2], timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)

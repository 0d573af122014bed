"""The processes that serve: where they listen, how a connection is held to its limits, how they end.

Each worker listens for itself on the one port (`SO_REUSEPORT`), and the kernel deals the connections out: of a socket
that they all share, the first to wake would take most of them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
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
AGAIN = 1.0
"""Seconds between the starts of a worker that dies."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
Readers = tuple[Reader, Reader | None]


def serve(settings: Settings, told: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `told` gets the URL once it can be asked. Raises `ConfigError` for an address that
    cannot be had, `RunError` for what is no network."""
    readers = readers_of(settings)  # here too, so that what is wrong with them is said once, and before anything starts
    with listening(settings) as bound:
        url = url_of(bound)
        if settings.workers == 1:
            work(settings, bound, None, readers, lambda: told(url))
            return
        del readers  # the workers have their own
        with tempfile.TemporaryDirectory(prefix="sumnist-") as folder:
            table = Path(folder) / "metrics"
            table.write_bytes(bytes(table_bytes(settings.workers)))
            Workers(settings, bound, table).run(lambda: told(url))


def readers_of(settings: Settings) -> Readers:
    """The reader, and the second one if there is to be one. Raises `RunError` for what is no network, `ConfigError` for
    a second one whose sum is computed."""
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
        found = bound_to(family, address, share=False)
        if settings.workers > 1 and can_share():  # only now: sharing would also let in a port that another server has
            address = found.getsockname()
            found.close()
            found = bound_to(family, address, share=True)
        return found
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"--host {settings.host} --port {settings.port}: cannot listen there ({reason}), expected an address of "
            "this machine and a free port: choose another one, or --port 0 for any"
        ) from error


def bound_to(family: int, address: Any, share: bool) -> socket.socket:
    """A socket with this address, as `getaddrinfo` gives it; with `share`, one of several. Raises `OSError`."""
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind(address)
    except OSError:
        found.close()
        raise
    return found


def can_share() -> bool:
    """Whether the kernel deals connections out among sockets with the same address."""
    return hasattr(socket, "SO_REUSEPORT") and os.uname().sysname == "Linux"


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# One worker.


class Worker(Server):
    """uvicorn's server, which first says that it is not ready, for as long as a balancer needs, and then ends."""

    def __init__(self, config: Config, service: Service, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._told = started
        self._end: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell."""
        await super().startup(sockets)
        self._told()

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
        if parent is not None and self._end is None and not parent.is_alive():  # killed, so that it cannot tell
            self.handle_exit(signal.SIGTERM, None)
        if self._end is not None and time.monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)


def work(
    settings: Settings, bound: socket.socket, table: Path | None, readers: Readers, started: Callable[[], None]
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
    Worker(config, app.state.service, started).run(sockets=[bound])


# Several workers.


def work_apart(settings: Settings, bound: socket.socket, table: Path) -> None:
    """What the process of a worker does."""
    if can_share():
        with bound:
            bound = bound_to(bound.family, bound.getsockname(), share=True)
    work(settings, bound, table, readers_of(settings), lambda: None)


class Workers:
    """Keeps as many processes as there should be, and ends them when it is told to."""

    def __init__(self, settings: Settings, bound: socket.socket, table: Path) -> None:
        self._settings = settings
        self._start = multiprocessing.get_context("spawn").Process
        self._given = (settings, bound, table)
        self._ending = False

    def run(self, started: Callable[[], None]) -> None:
        """Until SIGTERM or Ctrl-C, and then until the last request is answered."""
        before = {sig: signal.signal(sig, self._end) for sig in SIGNALS}
        workers = [self._new() for _ in range(self._settings.workers)]
        try:
            wait_for(self._given[1], workers)
            started()
            while not self._ending:
                time.sleep(0.1)
                workers = [one if one.is_alive() or self._ending else self._again(one) for one in workers]
        finally:
            for one in workers:
                if one.is_alive():
                    one.terminate()
            for one in workers:
                one.join()
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _end(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self._ending = True

    def _new(self) -> SpawnProcess:
        process = self._start(target=work_apart, args=self._given)
        process.start()
        return process

    def _again(self, dead: SpawnProcess) -> SpawnProcess:
        """Another one in place of one that died."""
        dead.join()
        time.sleep(AGAIN)
        return self._new()


def wait_for(bound: socket.socket, workers: list[SpawnProcess]) -> None:
    """Return when somebody listens where `bound` is, or all workers have died."""
    while any(one.is_alive() for one in workers):
        try:
            socket.create_connection(bound.getsockname()[:2], timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)

"""What the server and its processes say to each other: pickles, each with its length before it.

A process begins here, in a module that loads nothing else, so that whatever keeps it from working, a library that is
missing or memory that is short, is told to the server in a line.
"""

from __future__ import annotations

import pickle
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["LENGTH", "Fault", "begin", "framed"]

LENGTH = 8
"""Bytes that tell how long a message is, before it."""


@dataclass(frozen=True)
class Fault:
    """What went wrong that no request should cause: a line, or a traceback, for the log."""

    text: str


def framed(message: Any) -> bytes:
    """The bytes of a message."""
    data = pickle.dumps(message)
    return len(data).to_bytes(LENGTH) + data


def begin(connection: socket.socket, pickled: bytes) -> None:
    """What a process runs: it answers each message on `connection` until the other side closes it.

    The first thing that it sends is None, or the `Fault` for which it cannot work.

    Args:
        connection: To the server.
        pickled: A function without arguments that makes the one which answers a message.
    """
    for sig in (signal.SIGINT, signal.SIGTERM):  # they are the server's, which closes the connection at its end
        signal.signal(sig, signal.SIG_IGN)
    try:
        with connection:
            answer_each(connection, pickled)
    except (MemoryError, ConnectionError):  # no room for a message, or nobody there; the server notices the end
        sys.exit(1)


def answer_each(connection: socket.socket, pickled: bytes) -> None:
    """As `begin`. Raises `MemoryError` and `ConnectionError`."""
    try:
        prepare: Callable[[], Callable[[Any], Any]] = pickle.loads(pickled)
        answer_to = prepare()
    except Exception as error:
        connection.sendall(framed(Fault(str(error) or repr(error))))
        return
    connection.sendall(framed(None))
    for message in messages_on(connection):
        connection.sendall(framed(answer_to(message)))


def messages_on(connection: socket.socket) -> Iterator[Any]:
    """The messages that come on a connection until it is closed."""
    with connection.makefile("rb") as stream:
        while len(length := stream.read(LENGTH)) == LENGTH:
            yield pickle.loads(stream.read(int.from_bytes(length)))

"""A real `sumnist serve` on a free port of this machine, and what the tests send to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FIVE = (Path(__file__).resolve().parent.parent / "examples/five.png").read_bytes()


def form(picture: bytes, number: int = 7) -> bytes:
    return (
        b'--edge\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n' + picture
        + b'\r\n--edge\r\nContent-Disposition: form-data; name="number"\r\n\r\n' + str(number).encode()
        + b"\r\n--edge--\r\n"
    )  # fmt: skip


def request(content: bytes, length: int | None = None) -> bytes:
    """The bytes of a whole request, which may promise another length."""
    length = len(content) if length is None else length
    head = "POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + content


class Server:
    """A process of `sumnist serve`."""

    def __init__(self, *flags: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sumnist", "serve", "--port", "0", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | (environment or {}),
        )  # fmt: skip
        self.connections: list[socket.socket] = []
        self.ended: tuple[int, str] | None = None
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.port = int(self.line.partition(": ")[0].rpartition(":")[2] or 0)

    def connect(self) -> socket.socket:
        """A connection, closed at the latest when the server is."""
        self.connections.append(socket.create_connection(("127.0.0.1", self.port), timeout=20))
        return self.connections[-1]

    def get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def read(self, picture: bytes = FIVE) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            headers = {"Content-Type": "multipart/form-data; boundary=edge"}
            connection.request("POST", "/v1/read", form(picture), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def end(self) -> tuple[int, str]:
        """Its exit status after SIGTERM, and its standard error."""
        if self.ended is not None:
            return self.ended
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            _, err = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        finally:
            for connection in self.connections:
                connection.close()
        self.ended = self.process.returncode, err
        return self.ended


def answer_on(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """What comes on a connection until it is closed: status, and the JSON of the body."""
    data = b""
    while part := connection.recv(65536):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    assert head, "closed without an answer"
    return int(head.split()[1]), json.loads(body)


def status_on(connection: socket.socket) -> int:
    """The status of the next answer on a connection that may stay open; the answer is received whole."""
    answer = HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def slow_picture() -> bytes:
    """A picture that takes a while to read: many pixels of noise."""
    levels = np.random.default_rng(0).integers(0, 256, (3000, 3000), np.uint8)
    stream = BytesIO()
    Image.fromarray(levels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def metric(server: Server, name: str) -> float:
    """The first value whose name begins so, 0 if there is none yet; those in flight without the one that asks."""
    lines = server.get("/metrics")[1].splitlines()
    value = next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)
    return value - 1 if name == "sumnist_requests_in_flight" else value


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)

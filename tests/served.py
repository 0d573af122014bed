"""A real `sumnist serve` on a free port of this machine, what tests of the API ask, and how they look at answers."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from drawings import encoded as png
from sumnist.data.mnist import load_mnist

FIVE = (Path(__file__).resolve().parent.parent / "examples/five.png").read_bytes()
PROBLEM = "application/problem+json"
PICTURE, NUMBER = (b'Content-Disposition: form-data; name="%b"' % name for name in (b"picture", b"number"))


# What is asked.


def seven(side: int = 280) -> bytes:
    """A seven in pen on paper, as a PNG file."""
    picture = Image.new("L", (side, side), 250)
    strokes = [(0.3 * side, 0.2 * side), (0.7 * side, 0.2 * side), (0.45 * side, 0.8 * side)]
    ImageDraw.Draw(picture).line(strokes, fill=20, width=side // 15)
    return png(picture)


def strip(*places: int) -> bytes:
    """The MNIST test images at these places beside each other, as a PNG file: dark ink on white."""
    images = load_mnist("test").images
    return png(Image.fromarray(255 - np.concatenate([images[place] for place in places], 1)))


SEVEN = seven()
BLANK = png(Image.new("L", (50, 50), 255))


def files(*pictures: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Pictures as HTTP libraries take them."""
    return [("picture", (f"{place}.png", picture, "image/png")) for place, picture in enumerate(pictures)]


def form_of(*parts: tuple[bytes, bytes], boundary: bytes = b"b") -> bytes:
    """A form of parts, each with its header lines and its content."""
    delimiter = b"--" + boundary
    return b"".join(b"%b\r\n%b\r\n\r\n%b\r\n" % (delimiter, *part) for part in parts) + delimiter + b"--\r\n"


def form(picture: bytes, number: int = 7) -> bytes:
    return form_of((PICTURE, picture), (NUMBER, b"%d" % number), boundary=b"edge")


def request(content: bytes, length: int | None = None) -> bytes:
    """The bytes of a whole request, which may promise another length."""
    length = len(content) if length is None else length
    head = "POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + content


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def slow_picture() -> bytes:
    """A picture that takes a while to read: many pixels of noise."""
    return png(Image.fromarray(np.random.default_rng(0).integers(0, 256, (3000, 3000), np.uint8)), compress_level=1)


# The server.


class Server:
    """A process of `sumnist serve`."""

    def __init__(self, *flags: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sumnist", "serve", "--port", "0", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.connections: list[socket.socket] = []
        self.ended: tuple[int, str] | None = None
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.port = int(self.line.partition(" (")[0].rpartition(":")[2] or 0)

    def connect(self) -> socket.socket:
        """A connection, closed at the latest when the server is."""
        self.connections.append(socket.create_connection(("127.0.0.1", self.port), timeout=20))
        return self.connections[-1]

    def get(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, str]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def read(self, picture: bytes = FIVE) -> tuple[int, Any]:
        kind = {"Content-Type": "multipart/form-data; boundary=edge"}
        status, content = self.get("/v1/read", "POST", form(picture), **kind)
        return status, json.loads(content)

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


def received_on(connection: socket.socket) -> bytes:
    """All that comes until the server closes; at an answer that says that it will, the client closes its half, so that
    the server need not wait."""
    received, told = b"", False
    while part := connection.recv(2**16):
        received += part
        if not told and b"\r\nconnection: close\r\n" in received.lower():
            told = True
            with suppress(OSError):  # the server may be faster
                connection.shutdown(socket.SHUT_WR)
    connection.close()
    return received


def answer_on(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """What comes on a connection until it is closed: status, and the JSON of the body."""
    head, _, body = received_on(connection).partition(b"\r\n\r\n")
    assert head, "closed without an answer"
    return int(head.split()[1]), json.loads(body)


def status_on(connection: socket.socket) -> int:
    """The status of the next answer on a connection that may stay open; the answer is received whole."""
    answer = HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


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


def of_process(pid: int, file: str) -> str:
    """A text that Linux keeps of a process; empty once the process is gone, also if it goes while this reads."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_running(pid: int) -> bool:
    """Whether a process runs, or one of its threads still ends; one that has ended and whose parent has not asked for
    its status does not."""
    state, threads = (of_process(pid, "stat").rpartition(")")[2].split() or ["X"])[0], Path(f"/proc/{pid}/task")
    return state not in "ZX" or (threads.exists() and len(list(threads.iterdir())) > 1)


def check_problem(
    answer: Any, status: int, slug: str, detail: str | None = None, instance: str = "/v1/read", begins: str = ""
) -> None:
    """The answer is this problem, whole, and nothing else; its detail is `detail`, or begins so."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    kind = f"urn:sumnist:problem:{slug}"
    assert (problem["type"], problem["status"], problem["instance"]) == (kind, status, instance)
    assert problem["detail"] == detail if detail is not None else problem["detail"].startswith(begins)

"""Measure a real `sumnist serve`: under steady load, under too much, at its end, and with hostile pictures.

    python benchmarks/serving.py                       everything, some minutes; needs wrk (Debian: apt install wrk)
    python benchmarks/serving.py steady --seconds 10   one part

steady: 16 connections, each sending the next request when the last is answered; memory after warming up and at the end.
shed: 256 connections, and how soon a single client is answered as fast as before once they are gone.
end: SIGTERM under load, again and again, and whether a request that was sent got no answer.
hostile: the damaged files and bombs of hostile_pictures.py, over HTTP.

The load generator runs on the cores of `--load-cores` alone, the server on those of `--server-cores`; where they share
cores, the row says so. Rows go to `docs/results/serving.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import hostile_pictures
from sumnist.record import describe_machine, now

RESULTS = Path(__file__).resolve().parent.parent / "docs/results/serving.jsonl"
TYPE = "multipart/form-data; boundary=edge"
SIDE = 280
WARM = 5
"""Seconds of load before anything is measured."""

SCRIPT = """
local file = io.open(os.getenv("SERVING_BODY"), "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "TYPE"
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'ROW {"requests": %d, "seconds": %f, "not_200": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, '
    .. '"p50_ms": %f, "p90_ms": %f, "p99_ms": %f, "p999_ms": %f, "max_ms": %f}\\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3,
    latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
""".replace("TYPE", TYPE)


def form(picture: bytes) -> bytes:
    """The body of a request, as a browser sends it."""
    return (
        b'--edge\r\nContent-Disposition: form-data; name="picture"; filename="drawing.png"\r\nContent-Type: image/png'
        b"\r\n\r\n" + picture + b'\r\n--edge\r\nContent-Disposition: form-data; name="number"\r\n\r\n7\r\n--edge--\r\n'
    )


def drawing() -> bytes:
    """A seven as the page draws it, 280×280."""
    picture, stream = Image.new("L", (SIDE, SIDE), 255), BytesIO()
    ImageDraw.Draw(picture).line([(80, 60), (200, 60), (120, 225)], fill=0, width=20, joint="curve")
    picture.save(stream, "PNG")
    return stream.getvalue()


BODY = form(drawing())
REQUEST = (
    f"POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
)


def on(cores: set[int]) -> list[str]:
    """What stands before a command that may use these cores alone."""
    return ["taskset", "-c", ",".join(map(str, sorted(cores)))]


class Server:
    """A process of `sumnist serve` on some of the cores."""

    def __init__(self, cores: set[int], workers: int) -> None:
        self.process = subprocess.Popen(
            [*on(cores), sys.executable, "-m", "sumnist", "serve", "--port", "0", "--workers", str(workers)],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        found = re.search(r":(\d+): reading", self.process.stdout.readline())
        if found is None:
            raise SystemExit("serving: the server did not start")
        self.port = int(found[1])

    def pids(self) -> list[int]:
        """The process and its workers."""
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def memory(self, key: str = "VmRSS") -> float:
        """MB that the processes have in use together; with VmHWM, the most that each ever had."""
        total = 0
        for pid in self.pids():
            found = re.search(rf"{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            total += int(found[1]) if found else 0
        return round(total / 1024, 1)

    def post(self, body: bytes, timeout: float = 60) -> tuple[int, float]:
        """Status and seconds of one request, on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        begun = time.perf_counter()
        try:
            connection.request("POST", "/v1/read", body, {"Content-Type": TYPE})
            answer = connection.getresponse()
            answer.read()
            return answer.status, time.perf_counter() - begun
        finally:
            connection.close()

    def end(self) -> int:
        """Its exit status after SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode


@contextmanager
def serving(given: argparse.Namespace) -> Iterator[Server]:
    """A server, warm after some requests."""
    server = Server(given.server_cores, given.workers)
    try:
        for _ in range(20):
            server.post(BODY)
        yield server
    finally:
        server.end()


def load(given: argparse.Namespace, server: Server, connections: int, seconds: float) -> dict[str, Any]:
    """What wrk measured."""
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body", Path(folder) / "script.lua"
        body.write_bytes(BODY)
        script.write_text(SCRIPT)
        result = subprocess.run(
            [*on(given.load_cores), "wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "30s",
             "-s", str(script), f"http://127.0.0.1:{server.port}/v1/read"],
            env=os.environ | {"SERVING_BODY": str(body)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    found = re.search(r"^ROW (.*)$", result.stdout, re.MULTILINE)
    if found is None:
        raise SystemExit(f"serving: wrk failed: {result.stdout}{result.stderr}")
    row: dict[str, Any] = json.loads(found[1])
    row["readings_per_second"] = round((row["requests"] - row["not_200"]) / row["seconds"], 1)
    return row


def steady(given: argparse.Namespace) -> dict[str, Any]:
    """16 connections for a minute."""
    with serving(given) as server:
        load(given, server, 16, WARM)
        before = server.memory()
        row = load(given, server, 16, given.seconds)
        return {"connections": 16, **row, "mb_warm": before, "mb_end": server.memory()}


def shed(given: argparse.Namespace) -> dict[str, Any]:
    """256 connections for a third of the time, and the time until a single client is answered as before."""
    with serving(given) as server:
        usual = sorted(server.post(BODY)[1] for _ in range(50))[25]
        before = server.memory()
        row = load(given, server, 256, given.seconds / 3)
        over = time.perf_counter()
        while True:
            status, seconds = server.post(BODY)
            if status == 200 and seconds < 2 * usual + 0.01:
                break
        recovery = time.perf_counter() - over
        return {
            "connections": 256, **row, "mb_before": before, "mb_end": server.memory(),
            "alone_ms": round(usual * 1e3, 2), "recovery_seconds": round(recovery, 3),
        }  # fmt: skip


class Client(threading.Thread):
    """Asks on one connection until the server closes it; counts what was sent and what was answered."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sent = self.answered = 0
        self.last_sent = 0.0

    def run(self) -> None:
        """Until the connection is closed."""
        with self.connection as connection, connection.makefile("rb") as stream:
            while True:
                try:
                    connection.sendall(REQUEST)
                    self.sent, self.last_sent = self.sent + 1, time.monotonic()
                    if not stream.readline().startswith(b"HTTP/1.1 200"):
                        return
                    length, closes = 0, False
                    while (line := stream.readline().strip().lower()) != b"":
                        length = int(line.split()[1]) if line.startswith(b"content-length:") else length
                        closes |= line == b"connection: close"
                    if len(stream.read(length)) < length:
                        return
                except OSError:
                    return
                self.answered += 1
                if closes:
                    return


def end(given: argparse.Namespace) -> dict[str, Any]:
    """SIGTERM under load; a request is lost if it was sent whole and got no answer."""
    sent = lost = lost_before = 0
    slowest, statuses = 0.0, set()
    for _ in range(given.ends):
        server = Server(given.server_cores, given.workers)
        clients = [Client(server.port) for _ in range(16)]
        for client in clients:
            client.start()
        time.sleep(2)
        told = time.monotonic()
        statuses.add(server.end())
        slowest = max(slowest, time.monotonic() - told)
        for client in clients:
            client.join()
        sent += sum(client.sent for client in clients)
        lost += sum(client.sent - client.answered for client in clients)
        lost_before += sum(client.sent - client.answered for client in clients if client.last_sent < told)
    return {
        "times": given.ends, "connections": 16, "sent": sent, "lost": lost, "lost_of_those_sent_before": lost_before,
        "slowest_end_seconds": round(slowest, 2), "exit_statuses": sorted(statuses),
    }  # fmt: skip


def hostile(given: argparse.Namespace) -> dict[str, Any]:
    """Damaged files and bombs, one after the other; each must give a reading, or a problem that is the client's."""
    hostile_pictures.make_bombs(given.seed)
    with serving(given) as server:
        before = server.memory("VmHWM")
        statuses: Counter[int] = Counter()
        slowest, strange = (0.0, ""), []
        for place, (what, data) in enumerate(hostile_pictures.hostile(given.count, given.seed)):
            status, seconds = server.post(form(data))
            statuses[status] += 1
            slowest = max(slowest, (seconds, f"{place} {what}"))
            if status >= 500:
                strange.append(f"{place} {what}: {status}")
        return {
            "count": given.count, "seed": given.seed, "statuses": dict(sorted(statuses.items())), "strange": strange,
            "slowest_seconds": round(slowest[0], 3), "slowest": slowest[1], "peak_mb": server.memory("VmHWM"),
            "mb_before": before,
        }  # fmt: skip


MEASURES = {"steady": steady, "shed": shed, "end": end, "hostile": hostile}


def cores(text: str) -> set[int]:
    """The cores that `0,1` names."""
    return {int(one) for one in text.split(",")}


def main() -> int:
    """Measure the parts that are asked for, a row for each."""
    every = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(MEASURES)} (default: all)")
    parser.add_argument("--workers", type=int, default=len(every))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--ends", type=int, default=10)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--server-cores", type=cores, default=set(every))
    parser.add_argument("--load-cores", type=cores, default={every[-1]})
    given = parser.parse_args()
    wanted = given.parts or MEASURES
    if unknown := set(wanted) - set(MEASURES):
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(MEASURES)}")
    if {"steady", "shed"} & set(wanted) and shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt install wrk, or leave out steady and shed")
    for part in wanted:
        row = {
            "part": f"serving-{part}", "date": now(), "workers": given.workers,
            "server_cores": sorted(given.server_cores), "load_cores": sorted(given.load_cores),
            **MEASURES[part](given),
            "machine": describe_machine(),
        }  # fmt: skip
        print(json.dumps(row, indent=2, ensure_ascii=False))
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

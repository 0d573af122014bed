"""Measure a real `sumnist serve`: under steady load, under too much, at its end, and with hostile pictures.

    python benchmarks/serving.py                       everything, some minutes; needs wrk (Debian: apt install wrk)
    python benchmarks/serving.py steady --seconds 10   one part

steady: 16 connections, each sending the next request when the last is answered; memory after warming up and at the end.
shed: 256 connections, and how soon a single client is answered as fast as before once they are gone.
end: SIGTERM under load, again and again, and whether a request that was sent got no answer.
slow: clients that send a byte now and then, and such that go away in the middle of a body, while another asks.
hostile: the damaged files and bombs of hostile_pictures.py, over HTTP, while another client asks.
contract: schemathesis asks for five minutes whatever the OpenAPI document allows, and much that it does not.
stroke: from the end of a stroke on the page until both answers are on the screen, in Chromium.

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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import hostile_pictures
from sumnist.environment import describe_machine, now

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs/results/serving.jsonl"
TYPE = "multipart/form-data; boundary=edge"
SIDE = 280
WARM = 5
"""Seconds of load before anything is measured."""

SCRIPT = """
local file = io.open(os.getenv("SERVING_BODY"), "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "TYPE"
wrong = 0
function response(status, headers, body)
  local right = body:find('"digit": 7, "sum": 14,', 1, true) and body:find('"accepted": true', 1, true)
  if status == 200 and not right then wrong = wrong + 1 end
end
threads = {}
function setup(thread) table.insert(threads, thread) end
function done(summary, latency, requests)
  local errors, wrong = summary.errors, 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  io.write(string.format(
    'ROW {"requests": %d, "seconds": %f, "not_200": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, '
    .. '"wrong": %d, "p50_ms": %f, "p90_ms": %f, "p99_ms": %f, "p999_ms": %f, "max_ms": %f}\\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
    wrong,
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
    """The start of a command that may use these cores alone."""
    return ["taskset", "-c", ",".join(map(str, sorted(cores)))]


class Server:
    """A process of `sumnist serve` on some of the cores."""

    def __init__(self, cores: set[int], workers: int | None, environment: Mapping[str, str] = os.environ) -> None:
        flags = [] if workers is None else ["--workers", str(workers)]
        self.process = subprocess.Popen(
            [*on(cores), sys.executable, "-m", "sumnist", "serve", "--port", "0", *flags],
            stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        port = re.search(r":(\d+): reading", self.process.stdout.readline())
        if port is None:
            raise SystemExit("serving: the server did not start")
        self.port = int(port[1])

    def pids(self) -> list[int]:
        """The process and its workers."""
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def memory(self, key: str = "VmRSS") -> float:
        """MB that the processes have in use together; with VmHWM, the most that each ever had."""
        total = 0
        for pid in self.pids():
            size = re.search(rf"{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            total += int(size[1]) if size else 0
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

    def connect(self, data: bytes) -> socket.socket:
        """A connection on which `data` has been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(data)
        return connection

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
    line = re.search(r"^ROW (.*)$", result.stdout, re.MULTILINE)
    if line is None:
        raise SystemExit(f"serving: wrk failed: {result.stdout}{result.stderr}")
    row: dict[str, Any] = json.loads(line[1])
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
        terminated = time.monotonic()
        statuses.add(server.end())
        slowest = max(slowest, time.monotonic() - terminated)
        for client in clients:
            client.join()
        sent += sum(client.sent for client in clients)
        lost += sum(client.sent - client.answered for client in clients)
        lost_before += sum(client.sent - client.answered for client in clients if client.last_sent < terminated)
    return {
        "times": given.ends, "connections": 16, "sent": sent, "lost": lost, "lost_of_those_sent_before": lost_before,
        "slowest_end_seconds": round(slowest, 2), "exit_statuses": sorted(statuses),
    }  # fmt: skip


class Bystander(threading.Thread):
    """Another client, which asks all the while, a few times a second; counts its answers and how soon they come."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server
        self._over = threading.Event()
        self.seconds: list[float] = []
        self.not_200 = 0

    def run(self) -> None:
        """Until the end of the `with`."""
        while not self._over.wait(0.1):
            status, seconds = self._server.post(BODY)
            self.seconds.append(seconds)
            self.not_200 += status != 200

    def __enter__(self) -> Bystander:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def figures(self) -> dict[str, Any]:
        """Figures for the row."""
        seconds = sorted(self.seconds)
        return {
            "others": len(seconds), "others_not_200": self.not_200,
            "others_median_ms": round(seconds[len(seconds) // 2] * 1e3, 2),
            "others_max_ms": round(seconds[-1] * 1e3, 2),
        }  # fmt: skip


def slow(given: argparse.Namespace) -> dict[str, Any]:
    """Clients that dribble, fall silent or go away, and come again as soon as they are cut; while another one asks."""
    tries = {"dribbling": 0, "silent in a body": 0, "gone in a body": 0}
    dribbling: list[tuple[socket.socket, int]] = []
    silent: list[socket.socket] = []
    with serving(given) as server, Bystander(server) as other:
        before, over = server.memory(), time.monotonic() + given.seconds
        while time.monotonic() < over:
            while len(dribbling) < 100:
                dribbling.append((server.connect(REQUEST[:20]), 20))
                tries["dribbling"] += 1
            while len(silent) < 100:
                silent.append(server.connect(REQUEST[:-50]))
                tries["silent in a body"] += 1
            for _ in range(10):
                server.connect(REQUEST[:-50]).close()
                tries["gone in a body"] += 1
            dribbling = [
                (client, place + 1) for client, place in dribbling if goes_on(client, REQUEST[place : place + 1])
            ]
            silent = [client for client in silent if goes_on(client, b"")]
            time.sleep(0.5)
        for client in [*silent, *(client for client, _ in dribbling)]:
            client.close()
        end = server.memory()
    return {"seconds": given.seconds, "tries": tries, "mb_warm": before, "mb_end": end, **other.figures()}


def goes_on(connection: socket.socket, data: bytes) -> bool:
    """Whether the server still has this connection; sends `data` on it if so."""
    try:
        connection.sendall(data)
        connection.setblocking(False)
        cut = connection.recv(4096) != b"impossible"  # an answer, or the end
    except BlockingIOError:
        connection.setblocking(True)
        return True
    except OSError:
        cut = True
    connection.close()
    return not cut


def hostile(given: argparse.Namespace) -> dict[str, Any]:
    """Damaged files and bombs, one after the other; each must give a reading, or a problem that is the client's."""
    hostile_pictures.make_bombs(given.seed)
    with serving(given) as server, Bystander(server) as other:
        before, half = server.memory(), 0.0
        statuses: Counter[int] = Counter()
        slowest, strange = (0.0, ""), []
        for place, (damage, data) in enumerate(hostile_pictures.hostile(given.count, given.seed)):
            status, seconds = server.post(form(data))
            statuses[status] += 1
            slowest = max(slowest, (seconds, f"{place} {damage}"))
            if status >= 500:
                strange.append(f"{place} {damage}: {status}")
            if place == given.count // 2:
                half = server.memory()
        return {
            "count": given.count, "seed": given.seed, "statuses": dict(sorted(statuses.items())), "strange": strange,
            "slowest_seconds": round(slowest[0], 3), "slowest": slowest[1], "mb_warm": before, "mb_half": half,
            "mb_end": server.memory(), "peak_mb": server.memory("VmHWM"), **other.figures(),
        }  # fmt: skip


def contract(given: argparse.Namespace) -> dict[str, Any]:
    """Schemathesis, until its time is over."""
    with serving(given) as server:
        before = server.memory()
        done = subprocess.run(
            [Path(sys.executable).parent / "schemathesis", "run", f"http://127.0.0.1:{server.port}/openapi.json",
             "--max-time", str(round(given.contract_seconds)), "--seed", str(given.seed), "--no-color"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        counts = re.search(r"([\d,]+) generated, ([\d,]+) passed", done.stdout)
        if counts is None:
            raise SystemExit(f"serving: schemathesis failed: {done.stdout}{done.stderr}")
        asked, passed = (int(count.replace(",", "")) for count in counts.groups())
        return {
            "seconds": given.contract_seconds, "seed": given.seed, "asked": asked, "passed": passed,
            "exit_status": done.returncode, "mb_warm": before, "mb_end": server.memory(),
        }  # fmt: skip


def stroke(given: argparse.Namespace) -> dict[str, Any]:
    """Ten digits on the page, again and again: the milliseconds that it measures itself for each last stroke."""
    sys.path.append(str(ROOT / "scripts"))
    from page_driver import DIGITS, chromium, draw, until

    answered = "performance.getEntriesByName('stroke-to-answer').find(entry => entry.startTime === last)?.duration"
    times: list[float] = []
    with serving(given) as server, chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}")
        page.evaluate("addEventListener('pointerup', (event) => { window.last = event.timeStamp; }, true)")
        for strokes in DIGITS * given.strokes:
            draw(page, strokes)
            times.append(until(page, answered))
            page.keyboard.press("Escape")
        version = browser.version
    times.sort()
    return {
        "strokes": len(times), "median_ms": round(times[len(times) // 2], 1),
        "p90_ms": round(times[9 * len(times) // 10], 1), "max_ms": round(times[-1], 1), "chromium": version,
    }  # fmt: skip


MEASURES = {
    "steady": steady,
    "shed": shed,
    "end": end,
    "slow": slow,
    "hostile": hostile,
    "contract": contract,
    "stroke": stroke,
}


def cores(text: str) -> set[int]:
    """The cores that `0,1` names."""
    return {int(core) for core in text.split(",")}


def main() -> int:
    """Measure the parts that are asked for, a row for each."""
    every = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(MEASURES)} (default: all)")
    parser.add_argument("--workers", type=int, help="(default: the server's own)")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--ends", type=int, default=10)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--contract-seconds", type=float, default=300)
    parser.add_argument("--strokes", type=int, default=5)
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
            "part": f"serving-{part}", "date": now(), "workers": given.workers or len(given.server_cores),
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

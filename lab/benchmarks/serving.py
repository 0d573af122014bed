"""Measure a real `sumnist serve`: under load, under too much load, at its end, and beside another checkout.

    python -m lab serving            everything, some minutes; needs wrk (apt install wrk)
    python -m lab serving load --other ../older          this checkout and another one, in turn

end: SIGTERM under load, again and again, and how many requests were sent but not answered.
slow: clients that send a byte now and then, and clients that go away in the middle of a body, while another one asks.
load: readings and refusals a second, processor time, and the time until an answer, for 1 to 256 connections, round by
    round.

The load generator runs only on the cores of `--load-cores`, the server only on those of `--server-cores`. Each row has
both, so it shows whether they share cores. Rows go to `docs/results/serving.jsonl`; rows of load name the
commit that served.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from lab.benchmarks.timing import Row, status_of
from lab.evidence import RESULTS, ROOT, add, with_envelope

TYPE = "multipart/form-data; boundary=edge"
SIDE = 280

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
    """Return the body of a request, as a browser sends it."""
    return (
        b'--edge\r\nContent-Disposition: form-data; name="picture"; filename="drawing.png"\r\nContent-Type: image/png'
        b"\r\n\r\n" + picture + b'\r\n--edge\r\nContent-Disposition: form-data; name="number"\r\n\r\n7\r\n--edge--\r\n'
    )


def drawing() -> bytes:
    """Draw a seven as the page does, 280×280."""
    picture, stream = Image.new("L", (SIDE, SIDE), 255), BytesIO()
    ImageDraw.Draw(picture).line([(80, 60), (200, 60), (120, 225)], fill=0, width=20, joint="curve")
    picture.save(stream, "PNG")
    return stream.getvalue()


BODY = form(drawing())
REQUEST = (
    f"POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
)


def on(cores: set[int]) -> list[str]:
    """Return the start of a command that may use only these cores."""
    return ["taskset", "-c", ",".join(map(str, sorted(cores)))]


class Server:
    """A warm `sumnist serve` of any checkout, on some of the cores."""

    def __init__(self, cores: set[int], workers: int | None = None, root: Path = ROOT, warm: int = 20) -> None:
        flags = [] if workers is None else ["--workers", str(workers)]
        self.commit = subprocess.check_output(["git", "-C", root, "rev-parse", "HEAD"], text=True).strip()
        self.process = subprocess.Popen(
            [*on(cores), sys.executable, "-m", "sumnist", "serve", "--port", "0", *flags],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(root / "src")},
        )  # fmt: skip
        assert self.process.stdout is not None
        port = re.search(r":(\d+)( \(|: reading)", self.process.stdout.readline())
        if port is None:
            raise SystemExit("serving: the server did not start")
        self.port = int(port[1])
        for _ in range(warm):
            self.post()

    def pids(self) -> list[int]:
        """The ids of the process and of its workers."""
        own = self.process.pid
        return [own, *map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())]

    def memory(self) -> float:
        """MB that the processes have in use together."""
        return round(sum(status_of(pid, "VmRSS") for pid in self.pids()) / 2**20, 1)

    def cpu_seconds(self) -> float:
        """Processor seconds of all processes so far."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids()]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / TICKS

    def post(self) -> tuple[int, float]:
        """Status and seconds of one request, on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        begun = time.perf_counter()
        try:
            connection.request("POST", "/v1/read", BODY, {"Content-Type": TYPE})
            answer = connection.getresponse()
            answer.read()
            return answer.status, time.perf_counter() - begun
        finally:
            connection.close()

    def connect(self, data: bytes) -> socket.socket:
        """Open a connection and send `data` on it."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(data)
        return connection

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        """End it by SIGTERM."""
        self.process.terminate()
        self.process.communicate(timeout=60)


def asked_by_wrk(given: argparse.Namespace, server: Server, connections: int, seconds: float) -> Row:
    """Put load on a server with wrk, and return what wrk measured."""
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
    row: Row = json.loads(line[1])
    row["readings_per_second"] = round((row["requests"] - row["not_200"]) / row["seconds"], 1)
    return row


class Client(threading.Thread):
    """Asks on one connection until the server closes it; counts what was sent and what was answered."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.connect()
        self.sent = self.answered = 0
        self.last_sent = 0.0

    def run(self) -> None:
        """Ask until the connection is closed, or until an answer has another status than 200."""
        try:
            while self.connection.sock is not None:
                self.connection.request("POST", "/v1/read", BODY, {"Content-Type": TYPE})
                self.sent, self.last_sent = self.sent + 1, time.monotonic()
                answer = self.connection.getresponse()
                if answer.status != 200:
                    return
                answer.read()
                self.answered += 1
        except (OSError, HTTPException):
            return
        finally:
            self.connection.close()


def end(given: argparse.Namespace) -> Row:
    """End servers under load with SIGTERM, and count the requests that are lost: sent whole, but not answered."""
    clients, lost_before, slowest, statuses = [], 0, 0.0, set()
    for _ in range(given.ends):
        with Server(given.server_cores, given.workers, warm=0) as server:
            asking = [Client(server.port) for _ in range(16)]
            for client in asking:
                client.start()
            time.sleep(2)
            terminated = time.monotonic()
        statuses.add(server.process.returncode)
        slowest = max(slowest, time.monotonic() - terminated)
        for client in asking:
            client.join()
        clients += asking
        lost_before += sum(client.sent - client.answered for client in asking if client.last_sent < terminated)
    sent, answered = sum(client.sent for client in clients), sum(client.answered for client in clients)
    return {
        "times": given.ends, "connections": 16, "sent": sent, "lost": sent - answered,
        "lost_of_those_sent_before": lost_before, "slowest_end_seconds": round(slowest, 2),
        "exit_statuses": sorted(statuses),
    }  # fmt: skip


class Asking(threading.Thread):
    """Another client: it has a drawing read ten times a second, and notes the status and the seconds of each answer."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server, self.over = server, threading.Event()
        self.answers: list[tuple[int, float]] = []

    def run(self) -> None:
        """Ask until the end of the `with`."""
        while not self.over.wait(0.1):
            self.answers.append(self.server.post())

    def __enter__(self) -> Asking:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def figures(self) -> Row:
        """Return how many answers it got, how many were not 200, and how long they took."""
        times = sorted(1e3 * seconds for _, seconds in self.answers)
        return {"others": len(times), "others_not_200": sum(status != 200 for status, _ in self.answers),
                "others_median_ms": round(times[len(times) // 2], 2), "others_max_ms": round(times[-1], 2)}  # fmt: skip


def slow(given: argparse.Namespace) -> Row:
    """Run clients that send a byte now and then, fall silent, or go away in the middle of a body, while another client
    asks. Clients that are cut off come again."""
    tries = {"dribbling": 0, "silent in a body": 0, "gone in a body": 0}
    dribbling: list[tuple[socket.socket, int]] = []
    silent: list[socket.socket] = []
    with Server(given.server_cores, given.workers) as server, Asking(server) as other:
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
    """Send `data` on a connection, and return whether the server still has this connection."""
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


# Load with more and more connections; beside another checkout, if there is one.

CONNECTIONS = (1, 4, 16, 48, 256)
PAUSE = 1.0
"""Seconds after a load, for the server to finish the requests of clients that have gone."""
TICKS = os.sysconf("SC_CLK_TCK")
"""Parts of a second in which the system counts processor time."""


def roots_of(given: argparse.Namespace) -> list[Path]:
    """Return the checkouts that are measured."""
    return [ROOT, *([given.other.resolve()] if given.other else [])]


@contextmanager
def serving_all(given: argparse.Namespace) -> Iterator[list[Server]]:
    """Run a server of each checkout, with its default flags; only one of them is asked at a time."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(given.server_cores, root=root)) for root in roots_of(given)]
        for server in servers:
            asked_by_wrk(given, server, 2, 1)
        yield servers


def load(given: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each round, number of connections and checkout. Each round has another order of connections,
    because the machine's other load changes slowly."""
    for attempt in range(given.rounds):
        with serving_all(given) as servers:
            for connections in random.Random(attempt).sample(CONNECTIONS, len(CONNECTIONS)):
                for server in servers:
                    begun = server.cpu_seconds()
                    row = asked_by_wrk(given, server, connections, given.round_seconds)
                    cpu = server.cpu_seconds() - begun
                    answered = row["requests"] - row["not_200"]
                    yield {
                        "of": server.commit, "round": attempt, "connections": connections, **row,
                        "cpu_ms_per_reading": round(1e3 * cpu / answered, 3) if answered else None,
                        "mb": server.memory(),
                    }  # fmt: skip
                    time.sleep(PAUSE)


PARTS: dict[str, Callable[[argparse.Namespace], Row | Iterator[Row]]] = {
    "end": end, "slow": slow, "load": load,
}  # fmt: skip
"""The parts, by name: each returns one row or many."""


def cores(text: str) -> set[int]:
    """Return the cores that a text such as `0,1` names."""
    return {int(core) for core in text.split(",")}


def main(words: Sequence[str] | None = None) -> None:
    """Measure the parts that are asked for."""
    every = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART",
                        help=f"{', '.join(PARTS)} (default: all)")  # fmt: skip
    parser.add_argument("--workers", type=int, help="of a server (default: its own)")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--round-seconds", type=float, default=2, help="of load")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--other", type=Path, help="another checkout, for load")
    parser.add_argument("--ends", type=int, default=10)
    parser.add_argument("--server-cores", type=cores, default=set(every))
    parser.add_argument("--load-cores", type=cores, default={every[-1]})
    parser.add_argument("--results", type=Path, default=RESULTS / "serving.jsonl")
    given = parser.parse_args(words)
    wanted = given.parts or [*PARTS]
    if {*wanted} - {"end", "slow"} and shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt install wrk, or ask for end and slow alone")
    where = {"server_cores": sorted(given.server_cores), "load_cores": sorted(given.load_cores)}
    for part in wanted:
        together, found = with_envelope(f"serving-{part}", **where), PARTS[part](given)
        if isinstance(found, dict):
            found = iter([{"workers": given.workers or len(given.server_cores)} | found])
        for row in found:
            add(given.results, together | row)

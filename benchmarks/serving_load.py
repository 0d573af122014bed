"""Measure how a `sumnist serve` with its default flags bears more and more connections, beside another checkout's.

    python benchmarks/serving_load.py                     some minutes; needs wrk (Debian: apt install wrk)
    python benchmarks/serving_load.py --beside ../older   this checkout and another one, alternating, in one run

load: readings and refusals a second, and the time until an answer, for 1, 2, 4, 16, 64 and 256 connections, each of
which asks again as soon as it is answered.
share: how much of a request's processor time is not reading: HTTP, forms, JSON, and what the processes say to each
other. One connection; the time of all processes of the server, less that of reading the same picture by itself.
bodies: how soon /healthz is answered, and how much memory there is, while bodies come that are the worst of those that
are accepted.

Rows go to `docs/results/serving.jsonl`; each names the commit that served.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import serving
from sumnist.environment import describe_machine, now

CONNECTIONS = (1, 2, 4, 16, 64, 256)
PAUSE = 1.0
"""Seconds after a load, in which requests are read whose client has gone."""
TICKS = os.sysconf("SC_CLK_TCK")
"""Parts of a second in which the system counts processor time."""
READ = """
import sys, time
from sumnist.inference.reader import Reader
reader, picture, times = Reader(), sys.stdin.buffer.read(), []
for place in range(500):
    begun = time.process_time()
    reader.read(picture, 7)
    times.append(time.process_time() - begun)
print(1e3 * sum(times[100:]) / 400)
"""
"""Prints the mean milliseconds of processor time of a reading, of four hundred."""
Row = dict[str, Any]


class Served(serving.Server):
    """A server of the checkout `root`, with its default flags."""

    def __init__(self, root: Path, given: argparse.Namespace) -> None:
        self.commit = subprocess.check_output(["git", "-C", root, "rev-parse", "HEAD"], text=True).strip()
        super().__init__(given.server_cores, None, os.environ | {"PYTHONPATH": str(root / "src")})
        for _ in range(20):
            self.post(serving.BODY)

    def cpu_seconds(self) -> tuple[float, float]:
        """Processor time so far: of all processes, and of the one that receives."""
        times = []
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            times.append((int(fields[11]) + int(fields[12])) / TICKS)
        return sum(times), times[0]


@contextmanager
def serving_all(given: argparse.Namespace, roots: list[Path]) -> Iterator[list[Served]]:
    """A server of each checkout, warm; only one at a time is asked."""
    servers = [Served(root, given) for root in roots]
    try:
        for server in servers:
            serving.load(given, server, 2, 1)
        yield servers
    finally:
        for server in servers:
            server.end()


def load(given: argparse.Namespace, roots: list[Path]) -> Iterator[Row]:
    """A row for each round, number of connections and checkout; the numbers in another order each time, since what else
    the machine does changes slowly."""
    for attempt in range(given.rounds):
        with serving_all(given, roots) as servers:
            for connections in random.Random(attempt).sample(CONNECTIONS, len(CONNECTIONS)):
                for server in servers:
                    begun, _ = server.cpu_seconds()
                    row = serving.load(given, server, connections, given.seconds)
                    cpu = server.cpu_seconds()[0] - begun
                    answered = row["requests"] - row["not_200"]
                    yield {
                        "of": server.commit, "round": attempt, "connections": connections, **row,
                        "cpu_ms_per_reading": round(1e3 * cpu / answered, 3) if answered else None,
                        "mb": server.memory(),
                    }  # fmt: skip
                    time.sleep(PAUSE)


def share(given: argparse.Namespace, roots: list[Path]) -> Iterator[Row]:
    """A row for each round and checkout."""
    for attempt in range(given.rounds):
        with serving_all(given, roots) as servers:
            for root, server in zip(roots, servers, strict=True):
                begun = server.cpu_seconds()
                row = serving.load(given, server, 1, given.seconds)
                cpu, front = (end - start for start, end in zip(begun, server.cpu_seconds(), strict=True))
                alone = subprocess.check_output(
                    [*serving.on(given.server_cores), sys.executable, "-c", READ], input=serving.drawing(),
                    env=os.environ | {"PYTHONPATH": str(root / "src")},
                )  # fmt: skip
                yield {
                    "of": server.commit, "round": attempt, "requests": row["requests"],
                    "cpu_ms": round(1e3 * cpu / row["requests"], 4),
                    "front_ms": round(1e3 * front / row["requests"], 4), "reading_ms": round(float(alone), 4),
                }  # fmt: skip


def worst_bodies() -> dict[str, tuple[str, bytes]]:
    """Content-type and bytes of bodies of 16 MiB that are accepted, or refused as late as possible, by their names."""
    most = 16 * 2**20 - 200
    picture = base64.b64encode(serving.drawing()).decode()
    reading = json.dumps({"picture": picture, "number": 7})
    large = base64.b64encode(bytes(3 * most // 4 // 64 - 30)).decode()
    readings = ",".join([json.dumps({"picture": large, "number": 7})] * 64)
    form = b'--edge\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n'
    return {
        "lists in JSON": ("application/json", b'{"readings":[' + b"[]," * (most // 3) + b"[]]}"),
        "objects in JSON": ("application/json", b'{"readings":[' + b'{"":{}},' * (most // 8) + b"{}]}"),
        "a number in JSON": ("application/json", b'{"picture":"", "number":' + b"9" * most + b"}"),
        "64 large pictures in JSON": ("application/json", f'{{"readings":[{readings}]}}'.encode()),
        "64 drawings in JSON": ("application/json", f'{{"readings":[{",".join([reading] * 64)}]}}'.encode()),
        "parts of a form": (serving.TYPE, form * (most // len(form)) + b"--edge--\r\n"),
        "a picture in a form": (serving.TYPE, serving.form(bytes(most - 400))),
    }


def bodies(given: argparse.Namespace, roots: list[Path]) -> Iterator[Row]:
    """A row for each kind of body and checkout."""
    for name, (content_type, body) in worst_bodies().items():
        for root in roots:
            server = Served(root, given)
            try:
                before, statuses, times = server.memory(), [], []
                over = time.monotonic() + given.seconds
                with Healthz(server) as healthz:
                    while time.monotonic() < over:
                        status, seconds = ask(server, content_type, body)
                        statuses.append(status)
                        times.append(seconds)
                yield {
                    "of": server.commit, "body": name, "bytes": len(body), "requests": len(times),
                    "statuses": sorted(set(statuses)), "median_ms": round(1e3 * sorted(times)[len(times) // 2], 1),
                    **healthz.figures(),
                    "mb_warm": before, "peak_mb": server.memory("VmHWM"), "mb_end": server.memory(),
                }  # fmt: skip
            finally:
                server.end()


def ask(server: serving.Server, content_type: str, body: bytes) -> tuple[int, float]:
    """Status and seconds of a batch."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    begun = time.perf_counter()
    try:
        connection.request("POST", "/v1/read/batch", body, {"Content-Type": content_type})
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.perf_counter() - begun
    finally:
        connection.close()


class Healthz(threading.Thread):
    """Asks all the while whether the server lives, a hundred times a second."""

    def __init__(self, server: serving.Server) -> None:
        super().__init__()
        self._port = server.port
        self._over = threading.Event()
        self._seconds: list[float] = []

    def run(self) -> None:
        """Until the end of the `with`."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._over.wait(0.01):
            begun = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            self._seconds.append(time.perf_counter() - begun)
        connection.close()

    def __enter__(self) -> Healthz:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def figures(self) -> Row:
        """Figures for the row."""
        seconds = sorted(self._seconds)
        return {
            "healthz": len(seconds), "healthz_median_ms": round(1e3 * seconds[len(seconds) // 2], 2),
            "healthz_p99_ms": round(1e3 * seconds[99 * len(seconds) // 100], 2),
            "healthz_max_ms": round(1e3 * seconds[-1], 2),
        }  # fmt: skip


MEASURES: dict[str, Callable[[argparse.Namespace, list[Path]], Iterator[Row]]] = {
    "load": load, "share": share, "bodies": bodies,
}  # fmt: skip


def main() -> int:
    """Measure the parts that are asked for."""
    every = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(MEASURES)} (default: all)")
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--server-cores", type=serving.cores, default=set(every))
    parser.add_argument("--load-cores", type=serving.cores, default={every[-1]})
    given = parser.parse_args()
    wanted = given.parts or list(MEASURES)
    if unknown := set(wanted) - set(MEASURES):
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(MEASURES)}")
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt install wrk")
    roots = [serving.ROOT, *([given.beside.resolve()] if given.beside else [])]
    run = {"date": now(), "machine": describe_machine()}
    for part in wanted:
        for measured in MEASURES[part](given, roots):
            row = {
                "part": f"serving-{part}", "server_cores": sorted(given.server_cores),
                "load_cores": sorted(given.load_cores), **measured, **run,
            }  # fmt: skip
            print(json.dumps({key: value for key, value in row.items() if key != "machine"}), flush=True)
            with serving.RESULTS.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Measure a real `sumnist serve` under load, beside another checkout.

    python -m lab serving                                some minutes; needs wrk (apt install wrk)
    python -m lab serving --other ../older               this checkout and another one, in turn

Each row has the readings and refusals of some seconds and the time until an answer, for 1 to 256 connections, round by
round.

The load generator runs only on the cores of `--load-cores`, the server only on those of `--server-cores`. Each row has
both, so it shows whether they share cores. Rows go to `docs/results/serving.jsonl`; each names the commit
that served.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from lab.benchmarks.timing import Row
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


def on(cores: set[int]) -> list[str]:
    """Return the start of a command that may use only these cores."""
    return ["taskset", "-c", ",".join(map(str, sorted(cores)))]


class Server:
    """A `sumnist serve` of any checkout, on some of the cores."""

    def __init__(self, cores: set[int], root: Path) -> None:
        self.commit = subprocess.check_output(["git", "-C", root, "rev-parse", "HEAD"], text=True).strip()
        self.process = subprocess.Popen(
            [*on(cores), sys.executable, "-m", "sumnist", "serve", "--port", "0"],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(root / "src")},
        )  # fmt: skip
        assert self.process.stdout is not None
        port = re.search(r":(\d+)( \(|: reading)", self.process.stdout.readline())
        if port is None:
            raise SystemExit("serving: the server did not start")
        self.port = int(port[1])

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


# Load with more and more connections; beside another checkout, if there is one.

CONNECTIONS = (1, 4, 16, 48, 256)
PAUSE = 1.0
"""Seconds after a load, for the server to finish the requests of clients that have gone."""


@contextmanager
def serving_all(given: argparse.Namespace) -> Iterator[list[Server]]:
    """Run a warm server of each checkout, with its default flags; only one of them is asked at a time."""
    roots = [ROOT, *([given.other.resolve()] if given.other else [])]
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(given.server_cores, root)) for root in roots]
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
                    row = asked_by_wrk(given, server, connections, given.seconds)
                    yield {"of": server.commit, "round": attempt, "connections": connections, **row}
                    time.sleep(PAUSE)


def cores(text: str) -> set[int]:
    """Return the cores that a text such as `0,1` names."""
    return {int(core) for core in text.split(",")}


def main(words: Sequence[str] | None = None) -> None:
    """Put load on a server, or on two in turn."""
    every = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2, help="of each load")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--other", type=Path, help="another checkout")
    parser.add_argument("--server-cores", type=cores, default=set(every))
    parser.add_argument("--load-cores", type=cores, default={every[-1]})
    parser.add_argument("--results", type=Path, default=RESULTS / "serving.jsonl")
    given = parser.parse_args(words)
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt install wrk")
    where = {"server_cores": sorted(given.server_cores), "load_cores": sorted(given.load_cores)}
    together = with_envelope("serving-load", **where)
    for row in load(given):
        add(given.results, together | row)

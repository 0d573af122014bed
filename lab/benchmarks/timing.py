"""Tools for all benchmarks: alternating rounds, seconds, memory, and commands that are watched."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
SUMNIST = [sys.executable, "-m", "sumnist"]


def alternating(cases: Mapping[Any, Callable[[int], Row]], rounds: int, warm: int = 0) -> Iterator[Row]:
    """Run each case once in each round, in turn, so that a noisy machine treats all alike, and yield a row for each
    run.

    Args:
        cases: The functions to run; each takes the round and returns figures. Their keys go into the rows: a name, or a
            tuple of pairs of a key and a value.
        rounds: The number of rounds.
        warm: The number of rounds before these, which do not count.
    """
    for turn in range(-warm, rounds):
        for name, case in cases.items():
            figures = case(turn)
            if turn >= 0:
                yield (dict(name) if isinstance(name, tuple) else {"name": name}) | {"round": turn} | figures


def seconds(work: Callable[..., object], *given: Any) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work(*given)
    return time.perf_counter() - began


def seconds_each(work: Callable[[Any], object], items: Iterable[Any]) -> list[float]:
    """Return the seconds that each item takes, one item after the other."""
    return [seconds(work, item) for item in items]


def watched(command: Sequence[str]) -> Row:
    """Run a command; returns its seconds, and the memory of all its processes: in the middle third, in the last third,
    and at most."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    samples: list[int] = []

    def sample() -> None:
        while process.poll() is None:
            samples.append(memory_of(process.pid))
            time.sleep(0.1)

    threading.Thread(target=sample, daemon=True).start()
    assert process.wait() == 0
    third = max(1, len(samples) // 3)
    return {"seconds": time.perf_counter() - began, "peak_bytes": max(samples, default=0), "samples": len(samples),
            "middle_third_bytes": max(samples[third : 2 * third], default=0),
            "last_third_bytes": max(samples[2 * third :], default=0)}  # fmt: skip


def children_of(pid: int) -> list[int]:
    """The children of a process, whichever of its threads has started them."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process and of all that it started."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = children_of(pid)
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(memory_of, children))


def status_of(pid: int | str, name: str) -> int:
    """Return a figure of a process's memory in bytes, 0 if the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)

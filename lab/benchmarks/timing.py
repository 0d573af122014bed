"""Tools for all benchmarks: alternating rounds, seconds, memory, and commands that are watched or killed."""

from __future__ import annotations

import os
import signal
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


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process and of all that it started."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(memory_of(int(child)) for child in children)


def status_of(pid: int | str, name: str) -> int:
    """Return a figure of a process's memory in bytes, 0 if the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def kill_at(command: Sequence[str], out: Path, size: float) -> None:
    """Run a command until the unfinished rows of `out` have grown to `size` bytes, then kill it."""
    rows = out.with_name(f".{out.name}.partial")
    process = subprocess.Popen(command)
    while process.poll() is None and (not rows.exists() or rows.stat().st_size < size):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise SystemExit(f"{' '.join(command)}: it ended before it was killed")


def interrupted(command: Sequence[str], into: str, alone: Path, killed: Path, kills: int) -> Row:
    """Run a command that writes rows, once left alone, and once killed again and again.

    Returns its figures, and whether both files are the same. `into`: the command's flag for the file.
    """
    figures = watched([*command, into, str(alone)])
    again = [*command, into, str(killed)]
    for place in range(kills):
        kill_at(again, killed, (place + 1) / (kills + 1) * alone.stat().st_size)
    subprocess.run(again, check=True, stdout=subprocess.DEVNULL)
    return figures | {"kills": kills, "identical": killed.read_bytes() == alone.read_bytes()}

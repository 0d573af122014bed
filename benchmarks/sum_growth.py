"""How the time and the memory of exact sums grow, with the digits of the numbers and with how many are added."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sumnist.arithmetic import Digits, Sum
from sums import drawn

__all__ = ["growth"]

SIZES = [*((2, digits) for digits in (10, 30, 100, 200, 500, 1000)), *((addends, 10) for addends in (5, 10, 30, 100))]
"""Numbers in a sum, and digits of each."""
ROUNDS = 5
CALLS, MOMENT = 3, 0.5
"""Calls of a round at least, and the seconds that they take together, if these are more."""
RESET_PEAK = "5"
"""What makes Linux forget the most memory that a process held until now, in its /proc/self/clear_refs."""


def growth() -> Iterator[dict[str, Any]]:
    """The time of a known total's log-probability and of the posterior, and the memory of a first such query, each in a
    new process with one thread."""
    for turn in range(ROUNDS):
        for addends, digits in SIZES:
            for question in ("log_prob", "posterior"):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    yield {"question": question, "addends": addends, "digits": digits, "round": turn,
                           **pool.apply(grown, (question, addends, digits))}  # fmt: skip


def grown(question: str, addends: int, digits: int) -> dict[str, Any]:
    """The median seconds of a query, and the most bytes that were resident while the first was answered, more than
    before."""
    torch.set_num_threads(1)
    asked(question, 2, 1)()  # whatever is loaded late
    ask = asked(question, addends, digits)
    Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")
    before = resident("VmRSS")
    ask()
    peak = resident("VmHWM") - before
    spent: list[float] = []
    while sum(spent) < MOMENT or len(spent) < CALLS:
        began = time.perf_counter()
        ask()
        spent.append(time.perf_counter() - began)
    return {"seconds": float(np.median(spent)), "calls": len(spent), "peak_bytes": max(0, peak)}


def asked(question: str, addends: int, digits: int) -> Callable[[], Any]:
    """A query about one sum of numbers with float32 digits."""
    scores, (total,) = drawn(1, addends, digits)
    numbers = [Digits(one) for one in scores[0].float()]
    return lambda: getattr(Sum.of(*numbers), question)(total)


def resident(name: str) -> int:
    """A figure of this process's memory, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return 1024 * int(status.partition(f"{name}:")[2].split()[0])

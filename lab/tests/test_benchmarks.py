"""The benchmarks: cases in turn, and what is watched and killed."""

from __future__ import annotations

import multiprocessing
import sys
from functools import partial
from typing import Any

import pytest

from lab.benchmarks import growth, timing

pytestmark = pytest.mark.long
Row = dict[str, Any]


# Rounds, memory, kills.


def test_cases_come_in_turn_and_rounds_that_warm_up_do_not_count() -> None:
    asked: list[tuple[str, int]] = []

    def case(name: str, turn: int) -> Row:
        asked.append((name, turn))
        return {"p50": len(asked)}

    cases = {"a": partial(case, "a"), (("name", "b"), ("batch", 4)): partial(case, "b")}
    rows = list(timing.alternating(cases, 2, warm=1))
    assert asked == [(name, turn) for turn in (-1, 0, 1) for name in "ab"]
    assert rows[:2] == [{"name": "a", "round": 0, "p50": 3}, {"name": "b", "batch": 4, "round": 0, "p50": 4}]
    assert len(rows) == 4


def test_memory_of_a_command_and_of_its_children_is_watched() -> None:
    child = "b = 60_000_000 * b'x'; import time; time.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    row = timing.watched([sys.executable, "-c", parent])
    assert 60e6 < row["peak_bytes"] < 600e6
    assert row["seconds"] > 0.5
    assert (
        timing.status_of(10**8, "VmRSS") == 0 < timing.status_of("self", "VmRSS") <= timing.status_of("self", "VmHWM")
    )


def test_the_memory_of_a_query_is_the_most_beyond_what_was_there() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # this process has memory to spare
        row = pool.apply(growth.grown, ("posterior", 100, 10))
    assert 10e6 < row["peak_bytes"] < 1e9  # log-weights of 100 columns of sums, several at once
    assert row["calls"] >= growth.CALLS

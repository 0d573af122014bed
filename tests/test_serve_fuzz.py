"""A real `sumnist serve` and all that fuzzers send: every whole request has one answer, as the document promises it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from http_fuzz import Case, answered, case
from served import Server, metric, wait_until

AT_ONCE = 48
"""Connections."""


def resident(server: Server) -> float:
    """MB of the server's process that are in memory."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:"))


def wrong_in(server: Server, seeds: range) -> list[str]:
    """What is not as it must be in the cases of these seeds."""
    room = asyncio.Semaphore(AT_ONCE)
    wrong = []

    async def ask(seed: int) -> None:
        async with room:
            found: Case = case(seed)
            try:
                async with asyncio.timeout(60):
                    found.check(await answered(server.port, found))
            except (AssertionError, OSError, TimeoutError) as error:
                wrong.append(f"seed {seed}, {found.name}, {found.end}: {type(error).__name__} {error}")

    async def ask_all() -> None:
        await asyncio.gather(*map(ask, seeds))

    with ThreadPoolExecutor(1) as thread:  # this one may have a browser's event loop
        thread.submit(asyncio.run, ask_all()).result()
    return wrong


def check(count: int, warm: int) -> None:
    server = Server("--receive-seconds", "4", "--queue", "100")
    try:
        assert wrong_in(server, range(count, count + warm)) == []
        before = resident(server)
        assert wrong_in(server, range(count)) == []
        wait_until(lambda: metric(server, "sumnist_requests_in_flight") == 0)
        wait_until(lambda: resident(server) < 1.1 * before + 20)
        assert server.read()[1]["sum"] == 12
    finally:
        status = server.end()
    assert status == (0, "")  # and nothing is logged


def test_a_few_hundred_fuzzed_connections_have_the_answers_that_are_due_and_leave_nothing_behind() -> None:
    check(500, warm=200)


@pytest.mark.long
def test_ten_thousand_fuzzed_connections_have_the_answers_that_are_due_and_leave_nothing_behind() -> None:
    check(10_000, warm=2_000)


def test_schemathesis_finds_no_answer_that_the_document_does_not_promise() -> None:
    server = Server("--batch", "4")
    try:
        result = subprocess.run(
            [Path(sys.executable).parent / "schemathesis", "run", f"http://127.0.0.1:{server.port}/openapi.json",
             "--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1", "--no-color"],
            cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout
        assert re.search(r"Selected: 6/6\s+Tested: 6", result.stdout), result.stdout
        for route in ("/v1/read", "/v1/read/batch", "/v1/read-number"):  # both what is right and what is wrong
            assert metric(server, f'sumnist_requests_total{{route="{route}",status="200"}}') > 0
            assert metric(server, f'sumnist_requests_total{{route="{route}",status="422"}}') > 0
    finally:
        assert server.end() == (0, "")

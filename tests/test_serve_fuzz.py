"""A real `sumnist serve` and all that a fuzzer for HTTP sends: every whole request has one answer, nothing else has."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from http_fuzz import Case, answered, case
from test_serve_process import Server, metric, wait_until

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

    asyncio.run(ask_all())
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
    check(300, warm=200)


@pytest.mark.heavy
def test_ten_thousand_fuzzed_connections_have_the_answers_that_are_due_and_leave_nothing_behind() -> None:
    check(10_000, warm=2_000)

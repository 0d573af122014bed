"""A real server, raw sockets and all that fuzzers send: each request has one answer, in its turn, as the document
promises it, whatever stands around it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from http_fuzz import Case, answered, answers_in, case
from served import FIVE, Server, form, metric, received_on, request, slow_picture, status_on, wait_until

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /fuzz/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""After which the server closes, so that all that it says can be received."""


def asked(server: Server, *segments: bytes, end: bool = False) -> list[tuple[int, Any]]:
    """Status and JSON of all answers until the connection is closed. `end`: the client closes its sending half at
    once."""
    connection = server.connect()
    for segment in segments:
        connection.sendall(segment)
        time.sleep(0.02 if len(segments) > 1 else 0)
    if end:
        connection.shutdown(socket.SHUT_WR)
    answers = answers_in(received_on(connection), [])
    return [(status, json.loads(content or "null")) for status, content in answers]


def statuses(answers: list[tuple[int, Any]]) -> list[int]:
    return [status for status, _ in answers]


# What is no request, beside what the fuzzer sends.


def test_what_comes_before_garbage_or_the_end_is_answered_first_though_it_takes_a_while(shared: Server) -> None:
    before = request(form(slow_picture())) + GET
    assert statuses(asked(shared, before + b"\0garbage", end=True)) == [200, 200, 400]
    assert statuses(asked(shared, before + request(form(FIVE, 1)), end=True)) == [200, 200, 200]
    assert asked(shared, b"", end=True) == []
    whole = request(form(FIVE))
    for cut in (5, 60, len(whole) - 1):
        assert statuses(asked(shared, whole[:cut], end=True)) == [400]
        assert statuses(asked(shared, whole + whole[:cut], end=True)) == [200, 400]


def test_a_request_that_stops_being_http_has_one_answer_wherever_it_stands(shared: Server) -> None:
    chunked = request(b"{").partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    broken = chunked + b"1\r\n{\r\nx\r\n"
    assert statuses(asked(shared, broken + GET)) == [400]
    assert statuses(asked(shared, GET + request(form(FIVE)) + broken + GET)) == [200, 200, 400]
    assert statuses(asked(shared, GET + broken.replace(b"/v1/read", b"/healthz"))) in ([200, 400], [200, 405])
    for start in (b"0\r\nx: ", b"0;x="):  # what stands around the chunks is bounded, too
        connection = shared.connect()
        connection.sendall(chunked + start)
        for _ in range(8):  # of 300,000 bytes at most some are sent before the answer
            connection.sendall(b"x" * 37_500)
        assert connection.recv(12) == b"HTTP/1.1 431"
        connection.close()


def test_more_requests_than_are_answered_at_once_wait_for_their_turn(shared: Server) -> None:
    assert statuses(asked(shared, GET * 500 + LAST)) == [200] * 500 + [404]


# Connections that are closed.


def test_the_work_of_a_client_that_went_away_is_given_up_where_it_has_not_begun(shared: Server) -> None:
    name = 'sumnist_readings_total{outcome="accepted"}'
    before, picture = metric(shared, name), slow_picture()
    occupied = [shared.connect() for _ in range(3)]
    for connection in occupied:
        connection.sendall(request(form(picture)))  # the only process reads these for a while
    wait_until(lambda: metric(shared, "sumnist_requests_in_flight") >= 3)
    gone = [shared.connect() for _ in range(8)]
    for connection in gone:
        connection.sendall(request(form(FIVE)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
    wait_until(lambda: metric(shared, "sumnist_requests_in_flight") >= 8)
    for connection in gone:
        connection.close()
    for connection in occupied:
        assert status_on(connection) == 200
    wait_until(lambda: metric(shared, "sumnist_requests_in_flight") == 0)
    assert metric(shared, name) - before <= 1  # one may have begun
    assert shared.read()[0] == 200  # and no process is lost with them


# What else HTTP has.


def test_head_is_answered_as_get_is_without_the_body(shared: Server) -> None:
    for path in ("/", "/docs", "/static/docs.js", "/healthz", "/readyz", "/metrics", "/openapi.json", "/none"):
        heads = []
        for method in ("GET", "HEAD"):
            connection = shared.connect()
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            head, _, body = received_on(connection).partition(b"\r\n\r\n")
            lines = [
                line for line in head.split(b"\r\n") if path != "/metrics" or not line.startswith(b"content-length")
            ]
            heads.append([line for line in lines if not line.startswith(b"date")])
            assert (body == b"") == (method == "HEAD")
        assert heads[0] == heads[1], path


@pytest.mark.parametrize("content", [b"", b"Content-Length: 40000000\r\n", b"Content-Encoding: gzip\r\n"])
def test_who_waits_to_be_told_to_go_on_is_told_so_or_is_refused_before_the_body(shared: Server, content: bytes) -> None:
    connection = shared.connect()
    body = b"{}"
    headers = content if b"Length" in content else content + b"Content-Length: 2\r\n"
    head = b"POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    connection.sendall(head + headers + b"\r\n")
    first = connection.recv(2**16)
    if content == b"":
        assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body + LAST)
        assert connection.recv(2**16).startswith(b"HTTP/1.1 422 ")
    else:  # whether the body comes now, the server cannot know: it closes
        assert first[9:12] in (b"413", b"415")
        assert b"\r\nconnection: close\r\n" in first
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(2**16):
            pass
    connection.close()


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
    check(500, warm=50)


@pytest.mark.long
def test_ten_thousand_fuzzed_connections_have_the_answers_that_are_due_and_leave_nothing_behind() -> None:
    check(10_000, warm=2_000)


@pytest.mark.parametrize("phases", ["examples,fuzzing", pytest.param("coverage", marks=pytest.mark.long)])
def test_schemathesis_finds_no_answer_that_the_document_does_not_promise(phases: str) -> None:
    server = Server("--batch", "4")
    try:
        result = subprocess.run(
            [Path(sys.executable).parent / "schemathesis", "run", f"http://127.0.0.1:{server.port}/openapi.json",
             "--phases", phases, "--max-examples", "10", "--seed", "1", "--no-color"],
            cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout
        assert re.search(r"Selected: 13/13\s+Tested: 13", result.stdout), result.stdout
        for route in ("/v1/read", "/v1/read/batch", "/v1/read-number", "/v1/find"):  # both right and wrong ones
            assert metric(server, f'sumnist_requests_total{{route="{route}",status="200"}}') > 0
            assert metric(server, f'sumnist_requests_total{{route="{route}",status="422"}}') > 0
    finally:
        assert server.end() == (0, "")

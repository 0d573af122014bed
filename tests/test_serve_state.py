"""The API: its limits, its state, its metrics, and the files of its page."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect, Request

from asked import BLANK, SEVEN, check_problem, form
from readers import broken, mortal, slow, stillborn
from served import wait_until
from sumnist.errors import ServeError
from sumnist.inference.reader import Reader
from sumnist.serve.app import create_app
from sumnist.serve.bodies import Body, Inbox
from sumnist.serve.pool import HOLD
from sumnist.serve.problems import Problem
from sumnist.serve.reading import Job, answer_to
from sumnist.serve.settings import Settings

# Limits.


def test_a_body_that_is_too_large_is_refused_if_it_says_so_or_not(
    with_settings: Callable[..., TestClient],
) -> None:
    client = with_settings(body_mib=1)
    check_problem(client.post("/v1/read", files=form(bytes(2**20)), data={"number": "1"}), 413, "body-too-large")
    answer = client.post(
        "/v1/read", content=iter([b"x" * 2**18] * 5), headers={"content-type": "application/json"}
    )  # in chunks, without a content-length
    detail = "a body of more than 1,048,576 bytes: expected at most 1 MiB: scale the picture down, or send fewer"
    check_problem(answer, 413, "body-too-large", detail)
    assert client.app.state.service.inbox.held == 0  # type: ignore[attr-defined]


class Gone(Exception):  # noqa: N818
    """What a test ends the receiving of a body with."""


@pytest.mark.parametrize("way", ["disconnected", "cancelled", "timed out", "failed", "answered"])
def test_bytes_of_a_body_are_held_until_its_request_ends_in_whatever_way(way: str) -> None:
    inbox = Inbox(Settings(receive_seconds=0.1))
    held = []

    async def receive() -> dict[str, Any]:
        held.append(inbox.held)
        if len(held) < 4:
            return {"type": "http.request", "body": b"x" * 1000, "more_body": True}
        if way == "disconnected":
            return {"type": "http.disconnect"}
        if way in ("cancelled", "timed out"):
            await asyncio.sleep(20)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def ask() -> None:
        request = Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)
        async with inbox.receiving(request) as body:
            assert (inbox.held, len(body.content)) == (3000, 3000)
            if way == "failed":
                raise Gone

    async def go() -> None:
        task = asyncio.ensure_future(ask())
        while len(held) < 4:
            await asyncio.sleep(0)
        if way == "cancelled":
            task.cancel()
        await task

    expected: dict[str, type[BaseException]] = {
        "disconnected": ClientDisconnect, "cancelled": asyncio.CancelledError, "timed out": Problem, "failed": Gone,
    }  # fmt: skip
    error = pytest.raises(expected[way]) if way in expected else nullcontext()
    with error, ThreadPoolExecutor(1) as thread:  # this one may have a browser's event loop
        thread.submit(asyncio.run, go()).result()
    assert (held, inbox.held) == ([0, 1000, 2000, 3000], 0)


def test_what_finds_no_room_is_refused_after_a_moment_and_what_waits_is_answered(
    with_settings: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = with_settings(partial(slow, tmp_path), queue=2)
    with ThreadPoolExecutor(8) as threads:

        def ask() -> Any:
            return client.post("/v1/read", files=form(SEVEN), data={"number": "1"})

        asked = [threads.submit(ask) for _ in range(3)]
        wait_until((tmp_path / "begun").exists)
        pool = client.app.state.service.pool  # type: ignore[attr-defined]
        wait_until(lambda: pool._taken == 3)
        begun = time.monotonic()
        refused = ask()
        assert HOLD <= time.monotonic() - begun < HOLD + 5
        check_problem(refused, 503, "busy", "3 requests are being read or wait already: try again in a second")
        assert refused.headers["retry-after"] == "1"
        later = threads.submit(ask)
        (tmp_path / "go").touch()
        assert [answer.result().json()["sum"] for answer in [*asked, later]] == [8, 8, 8, 8]
        assert "sumnist_requests_shed_total 1.0\n" in client.get("/metrics").text


def test_a_reading_that_takes_too_long_is_stopped_and_the_next_one_has_its_place(
    with_settings: Callable[..., TestClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = with_settings(partial(slow, tmp_path), queue=0, reading_seconds=3)
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "1"})
    detail = "no reading within 3 seconds: try again, or with smaller or fewer pictures"
    check_problem(answer, 503, "reading-timeout", detail)
    assert answer.headers["retry-after"] == "1"
    (tmp_path / "go").touch()
    wait_until(lambda: client.post("/v1/read", files=form(SEVEN), data={"number": "1"}).status_code == 200, 30)
    assert client.app.state.service.pool._taken == 0  # type: ignore[attr-defined]
    assert client.app.state.service.inbox.held == 0  # type: ignore[attr-defined]
    assert {*caplog.messages} == {"a process that reads was ended by signal 9; another one takes its place"}


def test_a_request_that_is_given_up_leaves_its_body_nowhere(
    with_settings: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = with_settings(partial(slow, tmp_path), reading_seconds=1)
    picture = SEVEN + bytes(10**6)
    gc.disable()  # they go at once, not when it comes to that
    try:
        with ThreadPoolExecutor(6) as threads:
            answers = list(
                threads.map(lambda _: client.post("/v1/read", files=form(picture), data={"number": "1"}), range(6))
            )
        bodies = [found for found in gc.get_objects() if type(found) is Body]
    finally:
        gc.enable()
    assert {answer.status_code for answer in answers} == {503}
    assert [body for body in bodies if len(body.content) > 10**6] == []
    assert client.app.state.service.inbox.held == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [b'{"picture": "", "number": 1, "x": [' + b"[]," * 10**6, b"{" * 10**6, b"no json"])
def test_a_body_that_was_refused_is_held_nowhere_in_the_process_that_read_it(reader: Reader, content: bytes) -> None:
    gc.disable()
    try:
        job = Job(Body("application/json", content), "/v1/read")
        answer, body = answer_to(job, reader), weakref.ref(job.body)
        del job
        assert isinstance(answer, Problem)
        assert body() is None
    finally:
        gc.enable()


def test_a_process_that_dies_costs_its_own_request_alone(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = with_settings(mortal, workers=2, reading_seconds=60)
    numbers = [1, 9, 2, 9, 3, 4]
    with ThreadPoolExecutor(6) as threads:
        answers = list(
            threads.map(lambda n: client.post("/v1/read", files=form(SEVEN), data={"number": str(n)}), numbers)
        )
    assert [answer.status_code for answer in answers] == [200, 500, 200, 500, 200, 200]
    assert [answer.json()["sum"] for answer in answers if answer.status_code == 200] == [8, 9, 10, 11]
    wait_until(lambda: caplog.text.count("was ended by signal 9; another one takes its place") == 2)


def test_a_body_that_needs_more_memory_than_there_is_says_so(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(partial(broken, MemoryError()))
    answer = client.post("/v1/read/batch", files=form(SEVEN), data={"number": "1"})
    detail = "it needs more memory than there is: scale the pictures down, or send fewer"
    check_problem(answer, 413, "body-too-large", detail, "/v1/read/batch")


def test_processes_that_cannot_start_are_given_up_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("sumnist.serve.pool.PAUSE", 0.01)
    app = create_app(Settings(workers=1), partial(stillborn, os.getpid()))
    with pytest.raises(ServeError, match=r"^no process that reads can start: no memory for the net"), TestClient(app):
        pass
    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", none_left)
    app = create_app(Settings(workers=2))
    with pytest.raises(ServeError, match=r"can start: \[Errno 11\] Resource temporarily unavailable$"), TestClient(app):
        pass


# The state of the server.


def test_the_metrics_count_what_happened() -> None:
    with TestClient(create_app(Settings(workers=1))) as client:
        for picture in (SEVEN, SEVEN, BLANK, b"none"):
            client.post("/v1/read", files=form(picture), data={"number": "1"})
        client.post("/v1/read/batch", files=form(SEVEN, BLANK, b"none"), data={"number": "1"})
        client.post("/v1/read-number", files=form(BLANK))
        client.get("/nothing")
        client.get("/docs/", follow_redirects=False)
        answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    values = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    for name, value in {
        'sumnist_requests_total{route="/v1/read",status="200"}': "3",
        'sumnist_requests_total{route="/v1/read",status="415"}': "1",
        'sumnist_requests_total{route="/v1/read/batch",status="200"}': "1",
        'sumnist_requests_total{route="other",status="404"}': "2",
        'sumnist_request_seconds_bucket{le="+Inf",route="/v1/read"}': "4",
        'sumnist_request_seconds_count{route="/v1/read"}': "4",
        "sumnist_requests_in_flight": "1",  # the one that asks
        "sumnist_requests_shed_total": "0",
        'sumnist_readings_total{outcome="accepted"}': "3",
        'sumnist_requests_total{route="/v1/read-number",status="200"}': "1",
        'sumnist_request_seconds_count{route="/v1/read-number"}': "1",
        'sumnist_readings_total{outcome="blank"}': "3",
        'sumnist_readings_total{outcome="several digits"}': "0",
        'sumnist_problems_total{problem="unknown-format"}': "2",
        'sumnist_problems_total{problem="not-found"}': "2",
    }.items():
        assert float(values[name]) == float(value), name
    assert 0 < float(values['sumnist_request_seconds_sum{route="/v1/read"}']) < 60


# The page.


def test_the_files_of_the_page_are_sent_again_only_if_they_changed_and_every_answer_forbids_what_is_not_its_own(
    client: TestClient,
) -> None:
    kinds = {"/": "html", "/docs": "html", "/static/docs.js": "javascript", "/static/docs.css": "css"}
    for path, kind in kinds.items():
        answer = client.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert answer.headers["content-type"] == f"text/{kind}; charset=utf-8"
        again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        assert client.get(path, headers={"if-none-match": '"another"'}).content == answer.content
        assert client.head(path).headers["content-length"] == str(len(answer.content))
        assert path == "/" or "http" not in answer.text.replace("http-equiv", ""), path
    for path in (*kinds, "/healthz", "/nothing", "/v1/read", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';"), path
        assert headers["x-content-type-options"] == "nosniff", path

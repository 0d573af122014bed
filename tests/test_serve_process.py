"""How a real `sumnist serve` starts and ends; slow and broken clients, no room, processes that die; its metrics, and
the files of its page."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.requests import ClientDisconnect, Request
from starlette.testclient import TestClient

from drawings import encoded as png
from readers import broken, mortal, slow, stillborn
from served import (
    BLANK,
    FIVE,
    SEVEN,
    Server,
    answer_on,
    check_problem,
    files,
    form,
    is_running,
    metric,
    of_process,
    request,
    slow_picture,
    status_on,
    wait_until,
)
from sumnist.errors import ConfigError, RunError, ServeError
from sumnist.files import PRETRAINED
from sumnist.serve.app import HOLD, create_app, listening, serve
from sumnist.serve.bodies import Inbox
from sumnist.serve.problems import Problem
from sumnist.serve.settings import Settings

IN_FLIGHT = "sumnist_requests_in_flight"


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends those that a test leaves."""
    servers: list[Server] = []

    def start(*flags: str) -> Server:
        servers.append(Server(*flags))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """A server that waits a second for a request of at most a MiB."""
    server = Server("--body-mib", "1", "--receive-seconds", "1", "--workers", "1")
    yield server
    assert server.end() == (0, "")


def sending(server: Server, content: bytes) -> socket.socket:
    """A connection on which these bytes were sent."""
    connection = server.connect()
    connection.sendall(content)
    return connection


def test_what_makes_no_sense_is_one_message(serving: Callable[..., Server], tmp_path: Path) -> None:
    status, message = serving("--beside", str(PRETRAINED)).end()
    assert (status, message.count("\n")) == (2, 1)
    assert message.startswith(f"sumnist: --beside {PRETRAINED}: its sum is computed as the first one's is, expected a ")
    (tmp_path / "model.onnx").write_text("no network")
    with pytest.raises(RunError, match="damaged, or no ONNX file of sumnist"):
        create_app(Settings(model=tmp_path / "model.onnx"))
    for host in ("..", "x" * 64 + ".example", "a..b", "ä" * 70, "no-such-host.invalid"):
        with pytest.raises(ConfigError, match=rf"^--host {host} --port 0: cannot listen there \("):
            listening(host, 0, f"--host {host} --port 0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--port {port}: cannot listen there \(address already in use\), exp"):
            listening("127.0.0.1", port, f"--port {port}")


def test_a_folder_of_hands_that_can_be_none_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("/dev/null", str(tmp_path / "file"), "/dev/null/hands"):
        with pytest.raises(ConfigError, match=rf"^--hands {place}: .*, expected a folder, or a place for a new one$"):
            create_app(Settings(hands=Path(place)))


@pytest.mark.parametrize("whom", ["SIGTERM to it alone", "Ctrl-C to all processes"])
def test_a_signal_answers_every_request_that_was_sent_before(serving: Callable[..., Server], whom: str) -> None:
    server, picture = serving("--workers", "1", "--reading-seconds", "60"), slow_picture()
    connections = [sending(server, request(form(picture))) for _ in range(2)]
    connections.append(sending(server, request(form(FIVE))[:-20]))
    wait_until(lambda: metric(server, IN_FLIGHT) + metric(server, 'sumnist_requests_total{route="/v1/read"') >= 3)
    if whom == "SIGTERM to it alone":
        server.process.send_signal(signal.SIGTERM)
    else:
        for pid in [*children_of(server.process.pid), server.process.pid]:  # as a terminal and systemd do
            os.kill(pid, signal.SIGINT)
    time.sleep(0.5)
    connections[-1].sendall(request(form(FIVE))[-20:])
    answers = [answer_on(connection) for connection in connections]
    assert [status for status, _ in answers] == [200] * 3
    assert answers[-1][1]["sum"] == 12
    assert server.end() == (0, "")


def test_before_it_ends_it_says_that_it_is_not_ready_and_goes_on_answering(serving: Callable[..., Server]) -> None:
    server = serving("--drain-seconds", "1.5")
    assert server.get("/readyz")[0] == 200
    idle = sending(server, request(form(FIVE)))
    assert status_on(idle) == 200
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: server.get("/readyz")[0] == 503, 1)
    assert server.read()[1]["sum"] == 12
    assert server.get("/healthz")[0] == 200
    idle.sendall(request(form(FIVE)))  # on its way when the server ends
    assert answer_on(idle)[1]["sum"] == 12
    assert server.end() == (0, "")


def test_slow_clients_are_cut_while_others_are_served(strict: Server) -> None:
    begun = time.monotonic()
    slow_body, slow_head, silent = (sending(strict, part) for part in (request(form(FIVE))[:-10], b"POST /v1/", b""))
    for _ in range(4):
        assert strict.read()[1]["sum"] == 12
    status, problem = answer_on(slow_body)
    assert (status, problem["type"]) == (408, "urn:sumnist:problem:request-timeout")
    assert problem["detail"].startswith("the body was not complete after 1 seconds, ")
    status, problem = answer_on(slow_head)
    assert (status, problem["detail"]) == (408, "the headers were not complete after 1 seconds: send them faster")
    assert silent.recv(10) == b""
    assert 0.8 < time.monotonic() - begun < 10
    assert strict.read()[0] == 200


def test_clients_that_go_away_leave_nothing_behind_and_end_no_process(shared: Server) -> None:
    picture, children = slow_picture(), children_of(shared.process.pid)
    for sent in (request(form(FIVE))[:-100], request(form(FIVE))):  # in the middle, and before the answer
        sending(shared, sent).close()
    wait_until(lambda: metric(shared, IN_FLIGHT) == 0)
    for _ in range(3):
        gone = sending(shared, request(form(picture)))
        wait_until(lambda: metric(shared, IN_FLIGHT) == 1)
        gone.close()
        assert shared.read()[0] == 200
    assert children_of(shared.process.pid) == children


def test_a_body_that_is_too_large_is_answered_although_it_is_still_being_sent_and_one_that_nobody_reads_is_cut(
    strict: Server,
) -> None:
    connection = sending(strict, request(b"x" * 2**19, length=2**30))
    assert status_on(connection) == 413
    connection.close()
    chunked = sending(strict, b"POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
    chunked.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        chunked.sendall(b"10000\r\n" + b"x" * 2**16 + b"\r\n")
    assert status_on(chunked) == 413
    for kind in ("multipart/form-data; boundary=edge", "text/plain"):
        headers = {"Content-Type": kind, "Connection": "close"}
        status, content = strict.get("/v1/read", "POST", bytes(8 * 2**20), **headers)
        assert (status, json.loads(content)["type"]) == (413, "urn:sumnist:problem:body-too-large")
    unread = sending(strict, b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    assert status_on(unread) == 405
    unread.setblocking(False)

    def is_cut() -> bool:
        try:
            unread.send(b"x")
            return unread.recv(10) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    wait_until(is_cut, 10)
    assert strict.read()[0] == 200


def test_one_connection_too_many_is_answered_503(serving: Callable[..., Server]) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, before[1]))  # for the server too, which inherits it
    try:
        server = serving("--receive-seconds", "60", "--workers", "1")
        others = [server.connect() for _ in range(1000)]
        status, problem = answer_on(server.connect())
        assert (status, problem["type"]) == (503, "urn:sumnist:problem:busy")
        assert problem["detail"] == "1,000 connections are open: try again in a second"
        others.pop().close()
        wait_until(lambda: server.get("/healthz")[0] == 200)
        assert server.end() == (0, "")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_process_that_was_killed_is_replaced_and_none_outlives_a_server_that_was_killed(
    serving: Callable[..., Server],
) -> None:
    server = serving("--workers", "2")
    wait_until(lambda: len(children_of(server.process.pid)) == 2)
    killed, *_ = children_of(server.process.pid)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not is_running(killed))
    with ThreadPoolExecutor(4) as pool:  # several at once, so that both processes are asked

        def are_two() -> bool:
            answers = [*pool.map(lambda _: server.read(), range(20))]
            assert [answer for answer in answers if answer[1].get("sum") != 12] == []
            return len(children_of(server.process.pid)) == 2

        wait_until(are_two)
    children = children_of(server.process.pid)
    assert killed not in children
    server.process.kill()
    wait_until(lambda: not any(is_running(child) for child in children))  # none outlives it
    assert server.end()[1] == ""


def children_of(pid: int) -> list[int]:
    """The workers among the children of a process, which its threads have started."""
    threads = [found.name for found in Path(f"/proc/{pid}/task").iterdir()]
    children = [int(child) for thread in threads for child in of_process(pid, f"task/{thread}/children").split()]
    return [child for child in children if "be_worker" in of_process(child, "cmdline")]


def read(client: TestClient, picture: bytes = SEVEN, number: int = 1) -> Any:
    return client.post("/v1/read", files=files(picture), data={"number": str(number)})


def read_at_once(client: TestClient, numbers: Iterable[int], picture: bytes = SEVEN) -> list[Any]:
    with ThreadPoolExecutor(6) as threads:
        return list(threads.map(lambda number: read(client, picture, number), numbers))


# Limits.


def test_a_body_that_is_too_large_is_refused_if_it_says_so_or_not(
    with_settings: Callable[..., TestClient],
) -> None:
    client = with_settings(body_mib=1)
    check_problem(read(client, bytes(2**20)), 413, "body-too-large")
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
        asked = [threads.submit(read, client) for _ in range(3)]
        wait_until((tmp_path / "begun").exists)
        pool = client.app.state.service  # type: ignore[attr-defined]
        wait_until(lambda: pool._taken == 3)
        begun = time.monotonic()
        refused = read(client)
        assert HOLD <= time.monotonic() - begun < HOLD + 5
        check_problem(refused, 503, "busy", "3 requests are being read or wait already: try again in a second")
        assert refused.headers["retry-after"] == "1"
        later = threads.submit(read, client)
        (tmp_path / "go").touch()
        assert [answer.result().json()["sum"] for answer in [*asked, later]] == [8, 8, 8, 8]
        assert "sumnist_requests_shed_total 1.0\n" in client.get("/metrics").text


def test_a_reading_that_takes_too_long_is_stopped_and_the_next_one_has_its_place(
    with_settings: Callable[..., TestClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = with_settings(partial(slow, tmp_path), queue=0, reading_seconds=1)
    answer = read(client)
    detail = "no reading within 1 seconds: try again, or with smaller or fewer pictures"
    check_problem(answer, 503, "reading-timeout", detail)
    assert answer.headers["retry-after"] == "1"
    (tmp_path / "go").touch()
    wait_until(lambda: read(client).status_code == 200, 30)
    assert client.app.state.service._taken == 0  # type: ignore[attr-defined]
    assert client.app.state.service.inbox.held == 0  # type: ignore[attr-defined]
    assert caplog.messages == []


def test_a_process_that_dies_costs_its_own_request_alone_whose_error_names_the_picture(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = with_settings(mortal, workers=2, reading_seconds=60)
    answers = read_at_once(client, [1, 9, 2, 9, 3, 4])
    assert [answer.status_code for answer in answers] == [200, 500, 200, 500, 200, 200]
    assert [answer.json()["sum"] for answer in answers if answer.status_code == 200] == [8, 9, 10, 11]
    batch = client.post("/v1/read/batch", files=files(*[SEVEN] * 3), data={"number": ["1", "9", "1"]})
    died = "picture 2: the worker process that read it died, out of memory perhaps"
    detail = f"{died}: send it again, or without the picture that it died of"
    check_problem(batch, 500, "internal", detail, "/v1/read/batch")
    assert caplog.messages[-1] == f"/v1/read/batch failed: {died}"
    assert read(client).json()["sum"] == 8


def test_while_nobody_can_read_no_address_is_told_and_the_reason_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    told: list[str] = []
    monkeypatch.setattr("sumnist.batch.pool.PAUSE", 0.01)
    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as thread:  # this one may have a browser's event loop
        patch.setattr("sumnist.serve.app.create_app", lambda of: create_app(of, partial(stillborn, os.getpid())))
        with pytest.raises(ServeError, match=r"^no process that reads can start: .*\(no memory for the network\)$"):
            thread.submit(serve, Settings(workers=2, port=0), told.append).result()
    assert told == []
    monkeypatch.setattr("sumnist.batch.pool.Popen", none_left)
    app = create_app(Settings(workers=2))
    with pytest.raises(ServeError, match=r"\[Errno 11\] Resource temporarily unavailable\)$"), TestClient(app):
        pass


# The state of the server.


def test_the_metrics_count_what_happened() -> None:
    with TestClient(create_app(Settings(workers=1))) as client:
        for picture in (SEVEN, SEVEN, BLANK, b"none"):
            read(client, picture)
        client.post("/v1/read/batch", files=files(SEVEN, BLANK, b"none"), data={"number": "1"})
        client.post("/v1/read-number", files=files(BLANK))
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


@pytest.mark.long
def test_where_memory_is_short_a_large_picture_fails_and_the_others_do_not(serving: Callable[..., Server]) -> None:
    server = serving("--workers", "1")
    child = children_of(server.process.pid)[0]
    used = int(Path(f"/proc/{child}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(child, resource.RLIMIT_AS, (used + 40 * 2**20,) * 2)
    status, problem = server.read(png(Image.new("L", (7900, 7900), 255)))
    assert (status, problem["type"]) == (413, "urn:sumnist:problem:picture-too-large"), problem
    assert server.read()[1]["sum"] == 12
    assert server.end() == (0, "")


def test_a_body_that_needs_more_memory_than_there_is_says_so(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(partial(broken, MemoryError()))
    answer = client.post("/v1/read/batch", files=files(SEVEN), data={"number": "1"})
    detail = "it needs more memory than there is: scale the pictures down, or send fewer"
    check_problem(answer, 413, "body-too-large", detail, "/v1/read/batch")

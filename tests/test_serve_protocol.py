"""A real server and raw sockets: each request has one answer, in its turn, whatever stands around it."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from http_fuzz import SMUGGLED, UPGRADES, answers_in
from served import FIVE, Server, form, metric, request, slow_picture, status_on, wait_until

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /fuzz/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""After which the server closes, so that all that it says can be received."""


def asked(server: Server, *segments: bytes, end: bool = False, heads: tuple[bool, ...] = ()) -> list[tuple[int, Any]]:
    """Status and JSON of all answers until the connection is closed. `end`: the client closes its sending half at once;
    `heads`: which answers are to a HEAD."""
    connection = server.connect()
    for segment in segments:
        connection.sendall(segment)
        time.sleep(0.02 if len(segments) > 1 else 0)
    if end:
        connection.shutdown(socket.SHUT_WR)
    received = b""
    while part := connection.recv(2**16):
        received += part
    connection.close()
    return [(status, json.loads(content or "null")) for status, content in answers_in(received, list(heads))]


def statuses(answers: list[tuple[int, Any]]) -> list[int]:
    return [status for status, _ in answers]


def upgrading(content: bytes, upgrade: bytes) -> bytes:
    """The request with an offer to speak another protocol."""
    return content.replace(b"\r\n", b"\r\n" + upgrade, 1)


def chunks(content: bytes) -> bytes:
    """The request of `request(content)` with its body in chunks of 100 bytes."""
    head = request(content).partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    parts = [content[place : place + 100] for place in range(0, len(content), 100)]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


# Upgrades.


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("make", [request, chunks])
def test_an_upgrade_that_is_not_offered_is_ignored_however_the_body_comes(
    shared: Server, upgrade: bytes, make: Callable[[bytes], bytes]
) -> None:
    content = upgrading(make(form(FIVE)), upgrade)
    body = content.index(b"\r\n\r\n") + 4
    for segments in (
        [content + LAST],
        [content[:body], content[body:], LAST],
        [*(content[place : place + 400] for place in range(0, len(content), 400)), LAST],
        [content[:30], content[30:], LAST],
    ):
        (first, reading), last = asked(shared, *segments)
        assert (first, reading["sum"], last[0]) == (200, 12, 404)


def test_the_body_of_a_request_with_an_upgrade_is_never_a_request(shared: Server) -> None:
    for upgrade in UPGRADES:
        content = (
            b"POST /fuzz HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (upgrade, len(SMUGGLED)) + SMUGGLED
        )
        for segments in ([content + LAST], [content[: -len(SMUGGLED)], SMUGGLED, LAST]):
            assert [answer["instance"] for _, answer in asked(shared, *segments)] == ["/fuzz", "/fuzz/last"]


def test_upgrades_are_ignored_in_a_pipeline_too_and_where_the_connection_is_to_be_closed(shared: Server) -> None:
    several = b"".join(upgrading(one, UPGRADES[0]) for one in (GET, request(form(FIVE)), GET, request(form(FIVE, 1))))
    assert statuses(asked(shared, several + LAST)) == [200, 200, 200, 200, 404]
    closing = upgrading(request(form(FIVE)), b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n")
    (answer,) = asked(shared, closing + GET)
    assert (answer[0], answer[1]["sum"]) == (200, 12)


def test_connect_is_refused_and_what_follows_it_is_not_a_request(shared: Server) -> None:
    for target in (b"x:443", b"/healthz", b"/"):
        (answer,) = asked(shared, b"CONNECT " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
        assert (answer[0], answer[1]["type"]) == (400, "urn:sumnist:problem:malformed-request")
        assert answer[1]["detail"] == "CONNECT: expected another method: this server is no proxy"


# What is no request.


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (GET, [200]),
        (GET * 3, [200] * 3),
        (request(form(slow_picture())), [200]),
        (request(form(FIVE)) + GET, [200, 200]),
    ],
)
def test_what_comes_before_garbage_is_answered_first(shared: Server, before: bytes, expected: list[int]) -> None:
    answers = asked(shared, before + b"\0garbage", end=True)
    assert statuses(answers) == [*expected, 400]
    assert answers[-1][1]["detail"].startswith("not HTTP (")


def test_a_body_that_stops_being_http_has_one_answer_wherever_it_stands_in_a_pipeline(shared: Server) -> None:
    broken = request(b"{").partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nx\r\n"
    assert statuses(asked(shared, broken + SMUGGLED)) == [400]
    assert statuses(asked(shared, GET + request(form(FIVE)) + broken + SMUGGLED)) == [200, 200, 400]
    assert statuses(asked(shared, broken.replace(b"/v1/read", b"/healthz") + SMUGGLED)) in ([400], [405])


@pytest.mark.parametrize("start", [b"x: ", b"0;x="])
def test_what_stands_around_the_chunks_of_a_body_is_bounded_too(shared: Server, start: bytes) -> None:
    head = request(b"{").partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    connection = shared.connect()
    connection.sendall(head + (b"0\r\n" if start == b"x: " else b"") + start)
    for _ in range(8):  # of 300,000 bytes at most some are sent before the answer
        connection.sendall(b"x" * 37_500)
    assert connection.recv(12) == b"HTTP/1.1 431"
    connection.close()


def test_headers_after_a_body_do_not_matter(shared: Server) -> None:
    content = b"POST /v1/read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    assert statuses(asked(shared, content + b"Content-Type: application/json\r\n\r\n" + LAST)) == [415, 404]


@pytest.mark.parametrize("path", [b"/v1/read", b"/fuzz"])  # which answers when it has the body, or at once
def test_a_connection_that_is_to_be_closed_by_what_comes_after_a_body_is_closed(shared: Server, path: bytes) -> None:
    head = (
        b"POST "
        + path
        + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for segments in ([head, b"0\r\nConnection: close\r\n\r\n"], [head + b"0\r\nConnection: close\r\n\r\n" + LAST]):
        assert statuses(asked(shared, *segments)) in ([400], [404])


def test_too_many_headers_are_refused_in_one_piece_too(shared: Server) -> None:
    (answer,) = asked(shared, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 12_000 + b"\r\n")
    assert (answer[0], answer[1]["detail"]) == (431, "more than 65,536 bytes of headers: send fewer or shorter ones")


def test_more_requests_than_may_wait_on_a_connection_are_refused_after_the_others(shared: Server) -> None:
    answers = asked(shared, GET * 500)
    assert statuses(answers) == [200] * 100 + [503]
    assert answers[-1][1]["detail"] == "100 requests wait on this connection: wait for their answers"


# Connections that are closed.


def test_a_client_that_closes_its_sending_half_has_its_answers(shared: Server) -> None:
    assert [answer["sum"] for _, answer in asked(shared, request(form(FIVE)), end=True)] == [12]
    pair = request(form(slow_picture())) + request(form(FIVE, 1))
    assert statuses(asked(shared, pair, end=True)) == [200, 200]
    assert statuses(asked(shared, GET * 20 + request(form(FIVE)), end=True)) == [200] * 21


def test_a_client_that_closes_in_the_middle_of_a_request_has_one_answer_and_nothing_is_left(shared: Server) -> None:
    whole = request(form(FIVE))
    detail = "the connection was closed in the middle of a request: expected all of it: send it again"
    for cut in (5, 60, len(whole) - len(form(FIVE)), len(whole) - 1):
        (answer,) = asked(shared, whole[:cut], end=True)
        assert (answer[0], answer[1]["detail"]) == (400, detail)
        assert statuses(asked(shared, whole + whole[:cut], end=True)) == [200, 400]
    assert asked(shared, b"", end=True) == []
    wait_until(lambda: metric(shared, "sumnist_requests_in_flight") == 0)


def test_the_work_of_a_client_that_went_away_is_given_up_where_it_has_not_begun(shared: Server) -> None:
    name = 'sumnist_readings_total{outcome="accepted"}'
    before, picture = metric(shared, name), slow_picture()
    occupied = [shared.connect() for _ in range(6)]
    for connection in occupied:
        connection.sendall(request(form(picture)))  # the only process reads these for a while
    wait_until(lambda: metric(shared, "sumnist_requests_in_flight") >= 5)
    gone = [shared.connect() for _ in range(8)]
    for connection in gone:
        connection.sendall(request(form(FIVE)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
    wait_until(lambda: metric(shared, "sumnist_requests_in_flight") >= 10)
    for connection in gone:
        connection.close()
    for connection in occupied:
        assert status_on(connection) == 200
    wait_until(lambda: metric(shared, "sumnist_requests_in_flight") == 0)
    assert metric(shared, name) - before <= 1  # one may have begun
    assert shared.read()[0] == 200  # and no process is lost with them


# What else HTTP has.


def test_head_is_answered_as_get_is_without_the_body(shared: Server) -> None:
    for path in (
        "/",
        "/docs",
        "/static/docs.js",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/none",
    ):
        heads = []
        for method in ("GET", "HEAD"):
            connection = shared.connect()
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            received = b""
            while part := connection.recv(2**16):
                received += part
            head, _, body = received.partition(b"\r\n\r\n")
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


def test_a_client_of_http_1_0_is_not_told_to_go_on(shared: Server) -> None:
    head = (
        b"POST /v1/read HTTP/1.0\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    connection = shared.connect()
    connection.sendall(head + b"{}")
    assert connection.recv(12) == b"HTTP/1.1 422"
    connection.close()


def test_no_answer_says_what_the_header_host_says_or_redirects(shared: Server) -> None:
    for path in (
        b"/",
        b"/docs/",
        b"/healthz/",
        b"//docs",
        b"/v1/read/",
        b"/static",
        b"/static/",
        b"http://evil/docs/",
        b"/%0d%0aevil:%20x",
    ):
        connection = shared.connect()
        connection.sendall(
            b"GET " + path + b" HTTP/1.1\r\nHost: evil\r\nX-Forwarded-Host: evil\r\nConnection: close\r\n\r\n"
        )
        received = b""
        while part := connection.recv(2**16):
            received += part
        assert received[9:12] == (b"200" if path == b"/" else b"404"), path
        assert b"location" not in received.partition(b"\r\n\r\n")[0].lower()
        assert b"\nevil" not in received
        assert b"//evil" not in received

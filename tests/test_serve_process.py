"""How a real `sumnist serve` starts and ends, slow and broken clients, no room."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from served import FIVE, Server, answer_on, form, metric, request, slow_picture, status_on, wait_until
from sumnist.errors import ConfigError, RunError
from sumnist.files import PRETRAINED
from sumnist.serve.app import create_app
from sumnist.serve.server import listening
from sumnist.serve.settings import Settings


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends those that a test leaves."""
    servers: list[Server] = []

    def start(*flags: str, **given: Any) -> Server:
        servers.append(Server(*flags, **given))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


def test_it_tells_its_url_and_listens_on_this_machine_alone(shared: Server) -> None:
    assert shared.line == f"http://127.0.0.1:{shared.port}: reading; its API: http://127.0.0.1:{shared.port}/docs\n"
    wanted = f"{shared.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    assert {line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{wanted}")} == {f"0100007F:{wanted}"}


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


def test_without_its_libraries_it_says_what_to_install(tmp_path: Path) -> None:
    for name in ("uvicorn", "fastapi", "starlette"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('none', name={name!r})")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-m", "sumnist", "serve"], env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (
        1,
        "",
        'sumnist: sumnist serve needs uvicorn, which is not installed; install it with: pip install "sumnist[serve]"\n',
    )


def test_sigterm_answers_every_request_that_was_sent_before(serving: Callable[..., Server]) -> None:
    server, picture = serving("--workers", "1", "--reading-seconds", "60"), slow_picture()
    connections = [server.connect() for _ in range(3)]
    for connection in connections:
        connection.sendall(request(form(picture)))
    half = server.connect()
    half.sendall(request(form(FIVE))[:-20])
    answered = 'sumnist_requests_total{route="/v1/read"'
    wait_until(lambda: metric(server, "sumnist_requests_in_flight") + metric(server, answered) >= 4)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    half.sendall(request(form(FIVE))[-20:])
    answers = [answer_on(connection) for connection in [*connections, half]]
    assert [status for status, _ in answers] == [200] * 4
    assert answers[-1][1]["sum"] == 12
    assert server.end() == (0, "")


def test_before_it_ends_it_says_that_it_is_not_ready_and_goes_on_answering(serving: Callable[..., Server]) -> None:
    server = serving("--drain-seconds", "1.5")
    assert server.get("/readyz")[0] == 200
    idle = server.connect()
    idle.sendall(request(form(FIVE)))
    assert status_on(idle) == 200
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: server.get("/readyz")[0] == 503, 1)
    assert server.read()[1]["sum"] == 12
    assert server.get("/healthz")[0] == 200
    idle.sendall(request(form(FIVE)))  # on its way when the server ends
    assert answer_on(idle)[1]["sum"] == 12
    assert server.end() == (0, "")


def test_slow_clients_are_cut_while_others_are_served(serving: Callable[..., Server]) -> None:
    server = serving("--receive-seconds", "1")
    begun = time.monotonic()
    slow_body, slow_head, silent = server.connect(), server.connect(), server.connect()
    slow_body.sendall(request(form(FIVE))[:-10])
    slow_head.sendall(b"POST /v1/read HTT")
    for _ in range(4):
        assert server.read()[1]["sum"] == 12
    status, problem = answer_on(slow_body)
    assert (status, problem["type"]) == (408, "urn:sumnist:problem:request-timeout")
    assert problem["detail"].startswith("the body was not complete after 1 seconds, ")
    status, problem = answer_on(slow_head)
    assert (status, problem["detail"]) == (408, "the headers were not complete after 1 seconds: send them faster")
    assert silent.recv(10) == b""
    assert 0.8 < time.monotonic() - begun < 10
    assert server.read()[0] == 200


def test_clients_that_go_away_leave_nothing_behind_and_end_no_process(serving: Callable[..., Server]) -> None:
    server, picture = serving("--workers", "1", "--reading-seconds", "60"), slow_picture()
    children = children_of(server.process.pid)
    for sent in (request(form(FIVE))[:-100], request(form(FIVE))):  # in the middle, and before the answer
        connection = server.connect()
        connection.sendall(sent)
        connection.close()
    wait_until(lambda: metric(server, "sumnist_requests_in_flight") == 0)
    for _ in range(3):
        gone = server.connect()
        gone.sendall(request(form(picture)))
        wait_until(lambda: metric(server, "sumnist_requests_in_flight") == 1)
        gone.close()
        assert server.read()[0] == 200
    assert children_of(server.process.pid) == children
    assert server.end() == (0, "")


def test_a_body_that_is_too_large_is_answered_although_it_is_still_being_sent_and_one_that_nobody_reads_is_cut(
    serving: Callable[..., Server],
) -> None:
    server = serving("--body-mib", "1", "--receive-seconds", "1")
    connection = server.connect()
    connection.sendall(request(b"x" * 2**19, length=2**30))
    assert status_on(connection) == 413
    connection.close()
    chunked = server.connect()
    chunked.sendall(b"POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
    chunked.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        chunked.sendall(b"10000\r\n" + b"x" * 2**16 + b"\r\n")
    assert status_on(chunked) == 413
    for kind in ("multipart/form-data; boundary=edge", "text/plain"):
        asked = Request(f"http://127.0.0.1:{server.port}/v1/read", bytes(8 * 2**20), {"Content-Type": kind})
        with pytest.raises(HTTPError) as caught:  # urllib asks with connection: close
            urlopen(asked, timeout=20)
        assert caught.value.code == 413
        assert json.load(caught.value)["type"] == "urn:sumnist:problem:body-too-large"
        caught.value.close()
    unread = server.connect()
    unread.sendall(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
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
    assert server.read()[0] == 200


def test_one_connection_too_many_is_answered_503(serving: Callable[..., Server]) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, before[1]))  # for the server too, which inherits it
    try:
        server = serving("--receive-seconds", "60")
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
    for _ in range(10):
        assert server.read()[1]["sum"] == 12
    wait_until(lambda: len(children_of(server.process.pid)) == 2)
    children = children_of(server.process.pid)
    os.kill(children[0], signal.SIGKILL)
    wait_until(lambda: len(set(children_of(server.process.pid)) - {children[0]}) == 2)
    for _ in range(10):
        assert server.read()[1]["sum"] == 12
    assert metric(server, 'sumnist_requests_total{route="/v1/read",status="200"}') == 20
    children = children_of(server.process.pid)
    server.process.kill()
    wait_until(lambda: not any(is_running(child) for child in children))  # none outlives it
    _, log = server.end()
    assert log.startswith("ERROR sumnist.serve: a process that reads ")
    assert log.count("\n") == 1


def test_ctrl_c_to_all_processes_ends_the_server_as_sigterm_to_it_alone(serving: Callable[..., Server]) -> None:
    server, picture = serving("--workers", "1", "--reading-seconds", "60"), slow_picture()
    connections = [server.connect() for _ in range(2)]
    for connection in connections:
        connection.sendall(request(form(picture)))
    wait_until(lambda: metric(server, "sumnist_requests_in_flight") == 2)
    for pid in [*children_of(server.process.pid), server.process.pid]:  # as a terminal and systemd do
        os.kill(pid, signal.SIGINT)
    assert [answer_on(connection)[0] for connection in connections] == [200, 200]
    assert server.end() == (0, "")


def test_no_address_is_told_while_nobody_can_read(serving: Callable[..., Server], tmp_path: Path) -> None:
    """The networks are loaded once by the server itself, and then no more."""
    (tmp_path / "sitecustomize.py").write_text(
        "import multiprocessing, sys\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv) and 'resource_tracker' not in ' '.join(sys.orig_argv):\n"
        "    sys.modules['onnxruntime'] = None\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    server = serving("--workers", "2", environment={"PYTHONPATH": path})
    assert server.line == ""
    status, message = server.end()
    assert (status, message.count("\n")) == (1, 1), message
    assert message.startswith("sumnist: no process that reads can start: ")


@pytest.mark.long
def test_where_memory_is_short_a_large_picture_fails_and_the_others_do_not(serving: Callable[..., Server]) -> None:
    server = serving("--workers", "1")
    child = children_of(server.process.pid)[0]
    used = int(Path(f"/proc/{child}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(child, resource.RLIMIT_AS, (used + 40 * 2**20,) * 2)
    stream = BytesIO()
    Image.new("L", (7900, 7900), 255).save(stream, "PNG")
    status, problem = server.read(stream.getvalue())
    assert (status, problem["type"]) == (413, "urn:sumnist:problem:picture-too-large"), problem
    assert server.read()[1]["sum"] == 12
    assert server.end() == (0, "")


def children_of(pid: int) -> list[int]:
    """The workers among the children of a process; not the tracker of its resources."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

"""Who may ask a server: with tokens that are right, wrong, missing and read again, and at which address without one."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from starlette.testclient import TestClient

from page_checks import expect_answer, expect_nobody_hindered_anywhere
from page_driver import DIGITS, draw
from served import FIVE, Server, check_problem, files, form, wait_until
from sumnist.errors import ConfigError
from sumnist.serve.access import Access, check_open, digests_in
from sumnist.serve.app import create_app, serve
from sumnist.serve.settings import Settings

ONE, OTHER = "first-token-of-this-file", "second-token-of-this-file"
KIND = {"Content-Type": "multipart/form-data; boundary=edge"}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two tokens."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.txt"
    path.write_text(f"# who may ask\n{ONE}\n\n  {OTHER}\n")
    return path


@pytest.fixture(scope="module")
def guarded(tokens: Path) -> Iterator[Server]:
    """A server that asks for a token, and has two."""
    server = Server("--token-file", str(tokens), "--workers", "1")
    yield server
    assert server.end()[0] == 0


def status(server: Server, token: str | None, path: str = "/v1/read") -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if path == "/v1/read":
        return server.get(path, "POST", form(FIVE), **headers | KIND)[0]
    return server.get(path, "GET", None, **headers)[0]


def test_each_of_the_tokens_opens_what_reads_and_no_other_word_does(guarded: Server) -> None:
    assert [status(guarded, token) for token in (ONE, OTHER)] == [200, 200]
    wrong = (None, "", ONE[:-1], ONE + "x", ONE.upper(), f"{ONE} {OTHER}", "x" * 5_000, "ä" * 20)
    assert [status(guarded, token) for token in wrong] == [401] * len(wrong)
    assert status(guarded, ONE, "/metrics") == 200
    assert [status(guarded, None, path) for path in ("/metrics", "/v1/hands", "/v1/nothing")] == [401] * 3


def test_the_page_its_document_and_the_probes_need_no_token(guarded: Server) -> None:
    for path in ("/", "/about", "/docs", "/openapi.json", "/static/page.js", "/healthz", "/readyz"):
        assert status(guarded, None, path) == 200


def test_without_a_token_the_answer_says_what_to_send(tokens: Path) -> None:
    with TestClient(create_app(Settings(workers=1, token_file=tokens))) as client:
        for headers, given in (({}, "no token"), ({"Authorization": "Bearer wrong"}, "another token")):
            answer = client.post("/v1/read", files=files(FIVE), data={"number": "7"}, headers=headers)
            check_problem(answer, 401, "unauthorized", begins=f"{given} was sent, expected a header 'Authorization: ")
            assert answer.headers["www-authenticate"] == "Bearer"
        answer = client.post("/v1/read", files=files(FIVE), headers={"Authorization": f"Basic {ONE}"})
        assert answer.status_code == 401
        document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            asks = path.startswith("/v1/") or path == "/metrics"
            assert (operation.get("security") == [{"token": []}]) is asks
            assert ("401" in operation["responses"]) is asks
            assert "403" in operation["responses"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_on_sighup_the_tokens_are_read_again_and_a_file_that_is_no_good_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(ONE)
    server = Server("--token-file", str(path), "--workers", "1")
    path.write_text(OTHER)
    assert status(server, ONE) == 200
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: status(server, OTHER) == 200)
    assert status(server, ONE) == 401
    path.write_text("short")
    server.process.send_signal(signal.SIGHUP)
    path.unlink()
    server.process.send_signal(signal.SIGHUP)
    assert status(server, OTHER) == 200
    code, log = server.end()
    assert code == 0
    assert "the tokens stay as they were" in log


def test_only_names_that_are_allowed_are_answered_but_for_the_probes(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(workers=1, allow_host=("digits.example.org",)))) as client:
        for host in ("digits.example.org", "Digits.Example.org:8443"):
            assert client.get("/", headers={"host": host}).status_code == 200
        for host in ("evil.example", "digits.example.org.evil.example", "digits.example.org:80:80", ""):
            check_problem(client.get("/", headers={"host": host}), 403, "forbidden", instance="/", begins="host '")
            assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "fe80::1%eth0"])
def test_no_address_but_loopback_is_listened_on_without_a_token_unless_it_is_said(address: str, tokens: Path) -> None:
    with pytest.raises(ConfigError, match=r"others can reach this address, expected --token-file FILE"):
        check_open(address, None, False)
    check_open(address, tokens, False)
    check_open(address, None, True)
    for loopback in ("127.0.0.1", "127.5.5.5", "::1"):
        check_open(loopback, None, False)


def test_a_server_that_would_be_open_to_others_does_not_start_and_says_why(tokens: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--host 0\.0\.0\.0: others can reach this address"):
        serve(Settings(host="0.0.0.0", port=0, workers=1), lambda _: pytest.fail("it started"))
    with pytest.raises(ConfigError, match=r"^--token-file and --open: expected one of them"):
        serve(Settings(token_file=tokens, open=True, port=0, workers=1), lambda _: pytest.fail("it started"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no token"),
        (b"# nothing\n\n", "has no token"),
        (b"a-good-token-of-20-signs\nshort\n", "line 2: 5 characters, expected 16 to 200 visible ones"),
        (b"two words are not a token\n", "line 1: 25 characters"),
        (b"\xff\xfe" * 20, "cannot be read"),
    ],
)
def test_a_file_that_holds_no_tokens_is_one_message_that_tells_none(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason) as error:
        digests_in(path)
    assert "short\n" not in str(error.value)
    with pytest.raises(ConfigError, match="no such file"):
        Access(tmp_path / "missing")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/tmp", "/dev/stdin"])
def test_what_is_no_file_is_not_read_for_tokens(device: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--token-file {device}: is a folder or a device, expected a text file"):
        digests_in(Path(device))


@pytest.mark.browser
def test_the_page_asks_for_a_token_reads_with_it_and_keeps_it_until_it_is_closed(
    guarded: Server, browser: Browser
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{guarded.port}/")
        expect(page.locator("#token-form")).to_be_hidden()
        draw(page, DIGITS[5])
        expect(page.locator("#verdict")).to_have_text("A token is needed.")
        page.fill("#token", "wrong-token-of-nobody")
        page.press("#token", "Enter")
        expect(page.locator("#token-form")).to_be_visible()
        expect_nobody_hindered_anywhere(page)
        page.fill("#token", OTHER)
        page.press("#token", "Enter")
        expect_answer(page, 5, 7)
        expect(page.locator("#token-form")).to_be_hidden()
        page.reload()
        draw(page, DIGITS[4])
        expect_answer(page, 4, 7)
        another = context.new_page()
        another.goto(f"http://127.0.0.1:{guarded.port}/")
        draw(another, DIGITS[4])
        expect(another.locator("#token-form")).to_be_visible()


def test_a_file_of_tokens_has_at_most_a_megabyte(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_bytes(b"a-token-of-20-signs-\n" * 2**16)
    with pytest.raises(ConfigError, match="more than 1,048,576 bytes, expected a token a line"):
        digests_in(tmp_path / "tokens")


NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
ALL = """
daemon off; pid {0}/pid; error_log {0}/log; events {{}}
http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;
    uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi; {1} }}
"""


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_behind_the_nginx_of_the_how_to_a_token_is_asked_for_and_the_counts_are_nobodys(
    tokens: Path, tmp_path: Path
) -> None:
    server = Server("--token-file", str(tokens), "--allow-host", "digits.example.org", "--workers", "1")
    page = (Path(__file__).resolve().parent.parent / "docs/how-to/serve.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = example.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("443 ssl", f"127.0.0.1:{port}")
    (tmp_path / "nginx.conf").write_text(ALL.format(tmp_path, here))
    proxy = subprocess.Popen([str(NGINX), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "log")])

    def answer(path: str, **headers: str) -> int:
        body = form(FIVE) if path == "/v1/read" else None
        return asked(port, "POST" if body else "GET", path, body, Host="digits.example.org", **headers)

    try:
        wait_until(lambda: accepts(port))
        kind = KIND | {"Authorization": f"Bearer {ONE}"}
        assert [answer("/v1/read", **kind), answer("/v1/read", **KIND), answer("/")] == [200, 401, 200]
        assert answer("/metrics", Authorization=f"Bearer {ONE}") == 403
        assert asked(port, "GET", "/", None, Host="another.example.org") == 403
        big = asked(port, "POST", "/v1/read", b"x" * (17 << 20), Host="digits.example.org", **kind)
        assert big == 413
    finally:
        proxy.terminate()
        proxy.wait(20)
    assert server.end()[0] == 0


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def asked(port: int, method: str, path: str, body: bytes | None, **headers: str) -> int:
    """The status of an answer."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, headers)
        return connection.getresponse().status

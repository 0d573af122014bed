"""The API: what is answered to what cannot be."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from asked import PROBLEM, SEVEN, check_problem, encoded, form, png
from readers import broken
from sumnist import errors
from sumnist.errors import ExportError, SumnistError
from sumnist.serve.problems import OF_ERRORS, problem_of

# What is wrong with a request.


@pytest.mark.parametrize(
    ("picture", "status", "slug", "detail"),
    [
        (b"hello", 415, "unknown-format",
         "picture: not a picture, expected PNG, JPEG or another format that Pillow opens: save it as PNG"),
        (b"", 400, "damaged-picture", "picture: empty, expected a picture: copy or save it again"),
        (SEVEN[:400], 400, "damaged-picture",
         "picture: corrupt or cut short, expected a whole picture: copy or save it again"),
        (png(Image.new("L", (7, 6))), 400, "damaged-picture",
         "picture: 7×6 pixels, expected at least 8 on the longer side: use a larger picture"),
        (png(Image.new("1", (8001, 8000))), 413, "picture-too-large",
         "picture: too large, expected at most 64 million pixels: crop it or scale it down"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/read", "/v1/read-number"])
def test_a_picture_that_cannot_be_read_is_a_problem(
    client: TestClient, path: str, picture: bytes, status: int, slug: str, detail: str
) -> None:
    for given in (
        {"files": form(picture), "data": {"number": "1"}},
        {"json": {"picture": encoded(picture), "number": 1}},
    ):
        check_problem(client.post(path, **given), status, slug, detail, path)


@pytest.mark.parametrize(
    ("number", "shown"),
    [("x", "'x'"), ("1.5", "'1.5'"), ("", "''"), ("1_0", "'1_0'"), ("٧", "'٧'"), (" 7", "' 7'"), ("7\n", r"'7\n'")],
)
def test_a_field_that_writes_no_whole_number_is_a_problem(client: TestClient, number: str, shown: str) -> None:
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": number})
    check_problem(answer, 422, "number", f"number {shown}: expected a whole number, such as 7")


@pytest.mark.parametrize(
    ("number", "shown"), [("x", "'x'"), (1.5, "1.5"), (True, "True"), (None, "None"), ([1], "[1]"), ({}, "{}")]
)
def test_json_that_is_no_whole_number_is_a_problem(client: TestClient, number: Any, shown: str) -> None:
    answer = client.post("/v1/read", json={"picture": encoded(SEVEN), "number": number})
    check_problem(answer, 422, "number", f"number {shown}: expected a whole number, such as 7")


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**30])
def test_a_number_that_json_does_not_keep_exact_is_a_problem(client: TestClient, number: int) -> None:
    detail = (
        f"number of {len(str(abs(number)))} digits: expected one from -9007199254740991 to 9007199254740991: those "
        "that every JSON library keeps exact"
    )
    check_problem(client.post("/v1/read", files=form(SEVEN), data={"number": str(number)}), 422, "number", detail)
    check_problem(client.post("/v1/read", json={"picture": encoded(SEVEN), "number": number}), 422, "number", detail)


INK = "expected auto, dark or light: leave it out to have it found out"


@pytest.mark.parametrize(
    ("ink", "shown"),
    [("red", "'red'"), ("Dark", "'Dark'"), ("", "''"), ("dark ", "'dark '"), ("dark\0", r"'dark\x00'"),
     ("dark" * 20, "'darkdarkdark...kdarkdarkdark'")],
)  # fmt: skip
def test_a_field_that_names_no_ink_is_a_problem(client: TestClient, ink: str, shown: str) -> None:
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "1", "ink": ink})
    check_problem(answer, 422, "invalid-request", f"ink {shown}: {INK}")
    answer = client.post("/v1/read/batch", files=form(SEVEN, SEVEN), data={"number": "1", "ink": ["dark", ink]})
    check_problem(answer, 422, "invalid-request", f"ink {shown}: {INK}", "/v1/read/batch")


@pytest.mark.parametrize(
    ("ink", "shown"), [("red", "'red'"), (None, "None"), (True, "True"), (0, "0"), (["dark"], "['dark']"), ({}, "{}")]
)
def test_json_that_names_no_ink_is_a_problem(client: TestClient, ink: Any, shown: str) -> None:
    item = {"picture": encoded(SEVEN), "number": 1, "ink": ink}
    check_problem(client.post("/v1/read", json=item), 422, "invalid-request", f"ink {shown}: {INK}")
    answer = client.post("/v1/read/batch", json={"readings": [item | {"ink": "dark"}, item]})
    check_problem(answer, 422, "invalid-request", f"ink {shown}: {INK}", "/v1/read/batch")


def test_two_inks_of_one_picture_are_a_problem(client: TestClient) -> None:
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "1", "ink": ["dark", "light"]})
    check_problem(answer, 422, "invalid-request", "2 fields named ink: expected one")


@pytest.mark.parametrize(
    ("content", "status", "slug", "detail"),
    [
        (b"{", 400, "malformed-body", "the body is not JSON (Expecting property name enclosed in double quotes: line 1 "
         "column 2 (char 1)): expected an object"),
        (b"", 400, "malformed-body",
         "the body is not JSON (Expecting value: line 1 column 1 (char 0)): expected an object"),
        (b"[" * 1016, 400, "malformed-body", None),
        (b"[" * 100_000, 422, "invalid-request", "the body: more than 1,016 objects, lists, members and items: "
         'expected {"picture": "<base64>", "number": 7}'),
        (b'{"picture": "", "number": NaN}', 400, "malformed-body",
         "the body is not JSON (NaN is no JSON): expected an object"),
        (b'{"picture": "", "number": ' + b"9" * 5000 + b"}", 400, "malformed-body", None),
        (b"\xff\xfe\xfd", 400, "malformed-body", None),
        (b"[]", 422, "invalid-request", 'the body: list, expected {"picture": "<base64>", "number": 7}'),
        (b'{"number": 7}', 422, "invalid-request",
         'the body: no picture, expected {"picture": "<base64>", "number": 7}'),
        (b'{"picture": ""}', 422, "invalid-request",
         'the body: no number, expected {"picture": "<base64>", "number": 7}'),
        (b'{"picture": 5, "number": 7}', 422, "invalid-request",
         "the body: picture is int, expected the file's bytes in base64"),
        (b'{"picture": "a", "number": 7}', 400, "damaged-picture",
         "picture: not base64, expected the file's bytes in base64, without line breaks"),
    ],
)  # fmt: skip
def test_json_that_does_not_say_what_to_read_is_a_problem(
    client: TestClient, content: bytes, status: int, slug: str, detail: str | None
) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    check_problem(client.post("/v1/read", content=content, headers=headers), status, slug, detail)


def test_a_batch_in_json_of_another_shape_is_a_problem(client: TestClient) -> None:
    expected = 'the body: expected {"readings": [{"picture": "<base64>", "number": 7}, ...]}'
    wrong: list[Any] = [[], {}, {"readings": 5}, "x"]
    for given in wrong:
        answer = client.post("/v1/read/batch", json=given)
        check_problem(answer, 422, "invalid-request", expected, "/v1/read/batch")
    answer = client.post("/v1/read/batch", json={"readings": [{"picture": encoded(SEVEN), "number": 1}, None]})
    detail = 'reading 2: NoneType, expected {"picture": "<base64>", "number": 7}'
    check_problem(answer, 422, "invalid-request", detail, "/v1/read/batch")


@pytest.mark.parametrize(
    ("kind", "content", "status", "slug", "detail"),
    [
        ("multipart/form-data", b"", 400, "malformed-body",
         "content-type 'multipart/form-data': expected a boundary in it, as HTTP libraries put it there"),
        ("multipart/form-data; boundary=b", b"", 400, "malformed-body",
         "the form is cut short, or its boundary is not the one in content-type: send it whole"),
        ("multipart/form-data; boundary=b", b'--b\r\ncontent-disposition: form-data; name="picture"\r\n\r\nhalf', 400,
         "malformed-body", "the form is cut short, or its boundary is not the one in content-type: send it whole"),
        ("multipart/form-data; boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--", 400, "malformed-body",
         'a part of the form without a name: expected content-disposition: form-data; name="picture"'),
        ("multipart/form-data; boundary=b", b"--b--", 422, "invalid-request", "0 fields named picture: expected one"),
        ("multipart/form-data; boundary=b", b'--b\r\ncontent-disposition: form-data; name="picture"\r\n\r\nx\r\n--b--',
         422, "invalid-request", "0 fields named number: expected one"),
    ],
)  # fmt: skip
def test_a_form_that_does_not_say_what_to_read_is_a_problem(
    client: TestClient, kind: str, content: bytes, status: int, slug: str, detail: str
) -> None:
    check_problem(client.post("/v1/read", content=content, headers={"content-type": kind}), status, slug, detail)


def test_several_pictures_are_a_problem_where_one_is_expected(client: TestClient) -> None:
    answer = client.post("/v1/read", files=form(SEVEN, SEVEN), data={"number": "1"})
    check_problem(answer, 422, "invalid-request", "2 fields named picture: expected one")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "image/png", "application/jsonp"]
)
def test_a_body_of_another_kind_is_a_problem(client: TestClient, kind: str) -> None:
    detail = f"content-type {kind!r}: expected multipart/form-data or application/json: send one of these"
    answer = client.post("/v1/read", content=b"x", headers={"content-type": kind})
    check_problem(answer, 415, "unsupported-media-type", detail)


def test_a_compressed_body_is_a_problem(client: TestClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    detail = "content-encoding 'gzip': expected none: send the body as it is"
    check_problem(client.post("/v1/read", content=b"x", headers=headers), 415, "unsupported-media-type", detail)


@pytest.mark.parametrize("image", ["1", "yes", "True", ""])
def test_a_query_that_is_neither_true_nor_false_is_a_problem(client: TestClient, image: str) -> None:
    answer = client.post(f"/v1/read?image={image}", files=form(SEVEN), data={"number": "1"})
    check_problem(answer, 422, "invalid-request", "image: input should be 'true' or 'false'")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/v1", "/static/nothing.js", "/static/../app.py", "/static/%2e%2e/app.py", "/docs/", "/healthz/",
     "/v1/read/", "/static", "/static/", "/docs%2f"],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    assert answer.json()["type"] == "urn:sumnist:problem:not-found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/read", "POST"),
        ("DELETE", "/v1/read/batch", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD"),
        ("OPTIONS", "/v1/read", "POST"),
        ("OPTIONS", "/static/docs.js", "GET, HEAD"),
    ],
)
def test_another_method_is_a_problem_that_names_the_right_one(
    client: TestClient, method: str, path: str, allowed: str
) -> None:
    answer = client.request(method, path)
    check_problem(answer, 405, "method-not-allowed", instance=path)
    assert set(answer.headers["allow"].split(", ")) == set(allowed.split(", "))


def test_no_problem_leaves_the_form_of_an_error_of_python(client: TestClient) -> None:
    for content in (b"{", b"[[", b'"x"', b'{"picture": {}, "number": []}'):
        text = client.post("/v1/read", content=content, headers={"content-type": "application/json"}).text
        assert "Traceback" not in text
        assert "File" not in text


# Errors of the package.


def test_every_error_of_the_package_has_a_status() -> None:
    family = {value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, SumnistError)}
    assert set(OF_ERRORS) == family


def test_an_error_that_came_later_is_the_problem_of_its_parent() -> None:
    class Later(errors.FormatError):
        pass

    assert problem_of(Later("x: y")).kind.slug == "unknown-format"


@pytest.mark.parametrize("error", [ExportError("a password"), RuntimeError("secret"), OSError("/etc/secret")])
def test_what_is_not_the_clients_fault_is_not_told(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    client = with_settings(partial(broken, error))
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "1"})
    detail = "the fault is not the request's; the server's log says what happened"
    check_problem(answer, 500, "internal", detail)
    answer = client.post("/v1/read/batch", files=form(SEVEN), data={"number": "1"})
    check_problem(answer, 500, "internal", detail, "/v1/read/batch")
    assert str(error) in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"

"""The API: what is answered to what is asked, errors and limits included. In this process, but for the last part."""

from __future__ import annotations

import base64
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from sumnist import errors
from sumnist.errors import ConfigError, ExportError, SumnistError
from sumnist.reader import Reader, Reading
from sumnist.serve.app import create_app
from sumnist.serve.metrics import Metrics, table_bytes
from sumnist.serve.problems import OF_ERRORS, problem_of
from sumnist.serve.settings import Settings

PROBLEM = "application/problem+json"


def png(picture: Image.Image) -> bytes:
    stream = BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def seven(side: int = 280) -> bytes:
    """A seven in pen on paper, as a PNG file."""
    picture = Image.new("L", (side, side), 250)
    strokes = [(0.3 * side, 0.2 * side), (0.7 * side, 0.2 * side), (0.45 * side, 0.8 * side)]
    ImageDraw.Draw(picture).line(strokes, fill=20, width=side // 15)
    return png(picture)


SEVEN = seven()
BLANK = png(Image.new("L", (50, 50), 255))


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader()


@pytest.fixture(scope="module")
def client(reader: Reader) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), reader)) as found:
        yield found


@pytest.fixture
def with_settings(reader: Reader) -> Callable[..., TestClient]:
    """A client of a server with these settings, which may have another reader, and a second one."""

    def make(reader: Reader = reader, second: Reader | None = None, **changed: Any) -> TestClient:
        return TestClient(create_app(Settings(**changed), reader, second=second))

    return make


def form(*pictures: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("picture", (f"{place}.png", picture, "image/png")) for place, picture in enumerate(pictures)]


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def check_problem(answer: Any, status: int, slug: str, detail: str | None = None, instance: str = "/v1/read") -> None:
    """The answer is this problem, whole, and nothing else."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert (problem["type"], problem["status"], problem["instance"]) == (
        f"urn:sumnist:problem:{slug}",
        status,
        instance,
    )
    if detail is not None:
        assert problem["detail"] == detail


# Readings.


def test_a_form_is_answered_with_what_the_reader_says(client: TestClient, reader: Reader) -> None:
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "5"})
    expected = reader.read(SEVEN, 5)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == expected.as_dict() | {"sum_confidence": expected.sum_confidence}
    assert (answer.json()["digit"], answer.json()["sum"], answer.json()["accepted"]) == (7, 12, True)


def test_json_with_base64_is_answered_as_a_form_is(client: TestClient) -> None:
    as_form = client.post("/v1/read", files=form(SEVEN), data={"number": "5"})
    assert client.post("/v1/read", json={"picture": encoded(SEVEN), "number": 5}).json() == as_form.json()
    assert client.post("/v1/read", json={"picture": encoded(SEVEN), "number": 5.0}).json() == as_form.json()


def test_the_image_that_the_network_saw_comes_if_it_is_asked_for(client: TestClient, reader: Reader) -> None:
    kinds: list[dict[str, Any]] = [
        {"files": form(SEVEN), "data": {"number": "5"}},
        {"json": {"picture": encoded(SEVEN), "number": 5}},
    ]
    for given in kinds:
        image = client.post("/v1/read?image=true", **given).json()["image"]
        assert np.array_equal(np.array(image, np.float32), reader.read(SEVEN, 5).image)  # type: ignore[arg-type]
        assert "image" not in client.post("/v1/read?image=false", **given).json()


def test_a_picture_that_is_not_accepted_is_a_reading_with_the_reason(client: TestClient) -> None:
    answer = client.post("/v1/read", files=form(BLANK), data={"number": "5"})
    assert (answer.status_code, answer.json()["accepted"], answer.json()["reason"]) == (200, False, "blank")


@pytest.mark.parametrize("number", [-(2**53 - 1), -1, 0, 2**53 - 1])
def test_any_whole_number_that_json_keeps_exact_is_added(client: TestClient, number: int) -> None:
    assert client.post("/v1/read", files=form(SEVEN), data={"number": str(number)}).json()["sum"] == 7 + number
    assert client.post("/v1/read", json={"picture": encoded(SEVEN), "number": number}).json()["sum"] == 7 + number


def test_the_fields_of_a_form_may_come_in_any_order_with_others_and_without_file_names(client: TestClient) -> None:
    parts = [
        b'content-disposition: form-data; name="number"\r\n\r\n5',
        b'Content-Disposition: form-data; filename="name=\\"x.png"; name="picture"\r\nContent-Type: image/png\r\n\r\n'
        + SEVEN,
        b'content-disposition: form-data; name="note"\r\n\r\nhello',
    ]
    content = b"preamble\r\n--b b" + b"\r\n--b b".join(b"\r\n" + part for part in parts) + b"\r\n--b b--\r\nepilogue"
    answer = client.post("/v1/read", content=content, headers={"content-type": 'multipart/form-data; boundary="b b"'})
    assert answer.json()["sum"] == 12
    parts[1] = b"content-disposition: form-data; name=picture\r\n\r\n" + SEVEN
    content = b"--b" + b"\r\n--b".join(b"\r\n" + part for part in parts) + b"\r\n--b--"
    answer = client.post("/v1/read", content=content, headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.json()["sum"] == 12


# Batches.


def test_a_batch_has_an_answer_for_each_picture_in_order(client: TestClient) -> None:
    pictures = [SEVEN, b"no picture", BLANK, SEVEN]
    as_form = client.post("/v1/read/batch", files=form(*pictures), data={"number": ["1", "2", "3", "4"]})
    items = [{"picture": encoded(one), "number": place} for place, one in enumerate(pictures, 1)]
    as_json = client.post("/v1/read/batch", json={"readings": items})
    assert as_form.status_code == 200
    assert as_form.json() == as_json.json()
    first, second, third, fourth = as_form.json()["readings"]
    assert (first["sum"], third["reason"], fourth["sum"]) == (8, "blank", 11)
    assert second["error"]["type"] == "urn:sumnist:problem:unknown-format"
    assert (second["error"]["status"], second["error"]["instance"]) == (415, "/v1/read/batch")


def test_one_number_serves_all_pictures_of_a_batch(client: TestClient) -> None:
    answer = client.post("/v1/read/batch?image=true", files=form(SEVEN, SEVEN), data={"number": "3"})
    assert [one["sum"] for one in answer.json()["readings"]] == [10, 10]
    assert np.shape(answer.json()["readings"][1]["image"]) == (28, 28)


def test_base64_that_is_none_spoils_only_its_own_place_in_a_batch(client: TestClient) -> None:
    items = [{"picture": "é", "number": 1}, {"picture": encoded(SEVEN), "number": 1}]
    first, second = client.post("/v1/read/batch", json={"readings": items}).json()["readings"]
    assert first["error"]["detail"] == ("picture: not base64, expected the file's bytes in base64, without line breaks")
    assert second["sum"] == 8


def test_a_batch_of_the_wrong_size_is_refused(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(batch=2)
    item = {"picture": encoded(BLANK), "number": 1}
    for count in (0, 3):
        detail = f"{count} readings: expected 1 to 2: send the others in another request"
        answer = client.post("/v1/read/batch", json={"readings": [item] * count})
        check_problem(answer, 422, "invalid-request", detail, "/v1/read/batch")
    answer = client.post("/v1/read/batch", files=form(BLANK, BLANK, BLANK), data={"number": "1"})
    detail = "3 pictures: expected 1 to 2: send the others in another request"
    check_problem(answer, 422, "invalid-request", detail, "/v1/read/batch")
    answer = client.post("/v1/read/batch", files=form(*[BLANK] * 30), data={"number": "1"})
    detail = "a form of more than 20 parts: expected at most 2 pictures with their numbers"
    check_problem(answer, 400, "malformed-body", detail, "/v1/read/batch")


def test_a_batch_with_another_count_of_numbers_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/read/batch", files=form(BLANK, BLANK, BLANK), data={"number": ["1", "2"]})
    detail = "2 numbers for 3 pictures: expected one for all of them, or one each"
    check_problem(answer, 422, "invalid-request", detail, "/v1/read/batch")


# What is wrong with a request.


@pytest.mark.parametrize(
    ("picture", "status", "slug", "detail"),
    [
        (b"hello", 415, "unknown-format",
         "picture: not a picture, expected PNG, JPEG or another format that Pillow opens: save it as PNG"),
        (b"", 400, "damaged-picture", "picture: empty, expected a picture: copy or save it again"),
        (SEVEN[:400], 400, "damaged-picture",
         "picture: corrupt or cut short, expected a whole picture: copy or save it again"),
        (png(Image.new("L", (7, 90))), 400, "damaged-picture",
         "picture: 7×90 pixels, expected at least 8 on each side: use a larger picture"),
        (png(Image.new("1", (8001, 8000))), 413, "picture-too-large",
         "picture: too large, expected at most 64 million pixels: crop it or scale it down"),
    ],
)  # fmt: skip
def test_a_picture_that_cannot_be_read_is_a_problem(
    client: TestClient, picture: bytes, status: int, slug: str, detail: str
) -> None:
    check_problem(client.post("/v1/read", files=form(picture), data={"number": "1"}), status, slug, detail)
    check_problem(client.post("/v1/read", json={"picture": encoded(picture), "number": 1}), status, slug, detail)


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


@pytest.mark.parametrize(
    ("content", "status", "slug", "detail"),
    [
        (b"{", 400, "malformed-body", "the body is not JSON (Expecting property name enclosed in double quotes: line 1 "
         "column 2 (char 1)): expected an object"),
        (b"", 400, "malformed-body",
         "the body is not JSON (Expecting value: line 1 column 1 (char 0)): expected an object"),
        (b"[" * 100_000, 400, "malformed-body", "the body is not JSON (nested too deeply): expected an object"),
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
    "path", ["/nothing", "/v1", "/static/nothing.js", "/static/../app.py", "/static/%2e%2e/app.py"]
)
def test_a_path_that_leads_nowhere_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    assert answer.json()["type"] == "urn:sumnist:problem:not-found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/read", "POST"),
        ("DELETE", "/v1/read/batch", "POST"),
        ("POST", "/healthz", "GET"),
        ("PUT", "/", "GET, HEAD"),
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


class Broken(Reader):
    """A reader that fails as it is told to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def read(self, picture: Any, number: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [ExportError("the password is 123"), RuntimeError("secret"), OSError("/etc/secret")])
def test_what_is_not_the_clients_fault_is_not_told(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    client = with_settings(Broken(error))
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "1"})
    detail = "the fault is not the request's; the server's log says what happened"
    check_problem(answer, 500, "internal", detail)
    answer = client.post("/v1/read/batch", files=form(SEVEN), data={"number": "1"})
    check_problem(answer, 500, "internal", detail, "/v1/read/batch")
    assert str(error) in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


class Learned(Reader):
    """As if it had learned to add."""

    def __init__(self) -> None:
        super().__init__()
        self.exact = False


def test_a_second_network_answers_beside_the_first_if_asked(
    with_settings: Callable[..., TestClient],
) -> None:
    learned = Learned()
    client = with_settings(second=learned)
    given: dict[str, Any] = {"json": {"picture": encoded(SEVEN), "number": 5}}
    plain = client.post("/v1/read", **given).json()
    assert "beside" not in plain
    both = client.post("/v1/read?beside=true", **given).json()
    expected = learned.read(SEVEN, 5)
    assert both == plain | {"beside": expected.as_dict() | {"sum_confidence": expected.sum_confidence}}
    assert (both["beside"]["sums"], both["sums"]) == (list(range(19)), list(range(5, 15)))


def test_a_number_that_the_second_network_has_not_learned_does_not_keep_the_first_from_adding_it(
    with_settings: Callable[..., TestClient],
) -> None:
    given: dict[str, Any] = {"json": {"picture": encoded(SEVEN), "number": 50}}
    answer = with_settings(second=Learned()).post("/v1/read?beside=true", **given).json()
    assert (answer["sum"], answer["beside"]) == (57, None)
    assert "beside" not in with_settings().post("/v1/read?beside=true", **given).json()


def test_a_learned_network_says_which_numbers_it_adds(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(Learned())
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "10"})
    check_problem(answer, 422, "number")
    assert "from 0 to 9" in answer.json()["detail"]
    schema = client.get("/openapi.json").json()["paths"]["/v1/read"]["post"]["requestBody"]["content"]
    assert [one["schema"]["properties"]["number"]["maximum"] for one in schema.values()] == [9, 9]


# Limits.


def test_a_body_that_says_that_it_is_too_large_is_refused(with_settings: Callable[..., TestClient]) -> None:
    answer = with_settings(body_mib=1).post("/v1/read", files=form(bytes(2**20)), data={"number": "1"})
    check_problem(answer, 413, "body-too-large")
    assert answer.json()["detail"].endswith("bytes: expected at most 1 MiB: scale the picture down, or send fewer")


def test_a_body_that_does_not_say_how_large_it_is_is_refused_when_it_is_too_large(
    with_settings: Callable[..., TestClient],
) -> None:
    client = with_settings(body_mib=1)
    answer = client.post(
        "/v1/read", content=iter([b"x" * 2**18] * 5), headers={"content-type": "application/json"}
    )  # in chunks, without a content-length
    detail = "a body of more than 1,048,576 bytes: expected at most 1 MiB: scale the picture down, or send fewer"
    check_problem(answer, 413, "body-too-large", detail)
    assert client.app.state.service.inbox.held == 0  # type: ignore[attr-defined]


class Slow(Reader):
    """A reader that waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def read(self, picture: Any, number: Any) -> Any:
        self.begun.release()
        assert self.go.wait(20)
        return super().read(picture, number)


def test_what_finds_no_room_is_refused_at_once_and_what_waits_is_answered(
    with_settings: Callable[..., TestClient],
) -> None:
    slow = Slow()
    with with_settings(slow, concurrency=1, queue=2) as client, ThreadPoolExecutor(8) as threads:

        def ask() -> Any:
            return client.post("/v1/read", files=form(SEVEN), data={"number": "1"})

        asked = [threads.submit(ask) for _ in range(3)]
        assert slow.begun.acquire(timeout=10)
        pool = client.app.state.service.pool  # type: ignore[attr-defined]
        wait_until(lambda: pool._taken == 3)
        begun = time.monotonic()
        refused = ask()
        assert time.monotonic() - begun < 5
        check_problem(refused, 503, "busy", "3 requests are being read or wait already: try again in a second")
        assert refused.headers["retry-after"] == "1"
        slow.go.set()
        assert [one.result().json()["sum"] for one in asked] == [8, 8, 8]
        assert ask().json()["sum"] == 8
        assert "sumnist_requests_shed_total 1\n" in client.get("/metrics").text


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_reading_that_takes_too_long_is_given_up_and_its_place_stays_taken(
    with_settings: Callable[..., TestClient],
) -> None:
    slow = Slow()
    with with_settings(slow, concurrency=1, queue=0, reading_seconds=0.2) as client:
        answer = client.post("/v1/read", files=form(SEVEN), data={"number": "1"})
        detail = "no reading within 0.2 seconds: try again, or with smaller or fewer pictures"
        check_problem(answer, 503, "reading-timeout", detail)
        assert answer.headers["retry-after"] == "1"
        check_problem(client.post("/v1/read", files=form(SEVEN), data={"number": "1"}), 503, "busy")
        slow.go.set()
        wait_until(lambda: client.app.state.service.pool._taken == 0)  # type: ignore[attr-defined]
        assert client.app.state.service.inbox.held == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"port": 70_000}, "--port 70000: expected a whole number from 0 to 65,535"),
        ({"workers": 0}, "--workers 0: expected a whole number from 1 to 256"),
        ({"body_mib": 0}, "--body-mib 0: expected a whole number from 1 to 1,024"),
        ({"receive_seconds": float("nan")}, "--receive-seconds nan: expected a number from 0.1 to 3,600"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(**changed)
    assert str(caught.value) == message


# The state of the server.


def test_it_is_alive_and_ready_until_it_ends(reader: Reader) -> None:
    with TestClient(create_app(Settings(), reader)) as client:
        assert (client.get("/healthz").status_code, client.get("/healthz").json()) == (200, {"status": "alive"})
        assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (200, {"status": "ready"})
        client.app.state.service.ready = False  # type: ignore[attr-defined]
        assert client.get("/healthz").status_code == 200
        detail = "this server ends as soon as it has answered: ask another one"
        check_problem(client.get("/readyz"), 503, "not-ready", detail, "/readyz")


def test_the_metrics_count_what_happened(reader: Reader) -> None:
    with TestClient(create_app(Settings(), reader)) as client:
        for picture in (SEVEN, SEVEN, BLANK, b"none"):
            client.post("/v1/read", files=form(picture), data={"number": "1"})
        client.post("/v1/read/batch", files=form(SEVEN, BLANK, b"none"), data={"number": "1"})
        client.get("/nothing")
        answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    values = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    for name, value in {
        'sumnist_requests_total{route="/v1/read",status="200"}': "3",
        'sumnist_requests_total{route="/v1/read",status="415"}': "1",
        'sumnist_requests_total{route="/v1/read/batch",status="200"}': "1",
        'sumnist_requests_total{route="other",status="404"}': "1",
        'sumnist_request_seconds_bucket{route="/v1/read",le="+Inf"}': "4",
        'sumnist_request_seconds_count{route="/v1/read"}': "4",
        "sumnist_requests_in_flight": "1",  # the one that asks
        "sumnist_requests_shed_total": "0",
        'sumnist_readings_total{outcome="accepted"}': "3",
        'sumnist_readings_total{outcome="blank"}': "2",
        'sumnist_problems_total{problem="unknown-format"}': "2",
        'sumnist_problems_total{problem="not-found"}': "1",
    }.items():
        assert values[name] == value, name
    buckets = [
        float(values[name]) for name in values if name.startswith('sumnist_request_seconds_bucket{route="/v1/read",')
    ]
    assert buckets == sorted(buckets)
    assert 0 < float(values['sumnist_request_seconds_sum{route="/v1/read"}']) < 60


def test_several_workers_tell_the_sum_of_their_counts_and_none_is_lost_with_a_worker(tmp_path: Any) -> None:
    table = tmp_path / "metrics"
    table.write_bytes(bytes(table_bytes(2)))
    first, second = Metrics(table), Metrics()
    first.end("/healthz", 200, first.begin())
    first.begin()
    assert 'sumnist_requests_total{route="/healthz",status="200"} 1\n' in first.text()
    assert 'sumnist_requests_total{route="/healthz"' not in second.text()
    assert first._held is not None
    first._held.close()  # as the system does when a process dies
    third = Metrics(table)
    third.end("/healthz", 200, third.begin())
    assert 'sumnist_requests_total{route="/healthz",status="200"} 2\n' in third.text()
    assert "sumnist_requests_in_flight 0\n" in third.text()
    assert third._held is not None
    third._held.close()


# The page.


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"), ("/docs", "text/html; charset=utf-8"),
        ("/static/docs.js", "text/javascript; charset=utf-8"), ("/static/docs.css", "text/css; charset=utf-8"),
    ],
)  # fmt: skip
def test_the_files_of_the_page_come_with_their_type_and_are_sent_again_only_if_they_changed(
    client: TestClient, path: str, kind: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"], answer.headers["cache-control"]) == (
        200,
        kind,
        "no-cache",
    )
    again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    assert client.get(path, headers={"if-none-match": '"another"'}).content == answer.content
    assert client.head(path).headers["content-length"] == str(len(answer.content))


def test_every_answer_forbids_what_is_not_its_own(client: TestClient) -> None:
    for path in ("/", "/docs", "/static/docs.js", "/healthz", "/nothing", "/v1/read", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';"), path
        assert headers["x-content-type-options"] == "nosniff", path


def test_the_page_of_the_api_needs_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/docs", "/static/docs.js", "/static/docs.css"):
        assert "http" not in client.get(path).text.replace("http-equiv", ""), path


# The contract.


def test_the_openapi_document_lists_every_path_and_refers_to_nothing_that_is_not_there(client: TestClient) -> None:
    text = client.get("/openapi.json").text
    document = json.loads(text)
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {"/v1/read", "/v1/read/batch", "/healthz", "/readyz", "/metrics", "/openapi.json"}
    for name in {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert name in document["components"]["schemas"]
    for path in ("/v1/read", "/v1/read/batch"):
        operation = document["paths"][path]["post"]
        assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
        assert {"200", "400", "408", "413", "415", "422", "500", "503"} <= set(operation["responses"])


def test_the_schema_of_a_reading_has_the_fields_of_a_reading(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]["Reading"]
    fields = {"sum_confidence", "beside", *Reading.__dataclass_fields__}
    assert set(schema["properties"]) == fields
    assert set(schema["required"]) == fields - {"image", "beside"}

"""The API: what is answered to what is asked, the document that promises it, and the page that shows how."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from drawings import encoded as png
from example_page import page
from readers import Learned, broken, learned, learned_beside, without_numbers, without_ocr
from served import BLANK, PROBLEM, SEVEN, Server, check_problem, encoded, files, strip
from sumnist import errors
from sumnist.errors import ExportError, SumnistError
from sumnist.inference.inside import evidence_of, read_inside
from sumnist.inference.reader import Reader, Reading
from sumnist.serve import models
from sumnist.serve.app import Metrics
from sumnist.serve.bodies import COUNT
from sumnist.serve.problems import KINDS, OF_ERRORS, problem_of
from sumnist.serve.settings import Settings

READ, BATCH, NUMBER, FIND, HANDS = "/v1/read", "/v1/read/batch", "/v1/read-number", "/v1/find", "/v1/hands"
FORM, SHEETS, TABLES = "/v1/sheets/form", "/v1/sheets", "/v1/tables"
PLACES = (0, 2, 4, 6)
"""Of the test images that stand on the strip: clear digits."""
JSON = {"content-type": "application/json"}


@cache
def written() -> bytes:
    """A strip of clear digits."""
    return strip(*PLACES)


def asked(client: TestClient, path: str, picture: bytes, **said: Any) -> list[Any]:
    """The answers to the same question as a form, if it can be one, and as JSON."""
    answers = [client.post(path, json={"picture": encoded(picture)} | said)]
    if all(isinstance(value, str | int) and not isinstance(value, bool) for value in said.values()):
        answers.append(client.post(path, files=files(picture), data={name: str(value) for name, value in said.items()}))
    return answers


def as_answered(reading: Reading) -> dict[str, Any]:
    return reading.as_dict() | {"sum_confidence": reading.sum_confidence}


# Readings of digits.


@pytest.mark.parametrize("picture", [SEVEN, BLANK])
@pytest.mark.parametrize("ink", ["auto", "dark", "light"])
@pytest.mark.parametrize("number", [5, -(2**53 - 1), 2**53 - 1, 5.0])
def test_a_form_and_json_are_answered_with_what_the_reader_says(
    client: TestClient, reader: Reader, picture: bytes, ink: Any, number: Any
) -> None:
    for answer in asked(client, READ, picture, number=number, ink=ink):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == as_answered(reader.read(picture, int(number), ink))


@pytest.mark.parametrize("picture", [SEVEN, BLANK])
def test_what_else_is_asked_for_comes_too(client: TestClient, reader: Reader, picture: bytes) -> None:
    reading, inside = read_inside(reader, picture, 5)
    evidence = evidence_of(reader, reading)
    more = {"image": reading.as_dict(image=True)["image"], "inside": inside.as_dict()}
    more["evidence"] = None if evidence is None else evidence.as_dict()
    given: dict[str, Any] = {"json": {"picture": encoded(picture), "number": 5}}
    for flags in ([], ["image"], ["inside"], ["evidence"], [*more]):
        answer = client.post(f"{READ}?{'&'.join(f'{flag}=true' for flag in flags)}", **given)
        assert answer.json() == as_answered(reading) | json.loads(json.dumps({flag: more[flag] for flag in flags}))
        models.Reading.model_validate(answer.json())
    assert client.post(f"{READ}?image=false&inside=false", **given).json() == as_answered(reading)


def test_a_batch_has_an_answer_for_each_picture_in_order(client: TestClient) -> None:
    pictures = [SEVEN, b"no picture", BLANK, SEVEN]
    as_form = client.post(f"{BATCH}?inside=true", files=files(*pictures), data={"number": ["1", "2", "3", "4"]})
    items = [{"picture": encoded(one), "number": place} for place, one in enumerate(pictures, 1)]
    assert as_form.json() == client.post(BATCH, json={"readings": items}).json()
    first, second, third, fourth = as_form.json()["readings"]
    assert (first["sum"], third["reason"], fourth["sum"], "inside" in first) == (8, "blank", 11, False)
    assert second["error"]["type"] == "urn:sumnist:problem:unknown-format"
    assert (second["error"]["status"], second["error"]["instance"]) == (415, BATCH)


def test_what_is_said_of_a_batch_is_said_of_all_or_of_each(client: TestClient, reader: Reader) -> None:
    inks = ["light", "dark", "auto"]
    hows = [reader.read(SEVEN, 1, ink).how for ink in inks]  # type: ignore[call-overload]
    assert hows[0] != hows[1]
    items = [{"picture": encoded(SEVEN), "number": 1, "ink": ink} for ink in inks]
    del items[2]["ink"]
    bodies: list[tuple[dict[str, Any], list[str]]] = [
        ({"json": {"readings": items}}, hows),
        ({"files": files(*[SEVEN] * 3), "data": {"number": "1", "ink": inks}}, hows),
        ({"files": files(*[SEVEN] * 3), "data": {"number": ["1", "2", "3"], "ink": "light"}}, hows[:1] * 3),
        ({"files": files(*[SEVEN] * 3), "data": {"number": "1"}}, hows[2:] * 3),
    ]
    for body, expected in bodies:
        readings = client.post(f"{BATCH}?image=true", **body).json()["readings"]
        assert [reading["how"] for reading in readings] == expected
        assert np.shape(readings[1]["image"]) == (28, 28)


# A second network.


def test_a_second_network_answers_beside_the_first_if_asked(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(learned_beside)
    plain = {number: asked(client, READ, SEVEN, number=number, ink="light")[0].json() for number in (5, 50)}
    assert "beside" not in plain[5]
    for number, expected in ((5, as_answered(Learned().read(SEVEN, 5, "light"))), (50, None)):
        (both, _) = asked(client, f"{READ}?beside=true", SEVEN, number=number, ink="light")
        assert both.json() == plain[number] | {"beside": expected}
    alone = with_settings(beside=None)
    assert "beside" not in asked(alone, f"{READ}?beside=true", SEVEN, number=5)[0].json()


def test_a_learned_network_says_which_numbers_it_adds(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(learned)
    for answer in asked(client, READ, SEVEN, number=10):
        check_problem(answer, 422, "number", begins="number 10: expected a whole number from 0 to 9: ")
    schema = client.get("/openapi.json").json()["paths"][READ]["post"]["requestBody"]["content"]
    assert [one["schema"]["properties"]["number"]["maximum"] for one in schema.values()] == [9, 9]


# Readings of numbers.


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {}),
        ({"digits": "4", "ink": "dark"}, {"digits": 4, "ink": "dark"}),
        ({"digits": 4, "count": 3}, {"digits": 4, "count": 3}),
        ({"digits": "1-6", "decimal": ","}, {"digits": (1, 6), "decimal": ","}),
        ({"digits": "2-", "decimal": ".", "engine": "ours"}, {"digits": (2, None), "decimal": "."}),
        ({"ink": "light", "count": 50}, {"ink": "light", "count": 50}),
        ({"digits": 900}, {"digits": 900}),
    ],
)
@pytest.mark.parametrize("blank", [False, True])
def test_a_number_is_answered_with_what_the_reader_says(
    client: TestClient, reader: Reader, said: dict[str, Any], expected: dict[str, Any], blank: bool
) -> None:
    picture = BLANK if blank else written()
    wanted = reader.read_number(picture, **expected).as_dict()
    for answer in asked(client, NUMBER, picture, **said):
        assert (answer.status_code, answer.json()) == (200, wanted), answer.text
        kind = models.FoundNumber if "corners" in wanted else models.NumberReading
        kind.model_validate(answer.json())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {}),
        ({"digits": "1-3", "decimal": ",", "count": 3}, {"digits": (1, 3), "decimal": ",", "count": 3}),
        ({"engine": "ours", "count": 50}, {"count": 50}),
    ],
)
def test_all_numbers_on_a_picture_are_answered_with_what_the_reader_finds(
    client: TestClient, reader: Reader, said: dict[str, Any], expected: dict[str, Any]
) -> None:
    for quarters, (width, height) in ((0, (640, 420)), (1, (420, 640))):
        picture = png(page(quarters))
        wanted = [one.as_dict() for one in reader.find(picture, **expected)]
        assert wanted
        for answer in asked(client, FIND, picture, **said):
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            assert answer.json() == {"width": width, "height": height, "numbers": wanted}
            models.FoundNumbers.model_validate(answer.json())
    for answer in asked(client, FIND, BLANK, **said):
        assert answer.json() == {"width": 50, "height": 50, "numbers": []}


@pytest.mark.parametrize("engine", ["ocr", "both"])
def test_an_engine_that_is_not_installed_is_a_problem_that_says_how_to_install_it(
    with_settings: Callable[..., TestClient], engine: str
) -> None:
    client = with_settings(without_ocr)
    for path in (NUMBER, FIND):
        for answer in asked(client, path, written(), engine=engine):
            check_problem(answer, 422, "not-installed", None, path)
            assert answer.json()["detail"].endswith('not installed; install it with: pip install "sumnist[ocr]"')


def test_without_the_network_of_numbers_a_server_reads_digits_all_the_same(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = with_settings(without_numbers)
    assert asked(client, READ, BLANK, number=1)[0].status_code == 200
    check_problem(client.post(NUMBER, files=files(written())), 500, "internal", None, NUMBER)
    assert "missing.onnx" in caplog.text


# Problems.


@pytest.mark.parametrize(
    ("picture", "status", "slug"),
    [
        (b"hello", 415, "unknown-format"), (b"", 400, "damaged-picture"), (SEVEN[:400], 400, "damaged-picture"),
        (png(Image.new("L", (7, 6))), 400, "damaged-picture"),
        (png(Image.new("1", (8001, 8000))), 413, "picture-too-large"),
    ],
)  # fmt: skip
def test_a_picture_that_cannot_be_read_is_a_problem(client: TestClient, picture: bytes, status: int, slug: str) -> None:
    for path in (READ, f"{READ}?inside=true&evidence=true", NUMBER, FIND):
        for answer in asked(client, path, picture, number=1):
            check_problem(answer, status, slug, None, path.partition("?")[0])
            assert re.match("picture: .*, expected .*: ", answer.json()["detail"])


NONSENSE: dict[tuple[str, str], list[Any]] = {
    (READ, "number"): ["x", "1.5", "", "1_0", " 7", "7\n", 1.5, True, None, [1], {}],
    (READ, "ink"): ["red", "Dark", "", "dark ", "dark\0", None, True, ["dark"], {}],
    (NUMBER, "ink"): ["blue", "", 1, None],
    (NUMBER, "digits"): ["x", 0, -4, "6-1", "0-3", "1-6-9", "1 - 6", 1000, "", None, [1]],
    (NUMBER, "count"): [0, 51, -1, "ten", "1.5", None, True],
    (NUMBER, "decimal"): ["x", "-", "", "..", 1],
    (NUMBER, "engine"): ["theirs", "OURS", "", 1, {}],
    (FIND, "digits"): ["x", 0],
    (FIND, "engine"): ["theirs", 1],
}


def test_what_makes_no_sense_is_a_problem_that_quotes_it(client: TestClient) -> None:
    for (path, name), value in ((of, value) for of, values in NONSENSE.items() for value in values):
        said = {"number": 1, name: value} if path == READ else {name: value}
        for answer in asked(client, path, BLANK, **said):
            slug = "number" if name == "number" else "invalid-request"
            check_problem(answer, 422, slug, None, path, f"{name} {value!r}: expected ")


def test_a_long_value_is_a_problem_in_few_words(client: TestClient) -> None:
    long: list[Any] = [[[[]]] * 100, "9" * 10**6, 10**999]
    for name in ("digits", "count", "ink", "engine", "decimal", "number"):
        path, slug = (READ, "number") if name == "number" else (NUMBER, "invalid-request")
        for value in long:
            answer = client.post(path, json={"picture": encoded(BLANK), name: value})
            check_problem(answer, 422, slug, None, path, f"{name} ")
            assert len(answer.json()["detail"]) < 250


def test_a_number_that_json_does_not_keep_exact_is_a_problem(client: TestClient) -> None:
    for number in (2**53, -(2**53), 10**30):
        for answer in asked(client, READ, SEVEN, number=number):
            begins = f"number of {len(str(abs(number)))} digits: expected one from -9007"
            check_problem(answer, 422, "number", begins=begins)


PICTURE = b'--b\r\ncontent-disposition: form-data; name="picture"\r\n\r\n'
MALFORMED, INVALID = (400, "malformed-body"), (422, "invalid-request")
BODIES: list[tuple[str, bytes, tuple[int, str], str]] = [
    ("json", b"", MALFORMED, "the body is not JSON"), ("json", b"[" * 1016, MALFORMED, "the body is not JSON"),
    ("json", b"[" * 100_000, INVALID, "the body: more than 1,016"),
    ("json", b'{"picture": "", "number": NaN}', MALFORMED, "the body is not JSON (NaN"),
    ("json", b'{"picture": "", "number": ' + b"9" * 5000 + b"}", MALFORMED, "the body is not JSON (a number of 5,000"),
    ("json", b"\xff\xfe\xfd", MALFORMED, "the body is not JSON"), ("json", b"[]", INVALID, "the body: list, expected"),
    ("json", b'{"number": 7}', INVALID, "the body: no pic"), ("json", b'{"picture": ""}', INVALID, "the body: no num"),
    ("json", b'{"picture": 5, "number": 7}', INVALID, "the body: picture is int, expected"),
    ("json", b'{"picture": "a", "number": 7}', (400, "damaged-picture"), "picture: not base64, expected"),
    ("form", b"", MALFORMED, "the form is cut short"), ("form", PICTURE + b"half", MALFORMED, "the form is cut short"),
    ("form", b"--b\r\nno header\r\n\r\nx\r\n--b--", MALFORMED, "a part of the form without a name"),
    ("form", PICTURE + b"x\r\n--b\r\ncontent-disposition: form-data; name=number\r\n\r\n\xd9\xa7\r\n--b--",
     (422, "number"), "number '٧': expected"),
    ("form", b"--b--", INVALID, "0 fields named picture"),
    ("form", PICTURE + b"x\r\n--b--", INVALID, "0 fields named number"),
    ("form", PICTURE + b"x\r\n" + PICTURE + b"y\r\n--b--", INVALID, "2 fields named picture"),
    *((kind, b"x", (415, "unsupported-media-type"), f"content-type {kind!r}: expected ")
      for kind in ("", "text/plain", "application/x-www-form-urlencoded", "application/jsonp")),
    ("multipart/form-data", b"", MALFORMED, "content-type 'multipart/form-data': expected a boundary"),
]  # fmt: skip


def test_a_body_that_does_not_say_what_to_read_is_a_problem(client: TestClient) -> None:
    kinds = {"json": "application/json; charset=utf-8", "form": "multipart/form-data; boundary=b"}
    for kind, content, (status, slug), detail in BODIES:
        answer = client.post(READ, content=content, headers={"content-type": kinds.get(kind, kind)})
        check_problem(answer, status, slug, begins=detail)
    answer = client.post(READ, content=b"x", headers=JSON | {"content-encoding": "gzip"})
    check_problem(answer, 415, "unsupported-media-type")


def test_what_is_wrong_with_a_batch_is_a_problem(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(batch=3)
    item, fault = {"picture": encoded(BLANK), "number": 1}, {"picture": "é", "number": 1}
    wrong: list[Any] = [[], {}, {"readings": 5}, "x"]
    cases: list[tuple[dict[str, Any], str]] = [
        *(({"json": one}, 'the body: expected {"readings": [') for one in wrong),
        ({"json": {"readings": [item, None]}}, "reading 2: NoneType, expected {"),
        ({"json": {"readings": [fault, item | {"ink": "red"}]}}, "ink 'red': expected "),
        *(({"json": {"readings": [item] * count}}, f"{count} readings: expected 1 to 3: ") for count in (0, 4)),
        ({"files": files(*[BLANK] * 4), "data": {"number": "1"}}, "4 pictures: expected 1 to 3: "),
        ({"files": files(*[BLANK] * 3), "data": {"number": ["1", "2"]}}, "2 numbers for 3 pictures: expected one "),
        ({"files": files(*[BLANK] * 3), "data": {"number": "1", "ink": ["dark", "light"]}}, "2 inks for 3 pictures: "),
    ]
    for given, detail in cases:
        check_problem(client.post(BATCH, **given), 422, "invalid-request", None, BATCH, detail)
    answer = client.post(BATCH, files=files(*[BLANK] * 30), data={"number": "1"})
    detail = "a form of more than 28 parts: expected at most 3 pictures and what is said of them"
    check_problem(answer, 400, "malformed-body", detail, BATCH)
    first, second = client.post(BATCH, json={"readings": [fault, item]}).json()["readings"]
    assert first["error"]["type"] == "urn:sumnist:problem:damaged-picture"
    assert second["reason"] == "blank"


def test_a_flag_that_is_neither_true_nor_false_is_a_problem(client: TestClient) -> None:
    for flag in ("image", "beside", "inside", "evidence"):
        for value in ("1", "True", ""):
            answer = client.post(f"{READ}?{flag}={value}", files=files(SEVEN), data={"number": "1"})
            check_problem(answer, 422, "invalid-request", f"{flag}: input should be 'true' or 'false'")


NOWHERE = (
    "/nothing", "/v1", "/static/nothing.js", "/static/../app.py", "/static/%2e%2e/app.py", "/docs/", "/healthz/",
    "/v1/read/", "/static", "/static/", "/docs%2f",
)  # fmt: skip
METHODS = [
    ("GET", READ, "POST"), ("DELETE", BATCH, "POST"), ("OPTIONS", NUMBER, "POST"),
    ("POST", "/healthz", "GET, HEAD"), ("PUT", "/", "GET, HEAD"), ("OPTIONS", "/static/docs.js", "GET, HEAD"),
]  # fmt: skip


def test_a_path_that_leads_nowhere_is_a_problem_and_another_method_one_that_names_the_right_one(
    client: TestClient,
) -> None:
    for path in NOWHERE:
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
        assert answer.json()["type"] == "urn:sumnist:problem:not-found"
    for method, path, allowed in METHODS:
        answer = client.request(method, path)
        check_problem(answer, 405, "method-not-allowed", f"{method} {path}: expected {allowed}", path)
        assert answer.headers["allow"] == allowed


def test_every_error_of_the_package_has_a_status() -> None:
    family = {value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, SumnistError)}
    assert set(OF_ERRORS) == family

    class Later(errors.FormatError):
        pass

    assert problem_of(Later("x")).kind.slug == "unknown-format"


@pytest.mark.parametrize("error", [ExportError("a password"), RuntimeError("secret")])
def test_what_is_not_the_clients_fault_is_not_told(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    client = with_settings(partial(broken, error))
    for path in (READ, BATCH):
        answer = client.post(path, files=files(SEVEN), data={"number": "1"})
        detail = "the fault is not the request's; the server's log says what happened"
        check_problem(answer, 500, "internal", detail, path)
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert str(error) in caplog.text


# The document.


@pytest.fixture(scope="module")
def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def test_the_document_lists_every_path_and_all_that_it_refers_to_and_nothing_else(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    others = {"/v1/hands/{name}", "/healthz", "/readyz", "/metrics", "/openapi.json"}
    asked = {READ, BATCH, NUMBER, FIND, HANDS, FORM, SHEETS, TABLES}
    assert set(document["paths"]) == asked | others
    named = {part.partition('"')[0] for part in json.dumps(document).split('"#/components/schemas/')[1:]}
    assert named == set(document["components"]["schemas"])
    (name,) = document["paths"]["/v1/hands/{name}"]["delete"]["parameters"]
    assert (name["name"], name["in"], name["required"]) == ("name", "path", True)
    for path in asked:
        operation = document["paths"][path]["post"]
        assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
        assert {"200", "400", "408", "413", "415", "422", "500", "503"} <= set(operation["responses"])
    for path in (NUMBER, FIND, FORM, SHEETS, TABLES):
        assert "`not-installed`" in document["paths"][path]["post"]["responses"]["422"]["description"]


def test_the_document_names_what_may_be_said(document: Any) -> None:
    bodies = {path: document["paths"][path]["post"]["requestBody"]["content"] for path in (READ, BATCH, NUMBER, FIND)}
    item = bodies[BATCH]["application/json"]["schema"]["properties"]["readings"]["items"]
    for schema in (*(one["schema"] for one in bodies[READ].values()), item):
        assert schema["required"] == ["picture", "number"]
        assert schema["properties"]["ink"]["enum"] == ["auto", "dark", "light"]
    sheets = document["paths"][SHEETS]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert set(sheets["sheets"]["items"]["required"]) == {"picture", "layout"}
    assert set(sheets["sheets"]["items"]["properties"]) == {"picture", "layout", "hand", "name"}
    assert sheets["sheets"]["maxItems"] == 10
    of_both = {"picture", "hand", "digits", "decimal", "engine", "count"}
    of_number, of_all = ([*bodies[path].values()] for path in (NUMBER, FIND))
    for one, fields in zip((*of_number, *of_all), [of_both | {"ink"}] * 2 + [of_both] * 2, strict=True):
        assert one["schema"]["required"] == ["picture"]
        assert set(one["schema"]["properties"]) == fields
        assert one["schema"]["properties"]["count"]["maximum"] == COUNT.most


ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/serving.md").read_text(encoding="utf-8")


def here(text: str, server: Server) -> str:
    """The text with the address of the server in place of the usual one."""
    return text.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")


def commands() -> list[str]:
    return [line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ ")]


def output(command: str, server: Server) -> str:
    result = subprocess.run(here(command, server), shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), command
    return result.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_with_curl_run(shared: Server, tmp_path: Path) -> None:
    lines = [command.replace("cover.pdf", str(tmp_path / "cover.pdf")) for command in commands()]
    lines = [command for command in lines if command.startswith("curl")]
    assert len(lines) == 13
    form, as_json, batch, number, found, hand, cover, sheets, table, problem, health, ready, metrics = (
        output(line, shared) for line in lines
    )
    assert (json.loads(form)["digit"], json.loads(form)["sum"]) == (5, 12)
    image = json.loads(as_json).pop("image")
    assert [len(row) for row in image] == [28] * 28
    assert json.loads(as_json) == json.loads(form) | {"image": image}
    first, second = json.loads(batch)["readings"]
    assert (first["sum"], second["error"]["status"]) == (12, 415)
    assert (json.loads(number)["value"], json.loads(number)["accepted"]) == (5, True)
    assert (json.loads(found)["width"], json.loads(found)["height"]) == (420, 150)
    assert (json.loads(hand)["hand"]["examples"][5], json.loads(hand)["name"]) == (1, None)
    assert (cover, (tmp_path / "cover.pdf").read_bytes()[:5]) == ("", b"%PDF-")
    assert (json.loads(sheets)["rows"][0]["state"], "workbook" in json.loads(sheets)) == ("corrected", True)
    assert (json.loads(table)["rows"], json.loads(table)["columns"]) == (11, 4)
    assert json.loads(problem)["type"] == "urn:sumnist:problem:unknown-format"
    assert (json.loads(health), json.loads(ready)) == ({"status": "alive"}, {"status": "ready"})
    assert metrics.startswith("# HELP sumnist_requests_total ")


def test_the_python_runs(shared: Server) -> None:
    page = (ROOT / "docs/how-to/serve.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    command = [sys.executable, "-W", "error", "-c", here(code, shared)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("5 12 True\n", "")


def test_the_page_names_every_problem_metric_flag_field_and_member(shared: Server) -> None:
    assert here(PAGE, shared).count(shared.line) == 1
    rows = {row.split("|")[1].strip(): row for row in PAGE.splitlines() if row.startswith("| ")}
    for kind in KINDS.values():
        row = next(row for statuses, row in rows.items() if str(kind.status) in statuses.split(", "))
        assert f"`{kind.slug}`" in row
    for name in re.findall(r"# TYPE (\w+)", bytes(Metrics().answer().body).decode()):
        assert f"`{name}`" in rows
    flags = {f"--{name.replace('_', '-')}" for name in Settings.__dataclass_fields__} | {"--help"}
    assert set(re.findall(r"--[a-z-]+", PAGE.replace(" --- ", ""))) <= flags
    document = json.loads(shared.get("/openapi.json")[1])
    _, numbers = PAGE.split("### Numbers of any length")
    _, found = PAGE.split("### Every number on a picture")
    forms = PAGE.split("### Forms and tables")[1].split("## Problems")[0]
    parts = {READ: PAGE, NUMBER: numbers.split("###", 1)[0], FIND: numbers.split("### Hands", 1)[0]}
    parts |= dict.fromkeys((FORM, TABLES), forms)
    for path, part in parts.items():
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) >= set(content["properties"])
    schemas = document["components"]["schemas"]
    for schema in ("Reading", "NumberReading", "Candidate"):
        for member in schemas[schema]["properties"]:
            assert f"`{member}`" in (PAGE if schema == "Reading" else numbers)
    of_rows = forms + (ROOT / "docs/how-to/sheets.md").read_text(encoding="utf-8")
    for kind_of_answer, text in (("Sheets", forms), ("ReadTable", forms), ("Sheet", of_rows)):
        assert all(f"`{member}`" in text for member in schemas[kind_of_answer]["properties"])
    for path in (SHEETS, TABLES):
        assert all(f"`{flag['name']}=true`" in forms for flag in document["paths"][path]["post"]["parameters"])
    more = schemas["FoundNumber"]["properties"].keys() - schemas["NumberReading"]["properties"].keys()
    assert all(f"`{member}`" in found for member in {*more, *schemas["FoundNumbers"]["properties"]})

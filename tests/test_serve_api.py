"""The API: one contract over the table of paths, and what is answered to what is asked."""

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

import jsonschema
import pytest
from PIL import Image
from starlette.testclient import TestClient

from drawings import encoded as png
from example_page import page
from readers import Learned, broken, learned, learned_beside, without_numbers
from served import BLANK, PROBLEM, SEVEN, Server, check_problem, encoded, files, strip
from sumnist import errors
from sumnist.errors import ExportError, SumnistError
from sumnist.inference.inside import evidence_of, read_inside
from sumnist.inference.reader import Reader, Reading
from sumnist.serve.app import OPERATIONS, PAGES, Metrics, Operation
from sumnist.serve.problems import KINDS, OF_ERRORS, problem_of
from sumnist.serve.settings import Settings

READ, BATCH, NUMBER, FIND = "/v1/read", "/v1/read/batch", "/v1/read-number", "/v1/find"
JSON, FORM = {"content-type": "application/json"}, {"content-type": "multipart/form-data; boundary=b"}
ASKING = [one for one in OPERATIONS if one.asks is not None]
PLACES = (0, 2, 4, 6)
"""Of the test images that stand on the strip: clear digits."""


@cache
def written() -> bytes:
    """A strip of clear digits."""
    return strip(*PLACES)


@pytest.fixture(scope="module")
def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def check_documented(document: Any, path: str, method: str, answer: Any) -> None:
    """The document promises this answer: its status, its type, and a body of this form."""
    content = document["paths"][path][method.lower()]["responses"][str(answer.status_code)]["content"]
    kind = answer.headers["content-type"].partition(";")[0]
    (schema,) = [one["schema"] for name, one in content.items() if name.partition(";")[0] == kind]
    if kind.endswith("json"):
        jsonschema.validate(answer.json(), schema | {"components": document["components"]})


def asked(client: TestClient, path: str, picture: bytes, **said: Any) -> list[Any]:
    """The answers to the same question as a form, if it can be one, and as JSON, which are as the document says."""
    answers = [client.post(path, json={"picture": encoded(picture)} | said)]
    if all(isinstance(value, str | int) and not isinstance(value, bool) for value in said.values()):
        answers.append(client.post(path, files=files(picture), data={name: str(value) for name, value in said.items()}))
    document = client.get("/openapi.json").json()
    for answer in answers:
        check_documented(document, path.partition("?")[0], "POST", answer)
    return answers


def as_answered(reading: Reading) -> dict[str, Any]:
    return reading.as_dict() | {"sum_confidence": reading.sum_confidence}


# The contract of all paths.

PART = b'--b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n'
BAD: tuple[tuple[dict[str, str], bytes, int | None, str | None], ...] = (
    (JSON, b"", 400, "malformed-body"), (JSON, b"[" * 1016, 400, "malformed-body"),
    (JSON, b'{"picture": "", "number": NaN}', 400, "malformed-body"), (JSON, b"\xff\xfe\xfd", 400, "malformed-body"),
    (JSON, b'{"a": ' + b"9" * 5000 + b"}", 400, "malformed-body"), (JSON, b"[" * 100_000, 422, "invalid-request"),
    (JSON, b"[]", 422, "invalid-request"), (JSON, b"{}", 422, "invalid-request"),
    (FORM, b"", 400, "malformed-body"), (FORM, b"--b\r\nno header\r\n\r\nx\r\n--b--", 400, "malformed-body"),
    (FORM, PART % (b"picture", b"half"), 400, "malformed-body"), (FORM, b"--b--", None, "a form without parts"),
    (FORM, PART % (b"other", b"x") + b"--b--", 422, "invalid-request"),
    (FORM, PART % (b"x", b"") * 30_000 + b"--b--", 400, "malformed-body"),
    (FORM, PART % (b"hand", b"x") * 2 + PART % (b"layout", b"9,x") * 3 + b"--b--", 422, None),
    ({"content-type": "multipart/form-data"}, b"", 400, "malformed-body"),
    ({"content-type": "text/plain"}, b"x", 415, "unsupported-media-type"), ({}, b"x", 415, "unsupported-media-type"),
    ({"content-type": "application/jsonp"}, b"x", 415, "unsupported-media-type"),
    (JSON | {"content-encoding": "gzip"}, b"x", 415, "unsupported-media-type"),
    (JSON | {"content-length": str(2**40)}, b"", 413, "body-too-large"),
)  # fmt: skip


@pytest.mark.parametrize("operation", ASKING, ids=lambda one: one.name)
def test_each_path_refuses_each_bad_body_as_the_document_says(
    client: TestClient, document: Any, operation: Operation
) -> None:
    for headers, content, status, slug in BAD:
        answer = client.post(operation.path, content=content, headers=headers)
        assert answer.headers["content-type"] == PROBLEM, (headers, content[:80])
        problem = answer.json()
        assert set(problem) == {"type", "title", "status", "detail", "instance"}
        assert (problem["status"], problem["instance"]) == (answer.status_code, operation.path)
        if status is None:
            assert answer.status_code in (400, 422)
        else:
            kind = slug or problem["type"].rpartition(":")[2]
            assert (answer.status_code, problem["type"]) == (status, f"urn:sumnist:problem:{kind}"), (
                headers,
                content[:80],
            )
        assert len(problem["detail"]) < 400
        check_documented(document, operation.path, "POST", answer)
    for flag in operation.flags:
        for value in ("1", "True", ""):
            answer = client.post(f"{operation.path}?{flag}={value}", json={})
            detail = f"{flag} {value!r}: expected true or false"
            check_problem(answer, 422, "invalid-request", detail, operation.path)


def test_every_path_answers_its_methods_alone(client: TestClient) -> None:
    methods = {one.path: "GET, HEAD" if one.method == "GET" else one.method for one in OPERATIONS}
    methods |= dict.fromkeys([*PAGES, "/static/docs.js"], "GET, HEAD")
    for path, allowed in methods.items():
        for method in {"GET", "POST", "PUT", "DELETE", "OPTIONS"} - {*allowed.split(", ")}:
            answer = client.request(method, path)
            check_problem(answer, 405, "method-not-allowed", f"{method} {path}: expected {allowed}", path)
            assert answer.headers["allow"] == allowed
    for path in (
        "/nothing", "/v1", "/static/nothing.js", "/static/../app.py", "/static/%2e%2e/app.py", "/docs/", "/healthz/",
        "/v1/read/", "/static", "/static/", "/docs%2f",
    ):  # fmt: skip
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:sumnist:problem:not-found")
    check_problem(client.delete("/v1/hands/x"), 404, "not-found", None, "/v1/hands/x", "hand x: is not kept")


def test_the_document_lists_every_path_and_all_that_it_refers_to_and_nothing_else(document: Any) -> None:
    assert {path: [*methods] for path, methods in document["paths"].items()} == {
        one.path: [one.method.lower()] for one in OPERATIONS
    }
    named = {part.partition('"')[0] for part in json.dumps(document).split('"#/components/schemas/')[1:]}
    assert named == set(document["components"]["schemas"])
    assert not {"HTTPValidationError", "ValidationError"} & named  # of a framework, which are never sent
    for one in ASKING:
        operation = document["paths"][one.path]["post"]
        assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
        assert {"200", "400", "408", "413", "415", "422", "500", "503"} <= set(operation["responses"])
        problems = {name for response in operation["responses"].values()
                    for name in re.findall(r"`([a-z-]+)`", response["description"])}  # fmt: skip
        assert problems == set(one.problems)
    names = {(flag["name"], flag["in"]) for flag in document["paths"]["/v1/hands/{name}"]["delete"]["parameters"]}
    assert names == {("name", "path")}
    bodies = {one.path: document["paths"][one.path]["post"]["requestBody"]["content"] for one in ASKING}
    item = bodies[BATCH]["application/json"]["schema"]["properties"]["readings"]["items"]
    for schema in (*(one["schema"] for one in bodies[READ].values()), item):
        assert schema["required"] == ["picture", "number"]
        assert schema["properties"]["ink"]["enum"] == ["auto", "dark", "light"]
        assert (schema["properties"]["number"]["minimum"], schema["properties"]["number"]["maximum"]) == (
            1 - 2**53, 2**53 - 1,
        )  # fmt: skip
    (sheets,) = bodies["/v1/sheets"]["application/json"]["schema"]["properties"].values()
    assert (sheets["maxItems"], set(sheets["items"]["required"])) == (10, {"picture", "layout"})


def test_every_error_of_the_package_has_a_status() -> None:
    family = {value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, SumnistError)}
    assert set(OF_ERRORS) == family

    class Later(errors.FormatError):
        pass

    assert problem_of(Later("x")).kind.slug == "unknown-format"
    assert problem_of(MemoryError()).kind.slug == "busy"


@pytest.mark.parametrize("error", [ExportError("a password"), RuntimeError("secret")])
def test_what_is_not_the_clients_fault_is_logged_and_not_told(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    client = with_settings(partial(broken, error))
    for path in (READ, BATCH):
        answer = client.post(path, files=files(SEVEN), data={"number": "1"})
        detail = "the fault is not the request's; the server's log says what happened"
        check_problem(answer, 500, "internal", detail, path)
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert str(error) in caplog.text


# Readings.


@pytest.mark.parametrize("picture", [SEVEN, BLANK])
def test_a_digit_is_answered_with_what_the_reader_says(client: TestClient, reader: Reader, picture: bytes) -> None:
    for ink, number in (("auto", 5), ("dark", -(2**53 - 1)), ("light", 2**53 - 1), ("auto", 5.0)):
        for answer in asked(client, READ, picture, number=number, ink=ink):
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            assert answer.json() == as_answered(reader.read(picture, int(number), ink))  # type: ignore[call-overload]
    reading, inside = read_inside(reader, picture, 5)
    evidence = evidence_of(reader, reading)
    more = {"image": reading.as_dict(image=True)["image"], "inside": inside.as_dict()}
    more["evidence"] = None if evidence is None else evidence.as_dict()
    for flags in (["image"], ["inside"], ["evidence"], [*more]):
        answer, _ = asked(client, f"{READ}?{'&'.join(f'{flag}=true' for flag in flags)}", picture, number=5)
        assert answer.json() == as_answered(reading) | json.loads(json.dumps({flag: more[flag] for flag in flags}))
    answer, _ = asked(client, f"{READ}?image=false&inside=false", picture, number=5)
    assert answer.json() == as_answered(reading)


def test_a_batch_has_an_answer_for_each_picture_in_order(client: TestClient, document: Any) -> None:
    pictures = [SEVEN, b"no picture", BLANK, SEVEN]
    as_form = client.post(f"{BATCH}?inside=true", files=files(*pictures), data={"number": ["1", "2", "3", "4"]})
    items = [{"picture": encoded(one), "number": place} for place, one in enumerate(pictures, 1)]
    assert as_form.json() == client.post(BATCH, json={"readings": items}).json()
    check_documented(document, BATCH, "POST", as_form)
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
        assert len(readings[1]["image"]) == 28


def test_what_is_wrong_with_a_batch_is_a_problem(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(batch=3)
    item, fault = {"picture": encoded(BLANK), "number": 1}, {"picture": "é", "number": 1}
    wrong: list[Any] = [[], {}, {"readings": 5}, "x"]
    cases: list[tuple[dict[str, Any], str]] = [
        *(({"json": one}, 'the body: expected {"readings": [') for one in wrong),
        ({"json": {"readings": [item, None]}}, "reading 2: NoneType, expected {"),
        ({"json": {"readings": [item, {"picture": ""}]}}, "reading 2: no number, expected {"),
        ({"json": {"readings": [fault, item | {"ink": "red"}]}}, "ink 'red': expected "),
        *(({"json": {"readings": [item] * count}}, f"{count} readings: expected 1 to 3: ") for count in (0, 4)),
        ({"files": files(*[BLANK] * 4), "data": {"number": "1"}}, "4 readings: expected 1 to 3: "),
        ({"files": files(*[BLANK] * 3), "data": {"number": ["1", "2"]}}, "2 fields named number for 3 pictures: "),
        ({"files": files(*[BLANK] * 3), "data": {"number": "1", "ink": ["dark", "light"]}}, "2 fields named ink for 3"),
    ]
    for given, detail in cases:
        check_problem(client.post(BATCH, **given), 422, "invalid-request", None, BATCH, detail)
    answer = client.post(BATCH, files=files(*[BLANK] * 30), data={"number": "1"})
    detail = "a form of more than 28 parts: expected at most 3 pictures and what is said of them"
    check_problem(answer, 400, "malformed-body", detail, BATCH)
    first, second = client.post(BATCH, json={"readings": [fault, item]}).json()["readings"]
    assert first["error"]["type"] == "urn:sumnist:problem:damaged-picture"
    assert second["reason"] == "blank"


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


SAID: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}), ({"digits": "4"}, {"digits": 4}), ({"digits": 4, "count": 3}, {"digits": 4, "count": 3}),
    ({"digits": "1-6", "decimal": ","}, {"digits": (1, 6), "decimal": ","}), ({"count": 50.0}, {"count": 50}),
    ({"digits": "2-", "decimal": "."}, {"digits": (2, None), "decimal": "."}),
]  # fmt: skip


def test_numbers_are_answered_with_what_the_reader_says(client: TestClient, reader: Reader) -> None:
    for said, expected in [*SAID, ({"ink": "light"}, {"ink": "light"})]:
        for picture in (BLANK, written()):
            wanted = reader.read_number(picture, **expected).as_dict()
            for answer in asked(client, NUMBER, picture, **said):
                assert (answer.status_code, answer.json()) == (200, wanted), answer.text
    for (said, expected), quarters in zip(SAID[:4], (0, 1, 0, 0), strict=True):
        picture, size = png(page(quarters)), {"width": (640, 420)[quarters], "height": (420, 640)[quarters]}
        wanted_all = [one.as_dict() for one in reader.find(picture, **expected)]
        assert wanted_all
        for answer in asked(client, FIND, picture, **said):
            assert (answer.status_code, answer.json()) == (200, size | {"numbers": wanted_all})
    for answer in asked(client, FIND, BLANK):
        assert answer.json() == {"width": 50, "height": 50, "numbers": []}


def test_what_a_server_lacks_is_a_problem(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = with_settings(without_numbers)
    assert asked(client, READ, BLANK, number=1)[0].status_code == 200
    check_problem(client.post(NUMBER, files=files(written())), 500, "internal", None, NUMBER)
    assert "missing.onnx" in caplog.text


def test_a_picture_that_cannot_be_read_is_a_problem(client: TestClient) -> None:
    for picture, status, slug in (
        (b"hello", 415, "unknown-format"), (b"", 400, "damaged-picture"), (SEVEN[:400], 400, "damaged-picture"),
        (png(Image.new("L", (7, 6))), 400, "damaged-picture"),
        (png(Image.new("1", (8001, 8000))), 413, "picture-too-large"),
    ):  # fmt: skip
        for path in (READ, f"{READ}?inside=true&evidence=true", NUMBER, FIND):
            for answer in asked(client, path, picture, number=1):
                check_problem(answer, status, slug, None, path.partition("?")[0])
                assert re.match("picture: .*, expected .*: ", answer.json()["detail"])
    for value, status, slug in (("a", 400, "damaged-picture"), (5, 422, "invalid-request")):
        answer = client.post(READ, json={"picture": value, "number": 7})
        check_problem(answer, status, slug, begins="picture")
        assert "expected the file's bytes in base64" in answer.json()["detail"]


NONSENSE: dict[tuple[str, str], list[Any]] = {
    (READ, "number"): ["x", "1.5", "", "1_0", " 7", "7\n", "٧", 1.5, True, None, [1], {}],
    (READ, "ink"): ["red", "Dark", "", "dark ", "dark\0", None, True, ["dark"], {}],
    (NUMBER, "digits"): ["x", 0, -4, "6-1", "0-3", "1-6-9", "1 - 6", 1000, "", None, [1]],
    (NUMBER, "count"): [0, 51, -1, "ten", "1.5", None, True],
    (NUMBER, "decimal"): ["x", "-", "", "..", 1],
}


def test_what_makes_no_sense_is_a_problem_that_quotes_it_in_few_words(client: TestClient) -> None:
    for (path, name), values in NONSENSE.items():
        slug = "number" if name == "number" else "invalid-request"
        for value in values:
            said = {"number": 1, name: value} if path == READ else {name: value}
            for answer in asked(client, path, BLANK, **said):
                check_problem(answer, 422, slug, None, path, f"{name} {value!r}: expected ")
        longest: list[Any] = [[[[]]] * 100, "9" * 10**6, 10**999]
        for long in longest:
            answer = client.post(path, json={"picture": encoded(BLANK), "number": 1, name: long})
            check_problem(answer, 422, slug, None, path, f"{name} ")
            assert len(answer.json()["detail"]) < 250
    for number in (2**53, -(2**53), 10**30):
        for answer in asked(client, READ, SEVEN, number=number):
            begins = f"number of {len(str(abs(number)))} digits: expected one from -9007"
            check_problem(answer, 422, "number", begins=begins)


# The page of the documentation.


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


def test_the_page_names_every_problem_metric_flag_field_and_member(shared: Server, document: Any) -> None:
    assert here(PAGE, shared).count(shared.line) == 1
    named = {*re.findall(r"`([a-z_A-Z-]+)(?:=true)?`", PAGE + (ROOT / "docs/how-to/sheets.md").read_text("utf-8"))}
    metrics = re.findall(r"# TYPE (\w+)", bytes(Metrics().answer().body).decode())
    fields = {name for one in ASKING if one.asks is not None for name in one.asks.model_fields}
    schemas = document["components"]["schemas"]
    models = ("Reading", "NumberReading", "Candidate", "FoundNumbers", "Sheets", "ReadTable", "Sheet")
    members = {name for model in models for name in schemas[model]["properties"]}
    flags = {flag for one in ASKING for flag in one.flags}
    assert ({*KINDS, *metrics} | fields | members | flags) - named == set()
    known = {f"--{name.replace('_', '-')}" for name in Settings.__dataclass_fields__} | {"--help"}
    assert set(re.findall(r"--[a-z-]+", PAGE.replace(" --- ", ""))) <= known

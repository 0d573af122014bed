"""Numbers of any length over HTTP: what is answered to what is asked, and what is refused. In this process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from asked import BLANK, check_problem, encoded, form, png, strip
from readers import without_numbers, without_ocr
from sumnist.data.mnist import load_mnist
from sumnist.inference.numbers import NUMBER_ADVICE
from sumnist.inference.reader import Reader
from sumnist.serve.metrics import ACCEPTED, Metrics
from sumnist.serve.models import COUNT, NumberReading

PATH = "/v1/read-number"
PLACES = (0, 2, 4, 6)
"""Of the test images that stand on the strip: clear digits."""


@cache
def picture() -> bytes:
    return strip(*PLACES)


def written() -> str:
    """What stands on the strip, by MNIST's labels."""
    return "".join(str(load_mnist("test").digits[place]) for place in PLACES)


def answers(client: TestClient, content: bytes, **said: Any) -> list[Any]:
    """The answers to the same question as a form and as JSON."""
    data = {name: str(value) for name, value in said.items()}
    as_json = {"picture": encoded(content)} | said
    return [client.post(PATH, files=form(content), data=data), client.post(PATH, json=as_json)]


# Readings.


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {}),
        ({"digits": "4", "ink": "dark"}, {"digits": 4, "ink": "dark"}),
        ({"digits": 4, "count": 3}, {"digits": 4, "count": 3}),
        ({"digits": "1-6", "decimal": ","}, {"digits": (1, 6), "decimal": ","}),
        ({"digits": "2-", "decimal": ".", "engine": "ours"}, {"digits": (2, None), "decimal": "."}),
        ({"ink": "light", "count": 50}, {"ink": "light", "count": 50}),
    ],
)
def test_a_form_and_json_are_answered_with_what_the_reader_says(
    client: TestClient, reader: Reader, said: dict[str, Any], expected: dict[str, Any]
) -> None:
    wanted = reader.read_number(picture(), **expected).as_dict()
    for answer in answers(client, picture(), **said):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
        assert answer.json() == wanted
        NumberReading.model_validate(answer.json())


def test_a_strip_of_clear_digits_is_read(client: TestClient) -> None:
    for answer in answers(client, picture()):
        reading = answer.json()
        assert (reading["digits"], reading["value"], reading["accepted"]) == (written(), int(written()), True)
        lefts, rights = np.array(reading["places"]).T
        middles = 28 * (np.arange(len(PLACES)) + 0.5)
        assert ((lefts < middles) & (middles < rights)).all()


def test_as_many_candidates_come_as_are_asked_for_and_all_probabilities_sum_to_one(client: TestClient) -> None:
    for count in (1, 7):
        for answer in answers(client, picture(), count=count):
            reading = answer.json()
            assert len(reading["candidates"]) == count
            shares = [candidate["probability"] for candidate in reading["candidates"]]
            assert sum(shares) + reading["other"] == pytest.approx(1)
            assert shares == sorted(shares, reverse=True)


def test_a_number_of_decimals_is_a_string(client: TestClient) -> None:
    for answer in answers(client, picture(), decimal="."):
        assert {type(candidate["value"]) for candidate in answer.json()["candidates"]} == {str}


def test_a_blank_picture_is_a_reading_with_the_reason(client: TestClient) -> None:
    for answer in answers(client, BLANK):
        reading = answer.json()
        assert (answer.status_code, reading["accepted"], reading["reason"]) == (200, False, "blank")
        assert (reading["text"], reading["value"], reading["candidates"], reading["other"]) == ("", None, [], 1)
        NumberReading.model_validate(reading)


def test_a_number_of_digits_that_is_not_there_is_a_reading_with_the_reason(client: TestClient) -> None:
    for answer in answers(client, picture(), digits=900):
        assert (answer.status_code, answer.json()["reason"]) == (200, "another number of digits")


def test_what_is_said_of_the_ink_is_what_is_read(client: TestClient) -> None:
    for answer in answers(client, picture(), ink="light"):
        assert answer.json()["how"].startswith("light ink")


# Problems.


EXPECTED = {
    "digits": "how many there are, such as 4, or the least and the most, such as 1-6 or 3-: leave it out for any "
    "number",
    "count": "a whole number from 1 to 50: leave it out for 10",
    "decimal": "the sign before decimals, '.' or ',': leave it out for whole numbers",
    "engine": "ours, ocr or both: leave it out for ours",
    "ink": "auto, dark or light: leave it out to have it found out",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("digits", value) for value in ("x", 0, -4, "6-1", "4-0", "0-3", "1-6-9", "1 - 6", 1000, "3-1000", "")),
        *(("count", value) for value in (0, 51, -1, "ten", "1.5", 10**20)),
        *(("decimal", value) for value in ("x", "-", "", "..", 1)),
        *(("engine", value) for value in ("theirs", "OURS", "", 1)),
        *(("ink", value) for value in ("blue", "", 1)),
    ],
)
def test_what_makes_no_sense_is_a_problem(client: TestClient, name: str, value: Any) -> None:
    for answer in answers(client, picture(), **{name: value}):
        check_problem(answer, 422, "invalid-request", f"{name} {value!r}: expected {EXPECTED[name]}", PATH)


@pytest.mark.parametrize("value", [None, True, 1.5, [1, 6], {}, [[[]]] * 100, "9" * 10**6, 10**999])
@pytest.mark.parametrize("name", ["digits", "count", "ink", "engine", "decimal"])
def test_json_of_another_type_is_a_problem_in_few_words(client: TestClient, name: str, value: Any) -> None:
    answer = client.post(PATH, json={"picture": encoded(BLANK), name: value})
    check_problem(answer, 422, "invalid-request", None, PATH)
    assert answer.json()["detail"].startswith(f"{name} ")
    assert len(answer.json()["detail"]) < 250


def test_a_request_without_a_picture_or_with_two_is_a_problem(client: TestClient) -> None:
    answer = client.post(PATH, json={"digits": 4})
    check_problem(answer, 422, "invalid-request", 'the body: no picture, expected {"picture": "<base64>"}', PATH)
    answer = client.post(PATH, files=form(BLANK, BLANK))
    check_problem(answer, 422, "invalid-request", "2 fields named picture: expected one", PATH)
    answer = client.post(PATH, files=form(BLANK), data={"digits": ["1", "2"]})
    check_problem(answer, 422, "invalid-request", "2 fields named digits: expected one", PATH)


def test_json_of_more_values_than_a_picture_needs_is_refused(client: TestClient) -> None:
    answer = client.post(PATH, content=b'{"picture":[' + b"[]," * 10**6, headers={"content-type": "application/json"})
    expected = 'the body: more than 1,016 objects, lists, members and items: expected {"picture": "<base64>"}'
    check_problem(answer, 422, "invalid-request", expected, PATH)


@pytest.mark.parametrize("engine", ["ocr", "both"])
def test_an_engine_that_is_not_installed_is_a_problem_that_says_how_to_install_it(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture, engine: str
) -> None:
    client = with_settings(without_ocr)
    for answer in answers(client, picture(), engine=engine):
        check_problem(answer, 422, "not-installed", None, PATH)
        assert answer.json()["detail"].endswith('not installed; install it with: pip install "sumnist[ocr]"')
    assert client.post(PATH, files=form(picture())).status_code == 200
    assert caplog.messages == []


def test_without_the_network_of_numbers_a_server_reads_digits_all_the_same(
    with_settings: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = with_settings(without_numbers)
    assert client.post("/v1/read", files=form(BLANK), data={"number": "1"}).status_code == 200
    check_problem(client.post(PATH, files=form(picture())), 500, "internal", None, PATH)
    assert "missing.onnx" in caplog.text


# The contract.


def test_the_schema_of_a_reading_has_the_members_of_a_reading(client: TestClient, reader: Reader) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    reading = reader.read_number(picture()).as_dict()
    for name, given in (("NumberReading", reading), ("Candidate", reading["candidates"][0])):
        assert set(schemas[name]["properties"]) == set(schemas[name]["required"]) == set(given)
    assert set(schemas["NumberReading"]["properties"]["reason"]["enum"]) == {None, *NUMBER_ADVICE}


def test_the_document_names_what_may_be_said_of_a_number(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"][PATH]["post"]
    assert "`not-installed`" in operation["responses"]["422"]["description"]
    for content in operation["requestBody"]["content"].values():
        schema = content["schema"]
        assert schema["required"] == ["picture"]
        assert set(schema["properties"]) == {"picture", "digits", "decimal", "ink", "engine", "count"}
        assert schema["properties"]["count"]["maximum"] == COUNT.most


def test_requests_and_what_came_of_their_pictures_are_counted(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings()
    for content in (picture(), BLANK, png(Image.new("L", (7, 6)))):
        client.post(PATH, files=form(content))
    text = client.get("/metrics").text
    for line in (
        f'sumnist_requests_total{{route="{PATH}",status="200"}} 2.0',
        f'sumnist_requests_total{{route="{PATH}",status="400"}} 1.0',
        f'sumnist_request_seconds_count{{route="{PATH}"}} 3.0',
        'sumnist_readings_total{outcome="accepted"} 1.0',
        'sumnist_readings_total{outcome="blank"} 1.0',
        'sumnist_problems_total{problem="damaged-picture"} 1.0',
    ):
        assert line in text.splitlines(), line


@pytest.mark.parametrize("outcome", [ACCEPTED, *NUMBER_ADVICE])
def test_whatever_comes_of_a_number_can_be_counted(outcome: str) -> None:
    metrics = Metrics()
    metrics.count(outcome)
    assert f'sumnist_readings_total{{outcome="{outcome}"}} 1.0' in metrics.text().decode().splitlines()

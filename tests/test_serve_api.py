"""The API: what is answered to what is asked, and the document that promises it. In this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from asked import BLANK, SEVEN, check_problem, encoded, form
from readers import Learned, learned, learned_beside
from sumnist.inference.inside import evidence_of, read_inside
from sumnist.inference.reader import Reader, Reading

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


@pytest.mark.parametrize("ink", ["auto", "dark", "light"])
def test_the_ink_that_is_asked_for_is_what_is_read(client: TestClient, reader: Reader, ink: str) -> None:
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "5", "ink": ink})
    expected = reader.read(SEVEN, 5, ink)  # type: ignore[call-overload]
    assert answer.json() == expected.as_dict() | {"sum_confidence": expected.sum_confidence}
    assert answer.json()["how"].startswith("light ink" if ink == "light" else "dark ink")
    assert client.post("/v1/read", json={"picture": encoded(SEVEN), "number": 5, "ink": ink}).json() == answer.json()


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


def test_each_picture_of_a_batch_may_have_an_ink_of_its_own(client: TestClient, reader: Reader) -> None:
    inks = ["light", "dark", "auto"]
    hows = [reader.read(SEVEN, 1, ink).how for ink in inks]  # type: ignore[call-overload]
    assert hows[0] != hows[1]
    items = [{"picture": encoded(SEVEN), "number": 1, "ink": ink} for ink in inks]
    del items[2]["ink"]
    bodies: list[tuple[dict[str, Any], list[str]]] = [
        ({"json": {"readings": items}}, hows),
        ({"files": form(*[SEVEN] * 3), "data": {"number": "1", "ink": inks}}, hows),
        ({"files": form(*[SEVEN] * 3), "data": {"number": ["1", "2", "3"], "ink": "light"}}, hows[:1] * 3),
        ({"files": form(*[SEVEN] * 3), "data": {"number": "1"}}, hows[2:] * 3),
    ]
    for given, expected in bodies:
        answer = client.post("/v1/read/batch", **given)
        assert [one["how"] for one in answer.json()["readings"]] == expected


def test_a_batch_may_have_a_number_and_an_ink_for_every_picture(with_settings: Callable[..., TestClient]) -> None:
    data = {"number": ["1"] * 64, "ink": ["dark"] * 64}
    answer = with_settings(batch=64).post("/v1/read/batch", files=form(*[BLANK] * 64), data=data)
    assert [one["reason"] for one in answer.json()["readings"]] == ["blank"] * 64


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
    detail = "a form of more than 22 parts: expected at most 2 pictures and what is said of them"
    check_problem(answer, 400, "malformed-body", detail, "/v1/read/batch")


def test_a_batch_with_another_count_of_numbers_or_inks_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/read/batch", files=form(BLANK, BLANK, BLANK), data={"number": ["1", "2"]})
    detail = "2 numbers for 3 pictures: expected one for all of them, or one each"
    check_problem(answer, 422, "invalid-request", detail, "/v1/read/batch")
    answer = client.post("/v1/read/batch", files=form(*[BLANK] * 3), data={"number": "1", "ink": ["dark", "light"]})
    detail = "2 inks for 3 pictures: expected one for all of them, or one each"
    check_problem(answer, 422, "invalid-request", detail, "/v1/read/batch")


# A second network.


def test_a_second_network_answers_beside_the_first_if_asked(
    with_settings: Callable[..., TestClient],
) -> None:
    client = with_settings(learned_beside)
    given: dict[str, Any] = {"json": {"picture": encoded(SEVEN), "number": 5}}
    plain = client.post("/v1/read", **given).json()
    assert "beside" not in plain
    both = client.post("/v1/read?beside=true", **given).json()
    expected = Learned().read(SEVEN, 5)
    assert both == plain | {"beside": expected.as_dict() | {"sum_confidence": expected.sum_confidence}}
    assert (both["beside"]["sums"], both["sums"]) == (list(range(19)), list(range(5, 15)))


def test_a_number_that_the_second_network_has_not_learned_does_not_keep_the_first_from_adding_it(
    with_settings: Callable[..., TestClient],
) -> None:
    given: dict[str, Any] = {"json": {"picture": encoded(SEVEN), "number": 50}}
    answer = with_settings(learned_beside).post("/v1/read?beside=true", **given).json()
    assert (answer["sum"], answer["beside"]) == (57, None)
    assert "beside" not in with_settings().post("/v1/read?beside=true", **given).json()


def test_a_learned_network_says_which_numbers_it_adds(with_settings: Callable[..., TestClient]) -> None:
    client = with_settings(learned)
    answer = client.post("/v1/read", files=form(SEVEN), data={"number": "10"})
    check_problem(answer, 422, "number")
    assert "from 0 to 9" in answer.json()["detail"]
    schema = client.get("/openapi.json").json()["paths"]["/v1/read"]["post"]["requestBody"]["content"]
    assert [one["schema"]["properties"]["number"]["maximum"] for one in schema.values()] == [9, 9]


def test_the_second_network_is_told_the_ink_too(with_settings: Callable[..., TestClient]) -> None:
    given = {"picture": encoded(SEVEN), "number": 5, "ink": "light"}
    answer = with_settings(learned_beside).post("/v1/read?beside=true", json=given).json()
    assert answer["beside"]["how"] == Learned().read(SEVEN, 5, "light").how


# What is inside.


@pytest.mark.parametrize("picture", [SEVEN, BLANK])
def test_how_a_reading_came_about_comes_if_it_is_asked_for(client: TestClient, reader: Reader, picture: bytes) -> None:
    given: dict[str, Any] = {"json": {"picture": encoded(picture), "number": 5}}
    plain = client.post("/v1/read", **given).json()
    reading, inside = read_inside(reader, picture, 5)
    evidence = evidence_of(reader, reading)
    expected = {"inside": inside.as_dict(), "evidence": None if evidence is None else evidence.as_dict()}
    both = client.post("/v1/read?inside=true&evidence=true", **given).json()
    assert both == plain | json.loads(json.dumps(expected))
    for flag in ("inside", "evidence"):
        one = client.post(f"/v1/read?{flag}=true", **given).json()
        assert one == plain | {flag: both[flag]}
        assert client.post(f"/v1/read?{flag}=false", **given).json() == plain
        answer = client.post(f"/v1/read?{flag}=1", **given)
        check_problem(answer, 422, "invalid-request", f"{flag}: input should be 'true' or 'false'")


def test_what_is_wrong_with_a_picture_is_said_as_well_when_it_is_asked_how_it_is_read(client: TestClient) -> None:
    given: dict[str, Any] = {"json": {"picture": encoded(b"no picture"), "number": 5}}
    plain = client.post("/v1/read", **given)
    assert client.post("/v1/read?inside=true&evidence=true", **given).json() == plain.json()
    assert plain.status_code == 415


def test_a_batch_does_not_say_how_it_was_read(client: TestClient) -> None:
    answer = client.post("/v1/read/batch?inside=true", files=form(SEVEN), data={"number": "3"})
    assert "inside" not in answer.json()["readings"][0]


# The contract.


def test_the_openapi_document_lists_every_path_and_refers_to_nothing_that_is_not_there(client: TestClient) -> None:
    text = client.get("/openapi.json").text
    document = json.loads(text)
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/read", "/v1/read/batch", "/v1/read-number", "/healthz", "/readyz", "/metrics", "/openapi.json",
    }  # fmt: skip
    for name in {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert name in document["components"]["schemas"]
    for path in ("/v1/read", "/v1/read/batch", "/v1/read-number"):
        operation = document["paths"][path]["post"]
        assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
        assert {"200", "400", "408", "413", "415", "422", "500", "503"} <= set(operation["responses"])


def test_the_schema_of_a_reading_has_the_fields_of_a_reading(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]["Reading"]
    asked = {"image", "beside", "left_out", "inside", "evidence"}
    fields = {"format", "sum_confidence", "advice", *asked, *Reading.__dataclass_fields__}
    assert set(schema["properties"]) == fields
    assert set(schema["required"]) == fields - asked


def test_the_schemas_of_what_is_inside_have_the_members_that_are_answered(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    reading = client.post("/v1/read?inside=true&evidence=true", files=form(SEVEN), data={"number": "5"}).json()
    inside = reading["inside"]
    answered = {
        "Inside": inside, "Evidence": reading["evidence"], "Step": inside["steps"][0],
        "Proposal": inside["proposals"][0], "Layer": inside["layers"][0], "LayerField": inside["layers"][0]["field"],
    }  # fmt: skip
    for name, value in answered.items():
        assert set(schemas[name]["properties"]) == set(schemas[name]["required"]) == set(value), name


def test_the_document_says_that_the_ink_may_be_given_and_what_it_may_be(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    one, batch = (paths[path]["post"]["requestBody"]["content"] for path in ("/v1/read", "/v1/read/batch"))
    single = [content["schema"] for content in one.values()]
    item = batch["application/json"]["schema"]["properties"]["readings"]["items"]
    for schema in (*single, item):
        assert schema["required"] == ["picture", "number"]
        assert schema["properties"]["ink"]["enum"] == ["auto", "dark", "light"]
        assert schema["properties"]["ink"]["default"] == "auto"
    form_schema = batch["multipart/form-data"]["schema"]
    assert form_schema["required"] == ["picture", "number"]
    alone, several = form_schema["properties"]["ink"]["anyOf"]
    assert several["items"] == alone == item["properties"]["ink"]

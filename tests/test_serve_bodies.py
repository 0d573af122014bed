"""Bodies of requests: which field is which, whatever their headers say, and what a body can become."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from served import NUMBER, PICTURE, SEVEN, form_of
from sumnist.errors import NumberError
from sumnist.serve.bodies import FORM, JSON, AskedDigit, Body, asked_in
from sumnist.serve.problems import KINDS, Problem

MIB = 2**20
WHOLE = 16 * MIB
"""The largest body under the default settings."""


def form(*parts: tuple[bytes, bytes], boundary: str = "b") -> Body:
    """A form of parts, each with its header lines and its content."""
    return Body(f"{FORM}; boundary={boundary}", form_of(*parts))


def asked(body: Body) -> tuple[Any, int]:
    """The picture and the number that a body asks for."""
    (one,) = asked_in(body, AskedDigit)
    return one.picture, one.number


def named(disposition: bytes) -> tuple[Any, int]:
    """What is read of a form whose picture has this content-disposition."""
    return asked(form((b"Content-Disposition: " + disposition, b"image"), (NUMBER, b"7")))


def problem_of(call: Callable[[], Any]) -> Problem:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value


def traced(call: Callable[[], Any]) -> tuple[Any, int]:
    """What a call returns, and the bytes that it takes at most."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Forms.


@pytest.mark.parametrize(
    "disposition",
    [
        b'form-data; name="picture"; filename="a; name=number"',
        b'form-data; filename="\\"; name=number; \\""; name="picture"',
        b'form-data; name="picture"; filename="a=b;c,d.png"; filename*=UTF-8\'\'a%3B%20name%3Dnumber',
        b'form-data; filename="\xc3\xa9; name=\xff.png"; name="picture"',
        b"FORM-DATA;NAME=picture;FileName=a.png", b'form-data ;\tname="picture" ; filename=""',
        b'form-data; name="picture"',
    ],
)  # fmt: skip
def test_a_field_has_the_name_that_it_is_given_whatever_the_other_parameters_hold(disposition: bytes) -> None:
    assert named(disposition) == (b"image", 7)


@pytest.mark.parametrize(
    "disposition", [b"form-data", b'form-data; name="other"', b"form-data; name*=UTF-8''picture", b"attachment", b""]
)
def test_a_field_without_its_name_is_missed(disposition: bytes) -> None:
    assert problem_of(lambda: named(disposition)).kind.slug in ("malformed-body", "invalid-request")


@pytest.mark.parametrize(
    ("content_type", "right"),
    [
        ("multipart/form-data; boundary=b", True), ('Multipart/Form-Data ; x="a;boundary=x" ; boundary="b"', True),
        ("multipart/form-data; boundary=", False), ("multipart/form-data; boundary=c", False),
        ("multipart/form-data; boundary=" + 300 * "b", False), ('multipart/form-data; x="boundary=b"', False),
    ],
)  # fmt: skip
def test_the_boundary_is_the_parameter_of_that_name(content_type: str, right: bool) -> None:
    body = Body(content_type, form_of((PICTURE, b"image"), (NUMBER, b"7")))
    if right:
        assert asked(body) == (b"image", 7)
    else:
        assert problem_of(lambda: asked(body)).kind.slug == "malformed-body"


def test_a_form_ends_with_its_last_boundary() -> None:
    first = form_of((PICTURE, b"image"), (NUMBER, b"7"))
    second = form_of((PICTURE, b"other"), (NUMBER, b"8"))
    assert asked(Body(f"{FORM}; boundary=b", first + second)) == (b"image", 7)
    for cut in range(1, len(first) - 3):
        assert problem_of(lambda: asked(Body(f"{FORM}; boundary=b", first[:cut]))).kind.slug == "malformed-body"  # noqa: B023


# JSON.


BOMBS: dict[str, Callable[[], bytes]] = {
    "lists": lambda: b'{"readings":[' + b"[]," * (WHOLE // 3 - 10) + b"[]]}",
    "objects": lambda: b'{"readings":[' + b'{"":{}},' * (WHOLE // 8 - 10) + b"{}]}",
    "deep lists": lambda: b"[" * WHOLE,
    "deep objects": lambda: b'{"":' * (WHOLE // 4),
    "numbers": lambda: b"[" + b"0," * (WHOLE // 2 - 10) + b"0]",
    "members": lambda: b"{" + b'"":0,' * (WHOLE // 5 - 10) + b'"":0}',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_json_of_more_values_than_pictures_need_is_refused_before_it_is_parsed(bomb: str) -> None:
    body = Body(JSON, BOMBS[bomb]())
    problem, peak = traced(lambda: problem_of(lambda: asked_in(body, AskedDigit, True, 64)))
    assert problem.kind.slug == "invalid-request"
    assert problem.detail.startswith("the body: more than 2,024 objects, lists, members and items: expected {")
    assert peak < MIB


def test_other_members_of_a_body_do_not_matter_nor_do_a_byte_order_mark_and_escapes() -> None:
    text = base64.b64encode(SEVEN).decode()
    content = {"note": "é, \u20ac [x]: {y}", "list": [1, [2.5, None]], "picture": text, "number": 7}
    for ascii_only in (True, False):
        body = Body(JSON, b"\xef\xbb\xbf" + json.dumps(content, ensure_ascii=ascii_only).encode())
        assert asked(body) == (SEVEN, 7)
    escaped = json.dumps(content).replace(text, text.replace("/", r"\/").replace("+", r"\u002b"))
    assert asked(Body(JSON, escaped.encode())) == (SEVEN, 7)


TEXT = b"A" * (WHOLE // 64 // 4 * 4 - 80)
READING = b'{"picture":"' + TEXT + b'","number":1}'
LONG = b'Content-Disposition: form-data; name=other; filename="' + b"\\a" * 2000 + b'"'


def beside(value: bytes) -> Body:
    """JSON with one reading, and another member."""
    return Body(JSON, b'{"readings":[' + READING + b'],"":' + value + b"}")


WORST: dict[str, Callable[[], Body]] = {
    "64 pictures in JSON": lambda: Body(JSON, b'{"readings":[' + b",".join([READING] * 64) + b"]}"),
    "a long string of wide characters": lambda: beside(b'"\\ud83d\\ude00' + b"A" * (15 * MIB) + b'"'),
    "as many objects as may be": lambda: beside(b"[" + b",".join([b'{"":[]}'] * 500) + b"]" + b" " * 15 * MIB),
    "as many long numbers as may be": lambda: beside(b"[" + b",".join([b"9" * 1000] * 1900) + b"]"),
    "as deep as may be": lambda: beside(b"[" * 150 + b"]" * 150),
    "64 pictures in a form": lambda: form(*[(PICTURE, TEXT)] * 64, (NUMBER, b"1")),
    "long headers": lambda: form(*[(LONG, b"")] * 78, (PICTURE, b"A" * 15 * MIB), (NUMBER, b"1")),
    "almost boundaries": lambda: form((PICTURE, b"\r\n--" * (4 * MIB - 100)), (NUMBER, b"1")),
}
"""The largest bodies, of those that are accepted, that take most to parse."""


@pytest.mark.parametrize("worst", WORST)
def test_a_body_that_is_accepted_becomes_at_most_eight_times_as_much(worst: str) -> None:
    body = WORST[worst]()
    assert len(body.content) <= WHOLE
    items, peak = traced(lambda: asked_in(body, AskedDigit, True, 64))
    assert 1 <= len(items) <= 64
    assert peak <= 8 * WHOLE


# Between processes.


@pytest.mark.parametrize("slug", KINDS)
def test_a_problem_comes_whole_from_another_process(slug: str) -> None:
    problem = Problem(slug, "given: expected", allow="GET, HEAD")
    for again in (pickle.loads(pickle.dumps(problem)), copy.deepcopy(problem)):
        assert type(again) is Problem
        assert (again.kind, again.detail, str(again), again.headers) == (
            KINDS[slug], "given: expected", "given: expected", problem.headers,
        )  # fmt: skip
        assert again.as_dict("/x") == problem.as_dict("/x")


def test_json_that_is_nested_as_deeply_as_the_limit_allows_is_a_problem() -> None:
    for start, end in (('{"picture": "", "number": ', "}"), ("", "")):
        for depth in (100, 300, 1000):
            with pytest.raises((NumberError, Problem)):
                asked(Body(JSON, (start + "[" * depth + "]" * depth + end).encode()))

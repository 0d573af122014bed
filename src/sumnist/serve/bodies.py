"""The body of a request: received within its limits, then parsed into pictures and numbers.

Two kinds say the same: a form (`multipart/form-data`, as browsers and `curl -F` send it) and JSON with the pictures in
base64. A body is never larger than the limit, so it is parsed whole, in memory, by whoever reads the pictures.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import Request

from sumnist.errors import NumberError
from sumnist.serve.problems import KINDS, Problem
from sumnist.serve.settings import MIB, Settings

__all__ = ["FORM", "JSON", "MOST_NUMBER", "Asked", "Body", "Inbox", "asked_of", "checker", "one_of"]

FORM, JSON = "multipart/form-data", "application/json"
MOST_NUMBER = 2**53 - 1
"""Larger numbers are not exact in the JSON of many languages; nor are the negative ones."""
MOST_HEADERS = 8192
"""Bytes of the headers of a part of a form."""
BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\\]{1,70})"|([^\s";,]{1,70}))', re.IGNORECASE)
NAME = re.compile(
    rb'^content-disposition:[ \t]*form-data;(?:.*;)?[ \t]*name="?([^";\r\n]*)"?', re.IGNORECASE | re.MULTILINE
)
WHOLE = re.compile(r"-?[0-9]{1,38}")


@dataclass(frozen=True)
class Body:
    """The bytes of a body and what its headers call them."""

    content_type: str
    content: bytes


@dataclass(frozen=True)
class Asked:
    """A picture to read, or the problem with it, and the number to add."""

    picture: bytes | Problem
    number: int


class Inbox:
    """Receives bodies: each within a size and a time, all together within the memory that is set aside for them."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.body_bytes
        self._most_held = settings.held_bytes
        self._seconds = settings.receive_seconds
        self.held = 0
        """Bytes of the bodies that were received and not yet released."""

    async def receive(self, request: Request) -> Body:
        """The whole body; to be given back with `release`. Raises `Problem`."""
        self._check_headers(request)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    self.held += len(chunk)
                    if size > self._most:
                        raise self._too_large(f"more than {self._most:,} bytes")
                    if self.held > self._most_held:
                        raise KINDS["busy"]("the bodies of other requests fill the memory: try again in a second")
                    chunks.append(chunk)
        except BaseException as error:
            self.held -= size
            if isinstance(error, TimeoutError):
                raise KINDS["request-timeout"](
                    f"the body was not complete after {self._seconds:g} seconds, {size:,} bytes came: send it faster"
                ) from error
            raise
        return Body(request.headers.get("content-type", ""), chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def release(self, body: Body) -> None:
        """The body is done with."""
        self.held -= len(body.content)

    def _check_headers(self, request: Request) -> None:
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared[:20]) > self._most:
            raise self._too_large(f"{declared[:20]} bytes")
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise KINDS["unsupported-media-type"](
                f"content-encoding {encoding!r:.40}: expected none: send the body as it is"
            )
        kind = request.headers.get("content-type", "")
        if media_type(kind) not in (FORM, JSON):
            raise KINDS["unsupported-media-type"](
                f"content-type {kind!r:.80}: expected {FORM} or {JSON}: send one of these"
            )

    def _too_large(self, given: str) -> Problem:
        return KINDS["body-too-large"](
            f"a body of {given}: expected at most {self._most // MIB} MiB: scale the picture down, or send fewer"
        )


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def asked_of(body: Body, check: Callable[[Any], int], most: int) -> list[Asked]:
    """What a batch asks for, in order: at least one thing, at most `most`. `check` raises `NumberError`.

    A picture that is not base64 has its problem in its place. Raises `Problem` for what holds of the body as a whole.
    """
    if media_type(body.content_type) == JSON:
        return batch_of(document(body.content), check, most)
    pictures, numbers = fields(body, most)
    if not 1 <= len(pictures) <= most:
        invalid(f"{len(pictures)} pictures: expected 1 to {most}: send the others in another request")
    if len(numbers) not in (1, len(pictures)):
        invalid(f"{len(numbers)} numbers for {len(pictures)} pictures: expected one for all of them, or one each")
    checked = [check(written(number)) for number in numbers] * (len(pictures) if len(numbers) == 1 else 1)
    return [Asked(picture, number) for picture, number in zip(pictures, checked, strict=True)]


def one_of(body: Body, check: Callable[[Any], int]) -> Asked:
    """What a single request asks for. Raises `Problem`, and `NumberError` by way of `check`."""
    if media_type(body.content_type) == JSON:
        return item(document(body.content), "the body", check)
    pictures, numbers = fields(body, 1)
    for name, values in (("picture", pictures), ("number", numbers)):
        if len(values) != 1:
            invalid(f"{len(values)} fields named {name}: expected one")
    return Asked(pictures[0], check(written(numbers[0])))


# JSON.


def document(content: bytes) -> Any:
    """What the JSON in `content` says."""
    try:
        return json.loads(content, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]
        raise KINDS["malformed-body"](f"the body is not JSON ({reason}): expected an object") from error


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def batch_of(given: Any, check: Callable[[Any], int], most: int) -> list[Asked]:
    """The items of `{"readings": [...]}`."""
    items = given.get("readings") if isinstance(given, dict) else None
    if not isinstance(items, list):
        invalid('the body: expected {"readings": [{"picture": "<base64>", "number": 7}, ...]}')
    if not 1 <= len(items) <= most:
        invalid(f"{len(items)} readings: expected 1 to {most}: send the others in another request")
    return [item(one, f"reading {place}", check) for place, one in enumerate(items, 1)]


def item(given: Any, name: str, check: Callable[[Any], int]) -> Asked:
    """What one object asks for; `name` is what messages call it."""
    if not isinstance(given, dict):
        invalid(f'{name}: {type(given).__name__}, expected {{"picture": "<base64>", "number": 7}}')
    for key in ("picture", "number"):
        if key not in given:
            invalid(f'{name}: no {key}, expected {{"picture": "<base64>", "number": 7}}')
    picture, number = given["picture"], given["number"]
    if not isinstance(picture, str):
        invalid(f"{name}: picture is {type(picture).__name__}, expected the file's bytes in base64")
    if isinstance(number, float) and number.is_integer():  # JSON has one kind of number: 7.0 is 7
        number = int(number)
    return Asked(decoded(picture), check(number))


def decoded(text: str) -> bytes | Problem:
    """The bytes that base64 `text` writes, or the problem with it."""
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        return KINDS["damaged-picture"]("picture: not base64, expected the file's bytes in base64, without line breaks")


# Forms.


def fields(body: Body, most: int) -> tuple[list[bytes], list[bytes]]:
    """The values of the fields `picture` and `number` of a form, in order; other fields do not matter."""
    found = BOUNDARY.search(body.content_type)
    if found is None:
        malformed(f"content-type {body.content_type!r:.80}: expected a boundary in it, as HTTP libraries put it there")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("latin-1")
    limit = 2 * most + 16
    # The first delimiter needs no line before it. What comes before it, and after the last, is nobody's.
    parts = (b"\r\n" + body.content).split(delimiter, limit + 2)
    if len(parts) > limit + 2:
        malformed(f"a form of more than {limit} parts: expected at most {most} pictures with their numbers")
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        malformed("the form is cut short, or its boundary is not the one in content-type: send it whole")
    values: dict[bytes, list[bytes]] = {b"picture": [], b"number": []}
    for part in parts[1:-1]:
        head, blank, value = part.partition(b"\r\n\r\n")
        name = NAME.search(head) if blank and len(head) <= MOST_HEADERS else None
        if name is None:
            malformed('a part of the form without a name: expected content-disposition: form-data; name="picture"')
        if name[1] in values:
            values[name[1]].append(value)
    return values[b"picture"], values[b"number"]


def written(value: bytes) -> int | str:
    """The whole number that a field writes, or its text, to be complained about."""
    text = value[:40].decode("utf-8", "replace")
    return int(text) if len(value) < 40 and WHOLE.fullmatch(text) else text


def checker(check_number: Callable[[Any, bool], int], exact: bool) -> Callable[[Any], int]:
    """What checks numbers: as the reader does, and that JSON can write them and the sums exactly."""

    def check(number: Any) -> int:
        whole = check_number(number, exact)
        if abs(whole) > MOST_NUMBER:
            raise NumberError(
                f"number of {len(str(abs(whole))) if abs(whole) < 10**100 else 'very many'} digits: expected one from "
                f"-{MOST_NUMBER} to {MOST_NUMBER}: those that every JSON library keeps exact"
            )
        return whole

    return check


def invalid(detail: str) -> NoReturn:
    raise KINDS["invalid-request"](detail)


def malformed(detail: str) -> NoReturn:
    raise KINDS["malformed-body"](detail)

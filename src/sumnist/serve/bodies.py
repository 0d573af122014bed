"""The body of a request: received within its limits, then parsed into pictures and numbers.

It is a form (`multipart/form-data`, as browsers and `curl -F` send it) or JSON with the pictures in base64. No body is
larger than the limit, so it is parsed whole, in memory, on the thread that reads the pictures.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import Request

from sumnist.errors import NumberError
from sumnist.inference.reader import check_number
from sumnist.serve.problems import Problem
from sumnist.serve.settings import Settings

__all__ = ["FORM", "JSON", "MOST_NUMBER", "Body", "Inbox", "Item", "item_of", "items_of"]

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
ITEM = '{"picture": "<base64>", "number": 7}'


@dataclass(frozen=True)
class Body:
    """The bytes of a body and its content-type."""

    content_type: str
    content: bytes


@dataclass(frozen=True)
class Item:
    """A picture to read, or the problem with it, and the number to add."""

    picture: bytes | Problem
    number: int


class Inbox:
    """Receives bodies: each within a size and a time, all together within the memory that is set aside for them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held = 0
        """Bytes of the bodies that are being received or worked on."""

    @asynccontextmanager
    async def receiving(self, request: Request) -> AsyncIterator[Body]:
        """The whole body, which is held until the end of the `with`. Raises `Problem`."""
        self._check_headers(request)
        seconds = self._settings.receive_seconds
        chunks: list[bytes] = []
        size = 0
        try:
            try:
                async with asyncio.timeout(seconds):
                    async for chunk in request.stream():
                        size += len(chunk)
                        self.held += len(chunk)
                        if size > self._settings.body_bytes:
                            raise self._too_large(f"more than {self._settings.body_bytes:,} bytes")
                        if self.held > self._settings.held_bytes:
                            raise Problem("busy", "the bodies of other requests fill the memory: try again in a second")
                        chunks.append(chunk)
            except TimeoutError as error:
                detail = f"the body was not complete after {seconds:g} seconds, {size:,} bytes came: send it faster"
                raise Problem("request-timeout", detail) from error
            yield Body(request.headers.get("content-type", ""), b"".join(chunks))
        finally:
            self.held -= size

    def _check_headers(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")[:20]
        if length.isdecimal() and int(length) > self._settings.body_bytes:
            raise self._too_large(f"{length} bytes")
        encoding = request.headers.get("content-encoding", "identity")
        content_type = request.headers.get("content-type", "")
        if encoding.lower() != "identity":
            detail = f"content-encoding {encoding!r:.40}: expected none: send the body as it is"
        elif media_type(content_type) not in (FORM, JSON):
            detail = f"content-type {content_type!r:.80}: expected {FORM} or {JSON}: send one of these"
        else:
            return
        raise Problem("unsupported-media-type", detail)

    def _too_large(self, size: str) -> Problem:
        most = f"at most {self._settings.body_mib} MiB"
        return Problem("body-too-large", f"a body of {size}: expected {most}: scale the picture down, or send fewer")


def media_type(content_type: str) -> str:
    """The content-type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def item_of(body: Body, exact: bool) -> Item:
    """The picture and number of a single request, for a network that adds any number (`exact`) or 0 to 9. Raises
    `Problem` and `NumberError`."""
    if media_type(body.content_type) == JSON:
        return json_item(json_of(body.content), "the body", exact)
    pictures, numbers = fields_of(body, 1)
    for name, values in (("picture", pictures), ("number", numbers)):
        if len(values) != 1:
            invalid(f"{len(values)} fields named {name}: expected one")
    return Item(pictures[0], checked(written(numbers[0]), exact))


def items_of(body: Body, exact: bool, most: int) -> list[Item]:
    """The pictures and numbers of a batch, in order, 1 to `most`.

    A picture that is not base64 has its problem in its place. Raises `Problem` for what is wrong with the body as a
    whole, and `NumberError`.
    """
    if media_type(body.content_type) == JSON:
        return json_items(json_of(body.content), exact, most)
    pictures, numbers = fields_of(body, most)
    if not 1 <= len(pictures) <= most:
        invalid(f"{len(pictures)} pictures: expected 1 to {most}: send the others in another request")
    if len(numbers) not in (1, len(pictures)):
        invalid(f"{len(numbers)} numbers for {len(pictures)} pictures: expected one for all of them, or one each")
    if len(numbers) == 1:
        numbers *= len(pictures)
    return [Item(picture, checked(written(number), exact)) for picture, number in zip(pictures, numbers, strict=True)]


# JSON.


def json_of(content: bytes) -> Any:
    """The value that is written in `content`."""
    try:
        return json.loads(content, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]
        raise Problem("malformed-body", f"the body is not JSON ({reason}): expected an object") from error


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def json_items(value: Any, exact: bool, most: int) -> list[Item]:
    """The items of `{"readings": [...]}`."""
    items = value.get("readings") if isinstance(value, dict) else None
    if not isinstance(items, list):
        invalid(f'the body: expected {{"readings": [{ITEM}, ...]}}')
    if not 1 <= len(items) <= most:
        invalid(f"{len(items)} readings: expected 1 to {most}: send the others in another request")
    return [json_item(item, f"reading {place}", exact) for place, item in enumerate(items, 1)]


def json_item(value: Any, name: str, exact: bool) -> Item:
    """The picture and number in one object; `name` stands for it in messages."""
    if not isinstance(value, dict):
        invalid(f"{name}: {type(value).__name__}, expected {ITEM}")
    for key in ("picture", "number"):
        if key not in value:
            invalid(f"{name}: no {key}, expected {ITEM}")
    picture, number = value["picture"], value["number"]
    if not isinstance(picture, str):
        invalid(f"{name}: picture is {type(picture).__name__}, expected the file's bytes in base64")
    if isinstance(number, float) and number.is_integer():  # JSON has one kind of number: 7.0 is 7
        number = int(number)
    return Item(decoded(picture), checked(number, exact))


def decoded(text: str) -> bytes | Problem:
    """The bytes that base64 `text` writes, or the problem with it."""
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        detail = "picture: not base64, expected the file's bytes in base64, without line breaks"
        return Problem("damaged-picture", detail)


# Forms.


def fields_of(body: Body, most: int) -> tuple[list[bytes], list[bytes]]:
    """The values of the fields `picture` and `number` of a form, in order; other fields do not matter."""
    boundary = BOUNDARY.search(body.content_type)
    if boundary is None:
        malformed(f"content-type {body.content_type!r:.80}: expected a boundary in it, as HTTP libraries put it there")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1")
    limit = 2 * most + 16
    # The first delimiter needs no line before it. The bytes before it and after the last belong to no part.
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
    """The whole number that a field writes, or its text, to be quoted in an error."""
    text = value[:40].decode("utf-8", "replace")
    return int(text) if len(value) < 40 and WHOLE.fullmatch(text) else text


# Both.


def checked(number: Any, exact: bool) -> int:
    """The number as the reader takes it, if JSON writes it and its sums exactly. Raises `NumberError`."""
    whole = check_number(number, exact)
    if abs(whole) > MOST_NUMBER:
        raise NumberError(
            f"number of {len(str(abs(whole))) if abs(whole) < 10**100 else 'very many'} digits: expected one from "
            f"-{MOST_NUMBER} to {MOST_NUMBER}: those that every JSON library keeps exact"
        )
    return whole


def invalid(detail: str) -> NoReturn:
    raise Problem("invalid-request", detail)


def malformed(detail: str) -> NoReturn:
    raise Problem("malformed-body", detail)

"""The body of a request: received within its limits, then parsed into pictures and numbers.

It is a form (`multipart/form-data`, as browsers and `curl -F` send it) or JSON with the pictures in base64. No body is
larger than the limit, so it is parsed whole, in memory, on the thread that reads the pictures.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from sumnist.config import InkColour
from sumnist.errors import ConfigError, NumberError
from sumnist.inference.reader import check_ink, check_number
from sumnist.serve.problems import Problem
from sumnist.serve.settings import MIB, Settings

__all__ = ["FORM", "JSON", "MOST_NUMBER", "Body", "Inbox", "Item", "item_of", "items_of"]

FORM, JSON = "multipart/form-data", "application/json"
MOST_NUMBER = 2**53 - 1
"""Larger numbers are not exact in the JSON of many languages; nor are the negative ones."""
MOST_HEADERS = 8192
"""Bytes of the headers of a part of a form."""
MOST_DIGITS = 1000
"""Digits of a whole number in JSON: longer ones take time that grows with their square."""
MOST_SIGNS, MOST_SIGNS_EACH = 1000, 16
"""Objects, lists, members and items that a body in JSON may have, and for each picture that it may have. A picture with
its number and its ink has seven; base64 holds none of the signs that are counted."""
CONTROL = r"\x00-\x08\n-\x1f\x7f"
TOKEN, PLAIN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", rf'[^\s"\\;,{CONTROL}]*'
QUOTED = rf'"([^"\\{CONTROL}]*(?:\\[^{CONTROL}][^"\\{CONTROL}]*)*)"'
PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({TOKEN})=(?:{QUOTED}|({PLAIN})))?[ \t]*")
"""One parameter of a header, or none after a superfluous semicolon. `email.message` has a parser too, but takes the end
of "a\\" for an escaped quote, and time that grows with the square of the length."""
ESCAPED = re.compile(r"\\(.)")
FOLD = re.compile(r"\r\n[ \t]+")
BOUNDARY = re.compile(r"[^\x00-\x1f\x7f]{0,69}[^\x00-\x20\x7f]")
BOM = b"\xef\xbb\xbf"
WHOLE = re.compile(r"-?[0-9]{1,38}")
AUTO: InkColour = "auto"
ITEM = '{"picture": "<base64>", "number": 7}'
ITEMS = f'{{"readings": [{ITEM}, ...]}}'


@dataclass(frozen=True)
class Body:
    """The bytes of a body and its content-type."""

    content_type: str
    content: bytes


@dataclass(frozen=True)
class Item:
    """A picture to read, or the problem with it, the number to add, and whether the ink is dark or light, if known."""

    picture: bytes | Problem
    number: int
    ink: InkColour = AUTO


class Inbox:
    """Receives bodies: each within a size and a time, all together within the memory that is set aside for them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held = 0
        """Bytes of the bodies that are being received or worked on."""

    @asynccontextmanager
    async def receiving(self, request: Request) -> AsyncIterator[Body]:
        """The whole body, which is counted as held until the end of the `with`. Raises `Problem`, and
        `ClientDisconnect` if the client goes away before it has sent all."""
        headers = dict(reversed(request.scope["headers"]))  # of several with one name, the first
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        self._check_headers(headers, content_type)
        seconds = self._settings.receive_seconds
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            try:
                async with asyncio.timeout(seconds):
                    while more:
                        message = await request.receive()
                        if message["type"] == "http.disconnect":
                            raise ClientDisconnect
                        chunk, more = message.get("body", b""), message.get("more_body", False)
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
            chunk = b"".join(chunks)
            chunks.clear()  # or the body would be held twice
            yield Body(content_type, chunk)
        finally:
            self.held -= size

    def _check_headers(self, headers: dict[bytes, bytes], content_type: str) -> None:
        length = headers.get(b"content-length", b"0")[:20]
        if length.isdigit() and int(length) > self._settings.body_bytes:
            raise self._too_large(f"{length.decode()} bytes")
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
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
    """What a single request asks to be read, for a network that adds any number (`exact`) or 0 to 9. Raises
    `Problem` and `NumberError`."""
    if media_type(body.content_type) == JSON:
        return json_item(json_of(body.content, 1), "the body", exact)
    fields = fields_of(body, 1)
    for name, values in fields.items():
        if len(values) != 1:
            invalid(f"{len(values)} fields named {name}: expected one")
    (picture,), (number,), (ink,) = fields.values()
    return Item(picture, checked(written(number), exact), known(text_of(ink)))


def items_of(body: Body, exact: bool, most: int) -> list[Item]:
    """What a batch asks to be read, in order, 1 to `most`.

    A picture that is not base64 has its problem in its place. Raises `Problem` for what is wrong with the body as a
    whole, and `NumberError`.
    """
    if media_type(body.content_type) == JSON:
        return json_items(json_of(body.content, most), exact, most)
    fields = fields_of(body, most)
    count = len(fields["picture"])
    if not 1 <= count <= most:
        invalid(f"{count} pictures: expected 1 to {most}: send the others in another request")
    for name, values in fields.items():
        if len(values) not in (1, count):
            invalid(f"{len(values)} {name}s for {count} pictures: expected one for all of them, or one each")
    of_all = zip(*(values * count if len(values) == 1 else values for values in fields.values()), strict=True)
    return [Item(picture, checked(written(number), exact), known(text_of(ink))) for picture, number, ink in of_all]


# JSON.


def json_of(content: bytes, most: int) -> Any:
    """The value that is written in `content`, with up to `most` pictures.

    What it can become is bounded before it is parsed. It is read as Latin-1, in which a character takes one byte: all
    that matters in it is ASCII.
    """
    limit = MOST_SIGNS + MOST_SIGNS_EACH * most
    signs = 0
    for start in range(0, len(content), MIB):
        signs += sum(content.count(sign, start, start + MIB) for sign in b"{[,:")
        if signs > limit:
            expected = ITEM if most == 1 else ITEMS
            invalid(f"the body: more than {limit:,} objects, lists, members and items: expected {expected}")
    try:
        return json.loads(
            content.removeprefix(BOM).decode("latin-1"),
            object_pairs_hook=members_of, parse_int=whole_of, parse_constant=refuse_constant,
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]
        raise Problem("malformed-body", f"the body is not JSON ({reason}): expected an object") from error


def members_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object with these members, each of another name."""
    members = dict(pairs)
    if len(members) < len(pairs):
        (name, times), *_ = Counter(name for name, _ in pairs).most_common(1)
        invalid(f"{name!a:.40} {times} times in one object: expected it once")
    return members


def whole_of(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def json_items(value: Any, exact: bool, most: int) -> list[Item]:
    """The items of `{"readings": [...]}`."""
    items = value.get("readings") if isinstance(value, dict) else None
    if not isinstance(items, list):
        invalid(f"the body: expected {ITEMS}")
    if not 1 <= len(items) <= most:
        invalid(f"{len(items)} readings: expected 1 to {most}: send the others in another request")
    return [json_item(item, f"reading {place}", exact) for place, item in enumerate(items, 1)]


def json_item(value: Any, name: str, exact: bool) -> Item:
    """What one object asks to be read; `name` stands for it in messages."""
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
    return Item(decoded(picture), checked(number, exact), known(value.get("ink", AUTO)))


def decoded(text: str) -> bytes | Problem:
    """The bytes that base64 `text` writes, or the problem with it."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        detail = "picture: not base64, expected the file's bytes in base64, without line breaks"
        return Problem("damaged-picture", detail)


# Forms.


def fields_of(body: Body, most: int) -> dict[str, list[bytes]]:
    """The values of the fields `picture`, `number` and `ink` of a form, in order; a form without ink has "auto". Other
    fields do not matter, nor do the bytes before the first boundary and after the last one."""
    _, parameters = parameters_of(body.content_type) or ("", {})
    boundary = parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        malformed(f"content-type {body.content_type!r:.80}: expected a boundary in it, as HTTP libraries put it there")
    content, delimiter = body.content, b"\r\n--" + boundary.encode("latin-1")
    values: dict[str, list[bytes]] = {"picture": [], "number": [], "ink": []}
    limit = left = len(values) * most + 16
    first = -2 if content.startswith(delimiter[2:]) else content.find(delimiter)  # it needs no line before it
    start = first + len(delimiter)
    while first == -1 or not content.startswith(b"--", start):
        end = content.find(delimiter, start)
        if first == -1 or end < 0:
            malformed("the form is cut short, or its boundary is not the one in content-type: send it whole")
        if not left:
            malformed(f"a form of more than {limit} parts: expected at most {most} pictures with their numbers")
        left -= 1
        blank = content.find(b"\r\n\r\n", start, min(end, start + MOST_HEADERS))
        name = None if blank < 0 else name_of(content[start:blank])
        if name is None:
            malformed('a part of the form without a name: expected content-disposition: form-data; name="picture"')
        if name in values:
            values[name].append(content[blank + 4 : end])
        start = end + len(delimiter)
    values["ink"] = values["ink"] or [AUTO.encode()]
    return values


@lru_cache(64)  # clients repeat themselves
def name_of(head: bytes) -> str | None:
    """The name that the header lines of a part give, after the rest of the boundary's line; None for none, for one that
    is given twice, and for one that can be read in two ways."""
    rest, *lines = FOLD.sub(" ", head.decode("latin-1")).split("\r\n")
    found = [line for line in lines if line[:20].lower() == "content-disposition:"]
    if rest.strip(" \t") or len(found) != 1:
        return None
    kind, parameters = parameters_of(found[0][20:]) or ("", {})
    return parameters.get("name") if kind == "form-data" else None


def parameters_of(header: str) -> tuple[str, dict[str, str]] | None:
    """The value of a header, in small letters, and its parameters by name (RFC 9110, section 5.6.6). None if it is
    written in any other way, or has a parameter twice."""
    value = header.partition(";")[0]
    found: dict[str, str] = {}
    place = len(value)
    while place < len(header):
        parameter = PARAMETER.match(header, place)
        if parameter is None:
            return None
        place = parameter.end()
        name, quoted, plain = parameter.groups()
        if name is None:
            continue
        if name.lower() in found:
            return None
        found[name.lower()] = plain if quoted is None else ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted
    return value.strip(" \t").lower(), found


def written(value: bytes) -> int | str:
    """The whole number that a field writes, or its text, to be quoted in an error."""
    text = text_of(value)
    return int(text) if len(value) < 40 and WHOLE.fullmatch(text) else text


def text_of(value: bytes) -> str:
    """The text of a field, as much of it as an error quotes."""
    return value[:40].decode("utf-8", "replace")


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


def known(ink: Any) -> InkColour:
    """Whether the ink is dark or light, as the reader takes it. Raises `Problem`."""
    try:
        return check_ink(ink)
    except ConfigError as error:
        raise Problem("invalid-request", str(error)) from error


def invalid(detail: str) -> NoReturn:
    raise Problem("invalid-request", detail)


def malformed(detail: str) -> NoReturn:
    raise Problem("malformed-body", detail)

"""The body of a request: received within its limits, then parsed into the values of its fields.

It is a form (`multipart/form-data`, as browsers and `curl -F` send it) or JSON with the pictures in base64. No body is
larger than the limit, so it is parsed whole, in memory, in the process that reads the pictures. What the values mean
is for `serve/models`.

The parser of forms is our own: python-multipart finds the parts, which are ten lines here, but leaves the names in
their headers to the standard library's `email.message`, which takes the end of "a\\" for an escaped quote and needs
time that grows with the square of the length. Two readings of one name would be two fields to two servers.
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
from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict, SkipValidation, WithJsonSchema
from starlette.requests import ClientDisconnect, Request

from sumnist.serve.problems import Problem
from sumnist.serve.settings import MIB, Settings

__all__ = ["FORM", "JSON", "Asked", "Body", "Inbox", "Values", "invalid", "values_of"]

FORM, JSON = "multipart/form-data", "application/json"
PICTURE = "picture"
MOST_HEADERS = 8192
"""Bytes of the headers of a part of a form."""
MOST_DIGITS = 1000
"""Digits of a whole number in JSON: longer ones take time that grows with their square."""
MOST_SIGNS, MOST_SIGNS_EACH = 1000, 16
"""Objects, lists, members and items that a body in JSON may have, and for each picture that it may have. A picture with
five other fields has twelve; base64 holds none of the signs that are counted."""
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
QUOTED_BYTES = 40
"""Bytes of a field's value that are looked at: no value that is right has so many, and an error quotes no more."""


@dataclass(frozen=True)
class Body:
    """The bytes of a body and its content-type."""

    content_type: str
    content: bytes


class Asked(BaseModel):
    """What may be said of a picture: the fields, those that must be there first, and an `EXAMPLE` of them in JSON."""

    model_config = ConfigDict(arbitrary_types_allowed=True, use_attribute_docstrings=True)
    EXAMPLE: ClassVar[str]
    picture: Annotated[
        bytes | Problem,
        SkipValidation,
        WithJsonSchema({"type": "string", "format": "byte", "contentEncoding": "base64"}),
    ]
    """The bytes of the file of a picture: PNG, JPEG, WebP and others; in JSON in base64 without line breaks."""


Values = dict[str, Any]
"""What is said of one picture, by the names of fields, without those that are left out: of the picture its bytes, or
the problem with them; of others what JSON has, or the whole number or text in a form."""


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


def values_of(body: Body, asked: type[Asked], most: int | None = None) -> list[Values]:
    """What is said of each of 1 to `most` pictures, in order; without `most`, of the one that there must be.

    A picture that is not base64 has its problem in its place. Raises `Problem` for what is wrong with the body as a
    whole.
    """
    if media_type(body.content_type) != JSON:
        return form_values(body, asked, most)
    expected = asked.EXAMPLE if most is None else f'{{"readings": [{asked.EXAMPLE}, ...]}}'
    value = json_of(body.content, most or 1, expected)
    if most is None:
        return [members(value, "the body", asked)]
    items = value.get("readings") if isinstance(value, dict) else None
    if not isinstance(items, list):
        invalid(f"the body: expected {expected}")
    if not 1 <= len(items) <= most:
        invalid(f"{len(items)} readings: expected 1 to {most}: send the others in another request")
    return [members(item, f"reading {place}", asked) for place, item in enumerate(items, 1)]


# JSON.


def json_of(content: bytes, most: int, expected: str) -> Any:
    """The value that is written in `content`, with up to `most` pictures.

    What it can become is bounded before it is parsed. It is read as Latin-1, in which a character takes one byte: all
    that matters in it is ASCII.
    """
    limit = MOST_SIGNS + MOST_SIGNS_EACH * most
    signs = 0
    for start in range(0, len(content), MIB):
        signs += sum(content.count(sign, start, start + MIB) for sign in b"{[,:")
        if signs > limit:
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


def members(value: Any, name: str, asked: type[Asked]) -> Values:
    """What one object says of a picture; `name` stands for it in messages."""
    if not isinstance(value, dict):
        invalid(f"{name}: {type(value).__name__}, expected {asked.EXAMPLE}")
    for key, field in asked.model_fields.items():
        if field.is_required() and key not in value:
            invalid(f"{name}: no {key}, expected {asked.EXAMPLE}")
    if not isinstance(value[PICTURE], str):
        invalid(f"{name}: picture is {type(value[PICTURE]).__name__}, expected the file's bytes in base64")
    said = {key: value[key] for key in asked.model_fields if key in value}
    whole = {key: int(one) for key, one in said.items() if isinstance(one, float) and one.is_integer()}  # 7.0 is 7
    return said | whole | {PICTURE: decoded(value[PICTURE])}


def decoded(text: str) -> bytes | Problem:
    """The bytes that base64 `text` writes, or the problem with it."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        detail = "picture: not base64, expected the file's bytes in base64, without line breaks"
        return Problem("damaged-picture", detail)


# Forms.


def form_values(body: Body, asked: type[Asked], most: int | None) -> list[Values]:
    """As `values_of`: a field that is there once is said of all pictures."""
    found = {
        name: values
        for name, values in fields_of(body, (*asked.model_fields,), most or 1).items()
        if values or asked.model_fields[name].is_required()
    }
    count = len(found[PICTURE])
    if most is not None and not 1 <= count <= most:
        invalid(f"{count} pictures: expected 1 to {most}: send the others in another request")
    for name, values in found.items():
        if most is None and len(values) != 1:
            invalid(f"{len(values)} fields named {name}: expected one")
        if len(values) not in (1, count):
            invalid(f"{len(values)} {name}s for {count} pictures: expected one for all of them, or one each")
    of_all = zip(*(values * count if len(values) == 1 else values for values in found.values()), strict=True)
    return [
        {name: value if name == PICTURE else written(value) for name, value in zip(found, values, strict=True)}
        for values in of_all
    ]


def fields_of(body: Body, names: tuple[str, ...], most: int) -> dict[str, list[bytes]]:
    """The values of the fields of a form that have these names, in order. Other fields do not matter, nor do the bytes
    before the first boundary and after the last one."""
    _, parameters = parameters_of(body.content_type) or ("", {})
    boundary = parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        malformed(f"content-type {body.content_type!r:.80}: expected a boundary in it, as HTTP libraries put it there")
    content, delimiter = body.content, b"\r\n--" + boundary.encode("latin-1")
    values: dict[str, list[bytes]] = {name: [] for name in names}
    limit = left = len(values) * most + 16
    first = -2 if content.startswith(delimiter[2:]) else content.find(delimiter)  # it needs no line before it
    start = first + len(delimiter)
    while first == -1 or not content.startswith(b"--", start):
        end = content.find(delimiter, start)
        if first == -1 or end < 0:
            malformed("the form is cut short, or its boundary is not the one in content-type: send it whole")
        if not left:
            malformed(f"a form of more than {limit} parts: expected at most {most} pictures and what is said of them")
        left -= 1
        blank = content.find(b"\r\n\r\n", start, min(end, start + MOST_HEADERS))
        name = None if blank < 0 else name_of(content[start:blank])
        if name is None:
            malformed('a part of the form without a name: expected content-disposition: form-data; name="picture"')
        if name in values:
            values[name].append(content[blank + 4 : end])
        start = end + len(delimiter)
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
    """The whole number that a field writes, or its text, as much of it as an error quotes."""
    text = value[:QUOTED_BYTES].decode("utf-8", "replace")
    return int(text) if WHOLE.fullmatch(text) else text


def invalid(detail: str) -> NoReturn:
    """Raise the `Problem` that a request lacks something, or has something wrong."""
    raise Problem("invalid-request", detail)


def malformed(detail: str) -> NoReturn:
    raise Problem("malformed-body", detail)

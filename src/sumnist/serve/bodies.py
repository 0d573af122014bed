"""Receives the body of a request within limits, then parses and checks it in the process that reads the pictures.

A body is a form (`multipart/form-data`, as browsers and `curl -F` send it) or JSON with the pictures in base64. No body
is larger than the limit, so it is parsed whole, in memory. Pydantic models describe the requests, and FastAPI makes the
OpenAPI document from them.

The parser of forms is our own. python-multipart finds the parts, which takes ten lines here, but leaves the names in
their headers to the standard library's `email.message`. That module takes the end of "a\\" for an escaped quote, and
its time grows with the square of the length. If two servers read one name in two ways, they see two different fields.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import re
import reprlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, NoReturn, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, WithJsonSchema
from starlette.requests import ClientDisconnect, Request

from sumnist.config import InkColour, Range, ReadingEngine
from sumnist.errors import ConfigError, LayoutError, NumberError
from sumnist.inference.ctc import Digits
from sumnist.inference.numbers import bounds_written, check_sign
from sumnist.inference.reader import check_ink, check_number
from sumnist.serve.hands import NAME
from sumnist.serve.problems import Problem
from sumnist.serve.settings import MIB, Settings
from sumnist.sheets.layout import Layout

FORM, JSON = "multipart/form-data", "application/json"
PICTURE, HAND, LAYOUT = "picture", "hand", "layout"
LONG = PICTURE, HAND, LAYOUT, "name"
"""The fields of a form whose values may be longer than `QUOTED_BYTES`."""
MOST_BODIES = 8
"""How many bodies of the largest size may be held at once."""
MOST_HEADERS = 8192
"""The most bytes of the headers of a part of a form."""
MOST_DIGITS = 1000
"""The most digits of a whole number in JSON: longer ones take time that grows with their square."""
MOST_SIGNS, MOST_SIGNS_EACH = 1000, 16
"""`MOST_SIGNS`: the most objects, lists, members and items of a body in JSON. `MOST_SIGNS_EACH`: how many more it may
have for each picture of the largest batch. A picture with five other fields has twelve. The program counts the signs
`{[,:`, none of which occurs in base64."""
CONTROL = r"\x00-\x08\n-\x1f\x7f"
TOKEN, PLAIN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", rf'[^\s"\\;,{CONTROL}]*'
QUOTED = rf'"([^"\\{CONTROL}]*(?:\\[^{CONTROL}][^"\\{CONTROL}]*)*)"'
PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({TOKEN})=(?:{QUOTED}|({PLAIN})))?[ \t]*")
"""One parameter of a header, or none after a superfluous semicolon."""
ESCAPED = re.compile(r"\\(.)")
FOLD = re.compile(r"\r\n[ \t]+")
BOUNDARY = re.compile(r"[^\x00-\x1f\x7f]{0,69}[^\x00-\x20\x7f]")
BOM = b"\xef\xbb\xbf"
WHOLE = re.compile(r"-?[0-9]{1,38}")
QUOTED_BYTES = 40
"""How many bytes of a field's value are looked at, except in `LONG` fields: every valid value is shorter, and an error
quotes no more."""
LONGEST_NAME = 100
"""The most characters of a picture's name; the rest is cut off."""


@dataclass(frozen=True)
class Body:
    """The bytes of a body and its content-type."""

    content_type: str
    content: bytes


# Receiving.


class Inbox:
    """Receives bodies: each within a size and a time limit, and all together within a memory limit."""

    def __init__(self, settings: Settings) -> None:
        self._mib, self._seconds = settings.body_mib, settings.receive_seconds
        self.held = 0
        """Bytes of the bodies that are being received or worked on."""

    @asynccontextmanager
    async def receiving(self, request: Request) -> AsyncIterator[Body]:
        """The whole body, which counts as held until the end of the `with`. Raises `Problem`, and `ClientDisconnect` if
        the client leaves before it has sent everything."""
        headers = dict(reversed(request.scope["headers"]))  # of several headers with one name, the first
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        length = headers.get(b"content-length", b"0")[:20]
        if length.isdigit() and int(length) > self._mib * MIB:
            raise self._too_large(f"{length.decode()} bytes")
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
        if encoding.lower() != "identity":
            detail = f"content-encoding {encoding!r:.40}: expected none: send the body as it is"
            raise Problem("unsupported-media-type", detail)
        if media_type(content_type) not in (FORM, JSON):
            detail = f"content-type {content_type!r:.80}: expected {FORM} or {JSON}: send one of these"
            raise Problem("unsupported-media-type", detail)
        seconds, chunks, size, more = self._seconds, list[bytes](), 0, True
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
                        if size > self._mib * MIB:
                            raise self._too_large(f"more than {self._mib * MIB:,} bytes")
                        if self.held > MOST_BODIES * self._mib * MIB:
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

    def _too_large(self, size: str) -> Problem:
        detail = f"a body of {size}: expected at most {self._mib} MiB: scale the picture down, or send fewer"
        return Problem("body-too-large", detail)


def media_type(content_type: str) -> str:
    """The content-type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


# Requests.

MOST_NUMBER = 2**53 - 1
"""The largest number: larger ones, and their negatives, are not exact in the JSON of many languages."""
DIGITS = r"([1-9][0-9]{0,2})(-([1-9][0-9]{0,2})?)?"
"""The pattern for how many digits a number has: 4, 1-6 or 3-."""
COUNT = Range(1, 50)
"""How many candidates a client may ask for. In Python there may be more; the time grows with them."""
TEN = 10
"""How many candidates an answer has by default."""


def checked(number: Any, info: ValidationInfo) -> int:
    """The whole number, if the network can add it and JSON can write it exactly. Raises `NumberError`."""
    whole = check_number(number, bool(info.context))
    if abs(whole) > MOST_NUMBER:
        raise NumberError(
            f"number of {len(str(abs(whole))) if abs(whole) < 10**100 else 'very many'} digits: expected one from "
            f"-{MOST_NUMBER} to {MOST_NUMBER}: those that every JSON library keeps exact"
        )
    return whole


def bounds_of(digits: Any) -> Digits:
    """The least and the most number of digits, written as 4, 1-6 or 3-. Raises `ConfigError`."""
    if type(digits) in (int, str) and re.fullmatch(DIGITS, str(digits)) and (bounds := bounds_written(str(digits))):
        return bounds
    raise ConfigError(
        f"digits {reprlib.repr(digits)}: expected how many there are, such as 4, or the least and the most, such as "
        "1-6 or 3-: leave it out for any number"
    )


def text_of(text: Any) -> str:
    """The label of a picture, as a text. Raises `ConfigError`."""
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise ConfigError(f"text {reprlib.repr(text)}: expected a digit, or the digits of a number, such as 1480")
    return str(text)


def layout_of(text: Any) -> Layout:
    """The layout that a text describes, in TOML or by the largest marks. Raises `LayoutError`."""
    content = text.encode(errors="replace") if isinstance(text, str) else text
    if not isinstance(content, bytes):
        raise LayoutError(f"layout {reprlib.repr(text)}: expected a text, in TOML or with largest marks as in 9,7.5,13")
    return Layout.of_toml(content) if b"=" in content else Layout.of_line(content.decode("utf-8", "replace"))


def picture_name(name: Any) -> str:
    """The name of a picture. Raises `ConfigError`."""
    if not isinstance(name, str | bytes):
        raise ConfigError(f"name {reprlib.repr(name)}: expected a text, such as photo.jpg")
    return (name if isinstance(name, str) else name.decode("utf-8", "replace"))[:LONGEST_NAME]


def check_decimal(sign: Any) -> str | None:
    """The decimal sign; JSON leaves it out if there is none. Raises `ConfigError`."""
    return check_sign("null" if sign is None else sign)


def check_engine(engine: Any) -> Any:
    """`engine`, if it is the name of an engine. Raises `ConfigError`."""
    if engine not in get_args(ReadingEngine):
        raise ConfigError(f"engine {reprlib.repr(engine)}: expected ours, ocr or both: leave it out for ours")
    return engine


def check_count(count: Any) -> int:
    """`count`, if a client may ask for so many candidates. Raises `ConfigError`."""
    number: int | None = COUNT.taken(count, int)
    if number is None:
        raise ConfigError(f"count {reprlib.repr(count)}: expected {COUNT.named(int)}: leave it out for {TEN}")
    return number


Ink = Annotated[InkColour, BeforeValidator(check_ink)]
OF_DIGITS = [{"type": "string", "pattern": f"^{DIGITS}$"}, {"type": "integer", "minimum": 1, "maximum": 999}]


class Asked(BaseModel):
    """A request and its fields, the required ones first.

    `EXAMPLE` is a request in JSON. `SEVERAL` is the key of the list, if a body has requests about several pictures.
    `SIGNS` is how many signs in JSON each of them may have (`MOST_SIGNS_EACH`).
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, use_attribute_docstrings=True)
    EXAMPLE: ClassVar[str]
    SEVERAL: ClassVar[str] = "readings"
    SIGNS: ClassVar[int] = MOST_SIGNS_EACH


class AskedForm(Asked):
    """A form to print."""

    EXAMPLE: ClassVar[str] = '{"layout": "9,7,13,12"}'
    layout: Annotated[Layout, BeforeValidator(layout_of), WithJsonSchema({"type": "string"})]
    """The layout of the form: the content of a TOML file, or the largest mark of each question, such as 9,7.5,13."""


class AskedPicture(Asked):
    """A request about a picture."""

    picture: Annotated[
        bytes | Problem, WithJsonSchema({"type": "string", "format": "byte", "contentEncoding": "base64"})
    ]
    """The file of a picture: PNG, JPEG, WebP and others; in JSON as base64 without line breaks."""


class AskedOfHand(AskedPicture):
    """A picture to read, with the hand of its writer if one is given."""

    hand: Annotated[
        bytes | Problem | None,
        WithJsonSchema({"type": "string", "format": "byte", "contentEncoding": "base64"}),
    ] = None
    """The hand of the writer: its file, in JSON as base64, or the name under which this server keeps it."""


class AskedPage(AskedOfHand):
    """A picture of a table, or a PDF file with one page."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>"}'
    name: Annotated[str, BeforeValidator(picture_name)] = ""
    """The name of the picture in the answer and in the workbook."""


class AskedSheet(AskedPage, AskedForm):
    """A picture of a filled form with its layout, or a PDF file of several."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>", "layout": "9,7,13,12"}'
    SEVERAL: ClassVar[str] = "sheets"
    SIGNS: ClassVar[int] = 300


class AskedExample(AskedPicture):
    """A picture by a writer whose hand the server should learn, and its label."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>", "text": "5"}'
    SEVERAL: ClassVar[str] = "examples"
    text: Annotated[str, BeforeValidator(text_of), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})]
    """The label: a digit, or the digits of a number."""


class AskedDigit(AskedOfHand):
    """A picture of a digit, and a number to add."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>", "number": 7}'
    number: Annotated[int, BeforeValidator(checked)]
    """The number to add."""
    ink: Ink = "auto"
    """Whether the ink is darker (dark) or lighter (light) than its ground; auto: the reader finds out."""


class AskedNumbers(AskedOfHand):
    """A picture with numbers on it, and the other arguments of `Reader.find`."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>"}'
    digits: Annotated[Digits, BeforeValidator(bounds_of), WithJsonSchema({"anyOf": OF_DIGITS})] = Field(
        default_factory=lambda: (1, None)
    )
    """How many digits a number has, such as 4, or the least and the most, such as 1-6 or 3-."""
    decimal: Annotated[Literal[".", ","] | None, BeforeValidator(check_decimal)] = Field(
        default_factory=lambda: None, json_schema_extra={"anyOf": [{"type": "string", "enum": [".", ","]}]}
    )
    """The sign before decimals. Without it, a number on a line is read as a whole number, whatever stands between its
    digits, and a found number is read as it is written."""
    engine: Annotated[ReadingEngine, BeforeValidator(check_engine)] = "ours"
    """The engine that reads: ours, the network in the package; ocr, a general text reader, if it is installed; or
    both."""
    count: Annotated[int, Field(ge=COUNT.least, le=COUNT.most), BeforeValidator(check_count)] = TEN
    """How many candidates to return."""


class AskedNumber(AskedNumbers):
    """A picture of a number of any length on one line, and the other arguments of `Reader.read_number`."""

    ink: Ink = "auto"
    """Whether the ink is darker (dark) or lighter (light) than its ground; auto: the reader finds out."""


Question = TypeVar("Question", bound=Asked)
Values = dict[str, Any]
"""The fields of a request about one picture, by name, without those that are left out. The picture has its bytes, or
the problem with them. Other fields have their value in JSON, or the whole number or text in a form."""


def asked_in(body: Body, kind: type[Question], exact: bool = True, most: int | None = None) -> list[Question]:
    """The requests in a body, in order: one for each of 1 to `most` pictures, or for exactly one picture.

    Args:
        body: A form or JSON.
        kind: The class of the requests.
        exact: Whether the network adds any number, or 0 to 9.
        most: The most pictures of a batch; None if it is no batch.

    Raises:
        NumberError: The network cannot add a number, or the number is not exact in JSON.
        LayoutError: A layout is not valid.
        Problem: Something else is wrong. A picture that is not base64 does not raise: its problem takes its place.
    """
    values = json_values if media_type(body.content_type) == JSON else form_values
    try:
        return [kind.model_validate(one, context=exact) for one in values(body, kind, most)]
    except ValidationError as wrong:
        error = wrong.errors(include_input=False)[0]["ctx"]["error"]  # of the first field that has an error
        if isinstance(error, NumberError | LayoutError):
            raise error from None
        invalid(str(error))


def body_of(kind: type[Asked], exact: bool = True, most: int | None = None) -> dict[str, Any]:
    """The body of a request, as FastAPI adds it to the document; the arguments are those of `asked_in`."""
    schema = kind.model_json_schema()
    of_json, needed = schema["properties"], schema["required"]
    if "number" in of_json:
        of_json["number"] |= {"minimum": -MOST_NUMBER if exact else 0, "maximum": MOST_NUMBER if exact else 9}
    of_form = of_json | {name: {"type": "string", "format": "binary"} for name in (PICTURE, HAND) if name in of_json}
    if most is not None:
        several = {"type": "array", "minItems": 1, "maxItems": most}
        of_form = {
            name: {"anyOf": [one, several | {"items": one}], "description": "One for all pictures, or one for each."}
            for name, one in of_form.items()
        }
        of_json, needed_of_json = {kind.SEVERAL: several | {"items": schema | {"properties": of_json}}}, [kind.SEVERAL]
    else:
        needed_of_json = needed
    content = {
        FORM: {"schema": {"type": "object", "required": needed, "properties": of_form}},
        JSON: {"schema": {"type": "object", "required": needed_of_json, "properties": of_json}},
    }
    return {"requestBody": {"required": True, "content": content}}


# JSON.


def json_values(body: Body, asked: type[Asked], most: int | None) -> list[Values]:
    """The fields of each of 1 to `most` pictures in JSON; without `most`, of exactly one picture.

    The number of values is limited before the body is parsed. The body is read as Latin-1, in which a character takes
    one byte: everything that matters in it is ASCII, except in a layout.
    """
    expected = asked.EXAMPLE if most is None else f'{{"{asked.SEVERAL}": [{asked.EXAMPLE}, ...]}}'
    content, limit, signs = body.content, MOST_SIGNS + asked.SIGNS * (most or 1), 0
    for start in range(0, len(content), MIB):
        signs += sum(content.count(sign, start, start + MIB) for sign in b"{[,:")
        if signs > limit:
            invalid(f"the body: more than {limit:,} objects, lists, members and items: expected {expected}")
    try:
        value = json.loads(
            content.removeprefix(BOM).decode("utf-8" if LAYOUT in asked.model_fields else "latin-1"),
            object_pairs_hook=object_of, parse_int=whole_of, parse_constant=refuse_constant,
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]
        raise Problem("malformed-body", f"the body is not JSON ({reason}): expected an object") from error
    if most is None:
        return [said_in(value, "the body", asked)]
    items = value.get(asked.SEVERAL) if isinstance(value, dict) else None
    if not isinstance(items, list):
        invalid(f"the body: expected {expected}")
    if not 1 <= len(items) <= most:
        invalid(f"{len(items)} {asked.SEVERAL}: expected 1 to {most}: send the others in another request")
    return [said_in(item, f"{asked.SEVERAL[:-1]} {place}", asked) for place, item in enumerate(items, 1)]


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object with these members. Raises `Problem` if two have the same name."""
    members = dict(pairs)
    if len(members) < len(pairs):
        (name, times), *_ = Counter(name for name, _ in pairs).most_common(1)
        invalid(f"{name!a:.40} {times} times in one object: expected it once")
    return members


def whole_of(digits: str) -> int:
    """The whole number. Raises `ValueError` if it has so many digits that parsing would take too long."""
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def refuse_constant(name: str) -> NoReturn:
    """Raise `ValueError`: Python reads NaN and Infinity, but they are no JSON."""
    raise ValueError(f"{name} is no JSON")


def said_in(value: Any, name: str, asked: type[Asked]) -> Values:
    """The fields of one object about a picture; messages call the object `name`."""
    if not isinstance(value, dict):
        invalid(f"{name}: {type(value).__name__}, expected {asked.EXAMPLE}")
    for key, field in asked.model_fields.items():
        if field.is_required() and key not in value:
            invalid(f"{name}: no {key}, expected {asked.EXAMPLE}")
    if not isinstance(value.get(PICTURE, ""), str):
        invalid(f"{name}: picture is {type(value[PICTURE]).__name__}, expected the file's bytes in base64")
    if not isinstance(value.get(HAND, ""), str):
        invalid(f"{name}: hand is {type(value[HAND]).__name__}, expected a hand's file in base64, or its name")
    said = {key: value[key] for key in asked.model_fields if key in value}
    said |= {key: bytes_of(said[key], key) for key in (PICTURE, HAND) if key in said}
    whole = {key: int(one) for key, one in said.items() if isinstance(one, float) and one.is_integer()}  # 7.0 is 7
    return said | whole


def bytes_of(text: str, key: str) -> bytes | Problem:
    """The bytes of a text in base64, or the problem with it; the name of a hand stays as it is."""
    try:
        named = key == HAND and NAME.fullmatch(text)
        return text.encode() if named else binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        detail = f"{key}: not base64, expected the file's bytes in base64, without line breaks"
        return Problem("damaged-picture" if key == PICTURE else "hand", detail)


# Forms.


def form_values(body: Body, asked: type[Asked], most: int | None) -> list[Values]:
    """The fields of each picture in a form; a field that occurs once applies to all pictures."""
    found = {
        name: values
        for name, values in fields_of(body, (*asked.model_fields,), most or 1).items()
        if values or asked.model_fields[name].is_required()
    }
    count = len(found[PICTURE]) if PICTURE in found else 1
    if most is not None and not 1 <= count <= most:
        invalid(f"{count} pictures: expected 1 to {most}: send the others in another request")
    for name, values in found.items():
        if most is None and len(values) != 1:
            invalid(f"{len(values)} fields named {name}: expected one")
        if len(values) not in (1, count):
            invalid(f"{len(values)} {name}s for {count} pictures: expected one for all of them, or one each")
    return [
        {name: value if name in LONG else written(value) for name, value in zip(found, values, strict=True)}
        for values in zip(*(values * (count // len(values)) for values in found.values()), strict=True)
    ]


def fields_of(body: Body, names: tuple[str, ...], most: int) -> dict[str, list[bytes]]:
    """The values of the fields of a form that have these names, in order. Other fields are ignored, and so are the
    bytes before the first boundary and after the last one."""
    _, parameters = parameters_of(body.content_type) or ("", {})
    boundary = parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        malformed(f"content-type {body.content_type!r:.80}: expected a boundary in it, as HTTP libraries put it there")
    content, delimiter = body.content, b"\r\n--" + boundary.encode("latin-1")
    values: dict[str, list[bytes]] = {name: [] for name in names}
    limit = left = len(values) * most + 16
    first = -2 if content.startswith(delimiter[2:]) else content.find(delimiter)  # needs no line before it
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


@lru_cache(64)  # clients often send the same headers
def name_of(head: bytes) -> str | None:
    """The name in the header lines of a part, which come after the rest of the boundary's line. None if there is no
    name, if it is given twice, or if it can be read in two ways."""
    rest, *lines = FOLD.sub(" ", head.decode("latin-1")).split("\r\n")
    found = [line for line in lines if line[:20].lower() == "content-disposition:"]
    if rest.strip(" \t") or len(found) != 1:
        return None
    kind, parameters = parameters_of(found[0][20:]) or ("", {})
    return parameters.get("name") if kind == "form-data" else None


def parameters_of(header: str) -> tuple[str, dict[str, str]] | None:
    """The value of a header in lower case, and its parameters by name (RFC 9110, section 5.6.6). None if it is written
    in any other way, or has a parameter twice."""
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
    """The value of a field: a whole number, or as much of its text as an error quotes."""
    text = value[:QUOTED_BYTES].decode("utf-8", "replace")
    return int(text) if WHOLE.fullmatch(text) else text


def invalid(detail: str) -> NoReturn:
    """Raise the `Problem` for a request that lacks something, or has something wrong."""
    raise Problem("invalid-request", detail)


def malformed(detail: str) -> NoReturn:
    """Raise the `Problem` for a body that cannot be parsed."""
    raise Problem("malformed-body", detail)

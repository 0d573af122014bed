"""Receives the body of a request within limits, then parses and checks it in the process that reads the pictures.

A body is a form (`multipart/form-data`, as browsers and `curl -F` send it) or JSON with the pictures in base64. No body
is larger than the limit, so it is parsed whole, in memory, by python-multipart or pydantic. Pydantic models describe
the requests, and the OpenAPI document is made from them.
"""

from __future__ import annotations

import asyncio
import binascii
import codecs
import logging
import re
import reprlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated, Any, ClassVar, Literal, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, WithJsonSchema
from pydantic_core import from_json
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field as FormField
from python_multipart.multipart import File, FormParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from sumnist.config import InkColour, Range
from sumnist.errors import ConfigError, HandError, LayoutError, NumberError
from sumnist.inference.ctc import Digits
from sumnist.inference.numbers import bounds_written, check_sign
from sumnist.inference.reader import check_ink, check_number
from sumnist.serve.hands import NAME
from sumnist.serve.problems import Problem
from sumnist.serve.settings import MIB, Settings
from sumnist.sheets.layout import Layout

FORM, JSON = "multipart/form-data", "application/json"
PICTURE, HAND = "picture", "hand"


@dataclass(frozen=True)
class Limits:
    """What a body may have, beside its bytes."""

    bodies: int = 8
    """How many bodies of the largest size may be held at once."""
    signs: int = 1000
    """The most objects, lists, members and items of a body in JSON, and for each picture as many more as its class
    says. They are counted by the signs `{[,:`, none of which occurs in base64."""
    parts: int = 16
    """How many parts a form may have beside those that the request knows."""
    quoted: int = 40
    """How many bytes of a field's value are looked at, unless the field is long: every valid value is shorter, and an
    error quotes no more."""
    name: int = 100
    """The most characters of a picture's name; the rest is cut off."""


LIMITS = Limits()
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what is wrong with a form is told to its sender


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
                        if self.held > LIMITS.bodies * self._mib * MIB:
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


def file_of(content: Any) -> bytes:
    """The bytes of a picture or hand: those of a form, or those that JSON has in base64. Raises `ConfigError`."""
    if isinstance(content, bytes):
        return content
    if not isinstance(content, str):
        raise ConfigError(f"{type(content).__name__}, expected the file's bytes in base64")
    try:
        return binascii.a2b_base64(content, strict_mode=True)
    except ValueError as error:
        raise ConfigError("not base64, expected the file's bytes in base64, without line breaks") from error


def picture_of(content: Any) -> bytes | Problem:
    """The bytes of a picture, or the problem with its base64, which takes the place of its reading. Raises
    `ConfigError`."""
    try:
        return file_of(content)
    except ConfigError as error:
        if isinstance(content, str):
            return Problem("damaged-picture", f"picture: {error}")
        raise ConfigError(f"picture is {error}") from error


def hand_of(content: Any) -> bytes:
    """The bytes of a hand, or its name. Raises `Problem`, `ConfigError`."""
    if isinstance(content, str) and NAME.fullmatch(content):
        return content.encode()
    try:
        return file_of(content)
    except ConfigError as error:
        raise HandError(f"hand: {error}, or the name of one that is kept") from error


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
    return (name if isinstance(name, str) else name.decode("utf-8", "replace"))[: LIMITS.name]


def check_decimal(sign: Any) -> str | None:
    """The decimal sign; JSON leaves it out if there is none. Raises `ConfigError`."""
    return check_sign("null" if sign is None else sign)


def check_count(count: Any) -> int:
    """`count`, if a client may ask for so many candidates. Raises `ConfigError`."""
    number: int | None = COUNT.taken(count, int)
    if number is None:
        raise ConfigError(f"count {reprlib.repr(count)}: expected {COUNT.named(int)}: leave it out for {TEN}")
    return number


Ink = Annotated[InkColour, BeforeValidator(check_ink)]


DigitsInJson = WithJsonSchema(
    {"anyOf": [{"type": "string", "pattern": f"^{DIGITS}$"}, {"type": "integer", "minimum": 1, "maximum": 999}]}
)
FileInJson = WithJsonSchema({"type": "string", "format": "byte", "contentEncoding": "base64"})


class Asked(BaseModel):
    """A request and its fields, the required ones first.

    `EXAMPLE` is a request in JSON. `SEVERAL` is the key of the list, if a body has requests about several pictures.
    `SIGNS` is how many signs in JSON each of them may have (`Limits.signs`); one with six fields has twelve. `LONG` are
    the fields of a form whose values may be longer than `Limits.quoted`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, use_attribute_docstrings=True)
    EXAMPLE: ClassVar[str]
    SEVERAL: ClassVar[str] = "readings"
    SIGNS: ClassVar[int] = 16
    LONG: ClassVar[tuple[str, ...]] = (PICTURE, HAND, "layout", "name")


class AskedForm(Asked):
    """A form to print."""

    EXAMPLE: ClassVar[str] = '{"layout": "9,7,13,12"}'
    layout: Annotated[Layout, BeforeValidator(layout_of), WithJsonSchema({"type": "string"})]
    """The layout of the form: the content of a TOML file, or the largest mark of each question, such as 9,7.5,13."""


class AskedPicture(Asked):
    """A request about a picture."""

    picture: Annotated[bytes | Problem, BeforeValidator(picture_of), FileInJson]
    """The file of a picture: PNG, JPEG, WebP and others; in JSON as base64 without line breaks."""


class AskedOfHand(AskedPicture):
    """A picture to read, with the hand of its writer if one is given."""

    hand: Annotated[bytes | None, BeforeValidator(hand_of), FileInJson] = None
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


class AskedSums(AskedOfHand):
    """A picture with sums on it."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>"}'


class AskedNumbers(AskedOfHand):
    """A picture with numbers on it, and the other arguments of `Reader.find`."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>"}'
    digits: Annotated[Digits, BeforeValidator(bounds_of), DigitsInJson] = Field(default_factory=lambda: (1, None))
    """How many digits a number has, such as 4, or the least and the most, such as 1-6 or 3-."""
    decimal: Annotated[Literal[".", ","] | None, BeforeValidator(check_decimal)] = Field(
        default_factory=lambda: None, json_schema_extra={"anyOf": [{"type": "string", "enum": [".", ","]}]}
    )
    """The sign before decimals. Without it, a number on a line is read as a whole number, whatever stands between its
    digits, and a found number is read as it is written."""
    count: Annotated[int, Field(ge=COUNT.least, le=COUNT.most), BeforeValidator(check_count)] = TEN
    """How many candidates to return."""


class AskedNumber(AskedNumbers):
    """A picture of a number of any length on one line, and the other arguments of `Reader.read_number`."""

    ink: Ink = "auto"
    """Whether the ink is darker (dark) or lighter (light) than its ground; auto: the reader finds out."""


Question = TypeVar("Question", bound=Asked)
Values = dict[str, Any]
"""The fields of a request about one picture, by name, without those that are left out: their values in JSON, or in a
form their bytes, a whole number or a text."""


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
        HandError: A hand is neither base64 nor a name.
        Problem: Something else is wrong. A picture that is not base64 does not raise: its problem takes its place.
    """
    values = (json_values if media_type(body.content_type) == JSON else form_values)(body, kind, most)
    if not 1 <= len(values) <= (most or 1):
        invalid(f"{len(values)} {kind.SEVERAL}: expected 1 to {most or 1}: send the others in another request")
    found = []
    for place, fields in enumerate(values, 1):
        name = "the body" if most is None else f"{kind.SEVERAL[:-1]} {place}"
        if not isinstance(fields, dict):
            invalid(f"{name}: {type(fields).__name__}, expected {kind.EXAMPLE}")
        whole = {
            key: int(one) for key, one in fields.items() if isinstance(one, float) and one.is_integer()
        }  # 7.0 is 7
        try:
            found.append(kind.model_validate(fields | whole, context=exact))
        except ValidationError as wrong:
            first = wrong.errors(include_input=False)[0]
            error = first.get("ctx", {}).get("error")
            if isinstance(error, NumberError | LayoutError):
                raise error from None
            invalid(str(error or f"{name}: no {first['loc'][0]}, expected {kind.EXAMPLE}"))
    return found


def body_of(kind: type[Asked], exact: bool = True, most: int | None = None) -> dict[str, Any]:
    """The body of a request, for the OpenAPI document; the arguments are those of `asked_in`."""
    schema = kind.model_json_schema()
    of_json, needed = schema["properties"], schema["required"]
    if "number" in of_json:
        of_json["number"] |= {"minimum": -MOST_NUMBER if exact else 0, "maximum": MOST_NUMBER if exact else 9}
    of_form = of_json | {name: {"type": "string", "format": "binary"} for name in (PICTURE, HAND) if name in of_json}
    needed_of_json = needed
    if most is not None:
        several = {"type": "array", "minItems": 1, "maxItems": most}
        of_form = {
            name: {"anyOf": [one, several | {"items": one}], "description": "One for all pictures, or one for each."}
            for name, one in of_form.items()
        }
        of_json, needed_of_json = {kind.SEVERAL: several | {"items": schema | {"properties": of_json}}}, [kind.SEVERAL]
    content = {
        FORM: {"schema": {"type": "object", "required": needed, "properties": of_form}},
        JSON: {"schema": {"type": "object", "required": needed_of_json, "properties": of_json}},
    }
    return {"required": True, "content": content}


def json_values(body: Body, asked: type[Asked], most: int | None) -> list[Values]:
    """The fields of each picture in JSON. The number of values is limited before the body is parsed, since a small body
    can hold so many that they fill the memory."""
    content, limit = body.content, LIMITS.signs + asked.SIGNS * (most or 1)
    if sum(content.count(sign) for sign in b"{[,:") > limit:
        invalid(f"the body: more than {limit:,} objects, lists, members and items: expected {asked.EXAMPLE}")
    try:
        value = from_json(content.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        malformed(f"the body is not JSON ({str(error)[:100]}): expected an object")
    if most is None:
        return [value]
    if not isinstance(value, dict) or not isinstance(value.get(asked.SEVERAL), list):
        invalid(f'the body: expected {{"{asked.SEVERAL}": [{asked.EXAMPLE}, ...]}}')
    items: list[Values] = value[asked.SEVERAL]
    return items


def form_values(body: Body, asked: type[Asked], most: int | None) -> list[Values]:
    """The fields of each picture in a form; a field that occurs once applies to all pictures."""
    found = fields_of(body, (*asked.model_fields,), most or 1)
    count = len(found.get(PICTURE, ())) or 1
    for name, values in found.items():
        if len(values) not in (1, count) or (most is None and len(values) != 1):
            expected = "one" if most is None else "one for all of them, or one each"
            invalid(f"{len(values)} fields named {name} for {count} pictures: expected {expected}")
    return [{name: (values * count)[place] for name, values in found.items()} for place in range(count)]


def fields_of(body: Body, names: tuple[str, ...], most: int) -> dict[str, list[Any]]:
    """The values of the fields of a form that have these names, in order. Other fields are ignored."""
    _, parameters = parse_options_header(body.content_type)
    found: dict[str, list[Any]] = {}
    limit = left = len(names) * most + LIMITS.parts
    ended = False

    def add(part: FormField | File) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            malformed(f"a form of more than {limit} parts: expected at most {most} pictures and what is said of them")
        name = (part.field_name or b"").decode("latin-1")
        if name in names:
            held: Any = part.file_object if isinstance(part, File) else BytesIO(part.value or b"")
            value = held.getvalue()
            found.setdefault(name, []).append(value if name in Asked.LONG else written(value))

    def end() -> None:
        nonlocal ended
        ended = True

    in_memory = {"MAX_MEMORY_FILE_SIZE": float("inf")}
    try:
        parser = FormParser(FORM, add, add, end, parameters.get(b"boundary"), config=in_memory)
        parser.write(body.content)
    except FormParserError as error:
        malformed(f"the form cannot be parsed ({str(error)[:100]}): expected one as HTTP libraries make it")
    if not ended:
        malformed("the form is cut short, or its boundary is not the one in content-type: send it whole")
    return found


def written(value: bytes) -> int | str:
    """The value of a field: a whole number, or as much of its text as an error quotes."""
    text = value[: LIMITS.quoted].decode("utf-8", "replace")
    return int(text) if re.fullmatch("-?[0-9]{1,38}", text) else text


def invalid(detail: str) -> NoReturn:
    """Raise the `Problem` for a request that lacks something, or has something wrong."""
    raise Problem("invalid-request", detail)


def malformed(detail: str) -> NoReturn:
    """Raise the `Problem` for a body that cannot be parsed."""
    raise Problem("malformed-body", detail)

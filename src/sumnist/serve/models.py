"""What is asked and what is answered: pydantic models, from which FastAPI makes the OpenAPI document.

Those of requests check the values of a body (`serve/bodies`), in the process that reads. Those of answers only describe
them: an answer is written by `json` as its reading gives it.
"""

from __future__ import annotations

import re
import reprlib
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, WithJsonSchema

from sumnist.config import InkColour, Range, ReadingEngine
from sumnist.errors import ConfigError, NumberError
from sumnist.inference.ctc import Digits
from sumnist.inference.numbers import NUMBER_ADVICE, bounds_written, check_sign
from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE, check_ink, check_number
from sumnist.serve.bodies import FORM, JSON, Asked, Body, invalid, values_of
from sumnist.serve.problems import KINDS, MEDIA_TYPE

__all__ = [
    "OF_BATCH", "OF_NUMBER", "OF_READING", "OF_STATE", "SUMMARY", "AskedDigit", "AskedNumber",
    "NumberReading", "Reading", "Readings", "Status", "asked_in", "body_of", "problems",
]  # fmt: skip

SUMMARY = """\
Reads a handwritten digit, adds a number to it, and says how sure it is of both; and reads numbers of any length.

Every error is a problem by RFC 9457. A picture that can be decoded always gets a reading; `accepted` says whether
to trust it, and if not, `reason` says why and `advice` what helps."""

# Questions.

MOST_NUMBER = 2**53 - 1
"""Larger numbers are not exact in the JSON of many languages; nor are the negative ones."""
DIGITS = r"([1-9][0-9]{0,2})(-([1-9][0-9]{0,2})?)?"
"""How many digits a number has: 4, 1-6 or 3-."""
COUNT = Range(1, 50)
"""Candidates that may be asked for. In Python there may be more; the time grows with them."""
TEN = 10
"""Candidates that come if nothing else is asked."""


def checked(number: Any, info: ValidationInfo) -> int:
    """The number as the reader takes it, if JSON writes it and its sums exactly. Raises `NumberError`."""
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


def check_decimal(sign: Any) -> str | None:
    """The decimal sign, which JSON leaves out where there is none. Raises `ConfigError`."""
    return check_sign("null" if sign is None else sign)


def check_engine(engine: Any) -> Any:
    """`engine`, if it is one. Raises `ConfigError`."""
    if engine not in get_args(ReadingEngine):
        raise ConfigError(f"engine {reprlib.repr(engine)}: expected ours, ocr or both: leave it out for ours")
    return engine


def check_count(count: Any) -> int:
    """`count`, if so many candidates may be asked for. Raises `ConfigError`."""
    number: int | None = COUNT.taken(count, int)
    if number is None:
        raise ConfigError(f"count {reprlib.repr(count)}: expected {COUNT.named(int)}: leave it out for {TEN}")
    return number


Ink = Annotated[InkColour, BeforeValidator(check_ink)]
OF_DIGITS = [{"type": "string", "pattern": f"^{DIGITS}$"}, {"type": "integer", "minimum": 1, "maximum": 999}]


class AskedDigit(Asked):
    """A picture of a digit, and what is to be added."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>", "number": 7}'
    number: Annotated[int, BeforeValidator(checked)]
    """The number to add."""
    ink: Ink = "auto"
    """Whether the ink is darker (dark) or lighter (light) than its ground; auto: to be found out."""


class AskedNumber(Asked):
    """A picture of a number of any length, and what else `Reader.read_number` is told."""

    EXAMPLE: ClassVar[str] = '{"picture": "<base64>"}'
    digits: Annotated[Digits, BeforeValidator(bounds_of), WithJsonSchema({"anyOf": OF_DIGITS})] = Field(
        default_factory=lambda: (1, None)
    )
    """How many digits there are, such as 4, or the least and the most, such as 1-6 or 3-."""
    decimal: Annotated[Literal[".", ","] | None, BeforeValidator(check_decimal)] = Field(
        default_factory=lambda: None, json_schema_extra={"anyOf": [{"type": "string", "enum": [".", ","]}]}
    )
    """The sign before decimals. Without one the value is a whole number, whatever stands between its digits."""
    ink: Ink = "auto"
    """Whether the ink is darker (dark) or lighter (light) than its ground; auto: to be found out."""
    engine: Annotated[ReadingEngine, BeforeValidator(check_engine)] = "ours"
    """What reads: ours, the network that comes with the package; ocr, a general reader of text, if it is installed; or
    both together."""
    count: Annotated[int, Field(ge=COUNT.least, le=COUNT.most), BeforeValidator(check_count)] = TEN
    """How many candidates are wanted."""


Question = TypeVar("Question", bound=Asked)


def asked_in(body: Body, kind: type[Question], exact: bool = True, most: int | None = None) -> list[Question]:
    """What a body asks to be read, in order: 1 to `most` pictures, or the one that there must be.

    Args:
        body: A form or JSON.
        kind: `AskedDigit` or `AskedNumber`.
        exact: Whether the network adds any number, or 0 to 9.
        most: Pictures of a batch; None if it is none.

    Raises:
        NumberError: A number is none that the network adds, or not exact in JSON.
        Problem: Something else is wrong; not for a picture that is not base64, which has its problem in its place.
    """
    try:
        return [kind.model_validate(values, context=exact) for values in values_of(body, kind, most)]
    except ValidationError as wrong:
        error = wrong.errors(include_input=False)[0]["ctx"]["error"]  # of the first field with one
        if isinstance(error, NumberError):
            raise error from None
        invalid(str(error))


def body_of(kind: type[Asked], exact: bool = True, most: int | None = None) -> dict[str, Any]:
    """What FastAPI adds to the document of an operation: its body, as for `asked_in`."""
    schema = kind.model_json_schema()
    of_json, needed = schema["properties"], schema["required"]
    if "number" in of_json:
        of_json["number"] |= {"minimum": -MOST_NUMBER if exact else 0, "maximum": MOST_NUMBER if exact else 9}
    of_form = of_json | {"picture": {"type": "string", "format": "binary"}}
    if most is not None:
        several = {"type": "array", "minItems": 1, "maxItems": most}
        of_form = {
            name: {"anyOf": [one, several | {"items": one}], "description": "One for all pictures, or one for each."}
            for name, one in of_form.items()
        }
        of_json, needed_of_json = {"readings": several | {"items": schema | {"properties": of_json}}}, ["readings"]
    else:
        needed_of_json = needed
    content = {
        FORM: {"schema": {"type": "object", "required": needed, "properties": of_form}},
        JSON: {"schema": {"type": "object", "required": needed_of_json, "properties": of_json}},
    }
    return {"requestBody": {"required": True, "content": content}}


# Answers.


class Model(BaseModel):
    """An object with these members and no others."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


Pixels = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
"""One byte a pixel, row by row."""
Share = Annotated[float, Field(ge=0, le=1.000001)]
Digit = Annotated[int, Field(ge=0, le=9)]
Length = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=1, le=160)]
Format = Annotated[int, Field(ge=1, le=1)]
OfDigits = Annotated[list[float], Field(min_length=10, max_length=10)]


class Step(Model):
    """A step from the picture to what the network saw."""

    caption: str
    """What was done."""
    width: Side
    """Pixels."""
    height: Side
    """Pixels."""
    pixels: Pixels
    """The picture after it, a byte a pixel, row by row: 0 is black, 255 white."""


class Proposal(Model):
    """What the digit on the picture may look like, and what the network says of that alone."""

    how: str
    """What would be the digit, in words."""
    image: Pixels
    """28 × 28 pixels, a byte each, row by row: 255 is ink."""
    digit: Digit
    """The most probable digit."""
    confidence: Share
    """Its probability."""
    is_digit: float | None
    """The probability that the image shows a digit; null if the network was trained without outliers."""
    weight: Share
    """How likely such a proposal is right, beside the others."""
    score: Share
    """The product of these three."""
    chosen: bool
    """Whether it explains the picture best, so that its image was read."""


class LayerField(Model):
    """What place i of a map sees of the image along a side: `size` pixels, from start + i · step on."""

    start: int
    """The first pixel of place 0; below 0 in the padding."""
    step: Length
    """Pixels from one place to the next."""
    size: Length
    """Pixels."""


class Layer(Model):
    """What a layer of the encoder made of the image."""

    name: str
    """What the file of the network calls it."""
    channels: Length
    """How many maps."""
    side: Length
    """Places along a side of a map."""
    peak: Annotated[float, Field(ge=0)]
    """Its largest value."""
    maps: Pixels
    """channels · side · side values, a byte each, map by map: 255 is `peak`."""
    field: LayerField | None
    """What a place sees; null in a layer whose places mean nothing."""


class Inside(Model):
    """How a reading came about."""

    steps: list[Step]
    """From the picture to what the network saw."""
    proposals: list[Proposal]
    """All that was tried, in order."""
    layers: list[Layer]
    """What the encoder's layers made of it; none where they are not known."""


class Evidence(Model):
    """What the network would say if a patch of the image were blank, for patches all over it."""

    patch: Length
    """The side of a patch in pixels."""
    stride: Length
    """Pixels from one patch to the next; the first begins at the first pixel."""
    side: Length
    """Patches along a side."""
    probabilities: OfDigits
    """Of the digits, as the image is."""
    changes: list[float]
    """log P(digit) with the patch blank, minus as it is: ten for each patch, row by row."""


class Reading(Model):
    """The digit on a picture, its sum with a number, and how probable every answer is."""

    format: Format
    """The version of this form."""
    digit: Digit
    """The most probable digit."""
    sum: int
    """The most probable sum."""
    number: int
    """The number that was to be added."""
    confidence: Share
    """The probability of `digit`."""
    sum_confidence: Share
    """The probability of `sum`."""
    digit_probabilities: OfDigits
    """Of the digits 0 to 9, if the picture shows one."""
    sums: Annotated[list[int], Field(min_length=10, max_length=19)]
    """The possible sums."""
    sum_probabilities: Annotated[list[float], Field(min_length=10, max_length=19)]
    """Of each of `sums`."""
    accepted: bool
    """Whether the answer stands."""
    reason: str | None = Field(json_schema_extra={"enum": [None, *REASONS.values(), NOT_A_DIGIT, UNSURE]})
    """Why it does not, or null."""
    advice: str | None
    """What helps if it does not stand, or null."""
    is_digit_probability: float | None
    """The probability that the picture shows a digit at all; null if the network was trained without outliers."""
    how: str | None
    """What was taken for the digit, in words such as `dark ink, narrow strokes`; null if blank."""
    image: Annotated[list[list[float]], Field(min_length=28, max_length=28)] | None = None
    """What the network saw, row by row; only if asked for."""
    beside: Reading | None = None
    """What the second network says, null if it cannot add this number; only if asked for and there."""
    left_out: Annotated[list[int], Field(min_length=10, max_length=10)] | None = None
    """Of a second network: for each digit, the number that it never met in training, if it says so."""
    inside: Inside | None = None
    """How the reading came about; only if asked for."""
    evidence: Evidence | None = None
    """Which places speak for which digits; null if blank; only if asked for."""


class Candidate(Model):
    """A value that the number may have."""

    text: str
    """The number as it is written, with separators."""
    value: int | str
    """The number; a string if decimals were asked for."""
    probability: Share
    """Of the value, if there is a number."""


class NumberReading(Model):
    """The number on a picture, and how probable other values are. Values are written in full; where a JSON library
    rounds those of more than 15 digits, `text` is exact."""

    format: Format
    """The version of this form."""
    text: str
    """The most probable number as it is written, with separators; empty if there is none."""
    digits: str
    """The digits of `text`, leading zeros among them."""
    value: int | str | None
    """The number; a string if decimals were asked for, null if there is none."""
    confidence: Share
    """The probability of `value`, if there is a number."""
    accepted: bool
    """Whether the answer stands."""
    reason: str | None = Field(json_schema_extra={"enum": [None, *NUMBER_ADVICE]})
    """Why it does not, or null."""
    advice: str | None
    """What helps if it does not stand, or null."""
    is_number_probability: Share
    """The probability that the picture shows a number at all."""
    candidates: Annotated[list[Candidate], Field(max_length=int(COUNT.most))]
    """The most probable values first."""
    other: Share
    """The probability of all other values; with those of `candidates` it sums to one."""
    places: list[Annotated[list[float], Field(min_length=2, max_length=2)]]
    """For each character of `text` where it stands: its left and right end in pixels of the picture."""
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None
    """What was taken for the line: top, bottom, left and right in pixels of the picture; null if blank."""
    how: str | None
    """The same in words such as `dark ink, the line of ink`; null if blank."""


class Problem(Model):
    """Why there is no reading, by RFC 9457."""

    type: str = Field(json_schema_extra={"enum": [kind.type for kind in KINDS.values()]})
    """Names the kind of problem."""
    title: str
    """The kind of problem, in words."""
    status: Annotated[int, Field(ge=400, le=599)]
    """The HTTP status."""
    detail: str
    """What was given, what was expected, and the mend."""
    instance: str
    """The path of the request."""


class Failed(Model):
    """Stands where the reading would, for a picture that cannot be read."""

    error: Problem


class Readings(Model):
    """The answers of a batch, in the order of its pictures."""

    readings: list[Reading | Failed]


class Status(Model):
    """That the server is alive, or ready."""

    status: str


OF_STATE = ("malformed-request", "headers-too-large", "internal", "busy")
OF_BODIES = (
    *OF_STATE, "malformed-body", "request-timeout", "body-too-large", "unsupported-media-type", "invalid-request",
    "reading-timeout",
)  # fmt: skip
OF_PICTURES = ("damaged-picture", "picture-too-large", "unknown-format")
OF_BATCH = (*OF_BODIES, "number")
OF_READING = (*OF_BATCH, *OF_PICTURES)
OF_NUMBER = (*OF_BODIES, *OF_PICTURES, "not-installed")
"""The problems that a request may come to."""


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The responses that are these problems, by status."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in [kind for kind in KINDS.values() if kind.slug in slugs]:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        response = responses.setdefault(kind.status, {"description": "", "content": content})
        response["description"] += f"{'; or ' if response['description'] else ''}{kind.title} (`{kind.slug}`)"
        if "retry-after" in kind.headers:
            response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return responses

"""What is promised of the API: the models of its answers, its problems, and the bodies that it takes.

FastAPI makes the document, with the schemas of the answers. The bodies are described by hand: each may be a form or
JSON, and is parsed outside the event loop (`bodies`).
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from sumnist.config import InkColour, ReadingEngine
from sumnist.inference.numbers import NUMBER_ADVICE
from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE
from sumnist.serve.bodies import FORM, JSON
from sumnist.serve.items import COUNT, DIGITS, MOST_NUMBER, NumberItem
from sumnist.serve.metrics import MEDIA_TYPE as METRICS_TYPE
from sumnist.serve.problems import KINDS, MEDIA_TYPE

__all__ = [
    "OF_BATCH", "OF_NUMBER", "OF_READING", "OF_STATE", "SUMMARY", "MetricsText", "NumberReading", "Reading", "Readings",
    "Status", "body_of_batch", "body_of_number", "body_of_read", "problems",
]  # fmt: skip

SUMMARY = """\
Reads a handwritten digit, adds a number to it, and says how sure it is of both; and reads numbers of any length.

Every error is a problem by RFC 9457. A picture that can be decoded always gets a reading; `accepted` says whether
to trust it, and if not, `reason` says why and `advice` what helps."""

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


class Model(BaseModel):
    """An object with these members and no others."""

    model_config = ConfigDict(extra="forbid")


Pixels = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
"""One byte a pixel, row by row."""


class Step(Model):
    """A step from the picture to what the network saw."""

    caption: str = Field(description="What was done.")
    width: int = Field(ge=1, le=160, description="Pixels.")
    height: int = Field(ge=1, le=160, description="Pixels.")
    pixels: Pixels = Field(description="The picture after it, a byte a pixel, row by row: 0 is black, 255 white.")


class Proposal(Model):
    """What the digit on the picture may look like, and what the network says of that alone."""

    how: str = Field(description="What would be the digit, in words.")
    image: Pixels = Field(description="28 × 28 pixels, a byte each, row by row: 255 is ink.")
    digit: int = Field(ge=0, le=9, description="The most probable digit.")
    confidence: float = Field(ge=0, le=1.000001, description="Its probability.")
    is_digit: float | None = Field(
        description="The probability that the image shows a digit; null if the network was trained without outliers."
    )
    weight: float = Field(ge=0, le=1.000001, description="How likely such a proposal is right, beside the others.")
    score: float = Field(ge=0, le=1.000001, description="The product of these three.")
    chosen: bool = Field(description="Whether it explains the picture best, so that its image was read.")


class LayerField(Model):
    """What place i of a map sees of the image along a side: `size` pixels, from start + i · step on."""

    start: int = Field(description="The first pixel of place 0; below 0 in the padding.")
    step: int = Field(ge=1, description="Pixels from one place to the next.")
    size: int = Field(ge=1, description="Pixels.")


class Layer(Model):
    """What a layer of the encoder made of the image."""

    name: str = Field(description="What the file of the network calls it.")
    channels: int = Field(ge=1, description="How many maps.")
    side: int = Field(ge=1, description="Places along a side of a map.")
    peak: float = Field(ge=0, description="Its largest value.")
    maps: Pixels = Field(description="channels · side · side values, a byte each, map by map: 255 is `peak`.")
    field: LayerField | None = Field(description="What a place sees; null in a layer whose places mean nothing.")


class Inside(Model):
    """How a reading came about."""

    steps: list[Step] = Field(description="From the picture to what the network saw.")
    proposals: list[Proposal] = Field(description="All that was tried, in order.")
    layers: list[Layer] = Field(description="What the encoder's layers made of it; none where they are not known.")


class Evidence(Model):
    """What the network would say if a patch of the image were blank, for patches all over it."""

    patch: int = Field(ge=1, description="The side of a patch in pixels.")
    stride: int = Field(ge=1, description="Pixels from one patch to the next; the first begins at the first pixel.")
    side: int = Field(ge=1, description="Patches along a side.")
    probabilities: list[float] = Field(min_length=10, max_length=10, description="Of the digits, as the image is.")
    changes: list[float] = Field(
        description="log P(digit) with the patch blank, minus as it is: ten for each patch, row by row."
    )


class Reading(Model):
    """The digit on a picture, its sum with a number, and how probable every answer is."""

    format: int = Field(ge=1, le=1, description="The version of this form.")
    digit: int = Field(ge=0, le=9, description="The most probable digit.")
    sum: int = Field(description="The most probable sum.")
    number: int = Field(description="The number that was to be added.")
    confidence: float = Field(ge=0, le=1.000001, description="The probability of `digit`.")
    sum_confidence: float = Field(ge=0, le=1.000001, description="The probability of `sum`.")
    digit_probabilities: list[float] = Field(
        min_length=10, max_length=10, description="Of the digits 0 to 9, if the picture shows one."
    )
    sums: list[int] = Field(min_length=10, max_length=19, description="The possible sums.")
    sum_probabilities: list[float] = Field(min_length=10, max_length=19, description="Of each of `sums`.")
    accepted: bool = Field(description="Whether the answer stands.")
    reason: str | None = Field(
        description="Why it does not, or null.",
        json_schema_extra={"enum": [None, *REASONS.values(), NOT_A_DIGIT, UNSURE]},
    )
    advice: str | None = Field(description="What helps if it does not stand, or null.")
    is_digit_probability: float | None = Field(
        description="The probability that the picture shows a digit at all; null if the network was trained without "
        "outliers."
    )
    how: str | None = Field(
        description="What was taken for the digit, in words such as `dark ink, narrow strokes`; null if blank."
    )
    image: list[list[float]] | None = Field(
        default=None, min_length=28, max_length=28, description="What the network saw, row by row; only if asked for."
    )
    beside: Reading | None = Field(
        default=None,
        description="What the second network says, null if it cannot add this number; only if asked for and there.",
    )
    left_out: list[int] | None = Field(
        default=None, min_length=10, max_length=10,
        description="Of a second network: for each digit, the number that it never met in training, if it says so.",
    )  # fmt: skip
    inside: Inside | None = Field(default=None, description="How the reading came about; only if asked for.")
    evidence: Evidence | None = Field(
        default=None, description="Which places speak for which digits; null if blank; only if asked for."
    )


class Candidate(Model):
    """A value that the number may have."""

    text: str = Field(description="The number as it is written, with separators.")
    value: int | str = Field(description="The number; a string if decimals were asked for.")
    probability: float = Field(ge=0, le=1.000001, description="Of the value, if there is a number.")


class NumberReading(Model):
    """The number on a picture, and how probable other values are. Values are written in full; where a JSON library
    rounds those of more than 15 digits, `text` is exact."""

    format: int = Field(ge=1, le=1, description="The version of this form.")
    text: str = Field(description="The most probable number as it is written, with separators; empty if there is none.")
    digits: str = Field(description="The digits of `text`, leading zeros among them.")
    value: int | str | None = Field(
        description="The number; a string if decimals were asked for, null if there is none."
    )
    confidence: float = Field(ge=0, le=1.000001, description="The probability of `value`, if there is a number.")
    accepted: bool = Field(description="Whether the answer stands.")
    reason: str | None = Field(
        description="Why it does not, or null.", json_schema_extra={"enum": [None, *NUMBER_ADVICE]}
    )
    advice: str | None = Field(description="What helps if it does not stand, or null.")
    is_number_probability: float = Field(
        ge=0, le=1.000001, description="The probability that the picture shows a number at all."
    )
    candidates: list[Candidate] = Field(max_length=int(COUNT.most), description="The most probable values first.")
    other: float = Field(
        ge=0, le=1.000001, description="The probability of all other values; with those of `candidates` it sums to one."
    )
    places: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        description="For each character of `text` where it stands: its left and right end in pixels of the picture."
    )
    box: list[int] | None = Field(
        min_length=4, max_length=4,
        description="What was taken for the line: top, bottom, left and right in pixels of the picture; null if blank.",
    )  # fmt: skip
    how: str | None = Field(description="The same in words such as `dark ink, the line of ink`; null if blank.")


class Problem(Model):
    """Why there is no reading, by RFC 9457."""

    type: str = Field(
        description="Names the kind of problem.", json_schema_extra={"enum": [kind.type for kind in KINDS.values()]}
    )
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    detail: str = Field(description="What was given, what was expected, and the mend.")
    instance: str = Field(description="The path of the request.")


class Failed(Model):
    """Stands where the reading would, for a picture that cannot be read."""

    error: Problem


class Readings(Model):
    """The answers of a batch, in the order of its pictures."""

    readings: list[Reading | Failed]


class Status(Model):
    """That the server is alive, or ready."""

    status: str


class MetricsText(Response):
    """Prometheus' text format."""

    media_type = METRICS_TYPE


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


# Bodies.

FILE = {"type": "string", "format": "binary", "description": "The file of a picture: PNG, JPEG, WebP and others."}
BASE64 = {
    "type": "string", "format": "byte", "contentEncoding": "base64",
    "description": "The bytes of the file of a picture, in base64 without line breaks.",
}  # fmt: skip
INK = {
    "type": "string", "enum": list(get_args(InkColour)), "default": "auto",
    "description": "Whether the ink is darker (dark) or lighter (light) than its ground; auto: to be found out.",
}  # fmt: skip


OF_NUMBERS = {
    "digits": {
        "anyOf": [{"type": "string", "pattern": f"^{DIGITS}$"}, {"type": "integer", "minimum": 1, "maximum": 999}],
        "description": "How many digits there are, such as 4, or the least and the most, such as 1-6 or 3-.",
    },
    "decimal": {
        "type": "string", "enum": [".", ","],
        "description": "The sign before decimals. Without one the value is a whole number, whatever stands between its "
        "digits.",
    },
    "engine": {
        "type": "string", "enum": list(get_args(ReadingEngine)), "default": NumberItem.engine,
        "description": "What reads: ours, the network that comes with the package; ocr, a general reader of text, if "
        "it is installed; or both together.",
    },
    "count": {
        "type": "integer", "minimum": COUNT.least, "maximum": COUNT.most, "default": NumberItem.count,
        "description": "How many candidates are wanted.",
    },
}  # fmt: skip
"""What may be said of a number."""


def body_of_read(exact: bool) -> dict[str, Any]:
    """The body of a request for one reading, for a network that adds any number (`exact`) or 0 to 9."""
    number = number_schema(exact)
    return body(an_object(INK, picture=FILE, number=number), an_object(INK, picture=BASE64, number=number))


def body_of_batch(exact: bool, most: int) -> dict[str, Any]:
    """The body of a request for up to `most` readings."""
    number = number_schema(exact)

    def several(items: dict[str, Any]) -> dict[str, Any]:
        return {"type": "array", "items": items, "minItems": 1, "maxItems": most}

    def one_or_several(schema: dict[str, Any], description: str) -> dict[str, Any]:
        return {"anyOf": [schema, several(schema)], "description": description}

    form = an_object(
        one_or_several(INK, "One for all pictures, or one for each; none: all are to be found out."),
        picture=one_or_several(FILE, "The files, each in a field of its own."),
        number=one_or_several(number, "One for all pictures, or one for each, in their order."),
    )
    return body(form, an_object(readings=several(an_object(INK, picture=BASE64, number=number))))


def body_of_number() -> dict[str, Any]:
    """The body of a request for the reading of a number."""

    def with_picture(picture: dict[str, Any]) -> dict[str, Any]:
        schema = an_object(INK, picture=picture)
        schema["properties"] |= OF_NUMBERS
        return schema

    return body(with_picture(FILE), with_picture(BASE64))


def number_schema(exact: bool) -> dict[str, Any]:
    least, most = (-MOST_NUMBER, MOST_NUMBER) if exact else (0, 9)
    return {"type": "integer", "minimum": least, "maximum": most, "description": "The number to add."}


def an_object(ink: dict[str, Any] | None = None, **required: Any) -> dict[str, Any]:
    """An object that has these properties, and may have `ink`, if that is given."""
    properties = required | ({} if ink is None else {"ink": ink})
    return {"type": "object", "required": list(required), "properties": properties}


def body(form: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """A body that is either of two kinds."""
    content = {FORM: {"schema": form}, JSON: {"schema": document}}
    return {"requestBody": {"required": True, "content": content}}

"""What is answered: pydantic models, from which FastAPI makes the OpenAPI document, and the problems of each path.

They only describe the answers, each of which is written by `json` as its reading gives it. What is asked is described
by those in `serve/bodies`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sumnist.inference.numbers import NUMBER_ADVICE
from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE, UNUSUAL
from sumnist.serve.bodies import COUNT
from sumnist.serve.problems import KINDS, MEDIA_TYPE

SUMMARY = """\
Reads a handwritten digit, adds a number to it, and says how sure it is of both; and reads numbers of any length, or all
that it finds on a picture.

Every error is a problem by RFC 9457. A picture that can be decoded always gets a reading; `accepted` says whether
to trust it, and if not, `reason` says why and `advice` what helps."""


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
    reason: str | None = Field(json_schema_extra={"enum": [None, *REASONS.values(), NOT_A_DIGIT, UNUSUAL, UNSURE]})
    """Why it does not, or null."""
    advice: str | None
    """What helps if it does not stand, or null."""
    is_digit_probability: float | None
    """The probability that the picture shows a digit at all; null if the network was trained without outliers."""
    how: str | None
    """What was taken for the digit, in words such as `dark ink, found`; null if blank."""
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
    """The same in words such as `dark ink, found`; null if blank."""
    others: list[Annotated[list[int], Field(min_length=4, max_length=4)]]
    """Where other numbers stand that count as much, as `box` has it; empty if this is the only one."""


Point = Annotated[list[float], Field(min_length=2, max_length=2)]
"""x and y, in pixels of the picture."""


class FoundNumber(NumberReading):
    """A number that was found on a picture."""

    corners: Annotated[list[Point], Field(min_length=4, max_length=4)]
    """Where it stands: upper left, upper right, lower right and lower left, by its own line; each x and y in pixels."""
    orientation: float
    """Which way its line runs, in degrees, clockwise: 0 to the right, 90 down."""
    written: str
    """What is seen there, signs and all: ¤ is a sign of a currency, ? another character."""


class FoundNumbers(Model):
    """All numbers on a picture."""

    width: Length
    """Pixels of the picture, upright."""
    height: Length
    """Pixels of the picture, upright."""
    numbers: list[FoundNumber]
    """In reading order."""


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


class TriedHand(Model):
    """What cross-validation says of one network with the hand."""

    examples: int
    """Digits that were read."""
    wrong: Annotated[list[int], Field(min_length=2, max_length=2)]
    """How many of them are read wrongly, before and after."""
    loss: Annotated[list[float], Field(min_length=2, max_length=2)]
    """The mean of −log of the probability of what is there, before and after, in nats."""


class LearnedHand(Model):
    """What was learned of a writer."""

    hand: dict[str, Any]
    """The content of its file, to be sent as the field `hand` of pictures to be read."""
    name: str | None
    """The name under which this server keeps it; null if it keeps none, or if it does not help."""
    helps: bool
    """Whether it does, by cross-validation."""
    trials: dict[str, TriedHand]
    """The same by network: digits, numbers, cells."""


class Status(Model):
    """That the server is alive, or ready, or has forgotten a hand."""

    status: str


OF_STATE = ("malformed-request", "headers-too-large", "forbidden", "internal", "busy")
OF_TOKENS = (*OF_STATE, "unauthorized")
OF_BODIES = (
    *OF_TOKENS, "malformed-body", "request-timeout", "body-too-large", "unsupported-media-type", "invalid-request",
    "reading-timeout",
)  # fmt: skip
OF_PICTURES = ("damaged-picture", "picture-too-large", "unknown-format")
OF_BATCH = (*OF_BODIES, "number", "hand")
OF_READING = (*OF_BATCH, *OF_PICTURES)
OF_NUMBER = (*OF_BODIES, *OF_PICTURES, "not-installed", "hand")
OF_HAND = (*OF_BODIES, *OF_PICTURES, "hand")
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

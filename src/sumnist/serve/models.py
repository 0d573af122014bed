"""Holds the pydantic models of the server's answers, and the problems of each path, for the OpenAPI document.

The models only describe the answers: `json` writes each answer as its reading gives it. The models of requests are in
`serve/bodies`.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field

from sumnist.inference.numbers import NUMBER_ADVICE
from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE, UNUSUAL
from sumnist.serve.bodies import COUNT
from sumnist.serve.problems import KINDS, MEDIA_TYPE
from sumnist.sheets.check import Outcome
from sumnist.tables.reading import State

SUMMARY = """\
Reads a handwritten digit, adds a number to it, and says how sure it is of both. Reads numbers of any length, or all
that it finds on a picture. Prints forms, and reads filled ones and tables.

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
    """A step from the picture to the image that the network saw."""

    caption: str
    """What was done."""
    width: Side
    """The width in pixels."""
    height: Side
    """The height in pixels."""
    pixels: Pixels
    """The picture after this step, a byte a pixel, row by row: 0 is black, 255 white."""


class Proposal(Model):
    """One way to cut the digit out of the picture, and the network's answer to it alone."""

    how: str
    """What this proposal takes for the digit, in words."""
    image: Pixels
    """28 × 28 pixels, a byte each, row by row: 255 is ink."""
    digit: Digit
    """The most probable digit."""
    confidence: Share
    """Its probability."""
    is_digit: float | None
    """The probability that the image shows a digit; null if the network was trained without outliers."""
    weight: Share
    """How likely the proposal is right, compared with the others."""
    score: Share
    """The product of `confidence`, `is_digit` and `weight`."""
    chosen: bool
    """Whether this proposal explains the picture best, so that its image was read."""


class LayerField(Model):
    """The part of the image that place i of a map sees along a side: `size` pixels, from start + i · step."""

    start: int
    """The first pixel of place 0; below 0 in the padding."""
    step: Length
    """Pixels from one place to the next."""
    size: Length
    """How many pixels a place sees."""


class Layer(Model):
    """The output of a layer of the encoder."""

    name: str
    """The layer's name in the file of the network."""
    channels: Length
    """How many maps."""
    side: Length
    """Places along a side of a map."""
    peak: Annotated[float, Field(ge=0)]
    """The largest value of the output."""
    maps: Pixels
    """channels · side · side values, a byte each, map by map: 255 is `peak`."""
    field: LayerField | None
    """The part of the image that a place sees; null in a layer whose places are not places of the image."""


class Inside(Model):
    """How a reading came about."""

    steps: list[Step]
    """The steps from the picture to the image that the network saw."""
    proposals: list[Proposal]
    """All proposals that were tried, in order."""
    layers: list[Layer]
    """The outputs of the encoder's layers; empty if they are not known."""


class Evidence(Model):
    """How the network's answer changes if a patch of the image is blank, for patches all over the image."""

    patch: Length
    """The side of a patch in pixels."""
    stride: Length
    """Pixels from one patch to the next; the first begins at the first pixel."""
    side: Length
    """Patches along a side."""
    probabilities: OfDigits
    """The probabilities of the digits for the unchanged image."""
    changes: list[float]
    """log P(digit) with the patch blank, minus log P(digit) of the unchanged image: ten for each patch, row by row."""


class Reading(Model):
    """The digit on a picture, its sum with a number, and the probability of every answer."""

    format: Format
    """The version of this format."""
    digit: Digit
    """The most probable digit."""
    sum: int
    """The most probable sum."""
    number: int
    """The number to add."""
    confidence: Share
    """The probability of `digit`."""
    sum_confidence: Share
    """The probability of `sum`."""
    digit_probabilities: OfDigits
    """The probabilities of the digits 0 to 9, if the picture shows one."""
    sums: Annotated[list[int], Field(min_length=10, max_length=19)]
    """The possible sums."""
    sum_probabilities: Annotated[list[float], Field(min_length=10, max_length=19)]
    """The probability of each of `sums`."""
    accepted: bool
    """Whether the answer is accepted."""
    reason: str | None = Field(json_schema_extra={"enum": [None, *REASONS.values(), NOT_A_DIGIT, UNUSUAL, UNSURE]})
    """Why the answer is not accepted, or null."""
    advice: str | None
    """What helps if the answer is not accepted, or null."""
    is_digit_probability: float | None
    """The probability that the picture shows a digit at all; null if the network was trained without outliers."""
    how: str | None
    """What the reader took for the digit, in words such as `dark ink, found`; null if the picture is blank."""
    image: Annotated[list[list[float]], Field(min_length=28, max_length=28)] | None = None
    """The image that the network saw, row by row; only if asked for."""
    beside: Reading | None = None
    """The reading of the second network; null if it cannot add this number. Only if asked for, and if the server has
    such a network."""
    left_out: Annotated[list[int], Field(min_length=10, max_length=10)] | None = None
    """For a second network: for each digit, the number that it never added to this digit in training, if this is
    known."""
    inside: Inside | None = None
    """How the reading came about; only if asked for."""
    evidence: Evidence | None = None
    """Which places of the image speak for which digits; null if the picture is blank. Only if asked for."""


class Candidate(Model):
    """A possible value of the number."""

    text: str
    """The number as it is written, with separators."""
    value: int | str
    """The number; a string if decimals were asked for."""
    probability: Share
    """The probability of the value, if there is a number."""


class NumberReading(Model):
    """The number on a picture, and the probabilities of other values. Values are written in full. Some JSON libraries
    round values of more than 15 digits; `text` is exact."""

    format: Format
    """The version of this format."""
    text: str
    """The most probable number as it is written, with separators; empty if there is none."""
    digits: str
    """The digits of `text`, with leading zeros."""
    value: int | str | None
    """The number; a string if decimals were asked for, null if there is none."""
    confidence: Share
    """The probability of `value`, if there is a number."""
    accepted: bool
    """Whether the answer is accepted."""
    reason: str | None = Field(json_schema_extra={"enum": [None, *NUMBER_ADVICE]})
    """Why the answer is not accepted, or null."""
    advice: str | None
    """What helps if the answer is not accepted, or null."""
    is_number_probability: Share
    """The probability that the picture shows a number at all."""
    candidates: Annotated[list[Candidate], Field(max_length=int(COUNT.most))]
    """Possible values, the most probable first."""
    other: Share
    """The probability of all other values; it sums to one with the probabilities of `candidates`."""
    places: list[Annotated[list[float], Field(min_length=2, max_length=2)]]
    """The left and the right end of each character of `text`, in pixels of the picture."""
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None
    """Where the line is: top, bottom, left and right in pixels of the picture; null if the picture is blank."""
    how: str | None
    """What the reader took for the line, in words such as `dark ink, found`; null if the picture is blank."""
    others: list[Annotated[list[int], Field(min_length=4, max_length=4)]]
    """The boxes of other numbers that count as much, in the form of `box`; empty if this is the only number."""


Point = Annotated[list[float], Field(min_length=2, max_length=2)]
"""x and y, in pixels of the picture."""


class FoundNumber(NumberReading):
    """A number that was found on a picture."""

    corners: Annotated[list[Point], Field(min_length=4, max_length=4)]
    """The corners of the number: upper left, upper right, lower right and lower left along its own line; each x and y
    in pixels."""
    orientation: float
    """The direction of its line in degrees, clockwise: 0 is to the right, 90 down."""
    written: str
    """All characters seen there, with signs: ¤ is a sign of a currency, ? another character."""


class FoundNumbers(Model):
    """All numbers on a picture."""

    width: Length
    """The width of the upright picture in pixels."""
    height: Length
    """The height of the upright picture in pixels."""
    numbers: list[FoundNumber]
    """The numbers in reading order."""


class Problem(Model):
    """Why there is no reading, by RFC 9457."""

    type: str = Field(json_schema_extra={"enum": [kind.type for kind in KINDS.values()]})
    """A URI that names the kind of problem."""
    title: str
    """The kind of problem, in words."""
    status: Annotated[int, Field(ge=400, le=599)]
    """The HTTP status."""
    detail: str
    """What was given, what was expected, and how to mend it."""
    instance: str
    """The path of the request."""


class Failed(Model):
    """Takes the place of the reading of a picture that cannot be read."""

    error: Problem


class Readings(Model):
    """The answers of a batch, in the order of its pictures."""

    readings: list[Reading | Failed]


Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
"""The bytes of a file."""
Values = dict[str, float | None]
"""Numbers by the names of fields; null for an unknown number."""
Listed = list[dict[str, Any]]
"""Objects; the description of each field names their members."""


class Sheet(Model):
    """The reading of a filled form. If it cannot be read, all is null but its `path` and the `error`."""

    row: int
    """The place of the form in the request, from 0."""
    path: str
    """The name of its picture."""
    state: str | None = Field(json_schema_extra={"enum": [None, *get_args(Outcome)]})
    """The verdict."""
    identity: str | None
    """The identity on the form; `?` is an unsure handwritten digit."""
    layout: str | None
    """The id of its layout."""
    version: int | None
    """The version of its layout."""
    probability: Share | None
    """The probability of all values together."""
    values: Values | None
    """The most probable numbers."""
    read: Values | None
    """The numbers as they were read, without the sums."""
    how: dict[str, str] | None
    """How each field shows its number: `number`, `empty`, `filler`, `correction` or `unclear`."""
    corrections: Listed | None
    """The cells that the sums change: `field`, `read`, `value`, `probability`."""
    wrong: Listed | None
    """The wrong totals: `field`, `written`, `sum`, the `kind` of slip and its `probability`."""
    look: Listed | None
    """The cells to look at: `field` and `candidates`, each with a `value` and its `probability`."""
    matrix: list[float] | None
    """Maps millimetres on the form to pixels of the picture, row by row."""
    offset: float | None
    """The largest error of the corner tags, in pixels at 200 per inch."""
    error: str | None
    """Why the form cannot be read."""
    notes: dict[str, list[list[str]]]
    """What the workbook says of fields, in pairs of a state and a text."""
    crops: dict[str, Base64] | None = None
    """Pictures of fields (PNG); only if asked for."""


class Sheets(Model):
    """The readings of filled forms, in the order of their pictures and pages."""

    title: str
    """The title of the layout."""
    fields: list[dict[str, str]]
    """The fields of the layout, totals last, each with `name` and `label`."""
    rows: list[Sheet]
    """A row for each form."""
    workbook: Base64 | None = None
    """The workbook (.xlsx); only if asked for."""


class TableCell(Model):
    """A number of a table."""

    cell: str
    """The name of its cell, as in a spreadsheet."""
    row: Length
    """Its row, from 1."""
    column: Length
    """Its column, from 1."""
    value: int | str | None
    """The number; a string if it may have decimals, null if nothing is known."""
    probability: Share
    """The probability of `value`."""
    state: str = Field(json_schema_extra={"enum": [*get_args(State)]})
    """`read`: sure, and in no relation. `checked`: relations make sure what was read. `corrected`: relations make
    another number sure. `doubtful`: a person should look at it. `struck out`: somebody crossed it out."""
    read: str
    """The number as it was read, without relations."""
    candidates: Listed
    """The numbers that it may be, the most probable first: `value` and `probability`."""
    corners: list[Point]
    """Its corners on the picture."""
    seen: list[list[float]]
    """The numbers that it may be, without relations: pairs of a value, in units of the last decimal, and its
    probability."""


class ReadTable(Model):
    """The numbers of a table, and the relations among them."""

    path: str
    """The name of its picture."""
    rows: int
    """How many rows it has."""
    columns: int
    """How many columns it has."""
    cells: list[TableCell]
    """Its numbers, row by row."""
    rules: Listed
    """The relations of rows or columns: `formula`; `places`, the columns or rows where it holds, null for all; `held`,
    in how many places the numbers agree with it; `seen`, in how many it can be tested; `log_p`, the decimal logarithm
    of the probability that so many agree by chance."""
    broken: Listed
    """The relations of cells that do not hold: `formula`, the `kind` of slip, and the `probability` that it does not
    hold."""
    exact: bool
    """Whether the probabilities are exact."""
    beside: int
    """How many digits on the picture stand in no cell."""
    learned: bool
    """Whether the writer's hand was learned."""
    workbook: Base64 | None = None
    """The workbook (.xlsx); only if asked for."""


class TriedHand(Model):
    """The cross-validation of one network with the hand."""

    examples: int
    """How many digits were read."""
    wrong: Annotated[list[int], Field(min_length=2, max_length=2)]
    """How many of the digits were wrong, before and after learning."""
    loss: Annotated[list[float], Field(min_length=2, max_length=2)]
    """The mean of −log of the probability of the right answer, before and after learning, in nats."""


class LearnedHand(Model):
    """The hand that the server learned from a writer's pictures."""

    hand: dict[str, Any]
    """The content of the hand's file; send it as the field `hand` with pictures to read."""
    name: str | None
    """The name under which this server keeps the hand; null if it keeps none, or if the hand does not help."""
    helps: bool
    """Whether the hand helps, by cross-validation."""
    trials: dict[str, TriedHand]
    """The cross-validation by network: digits, numbers, cells."""


class Status(Model):
    """Says that the server is alive or ready, or has forgotten a hand."""

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
OF_FORM = (*OF_BODIES, "layout", "not-installed")
OF_SHEETS = (*OF_FORM, "hand")
OF_TABLE = (*OF_NUMBER, "sheet")
"""The problems that a request may have, by its kind."""


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The responses for these problems, by status."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in [kind for kind in KINDS.values() if kind.slug in slugs]:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        response = responses.setdefault(kind.status, {"description": "", "content": content})
        response["description"] += f"{'; or ' if response['description'] else ''}{kind.title} (`{kind.slug}`)"
        if "retry-after" in kind.headers:
            response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return responses

"""Makes the OpenAPI document: the schemas of answers, from the dataclasses of readings, and the problems of each path.

The schemas only describe the answers: `json` writes each answer as its reading gives it. The models of requests are in
`serve/bodies`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from types import GenericAlias
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import models_json_schema

from sumnist.inference import ctc, inside, numbers, paper, reader
from sumnist.serve.problems import KINDS, MEDIA_TYPE
from sumnist.sheets.check import Outcome
from sumnist.sheets.reading import SheetReading
from sumnist.tables import reading as tables

SUMMARY = """\
Reads a handwritten digit, adds a number to it, and says how sure it is of both. Reads numbers of any length, or all
that it finds on a picture. Prints forms, and reads filled ones and tables.

Every error is a problem by RFC 9457. A picture that can be decoded always gets a reading; `accepted` says whether
to trust it, and if not, `reason` says why and `advice` what helps."""


class Model(BaseModel):
    """An object with these members and no others."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def model_of(
    kind: type,
    name: str | None = None,
    properties: str = "",
    without: str = "",
    base: type[Model] = Model,
    **other: Any,
) -> Any:
    """The model of the JSON that a dataclass or named tuple becomes.

    Args:
        kind: The class. Its docstring describes the fields.
        name: The name of the model, if it is another one than that of the class.
        properties: The names of properties that the JSON has, too.
        without: The names of fields that it lacks.
        base: The model that it extends.
        **other: Types that are others in JSON, by field; or pairs of a type and its `Field`, in or beyond the class.
    """
    told: dict[str, str] = {}
    for level in reversed(kind.__mro__):
        text = inspect.cleandoc(level.__doc__ or "")
        found = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", text, re.MULTILINE)
        told |= {field: re.sub(r"\s+", " ", words).replace("None", "null") for field, words in found}
    hints = get_type_hints(kind)
    for key in properties.split():
        member: Any = getattr(kind, key)
        hints[key], told[key] = get_type_hints(member.fget)["return"], inspect.getdoc(member) or ""
    members: dict[str, Any] = {
        key: one if isinstance(one, tuple) else (one, Field(description=told.get(key)))
        for key, one in (hints | other).items()
        if key not in without.split()
    }
    summary = (inspect.getdoc(kind) or "").partition("\n\n")[0]
    return create_model(name or kind.__name__, __base__=base, __doc__=summary, **members)


def list_of(kind: Any) -> Any:
    """The type of lists of a model."""
    return GenericAlias(list, (kind,))


def if_asked(kind: Any, text: str) -> tuple[Any, Any]:
    """A member that is there only if a client asks for it."""
    return kind, Field(default=None, description=f"{text} Only if asked for.")


def one_of(*words: str | None) -> Any:
    """The type of a member that is one of these words."""
    return Annotated[str | None, Field(json_schema_extra={"enum": [*words]})]


Listed = list[dict[str, Any]]
"""Objects; the description of each field names their members."""
Number = int | str
"""A number; a string if it may have decimals."""
Numbers = dict[str, float | None]
"""Numbers by the names of fields; null for an unknown number."""

# Readings.


class Formatted(Model):
    """A reading of one picture."""

    format: int
    """The version of this format."""


class Step(Model):
    """A step from the picture to the image that the network saw. `pixels` are in base64, a byte a pixel, row by row: 0
    is black, 255 white."""

    caption: str
    width: int
    height: int
    pixels: str


LAYER: dict[str, Any] = {"channels": (int, ...), "side": (int, ...), "peak": (float, ...), "maps": (str, ...)}
"""What the JSON of a layer has instead of its values: the number of maps, their side, the largest value, and the maps,
a byte a value in base64, of which 255 is the largest one."""
Layer = model_of(inside.Layer, without="values", field=model_of(inside.Field, "LayerField") | None, **LAYER)
Proposal = model_of(inside.Tried, "Proposal", image=str)
Inside = model_of(inside.Inside, steps=list[Step], proposals=list_of(Proposal), layers=list_of(Layer))
Evidence = model_of(inside.Evidence, probabilities=list[float], changes=list[float])
Reading = model_of(
    reader.Reading, properties="sum_confidence advice", base=Formatted, sums=list[int],
    reason=one_of(None, *reader.REASONS.values(), reader.NOT_A_DIGIT, reader.UNUSUAL, reader.UNSURE),
    image=if_asked(list[list[float]], "The image that the network saw, row by row."),
    inside=if_asked(Inside, "How the reading came about."),
    evidence=if_asked(Evidence | None, "Which places speak for which digits; null if the picture is blank."),
    beside=if_asked(
        dict[str, Any] | None, "The reading of the second network; null if it cannot add this number. `left_out` has "
        "for each digit the number that it never added in training.",
    ),
)  # fmt: skip
Candidate = model_of(ctc.Candidate, value=Number)
NUMBER_IN_JSON: dict[str, Any] = {
    "properties": "digits advice", "without": "image", "base": Formatted, "value": Number | None,
    "candidates": list_of(Candidate), "reason": one_of(None, *numbers.NUMBER_ADVICE),
}  # fmt: skip
NumberReading = model_of(numbers.NumberReading, **NUMBER_IN_JSON)
FoundNumber = model_of(numbers.FoundNumber, **NUMBER_IN_JSON)
FoundNumbers = create_model(
    "FoundNumbers", __base__=Model, __doc__="All numbers in reading order, and the size of the upright picture.",
    width=(int, ...), height=(int, ...), numbers=(list_of(FoundNumber), ...),
)  # fmt: skip
PaperSum = model_of(
    paper.PaperSum, properties="advice", base=Formatted, verdict=one_of(*paper.LEAST, paper.UNSURE),
    candidates=list_of(model_of(paper.SumCandidate)),
)  # fmt: skip
PaperSums = create_model(
    "PaperSums", __base__=Model, __doc__="All sums in reading order, and the size of the upright picture.",
    width=(int, ...), height=(int, ...), sums=(list_of(PaperSum), ...),
)  # fmt: skip


class Problem(Model):
    """Why there is no reading, by RFC 9457."""

    type: str = Field(json_schema_extra={"enum": [kind.type for kind in KINDS.values()]})
    """A URI that names the kind of problem."""
    title: str
    """The kind of problem, in words."""
    status: int = Field(ge=400, le=599)
    """The HTTP status."""
    detail: str
    """What was given, what was expected, and how to mend it."""
    instance: str
    """The path of the request."""


class Failed(Model):
    """Takes the place of the reading of a picture that cannot be read."""

    error: Problem


Readings = create_model(
    "Readings", __base__=Model, __doc__="The answers of a batch, in the order of its pictures.",
    readings=(list_of(Reading | Failed), ...),
)  # fmt: skip

# Forms and tables.


class OfForm(Model):
    """A row about a form."""

    row: int
    """The place of the form in the request, from 0."""
    path: str
    """The name of its picture."""
    error: str | None
    """Why the form cannot be read; if it cannot, all that is read is null."""
    notes: dict[str, list[list[str]]]
    """What the workbook says of fields, in pairs of a state and a text."""
    crops: dict[str, str] | None = None
    """Pictures of fields, PNG in base64; only if asked for."""


Sheet = model_of(
    SheetReading, "Sheet", base=OfForm, state=one_of(None, *get_args(Outcome)), layout=str | None,
    probability=float | None, values=Numbers | None, read=Numbers | None, how=dict[str, str] | None,
    corrections=Listed | None, wrong=Listed | None, look=Listed | None, matrix=list[float] | None,
)  # fmt: skip


class Sheets(Model):
    """The readings of filled forms, in the order of their pictures and pages."""

    title: str
    """The title of the layout."""
    fields: list[dict[str, str]]
    """The fields of the layout, totals last, each with `name` and `label`."""
    rows: list_of(Sheet)  # type: ignore[valid-type]
    """A row for each form."""
    workbook: str | None = None
    """The workbook (.xlsx) in base64; only if asked for."""


class OfCell(Model):
    """A member of a cell."""

    cell: str
    """The name of the cell, as in a spreadsheet."""


class OfTable(Model):
    """Members of a table."""

    path: str
    """The name of its picture."""
    learned: bool
    """Whether the writer's hand was learned."""
    workbook: str | None = None
    """The workbook (.xlsx) in base64; only if asked for."""


TableCell = model_of(
    tables.Cell, "TableCell", base=OfCell, row=(int, Field(description="Its row, from 1.")), value=Number | None,
    column=(int, Field(description="Its column, from 1.")), state=one_of(*get_args(tables.State)), candidates=Listed,
)  # fmt: skip
ReadTable = model_of(
    tables.Table, "ReadTable", without="hand", base=OfTable, cells=list_of(TableCell), rules=Listed, broken=Listed
)

# Hands, and the server.


class TriedHand(Model):
    """The cross-validation of one network with the hand."""

    examples: int
    """How many digits were read."""
    wrong: list[int]
    """How many of the digits were wrong, before and after learning."""
    loss: list[float]
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
    """The cross-validation by network: digits, numbers."""


class Status(Model):
    """Says that the server is alive or ready, or has forgotten a hand."""

    status: str


class MayHave:
    """The problems that a request may have, by its kind."""

    state = ("malformed-request", "headers-too-large", "forbidden", "internal", "busy")
    tokens = (*state, "unauthorized")
    bodies = (
        *tokens, "malformed-body", "request-timeout", "body-too-large", "unsupported-media-type", "invalid-request",
        "reading-timeout",
    )  # fmt: skip
    pictures = ("damaged-picture", "picture-too-large", "unknown-format")
    batch = (*bodies, "number", "hand")
    reading = (*batch, *pictures)
    number = (*bodies, *pictures, "hand")
    hand = (*bodies, *pictures, "hand")
    form = (*bodies, "layout", "not-installed")
    sheets = (*form, "hand")
    table = (*number, "sheet")


def responses(slugs: tuple[str, ...]) -> dict[str, Any]:
    """The responses for these problems, by status."""
    found: dict[str, Any] = {}
    for kind in [kind for kind in KINDS.values() if kind.slug in slugs]:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        response = found.setdefault(str(kind.status), {"description": "", "content": content})
        response["description"] += f"{'; or ' if response['description'] else ''}{kind.title} (`{kind.slug}`)"
        if "retry-after" in kind.headers:
            response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return found


def schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """The schemas of these models, of all that they refer to, and of a problem, by name."""
    asked: Any = [(model, "serialization") for model in (*models, Problem)]
    _, found = models_json_schema(asked, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = found["$defs"]
    return schemas

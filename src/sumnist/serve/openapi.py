"""What is promised of the API, as an OpenAPI 3.1 document: every path, every body, every answer."""

from __future__ import annotations

from copy import deepcopy
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE
from sumnist.serve.bodies import FORM, JSON, MOST_NUMBER
from sumnist.serve.metrics import MEDIA_TYPE as METRICS_TYPE
from sumnist.serve.problems import KINDS, MEDIA_TYPE
from sumnist.serve.settings import Settings

__all__ = ["BATCH", "HEALTH", "METRICS", "OPENAPI", "READ", "READY", "document_of"]

SUMMARY = """\
Reads a handwritten digit, adds a number to it, and says how sure it is of both.

Every error is a problem by RFC 9457. A picture that can be decoded always gets a reading; whether it is to be trusted
says `accepted`, and if not, `reason` says why."""

PERMITTED = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class ReadingModel(BaseModel):
    """What is said of one picture and one number."""

    model_config = PERMITTED | ConfigDict(title="Reading")

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
    image: list[list[float]] | None = Field(
        default=None, min_length=28, max_length=28, description="What the network saw, row by row; only if asked for."
    )
    beside: ReadingModel | None = Field(
        default=None,
        description="What the second network says, null if it cannot add this number; only if asked for and there.",
    )


class ProblemModel(BaseModel):
    """Why there is no reading, by RFC 9457."""

    model_config = PERMITTED | ConfigDict(title="Problem")

    type: str = Field(
        description="Names the kind of problem.", json_schema_extra={"enum": [kind.type for kind in KINDS.values()]}
    )
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(ge=400, le=599, description="The status of HTTP.")
    detail: str = Field(description="What was given, what was expected, and the mend.")
    instance: str = Field(description="The path that was asked.")


class FailedModel(BaseModel):
    """Stands where a reading would, of a picture that cannot be read."""

    model_config = PERMITTED | ConfigDict(title="Failed")

    error: ProblemModel


class ReadingsModel(BaseModel):
    """The answers of a batch, in the order of what was asked."""

    model_config = PERMITTED | ConfigDict(title="Readings")

    readings: list[ReadingModel | FailedModel]


class StatusModel(BaseModel):
    """That the server is alive, or ready."""

    model_config = PERMITTED | ConfigDict(title="Status")

    status: str


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The responses that are these problems, by status."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        kind = KINDS[slug]
        entry = found.setdefault(kind.status, {"description": "", "content": {MEDIA_TYPE: {"schema": PROBLEM}}})
        entry["description"] += f"{'; or ' if entry['description'] else ''}{kind.title} (`{kind.slug}`)"
        if "retry-after" in kind.headers:
            entry["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return found


PROBLEM = {"$ref": "#/components/schemas/Problem"}
OF_READING = problems(
    "malformed-request", "malformed-body", "damaged-picture", "request-timeout", "body-too-large", "picture-too-large",
    "unsupported-media-type", "unknown-format", "invalid-request", "number", "headers-too-large", "internal", "busy",
    "reading-timeout",
)  # fmt: skip
OF_BATCH = problems(
    "malformed-request", "malformed-body", "request-timeout", "body-too-large", "unsupported-media-type",
    "invalid-request", "number", "headers-too-large", "internal", "busy", "reading-timeout",
)  # fmt: skip
OF_STATE = problems("malformed-request", "headers-too-large", "internal", "busy")


def ok(schema: type[BaseModel], description: str) -> dict[int | str, dict[str, Any]]:
    """The response 200 with a model."""
    return {200: {"description": description, "content": {JSON: {"schema": {"$ref": ref(schema)}}}}}


def ref(model: type[BaseModel]) -> str:
    return f"#/components/schemas/{model.model_config['title']}"


NUMBER = {"type": "integer", "minimum": -MOST_NUMBER, "maximum": MOST_NUMBER, "description": "The number to add."}
FILE = {"type": "string", "format": "binary", "description": "The file of a picture: PNG, JPEG, WebP and others."}
BASE64 = {
    "type": "string", "format": "byte", "contentEncoding": "base64",
    "description": "The bytes of the file of a picture, in base64 without line breaks.",
}  # fmt: skip
ITEM = {
    "type": "object", "required": ["picture", "number"], "properties": {"picture": BASE64, "number": NUMBER},
}  # fmt: skip


def body(form: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The two kinds of a request's body."""
    content = {FORM: {"schema": form}, JSON: {"schema": document}}
    return {"requestBody": {"required": True, "content": content}}


def one_or_more(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """A field of a form that may be there several times."""
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}], "description": description}


READ: dict[str, Any] = {
    "operation_id": "read", "summary": "Read one picture and add a number", "tags": ["readings"],
    "response_model": None, "responses": ok(ReadingModel, "The reading, accepted or not.") | OF_READING,
    "openapi_extra": body(
        {"type": "object", "required": ["picture", "number"], "properties": {"picture": FILE, "number": NUMBER}}, ITEM
    ),
}  # fmt: skip
BATCH: dict[str, Any] = {
    "operation_id": "readBatch", "summary": "Read several pictures", "tags": ["readings"],
    "response_model": None, "responses": ok(ReadingsModel, "A reading or a problem for each picture.") | OF_BATCH,
    "openapi_extra": body(
        {
            "type": "object", "required": ["picture", "number"],
            "properties": {
                "picture": one_or_more(FILE, "The files, each in a field of its own."),
                "number": one_or_more(NUMBER, "One for all pictures, or one for each, in their order."),
            },
        },
        {
            "type": "object", "required": ["readings"],
            "properties": {"readings": {"type": "array", "items": ITEM, "minItems": 1}},
        },
    ),
}  # fmt: skip


def state(operation: str, summary: str, responses: dict[int | str, dict[str, Any]]) -> dict[str, Any]:
    """What `FastAPI` is told of a path that tells how the server is."""
    return {
        "operation_id": operation, "summary": summary, "tags": ["server"], "response_model": None,
        "responses": OF_STATE | responses,
    }  # fmt: skip


HEALTH = state("healthz", "Whether the process lives", ok(StatusModel, "It does."))
READY = state(
    "readyz", "Whether to send requests here",
    ok(StatusModel, "The network is loaded.") | problems("not-ready", "busy"),
)  # fmt: skip
METRICS = state(
    "metrics", "Counts and times, for Prometheus",
    {200: {"description": "Its text format.", "content": {METRICS_TYPE: {"schema": {"type": "string"}}}}},
)  # fmt: skip
OPENAPI = state(
    "openapi", "This document",
    {200: {"description": "OpenAPI 3.1.", "content": {JSON: {"schema": {"type": "object"}}}}},
)  # fmt: skip


def document_of(app: FastAPI, settings: Settings, exact: bool) -> dict[str, Any]:
    """The document of `app`, with the limits of these settings and the numbers that the network adds."""
    document = deepcopy(
        get_openapi(
            title="Sumnist", version=version("sumnist"), description=SUMMARY, routes=app.routes, openapi_version="3.1.0"
        )
    )
    schemas: dict[str, Any] = {}
    for model in (ReadingModel, ProblemModel, FailedModel, ReadingsModel, StatusModel):
        schema = model.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        if "title" in schema:  # one that holds another of its kind is among the $defs itself
            schemas[schema["title"]] = schema
    document["components"] = {"schemas": renamed(schemas)}
    bounded(document["paths"], settings.batch, None if exact else 9)
    return document


def renamed(schemas: dict[str, Any]) -> dict[str, Any]:
    """Schemas under their titles, and so the references to them; what is only told if it is asked for is optional."""
    titles = {name: schema["title"] for name, schema in schemas.items()}

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: f"#/components/schemas/{titles[one.rpartition('/')[2]]}" if key == "$ref" else named(one)
                for key, one in value.items()
            }
        return [named(one) for one in value] if isinstance(value, list) else value

    found = {titles[name]: named(schema) for name, schema in schemas.items()}
    optional = {"image", "beside"}
    found["Reading"]["required"] = [name for name in found["Reading"]["properties"] if name not in optional]
    return found


def bounded(value: Any, batch: int, most_number: int | None) -> None:
    """Put the limits into the schemas of the request bodies, in place."""
    if isinstance(value, dict):
        if value.get("type") == "array" and "minItems" in value:
            value["maxItems"] = batch
        if value.get("maximum") == MOST_NUMBER and most_number is not None:
            value |= {"minimum": 0, "maximum": most_number}
        for one in value.values():
            bounded(one, batch, most_number)
    elif isinstance(value, list):
        for one in value:
            bounded(one, batch, most_number)

"""Turns errors into the problems (RFC 9457) that clients see: the kinds of problems, and the kind of each error."""

from __future__ import annotations

import traceback
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from sumnist import errors
from sumnist.errors import SumnistError

MEDIA_TYPE = "application/problem+json"
CLOSED = {"connection": "close"}
RETRY = {"retry-after": "1"}


@dataclass(frozen=True)
class Kind:
    """A kind of problem: the last part of its type, its status, its title, and the headers of its answers."""

    slug: str
    status: int
    title: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The URI that names it."""
        return f"urn:sumnist:problem:{self.slug}"


KINDS = {
    kind.slug: kind
    for kind in (
        Kind("malformed-request", 400, "Not an HTTP request", CLOSED),
        Kind("malformed-body", 400, "The body cannot be parsed"),
        Kind("damaged-picture", 400, "The picture cannot be read"),
        Kind("unauthorized", 401, "A token is needed"),
        Kind("forbidden", 403, "Not under this name"),
        Kind("not-found", 404, "There is nothing here"),
        Kind("method-not-allowed", 405, "Not with this method"),
        Kind("request-timeout", 408, "The request came too slowly", CLOSED),
        Kind("body-too-large", 413, "The body is too large"),
        Kind("picture-too-large", 413, "The picture has too many pixels"),
        Kind("unsupported-media-type", 415, "Not a body of a kind that is read here"),
        Kind("unknown-format", 415, "Not a picture of a format that is read here"),
        Kind("invalid-request", 422, "The request lacks something, or has something wrong"),
        Kind("number", 422, "The number cannot be added"),
        Kind("hand", 422, "The hand cannot be learned, or is none that this server knows"),
        Kind("layout", 422, "The layout of the form cannot be used"),
        Kind("sheet", 422, "The picture shows no form or table that can be read"),
        Kind("not-installed", 422, "This server lacks what it would need for that"),
        Kind("headers-too-large", 431, "The headers are too large", CLOSED),
        Kind("internal", 500, "Something is wrong with this server"),
        Kind("busy", 503, "Too many requests at once", RETRY),
        Kind("reading-timeout", 503, "The reading took too long", RETRY),
        Kind("not-ready", 503, "This server is shutting down", RETRY),
    )
}
"""Every kind by its slug."""
INTERNAL = (
    errors.SumnistError, errors.ConfigError, errors.DataError, errors.EquationError, errors.RunError,
    errors.TrainingError, errors.ExportError, errors.ScoreError, errors.ServeError,
    errors.OutputError,
)  # fmt: skip
"""Errors that no request can cause."""
OF_ERRORS: dict[type[SumnistError], str] = {
    errors.NumberError: "number",
    errors.HandError: "hand",
    errors.LayoutError: "layout",
    errors.SheetError: "sheet",
    errors.ImageError: "damaged-picture",
    errors.FormatError: "unknown-format",
    errors.SizeError: "picture-too-large",
    errors.MissingExtraError: "unknown-format",  # the library that would read HEIC
} | dict.fromkeys(INTERNAL, "internal")
"""The kind of problem for each class of error; a test makes sure that none is missing."""
HIDDEN = "the fault is not the request's; the server's log says what happened"
"""The detail of a problem whose error message is hidden from clients."""


class Problem(Exception):  # noqa: N818
    """An error that becomes the answer to a request; any code that handles a request may raise it. `slug` names its
    kind."""

    log: str | None = None
    """What the server should log of it; None if it is the request's fault."""

    def __init__(self, slug: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.kind = KINDS[slug]
        self.detail = detail
        self.headers = self.kind.headers | headers

    def __reduce__(self) -> tuple[Any, ...]:
        """How pickle rebuilds it in another process; its `args` alone would not do."""
        return Problem, (self.kind.slug, self.detail), {"headers": self.headers, "log": self.log}

    def as_dict(self, instance: str) -> dict[str, Any]:
        """The members of RFC 9457; `instance` is the path of the request."""
        type, title, status = self.kind.type, self.kind.title, self.kind.status
        return {"type": type, "title": title, "status": status, "detail": self.detail, "instance": instance}


def problem_of(error: Exception) -> Problem:
    """The problem for `error`, without its traceback and causes, whose frames hold the body. It has the error's message
    only if a request can cause such an error; otherwise the message and the traceback are for the log."""
    if isinstance(error, Problem):
        return copy(error.with_traceback(None))
    if isinstance(error, MemoryError):
        return Problem("busy", "the memory is full: try again in a second")
    slug = next((OF_ERRORS[kind] for kind in type(error).__mro__ if kind in OF_ERRORS), "internal")
    problem = Problem(slug, HIDDEN if slug == "internal" else str(error))
    problem.log = "".join(traceback.format_exception(error)) if slug == "internal" else None
    return problem

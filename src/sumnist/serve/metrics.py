"""What a server counts, and its text as Prometheus reads it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sumnist.inference.numbers import NUMBER_ADVICE
from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE
from sumnist.serve.problems import KINDS, Problem

__all__ = ["ACCEPTED", "MEDIA_TYPE", "Metrics"]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
ROUTES = (
    "/v1/read", "/v1/read/batch", "/v1/read-number", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/",
    "/static", OTHER,
)  # fmt: skip
"""The routes that are told apart; any other path counts as "other"."""
STATUSES = tuple(map(str, (200, 304, *sorted({kind.status for kind in KINDS.values()}))))
TIMED = ("/v1/read", "/v1/read/batch", "/v1/read-number")
EDGES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, float("inf"))
"""Upper edges of the histogram's buckets, in seconds."""
EDGE_NAMES = (*(f"{edge:g}" for edge in EDGES[:-1]), "+Inf")
ACCEPTED = "accepted"
OUTCOMES = tuple(dict.fromkeys((ACCEPTED, *REASONS.values(), NOT_A_DIGIT, UNSURE, *NUMBER_ADVICE)))

HEADS = {
    "sumnist_requests_total": ("counter", "Requests answered, by route and status."),
    "sumnist_request_seconds": ("histogram", "Seconds from a request's headers to the end of its answer."),
    "sumnist_requests_in_flight": ("gauge", "Requests that are being received, read or answered."),
    "sumnist_requests_shed_total": ("counter", "Requests answered 503 because there was no room."),
    "sumnist_readings_total": ("counter", "Pictures read: accepted, or the reason why not."),
    "sumnist_problems_total": ("counter", "Pictures and requests that came to a problem, by its type."),
}
"""The type of each metric, and its meaning."""
SAMPLES: dict[str, dict[str, tuple[str, ...]]] = {
    "sumnist_requests_total": {"route": ROUTES, "status": STATUSES},
    "sumnist_request_seconds_bucket": {"route": TIMED, "le": EDGE_NAMES},
    "sumnist_request_seconds_sum": {"route": TIMED},
    "sumnist_request_seconds_count": {"route": TIMED},
    "sumnist_requests_in_flight": {},
    "sumnist_requests_shed_total": {},
    "sumnist_readings_total": {"outcome": OUTCOMES},
    "sumnist_problems_total": {"problem": tuple(KINDS)},
}
"""The samples of the metrics, each with the values of its labels."""
SLOTS = {
    slot: place
    for place, slot in enumerate(
        (name, *values) for name, labels in SAMPLES.items() for values in product(*labels.values())
    )
}
"""Where each sample is counted in a row."""


class Metrics:
    """The counts of a server."""

    def __init__(self) -> None:
        self._row: NDArray[np.float64] = np.zeros(len(SLOTS))

    def _add(self, *slot: str, value: float = 1) -> None:
        self._row[SLOTS[slot]] += value

    def begin(self) -> float:
        """A request has come; the moment, for `end`."""
        self._add("sumnist_requests_in_flight")
        return time.perf_counter()

    def end(self, path: str, status: int, begun: float) -> None:
        """It has been answered, or given up by its client (then its `status` is 0, and only its end counts)."""
        route = "/static" if path.startswith("/static/") else path if path in ROUTES else OTHER
        self._add("sumnist_requests_in_flight", value=-1)
        if str(status) in STATUSES:
            self._add("sumnist_requests_total", route, str(status))
        if route in TIMED and status:
            seconds = time.perf_counter() - begun
            first = SLOTS["sumnist_request_seconds_bucket", route, EDGE_NAMES[0]]
            self._row[first + bisect_left(EDGES, seconds) : first + len(EDGES)] += 1  # a bucket holds those below it
            self._add("sumnist_request_seconds_sum", route, value=seconds)
            self._add("sumnist_request_seconds_count", route)

    def count(self, outcome: str | Problem) -> None:
        """What came of a picture, one of `OUTCOMES`, or the problem with it."""
        if isinstance(outcome, Problem):
            self.count_problem(outcome.kind.slug)
        else:
            self._add("sumnist_readings_total", outcome)

    def count_problem(self, slug: str) -> None:
        """A picture or a request came to the problem `slug`."""
        self._add("sumnist_problems_total", slug)
        if slug == "busy":
            self._add("sumnist_requests_shed_total")

    def refused(self, problem: Problem) -> None:
        """A connection was closed with a problem before its request had a route."""
        self.count(problem)
        self._add("sumnist_requests_total", OTHER, str(problem.kind.status))

    def text(self) -> str:
        """All counts in Prometheus' text format."""
        return "\n".join(lines(self._row)) + "\n"


def lines(totals: NDArray[np.float64]) -> Iterator[str]:
    """The lines of the text; routes with statuses that never occurred are left out."""
    for family, (kind, meaning) in HEADS.items():
        yield f"# HELP {family} {meaning}"
        yield f"# TYPE {family} {kind}"
        for name, *values in SLOTS:
            total = float(totals[SLOTS[name, *values]])
            if name.startswith(family) and (total or name != "sumnist_requests_total"):
                labels = ",".join(f'{label}="{value}"' for label, value in zip(SAMPLES[name], values, strict=True))
                shown = f"{total:.0f}" if total.is_integer() else repr(total)
                yield f"{name}{{{labels}}} {shown}" if labels else f"{name} {shown}"

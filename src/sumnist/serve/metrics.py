"""What a server counts, as Prometheus reads it."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from sumnist.inference.numbers import NUMBER_ADVICE
from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE
from sumnist.serve.problems import KINDS, Problem
from sumnist.serve.reading import ACCEPTED

__all__ = ["Metrics", "MetricsText"]

OTHER = "other"
TIMED = ("/v1/read", "/v1/read/batch", "/v1/read-number")
ROUTES = (*TIMED, "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/", "/static")
"""The routes that are told apart; any other path counts as "other"."""
EDGES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper edges of the histogram's buckets, in seconds."""
OUTCOMES = (ACCEPTED, *REASONS.values(), NOT_A_DIGIT, UNSURE, *NUMBER_ADVICE)

disable_created_metrics()  # type: ignore[no-untyped-call]


class MetricsText(Response):
    """Prometheus' text format."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """The counts of a server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "sumnist_requests", "Requests answered, by route and status.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "sumnist_request_seconds", "Seconds from a request's headers to the end of its answer.", ["route"],
            buckets=EDGES, registry=registry,
        )  # fmt: skip
        self._in_flight = Gauge(
            "sumnist_requests_in_flight", "Requests that are being received, read or answered.", registry=registry
        )
        self._shed = Counter(
            "sumnist_requests_shed", "Requests answered 503 because there was no room.", registry=registry
        )
        self._readings = Counter(
            "sumnist_readings", "Pictures read: accepted, or the reason why not.", ["outcome"], registry=registry
        )
        self._problems = Counter(
            "sumnist_problems", "Pictures and requests that came to a problem, by its type.", ["problem"],
            registry=registry,
        )  # fmt: skip
        for counts, values in ((self._seconds, TIMED), (self._readings, OUTCOMES), (self._problems, KINDS)):
            for value in values:
                counts.labels(value)  # shown as 0 until it occurs

    def begin(self) -> float:
        """Count a request that has come; the moment, for `end`."""
        self._in_flight.inc()
        return time.perf_counter()

    def end(self, path: str, status: int, begun: float) -> None:
        """Count its answer; the `status` is 0 if its client gave it up, and only its end counts."""
        self._in_flight.dec()
        if not status:
            return
        route = "/static" if path.startswith("/static/") else path if path in ROUTES else OTHER
        self._requests.labels(route, status).inc()
        if route in TIMED:
            self._seconds.labels(route).observe(time.perf_counter() - begun)

    def count(self, outcome: str | Problem) -> None:
        """Count what came of a picture, one of `OUTCOMES`, or the problem with it or its request."""
        if isinstance(outcome, Problem):
            self._problems.labels(outcome.kind.slug).inc()
            self._shed.inc(outcome.kind.slug == "busy")
        else:
            self._readings.labels(outcome).inc()

    def refused(self, problem: Problem) -> None:
        """Count a connection that was closed with a problem before its request had a route."""
        self.count(problem)
        self._requests.labels(OTHER, problem.kind.status).inc()

    def answer(self) -> MetricsText:
        """All counts."""
        return MetricsText(generate_latest(self._registry))

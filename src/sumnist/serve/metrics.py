"""What a server counts, and its text as Prometheus reads it.

Each worker counts in a row of its own, of one table in a file that all of them map: whichever worker is asked, it
tells the sum of the rows. A worker holds its row by a lock on the file, which the system takes back from one that died;
the next one goes on with its counts, so that none ever falls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE, Reading
from sumnist.serve.problems import KINDS, Problem

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where each worker counts for itself
    fcntl = None  # type: ignore[assignment]

__all__ = ["MEDIA_TYPE", "ROUTES", "Metrics", "table_bytes"]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
ROUTES = (
    "/v1/read", "/v1/read/batch", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/", "/static", OTHER,
)  # fmt: skip
"""The routes that are told apart; "other" is what there is none for."""
STATUSES = (200, 304, *sorted({kind.status for kind in KINDS.values()}))
BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, np.inf)
"""Upper edges of the histogram, in seconds."""
TIMED = ("/v1/read", "/v1/read/batch")
OUTCOMES = ("accepted", *REASONS.values(), NOT_A_DIGIT, UNSURE)

Slot = tuple[str, ...]
SLOTS: dict[Slot, int] = {
    slot: place
    for place, slot in enumerate(
        [
            ("in flight",),
            ("shed",),
            *(("requests", route, str(status)) for route, status in product(ROUTES, STATUSES)),
            *(("bucket", route, f"{edge:g}") for route, edge in product(TIMED, BUCKETS)),
            *(("seconds", route) for route in TIMED),
            *(("readings", outcome) for outcome in OUTCOMES),
            *(("problems", slug) for slug in KINDS),
        ]
    )
}
"""Where each thing is counted in a row."""


def table_bytes(workers: int) -> int:
    """The size of the file for so many workers, with spare rows for those that take over."""
    return 2 * workers * len(SLOTS) * 8


class Metrics:
    """The counts of one worker, and their sum over all. `table`: the file that the workers share, None if alone."""

    def __init__(self, table: Path | None = None) -> None:
        self._rows: NDArray[np.float64] = np.zeros((1, len(SLOTS)))
        self._row = self._rows[0]
        self._held: IO[bytes] | None = None
        if table is not None and fcntl is not None:
            self._share(table)
        self._row[SLOTS["in flight",]] = 0  # those of one that died are no longer on their way

    def _share(self, table: Path) -> None:
        """Take the first row that no other worker has."""
        rows = np.memmap(table, np.float64, "r+").reshape(-1, len(SLOTS))
        held = table.open("r+b")
        for place in range(len(rows)):
            try:
                fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except OSError:
                continue
            self._rows, self._row, self._held = rows, rows[place], held
            return
        held.close()

    def _add(self, *slot: str, value: float = 1) -> None:
        self._row[SLOTS[slot]] += value

    def begin(self) -> float:
        """A request has come; the moment, for `end`."""
        self._add("in flight")
        return time.perf_counter()

    def end(self, route: str, status: int, begun: float) -> None:
        """It has been answered, or given up by its client (then its `status` is 0, and only its end counts)."""
        self._add("in flight", value=-1)
        if status in STATUSES:
            self._add("requests", route if route in ROUTES else OTHER, str(status))
        if route in TIMED and status:
            seconds = time.perf_counter() - begun
            edge = next(edge for edge in BUCKETS if seconds <= edge)
            self._add("bucket", route, f"{edge:g}")
            self._add("seconds", route, value=seconds)

    def count(self, outcome: Reading | Problem) -> None:
        """A reading, or a picture or request that came to a problem instead."""
        if isinstance(outcome, Problem):
            self._add("problems", outcome.kind.slug)
            if outcome.kind is KINDS["busy"]:
                self._add("shed")
        else:
            self._add("readings", outcome.reason or OUTCOMES[0])

    def refused(self, problem: Problem) -> None:
        """A connection was closed with a problem before its request had a route."""
        self.count(problem)
        self._add("requests", OTHER, str(problem.kind.status))

    def text(self) -> str:
        """All counts, those of the other workers too, in Prometheus' text format."""
        values = self._rows.sum(0)
        return "\n".join(lines(lambda *slot: float(values[SLOTS[slot]]))) + "\n"


def lines(value: Callable[..., float]) -> Iterator[str]:
    """The lines of the text; `value` gives that of a slot."""
    yield from head("sumnist_requests_total", "counter", "Requests answered, by route and status.")
    for route, status in product(ROUTES, map(str, STATUSES)):
        if value("requests", route, status):
            yield line("sumnist_requests_total", value("requests", route, status), route=route, status=status)
    yield from head(
        "sumnist_request_seconds", "histogram", "Seconds from a request's headers to the end of its answer."
    )
    for route in TIMED:
        total = 0.0
        for edge in BUCKETS:
            total += value("bucket", route, f"{edge:g}")
            shown = "+Inf" if edge == np.inf else f"{edge:g}"
            yield line("sumnist_request_seconds_bucket", total, route=route, le=shown)
        yield line("sumnist_request_seconds_sum", value("seconds", route), route=route)
        yield line("sumnist_request_seconds_count", total, route=route)
    yield from head("sumnist_requests_in_flight", "gauge", "Requests that are being received, read or answered.")
    yield line("sumnist_requests_in_flight", value("in flight"))
    yield from head("sumnist_requests_shed_total", "counter", "Requests answered 503 because there was no room.")
    yield line("sumnist_requests_shed_total", value("shed"))
    yield from head("sumnist_readings_total", "counter", "Pictures read: accepted, or the reason why not.")
    for outcome in OUTCOMES:
        yield line("sumnist_readings_total", value("readings", outcome), outcome=outcome)
    yield from head("sumnist_problems_total", "counter", "Pictures and requests that came to a problem, by its type.")
    for slug in KINDS:
        yield line("sumnist_problems_total", value("problems", slug), problem=slug)


def head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def line(name: str, value: float, **labels: Any) -> str:
    inside = ",".join(f'{key}="{label}"' for key, label in labels.items())
    shown = f"{value:.0f}" if value == int(value) else repr(value)
    return f"{name}{{{inside}}} {shown}" if labels else f"{name} {shown}"

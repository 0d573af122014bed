"""The tables of docs/serving.md, from the rows of docs/results/serving.jsonl: of each part what was measured last."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

from bench_tables import NOT_MEASURED, agreeing, median, part, table

__all__ = ["TABLES"]

Row = dict[str, Any]
Rows = list[Row]


def measured(rows: Rows) -> str:
    """What was asked, and what came of it; a line for each part that was measured."""
    body = [line for name, lines in LINES.items() if (row := last(rows, name)) is not None for line in lines(row)]
    return table(["", "measured"], body)


def where(rows: Rows) -> str:
    """Where and with what these were measured, as a sentence."""
    latest = [row for name in LINES if (row := last(rows, name)) is not None]
    if not latest:
        return NOT_MEASURED.strip()
    machines = sorted({f"{row['machine']['processor']}, {row['machine']['cores']} cores" for row in latest})
    workers = sorted({str(row["workers"]) for row in latest})
    commits = sorted({row["machine"]["commit"][:9] for row in latest})
    shared = any(set(row["server_cores"]) & set(row["load_cores"]) for row in latest)
    processes = f"{' and '.join(workers)} processes that read"
    return (
        f"Measured with {processes}, on {'; '.join(machines)}, at {', '.join(commits)}; "
        f"what asks {'shares one of these cores' if shared else 'has a core of its own'}, and is counted in."
    )


def last(rows: Rows, name: str) -> Row | None:
    """The row of a part that was measured last."""
    return max(part(rows, f"serving-{name}"), key=lambda row: row["date"], default=None)


def steady(row: Row) -> list[list[str]]:
    """Throughput, delay and memory under steady load."""
    errors = sum(row[key] for key in ("not_200", "connect", "read", "write", "timeout", "wrong"))
    return [
        [f"280×280 PNG in a form, {row['connections']} connections, {row['seconds']:.0f} s",
         f"{row['readings_per_second']:,.0f} readings a second, {errors} errors"],
        ["… until an answer", f"half within {row['p50_ms']:.0f} ms, 99 % within {row['p99_ms']:.0f} ms"],
        ["… memory of all processes, warm and at the end", memory(row, "mb_warm")],
    ]  # fmt: skip


def shed(row: Row) -> list[list[str]]:
    """Under too much."""
    refused = row["not_200"] / row["seconds"]
    return [
        [f"{row['connections']} connections, each asking again at once, {row['seconds']:.0f} s",
         f"{row['readings_per_second']:,.0f} readings a second, {refused:,.0f} refusals (503), {row['wrong']} wrong"],
        ["… until a lone client is answered as fast as before", f"{row['recovery_seconds']:.1f} s"],
    ]  # fmt: skip


def end(row: Row) -> list[list[str]]:
    """SIGTERM."""
    return [[
        f"SIGTERM under load, {row['times']} times",
        f"{row['sent']:,} requests, {row['lost']} without an answer; ended within {row['slowest_end_seconds']:.1f} s",
    ]]  # fmt: skip


def slow(row: Row) -> list[list[str]]:
    """Slow clients."""
    tries = ", ".join(f"{count:,} {kind}" for kind, count in row["tries"].items())
    return [[f"slow clients for {row['seconds']:.0f} s: {tries}", f"{others(row)}; memory {memory(row, 'mb_warm')}"]]


def hostile(row: Row) -> list[list[str]]:
    """Damaged pictures."""
    answers = ", ".join(f"{count:,} × {status}" for status, count in row["statuses"].items())
    return [
        [f"{row['count']:,} damaged pictures and bombs", f"{answers}; the slowest {row['slowest_seconds']:.1f} s"],
        ["… meanwhile", f"{others(row)}; memory half-way and at the end {memory(row, 'mb_half')}"],
    ]


def contract(row: Row) -> list[list[str]]:
    """Schemathesis."""
    return [[f"schemathesis, {row['seconds']:.0f} s",
             f"{row['asked']:,} requests, {row['asked'] - row['passed']} not answered as promised"]]  # fmt: skip


def stroke(row: Row) -> list[list[str]]:
    """The page."""
    return [[f"end of a stroke → both answers on the screen (Chromium, {row['strokes']} digits)",
             f"half within {row['median_ms']:.0f} ms, the slowest {row['max_ms']:.0f} ms"]]  # fmt: skip


def memory(row: Row, before: str) -> str:
    """Two sizes and their ratio."""
    return f"{row[before]:,.0f} → {row['mb_end']:,.0f} MB ({row['mb_end'] / row[before]:.2f}×)"


def others(row: Row) -> str:
    """How another client fared meanwhile."""
    return (
        f"another client: {row['others']:,} requests, {row['others_not_200']} refused, half within "
        f"{row['others_median_ms']:.0f} ms, the slowest {row['others_max_ms']:.0f} ms"
    )


# Beside an older checkout, in one run.


def runs(rows: Rows, name: str) -> tuple[Rows, Rows]:
    """The rows of the last run of a part: those of this checkout, and those of the one beside it."""
    rows = part(rows, f"serving-{name}")
    latest = max((row["date"] for row in rows), default=None)
    rows = [row for row in rows if row["date"] == latest]
    own = [row for row in rows if row["of"] == row["machine"]["commit"]]
    return own, [row for row in rows if row not in own]


def load(rows: Rows) -> str:
    """What came of more and more connections."""
    own, other = runs(rows, "load")
    connections = sorted({row["connections"] for row in own})
    head = ["connections", *(f"{what}{when}" for what in ("readings a second", "refusals a second", "99 % within, ms")
                             for when in (" before", ""))]  # fmt: skip
    body = [
        [str(count), *(f"{middle(of, count, what):,.0f}" for what in (readings, refusals, late) for of in (other, own))]
        for count in connections
    ]
    return table(head, body)


def middle(rows: Rows, connections: int, value: Callable[[Row], float]) -> float:
    """The median of a value over the rounds."""
    return statistics.median([value(row) for row in agreeing(rows, connections=connections)] or [math.nan])


def readings(row: Row) -> float:
    """Readings a second."""
    return float(row["readings_per_second"])


def refusals(row: Row) -> float:
    """Refusals a second."""
    return float(row["not_200"] / row["seconds"])


def late(row: Row) -> float:
    """Milliseconds within which 99 % were answered, refusals too."""
    return float(row["p99_ms"])


def compared(rows: Rows) -> str:
    """What was compared, where, and how often, as a sentence."""
    own, other = runs(rows, "load")
    if not own:
        return NOT_MEASURED.strip()
    machine, of = own[0]["machine"], {row["of"][:9] for row in other}
    rounds = len({row["round"] for row in own})
    return (
        f"Medians of {rounds} rounds of {own[0]['seconds']:.0f} s on {machine['processor']}, {machine['cores']} cores, "
        f"one of them shared with what asks; *before* is {', '.join(of) or 'not measured'}, measured in turn with "
        f"{machine['commit'][:9]}."
    )


def share(rows: Rows) -> str:
    """How much processor time of a request is not reading, as a table."""
    body = [
        [name, *(f"{median(of, key):.2f}" for key in ("cpu_ms", "reading_ms")),
         f"{median(of, 'cpu_ms') - median(of, 'reading_ms'):.2f}", f"{median(of, 'front_ms'):.2f}", str(len(of))]
        for name, of in zip(("now", "before"), runs(rows, "share"), strict=True) if of
    ]  # fmt: skip
    head = ["milliseconds of processor time", "a request", "reading alone", "the rest", "the process that receives",
            "rounds"]  # fmt: skip
    return table(head, body)


def feeds(rows: Rows) -> str:
    """How many processes that read keep the one that receives busy."""
    own, _ = runs(rows, "share")
    return f"{math.floor(median(own, 'cpu_ms') / median(own, 'front_ms')) - 1}" if own else NOT_MEASURED.strip()


def bodies(rows: Rows) -> str:
    """What the largest bodies cost."""
    own, _ = runs(rows, "bodies")
    head = ["a body of", "MB", "answer", "after, ms", "/healthz meanwhile: 99 % within, ms", "slowest, ms",
            "memory, MB: warm", "at most"]  # fmt: skip
    body = [
        [row["body"], f"{row['bytes'] / 2**20:.1f}", ", ".join(map(str, row["statuses"])), f"{row['median_ms']:,.0f}",
         f"{row['healthz_p99_ms']:.0f}", f"{row['healthz_max_ms']:.0f}", f"{row['mb_warm']:,.0f}",
         f"{row['peak_mb']:,.0f}"]
        for row in own
    ]  # fmt: skip
    return table(head, body)


LINES: dict[str, Callable[[Row], list[list[str]]]] = {
    "steady": steady, "shed": shed, "end": end, "slow": slow, "hostile": hostile, "contract": contract,
    "stroke": stroke,
}  # fmt: skip

TABLES: dict[str, Callable[[Rows], str]] = {
    "serving-measured": measured, "serving-where": where, "serving-load": load, "serving-compared": compared,
    "serving-share": share, "serving-feeds": feeds, "serving-bodies": bodies,
}  # fmt: skip

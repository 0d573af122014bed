"""The table of docs/serving.md, from the rows of docs/results/serving.jsonl: of each part the one measured last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench_tables import NOT_MEASURED, part, table

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
    return (
        f"Measured with {' and '.join(workers)} workers on {'; '.join(machines)}, at {', '.join(commits)}; what asks "
        f"{'shares one of these cores' if shared else 'has a core of its own'}, and is counted in."
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


LINES: dict[str, Callable[[Row], list[list[str]]]] = {
    "steady": steady, "shed": shed, "end": end, "slow": slow, "hostile": hostile, "contract": contract,
    "stroke": stroke,
}  # fmt: skip

TABLES: dict[str, Callable[[Rows], str]] = {"serving-measured": measured, "serving-where": where}

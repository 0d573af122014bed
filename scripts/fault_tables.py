"""The table of docs/reliability.md, from the rows of docs/results/faults.jsonl."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench_tables import NOT_MEASURED, part, table
from sumnist.evaluation.text import duration

__all__ = ["TABLES"]

Rows = list[dict[str, Any]]


def faults(rows: Rows) -> str:
    """Each command: what it does to files, what was done to it, and what of the promises was not kept."""
    rows = part(rows, "faults")
    body = [line(f"`{row['command']}`" if "," not in row["command"] else row["command"], [row]) for row in rows]
    head = ["command", "calls that change files", "faults possible", "tried", "different states that they left",
            "violations", "time"]  # fmt: skip
    return table(head, [*body, line("all", rows)] if rows else [])


def line(title: str, rows: Rows) -> list[str]:
    """The cells of some rows together."""
    kinds: dict[str, int] = {}
    for row in rows:
        kinds |= {kind: kinds.get(kind, 0) + count for kind, count in row["calls"].items()}
    calls = f"{sum(kinds.values()):,}: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}"
    sums = [sum(row[key] for row in rows) for key in ("faults", "tried", "states", "violations")]
    return [title, calls, *(f"{number:,}" for number in sums), duration(sum(row["seconds"] for row in rows))]


def where(rows: Rows) -> str:
    """On what this was tried."""
    rows = part(rows, "faults")
    if not rows:
        return NOT_MEASURED.strip()
    machines = sorted({f"{row['machine']['processor']}, {row['machine']['cores']} cores" for row in rows})
    commits = sorted({str(row["machine"]["commit"])[:9] for row in rows})
    return f"{'; '.join(machines)}, at {', '.join(commits)}"


TABLES: dict[str, Callable[[Rows], str]] = {"faults": faults, "faults-where": where}

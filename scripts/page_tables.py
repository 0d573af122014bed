"""The tables of docs/the-page.md, from the rows of docs/results/{page,static,static-numbers,learned}.jsonl."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from bench_tables import NOT_MEASURED, part, table

__all__ = ["TABLES"]

Row = dict[str, Any]
Rows = list[Row]

ENGINES = {"server": "with a server", "browser": "without a server"}
KINDS = {
    "digit": "digits, many forms and pens", "border": "close to the border", "dirt": "with bits of dirt",
    "letter": "letters", "blot": "blots", "two": "two digits", "scribble": "scribbles", "tiny": "tiny",
}  # fmt: skip


def strokes(rows: Rows) -> str:
    """Milliseconds from the end of a stroke to both answers."""
    body = []
    for engine, title in ENGINES.items():
        for inside in (False, True):
            times = sorted(
                time for row in latest(rows, "page-stroke") if (row["engine"], row["inside"]) == (engine, inside)
                for time in row["milliseconds"]
            )  # fmt: skip
            if times:
                shown = "its inside shown" if inside else "its inside closed"
                body.append([f"{title}, {shown}", f"{statistics.median(times):.0f} ms",
                             f"{times[int(0.9 * len(times))]:.0f} ms", str(len(times))])  # fmt: skip
    return table(["the page", "half within", "nine of ten within", "strokes"], body) if body else NOT_MEASURED


def load(rows: Rows) -> str:
    """Seconds until the page without a server is there, and has answered."""
    measured = latest(rows, "page-load")
    if not measured:
        return NOT_MEASURED.strip()
    there, answered = (
        statistics.median(row[name] for row in measured) for name in ("seconds_until_there", "seconds_until_answer")
    )
    return (
        f"with nothing in its cache it is there after {there:.1f} s, and has read its first example after "
        f"{answered:.1f} s (medians of {len(measured)}, from Python's server of files on the same machine)"
    )


def size(rows: Rows) -> str:
    """Bytes over the wire."""
    measured = latest(rows, "page-bytes")
    if not measured:
        return NOT_MEASURED.strip()
    raw, packed = (measured[-1][kind] / 1e6 for kind in ("raw", "gzip"))
    return f"{packed:.1f} MB compressed, {raw:.1f} MB as they are"


def where(rows: Rows) -> str:
    """Where this was measured."""
    measured = latest(rows, "page-stroke")
    if not measured:
        return NOT_MEASURED.strip()
    machine = measured[-1]["machine"]
    return f"{machine['processor']}, {machine['cores']} cores, which server and browser share"


def agreement(rows: Rows) -> str:
    """What the page without a server and the package say of the same drawings."""
    drawings = [row for row in rows if "drawing" in row and "images_equal" in row]
    body = [line(title, [row for row in drawings if row["kind"] == kind]) for kind, title in KINDS.items()]
    head = ["drawings", "how many", "same digit", "same refusal, or none", "the same 28×28 pixels",
            "largest difference of a probability, where these are the same"]  # fmt: skip
    return table(head, [*(one for one in body if one), line("**all**", drawings)]) if drawings else NOT_MEASURED


def line(title: str, rows: Rows) -> list[str]:
    """A line of that table; nothing without rows."""
    if not rows:
        return []
    same = sum(row["digit"][0] == row["digit"][1] for row in rows)
    refused = sum(row["accepted"][0] == row["accepted"][1] and row["reason"][0] == row["reason"][1] for row in rows)
    equal = [row for row in rows if row["images_equal"]]
    largest = max((row["probability_difference"] for row in equal), default=0)
    return [title, str(len(rows)), str(same), str(refused), str(len(equal)), f"{largest:.0e}"]


def numbers(rows: Rows) -> str:
    """The same of drawn numbers."""
    measured = [row for row in rows if row.get("part") == "drawings" and "text_equal" in row]
    if not measured:
        return NOT_MEASURED.strip()
    row = measured[-1]
    return (
        f"of {row['drawings']}, {row['text_equal']} are read alike, and {row['accepted_equal']} accepted "
        f"or refused alike; probabilities of candidates differ by {row['largest_difference']:.0e} at most"
    )


def learned(rows: Rows) -> str:
    """How well the packaged network that learned to add does."""
    measured = [row for row in rows if "left_out" in row and "test" in row]
    if not measured:
        return NOT_MEASURED.strip()
    test = measured[-1]["test"]
    return (
        f"{measured[-1]['parameters']:,} parameters; of MNIST's test images it reads {test['digit']:.1%}, and its sum "
        f"is right for {test['sum_seen']:.1%} of the pairs that training showed it and for {test['sum_unseen']:.1%} "
        "of those it did not"
    )


def latest(rows: Rows, name: str) -> Rows:
    """The rows of a part that were measured together, last."""
    measured = part(rows, name)
    newest = max((row["date"] for row in measured), default="")
    return [row for row in measured if row["date"] == newest]


TABLES: dict[str, Callable[[Rows], str]] = {
    "page-strokes": strokes, "page-load": load, "page-size": size, "page-where": where, "page-agreement": agreement,
    "page-numbers": numbers, "page-learned": learned,
}  # fmt: skip

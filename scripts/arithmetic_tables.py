"""The tables of docs/arithmetic.md about speed, beside other packages and by size, from bench.jsonl."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from bench_tables import NOT_MEASURED, agreeing, machines, median, names, part, table

__all__ = ["TABLES"]

Row = dict[str, Any]
Rows = list[Row]

SLOPE_FROM = 100
"""Digits from which on time is a power of them: with fewer, what a call costs in any case is most of it."""
QUESTIONS = {"one": "one total", "all": "all totals"}
GROWTH = {"log_prob": "`log_prob`", "posterior": "`posterior`"}


def shown(seconds: float) -> str:
    """A time with three digits."""
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def sizes(rows: Rows, key: str) -> list[int]:
    """The values of a count in the rows, in order."""
    return sorted({row[key] for row in rows})


def time_of(rows: Rows) -> str:
    """A cell: the median time, or that there was no answer in time."""
    if not rows:
        return "–"
    measured = [row["seconds"] for row in rows if row["seconds"] is not None]
    return shown(statistics.median(measured)) if len(measured) == len(rows) else "none"


def queries(question: str) -> Callable[[Rows], str]:
    """A table of the times of one question, a line for each system and batch, a column for each number of digits."""

    def written(rows: Rows) -> str:
        rows = agreeing(part(rows, "addition-queries"), question=question)
        columns = sizes(rows, "digits")
        body = [
            [name, str(batch), *(time_of(agreeing(rows, name=name, batch=batch, digits=digits)) for digits in columns)]
            for batch in sizes(rows, "batch")
            for name in names(rows)
        ]
        return table([f"{QUESTIONS[question]}; digits of a number", "sums at once", *map(str, columns)], body)

    return written


def steps(rows: Rows) -> str:
    """Steps of training."""
    rows = part(rows, "addition-step")
    columns = sizes(rows, "digits")
    body = [[name, *(time_of(agreeing(rows, name=name, digits=digits)) for digits in columns)] for name in names(rows)]
    batch = " or ".join(map(str, sizes(rows, "batch")))
    return table([f"a step with {batch} sums; digits of a number", *map(str, columns)], body)


def first(rows: Rows) -> str:
    """The first answer for so many digits, with all that is made for it."""
    rows = agreeing(part(rows, "addition-queries"), question="all")
    rows = agreeing(rows, batch=min(sizes(rows, "batch"), default=0), round=0)
    columns = sizes(rows, "digits")

    def cell(**where: Any) -> str:
        (row,) = agreeing(rows, **where)
        return shown(row["made_seconds"] + row["first_seconds"]) if "made_seconds" in row else "none"

    body = [[name, *(cell(name=name, digits=digits) for digits in columns)] for name in names(rows)]
    return table(["the first answer; digits of a number", *map(str, columns)], body)


def agree(rows: Rows) -> str:
    """The largest differences of answers."""
    rows = part(rows, "addition-agree")
    columns = sizes(rows, "digits")

    def cell(**where: Any) -> str:
        found = [row["difference"] for row in agreeing(rows, **where)]
        return "none" if None in found else f"{max(found):.0e}" if found else "–"

    body = [[name, title, *(cell(name=name, question=question, digits=digits) for digits in columns)]
            for name in names(rows) for question, title in QUESTIONS.items()]  # fmt: skip
    return table(["largest difference, as a share; digits of a number", "asked", *map(str, columns)], body)


def growth(key: str, fixed: str, title: str) -> Callable[[Rows], str]:
    """A table of times and memory by one size, with the other, which the title tells, at its least."""

    def written(rows: Rows) -> str:
        rows = part(rows, "addition-growth")
        least = min(sizes(rows, fixed), default=0)
        rows = agreeing(rows, **{fixed: least})
        body = [
            [f"{size:,}", *(cell for question in GROWTH for cell in (
                shown(median(rows, "seconds", question=question, **{key: size})),
                f"{1e-6 * median(rows, 'peak_bytes', question=question, **{key: size}):.1f} MB"))]
            for size in sizes(rows, key)
        ]  # fmt: skip
        return table([title.format(least), *(head for name in GROWTH.values() for head in (name, "memory"))], body)

    return written


def slope(rows: Rows) -> str:
    """By which power of the digits the times grow, from so many on: the slope of the logarithms."""
    rows = part(rows, "addition-growth")
    rows = agreeing(rows, addends=min(sizes(rows, "addends"), default=0))
    digits = [size for size in sizes(rows, "digits") if size >= SLOPE_FROM]
    if len(digits) < 2:
        return NOT_MEASURED.strip()

    def power(question: str) -> float:
        times = [median(rows, "seconds", question=question, digits=size) for size in digits]
        return float(np.polyfit(np.log(digits), np.log(times), 1)[0])

    powers = " and ".join(f"{power(question):.2f} ({name})" for question, name in GROWTH.items())
    return f"{powers} from {digits[0]:,} to {digits[-1]:,} digits"


def measured(*parts: str) -> Callable[[Rows], str]:
    """Where the rows of some parts were measured, how often, with which limits and with which packages."""

    def written(rows: Rows) -> str:
        rows = [row for row in rows if row.get("part") in parts]
        if not rows:
            return NOT_MEASURED.strip()
        processors, torch = machines(rows)
        limits = {f"none: no answer within {row['limit_seconds']} s and {row['limit_gib']} GiB"
                  for row in rows if "limit_seconds" in row}  # fmt: skip
        packages = {f"{name} {version}" for row in rows for name, version in row.get("packages", {}).items()}
        rounds = sorted({row.get("round", 0) for row in rows})
        said = [f"One thread of {processors}", f"torch {torch}", *sorted(packages, key=str.lower),
                *([f"medians of {rounds[-1] + 1} rounds"] if rounds[-1] else []), *sorted(limits)]  # fmt: skip
        return "; ".join(said)

    return written


TABLES: dict[str, Callable[[Rows], str]] = {
    "arithmetic-one": queries("one"),
    "arithmetic-all": queries("all"),
    "arithmetic-first": first,
    "arithmetic-steps": steps,
    "arithmetic-agree": agree,
    "arithmetic-beside-measured": measured("addition-queries", "addition-step", "addition-agree"),
    "arithmetic-growth-digits": growth("digits", "addends", "digits of each of {} numbers"),
    "arithmetic-growth-addends": growth("addends", "digits", "numbers of {} digits"),
    "arithmetic-slope": slope,
    "arithmetic-growth-measured": measured("addition-growth"),
}

"""The tables about reading filled forms, from sheets.jsonl.

The rows of all seeds are added up that agree in everything else, of the path and half that were measured last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bench_tables import NOT_MEASURED, agreeing, part, table
from measure_sheets import UNIT
from sumnist.evaluation.metrics import wilson
from sumnist.evaluation.text import percent

__all__ = ["TABLES"]

Row = dict[str, Any]
Rows = list[Row]
Group = tuple[Any, ...]

SETTLED = "adds up", "corrected"
"""What is said of a sheet that nobody looks at."""
GIVEN = "doubtful", "unreadable"
"""What is said of one that is given to a person."""
STATES = "adds up", "corrected", "does not add up", *GIVEN
SOURCES = {"cells": "cells", "photographed": "photographs", "scanned": "scans"}
BANDS = {
    "longer side, pixels": ("longer", (0, 1500, 2300, 5000)),
    "seen from aside, degrees": ("tilt", (0, 10, 20, 31)),
    "blur, mm": ("blur", (0, 0.1, 0.16, 1)),
    "shaken, mm": ("motion", (0, 0.01, 0.3, 1)),
    "bent, mm": ("bend", (0, 0.01, 1, 2, 4.1)),
}
"""By what photographs are told apart, and the edges of the groups."""


def newest(rows: Rows, name: str) -> Rows:
    """The rows of a part, each measurement once, that agree with the last one in what does not differ on purpose."""
    ordered = sorted(part(rows, f"sheet-{name}"), key=lambda row: row["date"])
    same = {key: ordered[-1][key] for key in ("path", "half", "model_sha256", "mistakes")} if ordered else {}
    keys = "layout", "source", "ink", "engine", "seed", "wrong", "factor"
    return list({tuple(row[key] for key in keys): row for row in agreeing(ordered, **same)}.values())


def grouped(rows: Rows, *keys: str) -> dict[Group, Rows]:
    """The rows by what they agree in, in the order in which they are there."""
    found: dict[Group, Rows] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def outcomes(rows: Rows) -> Rows:
    """All outcomes of these rows."""
    return [outcome for row in rows for outcome in row["outcomes"]]


def counted(found: Iterable[Row], holds: Callable[[Row], bool] = lambda _: True) -> int:
    """The sheets whose outcome is so."""
    return sum(outcome["sheets"] for outcome in found if holds(outcome))


def share(found: Rows, holds: Callable[[Row], bool]) -> str:
    """The share of the sheets whose outcome is so, in percent."""
    count = counted(found)
    return percent(counted(found, holds) / count if count else None)


def said(state: str) -> Callable[[Row], bool]:
    """Whether this is what is said of a sheet."""
    return lambda outcome: bool(outcome["state"] == state)


def is_found(outcome: Row) -> bool:
    """Whether it is said which total is wrong, and all numbers are right."""
    return bool(outcome["state"] == "does not add up" and outcome["told"] and outcome["after"])


def rare(found: Rows, holds: Callable[[Row], bool]) -> str:
    """How many sheets have a rare outcome, and the share below which it is with 97.5 %: Wilson's upper bound."""
    count, total = counted(found, holds), counted(found)
    return f"{count} (< {percent(wilson(count, total)[1])} %)" if total else "–"


def wrong_unflagged(outcome: Row) -> bool:
    """Whether a number is wrong, and nobody is told."""
    return outcome["state"] in SETTLED and not outcome["after"]


FIGURES: dict[str, Callable[[Rows], str]] = {
    "sheets": lambda found: f"{counted(found):,}",
    "right, each number alone, %": lambda found: share(found, lambda one: one["before"]),
    "right after the check, %": lambda found: share(found, lambda one: one["after"]),
    "given to a person, %": lambda found: share(found, lambda one: one["state"] in GIVEN),
    "wrong, and nobody is told": lambda found: rare(found, wrong_unflagged),
    "false alarms, of those that add up": lambda found: rare(
        [one for one in found if one["mistake"] is None], said("does not add up")
    ),
    "wrong totals found, %": lambda found: share([one for one in found if one["mistake"]], is_found),
}
"""The columns about outcomes."""


def about(rows: Rows, head: Sequence[str], keys: Sequence[str], say: Callable[[Group], list[str]]) -> str:
    """A table with a line for all rows that agree in `keys`."""
    body = []
    for group, found in grouped(rows, *keys).items():
        sheets = outcomes(found)
        time = 1000 * sum(row["seconds"] for row in found) / counted(sheets)
        body.append([*say(group), *(figure(sheets) for figure in FIGURES.values()), f"{time:.0f}"])
    return table([*head, *FIGURES, "ms a sheet"], body)


def reading(rows: Rows) -> str:
    """What comes of sheets, as cells and as photographs."""
    found = newest(rows, "cells") + newest(rows, "photographs")
    return about(found, ["form", "as", "digits"], ["layout", "source", "ink"],
                 lambda group: [group[0], SOURCES[group[1]], group[2]])  # fmt: skip


def epsilon(rows: Rows) -> str:
    """The same by what the reader believes of the writer."""
    found = sorted(newest(rows, "epsilon"), key=lambda row: row["factor"])
    return about(found, ["ε of the reader", "digits"], ["mistakes", "factor", "ink"],
                 lambda group: [f"{group[0] * group[1]:g}", group[2]])  # fmt: skip


def engines(rows: Rows) -> str:
    """The same by what reads the strips."""
    return about(newest(rows, "engines"), ["form", "digits", "read with"], ["layout", "ink", "engine"],
                 list)  # fmt: skip


def mistakes(rows: Rows) -> str:
    """What is said of wrong totals, by form and kind."""
    body = []
    for (layout,), found in grouped(newest(rows, "mistakes"), "layout").items():
        for (kind,), ones in grouped(outcomes(found), "mistake").items():
            told = [share(ones, said(state)) for state in STATES]
            body.append([layout, kind, f"{counted(ones):,}", *told, share(ones, is_found)])
    head = ["form", "the wrong total is", "sheets", *(f"{state}, %" for state in STATES), "found, all numbers right, %"]
    return table(head, sorted(body))


def fields(rows: Rows) -> str:
    """How many numbers are wrong, by how they are written."""
    found = [row | one for name in ("cells", "photographs") for row in newest(rows, name) for one in row["fields"]]
    body = []
    for group, ones in grouped(found, "source", "ink", "manner").items():
        count, *wrong = (sum(one[key] for one in ones) for key in ("fields", "wrong_before", "wrong_after"))
        body.append([SOURCES[group[0]], *group[1:], f"{count:,}", *(percent(one / count) for one in wrong)])
    return table(["as", "digits", "what is written", "fields", "wrong alone, %", "wrong after the check, %"], body)


def told_apart(rows: Rows) -> str:
    """What is said of sheets that are misread, of those that are added up wrongly, and of others."""
    found = outcomes([row for name in ("cells", "photographs", "mistakes") for row in newest(rows, name)])
    found = [one for one in found if one["state"] != "unreadable"]
    body = []
    for added in (True, False):
        for read in (True, False):
            ones = [one for one in found if (one["mistake"] is None) == added and one["before"] == read]
            told = [share(ones, said(state)) for state in STATES[:-1]]
            body.append(["right" if added else "wrong", "right" if read else "wrong", f"{counted(ones):,}", *told,
                         share(ones, lambda one: one["after"])])  # fmt: skip
    head = ["totals as written", "numbers as read alone", "sheets", *(f"{state}, %" for state in STATES[:-1]),
            "right after the check, %"]  # fmt: skip
    return table(head, body if found else [])


def registration(rows: Rows) -> str:
    """By how much boxes are off, and how many photographs are refused, by what these are like."""
    found = [one for row in newest(rows, "registration") for one in row["photographs"]]
    body = [line("all", "", found)] if found else []
    for name, (key, edges) in BANDS.items():
        for least, most in pairwise(edges):
            ones = [one for one in found if least <= one[key] < most]
            body += [line(name, band([one[key] for one in ones]), ones)] if ones else []
    head = ["photographs by", "from – to", "photographs", "refused, %", "error, median, px", "95 %, px", "largest, px"]
    return table(head, body)


def band(values: Sequence[float]) -> str:
    """From the least to the most of some values."""
    low, high = (f"{bound:.2g}" if bound < 100 else f"{bound:.0f}" for bound in (min(values), max(values)))
    return low if low == high else f"{low} – {high}"


def line(name: str, between: str, ones: Rows) -> list[str]:
    """The figures of some photographs; pixels are those of a page at 200 to an inch."""
    errors = [one["error"] for one in ones if one["error"] is not None]
    refused = percent(1 - len(errors) / len(ones))
    sizes = [f"{size:.2f}" for size in np.quantile(errors, (0.5, 0.95, 1.0))] if errors else ["–"] * 3
    return [name, between, f"{len(ones):,}", refused, *sizes]


def pile(rows: Rows) -> str:
    """How fast a pile of photographs is read, in what memory, and what kills do to it."""
    found = part(rows, "pile-of-sheets")
    if not found:
        return NOT_MEASURED
    last = max(found, key=lambda row: row["date"])
    width, height = last["size"]
    lines = [
        ["photographs, pixels", f"{last['sheets']:,} ({last['different']} different ones), {width:,}×{height:,}"],
        ["workers", f"{last['workers']}"],
        ["sheets a second, start included", f"{last['sheets'] / last['seconds']:.1f}"],
        ["memory of all processes in the middle and in the last third, MB",
         f"{last['middle_third_bytes'] / 1e6:,.0f}, {last['last_third_bytes'] / 1e6:,.0f}"],
        [f"after {last['kills']} kills, the table is", "the same" if last["identical"] else "another one"],
        ["processor", f"{last['machine']['processor']}, {last['date'][:10]}"],
    ]  # fmt: skip
    return table(["a pile of photographs", ""], lines)


def measured(rows: Rows) -> str:
    """When, where and with what the rows were measured, as a sentence."""
    found = [row for row in rows if row.get("part", "").startswith("sheet-")]
    where: dict[str, list[str]] = {}
    for name in dict.fromkeys(row["part"].removeprefix("sheet-") for row in found):
        for row in newest(found, name):
            place = f"on {row['date'][:10]} at commit {row['commit'][:9]} on {row['machine']['processor']}"
            where.setdefault(place, []).append(f"{name} of the {row['half']} half")
    told = [f"{place}: {', '.join(dict.fromkeys(names))}" for place, names in where.items()]
    scale = f"A pixel of an error is one of a page at 200 to an inch: {1 / UNIT:.3f} mm."
    return f"Measured {'; '.join(told)}. {scale}" if told else NOT_MEASURED.strip()


TABLES: dict[str, Callable[[Rows], str]] = {
    "sheet-reading": reading,
    "sheet-fields": fields,
    "sheet-told-apart": told_apart,
    "sheet-mistakes": mistakes,
    "sheet-epsilon": epsilon,
    "sheet-engines": engines,
    "sheet-registration": registration,
    "sheet-pile": pile,
    "sheet-measured": measured,
}

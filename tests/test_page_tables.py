"""The page about the page: made-up rows in, the cells that they must become out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import write_docs
from page_tables import TABLES

PAGE = Path(__file__).resolve().parent.parent / "docs/the-page.md"
MACHINE = {"processor": "made up", "cores": 2, "versions": {"torch": "2"}}

Row = dict[str, Any]


def stroke(engine: str, inside: bool, times: list[float], **changed: Any) -> Row:
    return {"part": "page-stroke", "engine": engine, "inside": inside, "milliseconds": times, "date": "2026-12-01",
            "machine": MACHINE} | changed  # fmt: skip


def drawing(kind: str = "digit", digit: tuple[int, int] = (4, 4), equal: bool = True, difference: float = 1e-6) -> Row:
    return {"drawing": 0, "kind": kind, "digit": list(digit), "accepted": [True, True], "reason": [None, None],
            "images_equal": equal, "probability_difference": difference}  # fmt: skip


def test_the_median_of_all_strokes_of_the_last_measurement_is_told() -> None:
    rows = [
        stroke("server", False, [10.0, 30.0]), stroke("server", False, [20.0]),
        stroke("server", False, [999.0], date="2026-11-01"), stroke("browser", True, [40.0]),
    ]  # fmt: skip
    table = TABLES["page-strokes"](rows)
    assert "| with a server, its inside closed | 20 ms | 30 ms | 3 |" in table
    assert "| without a server, its inside shown | 40 ms | 40 ms | 1 |" in table
    assert "999" not in table
    assert TABLES["page-where"](rows) == "made up, 2 cores, which server and browser share"


def test_drawings_are_counted_by_kind_and_differences_where_the_pixels_are_the_same() -> None:
    rows = [drawing(), drawing(digit=(4, 9), equal=False, difference=0.5), drawing("two", difference=2e-4)]
    table = TABLES["page-agreement"](rows)
    assert "| digits, many forms and pens | 2 | 1 | 2 | 1 | 1e-06 |" in table
    assert "| two digits | 1 | 1 | 1 | 1 | 2e-04 |" in table
    assert "| **all** | 3 | 2 | 3 | 2 | 2e-04 |" in table


def test_load_and_size_are_told_in_seconds_and_megabytes() -> None:
    rows = [
        {"part": "page-load", "seconds_until_there": there, "seconds_until_answer": 2 * there, "date": "1"}
        for there in (1.0, 0.5, 3.0)
    ]  # fmt: skip
    assert "after 1.0 s" in TABLES["page-load"](rows)
    assert "after 2.0 s" in TABLES["page-load"](rows)
    size = {"part": "page-bytes", "raw": 19_000_000, "gzip": 8_200_000, "date": "1"}
    assert TABLES["page-size"]([size]) == "8.2 MB compressed, 19.0 MB as they are"


@pytest.mark.parametrize("name", TABLES)
def test_without_rows_nothing_is_made_up(name: str) -> None:
    assert "Not measured yet" in TABLES[name]([])


def test_a_row_that_is_altered_changes_the_page() -> None:
    rows = [json.loads(line) for path in write_docs.OTHERS for line in path.read_text(encoding="utf-8").splitlines()]
    assert f"<!-- figure:page-learned -->{TABLES['page-learned'](rows)}<!-- /figure -->" in PAGE.read_text(
        encoding="utf-8"
    )
    for row in rows:
        if "left_out" in row and "test" in row:
            row["test"] = row["test"] | {"sum_unseen": 0.5}
    changed = TABLES["page-learned"](rows)
    assert "50.0% of those it did not" in changed
    assert changed not in PAGE.read_text(encoding="utf-8")

"""What is measured of the reading of forms, by fakes that read as they are told; and the tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import measure_sheets
from measure_sheets import PARTS, Outcome, is_measured, outcome_of, read, registrations
from sheet_tables import FIGURES, STATES, TABLES
from sumnist.errors import ImageError
from sumnist.lab.suites.photographs import perspective
from sumnist.lab.suites.sheet_ink import Ink
from sumnist.lab.suites.sheet_truth import LAYOUTS, Entry, Mistake, Truth
from sumnist.lab.suites.sheets import Sheets
from sumnist.sheets.homography import taken
from sumnist.sheets.page import Page
from sumnist.sheets.registration import corners_of
from tables import cells
from test_printing import DETECTOR
from write_docs import filled

HEAD = "c" * 40
BLOCKS = Ink("MNIST", ((np.full((20, 12), 255, np.uint8),),) * 10)
PAGE = (Path(__file__).resolve().parent.parent / "docs/sheets.md").read_text(encoding="utf-8")

Row = dict[str, Any]
Run = Callable[..., list[Row]]


def reading(
    state: str, values: Mapping[str, int | None], read: Mapping[str, int | None] | None = None, wrong: str = ""
) -> Any:
    """A reading, in which one total is said to be wrong or none."""
    told = [SimpleNamespace(field=wrong)] if wrong else []
    return SimpleNamespace(state=state, values=values, read=values if read is None else read, wrong=told)


def sheet(mistake: Mistake | None = None) -> Truth:
    """One on which 4 and 5 make 9, or something else."""
    values = {"a": 4, "b": 5, "total": 19 if mistake else 9}
    entries = {name: Entry(value, "number", (str(value),), ("",)) for name, value in values.items()}
    return Truth(LAYOUTS["cover"], "000000", entries, mistake)


RIGHT = {"a": 4, "b": 5, "total": 9}
CARRY = Mistake("total", "carry", 9)


# Outcomes.


@pytest.mark.parametrize(
    ("truth", "given", "expected"),
    [
        (sheet(), reading("adds up", RIGHT), ("adds up", True, True, None, True)),
        (sheet(), reading("corrected", RIGHT, RIGHT | {"a": 9}), ("corrected", False, True, None, True)),
        (sheet(), reading("adds up", {"a": 3, "b": 6, "total": 9}, RIGHT), ("adds up", True, False, None, True)),
        (sheet(), reading("doubtful", RIGHT | {"b": None}), ("doubtful", False, False, None, True)),
        (
            sheet(),
            reading("does not add up", RIGHT | {"a": 9}, wrong="total"),
            ("does not add up", False, False, None, False),
        ),
        (sheet(), None, ("unreadable", False, False, None, False)),
        (sheet(CARRY), reading("adds up", RIGHT), ("adds up", False, False, "carry", False)),
        (
            sheet(CARRY),
            reading("does not add up", RIGHT | {"total": 19}, wrong="total"),
            ("does not add up", True, True, "carry", True),
        ),
        (
            sheet(CARRY),
            reading("does not add up", RIGHT | {"total": 19}, wrong="subtotal"),
            ("does not add up", True, True, "carry", False),
        ),
    ],
)
def test_an_outcome_says_what_was_right_before_and_after_and_whether_the_mistake_is_told(
    truth: Truth, given: Any, expected: tuple[Any, ...]
) -> None:
    assert outcome_of(truth, given) == Outcome(*expected)


class Fake:
    """A reader that knows the truth, sheet by sheet; every fourth sheet it cannot read, and every other one it reads
    with the first number wrong, alone and together."""

    def __init__(self, sheets: Sheets) -> None:
        self.sheets, self.place = sheets, -1

    def of_cells(self, cells: Mapping[str, Any]) -> Any:
        assert cells.keys() == set(self.sheets.layout.names)
        return self.read(b"\xff\xd8")

    def read(self, picture: bytes) -> Any:
        assert picture.startswith(b"\xff\xd8")
        self.place += 1
        truth = self.sheets.truth(self.place)
        if self.place % 4 == 3:
            raise ImageError("no sheet")
        values = truth.values
        wrong = values | {"q1": values["q1"] + 1} if self.place % 2 else values
        return reading("adds up", wrong)


@pytest.mark.parametrize("source", ["cells", "photographed", "scanned"])
def test_outcomes_are_counted_whatever_the_sheets_are_read_from(source: Any) -> None:
    made = Sheets(LAYOUTS["cover"], BLOCKS, "development")
    fake: Any = Fake(made)
    row = read(fake, made, range(4), source)
    told = {"mistake": None}
    assert row["outcomes"] == [
        {"state": "adds up", "before": False, "after": False, **told, "told": True, "sheets": 1},
        {"state": "adds up", "before": True, "after": True, **told, "told": True, "sheets": 2},
        {"state": "unreadable", "before": False, "after": False, **told, "told": False, "sheets": 1},
    ]
    entries = [entry for place in range(3) for entry in made.truth(place).entries.values()]
    counts = {row["manner"]: (row["fields"], row["wrong_before"], row["wrong_after"]) for row in row["fields"]}
    assert {manner: count[0] for manner, count in counts.items()} == {
        manner: sum(entry.manner == manner for entry in entries) for manner in {entry.manner for entry in entries}
    }
    assert [sum(count[place] for count in counts.values()) for place in (1, 2)] == [1, 1]


# Registration.


def by_tags(grey: NDArray[np.uint8], page: Page, name: str) -> Any:
    """A registration by the outer corners of the tags, which does not see the tenth picture."""
    found = {tag.tag_id: tag.corners for tag in DETECTOR.detect(grey)}
    if len(found) < 4 or name == "9":
        raise ImageError("9: no tags, expected four: take it again")
    outer = np.array(
        [(tag.right if place in (1, 2) else tag.x, tag.bottom if place > 1 else tag.y)
         for place, tag in enumerate(page.tags)]
    )  # fmt: skip
    middles = np.array([found[place].mean(0) for place in range(4)])
    seen = [max(found[place], key=lambda one: np.linalg.norm(one - middles.mean(0))) for place in range(4)]
    values = perspective(outer, np.array(seen))
    matrix = np.reshape([*values, 1.0], (3, 3))
    return SimpleNamespace(corners=lambda box: taken(matrix, np.array(corners_of(box))))


def test_registration_is_measured_where_boxes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_sheets, "register", by_tags)
    monkeypatch.setattr(measure_sheets, "settled", lambda sheet: sheet)
    rows = registrations(Sheets(LAYOUTS["cover"], BLOCKS, "development"), range(8, 12))["photographs"]
    assert [row.get("reason") for row in rows] == [None, "no tags, expected four: take it again", None, None]
    flat, _, *bent = rows
    assert (flat["bend"], flat["longer"]) == (0, 1280)
    assert 0 < flat["error"] < 1
    assert all(row["bend"] > 0.5 < row["error"] for row in bent)


# The script.


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The rows that there are after the script has run with these words; it reads every number as 0."""
    monkeypatch.setattr(measure_sheets, "clean_commit", lambda program: HEAD)
    monkeypatch.setattr(Ink, "mnist", lambda half: BLOCKS)
    rows = tmp_path / "rows.jsonl"

    def reader_of(layout: Any, mistake: float, engine: str) -> Any:
        said = reading(f"{mistake:g} {engine}", dict.fromkeys(layout.names, 0))
        return SimpleNamespace(of_cells=lambda cells: said, read=lambda picture: said)

    monkeypatch.setattr(measure_sheets, "reader_of", reader_of)

    def measured(*words: object) -> list[Row]:
        monkeypatch.setattr(sys, "argv", ["measure_sheets", *map(str, words), "--rows", str(rows)])
        measure_sheets.main()
        return [json.loads(line) for line in rows.read_text().splitlines()]

    return measured


def test_a_part_is_measured_for_each_form_and_seed_and_what_is_there_is_left_out(run: Run) -> None:
    rows = run("cells", "epsilon", "--count", 2, "--seeds", 0, 1)
    assert [(row["part"], row["seed"], row["factor"]) for row in rows] == [
        ("sheet-" + part, seed, factor)
        for seed in (0, 1)
        for part, factor in (("cells", 1.0), ("epsilon", 0.2), ("epsilon", 1.0), ("epsilon", 5.0))
    ]
    states = [row["outcomes"][0]["state"] for row in rows]
    assert states == ["0.02 ours", "0.004 ours", "0.02 ours", "0.1 ours"] * 2
    first = rows[0]
    assert (first["commit"], first["half"], first["ink"], first["layout"]) == (HEAD, "reported", "MNIST", "cover")
    assert first["machine"]["processor"]
    assert sum(outcome["sheets"] for outcome in first["outcomes"]) == first["count"] == 2
    assert len(run("cells", "--count", 2, "--seeds", 0, 1, 2)) == 9


def test_engines_are_compared_in_a_part_of_their_own(run: Run) -> None:
    rows = run("engines", "cells", "--count", 1, "--half", "development", "--engines", "ours", "both")
    assert [(row["part"], row["engine"]) for row in rows] == [
        *[("sheet-engines", "ours"), ("sheet-engines", "both")] * 2, ("sheet-cells", "ours"),
    ]  # fmt: skip


def test_the_reported_half_is_looked_at_once_whatever_the_commit() -> None:
    row = {"half": "reported", "commit": "a", "seed": 0}
    assert is_measured([row], row | {"commit": "b"})
    assert not is_measured([row], row | {"seed": 1})
    assert not is_measured([row | {"half": "development"}], row | {"half": "development", "commit": "b"})


def test_a_folder_that_is_none_is_told(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^measure_sheets: .*0: no pictures of the reported half"):
        run("cells", "--folder", tmp_path)


def test_there_are_as_many_sheets_as_the_pages_say() -> None:
    per_seed = {part: sum(2 * job.count for job in jobs) for part, jobs in PARTS.items()}
    assert 5 * per_seed["cells"] == 10_000
    covers = [job.count for job in PARTS["photographs"] if job.layout.startswith("cover") and job.source != "scanned"]
    assert 5 * 2 * sum(covers) == 2_000
    assert covers[0] == covers[1]


# The tables.


def outcome(state: str, before: bool, after: bool, sheets: int, mistake: str | None = None, told: bool = True) -> Row:
    return {"state": state, "before": before, "after": after, "mistake": mistake, "told": told, "sheets": sheets}


def page_rows() -> list[Row]:
    row = {"date": "2026-12-01", "commit": "0123456789abcdef", "machine": {"processor": "made up"}, "half": "reported",
           "model_sha256": "a", "path": 1, "layout": "cover", "source": "cells", "wrong": 0.02, "factor": 1.0,
           "mistakes": 0.02, "seed": 0, "engine": "ours", "ink": "MNIST", "count": 200, "seconds": 4.0}  # fmt: skip
    found = [outcome("adds up", True, True, 150), outcome("corrected", False, True, 30),
             outcome("corrected", False, False, 1), outcome("does not add up", False, False, 2, told=False),
             outcome("doubtful", False, True, 6), outcome("unreadable", False, False, 1, told=False),
             outcome("does not add up", True, True, 8, "carry"),
             outcome("adds up", False, False, 2, "carry", told=False)]  # fmt: skip
    fields = [{"manner": "number", "fields": 1000, "wrong_before": 30, "wrong_after": 2}]
    counts = row | {"outcomes": found, "fields": fields}
    known = {"longer": 4032, "tilt": 5.0, "quarter": 0, "blur": 0.12, "motion": 0.0, "bend": 0.0, "error": 0.5}
    photographs = [known, known | {"longer": 1280, "error": None}, known | {"bend": 3.0, "error": 3.0}]
    return [
        counts | {"part": "sheet-cells"}, counts | {"part": "sheet-cells", "seed": 1},
        counts | {"part": "sheet-photographs", "source": "photographed"},
        counts | {"part": "sheet-mistakes", "outcomes": found[-2:]},
        counts | {"part": "sheet-epsilon", "factor": 5.0}, counts | {"part": "sheet-epsilon", "factor": 0.2},
        counts | {"part": "sheet-engines", "engine": "both"},
        row | {"part": "sheet-registration", "photographs": photographs},
    ]  # fmt: skip


def test_without_rows_everything_says_that_it_was_not_measured() -> None:
    for name, make in TABLES.items():
        assert make([]).strip() == "*Not measured yet.*", name


def test_the_rows_of_all_seeds_are_added_up() -> None:
    text = TABLES["sheet-reading"](page_rows())
    # of 200: 158 right alone, 194 after the check, 7 for a person; Wilson's bounds by hand
    assert cells(text, "cover", "cells", "MNIST") == [
        "400", "79.00", "97.00", "3.50", "6 (< 3.23 %)", "4 (< 2.67 %)", "80.00", "20",
    ]  # fmt: skip
    assert cells(text, "cover", "photographs", "MNIST")[0] == "200"
    assert len(cells(text, "cover", "cells", "MNIST")) == len(FIGURES) + 1


def test_what_is_misread_and_what_is_misadded_are_told_apart() -> None:
    text = TABLES["sheet-told-apart"](page_rows())
    assert cells(text, "right", "wrong") == ["117", "0.00", "79.49", "5.13", "15.38", "92.31"]
    assert cells(text, "wrong", "right") == ["32", "0.00", "0.00", "100.00", "0.00", "100.00"]
    assert cells(text, "wrong", "wrong")[:2] == ["8", "100.00"]


def test_wrong_totals_are_told_by_their_kind() -> None:
    text = TABLES["sheet-mistakes"](page_rows())
    assert cells(text, "cover", "carry") == ["10", "20.00", "0.00", "80.00", "0.00", "0.00", "80.00"]
    assert len(STATES) == 5


def test_the_reader_is_named_by_what_it_believes_and_by_its_engine() -> None:
    lines = TABLES["sheet-epsilon"](page_rows()).splitlines()
    assert [line.split("|")[1].strip() for line in lines if "MNIST" in line] == ["0.004", "0.1"]
    assert cells(TABLES["sheet-engines"](page_rows()), "cover", "MNIST", "both")[0] == "200"
    assert cells(TABLES["sheet-fields"](page_rows()), "cells", "MNIST", "number") == ["2,000", "3.00", "0.20"]


def test_registration_is_told_by_what_photographs_are_like() -> None:
    text = TABLES["sheet-registration"](page_rows())
    assert cells(text, "all", "") == ["3", "33.33", "1.75", "2.88", "3.00"]
    assert cells(text, "longer side, pixels", "1280") == ["1", "100.00", "–", "–", "–"]
    assert cells(text, "bent, mm", "3") == ["1", "0.00", "3.00", "3.00", "3.00"]


def test_of_two_measurements_the_last_one_is_quoted() -> None:
    older = [row | {"date": "2026-11-01", "model_sha256": "b", "seed": 7} for row in page_rows()]
    for name, make in TABLES.items():
        assert make([*older, *page_rows()]) == make([*page_rows(), *older]), name
        assert make([*older, *page_rows()]) == make(page_rows()) or name == "sheet-measured", name


def test_a_changed_row_changes_the_page() -> None:
    rows = page_rows()
    written = filled(PAGE, rows)
    for name, make in TABLES.items():
        assert make(rows) in written, name
    for place, row in enumerate(rows):
        for key in ("outcomes", "photographs", "fields"):
            if key in row and not (key == "fields" and place > 2):
                other = row | {key: row[key][1:]}
                assert filled(PAGE, [*rows[:place], other, *rows[place + 1 :]]) != written, (place, key)

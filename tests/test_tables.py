"""Tables that others wrote: their grid, what holds in them, and what is said of their numbers."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import workbooks
from finding import several
from sumnist.arithmetic.values import Values
from sumnist.cli import main
from sumnist.errors import DataError, LayoutError
from sumnist.inference.ctc import Candidate
from sumnist.inference.finder import Sight
from sumnist.inference.numbers import FoundNumber
from sumnist.inference.reader import Reader
from sumnist.tables.batch import export, pages_of, proposed, read_tables, summary_of
from sumnist.tables.grid import bend_of, cells_of, grid_of, without_lines
from sumnist.tables.layout import TableLayout
from sumnist.tables.reading import JUDGE, TableReader, cell_of, least_of
from sumnist.tables.rules import Rule, cell_name, column_of, found, holes_in, last_totals, letters, place_named

GOLDEN = Path(__file__).parent / "golden/tables"
EMPTY = -1
"""In a table of numbers, an empty cell."""


# What columns and cells are called.


@given(st.integers(0, 700), st.integers(0, 5_000))
def test_a_cell_is_where_its_name_says(row: int, column: int) -> None:
    assert place_named(cell_name((column, row))) == (column, row)
    assert column_of(letters(row)) == row


# Rules.


GROUNDED = {
    "r3 = r1 + r2": ([[0, 0], [0, 0], [0, 0]], ["A3 = A1 + A2", "B3 = B1 + B2"]),
    "B = 2 * A": ([[0, 0], [0, 0]], ["B1 = 2 * A1", "B2 = 2 * A2"]),
    "C = C_above + A - B": ([[5, EMPTY, 5], [EMPTY, 2, 3], [4, EMPTY, 7]], ["C2 = C1 - B2", "C3 = C2 + A3"]),
    "C = A * B": ([[5, EMPTY, 5]], []), "C = (A + B) / 2": ([[5, EMPTY, 5]], []),
}  # fmt: skip
"""Rules, each with the numbers of a table, and the relations that follow: an empty cell adds nothing to a sum, and of a
product or a mean with one nothing is said; a balance begins in the second row."""


@pytest.mark.parametrize("text", GROUNDED)
def test_a_rule_of_rows_holds_in_each_column_and_one_of_columns_in_each_row(text: str) -> None:
    values, relations = GROUNDED[text]
    cells = {(int(row), int(column)) for row, column in np.argwhere(np.array(values) > EMPTY)}
    assert [one.text for one in Rule.of(text).grounded(cells)] == relations
    some = [one.text for one in Rule.of(text, frozenset([1])).grounded(cells)]
    assert some == [one for one in relations if (one[0] == "B" if text[0] == "r" else one[1] == "2")]


def test_an_empty_cell_in_a_full_table_is_a_hole_and_a_rule_says_nothing_of_it() -> None:
    there = {(row, column) for row in range(6) for column in range(6)} - {(2, 3)}
    assert holes_in(there) == {(2, 3)}
    assert holes_in({(0, 0), (0, 1), (1, 0), (2, 1)}) == set()
    said = [one.total for one in Rule.of("r6 = r1 + … + r5").grounded(there, holes_in(there))]
    assert said == ["A6", "B6", "C6", "E6", "F6"]


@pytest.mark.parametrize("text", ["C = r1 + r2", "x = A + B", "r1 = total", "C = A + B7"])
def test_a_rule_is_of_rows_or_of_columns(text: str) -> None:
    with pytest.raises(LayoutError, match="expected rows alone"):
        Rule.of(text)


def in_columns(*totals: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> NDArray[np.int64]:
    """Three columns of chance, and totals of the columns before them."""
    values = np.random.default_rng(5).integers(20, 900, (16, 3))
    for total in totals:
        values = np.column_stack([values, total(values)])
    return values


FOUND = {
    "D = A + B + C": in_columns(lambda v: v.sum(1)),
    "D = (A + B + C) / 3": in_columns(lambda v: (2 * v.sum(1) + 3) // 6),
    "D = A + B - C": in_columns(lambda v: v[:, 0] + v[:, 1] - v[:, 2]),
    "D = A * B": in_columns(lambda v: v[:, 0] * v[:, 1]), "D = B - A": in_columns(lambda v: v[:, 1] - v[:, 0]),
    "D = (A + C) / 2": in_columns(lambda v: (v[:, 0] + v[:, 2] + 1) // 2),
    "D = A + C; E = D - B": in_columns(lambda v: v[:, 0] + v[:, 2], lambda v: v[:, 3] - v[:, 1]),
    "D = D_above + A": in_columns(lambda v: v[:, 0].cumsum()),
    "D = D_above + A - B": in_columns(lambda v: (v[:, 0] - v[:, 1]).cumsum()),
    "r4 = r1 + r2 + r3": in_columns(lambda v: v.sum(1)).T,
    "r4 = (r1 + r2 + r3) / 3": in_columns(lambda v: (2 * v.sum(1) + 3) // 6).T,
}  # fmt: skip
"""Tables, by what holds in them."""


@pytest.mark.parametrize("text", FOUND)
def test_what_holds_in_a_table_is_found_where_some_of_its_numbers_are_misread(text: str) -> None:
    values, random = FOUND[text], np.random.default_rng(1)
    misread = np.where(random.random(values.shape) < 0.04, values + 3, values)
    findings = found(misread, np.ones(values.shape, bool))
    assert [one.rule.relation.text for one in findings] == text.split("; ")
    for one in findings:
        assert 0.5 * one.seen < one.held <= one.seen
        assert one.log_p < -2


def test_in_tables_of_chance_nothing_holds() -> None:
    random = np.random.default_rng(7)
    for largest in (10, 100, 10_000):
        for _ in range(2):
            values = random.integers(0, largest, (20, 8))
            assert found(values, np.ones(values.shape, bool)) == []


@pytest.mark.parametrize("is_total", [True, False])
def test_a_rule_that_comes_again_is_found_where_most_of_its_numbers_are_misread_but_not_where_it_holds_nowhere(
    is_total: bool,
) -> None:
    random = np.random.default_rng(8)
    days = random.integers(100, 400, (4, 5, 4))
    values = np.concatenate([days, days.sum(1, keepdims=True)], 1).reshape(24, 4)
    values[11] = values[11] + [7, 7, 7, 0] if is_total else random.integers(100, 400, 4)
    formulas = [one.rule.relation.text for one in found(values, np.ones(values.shape, bool))]
    totals = (6, 12, 18, 24) if is_total else (6, 18, 24)
    assert formulas == [f"r{at} = " + " + ".join(f"r{row}" for row in range(at - 5, at)) for at in totals]


@pytest.mark.parametrize(("value", "read", "often"), [
    (1542, "542", True), (542, "1542", True), (542, "5421", True), (154, "1542", True),
    (1542, "1642", False), (1542, "42", False), (7, "", False), (1542, "1542", False),
])  # fmt: skip
def test_a_number_that_lost_its_first_digit_or_its_last_is_likelier_than_any_other(
    value: int, read: str, often: bool
) -> None:
    assert (least_of(value, read) == JUDGE.an_end) == often
    assert 0 < least_of(value, read) <= JUDGE.an_end


def column(random: np.random.Generator, of: list[int]) -> dict[tuple[int, int], Values]:
    """A column in which each number is read with what else it may be, now and then more probable than itself."""
    numbers = {}
    for row, value in enumerate(of):
        other, share = value + int(random.integers(1, 90)), float(random.choice([0.02, 0.3, 0.6], p=[0.8, 0.1, 0.1]))
        numbers[row, 0] = Values({value: 0.99 - share, other: share}, 0.01)
    return numbers


def test_in_columns_of_chance_the_last_number_is_no_total() -> None:
    random = np.random.default_rng(4)
    tables = [
        column(random, [*random.integers(100, 9_000, int(random.integers(4, 12))).tolist(), last])
        for last in random.integers(1_000, 60_000, 300).tolist()
    ]
    assert sum(last_totals(table) != [] for table in tables) <= 3


def test_a_balance_is_no_sum_though_it_would_be_one_where_nothing_is_spent() -> None:
    random = np.random.default_rng(6)
    values, there = np.zeros((18, 3), np.int64), np.ones((18, 3), bool)
    balance = 50_000
    for row in range(18):
        spent = row % 3 == 2
        amount = int(random.integers(10, 2_000))
        balance += -amount if spent else amount
        values[row] = (0, amount, balance) if spent else (amount, 0, balance)
        there[row, int(not spent)] = False
    values[4, 2] += 300
    assert [one.rule.relation.text for one in found(values, there)] == ["C = C_above + A - B"]


# Layouts.

STATION = b"""
columns = {B = {name = "max", decimals = 1}, C = {name = "min"}}
rules = [
  {formula = "r6 = r1 + ... + r5", every = 7, times = 3, columns = "B-D, F"},
  {formula = "D = (max + min) / 2", rows = "1-5, 8"}, {formula = "max = max_above + A"},
]
"""


def test_a_layout_says_what_columns_are_called_and_what_holds_where() -> None:
    layout = TableLayout.of_toml(STATION)
    assert TableLayout.of_toml(layout.to_toml().encode()) == layout
    assert (layout.names, layout.decimals) == ({1: "max", 2: "min"}, {1: 1})
    assert [rule.relation.text for rule in layout.rules or ()] == [
        "r6 = r1 + r2 + r3 + r4 + r5", "r13 = r8 + r9 + r10 + r11 + r12", "r20 = r15 + r16 + r17 + r18 + r19",
        "D = (B + C) / 2", "B = B_above + A",
    ]  # fmt: skip
    assert [rule.places for rule in layout.rules or ()] == [
        *[frozenset({1, 2, 3, 5})] * 3, frozenset({0, 1, 2, 3, 4, 7}), None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[columns.B]\nname = 'r3'", "no cell"),
        ("[columns.B]\nname = 'max'\n[columns.C]\nname = 'max'", "as another one is"),
        ("[columns.B]\ndecimals = 9", "expected 0 to 6"),
        ("[[rules]]\nformula = 'r3 = r1 + r2'\nrows = '1-2'", "expected columns in which it holds"),
        ("[[rules]]\nformula = 'C = A + B'\nevery = 3", "expected rows in which it holds"),
        ("[[rules]]\nformula = 'C = A + B'\nrows = '1-3, 12-8'", "12-8 counts down, expected it to count up"),
        ("[[rules]]\nformula = 'r3 = r1 + r2'\ntimes = 4", "expected whole numbers from 1"),
    ],
)
def test_a_layout_that_contradicts_itself_says_where(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(LayoutError, match=message):
        TableLayout.load(tmp_path / "bad.toml")


# The grid.


@settings(max_examples=20)
@given(st.floats(-0.08, 0.08), st.floats(-0.03, 0.03), st.integers(2, 9))
def test_what_stands_on_one_line_has_one_coordinate_however_the_page_is_bent(
    slope: float, curl: float, columns: int
) -> None:
    x, y = np.meshgrid(np.linspace(100, 1_100, columns), np.arange(100, 900, 60.0))
    bent = y + slope * x + curl * 500 * ((x - 600) / 500) ** 2
    points = np.stack([x.ravel(), bent.ravel()], 1)
    at = np.arange(len(points)).reshape(x.shape)
    pairs = np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()], 1)
    down = bend_of(points, pairs, 1, 30.0)(points).reshape(x.shape)
    assert np.ptp(down, axis=1).max() < 6


def test_a_row_of_lone_digits_is_one_and_other_writing_beside_a_number_makes_it_suspect() -> None:
    lines = [*("12 34 56", "7 8 9", "23 45 67"), "89 1 2?"]
    texts = {(row, at): text for row, line in enumerate(lines) for at, text in enumerate(line.split())}
    numbers, every = several(*((text, 100 + 200 * at, 100 + 60 * row, 30) for (row, at), text in texts.items()))
    grid = grid_of(numbers)
    assert grid is not None
    assert (len(grid.rows), len(grid.edges)) == (4, 4)
    sight = Sight(np.zeros((400, 700), np.uint8), np.zeros((400, 700), np.uint8), 1.0, every)
    cells = cells_of(grid, sight)
    assert {place: one.text for place, one in cells.items()} == {**texts, (3, 2): "2"}
    assert [place for place, one in cells.items() if one.suspect] == [(3, 2)]


@pytest.mark.parametrize("slope", [-0.08, 0.08])
def test_printed_lines_go_and_strokes_at_the_edge_of_a_slanted_page_stay_whatever_the_light(slope: float) -> None:
    y, x = np.mgrid[:600, :700]
    numbers, every = several(
        *(("11", int(left + slope * (top - 300)), int(top + slope * (left - 350)), 24)
          for top in range(60, 560, 60) for left in (300, 500, 660))
    )  # fmt: skip
    grid = grid_of(numbers)
    assert grid is not None
    strokes = np.zeros((600, 700), bool)
    for middle, height in zip(every.x.astype(int), every.y.astype(int), strict=True):
        strokes[height - 12 : height + 12, middle - 2 : middle + 2] = True
    squared = np.where((x % 40 == 0) | (y % 40 == 0), 0.85, 1.0)
    lit = np.linspace(240, 60, 700) * squared
    grey = np.where(strokes, 0.4 * lit, lit).astype(np.uint8)
    sight = Sight(grey, 255 * strokes.astype(np.uint8), 1.0, every)
    assert without_lines(grid, sight) is None
    line = np.abs(x - slope * (y - 300) - 400) < 1.5
    clean = without_lines(grid, sight._replace(grey=np.where(line, 40, grey).astype(np.uint8)))
    assert clean is not None
    assert np.median(clean[line]) > 100
    assert (clean[strokes] == grey[strokes]).all()


# Reading.


@pytest.mark.parametrize(("confidence", "state"), [(0.9, "corrected"), (0.9999, "doubtful")])
def test_what_is_read_clearly_is_not_corrected_by_what_holds(confidence: float, state: str, reader: Reader) -> None:
    written = np.array([[12, 30, 32], [25, 46, 71], [37, 76, 113]])  # 32 stands where 42 would be right
    shares = np.where(written == 32, confidence, 1.0)
    readings = {
        place: FoundNumber(
            str(value), int(value), share,
            (Candidate(str(value), int(value), share), Candidate("42", 42, 1 - share)), 0.0, True, None, 1.0,
        )
        for (place, value), share in zip(np.ndenumerate(written), shares.ravel().tolist(), strict=True)
    }  # fmt: skip
    rules = tuple(map(Rule.of, ("C = A + B", "r3 = r1 + r2")))
    judges = {place: partial(lambda one, asked=(): one, one) for place, one in readings.items()}
    solved = TableReader(TableLayout(rules=rules), reader).solved(judges, readings)
    cells = {place: cell_of(place, one, solved, 0, related=True) for place, one in readings.items()}
    assert (cells[0, 2].value, cells[0, 2].state, cells[0, 2].read) == (42, state, "32")
    assert {cell.state for place, cell in cells.items() if place != (0, 2)} == {"checked"}


# Many pages.


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a folder with a table and what is none."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "a.png").write_bytes((GOLDEN / "tally.png").read_bytes())
    Image.new("L", (300, 200), 255).save(folder / "b.png")
    out = folder.parent / f"{folder.name}.xlsx"
    done = read_tables([folder], out, TableLayout(), 0.03, learn=False, workers=1, progress=False)
    assert (done.rows, done.failed) == (2, 1)
    return out.with_suffix(".jsonl")


def test_a_page_that_cannot_be_read_is_a_line_that_says_so_and_the_others_are_there(tables: Path) -> None:
    good, bad = pages_of(tables)
    assert "no numbers found" in bad["error"]
    assert (good["mistake"], len(good["cells"])) == (0.03, 56)
    assert summary_of([good, bad]).count("\n") >= 1
    assert {rule.relation.text for rule in proposed([good, bad]).rules or ()} == {
        one["formula"] for one in good["rules"]
    }
    book = workbooks.opened(tables.with_suffix(".xlsx"))
    first = book["Page 1"].values
    assert [first[place] for place in ("A1", "A2", "B2")] == [good["path"], "A", "B"]
    for cell in good["cells"]:
        assert book["Page 1"].values[f"{cell['cell'][0]}{cell['row'] + 2}"] == cell["value"]
    assert bad["error"] in (book["Page 2"].values["A2"], f"{bad['path']}: {book['Page 2'].values['A2']}")
    found = [(line[1], line[4]) for line in book["Numbers"].lines()[1:]]  # without names, which are empty
    assert found == [(one["cell"], one["value"]) for one in good["cells"]]


OBSERVED = """
[columns]
A = {name = "max", decimals = 1, variable = "Tx", statistic = "maximum", unit = "C"}
C = {variable = "rr", statistic = "sum", unit = "mm"}

[station]
id = "203"
name = "Binga"
lat = 2.3
lon = 20.5
source = "diaries"
"""


def days_on(name: str, rows: int, total: str) -> dict[str, object]:
    """A page of one month whose numbers are 20.1, 20.2, …; the fourth one is doubtful, and the fifth not there."""
    cells = [
        {"cell": f"A{row}", "row": row, "column": 1, "value": f"20.{row}", "probability": 1.0, "read": f"20{row}",
         "state": "doubtful" if row == 4 else "checked", "candidates": [], "corners": [[0.0, 0.0]] * 4, "seen": []}
        for row in range(1, rows + 1) if row != 5
    ]  # fmt: skip
    rules = [{"formula": total, "places": None, "held": 1, "seen": 1}]
    return {"path": name, "rows": rows, "columns": 1, "rules": rules, "broken": [], "beside": 0, "cells": cells}


def test_weather_is_written_for_archives_a_line_for_each_day_and_none_for_totals(tmp_path: Path) -> None:
    layout = TableLayout.of_toml(OBSERVED.encode())
    pages = [days_on("b_195703.png", 32, "r32 = r1 + … + r31"), days_on("b_1957-02.png", 29, "r6 = r1 + … + r5")]
    pages.append({"path": "b_195704.png", "error": "b_195704.png: no numbers found on it"})
    export(pages, tmp_path / "station.zip", layout)
    with ZipFile(tmp_path / "station.zip") as archive:
        assert archive.namelist() == ["diaries_203_19570201-19570331_Tx.tsv", "diaries_203_19570201-19570331_rr.tsv"]
        lines = [line.split("\t") for line in archive.read(archive.namelist()[0]).decode().splitlines()]
    days = lines[13:]
    assert len(days) == 28 + 31
    assert days[0][:7] == ["1957", "02", "01", "NA", "NA", "day", "20.1"]
    assert days[0][7] == "orig=201C|state=checked|page=b_1957-02.png|cell=A1"
    assert [line[6] for line in days[2:7]] == ["20.3", "NA", "NA", "20.7", "20.8"]  # doubtful, not there; 6 is a total
    assert days[28][:3] == ["1957", "03", "01"]


@pytest.mark.parametrize("line", ["{", '{"path": 3}', '{"path": "a", "cells": [3]}', "[]"])
def test_a_line_that_is_no_table_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "tables.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match="line 1: not a table"):
        pages_of(tmp_path / "tables.jsonl")


def test_the_commands_read_tables_and_write_what_holds(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "station.toml"
    assert main(["table", "relations", str(tables), "--out", str(out)]) == 0
    assert "on 1 of 1 pages" in capsys.readouterr().out
    assert TableLayout.load(out).rules
    assert main(["table", "relations", str(tables), "--out", str(out)]) != 0
    assert "--overwrite" in capsys.readouterr().err


def test_no_text_of_a_table_is_a_formula_and_a_number_below_zero_stays_one(tables: Path, tmp_path: Path) -> None:
    page = pages_of(tables)[0]
    cell = {**page["cells"][0], "value": "-3.5", "read": "=1+1"}
    export([{**page, "path": "=cmd.jpg", "cells": [cell]}], tmp_path / "numbers.csv")
    (row,) = csv.DictReader((tmp_path / "numbers.csv").read_text().splitlines())
    assert (row["path"], row["value"], row["read"]) == ("./=cmd.jpg", "-3.5", "'=1+1")

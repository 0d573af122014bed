"""Workbooks of marks: read back from their XML, their formulas worked out, and nothing in them but what was read."""

from __future__ import annotations

import math
import tempfile
from fractions import Fraction
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from review_sheets import row_of
from simulated_sheets import EXAM
from sumnist.arithmetic.values import Values
from sumnist.errors import OutputError
from sumnist.sheets import workbook as tables
from sumnist.sheets.check import verdict
from sumnist.sheets.layout import Layout, Person
from sumnist.sheets.reading import SheetReader
from sumnist.sheets.review import IDENTITY, by_hand
from sumnist.sheets.workbook import COLOURS, write_workbook
from workbooks import MAIN, Sheet, opened, worked_out

NESTED = Layout.of_toml(b"""
title = "Stock & more"
paper = "Letter"
identity = {kind = "digits", digits = 6}
field = [
  {name = "a", largest = 9.5, halves = true}, {name = "b", digits = 2}, {name = "paid", digits = 11},
  {name = "price", digits = 2},
]
total = [
  {name = "part", label = "Subtotal", formula = "part = a + b"}, {name = "change", formula = "change = paid - price"},
  {name = "all", formula = "all = part + change"},
]
""")


row = partial(row_of, identity="Ada")


def unreadable(number: int, error: str) -> dict[str, Any]:
    return dict.fromkeys(row()) | {"row": number, "path": f"IMG_{number}.jpg", "error": error}


def png(width: int = 60, height: int = 36, shade: int = 0) -> bytes:
    data = BytesIO()
    Image.new("L", (width, height), shade).save(data, "PNG", dpi=(300, 300))
    return data.getvalue()


def written(folder: Path, *rows: dict[str, Any], layout: Layout = EXAM, **options: Any) -> dict[str, Sheet]:
    typed = options.pop("corrections", {})
    corrected = (by_hand(row, typed.get(row["row"], {}), layout) for row in rows)
    write_workbook(corrected, layout, folder / "marks.xlsx", **options)
    return opened(folder / "marks.xlsx")


# The marks.


SUMS = {
    "t = a + b": lambda a, b: a + b, "t = 2 * a - b": lambda a, b: 2 * a - b,
    "t = (a + b) / 2": lambda a, b: (a + b) / 2, "t = (2 * a + b) / 3": lambda a, b: (2 * a + b) / 3,
    "t = a / 4": lambda a, b: a / 4, "t = a * b": lambda a, b: a * b, "t = (a * b) / 2": lambda a, b: a * b / 2,
}  # fmt: skip
"""Formulas, and the same as functions of fractions."""


def rounded(value: Fraction, units: int) -> Fraction:
    return Fraction(math.floor(value * units + Fraction(1, 2)), units)


@pytest.mark.parametrize("formula", SUMS)
@pytest.mark.parametrize(("terms", "total"), [(True, True), (False, True), (False, False)])  # which have halves
def test_a_total_is_right_for_the_check_after_a_review_and_in_the_workbook_alike(
    formula: str, terms: bool, total: bool, tmp_path: Path
) -> None:
    if terms and "*" in formula.replace("2 *", ""):
        return  # halves are not multiplied
    layout = Layout.of_toml(
        f"""
        title = "One total"
        field = [{{name = "a", halves = {terms}, digits = 1}}, {{name = "b", halves = {terms}, digits = 1}}]
        total = [{{name = "t", halves = {total}, formula = "{formula}"}}]
    """.lower().encode()
    )
    units, known = 1 + total, [Fraction(one, 1 + terms) for one in (0, 1, 7, 11, 9)]
    rows, expected = list[dict[str, Any]](), list[tuple[Fraction, bool]]()
    for a, b in product([one for one in known if one < 10], repeat=2):
        exact = Fraction(SUMS[formula](a, b))
        for step in (-2, -1, 0, 1, 2):
            there = rounded(exact, units) + Fraction(step, units)
            is_right = abs(there - exact) < Fraction(1, units) if "/" in formula else there == exact
            if 0 <= there <= layout.field("t").largest / units:
                values = {name: plain(one) for name, one in (("a", a), ("b", b), ("t", there))}
                rows.append(row(len(rows), layout=layout, values=values, identity=None))
                expected.append((rounded(exact, units), is_right))
    unknown = row(len(rows), layout=layout, values={"a": None, "b": 1, "t": 1}, identity=None)
    marks, reader = written(tmp_path, *rows, unknown, layout=layout)["Marks"], SheetReader(layout)
    for title in ("t, added up", "t agrees?"):
        place = f"{marks.column(title)}{len(rows) + 2}"
        assert marks.values[place] == worked_out(marks, marks.formulas[place]) == ""
    for line, (one, (due, is_right)) in enumerate(zip(rows, expected, strict=True), 2):
        found = by_hand(one, {"a": one["values"]["a"]}, layout)
        assert found["state"] == ("by hand" if is_right else "does not add up")
        told = [(wrong["sum"], wrong["written"]) for wrong in found["wrong"]]
        assert told == [(due, one["values"]["t"])] * (not is_right)
        for title, value in (("t, added up", float(due)), ("t agrees?", "yes" if is_right else "no")):
            place = f"{marks.column(title)}{line}"
            assert (marks.values[place], worked_out(marks, marks.formulas[place])) == (value, value)
        sure = {name: Values({int(value * 2 // layout.field(name).step): 1.0}, 0.0)
                for name, value in one["values"].items()}  # fmt: skip
        said = verdict(reader.check.posterior(sure))
        assert said.state == ("adds up" if is_right else "does not add up")


def plain(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


# What is to be said of cells.


def test_a_corrected_cell_is_coloured_and_says_what_was_read(tmp_path: Path) -> None:
    told = [
        {"field": "q1", "read": 7, "value": 9, "probability": 0.9981},
        {"field": "q3", "read": None, "value": 4, "probability": 0.99999},
    ]
    marks = written(tmp_path, row(state="corrected", corrections=told))["Marks"]
    assert marks.comments == {
        "D2": "read as 7, the sum makes it 9, p = 0.998", "F2": "not read, the sum makes it 4, p > 0.999",
    }  # fmt: skip
    assert [place for place, colour in marks.colours.items() if colour == COLOURS["corrected"]] == ["C2", "D2", "F2"]


DOUBT = [
    {"field": "q2", "candidates": [{"value": 7.5, "probability": 0.61}, {"value": 2.0, "probability": 0.386}]},
    {"field": "q3", "candidates": [{"value": 4, "probability": 0.9961}, {"value": None, "probability": 0.0039}]},
]


def test_doubtful_cells_are_listed_with_pictures_and_what_they_may_be(tmp_path: Path) -> None:
    pictures = {"q2": png(60, 36), "q3": png(3000, 30, 200)}
    doubtful = row(1, state="doubtful", probability=0.6, look=DOUBT)
    sheets = written(tmp_path, row(0), doubtful, crops=lambda of, field: pictures[field])
    look = sheets["To look at"]
    assert look.lines()[1:] == [
        [2, "Ada", "Question 2", 7.5, "7.5 (61%), 2 (39%)", "IMG_1.jpg"],
        [2, "Ada", "Question 3", 4, "4 (>99%), another number (<1%)", "IMG_1.jpg"],
    ]
    assert look.pictures == {
        "D2": (pictures["q2"], "Question 2 on IMG_1.jpg"), "D3": (pictures["q3"], "Question 3 on IMG_1.jpg"),
    }  # fmt: skip
    marks = sheets["Marks"]
    assert marks.comments["E3"] == "may be 7.5 (61%), 2 (39%)"
    assert marks.colours["C3"] == marks.colours["E3"] == marks.colours["F3"] == COLOURS["doubtful"]
    assert "E2" not in marks.colours


# What people typed.


def test_what_was_typed_replaces_what_was_read_and_says_so(tmp_path: Path) -> None:
    doubtful = row(3, state="doubtful", probability=0.6, look=DOUBT, values=row()["values"] | {"total": 15})
    sheets = written(tmp_path, doubtful, corrections={3: {"q2": 2, "q3": 4}})
    marks = sheets["Marks"]
    assert (marks.at("State", 2), marks.at("Question 2", 2), marks.at("Total, added up", 2)) == ("by hand", 2, 15)
    assert marks.comments == {"E2": "by hand instead of 7.5", "F2": "by hand"}
    assert marks.colours["E2"] == COLOURS["by hand"]
    assert marks.at("Probability", 2) is None
    assert len(sheets["To look at"].lines()) == 1
    sheets = written(tmp_path, doubtful, corrections={3: {"q2": 2}})  # it stays doubtful until all its cells are typed
    assert sheets["Marks"].at("State", 2) == "doubtful"
    assert [line[2] for line in sheets["To look at"].lines()] == ["Cell", "Question 3"]


def test_an_unreadable_sheet_that_was_typed_whole_is_a_sheet_like_others(tmp_path: Path) -> None:
    typed = {"q1": 1, "q2": None, "q3": 3, "total": 4, IDENTITY: "Bo"}
    marks = written(tmp_path, unreadable(0, "no tags"), people=[Person("Bo", "Bob")], corrections={0: typed})["Marks"]
    assert marks.lines()[1][:4] == [1, "Bo", "Bob", "by hand"]
    assert (marks.at("Question 2", 2), marks.at("Total agrees?", 2), marks.comments["B2"]) == (None, "", "by hand")
    assert "no tags" not in str(marks.lines())
    assert by_hand(unreadable(0, "no tags"), {"q1": 1, "total": 4}, EXAM)["state"] is None


TOLD = {"field": "total", "written": 19.5, "sum": 20.5, "kind": "off by one", "probability": 0.9}
WRONG = row(state="does not add up", values=row()["values"] | {"total": 19.5}, wrong=[TOLD])


@settings(max_examples=100, deadline=None)
@given(
    values=st.fixed_dictionaries(dict.fromkeys(NESTED.names, st.integers(0, 3))),
    typed=st.dictionaries(st.sampled_from(NESTED.names), st.integers(0, 3), min_size=1),
    state=st.sampled_from(["doubtful", "does not add up", None]),
)
def test_after_the_review_a_sheet_does_not_add_up_if_a_total_that_somebody_touched_does_not(
    values: dict[str, int], typed: dict[str, int], state: str | None
) -> None:
    found = by_hand(row(layout=NESTED, state=state, values=values), typed, NESTED)
    now = values | typed
    sums = {"part": now["a"] + now["b"], "change": now["paid"] - now["price"], "all": now["part"] + now["change"]}
    terms = {"part": {"part", "a", "b"}, "change": {"change", "paid", "price"}, "all": {"all", "part", "change"}}
    wrong = {name: (now[name], sums[name]) for name in sums if terms[name] & typed.keys() and now[name] != sums[name]}
    assert {one["field"]: (one["written"], one["sum"]) for one in found["wrong"]} == wrong
    assert found["state"] == ("does not add up" if wrong else "by hand")
    assert (by_hand(WRONG, {"q1": None}, EXAM)["wrong"], by_hand(WRONG, {}, EXAM)) == ([], WRONG)


# Texts of others.

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"],
                             exclude_characters="\ufffe\uffff"), min_size=1, max_size=40)  # fmt: skip
ODD = st.sampled_from(
    ["=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "http://example.org", "mailto:a@b.org", "internal:Marks!A1", "<r>1</r>",
     "<r><t>x</t></r>", "_x0041_", "007", "1e5", " lead and trail ", "&amp;", "]]>", "TRUE", "#N/A"]
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(identity=TEXT | ODD, name=TEXT | ODD, path=TEXT | ODD, error=TEXT | ODD)
def test_any_text_stays_the_same_text(identity: str, name: str, path: str, error: str) -> None:
    rows = [row(0, identity=identity, path=path, state="doubtful", look=DOUBT), unreadable(1, error)]
    with tempfile.TemporaryDirectory() as folder:
        sheets = written(Path(folder), *rows, people=[Person(identity, name)], crops=lambda of, field: png())
    marks, look = sheets["Marks"], sheets["To look at"]
    for found, expected in (
        (marks.at("Identity", 2), identity), (marks.at("Name", 2), name), (marks.at("File", 2), path),
        (marks.at("Notes", 3), error), (look.at("Identity", 2), identity), (look.at("File", 3), path),
    ):  # fmt: skip
        assert found.removesuffix(" ") == expected.removesuffix(" ")
    assert set(marks.formulas) == {f"{column}{line}" for column in "IJ" for line in (2, 3)}
    for sheet in sheets.values():
        assert not list(sheet.root.iter(f"{MAIN}hyperlink"))
    assert not look.formulas
    assert not sheets["Summary"].formulas


def test_the_summary_counts_states_and_lists_what_is_odd(tmp_path: Path) -> None:
    rows = [row(0), row(1), row(2, identity="Zoë", version=2), unreadable(3, "=too dark\x1b[1m\n\ufffe\x85")]
    sheets = written(tmp_path, *rows, people=[Person("Ada", "Ada Lovelace"), Person("Bo")])
    lines, dark = sheets["Summary"].lines(), r"=too dark\x1b[1m\n\ufffe\x85"
    assert lines[0] == ["Mathematics"]
    assert [line[:2] for line in lines[3:11]] == [
        ["adds up", 3], ["corrected", 0], ["does not add up", 0], ["doubtful", 0], ["blank", 0], ["by hand", 0],
        ["unreadable", 1], ["all", 4],
    ]  # fmt: skip
    assert lines[11:] == [
        ["Unreadable: 1"], ["File", "Why"], ["IMG_3.jpg", dark],
        ["People without a readable sheet: 1"], ["Identity", "Name"], ["Bo"],
        ["On several sheets: 1"], ["Identity", "Name", "Files"], ["Ada", "Ada Lovelace", "IMG_0.jpg, IMG_1.jpg"],
        ["Not among the people: 1"], ["Identity", "File"], ["Zoë", "IMG_2.jpg"],
        ["Of another layout or version: 1"], ["Layout", "Version", "Sheets"], [EXAM.id, "version 2", "1 sheet"],
    ]  # fmt: skip
    assert sheets["Marks"].at("Notes", 4) == "version 2 of the layout"
    assert sheets["Marks"].at("Notes", 5) == dark


def test_more_lines_than_excel_takes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LINES", 30)
    written(tmp_path, *map(row, range(29)))
    with pytest.raises(OutputError, match=r'^more than 30 lines in "Marks", expected .*: read fewer '):
        written(tmp_path, *map(row, range(30)))

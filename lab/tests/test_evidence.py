"""The envelope of rows, the language of queries, and which rows are quoted."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from lab import evidence
from lab.evidence import NOT_MEASURED, answered, said
from lab.figures import quoted, reported

Row = dict[str, Any]
ENVELOPE = ["part", "date", "commit", "machine"]
MACHINE = {"processor": "made up", "cores": 2, "versions": {"torch": "2"}}


# The committed rows and pages.


@pytest.mark.parametrize("path", sorted(evidence.RESULTS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_row_has_the_one_envelope(path: Any) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert list(row)[:4] == ENVELOPE or path.stem == "study", path
        assert "commit" not in (row.get("machine") or {})


# The language.

SAID = [
    {"part": "a", "date": "1", "name": "x", "n": 1, "time": 0.5, "share": 0.25, "more": {"deep": [4, 6]}, "none": None},
    {"part": "a", "date": "3", "name": "x", "n": 2, "time": 1.5, "share": 0.75, "more": {"deep": [8]}, "none": 1},
    {"part": "a", "date": "2", "name": "y", "n": 1, "time": None, "share": 0.5, "more": {"deep": [2]}, "none": None},
    {"part": "b", "date": "9", "name": "z", "n": 7, "time": 9, "share": 0, "more": {"deep": [1]}, "none": None},
]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{name} {n:,} {date:.10}", "x 1 1"), ("{share:.1%} %", "25.0 %"), ("{none:.1%}", "–"), ("{none}", "–"),
        ("{median share:.2f}", "0.50"), ("{min n}{max n}{sum n}{count part}", "1243"), ("{mean n:.1f}", "1.3"),
        ("{median time:time}", "none"), ("{time:time}", "500 ms"), ("{n * 2000 / 3:,.0f}", "667"),
        ("{n + 1 - 3 * 2:.0f}", "-2"), ("{n / 0:.1f}", "–"), ("{more.deep.1}", "6"), ("{more.shallow}", "–"),
        ("{sum n if name=x|z & !time=0.5} {sum n if n==share}", "2 0"), ("{share n if name=x of !none:.0%}", "50"),
        ("{rare n if name=y} {share n if n of name=z:.1%}", "1 (< 69.94 %) –"), ("{max n if name=z}", "–"),
        ("{sum more.deep} {nine_tenths more.deep} {count more.deep}", "20 8 4"), ("{every n}", "1, 2"),
        ("{listed share:.0%} | {joined name}", "25, 75, 50 | x\n\nx\n\ny"), ("{spread share:.0%}", "50 ± 25"),
        ("{n:seconds} {n:duration} {n:yes}", "1.0 s 1.0 s yes"), ("no figure", "no figure"),
        ("{distinct name}|{spread time:.1f}", "x, y|–"), ("{more.deep.7}", "–"),
        ("{spread n:+.1f} {spread n if name=y:.1f}", "+1.3 ± 0.6 1.0"),
    ],
)  # fmt: skip
def test_a_template_says_the_figures_of_its_rows(template: str, expected: str) -> None:
    assert said(template, SAID[:3]) == expected


COLUMNS = 'columns = [["who", "{name}"], ["n", "{n}"]]\n'


@pytest.mark.parametrize(
    ("clauses", "body"),
    [
        ("", [["x", "1"], ["x", "2"], ["y", "1"]]),
        ("where = {n = 1}", [["x", "1"], ["y", "1"]]),
        ('where = {"more.deep.0" = 8}', [["x", "2"]]),
        ("last = []", [["x", "2"]]),
        ('last = ["name"]', [["x", "2"], ["y", "1"]]),
        ('newest = "name"', [["x", "1"], ["x", "2"]]),
        ('has = ["time"]', [["x", "1"], ["x", "2"]]),
        ('sort = ["n", "name"]', [["x", "1"], ["y", "1"], ["x", "2"]]),
        ('names.name = {y = "Y", x = "X"}\nsort = ["name"]', [["Y", "1"], ["X", "1"], ["X", "2"]]),
        ('names.name = {y = "Y"}', [["Y", "1"]]),
        ('by = ["name"]', [["x", "1"], ["y", "1"]]),
        ('by = ["name"]\nacross = "n"\neach = [["of {n}", "{median share}"]]',
         [["x", "1", "0.25", "0.75"], ["y", "1", "0.5", "–"]]),
        ('by = ["n", "name"]', [["x", "1"], ["x", "2"], ["y", "1"]]),
        ('by = ["n", "name"]\nacross = "share"\neach = [["", "{count part}"]]',
         [["x", "1", "1", "–", "–"], ["y", "1", "–", "1", "–"], ["x", "2", "–", "–", "1"]]),
        ('like = {date = "[13]"}', [["x", "1"], ["x", "2"]]),
        ('beside = {name = "y"}\nby = ["name"]\nmore = [["all", "{sum n / sum base.n:.2f}"]]',
         [["x", "1"], ["y", "1"], ["all", "1.33"]]),
        ('beside = {n = 1}\nalike = ["name"]\nmore = [["all", "{count base.n} {any n}"]]',
         [["x", "1"], ["x", "2"], ["y", "1"], ["all", "3 1 or 2"]]),
        ('by = ["name"]\nrank = "min share"', [["y", "1"], ["x", "1"]]),
        ('more = [["all", "{sum n if name=x} of {sum n}"]]', [["x", "1"], ["x", "2"], ["y", "1"], ["all", "3 of 4"]]),
        ('above = [["z", "9"]]\nlast = []', [["z", "9"], ["x", "2"]]),
        ('newest = "n"\nwithin = ["name"]', [["x", "2"], ["y", "1"]]),
        ('let.n = "n * 3 - share"\nlet.name = "{name}{date}"', [["x1", "2.75"], ["x3", "5.25"], ["y2", "2.5"]]),
        ('beside = {}\nalike = ["name"]\nlet.n = "n - base.1.n"\nhas = ["base.1"]\nonly = {n = "^-"}', [["x", "-1"]]),
        ('by = ["name", "n"]\nsort = ["name"]\nrank = "max n"', [["x", "2"], ["x", "1"], ["y", "1"]]),
        ('by = ["name"]\nacross = "n"\nvalues = [2, 5]\neach = [["of {n}", "{share}"]]',
         [["x", "1", "0.75", "–"], ["y", "1", "–", "–"]]),
    ],
)  # fmt: skip
def test_a_query_says_which_rows_make_which_lines(clauses: str, body: list[list[str]]) -> None:
    lines = answered(f'from = "a"\n{clauses}\n{COLUMNS}', copy.deepcopy(SAID)).strip().splitlines()
    assert [line.strip("| ").split(" | ") for line in lines[2:]] == body
    assert lines[0].startswith("| who | n |")
    assert ("of {n}" in clauses) == ("| of 1 | of 2 |" in lines[0] or "| of 2 | 5 |" in lines[0])


def test_entries_of_lists_become_rows_that_know_the_one_they_are_of() -> None:
    row = {"part": "a", "date": "1", "name": "x", "ones": [{"n": 1}, {"n": 2}], "one": {"n": 4}, "no": 3}
    query = 'from = "a"\nunfold = ["one", "ones"]\ntext = "{listed n} {sum all.no if first} {all.name} {count first}"'
    assert answered(query, [row, row]) == "4, 1, 2, 4, 1, 2 6 x 6"


def test_lines_are_of_the_last_row_of_each_part() -> None:
    query = 'columns = ["", "said"]\nlines = [["a", "{name}", "{n}"], ["c", "none", "{n}"], ["b", "{name}", "{n}"]]'
    assert answered(query, SAID).strip().splitlines()[2:] == ["| x | 2 |", "| z | 7 |"]
    assert answered(query, []).strip() == NOT_MEASURED


def test_a_sentence_can_have_what_is_said_of_each_group() -> None:
    query = 'from = "a"\nby = ["name"]\nline = "{name}: {sum n}"\njoin = "; "\ntext = "{count n} rows, {lines}."'
    assert answered(query, SAID) == "3 rows, x: 3; y: 1."


# Which rows are quoted.


def strips(date: str, half: str = "reported", model: str = "a", engine: str = "ours", path: int = 1) -> Row:
    return {"part": "strips", "date": date, "half": half, "model_sha256": model, "engine": engine, "path": path,
            "kind": "strings", "set": "suite", "name": "2 digits"}  # fmt: skip


def test_of_an_engine_the_newest_network_is_quoted_as_it_was_first_measured_and_development_as_last() -> None:
    old, late, again = strips("2025", model="b"), strips("2029", model="b"), strips("2027")
    first, ocr = strips("2026"), strips("2024", model="c", engine="ocr")
    assert quoted([again, late, old, ocr, first]) == [first, ocr]
    redesigned = strips("2030", path=2)
    assert quoted([first, redesigned]) == [redesigned]
    assert quoted([first, strips("2031", "development", "d")]) == [strips("2031", "development", "d")]
    early, last = strips("2026", "development"), strips("2028", "development")
    assert quoted([last, early]) == [last]


def test_of_pictures_the_first_reported_row_of_the_newest_reader_is_quoted() -> None:
    def row(date: str, half: str = "reported", model: str = "a", path: int = 1) -> Row:
        return {"part": "robustness", "date": date, "half": half, "model_sha256": model, "path": path}

    rows = [row("2027"), row("2025", model="b"), row("2029", model="b"), row("2026"), row("2028", "development")]
    assert reported(rows) == [row("2026")]
    assert reported([*rows, row("2030", "development", "c")]) == []
    assert reported([row("2026"), row("2026b", path=2)]) == [row("2026b", path=2)]

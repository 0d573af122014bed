"""The pages are what the rows give: the language of their queries, which rows are quoted, and no figure by hand."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from functools import cache
from typing import Any

import numpy as np
import pytest

from lab import evidence, figures, measure, write_docs
from lab.evidence import NOT_MEASURED, agreeing, answered, part, said
from lab.figures import FIGURES, quoted, reported

Row = dict[str, Any]
ENVELOPE = ["part", "date", "commit", "machine"]
MACHINE = {"processor": "made up", "cores": 2, "versions": {"torch": "2"}}


@cache
def rows() -> list[Row]:
    """The committed rows."""
    return write_docs.all_rows()


@cache
def marks() -> list[tuple[str, str, str]]:
    """The name, the query and the text of every mark on the pages."""
    found = [write_docs.MARK.findall(page.read_text(encoding="utf-8")) for page in write_docs.PAGES]
    return [(name, query, text) for page in found for _, name, query, text, _ in page]


def query_with(words: str) -> str:
    """The first query of the pages in which these words are."""
    return next(query for _, query, _ in marks() if words in query)


def written(name: str, query: str, given: list[Row]) -> str:
    return FIGURES[name](given) if name else answered(query, given)


# The committed rows and pages.


@pytest.mark.parametrize("path", sorted(evidence.RESULTS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_row_has_the_one_envelope(path: Any) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert list(row)[:4] == ENVELOPE or path.stem == "study", path
        assert "commit" not in (row.get("machine") or {})


@pytest.mark.parametrize("page", write_docs.PAGES, ids=lambda page: page.stem)
def test_every_figure_of_a_page_is_the_one_that_the_rows_give(page: Any) -> None:
    text = page.read_text(encoding="utf-8")
    assert write_docs.MARK.search(text)
    assert write_docs.filled(text, rows()) == text, "stale: run make docs"
    assert not re.search(r"^ *<!-- figure[^>]*-->\S", text, re.MULTILINE), "it would end the paragraph"


def test_every_figure_is_on_a_page_and_without_rows_says_that_it_was_not_measured() -> None:
    assert {name for name, _, _ in marks() if name} == set(FIGURES)
    constant = re.compile("modules|study|sheet-(example|channel|mistake$|sure|wrong)|original-epochs")
    for name, query, _ in marks():
        if not constant.match(name):
            assert written(name, query, []).strip() == NOT_MEASURED, name or query
    for name, plot in figures.PLOTS.items():
        assert "ot measured yet" in plot([]) or name == "bench-accuracy"


def tripled(value: Any) -> Any:
    """The same with every number in it three times as large, and some words changed."""
    if isinstance(value, dict):
        return {key: tripled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [tripled(inner) for inner in value]
    return not value if isinstance(value, bool) else value * 3 if isinstance(value, int | float) else value


FIXED = {"path", "seed", "round", "digits", "batch", "addends", "config", "threads", "trust", "factor", "mistakes",
         "wrong", "left_out", "inside", "size", "server_cores", "load_cores", "connections", "kills"}  # fmt: skip
"""What says which rows these are, not what was measured."""
WORDS = {"cause", "answer", "picture"}


QUERIES = [tomllib.loads(query) for _, query, _ in marks() if query]
QUOTED = {part for query in QUERIES if "columns" in query for part in np.atleast_1d(query.get("from", [])).tolist()}
"""The parts of which a page has a table."""


@pytest.mark.parametrize("name", sorted(QUOTED))
def test_a_changed_row_changes_the_pages(name: str) -> None:
    changed = [
        row if row["part"] != name else row | {
            key: "another one" if key in WORDS else value if key in (*ENVELOPE, *FIXED) else tripled(value)
            for key, value in row.items()
        }
        for row in rows()
    ]  # fmt: skip
    asked = [mark for mark in marks() if f'"{name}"' in mark[1] or (mark[0] and not mark[0].startswith("study"))]
    differs = any(written(title, query, changed) != text for title, query, text in sorted(asked))
    assert differs


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
        ("{n:seconds} {n:duration} {n:yes} {none:difference}", "1.0 s 1.0 s yes none"), ("no figure", "no figure"),
        ("{distinct name}|{none:?.1f}|{share:?.1f}|{spread time:.1f}", "x, y||0.2|–"), ("{more.deep.7}", "–"),
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
        ('lacks = ["time"]', [["y", "1"]]),
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


def test_tables_become_rows_of_keys_and_values_and_are_added_up() -> None:
    row = {"part": "a", "date": "1", "sets": [{"n": {"x": 1, "y": 2}}, {"n": {"x": 3}}], "n": {"z": 4, "x": 1}}
    query = 'from = "a"\nunfold = "sets"\ntable = "n"\ntext = "{listed key}: {sum value}; {merged all.all.n:counts}"'
    assert answered(query, [row]) == "x, y, x: 6; 12 z, 3 x"
    assert said("{merged n:added}: {merged n:times}", [row, row]) == "10: 8 × z, 2 × x"


def test_lines_are_of_the_last_row_of_each_part() -> None:
    query = 'columns = ["", "said"]\nlines = [["a", "{name}", "{n}"], ["c", "none", "{n}"], ["b", "{name}", "{n}"]]'
    assert answered(query, SAID).strip().splitlines()[2:] == ["| x | 2 |", "| z | 7 |"]
    assert answered(query, []).strip() == NOT_MEASURED


def test_several_parts_can_be_asked_for_a_sentence() -> None:
    assert answered('from = ["a", "b"]\ntext = "{count part} of {every name}"', SAID) == "4 of x, y, z"
    assert answered('from = "c"\ntext = "{count part}"', SAID) == NOT_MEASURED


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


def test_rows_of_sheets_are_added_up_over_seeds_and_earlier_networks_are_left_out() -> None:
    row = {"part": "sheet-cells", "date": "2", "commit": "c" * 40, "machine": MACHINE, "half": "reported", "path": 1,
           "model_sha256": "a", "layout": "cover", "source": "cells", "wrong": 0.02, "factor": 1.0, "mistakes": 0.02,
           "seed": 0, "engine": "ours", "ink": "MNIST", "seconds": 4.0}  # fmt: skip
    keys = "state", "before", "after", "mistake", "told", "sheets"
    ones = [("adds up", True, True, None, True, 150), ("corrected", False, True, None, True, 30),
            ("corrected", False, False, None, True, 1), ("does not add up", False, False, None, False, 2),
            ("doubtful", False, True, None, True, 6), ("unreadable", False, False, None, False, 1),
            ("does not add up", True, True, "carry", True, 8),
            ("adds up", False, False, "carry", False, 2)]  # fmt: skip
    row["outcomes"] = [dict(zip(keys, one, strict=True)) for one in ones]
    made = [row, row | {"seed": 1}, row | {"seed": 1, "date": "1"}, row | {"model_sha256": "b", "date": "1"}]
    line = answered(query_with('"wrong totals found'), made).splitlines()[3]
    told = "400 | 79.00 | 97.00 | 3.50 | 6 (< 3.23 %) | 4 (< 2.67 %) | 80.00 |"  # Wilson's bounds by hand
    assert line.startswith(f"| cover | cells | MNIST | {told}")
    apart = answered(query_with('"numbers as read alone"'), made)
    assert "| right | wrong | 78 | 0.00 | 79.49 | 5.13 | 15.38 | 92.31 |" in apart
    assert "| wrong | right | 16 | 0.00 | 0.00 | 100.00 | 0.00 | 100.00 |" in apart


def test_of_runs_those_of_the_present_plans_and_of_the_packaged_network_are_quoted() -> None:
    runs = part(rows(), "run")
    assert agreeing(runs, plan="packaged")
    every = part(evidence.read_results(), "run")
    assert len(every) > len(runs)
    altered = [row | {"config": row["config"] | {"lr": 0.123}} for row in every if row["plan"] == "fast-exact"]
    assert measure.current(altered) == []


@pytest.mark.parametrize("changes", [{"lr": 0.123}, {"epochs": 7}, {"encoder": "fast"}, {"validation": 5}])
def test_rows_of_other_settings_than_the_plan_are_not_quoted(changes: Row) -> None:
    addition = part(rows(), "addition")
    other = [row | {"config": row["config"] | changes} for row in addition if row["set"] == "test"]
    assert answered(query_with('"of 100 regroupings'), other).strip() == NOT_MEASURED


def test_the_risk_of_several_seeds_is_averaged_where_all_of_them_have_a_point() -> None:
    curves = [[(0.9, 0.0), (0.95, 0.5), (1.0, 0.02)], [(0.9, 0.01), (1.0, 0.04)]]
    assert figures.mean_curve(curves) == [(0.9, 0.005), (1.0, pytest.approx(0.03))]


def test_the_page_names_every_reason_that_a_reading_can_give() -> None:
    from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE

    page = (evidence.ROOT / "docs/your-own-pictures.md").read_text(encoding="utf-8")
    for reason in (*REASONS.values(), NOT_A_DIGIT, UNSURE):
        assert f"\n| {reason} |" in page, reason

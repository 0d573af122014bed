"""What is written as a table is read back from it, in every format: numbers, missing numbers and any text."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbooks
from sumnist.batch.score import FORMULA, Output
from sumnist.batch.sources import Row
from sumnist.errors import visible
from sumnist.tables.batch import FORMATS, HEAD, export

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t")
TEXTS = st.text(CHARACTERS, max_size=12) | st.sampled_from(
    ["", ",", '"', 'a "b", c', "two\nlines", "=1+1", "-5", "@x", "http://x.org", "None", "null", "naïve 😀", "12.50"]
)
NUMBERS = st.none() | st.integers(-(10**9), 10**9) | st.decimals(-(10**6), 10**6, places=2).map(str)
CELL = st.fixed_dictionaries({
    "cell": st.just("A1"), "row": st.just(1), "column": st.just(1), "value": NUMBERS, "probability": st.just(0.5),
    "state": st.just("doubtful"), "read": TEXTS, "seen": st.just([]), "candidates": st.just([]),
    "corners": st.just([[1, 2], [5, 2], [5, 9], [1, 9]]),
})  # fmt: skip
CELLS = st.lists(CELL, max_size=3)
PAGE = st.fixed_dictionaries({"path": TEXTS, "rows": st.just(1), "columns": st.just(1), "cells": CELLS})


def in_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def in_xlsx(path: Path) -> list[dict[str, Any]]:
    sheet = workbooks.opened(path)["Numbers"]
    count = sum(1 for _ in sheet.root.iter(f"{workbooks.MAIN}row"))
    return [{name: sheet.at(name, line) for name in HEAD} for line in range(2, count + 1)]


def safe(name: str, text: str) -> str:
    """A text as a CSV has it, in which no spreadsheet sees a formula."""
    return ({"path": "./"}.get(name, "'") if text[:1] in FORMULA and text else "") + text


READ = {".csv": in_csv, ".xlsx": in_xlsx}


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix in READ])
@settings(max_examples=30, deadline=None)
@given(pages=st.lists(PAGE, max_size=2))
def test_the_numbers_of_tables_are_read_back_from_every_format(suffix: str, pages: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        export(pages, out := Path(folder, f"out{suffix}"))
        found = READ[suffix](out)
    cells = [(page["path"], cell) for page in pages for cell in page["cells"]]
    assert len(found) == len(cells)
    for row, (path, cell) in zip(found, cells, strict=True):
        value = cell["value"]
        texts = {"path": path, "read": cell["read"]}
        if suffix == ".csv":
            assert {name: row[name] for name in texts} == {name: safe(name, text) for name, text in texts.items()}
            assert (Decimal(row["value"]) if row["value"] else None) == (None if value is None else Decimal(value))
        else:
            assert {name: row[name] or "" for name in texts} == {name: visible(text) for name, text in texts.items()}
            assert row["value"] == value


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, NUMBERS, TEXTS), min_size=1, max_size=4))
def test_the_rows_of_a_batch_are_read_back(suffix: str, rows: list[tuple[str, Any, str]]) -> None:
    with TemporaryDirectory() as folder:
        out = Path(folder, f"out{suffix}")
        task: Any = SimpleNamespace(columns=("path", "value", "text"), flat=dict)
        with closing(Output(out, {}, False, task)) as output:
            for path, value, text in rows:
                number = Decimal(value) if isinstance(value, str) else value
                output.add([Row(path, None, path)], [{"value": number, "text": text}])
            output.finish()
        lines = out.read_text(encoding="utf-8").split("\n")[:-1]
        found = [json.loads(line) for line in lines] if suffix == ".jsonl" else in_csv(out)
    assert [int(row["row"]) for row in found] == list(range(len(rows)))
    for row, (path, value, text) in zip(found, rows, strict=True):
        if suffix == ".jsonl":
            assert (row["path"], row["text"]) == (path, text)
            assert row["value"] == value
        else:
            assert (row["path"], row["text"]) == (safe("path", path), safe("text", text))
            assert row["value"] == ("" if value is None else str(value))

"""The envelope of rows, and which of them are quoted; the pages themselves hold the language of their queries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import evidence
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

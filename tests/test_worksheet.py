"""Worksheets: what is printed on them, and photographs of filled ones."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

from simulated_sheets import jpeg_of_page, printed, write
from sumnist.cli import main
from sumnist.sheets.layout import Page
from sumnist.sheets.worksheet import sums_of, sums_on_worksheet, worksheet


@pytest.mark.parametrize(("kind", "most"), [("+-20", 20), ("x10", 100), ("÷12", 12), ("+-x:9", 81)])
def test_sums_of_a_kind_differ_and_have_whole_answers_up_to_its_largest_number(kind: str, most: int) -> None:
    sums = sums_of(kind, 40, 5)
    parts = [(int(one), sign, int(other)) for one, sign, other in (re.split(r"([^\d])", text) for text in sums)]
    answers = [Fraction(a, b) if sign == "÷" else {"+": a + b, "-": a - b, "×": a * b}[sign] for a, sign, b in parts]
    assert {sign for _, sign, _ in parts} == set(kind.replace("x", "×").replace(":", "÷")) - set("0123456789")
    assert len(set(sums)) == 40
    assert all(0 <= one <= most and one.denominator == 1 for one in answers)
    assert sums == sums_of(kind, 40, 5) != sums_of(kind, 40, 6)


def test_a_photographed_worksheet_is_checked_by_what_its_code_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, asked = worksheet("+9", 6, 3), sums_of("+9", 6, 3)
    known = [int(one) + int(other) for one, other in (text.split("+") for text in asked)]
    given = [*map(str, known[:4]), str(known[4] - 1), ""]
    page = printed(layout, "+9.6.3").copy()
    for place, answer in zip(Page.of(layout).places, given, strict=True):
        write(page, place.boxes, answer.rjust(2))
    (path := tmp_path / "page.jpg").write_bytes(jpeg_of_page(page))
    assert main(["check", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["sums"]
    assert [one["text"] for one in found] == [f"{one}={answer}" for one, answer in zip(asked, given, strict=True)]
    assert [one["verdict"] for one in found] == ["right"] * 4 + ["wrong", "unanswered"]
    assert sums_on_worksheet("examples/sums.jpg") is None

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
from sumnist.sheets.worksheet import sums_of, worksheet


@pytest.mark.parametrize(("kind", "most"), [("+-20", 20), ("x10", 100), ("÷12", 12), ("+-x:9", 81)])
def test_sums_of_a_kind_differ_and_have_whole_answers_up_to_its_largest_number(kind: str, most: int) -> None:
    sums = sums_of(kind, 40, 5)
    texts = [re.sub(r"(\d+)", r"Fraction(\1)", one.replace("×", "*").replace("÷", "/")) for one in sums]
    answers = [eval(text, {"Fraction": Fraction}) for text in texts]
    assert set("".join(sums)) - set("0123456789") == set(kind.replace("x", "×").replace(":", "÷")) - set("0123456789")
    assert all(0 <= one <= most and one.denominator == 1 for one in answers)
    assert list(dict.fromkeys(sums)) == sums == sums_of(kind, 40, 5) != sums_of(kind, 40, 6)


def test_a_filled_worksheet_is_checked_by_its_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, asked = worksheet("+9", 6, 3), sums_of("+9", 6, 3)
    known = [int(one) + int(other) for one, other in (text.split("+") for text in asked)]
    given = [*map(str, known[:4]), str(known[4] - 1), ""]
    page = printed(layout, "+9.6.3").copy()
    for place, answer in zip(Page.of(layout).places, given, strict=True):
        write(page, place.boxes, answer.rjust(2))
    (path := tmp_path / "page.jpg").write_bytes(jpeg_of_page(page))
    assert main(["check", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["sums"]
    assert [one["text"] for one in found] == list(map("{}={}".format, asked, given))
    assert [one["verdict"] for one in found] == ["right"] * 4 + ["wrong", "unanswered"]

"""The page about numbers: made-up rows in, the cells that they must become out; and the benchmarks that it quotes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import number_engines
from evidence import answered
from figures import FIGURES
from number_engines import encoded, one_by_one
from sumnist.inference.reader import Reader
from sumnist.lab.suites.strips import strings
from tables import cells

PAGE = Path(__file__).resolve().parent.parent / "docs/numbers.md"

Row = dict[str, Any]
BESIDE = """
from = "numbers-accuracy"
by = ["name"]
columns = [["read with", "{name}"], ["strings", "{sum strings}"]]
across = "spacing"
each = [["{spacing}", "{mean right:.2%}"]]
"""


# The benchmarks.


def test_the_network_of_single_digits_reads_digits_that_stand_apart() -> None:
    made, reader = strings("development", 3, "spaced", 20), Reader()
    right = [one_by_one(reader, encoded(picture)) == text
             for picture, text in zip(made.pictures, made.texts, strict=True)]  # fmt: skip
    assert sum(right) / len(right) >= 0.7
    assert one_by_one(reader, encoded(0 * made.pictures[0])) == ""


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Bare:
        def reader(self, engine: str) -> list[Any]:
            if engine != "ours":
                raise ImportError("not installed")
            return []

    monkeypatch.setattr(number_engines, "Numbers", Bare)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert list(number_engines.engines()) == ["ours", "digit by digit"]
    assert capsys.readouterr().err == "ocr is left out: not installed\nboth is left out: not installed\n"
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/tesseract")
    assert list(number_engines.engines()) == ["ours", "tesseract", "digit by digit"]


def test_tesseract_gets_the_file_and_gives_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = "import sys; print(' 1 2,x', len(sys.stdin.buffer.read()))"
    monkeypatch.setattr(number_engines, "TESSERACT", [sys.executable, "-c", stand_in])
    (tmp_path / "x.png").write_bytes(b"123456")
    assert number_engines.tesseract(tmp_path / "x.png") == "126"
    assert number_engines.tesseract(b"12") == "122"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes | Path], str]:
    """Benchmarks of a moment, of one that says 12 everywhere and one that says nothing."""

    def twelve(picture: bytes | Path) -> str:
        return "12"

    monkeypatch.setattr(number_engines, "engines", lambda: {"twelve": twelve, "none": lambda picture: ""})
    for name, value in {"STRINGS": 40, "LENGTHS": (2,), "ROUNDS": 2, "CALLS": 2, "SECONDS": 0.05}.items():
        monkeypatch.setattr(number_engines, name, value)
    return twelve


def test_the_benchmarks_give_the_rows_that_the_page_needs(quick: object) -> None:
    rows = [
        {"part": part, **row}
        for part, make in (("numbers-accuracy", number_engines.accuracy), ("numbers-latency", number_engines.latency),
                           ("numbers-rate", number_engines.rate))
        for row in make()
    ]  # fmt: skip
    share = strings("reported", 2, "spaced", 40).texts.count("12") / 40
    assert cells(answered(BESIDE, rows), "twelve") == ["120", *[f"{100 * share:.2f}"] * 3]
    assert cells(answered(BESIDE, rows), "none") == ["120", "0.00", "0.00", "0.00"]
    shown = cells(FIGURES["numbers-speed"](rows), "twelve")
    assert [bool(re.fullmatch(r"[\d.e-]+ ms", cell)) for cell in shown[:2]] == [True, True]
    assert int(shown[2].replace(",", "")) > 0
    assert shown[3:] == ["–", "–"]

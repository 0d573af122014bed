"""The page about numbers: made-up rows in, the cells that they must become out; and the benchmarks that it quotes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import number_engines
import number_tables
import write_docs
from number_engines import encoded, one_by_one
from number_tables import TABLES, quoted
from sumnist.inference.closer import TRUST
from sumnist.inference.reader import Reader
from sumnist.lab.suites.strips import strings
from tables import cells

PAGE = Path(__file__).resolve().parent.parent / "docs/numbers.md"

Row = dict[str, Any]


def strips_row(kind: str, name: str, accuracy: float = 0.9, **changed: Any) -> Row:
    figures = {"pictures": 1000, "accuracy": accuracy, "accepted": 0.8, "accuracy_accepted": 0.98765,
               "in_candidates": 0.99, "nll": 0.12345, "ece": 0.0123, "digits": None, "spacing": None}  # fmt: skip
    about = {
        "part": "strips", "date": "2026-12-01", "commit": "0123456789abcdef", "machine": {"processor": "made up"},
        "engine": "ours", "path": 1, "model_sha256": "a" * 64, "set": "suite", "half": "reported",
    }  # fmt: skip
    return about | figures | {"kind": kind, "name": name} | changed


def string_row(digits: int | None, spacing: str, accuracy: float = 0.9, **changed: Any) -> Row:
    return strips_row("strings", f"{digits} digits, {spacing}", accuracy, digits=digits, spacing=spacing, **changed)


def bench_rows() -> list[Row]:
    rows: list[Row] = []
    for name, right, seconds in (("ours", 0.95, 0.004), ("ocr", 0.9, 0.03), ("digit by digit", 0.6, 0.02)):
        rows += [
            {"part": "numbers-accuracy", "name": name, "digits": digits, "spacing": spacing, "strings": 100,
             "right": right - digits / 100}
            for digits in (2, 4) for spacing in ("spaced", "close", "touching")
        ]  # fmt: skip
        rows += [{"part": "numbers-latency", "name": name, "kind": "4-digit strip", "round": turn, "p50": seconds,
                  "date": "2026-12-01", "machine": {"processor": "made up"}}
                 for turn in range(3)]  # fmt: skip
        rows.append({"part": "numbers-rate", "name": name, "round": 0, "strips_per_second": 1 / seconds})
        rows.append({"part": "numbers-size", "name": name, "network_bytes": 2_600_000 if name == "ours" else None,
                     "peak_bytes": 91_000_000})  # fmt: skip
    return rows


def page_rows() -> list[Row]:
    return [
        string_row(1, "spaced"), string_row(2, "spaced"), string_row(2, "touching"), string_row(None, "close"),
        strips_row("real", "cells", set="cells", misread=[{"picture": "1", "accepted": True, "in_candidates": True}]),
        strips_row("no number", "words"), *bench_rows(),
        {"part": "strips-labels", "set": "cells", "half": "reported", "picture": "1"},
        {"part": "strips-trials", "strips": "now", "network": "now", "optimizer": "muon", "batch": 64, "seen": 64000,
         "lr": 0.006, "seconds": 462.0, "right": 0.8, "nll": 1.1},
        strips_row("real", "cells", part="strips-closer", trust=0.5, half="development"),
        strips_row("real", "cells", part="strips-longer", weights="mean", half="development"),
        {"part": "strips-misses", "set": "cells", "picture": "2", "cause": "form"},
        strips_row("real", "cells", set="cells", half="development", misread=[{"picture": "2", "accepted": False,
                                                                               "in_candidates": True}]),
    ]  # fmt: skip


def test_without_rows_everything_says_that_it_was_not_measured() -> None:
    for name, make in TABLES.items():
        assert make([]).strip() == "*Not measured yet.*", name
        assert make([{"part": "latency", "date": "2027"}, {"plan": "fast-exact", "seed": 0}]) == make([]), name


def test_each_length_has_a_line_with_a_share_for_each_spacing() -> None:
    rows = [string_row(1, "spaced", 0.99), *(string_row(12, spacing, share, pictures=300)
            for spacing, share in (("touching", 0.7), ("spaced", 0.95), ("close", 0.9)))]  # fmt: skip
    text = TABLES["numbers-length"](rows)
    assert cells(text, "1") == ["1,000", "99.00", "–", "–"]
    assert cells(text, "12") == ["300", "95.00", "90.00", "70.00"]


def test_all_lengths_together_are_told_by_spacing_and_engine() -> None:
    rows = [string_row(None, "touching", engine="both"), string_row(None, "spaced"), string_row(5, "spaced", 0.1)]
    text = TABLES["numbers-spacing"](rows)
    assert cells(text, "spaced", "ours") == ["1,000", "90.00", "80.00", "98.77", "99.00", "0.123", "1.23"]
    assert text.strip().splitlines()[3].startswith("| touching | both | ")
    assert len(text.strip().splitlines()) == 4


def test_real_strips_are_told_by_set_half_and_engine() -> None:
    rows = [
        strips_row("real", name, share, set=name, engine=engine, half=half)
        for name, half, engine, share in (("cells", "reported", "ours", 0.5), ("cells", "reported", "ocr", 0.6),
                                          ("amounts", "reported", "ours", 0.7), ("cells", "development", "ours", 0.8))
    ]  # fmt: skip
    text = TABLES["numbers-real"](rows)
    assert [line.split(" | ")[0].strip("| ") for line in text.strip().splitlines()[2:]] == ["amounts", *["cells"] * 3]
    assert cells(text, "cells", "reported", "ocr")[1] == "60.00"
    assert cells(text, "cells", "development", "ours")[1] == "80.00"
    assert cells(TABLES["numbers-real"]([strips_row("real", "x", accuracy_accepted=None)]), "x")[5] == "–"


def test_pictures_whose_label_is_wrong_are_left_out_where_they_count_as_misread() -> None:
    said = [("1", True, False), ("2", True, True), ("3", False, True), ("4", True, False)]
    misread = [{"picture": picture, "read": "7", "accepted": accepted, "in_candidates": among}
               for picture, accepted, among in said]  # fmt: skip
    figures = {"pictures": 20, "accepted": 0.5, "accuracy_accepted": 0.7, "in_candidates": 0.9}
    row = strips_row("real", "cells", 0.8, set="cells", misread=misread, **figures)
    places = ("reported", "1"), ("reported", "3"), ("reported", "9"), ("development", "2")
    wrong = [{"part": "strips-labels", "set": "cells", "half": half, "picture": picture} for half, picture in places]
    text = TABLES["numbers-labels"]([row, *wrong])
    assert cells(text, "cells") == [
        "reported",
        "ours",
        "2",
        f"{100 * 16 / 18:.2f}",
        f"{100 * 7 / 9:.2f}",
        f"{100 * 17 / 18:.2f}",
    ]
    assert len(text.strip().splitlines()) == 3
    assert "Not measured yet" in TABLES["numbers-labels"]([row])


def test_what_was_misread_is_counted_by_cause_and_set_the_commonest_first() -> None:
    rows = [
        {"part": "strips-misses", "set": name, "picture": str(place), "cause": cause}
        for place, (name, cause) in enumerate([("cells", "form"), ("amounts", "label"), ("amounts", "form")])
    ]
    rows += [
        strips_row("real", name, set=name, half="development", misread=[{"picture": one} for one in misread])
        for name, misread in (("cells", "0"), ("amounts", "127"))
    ]
    text = TABLES["numbers-causes"](rows)
    assert cells(text, "why ours misread it") == ["cells", "amounts"]
    assert cells(text, "form") == ["1", "1"]
    assert cells(text, "label") == ["0", "1"]
    assert cells(text, "nobody has looked at it yet") == ["0", "1"]
    assert text.index("form") < text.index("label")
    right_now = strips_row("real", "cells", set="cells", half="development", date="2027-01-01", misread=[])
    assert cells(TABLES["numbers-causes"]([*rows, right_now]), "form") == ["1"]


def test_trials_are_told_in_their_order() -> None:
    about = {
        "part": "strips-trials",
        "strips": "now",
        "network": "before",
        "lr": 0.006,
        "seen": 64000,
        "seconds": 461.6,
    }
    rows = [about | {"optimizer": name, "batch": 64, "right": share, "nll": 1.08284}
            for name, share in (("muon", 0.829), ("adamw", 0.8066))]  # fmt: skip
    text = TABLES["numbers-trials"](rows)
    assert cells(text, "now", "before", "adamw") == ["0.006", "64", "64,000", "462", "80.7", "1.083"]
    assert text.index("muon") < text.index("adamw")


def test_each_trust_in_a_closer_look_has_its_share_and_nll_by_set_as_last_measured() -> None:
    about = {"part": "strips-closer", "half": "development"}
    rows = [
        strips_row("real", "cells", 0.91, trust=0.0, **about),
        strips_row("real", "cells", 0.93, trust=0.5, nll=0.1, **about),
        strips_row("real", "cells", 0.5, trust=0.5, **about | {"date": "2026-11-01"}),
        string_row(1, "spaced", 0.99, trust=0.5, **about),
        string_row(1, "spaced", 0.98, trust=TRUST, **about),
    ]
    text = TABLES["numbers-closer"](rows)
    assert cells(text, "read with", "trust") == ["cells, 1,000 pictures", "1 digits, spaced, 1,000 pictures"]
    assert cells(text, "ours", "0") == ["91.00 (0.123)", "–"]
    assert cells(text, "ours", "0.5") == ["93.00 (0.100)", "99.00 (0.123)"]
    assert cells(text, "ours", f"{TRUST:g}, used") == ["–", "98.00 (0.123)"]


def test_what_became_of_other_weights_stands_beside_the_packaged_ones() -> None:
    about = {"part": "strips-longer", "half": "development"}
    rows = [
        strips_row("real", "cells", 0.95, weights="mean of both", **about),
        strips_row("real", "cells", 0.94, part="strips-closer", half="development", trust=TRUST),
        strips_row("real", "cells", 0.9, part="strips-closer", half="development", trust=1.0),
        strips_row("real", "cells", 0.8, part="strips-closer", half="development", trust=TRUST, engine="ocr"),
    ]
    text = TABLES["numbers-longer"](rows)
    assert cells(text, "weights") == ["packaged", "mean of both"]
    assert cells(text, "cells, 1,000 pictures") == ["94.00 (0.123)", "95.00 (0.123)"]
    assert "90.00" not in text
    assert "80.00" not in text


def test_what_is_no_number_has_a_share_for_each_engine() -> None:
    rows = [strips_row("no number", "words", accepted=0.031, pictures=500),
            strips_row("no number", "words", engine="ocr", accepted=0.25),
            strips_row("no number", "blank", engine="ocr", accepted=0.0)]  # fmt: skip
    text = TABLES["numbers-refused"](rows)
    assert cells(text, "no number") == ["accepted by ours, %", "accepted by ocr, %"]
    assert cells(text, "words") == ["3.10 of 500", "25.00 of 1,000"]
    assert cells(text, "blank") == ["–", "0.00 of 1,000"]


def test_of_an_engine_the_newest_network_is_quoted_as_it_was_first_measured() -> None:
    old = string_row(2, "spaced", 0.1, date="2026-11-01", model_sha256="b" * 64)
    again = string_row(2, "spaced", 0.2, date="2027-01-01")
    late = string_row(2, "spaced", 0.3, date="2027-06-01", model_sha256="b" * 64)
    ocr = string_row(2, "spaced", 0.4, date="2026-10-01", engine="ocr", model_sha256="c" * 64)
    first = string_row(2, "spaced")
    found = quoted([again, late, old, ocr, first], half="reported")
    assert {row["engine"]: row for row in found} == {"ours": first, "ocr": ocr}
    redesigned = string_row(2, "spaced", date="2027-07-01", path=2)
    assert quoted([first, redesigned], engine="ours") == [redesigned]


def test_of_development_the_last_row_is_quoted_and_a_new_network_without_reported_rows_hides_the_old_ones() -> None:
    early, last = (string_row(2, "spaced", half="development", date=date) for date in ("2026", "2027"))
    assert quoted([last, early]) == [last]
    new = string_row(2, "spaced", half="development", date="2028", model_sha256="d" * 64)
    assert "Not measured yet" in TABLES["numbers-length"]([string_row(2, "spaced"), new])


def test_the_sentence_says_when_and_with_what() -> None:
    told = TABLES["numbers-measured"]([string_row(2, "spaced"), string_row(2, "close", engine="both")])
    assert told == (
        "Measured: ours on 2026-12-01 at commit 012345678 on made up (SHA-256 of its networks: aaaaaaaaaaaa…); both on "
        "2026-12-01 at commit 012345678 on made up (SHA-256 of its networks: aaaaaaaaaaaa…)."
    )


def test_what_reads_the_same_strings_stands_beside_each_other() -> None:
    text = TABLES["numbers-beside"](bench_rows())
    assert cells(text, "ours") == ["600", "92.00", "92.00", "92.00"]
    assert cells(text, "digit by digit") == ["600", "57.00", "57.00", "57.00"]
    text = TABLES["numbers-speed"](bench_rows())
    assert cells(text, "ours") == ["4 ms", "250", "2.6 MB", "91.0 MB"]
    assert cells(text, "digit by digit") == ["20 ms", "50", "–", "91.0 MB"]


def test_the_speed_beside_a_general_reader_is_told_round_by_round() -> None:
    machine = {"processor": "made up"}
    rows = [
        {"part": "numbers-latency", "name": name, "kind": "strips", "round": turn, "p50": seconds, "date": "2026-12-01",
         "machine": machine}
        for name, all_seconds in (("ours", (0.002, 0.004, 0.001)), ("ocr", (0.02, 0.02, 0.02)))
        for turn, seconds in enumerate(all_seconds)
    ]  # fmt: skip
    assert TABLES["numbers-times"](rows) == (
        "Beside `ocr`, `ours` is 10.0 times as fast (strips: 5.0 to 20.0): medians of rounds in turn, and their range, "
        "measured on 2026-12-01 with one thread of made up."
    )
    assert "Not measured yet" in TABLES["numbers-times"](rows[:3])


def changes(rows: list[Row]) -> list[tuple[int, str]]:
    """Each figure of each row, by its place and key."""
    return [(place, key) for place, row in enumerate(rows) for key, value in row.items() if isinstance(value, float)]


def test_an_altered_row_changes_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    marks = {name for _, name, _, _ in write_docs.MARK.findall(page)}
    assert marks == set(TABLES)
    rows = page_rows()
    before = write_docs.filled(page, rows)
    assert "Not measured yet" not in before
    told = {"accuracy": (0, 1, 2, 3, 4), "accepted": (3, 4, 5), "accuracy_accepted": (3, 4), "in_candidates": (3, 4),
            "nll": (3, 4), "ece": (3, 4)}  # fmt: skip
    for place, key in changes(rows):
        if place in told.get(key, range(6, len(rows))):
            changed: list[Row] = json.loads(json.dumps(rows))
            for row in changed if key == "p50" else [changed[place]]:  # of several rounds the median is told
                if key in row:
                    row[key] *= 0.5
            assert write_docs.filled(page, changed) != before, (place, key)


def test_the_rows_of_strips_are_no_benchmarks() -> None:
    from bench_tables import TABLES as BENCHMARKS

    machine = {"processor": "p", "cores": 1, "versions": {"torch": "2"}}
    rows = [{"part": "latency", "machine": machine}, string_row(2, "spaced")]
    assert BENCHMARKS["bench-processor"](rows) == "p, 1 cores; torch 2"


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
    assert cells(number_tables.beside(rows), "twelve") == ["120", *[f"{100 * share:.2f}"] * 3]
    assert cells(number_tables.beside(rows), "none") == ["120", "0.00", "0.00", "0.00"]
    shown = cells(number_tables.speed(rows), "twelve")
    assert [bool(re.fullmatch(r"[\d.e-]+ ms", cell)) for cell in shown[:2]] == [True, True]
    assert int(shown[2].replace(",", "")) > 0
    assert shown[3:] == ["–", "–"]


def test_every_part_of_the_page_is_a_part_of_the_benchmarks() -> None:
    import run

    assert set(number_tables.BESIDE) <= set(run.PARTS)

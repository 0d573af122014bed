"""The measuring of numbers: which pictures, which rows, and that a reported set is looked at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import measure_numbers
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NumberReader, NumberReading
from sumnist.inference.recognizers import Line
from sumnist.lab.suites import numbers as suite
from sumnist.lab.suites.strips import NO_NUMBERS

HEAD = "c" * 40


class Fake:
    """A reader that reads 12 everywhere."""

    def __init__(self) -> None:
        self.content, self.trust = b"network", 1.0
        self.seen: list[tuple[str, str]] = []

    def of(self, engine: str) -> list[Any]:
        return [self] * (2 if engine == "both" else 1)

    def reader(self, engine: str) -> NumberReader:
        return NumberReader(self.of(engine))

    def read_each(self, pictures: list[Any], engine: str, **_: Any) -> list[NumberReading]:
        self.seen += [(engine, getattr(picture, "name", "strip")) for picture in pictures]
        one = Candidate("12", 12, 0.75)
        return [NumberReading("12", 12, 0.75, (one,), 0.25, True, None, 1.0) for _ in pictures]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    found = Fake()
    monkeypatch.setattr(measure_numbers, "Numbers", lambda: found)
    monkeypatch.setattr(measure_numbers, "clean_commit", lambda program: HEAD)
    monkeypatch.setattr(suite, "STRINGS", {1: 2, 2: 2})
    monkeypatch.setattr(suite, "COUNTS", dict.fromkeys(NO_NUMBERS, 2))
    return found


@pytest.fixture
def strips(tmp_path: Path) -> Path:
    """A folder with labels: the pictures with even numbers show 12, those with odd ones 13."""
    rows = [f"{place:03}.png,{12 + place % 2}" for place in range(8)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,text", *rows]))
    return tmp_path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """The rows that there are after the script has run with these words."""
    rows = tmp_path / "rows.jsonl"

    def measured(*words: object) -> list[dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", ["measure_numbers", "--rows", str(rows), *map(str, words)])
        measure_numbers.main()
        return [json.loads(line) for line in rows.read_text().splitlines()]

    return measured


Run = Callable[..., list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("words", "half", "numbers", "accuracy"),
    [
        ((), "reported", "1357", 0.0),
        (("--half", "development"), "development", "0246", 1.0),
        (("--parity", "even"), "development", "0246", 1.0),
        (("--half", "development", "--parity", "odd"), "reported", "1357", 0.0),
    ],
)
def test_the_numbers_of_the_pictures_say_which_half_they_are_in(
    run: Run, fake: Fake, strips: Path, words: tuple[str, ...], half: str, numbers: str, accuracy: float
) -> None:
    (row,) = run("--folder", f"real cells={strips}", *words)
    assert [name for _, name in fake.seen] == [f"00{number}.png" for number in numbers]
    assert (row["half"], row["pictures"], row["accuracy"]) == (half, 4, accuracy)
    assert (row["set"], row["kind"], row["name"], row["engine"]) == ("real cells", "real", "real cells", "ours")


def test_a_row_says_what_was_measured_with_what(run: Run, fake: Fake, strips: Path) -> None:
    one, two = run("--folder", f"cells={strips}", "--half", "development", "--engines", "ours", "both")
    assert (one["commit"], one["part"], one["path"]) == (HEAD, "strips", measure_numbers.PATH)
    assert one["machine"]["processor"]
    assert one["model_sha256"].startswith("3009be769fb8f956")  # printf network | sha256sum
    assert one["model_sha256"] != two["model_sha256"]
    assert (one["engine"], two["engine"]) == ("ours", "both")
    assert one["accuracy_accepted"] == 1.0
    assert one["ece"] == pytest.approx(0.25)


def test_what_is_misread_is_named(run: Run, fake: Fake, strips: Path) -> None:
    (row,) = run("--folder", f"cells={strips}")
    named = {"read": "12", "accepted": True, "in_candidates": False}
    assert row["misread"] == [{"picture": f"00{place}", **named} for place in (1, 3, 5, 7)]
    assert run("--folder", f"cells={strips}", "--parity", "even")[1]["misread"] == []


def test_the_network_of_ocr_alone_is_shown_whole_pictures_and_says_the_digits_of_its_best_path(
    run: Run, fake: Fake, strips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[NDArray[np.float32]] = []

    class Said:
        def lines(self, pictures: list[NDArray[np.float32]]) -> list[Line]:
            shown.extend(pictures)
            path = [1, 0, 2, 2, 11, 0, 3]  # 0, 1, a stop, 2
            return [Line(np.log(0.01 + np.eye(14, dtype=np.float32)[path]), 1.0) for _ in pictures]

    monkeypatch.setattr(measure_numbers, "OcrRecognizer", Said)
    for place in range(8):
        Image.fromarray(np.full((6, 10), 51 * (place % 2), np.uint8)).save(strips / f"{place:03}.png")
    (row,) = run("--folder", f"cells={strips}", "--engines", "ocr alone", "--half", "development", "--suite")
    assert (row["engine"], row["pictures"], row["accuracy"], row["nll"]) == ("ocr alone", 4, 1.0, None)
    assert [picture.shape for picture in shown] == [(6, 10)] * 4
    assert all((picture == 1).all() for picture in shown)
    assert not fake.seen
    assert run("--folder", f"cells={strips}", "--engines", "ocr alone")[1]["accuracy"] == 0.0


def test_the_suite_has_a_row_for_each_set_and_kind(run: Run, fake: Fake) -> None:
    rows = run("--suite", "--half", "development", "--engines", "ours", "ocr")
    assert {row["set"] for row in rows} == {"suite"}
    for engine in ("ours", "ocr"):
        own = [row for row in rows if row["engine"] == engine]
        assert [row["name"] for row in own if row["kind"] == "strings"] == [
            "1 digit", "2 digits, spaced", "2 digits, close", "2 digits, touching", "2 to 12 digits, spaced",
            "2 to 12 digits, close", "2 to 12 digits, touching",
        ]  # fmt: skip
        assert [row["name"] for row in own if row["kind"] == "no number"] == list(NO_NUMBERS)
    assert [row["pictures"] for row in run("--suite", "--half", "development", "--count", 1)[22:29]] == [1] * 7


def test_how_much_a_closer_look_counts_is_chosen_by_the_development_half_alone(
    run: Run, fake: Fake, strips: Path, tmp_path: Path
) -> None:
    words = "--folder", f"cells={strips}", "--suite", "--trusts", 0, 0.5
    with pytest.raises(SystemExit, match="development half: add --half development"):
        run(*words)
    with pytest.raises(SystemExit, match="ocr alone, which takes no closer look: leave that engine out"):
        run(*words, "--half", "development", "--engines", "ocr alone")
    rows = run(*words, "--half", "development")
    assert [row["trust"] for row in rows] == [0.0] * 5 + [0.5] * 5
    assert {(row["part"], row["half"]) for row in rows} == {("strips-closer", "development")}
    assert fake.trust == 0.5
    assert [row["name"] for row in rows[:5]] == [
        "cells", "1 digit", "2 to 12 digits, spaced", "2 to 12 digits, close", "2 to 12 digits, touching",
    ]  # fmt: skip


def test_a_reported_set_is_looked_at_once_for_each_network_and_engine(run: Run, fake: Fake, strips: Path) -> None:
    words = "--folder", f"cells={strips}"
    run(*words)
    assert len(run(*words, "--engines", "ocr")) == 2
    looked = len(fake.seen)
    with pytest.raises(SystemExit, match="the reported half of cells is measured already with ours"):
        run(*words, "--engines", "both", "ours")
    with pytest.raises(SystemExit, match="the reported half of cells is measured already with ours"):
        run("--suite", *words)
    assert len(fake.seen) == looked
    assert len(run(*words, "--parity", "even")) == 3
    assert len(run(*words, "--parity", "even")) == 4
    fake.content = b"another network"
    assert len(run(*words)) == 5


def test_a_path_that_was_designed_anew_may_be_looked_at_once_more(
    run: Run, fake: Fake, strips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--folder", f"cells={strips}")
    monkeypatch.setattr(measure_numbers, "PATH", measure_numbers.PATH + 1)
    assert len(run("--folder", f"cells={strips}")) == 2


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("path,text\n000.png,twelve\n", r"line 2: text 'twelve': expected a number in digits"),
        ("path,text\na.png,12\n", r"a\.png: no number in its name: mend labels\.csv"),
        ("path,text\n000.png,12\n", r"no pictures with odd numbers in labels\.csv"),
        ("path\n", r"its first line has the columns path, expected path and text"),
    ],
)
def test_labels_that_are_no_good_end_it_before_anything_is_read(
    run: Run, fake: Fake, strips: Path, labels: str, message: str
) -> None:
    (strips / "labels.csv").write_text(labels)
    with pytest.raises(SystemExit, match=rf"^measure_numbers: .*{message}"):
        run("--folder", f"cells={strips}")
    assert not fake.seen
    assert not (strips / "rows.jsonl").exists()


@pytest.mark.parametrize("words", [["--folder", "cells"], ["--folder", "=x"], ["--folder", "suite=x"],
                                   ["--parity", "both", "--suite"], ["--engines", "none"]])  # fmt: skip
def test_words_that_make_no_sense_are_refused(run: Run, fake: Fake, words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2


def test_there_must_be_something_to_measure_on(run: Run, fake: Fake) -> None:
    with pytest.raises(SystemExit, match="nothing to measure on, expected --suite or --folder"):
        run()


def test_a_package_with_changes_is_not_measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("measure.commit", lambda: f"{HEAD}+changes")
    with pytest.raises(SystemExit, match=r"expected a clean commit"):
        run("--suite")

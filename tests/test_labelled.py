"""Readers are measured on labelled pictures: every figure against a count by hand, with a reader whose answers are
known; and the command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawings import line_of
from sumnist.batch import measure
from sumnist.batch.labels import examples_in, labels_of, value_written
from sumnist.batch.measure import Answer, Figures, answer_to, answers_of
from sumnist.cli import main
from sumnist.data.mnist import DigitSet
from sumnist.errors import DataError, ImageError, SumnistError
from sumnist.evaluation import metrics
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NumberReading
from sumnist.inference.reader import Reader, Reading
from sumnist.pictures.normalize import picture_of

Result = Reading | NumberReading | SumnistError


class Scripted:
    """A reader of digits or of numbers that gives the answers it was given, in turn, and then the last one again."""

    def __init__(self, answers: Sequence[Result]) -> None:
        self.answers = iter(answers)
        self.asked: list[tuple[Any, ...]] = []
        self.last: Result

    def read_each(self, pictures: Sequence[Any], *words: Any, **others: Any) -> list[Result]:
        found = []
        for picture in pictures:
            self.asked.append((picture, *words, others))
            self.last = next(self.answers, None) or self.last
            found.append(self.last)
        return found


def scripted(*answers: Result) -> Any:
    return Scripted(answers)


def test_measuring_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import sumnist.batch.measure"
    subprocess.run([sys.executable, "-c", code], check=True)


# Digits.


def reading(digit: int, confidence: float = 0.9, accepted: bool = True, reason: str | None = None) -> Reading:
    return Reading(digit, digit, 0, confidence, (0.1,) * 10, range(10), (0.1,) * 10, accepted, reason)


def test_answers_tell_readings_from_errors_and_refusals_and_how_sure_they_are_of_a_digit() -> None:
    answers = answers_of(
        scripted(
            reading(3), reading(4, 0.2, False, "unsure"), ImageError("x: blank"),
            reading(5, 0.5, False, "several digits"), reading(6, 0.5, False, "blank"),
            replace(reading(3), is_digit_probability=0.25),
        ), [b""] * 6,
    )  # fmt: skip
    assert answers.digits.tolist() == [3, 4, -1, 5, -1, 3]
    assert answers.accepted.tolist() == [True, False, False, False, False, True]
    assert answers.scores.tolist() == [0.9, 0.2, -1.0, -1.0, -1.0, 0.25]  # least where the picture itself was refused
    assert answers.reasons == ("", "unsure", "x: blank", "several digits", "blank", "")


def test_digit_results_count_what_was_refused_as_it_was_answered() -> None:
    answers = answers_of(
        scripted(reading(1), reading(2), reading(3, accepted=False, reason="several digits"), ImageError("blank"),
                 reading(9)), [b""] * 5,
    )  # fmt: skip
    found = measure.digit_result("set", answers, np.array([1, 7, 3, 4, 9]), ("a", "a", "b", "b", "b"))
    shares = {"accuracy": 3 / 5, "accepted": 3 / 5, "accuracy_accepted": 2 / 3, "several": 1 / 5}
    assert found.pop("by_writer") == {"a": 0.5, "b": pytest.approx(2 / 3)}
    assert found == {"name": "set", "pictures": 5} | {name: pytest.approx(share) for name, share in shares.items()}
    nothing = measure.digit_result("set", answers_of(scripted(reading(1, accepted=False)), [b""]), np.array([1]))
    assert nothing["accuracy_accepted"] is None


def test_a_folder_is_read_by_the_names_of_its_folders(reader: Reader, mnist_train: DigitSet, tmp_path: Path) -> None:
    for i in range(12):
        place = tmp_path / str(mnist_train.digits[i])
        place.mkdir(exist_ok=True)
        picture_of(mnist_train.images[i]).save(place / f"{i}.png")
    true = int(mnist_train.digits[0])
    other = tmp_path / str((true + 1) % 10)
    other.mkdir(exist_ok=True)
    picture_of(mnist_train.images[0]).save(other / "wrong.png")
    Image.new("L", (50, 50), 255).save(other / "blank.png")
    (other / ".hidden").write_bytes(b"")
    found = measure.folder(reader, tmp_path)
    assert found.values["result"]["pictures"] == 14
    assert found.values["result"]["accuracy"] == pytest.approx(12 / 14)
    blank, wrong = found.values["errors"]
    assert (Path(blank["path"]).name, blank["digit"], blank["said"]) == ("blank.png", int(other.name), None)
    assert wrong == {"path": str(other / "wrong.png"), "digit": int(other.name), "said": true, "accepted": True,
                     "reason": ""}  # fmt: skip
    assert found.table().splitlines()[2].startswith(f"{other / 'blank.png'}: {other.name} read as nothing (")
    assert f"{other / 'wrong.png'}: {other.name} read as {true}" in found.table()


def test_a_folder_without_pictures_is_an_error(reader: Reader, tmp_path: Path) -> None:
    message = f"{tmp_path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its name"
    with pytest.raises(DataError) as caught:
        measure.folder(reader, tmp_path)
    assert str(caught.value) == message


# Numbers: single answers and their figures.


def read_as(*values: tuple[str, float], accepted: bool = True, reason: str | None = None) -> NumberReading:
    """A reading with these candidates."""
    candidates = tuple(Candidate(text, int(text), probability) for text, probability in values)
    other = 1 - sum(probability for _, probability in values)
    text, value, best = (
        (candidates[0].text, candidates[0].value, candidates[0].probability) if values else ("", None, 0)
    )
    return NumberReading(text, value, best, candidates, other, accepted, reason, 0.9)


@pytest.mark.parametrize(
    ("result", "value", "expected", "likelihood"),
    [
        (read_as(("012", 0.75), ("12", 0.0), ("72", 0.125)), 12, Answer("012", True, True, 0.75, True, 0, ""), 0.75),
        (read_as(("12", 0.75), ("72", 0.125)), 72, Answer("12", False, True, 0.75, True, 0, ""), 0.125),
        # A value that is no candidate shares the other probability with all numbers of 1 to 12 digits.
        (read_as(("12", 0.75)), 345, Answer("12", False, True, 0.75, False, 0, ""), 0.25 / 12 / 1000),
        (read_as(("12", 1.0)), 345, Answer("12", False, True, 1.0, False, 0, ""), 1e-12 / 12 / 1000),
        (read_as(accepted=False, reason="blank"), 5, Answer(None, False, False, 0, False, 0, "blank"), 1 / 12 / 10),
        (ImageError("x: none"), 5, Answer(None, False, False, 0.0, False, 0, "x: none"), 1 / 12 / 10),
    ],
)
def test_a_number_is_right_if_its_value_is_and_every_value_has_a_likelihood(
    result: Result, value: int, expected: Answer, likelihood: float
) -> None:
    found = answer_to(scripted(result), b"", value)
    assert found._replace(nll=0) == expected
    assert math.exp(-found.nll) == pytest.approx(likelihood)


def test_the_reader_is_asked_as_it_is_told() -> None:
    script = scripted(read_as(("12", 1.0)))
    answer_to(script, b"x", 12, "both", ",", "dark")
    assert script.asked == [(b"x", "both", {"decimal": ",", "ink": "dark"})]


def answered(right: bool, accepted: bool, confidence: float, among: bool = True, nll: float = 0.5) -> Answer:
    return Answer("1", right, accepted, confidence, among, nll, "")


def test_the_figures_of_a_set_are_its_means() -> None:
    found = measure.number_result(
        "set",
        [answered(True, True, 0.9), answered(False, True, 0.8, False, 3.5), answered(True, False, 0.3, nll=1.0),
         answered(True, True, 1.0, nll=0.0)],
    )  # fmt: skip
    shares = {"accuracy": 0.75, "accepted": 0.75, "accuracy_accepted": 2 / 3, "in_candidates": 0.75, "nll": 1.25}
    assert {name: found[name] for name in shares} == pytest.approx(shares)
    assert measure.number_result("set", [answered(True, False, 0.9)])["accuracy_accepted"] is None


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 1 / 15, 0.2, 0.9]), st.booleans()), min_size=1))
def test_the_calibration_error_is_that_of_every_other_evaluation(given: list[tuple[float, bool]]) -> None:
    answers = [answered(right, True, sure) for sure, right in given]
    confidence, right = (np.array(values) for values in zip(*given, strict=True))
    expected = metrics.calibration_error(confidence, right)
    assert measure.number_result("set", answers)["ece"] == pytest.approx(expected)


# Labels.


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1480", None, 1480), ("1,480.-", None, 1480), ("1'480", None, 1480), (" 007", None, 7), ("12.50", None, 1250),
        ("12.50", ".", Decimal("12.5")), ("1.234,50", ",", Decimal("1234.5")), ("1,234,567", ",", Decimal(1234567)),
        ("12", ",", Decimal(12)), ("-5", None, 5),
        *((text, None, None) for text in ("", "abc", "12a", ".,", "１２", "1/2", "9" * 601)),
    ],
)  # fmt: skip
def test_separators_in_a_text_count_for_nothing_but_for_the_decimal_sign(
    text: str, decimal: str | None, value: int | Decimal | None
) -> None:
    if value is not None:
        assert value_written(text, decimal) == value
        return
    with pytest.raises(DataError, match=r"^text '.*': expected a number in digits, such as 1,480: mend it$"):
        value_written(text)


def labelled(folder: Path, labels: str, *answers: Result) -> Figures:
    (folder / "labels.csv").write_text(labels)
    return measure.labelled(scripted(*answers), folder, folder / "labels.csv")


def test_bad_rows_are_errors_of_their_own_and_the_others_are_read_and_those_misread_are_named(tmp_path: Path) -> None:
    unsure = read_as(("1", 0.6), ("7", 0.4), accepted=False, reason="unsure")
    found = labelled(
        tmp_path, 'path,text,note\na.png,"1,480",x\nb.png,7\n,5\nc.png,twelve\nd.png\n"e.png,3\nf.png,30\n',
        read_as(("1480", 0.9)), unsure, ImageError("f: none"),
    )  # fmt: skip
    rows = labels_of(tmp_path / "labels.csv")
    assert [(row.path, row.value) for row in rows] == [
        ("a.png", 1480), ("b.png", 7), ("", None), ("c.png", None), ("d.png", None), ("", None), ("f.png", 30)
    ]  # fmt: skip
    bad = [
        "line 4: no path of a picture, expected a name such as 0001.png",
        "line 5: text 'twelve': expected a number in digits, such as 1,480: mend it",
        "line 6: text '': expected a number in digits, such as 1,480: mend it",
        "line 7: a quote opens that is not closed, expected a path and a number: close it",
    ]
    assert [row.error for row in rows if row.error] == found.values["bad_rows"] == found.bad_rows == bad
    assert (found.values["result"]["pictures"], found.values["result"]["accuracy"]) == (3, pytest.approx(1 / 3))
    assert found.lines[2:] == [
        "b.png: 7 read as 1 (unsure)", "f.png: 30 read as nothing (f: none)", *(f"left out: {one}" for one in bad)
    ]  # fmt: skip
    said = {"path": "b.png", "text": "7", "said": "1", "accepted": False, "reason": "unsure"}
    assert found.values["errors"][0] == said
    nothing = labelled(tmp_path, "path,text\na.png,none\n")  # without a good row there are no figures
    assert nothing.values["result"] is None
    assert nothing.table() == f"left out: {nothing.bad_rows[0]}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist, expected a CSV with the columns path and text: check the name"),
        ("", "its first line has the columns (none), expected path and text, each once: name them so"),
        ("path,text,path\n", "its first line has the columns path, text, path, expected path and text, each once: "
                             "name them so"),
        ("path,text\n\n", "no rows, expected one for each picture: add them"),
        ('"path,text\n', "line 1: not CSV (unexpected end of data), expected path,text"),
    ],
)  # fmt: skip
def test_labels_that_are_none_are_an_error(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "labels.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError) as caught:
        labels_of(file)
    assert str(caught.value) == f"--labels {file}: {message}"
    with pytest.raises(DataError, match=r": is no file, expected a CSV with the columns path and text"):
        labels_of(tmp_path)


def test_a_folder_and_a_table_give_the_same_examples(tmp_path: Path) -> None:
    for digit in (3, 7):
        (tmp_path / str(digit)).mkdir()
        (tmp_path / str(digit) / "a.png").touch()
    (tmp_path / "table.csv").write_text("path,text\n3/a.png,3\n7/a.png,7\n")
    expected = [(tmp_path / "3/a.png", "3"), (tmp_path / "7/a.png", "7")]
    assert examples_in(tmp_path) == examples_in(tmp_path / "table.csv") == expected
    (tmp_path / "table.csv").write_text("path,text\n3/a.png,three\n")
    with pytest.raises(DataError, match="line 2: text 'three'"):
        examples_in(tmp_path / "table.csv")


# The command line.

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]) -> Run:
    return lambda *words: (main(["evaluate", *map(str, words)]), *capsys.readouterr())


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with pictures of strings, and labels."""
    rows = ["path,text"]
    for place, text in enumerate(("138", "907", "250", "491")):
        Image.fromarray(line_of(text, gap=24)).save(tmp_path / f"{place}.png")
        rows.append(f"{place}.png,{text[0]}.{text[1:]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path


def test_labelled_pictures_are_measured_on_the_command_line(evaluate: Run, mine: Path) -> None:
    words = "--folder", mine, "--labels", mine / "labels.csv"
    status, out, err = evaluate(*words, "--ink", "dark", "--read-with", "ours")
    assert (status, err) == (0, "")
    assert out.split()[:3] == ["numbers", "pictures", "right"]
    figures = json.loads(evaluate(*words, "--ink", "dark", "--json")[1])
    assert figures["result"]["pictures"] == 4
    assert figures["result"]["accuracy"] >= 0.7
    assert f"{100 * figures['result']['accuracy']:.2f}" in out
    parted = json.loads(evaluate(*words, "--json", "--decimal", ".")[1])
    assert parted["result"]["accuracy"] == 0  # no stop was written


def test_no_name_in_the_labels_ends_a_command_and_what_is_left_out_is_named_with_status_1(
    evaluate: Run, mine: Path
) -> None:
    names = ["a\0b.png", os.fsdecode(b"\xff.png"), "x" * 5000, "/dev/null", str(mine), "../../etc/passwd", "\x1b[1m"]
    with (mine / "labels.csv").open("a", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write("\n" + "".join(f"{name},5\n" for name in names))
    status, out, err = evaluate("--folder", mine, "--labels", mine / "labels.csv", "--json")
    assert (status, err) == (0, "")
    said = {error["path"]: error["said"] for error in json.loads(out)["errors"]}
    assert [said[name] for name in names] == [None] * len(names)
    (mine / "labels.csv").write_text("path,text\n4.png,four\nmissing.png,5\n")
    status, out, err = evaluate("--folder", mine, "--labels", mine / "labels.csv")
    assert (status, err) == (1, "")
    assert out.splitlines()[-2:] == [
        f"missing.png: 5 read as nothing ({mine / 'missing.png'}: does not exist, expected a picture: check the name)",
        "left out: line 2: text 'four': expected a number in digits, such as 1,480: mend it",
    ]

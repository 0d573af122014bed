"""Readers are measured on labelled pictures: every figure against a count by hand, with a reader whose answers are
known; and the command line."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawings import line_of
from sumnist.batch import measure
from sumnist.batch.labels import examples_in, labels_of, value_written
from sumnist.batch.measure import Answer, answer_to, answers_of
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
    """A reader of digits or of numbers that gives the answers it was given, in turn, and notes what it is asked."""

    def __init__(self, *answers: Result) -> None:
        self.answers = iter(answers)
        self.asked: list[tuple[Any, ...]] = []

    def read_each(self, pictures: Sequence[Any], *words: Any, **others: Any) -> list[Result]:
        self.asked += [(picture, *words, others) for picture in pictures]
        return [next(self.answers) for _ in pictures]


def scripted(*answers: Result) -> Any:
    return Scripted(*answers)


# Digits.


def reading(digit: int, confidence: float = 0.9, accepted: bool = True, reason: str | None = None) -> Reading:
    return Reading(digit, digit, 0, confidence, (0.1,) * 10, range(10), (0.1,) * 10, accepted, reason)


def test_answers_tell_errors_and_refusals_and_the_figures_count_them() -> None:
    script = scripted(
        reading(3), reading(4, 0.2, False, "unsure"), ImageError("x: blank"), reading(5, 0.5, False, "several digits"),
        reading(6, 0.5, False, "blank"), replace(reading(3), is_digit_probability=0.25),
    )  # fmt: skip
    answers = answers_of(script, [b""] * 6)
    assert answers.digits.tolist() == [3, 4, -1, 5, -1, 3]
    assert answers.accepted.tolist() == [True, False, False, False, False, True]
    assert answers.scores.tolist() == [0.9, 0.2, -1.0, -1.0, -1.0, 0.25]  # least where the picture itself was refused
    assert answers.reasons == ("", "unsure", "x: blank", "several digits", "blank", "")
    found = measure.digit_result("set", answers, np.array([3, 4, 1, 5, 6, 8]), ("a", "a", "b", "b", "b", "b"))
    shares = {"accuracy": 3 / 6, "accepted": 2 / 6, "accuracy_accepted": 1 / 2, "several": 1 / 6}
    assert found.pop("by_writer") == {"a": 1, "b": 0.25}
    assert found == {"name": "set", "pictures": 6} | {name: pytest.approx(share) for name, share in shares.items()}
    nothing = measure.digit_result("set", answers_of(scripted(reading(1, accepted=False)), [b""]), np.array([1]))
    assert nothing["accuracy_accepted"] is None


def test_a_folder_is_read_by_the_names_of_its_folders(reader: Reader, mnist_train: DigitSet, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=f"^{tmp_path}: no pictures in sub-folders 0 to 9, expected those of each digit"
    ):
        measure.folder(reader, tmp_path)
    for digit in range(10):
        (tmp_path / str(digit)).mkdir()
    for i in range(12):
        picture_of(mnist_train.images[i]).save(tmp_path / str(mnist_train.digits[i]) / f"{i}.png")
    true = int(mnist_train.digits[0])
    other = tmp_path / str((true + 1) % 10)
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
    assert found.table().splitlines()[-1] == f"{other / 'wrong.png'}: {other.name} read as {true}"


# Numbers: single answers and their figures.


def read_as(*values: tuple[str, float], accepted: bool = True, reason: str | None = None) -> NumberReading:
    """A reading with these candidates."""
    candidates = tuple(Candidate(text, int(text), probability) for text, probability in values)
    best: Any = candidates[0] if candidates else SimpleNamespace(text="", value=None, probability=0)
    other = 1 - sum(probability for _, probability in values)
    return NumberReading(best.text, best.value, best.probability, candidates, other, accepted, reason, 0.9)


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
    script = scripted(result)
    found = answer_to(script, b"x", value, ",", "dark")
    assert script.asked == [(b"x", {"decimal": ",", "ink": "dark"})]
    assert found._replace(nll=0) == expected
    assert math.exp(-found.nll) == pytest.approx(likelihood)


def answered(right: bool, accepted: bool, confidence: float, among: bool = True, nll: float = 0.5) -> Answer:
    return Answer("1", right, accepted, confidence, among, nll, "")


def test_the_figures_of_a_set_are_its_means() -> None:
    answers = [answered(True, True, 0.9), answered(False, True, 0.8, False, 3.5), answered(True, False, 0.3, nll=1.0),
               answered(True, True, 1.0, nll=0.0)]  # fmt: skip
    found = measure.number_result("set", answers)
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


def test_separators_in_a_text_count_for_nothing_but_for_the_decimal_sign() -> None:
    for text, decimal, value in (
        ("1480", None, 1480), ("1,480.-", None, 1480), ("1'480", None, 1480), (" 007", None, 7), ("12.50", None, 1250),
        ("12.50", ".", Decimal("12.5")), ("1.234,50", ",", Decimal("1234.5")), ("1,234,567", ",", Decimal(1234567)),
        ("12", ",", Decimal(12)), ("-5", None, 5), ("9" * 600, None, 10**600 - 1),
    ):  # fmt: skip
        assert value_written(text, decimal) == value
    for text in ("", "abc", "12a", ".,", "１２", "1/2", "9" * 601):
        with pytest.raises(DataError, match=r"^text '.*': expected a number in digits, such as 1,480: mend it$"):
            value_written(text)


def test_bad_rows_are_errors_of_their_own_and_the_others_are_read(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text('path,text,note\na.png,"1,480",x\nb.png,7\n,5\nc.png,twelve\nd.png\n"e.png,3\nf.png,30\n')
    unsure = read_as(("1", 0.6), ("7", 0.4), accepted=False, reason="unsure")
    script = scripted(read_as(("1480", 0.9)), unsure, ImageError("f: none"))
    found = measure.labelled(script, tmp_path, labels)
    assert [picture for picture, *_ in script.asked] == [tmp_path / name for name in ("a.png", "b.png", "f.png")]
    rows = labels_of(labels)
    assert [row.value for row in rows] == [1480, 7, None, None, None, None, 30]
    assert [row.path for row in rows] == ["a.png", "b.png", "", "c.png", "d.png", "", "f.png"]
    bad = [row.error for row in rows if row.error]
    assert bad == found.values["bad_rows"] == found.bad_rows
    for line, about, error in zip(range(4, 8), ("path", "text 'twelve'", "text ''", "quote"), bad, strict=True):
        assert error.startswith(f"line {line}: ")
        assert about in error
    assert (found.values["result"]["pictures"], found.values["result"]["accuracy"]) == (3, pytest.approx(1 / 3))
    assert found.lines[2:] == [
        "b.png: 7 read as 1 (unsure)", "f.png: 30 read as nothing (f: none)", *(f"left out: {one}" for one in bad)
    ]  # fmt: skip
    said = {"path": "b.png", "text": "7", "said": "1", "accepted": False, "reason": "unsure"}
    assert found.values["errors"][0] == said
    labels.write_text("path,text\na.png,none\n")  # without a good row there are no figures
    assert measure.labelled(script, tmp_path, labels).values["result"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist, expected a CSV with the columns path and text: check the name"),
        ("", "its first line has the columns (none), expected path and text, each once: name them so"),
        ("path,text,path\n", "its first line has the columns path, text, path, expected path and text, each once: "),
        ("path,text\n\n", "no rows, expected one for each picture: add them"),
        ('"path,text\n', "line 1: not CSV (unexpected end of data), expected"),
    ],
)
def test_labels_that_are_none_are_an_error(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "labels.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError) as caught:
        labels_of(file)
    assert str(caught.value).startswith(f"--labels {file}: {message}")
    with pytest.raises(DataError, match=r": is no plain file, expected a CSV with the columns path and text"):
        labels_of(tmp_path)


def test_a_folder_and_a_table_give_the_same_examples(tmp_path: Path) -> None:
    for digit in "37":
        (tmp_path / digit).mkdir()
        (tmp_path / digit / "a.png").touch()
    (tmp_path / "table.csv").write_text("path,text\n3/a.png,3\n7/a.png,7\n")
    expected = [(tmp_path / "3/a.png", "3"), (tmp_path / "7/a.png", "7")]
    assert examples_in(tmp_path) == examples_in(tmp_path / "table.csv") == expected
    (tmp_path / "table.csv").write_text("path,text\n3/a.png,three\n")
    with pytest.raises(DataError, match="line 2: text 'three'"):
        examples_in(tmp_path / "table.csv")


# The command line.


def test_labelled_pictures_are_measured_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    labels = tmp_path / "labels.csv"

    def run(*words: str) -> tuple[int, Any]:
        return main(["evaluate", "--folder", str(tmp_path), "--labels", str(labels), *words]), capsys.readouterr()

    texts = "138", "907", "250", "491"
    for text in texts:
        Image.fromarray(line_of(text, gap=24)).save(tmp_path / f"{text}.png")
    labels.write_text("path,text\n" + "".join(f"{text}.png,{text[0]}.{text[1:]}\n" for text in texts))
    status, (out, err) = run("--ink", "dark")
    assert (status, err, out.split()[:3]) == (0, "", ["numbers", "pictures", "right"])
    figures = json.loads(run("--ink", "dark", "--json")[1][0])["result"]
    assert figures["pictures"] == 4
    assert figures["accuracy"] >= 0.7
    assert f"{100 * figures['accuracy']:.2f}" in out
    assert json.loads(run("--json", "--decimal", ".")[1][0])["result"]["accuracy"] == 0  # no stop was written
    names = ["a\0b.png", os.fsdecode(b"\xff.png"), "x" * 5000, "/dev/null", str(tmp_path), "../../etc/passwd"]
    rows = "path,text\n" + "".join(f"{name},5\n" for name in names)
    labels.write_text(rows, encoding="utf-8", errors="surrogateescape")
    status, (out, err) = run("--json")
    assert (status, err) == (0, "")
    assert {error["path"]: error["said"] for error in json.loads(out)["errors"]} == dict.fromkeys(names)
    labels.write_text("path,text\n4.png,four\nmissing.png,5\n")
    status, (out, err) = run()
    assert (status, err) == (1, "")
    assert [line.partition(" ")[0] for line in out.splitlines()[-2:]] == ["missing.png:", "left"]

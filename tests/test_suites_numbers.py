"""The suite of numbers and labelled pictures: every figure against a count by hand, with a reader whose answers are
known; and the command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from sumnist.cli import main
from sumnist.errors import ConfigError, DataError, ImageError, SumnistError
from sumnist.evaluation import metrics
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.lab.suites import numbers as suite
from sumnist.lab.suites.labels import labels_of, value_written
from sumnist.lab.suites.numbers import Answer, NumberSuite, answer_to, labelled, number_result, numbers
from sumnist.lab.suites.strips import NO_NUMBERS, SPACINGS, strings
from sumnist.pictures.decode import Picture


def reading(*values: tuple[str, float], accepted: bool = True, reason: str | None = None) -> NumberReading:
    """A reading with these candidates."""
    candidates = tuple(Candidate(text, int(text), probability) for text, probability in values)
    other = 1 - sum(probability for _, probability in values)
    first = candidates[0] if candidates else None
    return NumberReading(
        first.text if first else "", first.value if first else None, first.probability if first else 0.0, candidates,
        other, accepted, reason, 0.9,
    )  # fmt: skip


class Scripted:
    """A reader that gives the answers it was given, in turn, and then the last one again."""

    def __init__(self, answers: Sequence[NumberReading | SumnistError]) -> None:
        self.answers = iter(answers)
        self.asked: list[tuple[Any, ...]] = []
        self.last: NumberReading | SumnistError

    def read_each(self, pictures: Sequence[Picture], engine: str, **others: Any) -> list[NumberReading | SumnistError]:
        (picture,) = pictures
        self.asked.append((picture, engine, others))
        self.last = next(self.answers, None) or self.last
        return [self.last]


def scripted(*answers: NumberReading | SumnistError) -> Numbers:
    return cast("Numbers", Scripted(answers))


@pytest.fixture(scope="module")
def reader() -> Numbers:
    return Numbers()


# Single answers.


def test_a_number_is_right_if_its_value_is() -> None:
    answer = answer_to(scripted(reading(("012", 0.75), ("12", 0.0), ("72", 0.125))), b"", 12)
    assert (answer.text, answer.right, answer.accepted, answer.confidence, answer.in_candidates) == (
        "012", True, True, 0.75, True
    )  # fmt: skip
    assert answer.nll == pytest.approx(-math.log(0.75))
    answer = answer_to(scripted(reading(("12", 0.75), ("72", 0.125))), b"", 72)
    assert (answer.right, answer.in_candidates) == (False, True)
    assert answer.nll == pytest.approx(-math.log(0.125))


def test_a_value_that_is_no_candidate_shares_the_other_probability_with_all_numbers_of_1_to_12_digits() -> None:
    answer = answer_to(scripted(reading(("12", 0.75))), b"", 345)
    assert (answer.right, answer.in_candidates) == (False, False)
    assert math.exp(-answer.nll) == pytest.approx(0.25 / 12 / 1000)
    assert answer_to(scripted(reading(("12", 1.0))), b"", 345).nll < 50  # nobody is infinitely wrong
    nothing = answer_to(scripted(reading(accepted=False, reason="blank")), b"", 5)
    assert (nothing.text, nothing.right, nothing.reason) == (None, False, "blank")
    assert math.exp(-nothing.nll) == pytest.approx(1 / 12 / 10)


def test_a_picture_that_cannot_be_read_is_not_right() -> None:
    answer = answer_to(scripted(ImageError("x: no picture")), b"", 5)
    assert answer == Answer(None, False, False, 0.0, False, answer.nll, "x: no picture")
    assert math.exp(answer.nll) == pytest.approx(120)


def test_the_reader_is_asked_as_it_is_told() -> None:
    script = Scripted([reading(("12", 1.0))])
    answer_to(cast("Numbers", script), b"x", 12, "both", ",", "dark")
    assert script.asked == [(b"x", "both", {"decimal": ",", "ink": "dark"})]


# Figures.


def answer(right: bool, accepted: bool, confidence: float, among: bool = True, nll: float = 0.5) -> Answer:
    return Answer("1", right, accepted, confidence, among, nll, "")


def test_the_figures_of_a_set_are_its_means() -> None:
    found = number_result(
        "set",
        [answer(True, True, 0.9), answer(False, True, 0.8, False, 3.5), answer(True, False, 0.3, nll=1.0),
         answer(True, True, 1.0, nll=0.0)],
    )  # fmt: skip
    assert (found.pictures, found.accuracy, found.accepted, found.in_candidates) == (4, 0.75, 0.75, 0.75)
    assert found.accuracy_accepted == pytest.approx(2 / 3)
    assert found.nll == pytest.approx(1.25)
    assert number_result("set", [answer(True, False, 0.9)]).accuracy_accepted is None


def test_the_calibration_error_is_that_of_every_other_evaluation() -> None:
    random = np.random.default_rng(0)
    confidence = np.concatenate([random.random(500), [0.0, 1.0, 1 / 15, 0.2]])
    right = random.random(504) < confidence**2
    answers = [answer(bool(is_right), True, float(sure)) for is_right, sure in zip(right, confidence, strict=True)]
    expected = metrics.calibration_error(confidence, right)
    assert number_result("set", answers).ece == pytest.approx(expected)
    assert expected > 0.05


# The suite.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite of few strings."""
    monkeypatch.setattr(suite, "STRINGS", {1: 3, 2: 3, 5: 2})
    monkeypatch.setattr(suite, "COUNTS", dict.fromkeys(NO_NUMBERS, 2))


@pytest.fixture
def measured(small: None) -> tuple[NumberSuite, Scripted]:
    """The suite as a reader answers it that reads every other number right, and accepts those."""

    def answers() -> Iterator[NumberReading]:
        yield from (reading((text, 0.75)) for text in strings("development", 1, "spaced", 3).texts)
        for digits, count in ((2, 3), (5, 2)):
            for spacing in SPACINGS:
                for place, text in enumerate(strings("development", digits, spacing, count).texts):
                    yield reading(("9" + text if place % 2 else text, 0.75), accepted=place % 2 == 0)
        yield from (reading(("7", 0.5), accepted=place == 0) for place in range(8))

    script = Scripted(list(answers()))
    return numbers(cast("Numbers", script), "development", "both"), script


def test_the_suite_has_a_figure_for_every_length_and_spacing(measured: tuple[NumberSuite, Scripted]) -> None:
    found, script = measured
    assert (found.half, found.engine) == ("development", "both")
    assert [(one.name, one.pictures, one.digits, one.spacing) for one in found.strings] == [
        ("1 digit", 3, 1, "spaced"),
        *((f"2 digits, {spacing}", 3, 2, spacing) for spacing in SPACINGS),
        *((f"5 digits, {spacing}", 2, 5, spacing) for spacing in SPACINGS),
        *((f"2 to 12 digits, {spacing}", 5, None, spacing) for spacing in SPACINGS),
    ]
    assert [one.accuracy for one in found.strings] == pytest.approx([1, *[2 / 3] * 3, *[1 / 2] * 3, *[3 / 5] * 3])
    assert all(one.accuracy_accepted == 1 for one in found.strings)
    assert {engine for _, engine, _ in script.asked} == {"both"}


def test_of_what_is_no_number_the_share_is_told_that_is_accepted(measured: tuple[NumberSuite, Scripted]) -> None:
    assert [(one.name, one.pictures, one.accepted) for one in measured[0].no_numbers] == [
        ("words", 2, 0.5), ("scribbles", 2, 0.0), ("struck-out numbers", 2, 0.0), ("blank", 2, 0.0)
    ]  # fmt: skip


def test_pictures_that_cannot_be_read_are_not_accepted() -> None:
    assert suite.no_number_result(scripted(ImageError("x")), "words", [b"", b""], "ours").accepted == 0


def test_the_table_and_the_json_hold_the_same_figures(measured: tuple[NumberSuite, Scripted]) -> None:
    found = measured[0]
    table, values = found.table(), json.loads(json.dumps(found.as_dict()))
    for one in values["strings"]:
        line = next(line for line in table.splitlines() if line.startswith(f"{one['name']}  "))
        shares = [one[key] for key in ("accuracy", "accepted", "accuracy_accepted", "in_candidates")]
        cells = [str(one["pictures"]), *(f"{100 * share:.2f}" for share in shares), f"{one['nll']:.3f}"]
        assert line.removeprefix(one["name"]).split() == [*cells, f"{100 * one['ece']:.2f}"]
    assert "words                                2     50.00" in table
    assert max(map(len, table.splitlines())) <= 120


def test_a_count_limits_every_set(small: None) -> None:
    found = numbers(scripted(reading(("7", 0.5))), "reported", count=1)
    assert [one.pictures for one in found.strings[:7]] == [1] * 7
    assert [one.pictures for one in found.no_numbers] == [1] * 4


def test_an_unknown_half_or_engine_is_an_error(small: None, reader: Numbers) -> None:
    with pytest.raises(ConfigError, match=r"^half 'test': unknown"):
        numbers(reader, "test")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^engine 'none': expected ours, ocr or both"):
        numbers(reader, engine="none")  # type: ignore[arg-type]


def test_the_packaged_network_reads_most_short_strings(reader: Numbers) -> None:
    made = strings("development", 3, "spaced", 20)
    answers = [answer_to(reader, picture, int(text)) for picture, text in zip(made.pictures, made.texts, strict=True)]
    assert number_result("3 digits", answers).accuracy >= 0.85


@pytest.mark.parametrize("name", ["words", "blank"])
def test_the_packaged_network_refuses_words_and_empty_paper(reader: Numbers, name: str) -> None:
    assert suite.no_number_result(reader, name, NO_NUMBERS[name]("development", 20), "ours").accepted <= 0.25


def test_measuring_needs_no_torch() -> None:
    code = "import sys, sumnist.lab.suites.numbers; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# Labels.


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1480", None, 1480), ("1,480.-", None, 1480), ("1'480", None, 1480), (" 007", None, 7), ("12.50", None, 1250),
        ("12.50", ".", Decimal("12.5")), ("1.234,50", ",", Decimal("1234.5")), ("1,234,567", ",", Decimal(1234567)),
        ("12", ",", Decimal(12)), ("-5", None, 5),
    ],
)  # fmt: skip
def test_separators_in_a_text_count_for_nothing_but_for_the_decimal_sign(
    text: str, decimal: str | None, value: int | Decimal
) -> None:
    assert value_written(text, decimal) == value


@pytest.mark.parametrize("text", ["", "abc", "12a", ".,", "１２", "1/2", "9" * 601])
def test_a_text_that_is_no_number_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match=r"^text '.*': expected a number in digits, such as 1,480: mend it$"):
        value_written(text)


LABELS = """path,text,note
a.png,"1,480",x
b.png,7
,5
c.png,twelve
d.png
"e.png,3
f.png,30
"""


def test_bad_rows_are_errors_of_their_own_and_the_others_are_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(LABELS)
    rows = labels_of(file)
    assert [(row.path, row.value) for row in rows] == [
        ("a.png", 1480), ("b.png", 7), ("", None), ("c.png", None), ("d.png", None), ("", None), ("f.png", 30)
    ]  # fmt: skip
    assert [row.error for row in rows if row.error] == [
        "line 4: no path of a picture, expected a name such as 0001.png",
        "line 5: text 'twelve': expected a number in digits, such as 1,480: mend it",
        "line 6: text '': expected a number in digits, such as 1,480: mend it",
        "line 7: a quote opens that is not closed, expected a path and a number: close it",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist, expected a CSV with the columns path and text: check the name"),
        (b"", "its first line has the columns (none), expected path and text, each once: name them so"),
        (b"path,number\na,1\n", "its first line has the columns path, number, expected path and text, each once: name "
                                "them so"),
        (b"path,text,path\n", "its first line has the columns path, text, path, expected path and text, each once: "
                              "name them so"),
        (b"path,text\n\n", "no rows, expected one for each picture: add them"),
        (b'"path,text\n', "line 1: not CSV (unexpected end of data), expected path,text"),
    ],
)  # fmt: skip
def test_labels_that_are_none_are_an_error(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "labels.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        labels_of(file)
    assert str(caught.value) == f"--labels {file}: {message}"


def test_labels_that_are_a_folder_or_no_utf8_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r": is no file, expected a CSV with the columns path and text"):
        labels_of(tmp_path)
    (tmp_path / "utf16.csv").write_text("path,text\na,1\n", encoding="utf-16")
    with pytest.raises(DataError, match="as UTF-16 does, expected UTF-8"):
        labels_of(tmp_path / "utf16.csv")


def test_labelled_pictures_are_counted_and_those_misread_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(LABELS)
    script = scripted(
        reading(("1480", 0.9)), reading(("1", 0.6), ("7", 0.4), accepted=False, reason="unsure"), ImageError("f: none")
    )
    found = labelled(script, tmp_path, tmp_path / "labels.csv")
    assert found.result is not None
    assert found.result.pictures == 3
    assert found.result.accuracy == pytest.approx(1 / 3)
    assert found.result.in_candidates == pytest.approx(2 / 3)
    assert found.table().splitlines()[2:] == [
        "b.png: 7 read as 1 (unsure)",
        "f.png: 30 read as nothing (f: none)",
        *(f"left out: {bad}" for bad in found.bad_rows),
    ]
    assert len(found.bad_rows) == 4
    assert json.loads(json.dumps(found.as_dict()))["errors"][0] == {
        "path": "b.png", "text": "7", "said": "1", "accepted": False, "reason": "unsure"
    }  # fmt: skip


def test_without_a_good_row_there_are_no_figures(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,text\na.png,none\n")
    found = labelled(scripted(), tmp_path, tmp_path / "labels.csv")
    assert found.result is None
    assert found.table() == f"left out: {found.bad_rows[0]}"


# The command line.

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: object) -> tuple[int, str, str]:
        status = main(["evaluate", *map(str, words)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with pictures of strings, and labels."""
    made = strings("development", 3, "spaced", 8)
    rows = ["path,text"]
    for place, (picture, text) in enumerate(zip(made.pictures, made.texts, strict=True)):
        Image.fromarray(255 - picture).save(tmp_path / f"{place}.png")
        rows.append(f"{place}.png,{text[0]}.{text[1:]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path


def test_labelled_pictures_are_measured_on_the_command_line(evaluate: Run, mine: Path) -> None:
    words = "--folder", mine, "--labels", mine / "labels.csv"
    status, out, err = evaluate(*words)
    assert (status, err) == (0, "")
    assert out.splitlines()[0].split() == ["numbers", *["pictures", "right", "accepted", "right", "of", "these"],
                                           "in", "candidates", "NLL", "ECE"]  # fmt: skip
    figures = json.loads(evaluate(*words, "--json")[1])
    assert figures["result"]["pictures"] == 8
    assert figures["result"]["accuracy"] >= 0.7
    assert f"{100 * figures['result']['accuracy']:.2f}" in out
    assert evaluate(*words, "--ink", "dark", "--read-with", "ours")[0] == 0


def test_a_decimal_sign_makes_the_same_digits_another_number(evaluate: Run, mine: Path) -> None:
    words = "--folder", mine, "--labels", mine / "labels.csv", "--json"
    whole, parted = (json.loads(evaluate(*words, *more)[1]) for more in ((), ("--decimal", ".")))
    assert whole["result"]["accuracy"] >= 0.7
    assert parted["result"]["accuracy"] == 0  # no stop was written


def test_a_row_that_is_left_out_is_named_and_the_status_is_1(evaluate: Run, mine: Path) -> None:
    with (mine / "labels.csv").open("a") as stream:
        stream.write("\n8.png,eight\nmissing.png,5\n")
    status, out, err = evaluate("--folder", mine, "--labels", mine / "labels.csv")
    assert (status, err) == (1, "")
    assert out.splitlines()[-2:] == [
        f"missing.png: 5 read as nothing ({mine / 'missing.png'}: does not exist, expected a picture: check the name)",
        "left out: line 10: text 'eight': expected a number in digits, such as 1,480: mend it",
    ]


def test_the_suite_is_measured_on_the_command_line(evaluate: Run, small: None) -> None:
    status, out, _ = evaluate("--suite", "numbers", "--half", "development")
    assert status == 0
    assert out.startswith("numbers, development half, read with ours\n\nMNIST's test digits ")
    figures = json.loads(evaluate("--suite", "numbers", "--half", "development", "--json")[1])
    assert len(figures["strings"]) == 10
    assert [one["name"] for one in figures["no_numbers"]] == list(NO_NUMBERS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--labels l.csv", "--labels l.csv: is of the pictures of --folder; add that flag"),
        ("--folder f --decimal ,", "--decimal ,: is of the texts in --labels; add that flag, or leave it out"),
        ("--suite robustness --read-with both",
         "--read-with both: is of numbers; add --suite numbers or --labels, or leave it out"),
        ("--folder f --read-with ours",
         "--read-with ours: is of numbers; add --suite numbers or --labels, or leave it out"),
        ("--suite numbers --folder f --labels l.csv", "--suite --folder: two things to measure on; choose one"),
        ("--suite numbers --ink dark", "--ink dark: is of the pictures of --folder; add that flag, or leave --ink out"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together_are_refused(evaluate: Run, words: str, message: str) -> None:
    assert evaluate(*words.split()) == (2, "", f"sumnist: {message}\n")


def test_a_model_that_reads_no_numbers_is_an_error(evaluate: Run, mine: Path) -> None:
    from sumnist.files import ONNX, PRETRAINED

    status, out, err = evaluate(PRETRAINED / ONNX, "--folder", mine, "--labels", mine / "labels.csv")
    assert (status, out) == (1, "")
    assert "an ONNX file of another network" in err
    status, _, err = evaluate(mine / "none.onnx", "--suite", "numbers")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith(f"sumnist: {mine / 'none.onnx'}: ")


def test_no_name_in_the_labels_ends_a_command(evaluate: Run, mine: Path) -> None:
    names = ["a\0b.png", os.fsdecode(b"\xff.png"), "x" * 5000, "/dev/null", str(mine), "../../etc/passwd", "\x1b[1m"]
    with (mine / "labels.csv").open("a", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write("\n" + "".join(f"{name},5\n" for name in names))
    status, out, err = evaluate("--folder", mine, "--labels", mine / "labels.csv", "--json")
    assert (status, err) == (0, "")
    said = {error["path"]: error["said"] for error in json.loads(out)["errors"]}
    assert [said[name] for name in names] == [None] * len(names)

"""What readers are measured by: every figure against a count by hand, with a reader whose answers are known; and the
command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import sumnist
from sumnist.cli import main
from sumnist.data.mnist import DigitSet
from sumnist.errors import ConfigError, DataError, ImageError, SumnistError
from sumnist.evaluation import metrics
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.inference.reader import Reader, Reading
from sumnist.lab.suites import digits, measure, photographs
from sumnist.lab.suites.corruptions import CORRUPTIONS
from sumnist.lab.suites.measure import Answer, NumberSuite, Robustness, answer_to, answers_of
from sumnist.lab.suites.strips import NO_NUMBERS, SPACINGS, strings
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


def as_json(found: measure.Table) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(json.dumps(found.as_dict())))


def test_measuring_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import sumnist.lab.suites.measure"
    subprocess.run([sys.executable, "-c", code], check=True)


# Digits.


def reading(digit: int, confidence: float = 0.9, accepted: bool = True, reason: str | None = None) -> Reading:
    return Reading(digit, digit, 0, confidence, (0.1,) * 10, range(10), (0.1,) * 10, accepted, reason)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return sumnist.load()


@pytest.fixture(scope="module")
def result(reader: Reader) -> Robustness:
    photographs.inks_of("development")  # before there are few
    with pytest.MonkeyPatch.context() as patch:
        for name in ("small_digits", "font_digits"):
            whole = getattr(digits, name)("development")
            few = type(whole)(whole.name, whole.pictures[:10], whole.digits[:10], whole.writers[:10])
            patch.setattr(digits, name, lambda half, few=few: few)
        patch.setattr(measure, "SCENES", 1)
        grey = {"grey": lambda half: [np.full((30, 30), 99, np.uint8)] * 3}
        patch.setattr(measure, "OUT_OF_DISTRIBUTION", grey)
        return measure.robustness(reader, images=6)


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
    assert (found.accuracy, found.accepted, found.several) == pytest.approx((3 / 5, 3 / 5, 1 / 5))
    assert found.accuracy_accepted == pytest.approx(2 / 3)
    assert found.by_writer == {"a": 0.5, "b": pytest.approx(2 / 3)}
    nothing = measure.digit_result("set", answers_of(scripted(reading(1, accepted=False)), [b""]), np.array([1]))
    assert nothing.accuracy_accepted is None


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_the_area_under_the_roc_curve_is_the_share_of_pairs_in_order(inside: list[int], outside: list[int]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a in inside for b in outside]
    assert measure.area_under_roc(np.array(inside, float), np.array(outside, float)) == pytest.approx(np.mean(pairs))


def test_the_network_alone_sees_the_image_as_it_is(reader: Reader, mnist_train: DigitSet) -> None:
    images = mnist_train.images[:40]
    assert (measure.network_digits(reader, images) == mnist_train.digits[:40]).mean() > 0.9
    aside = np.pad(images, ((0, 0), (0, 0), (0, 12)))[:, :, 8:36]
    # The reader puts them into their place again, the network alone does not.
    whole, alone = answers_of(reader, list(aside)).digits, measure.network_digits(reader, aside)
    assert (whole == mnist_train.digits[:40]).mean() > (alone == mnist_train.digits[:40]).mean()


def test_robustness_has_a_figure_for_everything(result: Robustness) -> None:
    assert [(one.name, one.images) for one in result.corruptions] == [(name, 6) for name in CORRUPTIONS]
    assert [one.name for one in result.digits] == [
        "scikit-learn's digits", "handwriting fonts", "tight crops, 1×, light ink", "tight crops, 1×, dark ink",
        "tight crops, 6×, light ink", "tight crops, 6×, dark ink", "drawn cells",
        "photographs of MNIST training images", "photographs of scikit-learn's digits",
        "photographs of handwriting fonts", "scenes: desk along an edge", "scenes: corner", "scenes: all round",
        "scenes: note", "scenes: card",
    ]  # fmt: skip
    assert [one.pictures for one in result.digits] == [10, 10, *[6] * 8, *[1] * 5]
    assert result.mnist.pictures == 6
    (grey,) = result.out_of_distribution
    assert (grey.name, grey.pictures, grey.accepted, grey.auroc) == ("grey", 3, 0.0, 1.0)


def test_the_table_and_the_json_of_digits_hold_the_same_figures(result: Robustness) -> None:
    table, values = result.table(), as_json(result)
    for one in values["corruptions"]:
        line = next(line for line in table.splitlines() if line.startswith(one["name"].replace("_", " ")))
        assert line.split()[-4:] == ["(seen)", *(f"{100 * one[key]:.2f}" for key in ("network", "reader", "accepted"))]
    for of in ("network", "reader"):
        assert values[f"{of}_mean"] == pytest.approx(sum(one[of] for one in values["corruptions"]) / 15)
        assert values[f"{of}_mean_unseen"] is None
    assert f"{100 * values['network_mean']:.2f}" in table
    for one in values["digits"]:
        line = next(line for line in table.splitlines() if line.startswith(f"{one['name']}  "))
        assert line.split()[-4:-2] == [f"{100 * one['accuracy']:.2f}", f"{100 * one['accepted']:.2f}"]
    assert "grey" in table
    assert max(map(len, table.splitlines())) <= 120


def test_a_folder_is_read_by_the_names_of_its_folders(reader: Reader, mnist_train: DigitSet, tmp_path: Path) -> None:
    for i in range(12):
        place = tmp_path / str(mnist_train.digits[i])
        place.mkdir(exist_ok=True)
        picture_of(mnist_train.images[i]).save(place / f"{i}.png")
    wrong = (int(mnist_train.digits[0]) + 1) % 10
    (tmp_path / str(wrong)).mkdir(exist_ok=True)
    picture_of(mnist_train.images[0]).save(tmp_path / str(wrong) / "wrong.png")
    Image.new("L", (50, 50), 255).save(tmp_path / str(wrong) / "blank.png")
    (tmp_path / str(wrong) / ".hidden").write_bytes(b"")
    found = measure.folder(reader, tmp_path)
    assert found.result.pictures == 14
    assert found.result.accuracy == pytest.approx(12 / 14)
    assert [(Path(one.path).name, one.digit) for one in found.errors] == [("blank.png", wrong), ("wrong.png", wrong)]
    assert [one.said for one in found.errors] == [None, mnist_train.digits[0]]
    assert found.table().splitlines()[2].startswith(f"{tmp_path / str(wrong) / 'blank.png'}: {wrong} read as nothing (")
    assert f"{tmp_path / str(wrong) / 'wrong.png'}: {wrong} read as {mnist_train.digits[0]}" in found.table()
    assert as_json(found)["errors"][1] == {
        "path": str(tmp_path / str(wrong) / "wrong.png"), "digit": wrong, "said": mnist_train.digits[0],
        "accepted": True, "reason": "",
    }  # fmt: skip


def test_a_folder_without_pictures_and_an_unknown_half_are_errors(reader: Reader, tmp_path: Path) -> None:
    message = f"{tmp_path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its name"
    with pytest.raises(DataError) as caught:
        measure.folder(reader, tmp_path)
    assert str(caught.value) == message
    with pytest.raises(ConfigError, match=r"^half 'test': unknown"):
        measure.robustness(reader, "test")  # type: ignore[arg-type]


# Numbers: single answers and their figures.


def read_as(*values: tuple[str, float], accepted: bool = True, reason: str | None = None) -> NumberReading:
    """A reading with these candidates."""
    candidates = tuple(Candidate(text, int(text), probability) for text, probability in values)
    other = 1 - sum(probability for _, probability in values)
    text, value, best = (
        (candidates[0].text, candidates[0].value, candidates[0].probability) if values else ("", None, 0)
    )
    return NumberReading(text, value, best, candidates, other, accepted, reason, 0.9)


def test_a_number_is_right_if_its_value_is() -> None:
    found = answer_to(scripted(read_as(("012", 0.75), ("12", 0.0), ("72", 0.125))), b"", 12)
    assert found == Answer("012", True, True, 0.75, True, found.nll, "")
    assert found.nll == pytest.approx(-math.log(0.75))
    found = answer_to(scripted(read_as(("12", 0.75), ("72", 0.125))), b"", 72)
    assert (found.right, found.in_candidates) == (False, True)
    assert found.nll == pytest.approx(-math.log(0.125))


def test_a_value_that_is_no_candidate_shares_the_other_probability_with_all_numbers_of_1_to_12_digits() -> None:
    found = answer_to(scripted(read_as(("12", 0.75))), b"", 345)
    assert (found.right, found.in_candidates) == (False, False)
    assert math.exp(-found.nll) == pytest.approx(0.25 / 12 / 1000)
    assert answer_to(scripted(read_as(("12", 1.0))), b"", 345).nll < 50  # nobody is infinitely wrong
    nothing = answer_to(scripted(read_as(accepted=False, reason="blank")), b"", 5)
    assert (nothing.text, nothing.right, nothing.reason) == (None, False, "blank")
    assert math.exp(-nothing.nll) == pytest.approx(1 / 12 / 10)
    failed = answer_to(scripted(ImageError("x: no picture")), b"", 5)
    assert failed == Answer(None, False, False, 0.0, False, failed.nll, "x: no picture")
    assert math.exp(failed.nll) == pytest.approx(120)


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
    assert (found.pictures, found.accuracy, found.accepted, found.in_candidates) == (4, 0.75, 0.75, 0.75)
    assert (found.accuracy_accepted, found.nll) == pytest.approx((2 / 3, 1.25))
    assert measure.number_result("set", [answered(True, False, 0.9)]).accuracy_accepted is None


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 1 / 15, 0.2]), st.booleans()), min_size=1))
def test_the_calibration_error_is_that_of_every_other_evaluation(given: list[tuple[float, bool]]) -> None:
    answers = [answered(right, True, sure) for sure, right in given]
    confidence, right = (np.array(values) for values in zip(*given, strict=True))
    assert measure.number_result("set", answers).ece == pytest.approx(metrics.calibration_error(confidence, right))


# The suite of numbers.


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """A suite of few strings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "STRINGS", {1: 3, 2: 3, 5: 2})
        patch.setattr(measure, "COUNTS", dict.fromkeys(NO_NUMBERS, 2))
        yield


@pytest.fixture(scope="module")
def measured(small: None) -> tuple[NumberSuite, Scripted]:
    """The suite as a reader answers it that reads every other number right, and accepts those."""

    def answers() -> Iterator[NumberReading]:
        yield from (read_as((text, 0.75)) for text in strings("development", 1, "spaced", 3).texts)
        for length, count in ((2, 3), (5, 2)):
            for spacing in SPACINGS:
                for place, text in enumerate(strings("development", length, spacing, count).texts):
                    yield read_as(("9" + text if place % 2 else text, 0.75), accepted=place % 2 == 0)
        yield from (read_as(("7", 0.5), accepted=place == 0) for place in range(8))

    script = Scripted(list(answers()))
    return measure.numbers(cast("Numbers", script), "development", "both"), script


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
    assert [(one.name, one.pictures, one.accepted) for one in found.no_numbers] == [
        ("words", 2, 0.5), ("scribbles", 2, 0.0), ("struck-out numbers", 2, 0.0), ("blank", 2, 0.0)
    ]  # fmt: skip
    assert measure.no_number_result(scripted(ImageError("x")), "words", [b"", b""], "ours").accepted == 0


def test_the_table_and_the_json_hold_the_same_figures(measured: tuple[NumberSuite, Scripted]) -> None:
    table, values = measured[0].table(), as_json(measured[0])
    for one in values["strings"]:
        line = next(line for line in table.splitlines() if line.startswith(f"{one['name']}  "))
        shares = [one[key] for key in ("accuracy", "accepted", "accuracy_accepted", "in_candidates")]
        cells = [str(one["pictures"]), *(f"{100 * share:.2f}" for share in shares), f"{one['nll']:.3f}"]
        assert line.removeprefix(one["name"]).split() == [*cells, f"{100 * one['ece']:.2f}"]
    assert "words                                2     50.00" in table
    assert max(map(len, table.splitlines())) <= 120


def test_a_count_limits_every_set_and_an_unknown_half_or_engine_is_an_error(small: None) -> None:
    found = measure.numbers(scripted(read_as(("7", 0.5))), "reported", count=1)
    assert [one.pictures for one in found.strings[:7]] == [1] * 7
    assert [one.pictures for one in found.no_numbers] == [1] * 4
    with pytest.raises(ConfigError, match=r"^half 'test': unknown"):
        measure.numbers(Numbers(), "test")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^engine 'none': expected ours, ocr or both"):
        measure.numbers(Numbers(), engine="none")  # type: ignore[arg-type]


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
        assert measure.value_written(text, decimal) == value
        return
    with pytest.raises(DataError, match=r"^text '.*': expected a number in digits, such as 1,480: mend it$"):
        measure.value_written(text)


LABELS = """path,text,note
a.png,"1,480",x
b.png,7
,5
c.png,twelve
d.png
"e.png,3
f.png,30
"""


def test_bad_rows_are_errors_of_their_own_and_the_others_are_read_and_those_misread_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(LABELS)
    rows = measure.labels_of(tmp_path / "labels.csv")
    assert [(row.path, row.value) for row in rows] == [
        ("a.png", 1480), ("b.png", 7), ("", None), ("c.png", None), ("d.png", None), ("", None), ("f.png", 30)
    ]  # fmt: skip
    bad = [
        "line 4: no path of a picture, expected a name such as 0001.png",
        "line 5: text 'twelve': expected a number in digits, such as 1,480: mend it",
        "line 6: text '': expected a number in digits, such as 1,480: mend it",
        "line 7: a quote opens that is not closed, expected a path and a number: close it",
    ]
    assert [row.error for row in rows if row.error] == bad
    unsure = read_as(("1", 0.6), ("7", 0.4), accepted=False, reason="unsure")
    script = scripted(read_as(("1480", 0.9)), unsure, ImageError("f: none"))
    found = measure.labelled(script, tmp_path, tmp_path / "labels.csv")
    assert found.result is not None
    assert found.result.pictures == 3
    assert found.result.accuracy == pytest.approx(1 / 3)
    assert found.table().splitlines()[2:] == [
        "b.png: 7 read as 1 (unsure)", "f.png: 30 read as nothing (f: none)", *(f"left out: {one}" for one in bad)
    ]  # fmt: skip
    assert as_json(found)["errors"][0] == {
        "path": "b.png", "text": "7", "said": "1", "accepted": False, "reason": "unsure"
    }  # fmt: skip


def test_without_a_good_row_there_are_no_figures(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,text\na.png,none\n")
    found = measure.labelled(scripted(), tmp_path, tmp_path / "labels.csv")
    assert found.result is None
    assert found.table() == f"left out: {found.bad_rows[0]}"


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
        measure.labels_of(file)
    assert str(caught.value) == f"--labels {file}: {message}"
    with pytest.raises(DataError, match=r": is no file, expected a CSV with the columns path and text"):
        measure.labels_of(tmp_path)


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
    status, out, err = evaluate(*words, "--ink", "dark", "--read-with", "ours")
    assert (status, err) == (0, "")
    assert out.split()[:3] == ["numbers", "pictures", "right"]
    figures = json.loads(evaluate(*words, "--ink", "dark", "--json")[1])
    assert figures["result"]["pictures"] == 8
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
    (mine / "labels.csv").write_text("path,text\n8.png,eight\nmissing.png,5\n")
    status, out, err = evaluate("--folder", mine, "--labels", mine / "labels.csv")
    assert (status, err) == (1, "")
    assert out.splitlines()[-2:] == [
        f"missing.png: 5 read as nothing ({mine / 'missing.png'}: does not exist, expected a picture: check the name)",
        "left out: line 2: text 'eight': expected a number in digits, such as 1,480: mend it",
    ]


def test_the_suite_is_measured_on_the_command_line(evaluate: Run, small: None) -> None:
    status, out, _ = evaluate("--suite", "numbers", "--half", "development")
    assert status == 0
    assert out.startswith("numbers, development half, read with ours\n\nMNIST's test digits ")
    assert all(name in out for name in NO_NUMBERS)

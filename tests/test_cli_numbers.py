"""Numbers of any length on the command line: what is printed, what is refused, and the picture of where they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageColor

from drawings import line_of
from sumnist.cli import main
from sumnist.cli.options import bounds_of
from sumnist.cli.words import number_described
from sumnist.errors import ConfigError
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NUMBER_ADVICE, NumberReading
from sumnist.inference.reader import Reader
from sumnist.pictures import decode
from sumnist.pictures.decode import intensities_of
from sumnist.pictures.marks import WIDTH, marked
from sumnist.pictures.steps import GAP, as_png

HOW_MANY = "expected how many there are, such as 4, the least and the most, such as 1-6, or 3- for 3 or more"


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run `sumnist predict --numbers` in this process."""

    def run(*words: object) -> Result:
        status = main(["predict", "--numbers", *(str(word) for word in words)])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture
def amount(tmp_path: Path) -> Path:
    path = tmp_path / "amount.png"
    Image.fromarray(line_of("1480")).save(path)
    return path


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    path = tmp_path / "blank.png"
    Image.new("L", (200, 60), 255).save(path)
    return path


def reading(candidates: dict[str, tuple[int | Decimal, float]], **changes: Any) -> NumberReading:
    """A reading with these texts, values and probabilities, the best one first."""
    found = tuple(Candidate(text, value, share) for text, (value, share) in candidates.items())
    given: dict[str, Any] = {"accepted": True, "reason": None, "is_number_probability": 1.0} | changes
    other = 1 - sum(one.probability for one in found)
    first = found[0] if found else Candidate("", 0, 0.0)
    return NumberReading(first.text, first.value if found else None, first.probability, found, other, **given)


# What is printed.


def test_the_value_is_printed_and_the_sum_where_there_is_a_number(
    predict: Callable[..., Result], reader: Reader, amount: Path
) -> None:
    read = reader.read_number(amount)
    alone, added = predict(amount), predict(amount, "-n", 7)
    assert (alone.status, alone.err, added.status, added.err) == (0, "", 0, "")
    assert alone.out == number_described(str(amount), read) + "\n"
    assert added.out == number_described(str(amount), read, 7) + "\n"
    assert read.value is not None
    assert added.out.splitlines()[-1].split()[:2] == ["sum", str(read.value + 7)]
    assert read.value == 1480


def test_the_flags_reach_the_reader(predict: Callable[..., Result], reader: Reader, amount: Path) -> None:
    said = json.loads(predict(amount, "--digits", "2-3", "--decimal", ",", "--ink", "light", "--json").out)
    assert said == {"picture": str(amount), **reader.read_number(amount, "ours", (2, 3), ",", "light").as_dict()}
    assert {len(one["text"].replace(",", "").strip(".-")) for one in said["candidates"]} <= {2, 3}
    assert isinstance(said["value"], str)
    assert predict(amount, "--digits=4").out == predict(amount, "--digits", "4-4").out


def test_the_reading_is_told_with_what_is_written_and_the_next_values() -> None:
    read = reading({"1,480": (1480, 0.9), "1,430": (1430, 0.06), "7,480": (7480, 0.03), "480": (480, 0.01)})
    assert number_described("a.png", read) == (
        "a.png\n  number 1480   90.00%  then 1430 6.00%, 7480 3.00%  (written 1,480)"
    )
    assert number_described("a.png", read, 99_000) == (
        "a.png\n"
        "  number   1480   90.00%  then 1430 6.00%, 7480 3.00%  (written 1,480)\n"
        "  sum    100480   90.00%  then 100430 6.00%, 106480 3.00%  (1480 + 99000)"
    )


@pytest.mark.parametrize("reason", sorted(set(NUMBER_ADVICE) - {"blank"}))
def test_a_reading_that_is_not_accepted_is_told_with_the_reason_and_what_helps(reason: str) -> None:
    read = reading({"31": (31, 0.6)}, accepted=False, reason=reason, how="light ink, line 2")
    assert number_described("a.png", read) == (
        f"a.png (light ink, line 2): not accepted, {reason}: {NUMBER_ADVICE[reason]}\n  number 31   60.00%"
    )


def test_a_bad_picture_among_several_costs_its_own_reading_alone(
    predict: Callable[..., Result], amount: Path, tmp_path: Path
) -> None:
    result = predict(amount, tmp_path / "none.png", amount, "--json")
    assert result.status == 1
    assert [json.loads(line)["value"] for line in result.out.splitlines()] == [1480, 1480]
    message = f"sumnist: {tmp_path / 'none.png'}: does not exist, expected a picture: check the name\n"
    assert result.err == message
    assert predict(tmp_path / "none.png") == (1, "", message)


# What is refused.


@pytest.mark.parametrize(
    ("word", "bounds"),
    [("4", (4, 4)), ("1-6", (1, 6)), ("3-", (3, None)), ("12-12", (12, 12)), ("007", (7, 7)), ("1-99999", (1, 99_999))],
)  # fmt: skip
def test_the_number_of_digits_is_one_number_or_two_or_open(word: str, bounds: tuple[int, int | None]) -> None:
    assert bounds_of(word) == bounds


@pytest.mark.parametrize(
    "word", ["", "0", "0-3", "6-1", "-3", "-", "1-2-3", "x", "1.5", "1–6", " 4", "4\n", "²", "٣", "1234567", "9" * 5000]
)  # fmt: skip
def test_no_number_of_digits_is_refused_with_what_is_expected(word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bounds_of(word)
    assert str(caught.value) == f"--digits {word}: {HOW_MANY}"


def test_what_makes_no_sense_is_refused_in_one_line(
    predict: Callable[..., Result], amount: Path, small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        (["--digits", "6-1"], f"--digits 6-1: {HOW_MANY}"),
        (["--digits", "-3"], f"--digits -3: {HOW_MANY}"),
        (["--number", "x"], "number 'x': expected a whole number, such as 7"),
        (["--number", "9" * 4300], "a number of more than 600 digits, expected fewer: no sum of it can be written"),
        (["--model", str(small_run)], f"--model {small_run}: a run that is not exported, expected an ONNX file for "
         f"--numbers: run `sumnist export {small_run}` first"),
        (["--model", "a.onnx", "--read-with", "ocr"], "--model a.onnx --read-with ocr: the general reader has a "
         "network of its own: leave --model out, or give --read-with ours or both"),
    ]  # fmt: skip
    for words, message in cases:
        assert predict(amount, *words) == (2, "", f"sumnist: {message}\n")
    for words in (["--decimal", ";"], ["--read-with", "theirs"]):
        status, out, err = predict(amount, *words)
        assert (status, out) == (2, "")
        assert err.startswith(f"sumnist: predict: {words[0]}: invalid choice: '{words[1]}' (choose from ")
    for flag, value in (("--digits", "4"), ("--decimal", ","), ("--read-with", "both")):
        assert main(["predict", str(amount), "-n", "7", flag, value]) == 2
        message = f"sumnist: {flag} {value}: is of numbers; add --numbers, or leave {flag} out\n"
        assert capsys.readouterr() == ("", message)


def test_a_number_too_long_to_be_added_to_a_digit_is_refused_too(amount: Path, capsys: Any) -> None:
    assert main(["predict", str(amount), "-n", "9" * 4300]) == 2
    message = "a number of more than 600 digits, expected fewer: no sum of it can be written"
    assert capsys.readouterr().err == f"sumnist: {message}\n"


# The picture of it.


def colour(name: str) -> tuple[int, ...]:
    return ImageColor.getrgb(name)


def where(drawing: Image.Image, name: str) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the pixels of one colour."""
    found = (np.asarray(drawing) == colour(name)).all(2)
    rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (3, 300), (5000, 3), (8, 8)])
def test_pictures_of_any_shape_are_drawn(
    shape: tuple[int, int], predict: Callable[..., Result], tmp_path: Path
) -> None:
    for place, picture in enumerate((np.random.default_rng(0).random(shape), np.eye(*shape))):
        Image.fromarray((picture * 255).astype(np.uint8)).save(tmp_path / f"{place}.png")
    out = tmp_path / "line.png"
    assert predict(tmp_path / "0.png", tmp_path / "1.png", "--show", out).status == 0
    with Image.open(out) as drawing:
        assert (drawing.mode, drawing.width) == ("RGB", WIDTH + 2 * GAP)


def test_the_command_writes_the_drawings_below_each_other_and_decodes_every_picture_once(
    predict: Callable[..., Result], reader: Reader, amount: Path, blank: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plain, read = predict(amount, blank), reader.read_number(amount)
    calls: list[str] = []

    def counted(*given: Any) -> Any:
        calls.append("decoded")
        return decoded(*given)

    decoded = decode.decoded
    with monkeypatch.context() as patch:
        patch.setattr(decode, "decoded", counted)
        shown = predict(amount, blank, "--show", tmp_path / "line.png")
    assert shown == plain
    assert calls == ["decoded"] * 2
    lines = number_described("", read).splitlines()[1:]
    assert read.image is not None
    drawings = [
        marked(intensities_of(amount), read.box, read.image, list(zip(read.text, read.places, strict=True)), lines),
        marked(intensities_of(blank), None, None, [], ["not accepted, blank"]),
    ]
    assert (tmp_path / "line.png").read_bytes() == as_png(drawings)
    with Image.open(BytesIO(as_png(drawings))) as sheet:
        assert sheet.size == (drawings[0].width, drawings[0].height + drawings[1].height)

"""Numbers of any length on the command line: what is printed, what is refused, and the picture of where they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from drawings import line_of
from sumnist.cli import main
from sumnist.cli.words import number_described
from sumnist.inference.reader import Reader
from sumnist.pictures import decode
from sumnist.pictures.decode import intensities_of
from sumnist.pictures.marks import marked
from sumnist.pictures.steps import as_png

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


def test_what_makes_no_sense_is_refused_in_one_line(
    predict: Callable[..., Result], amount: Path, small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        (["--digits", "6-1"], f"--digits 6-1: {HOW_MANY}"),
        *((["--digits", word], f"--digits {word}: {HOW_MANY}") for word in ("-3", "0", "1-2-3", "1.5", "٣", "1234567")),
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


# The picture of it.


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

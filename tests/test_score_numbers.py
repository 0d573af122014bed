"""Numbers of any length into a table: the rows, what they depend on, and what a spreadsheet makes of them."""

from __future__ import annotations

import csv
import json
import os
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from drawings import line_of
from sumnist.arithmetic.values import Values
from sumnist.batch.score import NEXT, NumberOptions, NumberTask, Scored, number_values, score
from sumnist.batch.table import Output, cell, csv_line, json_line
from sumnist.cli import main
from sumnist.config import InkColour
from sumnist.errors import ConfigError, DataError, RunError, ScoreError
from sumnist.files import NUMBERS, PRETRAINED
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.inference.recognizers import StripRecognizer

TEXTS = ["1480", "37", "5", "66157", "2024", "123456", "88", "90210"]
COLUMNS = ["row", "path", "number", "text", "value", "sum", "confidence", "accepted", "reason", "is_number_probability",
           "other", "next", "error"]  # fmt: skip
FLAT = [f"{name}_{place}" for place in (2, 3, 4) for name in ("value", "probability")]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture for each of `TEXTS`, a blank one, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("lines")
    for text in TEXTS:
        Image.fromarray(line_of(text)).save(folder / f"{text}.png")
    Image.new("L", (200, 60), 255).save(folder / "blank.png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def scored(source: Path, out: Path, number: Any = None, **changes: Any) -> Scored:
    names = {"read_with": "engine", "digits": "digits", "decimal": "decimal"}
    options = {field: changes.pop(name) for name, field in names.items() if name in changes}
    given: dict[str, Any] = {"workers": 1, "progress": False} | changes
    return score(source, out, number, numbers=NumberOptions(**options), **given)


def rows_of(out: Path) -> list[dict[str, Any]]:
    if out.suffix == ".jsonl":
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    with out.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def table_in(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


# The rows.


def test_a_row_says_what_the_reader_says_and_its_probabilities_sum_to_one(lines: Path, tmp_path: Path) -> None:
    done = scored(lines, tmp_path / "out.jsonl")
    rows = rows_of(tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (len(TEXTS) + 1, 0)
    assert [row["path"] for row in rows] == sorted([*(f"{text}.png" for text in TEXTS), "blank.png"])
    for row in rows:
        assert list(row) == COLUMNS
        reading = Numbers().read_each([lines / row["path"]], count=1 + NEXT)[0]
        assert isinstance(reading, NumberReading)
        assert (row["text"], row["value"], row["accepted"], row["reason"]) == (
            reading.text, reading.value, reading.accepted, reading.reason,
        )  # fmt: skip
        for name in ("confidence", "is_number_probability", "other"):
            assert row[name] == pytest.approx(getattr(reading, name), abs=1e-6)
        assert [one["value"] for one in row["next"]] == [one.value for one in reading.candidates[1:]]
        if row["value"] is not None:
            total = row["confidence"] + sum(one["probability"] for one in row["next"]) + row["other"]
            assert total == pytest.approx(1, abs=1e-5)
        assert (row["number"], row["sum"], row["error"]) == (None, None, None)


def test_a_csv_has_the_next_values_in_columns_of_their_own(lines: Path, tmp_path: Path) -> None:
    scored(lines, tmp_path / "out.csv", 7)
    scored(lines, tmp_path / "out.jsonl", 7)
    for flat, row in zip(rows_of(tmp_path / "out.csv"), rows_of(tmp_path / "out.jsonl"), strict=True):
        place = COLUMNS.index("next")
        assert list(flat) == [*COLUMNS[:place], *FLAT, *COLUMNS[place + 1 :]]
        following = [one[name] for one in row["next"] for name in ("value", "probability")]
        expected = row | dict(zip(FLAT, following + [None] * (len(FLAT) - len(following)), strict=True))
        assert flat == {name: "" if (value := expected[name]) is None else str(value) for name in flat}


def test_the_digits_and_the_ink_that_are_given_are_those_of_every_row(lines: Path, tmp_path: Path) -> None:
    scored(lines, tmp_path / "out.jsonl", digits=(3, 3), ink="dark")
    for row in rows_of(tmp_path / "out.jsonl"):
        if row["path"] != "blank.png":
            assert len(row["text"].strip(".,-")) == 3
            reading = Numbers().read_each([lines / row["path"]], digits=3, ink="dark", count=1 + NEXT)[0]
            assert isinstance(reading, NumberReading)
            assert (row["value"], row["reason"]) == (reading.value, reading.reason)


# Numbers to add.


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_source_needs_no_number_and_where_there_is_one_there_is_a_sum(lines: Path, tmp_path: Path, name: str) -> None:
    numbers = ["7", "", "-2000000", str(10**40), "x"]
    paths = [f"{text}.png" for text in TEXTS[: len(numbers)]]
    if name == "t.csv":
        text = "".join(f"{path},{number}\n" for path, number in zip(paths, numbers, strict=True))
        table = table_in(lines, name, f"path,number\n{text}{TEXTS[0]}.png\n")
    else:
        given = ["7", "null", "-2000000", str(10**40), '"x"']
        text = "".join(f'{{"path": "{path}", "number": {number}}}\n' for path, number in zip(paths, given, strict=True))
        table = table_in(lines, name, f'{text}{{"path": "{TEXTS[0]}.png"}}\n')
    done = scored(table, tmp_path / "out.jsonl")
    rows = rows_of(tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (6, 1)
    assert [row["number"] for row in rows] == [7, None, -2_000_000, 10**40, None, None]
    for row in rows:
        assert row["sum"] == (None if row["number"] is None else row["value"] + row["number"])
    assert rows[4]["error"] == "number 'x': expected a whole number, such as 7"
    scored(table, tmp_path / "all.jsonl", 5)
    assert all(row["sum"] == row["value"] + 5 for row in rows_of(tmp_path / "all.jsonl"))


def test_a_csv_of_paths_alone_and_idx_files_are_read_without_a_number(
    lines: Path, tmp_path: Path, idx_folder: Path
) -> None:
    table = table_in(lines, "paths.csv", f"remark,path\nfirst,{TEXTS[0]}.png\nsecond,none.png\n")
    assert scored(table, tmp_path / "out.jsonl").failed == 1
    rows = rows_of(tmp_path / "out.jsonl")
    assert rows[1]["error"].endswith("none.png: does not exist, expected a picture: check the name")
    assert [name for name, value in rows[1].items() if value is not None] == ["row", "path", "error"]
    short = tmp_path / "idx"
    short.mkdir()
    content = next(idx_folder.glob("t10k-images*")).read_bytes()
    (short / "t10k-images-idx3-ubyte").write_bytes(content[:4] + (20).to_bytes(4) + content[8 : 16 + 20 * 784])
    assert scored(short, tmp_path / "idx.csv").rows == 20
    with pytest.raises(DataError) as caught:
        scored(table_in(lines, "none.csv", "file,number\n1.png,7\n"), tmp_path / "none.csv")
    assert str(caught.value).endswith("its first line has the columns file, number, expected path: add path")


LONG = "12345678901234567890123456789.05"


def test_sums_are_exact_to_the_last_digit() -> None:
    number = 10**40 + 1
    total = Decimal("10000000000012345678901234567890123456790.05")
    values = number_values(NumberReading(LONG, Decimal(LONG), 1.0, (), 0.0, True, None, 1.0), number)
    assert values["sum"] == total
    assert (Values({Decimal(LONG): 1.0}, 0.0) + number).mode == total
    assert json.loads(json_line(values))["sum"] == str(total)
    assert next(csv.DictReader(["sum\n", csv_line({"sum": values["sum"]})]))["sum"] == str(total)


# Spreadsheets.


@pytest.mark.parametrize("name", ["=1+1.png", "@SUM(1).png", "\rx.png"])
def test_the_name_of_a_file_that_a_spreadsheet_takes_for_a_formula_is_none_in_a_csv_and_still_leads_there(
    lines: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(lines / "37.png", folder / name)
    (folder / f"{name}.jpg").write_text("no picture")
    for numbers in (None, NumberOptions()):
        out = tmp_path / f"{numbers is None}.csv"
        score(folder, out, 1, workers=1, progress=False, numbers=numbers)
        score(folder, out.with_suffix(".jsonl"), 1, workers=1, progress=False, numbers=numbers)
        (row, bad), lossless = rows_of(out), rows_of(out.with_suffix(".jsonl"))
        assert row["path"] == f"./{name}"
        assert (folder / row["path"]).read_bytes() == (lines / "37.png").read_bytes()
        assert [one["path"] for one in lossless] == [name, f"{name}.jpg"]
        assert not any(text.startswith(tuple("=+-@\t\r")) for text in (*row.values(), *bad.values()))


def test_a_text_that_begins_with_a_dash_is_no_formula_and_a_negative_sum_stays_a_number() -> None:
    reading = NumberReading("-12-34", 1234, 1.0, (), 0.0, True, None, 1.0)
    values = number_values(reading, -2000)
    (row,) = csv.DictReader(["text,sum\n", csv_line({"text": values["text"], "sum": values["sum"]})])
    assert row == {"text": "'-12-34", "sum": "-766"}
    assert json.loads(json_line(values))["text"] == "-12-34"
    assert cell("sum", Decimal("-0.50")) == "-0.50"


# Going on.


def stopped(monkeypatch: pytest.MonkeyPatch, source: Path, out: Path, **changes: Any) -> None:
    """Score until the note says that there are rows."""

    def save_and_stop(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        self.save()
        raise KeyboardInterrupt

    add = Output.add
    with monkeypatch.context() as patch:
        patch.setattr(Output, "add", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            scored(source, out, **changes)


@pytest.mark.parametrize("suffix", ["jsonl"])
def test_a_scoring_that_was_stopped_goes_on_to_the_same_table(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(NumberTask, "chunk", 2)
    alone, out = tmp_path / f"alone.{suffix}", tmp_path / f"out.{suffix}"
    whole = scored(lines, alone, digits=(1, 5), decimal=",")
    stopped(monkeypatch, lines, out, digits=(1, 5), decimal=",")
    done = scored(lines, out, digits=(1, 5), decimal=",")
    assert (done.rows, done.read_now) == (whole.rows, whole.rows - 2)
    assert out.read_bytes() == alone.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [alone.name, out.name]


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"digits": 4}, "--digits"), ({"decimal": "."}, "--decimal"), ({"read_with": "both"}, "--read-with"),
     ({"ink": "dark"}, "ink"), ({"number": 7}, "number")],
)  # fmt: skip
def test_another_way_of_reading_does_not_go_on_with_a_table(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], name: str
) -> None:
    monkeypatch.setattr(Numbers, "recognizer", lambda self, name: StripRecognizer(NUMBERS))
    out = tmp_path / "out.csv"
    stopped(monkeypatch, lines, out)
    with pytest.raises(ScoreError) as caught:
        scored(lines, out, **changes)
    assert str(caught.value) == (
        f"--out {out}: holds part of a scoring with another {name}: give the same {name} to go on with it, name "
        "another file, or add --overwrite"
    )


# The network.


def test_what_is_no_network_of_strips_is_refused_with_the_mend(
    lines: Path, tmp_path: Path, small_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, digits = tmp_path / "out.csv", PRETRAINED / "model.onnx"
    cases: list[tuple[type[Exception], dict[str, Any], str]] = [
        (ConfigError, {"model": small_run}, f"--model {small_run}: a run that is not exported, expected an ONNX file "
         f"for --numbers: run `sumnist export {small_run}` first"),
        (ConfigError, {"model": digits, "read_with": "ocr"}, f"--model {digits} --read-with ocr: the general reader "
         "has a network of its own: leave --model out, or give --read-with ours or both"),
        (RunError, {"model": digits}, f"{digits}: an ONNX file of another network: inputs image, number, outputs "
         "digit, sum, is_digit, expected one that `sumnist export` wrote of a run of --task numbers: name that, "),
        (RunError, {"model": tmp_path / "none.onnx"}, f"{tmp_path / 'none.onnx'}: cannot be read "),
        (ConfigError, {"digits": (3, 1)}, "digits (3, 1): expected how many there are"),
        (ConfigError, {"decimal": ";"}, "decimal ';': expected the sign before decimals"),
        (ConfigError, {"read_with": "theirs"}, "engine 'theirs': expected ours, ocr or both"),
    ]  # fmt: skip
    for kind, changes, message in cases:
        with pytest.raises(kind) as caught:
            scored(lines, out, **changes)
        assert str(caught.value).startswith(message)
    monkeypatch.setattr("sumnist.batch.score.NUMBERS", tmp_path / "gone.onnx")
    with pytest.raises(RunError, match=r"gone\.onnx: cannot be read \(no such file or directory\)"):
        scored(lines, out)
    assert list(tmp_path.iterdir()) == []


# The command.


@pytest.mark.parametrize("ink", ["auto", "dark"])
def test_the_command_gives_its_flags_to_every_row(lines: Path, tmp_path: Path, capsys: Any, ink: InkColour) -> None:
    words = ["score", "--numbers", str(lines), "--digits", "2-5", "--decimal", ",", "--ink", ink, "--workers", "1"]
    assert main([*words, "--out", str(tmp_path / "command.csv")]) == 0
    assert f"{len(TEXTS) + 1} rows, 0 failed" in capsys.readouterr().out
    scored(lines, tmp_path / "call.csv", digits=(2, 5), decimal=",", ink=ink)
    assert (tmp_path / "command.csv").read_bytes() == (tmp_path / "call.csv").read_bytes()


def test_flags_of_numbers_without_numbers_are_refused_before_anything_is_written(
    lines: Path, tmp_path: Path, capsys: Any
) -> None:
    for flag, value in (("--digits", "4"), ("--decimal", "."), ("--read-with", "ocr")):
        assert main(["score", str(lines), "-n", "7", "--out", str(tmp_path / "out.csv"), flag, value]) == 2
        message = f"sumnist: {flag} {value}: is of numbers; add --numbers, or leave {flag} out\n"
        assert capsys.readouterr().err == message
    assert os.listdir(tmp_path) == []

"""Many pictures into a table: nothing lost, nothing doubled, whatever happens on the way; and what the rows say."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import write_idx
from drawings import line_of
from faults import Lengths
from sumnist.arithmetic.values import Values
from sumnist.batch import score as scoring
from sumnist.batch.score import (
    NEXT,
    NumberOptions,
    Output,
    Scored,
    number_values,
    score,
    tabulate,
)
from sumnist.batch.sources import Row, Source
from sumnist.cli import main
from sumnist.data.mnist import FILES, load_mnist
from sumnist.errors import ConfigError, DataError, MissingExtraError, NumberError, OutputError, RunError, ScoreError
from sumnist.files import PRETRAINED
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.inference.reader import Reader
from sumnist.pictures.normalize import picture_of

Sources = dict[str, Path]
COUNT = 6
TEXTS = ["1480", "37", "5", "66157", "2024"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """The same images of MNIST as a source of each kind; pictures of numbers; and files that are no pictures. Not to be
    changed."""
    folder = tmp_path_factory.mktemp("sources")
    images = load_mnist("test").images[:COUNT]
    for name in ("pictures/more", "idx", "lines"):
        (folder / name).mkdir(parents=True)
    for place, name in enumerate(names()):
        picture_of(images[place], 1).save(folder / "pictures" / name)
    for key, part in (("x_train", images[:4]), ("x_test", images[4:])):
        write_idx(folder / "idx" / FILES[key], part)
    for text in TEXTS:
        Image.fromarray(line_of(text)).save(folder / "lines" / f"{text}.png")
    Image.new("L", (200, 60), 255).save(folder / "lines/blank.png")
    (folder / "pictures/notes.txt").write_text("not a picture")
    rows = [(f"pictures/{name}", 50 * place - 9) for place, name in enumerate(names())]
    (folder / "t.csv").write_text("number,path\n" + "".join(f"{number},{path}\n" for path, number in rows))
    (folder / "t.jsonl").write_text(
        "".join(json.dumps({"path": path, "number": number}) + "\n" for path, number in rows)
    )
    return {"folder": folder / "pictures", "idx": folder / "idx", "lines": folder / "lines",
            "csv": folder / "t.csv", "jsonl": folder / "t.jsonl"}  # fmt: skip


def names() -> list[str]:
    return [f"{place:02}.png" for place in range(COUNT - 1)] + [os.path.join("more", f"{COUNT - 1:02}.png")]


@pytest.fixture
def mine(sources: Sources, tmp_path: Path) -> Path:
    """A folder of pictures that may be changed, and in it a table of some of them."""
    shutil.copytree(sources["folder"], tmp_path / "mine", ignore=lambda *_: ["more"])
    (tmp_path / "mine/t.csv").write_text("path\n00.png\n01.png\n02.png\n")
    return tmp_path / "mine"


def scored(source: Path, out: Path, number: Any = 7, **changes: Any) -> Scored:
    return score(source, out, number, **{"workers": 1, "progress": False} | changes)


def rows_of(out: Path) -> list[dict[str, Any]]:
    if out.suffix == ".jsonl":
        return [json.loads(line, parse_constant=pytest.fail) for line in out.read_text("utf-8").split("\n")[:-1]]
    with out.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def partial_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.partial")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What the rows say.


@pytest.mark.parametrize("out", ["out.csv", "out.jsonl"])
@pytest.mark.parametrize("kind", ["folder", "idx", "csv", "jsonl"])
def test_every_source_becomes_a_row_for_each_picture(
    sources: Sources, tmp_path: Path, reader: Reader, kind: str, out: str
) -> None:
    paths = [f"pictures/{name}" for name in names()] if kind in ("csv", "jsonl") else names()
    numbers = [50 * place - 9 for place in range(COUNT)] if kind in ("csv", "jsonl") else [7] * COUNT
    pictures: list[Any] = [sources["folder"] / name for name in names()]
    if kind == "idx":
        pictures = list(load_mnist("test").images[:COUNT])
        places = [("x_train", 0), ("x_train", 1), ("x_train", 2), ("x_train", 3), ("x_test", 0), ("x_test", 1)]
        paths = [f"{FILES[key]}[{place}]" for key, place in places]
    workers = 1 + (kind == "csv")
    done = scored(sources[kind], tmp_path / out, None if kind in ("csv", "jsonl") else 7, workers=workers)
    assert (done.rows, done.failed, done.read_now) == (COUNT, 0, COUNT)
    assert left_in(tmp_path) == [out]
    found = rows_of(tmp_path / out)
    for place, (row, path, number, picture) in enumerate(zip(found, paths, numbers, pictures, strict=True)):
        reading = reader.read(picture, number)
        assert float(row.pop("confidence")) == pytest.approx(reading.confidence, abs=1e-5)
        expected = {"row": place, "path": path, "number": number, "digit": reading.digit, "sum": reading.digit + number,
                    "accepted": reading.accepted, "reason": reading.reason, "error": None}  # fmt: skip
        as_text = {name: "" if value is None else str(value) for name, value in expected.items()}
        assert (row, list(row)) == (as_text if out.endswith("csv") else expected, list(expected))


def test_a_run_scores_and_its_weights_are_told_apart(small_run: Path, sources: Sources, tmp_path: Path) -> None:
    assert scored(sources["folder"], tmp_path / "out.jsonl", model=small_run, workers=2).failed == 0
    found = Reader(small_run).read([sources["folder"] / name for name in names()])
    assert [row["digit"] for row in rows_of(tmp_path / "out.jsonl")] == [reading.digit for reading in found]
    changed = shutil.copytree(small_run, tmp_path / "changed")
    for name in ("config.json", "model.safetensors"):
        assert scoring.fingerprint(changed) == scoring.fingerprint(small_run)
        before = (changed / name).read_bytes()
        (changed / name).write_bytes(before + b"\n")
        assert scoring.fingerprint(changed) != scoring.fingerprint(small_run)
        (changed / name).write_bytes(before)


@pytest.mark.parametrize(("suffix", "workers"), [("csv", 1), ("jsonl", 2)])
def test_whatever_a_row_holds_it_is_a_row(mine: Path, tmp_path: Path, suffix: str, workers: int) -> None:
    os.mkfifo(mine / "pipe.png")
    (mine / "folder.png").mkdir()
    shutil.copy(mine / "00.png", mine / "re\rturn.png")
    fine = '{"path": "00.png", "number": 1}'
    paths = [r"\ud800.png", r"a\u0000b.png", "none.png", "notes.txt", "pipe.png", "folder.png", "/dev/zero", "",
             "x" * 5000, "y/" * 100_000]  # fmt: skip
    numbers = ["1e999", "NaN", "1.5", "true", "null", '"7"', "[" * 900 + "]" * 900, '{"a": [1]}', "9" * 4300]
    broken = [f'{{"path": "{path}", "number": 1}}' for path in paths] + ["half a li"]
    broken += [f'{{"path": "00.png", "number": {number}}}' for number in numbers]
    lines = [fine, *broken, r'{"path": "re\rturn.png", "number": 2}', fine]
    (mine / "t.jsonl").write_text("\n".join(lines) + "\n")
    out = tmp_path / f"out.{suffix}"
    done = scored(mine / "t.jsonl", out, None, workers=workers)
    rows = rows_of(out)
    assert (done.rows, done.failed) == (len(lines), len(broken))
    assert [bool(row["error"]) for row in rows] == [False, *(True for _ in broken), False, False]
    assert [int(row["row"]) for row in rows] == list(range(len(lines)))
    assert rows[3]["error"] == f"{mine / 'none.png'}: does not exist, expected a picture: check the name"
    assert rows[-2]["path"] == "re\rturn.png"


class Hungry(Reader):
    """A reader without the memory for one picture."""

    def read_each(self, pictures: Any, numbers: Any = 0, ink: Any = "auto") -> Any:
        if any("03.png" in str(picture) for picture in pictures):
            raise MemoryError
        return super().read_each(pictures, numbers, ink)


def test_a_picture_without_memory_costs_its_own_row_alone(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.batch.score.Reader", Hungry)
    done = scored(sources["folder"], tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (COUNT, 1)
    assert rows_of(tmp_path / "out.jsonl")[3]["error"] == "03.png: cannot be read (MemoryError)"


# A scoring that was stopped goes on; another one does not.


def lengths(out: Path, job: str = "x", then: Callable[[], object] | None = None) -> Scored:
    rows = (Row(text, None, text) for text in ("one", "two", "three", "b", "four", "five", "six"))
    return tabulate(Source(rows, 7, [], {}), out, Lengths(), {"source": job}, workers=1, progress=False, then=then)


def disturbed(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[], object], at: int, do: Callable[[Output], object]
) -> Any:
    """The error of a scoring in which something is done after the chunk number `at`."""
    add, chunks = Output.add, list[int]()

    def add_and_do(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        chunks.append(1)
        if len(chunks) == at:
            do(self)

    with monkeypatch.context() as patch:
        patch.setattr(Output, "add", add_and_do)
        with pytest.raises((KeyboardInterrupt, ScoreError, OutputError)) as caught:
            run()
    return caught.value


def stop(_: Output) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("torn", [b"", b'{"row": 64, "te'])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_stopped_scoring_goes_on_to_the_same_table(
    tmp_path: Path, suffix: str, torn: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, stopped = tmp_path / f"alone.{suffix}", tmp_path / f"stopped.{suffix}"
    assert (undisturbed := lengths(alone)).failed == 1
    for chunk in (1, 2, 3, 4):
        disturbed(monkeypatch, lambda: lengths(stopped), chunk, stop)
        assert not stopped.exists()
        with partial_of(stopped).open("ab") as stream:
            stream.write(torn)  # what a kill leaves of a write
        done = lengths(stopped)
        assert (done.rows, done.failed, done.read_now) == (7, undisturbed.failed, max(0, 7 - 2 * chunk))
        assert stopped.read_bytes() == alone.read_bytes()
        assert left_in(tmp_path) == sorted([alone.name, stopped.name])
        stopped.unlink()


CHANGES: list[tuple[str, Callable[[Path], object], dict[str, Any], str]] = [
    ("t.csv", Path.exists, {"number": 8}, "number"),
    ("t.csv", Path.exists, {"ink": "dark"}, "ink"),
    ("t.csv", Path.exists, {"model": PRETRAINED / "learned.onnx"}, "model"),
    ("t.csv", Path.exists, {"numbers": NumberOptions()}, "task"),
    ("t.csv", lambda folder: (folder / "t.csv").write_text("path\n04.png\n"), {}, "content of the source"),
    (".", lambda folder: (folder / "01.png").rename(folder / "011.png"), {}, "state of the pictures"),
    (".", lambda folder: shutil.copy(folder / "02.png", folder / "01.png"), {}, "state of the pictures"),
]


@pytest.mark.parametrize(("name", "change", "changes", "what"), CHANGES)
def test_another_job_does_not_go_on_with_a_table(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Path], object],
    changes: dict[str, Any], what: str,
) -> None:  # fmt: skip
    out = tmp_path / "out.csv"
    disturbed(monkeypatch, lambda: scored(mine / name, out), 1, stop)
    change(mine)
    with pytest.raises(ScoreError, match=f"^--out {out}: holds part of a scoring with another {what}: .*--overwrite$"):
        scored(mine / name, out, **changes)
    scored(mine / name, out, overwrite=True, **changes)
    scored(mine / name, tmp_path / "alone.csv", **changes)
    assert out.read_bytes() == (tmp_path / "alone.csv").read_bytes()


HEAD = b'{"job": {"a": 1}}\n{"row": 0, "rows": 1, "failed": 0, "text": "x"}\n'


@pytest.mark.parametrize(
    "found",
    [b"\0\0\n\0\n", b"[1]\n[2]\n", b'{"job": 3}\n{}\n', HEAD.replace(b": 0", b": 1", 1), HEAD.replace(b'"x"', b"7"),
     HEAD + b'{"row": 1, "rows": "x", "failed": 0, "text": ""}\n', HEAD * 2],
)  # fmt: skip
def test_what_does_not_hold_rows_is_refused(tmp_path: Path, found: bytes) -> None:
    out = tmp_path / "out.csv"
    partial_of(out).write_bytes(found)
    with pytest.raises(ScoreError, match=r"does not hold the rows of a scoring: add --overwrite to begin anew$"):
        lengths(out)
    assert partial_of(out).read_bytes() == found


def test_no_rows_are_replaced_if_asked_or_if_none_are_lost(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    partial_of(out).write_bytes(HEAD * 2)
    assert scored(mine / "t.csv", out, overwrite=True).rows == 3
    partial_of(tmp_path / "other.csv").write_bytes(b'{"job": {"source": "another"}}\n')
    assert lengths(tmp_path / "other.csv").rows == 7
    assert left_in(tmp_path) == ["mine", "other.csv", "out.csv"]


def test_a_table_that_was_written_already_is_finished(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(ZeroDivisionError):
        lengths(out, then=lambda: 1 // 0)
    written = out.read_bytes()
    for other in (written[:-1], written + b"x", b"x" + written):
        out.write_bytes(other)
        with pytest.raises(OutputError, match="holds something already"):
            lengths(out)
        assert out.read_bytes() == other
    out.write_bytes(written)
    assert lengths(out, then=(tmp_path / "then").touch).read_now == 0
    assert (left_in(tmp_path), out.read_bytes()) == (["out.csv", "then"], written)


def test_what_changes_while_rows_are_read_is_found(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scoring_of_mine() -> Scored:
        return scored(mine / "t.csv", tmp_path / "out.csv")

    error = disturbed(monkeypatch, scoring_of_mine, 1, lambda output: output.path.write_text("mine"))
    assert "holds something already" in str(error)
    assert (tmp_path / "out.csv").read_text() == "mine"
    (tmp_path / "out.csv").unlink()
    partial_of(tmp_path / "out.csv").unlink()
    error = disturbed(monkeypatch, scoring_of_mine, 1, lambda _: (mine / "t.csv").write_text("path\n"))
    assert str(error).endswith("changed while it was read: run the same command again, with --overwrite")
    assert not (tmp_path / "out.csv").exists()


def test_what_is_read_from_is_not_written_to(mine: Path, tmp_path: Path) -> None:
    shutil.copy(mine / "01.png", mine / "digit.csv")
    (mine / "named.csv").write_text("path\n00.png\ndigit.csv\n")
    links = {name: tmp_path / f"{name}.csv" for name in ("table", "picture", "named", "hard")}
    for name, target in (("table", "t.csv"), ("picture", "01.png"), ("named", "00.png")):
        links[name].symlink_to(mine / target)
    os.link(mine / "t.csv", links["hard"])
    before = {path: path.read_bytes() for path in mine.iterdir()}
    for source, out in (
        ("t.csv", mine / "t.csv"), ("t.csv", links["table"]), (".", links["picture"]),
        ("named.csv", mine / "digit.csv"), ("named.csv", links["named"]),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=r"is read from, as .*, expected another file: name another$"):
            scored(mine / source, out, overwrite=True)
    scored(mine / "t.csv", links["hard"], overwrite=True)  # which is a file of its own then
    assert {path: path.read_bytes() for path in mine.iterdir()} == before


def test_nothing_is_left_of_a_scoring_without_rows(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(MissingExtraError):
        scored(sources["folder"], tmp_path / "out.csv", engine="ray", overwrite=True)
    assert (left_in(tmp_path), (tmp_path / "out.csv").read_text()) == (["out.csv"], "old")


def test_two_scorings_do_not_write_the_same_table(tmp_path: Path) -> None:
    busy = pytest.raises(OutputError, match="another scoring writes it")
    with closing(Output(tmp_path / "out.csv", {}, False, Lengths())), busy:
        lengths(tmp_path / "out.csv")


DIGITS = PRETRAINED / "model.onnx"
BAD: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (ConfigError, "--out x.txt: expected a name that ends in .csv or .jsonl", {"out": "x.txt"}),
    (OutputError, "--out full.csv: holds something already", {"out": "full.csv"}),
    (OutputError, "pipe.csv: is a device or a pipe", {"out": "pipe.csv"}),
    (ConfigError, "--workers -1: expected", {"workers": -1}),
    (ConfigError, "ink 'red': expected auto, dark or light", {"ink": "red"}),
    (ConfigError, "--model RUN: a run that is not exported", {"model": "RUN", "engine": "ray"}),
    (NumberError, "number 'x': expected a whole number", {"number": "x"}),
    (DataError, "PICTURES: pictures without numbers", {"number": None}),
    (ConfigError, "--model RUN: a run that is not exported", {"model": "RUN", "numbers": {}}),
    (RunError, f"{DIGITS}: an ONNX file of another network", {"model": DIGITS, "numbers": {}}),
    (RunError, "none.onnx: cannot be read ", {"model": "none.onnx", "numbers": {}}),
    (ConfigError, "digits (3, 1): expected how many there are", {"numbers": {"digits": (3, 1)}}),
    (ConfigError, "decimal ';': expected the sign before decimals", {"numbers": {"decimal": ";"}}),
]


def test_what_cannot_be_scored_is_an_error_before_the_work(
    sources: Sources, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("full.csv").write_text("precious")
    os.mkfifo("pipe.csv")
    Path("RUN").symlink_to(small_run)
    Path("PICTURES").symlink_to(sources["folder"])
    for kind, message, changes in BAD:
        named: dict[str, Any] = {"source": Path("PICTURES"), "out": Path("out.csv")} | changes
        if "numbers" in changes:
            named["numbers"] = NumberOptions(**changes["numbers"])
        with pytest.raises(kind) as caught:
            scored(**{key: Path(value) if key == "out" else value for key, value in named.items()})
        assert str(caught.value).startswith(message)
    assert (left_in(tmp_path), Path("full.csv").read_text()) == (
        ["PICTURES", "RUN", "full.csv", "pipe.csv"],
        "precious",
    )


# Numbers of any length.

COLUMNS = ["row", "path", "number", "text", "value", "sum", "confidence", "accepted", "reason", "is_number_probability",
           "other", "next", "error"]  # fmt: skip
FLAT = [f"{name}_{place}" for place in (2, 3, 4) for name in ("value", "probability")]


def test_a_row_of_a_number_says_what_the_reader_says(sources: Sources, tmp_path: Path) -> None:
    for name in ("out.jsonl", "out.csv"):
        done = scored(sources["lines"], tmp_path / name, None, numbers=NumberOptions())
        assert (done.rows, done.failed) == (len(TEXTS) + 1, 0)
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row["path"] for row in rows] == sorted([*(f"{text}.png" for text in TEXTS), "blank.png"])
    for row, flat in zip(rows, rows_of(tmp_path / "out.csv"), strict=True):
        assert list(row) == COLUMNS
        reading = Numbers().read_each([sources["lines"] / row["path"]], count=1 + NEXT)[0]
        assert isinstance(reading, NumberReading)
        for key in ("text", "value", "accepted", "reason"):
            assert row[key] == getattr(reading, key)
        for key in ("confidence", "is_number_probability", "other"):
            assert row[key] == pytest.approx(getattr(reading, key), abs=1e-6)
        assert [one["value"] for one in row["next"]] == [one.value for one in reading.candidates[1:]]
        if row["value"] is not None:
            total = row["confidence"] + sum(one["probability"] for one in row["next"]) + row["other"]
            assert total == pytest.approx(1, abs=1e-5)
        assert (row["number"], row["sum"], row["error"]) == (None, None, None)
        following = [one[key] for one in row.pop("next") for key in ("value", "probability")]
        expected = row | dict(zip(FLAT, following + [None] * (len(FLAT) - len(following)), strict=True))
        assert flat == {key: "" if (value := expected[key]) is None else str(value) for key in flat}
        assert list(flat) == [*COLUMNS[:-2], *FLAT, "error"]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_where_a_source_has_a_number_there_is_a_sum(sources: Sources, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(sources["lines"], tmp_path / "lines"))
    numbers = [7, None, -2_000_000, 10**40, "x"]
    pairs = [(f"{text}.png", number) for text, number in zip(TEXTS, numbers, strict=True)]
    given = [json.dumps({"path": path, "number": number}) for path, number in pairs] + ['{"path": "5.png"}']
    if name == "t.csv":
        given = ["path,number", *(f"{path},{'' if number is None else number}" for path, number in pairs), "5.png"]
    (folder / name).write_text("\n".join(given))
    done = scored(folder / name, tmp_path / "out.jsonl", None, numbers=NumberOptions())
    rows = rows_of(tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (6, 1)
    assert [row["number"] for row in rows] == [*numbers[:4], None, None]
    for row in rows:
        assert row["sum"] == (None if row["number"] is None else row["value"] + row["number"])
    assert rows[4]["error"] == "number 'x': expected a whole number, such as 7"
    (folder / "paths.csv").write_text("remark,path\nfirst,37.png\n")
    scored(folder / "paths.csv", tmp_path / "all.jsonl", 5, numbers=NumberOptions())
    assert [row["sum"] - row["value"] for row in rows_of(tmp_path / "all.jsonl")] == [5]


def test_sums_are_exact_to_the_last_digit_and_a_text_that_begins_with_a_dash_is_no_formula() -> None:
    long, number = "12345678901234567890123456789.05", 10**40 + 1
    total = Decimal("10000000000012345678901234567890123456790.05")
    values = number_values(NumberReading(long, Decimal(long), 1.0, (), 0.0, True, None, 1.0), number)
    assert values["sum"] == (Values({Decimal(long): 1.0}, 0.0) + number).mode == total
    assert json.loads(scoring.json_line(values))["sum"] == str(total)
    assert scoring.csv_line({"sum": values["sum"]}) == f"{total}\n"
    values = number_values(NumberReading("-12-34", 1234, 1.0, (), 0.0, True, None, 1.0), -2000)
    assert scoring.csv_line({name: values[name] for name in ("text", "sum")}) == "'-12-34,-766\n"
    assert json.loads(scoring.json_line(values))["text"] == "-12-34"
    assert scoring.cell("sum", Decimal("-0.50")) == "-0.50"


def test_the_command_gives_its_flags_to_every_row(
    sources: Sources, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--digits", "2-5", "--decimal", ",", "--ink", "dark", "--workers", "1", "--out"
    assert main(["score", "--numbers", str(sources["lines"]), *words, str(tmp_path / "command.csv")]) == 0
    assert f"{len(TEXTS) + 1} rows, 0 failed" in capsys.readouterr().out
    options = NumberOptions(digits=(2, 5), decimal=",")
    scored(sources["lines"], tmp_path / "call.csv", None, ink="dark", numbers=options)
    assert (tmp_path / "command.csv").read_bytes() == (tmp_path / "call.csv").read_bytes()
    (tmp_path / "bad.csv").write_text("path,number\nno.png,1\n")
    assert main(["score", str(tmp_path / "bad.csv"), "--out", str(tmp_path / "out.csv")]) == 1
    assert "1 row, 1 failed" in capsys.readouterr().out

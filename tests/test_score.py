"""Many pictures into a table: nothing lost, nothing doubled, whatever happens on the way; and what the rows say."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import write_idx
from drawings import line_of
from sumnist.arithmetic.values import Values
from sumnist.batch import score as scoring
from sumnist.batch.score import NEXT, DigitTask, NumberOptions, NumberTask, Output, Scored, number_values, score
from sumnist.batch.sources import source_of
from sumnist.cli import main
from sumnist.data.mnist import FILES, load_mnist
from sumnist.errors import ConfigError, DataError, MissingExtraError, NumberError, OutputError, RunError, ScoreError
from sumnist.files import PRETRAINED
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.inference.reader import Reader
from sumnist.pictures.normalize import picture_of


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DigitTask, "chunk", 16)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 30 pictures, one of them in a sub-folder, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "more").mkdir()
    for place, image in enumerate(load_mnist("test").images[:30]):
        picture_of(image, 1).save(folder / ("more" if place == 29 else "") / f"{place:02}.png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def rows_of(out: Path) -> list[dict[str, Any]]:
    if out.suffix == ".jsonl":
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    with out.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def table_in(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def partial_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.partial")


def stop(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Scored], after: int = 1) -> None:
    """Score, and stop as soon as there are the rows of so many chunks."""

    def add_and_stop(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        chunks.append(len(arguments[0]))
        if len(chunks) == after:
            raise KeyboardInterrupt

    add, chunks = Output.add, list[int]()
    with monkeypatch.context() as patch:
        patch.setattr(Output, "add", add_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run()


def test_idx_files_are_read_one_image_at_a_time(tmp_path: Path) -> None:
    (folder := tmp_path / "idx").mkdir()
    images, names = load_mnist("test").images[:5], [FILES["x_train"], FILES["x_test"]]
    for name, part in zip(names, (images[:3], images[3:]), strict=True):
        write_idx(folder / name, part)
    score(folder, tmp_path / "out.jsonl", 2, workers=1, progress=False)
    found = [(row["path"], row["digit"]) for row in rows_of(tmp_path / "out.jsonl")]
    places = [f"{name}[{at}]" for name, count in zip(names, (3, 2), strict=True) for at in range(count)]
    assert found == [(one, Reader().read(image, 2).digit) for one, image in zip(places, images, strict=True)]


def test_a_folder_of_pictures_becomes_a_row_each_in_the_order_of_their_names(pictures: Path, tmp_path: Path) -> None:
    done = score(pictures, tmp_path / "out.jsonl", 7, workers=1, progress=False)
    rows = rows_of(tmp_path / "out.jsonl")
    assert (done.rows, done.failed, done.read_now) == (30, 0, 30)
    assert [row["row"] for row in rows] == list(range(30))
    assert [row["path"] for row in rows] == [f"{place:02}.png" for place in range(29)] + [
        os.path.join("more", "29.png")
    ]
    for row in rows:
        reading = Reader().read(pictures / row["path"], 7)
        assert (row["digit"], row["sum"], row["number"]) == (reading.digit, reading.sum, 7)
        assert row["confidence"] == pytest.approx(reading.confidence, abs=1e-5)
        assert row["error"] is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_table_has_numbers_of_its_own_and_a_bad_row_is_a_row_with_an_error(
    pictures: Path, tmp_path: Path, workers: int
) -> None:
    table = pictures / "table.csv"
    table.write_text('number,path\n3,00.png\n-4,01.png\nx,02.png\n5,none.png\n6,notes.txt\n7,""\n8\n100,more/29.png\n')
    done = score(table, tmp_path / "out.csv", None, workers=workers, progress=False)
    rows = rows_of(tmp_path / "out.csv")
    assert (done.rows, done.failed) == (8, 5)
    assert list(rows[0]) == ["row", "path", "number", "digit", "sum", "confidence", "accepted", "reason", "error"]
    assert [bool(row["error"]) for row in rows] == [False, False, True, True, True, True, True, False]
    for place in (0, 1, 7):
        assert int(rows[place]["sum"]) == int(rows[place]["digit"]) + int(rows[place]["number"])
    assert rows[2]["error"] == "number 'x': expected a whole number, such as 7"
    assert rows[3]["error"].endswith("none.png: does not exist, expected a picture: check the name")
    assert rows[5]["error"] == "line 7: no path, expected the name of a picture"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_not_exported_scores_with_torch_and_a_scoring_knows_its_weights(
    small_run: Path, pictures: Path, tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "out.jsonl"
    assert not (small_run / "model.onnx").exists()
    assert score(pictures, out, 7, small_run, workers=workers, progress=False).failed == 0
    reader = Reader(small_run)
    for row in rows_of(out):
        assert (row["digit"], row["sum"]) == (reader.read(pictures / row["path"], 7).digit, row["digit"] + 7)
    changed = shutil.copytree(small_run, tmp_path / "changed")
    assert scoring.fingerprint(changed) == scoring.fingerprint(small_run)
    for name in ("config.json", "model.safetensors"):
        before = (changed / name).read_bytes()
        (changed / name).write_bytes(before + b"\n")
        assert scoring.fingerprint(changed) != scoring.fingerprint(small_run)
        (changed / name).write_bytes(before)


@pytest.fixture
def long_table(pictures: Path, short_chunks: None) -> Iterator[Path]:
    table = pictures / "long.csv"
    with table.open("w") as stream:
        stream.write("path,number\n")
        stream.writelines(f"{place % 31:02}.png,{place % 13}\n" for place in range(10 * DigitTask.chunk + 17))
    yield table
    table.unlink()


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_scoring_that_was_stopped_goes_on_to_the_same_table(
    long_table: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, stopped = tmp_path / f"alone.{suffix}", tmp_path / f"stopped.{suffix}"
    whole = score(long_table, alone, None, workers=1, progress=False)
    stop(monkeypatch, lambda: score(long_table, stopped, None, workers=1, progress=False), after=4)
    assert not stopped.exists()
    with partial_of(stopped).open("ab") as stream:
        stream.write(b'{"row": 64, "te')  # what a kill leaves of a write
    done = score(long_table, stopped, None, workers=1, progress=False)
    assert done.read_now == whole.rows - 4 * DigitTask.chunk
    assert (done.rows, done.failed) == (whole.rows, whole.failed)
    assert stopped.read_bytes() == alone.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [alone.name, stopped.name]


def test_a_scoring_that_was_stopped_leaves_no_file_open(
    long_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(long_table)
    monkeypatch.setattr(scoring, "source_of", lambda *_: source)
    stop(monkeypatch, lambda: score(long_table, tmp_path / "out.csv", None, workers=1, progress=False))
    assert source.count > DigitTask.chunk
    assert next(source.rows, None) is None, "the source could go on, so its file is open"


@pytest.fixture
def changing(tmp_path: Path, pictures: Path) -> dict[str, Path]:
    """Sources that may be changed: a folder, and a CSV of 20 pictures in it."""
    folder = tmp_path / "changing"
    shutil.copytree(pictures, folder, ignore=lambda *_: ["more"])
    names = [f"{place:02}.png" for place in range(20)]
    (folder / "t.csv").write_text("path\n" + "".join(f"{name}\n" for name in names))
    return {"folder": folder, "csv": folder / "t.csv"}


Change = Callable[[Path], object]
CHANGES: list[tuple[str, Change, dict[str, Any], str]] = [
    ("folder", lambda folder: (folder / "05.png").rename(folder / "055.png"), {}, "state of the pictures"),
    ("folder", lambda folder: shutil.copy(folder / "06.png", folder / "05.png"), {}, "state of the pictures"),
    ("csv", lambda folder: (folder / "t.csv").write_text("path\n07.png\n"), {}, "content of the source"),
    ("csv", Path.exists, {"number": 8}, "number"),
    ("csv", Path.exists, {"ink": "dark"}, "ink"),
    ("csv", Path.exists, {"model": PRETRAINED / "learned.onnx"}, "model"),
    ("csv", Path.exists, {"numbers": NumberOptions()}, "task"),
]


@pytest.mark.parametrize(("kind", "change", "changes", "what"), CHANGES)
def test_another_job_does_not_go_on_with_a_table_and_the_line_says_what_is_other(
    changing: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, change: Change,
    changes: dict[str, Any], what: str,
) -> None:  # fmt: skip
    out = tmp_path / "out.csv"
    given: dict[str, Any] = {"number": 7, "workers": 1, "progress": False}
    stop(monkeypatch, lambda: score(changing[kind], out, **given))
    change(changing["folder"])
    with pytest.raises(ScoreError) as caught:
        score(changing[kind], out, **given | changes)
    assert str(caught.value) == (
        f"--out {out}: holds part of a scoring with another {what}: give the same {what} to go on with it, name "
        "another file, or add --overwrite"
    )
    score(changing[kind], out, overwrite=True, **given | changes)
    score(changing[kind], tmp_path / "alone.csv", **given | changes)
    assert out.read_bytes() == (tmp_path / "alone.csv").read_bytes()


def test_settings_tell_one_way_of_reading_numbers_from_another() -> None:
    options: list[dict[str, Any]] = [{}, {"digits": 4}, {"decimal": "."}, {"engine": "both"}]
    settings = [NumberTask(b"", NumberOptions(**given), "auto").settings() for given in options]
    assert all(one != other for place, one in enumerate(settings) for other in settings[:place])


def test_a_table_that_is_changed_while_it_is_read_is_refused(
    changing: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_and_change(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        changing["csv"].write_text(changing["csv"].read_text() + "\n")

    add = Output.add
    monkeypatch.setattr(Output, "add", add_and_change)
    with pytest.raises(ScoreError, match="changed while it was read: run the same command again, with --overwrite"):
        score(changing["csv"], tmp_path / "out.csv", 7, workers=1, progress=False)
    assert not (tmp_path / "out.csv").exists()


HEAD = b'{"job": {}}\n{"row": 0, "rows": 1, "failed": 0, "text": "x"}\n'


@pytest.mark.parametrize(
    "found",
    [b"\0\0\n\0\n", b"[1]\n[2]\n", b'{"job": 3}\n{}\n', HEAD.replace(b": 0", b": 1", 1),
     HEAD + b'{"row": 1, "rows": "x", "failed": 0, "text": ""}\n', HEAD.replace(b'"x"', b"7"), HEAD * 2],
)  # fmt: skip
def test_what_does_not_hold_rows_is_refused_and_replaced_only_if_asked(
    pictures: Path, tmp_path: Path, found: bytes
) -> None:
    out = tmp_path / "out.csv"
    partial_of(out).write_bytes(found)
    with pytest.raises(ScoreError) as caught:
        score(pictures, out, 7, progress=False)
    assert str(caught.value) == (
        f"--out {out}: {partial_of(out)} does not hold the rows of a scoring: add --overwrite to begin anew"
    )
    assert partial_of(out).read_bytes() == found
    assert score(pictures, out, 7, workers=1, overwrite=True, progress=False).rows == 30
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_another_job_that_was_stopped_before_its_first_row_is_no_obstacle(pictures: Path, tmp_path: Path) -> None:
    partial_of(tmp_path / "out.csv").write_bytes(b'{"job": {"source": "another"}}\n')
    assert score(pictures, tmp_path / "out.csv", 7, workers=1, progress=False).rows == 30


def test_a_table_that_was_written_when_the_scoring_was_stopped_is_finished_and_another_one_is_kept(
    pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"

    def fail() -> None:
        raise OutputError("full")

    def run(then: Any) -> Scored:
        source = source_of(pictures, 7)
        task = DigitTask.of(PRETRAINED, "auto", False)
        return scoring.tabulate(source, out, task, {"source": "x"}, workers=1, progress=False, then=then)

    with pytest.raises(OutputError, match=r"^full$"):
        run(fail)
    written = out.read_bytes()
    for other in (written[:-1], written + b"x", b"x" + written):
        out.write_bytes(other)
        with pytest.raises(OutputError, match="holds something already"):
            run(None)
        assert out.read_bytes() == other
    out.write_bytes(written)
    again = run(lambda: (tmp_path / "then").touch())
    assert (again.rows, again.read_now) == (30, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "then"]
    assert out.read_bytes() == written


def test_a_file_that_appears_while_rows_are_read_is_kept(
    changing: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_and_write(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        self.path.write_text("mine")

    add = Output.add
    monkeypatch.setattr(Output, "add", add_and_write)
    with pytest.raises(OutputError, match="holds something already"):
        score(changing["csv"], tmp_path / "out.csv", 7, workers=1, progress=False)
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_what_is_read_from_is_not_written_to(changing: dict[str, Path], tmp_path: Path) -> None:
    folder, table = changing["folder"], changing["csv"]
    shutil.copy(folder / "05.png", folder / "digit.csv")
    (folder / "named.csv").write_text("path\n04.png\ndigit.csv\n")
    links = {name: tmp_path / f"{name}.csv" for name in ("to table", "to picture", "hard", "to named")}
    links["to table"].symlink_to(table)
    links["to picture"].symlink_to(folder / "05.png")
    links["to named"].symlink_to(folder / "04.png")
    os.link(table, links["hard"])
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    cases = [(table, table), (table, links["to table"]), (folder, links["to picture"]),
             (folder / "named.csv", folder / "digit.csv"), (folder / "named.csv", links["to named"])]  # fmt: skip
    for source, out in cases:
        for overwrite in (False, True) if source == table else (True,):
            with pytest.raises(ConfigError) as caught:
                score(source, out, 7, workers=1, overwrite=overwrite, progress=False)
            assert str(caught.value).startswith(f"--out {out}: is read from, as {folder}")
            assert str(caught.value).endswith(", expected another file: name another")
    score(table, links["hard"], 7, workers=1, overwrite=True, progress=False)  # is its own file then
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_nothing_is_left_of_a_scoring_that_fails_before_its_first_row(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(MissingExtraError):
        score(pictures, tmp_path / "out.csv", 7, engine="ray", overwrite=True, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "old"


def refuse(text: str) -> Any:
    raise ValueError(f"{text}: no JSON")


@pytest.mark.parametrize(("suffix", "workers"), [("csv", 1), ("jsonl", 2)])
def test_whatever_a_row_holds_it_is_a_row_and_the_others_are_read(
    pictures: Path, tmp_path: Path, suffix: str, workers: int
) -> None:
    folder = tmp_path / "rows"
    shutil.copytree(pictures, folder)
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    shutil.copy(folder / "00.png", folder / "re\rturn.png")
    fine = '{"path": "00.png", "number": 1}'
    broken = [
        r'{"path": "\ud800.png", "number": 1}', r'{"path": "a\u0000b.png", "number": 1}',
        '{"path": "pipe.png", "number": 1}',
        '{"path": "folder.png", "number": 1}', '{"path": "/dev/zero", "number": 1}', '{"path": "", "number": 1}',
        json.dumps({"path": "x" * 5000, "number": 1}), json.dumps({"path": "y/" * 100_000, "number": 1}),
        '{"path": "00.png", "number": 1e999}', '{"path": "00.png", "number": NaN}', '{"path": "00.png", "number": 1.5}',
        '{"path": "00.png", "number": true}', '{"path": "00.png", "number": null}', '{"path": "00.png", "number": "7"}',
        '{"path": "00.png", "number": ' + "[" * 900 + "]" * 900 + "}", '{"path": "00.png", "number": {"a": [1]}}',
        '{"path": "00.png", "number": ' + "9" * 4300 + "}", "half a li",
    ]  # fmt: skip
    lines = [fine, *broken, r'{"path": "re\rturn.png", "number": 2}', fine]
    (folder / "t.jsonl").write_text("\n".join(lines) + "\n")
    out = tmp_path / f"out.{suffix}"
    done = score(folder / "t.jsonl", out, None, workers=workers, progress=False)
    assert (done.rows, done.failed) == (len(lines), len(broken))
    if suffix == "jsonl":
        rows = [json.loads(line, parse_constant=refuse) for line in out.read_text("utf-8").split("\n")[:-1]]
    else:
        with out.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    assert [bool(row["error"]) for row in rows] == [False, *(True for _ in broken), False, False]
    assert [int(row["row"]) for row in rows] == list(range(len(lines)))
    assert rows[-2]["path"] == "re\rturn.png"


class Hungry(Reader):
    """A reader without the memory for one picture."""

    def read_each(self, pictures: Any, numbers: Any = 0, ink: Any = "auto") -> Any:
        if any("03.png" in str(picture) for picture in pictures):
            raise MemoryError
        return super().read_each(pictures, numbers, ink)


def test_memory_that_one_picture_takes_is_missing_to_none_of_the_others(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.batch.score.Reader", Hungry)
    done = score(pictures, tmp_path / "out.jsonl", 7, workers=1, progress=False)
    assert (done.rows, done.failed) == (30, 1)
    assert rows_of(tmp_path / "out.jsonl")[3]["error"] == "03.png: cannot be read (MemoryError)"


def test_two_scorings_do_not_write_the_same_table(pictures: Path, tmp_path: Path) -> None:
    with (
        closing(Output(tmp_path / "out.csv", {}, False, (), dict)),
        pytest.raises(OutputError, match="another scoring writes it"),
    ):
        score(pictures, tmp_path / "out.csv", 7, progress=False)


def test_what_cannot_be_scored_is_an_error(pictures: Path, tmp_path: Path, small_run: Path) -> None:
    empty, full, columns = tmp_path / "empty", tmp_path / "full.csv", tmp_path / "columns.csv"
    empty.mkdir()
    full.write_text("precious")
    columns.write_text("a,b\n1,2\n")
    os.mkfifo(tmp_path / "pipe.csv")
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ConfigError, "--out x.txt: expected a name that ends in .csv or .jsonl", {"out": "x.txt"}),
        (OutputError, f"--out {full}: holds something already", {"out": full}),
        (OutputError, f"{tmp_path / 'pipe.csv'}: is a device or a pipe", {"out": tmp_path / "pipe.csv"}),
        (ConfigError, "--workers -1: expected", {"workers": -1}),
        (ConfigError, "ink 'red': expected auto, dark or light", {"ink": "red"}),
        (ConfigError, f"--model {small_run}: a run that is not exported", {"model": small_run, "engine": "ray"}),
        (NumberError, "number 'x': expected a whole number", {"number": "x"}),
        (DataError, f"{tmp_path / 'no'}: does not exist", {"source": tmp_path / "no"}),
        (DataError, f"{empty}: no pictures in it", {"source": empty}),
        (DataError, f"{pictures}: pictures without numbers", {"number": None}),
        (DataError, f"{columns}: its first line has the columns a, b", {"source": columns, "number": 3}),
    ]
    for kind, message, changes in cases:
        given: dict[str, Any] = {"source": pictures, "out": tmp_path / "out.csv", "number": 7, "progress": False}
        with pytest.raises(kind, match=f"^{re.escape(message)}"):
            score(**given | changes)
    assert full.read_text() == "precious"


# Numbers of any length.

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


# Numbers to add.


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_source_needs_no_number_and_where_there_is_one_there_is_a_sum(lines: Path, tmp_path: Path, name: str) -> None:
    numbers = ["7", "", "-2000000", str(10**40), "x"]
    paths = [f"{text}.png" for text in TEXTS[: len(numbers)]]
    if name == "t.csv":
        text = "".join(f"{path},{number}\n" for path, number in zip(paths, numbers, strict=True))
        table = table_in(lines / name, f"path,number\n{text}{TEXTS[0]}.png\n")
    else:
        given = ["7", "null", "-2000000", str(10**40), '"x"']
        text = "".join(f'{{"path": "{path}", "number": {number}}}\n' for path, number in zip(paths, given, strict=True))
        table = table_in(lines / name, f'{text}{{"path": "{TEXTS[0]}.png"}}\n')
    done = scored(table, tmp_path / "out.jsonl")
    rows = rows_of(tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (6, 1)
    assert [row["number"] for row in rows] == [7, None, -2_000_000, 10**40, None, None]
    for row in rows:
        assert row["sum"] == (None if row["number"] is None else row["value"] + row["number"])
    assert rows[4]["error"] == "number 'x': expected a whole number, such as 7"
    scored(table, tmp_path / "all.jsonl", 5)
    assert all(row["sum"] == row["value"] + 5 for row in rows_of(tmp_path / "all.jsonl"))


def test_a_csv_of_paths_alone_is_read_without_a_number(lines: Path, tmp_path: Path) -> None:
    table = table_in(lines / "paths.csv", f"remark,path\nfirst,{TEXTS[0]}.png\nsecond,none.png\n")
    assert scored(table, tmp_path / "out.jsonl").failed == 1
    rows = rows_of(tmp_path / "out.jsonl")
    assert rows[1]["error"].endswith("none.png: does not exist, expected a picture: check the name")
    assert [name for name, value in rows[1].items() if value is not None] == ["row", "path", "error"]
    with pytest.raises(DataError) as caught:
        scored(table_in(lines / "none.csv", "file,number\n1.png,7\n"), tmp_path / "none.csv")
    assert str(caught.value).endswith("its first line has the columns file, number, expected path: add path")


LONG = "12345678901234567890123456789.05"


def test_sums_are_exact_to_the_last_digit() -> None:
    number = 10**40 + 1
    total = Decimal("10000000000012345678901234567890123456790.05")
    values = number_values(NumberReading(LONG, Decimal(LONG), 1.0, (), 0.0, True, None, 1.0), number)
    assert values["sum"] == total
    assert (Values({Decimal(LONG): 1.0}, 0.0) + number).mode == total
    assert json.loads(scoring.json_line(values))["sum"] == str(total)
    assert next(csv.DictReader(["sum\n", scoring.csv_line({"sum": values["sum"]})]))["sum"] == str(total)


# Spreadsheets.


def test_a_text_that_begins_with_a_dash_is_no_formula_and_a_negative_sum_stays_a_number() -> None:
    reading = NumberReading("-12-34", 1234, 1.0, (), 0.0, True, None, 1.0)
    values = number_values(reading, -2000)
    (row,) = csv.DictReader(["text,sum\n", scoring.csv_line({"text": values["text"], "sum": values["sum"]})])
    assert row == {"text": "'-12-34", "sum": "-766"}
    assert json.loads(scoring.json_line(values))["text"] == "-12-34"
    assert scoring.cell("sum", Decimal("-0.50")) == "-0.50"


def test_what_is_no_network_of_strips_is_refused(lines: Path, tmp_path: Path, small_run: Path) -> None:
    digits = PRETRAINED / "model.onnx"
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ConfigError, f"--model {small_run}: a run that is not exported", {"model": small_run}),
        (ConfigError, f"--model {digits} --read-with ocr: ", {"model": digits, "read_with": "ocr"}),
        (RunError, f"{digits}: an ONNX file of another network", {"model": digits}),
        (RunError, f"{tmp_path / 'none.onnx'}: cannot be read ", {"model": tmp_path / "none.onnx"}),
        (ConfigError, "digits (3, 1): expected how many there are", {"digits": (3, 1)}),
        (ConfigError, "decimal ';': expected the sign before decimals", {"decimal": ";"}),
        (ConfigError, "engine 'theirs': expected ours, ocr or both", {"read_with": "theirs"}),
    ]
    for kind, message, changes in cases:
        with pytest.raises(kind, match=f"^{re.escape(message)}"):
            scored(lines, tmp_path / "out.csv", **changes)
    assert list(tmp_path.iterdir()) == []


def test_the_command_gives_its_flags_to_every_row_and_fails_if_any_failed(
    lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["score", "--numbers", str(lines), "--digits", "2-5", "--decimal", ",", "--ink", "dark", "--workers", "1"]
    assert main([*words, "--out", str(tmp_path / "command.csv")]) == 0
    assert f"{len(TEXTS) + 1} rows, 0 failed" in capsys.readouterr().out
    scored(lines, tmp_path / "call.csv", digits=(2, 5), decimal=",", ink="dark")
    assert (tmp_path / "command.csv").read_bytes() == (tmp_path / "call.csv").read_bytes()
    table = table_in(lines / "bad.csv", "path,number\nno.png,1\n")
    assert main(["score", str(table), "--out", str(tmp_path / "bad.csv")]) == 1
    assert "1 rows, 1 failed" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of memory")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_where_memory_is_short_a_huge_picture_fails_and_the_others_are_read(
    pictures: Path, tmp_path: Path, workers: str
) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    Image.new("RGBA", (8000, 8000), "white").save(folder / "10.png")
    code = (
        "import resource, sys; from sumnist.cli import main; import sumnist.batch.score as t; t.Reader(); "
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize(); "
        "resource.setrlimit(resource.RLIMIT_AS, 2 * (used + 200 * 2**20,)); sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "score", str(folder), "--number", "1", "--workers", workers]
    done = subprocess.run([*command, "--out", str(tmp_path / "out.jsonl")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row["path"] for row in rows if row["error"]] == ["10.png"]
    assert len(rows) == 30

"""Many pictures into a table: nothing lost, nothing doubled, whatever happens on the way."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sumnist.batch.score import DigitTask, fingerprint, score
from sumnist.batch.table import Output
from sumnist.cli import main
from sumnist.data.mnist import FILES, load_mnist
from sumnist.errors import ConfigError, DataError, MissingExtraError, NumberError, OutputError, ScoreError
from sumnist.files import PRETRAINED
from sumnist.inference.reader import Reader
from sumnist.pictures.normalize import picture_of


@pytest.fixture(scope="module")
def model() -> Path:
    return PRETRAINED


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


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def partial_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.partial")


def note_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.progress")


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def stop(monkeypatch: pytest.MonkeyPatch, source: Path, out: Path, number: int, model: Path = PRETRAINED) -> None:
    """Score, and stop as soon as the note says that there are rows."""

    def save_and_stop(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        self.save()
        raise KeyboardInterrupt

    add = Output.add
    with monkeypatch.context() as patch:
        patch.setattr(Output, "add", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            score(source, out, number, model, workers=1, progress=False)
    assert partial_of(out).exists()


def test_a_folder_of_pictures_becomes_a_row_each_in_the_order_of_their_names(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    done = score(pictures, tmp_path / "out.jsonl", 7, model, workers=1, progress=False)
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert (done.rows, done.failed, done.read_now) == (30, 0, 30)
    assert [row["row"] for row in rows] == list(range(30))
    assert [row["path"] for row in rows] == [f"{place:02}.png" for place in range(29)] + [
        os.path.join("more", "29.png")
    ]
    for row in rows:
        reading = Reader(model).read(pictures / row["path"], 7)
        assert (row["digit"], row["sum"], row["number"]) == (reading.digit, reading.sum, 7)
        assert row["confidence"] == pytest.approx(reading.confidence, abs=1e-5)
        assert row["error"] is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_table_has_numbers_of_its_own_and_a_bad_row_is_a_row_with_an_error(
    model: Path, pictures: Path, tmp_path: Path, workers: int
) -> None:
    table = pictures / "table.csv"
    table.write_text('number,path\n3,00.png\n-4,01.png\nx,02.png\n5,none.png\n6,notes.txt\n7,""\n8\n100,more/29.png\n')
    done = score(table, tmp_path / "out.csv", None, model, workers=workers, progress=False)
    rows = read_csv(tmp_path / "out.csv")
    assert (done.rows, done.failed) == (8, 5)
    assert list(rows[0]) == ["row", "path", "number", "digit", "sum", "confidence", "accepted", "reason", "error"]
    assert [bool(row["error"]) for row in rows] == [False, False, True, True, True, True, True, False]
    for place in (0, 1, 7):
        assert int(rows[place]["sum"]) == int(rows[place]["digit"]) + int(rows[place]["number"])
    assert rows[2]["error"] == "number 'x': expected a whole number, such as 7"
    assert rows[3]["error"].endswith("none.png: does not exist, expected a picture: check the name")
    assert rows[5]["error"] == "line 7: no path, expected the name of a picture"


def test_json_lines_are_read_and_what_is_none_is_an_error_of_that_row(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    table = pictures / "table.jsonl"
    table.write_text('{"path": "00.png", "number": 1}\nnonsense\n{"path": 3, "number": 1}\n{"number": 2}\n[]\n')
    done = score(table, tmp_path / "out.jsonl", None, model, workers=1, progress=False)
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (5, 4)
    assert rows[0]["sum"] == rows[0]["digit"] + 1
    assert all('expected {"path": "five.png", "number": 7}' in row["error"] for row in rows[1:])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_not_exported_scores_with_torch_and_a_scoring_knows_its_weights(
    small_run: Path, pictures: Path, tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "out.jsonl"
    assert not (small_run / "model.onnx").exists()
    assert score(pictures, out, 7, small_run, workers=workers, progress=False).failed == 0
    reader = Reader(small_run)
    for row in read_jsonl(out):
        assert (row["digit"], row["sum"]) == (reader.read(pictures / row["path"], 7).digit, row["digit"] + 7)
    changed = shutil.copytree(small_run, tmp_path / "changed")
    assert fingerprint(changed) == fingerprint(small_run)
    (changed / "config.json").write_text((changed / "config.json").read_text() + "\n")
    assert fingerprint(changed) != fingerprint(small_run)
    (changed / "config.json").write_bytes((small_run / "config.json").read_bytes())
    (changed / "model.safetensors").write_bytes((changed / "model.safetensors").read_bytes() + b"0")
    assert fingerprint(changed) != fingerprint(small_run)


def test_a_ray_cluster_is_given_no_run_that_is_not_exported(small_run: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        score(pictures, tmp_path / "out.csv", 7, small_run, engine="ray", progress=False)
    assert str(caught.value) == (
        f"--model {small_run}: a run that is not exported, expected an ONNX file for --engine ray: run `sumnist export "
        f"{small_run}` first"
    )


def test_idx_files_are_read_one_image_at_a_time(
    model: Path, idx_folder: Path, tmp_path: Path, mnist_train: Any
) -> None:
    folder = tmp_path / "idx"
    folder.mkdir()
    for name in FILES.values():
        (folder / f"{name}.gz").write_bytes(gzip.compress((idx_folder / name).read_bytes()))
    done = score(folder, tmp_path / "out.jsonl", 2, model, workers=1, progress=False)
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (1200, 0)
    assert rows[1000]["path"].startswith("t10k-images-idx3-ubyte")
    assert rows[1000]["digit"] == Reader(model).read(mnist_train.images[1000], 2).digit


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
    model: Path, long_table: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, stopped = tmp_path / f"alone.{suffix}", tmp_path / f"stopped.{suffix}"
    whole = score(long_table, alone, None, model, workers=1, progress=False)
    monkeypatch.setattr("sumnist.batch.table.SAVE_EVERY", 0.0)
    add, left = Output.add, [4]

    def die(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Output, "add", die)
    with pytest.raises(KeyboardInterrupt):
        score(long_table, stopped, None, model, workers=1, progress=False)
    assert not stopped.exists()
    with partial_of(stopped).open("ab") as stream:
        stream.write(b"half a li")  # what a kill leaves of a write
    with note_of(stopped).open("ab") as stream:
        stream.write(b'{"rows": 99')
    done = score(long_table, stopped, None, model, workers=1, progress=False)
    assert done.read_now == whole.rows - 4 * DigitTask.chunk
    assert (done.rows, done.failed) == (whole.rows, whole.failed)
    assert stopped.read_bytes() == alone.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [alone.name, stopped.name]


KILLED_AT = """
import os, signal, sys
import sumnist.batch.table as scoring
scoring.SAVE_EVERY = 0.0
call, left = sys.argv.pop(1), int(sys.argv.pop(1))
real = getattr(os, call)
def counted(*arguments, **named):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)
setattr(os, call, counted)
from sumnist.cli import main
sys.exit(main())
"""
"""The command line, killed at the n-th call of a function of `os`."""


@pytest.mark.parametrize("call", ["fsync 1", "fsync 2", "fsync 3", "fsync 4", "replace 1", "unlink 1"])
@pytest.mark.parametrize("overwrite", [False, pytest.param(True, marks=pytest.mark.long)])
def test_killed_at_any_step_the_same_command_goes_on_and_the_name_is_only_ever_a_whole_table(
    pictures: Path, tmp_path: Path, call: str, overwrite: bool
) -> None:
    alone, killed = tmp_path / "alone.csv", tmp_path / "killed.csv"
    score(pictures, alone, 7, workers=1, progress=False)
    if overwrite:
        killed.write_bytes(b"what was there")
    words = ["score", str(pictures), "--number", "7", "--workers", "1", "--out", str(killed)]
    words += ["--overwrite"] if overwrite else []
    process = subprocess.run([sys.executable, "-c", KILLED_AT, *call.split(), *words], capture_output=True, check=False)
    assert (process.returncode, process.stderr) == (-signal.SIGKILL, b"")
    if call == "unlink 1":
        assert killed.read_bytes() == alone.read_bytes()
    else:
        assert killed.read_bytes() == b"what was there" if overwrite else not killed.exists()
    assert main(words) == 0
    assert killed.read_bytes() == alone.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.csv", "killed.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of the size of files")
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_is_said_and_the_same_scoring_goes_on_when_there_is_room(
    long_table: Path, tmp_path: Path, overwrite: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    import resource

    out = tmp_path / "out.csv"
    words = ["score", str(long_table), "--workers", "1", "--out", str(out), *(["--overwrite"] if overwrite else [])]
    if overwrite:
        out.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (10, 100, 1_000, 4_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            assert main(words) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        said = capsys.readouterr().err
        assert said.startswith(f"sumnist: {tmp_path}")
        assert said.endswith(": cannot be written (file too large): free some space or choose another place\n")
        assert said.count("\n") == 1
        assert out.read_text() == "old" if overwrite else not out.exists()
    main(words)
    score(long_table, tmp_path / "alone.csv", None, workers=1, progress=False)
    assert out.read_bytes() == (tmp_path / "alone.csv").read_bytes()


@pytest.fixture
def changing(tmp_path: Path, pictures: Path) -> dict[str, Path]:
    """Sources that may be changed: a folder, a CSV and a JSONL of the same 20 pictures."""
    folder = tmp_path / "changing"
    shutil.copytree(pictures, folder, ignore=lambda *_: ["more"])
    names = [f"{place:02}.png" for place in range(20)]
    (folder / "t.csv").write_text("path\n" + "".join(f"{name}\n" for name in names))
    (folder / "t.jsonl").write_text("".join(json.dumps({"path": name}) + "\n" for name in names))
    return {"folder": folder, "csv": folder / "t.csv", "jsonl": folder / "t.jsonl"}


def rename(folder: Path) -> None:
    (folder / "05.png").rename(folder / "055.png")


def lengthen(folder: Path) -> None:
    with (folder / "t.jsonl").open("a") as stream:
        stream.write('{"path": "1.png"}\n')


CHANGES: list[tuple[str, Any, str]] = [
    ("folder", lambda folder: shutil.copy(folder / "05.png", folder / "055.png"), "pictures were added, removed or"),
    ("folder", lambda folder: (folder / "05.png").unlink(), "pictures were added, removed or"),
    ("folder", rename, "pictures were added, removed or"),
    ("folder", lambda folder: shutil.copy(folder / "06.png", folder / "05.png"), "pictures were changed"),
    ("csv", lambda folder: (folder / "t.csv").write_text("path\n07.png\n"), "the source was changed"),
    ("jsonl", lengthen, "the source was changed"),
]


@pytest.mark.parametrize(("kind", "change", "what"), CHANGES)
def test_a_source_that_changed_since_a_scoring_stopped_is_refused_in_a_line_that_says_what_changed(
    changing: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, change: Any, what: str
) -> None:
    out = tmp_path / "out.csv"
    stop(monkeypatch, changing[kind], out, 7)
    change(changing["folder"])
    with pytest.raises(ScoreError) as caught:
        score(changing[kind], out, 7, progress=False)
    assert f"--out {out}: holds part of a scoring that began before {what}" in str(caught.value)
    assert str(caught.value).endswith("back to go on with it, name another file, or add --overwrite")
    score(changing[kind], out, 7, workers=1, overwrite=True, progress=False)
    score(changing[kind], tmp_path / "alone.csv", 7, workers=1, progress=False)
    assert out.read_bytes() == (tmp_path / "alone.csv").read_bytes()


def test_a_model_that_changed_since_a_scoring_stopped_is_refused(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop(monkeypatch, pictures, tmp_path / "out.csv", 7, model / "learned.onnx")
    with pytest.raises(ScoreError, match="another model: give the same model to go on with it"):
        score(pictures, tmp_path / "out.csv", 7, progress=False)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_table_that_is_changed_while_it_is_read_is_refused(
    changing: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def add_and_change(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        with changing[kind].open("a") as stream:
            stream.write("\n")

    add = Output.add
    monkeypatch.setattr(Output, "add", add_and_change)
    with pytest.raises(ScoreError) as caught:
        score(changing[kind], tmp_path / "out.csv", 7, workers=1, progress=False)
    assert (
        str(caught.value)
        == f"{changing[kind]}: changed while it was read: run the same command again, with --overwrite"
    )
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("damage", ["gone", "cut", "edited"])
def test_rows_that_are_not_what_their_note_says_are_never_gone_on_with(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    out = tmp_path / "out.csv"
    stop(monkeypatch, pictures, out, 7)
    rows = partial_of(out).read_bytes()
    if damage == "gone":
        partial_of(out).unlink()
    else:
        partial_of(out).write_bytes(rows[:-9] if damage == "cut" else rows.replace(b"7", b"8", 1))
    with pytest.raises(ScoreError) as caught:
        score(pictures, out, 7, progress=False)
    assert str(caught.value) == (
        f"--out {out}: {partial_of(out)} is not what the note of it, .out.csv.progress, says: add --overwrite to begin "
        "anew"
    )
    score(pictures, out, 7, workers=1, overwrite=True, progress=False)
    score(pictures, tmp_path / "alone.csv", 7, workers=1, progress=False)
    assert out.read_bytes() == (tmp_path / "alone.csv").read_bytes()


@pytest.mark.parametrize("note", [b"", b"no note", b'{"job": 3}\n{}\n', b"[1]\n[2]\n", b"\0\0\n\0\n"])
def test_a_note_that_is_none_is_refused_or_of_no_rows(pictures: Path, tmp_path: Path, note: bytes) -> None:
    out = tmp_path / "out.csv"
    note_of(out).write_bytes(note)
    if note:
        with pytest.raises((ScoreError, OutputError)) as caught:
            score(pictures, out, 7, progress=False)
        assert ".out.csv.progress: " in str(caught.value)
        note_of(out).unlink()
    assert score(pictures, out, 7, workers=1, progress=False).rows == 30


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


@pytest.mark.parametrize("target", ["/dev/null", "folder", "pipe"])
def test_what_is_no_file_is_not_replaced_by_a_table(pictures: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    out = tmp_path / "out.csv"
    out.symlink_to(target)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="expected the name of a file"):
            score(pictures, out, 7, overwrite=overwrite, progress=False)
    assert out.exists()
    assert not out.is_file()


def test_a_table_goes_where_a_link_leads(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    out = tmp_path / "out.csv"
    out.symlink_to(tmp_path / "place/real.csv")
    score(pictures, out, 7, workers=1, progress=False)
    assert out.is_symlink()
    assert len(read_csv(tmp_path / "place/real.csv")) == 30
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["real.csv"]


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

    def read_each(self, pictures: Any, numbers: Any, ink: Any = "auto") -> Any:
        if any("03.png" in str(picture) for picture in pictures):
            raise MemoryError
        return super().read_each(pictures, numbers, ink)


def test_memory_that_one_picture_takes_is_missing_to_none_of_the_others(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.batch.score.Reader", Hungry)
    done = score(pictures, tmp_path / "out.jsonl", 7, workers=1, progress=False)
    assert (done.rows, done.failed) == (30, 1)
    assert read_jsonl(tmp_path / "out.jsonl")[3]["error"] == "03.png: cannot be read (MemoryError)"


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of memory")
@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.long)])
def test_where_memory_is_short_a_huge_picture_fails_and_the_others_are_read(
    pictures: Path, tmp_path: Path, workers: str
) -> None:
    from PIL import Image

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
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert [row["path"] for row in rows if row["error"]] == ["10.png"]
    assert len(rows) == 30


def scoring(table: Path, out: Path) -> subprocess.Popen[str]:
    """A process that scores with two workers, started when there are rows."""
    words = ["score", str(table), "--out", str(out), "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sumnist", *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for _ in range(2):  # a chunk counts once the next one is written: of a scoring without rows nothing stays
        before = size_of(partial_of(out))
        while process.poll() is None and size_of(partial_of(out)) < before + 1000:
            time.sleep(0.01)
    assert process.poll() is None, process.communicate()[1]
    return process


def children_of(process: subprocess.Popen[str]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


@pytest.fixture
def slow_table(pictures: Path) -> Iterator[Path]:
    """A table whose scoring takes half a minute, longer than the slowest start of its workers."""
    table = pictures / "slow.csv"
    table.write_text("path,number\n" + "".join(f"{place % 30:02}.png,1\n" for place in range(29)) * 3000)
    yield table
    table.unlink()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    "end", ["worker", *(pytest.param(end, marks=pytest.mark.long) for end in ("Ctrl-C", "killed"))]
)
def test_however_a_scoring_with_workers_ends_it_says_at_most_one_line_and_leaves_no_process(
    slow_table: Path, tmp_path: Path, end: str
) -> None:
    process = scoring(slow_table, tmp_path / "out.csv")
    workers = children_of(process)
    assert len(workers) == 2
    if end == "worker":
        os.kill(workers[0], signal.SIGKILL)
    elif end == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all in the foreground
    else:
        process.kill()
    _, said = process.communicate()
    died = "a worker process died, out of memory perhaps: run the same command again to go on, with fewer --workers"
    expected = {"worker": (1, f"sumnist: {died}\n"), "Ctrl-C": (130, "sumnist: stopped\n"), "killed": (-9, "")}
    assert (process.returncode, said) == expected[end]
    until = time.monotonic() + 30
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert not (tmp_path / "out.csv").exists()
    assert partial_of(tmp_path / "out.csv").exists()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


@pytest.mark.long
def test_a_scoring_killed_three_times_loses_and_doubles_nothing(model: Path, long_table: Path, tmp_path: Path) -> None:
    with long_table.open("a") as stream:
        stream.writelines(f"{place % 30:02}.png,{place % 13}\n" for place in range(40_000))
    alone, killed = tmp_path / "alone.csv", tmp_path / "killed.csv"
    score(long_table, alone, None, model, workers=2, progress=False)
    code = "import sumnist.batch.table as s, sys; s.SAVE_EVERY = 0.1; from sumnist.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "score", str(long_table), "--out", str(killed), "--model", str(model),
               "--workers", "2"]  # fmt: skip
    for size in (0.2, 0.4, 0.6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and size_of(partial_of(killed)) < size * alone.stat().st_size:
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    last = subprocess.run(command, capture_output=True, text=True, check=False)
    assert last.returncode == 1, last.stderr  # some rows are of a picture that is not there
    assert killed.read_bytes() == alone.read_bytes()


def test_another_job_does_not_go_on_with_a_table(
    model: Path, pictures: Path, long_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.csv"
    stop(monkeypatch, pictures, out, 7, model)
    with pytest.raises(ScoreError) as caught:
        score(long_table, out, None, model, progress=False)
    assert str(caught.value) == (
        f"--out {out}: holds part of a scoring with another source: give the same source to go on with it, name "
        "another file, or add --overwrite"
    )
    with pytest.raises(ScoreError, match="with another number: give the same number to go on with it"):
        score(pictures, out, 8, model, progress=False)
    with pytest.raises(ScoreError, match="with another ink: give the same ink to go on with it"):
        score(pictures, out, 7, model, progress=False, ink="dark")
    done = score(long_table, out, None, model, workers=1, overwrite=True, progress=False)
    assert done.rows == 10 * DigitTask.chunk + 17


def test_a_file_that_holds_something_is_not_written_over(model: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("precious")
    with pytest.raises(OutputError) as caught:
        score(pictures, out, 7, model, progress=False)
    assert str(caught.value) == f"--out {out}: holds something already: name another file or add --overwrite"
    assert out.read_text() == "precious"


def test_two_scorings_do_not_write_the_same_table(model: Path, pictures: Path, tmp_path: Path) -> None:
    with (
        Output(tmp_path / "out.csv", {}, False, (), dict),
        pytest.raises(OutputError, match="another scoring writes it"),
    ):
        score(pictures, tmp_path / "out.csv", 7, model, progress=False)


def test_what_cannot_be_scored_is_an_error(model: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ConfigError, "--out x.txt: expected a name that ends in .csv or .jsonl", {"out": "x.txt"}),
        (ConfigError, "--workers -1: expected a whole number of at least 0, which is one for each core",
         {"workers": -1}),
        (ConfigError, "ink 'red': expected auto, dark or light: leave it out to have it found out", {"ink": "red"}),
        (NumberError, "number 'x': expected a whole number, such as 7", {"number": "x"}),
        (DataError, f"{tmp_path / 'no'}: does not exist, expected a folder, a .csv or a .jsonl: check the name",
         {"source": tmp_path / "no"}),
        (DataError, f"{empty}: no pictures in it, expected files such as .bmp, .gif, .heic, .heif", {"source": empty}),
        (DataError, f"{pictures}: pictures without numbers, expected --number: give the one to add to each of them",
         {"number": None}),
        (DataError, f"{tmp_path / 'columns.csv'}: its first line has the columns a, b, expected path and number: add "
         "path", {"source": tmp_path / "columns.csv", "number": 3}),
    ]  # fmt: skip
    for kind, message, changes in cases:
        given: dict[str, Any] = {"source": pictures, "out": out, "number": 7, "model": model, "progress": False}
        with pytest.raises(kind) as caught:
            score(**given | changes)
        assert str(caught.value) == message


def test_the_command_counts_the_rows_and_fails_if_any_failed(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["score", str(pictures), "--number", "7", "--model", str(model), "--workers", "1", "--out"]
    assert main([*words, str(tmp_path / "good.csv")]) == 0
    assert f"{tmp_path / 'good.csv'}: 30 rows, 0 failed; " in capsys.readouterr().out
    table = pictures / "bad.csv"
    table.write_text("path,number\nno.png,1\n")
    assert main(["score", str(table), "--model", str(model), "--out", str(tmp_path / "bad.csv")]) == 1
    assert "1 rows, 1 failed" in capsys.readouterr().out

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

from sumnist.cli import main
from sumnist.config import Config
from sumnist.data.mnist import FILES, load_mnist
from sumnist.errors import ConfigError, DataError, MissingExtraError, NumberError, OutputError, ScoreError
from sumnist.inference.reader import Reader
from sumnist.inference.score import CHUNK, fingerprint, score
from sumnist.pictures.normalize import picture_of
from sumnist.training.export import export_run
from sumnist.training.loop import train


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, small_config: Config) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "exact"
    train(small_config, folder, progress=False)
    export_run(folder)
    return folder


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


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_read_one_image_at_a_time(
    model: Path, idx_folder: Path, tmp_path: Path, zipped: bool, mnist_train: Any
) -> None:
    folder = idx_folder
    if zipped:
        folder = tmp_path / "idx"
        folder.mkdir()
        for name in FILES.values():
            (folder / f"{name}.gz").write_bytes(gzip.compress((idx_folder / name).read_bytes()))
    done = score(folder, tmp_path / "out.jsonl", 2, model, workers=1, progress=False)
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (1200, 0)
    assert rows[1000]["path"].startswith("t10k-images-idx3-ubyte")
    assert rows[1000]["digit"] == Reader(model).read(mnist_train.images[1000], 2).digit


def test_an_idx_file_cut_short_has_an_error_for_each_image_that_is_missing(
    model: Path, idx_folder: Path, tmp_path: Path
) -> None:
    name = FILES["x_test"]
    (tmp_path / name).write_bytes((idx_folder / name).read_bytes()[: 16 + 784 * 150 + 5])
    done = score(tmp_path, tmp_path / "out.jsonl", 2, model, workers=1, progress=False)
    assert (done.rows, done.failed) == (200, 50)


@pytest.fixture
def long_table(pictures: Path) -> Iterator[Path]:
    table = pictures / "long.csv"
    with table.open("w") as stream:
        stream.write("path,number\n")
        stream.writelines(f"{place % 31:02}.png,{place % 13}\n" for place in range(10 * CHUNK + 17))
    yield table
    table.unlink()


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_scoring_that_was_stopped_goes_on_to_the_same_table(
    model: Path, long_table: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, stopped = tmp_path / f"alone.{suffix}", tmp_path / f"stopped.{suffix}"
    whole = score(long_table, alone, None, model, workers=1, progress=False)
    monkeypatch.setattr("sumnist.inference.score.SAVE_EVERY", 0.0)
    from sumnist.inference.score import Output

    add, left = Output.add, [4]

    def die(self: Output, *arguments: Any) -> None:
        add(self, *arguments)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Output, "add", die)
    with pytest.raises(KeyboardInterrupt):
        score(long_table, stopped, None, model, workers=1, progress=False)
    with stopped.open("ab") as stream:
        stream.write(b"half a li")  # what a kill leaves of a write
    done = score(long_table, stopped, None, model, workers=1, progress=False)
    assert done.read_now == whole.rows - 4 * CHUNK
    assert (done.rows, done.failed) == (whole.rows, whole.failed)
    assert stopped.read_bytes() == alone.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [alone.name, stopped.name]


@pytest.mark.heavy
def test_a_scoring_killed_three_times_loses_and_doubles_nothing(model: Path, long_table: Path, tmp_path: Path) -> None:
    with long_table.open("a") as stream:
        stream.writelines(f"{place % 30:02}.png,{place % 13}\n" for place in range(40_000))
    alone, killed = tmp_path / "alone.csv", tmp_path / "killed.csv"
    score(long_table, alone, None, model, workers=2, progress=False)
    code = (
        "import sumnist.inference.score as s, sys; s.SAVE_EVERY = 0.1; from sumnist.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "score", str(long_table), "--out", str(killed), "--model", str(model),
               "--workers", "2"]  # fmt: skip
    for size in (0.2, 0.4, 0.6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not killed.exists() or killed.stat().st_size < size * alone.stat().st_size):
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    last = subprocess.run(command, capture_output=True, text=True, check=False)
    assert last.returncode == 1, last.stderr  # some rows are of a picture that is not there
    assert killed.read_bytes() == alone.read_bytes()


def test_another_job_does_not_go_on_with_a_table(model: Path, long_table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    from sumnist.inference.score import Output

    output = Output(out, {"source": "other", "number": None, "model": fingerprint(model / "model.onnx")}, False)
    output.save()
    output.stream.close()
    with pytest.raises(ScoreError) as caught:
        score(long_table, out, None, model, progress=False)
    assert str(caught.value) == (
        f"--out {out}: holds part of a scoring with another source: give the same source to go on with it, name "
        "another file, or add --overwrite"
    )
    assert score(long_table, out, None, model, workers=1, overwrite=True, progress=False).rows == 10 * CHUNK + 17


def test_a_file_that_holds_something_is_not_written_over(model: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("precious")
    with pytest.raises(OutputError) as caught:
        score(pictures, out, 7, model, progress=False)
    assert str(caught.value) == f"--out {out}: holds something already: name another file or add --overwrite"
    assert out.read_text() == "precious"


def test_two_scorings_do_not_write_the_same_table(model: Path, pictures: Path, tmp_path: Path) -> None:
    from sumnist.inference.score import Output

    with Output(tmp_path / "out.csv", {}, False), pytest.raises(OutputError, match="another scoring writes it"):
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


def test_ray_that_is_not_installed_is_named_with_the_extra_that_brings_it(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as caught:
        score(pictures, tmp_path / "out.csv", 7, model, engine="ray", progress=False)
    assert str(caught.value) == (
        '--engine ray needs ray, which is not installed; install it with: pip install "sumnist[ray]"'
    )


@pytest.mark.heavy
@pytest.mark.ray
def test_a_ray_cluster_gives_the_same_table(model: Path, long_table: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    score(long_table, tmp_path / "local.csv", None, model, workers=1, progress=False)
    score(long_table, tmp_path / "ray.csv", None, model, engine="ray", workers=2, progress=False)
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()

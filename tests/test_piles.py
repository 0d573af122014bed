"""Piles of sheets into tables: a row for each picture and page, and one clear message for each that cannot be read."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from simulated_sheets import EXAM, as_people_write, photograph, photograph_of, sheets
from sumnist.batch.score import Scored
from sumnist.errors import ConfigError, DataError, MissingExtraError, NumberError, OutputError, ScoreError
from sumnist.sheets.layout import Layout
from sumnist.sheets.page import Page
from sumnist.sheets.piles import SheetTask, pile_of, read_pile

OTHER = Layout.of_line("9,7.5,12", "Mathematics")


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def done_with(paths: list[Path], out: Path, layout: Layout = EXAM, workers: int = 1, **more: Any) -> Scored:
    return read_pile(paths, layout, out, workers=workers, progress=False, **more)


def as_pdf(path: Path, *photographs: bytes) -> Path:
    """A PDF file with these pictures, one on each page."""
    first, *others = [Image.open(BytesIO(data)) for data in photographs]
    first.save(path, save_all=True, append_images=others, resolution=150)
    return path


def blank_pdf(path: Path, pages: int = 1, width: float = 210, height: float = 297, password: str = "") -> Path:
    lock = StandardEncryption(password) if password else None
    canvas = Canvas(str(path), (width * mm, height * mm), encrypt=lock)
    for _ in range(pages):
        canvas.showPage()
    canvas.save()
    return path


def covered(*names: str) -> bytes:
    """A photograph on which things lie on some corners of the sheet."""
    shot, page = photograph(0), Page.of(EXAM)
    picture = Image.open(BytesIO(shot.data))
    corners = dict(zip(("top left", "top right", "bottom right", "bottom left"), page.tags, strict=True))
    for name in names:
        tag = corners[name]
        ((x, y),) = shot.view.seen(np.array([[tag.x + tag.width / 2, tag.y + tag.height / 2]]))
        picture.paste(90, (round(x) - 40, round(y) - 40, round(x) + 40, round(y) + 40))
    data = BytesIO()
    picture.save(data, "JPEG")
    return data.getvalue()


def beside_each_other() -> Image.Image:
    """Two sheets in one picture."""
    found = Image.new("L", (3200, 1200))
    for place in (0, 1):
        with Image.open(BytesIO(photograph(place).data)) as picture:
            found.paste(picture.resize((1600, 1200)), (1600 * place, 0))
    return found


@pytest.fixture(scope="module")
def pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four sheets that can be read, one of them twice, and what cannot be read."""
    folder = tmp_path_factory.mktemp("pile")
    (folder / "a.jpg").write_bytes(photograph(0).data)
    (folder / "again.jpg").write_bytes(photograph(0).data)
    as_pdf(folder / "b.PDF", photograph(1).data, photograph(2).data)
    (folder / "deeper").mkdir()
    (folder / "deeper" / "c.jpg").write_bytes(photograph_of("0003", 3, replace(EXAM, version=2)))
    (folder / "broken.pdf").write_bytes(
        as_pdf(folder / "b.PDF", photograph(1).data, photograph(2).data).read_bytes()[:999]
    )
    blank_pdf(folder / "locked.pdf", password="secret")
    blank_pdf(folder / "wide.pdf", width=1_000, height=700)
    blank_pdf(folder / "thin.pdf", width=6_000, height=100)
    Image.linear_gradient("L").resize((800, 600)).save(folder / "gradient.png")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("not of the pile")
    (folder / ".hidden.jpg").write_text("nor is this")
    (folder / "half.jpg").write_bytes(photograph(0).data[:30_000])
    (folder / "other.jpg").write_bytes(photograph_of("x", 0, OTHER))
    (folder / "covered.jpg").write_bytes(covered("top left", "bottom right"))
    beside_each_other().save(folder / "two.png")
    return folder


@pytest.fixture(scope="module")
def read_once(pile: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The rows of the pile, by what they are of."""
    out = tmp_path_factory.mktemp("out") / "marks.jsonl"
    done = done_with([pile], out)
    rows = rows_of(out)
    assert [row["row"] for row in rows] == list(range(len(rows)))
    assert (done.rows, done.failed, done.read_now) == (len(rows), sum(row["state"] is None for row in rows), len(rows))
    assert [path.name for path in out.parent.iterdir()] == ["marks.jsonl"]
    return {row["path"].removeprefix(f"{pile}{os.sep}"): row for row in rows}


READABLE = {"a.jpg": 0, "again.jpg": 0, "b.PDF#page=1": 1, "b.PDF#page=2": 2}


def test_there_is_a_row_for_each_picture_and_page_in_the_order_of_their_names(
    read_once: dict[str, dict[str, Any]],
) -> None:
    assert list(read_once) == [
        "a.jpg", "again.jpg", "b.PDF#page=1", "b.PDF#page=2", "broken.pdf", "covered.jpg", "deeper/c.jpg", "empty.jpg",
        "gradient.png", "half.jpg", "locked.pdf", "other.jpg", "text.jpg", "thin.pdf#page=1", "two.png",
        "wide.pdf#page=1",
    ]  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_what_can_be_read_has_its_numbers_and_the_file_they_are_from(
    read_once: dict[str, dict[str, Any]], pile: Path, name: str
) -> None:
    row, truth = read_once[name], sheets().truth(READABLE[name])
    assert row["values"] == as_people_write(EXAM, truth.values)
    assert (row["state"], row["identity"], row["error"]) == ("adds up", truth.identity, None)
    assert row["file"] == str(pile / name.partition("#")[0])
    assert row["path"] == str(pile / name)


def test_a_sheet_of_another_version_is_read_and_says_which(read_once: dict[str, dict[str, Any]]) -> None:
    row = read_once["deeper/c.jpg"]
    assert (row["version"], row["identity"], row["layout"]) == (2, "0003", EXAM.id)
    assert row["values"] == as_people_write(EXAM, sheets().truth(3).values)


ERRORS = {
    "broken.pdf": "is no PDF, or damaged, expected a whole one: copy or save it again",
    "locked.pdf": "is locked with a password, expected an open PDF: save it again without one",
    "thin.pdf#page=1": "6,000×100 mm, expected sides of 5 to 5,080 mm: save it in the size of its paper",
    "empty.jpg": "empty, expected a picture: copy or save it again",
    "text.jpg": "not a picture, expected PNG, JPEG or another format that Pillow opens: save it as PNG",
    "half.jpg": "corrupt or cut short, expected a whole picture: copy or save it again",
    "other.jpg": f"is of layout {OTHER.id}, expected {EXAM.id}: read it with --layout of its own TOML file",
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_read_has_one_message_with_the_mend(
    read_once: dict[str, dict[str, Any]], pile: Path, name: str
) -> None:
    assert read_once[name]["error"] == f"{pile / name}: {ERRORS[name]}"


@pytest.mark.parametrize("name", [*ERRORS, "covered.jpg", "gradient.png", "two.png", "wide.pdf#page=1"])
def test_a_row_that_has_an_error_has_nothing_else(read_once: dict[str, dict[str, Any]], pile: Path, name: str) -> None:
    row = read_once[name]
    assert {key for key, value in row.items() if value is not None} == {"row", "path", "error"}
    assert row["error"].startswith(f"{pile / name}: ")
    assert row["error"].count("\n") == 0
    assert "expected" in row["error"]
    assert "Traceback" not in row["error"]


def test_where_there_is_no_whole_sheet_the_message_speaks_of_its_tags(read_once: dict[str, dict[str, Any]]) -> None:
    for name in ("covered.jpg", "gradient.png", "wide.pdf#page=1", "two.png"):
        assert "tag" in read_once[name]["error"], name


def test_of_a_pdf_of_many_blank_pages_each_has_its_row(tmp_path: Path) -> None:
    blank_pdf(tmp_path / "blank.pdf", 200, 200, 6)  # narrow ones, which are soon looked at
    done = done_with([tmp_path / "blank.pdf"], tmp_path / "out.jsonl")
    rows = rows_of(tmp_path / "out.jsonl")
    assert (done.rows, done.failed) == (200, 200)
    assert [row["path"] for row in rows] == [f"{tmp_path / 'blank.pdf'}#page={page}" for page in range(1, 201)]
    assert all(row["error"].startswith(f"{row['path']}: no corner tag is found") for row in rows)


# The source.


def test_files_and_folders_are_read_in_the_order_in_which_they_are_named(pile: Path) -> None:
    paths = [pile / "two.png", pile / "deeper", pile / "b.PDF", pile / "notes.txt"]
    source = pile_of(paths)
    names = ["two.png", "deeper/c.jpg", "b.PDF#page=1", "b.PDF#page=2", "notes.txt"]
    assert source.count == 5
    assert [row.path for row in source.rows] == [str(pile / name) for name in names]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.jpg", "does not exist, expected a picture, a PDF file or a folder of them: check the name"),
        ("nothing", "no pictures and no PDF files in it, expected sheets: check the name"),
        ("pipe", "is a device or a pipe, expected a picture, a PDF file or a folder of them: check the name"),
    ],
)
def test_what_is_no_pile_is_an_error_before_the_work(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "nothing").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError) as caught:
        done_with([tmp_path / name], tmp_path / "out.jsonl")
    assert str(caught.value) == f"{tmp_path / name}: {message}"
    assert not (tmp_path / "out.jsonl").exists()


def test_no_pictures_wrong_settings_and_a_missing_extra_are_errors_before_the_work(
    pile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(ConfigError, match="no pictures: name photographs, PDF files or folders of them"):
        done_with([], out)
    with pytest.raises((ConfigError, NumberError)):
        done_with([pile], out, mistake=1.5)
    monkeypatch.setitem(sys.modules, "pupil_apriltags", None)
    for name in ("codes", "registration", "tags", "settling"):
        monkeypatch.delitem(sys.modules, f"sumnist.sheets.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=r'reading sheets needs pupil_apriltags, .*"sumnist\[sheets\]"'):
        done_with([pile], out)
    assert list(tmp_path.iterdir()) == []


# CSV.


def test_a_csv_has_a_column_for_each_field_and_no_formulas(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph_of('=HYPERLINK("x")'))
    (tmp_path / "b.jpg").write_bytes(b"")
    done_with([tmp_path / "a.jpg", tmp_path / "b.jpg"], tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        first, second = csv.DictReader(stream)
    assert list(first) == [
        "row", "path", "identity", "state", "q1", "q2", "q3", "total", "corrected", "wrong", "look", "probability",
        "version", "error",
    ]  # fmt: skip
    assert first["identity"] == '\'=HYPERLINK("x")'
    written = as_people_write(EXAM, sheets().truth(0).values)
    assert {name: first[name] for name in written} == {name: f"{value:g}" for name, value in written.items()}
    assert (first["state"], first["version"], first["error"]) == ("adds up", "1", "")
    assert (second["state"], second["total"], second["probability"]) == ("unreadable", "", "")
    assert second["error"] == f"{tmp_path / 'b.jpg'}: empty, expected a picture: copy or save it again"


def test_a_csv_tells_corrections_mistakes_and_doubts_in_words() -> None:
    task = SheetTask(EXAM)
    candidates = [{"value": 1, "probability": 0.62}, {"value": None, "probability": 0.38}]
    values: dict[str, Any] = dict.fromkeys(["row", "error", *task.columns]) | {
        "state": "doubtful", "values": {"q1": 7, "q2": None},
        "corrections": [{"field": "q1", "read": 1, "value": 7, "probability": 0.99}],
        "wrong": [{"field": "total", "written": 7.5, "sum": 8, "kind": "off by one", "probability": 0.9}],
        "look": [{"field": "q2", "candidates": candidates}],
    }  # fmt: skip
    flat = task.flat(values)
    assert (flat["q1"], flat["q2"], flat["q3"]) == (7, None, None)
    assert (flat["corrected"], flat["wrong"], flat["look"]) == (
        "q1: 1 → 7",
        "total: 7.5, not 8",
        "q2: 1 (62%) or ? (38%)",
    )


def test_fields_that_are_called_like_a_column_have_one_of_their_own() -> None:
    layout = Layout.of_toml(
        b'title = "T"\n[[field]]\nname = "state"\ndigits = 1\n[[field]]\nname = "error"\ndigits = 1\n'
        b'[[total]]\nname = "row"\nformula = "row = state + error"'
    )
    task = SheetTask(layout)
    values: dict[str, Any] = dict.fromkeys(["row", "error", *task.columns])
    flat = task.flat(values | {"row": 5, "state": "adds up", "values": {"state": 1, "error": 2, "row": 3}})
    assert (flat["row"], flat["state"], flat["error"]) == (5, "adds up", None)
    assert (flat["row (field)"], flat["state (field)"], flat["error (field)"]) == (3, 1, 2)
    assert list(flat) == list(task.flat(dict.fromkeys(values)))


# What was begun.

SLOW = """
import sys
import sumnist.batch.table as table
from sumnist.sheets.piles import SheetTask
table.SAVE_EVERY, SheetTask.chunk = 0.0, 1
from sumnist.cli import main
sys.exit(main())
"""
"""The command line, with a note after each sheet."""


@pytest.fixture(scope="module")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve pictures: eight sheets, a PDF of two more, and two that are none."""
    folder = tmp_path_factory.mktemp("simple")
    for place in range(8):
        (folder / f"{place}.jpg").write_bytes(photograph(place % 4).data)
    as_pdf(folder / "b.pdf", photograph(2).data, photograph(3).data)
    (folder / "c.jpg").write_bytes(b"")
    (folder / "d.jpg").write_text("none")
    return folder


@pytest.fixture(scope="module")
def alone(simple: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is read of it, undisturbed, by the ending of the table."""
    folder = tmp_path_factory.mktemp("alone")
    for suffix in (".csv", ".jsonl"):
        done_with([simple], folder / f"marks{suffix}")
    return {suffix: (folder / f"marks{suffix}").read_bytes() for suffix in (".csv", ".jsonl")}


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_killed_three_times_no_row_is_lost_or_doubled(
    simple: Path, alone: dict[str, bytes], tmp_path: Path, suffix: str
) -> None:
    out, toml = tmp_path / f"marks{suffix}", tmp_path / "cover.toml"
    toml.write_text(EXAM.to_toml())
    words = ["sheet", "read", str(simple), "--layout", str(toml), "--out", str(out), "--workers", "1"]
    partial, before = out.with_name(f".{out.name}.partial"), 0
    for more in (2, 3, 3):
        process = subprocess.Popen([sys.executable, "-c", SLOW, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while process.poll() is None and lines_in(partial) < before + more:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        said = process.communicate()
        assert (process.returncode, said) == (-signal.SIGKILL, (b"", b"")), "it ended before it was killed"
        assert not out.exists()
        before = lines_in(partial)
    last = subprocess.run([sys.executable, "-c", SLOW, *words], capture_output=True, text=True, check=False)
    assert (last.returncode, last.stderr) == (1, "")
    assert "12 sheets, 2 unreadable" in last.stdout
    assert out.read_bytes() == alone[suffix]


def test_two_workers_write_the_same_bytes_as_one(simple: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    done = done_with([simple], tmp_path / "marks.jsonl", workers=2)
    assert (done.rows, done.failed) == (12, 2)
    assert (tmp_path / "marks.jsonl").read_bytes() == alone[".jsonl"]


def begun(simple: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a reading that was stopped after some rows."""
    from sumnist.batch.table import Output

    add = Output.add

    def add_and_stop(self: Output, *given: Any) -> None:
        add(self, *given)
        self.save()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Output, "add", add_and_stop)
        with pytest.raises(KeyboardInterrupt):
            done_with([simple], out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"mistake": 0.1}, "--mistakes"), ({"layout": replace(EXAM, version=2)}, "--layout"),
        ({"layout": OTHER}, "--layout"), ({"layout": replace(EXAM, title="Physics")}, "--layout"),
    ],
)  # fmt: skip
def test_what_was_begun_with_other_settings_is_not_gone_on_with_but_overwritten_if_asked(
    simple: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], name: str
) -> None:
    out = tmp_path / "marks.jsonl"
    begun(simple, out, monkeypatch)
    with pytest.raises(ScoreError) as caught:
        done_with([simple], out, **changed)
    assert str(caught.value) == (
        f"--out {out}: holds part of a scoring with another {name}: give the same {name} to go on with it, name "
        "another file, or add --overwrite"
    )
    done = done_with([simple], out, overwrite=True, **changed)
    assert (done.rows, done.read_now) == (12, 12)


def test_what_was_begun_is_gone_on_with_and_what_is_there_is_only_overwritten_if_asked(
    simple: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "marks.jsonl"
    begun(simple, out, monkeypatch)
    done = done_with([simple], out)
    assert (done.rows, done.read_now) == (12, 12 - SheetTask.chunk)
    assert out.read_bytes() == alone[".jsonl"]
    with pytest.raises(OutputError) as caught:
        done_with([simple], out)
    assert str(caught.value) == f"--out {out}: holds something already: name another file or add --overwrite"
    assert done_with([simple], out, overwrite=True).read_now == 12
    assert out.read_bytes() == alone[".jsonl"]


def test_what_is_to_be_done_then_is_done_again_where_it_failed(
    simple: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    out, seen = tmp_path / "marks.jsonl", []

    def fail() -> None:
        seen.append(out.read_bytes())
        raise OutputError("the disk is full")

    for _ in range(2):
        with pytest.raises(OutputError, match="the disk is full"):
            done_with([simple], out, then=fail)
    done = done_with([simple], out, then=lambda: seen.append(out.read_bytes()))
    assert (done.rows, done.failed, done.read_now) == (12, 2, 0)
    assert seen == [alone[".jsonl"]] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["marks.jsonl"]


@pytest.mark.heavy
@pytest.mark.ray
def test_a_ray_cluster_writes_the_same_bytes(simple: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    done_with([simple], tmp_path / "marks.jsonl", workers=2, engine="ray")
    assert (tmp_path / "marks.jsonl").read_bytes() == alone[".jsonl"]

"""Many sheets into tables: a row for each picture and page, one clear message for each that cannot be read, and what is
said of all together. The files that `sumnist sheet read` leaves, and that none of anybody else's is touched."""

from __future__ import annotations

import csv
import json
import os
import sys
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

import workbooks
from simulated_sheets import EXAM, as_people_write, photograph, photograph_of, sheets
from sumnist.cli import main
from sumnist.errors import DataError, MissingExtraError, OutputError
from sumnist.serve.review import Review, app_of
from sumnist.sheets.batch import SheetTask, Summary, read_batch, roster
from sumnist.sheets.layout import Layout, Person
from sumnist.sheets.review import Doubts, Recorder, beside

OTHER = Layout.of_line("9,7.5,12", "Mathematics")


def rows_of(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def marks_of(index: int) -> dict[str, float]:
    return as_people_write(EXAM, sheets().values(index))


def as_pdf(path: Path, *photographs: bytes) -> Path:
    """A PDF file with these pictures, one on each page."""
    first, *others = [Image.open(BytesIO(data)) for data in photographs]
    first.save(path, save_all=True, append_images=others, resolution=150)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four sheets that can be read, and what cannot be read."""
    folder = tmp_path_factory.mktemp("sheets")
    (folder / "a.jpg").write_bytes(photograph(0).data)
    whole = as_pdf(folder / "b.PDF", photograph(1).data, photograph(2).data).read_bytes()
    (folder / "deeper").mkdir()
    (folder / "deeper" / "c.jpg").write_bytes(photograph_of("0003", 3, replace(EXAM, version=2)))
    (folder / "broken.pdf").write_bytes(whole[:999])
    blank = Image.new("L", (800, 600), "white")
    blank.save(folder / "blank.pdf", save_all=True, append_images=[blank, blank])
    pages = [Image.open(BytesIO(photograph(index).data)).convert("L") for index in (1, 2)]
    pages[0].save(folder / "scan.tif", save_all=True, append_images=[pages[1]])
    pages[0].save(folder / "single.tif")
    (folder / "notes.txt").write_text("none of the sheets")
    (folder / ".hidden.jpg").write_text("nor is this")
    (folder / "other.jpg").write_bytes(photograph_of("x", 0, OTHER))
    return folder


ERRORS = {
    **{f"blank.pdf#page={page}": "no corner tag is found, expected a sheet of `sumnist" for page in (1, 2, 3)},
    "broken.pdf": "is no PDF, or damaged, expected a whole one: copy or save it again",
    "other.jpg": f"is of layout {OTHER.id}, expected {EXAM.id}: read it with --layout of its own TOML file",
}  # fmt: skip


def test_there_is_a_row_for_each_picture_and_page(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "marks.jsonl"
    done = read_batch([folder], EXAM, out, workers=1, progress=False)
    rows = rows_of(out)
    assert [row["row"] for row in rows] == list(range(len(rows)))
    assert (done.rows, done.failed, done.read_now) == (len(rows), len(ERRORS), len(rows))
    assert [path.name for path in tmp_path.iterdir()] == ["marks.jsonl"]
    found = {row["path"].removeprefix(f"{folder}{os.sep}"): row for row in rows}
    readable = {"a.jpg": 0, "b.PDF#page=1": 1, "b.PDF#page=2": 2, "deeper/c.jpg": 3, "scan.tif#page=1": 1,
                "scan.tif#page=2": 2, "single.tif": 1}  # fmt: skip
    assert list(found) == sorted([*readable, *ERRORS])
    for name, index in readable.items():
        row = found[name]
        assert row["values"] == marks_of(index)
        assert (row["state"], row["layout"], row["error"]) == ("adds up", EXAM.id, None)
        assert row["file"] == str(folder / name.partition("#")[0])
        assert (row["identity"], row["version"]) == (("0003", 2) if index == 3 else (f"{index:06}", 1))
    for name, error in ERRORS.items():
        assert {key for key, value in found[name].items() if value is not None} == {"row", "path", "error"}
        assert found[name]["error"].startswith(f"{folder / name}: {error}")
        assert "\n" not in found[name]["error"]


# The source.


def test_what_is_no_sheet_and_wrong_settings_are_errors_before_the_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out" / "out.jsonl"
    (tmp_path / "nothing").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("none.jpg", "does not exist"), ("nothing", "no pictures and no PDF files in it"),
        ("pipe", "is a device or a pipe"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=f"^{tmp_path / name}: {message}, expected .*: check the name$"):
            read_batch([tmp_path / name], EXAM, out, progress=False)
    monkeypatch.setitem(sys.modules, "pupil_apriltags", None)
    monkeypatch.delitem(sys.modules, "sumnist.sheets.registration", raising=False)
    with pytest.raises(MissingExtraError, match=r"^reading sheets needs pupil_apriltags, .*sumnist\[sheets\]"):
        read_batch([folder], EXAM, out)
    assert not out.parent.exists()


# CSV.


def test_a_csv_tells_corrections_mistakes_and_doubts_in_words_with_a_column_for_each_field() -> None:
    task = SheetTask(EXAM)
    nothing: dict[str, Any] = dict.fromkeys(["row", "error", *task.columns])
    flat = task.flat(nothing | {
        "values": {"q1": 1, "q2": None, "q3": 7, "total": 7.5},
        "corrections": [{"field": "q1", "read": 1, "value": 7, "probability": 0.99}],
        "wrong": [{"field": "total", "written": 7.5, "sum": 8, "kind": "off by one", "probability": 0.9}],
        "look": [{"field": "q2", "candidates": [{"value": 1, "probability": 0.62}]}],
    })  # fmt: skip
    assert {name: value for name, value in flat.items() if value is not None} == {
        "q1": 1, "q3": 7, "total": 7.5, "corrected": "q1: 1 → 7", "wrong": "total: 7.5, not 8",
        "look": "q2: 1 (62%)",
    }  # fmt: skip
    assert list(flat) == list(task.flat(nothing))
    assert task.flat(nothing | {"error": "torn"})["state"] == "unreadable"


# What became of all.


def row(path: str, identity: str | None = None, state: str | None = "adds up", **more: Any) -> dict[str, Any]:
    return {"path": path, "identity": identity, "state": state, "layout": EXAM.id, "version": 1, **more}


def test_what_is_odd_is_told_with_its_files() -> None:
    rows = [
        row("a.jpg", "Ada"), row("b.jpg", "Ada", "corrected"), row("c.jpg", "Zoe", "blank", version=3), row("d.jpg"),
        {"path": "e.jpg", "error": "too dark\nto read", "state": None},
    ]  # fmt: skip
    assert Summary(EXAM, [Person("Ada", "Ada Lovelace"), Person("Bo", "Bob")], rows).text().split("\n") == [
        "5 sheets: adds up 2, corrected 1, blank 1, unreadable 1",
        r"Unreadable, 1: e.jpg · too dark\nto read",
        "People without a readable sheet, 1: Bo · Bob",
        "On several sheets, 1: Ada · Ada Lovelace · a.jpg, b.jpg",
        "Not among the people, 2: Zoe · c.jpg; (none) · d.jpg",
        f"Of another layout or version, 1: {EXAM.id} · version 3 · 1 sheet",
    ]
    assert Summary(EXAM).text() == "0 sheets"
    rows = [row("a.jpg", "Ada"), row("b.jpg", "Bo", "doubtful")]
    assert Summary(EXAM, [Person("Ada"), Person("Bo")], rows).text() == "2 sheets: adds up 1, doubtful 1"
    assert [len(section.lines) for section in Summary(EXAM, (), [rows[0]] * 2).sections()] == [0, 0, 1, 0, 0]


def test_zeros_before_a_number_do_not_matter_where_it_is_clear_who_is_meant() -> None:
    seven, other, ada = Person("7"), Person("07"), Person("0042", "Ada")
    find = roster([seven, other, ada])
    assert [find(text) for text in ("7", "07", "007", "42", "000042", "420", "", "0", None)] == [
        seven, other, None, ada, ada, None, None, None, None,
    ]  # fmt: skip
    assert Summary(EXAM, [ada], [row("a.jpg", "42"), row("b.jpg", "0042")]).files == {"0042": ["a.jpg", "b.jpg"]}
    assert roster([Person("000")])("0") == Person("000")


# The command.


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the layout and a photograph."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/IMG_0.jpg").write_bytes(photograph(0).data)
    Path("cover.toml").write_text(EXAM.to_toml())
    return tmp_path


def read(out: str, *words: str) -> int:
    return main(["sheet", "read", "photos", "--layout", "cover.toml", "--out", out, "--workers", "1", *words])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_workbook_comes_with_rows_and_layout(few: Path, capsys: Any) -> None:
    for name, data in (("1", photograph(2).data), ("2", photograph(2).data), ("3", b"none")):
        Path(f"photos/IMG_{name}.jpg").write_bytes(data)
    Path("people.csv").write_text("id,name\n000000,Ada\n000007,Emmy\n")
    assert read("marks.xlsx", "--people", "people.csv") == 1  # a sheet is unreadable
    assert Layout.load("marks.toml") == EXAM
    assert [row["values"] for row in rows_of("marks.jsonl")] == [*map(marks_of, (0, 2, 2)), None]
    found = workbooks.opened(few / "marks.xlsx")["Marks"]
    assert [found.at(title, 2) for title in ("Identity", "Name", "State")] == ["000000", "Ada", "adds up"]
    assert found.at("State", 5) == "unreadable"
    told, errors = capsys.readouterr()
    *lines, last = told.splitlines()
    assert errors == ""
    assert lines[0] == "4 sheets: adds up 3, unreadable 1"
    assert last.startswith("marks.xlsx: 4 sheets, 1 failed; ")
    doubts = Doubts(Path("marks.jsonl"), Layout.load("marks.toml"))
    with closing(Recorder(beside(Path("marks.jsonl")))) as recorder:
        client = TestClient(app_of(Review(doubts, recorder), "token"), "http://127.0.0.1:8000/token")
        for name, value in marks_of(1).items():
            assert client.post("/correct", json={"row": 3, "field": name, "value": value}).status_code == 200
        client.post("/export", json={})
    found = workbooks.opened(few / "marks.xlsx")["Marks"]
    assert (found.at("State", 5), found.at("Total", 5)) == ("by hand", marks_of(1)["total"])
    before = files(few)
    assert read("marks.xlsx", "--overwrite") == 1  # what people said of the sheets is never put on others
    told = "sumnist: marks.corrections.jsonl: belongs to sheets that were read before: review them"
    assert capsys.readouterr().err.startswith(told)
    assert files(few) == before


def test_where_all_sheets_are_readable_it_ends_with_0_and_reads_again_only_if_asked(few: Path, capsys: Any) -> None:
    for out in ("marks.csv", "marks.jsonl"):
        assert read(out) == 0
        assert f"{out}: 1 sheet, 0 failed; " in capsys.readouterr().out
    with Path("marks.csv").open(encoding="utf-8", newline="") as stream:
        assert [line["total"] for line in csv.DictReader(stream)] == [f"{marks_of(0)['total']:g}"]
    assert main(["sheet", "review", out, "--no-browser"]) == 0
    assert capsys.readouterr().out.endswith("marks.jsonl: no sheet in it needs a person: nothing to do\n")
    before = files(few)
    assert sorted(before) == ["cover.toml", "marks.csv", "marks.jsonl", "marks.toml"]
    assert read(out) == OutputError.exit_code
    assert capsys.readouterr().err.startswith(f"sumnist: --out {out}: holds something already: name another file or")
    assert read(out, "--overwrite") == 0
    assert files(few) == before

"""`sumnist sheet read`: the files it leaves and what it prints, and that no file of anybody else's is touched."""

from __future__ import annotations

import csv
import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import workbooks
from simulated_sheets import EXAM, as_people_write, photograph, sheets
from sumnist.cli import main
from sumnist.cli.sheets import SheetRead
from sumnist.errors import OutputError
from sumnist.serve.review import Review, app_of
from sumnist.sheets.corrections import Recorder, beside
from sumnist.sheets.doubts import Doubts
from sumnist.sheets.layout import Layout
from sumnist.sheets.mistakes import MISTAKE


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sheets of 000000, 000001 and 000002, the last one twice, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("photographs")
    for place in range(3):
        (folder / f"IMG_{place}.jpg").write_bytes(photograph(place).data)
    shutil.copy(folder / "IMG_2.jpg", folder / "IMG_3.jpg")
    (folder / "IMG_4.jpg").write_text("none")
    return folder


@pytest.fixture
def place(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the layout and the photographs in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photographs, "photos")
    Path("cover.toml").write_text(EXAM.to_toml())
    return tmp_path


def read(*words: str) -> int:
    return main(["sheet", "read", *words, "--workers", "1"])


def read_photos(out: str, *words: str) -> int:
    return read("photos", "--layout", "cover.toml", "--out", out, *words)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def rows_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def marks_of(index: int) -> dict[str, float]:
    return as_people_write(EXAM, sheets().truth(index).values)


# What it writes.


def test_a_workbook_comes_with_its_rows_and_its_layout(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("people.csv").write_text("id,name\n000000,Ada\n1,Grace\n000007,Emmy\n")
    assert read_photos("marks.xlsx", "--people", "people.csv") == 1  # a sheet is unreadable
    assert sorted(files(place)) == ["cover.toml", "marks.jsonl", "marks.toml", "marks.xlsx", "people.csv"]
    assert Layout.load("marks.toml") == EXAM
    rows = rows_of("marks.jsonl")
    assert [row["path"] for row in rows] == [f"photos/IMG_{number}.jpg" for number in range(5)]
    assert [row["values"] for row in rows] == [*map(marks_of, (0, 1, 2, 2)), None]
    found = workbooks.opened(place / "marks.xlsx")["Marks"]
    titles = ("Identity", "Name", "State", "Question 1", "Question 2", "Question 3", "Total", "Total agrees?")
    for line, (name, index) in enumerate([("Ada", 0), ("Grace", 1), (None, 2), (None, 2)], 2):
        said = [found.at(title, line) for title in titles]
        assert [word or None for word in said] == [
            f"{index:06}", name, "adds up", *(number or None for number in marks_of(index).values()), "yes",
        ]  # fmt: skip
    assert found.at("State", 6) == "unreadable"
    told, errors = capsys.readouterr()
    *lines, last = told.splitlines()
    assert errors == ""
    assert lines == [
        "5 sheets: adds up 4, unreadable 1",
        "Unreadable, 1: photos/IMG_4.jpg · not a picture, expected PNG, JPEG or another format that Pillow opens: save "
        "it as PNG",
        "People without a readable sheet, 1: 000007 · Emmy",
        "On several sheets, 1: 000002 · photos/IMG_2.jpg, photos/IMG_3.jpg",
        "Not among the people, 2: 000002 · photos/IMG_2.jpg; 000002 · photos/IMG_3.jpg",
    ]
    assert last.startswith("marks.xlsx: 5 sheets, 1 unreadable; ")
    assert last.endswith(" a second")


def test_where_all_sheets_are_readable_it_ends_with_0(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read("photos/IMG_0.jpg", "--layout", "cover.toml", "--out", "new/marks.jsonl") == 0
    assert sorted(files(place / "new")) == ["marks.jsonl", "marks.toml"]
    first, last = capsys.readouterr().out.splitlines()
    assert first == "1 sheet: adds up 1"
    assert last.startswith("new/marks.jsonl: 1 sheet, 0 unreadable; ")


def test_a_csv_comes_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_photos("marks.csv") == 1
    assert sorted(files(place)) == ["cover.toml", "marks.csv"]
    with Path("marks.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["total"] for row in rows] == [*(f"{marks_of(place)['total']:g}" for place in (0, 1, 2, 2)), ""]
    assert capsys.readouterr().out.startswith("marks.csv: 5 sheets, 1 unreadable; ")


def test_what_was_read_can_be_reviewed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read("photos/IMG_0.jpg", "--layout", "cover.toml", "--out", "some.xlsx") == 0
    assert main(["sheet", "review", "some.jsonl", "--no-browser"]) == 0
    assert capsys.readouterr().out.endswith("some.jsonl: no sheet in it needs a person: nothing to do\n")
    assert read_photos("marks.xlsx") == 1
    doubts = Doubts(Path("marks.jsonl"), Layout.load("marks.toml"))
    assert list(doubts) == [4]
    with closing(Recorder(beside(Path("marks.jsonl")))) as recorder:
        client = TestClient(app_of(Review(doubts, recorder), "token"), "http://127.0.0.1:8000/token")
        for name, value in marks_of(1).items():
            assert client.post("/correct", json={"row": 4, "field": name, "value": value}).status_code == 200
        client.post("/export", json={})
    found = workbooks.opened(place / "marks.xlsx")["Marks"]
    assert (found.at("State", 6), found.at("Total", 6)) == ("by hand", marks_of(1)["total"])


# What is asked wrongly.


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--out", "marks.ods"), 2, "--out marks.ods: expected a name that ends in .xlsx, .csv or .jsonl"),
        (("--out", "marks"), 2, "--out marks: expected a name that ends in .xlsx, .csv or .jsonl"),
        (("--out", "marks.csv", "--people", "people.csv"), 2,
         "--people people.csv: is for .xlsx and .jsonl: leave it out, or change --out"),
        (("--out", "marks.xlsx", "--layout", "none.toml"), 2,
         "none.toml: cannot be read (no such file or directory), expected a layout: check the name"),
        (("--out", "marks.xlsx", "--people", "none.csv"), 1,
         "none.csv: cannot be read (no such file or directory), expected a CSV file of people: check the name"),
        (("--out", "marks.xlsx", "--people", "broken.csv"), 1,
         "broken.csv: line 1: 3 columns, expected an identity, and perhaps a name: leave the others out"),
        (("--out", "photos/IMG_4.jsonl", "none"), 1,
         "none: does not exist, expected a picture, a PDF file or a folder of them: check the name"),
        (("--out", "photos.xlsx"), 1, "photos.xlsx: is a folder, expected the name of a file: give another name"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_told_in_a_line_before_the_work(
    place: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, message: str
) -> None:
    Path("broken.csv").write_text("a,b,c\n")
    Path("photos.xlsx").mkdir()
    before = files(place)
    layout = () if "--layout" in words else ("--layout", "cover.toml")
    assert read("photos", *words, *layout) == status
    assert capsys.readouterr() == ("", f"sumnist: {message}\n")
    assert files(place) == before


@pytest.mark.parametrize("words", [("photos", "--out", "marks.xlsx"), ("photos", "--layout", "cover.toml"), ()])
def test_what_is_missing_is_told(place: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert main(["sheet", "read", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(files(place)) == ["cover.toml"]


# What is there already.


def refused(place: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What is said of a reading that is refused and changes no file."""
    before = files(place)
    assert read_photos(*words) == OutputError.exit_code
    assert files(place) == before
    told = capsys.readouterr()
    assert told.out == ""
    return told.err.removeprefix("sumnist: ").removesuffix("\n")


@pytest.mark.parametrize("out", ["marks.xlsx", "marks.jsonl"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
@pytest.mark.parametrize("content", ["mine", replace(EXAM, title="Physics").to_toml(), ""])
def test_another_layout_where_its_own_would_go_is_never_replaced(
    place: Path, capsys: pytest.CaptureFixture[str], out: str, overwrite: tuple[str, ...], content: str
) -> None:
    Path("marks.toml").write_text(content)
    assert refused(place, capsys, out, *overwrite) == (
        "marks.toml: is not the layout cover.toml, and reading writes that there: move it away, or choose another --out"
    )


def test_the_same_layout_in_other_words_stays_as_it_is(place: Path) -> None:
    words = "# As we agreed in May.\n" + EXAM.to_toml()
    Path("marks.toml").write_text(words)
    assert read("photos/IMG_0.jpg", "--layout", "marks.toml", "--out", "marks.xlsx") == 0
    assert Path("marks.toml").read_text() == words


def test_a_workbook_that_is_there_is_only_replaced_if_asked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("marks.xlsx").write_text("mine")
    assert refused(place, capsys, "marks.xlsx") == (
        "--out marks.xlsx: is there already: name another file or add --overwrite"
    )
    assert read_photos("marks.xlsx", "--overwrite") == 1
    assert "Marks" in workbooks.opened(place / "marks.xlsx")


@pytest.mark.parametrize("out", ["marks.xlsx", "marks.jsonl", "marks.csv"])
def test_what_was_read_before_is_only_read_again_if_asked(
    place: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    assert read_photos(out) == 1
    capsys.readouterr()
    rows = out.replace("xlsx", "jsonl")
    assert refused(place, capsys, out) == (
        f"--out {rows}: holds something already: name another file or add --overwrite"
    )
    before = files(place)
    assert read_photos(out, "--overwrite") == 1
    after = files(place)
    assert after.keys() == before.keys()
    assert after[rows] == before[rows]


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_what_people_said_of_the_sheets_is_never_put_on_others(
    place: Path, capsys: pytest.CaptureFixture[str], overwrite: tuple[str, ...]
) -> None:
    assert read_photos("marks.xlsx") == 1
    capsys.readouterr()
    with closing(Recorder(beside(Path("marks.jsonl")))) as recorder:
        recorder.correct(0, "q1", 3, 4)
    Path("photos/IMG_0.jpg").unlink()
    assert refused(place, capsys, "marks.xlsx", *overwrite) == (
        "marks.corrections.jsonl: has what people said of the sheets that were read before: go on with `sumnist sheet "
        "review marks.jsonl`, or choose another --out"
    )


def test_where_the_workbook_could_not_be_written_nothing_is_read_again(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("marks.xlsx: cannot be written (no space left on device): free some space")

    with monkeypatch.context() as patch:
        patch.setattr("sumnist.sheets.export.export", full)
        assert read_photos("marks.xlsx") == 1
    assert "no space left" in capsys.readouterr().err
    rows = Path("marks.jsonl").read_bytes()
    monkeypatch.setattr("sumnist.sheets.reading.SheetReader.read", None)
    assert read_photos("marks.xlsx") == 1
    assert Path("marks.jsonl").read_bytes() == rows
    assert sorted(files(place)) == ["cover.toml", "marks.jsonl", "marks.toml", "marks.xlsx"]
    assert "5 sheets, 1 unreadable; 0.0 a second" in capsys.readouterr().out


def test_the_command_expects_as_many_mistakes_as_the_package() -> None:
    assert SheetRead.__dataclass_fields__["mistakes"].default == MISTAKE

"""The review of sheets behind its page: who may ask, what is recorded and when, and what is asked of which sheet."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import workbooks
from review_sheets import certain, doubtful, said, unreadable, write_marks, wrong
from simulated_sheets import EXAM
from sumnist.cli import main
from sumnist.errors import DataError
from sumnist.serve.review import Review, app_of
from sumnist.sheets.layout import Rectangle
from sumnist.sheets.printing import pdf
from sumnist.sheets.review import Doubts, Recorder, beside, read_rows, straightened

TOKEN = "a-token"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sheets 0 to 3: certain, doubtful, wrong and unreadable."""
    folder = tmp_path_factory.mktemp("sheets")
    write_marks(folder, [certain(folder, 0), doubtful(folder, 1), wrong(folder, 2), unreadable(folder, 3)])
    return folder


@pytest.fixture
def rows(photographs: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (photographs / "marks.jsonl").read_text().splitlines()]


@pytest.fixture
def marks(rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    """Their rows, in a folder of its own."""
    return write_marks(tmp_path, rows)


Opened = Callable[[Path], TestClient]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """A client of a review of some marks, which begins every path with the token."""
    recorders: list[Recorder] = []

    def make(marks: Path) -> TestClient:
        recorders.append(Recorder(beside(marks)))
        app = app_of(Review(Doubts(marks, EXAM), recorders[-1]), TOKEN)
        return TestClient(app, f"http://127.0.0.1:8000/{TOKEN}", raise_server_exceptions=False)

    yield make
    for recorder in recorders:
        recorder.close()


@pytest.fixture
def client(opened: Opened, marks: Path) -> TestClient:
    return opened(marks)


def correct(client: TestClient, row: int, field: str, value: object) -> None:
    answer = client.post("/correct", json={"row": row, "field": field, "value": value})
    assert (answer.status_code, answer.json()) == (200, {"value": value})


def lines(marks: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in beside(marks).read_text().splitlines()]


# Who may ask.

PATHS = ("/", "/state", "/sheet?row=1", "/picture?row=1", "/crop?row=1&field=q2", "/static/review.js")
FOREIGN = [
    {"host": "evil.example:8000"}, {"host": "127.0.0.1.evil.example"}, {"host": ""},
    {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:9000"},
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
]  # fmt: skip


def test_whoever_is_not_of_this_page_learns_and_changes_nothing(client: TestClient, marks: Path) -> None:
    for path in PATHS:
        assert client.get(path).status_code == 200
        for headers in FOREIGN:
            answer = client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
            assert "Person" not in answer.text
    for token in ("", "/", "/a-toke", "/a-token2", "/A-TOKEN", "/ä", "/%00", "/static", "/.."):
        assert {client.get(f"http://127.0.0.1:8000{token}{path}").status_code for path in PATHS} == {404}
    body = {"row": 1, "field": "q2", "value": 7}
    for headers in FOREIGN:
        assert client.post("/correct", json=body, headers=headers).status_code == 404
    form = {"content-type": "application/x-www-form-urlencoded"}  # what a form of any page may send
    assert client.post("/correct", content=json.dumps(body), headers=form).status_code == 415
    assert lines(marks) == []


PATHS_ELSEWHERE = """
    /static/../review.py /static/%2e%2e/review.py /../marks.jsonl /marks.jsonl //etc/passwd /picture?row=1e0 /picture
    /picture?row=0 /picture?row=-1 /crop?row=1&field=../../marks /crop?row=3&field=q1 /sheet?row=4 /correct/
"""


def test_no_path_leads_to_anything_else(client: TestClient) -> None:
    for path in PATHS_ELSEWHERE.split():
        answer = client.get(path)
        assert (path, answer.status_code, answer.headers["content-type"]) == (path, 404, "application/problem+json")


SENSELESS = [
    ("/correct", "{", 400), ("/correct", "[]", 422), ("/correct", "[" * 4000, 400), ("/correct", "x" * 5000, 413),
    ("/correct", '{"row": "1"}', 404), ("/correct", '{"row": true}', 404), ("/correct", '{"row": 0}', 404),
    ("/correct", '{"row": 1}', 422), ("/mark", '{"row": 0, "mark": "accepted"}', 404),
    ("/mark", '{"row": 1, "mark": "done"}', 422),
    *(("/correct", f'{{"row": 1, "field": {field}, "value": {value}}}', 422) for field, value in (
        ('"q9"', "1"), ("null", "1"), ('"q1"', "10"), ('"q1"', "-1"), ('"q1"', "7.5"), ('"q1"', "NaN"),
        ('"q1"', "1e999"), ('"q1"', '"7"'), ('"q1"', "true"), ('""', "7"), ('""', '" "'), ("[]", "1"),
        ('"q2"', "7.25"), ('"q2"', "8"),
    )),
]  # fmt: skip


def test_what_makes_no_sense_is_refused_and_not_recorded(client: TestClient, marks: Path) -> None:
    for path, content, status in SENSELESS:
        answer = client.post(path, content=content, headers={"content-type": "application/json"})
        assert (content, answer.status_code) == (content, status)
        assert answer.json()["detail"]
    assert lines(marks) == []


# What is asked.


def test_only_sheets_that_need_somebody_are_there_and_each_is_asked_what_settles_it(client: TestClient) -> None:
    state = client.get("/state").json()
    assert (state["sheets"], state["count"]) == ([[1, None], [2, None], [3, None]], 4)
    assert [field["name"] for field in state["fields"]] == ["", "q1", "q2", "q3", "total"]
    assert [field.get("largest") for field in state["fields"]] == [None, 9, 7.5, 13, 29.5]
    one, two, three = (client.get(f"/sheet?row={row}").json()["questions"] for row in (1, 2, 3))
    probable = [{"value": value, "probability": share, "note": ""} for value, share in
                ((1, 0.62), (7, 0.375), (None, 0.005))]  # fmt: skip
    assert one == [{"field": "q2", "candidates": probable}]
    told = [{"value": value, "probability": None, "note": note} for value, note in
            ((20.5, "the sum"), (21.5, "as written"))]  # fmt: skip
    assert two == [{"field": "total", "candidates": told}]
    assert three == [{"field": name, "candidates": []} for name in ("", "q1", "q2", "q3", "total")]


def test_of_a_wrong_sheet_in_doubt_the_sum_is_among_what_the_total_may_be(marks: Path) -> None:
    look = [{"field": name, "candidates": [{"value": 21.5, "probability": 0.9}]} for name in ("q2", "total")]
    doubts = Doubts(marks, EXAM)
    asked = {one["field"]: one["candidates"] for one in doubts.questions(doubts.row(2) | {"look": look})}
    assert [candidate["value"] for candidate in asked["total"]] == [21.5, 20.5]


def test_a_last_row_is_left_out_if_it_was_written_by_half(marks: Path) -> None:
    rows = [[row["row"] for row in read_rows(marks, EXAM)]]
    for _ in range(2):
        marks.write_bytes(marks.read_bytes()[:-1])
        rows.append([row["row"] for row in read_rows(marks, EXAM)])
    assert rows == [rows[0], rows[0], rows[0][:-1]]


def picture(content: bytes) -> Image.Image:
    found = Image.open(BytesIO(content))
    found.load()
    return found


def test_the_page_is_straightened_and_a_field_and_its_crop_are_where_they_are_said_to_be(client: TestClient) -> None:
    sheet = client.get("/sheet?row=1").json()
    whole = picture(client.get("/picture?row=1").content).convert("L")
    assert whole.size == (sheet["width"], sheet["height"])
    seven = picture(client.get("/crop?row=1&field=q2").content)
    assert (seven.format, list(seven.size)) == ("PNG", sheet["crops"]["q2"])
    grey = np.asarray(seven.convert("L"))[24 + 12 : 24 + 108]
    assert (grey[:, 24 + 10 : 24 + 86] < 120).sum() > 500  # inside the first box, at 12 pixels a millimetre
    assert (grey[:, 24 + 11 * 12 + 10 : 24 + 11 * 12 + 86] < 120).sum() == 0


def test_a_picture_that_moved_to_the_marks_or_is_a_page_is_found_and_one_that_is_gone_is_said_to_be(
    opened: Opened, photographs: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    moved, gone = rows[1] | {"file": "/moved/IMG_1.jpg"}, rows[2] | {"file": "/gone/IMG_2.jpg", "path": "IMG_2.jpg"}
    (tmp_path / "IMG_1.jpg").write_bytes((photographs / "IMG_1.jpg").read_bytes())
    (tmp_path / "scan.pdf").write_bytes(pdf(EXAM))
    page = {"row": 3, "path": "scan.pdf#page=1", "file": str(tmp_path / "scan.pdf"), "error": "no code", "state": None}
    client = opened(write_marks(tmp_path, [moved, gone, page, page | {"row": 4, "path": "scan.pdf#page=2"}]))
    assert client.get("/sheet?row=1").json()["missing"] is None
    sheet = client.get("/sheet?row=2").json()
    assert sheet["missing"] == (
        f"IMG_2.jpg: is not there any more, expected the picture read: put it back, or into {tmp_path}"
    )
    answer = client.get("/picture?row=2")
    assert (answer.status_code, answer.json()["detail"]) == (400, sheet["missing"])
    correct(client, 2, "total", 20.5)
    sheet = client.get("/sheet?row=3").json()
    assert sheet["missing"] is None
    assert sheet["width"] / sheet["height"] == pytest.approx(210 / 297, abs=0.01)
    assert "scan.pdf" in client.get("/sheet?row=4").json()["missing"]


# What is recorded.


def test_a_correction_is_on_the_disk_before_it_is_answered_and_a_full_disk_changes_nothing(
    client: TestClient, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []

    def fsync(file: int) -> None:
        synced.append(beside(marks).read_bytes())
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sumnist.files.os.fsync", fsync)
    correct(client, 1, "q2", 7)
    assert synced == [beside(marks).read_bytes()]
    answer = client.post("/correct", json={"row": 1, "field": "q2", "value": 1})
    assert answer.status_code == 500
    assert "no space left on device" in answer.json()["detail"]
    assert client.get("/sheet?row=1").json()["corrected"] == {"q2": 7}
    correct(client, 1, "q2", 7.5)
    told = [{key: line[key] for key in ("row", "field", "before", "after", "who")} for line in lines(marks)]
    assert told == [{"row": 1, "field": "q2", "before": before, "after": after, "who": "review"}
                    for before, after in ((1, 7), (7, 7.5))]  # fmt: skip


def test_the_last_word_counts_and_each_undo_takes_the_last_change_back_by_another_line(
    client: TestClient, marks: Path
) -> None:
    for row, field, value in ((2, "total", 20.5), (3, "", "Ada"), (3, "q1", None), (1, "q2", 1), (1, "q2", 7)):
        correct(client, row, field, value)
    assert client.post("/mark", json={"row": 2, "mark": "skipped"}).json() == {"left": 2}
    assert client.post("/mark", json={"row": 1, "mark": "accepted"}).json() == {"left": 1}
    others = {2: {"total": 20.5}, 3: {"": "Ada", "q1": None}}
    assert (said(marks).values, said(marks).marks) == (others | {1: {"q2": 7}}, {1: "accepted", 2: "skipped"})
    undone = [(*client.post("/undo", json={}).json().values(), said(marks).values, said(marks).marks) for _ in range(9)]
    assert undone[2] == (1, "q2", others | {1: {"q2": 1}}, {})
    assert undone[-2:] == [(None, None, {}, {})] * 2


def test_what_is_no_correction_is_named(marks: Path) -> None:
    valid = {"time": "t", "row": 1, "field": "q2", "after": 1, "who": "review"}
    changes: list[dict[str, Any]] = [{"after": []}, {"field": None, "after": "maybe"}, {"undo": True}, {"row": "1"}]
    for line in ("[]", "{}", "7", *(json.dumps(valid | change) for change in changes)):
        beside(marks).write_text(f"{line}\n")
        with pytest.raises(DataError) as error:
            Recorder(beside(marks))
        told = f"{beside(marks)}, line 1: no correction of a sheet: take the line out"
        assert (str(error.value), beside(marks).read_text()) == (told, f"{line}\n")


# The table.


def test_the_workbook_is_written_again_with_what_was_said_and_pictures_of_what_is_left(
    client: TestClient, marks: Path
) -> None:
    def exported() -> dict[str, workbooks.Sheet]:
        assert client.post("/export", json={}).json() == {"path": str(marks.with_suffix(".xlsx"))}
        return workbooks.opened(marks.with_suffix(".xlsx"))

    left = exported()["To look at"]
    assert [(picture(png).format, told) for png, told in left.pictures.values()] == [("PNG", "Question 2 on IMG_1.jpg")]
    correct(client, 1, "q2", 7)
    correct(client, 3, "", "=Ada")
    client.post("/mark", json={"row": 1, "mark": "accepted"})
    sheets = exported()
    assert (len(sheets["To look at"].lines()), sheets["To look at"].pictures) == (1, {})
    states = [(sheets["Marks"].at("State", line), sheets["Marks"].at("Question 2", line)) for line in range(2, 6)]
    assert states == [("adds up", 2), ("by hand", 7), ("does not add up", 7.5), ("unreadable", None)]
    assert sheets["Marks"].at("Identity", 5) == "=Ada"


# The command.


def test_a_review_is_answered_where_it_says_it_is_and_ends_with_ctrl_c(marks: Path) -> None:
    words = [sys.executable, "-m", "sumnist", "sheet", "review", str(marks), "--no-browser"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        url, _, says = process.stdout.readline().partition(": ")
        assert says == "3 sheets to look at; Ctrl-C ends this\n"
        assert url.startswith("http://127.0.0.1:")
        body = json.dumps({"row": 1, "field": "q2", "value": 7}).encode()
        with urlopen(Request(f"{url}correct", body, {"content-type": "application/json"}), timeout=20) as answer:
            assert json.loads(answer.read()) == {"value": 7}
        process.send_signal(signal.SIGINT)
        assert (process.communicate(timeout=20)[1], process.returncode) == ("", 0)
    assert said(marks).values == {1: {"q2": 7}}


def run(*words: object) -> int:
    return main(["sheet", "review", *map(str, words), "--no-browser"])


NO_SHEET = "not a sheet that was read, expected a JSON object: take it out"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        *((line, f", line 2: {NO_SHEET}") for line in ("{", "{}", "[]")),
        ('{"row": 0, "path": "a.jpg", "error": "torn"}', ", line 2: row 0 is there twice, expected each once"),
        ('{"row": 1, "path": "a.jpg", "error": "torn", "layout": "another"}',
         f", line 2: a sheet of layout another, expected {EXAM.id}: name its --layout"),
    ],
)  # fmt: skip
def test_a_file_or_a_line_that_is_no_sheet_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    marks = write_marks(tmp_path, [certain(tmp_path, 0)])
    with marks.open("a") as stream:
        stream.write(f"{line}\n")
    layout = marks.with_suffix(".toml").rename(tmp_path / "other.toml")
    assert run(marks) == 2
    assert "marks.toml: cannot be read" in capsys.readouterr().err
    assert run(marks, "--layout", layout) == 1
    assert capsys.readouterr().err.startswith(f"sumnist: {marks}{message}")


def test_a_port_that_is_taken_is_said_to_be_and_leaves_nothing_behind(
    marks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(marks, "--port", port) == 2
    told = f"sumnist: --port {port}: cannot listen there (address already in use), expected an address of this machine"
    assert capsys.readouterr().err.startswith(told)
    assert not beside(marks).exists()


def test_a_crop_of_a_picture_with_too_many_pixels_is_their_mean() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (800, 800), np.uint8)).convert("RGB")
    matrix = [8.0, 0, 0, 0, 8.0, 0, 0, 0, 1]  # eight pixels a millimetre
    crop = np.asarray(straightened(noise, matrix, Rectangle(10, 10, 40, 30), 2.0), float)
    assert crop.shape == (60, 80, 3)
    assert crop.std() < 30  # of one pixel in sixteen it would be 74


def test_without_the_token_there_is_nothing(client: TestClient) -> None:
    for token in ("", "/", "/a-toke", "/a-token2", "/A-TOKEN", "/ä", "/%00", "/static", "/.."):
        for path in PATHS:
            assert client.get(f"http://127.0.0.1:8000{token}{path}").status_code == 404

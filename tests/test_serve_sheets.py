"""The API of forms and tables: a form is printed, filled in, photographed and read; a table is read; workbooks open."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from served import BLANK, check_problem, encoded, files
from simulated_sheets import EXAM, photograph, photograph_of
from sumnist import tables
from sumnist.serve import models
from sumnist.serve.app import STATIC
from sumnist.sheets.layout import Layout
from sumnist.sheets.printing import pdf
from sumnist.sheets.reading import SheetReader
from workbooks import Sheet, opened

FORM, SHEETS, TABLES = "/v1/sheets/form", "/v1/sheets", "/v1/tables"
LINE = "9,7,13,12"
TALLY = Path(__file__).parent / "golden/tables/tally.png"
CORRECTED = (STATIC / "sample-form.jpg").read_bytes()
"""A photograph of a form of `LINE`, on which the total corrects question 1."""
TOML = 'title = "Fête …"\n[[field]]\nname = "a"\nlargest = 9\n[[total]]\nname = "t"\nformula = "t = a"\n'


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server puts temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def client(with_settings: Callable[..., TestClient], temporary: Path) -> TestClient:
    """A client of a server that has time to read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        return with_settings(reading_seconds=60)


def book(answer: Any, folder: Path) -> dict[str, Sheet]:
    """The sheets of the workbook in an answer."""
    path = folder / "book.xlsx"
    path.write_bytes(b64decode(answer["workbook"]))
    return opened(path)


# Printing.


@pytest.mark.parametrize(("text", "layout"), [
    ("9,7.5,13", Layout.of_line("9,7.5,13")), (TOML, Layout.of_toml(TOML.encode())),
])  # fmt: skip
def test_a_form_is_printed_as_the_command_prints_it(client: TestClient, text: str, layout: Layout) -> None:
    asked: list[dict[str, Any]] = [{"json": {"layout": text}}, {"files": {"layout": ("cover.toml", text.encode())}}]
    for given in asked:
        answer = client.post(FORM, **given)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
        assert answer.content == pdf(layout)


@pytest.mark.parametrize(("layout", "detail"), [
    ("9,x", "question 2: largest mark 'x', expected as in 9 or 7.5"), ("a = [", "is no TOML"),
    (5, "layout 5: expected a text"), (",".join(["9"] * 100), "101 fields, expected 1 to 100"),
    (TOML.replace("Fête", "שלום"), "ש (U+05E9"),
])  # fmt: skip
def test_a_layout_that_cannot_be_used_is_a_problem_that_says_why(client: TestClient, layout: Any, detail: str) -> None:
    check_problem(client.post(FORM, json={"layout": layout}), 422, "layout", None, FORM, detail)
    if "U+" not in detail:  # a title matters to the printer alone
        asked = {"sheets": [{"picture": encoded(CORRECTED), "layout": layout}]}
        check_problem(client.post(SHEETS, json=asked), 422, "layout", None, SHEETS, detail)


# Reading.


def test_filled_forms_are_read_as_the_command_reads_them(client: TestClient, temporary: Path, tmp_path: Path) -> None:
    pictures = [photograph(0).data, BLANK, photograph_of("Ada"), b"no picture"]
    given: dict[str, Any] = {"files": files(*pictures), "data": {"layout": EXAM.to_toml(), "name": list("abcd")}}
    answer = client.post(f"{SHEETS}?workbook=true", **given)
    assert (answer.status_code, [*temporary.iterdir()]) == (200, [])
    found = answer.json()
    models.Sheets.model_validate(found)
    assert found["title"] == "Mathematics"
    assert [one["label"] for one in found["fields"]] == ["Question 1", "Question 2", "Question 3", "Total"]
    first, blank, ada, none = found["rows"]
    read = SheetReader(EXAM).read(pictures[0]).as_dict()
    assert first == {"row": 0, "path": "a", "notes": first["notes"], "error": None} | read
    assert ada["identity"] == "Ada"
    assert [row["state"] for row in (blank, none)] == [None, None]
    assert blank["error"].startswith("b: no corner tag is found, expected a sheet of `sumnist sheet new` with four")
    assert none["error"].startswith("d: not a picture, expected PNG, JPEG")
    sheets = book(found, tmp_path)
    assert list(sheets) == ["Marks", "To look at", "Summary"]
    marks = sheets["Marks"]
    assert [marks.at("State", line) for line in (2, 3)] == [first["state"], "unreadable"]
    assert [marks.at("Question 2", line) for line in (2, 4)] == [row["values"]["q2"] for row in (first, ada)]
    assert [marks.at("File", line) for line in range(2, 6)] == list("abcd")


def test_each_page_of_a_pdf_is_a_form(client: TestClient) -> None:
    def scan(pages: int) -> bytes:
        picture = Image.open(BytesIO(photograph_of("Ada")))
        picture.save(stream := BytesIO(), "PDF", save_all=True, append_images=[picture] * (pages - 1), resolution=150)
        return stream.getvalue()

    given: dict[str, Any] = {"data": {"layout": EXAM.to_toml(), "name": "scan.pdf"}}
    answer = client.post(SHEETS, files=files(scan(2)), **given)
    rows = answer.json()["rows"]
    assert [(row["path"], row["identity"]) for row in rows] == [(f"scan.pdf#page={page}", "Ada") for page in (1, 2)]
    (row,) = client.post(SHEETS, files=files(b"%PDF-1.4 and no more"), **given).json()["rows"]
    assert row["error"].startswith("scan.pdf: is no PDF, or damaged")
    check_problem(client.post(SHEETS, files=files(scan(11)), **given), 422, "invalid-request", None, SHEETS,
                  "11 pages: expected 1 to 10")  # fmt: skip
    check_problem(client.post(TABLES, files=files(scan(2))), 422, "invalid-request", None, TABLES,
                  "picture#page=1: is one of 2 pages, expected a single page")  # fmt: skip
    answer = client.post(TABLES, files=files(b"%PDF-"))
    check_problem(answer, 400, "damaged-picture", None, TABLES, "picture: is no PDF, or damaged")


def test_what_is_wrong_with_a_request_is_a_problem(client: TestClient) -> None:
    sheet = {"picture": encoded(BLANK), "layout": LINE}
    cases: list[tuple[str, dict[str, Any], str]] = [
        (FORM, {"json": {}}, "the body: no layout, expected {"),
        (FORM, {"files": files(BLANK)}, "the body: no layout, expected {"),
        (SHEETS, {"files": files(BLANK)}, "sheet 1: no layout, expected {"),
        (SHEETS, {"files": files(*[BLANK] * 11), "data": {"layout": LINE}}, "11 sheets: expected 1 to 10: "),
        (SHEETS, {"json": {"sheets": [sheet] * 11}}, "11 sheets: expected 1 to 10: "),
        (SHEETS, {"json": {"sheets": [sheet, sheet | {"layout": "9,8"}]}}, "different layouts: expected the same one"),
        (SHEETS, {"json": {"sheets": [sheet | {"name": 5}]}}, "name 5: expected a text"),
        (TABLES, {"files": files(BLANK, BLANK)}, "2 fields named picture for 2 pictures: expected one"),
    ]
    for path, given, detail in cases:
        check_problem(client.post(path, **given), 422, "invalid-request", None, path, detail)


# Tables.


def test_a_table_is_read_as_by_the_package(client: TestClient, tmp_path: Path) -> None:
    given: dict[str, Any] = {"files": files(TALLY.read_bytes()), "data": {"name": "bill.jpg"}}
    found = client.post(f"{TABLES}?workbook=true", **given).json()
    models.ReadTable.model_validate(found)
    read = tables.read(TALLY).as_dict()
    assert (found["path"], found["rows"], found["columns"]) == ("bill.jpg", read["rows"], read["columns"])
    assert [one["value"] for one in found["cells"]] == [one["value"] for one in read["cells"]]
    sheets = book(found, tmp_path)
    assert list(sheets) == ["Page 1", "Numbers"]
    assert sheets["Page 1"].values["A1"] == "bill.jpg"


def test_a_picture_without_a_table_is_a_problem(client: TestClient) -> None:
    answer = client.post(TABLES, files=files(BLANK))
    check_problem(answer, 422, "sheet", None, TABLES, "picture: no numbers found on it, expected a table")
    check_problem(client.post(TABLES, files=files(b"hello")), 415, "unknown-format", None, TABLES, "picture: ")

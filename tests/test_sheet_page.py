"""The page prints a form, reads filled ones and tables that others wrote, and gives the workbooks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from page_checks import choose, give, white
from sumnist.serve.app import STATIC
from sumnist.sheets.layout import Layout
from sumnist.sheets.printing import pdf
from workbooks import opened

pytestmark = pytest.mark.browser

FORM, TABLE, ASKED = "#sheet-form", "#sheet-table", "**/v1/sheets?*"

EXAM = Layout.of_line("9,7.5,13", "Mathematics")
FILLED = (STATIC / "sample-form.jpg").read_bytes()
"""A photograph of a filled form with the largest marks 9, 7, 13 and 12."""


def part(page: Page, name: str, pane: str = FORM) -> Locator:
    return page.locator(f"{pane} [data-part={name}]")


def picture(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


def downloaded(page: Page, button: str, folder: Path) -> Path:
    """The file that a button gives."""
    with page.expect_download() as found:
        page.get_by_role("button", name=button).click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


# Printing.


def test_a_form_is_printed_and_its_layout_is_kept_and_saved(page: Page, tmp_path: Path) -> None:
    choose(page, "A sheet")
    assert downloaded(page, "Get the PDF", tmp_path).read_bytes() == pdf(Layout.of_line("9,7,13,12"))
    part(page, "asks").fill("9, 7.5, 13")
    part(page, "title").fill("Mathematics")
    path = downloaded(page, "Get the PDF", tmp_path)
    assert (path.name, path.read_bytes()) == ("mathematics.pdf", pdf(EXAM))
    page.reload()
    expect(part(page, "asks")).to_have_value("9, 7.5, 13")
    path = downloaded(page, "Save the layout", tmp_path)
    assert (path.name, Layout.load(path)) == ("mathematics.toml", EXAM)
    part(page, "asks").fill('Cakes "sold" 200\nGifts and flowers: 0050')
    part(page, "numbered").check()
    layout = Layout.load(downloaded(page, "Save the layout", tmp_path))
    assert [(one.label, one.largest) for one in layout.fields] == [
        ('Cakes "sold"', 200), ("Gifts and flowers", 50), ("Total", 250),
    ]  # fmt: skip
    assert layout.identity.kind == "digits"


# Reading forms.


def test_filled_forms_are_read_one_by_one_and_all_are_in_the_workbook(page: Page, tmp_path: Path) -> None:
    choose(page, "A sheet")
    pictures = {"one.jpg": FILLED, "two.jpg": FILLED, "none.png": white()}
    page.set_input_files("#form-files", [picture(*one) for one in pictures.items()])
    expect(part(page, "verdict")).to_have_text("3 sheets: corrected 2, unreadable 1.")
    cards = page.locator(f"{FORM} .sheet")
    expect(cards.nth(1).locator("h3")).to_have_text("two.jpg · Pupil 07")
    labels = [f"Question {place}" for place in (1, 2, 3, 4)]
    expect(cards.nth(1).locator("tbody th")).to_have_text([*labels, "Total"])
    expect(cards.nth(2)).to_contain_text("Unreadable. No corner tag is found, expected a sheet of")
    expect(cards.nth(2).locator("table")).to_be_hidden()
    book = opened(downloaded(page, "Get the workbook", tmp_path))
    marks = book["Marks"]
    assert [marks.at("File", line) for line in (2, 3, 4)] == [*pictures]
    shown = cards.nth(1).locator("tbody td:nth-child(2)").all_inner_texts()
    assert shown == ["6", "3", "3", "5", "17"] == [f"{marks.at(label, 3):g}" for label in (*labels, "Total")]
    part(page, "asks").fill("9, 7")
    part(page, "asks").blur()  # they are forms of another layout then
    expect(part(page, "verdict")).to_have_text("3 sheets: unreadable 3.")
    expect(cards.first).to_contain_text("Unreadable. Is of layout sqgdhtcx, expected ")
    part(page, "clear").click()
    expect(cards).to_have_count(0)
    expect(part(page, "invitation")).to_be_visible()


# Tables.


def test_a_table_is_read_into_a_grid_and_a_workbook(page: Page, tmp_path: Path) -> None:
    choose(page, "A sheet")
    page.get_by_role("radio", name="A table").check()
    page.get_by_role("button", name="Try an example").click()
    expect(part(page, "verdict", TABLE)).to_have_text(re.compile("^31 numbers: checked 2"))
    expect(part(page, "head", TABLE).locator("th")).to_have_text(["A", "B", "C"])
    expect(part(page, "body", TABLE).locator("tr").last).to_have_text("11159063? doubtful")
    expect(page.locator(f"{TABLE} svg g")).to_have_count(31)
    book = opened(downloaded(page, "Get the workbook", tmp_path))
    assert (book["Page 1"].values["A1"], book["Page 1"].values["C13"]) == ("example.jpg", 159063)
    give(page, "drop", "white.png", white())
    expect(part(page, "verdict", TABLE)).to_have_text("The picture shows no form or table that can be read.")
    expect(part(page, "hint", TABLE)).to_contain_text("White.png: no numbers found on it")
    expect(part(page, "result", TABLE)).to_be_hidden()

"""The page prints a form, reads filled ones and tables that others wrote, and gives the workbooks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Request, Route, expect

from page_checks import choose, give, problem, white
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


def answering(page: Page, status: int, answer: dict[str, Any], path: str = ASKED) -> list[Request]:
    """Let this be answered; returns the requests, from now on."""
    asked: list[Request] = []

    def answer_to(route: Route) -> None:
        asked.append(route.request)
        kind = "application/json" if status == 200 else "application/problem+json"
        route.fulfill(status=status, content_type=kind, body=json.dumps(answer))

    page.unroute(path)
    page.route(path, answer_to)
    return asked


def read(*states: str | None) -> dict[str, Any]:
    """What the server answers to forms in these states; None is for one that cannot be read."""
    fields = [{"name": "q1", "label": "Question 1"}, {"name": "total", "label": "Total"}]
    notes = {
        "doubtful": {"q1": [["doubtful", "may be 7 (82%), 1 (17%)"]]},
        "does not add up": {"total": [["does not add up", "8 is written, its terms come to 7 (off by one)"]]},
    }
    rows = [{
        "path": "photo.jpg", "state": state, "identity": None, "notes": notes.get(state or "", {}), "crops": {},
        "values": None if state is None else {"q1": None if state == "blank" else 7, "total": 7},
        "error": None if state else "photo.jpg: no corner tag is found, expected four",
    } for state in states]  # fmt: skip
    return {"title": "Exam", "fields": fields, "rows": rows}


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
    expect(cards.locator(".head canvas:visible")).to_have_count(3)
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


def test_only_ten_are_taken_and_a_problem_is_told_and_tried_again(page: Page) -> None:
    choose(page, "A sheet")
    timeout = {"type": "urn:sumnist:problem:reading-timeout", "title": "x", "status": 503, "detail": "y"}
    asked = answering(page, 503, timeout)
    page.set_input_files("#form-files", [picture(f"{place}.jpg", white()) for place in range(11)])
    expect(part(page, "full")).to_be_visible()
    expect(page.locator(f"{FORM} .sheet")).to_have_count(10)
    expect(page.locator(f"{FORM} .sheet").last).to_contain_text("Reading took too long.")
    expect(part(page, "workbook")).to_be_hidden()
    assert len(asked) == 10
    answering(page, 200, read("adds up"))
    part(page, "again").click()
    expect(part(page, "verdict")).to_have_text("10 sheets: adds up 10.")
    expect(part(page, "again")).to_be_hidden()
    answering(page, 413, problem("The body is too large", "a body of 17 MiB", 413))
    part(page, "workbook").click()
    expect(part(page, "verdict")).to_have_text("The body is too large.")
    expect(part(page, "workbook")).to_be_enabled()


# Tables.


def test_a_table_is_read_into_a_grid_and_a_workbook(page: Page, tmp_path: Path) -> None:
    choose(page, "A sheet")
    page.get_by_role("radio", name="A table").check()
    page.get_by_role("button", name="Try an example").click()
    expect(part(page, "verdict", TABLE)).to_have_text(re.compile("^31 numbers: checked 2"))
    expect(part(page, "head", TABLE).locator("th")).to_have_text(["A", "B", "C"])
    expect(part(page, "body", TABLE).locator("tr").last).to_have_text("11159063")
    kinds = {"sure": "sure", "corrected": "corrected by the other numbers", "doubtful": "doubtful: look at it"}
    expect(part(page, "legend", TABLE).locator("span")).to_have_text(list(kinds.values()))
    colours = {
        kind: part(page, "body", TABLE).locator(f"[data-state={kind}]").first.evaluate(
            "one => getComputedStyle(one).backgroundColor") for kind in kinds
    }  # fmt: skip
    assert len(set(colours.values())) == 3
    expect(part(page, "doubts", TABLE)).to_contain_text(re.compile(r"[A-C]\d+, corrected: read as \d+; \d+ \("))
    expect(part(page, "rules", TABLE)).to_contain_text("C = A * B, in ")
    expect(page.locator(f"{TABLE} svg g")).to_have_count(31)
    part(page, "body", TABLE).locator("td", has_text="35322").hover()
    expect(page.locator(f"{TABLE} svg .pointed")).to_have_count(1)
    book = opened(downloaded(page, "Get the workbook", tmp_path))
    assert (book["Page 1"].values["A1"], book["Page 1"].values["C13"]) == ("example.jpg", 159063)
    give(page, "drop", "white.png", white())
    expect(part(page, "verdict", TABLE)).to_have_text("The picture shows no form or table that can be read.")
    expect(part(page, "hint", TABLE)).to_contain_text("White.png: no numbers found on it")
    expect(part(page, "result", TABLE)).to_be_hidden()
    part(page, "clear", TABLE).click()
    expect(part(page, "verdict", TABLE)).to_have_text("Show a photograph of a table.")


# Everybody.

"""The page for the review of sheets, as a teacher meets it: a real server, a real browser, and mostly the keyboard."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from review_sheets import answering, certain, doubtful, said, unreadable, write_marks, wrong
from sumnist.serve import review
from sumnist.sheets.layout import Layout

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of the sheets 0 to 3: certain, doubtful, wrong and unreadable."""
    folder = tmp_path_factory.mktemp("sheets")
    return [certain(folder, 0), doubtful(folder, 1), wrong(folder, 2), unreadable(folder, 3)]


@pytest.fixture
def marks(photographs: list[dict[str, Any]], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Their rows, in a folder of its own; the picture of sheet 2 lies beside. The parameter is what is to be looked at
    on sheet 2, nothing by default."""
    shutil.copy(photographs[2]["file"], tmp_path)
    changed = {"file": None, "look": getattr(request, "param", [])}
    rows = [row | changed if row["row"] == 2 else row for row in photographs]
    return write_marks(tmp_path, rows)


@pytest.fixture
def server(marks: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a review of them, in a thread of this process."""
    layout = Layout.load(marks.with_suffix(".toml"))
    with answering(monkeypatch, lambda told: review.review(marks, layout, 0, told)) as url:
        yield url


def field(name: str) -> str:
    """The selector of the input of a field."""
    return f"#field-{name}"


def begin(page: Page) -> None:
    """Wait until the page asks of the first sheet."""
    expect(page.locator(field("q2"))).to_be_focused()


def expect_sheet(page: Page, progress: str, who: str) -> None:
    expect(page.locator("#progress")).to_have_text(progress)
    expect(page.locator("#who")).to_have_text(who)


def test_every_sheet_is_done_by_the_keyboard_alone_and_taken_back_step_by_step(page: Page, marks: Path) -> None:
    keyboard = page.keyboard
    expect_sheet(page, "Sheet 1 of 3", "Person 1")
    expect(page.locator(field("q2"))).to_be_focused()
    expect(page.locator(".sum")).to_have_text("Total 9 + ? + 4 = 20")
    keyboard.press("7")
    expect(page.locator(".sum")).to_have_text("Total 9 + 7 + 4 = 20 ✓")
    keyboard.press("Enter")
    expect(page.locator("#next")).to_be_focused()
    keyboard.press("Enter")
    expect_sheet(page, "Sheet 2 of 3", "Person 2")
    expect(page.locator(field("total"))).to_be_focused()
    keyboard.press("ArrowDown")
    expect(page.locator(field("total"))).to_have_value("20½")
    expect(page.locator(".sum")).to_have_text("Total 9 + 7½ + 4 = 20½ ✓")
    keyboard.press("Enter")
    keyboard.press("Enter")
    expect_sheet(page, "Sheet 3 of 3", "No name was read")
    for word in ("Grace", "3", "2", "11", "16"):
        keyboard.type(word)
        keyboard.press("Enter")
    expect(page.locator(".sum")).to_have_text("Total 3 + 2 + 11 = 16 ✓")
    expect(page.locator("#next")).to_be_focused()
    keyboard.press("Enter")
    expect(page.locator("#done-title")).to_be_focused()
    expect(page.locator("#done-text")).to_have_text("3 of 4 sheets needed you: 3 accepted, 0 skipped.")
    expect(page.locator("#done-where")).to_contain_text(str(marks.with_suffix("")))
    assert said(marks).values == {
        1: {"q2": 7}, 2: {"total": 20.5}, 3: {"": "Grace", "q1": 3, "q2": 2, "q3": 11, "total": 16}
    }  # fmt: skip
    assert said(marks).marks == dict.fromkeys((1, 2, 3), "accepted")
    for _ in range(11):
        with page.expect_response("**/undo"):
            keyboard.press("Control+z")
    expect(page.locator("#announcement")).to_have_text("There is nothing to take back.")
    assert (said(marks).values, said(marks).marks) == ({}, {})


HALF, WHOLE = "A number, or one and a half, such as 7.5.", "A whole number."
TYPED = [
    ("q2", "7,5", "9 + 7½ + 4 = 20½ ≠ 20", "of 7½"), ("q2", ".5", "9 + ½ + 4 = 13½ ≠ 20", "of 7½"),
    ("q2", "–", "9 + – + 4 = 13 ≠ 20", "of 7½"), ("q2", " 7 ", "9 + 7 + 4 = 20 ✓", "of 7½"),
    ("q2", "8", "9 + ? + 4 = 20", "At most 7½."), ("q2", "seven", "9 + ? + 4 = 20", HALF),
    ("q1", "7.5", "? + ? + 4 = 20", WHOLE),
]  # fmt: skip
"""A field, what is typed into it, the sum that is shown then, and what is said of the field."""


def test_what_is_typed_is_added_up_at_every_key_and_accepted_if_it_makes_sense(page: Page, marks: Path) -> None:
    begin(page)
    for name, typed, total, says in TYPED:
        page.focus(field(name))
        page.keyboard.type(typed)
        expect(page.locator(".sum")).to_have_text(f"Total {total}")
        expect(page.locator(f"#hint-{name}")).to_contain_text(says)
        wrong = str(says in (HALF, WHOLE) or says.startswith("At")).lower()
        expect(page.locator(field(name))).to_have_attribute("aria-invalid", wrong)
        expect(page.locator("#next")).to_have_text("Accept as it is, next sheet" if "≠" in total else "Next sheet")
        page.keyboard.press("Escape")
        expect(page.locator(".sum")).to_have_text("Total 9 + ? + 4 = 20")
    assert said(marks).values == {}
    page.click(".candidate:has-text('7')")
    expect(page.locator("#next")).to_be_focused()
    page.fill(field("q1"), "8")
    expect(page.locator(".sum")).to_have_text("Total 8 + 7 + 4 = 19 ≠ 20")
    page.click("#next")
    expect_sheet(page, "Sheet 2 of 3", "Person 2")
    assert said(marks).values == {1: {"q2": 7, "q1": 8}}


def test_a_value_is_said_to_be_saved_once_it_is_and_a_review_opened_again_goes_on_where_it_was(
    page: Page, marks: Path
) -> None:
    def fail(route: Route) -> None:
        body = json.dumps({"detail": "the disk is full"})
        route.fulfill(status=500, content_type="application/problem+json", body=body)

    begin(page)
    page.route("**/correct", fail)
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator("#problem-text")).to_have_text("The disk is full")
    expect(page.locator("#hint-q2")).to_have_text("Not saved: press Enter to try again.")
    expect(page.locator(field("q2"))).to_be_focused()
    expect_sheet(page, "Sheet 1 of 3", "Person 1")
    page.unroute("**/correct")
    page.focus(field("q2"))
    page.keyboard.press("Enter")
    expect(page.locator("#hint-q2")).to_have_text(re.compile("^✓ saved"))
    expect(page.locator("#problem")).to_be_hidden()
    assert said(marks).values == {1: {"q2": 7}}
    page.reload()
    expect_sheet(page, "Sheet 1 of 3", "Person 1")
    expect(page.locator(field("q2"))).to_have_value("7")
    expect(page.locator("#next")).to_be_focused()
    page.keyboard.press("Enter")
    expect_sheet(page, "Sheet 2 of 3", "Person 2")

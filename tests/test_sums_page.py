"""The page adds two numbers that are written, and settles them by a total; and it checks a sample sheet."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from page_checks import (
    PHONE,
    choose,
)  # fmt: skip
from page_driver import DIGITS
from static_page import PAGE

pytestmark = pytest.mark.browser

SUM, SHEET = "#sum-task", "#sheet-sample"
CLEAR = re.compile(r"^>?99\.")
"""A probability of 99 % and more."""


def part(page: Page, name: str, room: str = SUM) -> Locator:
    return page.locator(f"{room} [data-part={name}]")


def write(page: Page, place: int, number: str) -> None:
    """Write a number on one of the pads with the mouse."""
    box = page.locator(f"{SUM} [role=application]").nth(place).bounding_box()
    assert box is not None
    for i, digit in enumerate(number):
        left = box["x"] + box["width"] / 2 + (i - len(number) / 2) * 0.75 * box["height"]
        for stroke in DIGITS[int(digit)].split(" / "):
            points = [[float(share) / 100 for share in point.split(",")] for point in stroke.split()]
            for k, (x, y) in enumerate(points):
                page.mouse.move(
                    left + 0.9 * (x - 0.1) * box["height"], box["y"] + y * box["height"], steps=3 if k else 1
                )
                if not k:
                    page.mouse.down()
            page.mouse.up()


def read(page: Page, place: int) -> Locator:
    return page.locator(f"{SUM} output").nth(place)


def rows(page: Page, group: str) -> list[list[str]]:
    """The bars under a heading: what they are of, and how probable it is."""
    bars: list[list[str]] = page.locator(".group:visible", has=page.get_by_role("heading", name=group)).evaluate(
        """group => [...group.querySelectorAll("li:not([hidden])")].map(
          (row) => [".name", ".shares"].map((part) => row.querySelector(part).textContent))"""
    )  # in one step: another answer would change them
    return bars


# A sum.


@pytest.mark.parametrize("page", [{"viewport": PHONE}], indirect=True)
def test_two_numbers_that_are_written_are_read_and_added_and_a_smudge_is_settled_by_the_total(page: Page) -> None:
    choose(page, "A sum")
    expect(part(page, "verdict")).to_have_text("Write two numbers.")
    part(page, "smudge").click()
    expect(part(page, "verdict")).to_have_text("Write a number first.")
    write(page, 0, "47")
    expect(read(page, 0)).to_have_text("47")
    write(page, 1, "15")
    expect(part(page, "verdict")).to_have_text("47 + 15 = 62.")
    assert rows(page, "the sum")[0][0] == "62"
    expect(page.locator(".group:visible .note").first).to_have_text("47 + 15")
    expect(part(page, "announcement")).to_have_text(re.compile(r"^47 \+ 15 = 62\. .* sure\."))
    shares = page.locator(".group:visible .shares").first
    expect(shares).to_have_text(CLEAR)
    part(page, "smudge").click()
    expect(shares).not_to_have_text(CLEAR)
    part(page, "total").fill("62")
    expect(part(page, "verdict")).to_contain_text("47 + 15")


# A sheet.


def cell(page: Page, label: str) -> Locator:
    return page.locator(f"{SHEET} tbody tr", has_text=label)


def test_the_sample_adds_up_a_smudged_mark_is_corrected_by_the_total_and_a_wrong_total_is_told(page: Page) -> None:
    outcome, detail = part(page, "verdict", SHEET), part(page, "detail", SHEET)
    choose(page, "A sheet")
    page.get_by_role("radio", name="A sample").check()
    expect(outcome).to_have_text("It adds up.")
    sample = json.loads((PAGE / "sample-sheet.json").read_text(encoding="utf-8"))
    values = [one["value"] for one in [*sample["marks"], sample["totals"][0]]]
    expect(page.locator(f"{SHEET} tbody b")).to_have_text([str(value) for value in values])
    cell(page, "Question 2").get_by_role("button").click()
    expect(outcome).to_have_text("Corrected:")
    expect(detail).to_have_text("Question 2 is 4, not 1.")
    cell(page, "Question 2").get_by_role("button", name="Another").click()
    cell(page, "Question 2").get_by_role("button", name="Clean").click()
    page.get_by_role("radio", name="30").check()
    expect(outcome).to_have_text("It does not add up:")
    expect(detail).to_have_text("30 is written, and the sum is 31.")
    expect(part(page, "announcement", SHEET)).to_contain_text("It does not add up")
    cell(page, "Question 1").get_by_role("button").click()
    cell(page, "Question 2").get_by_role("button").click()
    expect(outcome).to_have_text("Doubtful:")
    expect(detail).to_have_text(re.compile(r"^look at .*\.$"))

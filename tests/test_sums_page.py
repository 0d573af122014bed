"""The page adds two numbers that are written, and settles them by a total."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from page_checks import (
    PHONE,
    choose,
)  # fmt: skip
from page_driver import write

pytestmark = pytest.mark.browser

SUM = "#sum-task"
CLEAR = re.compile(r"^>?99\.")
"""A probability of 99 % and more."""


def part(page: Page, name: str) -> Locator:
    return page.locator(f"{SUM} [data-part={name}]")


def read(page: Page, place: int) -> Locator:
    return page.locator(f"{SUM} output").nth(place)


# A sum.


@pytest.mark.parametrize("page", [{"viewport": PHONE}], indirect=True)
def test_two_numbers_that_are_written_are_read_and_added_and_a_smudge_is_settled_by_the_total(page: Page) -> None:
    choose(page, "A sum")
    expect(part(page, "verdict")).to_have_text("Write two numbers.")
    part(page, "smudge").click()
    expect(part(page, "verdict")).to_have_text("Write a number first.")
    write(page, "38", f"{SUM} [data-part=one] [role=application]")
    expect(read(page, 0)).to_have_text("38")
    write(page, "52", f"{SUM} [data-part=two] [role=application]")
    expect(part(page, "verdict")).to_have_text("38 + 52 = 90.")
    expect(page.locator(".group:visible .note").first).to_have_text("38 + 52")
    expect(part(page, "announcement")).to_have_text(re.compile(r"^38 \+ 52 = 90\. .* sure\."))
    shares = page.locator(".group:visible .shares").first
    expect(shares).to_have_text(CLEAR)
    part(page, "smudge").click()
    expect(shares).not_to_have_text(CLEAR)
    part(page, "total").fill("90")
    expect(part(page, "verdict")).to_contain_text("38 + 52")

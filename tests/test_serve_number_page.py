"""The page reads numbers: a wide pad, what stands on it, candidates and their sums, and what can go wrong."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from page_checks import (
    STILL,
    answering,
    choose,
    expect_none,
    number_reading,
)  # fmt: skip
from page_driver import write

pytestmark = pytest.mark.browser

LONG = "12345678901234567890123"
"""A number of more digits than JavaScript's numbers keep."""


def expect_number(page: Page, text: str, total: str) -> None:
    """The page says the number and its sum, in the headline and in the first row of its candidates."""
    expect(page.locator("#sum")).to_have_text(total)
    expect(page.locator("#digit")).to_have_text(text)
    expect(page.locator("#verdict")).to_have_text(re.compile(r"\d\u00a0% sure of both\.$"))
    first = page.locator("#candidates tr").first
    expect(first.locator("th")).to_have_text(text)
    expect(first.locator("td").last).to_have_text(total)


# Answers.


def test_a_number_that_is_written_is_read_and_added_and_marks_stand_under_its_digits(page: Page) -> None:
    choose(page, "A number")
    write(page, "1480")
    expect_number(page, "1480", "1487")
    assert page.locator("#marks span").all_inner_texts() == list("1480")
    with page.expect_request("**/v1/read-number") as asked:
        page.get_by_label("Decimals").select_option(",")
    assert (asked.value.post_data_json or {})["decimal"] == ","
    expect_number(page, "1480", "1487")


EXACT = [
    (LONG, int(LONG), "7", LONG, str(int(LONG) + 7)), ("3", 3, "-12", "3", "−9"),
    ("12.50", Decimal("12.50"), "7", "12.50", "19.50"), ("0.05", Decimal("0.05"), "-1", "0.05", "−0.95"),
    ("00,000.0000001", Decimal("0.0000001"), "0", "0.0000001", "0.0000001"), ("1,480", 1480, "7", "1480", "1487"),
]  # fmt: skip
"""What is written, its value, what is added, and the number and the sum that are shown."""


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_the_sum_is_exact_whatever_the_number_and_bars_are_as_long_as_their_probabilities(page: Page) -> None:
    choose(page, "A number")
    for text, value, number, shown, total in EXACT:
        page.press("body", "Escape")
        page.fill("#number", number)
        answering(page, number_reading({text: 0.75}, value=value))
        write(page, "1")
        expect_number(page, shown, total)
    page.fill("#number", "")
    expect(page.locator("#verdict")).to_have_text("A number is missing.")
    expect(page.locator("#sum")).to_have_text("?")
    expect(page.locator("#candidates tr").first.locator("td").last).to_have_text("?")


# Pictures.


# No answer.


def test_a_number_that_is_refused_has_no_answer_but_a_verdict_a_hint_and_its_candidates(page: Page) -> None:
    choose(page, "A number")
    answering(page, number_reading({"1480": 0.75, "8480": 0.2}, "unsure"))
    write(page, "1")
    expect_none(page, "1480 (75.0\u00a0%), or 8480 (20.0\u00a0%)?")
    expect(page.locator("#hint")).to_have_text("Write it more clearly.")
    expect(page.locator("#candidates th").first).to_have_text("1480")


# In everybody's hands.

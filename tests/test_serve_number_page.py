"""The page reads numbers: a wide pad, what stands on it, candidates and their sums, and what can go wrong."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from page_checks import (
    PHONE,
    STILL,
    answering,
    choose,
    expect_none,
    number_reading,
)  # fmt: skip
from page_driver import write
from sumnist.inference.numbers import NUMBER_ADVICE

pytestmark = pytest.mark.browser

LONG = "12345678901234567890123"
"""A number of more digits than JavaScript's numbers keep."""


def doubtful(text: str, reason: str | None = None, value: Any = None) -> dict[str, Any]:
    """A reading as the server answers it: probably `text`, or else one that begins with 8."""
    return number_reading({text: 0.75, "8" + re.sub(r"\D", "", text)[1:]: 0.2}, reason, value)


def expect_number(page: Page, text: str, total: str) -> None:
    """The page says the number and its sum, in the headline and in the first row of its candidates."""
    expect(page.locator("#sum")).to_have_text(total)
    expect(page.locator("#digit")).to_have_text(text)
    expect(page.locator("#verdict")).to_have_text(re.compile(r"\d\u00a0% sure of both\.$"))
    first = page.locator("#candidates tr").first
    expect(first.locator("th")).to_have_text(text)
    expect(first.locator("td").last).to_have_text(total)


def middles(page: Page, selector: str) -> list[float]:
    """Where the middles of elements are, in shares of the pad's width."""
    found: list[float] = page.evaluate(  # in one step: another answer would put others in their places
        """selector => {
          const pad = document.querySelector("#pad").getBoundingClientRect();
          const boxes = [...document.querySelectorAll(selector)].map((one) => one.getBoundingClientRect());
          return boxes.map((box) => (box.x + box.width / 2 - pad.x) / pad.width);
        }""",
        selector,
    )
    return found


# Answers.


def test_a_number_that_is_written_is_read_and_added_and_marks_stand_under_its_digits(page: Page) -> None:
    choose(page, "A number")
    written = write(page, "1480")
    expect_number(page, "1480", "1487")
    assert page.locator("#marks span").all_inner_texts() == list("1480")
    assert middles(page, "#marks span") == pytest.approx(written, abs=0.35 / 4)
    expect(page.locator("#announcement")).to_have_text(re.compile(r"^1480 \+ 7 = 1487\. "))
    wide = middles(page, "#marks span")
    page.set_viewport_size(PHONE)
    page.fill("#number", "8")
    expect_number(page, "1480", "1488")
    assert middles(page, "#marks span") == pytest.approx(wide, abs=0.05)  # the whole sheet is on it, in the middle
    with page.expect_request("**/v1/read-number") as asked:
        page.get_by_label("Decimals").select_option(",")
    assert (asked.value.post_data_json or {})["decimal"] == ","
    expect_number(page, "1480", "1488")


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
        answering(page, doubtful(text, value=value))
        write(page, "1")
        expect_number(page, shown, total)
    rows = page.locator("#candidates tr:visible").all_inner_texts()
    assert [re.split(r"\s*\t\s*", row.strip()) for row in rows] == [
        ["1480", "75.0\u00a0%", "1487"], ["8480", "20.0\u00a0%", "8487"], ["others", "5.0\u00a0%", "others"],
    ]  # fmt: skip
    bars: list[float] = page.locator(".beam").evaluate_all("bars => bars.map(bar => bar.offsetWidth)")[:6]
    assert bars[::2] == bars[1::2]
    assert np.array(bars[::2]) / sum(bars[::2]) == pytest.approx([0.75, 0.2, 0.05], abs=0.01)
    assert page.locator("#marks span").all_inner_texts() == list("1,480")  # as it is written
    page.fill("#number", "")
    expect(page.locator("#verdict")).to_have_text("A number is missing.")
    expect(page.locator("#sum")).to_have_text("?")
    expect(page.locator("#candidates tr").first.locator("td").last).to_have_text("?")


# Pictures.


# No answer.


def test_a_number_that_is_refused_has_no_answer_but_a_verdict_a_hint_and_its_candidates(page: Page) -> None:
    choose(page, "A number")
    answering(page, doubtful("1480", "unsure"))
    write(page, "1")
    expect_none(page, "1480 (75.0\u00a0%), or 8480 (20.0\u00a0%)?")
    expect(page.locator("#hint")).to_have_text("Write it more clearly.")
    expect(page.locator("#candidates th").first).to_have_text("1480")
    page.set_input_files("#file", Path(__file__).resolve().parent.parent / "examples/five.png")
    advice = NUMBER_ADVICE["unsure"]
    expect(page.locator("#hint")).to_have_text(f"{advice[0].upper()}{advice[1:]}.")


# In everybody's hands.

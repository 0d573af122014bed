"""The page reads numbers: a wide pad, what stands on it, candidates and their sums, and what can go wrong."""

from __future__ import annotations

import re
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from page_checks import (
    PHONE,
    STILL,
    answering,
    choose,
    expect_answer,
    expect_nobody_hindered_anywhere,
    expect_none,
    give,
    number_reading,
)  # fmt: skip
from page_driver import DIGITS, draw, write
from served import strip
from sumnist.data.mnist import load_mnist
from sumnist.inference.numbers import NUMBER_ADVICE

pytestmark = pytest.mark.browser

PLACES = (0, 2, 4, 6)
"""Of MNIST's test images on the strip that is uploaded: clear digits."""
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


def test_what_is_drawn_stays_when_another_task_is_chosen_and_digits_are_written_beside_it(page: Page) -> None:
    expect(page.get_by_role("radio", name="One digit")).to_be_checked()
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    choose(page, "A number")
    expect_number(page, "5", "12")
    assert middles(page, "#marks span") == pytest.approx([0.5], abs=0.1)
    draw(page, DIGITS[1], middle=0.75, wide=0.25)
    expect_number(page, "51", "58")
    page.click("#undo")
    expect_number(page, "5", "12")
    choose(page, "One digit")
    expect_answer(page, 5, 7)


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


def test_the_picture_of_a_number_is_read_at_a_click_and_its_line_is_framed(page: Page) -> None:
    grey = np.pad(np.array(Image.open(BytesIO(strip(*PLACES)))), 20, constant_values=255)
    stream = BytesIO()
    Image.fromarray(grey).resize((4 * grey.shape[1], 4 * grey.shape[0])).save(stream, "PNG")
    give(page, "drop", "strip.png", stream.getvalue())
    expect_none(page, "There seems to be more than one digit.")
    page.get_by_role("button", name="Read as a number").click()
    expect(page.get_by_role("radio", name="A number")).to_be_checked()
    text = "".join(str(load_mnist("test").digits[place]) for place in PLACES)
    expect_number(page, text, str(int(text) + 7))
    expect(page.locator("#how")).to_have_text(re.compile("^Dark ink"))
    expect(page.locator("#line")).to_be_visible()
    pad, line = page.locator("#pad").bounding_box(), page.locator("#line").bounding_box()
    assert pad is not None
    assert line is not None
    side = pad["height"] / (28 + 2 * 20)  # of a pixel of the strip, as it lies on the pad
    assert line["width"] >= 3.5 * 28 * side
    expected = [0.5 + (place - 1.5) * 28 * side / pad["width"] for place in range(4)]
    assert middles(page, "#marks span") == pytest.approx(expected, abs=14 * side / pad["width"])
    choose(page, "One digit")
    expect_none(page, "There seems to be more than one digit.")
    expect(page.locator("#line")).to_be_hidden()
    choose(page, "A number")
    expect(page.locator("#line")).to_be_visible()
    page.get_by_label("Ink", exact=True).select_option("light")
    expect(page.locator("#how")).to_have_text(re.compile("^Light ink"))
    page.click("#clear")
    expect(page.locator("#line")).to_be_hidden()
    expect_none(page, "Write a number, digit beside digit.")


@pytest.mark.parametrize("page", [{"viewport": {"width": 320, "height": 640}}], indirect=True)
def test_on_the_narrowest_phone_what_is_said_of_a_picture_does_not_stick_out(page: Page) -> None:
    choose(page, "A number")
    give(page, "drop", "strip.png", strip(*PLACES))
    expect(page.locator("#meter")).to_be_visible()
    expect(page.locator("#ink")).to_be_visible()
    sides: list[float] = page.evaluate(
        """() => [...document.querySelectorAll(".seen, .seen > :not(canvas)")]
            .map((one) => one.getBoundingClientRect()).flatMap(({ left, right }) => [left, right])"""
    )
    assert (min(sides), max(sides)) == tuple(sides[:2])
    assert page.evaluate("document.documentElement.scrollWidth") == 320


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


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_axe_finds_nothing_in_the_way_of_anybody_and_the_pad_stays_where_it_is(page: Page) -> None:
    choose(page, "A number")
    expect_none(page, "Write a number, digit beside digit.")
    expect_nobody_hindered_anywhere(page)
    place = page.locator("#pad").bounding_box()
    write(page, "38")
    expect_number(page, "38", "45")
    expect_nobody_hindered_anywhere(page)
    answering(page, doubtful(LONG))
    page.fill("#number", "8")
    expect(page.locator("#digit")).to_have_text(LONG)
    expect_nobody_hindered_anywhere(page)
    assert page.locator("#pad").bounding_box() == place
    answering(page, doubtful("1,480", "unsure"))
    page.fill("#number", "1234567")
    expect_none(page, "1480 (75.0\u00a0%), or 8480 (20.0\u00a0%)?")
    expect_nobody_hindered_anywhere(page)

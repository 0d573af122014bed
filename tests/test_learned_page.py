"""The page beside its answers: a network that learned to add, and the hunt for what it gets wrong; the examples."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from page_checks import STILL, answering, centre, expect_answer, expect_none, refusal
from page_driver import DIGITS, draw
from sumnist.files import LEARNED
from sumnist.inference.onnx import OnnxNetwork
from sumnist.lab.study.runs import LEFT_OUT

pytestmark = pytest.mark.browser

SHARES = [0.0] * 13 + [0.9, 0.1] + [0.0] * 4
SAYS_13 = {"sum": 13, "sums": list(range(19)), "sum_probabilities": SHARES, "sum_confidence": 0.9, "left_out": [7] * 10}


def four(**changed: Any) -> dict[str, Any]:
    """The accepted reading of a 4 with 7, as the server answers it."""
    return refusal("unsure") | {"accepted": True, "reason": None, "beside": SAYS_13, **changed}


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_its_sums_stand_on_the_same_axis_and_a_number_at_which_it_fails_is_found_and_stays_found(page: Page) -> None:
    expect(page.locator("#learned-says")).to_have_text("Draw a digit, and see what it says.")
    expect(page.locator("#hunted")).to_have_text("No pair tried yet: change the number.")
    answering(page, four())
    draw(page, DIGITS[4])
    expect(page.locator("#learned-says")).to_have_text("It says 13 (90.0\u00a0%), which is not 4 + 7 = 11.")
    told = "It fails here: it says 4 + 7 = 13. It never saw this pair in training. 1 of 100 pairs tried, 1 wrong."
    expect(page.locator("#hunted")).to_have_text(told)
    assert page.locator(".learned .bar").count() == 19
    left = centre(page, ".learned .bar", 0)
    column = centre(page, ".learned .bar", 1) - left
    for total in range(19):
        assert centre(page, ".learned .bar", total) == pytest.approx(left + total * column, abs=0.5)
    expect(page.locator(".learned .best .label")).to_have_text("13")
    answering(page, four(beside=SAYS_13 | {"sum": 11}, number=6, sum=10))
    page.fill("#number", "6")
    expect(page.locator("#hunted")).to_have_text("It fails here: it says 4 + 6 = 11. 2 of 100 pairs tried, 2 wrong.")
    answering(page, four(beside=SAYS_13 | {"sum": 12}, number=8, sum=12))
    page.fill("#number", "8")
    expect(page.locator("#hunted")).to_have_text("3 of 100 pairs tried, 2 wrong.")
    expect(page.locator("#hunt")).to_have_attribute("aria-label", re.compile(r"Wrong: 4 \+ 7 = 13; 4 \+ 6 = 11$"))
    page.click("#clear")
    assert page.locator("#hunt .wrong").count() == 2
    answering(page, {name: value for name, value in four().items() if name != "beside"})
    draw(page, DIGITS[4])
    expect(page.locator("#sum")).to_have_text("11")
    expect(page.locator("#beside")).to_be_hidden()


def test_the_packaged_network_fails_where_pairs_were_left_out_and_the_page_shows_all_numbers_of_a_digit(
    page: Page,
) -> None:
    network = OnnxNetwork(LEARNED)
    assert (network.left_out, network.exact) == (LEFT_OUT.tolist(), False)
    draw(page, DIGITS[4])
    expect_answer(page, 4, 7)
    page.click("#all")
    expect(page.locator("#hunted")).to_contain_text(re.compile(r"10 of 100 pairs tried, [1-9] wrong"))
    assert page.locator("#hunt .left-out").count() == 10
    cells = page.locator("#hunt span")
    expect(cells.nth(40 + int(LEFT_OUT[4]))).to_have_class(re.compile("wrong"))
    for number in set(range(10)) - {int(LEFT_OUT[4])}:
        expect(cells.nth(40 + number)).to_have_class("right")
    expect(page.locator("#number")).to_have_value(str(LEFT_OUT[4]))  # it goes there
    expect(page.locator("#hunted")).to_contain_text(f"It fails here: it says 4 + {LEFT_OUT[4]} = ")
    page.fill("#number", "10")
    expect(page.locator("#learned-says")).to_contain_text("It has no input for 10")
    expect_answer(page, 4, 10)


# Examples.


def test_an_example_is_read_at_a_click_of_a_trap_the_page_says_why_and_one_can_be_drawn_on(page: Page) -> None:
    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).click()

    for digit in range(10):
        press(f"A {digit}")
        expect_answer(page, digit, 7)
    traps = {"A letter": "This does not look like a digit.", "Two digits": "There seems to be more than one digit."}
    for name, verdict in traps.items():
        press(name)
        expect_none(page, verdict)
    press("A 4 or a 9")
    expect(page.locator("#hint")).to_have_text(re.compile(r"^If not, a [49] \([34]\d\.\d\u00a0%\)\.$"))
    page.click("#clear")
    for name, digit in (("A one with a long upstroke", 1), ("A seven with a bar", 7)):
        press(name)
        expect_answer(page, digit, 7)
        page.click("#undo")
        expect_none(page, "Draw a digit from 0 to 9.")


def test_the_dice_gives_another_number_and_each_task_has_an_address(page: Page) -> None:
    numbers = [page.locator("#number").input_value()]
    for _ in range(12):
        page.click("#dice")
        numbers.append(page.locator("#number").input_value())
    assert all(before != after for before, after in pairwise(numbers))
    assert set(numbers) <= set("0123456789")
    for name, address in (("number", "a-number"), ("sum", "a-sum"), ("sheet", "a-sheet"), ("digit", "one-digit")):
        page.locator(f"input[value={name}]").check()
        expect(page).to_have_url(re.compile(f"#{address}$"))
    page.goto(page.url.replace("#one-digit", "#a-number"))
    expect(page.get_by_role("radio", name="A number")).to_be_checked()
    page.go_back()
    expect(page.get_by_role("radio", name="One digit")).to_be_checked()

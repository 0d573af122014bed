"""The page, as its users meet it, with a real server and browser: strokes, pictures, examples, the network that learned
to add, what can go wrong; keyboard and axe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from page_checks import (
    PHONE,
    READ,
    STILL,
    answering,
    expect_answer,
    expect_nobody_hindered_anywhere,
    expect_none,
    give,
    problem,
    refusal,
)  # fmt: skip
from page_driver import DIGITS, draw, points_of, until
from sumnist.inference.reader import ADVICE

pytestmark = pytest.mark.browser

PHOTOGRAPH = Path(__file__).parent / "golden/digits/photograph-dark.png"
FIVE = Path(__file__).resolve().parent.parent / "examples" / "five.png"
BLANK = "Draw a digit from 0 to 9."


# Answers.


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_a_digit_and_its_sum_are_read_off_the_page_whose_bars_are_displaced_by_the_number(page: Page) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    expect(page.locator("#announcement")).to_have_text(re.compile(r"^5 \+ 7 = 12\. .*% sure of both\."))
    assert 0 < until(page, "performance.getEntriesByName('stroke-to-answer').at(-1)?.duration") < 10_000
    page.fill("#number", number := "-9007199254740982")
    expect_answer(page, 5, int(number))


def test_the_number_is_set_by_buttons_arrows_digits_and_typing_and_without_one_the_digit_stays(page: Page) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    page.click("#more")
    expect(page.locator("#sum")).to_have_text("13")
    page.click("#less")
    expect(page.locator("#sum")).to_have_text("12")
    page.press("body", "3")
    expect(page.locator("#sum")).to_have_text("8")
    page.press("#number", "ArrowUp")
    expect(page.locator("#sum")).to_have_text("9")
    page.fill("#number", "")
    expect(page.locator("#verdict")).to_have_text("A number is missing.")
    expect(page.locator("#digit")).to_have_text("5")
    expect(page.locator("#sum")).to_have_text("?")
    page.fill("#number", "-40")
    expect_answer(page, 5, -40)


# Pictures.


def test_a_picture_is_chosen_dropped_or_pasted_and_undo_takes_back_picture_stroke_and_clearing(page: Page) -> None:
    page.set_input_files("#file", PHOTOGRAPH)
    expect_answer(page, 3, 7)
    for event in ("drop", "paste"):
        page.click("#clear")
        expect_none(page, BLANK)
        give(page, event, "five.png", FIVE.read_bytes())
        expect_answer(page, 5, 7)
    page.click("#clear")
    draw(page, DIGITS[1])
    expect_answer(page, 1, 7)
    page.set_input_files("#file", FIVE)
    expect_answer(page, 5, 7)
    page.click("#undo")
    expect_answer(page, 1, 7)
    page.press("body", "Escape")
    expect_none(page, BLANK)
    page.press("body", "Control+z")
    expect_answer(page, 1, 7)


# No answer.


def test_what_is_refused_has_no_answer_but_a_verdict_and_advice_on_a_drawing_or_a_photograph(page: Page) -> None:
    answering(page, refusal("several digits"))
    draw(page, DIGITS[4])
    expect_none(page, "There seems to be more than one digit.")
    expect(page.locator("#hint")).to_have_text("Draw one, or choose “A number”.")
    expect(page.locator("#is-there")).to_have_text("A digit: 3.1\u00a0%")
    page.set_input_files("#file", FIVE)
    expect(page.get_by_role("button", name="Read as a number")).to_be_visible()  # this is all that helps
    answering(page, refusal("too little contrast"))
    page.fill("#number", "8")
    advice = ADVICE["too little contrast"]
    expect(page.locator("#hint")).to_have_text(f"{advice[:1].upper()}{advice[1:]}.")


def test_a_problem_is_told_and_asked_again(page: Page) -> None:
    give(page, "drop", "notes.txt", b"five and seven is twelve")
    expect_none(page, "Not a picture of a format that is read here.")
    expect(page.locator("#hint")).to_contain_text("save it as PNG")
    page.click("#clear")
    answering(page, problem("Something is wrong", "what was given: the mend", 500), 500)
    draw(page, DIGITS[1])
    expect_none(page, "Something is wrong.")
    expect(page.locator("#hint")).to_have_text("What was given: the mend.")
    answering(page, problem("Too many requests at once", "all places are taken", 503), 503, retry_after="1")
    page.fill("#number", "8")
    expect_none(page, "Too many requests at once.")
    expect(page.locator("#hint")).to_have_text("Trying again in 1 s.")
    page.unroute(READ)
    expect_answer(page, 1, 8)
    page.route(READ, lambda route: route.abort())
    page.fill("#number", "7")
    expect_none(page, "The server cannot be reached.")
    page.unroute(READ)
    page.click("#again")
    expect_answer(page, 1, 7)
    expect(page.locator("#again")).to_be_hidden()


# In everybody's hands.


@pytest.mark.parametrize("page", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_a_finger_draws_and_does_not_scroll(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    for i, (x, y) in enumerate(points_of(page, DIGITS[7])):
        touch = {"type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        session.send("Input.dispatchTouchEvent", touch)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect_answer(page, 7, 7)
    assert page.evaluate("scrollY") == 0


def test_everything_can_be_done_by_keyboard(page: Page) -> None:
    page.press("body", "Tab")
    expect(page.get_by_role("radio", name="One digit")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#number")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.locator("#pad")).to_be_focused()
    for key, times in (("ArrowUp", 8), (" ", 1), ("ArrowDown", 16), (" ", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    expect_answer(page, 1, 6)
    page.keyboard.press("2")
    expect_answer(page, 1, 2)
    page.keyboard.press("Escape")
    expect_none(page, BLANK)


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_axe_finds_nothing_in_the_way_of_anybody(page: Page) -> None:
    expect_none(page, BLANK)
    expect_nobody_hindered_anywhere(page)
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    expect_nobody_hindered_anywhere(page)
    page.route(READ, lambda route: route.abort())
    page.press("#number", "ArrowUp")
    expect_none(page, "The server cannot be reached.")
    expect_nobody_hindered_anywhere(page)

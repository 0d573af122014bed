"""The page, as its users meet it: a real server, a real browser, strokes, pictures, and what can go wrong."""

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
    centre,
    expect_answer,
    expect_none,
    give,
    problem,
    refusal,
    white,
)
from page_driver import DIGITS, draw, until
from sumnist.data.mnist import load_mnist
from sumnist.lab.suites.photographs import photograph

pytestmark = pytest.mark.browser

FIVE = Path(__file__).resolve().parent.parent / "examples" / "five.png"
SCRIBBLE = " ".join(f"{20 + 60 * (i % 2)},{20 + 4 * i}" for i in range(16))


# Answers.


@pytest.mark.parametrize("digit", [0, 3, 8])
def test_a_drawn_digit_and_its_sum_are_read_off_the_page(page: Page, digit: int) -> None:
    draw(page, DIGITS[digit])
    expect_answer(page, digit, 7)
    expect(page.locator("#announcement")).to_have_text(re.compile(rf"^{digit} \+ 7 = {digit + 7}\. .*% sure of both\."))
    levels = page.locator("#seen").evaluate("seen => [...seen.getContext('2d').getImageData(0, 0, 28, 28).data]")
    lit = sum(level > 99 for level in levels[::4])
    assert 20 < lit < 300  # what the network saw is drawn


def widths(page: Page) -> set[int]:
    bars = page.locator(".digits .bar, .sums .bar")
    pixels: list[float] = bars.evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    return {round(10 * width) for width in pixels}


@pytest.mark.parametrize("page", [STILL], indirect=True)
@pytest.mark.parametrize("number", [0, 9])
def test_on_the_common_axis_the_bars_of_the_sum_are_those_of_the_digit_displaced_by_the_number(
    page: Page, number: int
) -> None:
    page.fill("#number", str(number))
    draw(page, DIGITS[5])
    expect_answer(page, 5, number)
    column = centre(page, ".digits .bar", 1) - centre(page, ".digits .bar", 0)
    for digit in range(10):
        shift = centre(page, ".sums .bar", digit) - centre(page, ".digits .bar", digit)
        assert shift == pytest.approx(number * column, abs=0.1)
        if digit + number < 10:  # the same figure is in the same place on both
            place = centre(page, ".digits .bar", digit + number)
            assert centre(page, ".sums .bar", digit) == pytest.approx(place, abs=0.1)
    assert len(widths(page)) == 1
    expect(page.locator(".shift")).to_have_text(f"+{number}")


@pytest.mark.parametrize("page", [{"viewport": PHONE, **STILL}], indirect=True)
@pytest.mark.parametrize("number", [12, -9007199254740982])
def test_for_other_numbers_each_sum_stands_under_its_digit(page: Page, number: int) -> None:
    page.fill("#number", str(number))
    draw(page, DIGITS[5])
    expect_answer(page, 5, number)
    for digit in range(10):
        assert centre(page, ".sums .bar", digit) == pytest.approx(centre(page, ".digits .bar", digit), abs=0.1)
    labels = [text.replace("−", "-") for text in page.locator(".sums .label").all_inner_texts()]
    assert labels == [str(number + digit) for digit in range(10)]
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_number_is_set_by_buttons_arrows_digits_and_typing(page: Page) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    page.click("#more")
    expect_answer(page, 5, 8)
    page.click("#less")
    expect_answer(page, 5, 7)
    page.press("body", "3")
    expect_answer(page, 5, 3)
    page.press("#number", "ArrowUp")
    expect_answer(page, 5, 4)
    page.fill("#number", "-40")
    expect_answer(page, 5, -40)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("", "A number is missing."),
        ("1.5", "This is no whole number."),
        ("99999999999999999", "This number is too long."),
    ],
)
def test_without_a_number_to_add_the_digit_stays_and_there_is_no_sum(page: Page, text: str, verdict: str) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    page.fill("#number", text)
    expect(page.locator("#verdict")).to_have_text(verdict)
    expect(page.locator("#digit")).to_have_text("5")
    expect(page.locator("#sum")).to_have_text("?")
    expect(page.locator(".digits .best .label")).to_have_text("5")
    expect(page.locator(".sums .best")).to_have_count(0)
    expect(page.locator(".shift")).to_have_text("+?")
    expect(page.locator("#announcement")).to_have_text(re.compile(rf"^5\. {verdict}"))
    expect(page.locator("#number")).to_have_attribute("aria-invalid", "true")
    page.fill("#number", "1")
    expect_answer(page, 5, 1)


def test_while_one_draws_at_most_one_request_is_under_way_and_the_last_counts(page: Page) -> None:
    page.evaluate(
        """() => {
            let now = window.most = 0;
            const asked = fetch;
            window.fetch = (...given) => {
                window.most = Math.max(window.most, ++now);
                return asked(...given).finally(() => now--);
            };
        }"""
    )
    for digit in (5, 4):
        page.press("body", "Escape")
        draw(page, DIGITS[digit])
    for number in range(9):
        page.fill("#number", str(number))
    expect_answer(page, 4, 8)
    assert page.evaluate("most") == 1


def test_the_time_from_stroke_to_answer_is_measured(page: Page) -> None:
    draw(page, DIGITS[1])
    expect_answer(page, 1, 7)
    assert 0 < until(page, "performance.getEntriesByName('stroke-to-answer').at(-1)?.duration") < 10_000


# Pictures.


def test_a_chosen_picture_is_read_and_clear_goes_back_to_drawing(page: Page) -> None:
    page.set_input_files("#file", FIVE)
    expect_answer(page, 5, 7)
    page.click("#clear")
    expect_none(page, "Draw a digit from 0 to 9.")
    draw(page, DIGITS[4])
    expect_answer(page, 4, 7)


def test_a_photograph_is_read(page: Page, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(photograph(load_mnist("test").images[0], seed=3))
    page.set_input_files("#file", photo)
    expect_answer(page, 7, 7)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page: Page, event: str) -> None:
    give(page, event, "five.png", FIVE.read_bytes())
    expect_answer(page, 5, 7)


def test_undo_takes_back_a_picture_a_stroke_and_a_clearing(page: Page) -> None:
    draw(page, DIGITS[1])
    expect_answer(page, 1, 7)
    page.set_input_files("#file", FIVE)
    expect_answer(page, 5, 7)
    page.click("#undo")
    expect_answer(page, 1, 7)
    page.press("body", "Escape")
    expect_none(page, "Draw a digit from 0 to 9.")
    page.press("body", "Control+z")
    expect_answer(page, 1, 7)
    page.press("body", "Control+z")
    expect_none(page, "Draw a digit from 0 to 9.")
    expect(page.locator("#undo")).to_be_disabled()


def note_inks(page: Page) -> None:
    """Let the page note in `inks` what it says of the ink in each request."""
    page.evaluate(
        """() => {
            const asked = fetch;
            window.inks = [];
            window.fetch = (path, given) => {
                inks.push(typeof given.body === "string" ? JSON.parse(given.body).ink : given.body.get("ink"));
                return asked(path, given);
            };
        }"""
    )


def test_of_a_picture_the_ink_can_be_said_and_it_is_read_again(page: Page) -> None:
    note_inks(page)
    expect(page.locator("#ink")).to_be_hidden()
    page.set_input_files("#file", FIVE)
    expect_answer(page, 5, 7)
    expect(page.locator("#how")).to_have_text("Dark ink.")
    ink = page.get_by_label("Ink", exact=True)
    assert ink.locator("option").all_inner_texts() == ["found out", "dark", "light"]
    ink.select_option("light")
    expect(page.locator("#how")).to_have_text(re.compile(r"^Light ink.*\.$"))
    ink.select_option("dark")
    expect(page.locator("#how")).to_have_text("Dark ink.")
    expect_answer(page, 5, 7)
    assert page.evaluate("inks") == ["auto", "light", "dark"]
    page.fill("#number", "8")
    expect_answer(page, 5, 8)
    give(page, "drop", "five.png", FIVE.read_bytes())
    page.fill("#number", "9")
    expect_answer(page, 5, 9)
    assert set(page.evaluate("inks")[3:]) == {"dark"}  # until it is changed


def test_of_a_drawing_the_ink_is_known_and_nothing_is_said_of_it(page: Page) -> None:
    note_inks(page)
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    assert set(page.evaluate("inks")) == {"dark"}
    expect(page.locator("#how")).to_be_hidden()
    expect(page.locator("#ink")).to_be_hidden()
    page.set_input_files("#file", FIVE)
    expect(page.locator("#how")).to_be_visible()
    page.click("#undo")
    expect(page.locator("#how")).to_be_hidden()
    expect(page.locator("#ink")).to_be_hidden()


def test_what_was_taken_for_the_digit_is_said_of_a_refused_picture_too_and_of_a_blank_one_nothing(page: Page) -> None:
    answering(page, refusal("unsure") | {"how": "light ink, narrow strokes"})
    page.set_input_files("#file", FIVE)
    expect(page.locator("#how")).to_have_text("Light ink, narrow strokes.")
    page.unroute(READ)
    give(page, "drop", "white.png", white())
    expect_none(page, "There is nothing to read.")
    expect(page.locator("#how")).to_be_hidden()


# No answer.


REFUSALS = [
    ("not a digit", "This does not look like a digit.", "Draw one of 0 to 9.",
     "A digit from 0 to 9 was expected; of a photograph, come nearer, so that the paper fills it."),
    ("several digits", "There seems to be more than one digit.", "Draw one, or choose “A number”.",
     "One digit a picture; several are read as a number."),
    ("unsure", "A 4 (48.0\u00a0%), or an 8 (34.0\u00a0%)?", "Draw it more clearly.",
     "Write it more clearly, or ask a person."),
    ("cut off at the border", "The digit runs off the edge.", "Leave some room around it.",
     "Move the camera, so that there is paper all around the digit."),
    ("too small", "The digit is too small.", "Draw it larger.",
     "Come nearer, or crop the picture closer to the digit."),
    ("too little contrast", "The ink hardly differs from the paper.", "Draw it in a darker colour.",
     "A darker pen, or more light."),
    ("anything else", "No answer: anything else.", "Try another picture.", "Try another picture."),
]  # fmt: skip
"""Reasons, the verdict on the page, and what helps: for a drawing, and for an uploaded picture."""


def test_what_is_refused_has_no_answer_but_a_verdict_and_advice_on_a_drawing_or_a_photograph(page: Page) -> None:
    for reason, verdict, hint, advice in REFUSALS:
        answering(page, refusal(reason))
        page.press("body", "Escape")
        draw(page, DIGITS[4])
        expect_none(page, verdict)
        expect(page.locator("#hint")).to_have_text(hint)
        expect(page.locator("#is-there")).to_have_text("A digit: 3.1\u00a0%")
        grey = page.locator(".digits .best .bar").evaluate("bar => getComputedStyle(bar).backgroundColor")
        assert grey == "rgb(170, 180, 192)"
        page.set_input_files("#file", FIVE)
        expect_none(page, verdict)
        expect(page.locator("#hint")).to_have_text(advice)


def test_a_scribble_has_either_an_answer_or_a_reason(page: Page) -> None:
    draw(page, SCRIBBLE)
    verdict = page.locator("#verdict")
    expect(verdict).not_to_have_text(re.compile(r"^Draw a digit|Reading as"))
    answered = page.locator("#main").get_attribute("data-state") == "answer"
    assert answered == (page.locator("#digit").inner_text() != "?")


def test_a_busy_server_is_asked_again(page: Page) -> None:
    answering(page, problem("Too many requests at once", "all places are taken", 503), 503, retry_after="1")
    draw(page, DIGITS[1])
    expect_none(page, "Too many requests at once.")
    expect(page.locator("#hint")).to_have_text("Trying again in 1 s.")
    page.unroute(READ)
    expect_answer(page, 1, 7)


def test_what_is_no_picture_is_said_to_be_none(page: Page) -> None:
    give(page, "drop", "notes.txt", b"five and seven is twelve")
    expect_none(page, "Not a picture of a format that is read here.")
    expect(page.locator("#hint")).to_contain_text("save it as PNG")


@pytest.mark.parametrize("status", [413, 500])
def test_a_problem_is_told_in_the_words_of_the_server(page: Page, status: int) -> None:
    answering(page, problem("Something is wrong", "what was given: the mend", status), status)
    draw(page, DIGITS[1])
    expect_none(page, "Something is wrong.")
    expect(page.locator("#hint")).to_have_text("What was given: the mend.")


def test_what_is_no_answer_of_this_server_is_a_problem_too(page: Page) -> None:
    page.route(READ, lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    draw(page, DIGITS[1])
    expect_none(page, "The server answered 502.")


def test_a_server_that_cannot_be_reached_is_asked_again_by_hand(page: Page) -> None:
    page.route(READ, lambda route: route.abort())
    draw(page, DIGITS[1])
    expect_none(page, "The server cannot be reached.")
    page.wait_for_timeout(500)  # what was asked during the stroke fails first; what is asked at its end must fail too
    page.unroute(READ)
    page.click("#again")
    expect_answer(page, 1, 7)
    expect(page.locator("#again")).to_be_hidden()

"""The page, as its users meet it, with a real server and browser: strokes, pictures, examples, the network that learned
to add, what can go wrong; keyboard and axe."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from page_checks import (
    DESK,
    LEFT_OUT,
    PHONE,
    READ,
    STILL,
    TABLET,
    answering,
    centre,
    choose,
    expect_answer,
    expect_nobody_hindered_anywhere,
    expect_none,
    give,
    problem,
    refusal,
    white,
)  # fmt: skip
from page_driver import DIGITS, draw, points_of, served, until
from photographs import photograph
from sumnist.data.mnist import load_mnist
from sumnist.files import LEARNED
from sumnist.inference.onnx import OnnxNetwork
from sumnist.inference.reader import ADVICE

pytestmark = pytest.mark.browser

FIVE = Path(__file__).resolve().parent.parent / "examples" / "five.png"
BLANK = "Draw a digit from 0 to 9."


# Answers.


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_a_digit_and_its_sum_are_read_off_the_page_whose_bars_are_displaced_by_the_number(page: Page) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    expect(page.locator("#announcement")).to_have_text(re.compile(r"^5 \+ 7 = 12\. .*% sure of both\."))
    levels = page.locator("#seen").evaluate("seen => [...seen.getContext('2d').getImageData(0, 0, 28, 28).data]")
    assert 20 < sum(level > 99 for level in levels[::4]) < 300  # what the network saw is drawn
    assert 0 < until(page, "performance.getEntriesByName('stroke-to-answer').at(-1)?.duration") < 10_000
    for number in (0, 9, 12, -9007199254740982):
        page.fill("#number", str(number))
        expect_answer(page, 5, number)
        column = centre(page, ".digits .bar", 1) - centre(page, ".digits .bar", 0)
        shifted = number * column if 0 <= number <= 9 else 0  # or each sum stands under its digit
        for digit in range(10):
            shift = centre(page, ".sums .bar", digit) - centre(page, ".digits .bar", digit)
            assert shift == pytest.approx(shifted, abs=0.1)
        labels = [text.replace("−", "-") for text in page.locator(".sums .label").all_inner_texts()]
        assert {str(number + digit) for digit in range(10)} <= {*labels}


NO_NUMBERS = {
    "": "A number is missing.", "1.5": "This is not a whole number.", "99999999999999999": "This number is too long.",
}  # fmt: skip


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
    for text, verdict in NO_NUMBERS.items():
        page.fill("#number", text)
        expect(page.locator("#verdict")).to_have_text(verdict)
        expect(page.locator("#digit")).to_have_text("5")
        expect(page.locator("#sum")).to_have_text("?")
        expect(page.locator(".sums .best")).to_have_count(0)
        expect(page.locator("#announcement")).to_have_text(re.compile(rf"^5\. {verdict}"))
        expect(page.locator("#number")).to_have_attribute("aria-invalid", "true")
    page.fill("#number", "-40")
    expect_answer(page, 5, -40)


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


# Pictures.


def test_a_picture_is_chosen_dropped_or_pasted_and_undo_takes_back_a_picture_a_stroke_and_a_clearing(
    page: Page, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(photograph(load_mnist("test").images[0], seed=3))
    page.set_input_files("#file", photo)
    expect_answer(page, 7, 7)
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


def test_of_a_picture_the_ink_can_be_said_and_of_a_drawing_it_is_known(page: Page) -> None:
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
    how, ink = page.locator("#how"), page.get_by_label("Ink", exact=True)
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    expect(how).to_be_hidden()
    expect(ink).to_be_hidden()
    assert set(page.evaluate("inks.splice(0)")) == {"dark"}
    page.set_input_files("#file", FIVE)
    expect(how).to_have_text("Dark ink.")
    assert ink.locator("option").all_inner_texts() == ["automatic", "dark", "light"]
    page.focus("#file")
    page.keyboard.press("Tab")
    expect(ink).to_be_focused()
    page.keyboard.press("l")
    expect_none(page, "There is nothing to read.")  # nothing light is on it
    ink.select_option("dark")
    expect(how).to_have_text("Dark ink.")
    expect_answer(page, 5, 7)
    assert page.evaluate("inks") == ["auto", "light", "dark"]
    give(page, "drop", "five.png", FIVE.read_bytes())
    page.fill("#number", "9")
    expect_answer(page, 5, 9)
    assert set(page.evaluate("inks")[3:]) == {"dark"}  # until it is changed
    give(page, "drop", "white.png", white())
    expect_none(page, "There is nothing to read.")
    expect(how).to_be_hidden()


# No answer.


def test_what_is_refused_has_no_answer_but_a_verdict_and_advice_on_a_drawing_or_a_photograph(page: Page) -> None:
    answering(page, refusal("several digits"))
    draw(page, DIGITS[4])
    expect_none(page, "There seems to be more than one digit.")
    expect(page.locator("#hint")).to_have_text("Draw one, or choose “A number”.")
    expect(page.locator("#is-there")).to_have_text("A digit: 3.1\u00a0%")
    page.set_input_files("#file", FIVE)
    expect_none(page, "There seems to be more than one digit.")
    expect(page.get_by_role("button", name="Read as a number")).to_be_visible()  # this is all that helps
    expect(page.locator("#hint")).to_have_text("")
    answering(page, refusal("too little contrast"))
    page.fill("#number", "8")
    advice = ADVICE["too little contrast"]
    expect(page.locator("#hint")).to_have_text(f"{advice[:1].upper()}{advice[1:]}.")


EACH = "How probable each digit is"


def test_the_bars_of_what_is_refused_as_no_digit_are_those_of_a_digit_if_it_is_one(page: Page) -> None:
    caption = page.locator("figcaption.of-digit")
    expect(caption).to_have_text(EACH)
    for name, words in {"A letter": f"{EACH}, if it is a digit", "A 5": EACH, "Two digits": EACH}.items():
        page.get_by_role("button", name=name, exact=True).click()
        expect(caption).to_have_text(words)


def test_of_a_dot_more_is_wanted_and_a_tiny_digit_should_be_larger(page: Page) -> None:
    draw(page, "50,50")
    expect_none(page, "This does not look like a digit.")
    expect(page.locator("#hint")).to_have_text("Draw more of it.")
    page.click("#clear")
    answering(page, refusal("unusual form"))
    draw(page, DIGITS[2], wide=0.3, high=0.3)
    expect_none(page, "If this is a digit, it has an unusual form.")
    expect(page.locator("#hint")).to_have_text("Write it larger.")
    page.click("#clear")
    draw(page, DIGITS[2])
    expect(page.locator("#hint")).to_have_text("Draw it more plainly.")


PARTS = ".answer, .desk, .tools, .examples, .charts, .seen, #beside, #hunt, .legend, #all, #inside, footer"


def tops(page: Page) -> dict[str, float]:
    """How far below the page's beginning its parts begin."""
    found: dict[str, float] = page.evaluate(
        """selector => Object.fromEntries([...document.querySelectorAll(selector)]
            .filter((one) => one.checkVisibility())
            .map((one) => [one.id || one.className || one.tagName, one.getBoundingClientRect().y + scrollY]))""",
        PARTS,
    )
    return found


@pytest.mark.parametrize(
    "page",
    [pytest.param(STILL | {"viewport": size}, id=name, marks=pytest.mark.long if name == "tablet" else ())
     for name, size in {"phone": PHONE, "tablet": TABLET, "desk": DESK}.items()],
    indirect=True,
)  # fmt: skip
def test_nothing_moves_when_answers_refusals_and_problems_come_and_go(page: Page) -> None:
    def expect_still(state: str) -> None:
        expect(page.locator("#main")).to_have_attribute("data-state", state)
        assert tops(page) == pytest.approx(still, abs=0.6), page.locator(".answer .verdict").inner_text()

    still = tops(page)
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    expect_still("answer")
    page.click("#clear")
    expect_still("idle")
    for answer in (*ADVICE, "four", "gone"):
        page.unroute_all()
        if answer == "gone":
            page.route(READ, lambda route: route.abort())
        else:
            answering(page, four() if answer == "four" else refusal(answer))
        state = {"gone": "problem", "four": "answer"}.get(answer, "refused")
        for strokes in (DIGITS[4], None):
            if strokes:
                draw(page, strokes)
            else:
                page.set_input_files("#file", FIVE)
            expect_still(state)
            page.click("#clear")


def test_a_problem_is_told_and_asked_again(page: Page) -> None:
    give(page, "drop", "notes.txt", b"five and seven is twelve")
    expect_none(page, "Not a picture of a format that is read here.")
    expect(page.locator("#hint")).to_contain_text("save it as PNG")
    page.click("#clear")
    answering(page, problem("Something is wrong", "what was given: the mend", 500), 500)
    draw(page, DIGITS[1])
    expect_none(page, "Something is wrong.")
    expect(page.locator("#hint")).to_have_text("What was given: the mend.")
    page.route(READ, lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.fill("#number", "8")
    expect_none(page, "The server answered 502.")
    answering(page, problem("Too many requests at once", "all places are taken", 503), 503, retry_after="1")
    page.fill("#number", "7")
    expect_none(page, "Too many requests at once.")
    expect(page.locator("#hint")).to_have_text("Trying again in 1 s.")
    page.unroute(READ)
    expect_answer(page, 1, 7)
    page.route(READ, lambda route: route.abort())
    page.fill("#number", "8")
    expect_none(page, "The server cannot be reached.")
    page.unroute(READ)
    page.click("#again")
    expect_answer(page, 1, 8)
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


REACHED = """() => {
  const { id, dataset, ariaLabel, tagName } = document.activeElement;
  return id || dataset.docs || ariaLabel || tagName;
}"""


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
    reached: list[str] = []
    while "api" not in reached[-1:]:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(REACHED))
    examples = page.locator("#examples button").evaluate_all("buttons => buttons.map(button => button.ariaLabel)")
    assert len(examples) >= 15
    links = ["study", "all", "SUMMARY", "how", "study", "sheets", "api"]
    assert reached == ["undo", "clear", "dice", "file", *examples, *links]
    page.keyboard.press("Escape")
    expect_none(page, BLANK)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sumnist: the API")


@pytest.mark.parametrize("page", [{"viewport": {"width": 320, "height": 640}}], indirect=True)
def test_on_the_narrowest_phone_no_task_sticks_out_and_what_is_touched_is_large_enough(page: Page) -> None:
    for task in ("One digit", "A number", "A sum", "A picture", "A sheet", "Your hand"):
        choose(page, task)
        if task in ("One digit", "A number"):
            page.evaluate("scrollTo(0, 0)")
            page.keyboard.press("Escape")
            draw(page, DIGITS[8])
            expect(page.locator("#main")).to_have_attribute("data-state", "answer")
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        small: list[str] = page.evaluate(
            """() => [...document.querySelectorAll("button, select, .choose, .tasks label, summary")]
                .filter((one) => one.checkVisibility() && (one.offsetHeight < 44 || one.offsetWidth < 44))
                .map((one) => `${one.id || one.className || one.textContent}: ${one.offsetWidth}`)"""
        )
        assert small == []


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_axe_finds_nothing_in_the_way_of_anybody(page: Page) -> None:
    expect_none(page, BLANK)
    expect_nobody_hindered_anywhere(page)
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    expect_nobody_hindered_anywhere(page)
    page.set_input_files("#file", FIVE)
    expect(page.locator("#how")).to_be_visible()
    expect_nobody_hindered_anywhere(page)
    answering(page, refusal("not a digit") | {"how": "light ink, 13% of each side cut off, part 2"})
    page.fill("#number", "1234567")
    expect_none(page, "This does not look like a digit.")
    expect_nobody_hindered_anywhere(page)
    page.route(READ, lambda route: route.abort())
    page.press("#number", "ArrowUp")
    expect_none(page, "The server cannot be reached.")
    expect_nobody_hindered_anywhere(page)


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
    assert (network.left_out, network.exact) == (LEFT_OUT, False)
    draw(page, DIGITS[4])
    expect_answer(page, 4, 7)
    page.click("#all")
    expect(page.locator("#hunted")).to_contain_text(re.compile(r"10 of 100 pairs tried, [1-9] wrong"))
    assert page.locator("#hunt .left-out").count() == 10
    cells = page.locator("#hunt span")
    expect(cells.nth(40 + LEFT_OUT[4])).to_have_class(re.compile("wrong"))
    for number in set(range(10)) - {LEFT_OUT[4]}:
        expect(cells.nth(40 + number)).to_have_class("right")
    expect(page.locator("#number")).to_have_value(str(LEFT_OUT[4]))  # it goes there
    expect(page.locator("#hunted")).to_contain_text(f"It fails here: it says 4 + {LEFT_OUT[4]} = ")
    page.fill("#number", "10")
    expect(page.locator("#learned-says")).to_contain_text("It has no input for 10")
    expect_answer(page, 4, 10)


# The other pages.


def curls(page: Page) -> dict[str, str]:
    """What curl is given for each path, by its heading."""
    expect(page.locator(".curl")).not_to_have_count(0)
    found: dict[str, str] = page.locator("section:has(.curl)").evaluate_all(
        """all => Object.fromEntries(
            all.map((one) => ["h3", ".curl"].map((part) => one.querySelector(part).textContent)))"""
    )
    return found


def test_the_page_of_the_api_has_a_line_for_curl_for_each_path_which_works(page: Page, tmp_path: Path) -> None:
    document = page.request.get(f"{page.url}openapi.json").json()
    page.goto(f"{page.url}docs")
    lines, links = curls(page), page.locator("#contents a").count()
    assert len(lines) == links == sum(len(methods) for methods in document["paths"].values())
    for name in ("picture.png", "picture2.png"):
        shutil.copy(FIVE, tmp_path / name)
    for path in (
        "POST/v1/read",
        "POST/v1/read/batch",
        "POST/v1/read-number",
        "POST/v1/find",
        "GET/healthz",
        "GET/metrics",
    ):
        words = shlex.split(lines[path].replace("\\\n", ""))
        answer = subprocess.run(
            [*words, "-sS", "--fail"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        assert path != "POST/v1/read" or json.loads(answer)["sum"] == 12
    assert lines["DELETE/v1/hands/{name}"].startswith("curl -X DELETE http://")
    page.get_by_role("link", name="POST /v1/find").click()
    expect(page.get_by_role("heading", name="POST/v1/find")).to_be_in_viewport()


def test_a_picture_is_sent_from_the_page_of_the_api_with_the_token_of_the_page(
    browser: Browser, tmp_path: Path
) -> None:
    token = "a-token-of-the-tests"
    (tmp_path / "tokens").write_text(token)
    with served("serve", "--port", "0", "--workers", "1", "--token-file", str(tmp_path / "tokens")) as url:
        page = browser.new_page()
        page.goto(f"{url}/docs")
        assert '-H "Authorization: Bearer $TOKEN"' in curls(page)["POST/v1/read"]
        send, status, field = (
            page.get_by_role("button", name="Send"),
            page.locator("#try-status"),
            page.get_by_label("token"),
        )
        field.fill("another-token-of-the-tests")
        send.click()
        expect(status).to_have_text("401 Unauthorized")
        field.fill(token)
        send.click()
        expect(status).to_have_text("200 OK")
        expect(page.locator("#try-answer")).to_contain_text('"digit": 5')
        expect(field).to_be_hidden()
        page.goto(url)
        draw(page, DIGITS[4])
        expect_answer(page, 4, 7)
        page.goto(f"{url}/docs")
        page.get_by_label("Picture of a digit").set_input_files(FIVE)
        page.get_by_label("Number to add").fill("1.5")
        send.click()
        expect(status).to_be_hidden()  # the browser says what is wrong
        page.get_by_label("Number to add").fill("-40")
        send.click()
        expect(page.locator("#try-answer")).to_contain_text('"sum": -35')
        page.close()


@pytest.mark.parametrize("path", ["about", "docs"])
def test_axe_finds_nothing_in_the_way_of_anybody_on_the_other_pages(page: Page, path: str) -> None:
    page.goto(f"{page.url}{path}")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    if path == "docs":
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#try-status")).to_have_text("200 OK")
    expect_nobody_hindered_anywhere(page)


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
    expect(page.locator("#verdict")).to_have_text(
        re.compile(r"^A [49] \(\d\d\.\d\u00a0%\), or a [49] \(\d\d\.\d\u00a0%\)\?$")
    )
    page.click("#clear")
    for name, digit in (("A one with a long upstroke", 1), ("A seven with a bar", 7)):
        press(name)
        expect_answer(page, digit, 7)
        page.click("#undo")
        expect_none(page, "Draw a digit from 0 to 9.")


INKS = """tiles => tiles.map((tile) => {
  const { data } = tile.getContext("2d").getImageData(0, 0, tile.width, tile.height);
  const inked = Array.from({ length: data.length / 4 }, (_, i) => [...data.slice(4 * i, 4 * i + 4)]);
  const dark = inked.filter(([, , , alpha]) => alpha > 250).map(([red]) => red);
  return [data[3], Math.min(...dark), Math.max(...dark)];
})"""
"""Of each tile: how opaque its corner is, and the least and most red of its ink."""


def test_all_examples_have_the_ink_and_the_ground_of_the_page_in_the_light_and_in_the_dark(page: Page) -> None:
    tiles = page.locator("#examples canvas")
    for scheme, ink in (("light", 0x1F), ("dark", 0xE6), ("light", 0x1F)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
        assert tiles.count() >= 15
        assert np.array(tiles.evaluate_all(INKS)) == pytest.approx(np.array([[0, ink, ink]] * tiles.count()), abs=3)


@pytest.mark.parametrize("page", [{"viewport": size} for size in (PHONE, DESK)], indirect=True, ids=["phone", "desk"])
def test_the_page_says_what_it_is_and_names_its_dice(page: Page) -> None:
    expect(page.get_by_text("A network reads it, adds yours, and says how sure it is.")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Random number")).to_have_text("Random")
    expect(page.get_by_text("Random", exact=True)).to_be_in_viewport(ratio=1)


def test_the_dice_gives_another_number_and_each_task_has_an_address(page: Page) -> None:
    numbers = [page.locator("#number").input_value()]
    for _ in range(12):
        page.click("#dice")
        numbers.append(page.locator("#number").input_value())
    assert all(before != after for before, after in pairwise(numbers))
    assert set(numbers) <= set("0123456789")
    tasks = {"number": "a-number", "sum": "a-sum", "picture": "a-picture", "sheet": "a-sheet", "hand": "your-hand",
             "digit": "one-digit"}  # fmt: skip
    for name, address in tasks.items():
        page.locator(f"input[value={name}]").check()
        expect(page).to_have_url(re.compile(f"#{address}$"))
    page.goto(page.url.replace("#one-digit", "#a-number"))
    expect(page.get_by_role("radio", name="A number")).to_be_checked()
    page.go_back()
    expect(page.get_by_role("radio", name="One digit")).to_be_checked()

"""The page in everybody's hands: finger and keyboard, phone and desk, light and dark, what axe finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from page_checks import (
    AXE,
    EVERYWHERE,
    PHONE,
    READ,
    STILL,
    answering,
    centre,
    expect_answer,
    expect_none,
    need,
    problem,
    refusal,
    violations,
)
from page_driver import DIGITS, draw, points_of

pytestmark = pytest.mark.browser

FIVE = Path(__file__).resolve().parent.parent / "examples" / "five.png"


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
    expect(page.locator("#keys")).to_have_css("opacity", "1")
    for key, times in (("ArrowUp", 8), (" ", 1), ("ArrowDown", 16), (" ", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    expect_answer(page, 1, 6)
    page.keyboard.press("2")
    expect_answer(page, 1, 2)
    reached: list[str] = []
    while "api" not in reached[-1:]:
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                  const { id, dataset, ariaLabel, tagName } = document.activeElement;
                  return id || dataset.docs || ariaLabel || tagName;
                }"""
            )
        )
    examples = page.locator("#examples button").evaluate_all("buttons => buttons.map(button => button.ariaLabel)")
    assert len(examples) >= 15
    assert reached == [
        "undo",
        "clear",
        "dice",
        "file",
        *examples,
        "study",
        "all",
        "SUMMARY",
        "how",
        "study",
        "sheets",
        "api",
    ]
    page.keyboard.press("Escape")
    expect_none(page, "Draw a digit from 0 to 9.")


def test_the_ink_of_a_picture_is_chosen_by_keyboard_and_escape_there_leaves_the_picture(page: Page) -> None:
    page.set_input_files("#file", FIVE)
    expect_answer(page, 5, 7)
    page.focus("#file")
    page.keyboard.press("Tab")
    expect(page.get_by_role("combobox", name="Ink")).to_be_focused()
    page.keyboard.press("l")
    expect(page.locator("#how")).to_have_text(re.compile("^Light ink"))
    page.keyboard.press("Escape")
    expect(page.locator("#ink")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect_none(page, "Draw a digit from 0 to 9.")
    expect(page.locator("#ink")).to_be_hidden()


def test_the_link_called_api_leads_to_the_page_of_the_api(page: Page) -> None:
    page.get_by_role("link", name="API", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sumnist: the API")


@pytest.mark.parametrize("page", [{"viewport": {"width": 320, "height": 640}}], indirect=True)
@pytest.mark.parametrize("task", ["One digit", "A number", "A sum", "A sheet"])
def test_on_the_narrowest_phone_no_task_sticks_out_and_what_is_touched_is_large_enough(page: Page, task: str) -> None:
    page.get_by_role("radio", name=task).check()
    page.wait_for_load_state("networkidle")  # what belongs to the task
    if task in ("One digit", "A number"):
        page.evaluate("scrollTo(0, 0)")
        draw(page, DIGITS[8])
        expect(page.locator("#main")).to_have_attribute("data-state", "answer")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    small: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("button, select, .choose, .tasks label, summary")]
            .filter((one) => one.checkVisibility() && (one.offsetHeight < 44 || one.offsetWidth < 44))
            .map((one) => `${one.id || one.className || one.textContent}: ${one.offsetWidth} by ${one.offsetHeight}`)"""
    )
    assert small == []


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}, **STILL}], indirect=True)
def test_the_buttons_of_the_number_stay_in_their_places_while_an_answer_comes(page: Page) -> None:
    def places() -> list[float]:
        return [centre(page, button, 0) for button in ("#less", "#more")]

    blank = places()
    page.route(READ, lambda route: None)  # no answer comes
    draw(page, DIGITS[4])
    page.click("#more")
    expect(page.locator("#sum")).to_have_text("?")
    waiting = places()
    page.unroute(READ)
    page.click("#more")
    expect_answer(page, 4, 9)
    assert waiting == pytest.approx(blank, abs=2)
    assert places() == pytest.approx(blank, abs=2)


@pytest.mark.parametrize("page", [{"viewport": {"width": 844, "height": 390}}], indirect=True)
def test_on_a_phone_held_sideways_pad_answer_and_the_first_chart_are_seen_at_once(page: Page) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    for part in ("#pad", "#digit", "#sum", "#verdict", ".digits"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 390, part


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_the_pad_is_as_wide_as_the_screen_the_answer_above_it_and_the_charts_within_one_swipe(
    page: Page,
) -> None:
    boxes = {part: page.locator(part).bounding_box() for part in (".answer", "#pad", ".charts:visible")}
    answer, pad, charts = boxes.values()
    assert answer is not None
    assert pad is not None
    assert charts is not None
    assert pad["width"] >= 390 - 2 * 16
    assert answer["y"] + answer["height"] <= pad["y"]
    assert charts["y"] + charts["height"] <= 2 * 844


@pytest.mark.parametrize("page", [{"viewport": PHONE}], indirect=True)
@pytest.mark.parametrize("state", ["blank", "answer", "refused", "problem", "picture"])
def test_on_a_phone_nothing_sticks_out(page: Page, state: str) -> None:
    if state == "refused":
        answering(page, refusal("several digits"))
    elif state == "problem":
        answering(page, problem("Too many requests at once", "", 503), 503, retry_after="9")
    if state == "picture":
        answering(page, refusal("unsure") | {"how": "light ink, 13% of each side cut off, part 2"})
        page.set_input_files("#file", FIVE)
        expect(page.locator("#how")).to_be_visible()
    elif state != "blank":
        draw(page, DIGITS[8])
        expect(page.locator("#main")).to_have_attribute("data-state", state)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}], indirect=True)
def test_in_the_dark_the_paper_is_dark_and_the_ink_light(page: Page) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    colours: list[str] = page.locator("#pad").evaluate(
        "pad => [getComputedStyle(pad).color, getComputedStyle(pad).backgroundColor]"
    )
    ink, paper = (sum(int(part) for part in re.findall(r"\d+", colour)[:3]) for colour in colours)
    assert ink > 600 > 150 > paper


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_who_wants_less_motion_has_none(page: Page) -> None:
    assert page.locator(".bar").first.evaluate("bar => getComputedStyle(bar).transitionDuration") == "0s"


@EVERYWHERE
def test_axe_finds_nothing_in_the_way_of_anybody(page: Page) -> None:
    need(AXE, "npm install --prefix tests")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    expect_none(page, "Draw a digit from 0 to 9.")
    assert violations(page) == []
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    assert violations(page) == []
    page.set_input_files("#file", FIVE)
    expect(page.locator("#how")).to_be_visible()
    assert violations(page) == []
    answering(page, refusal("not a digit"))
    page.fill("#number", "1234567")
    expect_none(page, "This does not look like a digit.")
    assert violations(page) == []
    page.route(READ, lambda route: route.abort())
    page.press("#number", "ArrowUp")
    expect_none(page, "The server cannot be reached.")
    assert violations(page) == []

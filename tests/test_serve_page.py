"""The page, as its users meet it: a real server, a real browser, strokes, keys, pictures, and what can go wrong."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from sumnist.data.mnist import load_mnist
from sumnist.suites.photographs import photograph

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent
FIVE = HERE.parent / "examples" / "five.png"
CHROMIUM = Path("/usr/bin/chromium")
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
PHONE = ViewportSize(width=360, height=740)
DESK = ViewportSize(width=1280, height=800)
READ = "**/v1/read?image=true&beside=true"

DIGITS = [
    "50,20 38,28 33,50 38,72 50,80 62,72 67,50 62,28 50,20",
    "52,18 49,82",
    "33,32 40,21 55,20 65,30 62,45 33,78 70,78",
    "36,22 60,22 66,33 60,45 48,49 63,54 68,68 58,79 35,77",
    "42,20 32,55 70,55 / 60,35 58,82",
    "68,22 40,22 37,46 50,42 63,48 67,60 62,74 48,80 34,76",
    "60,18 43,38 36,62 44,79 58,79 65,66 58,55 45,56 37,66",
    "32,23 68,23 58,45 46,82",
    "62,28 50,20 39,29 43,42 60,57 64,70 50,80 37,70 42,56 60,42 63,29",
    "64,33 53,21 40,27 38,42 50,50 63,42 64,33 62,60 58,82",
]
"""How each digit is drawn, in hundredths of the pad's side; a slash lifts the pen."""
SCRIBBLE = " ".join(f"{20 + 60 * (i % 2)},{20 + 4 * i}" for i in range(16))


def need(path: Path, mend: str) -> None:
    """Skip where `path` is missing; in CI, where it must not be, fail."""
    if not path.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{path} is missing: {mend}")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server of its own."""
    command = [sys.executable, "-m", "sumnist", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().partition(": ")[0]
        process.terminate()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    need(CHROMIUM, "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, server: str) -> Iterator[Visit]:
    """Opens the page, in a browser with these settings. In the end nothing was asked of any other host, no script had
    failed, and nothing was refused by the content security policy."""
    asked: list[str] = []
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(message.text)

    contexts = []

    def opened(**settings: Any) -> Page:
        context = browser.new_context(**{"viewport": DESK, **settings})
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert asked
    assert [url for url in asked if not url.startswith(f"{server}/")] == []
    assert wrong == []


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit()


def draw(page: Page, strokes: str) -> None:
    """Draw with the mouse."""
    for stroke in strokes.split("/"):
        for i, point in enumerate(points_of(page, stroke)):
            page.mouse.move(*point, steps=4 if i else 1)
            if i == 0:
                page.mouse.down()
        page.mouse.up()


def until(page: Page, expression: str) -> Any:
    """The first value that is not null; `wait_for_function` would have the page evaluate text, which it forbids."""
    for _ in range(1_000):
        if (value := page.evaluate(expression)) is not None:
            return value
        page.wait_for_timeout(10)
    pytest.fail(f"{expression}: null for ten seconds")


def points_of(page: Page, stroke: str) -> list[tuple[float, float]]:
    """Where the points of a stroke are on the screen."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    pairs = [point.split(",") for point in stroke.split()]
    return [(box["x"] + int(x) / 100 * box["width"], box["y"] + int(y) / 100 * box["height"]) for x, y in pairs]


def expect_answer(page: Page, digit: int, number: int) -> None:
    """The page says `digit`, and the right sum, in its headline and in its charts."""
    expect(page.locator("#sum")).to_have_text(str(digit + number).replace("-", "−"))
    expect(page.locator("#digit")).to_have_text(str(digit))
    expect(page.locator("#verdict")).to_have_text(re.compile(r"\d\u00a0% sure of both\.$"))
    expect(page.locator(".digits .best .label")).to_have_text(str(digit))
    expect(page.locator(".sums .best .label")).to_have_text(str(digit + number).replace("-", "−"))


def expect_none(page: Page, verdict: str) -> None:
    """The page says why there is no answer, and gives none."""
    expect(page.locator("#verdict")).to_have_text(verdict)
    expect(page.locator("#digit")).to_have_text("?")
    expect(page.locator("#sum")).to_have_text("?")


def refusal(reason: str) -> dict[str, Any]:
    """A reading that was not accepted, as the server tells it."""
    shares = [0.02] * 4 + [0.48] + [0.02] * 3 + [0.34, 0.04]
    return {
        "digit": 4, "sum": 11, "number": 7, "confidence": 0.48, "sum_confidence": 0.48, "digit_probabilities": shares,
        "sums": list(range(7, 17)), "sum_probabilities": shares, "accepted": False, "reason": reason, "known": 0.031,
        "image": [[0.5] * 28] * 28,
    }  # fmt: skip


def answering(page: Page, body: dict[str, Any], status: int = 200, **headers: str) -> None:
    """Let the page be answered `body` instead of by the server."""
    kind = "application/json" if status == 200 else "application/problem+json"
    sent = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    page.route(READ, lambda route: route.fulfill(status=status, headers=sent, body=json.dumps(body)))


def problem(title: str, detail: str, status: int) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "detail": detail, "status": status}


def give(page: Page, event: str, name: str, content: bytes) -> None:
    """Drop or paste a file, as the system would."""
    page.evaluate(
        """([event, name, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(bytes)], name));
            const made = event === "drop"
                ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
            document.body.dispatchEvent(made);
        }""",
        [event, name, list(content)],
    )


def white() -> bytes:
    """A PNG without anything on it."""
    file = io.BytesIO()
    Image.new("L", (200, 200), 255).save(file, "PNG")
    return file.getvalue()


# Answers.


@pytest.mark.parametrize("digit", range(10))
def test_a_drawn_digit_and_its_sum_are_read_off_the_page(page: Page, digit: int) -> None:
    draw(page, DIGITS[digit])
    expect_answer(page, digit, 7)
    expect(page.locator("#said")).to_have_text(re.compile(rf"^{digit} \+ 7 = {digit + 7}\. .*% sure of both\."))
    levels = page.locator("#seen").evaluate("seen => [...seen.getContext('2d').getImageData(0, 0, 28, 28).data]")
    lit = sum(level > 99 for level in levels[::4])
    assert 20 < lit < 300  # what the network saw is drawn


def centre(page: Page, selector: str, place: int) -> float:
    box = page.locator(selector).nth(place).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2


def widths(page: Page) -> set[int]:
    found: list[float] = page.locator(".digits .bar, .sums .bar").evaluate_all(
        "bars => bars.map(bar => bar.getBoundingClientRect().width)"
    )
    return {round(10 * width) for width in found}


@pytest.mark.parametrize("number", [0, 7, 9])
def test_on_the_common_axis_the_bars_of_the_sum_are_those_of_the_digit_displaced_by_the_number(
    visit: Visit, number: int
) -> None:
    page = visit(reduced_motion="reduce")
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


@pytest.mark.parametrize("number", [-3, 12, 123456789, -9007199254740982])
def test_for_other_numbers_each_sum_stands_under_its_digit(visit: Visit, number: int) -> None:
    page = visit(reduced_motion="reduce", viewport=PHONE)
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


@pytest.mark.parametrize("text", ["", "1.5", "99999999999999999"])
def test_what_is_no_number_is_said_to_be_none(page: Page, text: str) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    page.fill("#number", text)
    expect_none(page, "This is no whole number.")
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


def test_the_sum_of_a_network_that_learned_to_add_stands_beside_on_the_same_axis(visit: Visit) -> None:
    page = visit(reduced_motion="reduce")
    expect(page.locator("#beside")).to_be_hidden()
    shares = [0.0] * 13 + [0.9, 0.1] + [0.0] * 4
    learned = {"sum": 13, "sums": list(range(19)), "sum_probabilities": shares, "sum_confidence": 0.9}
    answering(page, refusal("unsure") | {"accepted": True, "reason": None, "beside": learned})
    draw(page, DIGITS[4])
    expect(page.locator("#learned-says")).to_have_text("A network that learned to add says 13 (90.0\u00a0%).")
    assert page.locator(".learned .bar").count() == 19
    for total in range(7, 17):  # the same sum is in the same place as above
        place = centre(page, ".sums .bar", total - 7)
        assert centre(page, ".learned .bar", total) == pytest.approx(place, abs=0.1)
    expect(page.locator(".learned .best .label")).to_have_text("13")
    answering(page, refusal("unsure") | {"beside": None})
    page.fill("#number", "12")
    expect(page.locator("#learned-says")).to_have_text("The network that learned to add knows the numbers 0 to 9 only.")
    expect(page.locator("#learned")).to_be_hidden()
    page.click("#clear")
    expect(page.locator("#beside")).to_be_hidden()


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


# No answer.


def test_a_blank_picture_is_said_to_be_blank(page: Page) -> None:
    give(page, "drop", "white.png", white())
    expect_none(page, "There is nothing to read.")


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("not a digit", "This does not look like a digit."),
        ("several digits", "There seems to be more than one digit."),
        ("unsure", "A 4 (48.0\u00a0%), or an 8 (34.0\u00a0%)?"),
        ("cut off at the border", "The digit runs off the edge."),
        ("too small", "The digit is too small."),
        ("too little contrast", "The ink hardly differs from the paper."),
        ("anything else", "No answer: anything else."),
    ],
)
def test_a_refusal_is_told_in_plain_words_without_an_answer(page: Page, reason: str, verdict: str) -> None:
    answering(page, refusal(reason))
    draw(page, DIGITS[4])
    expect_none(page, verdict)
    expect(page.locator("#hint")).not_to_be_empty()
    expect(page.locator("#known")).to_have_text("A digit: 3.1\u00a0%")
    grey = page.locator(".digits .best .bar").evaluate("bar => getComputedStyle(bar).backgroundColor")
    assert grey == "rgb(170, 180, 192)"


def test_a_letter_is_no_digit(page: Page) -> None:
    draw(page, "30,80 50,20 70,80 / 38,58 62,58")
    expect_none(page, "This does not look like a digit.")


def test_two_digits_are_said_to_be_more_than_one(page: Page) -> None:
    draw(page, "20,30 20,70 / 60,30 78,30 66,70")
    expect_none(page, "There seems to be more than one digit.")


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


@pytest.mark.parametrize("status", [413, 415, 422, 500])
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


# Hands, eyes and screens.


def test_a_finger_draws_and_does_not_scroll(visit: Visit) -> None:
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    session = page.context.new_cdp_session(page)
    for i, (x, y) in enumerate(points_of(page, DIGITS[7])):
        touch = {"type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        session.send("Input.dispatchTouchEvent", touch)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect_answer(page, 7, 7)
    assert page.evaluate("scrollY") == 0


def test_everything_can_be_done_by_keyboard(page: Page) -> None:
    page.press("body", "Tab")
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
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert reached == ["undo", "clear", "file", "Documentation", "API"]
    page.keyboard.press("Escape")
    expect_none(page, "Draw a digit from 0 to 9.")


@pytest.mark.parametrize("state", ["blank", "answer", "refused", "problem"])
def test_on_a_phone_nothing_sticks_out(visit: Visit, state: str) -> None:
    page = visit(viewport=PHONE)
    if state == "refused":
        answering(page, refusal("several digits"))
    elif state == "problem":
        answering(page, problem("Too many requests at once", "", 503), 503, retry_after="9")
    if state != "blank":
        draw(page, DIGITS[8])
        expect(page.locator("#main")).to_have_attribute("data-state", state)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_in_the_dark_the_paper_is_dark_and_the_ink_light(visit: Visit) -> None:
    page = visit(color_scheme="dark")
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    colours: list[str] = page.locator("#pad").evaluate(
        "pad => [getComputedStyle(pad).color, getComputedStyle(pad).backgroundColor]"
    )
    ink, paper = (sum(int(part) for part in re.findall(r"\d+", colour)[:3]) for colour in colours)
    assert ink > 600 > 150 > paper


def test_who_wants_less_motion_has_none(visit: Visit) -> None:
    page = visit(reduced_motion="reduce")
    assert page.locator(".bar").first.evaluate("bar => getComputedStyle(bar).transitionDuration") == "0s"


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_way_of_anybody(visit: Visit, viewport: ViewportSize, scheme: str) -> None:
    need(AXE, "npm install --prefix tests")
    page = visit(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    expect_none(page, "Draw a digit from 0 to 9.")
    assert violations(page) == []
    draw(page, DIGITS[5])
    expect_answer(page, 5, 7)
    assert violations(page) == []
    answering(page, refusal("not a digit"))
    page.fill("#number", "1234567")
    expect_none(page, "This does not look like a digit.")
    assert violations(page) == []
    page.route(READ, lambda route: route.abort())
    page.press("#number", "ArrowUp")
    expect_none(page, "The server cannot be reached.")
    assert violations(page) == []


def violations(page: Page) -> list[str]:
    """What axe objects to, and where."""
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]

"""The page learns how its visitor writes: digits are written, the reader learns from them, all tasks use what helps."""

from __future__ import annotations

import json
import math
import random
import re
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from page_checks import STILL, choose, problem
from page_driver import DIGITS

pytestmark = pytest.mark.browser

ROOM, SUM, PICTURE = "#hand-task", "#sum-task", "#picture-task"
BATCH, HANDS = "**/v1/read/batch", "**/v1/hands"
PAD, NEXT = f"{ROOM} canvas[data-part=pad]", f"{ROOM} [data-part=next]"
KEPT = "sessionStorage.getItem('sumnist-hand')"
OWN = [*DIGITS[:1], "34,36 60,20 51,82", *DIGITS[2:7], "32,23 68,23 48,80 / 38,50 62,50", *DIGITS[8:]]
"""The digits of a writer whose 1 is like another writer's 7, and whose 7 has a bar."""
PEN = """([selector, drawings, next]) => {
  const pad = document.querySelector(selector);
  const box = pad.getBoundingClientRect();
  pad.setPointerCapture = () => {};
  const send = (name, [x, y]) => pad.dispatchEvent(new PointerEvent(name, {
    bubbles: true, pointerId: 1, clientY: box.y + y * box.height,
    clientX: box.x + box.width / 2 + (x - 0.5) * box.height,
  }));
  for (const strokes of drawings) {
    for (const stroke of strokes) {
      send("pointerdown", stroke[0]);
      for (const point of stroke) send("pointermove", point);
      send("pointerup", stroke.at(-1));
    }
    if (next) document.querySelector(next).click();
  }
}"""
"""Draws one after the other on a pad at once, and presses the button behind each, if there is one."""
POINTS = 4
"""Between two points of a stroke, one less than that are drawn."""


def part(page: Page, name: str) -> Locator:
    return page.locator(f"{ROOM} [data-part={name}]")


def drawn(strokes: str, chance: random.Random) -> list[list[list[float]]]:
    """The strokes of a digit, a little turned and scaled by chance, in shares of the pad's height."""
    angle, scale = math.radians(chance.uniform(-4, 4)), chance.uniform(0.92, 1.04)
    made = []
    for stroke in strokes.split("/"):
        pairs = [[float(share) / 100 - 0.5 for share in point.split(",")] for point in stroke.split()]
        between = [
            [a + (b - a) * step / POINTS for a, b in zip(one, other, strict=True)]
            for one, other in pairwise(pairs)
            for step in range(POINTS)
        ]
        made.append([
            [0.5 + scale * (math.cos(angle) * x - math.sin(angle) * y),
             0.5 + scale * (math.sin(angle) * x + math.cos(angle) * y)]
            for x, y in [*between, pairs[-1]]
        ])  # fmt: skip
    return made


def pen(page: Page, digit: int, chance: random.Random, pad: str = PAD) -> None:
    """Draw a digit."""
    page.evaluate(PEN, [pad, [drawn(OWN[digit], chance)], None])


def teach(page: Page, count: int) -> random.Random:
    """Write so many of the digits that are asked for."""
    chance = random.Random(5)
    page.evaluate(PEN, [PAD, [drawn(OWN[place % 10], chance) for place in range(count)], NEXT])
    return chance


def said(page: Page, digit: int) -> list[str]:
    """How the examples of a digit are read, in words."""
    return page.locator(f"{ROOM} li").nth(digit).locator(".unseen").all_inner_texts()


def lesson(helps: bool, wrong: tuple[int, int], loss: tuple[float, float], **changed: Any) -> dict[str, Any]:
    """What the server answers to examples."""
    trials = {"digits": {"examples": 30, "wrong": wrong, "loss": loss}}
    return {"hand": {"format": 1, "left_out": []}, "name": None, "helps": helps, "trials": trials} | changed


def learning(page: Page, answer: dict[str, Any], status: int = 200) -> list[Request]:
    """Let this be answered to examples, and each of them be read as a 3; the requests that are so answered."""
    asked: list[Request] = []

    def answered(route: Route, body: dict[str, Any], status: int = 200) -> None:
        asked.append(route.request)
        route.fulfill(status=status, content_type="application/json", body=json.dumps(body))

    three = {"digit": 3, "accepted": True, "reason": None}
    page.route(BATCH, lambda route: answered(route, {"readings": [three] * 30}))
    page.route(HANDS, lambda route: answered(route, answer, status))
    return asked


def has_hand(request: Request) -> bool:
    """Whether a request, a form or JSON, has a hand."""
    body = request.post_data_buffer or b""
    return b'name="hand"' in body or b'"hand":' in body


# Teaching.


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_a_hand_that_is_taught_is_used_by_all_tasks_until_it_is_forgotten(page: Page) -> None:
    own = random.Random(2)
    pen(page, 1, own, "#pad")
    expect(page.locator("#digit")).to_have_text("7")
    choose(page, "Your hand")
    expect(part(page, "verdict")).to_have_text("Write a 0")
    expect(part(page, "hint")).to_have_text("— 1 of 30")
    teach(page, 30)
    expect(part(page, "verdict")).to_have_text("All 30 are there.")
    part(page, "learn").click()
    expect(part(page, "verdict")).to_have_text(
        re.compile(r"^It helps: [01] of 30 wrong instead of [23]\.$"), timeout=60_000
    )
    assert [row.split("\t")[0] for row in part(page, "tested").inner_text().splitlines()] == [
        "One digit", "In a number, gaps too", "In a box of a form",
    ]  # fmt: skip
    assert said(page, 1).count("read as 7; with your hand read as 1") >= 2
    assert said(page, 7) == ["read as 7; with your hand read as 7"] * 3
    expect(part(page, "taught")).to_have_text(
        re.compile(r"^It reads 2[78] of these 30 right without your hand, and (29|30) with it\. Only the test counts")
    )
    asked: list[Request] = []

    def note(route: Route) -> None:
        asked.append(route.request)
        route.continue_()

    page.route("**/v1/**", note)  # an event "request" would have no bodies of forms
    part(page, "use").click()
    expect(page.locator("#digit")).to_have_text("1")  # what is on the pad is asked anew
    expect(page.locator("#stranger")).to_be_visible()
    choose(page, "A number")
    expect(page.locator("#digit")).to_have_text("1")
    choose(page, "A sum")
    pen(page, 1, own, f"{SUM} [data-part=one] canvas")
    expect(page.locator(f"{SUM} [data-part=one] output")).to_have_text("1")
    choose(page, "A picture")
    page.get_by_role("button", name="Try an example").click()
    expect(page.locator(f"{PICTURE} [data-part=count]")).to_have_text(re.compile(r"^Sum of \d+ numbers$"))
    for task in ("A sheet", "Your hand", "One digit"):
        choose(page, task)
        expect(page.locator("#known")).to_have_text("The reader knows your hand. Forget it")
    assert {request.url.split("/v1/")[1].partition("?")[0] for request in asked} == {"read", "read-number", "find"}
    assert all(map(has_hand, asked))
    known = len(asked)
    with page.expect_request("**/v1/find"), page.expect_request("**/v1/read-number"):  # they, too, are asked anew
        page.get_by_role("button", name="Forget it").click()
    expect(page.locator("#digit")).to_have_text("7")
    expect(page.locator("#known")).to_be_hidden()
    expect(page.locator("#forgotten")).to_have_text("The reader has forgotten your hand.")
    expect(page.get_by_role("radio", name="One digit")).to_be_focused()
    assert page.evaluate(KEPT) is None
    choose(page, "Your hand")
    expect(part(page, "verdict")).to_have_text("All 30 are there.")
    assert said(page, 1) == [""] * 3
    again = asked[known:]
    assert {request.url.split("/v1/")[1].partition("?")[0] for request in again} == {"read", "read-number", "find"}
    assert not any(map(has_hand, again))


# What does not help, and what goes wrong.


def test_what_goes_wrong_is_said_in_words_and_tried_again(page: Page) -> None:
    choose(page, "Your hand")
    teach(page, 10)
    learning(page, {})
    page.route(HANDS, lambda route: route.abort())
    part(page, "learn").click()
    expect(part(page, "verdict")).to_have_text("The server cannot be reached.")
    allow = "The server may be busy. Its flag --reading-seconds allows more."
    for status, name, verdict, detail in (
        (422, "hand", "A title.", "Example 3: a detail."),
        (413, "body-too-large", "A title.", "Example 3: a detail."),
        (503, "reading-timeout", "Learning took too long.", allow),
        (401, "unauthorized", "A token is needed.", "Whoever runs this server has one: type it above."),
    ):
        page.unroute_all()
        said = problem("A title", "example 3: a detail", status) | {"type": f"urn:sumnist:problem:{name}"}
        asked = learning(page, said, status)
        part(page, "again").click()
        expect(part(page, "verdict")).to_have_text(verdict)
        expect(part(page, "hint")).to_have_text(detail)
        assert page.evaluate(KEPT) is None
        assert len(asked) == 2
    page.unroute_all()
    asked = learning(page, lesson(True, (2, 1), (0.5, 0.25), name="0" * 32))
    page.fill("#token", "secret")
    with page.expect_request(lambda request: request.method == "DELETE") as forgotten:  # the page keeps the hand itself
        page.keyboard.press("Enter")
    assert forgotten.value.url.endswith(f"/v1/hands/{'0' * 32}")
    expect(part(page, "verdict")).to_have_text("It helps: 1 of 30 wrong instead of 2.")
    assert {request.headers.get("authorization") for request in [*asked, forgotten.value]} == {"Bearer secret"}
    assert [has_hand(request) for request in asked] == [False, False, True]

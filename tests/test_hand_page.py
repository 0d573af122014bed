"""The page learns how its visitor writes: digits are written, the reader learns from them, all tasks use what helps."""

from __future__ import annotations

import math
import random
import re
from itertools import pairwise

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from page_checks import STILL, choose
from page_driver import DIGITS

pytestmark = pytest.mark.browser

ROOM, SUM, PICTURE = "#hand-task", "#sum-task", "#picture-task"
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
        re.compile(r"^It helps: \d of 30 wrong instead of \d\.$"), timeout=60_000
    )
    assert said(page, 1).count("read as 7; with your hand read as 1") >= 2
    assert said(page, 7) == ["read as 7; with your hand read as 7"] * 3
    asked: list[Request] = []
    # an event "request" would have no bodies of forms
    page.route("**/v1/**", lambda route: asked.append(route.request) or route.continue_())  # type: ignore[func-returns-value]
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
    for task in ("A sheet", "Your hand"):
        choose(page, task)
        expect(page.locator("#known")).to_have_text("The reader knows your hand. Forget it")
    with page.expect_response("**/v1/read?**"):  # the pad asks as it is shown again: no question may be under way below
        choose(page, "One digit")
    expect(page.locator("#known")).to_have_text("The reader knows your hand. Forget it")
    assert {request.url.split("/v1/")[1].partition("?")[0] for request in asked} == {"read", "read-number", "find"}
    assert all(map(has_hand, asked))
    known = len(asked)
    with page.expect_request("**/v1/find"), page.expect_request("**/v1/read-number"):  # they, too, are asked anew
        page.get_by_role("button", name="Forget it").click()
    expect(page.locator("#digit")).to_have_text("7")
    expect(page.locator("#known")).to_be_hidden()
    expect(page.locator("#forgotten")).to_have_text("The reader has forgotten your hand.")
    assert page.evaluate(KEPT) is None
    again = asked[known:]
    assert {request.url.split("/v1/")[1].partition("?")[0] for request in again} == {"read", "read-number", "find"}
    assert not any(map(has_hand, again))

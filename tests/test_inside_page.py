"""Look inside, as visitors meet it: steps, what was tried, the network, and the places that speak for the digit."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from page_checks import STILL, expect_nobody_hindered_anywhere, white
from page_driver import DIGITS, draw

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_the_page_asks_how_it_was_read_only_while_one_looks_and_shows_it_from_the_picture_to_the_sum(
    page: Page,
) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url) if "/v1/read?" in request.url else None)
    draw(page, DIGITS[7])
    expect(page.locator("#digit")).to_have_text("7")
    assert urls
    assert not any("inside" in url or "evidence" in url for url in urls)
    expect(page.locator(".steps")).to_be_hidden()
    page.get_by_text("Look inside", exact=True).click()
    expect(page.locator(".changes li").first).to_be_visible()
    assert {*re.findall("inside|evidence", " ".join(urls))} == {"inside", "evidence"}
    expect(page.locator(".steps strong").last).to_have_text("What the network sees")
    words = page.locator(".lens p")
    page.locator(".drawing canvas").focus()
    for says in ("Image, row", "Layer 1, map"):
        page.keyboard.press("PageDown")
        expect(words).to_have_text(re.compile(rf"^{says} "))
    for _ in range(12):
        page.keyboard.press("PageDown")
    expect(words).to_have_text(re.compile(r"^14: .*Just as probable as the digit 7, since 7 \+ 7 = 14"))
    page.locator(".strokes canvas").focus()
    for _ in range(12):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".verdict-there")).to_have_text("Nothing depends on this place.")
    expect_nobody_hindered_anywhere(page)
    page.set_input_files("#file", {"name": "white.png", "mimeType": "image/png", "buffer": white()})
    expect(page.locator(".why")).to_have_text("There is no ink to try.")

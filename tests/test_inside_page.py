"""Look inside, as visitors meet it: steps, what was tried, the network, and the strokes that speak for the digit."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from page_checks import STILL, expect_nobody_hindered_anywhere, white
from page_driver import DIGITS, draw
from served import SEVEN
from sumnist.inference.inside import Evidence, Inside, Layer, evidence_of, read_inside
from sumnist.inference.reader import Reader, Reading

pytestmark = pytest.mark.browser

CANVAS = ".drawing canvas"


def opened(page: Page) -> None:
    page.get_by_text("Look inside", exact=True).click()
    page.locator("#pad").scroll_into_view_if_needed()


def shown(page: Page, reader: Reader, picture: bytes, number: int = 7) -> tuple[Reading, Inside, Evidence]:
    """Have the page answered with the reading of a picture, whatever is drawn; the reading."""
    reading, inside = read_inside(reader, picture, number)
    evidence = evidence_of(reader, reading)
    assert evidence is not None
    body = reading.as_dict(image=True) | {"sum_confidence": reading.sum_confidence}
    more = {"inside": inside.as_dict(), "evidence": evidence.as_dict()}

    def answer(route: Any) -> None:
        parts = {flag: part for flag, part in more.items() if f"{flag}=true" in route.request.url}
        route.fulfill(content_type="application/json", body=json.dumps(body | parts))

    page.route("**/v1/read?*", answer)
    opened(page)
    draw(page, DIGITS[1])
    expect(page.locator(".changes li").first).to_be_visible()  # a part of it is read while it is drawn
    return reading, inside, evidence


def percent(value: float, peak: float) -> str:
    return f"{np.floor(100 * np.rint(255 * value / peak) / 255 + 0.5):.0f}\u00a0%"


def layer_text(layer: Layer, number: int, map_: int, row: int, column: int) -> str:
    count, side, _ = layer.values.shape
    value = percent(float(layer.values[map_, row, column]), float(layer.values.max()))
    where = f", row {row + 1}, column {column + 1}" if side > 1 else ""
    name = f"Layer {number}, map {map_ + 1} of {count}" if side > 1 else f"Value {map_ + 1} of {count}"
    return f"{name}{where}: {value} of the layer's strongest answer."


def strongest_in(layer: Layer) -> tuple[int, int, int]:
    """The strongest map of a layer, and the row and column of its strongest place, in what is sent of it."""
    sent = np.rint(255 * layer.values / layer.values.max())
    map_ = int(sent.sum((1, 2)).argmax())
    return (map_, *divmod(int(sent[map_].argmax()), sent.shape[2]))


def seen_by(layer: Layer, place: int) -> NDArray[np.bool_]:
    """Which of the image's 28 rows a place of a layer sees."""
    if layer.field is None:
        return np.ones(28, bool)
    start, step, size = layer.field
    return np.array([start + place * step <= pixel < start + place * step + size for pixel in range(28)])


@pytest.mark.parametrize("page", [STILL], indirect=True)
def test_the_page_asks_how_it_was_read_only_while_one_looks_and_shows_it_from_the_picture_to_the_sum(
    page: Page, reader: Reader
) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url) if "/v1/read?" in request.url else None)
    draw(page, DIGITS[7])
    expect(page.locator("#digit")).to_have_text("7")
    assert urls
    assert not any("inside" in url or "evidence" in url for url in urls)
    expect(page.locator(".steps")).to_be_hidden()
    page.click("#clear")
    reading, inside, evidence = shown(page, reader, SEVEN)
    assert [re.findall("inside|evidence", url) for url in urls[-2:]] == [["inside"], ["evidence"]]
    assert reading.image is not None
    names = page.locator(".steps strong").all_inner_texts()
    assert names == ["The picture", "Ink found", "Cut out", "What the network sees"]
    sizes = page.locator(".steps canvas").evaluate_all("all => all.map(one => [one.height, one.width])")
    assert sizes == [list(step.values.shape) if max(step.values.shape) <= 160 else [160, 160] for step in inside.steps]
    levels = page.locator(".steps canvas").last.evaluate(
        "one => [...one.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0)"
    )
    assert levels == np.rint(255 * inside.steps[-1].values).ravel().tolist()
    expect(page.locator(".tried li")).to_have_count(1)
    expect(page.locator(".why")).to_have_text("The first look was beyond doubt, so nothing else was tried.")
    check_network(page, inside, divmod(int(np.rint(255 * reading.image).argmax()), 28))
    check_evidence(page, evidence, reading.digit, reading.image)
    expect_nobody_hindered_anywhere(page)
    page.unroute("**/v1/read?*")
    page.set_input_files("#file", {"name": "white.png", "mimeType": "image/png", "buffer": white()})
    expect(page.locator(".why")).to_have_text("There is no ink to try.")
    expect(page.locator(".inside .none")).to_have_text(re.compile("so the network was not asked"))


def check_network(page: Page, inside: Inside, pixel: tuple[int, int]) -> None:
    """The keys lead through all layers to the sum; each place says what it answers, and what it sees of the image."""
    words = page.locator(".lens p")
    page.locator(CANVAS).focus()
    page.keyboard.press("PageDown")
    expect(words).to_have_text(re.compile(rf"^Image, row {pixel[0] + 1}, column {pixel[1] + 1}: 100\u00a0% ink\."))
    for number, layer in enumerate(inside.layers, 1):
        page.keyboard.press("PageDown")
        map_, row, column = strongest_in(layer)
        expect(words).to_contain_text(layer_text(layer, number, map_, row, column))
        high, wide = (int(seen_by(layer, at).sum()) for at in (row, column))
        sees = "the whole image" if (high, wide) == (28, 28) else f"{wide} × {high} pixels of the image"
        expect(words).to_contain_text(f"It sees {sees}.")
        if number == 1:
            page.keyboard.press("ArrowDown" if row == 0 else "ArrowUp")
            row += 1 if row == 0 else -1
            expect(words).to_contain_text(layer_text(layer, 1, map_, row, column))
            page.keyboard.press("Shift+ArrowDown" if map_ < 3 else "Shift+ArrowUp")  # 3 of 32 beside each other
            expect(words).to_contain_text(layer_text(layer, 1, map_ + (3 if map_ < 3 else -3), row, column))
    page.keyboard.press("PageDown")
    expect(words).to_have_text(re.compile(r"^A 7: .*\. With 7 that makes 14\.$"))
    page.keyboard.press("PageDown")
    expect(words).to_have_text(re.compile(r"^14: .*Just as probable as the digit 7, since 7 \+ 7 = 14"))
    page.keyboard.press("ArrowDown")
    expect(words).to_have_text(re.compile("^15: .*the digit 8"))
    expect(page.locator(".captions > span").last).to_have_text("Sumswith 7")


def check_evidence(page: Page, evidence: Evidence, digit: int, image: NDArray[np.float32]) -> None:
    """The place that speaks most for the digit is chosen, and what changes without it is said; ink that speaks for the
    digit is blue, and what speaks against it orange."""
    strongest = evidence.changes[:, digit].argmin()
    after = evidence.probabilities * np.exp(evidence.changes[strongest])
    after /= after.sum()
    words = page.locator(".verdict-there")
    if after.argmax() != digit:
        expect(words).to_have_text(re.compile(rf"^Without this place it would more likely be an? {after.argmax()}\.$"))
    widths = page.locator(".changes .now").evaluate_all(
        "all => all.map(one => one.offsetWidth / one.parentNode.offsetWidth)"
    )
    assert widths == pytest.approx(after, abs=0.02)
    colours = np.array(page.locator(".strokes canvas").evaluate(
        "one => { const k = one.width / 28, c = one.getContext('2d'); return Array.from({ length: 784 }, (_, i) =>"
        " [...c.getImageData((i % 28 + 0.5) * k, (Math.floor(i / 28) + 0.5) * k, 1, 1).data.slice(0, 3)]) }"
    ))  # fmt: skip
    means = np.zeros((28, 28))
    covered = np.zeros((28, 28))
    for place, change in enumerate(evidence.changes[:, digit]):
        top, left = (evidence.stride * at for at in divmod(place, evidence.side))
        area = slice(top, top + evidence.patch), slice(left, left + evidence.patch)
        means[area] -= change
        covered[area] += 1
    means /= np.maximum(covered, 1)
    inked = (image > 0.8).ravel()
    blue = (colours[:, 2].astype(int) - colours[:, 0])[inked]
    strong = np.abs(means.ravel()[inked]) > 0.2 * np.abs(means).max()
    assert np.array_equal(blue[strong] > 25, means.ravel()[inked][strong] > 0)
    page.locator(".strokes canvas").focus()
    for _ in range(12):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
    expect(words).to_have_text("Nothing depends on this place.")

"""Take the pictures of the page that the README and the site show, with a real server and a real browser.

    python scripts/photograph_page.py

docs/images/page.png: a 4 that is nearly closed, so that a 9 has its share of both charts. docs/images/page.webp, the
same moving: a digit is drawn, numbers are added, the network that learned to add fails, one looks inside, and the total
of a sum settles what a smudge had hidden. Needs /usr/bin/chromium.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from page_driver import chromium, points_of, served

IMAGES = Path(__file__).resolve().parent.parent / "docs/images"
STROKES = "46.4,24 38,34 36,46 42,53 52,52 60,46 / 62.7,22 62,46 57,80"
SIZE = {"width": 1180, "height": 740}
WIDTH = 860
"""Pixels of the moving picture's width."""
QUALITY = 62
LARGEST = 1_000_000
"""Bytes of the moving picture, at most."""
TIMES = 2
"""How often it plays; then it rests on its last frame."""

Frame = tuple[Image.Image, int]
"""A picture, and for how many milliseconds it is seen."""


def main() -> None:
    """Take both."""
    with served() as url, chromium() as browser:
        page = browser.new_page(viewport=SIZE, device_scale_factor=1.5, color_scheme="light")  # type: ignore[arg-type]
        page.goto(url)
        frames = list(film(page, url))
        page.goto(f"{url}/#one-digit")
        page.reload()
        for _ in drawing(page):
            pass
        page.wait_for_timeout(1_000)  # until the bars have come to rest
        page.screenshot(path=IMAGES / "page.png")
    first, *others = [image for image, _ in frames]
    durations = [duration for _, duration in frames]
    stream = BytesIO()
    first.save(
        stream, "WEBP", save_all=True, append_images=others, duration=durations, loop=TIMES, quality=QUALITY, method=6
    )
    if len(stream.getvalue()) > LARGEST:
        raise SystemExit(f"page.webp: {len(stream.getvalue()):,} bytes, expected at most {LARGEST:,}")
    (IMAGES / "page.webp").write_bytes(stream.getvalue())
    print(f"{len(frames)} frames, {sum(durations) / 1000:.0f} s, {len(stream.getvalue()):,} bytes")


def film(page: Page, url: str) -> Iterator[Frame]:
    """What the moving picture shows, frame by frame."""
    yield seen(page, 700)
    yield from drawing(page)
    page.wait_for_timeout(600)
    yield seen(page, 1_500)
    for number in (2, 9):
        page.press("body", str(number))
        page.wait_for_timeout(150)
        yield seen(page, 120)
        page.wait_for_timeout(600)
        yield seen(page, 900)
    page.evaluate("document.querySelector('#beside').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(400)
    yield seen(page, 900)
    page.click("#all")
    page.mouse.move(2, 2)
    page.wait_for_selector("#all:enabled")
    yield seen(page, 2_200)
    page.locator("#inside summary").click()
    page.wait_for_timeout(1_500)
    page.evaluate("document.querySelector('#inside .network').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(500)
    yield seen(page, 2_500)
    page.goto(f"{url}/#a-sum")
    page.get_by_role("button", name="Try 47").click()
    for _ in range(26):
        page.wait_for_timeout(120)
        yield seen(page, 120)
    page.mouse.move(2, 2)
    page.wait_for_timeout(1_200)
    yield seen(page, 3_000)


def drawing(page: Page) -> Iterator[Frame]:
    """Draw the digit; a frame after each point."""
    for stroke in STROKES.split("/"):
        for i, point in enumerate(points_of(page, stroke)):
            page.mouse.move(*point, steps=4 if i else 1)
            if i == 0:
                page.mouse.down()
            page.wait_for_timeout(130)
            yield seen(page, 110)
        page.mouse.up()
    page.wait_for_selector("#main[data-state=answer]")
    page.mouse.move(2, 2)


def seen(page: Page, milliseconds: int) -> Frame:
    """The page as it is now, to be seen for so long."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    height = round(image.height * WIDTH / image.width)
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS), milliseconds


if __name__ == "__main__":
    main()

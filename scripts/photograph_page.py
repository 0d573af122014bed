"""Take the picture of the page that the README shows, docs/images/page.png, with a real server and a real browser.

    python scripts/photograph_page.py

Draws a 4 that is nearly closed, so that a 9 has its share of both charts. Needs /usr/bin/chromium.
"""

from __future__ import annotations

from pathlib import Path

from page_driver import chromium, draw, served

TARGET = Path(__file__).resolve().parent.parent / "docs/images/page.png"
STROKES = "46.4,24 38,34 36,46 42,53 52,52 60,46 / 62.7,22 62,46 57,80"


def main() -> None:
    """Draw, wait for the answer, and photograph it."""
    with served() as url, chromium() as browser:
        size = {"width": 1180, "height": 700}
        page = browser.new_page(viewport=size, device_scale_factor=1.5, color_scheme="light")  # type: ignore[arg-type]
        page.goto(url)
        draw(page, STROKES)
        page.wait_for_selector("#main[data-state=answer]")
        page.mouse.move(2, 2)
        page.wait_for_timeout(1_000)  # until the bars have come to rest
        page.screenshot(path=TARGET)
    print(f"{TARGET}: written")


if __name__ == "__main__":
    main()

"""Take the picture of the page that the README shows, docs/images/page.png, with a real server and a real browser.

    python scripts/photograph_page.py

Draws a 4 that is nearly closed, so that a 9 has its share of both charts. Needs /usr/bin/chromium.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

TARGET = Path(__file__).resolve().parent.parent / "docs/images/page.png"
SIZE = ViewportSize(width=1180, height=700)
STROKES = [[(46.4, 24), (38, 34), (36, 46), (42, 53), (52, 52), (60, 46)], [(62.7, 22), (62, 46), (57, 80)]]
"""In hundredths of the pad's side."""


def main() -> None:
    """Draw, wait for the answer, and photograph it."""
    command = [sys.executable, "-m", "sumnist", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        assert server.stdout is not None
        url = server.stdout.readline().partition(": ")[0]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, device_scale_factor=1.5, color_scheme="light")
        page.goto(url)
        box = page.locator("#pad").bounding_box()
        assert box is not None
        for stroke in STROKES:
            for i, (x, y) in enumerate(stroke):
                page.mouse.move(
                    box["x"] + x / 100 * box["width"], box["y"] + y / 100 * box["height"], steps=4 if i else 1
                )
                if i == 0:
                    page.mouse.down()
            page.mouse.up()
        page.wait_for_selector("#main[data-state=answer]")
        page.mouse.move(2, 2)
        page.wait_for_timeout(1_000)  # until the bars have come to rest
        page.screenshot(path=TARGET)
        browser.close()
        server.terminate()
    print(f"{TARGET}: written")


if __name__ == "__main__":
    main()

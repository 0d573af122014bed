"""Start servers and a browser, and draw strokes on the page: for tests, for measurements, and for the docs'
pictures."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip

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
"""The strokes of each digit, in hundredths of the pad's side; a slash lifts the pen."""
WIDE, HIGH = 0.62, 0.75
"""Size of the digits of a number: width as a share of a digit's place, height as a share of the pad's."""


@contextmanager
def served(*words: str, folder: Path | None = None, python: str | Path = sys.executable) -> Iterator[str]:
    """Run a server for the `with`, and give its URL: a server of readings, or the one that the command `words` starts.
    `python` is the interpreter whose Sumnist runs. Raises `RuntimeError` unless the server ends with exit status 0."""
    command = [python, "-m", "sumnist", *(words or ("serve", "--port", "0"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        try:
            yield "".join(re.findall(r"http://\S+", process.stdout.readline())[:1]).rstrip(":")
        finally:
            process.terminate()
    if process.returncode:
        raise RuntimeError(f"the server ended with {process.returncode}")


class Quiet(SimpleHTTPRequestHandler):
    """Python's file server, without log messages."""

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@contextmanager
def hosting(folder: Path) -> Iterator[str]:
    """Serve the files in `folder` for the `with`, and give the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium for the `with`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def write(page: Page, digits: str, pad: str = "#pad") -> list[float]:
    """Write a number across the whole pad with the mouse; returns the middle of each digit, as a share of the pad's
    width."""
    middles = [(place + 1) / (len(digits) + 1) for place in range(len(digits))]
    for digit, middle in zip(digits, middles, strict=True):
        draw(page, DIGITS[int(digit)], middle, WIDE / len(digits), HIGH, pad)
    return middles


def draw(
    page: Page, strokes: str, middle: float = 0.5, wide: float = 1.0, high: float = 1.0, pad: str = "#pad"
) -> None:
    """Draw with the mouse: on the whole pad, or on a part of its width around `middle` and of its height."""
    for stroke in strokes.split("/"):
        for i, point in enumerate(points_of(page, stroke, middle, wide, high, pad)):
            page.mouse.move(*point, steps=4 if i else 1)
            if i == 0:
                page.mouse.down()
        page.mouse.up()


def until(page: Page, expression: str) -> Any:
    """Evaluate an expression until it is not null, and return its value. Raises `TimeoutError`.

    Playwright's `wait_for_function` would have the page evaluate text, which the page forbids.
    """
    over = time.monotonic() + 20
    while (value := page.evaluate(expression)) is None:
        if time.monotonic() > over:
            raise TimeoutError(f"{expression}: null for 20 seconds")
        page.wait_for_timeout(10)
    return value


def points_of(
    page: Page, stroke: str, middle: float = 0.5, wide: float = 1.0, high: float = 1.0, pad: str = "#pad"
) -> list[tuple[float, float]]:
    """Return the points of a stroke on the screen."""
    box = page.locator(pad).bounding_box()
    assert box is not None
    pairs = [[float(share) / 100 - 0.5 for share in point.split(",")] for point in stroke.split()]
    return [
        (box["x"] + (middle + wide * x) * box["width"], box["y"] + (0.5 + high * y) * box["height"]) for x, y in pairs
    ]

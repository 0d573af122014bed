"""Measure the page in a browser: rows into docs/results/page.jsonl, from which `make docs` writes docs/the-page.md.

    python scripts/measure_page.py            with the page of `make static` in build/static
    python scripts/measure_page.py --rounds 1

How long it takes from the end of a stroke until both answers are on the screen, with a server and without, with the
page's inside shown and not, in turn: ten digits a round. How long the page without a server takes until it has read its
first example. How many bytes travel. Server and browser share the processor; everything stays on this machine.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from compare_static import hosting
from measure import RESULTS, machine
from page_driver import DIGITS, chromium, draw, served, until
from sumnist.environment import now
from sumnist.lab.study.rows import append_jsonl

ROWS = RESULTS.with_name("page.jsonl")
STATIC = Path(__file__).resolve().parent.parent / "build" / "static"
ANSWERED = "performance.getEntriesByName('stroke-to-answer').find((one) => one.startTime >= last)?.duration ?? null"
FIRST = "A 3"
"""The example that is clicked as soon as the page is there."""


def main() -> None:
    """Measure, in turn."""
    parser = argparse.ArgumentParser(description="Measure the page in a real browser.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--static", type=Path, default=STATIC, help="the page without a server, as built")
    parser.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    sizes = json.loads((given.static / "sizes.json").read_text(encoding="utf-8"))
    common = {"date": now(), "machine": machine()}
    append_jsonl(given.rows, {"part": "page-bytes", **sizes["all"], "files": sizes["files"], **common})
    with served() as server, hosting(given.static) as static, chromium() as browser:
        for round_ in range(given.rounds):
            for engine, url in (("server", server), ("browser", static)):
                for inside in (False, True):
                    times = strokes(browser, url, inside)
                    row = {
                        "part": "page-stroke",
                        "engine": engine,
                        "inside": inside,
                        "round": round_,
                        "milliseconds": times,
                    }
                    append_jsonl(given.rows, row | common)
                    print(engine, "inside" if inside else "", [round(each) for each in times], flush=True)
            row = {"part": "page-load", "round": round_, **first_answer(browser, static)}
            append_jsonl(given.rows, row | common)
            print(row, flush=True)


def strokes(browser: Browser, url: str, inside: bool) -> list[float]:
    """Milliseconds from the end of the last stroke of each digit to both answers, as the page measures them."""
    page = browser.new_page()
    page.goto(url)
    page.evaluate("addEventListener('pointerup', (event) => { window.last = event.timeStamp; }, true)")
    if inside:
        page.locator("#inside summary").click()
        page.evaluate("scrollTo(0, 0)")
    read(page, DIGITS[3])  # not counted: the first one warms up
    times = [read(page, strokes) for strokes in DIGITS]
    page.close()
    return times


def read(page: Page, drawing: str) -> float:
    """Draw, wait for the answer, and wipe it away."""
    draw(page, drawing)
    milliseconds: float = until(page, ANSWERED)
    page.wait_for_timeout(200)  # what else the page does with an answer
    page.keyboard.press("Escape")
    return milliseconds


def first_answer(browser: Browser, url: str) -> dict[str, Any]:
    """Seconds from nothing, with an empty cache, until the page can be drawn on and until it has read an example."""
    context = browser.new_context()
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    example = page.get_by_role("button", name=FIRST, exact=True)
    example.wait_for()
    there = time.perf_counter() - began
    example.click()
    page.wait_for_selector("#main[data-state=answer]")
    answered = time.perf_counter() - began
    context.close()
    return {"seconds_until_there": there, "seconds_until_answer": answered}


if __name__ == "__main__":
    main()

"""What the tests of the page look for on it, and what they put in the server's place."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect

from drawings import encoded
from sumnist.inference.reader import ADVICE

PHONE = ViewportSize(width=360, height=740)
DESK = ViewportSize(width=1280, height=800)
SETTINGS: tuple[tuple[ViewportSize, Literal["dark", "light"]], ...] = ((PHONE, "dark"), (DESK, "light"))
READ, READ_NUMBER = "**/v1/read?image=true&beside=true*", "**/v1/read-number"
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

STILL = {"reduced_motion": "reduce"}
"""Settings of a browser in which nothing on the page moves by itself."""


def need(path: Path, mend: str) -> None:
    """Skip where `path` is missing; in CI, where it must not be, fail."""
    if not path.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{path} is missing: {mend}")


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
    """A reading that was not accepted, as the server answers it."""
    shares = [0.02] * 4 + [0.48] + [0.02] * 3 + [0.34, 0.04]
    return {
        "digit": 4, "sum": 11, "number": 7, "confidence": 0.48, "sum_confidence": 0.48, "digit_probabilities": shares,
        "sums": list(range(7, 17)), "sum_probabilities": shares, "accepted": False, "reason": reason,
        "advice": ADVICE.get(reason), "is_digit_probability": 0.031, "how": "dark ink", "image": [[0.5] * 28] * 28,
    }  # fmt: skip


def answering(page: Page, body: dict[str, Any], status: int = 200, **headers: str) -> None:
    """Let the page be answered `body` instead of by the server."""
    kind = "application/json" if status == 200 else "application/problem+json"
    sent = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    for path in (READ, READ_NUMBER):
        page.route(path, lambda route: route.fulfill(status=status, headers=sent, body=json.dumps(body)))


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
    return encoded(Image.new("L", (200, 200), 255))


def choose(page: Page, task: str) -> None:
    """Go over to a task, and wait until its room answers."""
    page.get_by_role("radio", name=task).check()
    room = page.locator(f'.room[aria-label="{task}"]')
    if room.count():  # it is shown by a script, which may still be loading
        expect(room).to_be_visible()
    expect(page.locator("[inert]:not([hidden])")).to_have_count(0)


def centre(page: Page, selector: str, place: int) -> float:
    box = page.locator(selector).nth(place).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2


def violations(page: Page) -> list[str]:
    """What axe objects to, and where."""
    rules: list[dict[str, Any]] = page.evaluate(
        "axe.run({ resultTypes: ['violations'], selectors: false }).then(({ violations }) => violations)"
    )
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in rules]


def expect_nobody_hindered(page: Page) -> None:
    """Axe objects to nothing, and nothing is wider than the page."""
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def expect_nobody_hindered_anywhere(page: Page) -> None:
    """The same on a phone in the dark and at a desk in the light, of a page on which nothing moves by itself."""
    need(AXE, "npm install --prefix tests")
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text(encoding="utf-8"))
    for size, scheme in SETTINGS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        expect_nobody_hindered(page)

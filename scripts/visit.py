"""Visit the page and the site as somebody who never saw them, and take the pictures of docs/visits.md on the way.

    make site
    python scripts/visit.py [SITE]

Four tasks, each with what a visitor sees and clicks alone, and each step with what has to be on the screen: draw a
digit and add a number; find where the learned adder fails, and why; see why a photograph was refused, and mend it; come
from the site to a finished sheet, with the commands that the site's copy buttons copy. Nobody was photographed and
nothing was printed: photographs and sheets are simulated. SITE is build/site if left out. Fails at the first step that
cannot be done. Needs /usr/bin/chromium.
"""

from __future__ import annotations

import re
import shlex
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from compare import hosting
from page_driver import DIGITS, chromium, draw, points_of, served, until
from picture_sheets import CUT, REVIEWED, SHOWN, jpeg, name_of, photograph, photograph_of_all, reviewed, sumnist
from sumnist.lab.suites import photographs
from sumnist.lab.suites.digits import mnist_half

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/images/visits"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 800},
    "permissions": ["clipboard-read", "clipboard-write"],
}
GAP = 16
"""Pixels between two screens of a phone."""
WIDTH = 960
"""Pixels of a picture's width, at most."""
QUALITY = 72
LARGEST = 45_000
"""Bytes of a picture, at most."""
SURE = re.compile(r"^>?\d+\.\d\s% sure of both\.$")
SLOW = 15_000
"""Milliseconds until what comes of a click has to be seen, on a machine that does other things too."""


def main() -> None:
    """All four visits."""
    site = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/site"
    if not (site / "try/index.html").exists():
        raise SystemExit(f"{site}: no site with the page: run `make site` first, or name its folder")
    PICTURES.mkdir(exist_ok=True)
    expect.set_options(SLOW)
    with hosting(site) as home, served() as url, chromium() as browser:
        draw_and_add(browser, home)
        find_where_it_fails(browser, home)
        mend_a_photograph(browser, url)
        finish_a_sheet(browser, home)


def draw_and_add(browser: Browser, home: str) -> None:
    """On a phone: from the first page to a digit and two sums."""
    page = visitor(browser, PHONE, home)
    start = seen(page)
    page.get_by_role("link", name="Try it in your browser").tap()
    touch(page, DIGITS[3])
    expect(page.locator("#digit")).to_have_text("3")
    expect(page.locator("#sum")).to_have_text("10")
    expect(page.locator("#verdict")).to_have_text(SURE)
    drawn = seen(page)
    page.get_by_role("button", name="One more").tap()
    page.get_by_role("button", name="One more").tap()
    expect(page.locator("#sum")).to_have_text("12")
    keep("draw-and-add", start, drawn, seen(page))


def find_where_it_fails(browser: Browser, home: str) -> None:
    """At a desk: all numbers with an 8, the one at which the learned adder fails, and what the study says of it."""
    page = visitor(browser, DESK, home)
    page.get_by_role("link", name="Try it in your browser").click()
    expect(page.get_by_text("Draw a digit here")).to_be_visible()
    draw(page, DIGITS[8])
    expect(page.locator("#digit")).to_have_text("8")
    page.get_by_role("button", name="Try 0 to 9 with this digit").click()
    expect(page.locator("#hunted")).to_contain_text("10 of 100 pairs tried, 1 wrong.")
    expect(page.locator("#hunted")).to_contain_text("It fails here: it says 8 + 9 = 11.")
    expect(page.locator("#hunted")).to_contain_text("It never saw this pair in training.")
    expect(page.locator("#sum")).to_have_text("17")
    expect(page.locator("#learned-says")).to_contain_text("which is not 8 + 9 = 17.")
    keep("where-it-fails", seen(page, page.locator("#beside")))
    page.get_by_label("Number to add", exact=True).fill("10")
    expect(page.locator("#learned-says")).to_contain_text("It has no input for 10")
    page.get_by_role("link", name="What became of many such networks").click()
    why = page.get_by_role("heading", name="Pairs that were never seen")
    why.scroll_into_view_if_needed()
    why.evaluate("(heading) => scrollTo(0, heading.offsetTop - 120)")
    keep("why-it-fails", seen(page))
    page.get_by_role("link", name="Try it", exact=True).click()
    page.get_by_role("link", name="Sumnist").click()
    expect(page).to_have_url(home)


def mend_a_photograph(browser: Browser, url: str) -> None:
    """On a phone: a photograph that ends too early, taken again; and one of two digits, read as a number."""
    whole, cut, two = photographs_of_a_3_and_a_47()
    page = visitor(browser, PHONE, url)
    choose(page, cut)
    expect(page.locator("#verdict")).to_have_text("The digit runs off the edge.")
    expect(page.locator("#hint")).to_contain_text("paper all around the digit")
    refused = seen(page)
    choose(page, whole)
    expect(page.locator("#digit")).to_have_text("3")
    expect(page.locator("#verdict")).to_have_text(SURE)
    keep("cut-off", refused, seen(page))
    choose(page, two)
    expect(page.locator("#verdict")).to_have_text("There seems to be more than one digit.")
    refused = seen(page)
    page.get_by_role("button", name="Read as a number").tap()
    expect(page.get_by_label("A number", exact=True)).to_be_checked()
    expect(page.locator("#digit")).to_have_text("47")
    expect(page.locator("#sum")).to_have_text("54")
    keep("two-digits", refused, seen(page))


def finish_a_sheet(browser: Browser, home: str) -> None:
    """At a desk: the commands of the how-to, in an empty folder, to a workbook without a doubt."""
    page = visitor(browser, DESK, home)
    page.get_by_role("link", name="From sixty exams to a spreadsheet").click()
    steps = page.get_by_role("heading", name="From sixty exams to a finished spreadsheet")
    steps.evaluate("(heading) => scrollTo(0, heading.offsetTop - 120)")
    keep("how-to-sheets", seen(page))
    new, read, review = (copied(page, f"sumnist sheet {name}") for name in ("new", "read", "review"))
    with TemporaryDirectory() as name:
        folder = Path(name)
        pupils = SHOWN, CUT, REVIEWED
        (folder / "class.csv").write_text("".join(f"{name_of(pupil)}\n" for pupil in pupils), encoding="utf-8")
        must("3 pages", sumnist(folder, *new))
        (folder / "photos").mkdir()
        for pupil in pupils:
            (folder / f"photos/{pupil}.jpg").write_bytes(photograph(pupil))
        must(f"photos/{CUT}.jpg · the tags at the lower right and lower left are not found", sumnist(folder, *read))
        (folder / f"photos/{CUT}.jpg").write_bytes(photograph_of_all(CUT))
        must("3 sheets: adds up 1, corrected 1, doubtful 1", sumnist(folder, *read, "--overwrite"))
        must("sheet review marks.jsonl", shlex.join(review))
        before = (folder / "marks.xlsx").read_bytes()
        with reviewed(folder) as address:
            settle_the_doubt(visitor(browser, DESK, address))
        if (folder / "marks.xlsx").read_bytes() == before:
            raise SystemExit("marks.xlsx: as before the review, expected one without a doubt")


def settle_the_doubt(page: Page) -> None:
    """Say what the one cell is that is in doubt, with the keyboard alone."""
    expect(page.locator("#who")).to_have_text(name_of(REVIEWED))
    expect(page.locator("#why")).to_have_text("One cell is in doubt.")
    doubt = seen(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Next sheet")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Every sheet has been looked at.")).to_be_visible()
    keep("review", doubt)
    keep("review-done", seen(page))


def visitor(browser: Browser, device: dict[str, Any], address: str) -> Page:
    """A visitor's first page, in a browser that knows nothing yet."""
    page = browser.new_context(color_scheme="light", **device).new_page()
    page.goto(address)
    return page


def touch(page: Page, strokes: str) -> None:
    """Draw on the pad with a finger."""
    expect(page.get_by_text("Draw a digit here")).to_be_visible()
    finger = page.context.new_cdp_session(page)
    for stroke in strokes.split("/"):
        for i, (x, y) in enumerate(points_of(page, stroke)):
            what = "touchMove" if i else "touchStart"
            finger.send("Input.dispatchTouchEvent", {"type": what, "touchPoints": [{"x": x, "y": y}]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.touchscreen.tap(4, 4)  # Chromium loses the first tap after an emulated finger that moved, on a bare page too


def choose(page: Page, picture: bytes) -> None:
    """Choose a photograph."""
    page.locator("input[type=file]").set_input_files({"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": picture})


def copied(page: Page, begin: str) -> list[str]:
    """The words that the copy button of a command copies, without the program's name. `begin`: what it begins with."""
    page.evaluate("navigator.clipboard.writeText('')")
    block = page.locator(".highlight", has_text=begin).first
    block.hover()
    block.get_by_role("button").click()
    command: str = until(page, "navigator.clipboard.readText().then((text) => text || null)")
    if not command.startswith(begin):
        raise SystemExit(f"copied {command!r}, expected a command that begins with {begin!r}")
    return shlex.split(command)[1:]


def photographs_of_a_3_and_a_47() -> tuple[bytes, bytes, bytes]:
    """Simulated photographs: of a 3, of the same without its upper part, and of a 4 beside a 7."""
    held_out = mnist_half("development")

    def ink(digit: int, place: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = held_out.images[np.flatnonzero(held_out.digits == digit)[place]]
        return image[:, image.any(0)]

    whole = photographs.photograph(ink(3, 2), seed=3, index=2)
    with Image.open(BytesIO(whole)) as picture:
        cut = jpeg(picture.crop((0, picture.height // 4, picture.width, picture.height)))
    both = np.hstack([ink(4, 3), np.zeros((28, 9), np.uint8), ink(7, 2)])
    return whole, cut, photographs.photograph(both, seed=7)


def seen(page: Page, what: Locator | None = None) -> Image.Image:
    """What is on the screen once it has come to rest, or a part of the page."""
    page.wait_for_timeout(1_000)
    if what is None:
        return Image.open(BytesIO(page.screenshot()))
    return Image.open(BytesIO(what.screenshot()))


def keep(name: str, *screens: Image.Image) -> None:
    """Write screens, side by side, into a file of the docs."""
    width = sum(screen.width + GAP for screen in screens) - GAP
    picture = Image.new("RGB", (width, max(screen.height for screen in screens)), "white")
    left = 0
    for screen in screens:
        picture.paste(screen, (left, 0))
        left += screen.width + GAP
    picture.thumbnail((WIDTH, picture.height), Image.Resampling.LANCZOS)
    stream = BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY, method=6)
    size = len(stream.getvalue())
    if size > LARGEST:
        raise SystemExit(f"{name}.webp: {size:,} bytes, expected at most {LARGEST:,}")
    (PICTURES / f"{name}.webp").write_bytes(stream.getvalue())
    print(f"{name}.webp: {size:,} bytes")


def must(words: str, said: str) -> None:
    """Go on if these words were said. Raises `SystemExit` otherwise."""
    if words not in said:
        raise SystemExit(f"said {said!r}, expected {words!r} in it")


if __name__ == "__main__":
    main()

"""Take the pictures of the docs, with real servers and a real browser; needs /usr/bin/chromium.

    python scripts/pictures.py page      docs/images/page.png and page.webp
    python scripts/pictures.py steps     docs/images/steps.png
    python scripts/pictures.py sheets    docs/images/sheet-photograph.jpg, sheet-review.jpg, and the row of the class
    python scripts/pictures.py visits    docs/images/visits, of the site of `make site`

Nobody was photographed and nothing was printed: photographs and sheets are simulated, with digits of MNIST's images.
Visits fail at the first step that cannot be done.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from compare import hosting
from evidence import RESULTS, ROOT, with_envelope
from page_driver import DIGITS, chromium, draw, points_of, served, until
from sumnist import cli
from sumnist.lab.suites.digits import font_digits, ink_of, mnist_half
from sumnist.lab.suites.photographs import photograph as photograph_of
from sumnist.lab.suites.sheets import Ink, Sheets, filled, photographed
from sumnist.sheets.layout import Layout

IMAGES = ROOT / "docs/images"
SITE = ROOT / "build/site"


def webp(name: str, largest: int, first: Image.Image, **options: Any) -> None:
    """Write a picture into a file of the docs. Raises `SystemExit` if it has more bytes than that."""
    stream = BytesIO()
    first.save(stream, "WEBP", method=6, **options)
    size = len(stream.getvalue())
    if size > largest:
        raise SystemExit(f"{name}.webp: {size:,} bytes, expected at most {largest:,}")
    (IMAGES / f"{name}.webp").write_bytes(stream.getvalue())
    print(f"{name}.webp: {size:,} bytes")


# The page: a 4 that is nearly closed, so that a 9 has its share of both charts; and the same moving: a digit is drawn,
# numbers are added, the network that learned to add fails, one looks inside, and the total of a sum settles what a
# smudge had hidden.

STROKES = "46.4,24 38,34 36,46 42,53 52,52 60,46 / 62.7,22 62,46 57,80"
VIEW = {"width": 1180, "height": 740}
FILM_WIDTH, FILM_QUALITY, LARGEST_FILM = 860, 62, 1_000_000
"""Pixels of the moving picture's width, its quality, and its bytes, at most."""
TIMES = 2
"""How often it plays; then it rests on its last frame."""

Frame = tuple[Image.Image, int]
"""A picture, and for how many milliseconds it is seen."""


def page_pictures() -> None:
    """Take both."""
    with served() as url, chromium() as browser:
        page = browser.new_page(viewport=VIEW, device_scale_factor=1.5, color_scheme="light")  # type: ignore[arg-type]
        page.goto(url)
        frames = list(film(page, url))
        page.goto(f"{url}/#one-digit")
        page.reload()
        for _ in drawing(page):
            pass
        page.wait_for_timeout(1_000)  # until the bars have come to rest
        page.screenshot(path=IMAGES / "page.png")
    (first, _), *others = frames
    webp("page", LARGEST_FILM, first, save_all=True, append_images=[image for image, _ in others], loop=TIMES,
         duration=[duration for _, duration in frames], quality=FILM_QUALITY)  # fmt: skip


def film(page: Page, url: str) -> Iterator[Frame]:
    """What the moving picture shows, frame by frame."""
    yield frame(page, 700)
    yield from drawing(page)
    page.wait_for_timeout(600)
    yield frame(page, 1_500)
    for number in (2, 9):
        page.press("body", str(number))
        page.wait_for_timeout(150)
        yield frame(page, 120)
        page.wait_for_timeout(600)
        yield frame(page, 900)
    page.evaluate("document.querySelector('#beside').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(400)
    yield frame(page, 900)
    page.click("#all")
    page.mouse.move(2, 2)
    page.wait_for_selector("#all:enabled")
    yield frame(page, 2_200)
    page.locator("#inside summary").click()
    page.wait_for_timeout(1_500)
    page.evaluate("document.querySelector('#inside .network').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(500)
    yield frame(page, 2_500)
    page.goto(f"{url}/#a-sum")
    page.get_by_role("button", name="Try 47").click()
    for _ in range(26):
        page.wait_for_timeout(120)
        yield frame(page, 120)
    page.mouse.move(2, 2)
    page.wait_for_timeout(1_200)
    yield frame(page, 3_000)


def drawing(page: Page) -> Iterator[Frame]:
    """Draw the digit; a frame after each point."""
    for stroke in STROKES.split("/"):
        for i, point in enumerate(points_of(page, stroke)):
            page.mouse.move(*point, steps=4 if i else 1)
            if i == 0:
                page.mouse.down()
            page.wait_for_timeout(130)
            yield frame(page, 110)
        page.mouse.up()
    page.wait_for_selector("#main[data-state=answer]")
    page.mouse.move(2, 2)


def frame(page: Page, milliseconds: int) -> Frame:
    """The page as it is now, to be seen for so long."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    height = round(image.height * FILM_WIDTH / image.width)
    return image.resize((FILM_WIDTH, height), Image.Resampling.LANCZOS), milliseconds


# The steps of `sumnist predict`.

FONT_DIGIT, SCENE = 299, 47
"""Places of the digit in its set and of the scene among the photographs: squares, and a shadow over a corner."""


def steps() -> None:
    """Take a synthetic photograph of a 7 of the development half's fonts, read it, and keep the strip of the steps."""
    ink = font_digits("development").pictures[FONT_DIGIT]
    assert not isinstance(ink, bytes)
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "seven.jpg"
        picture.write_bytes(photograph_of(ink_of(ink), 0, SCENE))
        cli.main(["predict", str(picture), "--number", "5", "--show", str(IMAGES / "steps.png")])


# A class: a filled cover, photographed, the page of its review, and the summary.

MARKS = "9,7,13,12"
LAYOUT = Layout.of_line(MARKS)
PUPILS = range(1, 21)
"""Those of the class; their numbers are the places of their sheets in the simulation."""
AWAY, CUT = 20, 12
"""Who has no sheet, and whose photograph ends before a corner tag."""
SHOWN, REVIEWED = 7, 18
"""Whose photograph is shown, and who is being looked at on the page: one cell of that sheet is in doubt."""
SHEET = 2048, 1536
"""Longer and shorter side of the photographs, in pixels."""
SHEET_WIDTH = 800
"""Of the photograph in the docs."""
WRONG = 0.2
"""The share of wrong totals, more than people make, so that a small class has some."""
JPEG_QUALITY = 82
"""Of the JPEG files."""


@cache
def simulated() -> Sheets:
    """The simulated sheets."""
    return Sheets(LAYOUT, Ink.mnist("development"), "development", wrong=WRONG)


def photograph(pupil: int) -> bytes:
    """The photograph of a pupil's sheet, a JPEG: of all of it, or without its lower part."""
    data = photograph_of_all(pupil)
    if pupil != CUT:
        return data
    with Image.open(BytesIO(data)) as picture:
        return jpeg(picture.crop((0, 0, picture.width, picture.height * 7 // 10)))


def photograph_of_all(pupil: int) -> bytes:
    """The photograph of a pupil's whole sheet, a JPEG."""
    page = filled(LAYOUT, name_of(pupil), simulated().marks(pupil))
    return photographed(page, simulated().random("photograph", pupil), SHEET).data


def name_of(pupil: int) -> str:
    """What the code of a pupil's sheet says."""
    return f"Pupil {pupil:02}"


def jpeg(picture: Image.Image) -> bytes:
    """A picture as a file."""
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return stream.getvalue()


def write_class(folder: Path, pupils: Iterable[int] = PUPILS) -> None:
    """Write class.csv, and the photographs of these pupils into the folder photos."""
    (folder / "class.csv").write_text("\n".join(["identity", *map(name_of, PUPILS)]) + "\n", encoding="utf-8")
    (folder / "photos").mkdir()
    for pupil in pupils:
        if pupil != AWAY:
            (folder / f"photos/IMG_{pupil:04}.jpg").write_bytes(photograph(pupil))


def sumnist(folder: Path, *words: str) -> str:
    """What a command prints. Raises `RuntimeError` if it says anything else."""
    command = [sys.executable, "-m", "sumnist", *words]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.stderr:  # its status is 1 if there are unreadable sheets
        raise RuntimeError(result.stderr)
    return result.stdout


@contextmanager
def reviewed(folder: Path) -> Iterator[str]:
    """The address of the review of marks.jsonl."""
    command = [sys.executable, "-m", "sumnist", "sheet", "review", "marks.jsonl", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().partition(": ")[0]
        finally:
            process.terminate()


def photograph_review(folder: Path) -> None:
    """Skip the sheets before the one that is shown, and photograph the page."""
    with reviewed(folder) as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme="light")
        page.goto(url)
        who = page.locator("#who")
        expect(who).not_to_be_empty()
        while (now := who.inner_text()) != name_of(REVIEWED):
            page.click("#skip")
            expect(who).not_to_have_text(now)
        until(page, "[...document.images].every((image) => image.complete && image.naturalWidth) || null")
        page.wait_for_timeout(500)  # until they are drawn
        page.screenshot(path=IMAGES / "sheet-review.jpg", type="jpeg", quality=JPEG_QUALITY)


def sheet_pictures() -> None:
    """Do what the page on sheets says, and keep what it shows. Then run scripts/write_docs.py."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_class(folder)
        with Image.open(folder / f"photos/IMG_{SHOWN:04}.jpg") as picture:
            size = SHEET_WIDTH, SHEET_WIDTH * picture.height // picture.width
            (IMAGES / "sheet-photograph.jpg").write_bytes(jpeg(picture.resize(size, Image.Resampling.LANCZOS)))
        sumnist(folder, "sheet", "new", MARKS, "--people", "class.csv", "--out", "cover.pdf")
        told = sumnist(folder, "sheet", "read", "photos/", "--layout", "cover.toml", "--people", "class.csv",
                       "--out", "marks.xlsx", "--workers", "1")  # fmt: skip
        row = with_envelope("class-of-sheets", answer=told[: told.rindex("marks.xlsx: ")].strip())  # its time differs
        rows = RESULTS / "sheet-class.jsonl"
        rows.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
        photograph_review(folder)


# Visits of somebody who never saw the page and the site: four tasks, each with what a visitor sees and clicks alone,
# and each step with what has to be on the screen.

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 800},
    "permissions": ["clipboard-read", "clipboard-write"],
}
GAP = 16
"""Pixels between two screens of a phone."""
WIDTH, QUALITY, LARGEST = 960, 72, 45_000
"""Pixels of a picture's width, at most, its quality, and its bytes, at most."""
SURE = re.compile(r"^>?\d+\.\d\s% sure of both\.$")
SLOW = 15_000
"""Milliseconds until what comes of a click has to be seen, on a machine that does other things too."""


def visits() -> None:
    """All four visits."""
    if not (SITE / "try/index.html").exists():
        raise SystemExit(f"{SITE}: no site with the page: run `make site` first")
    (IMAGES / "visits").mkdir(exist_ok=True)
    expect.set_options(SLOW)
    with hosting(SITE) as home, served() as url, chromium() as browser:
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

    whole = photograph_of(ink(3, 2), seed=3, index=2)
    with Image.open(BytesIO(whole)) as picture:
        cut = jpeg(picture.crop((0, picture.height // 4, picture.width, picture.height)))
    both = np.hstack([ink(4, 3), np.zeros((28, 9), np.uint8), ink(7, 2)])
    return whole, cut, photograph_of(both, seed=7)


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
    webp(f"visits/{name}", LARGEST, picture, quality=QUALITY)


def must(words: str, said: str) -> None:
    """Go on if these words were said. Raises `SystemExit` otherwise."""
    if words not in said:
        raise SystemExit(f"said {said!r}, expected {words!r} in it")


# The program.

TASKS: dict[str, Callable[[], None]] = {
    "page": page_pictures, "steps": steps, "sheets": sheet_pictures, "visits": visits,
}  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=TASKS)
    TASKS[parser.parse_args().what]()

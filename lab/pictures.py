"""Take the pictures of the docs, with real servers and a real browser; needs /usr/bin/chromium.

    python -m lab pictures page      docs/images/page.png and page.webp
    python -m lab pictures steps     docs/images/steps.png
    python -m lab pictures lines     docs/images/lines.png
    python -m lab pictures sheets    docs/images/sheet-photograph.jpg, sheet-review.jpg, and the row of the class
    python -m lab pictures checked   docs/images/checked.jpg
    python -m lab pictures tables    docs/images/table-photograph.jpg, table-review.jpg

Nobody was photographed and nothing was printed: photographs and sheets are simulated, with digits of MNIST's images.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib import pyplot
from PIL import Image
from playwright.sync_api import Page, expect

from lab.evidence import RESULTS, ROOT, with_envelope
from lab.suites import pages, tables, writing
from lab.suites.digits import font_digits, ink_of
from lab.suites.photographs import photograph as photograph_of
from lab.suites.sheets import Ink, Sheets, filled, photographed
from page_driver import chromium, points_of, served, until
from sumnist import cli
from sumnist.inference.reader import Reader
from sumnist.inference.text import read_line
from sumnist.pictures.decode import Intensities
from sumnist.sheets.layout import Layout

IMAGES = ROOT / "docs/images"


# The page. The still picture shows a 4 that is nearly closed, so that the 9 has bars in both charts. In the moving
# picture the digit is drawn, numbers are added, the network that learned to add fails, the inside is opened, and the
# total of a sum settles a smudged digit.

STROKES = "46.4,24 38,34 36,46 42,53 52,52 60,46 / 62.7,22 62,46 57,80"
VIEW = {"width": 1180, "height": 740}
FILM_WIDTH, FILM_QUALITY, LARGEST_FILM = 860, 62, 1_000_000
"""Width in pixels, quality, and largest size in bytes of the moving picture."""
TIMES = 2
"""How often the moving picture plays; then it rests on its last frame."""

Frame = tuple[Image.Image, int]
"""A picture, and for how many milliseconds it is seen."""


def page_pictures() -> None:
    """Take the still picture of the page and the moving one."""
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
    stream = BytesIO()
    first.save(stream, "WEBP", method=6, save_all=True, append_images=[image for image, _ in others], loop=TIMES,
               duration=[duration for _, duration in frames], quality=FILM_QUALITY)  # fmt: skip
    if stream.tell() > LARGEST_FILM:
        raise SystemExit(f"page.webp: {stream.tell():,} bytes, expected at most {LARGEST_FILM:,}: lower FILM_QUALITY")
    (IMAGES / "page.webp").write_bytes(stream.getvalue())


def film(page: Page, url: str) -> Iterator[Frame]:
    """Yield the frames of the moving picture."""
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
    """Draw the digit, and yield a frame after each point."""
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
    """Return the page as it is now, with the time for which it is seen."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    height = round(image.height * FILM_WIDTH / image.width)
    return image.resize((FILM_WIDTH, height), Image.Resampling.LANCZOS), milliseconds


# The steps of `sumnist predict`.

FONT_DIGIT, SCENE = 299, 47
"""Place of the digit in its set, and of the scene among the photographs: squared paper, with a shadow over a corner."""


def steps() -> None:
    """Take a synthetic photograph of a 7 of the development half's fonts, read it, and keep the strip of the steps."""
    ink = font_digits("development").pictures[FONT_DIGIT]
    assert not isinstance(ink, bytes)
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "seven.jpg"
        picture.write_bytes(photograph_of(ink_of(ink), 0, SCENE))
        cli.main(["predict", str(picture), "--number", "5", "--show", str(IMAGES / "steps.png")])


# Lines of writing, each with what it is read as.

LINES, ACROSS = 60, 4
"""How many lines there are, and how many in a row."""


def lines() -> None:
    """Draw lines of every kind by hands whom no training met, with what each is read as, in red where that is wrong."""
    read = Reader().numbers.reader()
    figure, places = pyplot.subplots(LINES // ACROSS, ACROSS, figsize=(13, 17), layout="constrained")
    shown = [*writing.lines("report", "", 3)]
    for place, (_, text, grey) in zip(places.flat, random.Random(0).sample(shown, LINES), strict=True):
        said = read_line(read, Intensities(grey))
        right = said.text.replace(" ", "") == text.replace(" ", "")
        place.imshow(grey, cmap="gray", vmin=0, vmax=1)
        title = f"{said.text.strip()}{'' if right else f' for {text}'}  ({said.kind}, {said.confidence:.0%})"
        place.set_title(title, color="black" if right else "firebrick", fontsize=8)
        place.axis("off")
    figure.savefig(IMAGES / "lines.png", dpi=75)


# A class: a filled cover, photographed, the page of its review, and the summary.

MARKS = "9,7,13,12"
LAYOUT = Layout.of_line(MARKS)
PUPILS = range(1, 21)
"""The numbers of the pupils, which are also the places of their sheets in the simulation."""
AWAY, CUT = 20, 12
"""The pupil without a sheet, and the one whose photograph ends before a corner tag."""
SHOWN, REVIEWED = 7, 19
"""The pupil whose photograph is shown, and the one whose sheet is under review on the page: it does not add up."""
SHEET = 2048, 1536
"""Longer and shorter side of the photographs, in pixels."""
SHEET_WIDTH = 800
"""Width of the photograph in the docs, in pixels."""
WRONG = 0.2
"""The share of wrong totals, more than people make, so that a small class has some."""
JPEG_QUALITY = 82
"""Quality of the JPEG files."""


@cache
def simulated() -> Sheets:
    """Return the simulated sheets."""
    return Sheets(LAYOUT, Ink.mnist("development"), "development", wrong=WRONG)


def photograph(pupil: int) -> bytes:
    """Return the photograph of a pupil's sheet as a JPEG: the whole sheet, or for `CUT` the sheet without its lower
    part."""
    data = photograph_of_all(pupil)
    with Image.open(BytesIO(data)) as picture:
        return data if pupil != CUT else jpeg(picture.crop((0, 0, picture.width, picture.height * 7 // 10)))


def photograph_of_all(pupil: int) -> bytes:
    """Return the photograph of a pupil's whole sheet as a JPEG."""
    page = filled(LAYOUT, name_of(pupil), simulated().marks(pupil))
    return photographed(page, simulated().random("photograph", pupil), SHEET).data


def name_of(pupil: int) -> str:
    """Return the name in the code of a pupil's sheet."""
    return f"Pupil {pupil:02}"


def jpeg(picture: Image.Image) -> bytes:
    """Encode a picture as a JPEG."""
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
    """Run a command, and return what it prints. Raises `RuntimeError` if it writes to standard error."""
    command = [sys.executable, "-m", "sumnist", *words]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.stderr:  # its status is 1 if there are unreadable sheets
        raise RuntimeError(result.stderr)
    return result.stdout


def photograph_review(folder: Path) -> None:
    """Skip to the sheet of `REVIEWED` on the page for review, and take a picture of the page."""
    with served("sheet", "review", "marks.jsonl", "--no-browser", folder=folder) as url, chromium() as browser:
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
    """Do what the page on sheets says, and keep its pictures and the answer. Then run lab/write_docs.py."""
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


def checked_picture() -> None:
    """Check the page of sums of the examples, and keep the marked page."""
    with TemporaryDirectory() as name:
        marked = Path(name) / "marked.png"
        cli.main(["check", str(ROOT / "examples/sums.jpg"), "--show", str(marked)])
        with Image.open(marked) as picture:
            (IMAGES / "checked.jpg").write_bytes(jpeg(picture))


# A table that somebody wrote.

TABLE, TABLE_WIDTH, TABLE_HEIGHT = ("weather", 4), 700, 620
"""The simulated table, and width and height of the part that is shown, in pixels."""


def table_pictures() -> None:
    """Do what the page on tables says, and keep its pictures."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        data = tables.photograph("development", pages.Images(Ink.mnist("development")), *TABLE)[0]
        (folder / "page.jpg").write_bytes(data)
        with Image.open(BytesIO(data)) as picture:
            small = picture.resize(
                (TABLE_WIDTH, TABLE_WIDTH * picture.height // picture.width), Image.Resampling.LANCZOS
            )
            (IMAGES / "table-photograph.jpg").write_bytes(jpeg(small.crop((0, 0, TABLE_WIDTH, TABLE_HEIGHT))))
        sumnist(folder, "table", "read", "page.jpg", "--out", "tables.xlsx", "--workers", "1")
        with served("table", "review", "tables.jsonl", "--no-browser", folder=folder) as url, chromium() as browser:
            page = browser.new_page(viewport={"width": 1180, "height": 760}, color_scheme="light")
            page.goto(url)
            expect(page.locator("#who")).not_to_be_empty()
            until(page, "[...document.images].every((image) => image.complete && image.naturalWidth) || null")
            page.wait_for_timeout(500)  # until they are drawn
            page.screenshot(path=IMAGES / "table-review.jpg", type="jpeg", quality=JPEG_QUALITY)


# The program.

TASKS: dict[str, Callable[[], None]] = {
    "lines": lines, "page": page_pictures, "steps": steps, "sheets": sheet_pictures, "tables": table_pictures,
    "checked": checked_picture,
}  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Take the pictures that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=TASKS)
    TASKS[parser.parse_args(words).what]()

"""Make what docs/sheets.md shows of a class: a filled cover, photographed, the page of its review, and the summary.

    python scripts/picture_sheets.py

Nobody was photographed and nothing was printed: the sheets are simulated, with digits of MNIST's test images, and the
pupils are numbers. Writes docs/images/sheet-photograph.jpg and sheet-review.jpg, and docs/results/sheet-class.jsonl.
Then run scripts/write_docs.py. Needs /usr/bin/chromium.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import expect

from evidence import with_envelope
from page_driver import chromium, until
from sumnist.lab.suites.sheets import Ink, Sheets, filled, photographed
from sumnist.sheets.layout import Layout

__all__ = [
    "CUT", "PUPILS", "REVIEWED", "SHOWN", "jpeg", "name_of", "photograph", "photograph_of_all", "reviewed", "sumnist",
    "write_class",
]  # fmt: skip

DOCS = Path(__file__).resolve().parent.parent / "docs"
ROWS = DOCS / "results/sheet-class.jsonl"

MARKS = "9,7,13,12"
LAYOUT = Layout.of_line(MARKS)
PUPILS = range(1, 21)
"""Those of the class; their numbers are the places of their sheets in the simulation."""
AWAY, CUT = 20, 12
"""Who has no sheet, and whose photograph ends before a corner tag."""
SHOWN, REVIEWED = 7, 18
"""Whose photograph is shown, and who is being looked at on the page: one cell of that sheet is in doubt."""
SIZE = 2048, 1536
"""Longer and shorter side of the photographs, in pixels."""
WIDTH = 800
"""Of the photograph in the docs."""
WRONG = 0.2
"""The share of wrong totals, more than people make, so that a small class has some."""
QUALITY = 82
"""Of the JPEG files."""


@cache
def sheets() -> Sheets:
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
    page = filled(LAYOUT, name_of(pupil), sheets().marks(pupil))
    return photographed(page, sheets().random("photograph", pupil), SIZE).data


def name_of(pupil: int) -> str:
    """What the code of a pupil's sheet says."""
    return f"Pupil {pupil:02}"


def jpeg(picture: Image.Image) -> bytes:
    """A picture as a file."""
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
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
        page.screenshot(path=DOCS / "images/sheet-review.jpg", type="jpeg", quality=QUALITY)


def main() -> None:
    """Do what the page says, and keep what it shows."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_class(folder)
        with Image.open(folder / f"photos/IMG_{SHOWN:04}.jpg") as picture:
            small = picture.resize((WIDTH, WIDTH * picture.height // picture.width), Image.Resampling.LANCZOS)
        (DOCS / "images/sheet-photograph.jpg").write_bytes(jpeg(small))
        sumnist(folder, "sheet", "new", MARKS, "--people", "class.csv", "--out", "cover.pdf")
        told = sumnist(folder, "sheet", "read", "photos/", "--layout", "cover.toml", "--people", "class.csv",
                       "--out", "marks.xlsx", "--workers", "1")  # fmt: skip
        summary = told[: told.rindex("marks.xlsx: ")].strip()  # how long it took differs
        ROWS.write_text(
            json.dumps(with_envelope("class-of-sheets", answer=summary), ensure_ascii=False) + "\n", "utf-8"
        )
        photograph_review(folder)


if __name__ == "__main__":
    main()

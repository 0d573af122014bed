"""Collects examples of one person's handwriting from a filled form or from the corrections in a review.

The form asks for each digit five times.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import HandError
from sumnist.files import read_whole
from sumnist.inference.alphabet import CELL_MARGIN, CELL_SCALE
from sumnist.inference.cells import CellReader
from sumnist.pictures.decode import Picture
from sumnist.sheets.layout import Field, Identity, Layout, Page
from sumnist.sheets.pictures import FilePage
from sumnist.sheets.reading import EMPTY, LOOKS, finder
from sumnist.sheets.review import Corrections, beside, pictures_of, read_rows

TIMES, ROWS = 5, ("01234", "56789")
"""How often the form asks for each digit, and the digits of its rows of boxes."""
BLANK = 0.5
"""A box that is empty with at least this probability is no example."""

Example = tuple[NDArray[np.uint8], int]
"""The picture of a box without its lines (dark ink on light ground), and the digit in it."""


def layout() -> Layout:
    """The layout of the form; each row says which digit belongs in which box."""
    fields = [
        Field(f"row{TIMES * part + time}", "Write  " + "  ".join(row), "boxes", len(row), 10 ** len(row) - 1)
        for time in range(1, TIMES + 1) for part, row in enumerate(ROWS)
    ]  # fmt: skip
    return Layout("My digits", tuple(fields), (), identity=Identity("none"))


def of_form(picture: Picture | FilePage) -> list[Example]:
    """The examples on a photograph or scan of the form, without empty boxes. If all correction boxes of a row are
    filled in, they are used instead of the row's own boxes. Raises `SheetError`, `ImageError`, `HandError`,
    `MissingExtraError`."""
    form = layout()
    page = Page.of(form)
    sheet, _, _ = finder()(picture, form, page)
    read, found = CellReader(), list[Example]()
    for place, text in zip(page.places, [row for _ in range(TIMES) for row in ROWS], strict=True):
        boxes, anew = (sheet.ink(list(part), CELL_SCALE, CELL_MARGIN) for part in (place.boxes, place.correction))
        for ink, digit in zip(anew if filled(read, anew).all() else boxes, text, strict=True):
            if filled(read, [ink])[0]:
                found.append((inside(ink), int(digit)))
    if not found:
        raise HandError("no box of the form is filled in, expected a digit in each: write them, photograph it again")
    return found


def of_review(marks: Path) -> Iterator[Example]:
    """Examples from a review of sheets: the filled boxes of each whole number that a person typed, if there are as many
    filled boxes as digits. Raises `LayoutError`, `DataError`, `HandError`."""
    form, corrections = Layout.load(marks.with_suffix(".toml")), beside(marks)
    typed = Corrections(read_whole(corrections).splitlines() if corrections.exists() else (), corrections).values
    page, opened, read = Page.of(form), pictures_of(marks.parent), CellReader()
    places = {place.name: place for place in page.places}
    for row in read_rows(marks, form):
        values = {name: value for name, value in typed.get(row["row"], {}).items() if isinstance(value, int)}
        if not values or not row.get("matrix"):
            continue
        sheet, _, _ = finder()(opened(row), form, page)
        for name, value in values.items():
            if name not in places:
                continue
            boxes = sheet.ink(list(places[name].boxes), CELL_SCALE, CELL_MARGIN)
            some = [ink for ink, full in zip(boxes, filled(read, boxes), strict=True) if full]
            if form.field(name).kind == "boxes" and len(some) == len(str(value)):
                yield from zip(map(inside, some), map(int, str(value)), strict=True)


def filled(read: CellReader, boxes: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Which boxes are not empty."""
    if not boxes:
        return np.zeros(0, bool)
    full: NDArray[np.bool_] = np.exp(read(boxes)[:, EMPTY] + read.log_priors[0][EMPTY]) < BLANK
    return full


def inside(ink: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The ink of a box `[36, 30]`, light on dark, as a picture without the box's lines."""
    return np.rint(255 * (1 - ink[LOOKS.lines : -LOOKS.lines, LOOKS.lines : -LOOKS.lines])).astype(np.uint8)

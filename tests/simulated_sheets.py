"""Simulated photographs of filled covers, for the tests of reading: small ones, which are read in a fraction of a
second each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image

from photographs import Grey, View, put, seen_by_camera, shapes
from sumnist.formulas import in_order
from sumnist.sheets.layout import Layout, Page, Person, Rectangle
from sumnist.sheets.printing import pdf

EXAM = Layout.of_line("9,7.5,13", "Mathematics")
"""Fields with and without halves; their total has halves."""
SIZE = 1600, 1200
SCALE = 12
"""Pixels per millimetre of a page that is written on."""


@dataclass(frozen=True)
class Sheets:
    """The sheets of one form, without end: each depends only on these attributes and on its place."""

    layout: Layout = EXAM
    wrong: bool = False
    """whether the last total is one too large"""
    seed: int = 0

    def meant(self, index: int) -> dict[str, int]:
        """The numbers that add up, in units of their fields."""
        random, layout = np.random.default_rng([self.seed, index]), self.layout
        while True:
            values = {field.name: int(random.integers(field.largest + 1)) for field in layout.fields}
            for formula in in_order(layout.formulas, layout.names):
                steps = [layout.field(name).step for name in formula.names]
                terms = [values[name] * step for (_, name), step in zip(formula.terms, steps[1:], strict=True)]
                values[formula.total] = formula.value(terms) // steps[0]
            last = values[layout.totals[-1].name] + self.wrong
            if last <= layout.totals[-1].largest and all(0 <= values[f.name] <= f.largest for f in layout.fields):
                return values

    def values(self, index: int) -> dict[str, int]:
        """The numbers as they are written."""
        values = self.meant(index)
        values[self.layout.totals[-1].name] += self.wrong
        return values

    def page(self, index: int, identity: str | None = None) -> Grey:
        """The page of a sheet, filled in."""
        whose = identity or f"{index:06}" if self.layout.identity.kind == "printed" else None
        page = printed(self.layout, whose).copy()
        random = np.random.default_rng([self.seed, index])
        values = self.values(index)
        for place in Page.of(self.layout).places:
            field = self.layout.field(place.name)
            whole, half = divmod(values[place.name], 2) if field.halves else (values[place.name], 0)
            if field.kind == "strip":
                on_strip(page, place.boxes[0], f"{whole}{'5' if half else '0'}" if field.halves else f"{whole}",
                         field.halves, random)  # fmt: skip
            else:
                text = str(whole).rjust(field.digits) + ("5" if half else " ") * field.halves
                write(page, place.boxes, text, int(random.integers(100)))
        return page

    def photographed(self, index: int, size: tuple[int, int] = SIZE, quarter: int = 0) -> View:
        """A photograph of a sheet."""
        return seen_by_camera(self.page(index), SCALE, size, index, quarter)


@cache
def sheets(layout: Layout = EXAM, wrong: bool = False) -> Sheets:
    """Simulated sheets of a layout."""
    return Sheets(layout, wrong)


@cache
def photograph(index: int, layout: Layout = EXAM, wrong: bool = False) -> View:
    """A photograph of a flat sheet."""
    return sheets(layout, wrong).photographed(index)


def photograph_of(identity: str, index: int = 0, layout: Layout = EXAM) -> bytes:
    """A photograph of the sheet of somebody."""
    return seen_by_camera(sheets(layout).page(index, identity), SCALE, SIZE, 3).data


@cache
def printed(layout: Layout, identity: str | None = None) -> Grey:
    """A page as it is printed; not to be changed."""
    with closing(pypdfium2.PdfDocument(pdf(layout, [] if identity is None else [Person(identity)]))) as document:
        return np.asarray(document[0].render(scale=SCALE * 25.4 / 72 * (1 - 1e-6), grayscale=True).to_numpy().copy())


@cache
def rendered(data: bytes, dpi: int = 300, page: int = 0) -> Image.Image:
    """A page of a PDF, in grey."""
    with closing(pypdfium2.PdfDocument(data)) as document:
        picture: Image.Image = document[page].render(scale=dpi / 72).to_pil().convert("L")
    return picture


def jpeg_of_page(page: NDArray[np.uint8], side: int = 1600) -> bytes:
    """A page as a scanner sees it, straight."""
    picture = Image.fromarray(page)
    picture = picture.resize((round(side * picture.width / picture.height), side), Image.Resampling.BOX)
    data = BytesIO()
    picture.save(data, "JPEG", quality=92)
    return data.getvalue()


def write(page: NDArray[np.uint8], boxes: Sequence[Rectangle], digits: str, which: int = 3) -> None:
    """Write digits into boxes of a page; a blank leaves one empty. `which`: the images that they are of."""
    for box, digit in zip(boxes, digits, strict=False):
        if digit.strip():
            put(page, shapes()[int(digit)][which], (SCALE * (box.x + 4), SCALE * (box.y + 5)), 6 * SCALE)


def on_strip(page: NDArray[np.uint8], strip: Rectangle, digits: str, halves: bool, random: np.random.Generator) -> None:
    """Write a number on a strip, digit beside digit, with a point before the last one if it has halves."""
    step = min(6.0, (strip.width - 4) / (len(digits) + halves)) * SCALE
    x, y = (
        SCALE * strip.x + (SCALE * strip.width - step * (len(digits) + halves)) / 2,
        SCALE * (strip.y + strip.height / 2),
    )
    for place, digit in enumerate(digits):
        if halves and place == len(digits) - 1:
            page[
                round(y + 2.2 * SCALE) : round(y + 3 * SCALE),
                round(x + 0.2 * step) : round(x + 0.2 * step + 0.7 * SCALE),
            ] = 40
            x += step / 2
        put(page, shapes()[int(digit)][random.integers(100)], (x + step / 2, y), min(6.0 * SCALE, 1.3 * step))
        x += step


def as_people_write(layout: Layout, values: dict[str, int]) -> dict[str, float]:
    """Values in units of their fields as marks."""
    return {name: value / 2 if layout.field(name).halves else value for name, value in values.items()}

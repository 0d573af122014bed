"""The page of a filled form, and its cells as reading crops them, without a photograph between: for many sheets.

The printed page is the form's own PDF. Its cells are cut out of it with the ink on them as a registration would do that
is a little off, of a picture that is a little blurred, with noise, and with a ground that is not quite known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sumnist.lab.suites.sheet_ink import SCALE, Mark
from sumnist.sheets.layout import Layout
from sumnist.sheets.page import Page, Rectangle
from sumnist.sheets.people import Person
from sumnist.sheets.printing import pdf

__all__ = ["Cell", "Cells", "cells", "filled", "printed"]

Cell = NDArray[np.float32]
"""The picture of a box or strip, light ink on 0, `[36, w]`."""
Cells = dict[str, tuple[list[Cell], list[Cell]]]
"""By field its boxes, or its strip, and those of its correction."""

CELL_SCALE, CELL_MARGIN = 3, 1
"""Pixels of a millimetre, and the millimetres around a box that belong to its picture."""
HALVED = SCALE // 2
"""Pages are halved before they are blurred: pixels of a millimetre then."""
OFF, OFF_HERE = 0.1, 0.08
"""By how many millimetres a registration is off, on all of a page and in each place more; standard deviations."""
TURNED = 0.004
"""And by how much it is turned or stretched."""
BLUR = 0.12, 0.28
"""Standard deviations of the blur, in millimetres: of a photograph of 12 and of 1.5 megapixels."""
NOISE = 0.004, 0.025
"""Standard deviations of the noise, as shares of white."""
GROUND = 0.96, 1.02
"""What the ground is thought to be, as a share of what it is."""


@lru_cache(8)
def printed(layout: Layout, identity: str | None = None) -> NDArray[np.uint8]:
    """The printed page, grey `[H, W]`, `SCALE` pixels a millimetre; not to be changed."""
    document = pypdfium2.PdfDocument(pdf(layout, [] if identity is None else [Person(identity)]))
    try:  # a little less than the scale, or a page whose side is a whole number of pixels gets one more
        page = document[0].render(scale=SCALE * 25.4 / 72 * (1 - 1e-6), grayscale=True).to_numpy().copy()
    finally:
        document.close()
    page.setflags(write=False)
    return np.asarray(page, np.uint8)


def filled(layout: Layout, identity: str, found: Mapping[str, tuple[Mark, Mark]]) -> NDArray[np.uint8]:
    """The page of somebody, grey `[H, W]`, with ink on it."""
    page = printed(layout, identity).copy()
    for mark in (mark for both in found.values() for mark in both):
        if mark.cover.any():
            part = part_of(page, mark)
            part[:] = inked(part, mark)
    return page


def part_of(page: NDArray[np.uint8], mark: Mark) -> NDArray[np.uint8]:
    """The part of a page that some ink is on."""
    tall, wide = mark.cover.shape
    return page[mark.top : mark.top + tall, mark.left : mark.left + wide]


def inked(part: NDArray[np.uint8], mark: Mark) -> NDArray[np.uint8]:
    """A part of a page with the ink."""
    return np.asarray(part * (1 - mark.cover * np.float32(1 - mark.grey)) + np.float32(0.5), np.uint8)


@dataclass(frozen=True)
class Look:
    """How a picture of a page is: the distortion that registration leaves `[2, 2]`, its blur in millimetres, its noise,
    and what its ground is thought to be."""

    skew: NDArray[np.float64]
    blur: float
    noise: float
    ground: float

    def cut(
        self, page: NDArray[np.uint8], boxes: Sequence[Rectangle], mark: Mark, off: NDArray[np.float64],
        random: np.random.Generator,
    ) -> list[Cell]:  # fmt: skip
        """The pictures of boxes that stand in a row, `off` by so many millimetres to the right and down."""
        part = part_of(page, mark)
        source = Image.fromarray(inked(part, mark) if mark.cover.any() else part).reduce(SCALE // HALVED)
        source = source.filter(ImageFilter.GaussianBlur(self.blur * HALVED))
        left, top = boxes[0].x - CELL_MARGIN, boxes[0].y - CELL_MARGIN
        wide, tall = boxes[-1].right + CELL_MARGIN - left, boxes[0].height + 2 * CELL_MARGIN
        size = round(wide * CELL_SCALE), round(tall * CELL_SCALE)
        steps = self.skew * (HALVED / CELL_SCALE)
        middle = np.array([wide, tall]) / 2 + (left - mark.left / SCALE, top - mark.top / SCALE) + off
        start = middle * HALVED - steps @ (np.array(size) / 2)
        values = (*steps[0], start[0], *steps[1], start[1])
        row = np.asarray(source.transform(size, Image.Transform.AFFINE, values, Image.Resampling.BILINEAR), np.float32)
        row = row / np.float32(255) + np.float32(self.noise) * random.standard_normal(row.shape, np.float32)
        row = np.clip(1 - row / np.float32(self.ground), 0, 1)
        edges = [(round((box.x - CELL_MARGIN - left) * CELL_SCALE), round((box.width + 2 * CELL_MARGIN) * CELL_SCALE))
                 for box in boxes]  # fmt: skip
        return [row[:, edge : edge + width] for edge, width in edges]


def cells(layout: Layout, found: Mapping[str, tuple[Mark, Mark]], random: np.random.Generator) -> Cells:
    """The cells of a form with ink on it."""
    page, off = printed(layout), random.normal(0, OFF, 2)
    skew = np.eye(2) + random.normal(0, TURNED, (2, 2))
    look = Look(skew, random.uniform(*BLUR), random.uniform(*NOISE), random.uniform(*GROUND))
    made: Cells = {}
    for place in Page.of(layout).places:
        main, correction = found[place.name]
        made[place.name] = (
            look.cut(page, place.boxes, main, off + random.normal(0, OFF_HERE, 2), random),
            look.cut(page, place.correction, correction, off + random.normal(0, OFF_HERE, 2), random),
        )
    return made

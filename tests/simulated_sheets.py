"""Simulated photographs of filled covers, for the tests of reading: small ones, which are read in a fraction of a
second each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import cache
from io import BytesIO

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image

from lab.suites.sheets import SCALE, Ink, Photograph, Sheets, filled, photographed
from sumnist.sheets.layout import Layout, Rectangle

EXAM = Layout.of_line("9,7.5,13", "Mathematics")
"""Fields with and without halves; their total has halves."""
SIZE = 1600, 1200


@cache
def ink() -> Ink:
    return Ink.mnist("development")


@cache
def sheets(layout: Layout = EXAM, wrong: float = 0.0) -> Sheets:
    """Simulated sheets of a layout."""
    return Sheets(layout, ink(), "development", wrong=wrong)


@cache
def photograph(index: int, layout: Layout = EXAM, wrong: float = 0.0) -> Photograph:
    """A photograph of a flat sheet."""
    return sheets(layout, wrong).photographed(index, SIZE, 0)


def photograph_of(identity: str, index: int = 0, layout: Layout = EXAM) -> bytes:
    """A photograph of the sheet of somebody."""
    page = filled(layout, identity, sheets(layout).marks(index))
    return photographed(page, np.random.default_rng(3), SIZE, 0).data


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


def write(page: NDArray[np.uint8], boxes: Sequence[Rectangle], digits: str) -> None:
    """Write digits into boxes of a page; a blank leaves one empty."""
    for box, digit in zip(boxes, digits, strict=False):
        if digit.strip():
            shape = Image.fromarray(ink().digits[int(digit)][3])
            shape = shape.resize((round(6 * SCALE * shape.width / shape.height), 6 * SCALE))
            top, left = round((box.y + 2) * SCALE), round((box.x + 4) * SCALE) - shape.width // 2
            part = page[top : top + shape.height, left : left + shape.width]
            part[:] = part * (1 - 0.85 * np.asarray(shape) / 255)


def as_people_write(layout: Layout, values: dict[str, int]) -> dict[str, float]:
    """Values in units of their fields as marks."""
    return {name: value / 2 if layout.field(name).halves else value for name, value in values.items()}

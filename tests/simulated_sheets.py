"""Simulated photographs of filled covers, for the tests of reading: small ones, which are read in a fraction of a
second each."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.lab.suites.sheets import Ink, Photograph, Sheets, filled, photographed
from sumnist.sheets.layout import Layout

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


def jpeg_of_page(page: NDArray[np.uint8], side: int = 1600) -> bytes:
    """A page as a scanner sees it, straight."""
    picture = Image.fromarray(page)
    picture = picture.resize((round(side * picture.width / picture.height), side), Image.Resampling.BOX)
    data = BytesIO()
    picture.save(data, "JPEG", quality=92)
    return data.getvalue()


def as_people_write(layout: Layout, values: dict[str, int]) -> dict[str, float]:
    """Values in units of their fields as marks."""
    return {name: value / 2 if layout.field(name).halves else value for name, value in values.items()}

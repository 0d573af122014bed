"""What a person sees of a sheet: its picture as it is, the page straightened, and a field of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sumnist.errors import ImageError
from sumnist.sheets.layout import Layout
from sumnist.sheets.page import Page, Place, Rectangle
from sumnist.sheets.pictures import PdfPage, colours_of

__all__ = ["Views", "around"]

PAGE_SCALE, CROP_SCALE = 6.0, 12.0
"""Pixels of a millimetre: 150 and 300 an inch."""
LONGEST = 1800
"""Pixels of the longer side of a picture that is shown as it is."""
MARGIN = 2.0
"""Millimetres of paper that are shown around a field: what a digit that leaves its box needs."""
PAGE_OF_PDF = re.compile(r"(.+)#page=([0-9]{1,6})", re.DOTALL)
"""How a row names a page of a PDF, the first one 1."""
WHITE = (255, 255, 255)

Matrix = NDArray[np.float64]


class Views:
    """The pictures of the sheets of a layout. Few are kept in memory: those of the sheet that is looked at and of the
    next one."""

    def __init__(self, layout: Layout, folder: Path) -> None:
        """`folder`: where pictures that are no longer in their place may be."""
        self.page, self.folder = Page.of(layout), folder
        self.places = {place.name: place for place in self.page.places}
        if self.page.identity is not None:
            self.places[""] = self.page.identity
        self._opened = lru_cache(maxsize=2)(colours_of)

    def whole(self, row: Mapping[str, Any]) -> Image.Image:
        """The page, straightened, or the picture of a sheet that could not be read. Raises `ImageError`."""
        picture = self.picture(row)
        if not row.get("matrix"):
            return ImageOps.contain(picture, (LONGEST, LONGEST)) if max(picture.size) > LONGEST else picture
        return seen(picture, row["matrix"], Rectangle(0, 0, self.page.width, self.page.height), PAGE_SCALE)

    def crop(self, row: Mapping[str, Any], name: str, scale: float = CROP_SCALE) -> Image.Image:
        """A field and its correction, with so many pixels for a millimetre. Raises `ImageError`."""
        return seen(self.picture(row), row["matrix"], around(self.places[name]).grown(MARGIN), scale)

    def size(self, name: str) -> tuple[int, int]:
        """Width and height of the crop of a field."""
        return size_of(around(self.places[name]).grown(MARGIN), CROP_SCALE)

    def picture(self, row: Mapping[str, Any]) -> Image.Image:
        """The whole picture in RGB, upright. Raises `ImageError`."""
        match = PAGE_OF_PDF.fullmatch(row["path"])
        name = match[1] if match else row["path"]
        there = (row.get("file") or name, name, self.folder / name, self.folder / Path(name).name)
        path = next((path for path in map(Path, there) if path.is_file()), None)
        if path is None:
            raise ImageError(
                f"{name}: is not there any more, expected the picture that was read: put it back, or into {self.folder}"
            )
        return self._opened(PdfPage(str(path), int(match[2])) if match else path)


def around(place: Place) -> Rectangle:
    """The part of the page with the boxes of a field and those of its correction."""
    boxes = (*place.boxes, *place.correction)
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    return Rectangle(left, top, max(box.right for box in boxes) - left, max(box.bottom for box in boxes) - top)


def size_of(rectangle: Rectangle, scale: float) -> tuple[int, int]:
    """The pixels of a rectangle."""
    return round(rectangle.width * scale), round(rectangle.height * scale)


def seen(picture: Image.Image, matrix: list[float], rectangle: Rectangle, scale: float) -> Image.Image:
    """A rectangle of a page, straightened.

    Args:
        picture: That of the sheet.
        matrix: From millimetres of the page, homogeneous, to pixels of the picture, `[9]` row by row.
        rectangle: In millimetres of the page.
        scale: Pixels of a millimetre of what is returned.

    Raises:
        ImageError: The matrix puts the rectangle nowhere.
    """
    size = size_of(rectangle, scale)
    to_page = np.array([[1 / scale, 0, rectangle.x], [0, 1 / scale, rectangle.y], [0, 0, 1]])
    whole: Matrix = np.reshape(matrix, (3, 3)).astype(float) @ to_page
    corners = whole @ np.array([[0, size[0], size[0], 0], [0, 0, size[1], size[1]], [1, 1, 1, 1]])
    if not (np.isfinite(whole).all() and (corners[2] * np.sign(whole[2, 2]) > 0).all()):
        raise ImageError(f"the matrix of the sheet is {matrix}, expected where its page lies: read the sheets again")
    whole = whole / whole[2, 2]
    across = float(np.hypot(*(corners[:2, 1] / corners[2, 1] - corners[:2, 0] / corners[2, 0]))) / size[0]
    if (factor := int(across)) > 1:  # pixels that would be skipped are averaged
        picture = picture.reduce(factor)
        whole = np.diag([1 / factor, 1 / factor, 1]) @ whole
    return picture.transform(
        size, Image.Transform.PERSPECTIVE, whole.ravel()[:8].tolist(), Image.Resampling.BICUBIC, fillcolor=WHITE
    )

"""From a picture of a sheet to its parts: where each lies in it, upright and under even light.

The four corner tags give the perspective that takes millimetres on the page to pixels of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import box_mean, closing
from sumnist.sheets.homography import Floats, fitted, scale_at, taken
from sumnist.sheets.page import TAG, Page, Rectangle
from sumnist.sheets.tags import tags_of

__all__ = ["UNIT", "Registered", "register"]

UNIT = 200 / 25.4
"""Pixels of a millimetre in which errors are told: those of a page at 200 to an inch."""
LEAST_DPI = 60.0
"""With fewer pixels to an inch, a cell has fewer than the network that reads it takes."""
LEAST_CONTRAST = 40.0
"""From black to white, in steps of uint8: with less, pale ink is lost."""
LEAST_SHARPNESS = 0.3
"""That of a step that is blurred by 0.8 mm, as a digit is wide."""
MOST_ERROR = 4.0
"""Pixels at 200 to an inch, half a millimetre, that a tag's corner may be off."""
COARSER = 1.5
"""A picture is reduced first where it has more than so many pixels for one of a crop."""
GROUND_SCALE = 1.0
"""Pixels of a millimetre for the brightness of the paper."""
WIDEST_INK = 13
"""Millimetres: what is darker than its surroundings and wider is a shadow. A number crossed out is 10 mm high."""
DARKEST_PAPER = 0.1
"""Ink on paper darker than this is measured against this."""


@dataclass(frozen=True, eq=False)
class Registered:
    """A sheet found in a picture.

    Attributes:
        grey: The picture, uint8 `[H, W]`.
        page: What is on the sheet.
        matrix: Takes millimetres on the page to pixels of the picture, float64 `[3, 3]`; a pixel's middle is at its
            half.
        error: The largest distance of a tag's corner from where the matrix puts it, in pixels at 200 to an inch.
        dpi: Pixels of the picture for an inch of the page, where they are fewest.
    """

    grey: NDArray[np.uint8]
    page: Page
    matrix: Floats
    error: float
    dpi: float

    def corners(self, rectangle: Rectangle) -> Floats:
        """Where the corners of a rectangle are in the picture, clockwise from the upper left, `[4, 2]`."""
        return taken(self.matrix, np.array(corners_of(rectangle)))

    def crop(self, rectangle: Rectangle, scale: float) -> Grey:
        """A rectangle of the page, upright, with `scale` pixels for a millimetre: float32 `[h, w]` in [0, 1], black to
        white."""
        return np.asarray(self.pixels(rectangle, scale), np.float32) / np.float32(255)

    def ink(self, rectangle: Rectangle, scale: float) -> Grey:
        """The same as the share of the paper's light that is missing: 0 for bare paper, 1 for black."""
        grey = self.crop(rectangle, scale)
        height, width = grey.shape
        step = GROUND_SCALE / scale
        x, y = rectangle.x * GROUND_SCALE, rectangle.y * GROUND_SCALE
        ground = self.ground.transform(
            (width, height), Image.Transform.AFFINE, (step, 0, x, 0, step, y), Image.Resampling.BILINEAR
        )
        return (1 - grey / np.maximum(np.asarray(ground), DARKEST_PAPER)).clip(0, 1)

    def pixels(self, rectangle: Rectangle, scale: float) -> Image.Image:
        """As `crop`, in grey of 0 to 255."""
        size = round(rectangle.width * scale), round(rectangle.height * scale)
        finest = scale_at(self.matrix, np.array([self.page.width / 2, self.page.height / 2])) / scale
        factor = max(1, int(np.ceil(finest / COARSER)))
        onto = np.array([[1 / scale, 0, rectangle.x], [0, 1 / scale, rectangle.y], [0, 0, 1]])
        way = np.diag([1 / factor, 1 / factor, 1]) @ self.matrix @ onto
        return self.reduced(factor).transform(
            size, Image.Transform.PERSPECTIVE, (way / way[2, 2]).ravel()[:8].tolist(), Image.Resampling.BICUBIC,
            fillcolor=255,
        )  # fmt: skip

    def reduced(self, factor: int) -> Image.Image:
        """The picture with so many pixels, in a row, made one."""
        if factor not in self.copies:
            self.copies[factor] = Image.fromarray(self.grey).reduce(factor)
        return self.copies[factor]

    @cached_property
    def copies(self) -> dict[int, Image.Image]:
        """The picture by how much it was reduced."""
        return {1: Image.fromarray(self.grey)}

    @cached_property
    def ground(self) -> Image.Image:
        """The brightness of the bare paper, in [0, 1], with a pixel for each millimetre of the page: a closing, which
        fills whatever dark is narrower than a tag, and keeps the edges of shadows."""
        small = self.crop(Rectangle(0, 0, self.page.width, self.page.height), GROUND_SCALE)
        window = round(WIDEST_INK * GROUND_SCALE) | 1
        padded = np.pad(box_mean(small), window, "edge")
        return Image.fromarray(box_mean(closing(padded, window)[window:-window, window:-window], 5).astype(np.float32))


def corners_of(rectangle: Rectangle) -> list[tuple[float, float]]:
    """The corners of a rectangle, clockwise from the upper left."""
    return [
        (rectangle.x, rectangle.y), (rectangle.right, rectangle.y), (rectangle.right, rectangle.bottom),
        (rectangle.x, rectangle.bottom),
    ]  # fmt: skip


def register(grey: NDArray[np.uint8], page: Page, name: str) -> Registered:
    """The sheet in a picture `[H, W]`.

    Raises:
        SheetError: There is none, or it is not one, whole, flat and sharp sheet.
    """
    edges = tags_of(grey, name, TAG)
    points, images = np.array([corners_of(tag) for tag in page.tags]).reshape(-1, 2), edges.corners.reshape(-1, 2)
    matrix = fitted(points, images)
    error = float(np.linalg.norm(taken(np.linalg.inv(matrix), images) - points, axis=1).max()) * UNIT
    dpi = min(scale_at(matrix, point) for point in points) * 25.4
    return Registered(grey, page, matrix, error, dpi)

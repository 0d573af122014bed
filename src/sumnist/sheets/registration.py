"""From a picture of a sheet to its parts: where each lies in it, upright and under even light.

The four corner tags give the perspective that takes millimetres on the page to pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.errors import SheetError
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import box_mean, closing
from sumnist.sheets.homography import Floats, fitted, inverse, scale_at, taken
from sumnist.sheets.page import SIZES, Page, Rectangle, tags_on
from sumnist.sheets.tags import Tags, tags_of

__all__ = ["UNIT", "Registered", "register"]

UNIT = 200 / 25.4
"""Pixels of a millimetre in which errors are told: those of a page at 200 to an inch."""
LEAST_DPI = 60.0
"""Pixels to an inch: with fewer, a cell has fewer than the network that reads it takes."""
LEAST_CONTRAST = 25.0
"""From black to white, in steps of uint8: with less, pale ink is lost."""
MOST_ERROR = 3.5
"""Pixels at 200 to an inch that a tag's corner may be off: that of a sheet whose middle is 12 mm above the table."""
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
        shifts: Points of the page and by how much what is printed there is moved, `[N, 4]` in millimetres: `settled`.
    """

    grey: NDArray[np.uint8]
    page: Page
    matrix: Floats
    error: float
    dpi: float
    shifts: Floats = field(default_factory=lambda: np.empty((0, 4)))

    def corners(self, rectangle: Rectangle) -> Floats:
        """Where the corners of a rectangle are in the picture, clockwise from the upper left, `[4, 2]`."""
        return taken(self.matrix, np.array(corners_of(self.moved(rectangle))))

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
        return np.asarray((1 - grey / np.maximum(np.asarray(ground), DARKEST_PAPER)).clip(0, 1))

    def moved(self, rectangle: Rectangle) -> Rectangle:
        """Where a rectangle is that is printed, on a page that is not quite flat."""
        middle = np.array([rectangle.x + rectangle.width / 2, rectangle.y + rectangle.height / 2])
        right, down = averaged(self.shifts, middle)
        return replace(rectangle, x=rectangle.x + float(right), y=rectangle.y + float(down))

    def shifted(self, shifts: Floats) -> Registered:
        """The same sheet with other shifts, whose picture and light need not be computed again."""
        sheet = replace(self, shifts=shifts)
        vars(sheet).update(copies=self.copies, ground=self.ground)
        return sheet

    def pixels(self, rectangle: Rectangle, scale: float) -> Image.Image:
        """As `crop`, in grey of 0 to 255."""
        size = round(rectangle.width * scale), round(rectangle.height * scale)
        finest = scale_at(self.matrix, np.array([self.page.width / 2, self.page.height / 2])) / scale
        factor = max(1, int(np.ceil(finest / COARSER)))
        seen = self.moved(rectangle)
        onto = np.array([[1 / scale, 0, seen.x], [0, 1 / scale, seen.y], [0, 0, 1]])
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
        return Image.fromarray(box_mean(closing(padded, window)[window:-window, window:-window]).astype(np.float32))


def corners_of(rectangle: Rectangle) -> list[tuple[float, float]]:
    """The corners of a rectangle, clockwise from the upper left."""
    return [
        (rectangle.x, rectangle.y), (rectangle.right, rectangle.y), (rectangle.right, rectangle.bottom),
        (rectangle.x, rectangle.bottom),
    ]  # fmt: skip


def averaged(known: Floats, point: Floats) -> Floats:
    """The shift at a point `[2]`, given those `[N, 4]` of points: the mean, weighted by the distance to the power of
    −4, which ends at 5 mm."""
    if not len(known):
        return np.zeros(2)
    weights = (((known[:, :2] - point) ** 2).sum(1) + 25.0) ** -2
    return np.asarray(weights @ known[:, 2:] / weights.sum())


def register(grey: NDArray[np.uint8], page: Page, name: str) -> Registered:
    """The sheet in a picture `[H, W]`.

    Raises:
        SheetError: There is none, or it is not one whole and flat sheet.
    """
    tags = tags_of(grey, name)
    images = tags.corners.reshape(-1, 2)
    points, matrix, error = perspective(page.tags, images)
    dpi = min(scale_at(matrix, point) for point in points) * 25.4
    check_readable(tags, dpi, name)
    if error > MOST_ERROR:
        for paper, size in SIZES.items():
            if size != (page.width, page.height) and perspective(tags_on(paper), images)[2] <= MOST_ERROR:
                raise SheetError(
                    f"{name}: its corner tags are where those of a sheet on {paper} paper are, expected a sheet of "
                    f"this layout, on {page.width:g}×{page.height:g} mm: read it with --layout of its own TOML file, "
                    "or print this layout again"
                )
        raise SheetError(
            f"{name}: its corner tags are up to {error / UNIT:.1f} mm from where those of a flat sheet of this layout "
            f"would be, expected at most {MOST_ERROR / UNIT:.1f} mm: lay it flat, alone, and photograph it from above"
        )
    return Registered(grey, page, matrix, error, dpi)


def perspective(tags: Sequence[Rectangle], images: Floats) -> tuple[Floats, Floats, float]:
    """The corners of tags `[16, 2]`, the matrix that takes them nearest to where they are seen, and by how much, in
    pixels at 200 to an inch, the worst of them is off."""
    points = np.array([corners_of(tag) for tag in tags]).reshape(-1, 2)
    matrix = fitted(points, images)
    return points, matrix, float(np.linalg.norm(taken(inverse(matrix), images) - points, axis=1).max()) * UNIT


def check_readable(tags: Tags, dpi: float, name: str) -> None:
    """Raise `SheetError` for a sheet that is too small or too dark to read."""
    if dpi < LEAST_DPI:
        raise SheetError(
            f"{name}: the sheet has {dpi:.0f} pixels to an inch, expected at least {LEAST_DPI:.0f}: photograph it from "
            "nearer, or send the picture in its full size"
        )
    contrast = float(tags.contrast.mean(1).min())
    if contrast < LEAST_CONTRAST:
        raise SheetError(
            f"{name}: black is {contrast:.0f} steps of 255 darker than white in it, expected at least "
            f"{LEAST_CONTRAST:.0f}: photograph it in more light"
        )

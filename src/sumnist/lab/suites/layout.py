"""Where a sheet of paper lies on a desk, and how a camera sees it: the geometry of the scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["KINDS", "UNIT", "Laid", "Plane", "Points", "arranged", "resampled"]

Plane = NDArray[np.float32]
"""One value per pixel of the picture, `[H, W]`; RGB from 0 to 1 if `[H, W, 3]`."""
Points = NDArray[np.float64]
"""Points (x, y), `[N, 2]`."""
Matrix = NDArray[np.floating[Any]]
"""A perspective map, `[3, 3]`."""

KINDS = ("desk along an edge", "corner", "all round", "note", "card")
LONGER = 600, 1600
"""Pixels of a picture's longer side, at least and at most; small ones as often as large ones."""
SHAPES = (3 / 4, 3 / 4, 9 / 16, 2 / 3, 1.0)
"""A picture's shorter side by its longer one."""
DIGIT = 0.08, 0.45
"""The longer side of the digit by the shorter one of its sheet: the least and the most."""
LEAST_PIXELS = 34
"""But its longer side has as many units at least, of which each is about a pixel."""
UNIT = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
"""The corners of a square, clockwise from the upper left one."""


@dataclass(frozen=True)
class Laid:
    """Where the sheet lies and how the camera sees it: a picture of `width` × `height` pixels.

    `camera` `[3, 3]` maps the plane of the desk to the picture. In the plane the sheet lies straight, its middle at the
    origin, `sheet` units wide and high (about as many pixels); the digit's middle is at `middle`, its longer side is
    `tall`, and it is `extent` (x, y) wide and high. The sheet is turned by `turn` radians in the picture, clockwise.
    """

    width: int
    height: int
    camera: Matrix
    sheet: tuple[float, float]
    middle: Points
    tall: float
    extent: Points
    turn: float

    @property
    def corners(self) -> Points:
        """The sheet's corners in the plane."""
        return UNIT * self.sheet

    @property
    def digit(self) -> Points:
        """The corners of the digit's box in the plane."""
        return self.middle + UNIT * self.extent

    @property
    def short(self) -> float:
        """The sheet's shorter side."""
        return min(self.sheet)

    @property
    def frame(self) -> Points:
        """The picture's corners in the picture."""
        return np.array((UNIT + 0.5) * (self.width, self.height), np.float64)

    def seen(self, points: Points) -> Points:
        """`points` of the plane in the picture."""
        return mapped(self.camera, points)

    def inside(self, points: Points, margin: float) -> NDArray[np.bool_]:
        """Which `points` of the plane the picture shows, at least `margin` pixels from its border: `[N]`."""
        seen = self.seen(points)
        far = np.array([self.width - margin, self.height - margin])
        return np.asarray(np.all((seen > margin) & (seen < far), axis=1))

    def plane(self, turn: float = 0.0) -> tuple[Plane, Plane]:
        """The place of each pixel in the plane, its axes turned by `turn` radians: x and y, `[H, W]` each."""
        back = turned(turn) @ np.linalg.inv(self.camera)
        x = np.arange(self.width, dtype=np.float32) + np.float32(0.5)
        y = np.arange(self.height, dtype=np.float32)[:, None] + np.float32(0.5)
        right, down, depth = (np.float32(a) * x + np.float32(b) * y + np.float32(c) for a, b, c in back)
        return right / depth, down / depth

    def clouds(self, along: float, across: float, random: np.random.Generator, turn: float = 0.0) -> Plane:
        """Smooth normal noise that lies in the plane: in directions turned by `turn`, one value each `along` units of
        the one and `across` units of the other axis."""
        back = turned(turn) @ np.linalg.inv(self.camera)
        border = mapped(back, self.frame)
        cells = np.array([along, across])
        low = border.min(0) - 2 * cells
        points = np.ceil((border.max(0) - low) / cells + 2).astype(int)
        scale = np.diag([*(1 / cells), 1.0])
        scale[:2, 2] = -low / cells
        return resampled(random.standard_normal(points[::-1], np.float32), scale @ back, (self.width, self.height))


def turned(angle: float) -> Matrix:
    """The matrix `[3, 3]` that gives points in axes turned by `angle`."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def mapped(matrix: Matrix, points: Points) -> Points:
    """`points` after the perspective map `matrix` `[3, 3]`."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    result: Points = moved[:, :2] / moved[:, 2:]
    return result


def resampled(values: Plane, matrix: Matrix, size: tuple[int, int]) -> Plane:
    """The field that at each pixel has the value that `values` has where `matrix` maps the pixel to; 0 outside."""
    numbers = (matrix / matrix[2, 2]).ravel()[:8].tolist()
    image = Image.fromarray(values)
    return np.array(image.transform(size, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR))


def arranged(kind: str, ink: tuple[int, ...], random: np.random.Generator) -> Laid:
    """A sheet of some size somewhere under some camera, with a place for the ink on it; drawn until all is in view that
    `kind` wants in view."""
    longer = round(math.exp(random.uniform(*np.log(LONGER))))
    shorter = round(longer * SHAPES[random.integers(len(SHAPES))])
    width, height = (longer, shorter) if random.random() < 0.4 else (shorter, longer)
    while True:
        laid = proposed(kind, ink, width, height, random)
        digit_kept = (np.abs(laid.digit) < np.array(laid.sheet) / 2 - 0.08 * laid.short).all()
        if digit_kept and laid.inside(laid.digit, 0.04 * shorter).all() and fits(kind, laid):
            return laid


def fits(kind: str, laid: Laid) -> bool:
    """Whether as much of the sheet is in view, and as much of the desk, as `kind` wants."""
    seen = laid.inside(laid.corners, 0.02 * laid.width)
    desk = np.abs(mapped(np.linalg.inv(laid.camera), laid.frame)) > np.array(laid.sheet) / 2
    if kind == "desk along an edge":
        return not laid.inside(laid.corners, -0.01 * laid.width).any() and bool(desk.any(1).sum() in (1, 2))
    if kind == "corner":
        return bool(seen.sum() == 1 and laid.inside(laid.corners, -0.01 * laid.width).sum() == 1)
    return bool(seen.all())


def proposed(kind: str, ink: tuple[int, ...], width: int, height: int, random: np.random.Generator) -> Laid:
    """A sheet under a camera, whatever is in view."""
    longer, shorter = max(width, height), min(width, height)
    low, high, by = {
        "desk along an edge": (1.1, 1.7, longer), "corner": (0.8, 1.5, longer), "all round": (0.5, 0.85, shorter),
        "note": (0.25, 0.55, shorter), "card": (0.25, 0.6, shorter),
    }[kind]  # fmt: skip
    short = by * random.uniform(low, high)
    stretch = {"note": random.uniform(1, 1.03), "card": random.choice([3 / 2, 5 / 3, 1.4])}
    long = float(short * stretch.get(kind, random.choice([math.sqrt(2), math.sqrt(2), 11 / 8.5, 1.6])))
    upright = random.random() < (0.25 if kind == "card" else 0.7)
    sheet = (short, long) if upright else (long, short)
    anchor, place = anchored(kind, np.array(sheet), np.array([width, height]), random)
    turn = math.radians(random.uniform(-20, 20))
    camera = seen_by_camera(width, height, anchor, place, turn, random)
    least = max(DIGIT[0], LEAST_PIXELS / short)
    tall = short * math.exp(random.uniform(math.log(least), math.log(DIGIT[1])))
    if kind in ("desk along an edge", "corner"):
        spot = np.array([[random.uniform(0.1, 0.9) * width, random.uniform(0.1, 0.9) * height]])
        middle = mapped(np.linalg.inv(camera), spot)[0]
    else:
        middle = np.array(sheet) * random.normal(0, 0.13, 2)
    extent = tall * np.array([ink[1], ink[0]]) / max(ink)
    return Laid(width, height, camera, sheet, middle, tall, extent, turn)


def anchored(kind: str, sheet: Points, size: Points, random: np.random.Generator) -> tuple[Points, Points]:
    """A point of the sheet and where the picture shows it: the middle, a corner, or somewhere along an edge."""
    side = random.choice([-0.5, 0.5], 2)  # left or right, above or below
    if kind == "corner":
        return side * sheet, (0.5 + side * random.uniform(0.3, 0.8, 2)) * size
    if kind == "desk along an edge":
        axis = int(random.integers(2))
        side[1 - axis] = random.uniform(-0.25, 0.25)
        share = side.copy()
        share[axis] *= random.uniform(0.2, 0.8)
        return side * sheet, (0.5 + share) * size
    return np.zeros(2), (0.5 + random.uniform(-0.2, 0.2, 2)) * size


def seen_by_camera(
    width: int, height: int, anchor: Points, place: Points, turn: float, random: np.random.Generator
) -> Matrix:
    """How a pinhole camera, tilted by up to 30°, sees the plane turned by `turn`: the `anchor` at `place`, where a unit
    is about a pixel: `[3, 3]`."""
    focus = max(width, height) * random.uniform(1.1, 1.7)
    tilt, axis = math.radians(min(abs(random.normal(0, 13)), 30)), random.uniform(0, 2 * np.pi)
    x, y = np.cos(axis), np.sin(axis)
    cross = np.array([[0, 0, y], [0, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + np.sin(tilt) * cross + (1 - np.cos(tilt)) * cross @ cross  # Rodrigues
    outer = np.column_stack([rotation[:, :2] @ turned(-turn)[:2, :2], [*(place - (width / 2, height / 2)), focus]])
    lens = np.array([[focus, 0, width / 2], [0, focus, height / 2], [0, 0, 1]])
    shift = np.eye(3)
    shift[:2, 2] = -anchor
    camera: Matrix = lens @ outer @ shift
    camera /= camera[2, 2]
    return camera

"""Photographs and scans of filled forms, drawn: a page as a hand-held telephone or a scanner sees it. No camera was
involved.

A page lies on a desk, flat or bent to a part of a cylinder's curve, and is seen from a little aside and turned. Light
falls unevenly, with a soft shadow across; the picture is out of focus or shaken by so much as happens, noisy, and a
JPEG. Where each point of the page is on the picture is known. Not in it: crumpled or folded pages, flash, the colour of
light, other sheets beneath.

A point of a picture is measured from its top left corner: the middle of the first pixel is (½, ½).
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise, product
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from sumnist.lab.suites.sheet_ink import SCALE

__all__ = ["SIZES", "Photograph", "View", "photographed", "scanned"]

Points = NDArray[np.float64]
"""`[N, 2]`: x and y."""

SIZES = (4032, 3024), (3264, 2448), (2592, 1944), (2048, 1536), (1600, 1200), (1280, 960)
"""Longer and shorter side of a photograph, in pixels."""
FOCAL = 0.72
"""By the longer side: that of a lens like one of 26 mm on film, as telephones have."""
TILT = 30.0
"""Degrees by which a page is seen from aside, at most."""
TURN = 4.0
"""Degrees by which it is turned, the standard deviation; in `QUARTERS` of the photographs by right angles more."""
QUARTERS = 0.12
FILLS = 0.78, 0.97
"""What the page takes of the picture's width or height."""
BENT, BEND = 0.25, (0.5, 4.0)
"""Share of pages that are bent, and by how many millimetres in the middle, a part of it up and a part down."""
MESH = 48
"""Pixels between the points at which the picture of a bent page is exact; between them it is bilinear."""
DEFOCUS = 0.04, 0.22
"""Millimetres on the page, the standard deviation of the blur."""
SHAKEN, MOTION = 0.2, (0.1, 0.6)
"""Share of photographs that are shaken, and by how many millimetres on the page."""
SHADOWED = 0.6
"""Share of photographs with a shadow across."""
NOISE = 0.004, 0.022
"""Standard deviations of the noise of the sensor, as a share of white."""
QUALITY = 70, 96
"""Of JPEG: from, and to but not including."""
DPI = 200, 301
"""Of scans, likewise."""
SKEW, SHIFT = 0.7, 1.5
"""Degrees by which a page lies askew in a scanner, and millimetres by which it is shifted; standard deviations."""


@dataclass(frozen=True)
class View:
    """How a camera or a scanner sees a page.

    Attributes:
        matrix: From millimetres on a flat page to pixels of the picture, `[3, 3]`, homogeneous.
        lift: What a millimetre of height above the desk adds to the homogeneous pixels, `[3]`.
        axis: 0 if the page is bent across, 1 if along.
        length: Its width, or height.
        bend: How high its middle lies above the desk, in millimetres; below 0 its sides do. 0 for a flat page.
    """

    matrix: NDArray[np.float64]
    lift: NDArray[np.float64]
    axis: int = 0
    length: float = 1.0
    bend: float = 0.0

    @property
    def profile(self) -> NDArray[np.float64]:
        """Of points across a bent page: their places on it, above what places of the desk they are, and how high."""
        along = np.linspace(-self.length, 2 * self.length, 1201)
        turn = np.where((along >= 0) & (along <= self.length), np.pi / self.length, 0.0)
        steep = self.bend * turn * np.cos(turn * along)
        above = np.concatenate([[0], np.cumsum(np.sqrt(1 - (steep[1:] ** 2 + steep[:-1] ** 2) / 2) * np.diff(along))])
        return np.stack([along, above - above[600] + self.length / 2, self.bend * np.sin(turn * along)])

    def seen(self, points: Points) -> Points:
        """Where points of the page, in millimetres, are on the picture."""
        desk, high = np.array(points, float), np.zeros(len(points))
        if self.bend:
            along, above, heights = self.profile
            place = desk[:, self.axis]
            high, desk[:, self.axis] = np.interp(place, along, heights), np.interp(place, along, above)
        found = desk @ self.matrix[:, :2].T + self.matrix[:, 2] + high[:, None] * self.lift
        return np.asarray(found[:, :2] / found[:, 2:])

    def unseen(self, pixels: Points) -> Points:
        """Which points of the page are seen there."""
        rays = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(self.matrix).T
        lift, high = np.linalg.solve(self.matrix, self.lift), np.zeros(len(pixels))
        for _ in range(8 if self.bend else 1):  # the height there, and what is seen at that height
            scale = (1 + high * lift[2]) / rays[:, 2]
            desk = rays[:, :2] * scale[:, None] - high[:, None] * lift[:2]
            if self.bend:
                along, above, heights = self.profile
                high = np.interp(desk[:, self.axis], above, heights)
        if self.bend:
            desk[:, self.axis] = np.interp(desk[:, self.axis], above, along)
        return np.asarray(desk)


class Photograph(NamedTuple):
    """A picture of a page, and all that is known of it.

    Attributes:
        data: The file, a JPEG in grey.
        view: Where the page is on it.
        size: Width and height in pixels.
        tilt: Degrees by which the page is seen from aside.
        quarter: How often the page is turned by a right angle, clockwise, 0 to 3.
        blur: Standard deviation of the defocus, in millimetres on the page.
        motion: How far the picture was shaken, in millimetres on the page.
    """

    data: bytes
    view: View
    size: tuple[int, int]
    tilt: float = 0.0
    quarter: int = 0
    blur: float = 0.0
    motion: float = 0.0

    @property
    def matrix(self) -> NDArray[np.float64] | None:
        """From millimetres on the page to pixels, `[3, 3]`, homogeneous; None if the page is bent."""
        return None if self.view.bend else self.view.matrix


def photographed(
    page: NDArray[np.uint8], random: np.random.Generator, size: tuple[int, int] | None = None, bent: float = BENT
) -> Photograph:
    """A photograph.

    Args:
        page: The page, grey `[H, W]`, `SCALE` pixels a millimetre.
        random: What draws.
        size: Longer and shorter side in pixels; one of `SIZES` if None.
        bent: The share of pages that are bent.
    """
    longer, shorter = SIZES[random.integers(len(SIZES))] if size is None else size
    quarter = int(random.integers(1, 4)) if random.random() < QUARTERS else 0
    wide, high = (longer, shorter) if quarter % 2 else (shorter, longer)
    tilt = TILT * random.beta(1.2, 2.2)
    view = view_of((page.shape[1] / SCALE, page.shape[0] / SCALE), (wide, high), quarter, tilt, random)
    if random.random() < bent:
        axis, bend = int(random.integers(2)), random.uniform(*BEND) * float(random.choice([-1, 1]))
        view = View(view.matrix, view.lift, axis, page.shape[1 - axis] / SCALE, bend)
    outline = view.seen(edge_of(page))
    scale = float(np.sqrt(area(outline) / page.size)) * SCALE  # pixels a millimetre
    picture = Image.composite(drawn(page, view, (wide, high), scale), desk((wide, high), random),
                              inside(outline, (wide, high)))  # fmt: skip
    picture = ImageChops.multiply(picture, light((wide, high), random))
    blur, motion = random.uniform(*DEFOCUS), random.uniform(*MOTION) if random.random() < SHAKEN else 0.0
    picture = picture.filter(ImageFilter.GaussianBlur(blur * scale))
    picture = shaken(picture, motion * scale, random)
    return Photograph(file_of(picture, random), view, (wide, high), tilt, quarter, blur, motion)


def scanned(page: NDArray[np.uint8], random: np.random.Generator) -> Photograph:
    """A scan of a page, grey `[H, W]`, `SCALE` pixels a millimetre: of the same size, a little askew."""
    scale, angle = random.integers(*DPI) / 25.4, np.radians(random.normal(0, SKEW))
    size = round(page.shape[1] / SCALE * scale), round(page.shape[0] / SCALE * scale)
    middle = np.array([page.shape[1], page.shape[0]]) / SCALE / 2
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array(size) / 2 - turn @ (middle + random.normal(0, SHIFT, 2))
    view = View(np.vstack([np.column_stack([turn, shift]), [0, 0, 1]]), np.zeros(3))
    around = Image.new("L", size, int(random.integers(225, 256)))
    picture = Image.composite(drawn(page, view, size, scale), around, inside(view.seen(edge_of(page)), size))
    picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 0.8)))
    return Photograph(file_of(picture, random), view, size)


# Where the page is.


def view_of(
    page: tuple[float, float], size: tuple[int, int], quarter: int, tilt: float, random: np.random.Generator
) -> View:  # fmt: skip
    """How a flat page of so many millimetres is seen."""
    turn = np.radians(90 * quarter + random.normal(0, TURN))
    camera = np.diag([FOCAL * max(size)] * 2 + [1.0])
    rotation = turned(np.array([0, 0, 1.0]), turn)
    aside = random.uniform(0, 2 * np.pi)
    rotation = turned(np.array([np.cos(aside), np.sin(aside), 0]), np.radians(tilt)) @ rotation
    corners = np.array(list(product((0, page[0]), (0, page[1]))))

    def view_from(far: float) -> View:
        to_middle = np.array([[1, 0, -page[0] / 2], [0, 1, -page[1] / 2], [0, 0, 0.0]])
        matrix = camera @ (rotation @ to_middle + np.outer([0, 0, far], [0, 0, 1]))
        return View(matrix, camera @ rotation @ [0, 0, -1.0])

    near, far = max(page), 10.0 * max(page)
    fill = random.uniform(*FILLS)
    for _ in range(30):
        between = (near + far) / 2
        taken = np.ptp(view_from(between).seen(corners), axis=0) / size
        near, far = (between, far) if taken.max() > fill else (near, between)
    view = view_from(far)
    seen = view.seen(corners)
    free = np.array(size) - np.ptp(seen, axis=0)
    start = free * random.uniform(0.2, 0.8, 2) - seen.min(0)
    shift = np.array([[1, 0, start[0]], [0, 1, start[1]], [0, 0, 1]])
    return View(shift @ view.matrix, shift @ view.lift)


def turned(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """The rotation around an axis of length 1, clockwise on the picture (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def edge_of(page: NDArray[np.uint8]) -> Points:
    """Points around a page, in millimetres."""
    high, wide = np.array(page.shape) / SCALE
    share = np.linspace(0, 1, 41)[:, None]
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high], [0, 0]])
    return np.concatenate([(1 - share) * one + share * other for one, other in pairwise(corners)])


def area(outline: Points) -> float:
    """The area of a polygon, in square pixels."""
    x, y = outline.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


# What the picture shows.


def drawn(page: NDArray[np.uint8], view: View, size: tuple[int, int], scale: float) -> Image.Image:
    """A page as it is seen, at `scale` pixels a millimetre."""
    factor = max(1, int(SCALE / scale))
    source = Image.fromarray(page).reduce(factor)
    if not view.bend:
        back = np.diag([SCALE / factor, SCALE / factor, 1]) @ np.linalg.inv(view.matrix)
        values = (back / back[2, 2]).ravel()[:8].tolist()
        return source.transform(size, Image.Transform.PERSPECTIVE, values, Image.Resampling.BILINEAR, fillcolor=255)
    across, down = (np.arange(0, side + MESH, MESH) for side in size)
    nodes = np.stack(np.meshgrid(across, down), 2).reshape(-1, 2).astype(float)
    places = (view.unseen(nodes) * SCALE / factor).reshape(len(down), len(across), 2)
    mesh = [
        ((x, y, x + MESH, y + MESH), (*places[j, i], *places[j + 1, i], *places[j + 1, i + 1], *places[j, i + 1]))
        for (j, y), (i, x) in product(enumerate(down[:-1].tolist()), enumerate(across[:-1].tolist()))
    ]
    whole = (int(across[-1]), int(down[-1]))
    seen = source.transform(whole, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=255)
    return seen.crop((0, 0, *size))


def inside(outline: Points, size: tuple[int, int]) -> Image.Image:
    """White where the page is."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([*map(tuple, outline.tolist())], fill=255)
    return mask


def desk(size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """A desk of one grey, or with the grain of wood."""
    grain = random.standard_normal((3, 200)) if random.random() < 0.6 else random.standard_normal((40, 40))
    grey = random.uniform(30, 190) + random.uniform(1, 14) * (grain if random.random() < 0.5 else grain.T)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def light(size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """How much light falls where: brighter on one side, darker in the corners, mostly with a soft shadow across."""
    y, x = (np.mgrid[:96, :96] + 0.5) / 96 - 0.5
    angle, turn = random.uniform(0, 2 * np.pi, 2)
    shade = 1 + random.uniform(0, 0.5) * (np.cos(angle) * x + np.sin(angle) * y)
    shade -= random.uniform(0, 0.5) * (x * x + y * y)
    if random.random() < SHADOWED:
        across, on = np.cos(turn) * x + np.sin(turn) * y, np.sin(turn) * x - np.cos(turn) * y
        edge = across + random.uniform(-0.3, 0.3) * on**2 - random.uniform(-0.35, 0.35)
        shade *= 1 - random.uniform(0.15, 0.5) / (1 + np.exp(edge / random.uniform(0.015, 0.12)))
    shade *= random.uniform(0.6, 1.0) / shade.max()
    return Image.fromarray(np.rint(255 * shade).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def shaken(picture: Image.Image, length: float, random: np.random.Generator) -> Image.Image:
    """A picture that moved by `length` pixels in some direction while it was taken."""
    steps, angle, moved = max(1, round(length)), random.uniform(0, 2 * np.pi), picture
    for step, away in enumerate(np.arange(steps) - (steps - 1) / 2):
        copy = ImageChops.offset(picture, round(away * np.cos(angle)), round(away * np.sin(angle)))
        moved = Image.blend(moved, copy, 1 / (step + 1))
    return moved


def file_of(picture: Image.Image, random: np.random.Generator) -> bytes:
    """A picture as a JPEG, with the noise of a sensor."""
    pixels = np.asarray(picture)
    steps = NormalDist(0, 255 * random.uniform(*NOISE))
    levels = np.array([round(steps.inv_cdf((level + 0.5) / 256)) for level in range(256)], np.int16)
    noise = levels[random.integers(256, size=pixels.shape, dtype=np.uint8)]
    noise += pixels
    stream = BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=int(random.integers(*QUALITY)))
    return stream.getvalue()

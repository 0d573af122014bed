"""Digits on paper, and pages seen by a camera: simple simulations for the tests, with MNIST's test images as ink."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sumnist.data.mnist import DISPUTED_TEST_LABELS, load_mnist

Grey = NDArray[np.uint8]
Points = NDArray[np.float64]


@cache
def shapes() -> tuple[tuple[Grey, ...], ...]:
    """The ink of a hundred images of each digit, light on 0, cropped to it."""
    test = load_mnist("test")
    good = ~np.isin(np.arange(len(test.digits)), DISPUTED_TEST_LABELS)
    return tuple(tuple(map(cropped, test.images[(test.digits == digit) & good][:100])) for digit in range(10))


def cropped(image: Grey, least: int = 24) -> Grey:
    """The part of an image with ink on it, darker than the least."""
    rows, columns = (np.flatnonzero((image > least).any(axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def put(page: Grey, shape: Grey, middle: tuple[float, float], height: float) -> None:
    """Write a digit around a point of a page, so many pixels high."""
    size = max(3, round(height * shape.shape[1] / shape.shape[0])), round(height)
    ink = np.asarray(Image.fromarray(shape).resize(size, Image.Resampling.BICUBIC), float) / 255
    left, top = round(middle[0] - size[0] / 2), round(middle[1] - size[1] / 2)
    part = page[max(0, top) : top + size[1], max(0, left) : left + size[0]]
    ink = ink[max(0, -top) :, max(0, -left) :][: part.shape[0], : part.shape[1]]
    part[:] = part * (1 - 0.85 * np.clip(2 * ink - 0.5, 0, 1))


@dataclass(frozen=True)
class View:
    """A photograph of a page: the file, its size, and the matrix from the units of the page to its pixels."""

    data: bytes
    size: tuple[int, int]
    matrix: NDArray[np.float64]

    def seen(self, points: Points) -> Points:
        """Where points of the page are on the picture."""
        found = np.c_[points, np.ones(len(points))] @ self.matrix.T
        return np.asarray(found[:, :2] / found[:, 2:])


def matrix_between(points: Points, others: Points) -> NDArray[np.float64]:
    """The perspective that maps four points to four others."""
    rows = [row for (x, y), (u, v) in zip(points.tolist(), others.tolist(), strict=True)
            for row in ([x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y])]  # fmt: skip
    return np.append(np.linalg.solve(rows, others.ravel()), 1).reshape(3, 3)


def seen_by_camera(page: Grey, scale: float, size: tuple[int, int], seed: int, quarter: int = 0) -> View:
    """Photograph a page that lies on a dark desk, from a little aside, in uneven light.

    Args:
        page: The page.
        scale: Its pixels per unit, in which the matrix takes points.
        size: Longer and shorter side of the picture.
        seed: Of where it is seen from, and of the noise.
        quarter: By how many right angles it is turned.
    """
    random = np.random.default_rng(seed)
    wide, high = size if quarter % 2 else size[::-1]
    corners = np.array([[0, 0], [page.shape[1], 0], [page.shape[1], page.shape[0]], [0, page.shape[0]]], float)
    across = np.array([wide, high]) * (0.5 + 0.46 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]))
    side = page.shape[quarter % 2] / page.shape[1 - quarter % 2] / (high / wide)  # keeps the shape of the page
    across = np.array([wide, high]) / 2 + (across - np.array([wide, high]) / 2) * [min(1, 1 / side), min(1, side)]
    across += random.uniform(-0.025, 0.025, (4, 2)) * [wide, high]
    forth = matrix_between(corners, np.roll(across, -quarter, 0))
    back = np.linalg.inv(forth)
    reduced = max(1, int(np.sqrt(page.size / (wide * high))))
    values = np.diag([1 / reduced, 1 / reduced, 1]) @ back / back[2, 2]
    seen = Image.fromarray(page).reduce(reduced).transform(
        (wide, high), Image.Transform.PERSPECTIVE, values.ravel()[:8].tolist(), Image.Resampling.BILINEAR, fillcolor=255
    )  # fmt: skip
    mask = Image.new("L", (wide, high))
    ImageDraw.Draw(mask).polygon([*map(tuple, np.roll(across, -quarter, 0).tolist())], fill=255)
    picture = Image.composite(seen, Image.new("L", (wide, high), 90), mask).filter(ImageFilter.GaussianBlur(0.7))
    y, x = np.mgrid[:high, :wide] / [[[high]], [[wide]]]
    lit = np.asarray(picture) * (0.92 - 0.15 * x * y) + random.normal(0, 2.5, (high, wide))
    data = BytesIO()
    Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)).save(data, "JPEG", quality=90)
    return View(data.getvalue(), (wide, high), forth @ np.diag([scale, scale, 1]))

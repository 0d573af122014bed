"""Photographs of printed sheets whose perspective is known: a camera model, and Pillow's own warping."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sumnist.sheets.layout import Page

DESK = 90
"""The grey around a sheet."""

Floats = NDArray[np.float64]


@cache
def printed(data: bytes, dpi: int = 300, page: int = 0) -> Image.Image:
    """A page of a PDF, in grey."""
    with closing(pypdfium2.PdfDocument(data)) as document:
        picture: Image.Image = document[page].render(scale=dpi / 72).to_pil().convert("L")
    return picture


def camera(
    page: Page, size: tuple[int, int], tilt: tuple[float, float] = (0, 0), turn: float = 0, fill: float = 0.92
) -> Floats:
    """The matrix from millimetres of a page to pixels of a picture of a size (width, height), by a pinhole camera.

    The page is turned by `turn` degrees and then tilted by `tilt` about the axes of the picture, with its middle before
    the camera, and so far away that it takes `fill` of a side of the picture.
    """
    ax, ay, az = np.radians([*tilt, turn])
    about_x = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    about_y = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
    about_z = np.array([[np.cos(az), -np.sin(az), 0], [np.sin(az), np.cos(az), 0], [0, 0, 1]])
    turned = about_x @ about_y @ about_z
    corners = np.array([[0, 0, 1], [page.width, 0, 1], [page.width, page.height, 1], [0, page.height, 1]])
    to_middle = np.array([[1, 0, -page.width / 2], [0, 1, -page.height / 2], [0, 0, 1]])
    width, height = size
    lens = np.diag([1.1 * max(size), 1.1 * max(size), 1])
    matrix, middle = np.eye(3), np.zeros(2)
    for distance in np.geomspace(250, 5_000, 500):
        matrix = lens @ np.column_stack([turned[:, 0], turned[:, 1], [0, 0, distance]]) @ to_middle
        seen = corners @ matrix.T
        places = seen[:, :2] / seen[:, 2:]
        middle = (places.max(0) + places.min(0)) / 2
        if (np.ptp(places, axis=0) <= fill * np.array(size)).all():
            break
    matrix = np.array([[1, 0, width / 2 - middle[0]], [0, 1, height / 2 - middle[1]], [0, 0, 1]]) @ matrix
    return np.asarray(matrix / matrix[2, 2])


def warped(sheet: Image.Image, page: Page, matrix: Floats, size: tuple[int, int], desk: int = DESK) -> Image.Image:
    """A sheet as it is seen in a picture of a size, sharp."""
    finer = max(1, min(3, round(sheet.width / page.width / matrix[0, 0] if matrix[0, 0] > 0 else 1)))
    back = np.diag([sheet.width / page.width, sheet.height / page.height, 1])
    back = back @ np.linalg.inv(np.diag([finer, finer, 1]) @ matrix)
    large = sheet.transform(
        (size[0] * finer, size[1] * finer), Image.Transform.PERSPECTIVE, (back / back[2, 2]).ravel()[:8].tolist(),
        Image.Resampling.BICUBIC, fillcolor=desk,
    )  # fmt: skip
    return large.reduce(finer)


def taken_by_hand(sharp: Image.Image, blur: float = 0, smear: int = 1, noise: float = 0, seed: int = 0) -> Image.Image:
    """A picture blurred by a Gaussian of so many pixels, smeared to the side over an odd number of them, and noisy, in
    steps of uint8."""
    soft = np.asarray(sharp.filter(ImageFilter.GaussianBlur(blur)), np.float32)
    moved = sum(np.roll(soft, by - smear // 2, 1) for by in range(smear)) / smear
    grain = np.random.default_rng(seed).standard_normal(soft.shape, np.float32) * noise
    return Image.fromarray(np.clip(np.rint(moved + grain), 0, 255).astype(np.uint8))


def as_jpeg(picture: Image.Image, quality: int = 85, **told: Any) -> bytes:
    """The bytes of a JPEG file of a picture in colours."""
    data = BytesIO()
    picture.convert("RGB").save(data, "JPEG", quality=quality, **told)
    return data.getvalue()

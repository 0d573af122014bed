"""Pictures that tests draw, and what they ask of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sumnist.data.mnist import load_mnist
from sumnist.errors import ImageError
from sumnist.pictures.normalize import Picture, see

TEST = load_mnist("test")
SEVEN = TEST.images[0]
"""The first test image: uint8 [28, 28]."""
AS_FLOAT = SEVEN.astype(np.float32) / 255


def drawing(width: int = 14, mode: str = "L", ink: Any = 0, ground: Any = 255, size: int = 280) -> Image.Image:
    """A seven, off-centre."""
    picture = Image.new(mode, (size, size), ground)
    strokes = [(0.1 * size, 0.2 * size), (0.45 * size, 0.2 * size), (0.25 * size, 0.7 * size)]
    ImageDraw.Draw(picture).line(strokes, fill=ink, width=width, joint="curve")
    return picture


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def image_of(picture: Picture, name: str | None = None) -> NDArray[np.float32]:
    return see(picture, name).image


def message(picture: Any, name: str | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        image_of(picture, name)
    return str(caught.value)


def placed(images: NDArray[np.uint8], scale: int, left: int, top: int) -> NDArray[np.uint8]:
    """An image enlarged by repeating pixels, in dark ink somewhere on a white page."""
    page = np.full((420, 500), 255, np.uint8)
    large = np.repeat(np.repeat(images, scale, 0), scale, 1)
    page[top : top + large.shape[0], left : left + large.shape[1]] = 255 - large
    return page


def close(image: NDArray[np.float32], other: NDArray[np.float32], within: float = 0.02) -> bool:
    return float(np.abs(image - other).mean()) < within


def image_or_message(picture: Any) -> NDArray[np.float32] | str:
    try:
        return image_of(picture)
    except ImageError as error:
        return str(error)

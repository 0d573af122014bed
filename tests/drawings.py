"""Pictures that tests draw, and what they ask of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sumnist.config import InkColour
from sumnist.data.mnist import load_mnist
from sumnist.errors import ImageError
from sumnist.pictures import proposals
from sumnist.pictures.decode import Picture, intensities_of
from sumnist.pictures.proposals import Proposal

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


def plain(picture: Picture, ink: InkColour = "auto", steps: bool = False) -> list[Proposal]:
    """The plain looks at a picture: as an image, and whole."""
    seen = intensities_of(picture)
    return [*proposals.as_they_are(seen.grey, ink, steps), *proposals.wholes(seen, ink, steps)]


def first(picture: Picture, ink: InkColour = "auto") -> Proposal:
    """What comes first to mind of a plain picture that is not blank."""
    return plain(picture, ink)[0]


def image_of(picture: Picture) -> NDArray[np.float32]:
    return first(picture).image


def message(picture: Any, name: str | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        intensities_of(picture, name)
    return str(caught.value)


def close(image: NDArray[np.float32], other: NDArray[np.float32], within: float = 0.02) -> bool:
    return float(np.abs(image - other).mean()) < within


def images_or_message(picture: Any) -> list[NDArray[np.float32]] | str:
    try:
        return [proposal.image for proposal in plain(picture)]
    except ImageError as error:
        return str(error)


def ink_box(dark: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is true; bottom and right excluded."""
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def line_of(text: str, gap: int = 20, margin: int = 12) -> NDArray[np.uint8]:
    """Digits of the test images beside each other, dark on light, the middles `gap` pixels apart: uint8 `[H, W]`. The
    same digit is another image each time."""
    line = np.zeros((28 + 2 * margin, 28 + gap * (len(text) - 1) + 2 * margin), np.uint8)
    for place, digit in enumerate(text):
        image = TEST.images[np.flatnonzero(TEST.digits == int(digit))[place]]
        left = margin + gap * place
        part = line[margin : margin + 28, left : left + 28]
        np.maximum(part, image, out=part)
    return 255 - line

"""Scales the ink of one digit to an image as in MNIST: `[28, 28]`, light ink on dark ground.

MNIST's recipe (LeCun and Cortes): scale the digit's bounding box to fit 20×20, keeping its proportions, and put its
centre of mass in the middle of 28×28. Measured on the 70,000 images: the longer side is 20 pixels (19 in 16 of them),
and the centre of mass lies within half a pixel of row and column 14 (one is 0.52 away). On every sixth training image:
the median width of the strokes is 2 pixels. `proposals` and the finder find the ink that may be a digit. Pictures that
are already MNIST images stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.pictures.decode import Grey, Picture
from sumnist.pictures.filters import resized

SIDE = 28
BOX = 20
"""Pixels of the longer side of the digit."""
MIDDLE = 14
"""Row and column of the digit's centre of mass."""

READY_BRIGHT = 0.9 * 255
"""An image follows MNIST's convention only if its brightest pixel is at least this bright."""
READY_OFF = 1
"""An image follows the convention only if its centre of mass is less than this many pixels off the middle, across and
down."""
READY_SHORTER = 2
"""An image follows the convention only if its longer side is at most this many pixels shorter than `BOX`."""

INK_THRESHOLD = 0.2
"""A pixel belongs to the bounding box from this share of the ink's greatest darkness on."""
LEAST_INK = 1e-3
"""Ink below this counts as none."""
BRIGHTEST = 0.9
"""This quantile of the ink becomes 1. Only ink brighter than half the brightest counts, and no single pixel decides."""

EXACT = 1e-3
"""Rounding may have moved an intensity by at most this many steps of uint8."""
UNIT_INTENSITIES = (np.arange(256) / 255).astype(np.float32)
"""The 256 intensities of uint8 in [0, 1]."""
EDGE = np.flatnonzero(np.pad(np.zeros((SIDE - 2, SIDE - 2)), 1, constant_values=1))
"""Flat indices of the outermost pixels of an image."""


def picture_of(image: NDArray[Any], scale: int = 10) -> Image.Image:
    """An image as a grey picture.

    Args:
        image: `[28, 28]`, uint8 or floats in [0, 1].
        scale: The side of each pixel of the image, in pixels of the picture.

    Returns:
        A PIL image of mode "L", `28 * scale` wide and high.
    """
    pixels = image if image.dtype == np.uint8 else np.rint(np.asarray(image, float) * 255).astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((scale, scale), np.uint8)))


# Pictures that are images already.


class Ready(NamedTuple):
    """A picture that is an image already.

    Attributes:
        image: The image, float32 `[28, 28]`, light ink on dark ground.
        dark: Whether the ink of the picture was darker than its ground.
    """

    image: Grey
    dark: bool


def ready_arrays(pictures: Sequence[Picture]) -> dict[int, Grey]:
    """The images of those `pictures` that are uint8 arrays and follow MNIST's convention, light on dark; by their
    indices."""
    arrays = {i: picture for i, picture in enumerate(pictures) if isinstance(picture, np.ndarray)}
    small = {i: array for i, array in arrays.items() if array.dtype == np.uint8 and array.shape == (SIDE, SIDE)}
    if not small:
        return {}
    stack = np.array(list(small.values()))
    checked = zip(small, UNIT_INTENSITIES[stack], are_images(stack), strict=True)
    return {i: image for i, image, is_image in checked if is_image}


def are_images(stack: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the pictures `[N, 28, 28]`, light on dark, already follow MNIST's convention."""
    pixels = stack.reshape(len(stack), -1)
    good: NDArray[np.bool_] = (pixels[:, EDGE] == 0).sum(1) > len(EDGE) // 2
    good &= pixels.max(1) >= READY_BRIGHT
    longer = np.zeros(len(stack), np.intp)
    for axis in (2, 1):  # along the rows, along the columns
        mass = stack.sum(axis, dtype=np.int64)  # [N, 28]
        middle = mass @ np.arange(SIDE) / np.maximum(mass.sum(1), 1)
        good &= abs(middle - MIDDLE) < READY_OFF
        lines = mass > 0
        longer = np.maximum(longer, SIDE - lines.argmax(1) - lines[:, ::-1].argmax(1))
    good &= (longer >= BOX - READY_SHORTER) & (longer <= BOX)
    return good


def ready_image(grey: Grey) -> Ready | None:
    """`grey` `[28, 28]` as it is, or inverted, if it already follows MNIST's convention; else None."""
    pixels = np.rint(grey * 255).astype(np.uint8)
    dark = bool(2 * float(np.median(pixels.ravel()[EDGE])) > 255)
    if not are_images((255 - pixels if dark else pixels)[None])[0]:
        return None
    if not dark:
        return Ready(grey, dark=False)
    exact = np.abs(grey * 255 - pixels).max() < EXACT
    return Ready(UNIT_INTENSITIES[255 - pixels] if exact else 1 - grey, dark=True)


# From ink to an image.


def cropped(ink: Grey) -> NDArray[np.float64]:
    """Crop ink `[h, w]` to its bounding box, and scale it so that its brightest tenth is 1. Without ink, the result is
    one pixel of ground."""
    inked = ink >= max(INK_THRESHOLD * float(ink.max(initial=0)), LEAST_INK)
    return stretched(ink[bounds_of(inked)]) if inked.any() else np.zeros((1, 1))


def bounds_of(inked: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns from the first to the last place that is true."""
    rows, columns = (np.flatnonzero(inked.any(axis)).tolist() for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def stretched(ink: NDArray[Any]) -> NDArray[np.float64]:
    """Ink, scaled so that its brightest tenth is 1."""
    ink = ink.astype(np.float64)
    bright = ink[ink > ink.max() / 2]
    place = int(BRIGHTEST * (len(bright) - 1))
    result: NDArray[np.float64] = (ink / np.partition(bright, place)[place]).clip(0, 1)
    return result


def placed(digit: NDArray[np.float64]) -> Grey:
    """The image of a cropped digit: its longer side is 20 pixels, and its centre of mass is at row and column 14.
    Without ink, the image is blank."""
    image = np.zeros((SIDE, SIDE), np.float32)
    if not digit.any():
        return image
    ink = stretched(resized(digit, BOX, grow=True))
    height, width = ink.shape
    down, right = (round(MIDDLE - middle) for middle in centre_of_mass(ink))
    down, right = min(max(down, 0), SIDE - height), min(max(right, 0), SIDE - width)
    image[down : down + height, right : right + width] = ink
    return image


def centre_of_mass(ink: NDArray[Any]) -> tuple[float, float]:
    """Row and column of the centre of mass, counted from the middle of the first pixel."""
    mass = ink.sum()
    rows, columns = ink.sum(1) @ np.arange(ink.shape[0]), ink.sum(0) @ np.arange(ink.shape[1])
    return float(rows / mass), float(columns / mass)

"""Any picture of one digit → an image as MNIST's makers would have made it: `[28, 28]`, light ink on dark ground.

Their recipe (LeCun and Cortes): scale the digit's bounding box to fit 20×20, keeping its proportions, and put its
centre of mass in the middle of 28×28. Measured on the 70,000 images: the longer side is 20 pixels (19 in 16 of them),
the centre of mass lies within half a pixel of row and column 14 (one is 0.52 away). On every sixth training image: the
strokes are 2 pixels wide in the median. `pictures` reads the picture, `ink` finds the digit on it, this puts it into
its place. Needs numpy and Pillow, no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.errors import ImageError, SumnistError
from sumnist.pictures.components import Box, Marks, grown, union
from sumnist.pictures.decode import Grey, Picture, levels_of, name_of
from sumnist.pictures.filters import resized, running_max, spread
from sumnist.pictures.outlines import stroke_width
from sumnist.pictures.segment import Problem, ink_of

__all__ = ["Picture", "Problem", "Seen", "image_of", "images_of", "picture_of", "see", "see_each"]

INK_THRESHOLD = 0.2
"""Share of the ink's darkness from which a pixel counts for the bounding box."""
HALO = 0.05
"""Of the digit's longer side, a pixel of the image: ink so near to a piece of the digit belongs to it."""
CROP = 160
"""A digit with a longer side than this many pixels is reduced before it is put into its place."""

SIDE = 28
BOX = 20
MIDDLE = 14
"""Row and column of the centre of mass."""
FINE = 4
"""Strokes are thickened at this multiple of the final resolution."""
THIN_STROKE = 1.5
"""Thinner strokes, in pixels of the final image, are thickened."""
USUAL_STROKE = 2.0
"""To this many pixels, the median of MNIST."""

NEAR, FAR = 1.2, 4.5
"""The centre of mass of an image that is kept as it is may be so far off, in pixels: usually, and if what has got into
it may have moved it."""
TOO_LONG = 23
"""No digit of MNIST that was turned or slanted is longer."""

EXACT = 1e-3
"""Levels of 255 by which rounding may have moved one of uint8."""
UNIT_LEVELS = (np.arange(256) / 255).astype(np.float32)
"""The 256 levels of uint8 in [0, 1]."""
EDGE = np.flatnonzero(np.pad(np.zeros((SIDE - 2, SIDE - 2)), 1, constant_values=1))
"""Flat indices of the outermost pixels of an image."""


@dataclass(frozen=True)
class Seen:
    """What was seen on a picture.

    `image`: float32 `[28, 28]` in [0, 1], light ink on dark ground, all 0 if the picture is blank. `problem`: what is
    in the way of reading it, None if nothing is: "blank", "several" (digits), "cut off" (at the border), "too small",
    "faint". `marks`: how many digits there seem to be. `dark`: whether the ink is darker than the ground. `box`: top,
    bottom, left and right of the digit in pixels of the picture, bottom and right excluded; None if it is blank.
    """

    image: Grey = field(repr=False, compare=False)
    problem: Problem | None = None
    marks: int = 1
    dark: bool = False
    box: Box | None = (0, SIDE, 0, SIDE)

    @property
    def stroke(self) -> float:
        """The mean width of the strokes in pixels of the image, 0 if it is blank."""
        return stroke_width(self.image) if self.image.any() else 0.0


def see(picture: Picture, name: str | None = None) -> Seen:
    """The one digit on `picture` as an image, and what is in the way of reading it.

    A picture that is an image by MNIST's convention already comes out unchanged, or inverted if its ink is dark.
    `name` is what messages call a picture that has no path. Raises `ImageError` for what cannot be read.

    >>> drawing = np.full((100, 80), 255, np.uint8)  # white
    >>> drawing[20:70, 30:36] = 0  # a one
    >>> seen = see(drawing)
    >>> seen.problem, seen.dark, seen.box, round(seen.stroke)
    (None, True, (20, 70, 30, 36), 2)
    """
    if isinstance(picture, np.ndarray) and is_small(picture) and are_images(picture[None])[0]:
        return Seen(UNIT_LEVELS[picture])
    levels = levels_of(picture, name)
    return seen_of(levels.grey, levels.reduction)


def image_of(picture: Picture, name: str | None = None) -> Grey:
    """The image of the one digit on `picture`, as `see` gives it. Raises `ImageError` if it is blank too.

    >>> drawing = np.full((100, 80), 255, np.uint8)  # white
    >>> drawing[20:70, 30:36] = 0  # a one
    >>> image = image_of(drawing)
    >>> image.shape, np.flatnonzero(image.any(axis=1)).tolist() == list(range(4, 24))
    ((28, 28), True)
    """
    return not_blank(see(picture, name), name_of(picture, name))


def not_blank(seen: Seen, name: str) -> Grey:
    if seen.problem == "blank":
        raise ImageError(f"{name}: blank, expected a digit on it: draw one, dark on light or light on dark")
    return seen.image


def see_each(pictures: Sequence[Picture], first: int = 0) -> list[Seen | SumnistError]:
    """What `see` gives for each picture, or its error; much faster for many uint8 arrays that are images already.

    Messages call a picture without a path by its place, counted on from `first`.
    """
    found: list[Seen | SumnistError | None] = [None] * len(pictures)
    small = [i for i, one in enumerate(pictures) if isinstance(one, np.ndarray) and is_small(one)]
    if small:
        stack = np.stack([pictures[i] for i in small])  # type: ignore[misc]
        images = UNIT_LEVELS[stack]
        for i, image, ready in zip(small, images, are_images(stack), strict=True):
            if ready:
                found[i] = Seen(image)
    return [one or seen_or_error(pictures[i], f"picture {first + i + 1}") for i, one in enumerate(found)]


def seen_or_error(picture: Picture, name: str) -> Seen | SumnistError:
    try:
        return see(picture, name)
    except SumnistError as error:
        return error


def images_of(pictures: Sequence[Picture], first: int = 0) -> list[Grey | SumnistError]:
    """What `image_of` gives for each picture, or its error, as fast as `see_each`."""
    images: list[Grey | SumnistError] = []
    for i, (picture, seen) in enumerate(zip(pictures, see_each(pictures, first), strict=True)):
        try:
            images.append(
                seen
                if isinstance(seen, SumnistError)
                else not_blank(seen, name_of(picture, f"picture {first + i + 1}"))
            )
        except ImageError as error:
            images.append(error)
    return images


def picture_of(image: NDArray[Any], scale: int = 10) -> Image.Image:
    """An image `[28, 28]`, uint8 or floats in [0, 1], as a grey picture, each pixel `scale` pixels wide and high."""
    pixels = image if image.dtype == np.uint8 else np.rint(np.asarray(image, float) * 255).astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((scale, scale), np.uint8)))


# Images that are there already.


def is_small(array: NDArray[Any]) -> bool:
    return array.dtype == np.uint8 and array.shape == (SIDE, SIDE)


def are_images(stack: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of `[N, 28, 28]` levels, light on dark, follow MNIST's convention already."""
    dark = (stack.reshape(len(stack), -1)[:, EDGE] == 0).sum(1) > len(EDGE) // 2
    inked = stack > 0
    bright: NDArray[np.bool_] = stack.max((1, 2)) >= 0.9 * 255
    bright &= (inked & (stack < 255)).any((1, 2))  # black and white are edges, or a drawing
    good: NDArray[np.bool_] = dark & bright
    places = np.arange(SIDE)
    for mass in (stack.sum(2, dtype=np.int64), stack.sum(1, dtype=np.int64)):  # [N, 28]: by row, by column
        middle = mass @ places / np.maximum(mass.sum(1), 1)
        good &= abs(middle - MIDDLE) < 1
    longer = np.maximum(extent(inked, 1), extent(inked, 2))
    good &= (longer >= BOX - 2) & (longer <= BOX)
    return good


def extent(inked: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    """For each of `[N, 28, 28]`, from the first line with ink to the last, both counted; the lines run along `axis`."""
    lines: NDArray[np.bool_] = np.any(inked, axis)
    behind: NDArray[np.intp] = lines.argmax(1) + lines[:, ::-1].argmax(1)
    return SIDE - behind


# Putting the digit into its place: levels → image.


def seen_of(grey: Grey, reduction: float = 1.0) -> Seen:
    """What is seen on `grey` `[H, W]` in [0, 1], of which a pixel was `reduction` pixels of the picture."""
    if grey.shape == (SIDE, SIDE):
        pixels = np.rint(grey * 255).astype(np.uint8)
        dark = bool(2 * float(np.median(pixels.ravel()[EDGE])) > 255)
        if are_images((255 - pixels if dark else pixels)[None])[0]:
            exact = bool(np.abs(grey * 255 - pixels).max() < EXACT)
            return Seen(UNIT_LEVELS[255 - pixels] if dark and exact else 1 - grey if dark else grey, dark=dark)
    ink = ink_of(grey, reduction)
    if ink.digit is None:
        return Seen(np.zeros((SIDE, SIDE), np.float32), "blank", 0, ink.light.dark, None)
    top, bottom, left, right = (round(side * reduction) for side in union(ink.digit.boxes))
    box = top, bottom, left, right
    image = kept_in_place(ink.levels, ink.digit) if grey.shape == (SIDE, SIDE) else None
    if image is not None:
        return Seen(image, "faint" if ink.problem == "faint" else None, 1, ink.light.dark, box)
    return Seen(placed(ink.levels, ink.digit), ink.problem, ink.marks, ink.light.dark, box)


def kept_in_place(levels: Grey, digit: Marks) -> Grey | None:
    """The image as it is, without what is not the digit's, if its ink lies about where MNIST has it, or reaches too far
    for a digit, so that something else must have got into it."""
    mask = digit.mask()
    top, bottom, left, right = union(digit.boxes)
    longer = max(bottom - top, right - left)
    off = max(abs(middle - MIDDLE) for middle in centre_of_mass(np.where(mask, levels, 0)))
    usual = BOX - 2 <= longer <= BOX and off < NEAR
    if usual or (longer >= TOO_LONG and off < FAR):
        return np.where(spread(mask, 3), levels, 0)
    return None


def placed(levels: Grey, digit: Marks) -> Grey:
    """The digit in its place on a `[28, 28]` image."""
    box = union(digit.boxes)
    box = grown(box, 1 + int(HALO * max(box[1] - box[0], box[3] - box[2])), digit.shape)
    ink = resized(levels[box[0] : box[1], box[2] : box[3]], CROP)
    mask = resized(digit.mask(box).astype(np.float32), CROP) > 0
    reach = max(1, round(HALO * max(ink.shape)))
    whole = np.where(spread(mask, 2 * reach + 1), ink, 0).astype(np.float64)
    inked = whole >= INK_THRESHOLD
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    return centred(fitted(stretched(whole)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))


def stretched(ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ink with its darkest tenth at 1; a tenth of what is above half the maximum, so that no single pixel decides."""
    peak = float(np.quantile(ink[ink > ink.max() / 2], 0.9))
    return (ink / peak).clip(0, 1)


def fitted(ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cropped ink, scaled so that its longer side is 20 pixels, with strokes thick enough to see."""
    fine = BOX * FINE
    ink = thickened(ink, 2 * max(ink.shape) / fine)  # thinner lines would come out of the scaling as dots
    ink = stretched(scaled(ink, fine))
    if stroke_width(ink) < THIN_STROKE * FINE:
        ink = thickened(ink, USUAL_STROKE * FINE)
    return scaled(ink, BOX)


def thickened(ink: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """`ink`, larger by what its strokes had to grow on every side to be about `width` pixels wide."""
    radius = round((width - stroke_width(ink)) / 2)
    if radius < 1:
        return ink
    ink = np.pad(ink, 2 * radius)
    for axis in (0, 1):
        ink = running_max(ink, 2 * radius + 1, axis)
    return ink


def scaled(ink: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Resampled so that the longer side has `side` pixels: by area where it shrinks, bilinearly where it grows."""
    height, width = ink.shape
    factor = side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(ink.astype(np.float32)).resize(size, how), np.float64)


def centred(ink: NDArray[np.float64]) -> Grey:
    """Ink of at most 20×20 in the 28×28 image, its centre of mass at row and column 14."""
    image = np.zeros((SIDE, SIDE), np.float32)
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

"""Any picture of one digit → an image as MNIST's makers would have made it: `[28, 28]`, light ink on dark ground.

Their recipe (LeCun and Cortes): scale the digit's bounding box to fit 20×20, keeping its proportions, and put its
centre of mass in the middle of 28×28. Measured on the 70,000 images: the longer side is 20 pixels (19 in 16 of them),
and the centre of mass lies within half a pixel of row and column 14 (one is 0.52 away). On every sixth training image:
the strokes are 2 pixels wide in the median. `decode` reads the picture, `segment` finds the digit on it, and this puts
it into its place. Needs NumPy and Pillow, no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.errors import SumnistError
from sumnist.pictures.components import Box, Components, extent, grown, part, union
from sumnist.pictures.decode import Grey, Intensities, Picture, intensities_of
from sumnist.pictures.filters import resized, running_max, spread
from sumnist.pictures.outlines import stroke_width
from sumnist.pictures.segment import Problem, Step, ink_of

__all__ = ["Picture", "Problem", "Seen", "Step", "picture_of", "see", "see_each"]

SIDE = 28
BOX = 20
"""Pixels of the longer side of the digit."""
MIDDLE = 14
"""Row and column of the digit's centre of mass."""

READY_BRIGHT = 0.9 * 255
"""An image follows the convention only if its brightest pixel is at least this bright."""
READY_OFF = 1
"""The same if its centre of mass is nearer to the middle than this many pixels, across and down."""
READY_SHORTER = 2
"""The same if its longer side is at most this many pixels shorter than `BOX`."""
NEAR, FAR = 1.2, 4.5
"""Pixels by which the centre of mass of an image that is kept in place may be off: usually, and if what has got into
the image may have moved it."""
TOO_LONG = 23
"""No digit of MNIST that was turned or slanted has a longer side of more pixels."""

INK_THRESHOLD = 0.2
"""Share of the ink's darkness from which a pixel counts for the bounding box."""
HALO = 0.05
"""Of the digit's longer side, a pixel of the image: ink so near to a component of the digit belongs to it."""
CROP = 160
"""A digit with a longer side than this many pixels is reduced before it is put into its place."""
BRIGHTEST = 0.9
"""The quantile of the ink brighter than half the brightest that becomes 1, so that no single pixel decides."""
FINE = 4
"""Strokes are thickened at this multiple of the final resolution."""
LEAST_STROKE = 2
"""Pixels, at that resolution, of the thinnest stroke that does not come out of the scaling as dots."""
THIN_STROKE = 1.5
"""Strokes thinner than this many pixels of the image are thickened."""
USUAL_STROKE = 2.0
"""They are thickened to this many pixels, the median of MNIST."""

EXACT = 1e-3
"""Steps of uint8 by which rounding may have moved an intensity."""
UNIT_INTENSITIES = (np.arange(256) / 255).astype(np.float32)
"""The 256 intensities of uint8 in [0, 1]."""
EDGE = np.flatnonzero(np.pad(np.zeros((SIDE - 2, SIDE - 2)), 1, constant_values=1))
"""Flat indices of the outermost pixels of an image."""


@dataclass(frozen=True)
class Seen:
    """What was seen on a picture.

    `image`: float32 `[28, 28]` in [0, 1], light ink on dark ground, all 0 if the picture is blank. `problem`: what is
    in the way of reading it, None if nothing is: "blank", "several" (digits), "cut off" (at the border), "too small",
    "faint". `digit_count`: how many digits there seem to be. `dark`: whether the ink is darker than the ground. `box`:
    top, bottom, left and right of the digit in pixels of the picture, bottom and right excluded; None if it is blank.
    """

    image: Grey = field(repr=False, compare=False)
    problem: Problem | None = None
    digit_count: int = 1
    dark: bool = False
    box: Box | None = (0, SIDE, 0, SIDE)


def see(picture: Picture, name: str | None = None, steps: list[Step] | None = None) -> Seen:
    """The one digit on a picture as an image, and what is in the way of reading it.

    A picture that already is an image by MNIST's convention stays as it is, or is inverted if its ink is dark.

    Args:
        picture: A path, the bytes of a file, a PIL image, or an array `[H, W]` or `[H, W, 1 to 4]` of uint8 or of
            floats in [0, 1].
        name: What messages call a picture that has no path.
        steps: A list to which the steps are appended that were really taken, from the picture as it was read to the
            image.

    Returns:
        The image, float32 `[28, 28]` in [0, 1], with its problem (None if there is none), and where the digit was.

    Raises:
        ImageError: The picture cannot be read.
        MissingExtraError: It is a HEIC file, and the library for those is not installed.

    >>> drawing = np.full((100, 80), 255, np.uint8)  # white
    >>> drawing[20:70, 30:36] = 0  # a one
    >>> seen = see(drawing)
    >>> seen.problem, seen.dark, seen.box
    (None, True, (20, 70, 30, 36))
    """
    seen = ready_arrays([picture]).get(0) if steps is None else None
    return seen or seen_of(intensities_of(picture, name), steps)


def see_each(pictures: Sequence[Picture], first: int = 0) -> list[Seen | SumnistError]:
    """What `see` gives for each picture, or its error; much faster for many uint8 arrays that are images already.

    Args:
        pictures: Pictures as `see` takes them.
        first: The place of the first one: messages call a picture without a path by its place, "picture 1" for 0.

    Returns:
        As many: what was seen, or in its place the error that `see` would raise.
    """
    ready = ready_arrays(pictures)
    return [ready.get(i) or seen_or_error(picture, f"picture {first + i + 1}") for i, picture in enumerate(pictures)]


def seen_or_error(picture: Picture, name: str) -> Seen | SumnistError:
    try:
        return see(picture, name)
    except SumnistError as error:
        return error


def picture_of(image: NDArray[Any], scale: int = 10) -> Image.Image:
    """An image as a grey picture.

    Args:
        image: `[28, 28]`, uint8 or floats in [0, 1].
        scale: Width and height of its pixels in pixels of the picture.

    Returns:
        A PIL image of mode "L", `28 * scale` wide and high.
    """
    pixels = image if image.dtype == np.uint8 else np.rint(np.asarray(image, float) * 255).astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((scale, scale), np.uint8)))


# Images that are there already.


def ready_arrays(pictures: Sequence[Picture]) -> dict[int, Seen]:
    """What is seen on those of `pictures` that are uint8 arrays by MNIST's convention, by their places."""
    arrays = {i: picture for i, picture in enumerate(pictures) if isinstance(picture, np.ndarray)}
    small = {i: array for i, array in arrays.items() if array.dtype == np.uint8 and array.shape == (SIDE, SIDE)}
    if not small:
        return {}
    stack = np.array(list(small.values()))
    checked = zip(small, UNIT_INTENSITIES[stack], are_images(stack), strict=True)
    return {i: Seen(image) for i, image, is_image in checked if is_image}


def are_images(stack: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of `[N, 28, 28]` pictures, light on dark, follow MNIST's convention already."""
    pixels = stack.reshape(len(stack), -1)
    good: NDArray[np.bool_] = (pixels[:, EDGE] == 0).sum(1) > len(EDGE) // 2
    good &= pixels.max(1) >= READY_BRIGHT
    good &= ((pixels > 0) & (pixels < 255)).any(1)  # what is black and white alone are edges, or a drawing
    longer = np.zeros(len(stack), np.intp)
    for axis in (2, 1):  # along the rows, along the columns
        mass = stack.sum(axis, dtype=np.int64)  # [N, 28]
        middle = mass @ np.arange(SIDE) / np.maximum(mass.sum(1), 1)
        good &= abs(middle - MIDDLE) < READY_OFF
        lines = mass > 0
        longer = np.maximum(longer, SIDE - lines.argmax(1) - lines[:, ::-1].argmax(1))
    good &= (longer >= BOX - READY_SHORTER) & (longer <= BOX)
    return good


def ready_image(grey: Grey) -> Seen | None:
    """`grey` `[28, 28]` as it is, or inverted, if it follows MNIST's convention already; else None."""
    pixels = np.rint(grey * 255).astype(np.uint8)
    dark = bool(2 * float(np.median(pixels.ravel()[EDGE])) > 255)
    if not are_images((255 - pixels if dark else pixels)[None])[0]:
        return None
    if not dark:
        return Seen(grey)
    exact = np.abs(grey * 255 - pixels).max() < EXACT
    return Seen(UNIT_INTENSITIES[255 - pixels] if exact else 1 - grey, dark=True)


# Putting the digit into its place: intensities → image.


def seen_of(intensities: Intensities, steps: list[Step] | None = None) -> Seen:
    """What is seen on a picture with these intensities; `steps` gets all that was done to them."""
    grey = intensities.grey
    if steps is not None:
        steps.append(Step("as read", grey))
    ready = ready_image(grey) if grey.shape == (SIDE, SIDE) else None
    seen = ready or seen_by_ink(intensities, steps)
    if steps is not None:
        note = ", inverted" if ready and ready.dark else f": {seen.problem}" if seen.problem else ""
        steps.append(Step(f"what the network sees{note}", seen.image))
    return seen


def seen_by_ink(intensities: Intensities, steps: list[Step] | None) -> Seen:
    """What is seen on a picture whose digit must be found; `steps` gets how it was."""
    grey, reduction = intensities.grey, intensities.reduction
    ink = ink_of(grey, reduction)
    if steps is not None:
        steps += ink.steps()
    if ink.digit is None:
        return Seen(np.zeros((SIDE, SIDE), np.float32), "blank", 0, ink.light.dark, None)
    top, bottom, left, right = (round(side * reduction) for side in union(ink.digit.boxes))
    box = top, bottom, left, right
    image = kept_in_place(ink.intensities, ink.digit) if grey.shape == (SIDE, SIDE) else None
    if image is not None:
        return Seen(image, "faint" if ink.problem == "faint" else None, 1, ink.light.dark, box)
    digit = cropped(ink.intensities, ink.digit)
    if steps is not None:
        steps.append(Step("the digit", digit))
    return Seen(centred(fitted(digit)), ink.problem, ink.digit_count, ink.light.dark, box)


def kept_in_place(intensities: Grey, digit: Components) -> Grey | None:
    """The image as it is, without what is not the digit's, if its ink lies about where MNIST has it, or reaches too far
    for a digit, so that something else must have got into it."""
    longer = max(extent(union(digit.boxes)))
    mask = digit.mask()
    off = max(abs(middle - MIDDLE) for middle in centre_of_mass(np.where(mask, intensities, 0)))
    usual = BOX - READY_SHORTER <= longer <= BOX and off < NEAR
    if usual or (longer >= TOO_LONG and off < FAR):
        return np.where(spread(mask, 3), intensities, 0)
    return None


def cropped(intensities: Grey, digit: Components) -> NDArray[np.float64]:
    """The ink of the digit, cropped to it."""
    box = union(digit.boxes)
    box = grown(box, 1 + int(HALO * max(extent(box))), digit.shape)
    ink, mask = resized(intensities[part(box)], CROP), resized(digit.mask(box), CROP) > 0
    reach = max(1, round(HALO * max(ink.shape)))
    whole = np.where(spread(mask, 2 * reach + 1), ink, 0).astype(np.float64)
    inked = whole >= INK_THRESHOLD
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    return stretched(whole)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def stretched(ink: NDArray[Any]) -> NDArray[np.float64]:
    """Ink with its brightest tenth at 1."""
    ink = ink.astype(np.float64)
    return (ink / float(np.quantile(ink[ink > ink.max() / 2], BRIGHTEST))).clip(0, 1)


def fitted(ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cropped ink, scaled so that its longer side is 20 pixels, with strokes thick enough to see."""
    ink = thickened(ink, LEAST_STROKE * max(ink.shape) / (BOX * FINE))
    ink = stretched(resized(ink, BOX * FINE, grow=True))
    if stroke_width(ink) < THIN_STROKE * FINE:
        ink = thickened(ink, USUAL_STROKE * FINE)
    return resized(ink, BOX, grow=True).astype(np.float64)


def thickened(ink: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """`ink` with strokes about `width` pixels wide, if they were thinner; larger on every side by what they grew."""
    radius = round((width - stroke_width(ink)) / 2)
    if radius < 1:
        return ink
    ink = np.pad(ink, 2 * radius)
    for axis in (0, 1):
        ink = running_max(ink, 2 * radius + 1, axis)
    return ink


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

"""Any picture of one digit → an image as MNIST's makers would have made it: `[28, 28]`, light ink on dark ground.

Their recipe (LeCun and Cortes): scale the digit's bounding box to fit 20×20, keeping its proportions, and put its
centre of mass in the middle of 28×28. Measured on the 70,000 images: the longer side is 20 pixels (19 in 16 of them),
the centre of mass lies within half a pixel of row and column 14 (one is 0.52 away). On every sixth training image: the
strokes are 2 pixels wide in the median. Made for drawings and scans: the ground may have any brightness, but one
brightness. Needs numpy and Pillow, no torch.
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sumnist.errors import ImageError

__all__ = ["Picture", "image_of", "images_of", "picture_of"]

Picture = str | os.PathLike[str] | bytes | bytearray | Image.Image | NDArray[Any]
"""A path, the bytes of a file, a PIL image, or an array of uint8 or of floats in [0, 1], any channels last."""

SMALLEST_SIDE = 8
MOST_PIXELS = 64_000_000
WORKING_SIDE = 1024
"""Larger pictures are first reduced to about this many pixels a side."""
LEAST_CONTRAST = 0.05
"""What differs less than this from the ground is no ink."""
INK_THRESHOLD = 0.2
"""Share of the ink's darkness from which a pixel counts for the bounding box."""
DUST = 0.01
"""A speck apart from the rest with less than this share of all ink does not count for the bounding box."""
SMALLEST_DIGIT = 4
"""A bounding box with no side of at least this many pixels holds a dot, not a digit."""

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

UNIT_LEVELS = (np.arange(256) / 255).astype(np.float32)
"""The 256 levels of uint8 in [0, 1]."""
EDGE = np.flatnonzero(np.pad(np.zeros((SIDE - 2, SIDE - 2)), 1, constant_values=1))
"""Flat indices of the outermost pixels of an image."""

DECODING = threading.Lock()
"""Decoders warn, and silencing a warning changes state that all threads share, so one thread decodes at a time."""


def image_of(picture: Picture, name: str | None = None) -> NDArray[np.float32]:
    """The image of the one digit on `picture`: float32 `[28, 28]` in [0, 1], light ink on dark ground.

    A picture that is an image by MNIST's convention already comes out unchanged, or inverted if its ink is dark.
    `name` is what messages call a picture that has no path. Raises `ImageError` for what cannot be read or is blank.

    >>> drawing = np.full((100, 80), 255, np.uint8)  # white
    >>> drawing[20:70, 30:36] = 0  # a one
    >>> image = image_of(drawing)
    >>> image.shape, np.flatnonzero(image.any(axis=1)).tolist() == list(range(4, 24))
    ((28, 28), True)
    """
    if isinstance(picture, str | os.PathLike):
        name = os.fsdecode(picture)
        levels = read_file(name)
    elif isinstance(picture, bytes | bytearray):
        levels = read_bytes(bytes(picture), name or "picture")
    elif isinstance(picture, Image.Image):
        name = name or str(getattr(picture, "filename", "") or "picture")
        levels = read_picture(picture, name)
    elif isinstance(picture, np.ndarray):
        if is_small(picture) and are_images(picture[None])[0]:
            return UNIT_LEVELS[picture]
        levels = read_array(picture, name or "picture")
    else:
        kind = type(picture).__name__
        raise ImageError(f"{name or 'picture'}: {kind}, expected a path, bytes, a PIL image or a numpy array")
    return normalised(unit_scale(reduced(levels)), name or "picture")


def images_of(pictures: Sequence[Picture], first: int = 0) -> list[NDArray[np.float32] | ImageError]:
    """What `image_of` gives for each picture, or its error; much faster for many uint8 arrays that are images already.

    Messages call a picture without a path by its place, counted on from `first`.
    """
    found: list[NDArray[np.float32] | ImageError] = [ImageError()] * len(pictures)
    small = [i for i, one in enumerate(pictures) if isinstance(one, np.ndarray) and is_small(one)]
    if small:
        stack = np.stack([pictures[i] for i in small])  # type: ignore[misc]
        images = UNIT_LEVELS[stack]
        for i, image, ready in zip(small, images, are_images(stack), strict=True):
            if ready:
                found[i] = image
    for i, picture in enumerate(pictures):
        if isinstance(found[i], ImageError):
            try:
                found[i] = image_of(picture, f"picture {first + i + 1}")
            except ImageError as error:
                found[i] = error
    return found


def picture_of(image: NDArray[Any], scale: int = 10) -> Image.Image:
    """An image `[28, 28]`, uint8 or floats in [0, 1], as a grey picture, each pixel `scale` pixels wide and high."""
    pixels = image if image.dtype == np.uint8 else np.rint(np.asarray(image, float) * 255).astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((scale, scale), np.uint8)))


# Reading: picture → levels, uint8 or uint16 [H, W] or floats in [0, 1].


def read_file(name: str) -> NDArray[Any]:
    try:
        kind = os.stat(name).st_mode
        if stat.S_ISDIR(kind):
            raise ImageError(f"{name}: is a folder, expected a picture: name a file in it")
        if not stat.S_ISREG(kind):
            raise ImageError(f"{name}: not a plain file, expected a picture: copy it to a file first")
        with Path(name).open("rb") as stream:
            return read_stream(stream, name)
    except FileNotFoundError as error:
        raise ImageError(f"{name}: does not exist, expected a picture: check the name") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImageError(
            f"{name}: cannot be read ({reason}), expected a picture: check its name and permissions"
        ) from error
    except ValueError as error:  # a name that no file can have, such as one with a zero byte
        raise ImageError(f"{name!r}: not a file name, expected the path of a picture: check the name") from error


def read_bytes(data: bytes, name: str) -> NDArray[Any]:
    return read_stream(BytesIO(data), name)


def read_stream(stream: BinaryIO, name: str) -> NDArray[Any]:
    if not stream.read(1):
        raise ImageError(f"{name}: empty, expected a picture: copy or save it again")
    stream.seek(0)
    not_a_picture = f"{name}: not a picture, expected PNG, JPEG or another format that Pillow opens: save it as PNG"
    with DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(stream) as picture:
                if picture.format == "EPS":  # a program, which Pillow would have another program run
                    raise ImageError(not_a_picture)
                return decoded(picture, name)
        except UnidentifiedImageError as error:
            raise ImageError(not_a_picture) from error
        except Image.DecompressionBombError as error:
            raise too_large(name) from error
        except ImageError:
            raise
        except Exception as error:  # decoders raise anything at all, from IndexError to struct.error
            raise corrupt(name) from error


def read_picture(picture: Image.Image, name: str) -> NDArray[Any]:
    with DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return decoded(picture, name)
        except ImageError:
            raise
        except Exception as error:  # its file may be read only now: see read_stream
            raise corrupt(name) from error


def decoded(picture: Image.Image, name: str) -> NDArray[Any]:
    """The levels of an opened picture, turned upright; transparent parts are white."""
    check_size(picture.height, picture.width, name)
    picture.load()
    check_size(picture.height, picture.width, name)  # some formats know their size only now
    picture = upright(picture)
    if picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.uint16)
    if picture.mode in ("I", "F"):
        return levels_without_scale(np.asarray(picture, np.float64), name)
    if picture.mode == "LAB":
        return np.asarray(picture.getchannel("L"))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.asarray(picture.convert("L"))


def upright(picture: Image.Image) -> Image.Image:
    """`picture` turned as its EXIF orientation says, if it has one that can be read."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a broken note about the picture does not make the picture broken
        return picture


def levels_without_scale(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """32-bit values do not say which of them is white: the nearest usual one that none exceeds."""
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and np.isfinite(high)):
        raise ImageError(f"{name}: values from {low:g} to {high:g}, expected finite ones from 0: save it as 8-bit PNG")
    white = next((white for white in (1, 255, 65535) if high <= white), high)
    return values / white


def read_array(array: NDArray[Any], name: str) -> NDArray[Any]:
    shape = "×".join(map(str, array.shape)) or "none"
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        raise ImageError(
            f"{name}: array of shape {shape}, expected [height, width] or [height, width, 1 to 4 channels]: put the "
            "channels last, and give several pictures as a list"
        )
    check_size(array.shape[0], array.shape[1], name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint8:
        return read_picture(Image.fromarray(np.ascontiguousarray(array)), name)
    if array.dtype.kind != "f":
        raise ImageError(
            f"{name}: array of {array.dtype}, expected uint8 (0 to 255) or floats (0 to 1): convert it, such as with "
            'array.astype("uint8")'
        )
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(f"{name}: array with NaN or infinite values, expected floats from 0 to 1: replace them first")
    if low < 0 or high > 1:
        raise ImageError(
            f"{name}: array of floats from {low:g} to {high:g}, expected 0 to 1: divide by the largest value there can "
            "be, or give uint8"
        )
    return grey_of_channels(array.astype(np.float64))


def grey_of_channels(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[H, W]`, or `[H, W, 2 to 4]` (grey and alpha, RGB, RGBA) → `[H, W]`; transparent parts are white."""
    if array.ndim == 2:
        return array
    opaque = array.shape[2] == 3
    colours = array if opaque else array[:, :, :-1]
    # Luma by ITU-R 601, as Pillow computes it.
    grey: NDArray[np.float64] = colours[:, :, 0] if colours.shape[2] == 1 else colours @ np.array([0.299, 0.587, 0.114])
    return grey if opaque else 1 - array[:, :, -1] * (1 - grey)


def check_size(height: int, width: int, name: str) -> None:
    if min(height, width) < SMALLEST_SIDE:
        raise ImageError(
            f"{name}: {width}×{height} pixels, expected at least {SMALLEST_SIDE} on each side: use a larger picture"
        )
    if height * width > MOST_PIXELS:
        raise too_large(name)


def too_large(name: str) -> ImageError:
    millions = MOST_PIXELS // 10**6
    return ImageError(f"{name}: too large, expected at most {millions} million pixels: crop it or scale it down")


def corrupt(name: str) -> ImageError:
    return ImageError(f"{name}: corrupt or cut short, expected a whole picture: copy or save it again")


# Normalising: levels → image.


def reduced(levels: NDArray[Any]) -> NDArray[Any]:
    """`levels` averaged over squares of pixels until the longer side is at most `WORKING_SIDE`."""
    factor = min(-(-max(levels.shape) // WORKING_SIDE), *levels.shape)
    if factor == 1:
        return levels
    if levels.dtype != np.uint8:
        levels = unit_scale(levels).astype(np.float32)
    return np.asarray(Image.fromarray(levels).reduce(factor))


def unit_scale(levels: NDArray[Any]) -> NDArray[np.float64]:
    """Levels of any type as floats in [0, 1]."""
    white = np.iinfo(levels.dtype).max if levels.dtype.kind == "u" else 1
    return levels.astype(np.float64) / white


def normalised(grey: NDArray[np.float64], name: str) -> NDArray[np.float32]:
    """Grey `[H, W]` in [0, 1], of either polarity → image `[28, 28]`."""
    border = border_of(grey)
    if ink_is_dark(grey, float(np.median(border))):
        grey, border = 1 - grey, 1 - border
    if is_image(grey):
        return grey.astype(np.float32)
    ground = float(np.median(border))
    noise = 4 * float(np.median(np.abs(border - ground)))
    ink = (grey - ground - noise).clip(0)
    blank = ImageError(f"{name}: blank, expected a digit on it: draw one, dark on light or light on dark")
    if ink.max() < LEAST_CONTRAST:
        raise blank
    ink = stretched(ink)
    top, bottom, left, right = bounding_box(ink)
    if max(bottom - top, right - left) < SMALLEST_DIGIT:
        raise blank
    return centred(fitted(ink[top:bottom, left:right]))


def border_of(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """The pixels of a frame along the edge, wide enough to outvote a line along it."""
    wide = max(1, min(grey.shape) // 25)
    inner = np.zeros(grey.shape, bool)
    inner[wide:-wide, wide:-wide] = True
    return grey[~inner]


def ink_is_dark(grey: NDArray[np.float64], ground: float) -> bool:
    """Whether what differs from the ground is darker. By third powers: noise cancels, a few pixels of ink count."""
    return float(((grey - ground) ** 3).sum()) < 0


def is_image(grey: NDArray[np.float64]) -> bool:
    """Whether light-on-dark `grey` follows MNIST's convention already."""
    if grey.shape != (SIDE, SIDE) or np.median(border_of(grey)) > 0 or grey.max() < 0.9:
        return False
    rows, columns = np.flatnonzero(grey.any(1)), np.flatnonzero(grey.any(0))
    longer = 1 + max(np.ptp(rows), np.ptp(columns))
    return bool(BOX - 2 <= longer <= BOX) and max(abs(middle - MIDDLE) for middle in centre_of_mass(grey)) < 1


def is_small(array: NDArray[Any]) -> bool:
    return array.dtype == np.uint8 and array.shape == (SIDE, SIDE)


def are_images(stack: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """`is_image` for each of `[N, 28, 28]` levels, on a dark ground: what is not on one is no image either."""
    dark = (stack.reshape(len(stack), -1)[:, EDGE] == 0).sum(1) > len(EDGE) // 2
    bright: NDArray[np.bool_] = stack.max((1, 2)) >= 0.9 * 255
    good: NDArray[np.bool_] = dark & bright
    places = np.arange(SIDE)
    for mass in (stack.sum(2, dtype=np.int64), stack.sum(1, dtype=np.int64)):  # [N, 28]: by row, by column
        middle = mass @ places / np.maximum(mass.sum(1), 1)
        good &= abs(middle - MIDDLE) < 1
    inked = stack > 0
    longer = np.maximum(extent(inked, 1), extent(inked, 2))
    good &= (longer >= BOX - 2) & (longer <= BOX)
    return good


def extent(inked: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    """For each of `[N, 28, 28]`, from the first line with ink to the last, both counted; the lines run along `axis`."""
    lines: NDArray[np.bool_] = np.any(inked, axis)
    behind: NDArray[np.intp] = lines.argmax(1) + lines[:, ::-1].argmax(1)
    return SIDE - behind


def stretched(ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ink with its darkest tenth at 1; a tenth of what is above half the maximum, so that no single pixel decides."""
    peak = float(np.quantile(ink[ink > ink.max() / 2], 0.9))
    return (ink / peak).clip(0, 1)


def bounding_box(ink: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right (bottom and right excluded) of the ink, without dust."""
    ink = np.where(ink >= INK_THRESHOLD, ink, 0)
    return *span(ink.sum(1)), *span(ink.sum(0))


def span(mass: NDArray[np.float64]) -> tuple[int, int]:
    """From the first stretch of ink to the end of the last, leaving out stretches that hold next to none of it."""
    changes = np.flatnonzero(np.diff(mass > 0, prepend=False, append=False))
    stretches = changes.reshape(-1, 2)  # [stretches, 2]: where each begins and ends
    total = np.concatenate([[0.0], mass.cumsum()])
    held = total[stretches[:, 1]] - total[stretches[:, 0]]
    kept = stretches[held >= min(DUST * total[-1], held.max())]
    return int(kept[0, 0]), int(kept[-1, 1])


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
        ink = sliding_window_view(ink, 2 * radius + 1, axis).max(-1)
    return ink


def scaled(ink: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Resampled so that the longer side has `side` pixels: by area where it shrinks, bilinearly where it grows."""
    height, width = ink.shape
    factor = side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(ink.astype(np.float32)).resize(size, how), np.float64)


def stroke_width(ink: NDArray[np.float64]) -> float:
    """The mean width of the strokes in pixels: a stroke has two edges, so twice its area over the pixels on them."""
    solid = np.pad(ink >= 0.5, 1)
    inside = solid[1:-1, 1:-1] & solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    area = int(solid.sum())
    return 2 * area / max(1, area - int(inside.sum()))


def centred(ink: NDArray[np.float64]) -> NDArray[np.float32]:
    """Ink of at most 20×20 in the 28×28 image, its centre of mass at row and column 14."""
    image = np.zeros((SIDE, SIDE), np.float32)
    height, width = ink.shape
    down, right = (round(MIDDLE - middle) for middle in centre_of_mass(ink))
    down, right = min(max(down, 0), SIDE - height), min(max(right, 0), SIDE - width)
    image[down : down + height, right : right + width] = ink
    return image


def centre_of_mass(ink: NDArray[np.float64]) -> tuple[float, float]:
    """Row and column of the centre of mass, counted from the middle of the first pixel."""
    mass = ink.sum()
    rows, columns = ink.sum(1) @ np.arange(ink.shape[0]), ink.sum(0) @ np.arange(ink.shape[1])
    return float(rows / mass), float(columns / mass)

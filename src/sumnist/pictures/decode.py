"""Any picture → its grey levels: a file that Pillow opens (HEIC with an extra), its bytes, a PIL image, an array.

A large picture is reduced while it is read, a strip at a time, so that neither it nor a copy of it in another form is
ever in memory twice; a JPEG file is decoded at the reduced size in the first place. Needs numpy and Pillow, no torch.
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sumnist.errors import FormatError, ImageError, MissingExtraError, SizeError, SumnistError

__all__ = ["Grey", "Levels", "Picture", "levels_of", "name_of", "shrunk"]

Picture = str | os.PathLike[str] | bytes | bytearray | Image.Image | NDArray[Any]
"""A path, the bytes of a file, a PIL image, or an array of uint8 or of floats in [0, 1], any channels last."""
Grey = NDArray[np.float32]

SMALLEST_SIDE = 8
MOST_PIXELS = 64_000_000
COPYING = "WEBP", "AVIF", "HEIF", "JPEG2000"
MOST_COPIED = 16_000_000
"""The most pixels of a file of these formats, whose decoders hold a picture several times over."""
WORKING_SIDE = 1024
"""Larger pictures are reduced until their longer side has at most this many pixels."""
STRIP = 1_000_000
"""Pixels that are brought into another form at once."""
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
"""What the first bytes of a HEIC file may call it."""
ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""

DECODING = threading.Lock()
"""Decoders warn, and silencing a warning changes state that all threads share, so one thread decodes at a time."""


@dataclass(frozen=True)
class Levels:
    """The brightness of a picture, upright: `grey` float32 `[H, W]` in [0, 1]; `reduction`: pixels of the picture that
    went into the side of one of these, 1 for most."""

    grey: Grey
    reduction: float = 1.0


def levels_of(picture: Picture, name: str | None = None) -> Levels:
    """The levels of `picture`; `name` is what messages call one that has no path. Raises `ImageError` for what cannot
    be read, `MissingExtraError` for HEIC without its library."""
    name = name_of(picture, name)
    if isinstance(picture, str | os.PathLike):
        return read_file(name)
    if isinstance(picture, bytes | bytearray):
        return read_stream(BytesIO(picture), name)
    if isinstance(picture, Image.Image):
        return read_picture(picture, name)
    if isinstance(picture, np.ndarray):
        return read_array(picture, name)
    raise ImageError(f"{name}: {type(picture).__name__}, expected a path, bytes, a PIL image or a numpy array")


def name_of(picture: Picture, name: str | None = None) -> str:
    """What messages call `picture`: its path, else `name`, else "picture"."""
    if isinstance(picture, str | os.PathLike):
        return os.fsdecode(picture)
    return name or str(getattr(picture, "filename", "") or "picture")


# Files.


def read_file(name: str) -> Levels:
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


def read_stream(stream: BinaryIO, name: str) -> Levels:
    start = stream.read(12)
    if not start:
        raise ImageError(f"{name}: empty, expected a picture: copy or save it again")
    stream.seek(0)
    with DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return open_stream(stream, name)
        except UnidentifiedImageError as error:
            if start[4:8] == b"ftyp" and start[8:] in HEIC_BRANDS and learn_heic(name):
                return open_again(stream, name)
            raise not_a_picture(name) from error


def open_stream(stream: BinaryIO, name: str) -> Levels:
    try:
        with Image.open(stream) as picture:
            if picture.format == "EPS":  # a program, which Pillow would have another program run
                raise not_a_picture(name)
            return decoded(picture, name)
    except (UnidentifiedImageError, SumnistError):
        raise
    except Image.DecompressionBombError as error:
        raise too_large(name) from error
    except Exception as error:  # decoders raise anything at all, from IndexError to struct.error
        raise corrupt(name) from error


def open_again(stream: BinaryIO, name: str) -> Levels:
    """What `open_stream` gives now that another format is known."""
    stream.seek(0)
    try:
        return open_stream(stream, name)
    except UnidentifiedImageError as error:
        raise corrupt(name) from error


def learn_heic(name: str) -> bool:
    """Teach Pillow to open HEIC files. Raises `MissingExtraError` without the library that does."""
    try:
        import_module("pillow_heif").register_heif_opener()
    except ModuleNotFoundError as error:
        raise MissingExtraError("pillow-heif", "heic", f"{name} is a HEIC picture; reading it") from error
    return True


def read_picture(picture: Image.Image, name: str) -> Levels:
    with DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return decoded(picture, name)
        except ImageError:
            raise
        except Exception as error:  # its file may be read only now: see open_stream
            raise corrupt(name) from error


# Decoding.


def decoded(picture: Image.Image, name: str) -> Levels:
    """The levels of an opened picture, turned upright; transparent parts are white."""
    most = MOST_COPIED if picture.format in COPYING else MOST_PIXELS
    check_size(picture.height, picture.width, name, most)
    longer = max(picture.size)
    factor = reduction(picture.height, picture.width)
    if factor > 1 and picture.format == "JPEG":
        picture.draft("L" if picture.mode == "RGB" else None, (picture.width // factor, picture.height // factor))
    picture.load()
    check_size(picture.height, picture.width, name, most)  # some formats know their size only now
    drafted = max(picture.size) < longer
    factor = reduction(picture.height, picture.width)
    extremes: list[float] = []
    parts = [shrunk(levels_in(strip, extremes), factor) for strip in strips(picture, factor)]
    levels = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if picture.mode in ("I", "F"):
        levels = levels_without_scale(levels, min(extremes[::2]), max(extremes[1::2]), name)
    grey = turned(unit_scale(levels), orientation(picture))
    return Levels(grey, longer / max(grey.shape) if drafted else float(factor))


def reduction(height: int, width: int) -> int:
    """The whole number of pixels by which a side is divided."""
    return max(1, min(-(-max(height, width) // WORKING_SIDE), height, width))


def strips(picture: Image.Image, factor: int) -> Iterator[Image.Image]:
    """`picture` in strips from the top down, each a multiple of `factor` high but the last."""
    if factor == 1:
        yield picture
        return
    high = max(1, STRIP // (picture.width * factor)) * factor
    for top in range(0, picture.height, high):
        yield picture.crop((0, top, picture.width, min(top + high, picture.height)))


def levels_in(picture: Image.Image, extremes: list[float]) -> NDArray[Any]:
    """uint8 or uint16 `[H, W]`; float32 for the modes whose white is unknown, of which `extremes` gets the lowest and
    the highest value."""
    if picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.uint16)
    if picture.mode in ("I", "F"):
        values = np.asarray(picture, np.float64)
        extremes += [float(values.min()), float(values.max())]
        return values
    if picture.mode == "LAB":
        return np.asarray(picture.getchannel("L"))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.asarray(picture.convert("L"))


def shrunk(levels: NDArray[Any], factor: int) -> NDArray[Any]:
    """`levels` averaged over squares of `factor` × `factor` pixels."""
    if factor == 1:
        return levels
    if levels.dtype != np.uint8:
        levels = (unit_scale(levels) if levels.dtype.kind == "u" else levels).astype(np.float32)
    return np.asarray(Image.fromarray(levels).reduce(factor))


def unit_scale(levels: NDArray[Any]) -> Grey:
    """Levels of any type as floats in [0, 1]."""
    if levels.dtype.kind == "f":
        return levels.astype(np.float32)
    grey: Grey = np.divide(levels, np.iinfo(levels.dtype).max, dtype=np.float32)
    return grey


def orientation(picture: Image.Image) -> int:
    """How the camera was held, 1 (upright) to 8, as EXIF counts; 1 if nothing that can be read says so."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # a broken note about the picture does not make the picture broken
        return 1


def turned(grey: Grey, orientation: int) -> Grey:
    """`grey` upright, from the orientation in which it was stored."""
    if orientation in (5, 6, 7, 8):
        grey = grey.T
    if orientation in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    if orientation in (3, 4, 7, 8):
        grey = grey[::-1]
    return np.ascontiguousarray(grey)


def levels_without_scale(values: NDArray[Any], low: float, high: float, name: str) -> NDArray[Any]:
    """32-bit values do not say which of them is white: the nearest usual one that none exceeds."""
    if not (low >= 0 and np.isfinite(high)):
        raise ImageError(f"{name}: values from {low:g} to {high:g}, expected finite ones from 0: save it as 8-bit PNG")
    white = next((white for white in (1, 255, 65535) if high <= white), high)
    return values / white


# Arrays.


def read_array(array: NDArray[Any], name: str) -> Levels:
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
    factor = reduction(array.shape[0], array.shape[1])
    return Levels(unit_scale(shrunk(grey_of_channels(array.astype(np.float64)), factor)), factor)


def grey_of_channels(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[H, W]`, or `[H, W, 2 to 4]` (grey and alpha, RGB, RGBA) → `[H, W]`; transparent parts are white."""
    if array.ndim == 2:
        return array
    opaque = array.shape[2] == 3
    colours = array if opaque else array[:, :, :-1]
    # Luma by ITU-R 601, as Pillow computes it.
    grey: NDArray[np.float64] = colours[:, :, 0] if colours.shape[2] == 1 else colours @ np.array([0.299, 0.587, 0.114])
    return grey if opaque else 1 - array[:, :, -1] * (1 - grey)


# Errors.


def check_size(height: int, width: int, name: str, most: int = MOST_PIXELS) -> None:
    if min(height, width) < SMALLEST_SIDE:
        raise ImageError(
            f"{name}: {width}×{height} pixels, expected at least {SMALLEST_SIDE} on each side: use a larger picture"
        )
    if height * width > most:
        raise too_large(name, most)


def too_large(name: str, most: int = MOST_PIXELS) -> SizeError:
    return SizeError(f"{name}: too large, expected at most {most // 10**6} million pixels: crop it or scale it down")


def corrupt(name: str) -> ImageError:
    return ImageError(f"{name}: corrupt or cut short, expected a whole picture: copy or save it again")


def not_a_picture(name: str) -> FormatError:
    return FormatError(f"{name}: not a picture, expected PNG, JPEG or another format that Pillow opens: save it as PNG")

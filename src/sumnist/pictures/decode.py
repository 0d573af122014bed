"""Turns any picture into grey intensities: a file that Pillow opens (HEIC with an extra), its bytes, a PIL image or an
array.

A large picture is reduced strip by strip while it is read, so memory never holds a second full copy of it, converted or
not. A JPEG file is decoded at the reduced size in the first place. The module needs NumPy and Pillow, no torch.
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sumnist.errors import FormatError, ImageError, MissingExtraError, SizeError, SumnistError

Decoded = TypeVar("Decoded")
Decoder = Callable[[Image.Image, str], Decoded]
"""A function of an opened picture and its name."""

Picture = str | os.PathLike[str] | bytes | bytearray | Image.Image | NDArray[Any]
"""A path, the bytes of a file, a PIL image, or an array of uint8 or of floats in [0, 1], with any channels last."""
Grey = NDArray[np.float32]
"""Intensities `[H, W]` in [0, 1], black to white."""


@dataclass(frozen=True)
class Limits:
    """The limits of pictures, in pixels."""

    smallest_side: int = 8
    """The least longer side of a picture."""
    most_slender: int = 50
    """A page is at most this many times as long as wide. Of narrower ones, the libraries that look at pages crash, or
    take minutes."""
    most_pixels: int = 64_000_000
    """The most pixels of a picture. docs/results/hostile.jsonl says how much memory so many pixels take."""
    most_copied: int = 16_000_000
    """The most pixels of a file in a format of `COPYING`."""
    working_side: int = 1024
    """Larger pictures are reduced until their longer side has at most this many pixels."""
    strip: int = 1 << 20
    """How many pixels are converted at once. A picture that is not reduced is converted whole."""


LIMITS = Limits()


COPYING = "WEBP", "AVIF", "HEIF", "JPEG2000"
USUAL_WHITES = 1, 255, 65535
"""Values that may mean white in a picture of 32-bit values: such a picture does not say which value is white."""
COLOURED = {"RGB", "P", "CMYK", "YCbCr", "HSV"}
"""Modes that Pillow converts to RGB without loss of brightness."""
LUMA = 0.299, 0.587, 0.114
"""Weights of red, green and blue by ITU-R 601, as in Pillow."""
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
"""Brands in the first bytes of a HEIC file."""
ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""
SUBFILE_TYPE, REDUCED_COPY = 254, 1
"""The TIFF tag that says what a frame is, and its bit for a smaller copy of another frame."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""How to turn a picture upright, by the value of that tag."""

DECODING = threading.RLock()
"""One thread decodes at a time: decoders warn, and silencing a warning changes state that all threads share."""
if hasattr(os, "register_at_fork"):  # fork between two pictures: in the child, no thread could release the lock
    os.register_at_fork(before=DECODING.acquire, after_in_parent=DECODING.release, after_in_child=DECODING.release)


@dataclass(frozen=True)
class Intensities:
    """The brightness of a picture, upright.

    Attributes:
        grey: float32 `[H, W]` in [0, 1].
        reduction: How many pixels of the picture, in a row, became one pixel of `grey`; 1 for most pictures.
    """

    grey: Grey
    reduction: float = 1.0


def intensities_of(picture: Picture, name: str | None = None) -> Intensities:
    """The intensities of a picture, upright, with at most 1,024 pixels on the longer side.

    Args:
        picture: A path, the bytes of a file, a PIL image, or an array `[H, W]` or `[H, W, 1 to 4]` of uint8 or of
            floats in [0, 1].
        name: The name of the picture in messages, if it has no path.

    Returns:
        Float32 `[H, W]` in [0, 1], black to white, and the factor by which the picture was reduced. Transparent parts
        are white.

    Raises:
        ImageError: The picture cannot be read. It is a `FormatError` if it is no picture, and a `SizeError` if it is
            too large for the limits or for the available memory.
        MissingExtraError: The picture is a HEIC file, and the library for HEIC is not installed.
    """
    return read(picture, name, decoded)


def pixels_of(picture: Picture, name: str | None = None) -> NDArray[np.uint8]:
    """All pixels of a picture, upright: uint8 `[H, W]`, black to white. Arguments and errors as for
    `intensities_of`."""
    return read(picture, name, pixels)


def colours_of(picture: Picture, name: str | None = None) -> Image.Image:
    """All pixels of a picture, upright, in colour: an RGB picture. Arguments and errors as for `pixels_of`."""
    return read(picture, name, colours)


def size_of(picture: Picture, name: str | None = None) -> tuple[int, int]:
    """The width and height of a picture, upright, from the head of its file. Arguments and errors as for
    `pixels_of`."""
    return read(picture, name, size)


def read(picture: Picture, name: str | None, decode: Decoder[Decoded]) -> Decoded:
    """Open a picture and return the result of `decode`. Raises `ImageError`."""
    name = name_of(picture, name)
    try:
        return read_any(picture, name, decode)
    except MemoryError as error:
        raise SizeError(
            f"{name}: needs more memory than there is, expected a smaller picture: crop it or scale it down"
        ) from error


def name_of(picture: Picture, name: str | None = None) -> str:
    """The name of a picture in messages: its path; else `name`; else the file of a PIL image."""
    if isinstance(picture, str | os.PathLike):
        return os.fsdecode(picture)
    return name or str(getattr(picture, "filename", "") or "picture")


def read_any(picture: Picture, name: str, decode: Decoder[Decoded]) -> Decoded:
    """As `read`, but raises `MemoryError` if memory runs out."""
    if isinstance(picture, str | os.PathLike):
        with plain_file(name) as stream:
            return read_stream(stream, name, decode)
    if isinstance(picture, bytes | bytearray):
        return read_stream(BytesIO(picture), name, decode)
    if isinstance(picture, np.ndarray):
        picture = picture_of_array(picture, name)
    if isinstance(picture, Image.Image):
        with decoding(name):  # Pillow may read the file only now
            return decode(picture, name)
    raise ImageError(f"{name}: {type(picture).__name__}, expected a path, bytes, a PIL image or a numpy array")


# Files.


@contextmanager
def plain_file(name: str) -> Iterator[BinaryIO]:
    """The file of a picture, open for reading. Raises `ImageError` if it does not exist or is not a plain file."""
    try:
        kind = os.stat(name).st_mode
        if stat.S_ISDIR(kind):
            raise ImageError(f"{name}: is a folder, expected a picture: name a file in it")
        if not stat.S_ISREG(kind):
            raise ImageError(f"{name}: not a plain file, expected a picture: copy it to a file first")
        with Path(name).open("rb") as stream:
            yield stream
    except FileNotFoundError as error:
        raise ImageError(f"{name}: does not exist, expected a picture: check the name") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImageError(
            f"{name}: cannot be read ({reason}), expected a picture: check its name and permissions"
        ) from error
    except ValueError as error:  # no file can have this name, such as one with a zero byte
        raise ImageError(f"{name!r}: not a file name, expected the path of a picture: check the name") from error


def read_stream(stream: BinaryIO, name: str, decode: Decoder[Decoded]) -> Decoded:
    """As `read`, for the content of a file."""
    start = stream.read(12)
    if not start:
        raise ImageError(f"{name}: empty, expected a picture: copy or save it again")
    with decoding(name):
        try:
            return opened(stream, name, decode)
        except UnidentifiedImageError as error:
            if start[4:8] != b"ftyp" or start[8:] not in HEIC_BRANDS:
                raise FormatError(
                    f"{name}: not a picture, expected PNG, JPEG or another format that Pillow opens: save it as PNG"
                ) from error
        learn_heic(name)
        return opened(stream, name, decode)


def opened(stream: BinaryIO, name: str, decode: Decoder[Decoded]) -> Decoded:
    """The result of `decode` for the picture in `stream`, which may have any format that Pillow can open by now."""
    stream.seek(0)
    with Image.open(stream) as picture:
        if picture.format == "EPS":
            raise UnidentifiedImageError("a program, which Pillow would have another program run")
        if picture.format == "TIFF" and (pages := len(tiff_pages(picture))) > 1:
            raise ImageError(
                f"{name}: has {pages} pages, expected a single picture: save each page as a file of its own"
            )
        return decode(picture, name)


def tiff_pages(picture: Image.Image) -> list[int]:
    """The frames of an opened TIFF file that are pages: all but those that are small copies of another frame. The first
    frame is opened again at the end."""
    frames = list[int]()
    for frame in range(getattr(picture, "n_frames", 1)):
        picture.seek(frame)
        if not int(picture.tag_v2.get(SUBFILE_TYPE, 0)) & REDUCED_COPY:  # type: ignore[attr-defined]
            frames.append(frame)
    picture.seek(0)
    return frames or [0]


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Let one thread at a time decode, without warnings. Any error of a decoder becomes an `ImageError`, except a lack
    of memory."""
    with DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (SumnistError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise too_large(name) from error
        except Exception as error:  # decoders may raise anything, from IndexError to struct.error
            if "out of memory" in str(error):  # the words of Pillow's own decoders
                raise MemoryError from error
            raise ImageError(
                f"{name}: corrupt or cut short, expected a whole picture: copy or save it again"
            ) from error


def learn_heic(name: str) -> None:
    """Teach Pillow to open HEIC files. Raises `MissingExtraError` if the library for HEIC is not installed."""
    try:
        import_module("pillow_heif").register_heif_opener()
    except ModuleNotFoundError as error:
        raise MissingExtraError("pillow-heif", "heic", f"{name} is a HEIC picture; reading it") from error


# Decoding.


def decoded(picture: Image.Image, name: str) -> Intensities:
    """The intensities of an opened picture, turned upright; transparent parts are white."""
    longer = max(picture.size)
    load(picture, name, reduction(picture))
    drafted = max(picture.size) < longer
    factor = reduction(picture)
    parts = [reduced(values_of(strip), factor) for strip in strips(picture, factor)]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if picture.mode in ("I", "F"):
        values = values / white_of(picture, factor, name)
    if values.dtype == np.uint8:
        values = np.divide(values, 255, dtype=np.float32)
    upright = values.astype(np.float32, copy=False)
    if orientation_of(picture) in UPRIGHT:
        upright = np.asarray(turned(Image.fromarray(upright), picture))
    return Intensities(upright, longer / max(upright.shape) if drafted else float(factor))


def pixels(picture: Image.Image, name: str) -> NDArray[np.uint8]:
    """All pixels of an opened picture, uint8 `[H, W]`, turned upright; transparent parts are white."""
    check_shape(picture.size, name)
    load(picture, name, 1)
    if picture.mode == "L" and not picture.has_transparency_data:
        return np.asarray(turned(picture, picture))
    white = white_of(picture, 1, name) if picture.mode in ("I", "F") else 1.0
    grey, top = Image.new("L", picture.size), 0
    for strip in strips(picture, 1):
        values = values_of(strip)
        if values.dtype != np.uint8:
            values = (values * (255 / white) + 0.5).astype(np.uint8)
        grey.paste(Image.fromarray(values), (0, top))
        top += strip.height
    return np.asarray(turned(grey, picture))


def colours(picture: Image.Image, name: str) -> Image.Image:
    """All pixels of an opened picture in RGB, turned upright; transparent parts are white."""
    load(picture, name, 1, grey=False)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return turned(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"), picture)
    if picture.mode in COLOURED:
        return turned(picture.convert("RGB"), picture)
    return Image.fromarray(pixels(picture, name)).convert("RGB")


def size(picture: Image.Image, name: str) -> tuple[int, int]:
    """Width and height of an opened picture, turned upright."""
    del name
    wide, high = picture.size
    return (high, wide) if orientation_of(picture) in range(5, 9) else (wide, high)  # pictures that lie on a side


def load(picture: Image.Image, name: str, factor: int, grey: bool = True) -> None:
    """Decode an opened picture. A JPEG file is reduced by up to `factor`, and decoded in grey if `grey`. Raises
    `ImageError`."""
    most = LIMITS.most_copied if picture.format in COPYING else LIMITS.most_pixels
    check_size(picture.height, picture.width, name, most)
    if picture.format == "JPEG":
        mode = "L" if grey and picture.mode == "RGB" else None
        picture.draft(mode, (picture.width // factor, picture.height // factor))
    picture.load()
    check_size(picture.height, picture.width, name, most)  # the size in some formats is known only now


def reduction(picture: Image.Image) -> int:
    """The whole number by which to divide the sides of a picture."""
    return max(1, min(-(-max(picture.size) // LIMITS.working_side), *picture.size))


def strips(picture: Image.Image, factor: int) -> Iterator[Image.Image]:
    """`picture` in strips from the top down; the height of each but the last is a multiple of `factor`."""
    high = max(1, LIMITS.strip // (picture.width * factor)) * factor
    if high >= picture.height:
        yield picture
        return
    for top in range(0, picture.height, high):
        yield picture.crop((0, top, picture.width, min(top + high, picture.height)))


def values_of(picture: Image.Image) -> NDArray[Any]:
    """The grey values of a picture `[H, W]`: uint8; floats in [0, 1] for 16-bit pictures; float64 for 32-bit pictures,
    in which the value of white is unknown."""
    if picture.mode.startswith("I;16"):
        return np.divide(np.asarray(picture).astype(np.uint16), 65535, dtype=np.float32)
    if picture.mode in ("I", "F"):
        return np.asarray(picture, np.float64)
    if picture.mode == "LAB":
        return np.asarray(picture.getchannel("L"))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.asarray(picture.convert("L"))


def white_of(picture: Image.Image, factor: int, name: str) -> float:
    """The value of white in a picture of 32-bit values: the least usual one that no value exceeds."""
    extremes = [(values.min(), values.max()) for values in map(values_of, strips(picture, factor))]
    low, high = float(np.min(extremes)), float(np.max(extremes))
    if not (low >= 0 and np.isfinite(high)):
        raise ImageError(f"{name}: values from {low:g} to {high:g}, expected finite ones from 0: save it as 8-bit PNG")
    return next((white for white in USUAL_WHITES if high <= white), high)


def reduced(values: NDArray[Any], factor: int) -> NDArray[Any]:
    """`values` averaged over squares of `factor` × `factor` pixels."""
    if factor == 1:
        return values
    if values.dtype != np.uint8:
        values = values.astype(np.float32)
    return np.asarray(Image.fromarray(values).reduce(factor))


def turned(made: Image.Image, picture: Image.Image) -> Image.Image:
    """Turn `made`, which was made from a picture, upright, by the orientation in which the picture is stored."""
    orientation = orientation_of(picture)
    return made.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else made


def orientation_of(picture: Image.Image) -> int:
    """The orientation in which a picture is stored, by its EXIF tag; 1, upright, if it has no tag that can be read."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # a broken tag does not make the picture broken
        return 1


# Arrays.


def picture_of_array(array: NDArray[Any], name: str) -> Image.Image:
    """`array` as a PIL image: uint8 keeps its channels, floats become grey."""
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
        return Image.fromarray(np.ascontiguousarray(array))
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
    return Image.fromarray(grey_of_channels(array.astype(np.float64)).astype(np.float32))


def grey_of_channels(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Channels to grey: `[H, W]`, or `[H, W, 2 to 4]` (grey and alpha, RGB, RGBA) → `[H, W]`; transparent parts are
    white."""
    if array.ndim == 2:
        return array
    opaque = array.shape[2] == 3
    colours = array if opaque else array[:, :, :-1]
    grey: NDArray[np.float64] = colours[:, :, 0] if colours.shape[2] == 1 else colours @ np.array(LUMA)
    return grey if opaque else 1 - array[:, :, -1] * (1 - grey)


# Errors.


def check_size(height: int, width: int, name: str, most: int = LIMITS.most_pixels) -> None:
    """Raise `ImageError` for a picture that is too small, and `SizeError` for one of more pixels than `most`."""
    if max(height, width) < LIMITS.smallest_side or min(height, width) == 0:
        raise ImageError(
            f"{name}: {width}×{height} pixels, expected at least {LIMITS.smallest_side} on the longer side: use a "
            "larger picture"
        )
    if height * width > most:
        raise too_large(name, most)


def check_shape(size: tuple[int, int], name: str) -> None:
    """Raise `SizeError` for a picture that is too narrow for a page."""
    shorter, longer = sorted(size)
    if shorter < LIMITS.smallest_side or longer > LIMITS.most_slender * shorter:
        raise SizeError(
            f"{name}: {size[0]:,}×{size[1]:,} pixels, expected sides of at least {LIMITS.smallest_side}, one of them "
            f"at most {LIMITS.most_slender} times the other: crop it"
        )


def too_large(name: str, most: int = LIMITS.most_pixels) -> SizeError:
    """The error for a picture of more pixels than `most`."""
    return SizeError(f"{name}: too large, expected at most {most // 10**6} million pixels: crop it or scale it down")

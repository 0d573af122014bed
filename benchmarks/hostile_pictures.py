"""Picture files that were damaged on purpose, for `serving.py hostile`.

Sound files of many formats are cut, have bits flipped, bytes overwritten, parts doubled, or a header that promises
another size; some files are bombs: small, and huge when decoded.
"""

from __future__ import annotations

import multiprocessing
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

BOMB_EVERY = 100
"""One file in so many is a bomb."""

Random = np.random.Generator


def drawing(mode: str, side: int) -> Image.Image:
    """A seven in pen on paper, in the colours of `mode`."""
    picture = Image.new("RGB", (side, side * 3 // 4), "ivory")
    strokes = [(0.2 * side, 0.15 * side), (0.6 * side, 0.15 * side), (0.4 * side, 0.6 * side)]
    ImageDraw.Draw(picture).line(strokes, fill="navy", width=side // 12)
    return picture.convert(mode)


def sound_files() -> list[tuple[str, bytes]]:
    """Files that nothing is wrong with, by format."""
    cases: list[tuple[str, str, dict[str, Any]]] = [
        *[("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
        *[("JPEG", mode, {"exif": orientation()}) for mode in ("L", "RGB", "CMYK")],
        ("JPEG", "RGB", {"progressive": True}), ("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}),
        ("GIF", "P", {}), ("BMP", "L", {}), ("BMP", "RGB", {}), ("TIFF", "L", {}), ("PPM", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "1", {"compression": "group4"}), ("TGA", "RGB", {}),
        ("PCX", "L", {}), ("ICO", "RGBA", {}), ("JPEG2000", "RGB", {}), ("AVIF", "RGB", {}),
    ]  # fmt: skip
    files = []
    for kind, mode, options in cases:
        for side in (40, 200):
            stream = BytesIO()
            picture = drawing("L" if mode == "I;16" else mode, side)
            if mode == "I;16":
                picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
            try:
                picture.save(stream, kind, **options)
            except (OSError, KeyError):  # this Pillow does not write it
                continue
            files.append((kind, stream.getvalue()))
    return files


def orientation() -> Image.Exif:
    """A note that the camera was held on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def cut(data: bytearray, random: Random) -> bytes:
    """The beginning of it."""
    return bytes(data[: random.integers(len(data))])


def flipped(data: bytearray, random: Random) -> bytes:
    """With up to 40 bits turned over."""
    for place in random.integers(len(data), size=random.integers(1, 41)):
        data[place] ^= 1 << int(random.integers(8))
    return bytes(data)


def flipped_early(data: bytearray, random: Random) -> bytes:
    """With some of the first 64 bytes replaced: the headers."""
    for place in random.integers(min(64, len(data)), size=random.integers(1, 5)):
        data[place] = int(random.integers(256))
    return bytes(data)


def overwritten(data: bytearray, random: Random) -> bytes:
    """With a stretch of it replaced by random bytes."""
    start = int(random.integers(len(data)))
    length = int(random.integers(1, 200))
    data[start : start + length] = random.bytes(length)
    return bytes(data)


def doubled(data: bytearray, random: Random) -> bytes:
    """With a stretch of it put in again somewhere else."""
    start, place = map(int, random.integers(len(data), size=2))
    return bytes(data[:place] + data[start : start + int(random.integers(1, 500))] + data[place:])


def resized(data: bytearray, random: Random) -> bytes:
    """With another size in the header of a PNG, whose checksum is right again, or in the first marker of a JPEG."""
    size = b"".join(int(side).to_bytes(4, "big") for side in 2 ** random.uniform(0, 18, 2))
    if data[:4] == b"\x89PNG":
        data[16:24] = size
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    elif data[:2] == b"\xff\xd8" and (place := max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))) > 0:
        data[place + 5 : place + 9] = random.bytes(4)
    elif data[:2] == b"BM":
        data[18:26] = b"".join(int(side).to_bytes(4, "little") for side in 2 ** random.uniform(0, 15, 2))
    elif data[:3] == b"GIF":
        data[6:10] = random.bytes(4)
    else:
        return flipped_early(data, random)
    return bytes(data)


WAYS: tuple[Callable[[bytearray, Random], bytes], ...] = (cut, flipped, flipped_early, overwritten, doubled, resized)


def bomb(random: Random) -> bytes:
    """A small file of a large picture: all of one colour, of any mode, up to the pixels that are allowed and beyond."""
    side = int(random.integers(4_000, 9_500))
    kind, mode = [("PNG", "1"), ("PNG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("GIF", "P"),
                  ("JPEG", "RGB"), ("TIFF", "1"), ("WEBP", "RGB")][random.integers(9)]  # fmt: skip
    side = min(side, 7_900) if mode.startswith("RGB") else side
    stream = BytesIO()
    Image.new(mode, (min(side, 16_383), side)).save(
        stream, kind, **({"compression": "group4"} if kind == "TIFF" else {})
    )
    return stream.getvalue()


def hostile(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` files, each with the name of what was done to it; file i is the same whatever the count."""
    sound = sound_files()
    for place in range(count):
        random = np.random.default_rng([seed, place])
        if place % BOMB_EVERY == BOMB_EVERY - 1:
            yield "bomb", BOMBS[place // BOMB_EVERY % len(BOMBS)]
            continue
        kind, data = sound[random.integers(len(sound))]
        way = WAYS[random.integers(len(WAYS))]
        changed = way(bytearray(data), random)
        if random.random() < 0.3:
            changed = WAYS[random.integers(3)](bytearray(changed or b"\0"), random)
        yield f"{kind} {way.__name__}", changed


BOMBS: list[bytes] = []
"""The bombs of this run, made beforehand, since to make one takes more memory than to refuse it."""


def make_bombs(seed: int, count: int = 12) -> None:
    """Make them in another process, so that their making does not count."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        BOMBS.extend(pool.map(bomb, [np.random.default_rng([seed, 1, place]) for place in range(count)]))

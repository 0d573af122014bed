"""The pen digits: strokes of 30 writers, and how a pen draws strokes as images by MNIST's convention."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache, reduce
from importlib.resources import files
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE, BOX, MIDDLE = 28, 20, 14
FINE = 4
"""Resolution at which strokes are drawn, as a multiple of the image's."""
THINNEST, THICKEST, THICKEST_DIGIT = 1.0, 4.8, 6.0
"""Widths of pens, in pixels of the image. `THINNEST`: the thinnest pen. `THICKEST`: the thickest pen. `THICKEST_DIGIT`:
the thickest pen for a digit. Thin pens are likelier."""
ROOM, LEAST_MARKER = 0.5, 2.2
"""`ROOM`: share of the room beside its strokes that the widest pen of a character may take. `LEAST_MARKER`: the widest
pen is at least this wide."""
NIBS, LIGHTEST = 0.3, 0.65
"""`NIBS`: share of the pens that press less in one direction, most often upwards. `LIGHTEST`: the most that this takes
away, as a share of the width."""
COARSE_SHARE = 0.15
COARSE = 10, 17
"""Share of the drawings that are first reduced, like a very small picture, to 10 to 16 pixels per side."""
Points = NDArray[np.float64]
"""Points (x, y) `[N, 2]` of a stroke, about 0..1."""
Random = np.random.Generator
Drawing = NDArray[np.float64]
"""An image `[28, 28]` in [0, 1]."""
WRITERS = 30
"""Number of pen-digit writers from whom networks may learn."""


def pen_digits(
    random: Random, writers: Collection[int] = range(WRITERS), most: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the digits of these writers, or `most` of them at random, by pens of any width. Returns the images, uint8
    `[N, 28, 28]`, and their digits."""
    paths, digits, who = pen_paths()
    some = np.flatnonzero(np.isin(who, [*writers]))
    some = some if most is None else random.permutation(some)[:most]
    images = [drawn(paths[i], random, min(THICKEST, legible(paths[i]))) for i in some]
    return np.rint(np.stack(images) * 255).astype(np.uint8), digits[some]


@cache
def pen_paths() -> tuple[list[list[Points]], NDArray[np.int64], NDArray[np.int64]]:
    """The strokes of the 7,494 digits of the 30 training writers of the pen digits (E. Alpaydin and F. Alimoglu, UCI
    data set 81, CC BY 4.0), with the digit and the writer, 0..29, of each."""
    with np.load(str(files("sumnist.data").joinpath("pen-digits.npz"))) as stored:
        points, lengths, strokes, digits, writers = (
            stored[name] for name in ("points", "lengths", "strokes", "digits", "writers")
        )
    parts = [
        np.concatenate([part, part + 1e-3]) if len(part) == 1 else part  # a dot
        for part in np.split(points.astype(np.float64) / 255, np.cumsum(lengths)[:-1])
    ]
    ends = np.cumsum(strokes).tolist()
    paths = [parts[end - count : end] for end, count in zip(ends, strokes.tolist(), strict=True)]
    return paths, digits.astype(np.int64), np.unique(writers, return_inverse=True)[1]


def drawn(paths: list[Points], random: Random, thickest: float = THICKEST) -> Drawing:
    """Draw strokes by one pen in a 20×20 box, with their centre of mass in the middle of the image."""
    width = THINNEST + (thickest - THINNEST) * random.beta(1, 2)
    lighter = random.uniform(0, LIGHTEST) if random.random() < NIBS else 0.0
    light = random.normal((0.4, -1), 0.5)
    ink, pen = canvas()
    for path in fitted(paths, BOX - width):
        points = (path + SIDE / 2) * FINE
        steps = np.diff(points, axis=0)
        along = (steps @ light) / np.maximum(np.hypot(*steps.T) * np.hypot(*light), 1e-6)
        thick = np.maximum(THINNEST, width * (1 - lighter * np.maximum(along, 0))) * FINE
        for begin, end, wide in zip(points.tolist(), points[1:].tolist(), thick.tolist(), strict=False):
            pen.line(rounded(*begin, *end), fill=255, width=round(wide))
        for (x, y), r in zip(points.tolist(), (np.append(thick[0], thick) / 2).tolist(), strict=True):
            pen.ellipse(rounded(x - r, y - r, x + r, y + r), fill=255)
    if random.random() > COARSE_SHARE:
        return centred(bright(reduced(ink)))
    coarse = bright(reduced(ink, int(random.integers(*COARSE))))
    return centred(((coarse - 0.5) * random.uniform(1, 3) + 0.5).clip(0, 1))


def legible(paths: list[Points]) -> float:
    """The widest pen, in pixels, with which the strokes stay recognizable, because they need room beside each other.

    The room is the area of the strokes' box, divided by their length beyond one straight stroke across the box.
    """
    paths = fitted(paths, BOX)
    everything = np.concatenate(paths)
    wide, high = everything.max(0) - everything.min(0)
    # Not `sum`: its last digits depend on the version of Python, and drawings depend on these digits.
    length = reduce(add, (float(np.hypot(*np.diff(path, axis=0).T).sum()) for path in paths))
    return max(LEAST_MARKER, float(ROOM * (wide * high + 1) / max(length - np.hypot(wide, high), 1e-6)))


def fitted(paths: list[Points], size: float) -> list[Points]:
    """Paths centred on (0, 0), with a longer side of `size`."""
    everything = np.concatenate(paths)
    low, high = everything.min(0), everything.max(0)
    factor = size / max(float((high - low).max()), 1e-6)
    return [(path - (low + high) / 2) * factor for path in paths]


def canvas() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty picture, fine enough for strokes, and the tool to draw on it."""
    image = Image.new("L", (SIDE * FINE, SIDE * FINE))
    return image, ImageDraw.Draw(image)


def reduced(ink: Image.Image, side: int = SIDE) -> Drawing:
    """A canvas as an image in [0, 1], reduced to `side` pixels per side on the way."""
    small = ink.resize((side, side), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float64) / 255


def centred(image: NDArray[Any]) -> Drawing:
    """Move the image by whole pixels until its centre of mass is in the middle. Ink that leaves on one side enters on
    the other."""
    places, mass = np.arange(SIDE), max(float(image.sum()), 1e-6)
    down = round(MIDDLE - float(image.sum(1) @ places) / mass)
    right = round(MIDDLE - float(image.sum(0) @ places) / mass)
    return np.roll(image, (down, right), (0, 1))


def bright(image: NDArray[Any]) -> Drawing:
    """The image scaled to a brightest pixel of 1."""
    brightest: Drawing = image / max(float(image.max()), 1e-6)
    return brightest


def rounded(*places: float) -> list[float]:
    """Places without their last decimals, which depend on the processor. The outermost ink ends exactly between two
    pixels, so these decimals would decide which of the two it reaches."""
    return [round(place, 6) for place in places]

"""The fifteen corruptions of MNIST-C, written from their published descriptions and parameters.

Source: Mu and Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019; the parameters are the defaults of
their published script (google-research/mnist-c). What they got from libraries is written out here from what those
libraries do: ImageMagick's motion blur, Canny's edges and the affine maps of scikit-image as of that year. Compared
with those libraries on MNIST images: motion blur and the maps within one of 255 intensities, the edges pixel for pixel.
The published images, as PNG files, are as large as these to within 1.5 %, for each of the fifteen (`tests/`). Nothing
here is used in training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sumnist.errors import ConfigError
from sumnist.lab.suites.chance import Chance
from sumnist.lab.suites.filters import SIDE, Images, blurred, edges, mapped

__all__ = ["CORRUPTIONS", "corrupted"]

CHUNK = 250
"""Images that are worked on at once, to bound the memory."""

SHOTS = 3
"""Photons at full brightness."""
IMPULSES = 0.17
"""Share of the pixels that become black or white."""
GLASS_SPREAD = 0.7
GLASS_ROUNDS = 2
MOTION_LENGTH = 21
MOTION_SPREAD = 3
SHEAR = 0.4
"""Radians."""
SCALE = 0.7
ROTATION = 0.4
"""Radians."""
BRIGHTNESS = 0.5
SHIFT = 3
"""Pixels, in both directions."""
STRIPE = 7
"""Columns on either side that are inverted."""
FOG = 3.0
FOG_DECAY = 1.4
FOG_POINTS = 64
SPATTER_MEAN, SPATTER_DEVIATION = 0.65, 0.3
SPATTER_LEVEL = 0.65
SPATTER_EDGE = 1.5
SPATTER_SOLID = 0.8
SPATTER_COLOUR = 63 / 255
LINE_REACH = 2.3
"""A line's brightness falls to nothing within less than this many pixels above and below it."""
ZIGZAG = 2.0
"""Half the length of a tooth, and its height, in pixels."""


def corrupted(name: str, images: NDArray[np.uint8], seed: int = 0, index: ArrayLike | None = None) -> NDArray[np.uint8]:
    """`images` `[N, 28, 28]` after the corruption `name`: uint8 of the same shape.

    What happens to an image depends on the image, `seed` and its place in `index` `[N]` (0, 1, … if None) alone, so
    part of a data set is corrupted as in the whole. Raises `ConfigError` for an unknown name.
    """
    if name not in CORRUPTIONS:
        raise ConfigError(f"corruption {name!r}: unknown, expected one of {', '.join(CORRUPTIONS)}")
    places = np.arange(len(images)) if index is None else np.asarray(index)
    result = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        changed = CORRUPTIONS[name](images[part] / 255, Chance(seed, name, places[part]))
        result[part] = np.rint(changed.clip(0, 1) * 255)
    return result


def shot_noise(images: Images, chance: Chance) -> Images:
    """Each pixel counts photons: Poisson with a mean of 3 × its brightness."""
    mean = images * SHOTS
    left = chance.uniform(SIDE, SIDE)
    count, share = np.zeros_like(images), np.exp(-mean)
    for photons in range(1, 25):  # more are as good as impossible
        left = left - share
        count += left >= 0
        share = share * mean / photons
    return count / SHOTS


def impulse_noise(images: Images, chance: Chance) -> Images:
    """Salt and pepper: 17 % of the pixels, half of them white and half black."""
    hit, white = chance.uniform(SIDE, SIDE) < IMPULSES, chance.uniform(SIDE, SIDE) < 0.5
    return np.where(hit, white, images)


def glass_blur(images: Images, chance: Chance) -> Images:
    """Blurred, neighbours swapped at random from the lower right to the upper left, twice, and blurred again.

    Only along columns, as the published call does to a grey picture: it takes the columns for colour channels.
    """
    pixels = np.floor(blurred(images, GLASS_SPREAD, axes=(1,)) * 255)
    each = np.arange(len(pixels))
    for _ in range(GLASS_ROUNDS):
        swap = chance.uniform(SIDE, SIDE) < 0.5
        up, left = chance.whole(0, 2, SIDE, SIDE), chance.whole(0, 2, SIDE, SIDE)
        for row in range(SIDE - 1, 1, -1):
            for column in range(SIDE - 1, 1, -1):
                moved = swap[:, row, column]
                rows, columns = row - up[:, row, column] * moved, column - left[:, row, column] * moved
                here = pixels[:, row, column].copy()
                pixels[:, row, column] = pixels[each, rows, columns]
                pixels[each, rows, columns] = here
    return blurred(pixels / 255, GLASS_SPREAD, axes=(1,))


def motion_blur(images: Images, chance: Chance) -> Images:
    """Smeared to one side, at most 45° off the rows: a half Gaussian of spread 3 over 21 pixels."""
    weights = np.exp(-0.5 * (np.arange(MOTION_LENGTH) / MOTION_SPREAD) ** 2)
    weights /= weights.sum()
    angle = np.radians(chance.between(-45, 45))[:, None, None]
    each, (rows, columns) = np.arange(len(images))[:, None, None], np.mgrid[:SIDE, :SIDE]
    result = np.zeros_like(images)
    for step, weight in enumerate(weights):
        down, right = (np.ceil(step * part(angle) - 0.5).astype(int) for part in (np.sin, np.cos))
        result += weight * images[each, (rows + down).clip(0, SIDE - 1), (columns + right).clip(0, SIDE - 1)]
    return result


def shear(images: Images, chance: Chance) -> Images:
    """Slanted by 0.4 radians to either side; as scikit-image defined it then, the rows move together by cos 0.4."""
    angle = SHEAR * chance.sign()
    return mapped(images, matrices(np.ones(len(angle)), -np.sin(angle), np.zeros(len(angle)), np.cos(angle)))


def scale(images: Images, chance: Chance) -> Images:
    """Shrunk to 70 %."""
    return mapped(images, np.eye(2) / SCALE)


def rotate(images: Images, chance: Chance) -> Images:
    """Turned by 0.4 radians (23°) to either side."""
    angle = ROTATION * chance.sign()
    return mapped(images, matrices(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)))


def matrices(*entries: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[N, 2, 2]` from its four entries `[N]`, row by row."""
    return np.stack(entries, 1).reshape(-1, 2, 2)


def brightness(images: Images, chance: Chance) -> Images:
    """Every pixel brighter by half of white."""
    return images + BRIGHTNESS


def translate(images: Images, chance: Chance) -> Images:
    """Moved by 3 pixels to the left or right, and 3 up or down."""
    return mapped(images, np.eye(2), SHIFT * chance.sign(2).astype(float))


def stripe(images: Images, chance: Chance) -> Images:
    """Inverted in the 7 leftmost and the 7 rightmost columns."""
    outside = np.abs(np.arange(SIDE) - (SIDE - 1) / 2) > SIDE / 2 - STRIPE
    return np.where(outside, 1 - images, images)


def fog(images: Images, chance: Chance) -> Images:
    """Three times as much fog as light, and then as bright as before."""
    brightest: Images = images.max((1, 2), keepdims=True)
    return (images + FOG * plasma(chance)) * brightest / (brightest + FOG)


def plasma(chance: Chance) -> Images:
    """The corner `[N, 28, 28]` of clouds of 256×256 pixels in [0, 1], without borders, by the diamond-square method
    (Fournier, Fussell and Carpenter, 1982). Beyond 64×64 points only the corner is worked out, since what is added
    there is too small to matter for the lowest and the highest point."""
    land, height = np.zeros((chance.count, 1, 1)), 1.0
    while land.shape[1] < FOG_POINTS:
        land, height = finer(land, height, chance), height / FOG_DECAY**2
    low: Images = land.min((1, 2), keepdims=True)
    high: Images = land.max((1, 2), keepdims=True)
    land = np.roll(land, 2, (1, 2))[:, :12, :12]  # the corner, with two points more on every side: the edges go wrong
    land = finer(finer(land, height, chance), height / FOG_DECAY**2, chance)[:, 8 : 8 + SIDE, 8 : 8 + SIDE]
    return ((land - low) / (high - low)).clip(0, 1)


def finer(land: Images, height: float, chance: Chance) -> Images:
    """Heights `[N, S, S]` on a mesh twice as fine: the mean of four neighbours, and up to `height` more or less."""
    side = land.shape[1]
    down, right = np.roll(land, -1, 1), np.roll(land, -1, 2)
    middle = (land + down + right + np.roll(down, -1, 2)) / 4 + height * chance.between(-1, 1, side, side)
    upright = (land + right + middle + np.roll(middle, 1, 1)) / 4 + height * chance.between(-1, 1, side, side)
    across = (land + down + middle + np.roll(middle, 1, 2)) / 4 + height * chance.between(-1, 1, side, side)
    result = np.empty((len(land), 2 * side, 2 * side))
    result[:, ::2, ::2], result[:, 1::2, 1::2] = land, middle
    result[:, ::2, 1::2], result[:, 1::2, ::2] = upright, across
    return result


def spatter(images: Images, chance: Chance) -> Images:
    """Grey drops: where smoothed noise is high, and the middle of such a place."""
    liquid = blurred(SPATTER_MEAN + SPATTER_DEVIATION * chance.normal(SIDE, SIDE), 1)
    wet = blurred((liquid > SPATTER_LEVEL).astype(float), SPATTER_EDGE)
    wet = np.where(wet < SPATTER_SOLID, 0, wet)
    return images * (1 - wet) + SPATTER_COLOUR * wet


def dotted_line(images: Images, chance: Chance) -> Images:
    """A line from the left edge to the right, every other two columns of it."""
    left, right = chance.whole(0, SIDE - 1, 2).T.astype(float)
    line = segment(np.zeros(len(left)), left, np.full(len(left), SIDE - 1.0), right)
    return images + line * (np.arange(SIDE) // 2 % 2)


def zigzag(images: Images, chance: Chance) -> Images:
    """A zigzag with teeth 4 pixels long and 2 high, from column 2 to column 25, rising or falling by up to 5."""
    begin = chance.whole(0, SIDE - 1).astype(float)
    rise = chance.whole(-5, 5).astype(float)
    across = 23.0
    length = np.hypot(across, rise)
    teeth = int((across - ZIGZAG) // (2 * ZIGZAG)) + 1
    along = [np.zeros_like(length), *(np.full_like(length, (2 * i + 1) * ZIGZAG) for i in range(teeth)), length]
    last = (-1) ** (teeth - 1) * ZIGZAG / (2 * (length % (2 * ZIGZAG)))
    aside = [np.zeros_like(length), *(np.full_like(length, (-1) ** i * ZIGZAG) for i in range(teeth)), last]
    cosine, sine = across / length, rise / length
    columns = [2 + a * cosine - b * sine for a, b in zip(along, aside, strict=True)]
    rows = [begin + a * sine + b * cosine for a, b in zip(along, aside, strict=True)]
    for i in range(len(columns) - 1):
        images = (images + segment(columns[i], rows[i], columns[i + 1], rows[i + 1])).clip(0, 1)
    return images


def segment(
    column: NDArray[np.float64], row: NDArray[np.float64], last: NDArray[np.float64], end: NDArray[np.float64]
) -> Images:
    """Lines from (`column`, `row`) to (`last`, `end`), `[N]` each: brightness `[N, 28, 28]`, 1 + ln(1 - d / 2.3) at d
    pixels above or below, in the whole columns from the first to the last."""
    place = np.arange(SIDE)
    slope = ((end - row) / (last - column))[:, None]
    middle = slope * (place - column[:, None]) + row[:, None]  # [N, 28]: the line's row in each column
    distance = np.abs(place[:, None] - middle[:, None, :])  # [N, 28, 28]
    bright = 1 + np.log(1 - distance.clip(0, LINE_REACH - 1e-10) / LINE_REACH)
    within = (place >= np.floor(column)[:, None]) & (place < np.ceil(last)[:, None])
    return bright.clip(0, 1) * within[:, None, :]


def canny_edges(images: Images, chance: Chance) -> Images:
    """The edges alone."""
    return edges(images).astype(float)


CORRUPTIONS: dict[str, Callable[[Images, Chance], Images]] = {
    function.__name__: function
    for function in (
        shot_noise, impulse_noise, glass_blur, motion_blur, shear, scale, rotate, brightness, translate, stripe, fog,
        spatter, dotted_line, zigzag, canny_edges,
    )
}  # fmt: skip
"""By name, in the order of the paper: images `[N, 28, 28]` in [0, 1] → as many."""

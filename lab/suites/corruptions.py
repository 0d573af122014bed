"""Corrupt images with the fifteen corruptions of MNIST-C, written anew from their published descriptions and
parameters.

Source: Mu and Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019; the parameters are the defaults of
their published script (google-research/mnist-c). Where that script calls libraries, this module has code of its own
that does the same: ImageMagick's motion blur, Canny's edges, and the affine maps of scikit-image as of that year. On
MNIST images it agrees with those libraries: motion blur and the maps within one of 255 intensities, the edges pixel for
pixel. For each of the fifteen, the published images and ours have the same size as PNG files to within 1.5 %
(`tests/`). Nothing here is used in training.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sumnist.data.sampling import mix
from sumnist.errors import ConfigError

GOLDEN = 0x9E3779B97F4A7C15
"""The step of SplitMix64's counter."""
UNIT = 2.0**-53


class Chance:
    """Random values for the images `index` `[N]`; `name` keeps the streams of different uses apart."""

    def __init__(self, seed: int, name: str, index: ArrayLike) -> None:
        key = mix(mix(np.array([seed], np.uint64)) ^ np.uint64(zlib.crc32(name.encode())))  # [1]
        self._state = mix(key + np.asarray(index).astype(np.uint64))  # [N]
        self.count = len(self._state)

    def uniform(self, *shape: int) -> NDArray[np.float64]:
        """Uniform in [0, 1), `[N, *shape]`; every call continues where the last one ended."""
        size = math.prod(shape)
        steps = np.arange(size, dtype=np.uint64) * np.uint64(GOLDEN)
        bits = mix(self._state[:, None] + steps)  # [N, size]
        self._state = self._state + np.uint64(size * GOLDEN % 2**64)
        return ((bits >> np.uint64(11)).astype(np.float64) * UNIT).reshape(self.count, *shape)

    def between(self, low: float, high: float, *shape: int) -> NDArray[np.float64]:
        """Uniform in [low, high), `[N, *shape]`."""
        return low + (high - low) * self.uniform(*shape)

    def normal(self, *shape: int) -> NDArray[np.float64]:
        """Standard normal, `[N, *shape]` (Box and Muller, 1958)."""
        radius: NDArray[np.float64] = np.sqrt(-2 * np.log(1 - self.uniform(*shape)))
        direction: NDArray[np.float64] = np.cos(2 * np.pi * self.uniform(*shape))
        return radius * direction

    def whole(self, low: int, high: int, *shape: int) -> NDArray[np.int64]:
        """Whole numbers low..high - 1, `[N, *shape]`."""
        return low + (self.uniform(*shape) * (high - low)).astype(np.int64)

    def sign(self, *shape: int) -> NDArray[np.int64]:
        """-1 or 1, `[N, *shape]`."""
        return 2 * self.whole(0, 2, *shape) - 1


Images = NDArray[np.float64]

SIDE, MIDDLE = 28, 13.5
"""Pixels of an image's side; row and column of its middle."""
LOW, HIGH = 0.1, 0.2
"""Canny's thresholds for the gradient, in units of Sobel's operator with weights 1, 2, 1."""


def blurred(images: Images, spread: float, axes: tuple[int, ...] = (1, 2), mode: str = "edge") -> Images:
    """Convolve images along `axes` with a Gaussian of standard deviation `spread` pixels, cut off at four deviations.

    `mode`: what lies outside the image, as for `numpy.pad`.
    """
    radius = int(4 * spread + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / spread) ** 2)
    weights /= weights.sum()
    for axis in axes:
        width = [(radius, radius) if axis == i else (0, 0) for i in range(3)]
        padded = np.pad(images, width, mode)  # type: ignore[call-overload]
        length = images.shape[axis]
        parts = (weight * np.take(padded, range(i, i + length), axis) for i, weight in enumerate(weights))
        images = sum(parts, np.zeros_like(images, np.float64))
    return images


def sampled(images: Images, rows: Images, columns: Images) -> Images:
    """Sample images bilinearly at `rows` and `columns` (`[N, H, W]`); outside the image all is 0."""
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    rows, columns = rows.clip(-1, SIDE) + 1, columns.clip(-1, SIDE) + 1
    top, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    down, right = rows - top, columns - left
    each = np.arange(len(images))[:, None, None]
    above = padded[each, top, left] * (1 - right) + padded[each, top, left + 1] * right
    below = padded[each, top + 1, left] * (1 - right) + padded[each, top + 1, left + 1] * right
    return above * (1 - down) + below * down


def mapped(images: Images, matrix: NDArray[np.float64], shift: NDArray[np.float64] | float = 0.0) -> Images:
    """Resample images by an affine map around the middle: the pixel (x, y) gets the value at `matrix` · (x, y) +
    `shift`.

    `matrix`: `[N, 2, 2]` or `[2, 2]`; `shift`: `[N, 2]`, pixels to the right and down.
    """
    matrix = np.broadcast_to(matrix, (len(images), 2, 2))[:, :, :, None, None]
    right, down = np.moveaxis(np.broadcast_to(shift, (len(images), 2)), 1, 0)[:, :, None, None]
    y, x = np.mgrid[:SIDE, :SIDE] - MIDDLE
    columns = matrix[:, 0, 0] * x + matrix[:, 0, 1] * y + MIDDLE + right
    rows = matrix[:, 1, 0] * x + matrix[:, 1, 1] * y + MIDDLE + down
    return sampled(images, rows, columns)


def canny_edges(images: Images, chance: Chance) -> Images:
    """Keep only the edges (Canny, 1986): blur by 1 pixel, find the ridges of the gradient, and keep the steep ones and
    those connected to a steep one."""
    smooth = blurred(images, 1, mode="constant") / blurred(np.ones((1, SIDE, SIDE)), 1, mode="constant")
    padded = np.pad(smooth, ((0, 0), (1, 1), (1, 1)), "edge")
    down, right = padded[:, 2:] - padded[:, :-2], padded[:, :, 2:] - padded[:, :, :-2]
    down = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]  # Sobel's operator
    right = right[:, :-2] + 2 * right[:, 1:-1] + right[:, 2:]
    steepness = np.hypot(down, right)
    larger = np.maximum(np.abs(down), np.abs(right))
    larger[larger == 0] = 1
    step_down, step_right = down / larger, right / larger
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    ahead = sampled(steepness, rows + step_down, columns + step_right)
    behind = sampled(steepness, rows - step_down, columns - step_right)
    inside = np.pad(np.ones((SIDE - 2, SIDE - 2), bool), 1)
    ridge = (steepness >= ahead) & (steepness >= behind) & inside
    weak, kept = ridge & (steepness >= LOW), ridge & (steepness >= HIGH)
    while True:  # add the weak ridges that touch a kept one, also at a corner
        around = np.pad(kept, ((0, 0), (1, 1), (1, 1)))
        tall = around[:, 2:] | around[:, 1:-1] | around[:, :-2]
        grown = (tall[:, :, 2:] | tall[:, :, 1:-1] | tall[:, :, :-2]) & weak
        if np.array_equal(grown, kept):
            return np.asarray(kept, float)
        kept = grown


CHUNK = 250
"""Images that are processed at once, to bound the memory."""

SHOTS = 3
"""Photons at full brightness."""
IMPULSES = 0.17
"""Share of the pixels that become black or white."""
GLASS_SPREAD, GLASS_ROUNDS = 0.7, 2
MOTION_LENGTH, MOTION_SPREAD = 21, 3
SHEAR = ROTATION = 0.4
"""Radians."""
SCALE, BRIGHTNESS = 0.7, 0.5
SHIFT = 3
"""Pixels, in both directions."""
STRIPE = 7
"""Columns on either side that are inverted."""
FOG, FOG_DECAY, FOG_POINTS = 3.0, 1.4, 64
SPATTER_MEAN, SPATTER_DEVIATION, SPATTER_LEVEL, SPATTER_EDGE, SPATTER_SOLID = 0.65, 0.3, 0.65, 1.5, 0.8
SPATTER_COLOUR = 63 / 255
LINE_REACH = 2.3
"""A line's brightness falls to nothing within less than this many pixels above and below it."""
ZIGZAG = 2.0
"""Half the length of a tooth, and its height, in pixels."""


def corrupted(name: str, images: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    """Apply the corruption `name` to `images` `[N, 28, 28]`; returns uint8 of the same shape.

    The result for an image depends only on the image, `seed` and its place. Raises `ConfigError` for an unknown name.
    """
    if name not in CORRUPTIONS:
        raise ConfigError(f"corruption {name!r}: unknown, expected one of {', '.join(CORRUPTIONS)}")
    result, places = np.empty_like(images), np.arange(len(images))
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
    """Blur, swap neighbours at random from the lower right to the upper left, twice, and blur again.

    The blur runs only along columns, as in the published call: it takes the columns of a grey picture for colour
    channels.
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
    """Smear to one side, at most 45° off the rows: a half Gaussian of spread 3 over 21 pixels."""
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
    """Slant by 0.4 radians to either side; as scikit-image defined it then, this also stretches the height by 1 / cos
    0.4."""
    angle = SHEAR * chance.sign()
    entries = np.ones(len(angle)), -np.sin(angle), np.zeros(len(angle)), np.cos(angle)
    return mapped(images, np.stack(entries, 1).reshape(-1, 2, 2))


def scale(images: Images, chance: Chance) -> Images:
    """Shrink to 70 %."""
    return mapped(images, np.eye(2) / SCALE)


def rotate(images: Images, chance: Chance) -> Images:
    """Turn by 0.4 radians (23°) to either side."""
    angle = ROTATION * chance.sign()
    entries = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    return mapped(images, np.stack(entries, 1).reshape(-1, 2, 2))


def brightness(images: Images, chance: Chance) -> Images:
    """Make every pixel brighter by half of white."""
    return images + BRIGHTNESS


def translate(images: Images, chance: Chance) -> Images:
    """Move by 3 pixels to the left or right, and 3 up or down."""
    return mapped(images, np.eye(2), SHIFT * chance.sign(2).astype(float))


def stripe(images: Images, chance: Chance) -> Images:
    """Invert the 7 leftmost and the 7 rightmost columns."""
    outside = np.abs(np.arange(SIDE) - (SIDE - 1) / 2) > SIDE / 2 - STRIPE
    return np.where(outside, 1 - images, images)


def fog(images: Images, chance: Chance) -> Images:
    """Add fog, up to three times as bright as white, and scale the image back to its former brightness."""
    brightest: Images = images.max((1, 2), keepdims=True)
    return (images + FOG * plasma(chance)) * brightest / (brightest + FOG)


def plasma(chance: Chance) -> Images:
    """Return the corner `[N, 28, 28]` of clouds of 256×256 pixels in [0, 1], without borders, by the diamond-square
    method (Fournier, Fussell and Carpenter, 1982). From 64×64 points on only the corner is refined: finer steps change
    the lowest and the highest point too little to matter."""
    land, height = np.zeros((chance.count, 1, 1)), 1.0
    while land.shape[1] < FOG_POINTS:
        land, height = finer(land, height, chance), height / FOG_DECAY**2
    low: Images = land.min((1, 2), keepdims=True)
    high: Images = land.max((1, 2), keepdims=True)
    land = np.roll(land, 2, (1, 2))[:, :12, :12]  # the corner, and two more points on each side: edges go wrong
    land = finer(finer(land, height, chance), height / FOG_DECAY**2, chance)[:, 8 : 8 + SIDE, 8 : 8 + SIDE]
    return ((land - low) / (high - low)).clip(0, 1)


def finer(land: Images, height: float, chance: Chance) -> Images:
    """Return heights `[N, S, S]` on a mesh twice as fine: the mean of four neighbours, and up to `height` more or
    less."""
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
    """Add grey drops in the middle of places where smoothed noise is high."""
    liquid = blurred(SPATTER_MEAN + SPATTER_DEVIATION * chance.normal(SIDE, SIDE), 1)
    wet = blurred((liquid > SPATTER_LEVEL).astype(float), SPATTER_EDGE)
    wet = np.where(wet < SPATTER_SOLID, 0, wet)
    return images * (1 - wet) + SPATTER_COLOUR * wet


def dotted_line(images: Images, chance: Chance) -> Images:
    """Draw a dashed line from the left edge to the right: two columns on, two columns off."""
    left, right = chance.whole(0, SIDE - 1, 2).T.astype(float)
    line = segment(np.zeros(len(left)), left, np.full(len(left), SIDE - 1.0), right)
    return images + line * (np.arange(SIDE) // 2 % 2)


def zigzag(images: Images, chance: Chance) -> Images:
    """Draw a zigzag with teeth 4 pixels long and 2 high, from column 2 to column 25, rising or falling by up to 5."""
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


def segment(column: Images, row: Images, last: Images, end: Images) -> Images:
    """Draw lines from (`column`, `row`) to (`last`, `end`), `[N]` each: brightness `[N, 28, 28]`, 1 + ln(1 - d / 2.3)
    at d pixels above or below, in the whole columns from the first to the last."""
    place = np.arange(SIDE)
    slope = ((end - row) / (last - column))[:, None]
    middle = slope * (place - column[:, None]) + row[:, None]  # [N, 28]: the line's row in each column
    distance = np.abs(place[:, None] - middle[:, None, :])  # [N, 28, 28]
    bright = 1 + np.log(1 - distance.clip(0, LINE_REACH - 1e-10) / LINE_REACH)
    within = (place >= np.floor(column)[:, None]) & (place < np.ceil(last)[:, None])
    return bright.clip(0, 1) * within[:, None, :]


CORRUPTIONS: dict[str, Callable[[Images, Chance], Images]] = {
    function.__name__: function
    for function in (
        shot_noise, impulse_noise, glass_blur, motion_blur, shear, scale, rotate, brightness, translate, stripe, fog,
        spatter, dotted_line, zigzag, canny_edges,
    )
}  # fmt: skip
"""The corruptions by name, in the order of the paper: images `[N, 28, 28]` in [0, 1] → images of the same shape."""

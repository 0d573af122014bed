"""Write characters into strips: map each image of a bank in its own way, and redraw it by a pen of any width.

For each image, a bank stores how deep inside the ink each pixel lies, and the middle line of the strokes. So any pen
can write the image. MNIST's own pen is about 3 pixels wide, far wider relative to its digits than a ball pen on a
cheque. One `grid_sample` for each width of patch maps all characters of a batch; only their pasting goes one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lab.recipes import glyphs
from sumnist.data import pen_digits
from sumnist.data.augment import widest
from sumnist.data.mnist import DigitSet
from sumnist.errors import DataError

SIDE = 28
"""Pixels of an image's side."""
INKED = 64
"""Intensity, of 255, above which a pixel counts for the box around the ink."""
PART = 4096
"""Number of images that are measured at a time."""
DEEPEST = 4
"""Largest depth inside the ink that is measured, in pixels; strokes up to 8 pixels wide are no deeper."""
UNIT = 63
"""How many units of a stored byte make one pixel of depth."""
FATTEST = 6.0
"""Widest stroke, in pixels, of an image in the bank. Images with wider strokes are left out, because their loops are
filled and no thinner pen opens them again. Images that are all blot, or blank, have no line and are left out, too."""
MOST_SLANT = 0.7
"""Limit of a measured slant: beyond it, ink lies flat and has no slant."""
EDGE = 64
"""Additional columns on either side of a canvas, so that a patch may begin outside the strip."""
BENDING = 5.0
"""Pixels of the strip for one radian of the wave that bends a character."""
TURNING = 0.2
"""Intensity that stays fixed when an edge is made steeper. It lies below the middle, so that fine lines stay."""

DRAWN, LETTER, CURRENCY, HASH, STAR, SCRAWL, BANK_KINDS = 10, 20, 21, 22, 23, 24, 25
"""Kinds of images in a bank: MNIST's digits from 0 on, drawn digits from `DRAWN` on, letters, and signs. `BANK_KINDS`
is the number of kinds."""
SIGN_COUNTS = {LETTER: 2000, CURRENCY: 400, HASH: 100, STAR: 100, SCRAWL: 400}
"""Number of images that are drawn of each kind."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Places = NDArray[np.int64]
Random = np.random.Generator
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Pieces:
    """Characters to write: an array `[N]` for each property."""

    strip: Places
    """Index of the strip."""
    place: Places
    """Index of the image in the bank."""
    x: Floats
    """Middle of the ink's box, in pixels from the strip's left edge, without the image's own slant."""
    y: Floats
    """Middle of the ink's box, in pixels from the strip's top edge."""
    wide: Floats
    """Pixels of the strip for one pixel of the image, across."""
    high: Floats
    """Pixels of the strip for one pixel of the image, down."""
    slant: Floats
    """Pixels to the right for one pixel upwards."""
    angle: Floats
    """Radians, clockwise."""
    pen: Floats
    """Width of a stroke, in pixels of the strip."""
    steep: Floats
    """Factor by which the edges of strokes are steeper than resampling leaves them, at least 1."""
    light: Floats
    """Intensity of the ink, 0 to 1."""
    bend: Floats
    """`[N, 2, 2]`: for across and down, how far the character bends, in pixels of the image, and the phase in
    radians."""

    def __getitem__(self, some: NDArray[np.bool_] | Places) -> Pieces:
        return Pieces(**{name: values[some] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Strokes:
    """Straight strokes with round ends, from (x, y) to (to_x, to_y), in pixels: an array `[N]` for each property."""

    strip: Places
    """Index of the strip."""
    x: Floats
    y: Floats
    to_x: Floats
    to_y: Floats
    radius: Floats
    """Half the width of the stroke, in pixels."""
    light: Floats
    """Intensity of the ink, 0 to 1."""


class Bank:
    """Images of characters by kind, ready for any pen.

    Args:
        images: uint8 `[N, 28, 28]`, by MNIST's convention.
        kinds: int64 `[N]`: the kind of each image, a small number from 0.
        count: Number of kinds; each must have an image.

    Raises:
        DataError: A kind has no image.
    """

    def __init__(self, images: Bytes, kinds: Places, count: int) -> None:
        depth, middle = in_parts(depths, images), in_parts(middle_lines, images)
        pen = in_parts(widths, depth, middle)
        good = (pen > 0) & (pen <= FATTEST)
        images, kinds, depth, middle, pen = images[good], kinds[good], depth[good], middle[good], pen[good]
        self.counts = np.bincount(kinds, minlength=count)
        if (self.counts == 0).any():
            raise DataError(
                f"no image of kind {int(self.counts.argmin())} among {len(images):,}, expected one of each of {count}: "
                "give a set of digits in which every digit occurs"
            )
        order = np.argsort(kinds, kind="stable")
        images, kinds = images[order], kinds[order]
        self.firsts = np.cumsum(self.counts) - self.counts
        self.depth, self.middle, self.pen = depth[order], middle[order], pen[order]
        """For each image: the depth of each pixel and the middle lines of the strokes, both `[N, 28, 28]`; and the
        width of its strokes in pixels of the image, `[N]`."""
        slant = in_parts(slants, images)
        mean = np.bincount(kinds, slant, count) / self.counts
        self.slant: Floats = (slant - mean[kinds]).astype(np.float32)
        """How much more each image slants to the right than the mean of its kind, `[N]`."""
        self.left, self.right, self.top, self.bottom = boxes(images, self.slant)

    @classmethod
    def of(cls, digits: DigitSet, drawn: int, seed: int, watch: glyphs.Watch, writers: Collection[int]) -> Bank:
        """Make the bank of all `BANK_KINDS`: training images, `drawn` drawn digits and signs. The digits by each of the
        `writers` lie side by side. Raises `DataError`."""
        images, shown = glyphs.characters(drawn, 1.0, seed, watch, glyphs.NUMERALS, writers)
        others, kinds = signs(np.random.default_rng([seed, 0x516]))
        kinds = np.concatenate([digits.digits, shown + DRAWN, kinds])
        return cls(np.concatenate([digits.images, images, others]), kinds, BANK_KINDS)

    def penned(self, place: Places, pen: Floats) -> Tensor:
        """The images at `place` with strokes of width `pen`, in pixels of the image: `[N, 1, 28, 28]`."""
        depth = torch.from_numpy(self.depth[place]).float().div_(UNIT)
        off = torch.from_numpy((self.pen[place] - pen) / 2)[:, None, None]
        image = (depth - off.clamp_min(0)).clamp_(0, 1)
        image = torch.maximum(image, torch.from_numpy(self.middle[place]).float().div_(255))
        wider = (off < -0.1)[:, 0, 0].nonzero()[:, 0]
        if len(wider):
            spread = functional.avg_pool2d(widest(image[wider]), 3, 1, 1).mul_(1.5)
            image[wider] = image[wider].lerp(spread.clamp_max_(1), (-off[wider]).clamp_max(1))
        return image[:, None]


def mapped(bank: Bank, part: Pieces, first: Places, size: tuple[int, int]) -> Floats:
    """Patches of the pieces, `[N, *size]`. The left column of each patch lies at column `first` of its strip."""
    source = bank.penned(part.place, part.pen / np.sqrt(part.wide * part.high))
    grid = torch.from_numpy(grids(bank, part, first, size))
    image = functional.grid_sample(source, grid, align_corners=False)[:, 0]
    steep, light = (torch.from_numpy(values)[:, None, None] for values in (part.steep, part.light))
    image = image.sub_(TURNING).mul_(steep).add_(TURNING).clamp_(0, 1).mul_(light)
    patches: Floats = image.numpy()
    return patches


def grids(bank: Bank, part: Pieces, first: Places, shape: tuple[int, int]) -> Floats:
    """For each pixel of a patch, its place in the image, `[N, *shape, 2]`: x and y in -1..1, as `grid_sample`
    expects."""
    tall, wide = shape
    cosine, sine = np.cos(part.angle), np.sin(part.angle)
    # Image to strip: remove the image's slant, scale, add the strip's slant, turn. y points down, so slants are
    # negative.
    a, d = part.wide, part.high
    b = part.wide * bank.slant[part.place] - part.slant * part.high
    forth = np.array([[cosine * a, cosine * b - sine * d], [sine * a, sine * b + cosine * d]])
    back = np.array([[forth[1, 1], -forth[0, 1]], [-forth[1, 0], forth[0, 0]]]) / (a * d)  # 2, 2, N
    x = np.arange(wide, dtype=np.float32) + 0.5 - (part.x - first)[:, None]  # N, wide
    y = np.arange(tall, dtype=np.float32) + 0.5 - part.y[:, None]  # N, tall
    middles = [(low + high)[part.place, None] / 2 for low, high in ((bank.left, bank.right), (bank.top, bank.bottom))]
    size, phase = part.bend[..., 0, None], part.bend[..., 1, None]  # N, axis, 1
    bends = [size[:, i] * np.sin(place / BENDING + phase[:, i]) for i, place in enumerate((y, x))]
    grid = np.empty((len(x), *shape, 2), np.float32)
    for axis, (by_column, by_row) in enumerate(back * (2 / SIDE)):
        along, down = by_column[:, None] * x, by_row[:, None] * y + (middles[axis] - SIDE / 2) * (2 / SIDE)
        bend = bends[axis] * (2 / SIDE)
        along, down = (along, down + bend) if axis == 0 else (along + bend, down)
        np.add(down[:, :, None], along[:, None, :], out=grid[..., axis])
    return grid


def stroked(strokes: Strokes, canvas: Floats) -> None:
    """Draw the strokes into `canvas` `[B, H, W + 2·EDGE]`. Where they meet other ink, the lighter ink counts."""
    reach = strokes.radius + 1
    rows, columns = canvas.shape[1:]
    left = np.clip(np.floor(np.minimum(strokes.x, strokes.to_x) - reach) + EDGE, 0, columns).astype(np.int64)
    right = np.clip(np.ceil(np.maximum(strokes.x, strokes.to_x) + reach) + EDGE, 0, columns).astype(np.int64)
    top = np.clip(np.floor(np.minimum(strokes.y, strokes.to_y) - reach), 0, rows).astype(np.int64)
    bottom = np.clip(np.ceil(np.maximum(strokes.y, strokes.to_y) + reach), 0, rows).astype(np.int64)
    across, down = np.arange(columns, dtype=np.float32) + np.float32(0.5 - EDGE), np.arange(rows)[:, None] + 0.5
    along_x, along_y = strokes.to_x - strokes.x, strokes.to_y - strokes.y
    unit = 1 / np.maximum(along_x**2 + along_y**2, 1e-6)
    for i in np.flatnonzero((left < right) & (top < bottom)).tolist():
        x, y = across[left[i] : right[i]] - strokes.x[i], down[top[i] : bottom[i]] - strokes.y[i]
        along = np.clip((x * along_x[i] + y * along_y[i]) * unit[i], 0, 1)
        apart = np.hypot(x - along * along_x[i], y - along * along_y[i])
        ink = np.clip(strokes.radius[i] + 0.5 - apart, 0, 1) * strokes.light[i]
        target = canvas[strokes.strip[i], top[i] : bottom[i], left[i] : right[i]]
        np.maximum(target, ink, out=target)


def drawn_ways(ways: Sequence[str], count: int, random: Random) -> Bytes:
    """Draw `count` images, uint8 `[N, 28, 28]`, of characters in random `ways` of `data/glyphs`."""
    images = np.empty((count, SIDE, SIDE))
    for i, chosen in enumerate(random.integers(0, len(ways), count).tolist()):
        paths = glyphs.written(ways[chosen], random)
        images[i] = pen_digits.drawn(paths, random, min(pen_digits.THICKEST, pen_digits.legible(paths)))
    return np.rint(images * 255).astype(np.uint8)


def signs(random: Random) -> tuple[Bytes, Places]:
    """Draw images of letters, signs and scribbles, uint8 `[N, 28, 28]`. Also return the kind of each image, int64
    `[N]`."""
    currency = [way for name in ("$", "euro", "pound", "yen") for way in glyphs.SIGNS[name]]
    ways = {LETTER: glyphs.LETTERS, CURRENCY: currency, HASH: glyphs.SIGNS["#"], STAR: glyphs.SIGNS["*"]}
    images = [drawn_ways(ways[kind], SIGN_COUNTS[kind], random) for kind in ways]
    # A scribble is two drawings on top of each other, because one alone may look like a digit.
    scrawls = [np.maximum(glyphs.wandering(random), glyphs.strokes(random)) for _ in range(SIGN_COUNTS[SCRAWL])]
    images.append(np.rint(np.stack(scrawls) * 255).astype(np.uint8))
    return np.concatenate(images), np.repeat([*ways, SCRAWL], list(SIGN_COUNTS.values()))


# Measurements of a bank's images.


def in_parts(measure: Callable[..., NDArray[Scalar]], *arrays: NDArray[Any]) -> NDArray[Scalar]:
    """Apply `measure` to some images at a time, because all at once would need a gigabyte."""
    starts = range(0, len(arrays[0]), PART)
    return np.concatenate([measure(*(array[start : start + PART] for array in arrays)) for start in starts])


def eroded(image: Bytes) -> Bytes:
    """Give each pixel the least intensity among itself and its four neighbours. Pixels outside are dark."""
    result = np.zeros_like(image)
    inner = np.minimum(np.minimum(image[:, :-2, 1:-1], image[:, 2:, 1:-1]), image[:, 1:-1, 1:-1])
    result[:, 1:-1, 1:-1] = np.minimum(inner, np.minimum(image[:, 1:-1, :-2], image[:, 1:-1, 2:]))
    return result


def depths(images: Bytes) -> Bytes:
    """Depth of each pixel inside the ink, in pixels times `UNIT`: the sum of the images, eroded again and again."""
    deep = np.zeros(images.shape, np.uint16)
    for _ in range(DEEPEST):
        deep += images
        images = eroded(images)
    return (deep * np.float32(UNIT / 255)).astype(np.uint8)


def middle_lines(images: Bytes) -> Bytes:
    """The middle lines of the strokes, a little wider than a pixel.

    The images are eroded again and again. The lines are the pixels that an opening removes on the way (the soft
    skeleton of Shit and others, 2021). The images are softened first, so that lines stay whole.
    """
    image = softened(images)
    line = np.zeros_like(image)
    for _ in range(DEEPEST + 1):
        smaller = eroded(image)
        np.maximum(line, image - np.minimum(image, widest(torch.from_numpy(smaller)).numpy()), out=line)
        image = smaller
    return np.minimum(line, 85) * np.uint8(3)


def widths(depth: Bytes, middle: Bytes) -> Floats:
    """Stroke widths in pixels, `[N]`: about twice the mean depth of the strokes' middle lines."""
    deep = np.einsum("nyx,nyx->n", depth.astype(np.float32), middle.astype(np.float32))
    pen: Floats = 2 * deep / (UNIT * np.maximum(middle.sum((1, 2), dtype=np.float32), 1)) - np.float32(0.5)
    return pen


def softened(images: Bytes) -> Bytes:
    """Each pixel as the weighted mean of its 3×3 neighbourhood, with weights 1 2 1 along each axis."""
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.uint16)
    down = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    mean: Bytes = ((down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) // 16).astype(np.uint8)
    return mean


def slants(images: Bytes) -> NDArray[np.float64]:
    """How far the ink leans to the right for one pixel upwards, `[N]`: its covariance across and down, divided by its
    variance down."""
    place = np.arange(SIDE) + 0.5
    rows, columns = images.sum(2, dtype=np.float64), images.sum(1, dtype=np.float64)
    mass = np.maximum(rows.sum(1), 1)
    y, x = rows @ place / mass, columns @ place / mass
    both = np.einsum("nyx,y,x->n", images, place, place, optimize=True) / mass - x * y
    lean: NDArray[np.float64] = np.clip(-both / np.maximum(rows @ place**2 / mass - y**2, 1), -MOST_SLANT, MOST_SLANT)
    return lean


def boxes(images: Bytes, slant: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The box around the ink of each image: left, right, top and bottom in pixels, `[N]` each.

    Before the measuring, each image is slanted by `slant` less, around the middle between top and bottom.
    """
    inked: NDArray[np.bool_] = images > INKED
    place = np.arange(SIDE)
    rows = np.logical_or.reduce(inked, 2)
    top = np.argmax(rows, 1).astype(np.float32)
    bottom = (SIDE - np.argmax(rows[:, ::-1], 1)).astype(np.float32)
    # Where the ink of each row begins and ends; rows without ink do not count.
    begin, end = np.argmax(inked, 2), SIDE - np.argmax(inked[:, :, ::-1], 2)
    moved = slant[:, None] * (place + 0.5 - (top + bottom)[:, None] / 2)
    left = np.where(rows, begin + moved, np.inf).min(1)
    right = np.where(rows, end + moved, -np.inf).max(1)
    empty = ~rows.any(1)
    left[empty], right[empty] = 0, SIDE
    return left.astype(np.float32), right.astype(np.float32), top, bottom


def mixed(*numbers: int) -> int:
    """Combine several numbers into one seed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)

"""Compose training cells: pictures of the boxes and strips of forms, made while a network learns to read them.

Each cell has one class of `CELL_CLASSES`. Its digits are MNIST's training images and drawn digits, by any pen
(`data/pens`). Fillers and crossings are paths (`data/marks`). `data/forms` adds the printed lines and the camera.
Strokes reach into a cell from the boxes beside it, and from the rows above and below. Sizes are those of paper: 3
pixels are a millimetre.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.recipes.forms import on_form, photographed
from lab.recipes.glyphs import Watch
from lab.recipes.marks import CROSSINGS, FILLERS, Area, mark, through
from lab.recipes.pens import DRAWN, EDGE, SCRAWL, Bank, Pieces, Strokes, mixed, stroked, written
from sumnist.data.augment import Draw
from sumnist.data.mnist import DigitSet
from sumnist.data.pen_digits import WRITERS
from sumnist.inference.alphabet import CELL_CLASSES, CELL_HEIGHT, CELL_MARGIN, CELL_SCALE

BOX = 24
"""Width of a box in pixels: 8 mm."""
MARGIN = int(CELL_MARGIN * CELL_SCALE)
BOX_WIDTH = BOX + 2 * MARGIN
"""Width of the picture of a box, in pixels."""
TAIL = 33
"""Additional width of a strip with room for a half, in pixels: 11 mm."""
NUMBER, EMPTY, FILLER, CROSSED = range(10, 14)
"""Classes that are not digits."""
PRIORS = (
    np.array([0.061] * 10 + [0.05, 0.13, 0.09, 0.12]),
    np.array([0.03] * 10 + [0.36, 0.12, 0.10, 0.12]),
)
"""Shares of the classes among boxes, and among strips. None is rare, because answers are divided by these shares."""
STRIP_SHARE = 1 / 8
"""Share of a batch's cells that are strips: few, because strips are wider and their digits are like those of boxes."""
STRIP_DIGITS, HALVES_SHARE = (0.4, 0.25, 0.15, 0.1, 0.1), 0.25
"""`STRIP_DIGITS`: shares of the strips with 2 to 6 digits. `HALVES_SHARE`: share of the strips with room for a half."""
DRAWN_DIGITS = 20_000
"""Digits that are drawn beforehand."""
DRAWN_SHARES = 0.35, 0.65, 0.45, 0.4, 0.5, 0.45, 0.4, 0.6, 0.45, 0.55
"""Share of each digit that is drawn (`data/glyphs`), not MNIST's: higher where other countries write it differently."""

# Writers, in pixels.

USUAL_SHARE, USUAL, TALL = 0.75, (20.0, 3.2), (10.5, 30.0)
"""`USUAL_SHARE`: share of the writers with digits of usual height. `USUAL`: mean and deviation of this height. `TALL`:
limits of every height, 3.5 to 10 mm."""
PEN, PEN_SPREAD = (0.6, 4.2), (1.6, 3.4)
"""`PEN`: range of a pen's width, 0.2 to 1.4 mm. `PEN_SPREAD`: parameters of its beta distribution, in which thin pens
are likelier."""
WIDEST = 0.19
"""Widest pen, relative to the height of a digit."""
PENCIL_SHARE, PENCIL, INK = 0.22, (0.16, 0.42), (0.4, 1.0)
"""`PENCIL_SHARE`: share of the pens that are pencils. `PENCIL`: range of a pencil's intensity. `INK`: range of another
pen's intensity."""
SLANT, TURN, BEND, ASPECT, STEEP = (0.08, 0.2), 0.06, 0.4, (0.72, 1.35), (1.0, 2.6)
"""`SLANT`: mean and deviation of the slant. `TURN`: deviation of a character's angle. `BEND`: deviation of its bending.
`ASPECT`: range of its width relative to its image. `STEEP`: range of the factor by which its edges are steeper than
resampling leaves them."""
NARROWEST = 0.36
"""Least width of a digit relative to its height, except for a 1."""
OFF = (2.2, 2.0)
"""Deviations of a digit's place in its box, across and down."""
BAR_SHARE, BAR, BAR_HEIGHT = 0.25, (0.3, 0.75), (0.38, 0.68)
"""`BAR_SHARE`: share of MNIST's 7s that get a bar. `BAR`: length of the bar, relative to the height of the 7.
`BAR_HEIGHT`: its distance from the top, relative to this height."""

# Numbers.

THREE_SHARE, SQUEEZED, SQUEEZED_PITCH = 0.15, {2: (9.0, 22.0), 3: (9.0, 17.0)}, (0.75, 1.02)
"""`THREE_SHARE`: share of the numbers in a box that have three digits; the others have two. `SQUEEZED`: ranges of the
digits' heights, for two digits and for three. `SQUEEZED_PITCH`: range of the distance between digits, relative to an
even filling of the box."""
MORE_SHARE, BY_BOX_SHARE, PITCH = 0.06, 0.3, (0.5, 1.0)
"""`MORE_SHARE`: share of the strips with one digit more than they have room for. `BY_BOX_SHARE`: share of the strips
written as if they had boxes. `PITCH`: range of the distance between digits on other strips, relative to the digits'
height."""
CLIMB, UNEVEN, STRAY, BROAD = 0.03, (0.9, 1.08), 0.05, 1.05
"""`CLIMB`: deviation of a line's slope. `UNEVEN`: range of its digits' sizes, relative to the usual size. `STRAY`:
deviation of their places, relative to the distance between digits. `BROAD`: their greatest width, relative to this
distance."""
SIGN_SHARE, SIGN_TAIL = 0.3, 3.0
"""`SIGN_SHARE`: share of the strips with a stop or comma before the last digit. `SIGN_TAIL`: the greatest length of its
tail."""

# Fillers, crossings and empty cells.

LOCAL_SHARE, FILLER_OFF = 0.6, 1.8
"""`LOCAL_SHARE`: share of the fillers on strips that have the size of a box. `FILLER_OFF`: deviation of the place of
any filler."""
THROUGH_FILLER_SHARE = 0.14
"""Share of the fillers that run through all boxes of a field."""
CROSSED_NUMBERS = {False: 0.1, True: 0.75}
"""Shares of the crossed-out cells that hold several digits: in boxes (False) and on strips (True)."""
OTHER_PEN_SHARE, PALEST = 0.15, 0.5
"""`OTHER_PEN_SHARE`: share of the crossings by another pen. `PALEST`: least intensity of that pen, relative to the pen
of the digits."""
SCRAWL_SHARE, BLACK_SHARE, THROUGH_SHARE = 0.08, 0.05, 0.12
"""Shares of the crossings. `SCRAWL_SHARE`: those that are scribbles. `BLACK_SHARE`: those that black out the digits.
`THROUGH_SHARE`: those that run through all boxes of a field."""
SCRAWL_SIZE, LEAST_SCRAWL, BLACK_PEN, BLACK_ROWS = (0.8, 1.3), 8.0, (2.2, 3.5), (1.5, 2.5)
"""`SCRAWL_SIZE`: range of the height of a scribble, relative to the ink under it. `LEAST_SCRAWL`: lower ink counts as
this high. `BLACK_PEN`: range of the width of a pen that blacks out. `BLACK_ROWS`: range of the distance between its
strokes."""
FLECK_SHARE, FLECK = 0.12, 1.2
"""`FLECK_SHARE`: share of the empty cells that the pen has touched. `FLECK`: deviation of the length of this mark, and
its greatest width."""

# Ink of other cells, and traces of earlier ink.

BESIDE_SHARE, REACHING_SHARE, REACH = 0.5, 0.3, (-3.0, 4.0)
"""`BESIDE_SHARE`: probability of ink in the box on either side. `REACHING_SHARE`: share of this ink that reaches into
the cell. `REACH`: range of how far it reaches beyond the line."""
FILLED_SHARE, CROSSED_SHARE = 0.1, 0.1
"""Shares of the neighbouring boxes with ink. `FILLED_SHARE`: those that hold a filler. `CROSSED_SHARE`: those that hold
a digit that is crossed out."""
ABOVE_SHARE, LONG_SHARE, LONG, SHORT = 0.12, 0.4, (0.5, 5.0), (-1.0, 2.0)
"""`ABOVE_SHARE`: probability of ink from above, and likewise from below. `LONG_SHARE`: share of this ink that reaches
in far. `LONG`: range of how far such ink reaches. `SHORT`: range of how far other ink reaches."""
GHOST_SHARE, GHOST = 0.05, (0.02, 0.07)
"""`GHOST_SHARE`: share of the cells on which a digit was erased or shines through. `GHOST`: range of its intensity."""
Random = np.random.Generator


def strip_width(digits: int, halves: bool) -> int:
    """Width of the picture of a strip for this number of digits, in pixels."""
    return BOX * digits + TAIL * halves + 2 * MARGIN


@dataclass(frozen=True)
class CellBatch:
    """A batch of cells with their classes: boxes, and strips of one width."""

    boxes: Tensor
    """float32 `[B, 1, 36, 30]` in [0, 1], light ink on dark ground."""
    strips: Tensor
    """float32 `[S, 1, 36, W]`."""
    target: Tensor
    """int64 `[B + S]`: indices into `CELL_CLASSES`, first of the boxes, then of the strips."""

    @property
    def image(self) -> Tensor:
        """The boxes; every batch of one size has equally many."""
        return self.boxes


@dataclass(frozen=True)
class Writer:
    """A person's pen and handwriting. Lengths are in pixels.

    Attributes:
        tall: The height of a digit.
        pen: The width of the pen.
        light: The intensity of the ink.
        steep: The factor by which edges are steeper than resampling leaves them.
        slant: How far the writing leans to the right for one pixel upwards.
        aspect: The width of characters, relative to their images.
        drawn: From 0 to 1. The writer's form of a digit is a drawn one if this is below the digit's share in
            `DRAWN_SHARES`.
    """

    tall: float
    pen: float
    light: float
    steep: float
    slant: float
    aspect: float
    drawn: float

    @classmethod
    def any(cls, random: Random) -> Writer:
        """A random writer."""
        usual = random.random() < USUAL_SHARE
        tall = min(max(random.normal(*USUAL) if usual else random.uniform(*TALL), TALL[0]), TALL[1])
        pen = PEN[0] + (PEN[1] - PEN[0]) * random.beta(*PEN_SPREAD)
        light = random.uniform(*(PENCIL if random.random() < PENCIL_SHARE else INK))
        return cls(
            tall, min(pen, WIDEST * tall), light, random.uniform(*STEEP), random.normal(*SLANT),
            random.uniform(*ASPECT), random.random(),
        )  # fmt: skip


class Sketch:
    """Collects the ink of cells while they are composed: the characters and strokes of one `cell` after another."""

    def __init__(self, bank: Bank, random: Random) -> None:
        self.bank, self.random, self.cell = bank, random, 0
        self.pieces: list[tuple[float, ...]] = []
        """For each character, its cell and the properties of `Pieces`, in their order."""
        self.strokes: list[tuple[float, ...]] = []

    def character(
        self, kind: int, x: float, y: float, tall: float, writer: Writer, broad: float = np.inf, light: float = 1.0
    ) -> Area:
        """Write a character of a kind around (x, y), no broader than `broad`. Returns the area of its ink."""
        bank, random = self.bank, self.random
        place = int(bank.firsts[kind] + int(random.random() * bank.counts[kind]))
        rows, columns = float(bank.bottom[place] - bank.top[place]), float(bank.right[place] - bank.left[place])
        high = tall / max(rows, 12.0)  # a scribble may be flat
        wide = high * writer.aspect * random.uniform(0.92, 1.08)
        if kind % DRAWN != 1:
            wide = max(wide, NARROWEST * tall / columns)
        wide = min(wide, broad / columns)
        slant = writer.slant + random.normal(0, 0.05) + random.uniform(0.3, 0.9) * float(bank.slant[place])
        angle, pen = random.normal(0, TURN), min(writer.pen * random.uniform(0.9, 1.1), WIDEST * tall)
        light *= writer.light * random.uniform(0.9, 1.05) * min(1.0, pen) ** 0.5
        bend = *random.normal(0, BEND, 2), *random.uniform(0, 2 * np.pi, 2)
        self.pieces.append(
            (self.cell, place, x, y, wide, high, slant, angle, pen, writer.steep, min(light, 1.0), *bend)
        )
        if kind == 7 and random.random() < BAR_SHARE:  # the bar goes across the middle of the stem
            low = (random.uniform(*BAR_HEIGHT) - 0.5) * (bank.bottom[place] - bank.top[place])
            row = int((bank.top[place] + bank.bottom[place]) / 2 + low)
            ink = bank.middle[place, row].astype(np.float64)
            column = float(ink @ (np.arange(len(ink)) + 0.5) / max(ink.sum(), 1))
            across = column - (bank.left[place] + bank.right[place]) / 2
            right = x + wide * (across + bank.slant[place] * low) - slant * high * low
            under = y + high * low
            reach = tall * random.uniform(*BAR) / 2
            rise = reach * random.normal(0.1, 0.25)
            self.path(np.array([[right - reach, under + rise], [right + reach, under - rise]]), writer.pen, writer)
        half = wide * columns / 2 + abs(slant) * tall / 2
        return x - half, x + half, y - high * rows / 2, y + high * rows / 2

    def path(self, points: NDArray[np.float64], pen: float, writer: Writer) -> None:
        """Draw a stroke through these points."""
        light = min(1.0, writer.light * self.random.uniform(0.88, 1.05) * min(1.0, pen) ** 0.5)
        radius = max(pen, 0.7) / 2
        for (x, y), (to_x, to_y) in zip(points.tolist(), points[1:].tolist(), strict=False):
            self.strokes.append((self.cell, x, y, to_x, to_y, radius, light))

    def paths(self, paths: Sequence[NDArray[np.float64]], writer: Writer, thick: float = 1.0) -> None:
        """Draw strokes of one pen, about `thick` times as wide as usual."""
        pen = writer.pen * self.random.uniform(0.85, 1.2) * thick
        for points in paths:
            self.path(points, pen, writer)

    def digit(self, digit: int, writer: Writer) -> int:
        """The kind of image that this writer uses for a digit."""
        return digit + DRAWN * (writer.drawn < DRAWN_SHARES[digit])

    def finished(self, count: int, width: int) -> NDArray[np.float32]:
        """The ink of `count` cells, `[count, 36, width]`."""
        canvas = np.zeros((count, CELL_HEIGHT, width + 2 * EDGE), np.float32)
        if self.pieces:
            cell, place, *values = np.array(self.pieces).T
            *floats, right, down, right_at, down_at = (value.astype(np.float32) for value in values)
            floats.append(np.stack([right, right_at, down, down_at], 1).reshape(-1, 2, 2))
            written(self.bank, Pieces(cell.astype(np.int64), place.astype(np.int64), *floats), canvas)
        if self.strokes:
            cell, *values = np.array(self.strokes).T
            stroked(Strokes(cell.astype(np.int64), *(value.astype(np.float32) for value in values)), canvas)
        return canvas[:, :, EDGE:-EDGE]


class Cells:
    """Batches of cells. Each batch depends only on the seed, the step and the size, not on earlier batches.

    Args:
        digits: Training images with their digits; every digit must occur.
        seed: Another seed gives other cells.
        watch: Shows the progress of drawing digits, before the first batch.
        count: Digits that are drawn beforehand; fewer suffice for fewer cells.
        writers: Pen writers. Half of these digits have their strokes.

    Raises:
        DataError: `digits` lacks a digit.
    """

    def __init__(
        self, digits: DigitSet, seed: int, watch: Watch = iter, count: int | None = None,
        writers: Collection[int] = range(WRITERS),
    ) -> None:  # fmt: skip
        self.seed = seed
        self.bank = Bank.of(digits, DRAWN_DIGITS if count is None else count, seed, watch, writers)

    def batch(self, step: int, size: int, strength: float = 1.0) -> CellBatch:
        """`size` cells, most of them boxes.

        `strength` multiplies the shares of cells with print, dirt or ink of other cells, and of changed pictures. At 0,
        cells are plain ink on plain ground.
        """
        random = np.random.default_rng([self.seed, step, size])
        generator = torch.Generator().manual_seed(mixed(self.seed, step, size))
        strips = max(1, round(STRIP_SHARE * size))
        digits = 2 + int(random.choice(len(STRIP_DIGITS), p=STRIP_DIGITS))
        parts = []
        wider = strip_width(digits, random.random() < HALVES_SHARE)
        for count, wide, prior in ((size - strips, BOX_WIDTH, PRIORS[0]), (strips, wider, PRIORS[1])):
            classes = random.choice(len(CELL_CLASSES), count, p=prior)
            parts.append((self.cells(classes, wide, random, generator, strength), classes))
        (boxes, of_boxes), (long, of_strips) = parts
        return CellBatch(boxes, long, torch.from_numpy(np.concatenate([of_boxes, of_strips])))

    def cells(
        self, classes: NDArray[np.int64], width: int, random: Random, generator: torch.Generator, strength: float = 1.0
    ) -> Tensor:
        """Cells of these classes and of one width, float32 `[N, 1, 36, W]`."""
        sketch = Sketch(self.bank, random)
        em = []
        for cell, one in enumerate(classes.tolist()):
            sketch.cell = cell
            em.append(compose(sketch, one, width, strength))
        ink = torch.from_numpy(sketch.finished(len(classes), width))
        draw = Draw(len(classes), generator, torch.device("cpu"), strength)
        return photographed(on_form(ink, draw), torch.tensor(em), draw)[:, None]


def compose(sketch: Sketch, kind: int, width: int, strength: float) -> float:
    """Write the content of a cell of class `kind`, and its surroundings. Returns the height of its digits."""
    random = sketch.random
    writer = Writer.any(random)
    inside = (float(MARGIN), float(width - MARGIN), float(MARGIN), float(CELL_HEIGHT - MARGIN))
    if random.random() < strength:
        around(sketch, inside, writer)
    if kind < NUMBER:
        single(sketch, kind, inside, writer)
    elif kind == NUMBER:
        number(sketch, inside, writer)
    elif kind == FILLER and random.random() < THROUGH_FILLER_SHARE:
        sketch.paths(through(inside, random), writer)
    elif kind == FILLER:
        left, right, top, bottom = inside
        if right - left > BOX + 1 and random.random() < LOCAL_SHARE:
            x, _ = spot(inside, random)
            left, right = x - BOX / 2, x + BOX / 2
        x, y = random.normal(0, FILLER_OFF, 2)
        sketch.paths(mark(FILLERS, (left + x, right + x, top + y, bottom + y), random), writer)
    elif kind == CROSSED:
        cross_out(sketch, inside, writer)
    elif random.random() < FLECK_SHARE * strength:  # a touch of the pen, shorter than any sign
        place = np.array([random.uniform(*inside[:2]), random.uniform(*inside[2:])])
        sketch.path(np.stack([place, place + random.normal(0, FLECK, 2)]), min(writer.pen, FLECK), writer)
    return writer.tall


def spot(inside: Area, random: Random) -> tuple[float, float]:
    """A random place for one digit in a box or on a strip."""
    left, right, top, bottom = inside
    first, last = left + BOX / 2, right - BOX / 2
    along = (0.0, 0.5, 1.0, random.random())[int(4 * random.random())]
    x, y = random.normal(0, OFF)
    return float(first + along * (last - first) + x), float((top + bottom) / 2 + y)


def single(sketch: Sketch, digit: int, inside: Area, writer: Writer) -> Area:
    """Write one digit. Returns its area."""
    x, y = spot(inside, sketch.random)
    return sketch.character(sketch.digit(digit, writer), x, y, writer.tall, writer, 1.15 * BOX)


def number(sketch: Sketch, inside: Area, writer: Writer) -> Area:
    """Write a number of several digits, squeezed into a box or along a strip. Returns its area."""
    random = sketch.random
    left, right, top, bottom = inside
    wide, room = right - left, round((right - left) / BOX)
    if room == 1:
        count = 2 if random.random() < 1 - THREE_SHARE else 3
        tall = random.uniform(*SQUEEZED[count])
        pitch = random.uniform(*SQUEEZED_PITCH) * wide / count
    else:
        count = int(random.integers(2, room + 1)) + (random.random() < MORE_SHARE)
        tall = writer.tall
        pitch = BOX if random.random() < BY_BOX_SHARE else tall * random.uniform(*PITCH)
        pitch = min(pitch, wide / count)
    spare = max(wide - pitch * count, 0)
    free = random.random()
    start = left + spare * (0.5, free, free**3, 1 - free**3)[int(4 * random.random())]
    y = (top + bottom) / 2 + random.normal(0, OFF[1])
    climb = random.normal(0, CLIMB)
    areas = []
    for place in range(count):
        x = start + (place + 0.5) * pitch + random.normal(0, STRAY) * pitch
        high = tall * random.uniform(*UNEVEN)
        kind = sketch.digit(int(random.integers(0, 10)), writer)
        areas.append(sketch.character(kind, x, y - climb * (x - left), high, writer, pitch * BROAD))
    if room > 1 and random.random() < SIGN_SHARE:
        x, low = start + (count - 1) * pitch, areas[-1][3]
        tail = random.uniform(0, SIGN_TAIL)
        sketch.path(np.array([[x, low - 1], [x - 0.4 * tail, low - 1 + tail]]), writer.pen * 1.3, writer)
    lefts, rights, tops, bottoms = zip(*areas, strict=True)
    return min(lefts), max(rights), min(tops), max(bottoms)


def cross_out(sketch: Sketch, inside: Area, writer: Writer) -> None:
    """Write a digit or a number, and cross it out."""
    random = sketch.random
    strip = inside[1] - inside[0] > BOX + 1
    if random.random() < CROSSED_NUMBERS[strip]:
        area = number(sketch, inside, writer)
    else:
        area = single(sketch, int(random.integers(0, 10)), inside, writer)
    by = Writer.any(random) if random.random() < OTHER_PEN_SHARE else writer
    if by.light < PALEST * writer.light:
        by = writer
    chance = random.random()
    if chance < SCRAWL_SHARE:
        tall = max(area[3] - area[2], LEAST_SCRAWL)
        x, y = (area[0] + area[1]) / 2, (area[2] + area[3]) / 2
        sketch.character(SCRAWL, x, y, tall * random.uniform(*SCRAWL_SIZE), by)
    elif chance < SCRAWL_SHARE + BLACK_SHARE:
        left, right, top, bottom = area
        rows = np.arange(top + 1, bottom, random.uniform(*BLACK_ROWS))
        points = np.stack([np.where(np.arange(len(rows)) % 2, left, right), rows], 1)
        sketch.path(points + random.normal(0, 1, points.shape), random.uniform(*BLACK_PEN), by)
    elif chance < SCRAWL_SHARE + BLACK_SHARE + THROUGH_SHARE:
        middle, half = (area[0] + area[1]) / 2, (inside[1] - inside[0]) / 2
        sketch.paths(through((middle - half, middle + half, *area[2:]), random), by)
    else:
        sketch.paths(mark(CROSSINGS, area, random), by)


def around(sketch: Sketch, inside: Area, writer: Writer) -> None:
    """Write ink that reaches in from other cells, and the trace of an earlier digit."""
    random = sketch.random
    left, right = inside[:2]
    if random.random() < GHOST_SHARE:
        x, y = spot(inside, random)
        light = random.uniform(*GHOST) / writer.light
        sketch.character(int(random.integers(0, 2 * DRAWN)), x, y, writer.tall, writer, light=light)
    if right - left < BOX + 1:
        for side in (-1, 1):
            if random.random() < BESIDE_SHARE:
                beside(sketch, inside, side, writer)
    for above in (True, False):
        if random.random() < ABOVE_SHARE:
            tall = writer.tall * random.uniform(0.9, 1.2)
            reach = random.uniform(*(LONG if random.random() < LONG_SHARE else SHORT))
            y = reach - tall / 2 if above else CELL_HEIGHT - reach + tall / 2
            kind = sketch.digit(int(random.integers(0, 10)), writer)
            sketch.character(kind, random.uniform(left - 4, right + 4), y, tall, writer)


def beside(sketch: Sketch, inside: Area, side: int, writer: Writer) -> None:
    """Write the ink of the box on the left (-1) or right (1)."""
    random = sketch.random
    left, right, top, bottom = inside
    next_to = left + side * BOX, right + side * BOX, top, bottom
    chance = random.random()
    if chance < FILLED_SHARE:
        sketch.paths(mark(FILLERS, next_to, random), writer)
        return
    x, y = spot(next_to, random)
    tall = writer.tall * random.uniform(0.9, 1.1)
    if random.random() < REACHING_SHARE:
        edge = left if side < 0 else right
        x = edge - side * random.uniform(*REACH) + side * tall * random.uniform(0.25, 0.4)
    area = sketch.character(sketch.digit(int(random.integers(0, 10)), writer), x, y, tall, writer, 1.1 * BOX)
    if chance < FILLED_SHARE + CROSSED_SHARE:
        sketch.paths(mark(CROSSINGS, area, random), writer)

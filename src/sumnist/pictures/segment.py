"""The ink of the one digit on a picture: grey levels → the pieces of ink that are the digit, and what is in the way.

The light is evened, printed lines are taken out, what is dark enough is cut into pieces; specks, shadows at the border
and a box drawn around the digit are dropped; pieces that lie together are one digit, as a 5 and its loose bar are. What
cannot be mended is told: a blank picture, several digits, one that is cut off, too small or too faint.

The limits below were chosen on MNIST's training images and on the development half of the suites.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sumnist.pictures.background import Evened, evened
from sumnist.pictures.components import Box, Marks, grown, marks_of, union
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import resized, spread
from sumnist.pictures.outlines import made_solid
from sumnist.pictures.ruling import without_lines

__all__ = ["Ink", "Problem", "ink_of"]

Problem = Literal["blank", "several", "cut off", "too small", "faint"]

CLEAN_CONTRAST = 0.04
"""What differs less than this from the ground is no ink, even on a drawing without noise."""
PAPER_CONTRAST = 0.12
"""As much on a picture with noise, whose ground may have fibres and clouds."""
FAINT = 0.08, 0.2
"""Ink with less contrast than this can be seen but not be read for sure, without and with noise."""
NOISE = 6
"""Ink stands out from the ground by this many standard deviations of its noise."""
SOLID = 0.4
"""Of the ink's own contrast: a pixel with this much of it is ink."""
SMALLEST_DIGIT = 5
"""Pixels of the picture on the longer side of a digit that can be read."""
DOT = 3
"""Pixels of the picture on the longer side of a speck that nobody would take for a digit."""
EDGE, BAND = 0.03, 0.12
"""Of the picture's side: what comes so near to its border, and stays within so wide a band along it, is a shadow."""
LONG = 1.5
"""Times as long as it is wide, along the border, is such a shadow."""
SPECK = 0.02
"""A piece with less than this share of the largest one's ink is a speck."""


SMALLEST_SHARE = 0.025
"""Of the longer side: weak ink on paper that is smaller is a grain of it."""
RING_SIDE = 120
"""A digit with its surroundings is reduced to this many pixels, to compare them."""
BLURRED = 0.14
"""Of the digit's own darkness: a surrounding that is darker on the average is that of a cloud."""


FRAME, CORNER = 0.15, 0.1
"""Of its longer side: a band along the sides so wide holds all of a box drawn around a digit, and corners so wide hold
its own, even if it is drawn aslant."""
FRAMED = 0.2
"""Of the box's side: what is in it and has this size is not a speck."""
ROOM = 0.1
"""Of the digit's longer side: with so much room on the other side a picture is not cropped to its digit."""


@dataclass(frozen=True)
class Ink:
    """What was found on a picture.

    `levels` `[H, W]` in [0, 1]: the ink under even light, 1 where it is as dark as ink is here. `digit`: the pieces
    that are the digit, None on a blank picture. `marks`: how many digits there seem to be. `problem`: what is in the
    way of reading it. `light`: the contrast before lines were taken out. `lines`: how many were.
    """

    levels: Grey
    digit: Marks | None
    marks: int
    problem: Problem | None
    light: Evened
    lines: int

    @property
    def box(self) -> Box | None:
        """The smallest box around the digit, in pixels of the levels."""
        return None if self.digit is None else union(self.digit.boxes)


def ink_of(grey: Grey, reduction: float = 1.0) -> Ink:
    """The ink on `grey` `[H, W]` in [0, 1], of which a pixel was `reduction` pixels of the picture."""
    ink = ink_under(evened(grey), reduction)
    if ink.problem != "blank" or ink.light.flat or (ink.light.dark and np.median(grey) > 0.5):
        return ink
    other = ink_under(evened(grey, not ink.light.dark), reduction)  # light and shadow may outweigh a small digit
    return other if other.problem is None else ink


def ink_under(light: Evened, reduction: float) -> Ink:
    """The ink of a picture under even light."""
    contrast, lines = without_lines(light.contrast, light.noise)
    peak = ink_level(contrast, max(CLEAN_CONTRAST if light.flat else PAPER_CONTRAST, NOISE * light.noise))
    if peak is None:
        return Ink(contrast, None, 0, "blank", light, lines)
    levels, marks = pieces_of((contrast / np.float32(peak)).clip(0, 1), light.flat, reduction)
    if not len(marks):
        return Ink(levels, None, 0, "blank", light, lines)
    digit, count = grouped(marks)
    if not light.flat and not distinct(levels, digit, peak):
        return Ink(levels, None, 0, "blank", light, lines)
    problem = problem_of(digit, count, reduction)
    if problem is None and peak < FAINT[not light.flat]:
        problem = "faint"
    return Ink(levels, digit, count, problem, light, lines)


def pieces_of(levels: Grey, drawing: bool, reduction: float) -> tuple[Grey, Marks]:
    """The pieces of ink on `levels` that may be of a digit, and the levels with an outline made solid."""
    marks = marks_of(levels >= SOLID, levels)
    marks = marks.kept(marks.sizes * reduction > min(DOT, min(levels.shape) // 8))
    marks = without_frame(without_shadows(without_specks(marks), drawing))
    solid = made_solid(levels, marks)
    if solid is None:
        return levels, marks
    return solid, without_specks(marks_of(solid >= SOLID, solid))


def distinct(levels: Grey, digit: Marks, peak: float) -> bool:
    """Whether the ink on paper has edges, unlike clouds and shadows, and is more than a grain of it."""
    box = union(digit.boxes)
    size = max(extent(box))
    if size < SMALLEST_SHARE * max(levels.shape) and peak < 2 * FAINT[1]:
        return False
    box = grown(box, 3 + size // 10, digit.shape)
    ink = resized(levels[box[0] : box[1], box[2] : box[3]], RING_SIDE)
    mask = resized(digit.mask(box).astype(np.float32), RING_SIDE) > 0.5
    around = spread(mask, 9) & ~spread(mask, 5)
    return bool(mask.any()) and float(ink[around].mean()) < BLURRED * float(ink[mask].mean())


def ink_level(contrast: Grey, least: float) -> float | None:
    """The contrast of the ink: that of the darker of the two kinds of pixels which stand out (Otsu, 1979), since the
    lighter ones are edges, lines and shadows; None if too few stand out by `least`."""
    # What is below the first bin that counts is most of a picture; to sort it into bins would take most of the time.
    counts, edges = np.histogram(contrast[contrast > least - 0.01], 100, (0, 1))
    counts[: int(np.ceil(least * 100))] = 0
    total = counts.sum()
    if total < 3:
        return None
    middles = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum(), (counts * middles).cumsum()
    with np.errstate(all="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    split = int(np.nan_to_num(between, posinf=0).argmax()) if np.count_nonzero(counts) > 1 else -1
    upper = np.where(np.arange(100) > split, counts, 0).cumsum()
    return float(edges[1 + int(np.searchsorted(upper, 0.7 * upper[-1]))])


def without_specks(marks: Marks) -> Marks:
    """The pieces that hold enough ink, compared with the largest."""
    return marks.kept(marks.masses >= SPECK * marks.masses.max(initial=0))


def without_shadows(marks: Marks, drawing: bool) -> Marks:
    """The pieces without those that hug the border; on a drawing, without those that touch it, if there are others."""
    height, width = marks.shape
    top, bottom, left, right = marks.boxes.T
    tall, broad = bottom - top, right - left
    edge = 0 if drawing else EDGE
    beside = (left <= edge * width) & (right <= BAND * width)
    beside |= (right >= (1 - edge) * width) & (left >= (1 - BAND) * width)
    over = (top <= edge * height) & (bottom <= BAND * height)
    over |= (bottom >= (1 - edge) * height) & (top >= (1 - BAND) * height)
    hug = beside & (tall >= LONG * broad) | over & (broad >= LONG * tall)
    return marks if drawing and hug.all() else marks.kept(~hug)


def without_frame(marks: Marks) -> Marks:
    """The pieces without a box drawn around the others, and without what lies outside it."""
    top, bottom, left, right = marks.boxes.T
    for i in np.argsort(-marks.masses):
        within = (top > top[i]) & (bottom < bottom[i]) & (left > left[i]) & (right < right[i])
        within &= marks.sizes >= FRAMED * marks.sizes[i]
        if within.any() and is_frame(marks, int(i)):
            return marks.kept(within)
    return marks


def is_frame(marks: Marks, i: int) -> bool:
    """Whether piece `i` runs along the sides of its box and into the four corners of it, unlike a 0."""
    one = marks.kept(np.arange(len(marks)) == i)
    mask = one.mask(union(one.boxes))
    height, width = mask.shape
    band, corner = (int(share * max(height, width)) for share in (FRAME, CORNER))
    if mask[band : height - band, band : width - band].sum() > 0.02 * one.areas[0]:
        return False
    ends = slice(corner), slice(-corner, None)
    return all(mask[rows, columns].sum() > corner / 2 for rows in ends for columns in ends)


def grouped(marks: Marks) -> tuple[Marks, int]:
    """The pieces of the digit, and how many digits there are: pieces as large as digits that lie apart."""
    order = np.argsort(-marks.masses)
    boxes = marks.boxes
    digit, others = [int(order[0])], list[int]()
    for i in map(int, order[1:]):
        box, other = union(boxes[digit]), boxes[i]
        (others if apart(box, tuple(other.tolist())) else digit).append(i)
    which = np.zeros(len(marks), bool)
    which[digit] = True
    size = max(extent(union(boxes[digit])))
    large = [i for i in others if max(extent(tuple(boxes[i].tolist()))) >= 0.5 * size]
    return marks.kept(which), 1 + len(large)


def extent(box: Box) -> tuple[int, int]:
    """Height and width."""
    return box[1] - box[0], box[3] - box[2]


def apart(box: Box, other: Box) -> bool:
    """Whether two pieces with these boxes are no parts of one digit."""
    (height, width), (high, wide) = extent(box), extent(other)
    size, small = max(height, width, high, wide), min(max(height, width), max(high, wide))
    across = max(other[2] - box[3], box[2] - other[3])
    down = max(other[0] - box[1], box[0] - other[1])
    if across > 0.25 * size or down > 0.35 * size:
        return True
    if small < 0.5 * size:
        return False
    lower, taller = sorted((height, high))
    if min(box[1], other[1]) - max(box[0], other[0]) < 0.5 * lower:
        return False
    return across > (0 if lower > 0.75 * taller else 0.12 * size if lower > 0.55 * taller else 0.25 * size)


def problem_of(digit: Marks, count: int, reduction: float) -> Problem | None:
    """What is in the way of reading the digit."""
    box = union(digit.boxes)
    if max(extent(box)) * reduction < SMALLEST_DIGIT:
        return "too small"
    if count > 1:
        return "several"
    return "cut off" if cut_off(digit, box) else None


def cut_off(digit: Marks, box: Box) -> bool:
    """Whether ink runs out of the picture on one side while there is room on the other. A picture that was cropped to
    its digit has ink on opposite sides."""
    height, width = digit.shape
    if min(height, width) < 32:
        return False
    room = box[0], height - box[1], box[2], width - box[3]
    much = ROOM * max(extent(box))
    return any(one == 0 and other > much for one, other in zip(room, (room[1], room[0], room[3], room[2]), strict=True))

"""The ink of the one digit on a picture: grey intensities → the components of ink that are the digit, and the problem,
if there is one.

The light is evened, printed lines are erased, and what is dark enough becomes connected components. Specks, shadows at
the border and a box drawn around the digit are dropped. Components that lie together are one digit, such as a 5 and its
loose bar. What cannot be mended becomes the problem: a blank picture, several digits, or one that is cut off, too small
or too faint.

The limits were chosen on MNIST's training images and on the development half of the suites.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.pictures.background import Evened, evened
from sumnist.pictures.components import Box, Components, components_of, extent, grown, part, union
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import resized, spread
from sumnist.pictures.outlines import made_solid
from sumnist.pictures.ruling import without_lines

__all__ = ["Ink", "Problem", "Step", "ink_of"]

Problem = Literal["blank", "several", "cut off", "too small", "faint"]

CLEAN_CONTRAST = 0.04
"""What differs less than this from the ground is no ink, even on a drawing without noise."""
PAPER_CONTRAST = 0.12
"""The same for a picture with noise, whose ground may have fibres and clouds."""
FAINT, FAINT_ON_PAPER = 0.08, 0.2
"""Ink with less contrast than this can be seen, but not be read for sure; on a picture with noise."""
NOISE = 6
"""Ink stands out from the ground by this many standard deviations of its noise."""
LIGHT_PAPER = 0.5
"""On a picture with a brighter median, ink is dark."""
BINS = 100
"""Of the histogram of contrasts."""
FEWEST = 3
"""Pixels that must stand out for there to be ink."""
DARKEST = 0.7
"""The ink's contrast is that below which this share of its pixels lies."""
SOLID = 0.4
"""A pixel is ink from this share of the ink's contrast on."""
DROPPED = 0.35
"""How bright the step that shows the ink has that which is not the digit's."""

SMALLEST_DIGIT = 5
"""Pixels of the picture on the longer side of a digit that can be read."""
DOT = 3
"""Pixels of the picture on the longer side of a speck that nobody would take for a digit."""
SPECK = 0.02
"""A component with less than this share of the largest one's ink is a speck."""
EDGE, BAND = 0.03, 0.12
"""Of the picture's side: what comes so near to its border, and stays within so wide a band along it, is a shadow."""
LONG = 1.5
"""Such a shadow is this many times as long, along the border, as it is wide."""

SMALLEST_SHARE = 0.025
"""Of the longer side: weak ink on paper that is smaller is a grain of the paper."""
STRONG = 2 * FAINT_ON_PAPER
"""Ink with this much contrast is not weak."""
RING_SIDE = 120
"""A digit and its surroundings are reduced to this many pixels before they are compared."""
RING = 5, 9
"""The windows whose dilations the surroundings lie between, in these pixels."""
BLURRED = 0.14
"""Of the digit's own darkness: surroundings that are darker on average are those of a cloud."""

FRAME, CORNER = 0.15, 0.1
"""Of its longer side: all of a box drawn around a digit lies within so wide a band along its sides, and some of it in
each corner so wide, even if it is drawn aslant."""
INSIDE = 0.02
"""Share of such a box's ink that may lie further in."""
FRAMED = 0.2
"""Of the box's side: what lies in it and has this size is not a speck."""

ACROSS, DOWN = 0.25, 0.35
"""Of the larger one's longer side: two components with a wider gap than this between them, across or down, are not of
one digit."""
PART = 0.5
"""Of the larger one's longer side: a smaller component so near is a part of the digit."""
OVERLAP = 0.5
"""Two components are beside each other if their rows overlap by this share of the shorter one's height."""
GAPS = (0.75, 0.0), (0.55, 0.12), (0.0, ACROSS)
"""For components beside each other: if the shorter one has more than this share of the taller one's height, a gap wider
than this share of the larger one's longer side is one between two digits."""
DIGIT = 0.5
"""Of the digit's longer side: a component that large which is not of the digit is another digit."""
ROOM = 0.1
"""Of the digit's longer side: a picture with more room opposite to a cut was not cropped to its digit."""
SMALLEST_CUT = 32
"""On a picture with a shorter side than this, no digit is said to be cut off."""


class Step(NamedTuple):
    """A step from a picture to what the network sees: what was done, and the picture after it, `[H, W]` in [0, 1]."""

    caption: str
    values: NDArray[Any]


@dataclass(frozen=True)
class Ink:
    """The ink on a picture.

    `intensities` `[H, W]` in [0, 1]: the ink under even light, 1 where it is as dark as ink is here. `digit`: the
    components of the digit, None on a blank picture. `digit_count`: how many digits there seem to be. `problem`: what
    is in the way of reading it. `light`: the picture under even light, lines included. `line_count`: how many of them
    were erased.
    """

    intensities: Grey
    digit: Components | None
    digit_count: int
    problem: Problem | None
    light: Evened
    line_count: int

    def steps(self) -> list[Step]:
        """How it was found, with what is not the digit's in grey."""
        contrast = self.light.contrast
        digit = np.zeros(contrast.shape, bool) if self.digit is None else self.digit.mask()
        return [
            Step("light evened", contrast / (float(contrast.max()) or 1.0)),
            Step("ink found, lines erased" if self.line_count else "ink found",
                 np.where(digit, 1, self.intensities * np.float32(DROPPED))),
        ]  # fmt: skip


def ink_of(grey: Grey, reduction: float = 1.0) -> Ink:
    """The ink on `grey` `[H, W]` in [0, 1], of which a pixel was `reduction` pixels of the picture."""
    ink = ink_under(evened(grey), reduction)
    if ink.problem != "blank" or ink.light.flat or (ink.light.dark and np.median(grey) > LIGHT_PAPER):
        return ink
    other = ink_under(evened(grey, not ink.light.dark), reduction)  # light and shadow may outweigh a small digit
    return other if other.problem is None else ink


def ink_under(light: Evened, reduction: float) -> Ink:
    """The ink of a picture under even light."""
    contrast, line_count = without_lines(light.contrast, light.noise)
    blank = Ink(contrast, None, 0, "blank", light, line_count)
    peak = ink_contrast(contrast, max(CLEAN_CONTRAST if light.flat else PAPER_CONTRAST, NOISE * light.noise))
    if peak is None:
        return blank
    intensities, components = components_on((contrast / np.float32(peak)).clip(0, 1), light.flat, reduction)
    if not len(components):
        return blank
    digit, digit_count = grouped(components)
    if not light.flat and not is_distinct(intensities, digit, peak):
        return blank
    problem = problem_of(digit, digit_count, reduction)
    if problem is None and peak < (FAINT if light.flat else FAINT_ON_PAPER):
        problem = "faint"
    return Ink(intensities, digit, digit_count, problem, light, line_count)


def ink_contrast(contrast: Grey, least: float) -> float | None:
    """The contrast of the ink: that of the darker of the two kinds of pixels which stand out (Otsu, 1979), since the
    lighter ones are edges, lines and shadows; None if too few stand out by `least`."""
    # What is below the first bin that counts is most of a picture; to sort it into bins would take most of the time.
    counts, edges = np.histogram(contrast[contrast > least - 1 / BINS], BINS, (0, 1))
    counts[: int(np.ceil(least * BINS))] = 0
    total = counts.sum()
    if total < FEWEST:
        return None
    middles = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum(), (counts * middles).cumsum()
    with np.errstate(all="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    split = int(np.nan_to_num(between, posinf=0).argmax()) if np.count_nonzero(counts) > 1 else -1
    upper = np.where(np.arange(BINS) > split, counts, 0).cumsum()
    return float(edges[1 + int(np.searchsorted(upper, DARKEST * upper[-1]))])


# What may be of a digit.


def components_on(intensities: Grey, drawing: bool, reduction: float) -> tuple[Grey, Components]:
    """The components that may be of a digit, and before them `intensities` with an outline made solid."""
    components = components_of(intensities >= SOLID, intensities)
    components = components.kept(components.sizes * reduction > min(DOT, min(intensities.shape) // 8))
    components = without_frame(without_shadows(without_specks(components), drawing))
    solid = made_solid(intensities, components)
    if solid is None:
        return intensities, components
    return solid, without_specks(components_of(solid >= SOLID, solid))


def without_specks(components: Components) -> Components:
    """The components that hold enough ink, compared with the largest."""
    return components.kept(components.masses >= SPECK * components.masses.max(initial=0))


def without_shadows(components: Components, drawing: bool) -> Components:
    """The components without those that hug the border; on a drawing, without those that touch it, if there are
    others."""
    sides, starts, ends = np.array(components.shape), components.boxes[:, ::2], components.boxes[:, 1::2]
    edge = 0 if drawing else EDGE
    beside = (starts <= edge * sides) & (ends <= BAND * sides)  # [N, 2]: the upper border, the left one
    beside |= (ends >= (1 - edge) * sides) & (starts >= (1 - BAND) * sides)  # the lower one, the right one
    lengths = ends - starts
    hug: NDArray[np.bool_] = np.any(beside & (lengths[:, ::-1] >= LONG * lengths), 1)
    return components if drawing and hug.all() else components.kept(~hug)


def without_frame(components: Components) -> Components:
    """The components without a box drawn around the others, and without what lies outside it."""
    starts, ends = components.boxes[:, ::2], components.boxes[:, 1::2]
    for i in np.argsort(-components.masses):
        within = (starts > starts[i]).all(1) & (ends < ends[i]).all(1)
        within &= components.sizes >= FRAMED * components.sizes[i]
        if within.any() and is_frame(components.kept(np.arange(len(components)) == i)):
            return components.kept(within)
    return components


def is_frame(component: Components) -> bool:
    """Whether a single component runs along the sides of its box and into the four corners of it, unlike a 0."""
    mask = component.mask(union(component.boxes))
    height, width = mask.shape
    band, corner = (int(share * max(height, width)) for share in (FRAME, CORNER))
    if mask[band : height - band, band : width - band].sum() > INSIDE * mask.sum():
        return False
    ends = slice(corner), slice(-corner, None)
    return all(mask[rows, columns].sum() > corner / 2 for rows in ends for columns in ends)


# Which of it is the digit.


def grouped(components: Components) -> tuple[Components, int]:
    """The components of the digit, and how many digits there are: components as large as digits that lie apart."""
    first, *rest = np.argsort(-components.masses).tolist()
    digit, others = [first], list[int]()
    for i in rest:
        together = are_together(union(components.boxes[digit]), union(components.boxes[[i]]))
        (digit if together else others).append(i)
    large = components.sizes[others] >= DIGIT * max(extent(union(components.boxes[digit])))
    return components.kept(np.isin(np.arange(len(components)), digit)), 1 + int(large.sum())


def are_together(box: Box, other: Box) -> bool:
    """Whether components with these boxes are of one digit: near each other, and not two large ones side by side."""
    smaller, larger = sorted((max(extent(box)), max(extent(other))))
    shorter, taller = sorted((extent(box)[0], extent(other)[0]))
    across = max(other[2] - box[3], box[2] - other[3])
    down = max(other[0] - box[1], box[0] - other[1])
    if across > ACROSS * larger or down > DOWN * larger:
        return False
    if smaller < PART * larger or -down < OVERLAP * shorter:  # −down: the rows that both have, or more
        return True
    return across <= next(gap for height, gap in GAPS if shorter > height * taller) * larger


def is_distinct(intensities: Grey, digit: Components, peak: float) -> bool:
    """Whether the ink on paper has edges, unlike clouds and shadows, and is more than a grain of the paper."""
    box = union(digit.boxes)
    size = max(extent(box))
    if size < SMALLEST_SHARE * max(intensities.shape) and peak < STRONG:
        return False
    box = grown(box, 3 + size // 10, digit.shape)  # room for the surroundings
    ink = resized(intensities[part(box)], RING_SIDE)
    mask = resized(digit.mask(box).astype(np.float32), RING_SIDE) > 0.5
    inner, outer = (spread(mask, window) for window in RING)
    around = outer & ~inner
    return bool(mask.any() and around.any()) and float(ink[around].mean()) < BLURRED * float(ink[mask].mean())


def problem_of(digit: Components, digit_count: int, reduction: float) -> Problem | None:
    """What is in the way of reading the digit."""
    if max(extent(union(digit.boxes))) * reduction < SMALLEST_DIGIT:
        return "too small"
    if digit_count > 1:
        return "several"
    return "cut off" if is_cut_off(digit) else None


def is_cut_off(digit: Components) -> bool:
    """Whether ink runs out of the picture on one side while there is room on the other. A picture that was cropped to
    its digit has ink on opposite sides."""
    height, width = digit.shape
    if min(height, width) < SMALLEST_CUT:
        return False
    top, bottom, left, right = box = union(digit.boxes)
    rooms = (top, height - bottom), (left, width - right)
    return any(min(room) == 0 and max(room) > ROOM * max(extent(box)) for room in rooms)

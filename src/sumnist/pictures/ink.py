"""The ink on a picture: grey intensities → the groups of connected components that may each be its digit.

Under even light, what is dark enough becomes connected components. Specks are dropped, and what hugs the border, such
as a shadow or the line of a form. Components that lie together are one group, such as a 5 and its loose bar. Which of
the groups is the digit, if any, the network is to say.

The limits were chosen on MNIST's training images and on the development half of the suites.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sumnist.pictures.background import WIDEST_STROKE, Evened, evened
from sumnist.pictures.components import Box, Components, components_of, extent, grown, part, union
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import resized, spread

__all__ = ["CLEAN_CONTRAST", "PAPER_CONTRAST", "Ink", "ink_of", "looked_closer"]

CLEAN_CONTRAST = 0.04
"""What differs less than this from the ground is no ink, even on a drawing without noise."""
PAPER_CONTRAST = 0.12
"""The same for a picture with noise, whose ground may have fibres and clouds."""
NOISE = 6
"""Ink stands out from the ground by this many standard deviations of its noise."""
BINS = 100
"""Of the histogram of contrasts."""
FEWEST = 3
"""Pixels that must stand out for there to be ink."""
DARKEST = 0.7
"""The ink's contrast is that below which this share of its pixels lies."""
SOLID = 0.4
"""A pixel is ink from this share of the ink's contrast on."""

DOT = 3
"""Pixels of the picture on the longer side of a speck that nobody would take for a digit."""
SPECK = 0.02
"""A component with less than this share of the largest one's ink is a speck."""
EDGE, BAND = 0.03, 0.15
"""Of the picture's side: what comes so near to its border, and stays within so wide a band along it, hugs it."""
LONG = 1.5
"""What hugs the border is this many times as long, along it, as it is wide."""

RING_SIDE = 120
"""A digit and its surroundings are reduced to this many pixels before they are compared."""
RING = 5, 9
"""The windows whose dilations the surroundings lie between, in these pixels."""
UNEVEN, EVEN = 0.2, 0.5
"""Around narrow strokes on even ground the quantile from below differs from their ink by more than this share of what
the same quantile from above does."""

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
GROUPS, FINE_GROUPS = (3, 0.35), (8, 0.1)
"""The most groups that are proposed, and the size, by the group before, of the first component of another; of all ink,
and of narrow strokes."""
FINE_STROKE = 0.15
"""Of the shorter side: strokes no wider than this are narrow."""
LARGE, SMALL, HOLLOW = 0.4, 0.08, 0.16
"""Of the picture's longer side: among narrow strokes a component that large is no digit; nor is one larger than the
second, whose ink fills less than the third of its box."""

NEARBY = 0.5
"""Of the digit's longer side: so much around it is looked at again."""
CLOSE = 200
"""Pixels of the longer side of what is looked at again."""
SLACK = 0.08
"""Of the digit's longer side: by so much its components may then reach out of where it was."""


@dataclass(frozen=True)
class Ink:
    """The ink on a picture.

    `intensities` `[H, W]` in [0, 1]: 1 where it is as dark as ink is here. `groups`: the components of what may be the
    digit, the largest first; at least one. `shares`: how much of the ink each holds. `light`: the picture under even
    light. `peak`: the contrast of the ink.
    """

    intensities: Grey
    groups: tuple[Components, ...]
    shares: tuple[float, ...]
    light: Evened
    peak: float


def ink_of(grey: Grey, dark: bool, reduction: float = 1.0, fine: bool = False) -> Ink | None:
    """The ink on `grey` `[H, W]` in [0, 1], darker than the ground or lighter, of which a pixel was `reduction` pixels
    of the picture; None if there is none. `fine`: narrow strokes alone, without outlines of what is large."""
    found = found_on(grey, dark, FINE_STROKE if fine else WIDEST_STROKE)
    if found is None:
        return None
    intensities, components, light, peak = found
    components = components.kept(components.sizes * reduction > min(DOT, min(grey.shape) // 8))
    components = without_specks(without_outlines(components)) if fine else without_debris(without_specks(components))
    groups = grouped(components, *(FINE_GROUPS if fine else GROUPS))
    if fine:
        groups = [group for group in groups if on_even_ground(grey if dark else 1 - grey, group)]
    total = components.masses.sum()
    shares = tuple(float(group.masses.sum() / total) for group in groups)
    return Ink(intensities, tuple(groups), shares, light, peak) if groups else None


def looked_closer(grey: Grey, digit: Components, dark: bool) -> tuple[Grey, Components] | None:
    """The ink around a `digit` that was found on a reduced copy of `grey` `[H, W]`, in full detail: the intensities
    there, and the components that lie where it was; None if there are none."""
    scale = max(grey.shape) / max(digit.shape)
    top, bottom, left, right = (round(side * scale) for side in union(digit.boxes))
    size = max(bottom - top, right - left)
    around = grown((top, bottom, left, right), 2 + int(NEARBY * size), grey.shape)
    found = found_on(resized(grey[part(around)], CLOSE), dark)
    if found is None:
        return None
    intensities, components, *_ = found
    finer = max(extent(around)) / max(intensities.shape)
    slack = SLACK * size + 1
    starts = components.boxes[:, ::2] * finer + (around[0], around[2])
    ends = components.boxes[:, 1::2] * finer + (around[0], around[2])
    there = ((starts >= (top - slack, left - slack)) & (ends <= (bottom + slack, right + slack))).all(1)
    components = without_specks(components.kept(there))
    return (intensities, components) if len(components) else None


def found_on(grey: Grey, dark: bool, widest: float = WIDEST_STROKE) -> tuple[Grey, Components, Evened, float] | None:
    """The ink on `grey` in [0, 1], its strokes no wider than `widest` of the shorter side, all components of it, the
    picture under even light, and the contrast of the ink."""
    light = evened(grey, dark, widest)
    peak = ink_contrast(light.contrast, max(CLEAN_CONTRAST if light.flat else PAPER_CONTRAST, NOISE * light.noise))
    if peak is None:
        return None
    intensities = (light.contrast / np.float32(peak)).clip(0, 1)
    return intensities, components_of(intensities >= SOLID, intensities), light, peak


def ink_contrast(contrast: Grey, least: float) -> float | None:
    """The contrast of the ink: that of the darker of the two kinds of pixels which stand out (Otsu, 1979), since the
    lighter ones are edges, lines and shadows; None if too few stand out by `least`."""
    # What is below the first bin that counts is most of a picture; to sort it into bins would take most of the time.
    bins = (contrast[contrast > least - 1 / BINS] * BINS).astype(np.int64)
    counts = np.bincount(bins.clip(0, BINS - 1), minlength=BINS)
    counts[: int(np.ceil(least * BINS))] = 0
    total = counts.sum()
    if total < FEWEST:
        return None
    middles = (np.arange(BINS) + 0.5) / BINS
    below, sums = counts.cumsum(), (counts * middles).cumsum()
    with np.errstate(all="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    split = int(np.nan_to_num(between, posinf=0).argmax()) if np.count_nonzero(counts) > 1 else -1
    upper = np.where(np.arange(BINS) > split, counts, 0).cumsum()
    return (1 + int(np.searchsorted(upper, DARKEST * upper[-1]))) / BINS


def without_specks(components: Components) -> Components:
    """The components that hold enough ink, compared with the largest."""
    return components.kept(components.masses >= SPECK * components.masses.max(initial=0))


def without_outlines(components: Components) -> Components:
    """The components that are neither large nor, for their size, hollow, as the edge of a sheet of paper is."""
    lengths, longer = components.boxes[:, 1::2] - components.boxes[:, ::2], max(components.shape)
    solid = components.masses >= HOLLOW * lengths.prod(1)
    return components.kept((components.sizes < LARGE * longer) & (solid | (components.sizes < SMALL * longer)))


def without_debris(components: Components) -> Components:
    """The components without those that hug the border, if there are others."""
    sides, starts, ends = np.array(components.shape), components.boxes[:, ::2], components.boxes[:, 1::2]
    beside = (starts <= EDGE * sides) & (ends <= BAND * sides)  # [N, 2]: the upper border, the left one
    beside |= (ends >= (1 - EDGE) * sides) & (starts >= (1 - BAND) * sides)  # the lower one, the right one
    lengths = ends - starts
    hug = np.any(beside & (lengths[:, ::-1] >= LONG * lengths), 1)
    return components if hug.all() else components.kept(~hug)


# What belongs together.


def grouped(components: Components, most: int, rival: float) -> list[Components]:
    """The components that lie together, around the largest one, and around the largest of the others: at most so many
    groups, none that begins with one smaller than `rival` of the group before."""
    left, groups = np.argsort(-components.masses, kind="stable").tolist(), list[list[int]]()
    while left and len(groups) < most:
        first, *others = left
        group, left = [first], []
        for i in others:
            together = are_together(union(components.boxes[group]), union(components.boxes[[i]]))
            (group if together else left).append(i)
        groups.append(group)
        left = [i for i in left if components.sizes[i] >= rival * max(extent(union(components.boxes[groups[0]])))]
    return [components.kept(np.isin(np.arange(len(components)), group)) for group in groups]


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


def on_even_ground(paper: Grey, digit: Components) -> bool:
    """Whether the ground in a ring around the ink is much the same on all sides, unlike at the edge of a sheet."""
    box = union(digit.boxes)
    box = grown(box, 3 + max(extent(box)) // 10, digit.shape)  # room for the ring
    inside = resized(paper[part(box)], RING_SIDE)
    mask = resized(digit.mask(box).astype(np.float32), RING_SIDE) > 0.5
    inner, outer = (spread(mask, window) for window in RING)
    ink, around = inside[mask], inside[outer & ~inner]
    if not len(ink) or not len(around):
        return False
    darker, lighter = np.quantile(around, (UNEVEN, 1 - UNEVEN))
    return bool(darker - ink.mean() > EVEN * (lighter - ink.mean()))

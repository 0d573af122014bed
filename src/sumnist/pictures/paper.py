"""The paper on a picture: a sheet, a note or a card that lies on something else, such as a desk.

Paper is a large region of much the same brightness, as light as it or as dark as it differs from what it lies on. Its
convex outline is laid around what is brighter, or darker, than Otsu's threshold, on a small copy of the picture; what
is outside of it is then painted with the paper's own brightness, so that the desk cannot be taken for ink.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sumnist.pictures.components import components_of, part
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import closing, resampled, resized, spread

__all__ = ["Paper", "papers_on"]

CELLS = 96
"""Paper is looked for on a grid with at most this many cells on the longer side."""
LEAST, MOST = 0.04, 0.95
"""Share of the picture that a sheet covers."""
CONVEX = 0.8
"""Share of its convex outline that the paper fills, ink included."""
INK = 9
"""The window of the closing, in cells, that fills the ink on the paper."""
EDGE, LEAST_STEP = 5, 0.03
"""The window, in cells, of what is just within and just outside of an outline; between them is at least such a step."""
BINS = 64
SHRUNK = 0.03
"""Of its longer side: the paper's edge with its shadow is left out by so much."""
SMALLEST = 200
"""Pixels of the shorter side of a picture on which paper is looked for: smaller ones are crops."""

Mask = NDArray[np.bool_]


class Paper(NamedTuple):
    """A sheet: `grey` `[h, w]`, with nothing but its own ground around it, and where its first pixel lies."""

    grey: Grey
    top: int
    left: int


def papers_on(grey: Grey) -> Iterator[Paper]:
    """The sheets on a picture that lie on something darker, or on something brighter."""
    if min(grey.shape) < SMALLEST:
        return
    small = resized(grey, CELLS)
    threshold = otsu(small)
    for bright in (True, False):
        outline = outline_of(small > threshold if bright else small <= threshold)
        if outline is not None and step_at(small, outline) >= LEAST_STEP:
            yield cut_out(grey, outline)


def otsu(values: Grey) -> float:
    """The threshold that parts `values` best into two kinds (Otsu, 1979)."""
    counts, edges = np.histogram(values, BINS, (0, 1))
    middles = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum(), (counts * middles).cumsum()
    with np.errstate(all="ignore"):
        between = (sums[-1] * below / below[-1] - sums) ** 2 / (below * (below[-1] - below))
    return float(edges[1 + int(np.nan_to_num(between, posinf=0).argmax())])


def outline_of(mask: Mask) -> Mask | None:
    """The convex outline, filled, of the largest piece of `mask`; None if no sheet of paper looks like that."""
    mask = closing(np.pad(mask, INK).astype(np.int8), INK)[INK:-INK, INK:-INK] > 0
    pieces = components_of(mask, mask.astype(np.float32))
    if not len(pieces):
        return None
    piece = pieces.kept(np.arange(len(pieces)) == pieces.masses.argmax()).mask()
    outline = filled(hull(np.argwhere(piece)), piece.shape)
    share = outline.mean()
    return outline if LEAST < share < MOST and piece.sum() >= CONVEX * outline.sum() else None


def step_at(small: Grey, outline: Mask) -> float:
    """How much brighter or darker `small` is just within the `outline` than just outside of it: light that falls off
    across a sheet has no edge there, as paper has."""
    within = outline & spread(~outline, EDGE)
    beyond = ~outline & spread(outline, EDGE)
    return abs(float(small[within].mean()) - float(small[beyond].mean()))


def hull(points: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The corners of the convex hull of `points` (row, column) `[N, 2]`, in order (Andrew's monotone chain, 1979)."""
    ordered = sorted(map(tuple, points.tolist()))
    sides: list[tuple[int, int]] = []
    for path in (ordered, ordered[::-1]):
        side: list[tuple[int, int]] = []
        for point in path:
            while len(side) > 1 and turn(side[-2], side[-1], point) <= 0:
                side.pop()
            side.append(point)
        sides += side[:-1]
    return sides or ordered


def turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    """Above 0 if the way from `a` by `b` to `c` turns to one side, below 0 if to the other."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def filled(corners: list[tuple[int, int]], shape: tuple[int, ...]) -> Mask:
    """What lies within `corners` (row, column), on a picture of `shape`."""
    image = Image.new("1", (shape[1], shape[0]))
    if len(corners) > 1:
        ImageDraw.Draw(image).polygon([(column, row) for row, column in corners], fill=1)
    return np.asarray(image)


def cut_out(grey: Grey, outline: Mask) -> Paper:
    """The part of `grey` within the `outline`, on the paper's own ground."""
    window = 2 * max(1, round(SHRUNK * max(outline.shape))) + 1
    inner = ~spread(np.pad(~outline, 1, "edge"), window)[1:-1, 1:-1]  # where the picture ends the paper goes on
    inside = resampled(inner, grey.shape) > 0.5
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        inside = np.ones(grey.shape, bool)
        rows, columns = np.arange(grey.shape[0]), np.arange(grey.shape[1])
    box = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    ground = np.median(grey[inside])
    return Paper(np.where(inside, grey, ground)[part(box)].astype(np.float32), box[0], box[2])

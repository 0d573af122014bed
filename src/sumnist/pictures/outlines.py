"""A digit drawn as an outline, or as the edges of its strokes, made solid.

The lines of an outline run side by side. So a closing, with a window wider than the gap between them and narrower than
the room inside a digit, makes much more ink of an outline, and hardly more of a digit written with single lines.
Measured with a window of 13 of 80 pixels: at most 1.3 times as much ink for nine in ten of MNIST's digits and of those
of every other writer of the development half of the suites; at least 1.9 times for nine in ten of the writer of
outlines.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sumnist.pictures.components import Components, components_of, extent, part, union
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import closing, resampled, resized, spread

__all__ = ["made_solid", "stroke_width"]

SIDE = 80
"""Pixels of the longer side to which a digit is scaled; the widths below are in these pixels."""
INKED = 0.4
"""A pixel is ink if at least this share of it was."""
THICKEST = 7
"""The widest lines of an outline."""
GAPS = (3, 5, 7, 9)
"""Windows that close gaps in an outline, which has an inside then."""
WIDEST = 13
"""The widest window."""
WINDOWS = (5, 7, 9, 11, WIDEST)
"""Windows that fill an outline whose gaps are wider."""
LEAST_GAIN = 1.5
"""Times as much ink after the closing as before, by which an outline is known."""
ENOUGH = 0.9
"""Of the ink that the widest window gives: with less, the outline still has a gap."""
MOST_COMPONENTS = 30
"""More of them are no outline."""
STROKE_INK = 0.5
"""A pixel belongs to a stroke from this much ink on."""


def made_solid(intensities: Grey, components: Components) -> Grey | None:
    """`intensities` `[H, W]` with the outline that `components` are filled with ink; None if they are no outline."""
    if not 0 < len(components) <= MOST_COMPONENTS:
        return None
    box = union(components.boxes)
    lines = resized(components.mask(box), SIDE, grow=True) >= INKED
    if stroke_width(lines) > THICKEST:
        return None
    widest = closed(lines, WIDEST)
    if widest.sum() < LEAST_GAIN * lines.sum():
        return None
    insides = (inside(closed(lines, gap)) for gap in GAPS)
    filled = chain(insides, (closed(lines, window) for window in WINDOWS))
    solid = next(mask for mask in filled if mask.sum() >= ENOUGH * widest.sum())
    result = intensities.copy()
    result[part(box)] = np.maximum(result[part(box)], resampled(solid, extent(box)))
    return result


def inside(lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`lines`, and what lies directly within those that can be reached from outside; not what other lines keep apart
    from these, such as the hole of a 6."""
    lines = np.pad(lines, 1)
    ink = lines.astype(np.float32)
    ground, pieces = components_of(~lines, ink), components_of(lines, ink)
    outside = ground.touched(~np.pad(np.ones((lines.shape[0] - 2, lines.shape[1] - 2), bool), 1))
    outer = pieces.kept(pieces.touched(spread(ground.kept(outside).mask(), 3))).mask()
    within = ground.kept(~outside & ground.touched(spread(outer, 3))).mask()
    return (lines | within)[1:-1, 1:-1]


def closed(mask: NDArray[np.bool_], window: int) -> NDArray[np.bool_]:
    """`mask` with everything filled that a square of `window` × `window` pixels does not fit into."""
    padded = np.pad(mask, window).astype(np.int8)
    return closing(padded, window)[window:-window, window:-window].astype(bool)


def stroke_width(ink: NDArray[np.float64] | Grey | NDArray[np.bool_]) -> float:
    """The mean width of the strokes in pixels: a stroke has two edges, so twice its area over the pixels on them."""
    solid = np.pad(ink >= STROKE_INK, 1)
    inner = solid[1:-1, 1:-1] & solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    area = int(solid.sum())
    return 2 * area / max(1, area - int(inner.sum()))

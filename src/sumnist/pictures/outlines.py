"""A digit drawn as an outline, or as the edges of its strokes, made solid.

What tells an outline is that its lines run side by side: a closing whose window is wider than the gap between them, and
narrower than the room inside a digit, makes much more ink of it, and hardly more of a digit that was written with one
line. Measured with a window of 13 of 80 pixels: 1.3 times as much ink at most for nine in ten of MNIST's digits and of
those of every other hand of the development half, 1.9 times at least for nine in ten of the hand that writes outlines.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.pictures.components import Marks, marks_of, union
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import spread

__all__ = ["made_solid", "stroke_width"]

SIDE = 80
"""Pixels of the longer side of the digit when this is looked at."""
THICKEST = 7
"""Of these pixels: an outline has thinner lines."""
WIDEST = 13
"""The widest window, of these pixels."""
GAPS = (3, 5, 7, 9)
"""Windows that close the gaps of an outline, which then has an inside."""
WINDOWS = (5, 7, 9, 11, WIDEST)
"""Windows that fill an outline with wider gaps."""
MORE = 1.5
"""Times as much ink after the closing as before: an outline."""
ENOUGH = 0.9
"""Of the ink that the widest window gives: an outline whose inside has less of it has a gap still."""
MOST_PIECES = 30


def made_solid(levels: Grey, marks: Marks) -> Grey | None:
    """`levels` `[H, W]` with the outline that `marks` are filled with ink; None if they are none."""
    if not 0 < len(marks) <= MOST_PIECES:
        return None
    top, bottom, left, right = box = union(marks.boxes)
    small = enlarged(marks.mask(box).astype(np.float32), SIDE / max(bottom - top, right - left)) >= 0.4
    if stroke_width(small) > THICKEST:
        return None
    solid = closed(small, WIDEST)
    if solid.sum() < MORE * small.sum():
        return None
    enough = ENOUGH * solid.sum()
    filled = (inside(closed(small, gap)) for gap in GAPS)
    solid = next(one for one in chain(filled, (closed(small, window) for window in WINDOWS)) if one.sum() >= enough)
    size = right - left, bottom - top
    filling = np.asarray(Image.fromarray(solid.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    result = levels.copy()
    result[top:bottom, left:right] = np.maximum(result[top:bottom, left:right], filling)
    return result


def inside(lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`lines` and what lies directly within those that can be reached from outside; not what other lines keep apart
    from them, such as the hole of a 6."""
    lines = np.pad(lines, 1)
    ink = lines.astype(np.float32)
    ground = marks_of(~lines, ink)
    outside = ground.touched(~np.pad(np.ones((lines.shape[0] - 2, lines.shape[1] - 2), bool), 1))
    pieces = marks_of(lines, ink)
    outer = pieces.kept(pieces.touched(beside(ground.kept(outside).mask()))).mask()
    within = ground.kept(~outside & ground.touched(beside(outer))).mask()
    return (lines | within)[1:-1, 1:-1]


def beside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`mask` and the pixels around it."""
    both: NDArray[np.bool_] = spread(mask.astype(np.int8), 3) > 0
    return both


def closed(mask: NDArray[np.bool_], window: int) -> NDArray[np.bool_]:
    """`mask` with what a square of `window` × `window` pixels does not fit into filled."""
    padded = np.pad(mask, window).astype(np.int8)
    both: NDArray[np.bool_] = -spread(-spread(padded, window), window) > 0
    return both[window:-window, window:-window]


def enlarged(values: Grey, factor: float) -> Grey:
    """`values` with sides `factor` times as long."""
    size = max(1, round(values.shape[1] * factor)), max(1, round(values.shape[0] * factor))
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(values).resize(size, how))


def stroke_width(ink: NDArray[np.float64] | Grey | NDArray[np.bool_]) -> float:
    """The mean width of the strokes in pixels: a stroke has two edges, so twice its area over the pixels on them."""
    solid = np.pad(ink >= 0.5, 1)
    inside = solid[1:-1, 1:-1] & solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    area = int(solid.sum())
    return 2 * area / max(1, area - int(inside.sum()))

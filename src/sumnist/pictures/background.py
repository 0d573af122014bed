"""Uneven light taken out of a picture: what is left is how much darker than the paper around it each pixel is.

Dark ink on light ground is the rule here; a picture of light ink is turned over first. Which of the two it is, is told
by the sign of the third moment about the local median: ink is scarce and stands out far. The light on the paper is what
a closing leaves of the picture, with a window so large that strokes vanish and so small that shadows do not, then the
mean of the paper's pixels nearby; all of it at a small resolution, so that a large picture costs little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import box_mean, median, resized, spread, widened

__all__ = ["Evened", "evened"]

CELLS = 96
"""The light is worked out on a grid with at most this many cells on the longer side."""
COARSE = 24
"""As many for the polarity."""
MOST_STRIPES = 4
"""Edges between black and white columns; more are a grating."""
CENTRAL = 0.8
"""How much less the edge of the picture counts there than its middle."""
WIDEST_STROKE = 0.3
"""Of the shorter side: what is darker than its surroundings over more than this is a shadow."""
FLAT = (16, 0.0), (64, 0.25), (np.inf, 0.45)
"""The share of pixels as bright as the paper that only a drawing or a scan has, for pictures with a shorter side below
so many pixels; light and strokes cannot be told apart on the smallest."""
BRIGHTEST_BOARD = 0.7
"""On a brighter ground nobody writes with light ink."""
DEEPEST_SHADE = 0.6
"""Of the brightest paper nearby: what is darker at the edge of the picture is ink that touches it."""
GLARE = 0.02
"""A share of pixels that may be brighter than the paper."""
BAND = 2.5
"""Levels of 255 by which bare paper may differ from its usual brightness there."""
LEAST_SHADE = 0.03
"""What is less dark than this is paper."""
DARKEST_PAPER = 0.4
"""The ink on darker paper than this is measured against this."""
MAD_TO_DEVIATION = 1.4826
"""Median absolute deviation → standard deviation of normal noise."""


@dataclass(frozen=True)
class Evened:
    """A picture under even light: `contrast` float32 `[H, W]`, 0 for the paper, the share of its light that is missing
    for ink (for light ink, of its darkness); `noise`: the standard deviation of the paper's; `dark`: the ink is;
    `flat`: the paper is of one brightness all over, as in a drawing or a scan."""

    contrast: Grey
    noise: float
    dark: bool
    flat: bool


def evened(grey: Grey, dark: bool | None = None) -> Evened:
    """The contrast of the ink on `grey` `[H, W]` in [0, 1], which is `dark` or light, or what seems likelier."""
    grey = without_panels(grey)
    dark = ink_is_dark(grey) if dark is None else dark
    paper = grey if dark else 1 - grey
    ground = ground_of(paper)
    contrast = (ground - paper) / np.maximum(ground, DARKEST_PAPER)
    some = contrast.ravel()[:: max(1, contrast.size // 50_000)]
    flat = ground.ndim == 0
    if flat:  # so much of it is ink, perhaps, that the median would not be the ground's
        some = some[np.abs(some) < BAND / 255 / max(ground, DARKEST_PAPER)]
    middle = median(some)
    noise = MAD_TO_DEVIATION * median(np.abs(some - middle))
    return Evened((contrast - middle).clip(0, 1).astype(np.float32), noise, dark, flat)


def without_panels(grey: Grey) -> Grey:
    """`grey` with its white columns turned over if its ground is black in some and white in the others, as the stripes
    of MNIST-C have it; the ground of a column is what it is at both ends."""
    ends = np.concatenate([grey[:2], grey[-2:]])
    white, black = ends.min(0) > 0.9, ends.max(0) < 0.1
    stripes = np.count_nonzero(np.diff(white))
    if not (white | black).all() or not 1 <= stripes <= MOST_STRIPES or min(white.mean(), black.mean()) < 0.1:
        return grey
    return np.where(white, 1 - grey, grey)


def ink_is_dark(grey: Grey) -> bool:
    """Whether what stands out from its surroundings is darker than they; what is in the middle counts for more."""
    coarse = resized(grey, COARSE)
    if np.median(coarse) > BRIGHTEST_BOARD:
        return True
    reach = [min(max(1, max(coarse.shape) // 4), side) for side in coarse.shape]
    padded = np.pad(coarse, [(one, one) for one in reach], "symmetric")
    windows = sliding_window_view(padded, [2 * one + 1 for one in reach])
    local = np.median(windows.reshape(*windows.shape[:2], -1), -1)
    rows, columns = (1 - CENTRAL * np.linspace(-1, 1, side) ** 2 for side in coarse.shape)
    away = (coarse - local) / (np.maximum(coarse, local) + DARKEST_PAPER)
    return float(rows @ away**3 @ columns) < 0


def ground_of(paper: Grey) -> Grey | np.float32:
    """The brightness that `paper` would have without the dark ink, `[H, W]`; one value if it is the same all over."""
    flat = flat_ground(paper)
    if flat is not None:
        return flat
    small = resized(paper, CELLS)
    window = max(3, round(WIDEST_STROKE * min(small.shape)) | 1)
    closed = -spread(-spread(extended(small, window), window), window)[window:-window, window:-window]
    missing = 1 - small / np.maximum(closed, DARKEST_PAPER)
    middle = float(np.median(missing))
    bare = missing <= max(LEAST_SHADE, middle + 4 * float(np.median(np.abs(missing - middle))))
    count, light = box_mean(bare.astype(np.float32)), box_mean(np.where(bare, small, 0))
    ground = np.where(count > 0.2, light / np.maximum(count, 0.2), closed * (1 - middle))
    return resized(ground.astype(np.float32), paper.shape)


def extended(small: Grey, by: int) -> Grey:
    """`small` with `by` cells more on every side, where light that falls off towards the edge falls off further."""
    for axis in (0, 1):
        reach = min(by, small.shape[axis] - 1)
        level, shade = widened(small, axis, reach), DEEPEST_SHADE * widened(spread(small, by), axis, reach)
        beyond = np.minimum(widened(small, axis, reach, reflect_type="odd"), level)
        small = widened(np.maximum(beyond, np.minimum(shade, level)), axis, by - reach)
    return small


def flat_ground(paper: Grey) -> np.float32 | None:
    """The brightness of `paper` where it is bare, if that is the same all over, as in a drawing or a scan."""
    levels = paper * 255
    counts = Image.fromarray((levels + 0.5).astype(np.uint8)).histogram()  # much faster than numpy's
    level = 255 - int(np.argmax(np.cumsum(counts[::-1]) > GLARE * paper.size))
    bare = np.abs(levels - level) <= BAND
    share = next(share for side, share in FLAT if min(paper.shape) < side)
    return np.float32(median(paper[bare])) if np.count_nonzero(bare) >= share * paper.size else None

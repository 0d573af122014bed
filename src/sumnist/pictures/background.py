"""Even light: how much darker than the paper around it each pixel of a picture is.

Dark ink on a light ground is the rule; a picture of light ink on a dark ground is inverted first. Its polarity is the
sign of the third moment about the local median, since ink is scarce and stands out far. The light on the paper is a
closing of the picture, with a window so large that strokes vanish and so small that shadows stay, and then the mean of
the bare paper nearby. Both are computed at a small resolution, so that a large picture costs little.

The limits were chosen on MNIST's training images and on the development half of the suites.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import box_mean, closing, median, resampled, resized, spread, widened

__all__ = ["Evened", "evened", "flat_ground", "ink_is_dark"]

CELLS = 96
"""The light is computed on a grid with at most this many cells on the longer side."""
COARSE = 24
"""The polarity likewise."""
SAMPLES = 50_000
"""The noise of a larger picture is that of a sample of its pixels, of about this size or up to twice it."""

CENTRAL = 0.8
"""For the polarity, the edge of the picture counts so much less than its middle."""
NEARBY = 4
"""The local median is that of the cells within the longer side divided by this."""
BRIGHTEST_BOARD = 0.7
"""Nobody writes with light ink on a brighter ground."""

WIDEST_STROKE = 0.3
"""Of the shorter side: what is darker than its surroundings over a wider stretch is a shadow."""
DEEPEST_SHADE = 0.6
"""Of the brightest paper nearby: what is darker at the edge of the picture is ink that touches the edge."""
DARKEST_PAPER = 0.4
"""Ink on paper darker than this is measured against this."""
LEAST_SHADE = 0.03
"""Share of the light that is missing: with less, a cell is bare paper."""
OUTLIER = 4
"""Median absolute deviations above the median: with more of the light missing, a cell is no bare paper."""
LEAST_BARE = 0.2
"""Share of the cells around one that are bare paper: with fewer, its light is that of the closing alone."""

FLAT = (16, 0.0), (64, 0.25), (np.inf, 0.45)
"""Pixels of the shorter side below which a picture is flat (a drawing or a scan) if more than this share of it is as
bright as its paper. On the smallest pictures light and strokes cannot be told apart."""
GLARE = 0.02
"""Share of the pixels that may be brighter than the paper."""
BAND = 2.5
"""How far bare paper may be from its usual intensity, in steps of uint8."""
MAD_TO_DEVIATION = 1.4826
"""Median absolute deviation → standard deviation, for normal noise."""


@dataclass(frozen=True)
class Evened:
    """A picture under even light.

    `contrast` float32 `[H, W]`: 0 for the paper; for dark ink the share of the light that is missing, for light ink
    that of the darkness. `noise`: the standard deviation of the paper's contrast. `flat`: whether the paper is equally
    bright all over, as in a drawing or a scan.
    """

    contrast: Grey
    noise: float
    flat: bool


def evened(grey: Grey, dark: bool, widest: float = WIDEST_STROKE) -> Evened:
    """`grey` `[H, W]` in [0, 1] under even light, its ink `dark` or light, with strokes no wider than `widest` of the
    shorter side."""
    paper = grey if dark else 1 - grey
    ground = ground_of(paper, widest)
    contrast = (ground - paper) / np.maximum(ground, DARKEST_PAPER)
    sample = contrast.ravel()[:: max(1, contrast.size // SAMPLES)]
    flat = ground.ndim == 0
    if flat:  # so much of it may be ink that the median would not be the ground's
        sample = sample[np.abs(sample) < BAND / 255 / max(ground, DARKEST_PAPER)]
    middle = median(sample)
    noise = MAD_TO_DEVIATION * median(np.abs(sample - middle))
    return Evened((contrast - middle).clip(0, 1).astype(np.float32), noise, flat)


def ink_is_dark(grey: Grey) -> bool:
    """Whether what stands out is darker than its surroundings; the middle of the picture counts for more."""
    coarse = resized(grey, COARSE)
    if np.median(coarse) > BRIGHTEST_BOARD:
        return True
    reach = [min(max(1, max(coarse.shape) // NEARBY), side) for side in coarse.shape]
    padded = np.pad(coarse, [(by, by) for by in reach], "symmetric")
    windows = sliding_window_view(padded, [2 * by + 1 for by in reach])
    local = np.median(windows.reshape(*windows.shape[:2], -1), -1)
    rows, columns = (1 - CENTRAL * np.linspace(-1, 1, side) ** 2 for side in coarse.shape)
    deviation = (coarse - local) / (np.maximum(coarse, local) + DARKEST_PAPER)
    return float(rows @ deviation**3 @ columns) < 0


def ground_of(paper: Grey, widest: float) -> Grey | np.float32:
    """The brightness that `paper` would have without its dark ink: `[H, W]`, or one value if it is flat."""
    flat = flat_ground(paper)
    if flat is not None:
        return flat
    small = resized(paper, CELLS)
    window = max(3, round(widest * min(small.shape)) | 1)
    closed = closing(extended(small, window), window)[window:-window, window:-window]
    missing = 1 - small / np.maximum(closed, DARKEST_PAPER)
    middle = float(np.median(missing))
    bare = missing <= max(LEAST_SHADE, middle + OUTLIER * float(np.median(np.abs(missing - middle))))
    share, light = box_mean(bare.astype(np.float32)), box_mean(np.where(bare, small, 0))
    ground = np.where(share > LEAST_BARE, light / np.maximum(share, LEAST_BARE), closed * (1 - middle))
    same_rows = len(ground) == len(paper)  # only a picture hardly wider than the grid: its columns are repeated
    return resampled(ground, paper.shape, Image.Resampling.BOX if same_rows else Image.Resampling.BILINEAR)


def extended(small: Grey, by: int) -> Grey:
    """`small` with `by` cells more on every side, in which the light goes on as it is near the edge.

    Light that falls off towards the edge falls off further, as the mirror image of its fall inside, but not below the
    darkest shade: what is darker than that is ink. Light that grows towards the edge stays as it is there.
    """
    for axis in (0, 1):
        reach = min(by, small.shape[axis] - 1)
        last, shade = widened(small, axis, reach), DEEPEST_SHADE * widened(spread(small, by), axis, reach)
        falling = np.minimum(widened(small, axis, reach, reflect_type="odd"), last)
        small = widened(np.maximum(falling, np.minimum(shade, last)), axis, by - reach)
    return small


def flat_ground(paper: Grey) -> np.float32 | None:
    """The brightness of bare `paper` if it is the same all over, as in a drawing or a scan; else None."""
    intensities = paper * 255
    counts = Image.fromarray((intensities + 0.5).astype(np.uint8)).histogram()  # much faster than numpy's
    usual = 255 - int(np.argmax(np.cumsum(counts[::-1]) > GLARE * paper.size))
    bare = np.abs(intensities - usual) <= BAND
    share = next(share for side, share in FLAT if min(paper.shape) < side)
    return np.float32(median(paper[bare])) if np.count_nonzero(bare) >= share * paper.size else None

"""Printed lines taken out of the contrast of a picture: ruled and squared paper, without cutting the digit on it.

A line is thin, straight and goes from one edge of the picture to the other, at most 12° off the rows or the columns.
Lines are found by summing, along every such direction, where the picture has a ridge (a Hough transform by shears).
What lies on a line is kept where it is far darker than the line, or where ink goes on beside it: there a stroke
crosses the line or runs along it.

The limits were chosen on MNIST's training images and on the development half of the suites.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import resized

__all__ = ["without_lines"]

Offsets = NDArray[np.floating[Any]]

SMALLEST = 64
"""Lines cannot be told from strokes on a picture with a shorter side than this many pixels."""
GRID = 160
"""Lines are looked for on a grid with at most this many cells on the longer side."""
STEEPEST = 0.21
"""Rows per column."""
APART = 3
"""A line is darker than what is so many cells above and below it."""
FAINTEST = 0.012
"""A line is darker by this much at least."""
TYPICAL = 2
"""It is also darker by this many times what is typical of the picture."""
SHORTEST = 5
"""A line must cross at least one part in so many of the picture's width."""
COVERED = 0.65
"""Share of the line's length that must be seen."""
ENDS = 10
"""The ends of a line are its first and last part of so many; a line ends only where the picture does."""
REACHED = 0.3
"""Share of each end that must be seen."""
MOST = 60
"""Lines that are looked for in each of the two directions."""

BEND = 2.5
"""Cells by which a line may bend away from the straight one, since lenses and sheets bend it."""
PARTS = 8
"""A bent line is followed in this many parts."""
USUAL = 0.4, 2.0
"""A part shows the line if its contrast is between these multiples of the median part's."""
LEAST_USUAL = 3
"""Parts that must show the line for a parabola to be laid through them."""
LARGEST_STEP = 1.5
"""Pixels by which a part may lie off that parabola."""
AT_EDGE = 0.4
"""Share of its highest contrast that a line has at its edge."""
BESIDE = 2, 3
"""Pixels from the edge of a line to what counts as beside it."""
DARKER = 1.6
"""Ink over a line is this many times as dark as the line."""
CONTINUED = 0.5
"""A stroke has at least this share of a pixel's contrast beside the line too."""
NOISE = 4
"""Ink stands out by this many standard deviations of the noise."""


def without_lines(contrast: Grey, noise: float) -> tuple[Grey, int]:
    """`contrast` `[H, W]` without printed lines, and how many there were."""
    if min(contrast.shape) < SMALLEST:
        return contrast, 0
    count = 0
    for _ in range(2):  # rows, then columns
        lines = list(lines_on(resized(contrast, GRID))) if has_ends(contrast) else []
        for slope, row in lines:
            contrast = erased(contrast, slope, row, noise)
        count += len(lines)
        contrast = contrast.T
    return np.ascontiguousarray(contrast), count


# Finding the lines.


def has_ends(contrast: Grey) -> bool:
    """Whether a line might end at the frame of `contrast`: False for clean paper, at once, where `reaches_frame` would
    say so of its grid."""
    cell = 1 + max(contrast.shape) // GRID
    columns = contrast.shape[1] // 8 + 2 * cell  # some more than `reaches_frame` looks at, since cells share pixels
    rows = int(STEEPEST * columns) + 5 * cell
    return any(float(side.max()) > FAINTEST for side in frame(contrast, columns, rows))


def reaches_frame(hits: NDArray[np.bool_]) -> bool:
    """Whether any of `hits` is near enough to the frame to belong to an end of a line: within the width of an end, and
    the rows that the steepest line crosses there."""
    columns = hits.shape[1] // ENDS + 1
    return any(bool(side.any()) for side in frame(hits, columns, int(np.ceil(STEEPEST * columns)) + 1))


def frame(values: NDArray[Any], columns: int, rows: int) -> tuple[NDArray[Any], ...]:
    """The outermost `columns` and `rows` of `values` on each side."""
    return values[:, :columns], values[:, -columns:], values[:rows], values[-rows:]


def lines_on(small: Grey) -> Iterator[tuple[float, float]]:
    """The lines along the rows of `small` `[h, w]`: slope (rows per column), and the row at the middle column as a
    share of the height."""
    height, width = small.shape
    hits = hits_on(small)
    if not reaches_frame(hits):
        return
    slopes, most, middle = slopes_of(width), most_of(width), (width - 1) / 2
    lengths = lengths_of(height, width)
    shares = np.where(lengths >= width / SHORTEST, along_lines(hits) / np.maximum(lengths, 1), 0)  # [slopes, rows]
    shares[shares < COVERED] = 0
    rows = np.arange(shares.shape[1])
    for _ in range(MOST):
        best, row = divmod(int(shares.argmax()), len(rows))
        if shares[best, row] == 0:
            return
        ties = np.flatnonzero(shares[:, row] >= shares[best, row])
        slope = slopes[ties[len(ties) // 2]]
        at = row - most + np.rint(slope * (np.arange(width) - middle)).astype(int)
        seen = hits[at.clip(0, height - 1), np.arange(width)][(at >= 0) & (at < height)]
        end = max(1, len(seen) // ENDS)
        if min(seen[:end].mean(), seen[-end:].mean()) >= REACHED:
            yield float(slope), (row - most + 0.5) / height
        near = np.abs(rows - row) - np.abs(slopes - slope)[:, None] * middle <= APART + 1
        shares[near] = 0


def hits_on(small: Grey) -> NDArray[np.bool_]:
    """Where `small` `[h, w]` is darker than above and below, and the rows next to these places."""
    padded = np.pad(small, ((APART, APART), (0, 0)))
    ridge = small - np.maximum(padded[: -2 * APART], padded[2 * APART :])
    hits: NDArray[np.bool_] = ridge > max(FAINTEST, TYPICAL * float(np.median(np.abs(ridge))))
    hits[1:-1] |= hits[2:] | hits[:-2]
    return hits


@lru_cache(maxsize=32)
def lengths_of(height: int, width: int) -> NDArray[np.float32]:
    """How many pixels of a picture each line has: `[slopes, rows]`."""
    return along_lines(np.ones((height, width), bool))


def slopes_of(width: int) -> NDArray[np.float64]:
    """The slopes that are tried, rows per column: neighbours differ by two pixels from one end to the other."""
    steps = max(1, round(STEEPEST * width / 2))
    return np.linspace(-STEEPEST, STEEPEST, 2 * steps + 1)


def most_of(width: int) -> int:
    """Rows by which the steepest line leaves its row at the middle column, and one: the index among the rows of
    `along_lines` of the picture's first."""
    return int(np.ceil(STEEPEST * width / 2)) + 1


def along_lines(hits: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The number of `hits` on each line: `[slopes, rows]`. Neighbouring columns in which a line has the same row are
    summed once for all rows, as the difference of two running sums."""
    height, width = hits.shape
    most, slopes, columns = most_of(width), slopes_of(width), np.arange(width) - (width - 1) / 2
    rows = height + 2 * most
    running = np.zeros((width + 1, rows + 2 * most), np.float32)
    running[1:, 2 * most : 2 * most + height] = np.cumsum(hits.T, 0)
    sums = np.zeros((len(slopes), rows), np.float32)
    for i, slope in enumerate(slopes):
        shifts = np.rint(slope * columns).astype(int)
        for begin, end in pairwise([0, *(np.flatnonzero(np.diff(shifts)) + 1).tolist(), width]):
            part = slice(most + shifts[begin], most + shifts[begin] + rows)
            sums[i] += running[end, part] - running[begin, part]
    return sums


# Taking one out.


def erased(contrast: Grey, slope: float, row: float, noise: float) -> Grey:
    """`contrast` without the line of this slope that crosses the middle column at this share of the height."""
    height, width = contrast.shape
    reach = int(np.ceil(BEND * max(1.0, max(contrast.shape) / GRID))) + 2
    margin = max(BESIDE)
    columns, offsets = np.arange(width), np.arange(-reach - margin, reach + margin + 1)
    straight = row * height - 0.5 + slope * (columns - (width - 1) / 2)
    at = np.rint(straight).astype(int) + offsets[:, None]  # [offsets, width]
    around = np.where((at >= 0) & (at < height), contrast[at.clip(0, height - 1), columns], np.nan)
    outside = np.isnan(around)
    if outside[margin:-margin].all():
        return contrast
    centre, half, darkness = followed(around[margin:-margin], offsets[margin:-margin])
    above, below = (beside(around, centre, side * half, side) for side in (-1, 1))
    crossed = np.fmax(above, below) > np.maximum(CONTINUED * around, NOISE * noise)
    ink = crossed | (around > DARKER * darkness + NOISE * noise)
    erase = (np.abs(offsets[:, None] - centre) <= half + 1) & ~outside & ~ink
    ground = np.broadcast_to(np.fmax(np.fmin(above, below), 0), at.shape)
    result = contrast.copy()
    result[at[erase], np.broadcast_to(columns, at.shape)[erase]] = ground[erase]
    return result


def beside(around: Offsets, centre: Offsets, edge: int, side: int) -> Offsets:
    """The contrast in each column just beyond the `edge` of the line on one `side`, −1 above or 1 below; NaN outside
    the picture."""
    middle = np.rint(centre).astype(int) + len(around) // 2
    rows = [(middle + edge + side * step).clip(0, len(around) - 1) for step in BESIDE]
    contrast: Offsets = np.fmin.reduce([around[row, np.arange(len(middle))] for row in rows])
    return contrast


def followed(around: Offsets, offsets: NDArray[np.int64]) -> tuple[Offsets, int, float]:
    """Where the line is in each column of its surroundings `[offsets, W]`, as an offset; half its width in pixels; its
    contrast."""
    inside = np.flatnonzero(~np.isnan(around).all(0))
    edges = np.linspace(inside[0], inside[-1] + 1, PARTS + 1).astype(int)
    middles = (edges[:-1] + edges[1:]) / 2
    filled = np.nan_to_num(around)  # outside the picture there is no ink
    profiles = np.stack([np.median(filled[:, begin : max(end, begin + 1)], 1) for begin, end in pairwise(edges)])
    peaks, heights = offsets[profiles.argmax(1)].astype(float), profiles.max(1)
    darkness = float(np.median(heights))
    usual = (heights > USUAL[0] * darkness) & (heights < USUAL[1] * darkness)
    if usual.sum() >= LEAST_USUAL:
        peaks = np.interp(middles, middles[usual], peaks[usual])
        smooth = np.polyval(np.polyfit(middles, peaks, 2), middles)
        peaks = np.where(np.abs(peaks - smooth) <= LARGEST_STEP, peaks, smooth)
    centre = np.interp(np.arange(around.shape[1]), middles, peaks)
    widths = [(profile > AT_EDGE * profile.max()).sum() for profile in profiles[usual]] or [1]
    return centre, int(np.median(widths)) // 2, darkness

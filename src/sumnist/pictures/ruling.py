"""Printed lines taken out of the contrast of a picture: ruled and squared paper, without cutting the digit on it.

A line is thin, straight and goes from one edge of the picture to the other, at most 12° off the rows or columns. The
lines are found by summing, along every such direction, where the picture has a ridge (a Hough transform by shears).
What is under a line is kept where it is far darker than the line, or where ink goes on beside the line: there a stroke
crosses it or lies along it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import resized

__all__ = ["SMALLEST", "without_lines"]

SMALLEST = 64
"""Pictures with a shorter side than this have no lines that could be told from strokes."""
GRID = 160
"""Lines are looked for on a grid with at most this many cells on the longer side."""
STEEPEST = 0.21
"""Rows per column."""
APART = 3
"""Cells above and below a line that are lighter than it."""
FAINTEST = 0.012
COVERED = 0.65
"""Share of its length that can be seen of a line."""
REACHED = 0.3
"""Share of the first and of the last tenth of its length that can be seen: a line ends only where the picture does."""
MOST = 60
"""Lines that are looked for in each of the two directions."""
PARTS = 8
"""A line is followed in as many parts, since lenses and sheets bend it."""
DARKER = 1.6
"""What is this many times as dark as a line is ink over it."""


def without_lines(contrast: Grey, noise: float) -> tuple[Grey, int]:
    """`contrast` `[H, W]` without printed lines, and how many there were."""
    if min(contrast.shape) < SMALLEST:
        return contrast, 0
    count = 0
    for _ in range(2):  # rows, then columns
        scale = max(contrast.shape) / GRID
        lines = list(lines_on(resized(contrast, GRID))) if has_ends(contrast) else []
        for slope, row in lines:
            contrast = erased(contrast, slope, row, max(1.0, scale), noise)
        count += len(lines)
        contrast = contrast.T
    return np.ascontiguousarray(contrast), count


def has_ends(contrast: Grey) -> bool:
    """Whether a line might end at the frame of the picture: what `reaches_frame` says, sooner, of clean paper."""
    width = contrast.shape[1]
    cell = 1 + max(contrast.shape) // GRID
    columns = width // 8 + 2 * cell  # some more than `reaches_frame` looks at, since cells share pixels
    rows = int(STEEPEST * columns) + 5 * cell
    parts = contrast[:, :columns], contrast[:, -columns:], contrast[:rows], contrast[-rows:]
    return any(float(part.max()) > FAINTEST for part in parts)


def lines_on(small: Grey) -> Iterator[tuple[float, float]]:
    """The lines along the rows of `small` `[h, w]`: slope (rows per column), and the row at the middle column as a
    share of the height."""
    height, width = small.shape
    hits = hits_on(small)
    if not reaches_frame(hits):
        return
    votes, slopes, most = sheared_sums(hits)
    votes = np.where(votes >= COVERED, votes, 0)
    rows, middle = np.arange(votes.shape[1]), (width - 1) / 2
    for _ in range(MOST):
        best, row = divmod(int(votes.argmax()), votes.shape[1])
        if votes[best, row] == 0:
            return
        ties = votes[:, row] >= votes[best, row]  # of equally good ones that in the middle
        best = int(np.flatnonzero(ties)[ties.sum() // 2])
        at = row - most + np.rint(slopes[best] * (np.arange(width) - middle)).astype(int)
        seen = hits[at.clip(0, height - 1), np.arange(width)][(at >= 0) & (at < height)]
        end = max(1, len(seen) // 10)
        if min(seen[:end].mean(), seen[-end:].mean()) >= REACHED:
            yield float(slopes[best]), (row - most + 0.5) / height
        near = np.abs(rows - row)[None] - np.abs(slopes - slopes[best])[:, None] * middle <= APART + 1
        votes[near] = 0


def hits_on(small: Grey) -> NDArray[np.bool_]:
    """Where `small` `[h, w]` is darker than above and below, and the rows beside."""
    padded = np.pad(small, ((APART, APART), (0, 0)))
    ridge = small - np.maximum(padded[: -2 * APART], padded[2 * APART :])
    limit = max(FAINTEST, 2 * float(np.median(np.abs(ridge))))
    hits: NDArray[np.bool_] = ridge > limit
    hits[1:-1] |= hits[2:] | hits[:-2]
    return hits


def sheared_sums(hits: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float64], int]:
    """For every slope and every row at the middle column, the share of `hits` along the line; the slopes; and which
    of these rows is the first one of the picture. Lines with less than a fifth of the width in it have no share."""
    height, width = hits.shape
    lengths = lengths_of(height, width)
    votes = np.where(lengths >= width / 5, along_lines(hits) / np.maximum(lengths, 1), 0)
    return votes, slopes_of(width), most_of(width)


@lru_cache(maxsize=32)
def lengths_of(height: int, width: int) -> NDArray[np.float32]:
    """How many pixels of a picture each line has: `[slopes, rows]`."""
    return along_lines(np.ones((height, width), bool))


def slopes_of(width: int) -> NDArray[np.float64]:
    """The slopes that are tried, rows per column: neighbours differ by two pixels from one end to the other."""
    steps = max(1, round(STEEPEST * width / 2))
    return np.linspace(-STEEPEST, STEEPEST, 2 * steps + 1)


def most_of(width: int) -> int:
    """Rows by which the steepest line leaves its row at the middle column, and one."""
    return int(np.ceil(STEEPEST * width / 2)) + 1


def along_lines(hits: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The number of `hits` on each line: `[slopes, rows]`. Columns side by side in which a line has the same row are
    summed once for all rows, as the difference of two running sums."""
    height, width = hits.shape
    most, slopes, off = most_of(width), slopes_of(width), np.arange(width) - (width - 1) / 2
    rows = height + 2 * most
    sums = np.zeros((width + 1, rows + 2 * most), np.float32)
    sums[1:, 2 * most : 2 * most + height] = np.cumsum(hits.T, 0)
    found = np.zeros((len(slopes), rows), np.float32)
    for i, slope in enumerate(slopes):
        shifts = np.rint(slope * off).astype(int)
        ends = [0, *(np.flatnonzero(np.diff(shifts)) + 1).tolist(), width]
        for begin, end in pairwise(ends):
            part = slice(most + shifts[begin], most + shifts[begin] + rows)
            found[i] += sums[end, part] - sums[begin, part]
    return found


def reaches_frame(hits: NDArray[np.bool_]) -> bool:
    """Whether anything is near enough to the frame of the picture to be the end of a line: a tenth of a line's length,
    and the rows that the steepest one crosses in it."""
    width = hits.shape[1]
    columns = width // 10 + 1
    rows = int(np.ceil(STEEPEST * columns)) + 1
    return bool(hits[:, :columns].any() or hits[:, -columns:].any() or hits[:rows].any() or hits[-rows:].any())


def erased(contrast: Grey, slope: float, row: float, scale: float, noise: float) -> Grey:
    """`contrast` without the line of this slope that crosses the middle column at this share of the height."""
    height, width = contrast.shape
    reach = int(np.ceil(2.5 * scale)) + 2
    columns = np.arange(width)
    straight = row * height - 0.5 + slope * (columns - (width - 1) / 2)
    offsets = np.arange(-reach - 3, reach + 4)
    at = np.rint(straight).astype(int)[None] + offsets[:, None]  # [offsets, width]
    seen = np.where((at >= 0) & (at < height), contrast[at.clip(0, height - 1), columns], np.nan)
    if np.isnan(seen[3:-3]).all():
        return contrast
    centre, half, level = followed(seen[3:-3], offsets[3:-3])
    away = np.abs(offsets[:, None] - centre[None])
    on = (away <= half + 1) & ~np.isnan(seen)
    place = np.rint(centre).astype(int) + reach + 3
    beside = [seen[(place + sign * (half + step)).clip(0, len(offsets) - 1), columns]
              for sign in (-1, 1) for step in (2, 3)]  # fmt: skip
    up, down = np.fmin(beside[0], beside[1]), np.fmin(beside[2], beside[3])
    most = np.fmax(np.fmax(up, down), 0)
    inked = (seen > DARKER * level + 4 * noise) | (most[None] > np.maximum(0.5 * seen, 4 * noise))
    erase = on & ~inked
    result = contrast.copy()
    fill = np.broadcast_to(np.fmax(np.fmin(up, down), 0)[None], seen.shape)
    result[at[erase], np.broadcast_to(columns, at.shape)[erase]] = np.nan_to_num(fill[erase])
    return result


def followed(seen: NDArray[np.float64], offsets: NDArray[np.int64]) -> tuple[NDArray[np.float64], int, float]:
    """Where the line is in each column, as an offset; half its width in pixels; its contrast."""
    width = seen.shape[1]
    inside = np.flatnonzero(~np.isnan(seen).all(0))
    edges = np.linspace(inside[0], inside[-1] + 1, PARTS + 1).astype(int)
    middles = (edges[:-1] + edges[1:]) / 2
    filled = np.nan_to_num(seen)  # outside the picture there is no ink
    profiles = np.stack([np.median(filled[:, a : max(b, a + 1)], 1) for a, b in pairwise(edges)])
    peaks, levels = offsets[profiles.argmax(1)].astype(float), profiles.max(1)
    level = float(np.median(levels))
    usual = (levels > 0.4 * level) & (levels < 2 * level)
    if usual.sum() >= 3:
        peaks = np.interp(middles, middles[usual], peaks[usual])
        bent = np.polyfit(middles, peaks, 2)
        smooth = np.polyval(bent, middles)
        peaks = np.where(np.abs(peaks - smooth) <= 1.5, peaks, smooth)
    centre = np.interp(np.arange(width), middles, peaks)
    wide = [(profile > 0.4 * profile.max()).sum() for profile in profiles[usual]] or [1]
    return centre, int(np.median(wide)) // 2, level

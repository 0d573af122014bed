"""Marks: the connected pieces of ink on a picture, their sizes and places.

Pieces hang together over sides and corners. They are found by runs: the rows are cut into stretches of ink, stretches
that touch the row above are joined in a union-find whose every step works on all of them at once (after Rosenfeld and
Pfaltz, 1966, and the hooking and pointer jumping of Shiloach and Vishkin, 1982).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sumnist.pictures.decode import Grey

__all__ = ["Box", "Marks", "grown", "marks_of", "union"]

Box = tuple[int, int, int, int]
"""Top, bottom, left and right; bottom and right are the first row and column that no longer belong to it."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Marks:
    """`N` pieces of ink on a picture of `shape`.

    `rows`, `starts`, `ends`, `labels` `[R]`: the runs, each from column `start` to before `end`, and whose piece it is.
    `boxes` `[N, 4]`: top, bottom, left, right. `areas` `[N]`: pixels. `masses` `[N]`: sum of the ink.
    """

    shape: tuple[int, int]
    rows: Ints
    starts: Ints
    ends: Ints
    labels: Ints
    boxes: Ints
    areas: Ints
    masses: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.areas)

    @property
    def sizes(self) -> Ints:
        """The longer side of each piece, `[N]`."""
        longer: Ints = np.maximum(self.boxes[:, 1] - self.boxes[:, 0], self.boxes[:, 3] - self.boxes[:, 2])
        return longer

    def kept(self, which: NDArray[np.bool_]) -> Marks:
        """Those pieces for which `which` `[N]` holds."""
        number = np.cumsum(which) - 1
        runs = which[self.labels]
        return replace(
            self, rows=self.rows[runs], starts=self.starts[runs], ends=self.ends[runs],
            labels=number[self.labels[runs]], boxes=self.boxes[which], areas=self.areas[which],
            masses=self.masses[which],
        )  # fmt: skip

    def touched(self, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which pieces have a pixel in `where` `[H, W]`: `[N]`."""
        total = np.concatenate([[0], np.cumsum(where)])
        width = self.shape[1]
        inside = total[self.rows * width + self.ends] - total[self.rows * width + self.starts]
        return np.bincount(self.labels, inside, len(self)) > 0

    def mask(self, box: Box | None = None) -> NDArray[np.bool_]:
        """Where there is ink of these pieces: `[H, W]`, or the part of it in `box`, which holds all of them."""
        top, bottom, left, right = box or (0, self.shape[0], 0, self.shape[1])
        width = right - left + 1  # one column more, in which runs may end
        change = np.zeros((bottom - top) * width + 1, np.int8)
        np.add.at(change, (self.rows - top) * width + self.starts - left, 1)
        np.add.at(change, (self.rows - top) * width + self.ends - left, -1)
        whole: NDArray[np.bool_] = change[:-1].cumsum(dtype=np.int8).astype(bool).reshape(bottom - top, width)
        return whole[:, :-1]


def marks_of(mask: NDArray[np.bool_], ink: Grey) -> Marks:
    """The pieces of `mask` `[H, W]`, in the order of their first pixels; `ink` `[H, W]` is what their masses sum up."""
    height, width = mask.shape
    change = np.flatnonzero(np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8).ravel()))
    rows, starts = np.divmod(change[::2], width + 2)
    ends = change[1::2] - rows * (width + 2)
    roots, labels = np.unique(joined(rows, starts, ends, width), return_inverse=True)
    count = len(roots)
    first, last = (rows[0], rows[-1] + 1) if count else (0, 0)
    total = np.concatenate([[0.0], np.cumsum(ink[first:last], dtype=np.float64)])
    begun = (rows - first) * width
    boxes = np.empty((count, 4), np.int64)
    for side, values, lowest in ((0, rows, True), (1, rows + 1, False), (2, starts, True), (3, ends, False)):
        extreme = np.full(count, np.iinfo(np.int64).max if lowest else -1)
        (np.minimum if lowest else np.maximum).at(extreme, labels, values)
        boxes[:, side] = extreme
    return Marks(
        shape=(height, width), rows=rows, starts=starts, ends=ends, labels=labels, boxes=boxes,
        areas=np.bincount(labels, ends - starts, count).astype(np.int64),
        masses=np.bincount(labels, total[begun + ends] - total[begun + starts], count).astype(np.float64),
    )  # fmt: skip


def joined(rows: Ints, starts: Ints, ends: Ints, width: int) -> Ints:
    """For each run the number of the first run of its piece, `[R]`."""
    key = width + 2
    # Of the row below, the runs that begin no later than this one ends and end no earlier than it begins.
    first = np.searchsorted(rows * key + ends, (rows + 1) * key + starts)
    last = np.searchsorted(rows * key + starts, (rows + 1) * key + ends, "right")
    count = (last - first).clip(0)
    above = np.repeat(np.arange(len(rows)), count)
    below = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    parent = np.arange(len(rows))
    while True:
        one, other = parent[above], parent[below]
        apart = one != other
        if not apart.any():
            return parent
        above, below = above[apart], below[apart]
        np.minimum.at(parent, np.maximum(one, other)[apart], np.minimum(one, other)[apart])
        while not np.array_equal(parent, grand := parent[parent]):
            parent = grand


def union(boxes: Ints) -> Box:
    """The smallest box around all of `boxes` `[N, 4]`."""
    top, left = boxes[:, [0, 2]].min(0)
    bottom, right = boxes[:, [1, 3]].max(0)
    return int(top), int(bottom), int(left), int(right)


def grown(box: Box, by: int, shape: tuple[int, int]) -> Box:
    """`box` with `by` pixels more on every side, as far as the picture goes."""
    top, bottom, left, right = box
    return max(0, top - by), min(shape[0], bottom + by), max(0, left - by), min(shape[1], right + by)

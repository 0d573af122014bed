"""The connected components of the ink on a picture, 8-connected: their places, sizes and masses.

The rows are cut into runs of ink, and runs that touch are joined in a union-find whose every step works on all of them
at once (after Rosenfeld and Pfaltz, 1966, with the hooking and pointer jumping of Shiloach and Vishkin, 1982).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sumnist.pictures.decode import Grey

__all__ = ["Box", "Components", "components_of", "extent", "grown", "part", "union"]

Box = tuple[int, int, int, int]
"""Top, bottom, left and right; bottom and right are the first row and column outside."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Components:
    """`N` connected components of the ink on a picture of `shape`.

    `rows`, `starts`, `ends`, `labels` `[R]`: the runs, each from column `start` to before `end`, and the component that
    it belongs to. `boxes` `[N, 4]`: top, bottom, left, right. `masses` `[N]`: sums of the ink. `dropped`: whether the
    picture has others too.
    """

    shape: tuple[int, int]
    rows: Ints
    starts: Ints
    ends: Ints
    labels: Ints
    boxes: Ints
    masses: NDArray[np.float64]
    dropped: bool = False

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def sizes(self) -> Ints:
        """The longer side of each component, `[N]`."""
        longer: Ints = (self.boxes[:, 1::2] - self.boxes[:, ::2]).max(1)
        return longer

    def kept(self, which: NDArray[np.bool_]) -> Components:
        """The components for which `which` `[N]` holds."""
        if which.all():
            return self
        new_labels, runs = np.cumsum(which) - 1, which[self.labels]
        return replace(
            self, dropped=True, rows=self.rows[runs], starts=self.starts[runs], ends=self.ends[runs],
            labels=new_labels[self.labels[runs]], boxes=self.boxes[which], masses=self.masses[which],
        )  # fmt: skip

    def mask(self, box: Box | None = None) -> NDArray[np.bool_]:
        """Where these components have ink: `[H, W]`, or only the part in `box`, which must hold all of them."""
        top, bottom, left, right = box or (0, self.shape[0], 0, self.shape[1])
        width = right - left + 1  # one column more, in which runs may end
        change = np.zeros((bottom - top) * width + 1, np.int8)
        first = (self.rows - top) * width - left
        np.add.at(change, first + self.starts, 1)
        np.add.at(change, first + self.ends, -1)
        whole: NDArray[np.bool_] = change[:-1].cumsum(dtype=np.int8).astype(bool).reshape(bottom - top, width)
        return whole[:, :-1]


def components_of(mask: NDArray[np.bool_], ink: Grey) -> Components:
    """The components of `mask` `[H, W]`, in the order of their first pixels; `ink` `[H, W]` is what has the masses."""
    height, width = mask.shape
    apart = np.zeros((height, width + 2), bool)
    apart[:, 1:-1] = mask
    change = np.flatnonzero(apart.ravel()[1:] != apart.ravel()[:-1])
    rows, starts = np.divmod(change[::2], width + 2)
    ends = change[1::2] - rows * (width + 2)
    roots, labels = np.unique(joined(rows, starts, ends, width), return_inverse=True)
    count = len(roots)
    top, bottom = (rows[0], rows[-1] + 1) if count else (0, 0)
    total = np.concatenate([[0.0], np.cumsum(ink[top:bottom], dtype=np.float64)])
    first = (rows - top) * width
    boxes = np.empty((count, 4), np.int64)
    for side, values, lowest in ((0, rows, True), (1, rows + 1, False), (2, starts, True), (3, ends, False)):
        boxes[:, side] = np.iinfo(np.int64).max if lowest else -1
        (np.minimum if lowest else np.maximum).at(boxes[:, side], labels, values)
    return Components(
        shape=(height, width), rows=rows, starts=starts, ends=ends, labels=labels, boxes=boxes,
        masses=np.bincount(labels, total[first + ends] - total[first + starts], count).astype(np.float64),
    )  # fmt: skip


def joined(rows: Ints, starts: Ints, ends: Ints, width: int) -> Ints:
    """For each run the index of the first run of its component, `[R]`."""
    key = width + 2
    # The runs of the row below that touch this one: they begin no later than it ends, and end no sooner than it begins.
    first = np.searchsorted(rows * key + ends, (rows + 1) * key + starts)
    last = np.searchsorted(rows * key + starts, (rows + 1) * key + ends, "right")
    count = (last - first).clip(0)
    above = np.repeat(np.arange(len(rows)), count)
    below = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    parent = np.arange(len(rows))
    while True:
        upper, lower = parent[above], parent[below]
        apart = upper != lower
        if not apart.any():
            return parent
        above, below = above[apart], below[apart]
        np.minimum.at(parent, np.maximum(upper, lower)[apart], np.minimum(upper, lower)[apart])
        while not np.array_equal(parent, grandparent := parent[parent]):
            parent = grandparent


def union(boxes: Ints) -> Box:
    """The smallest box around all of `boxes` `[N, 4]`."""
    top, left = boxes[:, [0, 2]].min(0)
    bottom, right = boxes[:, [1, 3]].max(0)
    return int(top), int(bottom), int(left), int(right)


def grown(box: Box, by: int, shape: tuple[int, int]) -> Box:
    """`box` with `by` pixels more on every side, as far as the picture goes."""
    top, bottom, left, right = box
    return max(0, top - by), min(shape[0], bottom + by), max(0, left - by), min(shape[1], right + by)


def extent(box: Box) -> tuple[int, int]:
    """Height and width of `box`."""
    return box[1] - box[0], box[3] - box[2]


def part(box: Box) -> tuple[slice, slice]:
    """The index of what a picture `[H, W]` shows in `box`."""
    return slice(*box[:2]), slice(*box[2:])

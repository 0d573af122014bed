"""Rows and columns of a table: from the characters that the finder sees to cells, ruled or not, on a page that may be
slanted or curled.

Neighbours on a line and in a column say how the page is bent: two smooth maps, u across and v down, under which what
stands on a line has one v, and what stands below each other one u, by least squares that believe no outliers. Rows are
where many numbers have one v; columns are parted where few numbers reach. Each character then belongs to the row and
the column where it stands, however the finder joined it to others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bend:
    """A smooth map of a page's points to one coordinate: `axis` 0 is across, 1 down; the other one bends it."""

    axis: int
    middle: Floats
    scale: float
    weights: Floats

    def __call__(self, points: Floats) -> Floats:
        """The coordinate of points `[N, 2]`."""
        found: Floats = points[:, self.axis] + self.scale * (terms(self.normal(points), self.axis) @ self.weights)
        return found

    def normal(self, points: Floats) -> Floats:
        return (points - self.middle) / self.scale


def terms(points: Floats, axis: int) -> Floats:
    """What a bend is made of, at points `[N, 2]` about −1 to 1."""
    own, other = points[:, axis], points[:, 1 - axis]
    return np.stack([other, other * own, other**2, other**3, other * own**2, other**2 * own], 1)


SPREAD, ROUNDS, RIDGE = 0.25, 8, 1e-3


def bend_of(points: Floats, pairs: NDArray[np.int64], axis: int, em: float) -> Bend:
    """The bend under which pairs of points have one coordinate."""
    middle, scale = points.mean(0), max(float(np.ptp(points, 0).max()) / 2, em)
    bend = Bend(axis, middle, scale, np.zeros(6))
    if not len(pairs):
        return bend
    made = terms(bend.normal(points), axis)
    steps, apart = made[pairs[:, 1]] - made[pairs[:, 0]], (points[pairs[:, 1]] - points[pairs[:, 0]])[:, axis] / scale
    weights = bend.weights
    for _ in range(ROUNDS):
        left = apart + steps @ weights
        believed = 1 / (1 + (left * scale / (SPREAD * em)) ** 2)
        matrix = steps.T @ (steps * believed[:, None]) + RIDGE * np.eye(6) * len(pairs) * (em / scale) ** 2
        weights = -np.linalg.solve(matrix, steps.T @ (believed * apart))
    return Bend(axis, middle, scale, weights)

"""The perspective of a plane: the 3×3 matrix that best takes some points to others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fitted", "inverse", "scale_at", "taken"]

Floats = NDArray[np.float64]


def taken(matrix: Floats, points: Floats) -> Floats:
    """Points `[..., 2]` where a matrix takes them."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved[..., :2] / moved[..., 2:])


def inverse(matrix: Floats) -> Floats:
    """The matrix that takes points back."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def scale_at(matrix: Floats, point: Floats) -> float:
    """By how much a matrix enlarges what is around a point `[2]`: the root of the area that a unit square becomes."""
    w = matrix[2] @ [*point, 1.0]
    return float(np.sqrt(abs(np.linalg.det(matrix) / w**3)))


def fitted(points: Floats, images: Floats) -> Floats:
    """The matrix `[3, 3]`, its last entry 1, that takes points `[N, 2]`, N ≥ 4, nearest to their images in the sense of
    least squares.

    It is found by the normalised direct linear transform and then by two steps of Gauss and Newton (R. Hartley and A.
    Zisserman, Multiple View Geometry, 2nd edition, algorithms 4.2 and 4.3).
    """
    before, after = normal(points), normal(images)
    (x, y), (u, v) = taken(before, points).T, taken(after, images).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], -1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], -1),
        ]
    )
    matrix = np.linalg.svd(rows)[2][-1].reshape(3, 3)
    matrix /= matrix[2, 2]
    for _ in range(2):
        p, q, w = matrix @ [x, y, one]
        p, q = p / w, q / w
        slopes = np.concatenate(
            [
                np.stack([x, y, one, zero, zero, zero, -p * x, -p * y], -1) / w[:, None],
                np.stack([zero, zero, zero, x, y, one, -q * x, -q * y], -1) / w[:, None],
            ]
        )
        step = np.linalg.lstsq(slopes, np.concatenate([u - p, v - q]), rcond=None)[0]
        matrix = matrix + np.append(step, 0.0).reshape(3, 3)
    matrix = inverse(after) @ matrix @ before
    return np.asarray(matrix / matrix[2, 2])


def normal(points: Floats) -> Floats:
    """The matrix that moves points `[N, 2]` to a mean of 0 and a mean distance of √2 from it."""
    middle = points.mean(0)
    scale = np.sqrt(2) / np.linalg.norm(points - middle, axis=1).mean()
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])

"""What the corruptions are made of, for batches `[N, 28, 28]` of floats: blur, resampling, edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["blurred", "edges", "mapped", "sampled"]

Images = NDArray[np.float64]

SIDE = 28
MIDDLE = 13.5
"""Row and column of the middle of an image."""
LOW, HIGH = 0.1, 0.2
"""Canny's thresholds for the gradient, in units of Sobel's operator with weights 1, 2, 1."""


def blurred(images: Images, spread: float, axes: tuple[int, ...] = (1, 2), mode: str = "edge") -> Images:
    """Convolved with a Gaussian of standard deviation `spread` pixels, cut at four of them, along `axes`.

    `mode`: what lies outside the image, as `numpy.pad` has it.
    """
    radius = int(4 * spread + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / spread) ** 2)
    weights /= weights.sum()
    for axis in axes:
        width = [(radius, radius) if axis == i else (0, 0) for i in range(3)]
        padded = np.pad(images, width, mode)  # type: ignore[call-overload]
        length = images.shape[axis]
        parts = (weight * np.take(padded, range(i, i + length), axis) for i, weight in enumerate(weights))
        images = sum(parts, np.zeros_like(images, np.float64))
    return images


def sampled(images: Images, rows: Images, columns: Images) -> Images:
    """The values at `rows` and `columns` (`[N, H, W]`), bilinearly; outside the image all is 0."""
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    rows, columns = rows.clip(-1, SIDE) + 1, columns.clip(-1, SIDE) + 1
    top, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    down, right = rows - top, columns - left
    each = np.arange(len(images))[:, None, None]
    above = padded[each, top, left] * (1 - right) + padded[each, top, left + 1] * right
    below = padded[each, top + 1, left] * (1 - right) + padded[each, top + 1, left + 1] * right
    return above * (1 - down) + below * down


def mapped(images: Images, matrix: NDArray[np.float64], shift: NDArray[np.float64] | float = 0.0) -> Images:
    """Resampled by an affine map that keeps the middle: what was at `matrix` · (x, y) + `shift` comes to (x, y).

    `matrix`: `[N, 2, 2]` or `[2, 2]`; `shift`: `[N, 2]`, pixels to the right and down.
    """
    matrix = np.broadcast_to(matrix, (len(images), 2, 2))[:, :, :, None, None]
    right, down = np.moveaxis(np.broadcast_to(shift, (len(images), 2)), 1, 0)[:, :, None, None]
    y, x = np.mgrid[:SIDE, :SIDE] - MIDDLE
    columns = matrix[:, 0, 0] * x + matrix[:, 0, 1] * y + MIDDLE + right
    rows = matrix[:, 1, 0] * x + matrix[:, 1, 1] * y + MIDDLE + down
    return sampled(images, rows, columns)


def edges(images: Images) -> NDArray[np.bool_]:
    """Where the edges are (Canny, 1986): blurred by 1 pixel, the ridges of the gradient, kept where they are steep or
    hang together with a steep one. `images` in [0, 1]."""
    smooth = blurred(images, 1, mode="constant") / blurred(np.ones((1, SIDE, SIDE)), 1, mode="constant")
    down, right = gradient(smooth)
    steepness = np.hypot(down, right)
    larger = np.maximum(np.abs(down), np.abs(right))
    larger[larger == 0] = 1
    step_down, step_right = down / larger, right / larger
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    ahead = sampled(steepness, rows + step_down, columns + step_right)
    behind = sampled(steepness, rows - step_down, columns - step_right)
    inside = np.pad(np.ones((SIDE - 2, SIDE - 2), bool), 1)
    ridge = (steepness >= ahead) & (steepness >= behind) & inside
    return connected(ridge & (steepness >= LOW), ridge & (steepness >= HIGH))


def gradient(images: Images) -> tuple[Images, Images]:
    """Sobel's operator with weights 1, 2, 1: the change from above to below, and from left to right."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), "edge")
    down, right = padded[:, 2:] - padded[:, :-2], padded[:, :, 2:] - padded[:, :, :-2]
    return (
        down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:],
        right[:, :-2] + 2 * right[:, 1:-1] + right[:, 2:],
    )


def connected(weak: NDArray[np.bool_], strong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of `weak` that hang together, over corners too, with one of `strong`."""
    kept = strong
    while True:
        padded = np.pad(kept, ((0, 0), (1, 1), (1, 1)))
        tall = padded[:, 2:] | padded[:, 1:-1] | padded[:, :-2]
        grown = (tall[:, :, 2:] | tall[:, :, 1:-1] | tall[:, :, :-2]) & weak
        if np.array_equal(grown, kept):
            return kept
        kept = grown

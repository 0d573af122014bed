"""Filters arrays `[H, W]`: medians, means, running maxima, closings, planes and changes of size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from sumnist.pictures.decode import Grey

LEAST_GROUND = 40
"""The least number of pixels to fit a plane to."""


def widened(values: NDArray[Any], axis: int, by: int, **reflected: Any) -> NDArray[Any]:
    """Extend `values` by `by` at both ends of `axis`: with copies of the last value, or with `reflected` values."""
    if reflected:
        return np.pad(values, [(by, by) if axis == i else (0, 0) for i in (0, 1)], "reflect", **reflected)
    first, last = (values.take([end], axis).repeat(by, axis) for end in (0, -1))  # much faster than numpy's pad
    return np.concatenate([first, values, last], axis)


def median(values: NDArray[Any]) -> float:
    """The median. The function is fast if most values are equal, as on the paper of a drawing."""
    usual = np.median(values.ravel()[:: 1 + values.size // 100])
    most = 2 * np.count_nonzero(values == usual) > values.size
    return float(usual if most else np.median(values))


def spread(values: NDArray[Any], window: int) -> NDArray[Any]:
    """The largest value in the square of `window` × `window` (odd) around each value, cut off at the edge (a
    dilation)."""
    for axis in (0, 1):
        values = running_max(widened(values, axis, window // 2), window, axis)
    return values


def closing(values: NDArray[Any], window: int) -> NDArray[Any]:
    """Fill the dark parts of `values` into which no square of `window` × `window` (odd) fits."""
    return -spread(-spread(values, window), window)


def running_max(values: NDArray[Any], window: int, axis: int) -> NDArray[Any]:
    """The largest of every `window` neighbouring values along `axis`. The result has `window − 1` fewer values. Each
    step joins two windows into one up to twice as wide, so there are log2(`window`) steps."""
    values = np.moveaxis(values, axis, 0)
    wide = 1
    while wide < window:
        step = min(wide, window - wide)
        values = np.maximum(values[:-step], values[step:])
        wide += step
    return np.moveaxis(values, 0, axis)


def box_mean(values: NDArray[Any], window: int = 3) -> NDArray[Any]:
    """The mean over the square of `window` × `window` (odd) around each value."""
    padded = np.pad(values, window // 2, "edge")
    for axis in (0, 1):
        padded = sliding_window_view(padded, window, axis).mean(-1)
    return padded


def resized(values: NDArray[Any], longer: int, grow: bool = False) -> Grey:
    """Scale `values` to a longer side of `longer`: by means if it shrinks, linearly if it grows. Smaller arrays stay as
    they are, unless they may `grow`."""
    factor = longer / max(values.shape)
    if factor >= 1 and not grow:
        return values
    height, width = (max(1, round(side * factor)) for side in values.shape)
    return resampled(values, (height, width), Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR)


def resampled(
    values: NDArray[Any], shape: tuple[int, ...], method: Image.Resampling = Image.Resampling.BILINEAR
) -> Grey:
    """Scale `values` `[H, W]` to another `shape`."""
    height, width = shape
    return np.asarray(Image.fromarray(values.astype(np.float32, copy=False)).resize((width, height), method))


def plane_of(values: Grey, some: NDArray[np.bool_]) -> Grey:
    """The plane through most of the values `[h, w]` at the places `some`. If these places are too few, their median
    everywhere."""
    high, wide = values.shape
    level = np.full_like(values, np.median(values[some]) if some.any() else np.median(values))
    if some.sum() < LEAST_GROUND:
        return level
    x, y = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in (wide, high)))
    terms, kept = (
        np.stack([np.ones_like(x), x, y], -1),
        some & (np.abs(values - level) <= 3 * np.median(np.abs(values - level)[some]) + 0.01),
    )
    if kept.sum() < LEAST_GROUND:
        return level
    plane: Grey = terms @ np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
    return plane

"""Filters over a whole picture, on arrays `[H, W]`: medians, running maxima, means, other sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from sumnist.pictures.decode import Grey

__all__ = ["box_mean", "median", "resized", "running_max", "spread", "widened"]


def widened(values: NDArray[Any], axis: int, by: int, **reflected: Any) -> NDArray[Any]:
    """`values` with `by` cells more at both ends of `axis`: as the last one is, or `reflected`."""
    width = [(by, by) if axis == i else (0, 0) for i in (0, 1)]
    return np.pad(values, width, "reflect" if reflected else "edge", **reflected)


def median(values: NDArray[Any]) -> float:
    """What `np.median` gives, at once if most of the values are the same, as the paper of a drawing is."""
    usual = np.median(values.ravel()[:: 1 + values.size // 100])
    most = 2 * np.count_nonzero(values == usual) > values.size
    return float(usual if most else np.median(values))


def spread(values: NDArray[Any], window: int) -> NDArray[Any]:
    """The largest of `values` in the square of `window` × `window` (odd) around each; cut off at the edge."""
    for axis in (0, 1):
        values = running_max(widened(values, axis, window // 2), window, axis)
    return values


def running_max(values: NDArray[Any], window: int, axis: int) -> NDArray[Any]:
    """The largest of every `window` values in a row along `axis`, of which there are `window − 1` fewer. Windows twice
    as wide are made of two, so that it takes a few steps and not as many as a window has values."""
    values = np.moveaxis(values, axis, 0)
    wide = 1
    while wide < window:
        step = min(wide, window - wide)
        values = np.maximum(values[:-step], values[step:])
        wide += step
    return np.moveaxis(values, 0, axis)


def box_mean(values: NDArray[Any], window: int = 3) -> NDArray[Any]:
    """The mean over `window` × `window` around each of `values`."""
    padded = np.pad(values, window // 2, "edge")
    for axis in (0, 1):
        padded = sliding_window_view(padded, window, axis).mean(-1)
    return padded


def resized(values: Grey, size: int | tuple[int, ...]) -> Grey:
    """`values` with at most `size` cells on the longer side, or of the shape `size`: means where it shrinks, linear in
    between where it grows."""
    if isinstance(size, int):
        factor = min(1.0, size / max(values.shape))
        size = tuple(max(1, round(side * factor)) for side in values.shape)
    if size == values.shape:
        return values
    how = Image.Resampling.BOX if size[0] <= values.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(values).resize((size[1], size[0]), how))

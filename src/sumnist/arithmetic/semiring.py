"""Sums over log-probabilities that lose nothing.

Arrays are NumPy's or PyTorch's, whatever `array_api_compat` knows; torch itself is never imported. The values of a
distribution are on the first axis, and what is independent (positions, batch) on the others, so that every step works
on long rows. How alternatives are put together, `Add`, is one of

- `log_sum`: their probabilities are added, for probabilities;
- `log_max`: the most probable one counts, for the most probable explanation.

Each partial sum has its own maximum, so that 1e-300 stays 1e-300 beside 1. The gradient of what is impossible is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

__all__ = ["IMPOSSIBLE", "Add", "Array", "levelled", "like", "log_max", "log_sum", "normalised", "picked", "take"]

Array = Any
"""An array of NumPy, PyTorch or another library of the array API."""
Add = Callable[[Array, int], Array]
"""Alternatives along an axis → one log-probability for all of them."""
IMPOSSIBLE = -np.inf


def like(x: Array, values: NDArray[Any]) -> Array:
    """An array of NumPy as one of the library and the device of `x`, and of its type unless it holds whole numbers."""
    dtype = x.dtype if values.dtype.kind == "f" else None
    return array_namespace(x).asarray(values, dtype=dtype, device=device(x))


def top(x: Array, axis: int | tuple[int, ...]) -> Array:
    """The maximum along axes, which stay with length one; for gradients it is a constant."""
    return array_namespace(x).max(x.detach() if hasattr(x, "detach") else x, axis=axis, keepdims=True)


def lifted(x: Array, most: Array) -> Array:
    """`x` minus its maximum, or unchanged where the maximum is −inf."""
    xp = array_namespace(x)
    return x - xp.clip(most, min=float(xp.finfo(x.dtype).min))


def log_sum(x: Array, axis: int = 0) -> Array:
    """The logarithm of the sum of the exponentials."""
    xp = array_namespace(x)
    most = top(x, axis)
    total = xp.sum(xp.exp(lifted(x, most)), axis=axis)
    # The largest term is exp(0), so that a sum is at least one, or there was nothing to add.
    return xp.log(xp.clip(total, min=0.5)) + xp.squeeze(most, axis=axis)


def log_max(x: Array, axis: int = 0) -> Array:
    """The largest."""
    return array_namespace(x).max(x, axis=axis)


def levelled(x: Array, axes: tuple[int, ...]) -> Array:
    """`x` with the maximum zero along axes: a long product of such weights keeps its precision."""
    return lifted(x, top(x, axes))


def normalised(x: Array) -> Array:
    """Log-weights `[n, ...]` as log-probabilities; −inf stays where all are."""
    xp = array_namespace(x)
    total = log_sum(x)
    return x - xp.where(total == IMPOSSIBLE, xp.zeros_like(total), total)


def with_impossible(x: Array) -> Array:
    """`x` with one more row, for what is outside of it: `[n, ...]` → `[n + 1, ...]`."""
    none = np.full((1, *x.shape[1:]), IMPOSSIBLE)
    return array_namespace(x).concat([x, like(x, none)], axis=0)


def take(x: Array, index: NDArray[np.int64]) -> Array:
    """The rows of `x` `[n, ...]` at an index, −inf where it is not in 0..n − 1: `[*index.shape, ...]`."""
    xp = array_namespace(x)
    outside = (index < 0) | (index >= len(x))
    if outside.any():
        index, x = np.where(outside, len(x), index), with_impossible(x)
    rows = xp.take(x, like(x, index.reshape(-1)), axis=0)
    return xp.reshape(rows, (*index.shape, *x.shape[1:]))


def picked(x: Array, index: NDArray[np.int64]) -> Array:
    """Of each column of `x` `[n, ...]` the elements at `index` `[*k, ...]`, −inf where it is not in 0..n − 1.

    The axes behind the first of `x` are the last ones of `index`; lengths of one are repeated in both.
    """
    xp = array_namespace(x)
    ahead = index.ndim - x.ndim + 1
    flat = np.where((index < 0) | (index >= len(x)), len(x), index).reshape(-1, *index.shape[ahead:])
    found = xp.take_along_axis(with_impossible(x), like(x, flat), axis=0)
    return xp.reshape(found, (*index.shape[:ahead], *found.shape[1:]))

"""Sums over log-probabilities that lose nothing.

Arrays are NumPy's, which has the array API, or PyTorch's and whatever else `array_api_compat` knows; torch itself is
never imported. The values of a distribution are on the first axis, and what is independent (positions, batch) on the
others, so that every step works on long rows. How alternatives are put together, `Add`, is one of

- `log_sum`: their probabilities are added, for probabilities;
- `log_max`: the most probable one counts, for the most probable explanation.

Each partial sum has its own maximum, so that 1e-300 stays 1e-300 beside 1. The gradient of what is impossible is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import MissingExtraError

__all__ = [
    "COARSE", "IMPOSSIBLE", "ROUNDING", "Add", "Array", "Choose", "batch_first", "best", "device_of", "draws", "host",
    "library", "lifted", "like", "log_max", "log_sum", "max_normalised", "normalised", "picked", "plain", "take",
    "values_first",
]  # fmt: skip

Array = Any
"""An array of NumPy, PyTorch or another library of the array API."""
Add = Callable[[Array, int], Array]
"""Alternatives along an axis → one log-probability for all of them."""
Choose = Callable[[NDArray[Any]], NDArray[np.int64]]
"""Log-weights of alternatives `[n, ...]` → which one is chosen, `[...]`."""
IMPOSSIBLE = -np.inf
COARSE = 2e-3
"""The distance from 1 to the next number in types that NumPy lacks, such as bfloat16, is greater; single precision is
used for them."""
FEW = 500
"""Elements up to which NumPy's own sum, one call, is faster than whole rows in several."""
ROUNDING = 16
"""Log-probabilities that differ by less than so many roundings are equally probable."""


LIBRARIES: dict[type, Any] = {}
"""By the type of an array; finding out takes longer than most of what is done then."""


def library(x: Array) -> Any:
    """The functions of the array API for an array. Raises `TypeError` if it is none."""
    if type(x) not in LIBRARIES:
        LIBRARIES[type(x)] = np if isinstance(x, np.ndarray | np.generic) else another_library(x)
    return LIBRARIES[type(x)]


def another_library(x: Array) -> Any:
    """The functions of the array API for an array that is not NumPy's. Raises `TypeError`, `MissingExtraError`."""
    if not hasattr(x, "dtype"):
        raise TypeError(type(x))
    try:
        from array_api_compat import array_namespace
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error, "arithmetic on arrays that are not NumPy's") from error
    return array_namespace(x)


def device_of(x: Array) -> Any:
    """Where an array lies."""
    return getattr(x, "device", None)  # NumPy has it from version 2 on


def like(x: Array, values: NDArray[Any]) -> Array:
    """An array of NumPy as one of the library and the device of `x`, and of its type unless it holds whole numbers."""
    dtype = x.dtype if values.dtype.kind == "f" else None
    return library(x).asarray(values, dtype=dtype, device=device_of(x))


def host(x: Array) -> NDArray[Any]:
    """An array as one of NumPy."""
    if not hasattr(x, "detach"):
        return np.asarray(x)
    x = x.detach().cpu()
    return np.asarray(x if library(x).finfo(x.dtype).eps < COARSE else x.float())


def plain(x: Array) -> Array:
    """The same numbers as an array of NumPy, if that takes no copy and nobody asks for a gradient; else `x` itself."""
    if isinstance(x, np.ndarray) or getattr(x, "requires_grad", True):
        return x
    try:
        return x.numpy()
    except (TypeError, RuntimeError):  # on another device, of a type that NumPy lacks, or only traced
        return x


def values_first(x: Array, rank: int) -> Array:
    """`[*batch, n]` as `[n, *batch]`, with a batch of `rank` axes."""
    xp = library(x)
    x = xp.reshape(x, (*(1 for _ in range(rank + 1 - x.ndim)), *x.shape))
    return xp.permute_dims(x, (rank, *range(rank)))


def batch_first(x: Array) -> Array:
    """`[n, *batch]` as `[*batch, n]`."""
    return library(x).permute_dims(x, (*range(1, x.ndim), 0))


# Sums.


def top(x: Array, axis: int | tuple[int, ...]) -> Array:
    """The maximum along axes, which stay with length one; for gradients it is a constant."""
    return library(x).max(x.detach() if hasattr(x, "detach") else x, axis=axis, keepdims=True)


def lifted(x: Array, most: Array) -> Array:
    """`x` minus its maximum, or unchanged where the maximum is −inf."""
    xp = library(x)
    return x - xp.clip(most, min=float(xp.finfo(x.dtype).min))


def log_sum(x: Array, axis: int = 0) -> Array:
    """The logarithm of the sum of the exponentials."""
    if type(x) is np.ndarray and x.size <= FEW and x.shape[axis]:
        return np.logaddexp.reduce(x, axis)
    xp = library(x)
    most = top(x, axis)
    total = xp.sum(xp.exp(lifted(x, most)), axis=axis)
    # The largest term is exp(0), so that a sum is at least one, or there was nothing to add.
    return xp.log(xp.clip(total, min=0.5)) + xp.squeeze(most, axis=axis)


def log_max(x: Array, axis: int = 0) -> Array:
    """The largest."""
    return library(x).max(x, axis=axis)


def max_normalised(x: Array, axes: tuple[int, ...]) -> Array:
    """`x` with the maximum zero along axes: a long product of such weights keeps its precision."""
    return lifted(x, top(x, axes))


def normalised(x: Array) -> Array:
    """Log-weights `[n, ...]` as log-probabilities; −inf stays where all are."""
    x = max_normalised(x, (0,))  # the sum of large ones would be rounded
    return lifted(x, log_sum(x)[None])


# Elements.


def with_impossible(x: Array) -> Array:
    """`x` with one more row, for what is outside of it: `[n, ...]` → `[n + 1, ...]`."""
    none = np.full((1, *x.shape[1:]), IMPOSSIBLE)
    return library(x).concat([x, like(x, none)], axis=0)


def take(x: Array, index: NDArray[np.int64]) -> Array:
    """The rows of `x` `[n, ...]` at an index, −inf where it is not in 0..n − 1: `[*index.shape, ...]`."""
    xp = library(x)
    outside = (index < 0) | (index >= len(x))
    if outside.any():
        index, x = np.where(outside, len(x), index), with_impossible(x)
    rows = xp.take(x, like(x, index.reshape(-1)), axis=0)
    return xp.reshape(rows, (*index.shape, *x.shape[1:]))


def picked(x: Array, index: NDArray[np.int64]) -> Array:
    """Of each column of `x` `[n, ...]` the elements at `index` `[*k, ...]`, −inf where it is not in 0..n − 1.

    The axes behind the first of `x` are the last ones of `index`; lengths of one are repeated in both.
    """
    xp = library(x)
    ahead = index.ndim - x.ndim + 1
    flat = np.where((index < 0) | (index >= len(x)), len(x), index)
    flat = flat.reshape(int(np.prod(index.shape[:ahead])), *index.shape[ahead:])
    found = xp.take_along_axis(with_impossible(x), like(x, flat), axis=0)
    return xp.reshape(found, (*index.shape[:ahead], *found.shape[1:]))


# Choices.


def best(weights: NDArray[Any]) -> NDArray[np.int64]:
    """The first of the most probable alternatives; those that differ by roundings only are equally probable."""
    most = weights.max(0)
    margin = ROUNDING * np.finfo(weights.dtype).eps * np.maximum(1, np.abs(most))
    return np.asarray((weights >= most - np.where(np.isfinite(most), margin, 0)).argmax(0))


def draws(random: np.random.Generator) -> Choose:
    """Chooses at random, by the weights: the greatest after noise with a Gumbel distribution."""
    return lambda weights: np.asarray((weights + random.gumbel(size=weights.shape)).argmax(0))

"""Random values that are a pure function of (seed, name, index), for a whole batch at once.

A batch of images may be cut, joined or put in another order: each image keeps its own values. Like the numbers of the
pairs they come from the SplitMix64 mixer, one stream per image.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sumnist.data.sampling import mix

__all__ = ["Chance", "generator"]

GOLDEN = 0x9E3779B97F4A7C15
"""The step of SplitMix64's counter."""
UNIT = 2.0**-53


class Chance:
    """Random values for the images `index` `[N]`; `name` keeps the streams of different uses apart."""

    def __init__(self, seed: int, name: str, index: ArrayLike) -> None:
        key = mix(mix(np.array([seed], np.uint64)) ^ np.uint64(zlib.crc32(name.encode())))  # [1]
        self._state = mix(key + np.asarray(index).astype(np.uint64))  # [N]
        self.count = len(self._state)

    def uniform(self, *shape: int) -> NDArray[np.float64]:
        """Uniform in [0, 1), `[N, *shape]`; every call goes on where the last one ended."""
        size = math.prod(shape)
        steps = np.arange(size, dtype=np.uint64) * np.uint64(GOLDEN)
        bits = mix(self._state[:, None] + steps)  # [N, size]
        self._state = self._state + np.uint64(size * GOLDEN % 2**64)
        return ((bits >> np.uint64(11)).astype(np.float64) * UNIT).reshape(self.count, *shape)

    def between(self, low: float, high: float, *shape: int) -> NDArray[np.float64]:
        """Uniform in [low, high), `[N, *shape]`."""
        return low + (high - low) * self.uniform(*shape)

    def normal(self, *shape: int) -> NDArray[np.float64]:
        """Standard normal, `[N, *shape]` (Box and Muller, 1958)."""
        radius: NDArray[np.float64] = np.sqrt(-2 * np.log(1 - self.uniform(*shape)))
        direction: NDArray[np.float64] = np.cos(2 * np.pi * self.uniform(*shape))
        return radius * direction

    def whole(self, low: int, high: int, *shape: int) -> NDArray[np.int64]:
        """Whole numbers low..high - 1, `[N, *shape]`."""
        return low + (self.uniform(*shape) * (high - low)).astype(np.int64)

    def sign(self, *shape: int) -> NDArray[np.int64]:
        """-1 or 1, `[N, *shape]`."""
        return 2 * self.whole(0, 2, *shape) - 1


def generator(seed: int, name: str, index: int) -> np.random.Generator:
    """The generator of one picture, for what is drawn one at a time."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), index])

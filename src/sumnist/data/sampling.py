"""Draw the numbers of the pairs, and choose the images that are held out, without torch.

The number of a pair is a pure function of (seed, epoch, index): the SplitMix64 mixer (Steele, Lea and Flood, 2014)
applied to a counter. It is therefore the same with any number of loader workers, in any order and after any restart,
and differs from epoch to epoch. Both ends of 0..9 are drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sumnist.errors import ConfigError

NUMBERS = 10
"""How many numbers the network knows: 0..9."""
SUMS = 19
"""How many sums there are: 0..18."""
NO_DIGIT = -1
"""The label, for digit and sum, of an image that shows no digit."""


def draw_numbers(seed: int, epoch: int, index: ArrayLike, largest: int = NUMBERS - 1) -> NDArray[np.int64]:
    """The numbers of the pairs `index` (any shape) in `epoch`: int64 of the same shape, uniform over 0..largest."""
    key = mix(mix(np.array([seed], np.uint64)) ^ np.uint64(epoch))  # [1]
    bits = mix(key + np.asarray(index).astype(np.uint64)).reshape(np.shape(index))
    # The upper 32 bits times the count, shifted down: uniform to within count / 2^32.
    return (((bits >> np.uint64(32)) * np.uint64(largest + 1)) >> np.uint64(32)).astype(np.int64)


def mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64: every bit of the result depends on every bit of `value`, an array (arrays wrap without a warning)."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def epoch_seed(seed: int, epoch: int, restarts: int = 0) -> int:
    """The seed of all randomness in one epoch; another one after each of the `restarts`."""
    return (seed * 1_000_003 + epoch + restarts * 0x9E3779B97F4A7C15) % 2**63


def hold_out(digits: NDArray[np.int64], count: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose `count` indices to hold out, with every digit in proportion. Returns the other indices, and these. The
    same seed always gives the same split."""
    if count >= len(digits):
        raise ConfigError(f"--validation {count}: expected fewer than the {len(digits):,} training images there are")
    random = np.random.default_rng(seed)
    place = np.empty(len(digits))
    for digit in np.unique(digits):  # spread each digit evenly over 0..1; the `count` lowest places are held out
        where = np.flatnonzero(digits == digit)
        place[where] = (random.permutation(len(where)) + random.random()) / len(where)
    order = np.argsort(place, kind="stable")
    return np.sort(order[count:]), np.sort(order[:count])


def folds(digits: NDArray[np.int64], count: int = 5, seed: int = 0) -> list[NDArray[np.int64]]:
    """`count` disjoint sets of indices that together cover all of `digits`. Each set has every digit in proportion."""
    shuffled = np.random.default_rng(seed).permutation(len(digits))
    by_digit = shuffled[np.argsort(digits[shuffled], kind="stable")]
    return [np.sort(by_digit[start::count]) for start in range(count)]

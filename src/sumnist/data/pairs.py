"""Pairs: an image, a number drawn for it, and the two answers.

The number of a pair is a pure function of (seed, epoch, index): a counter goes through the SplitMix64 mixer (Steele,
Lea and Flood, 2014) instead of stepping a generator. So it is the same with any number of loader workers, in any order
and after any restart, and differs from epoch to epoch. Both ends of 0..9 are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.errors import ConfigError

__all__ = ["NUMBERS", "SUMS", "PairBatches", "PairDataset", "Pairs", "draw_numbers", "folds", "hold_out"]

NUMBERS = 10
"""How many numbers the network knows: 0..9."""
SUMS = 19
"""How many sums there are: 0..18."""


class Pairs(NamedTuple):
    """One pair, or a batch of them: `image` float32 `[B, 1, 28, 28]` in [0, 1]; the others int64 `[B]`."""

    image: Tensor
    number: Tensor
    digit: Tensor
    sum: Tensor


def draw_numbers(seed: int, epoch: int, index: ArrayLike, largest: int = NUMBERS - 1) -> NDArray[np.int64]:
    """The numbers of the pairs `index` (any shape) in `epoch`: int64 of the same shape, uniform over 0..largest."""
    key = _mix(_mix(np.array([seed], np.uint64)) ^ np.uint64(epoch))  # [1]
    bits = _mix(key + np.asarray(index).astype(np.uint64)).reshape(np.shape(index))
    # The upper 32 bits times the count, shifted down: uniform to within count / 2^32.
    return (((bits >> np.uint64(32)) * np.uint64(largest + 1)) >> np.uint64(32)).astype(np.int64)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64: every bit of the result depends on every bit of `value`, an array (arrays wrap without a warning)."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class PairDataset(Dataset[Pairs]):
    """Pairs for one's own loop and `torch.utils.data.DataLoader`; item i is `(image [1, 28, 28], number, digit, sum)`.

    Call `set_epoch(e)` before each epoch for fresh numbers. `digits` is a `DigitSet`, or "train" or "test" of MNIST.

    >>> pairs = PairDataset("test", seed=1)
    >>> image, number, digit, total = pairs[0]
    >>> int(digit) + int(number) == int(total)
    True
    """

    def __init__(self, digits: DigitSet | str = "train", seed: int = 0, largest_number: int = NUMBERS - 1) -> None:
        if isinstance(digits, str):
            if digits not in ("train", "test"):
                raise ConfigError(f"PairDataset({digits!r}): expected 'train', 'test' or a DigitSet")
            digits = load_mnist("train" if digits == "train" else "test")
        self.images = torch.tensor(digits.images)  # [N, 28, 28] uint8
        self.digits = torch.tensor(digits.digits)  # [N] int64
        self.seed, self.largest_number, self.epoch = seed, largest_number, 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the numbers of this epoch from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Pairs:
        if not -len(self) <= index < len(self):
            raise IndexError(f"pair {index}: expected an index below {len(self):,}")
        index %= len(self)
        number = torch.tensor(int(draw_numbers(self.seed, self.epoch, index, self.largest_number)))
        digit = self.digits[index]
        return Pairs(as_image(self.images[index]), number, digit, digit + number)


def as_image(pixels: Tensor) -> Tensor:
    """uint8 `[..., 28, 28]` → float32 `[..., 1, 28, 28]` in [0, 1]."""
    return pixels.unsqueeze(-3).float().div_(255)


class PairBatches:
    """The training pairs in shuffled batches, made on `device` with nothing per sample in Python.

    Images stay there as uint8. Order, numbers and augmentation are functions of (seed, epoch) alone; `augment` takes
    images `[B, 1, 28, 28]` and a generator. The numbers are those that `PairDataset` gives for the same indices; with
    `numbers_per_image` K above 1 each is followed by the next K − 1, and number, digit and sum are `[B · K]`.
    `share` (rank, size): of every batch, only this one of so many parts.
    """

    def __init__(
        self,
        digits: DigitSet,
        batch_size: int,
        seed: int,
        device: torch.device,
        largest_number: int = NUMBERS - 1,
        augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        numbers_per_image: int = 1,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.images = torch.tensor(digits.images, device=device)
        self.digits = torch.tensor(digits.digits, device=device)
        self.batch_size, self.seed, self.device = batch_size, seed, device
        self.largest_number, self.augment, self.numbers_per_image = largest_number, augment, numbers_per_image
        self.rank, self.size = share

    def __len__(self) -> int:
        """Batches per epoch, all of one size or of two that differ by one."""
        return (len(self.images) + self.batch_size - 1) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[Pairs]:
        """The batches of one epoch."""
        count = len(self.images)
        generator = torch.Generator(self.device).manual_seed(epoch_seed(self.seed, epoch))
        order = torch.randperm(count, generator=generator, device=self.device)
        if self.rank:
            generator.manual_seed(epoch_seed(self.seed, epoch, self.rank))
        numbers = torch.from_numpy(draw_numbers(self.seed, epoch, np.arange(count), self.largest_number)).to(
            self.device
        )
        for batch in order.tensor_split(len(self)):
            index = batch[self.rank :: self.size]
            image = as_image(self.images[index])  # [B, 1, 28, 28]
            if self.augment is not None:
                image = self.augment(image, generator)
            following = numbers[index, None] + torch.arange(self.numbers_per_image, device=self.device)
            number = following.flatten() % (self.largest_number + 1)
            digit = self.digits[index].repeat_interleave(self.numbers_per_image)
            yield Pairs(image, number, digit, digit + number)


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """The seed of everything random in one epoch, in one of the processes that train together."""
    return (seed * 1_000_003 + epoch + rank * 0x9E3779B97F4A7C15) % 2**63


def hold_out(digits: NDArray[np.int64], count: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (rest, held out), `count` of them held out in proportion to the digits; the same every time."""
    if count >= len(digits):
        raise ConfigError(f"--validation {count}: expected fewer than the {len(digits):,} training images there are")
    random = np.random.default_rng(seed)
    place = np.empty(len(digits))
    for digit in np.unique(digits):  # spread each digit evenly over 0..1, then take the first stretch of all together
        where = np.flatnonzero(digits == digit)
        place[where] = (random.permutation(len(where)) + random.random()) / len(where)
    order = np.argsort(place, kind="stable")
    return np.sort(order[count:]), np.sort(order[:count])


def folds(digits: NDArray[np.int64], count: int = 5, seed: int = 0) -> list[NDArray[np.int64]]:
    """`count` disjoint index sets that cover all of `digits`, each with every digit in proportion."""
    shuffled = np.random.default_rng(seed).permutation(len(digits))
    by_digit = shuffled[np.argsort(digits[shuffled], kind="stable")]
    return [np.sort(by_digit[start::count]) for start in range(count)]

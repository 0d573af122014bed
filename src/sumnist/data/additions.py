"""Sums of numbers whose digits are images, of which only the totals are told.

The images are shuffled once by the seed and taken in order: the digits of the first number of the first sum, the most
significant first, those of its second number, and so on; what does not fill a sum is left out. So each image is used
once, and which of them stand in one sum never changes: other groups would tell more than the totals do. This is the
protocol of DeepProbLog (Manhaeve and others, 2018) and of those that are compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sumnist.arithmetic import numeral
from sumnist.config import Config, Operation
from sumnist.data.mnist import DigitSet
from sumnist.data.pairs import as_image, shuffled

SAFE_DIGITS = 16
"""Digits up to which 100 numbers add up to what int64 holds."""


class SumBatch(NamedTuple):
    """S sums of K numbers of N digits: `image` float32 `[S · K · N, 1, 28, 28]` in [0, 1]; `total` `[S]`, int64 or
    Python's integers; `digit` int64 `[S, K, N]`, which is not for those who learn from totals."""

    image: Tensor
    total: NDArray[Any]
    digit: Tensor


def per_sum(config: Config) -> int:
    """The images in a sum, K · N."""
    return config.addends * config.digits


def grouped(values: NDArray[Any], config: Config) -> NDArray[Any]:
    """`[count, ...]` → `[S, K, N, ...]`, in order, as many as fill whole sums."""
    count = len(values) // per_sum(config)
    return values[: count * per_sum(config)].reshape(count, config.addends, config.digits, *values.shape[1:])


def totals(digits: NDArray[np.int64], operation: Operation) -> NDArray[Any]:
    """What becomes of numbers with these digits, `[..., K, N]` → `[...]`: int64, or Python's integers if they are
    long."""
    numbers = numeral(digits)
    if digits.shape[-1] > SAFE_DIGITS:
        numbers = numbers.astype(object)
    return np.asarray(numbers.sum(-1) if operation == "add" else numbers[..., 0] - numbers[..., 1])


class SumBatches:
    """The sums of a training in shuffled batches, made on `device`, where the images stay as uint8.

    Groups, order and augmentation are functions of the seed and the epoch alone.

    Args:
        digits: The images; of the digits only the totals are told, and `SumBatch.digit`.
        config: Says what a sum is, how many images a batch has, and the seed.
        device: Where the batches are made.
        augment: Images `[B, 1, 28, 28]`, a generator and an intensity → images.
        share: (rank, size): of every batch, only part `rank` of `size`.
    """

    def __init__(
        self,
        digits: DigitSet,
        config: Config,
        device: torch.device,
        augment: Callable[[Tensor, torch.Generator, float], Tensor] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        place = grouped(np.random.default_rng(config.seed).permutation(len(digits)), config)  # [S, K, N]
        self.total = totals(digits.digits[place], config.operation)
        self.images = torch.tensor(digits.images, device=device)
        self.digit = torch.tensor(digits.digits[place], device=device)
        self.place = torch.tensor(place, device=device)
        self.at_once = max(1, config.batch_size // per_sum(config))
        self.seed, self.device, self.augment, self.share = config.seed, device, augment, share

    def __len__(self) -> int:
        """Batches per epoch, all of one size or of two that differ by one sum."""
        return (len(self.place) + self.at_once - 1) // self.at_once

    @property
    def least(self) -> int:
        """Sums that a process gets at once, at least."""
        return len(self.place) // max(1, len(self)) // self.share[1]

    def epoch(self, epoch: int, intensity: float = 1.0) -> Iterator[SumBatch]:
        """The batches of one epoch, augmented with `intensity`, 0 to 1."""
        for chosen, generator in shuffled(len(self.place), len(self), self.seed, epoch, self.share, self.device):
            sums = self.of(chosen)
            yield sums if self.augment is None else sums._replace(image=self.augment(sums.image, generator, intensity))

    def of(self, chosen: Tensor) -> SumBatch:
        """Some of the sums, by their places, as they are."""
        image = as_image(self.images[self.place[chosen].flatten()])
        return SumBatch(image, self.total[chosen.cpu().numpy()], self.digit[chosen])

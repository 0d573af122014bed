"""Make sums of numbers whose digits are images; a network learns from the totals alone.

The seed shuffles the images once. They are then taken in order: the digits of the first number of the first sum, most
significant digit first, then the digits of its second number, and so on. Images that do not fill a sum are left out.
Each image is thus used once, always in the same sum: other groups would reveal more than the totals do. DeepProbLog
(Manhaeve and others, 2018) and the methods compared with it use this protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sumnist.arithmetic import numeral
from sumnist.config import Training
from sumnist.data.mnist import DigitSet
from sumnist.data.pairs import as_image, shuffled

SAFE_DIGITS = 15
"""Largest number of digits with which the sum of 2,000 numbers still fits int64."""


class SumBatch(NamedTuple):
    """S sums of K numbers of N digits.

    Attributes:
        image: The images, float32 `[S · K · N, 1, 28, 28]` in [0, 1].
        total: The totals, `[S]`, int64 or Python integers.
        digit: The digits, int64 `[S, K, N]`. Training on totals does not use them.
    """

    image: Tensor
    total: NDArray[Any]
    digit: Tensor


def per_sum(config: Training) -> int:
    """Images per sum: K · N."""
    return config.addends * config.digits


def grouped(values: NDArray[Any], config: Training) -> NDArray[Any]:
    """Group `[count, ...]` into `[S, K, N, ...]`, in order; leave out values that do not fill a sum."""
    count = len(values) // per_sum(config)
    return values[: count * per_sum(config)].reshape(count, config.addends, config.digits, *values.shape[1:])


def totals(digits: NDArray[np.int64]) -> NDArray[Any]:
    """The sums of numbers with these digits, `[..., K, N]` → `[...]`: int64, or Python integers if the numbers are
    long."""
    numbers = numeral(digits)
    if digits.shape[-1] > SAFE_DIGITS:
        numbers = numbers.astype(object)
    return np.asarray(numbers.sum(-1))


class SumBatches:
    """The sums of a training in shuffled batches, made on `device`, where the images stay as uint8.

    Groups, order and augmentation depend only on the seed and the epoch.

    Args:
        digits: The images. Batches contain their digits only as totals and as `SumBatch.digit`.
        config: Sets the size of a sum, the images per batch, and the seed.
        device: Where the batches are made.
        augment: Function of images `[B, 1, 28, 28]`, a generator and an intensity that returns changed images.
    """

    def __init__(
        self,
        digits: DigitSet,
        config: Training,
        device: torch.device,
        augment: Callable[[Tensor, torch.Generator, float], Tensor] | None = None,
    ) -> None:
        place = grouped(np.random.default_rng(config.seed).permutation(len(digits)), config)  # [S, K, N]
        self.total = totals(digits.digits[place])
        self.images = torch.tensor(digits.images, device=device)
        self.digit = torch.tensor(digits.digits[place], device=device)
        self.place = torch.tensor(place, device=device)
        self.at_once = max(1, config.batch_size // per_sum(config))
        self.seed, self.device, self.augment = config.seed, device, augment

    def __len__(self) -> int:
        """Batches per epoch; their sizes differ by at most one sum."""
        return (len(self.place) + self.at_once - 1) // self.at_once

    def epoch(self, epoch: int, intensity: float = 1.0) -> Iterator[SumBatch]:
        """The batches of one epoch, augmented with `intensity`, 0 to 1."""
        for chosen, generator in shuffled(len(self.place), len(self), self.seed, epoch, self.device):
            sums = self.of(chosen)
            yield sums if self.augment is None else sums._replace(image=self.augment(sums.image, generator, intensity))

    def of(self, chosen: Tensor) -> SumBatch:
        """The sums with these indices, without augmentation."""
        image = as_image(self.images[self.place[chosen].flatten()])
        return SumBatch(image, self.total[chosen.cpu().numpy()], self.digit[chosen])

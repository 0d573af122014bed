"""Make pairs: an image, a number drawn for it, and both answers; one by one, or in batches on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, SupportsIndex

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from sumnist.config import SEEDS, Range, checked
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import NO_DIGIT, NUMBERS, draw_numbers, epoch_seed
from sumnist.errors import ConfigError
from sumnist.typed import typed


class Pairs(NamedTuple):
    """One pair, or a batch of them. For one pair, leave B out of the shapes.

    Attributes:
        image: float32 `[B, 1, 28, 28]` in [0, 1].
        number: int64 `[B]`.
        digit: int64 `[B]`.
        sum: int64 `[B]`.
    """

    image: Tensor
    number: Tensor
    digit: Tensor
    sum: Tensor


class Batch(NamedTuple):
    """A batch of pairs with soft labels. It has the fields of `Pairs`, and `soft`: the target probabilities of the
    digits, float32 `[B, 10]`."""

    image: Tensor
    number: Tensor
    digit: Tensor
    sum: Tensor
    soft: Tensor


Outliers = Callable[[Tensor, Tensor, torch.Generator, float], tuple[Tensor, Tensor]]
"""Images to add to a batch, and their digits: a function of the images, their digits, a generator and an intensity."""


class PairDataset(Dataset[Pairs]):
    """Pairs for your own training loop with `torch.utils.data.DataLoader`.

    Item i is `Pairs(image, number, digit, sum)`: `image` float32 `[1, 28, 28]` in [0, 1], the others int64 scalars.
    Call `set_epoch(e)` before each epoch for fresh numbers. The workers of a `DataLoader` follow it, even persistent
    ones.

    Args:
        digits: A `DigitSet`, or "train" or "test" of MNIST.
        seed: Fixes the numbers of every epoch.
        largest_number: Numbers are drawn uniformly from 0 to this one, both included.

    Raises:
        ConfigError: `digits` is another string, or a number is out of its range.
        IndexError: The index of an item is out of range.

    Examples:
        >>> pairs = PairDataset("test", seed=1)
        >>> image, number, digit, total = pairs[0]
        >>> int(digit) + int(number) == int(total)
        True
    """

    @typed
    def __init__(
        self, digits: DigitSet | str = "train", seed: SupportsIndex = 0, largest_number: SupportsIndex = NUMBERS - 1
    ) -> None:
        if isinstance(digits, str):
            if digits not in ("train", "test"):
                raise ConfigError(f"PairDataset({digits!r}): expected 'train', 'test' or a DigitSet")
            digits = load_mnist("train" if digits == "train" else "test")
        self.images = torch.tensor(digits.images)  # [N, 28, 28] uint8
        self.digits = torch.tensor(digits.digits)  # [N] int64
        self.seed = checked("seed", seed, SEEDS)
        self.largest_number = checked("largest_number", largest_number, Range(0, NUMBERS - 1))
        self.shared_epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch whose numbers are drawn, in this process and in every worker with a copy of this dataset."""
        return int(self.shared_epoch)

    def set_epoch(self, epoch: SupportsIndex) -> None:
        """Draw the numbers of this epoch from now on. Raises `ConfigError` unless it is a whole number from 0 on."""
        self.shared_epoch.fill_(checked("epoch", epoch, SEEDS))

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
    """The training pairs in shuffled batches, made on `device` without Python code for each sample.

    Images stay on the device as uint8. Order, numbers and augmentation depend only on (seed, epoch). The numbers are
    those that `PairDataset` gives for the same indices.

    Args:
        digits: The images, and their digits.
        batch_size: Images in a batch, before outliers are added.
        seed: Fixes order, numbers and augmentation of every epoch.
        device: Where the batches are made.
        largest_number: Numbers are drawn uniformly from 0 to this one.
        augment: Function of images `[B, 1, 28, 28]`, a generator and an intensity that returns changed images.
        numbers_per_image: K. Each image meets its number and the next K − 1 numbers, so number, digit and sum are
            `[B · K]`.
        draw: Function of the epoch that returns the numbers of all images, int64 `[N]`, instead of those of
            `PairDataset`.
        outliers: Function of images, digits, a generator and an intensity that returns images to add to the batch, and
            their digits. An image without a digit has the digit and the sum `NO_DIGIT`.
    """

    def __init__(
        self,
        digits: DigitSet,
        batch_size: int,
        seed: int,
        device: torch.device,
        largest_number: int = NUMBERS - 1,
        augment: Callable[[Tensor, torch.Generator, float], Tensor] | None = None,
        numbers_per_image: int = 1,
        draw: Callable[[int], NDArray[np.int64]] | None = None,
        outliers: Outliers | None = None,
    ) -> None:
        self.images = torch.tensor(digits.images, device=device)
        self.digits = torch.tensor(digits.digits, device=device)
        self.soft = None if digits.soft is None else torch.tensor(digits.soft, device=device)
        self.batch_size, self.seed, self.device = batch_size, seed, device
        self.largest_number, self.augment, self.numbers_per_image = largest_number, augment, numbers_per_image
        self.outliers = outliers
        self.draw = draw or (lambda epoch: draw_numbers(seed, epoch, np.arange(len(digits)), largest_number))

    def __len__(self) -> int:
        """Batches per epoch; their sizes differ by at most one image."""
        return (len(self.images) + self.batch_size - 1) // self.batch_size

    def epoch(self, epoch: int, intensity: float = 1.0) -> Iterator[Pairs | Batch]:
        """The batches of one epoch, augmented with `intensity`, 0 to 1."""
        numbers = torch.from_numpy(self.draw(epoch)).to(self.device)
        for index, generator in shuffled(len(self.images), len(self), self.seed, epoch, self.device):
            image, digit, number = as_image(self.images[index]), self.digits[index], numbers[index]
            soft = None if self.soft is None else self.soft[index]
            if self.outliers is not None:
                others, theirs = self.outliers(image, digit, generator, intensity)
                image, digit = torch.cat([image, others]), torch.cat([digit, theirs])
                number = number.repeat(3)[: len(image)]  # outliers add at most 1.75 times as many images
                soft = None if soft is None else torch.cat([soft, as_soft(theirs)])
            if self.augment is not None:
                image = self.augment(image, generator, intensity)
            following = number[:, None] + torch.arange(self.numbers_per_image, device=self.device)
            number = following.flatten() % (self.largest_number + 1)
            digit = digit.repeat_interleave(self.numbers_per_image)
            soft = None if soft is None else soft.repeat_interleave(self.numbers_per_image, 0)
            pairs = Pairs(image, number, digit, torch.where(digit == NO_DIGIT, NO_DIGIT, digit + number))
            yield pairs if soft is None else Batch(*pairs, soft)


def shuffled(
    count: int, batches: int, seed: int, epoch: int, device: torch.device
) -> Iterator[tuple[Tensor, torch.Generator]]:
    """Yield, for each batch of an epoch, its indices and the epoch's generator."""
    generator = torch.Generator(device).manual_seed(epoch_seed(seed, epoch))
    order = torch.randperm(count, generator=generator, device=device)
    for batch in order.tensor_split(batches):
        yield batch, generator


def as_soft(digit: Tensor) -> Tensor:
    """Digits `[B]` as soft labels `[B, 10]`: 1 for the digit, all 0 for `NO_DIGIT`."""
    return (digit[:, None] == torch.arange(10, device=digit.device)).float()


def smallest_batch(images: int, batch_size: int) -> int:
    """The size of the smallest batch that `PairBatches` makes from this number of `images`, without outliers."""
    return images // -(-images // batch_size)

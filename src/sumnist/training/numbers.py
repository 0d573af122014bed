"""The task of the numbers, as the training loop needs it: strips, and what is written on them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from sumnist.config import Config
from sumnist.data.mnist import load_mnist
from sumnist.data.strips import ALPHABET, STEP, StripBatch, Strips
from sumnist.errors import ConfigError
from sumnist.model.losses import text_nll
from sumnist.model.strip_network import StripNet, load_strip_network
from sumnist.training.calibrate_strips import CalibratedStrips, calibrate_strips
from sumnist.training.devices import Team
from sumnist.training.digits import split
from sumnist.training.folder import Learner

__all__ = ["NumberTask", "StripLosses", "calibrate_on", "digits_read"]

HELD_STRIPS, HELD_BATCH, HELD_SEED = 1024, 64, 0x4E1D
"""Strips that each epoch is measured on, how many at once, and their seed, whatever that of the training."""
LEAST_INTENSITY = 0.5
"""Strips are disturbed so much at least: on real paper, unlike in a data set, a plain ground is the exception."""
DIGITS = sum(character.isdigit() for character in ALPHABET)
"""The classes of digits are 1 to this one; those behind are separators."""


class StripLosses(NamedTuple):
    """What training minimises: the mean over the strips of −log of the probability of what is written, in nats."""

    total: Tensor


class NumberTask:
    """What training does with strips, composed while it goes on; `training/digits` has the same for pairs.

    Raises `DataError`, and `ConfigError` if there are fewer strips in a batch than processes.
    """

    def __init__(self, config: Config, device: torch.device, processes: Team) -> None:
        self.config, self.device, self.processes = config, device, processes
        self.digits = load_mnist("train", config.data_dir)
        self.training, self.held = split(self.digits, config)
        self.size = config.batch_size // processes.size
        if not self.size:
            raise ConfigError(f"--batch-size {config.batch_size}: expected at least a strip for each process")

    def prepare(self, progress: bool) -> None:
        """Draw the characters of which strips are composed, which is shown."""
        watch = partial(tqdm, desc="drawing characters", disable=None if progress else True)
        self.strips = Strips(self.training, self.config.seed, watch)

    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.config.strips // self.config.batch_size)

    def epoch(self, epoch: int, intensity: float) -> Iterator[StripBatch]:
        """This process's share of the batches of an epoch, disturbed with `intensity`, 0 to 1, or with a least one."""
        for step in range(epoch * self.steps(), (epoch + 1) * self.steps()):
            number = step * self.processes.size + self.processes.rank
            yield self.strips.batch(number, self.size, max(intensity, LEAST_INTENSITY))

    @staticmethod
    def network(config: Config) -> StripNet:
        """A new network."""
        return StripNet.from_config(config)

    @staticmethod
    def load(folder: Path) -> StripNet:
        """The network of a run. Raises `RunError`."""
        return load_strip_network(folder)[0]

    @staticmethod
    def forward(
        net: StripNet, strips: StripBatch, config: Config, smoothing: float = 0.0
    ) -> tuple[Tensor, StripLosses]:
        """Emissions `[B, T, 14]`, on the processor, and the loss. Of the settings none counts here."""
        emissions = emissions_of(net, strips)
        return emissions, StripLosses(text_nll(emissions, strips).mean())

    def tally(self) -> Tally:
        """The running means of an epoch that begins."""
        return Tally(self.processes.size)

    def trouble(self, learner: Learner, row: dict[str, float], earlier: Sequence[Mapping[str, float]]) -> str:
        """Nothing is known that would need a new beginning."""
        return ""

    def validation_figures(self, net: StripNet) -> dict[str, float]:
        """What `metrics.jsonl` says of strips composed of held-out images, fully disturbed; nothing without any."""
        return strip_figures(net, self.held_strips) if self.held is not None else {}

    @cached_property
    def held_strips(self) -> list[StripBatch]:
        """Strips of the held-out images, the same ones for every training."""
        assert self.held is not None
        held = Strips(self.held, HELD_SEED)
        return [held.batch(step, HELD_BATCH) for step in range(HELD_STRIPS // HELD_BATCH)]

    def end(self, net: StripNet) -> None:
        """Calibrate the network, if there are held-out images to do it by."""
        if self.held is not None:
            calibrate_on(self.held_strips, net)


@torch.no_grad()
def calibrate_on(batches: list[StripBatch], net: StripNet) -> CalibratedStrips:
    """Calibrate a network on strips of images that it was not trained on."""
    net.eval()
    net.calibration.set()
    fitted = calibrate_strips([emissions_of(net, strips) for strips in batches], batches)
    net.calibration.set(fitted.temperature, fitted.least_is_digit, fitted.least_confidence)
    return fitted


def emissions_of(net: StripNet, strips: StripBatch) -> Tensor:
    """What `net` says of `strips`, `[B, T, 14]`, on the processor, where the sums of CTC give the same every time."""
    device = net.character.weight.device
    image = strips.image.to(device, memory_format=torch.channels_last)
    emissions: Tensor = net(image, strips.widths.to(device)).cpu()
    return emissions


def digits_read(emissions: Tensor, steps: Tensor) -> list[NDArray[np.int64]]:
    """The classes of the digits on the best path of each strip: the most probable class at each of its `steps`,
    repetitions once, without blanks and separators."""
    path = emissions.detach().argmax(2).numpy()  # [B, T]
    path[np.arange(path.shape[1]) >= steps.numpy()[:, None]] = 0
    new = np.diff(path, axis=1, prepend=0) != 0
    return [classes[chosen] for classes, chosen in zip(path, new & (path > 0) & (path <= DIGITS), strict=True)]


def right(emissions: Tensor, strips: StripBatch) -> int:
    """How many strips are read wholly right, separators aside."""
    read = digits_read(emissions, strips.widths // STEP)
    written = (target[target <= DIGITS].numpy() for target in strips.target.split(strips.lengths.tolist()))
    return sum(map(np.array_equal, read, written))


@torch.no_grad()
def strip_figures(net: StripNet, batches: list[StripBatch]) -> dict[str, float]:
    """The share of numbers read wholly right by the best path, and the mean NLL of the texts, in evaluation mode."""
    training = net.training
    net.eval()
    count = nll = correct = 0.0
    for strips in batches:
        emissions = emissions_of(net, strips)
        count += len(strips.image)
        nll += text_nll(emissions, strips).sum().item()
        correct += right(emissions, strips)
    net.train(training)
    return {"validation_number": correct / count, "validation_nll": nll / count}


class Tally:
    """Running means over this process's batches of an epoch."""

    def __init__(self, processes: int = 1) -> None:
        self.processes, self.began = processes, time.perf_counter()
        self.loss = self.right = 0.0
        self.strips = 0

    def add(self, net: StripNet, emissions: Tensor, losses: StripLosses, strips: StripBatch) -> None:
        """Count a batch in, `net` being no matter."""
        count = len(strips.image)
        self.loss += losses.total.item() * count
        self.right += right(emissions, strips)
        self.strips += count

    def figures(self) -> dict[str, float]:
        """The means so far, by the names of `metrics.jsonl`."""
        rate = self.processes * self.strips / (time.perf_counter() - self.began)
        return {"loss": self.loss / self.strips, "train_number": self.right / self.strips, "strips_per_second": rate}

    def text(self) -> str:
        """The means so far, for the progress bar."""
        now = self.figures()
        return f"loss {now['loss']:.3f}, numbers {now['train_number']:.2%}"

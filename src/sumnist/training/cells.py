"""The task of the cells, as the training loop needs it: boxes and strips of forms, and what stands in them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from sumnist.config import Config
from sumnist.data.cells import NUMBER, CellBatch, Cells
from sumnist.data.mnist import load_mnist
from sumnist.errors import ConfigError
from sumnist.model.cell_network import CellNet, load_cell_network
from sumnist.training.calibrate import fitted_temperature
from sumnist.training.devices import Team
from sumnist.training.digits import split
from sumnist.training.folder import Learner

__all__ = ["HELD_DRAWN", "CalibratedCells", "CellLosses", "CellTask", "calibrate_cells", "cell_figures"]

HELD_CELLS, HELD_BATCH, HELD_SEED, HELD_DRAWN = 4096, 128, 0xCE11, 2000
"""Cells that each epoch is measured on, how many at once, their seed, whatever that of the training, and the digits
that are drawn for them."""


class CellLosses(NamedTuple):
    """What training minimises: the mean of −log of the probability of the class, in nats."""

    total: Tensor


@dataclass(frozen=True)
class CalibratedCells:
    """The temperature, fitted to `cells` held-out cells, and the figures with it; `nll_before`: without."""

    cells: int
    temperature: float
    nll_before: float
    nll: float
    box: float
    digit: float
    strip: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class CellTask:
    """What training does with cells, composed while it goes on; `training/numbers` has the same for strips.

    Raises `DataError`, and `ConfigError` if there are fewer than two cells in a batch of each process.
    """

    def __init__(self, config: Config, device: torch.device, processes: Team) -> None:
        self.config, self.device, self.processes = config, device, processes
        self.digits = load_mnist("train", config.data_dir)
        self.training, self.held = split(self.digits, config)
        self.size = config.batch_size // processes.size
        if self.size < 2:
            raise ConfigError(f"--batch-size {config.batch_size}: expected at least two cells for each process")

    def prepare(self, progress: bool) -> None:
        """Draw the characters of which cells are composed, which is shown."""
        watch = partial(tqdm, desc="drawing characters", disable=None if progress else True)
        self.cells = Cells(self.training, self.config.seed, watch)

    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.config.strips // self.config.batch_size)

    def epoch(self, epoch: int, intensity: float) -> Iterator[CellBatch]:
        """This process's share of the batches of an epoch, fully disturbed whatever the `intensity`: forms come from
        cameras."""
        for step in range(epoch * self.steps(), (epoch + 1) * self.steps()):
            yield self.cells.batch(step * self.processes.size + self.processes.rank, self.size)

    @staticmethod
    def network(config: Config) -> CellNet:
        """A new network."""
        return CellNet.from_config(config)

    @staticmethod
    def load(folder: Path) -> CellNet:
        """The network of a run. Raises `RunError`."""
        return load_cell_network(folder)[0]

    @staticmethod
    def forward(net: CellNet, cells: CellBatch, config: Config, smoothing: float = 0.0) -> tuple[Tensor, CellLosses]:
        """Log-probabilities `[B, 14]` and the loss. Of the settings none counts here."""
        said = said_of(net, cells)
        return said, CellLosses(functional.nll_loss(said, cells.target.to(said.device)))

    def tally(self) -> Tally:
        """The running means of an epoch that begins."""
        return Tally(self.processes.size)

    def trouble(self, learner: Learner, row: dict[str, float], earlier: Sequence[Mapping[str, float]]) -> str:
        """Nothing is known that would need a new beginning."""
        return ""

    def validation_figures(self, net: CellNet) -> dict[str, float]:
        """What `metrics.jsonl` says of cells composed of held-out images; nothing without any."""
        if self.held is None:
            return {}
        return {f"validation_{name}": value for name, value in cell_figures(net, self.held_cells).items()}

    @cached_property
    def held_cells(self) -> list[CellBatch]:
        """Cells of the held-out images, the same ones for every training."""
        assert self.held is not None
        held = Cells(self.held, HELD_SEED, count=HELD_DRAWN)
        return [held.batch(step, HELD_BATCH) for step in range(HELD_CELLS // HELD_BATCH)]

    def end(self, net: CellNet) -> None:
        """Calibrate the network, if there are held-out images to do it by."""
        if self.held is not None:
            calibrate_cells(net, self.held_cells)


def said_of(net: CellNet, cells: CellBatch) -> Tensor:
    """What `net` says of `cells`, `[B, 14]`."""
    device = net.kind.weight.device
    parts = [part.to(device, memory_format=torch.channels_last) for part in (cells.boxes, cells.strips)]
    said: Tensor = net(parts)
    return said


@torch.no_grad()
def answers(net: CellNet, batches: Sequence[CellBatch]) -> tuple[Tensor, Tensor, Tensor]:
    """What `net` says of all cells, `[N, 14]`, in evaluation mode; their classes, `[N]`; which are boxes, `[N]`."""
    training = net.training
    net.eval()
    said = torch.cat([said_of(net, cells).cpu() for cells in batches])
    net.train(training)
    target = torch.cat([cells.target for cells in batches])
    boxes = torch.cat([torch.arange(len(cells.target)) < len(cells.boxes) for cells in batches])
    return said, target, boxes


def figures_of(said: Tensor, target: Tensor, boxes: Tensor) -> dict[str, float]:
    right, digit = said.argmax(1) == target, target < NUMBER
    return {
        "box": share(right[boxes]), "digit": share(right[boxes & digit]), "strip": share(right[~boxes]),
        "nll": functional.nll_loss(said, target).item(),
    }  # fmt: skip


def cell_figures(net: CellNet, batches: Sequence[CellBatch]) -> dict[str, float]:
    """The shares of the boxes, of the boxes with a digit, and of the strips whose most probable class is right, and the
    mean NLL in nats."""
    return figures_of(*answers(net, batches))


def calibrate_cells(net: CellNet, batches: Sequence[CellBatch]) -> CalibratedCells:
    """Fit a network's temperature to cells of images that it was not trained on."""
    net.calibration.set()
    said, target, boxes = answers(net, batches)
    temperature = fitted_temperature(said.numpy(), target.numpy(), 0.0)
    net.calibration.set(temperature)
    before, after = (figures_of((said / t).log_softmax(1), target, boxes) for t in (1.0, temperature))
    return CalibratedCells(len(target), temperature, before["nll"], **after)


def share(which: Tensor) -> float:
    return which.double().mean().item() if len(which) else 0.0


class Tally:
    """Running means over this process's batches of an epoch."""

    def __init__(self, processes: int = 1) -> None:
        self.processes, self.began = processes, time.perf_counter()
        self.loss = self.right = 0.0
        self.cells = 0

    def add(self, net: CellNet, said: Tensor, losses: CellLosses, cells: CellBatch) -> None:
        """Count a batch in, `net` being no matter."""
        count = len(cells.target)
        self.loss += losses.total.item() * count
        self.right += (said.argmax(1).cpu() == cells.target).sum().item()
        self.cells += count

    def figures(self) -> dict[str, float]:
        """The means so far, by the names of `metrics.jsonl`."""
        rate = self.processes * self.cells / (time.perf_counter() - self.began)
        return {"loss": self.loss / self.cells, "train_cell": self.right / self.cells, "cells_per_second": rate}

    def text(self) -> str:
        """The means so far, for the progress bar."""
        now = self.figures()
        return f"loss {now['loss']:.3f}, cells {now['train_cell']:.2%}"

"""The tasks of the packaged networks that read lines, and find numbers on pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from tqdm import tqdm

from lab.recipes.calibrate import calibrate_lines
from lab.recipes.hands import Part
from lab.recipes.lines import LineBatch, Lines
from lab.recipes.muon import Muon
from lab.recipes.networks import FIELDS, FinderNet, LineNet, finder_losses, text_nll
from lab.recipes.outliers import Outliers
from lab.recipes.scenes import SceneBatch, Scenes
from lab.recipes.settings import Composition, LineTraining
from sumnist.data.mnist import DigitSet
from sumnist.errors import ConfigError
from sumnist.inference.alphabet import STEP, WRITING
from sumnist.training.tasks import DigitTask, Loss, Scores, Task


def watched(title: str, progress: bool) -> Any:
    """A function that shows on a terminal how far a loop is, if `progress` is true."""
    return partial(tqdm, desc=title, disable=None if progress else True)


class OutlierTask(DigitTask):
    """Pairs of an image and a number, and outliers: the task of the packaged network of digits."""

    calibrates = True
    outlier_share = 0.6
    """Outliers and drawn digits that are added to each batch, as a share of it."""

    def outliers(self, progress: bool) -> Outliers:
        """Draw the outliers."""
        if progress and not sys.stderr.isatty():
            tqdm.write("drawing outliers", file=sys.stderr)
        watch = watched("drawing outliers", progress)
        return Outliers(self.outlier_share, self.config.seed, self.device, watch, self.writers)


class Composed(Task):
    """A task whose batches are composed during training, from characters that were drawn beforehand. Muon trains its
    network."""

    source: ClassVar[type[Lines | Scenes]]
    least: ClassVar[tuple[int, str]]
    """The smallest batch, as a number and in words."""
    held_batches: ClassVar[tuple[int, int, int]]
    """How many held-out batches measure a network, their size, and their seed, which is the same for all trainings."""
    held_drawn: ClassVar[int | None] = None
    """Number of digits that are drawn for the held-out batches; None for as many as for the training."""
    least_intensity: ClassVar[float]
    """Least intensity with which the batches of a training are disturbed."""
    outputs: Any
    """(network, batch) → the network's outputs."""
    right: Any
    """(outputs, batch) → how many lines or scenes are right."""

    config: Composition

    def __init__(self, config: Composition, device: torch.device) -> None:
        super().__init__(config, device)
        if config.batch_size < self.least[0]:
            raise ConfigError(f"--batch-size {config.batch_size}: expected at least {self.least[1]}")

    def optimizer(self, net: torch.nn.Module) -> Optimizer:
        """The optimizer of the network."""
        particulars = self.config.particulars
        return Muon(net, self.config.lr, particulars.betas, particulars.weight_decay)

    def source_of(self, digits: DigitSet, part: Part, seed: int, **more: Any) -> Any:
        """The source of batches, by one part of the writers."""
        return self.source(digits, seed, **more)

    def prepare(self, progress: bool) -> None:
        """Draw the characters."""
        watch = watched("drawing characters", progress)
        self.batches = self.source_of(self.training, "training", self.config.seed, watch=watch, writers=self.writers)

    def steps(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.config.strips // self.config.batch_size)

    def epoch(self, epoch: int, intensity: float) -> Iterator[Any]:
        """The batches of an epoch, disturbed with `intensity`. Each epoch has new batches."""
        intensity = max(intensity, self.least_intensity)
        for step in range(epoch * self.steps(), (epoch + 1) * self.steps()):
            yield self.batches.batch(step, self.config.batch_size, intensity)

    def score(self, net: Any, outputs: Tensor, losses: Loss, batch: Any) -> Scores:
        """Scores over the lines or scenes."""
        count = len(outputs)
        return [(losses.total.item() * count, count), (self.right(outputs, batch), count)], count

    @cached_property
    def composed(self) -> list[Any]:
        """Batches of the held-out images, by held-out writers, fully disturbed; every training has the same ones."""
        assert self.held is not None
        count, size, seed = self.held_batches
        held = self.source_of(self.held, "choices", seed, count=self.held_drawn, writers=self.held_writers)
        return [held.batch(step, size) for step in range(count)]

    @torch.no_grad()
    def said(self, net: Any) -> list[Tensor]:
        """The network's outputs for each held-out batch, in evaluation mode, on the CPU."""
        training = net.training
        said = [self.outputs(net.eval(), batch).cpu() for batch in self.composed]
        net.train(training)
        return said


class LineTask(Composed):
    """Lines of writing, with their texts."""

    config: LineTraining
    network = LineNet
    source = Lines
    least = 1, "a line"
    held_batches, held_drawn = (64, 64, 0x4E1D), 200
    least_intensity = 1.0  # a network that last saw plain paper reads real paper worse
    figures = "loss", "train_text"
    counted = "lines"
    shown = "loss {loss:.3f}, texts {train_text:.2%}"
    measured = (
        "on lines of held-out images and writers{when}: texts {validation_text:.2%}",
        "on the training lines as they came by{when}: texts {train_text:.2%}",
    )

    def source_of(self, digits: DigitSet, part: Part, seed: int, **more: Any) -> Lines:
        """Lines by one part of the writers."""
        return Lines(digits, seed, people=self.config.people, fonts=self.config.fonts, part=part, **more)

    @staticmethod
    def outputs(net: LineNet, lines: LineBatch) -> Tensor:
        """Emissions `[B, T, 33]`, on the CPU, where the sums of CTC give the same result every time."""
        device = net.character.weight.device
        image = lines.image.to(device, memory_format=torch.channels_last)
        emissions: Tensor = net(image, lines.widths.to(device)).cpu()
        return emissions

    def forward(self, net: LineNet, lines: LineBatch, smoothing: float = 0.0) -> tuple[Tensor, Loss]:
        """Emissions, and the loss."""
        emissions = LineTask.outputs(net, lines)
        return emissions, Loss(text_nll(emissions, lines).mean())

    @staticmethod
    def right(emissions: Tensor, lines: LineBatch) -> int:
        """How many lines are read wholly right by the best path."""
        return sum(map(str.__eq__, texts_read(emissions, lines.widths // STEP), lines.texts()))

    def measure(self, net: LineNet) -> dict[str, float]:
        """The share of texts that the best path reads wholly right, and the mean NLL of the texts in nats."""
        pairs = list(zip(self.said(net), self.composed, strict=True))
        count = sum(len(lines.image) for _, lines in pairs)
        nll = sum(text_nll(emissions, lines).sum().item() for emissions, lines in pairs)
        return {"text": sum(self.right(*pair) for pair in pairs) / count, "nll": nll / count}

    def fit(self, net: LineNet) -> dict[str, Any]:
        """Calibrate as `calibrate_lines` does."""
        return calibrate_lines(self.said(net), self.composed)


def texts_read(emissions: Tensor, steps: Tensor) -> list[str]:
    """The text on the best path of each line. The path takes the most probable class at each of the line's `steps`.
    Repetitions are merged, and blanks are left out."""
    path = emissions.detach().argmax(2).numpy()  # [B, T]
    path[np.arange(path.shape[1]) >= steps.numpy()[:, None]] = 0
    new = (np.diff(path, axis=1, prepend=0) != 0) & (path > 0)
    return ["".join(WRITING[place - 1] for place in classes[chosen]) for classes, chosen in zip(path, new, strict=True)]


class FinderTask(Composed):
    """Scenes, and the characters on them."""

    network = FinderNet
    source = Scenes
    calibrates = False
    least = 2, "two scenes"
    held_batches, held_drawn = (12, 16, 0xF1D), 2000
    least_intensity = 0.7  # a finder reads photographs
    figures = "loss", "train_kind"
    counted = "scenes"
    shown = "loss {loss:.3f}, characters {train_kind:.2%}"
    measured = (
        "on scenes of held-out images{when}: characters found {validation_found:.2%}, right {validation_kind:.2%}",
        "on the training scenes as they came by{when}: characters right {train_kind:.2%}",
    )

    @staticmethod
    def outputs(net: FinderNet, scenes: SceneBatch) -> tuple[Tensor, Tensor]:
        """Maps and ink."""
        image = scenes.image.to(net.ink.weight.device, memory_format=torch.channels_last)
        said: tuple[Tensor, Tensor] = net(image)
        return said

    def forward(self, net: FinderNet, scenes: SceneBatch, smoothing: float = 0.0) -> tuple[Any, Loss]:
        """Maps and ink, and the loss."""
        maps, ink = FinderTask.outputs(net, scenes)
        with torch.autocast(maps.device.type, enabled=False):
            return maps, Loss(sum(finder_losses(maps, ink, scenes, smoothing).values(), torch.zeros(())))

    @staticmethod
    def kinds(maps: Tensor, scenes: SceneBatch) -> tuple[Tensor, Tensor]:
        """For each character whose middle is in view: the logit that a character is there, and whether its class is
        right."""
        scene, row, column = (scenes.heat >= 1).nonzero(as_tuple=True)
        said = maps.detach().cpu()[scene, :, row, column]
        truth = scenes.characters[scenes.owner[scene, row, column].clamp_min(0), 6].long()
        return said[:, 0], said[:, len(FIELDS) :].argmax(1) == truth

    def score(self, net: Any, outputs: Tensor, losses: Loss, batch: Any) -> Scores:
        """Scores over the scenes and their characters."""
        _, right = self.kinds(outputs, batch)
        count = len(batch.image)
        return [(losses.total.item() * count, count), (int(right.sum()), max(len(right), 1))], count

    @torch.no_grad()
    def measure(self, net: FinderNet) -> dict[str, float]:
        """The mean losses, and the shares of the characters in view that are found and whose class is right."""
        training = net.training
        net.eval()
        found, right, losses = [], [], []
        for scenes in self.composed:
            maps, ink = self.outputs(net, scenes)
            there, good = self.kinds(maps, scenes)
            found.append(there > 0)
            right.append(good)
            losses.append(finder_losses(maps, ink, scenes))
        net.train(training)
        means = {name: float(sum(one[name] for one in losses)) / len(losses) for name in losses[0]}
        shares = {"found": torch.cat(found), "kind": torch.cat(right)}
        return {name: float(values.float().mean()) for name, values in shares.items()} | {
            f"{name}_loss": value for name, value in means.items()
        }


TASKS: dict[str, type[Task]] = {"digits": OutlierTask, "lines": LineTask, "finder": FinderTask}
"""The tasks of the packaged networks, by name."""

"""The task of the digits, as the training loop needs it: pairs of an image and a number."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from sumnist.config import NORMALISED, Config
from sumnist.data.augment import augmentation
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.outliers import Outliers
from sumnist.data.pairs import Batch, PairBatches, Pairs, smallest_batch
from sumnist.data.sampling import NO_DIGIT, folds, hold_out
from sumnist.data.soft_labels import with_soft_labels
from sumnist.errors import ConfigError
from sumnist.evaluation.metrics import answer_grid
from sumnist.model.fusion import Heads
from sumnist.model.losses import Losses, joint_loss
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.calibrate import calibrate, digit_logits
from sumnist.training.devices import Team
from sumnist.training.folder import Learner

__all__ = ["DigitTask", "Tally", "fingerprint", "split"]


class DigitTask:
    """What training does with pairs; `training/numbers` has the same for strips.

    Raises `DataError`, and `ConfigError` if a process would get too few images at once.
    """

    def __init__(self, config: Config, device: torch.device, processes: Team) -> None:
        self.config, self.device, self.processes = config, device, processes
        self.digits = load_mnist("train", config.data_dir)
        if config.soft_labels:
            self.digits = with_soft_labels(self.digits)
        self.training, self.held = split(self.digits, config)
        check_batches(len(self.training), config, processes)

    def prepare(self, progress: bool) -> None:
        """Make ready to give batches, which may take most of a minute and is shown."""
        self.batches = batches_of(self.training, self.config, self.device, self.processes, progress)

    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self.batches)

    def epoch(self, epoch: int, intensity: float) -> Iterator[Pairs | Batch]:
        """This process's share of the batches of an epoch, changed at random with `intensity`, 0 to 1."""
        return self.batches.epoch(epoch, intensity)

    @staticmethod
    def network(config: Config) -> TwoInputNet:
        """A new network."""
        return TwoInputNet.from_config(config)

    @staticmethod
    def load(folder: Path) -> TwoInputNet:
        """The network of a run. Raises `RunError`."""
        return load_network(folder)[0]

    @staticmethod
    def forward(net: TwoInputNet, pairs: Pairs | Batch, config: Config, smoothing: float = 0.0) -> tuple[Heads, Losses]:
        """Heads and losses. The encoder sees an image once, however many numbers it meets."""
        features = net.encoder(pairs.image)  # [B, F]
        heads = net.fuse(features.repeat_interleave(config.numbers_per_image, 0), pairs.number)  # [B · K, …]
        soft = pairs.soft if isinstance(pairs, Batch) else None
        return heads, joint_loss(heads, pairs.digit, pairs.sum, config, smoothing, soft)

    def tally(self) -> Tally:
        """The running means of an epoch that begins."""
        return Tally(self.processes.size)

    def trouble(self, learner: Learner, row: dict[str, float], earlier: Sequence[Mapping[str, float]]) -> str:
        """Nothing is known that would need a new beginning."""
        return ""

    def validation_figures(self, net: TwoInputNet) -> dict[str, float]:
        """What `metrics.jsonl` says of the held-out images; nothing without any."""
        return {} if self.held is None else validation_figures(net, self.held)

    def end(self, net: TwoInputNet) -> None:
        """Calibrate the network, if there is something to do it by."""
        if self.held is not None and self.config.outliers:
            calibrate_on(self.held, net, self.config)


def fingerprint(digits: DigitSet) -> str:
    """The SHA-256 of images, digits and soft labels."""
    digest = hashlib.sha256(np.ascontiguousarray(digits.images).data)
    digest.update(np.ascontiguousarray(digits.digits).data)
    if digits.soft is not None:
        digest.update(digits.soft.data)
    return digest.hexdigest()


def batches_of(
    training: DigitSet, config: Config, device: torch.device, processes: Team, progress: bool
) -> PairBatches:
    """This process's share of the batches. Outliers are drawn first, which takes most of a minute and is shown."""
    if progress and config.outliers and not sys.stderr.isatty():
        tqdm.write("drawing outliers", file=sys.stderr)
    watch = partial(tqdm, desc="drawing outliers", disable=None if progress else True)
    return PairBatches(
        training, config.batch_size, config.seed, device, config.largest_number,
        augmentation(config.augment, config.augment_strength), config.numbers_per_image,
        share=(processes.rank, processes.size),
        outliers=Outliers(config.outliers, config.seed, device, watch) if config.outliers else None,
    )  # fmt: skip


class Tally:
    """Running means over this process's batches of an epoch, kept on the device."""

    def __init__(self, processes: int = 1) -> None:
        self.processes, self.began = processes, time.perf_counter()
        self.totals: Tensor | None = None  # [6]: sums of the losses total, digit, sum; right digits, sums; pairs
        self.images = 0

    @torch.no_grad()
    def add(self, net: TwoInputNet, heads: Heads, losses: Losses, pairs: Pairs | Batch) -> None:
        """Count a batch in."""
        count = (pairs.digit != NO_DIGIT).sum()
        outputs = net.outputs(heads, pairs.number)
        right_digits = (outputs.digit.argmax(1) == pairs.digit).sum()
        right_sums = (outputs.sum.argmax(1) == pairs.sum).sum()
        batch = torch.stack([*(loss.detach().float() * count for loss in losses), right_digits, right_sums, count])
        self.totals = batch if self.totals is None else self.totals + batch
        self.images += len(pairs.image)

    def figures(self) -> dict[str, float]:
        """The means so far, by the names of `metrics.jsonl`."""
        assert self.totals is not None
        names = "loss", "digit_loss", "sum_loss", "train_digit", "train_sum"
        means = dict(zip(names, (self.totals / self.totals[-1]).tolist(), strict=False))
        return means | {"images_per_second": self.processes * self.images / (time.perf_counter() - self.began)}

    def text(self) -> str:
        """The means so far, for the progress bar."""
        now = self.figures()
        return (f"digit loss {now['digit_loss']:.3f} {now['train_digit']:.2%}, "
                f"sum loss {now['sum_loss']:.3f} {now['train_sum']:.2%}")  # fmt: skip


def check_batches(images: int, config: Config, processes: Team) -> None:
    """Raise `ConfigError` if a process would get too few images at once."""
    smallest = smallest_batch(images, config.batch_size, processes.size) if images else 0
    if smallest < (least := 2 if config.encoder in NORMALISED else 1):
        raise ConfigError(
            f"--batch-size {config.batch_size}: of the {images:,} training images a process would get {smallest} at "
            f"once, expected at least {least}: choose a larger one"
        )


def validation_figures(net: TwoInputNet, held: DigitSet) -> dict[str, float]:
    answers = answer_grid(net, held)
    digit, total = answers.digit == answers.truth[:, None], answers.sum == answers.true_sum
    return {
        "validation_digit": float(digit.mean()),
        "validation_sum": float(total.mean()),
        "validation_joint": float((digit & total).mean()),
        "validation_digit_nll": float(answers.digit_nll.mean(dtype=float)),
        "validation_sum_nll": float(answers.sum_nll.mean(dtype=float)),
    }


def calibrate_on(held: DigitSet, net: TwoInputNet, config: Config) -> None:
    """Set the temperature and the thresholds of `net` by images that it was trained without: without thresholds it
    would accept every answer, whatever it has learned from outliers."""
    fitted = calibrate(digit_logits(net, held), held.digits, config.last_smoothing)
    net.calibration.set(fitted.temperature, fitted.least_is_digit, fitted.least_confidence)


def split(
    digits: DigitSet, config: Config, labels: NDArray[np.int64] | None = None
) -> tuple[DigitSet, DigitSet | None]:
    """The set without, and of, the images that are held out: the same ones for every training seed, with every one of
    the `labels` `[N]`, by default the digits, in proportion."""
    labels = digits.digits if labels is None else labels
    if config.fold:
        held = folds(labels)[config.fold - 1]
        rest = np.setdiff1d(np.arange(len(digits)), held)
    elif config.validation:
        rest, held = hold_out(labels, config.validation)
    else:
        return digits, None
    return digits.part(rest), digits.part(held)

"""The task of the addition, as the training loop needs it: sums of images, of which only the totals are told.

Totals say little of which digit is which. In a long sum, modulo 10, all digits may be shifted by 5, and in a difference
by anything: only carries and ends tell it, so that a network may learn every digit by the name of another one. A shift
that explains totals clearly better is then a better naming, and the network is given it (`AdditionTask.trouble`). Other
wrong names are no better than each other, and no way leads from them: the training begins anew.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from sumnist.config import Config
from sumnist.data.additions import SumBatch, SumBatches, per_sum, totals
from sumnist.data.augment import augmentation
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.errors import ConfigError, TrainingError
from sumnist.evaluation.additions import answer_sums
from sumnist.model.losses import total_nll
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.devices import Team
from sumnist.training.digits import split
from sumnist.training.folder import Learner, lower_lr

__all__ = ["AdditionTask", "SumLosses", "split_unseen"]

LOOKED_AT = 3000
"""Training images at most in the sums by which names are judged, but at least one sum."""
CLEARLY = 0.9
"""A naming is better if it leaves less than this share of the loss: a network that has learned nothing gains less by
chance."""
LOST = 1 / 3
"""The share of the loss of guessing above which a network is lost: it says one digit for all, or wrong ones that fit
some totals. One that learns had a fifth or less in every training that was tried."""
PATIENCE = 1 / 3
"""The share of the epochs after which this is asked: numbers of 1,000 digits take most of that to be learned at all."""
BEGUN, STILL = 0.8, 0.95
"""It is asked before that of a network that has less than this share of the loss of guessing, and of its own of the
epoch before more than that one: it has settled on names of which many are one off, and will not leave them."""


class SumLosses(NamedTuple):
    """What training minimises: the mean over the sums of −log of the probability of the total, in nats; or, where the
    digits are told, over these."""

    total: Tensor


class AdditionTask:
    """What training does with sums; `training/digits` has the same for pairs.

    Raises `DataError`, and `ConfigError` if there are too few images for a sum, or for a sum for each process.
    """

    def __init__(self, config: Config, device: torch.device, processes: Team) -> None:
        self.config, self.processes = config, processes
        self.digits = load_mnist("train", config.data_dir)
        self.training, self.held = split_unseen(self.digits, config)
        for name, images in (("training", self.training), ("held-out", self.held)):
            if images is not None and len(images) < per_sum(config):
                raise ConfigError(
                    f"--digits {config.digits} --addends {config.addends}: a sum takes {per_sum(config):,} images, and "
                    f"there are {len(images):,} {name} ones: choose fewer digits or numbers, or another --validation"
                )
        self.batches = SumBatches(
            self.training, config, device, augmentation(config.augment, config.augment_strength),
            share=(processes.rank, processes.size),
        )  # fmt: skip
        if not self.batches.least:
            raise ConfigError(
                f"--batch-size {config.batch_size}: expected a sum of {per_sum(config):,} images for each of "
                f"{processes.size} processes: choose a larger one"
            )

    def prepare(self, progress: bool) -> None:
        """Nothing but to choose the sums by which names are judged."""
        self.progress = progress
        count = max(1, LOOKED_AT // per_sum(self.config))
        self.looked_at = self.batches.of(torch.arange(min(count, len(self.batches.place))))

    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self.batches)

    def epoch(self, epoch: int, intensity: float) -> Iterator[SumBatch]:
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
    def forward(net: TwoInputNet, sums: SumBatch, config: Config, smoothing: float = 0.0) -> tuple[Tensor, SumLosses]:
        """Log-probabilities of the digits, `[S, K, N, 10]`, and the loss, in float32 whatever comes before."""
        number = torch.zeros(len(sums.image), dtype=torch.int64, device=sums.image.device)
        logits = net.heads(sums.image, number).digit
        if not logits.isfinite().all():
            raise TrainingError(f"the network's answers are no numbers any more: {lower_lr(config)}")
        with torch.autocast(logits.device.type, enabled=False):
            scores = logits.float().log_softmax(1).view(*sums.digit.shape, 10)
            if config.supervision == "digits":
                return scores, SumLosses(functional.nll_loss(scores.flatten(0, 2), sums.digit.flatten()))
            return scores, SumLosses(total_nll(scores, sums.total, config.operation).mean())

    def tally(self) -> Tally:
        """The running means of an epoch that begins."""
        return Tally(self.config, self.processes.size)

    def trouble(self, learner: Learner, row: dict[str, float], earlier: Sequence[Mapping[str, float]]) -> str:
        """Why the training shall begin anew with other weights, mostly nothing; digits of wrong names are renamed."""
        if self.config.supervision == "digits":
            return ""
        losses, still = self.processes.from_leader(
            lambda: (self.losses_by_shift(learner.net), bool(earlier) and row["loss"] > STILL * earlier[-1]["loss"])
        )
        guessing = self.guessing()
        shift = int(np.argmin(losses))
        if losses[shift] < CLEARLY * losses[0]:
            rename(learner, shift)
            row["renamed_by"] = shift
            if self.progress:
                tqdm.write(f"each digit was named for another one: {shift} is added to all of them", file=sys.stderr)
        elif losses[0] > LOST * guessing:
            settled = still and losses[0] < BEGUN * guessing
            if settled or row["epoch"] >= PATIENCE * self.config.epochs:
                return f"too little was learned, the loss is {losses[0]:.2f} and that of guessing {guessing:.2f}"
        return ""

    @torch.no_grad()
    def losses_by_shift(self, net: Any) -> list[float]:
        """The loss on some of the training sums if each digit were called by the name of the one so many behind it."""
        net.eval()
        scores, _ = self.forward(net, self.looked_at, self.config)
        return [self.loss_of(scores.roll(shift, 3)) for shift in range(10)]

    def guessing(self) -> float:
        """The loss on them if all digits were equally probable."""
        return self.loss_of(torch.full((*self.looked_at.digit.shape, 10), 0.1).log())

    def loss_of(self, scores: Tensor) -> float:
        """The loss on them of log-probabilities of their digits, `[S, K, N, 10]`."""
        return total_nll(scores, self.looked_at.total, self.config.operation).mean().item()

    def validation_figures(self, net: TwoInputNet) -> dict[str, float]:
        """What `metrics.jsonl` says of sums of the held-out images, in their order; nothing without any."""
        if self.held is None:
            return {}
        answers = answer_sums(net, self.held, self.config)
        figures = {"digit": answers.digits_right, "sum": answers.sums_right(), "nll": answers.nll()}
        return {f"validation_{name}": float(values.mean()) for name, values in figures.items()}

    def end(self, net: TwoInputNet) -> None:
        """Nothing is done last."""


def split_unseen(digits: DigitSet, config: Config) -> tuple[DigitSet, DigitSet | None]:
    """The set without, and of, the images that are held out, chosen without a look at their digits."""
    return split(digits, config, np.zeros_like(digits.digits))


@torch.no_grad()
def rename(learner: Learner, shift: int) -> None:
    """Add `shift` to every digit that a network says, modulo 10; its average and its optimizer follow."""
    for net in (learner.net, learner.average):
        for weight in net.fusion.digit.parameters() if isinstance(net, TwoInputNet) else ():
            moments = learner.optimizer.state.get(weight, {}).values()
            for value in (weight, *(moment for moment in moments if moment.ndim)):
                value.copy_(value.roll(shift, 0))


class Tally:
    """Running means over this process's batches of an epoch."""

    def __init__(self, config: Config, processes: int = 1) -> None:
        self.operation, self.processes, self.began = config.operation, processes, time.perf_counter()
        self.loss = self.sums = self.right_sums = self.digits = self.right_digits = 0.0

    @torch.no_grad()
    def add(self, net: TwoInputNet, scores: Tensor, losses: SumLosses, sums: SumBatch) -> None:
        """Count a batch in, `net` being no matter."""
        answer = scores.argmax(3)
        self.loss += losses.total.item() * len(sums.total)
        self.sums += len(sums.total)
        self.right_sums += int((totals(answer.cpu().numpy(), self.operation) == sums.total).sum())
        self.digits += answer.numel()
        self.right_digits += int((answer == sums.digit).sum())

    def figures(self) -> dict[str, float]:
        """The means so far, by the names of `metrics.jsonl`."""
        return {
            "loss": self.loss / self.sums, "train_digit": self.right_digits / self.digits,
            "train_sum": self.right_sums / self.sums,
            "images_per_second": self.processes * self.digits / (time.perf_counter() - self.began),
        }  # fmt: skip

    def text(self) -> str:
        """The means so far, for the progress bar."""
        now = self.figures()
        return f"loss {now['loss']:.3f}, sums {now['train_sum']:.2%}, digits {now['train_digit']:.2%}"

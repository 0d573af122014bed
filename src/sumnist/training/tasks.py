"""Define the two tasks that a network can learn, each with its batches, network, loss, figures and calibration.

`Task` declares what the training loop asks of a task, and implements what most tasks share. The laboratory has further
ones, for the other packaged networks.

Totals say little about which digit is which. In a long sum, modulo 10, all digits may be shifted by 5. Only carries and
the ends of numbers then show that the digits are wrong. So a network may learn every digit under the name of another
digit. If shifted names explain the totals clearly better, the network gets these names (`AdditionTask.trouble`). Other
wrong names are all about equally bad, and a training does not find its way out of them, so it restarts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from sumnist.config import NORMALISED, Run, Training
from sumnist.data.additions import SumBatch, SumBatches, per_sum, totals
from sumnist.data.augment import augmentation
from sumnist.data.mnist import DigitSet, load_mnist, with_soft_labels
from sumnist.data.pairs import Batch, Outliers, PairBatches, Pairs, smallest_batch
from sumnist.data.pen_digits import WRITERS
from sumnist.data.sampling import NO_DIGIT, folds, hold_out
from sumnist.errors import ConfigError, TrainingError
from sumnist.evaluation.metrics import answer_grid, answer_sums
from sumnist.model.checkpoint import Calibration
from sumnist.model.fusion import Heads
from sumnist.model.losses import Losses, joint_loss, total_nll
from sumnist.model.network import TwoInputNet
from sumnist.training.calibrate import calibrate, digit_logits, digits_of
from sumnist.training.folder import Learner, lower_lr
from sumnist.training.optimizer import UncompiledAdamW

Scores = tuple[list[tuple[Any, Any]], int]
"""The scores of a batch. First, for each of the task's `figures`, its sum and the count to divide it by. Then the
number of images, strips or scenes that were processed."""
FOLDS = 5
"""Number of folds of the training images and of the writers."""


class Loss(NamedTuple):
    """What training minimises, in nats."""

    total: Tensor


class Task:
    """What differs between the tasks.

    Args:
        config: What to train.
        device: Where to train it.

    Raises:
        DataError: The data set is missing or damaged.
        ConfigError: There are too few images, or a process would get too few of them at once.

    Attributes:
        digits: All images that the training is given, including the held-out ones.
        training: The images that the network learns from.
        held: The held-out images, if any.
        writers: The writers of pen digits that the network learns from.
        held_writers: The held-out writers, if any.
    """

    network: ClassVar[Any]
    """The class of the network."""
    figures: ClassVar[tuple[str, ...]]
    """The figures that `score` gives, by their names in `metrics.jsonl`; the loss comes first."""
    counted = "images"
    """What the speed of a training counts."""
    shown: ClassVar[str]
    """Template for the progress bar, with the figures of an epoch so far."""
    measured = (
        "on the held-out images{when}: digit {validation_digit:.2%}, sum {validation_sum:.2%}",
        "on the training images as they came by{when}: digit {train_digit:.2%}, sum {train_sum:.2%}",
    )
    """Templates for a row of `metrics.jsonl` in words, with and without held-out images."""
    batches: Any
    """The batches of this process, once the task is prepared."""
    forward: Any
    """(network, batch, label smoothing) → outputs, and losses with a `total`."""
    score: Any
    """(network, outputs, losses, batch) → `Scores` of the batch."""
    measure: Any
    """(network) → its figures on held-out data. The network comes back in the mode that it came in."""
    fit: Any
    """(network without a calibration) → the calibration that suits it."""
    calibrates = True
    """Whether the network can be calibrated."""

    def __init__(self, config: Any, device: torch.device) -> None:
        self.config, self.device = config, device
        self.digits = self.load()
        self.training, self.held = split(self.digits, config)
        self.writers, self.held_writers = split_writers(config)

    def load(self) -> DigitSet:
        """The images that the training is given."""
        return load_mnist("train", self.config.data_dir)

    def prepare(self, progress: bool) -> None:
        """Get ready to give batches. This may take most of a minute; if `progress` is true, show the progress."""

    def optimizer(self, net: nn.Module) -> Optimizer:
        """The optimizer of the network: AdamW."""
        particulars = self.config.particulars
        return UncompiledAdamW(
            net.parameters(), self.config.lr, particulars.betas, weight_decay=particulars.weight_decay, fused=True
        )

    def steps(self) -> int:
        """Number of batches in an epoch."""
        return len(self.batches)

    def epoch(self, epoch: int, intensity: float) -> Iterator[Any]:
        """The batches of an epoch, changed at random with `intensity`, 0 to 1. Each batch has
        an `image`."""
        batches: Iterator[Any] = self.batches.epoch(epoch, intensity)
        return batches

    def trouble(self, learner: Learner, row: dict[str, float], earlier: Sequence[Mapping[str, float]]) -> str:
        """Why the training should restart with other weights, after the epoch of `row` and the `earlier` epochs.
        Usually an empty text."""
        return ""

    def calibrate(self, net: Any) -> dict[str, Any]:
        """Set the temperature and the thresholds of `net` from its answers to images that it was not trained on.
        Returns the calibration and how well it fits."""
        net.eval()
        net.calibration.set()
        fitted: dict[str, Any] = self.fit(net)
        net.calibration.set(**{name: fitted[name] for name in Calibration.NAMES if name in fitted})
        return fitted

    @classmethod
    def in_words(cls, row: Mapping[str, float], when: str = "") -> str:
        """The figures of an epoch in words."""
        held = any(name.startswith("validation_") for name in row)
        return cls.measured[0 if held else 1].format(when=when, **row)


class Tally:
    """Running means over the batches of an epoch, kept on the device."""

    def __init__(self, task: Task) -> None:
        self.task, self.began, self.passed = task, time.perf_counter(), 0
        self.sums: list[tuple[Any, Any]] = [(0, 0)] * len(task.figures)

    @torch.no_grad()
    def add(self, net: Any, outputs: Any, losses: Any, batch: Any) -> None:
        """Add a batch to the means."""
        scores, passed = self.task.score(net, outputs, losses, batch)
        self.sums = [(a + b, m + n) for (a, m), (b, n) in zip(self.sums, scores, strict=True)]
        self.passed += passed

    def figures(self) -> dict[str, float]:
        """The means so far and the speed, named as in `metrics.jsonl`."""
        means = {name: float(total / n) for name, (total, n) in zip(self.task.figures, self.sums, strict=True)}
        rate = self.passed / (time.perf_counter() - self.began)
        return means | {f"{self.task.counted}_per_second": rate}

    def text(self) -> str:
        """The means so far, for the progress bar."""
        return self.task.shown.format(**self.figures())


class DigitTask(Task):
    """Pairs of an image and a number."""

    network = TwoInputNet
    config: Training
    figures = "loss", "digit_loss", "sum_loss", "train_digit", "train_sum"
    shown = "digit loss {digit_loss:.3f} {train_digit:.2%}, sum loss {sum_loss:.3f} {train_sum:.2%}"
    calibrates = False  # without outliers a network accepts every answer

    def __init__(self, config: Training, device: torch.device) -> None:
        super().__init__(config, device)
        images, least = len(self.training), 2 if config.encoder in NORMALISED else 1
        smallest = smallest_batch(images, config.batch_size) if images else 0
        if smallest < least:
            raise ConfigError(
                f"--batch-size {config.batch_size}: of the {images:,} training images {smallest} would be in "
                f"a batch, expected at least {least}: choose a larger one"
            )

    def load(self) -> DigitSet:
        """The images that the training is given, with soft labels if they are asked for."""
        return with_soft_labels(super().load()) if self.config.soft_labels else super().load()

    def prepare(self, progress: bool) -> None:
        """Set up the batches, with outliers if there are any."""
        config = self.config
        self.batches = PairBatches(
            self.training, config.batch_size, config.seed, self.device, config.particulars.largest_number,
            augmentation(config.augment), config.numbers_per_image, outliers=self.outliers(progress),
        )  # fmt: skip

    def outliers(self, progress: bool) -> Outliers | None:
        """The source of images that are added to each batch, most of which show no digit. None here; a task with such a
        source also sets `calibrates`, and its network learns whether an image shows a digit."""
        return None

    def forward(self, net: TwoInputNet, pairs: Pairs | Batch, smoothing: float = 0.0) -> tuple[Heads, Losses]:
        """Heads and losses. The encoder sees an image once, even if several numbers meet it."""
        features = net.encoder(pairs.image)  # [B, F]
        heads = net.fuse(features.repeat_interleave(self.config.numbers_per_image, 0), pairs.number)  # [B · K, …]
        soft = pairs.soft if isinstance(pairs, Batch) else None
        return heads, joint_loss(
            heads, pairs.digit, pairs.sum, self.config.particulars, smoothing, soft, outliers=self.calibrates
        )

    def score(self, net: TwoInputNet, heads: Heads, losses: Losses, pairs: Pairs | Batch) -> Scores:
        """Scores over the pairs that show a digit; the counts stay on the device."""
        count = (pairs.digit != NO_DIGIT).sum()
        right = [(heads.digit.argmax(1) == pairs.digit).sum()] * 2  # a computed sum is right if the digit is
        if heads.sum is not None:
            right[1] = (net.outputs(heads, pairs.number).sum.argmax(1) == pairs.sum).sum()
        sums = [*(loss.detach().float() * count for loss in losses), *right]
        return [(total, count) for total in sums], len(pairs.image)

    def measure(self, net: TwoInputNet) -> dict[str, float]:
        """Figures on the grid of held-out images."""
        assert self.held is not None
        answers = answer_grid(net, self.held)
        digit, total = answers.digit_right, answers.sum_right
        figures = {"digit": digit, "sum": total, "joint": digit & total, "digit_nll": answers.digit_nll,
                   "sum_nll": answers.sum_nll}  # fmt: skip
        return {name: float(values.mean(dtype=float)) for name, values in figures.items()}

    def fit(self, net: TwoInputNet) -> dict[str, Any]:
        """Calibrate on the held-out digits and writers, as `calibrate` does."""
        assert self.held is not None
        strange = digits_of(self.held_writers) if self.held_writers else None
        hands = None if strange is None else (digit_logits(net, strange), strange.digits)
        return calibrate(digit_logits(net, self.held), self.held.digits, self.config.last_smoothing, hands=hands)


NAMED_BY = 3000
"""Number of training images in the sums that judge the names of digits, at most; there is at least one sum."""
CLEARLY = 0.9
"""Shifted names are better if the loss falls below this share of what it was. A network that has learned nothing gains
less by chance."""
LOST = 1 / 3
"""A network is lost if its loss is above this share of the loss of guessing. It then answers the same digit for all
images, or wrong digits that fit some totals. In every training that we tried, a network that learned had a fifth or
less. The rule is not for sums of `MANY` numbers: a few misread digits among them leave their total unsure."""
MANY = 8
"""Numbers in a sum from which on a network is never taken for lost."""
PATIENCE = 1 / 3
"""Share of the epochs after which a lost network is given up. Numbers of 1,000 digits need most of this time before the
network learns anything at all."""
BEGUN, STILL = 0.8, 0.95
"""A lost network is given up earlier if its loss is below `BEGUN` times the loss of guessing, and its loss in training
is above `STILL` times that of the epoch before. It has then settled on names of which many are off by one, and will not
leave them."""


class AdditionTask(Task):
    """Sums of images. The labels are only the totals."""

    network = TwoInputNet
    config: Training
    figures = "loss", "train_digit", "train_sum"
    shown = "loss {loss:.3f}, sums {train_sum:.2%}, digits {train_digit:.2%}"
    calibrates = False  # there are no labels of digits

    def __init__(self, config: Training, device: torch.device) -> None:
        super().__init__(config, device)
        for name, images in (("training", self.training), ("held-out", self.held)):
            if images is not None and len(images) < per_sum(config):
                raise ConfigError(
                    f"--digits {config.digits} --addends {config.addends}: a sum takes {per_sum(config):,} images, and "
                    f"there are {len(images):,} {name} ones: choose fewer digits or numbers, or another --validation"
                )
        self.batches = SumBatches(self.training, config, device, augmentation(config.augment))

    def prepare(self, progress: bool) -> None:
        """Choose the sums that judge the names of digits."""
        self.progress = progress
        count = max(1, NAMED_BY // per_sum(self.config))
        self.named_by = self.batches.of(torch.arange(min(count, len(self.batches.place))))

    def forward(self, net: TwoInputNet, sums: SumBatch, smoothing: float = 0.0) -> tuple[Tensor, Loss]:
        """Log-probabilities of the digits, `[S, K, N, 10]`, and the loss, in float32 even if the network runs in
        bf16."""
        number = torch.zeros(len(sums.image), dtype=torch.int64, device=sums.image.device)
        logits = net.heads(sums.image, number).digit
        if not logits.isfinite().all():
            raise TrainingError(f"the network's answers are no numbers any more: {lower_lr(self.config)}")
        with torch.autocast(logits.device.type, enabled=False):
            scores = logits.float().log_softmax(1).view(*sums.digit.shape, 10)
            return scores, Loss(total_nll(scores, sums.total).mean())

    def score(self, net: TwoInputNet, scores: Tensor, losses: Loss, sums: SumBatch) -> Scores:
        """Scores over the sums, and over their digits."""
        answer, count = scores.argmax(3), len(sums.total)
        digits, right = answer.numel(), totals(answer.cpu().numpy()) == sums.total
        of_digits = (answer == sums.digit).sum().item(), digits
        return [(losses.total.item() * count, count), of_digits, (int(right.sum()), count)], digits

    def trouble(self, learner: Learner, row: dict[str, float], earlier: Sequence[Mapping[str, float]]) -> str:
        """As in `Task`. Also rename the digits if one shift corrects the names of all of them."""
        losses = self.losses_by_shift(learner.net)
        still = bool(earlier) and row["loss"] > STILL * earlier[-1]["loss"]
        guessing = self.loss_of(torch.full((*self.named_by.digit.shape, 10), 0.1).log())
        shift = int(np.argmin(losses))
        if losses[shift] < CLEARLY * losses[0]:
            rename(learner, shift)
            row["renamed_by"] = shift
            if self.progress:
                tqdm.write(f"each digit was named for another one: {shift} is added to all of them", file=sys.stderr)
        elif losses[0] > LOST * guessing and self.config.addends < MANY:
            settled = still and losses[0] < BEGUN * guessing
            if settled or row["epoch"] >= PATIENCE * self.config.epochs:
                return f"too little was learned, the loss is {losses[0]:.2f} and that of guessing {guessing:.2f}"
        return ""

    @torch.no_grad()
    def losses_by_shift(self, net: Any) -> list[float]:
        """For each shift from 0 to 9: the loss on the chosen sums if the shift were added to all digits, modulo 10."""
        net.eval()
        scores, _ = self.forward(net, self.named_by)
        return [self.loss_of(scores.roll(shift, 3)) for shift in range(10)]

    def loss_of(self, scores: Tensor) -> float:
        """The loss on the chosen sums, given log-probabilities of their digits, `[S, K, N, 10]`."""
        return total_nll(scores, self.named_by.total).mean().item()

    def measure(self, net: TwoInputNet) -> dict[str, float]:
        """Figures on sums of the held-out images, in their order."""
        assert self.held is not None
        answers = answer_sums(net, self.held, self.config)
        figures = {"digit": answers.digits_right, "sum": answers.sums_right(), "nll": answers.nll()}
        return {name: float(values.mean()) for name, values in figures.items()}


@torch.no_grad()
def rename(learner: Learner, shift: int) -> None:
    """Add `shift`, modulo 10, to every digit that a network answers, and change its average and its optimizer
    accordingly."""
    for net in (learner.net, learner.average):
        for weight in net.fusion.digit.parameters() if isinstance(net, TwoInputNet) else ():
            moments = learner.optimizer.state.get(weight, {}).values()
            for value in (weight, *(moment for moment in moments if moment.ndim)):
                value.copy_(value.roll(shift, 0))


TASKS: Mapping[str, type[Task]] = {"digits": DigitTask, "addition": AdditionTask}
"""The tasks by name."""


def split(digits: DigitSet, config: Run) -> tuple[DigitSet, DigitSet | None]:
    """The images to learn from and the held-out images, if any. The split is the same for every training seed, and
    holds out every digit in proportion. In the task `addition`, digits are not labels, so the split does not look at
    them."""
    blind = getattr(config, "task", "") == "addition"
    labels = np.zeros_like(digits.digits) if blind else digits.digits
    if config.fold:
        held = folds(labels)[config.fold - 1]
        rest = np.setdiff1d(np.arange(len(digits)), held)
    elif config.validation:
        rest, held = hold_out(labels, config.validation)
    else:
        return digits, None
    return digits.part(rest), digits.part(held)


def split_writers(config: Run) -> tuple[list[int], list[int]]:
    """The writers of pen digits that a training learns from, and the held-out writers. A fold holds out a fifth of the
    writers; other trainings with held-out images hold out a tenth."""
    by = FOLDS if config.fold else 2 * FOLDS
    held = list(range(config.fold - 1 if config.fold else 0, WRITERS, by)) if config.fold or config.validation else []
    return [writer for writer in range(WRITERS) if writer not in held], held

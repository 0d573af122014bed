"""Training, top to bottom: `train` is the whole of it, `training_step` the heart."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm import tqdm

from sumnist.config import NORMALISED, Config
from sumnist.data.augment import augmentation
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.outliers import Outliers
from sumnist.data.pairs import Batch, PairBatches, Pairs, smallest_batch
from sumnist.data.sampling import NO_DIGIT, epoch_seed, folds, hold_out
from sumnist.data.soft_labels import with_soft_labels
from sumnist.errors import ConfigError, RunError, TrainingError
from sumnist.evaluation.metrics import answer_grid
from sumnist.memory import keep_freed_memory
from sumnist.model.encoders import count_parameters
from sumnist.model.fusion import Heads
from sumnist.model.losses import Losses, joint_loss
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.calibrate import calibrate, digit_logits
from sumnist.training.devices import Team, choose_bf16, choose_device, team, threads
from sumnist.training.folder import METRICS, STATE, Learner, Progress, RunFolder, lower_lr, read_metrics

__all__ = ["RunResult", "learning_rate", "train", "training_step"]

LOOK_EVERY = 20
"""Steps between two looks at the losses: a look waits for the device to catch up."""


@dataclass(frozen=True)
class RunResult:
    """A trained network and the folder of its run, which is `.unfinished` in the folder of another one as long as it is
    to replace that.

    `seconds`: the training alone, from data in memory to final weights. `steps`: how many were taken. `metrics`: the
    rows of `metrics.jsonl`, one for each whole epoch. `finished`: False after Ctrl-C.
    """

    net: TwoInputNet
    folder: Path
    seconds: float
    steps: int
    metrics: list[dict[str, float]]
    finished: bool


def train(
    config: Config, out: str | Path, *, overwrite: bool = False, progress: bool = True, resume: bool = False
) -> RunResult:
    """Train a network and leave its run in a folder.

    Ctrl-C ends the training early and still leaves a run that can be used. One that was to replace another is then in
    `.unfinished` inside the folder, for `resume` to go on with, and the other one stays. Started by `torchrun`, all its
    processes train one network together.

    Args:
        config: What to train, and how.
        out: Folder for the run.
        overwrite: Replace the run that the folder holds, in one step, once the new one has finished.
        progress: Show on standard error how far the training is.
        resume: Go on with an unfinished run in the folder, to the result that it would have had.

    Returns:
        The network with its weights of the end, and the figures of every epoch.

    Raises:
        ConfigError: This machine lacks the device, or a run to be resumed was begun with other settings.
        DataError: The data set is missing or damaged.
        OutputError: The folder cannot be written, holds a run already, or another process writes into it.
        RunError: The folder holds no run that can be resumed, here and with these data.
        TrainingError: A loss or a weight is not a number any more, or another process is gone.
    """
    device = choose_device(config.device)
    with team(device) as processes, threads(config.threads), RunFolder(Path(out), config) as folder:
        done = processes.from_leader(lambda: opened(folder, overwrite, resume))
        return done or train_together(config, folder, device, processes, progress and processes.leads)


def train_together(
    config: Config, folder: RunFolder, device: torch.device, processes: Team, progress: bool
) -> RunResult:
    """What each of the processes does, one of them or many."""
    bf16 = choose_bf16(config.precision, device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    digits = load_mnist("train", config.data_dir)
    if config.soft_labels:
        digits = with_soft_labels(digits)
    training, held = split(digits, config)
    check_batches(len(training), config, processes)
    keep_freed_memory()
    facts = {"train_images": len(training), "device": str(device), "threads": torch.get_num_threads(),
             "processes": processes.size, "precision": "bf16" if bf16 else "fp32"}  # fmt: skip
    begun, saved = processes.from_leader(lambda: folder.start({**facts, "data": fingerprint(digits)}))
    clock = Clock(begun)
    batches = batches_of(training, config, device, processes, progress)  # first of all: it has something to show
    with clock.paused():
        learner = set_up(config, device, saved, folder.place / STATE)
    steps, epochs, step, finished = config.epochs * len(batches), begun.epochs, begun.steps, False
    try:
        for epoch in range(begun.epochs, config.epochs):
            learner.net.train()
            torch.manual_seed(epoch_seed(config.seed, epoch, processes.rank))  # for dropout
            tally = Tally(processes.size)
            title = f"epoch {epoch + 1}/{config.epochs}"
            intensity = learning_rate(epoch / config.epochs, config) / config.lr  # the last epochs: clean images
            bar = tqdm(batches.epoch(epoch, intensity), title, len(batches), disable=None if progress else True)
            for pairs in bar:
                rate = learning_rate(step / steps, config)
                set_learning_rate(learner.optimizer, rate)
                smoothing = config.label_smoothing * (rate / config.lr if config.smoothing_fades else 1)
                heads, losses = training_step(
                    learner.net, learner.optimizer, pairs, config, autocast, smoothing=smoothing, processes=processes
                )
                if learner.average is not None:
                    move_average(learner.average, learner.net, config.ema, step)
                tally.add(learner.net, heads, losses, pairs)
                step += 1
                if step % LOOK_EVERY == 0 or step % len(batches) == 0:  # so that no weights are saved unseen
                    bar.set_postfix_str(tally.text())
                    check_finite(losses, epoch, step, config)
            row = {"epoch": epoch + 1, "step": step, **tally.figures(), **clock.read()}
            with clock.paused():
                end_epoch(row, learner, held, folder, processes)
            epochs = epoch + 1
            if progress and bar.disable:  # not a terminal: a line an epoch instead of a bar
                tqdm.write(f"{title}: {tally.text()}", file=sys.stderr)
        with clock.paused():
            processes.from_leader(lambda: end_training(learner.trained, held, folder, config))
        finished = True
    except KeyboardInterrupt:
        if processes.leads:
            folder.save_weights(learner.trained)
    spent = clock.read()
    outcome = {"finished": finished, "epochs": epochs, "steps": step, **spent,
               "parameters": count_parameters(learner.net)}  # fmt: skip
    if finished:
        processes.from_leader(lambda: folder.finish(outcome))
    elif processes.leads:  # the others may be anywhere
        folder.finish(outcome)
    return RunResult(learner.trained.eval(), folder.place, spent["seconds"], step, folder.metrics, finished)


def opened(folder: RunFolder, overwrite: bool, resume: bool) -> RunResult | None:
    """Hold the folder; the result of a run in it that is to be resumed and has nothing left to do."""
    folder.open(overwrite=overwrite, resume=resume)
    if not folder.finished:
        return None
    folder.settle()
    net, _ = load_network(folder.path)
    try:
        seconds, steps = float(folder.record["seconds"]), int(folder.record["steps"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder.path}: the record of a finished run lacks {error}: train the run again") from error
    return RunResult(net, folder.path, seconds, steps, read_metrics(folder.path / METRICS), finished=True)


def fingerprint(digits: DigitSet) -> str:
    """The SHA-256 of images, digits and soft labels."""
    digest = hashlib.sha256(np.ascontiguousarray(digits.images).data)
    digest.update(np.ascontiguousarray(digits.digits).data)
    if digits.soft is not None:
        digest.update(digits.soft.data)
    return digest.hexdigest()


def set_up(config: Config, device: torch.device, saved: dict[str, Tensor], state: Path) -> Learner:
    """The network with its optimizer and its average: new, or with the tensors `saved` in a run's `state`."""
    torch.manual_seed(config.seed)
    net = TwoInputNet.from_config(config).to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    learner = Learner(net, build_optimizer(net, config), deepcopy(net) if config.ema else None)
    if saved:
        learner.restore(saved, state)
    return learner


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


def end_epoch(
    row: dict[str, float], learner: Learner, held: DigitSet | None, folder: RunFolder, processes: Team
) -> None:
    """Measure the network on the held-out images; write the `row`, the weights, and the state to go on from."""
    progress = Progress(int(row["epoch"]), int(row["step"]), row["seconds"], row["cpu_seconds"])
    processes.average([*learner.net.buffers(), *(learner.average.buffers() if learner.average is not None else ())])

    def measure_and_write() -> None:
        figures = {} if held is None else validation_figures(learner.trained, held)
        folder.add_epoch(row | figures, learner.trained)
        folder.save_state(progress, learner)

    processes.from_leader(measure_and_write)


def end_training(trained: TwoInputNet, held: DigitSet | None, folder: RunFolder, config: Config) -> None:
    """Calibrate the network, if there is something to do it by, and write the weights of the end."""
    if held is not None and config.outliers:
        calibrate_on(held, trained, config)
    folder.save_weights(trained)


def training_step(
    net: TwoInputNet,
    optimizer: torch.optim.Optimizer,
    pairs: Pairs | Batch,
    config: Config,
    autocast: AbstractContextManager[Any],
    *,
    smoothing: float = 0.0,
    processes: Team | None = None,
) -> tuple[Heads, Losses]:
    """One batch: forward, loss, backward, step. The encoder sees an image once, however many numbers it meets."""
    with autocast:
        features = net.encoder(pairs.image)  # [B, F]
        heads = net.fuse(features.repeat_interleave(config.numbers_per_image, 0), pairs.number)  # [B · K, …]
        soft = pairs.soft if isinstance(pairs, Batch) else None
        losses = joint_loss(heads, pairs.digit, pairs.sum, config, smoothing, soft)
    losses.total.backward()
    if processes:
        processes.average_gradients(net.parameters(), len(pairs.image))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return heads, losses


def learning_rate(progress: float, config: Config) -> float:
    """The learning rate when the share `progress` of all steps is done: constant, or up a line and down a cosine."""
    if config.schedule == "constant":
        return config.lr
    if progress < config.warmup:
        return config.lr * (0.04 + 0.96 * progress / config.warmup)
    fallen = 0.5 * (1 + math.cos(math.pi * (progress - config.warmup) / (1 - config.warmup or 1)))
    return config.lr * max(fallen, config.lr_floor)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def build_optimizer(net: nn.Module, config: Config) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(net.parameters(), config.lr, config.betas, weight_decay=config.weight_decay, fused=True)


def move_average(average: TwoInputNet, net: TwoInputNet, decay: float, step: int) -> None:
    """Move an exponential moving average of weights and batch statistics towards `net`; faster in the first steps, when
    it still remembers the random start."""
    old, new = ([value for value in of.state_dict().values() if value.is_floating_point()] for of in (average, net))
    get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))(old, new, step)


class Clock:
    """Seconds of training, on the wall and on the processor, leaving out what happens while it is paused."""

    def __init__(self, begun: Progress) -> None:
        self.wall, self.cpu = begun.seconds - time.perf_counter(), begun.cpu_seconds - time.process_time()

    def read(self) -> dict[str, float]:
        """`seconds` and `cpu_seconds` so far, by the names of `metrics.jsonl`."""
        return {"seconds": self.wall + time.perf_counter(), "cpu_seconds": self.cpu + time.process_time()}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Measuring and saving are not training."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall -= time.perf_counter() - wall
        self.cpu -= time.process_time() - cpu


class Tally:
    """Running means over this process's batches of an epoch, kept on the device."""

    def __init__(self, processes: int = 1) -> None:
        self.processes, self.began = processes, time.perf_counter()
        self.totals: Tensor | None = None  # [6]: sums of the losses total, digit, sum; right digits, sums; pairs
        self.images = 0

    @torch.no_grad()
    def add(self, net: TwoInputNet, heads: Heads, losses: Losses, pairs: Pairs | Batch) -> None:
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


def check_finite(losses: Losses, epoch: int, step: int, config: Config) -> None:
    if not math.isfinite(losses.total.item()):
        raise TrainingError(
            f"the loss is {losses.total.item()} in epoch {epoch + 1}, by step {step} (digit {losses.digit.item():g}, "
            f"sum {losses.sum.item():g}), expected a finite number: {lower_lr(config)}"
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


def split(digits: DigitSet, config: Config) -> tuple[DigitSet, DigitSet | None]:
    """The set without, and of, the images that are held out; the same ones for every training seed."""
    if config.fold:
        held = folds(digits.digits)[config.fold - 1]
        rest = np.setdiff1d(np.arange(len(digits)), held)
    elif config.validation:
        rest, held = hold_out(digits.digits, config.validation)
    else:
        return digits, None
    return digits.part(rest), digits.part(held)

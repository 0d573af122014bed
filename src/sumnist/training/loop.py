"""Train a network: `train` runs a whole training, `train_epoch` and `end_epoch` are one epoch of it, and
`training_step` is one step."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sumnist.config import Run
from sumnist.data.sampling import epoch_seed
from sumnist.errors import RunError, TrainingError
from sumnist.memory import keep_freed_memory
from sumnist.model.checkpoint import load_fitting
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import METRICS, STATE
from sumnist.training.devices import check_alone, choose_bf16, choose_device, named, threads
from sumnist.training.folder import Learner, Progress, RunFolder, lower_lr, read_metrics
from sumnist.training.optimizer import learning_rate, move_average, set_learning_rate
from sumnist.training.tasks import TASKS, Tally, Task
from sumnist.typed import typed

MOST_RESTARTS = 2
"""How often a training restarts, at most."""
RESTARTED = 0.5
"""The learning rate after each restart, as a share of the rate before: too high a rate is the common cause."""
CHECKED_EVERY = 20
"""Steps from one check of the losses to the next. Each check has to wait until the device catches up."""


@dataclass(frozen=True)
class RunResult:
    """A trained network and the folder of its run.

    Attributes:
        net: The network.
        folder: The folder of the run. It is `.unfinished` inside another run's folder as long as the run is to replace
            that run.
        seconds: The time of the training alone, from data in memory to final weights.
        steps: The number of steps taken.
        metrics: The rows of `metrics.jsonl`, one for each whole epoch.
        finished: False after Ctrl-C.
        measured: The figures of the last whole epoch in words, or a note that there was none.

    Examples:
        >>> from sumnist import preset
        >>> train(preset("tiny"), "runs/tiny", overwrite=True, progress=False).folder.name
        'tiny'
    """

    net: Any
    folder: Path
    seconds: float
    steps: int
    metrics: list[dict[str, float]]
    finished: bool
    measured: str = field(repr=False)


@typed
def train(
    config: Run, out: str | Path, *, overwrite: bool = False, progress: bool = True, resume: bool = False,
    task: type[Task] | None = None,
) -> RunResult:  # fmt: skip
    """Train a network and leave its run in a folder.

    Ctrl-C ends the training early and still leaves a usable run. If this run was to replace another one, it stays in
    `.unfinished` inside the folder, where `resume` can go on with it. The other run then stays, too.

    Args:
        config: What to train, and how.
        out: Folder for the run.
        overwrite: Replace the run that the folder holds, in one step, once the new one has finished.
        progress: Show on standard error how far the training is.
        resume: Go on with an unfinished run in the folder. The result is the same as without the interruption.
        task: What the network learns, if it is none of the package's own tasks.

    Returns:
        The network with its final weights, and the figures of every epoch.

    Raises:
        ConfigError: This machine lacks the device, a run to be resumed was begun with other settings, or `torchrun`
            started several processes.
        DataError: The data set is missing or damaged.
        OutputError: The folder cannot be written, holds a run already, or another process writes into it.
        RunError: The folder holds no run that can be resumed here and with these data, or the weights to start from do
            not fit.
        TrainingError: A loss or a weight is no longer a number.

    Examples:
        >>> from sumnist import preset
        >>> result = train(preset("tiny"), "runs/tiny", overwrite=True, progress=False)
        >>> result.finished, len(result.metrics)
        (True, 1)
    """
    check_alone()
    device = choose_device(config.device)
    with threads(config.threads), RunFolder(Path(out), config) as folder:
        chosen = task or TASKS[getattr(config, "task", "digits")]
        done = opened(folder, chosen, overwrite, resume)
        return done or train_in(folder, chosen(config, device), progress)


def train_in(folder: RunFolder, task: Task, progress: bool) -> RunResult:
    """Run the training of a folder."""
    keep_freed_memory()
    bf16 = choose_bf16(task.config.precision, task.device)
    begun, saved = begin(folder, facts_of(task, bf16), task)
    clock = Clock(begun)
    task.prepare(progress)  # first, because it shows its progress
    with clock.paused():
        learner = set_up(task, saved, folder.place / STATE)
    autocast = torch.autocast(task.device.type, torch.bfloat16, enabled=bf16)
    training = Course(task, learner, folder, clock, autocast, progress, begun.epochs, begun.steps, begun.restarts)
    finished = False
    try:
        while training.epoch < task.config.epochs:
            train_epoch(training)
            end_epoch(training)
        with clock.paused():
            end_training(training)
        finished = True
    except KeyboardInterrupt:
        folder.save_weights(training.learner.trained)
    spent, net = clock.read(), training.learner.trained.eval()
    outcome = {"finished": finished, "epochs": training.epoch, "steps": training.step, **spent,
               "restarts": training.restarts, "parameters": count_parameters(net)}  # fmt: skip
    folder.finish(outcome)
    measured = f"stopped in its first epoch, at step {training.step}: not evaluated"
    if folder.metrics:
        measured = task.in_words(folder.metrics[-1], "" if finished else f" after epoch {len(folder.metrics)}")
    return RunResult(net, folder.place, spent["seconds"], training.step, folder.metrics, finished, measured)


@dataclass
class Course:
    """A training under way, and how far it has come.

    Attributes:
        row: The figures of the last epoch that was trained, and not yet ended.
    """

    task: Task
    learner: Learner
    folder: RunFolder
    clock: Clock
    autocast: AbstractContextManager[Any]
    progress: bool
    epoch: int
    step: int
    restarts: int
    row: dict[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The epoch in words."""
        return f"epoch {self.epoch + 1}/{self.task.config.epochs}"


def train_epoch(training: Course) -> None:
    """Train on all batches of the next epoch, and note its figures in `row`."""
    task, config, learner = training.task, training.task.config, training.learner
    learner.net.train()
    torch.manual_seed(epoch_seed(config.seed, training.epoch))  # for dropout
    steps, tally = task.steps(), Tally(task)
    intensity = learning_rate(training.epoch / config.epochs, config) / config.lr  # the last epochs see clean images
    bar = tqdm(
        task.epoch(training.epoch, intensity), training.title, steps, disable=None if training.progress else True
    )
    for batch in bar:
        rate = learning_rate(training.step / (config.epochs * steps), config) * RESTARTED**training.restarts
        set_learning_rate(learner.optimizer, rate)
        smoothing = config.label_smoothing * (rate / config.lr)
        outputs, losses = training_step(task, learner, batch, smoothing, training.autocast)
        if learner.average is not None:
            move_average(learner.average, learner.net, config.ema, training.step)
        tally.add(learner.net, outputs, losses, batch)
        training.step += 1
        if training.step % CHECKED_EVERY == 0 or training.step % steps == 0:  # so that no unchecked weights are saved
            bar.set_postfix_str(tally.text())
            check_finite(losses, training)
    training.row = {"epoch": training.epoch + 1, "step": training.step, **tally.figures(), **training.clock.read()}
    if training.progress and bar.disable:  # not a terminal: print a line per epoch instead of a bar
        tqdm.write(f"{training.title}: {tally.text()}", file=sys.stderr)


def training_step(
    task: Task, learner: Learner, batch: Any, smoothing: float, autocast: AbstractContextManager[Any]
) -> tuple[Any, Any]:
    """Train on one batch: forward, loss, backward, step. Returns the outputs and losses of the task's `forward`."""
    with autocast:
        outputs, losses = task.forward(learner.net, batch, smoothing)
    losses.total.backward()
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    return outputs, losses


def end_epoch(training: Course) -> None:
    """Measure the network, and write its figures, its weights and the state to resume from; or restart the training
    with other weights if this one learns nothing."""
    task, learner, folder = training.task, training.learner, training.folder
    with training.clock.paused():
        trouble = task.trouble(learner, training.row, folder.metrics)
        anew = bool(trouble) and training.restarts < MOST_RESTARTS and training.epoch + 1 < task.config.epochs
        if trouble and training.progress:
            mend = "begun anew with other weights, at half the rate" if anew else lower_lr(task.config)
            tqdm.write(f"{training.title}: {trouble}: {mend}", file=sys.stderr)
        if anew:
            training.epoch, training.step, training.restarts = 0, 0, training.restarts + 1
            training.learner = set_up(task, {}, folder.place / STATE, training.restarts)
            folder.metrics.clear()
            return
        write_epoch(training)
    training.epoch += 1


def write_epoch(training: Course) -> None:
    """Measure the network on held-out images, and write what `end_epoch` writes."""
    task, learner, row = training.task, training.learner, training.row
    held = {} if task.held is None else task.measure(learner.trained)
    training.folder.add_epoch(row | {f"validation_{name}": value for name, value in held.items()}, learner.trained)
    progress = Progress(training.epoch + 1, training.step, row["seconds"], row["cpu_seconds"], training.restarts)
    training.folder.save_state(progress, learner)


def end_training(training: Course) -> None:
    """Calibrate the network if there are held-out images to do it with, and write the final weights."""
    if training.task.calibrates and training.task.held is not None:
        training.task.calibrate(training.learner.trained)
    training.folder.save_weights(training.learner.trained)


# Begin.


def opened(folder: RunFolder, task: type[Task], overwrite: bool, resume: bool) -> RunResult | None:
    """Open the folder. If the run to be resumed there has nothing left to do, return its result; otherwise None."""
    folder.open(overwrite=overwrite, resume=resume)
    if not folder.record.get("finished"):
        return None
    folder.settle()
    net, metrics = task.network.load(folder.path)[0], read_metrics(folder.path / METRICS)
    try:
        seconds, steps = float(folder.record["seconds"]), int(folder.record["steps"])
        measured = task.in_words(metrics[-1]) if metrics else ""
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder.path}: the record of a finished run lacks {error}: train the run again") from error
    return RunResult(net, folder.path, seconds, steps, metrics, finished=True, measured=measured)


def facts_of(task: Task, bf16: bool) -> dict[str, Any]:
    """What the record of a run says about its machine and its images."""
    data = hashlib.sha256()
    for part in (task.digits.images, task.digits.digits, task.digits.soft):
        data.update(b"" if part is None else np.ascontiguousarray(part).data)
    return {"train_images": len(task.training), "device": named(task.device), "threads": torch.get_num_threads(),
            "precision": "bf16" if bf16 else "fp32", "data": data.hexdigest()}  # fmt: skip


def begin(folder: RunFolder, facts: dict[str, Any], task: Task) -> tuple[Progress, dict[str, Tensor]]:
    """Start the run as `RunFolder.start` does. If a new training starts from other weights, check them before anything
    is written; the record keeps their checksum."""
    if task.config.start_from and not folder.has_state:
        facts = facts | {"started_from": started(task.network.from_config(task.config), task.config)}
    return folder.start(facts)


def started(net: Any, config: Run) -> str:
    """Give `net` the weights of the run that its training starts from, without the calibration, and return their
    checksum. Raises `RunError` unless the weights are whole and fit."""
    assert config.start_from is not None
    try:
        checksum = load_fitting(net, config.start_from)
    except RunError as error:
        raise RunError(
            f"--start-from {config.start_from}: its weights do not fit ({error}): name the folder of a run with the "
            "same --task, --encoder and --fusion"
        ) from error
    net.calibration.set()
    return checksum


def set_up(task: Task, saved: dict[str, Tensor], state: Path, restarts: int = 0) -> Learner:
    """Set up the network, its optimizer and its average.

    The weights are those `saved` in a run's `state`; or those of the run that the training starts from; or new ones,
    which are others after each of the `restarts`.
    """
    config = task.config
    torch.manual_seed(epoch_seed(config.seed, 0, restarts) if restarts else config.seed)
    net = task.network.from_config(config)
    if config.start_from and not saved:
        started(net, config)
    net.to(task.device, memory_format=torch.channels_last)
    learner = Learner(net, task.optimizer(net), deepcopy(net) if config.ema else None)
    if saved:
        learner.restore(saved, state)
    return learner


# Watch.


class Clock:
    """Seconds of training, in wall-clock and in processor time; pauses do not count."""

    def __init__(self, begun: Progress) -> None:
        self.wall, self.cpu = begun.seconds - time.perf_counter(), begun.cpu_seconds - time.process_time()

    def read(self) -> dict[str, float]:
        """`seconds` and `cpu_seconds` so far, named as in `metrics.jsonl`."""
        return {"seconds": self.wall + time.perf_counter(), "cpu_seconds": self.cpu + time.process_time()}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock while the context lasts: measuring and saving are not training."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall -= time.perf_counter() - wall
        self.cpu -= time.process_time() - cpu


def check_finite(losses: Any, training: Course) -> None:
    """Raise `TrainingError` unless the loss is a number."""
    if not math.isfinite(losses.total.item()):
        parts = ", ".join(f"{name} {loss.item():g}" for name, loss in losses._asdict().items() if name != "total")
        raise TrainingError(
            f"the loss is {losses.total.item()} in epoch {training.epoch + 1}, by step {training.step}"
            f"{parts and f' ({parts})'}, expected a finite number: {lower_lr(training.task.config)}"
        )

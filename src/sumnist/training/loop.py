"""Train a network: `train` runs a whole training, `training_step` is one step of it, and `Muon` is an optimizer.

In the gradient of a layer's weights, a few directions are much stronger than the others. In Adam's steps they are, too.
Muon (Jordan and others, 2024) treats the momentum of the gradient as a matrix, with a row for each output. It steps
along the nearest orthogonal matrix, so that weak directions learn as fast as strong ones. A step has the size of one of
Adam's (Liu and others, 2025), so one learning rate serves both optimizers.
"""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass
from inspect import unwrap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm import tqdm

from sumnist.config import FULL, Config
from sumnist.data.sampling import epoch_seed
from sumnist.errors import RunError, TrainingError
from sumnist.memory import keep_freed_memory
from sumnist.model.checkpoint import load_fitting
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import METRICS, STATE
from sumnist.training.devices import (
    Graphs,
    Parts,
    ProcessGroup,
    choose_bf16,
    choose_device,
    in_parts,
    named,
    process_group,
    threads,
)
from sumnist.training.folder import Learner, Progress, RunFolder, lower_lr, read_metrics
from sumnist.training.tasks import TASKS, Tally, Task
from sumnist.typed import typed

MOST_RESTARTS = 2
"""How often a training restarts, at most."""
RESTARTED = 0.5
"""The learning rate after each restart, as a share of the rate before: too high a rate is the common cause."""
CHECKED_EVERY = 20
"""Steps from one check of the losses to the next. Each check has to wait until the device catches up."""
MOMENTUM = 0.95
"""How much of the mean gradient so far each step of Muon keeps."""
LINEAR, CUBIC, QUINTIC, ROUNDS = 3.4445, -4.7750, 2.0315, (2, 3)
"""The polynomial a·s + b·s³ + c·s⁵, which in five rounds brings a singular value s from 0.01..1 to about 0.7..1.2
(Jordan and others, 2024). `ROUNDS` says how many rounds run before each multiplication with the matrix; with more,
rounding errors would grow."""
ADAM = 0.2
"""Root mean square of the changes by a usual step of Adam, at a learning rate of 1 (Liu and others, 2025)."""
LEAST = 1e-7
"""Least norm by which a matrix is divided."""
LARGE = 1000
"""Number of weights from which a layer is large enough to round them."""


@dataclass(frozen=True)
class RunResult:
    """A trained network and the folder of its run.

    Attributes:
        net: A `TwoInputNet`, `StripNet`, `CellNet` or `FinderNet`.
        folder: The folder of the run. It is `.unfinished` inside another run's folder as long as the run is to replace
            that run.
        seconds: The time of the training alone, from data in memory to final weights.
        steps: The number of steps taken.
        metrics: The rows of `metrics.jsonl`, one for each whole epoch.
        finished: False after Ctrl-C.

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

    @property
    def measured(self) -> str:
        """The figures of the last whole epoch in words, or a note that there was none."""
        if not self.metrics:
            return f"stopped in its first epoch, at step {self.steps}: not evaluated"
        last, when = self.metrics[-1], "" if self.finished else f" after epoch {len(self.metrics)}"
        held_out, training = TASKS[self.net.config.task].measured
        held = any(name.startswith("validation_") for name in last)
        return (held_out if held else training).format(when=when, **last)


@typed
def train(
    config: Config, out: str | Path, *, overwrite: bool = False, progress: bool = True, resume: bool = False
) -> RunResult:
    """Train a network and leave its run in a folder.

    Ctrl-C ends the training early and still leaves a usable run. If this run was to replace another one, it stays in
    `.unfinished` inside the folder, where `resume` can go on with it. The other run then stays, too. Processes that
    `torchrun` started train one network together.

    Args:
        config: What to train, and how.
        out: Folder for the run.
        overwrite: Replace the run that the folder holds, in one step, once the new one has finished.
        progress: Show on standard error how far the training is.
        resume: Go on with an unfinished run in the folder. The result is the same as without the interruption.

    Returns:
        The network with its final weights, and the figures of every epoch.

    Raises:
        ConfigError: This machine lacks the device, or a run to be resumed was begun with other settings.
        DataError: The data set is missing or damaged.
        OutputError: The folder cannot be written, holds a run already, or another process writes into it.
        RunError: The folder holds no run that can be resumed here and with these data, or the weights to start from do
            not fit.
        TrainingError: A loss or a weight is no longer a number, or another process is gone.

    Examples:
        >>> from sumnist import preset
        >>> result = train(preset("tiny"), "runs/tiny", overwrite=True, progress=False)
        >>> result.finished, len(result.metrics)
        (True, 1)
    """
    device = choose_device(config.device)
    with process_group(device) as processes, threads(config.threads), RunFolder(Path(out), config) as folder:
        done = processes.from_leader(lambda: opened(folder, overwrite, resume))
        return done or train_together(config, folder, device, processes, progress and processes.leads)


def train_together(
    config: Config, folder: RunFolder, device: torch.device, processes: ProcessGroup, progress: bool
) -> RunResult:
    """Run the training in this process, which may be one of many."""
    bf16 = choose_bf16(config.precision, device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    graphs = Graphs(device, processes) if config.graph else None
    task = TASKS[config.task](config, device, processes)
    keep_freed_memory()
    data = hashlib.sha256()
    for part in (task.digits.images, task.digits.digits, task.digits.soft):
        data.update(b"" if part is None else np.ascontiguousarray(part).data)
    facts = {"train_images": len(task.training), "device": named(device), "threads": torch.get_num_threads(),
             "processes": processes.size, "precision": "bf16" if bf16 else "fp32",
             "data": data.hexdigest()}  # fmt: skip
    if task.teachers:
        facts["taught_by"] = task.teachers.checksums
    begun, saved = processes.from_leader(lambda: begin(folder, facts))
    clock = Clock(begun)
    task.prepare(progress)  # first, because it shows its progress
    with clock.paused():
        learner = set_up(config, device, saved, folder.place / STATE)
    steps, finished = config.epochs * task.steps(), False
    epoch, step, restarts = begun.epochs, begun.steps, begun.restarts
    try:
        while epoch < config.epochs:
            learner.net.train()
            torch.manual_seed(epoch_seed(config.seed, epoch, processes.rank))  # for dropout
            tally = Tally(task)
            title = f"epoch {epoch + 1}/{config.epochs}"
            intensity = learning_rate(epoch / config.epochs, config) / config.lr  # the last epochs see clean images
            bar = tqdm(task.epoch(epoch, intensity), title, task.steps(), disable=None if progress else True)
            with in_parts(learner.net, config.parts) as parts:
                for batch in bar:
                    rate = learning_rate(step / steps, config) * RESTARTED**restarts
                    set_learning_rate(learner.optimizer, rate)
                    smoothing = config.label_smoothing * (rate / config.lr if config.smoothing_fades else 1)
                    outputs, losses = training_step(
                        learner.net, learner.optimizer, batch, config, autocast,
                        smoothing=smoothing, processes=processes, parts=parts, graphs=graphs,
                    )  # fmt: skip
                    if learner.average is not None:
                        move_average(learner.average, learner.net, config.ema, step)
                    tally.add(learner.net, outputs, losses, batch)
                    step += 1
                    if step % CHECKED_EVERY == 0 or step % task.steps() == 0:  # so that no unchecked weights are saved
                        bar.set_postfix_str(tally.text())
                        check_finite(losses, epoch, step, config)
            row = {"epoch": epoch + 1, "step": step, **tally.figures(), **clock.read()}
            with clock.paused():
                trouble = task.trouble(learner, row, folder.metrics)
                anew = restarts < MOST_RESTARTS and epoch + 1 < config.epochs
                if trouble and progress:
                    mend = "begun anew with other weights, at half the rate" if anew else lower_lr(config)
                    tqdm.write(f"{title}: {trouble}: {mend}", file=sys.stderr)
                if trouble and anew:
                    epoch, step, restarts = 0, 0, restarts + 1
                    learner = set_up(config, device, {}, folder.place / STATE, restarts)
                    folder.metrics.clear()
                    continue
                end_epoch(row, learner, task, folder, restarts)
            epoch += 1
            if progress and bar.disable:  # not a terminal: print a line per epoch instead of a bar
                tqdm.write(f"{title}: {tally.text()}", file=sys.stderr)
        with clock.paused():
            round_weights(learner.trained, config.weight_bits)
            processes.from_leader(lambda: end_training(learner.trained, task, folder))
        finished = True
    except KeyboardInterrupt:
        round_weights(learner.trained, config.weight_bits)
        if processes.leads:
            folder.save_weights(learner.trained)
    spent = clock.read()
    outcome = {"finished": finished, "epochs": epoch, "steps": step, **spent, "restarts": restarts,
               "parameters": count_parameters(learner.net)}  # fmt: skip
    if finished:
        processes.from_leader(lambda: folder.finish(outcome))
    elif processes.leads:  # the other processes may be anywhere
        folder.finish(outcome)
    return RunResult(learner.trained.eval(), folder.place, spent["seconds"], step, folder.metrics, finished)


def opened(folder: RunFolder, overwrite: bool, resume: bool) -> RunResult | None:
    """Open the folder. If the run to be resumed there has nothing left to do, return its result; otherwise None."""
    folder.open(overwrite=overwrite, resume=resume)
    if not folder.record.get("finished"):
        return None
    folder.settle()
    net = TASKS[folder.config.task].network.load(folder.path)[0]
    try:
        seconds, steps = float(folder.record["seconds"]), int(folder.record["steps"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder.path}: the record of a finished run lacks {error}: train the run again") from error
    return RunResult(net, folder.path, seconds, steps, read_metrics(folder.path / METRICS), finished=True)


def begin(folder: RunFolder, facts: dict[str, Any]) -> tuple[Progress, dict[str, Tensor]]:
    """Start the run as `RunFolder.start` does. If a new training starts from other weights, check them before anything
    is written; the record keeps their checksum."""
    if folder.config.start_from and not folder.has_state:
        net = TASKS[folder.config.task].network.from_config(folder.config)
        facts = facts | {"started_from": started(net, folder.config)}
    return folder.start(facts)


def started(net: Any, config: Config) -> str:
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


def set_up(config: Config, device: torch.device, saved: dict[str, Tensor], state: Path, restarts: int = 0) -> Learner:
    """Set up the network, its optimizer and its average.

    The weights are those `saved` in a run's `state`; or those of the run that the training starts from; or new ones,
    which are others after each of the `restarts`.
    """
    torch.manual_seed(epoch_seed(config.seed, 0, restarts) if restarts else config.seed)
    net = TASKS[config.task].network.from_config(config)
    if config.start_from and not saved:
        started(net, config)
    net.to(device, memory_format=torch.channels_last)
    learner = Learner(net, build_optimizer(net, config), deepcopy(net) if config.ema else None)
    if saved:
        learner.restore(saved, state)
    return learner


def end_epoch(row: dict[str, float], learner: Learner, task: Task, folder: RunFolder, restarts: int) -> None:
    """Measure the network on held-out images; write the `row`, the weights, and the state to resume from."""
    progress = Progress(int(row["epoch"]), int(row["step"]), row["seconds"], row["cpu_seconds"], restarts)
    averages = [] if learner.average is None else learner.average.buffers()
    task.processes.average([*learner.net.buffers(), *averages])

    def measure_and_write() -> None:
        with rounded(learner.trained, task.config.weight_bits):
            held = {} if task.held is None else task.measure(learner.trained)
            folder.add_epoch(row | {f"validation_{name}": value for name, value in held.items()}, learner.trained)
        folder.save_state(progress, learner)

    task.processes.from_leader(measure_and_write)


def end_training(trained: nn.Module, task: Task, folder: RunFolder) -> None:
    """Calibrate the network if there are held-out images to do it with, and write the final weights."""
    if task.calibrates and task.held is not None:
        task.calibrate(trained)
    folder.save_weights(trained)


def training_step(
    net: nn.Module, optimizer: Optimizer, batch: Any, config: Config, autocast: AbstractContextManager[Any], *,
    smoothing: float | Tensor = 0.0, processes: ProcessGroup | None = None, parts: Parts | None = None,
    graphs: Graphs | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Train on one batch: forward, loss, backward, step. Returns the outputs and losses of the task's `forward`."""
    if graphs:

        def step(smoothing: Tensor, *tensors: Tensor) -> tuple[Any, Any]:
            return training_step(net, optimizer, type(batch)(*tensors), config, autocast, smoothing=smoothing)

        return graphs.step(step, batch.image.new_full((), smoothing), *batch)

    def backward(net: nn.Module, batch: Any, share: float = 1.0) -> tuple[Any, Any]:
        with copy(autocast):  # a context for each thread
            outputs, losses = TASKS[config.task].forward(net, batch, config, smoothing)
        (losses.total * share).backward()
        return outputs, losses

    with rounded(net, config.weight_bits):
        outputs, losses = parts.each(batch, backward) if parts else backward(net, batch)
    if processes:
        processes.average_gradients(net.parameters(), len(batch.image))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return outputs, losses


@contextmanager
def rounded(net: nn.Module, bits: int) -> Iterator[None]:
    """Round weights as `round_weights` does while the context lasts.

    In a training step, the gradients are then those at the rounded weights, but the step changes the weights
    themselves: the straight-through estimate (Bengio and others, 2013).
    """
    before = [weight.detach().clone() for weight in large_weights(net, bits)]
    round_weights(net, bits)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(large_weights(net, bits), before, strict=True):
                weight.copy_(value)


@torch.no_grad()
def round_weights(net: nn.Module, bits: int) -> None:
    """Round the weights of the large layers to `bits` bits. Each output of a layer has a step of its own, of which its
    largest weight is a whole number."""
    for weight in large_weights(net, bits):
        step = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True) / (2 ** (bits - 1) - 1)
        weight.copy_((weight / step.where(step > 0, 1)).round() * step)


def large_weights(net: nn.Module, bits: int) -> list[nn.Parameter]:
    """The weights of the large layers of `net` that are rounded to `bits` bits; none if weights are to be full."""
    return [one for one in (net.parameters() if bits < FULL else ()) if one.ndim > 1 and one.numel() >= LARGE]


def learning_rate(progress: float, config: Config) -> float:
    """The learning rate when the share `progress` of all steps is done."""
    return config.lr * (1 if config.schedule == "constant" else one_cycle(progress, config.warmup, config.lr_floor))


def one_cycle(progress: float, warmup: float, floor: float = 0.0) -> float:
    """The learning rate, as a share of its peak, when the share `progress` of all steps is done. It rises linearly
    during the share `warmup`. Then it falls along a cosine, but not below `floor`."""
    if progress < warmup:
        return 0.04 + 0.96 * progress / warmup
    return max(0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup or 1))), floor)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of the next steps."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):  # in a graph, the rate has a place of its own
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def build_optimizer(net: nn.Module, config: Config) -> Optimizer:
    """The optimizer that the configuration names."""
    if config.optimizer == "muon":
        return Muon(net, config.lr, config.betas, config.weight_decay)
    kind = UncompiledAdamW if config.optimizer == "adamw" else UncompiledAdam
    device = next(net.parameters()).device
    rate = torch.tensor(config.lr, device=device) if config.graph else config.lr
    return kind(net.parameters(), rate, config.betas, weight_decay=config.weight_decay, fused=True,
                capturable=config.graph and device.type == "cuda")  # fmt: skip


def move_average(average: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """Move an exponential moving average of weights and batch statistics towards `net`. It moves faster in the first
    steps, when it still remembers the random start."""
    old, new = ([value for value in of.state_dict().values() if value.is_floating_point()] for of in (average, net))
    get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))(old, new, step)


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


def check_finite(losses: Any, epoch: int, step: int, config: Config) -> None:
    """Raise `TrainingError` unless the loss is a number."""
    if not math.isfinite(losses.total.item()):
        parts = ", ".join(f"{name} {loss.item():g}" for name, loss in losses._asdict().items() if name != "total")
        raise TrainingError(
            f"the loss is {losses.total.item()} in epoch {epoch + 1}, by step {step}{parts and f' ({parts})'}, "
            f"expected a finite number: {lower_lr(config)}"
        )


class Uncompiled:
    """Methods of Adam without the wrappers that tell torch's compiler where to stop. The wrappers import the compiler,
    which takes seconds, and this package compiles no training."""

    step = torch.no_grad()(unwrap(Adam.step))
    zero_grad, add_param_group = unwrap(Adam.zero_grad), unwrap(Adam.add_param_group)
    state_dict, load_state_dict = unwrap(Adam.state_dict), unwrap(Adam.load_state_dict)


class UncompiledAdam(Uncompiled, Adam):
    """Torch's Adam, with the same steps."""


class UncompiledAdamW(Uncompiled, AdamW):
    """Torch's AdamW, with the same steps."""


class Muon(UncompiledAdamW):
    """Muon for the weights of the inner layers of `net`, and AdamW for the other parameters: the first weights, the
    last ones, and parameters that are no matrices. The other arguments are those of AdamW."""

    def __init__(self, net: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
        inner = {id(parameter) for parameter in weights[1:-1]}
        groups: list[dict[str, Any]] = [
            {"params": [one for one in net.parameters() if (id(one) in inner) == orthogonalised],
             "orthogonalised": orthogonalised}
            for orthogonalised in (False, True)
        ]  # fmt: skip
        super().__init__(groups, lr, betas, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step along the gradients, and drop the gradients of the inner layers."""
        for group in self.param_groups:
            for parameter in group["params"] if group["orthogonalised"] else ():
                if parameter.grad is not None:
                    momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                    momentum.lerp_(parameter.grad, 1 - MOMENTUM)
                    ahead = parameter.grad.lerp(momentum, MOMENTUM)  # Nesterov momentum
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix = ahead.flatten(1)
                    step = orthogonal(matrix).mul_(ADAM * max(matrix.shape) ** 0.5)
                    parameter.add_(step.view_as(ahead), alpha=-group["lr"])
                    parameter.grad = None  # so AdamW skips it
        loss: float | None = super().step(closure)
        return loss


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix `[M, N]` with the same singular vectors, and singular values of about 1.

    This is Newton's and Schulz's iteration. The rounds work on the product of the matrix with its transpose, in the
    order that gives the smaller result, and build up a polynomial of it. Only now and then, this polynomial multiplies
    the matrix itself.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / matrix.norm().clamp_min(LEAST)
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    for rounds in ROUNDS:
        product, factor = matrix @ matrix.T, identity
        for _ in range(rounds):
            square = factor @ factor @ product  # has the squares of the singular values so far
            factor = factor @ (LINEAR * identity + CUBIC * square + QUINTIC * square @ square)
        matrix = factor @ matrix
    return matrix

"""Training, top to bottom: `train` is the whole of it, `training_step` the heart.

A run leaves a folder: `config.json`, `record.json` (seed, versions, processor, commit, times), `metrics.jsonl` (a line
an epoch) and `model.safetensors`, written at the end of every epoch, so that a run can be stopped at any time.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from sumnist.config import Config
from sumnist.data.augment import augmentation
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import PairBatches, Pairs, hold_out
from sumnist.errors import ConfigError, OutputError, TrainingError
from sumnist.evaluation import answer_grid
from sumnist.files import cannot_write, make_folder, write_atomically
from sumnist.model.checkpoint import CONFIG, WEIGHTS, save_network
from sumnist.model.encoders import count_parameters
from sumnist.model.fusion import Heads
from sumnist.model.losses import Losses, joint_loss
from sumnist.model.network import TwoInputNet
from sumnist.record import describe_machine, now

__all__ = ["RunResult", "learning_rate", "train", "training_step"]

METRICS = "metrics.jsonl"
RECORD = "record.json"
EVALUATION = "evaluation.json"
PLOTS = "plots"
LOOK_EVERY = 20
"""Steps between two looks at the losses: a look waits for the device to catch up."""


@dataclass(frozen=True)
class RunResult:
    """A trained network and where it lies. `seconds`: the training alone, from data in memory to final weights.
    `metrics`: the rows of `metrics.jsonl`."""

    net: TwoInputNet
    folder: Path
    seconds: float
    metrics: list[dict[str, float]]
    finished: bool


def train(config: Config, out: str | Path, overwrite: bool = False, progress: bool = True) -> RunResult:
    """Train the network that `config` describes and leave the run in the folder `out`.

    Ctrl-C ends the training early and still leaves a run that can be used. Raises `TrainingError` when a loss is no
    longer a number, `OutputError` when the folder cannot be written or holds a run already, `DataError`, `ConfigError`.
    """
    device = choose_device(config.device)
    bf16 = choose_bf16(config.precision, device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    training, held = split(load_mnist("train", config.data_dir), config.validation)
    folder = RunFolder(Path(out), config, overwrite)

    keep_freed_memory()
    torch.manual_seed(config.seed)
    net = TwoInputNet.from_config(config).to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    optimizer = build_optimizer(net, config)
    average = AveragedWeights(net, config.ema) if config.ema else None
    trained = average.net if average else net  # the weights that are measured and saved

    clock = Clock()
    batches = PairBatches(
        training, config.batch_size, config.seed, device, config.largest_number,
        augmentation(config.augment, config.augment_strength), config.numbers_per_image,
    )  # fmt: skip
    steps, epoch, step, finished = config.epochs * len(batches), 0, 0, False
    try:
        for epoch in range(config.epochs):
            net.train()
            tally = Tally()
            title = f"epoch {epoch + 1}/{config.epochs}"
            bar = tqdm(batches.epoch(epoch), title, len(batches), disable=None if progress else True)
            for pairs in bar:
                rate = learning_rate(step / steps, config)
                set_learning_rate(optimizer, rate)
                smoothing = config.label_smoothing * (rate / config.lr if config.smoothing_fades else 1)
                heads, losses = training_step(net, optimizer, pairs, config, autocast, smoothing)
                if average:
                    average.update(net, step)
                tally.add(net, heads, losses, pairs)
                step += 1
                if step % LOOK_EVERY == 0 or step % len(batches) == 0:  # so that no weights are saved unseen
                    bar.set_postfix_str(tally.text())
                    check_finite(losses, epoch, step, config)
            row = {"epoch": epoch + 1, "step": step, **tally.figures(), **clock.read()}
            with clock.paused():
                if held is not None:
                    row |= validation_figures(trained, held)
                folder.add_epoch(row, trained)
            if progress and bar.disable:  # not a terminal: a line an epoch instead of a bar
                tqdm.write(f"{title}: {tally.text()}", file=sys.stderr)
        finished = True
    except KeyboardInterrupt:
        folder.add_epoch({}, trained)
    folder.finish({"finished": finished, "epochs": epoch + finished, "steps": step, "train_images": len(training),
                   **clock.read(), "device": str(device), "threads": torch.get_num_threads(),
                   "precision": "bf16" if bf16 else "fp32", "parameters": count_parameters(net)})  # fmt: skip
    return RunResult(trained.eval(), folder.path, clock.read()["seconds"], folder.metrics, finished)


def training_step(
    net: TwoInputNet,
    optimizer: torch.optim.Optimizer,
    pairs: Pairs,
    config: Config,
    autocast: AbstractContextManager[Any],
    smoothing: float,
) -> tuple[Heads, Losses]:
    """One batch: forward, loss, backward, step. The encoder sees an image once, however many numbers it meets."""
    with autocast:
        features = net.encoder(pairs.image)  # [B, F]
        heads = net.fuse(features.repeat_interleave(config.numbers_per_image, 0), pairs.number)  # [B · K, …]
        losses = joint_loss(heads, pairs.digit, pairs.sum, config, smoothing)
    losses.total.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return heads, losses


def learning_rate(progress: float, config: Config) -> float:
    """The learning rate when the share `progress` of all steps is done: constant, or up a line and down a cosine."""
    if config.schedule == "constant":
        return config.lr
    if progress < config.warmup:
        return config.lr * (0.04 + 0.96 * progress / config.warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * (progress - config.warmup) / (1 - config.warmup or 1)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def build_optimizer(net: nn.Module, config: Config) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(net.parameters(), config.lr, config.betas, weight_decay=config.weight_decay, fused=True)


class AveragedWeights:
    """The exponential moving average of a network's weights and batch statistics, kept as a second network, `net`."""

    def __init__(self, net: TwoInputNet, decay: float) -> None:
        self.decay = decay
        self.net = deepcopy(net)
        self.average = [value for value in self.net.state_dict().values() if value.is_floating_point()]

    @torch.no_grad()
    def update(self, net: TwoInputNet, step: int) -> None:
        """Move towards `net`; faster in the first steps, when the average still remembers the random start."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = [value for value in net.state_dict().values() if value.is_floating_point()]
        torch._foreach_lerp_(self.average, current, 1 - decay)


class Clock:
    """Seconds of training, on the wall and on the processor, leaving out what happens while it is paused."""

    def __init__(self) -> None:
        self.wall, self.cpu = -time.perf_counter(), -time.process_time()

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
    """Running means over an epoch's batches, kept on the device."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.totals: Tensor | None = None  # [5]: losses total, digit, sum and right digits, sums, each times the count
        self.count = self.images = 0

    @torch.no_grad()
    def add(self, net: TwoInputNet, heads: Heads, losses: Losses, pairs: Pairs) -> None:
        count = len(pairs.digit)
        outputs = net.outputs(heads, pairs.number)
        right_digits = (outputs.digit.argmax(1) == pairs.digit).sum()
        right_sums = (outputs.sum.argmax(1) == pairs.sum).sum()
        batch = torch.stack([*(loss.detach().float() * count for loss in losses), right_digits, right_sums])
        self.totals = batch if self.totals is None else self.totals + batch
        self.count += count
        self.images += len(pairs.image)

    def figures(self) -> dict[str, float]:
        """The means so far, by the names of `metrics.jsonl`."""
        assert self.totals is not None
        total, digit, both, digits, sums = (self.totals / self.count).tolist()
        rate = self.images / (time.perf_counter() - self.began)
        return {"loss": total, "digit_loss": digit, "sum_loss": both, "train_digit": digits, "train_sum": sums,
                "images_per_second": rate}  # fmt: skip

    def text(self) -> str:
        """The means so far, for the progress bar."""
        now = self.figures()
        return (f"digit loss {now['digit_loss']:.3f} {now['train_digit']:.2%}, "
                f"sum loss {now['sum_loss']:.3f} {now['train_sum']:.2%}")  # fmt: skip


def check_finite(losses: Losses, epoch: int, step: int, config: Config) -> None:
    if not math.isfinite(losses.total.item()):
        raise TrainingError(
            f"the loss is {losses.total.item()} in epoch {epoch + 1}, by step {step} (digit {losses.digit.item():g}, "
            f"sum {losses.sum.item():g}), expected a finite number: try a lower --lr (it is {config.lr:g})"
            + (", or --precision fp32" if config.precision != "fp32" else "")
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


def split(digits: DigitSet, count: int) -> tuple[DigitSet, DigitSet | None]:
    """The set without and with `count` held-out images; the same ones for every training seed."""
    if count == 0:
        return digits, None
    rest, held = hold_out(digits.digits, count)
    return tuple(DigitSet(digits.images[i], digits.digits[i], digits.name) for i in (rest, held))  # type: ignore[return-value]


def choose_device(name: str) -> torch.device:
    """The device that `name` asks for. Raises `ConfigError` if this machine has none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"--device {name}: this machine, or this build of torch, has none; use --device cpu"
        ) from error
    return device


def choose_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bf16: where asked to, or on "auto" where the processor has instructions for it.

    Without AVX512-BF16 or AMX a processor emulates bf16, and is then far slower than in fp32.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def keep_freed_memory() -> None:
    """Have the C library keep freed blocks for the next step, where it is glibc, rather than return each to the system.

    Every step allocates the same tensors; fetching them as fresh pages each time costs up to half of a small network's
    step.
    """
    map_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of mallopt(3)
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(map_threshold, 2**30)
        libc.mallopt(trim_threshold, 2**31 - 1)
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return


class RunFolder:
    """The files of a run; nothing else in the folder is touched.

    With `overwrite` an earlier run there makes room when this one has weights; if it never has, nothing is lost.
    """

    def __init__(self, path: Path, config: Config, overwrite: bool) -> None:
        self.path = path
        make_folder(path)
        if (path / CONFIG).exists() and not overwrite:
            raise OutputError(
                f"--out {path}: holds a run already, expected a new folder: name another or add --overwrite"
            )
        self.config = config
        self.record: dict[str, Any] = {"started": now(), "seed": config.seed, **describe_machine()}
        self.metrics: list[dict[str, float]] = []
        self.replaces = (path / CONFIG).exists()
        if self.replaces:  # a place that cannot be written is better known now than after an epoch
            write_atomically(path / ".writable", "")
            (path / ".writable").unlink()
        else:
            self.begin()
        self.board = tensorboard(path)

    def begin(self) -> None:
        """Clear away what an earlier run left, and say what this one is."""
        for name in (WEIGHTS, CONFIG, METRICS, RECORD, EVALUATION):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / PLOTS, ignore_errors=True)
        write_atomically(self.path / CONFIG, self.config.to_json())
        self.write_record()
        self.replaces = False

    def add_epoch(self, row: dict[str, float], net: TwoInputNet) -> None:
        """Append `row` to the metrics, if it is not empty, and save the weights."""
        if self.replaces:
            self.begin()
        if row:
            self.metrics.append(row)
            try:
                with (self.path / METRICS).open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
            except OSError as error:
                raise cannot_write(self.path / METRICS, error) from error
            for name, value in row.items():
                if self.board is not None and name not in ("epoch", "step"):
                    self.board.add_scalar(name, value, int(row["step"]))
        save_network(net, self.path)

    def finish(self, facts: dict[str, Any]) -> None:
        self.record |= facts | {"ended": now()}
        self.write_record()
        if self.board is not None:
            self.board.close()

    def write_record(self) -> None:
        write_atomically(self.path / RECORD, json.dumps(self.record, indent=2) + "\n")


def tensorboard(path: Path) -> Any:
    """A TensorBoard writer into `path`, or None where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(path / "tensorboard"))

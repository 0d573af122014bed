"""Choose the device and the precision of a training, and connect the processes that share it.

`torchrun` can start several processes to train one network. Each process takes its share of every batch. Before every
step the processes average their gradients, so that all of them take the same step.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from sumnist.config import Range
from sumnist.environment import bf16_choice
from sumnist.errors import ConfigError, SumnistError, TrainingError

T = TypeVar("T")


def choose_device(name: str) -> torch.device:
    """The device that `name` asks for. Raises `ConfigError` if this machine does not have it."""
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


def named(device: torch.device) -> str:
    """The device, with the name of the card if it is a GPU of CUDA."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def choose_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bf16: as `precision` says, or with "auto" if the device has instructions for it."""
    if precision != "auto":
        return precision == "bf16"
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else device.type == "cpu" and bf16_choice()[0]


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one network together; this one is number `rank` of `size`.

    A process that is alone exchanges nothing. In a group, each method raises `TrainingError` if another process is
    gone.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that measures, prints and writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter], count: int) -> None:
        """Replace each gradient by the mean over the images of all processes. Before, it is a mean over the `count`
        images of this process."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        together = torch.cat([*(gradient.flatten() for gradient in gradients), gradients[0].new_ones(1)]) * count
        self.exchange(distributed.all_reduce, together)
        together /= together[-1].clone()
        parts = together[:-1].split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each of the floating-point `tensors` by its mean over the processes."""
        for tensor in tensors if self.size > 1 else ():
            if tensor.is_floating_point():
                self.exchange(distributed.all_reduce, tensor)
                tensor.div_(self.size)

    def from_leader(self, work: Callable[[], T]) -> T:
        """Run `work` in the leading process alone, and return its result in every process. If `work` raises an error of
        this package, every process raises it."""
        if self.size == 1:
            return work()
        box: list[Any] = [None, None]
        if self.leads:
            try:
                box[0] = work()
            except SumnistError as error:
                box[1] = error
        self.exchange(distributed.broadcast_object_list, box, src=0)
        if box[1] is not None:
            raise box[1]
        result: T = box[0]
        return result

    def exchange(self, call: Callable[..., object], *arguments: Any, **named: Any) -> None:
        """Call a function that exchanges data with the other processes. Raises `TrainingError` if the exchange
        fails."""
        try:
            call(*arguments, **named)
        except RuntimeError as error:
            raise TrainingError(
                f"process {self.rank} of {self.size} has lost another one ({str(error).splitlines()[0]}): "
                "see why that one ended, and start all of them again, with --resume"
            ) from error


def launched() -> tuple[int, int]:
    """The number of this process and the number of processes, as `torchrun` sets them. Without `torchrun`, 0 and 1.
    Raises `ConfigError`."""
    size = told("WORLD_SIZE", Range(1, 1_000_000), "1")
    if size == 1:
        return 0, 1
    told("MASTER_PORT", Range(0, 65_535), "0")
    return told("RANK", Range(0, size - 1)), size


def told(name: str, limits: Range, default: str = "") -> int:
    """The whole number in the environment variable `name`, or its `default` if the variable is not set. Raises
    `ConfigError` unless `limits` allow the number."""
    text = os.environ.get(name) or default
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not limits.least <= int(text) <= limits.most:
        raise ConfigError(
            f"{name} {text or '(not set)'} in the environment: expected {limits.named(int)}: start the processes with "
            "torchrun, or unset WORLD_SIZE"
        )
    return int(text)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with `count` threads of the processor, or with as many as before if `count` is 0. Restore the number at
    the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def process_group(device: torch.device) -> Iterator[ProcessGroup]:
    """Connect the processes that `torchrun` started, for as long as the context lasts. Without `torchrun` the group has
    one process."""
    if (size := launched()[1]) == 1:
        yield ProcessGroup()
        return
    # Torch loads this module with the first optimizer. If a group exists by then, the module's functions keep the group
    # as their default forever. Its threads then live until the interpreter ends, where they can abort the process.
    importlib.import_module("torch.distributed.nn")
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:  # the others do not come, or the address is wrong
        raise TrainingError(
            f"this process cannot reach the other {size - 1} ({error}): start all of them with torchrun"
        ) from error
    processes = ProcessGroup(distributed.get_rank(), size)
    try:
        yield processes
        # A process that leaves early can bring down others that still exchange data.
        processes.exchange(distributed.barrier)
    finally:
        distributed.destroy_process_group()

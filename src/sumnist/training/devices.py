"""Choose the device, the precision and the threads of a training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sumnist.environment import bf16_choice
from sumnist.errors import ConfigError


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


def check_alone() -> None:
    """Raise `ConfigError` if `torchrun` started this process as one of several: each would train the same network."""
    if (size := os.environ.get("WORLD_SIZE", "")) not in ("", "1"):
        raise ConfigError(
            f"WORLD_SIZE {size:.20} in the environment: expected none or 1, since a training has one process: "
            "start it without torchrun"
        )


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

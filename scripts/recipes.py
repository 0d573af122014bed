"""Two widely quoted ways to train on MNIST, digits only, to be measured beside `fast`: as a user would run them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import as_image
from sumnist.environment import commit
from sumnist.memory import keep_freed_memory
from sumnist.model.encoders import count_parameters

__all__ = ["MEAN", "SPREAD", "Measured", "example", "example_training", "reference"]

GOAL = 0.99
MOST_EPOCHS = 14
"""After which the example gives up, as its own script does."""
MEAN, SPREAD = 0.1307, 0.3081
"""Of MNIST's pixels, as the example has them."""


@dataclass(frozen=True)
class Measured:
    """A run: its config, its cost, and the figures of its network."""

    config: dict[str, Any]
    seconds: float
    cpu_seconds: float
    commit: str | None
    evaluation: dict[str, Any]
    precision: str = "fp32"


def reference(seed: int, threads: int) -> Measured:
    """A recipe for 99 % in one epoch.

    5×5 convolution (24), pool, ReLU; 3×3 convolution (32), pool, ReLU; linear 256; Adam at 1e-2 with betas 0.7 and 0.9,
    OneCycle, batches of 256, fp32. It is given the memory format and the allocator settings of `sumnist train`.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.manual_seed(seed)
    data = load_mnist("train")
    net = nn.Sequential(
        nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, betas=(0.7, 0.9), fused=True)
    began, began_cpu = time.perf_counter(), time.process_time()
    images, digits = torch.tensor(data.images), torch.tensor(data.digits)
    batches = torch.randperm(len(images)).split(256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=len(batches), cycle_momentum=False)
    for index in batches:
        loss = nn.functional.cross_entropy(net(as_image(images[index])), digits[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    figures = digit_figures(net, load_mnist("test"))
    return Measured({"seed": seed, "threads": threads}, seconds, cpu, commit(), figures)


class OneByOne(Dataset[tuple[Tensor, Tensor]]):
    """MNIST as most tutorials load it: each image converted and normalised on its own, when it is asked for."""

    def __init__(self, digits: DigitSet) -> None:
        self.digits = digits

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(self.digits.images[index]).float().div(255)[None]
        return (image - MEAN) / SPREAD, torch.tensor(self.digits.digits[index])


def example_training() -> tuple[nn.Sequential, torch.optim.Optimizer, torch.optim.lr_scheduler.StepLR]:
    """The example's network, its optimizer, and the schedule of its rate, which takes a step an epoch."""
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    return net, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)


def example(seed: int, threads: int) -> Measured:
    """The example that most people start from, until an epoch ends at 99 % of the test images.

    3×3 convolutions 32 and 64, pool, dropout 0.25, linear 128, dropout 0.5; Adadelta at 1.0, times 0.7 an epoch; 64 at
    a time from a DataLoader. It looks at the test set after each epoch to know when to stop, which is to its advantage.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    net, optimizer, schedule = example_training()
    loader = DataLoader(OneByOne(load_mnist("train")), batch_size=64, shuffle=True)
    test, seconds, cpu, figures = load_mnist("test"), 0.0, 0.0, {"digit": {"value": 0.0}}
    epoch = 0
    while epoch < MOST_EPOCHS and figures["digit"]["value"] < GOAL:
        net.train()
        began, began_cpu = time.perf_counter(), time.process_time()
        for image, digit in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(image), digit).backward()
            optimizer.step()
        schedule.step()
        seconds, cpu = seconds + time.perf_counter() - began, cpu + time.process_time() - began_cpu
        figures = digit_figures(net.eval(), test, MEAN, SPREAD)
        epoch += 1
    return Measured({"seed": seed, "threads": threads, "epochs": epoch}, seconds, cpu, commit(), figures)


@torch.inference_mode()
def digit_figures(net: nn.Module, test: DigitSet, mean: float = 0.0, scale: float = 1.0) -> dict[str, Any]:
    """The share of the test images whose digit is right, as an evaluation has it."""
    parts = torch.tensor(test.images).split(500)
    answers = torch.cat([net((as_image(part) - mean) / scale).argmax(1) for part in parts])
    accuracy = float((answers == torch.tensor(test.digits)).float().mean())
    return {"data": "MNIST test", "digit": {"value": accuracy}, "parameters": count_parameters(net)}

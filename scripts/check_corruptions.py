"""Are the corruptions as hard as the published ones? A plain CNN, trained on clean images, is the measure.

    python scripts/check_corruptions.py SEED [plain]

The widely used example: 3×3 convolutions 32 and 64, pool, dropout 0.25, linear 128, dropout 0.5; Adadelta at 1.0, times
0.7 an epoch, batches of 64; four epochs. `plain`: pixels in [0, 1] instead of normalised ones. Prints a line of JSON:
the accuracy on MNIST's test images, clean and corrupted, in percent.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sumnist.data.mnist import load_mnist
from sumnist.memory import keep_freed_memory
from sumnist.suites.corruptions import CORRUPTIONS, corrupted

EPOCHS = 4
MEAN, SPREAD = 0.1307, 0.3081
"""Of MNIST's pixels, as the example has them."""


def trained(seed: int, mean: float, spread: float) -> nn.Module:
    """The network after `EPOCHS` over the training images; its convolutions in bfloat16."""
    torch.manual_seed(seed)
    net: nn.Module = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # fmt: skip
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    data = load_mnist("train")
    images, digits = prepared(data.images, mean, spread), torch.tensor(data.digits)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(images)).split(64):
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(net(images[index]), digits[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    net.eval()
    return net


def prepared(images: NDArray[np.uint8], mean: float, spread: float) -> Tensor:
    """`[N, 1, 28, 28]`, as the network takes them."""
    return ((torch.tensor(images) / 255 - mean) / spread)[:, None].to(memory_format=torch.channels_last)


@torch.inference_mode()
def accuracy(net: nn.Module, images: Tensor, digits: Tensor) -> float:
    """The share of right answers, in percent."""
    with torch.autocast("cpu", torch.bfloat16):
        answers = torch.cat([net(part).argmax(1) for part in images.split(500)])
    return round(100 * float((answers == digits).float().mean()), 2)


def main(seed: int, plain: bool) -> None:
    """Train one network and print what it makes of every corruption."""
    torch.set_num_threads(1)
    keep_freed_memory()
    mean, spread = (0.0, 1.0) if plain else (MEAN, SPREAD)
    net, test = trained(seed, mean, spread), load_mnist("test")
    digits = torch.tensor(test.digits)
    figures = {
        name: accuracy(net, prepared(corrupted(name, test.images), mean, spread), digits) for name in CORRUPTIONS
    }
    clean = accuracy(net, prepared(test.images, mean, spread), digits)
    average = round(float(np.mean(list(figures.values()))), 2)
    print(json.dumps({"seed": seed, "plain": plain, "clean": clean, **figures, "mean": average}))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["plain"]):
        raise SystemExit("usage: python scripts/check_corruptions.py SEED [plain]")
    main(int(sys.argv[1]), sys.argv[2:] == ["plain"])

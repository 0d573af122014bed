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

from recipes import MEAN, SPREAD, example_training
from sumnist.data.mnist import load_mnist
from sumnist.lab.suites.corruptions import CORRUPTIONS, corrupted
from sumnist.memory import keep_freed_memory

EPOCHS = 4


def trained(seed: int, mean: float, spread: float) -> nn.Module:
    """The network after `EPOCHS` over the training images; its convolutions in bfloat16."""
    torch.manual_seed(seed)
    net, optimizer, schedule = example_training()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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
    return net.eval()


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

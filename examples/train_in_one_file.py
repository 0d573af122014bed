"""The whole idea in one file, without the package: from an image and a number to the digit and their sum.

    python examples/train_in_one_file.py

The number joins the image's features as ten one-hot values, and from there on the network must learn to add. The sum
could also be computed for free: P(sum = s) = P(digit = s - number). Here it is learned, and measured on every test
image with every number.
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

EPOCHS, BATCH, PEAK_RATE, SEED = 4, 256, 1e-2, 0
MNIST = Path(__file__).resolve().parent.parent / "src/sumnist/data/mnist.npz"


class TwoInputNet(nn.Module):
    """image [B, 1, 28, 28] in [0, 1] and number [B] in 0..9 -> logits of the digit [B, 10] and of the sum [B, 19]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(),  # [B, 8, 12, 12]
            nn.Conv2d(8, 16, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(16), nn.ReLU(),  # [B, 16, 5, 5]
            nn.Conv2d(16, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),  # [B, 64, 3, 3]
            nn.Flatten(), nn.Linear(576, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(),  # [B, 128]
        )  # fmt: skip
        self.digit = nn.Linear(128, 10)
        self.hidden = nn.Linear(128 + 10, 128)
        self.sum = nn.Linear(128, 19)

    def forward(self, image: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """Return both answers as logits: the loss applies the softmax, not the network."""
        features = self.encoder(image)
        joined = torch.cat([features, functional.one_hot(number, 10).float()], dim=1)  # [B, 138]
        return self.digit(features), self.sum(self.hidden(joined).relu())


def train(images: Tensor, digits: Tensor) -> TwoInputNet:
    """Train on uint8 images [N, 28, 28] with their digits [N]; every epoch draws a fresh number for every image."""
    torch.manual_seed(SEED)
    net = TwoInputNet()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    optimizer = torch.optim.Adam(net.parameters(), lr=PEAK_RATE, betas=(0.7, 0.9))
    steps = EPOCHS * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps, cycle_momentum=False)
    for epoch in range(EPOCHS):
        numbers = torch.randint(0, 10, (len(images),))  # the end is exclusive: 10, or no 9 is ever drawn
        for index in torch.randperm(len(images)).split(BATCH):
            image = images[index, None].float() / 255
            number, digit = numbers[index], digits[index]
            digit_logits, sum_logits = net(image, number)
            loss = functional.cross_entropy(digit_logits, digit) + functional.cross_entropy(sum_logits, digit + number)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.4f}")
    return net


@torch.inference_mode()
def measure(net: TwoInputNet, images: Tensor, digits: Tensor) -> tuple[float, float]:
    """Return the shares of right digits and of right sums, over every image with every number."""
    net.eval()
    right_digits = right_sums = 0
    for part, truth in zip(images.split(1000), digits.split(1000), strict=True):
        image = part[:, None].float() / 255
        for number in range(10):
            numbers = torch.full_like(truth, number)
            digit_logits, sum_logits = net(image, numbers)
            right_digits += int((digit_logits.argmax(1) == truth).sum())
            right_sums += int((sum_logits.argmax(1) == truth + numbers).sum())
    return right_digits / (10 * len(images)), right_sums / (10 * len(images))


def load(split: str) -> tuple[Tensor, Tensor]:
    """Return images of MNIST, uint8 [N, 28, 28], and their digits [N]."""
    with np.load(MNIST) as data:
        return torch.tensor(data[f"x_{split}"]), torch.tensor(data[f"y_{split}"].astype(np.int64))


def main() -> tuple[float, float]:
    """Train on the training images, measure on the test images."""
    (x_train, y_train), (x_test, y_test) = load("train"), load("test")
    began = time.perf_counter()
    net = train(x_train, y_train)
    print(f"trained in {time.perf_counter() - began:.1f} s")
    digit, total = measure(net, x_test, y_test)
    print(f"on {len(x_test):,} test images x 10 numbers: digit {digit:.2%}, sum {total:.2%}")
    return digit, total


if __name__ == "__main__":
    main()

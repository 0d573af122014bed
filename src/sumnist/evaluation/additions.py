"""The figures of a network that learned from sums: of sums of test images, and of their digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sumnist.config import Config
from sumnist.data.additions import grouped, totals
from sumnist.data.mnist import DigitSet
from sumnist.data.pairs import as_image
from sumnist.model.losses import total_nll
from sumnist.model.network import Network

__all__ = ["SumAnswers", "answer_sums"]

AT_ONCE = 30_000
"""Images whose sums are scored at once."""


@dataclass(frozen=True)
class SumAnswers:
    """What a network says of n images, and what a sum is.

    `scores`: log-probabilities of the digits, float32 `[n, 10]`. `truth`: the digits, `[n]`. `config`: says how many
    digits a number has, how many numbers a sum, and what becomes of them.
    """

    scores: NDArray[np.float32]
    truth: NDArray[np.int64]
    config: Config

    @property
    def digit_right(self) -> float:
        """The share of the images whose most probable digit is right."""
        return float((self.scores.argmax(1) == self.truth).mean())

    def sums_right(self, order: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Whether the most probable digits add up to the right total, `[S]`: of the images in their order, or in
        another one `[n]`."""
        answer, truth = self.scores.argmax(1), self.truth
        if order is not None:
            answer, truth = answer[order], truth[order]
        said, true = (totals(grouped(one, self.config), self.config.operation) for one in (answer, truth))
        return np.equal(said, true).astype(bool)

    def nll(self) -> NDArray[np.float32]:
        """−log of the probability of the right total, `[S]`, in nats: of the images in their order."""
        total = totals(grouped(self.truth, self.config), self.config.operation)
        scores = torch.from_numpy(grouped(self.scores, self.config))
        return total_nll(scores, total, self.config.operation).numpy()


@torch.inference_mode()
def answer_sums(net: Network, digits: DigitSet, config: Config, batch_size: int = 500) -> SumAnswers:
    """A network's answers to every image.

    Args:
        net: On any device; it answers in evaluation mode and is given back as it came.
        digits: The images and their digits.
        config: Says what a sum is.
        batch_size: How many images are answered at once.
    """
    device, training = next(net.parameters()).device, net.training
    net.eval()
    parts = [as_image(part.to(device)) for part in torch.tensor(digits.images).split(batch_size)]
    number = torch.zeros(batch_size, dtype=torch.int64, device=device)
    scores = torch.cat([net(part, number[: len(part)]).digit.cpu() for part in parts])
    net.train(training)
    return SumAnswers(scores.numpy(), digits.digits, config)

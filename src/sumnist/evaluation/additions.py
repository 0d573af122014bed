"""The figures of a network that learned from sums: of sums of test images and, always beside them, of their digits.

A sum is right if the most probable digits add up to its total, as published figures have it. The most probable total is
another thing: of sums with one more digit that is hard to read, several make the same total, and together they may be
the more probable. The images stand in sums in their order, the protocol of those figures, but few long sums fit into a
test set; so the mean over other orders stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sumnist.config import Config, Operation
from sumnist.data.additions import grouped, totals
from sumnist.data.mnist import DigitSet
from sumnist.data.pairs import as_image
from sumnist.evaluation.metrics import Accuracy
from sumnist.model.losses import sum_of, total_nll
from sumnist.model.network import Network

__all__ = ["SumAnswers", "SumEvaluation", "answer_sums"]

REGROUPINGS = 100
"""Random orders of the images over which the mean is taken."""


@dataclass(frozen=True)
class SumAnswers:
    """What a network says of n images, and what a sum is.

    `scores`: log-probabilities of the digits, float32 `[n, 10]`. `truth`: the digits, int64 `[n]`. `config`: says how
    many digits a number has, how many numbers a sum, and what becomes of them.
    """

    scores: NDArray[np.float32]
    truth: NDArray[np.int64]
    config: Config

    @property
    def digits_right(self) -> NDArray[np.bool_]:
        """Whether the most probable digit is right, `[n]`."""
        return np.asarray(self.scores.argmax(1) == self.truth)

    def totals_of(self, digits: NDArray[np.int64]) -> NDArray[Any]:
        """The totals `[S]` of digits `[n]`."""
        return totals(grouped(digits, self.config), self.config.operation)

    def sums_right(self, order: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.bool_]:
        """Whether the most probable digits add up to the right total, `[S]`: of the images in their order, or in
        another one `[n]`."""
        said, true = self.totals_of(self.scores.argmax(1)[order]), self.totals_of(self.truth[order])
        return np.asarray(said == true, bool)

    @property
    def grouped_scores(self) -> torch.Tensor:
        """`[S, K, N, 10]`, in their order; double precision, since those of a total are sums over thousands."""
        return torch.from_numpy(grouped(self.scores, self.config)).double()

    def nll(self) -> NDArray[np.float64]:
        """−log of the probability of the right total, `[S]`, in nats: of the images in their order."""
        nll: NDArray[np.float64] = total_nll(self.grouped_scores, self.totals_of(self.truth), self.operation).numpy()
        return nll

    def most_probable(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether the most probable total that was found is right, and whether it certainly is the most probable one,
        `[S]` each: of the images in their order."""
        found = sum_of(self.grouped_scores, self.operation).most_probable_total()
        return np.asarray(found.total == self.totals_of(self.truth), bool), found.certain

    @property
    def operation(self) -> Operation:
        """What becomes of the numbers."""
        return self.config.operation


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
    number = torch.zeros(batch_size, dtype=torch.int64, device=device)
    parts = torch.tensor(digits.images).split(batch_size)
    scores = [net(as_image(part.to(device)), number[: len(part)]).digit.cpu() for part in parts]
    net.train(training)
    return SumAnswers(torch.cat(scores).numpy(), digits.digits, config)


@dataclass(frozen=True)
class SumEvaluation:
    """The figures of a network on sums of test images.

    Attributes:
        data: Where the images are from.
        images: How many there are.
        digits: Of each number.
        addends: Numbers in a sum.
        operation: What becomes of them.
        sums: How many sums the images make.
        sum: The share of them whose most probable digits add up to the right total, the images in their order.
        sum_nll: Mean −log of the probability of the right total, in nats.
        total: The share of them whose most probable total is right.
        total_certain: The share of them whose most probable total was found for certain.
        regroupings: Random orders of the images.
        regrouped: The mean of `sum` over them.
        regrouped_sd: The standard deviation of one of them.
        digit: The share of the images whose most probable digit is right.
        digit_nll: Mean −log of the probability of the right digit, in nats.
    """

    data: str
    images: int
    digits: int
    addends: int
    operation: Operation
    sums: int
    sum: Accuracy
    sum_nll: float
    total: float
    total_certain: float
    regroupings: int
    regrouped: float
    regrouped_sd: float
    digit: Accuracy
    digit_nll: float

    @classmethod
    def of(cls, answers: SumAnswers, data: str) -> SumEvaluation:
        """The figures of a network's answers to the images of `data`."""
        config, count = answers.config, len(answers.truth)
        right, (total, certain), random = answers.sums_right(), answers.most_probable(), np.random.default_rng(0)
        regrouped = [answers.sums_right(random.permutation(count)).mean() for _ in range(REGROUPINGS)]
        return cls(
            data, count, config.digits, config.addends, config.operation, len(right), Accuracy.of(right[:, None]),
            float(answers.nll().mean()), float(total.mean()), float(certain.mean()), REGROUPINGS,
            float(np.mean(regrouped)), float(np.std(regrouped, ddof=1)), Accuracy.of(answers.digits_right[:, None]),
            float(-answers.scores[np.arange(count), answers.truth].mean(dtype=float)),
        )  # fmt: skip

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        return asdict(self)

"""Combine features `[B, F]` and number `[B]` into heads, and turn heads into the log-probabilities of digit and sum.

Each fusion has two methods: `forward` computes the raw heads, `outputs` turns them into log-probabilities. The meaning
of the heads differs between the fusions. `Outputs` mean the same for every network, so other code should read the
outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.config import Fusion, NumberEncoding, SumTarget
from sumnist.data.sampling import NUMBERS, SUMS

BITS = 5
"""Binary digits that a sum up to 18 needs."""
LEAST = 1e-5
"""Least probability of an answer, after the label smoothing is undone."""


class Heads(NamedTuple):
    """Raw outputs of the network.

    Attributes:
        digit: Logits, `[B, 10]`.
        sum: Logits `[B, 19]` or logits of bits `[B, 5]`; None if the sum is computed from the digit.
    """

    digit: Tensor
    sum: Tensor | None


class Outputs(NamedTuple):
    """Log-probabilities, the same for every network: `digit` `[B, 10]` and `sum` `[B, 19]`."""

    digit: Tensor
    sum: Tensor


def build_fusion(
    name: Fusion, features: int, number_encoding: NumberEncoding = "one-hot", sum_target: SumTarget = "classes",
    smoothing: float = 0.0,
) -> AnyFusion:  # fmt: skip
    """The fusion `name` for encoders of width `features`, freshly initialised. `smoothing` is the label smoothing of
    its targets."""
    if name == "exact":
        return ExactFusion(features, smoothing)
    if name == "concat":
        return ConcatFusion(features, number_encoding, sum_target, smoothing)
    return OriginalFusion(features, sum_target, smoothing)


def unsmoothed(scores: Tensor, smoothing: float) -> Tensor:
    """Logits `[B, K]` of a network trained with label smoothing → log-probabilities without it.

    A network trained on q = (1 − s) p + s / K answers q, where s is `smoothing`. This function solves for p. Below
    `LEAST`, p is noise.
    """
    if not smoothing:
        return scores.log_softmax(1)
    share = scores.softmax(1) - smoothing / scores.shape[1]
    answers = share.clamp_min(LEAST)
    return (answers / answers.sum(1, keepdim=True)).log()


class ExactFusion(nn.Module):
    """Computes the sum instead of learning it: P(sum = s | image, number) = P(digit = s − number | image)."""

    def __init__(self, features: int, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.digit = nn.Linear(features, 10)

    def forward(self, features: Tensor, number: Tensor) -> Heads:
        """Features `[B, F]` and number `[B]` → raw heads."""
        return Heads(self.digit(features), None)

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Log-probabilities of the digit and of the sum; the sum's are the digit's, shifted by the number."""
        digit = unsmoothed(heads.digit, self.smoothing)  # [B, 10]
        source = torch.arange(SUMS, device=number.device) - number[:, None]  # [B, 19]: the digit that makes each sum
        possible = (source >= 0) & (source <= 9)
        shifted = digit.gather(1, source.clamp(0, 9))
        return Outputs(digit, shifted.masked_fill(~possible, -torch.inf))


class LearnedFusion(nn.Module):
    """The common part of the learned fusions: a sum head of 19 logits or of five bits, and how to turn it into
    log-probabilities."""

    bits: Tensor  # [19, 5]

    def __init__(self, sum_target: SumTarget, smoothing: float = 0.0) -> None:
        super().__init__()
        self.sum_target, self.smoothing = sum_target, smoothing
        self.sum_width = SUMS if sum_target == "classes" else BITS
        self.register_buffer("bits", sum_bits(torch.arange(SUMS)), persistent=False)

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Log-probabilities. With five bits, the probability of a sum from 0 to 18 is the product of five Bernoulli
        probabilities, renormalised. A bit with logit z adds z if it is set and 0 otherwise (a common term cancels). So
        the logit of a sum is the total over its set bits."""
        assert heads.sum is not None
        digit = unsmoothed(heads.digit, self.smoothing)
        if self.sum_target == "bits":  # the targets of bits are not smoothed
            return Outputs(digit, (heads.sum @ self.bits.T).log_softmax(1))
        return Outputs(digit, unsmoothed(heads.sum, self.smoothing))


class ConcatFusion(LearnedFusion):
    """Learns the sum: features and number, side by side, pass through one hidden layer."""

    def __init__(
        self, features: int, number_encoding: NumberEncoding = "one-hot", sum_target: SumTarget = "classes",
        smoothing: float = 0.0, hidden: int = 128,
    ) -> None:  # fmt: skip
        super().__init__(sum_target, smoothing)
        self.number_encoding = number_encoding
        width = NUMBERS if number_encoding == "one-hot" else 1
        self.digit = nn.Linear(features, 10)
        self.hidden = nn.Linear(features + width, hidden)
        self.sum = nn.Linear(hidden, self.sum_width)

    def forward(self, features: Tensor, number: Tensor) -> Heads:
        """Features `[B, F]` and number `[B]` → raw heads."""
        if self.number_encoding == "one-hot":
            encoded = functional.one_hot(number, NUMBERS).to(features.dtype)  # [B, 10]
        else:
            encoded = (number[:, None] / (NUMBERS - 1)).to(features.dtype)  # [B, 1]
        joined = torch.cat([features, encoded], 1)  # [B, F + 10] or [B, F + 1]
        return Heads(self.digit(features), self.sum(self.hidden(joined).relu()))


class OriginalFusion(LearnedFusion):
    """The task author's fusion. The number passes as one scalar through three layers and joins the image's features.
    Two more layers serve both answers. There are no biases, so the path of a number y gives y · path(1): one scalar in
    disguise.

    It is computed in float32 even if the rest is in bf16. Neighbouring sums differ by little in this scalar, and a
    network that learned to tell them apart in bf16 also learned bf16's rounding.
    """

    def __init__(self, features: int, sum_target: SumTarget = "bits", smoothing: float = 0.0) -> None:
        super().__init__(sum_target, smoothing)
        self.number = nn.Sequential(
            nn.Linear(1, 16, bias=False), nn.ReLU(), nn.Linear(16, 32, bias=False), nn.ReLU(),
            nn.Linear(32, 64, bias=False), nn.ReLU(),
        )  # fmt: skip
        self.trunk = nn.Sequential(
            nn.Linear(features + 64, 256, bias=False), nn.ReLU(), nn.Linear(256, 256, bias=False), nn.ReLU()
        )
        self.digit = nn.Linear(256, 10, bias=False)
        self.sum = nn.Linear(256, self.sum_width, bias=False)

    def forward(self, features: Tensor, number: Tensor) -> Heads:
        """Features `[B, F]` and number `[B]` → raw heads."""
        with torch.autocast(features.device.type, enabled=False):
            encoded = self.number(number[:, None].float())  # [B, 64]
            joined = self.trunk(torch.cat([features.float(), encoded], 1))  # [B, 256]
            return Heads(self.digit(joined), self.sum(joined))


AnyFusion = ExactFusion | ConcatFusion | OriginalFusion
"""One of the fusions."""


def sum_bits(total: Tensor) -> Tensor:
    """The five bits of each sum, lowest first: int64 `[B]` → float32 `[B, 5]`."""
    return (total[:, None] >> torch.arange(BITS, device=total.device) & 1).float()

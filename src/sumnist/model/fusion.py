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

from sumnist.config import Fusion
from sumnist.data.sampling import NUMBERS, SUMS

BITS = 5
"""Binary digits that a sum up to 18 needs."""
LEAST = 1e-5
"""Least probability of an answer, after the label smoothing is undone."""


class Heads(NamedTuple):
    """Raw outputs of the network.

    Attributes:
        digit: Logits, `[B, 10]`.
        sum: Logits `[B, 19]`, or logits of five bits `[B, 5]`; None if the sum is computed from the digit.
    """

    digit: Tensor
    sum: Tensor | None


class Outputs(NamedTuple):
    """Log-probabilities, the same for every network: `digit` `[B, 10]` and `sum` `[B, 19]`."""

    digit: Tensor
    sum: Tensor


def build_fusion(name: Fusion, features: int) -> AnyFusion:
    """The fusion `name` for encoders of width `features`, freshly initialised."""
    kinds = {"exact": ExactFusion, "concat": ConcatFusion, "original": OriginalFusion}
    fusion: AnyFusion = kinds[name](features)
    return fusion


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

    smoothing = 0.0
    """the label smoothing of the training, which `outputs` undoes"""

    def __init__(self, features: int) -> None:
        super().__init__()
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


class ConcatFusion(nn.Module):
    """Learns the sum: features and one-hot number, side by side, pass through one hidden layer."""

    smoothing = 0.0
    """the label smoothing of the training, which `outputs` undoes"""

    def __init__(self, features: int, hidden: int = 128) -> None:
        super().__init__()
        self.digit = nn.Linear(features, 10)
        self.hidden = nn.Linear(features + NUMBERS, hidden)
        self.sum = nn.Linear(hidden, SUMS)

    def forward(self, features: Tensor, number: Tensor) -> Heads:
        """Features `[B, F]` and number `[B]` → raw heads."""
        joined = torch.cat([features, functional.one_hot(number, NUMBERS).to(features.dtype)], 1)  # [B, F + 10]
        return Heads(self.digit(features), self.sum(self.hidden(joined).relu()))

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Log-probabilities."""
        assert heads.sum is not None
        return Outputs(unsmoothed(heads.digit, self.smoothing), unsmoothed(heads.sum, self.smoothing))


class OriginalFusion(nn.Module):
    """The task author's fusion. The number passes as one scalar through three layers and joins the image's features.
    Two more layers serve both answers; the sum is five bits. There are no biases, so the path of a number y gives y ·
    path(1): one scalar in disguise.

    It is computed in float32 even if the rest is in bf16. Neighbouring sums differ by little in this scalar, and a
    network that learned to tell them apart in bf16 also learned bf16's rounding.
    """

    smoothing = 0.0
    """the label smoothing of the training, which `outputs` undoes; the targets of bits are not smoothed"""
    bits: Tensor  # [19, 5]

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("bits", sum_bits(torch.arange(SUMS)), persistent=False)
        self.number = nn.Sequential(
            nn.Linear(1, 16, bias=False), nn.ReLU(), nn.Linear(16, 32, bias=False), nn.ReLU(),
            nn.Linear(32, 64, bias=False), nn.ReLU(),
        )  # fmt: skip
        self.trunk = nn.Sequential(
            nn.Linear(features + 64, 256, bias=False), nn.ReLU(), nn.Linear(256, 256, bias=False), nn.ReLU()
        )
        self.digit = nn.Linear(256, 10, bias=False)
        self.sum = nn.Linear(256, BITS, bias=False)

    def forward(self, features: Tensor, number: Tensor) -> Heads:
        """Features `[B, F]` and number `[B]` → raw heads."""
        with torch.autocast(features.device.type, enabled=False):
            encoded = self.number(number[:, None].float())  # [B, 64]
            joined = self.trunk(torch.cat([features.float(), encoded], 1))  # [B, 256]
            return Heads(self.digit(joined), self.sum(joined))

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Log-probabilities. The probability of a sum from 0 to 18 is the product of five Bernoulli probabilities,
        renormalised. A bit with logit z adds z if it is set and 0 otherwise (a common term cancels). So the logit of a
        sum is the total over its set bits."""
        assert heads.sum is not None
        return Outputs(unsmoothed(heads.digit, self.smoothing), (heads.sum @ self.bits.T).log_softmax(1))


AnyFusion = ExactFusion | ConcatFusion | OriginalFusion
"""One of the fusions."""


def sum_bits(total: Tensor) -> Tensor:
    """The five bits of each sum, lowest first: int64 `[B]` → float32 `[B, 5]`."""
    return (total[:, None] >> torch.arange(BITS, device=total.device) & 1).float()

"""What a sum's head can say: how wide it is, what its loss is, which number it means, how sure it is of each sum."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.data.sampling import SUMS
from sumnist.lab.study.recipe import Target
from sumnist.model.fusion import BITS, sum_bits

__all__ = ["SumTarget", "build_target"]

SPREAD = 0.5
"""Standard deviation of the normal distribution that a predicted value stands for, where one is asked for."""


class SumTarget(nn.Module):
    """`width` raw outputs `[B, width]` that mean a sum; `largest`: the largest that they can mean."""

    width: int
    largest: int

    def loss(self, raw: Tensor, total: Tensor) -> Tensor:
        """The loss, a scalar, of a batch with sums `total`, int64 `[B]`."""
        raise NotImplementedError

    def value(self, raw: Tensor) -> Tensor:
        """The number that is meant, int64 `[B]`."""
        raise NotImplementedError

    def scores(self, raw: Tensor) -> Tensor:
        """Log-probabilities of the sums 0..18, `[B, 19]`."""
        raise NotImplementedError


class Classes(SumTarget):
    """A logit for each sum; cross-entropy."""

    width, largest = SUMS, SUMS - 1

    def loss(self, raw: Tensor, total: Tensor) -> Tensor:
        return functional.cross_entropy(raw, total)

    def value(self, raw: Tensor) -> Tensor:
        return raw.argmax(1)

    def scores(self, raw: Tensor) -> Tensor:
        return raw.log_softmax(1)


class Bits(SumTarget):
    """A logit for each of five binary digits, lowest first; mean binary cross-entropy."""

    width, largest = BITS, 2**BITS - 1
    bits: Tensor  # [19, 5]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bits", sum_bits(torch.arange(SUMS)), persistent=False)

    def loss(self, raw: Tensor, total: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(raw, sum_bits(total))

    def value(self, raw: Tensor) -> Tensor:
        return ((raw > 0) << torch.arange(BITS)).sum(1)

    def scores(self, raw: Tensor) -> Tensor:
        return (raw @ self.bits.T).log_softmax(1)


class Value(SumTarget):
    """The sum itself; squared error; rounded when asked. A normal distribution around it stands for its scores."""

    width, largest = 1, 99

    def loss(self, raw: Tensor, total: Tensor) -> Tensor:
        return functional.mse_loss(raw[:, 0], total.float())

    def value(self, raw: Tensor) -> Tensor:
        return raw[:, 0].round().long()

    def scores(self, raw: Tensor) -> Tensor:
        return (-((torch.arange(SUMS) - raw) ** 2) / (2 * SPREAD**2)).log_softmax(1)


class Ordinal(SumTarget):
    """A logit for each question "is the sum above k?", k = 0..17; mean binary cross-entropy."""

    width, largest = SUMS - 1, SUMS - 1

    def loss(self, raw: Tensor, total: Tensor) -> Tensor:
        above = total[:, None] > torch.arange(self.width)
        return functional.binary_cross_entropy_with_logits(raw, above.float())

    def value(self, raw: Tensor) -> Tensor:
        return (raw > 0).sum(1)

    def scores(self, raw: Tensor) -> Tensor:
        """Each sum is between two neighbouring answers: yes to all below it, no to all from it on, as if they were
        independent, renormalised."""
        yes = functional.pad(functional.logsigmoid(raw).cumsum(1), (1, 0))  # [B, 19]
        no = functional.pad(functional.logsigmoid(-raw).flip(1).cumsum(1).flip(1), (0, 1))  # [B, 19]
        return (yes + no).log_softmax(1)


def build_target(name: Target) -> SumTarget:
    """The target `name`."""
    kinds: dict[Target, type[SumTarget]] = {"classes": Classes, "bits": Bits, "value": Value, "ordinal": Ordinal}
    return kinds[name]()

"""The joint loss: a weighted mean of the digit's and the sum's, both on raw heads."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from sumnist.config import Config
from sumnist.model.fusion import Heads, sum_bits

__all__ = ["Losses", "joint_loss"]


class Losses(NamedTuple):
    """Scalars, in nats: `total` is what training minimises, the weighted mean of `digit` and `sum`."""

    total: Tensor
    digit: Tensor
    sum: Tensor


def joint_loss(heads: Heads, digit: Tensor, total: Tensor, config: Config, smoothing: float = 0.0) -> Losses:
    """The losses of a batch with targets `digit` and `total`, int64 `[B]`, of which `smoothing` is spread evenly.

    Digit: cross-entropy on logits. Sum: cross-entropy over 0..18 where the heads hold 19 logits; mean binary
    cross-entropy of five bits where they hold five; and where the sum is computed from the digit, the digit's own loss:
    −log P(sum) is −log P(digit) there, so it is computed once.
    """
    scores = heads.digit.float()  # [B, 10]
    if config.digit_loss == "softmax-then-cross-entropy":
        scores = scores.softmax(1)  # the mistake: cross_entropy takes a second softmax of these
    digit_loss = functional.cross_entropy(scores, digit, label_smoothing=smoothing)
    if heads.sum is None:
        return Losses(digit_loss, digit_loss, digit_loss)
    if config.sum_target == "bits":
        sum_loss = functional.binary_cross_entropy_with_logits(heads.sum.float(), sum_bits(total))
    else:
        sum_loss = functional.cross_entropy(heads.sum.float(), total, label_smoothing=smoothing)
    weight = config.digit_weight + config.sum_weight
    return Losses((config.digit_weight * digit_loss + config.sum_weight * sum_loss) / weight, digit_loss, sum_loss)

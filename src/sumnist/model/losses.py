"""Compute the losses of a training: on digit and sum, on digits against outliers, and on a total."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sumnist.arithmetic import Digits, Sum
from sumnist.arithmetic.sumproduct import TRANSFORMED, given_total
from sumnist.config import Particulars
from sumnist.data.sampling import NO_DIGIT, SUMS
from sumnist.model.fusion import BITS, Heads, sum_bits

IS_DIGIT_WEIGHT = 1.0
"""Weight of the loss for telling digits from outliers, beside the joint loss."""


class Losses(NamedTuple):
    """The losses of a batch: scalars, in nats.

    Attributes:
        total: What training minimises: the weighted mean of `digit` and `sum`, plus the loss for telling digits from
            outliers.
        digit: The loss of the digit.
        sum: The loss of the sum.
    """

    total: Tensor
    digit: Tensor
    sum: Tensor


def joint_loss(
    heads: Heads, digit: Tensor, total: Tensor, particulars: Particulars, smoothing: float = 0.0,
    soft: Tensor | None = None, outliers: bool = False,
) -> Losses:  # fmt: skip
    """The losses of a batch on raw heads, with targets `digit` and `total`, int64 `[B]`, and label `smoothing`.

    If `soft` `[B, 10]` is given, this distribution is the target of the digit instead, and, shifted by the number, that
    of the sum.

    Digit: cross-entropy on logits. Sum: cross-entropy over 0..18 if the heads hold 19 logits, or mean binary
    cross-entropy of five bits if they hold five. If the sum is computed from the digit, −log P(sum) is −log P(digit),
    so its loss is the digit's. Pairs labelled `NO_DIGIT` count in neither loss. If the batch has `outliers`, the
    logsumexp of the digit's logits is the logit that there is a digit (the negative of the energy of Liu, Wang, Owens
    and Li, 2020). This logit has a binary cross-entropy of its own.
    """
    scores = heads.digit.float()  # [B, 10]
    if particulars.softmax_twice:
        scores = scores.softmax(1)  # the mistake: cross_entropy applies a second softmax
    shown: Any = slice(None)  # cross_entropy leaves out what shows no digit
    digit_target, sum_target = digit, total
    if soft is not None:
        shown = digit != NO_DIGIT
        digit_target, sum_target = soft[shown], of_sums(soft, total - digit)[shown]
    digit_loss = cross_entropy(scores[shown], digit_target, smoothing)
    joint, sum_loss = digit_loss, digit_loss
    if heads.sum is not None:
        if heads.sum.shape[1] == BITS:
            shown = total != NO_DIGIT
            bits = sum_bits(total[shown] if soft is None else torch.arange(SUMS, device=total.device))
            bits = bits if soft is None else sum_target @ bits  # how probable it is that each is set
            sum_loss = functional.binary_cross_entropy_with_logits(heads.sum[shown].float(), bits)
        else:
            sum_loss = cross_entropy(heads.sum[shown].float(), sum_target, smoothing)
        joint = (digit_loss + particulars.sum_weight * sum_loss) / (1 + particulars.sum_weight)
    if outliers:
        there = functional.binary_cross_entropy_with_logits(scores.logsumexp(1), (digit != NO_DIGIT).float())
        joint = joint + IS_DIGIT_WEIGHT * there
    return Losses(joint, digit_loss, sum_loss)


def of_sums(digit: Tensor, number: Tensor) -> Tensor:
    """Probabilities of digits `[B, 10]` and numbers int64 `[B]` → probabilities of their sums, `[B, 19]`."""
    place = number[:, None] + torch.arange(digit.shape[1], device=number.device)
    return digit.new_zeros(len(digit), SUMS).scatter(1, place, digit)


def cross_entropy(scores: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Torch's cross-entropy, which ignores `NO_DIGIT`."""
    return functional.cross_entropy(scores, target, label_smoothing=smoothing, ignore_index=NO_DIGIT)


def sum_of(scores: Tensor) -> Sum:
    """The distribution of the sum of numbers with these digits, given log-probabilities of the digits, `[S, K, N, 10]`,
    the most significant first."""
    return Sum.of(*(Digits(number) for number in scores.unbind(1)))


def total_nll(scores: Tensor, total: NDArray[Any]) -> Tensor:
    """−log of the probability of each `total` `[S]`, in nats, `[S]`. It is exact, because it counts all digits that
    make the total. Its gradient is the posterior of the digits. `scores` are those of `sum_of`."""
    if scores.shape[1] >= TRANSFORMED and scores.shape[2] == 1:  # a hundred times as fast for a thousand digits
        log_probs = scores.detach()[:, :, 0].double().cpu().numpy()
        log_prob, posterior, _ = given_total(log_probs, np.asarray(total, np.float64))
        if not np.isnan(log_prob).any():
            change = (scores - scores.detach()).nan_to_num()[:, :, 0]  # zero, but for its gradient
            return -(scores.new_tensor(log_prob) + (scores.new_tensor(np.exp(posterior)) * change).sum((1, 2)))
    nll: Tensor = -sum_of(scores).log_prob(total)
    return nll

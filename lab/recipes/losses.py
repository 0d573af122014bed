"""The loss of the text on a strip."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from lab.recipes.strips import StripBatch
from sumnist.inference.alphabet import STEP


def text_nll(emissions: Tensor, strips: StripBatch) -> Tensor:
    """−log of the probability of the text on each strip, `[B]`, in nats. It is 0, without a gradient, if the strip has
    too few steps for the text."""
    return functional.ctc_loss(
        emissions.transpose(0, 1), strips.target, strips.widths // STEP, strips.lengths, reduction="none",
        zero_infinity=True,
    )  # fmt: skip

"""Positional numbers."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from sumnist.arithmetic.semiring import IMPOSSIBLE, Array, like, take
from sumnist.arithmetic.sums import Operand

__all__ = ["Digits"]


class Digits(Operand):
    """A number by its digits, which are independent of each other.

    Args:
        log_probs: `[..., N, base]`.
    """

    def __init__(self, log_probs: Array) -> None:
        self.log_probs = log_probs

    def positions(self, count: int, rank: int) -> Array:
        """For sums: `[base, count, *batch]`, the least significant position first."""
        xp, x = array_namespace(self.log_probs), self.log_probs
        *batch, length, base = x.shape
        x = xp.reshape(x, (*(1 for _ in range(rank - len(batch))), *batch, length, base))
        x = xp.permute_dims(x, (x.ndim - 2, x.ndim - 1, *range(x.ndim - 2)))
        if count > length:
            zero = np.where(np.arange(base) == 0, 0.0, IMPOSSIBLE).reshape(1, base, *(1 for _ in range(rank)))
            x = xp.concat([x, xp.broadcast_to(like(x, zero), (1, *x.shape[1:]))], axis=0)
        x = take(x, np.r_[np.arange(length)[::-1], np.full(count - length, length, np.int64)])
        return xp.permute_dims(x, (1, 0, *range(2, x.ndim)))

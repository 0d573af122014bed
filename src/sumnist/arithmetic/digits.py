"""A number by its digits, each with a distribution of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import NOTHING
from sumnist.arithmetic.operand import Kind, Operand, checked
from sumnist.arithmetic.semiring import IMPOSSIBLE, Array, library, like
from sumnist.arithmetic.sums import Added
from sumnist.errors import NumberError

__all__ = ["Digits"]


class Digits(Added, Operand):
    """A positional number of N digits, which are independent of each other.

    `+`, `-` and `*` with anything make a `Sum`. Its operands are independent draws: `a + a` adds two numbers that look
    alike, and is not `2 * a`.

    Args:
        log_probs: `[..., N, base]`, of NumPy or torch, the most significant digit first; any base from 2 on.

    Raises:
        NumberError: These are no log-probabilities.

    Examples:
        >>> import numpy as np
        >>> any_digit = Digits(np.log(np.full((1, 10), 0.1)))
        >>> float(np.exp((any_digit + any_digit).log_prob(1)).round(6)), float(np.exp((2 * any_digit).log_prob(1)))
        (0.02, 0.0)
    """

    kind: Kind = "digits"
    support = NOTHING
    other = 0.0

    def __init__(self, log_probs: Array) -> None:
        self.log_probs = checked(log_probs, ("N", "base"))
        if self.base < 2:
            raise NumberError(
                f"Log-probabilities {list(log_probs.shape)}: expected [..., N, base] and a base from 2 on"
            )

    def __repr__(self) -> str:
        return f"Digits({self.length} of base {self.base}{self.beside})"

    @property
    def base(self) -> int:
        """How many digits there are to choose from."""
        return int(self.log_probs.shape[-1])

    @property
    def length(self) -> int:
        """The number of digits, N."""
        return int(self.log_probs.shape[-2])

    def laid(self, reference: Array, rank: int, positions: int) -> Array:
        """As an operand: `[base, positions, *batch]`, the least significant position first, zeros above the number."""
        xp, x = library(self.log_probs), self.log_probs
        x = xp.reshape(x, (*(1 for _ in range(rank - len(self.batch))), *x.shape))
        x = xp.permute_dims(xp.flip(x, axis=rank), (rank + 1, rank, *range(rank)))
        if positions > self.length:
            zero = np.where(np.arange(self.base) == 0, 0.0, IMPOSSIBLE).reshape(-1, *(1 for _ in range(rank + 1)))
            above = (self.base, positions - self.length, *x.shape[2:])
            x = xp.concat([x, xp.broadcast_to(like(x, zero), above)], axis=1)
        return x

    def given(self, log_probs: Array, other: Array | float) -> Array:
        """As an operand: `[..., N, base]`, each digit by itself; they are no longer independent."""
        xp = library(log_probs)
        x = xp.flip(log_probs[:, : self.length], axis=1)
        return xp.permute_dims(x, (*range(2, x.ndim), 1, 0))

    def chosen(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """As an operand: digits `[..., N]`, the most significant first."""
        return np.moveaxis(index[: self.length][::-1], 0, -1)

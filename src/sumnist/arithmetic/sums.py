"""Sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from sumnist.arithmetic.chain import Chain
from sumnist.arithmetic.convolution import Convolution
from sumnist.arithmetic.known import columns, minus, whole
from sumnist.arithmetic.semiring import IMPOSSIBLE, Array, log_sum, normalised
from sumnist.errors import NumberError

__all__ = ["Operand", "Sum"]


class Operand:
    """What may stand in a sum."""

    __array_ufunc__ = None

    def __add__(self, other: Any) -> Sum:
        return Sum([(1, self), (1, other)])

    def __radd__(self, other: Any) -> Sum:
        return Sum([(1, other), (1, self)])

    def __sub__(self, other: Any) -> Sum:
        return Sum([(1, self), (-1, other)])

    def __rsub__(self, other: Any) -> Sum:
        return Sum([(1, other), (-1, self)])

    def __mul__(self, factor: int) -> Sum:
        return Sum([(factor, self)])

    __rmul__ = __mul__

    def __neg__(self) -> Sum:
        return Sum([(-1, self)])


class Sum(Operand):
    """A sum of independent operands, each times a whole number, and of known numbers."""

    def __init__(self, terms: list[tuple[int, Any]]) -> None:
        self.terms: list[tuple[int, Any]] = []
        self.constant = np.asarray(0)
        for step, operand in terms:
            if isinstance(operand, Sum):
                self.terms += [(step * inner, one) for inner, one in operand.terms]
                self.constant = minus(self.constant, -step * operand.constant)
            elif isinstance(operand, Operand):
                self.terms.append((step, operand))
            else:
                self.constant = minus(self.constant, -step * whole(operand))

    @classmethod
    def of(cls, *operands: Any) -> Sum:
        """The sum of these."""
        return cls([(1, one) for one in operands])

    def _chain(self, total: Any) -> tuple[Convolution, Chain]:
        terms = self.terms
        if isinstance(total, Operand):
            terms, total = [*terms, (-1, total)], 0
        target = minus(whole(total), self.constant)
        rank = max(target.ndim, *(one.log_probs.ndim - 2 for _, one in terms))
        count = max(one.log_probs.shape[-2] for _, one in terms)
        target = target.reshape((1,) * (rank - target.ndim) + target.shape)
        column = Convolution([(step, one.positions(count, rank)) for step, one in terms], log_sum)
        base = terms[0][1].log_probs.shape[-1]
        return column, Chain(column.sums, column.first, *columns(target, base, count), base, log_sum)

    def log_prob(self, total: Any) -> Array:
        """The log-probability of a total, `[...]`; −inf if it is impossible."""
        return self._chain(total)[1].log_prob()

    def posterior(self, total: Any) -> list[Array]:
        """Of each operand, the log-probabilities of its digits given the total, `[..., N, base]`. Raises `NumberError`."""
        column, chain = self._chain(total)
        xp = array_namespace(column.sums)
        log_prob = chain.log_prob()
        if bool(xp.any(log_prob == IMPOSSIBLE)):
            where = np.argwhere(np.asarray(log_prob == IMPOSSIBLE))[0].tolist()
            raise NumberError(f"impossible total at {where}")
        found = []
        for (_, term), left, (_, operand) in zip(
            column.terms, column.outward(chain.outward()), self.terms, strict=False
        ):
            marginal = normalised(term + left)
            count = operand.log_probs.shape[-2]
            marginal = xp.flip(marginal[:, :count], axis=1)
            found.append(xp.permute_dims(marginal, (*range(2, marginal.ndim), 1, 0)))
        return found

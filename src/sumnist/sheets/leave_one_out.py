"""Sums of terms, of all of them and of all but each one, forwards and backwards.

Before and behind each term there is a running sum; the two together are the sum without the term. `backward` goes back
through them, from what is left to these sums to what is left to each term: the derivative, with nothing subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sumnist.arithmetic.known import Support
from sumnist.arithmetic.sumproduct import Added, Chain, Ring, Sums, Weights
from sumnist.sheets.mistakes import UNKNOWN

__all__ = ["STATES", "Around", "LeaveOneOut"]

STATES = 2**17
"""The most pairs of partial sums and candidates that are looked at: tens of milliseconds and some 100 MB."""


class Around(NamedTuple):
    """Sums of the terms from the first on, and from the last but the first on; weights of the sums without each."""

    before: Sums
    behind: Sums
    rests: list[Weights]


class LeaveOneOut:
    """The sum of terms with given supports.

    Attributes:
        support: Of the sum of all.
        rests: Of the sum of all but each one.

    Raises:
        TooManyError: There are more partial sums than are looked at.
    """

    def __init__(self, terms: Sequence[Support]) -> None:
        self.up, self.down = (Chain(some, UNKNOWN, STATES) for some in (terms, terms[:0:-1]))
        behind = [self.down.support, *(added.one for added in reversed(self.down.added))]
        self.across = [
            Added(before.one, after, UNKNOWN, STATES) for before, after in zip(self.up.added, behind, strict=True)
        ]
        self.support, self.rests = self.up.support, [across.support for across in self.across]

    def sums(self, ring: Ring, terms: Sequence[Weights]) -> Around:
        """All sums."""
        before, behind = Sums(self.up, ring, terms), Sums(self.down, ring, terms[:0:-1])
        after = [behind.all, *reversed(behind.running[: len(terms) - 1])]
        rests = [across.forward(ring, *both) for across, *both in zip(self.across, before.running, after, strict=True)]
        return Around(before, behind, rests)

    def backward(self, ring: Ring, sums: Around, to_all: Weights, to_rests: Sequence[Weights]) -> list[Weights]:
        """What is left to each term, given what is left to the sum of all and to those of all but each one."""
        before, behind = sums.before.running, sums.behind.running
        after = [sums.behind.all, *reversed(behind[: len(before) - 1])]
        each = list(zip(self.across, to_rests, strict=True))
        to_before = [across.to_one(ring, left, x) for (across, left), x in zip(each, after, strict=True)]
        to_after = [across.to_two(ring, left, x) for (across, left), x in zip(each, before, strict=True)]
        first, *others = sums.before.backward(to_all, to_before)
        through = reversed(sums.behind.backward(to_after[0], to_after[::-1]))
        return [first, *(ring.plus(one, two) for one, two in zip(others, through, strict=True))]

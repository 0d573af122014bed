"""The writer's channel: the total that is written, given the numbers that it should be the sum of.

    P(t | v₁ … vₙ) = (1 − ε) · [t = f] + ε · q(t | f, v₁ … vₙ),    f = Σ sᵢ · vᵢ

with q a mixture over 0..largest without f:

- off by one: f ± 1, and f ± ½ too if there are halves;
- carry: f ± 10, ± 100, … up to the largest total: a carry lost, or counted twice;
- swapped: two neighbouring digits of f change places; what would begin with a zero is not written;
- skipped: f without one of its terms, each as probable;
- anything: every other total, each as probable.

Within a kind all alternatives are equally probable. One that cannot be (out of range, a term of zero, two equal digits,
a single digit, no f below zero has digits) gives its share to "anything", so that q sums to one for each f. If f itself
is out of the range, it cannot be written: the share of the right total then goes to "anything" too, over the whole
range. A form should leave room for its sums, or this tells nothing of them.

With halves numbers are in units of ½: `f ± 10` is 20 units, and the digits that change places are those of the whole
part. A carry from the halves is a whole one, and so is off by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import NumberError

Kind = Literal["right", "off by one", "carry", "swapped", "skipped", "anything", "unknown"]
"""How a total came about; "unknown" if one of its terms is not known, and the total says nothing."""
KINDS: tuple[Kind, ...] = get_args(Kind)
RIGHT, OFF_BY_ONE, CARRY, SWAPPED, SKIPPED, ANYTHING, UNSEEN = range(len(KINDS))
"""The places of the kinds in `KINDS`."""

MISTAKE = 0.02
"""ε: the probability that a total is wrong, unless the user knows better."""
WEIGHTS = {OFF_BY_ONE: 0.25, CARRY: 0.25, SWAPPED: 0.05, SKIPPED: 0.2, ANYTHING: 0.25}
"""The mixture q. Set by judgement, not estimated: slips of counting and carrying are the most frequent, a total that
has nothing to do with its terms must not be rare (else it is explained away by misread terms), and digits that change
places are a slip of copying. Verdicts depend on their order of magnitude only."""

UNKNOWN = 2**61
"""Stands for a number that is none of its candidates; so is a sum with one."""
MOST = 10**15
"""The largest number of a field: sums of many stay far from `UNKNOWN`."""


class Slips(NamedTuple):
    """What may be written for sums `[F]`, but for skipped terms.

    Attributes:
        written: `[F, m]`, −1 if it cannot be.
        shares: Its probability, `[F, m]`.
        kinds: Of each column its place in `KINDS`, `[m]`; the first one is the right total.
        anything: The probability of "anything", `[F]`, still without that of skipped terms which cannot be.
    """

    written: NDArray[np.int64]
    shares: NDArray[np.float64]
    kinds: NDArray[np.int64]
    anything: NDArray[np.float64]


@dataclass(frozen=True)
class Writer:
    """Who adds `terms` numbers and writes a total of 0..`largest`.

    Attributes:
        largest: The largest total that there is room for.
        terms: How many numbers are added.
        halves: Whether numbers are in units of ½.
        mistake: ε, the probability of a mistake.

    Raises:
        NumberError: There is no room for a mistake, or ε is no probability.

    Examples:
        >>> writer = Writer(largest=20, terms=2, mistake=0.1)
        >>> kinds = writer.kinds(np.array([12, 13, 9]), np.array([[9, 3]] * 3))
        >>> [KINDS[kind] for kind in kinds.argmax(-1)]
        ['right', 'off by one', 'skipped']
    """

    largest: int
    terms: int
    halves: bool = False
    mistake: float = MISTAKE

    def __post_init__(self) -> None:
        if not 1 <= self.largest <= MOST:
            raise NumberError(f"A total of 0..{self.largest} was given: expected a largest one of 1 to {MOST}")
        if not self.terms:
            raise NumberError("A total of no terms was given: expected one term at least")
        if not 0 <= self.mistake <= 1:
            raise NumberError(f"A probability of a mistake of {self.mistake} was given: expected one of 0 to 1")

    def has_room(self, sums: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether they can be written."""
        return (sums >= 0) & (sums <= self.largest)

    @property
    def skips(self) -> float:
        """The probability that one certain term is skipped."""
        return self.mistake * WEIGHTS[SKIPPED] / self.terms

    def slips(self, sums: NDArray[np.int64]) -> Slips:
        """What may be written instead of sums `[F]`, but for skipped terms."""
        unit = 2 if self.halves else 1
        near = [1, 2] if self.halves else [1]
        carries = [unit * 10**place for place in range(1, len(str(self.largest))) if unit * 10**place <= self.largest]
        parts = [(RIGHT, sums[:, None], np.full((len(sums), 1), 1 - self.mistake))]
        for kind, steps in (OFF_BY_ONE, near), (CARRY, carries):
            away = np.array([sign * step for step in steps for sign in (1, -1)], np.int64)
            share = self.mistake * WEIGHTS[kind] / max(1, len(away))
            parts.append((kind, sums[:, None] + away, np.full((len(sums), len(away)), share)))
        swapped, among = swaps(sums, unit)
        parts.append((SWAPPED, swapped, self.mistake * WEIGHTS[SWAPPED] * among))
        written = np.concatenate([part for _, part, _ in parts], 1)
        shares = np.concatenate([share for *_, share in parts], 1)
        written = np.where(self.has_room(written), written, -1)
        shares = np.where(written < 0, 0.0, shares)
        kinds = np.repeat([kind for kind, *_ in parts], [part.shape[1] for _, part, _ in parts])
        # What is not used by alternatives that can be; as a sum it is above zero even where `1 − Σ` rounds to less.
        anything = self.mistake * (1 - WEIGHTS[SKIPPED]) - shares[:, 1:].sum(1)
        anything = np.maximum(anything, self.mistake * WEIGHTS[ANYTHING])
        anything += np.where(self.has_room(sums), 0.0, 1 - self.mistake)
        return Slips(written, shares, kinds, anything)

    def kinds(
        self, written: NDArray[np.int64], terms: NDArray[np.int64], listed: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """The probability that a total is written and comes about in each way.

        Args:
            written: Totals `[N]`; `UNKNOWN` is every total that is not listed.
            terms: The numbers with their signs, `[N, n]`; if one is `UNKNOWN`, every total is equally probable.
            listed: The totals that are candidates; needed if some are unknown.

        Returns:
            `[N, kinds]`, in the order of `KINDS`.
        """
        known = np.asarray((terms < UNKNOWN // 2).all(1))
        terms = np.where(known[:, None], terms, 0)
        sums = terms.sum(1)
        slips = self.slips(sums)
        rest, counts = written == UNKNOWN, np.ones(len(written))
        if rest.any():
            if listed is None:
                raise NumberError("A total that is not known was given: expected the candidates beside it")
            counts[rest] = self.largest + 1 - len(listed)

        def hits(made: NDArray[np.int64]) -> NDArray[np.bool_]:
            """Whether totals `[N, m]` that can be are what is written."""
            same = made == written[:, None]
            if listed is not None and rest.any():
                same |= rest[:, None] & ~np.isin(made, listed)
            return np.asarray(same & self.has_room(made))

        found = np.zeros((len(written), len(KINDS)))
        shares = slips.shares * hits(slips.written)
        for kind in RIGHT, OFF_BY_ONE, CARRY, SWAPPED:
            found[:, kind] = shares[:, slips.kinds == kind].sum(1)
        without = sums[:, None] - terms
        possible = (terms != 0) & self.has_room(without)
        found[:, SKIPPED] = self.skips * (possible & hits(without)).sum(1)
        room = self.has_room(sums)
        others = (counts - (room & hits(sums[:, None])[:, 0])) / (self.largest + ~room)
        found[:, ANYTHING] = (slips.anything + self.skips * (~possible).sum(1)) * others
        found[~known] = 0
        found[~known, UNSEEN] = counts[~known] / (self.largest + 1)
        return found


def swaps(sums: NDArray[np.int64], unit: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers with two neighbouring digits that have changed places, −1 if they cannot: `[F, m]`; the share of each."""
    whole = np.maximum(sums, 0) // unit
    place = 10 ** np.arange(max(0, len(str(whole.max(initial=0))) - 1))
    high, low = whole[:, None] // (10 * place) % 10, whole[:, None] // place % 10
    there = whole[:, None] >= 10 * place
    leading = there & (whole[:, None] < 100 * place)
    possible = there & (high != low) & ~(leading & (low == 0))
    swapped = np.where(possible, sums[:, None] + unit * 9 * place * (low - high), -1)
    return swapped, np.asarray(there / np.maximum(1, there.sum(1, keepdims=True)))

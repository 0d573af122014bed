"""The messages of one formula: from its terms to its total, and back, through all that the writer may have done.

A total is made of the sum f of all terms (right, off by one, carry, swapped, anything), or of the sum g of all but one
(skipped). Where g cannot be written, or the term is zero, skipping is "anything" instead, which needs f again: the
value of every other total, spread evenly.

Before and behind each term there is a running sum; the two together are the sum without the term.
`LeaveOneOut.backward` goes back through them, from what is left to these sums to what is left to each term: the
derivative, with nothing subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import Support, found, points_of
from sumnist.arithmetic.sumproduct import Added, Chain, Ring, Sums, Weights
from sumnist.sheets.mistakes import ANYTHING, KINDS, RIGHT, SKIPPED, SWAPPED, UNKNOWN, UNSEEN, Writer

STATES = 2**17
"""The most pairs of partial sums and candidates that are looked at: tens of milliseconds and some 100 MB."""


class Around(NamedTuple):
    """Sums of the terms from the first on, and from the last on without the first; weights of the sums of what is
    behind each term, and of all without it."""

    before: Sums
    behind: Sums
    after: list[Weights]
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
        return Around(before, behind, after, rests)

    def backward(self, ring: Ring, sums: Around, to_all: Weights, to_rests: Sequence[Weights]) -> list[Weights]:
        """What is left to each term, given what is left to the sum of all and to those of all but each one."""
        each = list(zip(self.across, to_rests, sums.before.running, sums.after, strict=True))
        to_before = [across.to_one(ring, outside, after) for across, outside, _, after in each]
        to_after = [across.to_two(ring, outside, before) for across, outside, before, _ in each]
        first, *others = sums.before.backward(to_all, to_before)
        through = reversed(sums.behind.backward(to_after[0], to_after[::-1]))
        return [first, *(ring.plus(one, two) for one, two in zip(others, through, strict=True))]


class Up(NamedTuple):
    """What terms say of the total `[G]`, and what was worked out on the way."""

    message: Weights
    terms: list[Weights]
    sums: Around
    vague: Weights
    """By the sum of all terms, what is spread over all other totals."""


class Down(NamedTuple):
    """What the total says of each term, and how much of it is by each kind `[kinds]`."""

    messages: list[Weights]
    kinds: Weights


@dataclass(frozen=True)
class Rest:
    """One term, and the sum g of the others.

    Attributes:
        written, source: Which totals g can be written as, and their places in its support.
        nonzero, zero: The places of the term's numbers that are known.
        all: The places of g in the support of the sum of all.
        beyond: Whether g is known and cannot be written.
        added: The sum of g and the term.
    """

    written: NDArray[np.int64]
    source: NDArray[np.int64]
    nonzero: NDArray[np.int64]
    zero: NDArray[np.int64]
    all: NDArray[np.int64]
    beyond: NDArray[np.bool_]
    added: Added


class Messages:
    """One formula of a writer.

    Args:
        writer: Who adds.
        terms: The sign of each term, and its numbers.
        total: The numbers that the total may be. The last of points may be `UNKNOWN`, all others.
        counts: How many numbers each of these stands for.
        chain: The sums of the terms, if they are there already.
    """

    def __init__(
        self, writer: Writer, terms: Sequence[tuple[int, Support]], total: Support, counts: NDArray[np.float64],
        chain: LeaveOneOut | None = None,
    ) -> None:  # fmt: skip
        self.writer, self.total, self.counts = writer, total, counts
        self._turned = [slice(None, None, -1 if sign < 0 and isinstance(one, range) else 1) for sign, one in terms]
        self._chain = chain_of(terms) if chain is None else chain
        sums = points_of(self._chain.support)
        known = sums != UNKNOWN
        slips = writer.slips(np.where(known, sums, 0))
        source, column = np.nonzero((slips.written >= 0) & known[:, None])
        self._source, self._target = source, self.places(slips.written[source, column])
        with np.errstate(divide="ignore"):
            self._log_shares = np.log(slips.shares[source, column])
            self._log_anything = np.log(np.where(known, slips.anything, 1.0))
            self._log_skips = np.log(writer.skips)
            self._log_others = np.log1p(-1 / counts)  # of the numbers in one place all but one
        self._kinds = slips.kinds[column]
        self._unknown = np.flatnonzero(~known)
        self._inside = np.flatnonzero(known & writer.has_room(sums))
        self._outside = np.flatnonzero(~(known & writer.has_room(sums)))
        self._own = self.places(sums[self._inside])
        self._rests = [
            self.rest(times(sign, term), rest) for (sign, term), rest in zip(terms, self._chain.rests, strict=True)
        ]

    def places(self, totals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where totals that can be written are among those of the field; −1 if nowhere."""
        if isinstance(self.total, range):
            return totals - self.total.start
        rest = len(self.total) - 1 if self.total[-1] == UNKNOWN else -1
        index = found(self.total, totals)
        return np.where(index < 0, rest, index)

    def rest(self, term: Support, rest: Support) -> Rest:
        """One term, and the sum of the others."""
        numbers, sums = points_of(term), points_of(rest)
        source, beyond = np.flatnonzero(self.writer.has_room(sums)), ~self.writer.has_room(sums) & (sums != UNKNOWN)
        added = Added(rest, term, UNKNOWN, STATES)
        if beyond.any():
            added.support  # noqa: B018 (its table is made now, or refused)
        return Rest(
            written=self.places(sums[source]),
            source=source,
            nonzero=np.flatnonzero((numbers != 0) & (numbers != UNKNOWN)),
            zero=np.flatnonzero(numbers == 0),
            all=found(self._chain.support, sums[source]),
            beyond=beyond,
            added=added,
        )

    def upward(self, ring: Ring, terms: Sequence[Weights]) -> Up:
        """What is said of the total by what is known of its terms."""
        terms = [x[turned] for x, turned in zip(terms, self._turned, strict=True)]
        size, skips = len(self.counts), ring.weights(self._log_skips)
        sums = self._chain.sums(ring, terms)
        made = ring.times(sums.before.all[self._source], ring.weights(self._log_shares))
        message = ring.gathered(self._target, made, size)
        vague = ring.times(sums.before.all, ring.weights(self._log_anything))
        for rest, x, weights in zip(self._rests, terms, sums.rests, strict=True):
            g = ring.times(weights[rest.source], skips)
            skipped = ring.gathered(rest.written, ring.times(g, ring.total(x[rest.nonzero])), size)
            message = ring.plus(message, skipped)
            if len(rest.zero):
                vague[rest.all] = ring.plus(vague[rest.all], ring.times(g, x[rest.zero]))
            if rest.beyond.any():
                g = np.where(rest.beyond, ring.times(weights, skips), ring.zero)
                vague = ring.plus(vague, rest.added.forward(ring, g, self.seen(ring, rest, x)))
        return Up(ring.plus(message, self.spread(ring, vague)), terms, sums, vague)

    def seen(self, ring: Ring, rest: Rest, x: Weights) -> Weights:
        """The weights of a term, without that of numbers which are not known."""
        found = np.full(len(x), ring.zero)
        found[rest.nonzero], found[rest.zero] = x[rest.nonzero], x[rest.zero]
        return found

    def spread(self, ring: Ring, vague: Weights) -> Weights:
        """By the total `[G]`, what is spread evenly over all but the right one."""
        found = self.but_one(ring, ring.gathered(self._own, vague[self._inside], len(self.counts)))
        found = ring.plus(found, ring.total(vague[self._inside[self._own < 0]]))
        found = ring.times(found, ring.weights(-np.log(self.writer.largest)))
        beyond = ring.total(vague[self._outside])
        found = ring.plus(found, ring.times(beyond, ring.weights(-np.log(self.writer.largest + 1))))
        return np.asarray(ring.times(found, ring.weights(np.log(self.counts))))

    def but_one(self, ring: Ring, x: Weights) -> Weights:
        """By place, all weights `[G]` together without that of one of the numbers there."""
        return np.asarray(ring.plus(ring.others(x), ring.times(x, ring.weights(self._log_others))))

    def evenly(self, ring: Ring, total: Weights) -> Weights:
        """By the sum of all terms `[F]`, what is left to a total that is anything but the right one."""
        total = ring.times(total, ring.weights(np.log(self.counts)))
        everything = ring.total(total)
        found = np.full(points_of(self._chain.support).shape, everything)
        found = np.asarray(ring.times(found, ring.weights(-np.log(self.writer.largest + 1))))
        others = np.append(self.but_one(ring, total), everything)[self._own]
        found[self._inside] = ring.times(others, ring.weights(-np.log(self.writer.largest)))
        return found

    def downward(self, ring: Ring, up: Up, total: Weights) -> Down:
        """What is said of each term by what is left to the total `[G]`."""
        skips, evenly = ring.weights(self._log_skips), self.evenly(ring, total)
        left = ring.times(ring.picked(total, self._target), ring.weights(self._log_shares))
        to_all = ring.gathered(self._source, left, len(evenly))
        to_all = ring.plus(to_all, ring.times(ring.weights(self._log_anything), evenly))
        skipped, to_rests, direct = ring.zero, [], []
        for rest, x, weights in zip(self._rests, up.terms, up.sums.rests, strict=True):
            g = ring.times(weights[rest.source], skips)
            here = ring.picked(total, rest.written)
            to_term, to_rest = np.full(len(x), ring.zero), np.full(len(weights), ring.zero)
            to_term[rest.nonzero] = ring.total(ring.times(g, here))
            to_rest[rest.source] = ring.times(here, ring.total(x[rest.nonzero]))
            skipped = ring.plus(skipped, ring.total(ring.times(to_term, x)[rest.nonzero]))
            if len(rest.zero):
                here = evenly[rest.all]
                to_term[rest.zero] = ring.total(ring.times(g, here))
                to_rest[rest.source] = ring.plus(to_rest[rest.source], ring.times(here, x[rest.zero]))
            if rest.beyond.any():
                g = np.where(rest.beyond, ring.times(weights, skips), ring.zero)
                to_term = ring.plus(to_term, self.seen(ring, rest, rest.added.to_two(ring, evenly, g)))
                to_beyond = rest.added.to_one(ring, evenly, self.seen(ring, rest, x))
                to_rest[rest.beyond] = to_beyond[rest.beyond]
            direct.append(to_term)
            to_rests.append(ring.times(to_rest, skips))
        messages = self._chain.backward(ring, up.sums, to_all, to_rests)
        messages = [
            np.asarray(ring.plus(one, two))[turned]
            for one, two, turned in zip(messages, direct, self._turned, strict=True)
        ]
        kinds = np.full(len(KINDS), ring.zero)
        made = ring.gathered(self._kinds, ring.times(up.sums.before.all[self._source], left), len(KINDS))
        kinds[RIGHT : SWAPPED + 1] = made[RIGHT : SWAPPED + 1]
        kinds[SKIPPED] = skipped
        spread = ring.times(up.vague, evenly)
        kinds[UNSEEN] = ring.total(spread[self._unknown])
        spread[self._unknown] = ring.zero
        kinds[ANYTHING] = ring.total(spread)
        return Down(messages, kinds)


def chain_of(terms: Sequence[tuple[int, Support]]) -> LeaveOneOut:
    """The sums of terms with signs."""
    return LeaveOneOut([times(sign, support) for sign, support in terms])


def times(sign: int, support: Support) -> Support:
    """The numbers with a sign; a range ascends again, what is unknown stays."""
    if sign > 0:
        return support
    if isinstance(support, range):
        return range(1 - support.stop, 1 - support.start)
    return np.where(support == UNKNOWN, UNKNOWN, -support)

"""The exact posterior of all numbers on a sheet, from what a reader says of each and from its sums; and what to say
of the sheet.

A sheet has fields x₁ … x_m and formulas: a total is the sum of some other fields, with signs. Each field is a term of
at most one formula and the total of at most one, so formulas and fields make a forest. With

- λ(x), the reader's likelihood of a number: its probability, divided by the prior that the reader had learned;
- no preference among the numbers of a field that is no total;
- P(t | terms), the writer's channel, for each total,

the joint posterior is ∝ Π λ(x) · Π P(t | terms). In a forest sums over all but one field are done exactly, formula by
formula. From the leaves to the roots, what the terms say of a total is the convolution of their messages, put through
the channel; back from the roots, what a total says of a term is the correlation with the messages of the others. A
skipped term needs the convolution without each term, which is made of running sums from both ends (`LeaveOneOut`).

The writer's channel is

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
range. A form should leave room for its sums, or this tells nothing of them. With halves numbers are in units of ½:
`f ± 10` is 20 units, and the digits that change places are those of the whole part.

The most probable numbers of all fields together are found by bounds: numbers that are together as probable as some that
are known have each a marginal as probable, and likelihoods that are as probable. If that leaves more than `LISTED`
combinations, the same messages with the best alternative instead of the sum of all give a better start; if there are
still more, what they gave is taken.

Sheets of small numbers are worked out over all numbers of each range. Where there are too many, each field has a list
of candidates, equal partial sums are merged, and one more value stands for all other numbers, equally probable. The
lists are as long as leaves these sums few enough (`FEWER`). A total has the sums of its terms' candidates among its
own, unless that is too much even for one candidate of each field. With a term that is none of its candidates every
total is equally probable: the term may be what is lacking.

What to say of a sheet follows from its posterior. If the most probable numbers of all fields have the probability
`SURE` together, they are taken: the sheet adds up as it is read, or with cells corrected. If a total is wrong with the
probability `WRONG`, whatever the numbers are, that is said, and is less than `SURE`: a person looks at such a sheet in
any case. Otherwise it is doubtful. Of a sheet that is not taken a person should look at the fewest cells that settle
it: the smallest set C of fields with

    Σ_c  max { P(x) : x has the numbers c in C }  ≥  SETTLED,

where the sum is over what may be seen in C. It is the probability that the most probable numbers, once those in C are
known, are right. All sets are tried, the smallest first, on all combinations of plausible numbers; of those that are as
small the one that settles most is taken. The combinations that are left out only make the sum smaller. If there are too
many combinations or sets, the most doubtful cells are taken, so many that the doubts of all others add up to
1 − `SETTLED` at most: then the others' most probable numbers are right with at least that probability.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic import sumproduct as sp
from sumnist.arithmetic.known import Support, found, points_of
from sumnist.arithmetic.sumproduct import Added, Chain, Ring, Sums, Weights
from sumnist.arithmetic.values import Values
from sumnist.errors import EquationError, NumberError
from sumnist.sheets.layout import Formula, in_order

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
STATES = 2**17
"""The most pairs of partial sums and candidates that are looked at: tens of milliseconds and some 100 MB."""
DENSE = 2**13
"""Numbers of a range, at most, of which all are looked at: with more, lists of candidates are faster."""
FEWER = (None, 48, 16, 8, 5, 3, 2, 1)
"""Candidates of each field, at most, that are tried in turn until there are few enough partial sums; None is all."""
LISTED = 2**15
"""Combinations of numbers that are looked at one by one: some ten milliseconds."""
PAIRS = 2**21
"""Combinations, times numbers of the next field, that are looked at on the way."""

Whole = NDArray[np.int64]
Evidence = NDArray[Any] | Values
"""Of a field: log-probabilities of 0..largest `[largest + 1]`, −∞ allowed, or candidates; normalised or not."""


# The writer's channel.


class Slips(NamedTuple):
    """What may be written for sums `[F]`, but for skipped terms.

    Attributes:
        written: `[F, m]`, −1 if it cannot be.
        shares: Its probability, `[F, m]`.
        kinds: Of each column its place in `KINDS`, `[m]`; the first one is the right total.
        anything: The probability of "anything", `[F]`, still without that of skipped terms which cannot be.
    """

    written: Whole
    shares: Weights
    kinds: Whole
    anything: Weights


@dataclass(frozen=True)
class Writer:
    """Who adds `terms` numbers and writes a total of 0..`largest`.

    Attributes:
        largest: The largest total that there is room for, 1 or more.
        terms: How many numbers are added.
        halves: Whether numbers are in units of ½.
        mistake: ε, the probability of a mistake.

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

    def has_room(self, sums: Whole) -> NDArray[np.bool_]:
        """Whether they can be written."""
        return (sums >= 0) & (sums <= self.largest)

    @property
    def skips(self) -> float:
        """The probability that one certain term is skipped."""
        return self.mistake * WEIGHTS[SKIPPED] / self.terms

    def slips(self, sums: Whole) -> Slips:
        """What may be written instead of sums `[F]`, but for skipped terms."""
        unit, column = 2 if self.halves else 1, sums[:, None]
        carries = [unit * 10**place for place in range(1, len(str(self.largest))) if unit * 10**place <= self.largest]
        parts = [(RIGHT, column, np.full((len(sums), 1), 1 - self.mistake))]
        for kind, steps in (OFF_BY_ONE, range(1, unit + 1)), (CARRY, carries):
            away = np.array([sign * step for step in steps for sign in (1, -1)], np.int64)
            share = self.mistake * WEIGHTS[kind] / max(1, len(away))
            parts.append((kind, column + away, np.full((len(sums), len(away)), share)))
        # Digits of the whole part that have changed places.
        whole = np.maximum(column, 0) // unit
        place = 10 ** np.arange(max(0, len(str(whole.max(initial=0))) - 1))
        high, low, there = whole // (10 * place) % 10, whole // place % 10, whole >= 10 * place
        possible = there & (high != low) & ((low != 0) | (whole >= 100 * place))
        swapped = np.where(possible, column + unit * 9 * place * (low - high), -1)
        among = there / np.maximum(1, there.sum(1, keepdims=True))
        parts.append((SWAPPED, swapped, self.mistake * WEIGHTS[SWAPPED] * among))
        written = np.concatenate([part for _, part, _ in parts], 1)
        written = np.where(self.has_room(written), written, -1)
        shares = np.where(written < 0, 0.0, np.concatenate([share for *_, share in parts], 1))
        kinds = np.repeat([kind for kind, *_ in parts], [part.shape[1] for _, part, _ in parts])
        # What is not used by alternatives that can be; as a sum it is above zero even where `1 − Σ` rounds to less.
        anything = self.mistake * (1 - WEIGHTS[SKIPPED]) - shares[:, 1:].sum(1)
        anything = np.maximum(anything, self.mistake * WEIGHTS[ANYTHING])
        anything += np.where(self.has_room(sums), 0.0, 1 - self.mistake)
        return Slips(written, shares, kinds, anything)

    def kinds(self, written: Whole, terms: Whole, listed: Whole | None = None) -> Weights:
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
        listed = np.empty(0, np.int64) if listed is None else listed
        rest = written == UNKNOWN
        counts = np.where(rest, self.largest + 1.0 - len(listed), 1.0)

        def hits(made: Whole) -> NDArray[np.bool_]:
            """Whether totals `[N, m]` that can be are what is written."""
            same = made == written[:, None]
            if rest.any():
                same |= rest[:, None] & ~np.isin(made, listed)
            return np.asarray(same & self.has_room(made))

        ways = np.zeros((len(written), len(KINDS)))
        shares = slips.shares * hits(slips.written)
        for kind in RIGHT, OFF_BY_ONE, CARRY, SWAPPED:
            ways[:, kind] = shares[:, slips.kinds == kind].sum(1)
        without = sums[:, None] - terms
        possible = (terms != 0) & self.has_room(without)
        ways[:, SKIPPED] = self.skips * (possible & hits(without)).sum(1)
        room = self.has_room(sums)
        others = (counts - (room & hits(sums[:, None])[:, 0])) / (self.largest + ~room)
        ways[:, ANYTHING] = (slips.anything + self.skips * (~possible).sum(1)) * others
        ways[~known] = 0
        ways[~known, UNSEEN] = counts[~known] / (self.largest + 1)
        return ways


# The messages of one formula.


class Around(NamedTuple):
    """Sums of the terms from the first on, and from the last on without the first; weights of the sums of what is
    behind each term, and of all without it."""

    before: Sums
    behind: Sums
    after: list[Weights]
    rests: list[Weights]


class LeaveOneOut:
    """The sum of terms with a sign and given supports.

    Before and behind each term there is a running sum; the two together are the sum without the term.

    Attributes:
        terms: The supports with their signs; a range ascends again, what is unknown stays.
        turned: How the weights of each are brought into that order, and back.
        support: Of the sum of all.
        rests: Of the sum of all but each one.

    Raises:
        TooManyError: There are more partial sums than are looked at.
    """

    def __init__(self, terms: Sequence[tuple[int, Support]]) -> None:
        self.terms: list[Support] = []
        self.turned = [slice(None, None, -1 if sign < 0 and isinstance(one, range) else 1) for sign, one in terms]
        for sign, one in terms:
            if isinstance(one, range):
                self.terms.append(one if sign > 0 else range(1 - one.stop, 1 - one.start))
            else:
                self.terms.append(np.where(one == UNKNOWN, UNKNOWN, sign * one))
        self.up, self.down = (Chain(some, UNKNOWN, STATES) for some in (self.terms, self.terms[:0:-1]))
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
        """What is left to each term, given what is left to the sum of all and to those of all but each one: the
        derivative, with nothing subtracted."""
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


class Rest(NamedTuple):
    """One term, and the sum g of the others.

    Attributes:
        written, source: Which totals g can be written as, and their places in its support.
        nonzero, zero, known: Which of the term's numbers are so.
        all: The places of g in the support of the sum of all.
        beyond: Whether g is known and cannot be written.
        added: The sum of g and the term.
    """

    written: Whole
    source: Whole
    nonzero: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    known: NDArray[np.bool_]
    all: Whole
    beyond: NDArray[np.bool_]
    added: Added


class Messages:
    """One formula of a writer: from its terms to its total, and back, through all that the writer may have done.

    A total is made of the sum f of all terms (right, off by one, carry, swapped, anything), or of the sum g of all but
    one (skipped). Where g cannot be written, or the term is zero, skipping is "anything" instead, which needs f again:
    the value of every other total, spread evenly.

    Args:
        writer: Who adds.
        chain: The sums of the terms.
        total: The numbers that the total may be. The last of points may be `UNKNOWN`, all others.
        counts: How many numbers each of these stands for.
    """

    def __init__(self, writer: Writer, chain: LeaveOneOut, total: Support, counts: Weights) -> None:
        self.writer, self.chain, self.total, self.counts = writer, chain, total, counts
        sums = points_of(chain.support)
        known = sums != UNKNOWN
        slips, room = writer.slips(np.where(known, sums, 0)), known & writer.has_room(sums)
        self._source, column = np.nonzero((slips.written >= 0) & known[:, None])
        self._target, self._kinds = self.places(slips.written[self._source, column]), slips.kinds[column]
        with np.errstate(divide="ignore"):
            self._log_shares = np.log(slips.shares[self._source, column])
            self._log_anything = np.log(np.where(known, slips.anything, 1.0))
            self._log_skips = np.log(writer.skips)
            self._log_others = np.log1p(-1 / counts)  # of the numbers in one place all but one
        self._unknown, self._inside, self._outside = (np.flatnonzero(which) for which in (~known, room, ~room))
        self._own = self.places(sums[self._inside])
        self._rests = [self.rest(*both) for both in zip(chain.terms, chain.rests, strict=True)]

    def places(self, totals: Whole) -> Whole:
        """Where totals that can be written are among those of the field; −1 if nowhere."""
        if isinstance(self.total, range):
            return totals - self.total.start
        rest = len(self.total) - 1 if self.total[-1] == UNKNOWN else -1
        index = found(self.total, totals)
        return np.where(index < 0, rest, index)

    def rest(self, term: Support, rest: Support) -> Rest:
        """One term, and the sum of the others."""
        numbers, sums = points_of(term), points_of(rest)
        room, known, added = self.writer.has_room(sums), numbers != UNKNOWN, Added(rest, term, UNKNOWN, STATES)
        source, beyond = np.flatnonzero(room), ~room & (sums != UNKNOWN)
        if beyond.any():
            added.support  # noqa: B018 (its table is made now, or refused)
        all_ = found(self.chain.support, sums[source])
        return Rest(self.places(sums[source]), source, known & (numbers != 0), numbers == 0, known, all_, beyond, added)

    def upward(self, ring: Ring, terms: Sequence[Weights]) -> Up:
        """What is said of the total by what is known of its terms."""
        terms = [x[turned] for x, turned in zip(terms, self.chain.turned, strict=True)]
        size, skips = len(self.counts), ring.weights(self._log_skips)
        sums = self.chain.sums(ring, terms)
        message = ring.gathered(
            self._target, ring.times(sums.before.all[self._source], ring.weights(self._log_shares)), size
        )
        vague = ring.times(sums.before.all, ring.weights(self._log_anything))
        for rest, x, weights in zip(self._rests, terms, sums.rests, strict=True):
            g = ring.times(weights[rest.source], skips)
            skipped = ring.gathered(rest.written, ring.times(g, ring.total(x[rest.nonzero])), size)
            message = ring.plus(message, skipped)
            if rest.zero.any():
                vague[rest.all] = ring.plus(vague[rest.all], ring.times(g, x[rest.zero]))
            if rest.beyond.any():
                g = np.where(rest.beyond, ring.times(weights, skips), ring.zero)
                vague = ring.plus(vague, rest.added.forward(ring, g, np.where(rest.known, x, ring.zero)))
        # What is vague is spread evenly over all totals but the right one.
        spread = self.but_one(ring, ring.gathered(self._own, vague[self._inside], size))
        spread = ring.plus(spread, ring.total(vague[self._inside[self._own < 0]]))
        spread = ring.times(spread, ring.weights(-np.log(self.writer.largest)))
        beyond = ring.total(vague[self._outside])
        spread = ring.plus(spread, ring.times(beyond, ring.weights(-np.log(self.writer.largest + 1))))
        spread = ring.times(spread, ring.weights(np.log(self.counts)))
        return Up(ring.plus(message, spread), terms, sums, vague)

    def but_one(self, ring: Ring, x: Weights) -> Weights:
        """By place, all weights `[G]` together without that of one of the numbers there."""
        return np.asarray(ring.plus(ring.others(x), ring.times(x, ring.weights(self._log_others))))

    def evenly(self, ring: Ring, total: Weights) -> Weights:
        """By the sum of all terms `[F]`, what is left to a total that is anything but the right one."""
        total = ring.times(total, ring.weights(np.log(self.counts)))
        everything = ring.total(total)
        left = np.full(points_of(self.chain.support).shape, everything)
        left = np.asarray(ring.times(left, ring.weights(-np.log(self.writer.largest + 1))))
        others = np.append(self.but_one(ring, total), everything)[self._own]
        left[self._inside] = ring.times(others, ring.weights(-np.log(self.writer.largest)))
        return left

    def downward(self, ring: Ring, up: Up, total: Weights) -> tuple[list[Weights], Weights]:
        """What is said of each term by what is left to the total `[G]`, and how much of that is by each kind."""
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
            if rest.zero.any():
                here = evenly[rest.all]
                to_term[rest.zero] = ring.total(ring.times(g, here))
                to_rest[rest.source] = ring.plus(to_rest[rest.source], ring.times(here, x[rest.zero]))
            if rest.beyond.any():
                g = np.where(rest.beyond, ring.times(weights, skips), ring.zero)
                to_known = np.where(rest.known, rest.added.to_two(ring, evenly, g), ring.zero)
                to_term = ring.plus(to_term, to_known)
                to_beyond = rest.added.to_one(ring, evenly, np.where(rest.known, x, ring.zero))
                to_rest[rest.beyond] = to_beyond[rest.beyond]
            direct.append(to_term)
            to_rests.append(ring.times(to_rest, skips))
        through = self.chain.backward(ring, up.sums, to_all, to_rests)
        messages = [
            np.asarray(ring.plus(one, two))[turned]
            for one, two, turned in zip(through, direct, self.chain.turned, strict=True)
        ]
        kinds = ring.gathered(self._kinds, ring.times(up.sums.before.all[self._source], left), len(KINDS))
        kinds[SKIPPED] = skipped
        spread = ring.times(up.vague, evenly)
        kinds[UNSEEN] = ring.total(spread[self._unknown])
        spread[self._unknown] = ring.zero
        kinds[ANYTHING] = ring.total(spread)
        return messages, kinds


# What is read of a field.


class Reading(NamedTuple):
    """What a reader says of a field: numbers, the logarithm of λ of each, and how many numbers each stands for."""

    support: Support
    log_likelihoods: Weights
    counts: Weights


def candidates(evidence: Evidence, largest: int, count: int | None = None) -> tuple[dict[int, float], float]:
    """The candidates of a field with their likelihoods, and that of all other numbers together; with a `count` the
    least probable of more candidates become others."""
    if isinstance(evidence, Values):
        kept = {int(value): share for value, share in evidence.probabilities.items()}
        other = evidence.other if len(kept) <= largest else 0.0
    else:
        listed, other = np.flatnonzero(evidence > sp.IMPOSSIBLE), 0.0
        kept = dict(zip(listed.tolist(), np.exp(evidence[listed] - evidence.max()).tolist(), strict=True))
    best = sorted(kept.items(), key=lambda one: -one[1])
    if count is None or len(kept) <= count:
        return kept, other
    return dict(best[:count]), other + sum(share for _, share in best[count:])


def dense_reading(evidence: Evidence, largest: int) -> Reading:
    """A reading of all numbers of a field."""
    if isinstance(evidence, Values):
        listed, other = candidates(evidence, largest)
        likelihoods = np.full(largest + 1, other / max(1, largest + 1 - len(listed)))
        likelihoods[list(listed)] = list(listed.values())
        with np.errstate(divide="ignore"):
            evidence = np.asarray(np.log(likelihoods))
    return Reading(range(largest + 1), evidence, np.ones(largest + 1))


def listed_reading(listed: Mapping[int, float], other: float, largest: int) -> Reading:
    """A reading of candidates, and of all other numbers as one."""
    support, shares = sorted(listed), [listed[value] for value in sorted(listed)]
    counts, rest = [1.0] * len(support), largest + 1 - len(listed)
    if other > 0 and rest > 0:
        support, shares, counts = [*support, UNKNOWN], [*shares, other / rest], [*counts, float(rest)]
    with np.errstate(divide="ignore"):
        return Reading(np.array(support, np.int64), np.log(shares), np.array(counts))


# The form.


class Check:
    """The sums of a form; made once, and asked for each sheet.

    Args:
        largest: Of each field the largest number; the least is 0.
        formulas: Each field is a term of at most one of them, and the total of at most one.
        halves: The totals in units of ½.
        mistake: The probability that the writer adds up wrongly, for each formula.

    Raises:
        LayoutError: The formulas make no forest, or name a field that there is not.
        NumberError: `mistake` is no probability.

    Examples:
        >>> check = Check({"a": 9, "b": 9, "sum": 18}, [Formula.of("sum = a + b")])
        >>> sure = {"a": Values({4: 0.6, 9: 0.4}, 0.0), "b": Values({5: 1.0}, 0.0), "sum": Values({14: 1.0}, 0.0)}
        >>> check.posterior(sure).values
        {'a': 9, 'b': 5, 'sum': 14}
    """

    def __init__(
        self, largest: Mapping[str, int], formulas: Sequence[Formula], halves: Collection[str] = (),
        mistake: float = MISTAKE,
    ) -> None:  # fmt: skip
        if not 0 <= mistake <= 1:
            raise NumberError(f"A probability of a mistake of {mistake} was given: expected one of 0 to 1")
        self.largest, self.formulas = dict(largest), {one.total: one for one in in_order(formulas, largest)}
        self.order = [*(name for name in largest if name not in self.formulas), *self.formulas]
        self.writers = {
            total: Writer(self.largest[total], len(formula.terms), total in halves, mistake)
            for total, formula in self.formulas.items()
        }
        self.parents = {name: formula.total for formula in formulas for _, name in formula.terms}
        # The fields of trees whose ranges are all small: all their numbers are looked at.
        small: dict[str, bool] = {}
        for name in self.order:
            terms = [term for _, term in self.formulas[name].terms] if name in self.formulas else []
            spans = [self.largest[name], sum(self.largest[term] for term in terms)]
            small[name] = max(spans) < DENSE and all(small[term] for term in terms)
        for name in reversed(self.order):
            small[name] = small[self.parents.get(name, name)]
        self.ranges = {name: range(self.largest[name] + 1) for name in self.order if small[name]}
        self._messages = {
            total: Messages(
                self.writers[total], LeaveOneOut([(sign, self.ranges[name]) for sign, name in formula.terms]),
                self.ranges[total], np.ones(self.largest[total] + 1),
            )
            for total, formula in self.formulas.items() if total in self.ranges
        }  # fmt: skip

    def posterior(self, evidence: Mapping[str, Evidence]) -> Posterior:
        """What is known of all fields, by what is read in each.

        Args:
            evidence: For each field.

        Returns:
            The posterior.

        Raises:
            EquationError: No numbers explain what is read.
        """
        readings, messages = self.prepared(evidence)
        for ring in sp.PROBABILITIES, sp.LOG_SUM:
            with suppress(sp.Underflow):
                return Posterior(self, readings, messages, Passed(self, ring, readings, messages))
        raise EquationError(
            "No numbers explain what is read: expected evidence under which some are possible; give every "
            "number a probability above 0, or the writer a probability of a mistake"
        )

    def prepared(self, evidence: Mapping[str, Evidence]) -> tuple[dict[str, Reading], dict[str, Messages]]:
        """The reading of each field, and the messages of each formula, with as many candidates as can be."""
        for count in FEWER:
            with suppress(sp.TooManyError):
                return self.prepared_with(evidence, count)
        return self.prepared_with(evidence, 1, sums=False)

    def prepared_with(
        self, evidence: Mapping[str, Evidence], count: int | None, sums: bool = True
    ) -> tuple[dict[str, Reading], dict[str, Messages]]:
        """The same with `count` candidates of each field; of a total also those that are sums, or not.

        Raises `TooManyError` with too many partial sums: never if there is one candidate of each field, without sums.
        """
        readings: dict[str, Reading] = {}
        messages = dict(self._messages)
        for name in self.order:
            largest = self.largest[name]
            if name in self.ranges:
                readings[name] = dense_reading(evidence[name], largest)
                continue
            listed, other = candidates(evidence[name], largest, count)
            if name not in self.formulas:
                readings[name] = listed_reading(listed, other, largest)
                continue
            chain = LeaveOneOut([(sign, readings[term].support) for sign, term in self.formulas[name].terms])
            if other and sums:
                made, rest = points_of(chain.support), largest + 1 - len(listed)
                new = set(made[self.writers[name].has_room(made)].tolist()) - set(listed)
                listed |= dict.fromkeys(new, other / rest)
                other *= 1 - len(new) / rest
            reading = readings[name] = listed_reading(listed, other, largest)
            messages[name] = Messages(self.writers[name], chain, reading.support, reading.counts)
        return readings, messages


class Passed:
    """Messages through the forest, up and down, in a ring.

    Attributes:
        logs: For each field the log-weights of its numbers `[G]`, normalised by the best or by all.
        kinds: By total, the probability of each kind; with sums only.
        log_evidence: The logarithm of the weight of all that may be, or of the best of it.

    Raises:
        sp.Underflow: Nothing is possible, or all is too improbable for the ring.
    """

    def __init__(
        self, check: Check, ring: Ring, readings: Mapping[str, Reading], messages: Mapping[str, Messages]
    ) -> None:
        likelihoods: dict[str, Weights] = {}
        up: dict[str, Up] = {}
        ups: dict[str, Weights] = {}
        self.log_evidence = 0.0
        for name in check.order:
            reading = readings[name]
            level = float(reading.log_likelihoods.max())
            likelihoods[name] = ring.weights(reading.log_likelihoods - level)
            if name in messages:
                up[name] = messages[name].upward(ring, [ups[term] for _, term in check.formulas[name].terms])
                message, more = ring.normalised(up[name].message)
            else:
                message, more = ring.normalised(ring.weights(np.log(reading.counts)))
            ups[name], most = ring.normalised(ring.times(likelihoods[name], message))
            self.log_evidence += level + more + most
        left: dict[str, Weights] = {}
        self.logs: dict[str, Weights] = {}
        self.kinds: dict[str, Weights] = {}
        for name in reversed(check.order):
            if name in left:
                own, _ = ring.normalised(ring.times(ups[name], left[name]))
                total, _ = ring.normalised(ring.times(likelihoods[name], left[name]))
            else:
                own, total = ups[name], likelihoods[name]
            whole = float(ring.logs(np.asarray(ring.total(own))))
            self.log_evidence += 0.0 if name in left else whole
            self.logs[name] = ring.logs(own) - whole
            if name in messages:
                down, kinds = messages[name].downward(ring, up[name], total)
                self.kinds[name] = np.exp(ring.logs(ring.normalised(kinds)[0]))
                self.kinds[name] /= self.kinds[name].sum()
                for (_, term), message in zip(check.formulas[name].terms, down, strict=True):
                    left[term], _ = ring.normalised(message)


# What is known of a sheet.


class Joint(NamedTuple):
    """The probabilities of some numbers of all fields, `[N]`, and by total of the ways to it, `[N, kinds]`."""

    probabilities: Weights
    ways: Mapping[str, Weights]


class Posterior:
    """What is known of all fields of a sheet.

    Attributes:
        check: The form.
        log_evidence: log Σ Π λ · Π P(total | terms), over all numbers of all fields.
        numbers: Of each field the numbers that it may have, and their probabilities; `UNKNOWN`, the last one, is any
            other.
        read: The most probable number of each field by itself; None if it is none of the candidates.
        kinds: By the total of each formula, the probability that the writer came to it in each way.
        values: The most probable numbers of all fields together; None for one that is none of the candidates.
        probability: Of these, whatever the writer did.
    """

    def __init__(
        self, check: Check, readings: Mapping[str, Reading], messages: Mapping[str, Messages], passed: Passed
    ) -> None:
        self.check, self.log_evidence = check, passed.log_evidence
        self._readings, self._messages = readings, messages
        self._logs = {name: one.log_likelihoods + np.log(one.counts) for name, one in readings.items()}
        self.numbers = {name: (points_of(readings[name].support), np.exp(passed.logs[name])) for name in check.largest}
        self.read = {name: plain(one[0][self._logs[name].argmax()]) for name, one in self.numbers.items()}
        self.kinds: dict[str, dict[Kind, float]] = {
            total: dict(zip(KINDS, shares.tolist(), strict=True)) for total, shares in passed.kinds.items()
        }
        best, self.probability = self._best()
        self.values = {name: plain(number[0]) for name, number in best.items()}

    def joint(self, values: Mapping[str, Whole]) -> Joint:
        """The probability that all fields together have certain numbers, `[N]` for each; `UNKNOWN` is any other one."""
        logs, ways = np.full(len(next(iter(values.values()))), -self.log_evidence), dict[str, Weights]()
        for name, reading in self._readings.items():
            index = found(reading.support, values[name])
            logs += np.append(reading.log_likelihoods, sp.IMPOSSIBLE)[index]
            if name in self.check.formulas:
                terms = [
                    np.where(values[term] == UNKNOWN, UNKNOWN, sign * values[term])
                    for sign, term in self.check.formulas[name].terms
                ]
                listed = points_of(reading.support)
                writer = self.check.writers[name]
                ways[name] = writer.kinds(values[name], np.stack(terms, 1), listed[listed != UNKNOWN])
                with np.errstate(divide="ignore"):
                    logs += np.log(ways[name].sum(1))
            else:
                logs += np.log(reading.counts[index])
        return Joint(np.exp(logs), ways)

    def listed(self, least: float) -> tuple[dict[str, Whole], Weights] | None:
        """Numbers of all fields together: all that are at least so probable, and some more.

        They have a bound as probable: what is read of them, as if the writer could not but come to these totals; and
        each of them is as probable by itself.

        Returns:
            For each field its numbers `[N]`, and the probabilities `[N]`; None if there are more than `LISTED`.
        """
        least *= 1 - sp.ROUNDING * np.sqrt(np.finfo(np.float64).eps)
        fields = []
        for name in self._readings:
            shares = self.numbers[name][1]
            likely = np.flatnonzero(shares >= min(least, shares.max()))
            fields.append((len(likely), name, likely, self._logs[name][likely]))
        bound = np.full(1, sum(logs.max() for *_, logs in fields) - self.log_evidence)
        values: dict[str, Whole] = {}
        with np.errstate(divide="ignore"):
            log_least = np.log(least)
        for _, name, likely, logs in sorted(fields, key=lambda one: one[:2]):
            if len(bound) * len(logs) > PAIRS:
                return None
            both = bound[:, None] + (logs - logs.max())
            before, chosen = np.nonzero(both >= log_least)
            if len(before) > LISTED:
                return None
            bound = both[before, chosen]
            values = {other: numbers[before] for other, numbers in values.items()}
            values[name] = self.numbers[name][0][likely[chosen]]
        return values, self.joint(values).probabilities

    def _best(self) -> tuple[dict[str, Whole], float]:
        """The most probable numbers of all fields together, and how probable they are: none are that have one of a
        lower probability by itself."""
        best = {name: numbers[[shares.argmax()]] for name, (numbers, shares) in self.numbers.items()}
        (least,) = self.joint(best).probabilities
        if least >= 0.5:  # no other number is as probable, even by itself
            return best, float(least)
        if (listed := self.listed(least)) is None:
            best = self._best_alternatives()
            (least,) = self.joint(best).probabilities
            if (listed := self.listed(least)) is None:
                return best, float(least)
        place = int(listed[1].argmax())
        return {name: numbers[place : place + 1] for name, numbers in listed[0].items()}, float(listed[1][place])

    def _best_alternatives(self) -> dict[str, Whole]:
        """The numbers of the most probable alternative; of equally probable ones the least number of each field."""
        readings, values = dict(self._readings), dict[str, Whole]()
        margin = sp.ROUNDING * np.finfo(np.float64).eps * max(1, abs(self.log_evidence))
        while True:
            tied = None
            for name, logs in Passed(self.check, sp.LOG_MAX, readings, self._messages).logs.items():
                best = np.flatnonzero(logs >= -margin)
                values[name] = self.numbers[name][0][best[:1]]
                tied = name if len(best) > 1 and tied is None else tied
            if tied is None:
                return values
            kept = np.where(self.numbers[tied][0] == values[tied], readings[tied].log_likelihoods, sp.IMPOSSIBLE)
            readings[tied] = readings[tied]._replace(log_likelihoods=kept)


def plain(value: np.int64) -> int | None:
    """A number; None if it is not known."""
    return None if value == UNKNOWN else int(value)


# What to say of a sheet.

Outcome = Literal["adds up", "corrected", "does not add up", "doubtful", "blank"]
SURE = 0.995
"""The probability of all numbers together from which on they are taken: one sheet in two hundred may be wrong."""
WRONG = 0.9
"""The probability of a wrong total from which on it is told: with one such sheet in ten all may be right."""
SETTLED = 0.995
"""The probability that cells settle a sheet. It may be lower: a sheet that was looked at is judged again."""
TRIED = 2**24
"""Combinations of numbers, times sets of cells, that are tried: about a second."""
RARE = 1e-4
"""Combinations that are less probable than so much of the doubt that is allowed are not looked for, if there are many
likelier ones not even some that are more probable."""
LEFT = 0.1
"""The share of the doubt that is allowed which the least probable combinations that were found may have: left out."""
SHOWN = 0.01
"""The probability from which on a candidate of a doubtful cell is shown; the two best ones always are."""


class Correction(NamedTuple):
    """A cell whose number, by the sums, is not what was read."""

    field: str
    read: int | None
    value: int
    probability: float
    """Of the value, whatever all others are."""


class WrongTotal(NamedTuple):
    """A total that is not the sum of its terms, and how the writer most probably came to it."""

    field: str
    written: int
    sum: int
    kind: Kind
    probability: float
    """Of the kind, if these are the numbers."""


class Cell(NamedTuple):
    """A cell to look at, and what it may be, the most probable first; None is any other number."""

    field: str
    candidates: tuple[tuple[int | None, float], ...]


@dataclass(frozen=True)
class Verdict:
    """What to say of a sheet.

    Attributes:
        outcome: "adds up" as it is read; "corrected" to add up; "does not add up", whatever its cells are; or
            "doubtful".
        probability: Of all values together.
        values: The most probable numbers of all fields together; None for one that is not known.
        corrections: The cells that are read otherwise, if the sheet is not doubtful.
        wrong: The totals that are wrong, if the sheet does not add up.
        look: The fewest cells that settle it, if they are not sure.
    """

    outcome: Outcome
    probability: float
    values: Mapping[str, int | None]
    corrections: tuple[Correction, ...] = ()
    wrong: tuple[WrongTotal, ...] = ()
    look: tuple[Cell, ...] = ()


def verdict(posterior: Posterior) -> Verdict:
    """What to say of a sheet, by the posterior of its numbers."""
    values, probability = solved(posterior)
    known = {name: value for name, value in values.items() if value is not None}
    totals = wrong_totals(posterior, known) if len(known) == len(values) else ()
    is_sure = len(known) == len(values) and probability >= SURE
    look = () if is_sure else cells(posterior)
    is_wrong = bool(totals) and (is_sure or max(1 - posterior.kinds[one.field]["right"] for one in totals) >= WRONG)
    corrections = []
    for name, value in known.items() if is_sure else ():
        if (read := posterior.read[name]) != value:
            numbers, shares = posterior.numbers[name]
            # One that is implied is as probable as all numbers together.
            share = float(max(shares[numbers == value].sum(), probability))
            corrections.append(Correction(name, read, value, share))
    outcome: Outcome = "corrected" if corrections else "adds up"
    outcome = "does not add up" if is_wrong else outcome if is_sure else "doubtful"
    return Verdict(outcome, probability, values, tuple(corrections), totals if is_wrong else (), look)


def solved(posterior: Posterior) -> tuple[dict[str, int | None], float]:
    """The most probable numbers of all fields, and their probability together; one that is none of its candidates is
    what makes its formula right, if all others there are known and there is room for it."""
    check, values, probability = posterior.check, dict(posterior.values), posterior.probability
    for name in [name for name in values if values[name] is None and name in check.parents]:
        total = check.parents[name]
        signs = {term: sign for sign, term in check.formulas[total].terms}
        known = {one: value for one in (total, *signs) if (value := posterior.values[one]) is not None}
        if len(known) == len(signs):
            own = signs[name] * (known.pop(total) - sum(signs[term] * value for term, value in known.items()))
            if 0 <= own <= check.largest[name] and own not in posterior.numbers[name][0]:
                values[name] = own
                probability *= 1 - check.writers[total].mistake
    return values, probability


def wrong_totals(posterior: Posterior, values: Mapping[str, int]) -> tuple[WrongTotal, ...]:
    """The totals that are not the sums of their terms."""
    found = []
    for total, formula in posterior.check.formulas.items():
        terms = [sign * values[name] for sign, name in formula.terms]
        if sum(terms) != values[total]:
            (ways,) = posterior.check.writers[total].kinds(np.array([values[total]]), np.array([terms]))
            kind, share = KINDS[int(ways.argmax())], float(ways.max() / ways.sum())
            found.append(WrongTotal(total, values[total], sum(terms), kind, share))
    return tuple(found)


def cells(posterior: Posterior) -> tuple[Cell, ...]:
    """The fewest cells that settle a sheet."""
    names = fewest(posterior)
    if names is None:
        doubts = {}
        for name in posterior.check.largest:
            numbers, shares = posterior.numbers[name]
            doubts[name] = 1 - float(shares[numbers != UNKNOWN].max(initial=0.0))
        ordered = sorted(doubts, key=lambda name: -doubts[name])
        left = np.cumsum([doubts[name] for name in reversed(ordered)])
        names = ordered[: max(1, len(ordered) - int((left <= 1 - SETTLED).sum()))]
    return tuple(Cell(name, shown(posterior, name)) for name in posterior.check.largest if name in names)


def shown(posterior: Posterior, name: str) -> tuple[tuple[int | None, float], ...]:
    """What a cell may be."""
    numbers, shares = posterior.numbers[name]
    best = np.argsort(-shares, kind="stable")
    count = max(2, int((shares >= SHOWN).sum()))
    return tuple((plain(numbers[place]), float(shares[place])) for place in best[:count])


def fewest(posterior: Posterior) -> Sequence[str] | None:
    """The smallest set of fields that settles a sheet; None if there are too many combinations or sets."""
    least, listed = RARE * (1 - SETTLED), None
    while listed is None and least < 1:
        listed = posterior.listed(least)
        least *= 10
    if listed is None:
        return None
    values, shares = listed
    order = np.argsort(-shares)
    count = 1 + int((np.cumsum(shares[order]) < shares.sum() - LEFT * (1 - SETTLED)).sum())
    values, shares = {name: numbers[order[:count]] for name, numbers in values.items()}, shares[order[:count]]
    codes = {name: np.unique(numbers, return_inverse=True)[1] for name, numbers in values.items()}
    unknown = {name: numbers == UNKNOWN for name, numbers in values.items()}
    doubtful = [name for name in posterior.check.largest if codes[name].any() or unknown[name].any()]
    for size in range(1, len(doubtful) + 1):
        if comb(len(doubtful), size) * len(shares) > TRIED:
            return None
        sets = list(combinations(doubtful, size))
        found = [right(codes, unknown, shares, chosen) for chosen in sets]
        best = int(np.argmax(found))
        if found[best] >= SETTLED:
            return sets[best]
    return None


def right(
    codes: Mapping[str, NDArray[np.int64]], unknown: Mapping[str, NDArray[np.bool_]], shares: NDArray[np.float64],
    chosen: Sequence[str],
) -> float:  # fmt: skip
    """How probably the most probable numbers are right, once those of the chosen fields are known."""
    group = np.zeros(len(shares), np.int64)
    for name in chosen:
        group = group * (codes[name].max() + 1) + codes[name]
    free = [name for name in unknown if name not in chosen and unknown[name].any()]
    shares = np.where(np.any([unknown[name] for name in free], axis=0), 0.0, shares) if free else shares
    _, group = np.unique(group, return_inverse=True)
    best = np.zeros(group.max() + 1)
    np.maximum.at(best, group, shares)
    return float(best.sum())

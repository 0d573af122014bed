"""Computes how probable the numbers that people wrote are, given the relations among them: totals, differences, means,
products.

A relation says that one number, its total, is a weighted sum or a product of other numbers, perhaps divided and
rounded. Numbers and relations make a graph. The model has three parts:

- λ(x), the reader's likelihood of a number: its probability, divided by the prior that the reader learned;
- a uniform prior of each number that is not a total;
- P(t | terms), the model of slips, for each relation.

The joint posterior is ∝ Π λ(x) · Π P(t | terms). It is computed by messages: a relation tells each of its numbers how
probable the values of that number are, given all other numbers. The message to a total is the convolution of the
messages from its terms, put through the model of slips. The message to a term is the correlation of the total's message
with the messages from the other terms. Since a term may be skipped, the convolution without each term is needed, too.
It is made from running sums from both ends (`LeaveOneOut`).

In a forest, each number is a term of at most one relation, and the total of at most one. One pass of messages from the
leaves to the roots and one back then make everything exact. Other graphs are taken apart into connected parts. If a
part has circles, the program looks for a few numbers that break all circles once their values are fixed. For each
combination of these values messages are exact, and the posterior is the mean over the combinations, by their weights.
If there would be too many combinations, messages go round until they no longer change (loopy belief propagation). The
probabilities are then close, not exact, and the result says so.

The model of slips, also called the writer's channel, is

    P(t | v₁ … vₙ) = (1 − ε) · [t = f] + ε · q(t | f, v₁ … vₙ),    f = Σ wᵢ · vᵢ, or a product, rounded

where q is a mixture over least..largest without f:

- off by one: f ± 1, and also f ± ½ if there are halves;
- carry: f ± 10, ± 100, … up to the largest total: a carry lost, or counted twice;
- swapped: two neighbouring digits of f change places, unless the result would begin with a zero;
- skipped: f without one of its terms, each equally probable;
- anything: every other total, each equally probable.

Within a kind all alternatives are equally probable. An impossible alternative gives its share to "anything", so that q
sums to one for each f. These alternatives are impossible: a total out of range, a skipped term of zero, and a swap of
equal digits, of a single digit or below zero. If f itself is out of the range, it cannot be written. The share of the
right total then goes to "anything" too, over the whole range. A form should leave room for its sums; otherwise its
totals say nothing about them. With halves, numbers are in units of ½: `f ± 10` is 20 units, and the digits that change
places are those of the whole part. If f is rounded, the number on the other side of the exact value is right too. Its
share is `CUT_OFF`, since some people cut decimals off; exactly halfway, its share is one half.

The most probable numbers of all fields together are found by bounds. The program starts from any combination of values,
with probability p. In a combination that is at least as probable, the marginal of each value is at least p, and so is
the product of the likelihoods. If this leaves more than `LISTED` combinations, messages that take the best alternative
instead of the sum of all (max-product) give a better start. If there are still too many, the result of these messages
is taken.

If ranges are small, all numbers in them are computed. Otherwise each number has a list of candidates, equal partial
sums are merged, and one more value, `UNKNOWN`, stands for all other numbers, which are equally probable. The lists are
shortened until there are few enough partial sums (`FEWER`). The sums of its terms' candidates are candidates of a
total, too, unless these are too many even with one candidate for each term. If a term is `UNKNOWN`, every total is
equally probable, since the term may be whatever is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic import sumproduct as sp
from sumnist.arithmetic.known import Support, found, points_of
from sumnist.arithmetic.sumproduct import Added, Chain, Ring, Sums, Weights
from sumnist.arithmetic.values import Values
from sumnist.errors import EquationError, NumberError
from sumnist.formulas import MISTAKE, Relation, in_order, rounded

Kind = Literal["right", "off by one", "carry", "swapped", "skipped", "anything", "unknown"]
"""How a total came about; "unknown" if one of its terms is unknown, so that the total says nothing."""
KINDS: tuple[Kind, ...] = get_args(Kind)
RIGHT, OFF_BY_ONE, CARRY, SWAPPED, SKIPPED, ANYTHING, UNSEEN = range(len(KINDS))
"""The indices of the kinds in `KINDS`."""
WEIGHTS = {OFF_BY_ONE: 0.25, CARRY: 0.25, SWAPPED: 0.05, SKIPPED: 0.2, ANYTHING: 0.25}
"""The mixture q, set by judgement, not estimated. Slips of counting and carrying are the most frequent. A total that
has nothing to do with its terms must not be too rare, or else misread terms would explain it away. Swapped digits are a
slip of copying. Verdicts depend only on the order of magnitude of these weights."""
CUT_OFF = 0.05
"""How often a person rounds a number to the farther side."""
UNKNOWN = 2**61
"""Stands for a number that is none of its candidates, and for any sum with one."""
NOWHERE = -UNKNOWN
"""Stands for a total that cannot be written."""
DENSE = 2**13
"""The longest range in which all numbers are computed; for longer ones, lists of candidates are faster."""
FEWER = (
    (None, 0.0), (48, 1e-6), (16, 1e-5), (8, 1e-4), (5, 1e-3), (3, 1e-3), (8, 0.01), (5, 0.03), (3, 0.1), (1, 0.0),
)  # fmt: skip
"""Limits that are tried in turn until there are few enough partial sums: the most candidates of each number, None for
all, and the least share of a candidate."""
LISTED = 2**15
"""The most combinations of numbers that are compared one by one. So many take some ten milliseconds."""


@dataclass(frozen=True)
class Limits:
    """How much work is done; chosen by measuring."""

    states: int = 2**15
    """The most pairs of partial sums and candidates. So many take tens of milliseconds and some 100 MB."""
    pairs: int = 2**21
    """The most pairs of a combination and a value of the next number, while the combinations are listed."""
    conditions: int = 256
    """The most combinations of values of the numbers that break all circles. Messages are computed for each one."""
    rounds: int = 200
    """The most rounds of messages."""
    still: float = 1e-12
    """A message that changes by less than this counts as unchanged."""
    damped: int = 10
    """From this round on, each message is averaged with the last one."""


LIMITS = Limits()

Int64s = NDArray[np.int64]
Fewer = tuple[int | None, float]
Evidence = NDArray[Any] | Values
"""The evidence of a number. Either log-probabilities of 0..largest, `[largest + 1]`, where −∞ is allowed; or
candidates. It need not be normalised."""


# The model of slips.


class Slips(NamedTuple):
    """The totals that may be written for sums `[F]`, except by skipping a term.

    Attributes:
        written: The totals `[F, m]`; `NOWHERE` if one is impossible.
        shares: Their probabilities, `[F, m]`.
        kinds: The kind of each column, as an index in `KINDS`, `[m]`; the first column is the right total.
        anything: The probability of "anything", `[F]`, without the share of impossible skips, which comes later.
    """

    written: Int64s
    shares: Weights
    kinds: Int64s
    anything: Weights


@dataclass(frozen=True)
class Writer:
    """The model of slips of someone who makes a total in least..`largest` from `terms` numbers.

    Attributes:
        largest: The largest total that there is room for, more than the least.
        terms: How many terms the total has.
        halves: Whether numbers are in units of ½.
        mistake: ε, the probability of a mistake.
        least: The least total that there is room for.
        divisor: The divisor of the sum or product; the quotient is rounded.
        times: Whether the terms are multiplied instead of added.

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
    least: int = 0
    divisor: int = 1
    times: bool = False

    @property
    def room(self) -> int:
        """How many totals can be written."""
        return self.largest + 1 - self.least

    def has_room(self, totals: Int64s) -> NDArray[np.bool_]:
        """Whether totals can be written."""
        return (totals >= self.least) & (totals <= self.largest)

    def rounded(self, sums: Any) -> Any:
        """The totals of sums or products: each one divided and rounded."""
        return rounded(sums, self.divisor)

    @property
    def skips(self) -> float:
        """The probability that one particular term is skipped."""
        return self.mistake * WEIGHTS[SKIPPED] / self.terms

    def slips(self, sums: Int64s) -> Slips:
        """The totals that may be written for sums `[F]`, except by skipping a term."""
        unit, totals = 2 if self.halves else 1, self.rounded(sums)
        column = totals[:, None]
        carries = [unit * 10**place for place in range(1, len(str(self.largest))) if unit * 10**place <= self.largest]
        parts = [(RIGHT, column, np.full((len(sums), 1), 1 - self.mistake))]
        if self.divisor > 1:
            rest = 2 * (sums - self.divisor * totals)  # from −divisor, which is halfway, to less than divisor
            cut = (1 - self.mistake) * np.where(rest == -self.divisor, 0.5, np.where(rest == 0, 0.0, CUT_OFF))
            other = np.where(rest == 0, NOWHERE, totals + np.sign(rest))
            parts = [(RIGHT, column, (1 - self.mistake - cut)[:, None]), (RIGHT, other[:, None], cut[:, None])]
        for kind, steps in (OFF_BY_ONE, range(1, unit + 1)), (CARRY, carries):
            away = np.array([sign * step for step in steps for sign in (1, -1)], np.int64)
            share = self.mistake * WEIGHTS[kind] / max(1, len(away))
            parts.append((kind, column + away, np.full((len(sums), len(away)), share)))
        # Two neighbouring digits of the whole part change places.
        whole = np.maximum(column, 0) // unit
        place = 10 ** np.arange(max(0, len(str(whole.max(initial=0))) - 1))
        high, low, there = whole // (10 * place) % 10, whole // place % 10, whole >= 10 * place
        possible = there & (high != low) & ((low != 0) | (whole >= 100 * place))
        swapped = np.where(possible, column + unit * 9 * place * (low - high), NOWHERE)
        among = there / np.maximum(1, there.sum(1, keepdims=True))
        parts.append((SWAPPED, swapped, self.mistake * WEIGHTS[SWAPPED] * among))
        written = np.concatenate([part for _, part, _ in parts], 1)
        written = np.where(self.has_room(written), written, NOWHERE)
        shares = np.where(written == NOWHERE, 0.0, np.concatenate([share for *_, share in parts], 1))
        kinds = np.repeat([kind for kind, *_ in parts], [part.shape[1] for _, part, _ in parts])
        # The share that possible alternatives leave; made as a sum, it stays above zero where `1 − Σ` would not.
        anything = self.mistake * (1 - WEIGHTS[SKIPPED]) - shares[:, kinds != RIGHT].sum(1)
        anything = np.maximum(anything, self.mistake * WEIGHTS[ANYTHING])
        anything += 1 - self.mistake - shares[:, kinds == RIGHT].sum(1)
        return Slips(written, shares, kinds, anything)

    def kinds(self, written: Int64s, terms: Int64s, listed: Int64s | None = None) -> Weights:
        """The probability that a total is written, for each kind by which it may come about.

        Args:
            written: Totals `[N]`. `UNKNOWN` stands for all totals that are not in `listed`.
            terms: The terms times their weights, `[N, n]`; if one is `UNKNOWN`, every total is equally probable.
            listed: The candidates of the total. It is needed if some totals are `UNKNOWN`.

        Returns:
            `[N, kinds]`, in the order of `KINDS`.
        """
        known = np.asarray((terms < UNKNOWN // 2).all(1))
        terms = np.where(known[:, None], terms, 0)
        sums = terms.prod(1) if self.times else terms.sum(1)
        slips, totals = self.slips(sums), self.rounded(sums)
        listed = np.empty(0, np.int64) if listed is None else listed
        rest = written == UNKNOWN
        counts = np.where(rest, float(self.room - len(listed)), 1.0)

        def hits(made: Int64s) -> NDArray[np.bool_]:
            """Which of the totals `[N, m]` can be written and are the written ones."""
            same = made == written[:, None]
            if rest.any():
                same |= rest[:, None] & ~np.isin(made, listed)
            return np.asarray(same & self.has_room(made))

        ways = np.zeros((len(written), len(KINDS)))
        shares = slips.shares * hits(slips.written)
        for kind in RIGHT, OFF_BY_ONE, CARRY, SWAPPED:
            ways[:, kind] = shares[:, slips.kinds == kind].sum(1)
        if self.times:
            without = np.stack([np.delete(terms, one, 1).prod(1) for one in range(terms.shape[1])], 1)
        else:
            without = sums[:, None] - terms
        without = self.rounded(without)
        possible = (terms != self.times) & self.has_room(without)
        ways[:, SKIPPED] = self.skips * (possible & hits(without)).sum(1)
        room = self.has_room(totals)
        others = (counts - (room & hits(totals[:, None])[:, 0])) / (self.room - room)
        ways[:, ANYTHING] = (slips.anything + self.skips * (~possible).sum(1)) * others
        ways[~known] = 0
        ways[~known, UNSEEN] = counts[~known] / self.room
        return ways


# The messages of one relation.


class Around(NamedTuple):
    """Sums of terms, for leaving one out.

    Attributes:
        before: The running sums of the terms from the first on.
        behind: The running sums of the terms from the last backward, without the first.
        after: For each term, the weights of the sum of all terms behind it.
        rests: For each term, the weights of the sum of all other terms.
    """

    before: Sums
    behind: Sums
    after: list[Weights]
    rests: list[Weights]


class LeaveOneOut:
    """The sum, or the product, of weighted terms with given supports; and for each term, the sum or product of the
    others.

    Before and behind each term there is a running sum. The two together make the sum without the term.

    Attributes:
        terms: The supports of the terms times their weights. Ranges are in ascending order, and `UNKNOWN` stays as it
            is.
        turned: A slice for each term. It reverses the weights of a term whose range is reversed in `terms`. A second
            use restores their order.
        support: The support of the sum of all terms.
        rests: The support of the sum of all terms but one, for each term.

    Raises:
        TooManyError: There are more than `Limits.states` partial sums.
    """

    def __init__(self, terms: Sequence[tuple[int, Support]], times: bool = False) -> None:
        ranges = [(weight, one) for weight, one in terms if isinstance(one, range) and abs(weight) == 1]
        plain = not times and len(ranges) == len(terms)
        self.turned = [slice(None, None, -1 if plain and weight < 0 else 1) for weight, _ in terms]
        self.terms: list[Support]
        if plain:
            self.terms = [one if weight > 0 else range(1 - one.stop, 1 - one.start) for weight, one in ranges]
        else:
            self.terms = [
                np.where(points_of(one) == UNKNOWN, UNKNOWN, weight * points_of(one)) for weight, one in terms
            ]
        self.up, self.down = (Chain(some, UNKNOWN, LIMITS.states, times) for some in (self.terms, self.terms[:0:-1]))
        behind = [self.down.support, *(added.one for added in reversed(self.down.added))]
        self.across = [
            Added(before.one, after, UNKNOWN, LIMITS.states, times)
            for before, after in zip(self.up.added, behind, strict=True)
        ]
        self.support, self.rests = self.up.support, [across.support for across in self.across]

    def sums(self, ring: Ring, terms: Sequence[Weights]) -> Around:
        """The weights of the running sums and of the sums without each term, given the weights of the terms."""
        before, behind = Sums(self.up, ring, terms), Sums(self.down, ring, terms[:0:-1])
        after = [behind.all, *reversed(behind.running[: len(terms) - 1])]
        rests = [across.forward(ring, *both) for across, *both in zip(self.across, before.running, after, strict=True)]
        return Around(before, behind, after, rests)

    def backward(self, ring: Ring, sums: Around, to_all: Weights, to_rests: Sequence[Weights]) -> list[Weights]:
        """The outside weights of each term: the derivative, computed without subtraction.

        Args:
            ring: The ring of the weights.
            sums: The result of `sums`.
            to_all: The outside weights of the sum of all terms.
            to_rests: The outside weights of the sums of all terms but one, for each term.
        """
        each = list(zip(self.across, to_rests, sums.before.running, sums.after, strict=True))
        to_before = [across.to_one(ring, outside, after) for across, outside, _, after in each]
        to_after = [across.to_two(ring, outside, before) for across, outside, before, _ in each]
        first, *others = sums.before.backward(to_all, to_before)
        through = reversed(sums.behind.backward(to_after[0], to_after[::-1]))
        return [first, *(ring.plus(one, two) for one, two in zip(others, through, strict=True))]


class Up(NamedTuple):
    """The message from the terms to the total, and intermediate results.

    Attributes:
        message: The message, `[G]`.
        terms: The messages from the terms.
        sums: The weights of the sums of the terms.
        vague: For each sum of all terms, the weight that is spread over all other totals.
    """

    message: Weights
    terms: list[Weights]
    sums: Around
    vague: Weights
    """For each sum of all terms, the weight that is spread over all other totals."""


class Rest(NamedTuple):
    """One term, and the sum g of the other terms.

    Attributes:
        written: For each g that can be written, its index among the total's numbers.
        source: For each g that can be written, its index in the support of g.
        nonzero: Which values of the term change the sum.
        zero: Which values of the term change nothing, so that nobody can tell whether the term was skipped.
        known: Which values of the term are known, not `UNKNOWN`.
        all: For each g that can be written, its index in the support of the sum of all terms.
        beyond: Which g are known but cannot be written.
        added: The sum of g and the term.
    """

    written: Int64s
    source: Int64s
    nonzero: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    known: NDArray[np.bool_]
    all: Int64s
    beyond: NDArray[np.bool_]
    added: Added


class Messages:
    """The messages of one relation, from its terms to its total and back, over all slips that the writer may have made.

    A total comes from the sum f of all terms (right, off by one, carry, swapped, anything), or from the sum g of all
    terms but one (skipped). If g cannot be written, or the term is zero, skipping counts as "anything" instead.
    "Anything" needs f again: its weight is spread evenly over all totals but f.

    Args:
        writer: The model of slips.
        chain: The sums of the terms.
        total: The numbers that the total may be. If they are points, the last one may be `UNKNOWN`, which stands for
            all other numbers.
        counts: How many numbers each entry of `total` stands for.
    """

    def __init__(self, writer: Writer, chain: LeaveOneOut, total: Support, counts: Weights) -> None:
        self.writer, self.chain, self.total, self.counts = writer, chain, total, counts
        sums = points_of(chain.support)
        known = sums != UNKNOWN
        slips, totals = writer.slips(np.where(known, sums, 0)), writer.rounded(sums)
        room = known & writer.has_room(totals)
        self._source, column = np.nonzero((slips.written != NOWHERE) & known[:, None])
        self._target, self._kinds = self.places(slips.written[self._source, column]), slips.kinds[column]
        with np.errstate(divide="ignore"):
            self._log_shares = np.log(slips.shares[self._source, column])
            self._log_anything = np.log(np.where(known, slips.anything, 1.0))
            self._log_skips = np.log(writer.skips)
            self._log_others = np.log1p(-1 / counts)  # all but one of the numbers in one place
        self._unknown, self._inside, self._outside = (np.flatnonzero(which) for which in (~known, room, ~room))
        self._own = self.places(totals[self._inside])
        self._rests = [self.rest(*both) for both in zip(chain.terms, chain.rests, strict=True)]

    def places(self, totals: Int64s) -> Int64s:
        """The index among the total's numbers of each of these totals, which must be possible to write. A total that is
        not listed gets the index of `UNKNOWN`, or −1 if there is none."""
        if isinstance(self.total, range):
            return totals - self.total.start
        rest = len(self.total) - 1 if self.total[-1] == UNKNOWN else -1
        index = found(self.total, totals)
        return np.where(index < 0, rest, index)

    def rest(self, term: Support, rest: Support) -> Rest:
        """One term and the sum of the others, given their supports."""
        numbers, sums, times = points_of(term), points_of(rest), self.writer.times
        totals, known = self.writer.rounded(sums), numbers != UNKNOWN
        added = Added(rest, term, UNKNOWN, LIMITS.states, times)
        room = self.writer.has_room(totals) & (sums != UNKNOWN)
        source, beyond = np.flatnonzero(room), ~room & (sums != UNKNOWN)
        if beyond.any():
            added.support  # noqa: B018 (its table is made now, or refused)
        all_ = found(self.chain.support, sums[source])
        nothing = numbers == int(times)  # such a term changes nothing: nobody can tell whether it was skipped
        return Rest(self.places(totals[source]), source, known & ~nothing, nothing, known, all_, beyond, added)

    def upward(self, ring: Ring, terms: Sequence[Weights]) -> Up:
        """The message to the total, given the messages from its terms."""
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
        # The vague weight is spread evenly over all totals but the right one.
        spread = self.but_one(ring, ring.gathered(self._own, vague[self._inside], size))
        spread = ring.plus(spread, ring.total(vague[self._inside[self._own < 0]]))
        spread = ring.times(spread, ring.weights(-np.log(self.writer.room - 1)))
        beyond = ring.total(vague[self._outside])
        spread = ring.plus(spread, ring.times(beyond, ring.weights(-np.log(self.writer.room))))
        spread = ring.times(spread, ring.weights(np.log(self.counts)))
        return Up(ring.plus(message, spread), terms, sums, vague)

    def but_one(self, ring: Ring, x: Weights) -> Weights:
        """For each of the total's numbers, the sum of all weights `[G]` without the weight of that number. If an entry
        stands for several numbers, the sum leaves out one of them, and keeps the others."""
        return np.asarray(ring.plus(ring.others(x), ring.times(x, ring.weights(self._log_others))))

    def evenly(self, ring: Ring, total: Weights) -> Weights:
        """For each sum of all terms `[F]`, the outside weight if the total is anything but the right one."""
        total = ring.times(total, ring.weights(np.log(self.counts)))
        everything = ring.total(total)
        left = np.full(points_of(self.chain.support).shape, everything)
        left = np.asarray(ring.times(left, ring.weights(-np.log(self.writer.room))))
        others = np.append(self.but_one(ring, total), everything)[self._own]
        left[self._inside] = ring.times(others, ring.weights(-np.log(self.writer.room - 1)))
        return left

    def downward(self, ring: Ring, up: Up, total: Weights) -> tuple[list[Weights], Weights]:
        """The message to each term, and the weight of each kind, given the outside weights of the total `[G]`."""
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


# The evidence of a number.


class Reading(NamedTuple):
    """The evidence of a number.

    Attributes:
        support: The values that the number may have.
        log_likelihoods: The logarithm of λ of each value.
        counts: How many numbers each value stands for.
    """

    support: Support
    log_likelihoods: Weights
    counts: Weights


def candidates(
    evidence: Evidence, room: range, count: int | None = None, least: float = 0.0
) -> tuple[dict[int, float], float]:
    """The candidates of a number with their likelihoods, and the likelihood of all other values together.

    Only the `count` most probable candidates stay, and of these only the candidates with at least the share `least` of
    the likelihood. The best one always stays.
    """
    if isinstance(evidence, Values):
        kept = {int(value): share for value, share in evidence.probabilities.items()}
        other = evidence.other if len(kept) < len(room) else 0.0
    else:
        listed, other = np.flatnonzero(evidence > sp.IMPOSSIBLE), 0.0
        kept = dict(zip(listed.tolist(), np.exp(evidence[listed] - evidence.max()).tolist(), strict=True))
    best = sorted(kept.items(), key=lambda one: -one[1])
    least *= sum(kept.values()) + other
    count = min(len(best) if count is None else count, max(1, sum(share >= least for _, share in best)))
    return dict(best[:count]), other + sum(share for _, share in best[count:])


def dense_reading(evidence: Evidence, room: range) -> Reading:
    """A reading with all values of a number."""
    if isinstance(evidence, Values):
        listed, other = candidates(evidence, room)
        likelihoods = np.full(len(room), other / max(1, len(room) - len(listed)))
        likelihoods[np.array(list(listed), np.int64) - room.start] = list(listed.values())
        with np.errstate(divide="ignore"):
            evidence = np.asarray(np.log(likelihoods))
    return Reading(room, evidence, np.ones(len(room)))


def listed_reading(listed: Mapping[int, float], other: float, room: range) -> Reading:
    """A reading with candidates, and with one more value for all others."""
    support, shares = sorted(listed), [listed[value] for value in sorted(listed)]
    counts, rest = [1.0] * len(support), len(room) - len(listed)
    if other > 0 and rest > 0:
        support, shares, counts = [*support, UNKNOWN], [*shares, other / rest], [*counts, float(rest)]
    with np.errstate(divide="ignore"):
        return Reading(np.array(support, np.int64), np.log(shares), np.array(counts))


# Connected parts of the graph.


class Part(NamedTuple):
    """A connected part of the graph of numbers and relations.

    Attributes:
        names: The numbers: first those that are not totals, then the totals, each after its terms.
        relations: The relations, in the order of their totals.
        is_forest: Whether each number is a term of at most one relation, and the total of at most one.
        circles: Numbers that break all circles once their values are fixed; None if there would be too many.
    """

    names: tuple[str, ...]
    relations: tuple[Relation, ...]
    is_forest: bool
    circles: tuple[str, ...] | None


def parts_of(names: Iterable[str], relations: Sequence[Relation]) -> list[Part]:
    """The connected parts of the graph. `relations` must come in the order of `formulas.in_order`."""
    groups = {name: {name} for name in names}
    for relation in relations:
        one, *others = {id(groups[name]): groups[name] for name in relation.names}.values()
        for other in others:
            one |= other
            groups |= dict.fromkeys(other, one)
    order = [*(name for name in groups if name not in {one.total for one in relations}),
             *dict.fromkeys(one.total for one in relations)]  # fmt: skip
    found = []
    for group in {id(one): one for one in groups.values()}.values():
        own = tuple(one for one in relations if one.total in group)
        terms, totals = [name for one in own for _, name in one.terms], [one.total for one in own]
        is_forest = len(set(terms)) == len(terms) and len(set(totals)) == len(totals)
        circles = () if is_forest else circles_of(own)
        found.append(Part(tuple(name for name in order if name in group), own, is_forest, circles))
    return found


def circles_of(relations: Sequence[Relation]) -> tuple[str, ...] | None:
    """A few numbers that break all circles once their values are fixed; None if they would be too many."""
    left, chosen = [set(one.names) for one in relations], list[str]()
    while 2 ** len(chosen) <= LIMITS.conditions:
        size = -1
        while size != (size := sum(map(len, left))):  # a number at an end is in no circle
            counts = Counter(name for one in left for name in one)
            left = [more for one in left if len(more := {name for name in one if counts[name] > 1}) > 1]
        if not left:
            return tuple(chosen)
        chosen.append(max(sorted(counts), key=counts.__getitem__))
        left = [one - {chosen[-1]} for one in left]
    return None


class Solved(NamedTuple):
    """The result of all messages.

    Attributes:
        logs: For each number, the log-weights of its values `[G]`, normalised by their maximum or by their sum,
            depending on the ring.
        kinds: For each relation, the probability of each kind; only in a ring that sums.
        log_evidence: The logarithm of the weight of all combinations, or of the best combination.
        exact: Whether the results are exact. If messages went round in circles, they are approximate.
    """

    logs: dict[str, Weights]
    kinds: dict[Relation, Weights]
    log_evidence: float
    exact: bool


Prepared = tuple[dict[str, Reading], dict[Relation, Messages]]
"""The reading of each number, and the messages of each relation."""


class Passing:
    """The passing of messages among the numbers of a part, in a ring.

    The message from a relation to a number, `[G]` with a maximum of one, says how probable everything else makes each
    single value of the number. Even an entry that stands for many values has the weight of a single one. The evidence
    is Bethe's, which is exact without circles. It is a product over relations and numbers. A relation has the total
    weight of the messages that meet there as a factor. A number has that weight to the power of one minus the number of
    its relations.

    Raises `sp.Underflow` if nothing is possible, or everything is too improbable for the ring.
    """

    def __init__(self, part: Part, ring: Ring, prepared: Prepared) -> None:
        self.part, self.ring, (self.readings, self.messages) = part, ring, prepared
        self.received: dict[str, dict[Relation, Weights]] = {name: {} for name in part.names}
        self.levels = {name: float(self.readings[name].log_likelihoods.max()) for name in part.names}
        self.likelihoods = {
            name: ring.weights(self.readings[name].log_likelihoods - level) for name, level in self.levels.items()
        }
        self.counts = {name: ring.weights(np.log(self.readings[name].counts)) for name in part.names}
        self.ups: dict[Relation, tuple[list[Weights], Up, float]] = {}
        self.downs: dict[Relation, tuple[Up, Weights]] = {}
        self.around = {name: [one for one in part.relations if name in one.names] for name in part.names}
        self.stale = set(part.relations)
        self.kinds: dict[Relation, Weights] = {}
        self.met: dict[Relation, float] = {}

    def known(self, name: str, without: Relation | None = None) -> Weights:
        """The weight of each single value of a number, by its reading and by all relations except `without`."""
        weights = self.likelihoods[name]
        for relation, message in self.received[name].items():
            if relation is not without:
                weights = self.ring.times(weights, message)
        return weights

    def say(self, relation: Relation, name: str, message: Weights, damped: bool) -> None:
        """Send a message to a number. If it says anything new, the other relations of the number become stale."""
        ring = self.ring
        message, _ = ring.normalised(message)
        before = self.received[name].get(relation)
        if before is not None:
            if damped:
                half = ring.weights(np.log(np.full(1, 0.5)))
                message = ring.plus(ring.times(before, half), ring.times(message, half))
            if np.abs(np.exp(ring.logs(message)) - np.exp(ring.logs(before))).max() < LIMITS.still:
                return
        self.received[name][relation] = message
        self.stale.update(other for other in self.around[name] if other is not relation)

    def up(self, relation: Relation, damped: bool) -> None:
        """Send the message from the terms of a relation to its total."""
        terms, level = [], 0.0
        for _, name in relation.terms:
            weights, more = self.ring.normalised(self.ring.times(self.known(name, relation), self.counts[name]))
            terms.append(weights)
            level += more
        before = self.ups.get(relation)
        if before and all(map(np.array_equal, before[0], terms)):
            self.ups[relation] = terms, before[1], level
            return
        up = self.messages[relation].upward(self.ring, terms)
        self.ups[relation] = terms, up, level
        counts = self.ring.weights(-np.log(self.readings[relation.total].counts))
        self.say(relation, relation.total, self.ring.times(up.message, counts), damped)

    def down(self, relation: Relation, damped: bool) -> None:
        """Send the messages from the total of a relation to its terms."""
        ring, (_, up, level) = self.ring, self.ups[relation]
        total, more = ring.normalised(self.known(relation.total, relation))
        whole = np.asarray(ring.total(ring.times(up.message, total)))
        self.met[relation] = float(ring.logs(whole)) + level + more
        before = self.downs.get(relation)
        if before and before[0] is up and np.array_equal(before[1], total):
            return
        self.downs[relation] = up, total
        messages, kinds = self.messages[relation].downward(ring, up, total)
        kinds = np.exp(ring.logs(ring.normalised(kinds)[0]))
        self.kinds[relation] = kinds / kinds.sum()
        for (_, name), message in zip(relation.terms, messages, strict=True):
            self.say(relation, name, message, damped)

    def solved(self) -> Solved:
        """Send messages up and down until they say nothing new."""
        relations = self.part.relations
        for turn in range(LIMITS.rounds):
            now, self.stale = self.stale, set()
            for relation in relations:
                if relation in now:
                    self.up(relation, turn >= LIMITS.damped)
            for relation in reversed(relations):
                if relation in now or relation in self.stale:
                    if not self.part.is_forest:
                        self.up(relation, turn >= LIMITS.damped)
                    self.down(relation, turn >= LIMITS.damped)
            if self.part.is_forest or not self.stale:
                break
        logs, log_evidence = dict[str, Weights](), sum(self.levels.values()) + sum(self.met.values())
        for name in self.part.names:
            own, more = self.ring.normalised(self.ring.times(self.known(name), self.counts[name]))
            whole = float(self.ring.logs(np.asarray(self.ring.total(own))))
            logs[name] = self.ring.logs(own) - whole
            log_evidence += (1 - len(self.received[name])) * (more + whole)
        return Solved(logs, self.kinds, log_evidence, self.part.is_forest)


def solved_part(part: Part, ring: Ring, prepared: Prepared) -> Solved:
    """The result of the messages of a part, exact if it has few circles. Raises `sp.Underflow`."""
    readings, messages = prepared
    possible = [np.flatnonzero(readings[name].log_likelihoods > sp.IMPOSSIBLE) for name in part.circles or ()]
    if part.is_forest or part.circles is None or prod(map(len, possible)) > LIMITS.conditions:
        return Passing(part, ring, prepared).solved()
    found: list[Solved] = []
    for places in product(*possible):
        fixed = dict(readings)
        for name, place in zip(part.circles, places, strict=True):
            only = np.full(len(readings[name].log_likelihoods), sp.IMPOSSIBLE)
            only[place] = readings[name].log_likelihoods[place]
            fixed[name] = readings[name]._replace(log_likelihoods=only)
        with suppress(sp.Underflow):
            found.append(Passing(part, ring, (fixed, messages)).solved())
    if not found:
        raise sp.Underflow
    add = sp.LOG_MAX.add if ring is sp.LOG_MAX else sp.LOG_SUM.add
    weights = np.array([one.log_evidence for one in found])
    log_evidence = float(add(weights, 0))
    weights -= log_evidence
    logs = {
        name: np.asarray(add(np.stack([w + one.logs[name] for w, one in zip(weights, found, strict=True)]), 0))
        for name in part.names
    }
    kinds = {
        relation: np.asarray(sum(np.exp(w) * one.kinds[relation] for w, one in zip(weights, found, strict=True)))
        for relation in part.relations
    }
    return Solved(logs, kinds, log_evidence, True)


class Relations:
    """Numbers and the relations among them. An object is made once and can be used for many pages.

    Args:
        largest: The largest value of each number.
        relations: The relations.
        halves: The totals in units of ½.
        mistake: The probability that the writer makes a mistake in a relation.
        least: The least value of each number; 0 if it is left out.
        sums: Whether the sums of the terms' candidates also become candidates of a total, unless the reading excludes
            all other values of the total.

    Raises:
        LayoutError: The relations make a number a part of itself, or name an unknown number.
        NumberError: `mistake` is not a probability.

    Examples:
        >>> numbers = Relations({"a": 9, "b": 9, "sum": 18}, [Relation.of("sum = a + b")])
        >>> sure = {"a": Values({4: 0.6, 9: 0.4}, 0.0), "b": Values({5: 1.0}, 0.0), "sum": Values({14: 1.0}, 0.0)}
        >>> numbers.posterior(sure).values
        {'a': 9, 'b': 5, 'sum': 14}
    """

    def __init__(
        self, largest: Mapping[str, int], relations: Sequence[Relation], halves: Collection[str] = (),
        mistake: float = MISTAKE, least: Mapping[str, int] | None = None, sums: bool = True,
    ) -> None:  # fmt: skip
        if not 0 <= mistake <= 1:
            raise NumberError(f"A probability of a mistake of {mistake} was given: expected one of 0 to 1")
        self.sums = sums
        self.rooms = {name: range((least or {}).get(name, 0), most + 1) for name, most in largest.items()}
        self.relations = in_order(relations, largest)
        self.totals = Counter(one.total for one in self.relations)
        self.parts = parts_of(largest, self.relations)
        self.writers = {
            one: Writer(largest[one.total], len(one.terms), one.total in halves, mistake, self.rooms[one.total].start,
                        one.divisor, one.times)
            for one in self.relations
        }  # fmt: skip
        # In parts with small ranges only, all values of the numbers are computed.
        self.ranges: dict[str, range] = {}
        for part in self.parts:
            plain = all(abs(weight) == 1 and not one.times for one in part.relations for weight, _ in one.terms)
            spans = [*(len(self.rooms[name]) for name in part.names),
                     *(sum(len(self.rooms[name]) for _, name in one.terms) for one in part.relations)]  # fmt: skip
            if plain and max(spans) <= DENSE:
                self.ranges |= {name: self.rooms[name] for name in part.names}
        self._messages = {
            one: Messages(writer, LeaveOneOut([(weight, self.ranges[name]) for weight, name in one.terms]),
                          self.ranges[one.total], np.ones(len(self.ranges[one.total])))
            for one, writer in self.writers.items() if one.total in self.ranges
        }  # fmt: skip

    def posterior(self, evidence: Mapping[str, Evidence]) -> Posterior:
        """The posterior of all numbers, given the evidence of each.

        Args:
            evidence: The evidence of each number.

        Returns:
            The posterior.

        Raises:
            EquationError: No numbers explain the evidence.
        """
        readings: dict[str, Reading] = {}
        messages: dict[Relation, Messages] = {}
        for part in self.parts:
            own, those = self.prepared(part, evidence)
            readings |= own
            messages |= those
        solved = self.solved((readings, messages), sp.PROBABILITIES, sp.LOG_SUM)
        return Posterior(self, readings, messages, solved)

    def solved(self, prepared: Prepared, *rings: Ring) -> Solved:
        """The result of the messages. Each part uses the first of the `rings` that is fine enough. Raises
        `EquationError`."""
        every = Solved({}, {}, 0.0, True)
        for part in self.parts:
            for ring in rings:
                with suppress(sp.Underflow):
                    one = solved_part(part, ring, prepared)
                    break
            else:
                raise EquationError(
                    "No numbers explain what is read: expected evidence under which some are possible; give every "
                    "number a probability above 0, or the writer a probability of a mistake"
                )
            exact, log_evidence = every.exact and one.exact, every.log_evidence + one.log_evidence
            every = Solved(every.logs | one.logs, every.kinds | one.kinds, log_evidence, exact)
        return every

    def prepared(self, part: Part, evidence: Mapping[str, Evidence]) -> Prepared:
        """The reading of each number of a part, and the messages of the part's relations, with as many candidates as
        possible."""
        for fewer in FEWER:
            with suppress(sp.TooManyError):
                return self.prepared_with(part, evidence, fewer, self.sums)
        return self.prepared_with(part, evidence, (1, 0.0), sums=False)

    def prepared_with(self, part: Part, evidence: Mapping[str, Evidence], fewer: Fewer, sums: bool = True) -> Prepared:
        """As `prepared`, with the limits `fewer` on the candidates of each number.

        If `sums`, the sums of its terms become candidates of a total. Raises `TooManyError` if there are too many
        partial sums. That never happens with one candidate for each number and without `sums`.
        """
        if part.names[0] in self.ranges:
            dense = {name: dense_reading(evidence[name], self.rooms[name]) for name in part.names}
            return dense, {one: self._messages[one] for one in part.relations}
        lists = {name: candidates(evidence[name], self.rooms[name], *fewer) for name in part.names}
        readings: dict[str, Reading] = {}
        chains: dict[Relation, LeaveOneOut] = {}
        for name in part.names:
            listed, other = lists[name]
            own = [one for one in part.relations if one.total == name]
            for one in own:
                terms = [(weight, readings[term].support) for weight, term in one.terms]
                chains[one] = LeaveOneOut(terms, one.times)
            if own and other and sums:
                new = set[int]()
                for one in own:
                    totals = points_of(chains[one].support)
                    totals = self.writers[one].rounded(totals[totals != UNKNOWN])
                    new |= set(totals[self.writers[one].has_room(totals)].tolist())
                rest = len(self.rooms[name]) - len(listed)
                new -= set(listed)
                listed |= dict.fromkeys(new, other / rest)
                other *= 1 - len(new) / rest
            readings[name] = listed_reading(listed, other, self.rooms[name])
        messages = {
            one: Messages(self.writers[one], chains[one], readings[one.total].support, readings[one.total].counts)
            for one in part.relations
        }
        return readings, messages


class Joint(NamedTuple):
    """The probabilities of some combinations of values.

    Attributes:
        probabilities: The probability of each combination, `[N]`.
        ways: For each relation, the probability that the total comes about in each kind of way, given the terms:
            `[N, kinds]`.
    """

    probabilities: Weights
    ways: Mapping[Relation, Weights]


class Posterior:
    """The posterior of all numbers.

    Attributes:
        model: The numbers and their relations.
        log_evidence: log Σ Π λ · Π P(total | terms), over all values of all numbers.
        exact: Whether `log_evidence` and all probabilities are exact.
        numbers: The values that each number may have, and their probabilities. If the last value is `UNKNOWN`, it
            stands for all other values.
        read: The most probable value of each number by itself; None if it is none of the candidates.
        kinds: For each relation, the probability of each kind, which says how the writer came to the total.
    """

    def __init__(
        self, model: Relations, readings: Mapping[str, Reading], messages: Mapping[Relation, Messages], solved: Solved
    ) -> None:
        self.model, self.log_evidence, self.exact = model, solved.log_evidence, solved.exact
        self._readings, self._messages = dict(readings), dict(messages)
        self._logs = {name: one.log_likelihoods + np.log(one.counts) for name, one in readings.items()}
        self.numbers = {name: (points_of(readings[name].support), np.exp(solved.logs[name])) for name in model.rooms}
        self.read = {name: plain(one[0][self._logs[name].argmax()]) for name, one in self.numbers.items()}
        self.kinds: dict[Relation, dict[Kind, float]] = {
            one: dict(zip(KINDS, shares.tolist(), strict=True)) for one, shares in solved.kinds.items()
        }

    @property
    def values(self) -> dict[str, int | None]:
        """The most probable values of all numbers together; None for one that is none of the candidates."""
        return {name: plain(value[0]) for name, value in self._together[0].items()}

    @property
    def probability(self) -> float:
        """The probability of `values`, over all slips of the writer."""
        return self._together[1]

    def joint(self, values: Mapping[str, Int64s]) -> Joint:
        """The probabilities of combinations of values, given as `[N]` for each number. `UNKNOWN` stands for all values
        that are not candidates."""
        logs, ways = np.full(len(next(iter(values.values()))), -self.log_evidence), dict[Relation, Weights]()
        for name, reading in self._readings.items():
            index = found(reading.support, values[name])
            logs += np.append(reading.log_likelihoods, sp.IMPOSSIBLE)[index]
            logs += (1 - self.model.totals[name]) * np.log(reading.counts)[index]
        for relation, writer in self.model.writers.items():
            terms = [
                np.where(values[name] == UNKNOWN, UNKNOWN, weight * values[name]) for weight, name in relation.terms
            ]
            listed = points_of(self._readings[relation.total].support)
            ways[relation] = writer.kinds(values[relation.total], np.stack(terms, 1), listed[listed != UNKNOWN])
            with np.errstate(divide="ignore"):
                logs += np.log(ways[relation].sum(1))
        return Joint(np.exp(logs), ways)

    def listed(self, least: float) -> tuple[dict[str, Int64s], Weights] | None:
        """All combinations of values that are at least as probable as `least`, and perhaps some less probable ones.

        Each listed combination passes two tests. Each of its values by itself is at least as probable as `least`. And
        so is an upper bound on the combination: the product of its likelihoods, as if the writer were certain to come
        to its totals.

        Returns:
            For each number its values `[N]`, and the probabilities of the combinations, `[N]`. None if there are more
            than `LISTED`.
        """
        least *= 1 - sp.ROUNDING * np.sqrt(np.finfo(np.float64).eps)
        fields = []
        for name in self._readings:
            shares = self.numbers[name][1]
            likely = np.flatnonzero(shares >= min(least, shares.max()))
            fields.append((len(likely), name, likely, self._logs[name][likely]))
        bound = np.full(1, sum(logs.max() for *_, logs in fields) - self.log_evidence)
        values: dict[str, Int64s] = {}
        with np.errstate(divide="ignore"):
            log_least = np.log(least)
        for _, name, likely, logs in sorted(fields, key=lambda one: one[:2]):
            if len(bound) * len(logs) > LIMITS.pairs:
                return None
            both = bound[:, None] + (logs - logs.max())
            before, chosen = np.nonzero(both >= log_least)
            if len(before) > LISTED:
                return None
            bound = both[before, chosen]
            values = {other: numbers[before] for other, numbers in values.items()}
            values[name] = self.numbers[name][0][likely[chosen]]
        return values, self.joint(values).probabilities

    @cached_property
    def _together(self) -> tuple[dict[str, Int64s], float]:
        """The most probable combination of values, and its probability. It is found since a combination is at most as
        probable as each of its values by itself."""
        best = {name: numbers[[shares.argmax()]] for name, (numbers, shares) in self.numbers.items()}
        (least,) = self.joint(best).probabilities
        if least >= 0.5:  # no other value is as probable, even by itself
            return best, float(least)
        if (listed := self.listed(least)) is None:
            best = self._best_alternatives()
            (least,) = self.joint(best).probabilities
            if (listed := self.listed(least)) is None:
                return best, float(least)
        place = int(listed[1].argmax())
        return {name: numbers[place : place + 1] for name, numbers in listed[0].items()}, float(listed[1][place])

    def _best_alternatives(self) -> dict[str, Int64s]:
        """The most probable combination by max-product messages; of equally probable ones, the least value of each
        number."""
        readings, values = dict(self._readings), dict[str, Int64s]()
        margin = sp.ROUNDING * np.finfo(np.float64).eps * max(1, abs(self.log_evidence))
        while True:
            tied = None
            for name, logs in self.model.solved((readings, self._messages), sp.LOG_MAX).logs.items():
                best = np.flatnonzero(logs >= -margin)
                values[name] = self.numbers[name][0][best[:1]]
                tied = name if len(best) > 1 and tied is None else tied
            if tied is None:
                return values
            kept = np.where(self.numbers[tied][0] == values[tied], readings[tied].log_likelihoods, sp.IMPOSSIBLE)
            readings[tied] = readings[tied]._replace(log_likelihoods=kept)


def plain(value: np.int64) -> int | None:
    """A value as a Python integer; None if it is `UNKNOWN`."""
    return None if value == UNKNOWN else int(value)

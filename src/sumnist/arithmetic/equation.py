"""Computes how probable a known total is, how it changes the probabilities of its terms, and which total is most
probable.

This is how it works for a known total. Dense integers and candidate lists are added as they are (`sumproduct`). Numbers
with digits are added by columns. Let V_i be the sum of the digits in column i, an independent random number, and C_i
the carry into the column. The total has the digit t_i there if

    V_i + C_i = t_i + base · C_{i+1},   C_0 = 0,

and C_M is the part of the total above the last column. So the probability of a total is a product of matrices, one for
each position, over the few carries that can occur: T_i[c, c'] = P(V_i = t_i + base · c' − c). Borrows are negative
carries. A total below zero has digits too, and a negative C_M above them (`known.columns`). If there are few carries,
matrices are multiplied in pairs, pairs of pairs and so on: fewer, larger steps are then faster. Otherwise they are
multiplied one by one. In both cases, the messages from before and behind each position give the posterior.

If there are digits, the program goes through all partial sums of the lists. For each one it asks the chain of carries
for the rest, in one batch. Without digits, the lists meet in the middle: the program matches partial sums of one half
with those of the other half that complete the total.

The distribution of all totals goes through the positions, too. A prefix is the lowest digits of a total; it has a
weight for each carry out of it. With every position there are `base` times as many prefixes.

The most probable total is a marginal MAP: the maximum over totals of a sum over all digits that make the total. It has
no recursion, since the best digit at a position depends on the carry, which is summed over. So the program searches the
same prefixes, but keeps only the `BEAM` best of them by an upper bound. The bound assumes that each higher digit may be
chosen with the carry known. If no prefix beyond the beam could beat the result, the result is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic import sumproduct as sp
from sumnist.arithmetic.known import columns, found, narrow, numeral, points_of

Term = tuple[int, sp.Array]
"""A step, which is the term's factor and not zero, and log-probabilities `[n, ...]`."""
Points = tuple[NDArray[Any], sp.Array]
"""Values `[n]` and their log-probabilities `[n, *batch]`."""
SPARSE = 16
"""Ranges are added as lists if their sums span more than this many numbers for each combination of their values, as
prices do."""
PAIRED_CARRIES = 6
"""If at most so many carries can occur, matrices are multiplied in pairs. The limit was chosen by measuring."""


def carries(first: int, last: int, base: int, least_digit: int, greatest_digit: int) -> NDArray[np.int64]:
    """The carries that can occur if the sum of a column is in `first`..`last` and each digit of the total in
    `least_digit`..`greatest_digit`."""
    least = most = 0
    while (lower := -((greatest_digit - first - least) // base)) < least:
        least = lower
    while (higher := (last + most - least_digit) // base) > most:
        most = higher
    return np.arange(least, most + 1)


class Carries:
    """The chain of carries of a sum whose total is known.

    Args:
        column: The sums that each column can have, with their probabilities, from digits `[base, M, *batch]`.
        digits: The total's digits `[M, *batch]`.
        above: The part of the total above these digits `[*batch]`.
        base: The base of the digits.
    """

    def __init__(self, column: sp.Sums, digits: NDArray[np.int64], above: NDArray[np.int64], base: int) -> None:
        self.column, self.digits, self.above, self.base, self.add = column, digits, above, base, column.ring.add
        extremes = (int(digits.min()), int(digits.max())) if digits.size else (0, 0)
        reach = column.chain.support
        self.carry = carries(reach[0], reach[-1], base, *extremes)
        self.paired = len(self.carry) <= PAIRED_CARRIES
        carry = self.carry.reshape(-1, *(1 for _ in digits.shape))  # [C, 1, ...]
        self.steps = sp.picked(column.all, digits + base * carry - carry[:, None] - reach[0])  # [C, C', M, *batch]
        self.start = sp.like(self.steps, np.where(carry[:, 0] == 0, 0.0, sp.IMPOSSIBLE))
        self.end = sp.like(self.steps, np.where(carry[:, 0] == above, 0.0, sp.IMPOSSIBLE))

    def log_prob(self) -> sp.Array:
        """The log-probability of the total `[*batch]`."""
        steps = self.steps
        while self.paired and steps.shape[2] > 1:
            steps = self.pairs(steps)
        carried = self.start
        for position in range(steps.shape[2]):
            carried = self.add(carried[:, None] + steps[:, :, position], 0)
        return self.add(carried + self.end, 0)

    def pairs(self, steps: sp.Array) -> sp.Array:
        """The products of neighbouring matrices, two by two. A last matrix without a neighbour stays."""
        one, two = steps[:, :, :-1:2], steps[:, :, 1::2]
        product = self.add(one[:, :, None] + two[None], 1)
        if steps.shape[2] % 2 == 0:
            return product
        return sp.library(steps).concat([product, steps[:, :, -1:]], axis=2)

    def backward(self) -> sp.Array:
        """The outside weights of each column's sum, `[W, M, *batch]`: the log-weight of everything else, given that
        sum.

        They are scaled so that the sums of a column have a total weight of one. If the total is impossible, they are
        −inf.
        """
        before, behind = self.messages(self.steps)
        reached = (sp.host(before) > sp.IMPOSSIBLE).any(tuple(range(1, before.ndim)))
        fro = np.flatnonzero(reached | ~reached.any())  # for a single digit, only the carry 0
        before, carry = sp.take(before, fro), self.carry[fro].reshape(-1, *(1 for _ in self.digits.shape))
        sums, parts = points_of(self.column.chain.support), []
        for block in sp.in_blocks(len(sums), max(1, carry.size * self.digits.size)):
            some = sums[block].reshape(-1, 1, *(1 for _ in self.digits.shape))
            carried, left = np.divmod(some + carry - self.digits, self.base)
            to = np.where(left == 0, carried - self.carry[0], -1)  # [W, C, M, *batch], the carry out of the column
            parts.append(self.add(before + sp.picked(behind, to), 1))
        outside = sp.library(before).concat(parts, axis=0)
        return sp.lifted(outside, sp.log_sum(self.column.all + outside)[None])

    def messages(self, steps: sp.Array) -> tuple[sp.Array, sp.Array]:
        """The messages along the chain: two arrays `[C, M, *batch]` of log-weights, up to a constant.

        The first array has the weight of everything before each position, given the carry into the position. The second
        has the weight of everything behind it, given the carry out of it.
        """
        xp, count, shape = sp.library(steps), steps.shape[2], (steps.shape[0], *steps.shape[3:])
        if not self.paired or count == 1:  # one by one
            fro, to = [xp.broadcast_to(self.start, shape)], [xp.broadcast_to(self.end, shape)]
            for position in range(count - 1):
                fro.append(sp.max_normalised(self.add(fro[-1][:, None] + steps[:, :, position], 0), (0,)))
                to.append(sp.max_normalised(self.add(steps[:, :, -1 - position] + to[-1], 1), (0,)))
            return xp.stack(fro, axis=1), xp.stack(to[::-1], axis=1)
        before, behind = self.messages(sp.max_normalised(self.pairs(steps), (0, 1)))  # of the pairs
        half = count // 2
        between = self.add(before[:, None, :half] + steps[:, :, :-1:2], 0)
        after = self.add(steps[:, :, 1::2] + behind[None, :, :half], 1)

        def alternating(one: sp.Array, two: sp.Array) -> sp.Array:
            both = xp.stack([one, two], axis=2)
            return xp.reshape(both, (len(both), 2 * both.shape[1], *both.shape[3:]))[:, :count]

        between, after = (xp.concat([x, y[:, half:]], axis=1) for x, y in ((between, before), (after, behind)))
        return alternating(before, between), alternating(after, behind)

    def split(self, choose: sp.Choose, batch: tuple[int, ...]) -> NDArray[np.int64]:
        """Choose sums of the columns that make up the total, which must be possible: indices from the least sum on,
        `[M, *batch]`.

        The most significant position is chosen first. The alternatives begin with the smallest sum, which has the
        largest carry into the column.
        """
        before, steps = sp.host(self.messages(self.steps)[0])[::-1], sp.host(self.steps)[::-1]
        to = np.broadcast_to(self.above - self.carry[0], batch)
        sums = np.empty((len(self.digits), *batch), np.int64)
        for i in reversed(range(len(sums))):
            weights = before[:, i] + np.take_along_axis(steps[:, :, i], to[None, None], 1)[:, 0]
            fro = len(self.carry) - 1 - choose(weights)
            sums[i] = self.digits[i] + self.base * self.carry[to] - self.carry[fro] - self.column.chain.support[0]
            to = fro
        return sums


@dataclass
class Terms:
    """The terms of a sum, by kind. In their arrays, values come first, then positions of digits, then the batch.

    Attributes:
        digits: For each number with digits, its step and the log-probabilities of its digits, `[base, M, *batch]`. The
            least significant position comes first.
        lengths: For each of these numbers, how many positions it has without padding.
        ranges: For each term of dense integers, its step and the log-probabilities of the integers from zero on, `[n,
            *batch]`.
        points: For each list, its values times its step, in units of 1/`unit`, and their log-probabilities, `[n,
            *batch]`.
        unit: How many units make up one.
    """

    digits: list[Term] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    ranges: list[Term] = field(default_factory=list)
    points: list[Points] = field(default_factory=list)
    unit: int = 1


class Equation:
    """A sum of terms with a known value.

    Args:
        terms: The terms, at least one.
        target: The value of the sum `[*batch]`, in the units of `terms`.
        ring: `LOG_SUM` or `LOG_MAX`.
        middle: The index at which lists without digits are cut into two halves. By default it is chosen so that neither
            half has many sums.

    Attributes:
        weights: For each partial sum of the lists, the log-probability of that sum and the total together, `[E,
            *batch]`.
    """

    def __init__(self, terms: Terms, target: NDArray[Any], ring: sp.Ring, middle: int | None = None) -> None:
        self.terms, self.target, self.add = terms, target, ring.add
        lists, self.ranges = list(terms.points), ranges_of(terms, ring) if terms.ranges else None
        if self.ranges:
            lists.insert(0, listed(self.ranges, terms.unit))
        if middle is None:
            cuts, sizes = range(len(lists) + 1), [len(values) for values, _ in lists]
            balanced = min(cuts, key=lambda cut: max(prod(sizes[:cut]), prod(sizes[cut:])))
            middle = len(lists) if terms.digits else balanced
        reference = terms.digits[0][1][:, 0] if terms.digits else lists[0][1]
        self.left = added_up(lists[:middle], ring, reference)
        points = points_of(self.left.chain.support)
        if terms.digits:
            (_, first), states = terms.digits[0], len(points) * terms.digits[0][1].shape[1]
            sums = sp.Chain(steps_of(terms.digits)).support
            what = "Partial sums of candidates, times the positions and the sums of digits at each,"
            sp.limited(states * len(sums), what, "give fewer candidates for each number")
            pairs = len(carries(sums[0], sums[-1], len(first), 0, len(first) - 1)) ** 2
            what = "Partial sums of candidates, times the positions and the pairs of carries,"
            sp.limited(states * pairs, what, "add fewer numbers, or multiply them by smaller ones")
            self.column = stretched([(step, x[..., None]) for step, x in terms.digits], ring)
            rest = target[..., None] - points if lists else target[..., None]
            self.chain = self.chain_to(rest)
            self.rest = sp.values_first(self.chain.log_prob(), target.ndim)
            if terms.unit > 1:
                whole = np.where(rest % terms.unit == 0, 0.0, sp.IMPOSSIBLE)
                self.rest = self.rest + sp.values_first(sp.like(self.rest, whole), target.ndim)
        else:
            self.right = added_up(lists[middle:], ring, reference)
            self.rest = sp.picked(self.right.all, self.to(self.right, points))
        self.weights = self.left.all + self.rest if lists else self.rest

    def chain_to(self, rest: NDArray[Any]) -> Carries:
        """The chain of carries of the digits if they sum up to `rest` `[*batch, E]`."""
        (_, term), *_ = self.terms.digits
        rest = rest // self.terms.unit if self.terms.unit > 1 else rest
        return Carries(self.column, *columns(rest, len(term), term.shape[1]), len(term))

    def to(self, others: sp.Sums, points: NDArray[Any]) -> NDArray[np.int64]:
        """For each of the points `[E]`, the index of the sum in `others` that completes it to the target, or −1: `[E,
        *batch]`."""
        return found(others.chain.support, narrow(self.target - points.reshape(-1, *(1 for _ in self.target.shape))))

    def log_prob(self) -> sp.Array:
        """The log-probability of the total `[*batch]`."""
        return self.add(self.weights, 0) if len(self.weights) > 1 else self.weights[0]

    def backward(self) -> dict[str, list[sp.Array]]:
        """The outside weights of each term: the log-weight of everything else, given a value of the term.

        Added to the term's log-probabilities, they give its distribution given the total, up to a constant. If the
        total is impossible, they are −inf.
        """
        lists, digits = self.left.backward(sp.normalised(self.rest))[::-1], []
        if self.terms.digits:
            outside = self.chain.backward() + sp.batch_first(sp.normalised(self.weights))  # [W, M, *batch, E]
            outside = self.add(outside, outside.ndim - 1)[..., None] if lists else outside
            digits = [one[..., 0] for one in self.column.backward(outside)[::-1]]
        else:
            points = points_of(self.right.chain.support)
            lists += self.right.backward(sp.picked(self.left.all, self.to(self.left, points)))[::-1]
        ranges = self.ranges.backward(lists.pop(0))[::-1] if self.ranges else []
        return {"digits": digits, "ranges": ranges, "points": lists}

    def split(self, choose: sp.Choose, batch: tuple[int, ...]) -> dict[str, list[NDArray[np.int64]]]:
        """Choose a value of each term so that the terms make the total, which must be possible. Returns indices: `[M,
        *batch]` for digits, `[*batch]` for other terms."""
        weights = sp.host(self.weights)
        index = choose(np.broadcast_to(weights, (len(weights), *batch)))
        lists, digits = self.left.split(index, choose)[::-1], []
        rest = narrow(np.asarray(self.target - np.asarray(points_of(self.left.chain.support)[index])))
        if self.terms.digits:
            sums = self.chain_to(rest[..., None]).split(choose, (*batch, 1))
            digits = [one[..., 0] for one in self.column.split(sums, choose)[::-1]]
        else:
            lists += self.right.split(found(self.right.chain.support, rest), choose)[::-1]
        ranges = self.ranges.split(lists.pop(0), choose)[::-1] if self.ranges else []
        return {"digits": digits, "ranges": ranges, "points": lists}


def steps_of(terms: Sequence[Term]) -> list[range]:
    """The values that each term adds, the last term first: a range for each."""
    return [range(0, step * len(x), step) for step, x in terms[::-1]]


def stretched(terms: Sequence[Term], ring: sp.Ring) -> sp.Sums:
    """The sum of terms `step · x`, of x = 0, 1, …, as a range without gaps; the first term is added last."""
    start = sp.like(terms[0][1], np.zeros((1,) * terms[0][1].ndim))
    return sp.Sums(sp.Chain(steps_of(terms)), ring, [x for _, x in terms[::-1]], start)


def ranges_of(terms: Terms, ring: sp.Ring) -> sp.Sums:
    """The sum of the dense integers: a range, or points if it would be almost empty (`SPARSE`)."""
    span = 1 + sum(abs(step) * (len(x) - 1) for step, x in terms.ranges)
    if span <= SPARSE * prod(len(x) for _, x in terms.ranges):
        return stretched(terms.ranges, ring)
    return added_up([(narrow(step * np.arange(len(x)).astype(object)), x) for step, x in terms.ranges], ring)


def added_up(lists: Sequence[Points], ring: sp.Ring, reference: sp.Array = None) -> sp.Sums:
    """The sum of lists; the first list is added last. `reference` is an array with the library, type and batch of the
    lists, by default the first of them."""
    reference = lists[0][1] if reference is None else reference
    start = sp.like(reference, np.zeros((1, *(1 for _ in reference.shape[1:]))))
    return sp.Sums(sp.Chain([values for values, _ in lists[::-1]]), ring, [x for _, x in lists[::-1]], start)


def listed(sums: sp.Sums, unit: int = 1) -> Points:
    """Sums as a list of values in units of 1/`unit`."""
    values = points_of(sums.chain.support)
    return (values if unit == 1 else narrow(values.astype(object) * unit)), sums.all


# All totals, and the most probable one.

BEAM = 128
"""The most prefixes of totals that are kept."""
MEND = "ask log_prob of single totals, or most_probable_total"


@dataclass(frozen=True)
class MostProbable:
    """The most probable total that was found, and a bound on all others.

    Attributes:
        total: The total, `[...]`.
        log_prob: Its log-probability.
        bound: An upper bound: no total has a greater log-probability.
    """

    total: Any
    log_prob: sp.Weights
    bound: sp.Weights

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Whether no other total is more probable, up to rounding: `[...]`."""
        margin = sp.ROUNDING * np.finfo(np.float64).eps * np.maximum(1, np.abs(self.log_prob))
        return self.bound <= self.log_prob + margin


class Prefixes:
    """The lowest digits of totals, of numbers with digits and perhaps of lists, whose sums are points `[E]`.

    The weights of some prefixes are `[F, C, E, *batch]`, for each carry out of them and each sum of the lists.
    """

    def __init__(self, terms: Terms, points: NDArray[Any], kept: int) -> None:
        (_, term), *_ = terms.digits
        self.base, self.count = len(term), term.shape[1]
        sums = sp.Chain(steps_of(terms.digits)).support
        self.first, self.digits = sums[0], columns(points, self.base, self.count)  # of the lists' sums: [M, E], [E]
        self.carry = carries(self.first, sums[-1] + int(self.digits[0].max()), self.base, 0, self.base - 1)
        sp.limited(
            kept * self.base * len(self.carry) ** 2 * len(points),
            "States of the search",
            "give fewer candidates or operands",
        )
        self.sums = stretched(terms.digits, sp.LOG_SUM).all

    def steps(self, position: int) -> sp.Array:
        """The log-weight of each digit of the total at a position, by the carry in and the carry out: `[base, C, C', E,
        *batch]`."""
        digit, to, fro = np.arange(self.base)[:, None, None, None], self.carry[:, None], self.carry[:, None, None]
        return sp.take(self.sums[:, position], digit + self.base * to - fro - self.digits[0][position] - self.first)

    def longer(self, weights: sp.Array, position: int) -> sp.Array:
        """The weights of all prefixes with one more digit, `[base · F, C, E, *batch]`: the digit changes slowest."""
        xp, steps = sp.library(weights), self.steps(position)
        blocks = sp.in_blocks(self.base, prod(weights.shape) * len(self.carry))
        parts = [sp.log_sum(weights[None, :, :, None] + steps[block, None], 2) for block in blocks]
        return xp.concat([xp.reshape(part, (len(part) * len(weights), *part.shape[2:])) for part in parts], axis=0)

    def ended(self, weights: sp.Array) -> tuple[NDArray[Any], sp.Array]:
        """Join prefixes with the part of the total above their digits: the parts `[T]`, ascending, and the weights of
        all totals `[T, F, *batch]`."""
        tops, top = np.unique(self.carry[:, None] + self.digits[1], return_inverse=True)
        xp = sp.library(weights)
        weights = xp.permute_dims(weights, (1, 2, 0, *range(3, weights.ndim)))
        return tops, sp.merged(xp.reshape(weights, (top.size, *weights.shape[2:])), top.reshape(-1), sp.log_sum)

    def start(self, lists: sp.Array) -> sp.Array:
        """The weights of no digits at all, `[1, C, E, *batch]`, given those of the lists' sums `[E, *batch]`."""
        there = np.where(self.carry == 0, 0.0, sp.IMPOSSIBLE).reshape(-1, *(1 for _ in lists.shape))
        return (sp.like(lists, there) + lists)[None]


def all_totals(terms: Terms) -> tuple[int, sp.Array]:
    """The least total, and the log-probabilities of all totals from it on, `[T, *batch]`; terms are whole numbers."""
    first, spread = 0, list(terms.ranges)
    if terms.points:
        points, x = listed(added_up(terms.points, sp.LOG_SUM))
        first, span = int(points[0]), int(points[-1] - points[0]) + 1
        sp.limited(span, "All totals", MEND)
        spread.append((1, sp.take(x, found(points, first + np.arange(span)))))
    if terms.digits:
        least, x = totals_of_digits(terms)
        spread, first = [*spread, (1, x)], first + least
    sp.limited(1 + sum(abs(step) * (len(x) - 1) for step, x in spread), "All totals", MEND)
    sums = stretched(spread, sp.LOG_SUM)
    return first + int(sums.chain.support[0]), sums.all


def totals_of_digits(terms: Terms) -> tuple[int, sp.Array]:
    """The least total of the digits, and the log-probabilities of all totals from it on, `[T, *batch]`."""
    base, count, *_ = terms.digits[0][1].shape
    sp.limited(sum(abs(step) for step, _ in terms.digits) * base**count, "All totals", MEND)
    prefixes = Prefixes(terms, np.zeros(1, np.int64), 1)
    weights = prefixes.start(sp.like(prefixes.sums, np.zeros((1, *(1 for _ in prefixes.sums.shape[2:])))))
    for position in range(count):
        weights = prefixes.longer(weights, position)
    (first, *_), x = prefixes.ended(weights)
    greatest = [step * (base**length - 1) for (step, _), length in zip(terms.digits, terms.lengths, strict=True)]
    least, start = sum(min(0, one) for one in greatest), int(first) * base**count
    x = sp.library(x).reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))
    return least, x[least - start : least - start + sum(map(abs, greatest)) + 1]


def most_probable(terms: Terms) -> MostProbable:
    """The most probable total. With digits, all terms must be whole numbers."""
    if not terms.digits and not terms.points and {step for step, _ in terms.ranges} == {1}:
        return best_of(0, sums_of_ranges([x for _, x in terms.ranges]))
    lists = [*terms.points, *([listed(ranges_of(terms, sp.LOG_SUM), terms.unit)] if terms.ranges else [])]
    points, x = listed(added_up(lists, sp.LOG_SUM, terms.digits[0][1][:, 0] if terms.digits else None))
    if not terms.digits:
        return best_of(points, x)
    try:
        prefixes = Prefixes(terms, points, BEAM)
    except sp.TooManyError:
        with suppress(sp.TooManyError):
            return best_of(*all_totals(terms))
        raise
    return searched(prefixes, sp.host(x).astype(np.float64))


def sums_of_ranges(terms: Sequence[sp.Array]) -> sp.Weights:
    """The log-probabilities of the sum of terms `[n, *batch]`, −inf below 1e-308; ten times as fast for a thousand
    digits as with logarithms, which the most probable sum does not need."""
    chain, batch = sp.Chain([range(len(x)) for x in terms]), np.broadcast_shapes(*(x.shape[1:] for x in terms))
    shares = [np.broadcast_to(np.exp(sp.host(x).astype(np.float64)), (len(x), *batch)) for x in terms]
    found = np.empty((len(chain.support), *batch))
    for entry in np.ndindex(batch):
        found[:, *entry] = sp.Sums(chain, sp.PROBABILITIES, [x[:, *entry] for x in shares]).all
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(found))


def best_of(totals: NDArray[Any] | int, x: sp.Array) -> MostProbable:
    """The most probable of `totals`, given their log-probabilities `[T, *batch]`. If `totals` is an integer, it is the
    first of consecutive totals."""
    weights = sp.host(x)
    index = sp.best(weights)
    log_prob = np.take_along_axis(weights, index[None], 0)[0]
    return MostProbable(index + totals if isinstance(totals, int) else totals[index], log_prob, log_prob)


def searched(prefixes: Prefixes, lists: sp.Weights) -> MostProbable:
    """Search for the most probable total, with the lists' sums `[E, *batch]`."""
    prefixes.sums = sp.host(prefixes.sums).astype(np.float64)
    steps = [prefixes.steps(position) for position in range(prefixes.count)]
    above = [np.zeros(np.broadcast_shapes(steps[0].shape[2:], lists.shape))]  # for each number of positions: a bound
    for step in reversed(steps[1:]):  # on what is above, if each digit may be chosen with the carry known
        above.append(sp.log_max(sp.log_sum(step + above[-1], 2)))
    batch, kept = above[0].shape[2:], list[tuple[NDArray[np.int64], int]]()
    weights, dropped = prefixes.start(lists), np.full(batch, sp.IMPOSSIBLE)
    for position in range(prefixes.count):
        before, weights = len(weights), prefixes.longer(weights, position)
        bound = sp.log_sum(sp.log_sum(weights + above.pop(), 1), 1)
        order = np.argsort(-bound, 0, kind="stable")
        lost = np.take_along_axis(bound, order[BEAM : BEAM + 1], 0).max(0, initial=sp.IMPOSSIBLE)
        weights = np.take_along_axis(weights, order[:BEAM, None, None], 0)
        kept.append((order[:BEAM], before))
        dropped = np.maximum(dropped, lost)
    tops, ended = prefixes.ended(weights)
    ended = ended.reshape(len(tops) * len(weights), *batch)
    index = sp.best(ended)
    log_prob = np.take_along_axis(ended, index[None], 0)[0]
    above_digits = narrow(tops.astype(object) * prefixes.base**prefixes.count)[index // len(weights)]
    prefix, digits = index % len(weights), []
    for order, before in reversed(kept):
        index = np.take_along_axis(order, prefix[None], 0)[0]
        digits.append(index // before)
        prefix = index % before
    total = narrow(np.asarray(above_digits + numeral(np.stack(digits, -1), prefixes.base)))
    return MostProbable(total, log_prob, np.maximum(log_prob, dropped))

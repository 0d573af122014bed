"""Sums of digits, dense integers and candidates, against counting out all ways in which they may come about."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enumeration import Way, digits, integers, log_shares, probability, shares_of, sums, values, ways
from sumnist.arithmetic import equation, sumproduct
from sumnist.arithmetic.known import numeral
from sumnist.arithmetic.sumproduct import TRANSFORMED, given_total
from sumnist.arithmetic.sums import Digits, Integers, Operand, Sum
from sumnist.arithmetic.values import Values
from sumnist.errors import NumberError

CLOSE = 1e-9
quick = settings(deadline=None, max_examples=50)


def assert_is(found: Any, operand: Operand, counted: list[Way], known: Any, index: int) -> None:
    """What is found of an operand, given a total, is what has been counted."""
    if isinstance(operand, Digits):
        for digit, row in enumerate(np.exp(found)):
            assert row == pytest.approx(shares_of(counted, known, index, range(operand.base), digit), rel=CLOSE)
    elif isinstance(operand, Integers):
        expected = shares_of(counted, known, index, range(operand.first, operand.last + 1))
        assert found.probabilities == pytest.approx(expected, rel=CLOSE)
        assert found.first == operand.first
    elif isinstance(operand, Values):
        expected = shares_of(counted, known, index, list(found.probabilities))
        assert list(found.probabilities.values()) == pytest.approx(expected, rel=CLOSE)
        assert set(found.probabilities) == set(operand.probabilities)
        assert found.other == 0


def possible_total(data: st.DataObject, counted: list[Way]) -> Any:
    return data.draw(st.sampled_from([way for way in counted if way.probability])).total


@quick
@given(sums(decimals=True), st.integers(-60, 60))
def test_a_total_is_as_probable_as_all_ways_that_make_it(total: Sum, guess: int) -> None:
    counted = ways(total)
    for one in {guess, *(way.total for way in counted[:: len(counted) // 5 + 1])}:
        assert np.exp(total.log_prob(one)) == pytest.approx(probability(counted, one), rel=CLOSE)


@quick
@given(sums(decimals=True), st.data())
def test_a_total_says_of_each_operand_what_all_ways_that_make_it_say(total: Sum, data: st.DataObject) -> None:
    counted = ways(total)
    known = possible_total(data, counted)
    for index, (operand, found) in enumerate(zip(total.operands, total.posterior(known), strict=True)):
        assert_is(found, operand, counted, known, index)


@quick
@given(sums(decimals=True), st.one_of(digits(2), integers(), values(decimals=True)))
def test_a_perceived_total_is_one_more_operand_on_the_other_side(total: Sum, seen: Operand) -> None:
    if isinstance(seen, Digits) and any(isinstance(one, Digits) and one.base != 2 for one in total.operands):
        seen = Integers(seen.log_probs[0], -1)
    counted = ways(Sum([(1, total), (-1, seen)]))
    expected = probability(counted, 0)
    assert np.exp(total.log_prob(seen)) == pytest.approx(expected, rel=CLOSE)
    if not expected:
        with pytest.raises(NumberError, match=r"^The total is impossible: expected"):
            total.posterior(seen)
        return
    found = total.posterior(seen)
    assert len(found) == len(total.operands) + 1
    assert_is(found[-1], seen, counted, 0, len(total.operands))


@quick
@given(sums(decimals=True), st.sets(st.integers(-40, 40), min_size=1, max_size=9))
def test_a_total_may_be_known_to_be_one_of_several(total: Sum, allowed: set[int]) -> None:
    counted = ways(total)
    expected = probability(counted, *allowed)
    assert np.exp(total.log_prob(allowed)) == pytest.approx(expected, rel=CLOSE)
    if expected:
        fitting = [way._replace(total="one of them") for way in counted if way.total in allowed]
        for index, (operand, found) in enumerate(zip(total.operands, total.posterior(allowed), strict=True)):
            assert_is(found, operand, fitting, "one of them", index)


def below(one: Any, two: Any) -> bool:
    """Whether the first is less than the second, or equal to it but for roundings."""
    return bool(one <= two * (1 + CLOSE) + 1e-15)


@quick
@given(sums(other=True), st.data())
def test_with_values_that_nobody_knows_all_is_bounded(total: Sum, data: st.DataObject) -> None:
    """Whatever they are. Here all that is not known of a number is one value, so that bounds are reached."""
    filled: list[Operand] = []
    for operand in total.operands:
        if isinstance(operand, Values):
            new = data.draw(st.sampled_from(sorted(set(range(-25, 26)) - set(operand.probabilities))))
            operand = Values({**operand.probabilities, new: operand.other}, 0.0)
        filled.append(operand)
    counted = ways(Sum([*zip(total.steps, filled, strict=True), (1, total.constant.numbers)]))
    known = possible_total(data, counted)
    least, most = np.exp(total.log_bounds(known))
    assert below(least, probability(counted, known))
    assert below(probability(counted, known), most)
    greatest = max(probability(counted, one) for one in {way.total for way in counted})
    assert below(greatest, np.exp(total.most_probable_total().bound))
    for index, found in enumerate(total.posterior(known)):
        if not isinstance(found, Integers | Values):
            continue
        shares = found.probabilities
        if isinstance(found, Integers):
            shares = dict(enumerate(found.probabilities.tolist(), found.first))
        other = 1 - sum(shares.values())
        for share, expected in zip(shares.values(), shares_of(counted, known, index, list(shares)), strict=True):
            assert below(share, expected)
            assert below(expected, share + other)


@quick
@given(sums())
def test_the_totals_are_all_there_and_the_most_probable_one_is_found(total: Sum) -> None:
    counted, found = ways(total), total.totals()
    expected = [probability(counted, one) for one in range(found.first, found.last + 1)]
    assert found.probabilities == pytest.approx(expected, rel=CLOSE)
    assert sum(expected) == pytest.approx(1)
    best = total.most_probable_total()
    assert best.certain
    assert np.exp(best.log_prob) == pytest.approx(max(expected), rel=CLOSE)
    assert probability(counted, best.total) == pytest.approx(max(expected), rel=CLOSE)


@quick
@given(sums(decimals=True), st.data())
def test_the_explanation_is_the_most_probable_way(total: Sum, data: st.DataObject) -> None:
    counted = ways(total)
    known = possible_total(data, counted)
    found = total.explanation(known)
    parts = tuple(tuple(one.tolist()) if isinstance(one, np.ndarray) else one for one in found.values)
    (way,) = [way for way in counted if way.parts == parts]
    assert way.total == known
    assert np.exp(found.log_prob) == pytest.approx(way.probability, rel=CLOSE)
    assert way.probability == pytest.approx(max(one.probability for one in counted if one.total == known), rel=CLOSE)


def some(random: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Log-probabilities `[*batch, n]`."""
    return log_shares(random.gamma(0.5, size=shape))


@pytest.mark.parametrize("known", [None, 3])
def test_draws_are_as_frequent_as_they_are_probable(known: int | None) -> None:
    random, count = np.random.default_rng(7), 20_000
    operands = Digits(some(random, 2, 3)), Integers(some(random, 4)), Values({1: 0.25, 4: 0.75}, 0.0)
    total = Sum(list(zip((1, -2, 1), operands, strict=True)))
    drawn = total.sample(count, known, random)
    number, two, three = drawn.values
    fitting = [way for way in ways(total) if known is None or way.total == known]
    assert known is None or set((numeral(number, 3) - 2 * two + three).tolist()) == {known}
    for way in fitting:
        hits = (number == way.parts[0]).all(-1) & (two == way.parts[1]) & (three == way.parts[2])
        share = way.probability / sum(one.probability for one in fitting)
        assert abs(hits.mean() - share) <= 5 * np.sqrt(share * (1 - share) / count)
        assert drawn.log_prob[hits] == pytest.approx(np.log(way.probability))


def test_of_equally_probable_ways_the_smallest_sums_of_digits_are_taken_from_the_top_and_the_smallest_values() -> None:
    any_number = Digits(np.log(np.full((2, 10), 0.1)))
    one, two = (any_number + any_number).explanation(25).values
    assert (one.tolist(), two.tolist()) == ([0, 6], [1, 9])
    lists = Sum.of(Values({5: 0.5, 3: 0.5}, 0.0), Values({1: 0.5, 3: 0.5}, 0.0))
    assert lists.explanation(6).values == (3, 3)
    assert lists.explanation({4, 6}).values == (3, 1)


def test_a_list_of_most_numbers_in_a_range_is_as_any_list() -> None:
    random = np.random.default_rng(7)
    shares = np.exp(some(random, 60))
    few: dict[int | Decimal, float] = {value: float(share) for value, share in enumerate(shares, -5) if value % 5}
    dense = Values(few, 1 - sum(few.values())).spread(20, 50)
    listed = Sum.of(dense, *[Values({2: 0.5, 4000: 0.5}, 0.0)] * 2)
    assert (dense.kind, dense.other) == ("ranges", 0)
    counted = ways(listed)
    known = max(counted, key=lambda way: way.probability).total
    assert np.exp(listed.log_prob(known)) == pytest.approx(probability(counted, known))
    assert_is(listed.posterior(known)[0], dense, counted, known, 0)
    assert {sum(chosen) for chosen in zip(*listed.sample(50, known, random).values, strict=True)} == {known}


def test_ten_lists_meet_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sums of the ten would be far too many."""
    monkeypatch.setattr(sumproduct, "STATES", 9**5)
    random = np.random.default_rng(7)
    lists = [
        Values(dict(zip(random.choice(10**12, 9, False).tolist(), np.exp(some(random, 9)).tolist(), strict=True)), 0.0)
        for _ in range(10)
    ]
    chosen, total = [one.ascending[3] for one in lists], Sum.of(*lists)
    assert [one.mode for one in total.posterior(sum(chosen))] == chosen
    expected = sum(np.log(one.probabilities[value]) for one, value in zip(lists, chosen, strict=True))
    assert total.log_prob(sum(chosen)) == pytest.approx(expected)
    assert total.explanation(sum(chosen)).values == tuple(chosen)
    with pytest.raises(
        NumberError, match=r"^Partial sums of candidates would be [\d,]+: expected at most [\d,]+; give"
    ):
        total.most_probable_total()


def test_what_has_values_is_added_by_them() -> None:
    class Reading:
        values = Values({3: 0.5, 4: 0.5}, 0.0)

    die = Integers(np.log(np.full(6, 1 / 6)), first=1)
    for total in (Sum.of(Reading(), die), die + Reading.values, Reading.values + die):
        assert np.exp(total.log_prob(5)) == pytest.approx(1 / 6)
    assert np.exp((die + 0 * die).log_prob(3)) == pytest.approx(1 / 6)
    assert np.exp(Sum.of(die).log_prob(Reading())) == pytest.approx(1 / 6)
    assert (Reading.values - 10).probabilities == {-7: 0.5, -6: 0.5}
    assert (10 - Reading.values).probabilities == {7: 0.5, 6: 0.5}
    assert (Reading.values + np.array([1, 2])).log_prob(5).tolist() == pytest.approx([np.log(0.5)] * 2)


# What is large, coarse, or shown.


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


# Batches.


def test_an_entry_of_a_batch_is_as_alone(random: np.random.Generator) -> None:
    one, two, three = some(random, 2, 1, 2, 10), some(random, 3, 1, 10), some(random, 2, 3, 6)
    four = Values({3: 0.5, 70: 0.5}, 0.0)
    total = Digits(one) + Digits(two) - Integers(three) + four
    known = random.integers(10, 90, size=(2, 3))
    log_prob, found = total.log_prob(known), total.posterior(known)
    best, explained, allowed = total.most_probable_total(), total.explanation(known), total.log_prob({30, 50})
    assert [one.shape for one in (log_prob, *found[:2])] == [(2, 3), (2, 3, 2, 10), (2, 3, 1, 10)]
    for entry in np.ndindex(2, 3):
        i, j = entry
        alone, at = Digits(one[i, 0]) + Digits(two[j]) - Integers(three[entry]) + four, int(known[entry])
        expected = alone.posterior(at)
        assert log_prob[entry] == pytest.approx(alone.log_prob(at))
        assert np.exp(found[0][entry]) == pytest.approx(np.exp(expected[0]))
        assert np.exp(found[1][entry]) == pytest.approx(np.exp(expected[1]))
        assert found[2].probabilities[entry] == pytest.approx(expected[2].probabilities)
        assert dict(found[3][entry].probabilities) == pytest.approx(dict(expected[3].probabilities))
        assert best.total[entry] == alone.most_probable_total().total
        assert explained.log_prob[entry] == pytest.approx(alone.explanation(at).log_prob)
        assert explained.values[0][entry].tolist() == alone.explanation(at).values[0].tolist()
        assert allowed[entry] == pytest.approx(alone.log_prob({30, 50}))
        assert total.totals().log_probs[entry] == pytest.approx(alone.totals().log_probs)


def test_known_numbers_may_differ_by_entry(random: np.random.Generator) -> None:
    number, known = Digits(some(random, 3, 2, 10)), np.array([5, -20, 40])
    for total in (known + number, number + torch.tensor(known), number - (-known)):
        assert total.log_prob(known + 37) == pytest.approx((number + 0).log_prob(37))
        assert total.most_probable_total().total.tolist() == ((number + 0).most_probable_total().total + known).tolist()


# Long numbers, and many.


def counted_by_columns(weights: list[list[list[int]]], steps: list[int], total: int, base: int) -> Fraction:
    """The probability of a total of long numbers, in whole numbers: weights of digits, the most significant first."""
    carries, whole = {0: 1}, 1
    for column in zip(*(number[::-1] for number in weights), strict=True):
        for step, one in zip(steps, column, strict=True):
            more: dict[int, int] = {}
            for known, ways_to_it in carries.items():
                for digit, weight in enumerate(one):
                    more[known + step * digit] = more.get(known + step * digit, 0) + ways_to_it * weight
            carries, whole = more, whole * sum(one)
        total, digit = divmod(total, base)
        carries = {value // base: ways_to_it for value, ways_to_it in carries.items() if value % base == digit}
    return Fraction(carries.get(total, 0), whole)


@pytest.mark.parametrize(
    ("length", "steps", "base"),
    [(40, [1, 1], 10), (25, [1, -1, 1], 10), (6, [-1, 1], 10), (12, [-1, -1, -1, 2], 3), (4, [1] * 12, 10)],
)
@pytest.mark.parametrize("paired", [0, 100])
def test_long_numbers_are_added_exactly_in_pairs_and_in_turn(
    length: int, steps: list[int], base: int, paired: int, monkeypatch: pytest.MonkeyPatch, random: np.random.Generator
) -> None:
    monkeypatch.setattr(equation, "PAIRED_CARRIES", paired)
    weights = [random.integers(1, 100, size=(length, base)).tolist() for _ in steps]
    written = [random.integers(0, base, length).tolist() for _ in steps]
    total = sum(step * int(numeral(one, base)) for step, one in zip(steps, written, strict=True))
    expected = counted_by_columns(weights, steps, total, base)
    operands = [Digits(log_shares(one)) for one in weights]
    both = Sum(list(zip(steps, operands, strict=True)))
    assert both.log_prob(total) == pytest.approx(math.log(expected), rel=CLOSE)
    assert both.log_prob(10 * len(steps) * base**length) == -np.inf
    digit = written[-1][3]
    share = Fraction(weights[-1][3][digit], sum(weights[-1][3]))
    weights[-1][3] = [int(one == digit) for one in range(base)]
    share *= counted_by_columns(weights, steps, total, base) / expected
    assert np.exp(both.posterior(total)[-1][3, digit]) == pytest.approx(float(share), rel=CLOSE)


def test_work_in_blocks_is_the_same_as_at_once(random: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = Sum.of(Integers(some(random, 20)), Integers(some(random, 30)), Integers(some(random, 10)))
    numbers = Sum.of(Digits(some(random, 2, 10)), Digits(some(random, 2, 10)))
    at_once = [ranges.totals().log_probs, numbers.totals().log_probs, *(one.log_probs for one in ranges.posterior(31))]
    monkeypatch.setattr(sumproduct, "BLOCK", 50)
    blocks = [ranges.totals().log_probs, numbers.totals().log_probs, *(one.log_probs for one in ranges.posterior(31))]
    for one, two in zip(at_once, blocks, strict=True):
        assert one == pytest.approx(two)


KINDS: dict[str, Callable[[np.random.Generator, NDArray[Any]], Any]] = {
    "unsure": lambda random, x: x,
    "sure": lambda random, x: 12 * x,
    "all but sure": lambda random, x: 300 * x,
    "some impossible": lambda random, x: np.where(random.random(x.shape) < 0.4, -np.inf, x),
    "even": lambda random, x: np.where(np.arange(x.shape[1]) % 2 == 0, x, -np.inf),
    "any, beside certain ones": lambda random, x: np.where(
        (np.arange(len(x)) == 3)[:, None] | (np.arange(x.shape[1]) == 4), 0.0, -np.inf
    ),
}
"""Logits of digits that are made of normal ones `[K, 10]`."""


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=30)
@given(count=st.integers(TRANSFORMED, 90), at=st.floats(0, 1), typical=st.booleans(), seed=st.integers(0, 2**20))
@example(count=8, at=0.53125, typical=False, seed=9)  # if sure, one digit hardly fits, and the total is not likely
def test_a_total_of_many_single_digits_is_that_of_their_convolution(
    kind: str, count: int, at: float, typical: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    logits = KINDS[kind](random, random.normal(size=(count, 10)))
    logits[:, 4] = np.where(np.isfinite(logits).any(1), logits[:, 4], 0)
    scores = logits - np.logaddexp.reduce(logits, 1)[:, None]
    shares = np.exp(scores)
    drawn = sum(int(random.choice(10, p=row / row.sum())) for row in shares)
    total, asked = drawn if typical else round(9 * count * at), Sum.of(*(Digits(row[None]) for row in scores))
    before, behind, possible = [np.ones(1)], [np.ones(1)], {0}
    for one, two, row in zip(shares, shares[::-1], scores, strict=True):
        before.append(np.convolve(before[-1], one))
        behind.append(np.convolve(behind[-1], two))
        possible = {start + digit for start in possible for digit in np.flatnonzero(np.isfinite(row)).tolist()}
    expected = before[-1][total]
    found = float(asked.log_prob(total))
    assert np.isfinite(found) == (total in possible)
    assert np.exp(found) == pytest.approx(expected, rel=1e-9, abs=1e-150)
    if total not in possible:
        with pytest.raises(NumberError, match="The total is impossible"):
            asked.posterior(total)
    if expected < 1e-150:
        return
    for place, row in enumerate(asked.posterior(total)):
        others = np.concatenate([np.zeros(9), np.convolve(before[place], behind[count - 1 - place]), np.zeros(9)])
        share = shares[place] * others[total + 9 - np.arange(10)] / expected
        assert np.exp(row[0]) == pytest.approx(share, rel=1e-8, abs=1e-150)


def test_a_likely_total_is_precise_beside_an_impossible_one(random: np.random.Generator) -> None:
    scores = np.log(random.dirichlet(np.ones(10), (2, 20)))
    scores[1, :, :3] = -np.inf
    scores[1] -= np.logaddexp.reduce(scores[1], 1)[:, None]
    log_probs, posteriors, _ = given_total(scores, np.array([85.0, 59.0]))
    assert np.isnan(log_probs[1])
    (alone,), (posterior,), _ = given_total(scores[:1], np.array([85.0]))
    assert log_probs[0] == pytest.approx(alone, rel=1e-12)
    assert np.exp(posteriors[0]) == pytest.approx(np.exp(posterior), abs=1e-12)


def test_of_what_cannot_be_searched_the_bound_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equation, "BEAM", 1)
    for random in map(np.random.default_rng, range(60)):  # some are missed
        total = Sum.of(*(Digits(some(random, 2, 3)) for _ in range(2)))
        best, greatest = total.most_probable_total(), total.totals().log_probs.max()
        assert best.log_prob == pytest.approx(total.log_prob(best.total))
        assert best.log_prob - CLOSE <= greatest <= best.bound + CLOSE


def test_the_most_probable_total_of_long_sure_numbers_is_certain(random: np.random.Generator) -> None:
    sure = log_shares(np.eye(10)[random.integers(0, 10, (2, 300))] * 500 + random.gamma(0.5, size=(2, 300, 10)))
    best = (Digits(sure[0]) + Digits(sure[1])).most_probable_total()
    assert best.certain
    assert best.total == sum(int(one) for one in numeral(sure.argmax(-1)))


# Precision.


def test_what_is_hardly_possible_is_not_lost() -> None:
    """Of numbers that are almost surely 0, both are 9: 1e-300 each."""
    hardly = Digits(np.log([[1.0, *[1e-300] * 9]]))
    assert (hardly + hardly).log_prob(18) == pytest.approx(2 * np.log(1e-300))
    assert (hardly + hardly).totals().log_prob(17) == pytest.approx(np.log(2) + 2 * np.log(1e-300))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_may_be_as_large_as_they_like(dtype: torch.dtype) -> None:
    logits = torch.tensor([[1e4, -1e4, *[0.0] * 8]], dtype=dtype, requires_grad=True)
    one = Digits(torch.log_softmax(logits, -1))
    for known in (0, 1, 2, 18):
        (gradient,) = torch.autograd.grad((one + one).log_prob(known), logits, retain_graph=True)
        assert torch.isfinite(gradient).all()
    assert (one + one).log_prob(2).item() == pytest.approx(math.log(2) - 1e4)
    assert (one + one).log_prob(1).item() == pytest.approx(math.log(2) - 2e4)


def test_numpy_and_torch_and_half_the_bits_agree(random: np.random.Generator) -> None:
    one, two, known = some(random, 3, 2, 10), some(random, 3, 1, 10), np.arange(3) * 40
    ours = Digits(one) + Digits(two)
    for dtype, rounding in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        theirs = Digits(torch.tensor(one, dtype=dtype)) + Digits(torch.tensor(two, dtype=dtype))
        for found, expected in (
            (theirs.log_prob(torch.tensor(known)), ours.log_prob(known)),
            (theirs.totals().log_probs, ours.totals().log_probs),
            (theirs.posterior(known)[0], ours.posterior(known)[0]),
        ):
            assert found.dtype == dtype
            assert found.numpy() == pytest.approx(expected, rel=rounding, abs=rounding)
        assert theirs.most_probable_total().total.tolist() == ours.most_probable_total().total.tolist()


# Gradients.


@settings(deadline=None, max_examples=50)
@given(sums(), st.data())
def test_the_posterior_is_the_gradient_of_the_log_partition(total: Sum, data: st.DataObject) -> None:
    known = data.draw(st.sampled_from([way for way in ways(total) if way.probability])).total
    leaves = [torch.tensor(one.log_probs, requires_grad=True) for one in total.operands if not isinstance(one, Values)]
    arrays, terms = iter(leaves), [(1, total.constant.numbers)]
    for step, one in zip(total.steps, total.operands, strict=True):
        if isinstance(one, Digits):
            terms.append((step, Digits(next(arrays))))
        else:
            terms.append((step, Integers(next(arrays), one.first) if isinstance(one, Integers) else one))
    if not leaves:
        return
    same = Sum(terms)
    gradients = iter(torch.autograd.grad(same.log_prob(known), leaves))
    for found in same.posterior(known):
        if not isinstance(found, Values):
            share = getattr(found, "log_probs", found).detach().exp()
            assert share.numpy() == pytest.approx(next(gradients).numpy(), rel=CLOSE, abs=1e-12)


def test_the_gradient_of_an_impossible_total_is_zero() -> None:
    x = torch.log_softmax(torch.zeros(3, 2, 10), -1).requires_grad_()
    log_prob = (Digits(x) + Digits(x)).log_prob([100, 199, 10**30])
    assert log_prob.isinf().tolist() == [False, True, True]
    (gradient,) = torch.autograd.grad(log_prob.sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient[1:] == 0).all()


def test_gradients_are_finite_where_digits_are_impossible() -> None:
    x = torch.tensor(np.log([[0.5, 0.5, 1e-320, *[1e-320] * 7]])).masked_fill(torch.arange(10) > 2, -torch.inf)
    x.requires_grad_()
    total = Digits(x) + Digits(x) + Values({0: 0.5, 1: 0.5}, 0.0)
    for known in (2, 3, 5, 9):
        (gradient,) = torch.autograd.grad(total.log_prob(known), x)
        assert torch.isfinite(gradient).all()


ANY = Digits(np.log(np.full((2, 10), 0.1)))
BINARY = Digits(np.log(np.full((2, 2), 0.5)))
LONG = Digits(np.log(np.full((9, 10), 0.1)))
BATCH = Digits(np.log(np.full((3, 2, 10), 0.1)))
DIE = Integers(np.log(np.full(6, 1 / 6)), first=1)
HALF = Values({1: 0.5}, 0.5)

REFUSED: dict[str, Callable[[], Any]] = {
    "probabilities that are no logarithms": lambda: Digits(np.full((2, 10), 0.1)),
    "an impossible condition": lambda: DIE.condition({7}),
    "a factor of zero": lambda: ANY * 0,
    "nan": lambda: Values({5: math.nan, 6: 1.0}, 0.5),
    "two bases": lambda: (ANY + BINARY).log_prob(3),
    "two libraries": lambda: (ANY + Digits(torch.tensor(ANY.log_probs))).log_prob(7),
    "batches that do not fit": lambda: (ANY + np.arange(3)).log_prob([1, 2]),
    "a column of totals": lambda: (BATCH + BATCH).log_prob([[3], [4], [5]]),
    "an impossible draw": lambda: (ANY + 0).sample(2, [3, 100]),
    "all totals, with others": lambda: (ANY + HALF).totals(),
    "a total, with others": lambda: (ANY + HALF).log_prob(3),
    "draws, with others": lambda: (ANY + HALF).sample(2),
    "too many totals": lambda: (LONG + 0).totals(),
    "too large a search": lambda: (LONG + Integers(np.log(np.full(10_000, 1e-4)))).most_probable_total(),
    "totals of an array": lambda: (ANY + np.arange(3)).totals(),
    "nothing to spread over": lambda: HALF.spread(1, 1),
    "too wide a product": lambda: 10**20 * DIE,
    "too wide a column": lambda: (10**20 * ANY + ANY).log_prob(3),
    "too many carries": lambda: (129_900 * ANY + 49_999 * ANY).log_prob(3),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_with_what_was_expected(case: str) -> None:
    with pytest.raises(NumberError, match="expected"):
        REFUSED[case]()


def test_the_impossible_entry_of_a_batch_is_named() -> None:
    with pytest.raises(NumberError, match=r"^The total is impossible in entry \[1, 1\] of the batch: expected"):
        (ANY + 0).posterior([[7, 8], [9, -1]])


def test_a_batch_may_be_empty() -> None:
    one, nothing = Digits(np.zeros((0, 2, 10))), np.zeros(0, np.int64)
    total = one + one - Integers(np.zeros((0, 3)))
    assert total.log_prob(nothing).shape == total.log_prob(5).shape == (0,)
    shapes = [np.shape(getattr(found, "log_probs", found)) for found in total.posterior(nothing)]
    assert shapes == [(0, 2, 10), (0, 2, 10), (0, 3)]
    assert total.totals().log_probs.shape == (0, 201)
    assert total.explanation(nothing).log_prob.shape == (0,)
    assert total.sample(4, nothing).log_prob.shape == (4, 0)
    assert total.most_probable_total().log_prob.shape == (0,)


@pytest.mark.parametrize("total", [-1, 271, 10**400, -(10**400)])
def test_a_total_out_of_reach_of_many_digits_is_impossible(total: int, random: np.random.Generator) -> None:
    asked = Sum.of(*(Digits(row[None]) for row in np.log(random.dirichlet(np.ones(10), 30))))
    assert asked.log_prob(total) == -np.inf


@pytest.mark.long
def test_gradients_are_those_of_small_differences(random: np.random.Generator) -> None:
    one = torch.tensor(random.normal(size=(2, 3, 4)), requires_grad=True)
    two = torch.tensor(random.normal(size=(2, 2, 4)), requires_grad=True)
    three = torch.tensor(random.normal(size=5), requires_grad=True)

    def asked(question: Callable[[Sum], Any]) -> Callable[..., Any]:
        def answer(*logits: torch.Tensor) -> Any:
            first, second, third = (torch.log_softmax(x, -1) for x in logits)
            return question(Digits(first) - Digits(second) + Integers(third) + Values({0: 0.5, 9: 0.5}, 0.0))

        return answer

    def posterior(total: Sum) -> Any:
        number, _, integers, _ = total.posterior(7)
        return number.exp(), integers.probabilities

    for question in (lambda total: total.log_prob([7, -3]), lambda total: total.totals().probabilities, posterior):
        assert torch.autograd.gradcheck(asked(question), (one, two, three))

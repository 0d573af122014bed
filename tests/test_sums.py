"""Sums of digits, dense integers and candidates, against counting out all ways in which they may come about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enumeration import Way, digits, integers, log_shares, probability, shares_of, sums, values, ways
from sumnist.arithmetic import sumproduct
from sumnist.arithmetic.known import numeral
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
    for index, (operand, found) in enumerate(zip(total.operands, total.posterior(known), strict=True)):
        if isinstance(operand, Digits):
            continue
        shares = found.probabilities
        if isinstance(operand, Integers):
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


def test_draws_are_the_same_for_the_same_seed() -> None:
    number = Digits(some(np.random.default_rng(7), 3, 10))
    one, two = (Sum.of(number, number).sample(5, 900, random=3).values for _ in range(2))
    assert np.array_equal(one, two)


def test_of_equally_probable_ways_the_smallest_sums_of_digits_are_taken_from_the_top() -> None:
    any_number = Digits(np.log(np.full((2, 10), 0.1)))
    one, two = (any_number + any_number).explanation(25).values
    assert (one.tolist(), two.tolist()) == ([0, 6], [1, 9])


def test_products_that_differ_by_roundings_only_are_equally_probable() -> None:
    random = np.random.default_rng(7)
    for share in random.uniform(0.2, 0.8, 30):
        x = log_shares([share, 1e-3, 1 - share])
        one, number = Integers(x), Digits(log_shares([[1e-9, *np.exp(x)]]))
        assert Sum.of(*[one] * 4).explanation(4).values == (0, 0, 2, 2)
        assert [digit.item() for digit in Sum.of(*[number] * 4).explanation(8).values] == [1, 1, 3, 3]


def test_of_equally_probable_lists_the_first_takes_the_smallest_value() -> None:
    one = Sum.of(Values({5: 0.5, 3: 0.5}, 0.0), Values({1: 0.5, 3: 0.5}, 0.0))
    assert one.explanation(6).values == (3, 3)
    assert one.explanation({4, 6}).values == (3, 1)


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


def test_a_list_of_no_candidates_makes_any_total_possible_and_none_known() -> None:
    total = Sum.of(Values({}, 1.0), Values({3: 0.5, 4: 0.5}, 0.0))
    assert total.log_bounds(5) == (-np.inf, 0)
    nothing, one = total.posterior(5)
    assert (nothing.probabilities, nothing.other) == ({}, 1)
    assert (one.probabilities, one.other) == ({3: 0, 4: 0}, 1)


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


def test_prices_times_quantities_are_few_sums_of_large_numbers() -> None:
    few = Integers(np.log(np.full(20, 0.05)))
    total = Sum([(129_900, few), (10**20, few)])
    asked = 3 * 129_900 + 7 * 10**20
    assert float(np.exp(total.log_prob(asked))) == pytest.approx(0.05**2)
    assert total.explanation(asked).values == (3, 7)
    first, second = total.posterior(asked)
    assert (first.mode, second.mode) == (3, 7)


def test_of_two_thousand_digits_the_most_probable_total_is_found() -> None:
    digit = Digits(np.log([[0.05, 0.15, *[0.1] * 8]]))
    found = Sum.of(*[digit] * 2_000).most_probable_total()
    assert found.certain
    mean = 2_000 * float(np.arange(10) @ np.exp(digit.log_probs[0]))
    assert abs(found.total - mean) < 3


def test_numbers_with_few_bits_are_added_with_more() -> None:
    logs = torch.log_softmax(torch.randn(3, 2, 10, generator=torch.Generator().manual_seed(1)), -1)
    coarse = logs.to(torch.bfloat16)
    assert Digits(coarse).log_probs.dtype == torch.bfloat16
    total = Digits(coarse) + Digits(coarse)
    found = total.log_prob([7, 50, 120])
    assert found.dtype == torch.float32
    for entry, asked in enumerate([7, 50, 120]):
        high, low = np.exp(coarse[entry].double().numpy())
        numbers = np.outer(high, low).reshape(-1)
        assert float(found[entry].exp()) == pytest.approx(np.convolve(numbers, numbers)[asked], rel=1e-5)
    assert total.most_probable_total().certain.all()
    assert Integers(coarse[:, 0]).mode.shape == (3,)


def test_distributions_show_what_they_are() -> None:
    digits, die = Digits(np.log(np.full((3, 2, 10), 0.1))), Integers(np.log(np.full(6, 1 / 6)), 1)
    assert repr(digits - 3 * die + 5) == "Sum(1 * Digits(2 of base 10, batch [3]) + -1 * Integers(3..18) + 5)"

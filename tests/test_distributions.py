"""Known numbers, dense integers and lists of values: against counting out, and by the laws of arithmetic."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enumeration import integers, log_shares, values
from sumnist.arithmetic.known import Known, columns, numeral
from sumnist.arithmetic.sums import Integers
from sumnist.arithmetic.values import Values
from sumnist.errors import NumberError

quick = settings(deadline=None, max_examples=50)
HUGE = 10**40
WHOLE = st.integers(-HUGE, HUGE) | st.integers(-(2**63), 2**64)


@quick
@given(st.lists(WHOLE, max_size=4), st.integers(2, 16), st.integers(0, 45))
def test_a_number_is_its_digits_and_what_is_above_them(numbers: list[int], base: int, count: int) -> None:
    digits, above = columns(Known.of(numbers).units, base, count)
    assert digits.shape == (count, len(numbers))
    assert ((digits >= 0) & (digits < base)).all()
    for number, its, rest in zip(numbers, digits.T.tolist(), above.tolist(), strict=True):
        expected = number - sum(digit * base**place for place, digit in enumerate(its))
        assert rest == max(-(2**62), min(expected // base**count, 2**62))


@quick
@given(st.integers(0, HUGE), st.integers(2, 16), st.integers(1, 200))
def test_digits_make_the_number_they_are_of(number: int, base: int, count: int) -> None:
    digits, _ = columns(Known.of(number).units, base, count)
    assert int(numeral(digits[::-1], base)) == number % base**count
    assert numeral(np.stack([digits[::-1]] * 3), base).tolist() == [number % base**count] * 3


@quick
@given(st.lists(WHOLE | st.decimals(-HUGE, HUGE, places=3), min_size=1), WHOLE, st.integers(-99, 99))
def test_known_numbers_are_added_exactly(numbers: list[Any], other: int, factor: int) -> None:
    total = Known.of(numbers).plus(Known.of(other), factor)
    expected = [Fraction(number) + other * factor for number in numbers]
    assert [Fraction(one) for one in total.numbers.tolist()] == expected


SMALL = st.integers(-4, 4)


def shares(one: Integers) -> dict[int, float]:
    """Its probabilities, of those numbers that are possible."""
    return {number: share for number, share in enumerate(one.probabilities.tolist(), one.first) if share}


def same(one: Integers, two: Integers) -> bool:
    return shares(one) == pytest.approx(shares(two))


@quick
@given(integers(), integers(), SMALL)
def test_sums_and_products_are_those_of_all_pairs(one: Integers, two: Integers, number: int) -> None:
    added: dict[int, float] = {}
    taken: dict[int, float] = {}
    for (a, p), (b, q) in product(shares(one).items(), shares(two).items()):
        added[a + b] = added.get(a + b, 0.0) + p * q
        taken[a - b] = taken.get(a - b, 0.0) + p * q
    assert shares(one + two) == pytest.approx(added)
    assert shares(one - two) == pytest.approx(taken)
    assert shares(-one) == pytest.approx({-a: p for a, p in shares(one).items()})
    assert shares(one + number) == pytest.approx({a + number: p for a, p in shares(one).items()})
    assert shares(number - one) == pytest.approx({number - a: p for a, p in shares(one).items()})
    expected = {a * number: p for a, p in shares(one).items()} if number else {0: 1.0}
    assert shares(number * one) == pytest.approx(expected)


@quick
@given(integers())
def test_what_is_known_of_a_distribution_is_what_its_probabilities_say(one: Integers) -> None:
    known = shares(one)
    assert one.mode == min(number for number, share in known.items() if share == pytest.approx(max(known.values())))
    assert one.mean == pytest.approx(sum(number * share for number, share in known.items()))
    assert one.variance == pytest.approx(sum((number - one.mean) ** 2 * share for number, share in known.items()))
    assert one.entropy == pytest.approx(-sum(share * log(share) for share in known.values()))
    for number in range(one.first - 2, one.last + 3):
        assert np.exp(one.log_prob(number)) == pytest.approx(known.get(number, 0.0))


@quick
@given(integers(), st.data())
def test_a_condition_leaves_the_proportions(one: Integers, data: st.DataObject) -> None:
    known = shares(one)
    allowed = {data.draw(st.sampled_from(sorted(known))), *data.draw(st.sets(st.integers(-9, 13)))}
    whole = sum(known.get(number, 0.0) for number in allowed)
    expected = {number: share / whole for number, share in known.items() if number in allowed}
    assert shares(one.condition(allowed)) == pytest.approx(expected)


def test_a_batch_is_many_distributions() -> None:
    one = Integers(log_shares([[1, 2, 3], [3, 2, 1]]), first=5)
    two = Integers(log_shares([1, 1]))
    assert one.mode.tolist() == [7, 5]
    assert one.mean == pytest.approx(np.array([5 + 4 / 3, 5 + 2 / 3]))
    assert np.exp(one.log_prob([6, 9])) == pytest.approx(np.array([1 / 3, 0]))
    assert np.exp(one.log_prob([[5], [7]])) == pytest.approx(np.array([[1 / 6, 1 / 2], [1 / 2, 1 / 6]]))
    assert np.exp((one + two).log_prob(8)) == pytest.approx(np.array([1 / 4, 1 / 12]))


@quick
@given(values(other=True), values(other=True))
def test_a_sum_is_that_of_all_pairs_and_other_is_what_is_left(one: Values, two: Values) -> None:
    expected: dict[int | Decimal, float] = {}
    for (a, p), (b, q) in product(one.probabilities.items(), two.probabilities.items()):
        expected[a + b] = expected.get(a + b, 0.0) + p * q
    total = one + two
    assert dict(total.probabilities) == pytest.approx(expected)
    assert sum(total.probabilities.values()) + total.other == pytest.approx(1)
    assert list(total.probabilities.values()) == sorted(total.probabilities.values(), reverse=True)


@quick
@given(values(other=True), st.integers(-60, 40), st.integers(0, 80))
def test_what_is_spread_is_spread_evenly_over_all_that_are_no_candidates(one: Values, first: int, count: int) -> None:
    free = set(range(first, first + count + 1)) - set(one.probabilities)
    if not free:
        with pytest.raises(NumberError, match=r"^No value is left in "):
            one.spread(first, first + count)
        return
    spread = one.spread(first, first + count)
    assert spread.other == 0
    assert sum(spread.probabilities.values()) == pytest.approx(1)
    assert {value: spread.probabilities[value] for value in one.probabilities} == one.probabilities
    assert {spread.probabilities[value] for value in free} == {one.other / len(free)}
    assert spread.spread(0, 9) is spread


def test_of_a_batch_each_is_conditioned_by_itself() -> None:
    left = Integers(np.log([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), 4).condition({4, 6})
    assert np.exp(left.log_probs) == pytest.approx(np.array([[1 / 8, 0, 7 / 8], [5 / 7, 0, 2 / 7]]))

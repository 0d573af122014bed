"""A few values with their probabilities: sums, by counting out all pairs."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumnist.arithmetic.values import Value, Values
from sumnist.errors import NumberError


@st.composite
def distributions(draw: st.DrawFn) -> Values:
    values = draw(st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True))
    weights = draw(st.lists(st.floats(0.01, 1), min_size=len(values) + 1, max_size=len(values) + 1))
    shares = [weight / sum(weights) for weight in weights]
    return Values(dict(zip(values, shares[:-1], strict=True)), shares[-1])


@given(distributions(), distributions())
def test_a_sum_is_that_of_all_pairs_and_other_is_what_is_left(one: Values, two: Values) -> None:
    expected: dict[int | Decimal, float] = {}
    for (a, p), (b, q) in product(one.probabilities.items(), two.probabilities.items()):
        expected[a + b] = expected.get(a + b, 0.0) + p * q
    total = one + two
    assert dict(total.probabilities) == pytest.approx(expected)
    assert sum(total.probabilities.values()) + total.other == pytest.approx(1)
    assert list(total.probabilities.values()) == sorted(total.probabilities.values(), reverse=True)


def test_decimals_are_added_exactly() -> None:
    total = Values({Decimal("0.10"): 0.5, Decimal("0.20"): 0.5}, 0.0) + Decimal("0.20")
    assert set(total.probabilities) == {Decimal("0.30"), Decimal("0.40")}


def test_the_mode_is_the_most_probable_value_and_of_nothing_none() -> None:
    assert Values({3: 0.2, 8: 0.5}, 0.3).mode == 8
    assert Values({}, 1.0).mode is None


@given(distributions(), distributions(), st.integers(-3, 3))
def test_differences_and_products_are_those_of_all_pairs(one: Values, two: Values, factor: int) -> None:
    assert dict((one - two).probabilities) == pytest.approx(dict((one + -1 * two).probabilities))
    assert dict((factor - one).probabilities) == pytest.approx({factor - a: p for a, p in one.probabilities.items()})
    product_of = one * factor
    if factor:
        assert product_of == Values({a * factor: p for a, p in one.probabilities.items()}, one.other)
    else:
        assert product_of == Values({0: 1.0}, 0.0)


def test_decimals_are_multiplied_exactly() -> None:
    assert set((3 * Values({Decimal("1e-40"): 1.0}, 0.0) + 1).probabilities) == {Decimal(f"1.{0:039}3")}


@given(distributions(), st.integers(-60, 40), st.integers(0, 80))
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


@pytest.mark.parametrize(
    ("shares", "other"), [({5: 0.5}, 0.4), ({5: 1.5}, -0.5), ({5: 1.0}, math.nan), ({5: math.nan, 6: 1.0}, 0.5)]
)
def test_what_is_no_distribution_is_refused(shares: dict[Value, float], other: float) -> None:
    with pytest.raises(NumberError, match=r"for all others: expected probabilities that sum to one$"):
        Values(shares, other)


@pytest.mark.parametrize("wrong", ["7", 1.5, True, None])
def test_what_is_no_number_cannot_be_added(wrong: object) -> None:
    with pytest.raises(NumberError, match="cannot be added: expected a whole number"):
        Values({3: 1.0}, 0.0) + wrong

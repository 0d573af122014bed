"""A few values with their probabilities: sums, by counting out all pairs."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumnist.arithmetic.values import Values
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


@given(distributions(), st.integers(-100, 100))
def test_a_number_moves_every_value(one: Values, number: int) -> None:
    moved = {value + number: share for value, share in one.probabilities.items()}
    assert dict((one + number).probabilities) == pytest.approx(moved)
    assert dict((number + one).probabilities) == pytest.approx(moved)


def test_decimals_are_added_exactly() -> None:
    total = Values({Decimal("0.10"): 0.5, Decimal("0.20"): 0.5}, 0.0) + Decimal("0.20")
    assert set(total.probabilities) == {Decimal("0.30"), Decimal("0.40")}


def test_the_mode_is_the_most_probable_value_and_of_nothing_none() -> None:
    assert Values({3: 0.2, 8: 0.5}, 0.3).mode == 8
    assert Values({}, 1.0).mode is None


@pytest.mark.parametrize("wrong", ["7", 1.5, True, None])
def test_what_is_no_number_cannot_be_added(wrong: object) -> None:
    with pytest.raises(NumberError, match="cannot be added: expected a whole number"):
        Values({3: 1.0}, 0.0) + wrong

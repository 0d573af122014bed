"""Known numbers of any size, and their digits."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sumnist.arithmetic.known import Known, columns, found, numeral

HUGE = 10**40
WHOLE = st.integers(-HUGE, HUGE) | st.integers(-(2**63), 2**64)


@given(st.lists(WHOLE, max_size=4), st.integers(2, 16), st.integers(0, 45))
def test_a_number_is_its_digits_and_what_is_above_them(numbers: list[int], base: int, count: int) -> None:
    digits, above = columns(Known.of(numbers).units, base, count)
    assert digits.shape == (count, len(numbers))
    assert ((digits >= 0) & (digits < base)).all()
    for number, its, rest in zip(numbers, digits.T.tolist(), above.tolist(), strict=True):
        expected = number - sum(digit * base**place for place, digit in enumerate(its))
        assert rest == max(-(2**62), min(expected // base**count, 2**62))


@given(st.integers(0, HUGE), st.integers(2, 16), st.integers(1, 200))
def test_digits_make_the_number_they_are_of(number: int, base: int, count: int) -> None:
    digits, _ = columns(Known.of(number).units, base, count)
    assert int(numeral(digits[::-1], base)) == number % base**count
    assert numeral(np.stack([digits[::-1]] * 3), base).tolist() == [number % base**count] * 3


@given(st.lists(WHOLE | st.decimals(-HUGE, HUGE, places=3), min_size=1), WHOLE, st.integers(-99, 99))
def test_known_numbers_are_added_exactly(numbers: list[Any], other: int, factor: int) -> None:
    total = Known.of(numbers).plus(Known.of(other), factor)
    expected = [Fraction(number) + other * factor for number in numbers]
    assert [Fraction(one) for one in total.numbers.tolist()] == expected


@pytest.mark.parametrize("given_as", [[1, 2], np.array([1, 2], np.uint8), torch.tensor([1, 2], dtype=torch.int16)])
def test_whole_numbers_may_come_from_anywhere(given_as: Any) -> None:
    assert Known.of(given_as).units.dtype == np.int64
    assert Known.of(given_as).numbers.tolist() == [1, 2]


def test_a_number_alone_is_no_array() -> None:
    assert [Known.of(one).numbers for one in (3, np.int8(3), HUGE, Decimal("0.50"))] == [3, 3, HUGE, Decimal("0.50")]


def test_values_are_found_among_points() -> None:
    points = np.array([-3, 0, 5])
    assert found(points, np.array([[5, -3], [4, 99]])).tolist() == [[2, 0], [-1, -1]]
    assert found(np.array([0, HUGE], object), np.array([HUGE, 1], object)).tolist() == [1, -1]

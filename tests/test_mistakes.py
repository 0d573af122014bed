"""The writer's channel, against one by strings of digits and by counting."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sheet_enumeration import WEIGHTS, channel
from sumnist.errors import NumberError
from sumnist.sheets import mistakes
from sumnist.sheets.mistakes import KINDS, UNKNOWN, Writer

quick = settings(deadline=None, max_examples=100)


def ways(writer: Writer, terms: tuple[int, ...]) -> NDArray[np.float64]:
    """For each total 0..largest the probability of each kind: `[largest + 1, kinds]`."""
    totals = np.arange(writer.largest + 1)
    return writer.kinds(totals, np.tile(np.array(terms), (len(totals), 1)))


def likeliest(total: int, terms: list[int], largest: int = 200, halves: bool = False) -> str:
    writer = Writer(largest, len(terms), halves)
    return KINDS[int(writer.kinds(np.array([total]), np.array([terms])).argmax())]


def test_the_weights_of_the_mixture_are_those_of_the_page_and_sum_to_one() -> None:
    named = {KINDS[kind]: share for kind, share in mistakes.WEIGHTS.items()}
    assert named == WEIGHTS
    assert sum(WEIGHTS.values()) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("largest", [1, 2, 9, 10, 23, 120])
def test_probabilities_of_all_totals_sum_to_one_and_mistakes_are_never_the_sum(largest: int, halves: bool) -> None:
    for terms in product(range(-4, 13, 2), repeat=2):
        found = ways(Writer(largest, 2, halves, 0.3), terms)
        assert found.sum() == pytest.approx(1, abs=1e-12)
        assert found.min() >= 0
        if 0 <= sum(terms) <= largest:
            assert found[sum(terms)].tolist() == [pytest.approx(0.7), *[0] * 6]
            assert found[:, 1:].sum() == pytest.approx(0.3, abs=1e-12)


@quick
@given(
    st.lists(st.integers(-130, 130), min_size=1, max_size=5), st.integers(1, 1100), st.booleans(),
    st.sampled_from([0.0, 0.02, 1.0]),
)  # fmt: skip
def test_each_kind_is_as_probable_as_by_strings_of_digits(
    terms: list[int], largest: int, halves: bool, mistake: float
) -> None:
    found = ways(Writer(largest, len(terms), halves, mistake), tuple(terms))
    expected = np.zeros_like(found)
    for (total, kind), share in channel(tuple(terms), largest, mistake, halves).items():
        expected[total, list[str](KINDS).index(kind)] = share
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


def test_a_sum_without_room_makes_every_total_possible() -> None:
    for terms in (15, 15), (3, -9):
        assert ways(Writer(20, 2), terms).sum(1).min() >= 0.98 / 21


def test_mistakes_are_recognised() -> None:
    terms = [17, 16, 14, 20, 9]  # 76
    assert likeliest(76, terms) == "right"
    assert likeliest(75, terms) == likeliest(77, terms) == "off by one"
    assert likeliest(66, terms) == likeliest(86, terms) == likeliest(176, terms) == "carry"
    assert likeliest(60, terms) == "skipped"
    assert likeliest(67, terms) == "swapped"  # or one certain term of five skipped, which is rarer
    assert likeliest(3, terms) == "anything"


def test_with_halves_a_half_and_a_whole_are_off_by_one_and_a_carry_is_ten_wholes() -> None:
    terms = [25, 32]  # 12½ + 16 = 28½
    assert [likeliest(57 + step, terms, 200, halves=True) for step in (1, 2, 20)] == [
        "off by one",
        "off by one",
        "carry",
    ]
    assert likeliest(2 * 82 + 1, terms, 400, halves=True) == "swapped"
    assert likeliest(57 + 10, terms, 200, halves=True) == "anything"


def test_a_term_that_is_not_known_makes_all_totals_equally_probable() -> None:
    writer = Writer(20, 2)
    found = writer.kinds(np.arange(21), np.tile([3, UNKNOWN], (21, 1)))
    assert found[:, KINDS.index("unknown")] == pytest.approx(1 / 21)
    assert found.sum() == pytest.approx(1)


@quick
@given(st.integers(0, 12), st.integers(0, 12), st.sets(st.integers(0, 20), min_size=1, max_size=20))
def test_what_is_not_listed_is_as_probable_as_all_its_totals(one: int, two: int, listed: set[int]) -> None:
    writer, totals = Writer(20, 2, mistake=0.2), np.array(sorted(listed))
    all_others = np.array([total for total in range(21) if total not in listed])
    found = writer.kinds(np.array([UNKNOWN]), np.array([[one, two]]), totals)
    expected = writer.kinds(all_others, np.tile([one, two], (len(all_others), 1)))
    np.testing.assert_allclose(found[0], expected.sum(0), atol=1e-15)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ((0, 2), "A total of 0..0 was given: expected a largest one of 1 to 1000000000000000"),
        ((20, 0), "A total of no terms was given: expected one term at least"),
        ((20, 2, False, 1.5), "A probability of a mistake of 1.5 was given: expected one of 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(given_: tuple[int, int, bool, float], message: str) -> None:
    with pytest.raises(NumberError) as caught:
        Writer(*given_)
    assert str(caught.value) == message

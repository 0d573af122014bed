"""CTC: against all paths of short strips, one by one, and strips of 60 steps whose text is known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ctc_oracle as oracle
from ctc_oracle import Array
from sumnist.errors import RunError
from sumnist.inference import ctc
from sumnist.inference.alphabet import WRITING
from sumnist.inference.ctc import Digits, Positions

CLASSES = 1 + len(WRITING)

# The probability of a given text.


@settings(max_examples=80, deadline=None)
@given(oracle.any_strips)
def test_the_probability_of_a_text_is_the_sum_over_its_paths(made: tuple[Array, str]) -> None:
    emissions, characters = made
    expected = oracle.enumerated(emissions, characters)
    found = oracle.log_prob(emissions, list(expected), characters)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-12, atol=1e-9)
    assert np.logaddexp.reduce(found) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("text", ["1111", "0000", "99", "5", "....", "-,-,"])
def test_a_repeated_character_needs_a_blank_between(text: str) -> None:
    least = len(text) + sum(a == b for a, b in pairwise(text))
    exactly, too_few = oracle.log_prob(oracle.uniform(least), [text])[0], least - 1
    assert exactly == pytest.approx(-least * math.log(CLASSES))  # there is just one path
    if too_few:
        assert oracle.log_prob(oracle.uniform(too_few), [text])[0] == -np.inf


# The number of digits.


@settings(max_examples=80, deadline=None)
@given(oracle.any_strips, oracle.ranges)
def test_the_number_of_digits_is_distributed_as_that_of_all_texts(made: tuple[Array, str], digits: Digits) -> None:
    emissions, characters = made
    texts = oracle.enumerated(emissions, characters)
    expected = [score for text, score in texts.items() if oracle.within(text, digits)]
    found = oracle.length_log_prob(emissions, digits, characters)
    assert found == pytest.approx(np.logaddexp.reduce(expected), rel=1e-12, abs=1e-9)
    numbers = sum(math.exp(score) for text, score in texts.items() if oracle.digits_of(text))
    assert oracle.is_number_probability(emissions, characters) == pytest.approx(numbers, abs=1e-12)


# The most probable texts.


@settings(max_examples=60, deadline=None)
@given(oracle.any_strips, oracle.ranges)
def test_asked_for_all_texts_the_search_finds_them_in_order(made: tuple[Array, str], digits: Digits) -> None:
    emissions, characters = made
    possible = {text: score for text, score in oracle.enumerated(emissions, characters).items() if score > -np.inf}
    expected = {text: score for text, score in possible.items() if oracle.within(text, digits)}
    found = oracle.best_texts(emissions, oracle.ALL, digits, characters)
    assert dict(found) == pytest.approx(expected, rel=1e-10, abs=1e-9)
    assert len(found) == len(expected)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert [score for _, score in found] == pytest.approx(
        oracle.log_prob(emissions, [text for text, _ in found], characters).tolist(), rel=1e-10, abs=1e-10
    )


@settings(max_examples=60, deadline=None)
@given(oracle.any_strips)
def test_texts_of_any_characters_have_the_probabilities_of_all_their_paths(made: tuple[Array, str]) -> None:
    emissions, characters = made
    expected = {text: math.exp(score) for text, score in oracle.enumerated(emissions, characters).items()}
    found = ctc.Evidence(emissions, characters=characters).texts(oracle.ALL)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    if len(found) == 1:  # beyond doubt by its best path
        (text, share), *_ = found.items()
        assert 0.995 <= share <= expected[text] + 1e-9
    else:
        assert {text: found.get(text, 0.0) for text in expected} == pytest.approx(expected, abs=1e-9)


TEXTS = ["7", "42", "31,45", "1234567", "0095.50", "1111", "1.000.000,-", "00"]


# Values.


@settings(max_examples=100, deadline=None)
@given(oracle.any_strips, oracle.ranges, st.booleans())
def test_the_probability_of_a_value_is_that_of_all_its_texts(
    made: tuple[Array, str], digits: Digits, decimals: bool
) -> None:
    emissions, characters = made
    decimal = next((one for one in characters if one in ".,"), None) if decimals else None
    shares = oracle.values_of(emissions, characters, digits, decimal)
    expected = {value: share for value, share in shares.items() if share > 0}
    found = oracle.candidates_of(emissions, oracle.ALL, digits, characters, decimal)
    assert {one.value: one.probability for one in found.candidates} == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.other == pytest.approx(0 if expected else 1, abs=1e-9)
    assert decimal is None or all(one.text.count(decimal) == 1 for one in found.candidates if one.value % 1)


@settings(max_examples=60, deadline=None)
@given(oracle.any_strips, st.integers(1, 4), oracle.ranges)
def test_candidates_and_other_sum_to_one(made: tuple[Array, str], count: int, digits: Digits) -> None:
    emissions, characters = made
    found = oracle.candidates_of(emissions, count, digits, characters)
    shares = [one.probability for one in found.candidates]
    assert sum(shares) + found.other == pytest.approx(1, abs=1e-9)
    assert found.other >= 0
    assert len(shares) <= count
    assert shares == sorted(shares, reverse=True)
    assert len({one.value for one in found.candidates}) == len(shares)
    expected = oracle.values_of(emissions, characters, digits)
    for one in found.candidates:
        assert 0 < one.probability <= expected[one.value] * (1 + 1e-9)
    if found.candidates:
        check_written(found.candidates[0].text, found.positions, len(emissions))


def check_written(text: str, positions: Positions, steps: int) -> None:
    """The characters stand one after the other, and equal ones have a step between them."""
    assert len(positions) == len(text)
    end = -1
    for k, (first, last) in enumerate(positions):
        assert end + (1 if k == 0 or text[k] != text[k - 1] else 2) <= first <= last < steps
        end = last


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_has_the_text_and_the_places_that_are_written(text: str) -> None:
    for seed in range(2):
        emissions = oracle.strip(text, seed)
        found = oracle.candidates_of(emissions, 10, (1, 12))
        best = found.candidates[0]
        shown = text.rstrip(".,-")  # signs behind the last digit are no part of the number
        assert (best.text, best.digits, best.value) == (shown, oracle.digits_of(text), int(oracle.digits_of(text)))
        assert found.positions == oracle.aligned(emissions, text)[: len(shown)]
        for (first, last), place in zip(
            found.positions, np.linspace(3, 56, len(text)).astype(int)[: len(shown)], strict=True
        ):
            assert first <= place + 1
            assert place <= last
        assert len({one.value for one in found.candidates}) == len(found.candidates) == 10
        assert sum(one.probability for one in found.candidates) + found.other == pytest.approx(1)
        assert best.probability > 0.5
        assert all(len(oracle.aligned(emissions, one.text)) == len(one.text) for one in found.candidates)


@pytest.mark.parametrize("digits", [(4, 4), (4, None), (10**9, None), (5, 10**9)])
def test_where_no_allowed_number_of_digits_is_possible_everything_else_is_certain(digits: Digits) -> None:
    found = oracle.candidates_of(oracle.uniform(3), 5, digits)
    assert found == ((), 1, ())
    assert oracle.length_log_prob(oracle.uniform(3), digits) == -np.inf
    assert oracle.best_texts(oracle.uniform(3), 5, digits) == []


def test_a_blank_strip_has_no_number() -> None:
    blank = np.where(np.arange(CLASSES) == 0, 0.0, -np.inf)[None].repeat(8, 0)
    assert oracle.candidates_of(blank, 5) == ((), 1.0, ())
    assert oracle.best_texts(blank, 5, (0, None)) == [("", 0.0)]


# Where the characters stand.


@settings(max_examples=80, deadline=None)
@given(oracle.strips())
def test_a_text_stands_where_its_best_path_says_it(made: tuple[Array, str]) -> None:
    emissions, characters = made
    best: dict[str, tuple[float, Positions]] = {}
    collapses = oracle.paths_of(len(emissions), characters)[1]
    for (text, places), score in zip(collapses, oracle.scores_of(emissions, characters).tolist(), strict=True):
        best[text] = max(best.get(text, (-np.inf, ())), (score, places))
    for text, (_, places) in best.items():
        assert oracle.aligned(emissions, text, characters) == places


# What is no distribution.


@pytest.mark.parametrize("shape", [(CLASSES,), (0, CLASSES), (5, CLASSES - 1)])
def test_emissions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(RunError) as caught:
        oracle.candidates_of(np.zeros(shape), 5)
    assert str(caught.value) == (
        f"emissions of shape {list(shape)}: expected [T, {CLASSES}], at each of T > 0 steps a blank and {WRITING!r}: "
        "give the characters that the network was trained for"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_step_without_a_distribution_is_refused(value: float) -> None:
    emissions = oracle.uniform(4)
    emissions[2] = value
    with pytest.raises(RunError, match=f"^emissions whose greatest at a step is {value}: expected a finite number"):
        oracle.candidates_of(emissions, 3)

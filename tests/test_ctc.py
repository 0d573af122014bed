"""CTC: against all paths of short strips, one by one, and strips of 60 steps whose text is known."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctc_oracle import (
    ALL,
    Array,
    any_strips,
    digits_of,
    enumerated,
    normal,
    paths_of,
    ranges,
    scores_of,
    strip,
    strips,
    uniform,
    values_of,
    within,
)
from sumnist.errors import ConfigError, RunError
from sumnist.inference.ctc import (
    CHARACTERS,
    Candidates,
    aligned,
    best_texts,
    candidates_of,
    is_number_probability,
    length_log_probs,
    log_prob,
)
from sumnist.inference.paths import Digits, Positions

# The probability of a given text.


@settings(max_examples=150, deadline=None)
@given(any_strips)
def test_the_probability_of_a_text_is_the_sum_over_its_paths(made: tuple[Array, str]) -> None:
    emissions, characters = made
    expected = enumerated(emissions, characters)
    found = log_prob(emissions, list(expected), characters)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-12, atol=1e-9)
    assert np.logaddexp.reduce(found) == pytest.approx(0, abs=1e-9)


def test_texts_are_scored_together_as_each_by_itself() -> None:
    emissions = strip("31,41", 0)
    texts = ["", "31,41", "3141", "0", "1111111", "99", "-", "123456789.,-" * 6]
    alone = [log_prob(emissions, [text])[0] for text in texts]
    assert log_prob(emissions, texts).tolist() == alone
    assert alone[1] == max(alone)
    assert alone[-1] == -np.inf
    assert log_prob(emissions, []).shape == (0,)


def test_the_empty_text_is_all_blanks() -> None:
    emissions = strip("7", 1).astype(float)
    assert log_prob(emissions, [""])[0] == pytest.approx(emissions[:, 0].sum(), rel=1e-5)


@pytest.mark.parametrize("text", ["1111", "0000", "99", "5", "....", "-,-,"])
def test_a_repeated_character_needs_a_blank_between(text: str) -> None:
    least = len(text) + sum(a == b for a, b in pairwise(text))
    exactly, too_few = log_prob(uniform(least), [text])[0], least - 1
    assert exactly == pytest.approx(-least * math.log(14))  # there is just one path
    if too_few:
        assert log_prob(uniform(too_few), [text])[0] == -np.inf


def test_one_step_says_one_character_or_none() -> None:
    emissions = np.log(np.arange(1, 15) / 105)[None]
    texts = ["", *CHARACTERS, "11", "12"]
    found = np.exp(log_prob(emissions, texts))
    assert found == pytest.approx([*np.arange(1, 15) / 105, 0, 0])
    assert [text for text, _ in best_texts(emissions, 3, (0, 1))] == ["-", ",", "."]
    best = candidates_of(emissions, 1)
    assert (best.candidates[0].text, best.positions) == ("9", ((0, 0),))
    assert best.candidates[0].probability == pytest.approx(11 / 65)
    assert (best.other, best.allowed) == pytest.approx((54 / 65, 65 / 105))


def test_logits_and_probabilities_in_single_precision_do_as_well() -> None:
    logits = np.random.default_rng(3).normal(0, 4, (20, 14))
    texts = ["12", "7.5", ""]
    expected = log_prob(normal(logits), texts)
    assert log_prob(logits + np.arange(20)[:, None], texts) == pytest.approx(expected)
    assert log_prob(normal(logits).astype(np.float32), texts) == pytest.approx(expected, abs=1e-5)


# The number of digits.


@settings(max_examples=150, deadline=None)
@given(any_strips, st.integers(0, 8))
def test_the_number_of_digits_is_distributed_as_that_of_all_texts(made: tuple[Array, str], most: int) -> None:
    emissions, characters = made
    expected = np.full(most + 1, -np.inf)
    for text, score in enumerated(emissions, characters).items():
        if within(text, (0, most)):
            expected[len(digits_of(text))] = np.logaddexp(expected[len(digits_of(text))], score)
    found = length_log_probs(emissions, most, characters)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)
    none = length_log_probs(emissions, 0, characters)[0]
    assert is_number_probability(emissions, characters) == pytest.approx(-math.expm1(min(0, none)), abs=1e-12)


def test_separators_are_not_counted() -> None:
    lengths = np.exp(length_log_probs(strip("1.234,-", 0), 60))
    assert lengths.argmax() == 4
    assert lengths.sum() == pytest.approx(1)


@pytest.mark.parametrize("rare", [1e-30, 1e-3])
def test_a_number_that_is_hardly_there_is_not_lost_beside_one(rare: float) -> None:
    emissions = np.full((5, 14), -np.inf)
    emissions[:, 0] = 0
    emissions[2, 4], emissions[4, 7] = math.log(rare), math.log(rare)
    assert is_number_probability(emissions) == pytest.approx(1 - (1 / (1 + rare)) ** 2 if rare > 1e-9 else 2 * rare)
    emissions[1, [0, 5]] = math.log(rare), 0
    assert is_number_probability(emissions) == pytest.approx(1, abs=rare)


# The most probable texts.


@settings(max_examples=100, deadline=None)
@given(any_strips, ranges)
def test_asked_for_all_texts_the_search_finds_them_in_order(made: tuple[Array, str], digits: Digits) -> None:
    emissions, characters = made
    possible = {text: score for text, score in enumerated(emissions, characters).items() if score > -np.inf}
    expected = {text: score for text, score in possible.items() if within(text, digits)}
    found = best_texts(emissions, ALL, digits, characters)
    assert dict(found) == pytest.approx(expected, rel=1e-10, abs=1e-9)
    assert len(found) == len(expected)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert [score for _, score in found] == pytest.approx(
        log_prob(emissions, [text for text, _ in found], characters).tolist(), rel=1e-10, abs=1e-10
    )


@settings(max_examples=100, deadline=None)
@given(strips(most_steps=3), st.integers(1, 3), st.sampled_from([(1, None), (0, 0), (0, 1), (2, 2), (1, 2)]))
def test_of_few_texts_none_that_is_better_is_missed(made: tuple[Array, str], count: int, digits: Digits) -> None:
    emissions, characters = made
    scores = [score for text, score in enumerated(emissions, characters).items() if within(text, digits)]
    found = best_texts(emissions, count, digits, characters)
    assert [score for _, score in found] == pytest.approx(sorted(scores, reverse=True)[:count], rel=1e-10, abs=1e-9)


TEXTS = ["7", "42", "31,45", "1234567", "0095.50", "1111", "1.000.000,-", "00"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_long_strip_is_searched_as_well_as_with_twenty_times_the_width(text: str) -> None:
    for seed, peak in product(range(3), (14, 12)):
        emissions = strip(text, seed, peak=peak)
        found, wide = best_texts(emissions, 10), best_texts(emissions, 250)
        assert found[0][0] == text
        assert found == wide[:10]


@pytest.mark.parametrize("digits", [(0, 0), (1, 1), (2, 2), (2, None), (4, 5), (0, 2)])
def test_the_best_texts_have_an_allowed_number_of_digits_however_rare_they_are(digits: Digits) -> None:
    emissions = strip("314", 0, peak=40)
    found = best_texts(emissions, 8, digits)
    assert len(found) == 8
    assert all(within(text, digits) for text, _ in found)
    if digits == (2, None):
        assert found[0][0] == "314"
    else:
        assert found[0][1] < -10  # as improbable as a character that is not seen, or seen and not said


# Values.


@settings(max_examples=150, deadline=None)
@given(any_strips, ranges)
def test_the_probability_of_a_value_is_that_of_all_its_texts(made: tuple[Array, str], digits: Digits) -> None:
    emissions, characters = made
    expected = {value: share for value, share in values_of(emissions, characters, digits).items() if share > 0}
    found = candidates_of(emissions, ALL, digits, characters)
    assert {one.value: one.probability for one in found.candidates} == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.other == pytest.approx(0 if expected else 1, abs=1e-9)
    texts = [score for text, score in enumerated(emissions, characters).items() if within(text, digits)]
    assert found.allowed == pytest.approx(math.exp(min(0, np.logaddexp.reduce(texts))), rel=1e-9)
    assert found.is_number_probability == is_number_probability(emissions, characters)


@settings(max_examples=150, deadline=None)
@given(any_strips, ranges, st.sampled_from(".,"))
def test_the_probability_of_a_value_with_decimals_is_that_of_all_its_texts(
    made: tuple[Array, str], digits: Digits, decimal: str
) -> None:
    emissions, characters = made
    if decimal not in characters:
        with pytest.raises(ConfigError, match="expected one of"):
            candidates_of(emissions, ALL, digits, characters, decimal)
        return
    expected = {value: share for value, share in values_of(emissions, characters, digits, decimal).items() if share > 0}
    found = candidates_of(emissions, ALL, digits, characters, decimal)
    assert {one.value: one.probability for one in found.candidates} == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert all(one.text.count(decimal) == 1 for one in found.candidates if one.value != int(one.value))


@settings(max_examples=100, deadline=None)
@given(any_strips, st.integers(1, 4), ranges)
def test_candidates_and_other_sum_to_one(made: tuple[Array, str], count: int, digits: Digits) -> None:
    emissions, characters = made
    found = candidates_of(emissions, count, digits, characters)
    shares = [one.probability for one in found.candidates]
    assert sum(shares) + found.other == pytest.approx(1, abs=1e-9)
    assert found.other >= 0
    assert len(shares) <= count
    assert shares == sorted(shares, reverse=True)
    assert len({one.value for one in found.candidates}) == len(shares)
    expected = values_of(emissions, characters, digits)
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
    for seed in range(3):
        emissions = strip(text, seed)
        found = candidates_of(emissions, 10, (1, 12))
        best = found.candidates[0]
        assert (best.text, best.digits, best.value) == (text, digits_of(text), int(digits_of(text)))
        assert found.positions == aligned(emissions, text)
        for (first, last), place in zip(found.positions, np.linspace(3, 56, len(text)).astype(int), strict=True):
            assert first <= place + 1
            assert place <= last
        assert len({one.value for one in found.candidates}) == len(found.candidates) == 10
        assert sum(one.probability for one in found.candidates) + found.other == pytest.approx(1)
        assert best.probability > 0.5
        assert all(len(aligned(emissions, one.text)) == len(one.text) for one in found.candidates)


def test_separators_between_the_digits_do_not_share_out_the_probability_of_a_value() -> None:
    emissions = np.full((5, 14), -np.inf)
    for step, classes in enumerate([[2], [0, 11, 12, 13], [2], [0, 11], [0, 13]]):
        emissions[step, classes] = 0
    found = candidates_of(emissions, 5)
    (best,) = found.candidates
    assert (best.digits, found.other) == ("11", 0)
    assert best.probability == pytest.approx(1)
    assert log_prob(emissions, ["11"])[0] == pytest.approx(math.log(1 / 16))


def test_of_several_separators_the_most_probable_text_counts_and_not_the_best_path() -> None:
    emissions = np.full((5, 14), -np.inf)
    emissions[[0, 4], [2, 3]] = 0
    emissions[1:4, [0, 11]] = np.log([[0.4, 0.6], [0.6, 0.4], [0.4, 0.6]])  # the best path says two points
    (best,) = candidates_of(emissions, 5).candidates
    assert best.text == best_texts(emissions, 1)[0][0] == "1.2"


def test_leading_zeros_belong_to_the_text_and_not_to_the_value() -> None:
    emissions = np.full((3, 14), -np.inf)
    emissions[0, [0, 1]] = np.log([0.3, 0.7])
    emissions[1, 0] = emissions[2, 8] = 0
    (best,) = candidates_of(emissions, 5).candidates
    assert (best.text, best.digits, best.value) == ("07", "07", 7)
    assert best.probability == pytest.approx(1)
    (alone,) = candidates_of(emissions, 5, (1, 1)).candidates
    assert alone.text == "7"
    assert alone.probability == pytest.approx(1)
    assert candidates_of(emissions, 5, (1, 1)).allowed == pytest.approx(0.3)


def test_only_zeros_are_the_value_zero() -> None:
    found = candidates_of(strip("000", 0), 3)
    assert (found.candidates[0].text, found.candidates[0].value) == ("000", 0)
    assert {one.value for one in found.candidates[1:]}.isdisjoint({0})


@pytest.mark.parametrize("digits", [(4, 4), (4, None), (10**9, None), (5, 10**9)])
def test_where_no_allowed_number_of_digits_is_possible_everything_else_is_certain(digits: Digits) -> None:
    found = candidates_of(uniform(3), 5, digits)
    assert (found.candidates, found.other, found.allowed) == ((), 1, 0)
    assert found.is_number_probability == pytest.approx(1 - (4 / 14) ** 3)
    assert best_texts(uniform(3), 5, digits) == []


def test_a_blank_strip_has_no_number() -> None:
    blank = np.where(np.arange(14) == 0, 0.0, -np.inf)[None].repeat(8, 0)
    assert candidates_of(blank, 5) == Candidates((), 1.0, 0.0, 0.0)
    assert best_texts(blank, 5, (0, None)) == [("", 0.0)]


def test_the_certain_text_of_exact_zeros_is_found_alone() -> None:
    emissions = np.full((60, 14), -np.inf)
    emissions[:, 0] = 0
    for step, character in zip(range(0, 60, 5), "1.100,-22..9", strict=True):
        emissions[step] = -np.inf
        emissions[step, 1 + CHARACTERS.index(character)] = 0
    assert best_texts(emissions, 10) == [("1.100,-22..9", 0.0)]
    found = candidates_of(emissions, 10)
    assert [(one.text, one.probability) for one in found.candidates] == [("1.100,-22..9", 1.0)]
    assert found.positions == tuple((step, step) for step in range(0, 60, 5))


@pytest.mark.parametrize("digits", [(1, None), (2, 2)])
def test_what_is_e_to_the_minus_20000_is_found_where_nothing_else_is_allowed(digits: Digits) -> None:
    emissions = np.full((2, 14), -1e4)
    emissions[:, 2] = 1e4
    texts = best_texts(emissions, 30, digits)
    assert texts[0] == (("1", 0.0) if digits == (1, None) else (texts[0][0], pytest.approx(-2e4)))
    found = candidates_of(emissions, 30, digits)
    assert sum(one.probability for one in found.candidates) == pytest.approx(1)
    assert len(found.candidates) == (1 if digits == (1, None) else 18)


# Where the characters stand.


@settings(max_examples=150, deadline=None)
@given(strips())
def test_a_text_stands_where_its_best_path_says_it(made: tuple[Array, str]) -> None:
    emissions, characters = made
    best: dict[str, tuple[float, Positions]] = {}
    collapses = paths_of(len(emissions), characters)[1]
    for (text, places), score in zip(collapses, scores_of(emissions, characters).tolist(), strict=True):
        best[text] = max(best.get(text, (-np.inf, ())), (score, places))
    for text, (_, places) in best.items():
        assert aligned(emissions, text, characters) == places


def test_a_text_that_just_fits_has_a_step_for_each_character() -> None:
    assert aligned(uniform(7), "0000") == ((0, 0), (2, 2), (4, 4), (6, 6))
    assert aligned(uniform(3), "0.1") == ((0, 0), (1, 1), (2, 2))
    assert aligned(uniform(3), "") == ()


# What cannot be asked.


def test_a_text_without_a_path_cannot_be_aligned() -> None:
    message = (
        "text '0000': has no path through 6 steps, expected one of a probability above 0: align a text that "
        "`best_texts` gives"
    )
    with pytest.raises(ConfigError) as caught:
        aligned(uniform(6), "0000")
    assert str(caught.value) == message


def test_a_character_that_no_class_has_is_named() -> None:
    message = "a text with 'x': expected only characters of '0123456789.,-': leave the others out"
    with pytest.raises(ConfigError) as caught:
        log_prob(uniform(6), ["1", "1x"])
    assert str(caught.value) == message


def test_characters_are_different() -> None:
    with pytest.raises(ConfigError, match=r"^characters '121': expected each of them once: leave out what is there"):
        log_prob(np.zeros((3, 4)), [""], "121")


@pytest.mark.parametrize("shape", [(14,), (0, 14), (5, 13), (1, 5, 14)])
def test_emissions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    message = (
        f"emissions of shape {list(shape)}: expected [T, 14], at each of T > 0 steps a blank and '0123456789.,-': give "
        "the characters that the network was trained for"
    )
    with pytest.raises(RunError) as caught:
        candidates_of(np.zeros(shape), 5)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_step_without_a_distribution_is_refused(value: float) -> None:
    emissions = uniform(4)
    emissions[2] = value
    message = f"emissions whose greatest at a step is {value}: expected a finite number: train the network again"
    with pytest.raises(RunError) as caught:
        length_log_probs(emissions, 3)
    assert str(caught.value) == message


@pytest.mark.parametrize(("digits", "least"), [((0, 3), 1), ((-1, None), 1), ((3, 2), 1)])
def test_bounds_that_make_no_sense_are_refused(digits: Digits, least: int) -> None:
    message = (
        f"digits from {digits[0]} to {digits[1]}: expected from {least} or more to at least as many, or to None, which "
        "is any number: give the least first"
    )
    with pytest.raises(ConfigError) as caught:
        candidates_of(uniform(4), 5, digits)
    assert str(caught.value) == message
    with pytest.raises(ConfigError, match=r"^digits from 0 to -1: expected from 0 or more"):
        length_log_probs(uniform(4), -1)


def test_at_least_one_is_asked_for() -> None:
    for ask in (best_texts, candidates_of):
        with pytest.raises(ConfigError, match=r"^count 0: expected at least 1: ask for one or more$"):
            ask(uniform(4), 0)

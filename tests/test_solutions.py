"""Equations with unknowns, against counting out every combination of candidates and digits."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumnist.arithmetic.queries import Blanks, Query, words_of
from sumnist.arithmetic.solutions import FILLINGS, Answer, Solution, solution_of
from sumnist.arithmetic.values import Value, Values
from sumnist.errors import EquationError, NumberError


def solve(*words: Any, decimal: str | None = None) -> Solution:
    return solution_of(Query(words, decimal), {})


def units(value: Any) -> int:
    """A value in ten-thousandths."""
    return int(Fraction(value) * 10_000)


def choices_of(content: Any) -> list[tuple[int, float]]:
    """What a term may be, with the weight of each."""
    if isinstance(content, Values):
        return [(units(value), share) for value, share in content.probabilities.items()]
    if not isinstance(content, Blanks):
        return [(units(content), 1.0)]
    fillings = product("0123456789", repeat=content.text.count("_"))
    numbers = [int(content.text.replace("_", "{}").format(*digits)) for digits in fillings]
    return [(number * 10 ** (4 - content.places), 1.0) for number in numbers]


def counted(words: list[Any], decimal: str | None = None) -> tuple[dict[Any, dict[int, float]], float, float]:
    """The weight of each value of each number by its key, of everything, and of the best combination."""
    query = Query(words, decimal)
    steps: dict[Any, int] = defaultdict(int)
    for term in query.terms:
        steps[term.key] += term.step
    choices = {term.key: choices_of(term.content) for term in query.terms}
    weights: dict[Any, dict[int, float]] = {key: defaultdict(float) for key in choices}
    total = best = 0.0
    for combination in product(*choices.values()):
        if (
            sum(step * value for step, (value, _) in zip(map(steps.__getitem__, choices), combination, strict=True))
            == 0
        ):
            weight = math.prod(share for _, share in combination)
            total, best = total + weight, max(best, weight)
            for key, (value, _) in zip(choices, combination, strict=True):
                weights[key][value] += weight
    return weights, total, best


def agrees(words: list[Any], decimal: str | None = None) -> None:
    """Assert that a solution is what counting gives, or that both find none."""
    weights, total, best = counted(words, decimal)
    if not total:
        with pytest.raises(EquationError):
            solve(*words, decimal=decimal)
        return
    solution = solve(*words, decimal=decimal)
    contents = {term.key: term.content for term in Query(words, decimal).terms}
    for kind, answers in ((Blanks, solution.unknowns), (Values, solution.pictures)):
        keys = [key for key, content in contents.items() if isinstance(content, kind)]
        for key, answer in zip(keys, answers, strict=True):
            expected = {value: weight / total for value, weight in weights[key].items()}
            found = {units(value): share for value, share in answer.after.probabilities.items()}
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert solution.probability == pytest.approx(best / total)
    if not solution.unknowns:
        assert solution.is_true is not None
        assert solution.is_true[0] == pytest.approx(total)
    left, right = solution.solved.replace(",", ".").split(" = ")
    assert evaluated(left) == evaluated(right)


def evaluated(side: str) -> Fraction:
    """What a side of an equation makes."""
    sign, total = 1, Fraction()
    for word in side.split():
        if word in ("+", "-"):
            sign = 1 if word == "+" else -1
        else:
            total += sign * Fraction(word)
    return total


@st.composite
def distributions(draw: st.DrawFn, size: int = 3) -> Values:
    values = draw(st.lists(st.integers(-30, 130), min_size=1, max_size=size, unique=True))
    weights = draw(st.lists(st.floats(0.01, 1), min_size=len(values) + 1, max_size=len(values) + 1))
    shares = [weight / sum(weights) for weight in weights]
    return Values(dict(zip(values, shares[:-1], strict=True)), shares[-1])


@st.composite
def equations(draw: st.DrawFn) -> list[Any]:
    """The words of an equation of a few readings, patterns and numbers, of which some occur twice."""
    readings = draw(st.lists(distributions(), min_size=1, max_size=3))
    known = st.integers(-20, 200)
    pattern: st.SearchStrategy[Any] = st.from_regex(r"[0-9]_|_[0-9]|[0-9]_[0-9]|__", fullmatch=True)
    terms: list[Any] = draw(st.lists(st.sampled_from(readings), max_size=3))
    terms += draw(st.lists(pattern | known, max_size=2))
    terms = [readings[0], *draw(st.permutations(terms))]
    equals = draw(st.integers(1, len(terms)))
    words: list[Any] = []
    for place, term in enumerate(terms):
        words += ["="] if place == equals else [draw(st.sampled_from("+-"))] if place else []
        words.append(term)
    words += ["+" if "=" in words else "="]
    left = {term.key: draw(st.sampled_from(choices_of(term.content)))[0] for term in Query([*words, "_"]).terms[:-1]}
    rest = sum(term.step * left[term.key] for term in Query([*words, "_"]).terms[:-1]) // units(1)
    return [*words, rest + draw(st.sampled_from([0, 0, 0, 1]))]


@settings(deadline=None)
@given(equations())
def test_every_probability_is_that_of_counting_all_combinations(words: list[Any]) -> None:
    agrees(words)


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("A + B + 47 = 1_3", None),
        ("A + A - B = _0", None),
        ("A + __ = B + 1_", None),
        ("_4 - A = B + 0_", None),
        ("- A = B - 1__", None),
        ("A + __ + 0_ = 1__", None),
        ("A - A + B = 48", None),
        ("C + D = 15.70", "."),
        ("C + _.5 = D + __", "."),
        ("C + C = 2_", "."),
        ("C - 0.25 = 12.2_", "."),
    ],
)
def test_equations_of_all_kinds_agree_with_counting(text: str, decimal: str | None) -> None:
    readings = {
        "A": Values({53: 0.6, 58: 0.3, 33: 0.05}, 0.05), "B": Values({48: 0.9, 43: 0.09}, 0.01),
        "C": Values({Decimal("12.50"): 0.7, Decimal("12.5001"): 0.1, Decimal("11"): 0.1}, 0.1),
        "D": Values({Decimal("3.20"): 0.5, 4: 0.4, Decimal("4.7"): 0.1}, 0.0),
    }  # fmt: skip
    agrees([readings.get(word, word) for word in text.split()], decimal)


def test_unknowns_come_in_the_order_of_the_query_and_a_calculation_needs_no_picture() -> None:
    solution = solve("0_", "+", 12, "=", "_", "-", "1_")
    assert [answer.term for answer in solution.unknowns] == ["0_", "_", "1_"]
    assert solution.pictures == ()
    assert solve(12, "+", 30, "=", "_").unknowns[0].value == 42
    assert solve(12, "-", "_", "=", 30).solved == "12 - -18 = 30"
    assert solve("-", "_", "=", 5).unknowns[0].value == -5


def test_the_same_reading_twice_is_one_number_and_two_that_are_alike_are_not() -> None:
    shares: dict[Value, float] = {5: 0.5, 6: 0.5}
    one = Values(shares, 0.0)
    assert solve(one, "+", one, "=", 10).is_true == (0.5, 0.5)
    assert solve(one, "+", Values(shares, 0.0), "=", 10).is_true == (0.25, 0.25)
    with pytest.raises(EquationError):
        solve(one, "+", one, "=", 11)
    assert len(solve(one, "-", one, "=", 0).pictures) == 1


# What candidates leave out.


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0.001, 1), min_size=7, max_size=7), min_size=1, max_size=3), st.data())
def test_the_whole_truth_lies_within_what_is_said_without_the_other_values(
    weights: list[list[float]], data: st.DataObject
) -> None:
    whole = [Values({k: w / sum(one) for k, w in enumerate(one)}, 0.0) for one in weights]
    kept = [data.draw(st.sets(st.integers(0, 6), min_size=1)) for _ in whole]
    known = [
        Values({k: p for k, p in one.probabilities.items() if k in keep},
               sum(p for k, p in one.probabilities.items() if k not in keep))
        for one, keep in zip(whole, kept, strict=True)
    ]  # fmt: skip
    signs = [data.draw(st.sampled_from("+-")) for _ in whole[1:]]
    end: list[Any] = data.draw(
        st.sampled_from([["=", data.draw(st.integers(-4, 12))], ["=", "_0"], ["-", "0_", "=", "0_"]])
    )
    twice = data.draw(st.booleans())

    def words(readings: list[Values]) -> list[Any]:
        first: list[Any] = [readings[0], "-", readings[0], "+", readings[0]] if twice else [readings[0]]
        return first + [word for pair in zip(signs, readings[1:], strict=True) for word in pair] + end

    try:
        said = solve(*words(known))
    except EquationError:
        return
    truth = solve(*words(whole))
    least = said.at_least - 1e-9
    for ours, true in zip((*said.unknowns, *said.pictures), (*truth.unknowns, *truth.pictures), strict=True):
        for value, share in ours.after.probabilities.items():
            assert share * least <= true.after.probabilities[value] <= 1 - (1 - share) * least + 1e-9
    if truth.is_true:
        assert said.is_true is not None
        assert said.is_true[0] - 1e-9 <= truth.is_true[0] <= said.is_true[1] + 1e-9


def test_what_a_picture_must_show_as_a_candidate_leaves_no_doubt() -> None:
    one = Values({5: 0.6, 3: 0.3}, 0.1)
    assert solve(one, "+", 7, "=", 12).at_least == 1.0
    assert np.allclose(solve(one, "+", 7, "=", 12).is_true or (), 0.6)
    assert solve(one, "+", 7, "=", "1_").at_least < 1.0


# Far from zero, and beyond machine numbers.


def test_numbers_of_hundreds_of_digits_and_patterns_of_hundreds_of_unknown_ones_are_exact() -> None:
    one = Values({10**300 + 7: 0.5, 7: 0.5}, 0.0)
    solution = solve(one, "+", 1, "=", "1" + "_" * 300)
    assert (solution.unknowns[0].value, solution.probability) == (10**300 + 8, 1.0)
    assert dict(solve("_" * 300, "+", one, "=", 10**300 + 8).pictures[0].after.probabilities) == {10**300 + 7: 1.0}


@pytest.mark.parametrize("far", [1, 10**30])
def test_probabilities_that_no_machine_number_holds_are_divided_all_the_same(far: int) -> None:
    readings = [Values({0: 1.0 - 3e-200, far: 1e-200, 2 * far: 2e-200}, 0.0) for _ in range(4)]
    words = [word for one in readings for word in ("+", one)][1:]
    solution = solve(*words, "=", 8 * far)
    assert solution.probability == pytest.approx(1)
    assert solution.is_true == (0.0, 0.0)
    assert {answer.value for answer in solve(*words, "=", 7 * far).pictures} == {2 * far}
    first = solve(*words, "=", 7 * far).pictures[0]
    assert dict(first.after.probabilities) == pytest.approx({2 * far: 0.75, far: 0.25})


def test_more_possibilities_than_are_looked_at_are_refused_with_the_query() -> None:
    message = (
        f"_______ + 5 = _______: a pattern would be filled in more than {FILLINGS:,} ways, expected fewer unknown "
        "digits beside other unknowns: write more of the digits that are known"
    )
    with pytest.raises(NumberError) as caught:
        solve("_______", "+", 5, "=", "_______")
    assert str(caught.value) == message
    many = [Values(dict.fromkeys(range(1, 10_001), 1e-4), 0.0) for _ in range(5)]
    with pytest.raises(NumberError, match=r"^reading 1 \+ .* give fewer candidates for each number$"):
        solve(*[word for one in many for word in (one, "+")], 0, "=", "_")


# What is impossible, and what is no distribution.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["A", "+", 5, "=", 13], "reading 1 + 5 = 13: no reading of reading 1 makes it true, it would have to be 8; "
         "what else may be there has a probability of 0.1: check the equation and the pictures"),
        (["A", "+", "A", "=", 13], "reading 1 + reading 3 = 13: no reading of reading 1 makes it true, it would have "
         "to be 13/2; what else may be there has a probability of 0.1: check the equation and the pictures"),
        (["A", "-", "A", "=", 13], "reading 1 - reading 3 = 13: no reading of reading 1 makes it true; what else may "
         "be there has a probability of 0.1: check the equation and the pictures"),
        (["B", "-", "A", "=", 13], "reading 1 - reading 3 = 13: no readings of reading 1 and reading 3 make it true; "
         "what else may be there has a probability of 0.1: check the equation and the pictures"),
        (["B", "=", "_2"], "reading 1 = _2: no reading of reading 1 makes it true, whatever the digits are: check the "
         "equation and the pictures"),
        (["C", "=", "_2"], "reading 1 = _2: no reading of reading 1 makes it true, whatever the digits are: check the "
         "equation and the pictures"),
        ([3, "+", "_2", "=", 14], "3 + _2 = 14: no digits make it true: check the equation"),
    ],
)  # fmt: skip
def test_what_nothing_makes_true_is_said_with_what_was_looked_for(words: list[Any], message: str) -> None:
    readings = {"A": Values({5: 0.6, 3: 0.3}, 0.1), "B": Values({5: 1.0}, 0.0), "C": Values({5: 1.0}, 1e-15)}
    with pytest.raises(EquationError) as caught:
        solve(*(readings.get(word, word) if isinstance(word, str) else word for word in words))
    assert str(caught.value) == message


@pytest.mark.parametrize("values", [Values({}, 1.0), Values({5: 0.0}, 1.0)])
def test_a_number_without_candidates_is_refused(values: Values) -> None:
    with pytest.raises(NumberError, match=r"^reading 1: no candidates, expected one at least"):
        solve(values, "+", 5, "=", "_")


# The forms of a solution.


def test_a_solution_as_a_dictionary_has_all_that_json_can_write() -> None:
    one, two = Values({Decimal("12.50"): 0.6, 12: 0.3}, 0.1), Values({4: 0.5, 3: 0.3, 2: 0.2}, 0.0)
    solution = solve(one, "-", two, "=", Decimal("8.5"))
    values = solution.as_dict(2)
    assert json.loads(json.dumps(values)) == values
    assert values == {
        "format": 1, "query": "reading 1 - reading 3 = 8.5", "solved": "12.50 - 4 = 8.5", "probability": 1.0,
        "unknowns": [],
        "pictures": [
            {"term": "reading 1", "value": "12.50", "probability": 1.0,
             "values": [{"value": "12.50", "before": 0.6, "after": 1.0}], "impossible": [12], "other": 0.1,
             "reason": None, "together": "12.50"},
            {"term": "reading 3", "value": 4, "probability": 1.0,
             "values": [{"value": 4, "before": 0.5, "after": 1.0}], "impossible": [3, 2], "other": 0.0, "reason": None,
             "together": 4},
        ],
        "at_least": solution.at_least, "is_true": list(solution.is_true or ()),
        "contradicted": [],
    }  # fmt: skip
    unknown = solve(two, "+", "0_", "=", 9).as_dict(1)["unknowns"][0]
    assert unknown == {
        "term": "0_", "value": 5, "probability": 0.5, "values": [{"value": 5, "before": None, "after": 0.5}],
        "impossible": [], "other": None, "reason": None, "together": 5,
    }  # fmt: skip


def test_values_have_the_decimals_of_what_is_written_unless_they_need_more() -> None:
    one = Values({Decimal("7.25"): 0.9, Decimal("7.125"): 0.1}, 0.0)
    (unknown,) = solve(*words_of("1.5 + _ = "), one, decimal=".").unknowns
    assert [str(value) for value in unknown.after.probabilities] == ["5.75", "5.625"]
    assert [str(value) for value in solve(one, "=", "7._5", decimal=".").unknowns[0].after.probabilities] == ["7.25"]


def test_the_most_probable_value_comes_first_and_the_smaller_one_of_two() -> None:
    answer = solve(Values({9: 0.25, 4: 0.25, 6: 0.5}, 0.0), "+", "_", "=", 10).pictures[0]
    assert isinstance(answer, Answer)
    assert list(answer.after.probabilities) == [6, 4, 9]
    assert answer.probability == pytest.approx(0.5)


def test_an_equation_that_contradicts_what_is_clear_says_so() -> None:
    five, doubtful = Values({5: 0.995, 6: 0.005}, 0.0), Values({5: 0.9, 6: 0.1}, 0.0)
    (one,) = solve(five, "+", 7, "=", 13).contradicted
    assert (one.read, one.value, one.kept) == (5, 6, 0)
    both = solve(five, "+", Values({5: 0.995, 6: 0.005}, 0.0), "=", 11)  # either is misread, and neither surely
    assert [answer.kept for answer in both.contradicted] == pytest.approx([0.5, 0.5])
    assert both.as_dict()["contradicted"][0] == {"term": "reading 1", "read": 5, "probability": 0.995}
    for fine in (solve(five, "+", 7, "=", 12), solve(doubtful, "+", 7, "=", 13), solve(five, "+", "_", "=", 13)):
        assert fine.contradicted == ()


def test_a_number_by_itself_may_be_another_than_all_numbers_together_say() -> None:
    one, two = Values({0: 0.4, 5: 0.3, 6: 0.3}, 0.0), Values({0: 0.4, 6: 0.3, 5: 0.3}, 0.0)
    solution = solve(one, "+", two, "=", "_")
    (unknown,) = solution.unknowns
    assert (unknown.value, unknown.together, solution.solved) == (5, 0, "0 + 0 = 0")

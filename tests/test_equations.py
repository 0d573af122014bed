"""Equations: as they are written, against counting out all combinations, of pictures, and as a command."""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import sumnist
from drawings import line_of
from enumeration import values
from sumnist.arithmetic.solutions import Answer, Anything, Blanks, Query, Solution, Unread, solution_of, words_of
from sumnist.arithmetic.values import Value, Values
from sumnist.cli import main
from sumnist.errors import ConfigError, EquationError, ImageError, NumberError
from sumnist.inference.numbers import Numbers
from sumnist.inference.reader import Reader
from sumnist.inference.solve import CANDIDATES, COMBINATIONS, solve, words_in

LONGEST = 600


def contents(text: str, decimal: str | None = None) -> list[tuple[int, Any]]:
    """What each term of a query is, with its sign on the left side."""
    return [(term.step, term.content) for term in Query(words_of(text), decimal).terms]


def said(words: list[Any], decimal: str | None = None) -> tuple[type[Exception], str]:
    with pytest.raises((ConfigError, NumberError)) as caught:
        Query(words, decimal)
    return caught.type, str(caught.value)


# What is understood.


def test_terms_are_numbers_patterns_unknowns_and_pictures_and_change_their_sign_behind_the_equals() -> None:
    assert contents("- a.png + 1_3 − 47 = 0_ + -12 - _ + 007") == [
        (-1, Unread("a.png")), (1, Blanks("1_3", 0)), (-1, 47), (-1, Blanks("0_", 0)), (-1, -12), (1, Anything()),
        (-1, 7),
    ]  # fmt: skip


def test_a_query_is_repeated_as_it_can_be_written_again() -> None:
    text = """"my file.png" + 'the "best".png' - "12" + a.png = -5 + 1_3 - 'say "x"'"""
    assert Query(words_of(text)).text == text
    assert words_of(Query(words_of(text)).text) == words_of(text)


def test_numbers_and_patterns_have_decimals_where_a_sign_for_them_is_given() -> None:
    assert contents("1,50 + _,_5 + -3 = a.png", ",") == [
        (1, Decimal("1.50")), (1, Blanks("__5", 2)), (1, -3), (-1, Unread("a.png"))
    ]  # fmt: skip
    assert contents("1.5 + 1,5 = _", ".") == [(1, Decimal("1.5")), (1, Unread("1,5")), (-1, Anything())]
    assert contents("1.5 = _") == [(1, Unread("1.5")), (-1, Anything())]


# What is refused.


TOO_LONG = f"expected at most {LONGEST} digits before and behind the decimal sign: shorten the number"


def test_a_number_of_thousands_of_digits_is_refused_and_shown_without_its_middle() -> None:
    mark = "-9"
    word = mark + mark[-1] * 5000
    brief = f"{word[:30]}…{word[-30:]}"
    assert said(words_of(f"a + {word} = 3")) == (NumberError, f"a + {brief} = 3: word 3, {brief}: {TOO_LONG}")
    assert len(Query(words_of(f"a + {mark[-1] * LONGEST} = 3")).terms) == 3


def solved(*words: Any, decimal: str | None = None) -> Solution:
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
        if not sum(steps[key] * value for key, (value, _) in zip(choices, combination, strict=True)):
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
            solved(*words, decimal=decimal)
        return
    solution = solved(*words, decimal=decimal)
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
    terms = Query(words_of(solution.solved + " + _"), ".").terms
    assert sum(term.step * Fraction(term.content) for term in terms[:-1]) == 0


@st.composite
def equations(draw: st.DrawFn) -> list[Any]:
    """The words of an equation of a few readings, patterns and numbers, of which some occur twice."""
    readings = draw(st.lists(values(other=True), min_size=1, max_size=3))
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
        ("A + __ = B + 1_", None),
        ("- A = B - 1__", None),
        ("A - A + B = 48", None),
        ("C + D = 15.70", "."),
        ("C + _.5 = D + __", "."),
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
    solution = solved("0_", "+", 12, "=", "_", "-", "1_")
    assert [answer.term for answer in solution.unknowns] == ["0_", "_", "1_"]
    assert solution.pictures == ()
    assert solved(12, "+", 30, "=", "_").unknowns[0].value == 42
    assert solved(12, "-", "_", "=", 30).solved == "12 - -18 = 30"
    assert solved("-", "_", "=", 5).unknowns[0].value == -5


def test_the_same_reading_twice_is_one_number_and_two_that_are_alike_are_not() -> None:
    shares: dict[Value, float] = {5: 0.5, 6: 0.5}
    one = Values(shares, 0.0)
    assert solved(one, "+", one, "=", 10).is_true == (0.5, 0.5)
    assert solved(one, "+", Values(shares, 0.0), "=", 10).is_true == (0.25, 0.25)
    assert len(solved(one, "-", one, "=", 0).pictures) == 1
    assert len(solved("__", "+", "__", "=", 30).unknowns) == 2


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
        said = solved(*words(known))
    except EquationError:
        return
    truth = solved(*words(whole))
    least = said.at_least - 1e-9
    for ours, true in zip((*said.unknowns, *said.pictures), (*truth.unknowns, *truth.pictures), strict=True):
        for value, share in ours.after.probabilities.items():
            assert share * least <= true.after.probabilities[value] <= 1 - (1 - share) * least + 1e-9
    if truth.is_true:
        assert said.is_true is not None
        assert said.is_true[0] - 1e-9 <= truth.is_true[0] <= said.is_true[1] + 1e-9


def test_what_a_picture_must_show_as_a_candidate_leaves_no_doubt() -> None:
    one = Values({5: 0.6, 3: 0.3}, 0.1)
    assert solved(one, "+", 7, "=", 12).at_least == 1.0
    assert np.allclose(solved(one, "+", 7, "=", 12).is_true or (), 0.6)
    assert solved(one, "+", 7, "=", "1_").at_least < 1.0
    # L = 0.3 · 0.5; X = 0.1 · (0.9 − 0.5) + 0.1 · (0.9 − 0.3) + 0.1²
    assert solved(one, "+", Values({5: 0.5, 4: 0.4}, 0.1), "=", 8).at_least == pytest.approx(0.15 / (0.15 + 0.11))


# Far from zero, and beyond machine numbers.


def test_numbers_of_hundreds_of_digits_and_patterns_of_hundreds_of_unknown_ones_are_exact() -> None:
    one = Values({10**300 + 7: 0.5, 7: 0.5}, 0.0)
    solution = solved(one, "+", 1, "=", "1" + "_" * 300)
    assert (solution.unknowns[0].value, solution.probability) == (10**300 + 8, 1.0)
    assert dict(solved("_" * 300, "+", one, "=", 10**300 + 8).pictures[0].after.probabilities) == {10**300 + 7: 1.0}


@pytest.mark.parametrize("far", [1, 10**30])
def test_probabilities_that_no_machine_number_holds_are_divided_all_the_same(far: int) -> None:
    readings = [Values({0: 1.0 - 3e-200, far: 1e-200, 2 * far: 2e-200}, 0.0) for _ in range(4)]
    words = [word for one in readings for word in ("+", one)][1:]
    solution = solved(*words, "=", 8 * far)
    assert solution.probability == pytest.approx(1)
    assert solution.is_true == (0.0, 0.0)
    assert {answer.value for answer in solved(*words, "=", 7 * far).pictures} == {2 * far}
    first = solved(*words, "=", 7 * far).pictures[0]
    assert dict(first.after.probabilities) == pytest.approx({2 * far: 0.75, far: 0.25})


def test_more_possibilities_than_are_looked_at_are_refused_with_the_query() -> None:
    many = [Values(dict.fromkeys(range(1, 10_001), 1e-4), 0.0) for _ in range(5)]
    with pytest.raises(NumberError, match=r"^reading 1 \+ .* give fewer candidates for each number$"):
        solved(*[word for one in many for word in (one, "+")], 0, "=", "_")


# The forms of a solution.


def test_values_have_the_decimals_of_what_is_written_unless_they_need_more() -> None:
    one = Values({Decimal("7.25"): 0.9, Decimal("7.125"): 0.1}, 0.0)
    (unknown,) = solved(*words_of("1.5 + _ = "), one, decimal=".").unknowns
    assert [str(value) for value in unknown.after.probabilities] == ["5.75", "5.625"]
    assert [str(value) for value in solved(one, "=", "7._5", decimal=".").unknowns[0].after.probabilities] == ["7.25"]


def test_the_most_probable_value_comes_first_and_the_smaller_one_of_two() -> None:
    answer = solved(Values({9: 0.25, 4: 0.25, 6: 0.5}, 0.0), "+", "_", "=", 10).pictures[0]
    assert isinstance(answer, Answer)
    assert list(answer.after.probabilities) == [6, 4, 9]
    assert answer.probability == pytest.approx(0.5)


def test_an_equation_that_contradicts_what_is_clear_says_so() -> None:
    five, doubtful = Values({5: 0.995, 6: 0.005}, 0.0), Values({5: 0.9, 6: 0.1}, 0.0)
    (one,) = solved(five, "+", 7, "=", 13).contradicted
    assert (one.read, one.value, one.kept) == (5, 6, 0)
    both = solved(five, "+", Values({5: 0.995, 6: 0.005}, 0.0), "=", 11)  # either is misread, and neither surely
    assert [answer.kept for answer in both.contradicted] == pytest.approx([0.5, 0.5])
    assert both.as_dict()["contradicted"][0] == {"term": "reading 1", "read": 5, "probability": 0.995}
    for fine in (solved(five, "+", 7, "=", 12), solved(doubtful, "+", 7, "=", 13), solved(five, "+", "_", "=", 13)):
        assert fine.contradicted == ()


def test_a_number_by_itself_may_be_another_than_all_numbers_together_say() -> None:
    one, two = Values({0: 0.4, 5: 0.3, 6: 0.3}, 0.0), Values({0: 0.4, 6: 0.3, 5: 0.3}, 0.0)
    solution = solved(one, "+", two, "=", "_")
    (unknown,) = solution.unknowns
    assert (unknown.value, unknown.together, solution.solved) == (5, 0, "0 + 0 = 0")


EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a few pictures."""
    monkeypatch.chdir(tmp_path)
    for name in ("five.png", "1480.png"):
        shutil.copy(EXAMPLES / name, tmp_path)
    shutil.copy("five.png", "a five.png")
    shutil.copy("five.png", "12")
    Image.fromarray(line_of("1037")).save("1037.png")
    Image.new("L", (200, 60), 255).save("blank.png")
    Path("text.png").write_text("no picture")
    Path("folder").mkdir()
    return tmp_path


@pytest.fixture
def command(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run `sumnist solve` in this process, there."""

    def run(*words: str) -> Result:
        status = main(["solve", *words])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


# In Python.


def test_an_unknown_number_is_what_the_picture_leaves(place: Path, reader: Reader) -> None:
    solution = sumnist.solve("five.png + _ = 12", reader)
    assert solution.solved == "5 + 7 = 12"
    (unknown,), (five,) = solution.unknowns, solution.pictures
    assert (unknown.term, unknown.value, five.term, five.value) == ("_", 7, "five.png", 5)
    read = reader.read_number("five.png", count=CANDIDATES)
    assert five.before == read.values
    assert dict(unknown.after.probabilities) == pytest.approx(
        {12 - value: share / (1 - read.other) for value, share in read.values.probabilities.items()}
    )


def test_a_list_has_readings_of_both_kinds_paths_pictures_and_numbers(place: Path, reader: Reader) -> None:
    digit, number = reader.read("five.png", 0), reader.read_number("1480.png")
    with Image.open("1037.png") as picture:
        solution = solve([number, "+", digit, "+", picture, "+", Path("a five.png"), "=", "_"], reader)
    assert solution.query == 'reading 1 + reading 3 + picture 5 + "a five.png" = _'
    assert solution.solved == "1480 + 5 + 1037 + 5 = 2527"
    assert solution.pictures[1].before == Values(dict(enumerate(digit.digit_probabilities)), 0.0)
    assert solve([Path("five.png").read_bytes(), "+", np.int64(7), "=", "1_"], reader).unknowns[0].value == 12


def test_the_same_picture_twice_is_read_once_and_counts_twice(
    place: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def counted(self: Numbers, pictures: Any, *more: Any) -> Any:
        asked.extend(pictures)
        return each(self, pictures, *more)

    each = Numbers.read_each
    monkeypatch.setattr(Numbers, "read_each", counted)
    solution = solve(["five.png", "+", Path("./five.png"), "=", 10], reader)
    assert asked == ["five.png"]
    assert solution.is_true == pytest.approx([solution.pictures[0].before.probabilities[5]] * 2)  # type: ignore[union-attr]
    assert solve("five.png + 'a five.png' = 10", reader).is_true != solution.is_true


@pytest.mark.parametrize(("pictures", "count"), [(1, 100), (8, 22), (40, 2)])
def test_of_many_pictures_each_has_fewer_candidates(
    pictures: int, count: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def stopped(self: Numbers, given: Any, *more: Any) -> Any:
        asked.append(more[-1])
        return [ImageError("stop")]

    monkeypatch.setattr(Numbers, "read_each", stopped)
    for name in range(pictures):
        Path(f"{name}.png").touch()
    with pytest.raises(ImageError, match="stop"):
        solve(" + ".join(f"{name}.png" for name in range(pictures)) + " = _")
    assert asked == [count]
    assert count == 2 or count ** -(-pictures // 2) <= COMBINATIONS


# Words.


def test_words_are_given_as_one_text_or_as_many(place: Path) -> None:
    words = ["five.png", "+", "_", "=", "12"]
    assert words_in("five.png + _ = 12") == words_in(*words) == words_in("five.png + _", "=", "12") == words
    spaced = [Path("a five.png"), "+", "_", "=", "12"]
    assert words_in("a five.png", "+", "_", "=", "12") == words_in("'a five.png' + _ = 12") == spaced
    assert words_in("none of these.png", "=", "5")[0] == Path("none of these.png")
    shutil.copy("five.png", "a + b.png")
    assert words_in("a + b.png", "=", "5") == [Path("a + b.png"), "=", "5"]
    assert words_in("a - b.png", "=", "5") == ["a", "-", "b.png", "=", "5"]
    assert words_in("five.png", "", "=") == ["five.png", "="]


# The command.


def test_the_flags_reach_the_reader(command: Callable[..., Result], reader: Reader) -> None:
    words = ["1480.png", "=", "_", "+", "0,5"]
    flags = ["--json", "--count", "2", "--digits", "2-3", "--decimal", ",", "--ink", "light"]
    status, out, err = command(*words, *flags)
    assert (status, err, out.count("\n")) == (0, "", 1)
    assert json.loads(out) == solve(words, reader, (2, 3), ",", "light").as_dict(2)

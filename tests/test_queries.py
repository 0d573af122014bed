"""Equations as they are written: what each word is, and what is said of a wrong one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sumnist.arithmetic.queries import LONGEST, Anything, Blanks, Query, Unread, words_of
from sumnist.arithmetic.values import Values
from sumnist.errors import ConfigError, NumberError

TERM = "a picture, a number or _"
LIKELY = Values({5: 0.75, 3: 0.25}, 0.0)


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


def test_what_is_quoted_is_a_picture_whatever_it_looks_like() -> None:
    assert words_of("""'my file.png' + "12" = "it's" - it's + '_'""") == [
        Path("my file.png"), "+", Path("12"), "=", Path("it's"), "-", "it's", "+", Path("_"),
    ]  # fmt: skip
    assert [content for _, content in contents("'12' + 12 = \"a b\"")] == [
        Unread(Path("12")), 12, Unread(Path("a b"))
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


def test_a_list_has_readings_numbers_and_pictures_of_any_kind() -> None:
    picture = np.zeros((28, 28), np.uint8)
    query = Query([LIKELY, "+", np.int64(7), "-", Decimal("1.5"), "=", picture])
    assert [term.content for term in query.terms[:3]] == [LIKELY, 7, Decimal("1.5")]
    assert query.terms[3].content.picture is picture
    assert query.text == "reading 1 + 7 - 1.5 = picture 7"


def test_the_same_picture_twice_is_one_number_and_every_unknown_is_one_of_its_own() -> None:
    names = Query(["a.png", "+", "./a.png", "+", Path("b/../a.png"), "=", "b.png"])
    assert len({term.key for term in names.terms}) == 2
    assert [term.place for term in names.pictures.values()] == [1, 7]
    readings = Query([LIKELY, "+", LIKELY, "=", Values({5: 1.0}, 0.0)])
    assert len({term.key for term in readings.terms}) == 2
    assert len({term.key for term in Query(["__", "+", "__", "=", "_"]).terms}) == 3


# What is refused.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png + 3", 'a.png + 3: expected one = in it: write what is equal, such as "five.png + _ = 12"'),
        ("a.png+3=_", "a.png+3=_: word 1, a.png+3=_: expected a space on each side of the =: write them"),
        ("a = 3 = 4", "a = 3 = 4: word 4, =: expected one = alone: leave out what is from the second one on"),
        ("a b = 3", "a b = 3: word 2, b: expected +, - or = between two terms: write one, or quote a path with spaces"),
        ("a * 2 = _", "a * 2 = _: word 2, *: expected +, - or = between two terms: write one, or quote a path with "
         "spaces"),
        ("a + + 3 = 5", f"a + + 3 = 5: word 3, +: expected {TERM}: leave this sign out"),
        ("a + - 3 = 5", f"a + - 3 = 5: word 3, -: expected {TERM}: leave this sign out"),
        ("- - 3 = a", f"- - 3 = a: word 2, -: expected {TERM}: leave this sign out"),
        ("+ 3 = a", f"+ 3 = a: word 1, +: expected {TERM}: leave this sign out"),
        ("a + 3 =", f"a + 3 =: word 4, =: expected {TERM} after it: write what is equal"),
        ("a + 3 = 5 +", f"a + 3 = 5 +: word 6, +: expected {TERM} after it: write what is equal"),
        ("= a", f"= a: word 1, =: expected {TERM} before it: write what is equal"),
        ("a + = 5", f"a + = 5: word 3, =: expected {TERM} before it: write what is equal"),
        ("_ + a = _", "_ + a = _: word 5, _: expected one _ alone at most: write a _ for each digit, such as __, or 0_ "
         "for one digit"),
        ("-_ = a", "-_ = a: word 1, -_: expected a space between the sign and unknown digits: write one"),
        ("5 + 7 = 12", "5 + 7 = 12: expected a picture or a _ in it: it is true, and there is nothing to solve"),
        ("5 + 7 = -12", "5 + 7 = -12: expected a picture or a _ in it: it is false, and there is nothing to solve"),
    ],
)  # fmt: skip
def test_a_wrong_query_is_repeated_with_the_word_that_is_wrong_what_was_expected_and_the_mend(
    text: str, message: str
) -> None:
    assert said(words_of(text)) == (ConfigError, message)


def test_an_empty_query_is_told_what_one_looks_like() -> None:
    for words in ([], words_of(""), words_of("  \n")):
        message = 'an empty query: expected an equation, such as "five.png + _ = 12": write one'
        assert said(words) == (ConfigError, message)


@pytest.mark.parametrize("text", ['"a b.png + 3 = _', "'a.png + 3 = _", '3 = "a.png"b', '"a" = \''])
def test_a_quote_without_its_second_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r": expected a second [\"'] at the end of the path: write it, then a space$"):
        words_of(text)


@pytest.mark.parametrize("mark", ["9", "_", "-9"])
def test_a_number_of_thousands_of_digits_is_refused_and_shown_without_its_middle(mark: str) -> None:
    word = mark + mark[-1] * 5000
    brief = f"{word[:30]}…{word[-30:]}"
    message = (
        f"a + {brief} = 3: word 3, {brief}: expected at most {LONGEST} digits before and behind the decimal sign: "
        "shorten the number"
    )
    assert said(words_of(f"a + {word} = 3")) == (NumberError, message)
    longest = mark[-1] * LONGEST
    assert len(Query(words_of(f"a + {longest} = 3")).terms) == 3


@pytest.mark.parametrize(
    "number",
    [10**LONGEST, -(10**5000), Decimal(10) ** LONGEST, Decimal("1e-601"), Decimal("NaN"), Decimal("Infinity"),
     Values({10**LONGEST: 1.0}, 0.0)],
    ids=range(7),
)  # fmt: skip
def test_numbers_without_an_end_or_a_value_are_refused_in_lists_too(number: Any) -> None:
    kind, message = said(["a", "+", number, "=", 3])
    assert kind is NumberError
    assert "word 3, " in message
    assert f"expected at most {LONGEST} digits before and behind the decimal sign" in message
    assert len(message) < 300


@pytest.mark.parametrize("number", [5.5, True, np.float32(2), 1j])
def test_a_number_that_is_neither_whole_nor_decimal_is_refused(number: Any) -> None:
    message = f"a + {number} = 3: word 3, {number}: expected a whole number or a Decimal: write 5, or Decimal('5.5')"
    assert said(["a", "+", number, "=", 3]) == (NumberError, message)


def test_of_a_long_query_the_words_around_the_wrong_one_are_shown() -> None:
    words = words_of(" + ".join(f"{k}.png" for k in range(20)) + " = = 1 + 2 + 3 + 4")
    where = "… + 18.png + 19.png = = 1 + 2 + 3 …: word 41, ="
    assert said(words) == (ConfigError, f"{where}: expected {TERM} before it: write what is equal")

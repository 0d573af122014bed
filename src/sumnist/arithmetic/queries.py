"""Equations as they are written: terms with + and - between them, and one =, all separated by spaces.

    a.png + "another one.png" - 47 = 1_3

A term is one of

    47      a whole number, perhaps with a sign before it;
    1_3     a pattern: each `_` is one unknown digit, a leading one perhaps zero;
    _       one unknown number, perhaps a negative one;
    a.png   a picture: all that is not written with digits and `_` alone, and all that is in quotes.

With a sign before decimals, numbers and patterns may have some. The same picture twice is the same number, which counts
twice; every `_` is an unknown of its own.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Number
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sumnist.arithmetic.values import Value, Values
from sumnist.errors import ConfigError, NumberError, SumnistError

SIGNS = {"+": 1, "-": -1, "−": -1, "=": 0}
"""How the term counts that follows a sign."""
LONGEST = 600
"""Digits of a number, before and behind the decimal sign: Python writes and reads sums of such ones, up to 4,300."""
SHOWN = 60
"""Characters of a word that messages show."""
NEAR = 5
"""Words that messages show on each side of the one that is wrong."""
TERM = "a picture, a number or _"
EXAMPLE = '"five.png + _ = 12"'


@dataclass(frozen=True)
class Anything:
    """Every whole number; each weighs one."""

    size = math.inf

    def weight(self, value: int) -> float:
        """The log-weight of a value."""
        return 0.0

    def values(self) -> NDArray[Any]:
        """There is no list of them. Raises `NumberError`."""
        raise NumberError("two numbers that may be anything, expected at most one in an equation: give the other one")


@dataclass(frozen=True)
class Blanks:
    """A number with unknown digits: its text without a decimal sign, and how many decimals it has."""

    text: str
    places: int


@dataclass(frozen=True)
class Unread:
    """A picture of a number."""

    picture: Any


@dataclass(frozen=True)
class Term:
    """A term of a query.

    Attributes:
        place: Which word of the query it is, from 1 on.
        text: How it is written.
        step: 1 or −1: how it counts when all terms are brought to the left side.
        content: A whole number or `Decimal`; `Blanks`; `Anything`; `Values`, or a reading, which has them; or `Unread`.
        key: The same for terms that are the same number.
    """

    place: int
    text: str
    step: int
    content: Any
    key: Hashable


class Query:
    """An equation, whose pictures have yet to be read.

    Args:
        words: Signs, each `+`, `-` or `=`; numbers, patterns, `_` and paths, as text; whole numbers and `Decimal`;
            readings and `Values`; and what else may be a picture.
        decimal: The sign before the decimals of numbers that are text, "." or ","; None if they are whole.

    Attributes:
        text: The equation as it is written.
        terms: Its terms.

    Raises:
        ConfigError: It is no equation, or has nothing in it that is to be found out.
        NumberError: A number is too long, or of a kind that is not added.
    """

    def __init__(self, words: Sequence[Any], decimal: str | None = None) -> None:
        if not words:
            raise ConfigError(f"an empty query: expected an equation, such as {EXAMPLE}: write one")
        self.decimal = decimal
        self.shown = [shown(word, place, self) for place, word in enumerate(words, 1)]
        self.text = " ".join(self.shown)
        self.terms = tuple(self.parsed(words))
        bare = [term for term in self.terms if isinstance(term.content, Anything)]
        if len(bare) > 1:
            raise self.wrong(
                bare[1].place, "one _ alone at most", "write a _ for each digit, such as __, or 0_ for one digit"
            )
        if all(isinstance(term.content, Value) for term in self.terms):
            verdict = "false" if sum(term.step * Fraction(term.content) for term in self.terms) else "true"
            raise self.wrong(None, "a picture or a _ in it", f"it is {verdict}, and there is nothing to solve")

    @property
    def pictures(self) -> dict[Hashable, Term]:
        """The terms that have to be read, each picture once, by their keys."""
        found: dict[Hashable, Term] = {}
        for term in self.terms:
            if isinstance(term.content, Unread):
                found.setdefault(term.key, term)
        return found

    def parsed(self, words: Iterable[Any]) -> list[Term]:
        """The terms of an equation."""
        terms: list[Term] = []
        side = sign = 1
        begins = expects = True  # a side; a term
        for place, word in enumerate(words, 1):
            given = word if isinstance(word, str) else ""
            if given == "=":
                if expects:
                    raise self.wrong(place, f"{TERM} before it", "write what is equal")
                if side < 0:
                    raise self.wrong(place, "one = alone", "leave out what is from the second one on")
                side, sign, begins, expects = -1, 1, True, True
            elif given in SIGNS:
                if expects and not (begins and SIGNS[given] < 0):
                    raise self.wrong(place, TERM, "leave this sign out")
                sign, begins, expects = SIGNS[given], False, True
            elif not expects:
                raise self.wrong(place, "+, - or = between two terms", "write one, or quote a path with spaces")
            else:
                terms.append(self.term(place, word, side * sign))
                begins = expects = False
        if expects:
            raise self.wrong(len(self.shown), f"{TERM} after it", "write what is equal")
        if side > 0:
            glued = [place for place, word in enumerate(self.shown, 1) if "=" in word]
            if glued:
                raise self.wrong(glued[0], "a space on each side of the =", "write them")
            raise self.wrong(None, "one = in it", f"write what is equal, such as {EXAMPLE}")
        return terms

    def term(self, place: int, word: Any, step: int) -> Term:
        """The term that a word is."""
        content, key = self.content(place, word), ("word", place)
        if isinstance(content, Unread) and isinstance(word, str | os.PathLike):
            return Term(place, self.shown[place - 1], step, content, os.path.realpath(word))
        known = isinstance(content, Value | Blanks | Anything)
        return Term(place, self.shown[place - 1], step, content, key if known else id(word))

    def content(self, place: int, word: Any) -> Any:
        """What a term is."""
        if "\0" in self.shown[place - 1]:
            raise self.wrong(place, TERM, "leave the character NUL out")
        if isinstance(word, str):
            return self.written(place, word)
        if isinstance(values := getattr(word, "values", word), Values):
            for value in values.probabilities:
                self.check_length(place, value)
            return word
        if isinstance(word, Number):
            number = word if isinstance(word, Decimal) else whole(word)
            if number is not None:
                return self.check_length(place, number)
            raise self.wrong(place, "a whole number or a Decimal", "write 5, or Decimal('5.5')", NumberError)
        return Unread(word)

    def written(self, place: int, word: str) -> Any:
        """What a term is that is text."""
        if word == "_":
            return Anything()
        if (parts := self.parts(word)) is None:
            return Unread(word)
        sign, digits, decimals = parts
        if max(len(digits), len(decimals)) > LONGEST:
            raise self.too_long(place)
        if "_" not in digits + decimals:
            return Decimal(f"{sign}{digits}.{decimals}") if decimals else int(sign + digits)
        if sign:
            raise self.wrong(place, "a space between the sign and unknown digits", "write one")
        return Blanks(digits + decimals, len(decimals))

    def parts(self, word: str) -> tuple[str, str, str] | None:
        """The sign, the digits and the decimals of a number or pattern; None if the word is none."""
        decimals = rf"(?:{re.escape(self.decimal)}([0-9_]+))?" if self.decimal else "()"
        found = re.fullmatch(rf"([+-]?)([0-9_]+){decimals}", word)
        return found and (found[1], found[2], found[3] or "")

    def check_length(self, place: int, number: Value) -> Value:
        """The number. Raises `NumberError` if it is too long."""
        if isinstance(number, int):
            if abs(number) < 10**LONGEST:
                return number
        elif number.is_finite() and number.adjusted() < LONGEST and int(number.as_tuple().exponent) >= -LONGEST:
            return number
        raise self.too_long(place)

    def too_long(self, place: int) -> SumnistError:
        """The error to raise for a number."""
        expected = f"at most {LONGEST} digits before and behind the decimal sign"
        return self.wrong(place, expected, "shorten the number", NumberError)

    def wrong(
        self, place: int | None, expected: str, mend: str, kind: type[SumnistError] = ConfigError
    ) -> SumnistError:
        """The error to raise for the query, or for the word at a place."""
        where = "" if place is None else f": word {place}, {brief(self.shown[place - 1])}"
        return kind(f"{self.near(place or 1)}{where}: expected {expected}: {mend}")

    def near(self, place: int = 1) -> str:
        """The words around one."""
        start, end = max(0, place - 1 - NEAR), place + NEAR
        words = " ".join(brief(word) for word in self.shown[start:end])
        return f"{'… ' if start else ''}{words}{' …' if end < len(self.shown) else ''}"

    def filled(self, values: Mapping[Hashable, int | str | None]) -> str:
        """The equation with values for its terms, by their keys."""
        words = self.shown.copy()
        for term in self.terms:
            words[term.place - 1] = str(values.get(term.key, term.text))
        return " ".join(words)


def words_of(text: str) -> list[Any]:
    """The words of a query; what is quoted as a path. Raises `ConfigError` for a quote without its second."""
    words: list[Any] = []
    for found in re.finditer(r"""(["'])(.*?)\1(?=\s|$)|(\S+)""", text):
        if found[3] and found[3][0] in "\"'":
            quote = found[3][0]
            raise ConfigError(
                f"{brief(text)}: expected a second {quote} at the end of the path: write it, then a space"
            )
        words.append(found[3] or Path(found[2]))
    return words


def shown(word: Any, place: int, query: Query) -> str:
    """A word as it is written."""
    if isinstance(word, str | Path):
        text = str(word)
        is_path = isinstance(word, Path) and (text in {*SIGNS, "_"} or query.parts(text) is not None)
        quote = "'" if '"' in text else '"'
        return f"{quote}{text}{quote}" if is_path or not text or re.search(r"\s", text) else text
    if isinstance(getattr(word, "values", word), Values):
        return f"reading {place}"
    if isinstance(word, Number):
        number = whole(word)
        return "a longer number" if number is not None and abs(number) >= 10**LONGEST else str(word)
    return f"picture {place}"


def whole(number: Any) -> int | None:
    """A whole number as Python's own; None if it is none."""
    try:
        return None if isinstance(number, bool) else operator.index(number)
    except TypeError:
        return None


def brief(word: str) -> str:
    """A word, without its middle if it is long."""
    return word if len(word) <= SHOWN else f"{word[: SHOWN // 2]}…{word[-SHOWN // 2 :]}"

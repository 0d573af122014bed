"""Understands sums as they are written, such as "12+7=19": what was asked and answered, and whether it is right.

Values are exact fractions. A number that is missing, as in "3+~=9", is a filler (`~`), an empty pair of brackets, or
nothing at all. The prior of a sum tells how often people write it: most answers are right, and wrong ones mostly come
from a slip of counting, of a carry or of a table (`arithmetic/relations.Writer`). It is set by judgement, and learned
from no one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sumnist.arithmetic.relations import ANYTHING, KINDS, SKIPPED, WEIGHTS, Writer
from sumnist.inference.meaning import EXPRESSION, meaning

RIGHT, WRONG, UNANSWERED, NO_SUM = "right", "wrong", "unanswered", "not a sum"
MISTAKEN, OPEN, STRANGE, FRACTION = 0.15, 0.1, 1e-3, 0.05
"""Prior probabilities. `MISTAKEN`: an answer is wrong. `OPEN`: there is none. `STRANGE`: a line is no sum. `FRACTION`:
a sum begins with a fraction, such as "3/4+1=", and not with the number of an item, such as "3)4+1="."""
LONGEST, MOST_DIGITS = 60, 12
"""The most characters of a sum, and the most digits of a number, that are worked out."""
ROUNDED, ESTIMATED = 2, Fraction(1, 10)
"""`ROUNDED`: an answer with so many decimals may be rounded. `ESTIMATED`: how far an estimate (≈) may be off, as a
share of the value."""
TOKEN = re.compile(r"\d+(?:[.,]\d+)?|[-+×÷:/()_]")
ITEM = re.compile(r"^ *\d{1,3}(?:[).] +|\)(?=[\d(]))(?=.*[-+×÷:/])")
"""The number of an item before its sum, such as "3) "."""
LIKE_ITEM = re.compile(r"\d{1,2}/\d+[-+×÷:]")
GAP = re.compile(r"\( *\)|~|#")
REMAINDER = re.compile(r"(\d+)(?:\.{2,}|[.,? ]+)(\d+)")
"""A quotient and a remainder, such as "4…2"."""
SCORE = re.compile(r"\d+ *[:/] *\d+")
APART = re.compile(r"\d +(?!\d{3}(?!\d))\d")
"""A gap between digits that does not separate thousands: two sums, or a number beside a sum."""
RELATION = re.compile("([=<>≈])")
TABLE = "a neighbour in the table"


class WrittenSum(NamedTuple):
    """A sum as it is written.

    Attributes:
        text: The text, without the number of its item.
        asked: The side that was given, such as "12+7".
        relation: The sign between the sides: =, <, > or ≈; empty if there is none.
        answered: The side that was answered, such as "19"; empty if nothing is there.
        verdict: "right", "wrong" or "unanswered".
        answer: The right answer, or the number that is missing; None if no single number is right.
        weight: The prior of the answer, in units of that of an answer about which nothing is known.
        slip: What a wrong answer may come from, such as "carry"; None for other sums.

    Examples:
        >>> one = written("53+396=949")
        >>> one.verdict, one.answer
        ('wrong', Fraction(449, 1))
        >>> written("3+~=9").answer
        Fraction(6, 1)
        >>> written("27/6/94") is None
        True
    """

    text: str
    asked: str
    relation: str
    answered: str
    verdict: str
    answer: Fraction | None
    weight: float
    slip: str | None = None


@dataclass
class Parser:
    """Works out a side of a sum, by precedence; a missing number `_` has the value `unknown`."""

    tokens: list[str]
    unknown: Fraction | None = None

    def sum(self) -> Fraction:
        """Terms with + or - between them."""
        total = self.product()
        while self.tokens and self.tokens[0] in "+-":
            sign = self.tokens.pop(0)
            total += self.product() if sign == "+" else -self.product()
        return total

    def product(self) -> Fraction:
        """Factors with × or ÷ between them; a bracket behind a factor multiplies it."""
        value = self.factor()
        while self.tokens and self.tokens[0] in "×÷:/(":
            sign = self.tokens[0] if self.tokens[0] == "(" else self.tokens.pop(0)
            value = value * self.factor() if sign in "×(" else value / self.factor()
        return value

    def factor(self) -> Fraction:
        """A number, a bracket, or one of them with a sign."""
        token = self.tokens.pop(0) if self.tokens else ""
        if token in ("+", "-"):
            return self.factor() if token == "+" else -self.factor()
        if token == "(":
            value = self.sum()
            if not self.tokens or self.tokens.pop(0) != ")":
                raise ValueError(token)
            return value
        if token == "_" and self.unknown is not None:
            return self.unknown
        if not token[:1].isdecimal() or len(token) > MOST_DIGITS:
            raise ValueError(token)
        return Fraction(token.replace(",", "."))


def value_of(side: str, unknown: Fraction | None = None) -> Fraction:
    """The value of a side. Raises `ValueError` or `ZeroDivisionError` if it has none."""
    tokens = TOKEN.findall(side)
    if "".join(tokens) != side:
        raise ValueError(side)
    parser = Parser(tokens, unknown)
    value = parser.sum()
    if parser.tokens:
        raise ValueError(side)
    return value


@lru_cache(1 << 14)
def written(text: str) -> WrittenSum | None:
    """The sum that a text is; None if it is none."""
    bare = ITEM.sub("", text, count=1).strip()
    parts = RELATION.split(GAP.sub("_", bare))
    if len(bare) > LONGEST or (len(parts) > 3 and {*parts[1::2]} != {"="}):
        return None
    *before, relation, answered = parts if len(parts) > 1 else (bare, "", "")
    asked, answered = "".join(before).strip(), answered.strip()
    has_sign = any(re.search(r"[\d)_] *[-+×÷:/(] *[\d(_-]", side) for side in (asked, answered))
    is_told = relation != "" or (meaning(bare) == EXPRESSION and not SCORE.fullmatch(bare))
    if not is_told or not (has_sign or (relation in ("<", ">", "≈") and answered)) or APART.search(asked):
        return None
    sum_of = (bare, asked, relation, answered)
    try:
        one = judged(*sum_of)
        if one.verdict == WRONG and asked[:1] in ("+", "-"):  # a number before the sign is likelier to be lost
            return None
        return one._replace(weight=one.weight * FRACTION) if LIKE_ITEM.match(asked) else one
    except (ValueError, ZeroDivisionError):
        return None


def judged(text: str, asked: str, relation: str, answered: str) -> WrittenSum:
    """Judge a sum. Raises `ValueError` or `ZeroDivisionError` if a side has no value."""
    sides = asked.replace(" ", ""), answered.replace(" ", "")
    given = text, asked, relation, answered
    if sum(side.count("_") for side in sides) == 1 and sides[1] != "_":
        return WrittenSum(*given, UNANSWERED, missing(*sides), OPEN)
    left, *others = map(value_of, sides[0].split("="))
    if sides[1] in ("", "_"):
        return WrittenSum(*given, UNANSWERED, left, OPEN)
    rest = REMAINDER.fullmatch(answered)
    division = re.fullmatch(r"(\d+)[÷:/](\d+)", sides[0])
    if rest and division and relation == "=" and not re.fullmatch(r"\d+[.,]\d+", answered):
        whole, more = divmod(int(division[1]), int(division[2]))
        right, is_right = Fraction(whole), (int(rest[1]), int(rest[2])) == (whole, more)
    else:
        right = value_of(sides[1])
        is_right = holds(left, relation, right, sides[1]) and {left} >= {*others}
    known = 1 - OPEN
    if is_right:
        return WrittenSum(*given, RIGHT, left, known * (1 - MISTAKEN) * room_of(sides[1]))
    slip, share = slipped(sides[0], left, right) if relation == "=" else (None, 1 / room_of(sides[1]))
    return WrittenSum(*given, WRONG, left, known * MISTAKEN * share * room_of(sides[1]), slip)


def holds(left: Fraction, relation: str, right: Fraction, answered: str) -> bool:
    """Whether a relation is true. An answer with enough decimals may be rounded."""
    if relation == "≈":
        return abs(left - right) <= ESTIMATED * abs(left)
    if relation in "<>":
        return left < right if relation == "<" else left > right
    decimals = re.fullmatch(r"-?\d+[.,](\d+)", answered)
    places = len(decimals[1]) if decimals else 0
    return left == right or (places >= ROUNDED and 2 * abs(left - right) * 10**places <= 1)


def room_of(answered: str) -> float:
    """How many answers have as many digits as this one; a single sum stands for one answer."""
    return 10.0 ** len(re.sub(r"\D", "", answered)) if re.fullmatch(r"-?[\d.,]+", answered) else 1.0


def missing(asked: str, answered: str) -> Fraction | None:
    """The number that makes both sides equal; None if there is not just one. The difference of the sides is linear in
    it, or in its inverse."""
    for inverse in (False, True):
        known = [Fraction(1, one) if inverse else Fraction(one) for one in (1, 2, 4)]
        try:
            first, second, fourth = (value_of(asked, one) - value_of(answered, one) for one in known)
        except ZeroDivisionError:
            continue
        slope = second - first
        if slope and fourth - first == 3 * slope:
            root = 1 - first / slope
            return root if not inverse else 1 / root if root else None
    return None


def slipped(asked: str, left: Fraction, right: Fraction) -> tuple[str, float]:
    """What a wrong answer may come from, and how probable it is among the wrong answers."""
    places = next((one for one in range(4) if all((side * 10**one).denominator == 1 for side in (left, right))), None)
    if places is None or left < 0 or right < 0:
        return KINDS[ANYTHING], WEIGHTS[ANYTHING] / max(10, abs(right) * 10**ROUNDED)
    known, given = int(left * 10**places), int(right * 10**places)
    writer = Writer(10 ** max(len(str(known)), len(str(given)), 2) - 1, 1, mistake=1.0)
    shares = writer.kinds(np.array([given]), np.array([[known]]))[0]
    best = int(shares.argmax())
    factors = re.fullmatch(r"(\d+)×(\d+)", asked)
    if factors and right in {left + step * int(one) for one in factors.groups() for step in (1, -1)}:
        return TABLE, float(shares.sum()) + WEIGHTS[SKIPPED] / 4
    return KINDS[best], float(shares.sum())


def mended(text: str) -> Iterator[str]:
    """The sums that a text becomes if one of its numbers is replaced so that it is right."""
    if text.count("=") != 1:
        return
    asked, answered = text.replace(" ", "").split("=")
    is_whole = not re.search(r"\d[.,]\d", text)
    for place in re.finditer(r"\d+(?:[.,]\d+)?", f"{asked}={answered}"):
        before, after = f"{asked}={answered}"[: place.start()], f"{asked}={answered}"[place.end() :]
        try:
            found = missing(*f"{before}_{after}".split("="))
        except (ValueError, ZeroDivisionError):
            continue
        if found is None or found < 0 or (is_whole and found.denominator > 1):
            continue
        if (number := as_number(found, "," if "," in text else ".")) and number != place[0]:
            yield before + number + after


def as_number(value: Fraction, point: str = ".") -> str | None:
    """A number as it is written, with up to three decimals; None if it has more."""
    for places in range(4):
        if (value * 10**places).denominator == 1:
            whole = str(abs(int(value * 10**places))).rjust(places + 1, "0")
            sign = "-" if value < 0 else ""
            return sign + (whole if not places else f"{whole[:-places]}{point}{whole[-places:]}")
    return None

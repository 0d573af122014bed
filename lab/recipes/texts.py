"""Say what people write where numbers stand: texts in the characters of `WRITING`, of many kinds."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from lab.recipes.hands import Random


def number(random: Random, most: int = 8) -> str:
    """A whole number, some of them round or with repeated digits."""
    count = 1 + int(min(most - 1, random.geometric(0.35) - 1))
    digits = random.integers(0, 10, count)
    if random.random() < 0.15:
        digits[random.integers(0, count) :] = 0
    if random.random() < 0.12:
        digits[:] = digits[0]
    if count > 1 and digits[0] == 0 and random.random() < 0.8:
        digits[0] = random.integers(1, 10)
    return "".join(map(str, digits))


def amount(random: Random) -> str:
    """A number with thousands and decimals, as some country writes it."""
    thousands, decimal = [(".", ","), (",", "."), ("'", "."), ("", "."), ("", ",")][random.integers(5)]
    whole = number(random, 7)
    if thousands and len(whole) > 3:
        whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", thousands, whole)
    places = random.choice([0, 1, 2, 2, 3])
    cents = "" if not places else decimal + "".join(map(str, random.integers(0, 10, places)))
    return whole + cents


def value(random: Random) -> str:
    """A number or an amount."""
    return number(random, 4) if random.random() < 0.8 else amount(random)


def chain(random: Random, most: int, bracketed: float) -> str:
    """Up to `most` values and brackets with signs between them; a share `bracketed` are brackets."""
    chained = ""
    for place in range(int(random.integers(2, most + 1))):
        in_brackets = random.random() < bracketed
        sign = "+-×÷/:"[random.choice(6, p=[0.3, 0.25, 0.2, 0.1, 0.07, 0.08])]
        chained += "" if not place or (in_brackets and random.random() < 0.15) else sign
        chained += f"({chain(random, 3, bracketed / 2)})" if in_brackets else value(random)
    return chained


def expression(random: Random) -> str:
    """A sum, product or quotient, most of them with an equals sign, some with brackets or an answer."""
    parts = chain(random, 2, 0.03) if random.random() < 0.5 else chain(random, 5, 0.15)
    ending = random.random()
    sign = "=" if random.random() < 0.8 else "<>≈"[random.integers(3)]
    if ending < 0.1:
        return value(random) + sign + parts
    return parts + ("" if ending < 0.3 else sign if ending < 0.4 else sign + value(random))


def date(random: Random) -> str:
    """A day, month and year in some order."""
    width = random.integers(1, 3)
    day, month = (str(random.integers(1, most)).zfill(width) for most in (32, 13))
    year = f"{random.choice(['', '', '19', '20'])}{random.integers(0, 100):02d}"
    sign = "/.-"[random.choice(3, p=[0.5, 0.3, 0.2])]
    orders = (day, month, year), (day, month), (year, month, day)
    return sign.join(orders[random.choice(3, p=[0.75, 0.15, 0.1])])


def clock(random: Random) -> str:
    """A time, some with seconds."""
    parts = [random.integers(0, 24), *random.integers(0, 60, 1 + (random.random() < 0.2))]
    return ":".join(str(parts[0]) if place == 0 else f"{part:02d}" for place, part in enumerate(parts))


def fraction(random: Random) -> str:
    """A fraction, some with a whole number before it."""
    whole = f"{random.integers(1, 30)} " if random.random() < 0.15 else ""
    return f"{whole}{number(random, 3)}/{number(random, 3)}"


def telephone(random: Random) -> str:
    """Groups of digits with dashes, brackets or gaps."""
    groups = ("".join(map(str, random.integers(0, 10, count))) for count in (3, random.integers(3, 5), 4))
    forms = "({}) {}-{}", "{}-{}-{}", "{1}-{2}", "{} {} {}", "{}/{}{}"
    return forms[random.integers(len(forms))].format(*groups)


def filled(*forms: str) -> Callable[[Random], str]:
    """A function that chooses one of some forms, and puts a value in each of its places."""
    return lambda random: re.sub("_", lambda _: value(random), forms[random.integers(len(forms))])


TEXTS: tuple[tuple[float, Callable[[Random], str]], ...] = (
    (0.13, lambda random: str(random.integers(0, 10))),
    (0.35, lambda random: number(random, 12)),
    (0.14, lambda random: "".join(map(str, random.integers(0, 10, random.integers(4, 13))))),
    (0.09, amount),
    (0.02, filled("¤_", "_¤")),
    (0.07, filled("-_", "+_", "¤_", "_¤", "=_", "_.-", "_=", "_-", "_.=", "=_=", "_--", "_/-")),
    (0.25, expression),
    (0.04, filled("((_-_)×(_+_))÷_=_", "(_×(_/_))+_=-_", "_(_-_)=(_+_)(_-_)", "(_+_)÷((_×_)-_)>_", "_=_(_)(_)")),
    (0.04, filled("_-_<_", "_+_>_", "_<_", "_>_", "_×_<_", "_÷_>_", "_<_+_", "_>_-_", "_+_≈_", "_÷_≈")),
    (0.03, filled("_÷_", "_÷_=_", "_÷_=_..._", "_:_=_..._", "_÷_=_?_", "_+( )=_", "( )-_=_", "_×( )=_")),
    (0.045, date),
    (0.025, clock),
    (0.04, fraction),
    (0.025, filled("_%")),
    (0.025, telephone),
    (0.05, filled("_ _", "_ _ _", "_ _ _ _")),
    (0.02, lambda random: f"{random.integers(1, 30)}{').'[random.integers(2)]} {expression(random)}"),
    (0.03, filled("?", "?", "?", "?", "? ?")),
    (0.05, filled("? _", "_ ?", "_?", "?_")),
    (0.04, filled("#", "#", "# _", "_ #")),
    (0.03, filled("~")),
    (0.03, filled("")),
    (0.015, filled("_-_")),
    (0.02, lambda random: "".join(random.choice([*"0123456789.,'-+×÷/:=%()"], random.integers(1, 10)))),
)
"""Kinds of texts, with their relative shares: a digit, a number, digits, an amount, an amount of money, a number with a
sign, a sum, one with nested brackets, a comparison, a quotient or a place to fill in, a date, a time, a fraction, a
percentage, a telephone number, several numbers, a numbered sum, words, a number beside words, a number that is struck
out, a filler, nothing, a range, and any characters."""


def text_of(random: Random) -> str:
    """The text of a line. `?` is a word and `#` a number that is struck out."""
    shares = np.array([share for share, _ in TEXTS])
    return TEXTS[random.choice(len(TEXTS), p=shares / shares.sum())][1](random)


def spelt_out(text: str, random: Random) -> tuple[str, str]:
    """The characters to write, and for each the character of the text that it stands for: a word has letters, a struck
    number digits."""
    written, targets = "", ""
    for character in text:
        spelt = character
        if character == "?":
            spelt = "?" * int(random.integers(1 if random.random() < 0.2 else 2, 9))
        elif character == "#":
            spelt = number(random, 6)
        written, targets = written + spelt, targets + character * len(spelt)
    return written, targets

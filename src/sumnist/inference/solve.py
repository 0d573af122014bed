"""Solves equations of pictures: reads each picture as a number and finds the candidates that make the equation true."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from math import ceil
from pathlib import Path
from typing import Any

from sumnist.arithmetic.solutions import SIGNS, Query, Solution, Term, solution_of, words_of
from sumnist.config import InkColour
from sumnist.errors import ImageError, SumnistError
from sumnist.inference.numbers import NumberReading, Numbers, check_sign
from sumnist.inference.reader import Reader
from sumnist.typed import typed

CANDIDATES = 100
"""How many candidates each picture has, if the equation has few pictures. The probability of all other values together
is then mostly below 1e-6."""
COMBINATIONS = 2**18
"""The most combinations of candidates for half the pictures. With many pictures, each one has fewer candidates."""
TERMS = "a picture's path, a whole number such as 47, a pattern such as 1_3, or _ for an unknown number"


@typed
def solve(
    query: str | list[Any] | tuple[Any, ...], reader: Reader | Numbers | None = None,
    digits: Any = (1, None), decimal: str | None = None, ink: InkColour = "auto",
) -> Solution:  # fmt: skip
    """Solve an equation of pictures of numbers, known numbers and unknowns, exactly.

    Args:
        query: Terms with `+` and `-` between them, and one `=`, separated by spaces; or a list of these words. A term
            is a path, in quotes if it has spaces; a whole number; a pattern such as `1_3`, in which each `_` is one
            unknown digit; or `_`, one unknown number, which may stand only once. In a list, a term may also be an int,
            a `Decimal`, a reading, `Values`, or a picture of any kind that `Reader.read_number` takes. If the same
            path, reading or picture comes twice, it is one number that counts twice.
        reader: Reads the pictures; by default with the networks that come with the package.
        digits: How many digits the numbers on pictures have, or the least and the most number of digits.
        decimal: The sign before the decimals of all numbers that are read or written.
        ink: "dark" or "light", if you know that the ink is darker or lighter than its ground; else "auto".

    Returns:
        The most probable value of each unknown and of each picture, with probabilities before and after the equation is
        used.

    Raises:
        ConfigError: The query is not an equation, or an argument is invalid.
        EquationError: No reading of the pictures makes the equation true.
        ImageError: A picture cannot be read, or there is no number on it.
        NumberError: A number is too long, or of a kind that cannot be added, or there are too many possibilities.
        RunError: A network is missing or damaged.

    Examples:
        >>> solution = solve("examples/five.png + _ = 12")
        >>> solution.solved, solution.unknowns[0].value
        ('5 + 7 = 12', 7)
        >>> solve(["examples/1480.png", "-", 480, "=", "_000"]).pictures[0].value
        1480
    """
    asked = Query(words_in(query) if isinstance(query, str) else query, check_sign(decimal))
    numbers = reader.numbers if isinstance(reader, Reader) else reader or Numbers()
    terms = asked.pictures
    for term in terms.values():
        check_there(asked, term)
    count = max(2, min(CANDIDATES, int(COMBINATIONS ** (1 / max(1, ceil(len(terms) / 2))))))
    readings: dict[Hashable, NumberReading] = {}
    for key, term in terms.items():
        (result,) = numbers.read_each([term.content.picture], digits, asked.decimal, ink, count)
        if isinstance(result, ImageError):
            raise type(result)(f"{asked.near(term.place)}: word {term.place}, {result}")
        if isinstance(result, SumnistError):
            raise result
        if not result.candidates:
            expected = f"a number on it, not accepted: {result.reason}"
            raise asked.wrong(term.place, expected, str(result.advice), ImageError)
        readings[key] = result
    return solution_of(asked, readings)


def words_in(*given: str) -> list[Any]:
    """The words of a query that is given as one text or as several. Each text holds one word, or a few words with signs
    between them."""
    words: list[Any] = []
    for text in given:
        parts = words_of(text)
        is_name = not any(part in SIGNS for part in parts) or os.path.isfile(text)
        words += [Path(text)] if len(given) > 1 and len(parts) > 1 and is_name else parts
    return words


def check_there(query: Query, term: Term) -> None:
    """Raise an error if a term names a file that does not exist. The message says what may have been meant."""
    picture = term.content.picture
    if not isinstance(picture, str | Path) or os.path.exists(picture):
        return
    name = str(picture)
    if re.fullmatch(r"[+-]?[\d_.,]*[\d_][\d_.,]*", name):
        mend = "leave separators out; for decimals, say which sign is before them, as in --decimal ."
        raise query.wrong(term.place, TERMS, mend)
    if re.search(r"[+=]|^[\d_]+[-−*/x]", name):
        raise query.wrong(term.place, TERMS, "put spaces around +, - and =, which are all the signs there are")
    mend = "check its name, there is no such file; what is unknown is written _"
    raise query.wrong(term.place, TERMS, mend, ImageError)

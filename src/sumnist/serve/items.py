"""What the bodies of requests ask: pictures, with what is to be added to them or known of them, checked."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

from sumnist.config import InkColour, Range, ReadingEngine
from sumnist.errors import ConfigError, NumberError
from sumnist.inference.numbers import bounds_written, check_sign
from sumnist.inference.paths import Digits
from sumnist.inference.reader import check_ink, check_number
from sumnist.serve.bodies import Body, Fields, Values, invalid, values_of
from sumnist.serve.problems import Problem

__all__ = ["COUNT", "DIGITS", "MOST_NUMBER", "Item", "NumberItem", "item_of", "items_of", "number_item_of"]

FIELDS = Fields(("picture", "number"), ("ink",), '{"picture": "<base64>", "number": 7}')
MOST_NUMBER = 2**53 - 1
"""Larger numbers are not exact in the JSON of many languages; nor are the negative ones."""
DIGITS = r"([1-9][0-9]{0,2})(-([1-9][0-9]{0,2})?)?"
"""How many digits a number has: 4, 1-6 or 3-."""
COUNT = Range(1, 50)
"""Candidates that may be asked for. In Python there may be more; the time grows with them."""


@dataclass(frozen=True)
class Item:
    """A picture to read, or the problem with it, the number to add, and whether the ink is dark or light, if known."""

    picture: bytes | Problem
    number: int
    ink: InkColour = "auto"


@dataclass(frozen=True)
class NumberItem:
    """A picture of a number, or the problem with it, and what else `Reader.read_number` is told."""

    picture: bytes | Problem
    digits: Digits = (1, None)
    decimal: str | None = None
    ink: InkColour = "auto"
    engine: ReadingEngine = "ours"
    count: int = 10


def item_of(body: Body, exact: bool) -> Item:
    """What a single request asks to be read, for a network that adds any number (`exact`) or 0 to 9. Raises
    `Problem` and `NumberError`."""
    (values,) = values_of(body, FIELDS)
    return item_with(values, exact)


def items_of(body: Body, exact: bool, most: int) -> list[Item]:
    """What a batch asks to be read, in order, 1 to `most`. Raises `Problem` for what is wrong with the body as a whole,
    and `NumberError`."""
    return [item_with(values, exact) for values in values_of(body, FIELDS, most)]


def item_with(values: Values, exact: bool) -> Item:
    with refusing():
        return Item(values["picture"], checked(values["number"], exact), check_ink(values.get("ink", Item.ink)))


def number_item_of(body: Body) -> NumberItem:
    """What a request asks to be read as a number. Raises `Problem`."""
    (values,) = values_of(body, Fields(("picture",), tuple(CHECKS), '{"picture": "<base64>"}'))
    with refusing():
        return NumberItem(**{name: CHECKS[name](value) if name in CHECKS else value for name, value in values.items()})


@contextmanager
def refusing() -> Iterator[None]:
    """A `ConfigError` in the `with` is a `Problem` of the request."""
    try:
        yield
    except ConfigError as error:
        raise Problem("invalid-request", str(error)) from error


def checked(number: Any, exact: bool) -> int:
    """The number as the reader takes it, if JSON writes it and its sums exactly. Raises `NumberError`."""
    whole = check_number(number, exact)
    if abs(whole) > MOST_NUMBER:
        raise NumberError(
            f"number of {len(str(abs(whole))) if abs(whole) < 10**100 else 'very many'} digits: expected one from "
            f"-{MOST_NUMBER} to {MOST_NUMBER}: those that every JSON library keeps exact"
        )
    return whole


def bounds_of(digits: Any) -> Digits:
    """The least and the most number of digits, written as 4, 1-6 or 3-. Raises `Problem`."""
    if type(digits) in (int, str) and re.fullmatch(DIGITS, str(digits)) and (bounds := bounds_written(str(digits))):
        return bounds
    invalid(
        f"digits {reprlib.repr(digits)}: expected how many there are, such as 4, or the least and the most, such as "
        "1-6 or 3-: leave it out for any number"
    )


def check_decimal(sign: Any) -> str | None:
    """The decimal sign, which JSON leaves out where there is none. Raises `ConfigError`."""
    return check_sign("null" if sign is None else sign)


def check_engine(engine: Any) -> ReadingEngine:
    """`engine`, if it is one. Raises `Problem`."""
    if engine not in get_args(ReadingEngine):
        invalid(f"engine {reprlib.repr(engine)}: expected ours, ocr or both: leave it out for ours")
    known: ReadingEngine = engine
    return known


def check_count(count: Any) -> int:
    """`count`, if so many candidates may be asked for. Raises `Problem`."""
    number: int | None = COUNT.taken(count, int)
    if number is None:
        invalid(f"count {reprlib.repr(count)}: expected {COUNT.named(int)}: leave it out for {NumberItem.count}")
    return number


CHECKS: dict[str, Callable[[Any], Any]] = {
    "digits": bounds_of, "decimal": check_decimal, "ink": check_ink, "engine": check_engine, "count": check_count,
}  # fmt: skip
"""What may be said of the picture of a number: the fields of `NumberItem`, each with what checks its value."""

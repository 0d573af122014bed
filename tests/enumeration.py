"""Sums of independent numbers by counting out all that may be: the oracle of the tests of `sumnist.arithmetic`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sumnist.arithmetic.sums import Digits, Integers, Operand, Sum
from sumnist.arithmetic.values import Values


class Way(NamedTuple):
    """One way in which a sum may come about."""

    total: Any
    probability: float
    parts: tuple[Any, ...]
    """Of each operand its digits, or its value."""


def outcomes(operand: Operand) -> Iterator[tuple[int | Decimal, float, Any]]:
    """All values of an operand with their probabilities, and its digits if it has some; nothing of `other`."""
    if isinstance(operand, Digits):
        shares = np.exp(np.asarray(operand.log_probs))
        for digits in product(range(operand.base), repeat=operand.length):
            value = sum(digit * operand.base**place for place, digit in enumerate(reversed(digits)))
            yield value, prod(float(row[digit]) for row, digit in zip(shares, digits, strict=True)), digits
    elif isinstance(operand, Integers):
        for number, share in enumerate(np.exp(np.asarray(operand.log_probs)).tolist(), operand.first):
            yield number, share, number
    elif isinstance(operand, Values):
        yield from ((value, share, value) for value, share in operand.probabilities.items())


def ways(total: Sum) -> list[Way]:
    """All ways of a sum without a batch."""
    counted = []
    for chosen in product(*map(outcomes, total.operands)):
        value = sum((step * one for step, (one, _, _) in zip(total.steps, chosen, strict=True)), total.constant.numbers)
        counted.append(Way(value, prod(share for _, share, _ in chosen), tuple(part for *_, part in chosen)))
    return counted


def probability(counted: list[Way], *totals: Any) -> float:
    """Of one of these totals."""
    return sum(way.probability for way in counted if way.total in totals)


def shares_of(
    counted: list[Way], total: Any, operand: int, parts: Sequence[Any], digit: int | None = None
) -> list[float]:
    """The probabilities that an operand, or a digit of it, is each of these parts, given the total."""
    fitting = [way for way in counted if way.total == total]
    found = dict.fromkeys(parts, 0.0)
    for way in fitting:
        part = way.parts[operand] if digit is None else way.parts[operand][digit]
        found[part] = found.get(part, 0.0) + way.probability
    return [share / sum(way.probability for way in fitting) for share in (found[part] for part in parts)]


def log_shares(weights: Any) -> NDArray[np.float64]:
    """Log-probabilities, in proportion to weights along the last axis."""
    weights = np.asarray(weights, np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(weights / weights.sum(-1, keepdims=True)))


@st.composite
def weights(draw: st.DrawFn, count: int) -> list[int]:
    """Some weights of which not all are zero."""
    found = draw(st.lists(st.integers(0, 1000), min_size=count, max_size=count))
    return found if any(found) else [1] * count


@st.composite
def digits(draw: st.DrawFn, base: int, most: int = 3) -> Digits:
    """A number of a few digits."""
    return Digits(log_shares([draw(weights(base)) for _ in range(draw(st.integers(1, most)))]))


@st.composite
def integers(draw: st.DrawFn) -> Integers:
    """A few integers in a row."""
    return Integers(log_shares(draw(weights(draw(st.integers(1, 5))))), draw(st.integers(-9, 9)))


@st.composite
def values(draw: st.DrawFn, decimals: bool = False, other: bool = False) -> Values:
    """A few candidates."""
    one: st.SearchStrategy[Any] = st.decimals(-20, 20, places=1) if decimals else st.integers(-20, 20)
    found = draw(st.lists(one, min_size=1, max_size=4, unique=True))
    parts = [draw(st.integers(1, 1000)) for _ in found] + [draw(st.integers(1, 1000)) if other else 0]
    *shares, left = (part / sum(parts) for part in parts)
    return Values(dict(zip(found, shares, strict=True)), left)


@st.composite
def sums(draw: st.DrawFn, decimals: bool = False, other: bool = False) -> Sum:
    """A few operands of any kinds, each times a small number, and a known number."""
    base = draw(st.sampled_from((2, 3)))
    operands = draw(st.lists(st.one_of(digits(base), integers(), values(decimals, other)), min_size=1, max_size=3))
    steps = [draw(st.sampled_from((1, 1, 1, -1, -1, 2, -3))) for _ in operands]
    return Sum([*zip(steps, operands, strict=True), (1, draw(st.integers(-30, 30)))])

"""Numbers as people keep them in tables, eight kinds, each with the rules that hold in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Random = np.random.Generator
Numbers = NDArray[np.int64]
EMPTY = -(2**40)
"""Stands for an empty cell."""


class Kept(NamedTuple):
    """A table as it is kept: its numbers `[R, C]` (`EMPTY` for an empty cell), its rules, and whether it has printed
    lines."""

    numbers: Numbers
    rules: tuple[str, ...]
    ruled: bool = True


def ledger(random: Random) -> Kept:
    """Receipts, payments and the balance after each."""
    rows = int(random.integers(12, 26))
    amounts, came = random.integers(5, 9_000, (rows, 1)), random.random((rows, 1)) < 0.5
    moves = np.where(np.hstack([came, ~came]), amounts, EMPTY)
    moves[0] = int(random.integers(100_000, 400_000)), EMPTY
    balance = np.cumsum(np.where(moves[:, 0] > EMPTY, moves[:, 0], 0) - np.where(moves[:, 1] > EMPTY, moves[:, 1], 0))
    return Kept(np.column_stack([moves, balance]), ("C = C_above + A - B",))


def tally(random: Random) -> Kept:
    """Counts, and the sums of their rows and columns."""
    counts = random.integers(0, 100, (int(random.integers(6, 13)), int(random.integers(4, 8))))
    whole = np.column_stack([counts, counts.sum(1)])
    return Kept(np.vstack([whole, whole.sum(0)]), (added_columns(counts.shape[1]), added_rows(len(counts))))


def card(random: Random) -> Kept:
    """Points of several rounds, and their sums, without printed lines."""
    points = random.integers(0, 61, (int(random.integers(6, 15)), int(random.integers(4, 7))))
    return Kept(np.column_stack([points, points.sum(1)]), (added_columns(points.shape[1]),), ruled=False)


def invoice(random: Random) -> Kept:
    """Quantities, prices and amounts, and the sum of the amounts."""
    rows = int(random.integers(6, 15))
    count, price = random.integers(2, 60, rows), random.integers(12, 999, rows)
    lines = np.column_stack([count, price, count * price])
    last = [[EMPTY, EMPTY, int(lines[:, 2].sum())]]
    return Kept(np.vstack([lines, last]), ("C = A * B", added_rows(rows)))


def list_(random: Random) -> Kept:
    """Two columns of amounts with their sums, without printed lines."""
    amounts = random.integers(10, 10_000, (int(random.integers(8, 20)), 2))
    return Kept(np.vstack([amounts, amounts.sum(0)]), (added_rows(len(amounts)),), ruled=False)


def weather(random: Random) -> Kept:
    """Highs, lows, means and ranges of days, with sums and means of every five days."""
    parts, rules_ = [], ["D = A - B", "C = (A + B) / 2"]
    for part in range(int(random.integers(3, 7))):
        low = random.integers(150, 230, 5)
        high = low + random.integers(20, 160, 5)
        days = np.column_stack([high, low, (high + low + 1) // 2, high - low])
        sums = days.sum(0)
        parts.append(np.vstack([days, sums, (2 * sums + 5) // 10]))
        first = 7 * part + 1
        rules_ += [f"r{first + 5} = r{first} + … + r{first + 4}", f"r{first + 6} = r{first + 5} / 5"]
    return Kept(np.vstack(parts), tuple(rules_))


def marks(random: Random) -> Kept:
    """Marks for several parts, and their sums."""
    parts = random.integers(0, 21, (int(random.integers(10, 26)), int(random.integers(3, 6))))
    return Kept(np.column_stack([parts, parts.sum(1)]), (added_columns(parts.shape[1]),))


def stock(random: Random) -> Kept:
    """What was in stock, what came, what went, and what is left, without printed lines."""
    rows = int(random.integers(8, 18))
    there, came = random.integers(50, 2_000, rows), random.integers(0, 800, rows)
    went = (random.random(rows) * (there + came)).astype(np.int64)
    return Kept(np.column_stack([there, came, went, there + came - went]), ("D = A + B - C",), ruled=False)


def added_columns(count: int) -> str:
    """The rule of a last column that is the sum of all before it."""
    return f"{chr(65 + count)} = " + " + ".join(chr(65 + column) for column in range(count))


def added_rows(count: int) -> str:
    """The rule of a last row that is the sum of all above it."""
    return f"r{count + 1} = r1 + … + r{count}"


KINDS: dict[str, Callable[[Random], Kept]] = {
    "ledger with a balance": ledger, "tally that cross-foots": tally, "score card": card, "invoice": invoice,
    "list of amounts": list_, "weather": weather, "marks": marks, "stock": stock,
}  # fmt: skip
"""The kinds of tables, and the function that makes up each."""

"""Draw photographs of tables with known numbers: eight kinds, as people keep them, each with its rules.

A table is drawn as `pages` draws numbers: with MNIST's test digits or with scans, each number with one pen, on paper
that lies on a desk and is photographed by a telephone. Five kinds have printed lines, three have none. Since people
err, one in fifty of the numbers that follow from others is wrong. Nothing here is used in training. A table depends
only on its half, its ink, its kind and its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.suites.digits import HALVES, Half, Random, check_half, generator
from lab.suites.found import There
from lab.suites.pages import TALL, Writers, Written, laid, photographed, resized, rules, written
from sumnist.tables.layout import TableLayout
from sumnist.tables.rules import Rule, place_named

Numbers = NDArray[np.int64]
EMPTY = -(2**40)
"""Stands for an empty cell."""
SLIPS = 0.02
"""Of the numbers that should follow from others, the share that is wrong."""
HEIGHT, LINE, GAP = (34.0, 56.0), (1.7, 2.3), 0.9
"""`HEIGHT`: the height of the digits in pixels. In digit heights, `LINE`: the distance between rows; `GAP`: the room
beside the widest number of a column."""
MARGIN = 0.08
"""Margin around a table, as a share of its width."""


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


class Photographed(NamedTuple):
    """A photograph of a table, its numbers, its layout with the rules, and the cells with slips."""

    picture: bytes
    numbers: Numbers
    layout: TableLayout
    slips: tuple[tuple[int, int], ...]


def photograph(half: Half, writers: Writers, kind: str, place: int) -> Photographed:
    """Return the photograph of the table of a kind at a place."""
    random = generator(HALVES.index(check_half(half)), f"table of {writers.name}, {kind}", place)
    kept = KINDS[kind](random)
    layout = TableLayout(rules=tuple(map(Rule.of, kept.rules)))
    numbers, slips = kept.numbers.copy(), list[tuple[int, int]]()
    cells = {(int(row), int(column)) for row, column in np.argwhere(numbers > EMPTY)}
    for rule in layout.rules or ():
        for relation in rule.grounded(cells):
            if random.random() < SLIPS:
                row, column = place_named(relation.total)
                numbers[row, column] += int(random.choice([-100, -10, -1, 1, 10, 100]))
                if numbers[row, column] < 0:
                    numbers[row, column] = kept.numbers[row, column] + 10
                slips.append((row, column))
    picture, _ = photographed(half, page_of(numbers, writers, kept.ruled, random), 0, random)
    return Photographed(picture, numbers, layout, tuple(slips))


def page_of(numbers: Numbers, writers: Writers, ruled: bool, random: Random) -> Written:
    """Write a table on a page."""
    height = float(random.uniform(*HEIGHT))
    covers = {
        (row, column): resized(written(str(value), writers, random), height * random.uniform(0.92, 1.08) / TALL)
        for (row, column), value in np.ndenumerate(numbers) if value > EMPTY
    }  # fmt: skip
    step = height * random.uniform(*LINE)
    widths = [
        max((cover.shape[1] for (_, at), cover in covers.items() if at == column), default=0) + 2 * GAP * height
        for column in range(numbers.shape[1])
    ]
    wide, high = float(sum(widths)), step * len(numbers)
    margin = max(MARGIN * wide, 2 * height)
    size = round(wide + 2 * margin), round(high + 2 * margin)
    pen, printed = np.zeros((2, *size[::-1]), np.float32)
    edges, slope = margin + np.cumsum([0, *widths]), random.normal(0, 0.004)
    if ruled:
        thick = max(1, round(height * random.uniform(0.03, 0.08)))
        for left, width in zip(edges, widths, strict=False):
            start, cell = np.array([left, margin]), np.array([width, step])
            rules(printed, start, cell, (1, len(numbers)), True, thick)
    there = []
    for (row, column), cover in covers.items():
        right = edges[column + 1] - GAP * height * random.uniform(0.5, 1.1)
        x = right - cover.shape[1] / 2
        y = margin + step * (row + 0.5) + slope * x + random.normal(0, 0.05 * height)
        value = int(numbers[row, column])
        there.append(There(str(value), value, laid(pen, cover, np.array([x, y]), slope + random.normal(0, 0.01))))
    return Written(there, pen, printed, size, height)

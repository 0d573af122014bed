"""Draw photographs of tables with known numbers: eight kinds, as people keep them, each with its rules.

A table is drawn as `pages` draws numbers: with MNIST's test digits or with scans, each number with one pen, on paper
that lies on a desk and is photographed by a telephone. Five kinds have printed lines, three have none. Since people
err, one in fifty of the numbers that follow from others is wrong. Nothing here is used in training. A table depends
only on its half, its ink, its kind and its place.
"""

from __future__ import annotations

import numpy as np

from kept_tables import EMPTY, KINDS, Numbers
from lab.suites.digits import HALVES, Half, Random, check_half, generator
from lab.suites.found import There
from lab.suites.pages import TALL, Writers, Written, laid, photographed, resized, rules, written
from sumnist.tables.rules import Rule, place_named

SLIPS = 0.02
"""Of the numbers that should follow from others, the share that is wrong."""
HEIGHT, LINE, GAP = (34.0, 56.0), (1.7, 2.3), 0.9
"""`HEIGHT`: the height of the digits in pixels. In digit heights, `LINE`: the distance between rows; `GAP`: the room
beside the widest number of a column."""
MARGIN = 0.08
"""Margin around a table, as a share of its width."""


def photograph(half: Half, writers: Writers, kind: str, place: int) -> tuple[bytes, Numbers]:
    """Return the photograph of the table of a kind at a place, and its numbers."""
    random = generator(HALVES.index(check_half(half)), f"table of {writers.name}, {kind}", place)
    kept = KINDS[kind](random)
    numbers = kept.numbers.copy()
    cells = {(int(row), int(column)) for row, column in np.argwhere(numbers > EMPTY)}
    for rule in map(Rule.of, kept.rules):
        for relation in rule.grounded(cells):
            if random.random() < SLIPS:
                row, column = place_named(relation.total)
                numbers[row, column] += int(random.choice([-100, -10, -1, 1, 10, 100]))
                if numbers[row, column] < 0:
                    numbers[row, column] = kept.numbers[row, column] + 10
    picture, _ = photographed(half, page_of(numbers, writers, kept.ruled, random), 0, random)
    return picture, numbers


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

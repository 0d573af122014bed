"""Every layout that can be printed can be read: layouts drawn by seed are printed, filled in and read."""

from __future__ import annotations

import numpy as np
import pytest

from simulated_sheets import ink, photograph, sheets
from sumnist.errors import LayoutError
from sumnist.lab.suites.sheets import Sheets
from sumnist.sheets.layout import Layout
from sumnist.sheets.printing import pdf
from sumnist.sheets.reading import SheetReader

HARD = {
    "sums just too many for ranges": "999,999,9999",
    "half of them": "500,500,8000",
    "many long numbers": ",".join(["999"] * 12),
    "marks beside amounts": "9,7.5,99999,12",
    "the longest numbers": "99999999999,9.5",
}
FAIR = """title = "Summer fair"
identity = {kind = "digits", digits = 4}
field = [
  {name = "cakes", digits = 3}, {name = "gifts", kind = "strip", digits = 4},
  {name = "rent", largest = 120.5, halves = true},
]
total = [{name = "income", formula = "income = cakes + gifts"}, {name = "left", formula = "left = income - rent"}]
"""


def subtotals(count: int) -> str:
    """Subtotals of two numbers each, and their sum."""
    fields = [f'{{name = "f{place}", kind = "strip", digits = 3}}' for place in range(2 * count)]
    totals = [
        f'{{name = "s{place}", kind = "strip", formula = "s{place} = f{2 * place} + f{2 * place + 1}"}}'
        for place in range(count)
    ]
    top = " + ".join(f"s{place}" for place in range(count))
    totals.append(f'{{name = "t", kind = "strip", formula = "t = {top}"}}')
    return f'title = "Books"\nfield = [{", ".join(fields)}]\ntotal = [{", ".join(totals)}]\n'


def drawn(seed: int) -> Layout:
    """A layout that fits on a page: numbers of all sizes in boxes and strips, some in subtotals, some subtracted."""
    random = np.random.default_rng(seed)
    while True:
        count = int(random.integers(2, 16))
        fields, names = [], [f"x{place}" for place in range(count)]
        for name in names:
            digits, halves = int(random.integers(1, 7)), random.random() < 0.2
            kind, largest = random.choice(["boxes", "strip"]), int(random.integers(10 ** (digits - 1), 10**digits))
            room = f"largest = {largest}" if random.random() < 0.5 else f"digits = {digits}"
            fields.append(f'{{name = "{name}", kind = "{kind}", {room}, halves = {str(halves).lower()}}}')
        totals = []
        for place in range(int(random.integers(1, 4))):
            chosen = random.permutation(names)[: max(1, len(names) // 2)] if place else names[: max(1, count // 2)]
            signs = [" + ", *(" - " if random.random() < 0.15 else " + " for _ in chosen[1:])]
            terms = "".join(sign + name for sign, name in zip(signs, chosen, strict=True)).removeprefix(" + ")
            names = [name for name in names if name not in set(chosen)] + [f"t{place}"]
            kind = random.choice(["boxes", "strip"])
            totals.append(f'{{name = "t{place}", kind = "{kind}", formula = "t{place} = {terms}"}}')
        text = f'title = "Drawn"\nfield = [{", ".join(fields)}]\ntotal = [{", ".join(totals)}]\n'
        try:
            layout = Layout.of_toml(text.encode())
            pdf(layout)
        except LayoutError:  # numbers with too many digits, or no room on a page
            continue
        return layout


def assert_readable(layout: Layout, seed: int) -> None:
    """A sheet is printed and filled in, and most of its numbers are read."""
    assert pdf(layout).startswith(b"%PDF")
    sheets = Sheets(layout, ink(), "development", seed=seed)
    reading = SheetReader(layout).of_cells(sheets.cells(0))
    meant = sheets.truth(0).values
    assert reading.values.keys() == meant.keys()
    right = sum(reading.values[name] == value for name, value in meant.items())
    assert right >= len(meant) / 2, (right, meant, reading.values)


@pytest.mark.parametrize("marks", HARD.values(), ids=HARD.keys())
def test_layouts_of_long_numbers_are_read(marks: str) -> None:
    assert_readable(Layout.of_line(marks), 1)


@pytest.mark.parametrize("text", [FAIR, subtotals(6)], ids=["fair", "subtotals"])
def test_layouts_with_subtotals_are_read(text: str) -> None:
    assert_readable(Layout.of_toml(text.encode()), 1)


@pytest.mark.parametrize("seed", [*range(20), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(20, 200))])
def test_layouts_drawn_at_random_are_read(seed: int) -> None:
    assert_readable(drawn(seed), seed)


def test_a_layout_of_long_numbers_is_read_on_a_photograph() -> None:
    layout = Layout.of_line(HARD["sums just too many for ranges"])
    reading = SheetReader(layout).read(photograph(0, layout).data)
    meant = sheets(layout).truth(0).values
    assert sum(reading.values[name] == value for name, value in meant.items()) >= len(meant) - 1

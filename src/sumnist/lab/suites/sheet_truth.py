"""Filled forms of which everything is known, for measuring how well forms are read: what is meant and what is written.

Three forms: the cover of an exam with ten questions and a total, in boxes; the same with free strips; and a treasurer's
slip, whose two subtotals have a difference. On a sheet each number stands in its place, or nothing does, or a sign that
says so (both mean 0), or it was crossed out and stands in the correction. In a given share of sheets one total is
wrong: in half of these by a kind of mistake that the check of the sums expects (`sheets/check`), in the other half
by one that it knows as "anything" only; within each half all kinds are as probable. A total that is made of totals is
that of what was written.

A sheet is a pure function of half, seed and place. How it looks is drawn by `lab/suites/sheets`,
which shares nothing with what networks are trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from sumnist.formulas import Relation, in_order
from sumnist.lab.suites.digits import HALVES, Half, Random, check_half, generator
from sumnist.sheets.layout import Field, Layout

EXPECTED = "off by one", "carry", "swapped", "skipped", "anything"
"""Kinds of mistakes that the check of the sums knows, and others."""
UNEXPECTED = "two carries", "digit forgotten", "another's total"
"""Kinds that it does not know."""
NAMED = EXPECTED[:-1]
"""Kinds that it knows more of than that they are wrong."""
Manner = Literal["number", "empty", "filler", "corrected"]

FILLERS = {"–": 0.5, "X": 0.3, "/": 0.2}
"""Signs that nothing is meant, and how often each is written. A slash looks much like a one."""
UNANSWERED, PERFECT = 0.08, 0.12
"""Shares of questions with no mark and with all marks."""
MARKS = 4.0, 2.5
"""The other marks, by the largest one: a beta distribution around three fifths."""
LEAST_AMOUNT = 10
"""Amounts of money: from here to the largest one, evenly by their logarithm."""
EMPTY, FILLED = 0.3, 0.2
"""Of a number that is 0, how often nothing is written, and how often a sign."""
CORRECTED = 0.04
"""Share of numbers that were crossed out and corrected."""
LEADING_ZEROS, LEADING_FILLERS = 0.02, 0.01
"""Shares of numbers with zeros, or signs, in the boxes before them; else these are empty."""
WHOLE_TAILS = {"": 0.5, "0": 0.47, "–": 0.03}
"""What stands in the box for halves if there is none, and how often."""
POINT_ZERO = 0.05
"""Share of whole numbers on a strip for halves that end in ,0."""


def cover(strips: bool = False) -> Layout:
    """The cover of an exam."""
    layout = Layout.of_line("10,8,12,5,15,7.5,10,6,9.5,13", title="Mathematics")
    fields = (replace(field, kind="strip") if strips else field for field in layout.fields)
    return replace(layout, fields=tuple(fields))


def slip() -> Layout:
    """The slip of a treasurer."""
    amounts = {"fees": 9_999, "gifts": 9_999, "sales": 9_999, "hall": 9_999, "food": 9_999, "prints": 999}
    fields = [Field(name, name.capitalize(), "strip", len(str(most)), most) for name, most in amounts.items()]
    sums = {"income": 29_997, "costs": 20_997, "balance": 29_997}
    fields += [Field(name, name.capitalize(), "strip", 5, most) for name, most in sums.items()]
    formulas = "income = fees + gifts + sales", "costs = hall + food + prints", "balance = income - costs"
    return Layout("Accounts", tuple(fields), tuple(map(Relation.of, formulas)))


LAYOUTS = {"cover": cover(), "cover in strips": cover(strips=True), "treasurer's slip": slip()}
"""The forms, by name."""


class Entry(NamedTuple):
    """What stands in the place of a field.

    Attributes:
        value: What is meant, in the field's units.
        manner: How it is written; "empty" and "filler" mean 0.
        written: A character for each box, "" for an empty one, or one text for the strip; what was crossed out if it
            is corrected.
        correction: The same for the correction.
    """

    value: int
    manner: Manner
    written: tuple[str, ...]
    correction: tuple[str, ...]


class Mistake(NamedTuple):
    """A wrong total: its field, how the writer came to it, and what the sum is, in the field's units."""

    field: str
    kind: str
    sum: int


@dataclass(frozen=True)
class Truth:
    """All that is known of a sheet.

    Attributes:
        layout: The form.
        identity: Whose it is.
        entries: What stands where, by field.
        mistake: The total that is wrong, if one is.
    """

    layout: Layout
    identity: str
    entries: Mapping[str, Entry]
    mistake: Mistake | None

    @property
    def values(self) -> dict[str, int]:
        """What is meant by each field, in its units."""
        return {name: entry.value for name, entry in self.entries.items()}


def random_of(half: Half, seed: int, use: str, index: int) -> Random:
    """What draws one thing about one sheet. The halves have no draw in common. Raises `ConfigError`."""
    return generator(len(HALVES) * seed + HALVES.index(check_half(half)), f"sheet: {use}", index)


def truth(layout: Layout, half: Half, seed: int, index: int, wrong: float = 0.0) -> Truth:
    """A sheet.

    Args:
        layout: The form.
        half: "development" or "reported".
        seed: Other sheets of the half.
        index: Its place among those of a seed.
        wrong: The share of sheets with a wrong total.

    Returns:
        What is meant and written on it.

    Raises:
        ConfigError: There is no such half.
    """
    random = random_of(half, seed, "truth", index)
    values, mistake = added_up(layout, random, random.random() < wrong)
    entries = {field.name: entry(field, values[field.name], layout, random) for field in layout.fields}
    return Truth(layout, f"{index:06}", entries, mistake)


# The numbers.


def added_up(layout: Layout, random: Random, wrong: bool) -> tuple[dict[str, int], Mistake | None]:
    """Numbers of all fields, the totals that fit their fields among them, and the total that is wrong."""
    formulas = in_order(layout.formulas, layout.names)
    chosen = formulas[random.integers(len(formulas))].total if wrong else None
    while True:
        values = {field.name: drawn(field, random) for field in layout.fields if field not in layout.totals}
        mistake = None
        for formula in formulas:
            total = layout.field(formula.total)
            values[total.name] = sum(terms_of(layout, formula, values))
            if not 0 <= values[total.name] <= total.largest:
                break
            if total.name == chosen:
                other = added_up(layout, random, wrong=False)[0][total.name]
                mistake, values[total.name] = mistaken(layout, formula, values, other, random)
        else:
            return values, mistake


def drawn(field: Field, random: Random) -> int:
    """A number of a field that is no total: an amount of money if it has more than two digits, else marks."""
    if field.digits > 2:
        low, high = np.log([LEAST_AMOUNT, field.largest + 1])
        return 0 if random.random() < UNANSWERED else int(np.exp(random.uniform(low, high)))
    share = random.random()
    if share < UNANSWERED + PERFECT:
        return 0 if share < UNANSWERED else field.largest
    return round(random.beta(*MARKS) * field.largest)


def terms_of(layout: Layout, formula: Relation, values: Mapping[str, int]) -> list[int]:
    """What is added up, with signs, in units of the total."""
    step = layout.field(formula.total).step
    return [sign * values[name] * layout.field(name).step // step for sign, name in formula.terms]


def mistaken(
    layout: Layout, formula: Relation, values: Mapping[str, int], other: int, random: Random
) -> tuple[Mistake, int]:
    """A wrong total instead of the right one that `values` has; `other` is that of another sheet."""
    total, sum_ = layout.field(formula.total), values[formula.total]
    possible = slips(total, sum_, terms_of(layout, formula, values), other)
    kinds = EXPECTED if random.random() < 0.5 else UNEXPECTED
    order = [kinds[place] for place in random.permutation(len(kinds))]
    kind = next((one for one in order if possible.get(one) or one == "anything"), "anything")
    named = {sum_}.union(*(possible[one] for one in NAMED))
    if kind == "anything":
        found = sum_
        while found in named:
            found = int(random.integers(total.largest + 1))
    else:
        found = int(random.choice(sorted(possible[kind])))
    return Mistake(total.name, kind, sum_), found


def slips(total: Field, sum_: int, terms: Sequence[int], other: int) -> dict[str, set[int]]:
    """The wrong totals of each kind but "anything"; those of unexpected kinds are of no `NAMED` one too.

    Args:
        total: The field.
        sum_: The right total, which fits it.
        terms: What is added up, with signs.
        other: The total of another sheet.
    """
    unit = 2 if total.halves else 1
    digits, tail = str(sum_ // unit), sum_ % unit
    steps = [unit * 10**place for place in range(1, len(str(total.largest)))]
    signed = [sign * step for step in steps if step <= total.largest for sign in (1, -1)]
    swapped = [digits[:k] + digits[k + 1] + digits[k] + digits[k + 2 :] for k in range(len(digits) - 1)]
    shorter = [digits[:k] + digits[k + 1 :] for k in range(len(digits))] if len(digits) > 1 else []
    found: dict[str, set[int]] = {
        "off by one": {sum_ + sign * step for step in range(1, unit + 1) for sign in (1, -1)},
        "carry": {sum_ + step for step in signed},
        "swapped": {unit * int(text) + tail for text in swapped if text[0] != "0"},
        "skipped": {sum_ - term for term in terms},
        "two carries": {sum_ + one + two for one in signed for two in signed},
        "digit forgotten": {unit * int(text) + tail for text in shorter if text[0] != "0"},
        "another's total": {other},
    }
    known: set[int] = set().union(*(found[kind] for kind in NAMED))
    for kind in found:
        found[kind] = {one for one in found[kind] if 0 <= one <= total.largest and one != sum_}
        found[kind] -= known if kind in UNEXPECTED else set()
    return found


# How they are written.


def entry(field: Field, value: int, layout: Layout, random: Random) -> Entry:
    """What stands in the place of a number."""
    nothing = ("",) * (1 if field.kind == "strip" else field.digits + field.halves)
    if random.random() < CORRECTED:
        other = value
        while other == value:
            other = int(random.integers(field.largest + 1))
        return Entry(value, "corrected", written(field, other, random), written(field, value, random))
    share = random.random()
    if value == 0 and field not in layout.totals and share < EMPTY + FILLED:
        if share < EMPTY:
            return Entry(0, "empty", nothing, nothing)
        sign, boxes = filler(random), len(nothing)  # in each box, or in the last one; or on the strip
        everywhere = field.kind == "strip" or random.random() < 0.5
        return Entry(0, "filler", (sign,) * boxes if everywhere else ("",) * (boxes - 1) + (sign,), nothing)
    return Entry(value, "number", written(field, value, random), nothing)


def filler(random: Random) -> str:
    """A sign that nothing is meant."""
    return str(random.choice(list(FILLERS), p=list(FILLERS.values())))


def written(field: Field, value: int, random: Random) -> tuple[str, ...]:
    """A number as it is written."""
    whole, half = divmod(value, 2) if field.halves else (value, 0)
    leading, digits = random.random(), str(whole)
    if leading < LEADING_ZEROS:
        digits = digits.zfill(field.digits)
    if field.kind == "strip":
        tail = "5" if half else "0" if field.halves and random.random() < POINT_ZERO else ""
        return (digits + (str(random.choice([",", "."])) + tail if tail else ""),)
    sign = filler(random) if leading > 1 - LEADING_FILLERS else ""
    tail = "5" if half else str(random.choice(list(WHOLE_TAILS), p=list(WHOLE_TAILS.values())))
    return (*[sign] * (field.digits - len(digits)), *digits, *[tail] * field.halves)

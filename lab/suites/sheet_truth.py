"""Make up filled forms, to measure how well forms are read: which numbers are meant, and what is written for them.

There are three forms: the cover of an exam with ten questions and a total, in boxes; the same cover with free strips;
and a treasurer's slip with two subtotals and their difference. Most numbers stand in their place. A 0 may instead be an
empty place or a filler. Some numbers are crossed out and corrected beside the field. A given share of the sheets has
one wrong total. Half of these mistakes are of kinds that the check of the sums expects (`sheets/check`), the other half
of kinds that it knows only as "anything". Within each half all kinds are equally probable. A total of other totals adds
up what was written, mistakes included.

A sheet depends only on its half, its seed and its place. `lab/suites/sheets` draws it, and shares nothing with the
training data of any network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from lab.suites.digits import HALVES, Half, Random, check_half, generator
from sumnist.formulas import Relation, in_order
from sumnist.sheets.layout import Field, Layout

EXPECTED = "off by one", "carry", "swapped", "skipped", "anything"
"""Kinds of mistakes that the check of the sums models; "anything" stands for all others."""
UNEXPECTED = "two carries", "digit forgotten", "another's total"
"""Kinds of mistakes that the check does not model: it knows them only as "anything"."""
NAMED = EXPECTED[:-1]
"""The modelled kinds without "anything"."""
Manner = Literal["number", "empty", "filler", "corrected"]

FILLERS = {"–": 0.5, "X": 0.3, "/": 0.2}
"""Signs for nothing, and how often each is written. A slash looks much like a 1."""
UNANSWERED, PERFECT = 0.08, 0.12
"""Shares of questions with no marks and with all marks."""
MARKS = 4.0, 2.5
"""The other marks, divided by the largest mark, have a beta distribution with these parameters: a mean of about three
fifths."""
LEAST_AMOUNT = 10
"""Least amount of money; amounts are log-uniform from here to the largest one."""
EMPTY, FILLED = 0.3, 0.2
"""How often nothing is written for a 0, and how often a filler."""
CORRECTED = 0.04
"""Share of numbers that are crossed out and corrected."""
LEADING_ZEROS, LEADING_FILLERS = 0.02, 0.01
"""Shares of numbers with zeros, or with fillers, in the boxes before them; otherwise these boxes are empty."""
WHOLE_TAILS = {"": 0.5, "0": 0.47, "–": 0.03}
"""What stands in the box for halves after a whole number, and how often."""
POINT_ZERO = 0.05
"""Share of whole numbers that end in ,0 on a strip for halves."""


def cover(strips: bool = False) -> Layout:
    """Return the layout of an exam's cover, in boxes or in `strips`."""
    layout = Layout.of_line("10,8,12,5,15,7.5,10,6,9.5,13", title="Mathematics")
    fields = (replace(field, kind="strip") if strips else field for field in layout.fields)
    return replace(layout, fields=tuple(fields))


def slip() -> Layout:
    """Return the layout of a treasurer's slip."""
    amounts = {"fees": 9_999, "gifts": 9_999, "sales": 9_999, "hall": 9_999, "food": 9_999, "prints": 999}
    fields = [Field(name, name.capitalize(), "strip", len(str(most)), most) for name, most in amounts.items()]
    sums = {"income": 29_997, "costs": 20_997, "balance": 29_997}
    fields += [Field(name, name.capitalize(), "strip", 5, most) for name, most in sums.items()]
    formulas = "income = fees + gifts + sales", "costs = hall + food + prints", "balance = income - costs"
    return Layout("Accounts", tuple(fields), tuple(map(Relation.of, formulas)))


LAYOUTS = {"cover": cover(), "cover in strips": cover(strips=True), "treasurer's slip": slip()}
"""The forms, by name."""


class Entry(NamedTuple):
    """What is written in the place of one field.

    Attributes:
        value: The number that is meant, in the field's units.
        manner: How it is written; "empty" and "filler" mean 0.
        written: A character for each box ("" for an empty one), or one text for a strip. If the number is corrected,
            this is the crossed-out number.
        correction: What is written in the correction, in the same form.
    """

    value: int
    manner: Manner
    written: tuple[str, ...]
    correction: tuple[str, ...]


class Mistake(NamedTuple):
    """A wrong total.

    Attributes:
        field: The name of its field.
        kind: The kind of mistake.
        sum: The right sum, in units of the field.
    """

    field: str
    kind: str
    sum: int


@dataclass(frozen=True)
class Truth:
    """The facts of a sheet.

    Attributes:
        layout: The form.
        identity: Whose sheet it is.
        entries: What is written in each field, by the field's name.
        mistake: The wrong total; None if all totals are right.
    """

    layout: Layout
    identity: str
    entries: Mapping[str, Entry]
    mistake: Mistake | None

    @property
    def values(self) -> dict[str, int]:
        """The number that is meant in each field, in the field's units."""
        return {name: entry.value for name, entry in self.entries.items()}


def random_of(half: Half, seed: int, use: str, index: int) -> Random:
    """Return the random generator for one `use` on one sheet. The halves share no draws. Raises `ConfigError`."""
    return generator(len(HALVES) * seed + HALVES.index(check_half(half)), f"sheet: {use}", index)


def truth(layout: Layout, half: Half, seed: int, index: int, wrong: float = 0.0) -> Truth:
    """Make up a sheet.

    Args:
        layout: The form.
        half: "development" or "reported".
        seed: Each seed gives other sheets.
        index: The sheet's place among those of a seed.
        wrong: The share of sheets with a wrong total.

    Returns:
        The numbers that are meant, and what is written.

    Raises:
        ConfigError: `half` is unknown.
    """
    random = random_of(half, seed, "truth", index)
    values, mistake = added_up(layout, random, random.random() < wrong)
    entries = {field.name: entry(field, values[field.name], layout, random) for field in layout.fields}
    return Truth(layout, f"{index:06}", entries, mistake)


# The numbers.


def added_up(layout: Layout, random: Random, wrong: bool) -> tuple[dict[str, int], Mistake | None]:
    """Return the numbers of all fields, and the wrong total if one is `wrong`. All totals fit their fields."""
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
    """Draw a number for a field that is not a total: an amount of money if it has more than two digits, else marks."""
    if field.digits > 2:
        low, high = np.log([LEAST_AMOUNT, field.largest + 1])
        return 0 if random.random() < UNANSWERED else int(np.exp(random.uniform(low, high)))
    share = random.random()
    if share < UNANSWERED + PERFECT:
        return 0 if share < UNANSWERED else field.largest
    return round(random.beta(*MARKS) * field.largest)


def terms_of(layout: Layout, formula: Relation, values: Mapping[str, int]) -> list[int]:
    """Return the terms of a formula with their signs, in units of its total."""
    step = layout.field(formula.total).step
    return [sign * values[name] * layout.field(name).step // step for sign, name in formula.terms]


def mistaken(
    layout: Layout, formula: Relation, values: Mapping[str, int], other: int, random: Random
) -> tuple[Mistake, int]:
    """Return a wrong total in place of the right one in `values`; `other`: the total of another sheet."""
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
    """Return the possible wrong totals of each kind except "anything". A total that fits a `NAMED` kind is not among
    those of an unexpected kind.

    Args:
        total: The total's field.
        sum_: The right total, which fits the field.
        terms: The added terms, with their signs.
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


# How the numbers are written.


def entry(field: Field, value: int, layout: Layout, random: Random) -> Entry:
    """Decide what is written for a number."""
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
        sign, boxes = filler(random), len(nothing)  # in each box, in the last one, or on the strip
        everywhere = field.kind == "strip" or random.random() < 0.5
        return Entry(0, "filler", (sign,) * boxes if everywhere else ("",) * (boxes - 1) + (sign,), nothing)
    return Entry(value, "number", written(field, value, random), nothing)


def filler(random: Random) -> str:
    """Draw a random filler, a sign for nothing."""
    return str(random.choice(list(FILLERS), p=list(FILLERS.values())))


def written(field: Field, value: int, random: Random) -> tuple[str, ...]:
    """Return a number as it is written: a character for each box, or one text for a strip."""
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

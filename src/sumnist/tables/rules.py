"""Finds the rules of a table, which are relations between its rows or its columns, and applies them to its cells.

A rule of rows, such as `r6 = r1 + … + r5`, holds in every column, or in some columns. A rule of columns, such as
`D = (B + C) / 2`, holds in every row, or in some rows. `F_above` is column F in the row before; balances need it.

The program tries all sums, means, differences, products and balances of a few shapes on the most probable numbers. It
keeps those that hold far more often than by chance. A binomial test decides, with a significance level divided by the
number of rules tried (Bonferroni). How often a rule holds by chance is estimated from the table itself: the results of
its terms are compared with totals in other places, and with the lines beside the total, since neighbours are alike in
many tables. Of the rules with the same total, the best is kept, or a simpler mean that is nearly as good.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.values import Values
from sumnist.errors import LayoutError
from sumnist.formulas import Relation, in_order, rounded

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Place = tuple[int, int]
"""The row and the column of a cell, from 0."""

ROW = re.compile(r"r([1-9][0-9]{0,3})")
COLUMN = re.compile(r"([A-Z]{1,2})(_above)?")
ABOVE = "_above"


@dataclass(frozen=True)
class Chances:
    """What is tried for a rule, and when it holds too often for chance; `chosen` has three more."""

    reach: int = 4
    """How far, in rows, a total may be from its last term: a mean and a remark may stand between."""
    divisors: range = range(2, 32)
    """The divisors of a mean: at most the days of a month."""
    widest: int = 40
    """The most terms of a sum of neighbours."""
    shifts: tuple[int, ...] = (1, 2, 3)
    """To estimate how often a rule holds by chance, totals are moved by this many places, …"""
    beside: int = 4
    """… and up to this many lines on either side take the place of the total."""
    most_sums: int = 2_000
    """The most possible sums of a column that are kept."""
    once: float = 0.001
    """The significance level for a last row of totals (`last_totals`), over all columns."""
    repeated: int = 3
    """If a rule of rows is found this often, at equal distances, the program expects it along the whole table."""
    again: float = 0.05
    """The significance level for each further repetition."""
    signs: tuple[tuple[int, int, int], ...] = (1, 1, -1), (1, -1, 1), (-1, 1, 1), (1, -1, -1)
    """The signs of three neighbours whose sum may be a total."""
    simpler: float = 0.5
    """A simpler mean is preferred to the best rule with the same total if its `log_p` is at least this share of the
    best rule's. In a row below a sum, a mean is more likely the divided sum than the mean of all terms of the sum."""
    full: float = 0.75
    """A row or column is full if at least this share of its cells have a number. An empty cell in a full row and a full
    column is a hole."""
    mostly: float = 0.3
    """A rule of columns applies to a kind of row if it holds in at least this share of these rows."""


CHANCES = Chances()

CHANCE = 0.01
"""The least share of places in which we assume that a false rule holds by chance."""
BOUND = 0.01
"""The significance level: the probability that at least one of all rules tried is accepted by chance."""
FEWEST = 3
"""The least number of places in which a rule must hold."""


def letters(column: int) -> str:
    """The name of a column, as in a spreadsheet: A, B, …, Z, AA, …"""
    first, last = divmod(column, 26)
    return (letters(first - 1) if first else "") + chr(ord("A") + last)


def column_of(name: str) -> int:
    """The index of the column with this name."""
    found = 0
    for letter in name:
        found = 26 * found + ord(letter) - ord("A") + 1
    return found - 1


def cell_name(place: Place) -> str:
    """The name of a cell, as in a spreadsheet: D7 is in the fourth column, seventh row."""
    return f"{letters(place[1])}{place[0] + 1}"


@dataclass(frozen=True)
class Rule:
    """A relation among rows that holds in columns, or a relation among columns that holds in rows.

    Attributes:
        relation: The relation among rows, `r1`, `r2`, …, or among columns, `A`, `B`, ….
        places: The columns or rows, from 0, in which the rule holds; None if it holds in all.

    Raises:
        LayoutError: The relation names rows and columns together, or something else.
    """

    relation: Relation
    places: frozenset[int] | None = None

    def __post_init__(self) -> None:
        kinds = {bool(ROW.fullmatch(name)) for name in self.relation.names}
        if kinds != {True} and not (kinds == {False} and all(map(COLUMN.fullmatch, self.relation.names))):
            raise LayoutError(f"formula {self.relation.text[:80]!r}: expected rows alone, as r3 = r1 + r2, or columns")

    @classmethod
    def of(cls, text: str, places: frozenset[int] | None = None) -> Rule:
        """Parse a rule. Raises `LayoutError`."""
        return cls(Relation.of(text), places)

    @property
    def of_rows(self) -> bool:
        """Whether the relation is among rows."""
        return bool(ROW.fullmatch(self.relation.total))

    def place(self, name: str, other: int) -> Place:
        """The cell that a name in the relation means. `other`: the column of a rule of rows, the row of a rule of
        columns."""
        if self.of_rows:
            return int(name[1:]) - 1, other
        column = COLUMN.fullmatch(name)
        assert column
        return other - bool(column[2]), column_of(column[1])

    def grounded(self, there: Collection[Place], holes: Collection[Place] = ()) -> Iterator[Relation]:
        """The relations of cells that follow from the rule, if the cells `there` have numbers. A sum skips empty terms
        if two or more are left. A mean or a product needs all terms. A relation with a term in `holes` is left out,
        since a number may have been missed there."""
        relation = self.relation
        lines = {place[self.of_rows] for place in there} if self.places is None else self.places
        for other in sorted(lines):
            total, *terms = (self.place(name, other) for name in relation.names)
            if any(place in holes for place in terms):
                continue
            some = [(weight, cell_name(place)) for (weight, _), place in zip(relation.terms, terms, strict=True)
                    if place in there]  # fmt: skip
            whole = len(some) == len(terms)
            if total in there and some and (whole or (len(some) > 1 and not relation.times and relation.divisor == 1)):
                yield Relation(cell_name(total), tuple(some), relation.divisor, relation.times)


def holes_in(there: Collection[Place]) -> set[Place]:
    """The empty cells in rows and columns that are almost full (`CHANCES.full`). A number was probably missed there."""
    rows, columns = (Counter(place[axis] for place in there) for axis in (0, 1))
    full = [{line for line, count in lines.items() if count >= CHANCES.full * len(others)}
            for lines, others in ((rows, columns), (columns, rows))]  # fmt: skip
    return {(row, column) for row in full[0] for column in full[1]} - set(there)


class Finding(NamedTuple):
    """A rule that was found, and the evidence for it.

    Attributes:
        rule: The rule.
        held: In how many places the rule holds, up to rounding.
        seen: In how many places the rule can be tested.
        chance: The share of places in which it would hold by chance; 0 if it was not estimated.
        log_p: The decimal logarithm of the probability that it holds so often by chance.
    """

    rule: Rule
    held: int
    seen: int
    chance: float
    log_p: float

    def as_dict(self) -> dict[str, Any]:
        """The finding as types that `json` writes, with places from 1."""
        places = self.rule.places
        return {
            "formula": self.rule.relation.text,
            "places": None if places is None else sorted(place + 1 for place in places),
            "held": self.held, "seen": self.seen, "log_p": round(self.log_p, 1),
        }  # fmt: skip


class Guess(NamedTuple):
    """A relation of lines (rows or columns) that may hold.

    Attributes:
        relation: The relation.
        total: The index of the line of the total.
        value: The total that the terms give in each place, `[S]`.
        known: The places where the terms suffice to test the relation, `[S]`.
    """

    relation: Relation
    total: int
    value: Integers
    known: Mask


def found(values: Integers, there: Mask) -> list[Finding]:
    """Find the rules of a table.

    Args:
        values: The number read in each cell, `[R, C]`, in units of its last decimal.
        there: Which cells have a number, `[R, C]`.

    Returns:
        The rules of rows, then the rules of columns.
    """
    of_rows = repeated(chosen(row_guesses(values.T, there.T), values.T, there.T), values, there)
    totals = {int(one.rule.relation.total[1:]) - 1 for one in of_rows}
    plain = np.array([row not in totals for row in range(len(values))])
    mask = there & plain[:, None]
    of_columns = chosen(column_guesses(values, mask), values, mask)
    kinds = [np.flatnonzero(plain), *(np.array(sorted(rows)) for rows in kinds_of(of_rows))]
    placed = [where_it_holds(one, values, there, kinds) for one in of_columns]
    return of_rows + [one for one in placed if one.rule.places is None or one.rule.places]


def kinds_of(findings: Iterable[Finding]) -> list[set[int]]:
    """The rows that are sums, and the rows that are means."""
    kinds: dict[bool, set[int]] = {}
    for one in findings:
        kinds.setdefault(one.rule.relation.divisor > 1, set()).add(int(one.rule.relation.total[1:]) - 1)
    return list(kinds.values())


def row_guesses(values: Integers, there: Mask) -> Iterator[Guess]:
    """Guesses about each row, given the rows above it: the sum or mean of neighbours, or one row divided. Arrays are
    `[C, R]`."""
    names = [f"r{row + 1}" for row in range(values.shape[1])]
    shown = np.where(there, values, 0)
    for total in range(1, len(names)):
        for last in range(total - 1, max(-1, total - 1 - CHANCES.reach), -1):
            yield from neighbour_guesses(names, shown, there, total, range(last, max(-1, last - CHANCES.widest), -1))
            for divisor in CHANCES.divisors:
                value = rounded(shown[:, last], divisor)
                yield Guess(Relation(names[total], ((1, names[last]),), divisor), total, value,
                            there[:, last] & (value > 0))  # fmt: skip


def neighbour_guesses(
    names: Sequence[str], shown: Integers, there: Mask, total: int, lines: Sequence[int]
) -> Iterator[Guess]:
    """Guess that a total is the sum or the mean of the first two, three, … of some lines."""
    value, some, every = np.zeros(len(shown), np.int64), np.zeros(len(shown), np.int64), np.ones(len(shown), bool)
    for count, line in enumerate(lines, 1):
        value, some, every = value + shown[:, line], some + (shown[:, line] != 0), every & there[:, line]
        if count > 1:
            terms = tuple((1, names[one]) for one in sorted(lines[:count]))
            yield Guess(Relation(names[total], terms), total, value, there[:, line] & (some > 1))
            yield Guess(Relation(names[total], terms, count), total, rounded(value, count), every & (some > 1))


def column_guesses(values: Integers, there: Mask) -> Iterator[Guess]:
    """Guesses about each column, given the columns before it. It may be the sum or mean of neighbours; the sum, mean,
    difference or product of any two; neighbours a, b and c with the signs of `CHANCES.signs`; or a balance. Arrays are
    `[R, C]`."""
    names = [letters(column) for column in range(values.shape[1])]
    shown = np.where(there, values, 0)
    for total in range(len(names)):
        for last in range(total - 1, 0, -1):
            yield from neighbour_guesses(names, shown, there, total, range(last, max(-1, last - CHANCES.widest), -1))
        for one, two in combinations(range(total), 2):
            a, b, known = shown[:, one], shown[:, two], there[:, one] & there[:, two]
            known = known & (a != 0) & (b != 0)
            plain, minus = ((1, names[one]), (1, names[two])), ((1, names[one]), (-1, names[two]))
            back = ((1, names[two]), (-1, names[one]))
            if two > one + 1:  # neighbours were tried above
                yield Guess(Relation(names[total], plain), total, a + b, known)
                yield Guess(Relation(names[total], plain, 2), total, rounded(a + b, 2), known)
            yield Guess(Relation(names[total], minus), total, a - b, known)
            yield Guess(Relation(names[total], back), total, b - a, known)
            yield Guess(Relation(names[total], plain, times=True), total, a * b, known & (np.minimum(a, b) > 1))
        for first in range(total - 2):
            some = shown[:, first : first + 3]
            known = there[:, first : first + 3].all(1) & (some != 0).all(1)
            for signs in CHANCES.signs:
                terms = tuple(zip(signs, names[first : first + 3], strict=True))
                yield Guess(Relation(names[total], terms), total, some @ np.array(signs), known)
        yield from balance_guesses(names, shown, there, total)


def balance_guesses(names: Sequence[str], shown: Integers, there: Mask, total: int) -> Iterator[Guess]:
    """Guess that a column is a balance: its number in the row above, plus another column, perhaps minus a third."""
    above, is_above = np.roll(shown[:, total], 1), np.roll(there[:, total], 1)
    is_above[:1] = False
    balance = names[total]
    for more in range(len(names)):
        for less in (None, *range(len(names))):
            if total in (more, less) or more == less:
                continue
            value, moved = above + shown[:, more], shown[:, more] != 0
            terms = [(1, f"{balance}{ABOVE}"), (1, names[more])]
            if less is not None:
                value, moved = value - shown[:, less], moved | (shown[:, less] != 0)
                terms.append((-1, names[less]))
            yield Guess(Relation(balance, tuple(terms)), total, value, is_above & moved)


def holds(guess: Guess, totals: Integers) -> Mask:
    """Where totals `[S]` agree with a guess. A rounded guess may be wrong by one unit."""
    return np.asarray(np.abs(totals - guess.value) <= (guess.relation.divisor > 1))


def chosen(guesses: Iterable[Guess], values: Integers, there: Mask) -> list[Finding]:
    """The guesses that hold too often for chance: for each total the best one, and none that makes a circle."""
    count, some = 0, list[Finding]()
    for guess in guesses:
        count += 1
        known = guess.known & there[:, guess.total]
        held, seen = int((holds(guess, values[:, guess.total]) & known).sum()), int(known.sum())
        if held < FEWEST or log_tail(held, seen, CHANCE) > math.log10(BOUND):
            continue
        chance = chance_of(guess, values, there)
        some.append(Finding(Rule(guess.relation), held, seen, chance, log_tail(held, seen, chance)))
    best = {one.rule.relation.total: one for one in sorted(some, key=lambda one: -one.log_p)}
    some = [one for one in some if is_as_good(one, best[one.rule.relation.total])]
    some.sort(key=lambda one: (best[one.rule.relation.total].log_p, len(one.rule.relation.terms), one.log_p))
    kept = dict[str, Finding]()
    for one in some:
        if one.log_p < math.log10(BOUND / count) and fits(one, kept):
            kept[one.rule.relation.total] = one
    # Tables repeat themselves. Rules of one shape support each other, even if each of them has few places.
    lines, shapes = values.shape[1], defaultdict[tuple[Any, ...], list[Finding]](list)
    for one in some:
        if one.log_p < math.log10(BOUND / lines):
            shapes[shape_of(one.rule.relation)].append(one)
    for alike in shapes.values():
        together = sum(one.log_p for one in alike) + math.log10(math.comb(lines, len(alike)))
        if together < math.log10(BOUND / count):
            for one in alike:
                if fits(one, kept):
                    kept[one.rule.relation.total] = one
    return sorted(kept.values(), key=lambda one: place_of(one.rule.relation.total))


def repeated(of_rows: Sequence[Finding], values: Integers, there: Mask) -> list[Finding]:
    """The rules of rows, completed where a rule recurs at equal distances, at least `CHANCES.repeated` times. Its
    further repetitions need less evidence. If another rule has the same total and its shape occurs only once, it held
    by chance: the repetition replaces it."""
    kept = {one.rule.relation.total: one for one in of_rows}
    shapes = defaultdict[tuple[Any, ...], list[Finding]](list)
    for one in of_rows:
        shapes[shape_of(one.rule.relation)].append(one)
    for alike in sorted(shapes.values(), key=len, reverse=True):
        totals = [int(one.rule.relation.total[1:]) for one in alike]
        apart = {*np.diff(totals).tolist()}
        steps = [(Counter(total % step for total in totals).most_common(1)[0], step) for step in apart]
        (phase, times), step = max(steps, key=lambda one: (one[0][1], one[1]), default=((0, 0), 0))
        if times < CHANCES.repeated:
            continue
        first = next(one.rule for one, total in zip(alike, totals, strict=True) if total % step == phase)
        least = min(int(name[1:]) for name in first.relation.names)
        start = int(first.relation.total[1:])
        for rows in range((1 - least) // step * step, len(values) - start + 1, step):
            rule = moved(first, rows) if rows >= 1 - least else first
            other = kept.get(rule.relation.total)
            is_new = other is None or len(shapes[shape_of(other.rule.relation)]) == 1
            held, seen = counted(rule, values, there) if is_new else (0, 0)
            rest = {total: one for total, one in kept.items() if one is not other}
            finding = Finding(rule, held, seen, CHANCE, log_tail(held, seen, CHANCE))
            if finding.log_p < math.log10(CHANCES.again) and fits(finding, rest):
                kept = {**rest, rule.relation.total: finding}
    return sorted(kept.values(), key=lambda one: place_of(one.rule.relation.total))


def moved(rule: Rule, rows: int) -> Rule:
    """A rule of rows, moved down by so many rows."""

    def below(name: str) -> str:
        return f"r{int(name[1:]) + rows}"

    relation = rule.relation
    terms = tuple((weight, below(name)) for weight, name in relation.terms)
    return replace(rule, relation=replace(relation, total=below(relation.total), terms=terms))


def is_as_good(one: Finding, best: Finding) -> bool:
    """Whether a finding is the best with its total, or a mean that is nearly as good (`CHANCES.simpler`)."""
    return one is best or (one.rule.relation.divisor > 1 and one.log_p <= CHANCES.simpler * best.log_p)


def last_totals(numbers: Mapping[Place, Values]) -> list[Finding]:
    """Find a last row that is the sum of all rows above. Each column has only one place to test this. So the test
    compares the rank of the total, among the most probable sums of the column, with the size of the total."""
    columns = defaultdict[int, list[int]](list)
    for row, column in sorted(numbers):
        columns[column].append(row)
    found = defaultdict[int, dict[int, float]](dict)
    for column, rows in columns.items():
        if len(rows) > FEWEST:
            sums, shares = sum_of([numbers[row, column] for row in rows[:-1]])
            totals = [int(total) for total in numbers[rows[-1], column].probabilities]
            ranks = {total: (shares >= shares[sums == total]).sum() for total in totals if total in sums}
            logs = [math.log10(rank * len(totals) / abs(total)) for total, rank in ranks.items() if total]
            if logs:
                found[rows[-1]][column] = min(logs)
    findings = []
    for last, by_column in found.items():
        bound = math.log10(CHANCES.once / len(columns))
        places = frozenset(column for column, log_p in by_column.items() if log_p < bound)
        if places:
            terms = tuple((1, f"r{row + 1}") for row in range(last))
            rule = Rule(Relation(f"r{last + 1}", terms), places)
            findings.append(Finding(rule, len(places), len(places), 0.0, max(by_column[column] for column in places)))
    return findings


def sum_of(numbers: Iterable[Values]) -> tuple[Integers, NDArray[np.float64]]:
    """The possible sums of numbers, and their probabilities; only the most probable sums are kept."""
    sums, shares = np.zeros(1, np.int64), np.ones(1, np.float64)
    for one in numbers:
        values = np.array([int(value) for value in one.probabilities], np.int64)
        likely = np.array([*one.probabilities.values()])
        sums, places = np.unique((sums[:, None] + values).ravel(), return_inverse=True)
        shares = np.bincount(places, (shares[:, None] * likely).ravel(), len(sums)).astype(np.float64)
        most = np.argsort(-shares, kind="stable")[: CHANCES.most_sums]
        sums, shares = sums[most], shares[most]
    return sums, shares


def shape_of(relation: Relation) -> tuple[Any, ...]:
    """A key that is equal for a relation and its repetitions further down."""
    terms = tuple((weight, place_of(relation.total) - place_of(name)) for weight, name in relation.terms)
    return relation.divisor, relation.times, terms


def fits(one: Finding, kept: Mapping[str, Finding]) -> bool:
    """Whether a finding says something new beside the others, makes no circle with them, and does not mix totals with
    other rows in one sum."""
    relation = one.rule.relation
    if relation.total in kept or any(set(relation.names) == set(other.rule.relation.names) for other in kept.values()):
        return False
    if one.rule.of_rows and len({name in kept for _, name in relation.terms}) > 1:
        return False
    every = [*(other.rule.relation for other in kept.values()), relation]
    try:
        in_order(every, {name for other in every for name in other.names})
    except LayoutError:
        return False
    return True


def place_of(name: str) -> int:
    """The index of the row or column with this name."""
    row = ROW.fullmatch(name)
    return int(row[1]) - 1 if row else column_of(name.removesuffix(ABOVE))


def chance_of(guess: Guess, values: Integers, there: Mask) -> float:
    """The share of places in which a guess holds by chance: the greater of two estimates, from shifted totals and from
    the lines beside the total, and at least `CHANCE`."""
    hits = tries = 0
    for shift in CHANCES.shifts:
        known = guess.known & np.roll(there[:, guess.total], shift)
        hits += int((holds(guess, np.roll(values[:, guess.total], shift)) & known).sum())
        tries += int(known.sum())
    names = {place_of(name) for name in guess.relation.names}
    shares = []
    for line in range(max(0, guess.total - CHANCES.beside), min(values.shape[1], guess.total + CHANCES.beside + 1)):
        known = guess.known & there[:, line]
        if line not in names and known.sum() >= FEWEST:
            shares.append(float(holds(guess, values[:, line])[known].mean()))
    return max(CHANCE, hits / max(1, tries), float(np.median(shares)) if shares else 0.0)


def where_it_holds(one: Finding, values: Integers, there: Mask, kinds: Sequence[Integers]) -> Finding:
    """A rule of columns, limited to the kinds of rows in which it mostly holds. `kinds`: the rows of each kind."""
    rows = set[int]()
    for kind in kinds:
        held, seen = counted(Rule(one.rule.relation, frozenset(kind.tolist())), values, there)
        if seen and held >= CHANCES.mostly * seen:
            rows |= set(kind.tolist())
    return one._replace(rule=Rule(one.rule.relation, frozenset(rows) if len(rows) < len(values) else None))


def counted(rule: Rule, values: Integers, there: Mask) -> tuple[int, int]:
    """In how many places a rule holds, up to rounding, and in how many it can be tested."""
    cells = {(int(row), int(column)) for row, column in zip(*np.nonzero(there), strict=True)}
    held = seen = 0
    for relation in rule.grounded(cells, holes_in(cells)):
        known = {name: int(values[place_named(name)]) for name in relation.names}
        off = relation.result(known) - known[relation.total]
        held, seen = held + (abs(off) <= (relation.divisor > 1)), seen + 1
    return held, seen


def place_named(name: str) -> Place:
    """The row and the column of the cell with this name."""
    match = re.fullmatch(r"([A-Z]+)([0-9]+)", name)
    assert match
    return int(match[2]) - 1, column_of(match[1])


def log_tail(held: int, seen: int, chance: float) -> float:
    """The decimal logarithm of the binomial probability that a rule holds by chance in at least `held` of `seen`
    places."""
    if held <= seen * chance:
        return 0.0
    logs = [
        math.lgamma(seen + 1) - math.lgamma(one + 1) - math.lgamma(seen - one + 1) + one * math.log(chance)
        + (seen - one) * math.log1p(-chance)
        for one in range(held, seen + 1)
    ] if chance < 1 else [0.0]  # fmt: skip
    most = max(logs)
    return (most + math.log(sum(math.exp(one - most) for one in logs))) / math.log(10)

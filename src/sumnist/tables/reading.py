"""Reads the numbers of a table on a picture, and checks and corrects them by the relations among them.

The grid (`tables/grid`) says which number stands in which cell. Each number is read as on any other picture. The rules
of the table are in its layout, or are found (`tables/rules`). Each rule gives exact relations of cells. If the other
numbers of a relation imply a value, this value is a candidate too: the program asks the reader how probable it is in
that cell. Then the posterior of all cells together is computed (`arithmetic/relations`). A number that it makes sure is
a label that nobody had to type. From these labels the reader learns the writer's hand, and reads the unsure cells
again. With the new readings, rules are searched again.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import multimode
from typing import Any, Literal, NamedTuple

import numpy as np

from sumnist.arithmetic.relations import UNKNOWN, Posterior, Relations
from sumnist.arithmetic.values import Values, ordered, plain
from sumnist.errors import HandError, SheetError, SizeError
from sumnist.formulas import MISTAKE, Relation
from sumnist.inference.adaptation import Lesson
from sumnist.inference.finder import Cut, Found, Sight, cut
from sumnist.inference.hand import MOST, Hand
from sumnist.inference.meaning import NOT_A_NUMBER, STRUCK
from sumnist.inference.numbers import (
    MOST_FOUND,
    SEARCHED,
    UNSURE,
    FoundNumber,
    Judge,
    decimals_of,
    opinion_of,
)  # fmt: skip
from sumnist.inference.reader import Reader
from sumnist.pictures.decode import Picture, pixels_of
from sumnist.pictures.proposals import LineProposal
from sumnist.tables.grid import Floats, Grid, cells_of, is_like, laid
from sumnist.tables.layout import TableLayout
from sumnist.tables.rules import Finding, Place, cell_name, counted, fits, found, holes_in, last_totals
from sumnist.typed import typed

State = Literal["read", "checked", "corrected", "doubtful", "struck out"]
"""The states of a number; `Cell.state` explains them."""


@dataclass(frozen=True)
class Judgement:
    """When a number of a table counts as one, and when it is sure."""

    sure: float = 0.995
    """A number is sure from this probability on."""
    other: float = 0.01
    """The least probability that a cell holds none of its candidates. Networks are too confident here: parts of
    neighbouring numbers and of printed lines mislead them."""
    candidates: int = 6
    """The most candidates of a cell."""
    least: float = 1e-3
    """The least probability of a candidate. One that a relation implies may be less probable."""
    implied: float = 1e-7
    """The least probability of a candidate that a relation implies, since the reader may have missed the number
    entirely. A long number gets less: `other` shared among all numbers of its length."""
    second: float = 0.05
    """From this probability on, the second candidate of a cell is used, too, to compute what relations imply."""
    an_end: float = 1e-4
    """The least probability that the reader lost the first or the last digit, or read one too many there. A number may
    reach over a printed line, or a line may pass for a 1."""
    longest: int = 9
    """The most digits of a number."""
    most_implied: int = 40
    """The most values that one relation may imply for a cell; a mean of a month's days implies up to 31."""
    no_minus: float = 0.5
    """The odds that what reads as a minus sign is something else, in a column where half of the numbers have one."""
    whole: float = 1.0
    """The weight of the proposal that takes all ink in a cell for the number, beside the number that the finder
    sees."""
    least_whole: float = 0.95
    """If the finder sees no number that counts, all ink in the cell is read. The result counts if the probability that
    there is a number reaches this (a piece of a printed line may look like any digit), …"""
    likely: float = 0.5
    """… and that of the most probable number reaches this."""
    sparse: float = 0.7
    """A row or column is sparse if it has fewer numbers than this share of the usual count."""
    asked: int = 3
    """The reader first looks at about this many cells of a row or column; if all read as numbers, the others need no
    look."""
    number: tuple[str | None, ...] = (None, UNSURE, STRUCK)
    """In a sparse row or column, a reading with one of these reasons counts as a number."""
    most_columns: int = 60
    """The most columns among which relations are searched: the time grows with the third power of their number."""
    rounds: int = 2
    """How often, at most, a table is read again with the learned hand."""
    lessons: int = 200
    """The most numbers of a page that the hand is learned from."""
    clearly: float = 0.999
    """Relations do not correct a reading that is at least this sure: the writer may have slipped."""
    wrong: float = 0.9
    """A relation is reported as broken if the probability that it does not hold reaches this."""


JUDGE = Judgement()

ANY = TableLayout()
"""The layout of a table of which nothing is known."""


@dataclass(frozen=True)
class Cell:
    """A number of a table.

    Attributes:
        row: The row of the number, from 0.
        column: The column of the number, from 0.
        value: The most probable value; None if nothing is known.
        probability: The probability of `value`, given the whole page.
        state: "read": sure, and in no relation. "checked": relations make sure what was read. "corrected": relations
            make another value sure. "doubtful": a person should look at it. "struck out": somebody crossed it out.
        read: The text as it was read, without relations.
        candidates: The possible values with their probabilities, given the whole page, the most probable first.
        corners: The corners of the number on the picture, in pixels, `[4, 2]`.
        seen: The candidates as the reader judges them, without relations: values in units of the last decimal, and
            their probabilities.

    Examples:
        >>> cell = read("docs/images/table-photograph.jpg").cells[0, 0]
        >>> cell.name, cell.value, cell.state, len(cell.corners)
        ('A1', 244, 'corrected', 4)
    """

    row: int
    column: int
    value: int | Decimal | None
    probability: float
    state: State
    read: str
    candidates: tuple[tuple[int | Decimal, float], ...]
    corners: tuple[tuple[float, float], ...]
    seen: tuple[tuple[int, float], ...] = ()

    @property
    def name(self) -> str:
        """The name of the cell in a spreadsheet, such as D6."""
        return cell_name((self.row, self.column))

    def as_dict(self) -> dict[str, Any]:
        """The cell as types that `json` writes, with row and column from 1; a value with decimals is a string."""
        candidates = [{"value": plain(value), "probability": share} for value, share in self.candidates]
        corners = [[round(x, 1), round(y, 1)] for x, y in self.corners]
        return {
            "cell": self.name, "row": self.row + 1, "column": self.column + 1, "value": plain(self.value),
            "probability": self.probability, "state": self.state, "read": self.read, "candidates": candidates,
            "corners": corners, "seen": [list(one) for one in self.seen],
        }  # fmt: skip


class Broken(NamedTuple):
    """A relation that probably does not hold, because the writer slipped.

    Attributes:
        formula: The relation.
        kind: The most probable kind of slip.
        probability: The probability that the relation does not hold.
    """

    formula: str
    kind: str
    probability: float


@dataclass(frozen=True)
class Table:
    """The numbers of a table.

    Attributes:
        rows: The number of rows.
        columns: The number of columns.
        cells: The cells by row and column, from 0.
        rules: The rules of the table, and how often each holds.
        broken: The relations that probably do not hold.
        exact: Whether the probabilities are exact. They are approximate if the relations form too many circles.
        beside: How many digits on the page are outside every cell.
        hand: The hand that was learned from the page; None if none was.

    Examples:
        >>> table = read("docs/images/table-photograph.jpg")
        >>> sum(table.states.values()) == len(table.cells)
        True
    """

    rows: int
    columns: int
    cells: Mapping[Place, Cell]
    rules: tuple[Finding, ...]
    broken: tuple[Broken, ...]
    exact: bool
    beside: int = 0
    hand: Hand | None = field(default=None, repr=False)

    @property
    def states(self) -> Counter[State]:
        """How many cells are in each state."""
        return Counter(cell.state for cell in self.cells.values())

    def as_dict(self) -> dict[str, Any]:
        """The table as types that `json` writes."""
        return {
            "rows": self.rows, "columns": self.columns,
            "cells": [cell.as_dict() for _, cell in sorted(self.cells.items())],
            "rules": [one.as_dict() for one in self.rules], "broken": [one._asdict() for one in self.broken],
            "exact": self.exact, "beside": self.beside, "learned": self.hand is not None,
        }  # fmt: skip


@typed
def read(picture: Picture, layout: TableLayout | str | Path | None = None) -> Table:
    """Read the table on a picture.

    Args:
        picture: A picture, as `Reader.read` takes it.
        layout: What is known about the table, or the path of a TOML file. If it has no rules, the program finds them.

    Raises:
        ImageError: The picture cannot be read.
        LayoutError: The layout cannot be read.
        SheetError: There are no numbers on the picture.

    Examples:
        >>> table = read("docs/images/table-photograph.jpg")
        >>> table.rows, table.columns, table.cells[0, 0].value, table.cells[0, 0].state
        (11, 4, 244, 'corrected')
        >>> [one.rule.relation.text for one in table.rules]
        ['C = (A + B) / 2', 'D = A - B']
    """
    known = TableLayout() if layout is None else layout
    return TableReader(known if isinstance(known, TableLayout) else TableLayout.load(known)).read(picture)


class TablePage(NamedTuple):
    """A page with its grid, before its numbers are read."""

    grid: Grid
    sight: Sight
    found: Mapping[Place, Found]
    cells: Mapping[Place, Place]
    """The row and the column in the grid, for each cell of the table."""
    pieces: dict[bytes, Piece]
    """The pieces cut out of the picture, by the `key` of their cell."""
    judges: dict[tuple[Reader, bytes], Judge]
    """The judges of cells, by the reader and the `key` of the cell."""

    @classmethod
    def of(cls, grid: Grid, sight: Sight, before: TablePage | None = None) -> TablePage:
        """The page with this grid. `before` is the same page with another grid; the pieces and judges of its unchanged
        cells are kept."""
        found = cells_of(grid, sight)
        kept = before and (before.pieces, before.judges)
        return cls(grid, sight, found, {place: place for place in found}, *(kept or ({}, {})))

    @property
    def beside(self) -> int:
        """How many digits are outside every cell."""
        return int(self.sight.sure.are_digits.sum()) - sum(len(one.digits) for one in self.found.values())

    def key(self, place: Place) -> bytes:
        """A key of a cell: its corners and its characters. It does not change if rows or columns are numbered anew."""
        number = self.found.get(place)
        characters = b"" if number is None else number.places.tobytes() + bytes([number.suspect])
        return self.room(place).tobytes() + characters

    def room(self, place: Place) -> Floats:
        """The corners of a cell, at most at the borders of the picture: the grid is not reliable beyond."""
        high, wide = self.sight.grey.shape
        room: Floats = self.grid.room(*self.cells[place]).clip(0, (wide, high))
        return room

    def piece(self, place: Place) -> Piece:
        """The pieces of a cell; they are cut out only once."""
        key = self.key(place)
        if key not in self.pieces:
            number, room = self.found.get(place), self.room(place)
            nothing = number or nothing_at(self, room)
            alone = cut(self.sight, replace(nothing, corners=room)).alone
            box = int(room[:, 1].min()), int(room[:, 1].max()), int(room[:, 0].min()), int(room[:, 0].max())
            whole = LineProposal(alone, "all that stands in the cell", JUDGE.whole, box)
            self.pieces[key] = Piece(nothing, whole, None if number is None else cut(self.sight, number))
        return self.pieces[key]


class Piece(NamedTuple):
    """The pieces of a cell.

    Attributes:
        number: The number that the finder sees there, or an empty number.
        whole: All ink of the cell, as a proposal.
        alone: The number cut out; None if the finder sees none.
    """

    number: Found
    whole: LineProposal
    alone: Cut | None


class TableReader:
    """Reads any number of tables of one layout.

    Args:
        layout: What is known about the tables. If it has no rules, the program finds them.
        reader: The reader of the numbers; by default the packaged one.
        mistake: ε, the probability that the writer made a mistake, for each relation.
        learn: Whether to learn the writer's hand from the numbers that relations make sure.

    Examples:
        >>> reader = TableReader(TableLayout(names={0: "max"}), learn=False)
        >>> reader.read("docs/images/table-photograph.jpg").columns
        4
    """

    @typed
    def __init__(
        self, layout: TableLayout = ANY, reader: Reader | None = None, mistake: float = MISTAKE, learn: bool = True
    ) -> None:
        self.layout, self.mistake, self.learn = layout, mistake, learn
        self.reader = reader or Reader()

    @typed
    def read(self, picture: Picture, name: str | None = None) -> Table:
        """Read the table on a picture. Raises `ImageError`, `SizeError`, and `SheetError` if there are no numbers."""
        page, reader = self.page(picture, name), self.reader
        judges, readings = read_cells(reader, page, page.cells)
        solved = self.solved(judges, readings)
        for _ in range(JUDGE.rounds if self.learn else 0):
            hand = hand_of(reader, readings, solved)
            if hand is None:
                break
            taught = self.reader.with_hand(hand)
            sure = {place for place in solved.numbers if solved.best(place)[1] >= JUDGE.sure}
            unsure = [place for place in page.cells if place not in sure]
            better_judges, better_readings = read_cells(taught, page, unsure)
            judges, again = judges | better_judges, readings | better_readings
            better = self.solved(judges, again, solved.findings)
            if better.settled <= solved.settled:
                break
            reader, readings, solved = taught, again, better
        return self.table(page, readings, solved, None if reader is self.reader else reader.hand)

    def page(self, picture: Picture, name: str | None) -> TablePage:
        """The grid of a picture, and the characters in its cells. Raises as `read` does."""
        shown, lay = name or "the picture", laid(pixels_of(picture, name), self.reader.numbers.found_on)
        page = lay and TablePage.of(*lay)
        if page and len(page.found) > MOST_FOUND:
            raise SizeError(f"{shown}: {len(page.found):,} numbers, expected at most {MOST_FOUND:,}: crop it in parts")
        none = SheetError(f"{shown}: no numbers found on it, expected a table of them: come nearer, or turn it upright")
        rows = real_lines(self.reader, page, 0) if page else []
        if not page or not rows:
            raise none
        if len(rows) < len(page.grid.rows):  # rows without numbers are left out
            page = TablePage.of(replace(page.grid, rows=page.grid.rows[rows]), page.sight, page)
        columns = real_lines(self.reader, page, 1)
        if not columns:
            raise none
        if self.layout.rules is None and len(columns) > JUDGE.most_columns:
            expected = f"at most {JUDGE.most_columns} to find relations: crop it, or give its rules with --layout"
            raise SizeError(f"{shown}: {len(columns):,} columns, expected {expected}")
        edges = page.grid.edges[columns[0] : columns[-1] + 2]
        if len(edges) < len(page.grid.edges):  # so are columns without numbers, at the sides
            page = TablePage.of(replace(page.grid, edges=edges), page.sight, page)
        cells = {(row, new): (row, old - columns[0]) for row in range(len(rows)) for new, old in enumerate(columns)}
        found = {new: page.found[old] for new, old in cells.items() if old in page.found}
        return page._replace(found=found, cells=cells)

    def solved(
        self, judges: Mapping[Place, Judge], readings: Mapping[Place, FoundNumber], before: Sequence[Finding] = ()
    ) -> Solved:
        """The posterior of all numbers of a page, given the reading of each. `before`: the rules found earlier."""
        signs = minus_of(readings)
        numbers = {place: candidates_of(one, signs[place[1]]) for place, one in readings.items()}
        findings = self.holding(numbers, before)
        holes = holes_in(numbers)
        relations = tuple(relation for one in findings for relation in one.rule.grounded(numbers, holes))
        asked = implied(numbers, relations)
        for place, strings in asked.items():
            numbers[place] = candidates_of(judges[place](strings), signs[place[1]], map(int, strings))
        posterior = posterior_of(numbers, relations, self.mistake)
        return Solved(numbers, tuple(findings), relations, posterior)

    def holding(self, numbers: Mapping[Place, Values], before: Sequence[Finding]) -> list[Finding]:
        """The rules of the layout. If it has none: the rules found now, and those found `before`."""
        shape = tuple(1 + max((place[axis] for place in numbers), default=0) for axis in (0, 1))
        values, there = np.zeros(shape, np.int64), np.zeros(shape, bool)
        for place, one in numbers.items():
            if one.mode is not None:
                values[place], there[place] = int(one.mode), True
        if self.layout.rules is not None:
            return [Finding(rule, *counted(rule, values, there), 0.0, 0.0) for rule in self.layout.rules]
        kept = {one.rule.relation.total: one for one in found(values, there)}
        for finding in [*before, *last_totals(numbers)]:
            if fits(finding, kept):
                kept[finding.rule.relation.total] = finding
        return list(kept.values())

    def table(self, page: TablePage, readings: Mapping[Place, FoundNumber], solved: Solved, hand: Hand | None) -> Table:
        """The table, with a doubtful cell for each hole."""
        usual = ways_of(readings)
        places = {**{column: decimals for column, (decimals, _) in usual.items()}, **self.layout.decimals}
        related = {name for relation in solved.relations for name in relation.names}
        cells = {}
        for place, one in readings.items():
            judged = replace(one, accepted=one.accepted and way_of(one) == usual[place[1]])
            cells[place] = cell_of(place, judged, solved, places.get(place[1], 0), cell_name(place) in related)
        for place in holes_in(cells) & page.cells.keys():
            corners, _ = page.sight.placed(nothing_at(page, page.grid.room(*page.cells[place])))
            cells[place] = Cell(*place, None, 0.0, "doubtful", "", (), tuple((float(x), float(y)) for x, y in corners))
        rows, columns = (1 + max((place[axis] for place in cells), default=-1) for axis in (0, 1))
        broken = tuple(
            Broken(relation.text, max(ways, key=ways.__getitem__), 1 - ways["right"])
            for relation, ways in solved.posterior.kinds.items() if 1 - ways["right"] - ways["unknown"] >= JUDGE.wrong
        )  # fmt: skip
        exact = solved.posterior.exact
        return Table(rows, columns, cells, solved.findings, broken, exact, page.beside, hand)


@dataclass(frozen=True)
class Solved:
    """All numbers of a page after their relations are used.

    Attributes:
        numbers: The candidates of each number, with their probabilities before relations are used.
        findings: The rules.
        relations: The relations of cells that follow from the rules.
        posterior: The probabilities after relations are used.
    """

    numbers: Mapping[Place, Values]
    findings: tuple[Finding, ...]
    relations: tuple[Relation, ...]
    posterior: Posterior

    def best(self, place: Place) -> tuple[int | None, float]:
        """The most probable number of a cell, and its probability."""
        values, shares = self.posterior.numbers[cell_name(place)]
        most = int(shares.argmax())
        return (None if values[most] == UNKNOWN else int(values[most])), float(shares[most])

    @property
    def settled(self) -> int:
        """How many numbers are sure (`JUDGE.sure`)."""
        return sum(value is not None and share >= JUDGE.sure for value, share in map(self.best, self.numbers))


def read_cells(
    reader: Reader, page: TablePage, places: Iterable[Place]
) -> tuple[dict[Place, Judge], dict[Place, FoundNumber]]:
    """The judges of cells, and the readings of the cells with a number. In a hole (`rules.holes_in`), a number counts
    even if it is less probable."""
    judges = {place: judge_of(reader, page, place) for place in places}
    readings = {place: judge() for place, judge in judges.items()}
    readings = {place: one for place, one in readings.items() if one.candidates}
    numbers = {place: one for place, one in readings.items() if one.reason != NOT_A_NUMBER}
    for place in holes_in(numbers) & readings.keys():
        if readings[place].is_number_probability >= JUDGE.likely:
            numbers[place] = replace(readings[place], reason=UNSURE)
    return judges, numbers


def judge_of(reader: Reader, page: TablePage, place: Place) -> Judge:
    """The judge of a cell; each reader looks at the cell only once."""
    key = reader, page.key(place)
    if key not in page.judges:
        page.judges[key] = cache(judge_by(reader, page, place))
    return page.judges[key]


def judge_by(reader: Reader, page: TablePage, place: Place) -> Judge:
    """The judge of a cell, by two proposals: the number that the finder sees, and all ink in the cell."""
    read, (number, whole, alone) = reader.numbers.reader(), page.piece(place)
    if alone is not None:
        judge = read.looked_at(page.sight, number, alone, (1, None), None, JUDGE.candidates, line=whole)
        if len(number.digits) > 1 or judge().reason != NOT_A_NUMBER:  # the finder may take an 11 for one digit
            return judge
    opinion = opinion_of(read.recognizer, [whole], (1, None), None, SEARCHED)

    def judged(asked: Sequence[str] = ()) -> FoundNumber:
        seen = read.judged(opinion, JUDGE.candidates, None, asked=asked)
        is_line = alone is None and not seen.digits.strip("01")  # a piece of one, or a pattern of the paper
        is_one = seen.is_number_probability >= JUDGE.least_whole and seen.confidence >= JUDGE.likely and not is_line
        reason = UNSURE if is_one else NOT_A_NUMBER
        corners = tuple((float(x), float(y)) for x, y in page.sight.placed(number)[0])
        return FoundNumber(**vars(seen) | {"accepted": False, "reason": reason}, corners=corners, written="")

    return judged


def nothing_at(page: TablePage, corners: Floats) -> Found:
    """An empty number, for a cell in which the finder sees none."""
    none = page.sight.characters.of(np.zeros(0, np.int64))
    (left, top), (right, bottom) = corners[0], corners[1]
    angle = math.atan2(bottom - top, right - left)
    return Found(none, np.zeros(0, np.int64), corners, angle, page.grid.em)


def real_lines(reader: Reader, page: TablePage, axis: int) -> list[int]:
    """The rows (axis 0) or columns (axis 1) of a grid in which most cells read as numbers. Only cells with writing of
    the usual height count; in a sparse row or column, only those with several digits, since a lone speck may pass for a
    digit."""
    lines = defaultdict[int, list[Place]](list)
    for place in page.found:
        lines[place[axis]].append(place)
    usual = float(np.median([len(line) for line in lines.values() or [()]]))

    def is_real(line: Sequence[Place]) -> bool:
        line = [place for place in line if is_like(page.found[place], page.grid.em)]
        if is_sparse := len(line) < JUDGE.sparse * usual:
            line = [place for place in line if len(page.found[place].digits) > 1]

        def reads(place: Place) -> bool:
            seen = judge_of(reader, page, place)()
            is_likely = seen.reason in JUDGE.number and seen.confidence >= JUDGE.likely
            return is_likely if is_sparse else seen.reason != NOT_A_NUMBER

        some = line[:: -(-len(line) // JUDGE.asked) or 1]
        return len(line) > 0 and (all(map(reads, some)) or 2 * sum(map(reads, line)) > len(line))

    return [at for at, line in sorted(lines.items()) if is_real(line)]


def minus_of(readings: Mapping[Place, FoundNumber]) -> dict[int, float]:
    """By column, the probability that what reads as a minus sign is one. If few numbers of the column have it, it is
    more likely a printed line or a stain."""
    signs = defaultdict[int, list[bool]](list)
    for (_, column), one in readings.items():
        signs[column].append(one.text.startswith("-"))
    shares = {column: sum(some) / len(some) for column, some in signs.items()}
    return {column: share / (share + JUDGE.no_minus * (1 - share)) for column, share in shares.items()}


def candidates_of(reading: FoundNumber, minus: float, implied: Iterable[int] = ()) -> Values:
    """The candidates of a cell, in units of the last decimal. `minus`: the probability that what reads as a minus sign
    is one. `implied`: values that relations imply."""
    shares = defaultdict[int, float](float)
    wanted = set(implied)
    for one in reading.candidates:
        if len(one.digits) <= JUDGE.longest:
            below = minus if one.text.startswith("-") else 0.0
            shares[int(one.digits)] += (1 - below) * one.probability
            shares[-int(one.digits)] += below * one.probability
    kept = dict(sorted(shares.items(), key=lambda one: -one[1])[: JUDGE.candidates])
    kept = {value: share for value, share in kept.items() if share >= JUDGE.least}
    kept |= {value: max(shares.get(value, 0.0), least_of(value, reading.digits)) for value in wanted}
    other = max(JUDGE.other, 1 - sum(kept.values()))
    whole = sum(kept.values())
    return ordered({value: share * (1 - other) / whole for value, share in kept.items()}, other)


def least_of(value: int, read: str) -> float:
    """The least probability of a value that a relation implies, if the digits `read` were read."""
    longer, shorter = sorted((str(value), read), key=len, reverse=True)
    if len(longer) == len(shorter) + 1 > 1 and (longer.endswith(shorter) or longer.startswith(shorter)):
        return JUDGE.an_end
    return min(JUDGE.implied, JUDGE.other * 0.1 ** len(str(value)))


def implied(numbers: Mapping[Place, Values], relations: Iterable[Relation]) -> dict[Place, tuple[str, ...]]:
    """By cell, the digits of values that the reader did not propose, but that relations imply, given likely values of
    the other numbers. Relations that hold among the most probable values are skipped."""
    names = {cell_name(place): place for place in numbers}
    asked = defaultdict[Place, set[int]](set)
    for relation in relations:
        options = {name: options_of(numbers[names[name]]) for name in relation.names}
        best = {name: values[0] for name, values in options.items()}
        if relation.result(best) == best[relation.total]:
            continue
        for name in relation.names:
            place = names[name]
            for others in few(options, name):
                values = relation.implied(name, others, range(10**JUDGE.longest))
                if len(values) <= JUDGE.most_implied:
                    asked[place].update(value for value in values if value not in numbers[place].probabilities)
    return {place: tuple(map(str, sorted(values))) for place, values in asked.items() if values}


def options_of(number: Values) -> list[int]:
    """The most probable value of a number, and the second one if it is probable enough (`JUDGE.second`)."""
    first, *others = [int(value) for value in number.probabilities] or [0]
    return [first, *(value for value in others[:1] if number.probabilities[value] >= JUDGE.second)]


def few(options: Mapping[str, Sequence[int]], without: str) -> Iterable[dict[str, int]]:
    """The most probable values of all numbers but `without`; then again, each time with one of them at its second
    value."""
    best = {name: values[0] for name, values in options.items() if name != without}
    yield best
    for name, values in options.items():
        if name != without and len(values) > 1:
            yield best | {name: values[1]}


def posterior_of(numbers: Mapping[Place, Values], relations: Sequence[Relation], mistake: float) -> Posterior:
    """The posterior of all numbers together, given the relations among them."""
    evidence = {cell_name(place): one for place, one in numbers.items()}
    most = max((abs(int(value)) for one in evidence.values() for value in one.probabilities), default=0)
    largest = 10 ** len(str(most)) - 1
    signed = {name for name, one in evidence.items() if any(int(value) < 0 for value in one.probabilities)}
    signed |= {one.total for one in relations if any(weight < 0 for weight, _ in one.terms)}
    least = {name: -largest if name in signed else 0 for name in evidence}
    model = Relations(dict.fromkeys(evidence, largest), relations, mistake=mistake, least=least, sums=False)
    return model.posterior(evidence)


def ways_of(readings: Mapping[Place, FoundNumber]) -> dict[int, tuple[int, bool]]:
    """By column, the way in which most of its numbers are written (`way_of`)."""
    shown = defaultdict[int, list[tuple[int, bool]]](list)
    for (_, column), one in readings.items():
        shown[column].append(way_of(one))
    return {column: max(multimode(ways)) for column, ways in shown.items()}


def way_of(reading: FoundNumber) -> tuple[int, bool]:
    """How many decimals a number has, and whether it begins with a needless 0. If a number differs in this from its
    column, the reader may have lost a separator or a digit."""
    decimals = decimals_of(reading.text)
    return decimals, reading.digits.startswith("0") and len(reading.digits) > decimals + 1


def cell_of(place: Place, reading: FoundNumber, solved: Solved, decimals: int, related: bool) -> Cell:
    """The value and the state of a cell."""
    values, shares = solved.posterior.numbers[cell_name(place)]
    order = np.argsort(-shares, kind="stable")
    likely = [(scaled(int(values[at]), decimals), float(shares[at])) for at in order.tolist()
              if values[at] != UNKNOWN and shares[at] >= JUDGE.least]  # fmt: skip
    value, probability = solved.best(place)
    first = solved.numbers[place].mode
    state: State = "doubtful"
    if reading.reason == STRUCK:
        state = "struck out"
    elif value is not None and probability >= JUDGE.sure:
        same = first is not None and value == int(first)
        state = "checked" if same else "corrected" if reading.confidence < JUDGE.clearly else "doubtful"
    if not related:
        by_itself = reading.accepted and reading.confidence >= JUDGE.sure
        state = "read" if by_itself else state if state == "struck out" else "doubtful"
    return Cell(
        *place, None if value is None else scaled(value, decimals), probability, state, reading.text,
        tuple(likely[:JUDGE.candidates]), reading.corners,
        tuple((int(one), share) for one, share in solved.numbers[place].probabilities.items()),
    )  # fmt: skip


def scaled(units: int, decimals: int) -> int | Decimal:
    """The number with this many units of its last decimal."""
    return Decimal(units).scaleb(-decimals) if decimals else units


def hand_of(reader: Reader, readings: Mapping[Place, FoundNumber], solved: Solved) -> Hand | None:
    """The hand, learned from the numbers that relations make sure; None if it cannot be learned from them."""
    shown, labels = [], []
    related = {name for relation in solved.relations for name in relation.names}
    for place, one in readings.items():
        value, probability = solved.best(place)
        if cell_name(place) in related and value is not None and probability >= JUDGE.sure and one.image is not None:
            shown.append(one)
            labels.append(str(abs(value)))
    if not labels:
        return None
    random = np.random.default_rng(0)
    some = random.permutation(len(labels))[: min(JUDGE.lessons, MOST)]
    try:
        return Lesson(reader.with_hand(None), [shown[at] for at in some], [labels[at] for at in some]).hand()
    except HandError:
        return None

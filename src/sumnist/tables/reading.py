"""From a picture of a table to its numbers: each sure, by itself or by what holds among them, or doubtful.

The grid says which number stands in which cell (`tables/grid`). Each is read as numbers on any picture are. What holds
among rows and columns is known, or is found (`tables/rules`), and is an exact relation of the cells. What such a
relation makes of the others of its numbers is a candidate, too: the reader is asked how probable it is there. Then all
cells together have a posterior (`arithmetic/relations`). What it settles are labels that nobody typed: by them the
reader learns the hand, reads again, and what holds is looked for again.
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

from sumnist.arithmetic.relations import MISTAKE, UNKNOWN, Posterior, Relations
from sumnist.arithmetic.values import Values, ordered, plain
from sumnist.errors import HandError, SheetError, SizeError
from sumnist.formulas import Relation
from sumnist.inference.adaptation import Lesson
from sumnist.inference.finder import Cut, Found, Sight, cut
from sumnist.inference.hand import MOST, Hand
from sumnist.inference.numbers import (
    MOST_FOUND,
    NOT_A_NUMBER,
    SEARCHED,
    STRUCK,
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

State = Literal["read", "checked", "corrected", "doubtful", "struck out"]
SURE = 0.995
"""The probability from which on a number is sure."""
OTHER = 0.01
"""The probability, at least, that a cell holds none of the candidates: neighbours and rules in view mislead networks
more than they know."""
CANDIDATES, LEAST_CANDIDATE = 6, 1e-3
"""Candidates of each cell, at most, and their least probability; one that a relation implies may be less probable."""
LEAST_IMPLIED, SECOND = 1e-7, 0.05
"""The probability, at least, of a candidate that a relation implies, since a reader may miss what is there altogether:
of a long number its share of `OTHER`; and that of a cell's second candidate from which on it implies something."""
AN_END = 1e-4
"""The probability, at least, that a reader has lost the first digit or the last one, or has one too many there: a
number may reach over a printed line, or a line may pass for a 1."""
LONGEST = 9
"""Digits of a number, at most."""
NO_MINUS = 0.5
"""How probably what looks like a minus is something else, beside one that is, in a column where half have one."""
WHOLE, LEAST_WHOLE, LIKELY = 1.0, 0.95, 0.5
"""The weight of all that stands in a cell, beside the number that the finder sees there; and the probabilities of a
number, and of the most probable one, from which on it is one where the finder sees none: what is left of a printed line
may be any."""
SPARSE, ASKED, NUMBER = 0.7, 3, (None, UNSURE, STRUCK)
"""A row or a column with fewer numbers than this share of the usual has few. So many of its cells are asked first
whether they read as numbers do; of few cells a reading must say that of what is one, struck out or not."""
ROUNDS = 2
"""How often a table is read again with what was learned."""
LESSONS = 200
"""Numbers of a page that teach the hand, at most."""
CLEARLY = 0.999
"""The probability from which on a reading is not corrected by what holds: rather, the writer has slipped."""
WRONG = 0.9
"""The probability from which on a relation is said not to hold."""
ANY = TableLayout()
"""Nothing is known of a table."""


@dataclass(frozen=True)
class Cell:
    """A number of a table.

    Attributes:
        row, column: Where it is, from 0.
        value: What it is most probably; None if nothing is known of it.
        probability: Of that value, by all that is known.
        state: "read", sure by itself; "checked", sure by what holds; "corrected", sure by what holds, and another one
            than was read; "doubtful"; or "struck out".
        read: What was read there by itself.
        candidates: What it may be, the most probable first.
        corners: Of the number on the picture, in pixels, `[4, 2]`.
        seen: What it may be by itself, in units of its last decimal.
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
        """As a spreadsheet calls it."""
        return cell_name((self.row, self.column))

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        candidates = [{"value": plain(value), "probability": share} for value, share in self.candidates]
        corners = [[round(x, 1), round(y, 1)] for x, y in self.corners]
        return {
            "cell": self.name, "row": self.row + 1, "column": self.column + 1, "value": plain(self.value),
            "probability": self.probability, "state": self.state, "read": self.read, "candidates": candidates,
            "corners": corners, "seen": [list(one) for one in self.seen],
        }  # fmt: skip


class Broken(NamedTuple):
    """A relation that most probably does not hold, whatever the numbers are: a slip of the writer's."""

    formula: str
    kind: str
    probability: float


@dataclass(frozen=True)
class Table:
    """The numbers of a table.

    Attributes:
        rows, columns: How many there are.
        cells: By row and column.
        rules: What holds, and of what was found how often.
        broken: Relations that do not hold.
        exact: Whether probabilities are exact, and not what messages in circles came to.
        beside: How many digits on the page stand in no cell.
        hand: What was learned of the writer, if anything.
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
        """All of it, as JSON has it."""
        return {
            "rows": self.rows, "columns": self.columns,
            "cells": [cell.as_dict() for _, cell in sorted(self.cells.items())],
            "rules": [one.as_dict() for one in self.rules], "broken": [one._asdict() for one in self.broken],
            "exact": self.exact, "beside": self.beside, "learned": self.hand is not None,
        }  # fmt: skip


def read(picture: Picture, layout: TableLayout | str | Path | None = None) -> Table:
    """The table on a picture.

    Args:
        picture: As `Reader.read` takes it.
        layout: What is known of it, or the TOML file of that; what it does not say is found.

    Raises:
        ImageError: The picture cannot be read.
        LayoutError: The layout cannot.
        SheetError: There are no numbers on the picture.
    """
    known = TableLayout() if layout is None else layout
    return TableReader(known if isinstance(known, TableLayout) else TableLayout.load(known)).read(picture)


class Page(NamedTuple):
    """What is on a page, before anything is made of it."""

    grid: Grid
    sight: Sight
    found: Mapping[Place, Found]
    cells: Mapping[Place, Place]
    """Of each cell the row and the column of the grid."""
    pieces: dict[bytes, Piece]
    """What was cut out of the picture, by the room and the characters of its cell."""
    judges: dict[tuple[Reader, bytes], Judge]
    """What reads a cell, by the reader and the same."""

    @classmethod
    def of(cls, grid: Grid, sight: Sight, before: Page | None = None) -> Page:
        """A page with this grid; of `before`, the same page with another grid, cells that are the same are kept."""
        found = cells_of(grid, sight)
        kept = before and (before.pieces, before.judges)
        return cls(grid, sight, found, {place: place for place in found}, *(kept or ({}, {})))

    @property
    def beside(self) -> int:
        """How many digits stand in no cell."""
        return int(self.sight.sure.are_digits.sum()) - sum(len(one.digits) for one in self.found.values())

    def key(self, place: Place) -> bytes:
        """What tells cells apart, whatever the grid: where they are, and which characters stand in them."""
        number = self.found.get(place)
        characters = b"" if number is None else number.places.tobytes() + bytes([number.suspect])
        return self.room(place).tobytes() + characters

    def room(self, place: Place) -> Floats:
        """The corners of a cell, as far as it is on the page: a bend says little of what is off it."""
        high, wide = self.sight.grey.shape
        room: Floats = self.grid.room(*self.cells[place]).clip(0, (wide, high))
        return room

    def piece(self, place: Place) -> Piece:
        """What stands in a cell; it is cut out once."""
        key = self.key(place)
        if key not in self.pieces:
            number, room = self.found.get(place), self.room(place)
            nothing = number or nothing_at(self, room)
            alone = cut(self.sight, replace(nothing, corners=room)).alone
            box = int(room[:, 1].min()), int(room[:, 1].max()), int(room[:, 0].min()), int(room[:, 0].max())
            whole = LineProposal(alone, "all that stands in the cell", WHOLE, box, alone)
            self.pieces[key] = Piece(nothing, whole, None if number is None else cut(self.sight, number))
        return self.pieces[key]


class Piece(NamedTuple):
    """What stands in a cell: its number, or where one would be; all of it; and the number cut out, if there is one."""

    number: Found
    whole: LineProposal
    alone: Cut | None


class TableReader:
    """Reads tables; made once, and asked for each.

    Args:
        layout: What is known of such tables; what it does not say is found.
        reader: What reads; by default the one that comes with the package.
        mistake: The probability that the writer makes a mistake, for each relation.
        learn: Whether the hand is learned from what relations settle.
    """

    def __init__(
        self, layout: TableLayout = ANY, reader: Reader | None = None, mistake: float = MISTAKE, learn: bool = True
    ) -> None:
        self.layout, self.mistake, self.learn = layout, mistake, learn
        self.reader = reader or Reader()

    def read(self, picture: Picture, name: str | None = None) -> Table:
        """The table on a picture. Raises `ImageError`, `SizeError`, `SheetError` if there are no numbers on it."""
        page, reader = self.page(picture, name), self.reader
        judges, readings = read_cells(reader, page, page.cells)
        solved = self.solved(judges, readings)
        for _ in range(ROUNDS if self.learn else 0):
            hand = hand_of(reader, readings, solved)
            if hand is None:
                break
            taught = self.reader.with_hand(hand)
            unsure = [place for place in page.cells if place not in solved.numbers or solved.best(place)[1] < SURE]
            better_judges, better_readings = read_cells(taught, page, unsure)
            judges, again = judges | better_judges, readings | better_readings
            better = self.solved(judges, again, solved.findings)
            if better.settled <= solved.settled:
                break
            reader, readings, solved = taught, again, better
        return self.table(page, readings, solved, reader.hand)

    def page(self, picture: Picture, name: str | None) -> Page:
        """The grid of a picture, and what stands in its cells. Raises `SheetError`."""
        shown, lay = name or "the picture", laid(pixels_of(picture, name), self.reader.numbers.found_on)
        page = lay and Page.of(*lay)
        if page and len(page.found) > MOST_FOUND:
            raise SizeError(
                f"{shown}: {len(page.found):,} numbers, expected at most {MOST_FOUND:,}: crop it into parts"
            )
        none = SheetError(f"{shown}: no numbers found on it, expected a table of them: come nearer, or turn it upright")
        rows = real_lines(self.reader, page, 0) if page else []
        if not page or not rows:
            raise none
        if len(rows) < len(page.grid.rows):  # what is none takes no room
            page = Page.of(replace(page.grid, rows=page.grid.rows[rows]), page.sight, page)
        columns = real_lines(self.reader, page, 1)
        if not columns:
            raise none
        edges = page.grid.edges[columns[0] : columns[-1] + 2]
        if len(edges) < len(page.grid.edges):  # what is none at the side takes no room
            page = Page.of(replace(page.grid, edges=edges), page.sight, page)
        cells = {(row, new): (row, old - columns[0]) for row in range(len(rows)) for new, old in enumerate(columns)}
        found = {new: page.found[old] for new, old in cells.items() if old in page.found}
        return page._replace(found=found, cells=cells)

    def solved(
        self, judges: Mapping[Place, Judge], readings: Mapping[Place, FoundNumber], before: Sequence[Finding] = ()
    ) -> Solved:
        """All numbers of a page together, by what was read of each, and what was found `before` to hold."""
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
        """What holds: what is known to, or what is found to, or was."""
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

    def table(self, page: Page, readings: Mapping[Place, FoundNumber], solved: Solved, hand: Hand | None) -> Table:
        """What is said of all, and of holes."""
        usual = ways_of(readings)
        places = {**{column: decimals for column, (decimals, _) in usual.items()}, **self.layout.decimals}
        related = {name for relation in solved.relations for name in relation.names}
        cells = {}
        for place, one in readings.items():
            said = replace(one, accepted=one.accepted and way_of(one) == usual[place[1]])
            cells[place] = cell_of(place, said, solved, places.get(place[1], 0), cell_name(place) in related)
        for place in holes_in(cells) & page.cells.keys():
            corners, _ = page.sight.placed(nothing_at(page, page.grid.room(*page.cells[place])))
            cells[place] = Cell(*place, None, 0.0, "doubtful", "", (), tuple((float(x), float(y)) for x, y in corners))
        rows, columns = (1 + max((place[axis] for place in cells), default=-1) for axis in (0, 1))
        broken = tuple(
            Broken(relation.text, max(ways, key=ways.__getitem__), 1 - ways["right"])
            for relation, ways in solved.posterior.kinds.items() if 1 - ways["right"] - ways["unknown"] >= WRONG
        )  # fmt: skip
        exact = solved.posterior.exact
        return Table(rows, columns, cells, solved.findings, broken, exact, page.beside, hand)


@dataclass(frozen=True)
class Solved:
    """What is known of all numbers of a page."""

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
        """How many numbers are sure."""
        return sum(value is not None and share >= SURE for value, share in map(self.best, self.numbers))


def read_cells(
    reader: Reader, page: Page, places: Iterable[Place]
) -> tuple[dict[Place, Judge], dict[Place, FoundNumber]]:
    """What reads cells, and what it says of them; nothing of those without a number. In a hole there rather is one."""
    judges = {place: judge_of(reader, page, place) for place in places}
    readings = {place: judge() for place, judge in judges.items()}
    readings = {place: one for place, one in readings.items() if one.candidates}
    numbers = {place: one for place, one in readings.items() if one.reason != NOT_A_NUMBER}
    for place in holes_in(numbers) & readings.keys():
        if readings[place].is_number_probability >= LIKELY:
            numbers[place] = replace(readings[place], reason=UNSURE)
    return judges, numbers


def judge_of(reader: Reader, page: Page, place: Place) -> Judge:
    """What reads a cell; it is looked at once by each reader."""
    key = reader, page.key(place)
    if key not in page.judges:
        page.judges[key] = cache(judge_by(reader, page, place))
    return page.judges[key]


def judge_by(reader: Reader, page: Page, place: Place) -> Judge:
    """What reads a cell, as the finder sees its number and as all that stands there."""
    read, (number, whole, alone) = reader.numbers.reader("ours"), page.piece(place)
    if alone is not None:
        judge = read.looked_at(page.sight, number, alone, (1, None), None, CANDIDATES, line=whole)
        if len(number.digits) > 1 or judge().reason != NOT_A_NUMBER:  # 11 passes for one digit, which it is not
            return judge
    opinions = [opinion_of(one, [whole], (1, None), None, SEARCHED) for one in read.recognizers]

    def judged(asked: Sequence[str] = ()) -> FoundNumber:
        seen = read.judged(opinions, CANDIDATES, None, asked=asked)
        is_line = alone is None and not seen.digits.strip("01")  # of which a part is left, or a pattern of the paper
        is_one = seen.is_number_probability >= LEAST_WHOLE and seen.confidence >= LIKELY and not is_line
        reason = UNSURE if is_one else NOT_A_NUMBER
        corners = tuple((float(x), float(y)) for x, y in page.sight.placed(number)[0])
        return FoundNumber(**vars(seen) | {"accepted": False, "reason": reason}, corners=corners, written="")

    return judged


def nothing_at(page: Page, corners: Floats) -> Found:
    """What is found in a cell where the finder sees nothing."""
    none = page.sight.characters.of(np.zeros(0, np.int64))
    (left, top), (right, bottom) = corners[0], corners[1]
    angle = math.atan2(bottom - top, right - left)
    return Found(none, np.zeros(0, np.int64), corners, angle, page.grid.em)


def real_lines(reader: Reader, page: Page, axis: int) -> list[int]:
    """The rows (axis 0) or columns of a grid that are some: most of their cells that are high enough read as numbers;
    where these are few, most of those with several digits, since a lone speck may pass for a number."""
    lines = defaultdict[int, list[Place]](list)
    for place in page.found:
        lines[place[axis]].append(place)
    usual = float(np.median([len(line) for line in lines.values() or [()]]))

    def is_real(line: Sequence[Place]) -> bool:
        line = [place for place in line if is_like(page.found[place], page.grid.em)]
        if is_sparse := len(line) < SPARSE * usual:
            line = [place for place in line if len(page.found[place].digits) > 1]

        def reads(place: Place) -> bool:
            seen = judge_of(reader, page, place)()
            return seen.reason in NUMBER and seen.confidence >= LIKELY if is_sparse else seen.reason != NOT_A_NUMBER

        some = line[:: -(-len(line) // ASKED) or 1]
        return len(line) > 0 and (all(map(reads, some)) or 2 * sum(map(reads, line)) > len(line))

    return [at for at, line in sorted(lines.items()) if is_real(line)]


def minus_of(readings: Mapping[Place, FoundNumber]) -> dict[int, float]:
    """How probably a number with a minus before it is below zero, by column: where few have one, that is a rule or
    a stain."""
    signs = defaultdict[int, list[bool]](list)
    for (_, column), one in readings.items():
        signs[column].append(one.text.startswith("-"))
    shares = {column: sum(some) / len(some) for column, some in signs.items()}
    return {column: share / (share + NO_MINUS * (1 - share)) for column, share in shares.items()}


def candidates_of(reading: FoundNumber, minus: float, implied: Iterable[int] = ()) -> Values:
    """What a cell may hold, in units of its last decimal; `minus`: how probably a minus that is seen is one."""
    shares = defaultdict[int, float](float)
    wanted = set(implied)
    for one in reading.candidates:
        if len(one.digits) <= LONGEST:
            below = minus if one.text.startswith("-") else 0.0
            shares[int(one.digits)] += (1 - below) * one.probability
            shares[-int(one.digits)] += below * one.probability
    kept = dict(sorted(shares.items(), key=lambda one: -one[1])[:CANDIDATES])
    kept = {value: share for value, share in kept.items() if share >= LEAST_CANDIDATE}
    kept |= {value: max(shares.get(value, 0.0), least_of(value, reading.digits)) for value in wanted}
    other = max(OTHER, 1 - sum(kept.values()))
    whole = sum(kept.values())
    return ordered({value: share * (1 - other) / whole for value, share in kept.items()}, other)


def least_of(value: int, read: str) -> float:
    """The probability, at least, of a value that a relation implies, where these digits are read."""
    longer, shorter = sorted((str(value), read), key=len, reverse=True)
    if len(longer) == len(shorter) + 1 > 1 and (longer.endswith(shorter) or longer.startswith(shorter)):
        return AN_END
    return min(LEAST_IMPLIED, OTHER * 0.1 ** len(str(value)))


def implied(numbers: Mapping[Place, Values], relations: Iterable[Relation]) -> dict[Place, tuple[str, ...]]:
    """By cell the digits that relations make of the most probable others, if the reader does not have them."""
    names = {cell_name(place): place for place in numbers}
    asked = defaultdict[Place, set[int]](set)
    for relation in relations:
        options = {name: options_of(numbers[names[name]]) for name in relation.names}
        best = {name: values[0] for name, values in options.items()}
        if relation.implied(relation.total, best) == best[relation.total]:
            continue
        for name in relation.names:
            place = names[name]
            for others in few(options, name):
                value = relation.implied(name, others)
                if value is not None and value >= 0 and value not in numbers[place].probabilities:
                    asked[place].add(value)
    return {place: tuple(str(value) for value in sorted(values) if len(str(value)) <= LONGEST)
            for place, values in asked.items()}  # fmt: skip


def options_of(number: Values) -> list[int]:
    """What a number most probably is, and what else it may well be."""
    first, *others = [int(value) for value in number.probabilities] or [0]
    return [first, *(value for value in others[:1] if number.probabilities[value] >= SECOND)]


def few(options: Mapping[str, Sequence[int]], without: str) -> Iterable[dict[str, int]]:
    """The most probable values of all numbers but one, and those with one of them at its second value."""
    best = {name: values[0] for name, values in options.items() if name != without}
    yield best
    for name, values in options.items():
        if name != without and len(values) > 1:
            yield best | {name: values[1]}


def posterior_of(numbers: Mapping[Place, Values], relations: Sequence[Relation], mistake: float) -> Posterior:
    """All numbers together."""
    evidence = {cell_name(place): one for place, one in numbers.items()}
    most = max((abs(int(value)) for one in evidence.values() for value in one.probabilities), default=0)
    largest = 10 ** len(str(most)) - 1
    signed = {name for name, one in evidence.items() if any(int(value) < 0 for value in one.probabilities)}
    signed |= {one.total for one in relations if any(weight < 0 for weight, _ in one.terms)}
    least = {name: -largest if name in signed else 0 for name in evidence}
    return Relations(dict.fromkeys(evidence, largest), relations, mistake=mistake, least=least, sums=False).posterior(
        evidence
    )


def ways_of(readings: Mapping[Place, FoundNumber]) -> dict[int, tuple[int, bool]]:
    """How the numbers of each column are written: as most of them are."""
    shown = defaultdict[int, list[tuple[int, bool]]](list)
    for (_, column), one in readings.items():
        shown[column].append(way_of(one))
    return {column: max(multimode(ways)) for column, ways in shown.items()}


def way_of(reading: FoundNumber) -> tuple[int, bool]:
    """How many decimals a number has, and whether it begins with a 0 that counts for nothing: of others in its column
    that do not, it may have lost a sign, or a digit."""
    decimals = decimals_of(reading.text)
    return decimals, reading.digits.startswith("0") and len(reading.digits) > decimals + 1


def cell_of(place: Place, reading: FoundNumber, solved: Solved, decimals: int, related: bool) -> Cell:
    """What is said of a cell."""
    values, shares = solved.posterior.numbers[cell_name(place)]
    order = np.argsort(-shares, kind="stable")
    likely = [(scaled(int(values[at]), decimals), float(shares[at])) for at in order.tolist()
              if values[at] != UNKNOWN and shares[at] >= LEAST_CANDIDATE]  # fmt: skip
    value, probability = solved.best(place)
    first = solved.numbers[place].mode
    state: State = "doubtful"
    if reading.reason == STRUCK:
        state = "struck out"
    elif value is not None and probability >= SURE:
        same = first is not None and value == int(first)
        state = "checked" if same else "corrected" if reading.confidence < CLEARLY else "doubtful"
    if not related:
        by_itself = reading.accepted and reading.confidence >= SURE
        state = "read" if by_itself else state if state == "struck out" else "doubtful"
    return Cell(
        *place, None if value is None else scaled(value, decimals), probability, state, reading.text,
        tuple(likely[:CANDIDATES]), reading.corners,
        tuple((int(one), share) for one, share in solved.numbers[place].probabilities.items()),
    )  # fmt: skip


def scaled(units: int, decimals: int) -> int | Decimal:
    """A number of units of the last decimal."""
    return Decimal(units).scaleb(-decimals) if decimals else units


def hand_of(reader: Reader, readings: Mapping[Place, FoundNumber], solved: Solved) -> Hand | None:
    """The hand, learned of what relations settle; None if they settle nothing that can be learned of."""
    shown, labels = [], []
    related = {name for relation in solved.relations for name in relation.names}
    for place, one in readings.items():
        value, probability = solved.best(place)
        if cell_name(place) in related and value is not None and probability >= SURE and one.image is not None:
            shown.append(one)
            labels.append(str(abs(value)))
    if not labels:
        return None
    random = np.random.default_rng(0)
    some = random.permutation(len(labels))[: min(LESSONS, MOST)]
    try:
        return Lesson(reader.with_hand(None), [shown[at] for at in some], [labels[at] for at in some]).hand()
    except HandError:
        return None

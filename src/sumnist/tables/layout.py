"""Describes tables of one kind by a short TOML file: their rules, and the names and decimals of their columns.

For example:

title = "Station 203"

[columns.B]
name = "max"
decimals = 1
variable = "Tx"    # for the Station Exchange Format, as `[station]`
statistic = "maximum"
unit = "C"

[station]
id = "203"
lat = 2.3
lon = 20.5

[[rules]]
formula = "r6 = r1 + … + r5"    # of rows, in every column; six times in all, each seven rows further down
every = 7
times = 6

[[rules]]
formula = "mean = (max + min) / 2"    # of columns, by their names or letters, in these rows
rows = "1-5, 8-12"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from sumnist.errors import LayoutError
from sumnist.formulas import LONGEST_FORMULA, NAME, NAME_EXPECTED, Relation
from sumnist.sheets.layout import check_keys, loaded, values_of, written
from sumnist.tables.rules import ABOVE, COLUMN, ROW, Rule, column_of, letters, moved
from sumnist.typed import typed

MOST = 2_000
"""The most rows of a table."""
DECIMALS = 6
"""The most decimals of a column."""


class Observed(NamedTuple):
    """The variable, the statistic and the unit of a column, in the codes of the Station Exchange Format."""

    variable: str
    statistic: str = "point"
    unit: str = "?"


@dataclass(frozen=True)
class Station:
    """A station that observed weather, as the Station Exchange Format describes it.

    Attributes:
        id: The identifier of the station.
        name: The name of the station.
        lat: The latitude in degrees north.
        lon: The longitude in degrees east.
        alt: The altitude in metres above the sea.
        source: The collection of the data.
        link: A link to more about the collection.
        period: The time that a number covers, as the format writes it.
        days: The rows of the days of a month, from 0, in their order; if empty, all rows that are no totals.
    """

    id: str
    name: str = ""
    lat: float | str = "NA"
    lon: float | str = "NA"
    alt: float | str = "NA"
    source: str = ""
    link: str = ""
    period: str = "day"
    days: tuple[int, ...] = ()

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Station:
        """The station of a layout. Raises `LayoutError`."""
        kinds = dict.fromkeys(("id", "name", "source", "link", "period", "days"), str)
        check_keys("station", entry, kinds | dict.fromkeys(("lat", "lon", "alt"), (int, float)), ("id",))
        return cls(**{**entry, "days": tuple(places_in(entry["days"], False)) if "days" in entry else ()})


@dataclass(frozen=True)
class TableLayout:
    """The layout of tables of one kind.

    Attributes:
        title: The title of the tables.
        names: The names of columns, by their places from 0.
        decimals: How many decimals the numbers of a column have, by its place.
        rules: The rules of the tables; None if the program should find them.
        observed: Variable, statistic and unit of weather columns, by their places.
        station: The station of the weather columns.

    Examples:
        >>> layout = TableLayout.of_toml(b'''
        ... [columns.B]
        ... name = "max"
        ... decimals = 1
        ... [[rules]]
        ... formula = "D = (B + C) / 2"
        ... ''')
        >>> layout.names, layout.decimals, layout.rules[0].relation.text
        ({1: 'max'}, {1: 1}, 'D = (B + C) / 2')
    """

    title: str = ""
    names: Mapping[int, str] = field(default_factory=dict)
    decimals: Mapping[int, int] = field(default_factory=dict)
    rules: tuple[Rule, ...] | None = None
    observed: Mapping[int, Observed] = field(default_factory=dict)
    station: Station | None = None

    @classmethod
    @typed
    def load(cls, path: str | Path) -> TableLayout:
        """The layout in a file. Raises `LayoutError`."""
        return loaded(path, cls.of_toml)

    @classmethod
    def of_toml(cls, content: bytes) -> TableLayout:
        """The layout that is written as TOML. Raises `LayoutError`."""
        values = values_of(content)
        check_keys("the layout of a table", values, {"title": str, "columns": dict, "rules": list, "station": dict})
        names, decimals, observed = dict[int, str](), dict[int, int](), dict[int, Observed]()
        for letter, entry in values.get("columns", {}).items():
            if not re.fullmatch("[A-Z]{1,2}", letter):
                raise LayoutError(f"columns: {letter[:40]!r}, expected a column's letter, as in [columns.B]: mend it")
            check_keys(f"column {letter}", entry, dict.fromkeys(("name", *Observed._fields), str) | {"decimals": int})
            column = column_of(letter)
            if codes := {key: entry[key] for key in Observed._fields if key in entry}:
                check_keys(f"column {letter}", codes, dict.fromkeys(codes, str), Observed._fields[:1])
                observed[column] = Observed(**codes)
            if "name" in entry:
                names[column] = entry["name"]
            if "decimals" in entry:
                decimals[column] = entry["decimals"]
                if not 0 <= decimals[column] <= DECIMALS:
                    raise LayoutError(f"column {letter}: {decimals[column]} decimals, expected 0 to {DECIMALS}")
        check_names(names)
        by_name = {name: letters(column) for column, name in names.items()}
        rules = None if "rules" not in values else tuple(
            rule for entry in values["rules"] for rule in rules_of(entry, by_name)
        )  # fmt: skip
        station = Station.of(values["station"]) if "station" in values else None
        return cls(values.get("title", ""), names, decimals, rules, observed, station)

    def to_toml(self) -> str:
        """The layout as TOML."""
        head = written({"title": self.title or None, "rules": [] if self.rules == () else None})
        lines = [*head, *[""] * bool(head)]
        for column in sorted({*self.names, *self.decimals, *self.observed}):
            entry: dict[str, Any] = {"name": self.names.get(column), "decimals": self.decimals.get(column)}
            entry |= self.observed[column]._asdict() if column in self.observed else {}
            lines += [f"[columns.{letters(column)}]", *written(entry), ""]
        if self.station:
            station, usual = (asdict(one) | {"days": spans_of(one.days, number)} for one in (self.station, Station("")))
            lines += ["[station]", *written({key: station[key] for key in station if station[key] != usual[key]}), ""]
        for rule in self.rules or ():
            by_name, by_letter = renamed(rule.relation, self.names).text, rule.relation.text
            entry = {"formula": by_name if len(by_name) <= LONGEST_FORMULA else by_letter}
            if rule.places is not None:
                places = spans_of(rule.places, letters if rule.of_rows else number)
                entry["columns" if rule.of_rows else "rows"] = places
            lines += ["[[rules]]", *written(entry), ""]
        return "\n".join(lines)


def check_names(names: Mapping[int, str]) -> None:
    """Raise `LayoutError` if a column has the name of another column, of a row or of a letter."""
    seen: set[str] = set()
    for column, name in names.items():
        if not NAME.fullmatch(name) or ROW.fullmatch(name) or COLUMN.fullmatch(name) or name.endswith(ABOVE):
            raise LayoutError(f"column {letters(column)}: {name[:40]!r}, expected {NAME_EXPECTED}, no cell: rename it")
        if name in seen:
            raise LayoutError(f"column {letters(column)}: is called {name}, as another one is: choose another name")
        seen.add(name)


def rules_of(entry: Any, names: Mapping[str, str]) -> Iterable[Rule]:
    """The rules of an entry of a layout: one rule, or one that is repeated further down. Raises `LayoutError`."""
    kinds = {"formula": str, "every": int, "times": int, "columns": str, "rows": str}
    check_keys("a rule", entry, kinds, ("formula",))
    relation = Relation.of(entry["formula"])
    by_letter = {name: names[base] + ABOVE * (name != base) for name in relation.names
           if (base := name.removesuffix(ABOVE)) in names}  # fmt: skip
    rule = Rule(renamed(relation, by_letter))
    shown = f"formula {relation.text[:80]!r}"
    other, lines = ("rows", "columns") if rule.of_rows else ("columns", "rows")
    if other in entry or (not rule.of_rows and ("every" in entry or "times" in entry)):
        raise LayoutError(f"{shown}: is of {other}, expected {lines} in which it holds: correct it")
    if lines in entry:
        rule = replace(rule, places=frozenset(places_in(entry[lines], rule.of_rows)))
    every, times = entry.get("every", 0), entry.get("times", 1)
    if not 0 <= every <= MOST or not 1 <= times <= MOST or (times > 1 and not every):
        raise LayoutError(f"{shown}: every {every} rows, {times} times, expected whole numbers from 1: correct them")
    for time in range(times):
        yield moved(rule, time * every) if time else rule


def renamed(relation: Relation, names: Mapping[Any, str]) -> Relation:
    """A relation with the new names that `names` gives for old names or for places of columns."""

    def new(name: str) -> str:
        if name in names:
            return names[name]
        match = COLUMN.fullmatch(name)
        if match and column_of(match[1]) in names:
            return names[column_of(match[1])] + (match[2] or "")
        return name

    terms = tuple((weight, new(name)) for weight, name in relation.terms)
    return Relation(new(relation.total), terms, relation.divisor, relation.times)


def places_in(spans: str, of_columns: bool) -> Iterable[int]:
    """The columns or rows, from 0, that a text such as "B-D, F" or "1-5, 8" names. Raises `LayoutError`."""
    for part in spans.split(","):
        first, _, last = part.strip().partition("-")
        ends = first.strip(), (last or first).strip()
        if not all(re.fullmatch("[A-Z]{1,2}" if of_columns else "[1-9][0-9]{0,3}", one) for one in ends):
            kind = "columns, such as 'B-D, F'" if of_columns else "rows, such as '1-5, 8-12'"
            raise LayoutError(f"{spans[:80]!r}: expected {kind}: correct it")
        low, high = (column_of(one) if of_columns else int(one) - 1 for one in ends)
        if low > high:
            raise LayoutError(f"{spans[:80]!r}: {part.strip()} counts down, expected it to count up: turn it round")
        yield from range(low, high + 1)


def spans_of(places: Iterable[int], shown: Any) -> str:
    """The text that names columns or rows, such as "1-5, 8"."""
    parts: list[list[int]] = []
    for place in sorted(places):
        if parts and place == parts[-1][1] + 1:
            parts[-1][1] = place
        else:
            parts.append([place, place])
    return ", ".join(shown(low) if low == high else f"{shown(low)}-{shown(high)}" for low, high in parts)


def number(row: int) -> str:
    """The number of a row as a text, counted from 1."""
    return str(row + 1)

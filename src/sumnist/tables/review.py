"""Finds the table columns that need a person, and applies the corrections that people make.

The readings are in the .jsonl, which never changes. The corrections are in a file beside it that only grows, as with
sheets (`sheets/review`): its "row" is a column of a page, its "field" a cell. A number that a person typed is sure.
With it, the relations of the page are solved again, and may settle other numbers that nobody has to look at any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sumnist.arithmetic.relations import UNKNOWN
from sumnist.arithmetic.values import Values, plain
from sumnist.formulas import MISTAKE
from sumnist.sheets.batch import BY_HAND
from sumnist.tables.batch import Page, rule_of
from sumnist.tables.reading import JUDGE, posterior_of, scaled
from sumnist.tables.rules import Place, cell_name, holes_in

COLUMNS = 1_000
"""A column's number is the number of its page, from 1, times this, plus its place on the page, from 0."""
Typed = Mapping[str, int | Decimal | None]
"""The number that a person typed, by cell; None if the cell has none."""


def place_of(cell: Mapping[str, Any]) -> Place:
    """The row and the column of a cell, from 0."""
    return cell["row"] - 1, cell["column"] - 1


def decimals_in(page: Page) -> dict[int, int]:
    """How many decimals the numbers of each column have."""
    found: dict[int, int] = {}
    for cell in page["cells"]:
        value = cell["value"]
        places = -int(Decimal(value).as_tuple().exponent) if isinstance(value, str) else 0
        found[cell["column"] - 1] = max(found.get(cell["column"] - 1, 0), places)
    return found


def doubtful_columns(pages: Sequence[Page]) -> list[int]:
    """The numbers of the columns with a doubtful number."""
    return sorted({
        number * COLUMNS + cell["column"] - 1
        for number, page in enumerate(pages, 1) for cell in page.get("cells") or () if cell["state"] == "doubtful"
    })  # fmt: skip


def resolved(page: Page, typed: Typed) -> Page:
    """A page with the numbers that people typed, and with the consequences for other cells by the page's relations."""
    if not typed:
        return page
    decimals = decimals_in(page)
    numbers = dict(evidence_of(page, typed, decimals))
    holes = holes_in(numbers)
    rules = [rule_of(one["formula"], one["places"]) for one in page["rules"]]
    relations = [relation for rule in rules for relation in rule.grounded(numbers, holes)]
    related = {name for relation in relations for name in relation.names}
    posterior = posterior_of(numbers, relations, page.get("mistake", MISTAKE)).numbers
    cells = []
    for cell in page["cells"]:
        name, place = cell["cell"], place_of(cell)
        if name in typed:
            if typed[name] is not None:
                cells.append(cell | {"value": plain(typed[name]), "state": BY_HAND, "probability": None})
        elif name in related and cell["state"] != "struck out":
            values, shares = posterior[name]
            best, share = int(values[shares.argmax()]), float(shares.max())
            first = max(cell["seen"], key=lambda one: one[1], default=[None])[0]
            state = "doubtful" if share < JUDGE.sure or best == UNKNOWN else "checked" if best == first else "corrected"
            value = None if best == UNKNOWN else plain(scaled(best, decimals[place[1]]))
            cells.append(cell | {"value": value, "state": state, "probability": share})
        else:
            cells.append(cell)
    return {**page, "cells": cells}


def evidence_of(page: Page, typed: Typed, decimals: Mapping[int, int]) -> Iterator[tuple[Place, Values]]:
    """The possible numbers of each cell, in units of its last decimal: those that were read, or the typed one."""
    for cell in page["cells"]:
        place = place_of(cell)
        if cell["cell"] not in typed:
            if cell["seen"]:
                shares: dict[int | Decimal, float] = {int(value): share for value, share in cell["seen"]}
                yield place, Values(shares, max(0.0, 1 - sum(shares.values())))
        elif (value := typed[cell["cell"]]) is not None:
            yield place, Values({int(Decimal(value).scaleb(decimals[place[1]])): 1.0}, 0.0)


def sums_of(page: Page, column: int) -> list[dict[str, Any]]:
    """The sums and differences within a column, as the page of a review shows them."""
    names = {cell["cell"] for cell in page["cells"]}
    found = []
    for one in page["rules"]:
        rule = rule_of(one["formula"], one["places"])
        relation = rule.relation
        is_sum = rule.of_rows and relation.divisor == 1 and not relation.times
        if is_sum and (rule.places is None or column in rule.places):
            total, *terms = (cell_name(rule.place(name, column)) for name in relation.names)
            there = [(weight, name) for (weight, _), name in zip(relation.terms, terms, strict=True) if name in names]
            if total in names and there:
                found.append({"total": total, "terms": there})
    return found

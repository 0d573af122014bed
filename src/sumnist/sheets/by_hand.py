"""What a person typed while looking at a sheet, put over what was read of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sumnist.sheets.layout import Layout
from sumnist.sheets.summary import BY_HAND

__all__ = ["IDENTITY", "Typed", "by_hand"]

IDENTITY = ""
"""Stands for whose the sheet is where fields have their names, as on its page."""

Typed = Mapping[str, float | str | None]
"""The values that were typed, by field; None for one without a number; a text for `IDENTITY`."""


def by_hand(row: Mapping[str, Any], typed: Typed, layout: Layout) -> Mapping[str, Any]:
    """A row of marks.jsonl with what was typed in place of what was read; the same row if nothing was.

    If nothing is left to look at, and no number is unknown, it has no probability, and is "by hand", or "does not add
    up" if a total is still not the sum of its terms. What was said of fields that are typed is gone; totals that are
    typed, or with a term that is, are added up anew. "typed" has what they were before.
    """
    if not typed:
        return row
    fields = {name: value for name, value in typed.items() if name != IDENTITY}
    before = {IDENTITY: row.get("identity"), **(row.get("values") or {})}
    values: dict[str, Any] = {name: before.get(name) for name in layout.names} | fields
    terms = {formula.total: {formula.total, *(name for _, name in formula.terms)} for formula in layout.formulas}
    corrections, look = (
        [told for told in row.get(key) or () if told["field"] not in fields] for key in ("corrections", "look")
    )
    wrong = [told for told in row.get("wrong") or () if terms[told["field"]].isdisjoint(fields)]
    for formula in layout.formulas:
        parts = [values[name] for _, name in formula.terms]
        written = values[formula.total]
        if terms[formula.total].isdisjoint(fields) or written is None or None in parts:
            continue
        total = sum(sign * part for (sign, _), part in zip(formula.terms, parts, strict=True))
        if total != written:
            now = {"field": formula.total, "written": written, "sum": total}
            same = (told for told in row.get("wrong") or () if now.items() <= told.items())
            wrong.append(next(same, now | {"kind": "anything", "probability": None}))
    unknown = [name for name, value in values.items() if value is None and name not in fields]
    state = "does not add up" if wrong else BY_HAND
    settled = {"state": state, "probability": None, "error": None} if fields and not look and not unknown else {}
    return {
        **row, **settled, "corrections": corrections, "look": look, "wrong": wrong, "values": values,
        "identity": typed.get(IDENTITY, row.get("identity")), "typed": {name: before.get(name) for name in typed},
    }  # fmt: skip

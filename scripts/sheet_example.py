"""What docs/sheets.md says of the check: one small sheet, worked out, and what the package believes of people."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

from bench_tables import NOT_MEASURED, part, table
from sumnist.arithmetic.values import Values
from sumnist.sheets.check import Check, Posterior
from sumnist.sheets.formulas import Formula
from sumnist.sheets.mistakes import KINDS, MISTAKE, WEIGHTS, Kind, Writer
from sumnist.sheets.verdict import SURE, WRONG, verdict

__all__ = ["TABLES"]

Rows = list[dict[str, Any]]

LARGEST = {"q1": 9, "q2": 9, "q3": 9, "total": 27}
FORMULA = Formula.of("total = q1 + q2 + q3")
FIRST, LAST = 4, 8
"""What is read in the first and in the last cell, beyond doubt."""
MIDDLE: dict[int | Decimal, float] = {1: 0.55, 7: 0.45}
"""What the reader says of the middle cell."""
TOTALS = 19, 13, 18, 16
"""Totals that may be written: right if the cell is a 7, right if it is a 1, nearly right for one, and for neither."""
MEANINGS: dict[Kind, str] = {
    "off by one": "a slip of counting: one more or one less; with halves, also a half",
    "carry": "a carry was lost, or counted twice: ten, or a hundred, more or less",
    "skipped": "one of the numbers was left out, each as probable",
    "swapped": "two neighbouring digits of the total changed places",
    "anything": "any other total, each as probable; also what the kinds above cannot be on that sheet",
}
TERMS = 8, 12, 7
EXAMPLES: dict[Kind, int] = {"off by one": 26, "carry": 17, "skipped": 20, "swapped": 72, "anything": 33}
"""Numbers, and what is written instead of their sum, by the kind."""
CLASS = "class-of-sheets"


def sure(value: int) -> Values:
    """What is read beyond doubt."""
    return Values({value: 1.0}, 0.0)


def posterior(total: int) -> Posterior:
    """What is known of the small sheet if this total is written."""
    return Check(LARGEST, [FORMULA]).posterior(
        {"q1": sure(FIRST), "q2": Values(MIDDLE, 0.0), "q3": sure(LAST), "total": sure(total)}
    )


def share(probability: float) -> str:
    """A probability, in percent."""
    is_near = 0 < probability < 0.0005 or 0.9995 < probability < 1
    return f"{100 * probability:.{2 if is_near else 1}f} %"


def example(_: Rows) -> str:
    """The middle cell before and after each total."""
    body = [["none yet", *map(share, MIDDLE.values()), "", ""]]
    for total in TOTALS:
        found = posterior(total)
        numbers, shares = found.numbers("q2")
        told = [share(float(shares[numbers == value].sum())) for value in MIDDLE]
        body.append([f"{FIRST} + ? + {LAST} = {total}", *told, share(found.right("total")), verdict(found).outcome])
    return table(["what is written", *(f"the cell is a {value}" for value in MIDDLE), "the total is added up right",
                  "the sheet"], body)  # fmt: skip


def steps(_: Rows) -> str:
    """The first total of that table, by hand."""
    total, writer = TOTALS[0], Writer(LARGEST["total"], len(FORMULA.terms))
    lines, weights = [], {}
    for value, read in MIDDLE.items():
        terms = np.array([[FIRST, value, LAST]])
        written = float(writer.kinds(np.array([total]), terms).sum())
        weights[value] = read * written
        lines.append(
            f"- a {value}: read with {read:g}; the sum is {terms.sum()}, and who has that sum writes {total} with "
            f"{written:.3g}; together {read:g} × {written:.3g} = {weights[value]:.3g}"
        )
    value, weight = max(weights.items(), key=lambda one: one[1])
    whole = sum(weights.values())
    lines.append(f"- so it is a {value} with {weight:.4g} / {whole:.4g} = {share(weight / whole)}")
    return "\n" + "\n".join(lines) + "\n"


def channel(_: Rows) -> str:
    """The kinds of wrong totals, how frequent they are, and an example of each."""
    shares = {KINDS[kind]: f"{100 * weight:g} %" for kind, weight in WEIGHTS.items()}
    body = [[name, meaning, str(EXAMPLES[name]), shares[name]] for name, meaning in MEANINGS.items()]
    terms = " + ".join(map(str, TERMS))
    return table(["kind", "what happened", f"such as, for {terms} = {sum(TERMS)}", "share of wrong totals"], body)


def class_of_sheets(rows: Rows) -> str:
    """What `sumnist sheet read` says of the class of scripts/picture_sheets.py."""
    told = [row["answer"] for row in part(rows, CLASS)]
    return f"\n```\n{told[-1]}\n```\n" if told else NOT_MEASURED


def percent(probability: float) -> Callable[[Rows], str]:
    """A figure that is a constant of the package."""
    return lambda _: f"{100 * probability:g} %"


TABLES: dict[str, Callable[[Rows], str]] = {
    "sheet-class": class_of_sheets,
    "sheet-example": example,
    "sheet-example-steps": steps,
    "sheet-channel": channel,
    "sheet-mistake": percent(MISTAKE),
    "sheet-sure": percent(SURE),
    "sheet-wrong": percent(WRONG),
}

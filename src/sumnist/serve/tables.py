"""Shows tables on the review page, one column with doubtful numbers at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from sumnist.serve.bodies import invalid
from sumnist.serve.problems import Problem
from sumnist.serve.review import Answers, Box, printable
from sumnist.sheets.review import LONGEST, Recorder, Row, Value, pictures_of
from sumnist.tables.batch import Page, export, pages_of
from sumnist.tables.layout import TableLayout
from sumnist.tables.review import COLUMNS, Typed, decimals_in, doubtful_columns, resolved, sums_of
from sumnist.tables.rules import letters

BESIDE, ABOVE = 1.2, 0.4
"""How much of the picture is shown beside a number, and above and below it, as a multiple of its height."""
MOST = 10**12
"""The largest number that a person may type."""


def read_of(cell: Mapping[str, Any], scale: int) -> float | None:
    """The number that was read in a cell, whatever the relations say."""
    return max(cell["seen"], key=lambda one: one[1])[0] / scale if cell["seen"] else None


def candidates_of(cell: Mapping[str, Any], scale: int) -> list[dict[str, Any]]:
    """The candidates of a cell by all evidence, and the number that was read there."""
    found = [{"value": float(one["value"]), "probability": one["probability"], "note": ""}
             for one in cell["candidates"]]  # fmt: skip
    read = read_of(cell, scale)
    if read is not None and read not in [one["value"] for one in found]:
        found.append({"value": read, "probability": None, "note": "as read"})
    return found


class TableReview(Answers):
    """The answers to the page's requests about columns with doubtful numbers."""

    def __init__(self, path: Path, layout: TableLayout, recorder: Recorder, out: Path | None = None) -> None:
        self.layout, self.pages = layout, pages_of(path)
        self.rows, self.recorder = doubtful_columns(self.pages), recorder
        self.path, self.out = path, out or path.with_suffix(".xlsx")
        self.opened = pictures_of(path.parent)
        self.known: dict[int, tuple[Typed, Page]] = {}

    def page(self, number: int) -> Page:
        """A page with the corrections that people made, and with their consequences, computed once for the same
        corrections."""
        said: Typed = {
            name: None if value is None else Decimal(str(value))
            for row, fields in self.recorder.values.items() if row // COLUMNS == number
            for name, value in fields.items()
        }  # fmt: skip
        if number not in self.known or self.known[number][0] != said:
            self.known[number] = said, resolved(self.pages[number - 1], said)
        return self.known[number][1]

    def settled(self, numbers: Iterable[int]) -> list[int]:
        """The columns on these pages in which no number is doubtful any more, without those that a person marked."""
        asked, marks = set(numbers), self.recorder.marks
        still = {(number, cell["column"] - 1) for number in asked
                 for cell in self.page(number)["cells"] if cell["state"] == "doubtful"}  # fmt: skip
        return [row for row in self.rows
                if row // COLUMNS in asked and divmod(row, COLUMNS) not in still and row not in marks]  # fmt: skip

    @property
    def marks(self) -> Mapping[int, str]:
        """The marks of columns that are done; those that are settled count as accepted."""
        corrected = {row // COLUMNS for row in self.recorder.values}  # only these pages can have changed
        return {**dict.fromkeys(self.settled(corrected), "accepted"), **self.recorder.marks}

    def fixed(self) -> dict[str, Any]:
        """The fixed data of the review; each column has fields and formulas of its own."""
        count = sum(page["columns"] for page in self.pages if not page.get("error"))
        title = self.layout.title or self.path.stem
        return {"title": title, "what": "column", "fields": [], "formulas": [], "count": count}

    def row_of(self, number: object) -> Row:
        """A column that needs a person: its page, its place there, its cells as they were read, and their decimals.
        Raises `Problem`."""
        row = super().row_of(number)
        page, column = divmod(row["row"], COLUMNS)
        cells = [cell for cell in self.pages[page - 1]["cells"] if cell["column"] - 1 == column]
        return row | {"page": page, "column": column, "cells": cells,
                      "places": decimals_in(self.pages[page - 1]).get(column, 0)}  # fmt: skip

    def read(self, row: Row) -> dict[str, Any]:
        """What was read in each cell of a column."""
        return {cell["cell"]: cell["value"] for cell in row["cells"]}

    def described(self, row: Row) -> dict[str, Any]:
        """What the page shows of a column beside its picture: its numbers, their labels, and the questions about
        them."""
        page, column, cells, scale = self.page(row["page"]), row["column"], row["cells"], 10 ** row["places"]
        said, name = self.recorder.values.get(row["row"], {}), self.layout.names.get(column, letters(column))
        now = {cell["cell"]: cell for cell in page["cells"]}
        asked = {cell["cell"] for cell in cells
                 if cell["cell"] in said or now.get(cell["cell"], cell)["state"] == "doubtful"}  # fmt: skip
        shown = {cell["cell"]: read_of(cell, scale) if cell["cell"] in asked else now[cell["cell"]]["value"]
                 for cell in cells if cell["cell"] in asked or cell["cell"] in now}  # fmt: skip
        values = {name: None if value is None else float(value) for name, value in shown.items()}
        path = printable(page["path"])
        return {
            "path": path, "state": "doubtful", "error": None, "probability": None, "wrong": [],
            "values": {"": f"Column {name}, {Path(path).name}", **values}, "formulas": sums_of(page, column),
            "questions": [{"field": cell["cell"], "candidates": candidates_of(cell, scale)}
                          for cell in cells if cell["cell"] in asked],
            "fields": [{"name": cell["cell"], "label": f"{name} {cell['row']}", "scale": scale, "largest": MOST}
                       for cell in cells],
        }  # fmt: skip

    def picture(self, row: Row) -> Image.Image:
        """The page of a column. Raises `ImageError`."""
        return ImageOps.contain(self.opened(self.pages[row["page"] - 1]), (LONGEST, LONGEST))

    def placed(self, row: Row) -> dict[str, tuple[Box, tuple[int, int]]]:
        """Where each number lies, as shares of the page, and the size of its crop. Raises `ImageError`."""
        across, down = self.opened(self.pages[row["page"] - 1]).size
        boxes = {cell["cell"]: self.box(row, cell) for cell in row["cells"]}
        return {
            name: ((left / across, top / down, (right - left) / across, (bottom - top) / down),
                   (right - left, bottom - top)) for name, (left, top, right, bottom) in boxes.items()
        }  # fmt: skip

    def box(self, row: Row, cell: Mapping[str, Any]) -> tuple[int, int, int, int]:
        """The part of the picture that is shown for a number: left, top, right and bottom in pixels."""
        across, down = zip(*cell["corners"], strict=True)
        high = max(down) - min(down)
        wide, tall = self.opened(self.pages[row["page"] - 1]).size
        left, right = max(0, int(min(across) - BESIDE * high)), min(wide, int(max(across) + BESIDE * high))
        top, bottom = max(0, int(min(down) - ABOVE * high)), min(tall, int(max(down) + ABOVE * high))
        return left, top, max(left + 1, right), max(top + 1, bottom)

    def crop(self, row: Row, name: str) -> bytes:
        """A number as PNG. Raises `ImageError`, and `Problem` if there is none."""
        cell = next((cell for cell in row["cells"] if cell["cell"] == name), None)
        if cell is None:
            raise Problem("not-found", f"{name:.40}: expected a cell of the column")
        self.opened(self.pages[row["page"] - 1]).crop(self.box(row, cell)).save(stream := BytesIO(), "PNG")
        return stream.getvalue()

    def taken(self, row: Row, name: str, value: Any) -> Value:
        """Check a number of a column, and return it. Raises `Problem`."""
        places, is_number = row["places"], isinstance(value, int | float) and not isinstance(value, bool)
        fitting = is_number and abs(value) <= MOST and (one := Decimal(str(value))) == round(one, places)
        if value is not None and not fitting:
            invalid(f"value: {value!r:.40}, expected a number with at most {places} decimals, or null")
        number: Value = value
        return number

    def mark(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record that a person is done with a column: {"row", "mark"}. Returns also the columns that are settled by
        now."""
        return super().mark(said) | {"settled": self.settled([said["row"] // COLUMNS])}

    def write(self) -> None:
        """Write all numbers again. Raises `OutputError`, `DataError`, and `MissingExtraError`."""
        pages = [page if page.get("error") else self.page(number) for number, page in enumerate(self.pages, 1)]
        export(pages, self.out, self.layout)

"""Shows tables on the review page, one column with doubtful numbers at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from sumnist.errors import SumnistError
from sumnist.serve.bodies import invalid
from sumnist.serve.problems import Problem
from sumnist.serve.review import Answers
from sumnist.sheets.review import LONGEST, Recorder, picture_of
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
        self.path, self.layout, self.pages = path, layout, pages_of(path)
        self.out = out or path.with_suffix(".xlsx")
        super().__init__(doubtful_columns(self.pages), recorder)
        self.whole = lru_cache(maxsize=4)(self._whole)
        self.picture = lru_cache(maxsize=2)(lambda number: picture_of(self.pages[number - 1], path.parent))
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

    def state(self) -> dict[str, Any]:
        """The fixed data of the review, and how far the person is."""
        corrected = {row // COLUMNS for row in self.recorder.values}  # only these pages can have changed
        marks = dict.fromkeys(self.settled(corrected), "accepted") | self.recorder.marks
        count = sum(page["columns"] for page in self.pages if not page.get("error"))
        return {
            "title": self.layout.title or self.path.stem, "file": self.path.name, "what": "column", "fields": [],
            "formulas": [], "sheets": [[row, marks.get(row)] for row in self.rows], "count": count,
        }  # fmt: skip

    def sheet(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """All that the page shows of a column. The places of numbers are in percent of the page."""
        number, column = divmod(row["row"], COLUMNS)
        page, name = self.page(number), self.layout.names.get(column, letters(column))
        cells = [cell for cell in self.pages[number - 1]["cells"] if cell["column"] - 1 == column]
        now = {cell["cell"]: cell for cell in page["cells"]}
        said, scale = self.recorder.values.get(row["row"], {}), 10 ** decimals_in(page).get(column, 0)
        try:
            width, height = self.whole(row["row"])[1]
            missing = None
        except SumnistError as error:
            width = height = 0
            missing = str(error).encode(errors="replace").decode()
        boxes = {} if missing else {cell["cell"]: self.box(number, cell) for cell in cells}
        across, down = (1, 1) if missing else self.picture(number).size
        asked = {cell["cell"] for cell in cells
                 if cell["cell"] in said or now.get(cell["cell"], cell)["state"] == "doubtful"}  # fmt: skip
        shown = {cell["cell"]: read_of(cell, scale) if cell["cell"] in asked else now[cell["cell"]]["value"]
                 for cell in cells if cell["cell"] in asked or cell["cell"] in now}  # fmt: skip
        values = {name: None if value is None else float(value) for name, value in shown.items()}
        path = page["path"].encode(errors="replace").decode()
        return {
            "row": row["row"], "path": path, "state": "doubtful", "error": None, "probability": None,
            "values": {"": f"Column {name}, {Path(path).name}", **values}, "wrong": [],
            "corrected": {key: None if value is None else float(value) for key, value in said.items()},
            "mark": self.recorder.marks.get(row["row"]),
            "questions": [{"field": cell["cell"], "candidates": candidates_of(cell, scale)}
                          for cell in cells if cell["cell"] in asked],
            "fields": [{"name": cell["cell"], "label": f"{name} {cell['row']}", "scale": scale, "largest": MOST}
                       for cell in cells],
            "formulas": sums_of(page, column), "width": width, "height": height, "missing": missing,
            "places": {key: [100 * left / across, 100 * top / down, 100 * (right - left) / across,
                             100 * (bottom - top) / down] for key, (left, top, right, bottom) in boxes.items()},
            "crops": {key: [box[2] - box[0], box[3] - box[1]] for key, box in boxes.items()},
        }  # fmt: skip

    def box(self, number: int, cell: Mapping[str, Any]) -> tuple[int, int, int, int]:
        """The part of the picture that is shown for a number: left, top, right and bottom in pixels."""
        across, down = zip(*cell["corners"], strict=True)
        high = max(down) - min(down)
        wide, tall = self.picture(number).size
        left, right = max(0, int(min(across) - BESIDE * high)), min(wide, int(max(across) + BESIDE * high))
        top, bottom = max(0, int(min(down) - ABOVE * high)), min(tall, int(max(down) + ABOVE * high))
        return left, top, max(left + 1, right), max(top + 1, bottom)

    def _whole(self, number: int) -> tuple[bytes, tuple[int, int]]:
        """A page as JPEG, and its size. Raises `ImageError`."""
        picture: Image.Image = ImageOps.contain(self.picture(number // COLUMNS), (LONGEST, LONGEST))
        picture.save(stream := BytesIO(), "JPEG", quality=85)
        return stream.getvalue(), picture.size

    def crop(self, row: Mapping[str, Any], name: str) -> bytes:
        """A number as PNG. Raises `ImageError`, and `Problem` if there is none."""
        number = row["row"] // COLUMNS
        cell = next((cell for cell in self.pages[number - 1]["cells"] if cell["cell"] == name), None)
        if cell is None:
            raise Problem("not-found", f"{name:.40}: expected a cell of a table that was read")
        self.picture(number).crop(self.box(number, cell)).save(stream := BytesIO(), "PNG")
        return stream.getvalue()

    def correct(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record what a person says stands in a cell: {"row", "field", "value"}. Raises `Problem` and `OutputError`."""
        row, name, value = self.row_of(said.get("row")), said.get("field"), said.get("value")
        number, column = divmod(row["row"], COLUMNS)
        cell = next((one for one in self.pages[number - 1]["cells"]
                     if one["cell"] == name and one["column"] - 1 == column), None)  # fmt: skip
        if cell is None:
            invalid(f"field: {name!r:.40}, expected a cell of the column")
        if value is not None:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            places = decimals_in(self.pages[number - 1]).get(column, 0)
            if not is_number or not abs(value) <= MOST or (one := Decimal(str(value))) != round(one, places):
                invalid(f"value: {value!r:.40}, expected a number with at most {places} decimals, or null")
        before = self.recorder.values.get(row["row"], {}).get(cell["cell"], cell["value"])
        self.recorder.add(row["row"], cell["cell"], before, value)
        return {"value": value}

    def mark(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record that a person is done with a column: {"row", "mark"}. Returns also the columns that are settled by
        now."""
        answer = super().mark(said)
        return {**answer, "settled": self.settled([said["row"] // COLUMNS])}

    def export(self, said: dict[str, Any]) -> dict[str, Any]:
        """Write all numbers again; returns the path. Raises `OutputError`, `DataError`, and `MissingExtraError`."""
        del said
        pages = [page if page.get("error") else self.page(number) for number, page in enumerate(self.pages, 1)]
        export(pages, self.out, self.layout)
        return {"path": str(self.out).encode(errors="replace").decode()}

"""The table of a reading, written anew with what people say of its sheets."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib import import_module
from io import StringIO
from pathlib import Path

from sumnist.files import write_atomically
from sumnist.inference.table import cell, encoded
from sumnist.sheets.corrections import Corrections
from sumnist.sheets.doubts import Row, read_rows
from sumnist.sheets.layout import Layout

__all__ = ["export"]


def export(marks: Path, layout: Layout, corrections: Corrections, crops: Callable[[Row, str], bytes | None]) -> Path:
    """Write the table beside `marks`; its path. Raises `DataError` and `OutputError`.

    Args:
        marks: The file of what was read.
        layout: That of its sheets.
        corrections: What people say of them.
        crops: Makes a PNG of a field, if there is a picture.
    """
    rows = read_rows(marks, layout)
    try:
        workbook = import_module("sumnist.sheets.workbook")
    except ModuleNotFoundError:  # or what it needs
        path = marks.with_suffix(".csv")
        write_atomically(path, encoded(csv_of(rows, layout, corrections)))
        return path
    path = marks.with_suffix(".xlsx")
    workbook.write_workbook(rows, layout, path, (), crops, corrections.values)
    return path


def csv_of(rows: list[Row], layout: Layout, corrections: Corrections) -> str:
    """The same as CSV."""
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["row", "path", "identity", "state", "review", *layout.names])
    table.writerows(cells(row, layout, corrections) for row in rows)
    return text.getvalue()


def cells(row: Row, layout: Layout, corrections: Corrections) -> list[object]:
    """The cells of a sheet: what a person says, else what was read."""
    said, read = corrections.values.get(row["row"], {}), row.get("values") or {}
    return [
        row["row"], cell("path", row["path"]), cell("identity", said.get("", row.get("identity"))),
        row.get("state") or "unreadable", corrections.marks.get(row["row"]),
        *(said.get(name, read.get(name)) for name in layout.names),
    ]  # fmt: skip

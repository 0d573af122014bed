"""The table of a reading, written anew with what people say of its sheets."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

from sumnist.files import write_atomically
from sumnist.inference.score import cell, encoded
from sumnist.sheets.corrections import Corrections
from sumnist.sheets.doubts import Row, read_rows
from sumnist.sheets.layout import Layout

__all__ = ["export"]


def export(marks: Path, layout: Layout, corrections: Corrections) -> Path:
    """Write the table beside `marks`; its path. Raises `DataError` and `OutputError`."""
    path, text = marks.with_suffix(".csv"), StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["row", "path", "identity", "state", "review", *layout.names])
    table.writerows(cells(row, layout, corrections) for row in read_rows(marks, layout))
    write_atomically(path, encoded(text.getvalue()))
    return path


def cells(row: Row, layout: Layout, corrections: Corrections) -> list[object]:
    """The cells of a sheet: what a person says, else what was read."""
    said, read = corrections.values.get(row["row"], {}), row.get("values") or {}
    return [
        row["row"], cell("path", row["path"]), cell("identity", said.get("", row.get("identity"))),
        row.get("state") or "unreadable", corrections.marks.get(row["row"]),
        *(said.get(name, read.get(name)) for name in layout.names),
    ]  # fmt: skip

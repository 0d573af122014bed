"""The workbook of what was read, with what people say of it since."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from sumnist.errors import ImageError, MissingExtraError
from sumnist.sheets.corrections import Corrections
from sumnist.sheets.doubts import read_rows
from sumnist.sheets.layout import Layout
from sumnist.sheets.people import Person
from sumnist.sheets.summary import Summary
from sumnist.sheets.views import Views

__all__ = ["export"]

SCALE = 6.0
"""Pixels of a millimetre of the pictures in a workbook: 150 an inch."""


def export(
    marks: Path, layout: Layout, out: Path, people: Sequence[Person] = (), said: Corrections | None = None
) -> Summary:
    """Write the workbook of a file of marks, whole or not at all.

    Args:
        marks: The file of what was read.
        layout: That of its sheets.
        out: The workbook.
        people: Who should have a sheet.
        said: What people say of the sheets.

    Raises:
        DataError: `marks` is no such file.
        OutputError: The workbook cannot be written.
        MissingExtraError: The extra `sheets` is not installed.
    """
    try:
        from sumnist.sheets.workbook import Row, write_workbook
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error, "writing a workbook") from error
    views = Views(layout, marks.parent)

    def crop(row: Row, name: str) -> bytes | None:
        """A field as PNG; None if its picture is there no more."""
        stream = BytesIO()
        try:
            views.crop(row, name, SCALE).save(stream, "PNG")
        except (ImageError, MissingExtraError):
            return None
        return stream.getvalue()

    return write_workbook(read_rows(marks, layout), layout, out, people, crop, None if said is None else said.values)

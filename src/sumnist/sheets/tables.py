"""The tables of a workbook, written line by line to the disk, so that many lines take no more memory than a few.

All text is written as text: one that begins with = is no formula, and one that is an address is no link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import xlsxwriter
from PIL import Image
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.utility import xl_rowcol_to_cell

from sumnist.errors import OutputError
from sumnist.files import replacing
from sumnist.sheets.layout import Paper
from sumnist.sheets.summary import visible

__all__ = ["LINES", "MIDDLE", "Book", "Cell", "Live", "Table"]

LINES = 1_048_576
"""Lines of a table in Excel, the header among them."""
LONGEST = 16_383
"""Characters of a cell's text: at most 32,766 units of UTF-16, and Excel takes 32,767."""
COMMENTS, PICTURES = 5_000, 5_000
"""Of a table, at most, since each is an object in memory, here and in Excel."""
NARROWEST, WIDEST, FILTER = 8, 48, 3
"""Widths of columns, and of the button to filter by, in characters."""
ROOM = (240, 44)
"""Width and height of a picture, at most, in pixels of 1/96 inch."""
PAPERS = {"Letter": 1, "A4": 9}
"""The papers, as Excel numbers them."""
MIDDLE = {"valign": "vcenter"}
"""The format of what stands beside a picture."""
HEADING = {"bold": True, "bottom": 1, "bg_color": "#EDEDED", "text_wrap": True} | MIDDLE


class Live(NamedTuple):
    """A formula, and what it comes to, for programs that do not work it out."""

    formula: str
    value: str | float


class Cell(NamedTuple):
    """What is in a cell: its content, properties of its format, and what a comment on it says."""

    content: str | float | Live | None
    format: dict[str, Any] = {}  # noqa: RUF012, never changed
    comment: str = ""


class Book:
    """A workbook that is being written."""

    def __init__(self, book: Any, paper: Paper) -> None:
        self.book, self.paper = book, paper
        self.formats: dict[tuple[tuple[str, Any], ...], Any] = {}

    @classmethod
    @contextmanager
    def writing(cls, path: Path, title: str, paper: Paper) -> Iterator[Book]:
        """A workbook that is at `path` at the end, whole or not at all. Raises `OutputError`."""
        with (
            replacing(path) as stream,
            TemporaryDirectory(prefix="sumnist-", ignore_cleanup_errors=True) as folder,
        ):
            book = xlsxwriter.Workbook(stream, {"constant_memory": True, "tmpdir": folder})
            book.set_properties({"title": text_of(title)})
            try:
                yield cls(book, paper)
                book.close()
            except FileCreateError as error:  # holds the error of the system
                raise error.args[0] from error
            finally:
                for sheet in book.worksheets():
                    sheet.row_data_fh.close()

    def format(self, **properties: Any) -> Any:
        """The format of these properties."""
        key = tuple(sorted(properties.items()))
        if key not in self.formats:
            self.formats[key] = self.book.add_format(properties)
        return self.formats[key]

    def table(self, name: str) -> Table:
        """A new table, behind the others."""
        return Table(self, name)


class Table:
    """A table of a workbook.

    Attributes:
        line: How many lines it has.
    """

    def __init__(self, book: Book, name: str) -> None:
        self.book, self.name, self.sheet = book, name, book.book.add_worksheet(name)
        self.line = self.comments = self.pictures = 0
        self.widths: dict[int, int] = {}
        self.sheet.set_paper(PAPERS[book.paper])
        self.sheet.set_landscape()
        self.sheet.fit_to_pages(1, 0)
        self.sheet.set_footer("&L&F&C&A&R&P / &N")
        self.sheet.set_comments_author("sumnist")

    def head(self, titles: Sequence[str], frozen: int) -> None:
        """Write the header; it and the first columns stay in sight."""
        self.write([Cell(title, HEADING) for title in titles])
        self.widths = {column: max(map(len, title.split())) + FILTER for column, title in enumerate(titles)}
        self.sheet.freeze_panes(1, frozen)
        self.sheet.repeat_rows(0)

    def write(self, cells: Sequence[Cell]) -> None:
        """Write a line. Raises `OutputError` if there are too many."""
        if self.line == LINES:
            raise OutputError(
                f'more than {LINES:,} lines in the table "{self.name}", expected at most as many as Excel takes: read '
                "fewer pictures at a time"
            )
        for column, cell in enumerate(cells):
            self.put(column, cell)
        self.line += 1

    def put(self, column: int, cell: Cell) -> None:
        """Write a cell of the line."""
        style = self.book.format(**cell.format) if cell.format else None
        match cell.content:
            case Live(formula, value):
                self.sheet.write_formula(self.line, column, formula, style, value)
            case int() | float() as number:
                self.sheet.write_number(self.line, column, number, style)
            case str() as text if text:
                text = text_of(text)
                self.widths[column] = max(self.widths.get(column, 0), len(text) + 1)
                self.sheet.write_string(self.line, column, text, style)
            case _:
                self.sheet.write_blank(self.line, column, None, style)
        if cell.comment and self.comments < COMMENTS:
            self.comments += 1
            self.sheet.write_comment(self.line, column, text_of(cell.comment), {"x_scale": 2, "font_size": 9})

    def picture(self, column: int, png: bytes, description: str) -> bool:
        """Put a picture into the next line, which is made high enough; False if there are too many."""
        if self.pictures == PICTURES:
            return False
        self.pictures += 1
        with Image.open(BytesIO(png)) as picture:
            width, height = picture.size
            dpi = picture.info.get("dpi", (96, 96))
        scale = min(ROOM[0] / width, ROOM[1] / height)
        self.sheet.set_row_pixels(self.line, ROOM[1] + 4, self.book.format(**MIDDLE))
        self.sheet.insert_image(self.line, column, "", {
            "image_data": BytesIO(png), "x_scale": scale * dpi[0] / 96, "y_scale": scale * dpi[1] / 96,
            "x_offset": 2, "y_offset": 2, "object_position": 1, "description": text_of(description),
        })  # fmt: skip
        self.widths[column] = max(self.widths.get(column, 0), ROOM[0] // 7 + 1)
        return True

    def mark(self, column: int, text: str, **properties: Any) -> None:
        """Give cells of a column a format for as long as they have this text."""
        condition = {"type": "cell", "criteria": "==", "value": f'"{text}"', "format": self.book.format(**properties)}
        self.sheet.conditional_format(1, column, LINES - 1, column, condition)

    def finish(self, filtered: bool = True) -> None:
        """Make columns as wide as what is in them, and give the header buttons to filter by."""
        for column, width in self.widths.items():
            self.sheet.set_column(column, column, min(max(width, NARROWEST), WIDEST))
        last = max(self.widths)
        if filtered:
            self.sheet.autofilter(0, 0, max(1, self.line - 1), last)
        # An identity such as 0042 is a text, and no mistake.
        self.sheet.ignore_errors({"number_stored_as_text": f"A1:{xl_rowcol_to_cell(LINES - 1, last)}"})


def text_of(text: str) -> str:
    """A text as a cell takes it: one line, not too long, of characters that can be written."""
    text = visible(text[: LONGEST + 1])
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    # XlsxWriter, where it writes line by line, takes a text in <r> … </r> for XML.
    return text + " " if text.startswith("<r>") and text.endswith("</r>") else text

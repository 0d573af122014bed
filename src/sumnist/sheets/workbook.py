"""Writes the readings of all sheets as a workbook for Excel or LibreOffice: marks, cells to look at, and a summary.

It goes to the disk line by line, so that many lines take no more memory than a few. All text is written as text: if it
begins with =, it is no formula, and if it is an address, it is no link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple

import xlsxwriter
from PIL import Image
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.utility import xl_rowcol_to_cell

from sumnist.arithmetic.relations import Kind
from sumnist.errors import OutputError, visible
from sumnist.files import replacing
from sumnist.sheets.batch import BY_HAND, STATES, UNREADABLE, Summary, state
from sumnist.sheets.layout import Field, Layout, Person

Row = Mapping[str, Any]
Crops = Callable[[Row, str], bytes | None]
"""Takes a row and the name of a field, and returns a PNG of the field's cells on the picture, or None."""
Notes = Sequence[tuple[str, str]]
"""Notes on a field: pairs of a state and a text. The last state colours its cell."""

CORRECTED, WRONG, DOUBTFUL = "corrected", "does not add up", "doubtful"
COLOURS = {
    CORRECTED: "#8CCBF2", WRONG: "#E8764A", DOUBTFUL: "#FFEE77", BY_HAND: "#E3E3E3", UNREADABLE: "#A98BC0",
}  # fmt: skip
"""Colours of the states, after Okabe and Ito, so that people who see fewer hues can tell them apart. The state is also
written in words."""
MEANINGS = {
    "adds up": "The totals are the sums of what is written.",
    CORRECTED: "By the sums, a number is another one than was read.",
    WRONG: "A total is not the sum of its terms, even if a cell is misread.",
    DOUBTFUL: 'Cells on the sheet "To look at" may be other numbers.',
    "blank": "Nothing is written on it.",
    BY_HAND: "Somebody looked at it and typed numbers.",
    UNREADABLE: "No number could be read, for the reason below.",
}
"""The meanings of the states."""
SLIPS: Mapping[Kind, str] = {
    "off by one": " (off by one)", "carry": " (a carry lost or counted twice)", "swapped": " (digits swapped)",
    "skipped": " (a term left out)",
}  # fmt: skip
"""The slips that explain a wrong total, in words."""
LIVE = 'What is "added up" on the sheet "Marks" follows what you type there.'
BOLD, TITLE = {"bold": True}, {"bold": True, "font_size": 14}
YES_NO = {True: "yes", False: "no", None: ""}
EXACT = 10
"""Excel shows numbers of up to this many digits in full without a number format."""


def write_workbook(
    rows: Iterable[Row], layout: Layout, out: Path | IO[bytes], people: Sequence[Person] = (),
    crops: Crops = lambda row, field: None,
) -> Summary:  # fmt: skip
    """Write a workbook, whole or not at all.

    Args:
        rows: The rows of marks.jsonl, with typed values in place of the readings. They are read once, one at a time.
        layout: The layout of the sheets.
        out: The file, whose name should end in .xlsx, or a stream.
        people: The people who should have a sheet: they give the names, and show whose sheet is missing.
        crops: Makes the pictures of doubtful cells.

    Returns:
        The summary of the sheets.

    Raises:
        OutputError: It cannot be written, or has too many lines.
    """
    found = Summary(layout, people)
    with (
        replacing(out) if isinstance(out, Path) else nullcontext(out) as stream,
        TemporaryDirectory(prefix="sumnist-", ignore_cleanup_errors=True) as folder,
    ):
        book = xlsxwriter.Workbook(stream, {"constant_memory": True, "tmpdir": folder})
        try:
            book.set_properties({"title": text_of(layout.title)})
            marks, looks, summary = (Worksheet(book, name, layout) for name in ("Marks", "To look at", "Summary"))
            add_marks = Marks(marks, found).add
            titles = [*titles_of(found), "Cell"]
            looks.head([*titles, "Picture", "Taken for", "May be", "File"], len(titles))
            for row in rows:
                found.add(row)
                add_marks(row)
                add_looks(looks, row, found, crops, len(titles))
            marks.finish()
            looks.finish()
            write_summary(summary, found)
            book.close()
        except FileCreateError as error:  # its argument is the system's error
            raise error.args[0] from error
        finally:
            for sheet in book.worksheets():
                sheet.row_data_fh.close()
    return found


class Marks:
    """The table of the marks, a line for each sheet."""

    def __init__(self, table: Worksheet, found: Summary) -> None:
        self.table, self.found, self.layout = table, found, found.layout
        self.labels = {"": "Identity"} | {field.name: field.label for field in self.layout.fields}
        self.formulas = {formula.total: formula for formula in self.layout.formulas}
        titles = [*titles_of(found), "State"]
        frozen = len(titles) - 1
        self.columns: dict[str, int] = {}
        for field in self.layout.fields:
            self.columns[field.name] = len(titles)
            titles.append(field.label)
            if field.name in self.formulas:
                no = {"type": "cell", "criteria": "==", "value": '"no"', "format": table.format(coloured(WRONG))}
                table.sheet.conditional_format(1, len(titles) + 1, LINES - 1, len(titles) + 1, no)
                titles += [f"{field.label}, added up", f"{field.label} agrees?"]
        self.table.head([*titles, "Notes", "Probability", "File"], frozen)

    def add(self, row: Row) -> None:
        """Write the line of a sheet."""
        notes, values = notes_of(row), row.get("values") or {}
        cells = [*whose(row, self.found, notes.get("")), Entry(state(row), coloured(state(row)))]
        for field in self.layout.fields:
            shape = number_format(field)
            cells.append(noted(values.get(field.name), shape, notes.get(field.name)))
            if field.name in self.formulas:
                cells += self.added(field.name, values, shape)
        texts = [f"{self.labels[name]}: {text}" for name, of in notes.items() for _, text in of]
        if row.get("error"):
            texts.insert(0, row["error"])
        if row.get("version") not in (None, self.layout.version):
            texts.insert(0, f"version {row['version']} of the layout")
        self.table.write([
            *cells, Entry("; ".join(texts)), Entry(row.get("probability"), {"num_format": "0.0%"}), Entry(row["path"]),
        ])  # fmt: skip

    def added(self, name: str, values: Mapping[str, float | None], shape: dict[str, Any]) -> tuple[Entry, Entry]:
        """Two cells beside a total: its terms added up, and whether the written total agrees."""
        formula, line = self.formulas[name], self.table.line
        terms = formula.terms
        total, ours = (xl_rowcol_to_cell(line, self.columns[name] + beside) for beside in (0, 1))
        places = [xl_rowcol_to_cell(line, self.columns[term]) for _, term in terms]
        parts = [f"{weight}*{place}".removeprefix("1*").replace("-1*", "-")
                 for (weight, _), place in zip(terms, places, strict=True)]  # fmt: skip
        sums = "*".join(parts) if formula.times else "+".join(parts).replace("+-", "-")
        units, divisor, is_right = 2 // self.layout.field(name).step, formula.divisor, f"{total}={ours}"
        if divisor > 1:
            is_right = f"ABS({divisor}*{total}-({sums}))*{units}<{divisor}"
            sums = f"INT(({2 * units}*({sums})+{divisor})/{2 * divisor})/{units}".removesuffix("/1")
        found, agrees = self.layout.sum_of(formula, values), YES_NO[self.layout.agrees(formula, values)]
        terms_known, both_known = f"COUNT({','.join(places)})={len(terms)}", f"COUNT({total},{ours})=2"
        return (
            Entry(Live(f'=IF({terms_known},{sums},"")', "" if found is None else found), shape),
            Entry(Live(f'=IF({both_known},IF({is_right},"yes","no"),"")', agrees), {"align": "center"}),
        )


def add_looks(table: Worksheet, row: Row, found: Summary, crops: Crops, column: int) -> None:
    """Write a line for each doubtful cell of a sheet, with its picture in a column."""
    for doubt in row.get("look") or ():
        field, values = found.layout.field(doubt["field"]), row.get("values") or {}
        png, instead = crops(row, field.name), ""
        if png and not table.picture(column, png, f"{field.label} on {row['path']}"):
            instead = "see the file"
        table.write([
            *whose(row, found), Entry(field.label), Entry(instead),
            Entry(values.get(field.name), number_format(field) | coloured(DOUBTFUL) | MIDDLE),
            Entry(candidates(doubt["candidates"])), Entry(row["path"]),
        ])  # fmt: skip


def write_summary(table: Worksheet, found: Summary) -> None:
    """Write the summary: how many sheets have each state, and the tables of problems."""
    layout = found.layout
    table.write([Entry(layout.title, TITLE)])
    table.write([Entry(f"Layout {layout.id}, version {layout.version}")])
    table.write([])
    table.write([Entry(title, BOLD) for title in ("State", "Sheets", "Meaning")])
    for name in STATES:
        table.write([Entry(name, coloured(name)), Entry(found.states[name]), Entry(MEANINGS[name])])
    table.write([Entry("all", BOLD), Entry(found.states.total(), BOLD), Entry(LIVE)])
    for title, columns, lines in found.sections():
        if lines:
            table.write([])
            table.write([Entry(f"{title}: {len(lines):,}", BOLD)])
            table.write([Entry(column, BOLD) for column in columns])
            for line in lines:
                table.write([Entry(text) for text in line])
    table.finish(filtered=False)


def titles_of(found: Summary) -> list[str]:
    """The titles of the columns that identify a sheet."""
    return ["No.", *["Identity"] * (found.layout.identity.kind != "none"), *["Name"] * bool(found.people)]


def whose(row: Row, found: Summary, notes: Notes | None = None) -> list[Entry]:
    """The cells that identify a sheet."""
    identity = row.get("identity")
    cells = {"No.": Entry(row["row"] + 1), "Identity": noted(identity, {}, notes), "Name": Entry(found.name(identity))}
    return [cells[title] for title in titles_of(found)]


def notes_of(row: Row) -> dict[str, list[tuple[str, str]]]:
    """The notes on the fields of a sheet, by field."""
    notes: dict[str, list[tuple[str, str]]] = {}
    values = {"": row.get("identity"), **(row.get("values") or {})}
    for entry in row.get("corrections") or ():
        read = "not read" if entry["read"] is None else f"read as {number(entry['read'])}"
        sure = "p > 0.999" if entry["probability"] >= 0.9995 else f"p = {entry['probability']:.3f}"
        note = f"{read}, the sum makes it {number(entry['value'])}, {sure}"
        notes.setdefault(entry["field"], []).append((CORRECTED, note))
    for entry in row.get("look") or ():
        notes.setdefault(entry["field"], []).append((DOUBTFUL, f"may be {candidates(entry['candidates'])}"))
    for name, before in (row.get("typed") or {}).items():
        instead = "" if before in (None, values[name]) else f" instead of {number(before)}"
        notes.setdefault(name, []).append((BY_HAND, f"by hand{instead}"))
    for entry in row.get("wrong") or ():
        come = f"{number(entry['written'])} is written, its terms come to {number(entry['sum'])}"
        notes.setdefault(entry["field"], []).append((WRONG, come + SLIPS.get(entry["kind"], "")))
    return notes


def noted(content: str | float | None, shape: dict[str, Any], notes: Notes | None) -> Entry:
    """A cell; if it has notes, it is coloured and has a comment."""
    if not notes:
        return Entry(content, shape)
    return Entry(content, shape | coloured(notes[-1][0]), "; ".join(text for _, text in notes))


def coloured(name: str) -> dict[str, Any]:
    """The format of a cell with a state."""
    return {"bg_color": COLOURS[name], "border": 1, "border_color": "#808080"} if name in COLOURS else {}


def number_format(field: Field) -> dict[str, Any]:
    """The number format of a field. Most fields have none, so that any number that a person types there is shown as
    typed."""
    return {"num_format": "0.0"} if field.halves else {"num_format": "0"} if field.digits > EXACT else {}


def candidates(found: Iterable[Mapping[str, Any]]) -> str:
    """The candidates of a cell in words, the most probable first."""
    texts = []
    for one in found:
        share = one["probability"]
        percent = "<1%" if share < 0.005 else ">99%" if share > 0.995 else f"{share:.0%}"
        texts.append(f"{'another number' if one['value'] is None else number(one['value'])} ({percent})")
    return ", ".join(texts)


def number(value: float | str) -> str:
    """A number as people write it; a text as it is."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


# Tables.

LINES = 1_048_576
"""The most lines of a table in Excel, with its header."""
LONGEST = 16_383
"""The most characters of a cell's text: at most 32,766 units of UTF-16; Excel takes 32,767."""
COMMENTS, PICTURES = 5_000, 5_000
"""The most comments and pictures of a table: each is an object in memory, here and in Excel."""
NARROWEST, WIDEST, FILTER = 8, 48, 3
"""The least and the most width of a column, and the width of a filter button, in characters."""
ROOM = (240, 44)
"""The most width and height of a picture, in pixels of 1/96 inch."""
PAPERS = {"Letter": 1, "A4": 9}
"""Excel's numbers of the papers."""
MIDDLE = {"valign": "vcenter"}
"""The format of cells beside a picture."""
HEADING = {"bold": True, "bottom": 1, "bg_color": "#EDEDED", "text_wrap": True} | MIDDLE


class Live(NamedTuple):
    """A formula and its value, for programs that do not compute formulas."""

    formula: str
    value: str | float


class Entry(NamedTuple):
    """A cell: its content, properties of its format, and the text of its comment."""

    content: str | float | Live | None
    format: dict[str, Any] = {}  # noqa: RUF012, never changed
    comment: str = ""


class Worksheet:
    """A table of a workbook.

    Attributes:
        line: How many lines it has.
    """

    def __init__(self, book: xlsxwriter.Workbook, name: str, layout: Layout) -> None:
        self.line = self.comments = self.pictures = 0
        self.widths: dict[int, int] = {}
        self.known = cache(lambda properties: book.add_format(dict(properties)))
        self.sheet = book.add_worksheet(name)
        self.sheet.set_paper(PAPERS[layout.paper])
        self.sheet.set_landscape()
        self.sheet.fit_to_pages(1, 0)
        self.sheet.set_footer("&L&F&C&A&R&P / &N")
        self.sheet.set_comments_author("sumnist")

    def format(self, properties: dict[str, Any]) -> Any:
        """A format with these properties."""
        return self.known(tuple(sorted(properties.items())))

    def head(self, titles: Sequence[str], frozen: int) -> None:
        """Write the header; it and the first `frozen` columns stay in sight."""
        self.write([Entry(title, HEADING) for title in titles])
        self.widths = {column: max(map(len, title.split())) + FILTER for column, title in enumerate(titles)}
        self.sheet.freeze_panes(1, frozen)
        self.sheet.repeat_rows(0)

    def write(self, cells: Sequence[Entry]) -> None:
        """Write a line. Raises `OutputError` if there are too many."""
        if self.line == LINES:
            raise OutputError(f'more than {LINES:,} lines in "{self.sheet.name}", expected fewer: read fewer at a time')
        for column, cell in enumerate(cells):
            style = self.format(cell.format) if cell.format else None
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
        self.line += 1

    def picture(self, column: int, png: bytes, description: str) -> bool:
        """Put a picture into the next line, and make the line high enough. Returns False if there are too many
        pictures."""
        if self.pictures == PICTURES:
            return False
        self.pictures += 1
        with Image.open(BytesIO(png)) as picture:
            width, height = picture.size
            dpi = picture.info.get("dpi", (96, 96))
        scale = min(ROOM[0] / width, ROOM[1] / height)
        self.sheet.set_row_pixels(self.line, ROOM[1] + 4, self.format(MIDDLE))
        self.sheet.insert_image(self.line, column, "", {
            "image_data": BytesIO(png), "x_scale": scale * dpi[0] / 96, "y_scale": scale * dpi[1] / 96,
            "x_offset": 2, "y_offset": 2, "object_position": 1, "description": text_of(description),
        })  # fmt: skip
        self.widths[column] = max(self.widths.get(column, 0), ROOM[0] // 7 + 1)
        return True

    def finish(self, filtered: bool = True) -> None:
        """Make columns as wide as their content; if `filtered`, give the header filter buttons."""
        for column, width in self.widths.items():
            self.sheet.set_column(column, column, min(max(width, NARROWEST), WIDEST))
        last = max(self.widths)
        if filtered:
            self.sheet.autofilter(0, 0, max(1, self.line - 1), last)
        # An identity such as 0042 is a text on purpose.
        self.sheet.ignore_errors({"number_stored_as_text": f"A1:{xl_rowcol_to_cell(LINES - 1, last)}"})


def text_of(text: str) -> str:
    """A text as a cell takes it: one line, not too long, of characters that Excel can store."""
    text = visible(text[: LONGEST + 1])
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    # When XlsxWriter writes line by line, it takes a text in <r> … </r> for XML.
    return text + " " if text.startswith("<r>") and text.endswith("</r>") else text

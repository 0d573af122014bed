"""What was read of all sheets as a workbook for Excel or LibreOffice: the marks, what to look at, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xlsxwriter.utility import xl_rowcol_to_cell

from sumnist.sheets.by_hand import IDENTITY, Typed, by_hand
from sumnist.sheets.formulas import Formula
from sumnist.sheets.layout import Field, Layout
from sumnist.sheets.mistakes import Kind
from sumnist.sheets.people import Person
from sumnist.sheets.summary import BY_HAND, STATES, UNREADABLE, Summary, state
from sumnist.sheets.tables import MIDDLE, Book, Cell, Live

__all__ = ["COLOURS", "MEANINGS", "Crops", "write_workbook"]

Row = Mapping[str, Any]
Crops = Callable[[Row, str], bytes | None]
"""From a row and a field to a PNG of the field's cells on the picture."""

CORRECTED, WRONG, DOUBTFUL = "corrected", "does not add up", "doubtful"
COLOURS = {
    CORRECTED: "#8CCBF2", WRONG: "#E8764A", DOUBTFUL: "#FFEE77", BY_HAND: "#E3E3E3", UNREADABLE: "#A98BC0",
}  # fmt: skip
"""By state, after Okabe and Ito: who sees fewer hues tells them apart. The state is there in words, too."""
MEANINGS = {
    "adds up": "The totals are the sums of what is written.",
    CORRECTED: "By the sums, a number is another one than was read.",
    WRONG: "A total is not the sum of its terms, even if a cell is misread.",
    DOUBTFUL: 'Cells on the sheet "To look at" may be other numbers.',
    "blank": "Nothing is written on it.",
    BY_HAND: "Somebody looked at it and typed numbers.",
    UNREADABLE: "No number could be read, for the reason below.",
}
"""What the states are."""
SLIPS: Mapping[Kind, str] = {
    "off by one": " (off by one)", "carry": " (a carry lost or counted twice)", "swapped": " (digits swapped)",
    "skipped": " (a term left out)",
}  # fmt: skip
"""How a wrong total came about, where that is known."""
LIVE = 'What is "added up" on the sheet "Marks" follows what you type there.'
BOLD, TITLE = {"bold": True}, {"bold": True, "font_size": 14}
EXACT = 10
"""Digits of the largest numbers that Excel shows in full unless it is told to."""


class Note(NamedTuple):
    """What is to be said of a field: a state, which colours its cell, and a text."""

    state: str
    text: str


def write_workbook(
    rows: Iterable[Row], layout: Layout, out: Path, people: Sequence[Person] = (),
    crops: Crops = lambda row, field: None, corrections: Mapping[int, Typed] | None = None,
) -> Summary:  # fmt: skip
    """Write a workbook, whole or not at all.

    Args:
        rows: Of marks.jsonl; each is taken once, and let go.
        layout: Of the sheets.
        out: The file, whose name should end in .xlsx.
        people: Who should have a sheet: for their names, and to tell who has none.
        crops: Makes the pictures of doubtful cells.
        corrections: What was typed while looking at sheets, by the number of the row and the field.

    Returns:
        What became of the sheets.

    Raises:
        OutputError: It cannot be written, or has too many lines.
    """
    found, typed = Summary(layout, people), corrections or {}
    with Book.writing(out, layout.title, layout.paper) as book:
        marks, looks = Marks(book, found), Looks(book, found, crops)
        for read in rows:
            row = by_hand(read, typed.get(read["row"], {}), layout)
            found.add(row)
            marks.add(row)
            looks.add(row)
        marks.table.finish()
        looks.table.finish()
        write_summary(book, found)
    return found


class Marks:
    """The table of the marks, a line for each sheet."""

    def __init__(self, book: Book, found: Summary) -> None:
        self.table, self.found, self.layout = book.table("Marks"), found, found.layout
        self.labels = {IDENTITY: "Identity"} | {field.name: field.label for field in self.layout.fields}
        self.formulas = {formula.total: formula for formula in self.layout.formulas}
        titles = [*titles_of(found), "State"]
        frozen = len(titles) - 1
        self.columns: dict[str, int] = {}
        for field in self.layout.fields:
            self.columns[field.name] = len(titles)
            titles.append(field.label)
            if field.name in self.formulas:
                self.table.mark(len(titles) + 1, "no", **coloured(WRONG))
                titles += [f"{field.label}, added up", f"{field.label} agrees?"]
        self.table.head([*titles, "Notes", "Probability", "File"], frozen)

    def add(self, row: Row) -> None:
        """Write the line of a sheet."""
        notes, values = notes_of(row), row.get("values") or {}
        cells = [*whose(row, self.found, notes.get(IDENTITY)), Cell(state(row), coloured(state(row)))]
        for field in self.layout.fields:
            shape = number_format(field)
            cells.append(noted(values.get(field.name), shape, notes.get(field.name)))
            if field.name in self.formulas:
                cells += self.added(self.formulas[field.name], values, shape)
        told = [f"{self.labels[name]}: {note.text}" for name, of in notes.items() for note in of]
        if row.get("error"):
            told.insert(0, row["error"])
        if row.get("version") not in (None, self.layout.version):
            told.insert(0, f"version {row['version']} of the layout")
        self.table.write([
            *cells, Cell("; ".join(told)), Cell(row.get("probability"), {"num_format": "0.0%"}), Cell(row["path"]),
        ])  # fmt: skip

    def added(self, formula: Formula, values: Mapping[str, float | None], shape: dict[str, Any]) -> tuple[Cell, Cell]:
        """What the terms of a total add up to, and whether it is the total that is written."""
        line = self.table.line
        total = xl_rowcol_to_cell(line, self.columns[formula.total])
        ours = xl_rowcol_to_cell(line, self.columns[formula.total] + 1)
        terms = [(sign, xl_rowcol_to_cell(line, self.columns[name])) for sign, name in formula.terms]
        sums = "".join("+-"[sign < 0] + place for sign, place in terms).removeprefix("+")
        known = ",".join(place for _, place in terms)
        parts = [(sign, values.get(name)) for sign, name in formula.terms]
        found = None if any(value is None for _, value in parts) else sum(sign * (value or 0) for sign, value in parts)
        written = values.get(formula.total)
        agrees = "" if found is None or written is None else "yes" if found == written else "no"
        return (
            Cell(Live(f'=IF(COUNT({known})={len(terms)},{sums},"")', "" if found is None else found), shape),
            Cell(Live(f'=IF(COUNT({total},{ours})=2,IF({total}={ours},"yes","no"),"")', agrees), {"align": "center"}),
        )


class Looks:
    """The table of the cells to look at."""

    def __init__(self, book: Book, found: Summary, crops: Crops) -> None:
        self.table, self.found, self.crops = book.table("To look at"), found, crops
        titles = [*titles_of(found), "Cell"]
        self.column = len(titles)
        self.table.head([*titles, "Picture", "Taken for", "May be", "File"], len(titles))

    def add(self, row: Row) -> None:
        """Write a line for each doubtful cell of a sheet."""
        for told in row.get("look") or ():
            field = self.found.layout.field(told["field"])
            png, instead = self.crops(row, field.name), ""
            if png and not self.table.picture(self.column, png, f"{field.label} on {row['path']}"):
                instead = "see the file"
            self.table.write([
                *whose(row, self.found), Cell(field.label), Cell(instead),
                Cell((row.get("values") or {}).get(field.name), number_format(field) | coloured(DOUBTFUL) | MIDDLE),
                Cell(candidates(told["candidates"])), Cell(row["path"]),
            ])  # fmt: skip


def write_summary(book: Book, found: Summary) -> None:
    """Write the table of what became of the sheets."""
    table, layout = book.table("Summary"), found.layout
    table.write([Cell(layout.title, TITLE)])
    table.write([Cell(f"Layout {layout.id}, version {layout.version}")])
    table.write([])
    table.write([Cell(title, BOLD) for title in ("State", "Sheets", "Meaning")])
    for name in STATES:
        table.write([Cell(name, coloured(name)), Cell(found.states[name]), Cell(MEANINGS[name])])
    table.write([Cell("all", BOLD), Cell(found.states.total(), BOLD), Cell(LIVE)])
    for title, columns, lines in found.sections():
        if lines:
            table.write([])
            table.write([Cell(f"{title}: {len(lines):,}", BOLD)])
            table.write([Cell(column, BOLD) for column in columns])
            for line in lines:
                table.write([Cell(text) for text in line])
    table.finish(filtered=False)


def titles_of(found: Summary) -> list[str]:
    """The titles of the columns that say which sheet it is."""
    return ["No.", *["Identity"] * (found.layout.identity.kind != "none"), *["Name"] * bool(found.people)]


def whose(row: Row, found: Summary, notes: Sequence[Note] | None = None) -> list[Cell]:
    """The cells that say which sheet it is."""
    identity = row.get("identity")
    cells = [Cell(row["row"] + 1), noted(identity, {}, notes), Cell(found.name(identity))]
    return [cells[("No.", "Identity", "Name").index(title)] for title in titles_of(found)]


def notes_of(row: Row) -> dict[str, list[Note]]:
    """What is to be said of the fields of a sheet; the last of a field colours its cell."""
    notes: dict[str, list[Note]] = {}

    def add(field: str, state: str, text: str) -> None:
        notes.setdefault(field, []).append(Note(state, text))

    for told in row.get("corrections") or ():
        read = "not read" if told["read"] is None else f"read as {number(told['read'])}"
        add(told["field"], CORRECTED, f"{read}, by the sum {number(told['value'])}, {probable(told['probability'])}")
    for told in row.get("look") or ():
        add(told["field"], DOUBTFUL, f"may be {candidates(told['candidates'])}")
    values = {IDENTITY: row.get("identity"), **(row.get("values") or {})}
    for field, before in (row.get("typed") or {}).items():
        instead = "" if before in (None, values[field]) else f" instead of {number(before)}"
        add(field, BY_HAND, f"by hand{instead}")
    for told in row.get("wrong") or ():
        slip = SLIPS.get(told["kind"], "")
        add(
            told["field"], WRONG, f"{number(told['written'])} is written, its terms come to {number(told['sum'])}{slip}"
        )
    return notes


def noted(content: str | float | None, shape: dict[str, Any], notes: Sequence[Note] | None) -> Cell:
    """A cell, coloured and with a comment if there is something to be said of it."""
    if not notes:
        return Cell(content, shape)
    return Cell(content, shape | coloured(notes[-1].state), "; ".join(note.text for note in notes))


def coloured(name: str) -> dict[str, Any]:
    """The format of what is of a state."""
    return {"bg_color": COLOURS[name], "border": 1, "border_color": "#808080"} if name in COLOURS else {}


def number_format(field: Field) -> dict[str, Any]:
    """The format of a field's numbers; what is no number of the field, and typed there, is shown as it is."""
    return {"num_format": "0.0"} if field.halves else {"num_format": "0"} if field.digits > EXACT else {}


def candidates(found: Iterable[Mapping[str, Any]]) -> str:
    """What a cell may be, the most probable first."""
    return ", ".join(
        f"{'another number' if one['value'] is None else number(one['value'])} ({share(one['probability'])})"
        for one in found
    )


def number(value: float | str) -> str:
    """A number as people write it; a text as it is."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def share(probability: float) -> str:
    """A probability in percent."""
    return "<1%" if probability < 0.005 else ">99%" if probability > 0.995 else f"{probability:.0%}"


def probable(probability: float) -> str:
    """A probability close to 1."""
    return f"p = {probability:.3f}" if probability < 0.9995 else "p > 0.999"

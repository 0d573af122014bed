"""Reads the tables on many photographs, scans and PDF pages, and writes their numbers, each with its place.

As in scoring (`batch/score`), the work uses all cores or a Ray cluster. Finished rows are safe, so an interrupted run
goes on where it stopped. A line of the .jsonl is a page; other files are made from it.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from sumnist.batch.score import Read, Scored, Task, csv_line, fingerprint, fingerprint_of, tabulate
from sumnist.config import Engine
from sumnist.errors import EXTRAS, ConfigError, DataError, MissingExtraError
from sumnist.files import FINDER, NUMBERS, ONNX, PRETRAINED, check_suffix, write_atomically
from sumnist.formulas import MISTAKE
from sumnist.inference.hand import Hand
from sumnist.inference.reader import Reader
from sumnist.sheets.batch import read_one, sheets_in
from sumnist.sheets.layout import json_lines, read_or
from sumnist.sheets.pictures import FilePage, colours_of
from sumnist.tables.layout import TableLayout
from sumnist.tables.reading import ANY, TableReader
from sumnist.tables.rules import Rule, letters
from sumnist.tables.sef import archive_of, station_of

FORMATS = ".jsonl", ".csv", ".xlsx", ".zip"
"""The suffixes of the files that tables are written to."""
NEEDED = {".xlsx": "xlsxwriter"}
"""The library that writes a format."""
HEAD = (
    "path", "cell", "row", "column", "name", "value", "state", "probability", "read", "candidates", "left", "top",
    "right", "bottom",
)  # fmt: skip
"""The columns of a table of numbers."""
COLOURS = {"by hand": "#BFE3C0", "corrected": "#8CCBF2", "doubtful": "#FFEE77", "struck out": "#E3E3E3"}
"""Colours of the states, after Okabe and Ito, so that people who see fewer hues can tell them apart. The state is also
written in words."""
TOLD = 10
"""The most pages and relations that are printed, so that they fit on a screen."""
MANY = 0.5
"""If there are more digits outside every cell than this share of the number of cells, the program warns of them."""
OFTEN = 0.5
"""A rule is proposed for all pages if it is found on at least this share of them."""

NUMBER = (None, float, str)
UNREADABLE = {"path": str, "error": str}
READ = {
    "path": str, "rows": int, "columns": int,
    "rules": [{"formula": str, "places": (None, [int]), "held": int, "seen": int}],
    "broken": [{"formula": str, "kind": str}], "beside": int,
    "cells": [{"cell": str, "row": int, "column": int, "value": NUMBER, "probability": float, "state": str, "read": str,
               "candidates": [{"value": NUMBER, "probability": float}], "corners": [[float]], "seen": [[float]]}],
}  # fmt: skip
"""The shapes of a line, as `files.fits` takes them: of a page that could not be read, and of one that was."""
Page = Mapping[str, Any]
"""A line of the file: `Table.as_dict` with the "path" of its picture, or with an "error"."""


@dataclass(frozen=True)
class TableTask(Task):
    """A batch task that reads a table on each page."""

    layout: TableLayout
    mistake: float
    learn: bool
    hand: Hand | None
    columns: ClassVar[tuple[str, ...]] = (
        "path", "file", "mistake", "rows", "columns", "cells", "rules", "broken", "exact", "beside", "learned",
    )  # fmt: skip
    chunk: ClassVar[int] = 1

    def settings(self) -> dict[str, Any]:
        """The layout, the options and the networks."""
        layout = replace(self.layout, observed={}, station=None).to_toml()
        return {
            "task": "tables", "--layout": layout, "--mistakes": self.mistake, "learns": self.learn,
            "network of numbers": fingerprint(NUMBERS), "network of digits": fingerprint(PRETRAINED / ONNX),
            "network that finds": fingerprint(FINDER), **fingerprint_of(self.hand),
        }  # fmt: skip

    def start(self) -> Read:
        """Load a reader, and return the function that reads tables with it."""
        reader = TableReader(self.layout, Reader(hand=self.hand), self.mistake, self.learn)

        def read(picture: str | FilePage) -> dict[str, Any]:
            shown = colours_of(picture) if isinstance(picture, FilePage) else picture
            return {"mistake": self.mistake, **reader.read(shown, str(picture)).as_dict()}

        return lambda pictures, numbers: [read_one(read, picture) for picture in pictures]


def read_tables(
    paths: Sequence[Path], out: Path, layout: TableLayout = ANY, mistake: float = MISTAKE, learn: bool = True,
    hand: Hand | None = None, engine: Engine = "local", workers: int = 0, overwrite: bool = False,
    progress: bool = True,
) -> Scored:  # fmt: skip
    """Read tables, and write their numbers. If a call is interrupted, the same call goes on where it stopped.

    Args:
        paths: Pictures, PDF files, and folders of both.
        out: A .jsonl with a line for each page. Or a .csv or .xlsx of all numbers, or a .zip of a station's
            weather; then the .jsonl is written beside it.
        layout: The layout of these tables.
        mistake: The probability that a writer makes a mistake, for each relation.
        learn: Whether the reader learns the hand of each page from the numbers that its relations settle.
        hand: The learned hand of the writer, if there is one.
        engine: Where the work runs: "local" (the cores of this machine) or "ray" (a Ray cluster).
        workers: The number of reading processes; 0 means one for each core.
        overwrite: Whether to replace the content of `out`.
        progress: Whether to draw a bar on stderr.

    Returns:
        How many pages there are, how many of them cannot be read, and how many this call read.

    Raises:
        ConfigError, DataError, LayoutError, RunError, OutputError, ScoreError, MissingExtraError: As for `score`.
    """
    if not paths:
        raise ConfigError("table read: no pictures: name photographs, scans, PDF files or folders of them")
    rows = rows_beside(out)
    library = NEEDED.get(out.suffix)
    if library and find_spec(library) is None:  # report it before the work begins
        raise MissingExtraError(library, EXTRAS[library], f"writing {out.suffix}")
    if out.suffix == ".zip":
        station_of(layout)
    asked = {"source": os.pathsep.join(str(path.resolve()) for path in paths)}
    return tabulate(
        sheets_in(paths), rows, TableTask(layout, mistake, learn, hand), asked, engine, workers, overwrite, progress,
        lambda: export(pages_of(rows), out, layout) if out != rows else None,
    )  # fmt: skip


def rows_beside(out: Path) -> Path:
    """The path of the .jsonl that belongs to an output file. Raises `ConfigError`."""
    check_suffix("--out", out, *FORMATS)
    return out.with_suffix(".jsonl")


def pages_of(path: Path) -> list[Page]:
    """The pages of a .jsonl of tables. Raises `DataError`."""
    content = read_or(path, DataError, "the .jsonl of tables that were read")
    message = "not a table that was read: take it out, or read them again"
    return [page for _, page in json_lines(path, content, (UNREADABLE, READ), message)]


def numbers_of(page: Page, layout: TableLayout) -> Iterator[tuple[Any, ...]]:
    """A line for each number of a page, with the columns of `HEAD`."""
    for cell in page.get("cells") or ():
        across, down = zip(*cell["corners"], strict=True)
        candidates = "; ".join(f"{one['value']} ({one['probability']:.1%})" for one in cell["candidates"])
        yield (
            page["path"], cell["cell"], cell["row"], cell["column"], layout.names.get(cell["column"] - 1, ""),
            cell["value"], cell["state"], cell["probability"] and round(cell["probability"], 6), cell["read"],
            candidates, min(across), min(down), max(across), max(down),
        )  # fmt: skip


def export(pages: Sequence[Page], out: Path, layout: TableLayout = ANY) -> None:
    """Write all numbers of pages as .csv or .xlsx, or a station's numbers as a .zip of the Station Exchange
    Format, whole or not at all. Raises `OutputError`, `DataError`, `ConfigError`."""
    lines = [line for page in pages for line in numbers_of(page, layout)]
    if out.suffix == ".csv":
        rows = [dict(zip(HEAD, line, strict=True)) for line in lines]
        texts = [csv_line(row | {"value": decimal_of(row["value"])}) for row in rows]
        write_atomically(out, "".join([csv_line(dict(zip(HEAD, HEAD, strict=True))), *texts]))
    elif out.suffix == ".zip":
        write_atomically(out, archive_of(pages, layout))
    else:
        write_atomically(out, workbook_of(pages, lines, layout))


def decimal_of(value: Any) -> Any:
    """A value as a number: JSON has numbers with decimals as texts."""
    return Decimal(value) if isinstance(value, str) else value


def workbook_of(pages: Sequence[Page], lines: Sequence[tuple[Any, ...]], layout: TableLayout = ANY) -> bytes:
    """Tables as a workbook: each page as on paper, and a list of all numbers with their places."""
    import xlsxwriter

    from sumnist.sheets.workbook import text_of

    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    shapes = {state: book.add_format({"bg_color": colour}) for state, colour in COLOURS.items()}
    bold = book.add_format({"bold": True})
    for number, page in enumerate(pages, 1):
        sheet = book.add_worksheet(f"Page {number}")
        sheet.write_string(0, 0, text_of(page["path"]), bold)
        if page.get("error"):
            sheet.write_string(1, 0, text_of(page["error"]))
            continue
        for column in range(page["columns"]):
            sheet.write_string(1, column, layout.names.get(column, letters(column)), bold)
        for cell in page["cells"]:
            place = cell["row"] + 1, cell["column"] - 1
            shape = shapes.get(cell["state"])
            if cell["value"] is None:
                sheet.write_string(*place, "?", shape)
            else:
                sheet.write_number(*place, float(cell["value"]), shape)
            if cell["state"] in COLOURS:
                texts = "; ".join(f"{one['value']} ({one['probability']:.0%})" for one in cell["candidates"][:3])
                sheet.write_comment(*place, f"{cell['state']}; read as {cell['read']}; {texts}")
        sheet.freeze_panes(2, 0)
    every = book.add_worksheet("Numbers")
    for row, line in enumerate([HEAD, *lines]):
        for column, value in enumerate(line):
            every.write(row, column, text_of(value) if isinstance(value, str) else value)
    every.freeze_panes(1, 0)
    book.close()
    return stream.getvalue()


def proposed(pages: Iterable[Page]) -> TableLayout:
    """A layout with the rules that are found on at least half of the pages. Raises `DataError` if no page was read."""
    read = [page for page in pages if not page.get("error")]
    if not read:
        raise DataError("no table could be read on these pages, expected some: look at the errors in their rows")
    found = ((one["formula"], one["places"]) for page in read for one in page["rules"] if one["places"] != [])
    count = Counter((formula, places and tuple(places)) for formula, places in found)
    rules = [rule_of(*one) for one, times in count.items() if times >= OFTEN * len(read)]
    return TableLayout(rules=tuple(rules))


def rule_of(formula: str, places: Iterable[int] | None) -> Rule:
    """A rule as a line has it: it holds in these columns or rows, from 1; None stands for all."""
    return Rule.of(formula, None if places is None else frozenset(place - 1 for place in places))


def evidence_of(pages: Iterable[Page]) -> str:
    """A line for each rule: on how many pages it is found, and in how many of the places where it can be checked it
    holds."""
    read = [page for page in pages if not page.get("error")]
    seen: dict[str, list[Mapping[str, Any]]] = {}
    for page in read:
        for one in page["rules"]:
            seen.setdefault(one["formula"], []).append(one)
    lines = [
        f"{formula}: on {len(some)} of {len(read)} pages, in {sum(one['held'] for one in some)} of "
        f"{sum(one['seen'] for one in some)} places"
        for formula, some in seen.items()
    ]  # fmt: skip
    return "\n".join(lines) or "nothing holds often enough to be more than chance"


def summary_of(pages: Iterable[Page]) -> str:
    """How many numbers are in each state, and which relations do not hold."""
    count, lines = Counter[str](), list[str]()
    for page in pages:
        if page.get("error"):
            lines.append(f"{page['path']}: {page['error'].removeprefix(page['path'] + ': ')}")
            continue
        count.update(cell["state"] for cell in page["cells"])
        if page["beside"] > MANY * len(page["cells"]):
            lines.append(f"{page['path']}: {page['beside']:,} digits stand in no row and column: look at the page")
        lines += [f"{page['path']}: {one['formula']} does not hold ({one['kind']})" for one in page["broken"]]
    counts = ", ".join(f"{state} {number:,}" for state, number in count.most_common())
    return "\n".join([f"{count.total():,} numbers: {counts}" if counts else "no numbers", *lines[:TOLD]])

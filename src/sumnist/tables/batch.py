"""Many tables: photographs, scans and PDF files → their numbers, each with where it comes from.

Everything about many pages is that of a scoring (`batch/score`): all cores or a Ray cluster, and rows that are safe, so
that reading goes on where it was stopped. A line of the .jsonl is a page; other files are made of it.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from sumnist.arithmetic.relations import MISTAKE
from sumnist.batch.score import Read, Result, Scored, csv_line, fingerprint, fingerprint_of, tabulate
from sumnist.config import Engine
from sumnist.errors import EXTRAS, ConfigError, DataError, MissingExtraError, SumnistError
from sumnist.files import FINDER, NUMBERS, ONNX, PRETRAINED, check_suffix, fits, parse_json, write_atomically
from sumnist.inference.hand import Hand
from sumnist.inference.reader import Reader
from sumnist.sheets.batch import sheets_in
from sumnist.sheets.layout import read_or
from sumnist.sheets.pictures import PdfPage, colours_of
from sumnist.tables.layout import TableLayout
from sumnist.tables.reading import ANY, TableReader
from sumnist.tables.rules import Rule, letters
from sumnist.tables.sef import archive_of, station_of

FORMATS = ".jsonl", ".csv", ".xlsx", ".parquet", ".zip"
"""What tables are written as."""
NEEDED = {".xlsx": "xlsxwriter", ".parquet": "pyarrow"}
"""The library that writes it."""
HEAD = (
    "path", "cell", "row", "column", "name", "value", "state", "probability", "read", "candidates", "left", "top",
    "right", "bottom",
)  # fmt: skip
"""The columns of a table of numbers."""
COLOURS = {"by hand": "#BFE3C0", "corrected": "#8CCBF2", "doubtful": "#FFEE77", "struck out": "#E3E3E3"}
"""By state, after Okabe and Ito: who sees fewer hues tells them apart. The state is there in words, too."""
TOLD = 10
"""Pages and relations that are told of: as many as are read on a screen."""
MANY = 0.5
"""Digits that stand in no cell are told of if there are more of them than this share of the cells."""
OFTEN = 0.5
"""The share of the pages on which a rule is found that is proposed for all."""

NUMBER = (None, float, str)
UNREADABLE = {"path": str, "error": str}
READ = {
    "path": str, "rows": int, "columns": int,
    "rules": [{"formula": str, "places": (None, [int]), "held": int, "seen": int}],
    "broken": [{"formula": str, "kind": str}], "beside": int,
    "cells": [{"cell": str, "row": int, "column": int, "value": NUMBER, "probability": float, "state": str, "read": str,
               "candidates": [{"value": NUMBER, "probability": float}], "corners": [[float]], "seen": [[float]]}],
}  # fmt: skip
"""What a line has, as `files.fits` takes it: of a page that could not be read, and of one that was."""
Page = Mapping[str, Any]
"""A line of the file: `Table.as_dict` with the "path" of its picture, or with an "error"."""


@dataclass(frozen=True)
class TableTask:
    """What is read on each page: a table."""

    layout: TableLayout
    mistake: float = MISTAKE
    learn: bool = True
    hand: Hand | None = None
    columns: ClassVar[tuple[str, ...]] = (
        "path", "file", "rows", "columns", "cells", "rules", "broken", "exact", "beside", "learned",
    )  # fmt: skip
    chunk: ClassVar[int] = 1

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values themselves: they are written as JSON alone."""
        return values

    def settings(self) -> dict[str, Any]:
        """The layout, the options and the networks."""
        layout = replace(self.layout, observed={}, station=None).to_toml()
        return {
            "task": "tables", "--layout": layout, "--mistakes": self.mistake, "learns": self.learn,
            "network of numbers": fingerprint(NUMBERS), "network of digits": fingerprint(PRETRAINED / ONNX),
            "network that finds": fingerprint(FINDER), **fingerprint_of(self.hand),
        }  # fmt: skip

    def start(self) -> Read:
        """What reads tables."""
        reader = TableReader(self.layout, Reader(hand=self.hand), self.mistake, self.learn)
        return lambda pictures, numbers: list(map(partial(read_one, reader), pictures))


def read_one(reader: TableReader, picture: str | PdfPage) -> Result:
    """The table on a page, or why it cannot be read."""
    file = picture.path if isinstance(picture, PdfPage) else picture
    try:
        shown = colours_of(picture) if isinstance(picture, PdfPage) else picture
        return {"file": os.path.abspath(file), **reader.read(shown, str(picture)).as_dict()}
    except SumnistError as error:
        return str(error)


def read_tables(
    paths: Sequence[Path], out: Path, layout: TableLayout = ANY, mistake: float = MISTAKE, learn: bool = True,
    hand: Hand | None = None, engine: Engine = "local", workers: int = 0, overwrite: bool = False,
    progress: bool = True,
) -> Scored:  # fmt: skip
    """Read tables, and write their numbers. Called again after it was killed, it goes on where it stopped.

    Args:
        paths: Pictures, PDF files, and folders of both.
        out: A .jsonl with a line for each page; or a .csv, .parquet or .xlsx of all numbers, or a .zip of the weather
            of a station, and the .jsonl beside it.
        layout: What is known of these tables.
        mistake: The probability that a writer makes a mistake, for each relation.
        learn: Whether the hand of each page is learned by what holds there.
        hand: What is known of how the writer writes.
        engine: "local", the cores of this machine, or "ray", a Ray cluster.
        workers: Processes that read; 0 is one for each core.
        overwrite: Whether to replace what `out` holds.
        progress: Whether to draw a bar on stderr.

    Returns:
        How many pages there are, how many of them cannot be read, and how many this call read.

    Raises:
        ConfigError, DataError, LayoutError, RunError, OutputError, ScoreError, MissingExtraError: As `score`.
    """
    if not paths:
        raise ConfigError("table read: no pictures: name photographs, scans, PDF files or folders of them")
    rows = rows_beside(out)
    library = NEEDED.get(out.suffix)
    if library and find_spec(library) is None:  # known before the work
        raise MissingExtraError(library, EXTRAS[library], f"writing {out.suffix}")
    if out.suffix == ".zip":
        station_of(layout)
    asked = {"source": os.pathsep.join(str(path.resolve()) for path in paths)}
    return tabulate(
        sheets_in(paths), rows, TableTask(layout, mistake, learn, hand), asked, engine, workers, overwrite, progress,
        lambda: export(pages_of(rows), out, layout) if out != rows else None,
    )  # fmt: skip


def rows_beside(out: Path) -> Path:
    """The .jsonl of what is written. Raises `ConfigError`."""
    check_suffix("--out", out, *FORMATS)
    return out.with_suffix(".jsonl")


def pages_of(path: Path) -> list[Page]:
    """The pages of a .jsonl of tables. Raises `DataError`."""
    pages = []
    for number, line in enumerate(read_or(path, DataError, "the .jsonl of tables that were read").splitlines(), 1):
        try:
            page = parse_json(line)
        except ValueError:
            page = None
        if not fits(page, UNREADABLE) and not fits(page, READ):
            raise DataError(f"{path}, line {number}: not a table that was read: take it out, or read them again")
        pages.append(page)
    return pages


def numbers_of(page: Page, layout: TableLayout) -> Iterator[tuple[Any, ...]]:
    """A line for each number of a page, as `HEAD` has it."""
    for cell in page.get("cells") or ():
        across, down = zip(*cell["corners"], strict=True)
        candidates = "; ".join(f"{one['value']} ({one['probability']:.1%})" for one in cell["candidates"])
        yield (
            page["path"], cell["cell"], cell["row"], cell["column"], layout.names.get(cell["column"] - 1, ""),
            cell["value"], cell["state"], cell["probability"] and round(cell["probability"], 6), cell["read"],
            candidates, min(across), min(down), max(across), max(down),
        )  # fmt: skip


def export(pages: Sequence[Page], out: Path, layout: TableLayout = ANY) -> None:
    """Write all numbers of pages as .csv, .parquet or .xlsx, or those of a station as a .zip of the Station Exchange
    Format, whole or not at all. Raises `OutputError`, `DataError`, `ConfigError`."""
    lines = [line for page in pages for line in numbers_of(page, layout)]
    if out.suffix == ".csv":
        rows = [dict(zip(HEAD, line, strict=True)) for line in lines]
        texts = [csv_line(row | {"value": decimal_of(row["value"])}) for row in rows]
        write_atomically(out, "".join([csv_line(dict(zip(HEAD, HEAD, strict=True))), *texts]))
    elif out.suffix == ".parquet":
        write_parquet(lines, out)
    elif out.suffix == ".zip":
        write_atomically(out, archive_of(pages, layout))
    else:
        write_workbook(pages, lines, out, layout)


def decimal_of(value: Any) -> Any:
    """A value that JSON has as a text, since it has decimals."""
    return Decimal(value) if isinstance(value, str) else value


def write_parquet(lines: Sequence[tuple[Any, ...]], out: Path) -> None:
    """Write numbers as Parquet, values as texts, which keep their decimals."""
    import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from pyarrow import parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]

    columns = list(zip(*lines, strict=True)) or [()] * len(HEAD)
    values = {name: list(map(str, column)) if name == "value" else list(column)
              for name, column in zip(HEAD, columns, strict=True)}  # fmt: skip
    parquet.write_table(pyarrow.table(values), stream := io.BytesIO())
    write_atomically(out, stream.getvalue())


def write_workbook(pages: Sequence[Page], lines: Sequence[tuple[Any, ...]], out: Path, layout: TableLayout) -> None:
    """Write tables as a workbook: each page as it stands on paper, and all numbers with where they come from."""
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
                told = "; ".join(f"{one['value']} ({one['probability']:.0%})" for one in cell["candidates"][:3])
                sheet.write_comment(*place, f"{cell['state']}; read as {cell['read']}; {told}")
        sheet.freeze_panes(2, 0)
    every = book.add_worksheet("Numbers")
    for row, line in enumerate([HEAD, *lines]):
        for column, value in enumerate(line):
            every.write(row, column, text_of(value) if isinstance(value, str) else value)
    every.freeze_panes(1, 0)
    book.close()
    write_atomically(out, stream.getvalue())


def proposed(pages: Iterable[Page]) -> TableLayout:
    """What holds on most of many pages, as a layout. Raises `DataError` if none was read."""
    read = [page for page in pages if not page.get("error")]
    if not read:
        raise DataError("no table could be read on these pages, expected some: look at the errors in their rows")
    count = Counter((one["formula"], tuple(one["places"] or ())) for page in read for one in page["rules"])
    rules = [
        Rule.of(formula, frozenset(place - 1 for place in places) if places else None)
        for (formula, places), times in count.items() if times >= max(1, OFTEN * len(read))
    ]  # fmt: skip
    return TableLayout(rules=tuple(rules))


def evidence_of(pages: Iterable[Page]) -> str:
    """What holds, in lines: in how many of the places in which it can be seen, on how many pages."""
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
    count: Counter[str] = Counter()
    lines = list[str]()
    for page in pages:
        if page.get("error"):
            lines.append(f"{page['path']}: {page['error'].removeprefix(page['path'] + ': ')}")
            continue
        count.update(cell["state"] for cell in page["cells"])
        if page["beside"] > MANY * len(page["cells"]):
            lines.append(f"{page['path']}: {page['beside']:,} digits stand in no row and column: look at the page")
        lines += [f"{page['path']}: {one['formula']} does not hold ({one['kind']})" for one in page["broken"]]
    told = ", ".join(f"{state} {number:,}" for state, number in count.most_common())
    return "\n".join([f"{count.total():,} numbers: {told}" if told else "no numbers", *lines[:TOLD]])

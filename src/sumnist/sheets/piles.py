"""Piles of sheets: photographs, scans and PDF files → a table with a row for each sheet.

Everything about many rows is that of a scoring (`batch/score`): all cores or a Ray cluster, bounded memory, and
rows that are safe, so that reading goes on where it was stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sumnist.batch.score import Scored, fingerprint, tabulate
from sumnist.batch.sources import Row, Source, listing, pictures_in
from sumnist.batch.table import Read, Result
from sumnist.config import Engine, ReadingEngine
from sumnist.environment import library_version
from sumnist.errors import ConfigError, DataError, ImageError, SumnistError
from sumnist.files import CELLS, NUMBERS, ONNX, PRETRAINED
from sumnist.sheets.layout import Layout
from sumnist.sheets.mistakes import MISTAKE
from sumnist.sheets.pictures import PdfPage, is_pdf, pages_of
from sumnist.sheets.reading import SheetReader, finder

__all__ = ["SheetTask", "pile_of", "read_pile"]


@dataclass(frozen=True)
class SheetTask:
    """What is read on each sheet: the numbers of a layout."""

    layout: Layout
    mistake: float = MISTAKE
    engine: ReadingEngine = "ours"
    columns: ClassVar[tuple[str, ...]] = (
        "path", "file", "state", "identity", "layout", "version", "probability", "values", "read", "how", "corrections",
        "wrong", "look", "matrix", "offset",
    )  # fmt: skip
    chunk: ClassVar[int] = 4

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of a row with a column for each field; what was corrected and what is to be looked at in words."""
        numbers = values["values"] or {}
        corrected = [f"{one['field']}: {one['read']} → {one['value']}" for one in values["corrections"] or ()]
        wrong = [f"{one['field']}: {one['written']}, not {one['sum']}" for one in values["wrong"] or ()]
        look = [f"{one['field']}: {told(one['candidates'])}" for one in values["look"] or ()]
        first = {
            "row": values["row"], "path": values["path"], "identity": values["identity"],
            "state": values["state"] or ("unreadable" if values["error"] else None),
        }  # fmt: skip
        last = {
            "corrected": "; ".join(corrected), "wrong": "; ".join(wrong), "look": "; ".join(look),
            "probability": values["probability"], "version": values["version"], "error": values["error"],
        }  # fmt: skip
        fields = {name + " (field)" * (name in first | last): numbers.get(name) for name in self.layout.names}
        return first | fields | last

    def settings(self) -> dict[str, Any]:
        """The layout, the options and the networks."""
        others = {} if self.engine == "ours" else {"version of rapidocr": library_version("rapidocr")}
        return {
            "task": "sheets", "--layout": self.layout.to_toml(), "--mistakes": self.mistake, "--read-with": self.engine,
            "network of cells": fingerprint(CELLS), "network of numbers": fingerprint(NUMBERS),
            "network of digits": fingerprint(PRETRAINED / ONNX), **others,
        }  # fmt: skip

    def start(self) -> Read:
        """What reads sheets."""
        reader = SheetReader(self.layout, self.mistake, self.engine)

        def read(pictures: list[Any], numbers: list[int | None]) -> list[Result]:
            return [read_one(reader, picture) for picture in pictures]

        return read


def told(candidates: Sequence[dict[str, Any]]) -> str:
    """What a cell may be, in words: 7 (82 %) or 1 (17 %)."""
    return " or ".join(
        f"{'?' if one['value'] is None else one['value']} ({one['probability']:.0%})" for one in candidates
    )


def read_one(reader: SheetReader, picture: str | PdfPage) -> Result:
    """What is on a sheet, or why it cannot be read."""
    file = picture.path if isinstance(picture, PdfPage) else picture
    try:
        return {"file": os.path.abspath(file), **reader.read(picture).as_dict()}
    except SumnistError as error:
        return str(error)


def pile_of(paths: Sequence[Path]) -> Source:
    """The pictures of sheets, one for each row: files, the pages of PDF files, and what of both is in folders.

    Raises:
        DataError: There is no such file or folder, or no picture in it.
    """
    files: list[str] = []
    for path in paths:
        if path.is_dir():
            found = pictures_in(path, ".pdf")
            if not found:
                raise DataError(f"{path}: no pictures and no PDF files in it, expected sheets: check the name")
            files += [os.path.join(path, name) for name in found]
        elif path.is_file():
            files.append(str(path))
        else:
            state = "is a device or a pipe" if path.exists() else "does not exist"
            raise DataError(f"{path}: {state}, expected a picture, a PDF file or a folder of them: check the name")
    counts = {file: pages(file) for file in files if is_pdf(file)}
    count = sum(one if isinstance(one := counts.get(file, 1), int) else 1 for file in files)
    return Source(rows_of(files, counts), count, files, listing("", files))


def pages(file: str) -> int | str:
    """How many pages a PDF file has, or why it has none."""
    try:
        return pages_of(file) or f"{file}: has no pages, expected some: save it again"
    except ImageError as error:
        return str(error)


def rows_of(files: Sequence[str], counts: dict[str, int | str]) -> Iterator[Row]:
    """A row for each picture and each page; of a PDF file that cannot be opened one with the error."""
    for file in files:
        count = counts.get(file)
        if count is None:
            yield Row(file, None, file)
        elif isinstance(count, str):
            yield Row(file, None, error=count)
        else:
            for page in range(1, count + 1):
                yield Row(str(PdfPage(file, page)), None, PdfPage(file, page))


def read_pile(
    paths: Sequence[Path], layout: Layout, out: Path, mistake: float = MISTAKE, reading: ReadingEngine = "ours",
    engine: Engine = "local", workers: int = 0, overwrite: bool = False, progress: bool = True,
    then: Callable[[], object] | None = None,
) -> Scored:  # fmt: skip
    """Read sheets, and write a row for each. Called again after it was killed, it goes on where it stopped.

    Args:
        paths: Pictures, PDF files, and folders of both.
        layout: What is on the forms.
        out: The table to write, a `.csv` or `.jsonl`.
        mistake: The probability that a writer adds up wrongly, for each total.
        reading: What reads numbers in strips: "ours", "ocr" or "both".
        engine: "local", the cores of this machine, or "ray", a Ray cluster.
        workers: Processes that read; 0 is one for each core.
        overwrite: Whether to replace what `out` holds.
        progress: Whether to draw a bar on stderr.
        then: What is to be done with the table. Where that fails, or is killed, the same call does it again.

    Returns:
        How many rows there are, how many of them are unreadable, and how many this call read.

    Raises:
        ConfigError, DataError, LayoutError, RunError, OutputError, ScoreError, MissingExtraError: As `score`.
    """
    if not paths:
        raise ConfigError("sheet read: no pictures: name photographs, PDF files or folders of them")
    finder()
    SheetReader(layout, mistake, reading)  # what is wrong is known before the work
    asked = {"source": os.pathsep.join(str(path.resolve()) for path in paths)}
    return tabulate(
        pile_of(paths), out, SheetTask(layout, mistake, reading), asked, engine, workers, overwrite, progress, then
    )

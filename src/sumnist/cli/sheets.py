"""The commands of paper forms: `sumnist sheet new`, `sheet read` and `sheet review`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from sumnist.cli.door import say
from sumnist.cli.options import WorkerCount
from sumnist.config import Engine, Range, ReadingEngine, flag
from sumnist.errors import ConfigError, LayoutError, OutputError
from sumnist.files import check_replaceable, read_whole, write_atomically

if TYPE_CHECKING:
    from sumnist.sheets.layout import Layout, Person

__all__ = ["SheetCommand", "SheetNew", "SheetRead", "SheetReview"]

MISTAKE = 0.02
"""As `sheets/check` has it, which needs NumPy."""


@dataclass(frozen=True, kw_only=True)
class SheetNew:
    """Print a form for handwritten numbers, whose total checks them.
    As in `sumnist sheet new 9,7,13,12 --out cover.pdf`: questions with these largest marks, and their total. It also
    writes cover.toml, the layout: change it and print it with --from. Needs the extra [sheets]."""

    marks: str | None = None
    """the largest mark of each question, such as 9,7.5,13 (required, unless --from)"""
    out: Path
    """PDF file to write; a new layout goes beside it, into a file whose name ends in .toml"""
    from_: Path | None = None
    """TOML file of the layout to print, instead of MARKS"""
    people: Path | None = None
    """CSV file with a line for each person: an identity or a name, and perhaps a name behind it (default: one blank
    page)"""
    title: str | None = None
    """what is printed above a new layout (default: Exam)"""
    paper: Literal["A4", "Letter"] | None = None
    """paper of a new layout (default: A4)"""
    font: Path | None = None
    """TrueType file of the font, for letters that are neither Latin, Greek, Cyrillic, Armenian nor Georgian"""

    def run(self) -> int:
        """Write the PDF, and a new layout beside it; the exit code."""
        from sumnist.sheets.layout import Layout, read_people
        from sumnist.sheets.printing import pdf

        if (self.marks is None) == (self.from_ is None):
            raise ConfigError(
                "sheet new: expected either MARKS, such as 9,7,13,12, or --from layout.toml: give one of them"
            )
        check_replaceable(self.out)
        if self.from_ is not None:
            for name in ("title", "paper"):
                if getattr(self, name) is not None:
                    raise ConfigError(f"{flag(name)} {getattr(self, name)}: is in {self.from_}: change it there")
            layout = Layout.load(self.from_)
        else:
            layout = Layout.of_line(self.marks or "", self.title or "Exam", self.paper or "A4")
            self.check_beside(layout.to_toml())
        people = [] if self.people is None else read_people(self.people)
        write_atomically(self.out, pdf(layout, people, self.font))
        nobody = not people and layout.identity.kind == "printed"
        pages = f"{max(1, len(people)):,} page{'s' * (len(people) > 1)}"
        if self.from_ is not None:
            say(f"{self.out}: {pages}")
        else:
            write_atomically(self.beside, layout.to_toml())
            say(f"{self.out}: {pages}; {self.beside}: the layout, which reading them needs")
        if nobody:
            say(
                "Nobody is named in its code, so reading cannot tell whose a sheet is: name them with --people, or "
                f'change [identity] in {self.from_ or self.beside} to kind = "digits" and print that with --from'
            )
        return 0

    @property
    def beside(self) -> Path:
        """Where a new layout goes."""
        return self.out.with_suffix(".toml")

    def check_beside(self, text: str) -> None:
        """Raise `OutputError` if there is another layout, or something else, where the new one goes."""
        if self.out.suffix == ".toml":
            raise OutputError(f"{self.out}: is the name of a layout, expected that of a PDF: choose another --out")
        if self.beside.exists():
            check_replaceable(self.beside)
            if read_whole(self.beside) != text.encode():
                raise OutputError(
                    f"{self.beside}: is another layout than the new one: print it with --from {self.beside}, or choose "
                    "another --out"
                )


@dataclass(frozen=True, kw_only=True)
class SheetRead:
    """Read photographed or scanned forms, checked by their totals.
    As in `sumnist sheet read photos/ scans.pdf --layout cover.toml --out marks.xlsx`, which also writes marks.jsonl and
    marks.toml, for `sumnist sheet review`. Killed and started again, it goes on where it stopped. Needs the extra
    [sheets]."""

    pictures: tuple[Path, ...]
    """photographs, PDF files, or folders of both"""
    layout: Path
    """TOML file of the layout, which `sumnist sheet new` wrote"""
    out: Path
    """table to write: .xlsx, .csv or .jsonl"""
    people: Path | None = None
    """CSV file of those whose sheets are expected, for their names and for who is missing; for .xlsx and
    .jsonl"""
    mistakes: Annotated[float, Range(0, 0.5, "a probability from 0 to 0.5, such as 0.02")] = MISTAKE
    """how often a total is expected to be added up wrongly"""
    read_with: ReadingEngine = "ours"
    """what reads numbers in strips: this package's network (ours), a general reader of text (ocr), or both"""
    engine: Engine = "local"
    """local (the cores of this machine) or ray (a Ray cluster: the one that RAY_ADDRESS names)"""
    workers: WorkerCount = 0
    """processes that read; 0 is one for each core"""
    overwrite: bool = False
    """replace what --out holds"""

    def run(self) -> int:
        """Read all sheets, say what became of them; the exit code."""
        from sumnist.sheets.batch import read_batch
        from sumnist.sheets.layout import Layout, read_people

        if self.out.suffix not in (".xlsx", ".csv", ".jsonl"):
            raise ConfigError(f"--out {self.out}: expected a name that ends in .xlsx, .csv or .jsonl")
        if self.people is not None and self.out.suffix == ".csv":
            raise ConfigError(f"--people {self.people}: is for .xlsx and .jsonl: leave it out, or change --out")
        layout = Layout.load(self.layout)
        people = [] if self.people is None else read_people(self.people)
        if self.out.suffix != ".csv":
            self.check_beside(layout)
        done = read_batch(
            self.pictures, layout, self.rows, self.mistakes, self.read_with, self.engine, self.workers, self.overwrite,
            progress=sys.stderr.isatty(), then=lambda: self.finish(layout, people),
        )  # fmt: skip
        counts = f"{done.rows:,} sheet{'s' * (done.rows != 1)}, {done.failed:,} unreadable"
        say(f"{self.out}: {counts}; {done.read_now / max(done.seconds, 1e-9):,.1f} a second")
        return 1 if done.failed else 0

    @property
    def rows(self) -> Path:
        """Where a row for each sheet goes."""
        return self.out.with_suffix(".jsonl") if self.out.suffix == ".xlsx" else self.out

    def check_beside(self, layout: Layout) -> None:
        """Raise `OutputError` if what is to be written, or would belong to it, is there and another's."""
        from sumnist.sheets.review import beside

        if self.out != self.rows:
            check_replaceable(self.out)
            if self.out.exists() and not self.overwrite and not self.rows.exists():
                raise OutputError(f"--out {self.out}: is there already: name another file or add --overwrite")
        toml = self.rows.with_suffix(".toml")
        if toml.exists() and not holds(toml, layout):
            raise OutputError(
                f"{toml}: is not the layout {self.layout}, and reading writes that there: move it away, or choose "
                "another --out"
            )
        if (said := beside(self.rows)).exists():
            raise OutputError(
                f"{said}: has what people said of the sheets that were read before: go on with `sumnist sheet review "
                f"{self.rows}`, or choose another --out"
            )

    def finish(self, layout: Layout, people: Sequence[Person]) -> None:
        """Write what goes with the rows of all sheets, and say what became of these."""
        from sumnist.sheets.batch import Summary
        from sumnist.sheets.review import export, read_rows

        if self.out.suffix == ".csv":
            return
        if not (toml := self.rows.with_suffix(".toml")).exists():
            write_atomically(toml, layout.to_toml())
        if self.out == self.rows:
            found = Summary(layout, people, read_rows(self.rows, layout))
        else:
            found = export(self.rows, layout, self.out, people)
        say(found.text())


def holds(path: Path, layout: Layout) -> bool:
    """Whether a file has this layout, in whatever words. Raises `OutputError` if it is no file."""
    check_replaceable(path)
    try:
        return type(layout).load(path) == layout
    except LayoutError:
        return False


@dataclass(frozen=True, kw_only=True)
class SheetReview:
    """Look at the sheets that need a person, on a page in the browser.
    As in `sumnist sheet review marks.jsonl`, with what `sumnist sheet read` wrote. Corrections are kept as they are
    made, in marks.corrections.jsonl; Ctrl-C ends it, and next time it goes on where it was. Needs the extra [serve]."""

    marks: Path
    """JSONL file of the sheets that were read"""
    layout: Path | None = None
    """TOML file of their layout (default: the one beside MARKS with its name)"""
    people: Path | None = None
    """CSV file of those whose sheets are expected, for the workbook"""
    port: Annotated[int, Range(0, 65_535)] = 0
    """port of this machine for the page; 0 takes a free one"""
    no_browser: bool = False
    """only print the address of the page"""

    def run(self) -> int:
        """Serve the page until Ctrl-C; the exit code."""
        from sumnist.serve.review import review
        from sumnist.sheets.layout import Layout, read_people

        if self.marks.suffix in (".xlsx", ".csv"):
            raise ConfigError(
                f"{self.marks}: is a table for people, expected the rows that were read: name the .jsonl file beside "
                "it, or read the sheets with --out marks.xlsx"
            )
        layout = Layout.load(self.layout or self.marks.parent / f"{self.marks.stem}.toml")
        people = [] if self.people is None else read_people(self.people)
        if not review(self.marks, layout, self.port, self.open, people=people):
            say(f"{self.marks}: no sheet in it needs a person: nothing to do")
        return 0

    def open(self, url: str, left: int) -> None:
        """Say where the page is, and open it."""
        from threading import Thread
        from webbrowser import open as show

        say(f"{url}: {left:,} sheet{'s' * (left != 1)} to look at; Ctrl-C ends this")
        if not self.no_browser:  # a browser in the terminal would hold up the server
            Thread(target=show, args=(url,), daemon=True).start()


SheetCommand = SheetNew | SheetRead | SheetReview

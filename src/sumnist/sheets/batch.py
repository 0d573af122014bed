"""Reads many sheets from photographs, scans and PDF files, and writes a table with a row for each sheet.

As in scoring (`batch/score`), the work uses all cores or a Ray cluster, and bounded memory. Finished rows are safe, so
an interrupted run goes on where it stopped. `Summary` counts the results.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, get_args

from sumnist.batch.score import Read, Result, Scored, fingerprint, fingerprint_of, tabulate
from sumnist.batch.sources import Row, Source, listing, pictures_in
from sumnist.config import Engine
from sumnist.errors import ConfigError, DataError, ImageError, SumnistError, visible
from sumnist.files import NUMBERS, ONNX, PRETRAINED
from sumnist.formulas import MISTAKE
from sumnist.inference.hand import Hand
from sumnist.sheets.check import Outcome
from sumnist.sheets.layout import Layout, Person
from sumnist.sheets.pictures import FilePage, has_pages, is_tiff, pages_of
from sumnist.sheets.reading import SheetReader, finder


@dataclass(frozen=True)
class SheetTask:
    """A batch task that reads the numbers of a layout on each sheet."""

    layout: Layout
    mistake: float = MISTAKE
    hand: Hand | None = None
    columns: ClassVar[tuple[str, ...]] = (
        "path", "file", "state", "identity", "layout", "version", "probability", "values", "read", "how", "corrections",
        "wrong", "look", "matrix", "offset",
    )  # fmt: skip
    chunk: ClassVar[int] = 4

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of a row in flat columns: one for each field; corrections, wrong totals and cells to look at as
        text."""
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
        return {
            "task": "sheets", "--layout": self.layout.to_toml(), "--mistakes": self.mistake,
            "network of numbers": fingerprint(NUMBERS),
            "network of digits": fingerprint(PRETRAINED / ONNX), **fingerprint_of(self.hand),
        }  # fmt: skip

    def start(self) -> Read:
        """Load a reader, and return the function that reads sheets with it."""
        reader = SheetReader(self.layout, self.mistake, self.hand)
        return lambda pictures, numbers: [read_one(lambda one: reader.read(one).as_dict(), one) for one in pictures]


def told(candidates: Sequence[dict[str, Any]]) -> str:
    """The candidates of a cell in words, such as 7 (82%) or 1 (17%)."""
    return " or ".join(
        f"{'?' if one['value'] is None else one['value']} ({one['probability']:.0%})" for one in candidates
    )


def read_one(read: Callable[[str | FilePage], dict[str, Any]], picture: str | FilePage) -> Result:
    """Read one picture or page: its reading as a dict with its file, or the reason why it cannot be read."""
    file = picture.path if isinstance(picture, FilePage) else picture
    try:
        return {"file": os.path.abspath(file), **read(picture)}
    except SumnistError as error:
        return str(error)


def sheets_in(paths: Sequence[Path]) -> Source:
    """The pictures of sheets as rows: picture files, the pages of PDF and TIFF files, and all of these in folders. A
    file of pages that cannot be opened becomes one row with the error.

    Raises:
        DataError: A path is neither a file nor a folder, or a folder has no pictures.
    """
    files: list[str] = []
    for path in paths:
        if path.is_dir():
            if not (found := pictures_in(path, ".pdf")):
                raise DataError(f"{path}: no pictures and no PDF files in it, expected sheets: check the name")
            files += [os.path.join(path, name) for name in found]
        elif path.is_file():
            files.append(str(path))
        else:
            state = "is a device or a pipe" if path.exists() else "does not exist"
            raise DataError(f"{path}: {state}, expected a picture, a PDF file or a folder of them: check the name")
    rows = [row for file in files for row in (pages_in(file) if has_pages(file) else [Row(file, None, file)])]
    return Source((row for row in rows), len(rows), files, listing("", files))


def pages_in(file: str, content: bytes | None = None) -> list[Row]:
    """A row for each page of a PDF or TIFF file, or one row with the reason why there are no pages; a TIFF file of one
    page is a picture. `content` as for `FilePage`."""
    try:
        pages = [FilePage(file, page, content) for page in range(1, pages_of(file, content) + 1)]
    except ImageError as error:
        return [Row(file, None, error=str(error))]
    if is_tiff(file, content) and len(pages) == 1:
        return [Row(file, None, file if content is None else content)]
    none = Row(file, None, error=f"{file}: has no pages, expected some: save it again")
    return [Row(str(page), None, page) for page in pages] or [none]


def read_batch(
    paths: Sequence[Path], layout: Layout, out: Path, mistake: float = MISTAKE,
    engine: Engine = "local", workers: int = 0, overwrite: bool = False, progress: bool = True,
    then: Callable[[], object] | None = None, hand: Hand | None = None,
) -> Scored:  # fmt: skip
    """Read sheets, and write a row for each. If a call is interrupted, the same call goes on where it stopped.

    Args:
        paths: Pictures, PDF files, and folders of both.
        layout: The layout of the forms.
        out: The table to write, a `.csv` or `.jsonl`.
        mistake: The probability that a writer adds up wrongly, for each total.
        engine: Where the work runs: "local" (the cores of this machine) or "ray" (a Ray cluster).
        workers: The number of reading processes; 0 means one for each core.
        overwrite: Whether to replace the content of `out`.
        progress: Whether to draw a bar on stderr.
        then: Called when the table is complete. If it fails or is killed, the same call of `read_batch` runs it again.
        hand: The learned hand of the sheets' writer, if there is one.

    Returns:
        How many rows there are, how many of them are unreadable, and how many this call read.

    Raises:
        ConfigError, DataError, LayoutError, RunError, OutputError, ScoreError, MissingExtraError: As for `score`.
    """
    if not paths:
        raise ConfigError("sheet read: no pictures: name photographs, PDF files or folders of them")
    finder()
    SheetReader(layout, mistake, hand)  # report errors before the work begins
    asked = {"source": os.pathsep.join(str(path.resolve()) for path in paths)}
    return tabulate(
        sheets_in(paths), out, SheetTask(layout, mistake, hand), asked, engine, workers, overwrite, progress,
        then,
    )  # fmt: skip


# Summary.

BY_HAND, UNREADABLE = "by hand", "unreadable"
STATES = (*get_args(Outcome), BY_HAND, UNREADABLE)
"""The states of a sheet, in the order in which they are printed."""
TOLD = 10
"""The most entries of one kind that are printed, so that they fit on a screen."""


class Section(NamedTuple):
    """A table of problems of one kind; empty if all is well."""

    title: str
    columns: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]


def roster(people: Iterable[Person]) -> Callable[[str | None], Person | None]:
    """A function that finds the person with an identity, or None. Leading zeros matter only if people differ in nothing
    else: programs drop zeros before a number, and writers add zeros to fill all boxes."""
    exact = {person.identity: person for person in people}
    count = Counter(identity.lstrip("0") for identity in exact)
    short = {key.lstrip("0"): person for key, person in exact.items() if count[key.lstrip("0")] == 1}
    return lambda identity: (exact.get(identity) or short.get(identity.lstrip("0"))) if identity else None


class Summary:
    """Counts sheets by state, and collects the problems.

    Attributes:
        states: How many sheets have each state.
        versions: How many readable sheets have each layout and version.
        files: The paths of the sheets of each identity, which is spelt as in `people`, or else as on the sheets.
        unknown: Identities that no person has ("" for a sheet without one), each with the sheet's path; empty if no
            people are given.
        unreadable: The paths of unreadable sheets, each with the reason.
    """

    def __init__(self, layout: Layout, people: Sequence[Person] = (), rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.layout, self.people, self.person = layout, tuple(people), roster(people)
        self.states: Counter[str] = Counter()
        self.versions: Counter[tuple[str, int]] = Counter()
        self.files: dict[str, list[str]] = {}
        self.unknown: list[tuple[str, str]] = []
        self.unreadable: list[tuple[str, str]] = []
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a sheet."""
        path, now = row["path"], state(row)
        self.states[now] += 1
        if now == UNREADABLE:
            self.unreadable.append((path, (row.get("error") or "").removeprefix(f"{path}: ")))
            return
        if row.get("layout"):
            self.versions[row["layout"], row["version"]] += 1
        identity = row.get("identity") or ""
        person = self.person(identity)
        if identity:
            self.files.setdefault(person.identity if person else identity, []).append(path)
        if self.people and not person:
            self.unknown.append((identity, path))

    def name(self, identity: str | None) -> str:
        """The name of the person with an identity, or ""."""
        person = self.person(identity)
        return person.name if person else ""

    def sections(self) -> tuple[Section, ...]:
        """The tables of problems, one for each kind."""
        missing = [(one.identity, one.name) for one in self.people if one.identity not in self.files]
        twice = [(key, self.name(key), ", ".join(paths)) for key, paths in self.files.items() if len(paths) > 1]
        unknown = [(identity or "(none)", path) for identity, path in self.unknown]
        ours = self.layout.id, self.layout.version
        others = [
            (layout, f"version {version}", counted(count))
            for (layout, version), count in sorted(self.versions.items()) if (layout, version) != ours
        ]  # fmt: skip
        return (
            Section("Unreadable", ("File", "Why"), self.unreadable),
            Section("People without a readable sheet", ("Identity", "Name"), missing),
            Section("On several sheets", ("Identity", "Name", "Files"), twice),
            Section("Not among the people", ("Identity", "File"), unknown),
            Section("Of another layout or version", ("Layout", "Version", "Sheets"), others),
        )

    def text(self) -> str:
        """The summary as lines to print."""
        total = self.states.total()
        counts = ", ".join(f"{name} {self.states[name]:,}" for name in STATES if self.states[name])
        lines = [": ".join(filter(None, (counted(total), counts)))]
        for title, _, rows in self.sections():
            shown = [" · ".join(filter(None, row)) for row in rows[:TOLD]]
            more = [f"and {len(rows) - TOLD:,} more"] * (len(rows) > TOLD)
            lines += [f"{title}, {len(rows):,}: {'; '.join([*shown, *more])}"] * bool(rows)
        return "\n".join(map(visible, lines))


def counted(sheets: int) -> str:
    """A number of sheets in words, such as 1 sheet or 1,200 sheets."""
    return f"{sheets:,} sheet{'s' * (sheets != 1)}"


def state(row: Mapping[str, Any]) -> str:
    """The state of a row, one of `STATES`."""
    return row.get("state") or UNREADABLE

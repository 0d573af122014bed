"""What became of all sheets together: how many there are of each state, whose are missing, and what is odd."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from sumnist.sheets.layout import Layout
from sumnist.sheets.people import Person
from sumnist.sheets.verdict import Outcome

__all__ = ["BY_HAND", "STATES", "UNREADABLE", "Roster", "Section", "Summary", "state", "summary", "visible"]

BY_HAND, UNREADABLE = "by hand", "unreadable"
STATES = (*get_args(Outcome), BY_HAND, UNREADABLE)
"""What a sheet may be, in the order in which it is told."""
TOLD = 10
"""Entries of a kind that are printed: as many as are read on a screen."""
UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of characters that end a line, change a terminal, or have no bytes."""
NO_CHARACTERS = {"\ufffe", "\uffff"}
"""What XML does not allow besides."""


class Section(NamedTuple):
    """A table of what is odd; there is nothing in it if all is well."""

    title: str
    columns: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]


class Roster:
    """The people, by what a sheet says of them: programs drop zeros before a number, and who writes fills boxes up."""

    def __init__(self, people: Iterable[Person]) -> None:
        self.exact = {person.identity: person for person in people}
        count = Counter(identity.lstrip("0") for identity in self.exact)
        short = ((identity.lstrip("0"), person) for identity, person in self.exact.items())
        self.short = {identity: person for identity, person in short if count[identity] == 1}

    def find(self, identity: str | None) -> Person | None:
        """The person of an identity, if it is anybody's."""
        if not identity:
            return None
        return self.exact.get(identity) or self.short.get(identity.lstrip("0"))


class Summary:
    """What became of the sheets that were added.

    Attributes:
        states: How many sheets there are of each state.
        versions: How many readable sheets are of each layout and version.
        files: Where the sheets of each identity are, as `people` or else the sheets have it.
        unknown: Identities that nobody has, "" for none, and where; nothing if no people are given.
        unreadable: Where the unreadable sheets are, and why.
    """

    def __init__(self, layout: Layout, people: Sequence[Person] = ()) -> None:
        self.layout, self.people, self.roster = layout, tuple(people), Roster(people)
        self.states: Counter[str] = Counter()
        self.versions: Counter[tuple[str, int]] = Counter()
        self.files: dict[str, list[str]] = {}
        self.unknown: list[tuple[str, str]] = []
        self.unreadable: list[tuple[str, str]] = []

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
        person = self.roster.find(identity)
        if identity:
            self.files.setdefault(person.identity if person else identity, []).append(path)
        if self.people and not person:
            self.unknown.append((identity, path))

    @property
    def missing(self) -> list[Person]:
        """The people of whom there is no readable sheet."""
        return [person for person in self.people if person.identity not in self.files]

    @property
    def duplicates(self) -> dict[str, list[str]]:
        """The identities that are on several sheets, and where."""
        return {identity: paths for identity, paths in self.files.items() if len(paths) > 1}

    @property
    def others(self) -> dict[tuple[str, int], int]:
        """How many sheets are of each other layout, or of another version of this one."""
        ours = self.layout.id, self.layout.version
        return {kind: count for kind, count in sorted(self.versions.items()) if kind != ours}

    def name(self, identity: str | None) -> str:
        """The name of whoever has an identity, or ""."""
        person = self.roster.find(identity)
        return person.name if person else ""

    def sections(self) -> tuple[Section, ...]:
        """What is odd, in tables."""
        missing = [(person.identity, person.name) for person in self.missing]
        twice = [(identity, self.name(identity), ", ".join(paths)) for identity, paths in self.duplicates.items()]
        unknown = [(identity or "(none)", path) for identity, path in self.unknown]
        others = [(layout, f"version {version}", counted(count)) for (layout, version), count in self.others.items()]
        return (
            Section("Unreadable", ("File", "Why"), self.unreadable),
            Section("People without a readable sheet", ("Identity", "Name"), missing),
            Section("On several sheets", ("Identity", "Name", "Files"), twice),
            Section("Not among the people", ("Identity", "File"), unknown),
            Section("Of another layout or version", ("Layout", "Version", "Sheets"), others),
        )

    def text(self) -> str:
        """Some lines to print."""
        total = self.states.total()
        counts = ", ".join(f"{name} {self.states[name]:,}" for name in STATES if self.states[name])
        lines = [": ".join(filter(None, (counted(total), counts)))]
        for title, _, rows in self.sections():
            told = [" · ".join(filter(None, row)) for row in rows[:TOLD]]
            more = [f"and {len(rows) - TOLD:,} more"] * (len(rows) > TOLD)
            lines += [f"{title}, {len(rows):,}: {'; '.join([*told, *more])}"] * bool(rows)
        return "\n".join(map(visible, lines))


def counted(sheets: int) -> str:
    """So many sheets, in words."""
    return f"{sheets:,} sheet{'s' * (sheets != 1)}"


def summary(rows: Iterable[Mapping[str, Any]], layout: Layout, people: Sequence[Person] = ()) -> Summary:
    """What became of the sheets of these rows of marks.jsonl."""
    found = Summary(layout, people)
    for row in rows:
        found.add(row)
    return found


def state(row: Mapping[str, Any]) -> str:
    """What a sheet is, one of `STATES`."""
    return row.get("state") or UNREADABLE


def visible(text: str) -> str:
    """A text as one line, with escapes such as \\x1b for characters that cannot be seen or written."""
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in UNSEEN or char in NO_CHARACTERS else char
        for char in text
    )  # fmt: skip

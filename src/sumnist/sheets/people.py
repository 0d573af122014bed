"""Who gets a form: the people of a CSV file, one on each line."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from sumnist.errors import DataError, LayoutError
from sumnist.files import read_whole
from sumnist.sheets.layout import check_text

__all__ = ["Person", "read_people"]

HEADERS = {"id", "identity", "name", "number", "student"}
"""First words of a line that names the columns; no person is called so."""
SEPARATORS = ",;\t"
"""What stands between columns, by the country and the program that wrote the file."""
LONGEST = 1_000_000
"""Bytes of the file: some ten thousand people."""
MOST_BYTES = 60
"""Bytes of an identity: as many as leave cells of half a millimetre in its QR code."""
MOST_CHARACTERS = 100
"""Characters of a name: more than fit on the line."""


@dataclass(frozen=True)
class Person:
    """Somebody on a form.

    Attributes:
        identity: What the QR code says, and a table has.
        name: What is printed beside it, if that is another text.
    """

    identity: str
    name: str = ""

    @property
    def text(self) -> str:
        """The person in print."""
        return " · ".join(filter(None, (self.name, self.identity)))


def read_people(path: Path) -> list[Person]:
    """The people of a CSV file: an identity or a name, and perhaps a name behind it. Raises `DataError`."""
    try:
        data = read_whole(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{path}: cannot be read ({reason}), expected a CSV file of people: check the name") from error
    if len(data) > LONGEST:
        raise DataError(
            f"{path}: {len(data):,} bytes, expected at most {LONGEST:,}: print a part of these people at a time"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not in UTF-8 ({error.reason}): save it as CSV in UTF-8") from error
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=max(SEPARATORS, key=first.count), strict=True)
    people: dict[str, Person] = {}
    try:
        for row in rows:
            values = [value.strip() for value in row]
            if not any(values) or (rows.line_num == 1 and values[0].casefold() in HEADERS):
                continue
            person = person_of(values, f"{path}: line {rows.line_num}")
            if person.identity in people:
                where = f"{path}: line {rows.line_num}"
                raise DataError(f"{where}: {person.identity!r} is there twice, expected each once: tell them apart")
            people[person.identity] = person
    except csv.Error as error:
        raise DataError(
            f"{path}: line {rows.line_num}: is not CSV ({error}), expected an identity and a name"
        ) from error
    if not people:
        raise DataError(f"{path}: nobody is in it, expected a line for each person: add some")
    return list(people.values())


def person_of(values: list[str], where: str) -> Person:
    """The person on a line. Raises `DataError`."""
    if len(values) > 2:
        raise DataError(
            f"{where}: {len(values)} columns, expected an identity, and perhaps a name: leave the others out"
        )
    identity, name = (*values, "")[:2]
    if (size := len(identity.encode())) > MOST_BYTES:
        raise DataError(
            f"{where}: {identity[:30]!r}… has {size:,} bytes, expected at most {MOST_BYTES}, for its QR code: put a "
            "short number first, and the name behind it"
        )
    try:
        check_text("identity", identity, MOST_BYTES)
        check_text("name", name or identity, MOST_CHARACTERS)
    except LayoutError as error:
        raise DataError(f"{where}: {error}") from error
    return Person(identity, name)

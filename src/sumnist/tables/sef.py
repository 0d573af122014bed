"""Writes weather tables in the Station Exchange Format 1.0.0, in which climate archives take numbers rescued from
paper.

A file for each variable of a station has twelve lines that describe it, and a line for each day. A number that is not
sure is NA there; the column Meta has its reading, its state and its place.

Source: Copernicus Climate Change Service, Data Rescue: https://datarescue.climate.copernicus.eu (the format and its
codes).
"""

from __future__ import annotations

import io
import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sumnist.errors import ConfigError, DataError
from sumnist.tables.layout import Station, TableLayout, number, spans_of
from sumnist.tables.rules import Rule

HEAD = "Year", "Month", "Day", "Hour", "Minute", "Period", "Value", "Meta"
MONTH = re.compile(r"(?<!\d)(1[6-9]\d\d|20\d\d)[-_.]?(0[1-9]|1[0-2])(?!\d)")
"""The year and the month in the name of a picture, as in 203_196905.png."""
SURE = "read", "checked", "corrected", "by hand"
"""Numbers in these states are written; all others are NA."""
NEVER = 1980, 1, 1, 0, 0, 0
"""The time stamp of each file in the archive, so that equal tables make equal archives."""
MISSING = "NA"


def station_of(layout: TableLayout) -> Station:
    """The station of a layout with observed columns. Raises `ConfigError` if it has none."""
    if layout.station is None or not layout.observed:
        raise ConfigError("--out: a .zip needs [station] and a variable of a column: name a --layout with both")
    return layout.station


def archive_of(pages: Sequence[Mapping[str, Any]], layout: TableLayout) -> bytes:
    """The .zip of all variables. Raises `ConfigError`, and `DataError` if the month of a page or the days of its rows
    are not known."""
    station, stream = station_of(layout), io.BytesIO()
    read = sorted((month_of(page), page["path"], page) for page in pages if not page.get("error"))
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        for column, (variable, statistic, unit) in sorted(layout.observed.items()):
            lines = [line for month, _, page in read for line in observations(page, month, column, layout)]
            if not lines:
                continue
            head = {
                "SEF": "1.0.0", "ID": station.id, "Name": station.name, "Lat": station.lat, "Lon": station.lon,
                "Alt": station.alt, "Source": station.source, "Link": station.link, "Vbl": variable,
                "Stat": statistic, "Units": unit, "Meta": "",
            }  # fmt: skip
            first, last = ("".join(line[:3]) for line in (lines[0], lines[-1]))
            name = "_".join(filter(None, [station.source, station.id, f"{first}-{last}", variable]))
            table = [*((key, str(value)) for key, value in head.items()), HEAD, *lines]
            text = "".join("\t".join(re.sub(r"\s", " ", one) for one in line) + "\n" for line in table)
            archive.writestr(ZipInfo(re.sub(r"[^\w.-]", "", name) + ".tsv", NEVER), text, ZIP_DEFLATED)
    return stream.getvalue()


def observations(
    page: Mapping[str, Any], month: tuple[int, int], column: int, layout: TableLayout
) -> Iterator[tuple[str, ...]]:
    """A line for each day of a page, with the columns of `HEAD`."""
    assert layout.station
    _, statistic, unit = layout.observed[column]
    cells = {cell["row"] - 1: cell for cell in page["cells"] if cell["column"] - 1 == column}
    period = "0" if statistic == "point" else layout.station.period
    for day, row in enumerate(days_of(page, month, layout), 1):
        cell, meta, value = cells.get(row), [], MISSING
        if cell is not None:
            value = str(cell["value"]) if cell["state"] in SURE else MISSING
            meta = [f"orig={cell['read']}{unit}", f"state={cell['state']}", f"page={PurePath(page['path']).name}",
                    f"cell={cell['cell']}"]  # fmt: skip
        yield (*(f"{part:02}" for part in (*month, day)), MISSING, MISSING, period, value, "|".join(meta))


def month_of(page: Mapping[str, Any]) -> tuple[int, int]:
    """The year and the month of a page, from the name of its picture. Raises `DataError`."""
    found = MONTH.findall(PurePath(page["path"]).stem)
    if not found:
        raise DataError(f"{page['path']}: no month in its name, expected as in station_196905.png: call the picture so")
    return int(found[-1][0]), int(found[-1][1])


def days_of(page: Mapping[str, Any], month: tuple[int, int], layout: TableLayout) -> list[int]:
    """The rows of the days of a month, in their order: those that the layout names, or else all rows that are no
    totals. Raises `DataError` if there are not as many as the month has days."""
    rules = map(Rule.of, (one["formula"] for one in page["rules"]))
    totals = {int(rule.relation.total[1:]) - 1 for rule in rules if rule.of_rows}
    days = list(station_of(layout).days) or [row for row in range(page["rows"]) if row not in totals]
    if len(days) != (length := monthrange(*month)[1]):
        expected = f'{length} in {month[0]}-{month[1]:02}: name them in the layout, as in [station] days = "1-5, 8-12"'
        raise DataError(f"{page['path']}: {len(days)} rows of days ({spans_of(days, number)}), expected {expected}")
    return days

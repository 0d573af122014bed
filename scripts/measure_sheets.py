"""Measure how well filled forms are read, on simulated ones, for `measure.py sheets`.

    python scripts/measure.py sheets cells photographs --folder FOLDER --seeds 0 1 2 3 4
    python scripts/measure.py sheets registration --half development --count 50

The digits on the forms are MNIST's test images, and with FOLDER the scans in it, in folders 0 to 9. For each part,
form, ink and seed there is one row, with how many sheets had which outcome. What is measured already is left out, so
that a measurement that was cut off goes on; a reported row counts for all commits with the same networks and `PATH`.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

import sumnist
from evidence import Row, with_envelope
from sumnist.config import ReadingEngine
from sumnist.errors import ImageError
from sumnist.lab.study.rows import read_jsonl
from sumnist.lab.suites.digits import HALVES
from sumnist.lab.suites.sheet_truth import LAYOUTS, Truth
from sumnist.lab.suites.sheets import Ink, Sheets
from sumnist.sheets.check import MISTAKE
from sumnist.sheets.layout import Layout, Page
from sumnist.sheets.reading import SheetReader, SheetReading
from sumnist.sheets.registration import corners_of, register, settled

PATH = 3
"""The generation of the path from the picture to the verdict, and of the simulated sheets: it rises when one of them is
designed anew, and then the reported half may be looked at once more."""
ENGINES: tuple[ReadingEngine, ...] = get_args(ReadingEngine)
FACTORS = 0.2, 1.0, 5.0
"""By how much the reader may be wrong about the probability of a mistake."""
UNIT = 200 / 25.4
"""Pixels of a millimetre in which errors of registration are told: those of a page at 200 to an inch."""
WRONG = 0.05
"""The share of sheets with a wrong total, where nothing else is said."""

Source = Literal["cells", "photographed", "scanned"]


@dataclass(frozen=True)
class Job:
    """What is measured: the form, how its sheets come to the reader, the share of them with a wrong total, how many
    there are for an ink and seed, and by how much the reader's probability of a mistake is multiplied."""

    layout: str
    source: Source
    count: int
    wrong: float = WRONG
    factor: float = 1.0


PARTS: dict[str, tuple[Job, ...]] = {
    "cells": (Job("cover", "cells", 1000),),
    "photographs": (
        Job("cover", "photographed", 100), Job("cover in strips", "photographed", 100),
        Job("treasurer's slip", "photographed", 20), Job("cover", "scanned", 20),
    ),
    "mistakes": tuple(Job(name, "cells", 400, wrong=1.0) for name in LAYOUTS),
    "epsilon": tuple(Job("cover", "cells", 400, wrong=0.1, factor=factor) for factor in FACTORS),
    "engines": tuple(Job(name, "cells", 100) for name in ("cover in strips", "treasurer's slip")),
    "registration": (Job("cover", "photographed", 100),),
}  # fmt: skip
"""The parts. With five seeds and both inks there are 10,000 covers in cells, and 2,000 photographs of covers."""


class Outcome(NamedTuple):
    """What came of a sheet.

    Attributes:
        state: What was said of it, or "unreadable".
        before: Whether all numbers are right if each is read alone.
        after: Whether they are as they are said together, of a doubtful sheet too.
        mistake: The kind of its wrong total, if it has one.
        told: Whether the totals that are said to be wrong are those that are.
    """

    state: str
    before: bool
    after: bool
    mistake: str | None
    told: bool


def flags(parser: argparse.ArgumentParser) -> None:
    """Which parts, with which ink and how many sheets, and what reads them."""
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--folder", type=Path, help="scans of digits, in folders 0 to 9")
    parser.add_argument("--half", choices=HALVES, default=HALVES[1])
    parser.add_argument("--count", type=int, help="sheets of each form, ink and seed; by default as many as a part has")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--mistakes", type=float, default=MISTAKE, help="the probability of one, as the reader has it")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["ours"])


def sheets(given: argparse.Namespace) -> Iterator[Row]:
    """Read simulated sheets, part by part and seed by seed."""
    inks = [Ink.mnist(given.half)] + ([Ink.scanned(given.folder, given.half)] if given.folder else [])
    for part, job, ink, seed, engine in jobs(given.parts, inks, given.seeds, given.engines):
        row = with_envelope(
            f"sheet-{part}", model_sha256=networks(), path=PATH, half=given.half, **asdict(job) | {
                "mistakes": given.mistakes, "count": given.count or job.count, "seed": seed, "engine": engine,
                "ink": ink.name,
            },
        )  # fmt: skip
        if is_measured(read_jsonl(given.rows), {key: row[key] for key in row if key not in ("date", "machine")}):
            print(f"{part}, {job.layout}, {ink.name}, seed {seed}, {engine}: measured already", flush=True)
            continue
        made = Sheets(LAYOUTS[job.layout], ink, given.half, seed, job.wrong)
        places = range(given.count or job.count)
        yield row | (
            registrations(made, places) if part == "registration"
            else read(reader_of(made.layout, given.mistakes * job.factor, engine), made, places, job.source)
        )  # fmt: skip


def jobs(
    parts: Iterable[str], inks: Sequence[Ink], seeds: Sequence[int], engines: Sequence[ReadingEngine]
) -> Iterator[tuple[str, Job, Ink, int, ReadingEngine]]:
    """All that is to do, seed by seed; engines are compared in a part of its own, and matter for strips alone."""
    for seed in seeds:
        for part in parts:
            for job in PARTS[part]:
                for ink in inks:
                    for engine in engines if part == "engines" else ENGINES[:1]:
                        yield part, job, ink, seed, engine


def networks() -> str:
    """The SHA-256 of all networks of the package, end to end."""
    files = sorted(Path(sumnist.__file__).parent.rglob("*.onnx"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def is_measured(rows: Iterable[Row], what: Row) -> bool:
    """Whether there is such a row: of the same commit, and of a reported half of any commit with these networks."""
    keys = what.keys() - ({"commit"} if what["half"] == HALVES[1] else set())
    return any(all(row.get(key) == what[key] for key in keys) for row in rows)


def reader_of(layout: Layout, mistake: float, engine: ReadingEngine) -> SheetReader:
    """The reader of a form."""
    return SheetReader(layout, mistake=mistake, engine=engine)


# Sheets.


def read(reader: SheetReader, sheets: Sheets, places: Sequence[int], source: Source) -> Row:
    """What came of sheets: how many had each outcome; of fields, by how they are written, how many are read wrong,
    alone and with all others; and the seconds that reading took."""
    outcomes, seconds = Counter[Outcome](), 0.0
    fields, before, after = Counter[str](), Counter[str](), Counter[str]()
    for place in places:
        truth, look = sheets.truth(place), look_of(reader, sheets, place, source)
        start = perf_counter()
        try:
            reading: SheetReading | None = look()
        except ImageError:
            reading = None
        seconds += perf_counter() - start
        outcomes[outcome_of(truth, reading)] += 1
        for name, entry in truth.entries.items() if reading else ():
            assert reading is not None
            fields[entry.manner] += 1
            before[entry.manner] += reading.read[name] != entry.value
            after[entry.manner] += reading.values[name] != entry.value
    return {
        "outcomes": [outcome._asdict() | {"sheets": count} for outcome, count in sorted(outcomes.items(), key=str)],
        "fields": [{"manner": manner, "fields": count, "wrong_before": before[manner], "wrong_after": after[manner]}
                   for manner, count in sorted(fields.items())],
        "seconds": round(seconds, 3),
    }  # fmt: skip


def look_of(reader: SheetReader, sheets: Sheets, place: int, source: Source) -> Callable[[], SheetReading]:
    """What reads a sheet, which is drawn before."""
    if source == "cells":
        return partial(reader.of_cells, sheets.cells(place))
    photograph = sheets.photographed(place) if source == "photographed" else sheets.scanned(place)
    return partial(reader.read, photograph.data)


def outcome_of(truth: Truth, reading: SheetReading | None) -> Outcome:
    """What came of a sheet."""
    mistake = truth.mistake.kind if truth.mistake else None
    if reading is None:
        return Outcome("unreadable", False, False, mistake, False)
    before, after = (
        all(found[name] == value for name, value in truth.values.items()) for found in (reading.read, reading.values)
    )
    told = {one.field for one in reading.wrong} == ({truth.mistake.field} if truth.mistake else set())
    return Outcome(reading.state, before, after, mistake, told)


# Registration.


def registrations(sheets: Sheets, places: Sequence[int]) -> Row:
    """Of each photograph what is known of it, and by how many pixels at 200 to an inch the worst corner of a box is
    off, None if the photograph is refused."""
    page = Page.of(sheets.layout)
    boxes = [box for place in page.places for box in (*place.boxes, *place.correction)]
    corners = np.concatenate([corners_of(box) for box in boxes])
    found = []
    for place in places:
        photograph = sheets.photographed(place)
        view = photograph.view
        known = {"longer": max(photograph.size), "tilt": photograph.tilt, "quarter": photograph.quarter,
                 "blur": photograph.blur, "motion": photograph.motion, "bend": abs(view.bend)}  # fmt: skip
        try:
            sheet = settled(register(np.asarray(Image.open(BytesIO(photograph.data))), page, str(place)))
        except ImageError as error:
            found.append(known | {"error": None, "reason": str(error).partition(":")[2].strip()[:80]})
            continue
        seen = np.concatenate([sheet.corners(box) for box in boxes])
        off = np.linalg.norm(view.unseen(seen) - corners, axis=1).max() * UNIT
        found.append({key: round(value, 3) for key, value in (known | {"error": float(off)}).items()})
    return {"photographs": found}

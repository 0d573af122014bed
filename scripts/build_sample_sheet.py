"""Build src/sumnist/serve/static/sample-sheet.json: the sheet that the page lets its visitors check.

    python scripts/build_sample_sheet.py

The cover of an exam is printed, filled with real handwritten digits (MNIST's test images), photographed in simulation
and read, once for each total that its writer may have written. Each cell is read again with smudges on it. Kept are
the pictures of the cells, the likelihoods that the check takes, and what the check believes of people, so that the page
asks nobody and says what `sumnist sheet read` would.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import sumnist
from sumnist.arithmetic.semiring import log_sum
from sumnist.inference.cells import CELL_MARGIN, CELL_SCALE
from sumnist.lab.suites.sheet_cells import filled
from sumnist.lab.suites.sheet_ink import Ink, marks
from sumnist.lab.suites.sheet_photographs import photographed
from sumnist.lab.suites.sheet_truth import Entry, Truth
from sumnist.pictures.decode import Grey
from sumnist.sheets import check, verdict
from sumnist.sheets.evidence import seen
from sumnist.sheets.layout import Field, Layout
from sumnist.sheets.mistakes import KINDS, MISTAKE, WEIGHTS
from sumnist.sheets.page import Page, Place, Rectangle
from sumnist.sheets.reading import Cells, SheetReader, finder

__all__ = ["LAYOUT", "SAMPLE", "build", "rule_of"]

SAMPLE = Path(sumnist.__file__).parent / "serve/static/sample-sheet.json"
LAYOUT = Layout.of_line("9,7,13,12", "Mathematics")
PERSON = "Ada"
MARKS = {"q1": 7, "q2": 4, "q3": 11, "q4": 9}
TOTALS = 31, 30, 21, 25
"""The sum, one less, with a carry lost, and one that would be right if the 7 were a 1."""
SEED = 11
"""Of digits that are clear, chosen by eye among a few."""
SIZE = 2048, 1536
"""Of the photographs, in pixels."""
COVERED, SOFT = 0.92, 0.7
"""How much of the ink a smudge takes, and up to which share of its radius: as on the page's pads."""
RADII = 2.0, 2.8
"""Of smudges, in millimetres."""
STEP = 1.5
"""Millimetres between the middles of the smudges that are tried."""
KEPT = 0.5, 0.1
"""The probability that the right number has under the smudges that are taken: in doubt, or like another one. Of a
total there is the first only."""
FAINT, LEVELS = 0.06, 16
"""Ink that is noise, and the levels of grey that are kept."""
DIGITS = 2
"""Decimals of log-likelihoods."""


class Smudge(NamedTuple):
    """A round mark, in millimetres from the corner of the picture of a field."""

    x: float
    y: float
    radius: float

    def on(self, image: Grey, left: float) -> Grey:
        """The picture of a box that begins `left` millimetres from that corner, smudged."""
        rows, columns = ((np.arange(size) + 0.5) / CELL_SCALE for size in image.shape)
        away = np.hypot(columns + left - self.x, rows[:, None] - self.y) / self.radius
        return np.asarray(image * (1 - COVERED * np.clip((1 - away) / (1 - SOFT), 0, 1)), np.float32)


def truth_of(total: int) -> Truth:
    """The sheet with a total."""
    entries = {}
    for field in LAYOUT.fields:
        value = (MARKS | {"total": total})[field.name]
        boxes = tuple(str(value).rjust(field.digits).replace(" ", "\0"))
        written = tuple(box.strip("\0") for box in boxes)
        entries[field.name] = Entry(value, "number", written, ("",) * field.digits)
    return Truth(LAYOUT, PERSON, entries, None)


class Sheet:
    """A sheet as it is read."""

    def __init__(self, reader: SheetReader, total: int, ink: Ink) -> None:
        truth = truth_of(total)
        page = filled(LAYOUT, PERSON, marks(LAYOUT, truth, ink, np.random.default_rng(SEED)))
        photograph = photographed(page, np.random.default_rng(SEED), SIZE, 0.0)
        self.reader, self.values, self.places = reader, truth.values, {one.name: one for one in Page.of(LAYOUT).places}
        self.found, _ = finder()(photograph.data, LAYOUT, Page.of(LAYOUT))
        self.cells = {place.name: self.cells_of(place) for place in self.places.values()}

    def cells_of(self, place: Place) -> Cells:
        """The pictures of a field's cells."""

        def inks(boxes: Sequence[Rectangle]) -> list[Grey]:
            return [self.found.ink(box.grown(CELL_MARGIN), CELL_SCALE) for box in boxes]

        return Cells(inks(place.boxes), inks(place.correction))

    def logs(self, name: str, smudge: Smudge | None = None) -> NDArray[np.float64]:
        """The log-likelihoods of a field's numbers, the best one's zero."""
        field, cells = LAYOUT.field(name), self.cells[name]
        if smudge:
            boxes = self.places[name].boxes
            main = [smudge.on(image, box.x - boxes[0].x) for image, box in zip(cells.main, boxes, strict=True)]
            cells = Cells(main, cells.correction)
        shown, correction = (self.reader.shown(field, images, self.reader.cells(images)) for images in cells)
        evidence = seen(field, shown, correction, name in self.reader.check.formulas).evidence
        logs = np.asarray(evidence, np.float64)
        return np.asarray(np.round(logs - logs.max(), DIGITS))

    def smudges(self, name: str, kept: Sequence[float]) -> list[Smudge]:
        """Smudges under which the number of a field has these probabilities, as nearly as there are some."""
        boxes = self.places[name].boxes
        wide, tall = boxes[-1].right - boxes[0].x + CELL_MARGIN, boxes[0].height + CELL_MARGIN
        tried = [
            Smudge(x, y, radius)
            for x in np.arange(CELL_MARGIN, wide + STEP, STEP).tolist()
            for y in np.arange(CELL_MARGIN, tall + STEP, STEP).tolist()
            for radius in RADII
        ]
        logs = [self.logs(name, smudge) for smudge in tried]
        shares = np.array([np.exp(one[self.values[name]] - log_sum(one)) for one in logs])
        order = [np.abs(shares - share).argsort(kind="stable").tolist() for share in kept]
        chosen: list[int] = []
        for places in order:
            chosen.append(next(place for place in places if place not in chosen))
        return [tried[place] for place in chosen]

    def picture(self, name: str) -> Grey:
        """The picture of all boxes of a field together."""
        boxes = self.places[name].boxes
        whole = Rectangle(boxes[0].x, boxes[0].y, boxes[-1].right - boxes[0].x, boxes[0].height)
        return self.found.ink(whole.grown(CELL_MARGIN), CELL_SCALE)

    def field(self, name: str, left: int) -> dict[str, Any]:
        """All that the page needs of a field, whose picture begins at a column of that of all fields."""
        states = [None, *self.smudges(name, KEPT[:1] if name in self.reader.check.formulas else KEPT)]
        return {
            "value": self.values[name], "picture": [left, self.picture(name).shape[1]],
            "states": [{"smudge": state and [*state], "logs": short(self.logs(name, state))} for state in states],
        }  # fmt: skip


def short(logs: NDArray[np.float64]) -> dict[str, Any]:
    """Log-likelihoods: what all numbers have that are not told."""
    rest = float(logs.min())
    return {"rest": rest, "told": {str(value): log for value, log in enumerate(logs.tolist()) if log != rest}}


def rule_of(fields: Sequence[Field], mistake: float = MISTAKE) -> Mapping[str, Any]:
    """What the check on the page goes by: the formula, and the constants of `sheets/mistakes` and `sheets/verdict`."""
    (formula,) = LAYOUT.formulas
    return {
        "fields": [one.name for one in fields], "signs": [sign for sign, _ in formula.terms],
        "largest": [one.largest for one in fields], "mistake": mistake,
        "slips": {KINDS[kind]: weight for kind, weight in WEIGHTS.items()},
        "sure": verdict.SURE, "wrong": verdict.WRONG, "settled": verdict.SETTLED, "rare": verdict.RARE,
        "left": verdict.LEFT, "shown": verdict.SHOWN, "listed": check.LISTED,
    }  # fmt: skip


def atlas(pictures: Sequence[Grey]) -> str:
    """The pictures side by side as a PNG in base64: ink is what is not transparent."""
    ink = np.concatenate(pictures, 1)
    levels = np.round(np.where(ink < FAINT, 0, ink) * (LEVELS - 1)).astype(np.uint8)
    image = Image.fromarray(levels, "P")
    image.putpalette([0] * 3 * LEVELS)
    alphas = bytes(np.linspace(0, 255, LEVELS).round().astype(np.uint8))
    image.save(data := BytesIO(), "PNG", optimize=True, bits=4, transparency=alphas)
    return b64encode(data.getvalue()).decode()


def build() -> dict[str, Any]:
    """The sample."""
    reader, ink = SheetReader(LAYOUT), Ink.mnist("development")
    sheets = [Sheet(reader, total, ink) for total in TOTALS]
    told = [*((sheets[0], name) for name in MARKS), *((sheet, "total") for sheet in sheets)]
    pictures = [sheet.picture(name) for sheet, name in told]
    starts = np.cumsum([0, *(picture.shape[1] for picture in pictures)]).tolist()
    fields = [sheet.field(name, left) for (sheet, name), left in zip(told, starts[:-1], strict=True)]
    labels = [field.label for field in LAYOUT.fields]
    return {
        "title": LAYOUT.title, "person": PERSON, "labels": labels, "rule": rule_of(LAYOUT.fields), "scale": CELL_SCALE,
        "smudge": {"covered": COVERED, "soft": SOFT}, "marks": fields[: len(MARKS)], "totals": fields[len(MARKS) :],
        "pictures": atlas(pictures),
    }  # fmt: skip


if __name__ == "__main__":
    SAMPLE.write_text(json.dumps(build(), separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{SAMPLE}: {SAMPLE.stat().st_size:,} bytes")

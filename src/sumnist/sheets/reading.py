"""A sheet: its picture → what is written on it, and what its sums say of that.

The sheet is found by its corner tags and laid flat, its code says which layout it has and whose it is, a network looks
at every cell, and the posterior of all numbers together, by all sums, says what to take and what to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.config import ReadingEngine
from sumnist.data.cell_classes import CELL_CLASSES, CELL_MARGIN, CELL_SCALE
from sumnist.errors import MissingExtraError
from sumnist.files import CELLS, NUMBERS, ONNX, PRETRAINED
from sumnist.inference.cells import CellReader
from sumnist.inference.numbers import Numbers
from sumnist.inference.onnx import OnnxNetwork
from sumnist.inference.reader import Judge
from sumnist.pictures.decode import Grey, Intensities, Picture
from sumnist.sheets.check import MISTAKE, Check
from sumnist.sheets.evidence import DIGITS, EMPTY, HOW, How, Shown, in_boxes, in_strip, seen
from sumnist.sheets.layout import Field, Layout, Page, in_order
from sumnist.sheets.pictures import PdfPage
from sumnist.sheets.verdict import Cell, Correction, Outcome, WrongTotal, verdict

if TYPE_CHECKING:
    from sumnist.sheets.registration import Code, Registered

CANDIDATES = 10
"""Numbers that are asked for of each strip."""
BLANK = 0.9
"""A strip that is empty with so high a probability is not read: if it is not, it may be any number. A form of which
all cells are is blank."""
BOX, STRIP = 0, 1
"""The places of the priors of the network of cells."""
SURE_DIGIT = 0.99
"""The probability of the likeliest class of a box below which the reader of digits looks at it, too."""
SOME_DIGIT = 0.02
"""It does not if there is no digit with a higher probability than this."""
SECOND = 0.5
"""The power of its probabilities, and of those of the network of cells: chosen on the development half of the simulated
covers, where equal powers were as good as any."""
LINES, FRAME = 2, 3
"""Pixels around a box, and around a strip, with its lines."""
KNOWN = 0.95
"""The probability of a digit of an identity from which on it is taken; below there is a question mark."""

OF_FIELD = "read", "value", "written", "sum"
"""What is a number of the field, of what is said of it."""

Floats = NDArray[np.float64]


class Cells(NamedTuple):
    """The ink of a field's cells: pictures `[36, w]` in [0, 1], light on dark, of its boxes, or of its strip; and those
    of its correction."""

    main: Sequence[Grey]
    correction: Sequence[Grey]


@dataclass(frozen=True)
class SheetReading:
    """What is read on a sheet.

    Numbers are in units of their fields: with halves, 15 is 7½. None is one that is not known.

    Attributes:
        layout: What is on the form.
        state: "adds up" as it is read; "corrected" to add up; "does not add up", whatever its cells are; "doubtful"; or
            "blank", with nothing written in any cell, and no number known.
        probability: Of all values together.
        values: The most probable numbers of all fields together.
        read: The most probable number of each field by itself.
        how: How each field shows its number: "number", "empty", "filler", "correction" or "unclear".
        corrections: The fields that are read otherwise than they look, if the sheet is not doubtful.
        wrong: The totals that are wrong, if the sheet does not add up.
        look: The fewest fields to look at, if the numbers are not sure.
        identity: Whose it is; a digit that was written by hand and is not sure is "?".
        version: Of the layout, as the sheet has it.
        matrix: From millimetres on the page to pixels of the picture, `[3, 3]`; None without a picture.
        offset: The largest distance of a corner of a tag from where the matrix puts it, in pixels at 200 dots per inch.
    """

    layout: Layout = field(repr=False)
    state: Outcome
    probability: float
    values: Mapping[str, int | None]
    read: Mapping[str, int | None]
    how: Mapping[str, How]
    corrections: tuple[Correction, ...] = ()
    wrong: tuple[WrongTotal, ...] = ()
    look: tuple[Cell, ...] = ()
    identity: str | None = None
    version: int | None = None
    matrix: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    offset: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The reading as types that `json` writes, its numbers as people write them: 7.5, not 15."""

        def plain(name: str, value: int | None) -> int | float | None:
            return self.layout.field(name).plain(value)

        def told(one: Correction | WrongTotal) -> dict[str, Any]:
            return {
                key: round(value, 6) if key == "probability" else plain(one.field, value) if key in OF_FIELD else value
                for key, value in one._asdict().items()
            }

        return {
            "state": self.state, "identity": self.identity, "layout": self.layout.id, "version": self.version,
            "probability": round(self.probability, 6),
            "values": {name: plain(name, value) for name, value in self.values.items()},
            "read": {name: plain(name, value) for name, value in self.read.items()},
            "how": dict(self.how), "corrections": [*map(told, self.corrections)], "wrong": [*map(told, self.wrong)],
            "look": [
                {"field": cell.field, "candidates": [
                    {"value": plain(cell.field, value), "probability": round(share, 6)}
                    for value, share in cell.candidates
                ]} for cell in self.look
            ],
            "matrix": None if self.matrix is None else [float(f"{x:.9g}") for x in self.matrix.reshape(-1)],
            "offset": None if self.offset is None else round(self.offset, 3),
        }  # fmt: skip


def read(picture: Picture, layout: Layout | str | Path, mistake: float = MISTAKE) -> SheetReading:
    """What is on a photographed or scanned sheet.

    Args:
        picture: A path, the bytes of a file, a PIL image or an array.
        layout: What is on the form, or the path of its TOML file.
        mistake: The probability that the writer adds up wrongly.

    Raises:
        SheetError: The picture shows no sheet of this layout, or not well enough.
        ImageError: It cannot be read.
        LayoutError: The layout makes no sense.
        MissingExtraError: The extra `sheets` is not installed.
    """
    return SheetReader(layout if isinstance(layout, Layout) else Layout.load(layout), mistake).read(picture)


class SheetReader:
    """Reads sheets of one layout.

    Args:
        layout: What is on the form.
        mistake: The probability that the writer adds up wrongly, for each total.
        engine: What reads numbers in strips: "ours", "ocr" or "both".
        threads: How many processor threads a network may use.

    Raises:
        LayoutError, NumberError, ConfigError, RunError: One of these makes no sense.
        MissingExtraError: The engine is not installed.
    """

    def __init__(
        self, layout: Layout, mistake: float = MISTAKE, engine: ReadingEngine = "ours",
        cells: str | Path | bytes = CELLS, numbers: str | Path | bytes = NUMBERS,
        digits: str | Path | bytes = PRETRAINED / ONNX, threads: int = 1,
    ) -> None:  # fmt: skip
        self.layout, self.page = layout, Page.of(layout)
        # By how much a field's numbers are multiplied, so that all that are added up have one unit: ½ where the total
        # of all has halves.
        known = {one.name: one for one in layout.fields}
        tops = dict(known)
        for formula in reversed(in_order(layout.formulas, known)):
            tops |= dict.fromkeys((name for _, name in formula.terms), tops[formula.total])
        self.units = {name: 2 if tops[name].halves and not one.halves else 1 for name, one in known.items()}
        self.check = Check(
            {one.name: one.largest * self.units[one.name] for one in layout.fields}, layout.formulas,
            [one.name for one in layout.totals if one.step == self.units[one.name]], mistake,
        )  # fmt: skip
        self.cells = CellReader(cells, threads)
        self.digits = Judge(OnnxNetwork(digits, threads), learned=False)
        strips = any(one.kind == "strip" for one in layout.fields)
        self.strips = Numbers(numbers, threads).reader(engine) if strips else None

    def read(self, picture: Picture | PdfPage) -> SheetReading:
        """What is on a picture, or on a page of a PDF file. Raises `SheetError`, `ImageError`."""
        sheet, code = finder()(picture, self.layout, self.page)
        places = [*self.page.places, *([self.page.identity] if self.page.identity else [])]
        groups = [group for place in places for group in (place.boxes, place.correction)]
        inks = iter(sheet.ink([box for group in groups for box in group], CELL_SCALE, CELL_MARGIN))
        shown = iter([[next(inks) for _ in group] for group in groups])
        reading = self.of_cells({place.name: Cells(next(shown), next(shown)) for place in self.page.places})
        identity = self.identity_of(Cells(*shown)) if self.page.identity else code.identity or None
        return replace(reading, identity=identity, version=code.version, matrix=sheet.matrix, offset=sheet.error)

    def of_cells(self, cells: Mapping[str, tuple[Sequence[Grey], Sequence[Grey]]]) -> SheetReading:
        """What cells show, and what the sums say of it, by the name of each field."""
        fields, units = self.layout.fields, self.units
        groups = [(one, group) for one in fields for group in cells[one.name]]
        images, sizes = [image for _, group in groups for image in group], [len(group) for _, group in groups]
        logs, strips = self.cells(images), np.repeat([one.kind == "strip" for one, _ in groups], sizes)
        empty = np.exp(logs[:, EMPTY] + np.where(strips, *(self.cells.log_priors[at][EMPTY] for at in (STRIP, BOX))))
        if empty.min() >= BLANK:
            nothing, how = dict.fromkeys(units), dict.fromkeys(units, HOW[1])
            return SheetReading(self.layout, "blank", float(empty.prod()), nothing, nothing, how)
        boxes = np.flatnonzero(~strips)
        logs[boxes] = self.rescored([images[place] for place in boxes.tolist()], logs[boxes])
        parts = np.split(logs, np.cumsum(sizes)[:-1])
        shown = iter([self.shown(*one, part) for one, part in zip(groups, parts, strict=True)])
        totals = self.check.formulas
        found = {one.name: seen(one, next(shown), next(shown), one.name in totals, units[one.name]) for one in fields}
        posterior = self.check.posterior({name: one.evidence for name, one in found.items()})
        said = verdict(posterior)

        def own(name: str, value: int | None) -> int | None:
            return None if value is None else value // units[name]

        def told(one: Any) -> Any:
            return one._replace(**{key: own(one.field, getattr(one, key)) for key in OF_FIELD if key in one._fields})

        values = {name: own(name, value) for name, value in said.values.items()}
        return SheetReading(
            self.layout, said.outcome, said.probability, values,
            {name: own(name, posterior.read[name]) for name in units},
            {name: one.how(values[name]) for name, one in found.items()},
            tuple(map(told, said.corrections)), tuple(map(told, said.wrong)),
            tuple(Cell(name, tuple((own(name, value), share) for value, share in many)) for name, many in said.look),
        )  # fmt: skip

    def rescored(self, images: Sequence[Grey], logs: Floats) -> Floats:
        """The log-likelihoods of boxes `[n, 14]`; where it is in doubt which digit a box shows, also by the reader of
        digits."""
        rescored, prior = logs.copy(), self.cells.log_priors[BOX]
        for image, found in zip(images, rescored, strict=True):
            shares = np.exp(found + prior)
            digits = shares[DIGITS]
            if shares.max() >= SURE_DIGIT or digits.max() < SOME_DIGIT:
                continue
            said = self.digits(Intensities(1 - image[LINES:-LINES, LINES:-LINES]), ink="dark")
            if said.is_digit:
                both = digits**SECOND * said.digit**SECOND
                with np.errstate(divide="ignore"):
                    found[DIGITS] = np.log(both * digits.sum() / both.sum()) - prior[DIGITS]
        return rescored

    def shown(self, one: Field, images: Sequence[Grey], logs: Floats) -> Shown:
        """What the boxes of a number show, or its strip."""
        if one.kind == "boxes":
            return in_boxes(one, logs)
        prior = np.exp(self.cells.log_priors[STRIP])
        candidates: list[tuple[int, float]] = []
        other = 1.0
        if prior[EMPTY] * np.exp(logs[0, EMPTY]) < BLANK and self.strips is not None:
            candidates, other = self.numbers_in(one, images[0][FRAME:-FRAME, FRAME:-FRAME])
        return in_strip(one, logs[0], prior, candidates, other)

    def numbers_in(self, one: Field, image: Grey) -> tuple[list[tuple[int, float]], float]:
        """The numbers that a strip may show, in units of its field, with their probabilities; that of all others."""
        assert self.strips is not None
        shares: dict[int, float] = {}
        for decimal in (".", ",") if one.halves else (None,):
            reading = self.strips(Intensities(1 - image), (1, one.digits + one.halves), decimal, "dark", CANDIDATES)
            for candidate in reading.candidates:
                units = candidate.value * (2 if one.halves else 1)
                if units == int(units):
                    value = int(units)
                    shares[value] = max(shares.get(value, 0.0), candidate.probability)
        total = max(1.0, sum(shares.values()))
        return [(value, share / total) for value, share in shares.items()], max(0.0, 1 - sum(shares.values()))

    def identity_of(self, cells: Cells) -> str | None:
        """The number by which a sheet says whose it is; None if nothing is written."""
        main, anew = (np.exp(self.rescored(group, self.cells(group)) + self.cells.log_priors[BOX]) for group in cells)
        shares = anew if (anew.argmax(1) != EMPTY).any() else main
        digits = shares[:, DIGITS]
        told = [
            "" if one.argmax() == EMPTY else CELL_CLASSES[ten.argmax()] if ten.max() >= KNOWN else "?"
            for one, ten in zip(shares, digits, strict=True)
        ]
        return "".join(told) or None


def finder() -> Callable[[Picture | PdfPage, Layout, Page], tuple[Registered, Code]]:
    """What finds a sheet in a picture. Raises `MissingExtraError`."""
    try:
        from sumnist.sheets.registration import registered
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error, "reading sheets") from error
    return registered

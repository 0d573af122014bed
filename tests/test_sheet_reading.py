"""A sheet from its picture to what is on it: simulated photographs, and cells of which it is known what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from photographs import seen_by_camera
from simulated_sheets import (
    EXAM,
    SCALE,
    SIZE,
    jpeg_of_page,
    photograph,
    printed,
    sheets,
)  # fmt: skip
from sumnist.inference.alphabet import CELL_CLASSES
from sumnist.sheets import Layout, SheetReader
from sumnist.sheets.layout import FieldKind, Identity, Page
from sumnist.sheets.reading import Cells
from test_package import loaded_by

READERS: dict[Layout, SheetReader] = {}


def reader(layout: Layout = EXAM) -> SheetReader:
    if layout not in READERS:
        READERS[layout] = SheetReader(layout)
    return READERS[layout]


# Photographs.


def test_numbers_in_strips_are_read_with_halves_and_without() -> None:
    layout = replace(EXAM, fields=tuple(replace(field, kind="strip") for field in EXAM.fields))
    for index in range(2):
        found = reader(layout).read(photograph(index, layout).data)
        assert found.values == sheets(layout).values(index)
        assert found.state in ("adds up", "corrected")


@pytest.mark.parametrize("kind", ["boxes", "strip"])
def test_a_form_on_which_nothing_is_written_is_blank_and_nobody_is_asked_of_it(kind: FieldKind) -> None:
    layout = EXAM if kind == "strip" else Layout.of_line(",".join(["13"] * 12))
    layout = replace(layout, fields=tuple(replace(field, kind=kind) for field in layout.fields))
    page = printed(layout, "Ann")
    for data in (jpeg_of_page(page), seen_by_camera(page, SCALE, SIZE, 2).data):
        found = reader(layout).read(data)
        assert (found.state, found.identity, found.look) == ("blank", "Ann", ())
        assert found.values == dict.fromkeys(layout.names)
        assert set(found.how.values()) == {"empty"}


# Cells of which it is known what they show.


class Known:
    """Instead of the reader of cells: an image is one number, the place of its posterior."""

    def __init__(self) -> None:
        self.posteriors: list[NDArray[np.float64]] = []
        uniform = np.full(len(CELL_CLASSES), -np.log(len(CELL_CLASSES)))
        self.log_priors = [uniform, uniform]

    def log_prior(self, image: NDArray[np.float32]) -> NDArray[np.float64]:
        """The same prior for all."""
        return self.log_priors[0]

    def image(self, **shares: float) -> NDArray[np.float32]:
        """A box that shows classes with these probabilities, and any other with a small one."""
        names = [name.removeprefix("_") for name in shares]
        posterior = np.full(len(CELL_CLASSES), 1e-7)
        posterior[[CELL_CLASSES.index(name) for name in names]] = list(shares.values())
        self.posteriors.append(posterior / posterior.sum())
        return np.full((36, 30), len(self.posteriors) - 1, np.float32)

    def boxes(self, text: str) -> list[NDArray[np.float32]]:
        """Boxes that show these characters for certain: a digit, a blank, or – for what means nothing."""
        return [self.image(**{{" ": "empty", "–": "filler", "x": "crossed"}.get(one, f"_{one}"): 1.0}) for one in text]

    def __call__(self, images: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        return np.array([np.log(self.posteriors[int(image[0, 0])]) - self.log_priors[0] for image in images])


class Asked:
    """Instead of the reader of digits: what it was asked, and what it says."""

    def __init__(self, digit: Sequence[float], is_digit: bool = True) -> None:
        self.digit, self.is_digit, self.count = np.array(digit), is_digit, 0

    def __call__(self, picture: object, ink: str) -> Asked:
        assert ink == "dark"
        self.count += 1
        return self


NOTHING = [0.1] * 10
"""A reader of digits that does not know."""


def with_cells(layout: Layout = EXAM, digits: Asked | None = None) -> tuple[SheetReader, Known]:
    known = Known()
    made = SheetReader(layout)
    made.cells = known  # type: ignore[assignment]
    made.digits = digits or Asked(NOTHING)  # type: ignore[assignment]
    return made, known


def on_sheet(known: Known, layout: Layout, **main: str | list[NDArray[np.float32]]) -> dict[str, Cells]:
    """The cells of a sheet whose corrections are blank."""
    cells = {}
    for place in Page.of(layout).places:
        boxes = main[place.name]
        images = known.boxes(boxes) if isinstance(boxes, str) else boxes
        assert len(images) == len(place.boxes)
        cells[place.name] = Cells(images, known.boxes(" " * len(place.correction)))
    return cells


def test_a_digit_in_doubt_is_settled_by_the_sum() -> None:
    reader, known = with_cells()
    doubt = [known.image(_1=0.6, _7=0.4)]
    found = reader.of_cells(on_sheet(known, EXAM, q1=doubt, q2="75", q3=" 4", total="185"))
    assert (found.state, found.values) == ("corrected", {"q1": 7, "q2": 15, "q3": 4, "total": 37})
    assert found.read == {"q1": 1, "q2": 15, "q3": 4, "total": 37}
    ((name, was, value, probability),) = found.corrections
    assert (name, was, value) == ("q1", 1, 7)
    assert probability > 0.95
    assert found.as_dict()["corrections"] == [
        {"field": "q1", "read": 1, "value": 7, "probability": pytest.approx(probability, abs=1e-6)}
    ]


def test_a_number_that_was_written_anew_stands_in_the_correction() -> None:
    reader, known = with_cells()
    cells = on_sheet(known, EXAM, q1="x", q2="0 ", q3=" –", total=" 8 ")
    cells["q1"] = cells["q1"]._replace(correction=known.boxes("8"))
    found = reader.of_cells(cells)
    assert (found.state, found.values) == ("adds up", {"q1": 8, "q2": 0, "q3": 0, "total": 16})
    assert (found.how["q1"], found.how["q3"], found.how["total"]) == ("correction", "filler", "number")


# The second look.


def test_a_box_that_is_in_doubt_between_digits_is_asked_of_the_reader_of_digits_and_no_other_is() -> None:
    digits = Asked([0, 0.01, 0, 0, 0, 0, 0, 0.99, 0, 0])
    reader, known = with_cells(digits=digits)
    nothing = [known.image(empty=0.5, filler=0.5)]
    found = reader.of_cells(on_sheet(known, EXAM, q1=nothing, q2="75", q3=" 4", total="115"))
    assert (digits.count, found.values["q1"]) == (0, 0)
    doubt = [known.image(_1=0.6, _7=0.4)]
    found = reader.of_cells(on_sheet(known, EXAM, q1=doubt, q2="75", q3=" 4", total="185"))
    assert digits.count == 1
    assert (found.state, found.read["q1"]) == ("adds up", 7)  # by both readers it is a seven


# Whose it is.


def test_a_number_that_says_whose_it_is_is_read_with_a_sign_for_each_doubt() -> None:
    layout = replace(EXAM, identity=Identity("digits", 6))
    reader, known = with_cells(layout)

    def identity(main: list[NDArray[np.float32]], correction: str = "      ") -> str | None:
        return reader.identity_of(Cells(main, known.boxes(correction)))

    for text in ("012345", "  4711", "4711  ", "      "):
        assert identity(known.boxes(text)) == (text.strip() or None)
    assert identity([*known.boxes("01234"), known.image(_1=0.6, _7=0.4)]) == "01234?"
    assert identity([*known.boxes("01234"), known.image(_1=0.0001, _7=0.97, filler=0.0299)]) == "012347"
    assert identity([*known.boxes("01234"), known.image(_7=0.94, filler=0.06)]) == "01234?"
    assert identity(known.boxes("xxxxxx"), "987654") == "987654"
    assert identity(known.boxes("–12345")) == "?12345"


# The package.


EXTRA = {"reportlab", "segno", "pypdfium2", "xlsxwriter", "pupil_apriltags", "zxingcpp"}


def test_layouts_need_no_extra_and_no_numpy_and_a_reader_is_made_without_the_extra() -> None:
    found = loaded_by("import sumnist.sheets; sumnist.sheets.Layout.of_line('9,7'), dir(sumnist.sheets)")
    assert not found & (EXTRA | {"numpy", "PIL", "onnxruntime"})
    assert not loaded_by("from sumnist.sheets import *; SheetReader(Layout.of_line('9,7'))") & EXTRA
    assert loaded_by("import sumnist.sheets.registration") & EXTRA  # so this test can fail

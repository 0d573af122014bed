"""A sheet from its picture to what is on it: simulated photographs, and cells of which it is known what they show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import sumnist.sheets
from photographs import seen_by_camera
from simulated_sheets import (
    EXAM,
    SCALE,
    SIZE,
    Sheets,
    as_people_write,
    jpeg_of_page,
    photograph,
    printed,
    sheets,
    write,
)  # fmt: skip
from sumnist.errors import LayoutError
from sumnist.files import fits
from sumnist.inference.alphabet import CELL_CLASSES
from sumnist.sheets import Layout, SheetReader, SheetReading, read
from sumnist.sheets.layout import Identity, Kind, Page
from sumnist.sheets.printing import pdf
from sumnist.sheets.reading import Cells
from test_package import loaded_by

READERS: dict[Layout, SheetReader] = {}


def reader(layout: Layout = EXAM) -> SheetReader:
    if layout not in READERS:
        READERS[layout] = SheetReader(layout)
    return READERS[layout]


# Photographs.


@pytest.mark.parametrize("index", [0, 3])
def test_a_photograph_is_read_as_it_was_meant(index: int) -> None:
    meant, found = sheets().values(index), reader().read(photograph(index).data)
    assert found.values == meant  # in the units of each field: 15 is 7½
    assert found.read == meant
    assert (found.state, found.identity, found.version) == ("adds up", f"{index:06}", 1)
    assert found.how == dict.fromkeys(meant, "number")
    assert 0.95 < found.probability <= 1
    told = checked(found)
    assert told["values"] == as_people_write(EXAM, meant)
    assert (told["layout"], told["identity"], len(told["matrix"])) == (EXAM.id, f"{index:06}", 9)


def test_the_matrix_puts_the_page_where_it_is_on_the_photograph() -> None:
    shot = photograph(0)
    with Image.open(BytesIO(shot.data)) as picture:
        found = reader().read(picture.rotate(180))
    assert found.values == sheets().values(0)
    assert found.matrix is not None
    assert found.offset is not None
    assert 0 <= found.offset < 3
    points = np.array([[30.0, 40.0], [180.0, 40.0], [100.0, 150.0], [30.0, 260.0]])
    seen = np.c_[points, np.ones(4)] @ found.matrix.T
    assert np.abs(seen[:, :2] / seen[:, 2:] - (np.array(shot.size) - shot.seen(points))).max() < 1.5


def test_pictures_of_any_kind_and_layouts_by_name_are_read_alike(tmp_path: Path) -> None:
    data = photograph(1).data
    path, toml = tmp_path / "a.jpg", tmp_path / "cover.toml"
    path.write_bytes(data)
    toml.write_text(EXAM.to_toml())
    with Image.open(path) as picture:
        found = [read(path, EXAM), read(str(path), str(toml)), read(data, toml), read(np.asarray(picture), EXAM)]
    assert all(one == found[0] for one in found)
    assert found[0].values == sheets().values(1)


def test_what_is_printed_and_written_below_the_fields_is_not_read() -> None:
    meant, found = sheets().values(0), []
    for lines in ((), ("Course", "Date", "Marked by", "Signature")):
        layout = replace(EXAM, note="", lines=lines)
        page = Sheets(layout).page(0, "Ann")
        for area in Page.of(layout).free if lines else ():
            write(page, [replace(area, x=x) for x in range(50, 170, 10)], "17052024" * 2)
        found.append(reader(layout).read(jpeg_of_page(page)))
    assert [(one.values, one.state, one.identity) for one in found] == [(meant, "adds up", "Ann")] * 2
    assert found[0].probability == pytest.approx(found[1].probability, abs=0.01)


def test_totals_that_are_wrong_are_told_with_what_they_should_be() -> None:
    told = []
    for index in range(2):
        wrong, reading = sheets(EXAM, True), reader().read(photograph(index, EXAM, True).data)
        assert reading.values == wrong.values(index)
        assert reading.state in ("does not add up", "doubtful")
        told += [(one, index) for one in checked(reading)["wrong"]]
    assert told
    for one, index in told:
        assert (one["field"], one["sum"]) == ("total", as_people_write(EXAM, sheets().values(index))["total"])
        assert one["written"] == as_people_write(EXAM, sheets(EXAM, True).values(index))["total"]


def test_numbers_in_strips_are_read_with_halves_and_without() -> None:
    layout = replace(EXAM, fields=tuple(replace(field, kind="strip") for field in EXAM.fields))
    for index in range(2):
        found = reader(layout).read(photograph(index, layout).data)
        assert found.values == sheets(layout).values(index)
        assert found.state in ("adds up", "corrected")


@pytest.mark.parametrize("kind", ["boxes", "strip"])
def test_a_form_on_which_nothing_is_written_is_blank_and_nobody_is_asked_of_it(kind: Kind) -> None:
    layout = EXAM if kind == "strip" else Layout.of_line(",".join(["13"] * 12))
    layout = replace(layout, fields=tuple(replace(field, kind=kind) for field in layout.fields))
    page = printed(layout, "Ann")
    for data in (jpeg_of_page(page), seen_by_camera(page, SCALE, SIZE, 2).data):
        found = reader(layout).read(data)
        assert (found.state, found.identity, found.look) == ("blank", "Ann", ())
        assert found.values == dict.fromkeys(layout.names)
        assert set(found.how.values()) == {"empty"}


def test_a_form_with_one_number_or_with_signs_of_nothing_is_not_blank() -> None:
    for cells in ({"q1": "8"}, {"q2": "– "}, {"total": " 8 "}):
        reader, known = with_cells()
        blank = {"q1": " ", "q2": "  ", "q3": "  ", "total": "   "}
        assert reader.of_cells(on_sheet(known, EXAM, **blank)).state == "blank"
        assert reader.of_cells(on_sheet(known, EXAM, **blank | cells)).state != "blank"
    corrected = on_sheet(known, EXAM, **blank)
    corrected["q1"] = corrected["q1"]._replace(correction=known.boxes("8"))
    assert reader.of_cells(corrected).state != "blank"


# As JSON.

NUMBER = (None, int, float)
SHAPE = {
    "state": str, "identity": (None, str), "layout": str, "version": (None, int), "probability": float,
    "values": dict, "read": dict, "how": dict,
    "corrections": [{"field": str, "read": NUMBER, "value": NUMBER, "probability": float}],
    "wrong": [{"field": str, "written": NUMBER, "sum": NUMBER, "kind": str, "probability": float}],
    "look": [{"field": str, "candidates": [{"value": NUMBER, "probability": float}]}],
    "matrix": (None, [float] * 9), "offset": (None, float),
}  # fmt: skip


def checked(reading: SheetReading) -> dict[str, Any]:
    """The reading as JSON has it, if that has its shape."""
    told = reading.as_dict()
    found: dict[str, Any] = json.loads(json.dumps(told, allow_nan=False))
    assert list(told) == list(SHAPE)
    assert fits(found, SHAPE), found
    assert found["values"].keys() == found["read"].keys() == found["how"].keys() == set(reading.layout.names)
    for number in [*found["values"].values(), *found["read"].values()]:
        assert number is None or type(number) is int or number % 1 == 0.5  # 8, not 8.0
    return found


# Cells of which it is known what they show.


class Known:
    """Instead of the network of cells: an image is one number, the place of its posterior."""

    def __init__(self) -> None:
        self.posteriors: list[NDArray[np.float64]] = []
        uniform = np.full(len(CELL_CLASSES), -np.log(len(CELL_CLASSES)))
        self.log_priors = [uniform, uniform]

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
    assert checked(found)["corrections"] == [
        {"field": "q1", "read": 1, "value": 7, "probability": pytest.approx(probability, abs=1e-6)}
    ]


def test_a_half_that_is_corrected_is_told_as_a_half() -> None:
    reader, known = with_cells()
    doubt = [*known.boxes("7"), known.image(_0=0.9, _5=0.1)]
    found = reader.of_cells(on_sheet(known, EXAM, q1="9", q2=doubt, q3=" 4", total="205"))
    (told,) = checked(found)["corrections"]
    assert (told["field"], told["read"], told["value"]) == ("q2", 7, 7.5)
    assert type(told["read"]) is int


def test_two_digits_in_doubt_are_to_be_looked_at() -> None:
    reader, known = with_cells()
    doubt = [known.image(_1=0.5, _7=0.5)]
    total = [*known.boxes("1"), known.image(_2=0.5, _8=0.5), *known.boxes("5")]
    found = reader.of_cells(on_sheet(known, EXAM, q1=doubt, q2="75", q3=" 4", total=total))
    assert found.state == "doubtful"
    assert found.probability == pytest.approx(0.5, abs=0.02)
    told = checked(found)
    (look,) = told["look"]  # one of them settles the other
    assert look["field"] in ("q1", "total")
    values = {"q1": [1, 7], "total": [12.5, 18.5]}[look["field"]]
    assert sorted(one["value"] for one in look["candidates"][:2]) == values
    shares = [one["probability"] for one in look["candidates"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1 + 1e-6
    assert (told["corrections"], told["wrong"]) == ([], [])


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


def test_the_second_look_moves_shares_between_digits_alone() -> None:
    digits = Asked([0, 0.2, 0, 0, 0, 0, 0, 0.8, 0, 0])
    reader, known = with_cells(digits=digits)
    image = known.image(_1=0.3, _7=0.3, empty=0.3, crossed=0.1)
    (before,) = known([image])
    (after,) = reader.rescored([image], before[None])
    digits.is_digit = False
    assert (reader.rescored([image], before[None]) == before).all()
    assert digits.count == 2
    shares = [np.exp(logs + known.log_priors[0]) for logs in (before, after)]
    assert shares[1][10:] == pytest.approx(shares[0][10:])
    assert shares[1][:10].sum() == pytest.approx(shares[0][:10].sum())
    assert shares[1][7] / shares[1][1] == pytest.approx(2)  # the root of 4


# Whose it is.


def test_a_number_that_says_whose_it_is_is_read_with_a_sign_for_each_doubt() -> None:
    layout = replace(EXAM, identity=Identity("digits", 6))
    reader, known = with_cells(layout)

    def identity(main: list[NDArray[np.float32]], correction: str = "      ") -> str | None:
        return reader.identity_of(Cells(main, known.boxes(correction)))

    assert identity(known.boxes("012345")) == "012345"
    assert identity(known.boxes("  4711")) == "4711"
    assert identity(known.boxes("4711  ")) == "4711"
    assert identity(known.boxes("      ")) is None
    assert identity([*known.boxes("01234"), known.image(_1=0.6, _7=0.4)]) == "01234?"
    assert identity([*known.boxes("01234"), known.image(_1=0.0001, _7=0.97, filler=0.0299)]) == "012347"
    assert identity([*known.boxes("01234"), known.image(_7=0.94, filler=0.06)]) == "01234?"
    assert identity(known.boxes("xxxxxx"), "987654") == "987654"
    assert identity(known.boxes("–12345")) == "?12345"


def test_a_number_that_was_written_by_hand_says_whose_it_is() -> None:
    layout = replace(EXAM, identity=Identity("digits", 5))
    page, place = printed(layout).copy(), Page.of(layout).identity
    assert place is not None
    assert read(jpeg_of_page(page), layout).identity is None
    write(page, place.boxes, "40718")
    assert read(jpeg_of_page(page), layout).identity == "40718"


# The package.


EXTRA = {"reportlab", "segno", "pypdfium2", "xlsxwriter", "pupil_apriltags", "zxingcpp"}


def test_layouts_need_no_extra_and_no_numpy() -> None:
    found = loaded_by("import sumnist.sheets; sumnist.sheets.Layout.of_line('9,7'), dir(sumnist.sheets)")
    assert not found & (EXTRA | {"numpy", "PIL", "onnxruntime"})


def test_a_reader_is_made_without_the_extra() -> None:
    assert not loaded_by("from sumnist.sheets import *; SheetReader(Layout.of_line('9,7'))") & EXTRA
    assert loaded_by("import sumnist.sheets.registration") & EXTRA


def test_the_names_of_the_wing_are_there_and_no_others() -> None:
    assert dir(sumnist.sheets) == sorted(sumnist.sheets.__all__)
    assert sumnist.sheets.SheetReading is SheetReading
    with pytest.raises(AttributeError, match=r"^module 'sumnist.sheets' has no attribute 'Form'$"):
        sumnist.sheets.Form  # noqa: B018


# Every layout that can be printed can be read: layouts drawn by seed are printed, filled in and read.


HARD = {
    "sums just too many for ranges": "999,999,9999",
    "half of them": "500,500,8000",
    "many long numbers": ",".join(["999"] * 12),
    "marks beside amounts": "9,7.5,99999,12",
    "the longest numbers": "99999999999,9.5",
}
FAIR = """title = "Summer fair"
identity = {kind = "digits", digits = 4}
field = [
  {name = "cakes", digits = 3}, {name = "gifts", kind = "strip", digits = 4},
  {name = "rent", largest = 120.5, halves = true},
]
total = [{name = "income", formula = "income = cakes + gifts"}, {name = "left", formula = "left = income - rent"}]
"""


def subtotals(count: int) -> str:
    """Subtotals of two numbers each, and their sum."""
    fields = [f'{{name = "f{place}", kind = "strip", digits = 3}}' for place in range(2 * count)]
    totals = [
        f'{{name = "s{place}", kind = "strip", formula = "s{place} = f{2 * place} + f{2 * place + 1}"}}'
        for place in range(count)
    ]
    top = " + ".join(f"s{place}" for place in range(count))
    totals.append(f'{{name = "t", kind = "strip", formula = "t = {top}"}}')
    return f'title = "Books"\nfield = [{", ".join(fields)}]\ntotal = [{", ".join(totals)}]\n'


def drawn(seed: int) -> Layout:
    """A layout that fits on a page: numbers of all sizes in boxes and strips, some in subtotals, some subtracted."""
    random = np.random.default_rng(seed)
    while True:
        count = int(random.integers(2, 16))
        fields, names = [], [f"x{place}" for place in range(count)]
        for name in names:
            digits, halves = int(random.integers(1, 7)), random.random() < 0.2
            kind, largest = random.choice(["boxes", "strip"]), int(random.integers(10 ** (digits - 1), 10**digits))
            room = f"largest = {largest}" if random.random() < 0.5 else f"digits = {digits}"
            fields.append(f'{{name = "{name}", kind = "{kind}", {room}, halves = {str(halves).lower()}}}')
        totals = []
        for place in range(int(random.integers(1, 4))):
            chosen = random.permutation(names)[: max(1, len(names) // 2)] if place else names[: max(1, count // 2)]
            signs = [" + ", *(" - " if random.random() < 0.15 else " + " for _ in chosen[1:])]
            terms = "".join(sign + name for sign, name in zip(signs, chosen, strict=True)).removeprefix(" + ")
            names = [name for name in names if name not in set(chosen)] + [f"t{place}"]
            kind = random.choice(["boxes", "strip"])
            totals.append(f'{{name = "t{place}", kind = "{kind}", formula = "t{place} = {terms}"}}')
        text = f'title = "Drawn"\nfield = [{", ".join(fields)}]\ntotal = [{", ".join(totals)}]\n'
        try:
            layout = Layout.of_toml(text.encode())
            pdf(layout)
        except LayoutError:  # numbers with too many digits, or no room on a page
            continue
        return layout


def assert_readable(layout: Layout, seed: int) -> None:
    """A sheet is printed and filled in, and most of its numbers are read."""
    assert pdf(layout).startswith(b"%PDF")
    made = Sheets(layout, seed=seed)
    reading = SheetReader(layout).read(jpeg_of_page(made.page(0)))
    meant = made.values(0)
    assert reading.values.keys() == meant.keys()
    right = sum(reading.values[name] == value for name, value in meant.items())
    assert right >= len(meant) / 2, (right, meant, reading.values)


@pytest.mark.parametrize("marks", HARD.values(), ids=HARD.keys())
def test_layouts_of_long_numbers_are_read(marks: str) -> None:
    assert_readable(Layout.of_line(marks), 1)


@pytest.mark.parametrize("text", [FAIR, subtotals(6)], ids=["fair", "subtotals"])
def test_layouts_with_subtotals_are_read(text: str) -> None:
    assert_readable(Layout.of_toml(text.encode()), 1)


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(8, 200))])
def test_layouts_drawn_at_random_are_read(seed: int) -> None:
    assert_readable(drawn(seed), seed)


def test_a_layout_of_long_numbers_is_read_on_a_photograph() -> None:
    layout = Layout.of_line(HARD["sums just too many for ranges"])
    found, meant = reader(layout).read(photograph(0, layout).data), sheets(layout).values(0)
    assert sum(found.values[name] == value for name, value in meant.items()) >= len(meant) - 1

"""Sheets in pictures: where their parts are, compared with a perspective that is known; and what is no sheet."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import segno
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from simulated_sheets import rendered, sheets
from sumnist.errors import SheetError
from sumnist.sheets.layout import Layout, Page, Person, Rectangle
from sumnist.sheets.pictures import FilePage, grey_of
from sumnist.sheets.printing import pdf
from sumnist.sheets.registration import (
    UNIT,
    Registered,
    averaged,
    corners_of,
    mapped,
    register,
    registered,
    scale_at,
    settled,
)  # fmt: skip

EXAM = Layout.of_line("9,7.5,13,12")
PAGE = Page.of(EXAM)
SHEET = rendered(pdf(EXAM))

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


def offsets(found: Floats, true: Floats) -> Floats:
    """How far the points of a grid over the page are from where a matrix says, in pixels at 200 to an inch."""
    across, down = np.meshgrid(np.linspace(0, PAGE.width, 22), np.linspace(0, PAGE.height, 31))
    grid = np.stack([across.ravel(), down.ravel()], -1)
    return np.asarray(np.linalg.norm(mapped(np.linalg.inv(true), mapped(found, grid)) - grid, axis=1) * UNIT)


SIZE = 1200, 1600
SCALE, LEFT, TOP = 5, 75, 57
ABOVE = np.array([[SCALE, 0, LEFT], [0, SCALE, TOP], [0, 0, 1.0]])
"""From millimetres of a page to pixels of a picture of it from above, on a grey desk."""


def above(sheet: Image.Image) -> Image.Image:
    """A sheet of 300 pixels an inch from above, sharp."""
    seen = Image.new("L", SIZE, 90)
    width, height = (round(side * 25.4 / 300 * SCALE) for side in sheet.size)
    seen.paste(sheet.resize((width, height), Image.Resampling.LANCZOS), (LEFT, TOP))
    return seen


def taken_by_hand(sharp: Image.Image, blur: float = 0.5, noise: float = 4) -> Image.Image:
    """A picture blurred by a Gaussian of so many pixels, and noisy, in steps of uint8."""
    soft = np.asarray(sharp.filter(ImageFilter.GaussianBlur(blur)), np.float32)
    grain = np.random.default_rng(0).standard_normal(soft.shape, np.float32) * noise
    return Image.fromarray(np.clip(np.rint(soft + grain), 0, 255).astype(np.uint8))


def photograph(sheet: Image.Image = SHEET) -> Bytes:
    """A photograph of a sheet, a little out of focus and noisy."""
    return np.asarray(taken_by_hand(above(sheet)))


def corners_on(sheet: Registered, box: Rectangle) -> Floats:
    """Where the corners of a rectangle are in the picture, `[4, 2]`."""
    corners = corners_of(box)
    return mapped(sheet.matrix, corners + averaged(sheet.shifts, corners[::2].mean(0)[None]))


def crop(sheet: Registered, box: Rectangle, scale: float) -> Floats:
    """What is printed in a rectangle, black to white in [0, 1]."""
    return np.asarray(sheet.pixels([box], scale)[0]) / 255


@pytest.fixture(scope="module")
def flat() -> Bytes:
    """A sheet from above, 1,600 pixels high."""
    return photograph()


# Where it is.


@pytest.mark.parametrize(  # straight; upside down; on either side
    ("quarter", "size"), [(0, (2016, 1512)), (2, (1280, 960)), (1, (1280, 960)), (3, (2016, 1512))]
)
def test_every_point_of_a_page_is_found_within_half_a_pixel(quarter: int, size: tuple[int, int]) -> None:
    taken = sheets(EXAM).photographed(0, size, quarter)
    sheet = register(grey_of(taken.data), PAGE, "photo")
    assert np.percentile(offsets(sheet.matrix, taken.matrix), 95) <= 0.5
    assert sheet.error <= 3
    corners = np.concatenate([corners_of(tag) for tag in PAGE.tags])
    assert sheet.dpi == pytest.approx(scale_at(taken.matrix, corners).min() * 25.4, rel=0.01)


# Its parts.


def test_ink_is_the_same_in_shadow_and_in_light(flat: Bytes) -> None:
    across, down = np.meshgrid(np.linspace(0, 1, 1200), np.linspace(0, 1, 1600))
    edge = np.clip((across + 0.3 * down - 0.7) * 12, 0, 1)  # of a shadow, soft over 2 cm
    shade = (1 - 0.5 * edge) * (1 - 0.4 * down)
    dark = np.rint(flat * shade).astype(np.uint8)
    label = PAGE.places[4].label
    boxes = [label, *(box.grown(1) for place in PAGE.places for box in place.boxes)]
    lit, shaded = (register(picture, PAGE, "photo") for picture in (flat, dark))
    for one, other in zip(lit.ink(boxes, 3), shaded.ink(boxes, 3), strict=True):
        assert np.abs(one - other).mean() < 0.02
    assert lit.ink([label], 3)[0].max() > 0.8
    assert np.abs(crop(lit, label, 3) - crop(shaded, label, 3)).mean() > 0.1


# A sheet that is not flat.


def curled(sheet: Image.Image, height: float, away: float = 350.0) -> tuple[Image.Image, Floats]:
    """A sheet whose middle, half way down, is so many millimetres above the table, seen from `away` above that; and
    where its rows of 1 mm are seen, in millimetres of a flat sheet, with how much larger each is."""
    page = PAGE
    down = np.arange(page.height + 1)
    lift = height * np.sin(np.pi * down / page.height)
    slope = height * np.pi / page.height * np.cos(np.pi * down / page.height)
    along = np.concatenate([[0], np.cumsum(np.sqrt(1 - slope**2))[:-1]])
    larger = away / (away - lift)
    seen = page.height / 2 + (along - along[-1] / 2) * larger
    mm = sheet.width / page.width
    bands = []
    for row, (top, bottom) in enumerate(pairwise(np.round(seen * mm).astype(int))):
        sides = [[(page.width / 2 * (1 + end / larger[at])) * mm for end in (-1, 1)] for at in (row, row + 1)]
        exact = [np.interp(edge / mm, seen, down) * mm for edge in (top, bottom)]
        quad = (sides[0][0], exact[0], sides[1][0], exact[1], sides[1][1], exact[1], sides[0][1], exact[0])
        bands.append(((0, int(top), sheet.width, int(bottom)), quad))
    picture = sheet.transform(sheet.size, Image.Transform.MESH, bands, Image.Resampling.BICUBIC, fillcolor=255)
    return picture, np.stack([seen, larger], -1)


def off(sheet: Registered, rows: Floats) -> Floats:
    """How many millimetres boxes are from where they are seen."""
    found = []
    for place in PAGE.places:
        for box in (*place.boxes, *place.correction):
            middle = corners_on(sheet, box).mean(0)
            x, y = box.x + box.width / 2, box.y + box.height / 2
            seen, larger = (np.interp(y, np.arange(len(rows)), rows[:, column]) for column in (0, 1))
            at = np.array([PAGE.width / 2 + (x - PAGE.width / 2) * larger, seen])
            found.append(np.linalg.norm(mapped(np.linalg.inv(ABOVE), middle) - at))
    return np.array(found)


@pytest.mark.parametrize("height", [0.0, 6.0])
def test_the_boxes_of_a_curled_sheet_are_found_by_their_lines(height: float) -> None:
    picture, rows = curled(written_on(SHEET), height)
    sheet = register(photograph(picture), PAGE, "photo")
    better = settled(sheet)
    assert off(better, rows).max() < 0.4
    assert np.median(off(better, rows)) < 0.1
    if height:
        assert np.median(off(sheet, rows)) > 0.3


def written_on(sheet: Image.Image) -> Image.Image:
    """A sheet with crosses, bars and strokes in its boxes."""
    sheet, mm = sheet.copy(), sheet.width / PAGE.width
    draw = ImageDraw.Draw(sheet)
    for number, place in enumerate(PAGE.places):
        for box in place.boxes:
            left, top, right, low = ((box.x + 1) * mm, (box.y + 1) * mm, (box.right - 1) * mm, (box.bottom - 1) * mm)
            strokes = [[left, top, right, low], [right, top, left, low], [left, top + mm, right, top + mm]]
            for stroke in strokes[: number + 1]:
                draw.line(stroke, 40, round(0.6 * mm))
    return sheet


# What is no sheet.


def refused(grey: Bytes, page: Page = PAGE) -> str:
    with pytest.raises(SheetError) as error:
        register(grey, page, "photo")
    return str(error.value)


def without(picture: Bytes, *numbers: int) -> Bytes:
    """A picture from above with tags covered."""
    picture = picture.copy()
    for number in numbers:
        (left, top), (right, low) = mapped(ABOVE, corners_of(PAGE.tags[number]))[[0, 2]].astype(int)
        picture[top : low + 1, left : right + 1] = 200
    return picture


NONE = "no corner tag is found, expected a sheet of `sumnist sheet new` with four: photograph the whole page"
MISSING = ", expected one in each corner: photograph the whole page, uncovered and sharp"
TWO = "corner tags of two sheets are in it, expected one sheet: photograph each by itself"


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (lambda flat: without(flat, 2), "no tag at the lower right" + MISSING),
        (lambda flat: without(flat, 0, 3), "no tag at the upper left and the lower left" + MISSING),
        (lambda flat: without(flat, 0, 1, 2, 3), NONE),
        (lambda flat: np.full((9, 8), 255, np.uint8), NONE),
        (lambda flat: np.concatenate([flat, without(flat, 0, 2, 3)], 1), TWO),
        (lambda flat: np.ascontiguousarray(flat[:, ::-1]), "the sheet is mirrored, expected it as it is printed: turn"),
        (lambda flat: np.asarray(SHEET.resize((463, 655), Image.Resampling.BOX)),
         "the sheet has 56 pixels to an inch, expected 60: come nearer"),
        (lambda flat: (flat // 16 + 3).astype(np.uint8),
         "black is 15 below white, expected 25: add light"),
        (lambda flat: photograph(curled(SHEET, 20.0)[0]), "its corner tags are up to"),
    ],
)  # fmt: skip
def test_what_is_no_sheet_is_refused_with_the_mend(picture: Callable[[Bytes], Bytes], told: str, flat: Bytes) -> None:
    assert refused(picture(flat)).startswith(f"photo: {told}")


# The code.

CODED = replace(EXAM, version=12)


def photo(sheet: Image.Image, blur: float = 0.7) -> Image.Image:
    return taken_by_hand(above(sheet), blur)


def coded(text: str | bytes | None, box: Rectangle = PAGE.code) -> Image.Image:
    """A sheet with another code in the place of its own, or elsewhere, or with none."""
    sheet, mm = rendered(pdf(CODED)).copy(), rendered(pdf(CODED)).width / PAGE.width
    for place in (PAGE.code.grown(2), box.grown(2)):
        left, top, right, low = (round(edge * mm) for edge in (place.x, place.y, place.right, place.bottom))
        sheet.paste(255, (left, top, right, low))
    if text is not None:
        segno.make(text, error="m", micro=False).save(data := BytesIO(), "png", scale=10, border=3)
        sheet.paste(Image.open(data).convert("L").resize((right - left, low - top)), (left, top))
    return sheet


@pytest.mark.parametrize("identity", ["", "Ελένη Παπαδοπούλου", "a:b c,d::", "山田"])
def test_a_code_says_whose_sheet_it_is_in_any_script(identity: str) -> None:
    found, *code = registered(photo(coded(CODED.code(identity).encode())), CODED, PAGE)
    assert code == [12, identity]
    assert found.error < 2


def test_a_code_is_read_of_another_version_dim_and_blurred_or_elsewhere_in_the_picture() -> None:
    assert registered(photo(coded(replace(CODED, version=3).code("7"))), CODED, PAGE)[1] == 3
    dim = np.asarray(photo(rendered(pdf(CODED)), blur=1.7)) // 4 + 20
    assert registered(dim.astype(np.uint8), CODED, PAGE)[1] == 12
    elsewhere = coded(CODED.code("7"), Rectangle(35, 190, 25, 25))
    assert registered(photo(elsewhere), CODED, PAGE)[2] == "7"


OTHERS = "its QR code says {}, expected one of a sheet: cover other codes"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://example.org", OTHERS.format("'https://example.org'")),
        (b"\xff\xfe\xff:1:a:1:\xff", OTHERS.format("'\ufffd\ufffd\ufffd:1:a:1:\ufffd'")),
        ("other:1:abc:1:", OTHERS.format("'other:1:abc:1:'")),
        (None, "its QR code cannot be read, expected the printed one"),
        ("sumnist:1:abc:1:", f"is of layout abc, expected {CODED.id}: read it with --layout of its own TOML file"),
        (f"sumnist:2:{CODED.id}:1:", "is of format 2, expected 1: read it with the sumnist that made it"),
    ],
)  # fmt: skip
def test_a_code_that_is_not_of_this_layout_is_refused(text: str | bytes | None, told: str) -> None:
    with pytest.raises(SheetError, match=f"^picture: {re.escape(told)}"):
        registered(photo(coded(text)), CODED, PAGE)


def test_messages_name_the_file_and_pages_are_read_one_by_one(tmp_path: Path) -> None:
    Image.new("L", (50, 50), "white").save(tmp_path / "photo.png")
    with pytest.raises(SheetError, match=r"photo\.png: no corner tag is found"):
        registered(tmp_path / "photo.png", CODED, PAGE)
    (tmp_path / "all.pdf").write_bytes(pdf(CODED, [Person("17"), Person("18", "Ann")]))
    pages = [registered(FilePage(str(tmp_path / "all.pdf"), number), CODED, PAGE) for number in (1, 2)]
    assert [identity for *_, identity in pages] == ["17", "18"]
    assert all(sheet.error < 0.1 and round(sheet.dpi) == 200 for sheet, *_ in pages)

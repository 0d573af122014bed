"""Filled forms of which everything is known: what is meant, what is written, and where it is on a photograph."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.suites.digits import HALVES
from lab.suites.sheet_truth import EXPECTED, FILLERS, LAYOUTS, NAMED, UNEXPECTED, Truth, slips, truth
from lab.suites.sheets import SCALE, Ink, Sheets, ink_of_scan, photographed, printed, scanned
from sheet_enumeration import alternatives
from sumnist.errors import ConfigError, DataError
from sumnist.sheets.layout import Field, Page
from sumnist.sheets.registration import detector

BLOCKS = Ink("blocks", ((np.full((20, 12), 255, np.uint8),),) * 10)
"""Digits that are all ink."""
MANY = 400


@cache
def mnist() -> Ink:
    return Ink.mnist("development")


@cache
def truths(name: str, wrong: float) -> list[Truth]:
    return [truth(LAYOUTS[name], "development", 0, place, wrong) for place in range(MANY)]


# What is meant.


def sums_of(sheet: Truth) -> dict[str, tuple[Fraction, Fraction]]:
    """By total what is written, and what is the sum of what is written, as numbers."""
    layout = sheet.layout
    meant = {name: Fraction(value, 2 if layout.field(name).halves else 1) for name, value in sheet.values.items()}
    return {
        formula.total: (meant[formula.total], sum((sign * meant[name] for sign, name in formula.terms), Fraction(0)))
        for formula in layout.formulas
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_totals_are_the_sums_of_what_is_written_but_for_the_one_that_is_told(name: str) -> None:
    for sheet in truths(name, 0.5):
        for total, (written, sum_) in sums_of(sheet).items():
            if sheet.mistake and sheet.mistake.field == total:
                assert written != sum_
                assert Fraction(sheet.mistake.sum, 2 if sheet.layout.field(total).halves else 1) == sum_
            else:
                assert written == sum_
        assert all(0 <= sheet.values[field.name] <= field.largest for field in sheet.layout.fields)


@pytest.mark.parametrize("name", LAYOUTS)
def test_mistakes_are_what_their_kind_says(name: str) -> None:
    found = Counter[str]()
    for sheet in truths(name, 1.0):
        mistake, layout = sheet.mistake, sheet.layout
        assert mistake is not None
        total, written = layout.field(mistake.field), sheet.values[mistake.field]
        (formula,) = (formula for formula in layout.formulas if formula.total == total.name)
        terms = [sign * sheet.values[part] * layout.field(part).step // total.step for sign, part in formula.terms]
        known = alternatives(mistake.sum, terms, total.largest, total.halves)
        unit = 2 if total.halves else 1
        digits, other = str(mistake.sum // unit), str(written // unit)
        found[mistake.kind] += 1
        if mistake.kind in NAMED:
            assert written in known[mistake.kind]
            continue
        assert written not in [one for ones in known.values() for one in ones]
        if mistake.kind == "two carries":
            steps = [sign * 10**place for place in range(1, 5) for sign in (1, -1)]
            assert (written - mistake.sum) / unit in {one + two for one, two in product(steps, steps)}
        elif mistake.kind == "digit forgotten":
            assert other in {digits[:place] + digits[place + 1 :] for place in range(len(digits))}
            assert written % unit == mistake.sum % unit
    assert found.keys() == {*EXPECTED, *UNEXPECTED}
    expected = sum(found[kind] for kind in EXPECTED)
    assert abs(expected - MANY / 2) < 2.6 * MANY**0.5 / 2 * 1.5


# What is written.


def said(field: Field, written: tuple[str, ...]) -> Fraction:
    """The number that somebody reads there."""
    text = "".join(written[: field.digits]) + "." + "".join(written[field.digits :])
    text = written[0].replace(",", ".") if field.kind == "strip" else text
    plain = "".join(sign for sign in text if sign not in FILLERS)
    return Fraction(("0" + plain + "0") if "." in plain else plain or "0")


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_written_is_what_is_meant(name: str) -> None:
    manners = Counter[str]()
    for sheet in truths(name, 0.5):
        for field in sheet.layout.fields:
            entry = sheet.entries[field.name]
            manners[entry.manner] += 1
            meant = Fraction(entry.value, 2 if field.halves else 1)
            places = 1 if field.kind == "strip" else field.digits + field.halves
            assert len(entry.written) == len(entry.correction) == places
            if entry.manner == "corrected":
                assert said(field, entry.correction) == meant
                assert said(field, entry.written) != meant
            else:
                assert said(field, entry.written) == meant
                assert not any(entry.correction)
            if entry.manner in ("empty", "filler"):
                assert entry.value == 0
                assert any(entry.written) == (entry.manner == "filler")
    count = sum(manners.values())
    assert manners.keys() == {"number", "empty", "filler", "corrected"}
    assert 0.03 < manners["corrected"] / count < 0.05


def test_as_many_totals_are_wrong_as_are_asked_for() -> None:
    for wrong in (0.0, 0.1, 0.5):
        count = sum(sheet.mistake is not None for sheet in truths("cover", wrong))
        assert abs(count - wrong * MANY) <= 4 * (wrong * (1 - wrong) * MANY) ** 0.5


# The same every time.


def test_a_sheet_depends_on_half_seed_and_place_alone() -> None:
    sheets, again = (Sheets(LAYOUTS["cover"], mnist(), "development", wrong=0.5) for _ in range(2))
    first, cells = sheets.photographed(3, (1280, 960)).data, sheets.cells(3)
    sheets.cells(1)
    assert again.cells(3).keys() == cells.keys()
    for one, other in zip(again.cells(3).values(), cells.values(), strict=True):
        assert all(map(np.array_equal, [*one[0], *one[1]], [*other[0], *other[1]]))
    assert again.photographed(3, (1280, 960)).data == first
    assert again.scanned(3).data == sheets.scanned(3).data
    others = [sheets.truth(4), Sheets(sheets.layout, BLOCKS, "reported", wrong=0.5).truth(3),
              Sheets(sheets.layout, BLOCKS, "development", seed=1, wrong=0.5).truth(3)]  # fmt: skip
    assert all(other.values != sheets.truth(3).values for other in others)


def test_the_halves_have_no_seed_and_no_digit_in_common() -> None:
    drawn = [truth(LAYOUTS["cover"], half, seed, 0).values for half in HALVES for seed in range(3)]
    assert len({tuple(one.values()) for one in drawn}) == 6
    pictures = [{picture.tobytes() for digit in Ink.mnist(half).digits for picture in digit} for half in HALVES]
    assert not pictures[0] & pictures[1]
    assert min(map(len, pictures)) > 4_900
    with pytest.raises(ConfigError, match="half 'odd': unknown"):
        Sheets(LAYOUTS["cover"], BLOCKS, "odd")  # type: ignore[arg-type]


# Scans of digits.


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Folders of four scans of a digit each, whose bars are as high as their number says, beside a line of a table."""
    for digit, number in product(range(10), range(4)):
        picture = np.full((140, 90), 250, np.uint8)
        picture[40 : 60 + 10 * number, 40:44] = 30
        picture[:, 5:7] = 0
        (tmp_path / str(digit)).mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / str(digit) / f"{number:05}.png")
    return tmp_path


def test_scans_with_odd_numbers_are_for_the_report_and_lines_of_tables_are_left_out(scans: Path) -> None:
    heights = [[picture.shape for picture in Ink.scanned(scans, half).digits[7]] for half in HALVES]
    assert heights == [[(22, 6), (42, 6)], [(32, 6), (52, 6)]]  # with a pixel around


def test_a_scan_of_nothing_has_no_ink_and_one_that_is_lacking_is_told(scans: Path) -> None:
    Image.new("L", (90, 140), 250).save(scans / "blank.png")
    assert not ink_of_scan(scans / "blank.png").any()
    (scans / "3/00001.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"00001\.png: cannot be read .*, expected a picture: take it out"):
        Ink.scanned(scans, "reported")
    for path in (scans / "3").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="3: no pictures of the development half, expected files such as"):
        Ink.scanned(scans, "development")


# Photographs.


@pytest.mark.parametrize("index", range(4))
def test_tags_are_found_where_the_page_is_said_to_be(index: int) -> None:
    layout = LAYOUTS["cover"]
    random = np.random.default_rng(index)
    page = printed(layout, "000001")
    photograph = scanned(page, random) if index == 3 else photographed(page, random, (2048, 1536), bent=index == 2)
    seen = np.asarray(Image.open(BytesIO(photograph.data)))
    assert seen.shape == photograph.size[::-1]
    found = {tag.tag_id: tag.corners for tag in detector().detect(seen)}
    assert found.keys() == {0, 1, 2, 3}
    for place, tag in enumerate(Page.of(layout).tags):
        corners = np.array([[x, y] for x in (tag.x, tag.right) for y in (tag.y, tag.bottom)])
        away = np.linalg.norm(photograph.view.seen(corners)[:, None] - found[place], axis=2).min(1)
        assert away.max() < 1


def test_what_is_seen_where_is_the_inverse_of_where_it_is_seen() -> None:
    page = np.full((297 * SCALE, 210 * SCALE), 255, np.uint8)
    points = np.random.default_rng(0).uniform((0, 0), (210, 297), (50, 2))
    for index, bent in product(range(6), (False, True)):
        view = photographed(page, np.random.default_rng(index), (320, 240), bent).view
        np.testing.assert_allclose(view.unseen(view.seen(points)), points, atol=1e-6)
        assert (view.bend != 0) == bent


def test_all_of_a_page_is_on_its_photograph_and_some_are_turned() -> None:
    page = np.full((297 * SCALE, 210 * SCALE), 255, np.uint8)
    corners = np.array(list(product((0, 210), (0, 297))))
    quarters, tilts = Counter[int](), []
    for index in range(40):
        photograph = photographed(page, np.random.default_rng(index), (320, 240))
        seen = photograph.view.seen(corners)
        assert (seen > 0).all()
        assert (seen < photograph.size).all()
        quarters[photograph.quarter] += 1
        tilts.append(photograph.tilt)
        assert photograph.size == ((320, 240) if photograph.quarter % 2 else (240, 320))
    assert 25 < quarters[0] < 40
    assert 15 < max(tilts) <= 30


def test_slips_of_a_total_of_105() -> None:
    total = Field("total", "Total", "boxes", 3, 200)
    assert slips(total, 105, [95, 10], 130) == {
        "off by one": {104, 106},
        "carry": {5, 95, 115},
        "swapped": {150},
        "skipped": {10, 95},
        "two carries": {15, 85, 125, 195},
        "digit forgotten": {15},  # and 10, which is a skipped term too
        "another's total": {130},
    }


@pytest.mark.parametrize("seen", ["flat", "bent", "scan"])
def test_the_ink_on_a_photograph_is_where_the_boxes_are(seen: str) -> None:
    sheets = Sheets(LAYOUTS["cover"], BLOCKS, "development")
    for index in range(3):
        shot = sheets.scanned(index) if seen == "scan" else sheets.photographed(index, (1600, 1200), seen == "bent")
        picture, entries = np.asarray(Image.open(BytesIO(shot.data))), sheets.truth(index).entries
        places = Page.of(sheets.layout).places
        boxes = [(place.name, at, box) for place in places for at, box in enumerate(place.boxes)]
        middles = [(box.x + box.width / 2, box.y + box.height / 2) for *_, box in boxes]
        columns, rows = shot.view.seen(np.array(middles)).astype(int).T
        ((white, below),) = shot.view.seen(np.array([[60.0, 240.0]])).astype(int)
        dark = 1 - picture[rows, columns] / picture[below, white]
        texts = [entries[name].written[at] for name, at, _ in boxes]
        written, empty = dark[[text.isdecimal() for text in texts]], dark[[text == "" for text in texts]]
        assert np.median(written) > np.median(empty) + 0.25

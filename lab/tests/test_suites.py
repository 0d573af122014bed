"""The suites: which half a picture is in, that each is a function of its place, and that what is known is true."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lab.suites import digits, measure, photographs
from lab.suites.corruptions import CORRUPTIONS
from lab.suites.digits import HALVES, WRITERS, Half, mnist_half, small_digits, writers_of
from lab.suites.out_of_distribution import OUT_OF_DISTRIBUTION, noise, scribbles
from lab.suites.sheet_truth import EXPECTED, LAYOUTS, UNEXPECTED, truth
from lab.suites.sheets import SCALE, Ink, Sheets
from lab.suites.strips import NO_NUMBERS, strings
from sheet_enumeration import alternatives
from sumnist.data.mnist import load_mnist
from sumnist.data.sampling import hold_out
from sumnist.inference.reader import Reader
from sumnist.sheets.layout import Page

pytestmark = pytest.mark.long
TEST = load_mnist("test")
IMAGES = TEST.images[:40]
PLACED: dict[str, Callable[[Half, int], Any]] = {
    "cells": lambda half, count: digits.drawn_cells(IMAGES[:count], HALVES.index(half)),
    "photographs": lambda half, count: photographs.photographs(list(IMAGES[:count]), HALVES.index(half)),
    "scribbles": scribbles, "noise": noise,
    "strings": lambda half, count: strings(half, 4, "close", count).pictures,
    **{name: make for name, make in NO_NUMBERS.items() if name != "blank"},
}  # fmt: skip


def opened(picture: object) -> NDArray[np.uint8]:
    """A picture as grey levels."""
    if isinstance(picture, bytes):
        return np.asarray(Image.open(BytesIO(picture)).convert("L"))
    assert isinstance(picture, np.ndarray)
    return picture


@pytest.mark.parametrize("name", PLACED)
def test_what_is_drawn_depends_on_half_and_place_and_not_on_how_many_there_are(name: str) -> None:
    asked: tuple[tuple[Half, int], ...] = ("development", 3), ("development", 5), ("reported", 3)
    few, more, others = ([opened(one) for one in PLACED[name](*given)] for given in asked)
    assert all(map(np.array_equal, few, more[:3]))
    assert (len(few), len(more)) == (3, 5)
    assert not any(map(np.array_equal, few, others))
    assert not np.array_equal(few[0], few[1])


def test_the_halves_of_digits_have_no_image_and_no_writer_in_common() -> None:
    train, test = load_mnist("train"), load_mnist("test")
    held_out = hold_out(train.digits, 5000)[1]
    np.testing.assert_array_equal(mnist_half("development", 50).images, train.images[held_out[:50]])
    np.testing.assert_array_equal(mnist_half("reported", 50).images, test.images[:50])
    assert [len(small_digits(half)) for half in HALVES] == [898, 899]
    development, reported = (set(writers_of(half)) for half in HALVES)
    assert not development & reported
    assert development | reported == set(WRITERS)


@pytest.mark.parametrize("name", OUT_OF_DISTRIBUTION)
def test_no_out_of_distribution_picture_is_in_both_halves(name: str) -> None:
    make: Callable[..., Any] = OUT_OF_DISTRIBUTION[name]
    count = (12,) if name in ("scribbles", "noise", "blank") else ()
    made = [[opened(one) for one in make(half, *count)] for half in HALVES]
    development, reported = ({one.tobytes() for one in pictures if np.ptp(one)} for pictures in made)
    assert len(development) > 10
    assert not development & reported


# Forms.


@pytest.mark.parametrize("name", LAYOUTS)
def test_totals_are_the_sums_of_what_is_written_but_for_the_one_that_is_told_and_its_kind_is_true(name: str) -> None:
    layout, kinds = LAYOUTS[name], set[str]()
    for sheet in (truth(layout, "development", 0, place, 0.7) for place in range(300)):
        meant = {name: Fraction(value, 2 if layout.field(name).halves else 1) for name, value in sheet.values.items()}
        for formula in layout.formulas:
            due = sum((sign * meant[name] for sign, name in formula.terms), Fraction(0))
            total, mistake = layout.field(formula.total), sheet.mistake
            told = mistake is not None and mistake.field == total.name
            assert (meant[total.name] != due) == told
            if mistake is not None and told:
                values = [sheet.values[part] * layout.field(part).step // total.step for _, part in formula.terms]
                known = alternatives(formula, values, total.largest, total.halves)
                kinds.add(mistake.kind)
                written = sheet.values[total.name]
                assert (written in known.get(mistake.kind, ())) == (mistake.kind in EXPECTED and mistake.kind in known)
        assert all(0 <= sheet.values[field.name] <= field.largest for field in layout.fields)
    assert kinds <= {*EXPECTED, *UNEXPECTED}
    assert len(kinds) > 5


@pytest.mark.parametrize("bent", [0.0, 1.0])
def test_each_box_of_a_form_is_seen_where_the_view_says(bent: float) -> None:
    layout = LAYOUTS["cover"]
    black = Ink("blocks", ((np.full((20, 12), 255, np.uint8),),) * 10)
    sheets = Sheets(layout, black, "development")
    taken = sheets.photographed(2, (2048, 1536), bent)
    grey, page = opened(taken.data), sheets.page(2)
    for place in Page.of(layout).places:
        for box in place.boxes:
            middle = np.array([[box.x + box.width / 2, box.y + box.height / 2]])
            ((x, y),) = taken.view.seen(middle)
            dark = page[round(middle[0, 1] * SCALE), round(middle[0, 0] * SCALE)] < 150
            around = np.median(grey[round(y) - 40 : round(y) + 41, round(x) - 40 : round(x) + 41])
            assert (grey[round(y), round(x)] < 0.75 * around) == dark or abs(taken.view.bend) > 3
            np.testing.assert_allclose(taken.view.unseen(taken.view.seen(middle)), middle, atol=0.05)


# Measuring.


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_the_area_under_the_roc_curve_is_the_share_of_pairs_in_order(inside: list[int], outside: list[int]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a in inside for b in outside]
    assert measure.area_under_roc(np.array(inside, float), np.array(outside, float)) == pytest.approx(np.mean(pairs))


def test_robustness_has_a_figure_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("small_digits", "font_digits"):
        whole = getattr(digits, name)("development")
        few = type(whole)(whole.name, whole.pictures[:10], whole.digits[:10], whole.writers[:10])
        monkeypatch.setattr(digits, name, lambda half, few=few: few)
    grey = {"grey": lambda half: [np.full((30, 30), 99, np.uint8)] * 3}
    monkeypatch.setattr(measure, "OUT_OF_DISTRIBUTION", grey)
    values = measure.robustness(Reader(), images=6)
    assert [(one["name"], one["images"]) for one in values["corruptions"]] == [(name, 6) for name in CORRUPTIONS]
    assert [one["pictures"] for one in values["digits"]] == [10, 10, *[6] * 8]
    assert values["out_of_distribution"] == [{"name": "grey", "pictures": 3, "accepted": 0.0, "auroc": 1.0}]
    for part in ("network", "reader"):
        assert values[f"{part}_mean"] == pytest.approx(sum(one[part] for one in values["corruptions"]) / 15)

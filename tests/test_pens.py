"""Pens: a character comes out at its place, in its size, with its slant, and by a pen as wide as was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.data import pens
from sumnist.data.mnist import load_mnist
from sumnist.data.pens import EDGE, HEIGHT, Bank, Pieces, Strokes, stroked, written
from sumnist.errors import DataError

MNIST = load_mnist("train")
BANK = Bank(MNIST.images[:2000], MNIST.digits[:2000], 10)
WIDTH = 48


def bar() -> NDArray[np.uint8]:
    """Two images: an upright bar of 6×20 pixels, its left edge at 11, and the same slanting to the right by 0.3."""
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 4:24, 11:17] = 255
    for y in range(4, 24):
        left = round(11 + 0.3 * (14 - y))
        images[1, y, left : left + 6] = 255
    return images


def one(bank: Bank, place: int, **changed: float) -> NDArray[np.float32]:
    """A strip `[32, 48]` with the image at `place` in its middle, as large as in the bank and as its own pen has it."""
    values = {
        "x": WIDTH / 2, "y": HEIGHT / 2, "wide": 1.0, "high": 1.0, "slant": float(bank.slant[place]), "angle": 0.0,
        "pen": float(bank.pen[place]), "steep": 1.0, "light": 1.0,
    } | changed  # fmt: skip
    arrays = {name: np.array([value], np.float32) for name, value in values.items()}
    canvas = np.zeros((1, HEIGHT, WIDTH + 2 * EDGE), np.float32)
    piece = Pieces(np.array([0]), np.array([place]), bend=np.zeros((1, 2, 2), np.float32), **arrays)
    written(bank, piece, canvas)
    return canvas[0, :, EDGE:-EDGE]


def line(x: float, y: float, to_x: float, to_y: float, radius: float, light: float = 1.0) -> NDArray[np.float32]:
    canvas = np.zeros((1, HEIGHT, WIDTH + 2 * EDGE), np.float32)
    ends = (np.array([value], np.float32) for value in (x, y, to_x, to_y, radius, light))
    stroked(Strokes(np.array([0]), *ends), canvas)
    return canvas[0, :, EDGE:-EDGE]


def test_a_character_at_its_own_size_by_its_own_pen_is_the_image_itself() -> None:
    bank = Bank(bar()[:1], np.array([0]), 1)
    expected = np.zeros((HEIGHT, WIDTH))
    expected[6:26, 21:27] = 1
    assert np.abs(one(bank, 0) - expected).max() < 0.05


def test_mnist_by_its_own_pen_at_its_own_size_stays_as_it_was() -> None:
    for place in range(0, 2000, 97):
        image = MNIST.images[place : place + 1]
        bank = Bank(image, np.array([0]), 1)
        strip = one(bank, 0)[:, 10:38]
        low, high = float(bank.top[0]), float(bank.bottom[0])
        moved = round(HEIGHT / 2 - (low + high) / 2)
        right = round(14 - float(bank.left[0] + bank.right[0]) / 2)
        expected = np.roll(np.pad(image[0] / 255, ((0, 4), (0, 0))), (moved, right), (0, 1))
        # By whole pixels, at best: the strip may lie half of one beside it.
        likeness = np.corrcoef(strip.ravel(), expected.ravel())[0, 1]
        assert likeness > 0.85


def test_the_box_of_the_ink_is_in_the_middle_of_where_it_should_be() -> None:
    for place in range(0, len(BANK.pen), 97):
        strip = one(BANK, place, x=20.0, y=15.0, wide=1.2, high=1.1, slant=0.0, steep=2.0) > 0.3
        rows, columns = np.flatnonzero(strip.any(1)), np.flatnonzero(strip.any(0))
        assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(15, abs=1.5)
        assert (columns[0] + columns[-1] + 1) / 2 == pytest.approx(20, abs=2)
        tall = 1.1 * (BANK.bottom - BANK.top)[place]
        assert len(rows) <= tall + 3
        assert rows[-1] - rows[0] + 1 >= tall - 4


@pytest.mark.parametrize("pen", [1.6, 2.5, 4.0, 6.0, 7.0])
def test_a_stroke_is_as_wide_as_its_pen(pen: float) -> None:
    bank = Bank(bar()[:1], np.array([0]), 1)
    bank.pen[0] = 6  # what a ruler says of the bar
    width = one(bank, 0, pen=pen)[16].sum()
    assert width == pytest.approx(pen, abs=0.7)


def test_a_pen_is_measured_in_pixels_of_the_strip_whatever_the_size_of_the_character() -> None:
    bank = Bank(bar()[:1], np.array([0]), 1)
    bank.pen[0] = 6
    for size in (0.8, 1.4):
        assert one(bank, 0, wide=size, high=size, pen=3.0)[16].sum() == pytest.approx(3, abs=0.7)


def test_the_pens_of_a_bank_are_about_as_wide_as_a_ruler_finds_them() -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    for i, wide in enumerate((2, 3, 5)):
        images[i, 4:24, 12 : 12 + wide] = 255
    assert Bank(images, np.arange(3), 3).pen.tolist() == pytest.approx([2, 3, 5], abs=0.6)


def test_images_whose_loops_a_fat_pen_may_have_filled_are_left_out() -> None:
    images = np.concatenate([bar(), bar()])
    images[0, 4:24, 4:24] = 255
    images[2, 4:24, 10:18] = 255
    bank = Bank(images, np.zeros(4, np.int64), 1)
    assert len(bank.pen) == 2
    assert bank.pen.max() <= pens.FATTEST


def test_a_positive_slant_leans_to_the_right_and_an_image_loses_its_own() -> None:
    bank = Bank(bar(), np.array([0, 0]), 1)
    assert float(bank.slant[1] - bank.slant[0]) == pytest.approx(0.3, abs=0.05)
    column = np.arange(WIDTH) + 0.5
    for place in (0, 1):
        # The kind's mean slant, half of 0.3, is taken for its form.
        for slant in (-0.15, 0.0, 0.25):
            strip = one(bank, place, slant=slant)
            high, low = (strip[row] @ column / strip[row].sum() for row in (10, 20))
            assert (high - low) / 10 == pytest.approx(slant + 0.15, abs=0.06)


def test_where_characters_meet_the_lighter_ink_counts() -> None:
    bank = Bank(bar()[:1], np.array([0]), 1)
    canvas = np.zeros((1, HEIGHT, WIDTH + 2 * EDGE), np.float32)
    alike = {"x": 24, "y": 16, "wide": 1, "high": 1, "slant": 0, "angle": 0, "pen": float(bank.pen[0]), "steep": 1}
    values = {name: np.full(2, value, np.float32) for name, value in alike.items()}
    light = np.array([0.4, 0.9], np.float32)
    pieces = Pieces(
        np.zeros(2, np.int64), np.zeros(2, np.int64), light=light, bend=np.zeros((2, 2, 2), np.float32), **values
    )
    written(bank, pieces, canvas)
    assert canvas.max() == pytest.approx(0.9)


def test_a_stroke_has_the_area_of_its_shape() -> None:
    for radius, length in ((1.0, 0.0), (1.5, 12.0), (2.5, 20.0)):
        area = line(12.3, 15.8, 12.3 + length * 0.8, 15.8 - length * 0.6, radius).sum()
        assert area == pytest.approx(2 * radius * length + math.pi * radius**2, rel=0.12)


def test_what_reaches_out_of_a_strip_is_cut() -> None:
    assert line(-100, 16, 200, 16, 1)[16].all()
    assert not line(10, -30, 40, -20, 2).any()
    assert not one(BANK, 0, x=-300.0).any()


def test_every_kind_needs_an_image() -> None:
    with pytest.raises(DataError, match="no image of kind 1 among 2, expected one of each of 3"):
        Bank(bar(), np.array([0, 2]), 3)


def test_a_chance_chooses_among_the_images_of_a_kind_and_no_others() -> None:
    kinds = np.repeat(np.arange(10), 50)
    places = BANK.choose(kinds, np.tile(np.linspace(0, 0.999, 50), 10))
    ends = BANK.firsts + BANK.counts
    assert (places >= BANK.firsts[kinds]).all()
    assert (places < ends[kinds]).all()
    assert set(places.tolist()) >= set(BANK.firsts.tolist()) | set((ends - 1).tolist())


def test_the_middle_line_of_a_stroke_runs_all_along_it() -> None:
    middle = pens.middle_lines(bar())
    for image in middle:
        assert (image[7:21].max(1) > 200).all()
        assert image[14].sum() < 3 * 255


def test_a_drawn_sign_has_a_kind_of_those_that_are_not_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 3))
    images, kinds = pens.signs(np.random.default_rng(0))
    assert images.shape == (15, 28, 28)
    assert kinds.tolist() == [kind for kind in range(pens.LETTER, pens.BANK_KINDS) for _ in range(3)]
    assert (images.max((1, 2)) == 255).all()

"""Pens: a character comes out at its place, in its size, with its slant, and by a pen as wide as was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.data.mnist import load_mnist
from sumnist.data.pens import EDGE, Bank, Pieces, Strokes, stroked, written
from sumnist.data.texts import HEIGHT
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


@pytest.mark.parametrize("pen", [1.6, 2.5, 4.0, 6.0, 7.0])
def test_a_stroke_is_as_wide_as_its_pen(pen: float) -> None:
    bank = Bank(bar()[:1], np.array([0]), 1)
    bank.pen[0] = 6  # what a ruler says of the bar
    width = one(bank, 0, pen=pen)[16].sum()
    assert width == pytest.approx(pen, abs=0.7)


def test_the_pens_of_a_bank_are_about_as_wide_as_a_ruler_finds_them() -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    for i, wide in enumerate((2, 3, 5)):
        images[i, 4:24, 12 : 12 + wide] = 255
    assert Bank(images, np.arange(3), 3).pen.tolist() == pytest.approx([2, 3, 5], abs=0.6)


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

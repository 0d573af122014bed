"""Digits that stand apart on a line are cut out, each as if it were alone; what touches is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.data.mnist import load_mnist
from sumnist.pictures.apart import digits_apart

TEST = load_mnist("test")
Grey = NDArray[np.float32]


def digit(place: int) -> Grey:
    """A test image without its empty columns."""
    image: Grey = TEST.images[place].astype(np.float32) / 255
    columns = np.flatnonzero(image.max(0))
    return image[:, columns[0] : columns[-1] + 1]


def side_by_side(images: list[Grey], gap: int) -> tuple[Grey, NDArray[np.float64]]:
    """A line of images, and the column of the middle of each; with a gap of less than 0 they lie over each other."""
    starts = np.cumsum([4, *(image.shape[1] + gap for image in images)])
    line = np.zeros((28, int(starts[-1]) - gap + 4), np.float32)
    for image, start in zip(images, starts, strict=False):
        part = line[:, start : start + image.shape[1]]
        np.maximum(part, image, out=part)
    return line, np.array([start + image.shape[1] / 2 for image, start in zip(images, starts, strict=False)])


@pytest.mark.parametrize("gap", [2, 6, 30])
def test_a_digit_looks_in_a_line_as_it_does_alone(gap: int) -> None:
    images = [digit(place) for place in (0, 1, 2, 3, 4)]
    found = digits_apart(*side_by_side(images, gap))
    for one, image in zip(found, images, strict=True):
        (alone,) = digits_apart(*side_by_side([image], gap))
        assert one is not None
        assert alone is not None
        assert np.abs(one - alone).max() < 1e-6


def test_digits_that_touch_are_not_cut_and_one_beside_them_is() -> None:
    pair, _ = side_by_side([digit(3), digit(10)], -3)  # zeros
    line, (pairs, single) = side_by_side([pair, digit(0)], 8)
    first, second, third = digits_apart(line, np.array([pairs - 8, pairs + 8, single]))
    assert first is None
    assert second is None
    assert third is not None


@pytest.mark.parametrize("ink", [(slice(0, 0), slice(0, 0)), (slice(14, 16), slice(6, 20))])
def test_of_a_blank_line_and_of_a_dash_there_is_no_digit(ink: tuple[slice, slice]) -> None:
    line = np.zeros((28, 40), np.float32)
    line[ink] = 1
    assert digits_apart(line, np.array([13.0])) == [None]

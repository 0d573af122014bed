"""Printed lines: drawn on a page, found, taken out, and the digit on it left whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sumnist.data.mnist import load_mnist
from sumnist.pictures.filters import resized
from sumnist.pictures.ruling import (
    GRID,
    along_lines,
    has_ends,
    hits_on,
    most_of,
    reaches_frame,
    slopes_of,
    without_lines,
)

TEST = load_mnist("test").images[:20]
SIDE = 300


def digit(image: NDArray[np.uint8], depth: float = 0.7) -> NDArray[np.float32]:
    whole = np.zeros((SIDE, SIDE), np.float32)
    whole[60:228, 70:238] = depth * np.kron(image / 255, np.ones((6, 6)))
    return whole


def lines(slope: float, squared: bool, depth: float, width: int = 2, apart: int = 60) -> NDArray[np.float32]:
    canvas = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(canvas)
    for place in range(-SIDE + 17, 2 * SIDE, apart):
        pen.line([(-10, place), (SIDE + 10, place + slope * (SIDE + 20))], 255, width)
        if squared:
            pen.line([(place, -10), (place - slope * (SIDE + 20), SIDE + 10)], 255, width)
    return (depth * np.asarray(canvas) / 255).astype(np.float32)


@pytest.mark.parametrize("slope", [0.0, 0.07, -0.14])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("depth", [0.1, 0.3, 0.7])
def test_an_empty_page_is_empty_again(slope: float, squared: bool, depth: float) -> None:
    left, count = without_lines(lines(slope, squared, depth), 0.0)
    assert count >= 4 * (1 + squared)
    assert (left > depth / 2).mean() < 0.002


@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("depth", [0.25, 0.7])
def test_a_digit_on_ruled_paper_is_left_whole(slope: float, depth: float) -> None:
    for image in TEST:
        ink = digit(image)
        left, _ = without_lines(np.maximum(ink, lines(slope, False, depth)), 0.0)
        lost, stayed = (ink > 0.4) & (left < 0.3), (ink < 0.05) & (left > 0.35)
        assert lost.sum() < 0.02 * (ink > 0.4).sum()
        assert stayed.sum() < 0.04 * (ink > 0.4).sum()


def test_a_digit_on_plain_paper_is_not_touched() -> None:
    random = np.random.default_rng(0)
    for image in TEST:
        ink = (digit(image) + 0.02 * random.standard_normal((SIDE, SIDE))).clip(0, 1).astype(np.float32)
        left, count = without_lines(ink, 0.02)
        assert count == 0
        assert np.array_equal(left, ink)


def test_small_pictures_have_no_lines() -> None:
    values = np.random.default_rng(0).random((28, 28)).astype(np.float32)
    assert without_lines(values, 0.0)[0] is values


@pytest.mark.parametrize(("height", "width"), [(40, 70), (90, 33), (25, 25)])
def test_sums_along_lines_are_those_of_walking_along_each(height: int, width: int) -> None:
    hits = np.random.default_rng(height).random((height, width)) < 0.4
    counted, most = along_lines(hits), most_of(width)
    for slope, sums in zip(slopes_of(width), counted, strict=True):
        shifts = np.rint(slope * (np.arange(width) - (width - 1) / 2)).astype(int)
        for row in range(0, height + 2 * most, 7):
            walked = [hits[y, x] for x in range(width) if 0 <= (y := row - most + shifts[x]) < height]
            assert sums[row] == sum(walked)


def test_a_picture_with_an_empty_frame_is_not_searched_and_has_no_lines() -> None:
    picture = np.zeros((120, 120), np.float32)
    picture[60, 15:-15] = 0.5  # long and straight, but with free ends
    assert without_lines(picture, 0.0)[1] == 0
    assert not reaches_frame(picture > 0)
    picture[60] = 0.5
    assert reaches_frame(picture > 0)
    assert without_lines(picture, 0.0)[1] == 1


@pytest.mark.parametrize("seed", range(40))
def test_a_picture_that_is_not_searched_has_nothing_that_could_end_a_line(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(64, 1_000, 2)
    picture = np.zeros((height, width), np.float32)
    edge = 1 + int(0.3 * random.random() * min(height, width))  # so much of the frame is empty, around noise
    inside = picture[edge:-edge, edge:-edge]
    inside[:] = random.random(inside.shape) < 0.1
    if not has_ends(picture):
        assert not reaches_frame(hits_on(resized(picture, GRID)))

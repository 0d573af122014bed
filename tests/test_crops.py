"""Tight crops and drawn cells: reproducible, cropped to the ink, and with a digit that touches no line."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from drawings import TEST
from sumnist.lab.suites import crops
from sumnist.lab.suites.chance import generator
from sumnist.lab.suites.crops import cell, drawn_cells, tight_crops

IMAGES = TEST.images[:40]
LINE = np.zeros((28, 28), np.uint8)
LINE[4:24, 13] = 255
"""A stroke of one pixel."""


def same(one: list[NDArray[np.uint8]], other: list[NDArray[np.uint8]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_tight_crops_have_ink_on_all_four_sides_and_lose_none() -> None:
    for image, crop in zip(IMAGES, tight_crops(IMAGES), strict=True):
        inked = crop >= 64
        assert inked[0].any()
        assert inked[-1].any()
        assert inked[:, 0].any()
        assert inked[:, -1].any()
        assert inked.sum() == (image >= 64).sum()
        positions = [(top, left) for top in range(29 - crop.shape[0]) for left in range(29 - crop.shape[1])]
        assert any(
            np.array_equal(image[top : top + crop.shape[0], left : left + crop.shape[1]], crop)
            for top, left in positions
        )


@pytest.mark.parametrize("scale", [1, 3, 6])
def test_dark_crops_are_the_complement_of_light_ones_and_scale_is_their_size(scale: int) -> None:
    light, dark = tight_crops(IMAGES, scale), tight_crops(IMAGES, scale, dark=True)
    assert same([255 - crop for crop in light], dark)
    assert [crop.shape for crop in light] == [
        (scale * crop.shape[0], scale * crop.shape[1]) for crop in tight_crops(IMAGES)
    ]
    for crop in light:
        edges = crop[0], crop[-1], crop[:, 0], crop[:, -1]
        assert min(int(edge.max()) for edge in edges) >= 40  # what was interpolated there is ink still
    assert {crop.dtype for crop in light + dark} == {np.dtype(np.uint8)}


def test_a_cell_depends_on_its_image_its_seed_and_its_place_alone() -> None:
    cells = drawn_cells(IMAGES, 3)
    assert same(cells, drawn_cells(IMAGES, 3))
    assert same(cells[:7], drawn_cells(IMAGES[:7], 3))
    assert same(cells[5:6], [cell(IMAGES[5], generator(3, "cell", 5))])
    assert not np.array_equal(cells[0], drawn_cells(IMAGES, 4)[0])
    others = IMAGES.copy()
    others[0] = IMAGES[1]
    assert same(cells[1:], drawn_cells(others, 3)[1:])


def test_cells_are_grey_pictures_of_the_promised_sizes() -> None:
    cells = drawn_cells(IMAGES, 0)
    for picture in cells:
        height, width = picture.shape
        assert picture.dtype == np.uint8
        assert 40 <= height < 120
        assert 0.8 * height - 1 <= width <= 1.5 * height
    assert len({picture.shape for picture in cells}) > 20


def drawn_parts(image: NDArray[np.uint8], place: int, monkeypatch: pytest.MonkeyPatch) -> tuple[NDArray[np.bool_], ...]:
    """Where a cell has its lines, and where its digit, before blur and noise."""
    seen: list[NDArray[np.float64]] = []

    def ruled(values: NDArray[np.float64], random: np.random.Generator) -> int:
        edge = real(values, random)
        seen.extend([values, values.copy()])
        return edge

    real = crops.ruled
    with monkeypatch.context() as patch:
        patch.setattr(crops, "ruled", ruled)
        cell(image, generator(0, "cell", place))
    written, lines = seen  # the first went on to be written upon
    return lines != np.median(lines), written != lines


def test_the_digit_touches_no_line_and_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for place in range(60):
        lines, digit = drawn_parts(IMAGES[place % len(IMAGES)], place, monkeypatch)
        assert lines.any()
        assert digit.any()
        near = np.zeros_like(digit)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                near |= np.roll(digit, (down, right), (0, 1))
        assert not (near & lines).any()
        rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
        longer, height = max(np.ptp(rows), np.ptp(columns)) + 1, len(lines)
        assert longer <= 0.75 * height + 1
        counts.append(int(sum(bool(part.mean() > 0.3) for part in (
            lines[: height // 5].any(0), lines[-(height // 5) :].any(0),
            lines[:, : lines.shape[1] // 5].any(1), lines[:, -(lines.shape[1] // 5) :].any(1)))))  # fmt: skip
    assert {1, 2, 3, 4} == set(counts)


def test_even_a_stroke_of_one_pixel_becomes_a_picture() -> None:
    (crop,) = tight_crops(LINE[None])
    assert crop.shape == (20, 1)
    assert tight_crops(LINE[None], 6)[0].shape == (120, 6)
    for picture in drawn_cells(np.repeat(LINE[None], 5, 0)):
        assert picture.std() > 5

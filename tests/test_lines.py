"""Where a line of digits may be on a picture: whole, by its ink, in either polarity, on a photograph."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.pictures.decode import Intensities
from sumnist.pictures.lines import LineProposal, forms, lines

Grey = NDArray[np.float32]


def picture(
    height: int, width: int, bars: list[tuple[int, int, int, int]], ground: float = 1.0, ink: float = 0.0
) -> Grey:
    """Upright strokes, (top, bottom, left, right) each, on a plain ground."""
    grey = np.full((height, width), ground, np.float32)
    for top, bottom, left, right in bars:
        grey[top:bottom, left:right] = ink
    return grey


def proposed(grey: Grey, **given: object) -> list[LineProposal]:
    return list(chain(*lines(Intensities(grey), **given)))  # type: ignore[arg-type]


LINE = [(20, 50, left, left + 5) for left in range(40, 160, 12)]
"""Ten strokes beside each other, about as many along the line's height as hands write."""


def test_the_picture_without_its_empty_margins_is_proposed_first_with_its_ink_light_on_dark() -> None:
    first = proposed(picture(70, 200, LINE))[0]
    down, right = round(0.09 * 30), round(0.25 * 30)
    box = 20 - down, 50 + down, 40 - right, 153 + right
    assert (first.how, first.dark, first.found, first.box) == ("dark ink", True, False, box)
    assert first.image.shape == (box[1] - box[0], box[3] - box[2])
    assert first.image[10, right + 2] == 1
    assert first.image[10, right + 10] == 0


def test_the_line_of_ink_is_proposed_with_some_ground_around_it() -> None:
    strokes = [(180, 184, 330, 334), *((t + 60, b + 60, x, y) for t, b, x, y in LINE)]
    found = next(one for one in proposed(picture(200, 400, strokes)) if one.found)
    top, bottom, left, right = found.box
    assert 70 <= top < 80
    assert 110 < bottom <= 120
    assert 20 <= left < 40
    assert 153 < right <= 173
    assert found.dark


def test_the_line_of_ink_is_the_same_image_if_it_is_the_picture_without_its_margins() -> None:
    whole, line = proposed(picture(70, 200, LINE), ink="dark")
    assert (whole.found, line.found) == (False, True)
    assert line.image is whole.image
    assert line == replace(whole, found=True)


@pytest.mark.parametrize("dark", [True, False])
def test_light_ink_gives_the_same_image_as_dark_ink(dark: bool) -> None:
    grey = picture(70, 200, LINE)
    first = proposed(grey if dark else 1 - grey)[0]
    assert first.dark == dark
    assert np.allclose(first.image, proposed(grey)[0].image, atol=1e-6)


@pytest.mark.parametrize("shape", [(20_000, 1), (1, 20_000), (20_000, 3)])
def test_more_ground_around_a_sliver_is_no_more_than_a_few_times_the_sliver(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert max(one.image.size for found in proposed(grey) for one in forms(found)) < 4 * grey.size


@pytest.mark.parametrize("ink", ["dark", "light"])
def test_who_says_what_the_ink_is_gets_no_other(ink: str) -> None:
    for grey in (picture(70, 200, LINE), picture(70, 200, LINE, 0.0, 1.0)):
        assert {one.dark for one in proposed(grey, ink=ink)} == {ink == "dark"}


def test_an_even_picture_has_no_line() -> None:
    assert proposed(np.full((40, 90), 0.5, np.float32)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (2, 2), (8, 8), (3, 1000)])
def test_any_shape_of_picture_gives_boxes_within_it(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).random(shape, dtype=np.float32)
    for one in proposed(grey):
        top, bottom, left, right = one.box
        assert 0 <= top < bottom <= shape[0]
        assert 0 <= left < right <= shape[1]
        assert one.image.size
        assert np.isfinite(one.image).all()


def test_boxes_are_in_pixels_of_the_picture_before_it_was_reduced() -> None:
    grey = picture(70, 200, LINE)
    found = [list(chain(*lines(Intensities(grey, reduction)))) for reduction in (1.0, 3.0)]
    for one, other in zip(*found, strict=True):
        assert np.allclose(np.array(other.box), 3 * np.array(one.box), atol=1)


def test_on_a_photograph_a_sheet_on_a_dark_desk_is_no_ink() -> None:
    random = np.random.default_rng(1)
    grey = 0.25 + 0.05 * random.standard_normal((320, 420))
    sheet = np.linspace(0.75, 0.95, 300)[None] + 0.02 * random.standard_normal((200, 300))
    for top, bottom, left, right in LINE:
        sheet[top + 60 : bottom + 60, left + 40 : right + 40] -= 0.5
    grey[60:260, 60:360] = sheet
    first = proposed(grey.clip(0, 1).astype(np.float32))[0]
    assert first.how == "dark ink, a line of narrow strokes"
    top, bottom, left, right = first.box
    assert 120 < top < 142
    assert 168 < bottom < 190
    assert 110 < left < 142
    assert 240 < right < 275

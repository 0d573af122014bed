"""The ink on a picture: what is dropped, what lies together, and what is in the way of reading it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from drawings import first, ink_box, proposed
from sumnist.data.mnist import load_mnist
from sumnist.inference.reader import Reader
from sumnist.lab.suites.photographs import photographs
from sumnist.pictures.components import union
from sumnist.pictures.decode import intensities_of
from sumnist.pictures.ink import Ink, ink_of

TRAIN = load_mnist("train")
IMAGES = TRAIN.images[:250]


def cropped(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = np.flatnonzero((image > 40).any(1)), np.flatnonzero((image > 40).any(0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def page(ink: NDArray[np.uint8], scale: int = 6, margin: int = 60) -> NDArray[np.uint8]:
    """Ink, enlarged, in black on a white page with a margin."""
    return 255 - np.pad(np.kron(ink, np.ones((scale, scale), np.uint8)), margin)


def side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8], gap: int) -> NDArray[np.uint8]:
    left, right = cropped(left), cropped(right)
    whole = np.zeros((max(len(left), len(right)), left.shape[1] + gap + right.shape[1]), np.uint8)
    whole[len(whole) - len(left) :, : left.shape[1]] = left
    whole[len(whole) - len(right) :, left.shape[1] + gap :] = right
    return whole


def pick(random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    left, right = random.integers(0, len(IMAGES), 2)
    return IMAGES[left], IMAGES[right]


def drawn(strokes: list[list[tuple[float, float]]], side: int = 200, width: int = 12) -> Image.Image:
    picture = Image.new("L", (side, side), 255)
    for stroke in strokes:
        ImageDraw.Draw(picture).line([(x * side, y * side) for x, y in stroke], fill=0, width=width, joint="curve")
    return picture


FIVE = [[(0.35, 0.3), (0.33, 0.48), (0.5, 0.46), (0.6, 0.58), (0.52, 0.72), (0.32, 0.7)]]
BAR = [[(0.36, 0.2), (0.62, 0.19)]]
FOUR = [[(0.3, 0.2), (0.28, 0.52), (0.5, 0.52)], [(0.57, 0.22), (0.56, 0.8)]]


def found(picture: Any, dark: bool = True) -> Ink:
    ink = ink_of(intensities_of(picture).grey, dark)
    assert ink is not None
    return ink


def boxes(ink: Ink) -> list[tuple[int, int, int, int]]:
    return [union(group.boxes) for group in ink.groups]


def test_one_digit_is_one_group() -> None:
    counts = [len(found(page(image)).groups) for image in IMAGES]
    assert sum(count != 1 for count in counts) <= 2
    assert all(sum(found(page(image)).shares) == pytest.approx(1) for image in IMAGES[:20])


def test_a_loose_bar_and_an_open_four_are_one_group() -> None:
    for strokes in (FIVE + BAR, FOUR):
        picture = np.asarray(drawn(strokes))
        assert boxes(found(picture)) == [ink_box(picture < 128)]
        assert boxes(found(255 - picture, dark=False)) == [ink_box(picture < 128)]


@pytest.mark.parametrize("gap", [4, 8, 16])
def test_two_digits_side_by_side_are_two_groups_of_the_same_view(gap: int) -> None:
    random = np.random.default_rng(gap)
    apart = 0
    for _ in range(60):
        left, right = (cropped(image) for image in pick(random))
        picture = page(side_by_side(left, right, gap))
        expected = [60 + 6 * (left.shape[1] + gap), 60 + 6 * left.shape[1]]  # where one begins and the other ends
        groups = sorted(boxes(found(picture)), key=lambda box: box[2])
        if len(groups) == 2 and groups[1][2] >= expected[0] - 6 and groups[0][3] <= expected[1] + 6:
            apart += 1
            views = {proposal.view for proposal in proposed(picture)[0]}
            assert len(views) == 1
    assert apart >= 54


def test_groups_come_in_the_order_of_their_ink_and_three_at_most() -> None:
    picture = np.full((200, 300), 255, np.uint8)
    sides = (20, 50, 30, 40)
    for place, side in enumerate(sides):
        picture[60 : 60 + side, 20 + 70 * place : 20 + 70 * place + side] = 0
    ink = found(picture)
    assert [box[1] - box[0] for box in boxes(ink)] == [50, 40, 30]
    assert ink.shares == pytest.approx([side**2 / sum(side**2 for side in sides) for side in (50, 40, 30)])
    assert ink.light.flat
    assert ink.peak == pytest.approx(1, abs=0.011)


@pytest.mark.parametrize("side", range(4))
def test_specks_and_a_line_along_the_border_are_no_groups(side: int) -> None:
    alone = np.rot90(np.asarray(drawn(FIVE)), side)
    picture = alone.copy()
    picture[10:12, 100:103] = picture[150:153, 185:188] = picture[:3] = 0
    for one in (picture, np.rot90(picture)):
        assert boxes(found(one)) == boxes(found(alone if one is picture else np.rot90(alone)))
    assert boxes(found(alone)) == [ink_box(alone < 128)]


@pytest.mark.parametrize("size", [200, 700, 1000])
def test_a_small_digit_on_a_large_page_is_looked_at_more_closely(size: int) -> None:
    image = IMAGES[0]
    large = np.full((size, size), 255, np.uint8)
    large[100:184, 60:144] = 255 - np.kron(image, np.ones((3, 3), np.uint8))
    digit = first(large)
    assert np.abs(digit.image - image / 255).mean() < 0.03
    assert np.allclose(digit.box, ink_box(large < 200), atol=2 * -(-size // 160))


@pytest.mark.parametrize("side", range(4))
def test_a_digit_that_runs_out_of_the_picture_is_cut_off(side: int) -> None:
    problems = []
    for image in IMAGES[:40]:
        whole = np.rot90(page(cropped(image)), side)
        ink = np.flatnonzero((whole < 128).any(1))
        problems.append(first(whole[ink[0] + (ink[-1] - ink[0]) // 4 :]).problem)
    assert np.mean([problem == "cut off" for problem in problems]) >= 0.9


def test_a_picture_cropped_to_its_digit_is_not_cut_off() -> None:
    problems = [first(page(cropped(image), margin=0)).problem for image in IMAGES[:100]]
    assert sum(problem == "cut off" for problem in problems) <= 5


@pytest.mark.parametrize("pen", [1, 2, 3, 8, 14])
def test_a_five_is_read_whatever_the_pen(pen: int) -> None:
    reading = Reader().read(drawn(FIVE + BAR, width=pen), 0)
    assert (reading.digit, reading.accepted) == (5, True)


def test_what_is_too_small_or_too_faint_is_told() -> None:
    small = np.full((200, 300), 255, np.uint8)
    small[50:54, 80:82] = 0
    assert first(small).problem == "too small"
    faint = np.asarray(drawn(FIVE + BAR)).astype(int) // 17 + 230
    assert first(faint.astype(np.uint8)).problem == "faint"
    assert first(drawn(FIVE + BAR)).problem is None


@pytest.mark.parametrize("brightness", [0, 90, 255])
@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_of_one_grey_has_no_ink(brightness: int, dark: bool) -> None:
    assert ink_of(np.full((40, 50), brightness / 255, np.float32), dark) is None


@pytest.mark.parametrize(("width", "step"), [(40, 6), (99, 5)])
def test_a_fine_grid_that_fills_a_picture_is_looked_at_without_a_warning(width: int, step: int) -> None:
    grid = (np.arange(20)[:, None] % step < 1) | (np.arange(width) % step < 1)
    for proposals in proposed((200 - 120 * grid - np.linspace(0, 20, width)).astype(np.uint8)):
        assert all(np.isfinite(proposal.image).all() for proposal in proposals)


def noisy_paper() -> NDArray[np.float64]:
    return 0.8 + 0.01 * np.random.default_rng(0).standard_normal((200, 200))


def test_a_cloud_on_noisy_paper_is_not_accepted() -> None:
    rows, columns = np.mgrid[:200, :200]
    for wide in (200, 800, 2000):
        cloud = 0.3 * np.exp(-((rows - 100) ** 2 + (columns - 90) ** 2) / wide)
        assert not Reader().read(noisy_paper() - cloud, 0).accepted


def test_a_disc_is_ink_but_no_narrow_stroke_and_a_line_is_both() -> None:
    rows, columns = np.mgrid[:200, :200]
    disc = (rows - 100) ** 2 + (columns - 90) ** 2 < 800
    line = (abs(rows - 100) < 30) & (abs(columns - 90) < 4)
    for form, narrow in ((disc, False), (line, True)):
        picture = (noisy_paper() - 0.3 * form).astype(np.float32)
        assert ink_of(picture, dark=True) is not None
        assert (ink_of(picture, dark=True, fine=True) is not None) == narrow


def test_the_outline_of_a_sheet_is_dropped_from_the_narrow_strokes_and_what_is_on_it_is_not() -> None:
    picture = noisy_paper()
    outline = np.zeros((200, 200), bool)
    outline[30:170, 40:160] = True
    outline[33:167, 43:157] = False
    picture[90:110, 80:84] -= 0.4
    ink = ink_of((picture - 0.5 * outline).astype(np.float32), dark=True, fine=True)
    assert ink is not None
    assert [union(group.boxes) for group in ink.groups] == [(90, 110, 80, 84)]


def test_a_stroke_between_light_and_dark_ground_is_an_edge() -> None:
    for darker in (0.0, 0.05, 0.3, 0.5):
        picture = noisy_paper()
        picture[:, :100] -= darker
        picture[90:110, 98:102] = 0.3
        ink = ink_of(picture.astype(np.float32), dark=True, fine=True)
        assert (ink is not None) == (darker < 0.3)


def test_a_photograph_shows_the_digit_that_was_written() -> None:
    inks = IMAGES[:30]
    differences = []
    for ink, taken in zip(inks, photographs(list(inks), seed=78), strict=True):
        digit = first(taken)
        assert (digit.problem, digit.dark) == (None, True)
        differences.append(np.abs(digit.image - ink / 255).mean())
    assert float(np.median(differences)) < 0.05

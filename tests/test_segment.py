"""The ink of a digit: what is dropped, what is kept together, and what cannot be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from drawings import image_of
from sumnist.data.mnist import load_mnist
from sumnist.pictures.normalize import see
from sumnist.suites.corruptions import corrupted
from sumnist.suites.photographs import blank_photographs, photographs

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


def same(picture: Any, other: Any, within: float = 0.02) -> bool:
    return float(np.abs(image_of(picture) - image_of(other)).mean()) < within


FIVE = [[(0.35, 0.3), (0.33, 0.48), (0.5, 0.46), (0.6, 0.58), (0.52, 0.72), (0.32, 0.7)]]
BAR = [[(0.36, 0.2), (0.62, 0.19)]]
FOUR = [[(0.3, 0.2), (0.28, 0.52), (0.5, 0.52)], [(0.57, 0.22), (0.56, 0.8)]]


def test_one_digit_is_never_several() -> None:
    problems = [see(page(image)).problem for image in IMAGES]
    assert sum(problem is not None for problem in problems) <= 1


def test_a_loose_bar_and_an_open_four_are_one_digit() -> None:
    for strokes in (FIVE + BAR, FOUR):
        seen = see(drawn(strokes))
        assert (seen.problem, seen.digit_count) == (None, 1)
        assert seen.box is not None
        top, bottom, left, right = seen.box
        dark = np.asarray(drawn(strokes)) < 128
        rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
        assert (top, bottom - 1, left, right - 1) == (rows[0], rows[-1], columns[0], columns[-1])


@pytest.mark.parametrize("gap", [4, 8, 16])
def test_two_digits_side_by_side_are_several(gap: int) -> None:
    random = np.random.default_rng(gap)
    pairs = [page(side_by_side(*pick(random), gap)) for _ in range(60)]
    each = [see(pair) for pair in pairs]
    assert np.mean([seen.problem == "several" for seen in each]) >= 0.9
    assert all(seen.digit_count > 1 for seen in each if seen.problem == "several")


@pytest.mark.parametrize("side", range(4))
def test_a_digit_that_runs_out_of_the_picture_is_cut_off(side: int) -> None:
    problems = []
    for image in IMAGES[:40]:
        whole = np.rot90(page(cropped(image)), side)
        ink = np.flatnonzero((whole < 128).any(1))
        problems.append(see(whole[ink[0] + (ink[-1] - ink[0]) // 4 :]).problem)
    assert np.mean([problem == "cut off" for problem in problems]) >= 0.9


def test_a_picture_cropped_to_its_digit_is_not_cut_off() -> None:
    problems = [see(page(cropped(image), margin=0)).problem for image in IMAGES[:100]]
    assert sum(problem == "cut off" for problem in problems) <= 5


def turned(picture: Image.Image, angle: float) -> Image.Image:
    whole = picture.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    return whole.filter(ImageFilter.BoxBlur(1))


@pytest.mark.parametrize("tilt", [0, 4])
@pytest.mark.parametrize("width", [2, 7])
def test_a_box_around_the_digit_is_left_out(tilt: int, width: int) -> None:
    for image in IMAGES[:10]:
        plain = Image.fromarray(page(cropped(image), 6, 50))
        boxed = plain.copy()
        frame = [20, 20, boxed.width - 20, boxed.height - 20]
        ImageDraw.Draw(boxed).rectangle(frame, outline=0, width=width)
        assert same(turned(plain, tilt), turned(boxed, tilt))


def test_an_outline_is_made_solid_and_a_thin_pen_is_not() -> None:
    solid = drawn([[(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]], width=24)
    edges = solid.filter(ImageFilter.MinFilter(5)).convert("L")
    outline = Image.fromarray(np.where(np.asarray(edges) < np.asarray(solid), 0, 255).astype(np.uint8))
    assert same(outline, solid, 0.03)
    for width in (2, 3):
        thin, thick = (see(drawn(FIVE + BAR, width=pen)).image for pen in (width, 14))
        assert thin.mean() == pytest.approx(thick.mean(), rel=0.2)


def test_what_is_too_small_or_too_faint_is_told() -> None:
    small = np.full((200, 300), 255, np.uint8)
    small[50:54, 80:82] = 0
    assert see(small).problem == "too small"
    faint = np.asarray(drawn(FIVE + BAR)).astype(int) // 17 + 230
    assert see(faint.astype(np.uint8)).problem == "faint"


@pytest.mark.parametrize("brightness", [0, 90, 255])
def test_a_picture_of_one_grey_is_blank(brightness: int) -> None:
    seen = see(np.full((40, 50), brightness, np.uint8))
    assert (seen.problem, seen.digit_count, seen.box) == ("blank", 0, None)
    assert not seen.image.any()


@pytest.mark.parametrize(("width", "step"), [(40, 6), (99, 5)])
def test_a_fine_grid_that_fills_a_picture_is_blank_without_a_warning(width: int, step: int) -> None:
    grid = (np.arange(20)[:, None] % step < 1) | (np.arange(width) % step < 1)
    seen = see((200 - 120 * grid - np.linspace(0, 20, width)).astype(np.uint8))
    assert seen.problem == "blank"


def test_photographs_of_empty_paper_are_blank() -> None:
    problems = [see(taken).problem for taken in blank_photographs(40, seed=77)]
    assert sum(problem is None for problem in problems) == 0
    assert sum(problem == "blank" for problem in problems) >= 37


def test_a_photograph_shows_the_digit_that_was_written() -> None:
    inks = IMAGES[:30]
    differences = []
    for ink, taken in zip(inks, photographs(list(inks), seed=78), strict=True):
        seen = see(taken)
        assert (seen.problem, seen.dark) == (None, True)
        differences.append(np.abs(seen.image - ink / 255).mean())
    assert float(np.median(differences)) < 0.05


@pytest.mark.parametrize("name", ["fog", "brightness", "impulse_noise", "stripe"])
def test_corrupted_images_come_nearer_to_the_clean_ones(name: str) -> None:
    clean = IMAGES[:60].astype(np.float32) / 255
    dirty = corrupted(name, IMAGES[:60])
    cleaned = np.stack([see(image).image for image in dirty])
    assert np.abs(cleaned - clean).mean() < 0.6 * np.abs(dirty / 255 - clean).mean()

"""The ink on a picture: what is dropped, what lies together, and what is in the way of reading it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from drawings import first, ink_box
from sumnist.data.mnist import load_mnist
from sumnist.inference.reader import Reader
from sumnist.lab.suites.photographs import photographs
from sumnist.pictures.components import union
from sumnist.pictures.ink import Ink

TRAIN = load_mnist("train")
IMAGES = TRAIN.images[:250]


def cropped(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = np.flatnonzero((image > 40).any(1)), np.flatnonzero((image > 40).any(0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def page(ink: NDArray[np.uint8], scale: int = 6, margin: int = 60) -> NDArray[np.uint8]:
    """Ink, enlarged, in black on a white page with a margin."""
    return 255 - np.pad(np.kron(ink, np.ones((scale, scale), np.uint8)), margin)


def drawn(strokes: list[list[tuple[float, float]]], side: int = 200, width: int = 12) -> Image.Image:
    picture = Image.new("L", (side, side), 255)
    for stroke in strokes:
        ImageDraw.Draw(picture).line([(x * side, y * side) for x, y in stroke], fill=0, width=width, joint="curve")
    return picture


FIVE = [[(0.35, 0.3), (0.33, 0.48), (0.5, 0.46), (0.6, 0.58), (0.52, 0.72), (0.32, 0.7)]]
BAR = [[(0.36, 0.2), (0.62, 0.19)]]


def boxes(ink: Ink) -> list[tuple[int, int, int, int]]:
    return [union(group.boxes) for group in ink.groups]


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


def noisy_paper() -> NDArray[np.float64]:
    return 0.8 + 0.01 * np.random.default_rng(0).standard_normal((200, 200))


def test_a_cloud_on_noisy_paper_is_not_accepted() -> None:
    rows, columns = np.mgrid[:200, :200]
    for wide in (200, 800, 2000):
        cloud = 0.3 * np.exp(-((rows - 100) ** 2 + (columns - 90) ** 2) / wide)
        assert not Reader().read(noisy_paper() - cloud, 0).accepted


def test_a_photograph_shows_the_digit_that_was_written() -> None:
    inks = IMAGES[:30]
    differences = []
    for ink, taken in zip(inks, photographs(list(inks), seed=78), strict=True):
        digit = first(taken)
        assert (digit.problem, digit.dark) == (None, True)
        differences.append(np.abs(digit.image - ink / 255).mean())
    assert float(np.median(differences)) < 0.05

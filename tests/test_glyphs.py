"""Drawn letters, signs and digits: MNIST's convention, labels, variety, and that nothing depends on the clock."""

from __future__ import annotations

from string import ascii_letters

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.data.glyphs import (
    BOX,
    SIGNS,
    THICKEST_DIGIT,
    characters,
    curve,
    drawn,
    fitted,
    hooked,
    image_of,
    legible,
    written,
)
from sumnist.data.sampling import NO_DIGIT
from sumnist.lab.suites.out_of_distribution import LOOK_ALIKES

COUNT = 600
IMAGES, LABELS = characters(COUNT, 0.5, seed=3)


def centre(image: NDArray[np.uint8]) -> tuple[float, float]:
    mass = image.astype(float)
    places = np.arange(28)
    return float(mass.sum(1) @ places / mass.sum()), float(mass.sum(0) @ places / mass.sum())


def test_drawings_are_images_with_their_mass_in_the_middle() -> None:
    assert IMAGES.dtype == np.uint8
    assert (IMAGES.shape, LABELS.shape) == ((COUNT, 28, 28), (COUNT,))
    assert (IMAGES.max((1, 2)) > 150).all()
    digits = IMAGES[LABELS != NO_DIGIT]
    assert all(abs(place - 14) <= 0.6 for image in digits for place in centre(image))
    inked = digits > 60
    longer = np.maximum(inked.any(2).sum(1), inked.any(1).sum(1))
    assert 17 <= np.median(longer) <= 21


def test_half_of_the_drawings_are_digits_of_every_kind_when_half_is_asked_for() -> None:
    assert (LABELS != NO_DIGIT).mean() == pytest.approx(0.5, abs=0.08)
    assert set(LABELS.tolist()) == {NO_DIGIT, *range(10)}


def test_the_same_seed_draws_the_same_and_another_draws_something_else() -> None:
    again, labels = characters(COUNT, 0.5, seed=3)
    other, _ = characters(COUNT, 0.5, seed=4)
    assert np.array_equal(again, IMAGES)
    assert np.array_equal(labels, LABELS)
    assert not np.array_equal(other, again)


def test_a_drawn_digit_looks_like_its_digit_to_the_packaged_network() -> None:
    import sumnist

    digits = [image for image, label in zip(IMAGES, LABELS, strict=True) if label != NO_DIGIT]
    found = sumnist.load().read(digits, 0)
    right = np.mean([one.digit == label for one, label in zip(found, LABELS[LABELS != NO_DIGIT], strict=True)])
    assert right > 0.9


def test_every_listed_way_of_a_digit_or_sign_can_be_drawn_and_none_is_listed_twice() -> None:
    random = np.random.default_rng(0)
    for ways in SIGNS.values():
        assert len(set(ways)) == len(ways)
        for way in ways:
            image = drawn(written(way, random), random)
            assert image.shape == (28, 28)
            assert (image > 0.5).sum() >= 10


def test_every_digit_has_ten_ways_at_least_and_every_letter_seven_but_those_that_look_like_digits() -> None:
    letters = {name for name in SIGNS if name in ascii_letters}
    assert letters & set(LOOK_ALIKES) == set()
    assert letters >= set("ACEFGHJKLMNPQRVWXYacdefhjkmnprtu")
    assert min(len(SIGNS[digit]) for digit in "0123456789") >= 10
    assert min(len(ways) for name, ways in SIGNS.items() if name in ascii_letters) >= 7


def test_the_first_way_of_a_digit_is_drawn_more_often_than_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two ways that cannot be mistaken: a level line and an upright one.
    monkeypatch.setitem(SIGNS, "1", ["00 80", "00 08"])
    random = np.random.default_rng(0)
    images = [image_of(1, random) for _ in range(300)]
    level = np.mean([(image > 0.5).any(0).sum() > (image > 0.5).any(1).sum() for image in images])
    assert level == pytest.approx(2.5 / 3.5, abs=0.09)


def test_pens_go_from_a_hairline_to_a_marker() -> None:
    random = np.random.default_rng(0)
    upright = np.array([[0.0, 0.0], [0.0, 1.0]])
    widths = [drawn([upright], random, THICKEST_DIGIT)[13].sum() for _ in range(300)]
    assert min(widths) < 1.5
    assert max(widths) > 5


def test_a_pen_that_presses_less_upwards_leaves_a_thinner_line_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NIBS": 1.0, "COARSE_SHARE": 0.0, "THINNEST": 1.0}.items():
        monkeypatch.setattr(f"sumnist.data.glyphs.{name}", value)
    random = np.random.default_rng(0)
    up, down = 0.0, 0.0
    for _ in range(60):
        image = drawn([np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.9, 0.0], [0.9, 1.0]])], random)
        middle = image[14]
        up, down = up + middle[:14].sum(), down + middle[14:].sum()
    assert up < 0.85 * down


def test_the_pen_is_thin_where_strokes_lie_close_and_any_where_there_is_one_straight_stroke() -> None:
    one = np.array([[0.0, 0.0], [0.0, 1.0]])
    sharp, blunt = (np.array([[0.0, 1.0], [wide, 0.0], [2 * wide, 1.0]]) for wide in (0.1, 0.5))
    assert legible([one]) >= THICKEST_DIGIT
    assert 2 < legible([sharp]) < legible([blunt])
    assert legible([sharp]) < 0.2 * BOX  # the tips at the bottom are so far apart


def test_a_hook_is_short_and_leaves_the_stroke_before_it_as_it_is() -> None:
    random = np.random.default_rng(0)
    path = np.array([[0.0, 0.0], [0.2, 0.5], [0.2, 1.0]])
    found = [hooked(path, random) for _ in range(100)]
    assert all(np.array_equal(one[:3], path) for one in found)
    hooks = [np.hypot(*(one[3] - one[2])) for one in found if len(one) == 4]
    assert 30 < len(hooks) < 70
    assert 0.05 <= min(hooks) < max(hooks) <= 0.14
    assert hooked(np.zeros((2, 2)), random).tolist() == [[0, 0], [0, 0]]  # has no direction


def test_a_curve_goes_through_its_points() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.5], [0.5, 1.0], [0.0, 2.0]])
    path = curve(points)
    assert all(np.abs(path - point).sum(1).min() < 1e-9 for point in points)


def test_fitted_paths_are_as_long_as_they_should_be_and_in_the_middle() -> None:
    paths = fitted([np.array([[3.0, 4.0], [5.0, 4.0]]), np.array([[3.0, 4.0], [3.0, 12.0]])], 20)
    low, high = np.concatenate(paths).min(0), np.concatenate(paths).max(0)
    assert (high - low).tolist() == [5, 20]
    assert (low + high).tolist() == [0, 0]

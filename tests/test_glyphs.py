"""Drawn letters, signs and digits: MNIST's convention, labels, variety, and that nothing depends on the clock."""

from __future__ import annotations

from string import ascii_letters

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.data.glyphs import KINDS, SHARES, SIGNS, characters, curve, fitted
from sumnist.data.sampling import NO_DIGIT
from sumnist.suites.out_of_distribution import LOOK_ALIKES

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


def test_no_two_drawings_are_the_same() -> None:
    assert len({image.tobytes() for image in IMAGES}) == COUNT


def test_nothing_at_all_can_be_drawn() -> None:
    images, labels = characters(0, 0.5, seed=0)
    assert (images.shape, labels.shape) == ((0, 28, 28), (0,))


def test_a_drawn_digit_looks_like_its_digit_to_the_packaged_network() -> None:
    import sumnist

    digits = [image for image, label in zip(IMAGES, LABELS, strict=True) if label != NO_DIGIT]
    found = sumnist.load().read(digits, 0)
    right = np.mean([one.digit == label for one, label in zip(found, LABELS[LABELS != NO_DIGIT], strict=True)])
    assert right > 0.9


def test_letters_that_look_like_digits_are_not_drawn_as_what_is_no_digit() -> None:
    drawn = {name for name in SIGNS if name in ascii_letters}
    assert drawn & set(LOOK_ALIKES) == set()
    assert drawn >= set("ACEFGHJKLMNPQRVWXYacdefhjkmnprtu")


def test_every_sign_is_written_as_points_of_the_grid() -> None:
    for variants in SIGNS.values():
        for variant in variants:
            for stroke in variant.split(", "):
                points = stroke.lstrip("~").split()
                assert len(points) >= 2
                assert all(len(point) == 2 and set(point) <= set("0123456789") for point in points)


def test_a_curve_goes_through_its_points() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.5], [0.5, 1.0], [0.0, 2.0]])
    path = curve(points)
    assert all(np.abs(path - point).sum(1).min() < 1e-9 for point in points)


def test_fitted_paths_are_as_long_as_they_should_be_and_in_the_middle() -> None:
    paths = fitted([np.array([[3.0, 4.0], [5.0, 4.0]]), np.array([[3.0, 4.0], [3.0, 12.0]])], 20)
    low, high = np.concatenate(paths).min(0), np.concatenate(paths).max(0)
    assert (high - low).tolist() == [5, 20]
    assert (low + high).tolist() == [0, 0]


def test_the_shares_of_the_kinds_add_up() -> None:
    assert len(KINDS) == len(SHARES)
    assert sum(SHARES) == pytest.approx(1)

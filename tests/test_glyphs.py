"""Drawn letters, signs and digits: MNIST's convention, labels, variety, and that nothing depends on the clock."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.data.glyphs import (
    SIGNS,
    characters,
    drawn,
    written,
)
from sumnist.data.sampling import NO_DIGIT

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

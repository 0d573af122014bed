"""Disturbed images: how many, how much, each of its own, and none at all without intensity."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sumnist.data import augment
from sumnist.data.augment import Augment, disturbed
from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import as_image

IMAGES = as_image(torch.tensor(load_mnist("train").images[:2000]))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def changed(image: Tensor) -> float:
    """The share of the images that are not as they were."""
    return float((image != IMAGES).flatten(1).any(1).float().mean())


def test_some_images_are_disturbed_and_the_others_are_as_they_were() -> None:
    result = disturbed(IMAGES, seeded())
    assert result.shape == IMAGES.shape
    assert 0 <= float(result.min()) <= float(result.max()) <= 1
    untouched = (1 - augment.COARSE_SHARE) * (1 - augment.BLUR_SHARE) ** 5 * (1 - augment.LINE_SHARE) ** 3
    assert changed(result) == pytest.approx(1 - untouched, abs=0.05)


def test_without_strength_nothing_happens_and_half_of_it_happens_to_fewer() -> None:
    assert torch.equal(disturbed(IMAGES, seeded(), 0), IMAGES)
    assert 0.1 < changed(disturbed(IMAGES, seeded(), 0.5)) < changed(disturbed(IMAGES, seeded(), 1))


def test_robust_augmentation_is_handwriting_and_disturbance_and_fades_with_its_intensity() -> None:
    part = IMAGES[:500]
    plain = Augment("handwriting")(part, seeded())
    robust = Augment("robust")
    assert torch.equal(robust(part, seeded(), 0.0), plain.clamp(0, 1))

    def difference(intensity: float) -> float:
        return float((robust(part, seeded(), intensity) - plain).abs().mean())

    assert 0 < difference(0.2) < difference(1.0)

"""Disturbed images: how many, how much, each of its own, and none at all without intensity."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sumnist.data import disturb
from sumnist.data.augment import Augment
from sumnist.data.disturb import Draw, disturbed
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
    untouched = (1 - disturb.COARSE_SHARE) * (1 - disturb.BLUR_SHARE) ** 5 * (1 - disturb.LINE_SHARE) ** 3
    assert changed(result) == pytest.approx(1 - untouched, abs=0.05)


def test_without_strength_nothing_happens_and_half_of_it_happens_to_fewer() -> None:
    assert torch.equal(disturbed(IMAGES, seeded(), 0), IMAGES)
    assert 0.1 < changed(disturbed(IMAGES, seeded(), 0.5)) < changed(disturbed(IMAGES, seeded(), 1))


@pytest.mark.parametrize(
    "kind", ["coarse", "blurred", "sharpened", "lit", "covered", "noisy", "outlined", "crossed", "striped"]
)
def test_every_kind_happens_to_its_share_alone(kind: str) -> None:
    rarer = ("outlined", "crossed", "striped")
    share = disturb.COARSE_SHARE if kind == "coarse" else disturb.LINE_SHARE if kind in rarer else disturb.BLUR_SHARE
    result = getattr(disturb, kind)(IMAGES, Draw(len(IMAGES), seeded(), IMAGES.device, 1.0))
    assert share - 0.03 < changed(result) < share + 0.03


def test_a_blur_keeps_the_ink_and_spreads_it() -> None:
    dot = torch.zeros(400, 1, 28, 28)
    dot[:, :, 14, 14] = 1
    result = disturb.blurred(dot, Draw(400, seeded(), dot.device, 1.0))
    assert torch.allclose(result.sum((1, 2, 3)), torch.ones(400), atol=1e-5)
    assert float(result[:, :, 14, 14].min()) < 0.5


def test_a_lit_image_keeps_the_order_of_ink_and_ground() -> None:
    half = torch.zeros(500, 1, 28, 28)
    half[:, :, :, 14:] = 1
    result = disturb.lit(half, Draw(500, seeded(), half.device, 1.0))
    assert (result[:, 0, :, 14] > result[:, 0, :, 13]).all()


def test_robust_augmentation_is_handwriting_and_disturbance_and_fades_with_its_intensity() -> None:
    part = IMAGES[:500]
    plain = Augment("handwriting")(part, seeded())
    robust = Augment("robust")
    assert torch.equal(robust(part, seeded(), 0.0), plain.clamp(0, 1))

    def difference(intensity: float) -> float:
        return float((robust(part, seeded(), intensity) - plain).abs().mean())

    assert 0 < difference(0.2) < difference(1.0)


def test_an_outline_has_two_lines_where_the_stroke_had_two_edges() -> None:
    bar = torch.zeros(200, 1, 28, 28)
    bar[:, :, 4:24, 11:17] = 1
    result = disturb.outlined(bar, Draw(200, seeded(), bar.device, 1.0))
    outlines = result[(result != bar).flatten(1).any(1), 0]
    assert len(outlines) == round(200 * disturb.OUTLINE_SHARE)
    for outline in outlines:
        row = outline[14]
        assert row.tolist().count(1) == 2
        assert int(row.argmax()) in (10, 11)
        assert row[13:15].sum() == 0


def test_lines_across_add_ink_and_take_none_away() -> None:
    result = disturb.crossed(IMAGES, Draw(len(IMAGES), seeded(), IMAGES.device, 1.0))
    assert (result >= IMAGES).all()
    assert float(result.max()) <= 1


def test_a_stripe_of_the_other_polarity_is_as_wide_as_it_may_be_and_reaches_from_side_to_side() -> None:
    black = torch.zeros(500, 1, 28, 28)
    result = disturb.striped(black, Draw(500, seeded(), black.device, 1.0))
    stripes = result[result.flatten(1).any(1), 0]
    assert len(stripes) == round(500 * disturb.STRIPE_SHARE)
    for stripe in stripes:
        rows, columns = stripe.any(1).sum(), stripe.any(0).sum()
        assert 28 in (rows, columns)
        assert stripe.sum() == rows * columns
        assert min(rows, columns) <= 0.6 * 28 + 1

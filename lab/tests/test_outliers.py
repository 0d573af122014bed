"""Outliers: how many join a batch, what they show, and what they teach."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.recipes.outliers import DRAWN_DIGITS, MADE, Outliers
from sumnist.config import Particulars
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import PairBatches, as_image
from sumnist.data.sampling import NO_DIGIT
from sumnist.model.fusion import Heads
from sumnist.model.losses import IS_DIGIT_WEIGHT, joint_loss

pytestmark = pytest.mark.long
TRAIN = load_mnist("train")
IMAGE, DIGIT = as_image(torch.tensor(TRAIN.images[:200])), torch.tensor(TRAIN.digits[:200])


@pytest.fixture(scope="module")
def outliers() -> Outliers:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.recipes.outliers.DRAWN", 500)
        return Outliers(0.3, 0, torch.device("cpu"))


def test_as_many_images_join_as_the_shares_say_and_the_generator_decides(outliers: Outliers) -> None:
    (images, digits), again, other = (
        outliers(IMAGE, DIGIT, torch.Generator().manual_seed(seed), 0.0) for seed in (1, 1, 2)
    )
    assert images.shape == (60, 1, 28, 28)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert (digits[-round(MADE * 60) :] == NO_DIGIT).all()  # what is made of the batch's own
    expected = MADE + (1 - MADE) * (1 - DRAWN_DIGITS)
    assert float((digits == NO_DIGIT).float().mean()) == pytest.approx(expected, abs=0.15)
    assert torch.equal(images, again[0])
    assert not torch.equal(images, other[0])
    assert len(outliers(IMAGE[:1], DIGIT[:1], torch.Generator())[0]) == 0


@pytest.mark.parametrize("numbers", [1, 10])
def test_outliers_in_a_batch_have_no_sum_and_leave_the_pairs_as_they_are(outliers: Outliers, numbers: int) -> None:
    digits = DigitSet(TRAIN.images[:100], TRAIN.digits[:100], "part")
    given = (digits, 50, 0, torch.device("cpu"))
    plain = next(PairBatches(*given, numbers_per_image=numbers).epoch(0))
    more = next(PairBatches(*given, numbers_per_image=numbers, outliers=outliers).epoch(0, 0.0))
    assert (len(plain.image), len(more.image)) == (50, 65)
    assert (len(plain.digit), len(more.digit)) == (50 * numbers, 65 * numbers)
    for name in ("image", "number", "digit", "sum"):
        before = getattr(plain, name)
        assert torch.equal(getattr(more, name)[: len(before)], before)
    none = more.digit == NO_DIGIT
    assert none.any()
    assert (more.sum[none] == NO_DIGIT).all()
    assert torch.equal(more.sum[~none], (more.digit + more.number)[~none])


def test_the_loss_of_outliers_is_the_cross_entropy_of_there_being_a_digit() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 10))
    digit = np.array([3, NO_DIGIT, 7, NO_DIGIT, 0])
    heads, target = Heads(torch.tensor(logits), None), torch.tensor(digit)
    losses = joint_loss(heads, target, target, Particulars(), outliers=True)
    energy = np.log(np.exp(logits).sum(1))
    there = 1 / (1 + np.exp(-energy))
    is_digit = -np.log(np.where(digit == NO_DIGIT, 1 - there, there)).mean()
    shown = digit != NO_DIGIT
    logs = logits[shown] - energy[shown, None]
    right = -logs[np.arange(3), digit[shown]].mean()
    assert losses.digit.item() == pytest.approx(right, rel=1e-5)
    assert losses.total.item() == pytest.approx(right + IS_DIGIT_WEIGHT * is_digit, rel=1e-5)

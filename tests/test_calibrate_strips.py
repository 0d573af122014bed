"""Calibration on strips: the temperature that was applied is found again, and thresholds accept what is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sumnist.data.strips import StripBatch
from sumnist.training.calibrate_strips import RIGHT, accepting, calibrate_strips


def batch(random: np.random.Generator, count: int, heat: float) -> tuple[Tensor, StripBatch]:
    """Strips of one digit, or of none, each of three steps, and logits that say which, `heat` times as sharp as they
    should be."""
    scores = np.zeros((count, 3, 14))
    scores[:, ::2, 0] = 12.0  # blank before and after
    scores[:, 1] = random.normal(0, 4.0, (count, 14))
    scores[:, 1, 11:] = -12.0  # no signs
    odds = np.exp(scores[:, 1])
    drawn = (np.cumsum(odds / odds.sum(1, keepdims=True), 1) > random.random((count, 1))).argmax(1)
    there = drawn > 0
    strips = StripBatch(
        torch.zeros(count, 1, 32, 12), torch.from_numpy(drawn[there]), torch.from_numpy(there.astype(np.int64)),
        torch.full((count,), 12),
    )  # fmt: skip
    return torch.from_numpy(heat * scores).float().log_softmax(2), strips


@pytest.mark.parametrize("heat", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_how_much_too_sharp_the_logits_are(heat: float) -> None:
    random = np.random.default_rng(5)
    logits, strips = zip(*(batch(random, 500, heat) for _ in range(4)), strict=True)
    fitted = calibrate_strips(logits, strips)
    assert fitted.temperature == pytest.approx(heat, rel=0.1)
    assert fitted.nll <= fitted.nll_before
    assert fitted.strips == 2000


def test_what_is_accepted_is_right_as_often_as_wanted() -> None:
    random = np.random.default_rng(6)
    logits, strips = zip(*(batch(random, 500, 1.0) for _ in range(4)), strict=True)
    fitted = calibrate_strips(logits, strips)
    assert 0 < fitted.accepted < 1
    assert fitted.right < RIGHT <= fitted.right_of_accepted


def test_a_threshold_is_the_lowest_that_keeps_the_share_of_right_ones() -> None:
    confidence = np.linspace(1, 0, 1001)
    right = np.arange(1001) % 200 != 199  # one in 200 is wrong
    right[600:] = False
    least = accepting(confidence, right, 0.99)
    kept = confidence >= least
    assert right[kept].mean() >= 0.99
    assert right[confidence >= least - 0.002].mean() < 0.99
    assert kept.sum() > 600


def test_where_nothing_is_right_nothing_is_accepted_but_certainty() -> None:
    assert accepting(np.linspace(0.9, 0.1, 100), np.zeros(100, bool)) == 1.0

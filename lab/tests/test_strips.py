"""What is drawn for training: strokes and characters by a pen, what is written on strips and what stands in cells, and
what becomes of their pictures."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from lab.recipes import pens
from lab.recipes.cells import BOX_WIDTH, Cells, strip_width
from lab.recipes.strips import StripBatch, Strips
from sumnist.data.mnist import load_mnist
from sumnist.inference.alphabet import ALPHABET, CELL_HEIGHT, HEIGHT, STEP

PART = load_mnist("train").part(np.arange(3000))

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Of letters and signs few are drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 20))
        yield


@pytest.fixture(scope="module")
def made() -> Strips:
    return Strips(PART, seed=3, count=500)


@pytest.fixture(scope="module")
def made_cells() -> Cells:
    return Cells(PART, seed=3, count=300)


# Characters.


# Strips.


@pytest.fixture(scope="module")
def batches(made: Strips) -> list[StripBatch]:
    """More than two thousand strips: two rounds of sixteen batches."""
    return [made.batch(step, 64) for step in range(32)]


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(value, vars(other)[name]) for name, value in vars(one).items())


def test_a_batch_has_the_shapes_and_types_that_ctc_takes(batches: list[StripBatch]) -> None:
    for batch in batches:
        assert batch.image.shape == (64, 1, HEIGHT, int(batch.widths.max()))
        assert batch.image.dtype == torch.float32
        assert batch.target.dtype == batch.lengths.dtype == batch.widths.dtype == torch.int64
        assert len(batch.target) == int(batch.lengths.sum())
        assert len(batch.lengths) == len(batch.widths) == 64
        steps = torch.zeros(int(batch.widths.max()) // STEP, 64, len(ALPHABET) + 1).log_softmax(2)
        loss = torch.nn.functional.ctc_loss(steps, batch.target, batch.widths // STEP, batch.lengths)
        assert torch.isfinite(loss)
        assert torch.isfinite(batch.image).all()
        assert 0 <= float(batch.image.min()) <= float(batch.image.max()) <= 1
        behind = (torch.arange(batch.image.shape[3]) >= batch.widths[:, None])[:, None, None].expand_as(batch.image)
        assert not batch.image[behind].any()
        assert (batch.widths % STEP == 0).all()  # and enough steps, even if all digits of a number are the same
        assert (batch.widths // STEP >= 2 * batch.lengths - 1).all()
    used = sum(int(batch.widths.sum()) for batch in batches)
    assert used > 0.85 * sum(batch.image.shape[3] * len(batch.widths) for batch in batches)


def test_a_batch_depends_on_nothing_but_its_seed_its_step_and_its_size(made: Strips, made_cells: Cells) -> None:
    for maker in (made, made_cells):
        forth: dict[int, Any] = {step: maker.batch(step, 16) for step in (0, 17, 40)}
        assert all(same(forth[step], maker.batch(step, 16)) for step in (40, 0, 17))
        assert same(pickle.loads(pickle.dumps(maker)).batch(17, 16), forth[17])
        other = pickle.loads(pickle.dumps(maker))
        other.seed, other.latest = 4, None
        for batch in (maker.batch(18, 16), other.batch(17, 16)):
            assert batch.image.shape != forth[17].image.shape or not torch.equal(batch.image, forth[17].image)


# Cells.


def test_a_batch_has_boxes_and_strips_of_one_width_with_a_class_for_each(made_cells: Cells) -> None:
    widths = set()
    for step in range(10):
        batch = made_cells.batch(step, 16)
        assert batch.boxes.shape == (14, 1, CELL_HEIGHT, BOX_WIDTH)
        assert batch.strips.shape[:3] == (2, 1, CELL_HEIGHT)
        assert batch.target.shape == (16,)
        assert len(batch.image) == 14
        for part in (batch.boxes, batch.strips):
            assert part.dtype == torch.float32
            assert 0 <= part.min() <= part.max() <= 1
        widths.add(batch.strips.shape[3])
    assert len(widths) > 4
    assert widths <= {strip_width(digits, halves) for digits in range(2, 7) for halves in (False, True)}
    assert (strip_width(1, False), strip_width(3, False), strip_width(2, True)) == (30, 78, 87)

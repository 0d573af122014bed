"""Composed cells: each is what its class says, and a batch depends on nothing but what was asked for."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sumnist.data import cells as cells_module
from sumnist.data import pens
from sumnist.data.cells import BOX_WIDTH, PRIORS, Cells, strip_width
from sumnist.data.marks import CROSSINGS, FILLERS, mark, through
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.texts import CELL_CLASSES, CELL_HEIGHT
from sumnist.errors import DataError

MNIST = load_mnist("train")
PART = DigitSet(MNIST.images[:2000], MNIST.digits[:2000], "a part of MNIST")
AREA = (3.0, 27.0, 3.0, 33.0)


@pytest.fixture(scope="module")
def made() -> Iterator[Cells]:
    """Cells of few images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells_module, "DRAWN_DIGITS", 300)
        patch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 20))
        yield Cells(PART, seed=3)


def plain(made: Cells, kind: int, count: int = 60, width: int = BOX_WIDTH) -> NDArray[np.float32]:
    """Cells of one class with nothing but their ink, `[count, 36, width]`."""
    generator = torch.Generator().manual_seed(kind)
    cells = made.cells(np.full(count, kind), width, np.random.default_rng(kind), generator, 0.0)
    ink: NDArray[np.float32] = cells[:, 0].numpy()
    return ink


# Batches.


def test_a_batch_is_the_same_whatever_was_asked_for_before(made: Cells) -> None:
    first = made.batch(7, 16)
    made.batch(3, 8)
    for again in (made.batch(7, 16), pickle.loads(pickle.dumps(made)).batch(7, 16)):
        assert all(torch.equal(value, vars(again)[name]) for name, value in vars(first).items())
    assert not torch.equal(made.batch(8, 16).boxes, first.boxes)


def test_a_batch_has_boxes_and_strips_of_one_width_with_a_class_for_each(made: Cells) -> None:
    widths = set()
    for step in range(10):
        batch = made.batch(step, 16)
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


def test_classes_have_the_shares_of_their_priors_and_none_is_rare(made: Cells) -> None:
    for prior in PRIORS:
        assert prior.sum() == pytest.approx(1)
        assert prior.min() >= 0.02
        assert len(prior) == len(CELL_CLASSES)
    target = torch.cat([made.batch(step, 64, 0.0).target[:56] for step in range(12)])
    shares = np.bincount(target.numpy(), minlength=14) / len(target)
    assert shares == pytest.approx(PRIORS[0], abs=5 * np.sqrt(0.13 / len(target)))


def test_a_set_without_a_digit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells_module, "DRAWN_DIGITS", 50)
    some = PART.digits != 4
    with pytest.raises(DataError, match="give a set of digits in which every digit occurs"):
        Cells(DigitSet(PART.images[some], PART.digits[some], "no 4"), seed=0)


# What is in a cell.


def test_digits_are_as_high_as_people_write_them_and_most_of_their_ink_is_in_the_box(made: Cells) -> None:
    ink = np.concatenate([plain(made, digit, 30) for digit in range(10)])
    rows = (ink > 0.3 * ink.max((1, 2), keepdims=True)).any(2)
    heights = CELL_HEIGHT - rows[:, ::-1].argmax(1) - rows.argmax(1)  # pixels
    assert 5.5 < np.median(heights) / 3 < 7.5  # mm
    assert np.quantile(heights, 0.1) / 3 < 5.5
    assert ink[:, 3:33, 3:27].sum() > 0.93 * ink.sum()


# Marks.


@pytest.mark.parametrize("kind", [*FILLERS, *CROSSINGS, through])
def test_a_mark_is_made_of_finite_paths_near_its_area(kind: Any) -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        paths = through(AREA, random) if kind is through else mark({kind: 1.0}, AREA, random)
        assert paths
        for path in paths:
            assert path.shape[1:] == (2,)
            assert len(path) >= 2
            assert np.isfinite(path).all()
        points = np.concatenate(paths)
        assert np.hypot(*(points - (15, 18)).T).min() < 16
        assert abs(points - (15, 18)).max() < 80

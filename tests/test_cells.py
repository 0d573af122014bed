"""Composed cells: each is what its class says, and a batch depends on nothing but what was asked for."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sumnist.data import cells as cells_module
from sumnist.data import pens
from sumnist.data.cell_classes import CELL_CLASSES, CELL_HEIGHT
from sumnist.data.cells import BOX_WIDTH, CROSSED, EMPTY, FILLER, NUMBER, PRIORS, CellBatch, Cells, strip_width
from sumnist.data.marks import CROSSINGS, FILLERS, crossing, filler, one_line, slash, through
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.errors import DataError
from sumnist.pictures.components import components_of

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


def same(one: CellBatch, other: CellBatch) -> bool:
    return all(torch.equal(value, vars(other)[name]) for name, value in vars(one).items())


# Batches.


def test_a_batch_is_the_same_whatever_was_asked_for_before(made: Cells) -> None:
    first = made.batch(7, 16)
    made.batch(3, 8)
    assert same(made.batch(7, 16), first)
    assert same(pickle.loads(pickle.dumps(made)).batch(7, 16), first)
    assert not same(made.batch(8, 16), first)


def test_a_batch_has_boxes_and_strips_of_one_width_with_a_class_for_each(made: Cells) -> None:
    widths = set()
    for step in range(24):
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
    target = torch.cat([made.batch(step, 64, 0.0).target[:56] for step in range(40)])
    shares = np.bincount(target.numpy(), minlength=14) / len(target)
    assert shares == pytest.approx(PRIORS[0], abs=5 * np.sqrt(0.13 / len(target)))


def test_a_set_without_a_digit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells_module, "DRAWN_DIGITS", 50)
    some = PART.digits != 4
    with pytest.raises(DataError, match="give a set of digits in which every digit occurs"):
        Cells(DigitSet(PART.images[some], PART.digits[some], "no 4"), seed=0)


# What is in a cell.


def test_an_empty_cell_is_empty_and_another_is_not(made: Cells) -> None:
    assert plain(made, EMPTY).max() == 0
    for kind in (*range(10), NUMBER, FILLER, CROSSED):
        assert plain(made, kind).max((1, 2)).min() > 0.05


def test_around_an_empty_box_there_is_ink_but_hardly_any_in_its_middle(made: Cells) -> None:
    generator = torch.Generator().manual_seed(1)
    cells = made.cells(np.full(300, EMPTY), BOX_WIDTH, np.random.default_rng(1), generator)[:, 0].numpy()
    rim = np.concatenate([cells[:, :, :5], cells[:, :, -5:]], 2).mean()
    assert cells[:, 12:24, 11:19].mean() < 0.7 * rim


def test_digits_are_as_high_as_people_write_them_and_most_of_their_ink_is_in_the_box(made: Cells) -> None:
    ink = np.concatenate([plain(made, digit, 30) for digit in range(10)])
    rows = (ink > 0.3 * ink.max((1, 2), keepdims=True)).any(2)
    heights = CELL_HEIGHT - rows[:, ::-1].argmax(1) - rows.argmax(1)  # pixels
    assert 5.5 < np.median(heights) / 3 < 7.5  # mm
    assert np.quantile(heights, 0.1) / 3 < 5.5
    assert ink[:, 3:33, 3:27].sum() > 0.93 * ink.sum()


def test_what_is_crossed_out_has_more_ink_than_a_digit(made: Cells) -> None:
    def covered(kind: int) -> float:
        ink = plain(made, kind, 200)
        return float((ink > 0.4 * ink.max((1, 2), keepdims=True)).mean())

    assert covered(CROSSED) > 1.35 * max(covered(digit) for digit in range(10))


def test_a_number_has_more_parts_than_a_digit(made: Cells) -> None:
    def parts(kind: int, width: int) -> float:
        found = [len(components_of(one > 0.3 * one.max(), one)) for one in plain(made, kind, 60, width)]
        return float(np.mean(found))

    for width in (BOX_WIDTH, strip_width(3, False)):
        assert parts(NUMBER, width) > 1.5 * parts(0, width)


def test_strips_are_written_anywhere_along_them(made: Cells) -> None:
    ink = plain(made, 3, 120, strip_width(4, False))
    middles = (ink.sum(1) * np.arange(ink.shape[2])).sum(1) / ink.sum((1, 2))
    assert middles.min() < 25 < 77 < middles.max()


def test_most_sevens_of_mnist_have_no_bar_and_some_are_given_one(made: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    def ink(share: float) -> NDArray[np.float32]:
        monkeypatch.setattr(cells_module, "BAR_SHARE", share)
        monkeypatch.setattr(cells_module, "DRAWN_SHARES", (0.0,) * 10)
        return plain(made, 7, 80)

    without, barred = (part.sum((1, 2)).mean() for part in (ink(0.0), ink(1.0)))
    assert barred > 1.08 * without


# Marks.


@pytest.mark.parametrize("mark", [*FILLERS, *CROSSINGS, filler, crossing, through])
def test_a_mark_is_made_of_finite_paths_near_its_area(mark: object) -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        paths = mark(AREA, random)  # type: ignore[operator]
        assert paths
        for path in paths:
            assert path.shape[1:] == (2,)
            assert len(path) >= 2
            assert np.isfinite(path).all()
        points = np.concatenate(paths)
        assert np.hypot(*(points - (15, 18)).T).min() < 16
        assert abs(points - (15, 18)).max() < 80


def test_a_slash_lies_flatter_than_a_one() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        path = slash(AREA, random)[0]
        (x, y), (to_x, to_y) = path[0], path[-1]
        assert 0.3 < (to_x - x) / (y - to_y) < 1.8


def test_the_one_line_that_crosses_a_digit_out_is_longer_than_the_bar_of_a_seven() -> None:
    random = np.random.default_rng(0)
    tall, narrow = 20.0, (12.0, 18.0, 8.0, 28.0)
    lengths = [np.hypot(*np.ptp(one_line(narrow, random)[0], axis=0)) for _ in range(200)]
    assert min(lengths) > 0.9 * cells_module.BAR[1] * tall

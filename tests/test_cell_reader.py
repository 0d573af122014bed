"""The reader of cells, with the network that ships."""

from __future__ import annotations

import pickle
from itertools import groupby, product

import numpy as np
import pytest

from sumnist.data.mnist import load_mnist
from sumnist.errors import ImageError
from sumnist.inference.alphabet import CELL_CLASSES, HEIGHT
from sumnist.inference.cells import CellReader, single


@pytest.fixture(scope="module")
def reader() -> CellReader:
    return CellReader()


def test_one_character_or_none_is_as_probable_as_all_paths_that_say_so() -> None:
    steps = np.random.default_rng(0).dirichlet([1, 1, 1, 1], (2, 5))
    expected = np.zeros((2, 4))
    for path in product(range(4), repeat=5):
        text = [one for one, _ in groupby(path) if one]
        if len(text) < 2:
            expected[:, text[0] if text else 0] += steps[:, np.arange(5), path].prod(1)
    assert single(np.log(steps)) == pytest.approx(expected)


def test_likelihoods_are_probabilities_without_the_prior_of_boxes_or_of_strips(reader: CellReader) -> None:
    random = np.random.default_rng(0)
    strips = random.random((3, 1, HEIGHT, 28), np.float32)
    assert reader.shares(strips).sum(1) == pytest.approx(1, abs=1e-6)
    for width, prior in zip((30, 54), np.exp(reader.log_priors), strict=True):
        assert prior.sum() == pytest.approx(1)
        images = random.random((3, 36, width), np.float32)
        assert (np.exp(reader([*images])) * prior).sum(1) == pytest.approx(1, abs=1e-6)


def test_a_cell_is_read_alike_among_others_of_all_widths(reader: CellReader) -> None:
    random = np.random.default_rng(0)
    images = [random.random((36, width), np.float32) for width in (30, 78, 30, 54, 78, 30, 183)]
    together = reader(images)
    assert together.dtype == np.float64
    for image, expected in zip(images, together, strict=True):
        assert reader([image])[0] == pytest.approx(expected, abs=1e-3)
    assert reader([]).shape == (0, 14)
    assert pickle.loads(pickle.dumps(reader))(images) == pytest.approx(together)
    for shape in ((35, 30), (36, 29), (36, 30, 1)):
        with pytest.raises(ImageError, match="expected a height of 36 and a width of at least 30"):
            reader([images[0], np.zeros(shape, np.float32)])


def test_clean_boxes_of_test_digits_are_read_and_blank_paper_is_empty(reader: CellReader) -> None:
    test, random = load_mnist("test").part(np.arange(0, 10_000, 10)), np.random.default_rng(0)
    for ink in (0.4, 0.9):
        boxes = np.pad(test.images * np.float32(ink / 255), ((0, 0), (4, 4), (1, 1)))
        assert (reader([*boxes]).argmax(1) == test.digits).mean() >= 0.985
    for width in (30, 54, 78, 183):
        blank = [np.zeros((36, width), np.float32), random.uniform(0, 0.04, (36, width)).astype(np.float32)]
        assert [CELL_CLASSES[one] for one in reader(blank).argmax(1)] == ["empty", "empty"]

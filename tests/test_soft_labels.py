"""Soft labels: what the file holds, what is made of it, and what the loss makes of that."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch

from sumnist.config import Config, preset
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import Batch, PairBatches
from sumnist.data.sampling import NO_DIGIT
from sumnist.data.soft_labels import STEP, decoded, encoded, posterior, with_soft_labels
from sumnist.errors import ConfigError, DataError
from sumnist.model.fusion import Heads
from sumnist.model.losses import joint_loss

CPU = torch.device("cpu")


def test_every_training_image_has_a_soft_label_that_mostly_agrees_and_other_images_have_none() -> None:
    train = load_mnist("train")
    soft = with_soft_labels(train).soft
    assert soft is not None
    assert (soft.shape, soft.dtype) == ((60_000, 10), np.float32)
    assert np.allclose(soft.sum(1), 1, atol=1e-5)
    assert soft.min() > 0
    assert (soft.argmax(1) == train.digits).mean() > 0.995
    with pytest.raises(DataError, match="10,000 images, expected the 60,000"):
        with_soft_labels(load_mnist("test"))


def test_probabilities_come_back_from_the_file_within_half_a_step() -> None:
    answers = np.random.default_rng(0).dirichlet(np.full(10, 0.1), 200).clip(1e-6)
    answers /= answers.sum(1, keepdims=True)
    labels = np.random.default_rng(1).integers(10, size=200)
    back = decoded(encoded(answers, labels), labels)
    assert np.abs(np.log(back) - np.log(answers)).max() < 2 * STEP
    assert np.allclose(back.sum(1), 1, atol=1e-6)


def test_a_label_is_believed_unless_the_teachers_are_all_but_certain_of_another_digit() -> None:
    answers = np.full((3, 10), 1e-7)
    answers[:, 4], answers[:, 9] = (0.5, 0.99, 1 - 1e-5), (0.5, 0.01, 1e-6)
    answers = answers / answers.sum(1, keepdims=True)
    believed = posterior(answers.astype(np.float32), np.full(3, 9))[:, 9]
    odds = answers[:, 9] * 0.998 / (answers[:, 4] * 0.002 / 9)  # by hand, of the label against the other digit
    assert believed == pytest.approx(odds / (1 + odds), rel=1e-2)
    assert believed[0] > 0.99
    assert believed[1] > 0.9
    assert believed[2] < 0.1


def test_soft_labels_and_a_folder_of_ones_own_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"--soft-labels True: expected none with --data-dir"):
        preset("tiny", soft_labels=True, data_dir="somewhere")


def test_a_batch_holds_the_soft_label_of_each_image_and_that_of_drawn_digits() -> None:
    train = load_mnist("train")
    soft = np.random.default_rng(1).dirichlet(np.ones(10), 20).astype(np.float32)
    digits = replace(train.part(np.arange(20)), soft=soft)
    added = torch.zeros(2, 1, 28, 28), torch.tensor([3, NO_DIGIT])
    batches = PairBatches(digits, 20, 0, CPU, outliers=lambda image, digit, generator: added)
    batch = next(batches.epoch(0))
    assert isinstance(batch, Batch)
    pixels = [np.rint(image.numpy() * 255).tobytes() for image in batch.image[:20, 0]]
    places = [
        [np.rint(one.astype(float)).astype(np.float32).tobytes() for one in digits.images].index(p) for p in pixels
    ]
    assert np.array_equal(batch.soft[:20].numpy(), soft[places])
    assert batch.soft[20:].tolist() == [[float(digit == 3) for digit in range(10)], [0.0] * 10]


def test_the_part_of_a_set_keeps_its_soft_labels() -> None:
    digits = DigitSet(np.zeros((3, 28, 28), np.uint8), np.arange(3), "three", np.eye(10, dtype=np.float32)[:3])
    part = digits.part(np.array([2, 0]))
    assert part.digits.tolist() == [2, 0]
    assert part.soft is not None
    assert part.soft.argmax(1).tolist() == [2, 0]


def test_the_loss_of_a_soft_label_is_its_cross_entropy_and_outliers_count_in_it_no_more_than_before() -> None:
    scores = torch.tensor([[2.0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [5.0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    soft = torch.zeros(2, 10)
    soft[0, 0], soft[0, 1] = 0.75, 0.25
    digit = torch.tensor([0, NO_DIGIT])
    losses = joint_loss(Heads(scores, None), digit, digit, Config(), soft=soft)
    normaliser = log(np.exp(2) + 9)
    assert float(losses.digit) == pytest.approx(0.75 * (normaliser - 2) + 0.25 * normaliser)

"""Pairs, their batches, augmentation, and soft labels."""

from __future__ import annotations

import pickle
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from sumnist.config import Augmentation
from sumnist.data import augment
from sumnist.data.augment import Augment, disturbed, shifted, with_strokes
from sumnist.data.mnist import SOFT_STEP, DigitSet, decoded, load_mnist, posterior, with_soft_labels
from sumnist.data.pairs import Batch, PairBatches, PairDataset, as_image, smallest_batch
from sumnist.data.sampling import NO_DIGIT, draw_numbers, folds, hold_out
from sumnist.errors import ConfigError, DataError

CPU = torch.device("cpu")


def splitmix64(value: int) -> int:
    """The mixer on Python integers, as published."""
    mask = 2**64 - 1
    value = (value + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return value ^ (value >> 31)


@given(st.integers(0, 2**63 - 1), st.integers(0, 10_000), st.integers(0, 10**9), st.integers(0, 9))
@settings(max_examples=50)
def test_a_number_is_the_same_as_by_the_published_mixer(seed: int, epoch: int, index: int, largest: int) -> None:
    key = splitmix64(splitmix64(seed) ^ epoch)
    expected = ((splitmix64((key + index) % 2**64) >> 32) * (largest + 1)) >> 32
    assert draw_numbers(seed, epoch, index, largest) == expected


def test_numbers_are_uniform_with_both_ends_and_those_of_neighbouring_epochs_and_seeds_are_unrelated() -> None:
    index = np.arange(1_000_000)
    first = draw_numbers(3, 0, index)
    counts = np.bincount(first, minlength=10)
    assert len(counts) == 10
    assert float(((counts - 100_000) ** 2 / 100_000).sum()) < 27.9  # 99.9 % of chi-square with 9 degrees of freedom
    for other in (draw_numbers(3, 1, index), draw_numbers(4, 0, index), draw_numbers(3, 0, index + 1)):
        assert abs(float((first == other).mean()) - 0.1) < 0.002


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.long)])
def test_persistent_workers_draw_the_numbers_of_the_epoch_that_is_set(mnist_train: DigitSet, start: str) -> None:
    pairs = PairDataset(DigitSet(mnist_train.images[:60], mnist_train.digits[:60], "part"), seed=5)
    loader = DataLoader(pairs, 16, num_workers=2, persistent_workers=True, multiprocessing_context=start)
    assert len(list(pairs)) == 60  # type: ignore[call-overload]
    for epoch in (0, 7, 2):
        pairs.set_epoch(epoch)
        drawn = torch.cat([number for _, number, _, _ in loader])
        assert drawn.tolist() == draw_numbers(5, epoch, np.arange(60)).tolist()
    again = pickle.loads(pickle.dumps(pairs))  # has the epoch it was copied in
    pairs.set_epoch(np.int64(4))
    assert (pairs.epoch, again.epoch) == (4, 2)
    image, number, digit, total = again[0]
    assert (image.shape, image.dtype, digit, total) == ((1, 28, 28), torch.float32, 5, 5 + number)
    assert number == draw_numbers(5, 2, 0)
    assert np.array_equal((image[0].numpy() * 255).round(), mnist_train.images[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": -1}, "seed -1: expected a whole number from 0 to 2^63 - 1"),
        ({"seed": 2**64}, f"seed {2**64}: expected a whole number from 0 to 2^63 - 1"),
        ({"largest_number": 10}, "largest_number 10: expected a whole number from 0 to 9"),
        ({"largest_number": True}, "largest_number True: expected a whole number from 0 to 9"),
    ],
)
def test_a_dataset_refuses_numbers_that_are_none(mnist_train: DigitSet, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PairDataset(mnist_train, **given)
    assert str(caught.value) == message
    with pytest.raises(ConfigError, match=r"^PairDataset\('validation'\): expected 'train', 'test' or a DigitSet$"):
        PairDataset("validation")
    with pytest.raises(ConfigError, match=r"^epoch 1\.5: expected a whole number from 0 to 2\^63 - 1$"):
        PairDataset(mnist_train).set_epoch(1.5)  # type: ignore[arg-type]


@given(st.integers(1, 300), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_an_epoch_has_every_image_once_and_its_smallest_batch_is_known(count: int, size: int) -> None:
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(count) % 256, np.arange(count) // 256  # which tell them apart
    batches = [*PairBatches(DigitSet(images, np.arange(count) % 10, "marked"), size, 0, CPU).epoch(1)]
    assert sorted(row[0] for batch in batches for row in rows_of(batch)) == sorted(
        (image[None] / np.float32(255)).tobytes() for image in images
    )
    assert smallest_batch(count, size) == min(len(batch.image) for batch in batches)


def rows_of(pairs: Any) -> list[tuple[bytes, int, int, int]]:
    """The pairs of a batch, one by one."""
    return [(image.numpy().tobytes(), int(number), int(digit), int(total)) for image, number, digit, total in
            zip(*pairs[:4], strict=True)]  # fmt: skip


def test_batches_hold_every_image_once_with_the_numbers_of_the_dataset_in_another_order_each_epoch(
    mnist_train: DigitSet,
) -> None:
    part = DigitSet(mnist_train.images[:1000], mnist_train.digits[:1000], "part")
    pairs = PairDataset(part, seed=7)
    pairs.set_epoch(3)
    batches = PairBatches(part, 64, seed=7, device=CPU)
    assert len(batches) == 16
    third, again, other = ([one for batch in batches.epoch(epoch) for one in rows_of(batch)] for epoch in (3, 3, 4))
    expected = rows_of([torch.stack(values) for values in zip(*(pairs[i] for i in range(1000)), strict=True)])
    assert sorted(third) == sorted(expected)
    assert third == again
    assert [image for image, *_ in third] != [image for image, *_ in other]


def test_what_is_held_out_and_folds_are_apart_cover_everything_and_hold_every_digit_in_proportion(
    mnist_train: DigitSet,
) -> None:
    share = np.bincount(mnist_train.digits, minlength=10) / 60_000
    for parts, held in ((hold_out(mnist_train.digits, 5000), slice(1, 2)), (folds(mnist_train.digits), slice(5))):
        assert sorted(np.concatenate(parts)) == list(range(60_000))
        for part in parts[held]:
            assert len(part) == {2: 5000, 5: 12_000}[len(parts)]
            assert np.abs(np.bincount(mnist_train.digits[part]) - len(part) * share).max() <= 2
    with pytest.raises(ConfigError, match=r"^--validation 100: expected fewer than the 100 training images there are$"):
        hold_out(np.zeros(100, np.int64), 100)


@pytest.mark.parametrize("kind", ["affine", "elastic", "handwriting"])
def test_augmentation_changes_every_image_its_own_way_and_repeats_with_the_generator(
    mnist_train: DigitSet, kind: Augmentation
) -> None:
    image = torch.tensor(mnist_train.images[:1]).float().div(255)[None].repeat(8, 1, 1, 1)
    change = Augment(kind)
    first = change(image, torch.Generator().manual_seed(1))
    assert first.shape == image.shape
    assert torch.equal(first, change(image, torch.Generator().manual_seed(1)))
    assert len({one.numpy().tobytes() for one in first}) == 8
    assert 0 <= float(first.min()) <= float(first.max()) <= 1.0001
    none, half, full, twice = (
        (Augment(kind, strength)(image, torch.Generator().manual_seed(0)) - image).abs().mean()
        for strength in (0, 0.5, 1, 2)
    )
    assert none < 1e-5 < half < full < twice
    # A moved digit keeps its ink, give or take what scaling does to its area and what leaves the picture.
    assert (first.sum((1, 2, 3)) / image.sum((1, 2, 3))).sub(1).abs().max() < (0.45 if kind != "handwriting" else 1)


def test_a_stroke_of_three_pixels_becomes_five_wide_or_one_and_half_a_width_lies_between() -> None:
    image = torch.zeros(3, 1, 28, 28)
    image[:, :, :, 12:15] = 1
    changed = with_strokes(image, torch.tensor([1.0, -1.0, 0.5])[:, None, None, None])
    assert changed[:, 0, 14].sum(1).tolist() == [5, 1, 4]
    assert changed[2, 0, 14, 11] == 0.5


def test_shifted_images_keep_every_pixel_and_move_up_to_two_of_them_each_way(mnist_train: DigitSet) -> None:
    image = torch.zeros(2000, 1, 28, 28)
    image[:, 0, 10:13, 14] = torch.tensor([0.2, 0.9, 0.4])
    moved = shifted(image, torch.Generator().manual_seed(0))
    assert torch.equal(moved.flatten(1).sort(1).values, image.flatten(1).sort(1).values)
    place = moved.flatten(1).argmax(1)
    assert sorted(set((place // 28).tolist())) == [9, 10, 11, 12, 13]
    assert sorted(set((place % 28).tolist())) == [12, 13, 14, 15, 16]


def test_disturbances_happen_to_their_shares_of_the_images_and_robust_augmentation_is_handwriting_and_these(
    mnist_train: DigitSet,
) -> None:
    images = as_image(torch.tensor(mnist_train.images[:2000]))

    def changed(strength: float) -> float:
        """The share of the images that are not as they were."""
        result = disturbed(images, torch.Generator().manual_seed(0), strength)
        assert 0 <= float(result.min()) <= float(result.max()) <= 1
        return float((result != images).flatten(1).any(1).float().mean())

    untouched = (1 - augment.COARSE_SHARE) * (1 - augment.BLUR_SHARE) ** 5 * (1 - augment.LINE_SHARE) ** 3
    assert changed(1) == pytest.approx(1 - untouched, abs=0.05)
    assert changed(0) == 0
    assert 0.1 < changed(0.5) < changed(1)
    plain, none, little, much = (
        change(images[:500], torch.Generator().manual_seed(0), intensity)
        for change, intensity in ((Augment("handwriting"), 1.0), *((Augment("robust"), one) for one in (0.0, 0.2, 1.0)))
    )
    assert torch.equal(none, plain.clamp(0, 1))
    assert 0 < (little - plain).abs().mean() < (much - plain).abs().mean()


def test_every_training_image_has_a_soft_label_that_mostly_agrees_and_other_images_have_none() -> None:
    train = load_mnist("train")
    soft = with_soft_labels(train).soft
    assert soft is not None
    assert (soft.shape, str(soft.dtype)) == ((60_000, 10), "float32")
    assert np.allclose(soft.sum(1), 1, atol=1e-5)
    assert soft.min() > 0
    assert (soft.argmax(1) == train.digits).mean() > 0.995
    with pytest.raises(DataError, match="10,000 images, expected the 60,000"):
        with_soft_labels(load_mnist("test"))


def test_soft_labels_are_stored_as_steps_of_their_logarithms_in_the_order_of_the_labels() -> None:
    labels, steps = np.array([7, 2, 7]), np.full((10, 3), 255, np.uint8)
    steps[[2, 7, 7], [0, 1, 2]] = 0  # of the image of a 2, and of the two of a 7
    steps[9, 2] = round(log(3) / SOFT_STEP)
    found = decoded(steps, labels)
    assert found.argmax(1).tolist() == labels.tolist()
    assert found[2, [7, 9]].tolist() == pytest.approx([0.75, 0.25], abs=0.01)
    assert found.sum(1).tolist() == pytest.approx([1, 1, 1])


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


def test_a_batch_holds_the_soft_label_of_each_image_and_that_of_drawn_digits() -> None:
    train = load_mnist("train")
    soft = np.random.default_rng(1).dirichlet(np.ones(10), 20).astype(np.float32)
    digits = replace(train.part(np.arange(20)), soft=soft)
    added = torch.zeros(2, 1, 28, 28), torch.tensor([3, NO_DIGIT])
    batches = PairBatches(digits, 20, 0, CPU, outliers=lambda image, digit, generator, intensity: added)
    batch = next(batches.epoch(0))
    assert isinstance(batch, Batch)
    known = {image.tobytes(): label for image, label in zip(digits.images, soft, strict=True)}
    pixels = (batch.image[:20, 0] * 255).round().to(torch.uint8).numpy()
    assert np.array_equal(batch.soft[:20].numpy(), [known[image.tobytes()] for image in pixels])
    assert batch.soft[20:].tolist() == [[float(digit == 3) for digit in range(10)], [0.0] * 10]

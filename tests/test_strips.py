"""Strips: what is written on them is their target, whatever lies around it; and each chance has its share."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sumnist.data import pens, strips
from sumnist.data import texts as texts_module
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.strips import Lines, StripBatch, Strips, placed
from sumnist.data.texts import ALPHABET, AROUND, HEIGHT, NUMBER, STEP, STYLES, Texts, string_of, texts
from sumnist.errors import DataError

MNIST = load_mnist("train")
PART = DigitSet(MNIST.images[:3000], MNIST.digits[:3000], "a part of MNIST")
COUNT = 6000


@pytest.fixture(scope="module")
def made() -> Iterator[Strips]:
    """Strips of few images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "DRAWN_DIGITS", 500)
        patch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 20))
        yield Strips(PART, seed=3)


@pytest.fixture(scope="module")
def batches(made: Strips) -> list[StripBatch]:
    """More than two thousand strips: two rounds of sixteen batches."""
    return [made.batch(step, 64) for step in range(32)]


@pytest.fixture(scope="module")
def written() -> Texts:
    return texts(COUNT, np.random.default_rng(5))


@pytest.fixture(scope="module")
def lines(made: Strips, written: Texts) -> Lines:
    return placed(made.bank, written, np.random.default_rng(6))


def same(one: StripBatch, other: StripBatch) -> bool:
    return all(torch.equal(value, vars(other)[name]) for name, value in vars(one).items())


# Batches.


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


def test_the_same_seed_and_step_give_the_same_batch_and_others_another(made: Strips) -> None:
    batch = made.batch(2, 8)
    forth = {step: made.batch(step, 8) for step in (0, 17, 40)}
    assert all(same(forth[step], made.batch(step, 8)) for step in (40, 0, 17))
    assert same(pickle.loads(pickle.dumps(made)).batch(2, 8), batch)
    assert same(batch, made.batch(2, 8))
    assert batch.texts() != made.batch(3, 8).texts()
    made.seed, seed = 4, made.seed
    made.latest = None
    try:
        assert batch.texts() != made.batch(2, 8).texts()
    finally:
        made.seed, made.latest = seed, None


def test_the_strength_changes_the_picture_and_not_what_is_written(made: Strips) -> None:
    calm, rough = made.batch(1, 16, 0.0), made.batch(1, 16, 1.0)
    assert calm.texts() == rough.texts()
    assert torch.equal(calm.widths, rough.widths)
    assert not torch.equal(calm.image, rough.image)
    assert float((calm.image == 0).float().mean()) > 0.5
    assert float(calm.image.flatten(1).amax(1)[calm.lengths > 0].min()) > 0.4


def test_a_set_without_a_digit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "DRAWN_DIGITS", 500)
    monkeypatch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 1))
    some = np.flatnonzero(PART.digits != 7)
    with pytest.raises(DataError, match=r"no image of kind 7 .* in which every digit occurs"):
        Strips(PART.part(some), seed=0)


# Targets.


def test_the_digits_of_a_target_are_those_that_stand_there(made: Strips, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece between empty columns is compared with all images that there are: the likest has its digit."""
    plain = {
        "DRAWN_SHARES": (0.0,) * 10, "OVERLAPPING_SHARE": 0.0, "WIDE_SHARE": 1.0, "WIDE_GAP": (0.6, 0.7),
        "UNEVEN_GAP": 0.0,
        "SLANT": (0.0, 0.0), "OWN_SLANT": 0.0, "KEPT_SLANT": (1.0, 1.0), "TURN": 0.0, "BEND": 0.0, "ASPECT": (1.0, 1.0),
        "PEN": (0.12, 0.13), "NEIGHBOUR_SHARE": 0.0, "CUT_SHARE": 0.0, "NARROWEST": 0.0, "ROOMY": 12,
        "JOINED_SHARE": 0.0,
    }  # fmt: skip
    for name, value in plain.items():
        monkeypatch.setattr(strips, name, value)
    monkeypatch.setattr(texts_module, "KINDS", (1.0, 0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(texts_module, "STYLES", {"plain": (0, 0, 1.0), "grouped": (0, 0, 0.0), "dashed": (0, 0, 0.0)})
    monkeypatch.setattr(texts_module, "AROUND", dict.fromkeys(AROUND, (0.0, 0.0)) | {"nothing": (1.0, 1.0)})
    made.latest = None
    batch = made.batch(0, 40, 0.0)
    made.latest = None
    known = PART.images.reshape(len(PART.images), -1) / 255
    known = known / np.linalg.norm(known, axis=1, keepdims=True)
    right, count, whole = 0, 0, 0
    for image, text in zip(batch.image[:, 0].numpy(), batch.texts(), strict=True):
        pieces = between_gaps(image)
        whole += len(pieces) == len(text)
        if len(pieces) == len(text):
            seen = np.stack([as_mnist(piece).ravel() for piece in pieces])
            likest = PART.digits[(known @ seen.T).argmax(0)]
            right += int((likest == [int(digit) for digit in text]).sum())
            count += len(text)
    assert whole >= 0.9 * len(batch.lengths)  # a digit of MNIST may itself have a gap
    assert right >= 0.96 * count


def between_gaps(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The parts of a strip between columns without ink."""
    inked = np.concatenate([[False], (image > 0.25).any(0), [False]])
    edges = np.flatnonzero(inked[1:] != inked[:-1])
    return [image[:, start:end] for start, end in zip(edges[::2], edges[1::2], strict=True) if end - start > 1]


def as_mnist(piece: NDArray[np.float32]) -> NDArray[np.float64]:
    """A piece by MNIST's convention: its longer side 20 pixels, its centre of mass in the middle."""
    piece = piece[(piece > 0.25).any(1)]
    factor = 20 / max(piece.shape)
    size = max(1, round(piece.shape[1] * factor)), max(1, round(piece.shape[0] * factor))
    small = np.asarray(Image.fromarray(piece).resize(size, Image.Resampling.BILINEAR), np.float64)
    down, right = (round(14 - (small.sum(1 - axis) @ np.arange(small.shape[axis])) / small.sum()) for axis in (0, 1))
    result = np.zeros((28 + 40, 28 + 40))
    result[20 + down : 20 + down + small.shape[0], 20 + right : 20 + right + small.shape[1]] = small
    return result[20:48, 20:48]


def test_classes_spell_what_is_written() -> None:
    assert string_of(np.array([2, 11, 5, 9, 1, 12, 1, 1])) == "1.480,00"
    assert string_of(np.array([10, 0, 13, 4])) == "9-3"
    assert [ALPHABET[one - 1] for one in (texts_module.STOP, texts_module.COMMA, texts_module.DASH)] == [".", ",", "-"]


def test_signs_are_targets_between_digits_only(batches: list[StripBatch]) -> None:
    for text in (text for batch in batches for text in batch.texts()):
        assert not text or (text[0].isdigit() and text[-1].isdigit())
        assert not any(pair in text for pair in ("..", ",,", "--", ".,", ",.", ".-"))
    everything = [text for batch in batches for text in batch.texts()]
    assert {sum(one.isdigit() for one in text) for text in everything} == set(range(13))
    assert set("".join(everything)) == set(ALPHABET)
    assert everything.count("") / len(everything) == pytest.approx(0.14, abs=0.025)


def test_thousands_are_grouped_by_three_from_the_decimals_on(written: Texts) -> None:
    names = [*STYLES]
    found = 0
    for style, row, kind in zip(written.style, written.targets, written.kind, strict=True):
        text = string_of(row)
        thousands, decimal = {"1.000": ".", "1,000": ","}, {"0,00": ",", "0.00": "."}
        both = {"1.000,00": ".,", "1,000.00": ",."}.get(names[style], "")
        sign = thousands.get(names[style]) or both[:1]
        mark = decimal.get(names[style]) or both[1:]
        whole, _, cents = text.partition(mark) if mark else (text, "", "")
        if kind == NUMBER and sign and sign in whole:
            first, *rest = whole.split(sign)
            assert 1 <= len(first) <= 3
            assert all(len(part) == 3 for part in rest)
            found += 1
        if kind == NUMBER and mark and mark in text:
            assert 1 <= len(cents) <= 2
    assert found > 50


# Shares of what is written.


# Shares of how it is written.


def of_numbers(lines: Lines) -> NDArray[np.bool_]:
    return np.equal(lines.text.kind, NUMBER)


def test_what_stands_around_is_beside_the_number_and_inside_the_strip(lines: Lines) -> None:
    number = of_numbers(lines)
    left, right = lines.left[:, 0], np.where(lines.text.there, lines.right, 0).max(1)
    (begin, before), (after, end) = lines.around[:, 0].T, lines.around[:, 1].T
    assert (begin >= -1e-6).all()
    assert (before[number] <= left[number] + 1e-6).all()
    assert (after[number] >= right[number] - 1e-6).all()
    assert (end <= lines.width + 1e-6).all()
    nothing = lines.text.around == 0
    assert (np.diff(lines.around, axis=2)[..., 0][nothing] == 0).all()


def test_a_digit_begins_two_steps_behind_one_of_its_class(lines: Lines) -> None:
    text, there = lines.text, lines.text.there[:, 1:] & of_numbers(lines)[:, None]
    apart = np.diff(lines.left, axis=1)
    again = there & ((text.digit[:, 1:] == text.digit[:, :-1]) | (text.sign[:, :-1] > 0))
    assert apart[there].min() >= STEP - 1e-6
    assert apart[again].min() >= 2 * STEP - 1e-6

"""Strips: what is written on them is their target, whatever lies around it; and each chance has its share."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sumnist.data import lines as lines_module
from sumnist.data import pens, strips
from sumnist.data import texts as texts_module
from sumnist.data.lines import Lines, placed
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pens import DRAWN, LETTER
from sumnist.data.strips import ALPHABET, HEIGHT, STEP, StripBatch, Strips
from sumnist.data.texts import AROUND, CROSSED, KINDS, NUMBER, SCRIBBLE, STYLES, WORD, Texts, string_of, texts
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
        monkeypatch.setattr(lines_module, name, value)
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


def test_kinds_lengths_styles_and_what_stands_around_have_their_shares(written: Texts) -> None:
    assert np.bincount(written.kind) / COUNT == pytest.approx(np.array(KINDS), abs=0.025)
    lengths = np.array(texts_module.LENGTHS) / sum(texts_module.LENGTHS)
    numbers = written.length[written.kind == NUMBER]
    assert np.bincount(numbers, minlength=13)[1:] / len(numbers) == pytest.approx(lengths, abs=0.03)
    assert np.bincount(written.style) / COUNT == pytest.approx(np.array([s for *_, s in STYLES.values()]), abs=0.03)
    for side in (0, 1):
        shares = np.bincount(written.around[:, side], minlength=len(AROUND)) / COUNT
        assert shares == pytest.approx(np.array([share[side] for share in AROUND.values()]), abs=0.03)


def test_decimals_are_one_or_two_and_zeros_in_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts_module, "ROUND_SHARE", 0.0)
    monkeypatch.setattr(texts_module, "REPEATED_SHARE", 0.0)
    written = texts(COUNT, np.random.default_rng(0))
    decimals = written.fraction.sum(1)
    some = (decimals > 0) & (written.length > 3)
    assert (decimals[some] == 1).mean() == pytest.approx(texts_module.ONE_DECIMAL_SHARE, abs=0.06)
    zeros = ((written.digit == 0) | ~written.fraction).all(1)
    by_chance = 0.1 * texts_module.ONE_DECIMAL_SHARE + 0.01 * (1 - texts_module.ONE_DECIMAL_SHARE)
    expected = texts_module.NO_CENTS_SHARE + (1 - texts_module.NO_CENTS_SHARE) * by_chance
    assert zeros[some].mean() == pytest.approx(expected, abs=0.06)


def test_numbers_are_round_and_repeat_digits_in_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts_module, "REPEATED_SHARE", 0.0)
    length = np.full(COUNT, 12)
    digit = texts_module.drawn_digits(length, np.random.default_rng(0))
    assert (digit[:, -1] == 0).mean() == pytest.approx(0.1 + 0.9 * texts_module.ROUND_SHARE, abs=0.03)
    monkeypatch.setattr(texts_module, "REPEATED_SHARE", 0.15)
    monkeypatch.setattr(texts_module, "ROUND_SHARE", 0.0)
    digit = texts_module.drawn_digits(length, np.random.default_rng(0))
    repeats = (digit[:, 1:] == digit[:, :-1]).sum(1) >= 5
    assert repeats.mean() == pytest.approx(texts_module.REPEATED_SHARE * 0.9, abs=0.03)


# Shares of how it is written.


def of_numbers(lines: Lines) -> NDArray[np.bool_]:
    return np.equal(lines.text.kind, NUMBER)


def test_digits_are_drawn_in_their_share_and_words_are_of_letters(made: Strips, lines: Lines) -> None:
    first, text = made.bank.firsts, lines.text
    there = text.there & of_numbers(lines)[:, None]
    drawn = (lines.place >= first[DRAWN]) & (lines.place < first[LETTER])
    for digit, share in enumerate(lines_module.DRAWN_SHARES):
        assert drawn[there & (text.digit == digit)].mean() == pytest.approx(share, abs=0.06), digit
    letters = lines.place[text.there & (text.kind == WORD)[:, None]]
    assert ((letters >= first[LETTER]) & (letters < first[LETTER + 1])).all()
    ends = first + made.bank.counts
    assert (lines.place[there] >= first[text.digit[there] + DRAWN * drawn[there]]).all()
    assert (lines.place[there] < ends[text.digit[there] + DRAWN * drawn[there]]).all()


def test_one_writer_writes_in_one_manner_and_often_repeats_a_form(lines: Lines) -> None:
    assert lines.one_writer.mean() == pytest.approx(lines_module.ONE_WRITER_SHARE, abs=0.04)
    digit, there = lines.text.digit, lines.text.there & of_numbers(lines)[:, None]
    pair = (digit[:, 1:] == digit[:, :-1]) & there[:, 1:]
    again = lines.place[:, 1:] == lines.place[:, :-1]
    assert again[pair & lines.one_writer[:, None]].mean() == pytest.approx(lines_module.SAME_FORM**2, abs=0.06)
    assert again[pair & ~lines.one_writer[:, None]].mean() < 0.05


def test_gaps_overlap_and_are_wide_in_their_shares(lines: Lines) -> None:
    some = of_numbers(lines) & (lines.text.length >= 4) & (lines.text.length <= 7)
    gap = (lines.left[:, 1:] - lines.right[:, :-1]) / lines.em[:, None]
    gap[~lines.text.there[:, 1:] | (lines.text.sign[:, :-1] > 0) | lines.text.group[:, :-1]] = np.nan
    typical = np.nanmedian(gap[some], 1)
    assert (typical < 0).mean() == pytest.approx(lines_module.OVERLAPPING_SHARE, abs=0.05)
    assert (typical > 0.34).mean() == pytest.approx(lines_module.WIDE_SHARE, abs=0.05)
    assert np.nanmin(gap[some]) > -0.35


def test_decimals_are_raised_and_small_in_their_share(lines: Lines) -> None:
    some = lines.text.fraction.any(1)
    assert lines.raised[some].mean() == pytest.approx(lines_module.RAISED_SHARE, abs=0.08)
    assert not lines.raised[~some].any()
    underlined = lines_module.underlines(lines, np.random.default_rng(0))
    assert len(underlined.strip) / lines.raised.sum() == pytest.approx(lines_module.UNDERLINED_SHARE, abs=0.12)
    assert lines.raised[underlined.strip].all()


def test_zeros_are_small_and_digits_descend_in_their_shares(
    made: Strips, written: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"UNEVEN": (0.0, 0.0), "WOBBLE": (0.0, 0.0), "CLIMB": 0.0, "RAISED_SHARE": 0.0}.items():
        monkeypatch.setattr(lines_module, name, value)
    lines = placed(made.bank, written, np.random.default_rng(1))
    tall = (lines.bottom - lines.top) / lines.em[:, None]
    there = written.there & of_numbers(lines)[:, None]
    zeros = there & (written.digit == 0) & (np.arange(12) > 0)
    small = np.where(zeros, tall, 0).max(1)[zeros.any(1)] < 0.86
    assert small.mean() == pytest.approx(lines_module.SMALL_ZEROS_SHARE, abs=0.06)
    reaching = there & np.isin(written.digit, lines_module.DESCENDERS) & ~written.fraction
    below = np.where(reaching, lines.bottom - lines.base, 0).max(1) / lines.em
    assert (below[reaching.any(1)] > 0.05).mean() == pytest.approx(lines_module.DESCENDING_SHARE, abs=0.04)


def test_ink_is_cut_margins_are_wide_and_neighbours_enter_in_their_shares(made: Strips, lines: Lines) -> None:
    numbers = of_numbers(lines)
    top = np.where(lines.text.there, lines.top, 99).min(1)
    bottom = np.where(lines.text.there, lines.bottom, 0).max(1)
    cut = (top < -1e-6) | (bottom > HEIGHT + 1e-6)
    assert cut[numbers].mean() == pytest.approx(lines_module.CUT_SHARE, abs=0.03)
    assert top.min() >= -lines_module.CUT * HEIGHT - 1e-6
    upright = abs(lines.slant) < 0.05
    margins = np.stack([lines.around[:, 0, 0], lines.width - lines.around[:, 1, 1]], 1)[numbers & upright]
    assert (margins > 0.5 * HEIGHT + 4).mean() == pytest.approx(lines_module.WIDE_MARGIN_SHARE, abs=0.06)
    entering = lines_module.neighbours(made.bank, lines, np.random.default_rng(0))
    assert len(np.unique(entering.strip)) / COUNT == pytest.approx(lines_module.NEIGHBOUR_SHARE, abs=0.03)


def test_neighbours_enter_a_little_and_only_at_the_edges(made: Strips, lines: Lines) -> None:
    entering = lines_module.neighbours(made.bank, lines, np.random.default_rng(0))
    half_tall = entering.high * (made.bank.bottom - made.bank.top)[entering.place] / 2
    half_broad = entering.wide * (made.bank.right - made.bank.left)[entering.place] / 2
    inside = np.stack([
        entering.y + half_tall, HEIGHT - (entering.y - half_tall), entering.x + half_broad,
        lines.width[entering.strip] - (entering.x - half_broad),
    ])  # fmt: skip
    assert inside.min(0).max() <= max(0.2 * HEIGHT, 4) + 1e-3


def test_a_number_is_crossed_out_by_a_zigzag_or_by_some_lines(lines: Lines) -> None:
    strokes = lines_module.crossings(lines, np.random.default_rng(0))
    crossed = np.flatnonzero(lines.text.kind == CROSSED)
    counts = np.bincount(strokes.strip, minlength=COUNT)
    assert (counts[crossed] >= 3).all()
    assert counts.sum() == counts[crossed].sum()
    assert (counts[crossed] == lines_module.CROSSINGS).mean() == pytest.approx(lines_module.ZIGZAG_SHARE, abs=0.2)


def test_stops_are_raised_and_zeros_joined_in_their_shares(lines: Lines) -> None:
    stops = lines_module.signs_between(lines, np.random.default_rng(0))
    strip, slot = np.nonzero((lines.text.sign > 0) & lines.text.there)
    stop = lines.text.sign[strip, slot] == texts_module.STOP
    up = (lines.base[strip, slot] - stops.y) / lines.em[strip]
    high = (stops.y < HEIGHT - 2) & stop
    assert (up[high] > 0.3).mean() == pytest.approx(lines_module.RAISED_STOP_SHARE, abs=0.08)
    joined = lines_module.joins(lines, np.random.default_rng(0))
    zero = (lines.text.digit == 0) & lines.text.there & ~np.isin(lines.text.kind, (WORD, SCRIBBLE))[:, None]
    close = (lines.left[:, 1:] - lines.right[:, :-1]) / lines.em[:, None] < lines_module.JOINED_GAP
    pairs = (zero[:, 1:] & zero[:, :-1] & close & (lines.text.sign[:, :-1] == 0)).any(1)
    assert len(np.unique(joined.strip)) / pairs.sum() == pytest.approx(lines_module.JOINED_SHARE, abs=0.1)


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


def test_digits_are_as_high_as_most_of_the_strip(lines: Lines) -> None:
    there = lines.text.there
    height = np.where(there, lines.bottom, 0).max(1) - np.where(there, lines.top, 99).min(1)
    share = height[of_numbers(lines)] / HEIGHT
    assert share.min() > 0.25  # a line of small digits only
    assert np.quantile(share, [0.1, 0.9]) == pytest.approx([0.62, 0.94], abs=0.04)
    assert share.max() <= 1 + 1e-6

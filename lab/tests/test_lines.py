"""What is drawn for training: strokes and characters by a pen, what is written on lines and in boxes, and what becomes
of their pictures."""

from __future__ import annotations

import json
import pickle
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sumnist
from lab.recipes import pens
from lab.recipes.glyphs import characters
from lab.recipes.hands import hands_in, part_of
from lab.recipes.lines import HIGH, LineBatch, Lines, boxed, line_of
from sumnist.data.mnist import load_mnist
from sumnist.data.sampling import NO_DIGIT
from sumnist.inference.alphabet import HEIGHT, STEP, WRITING
from sumnist.inference.cells import PRIORS

PART = load_mnist("train").part(np.arange(3000))
WIDTH, AREA = 48, (3.0, 27.0, 3.0, 33.0)
EM, FREE = torch.full((2000,), 24.0), torch.full((2000, 2), 12.0)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Of letters and signs few are drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 20))
        yield


@pytest.fixture(scope="module")
def made() -> Lines:
    return Lines(PART, seed=3, count=20)


# Characters.


def test_drawings_show_their_labels_to_the_packaged_network_with_their_mass_in_the_middle() -> None:
    images, labels = characters(600, 0.5, seed=3)
    assert images.dtype == np.uint8
    assert (images.max((1, 2)) > 150).all()
    assert (labels != NO_DIGIT).mean() == pytest.approx(0.5, abs=0.08)
    assert set(labels.tolist()) == {NO_DIGIT, *range(10)}
    digits, shown = images[labels != NO_DIGIT], labels[labels != NO_DIGIT]
    mass, places = digits.sum((1, 2)), np.arange(28)
    for axis in (1, 2):
        assert np.abs(digits.sum(axis) @ places / mass - 14).max() <= 0.6
    inked = digits > 60
    assert 17 <= np.median(np.maximum(inked.any(2).sum(1), inked.any(1).sum(1))) <= 21
    found = sumnist.load().read([*digits], 0)
    assert np.mean([one.digit == label for one, label in zip(found, shown, strict=True)]) > 0.9
    again, other = (characters(600, 0.5, seed)[0] for seed in (3, 4))
    assert np.array_equal(again, images)
    assert not np.array_equal(other, images)


# Lines.


@pytest.fixture(scope="module")
def batches(made: Lines) -> list[LineBatch]:
    """More than a thousand lines: two rounds of sixteen batches."""
    return [made.batch(step, 32) for step in range(32)]


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(value, vars(other)[name]) for name, value in vars(one).items())


def test_a_batch_of_lines_has_the_shapes_and_types_that_ctc_takes(batches: list[LineBatch]) -> None:
    for batch in batches:
        assert batch.image.shape == (32, 1, HEIGHT, int(batch.widths.max()))
        assert batch.target.dtype == batch.lengths.dtype == batch.widths.dtype == torch.int64
        assert batch.lengths.tolist() == [len(text) for text in batch.texts()]
        steps = torch.zeros(int(batch.widths.max()) // STEP, 32, len(WRITING) + 1).log_softmax(2)
        loss = torch.nn.functional.ctc_loss(steps, batch.target, batch.widths // STEP, batch.lengths, reduction="none")
        assert torch.isfinite(loss).all()  # every line has enough steps for its text
        assert -0.5 <= float(batch.image.min()) <= float(batch.image.max()) <= 1.5
        behind = (torch.arange(batch.image.shape[3]) >= batch.widths[:, None])[:, None, None].expand_as(batch.image)
        assert not batch.image[behind].any()


def test_all_that_stands_beside_numbers_is_written(batches: list[LineBatch]) -> None:
    texts = [text for batch in batches for text in batch.texts()]
    assert set("".join(texts)) >= set(WRITING) - {"≈", "<", ">", "'"}
    for pattern in (r"", r"\d", r"\d+/\d+", r"\d+:\d\d", r"[\d.,]+%", r".*[-+×÷]\d+=\d+", r"#", r"~", r"\?", r"\d+ .*"):
        assert any(re.fullmatch(pattern, text) for text in texts), pattern


def test_a_line_is_shown_alike_whatever_its_light_and_contrast_and_nothing_of_it_is_removed() -> None:
    random = np.random.default_rng(1)
    ink = np.zeros((64, 160), np.float32)
    ink[20:50, 30:36] = ink[20:50, 90:96] = ink[60:62] = 1.0  # two strokes and a rule
    expected = line_of(1 - ink)
    assert expected.shape == (HEIGHT, 80)
    assert expected[15, 16] == pytest.approx(1, abs=0.01)
    for ground, contrast in ((0.9, -0.5), (0.5, -0.1), (0.1, 0.6)):  # dark ink or light ink
        assert np.abs(line_of(np.float32(ground) + np.float32(contrast) * ink) - expected).max() < 0.02
    noise = line_of((0.5 + random.normal(0, 0.001, (64, 160))).astype(np.float32))
    assert np.abs(noise).max() < 0.2  # an empty paper is not stretched to ink


def test_no_writer_is_in_two_parts_and_small_sources_are_not_parted() -> None:
    writers = [f"large:{number:03d}" for number in range(23)] + ["small:1", "small:2"]
    parts = part_of(writers)
    assert parts.keys() == set(writers)
    assert {parts["small:1"], parts["small:2"]} == {"training"}
    assert [sum(part == name for part in parts.values()) for name in ("choices", "report")] == [4, 4]


def test_strokes_and_strings_of_people_are_written_as_they_are(tmp_path: Path) -> None:
    digit = [[[0, 0], [40, 0], [10, 100]]]
    rows = [{"kind": "digit", "label": "7", "writer": f"abc:{number}", "strokes": digit} for number in range(6)]
    text = [[[[x + 100 * place, y] for x, y in digit[0]] for place in range(3)]]
    rows.append({"kind": "string", "label": "777", "writer": "abc:0", "strokes": text[0]})
    rows.append({"kind": "sign", "label": "*", "writer": "abc:0", "strokes": [[[0, 0], [50, 50]]]})
    file = tmp_path / "people.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    hands = hands_in(file, "training")
    assert "abc:3" not in hands
    (seven,) = hands["abc:0"].ways["7"][0]
    assert np.ptp(seven, 0).tolist() == pytest.approx([0.4, 1.0])
    assert seven[:, 1].max() == pytest.approx(0, abs=1e-6)
    assert hands["abc:0"].ways["×"]
    assert hands["abc:0"].strings[0][0] == "777"


def test_a_batch_depends_on_nothing_but_its_seed_its_step_and_its_size(made: Lines) -> None:
    forth: dict[int, Any] = {step: made.batch(step, 16) for step in (0, 17, 40)}
    assert all(same(forth[step], made.batch(step, 16)) for step in (40, 0, 17))
    assert same(pickle.loads(pickle.dumps(made)).batch(17, 16), forth[17])
    other = pickle.loads(pickle.dumps(made))
    other.seed, other.latest = 4, None
    for batch in (made.batch(18, 16), other.batch(17, 16)):
        assert batch.image.shape != forth[17].image.shape or not torch.equal(batch.image, forth[17].image)


# Boxes of forms.


def test_boxes_hold_digits_fillers_and_struck_out_numbers_with_the_shares_that_the_reader_of_cells_divides_by(
    made: Lines,
) -> None:
    random, counts = np.random.default_rng(0), Counter[str]()
    for _ in range(3000):
        text, ink = boxed(made.writers, random)
        counts[text if len(text) < 2 else "number"] += 1
        assert 0.6 * HIGH < ink.shape[1] < 1.3 * HIGH
        assert ink.any() or not text
    shares = [counts[name] / 3000 for name in (*"0123456789", "number", "", "~", "#")]
    assert np.abs(np.array(shares) - PRIORS[0]).max() < 0.02

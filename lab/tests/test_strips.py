"""What is drawn for training: strokes and characters by a pen, what is written on strips and what stands in cells, and
what becomes of their pictures. That none of it moves is for `test_drawn_alike`."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import sumnist
from lab.recipes import papers, pens, strips
from lab.recipes import texts as texts_module
from lab.recipes.cells import BOX_WIDTH, PRIORS, Cells, strip_width
from lab.recipes.glyphs import SIGNS, characters, ending, loosened, written
from lab.recipes.marks import CROSSINGS, FILLERS, mark, through
from lab.recipes.papers import on_paper, pictured
from lab.recipes.pens import EDGE, Bank, Pieces, Strokes, stroked
from lab.recipes.strips import Lines, StripBatch, Strips, placed
from lab.recipes.texts import string_of, texts
from sumnist.data.augment import Draw
from sumnist.data.mnist import load_mnist
from sumnist.data.pen_digits import drawn, pen_paths
from sumnist.data.sampling import NO_DIGIT
from sumnist.errors import DataError
from sumnist.inference.alphabet import CELL_CLASSES, CELL_HEIGHT, HEIGHT, STEP

ALPHABET, AROUND, STYLES = texts_module.ALPHABET, texts_module.AROUND, texts_module.STYLES
PART = load_mnist("train").part(np.arange(3000))
WIDTH, AREA = 48, (3.0, 27.0, 3.0, 33.0)
EM, FREE = torch.full((2000,), 24.0), torch.full((2000, 2), 12.0)


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


def test_every_listed_way_of_a_digit_or_sign_can_be_drawn_and_none_is_listed_twice() -> None:
    random = np.random.default_rng(0)
    for ways in SIGNS.values():
        assert len(set(ways)) == len(ways)
        for way in ways:
            image = drawn(written(way, random), random)
            assert image.shape == (28, 28)
            assert (image > 0.5).sum() >= 10


def length(path: NDArray[np.float64]) -> float:
    return float(np.hypot(*np.diff(path, axis=0).T).sum())


def test_an_end_of_a_stroke_is_as_much_longer_or_shorter_as_was_asked_for() -> None:
    path = np.stack([np.linspace(0, 3, 31), np.zeros(31)], 1)
    assert length(ending(path, 0.5, 0.0)) == pytest.approx(3.5)
    assert ending(path, 0.5, 0.0)[-1] == pytest.approx([3.5, 0])
    assert length(ending(path, 0.5, 2.0)) == pytest.approx(3.5)
    assert ending(path, 0.5, np.pi / 2)[-1, 0] == pytest.approx(3)
    assert ending(path, -0.55, 0.0)[-1] == pytest.approx([2.5, 0], abs=0.11)
    assert length(ending(path, -9.0, 0.0)) == pytest.approx(3 * 3 / 4, abs=0.11)  # a quarter goes at most


def test_a_loosened_digit_has_the_same_strokes_about_where_they_were_and_never_the_same_way() -> None:
    paths, _, _ = pen_paths()
    for one in paths[::400]:
        size = np.ptp(np.concatenate(one), 0).max()
        first, again, other = (loosened(one, np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert len(first) == len(one)
        assert all(map(np.array_equal, first, again))
        assert not np.array_equal(np.concatenate(first)[:2], np.concatenate(other)[:2])
        for loose, path in zip(first, one, strict=True):
            apart = np.hypot(*(loose[:, None] - path).transpose(2, 0, 1)).min(1)
            assert apart.max() < 0.7 * size


def bar() -> NDArray[np.uint8]:
    """Two images: an upright bar of 6×20 pixels, its left edge at 11, and the same slanting to the right by 0.3."""
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 4:24, 11:17] = 255
    for y in range(4, 24):
        left = round(11 + 0.3 * (14 - y))
        images[1, y, left : left + 6] = 255
    return images


def one(bank: Bank, place: int, **changed: float) -> NDArray[np.float32]:
    """A strip `[32, 48]` with the image at `place` in its middle, as large as in the bank and as its own pen has it."""
    values = {
        "x": WIDTH / 2, "y": HEIGHT / 2, "wide": 1.0, "high": 1.0, "slant": float(bank.slant[place]), "angle": 0.0,
        "pen": float(bank.pen[place]), "steep": 1.0, "light": 1.0,
    } | changed  # fmt: skip
    arrays = {name: np.array([value], np.float32) for name, value in values.items()}
    canvas = np.zeros((1, HEIGHT, WIDTH + 2 * EDGE), np.float32)
    piece = Pieces(np.array([0]), np.array([place]), bend=np.zeros((1, 2, 2), np.float32), **arrays)
    pens.written(bank, piece, canvas)
    return canvas[0, :, EDGE:-EDGE]


def line(x: float, y: float, to_x: float, to_y: float, radius: float, light: float = 1.0) -> NDArray[np.float32]:
    canvas = np.zeros((1, HEIGHT, WIDTH + 2 * EDGE), np.float32)
    ends = (np.array([value], np.float32) for value in (x, y, to_x, to_y, radius, light))
    stroked(Strokes(np.array([0]), *ends), canvas)
    return canvas[0, :, EDGE:-EDGE]


def test_a_character_at_its_own_size_by_its_own_pen_is_the_image_itself() -> None:
    bank = Bank(bar()[:1], np.array([0]), 1)
    expected = np.zeros((HEIGHT, WIDTH))
    expected[6:26, 21:27] = 1
    assert np.abs(one(bank, 0) - expected).max() < 0.05


@pytest.mark.parametrize("pen", [1.6, 2.5, 4.0, 6.0, 7.0])
def test_a_stroke_is_as_wide_as_its_pen(pen: float) -> None:
    bank = Bank(bar()[:1], np.array([0]), 1)
    bank.pen[0] = 6  # what a ruler says of the bar
    width = one(bank, 0, pen=pen)[16].sum()
    assert width == pytest.approx(pen, abs=0.7)


def test_the_pens_of_a_bank_are_about_as_wide_as_a_ruler_finds_them() -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    for i, wide in enumerate((2, 3, 5)):
        images[i, 4:24, 12 : 12 + wide] = 255
    assert Bank(images, np.arange(3), 3).pen.tolist() == pytest.approx([2, 3, 5], abs=0.6)


def test_a_positive_slant_leans_to_the_right_and_an_image_loses_its_own() -> None:
    bank = Bank(bar(), np.array([0, 0]), 1)
    assert float(bank.slant[1] - bank.slant[0]) == pytest.approx(0.3, abs=0.05)
    column = np.arange(WIDTH) + 0.5
    for place in (0, 1):
        # The kind's mean slant, half of 0.3, is taken for its form.
        for slant in (-0.15, 0.0, 0.25):
            strip = one(bank, place, slant=slant)
            high, low = (strip[row] @ column / strip[row].sum() for row in (10, 20))
            assert (high - low) / 10 == pytest.approx(slant + 0.15, abs=0.06)


def test_a_stroke_has_the_area_of_its_shape() -> None:
    for radius, length in ((1.0, 0.0), (1.5, 12.0), (2.5, 20.0)):
        area = line(12.3, 15.8, 12.3 + length * 0.8, 15.8 - length * 0.6, radius).sum()
        assert area == pytest.approx(2 * radius * length + math.pi * radius**2, rel=0.12)


def test_what_reaches_out_of_a_strip_is_cut(made: Strips) -> None:
    assert line(-100, 16, 200, 16, 1)[16].all()
    assert not line(10, -30, 40, -20, 2).any()
    assert not one(made.bank, 0, x=-300.0).any()


def test_every_kind_needs_an_image() -> None:
    with pytest.raises(DataError, match="no image of kind 1 among 2, expected one of each of 3"):
        Bank(bar(), np.array([0, 2]), 3)
    some = PART.part(np.flatnonzero(PART.digits != 7))
    for kind in (Strips, Cells):
        with pytest.raises(DataError, match=r"no image of kind 7 .*give a set of digits in which every digit occurs"):
            kind(some, seed=0, count=50)


# Paper.


def draw(strength: float = 1.0, seed: int = 0) -> Draw:
    return Draw(2000, torch.Generator().manual_seed(seed), torch.device("cpu"), strength)


def blank() -> Tensor:
    return torch.zeros(2000, 32, WIDTH)


def ink() -> Tensor:
    """Strips `[2000, 32, 48]` with an upright stroke of half intensity in the middle, and its soft edges."""
    image = blank()
    image[:, 6:26, 22:26] = torch.tensor([0.2, 0.5, 0.5, 0.2])
    return image


def test_without_strength_the_ink_is_alone_on_the_ground() -> None:
    width = torch.full((2000,), WIDTH)
    assert torch.equal(on_paper(ink(), width, FREE, draw(0)), ink())
    assert torch.equal(pictured(ink(), width, EM, draw(0)), ink())


def test_ink_on_paper_is_no_darker_than_alone_and_than_the_paper_and_there_is_ground_behind_a_strip() -> None:
    width = torch.arange(2000) % 40 + 8
    paper = on_paper(ink(), width, FREE, draw())
    assert (paper >= on_paper(blank(), width, FREE, draw()) - 1e-6).all()
    image = pictured(paper, width, EM, draw())
    assert 0 <= float(image.min()) < float(image.max()) <= 1
    assert torch.isfinite(image).all()
    assert not image[(torch.arange(WIDTH) >= width[:, None])[:, None].expand_as(image)].any()
    worn = papers.worn(ink(), draw())
    assert (worn <= ink()).all()
    assert float((worn / ink().clamp_min(0.1))[:, 16, 23].min()) > 0.2


def test_light_keeps_the_order_of_ink_and_ground_and_enough_between_them() -> None:
    image = blank()
    image[:, :, 24:] = 1
    papers.lit(image, draw())
    assert float((image[:, :, 24] - image[:, :, 23]).min()) > papers.LEAST_CONTRAST - 0.1


# Strips.


@pytest.fixture(scope="module")
def batches(made: Strips) -> list[StripBatch]:
    """More than two thousand strips: two rounds of sixteen batches."""
    return [made.batch(step, 64) for step in range(32)]


@pytest.fixture(scope="module")
def lines(made: Strips) -> Lines:
    return placed(made.bank, texts(6000, np.random.default_rng(5)), np.random.default_rng(6))


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


def test_the_strength_changes_the_picture_and_not_what_is_written(made: Strips) -> None:
    calm, rough = made.batch(1, 16, 0.0), made.batch(1, 16, 1.0)
    assert calm.texts() == rough.texts()
    assert torch.equal(calm.widths, rough.widths)
    assert not torch.equal(calm.image, rough.image)
    assert float((calm.image == 0).float().mean()) > 0.5
    assert float(calm.image.flatten(1).amax(1)[calm.lengths > 0].min()) > 0.4


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
    batch = made.batch(0, 120, 0.0)
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


def test_thousands_are_grouped_by_three_from_the_decimals_on_and_signs_stand_between_digits(lines: Lines) -> None:
    point, comma = r"\d{1,3}(\.\d{3})*", r"\d{1,3}(,\d{3})*"
    forms = {
        "plain": r"\d+", "grouped": r"\d+", "dashed": r"\d+(-\d+)?", "1.000": point, "1,000": comma,
        "0,00": r"\d+(,\d\d?)?", "0.00": r"\d+(\.\d\d?)?", "1.000,00": rf"{point}(,\d\d?)?",
        "1,000.00": rf"{comma}(\.\d\d?)?",
    }  # fmt: skip
    text = lines.text
    said = [(string_of(row), [*STYLES][style]) for row, style in zip(text.targets, text.style, strict=True)]
    numbers = [one for one in said if one[0]]
    assert [one for one, kind in zip(said, text.kind, strict=True) if kind == texts_module.NUMBER] == numbers
    assert all(re.fullmatch(forms[style], number) for number, style in numbers)
    assert {sum(one.isdigit() for one in number) for number, _ in numbers} == set(range(1, 13))
    assert set("".join(number for number, _ in numbers)) == set(ALPHABET)
    assert len(numbers) / len(said) == pytest.approx(0.86, abs=0.025)


def test_what_stands_around_is_beside_the_number_and_inside_the_strip(lines: Lines) -> None:
    number = np.equal(lines.text.kind, texts_module.NUMBER)
    left, right = lines.left[:, 0], np.where(lines.text.there, lines.right, 0).max(1)
    (begin, before), (after, end) = lines.around[:, 0].T, lines.around[:, 1].T
    assert (begin >= -1e-6).all()
    assert (before[number] <= left[number] + 1e-6).all()
    assert (after[number] >= right[number] - 1e-6).all()
    assert (end <= lines.width + 1e-6).all()
    nothing = lines.text.around == 0
    assert (np.diff(lines.around, axis=2)[..., 0][nothing] == 0).all()


def test_a_digit_begins_two_steps_behind_one_of_its_class(lines: Lines) -> None:
    text, there = lines.text, lines.text.there[:, 1:] & np.equal(lines.text.kind, texts_module.NUMBER)[:, None]
    apart = np.diff(lines.left, axis=1)
    again = there & ((text.digit[:, 1:] == text.digit[:, :-1]) | (text.sign[:, :-1] > 0))
    assert apart[there].min() >= STEP - 1e-6
    assert apart[again].min() >= 2 * STEP - 1e-6


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


def test_classes_have_the_shares_of_their_priors_and_none_is_rare(made_cells: Cells) -> None:
    for prior in PRIORS:
        assert prior.sum() == pytest.approx(1)
        assert prior.min() >= 0.02
        assert len(prior) == len(CELL_CLASSES)
    target = torch.cat([made_cells.batch(step, 64, 0.0).target[:56] for step in range(12)])
    shares = np.bincount(target.numpy(), minlength=14) / len(target)
    assert shares == pytest.approx(PRIORS[0], abs=5 * np.sqrt(0.13 / len(target)))


def test_digits_are_as_high_as_people_write_them_and_most_of_their_ink_is_in_the_box(made_cells: Cells) -> None:
    random, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    made = made_cells.cells(np.arange(300) % 10, BOX_WIDTH, random, generator, 0.0)
    seen: NDArray[np.float32] = made[:, 0].numpy()
    rows = (seen > 0.3 * seen.max((1, 2), keepdims=True)).any(2)
    heights = CELL_HEIGHT - rows[:, ::-1].argmax(1) - rows.argmax(1)  # pixels
    assert 5.5 < np.median(heights) / 3 < 7.5  # mm
    assert np.quantile(heights, 0.1) / 3 < 5.5
    assert seen[:, 3:33, 3:27].sum() > 0.93 * seen.sum()


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

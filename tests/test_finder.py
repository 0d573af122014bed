"""The finder: what perfect maps say comes back as the numbers that were put there, each is cut out as it was pasted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawings import ink_box, line_of
from finding import PITCH, WIDE, Character, Floats, Perfect, number, seen, turned, written
from sumnist.errors import RunError
from sumnist.files import FINDER, NUMBERS
from sumnist.inference import finder
from sumnist.inference.alphabet import CHARACTERS
from sumnist.inference.finder import (
    EM_CUT,
    Finder,
    Found,
    Sight,
    cut,
    distinct,
    in_order,
    numbers_of,
)  # fmt: skip
from sumnist.inference.onnx import with_checksum

TURN = st.floats(-math.pi, math.pi)


def page_of(characters: Sequence[Character], wide: int, high: int) -> Floats:
    """A picture with something where they stand."""
    page = np.full((high, wide), 0.9, np.float32)
    for one in characters:
        reach = 0.35 * one.em
        part = page[
            max(0, int(one.y - reach)) : int(one.y + reach) + 1, max(0, int(one.x - reach)) : int(one.x + reach) + 1
        ]
        part[:] = np.random.default_rng(1).random(part.shape)
    return page


# Where numbers are.


@pytest.mark.parametrize("size", [(40, 50), (200, 130), (1020, 760), (300, 1020)])
@pytest.mark.parametrize("seed", range(3))
def test_numbers_come_back_once_where_they_were_put_whatever_their_size(size: tuple[int, int], seed: int) -> None:
    """One below the other, a third of the larger one's height apart."""
    (wide, high), random = size, np.random.default_rng(seed)
    texts, characters, y, before = list[str](), list[Character](), 0.0, 0.0
    while True:
        em = min(float(np.exp(random.uniform(np.log(8), np.log(300)))), 0.7 * (high - y), wide / 2)
        y += max(em, before) / 3
        if em < 8 or y + em > high:
            break
        count = int(random.uniform(1, min((wide / em - WIDE) / PITCH + 1, 9)))
        text = "".join(map(str, random.integers(0, 10, count).tolist()))
        x = random.uniform(0, wide - (PITCH * (len(text) - 1) + WIDE) * em) + WIDE * em / 2
        characters += written(text, x, y + em / 2, em, first=len(characters))
        texts.append(text)
        y, before = y + em, em
    finder = Perfect(characters)
    found, _ = finder(page_of(characters, *size))
    assert [one.text for one in found] == texts
    got = np.concatenate([one.characters[:4] for one in found], 1)
    assert np.allclose(got.T, [one[:4] for one in characters], atol=0.01)


@pytest.mark.parametrize(("sign", "below"), [(",", 0.45), (".", 0.45), ("'", -0.4)])
@pytest.mark.parametrize("angle", [0.0, 1.5])
def test_a_comma_that_passes_for_a_one_where_it_is_looked_at_larger_is_a_comma(
    sign: str, below: float, angle: float
) -> None:
    line = written(f"1{sign}48", 200, 200, 90, angle)
    x, y = line[1].x - below * 90 * math.sin(angle), line[1].y + below * 90 * math.cos(angle)
    characters = seen([*line, *written("1", x, y, 30, angle, first=4)])
    assert len(distinct([characters]).x) == 4
    assert len(distinct([seen([*line[:1], *line[2:], *written("1", x, y, 30, angle, first=3)])]).x) == 4


@settings(max_examples=60, deadline=None)
@given(TURN, st.floats(8, 100), st.text("0123456789", min_size=1, max_size=7))
def test_a_turned_number_has_its_corners_around_it_within_a_pixel(angle: float, em: float, text: str) -> None:
    found = number(text, 500, 400, em, angle)
    line = PITCH * em * (len(text) - 1)
    half, high = WIDE * em / 2, em / 2
    around = [(-half, -high), (line + half, -high), (line + half, high), (-half, high)]
    turned = np.array(around) @ [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]] + (500, 400)
    assert found.text == text
    assert found.em == pytest.approx(em)
    assert math.cos(found.angle - angle) == pytest.approx(1, abs=1e-4)
    away = found.corners - turned  # outwards: some room is left
    middle = turned - turned.mean(0)
    assert ((away * middle).sum(1) >= -1).all()
    assert np.hypot(*away.T).max() <= 1 + 0.1 * em


@pytest.mark.parametrize("quarters", range(4))
def test_a_picture_that_was_turned_is_looked_at_upright_and_numbers_stand_where_they_do_on_it(quarters: int) -> None:
    characters, (wide, high) = (
        [*written("12", 60, 50, 30, 0.1), *written("345", 150, 100, 30, 0.1, first=2)],
        (300, 200),
    )
    page, corners = page_of(characters, wide, high), [number("12", 60, 50, 30, 0.1).corners]
    for _ in range(quarters):
        characters, page = turned(characters, page.shape[1]), np.ascontiguousarray(np.rot90(page))
        corners = [np.stack([one[:, 1], page.shape[0] - one[:, 0]], 1) for one in corners]
    found, sight = Perfect(characters)(page)
    assert [one.text for one in found] == ["12", "345"]
    place, angle = sight.placed(found[0])
    assert np.allclose(place, corners[0], atol=0.1)
    assert math.cos(angle - 0.1 + quarters * math.pi / 2) == pytest.approx(1, abs=1e-4)
    assert sight.grey.shape == (high, wide)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi])
def test_two_lines_do_not_link_though_all_point_a_little_astray(angle: float, seed: int) -> None:
    one = written("12345", 300, 300, 20, angle)
    below = 300 - 24 * math.sin(angle), 300 + 24 * math.cos(angle)
    characters = seen([*one, *written("67890", *below, 20, angle, first=5)])
    astray = np.random.default_rng(seed).uniform(-6, 6, (2, 10)).astype(np.float32)
    found = numbers_of(characters._replace(next_x=characters.next_x + astray[0], next_y=characters.next_y + astray[1]))
    assert sorted(number.text for number in found) == ["12345", "67890"]


def test_only_what_goes_on_ahead_in_the_same_size_is_one_number_and_what_has_no_digits_is_none() -> None:
    one, small, back = written("12", 100, 100, 40), written("3", 164, 100, 10), written("4", 68, 100, 40)
    for other, texts in ((written("3", 164, 100, 40), ["123"]), (small, ["12", "3"]), (back, ["12", "4"])):
        pointing = [one[0], one[1]._replace(following=2), *other]
        assert sorted(found.text for found in numbers_of(seen(pointing))) == texts
    ring = [each._replace(following=place) for each, place in zip(written("12", 100, 100, 40), (1, 0), strict=True)]
    assert [found.text for found in numbers_of(seen(ring))] == ["12"]
    assert [found.text for found in numbers_of(seen(written("??7", 9, 9, 20)))] == []
    assert [found.text for found in numbers_of(seen(written("-+", 9, 9, 20)))] == []
    assert [found.text for found in numbers_of(seen(written("-7?4", 9, 9, 20)))] == ["-7?4"]


def test_a_word_is_no_part_of_the_number_beside_it_nor_are_few_digits_among_letters_a_number() -> None:
    for text, texts in (("????123", ["123"]), ("928????80079", ["80079", "928"]), ("??0??", []), ("???12", [])):
        assert sorted(found.text for found in numbers_of(seen(written(text, 9, 9, 20)))) == texts
    far = [*written("???", 9, 9, 20), *written("12", 9 + 3.6 * 16, 9, 20, first=3)]
    far[2] = far[2]._replace(following=3)
    assert [found.text for found in numbers_of(seen(far))] == ["12"]


@pytest.mark.parametrize(
    ("before", "gap", "texts", "suspect"),
    [("82", 0.4, ["82529"], False), ("82", 0.9, ["82", "529"], True), ("82", 1.3, ["82", "529"], False),
     ("8213", 0.9, ["8213", "529"], False)],
)  # fmt: skip
def test_three_digits_behind_a_gap_go_on_the_thousands_before_it_or_leave_both_in_doubt(
    before: str, gap: float, texts: list[str], suspect: bool
) -> None:
    em, behind = 30, 60 + 30 * (PITCH * (len(before) - 1) + WIDE + 2 * finder.FRAME + gap)
    characters = [*written(before, 60, 100, em), *written("529", behind, 100, em, first=len(before))]
    found, _ = Perfect(characters)(page_of(characters, 420, 330))
    assert [(one.text, one.suspect) for one in found] == [(text, suspect) for text in texts]


GRID = [(x, y) for y in (60, 100, 140) for x in (50, 150, 250)]
COLUMNS = [(50, 60), (250, 62), (50, 100), (250, 101), (50, 140), (250, 138)]
STAIRS = [(250, 60), (50, 82), (250, 104), (50, 126)]


@pytest.mark.parametrize("angle", [0.0, 1.3, -2.5])
@pytest.mark.parametrize(
    ("along", "down", "sign", "suspect"),
    [(-0.8, 0.0, "-", True), (-0.7, 0.4, ".", True), (1.2, 0.4, ".", True), (2.6, 0.1, "%", True),
     (0.4, 0.4, ",", True), (-0.8, 0.0, "=", False), (2.2, 0.4, ".", False), (-2.5, 0.0, "-", False),
     (0.8, 1.2, "-", False), (-0.8, 0.0, "7", False)],
)  # fmt: skip
def test_a_sign_that_is_hardly_seen_where_it_would_change_a_number_leaves_that_in_doubt_and_is_no_part_of_it(
    angle: float, along: float, down: float, sign: str, suspect: bool
) -> None:
    ways = math.cos(angle), math.sin(angle)

    def placed(text: str, along: float, down: float) -> list[Character]:
        """A text at a place by the height of a digit, from the middle of the first digit."""
        place = 300 + 40 * (along * ways[0] - down * ways[1]), 300 + 40 * (along * ways[1] + down * ways[0])
        return written(text, *place, 40, angle)

    faint = seen([*placed("123", 0, 0), *placed(sign, along, down), *placed("8", 6, 0)])  # middles at 0, 0.8 and 1.6
    faint = faint._replace(seen=np.array([1, 1, 1, 0.22, 1], np.float32))
    found = {one.text: one.suspect for one in numbers_of(faint)}
    assert found == {"123": suspect, "8": False}


@pytest.mark.parametrize(("gap", "sign", "suspect"), [(0.3, "", True), (1.0, "", False), (1.0, ".", True)])
def test_two_numbers_so_near_that_they_may_be_one_are_both_in_doubt_and_so_is_one_with_a_point_before_the_other(
    gap: float, sign: str, suspect: bool
) -> None:
    start = 100 + 40 * (0.8 + 0.3 + gap + 0.3)
    characters = [*written("12", 100, 100, 40), *written("50", start, 100, 40, first=2)]
    if sign:
        characters += written(sign, 100 + 40 * 1.4, 116, 40, first=4)
    found = {one.text: one.suspect for one in numbers_of(seen(characters))}
    assert found["12"] == suspect
    assert found["50"] == suspect


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2, -2.5])
@pytest.mark.parametrize("places", [GRID, COLUMNS, STAIRS])
def test_numbers_are_in_reading_order_however_the_page_is_turned(places: list[tuple[int, int]], angle: float) -> None:
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    at = (np.array(places) @ turn).tolist()
    found = [number(str(10 + place), x, y, 20, angle) for place, (x, y) in enumerate(at)]
    mixed = [found[place] for place in np.random.default_rng(0).permutation(len(found))]
    assert [one.text for one in in_order(mixed)] == [one.text for one in found]
    assert in_order([]) == []


# A number as a strip.


def pasted(text: str, em: float, angle: float, dark: bool, below: str = "") -> tuple[Sight, Found, Floats]:
    """A picture of a line of test digits on a page with a shadow, with another line `below` and a stroke of ink that is
    no number's, what was found, and the ink of the line alone: light on dark, digits of 20 pixels."""
    ink, characters, strips = np.zeros((300, 400), np.float32), list[Character](), []
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    for place, line in enumerate(filter(None, (text, below))):
        strip = 1 - line_of(line).astype(np.float32) / np.float32(255)
        start = np.array([200, 130]) + turn @ (np.array([-10 * (len(text) - 1), 23 * place]) * em / 20)  # is (26, 26)
        back = turn.T * 20 / em
        matrix = np.column_stack([back, np.array([26, 26]) - back @ start]).ravel().tolist()
        moved = Image.fromarray(strip).transform((400, 300), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
        ink = np.maximum(ink, np.asarray(moved).clip(0, 1))
        for i, one in enumerate(written(line, 0, 0, em, angle, first=len(characters))):
            top, bottom, left, right = ink_box(strip[:, 16 + 20 * i : 36 + 20 * i] > 0.05)
            x, y = start + turn @ (np.array([20 * i + (left + right) / 2 - 10, (top + bottom) / 2 - 26]) * em / 20)
            characters.append(one._replace(x=x, y=y, width=(right - left) * em / 20))
        strips.append(strip)
    page = ink.copy()
    stroke = np.array([200, 130]) + turn @ (0, -0.72 * em)
    down, across = np.mgrid[:300, :400] + 0.5
    page[np.hypot(across - stroke[0], down - stroke[1]) < 0.1 * em] = 1
    shadow = 0.6 + 0.3 * across / 400
    grey = shadow - 0.4 * page if dark else 0.9 - shadow / 2 + 0.4 * page
    every = seen(characters)
    found = sorted(numbers_of(every), key=lambda one: one.text != text)
    return Sight(grey.astype(np.float32), np.rint(255 * ink).astype(np.uint8), 1.0, every), found[0], strips[0]


def of_ink(strip: Floats) -> Floats:
    """A strip cropped to its ink."""
    top, bottom, left, right = ink_box(strip > 0.4)
    return np.ascontiguousarray(strip[top:bottom, left:right])


def alike(strip: Floats, wanted: Floats) -> float:
    """The correlation of a strip, in the size of what is wanted, with that."""
    found = Image.fromarray(of_ink(strip)).resize(wanted.shape[::-1], Image.Resampling.BILINEAR)
    return float(np.corrcoef(np.asarray(found).ravel(), wanted.ravel())[0, 1])


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize(("text", "em", "angle"), [("7", 60, 0.4), ("4096", 30, -2.2), ("58", 12, math.pi)])
def test_a_number_is_cut_out_upright_as_it_was_pasted_without_other_ink(
    text: str, em: float, angle: float, dark: bool
) -> None:
    sight, found, strip = pasted(text, em, angle, dark, below="31")
    piece = cut(sight, found)
    assert piece.dark == dark
    wanted = of_ink(strip)
    scale = min(EM_CUT, 2 * em) / 20
    assert np.array(of_ink(piece.alone).shape) == pytest.approx(scale * np.array(wanted.shape), abs=3)
    similar = alike(piece.alone, wanted)
    assert similar > 0.8
    assert piece.image.shape == piece.alone.shape
    assert (piece.image >= piece.alone).all()
    assert piece.image.max() <= 1


# The file.


def changed(**metadata: str) -> bytes:
    """The file of the network that ships, with other metadata."""
    model = onnx.load(FINDER)
    for entry in model.metadata_props:
        entry.value = metadata.get(entry.key, "0" * 64 if entry.key == "sha256" else entry.value)
    return with_checksum(model.SerializeToString())


def test_a_file_of_another_network_or_one_that_answers_with_no_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected a network of pages"):
        Finder(NUMBERS)
    with pytest.raises(RunError, match="expected a network of pages"):
        Finder(changed(characters="0123456789"))
    assert Finder(changed()).metadata["characters"] == CHARACTERS
    (tmp_path / "cut.onnx").write_bytes(FINDER.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"cut\.onnx: damaged"):
        Finder(tmp_path / "cut.onnx")


@pytest.mark.parametrize("shape", [(8, 1), (1, 1024), (28, 28), (1024, 1024)])
def test_a_picture_of_any_shape_is_looked_at_and_on_a_blank_one_there_is_nothing(shape: tuple[int, int]) -> None:
    for grey in (np.ones(shape, np.float32), np.zeros(shape, np.float32)):
        assert Finder()(grey)[0] == []
    for one in Finder()(np.random.default_rng(0).random(shape, dtype=np.float32))[0]:
        assert np.isfinite(one.corners).all()

"""The pictures of the suites: whose they are, which half they are in, that each is a function of its place, and what
corruptions do. By `test_drawn_alike` none of them moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from io import BytesIO
from string import ascii_letters
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from drawings import TEST
from lab.suites import digits, photographs, strips
from lab.suites.corruptions import CORRUPTIONS, Chance, blurred, canny_edges, corrupted
from lab.suites.digits import HALVES, Half, font_digits, generator, mnist_half, small_digits, writers_of
from lab.suites.out_of_distribution import LOOK_ALIKES, OUT_OF_DISTRIBUTION, letters, noise, scribbles
from lab.suites.photographs import KINDS, Scene, scene, scenes
from lab.suites.strips import NO_NUMBERS, SPACINGS, STRINGS, strings
from sumnist.data.mnist import load_mnist
from sumnist.data.sampling import hold_out
from sumnist.errors import ConfigError

IMAGES = TEST.images[:40]
FEW = 6
PLACED: dict[str, Callable[[Half, int], Any]] = {
    "cells": lambda half, count: digits.drawn_cells(IMAGES[:count], HALVES.index(half)),
    "photographs": lambda half, count: photographs.photographs(list(IMAGES[:count]), HALVES.index(half)),
    "scribbles": scribbles, "noise": noise,
    "scenes": lambda half, count: scenes(half, "card", count).pictures,
    "strings": lambda half, count: strings(half, 4, "close", count).pictures,
    **{name: make for name, make in NO_NUMBERS.items() if name != "blank"},
}  # fmt: skip


def opened(picture: object) -> NDArray[np.uint8]:
    """A picture as grey levels."""
    if isinstance(picture, bytes):
        return np.asarray(Image.open(BytesIO(picture)).convert("L"))
    assert isinstance(picture, np.ndarray)
    return picture


@pytest.mark.parametrize("name", PLACED)
def test_what_is_drawn_depends_on_half_and_place_and_not_on_how_many_there_are(name: str) -> None:
    asked: tuple[tuple[Half, int], ...] = ("development", 3), ("development", 5), ("reported", 3)
    few, more, others = ([opened(one) for one in PLACED[name](*given)] for given in asked)
    assert all(map(np.array_equal, few, more[:3]))
    assert (len(few), len(more)) == (3, 5)
    assert not any(map(np.array_equal, few, others))
    assert not np.array_equal(few[0], few[1])
    assert all(np.ptp(picture) > 70 for picture in (*more, *others))


# Digits, and what is none.


def test_the_halves_of_mnist_are_held_out_training_images_and_the_test_set() -> None:
    train, test = load_mnist("train"), load_mnist("test")
    held_out = hold_out(train.digits, 5000)[1]
    np.testing.assert_array_equal(mnist_half("development", 50).images, train.images[held_out[:50]])
    np.testing.assert_array_equal(mnist_half("reported", 50).images, test.images[:50])
    assert [len(mnist_half(half)) for half in HALVES] == [5000, 10_000]


def test_the_halves_of_scikit_learns_digits_are_the_first_898_and_the_rest() -> None:
    development, reported = (small_digits(half) for half in HALVES)
    assert (len(development), len(reported)) == (898, 899)
    assert development.digits[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]  # as the file begins
    levels = np.concatenate([opened(one) for one in (*development.pictures, *reported.pictures)])
    assert (len(np.unique(levels)), levels.min(), levels.max()) == (17, 0, 255)


def test_every_writer_is_in_one_half_with_every_digit_as_often_dark_on_light_and_not_cut() -> None:
    development, reported = (set(writers_of(half)) for half in HALVES)
    assert not development & reported
    assert development | reported == set(digits.WRITERS)
    for fonts, writers in ((font_digits(half), writers_of(half)) for half in HALVES):
        pairs = list(zip(fonts.writers, fonts.digits.tolist(), strict=True))
        assert {pairs.count(pair) for pair in set(pairs)} == {8}
        assert {writer for writer, _ in pairs} == set(writers)
        for one in map(opened, fonts.pictures):
            assert set(one.shape) <= set(range(40, 161))
            edge = np.concatenate([one[0], one[-1], one[:, 0], one[:, -1]])
            assert edge.min() == edge.max() == one.max()
            assert one.min() < 130


@pytest.mark.parametrize("name", OUT_OF_DISTRIBUTION)
def test_no_out_of_distribution_picture_is_in_both_halves(name: str) -> None:
    make: Callable[..., Any] = OUT_OF_DISTRIBUTION[name]
    count = (12,) if name in ("scribbles", "noise", "blank") else ()
    made = [[opened(one) for one in make(half, *count)] for half in HALVES]
    development, reported = ({one.tobytes() for one in pictures if np.ptp(one)} for pictures in made)
    assert len(development) > 10
    assert not development & reported
    for one in made[0]:
        assert min(one.shape) >= 28
        assert name == "blank" or np.ptp(one) > 60


def test_letters_are_those_that_look_like_no_digit() -> None:
    assert set(LOOK_ALIKES) == set("OoIliSsZzBbgqDUTy")
    for half in HALVES:
        capitals = sum(writer.startswith("Because") for writer in writers_of(half))
        count = 52 * (len(writers_of(half)) - capitals) + 26 * capitals
        assert len(letters(half)) + len(OUT_OF_DISTRIBUTION["look-alikes"](half)) == count
        assert set(digits.characters(half, ascii_letters)[1]) == set(ascii_letters)
    assert [len(OUT_OF_DISTRIBUTION["clothes"](half)) for half in HALVES] == [400, 800]


def test_an_unknown_half_or_kind_of_scene_is_an_error() -> None:
    message = r"^half 'test': unknown, expected development \(to choose by\) or reported \(looked at once\)$"
    for function in (writers_of, small_digits, letters, scribbles, noise, mnist_half, partial(scenes, kind="note")):
        with pytest.raises(ConfigError, match=message):
            function(cast("Half", "test"))
    message = r"^kind 'table': unknown, expected one of desk along an edge, corner, all round, note, card$"
    with pytest.raises(ConfigError, match=message):
        scenes("development", "table", 1)


# Crops, cells, photographs and scenes.


@pytest.mark.parametrize("scale", [1, 6])
def test_tight_crops_have_ink_on_all_four_sides_and_lose_none_and_dark_ones_are_their_complement(scale: int) -> None:
    light, dark = digits.tight_crops(IMAGES, scale), digits.tight_crops(IMAGES, scale, dark=True)
    for image, crop, other in zip(IMAGES, light, dark, strict=True):
        np.testing.assert_array_equal(255 - crop, other)
        assert min(int(np.rot90(crop, turn)[0].max()) for turn in range(4)) >= (40 if scale > 1 else 64)
        rows, columns = np.flatnonzero((image >= 64).any(1)), np.flatnonzero((image >= 64).any(0))
        assert crop.shape == (scale * (np.ptp(rows) + 1), scale * (np.ptp(columns) + 1))
        if scale == 1:
            np.testing.assert_array_equal(crop, image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def test_cells_and_photographs_are_of_many_sizes_and_photographs_are_jpeg_in_colour() -> None:
    cells = digits.drawn_cells(IMAGES, 3)
    assert all(40 <= len(one) < 120 and 0.8 * len(one) - 1 <= one.shape[1] <= 1.5 * len(one) for one in cells)
    assert len({picture.shape for picture in cells}) > 20
    taken = [Image.open(BytesIO(one)) for one in photographs.photographs(list(IMAGES[:8]), seed=1)]
    assert {(one.format, one.mode) for one in taken} == {("JPEG", "RGB")}
    assert all(200 <= side <= 600 for one in taken for side in one.size)
    assert len({one.size for one in taken}) > 4


@cache
def some_scenes(half: Half, kind: str) -> list[Scene]:
    return [scene(half, kind, place) for place in range(3)]


def inside(quadrilateral: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels `[H, W]` of a picture of this `size` that lie in the quadrilateral."""
    mask = Image.new("1", size)
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in quadrilateral], fill=1)
    return np.asarray(mask)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("half", HALVES)
def test_a_scene_shows_as_much_of_its_sheet_as_its_kind_says_and_the_digit_in_its_box(half: Half, kind: str) -> None:
    corners_seen = {"desk along an edge": 0, "corner": 1}.get(kind, 4)
    for one in some_scenes(half, kind):
        picture = Image.open(BytesIO(one.picture))
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert 600 <= max(picture.size) <= 1600
        assert min(picture.size) >= 9 / 16 * max(picture.size) - 1
        assert ((one.sheet > 0) & (one.sheet < picture.size)).all(1).sum() == corners_seen
        on_sheet = inside(one.sheet, picture.size)
        assert on_sheet.any()
        assert not on_sheet.all()
        left, top, right, bottom = one.box
        assert 0 < left < right < picture.width
        assert 0 < top < bottom < picture.height
        shorter = min(np.hypot(*(one.sheet[i] - one.sheet[i - 1])) for i in range(4))
        assert 25 < max(right - left, bottom - top) < 0.6 * shorter  # 0.45 of it, turned and seen aslant
        middle = np.array([left + right, top + bottom]) / 2
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        assert on_sheet[inside((middle + corners) / 2, picture.size)].all()
        # The ink is darker than the paper at the top and at the bottom of the box.
        box = np.asarray(picture.convert("L").crop((round(left), round(top), round(right), round(bottom))), float)
        assert np.percentile(box, 2) < 0.85 * np.median(box[[0, -1]])


def test_ten_scenes_in_a_row_show_ten_digits_in_the_ink_of_four_three_and_three() -> None:
    assert scenes("development", "card", 3).digits.tolist() == [
        one.digit for one in some_scenes("development", "card")
    ]  # fmt: skip
    for half, start in ((half, start) for half in HALVES for start in (0, 10, 50)):
        random = generator(1, "ink", start)
        written = [photographs.written_at(half, place, random) for place in range(start, start + 10)]
        assert sorted(digit for digit, _ in written) == list(range(10))
        longer = [max(ink.shape) for _, ink in written]  # 8 pixels at most, 20 in MNIST's images, many in a font's
        assert sum(side <= 8 for side in longer) == 3
        assert sum(8 < side <= 20 for side in longer) == 4


def test_the_reported_half_has_desks_of_its_own() -> None:
    development, reported = (set(photographs.DESKS[half]) for half in HALVES)
    assert {"cloth", "cork", "stone"} <= reported - development
    assert {one.desk for kind in KINDS for one in some_scenes("development", kind)} <= development | {"paper"}


# Strings of digits, and what is no number.


def test_the_halves_have_other_test_images_and_together_all() -> None:
    test, parts = load_mnist("test"), [strips.half_of_test(half) for half in HALVES]
    assert [len(part) for part in parts] == [5000, 5000]
    np.testing.assert_array_equal(parts[0].images[:100], test.images[:100])
    np.testing.assert_array_equal(parts[1].images[:100], test.images[100:200])
    np.testing.assert_array_equal(parts[0].digits[100:200], test.digits[200:300])


@pytest.mark.parametrize("half", HALVES)
def test_the_same_digits_are_there_in_all_spacings(half: Half) -> None:
    made = [strings(half, 4, spacing, FEW) for spacing in SPACINGS]
    assert made[0].texts == made[1].texts == made[2].texts
    widths = [np.mean([strip.shape[1] for strip in one.pictures]) for one in made]
    assert widths[0] > widths[1] > widths[2]


def test_strings_have_one_to_twelve_digits_and_only_zero_begins_with_a_zero() -> None:
    assert list(STRINGS) == list(range(1, 13))
    assert set(strings("reported", 1, "spaced", 200).texts) == set("0123456789")
    for count in (2, 12):
        texts = strings("reported", count, "spaced", 100).texts
        assert {len(text) for text in texts} == {count}
        assert "0" not in {text[0] for text in texts}
        assert "0" in {text[1] for text in texts}


def test_the_words_of_the_halves_are_others_and_look_like_no_numbers() -> None:
    assert strips.COUNTS.keys() == NO_NUMBERS.keys()
    development, reported = (strips.VOCABULARY[half].split() for half in HALVES)
    assert not set(development) & set(reported)
    for written in (form for word in (*development, *reported) for form in (word.lower(), word.upper())):
        assert 2 * sum(letter not in LOOK_ALIKES for letter in written) >= len(written), written


# Corruptions: what each of them does, by oracles of its own.

COUNT = 60
PUBLISHED_MIB = {
    "shot_noise": 15.05, "impulse_noise": 24.61, "glass_blur": 35.91, "motion_blur": 32.45, "shear": 27.73,
    "scale": 17.41, "rotate": 27.09, "brightness": 20.52, "translate": 20.88, "stripe": 23.09, "fog": 35.76,
    "spatter": 29.67, "dotted_line": 24.45, "zigzag": 25.91, "canny_edges": 13.23,
}  # fmt: skip
"""The 70,000 images of the published data set, each a PNG in a record (TensorFlow Datasets, `mnist_corrupted`)."""
PUBLISHED_CLEAN_MIB = 21.00


SOME = load_mnist("train").images[:COUNT]


def middle_of_mass(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Column and row, from the middle of the image."""
    levels, places = image / image.sum(), np.arange(28) - 13.5
    return np.array([levels.sum(0) @ places, levels.sum(1) @ places])


def png_bytes(images: NDArray[np.uint8]) -> float:
    """The mean size of the images as PNG files: it tells how much noise, blur and ink they have."""
    streams = [BytesIO() for _ in images]
    for image, stream in zip(images, streams, strict=True):
        Image.fromarray(image).save(stream, "PNG")
    return sum(stream.tell() for stream in streams) / len(images)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_images_take_as_many_bytes_as_the_published_ones_and_each_is_another(name: str) -> None:
    images = load_mnist("train").images[:1000]
    after = corrupted(name, images)
    assert after.shape == images.shape
    assert after.dtype == np.uint8
    assert (after != images).any((1, 2)).all()
    growth = png_bytes(after) - png_bytes(images)  # what a record holds besides cancels out
    published = (PUBLISHED_MIB[name] - PUBLISHED_CLEAN_MIB) * 2**20 / 70_000
    assert growth == pytest.approx(published, abs=8)  # of 180 to 500


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_alike_in_any_company_and_otherwise_by_another_seed(name: str) -> None:
    whole, by_chance = corrupted(name, SOME, 3), name not in ("scale", "brightness", "stripe", "canny_edges")
    np.testing.assert_array_equal(corrupted(name, SOME[:7], 3), whole[:7])
    assert (corrupted(name, SOME, 4) != whole).any() == by_chance


def test_an_unknown_corruption_is_an_error() -> None:
    assert list(CORRUPTIONS) == list(PUBLISHED_MIB)
    with pytest.raises(ConfigError, match=r"^corruption 'snow': unknown, expected one of shot_noise, impulse_noise, "):
        corrupted("snow", np.zeros((1, 28, 28), np.uint8))


def test_shot_noise_counts_photons_and_impulses_are_17_percent_half_of_them_white() -> None:
    grey = np.full((100, 28, 28), 102, np.uint8)  # 0.4 of white: a mean of 1.2 photons
    counts = np.rint(corrupted("shot_noise", grey) / 85).astype(int)  # at most 3
    share = np.bincount(counts.ravel(), minlength=4) / counts.size
    poisson = [math.exp(-1.2) * 1.2**k / math.factorial(k) for k in range(3)]
    np.testing.assert_allclose(share, [*poisson, 1 - sum(poisson)], atol=0.006)
    after = corrupted("impulse_noise", grey)
    assert [np.mean(after == level) for level in (0, 255)] == pytest.approx([0.085] * 2, abs=0.004)


def test_glass_blur_scatters_ink_to_neighbours_keeps_it_and_softens_columns_alone() -> None:
    bar = np.zeros((200, 28, 28), np.uint8)
    bar[:, 10:18, 13:15] = 255
    mean = corrupted("glass_blur", bar).mean(0)
    assert mean.sum() == pytest.approx(bar[0].sum(), rel=0.03)
    assert mean[:, 11:17].sum() > 0.9 * mean.sum()  # most of it stays within two pixels
    assert mean[:, 13:15].sum() < 0.7 * mean.sum()  # and much of it leaves its column
    lying = np.ascontiguousarray(np.swapaxes(bar, 1, 2))  # which loses more
    assert corrupted("glass_blur", lying).max((1, 2)).mean() < corrupted("glass_blur", bar).max((1, 2)).mean()


def test_motion_blur_smears_to_one_side_and_keeps_the_ink() -> None:
    after = corrupted("motion_blur", SOME)
    np.testing.assert_allclose(after.sum((1, 2)), SOME.sum((1, 2), dtype=float), rtol=0.03)
    moved = [middle_of_mass(new)[0] - middle_of_mass(old)[0] for new, old in zip(after, SOME, strict=True)]
    # A half Gaussian of spread 3 has its middle at about 2.1 pixels; cos 45° to cos 0° of that is to the left.
    assert -2.4 < min(moved) <= max(moved) < -1.2


@pytest.mark.parametrize(("name", "slope"), [("rotate", math.tan(0.4)), ("shear", math.sin(0.4))])
def test_rotate_and_shear_slant_an_upright_line_as_stated(name: str, slope: float) -> None:
    line = np.zeros((20, 28, 28), np.uint8)
    line[:, 6:22, 13:15] = 255
    rows, after = np.arange(10, 18), corrupted(name, line)[:, 10:18]
    columns = (after * np.arange(28.0)).sum(2) / after.sum(2)
    found = {round(float(np.polyfit(rows, one, 1)[0]), 2) for one in columns}
    assert sorted(found) == pytest.approx([-slope, slope], abs=0.02)


def test_scale_shrinks_to_seventy_percent_and_brightness_adds_half_of_white() -> None:
    square = np.zeros((1, 28, 28), np.uint8)
    square[:, 4:24, 4:24] = 255
    after = corrupted("scale", square)
    assert after.sum() / square.sum(dtype=float) == pytest.approx(0.49, abs=0.005)
    np.testing.assert_allclose(middle_of_mass(after[0]), 0, atol=1e-6)
    np.testing.assert_allclose(corrupted("brightness", SOME), np.minimum(SOME + 127.5, 255), atol=0.51)


def test_translate_moves_every_pixel_three_to_a_side_and_stripe_inverts_seven_columns_on_either_side() -> None:
    padded = np.pad(SOME, ((0, 0), (3, 3), (3, 3)))
    ways = {(y, x): padded[:, 3 - y : 31 - y, 3 - x : 31 - x] for y in (-3, 3) for x in (-3, 3)}
    after = corrupted("translate", SOME)
    found = [[way for way, moved in ways.items() if np.array_equal(after[i], moved[i])] for i in range(COUNT)]
    assert all(len(way) == 1 for way in found)
    assert {way[0] for way in found} == set(ways)
    outer = (np.arange(28) < 7) | (np.arange(28) > 20)
    np.testing.assert_array_equal(corrupted("stripe", SOME), np.where(outer, 255 - SOME, SOME))


def test_fog_leaves_a_quarter_of_the_contrast() -> None:
    after = corrupted("fog", SOME).astype(float)
    assert not corrupted("fog", np.zeros_like(SOME)).any()  # as bright as before: black stays black
    only = np.zeros_like(SOME)
    only[:, 0, 0] = brightest = SOME.max((1, 2))  # the same brightness, so the same fog, without the digit
    digit, share = after - corrupted("fog", only), brightest / (brightest + 3 * 255.0)
    np.testing.assert_allclose(digit[:, 1:], SOME[:, 1:] * share[:, None, None], atol=1.01)


def test_what_is_drawn_on_black_are_grey_drops_every_other_two_columns_of_a_line_and_a_zigzag_that_turns() -> None:
    black = np.zeros_like(SOME)
    drops = corrupted("spatter", black)
    assert drops[drops > 0].min() >= 0.8 * 63 - 1
    assert drops.max() == 63
    assert 0.05 < np.mean(drops > 0) < 0.35
    dotted = [column // 2 % 2 == 1 and column < 27 for column in range(28)]
    np.testing.assert_array_equal(corrupted("dotted_line", black).max(1) > 0, np.tile(dotted, (COUNT, 1)))
    for image in corrupted("zigzag", black).astype(float):
        columns = np.flatnonzero(image.any(0))
        assert 1 <= columns.min() < columns.max() <= 25
        rows = (image * np.arange(28)[:, None]).sum(0)[columns] / image.sum(0)[columns]
        if rows.min() > 6 and rows.max() < 21:  # not cut by the border
            assert np.count_nonzero(np.diff(np.sign(np.diff(rows)))) >= 4


def test_the_edges_of_a_square_are_its_outline_and_a_blurred_point_is_a_gaussian() -> None:
    square, point = np.zeros((2, 1, 28, 28))
    square[:, 8:20, 8:20] = point[0, 14, 14] = 1
    found = canny_edges(square, Chance(0, "test", [0]))[0]
    assert 30 <= found.sum() <= 60
    assert not found[11:17, 11:17].any()  # nothing inside, nothing far outside
    assert not found[:6].any()
    np.testing.assert_array_equal(found, found.T)
    after = blurred(point, 1.5)[0]
    assert after.sum() == pytest.approx(1)
    assert after[14, 16] / after[14, 14] == pytest.approx(math.exp(-0.5 * (2 / 1.5) ** 2))


def test_chance_is_uniform_and_normal_and_of_each_image_its_own() -> None:
    chance = Chance(0, "test", np.arange(2000))
    uniform, normal = chance.uniform(50), chance.normal(50)
    assert (uniform.mean(), uniform.var()) == pytest.approx((0.5, 1 / 12), abs=0.003)
    assert (normal.mean(), normal.std()) == pytest.approx((0, 1), abs=0.01)
    assert abs(np.corrcoef(uniform[:-1].ravel(), uniform[1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(uniform[:, 0], uniform[:, 1])[0, 1]) < 0.07
    assert len(np.unique(uniform)) == uniform.size
    alone = Chance(0, "test", [1234])
    np.testing.assert_array_equal([alone.uniform(50)[0], alone.normal(50)[0]], [uniform[1234], normal[1234]])
    for other in (Chance(0, "other", [1234]), Chance(1, "test", [1234])):
        assert (other.uniform(50) != uniform[1234]).all()
    assert set(Chance(1, "test", np.arange(3000)).whole(-5, 5).tolist()) == set(range(-5, 5))

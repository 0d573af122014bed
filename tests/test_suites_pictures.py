"""The pictures of the suites: whose they are, which half they are in, and that they are the same every time."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from io import BytesIO
from string import ascii_letters
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sumnist.data.mnist import DigitSet
from sumnist.errors import ConfigError
from sumnist.lab.suites.archive import HALVES, TARGET, WRITERS, Half, stored_images, writers_of
from sumnist.lab.suites.chance import generator
from sumnist.lab.suites.digits import characters, font_digits, ink_of, small_digits
from sumnist.lab.suites.out_of_distribution import (
    LOOK_ALIKES,
    OUT_OF_DISTRIBUTION,
    blanks,
    letters,
    look_alikes,
    noise,
    scribbles,
)
from sumnist.lab.suites.photographs import blank_photographs, photographs, strokes
from sumnist.lab.suites.scenes import DESKS, KINDS, Scene, scene, scenes, written_at


def opened(picture: object) -> NDArray[np.uint8]:
    """A picture as grey levels."""
    if isinstance(picture, bytes):
        return np.asarray(Image.open(BytesIO(picture)).convert("L"))
    assert isinstance(picture, np.ndarray)
    return picture


def test_the_archive_is_small() -> None:
    assert TARGET.stat().st_size < 1_500_000


def test_the_notice_names_every_writer_and_lies_beside_the_archive() -> None:
    notice = TARGET.with_name("NOTICE-SUITES.txt").read_text(encoding="utf-8")
    for writer in WRITERS:
        assert writer.removeprefix("Because We ") in notice
    assert "CC BY 4.0" in notice


def test_the_halves_of_scikit_learns_digits_are_the_first_898_and_the_rest() -> None:
    development, reported = (small_digits(half) for half in HALVES)
    assert (len(development), len(reported)) == (898, 899)
    assert development.digits[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]  # as the file begins
    levels = np.concatenate([opened(one) for one in (*development.pictures, *reported.pictures)])
    assert len(np.unique(levels)) == 17
    assert (levels.min(), levels.max()) == (0, 255)


def test_no_writer_is_in_both_halves_and_each_is_in_one() -> None:
    assert list(WRITERS) == sorted(WRITERS, key=str.lower)
    development, reported = (set(writers_of(half)) for half in HALVES)
    assert not development & reported
    assert development | reported == set(WRITERS)
    for half in HALVES:
        assert set(font_digits(half).writers) == set(writers_of(half))


@pytest.mark.parametrize("half", HALVES)
def test_every_writer_has_every_digit_as_often(half: Half) -> None:
    fonts = font_digits(half)
    pairs = list(zip(fonts.writers, fonts.digits.tolist(), strict=True))
    assert {pairs.count(pair) for pair in pairs} == {8}
    assert len(set(pairs)) == 10 * len(writers_of(half))


@pytest.mark.parametrize("half", HALVES)
def test_font_digits_are_dark_on_light_of_many_sizes_and_not_cut(half: Half) -> None:
    pictures = [opened(one) for one in font_digits(half).pictures]
    assert {side for one in pictures for side in one.shape} <= set(range(40, 161))
    assert len({one.shape for one in pictures}) > 100
    for one in pictures:
        edge = np.concatenate([one[0], one[-1], one[:, 0], one[:, -1]])
        assert edge.min() == edge.max() == one.max()
        assert one.min() < 130


def test_the_ink_of_a_picture_is_light_on_nothing() -> None:
    picture = np.full((20, 30), 240, np.uint8)
    picture[5:15, 10:12] = 40
    ink = ink_of(picture)
    assert (ink[5:15, 10:12] == 255).all()
    assert ink.sum() == 255 * 20


@pytest.mark.parametrize("half", HALVES)
def test_letters_and_their_look_alikes_are_all_letters(half: Half) -> None:
    assert set(LOOK_ALIKES) == set("OoIliSsZzBbgqDUTy")
    written = [writer for writer in writers_of(half) if not writer.startswith("Because")]
    capitals = [writer for writer in writers_of(half) if writer.startswith("Because")]
    assert len(letters(half)) + len(look_alikes(half)) == 52 * len(written) + 26 * len(capitals)
    assert set(characters(half, ascii_letters)[1]) == set(ascii_letters)


@pytest.mark.parametrize("name", OUT_OF_DISTRIBUTION)
def test_no_out_of_distribution_picture_is_in_both_halves(name: str) -> None:
    def seen(half: Half) -> set[bytes]:
        make = {"scribbles": scribbles, "noise": noise, "blank": blanks}.get(name)
        pictures = make(half, 30) if make else OUT_OF_DISTRIBUTION[name](half)
        return {one if isinstance(one, bytes) else opened(one).tobytes() for one in pictures}

    plain = {np.full((100, 80), level, np.uint8).tobytes() for level in range(256)}
    development, reported = (seen(half) for half in HALVES)
    assert len(development) > 20
    assert not (development & reported) - plain


def test_out_of_distribution_pictures_are_the_same_every_time_whatever_their_number() -> None:
    for make in (scribbles, noise):
        few, many = make("development", 5), make("development", 12)
        for one, other in zip(few, many, strict=False):
            np.testing.assert_array_equal(cast("NDArray[np.uint8]", one), cast("NDArray[np.uint8]", other))


@pytest.mark.parametrize("name", sorted(set(OUT_OF_DISTRIBUTION) - {"blank"}))
def test_every_out_of_distribution_picture_but_the_blank_has_contrast(name: str) -> None:
    for picture in OUT_OF_DISTRIBUTION[name]("development")[:100]:
        levels = opened(picture)
        assert int(levels.max()) - int(levels.min()) > 60
        assert min(levels.shape) >= 28


def test_clothes_are_not_all_of_one_kind() -> None:
    assert stored_images("fashion_development").shape == (400, 28, 28)
    assert stored_images("fashion_reported").shape == (800, 28, 28)
    assert stored_images("fashion_development").mean((1, 2)).std() > 20


def test_an_unknown_half_is_an_error() -> None:
    message = r"^half 'test': unknown, expected development \(to choose by\) or reported \(looked at once\)$"
    for function in (writers_of, small_digits, font_digits, letters, scribbles, noise):
        with pytest.raises(ConfigError, match=message):
            function(cast("Half", "test"))


def test_photographs_are_jpeg_in_colour_of_200_to_600_pixels(mnist_train: DigitSet) -> None:
    taken = [Image.open(BytesIO(one)) for one in photographs(list(mnist_train.images[:8]))]
    assert {one.format for one in taken} == {"JPEG"}
    assert {one.mode for one in taken} == {"RGB"}
    assert all(200 <= side <= 600 for one in taken for side in one.size)
    assert len({one.size for one in taken}) > 4


def test_a_photograph_is_the_same_in_any_company(mnist_train: DigitSet) -> None:
    inks = list(mnist_train.images[:4])
    whole = photographs(inks, seed=1)
    assert photographs(inks[2:3], seed=1, index=[2]) == whole[2:3]
    assert photographs(inks, seed=2) != whole


def test_a_photograph_has_the_digit_on_it_and_an_empty_one_has_not(mnist_train: DigitSet) -> None:
    def contrast(data: bytes) -> float:
        """Of a square of the picture to what surrounds it, at the most: light changes slowly, ink does not."""
        small = Image.open(BytesIO(data)).convert("L").resize((40, 40), Image.Resampling.BOX)
        levels = np.pad(np.asarray(small, float), 3, "edge")
        around = (levels[:-6, 3:-3] + levels[6:, 3:-3] + levels[3:-3, :-6] + levels[3:-3, 6:]) / 4
        return float((around / levels[3:-3, 3:-3]).max())

    written = [contrast(one) for one in photographs(list(mnist_train.images[:20]))]
    empty = [contrast(one) for one in blank_photographs(20)]
    assert np.median(written) > 1.5
    assert max(empty) < np.median(written)
    assert np.median(empty) < 1.2


def test_strokes_keep_the_shape_and_have_the_size_asked_for() -> None:
    ink = np.zeros((28, 28), np.uint8)
    ink[4:24, 10:14] = 255
    drawn = strokes(ink, 220)
    assert drawn.shape == (220, 60)
    assert drawn.min() == 0
    assert drawn.max() == 1
    assert drawn.mean() == pytest.approx(20 * 4 / (22 * 6), rel=0.05)


def test_the_suites_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import sumnist.lab.suites.robustness"
    subprocess.run([sys.executable, "-c", code], check=True)


@cache
def some_scenes(half: Half, kind: str) -> list[Scene]:
    return [scene(half, kind, place) for place in range(4)]


def inside(quadrilateral: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels `[H, W]` of a picture of this `size` that lie in the quadrilateral."""
    mask = Image.new("1", size)
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in quadrilateral], fill=1)
    return np.asarray(mask)


def around(quadrilateral: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """The quadrilateral, larger by `factor`."""
    middle = quadrilateral.mean(0)
    return np.asarray(middle + factor * (quadrilateral - middle))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("half", HALVES)
def test_scenes_are_jpeg_in_colour_of_600_to_1600_pixels_with_as_much_of_the_sheet_as_their_kind_says(
    half: Half, kind: str
) -> None:
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("half", HALVES)
def test_the_digit_of_a_scene_is_in_its_box_and_on_its_sheet(half: Half, kind: str) -> None:
    for one in some_scenes(half, kind):
        levels = Image.open(BytesIO(one.picture)).convert("L")
        left, top, right, bottom = one.box
        assert 0 < left < right < levels.width
        assert 0 < top < bottom < levels.height
        shorter = min(np.hypot(*(one.sheet[i] - one.sheet[i - 1])) for i in range(4))
        assert max(right - left, bottom - top) < 0.6 * shorter  # 0.45 of it, turned and seen aslant
        assert max(right - left, bottom - top) > 25
        middle = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        assert inside(one.sheet, levels.size)[inside(around(middle, 0.5), levels.size)].all()
        # The ink is darker than the paper at the top and at the bottom of the box.
        box = np.asarray(levels.crop((round(left), round(top), round(right), round(bottom))), float)
        assert np.percentile(box, 2) < 0.85 * np.median(box[[0, -1]])


@pytest.mark.parametrize("half", HALVES)
def test_a_note_has_another_colour_than_what_is_around_it(half: Half) -> None:
    for one in some_scenes(half, "note"):
        pixels = np.asarray(Image.open(BytesIO(one.picture)), float)
        size = pixels.shape[1], pixels.shape[0]
        rings = [
            inside(around(one.sheet, more), size) & ~inside(around(one.sheet, less), size)
            for less, more in ((0.86, 0.96), (1.1, 1.2))
        ]
        here, there = (np.median(pixels[ring], 0) for ring in rings)
        assert np.abs(here - there).max() > 20


def test_a_scene_is_the_same_every_time_in_any_company() -> None:
    whole = scenes("development", "card", 3)
    assert whole.name == "scenes: card"
    assert scene("development", "card", 2).picture == whole.pictures[2]
    assert scenes("development", "card", 1).pictures == whole.pictures[:1]
    assert whole.digits.tolist() == [scene("development", "card", place).digit for place in range(3)]


def test_ten_scenes_in_a_row_show_ten_digits_in_the_ink_of_four_three_and_three() -> None:
    for half in HALVES:
        for start in (0, 10, 50):
            written = [written_at(half, place, generator(1, "ink", place)) for place in range(start, start + 10)]
            assert sorted(digit for digit, _ in written) == list(range(10))
            longer = [max(ink.shape) for _, ink in written]  # 8 pixels at most, 20 in MNIST's images, many in a font's
            assert sum(side <= 8 for side in longer) == 3
            assert sum(8 < side <= 20 for side in longer) == 4


def test_the_halves_of_the_scenes_share_no_picture_and_the_reported_one_has_desks_of_its_own() -> None:
    for kind in KINDS:
        pictures = [{one.picture for one in some_scenes(half, kind)} for half in HALVES]
        assert all(len(some) == 4 for some in pictures)
        assert not pictures[0] & pictures[1]
    development, reported = (set(DESKS[half]) for half in HALVES)
    assert {"cloth", "cork", "stone"} <= reported - development
    assert {one.desk for kind in KINDS for one in some_scenes("development", kind)} <= development | {"paper"}


def test_an_unknown_half_or_kind_of_scene_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^half 'test': unknown, expected development"):
        scene(cast("Half", "test"), "note", 0)
    message = r"^kind 'table': unknown, expected one of desk along an edge, corner, all round, note, card$"
    with pytest.raises(ConfigError, match=message):
        scenes("development", "table", 1)

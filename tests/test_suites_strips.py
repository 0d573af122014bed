"""The pictures of the suite of numbers: what is pasted where, which half it is of, and that it is always the same."""

from __future__ import annotations

import ast
from pathlib import Path
from string import ascii_letters

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.data.mnist import load_mnist
from sumnist.lab.suites import strips
from sumnist.lab.suites.archive import HALVES, Half
from sumnist.lab.suites.chance import generator
from sumnist.lab.suites.out_of_distribution import LOOK_ALIKES
from sumnist.lab.suites.strips import (
    COUNTS,
    FONTS,
    NO_NUMBERS,
    SPACINGS,
    STRINGS,
    VOCABULARY,
    Spacing,
    composed,
    half_of_test,
    letters,
    strings,
    strokes,
)

FEW = 6


def bar(width: int, left: int = 10) -> NDArray[np.uint8]:
    """An image with one upright bar."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, left : left + width] = 255
    return image


def gaps_of(spacing: Spacing, first: int, second: int) -> set[int]:
    """All the pixels that lie between two bars of these widths, in many strings; below 0 where they overlap."""
    found = set()
    for place in range(200):
        strip = composed(np.stack([bar(first), bar(second, 3)]), spacing, generator(0, "bars", place))
        inked = np.flatnonzero((strip >= 64).any(0))
        found.add(int(inked[-1] - inked[0] + 1 - first - second))
    return found


@pytest.mark.parametrize(("first", "second"), [(12, 12), (4, 12), (16, 9), (3, 12)])
def test_digits_stand_as_far_apart_as_their_spacing_says(first: int, second: int) -> None:
    assert gaps_of("spaced", first, second) == set(range(2, 7))
    assert gaps_of("close", first, second) == {0, 1}
    quarter = min(first, second) // 4
    assert gaps_of("touching", first, second) == (set(range(-quarter, 0)) or {0})


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_string_holds_its_images_from_left_to_right_and_nothing_else(spacing: Spacing) -> None:
    images = load_mnist("test").images[:5]
    strip = composed(images, spacing, generator(0, "pasted", 3))
    held, column = np.zeros(strip.shape, bool), 0
    for image in images:
        inked = np.flatnonzero((image >= 64).any(0))
        ink = image[:, inked[0] : inked[-1] + 1]
        places = [
            (row, left)
            for row in range(strip.shape[0] - 27)
            for left in range(column, strip.shape[1] - ink.shape[1] + 1)
            if (strip[row : row + 28, left : left + ink.shape[1]] >= ink).all()
        ]
        row, column = min(places, key=lambda place: place[1])
        held[row : row + 28, column : column + ink.shape[1]] |= ink > 0
    assert not (strip >= 64)[~held].any()


def test_a_string_has_ground_on_all_sides() -> None:
    for spacing in SPACINGS:
        for strip in strings("reported", 3, spacing, 40).pictures:
            inked = strip >= 64
            columns, rows = np.flatnonzero(inked.any(0)), np.flatnonzero(inked.any(1))
            for free in (columns[0], strip.shape[1] - 1 - columns[-1]):
                assert 3 <= free <= 12
            assert rows[0] >= 1  # the images' own ground, less what a digit stands above or below the others
            assert rows[-1] < strip.shape[0] - 1


def test_the_halves_have_other_test_images_and_together_all() -> None:
    test = load_mnist("test")
    parts = [half_of_test(half) for half in HALVES]
    assert [len(part) for part in parts] == [5000, 5000]
    np.testing.assert_array_equal(parts[0].images[:100], test.images[:100])
    np.testing.assert_array_equal(parts[1].images[:100], test.images[100:200])
    np.testing.assert_array_equal(parts[0].digits[100:200], test.digits[200:300])
    together = np.concatenate([part.images.reshape(-1, 784) for part in parts])
    assert len(np.unique(together, axis=0)) == len(np.unique(test.images.reshape(-1, 784), axis=0))


@pytest.mark.parametrize("half", HALVES)
def test_the_same_digits_are_there_in_all_spacings_whatever_the_number_of_strings(half: Half) -> None:
    spaced, close, touching = (strings(half, 4, spacing, FEW) for spacing in SPACINGS)
    assert spaced.texts == close.texts == touching.texts
    widths = [[strip.shape[1] for strip in made.pictures] for made in (spaced, close, touching)]
    assert np.mean(widths[0]) > np.mean(widths[1]) > np.mean(widths[2])
    more = strings(half, 4, "close", FEW + 3)
    assert more.texts[:FEW] == close.texts
    assert all(np.array_equal(a, b) for a, b in zip(more.pictures, close.pictures, strict=False))


def test_the_halves_have_other_strings_and_no_number_begins_with_a_zero_but_zero() -> None:
    assert strings("development", 3, "close", FEW).texts != strings("reported", 3, "close", FEW).texts
    one = strings("reported", 1, "spaced", 200).texts
    assert set(one) == set("0123456789")
    for digits in (2, 12):
        texts = strings("reported", digits, "spaced", 100).texts
        assert {len(text) for text in texts} == {digits}
        assert "0" not in {text[0] for text in texts}
        assert "0" in {text[1] for text in texts}


def test_there_are_strings_of_one_to_twelve_digits() -> None:
    assert list(STRINGS) == list(range(1, 13))
    assert len(strings("development", 12, "close").texts) == STRINGS[12]


def same(one: list[NDArray[np.uint8]], other: list[NDArray[np.uint8]]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_what_is_no_number_is_the_same_every_time_and_another_in_each_half(name: str) -> None:
    make = NO_NUMBERS[name]
    made = make("development", FEW)
    assert len(made) == FEW
    assert same(made, make("development", FEW))
    assert not same(made, make("reported", FEW))
    for picture in made:
        assert picture.dtype == np.uint8
        assert picture.ndim == 2
        assert name == "blank" or np.ptp(picture) > 70
    assert COUNTS.keys() == NO_NUMBERS.keys()


def test_blank_strips_are_wide_and_every_tenth_is_of_one_grey() -> None:
    made = NO_NUMBERS["blank"]("reported", 20)
    assert [np.ptp(picture) == 0 for picture in made] == [True, True, *[False] * 18]
    assert all(picture.shape[1] >= 2.9 * picture.shape[0] for picture in made)


def test_the_words_of_the_halves_are_others_and_look_like_no_numbers() -> None:
    development, reported = (VOCABULARY[half].split() for half in HALVES)
    assert not set(development) & set(reported)
    for word in (*development, *reported):
        for written in (word.lower(), word.upper()):
            assert 2 * sum(letter not in LOOK_ALIKES for letter in written) >= len(written), written


def test_every_font_has_every_letter_with_ink_on_one_line() -> None:
    assert letters().keys() == {(font, letter) for font in range(len(FONTS)) for letter in ascii_letters}
    for font, name in enumerate(FONTS):
        own = {letter: letters()[font, letter] for letter in ascii_letters}
        assert len({picture.shape[0] for picture in own.values()}) == 1, name
        feet = [int(np.flatnonzero((own[letter] > 64).any(1))[-1]) for letter in "EHLmnx"]
        assert max(feet) - min(feet) <= 1, name
        below = np.flatnonzero((own["g"] > 64).any(1))[-1]
        assert below > max(feet) + 3, name


def test_half_of_the_words_are_printed_in_the_fonts_of_the_half(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Asked(dict[tuple[int, str], NDArray[np.uint8]]):
        def __getitem__(self, key: tuple[int, str]) -> NDArray[np.uint8]:
            asked.append(FONTS[key[0]])
            return super().__getitem__(key)

    found = Asked(letters())
    monkeypatch.setattr(strips, "letters", lambda: found)
    fonts = []
    for half in HALVES:
        asked.clear()
        strips.words(half, 60)
        fonts.append(set(asked))
    assert [len(kinds) for kinds in fonts] == [4, 4]
    assert fonts[0] | fonts[1] == set(FONTS)


def test_strokes_go_over_the_whole_string() -> None:
    for place in range(40):
        drawn = strokes(120, 40, generator(0, "strokes", place))
        assert set(np.flatnonzero((drawn > 64).any(0))) >= set(range(5, 115))
        assert drawn.shape == (40, 120)


def test_the_suite_knows_nothing_of_how_training_composes_strips() -> None:
    tree = ast.parse(Path(strips.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name and name.startswith("sumnist.data")} == {"sumnist.data.mnist"}

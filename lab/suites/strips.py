"""Make the pictures of the number suite: lines of MNIST's test digits, and lines that show no number.

A string is a row of MNIST images in their original size. It is spaced, close or touching, by the distance between the
boxes of their ink. Each string exists in all three spacings, with the same images in the same order. The first five
thousand test images are cleaner than the last, so blocks of a hundred go to the development half and the reported half
in turn. No number begins with a zero, except zero itself.

Lines that show no number are words, printed in fonts that come with matplotlib and Pillow or written in capitals of the
handwriting fonts; scribbles side by side; and empty paper. Training draws its own lines of these kinds, with other
programs and without fonts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from string import ascii_letters, ascii_uppercase
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lab.suites import digits as suite
from lab.suites.digits import HALVES, Half, Random, check_half, generator, ink_of
from lab.suites.out_of_distribution import scribble
from lab.suites.photographs import blank_photographs
from sumnist.data.mnist import DigitSet, load_mnist

Strip = NDArray[np.uint8]
Spacing = Literal["spaced", "close", "touching"]
SPACINGS: tuple[Spacing, ...] = get_args(Spacing)
STRINGS = {
    1: 1000, 2: 1000, 3: 1000, 4: 300, 5: 1000, 6: 300, 7: 300, 8: 1000, 9: 300, 10: 300, 11: 300, 12: 300,
}  # fmt: skip
"""How many strings there are in each half, by their number of digits."""
BLOCK = 100
"""Consecutive test images that belong to the same half."""
SIDE = 28
"""Pixels of an image's side."""
INK = 64
"""Least intensity of a pixel that belongs to the box of an image's ink."""
GAPS: dict[Spacing, tuple[int, int]] = {"spaced": (2, 6), "close": (0, 1)}
"""Pixels between the ink boxes of two neighbours, least and most; touching digits overlap instead."""
OVERLAP = 4
"""Touching digits overlap by at most the narrower one's width divided by this."""
MARGIN = 3, 12
"""Pixels of ground at each side, least and most: left and right of the ink, above and below the images."""
WOBBLE = 2
"""Most pixels by which a digit stands above or below the others."""

FONTS = (
    "Aileron", "DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "DejaVu Sans Bold", "DejaVu Serif Bold", "STIX",
    "STIX Italic",
)  # fmt: skip
"""The fonts whose letters are in `words.npz`, in its order; the 1st, 3rd, … are for development, the others for the
report."""
VOCABULARY: dict[Half, str] = {
    "development": "amount march april receipt number hundred eleven please account branch payment name teammate "
    "approved cheque chapter answer theme paper market ranch carpet hammer winter river forest Anna Carmen Ahmed Maria "
    "Henrik Marta Mehmet Frank Karen Peter Werner Heather Fatima Armand Keanu Chang Amara Ravi Vera",
    "reported": "fourteen hand cream percent parcel january february november return teacher meter where reference "
    "remark kitchen machine farmer pepper feather career current recent thanks warehouse camera anchor harvest Emma "
    "Hannah Erich Catherine Marcel Ramona Chen Farah Arthur Haruka Meera Kwame Nathan Renate Carla Martha Andrew "
    "Helena Maren",
}
"""Words and names. At least half of the letters of each look like no digit (`out_of_distribution.LOOK_ALIKES`)."""
CAPITAL = 30, 44
"""Height of handwritten capitals in pixels: the least, and the end of the range (exclusive)."""
BETWEEN = 1, 5
"""Pixels between capitals: the least, and the end of the range (exclusive)."""
SCRIBBLES, SCRIBBLE_HEIGHT = 4, 48
"""Most scribbles side by side, and their height in pixels."""
PLAIN = 10
"""One blank picture in this many has a single grey, 40×160 pixels. The others are cut from photographs."""
LONG = 3, 6
"""Width of the cut pictures divided by their height: least and most."""


class Strings(NamedTuple):
    """Pictures `[H, W]` of strings, light ink on dark ground, and the `texts` on them."""

    pictures: tuple[Strip, ...]
    texts: tuple[str, ...]


def strings(half: Half, digits: int, spacing: Spacing, count: int | None = None) -> Strings:
    """Return strings of a half. A string depends on its place, not on `count`.

    Args:
        half: "development" or "reported"; they use different test images.
        digits: The digits of each string, 1 to 12.
        spacing: The distance between the digits.
        count: The number of strings; by default that of `STRINGS`.
    """
    test, seed = half_of_test(half), HALVES.index(half)
    pictures, texts = [], []
    for place in range(STRINGS[digits] if count is None else count):
        chosen = drawn(test.digits, digits, generator(seed, f"{digits} digits", place))
        pictures.append(composed(test.images[chosen], spacing, generator(seed, f"{digits} {spacing}", place)))
        texts.append("".join(map(str, test.digits[chosen])))
    return Strings(tuple(pictures), tuple(texts))


@cache
def half_of_test(half: Half) -> DigitSet:
    """Return the 5,000 test images of a half."""
    test = load_mnist("test")
    return test.part(np.flatnonzero(np.arange(len(test)) // BLOCK % 2 == HALVES.index(check_half(half))))


def drawn(digits: NDArray[np.int64], count: int, random: Random) -> NDArray[np.int64]:
    """Choose `count` random places in `digits`; if there are several, the first one holds no zero."""
    first = random.choice(np.flatnonzero(digits) if count > 1 else len(digits))
    return np.array([first, *random.integers(0, len(digits), count - 1)])


def composed(images: Strip, spacing: Spacing, random: Random) -> Strip:
    """Put images `[N, 28, 28]` side by side on one picture."""
    boxes = [np.flatnonzero((image >= INK).any(0))[[0, -1]] + (0, 1) for image in images]
    starts, end = [0], boxes[0][1] - boxes[0][0]
    for (left, right), (before, after) in zip(boxes[1:], boxes, strict=False):
        starts.append(end + gap(spacing, min(right - left, after - before), random))
        end = max(end, starts[-1] + right - left)
    top, bottom, left, right = random.integers(MARGIN[0], MARGIN[1] + 1, 4)
    canvas = np.zeros((SIDE + top + bottom, end + 2 * SIDE), np.uint8)
    for image, box, start in zip(images, boxes, starts, strict=True):
        row, column = top + random.integers(-WOBBLE, WOBBLE + 1), SIDE + start - box[0]
        place = canvas[row : row + SIDE, column : column + SIDE]
        np.maximum(place, image, out=place)
    return canvas[:, SIDE - left : SIDE + end + right]


def gap(spacing: Spacing, narrower: int, random: Random) -> int:
    """Return random pixels between the ink boxes of two neighbours; `narrower`: the smaller width of the two boxes."""
    if spacing != "touching":
        least, most = GAPS[spacing]
        return int(random.integers(least, most + 1))
    most = narrower // OVERLAP
    return -int(random.integers(min(1, most), most + 1))


def many(name: str, draw: Callable[[Half, Random, int], Strip]) -> Callable[[Half, int], list[Strip]]:
    """Return a function that makes the first pictures of a half, each with a random generator of its own."""

    def made(half: Half, count: int) -> list[Strip]:
        seed = HALVES.index(check_half(half))
        return [draw(half, generator(seed, name, place), place) for place in range(count)]

    return made


def word(half: Half, random: Random, place: int) -> Strip:
    """Draw a word or name, dark on light.

    At even places it is printed in a font of the half, in lower case, with a capital or in capitals. At odd places it
    is written in capitals by one of the half's writers.
    """
    text = str(random.choice(VOCABULARY[half].split()))
    if place % 2 == 0:
        text = (text.lower, text.capitalize, text.upper)[random.integers(3)]()
        font = int(random.choice(np.arange(len(FONTS))[HALVES.index(half) :: 2]))
        return on_paper(np.concatenate([letters()[font, letter] for letter in text], 1), random)
    writer, high = str(random.choice(suite.writers_of(half))), int(random.integers(*CAPITAL))
    capitals = [scaled(suite.cropped(capitals_of(half)[writer, letter]), high) for letter in text.upper()]
    parts = [np.pad(letter, ((0, 0), (0, int(random.integers(*BETWEEN))))) for letter in capitals]
    return on_paper(np.concatenate(parts, 1), random)


@cache
def letters() -> dict[tuple[int, str], Strip]:
    """Return the printed letters `[H, advance]`, light on 0, by the place of their font and by character."""
    sizes = suite.stored("sizes", "words.npz").astype(int)
    pixels = suite.stored("pixels", "words.npz") * np.uint8(255 // (suite.INTENSITIES - 1))
    parts = np.split(pixels, sizes.prod(1).cumsum()[:-1])
    keys = [(font, letter) for font in range(len(FONTS)) for letter in ascii_letters]
    return {key: part.reshape(size) for key, part, size in zip(keys, parts, sizes, strict=True)}


@cache
def capitals_of(half: Half) -> dict[tuple[str, str], Strip]:
    """Return the ink of each capital, light on 0, by writer and character."""
    pictures, shown, writers = suite.characters(half, ascii_uppercase)
    return dict(zip(zip(writers, shown, strict=True), map(ink_of, pictures), strict=True))


def scaled(ink: Strip, height: int) -> Strip:
    """Scale ink to a height, and keep its proportions."""
    width = max(1, round(ink.shape[1] * height / ink.shape[0]))
    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX))


def on_paper(ink: Strip, random: Random) -> Strip:
    """Turn `ink`, light on 0, into dark ink on lighter paper with a margin."""
    margins = random.integers(MARGIN[0], MARGIN[1] + 1, 4).reshape(2, 2)
    paper, dark = random.uniform(180, 255), random.uniform(0, 100)
    return np.rint(paper + (dark - paper) * np.pad(ink, margins) / 255).astype(np.uint8)


def scribbles(half: Half, random: Random, place: int) -> Strip:
    """Draw one to four scribbles side by side, dark on light."""
    inks = [ink_of(scribble(random)) for _ in range(random.integers(1, SCRIBBLES + 1))]
    return on_paper(np.concatenate([scaled(ink, SCRIBBLE_HEIGHT) for ink in inks], 1), random)


def blanks(half: Half, count: int) -> list[Strip]:
    """Cut wide parts out of synthetic photographs of empty paper, plain, ruled or squared; one picture in ten is a
    single grey instead."""
    seed = HALVES.index(check_half(half))
    plain = [np.full((40, 160), grey, np.uint8) for grey in np.linspace(0, 255, count // PLAIN).astype(int)]
    photographs = blank_photographs(count - len(plain), 2000 + seed)
    return plain + [cut(picture, generator(seed, "blank strip", place)) for place, picture in enumerate(photographs)]


def cut(picture: bytes, random: Random) -> Strip:
    """Cut a wide part out of a photograph, in grey."""
    grey = np.asarray(Image.open(BytesIO(picture)).convert("L"))
    width = grey.shape[1]
    height = min(len(grey), round(width / random.uniform(*LONG)))
    top = int(random.integers(0, len(grey) - height + 1))
    return grey[top : top + height]


NO_NUMBERS: dict[str, Callable[[Half, int], list[Strip]]] = {
    "words": many("word", word),
    "scribbles": many("scribbles on a strip", scribbles),
    "blank": blanks,
}
"""The kinds of lines that show no number, by name: half and count → pictures."""
COUNTS = {"words": 500, "scribbles": 250, "blank": 500}
"""How many pictures of each kind there are in each half."""

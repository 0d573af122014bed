"""Compose training scenes: pieces of pages and photographs with numbers and other writing, made while a finder learns.

A scene has up to 192×192 pixels. It shows lines of characters: anywhere, in a table, in a text, in a box, or alone.
Beside them are words, rules, borders, scribbles, dark margins and the edge of a desk. Everything on a page turns with
it. Digits are MNIST's training images, drawn digits, those of the 30 writers of the pen digits, and print (`bank_of`).
`data/papers` has effects of paper and camera. For each character, `Scenes.batch` gives its place, its size, the
direction of its line, and the next character of its number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from string import ascii_letters

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from lab.recipes import glyphs, papers
from lab.recipes.glyphs import Watch
from lab.recipes.hands import lined
from lab.recipes.lines import font_files
from lab.recipes.pens import (
    BANK_KINDS,
    CURRENCY,
    DRAWN,
    EDGE,
    LETTER,
    SCRAWL,
    Bank,
    Pieces,
    Strokes,
    mapped,
    mixed,
    signs,
    stroked,
)  # fmt: skip
from lab.recipes.texts import clock, date, expression, filled, fraction, number, value
from sumnist.data import pen_digits
from sumnist.data.augment import Draw
from sumnist.data.mnist import DigitSet
from sumnist.data.pen_digits import WRITERS
from sumnist.inference.alphabet import CHARACTERS

SIZES = ((192, 192), 0.5), ((128, 128), 0.16), ((96, 96), 0.1), ((64, 160), 0.12), ((144, 96), 0.12)
"""Height and width of the scenes of a batch, in pixels, and the share of the batches with this size."""
CELL = 4
"""Side of the cells for which the finder answers, in pixels."""
PEN, PRINT, PRINTED_LETTER, KINDS = BANK_KINDS, BANK_KINDS + 10, BANK_KINDS + 20, BANK_KINDS + 21
"""Kinds of images besides those of `data/pens`. `PEN`: pen writers' digits. `PRINT`: printed digits. `PRINTED_LETTER`:
printed letters. `KINDS`: number of all kinds."""
DRAWN_DIGITS = 10_000
"""Digits that are drawn beforehand."""
OTHER = len(CHARACTERS) - 1
"""Class of a letter, or of any other character outside numbers."""
PATCHES = 16, 24, 32, 48, 64, 96, 128, 224
"""Sides of the patches in which characters are written, in pixels; each character takes the smallest that holds it."""
EMS = 9.0, 130.0
"""Least and greatest height of a digit, in pixels."""
NEAR, MOST_NEAR = 0.2, 3.0
"""`NEAR`: standard deviation of the heat around a character's middle, relative to the height of a digit. `MOST_NEAR`:
its maximum, in cells."""
EXPRESSION_SHARE, STRUCK_SHARE, TILTED_SHARE, LABELLED_SHARE = 0.34, 0.09, 0.2, 0.12
"""Shares of the lines. `EXPRESSION_SHARE`: with signs or several numbers. `STRUCK_SHARE`: struck out. `TILTED_SHARE`:
in another direction than the page. `LABELLED_SHARE`: with a word just before them."""
CARELESS_SHARE, CARELESS = 0.2, 2.2
"""`CARELESS_SHARE`: share of the hands whose digits vary much in size and height. `CARELESS`: how many times as much
they vary as those of other hands."""
SQUARED_SHARE, PITCH = 0.3, (6.0, 70.0)
"""`SQUARED_SHARE`: share of the scenes on squared, ruled or dotted paper. `PITCH`: range of the pixels from one line of
this paper to the next."""

Random = np.random.Generator
Floats = NDArray[np.float32]
Points = NDArray[np.float64]


# The bank: images of characters by kind.


@cache
def fonts() -> list[ImageFont.FreeTypeFont]:
    """The fonts of matplotlib, in a size large enough for images."""
    return [ImageFont.truetype(str(file), 4 * 26) for file in font_files()]


def printed(text: str) -> NDArray[np.uint8]:
    """A character in every font, uint8 `[F, 28, 28]`, scaled so that a digit of the font is 20 pixels high."""
    images = []
    for font in fonts():
        _, top, _, bottom = font.getbbox("0")
        scale = 20 * 4 / max(bottom - top, 1)
        ink = Image.new("L", (28 * 4, 28 * 4))
        box = font.getbbox(text)
        sized = font.font_variant(size=max(8, round(font.size * min(scale, 26 * 4 / max(box[2] - box[0], 1)))))
        ImageDraw.Draw(ink).text((14 * 4, 14 * 4), text, 255, sized, anchor="mm")
        images.append(np.asarray(ink.resize((28, 28), Image.Resampling.BOX)))
    return np.stack(images)


def bank_of(digits: DigitSet, drawn: int, seed: int, watch: Watch, writers: Collection[int]) -> Bank:
    """Make the bank of all images for scenes. Raises `DataError` if `digits` lacks a digit."""
    random = np.random.default_rng([seed, 0x5CE])
    images, shown = glyphs.characters(drawn, 1.0, seed, watch, glyphs.NUMERALS, writers)
    others, kinds = signs(np.random.default_rng([seed, 0x516]))
    pens, written = pen_digits.pen_digits(random, writers)
    print_digits = [printed(str(digit)) for digit in range(10)]
    print_letters = np.stack([printed(letter) for letter in ascii_letters], 1).reshape(-1, 28, 28)  # by font
    parts = [
        (digits.images, digits.digits), (images, shown + DRAWN), (others, kinds), (pens, written + PEN),
        *((one, np.full(len(one), PRINT + digit)) for digit, one in enumerate(print_digits)),
        (print_letters, np.full(len(print_letters), PRINTED_LETTER)),
    ]  # fmt: skip
    return Bank(np.concatenate([part for part, _ in parts]), np.concatenate([kind for _, kind in parts]), KINDS)


# Texts.


EXPRESSIONS: Sequence[Callable[[Random], str]] = (
    filled("-_"), filled("_-", "_.", "_=", "_/", "_.-"), filled("+_", "=_"), filled("¤_", "_¤", "_%"), filled("_-_"),
    date, clock, fraction, expression,
)  # fmt: skip
"""Ways in which digits and signs stand together."""


def any_text(random: Random) -> tuple[str, bool]:
    """A random text with a number in it, and whether it is struck out."""
    text = value(random)
    if random.random() < EXPRESSION_SHARE:
        text = EXPRESSIONS[int(random.integers(len(EXPRESSIONS)))](random)
    known = "".join(character for character in text if character in CHARACTERS + " ")
    return known, random.random() < STRUCK_SHARE


def word_text(random: Random) -> str:
    """A word: letters, written as ?, sometimes with digits."""
    letters = "?" * int(random.integers(1, 9))
    if random.random() < 0.12:
        digits = number(random, 3)
        return letters[:3] + digits if random.random() < 0.5 else digits + letters[:2]
    return letters


# Handwriting and print.

SIGNS = "-.,'/+×=%:"
"""Signs that are drawn as strokes, each time with other proportions."""


@dataclass(frozen=True)
class Hand:
    """How a line is written. Lengths are relative to `em`.

    Attributes:
        em: The height of its digits in pixels.
        source: The source of its characters: "mnist", "drawn", "pen" or "print".
        pen: The width of the pen.
        light: The intensity of the ink.
        steep: The factor by which edges are steeper than resampling leaves them.
        slant: How far the writing leans to the right for one pixel upwards.
        aspect: The width of characters, relative to their images.
        gap: The gap between characters.
        uneven: The standard deviation of the characters' sizes.
        wobble: The standard deviation of the characters' distances from the line.
        letters: The kind of images that show its letters.
        font: Selects one of the fonts, from 0 to 1.
    """

    em: float
    source: str
    pen: float
    light: float
    steep: float
    slant: float
    aspect: float
    gap: float
    uneven: float
    wobble: float
    letters: int
    font: float = 0.0

    @classmethod
    def any(cls, random: Random, em: float, share_printed: float = 0.12) -> Hand:
        """A random person's hand, or a printer's."""
        source = str(random.choice(["mnist", "drawn", "pen"], p=[0.4, 0.2, 0.4]))
        if random.random() < share_printed:
            return cls(
                em, "print", 0.0, random.uniform(0.55, 1), random.uniform(1, 2), 0.0, random.uniform(0.9, 1.1),
                random.uniform(0.04, 0.2), 0.0, 0.0, PRINTED_LETTER, random.integers(len(fonts())) / len(fonts()),
            )  # fmt: skip
        pen = max(0.9 / em, 0.03 + 0.17 * random.beta(1.6, 3.2))
        gap = random.uniform(-0.08, 0.3) if random.random() < 0.75 else random.uniform(0.3, 0.95)
        light = random.uniform(0.45, 1) if random.random() < 0.8 else random.uniform(0.2, 0.5)
        careless = CARELESS if random.random() < CARELESS_SHARE else 1.0
        return cls(
            em, source, pen, light, random.uniform(1, 2.5), random.normal(0.1, 0.2), random.uniform(0.75, 1.3), gap,
            random.uniform(0.02, 0.09) * careless, random.uniform(0.01, 0.06) * careless, LETTER,
        )  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A coordinate system on a scene.

    It is turned by `angle`, clockwise, around a point. This point is (`u`, `v`) in this system and (`x`, `y`) on the
    scene.
    """

    angle: float
    u: float
    v: float
    x: float
    y: float

    def at(self, u: float, v: float) -> tuple[float, float]:
        """Where the point (u, v) of this system lies on the scene."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        u, v = u - self.u, v - self.v
        return self.x + cosine * u - sine * v, self.y + sine * u + cosine * v


Box = tuple[float, float, float, float]
"""Left, top, right and bottom on the page."""
Part = tuple[str, int, float, float, float]
"""A part of a line: the character; the index of its image in the bank, or −1; the pixels of the scene for one pixel of
the image, across and down; and its width."""


class Sketch:
    """Collects the ink of scenes while they are composed, and the properties of their characters."""

    def __init__(self, bank: Bank, random: Random, size: tuple[int, int]) -> None:
        self.bank, self.random, (self.high, self.wide) = bank, random, size
        self.signs = lined(random)
        self.turn(0, 0.0)
        self.pieces: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = [], []
        self.strokes: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = [], []
        """Of `pieces` and of `strokes`: a list for other ink, and a list for the ink of numbers. An entry has the scene
        and the properties of `Pieces`, or of `Strokes`."""
        self.characters: list[tuple[float, ...]] = []
        """For each character: scene, x, y, em, width, angle, class, the index in this list of the next character or −1,
        and whether it is struck out."""

    def turn(self, scene: int, angle: float) -> None:
        """Begin a scene whose page is turned by `angle`."""
        u, v = self.wide / 2, self.high / 2
        self.scene, self.frame = scene, Frame(angle, u, v, u, v)
        self.taken: list[Box] = []

    @contextmanager
    def tilted(self, u: float, v: float, angle: float) -> Iterator[None]:
        """Within this context, turn all writing by `angle` around a point of the page."""
        page = self.frame
        self.frame = Frame(page.angle + angle, u, v, *page.at(u, v))
        yield
        self.frame = page

    def free(self, box: Box, margin: float = 1.0) -> bool:
        """Whether the box is still free; if it is, take it."""
        left, top, right, bottom = box
        for a, b, c, d in self.taken:
            if left - margin < c and right + margin > a and top - margin < d and bottom + margin > b:
                return False
        self.taken.append(box)
        return True

    def path(self, points: Sequence[tuple[float, float]], pen: float, light: float, number: bool = False) -> None:
        """Draw a stroke through points of the page."""
        places = [self.frame.at(u, v) for u, v in points]
        radius, light = max(pen, 0.7) / 2, min(1.0, light * min(1.0, pen) ** 0.5)
        for (x, y), (to_x, to_y) in pairwise(places):
            if (
                -pen < max(x, to_x)
                and min(x, to_x) < self.wide + pen
                and -pen < max(y, to_y)
                and min(y, to_y) < self.high + pen
            ):
                self.strokes[number].append((self.scene, x, y, to_x, to_y, radius, light))

    def glyph(self, place: int, u: float, v: float, high: float, wide: float, hand: Hand, number: bool) -> None:
        """Write an image of the bank with its middle at (u, v). One pixel of the image takes `high` pixels of the scene
        down and `wide` pixels across."""
        random, bank = self.random, self.bank
        x, y = self.frame.at(u, v)
        reach = 20 * max(high, wide)
        if not (-reach < x < self.wide + reach and -reach < y < self.high + reach):
            return
        print_ = hand.source == "print"
        slant = hand.slant + (0 if print_ else random.normal(0, 0.05)) + 0.6 * float(bank.slant[place])
        pen = float(bank.pen[place]) * high if print_ else hand.pen * hand.em * random.uniform(0.9, 1.1)
        angle = self.frame.angle + (0 if print_ else random.normal(0, 0.05))
        bend = (*random.normal(0, 0.0 if print_ else 0.35, 2), *random.uniform(0, 2 * np.pi, 2))
        steep = hand.steep * max(1.0, high / 2)
        light = min(1.0, hand.light * random.uniform(0.92, 1.05) * min(1.0, pen) ** 0.5)
        self.pieces[number].append(
            (self.scene, place, x, y, wide, high, slant, angle, max(pen, 0.8), steep, light, *bend)
        )

    def kind_of(self, character: str, hand: Hand) -> int:
        """The kind of image that a hand uses for a digit or a letter."""
        if character == "?":
            return hand.letters
        if character == "¤":
            return CURRENCY
        base = {"mnist": 0, "drawn": DRAWN, "pen": PEN, "print": PRINT}[hand.source]
        return base + int(character)

    def measured(self, text: str, hand: Hand) -> tuple[list[Part], float]:
        """The parts of a line with this text, and its width."""
        random, bank = self.random, self.bank
        parts: list[Part] = []
        apart = random.random() < 0.3
        for character in text:
            if character == " ":
                parts.append((" ", -1, 0.0, 0.0, hand.em * random.uniform(0.25, 0.5)))
            elif character in SIGNS:
                room = float(np.concatenate(self.signs[character][0])[:, 0].max()) + 0.1
                parts.append((character, -1, 0.0, 0.0, hand.em * room * random.uniform(0.8, 1.3)))
                if apart and character in ".,-":  # more room after the sign, as many people leave
                    parts.append((" ", -1, 0.0, 0.0, hand.em * random.uniform(0.1, 0.6)))
            else:
                kind = self.kind_of(character, hand)
                chance = hand.font + random.random() / len(fonts()) if hand.source == "print" else random.random()
                place = int(bank.firsts[kind] + int(chance * bank.counts[kind]))
                rows, columns = float(bank.bottom[place] - bank.top[place]), float(bank.right[place] - bank.left[place])
                size = 1 + random.normal(0, hand.uneven)
                letter = character == "?" and hand.source != "print" and random.random() < 0.5
                high = hand.em * size * (0.68 if letter else 1.0) / max(rows, 8.0 if character == "?" else 14.0)
                if hand.source == "print":
                    high = hand.em / 20
                wide = high * hand.aspect * random.uniform(0.94, 1.06)
                if character != "1" and character.isdigit():
                    wide = max(wide, 0.36 * hand.em / columns)
                parts.append((character, place, wide, high, wide * columns))
        total = sum(part[4] for part in parts)
        return parts, total + hand.em * max(hand.gap, -0.05) * max(len(parts) - 1, 0)

    def line(self, parts: list[Part], u: float, v: float, hand: Hand, number: bool = True, struck: bool = False) -> Box:
        """Write a line of characters from (u, v), the left end of the line on which they stand. Returns its box."""
        random, em = self.random, hand.em
        start, first, last = u, len(self.characters), -1
        climb = 0.0 if hand.source == "print" else random.normal(0, 0.02)
        for character, place, wide, high, broad in parts:
            middle = u + broad / 2
            base = v + climb * (middle - start) + random.normal(0, hand.wobble) * em
            u += broad + em * max(hand.gap * (1 + random.normal(0, 0.3)), -0.25)
            if character == " ":
                continue
            kind = CHARACTERS.index(character)
            up = em / 2
            if place < 0:
                self.sign(character, middle, base, broad, hand, number)
            else:
                tall = high * float(self.bank.bottom[place] - self.bank.top[place])
                down = base - tall / 2
                if hand.source != "print" and random.random() < 0.05:
                    down += 0.15 * em
                self.glyph(place, middle, down, high, wide, hand, number and kind != OTHER)
                up = base - down
            x, y = self.frame.at(middle, base - up)
            if last >= first:
                row = self.characters[last]
                self.characters[last] = (*row[:7], float(len(self.characters)), row[8])
            last = len(self.characters)
            self.characters.append((self.scene, x, y, em, max(broad, 0.12 * em), self.frame.angle, kind, -1.0, struck))
        end = u
        if struck:
            self.strike(start, end, v + climb * (end - start) / 2, hand)
        return start, v - em, end, v + 0.2 * em

    def sign(self, character: str, u: float, v: float, wide: float, hand: Hand, number: bool) -> None:
        """Write a sign in the middle of its room, which is `wide`."""
        random, strokes = self.random, self.signs[character][0]
        shake = 0.0 if hand.source == "print" else 0.03
        pen = hand.em * (0.1 if hand.source == "print" else hand.pen)
        pen *= random.uniform(1, 1.5) if character in ".:" else 1
        raised = random.uniform(0.3, 0.45) if character == "." and random.random() < 0.1 else 0.0
        slant = hand.slant * (character not in "-=+×")
        right = float(np.concatenate(strokes)[:, 0].max())
        for stroke in strokes:
            x, y = stroke.T + random.normal(0, shake, (2, len(stroke)))
            across = u + wide * (x - slant * y - right / 2) / (right + 0.1)
            self.path([*zip(across, v + hand.em * (y - raised), strict=True)], pen, hand.light, number)

    def strike(self, left: float, right: float, base: float, hand: Hand) -> None:
        """Cross a line out by one stroke, several, or a zigzag."""
        random, em = self.random, hand.em
        pen, light = hand.pen * em * random.uniform(0.8, 1.3) + 0.3, min(1.0, hand.light * random.uniform(0.9, 1.3))
        way, low = random.random(), base
        out = em * random.uniform(0.0, 0.3)
        if way < 0.6:
            for _ in range(1 if way < 0.4 else 2):
                a, b = random.uniform(0.15, 0.85, 2)
                middle = (left + right) / 2, low - em * ((a + b) / 2 + random.normal(0, 0.05))
                self.path([(left - out, low - em * a), middle, (right + out, low - em * b)], pen, light)
        elif way < 0.8:
            count = int(random.integers(4, 12))
            self.path(
                [(left + (right - left) * i / count, low - em * (0.9 if i % 2 else 0.1) + random.normal(0, 0.1) * em)
                 for i in range(count + 1)], pen, light,
            )  # fmt: skip
        else:
            self.path([(left - out, low), (right + out, low - em)], pen, light)
            self.path([(left - out, low - em), (right + out, low)], pen, light)

    # Ink that is no number.

    def rule(self, u: float, v: float, to_u: float, to_v: float, pen: float, light: float) -> None:
        """Draw a printed line: full, dashed or dotted."""
        random = self.random
        length = math.hypot(to_u - u, to_v - v)
        if random.random() < 0.85 or length < 12:
            self.path([(u, v), (to_u, to_v)], pen, light)
            return
        self.dots(u, v, to_u, to_v, random.uniform(3, 9), pen, light)

    def dots(self, u: float, v: float, to_u: float, to_v: float, pitch: float, pen: float, light: float) -> None:
        """Draw a printed line of dots or dashes, `pitch` pixels from one to the next."""
        length, full = math.hypot(to_u - u, to_v - v), self.random.uniform(0.15, 0.6)
        for i in range(int(length / pitch)):
            a, b = i * pitch / length, (i + full) * pitch / length
            self.path([(u + a * (to_u - u), v + a * (to_v - v)), (u + b * (to_u - u), v + b * (to_v - v))], pen, light)

    def cursive(self, u: float, v: float, length: float, hand: Hand) -> None:
        """Draw joined writing whose letters nobody could tell apart."""
        random, em = self.random, hand.em
        steps = max(4, int(length / em * 10))
        t = np.linspace(0, 1, steps)
        turns = length / em * random.uniform(1.2, 2.4) * 2 * np.pi
        tall = np.interp(t, np.linspace(0, 1, 12), random.choice([0.25, 0.3, 0.35, 0.8], 12))
        across = u + t * length + 0.18 * em * np.sin(turns * t + 0.7)
        down = v - em * tall * (0.5 + 0.5 * np.cos(turns * t)) + random.normal(0, 0.02, steps) * em
        self.path(
            list(zip((across + hand.slant * (v - down)).tolist(), down.tolist(), strict=True)),
            hand.pen * em + 0.3,
            hand.light,
        )

    def scribble(self, u: float, v: float, size: float) -> None:
        """Draw a scrawl, a tick, a stroke or two, a zigzag, a coil, blots, or something solid."""
        random = self.random
        pen, light, way = random.uniform(0.8, 3), random.uniform(0.3, 1), random.random()
        if way < 0.25:
            kind = SCRAWL
            place = int(self.bank.firsts[kind] + int(random.random() * self.bank.counts[kind]))
            hand = Hand(size, "drawn", pen / size, light, 1.5, 0.0, 1.0, 0.0, 0.0, 0.0, LETTER)
            self.glyph(place, u, v, size / 20, size / 20 * random.uniform(0.7, 1.8), hand, False)
        elif way < 0.38:
            self.path([(u - 0.3 * size, v - 0.2 * size), (u, v), (u + 0.5 * size, v - 0.7 * size)], pen, light)
        elif way < 0.6:
            for _ in range(int(random.integers(1, 4))):
                ends = random.normal(0, 0.6 * size, (3, 2))
                self.path([(u + a, v + b) for a, b in ends.tolist()], pen, light)
        elif way < 0.78:
            self.wind(u, v, size, pen, light, way < 0.69)
        elif way < 0.88:
            for _ in range(int(random.integers(2, 14))):
                a, b = (random.normal((u, v), 0.5 * size)).tolist()
                blot = (a, b), (a + 1e-3 + random.normal(0, 0.05) * size, b)
                self.path(blot, random.uniform(0.05, 0.25) * size, light)
        else:
            wide = random.uniform(0.25, 0.9) * size
            self.path(random.normal((u, v), 0.45 * size, (int(random.integers(2, 5)), 2)).tolist(), wide, light)
            if random.random() < 0.5:
                ends = random.normal((u, v), 0.45 * size, (3, 2)).tolist()
                self.path(ends, wide * random.uniform(0.3, 1), light)

    def wind(self, u: float, v: float, size: float, pen: float, light: float, straight: bool) -> None:
        """Draw a stroke to and fro around a point, straight or in coils."""
        random = self.random
        turns, long = int(random.integers(4, 14)), random.uniform(0.6, 1.6) * size
        t = np.linspace(0, 1, turns * (2 if straight else 9))
        across, down = t * long - long / 2, np.cos(t * turns * 2 * np.pi) * size / 2
        if not straight:
            across = across + 0.3 * size * np.sin(t * turns * 2 * np.pi)
        shaken = np.stack([u + across, v + down]) + random.normal(0, 0.03 * size, (2, len(t)))
        with self.tilted(u, v, random.uniform(-np.pi, np.pi)):
            self.path(shaken.T.tolist(), pen, light)


# Scenes.


def tilt_of(random: Random) -> float:
    """How far the direction of a line differs from its page's, in radians."""
    if random.random() >= TILTED_SHARE:
        return 0.0
    return float(random.normal(0, 0.3) if random.random() < 0.85 else random.choice([-1, 1]) * np.pi / 2)


def ground(sketch: Sketch) -> None:
    """Draw the pattern of a page: squares, lines or dots all over, or nothing."""
    random = sketch.random
    if random.random() >= SQUARED_SHARE:
        return
    pitch, way = float(np.exp(random.uniform(*np.log(PITCH)))), random.random()
    pen, light = random.uniform(0.4, 1 + pitch / 40), random.uniform(0.12, 0.75)
    reach = math.hypot(sketch.high, sketch.wide) / 2
    middle_u, middle_v = sketch.wide / 2 + random.uniform(0, pitch), sketch.high / 2 + random.uniform(0, pitch)
    steps = (np.arange(-int(reach / pitch) - 1, int(reach / pitch) + 2) * pitch).tolist()
    for step in steps:
        if way < 0.85:
            sketch.path([(middle_u - reach, middle_v + step), (middle_u + reach, middle_v + step)], pen, light)
        if way < 0.55:
            sketch.path([(middle_u + step, middle_v - reach), (middle_u + step, middle_v + reach)], pen, light)
        elif way >= 0.85 and pitch > 9:
            for along in steps:
                dot, low = middle_u + along, middle_v + step
                sketch.path([(dot, low), (dot + 0.1, low)], pen, light)


def alone(sketch: Sketch) -> None:
    """Write one number of any size, anywhere."""
    random = sketch.random
    most = min(EMS[1], 0.95 * sketch.high)
    em = random.uniform(12, most) if random.random() < 0.5 else float(np.exp(random.uniform(np.log(12), np.log(most))))
    hand = Hand.any(random, em)
    text, struck = any_text(random)
    if hand.em > 0.4 * sketch.wide:
        text = text[: int(random.integers(1, 3))]
    if sketch.wide > 1.4 * sketch.high and random.random() < 0.6 and text.isdigit():
        text = number(random, 8)
    parts, width = sketch.measured(text, hand)
    if width > sketch.wide * 0.96:
        hand = replace(hand, em=max(EMS[0], hand.em * sketch.wide * 0.9 / width))
        parts, width = sketch.measured(text, hand)
    u = random.uniform(-0.02, 1) * max(sketch.wide - width, 4)
    v = hand.em + random.uniform(-0.02, 1) * max(sketch.high - 1.1 * hand.em, 4)
    with sketch.tilted(u + width / 2, v - hand.em / 2, tilt_of(random)):
        box = sketch.line(parts, u, v, hand, struck=struck)
        sketch.free(box)
        around(sketch, box, hand)
    if random.random() < 0.5:
        beside(sketch, int(random.integers(1, 5)))


def around(sketch: Sketch, box: Box, hand: Hand) -> None:
    """Draw lines around a number: an underline, or a box with one to four sides in view."""
    random, em = sketch.random, hand.em
    left, top, right, bottom = box
    pen = random.uniform(0.6, 1 + 0.05 * em)
    if random.random() < 0.2:
        for turn in range(1 + int(random.random() < 0.3)):
            low = bottom - 0.2 * em + em * (random.uniform(0.06, 0.3) + 0.15 * turn)
            tilt = random.normal(0, 0.04) * (right - left)
            ends = (left - random.uniform(-0.2, 0.4) * em, low), (right + random.uniform(-0.3, 0.4) * em, low + tilt)
            sketch.path(ends, hand.pen * em if random.random() < 0.7 else pen, hand.light)
    if random.random() < 0.45:
        light, rooms = random.uniform(0.25, 1), em * random.uniform(0.04, 0.9, 4)
        a, b, c, d = left - rooms[0], top - rooms[1], right + rooms[2], bottom - 0.2 * em + rooms[3]
        sides = [(a, b, a, d), (c, b, c, d), (a, b, c, b), (a, d, c, d)]
        out = random.choice([0, 300], p=[0.4, 0.6])
        for one in random.choice(4, int(random.integers(1, 5)), replace=False).tolist():
            u, v, to_u, to_v = sides[one]
            if one < 2:
                v, to_v = v - out, to_v + out
            else:
                u, to_u = u - out, to_u + out
            sketch.rule(u, v, to_u, to_v, pen * random.uniform(0.7, 1.4), light)


def beside(sketch: Sketch, count: int) -> None:
    """Add words, scribbles and rules where there is room."""
    random = sketch.random
    for _ in range(count):
        em = random.uniform(6, 26)
        u, v, way = random.uniform(-20, sketch.wide), random.uniform(0, sketch.high + 10), random.random()
        if way < 0.3:
            hand = Hand.any(random, em * 0.8, 0.7)
            text = word_text(random)
            parts, width = sketch.measured(text, hand)
            if sketch.free((u, v - hand.em, u + width, v + 0.2 * hand.em), 0.25 * em):
                sketch.line(parts, u, v, hand, number=False)
        elif way < 0.5:
            length = random.uniform(20, 120)
            if sketch.free((u, v - em, u + length, v + 0.2 * em), 2):
                sketch.cursive(u, v, length, Hand.any(random, em, 0.0))
        elif way < 0.75:
            if sketch.free((u - em, v - em, u + em, v + em), 2):
                sketch.scribble(u, v, em)
        else:
            upright, pen, light = random.random() < 0.5, random.uniform(0.6, 3), random.uniform(0.2, 1)
            a, b, c, d = (u, -40.0, u, sketch.high + 40.0) if upright else (-40.0, v, sketch.wide + 40.0, v)
            if sketch.free((a - 1, b - 1, c + 1, d + 1), 1):
                sketch.rule(a, b, c, d, pen, light)


def scattered(sketch: Sketch) -> None:
    """Write several numbers and words."""
    random = sketch.random
    em = float(np.exp(random.uniform(np.log(EMS[0]), np.log(40))))
    for _ in range(int(random.integers(3, 26))):
        hand = Hand.any(random, em * random.uniform(0.75, 1.4))
        text, struck = any_text(random)
        parts, width = sketch.measured(text, hand)
        for _ in range(3):
            u, v = random.uniform(-0.2, 1) * sketch.wide, hand.em + random.uniform(-0.2, 1.1) * sketch.high
            tilt = tilt_of(random)
            middle, base, half = u + width / 2, v - hand.em / 2, abs(math.sin(tilt)) * width / 2
            room = min(width / 2, half + hand.em) if abs(tilt) > 1 else width / 2
            box = (middle - room, v - 1.1 * hand.em - half, middle + room, v + 0.25 * hand.em + half)
            if sketch.free(box, 0.45 * hand.em):
                with sketch.tilted(middle, base, tilt):
                    around(sketch, sketch.line(parts, u, v, hand, struck=struck), hand)
                    if random.random() < LABELLED_SHARE:
                        label, long = sketch.measured(word_text(random), hand)
                        sketch.line(label, u - long - random.uniform(0.4, 1.2) * hand.em, v, hand, number=False)
                break
    beside(sketch, int(random.integers(0, 6)))


def table(sketch: Sketch) -> None:
    """Write rows and columns of numbers, sometimes ruled or ticked."""
    random = sketch.random
    em = float(np.exp(random.uniform(np.log(EMS[0]), np.log(34))))
    hand = Hand.any(random, em, 0.15)
    to_right, ticked, dotted = random.random() < 0.5, random.random() < 0.3, random.random() < 0.2
    if random.random() < 0.3 and hand.source != "print":
        hand = replace(hand, gap=random.uniform(0.3, 0.95))
    high, digits = em * random.uniform(1.15, 2.6), int(random.integers(1, 6))
    wide = em * ((0.75 + max(hand.gap, 0)) * digits + random.uniform(0.3, 2))
    first_u, first_v = random.uniform(-1, 0) * wide - 30, random.uniform(-1, 0) * high - 30
    ruled_rows, ruled_columns = random.random() < 0.45, random.random() < 0.55
    pen, light, filled = random.uniform(0.6, 2.2), random.uniform(0.25, 1), random.uniform(0.5, 1)
    for row in range(int((sketch.high + 80) / high) + 1):
        v = first_v + row * high
        low = v + high - 0.15 * em
        if dotted:
            sketch.dots(-60, low, sketch.wide + 60, low, random.uniform(1.5, 4), min(pen, 1.2), light)
        elif ruled_rows or random.random() < 0.06:
            sketch.rule(-60, low, sketch.wide + 60, low, pen, light)
        for column in range(int((sketch.wide + 80) / wide) + 1):
            if random.random() > filled:
                continue
            u = first_u + column * wide
            text = number(random, digits)
            struck = False
            if random.random() < 0.12:
                text, struck = any_text(random)
            elif random.random() < 0.06:
                text = word_text(random)[:digits]
            mine = (
                hand
                if random.random() < 0.8
                else replace(
                    hand, source=str(random.choice(["mnist", "drawn", "pen"])) if hand.source != "print" else "print"
                )
            )
            parts, width = sketch.measured(text, mine)
            if width > wide - 0.3 * em:
                continue
            at = u + (wide - width - 0.15 * em if to_right else (wide - width) / 2 + random.normal(0, 0.05) * em)
            base = v + high - 0.15 * em - random.uniform(0.05, 0.5) * max(high - 1.2 * em, 0.1 * em)
            box = sketch.line(parts, at, base, mine, number="?" not in text, struck=struck)
            if ticked and random.random() < 0.5:
                tick = [(box[2] + a * em, base + b * em) for a, b in ((0, -0.1), (0.2, 0.1), (0.5, -0.5))]
                sketch.path(tick, hand.pen * em, hand.light)
    for column in range(int((sketch.wide + 80) / wide) + 2) if ruled_columns else ():
        for twin in range(1 + int(random.random() < 0.15)):
            u = first_u + column * wide + 3 * twin * pen
            sketch.rule(u, -60, u, sketch.high + 60, pen * random.uniform(0.7, 1.5), light)


def text(sketch: Sketch) -> None:
    """Write lines of words, with numbers among them."""
    random = sketch.random
    em = float(np.exp(random.uniform(np.log(EMS[0]), np.log(24 if random.random() < 0.7 else 60))))
    hand = Hand.any(random, em, 0.5)
    hand = replace(hand, gap=min(hand.gap, 0.25))
    v, pitch = -30 + random.uniform(0, 20), em * random.uniform(1.4, 2.4)
    share = random.uniform(0, 0.5)
    ruled = random.random() < 0.3
    while v < sketch.high + 40:
        u = -50 + random.uniform(0, 30)
        while u < sketch.wide + 40:
            word = random.random() >= share
            written, struck = (word_text(random), False) if word else any_text(random)
            parts, width = sketch.measured(written, hand)
            if word and hand.source != "print" and random.random() < 0.5:
                width = random.uniform(1, 6) * em
                sketch.cursive(u, v, width, hand)
            else:
                sketch.line(parts, u, v, hand, number=not word, struck=struck)
            u += width + em * random.uniform(0.7, 1.6)
        if ruled:
            sketch.rule(-60, v + 0.15 * em, sketch.wide + 60, v + 0.15 * em, 0.8, 0.4)
        v += pitch


def empty(sketch: Sketch) -> None:
    """Compose a scene without numbers: other ink, or none."""
    random = sketch.random
    beside(sketch, int(random.integers(0, 9)))
    way = random.random()
    if way < 0.35:
        em = float(np.exp(random.uniform(np.log(12), np.log(min(EMS[1], 0.95 * sketch.high)))))
        hand = Hand.any(random, em, 0.4)
        parts, width = sketch.measured("?" * int(random.integers(1, 7)), hand)
        if width > sketch.wide:
            parts, width = parts[:1], parts[0][4]
        u, v = (random.uniform(-0.02, 1) * max(room, 4) for room in (sketch.wide - width, sketch.high - 1.1 * em))
        sketch.line(parts, u, v + em, hand, number=False)
    elif way < 0.55:
        u, v = random.uniform(0.2, 0.8) * sketch.wide, random.uniform(0.2, 0.8) * sketch.high
        sketch.scribble(u, v, random.uniform(0.2, 0.9) * sketch.high)
    elif way < 0.85:
        em = random.uniform(10, 120)
        u, v = random.uniform(0, 0.5) * sketch.wide, random.uniform(0, 0.5) * sketch.high
        around(sketch, (u, v, u + em, v + em), Hand.any(random, em))


THEMES: tuple[tuple[Callable[[Sketch], None], float], ...] = (
    (alone, 0.4),
    (scattered, 0.22),
    (table, 0.18),
    (text, 0.08),
    (empty, 0.12),
)
"""Kinds of scenes, and the share of each."""


def angle_of(random: Random) -> float:
    """How far a page is turned, in radians."""
    way = random.random()
    if way < 0.54:
        return float(random.normal(0, 0.04))
    if way < 0.68:
        return float(random.uniform(-0.5, 0.5))
    if way < 0.92:
        return float(random.integers(1, 4) * np.pi / 2 + random.normal(0, 0.05))
    return float(random.uniform(-np.pi, np.pi))


@dataclass(frozen=True)
class SceneBatch:
    """A batch of scenes with all targets of a finder."""

    image: Tensor
    """float32 `[B, 1, H, W]` in [0, 1], dark on light or light on dark."""
    ink: Tensor
    """float32 `[B, 1, H, W]`: the ink of numbers."""
    heat: Tensor
    """float32 `[B, H / 4, W / 4]`: 1 in the cell of a character's middle, less around it."""
    owner: Tensor
    """int64 `[B, H / 4, W / 4]`: the index in `characters` of the character that a cell answers for, −1 for none."""
    characters: Tensor
    """float32 `[N, 9]`, in pixels and radians: scene, x, y, height of a digit, width, angle of the line, class, index
    of the next character or −1, and whether the character is struck out."""


class Scenes:
    """Batches of scenes. Each batch depends only on the seed, the step and the size, not on earlier batches.

    Args:
        digits: Training images with their digits; every digit must occur.
        seed: Another seed gives other scenes.
        watch: Shows the progress of drawing digits, before the first batch.
        count: Digits that are drawn beforehand; fewer suffice for fewer scenes.
        writers: Pen writers. Half of these digits have their strokes.

    Raises:
        DataError: `digits` lacks a digit.
    """

    def __init__(
        self, digits: DigitSet, seed: int, watch: Watch = iter, count: int | None = None,
        writers: Collection[int] = range(WRITERS),
    ) -> None:  # fmt: skip
        self.seed = seed
        self.bank = bank_of(digits, DRAWN_DIGITS if count is None else count, seed, watch, writers)

    def batch(self, step: int, size: int, strength: float = 1.0) -> SceneBatch:
        """A batch of `size` scenes. `strength` multiplies the shares of paper and camera effects."""
        random = np.random.default_rng([self.seed, step, size])
        shape = SIZES[int(random.choice(len(SIZES), p=[share for _, share in SIZES]))][0]
        sketch = Sketch(self.bank, random, shape)
        for scene, theme in enumerate(random.choice(len(THEMES), size, p=[share for _, share in THEMES]).tolist()):
            sketch.turn(scene, angle_of(random))
            ground(sketch)
            THEMES[theme][0](sketch)
        other, numbers = (written(self.bank, sketch.pieces[way], sketch.strokes[way], (size, *shape)) for way in (0, 1))
        characters = np.array(sketch.characters, np.float32).reshape(-1, 9)
        generator = torch.Generator().manual_seed(mixed(self.seed, step, size))
        draw = Draw(size, generator, torch.device("cpu"), strength)
        ink = torch.from_numpy(numbers)
        image, clear = photographed(torch.maximum(torch.from_numpy(other), ink), ems(characters, size), draw)
        heat, owner = targets(characters, clear.numpy())
        ink *= clear
        return SceneBatch(image[:, None], ink[:, None].clamp(0, 1), heat, owner, torch.from_numpy(characters))


def written(
    bank: Bank, pieces: list[tuple[float, ...]], strokes: list[tuple[float, ...]], size: tuple[int, int, int]
) -> Floats:
    """The ink of scenes, `[B, H, W]`. Where strokes meet, the lighter ink counts."""
    count, high, wide = size
    canvas = np.zeros((count, high, wide + 2 * EDGE), np.float32)
    if pieces:
        scene, place, *values = np.array(pieces).T
        *floats, right, down, right_at, down_at = (value.astype(np.float32) for value in values)
        floats.append(np.stack([right, right_at, down, down_at], 1).reshape(-1, 2, 2))
        whole = Pieces(scene.astype(np.int64), place.astype(np.int64), *floats)
        tall = whole.high * (bank.bottom - bank.top)[whole.place]
        broad = whole.wide * (bank.right - bank.left)[whole.place] + abs(whole.slant) * tall
        group = np.searchsorted(PATCHES[:-1], np.hypot(tall, broad) + 2 * whole.pen + 3)
        for number, side in enumerate(PATCHES):
            some = np.flatnonzero(group == number)
            for start in range(0, len(some), 64):
                part = whole[some[start : start + 64]]
                left, top = (np.floor(at - side / 2).astype(np.int64) for at in (part.x, part.y))
                moved = replace(part, x=part.x - left, y=part.y - top)
                pasted(mapped(bank, moved, np.zeros_like(left), (side, side)), part.strip, left, top, canvas)
    if strokes:
        scene, *values = np.array(strokes).T
        stroked(Strokes(scene.astype(np.int64), *(value.astype(np.float32) for value in values)), canvas)
    return np.ascontiguousarray(canvas[:, :, EDGE:-EDGE])


def pasted(
    patches: Floats, scene: NDArray[np.int64], left: NDArray[np.int64], top: NDArray[np.int64], canvas: Floats
) -> None:
    """Paste patches `[N, s, s]` into their scenes, cut off at the edges."""
    side, (_, high, wide) = patches.shape[1], canvas.shape
    for one, at, x, y in zip(patches, scene.tolist(), left.tolist(), top.tolist(), strict=True):
        a, b, c, d = max(x, 0), max(y, 0), min(x + side, wide - 2 * EDGE), min(y + side, high)
        if a < c and b < d:
            target = canvas[at, b:d, EDGE + a : EDGE + c]
            np.maximum(target, one[b - y : d - y, a - x : c - x], out=target)


def ems(characters: Floats, size: int) -> Tensor:
    """Height of the smallest digits of each scene, in pixels, at most 40: `[size]`."""
    least = np.full(size, 40, np.float32)
    np.minimum.at(least, characters[:, 0].astype(np.int64), characters[:, 3])
    return torch.from_numpy(least)


def targets(characters: Floats, clear: Floats) -> tuple[Tensor, Tensor]:
    """The heat of characters, and for each cell the index of the character that it answers for, both
    `[B, H / 4, W / 4]`. A character counts only if its scene is `clear` at its middle."""
    size, high, wide = clear.shape
    shape = size, high // CELL, wide // CELL
    heat, owner = np.zeros(shape, np.float32), np.full(shape, -1, np.int64)
    best = np.zeros_like(heat)
    for place, (scene, x, y, em, *_) in enumerate(characters.tolist()):
        if not (0 <= x < wide and 0 <= y < high) or clear[int(scene), int(y), int(x)] < 0.5:
            continue
        spread = min(max(NEAR * em / CELL, 0.6), MOST_NEAR)
        reach = int(2 * spread) + 1
        column, row = int(x / CELL), int(y / CELL)
        rows = np.arange(max(0, row - reach), min(shape[1], row + reach + 1))
        columns = np.arange(max(0, column - reach), min(shape[2], column + reach + 1))
        near = np.exp(
            -((rows[:, None] - row) ** 2 + (columns - column) ** 2) / np.float32(2 * spread**2)
        ).astype(np.float32)  # fmt: skip
        at = int(scene), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        closer = (near > best[at]) & (near > 0.5)
        owner[at][closer], best[at][closer] = place, near[closer]
        np.maximum(heat[at], near, out=heat[at])
    return torch.from_numpy(heat), torch.from_numpy(owner)


# Effects on a scene's picture.

PLANE_SHARE, PLANES = 0.35, (1, 4)
"""`PLANE_SHARE`: share of the scenes with dark or light planes at their sides. `PLANES[1]`: the largest number of
planes."""
PATTERNED_SHARE = 0.5
"""Factor on the shares of patterned paper in `data/papers`."""
GRAINY_SHARE, GRAIN = 0.04, 0.3
"""`GRAINY_SHARE`: share of the scenes with strong noise. `GRAIN`: its largest standard deviation; small digits get less
noise."""
BINARIZED_SHARE = 0.1
"""Share of the scenes in black and white."""
DARK_ON_LIGHT = 0.85
"""Share of the scenes whose ink is darker than the paper."""
CONTRAST = 0.12, 1.0
"""Range of the contrast between ink and paper; 1 is the most that a picture can have."""


def photographed(ink: Tensor, em: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """Ink `[B, H, W]` as a camera or scanner sees it. Also, for each pixel, how little a plane covers it, from 0
    (covered) to 1 (clear)."""
    paper = torch.zeros_like(ink)
    calm = Draw(draw.count, draw.generator, draw.device, PATTERNED_SHARE * draw.strength)
    for pattern in (papers.guilloche, papers.woven, papers.clouded, papers.specked):
        pattern(paper, calm)
    image = paper.clamp_(max=1) + papers.worn(ink, draw) * (1 - paper)
    clear = bounded(image, draw)
    papers.blurred(image, em, draw)
    papers.sharpened(image, draw)
    coarse(image, em, draw)
    papers.lit(image, draw)
    image.clamp_(0, 1)
    binarized(image, draw)
    count = len(image)
    contrast = CONTRAST[1] - (CONTRAST[1] - CONTRAST[0]) * draw.between(0, 1, count) ** 1.5 * draw.strength
    image = image * contrast + draw.between(0, 1, count) * (1 - contrast)
    papers.noisy(image, draw)
    grainy(image, em, draw)
    image.clamp_(0, 1)
    papers.compressed(image, torch.full((count,), image.shape[2]), draw)
    dark = draw.between(0, 1, count) < DARK_ON_LIGHT
    return torch.where(dark, 1 - image, image), clear


def grainy(image: Tensor, em: Tensor, draw: Draw) -> None:
    """Add the noise of pictures taken in little light. Small digits get less noise, so that people can still read
    them."""
    chosen, count = papers.some(draw, GRAINY_SHARE)
    most = GRAIN * (em[chosen] / papers.BLURRED_EM).clamp(max=1)[:, None, None]
    image[chosen] += torch.randn(count, *image.shape[1:], generator=draw.generator) * most * draw.between(0, 1, count)


def binarized(image: Tensor, draw: Draw) -> None:
    """Make pictures black and white, or nearly so, with rough edges, as scanners do."""
    chosen, count = papers.some(draw, BINARIZED_SHARE)
    rough = 0.1 * torch.randn(count, *image.shape[1:], generator=draw.generator)
    least = image[chosen].mean((1, 2), keepdim=True) + draw.between(0.1, 0.35, count)
    image[chosen] = ((image[chosen] + rough - least) * draw.between(6, 40, count)).sigmoid()


def bounded(image: Tensor, draw: Draw) -> Tensor:
    """Cover the sides with dark or light planes: a scanner's margin, the next page, a desk. Returns how clear of planes
    each pixel is, 0 to 1."""
    chosen, count = papers.some(draw, PLANE_SHARE)
    clear = torch.ones_like(image)
    x, y = papers.places(image)
    for plane in range(PLANES[1]):
        side = torch.randint(0, 4, (count,), generator=draw.generator)[:, None, None]
        angle = side * (math.pi / 2) + 0.05 * torch.randn(count, 1, 1, generator=draw.generator)
        x_off, y_off = x - image.shape[2] / 2, y - image.shape[1] / 2
        away = draw.between(0.55, 1.0, count) * torch.where(side % 2 == 0, image.shape[2] / 2, image.shape[1] / 2)
        across = x_off * angle.cos() + y_off * angle.sin() - away
        soft = draw.between(0.3, 3, count)
        there = (across / soft).sigmoid() * (draw.between(0, 1, count) < 0.8 / (plane + 1))
        level = draw.between(0, 1, count).sqrt()
        grain = papers.noise(count, image, 6, draw) * draw.between(0, 0.4, count) * level
        image[chosen] = image[chosen].lerp((level - grain).clamp(0, 1), there)
        clear[chosen] *= 1 - there
    return clear


def coarse(image: Tensor, em: Tensor, draw: Draw) -> None:
    """Reduce scenes to fewer pixels and enlarge them again, as long as a digit keeps ten pixels."""
    chosen, count = papers.some(draw, 0.2)
    factor = torch.rand(count, generator=draw.generator)
    for place, share in zip(chosen.tolist(), factor.tolist(), strict=True):
        least = min(1.0, 10.0 / float(em[place]))
        scale, shape = least + (1 - least) * share, image.shape[1:]
        size = [max(16, round(side * scale)) for side in shape]
        small = functional.interpolate(image[place][None, None], size=size, mode="area")
        image[place] = functional.interpolate(small, size=shape, mode="bilinear", align_corners=False)[0, 0]

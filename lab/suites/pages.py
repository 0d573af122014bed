"""Draw photographs of pages with known numbers, to measure how well numbers are found and read.

A page has 1 to 40 numbers of 1 to 8 digits. They stand on lines, in columns with words before them, in a ruled table,
or scattered at many angles. There can be print and handwriting beside them. The page lies on a desk and is photographed
by a telephone (`photographs`) with 1 to 12 megapixels; it can also be turned. Pictures of signs show writing that a
reader of digits may take for another number: a minus sign, decimals, fractions, dates, sums, struck-out numbers.

The ink is either MNIST's test digits or pen strokes. MNIST's digits are written as `sheets` writes them, with many
writers side by side. The pen strokes are those of the 14 writers of `pendigits-orig.tes` (Alimoglu and Alpaydin, 1996);
each number is by one writer, drawn with one pen. Signs are drawn. Nothing here is used in training. A page depends only
on its half, its ink and its place. Turning a page does not change what is written on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageDraw

from lab.suites import photographs
from lab.suites.digits import HALVES, Half, Random, check_half, generator, ink_of
from lab.suites.found import Points, There
from lab.suites.out_of_distribution import draw_stroke, scribble
from lab.suites.photographs import Laid, ground, lit, mapped, on_desk, resampled, taken, turned
from lab.suites.sheets import SCALE, Cover, Hand, Ink, digit, line, pen_of, put, stroke
from lab.suites.strips import FONTS, VOCABULARY, capitals_of, letters
from sumnist.errors import DataError

MEGAPIXELS, NUMBERS, DIGITS = (1.0, 12.0), (1, 40), (1, 8)
"""The ranges of a page's megapixels, of its count of numbers, and of the digits of a number; the first two are
log-uniform."""
TURNS = 0, 90, 180, 270, 20, -20
"""Degrees by which pages are turned, clockwise."""
ROOM = 0.06
"""Margin at each side of the visible part of a page, as a share of its width or height."""
LEAST = 16.0
"""Least height of a digit, in pixels."""
INKED = 0.3
"""A pixel belongs to the rectangle of a number if more than this share of it is covered."""
OUTLINED = "Femke Klaver"
"""The writer whose font has hollow digits, with outlines thinner than a pen writes: left out."""
TALL = 6.0 * SCALE
"""Height of a digit in pixels when it is written, before it is scaled and put onto a page."""

DARK = 3
PRINTED = (40, 40, 46), (60, 60, 60), (30, 40, 90), *photographs.LINES
"""RGB colours of print; those after the first `DARK` ones are as pale as rules, and too pale for texts."""

CIRCLE = [(math.cos(turn), math.sin(turn)) for turn in np.linspace(-1.5, 5.2, 14)]
SIGNS: dict[str, tuple[float, list[list[tuple[float, float]]]]] = {
    "-": (0.45, [[(0, 0.52), (0.45, 0.5)]]), "+": (0.55, [[(0, 0.55), (0.55, 0.53)], [(0.27, 0.28), (0.28, 0.8)]]),
    ".": (0.1, [[(0.04, 0.95), (0.06, 0.98)]]), ",": (0.15, [[(0.1, 0.92), (0.02, 1.15)]]),
    "×": (0.5, [[(0.02, 0.3), (0.48, 0.8)], [(0.48, 0.32), (0, 0.8)]]), ")": (0.2, [[(0, -0.1), (0.2, 0.5), (0, 1.1)]]),
    "÷": (0.5, [[(0, 0.55), (0.5, 0.53)], [(0.24, 0.28), (0.26, 0.3)], [(0.24, 0.8), (0.26, 0.82)]]),
    "=": (0.5, [[(0, 0.4), (0.5, 0.38)], [(0, 0.62), (0.5, 0.64)]]),
    "'": (0.12, [[(0.08, -0.05), (0.04, 0.17)]]), "/": (0.4, [[(0, 1.08), (0.4, -0.08)]]),
    ":": (0.1, [[(0.04, 0.4), (0.06, 0.43)], [(0.04, 0.87), (0.06, 0.9)]]), " ": (0.4, []),
    "%": (0.75, [[(0.1, 1.02), (0.65, -0.02)], *([(x + 0.14 * a, y + 0.16 * b) for a, b in CIRCLE]
                                                for x, y in ((0.14, 0.18), (0.62, 0.84)))]),
}  # fmt: skip
"""Width and strokes of each sign, in units of a digit's height; y is 0 at the top of a digit and 1 at its foot."""


class Writers(Protocol):
    """A source of handwritten digits. `name`: what tables call it."""

    name: str

    def number(self, random: Random) -> Callable[[str], Cover]:
        """Return a function that draws the digits of one number, about `TALL` pixels high."""


class Images:
    """A source that takes digits from pictures: from half of MNIST's test images, or from scans."""

    def __init__(self, ink: Ink) -> None:
        self.ink, self.name = ink, ink.name

    def number(self, random: Random) -> Callable[[str], Cover]:
        """Return a function that draws the digits of one number, by many writers with the same pen."""
        hand, pen = Hand(self.ink, TALL, random.normal(0, 0.08), 0.0), pen_of(random)
        return lambda text: digit(text, pen, hand, random)


class Strokes:
    """The writers of one half in a file of pen strokes in UNIPEN's format.

    Writers with even numbers are for development, those with odd numbers for the report. Raises `DataError` if the half
    has no writers.
    """

    name = "pen strokes"

    def __init__(self, file: Path, half: Half) -> None:
        self.writers: dict[int, dict[str, list[list[Points]]]] = {}
        parity, text = HALVES.index(check_half(half)), ""
        strokes: list[list[tuple[float, float]]] = []
        for words in (one.split() for one in file.read_text(encoding="latin-1").splitlines()):
            if words[:2] == [".SEGMENT", "DIGIT"]:
                text, strokes = words[4].strip('"'), []
            elif words[:1] == [".COMMENT"] and text and int(words[2]) % 2 == parity:
                strokes = []
                self.writers.setdefault(int(words[2]), {}).setdefault(text, []).append(strokes)  # type: ignore[arg-type]
            elif words[:1] == [".PEN_DOWN"]:
                strokes.append([])
            elif len(words) == 2 and strokes and words[0].lstrip("-").isdecimal():
                strokes[-1].append((float(words[0]), -float(words[1])))
        if not self.writers:
            raise DataError(f"{file}: no writers of the {half} half, expected pendigits-orig.tes: check the name")

    def number(self, random: Random) -> Callable[[str], Cover]:
        """Return a function that draws the digits of one number, by one writer with one pen."""
        digits = self.writers[int(random.choice([*self.writers]))]
        width, slant = random.uniform(0.3, 0.75) * SCALE, random.normal(0, 0.08)

        def draw(text: str) -> Cover:
            strokes = [np.array(one) for one in digits[text][random.integers(len(digits[text]))] if len(one)]
            every = np.concatenate(strokes)
            low, size = every.min(0), np.ptp(every, 0)
            factor = min(TALL * random.normal(1, 0.06) / max(size[1], 1), 1.1 * TALL / max(size[0], 1))
            wide, high = (np.ceil(factor * size).astype(int) + 2).tolist()
            room = width + 0.3 * TALL
            canvas = Image.new("L", (round(2 * (wide + 2 * room)), round(2 * (high + 2 * width))))
            for one in strokes:
                x, y = (2 * (factor * (one - low) + (room, width))).T
                points = list(zip((x + slant * (high - y)).tolist(), y.tolist(), strict=True))
                draw_stroke(ImageDraw.Draw(canvas), points if len(points) > 1 else points * 2, 2 * width)
            return tight(covered(canvas.reduce(2)))

        return draw


def covered(ink: Any) -> Cover:
    """Return the share of each pixel that `ink`, light on 0, covers."""
    return np.asarray(ink, np.float32) / np.float32(255)


def tight(cover: Cover) -> Cover:
    """Crop a cover to its ink."""
    rows, columns = (np.flatnonzero((cover > INKED).any(axis)) for axis in (1, 0))
    return cover[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def written(text: str, writers: Writers, random: Random, struck: bool = False) -> Cover:
    """Write a text on a line, and crop it to its ink; `struck`: whether a line strikes it out."""
    draw, width, gap = writers.number(random), random.uniform(0.4, 0.75) * SCALE, random.uniform(0.04, 0.2)
    cover = np.zeros((round(2.2 * TALL), round((len(text) + 2) * 1.5 * TALL)), np.float32)
    at, top = TALL, 0.6 * TALL
    for character in text:
        if character in SIGNS:
            wide, strokes = SIGNS[character]
            for points in strokes:
                shaken = np.array(points) * TALL + random.normal(0, 0.02 * TALL, 2) + (at, top)
                stroke(cover, [(x, y) for x, y in shaken.tolist()], width)
            at += wide * TALL
        else:
            part = tight(draw(character))
            put(cover, part, (at + part.shape[1] / 2, top + TALL * (1 + random.normal(0, 0.03)) - part.shape[0] / 2))
            at += part.shape[1]
        at += TALL * max(0.02, gap + random.normal(0, 0.03))
    if struck:
        low, high = (top + TALL * (0.5 + random.normal(0, 0.08)) for _ in range(2))
        line(cover, (TALL * 0.75, low), (at + 0.1 * TALL, high), width, random)
    return tight(cover)


def word(half: Half, by_hand: bool, random: Random) -> Cover:
    """Return a word or name: printed in a font of the half, or `by_hand` in capitals of one of its writers."""
    text = str(random.choice(VOCABULARY[half].split()))
    if not by_hand:
        font = int(random.choice(np.arange(len(FONTS))[HALVES.index(half) :: 2]))
        return covered(np.concatenate([letters()[font, letter] for letter in text], 1))
    capitals = capitals_of(half)
    writer = str(random.choice(sorted({one for one, _ in capitals} - {OUTLINED})))
    parts = [tight(covered(capitals[writer, letter])) for letter in text.upper()]
    return np.concatenate([np.pad(resized(part, 40 / len(part)), ((0, 0), (0, 5))) for part in parts], 1)


def resized(cover: Cover, factor: float) -> Cover:
    """Scale a cover by `factor`, and sharpen its edges if it grows."""
    size = max(1, round(cover.shape[1] * factor)), max(1, round(cover.shape[0] * factor))
    large = np.asarray(Image.fromarray(cover).resize(size, Image.Resampling.BICUBIC))
    return np.asarray(((large - 0.5) * max(1.0, factor / 1.5) + 0.5).clip(0, 1), np.float32)


def laid(layer: Cover, cover: Cover, middle: Points, angle: float) -> Points:
    """Lay a cover onto a layer, turned by an angle in radians around its middle, and return its corners on the
    layer."""
    high, wide = cover.shape
    turn = turned(-angle)[:2, :2]
    corners: Points = np.array([(-wide, -high), (wide, -high), (wide, high), (-wide, high)]) / 2 @ turn.T + middle
    start = np.floor(corners.min(0) - 1).astype(int)
    size = np.ceil(corners.max(0) + 1).astype(int) - start
    back = np.column_stack([turn.T, np.array([wide, high]) / 2 - turn.T @ (middle - start)])
    way = np.vstack([back, [0, 0, 1]])
    there = resampled(cover, way, tuple(size.tolist()), Image.Resampling.BICUBIC)
    put(layer, there, tuple((start + size / 2).tolist()))
    return corners


# Pages.

LAYOUTS = "lines", "columns", "table", "scattered"


@dataclass(frozen=True)
class Written:
    """A page as it is written, before it is photographed.

    Attributes:
        there: The numbers on it, with corners in pixels of the layers.
        pen: The share of each pixel that handwriting covers.
        print: The share of each pixel that print covers.
        seen: Width and height of the visible part around the page's middle, in pixels.
        height: The digits' height in pixels.
    """

    there: list[There]
    pen: Cover
    print: Cover
    seen: tuple[int, int]
    height: float


def page(half: Half, writers: Writers, place: int) -> Written:
    """Write the page at a place."""
    random = generator(HALVES.index(check_half(half)), f"page of {writers.name}", place)
    longer, shorter = np.sqrt(1e6 * math.exp(random.uniform(*np.log(MEGAPIXELS))) * np.array([4 / 3, 3 / 4]))
    seen = np.array([longer, shorter] if random.random() < 0.3 else [shorter, longer]).astype(int)
    count, layout = round(math.exp(random.uniform(*np.log(NUMBERS)))), LAYOUTS[place % len(LAYOUTS)]
    sheet = (seen * (random.uniform(0.97, 1.0) if random.random() < 0.6 else 1.25)).astype(int)
    pen, printed = np.zeros((2, *sheet[::-1]), np.float32)
    wide, high = seen * (1 - 2 * ROOM)
    left, top = (sheet - (wide, high)) / 2
    if random.random() < 0.5:
        used = head(printed, half, left, top, wide, shorter / random.uniform(18, 40), random)
        top, high = top + used, high - used
    # A grid of cells, each as wide as the widest number may be.
    square = max(1, round(math.sqrt(count * wide / high) * random.uniform(0.8, 1.3)))
    across = int({"lines": random.integers(1, 5), "columns": random.integers(1, 3)}.get(layout, square))
    while True:
        rows = max(-(-count // across), 1 + (layout == "table"))
        most = min(high / rows / 1.7, wide / across / 2.6, shorter / 6)
        if most * 0.7 >= LEAST or across >= count:
            break
        across += 1
    height = max(LEAST, float(most) * random.uniform(0.55, 1))
    cell = np.array([wide / across, high / rows])
    if layout != "scattered":
        cell[1] = min(cell[1], height * random.uniform(1.6, 2.6))
    rest, slope, by_hand = high - cell[1] * rows, math.radians(random.normal(0, 0.7)), bool(random.random() < 0.5)
    if layout == "table" or random.random() < 0.3:
        thick = max(1, round(height * random.uniform(0.03, 0.09)))
        rules(printed, np.array([left, top]), cell, (across, rows), layout == "table", thick)
    if rest > 3 * height and random.random() < 0.5:  # a signature
        signed = covered(ink_of(scribble(random)))
        spot = left + wide * random.uniform(0.3, 0.7), top + high - rest / 2
        put(pen, resized(signed, 2 * height / len(signed)), spot)
    filled, there = set(random.permutation(across * rows)[:count].tolist()), []
    for at in range(across * rows):
        corner = np.array([left, top]) + cell * (at % across, at // across)
        if layout == "columns" or (at not in filled and layout != "table" and random.random() < 0.4):
            label, share = word(half, by_hand, random), 0.4 if layout == "columns" else 0.8
            part = resized(label, min(0.75 * height / len(label), share * cell[0] / label.shape[1]))
            put(pen if by_hand else printed, part, (corner[0] + part.shape[1] / 2, corner[1] + cell[1] / 2))
        if at in filled:
            text, angle = number(random), slope + random.normal(0, 0.015)
            if layout == "scattered":
                angle = random.choice([0, 0, 0, 0, math.pi / 2, -math.pi / 2]) + math.radians(random.uniform(-25, 25))
            cover, spread = written(text, writers, random), np.abs(turned(angle)[:2, :2])
            free = cell * ((0.5 if layout == "columns" else 0.88), 0.86)
            fits = free / (spread @ cover.shape[::-1])
            cover = resized(cover, min(height * random.uniform(0.9, 1.1) / TALL, *fits))
            aside = (1.0, 0.5) if layout == "columns" else random.uniform(0.2, 0.8, 2)
            middle = corner + (cell - free) * ((0.85 if layout == "columns" else 0.5), 0.5) + free * aside
            middle = middle + (0.5 - np.array(aside)) * (spread @ cover.shape[::-1])
            there.append(There(text, int(text), laid(pen, cover, middle, angle)))
    return Written(there, pen, printed, (int(seen[0]), int(seen[1])), height)


def head(layer: Cover, half: Half, left: float, top: float, wide: float, size: float, random: Random) -> float:
    """Print a heading and some lines below it, and return their height."""
    used = 0.5 * size
    for factor in (1.0, *[0.5] * random.integers(0, 4)):
        at = left
        while at < left + wide * random.uniform(0.3, 0.8):
            printed = word(half, False, random)
            part = resized(printed, factor * size / len(printed))
            put(layer, part, (at + part.shape[1] / 2, top + used))
            at += part.shape[1] + 0.3 * size
        used += 1.6 * factor * size
    return used


def number(random: Random) -> str:
    """Draw a random number of 1 to 8 digits, more often a short one, without leading zeros."""
    count = min(int(random.integers(*DIGITS, endpoint=True)) for _ in range(2))
    return str(random.integers(10 ** (count - 1) if count > 1 else 0, 10**count))


def rules(layer: Cover, start: Points, cell: Points, counts: tuple[int, int], upright: bool, width: int) -> None:
    """Print the lines of a table, or, if not `upright`, lines to write on."""
    canvas, end = Image.fromarray(layer), start + cell * counts
    pen = ImageDraw.Draw(canvas)
    for y in (start[1] + cell[1] * row for row in range(0 if upright else 1, counts[1] + 1)):
        pen.line([(start[0], y), (end[0], y)], fill=0.8, width=width)
    for x in (start[0] + cell[0] * column for column in range(counts[0] + 1) if upright):
        pen.line([(x, start[1]), (x, end[1])], fill=0.8, width=width)
    layer[:] = np.asarray(canvas)


def photographed(half: Half, page: Written, turn: float, random: Random, most: int = 99) -> tuple[bytes, list[There]]:
    """Photograph a page turned by `turn` degrees clockwise, and return the JPEG and the numbers on it. Its print has
    one of the first `most` colours."""
    high, wide = page.pen.shape
    angle = math.radians(turn)
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    frame = round(page.seen[0] * cos + page.seen[1] * sin), round(page.seen[0] * sin + page.seen[1] * cos)
    focus, tilt, around = 1.4 * max(frame), math.radians(min(abs(random.normal(0, 4)), 9)), random.uniform(0, 6.28)
    seen = photographs.rotated((math.cos(around), math.sin(around), 0.0), tilt)[:, :2] @ turned(-angle)[:2, :2]
    lens = np.array([[focus, 0, frame[0] / 2], [0, focus, frame[1] / 2], [0, 0, 1]])
    camera = lens @ np.column_stack([seen, [0, 0, focus]])
    camera /= camera[2, 2]
    # The desk and the paper are drawn at half the size, which nobody notices; the ink is drawn at full size.
    half_size, zoom = (frame[0] // 2, frame[1] // 2), np.diag([0.5, 0.5, 1])
    small = Laid(*half_size, zoom @ camera, (wide, high), angle)
    desk = np.ascontiguousarray(np.moveaxis(on_desk(ground(half, small, random), small, random), 2, 0))
    light = np.stack([resampled(one, zoom, frame) for one in desk], 2)
    back = np.array([[1, 0, wide / 2], [0, 1, high / 2], [0, 0, 1]]) @ np.linalg.inv(camera)
    printed = PRINTED[random.integers(min(most, len(PRINTED)))]
    ink = photographs.INKS[random.choice(len(photographs.INKS), p=(0.4, 0.3, 0.15, 0.1, 0.05))]
    for layer, colour, least in ((page.print, printed, 0.6), (page.pen, ink, 0.7)):
        cover = resampled(layer, back, frame, Image.Resampling.BICUBIC).clip(0, 1)
        uneven = 0.06 * photographs.smooth_noise(cover.shape, 8, random).astype(np.float32)
        cover = (cover * (random.uniform(least, 1) + uneven)).clip(0, 1)[:, :, None]
        light += (np.array(colour, np.float32) / 255 - light) * cover
    picture = taken(lit(light, random), min(min(frame) / 900, page.height / 22), random)
    moved = [one._replace(corners=mapped(camera, one.corners - (wide / 2, high / 2))) for one in page.there
             if one.corners is not None]  # fmt: skip
    return picture, moved


def seen(half: Half, writers: Writers, place: int, turn: float = 0) -> tuple[bytes, list[There]]:
    """Return the photograph of the page at a place, and the numbers on it."""
    random = generator(HALVES.index(half), f"photograph of {writers.name}", place)
    return photographed(half, page(half, writers, place), turn, random)


# Signs.

ALONE = {
    "-12": "-{9999}", "12.50": "{999}.{099}", "12,50": "{999},{099}", "1'234.50": "{99}'{0999}.{099}",
    "1 234": "{999} {0999}", "two lines": "{9999}\n{9999}",
}  # fmt: skip
KINDS = ALONE | {
    "3/4": "{99}/{99}", "3.4.68": "{28}.{12}.{099}", "3/4/68": "{28}/{12}/{099}", "12:30": "{23}:{059}",
    "12%": "{100}%", "12+3": "{999}+{999}", "struck out": "{99999}",
}  # fmt: skip
"""Each kind of sign, named by an example, and its template. Braces contain the largest number to draw; if it begins
with a zero, the drawn number is padded with zeros. Only the kinds in `ALONE` are numbers by themselves."""


def sign(half: Half, writers: Writers, kind: str, place: int) -> tuple[bytes, list[There]]:
    """Return the photograph of a piece of paper with a sign of one of `KINDS`, and the numbers meant by it."""
    random = generator(HALVES.index(check_half(half)), f"{kind} of {writers.name}", place)

    def some(most: re.Match[str]) -> str:
        zeros = most[1].startswith("0")
        return str(random.integers(not zeros, int(most[1]) + 1)).zfill(len(most[1]) - 1 if zeros else 1)

    texts = re.sub(r"\{(\d+)\}", some, KINDS[kind]).split("\n")
    height = math.exp(random.uniform(math.log(24), math.log(110)))
    lines = [resized(written(text, writers, random, kind == "struck out"), height / TALL) for text in texts]
    wide, pitch = max(one.shape[1] for one in lines), height * random.uniform(1.2, 1.7)
    seen = np.array([wide + height * random.uniform(1.5, 4), pitch * len(lines) + height * random.uniform(1, 3)])
    pen = np.zeros((1.3 * seen[::-1]).astype(int), np.float32)
    slope, there = math.radians(random.normal(0, 2)), []
    for row, (text, cover) in enumerate(zip(texts, lines, strict=True)):
        middle = np.array([cover.shape[1] - wide, pitch * (2 * row + 1 - len(lines))]) + pen.shape[::-1]
        value = Decimal(re.sub("[' ]", "", text).replace(",", ".")) if kind in ALONE else None
        there.append(There(text, value, laid(pen, cover, middle / 2, slope)))
    paper = Written(there, pen, np.zeros_like(pen), (int(seen[0]), int(seen[1])), height)
    return photographed(half, paper, 0, random)


# Columns to add up.


@dataclass(frozen=True)
class Sum:
    """A column of numbers on paper.

    Attributes:
        addends: The numbers to add, from the top down.
        total: The written total; None without one. It may be wrong.
    """

    addends: list[Decimal]
    total: Decimal | None


def column(half: Half, writers: Writers, place: int) -> tuple[bytes, Sum]:
    """Return the photograph of a column of 3 to 9 numbers, and its sum.

    Most columns have a total, under a line or behind =; one total in seven is wrong. Above some a date stands, below
    some a telephone number. In some, one number is struck out. Some stand on ruled paper, and some have words.
    """
    random = generator(HALVES.index(check_half(half)), f"column of {writers.name}", place)
    places = 2 if random.random() < 0.25 else 0
    addends = [Decimal(int(number(random)) % 10**5).scaleb(-places) for _ in range(random.integers(3, 10))]
    total = sum(addends, Decimal(0)) if random.random() < 0.75 else None
    if total is not None and random.random() < 1 / 7:
        total += Decimal(int(random.choice([-10, -1, 1, 10, 100]))).scaleb(-places)
    rows = [(str(one), "addend") for one in addends]
    if random.random() < 0.3:
        rows.insert(int(random.integers(len(rows))), (str(int(number(random)) % 10**5), "struck"))
    if total is not None:
        rows.append(("=" + str(total), "total") if random.random() < 0.25 else (str(total), "under a line"))
    if random.random() < 0.35:
        day, month, year = random.integers(1, (32, 13, 100))
        rows.insert(0, (f"{day}/{month}/{year:02d}", "date"))
    if random.random() < 0.3:
        rows.append((f"0{random.integers(30, 90)}/{random.integers(10**5, 10**7)}", "telephone"))
    height = math.exp(random.uniform(math.log(24), math.log(70)))
    pitch, ruled, by_hand = height * random.uniform(1.6, 2.3), random.random() < 0.35, random.random() < 0.5
    covers = [resized(written(text, writers, random, kind == "struck"), height / TALL) for text, kind in rows]
    labels = [word(half, by_hand, random) if random.random() < 0.4 else None for _ in rows]
    broad = max(one.shape[1] for one in covers)
    named = any(label is not None for label in labels) and random.random() < 0.5
    seen = np.array([broad + height * (random.uniform(2, 5) + 5 * named), pitch * (len(rows) + random.uniform(1, 2))])
    pen, printed = np.zeros((2, *(1.3 * seen[::-1]).astype(int)), np.float32)
    middle = np.array(pen.shape[::-1]) / 2
    right, slope = middle[0] + seen[0] / 2 - height * random.uniform(0.7, 1.2), math.radians(random.normal(0, 1))
    for row, ((_, kind), cover, label) in enumerate(zip(rows, covers, labels, strict=True)):
        y = middle[1] + pitch * (row + 0.5 - len(rows) / 2)
        at = (right - cover.shape[1] / 2 - random.uniform(0, 0.2) * height, y)
        laid(pen, cover, np.array(at), slope)
        if kind == "under a line":
            ends = [(right - broad - 0.3 * height, y - 0.45 * pitch), (right + 0.2 * height, y - 0.45 * pitch)]
            stroke(pen, ends, max(2.0, 0.06 * height))
        if named and label is not None and kind == "addend":
            part = resized(label, min(0.7 * height / len(label), 4 * height / label.shape[1]))
            put(pen if by_hand else printed, part, (middle[0] - seen[0] / 2 + 2.5 * height, y))
        if ruled:
            low = y + 0.5 * pitch
            stroke(printed, [(0, low), (pen.shape[1], low)], max(1.0, 0.03 * height))
    paper = Written([], pen, printed * 0.6, (int(seen[0]), int(seen[1])), height)
    return photographed(half, paper, 0, random)[0], Sum(addends, total)

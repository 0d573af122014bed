"""The ink on a filled form: real writers' single digits, put into boxes and side by side on strips, and strokes.

The digits are MNIST's test images, or scans of single digits in the folders 0 to 9. Nobody says whose they are, so
digits of many writers mix on a sheet; a hand is only how large, how slanted and how close they are written on it. Signs
and crossings-out are drawn. All of it is in pixels of `SCALE` per millimetre.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, cos, sin
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sumnist.data.mnist import DISPUTED_TEST_LABELS, load_mnist
from sumnist.errors import DataError
from sumnist.lab.suites.archive import HALVES, Half, check_half
from sumnist.lab.suites.sheet_truth import FILLERS, Truth
from sumnist.lab.suites.strips import BLOCK
from sumnist.pictures.components import components_of
from sumnist.sheets.layout import Layout
from sumnist.sheets.page import Page, Rectangle

__all__ = ["REACH", "SCALE", "Ink", "Mark", "marks"]

Cover = NDArray[np.float32]
"""How much of each pixel is covered by ink, in [0, 1], `[h, w]`."""

SCALE = 12
"""Pixels of a millimetre: 305 an inch."""
REACH = 3
"""Millimetres around boxes within which their ink may lie."""
HEIGHTS = 4.5, 8.0
"""Of digits, in millimetres: those of a hand lie within, and each digit near those of its hand."""
WIDEST = 7.5
"""Millimetres of a digit in a box."""
SECOND_PEN = 0.15
"""Share of places that are written with another pen than the rest of the sheet; of corrections half."""
GREYS = {"blue": (0.18, 0.45), "black": (0.03, 0.22), "pencil": (0.28, 0.46)}
"""What the ink of each pen leaves of the light, from and to: as pale as what may be told from the printed lines."""
PENS = {"blue": 0.5, "black": 0.35, "pencil": 0.15}
"""How often each is used."""
THREADBARE = 0.3
"""Of a pencil's line so much may be left white by the grain of the paper."""
CUT = 3
"""Pixels at the sides of a scan that are left out: lines of the table it was cut from."""
EDGE = 10
"""What lies within so many pixels of a side is such a line too."""
SPECK = 0.03
"""Parts with less of the ink of the largest one are specks of dust."""
PAPER, PALEST = 0.08, 0.1
"""What is less dark than paper by this is paper, and the least contrast of ink."""
FAINT = 40
"""Of 255: ink that is paler than this is the ground of a scan."""


@dataclass(frozen=True)
class Ink:
    """Pictures of single digits of one half.

    Attributes:
        name: What tables call them.
        digits: Of each digit 0..9 its pictures, uint8 `[h, w]` each, ink light on 0, cut to the ink.
    """

    name: str
    digits: tuple[tuple[NDArray[np.uint8], ...], ...]

    @classmethod
    def mnist(cls, half: Half) -> Ink:
        """MNIST's test images of a half, as the suite of strips has them, but for those whose label is disputed: nobody
        could say what is meant. Raises `ConfigError`, `DataError`."""
        test, places = load_mnist("test"), np.arange(10_000)
        chosen = (places // BLOCK % 2 == HALVES.index(check_half(half))) & ~np.isin(places, DISPUTED_TEST_LABELS)
        kept = test.part(np.flatnonzero(chosen))
        return cls("MNIST", tuple(tuple(map(cut, kept.images[kept.digits == digit])) for digit in range(10)))

    @classmethod
    def scanned(cls, folder: Path, half: Half) -> Ink:
        """The scans in the folders 0 to 9 whose file has an even number, for development, or an odd one, for the
        report. Raises `ConfigError`, and `DataError` if there are none of a digit."""
        parity, found = HALVES.index(check_half(half)), []
        for digit in range(10):
            numbered = (path for path in sorted((folder / str(digit)).glob("*.*")) if path.stem.isdecimal())
            kept = (ink_of_scan(path) for path in numbered if int(path.stem) % 2 == parity)
            found.append(tuple(cut(ink) for ink in kept if (ink > FAINT).any()))
            if not found[-1]:
                raise DataError(
                    f"{folder / str(digit)}: no pictures of the {half} half, expected files such as 00{digit}1.png: "
                    "check the name"
                )
        return cls("scans", tuple(found))


def ink_of_scan(path: Path) -> NDArray[np.uint8]:
    """The ink on a scan, light on 0. Raises `DataError`."""
    try:
        with Image.open(path) as picture:
            grey = np.asarray(picture.convert("L"), np.float32)[CUT:-CUT, CUT:-CUT]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}), expected a picture: take it out") from error
    ink = 1 - grey / np.median(grey)
    ink = np.clip((ink - PAPER) / max(PALEST, float(np.quantile(ink, 0.985)) - PAPER), 0, 1)
    parts = components_of(ink > FAINT / 255, ink)
    if not len(parts):
        return np.zeros(ink.shape, np.uint8)
    top, bottom, left, right = parts.boxes.T
    high, wide = ink.shape
    aside = (bottom <= EDGE) | (top >= high - EDGE) | (right <= EDGE) | (left >= wide - EDGE)
    masses = np.where(aside, 0, parts.masses)
    kept = parts.kept(masses > SPECK * masses.max()).mask()
    near = np.asarray(Image.fromarray(kept).filter(ImageFilter.MaxFilter(3)))
    return np.asarray(ink * near * 255, np.uint8)


def cut(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture without what has no ink around it."""
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis)) for axis in (1, 0))
    return np.pad(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)


class Mark(NamedTuple):
    """The ink on a part of a page.

    Attributes:
        left: Where it begins, in pixels from the left edge of the page.
        top: And from the upper one.
        cover: How much of each pixel is covered.
        grey: What the ink leaves of the light.
    """

    left: int
    top: int
    cover: Cover
    grey: float


class Pen(NamedTuple):
    """What a place is written with: grey, the level at which the edge of a digit is taken (a low one makes it thick),
    the width of drawn strokes in pixels, and how much the grain of the paper shows."""

    grey: float
    level: float
    width: float
    grain: float


class Hand(NamedTuple):
    """How the digits of a sheet are written: their height in pixels, slant, and the gaps between them by that."""

    height: float
    slant: float
    gap: float


def marks(layout: Layout, truth: Truth, ink: Ink, random: np.random.Generator) -> dict[str, tuple[Mark, Mark]]:
    """The ink of each field, and that of its correction."""
    pen = pen_of(random)
    hand = Hand(random.uniform(*HEIGHTS) * SCALE, random.normal(0, 0.08), random.uniform(-0.05, 0.2))
    found = {}
    for place in Page.of(layout).places:
        entry, strip = truth.entries[place.name], layout.field(place.name).kind == "strip"
        used = pen_of(random) if random.random() < SECOND_PEN else pen
        other = pen_of(random) if random.random() < 0.5 else used
        crossed = entry.manner == "corrected"
        found[place.name] = (
            mark(place.boxes, entry.written, strip, ink, used, hand, random, crossed),
            mark(place.correction, entry.correction, strip, ink, other, hand, random),
        )
    return found


def pen_of(random: np.random.Generator) -> Pen:
    """Some pen."""
    kind = str(random.choice(list(PENS), p=list(PENS.values())))
    grain = random.uniform(0.1, THREADBARE) if kind == "pencil" else random.uniform(0, 0.06)
    return Pen(random.uniform(*GREYS[kind]), random.uniform(0.38, 0.56), random.uniform(0.35, 0.8) * SCALE, grain)


def mark(
    boxes: Sequence[Rectangle], written: Sequence[str], strip: bool, ink: Ink, pen: Pen, hand: Hand,
    random: np.random.Generator, crossed: bool = False,
) -> Mark:  # fmt: skip
    """What is written in boxes, or on a strip, `crossed` out or not."""
    left, top = (round(SCALE * (edge - REACH)) for edge in (boxes[0].x, boxes[0].y))
    width = ceil(SCALE * (boxes[-1].right + REACH)) - left
    height = ceil(SCALE * (boxes[0].bottom + REACH)) - top
    cover = np.zeros((height, width), np.float32)
    if not any(written):
        return Mark(left, top, cover, pen.grey)
    frames = [(SCALE * box.x - left, SCALE * box.y - top, SCALE * box.width, SCALE * box.height) for box in boxes]
    if all(text in ("", *FILLERS) for text in written):
        signs(cover, frames, written, pen, random)
    elif strip:
        on_strip(cover, frames[0], written[0], ink, pen, hand, random)
    else:
        in_boxes(cover, frames, written, ink, pen, hand, random)
    if crossed:
        cross_out(cover, pen, random)
    if pen.grain > 0:
        row, column = random.integers(64, size=2)
        cover *= 1 - pen.grain * grain()[row : row + height, column : column + width]
    return Mark(left, top, cover.clip(0, 1), pen.grey)


@cache
def grain() -> Cover:
    """The grain of paper, from 0 to 2."""
    noise = np.random.default_rng(0).standard_normal((320, 2048)).astype(np.float32)
    smooth = noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))
    return np.clip(1 + smooth / 3, 0, 2)


# Digits.

Frame = tuple[float, float, float, float]
"""Left, top, width and height of a box, in pixels of a cover."""


def in_boxes(
    cover: Cover, frames: Sequence[Frame], written: Sequence[str], ink: Ink, pen: Pen, hand: Hand,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """Draw a character into each box."""
    for (x, y, width, height), text in zip(frames, written, strict=True):
        middle = x + width / 2 + random.normal(0, 0.06) * width, y + height / 2 + random.normal(0, 0.05) * height
        if not text.isdecimal():
            signs(cover, [(x, y, width, height)], [text], pen, random)
        else:
            put(cover, digit(text, ink, pen, hand, random, WIDEST * SCALE), middle)


def on_strip(
    cover: Cover, frame: Frame, text: str, ink: Ink, pen: Pen, hand: Hand, random: np.random.Generator
) -> None:
    """Draw a number onto a strip, digit beside digit; what is too wide is made smaller."""
    x, y, width, height = frame
    parts = [None if sign in ",." else digit(sign, ink, pen, hand, random) for sign in text]
    gaps = [hand.height * (hand.gap + random.normal(0, 0.06)) for _ in parts]
    point = 0.35 * hand.height
    whole = sum((point if part is None else part.shape[1]) + gap for part, gap in zip(parts, gaps, strict=True))
    shrunk = min(1.0, (width + 0.5 * SCALE) / whole)
    free = width - whole * shrunk
    at = x + free * random.beta(2, 2)
    base = y + height / 2 + random.normal(0, 0.04) * height + shrunk * hand.height / 2
    for sign, part, gap in zip(text, parts, gaps, strict=True):
        wobble = random.normal(0, 0.03) * hand.height
        if part is None:
            length = (0.25 if sign == "," else 0.03) * hand.height * shrunk
            start = at + shrunk * point / 2, base + wobble - length / 3
            stroke(cover, [start, (start[0] - length / 3, start[1] + length)], 1.3 * pen.width)
            at += (point + gap) * shrunk
            continue
        size = max(1, round(part.shape[1] * shrunk)), max(1, round(part.shape[0] * shrunk))
        scaled = part if shrunk == 1 else np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR))
        put(cover, scaled, (at + scaled.shape[1] / 2, base + wobble - scaled.shape[0] / 2))
        at += scaled.shape[1] + gap * shrunk


def digit(
    text: str, ink: Ink, pen: Pen, hand: Hand, random: np.random.Generator, widest: float = np.inf
) -> Cover:  # fmt: skip
    """A digit as it is written."""
    pictures = ink.digits[int(text)]
    picture = pictures[random.integers(len(pictures))]
    tall, wide = picture.shape
    height = float(np.clip(hand.height * random.normal(1, 0.07), HEIGHTS[0] * SCALE, HEIGHTS[1] * SCALE))
    down = height / tall
    right = min(down * random.uniform(0.9, 1.1), widest / wide)
    down = min(down, 2 * right)
    slant, turn = hand.slant + random.normal(0, 0.04), random.normal(0, 0.04)
    forth = np.array([[1, -slant], [0, 1]]) @ np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    forth = forth @ np.diag([right, down])
    corners = forth @ np.array([[-wide, wide, wide, -wide], [-tall, -tall, tall, tall]]) / 2
    size = np.ceil(np.ptp(corners, 1)).astype(int) + 2
    back = np.linalg.inv(forth)
    shift = np.array([wide, tall]) / 2 - back @ (size / 2)
    values = (*back[0], shift[0], *back[1], shift[1])
    source = Image.fromarray(picture)
    if down > 2:  # edges of enlarged pixels go
        source = source.filter(ImageFilter.GaussianBlur(0.4))
    drawn = source.transform(tuple(size.tolist()), Image.Transform.AFFINE, values, Image.Resampling.BICUBIC)
    steep = max(1.4, down / 2)
    edge = np.asarray(drawn, np.float32) * (steep / 255)
    return np.asarray(np.clip(edge + (0.5 - pen.level * steep), 0, 1), np.float32)


def put(cover: Cover, drawn: Cover, middle: tuple[float, float]) -> None:
    """Lay something over a cover, around a point; what is outside is cut off."""
    tall, wide = drawn.shape
    left, top = round(middle[0] - wide / 2), round(middle[1] - tall / 2)
    rows, columns = slice(max(0, top), max(0, top + tall)), slice(max(0, left), max(0, left + wide))
    place = cover[rows, columns]
    inside = drawn[rows.start - top :, columns.start - left :][: place.shape[0], : place.shape[1]]
    np.maximum(place, inside, out=place)


# Strokes.


def stroke(cover: Cover, points: Sequence[tuple[float, float]], width: float) -> None:
    """Draw a line of a pen."""
    canvas = Image.new("L", (cover.shape[1], cover.shape[0]))
    pen, half = ImageDraw.Draw(canvas), width / 2
    pen.line(points, fill=255, width=round(width), joint="curve")
    for x, y in (points[0], points[-1]):
        pen.ellipse((x - half, y - half, x + half, y + half), fill=255)
    np.maximum(cover, np.asarray(canvas, np.float32) / 255, out=cover)


def bent(
    start: tuple[float, float], end: tuple[float, float], random: np.random.Generator
) -> list[tuple[float, float]]:
    """A line that is not quite straight."""
    (x, y), (u, v) = start, end
    bow, share = random.normal(0, 0.05), np.linspace(0, 1, 9)
    away = 4 * bow * share * (1 - share)
    return list(zip((x + share * (u - x) - away * (v - y)).tolist(), (y + share * (v - y) + away * (u - x)).tolist(),
                    strict=True))  # fmt: skip


def lines(sign: str, frame: Frame) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """From where to where the strokes of a sign go in a frame."""
    x, y, width, height = frame
    if sign == "–":
        yield (x, y + height / 2), (x + width, y + height / 2)
    else:
        yield (x, y + height), (x + width, y)
    if sign == "X":
        yield (x, y), (x + width, y + height)


def signs(cover: Cover, frames: Sequence[Frame], written: Sequence[str], pen: Pen, random: np.random.Generator) -> None:
    """Draw signs that nothing is meant: one in each box, or one over all boxes if they have the same."""
    texts: Sequence[str] = written
    if len(frames) > 1 and len(set(written)) == 1 and random.random() < 0.3:
        (x, y, _, height), (last, _, wide, _) = frames[0], frames[-1]
        frames, texts = [(x, y, last + wide - x, height)], written[:1]
    for (x, y, width, height), text in zip(frames, texts, strict=True):
        share, tall = random.uniform(0.35, 0.85), random.uniform(0.65 if text == "/" else 0.35, 0.85)
        left, top = x + (width - share * width) * random.uniform(0.3, 0.7), y + (1 - tall) / 2 * height
        for start, end in lines(text, (left, top, share * width, tall * height)) if text else ():
            jitter = random.normal(0, 0.04 * height, 4)
            ends = (start[0] + jitter[0], start[1] + jitter[1]), (end[0] + jitter[2], end[1] + jitter[3])
            stroke(cover, bent(*ends, random), pen.width)


def cross_out(cover: Cover, pen: Pen, random: np.random.Generator) -> None:
    """Cross out what there is: by one line or two, an X, or a scribble."""
    rows, columns = (np.flatnonzero((cover > 0.3).any(axis)) for axis in (1, 0))
    top, left = rows[0], columns[0] - random.uniform(0.2, 1.2) * SCALE
    tall, wide = rows[-1] - top, columns[-1] - left + random.uniform(0.2, 1.2) * SCALE
    kind = random.choice(["line", "lines", "X", "scribble"], p=(0.4, 0.2, 0.2, 0.2))
    heights = {"line": [0.5], "lines": [0.35, 0.65]}.get(kind, [])
    for height in heights:
        ends = (top + tall * (height + random.normal(0, 0.12)) for _ in range(2))
        stroke(cover, bent((left, next(ends)), (left + wide, next(ends)), random), pen.width)
    if kind == "X":
        for start, end in lines("X", (left, top, wide, tall)):
            stroke(cover, bent(start, end, random), pen.width)
    if kind == "scribble":
        teeth = int(random.integers(7, 14)) + round(wide / tall * 4)
        across = left + wide * (np.linspace(0, 1, teeth) + random.normal(0, 0.02, teeth))
        down = top + tall * (np.arange(teeth) % 2 * 0.8 + 0.1 + random.normal(0, 0.08, teeth))
        stroke(cover, list(zip(across.tolist(), down.tolist(), strict=True)), pen.width)

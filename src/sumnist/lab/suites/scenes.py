"""Scenes: a sheet, a note or a card on a desk, as a telephone might take it. No camera was involved.

Unlike `photographs` they show where the paper ends: along one side, at a corner, or all round. They are drawn in the
plane of the desk and seen aslant by a pinhole camera: the desk with its grain, boards, threads or specks, the sheet
with its contact shadow and an edge that curls, ink of some pen, a hand's or a telephone's shadow, the desk's gloss,
uneven light, blur, the noise of a sensor, JPEG. Things that lie about on a desk (pens, cups, keys), hands and crumpled
sheets are not in them, so an accuracy on them is no accuracy on real photographs.

A scene depends on its half, its kind and its place alone. The halves differ in the inks, which are those of the other
suites' halves, and in the desks: about half of those of the reported half are in no scene for development.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sumnist.errors import ConfigError
from sumnist.lab.suites.archive import HALVES, Half, check_half
from sumnist.lab.suites.chance import generator
from sumnist.lab.suites.digits import DigitPictures, font_digits, ink_of, mnist_half, small_digits
from sumnist.lab.suites.layout import KINDS, UNIT, Laid, Plane, Points, arranged, resampled
from sumnist.lab.suites.photographs import LINES, PAPERS, inked, lit, perspective, repeated_line, strokes, taken

__all__ = ["KINDS", "SCENES", "Scene", "scene", "scenes"]

SCENES = 60
"""Scenes of each kind in each half."""
SOURCES = (0, 0, 0, 0, 1, 1, 1, 2, 2, 2)
"""Of ten scenes so many show the ink of each of `inks_of`."""
OUTLINED = "Femke Klaver"
"""Whose font has hollow digits, thinner at their edge than a pen writes: left out."""
NOTES = ((252, 233, 106), (255, 214, 84), (250, 160, 186), (166, 222, 148), (150, 206, 238), (252, 178, 98))
"""Yellow, warm yellow, pink, green, blue, orange: RGB of what sticky notes reflect."""
CARDS = ((252, 251, 248), (250, 249, 240), (246, 240, 222), (240, 241, 243))
WOODS = {
    "light wood": ((222, 190, 146), (186, 146, 98)),
    "pale wood": ((228, 210, 180), (204, 180, 144)),
    "dark wood": ((104, 72, 50), (58, 38, 28)),
    "reddish wood": ((160, 92, 62), (108, 52, 36)),
}
"""Between which two colours the grain of a wood lies."""
LAMINATES = {
    "dark laminate": (52, 54, 58),
    "black laminate": (28, 28, 30),
    "grey laminate": (150, 152, 154),
    "white laminate": (238, 238, 235),
    "green board": (58, 104, 86),
}
COMMON = ("light wood", "dark wood", "grey laminate", "white laminate") * 2 + ("print",)
DESKS = {
    HALVES[0]: (*COMMON, "light wood", "dark laminate", "dark laminate"),
    HALVES[1]: (*COMMON, *("pale wood", "reddish wood", "cloth", "cork") * 2, "black laminate", "green board", "stone"),
}
"""What the desks of each half are made of; what stands there twice is so twice as often."""


@dataclass(frozen=True)
class Scene:
    """A scene: `picture`, a JPEG; `digit`, what is written on the sheet; where the sheet and the digit are in it.

    `sheet`: the sheet's four corners (x, y) in pixels, `[4, 2]`, clockwise from its upper left one; some may lie
    outside of the picture, and the sheet is bent, by up to a hundredth of its shorter side.
    `box`: left, top, right and bottom of the ink, in pixels. `desk`: what the sheet lies on.
    """

    picture: bytes
    digit: int
    sheet: Points
    box: tuple[float, float, float, float]
    desk: str


def scenes(half: Half, kind: str, count: int = SCENES) -> DigitPictures:
    """The first `count` scenes of one kind and half, as JPEG. Raises `ConfigError` if there is no such half or kind."""
    drawn = [scene(half, kind, place) for place in range(count)]
    digits = np.array([one.digit for one in drawn], np.int64)
    return DigitPictures(f"scenes: {kind}", tuple(one.picture for one in drawn), digits)


def scene(half: Half, kind: str, place: int) -> Scene:
    """The scene of this half and kind at `place`, 0, 1, …, without end: of ten in a row each shows another digit, four
    by MNIST's writers, three of scikit-learn's digits, three of the handwriting fonts. Raises `ConfigError` if there is
    no such half or kind."""
    check_half(half)
    if kind not in KINDS:
        raise ConfigError(f"kind {kind!r}: unknown, expected one of {', '.join(KINDS)}")
    random = generator(HALVES.index(half), f"scene: {kind}", place)
    digit, ink = written_at(half, place, random)
    laid = arranged(kind, ink.shape, random)
    desk, surface = ground(half, kind, laid, random)
    colours = on_desk(surface, kind, laid, random)
    box = write(colours, ink, laid, random)
    if random.random() < 0.36:
        colours *= hand_shadow(laid, random)[:, :, None]
    pixel = min(min(laid.width, laid.height) / 400, laid.tall / 40)
    picture = taken(lit(colours, random), pixel, random)
    return Scene(picture, digit, laid.seen(laid.corners), box, desk)


def written_at(half: Half, place: int, random: np.random.Generator) -> tuple[int, NDArray[np.uint8]]:
    """The digit at `place`, and the ink of someone who wrote it, light on 0."""
    digit, source = place % 10, SOURCES[(place // 10 + 3 * place) % 10]
    pictures, digits = inks_of(half)[source]
    ink = pictures[random.choice(np.flatnonzero(digits == digit))]
    rows, columns = np.flatnonzero((ink > 40).any(1)), np.flatnonzero((ink > 40).any(0))
    return digit, ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@cache
def inks_of(half: Half) -> tuple[tuple[tuple[NDArray[np.uint8], ...], NDArray[np.int64]], ...]:
    """The inks of a half, light on 0, and their digits: MNIST's, scikit-learn's, those of the fonts."""
    mnist, small, fonts = mnist_half(half), small_digits(half), font_digits(half)
    small_inks = tuple(np.asarray(picture) for picture in small.pictures)
    penned = [place for place, writer in enumerate(fonts.writers) if writer != OUTLINED]
    font_inks = tuple(ink_of(np.asarray(fonts.pictures[place])) for place in penned)
    return (tuple(mnist.images), mnist.digits), (small_inks, small.digits), (font_inks, fonts.digits[penned])


# What lies there.


def ground(half: Half, kind: str, laid: Laid, random: np.random.Generator) -> tuple[str, Plane]:
    """What the sheet lies on: its name and its colours `[H, W, 3]`. A third of the notes stick on other paper."""
    names = DESKS[half]
    name = "paper" if kind == "note" and random.random() < 0.33 else names[random.integers(len(names))]
    unit = max(laid.width, laid.height) / 1000 * random.uniform(0.7, 1.5)
    turn = -laid.turn + math.radians(random.normal(0, 10)) + math.pi / 2 * int(random.integers(2))
    if name in WOODS:
        return name, wood(laid, WOODS[name], unit, turn, random)
    if name in LAMINATES:
        return name, laminate(laid, LAMINATES[name], unit, random)
    return name, OTHERS[name](laid, unit, turn, random)


def wood(
    laid: Laid, colours: tuple[tuple[int, ...], ...], unit: float, turn: float, random: np.random.Generator
) -> Plane:
    """Boards with rings, streaks and pores along them."""
    _, across = laid.plane(turn)
    wide, offset = unit * random.uniform(110, 420), random.uniform(0, 1e4)
    boards = np.floor((across + np.float32(offset)) / np.float32(wide)).astype(np.int32)
    boards -= boards.min()
    shift = random.uniform(-1, 1, boards.max() + 1).astype(np.float32)
    bent = across + unit * 18 * laid.clouds(unit * 480, unit * 90, random, turn) + unit * 300 * shift[boards]
    rings = np.sin(bent / np.float32(unit * random.uniform(3, 9)))
    streaks = laid.clouds(unit * 240, unit * 3, random, turn)
    pores = np.clip(laid.clouds(unit * 40, unit * 1.6, random, turn) - np.float32(1.2), 0, 1)
    share = 0.45 + random.uniform(0.06, 0.22) * rings + 0.13 * streaks + random.uniform(0.1, 0.4) * pores
    share = np.clip(share + 0.14 * shift[boards], 0, 1.3)[:, :, None]
    light, dark = (np.array(colour, np.float32) / 255 for colour in colours)
    surface = light + (dark - light) * share
    if random.random() < 0.6:
        seams = repeated_line(across + np.float32(offset), wide, unit * random.uniform(0.8, 3))
        surface *= (1 - random.uniform(0.3, 0.75) * seams)[:, :, None]
    return np.asarray(surface, np.float32)


def laminate(laid: Laid, colour: tuple[int, ...], unit: float, random: np.random.Generator) -> Plane:
    """A plain surface, worn a little."""
    worn = 1 + 0.02 * laid.clouds(unit * 200, unit * 200, random) + 0.012 * laid.clouds(unit * 3, unit * 3, random)
    return tinted(colour, worn)


def cloth(laid: Laid, unit: float, turn: float, random: np.random.Generator) -> Plane:
    """A weave of two kinds of threads."""
    along, across = laid.plane(turn)
    thread = unit * random.uniform(4, 9)
    warp, weft = np.sin(along * np.float32(np.pi / thread)), np.sin(across * np.float32(np.pi / thread))
    over = warp * weft > 0
    relief = np.where(over, np.abs(weft), np.abs(warp))
    uneven = np.where(
        over, laid.clouds(thread * 30, thread, random, turn), laid.clouds(thread, thread * 30, random, turn)
    )
    tone = 0.72 + 0.28 * relief + 0.07 * uneven
    first = np.array(CLOTHS[random.integers(len(CLOTHS))], np.float32) / 255
    second = np.clip(first * np.float32(random.uniform(0.8, 1.2)), 0, 1)
    return np.asarray(tone[:, :, None] * np.where(over[:, :, None], first, second), np.float32)


CLOTHS = ((96, 108, 132), (170, 156, 132), (142, 48, 52), (228, 224, 214), (70, 84, 66))


def cork(laid: Laid, unit: float, turn: float, random: np.random.Generator) -> Plane:
    """Grains of cork, some of them dark."""
    grains = laid.clouds(unit * 7, unit * 7, random) + 0.8 * laid.clouds(unit * 3, unit * 3, random)
    specks = np.clip(laid.clouds(unit * 9, unit * 6, random, turn) - np.float32(1.25), 0, 0.8)
    return tinted((196, 150, 102), 1 + 0.1 * grains - 0.75 * specks)


def stone(laid: Laid, unit: float, turn: float, random: np.random.Generator) -> Plane:
    """Speckled stone, or what imitates it."""
    dark = np.clip(laid.clouds(unit * 4, unit * 4, random, turn) - np.float32(0.8), 0, 1)
    light = np.clip(laid.clouds(unit * 3, unit * 3, random) - np.float32(1), 0, 1)
    colour = ((186, 182, 176), (110, 110, 114), (206, 196, 180))[random.integers(3)]
    return tinted(colour, 1 + 0.05 * laid.clouds(unit * 60, unit * 60, random) - 0.4 * dark + 0.3 * light)


def printed(laid: Laid, unit: float, turn: float, random: np.random.Generator) -> Plane:
    """A newspaper: columns of grey lines, broken into words."""
    along, across = laid.plane(turn)
    line, column = unit * random.uniform(8, 14), unit * random.uniform(130, 260)
    height = np.abs((across / np.float32(line)) % 1 - np.float32(0.5))
    words = laid.clouds(line * 0.35, line * 0.3, random, turn) + laid.clouds(line * 2.2, line, random, turn)
    text = np.clip(2 * (words + np.float32(0.9)), 0, 1) * np.clip((np.float32(0.27) - height) * 12, 0, 1)
    between = np.clip((np.abs((along / np.float32(column)) % 1 - np.float32(0.5)) - np.float32(0.03)) * 40, 0, 1)
    return tinted((216, 212, 202), 1 - random.uniform(0.12, 0.42) * text * between)


def paper(laid: Laid, unit: float, turn: float, random: np.random.Generator) -> Plane:
    """Another sheet, larger than the picture; some are ruled or squared."""
    colour = PAPERS[random.choice(len(PAPERS), p=(0.5, 0.2, 0.2, 0.0, 0.0, 0.1))]
    return lined(laid, tinted(colour, 1 + 0.012 * laid.clouds(unit * 2, unit * 2, random)), unit * 40, turn, random)


OTHERS: dict[str, Callable[[Laid, float, float, np.random.Generator], Plane]] = {
    "cloth": cloth, "cork": cork, "stone": stone, "print": printed, "paper": paper,
}  # fmt: skip


def tinted(colour: tuple[int, ...], tone: Plane) -> Plane:
    """`colour`, as light as `tone` tells."""
    return np.asarray(tone[:, :, None] * (np.array(colour, np.float32) / 255), np.float32)


def lined(laid: Laid, surface: Plane, spacing: float, turn: float, random: np.random.Generator) -> Plane:
    """`surface` with printed lines: half of them plain, a third ruled, the others squared."""
    kind = random.choice(["plain", "ruled", "squared"], p=(0.5, 0.33, 0.17))
    if kind == "plain":
        return surface
    spacing *= random.uniform(0.7, 1.5) * (0.6 if kind == "squared" else 1)
    width, strength = random.uniform(0.03, 0.06) * spacing, random.uniform(0.3, 0.9)
    axes = laid.plane(turn)
    offset = np.float32(random.uniform(0, spacing))
    covered = np.maximum.reduce(
        [repeated_line(place + offset, spacing, width) for place in (axes if kind == "squared" else axes[1:])]
    )
    colour = np.array(LINES[random.integers(len(LINES))], np.float32) / 255
    return np.asarray(surface + (np.float32(strength) * covered)[:, :, None] * (colour - 1) * surface, np.float32)


def on_desk(surface: Plane, kind: str, laid: Laid, random: np.random.Generator) -> Plane:
    """The sheet on the `surface`, with the shadow where it lies on it; no ink yet."""
    short = laid.short
    round_by = short * random.uniform(0.03, 0.09) if kind == "card" and random.random() < 0.5 else 0.0
    bend = (short * random.uniform(-0.008, 0.008, 2)).astype(np.float32)
    x, y = laid.plane()
    x, y = x + bend[0] * np.cos(y * np.float32(3 / short)), y + bend[1] * np.cos(x * np.float32(3 / short))
    covered = np.clip(0.5 - distance(laid.sheet, round_by, x, y), 0, 1)[:, :, None]
    # Light comes from above on one side; the sheet's far edges throw a wider shadow than its near ones.
    thick = min(short, 600) * random.uniform(0.004, 0.02) * (1.8 if kind == "note" else 1)
    from_x, from_y = thick * random.uniform(-1, 1), thick * random.uniform(0.2, 1)
    away = distance(laid.sheet, round_by, x - np.float32(from_x), y - np.float32(from_y))
    shadow = random.uniform(0.25, 0.6) / (
        1 + np.exp(np.clip(away / np.float32(thick * random.uniform(0.5, 1.2)), -30, 30))
    )
    surface *= (1 - shadow)[:, :, None]
    if random.random() < 0.3:
        surface += gloss(laid, random)[:, :, None]
    sheet = sheet_of(kind, laid, x, y, random)
    sheet -= surface
    sheet *= covered
    surface += sheet
    return surface


def distance(sheet: tuple[float, float], round_by: float, x: Plane, y: Plane) -> Plane:
    """How far each (x, y) is outside of the sheet, whose corners are rounded by a radius: below 0 on it."""
    right = np.abs(x) - np.float32(sheet[0] / 2 - round_by)
    down = np.abs(y) - np.float32(sheet[1] / 2 - round_by)
    if not round_by:
        return np.maximum(right, down)
    outside = np.hypot(np.maximum(right, 0), np.maximum(down, 0))
    return np.asarray(outside + np.minimum(np.maximum(right, down), 0) - np.float32(round_by), np.float32)


def sheet_of(kind: str, laid: Laid, x: Plane, y: Plane, random: np.random.Generator) -> Plane:
    """The sheet's colours, as if it went on for ever; one edge curls towards the light or away from it."""
    colours, odds = {"note": (NOTES, None), "card": (CARDS, None)}.get(
        kind, (PAPERS, (0.45, 0.2, 0.15, 0.08, 0.08, 0.04))
    )
    colour = colours[random.choice(len(colours), p=odds)]
    tone = 1 + 0.015 * random.uniform(0.3, 1.5) * random.standard_normal(x.shape, np.float32)
    across, size = ((x, laid.sheet[0]), (y, laid.sheet[1]))[1 if kind == "note" else random.integers(2)]
    side = 1 if kind == "note" else int(random.choice([-1, 1]))
    inwards = np.clip(size / 2 - side * across, 0, None) / np.float32(laid.short * random.uniform(0.06, 0.3))
    tone += random.uniform(-0.14, 0.08) * np.exp(-inwards)
    sheet = tinted(colour, np.asarray(tone, np.float32))
    if kind == "note":
        return sheet
    spacing = laid.short * random.uniform(0.07, 0.12) if kind == "card" else laid.short * random.uniform(0.025, 0.06)
    return lined(laid, sheet, max(spacing, 12), 0.0, random)


def write(
    colours: Plane, ink: NDArray[np.uint8], laid: Laid, random: np.random.Generator
) -> tuple[float, float, float, float]:
    """Write `ink` on the sheet, in place. Returns left, top, right and bottom of its box."""
    shape = np.array(ink.shape[::-1])
    cover = strokes(ink, round(laid.tall * (1 + 2 / shape.max()))).astype(np.float32)  # with a pixel of `ink` around it
    corners = laid.seen(laid.middle + UNIT * laid.extent * (1 + 2 / shape))
    start = np.floor(corners.min(0) - 2).clip(0).astype(int)
    width, height = np.ceil(corners.max(0) + 2).astype(int) - start
    part = colours[start[1] : start[1] + height, start[0] : start[0] + width]
    numbers = perspective(corners - start, (UNIT + 0.5) * cover.shape[::-1])
    covered = resampled(cover, np.append(numbers, 1).reshape(3, 3), (part.shape[1], part.shape[0]))
    part[:] = inked(part.astype(np.float64), covered.astype(np.float64), random)
    (left, top), (right, bottom) = laid.seen(laid.digit).min(0), laid.seen(laid.digit).max(0)
    return float(left), float(top), float(right), float(bottom)


# What the light does.


def gloss(laid: Laid, random: np.random.Generator) -> Plane:
    """A window or a lamp that the desk reflects: a bright place with a soft border."""
    x = (np.arange(laid.width, dtype=np.float32) / laid.width - random.uniform(0, 1)) / random.uniform(0.1, 0.4)
    y = (np.arange(laid.height, dtype=np.float32) / laid.height - random.uniform(0, 1)) / random.uniform(0.1, 0.4)
    return np.asarray(random.uniform(0.05, 0.3) * np.exp(-(y * y))[:, None] * np.exp(-(x * x)), np.float32)


def hand_shadow(laid: Laid, random: np.random.Generator) -> Plane:
    """What is left of the light under a hand or a telephone that reaches in from a side."""
    side = 160
    drawn = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(drawn)
    turn = random.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(turn), np.sin(turn)])
    aside = np.array([-towards[1], towards[0]])
    tip = side * (0.5 + random.uniform(-0.3, 0.3, 2))
    if random.random() < 0.4:  # a telephone, or the hand's owner
        wide = side * random.uniform(0.3, 0.6)
        pen.line([tuple(tip), tuple(tip + 2 * side * towards)], fill=255, width=round(wide))
    else:
        wide = side * random.uniform(0.07, 0.12)
        palm = tip + side * 0.3 * towards
        pen.line([tuple(palm), tuple(palm + 2 * side * towards)], fill=255, width=round(1.5 * wide))
        pen.ellipse([*(palm - wide), *(palm + wide)], fill=255)
        for finger in range(-2, 3):
            spread = finger * random.uniform(0.5, 0.9) * wide * aside
            end = palm - wide * (2.6 - 0.25 * abs(finger)) * towards + spread
            pen.line([tuple(palm + 0.8 * spread), tuple(end)], fill=255, width=round(0.42 * wide))
    soft = drawn.filter(ImageFilter.GaussianBlur(side * random.uniform(0.008, 0.05)))
    large = soft.resize((laid.width, laid.height), Image.Resampling.BICUBIC)
    return 1 - np.float32(random.uniform(0.15, 0.45) / 255) * np.asarray(large, np.float32)

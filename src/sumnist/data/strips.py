"""Training strips: pictures of one line of digits, composed while a network learns to read numbers of any length.

A number is read in one look by connectionist temporal classification (CTC: Graves and others, 2006), so the target of a
strip is only what is written on it, not where. Everything is made of MNIST's training images and of drawn characters:
`data/texts` says what is written, `compose` where, `data/pens` writes it, `data/papers` adds the paper and the
camera. There is no font in it, and nothing of the strips on which a network is measured. One core composes about 5,000
strips a second, in batches of 64 (measured over 6,144 strips).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sumnist.data import pens, texts
from sumnist.data.augment import Draw
from sumnist.data.glyphs import WRITERS, Watch
from sumnist.data.mnist import DigitSet
from sumnist.data.papers import on_paper, pictured
from sumnist.data.pens import CURRENCY, DRAWN, EDGE, HASH, LETTER, SCRAWL, STAR, Bank, Pieces, Strokes
from sumnist.data.texts import HEIGHT, MOST, NONE, STEP, Flags, Random, Texts, Whole, string_of

# Whose characters they are.

DRAWN_SHARES = 0.3, 0.65, 0.4, 0.3, 0.45, 0.4, 0.3, 0.6, 0.35, 0.5
"""Share of each digit that is drawn (`data/glyphs`), not MNIST's: more where other countries write it otherwise."""
ONE_WRITER_SHARE, SAME_FORM = 0.6, 0.7
"""Share of the lines of one writer, whose digits come from one source and slant alike, and the probability that such a
writer's digit is the very image that stands for this digit elsewhere in the line."""
ONE_HAND = 0.03
"""The share of a digit's images, which lie beside each other in the bank, from which one writer's are taken."""

# How it is written, in ems.

OVERLAPPING_SHARE, OVERLAP, MOST_OVERLAP = 0.45, (-0.2, 0.02), 0.3
WIDE_SHARE, WIDE_GAP = 0.15, (0.35, 0.9)
GAP, UNEVEN_GAP = (0.02, 0.3), 0.3
"""Shares of the lines whose digits overlap and that stand far apart, those gaps and the usual ones, and the standard
deviation of each gap, by the line's. Of the narrower of two, so much lies over the other at most: who could read it?"""
ROOMY = 7
"""Digits up to which a line's gaps are as wide as drawn; in a longer line they are narrower in proportion."""
GROUP_GAP = 0.2, 0.5
"""What is added to the gaps between the thousands of a grouped number."""
SIGN_WIDTH, DASH_WIDTH = (0.08, 0.4), (0.3, 0.6)
"""Room for a stop or comma, up to that of a digit, and for a dash between digits."""
COMMA_TAIL = 0.14, 0.3
"""Length of a comma."""
LEAST_GAP = 0.03
"""Between digits with a sign, beside the room for it."""
LEAST_ADVANCE, LEAST_REPEAT = 4, 8
"""Pixels from a character to the next, at least, one step of the network, and two to one of the same class or
behind a sign."""
TALL = 15
"""Pixels of its image from which a character counts as of full height: a lower one stays lower in its line."""
ASPECT, SCRAWL_ASPECT = (0.75, 1.35), 1.8
"""How much wider than their images the characters of a line are, and how much wider than that scribbles are."""
NARROWEST = 0.4
"""Width of a character by its height, at least, but for a 1."""
UNEVEN = 0.02, 0.1
"""Standard deviation of the sizes of a line's characters."""
SMALL_ZEROS_SHARE, SMALL_ZERO = 0.15, (0.5, 0.85)
"""Share of the lines whose zeros, but for the first digit, are smaller, and their size."""
RAISED_SHARE, RAISED, UNDERLINED_SHARE = 0.4, (0.5, 0.75), 0.6
"""Share of the lines whose decimals, if there are any, are smaller and raised, their size, and the share of these with
a line below them."""
DESCENDING_SHARE, DESCENT, DESCENDERS = 0.2, (0.1, 0.3), (4, 7, 9)
"""Share of the lines in which these digits reach below the others, and how far."""
CLIMB, WOBBLE = 0.03, (0.01, 0.07)
"""Standard deviations of how much each digit stands above the one before, and of its place off that line."""
SLANT, OWN_SLANT, KEPT_SLANT = (0.08, 0.25), 0.05, (0.3, 0.9)
"""Mean and standard deviation of the slant to the right that a line's characters share, the deviation of each one's
own, and how much they keep of the slant of their images, of one writer and of several."""
TURN, BEND = 0.05, 0.35
"""Standard deviations of a character's angle, in radians, and of how far it bends, in pixels of its image."""
PEN, PEN_SPREAD, PENS = (0.045, 0.18), (2.0, 2.8), (1.6, 5.5)
"""Width of a line's pen, the parameters of its beta distribution between these, by which thin ones are likelier, and
its limits in pixels."""
WIDEST_PEN = 0.2, 0.12
"""The widest pen by a character's height, of digits and of signs, whose strokes lie close."""
LIGHT, STEEP = (0.65, 1.0), (1.2, 2.5)
"""Intensity of a line's ink, and how much steeper its edges are than resampling leaves them."""
JOINED_SHARE, JOINED_GAP = 0.4, 0.25
"""Share of the lines in which zeros that follow each other closely are joined by a stroke, and the widest such gap: the
stroke over a wider one is a dash."""
AROUND_WIDTH = {
    "nothing": (0.0, 0.0), "dash": (0.25, 0.7), "line": (0.8, 3.0), "equals": (0.3, 0.6), "stop": (0.1, 0.3),
    "stop and dash": (0.5, 1.0), "colon": (0.1, 0.25), "currency": (0.5, 0.8), "hash": (0.5, 0.8), "stars": (0.4, 1.5),
}  # fmt: skip
"""Widths of what stands before and after."""
AROUND_GAP = 0.05, 0.5
"""Room between that and what is written."""
AROUND_IMAGES = {"currency": (CURRENCY, 0.9), "hash": (HASH, 0.8), "stars": (STAR, 0.5)}
"""What of it is written with images: their kind and their height."""
MOST_STARS = 3
AROUND_STROKES = {
    "dash": [(0.0, 0.45, 1.0, 0.45)], "line": [(0.0, 0.45, 1.0, 0.45)], "stop": [(0.5, 0.0, 0.3, -0.1)],
    "equals": [(0.0, 0.3, 1.0, 0.3), (0.0, 0.6, 1.0, 0.6)], "colon": [(0.5, 0.1, 0.5, 0.1), (0.5, 0.55, 0.5, 0.55)],
    "stop and dash": [(0.1, 0.0, 0.05, -0.1), (0.35, 0.4, 1.0, 0.4)],
}  # fmt: skip
"""And what with strokes: from (x, y) to (x, y) by its width and in ems above the line."""
SHAKY = 0.05
"""Standard deviation of the ends of strokes."""
RAISED_STOP_SHARE = 0.15
"""Share of the lines whose stops stand halfway up."""

# Where it stands in its strip.

HEIGHTS, HEIGHT_SPREAD = (0.4, 1.0), (2.6, 1.4)
"""Height of the ink by the strip's, and the parameters of its beta distribution, which is highest at 0.88."""
CUT_SHARE, CUT = 0.06, 0.08
"""Share of the lines that touch the strip's upper or lower edge, and how much of the strip's height is cut at most."""
MARGIN, WIDE_MARGIN_SHARE, WIDE_MARGIN = (0.0, 0.4), 0.1, (0.5, 2.0)
"""Room beside what is written, by the strip's height, and the share of the sides with much more of it."""
BLANK_WIDTH = 0.3, 4.0
"""Ems of a blank line."""
NEIGHBOUR_SHARE, NEIGHBOURS = 0.08, 3
"""Share of the lines with ink of others at the edges, and how many characters of it at most."""
ENTERING, ENTERING_SIDE = (0.04, 0.2), (1, 4)
"""How far these enter from above and below, by the strip's height, and from the sides, in pixels."""
BESIDE = 9
"""Pixels of margin from which a neighbour may enter it."""
ZIGZAG_SHARE, CROSSINGS, BARS = 0.5, 10, (3, 6)
"""Share of the numbers crossed out by a zigzag, its strokes, and those of the others: from, to but not including."""

Floats = NDArray[np.float64]
Part = TypeVar("Part", Pieces, Strokes)


@dataclass(frozen=True)
class Lines:
    """Texts in their places, in pixels of their strips; an array `[N]` for each property, or `[N, 12]` for one of its
    characters, or `[N, 2]` for one of what stands before and after."""

    text: Texts
    place: Whole
    """`[N, 12]`: images of the bank."""
    one_writer: Flags
    wide: Floats
    high: Floats
    """`[N, 12]`: pixels of the strip for one of the image."""
    left: Floats
    right: Floats
    top: Floats
    bottom: Floats
    """`[N, 12]`: the boxes of the characters, without slant."""
    around: Floats
    """`[N, 2, 2]`: where what stands before and after begins and ends."""
    base: Floats
    """`[N, 12]`: where the line is on which the characters stand."""
    em: Floats
    raised: Flags
    """Whether the decimals are."""
    width: Whole
    """Of the strip, a multiple of `STEP`."""
    slant: Floats
    pen: Floats
    light: Floats
    steep: Floats


def compose(bank: Bank, text: Texts, random: Random) -> tuple[Lines, Pieces, Strokes]:
    """The lines of these texts, with the characters and strokes of which they are made."""
    lines = placed(bank, text, random)
    pieces = [make(bank, lines, random) for make in (characters, signs_around, neighbours)]
    return lines, together(pieces), together([*strokes_of(lines, random)])


def together(parts: list[Part]) -> Part:
    """All these pieces, or strokes, as one."""
    return type(parts[0])(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


# Places.


class Chance:
    """Random values for `count` lines."""

    def __init__(self, count: int, random: Random) -> None:
        self.count, self.random = count, random

    def some(self, share: float, *shape: int) -> Flags:
        """Which, of the given share."""
        return self.random.random((self.count, *shape)) < share

    def between(self, limits: tuple[float, float], *shape: int) -> Floats:
        """`[N, *shape]`, uniform."""
        return self.random.uniform(*limits, (self.count, *shape))

    def normal(self, deviation: float, *shape: int) -> Floats:
        """`[N, *shape]`, around 0."""
        return self.random.normal(0, deviation, (self.count, *shape))


def placed(bank: Bank, text: Texts, random: Random) -> Lines:
    """Where the characters of each text stand."""
    chance = Chance(len(text.kind), random)
    place, one_writer = chosen(bank, text, chance)
    raised = chance.some(RAISED_SHARE) & text.fraction.any(1)
    high = sizes(text, raised, chance) / np.maximum((bank.bottom - bank.top)[place], TALL)
    wide = high * chance.between(ASPECT, 1) * np.where(text.kind == texts.SCRIBBLE, SCRAWL_ASPECT, 1)[:, None]
    tall, broad = high * (bank.bottom - bank.top)[place], wide * (bank.right - bank.left)[place]
    wider = np.where(text.digit == 1, 1, np.maximum(1, NARROWEST * tall / broad))
    wide, broad = wide * wider, broad * wider

    steady = np.minimum(1, ROOMY / np.maximum(text.length, 1))[:, None]
    line = -chance.normal(CLIMB, 1) * steady * np.arange(MOST)
    bottom = line + chance.normal(1, MOST) * chance.between(WOBBLE, 1)
    descends = chance.some(DESCENDING_SHARE, 1) & np.isin(text.digit, DESCENDERS) & ~text.fraction
    bottom += descends * chance.between(DESCENT, 1)
    bottom -= (raised[:, None] & text.fraction) * (1 - tall)
    highest = np.where(text.there, bottom - tall, np.inf).min(1, initial=-1)
    lowest = np.where(text.there, bottom, -np.inf).max(1, initial=0)
    share = HEIGHTS[0] + (HEIGHTS[1] - HEIGHTS[0]) * random.beta(*HEIGHT_SPREAD, len(place))
    em = HEIGHT * share / (lowest - highest)
    free = HEIGHT - em * (lowest - highest)
    cut = chance.between((0, CUT)) * HEIGHT
    touching = np.where(chance.some(0.5), -cut, free + cut)
    first = np.where(chance.some(CUT_SHARE), touching, chance.between((0, 1)) * free)

    scale = em[:, None]
    down = (first - em * highest)[:, None]
    slant = SLANT[0] + chance.normal(SLANT[1])
    left, around, width = across(text, broad * scale, em, abs(slant) * (lowest - highest) * em / 2, chance)
    pen = np.clip(em * (PEN[0] + (PEN[1] - PEN[0]) * random.beta(*PEN_SPREAD, len(em))), *PENS)
    return Lines(
        text, place, one_writer, wide * scale, high * scale, left, left + broad * scale, down + (bottom - tall) * scale,
        down + bottom * scale, around, down + line * scale, em, raised, width, slant, pen, chance.between(LIGHT),
        chance.between(STEEP),
    )  # fmt: skip


def chosen(bank: Bank, text: Texts, chance: Chance) -> tuple[Whole, Flags]:
    """Images of the bank for the characters, `[N, 12]`, and which lines are by one writer, `[N]`."""
    one_writer = chance.some(ONE_WRITER_SHARE)
    source = np.where(one_writer[:, None], chance.between((0, 1), 1), chance.between((0, 1), MOST))
    kinds = text.digit + DRAWN * (source < np.array(DRAWN_SHARES)[text.digit])
    kinds[text.kind == texts.WORD], kinds[text.kind == texts.SCRIBBLE] = LETTER, SCRAWL
    hand = chance.between((0, 1), 1)
    form = np.take_along_axis((hand + chance.between((0, ONE_HAND), 10)) % 1, text.digit, 1)
    same = one_writer[:, None] & chance.some(SAME_FORM, MOST) & (kinds < LETTER)
    span = np.where(one_writer[:, None] & (kinds < LETTER), ONE_HAND, 1)
    other = (hand + span * chance.between((0, 1), MOST)) % 1
    return bank.choose(kinds, np.where(same, form, other)), one_writer


def sizes(text: Texts, raised: Flags, chance: Chance) -> Floats:
    """Heights of the characters in ems, `[N, 12]`."""
    size = 1 + np.clip(chance.normal(1, MOST) * chance.between(UNEVEN, 1), -0.35, 0.35)
    small = chance.some(SMALL_ZEROS_SHARE, 1) & (text.digit == 0) & (np.arange(MOST) > 0)
    small &= ~np.isin(text.kind, (texts.WORD, texts.SCRIBBLE))[:, None]
    size *= np.where(small, chance.between(SMALL_ZERO, 1), 1)
    return size * np.where(raised[:, None] & text.fraction, chance.between(RAISED, 1), 1)


def across(text: Texts, broad: Floats, em: Floats, lean: Floats, chance: Chance) -> tuple[Floats, Floats, Whole]:
    """Where the characters begin, `[N, 12]`, where what stands around them begins and ends, `[N, 2, 2]`, and the widths
    of the strips, `[N]`. `broad`: the characters' widths; `lean`: how far slanted ones reach beyond them."""
    narrower = np.minimum(broad, np.roll(broad, -1, 1))
    advance = broad + np.maximum(gaps(text, chance) * em[:, None], -MOST_OVERLAP * narrower)
    again = (text.sign != NONE) | (text.digit == np.roll(text.digit, -1, 1))
    advance = np.maximum(advance, np.where(again, LEAST_REPEAT, LEAST_ADVANCE))
    left = np.cumsum(advance, 1) - advance
    span = np.where(text.there, left + broad, 0).max(1)
    span += (text.kind == texts.BLANK) * chance.between(BLANK_WIDTH) * em
    limits = np.array([*AROUND_WIDTH.values()])[text.around]  # N, 2, from and to
    room = em[:, None] * (limits[..., 0] + (limits[..., 1] - limits[..., 0]) * chance.between((0, 1), 2))
    apart = em[:, None] * chance.between(AROUND_GAP, 2) * (text.around > 0)
    margin = np.where(chance.some(WIDE_MARGIN_SHARE, 2), chance.between(WIDE_MARGIN, 2), chance.between(MARGIN, 2))
    margin = margin * HEIGHT + lean[:, None]
    length = (text.targets > 0).sum(1)
    least = np.maximum((margin + room + apart).sum(1) + span, STEP * (2 * length - 1))
    width = STEP * np.ceil(least / STEP).astype(np.int64)
    spare = width - (margin + room + apart).sum(1) - span
    start = margin[:, 0] + spare * chance.between((0, 1)) + room[:, 0] + apart[:, 0]
    begins = np.stack([start - apart[:, 0] - room[:, 0], start + span + apart[:, 1]], 1)
    return left + start[:, None], np.stack([begins, begins + room], 2), width


def gaps(text: Texts, chance: Chance) -> Floats:
    """Ems between each character and the next, `[N, 12]`, with the room for a sign between them."""
    kind = chance.between((0, 1), 1)
    gap = np.where(kind < WIDE_SHARE, chance.between(WIDE_GAP, 1), chance.between(GAP, 1))
    gap = np.where(kind > 1 - OVERLAPPING_SHARE, chance.between(OVERLAP, 1), gap)
    gap = gap * (1 + chance.normal(UNEVEN_GAP, MOST)) * np.minimum(1, ROOMY / np.maximum(text.length, 1))[:, None]
    gap += text.group * chance.between(GROUP_GAP, 1)
    stop, dash = chance.between(SIGN_WIDTH, MOST), chance.between(DASH_WIDTH, MOST)
    room = np.where(text.sign == texts.DASH, dash, np.where(text.sign == NONE, 0, stop))
    return np.where(text.sign == NONE, gap, np.maximum(gap, LEAST_GAP) + room)


# Characters.


def characters(bank: Bank, lines: Lines, random: Random) -> Pieces:
    """The digits, letters and scribbles."""
    strip, slot = np.nonzero(lines.text.there)
    place = lines.place[strip, slot]
    x, y = (lines.left + lines.right)[strip, slot] / 2, (lines.top + lines.bottom)[strip, slot] / 2
    return pieces_at(bank, lines, strip, place, x, y, lines.wide[strip, slot], lines.high[strip, slot], random)


def pieces_at(
    bank: Bank, lines: Lines, strip: Whole, place: Whole, x: Floats, y: Floats, wide: Floats, high: Floats,
    random: Random,
) -> Pieces:  # fmt: skip
    """Images of the bank as characters of their lines, by the lines' pens."""
    count = len(strip)
    kept = np.where(lines.one_writer[strip], *KEPT_SLANT)
    slant = lines.slant[strip] + random.normal(0, OWN_SLANT, count) + kept * bank.slant[place]
    light = np.minimum(lines.light[strip] * random.uniform(0.92, 1.05, count), 1)
    bend = np.stack([random.normal(0, BEND, (count, 2)), random.uniform(0, 2 * np.pi, (count, 2))], 2)
    most = np.where(place < bank.firsts[LETTER], *WIDEST_PEN) * high * (bank.bottom - bank.top)[place]
    pen = np.minimum(lines.pen[strip] * random.uniform(0.9, 1.1, count), most)
    angle = random.normal(0, TURN, count)
    values = (x, y, wide, high, slant, angle, pen, lines.steep[strip], light, bend)
    return Pieces(strip, place, *(value.astype(np.float32) for value in values))


def sized(bank: Bank, place: Whole, tall: Floats, random: Random) -> tuple[Floats, Floats]:
    """Pixels for one of the image, across and down, that make the images at `place` so tall, in pixels."""
    high = tall / (bank.bottom - bank.top)[place]
    return high * random.uniform(*ASPECT, len(place)), high


def signs_around(bank: Bank, lines: Lines, random: Random) -> Pieces:
    """What stands before and after as images: stars, a # or a sign of a currency."""
    names = [*texts.AROUND]
    kind, size = (np.array([AROUND_IMAGES.get(name, (-1, 0.0))[i] for name in names]) for i in (0, 1))
    code = lines.text.around  # N, 2
    begin, room = lines.around[..., 0], lines.around[..., 1] - lines.around[..., 0]
    stars = np.clip(room / (size[names.index("stars")] * lines.em[:, None]), 1, MOST_STARS).astype(np.int64)
    count = np.where(code == names.index("stars"), stars, (kind[code] >= 0) * 1)
    strip, side, number = np.nonzero(np.arange(MOST_STARS) < count[..., None])
    place = bank.choose(kind[code[strip, side]].astype(np.int64), random.random(len(strip)))
    tall = size[code[strip, side]] * lines.em[strip] * random.uniform(0.85, 1.15, len(strip))
    x = begin[strip, side] + room[strip, side] * (number + 0.5) / count[strip, side]
    y = level(lines)[strip, side] - lines.em[strip] * random.uniform(0.4, 0.55, len(strip))
    return pieces_at(bank, lines, strip, place, x, y, *sized(bank, place, tall, random), random)


def level(lines: Lines) -> Floats:
    """Where the line on which the characters stand is before and after them, `[N, 2]`."""
    last = np.maximum(lines.text.length - 1, 0)
    return np.stack([lines.base[:, 0], np.take_along_axis(lines.base, last[:, None], 1)[:, 0]], 1)


def neighbours(bank: Bank, lines: Lines, random: Random) -> Pieces:
    """Characters of other lines and columns, of which a little enters at the edges."""
    count = len(lines.em)
    has = random.random(count) < NEIGHBOUR_SHARE
    strip, _ = np.nonzero(np.arange(NEIGHBOURS) < (has * random.integers(1, NEIGHBOURS + 1, count))[:, None])
    place = bank.choose(random.integers(0, LETTER, len(strip)), random.random(len(strip)))
    wide, high = sized(bank, place, lines.em[strip], random)
    tall, broad = lines.em[strip], wide * (bank.right - bank.left)[place]
    enters = HEIGHT * random.uniform(*ENTERING, len(strip))
    above, beside = random.random((2, len(strip))) < 0.5
    x = random.uniform(0, 1, len(strip)) * lines.width[strip]
    y = np.where(above, enters - tall / 2, HEIGHT - enters + tall / 2)
    # To the sides only where the margin is wide enough.
    first, last = lines.around[:, 0, 0], lines.around[:, 1, 1]
    left, right = first[strip] > BESIDE, lines.width[strip] - last[strip] > BESIDE
    enters = random.uniform(*ENTERING_SIDE, len(strip))
    at_left, at_right = beside & left & (above | ~right), beside & right & ~(above & left)
    x = np.where(at_left, enters - broad / 2, np.where(at_right, lines.width[strip] - enters + broad / 2, x))
    y = np.where(at_left | at_right, lines.base[strip, 0] - tall / 2, y)
    return pieces_at(bank, lines, strip, place, x, y, wide, high, random)


# Strokes.


def strokes_of(lines: Lines, random: Random) -> Iterator[Strokes]:
    """Signs between the digits, what stands around them, and strokes that join, underline and cross out."""
    yield signs_between(lines, random)
    names = [*texts.AROUND]
    for name, parts in AROUND_STROKES.items():
        strip, side = np.nonzero(lines.text.around == names.index(name))
        begin, room = lines.around[strip, side, 0], np.diff(lines.around[strip, side])[:, 0]
        base, em = level(lines)[strip, side], lines.em[strip]
        for x, y, to_x, to_y in parts:
            yield strokes_at(
                lines, strip, begin + x * room, base - y * em, begin + to_x * room, base - to_y * em, random
            )
    yield joins(lines, random)
    yield underlines(lines, random)
    yield crossings(lines, random)


def strokes_at(
    lines: Lines, strip: Whole, x: Floats, y: Floats, to_x: Floats, to_y: Floats, random: Random, thick: float = 1.0
) -> Strokes:
    """Strokes by the lines' pens, `thick` times as wide, their ends not quite there."""
    ends = np.stack([x, y, to_x, to_y]) + random.normal(0, SHAKY, (4, len(strip))) * lines.em[strip]
    radius = lines.pen[strip] / 2 * random.uniform(0.8, 1.2, len(strip)) * thick
    light = lines.light[strip] * random.uniform(0.85, 1, len(strip))
    return Strokes(strip, *(value.astype(np.float32) for value in (*ends, radius, light)))


def signs_between(lines: Lines, random: Random) -> Strokes:
    """Stops, commas and dashes between digits, no lower than the strip reaches."""
    strip, slot = np.nonzero((lines.text.sign > NONE) & lines.text.there)
    sign, em, count = lines.text.sign[strip, slot], lines.em[strip], len(strip)
    x = (lines.right[strip, slot] + lines.left[strip, slot + 1]) / 2
    room = lines.left[strip, slot + 1] - lines.right[strip, slot]
    raised = (random.random(len(lines.em)) < RAISED_STOP_SHARE)[strip]
    up = em * np.where(raised, random.uniform(0.35, 0.5, count), random.uniform(-0.02, 0.1, count))
    tail = np.where(sign == texts.COMMA, random.uniform(*COMMA_TAIL, count) * em, 0)
    half = np.where(sign == texts.DASH, room * 0.35, 0)
    up = np.where(
        sign == texts.DASH, em * random.uniform(0.35, 0.55, count), np.where(sign == texts.STOP, up, 0.05 * em)
    )
    y = np.minimum(lines.base[strip, slot] - up, HEIGHT - 1.5 - tail)
    radius = lines.pen[strip] / 2 * np.where(sign == texts.DASH, 1, random.uniform(0.9, 1.5, count))
    ends = (x - half + tail * 0.2, y, x + half - tail * 0.3, y + tail)
    light = lines.light[strip] * random.uniform(0.9, 1, count)
    return Strokes(strip, *(value.astype(np.float32) for value in (*ends, radius, light)))


def joins(lines: Lines, random: Random) -> Strokes:
    """Strokes from a zero to the next."""
    text, some = lines.text, random.random((len(lines.em), 1)) < JOINED_SHARE
    zero = (text.digit == 0) & text.there & ~np.isin(text.kind, (texts.WORD, texts.SCRIBBLE))[:, None]
    close = lines.left[:, 1:] - lines.right[:, :-1] < JOINED_GAP * lines.em[:, None]
    strip, slot = np.nonzero(zero[:, :-1] & zero[:, 1:] & (text.sign[:, :-1] == NONE) & close & some)
    x, to_x = lines.right[strip, slot] - 1, lines.left[strip, slot + 1] + 1
    y, to_y = (0.75 * lines.top[strip, at] + 0.25 * lines.bottom[strip, at] for at in (slot, slot + 1))
    return strokes_at(lines, strip, x, y, to_x, to_y, random, 0.8)


def underlines(lines: Lines, random: Random) -> Strokes:
    """A line below raised decimals."""
    strip = np.flatnonzero(lines.raised & (random.random(len(lines.em)) < UNDERLINED_SHARE))
    decimal = lines.text.fraction[strip]
    x = np.where(decimal, lines.left[strip], np.inf).min(1, initial=np.inf)
    to_x = np.where(decimal, lines.right[strip], 0).max(1, initial=0)
    y = (
        np.where(decimal, lines.bottom[strip], 0).max(1, initial=0)
        + random.uniform(0.12, 0.25, len(strip)) * lines.em[strip]
    )
    return strokes_at(lines, strip, x, y, to_x, y, random)


def crossings(lines: Lines, random: Random) -> Strokes:
    """A zigzag, or some lines, through numbers that are crossed out."""
    rows = np.flatnonzero(lines.text.kind == texts.CROSSED)
    zigzag = (random.random(len(rows)) < ZIGZAG_SHARE)[:, None]
    corner = np.arange(CROSSINGS + 1)
    heights = np.where(corner % 2, 0.9, 0.1) + random.normal(0, 0.1, (len(rows), CROSSINGS + 1))
    bars = random.uniform(0.15, 0.85, (2, len(rows), CROSSINGS))
    there = zigzag | (corner[:-1] < random.integers(*BARS, len(rows))[:, None])
    # Where each stroke begins and ends: how far along the number, and how far up in ems.
    along = [np.where(zigzag, corner[:-1] / CROSSINGS, 0)[there], np.where(zigzag, corner[1:] / CROSSINGS, 1)[there]]
    up = [np.where(zigzag, heights[:, :-1], bars[0])[there], np.where(zigzag, heights[:, 1:], bars[1])[there]]
    strip = rows[np.nonzero(there)[0]]
    first, end = lines.left[strip, 0], np.where(lines.text.there, lines.right, 0).max(1)[strip]
    base, last = level(lines)[strip].T
    x, to_x = (first + (end - first) * place for place in along)
    y, to_y = (base + (last - base) * place - lines.em[strip] * high for place, high in zip(along, up, strict=True))
    return strokes_at(lines, strip, x, y, to_x, to_y, random, 1.2)


DRAWN_DIGITS = 60_000
"""Digits that are drawn beforehand."""
ROUND = 16
"""Batches that are composed together and share out their strips by width, so that little of a batch is padding."""


@dataclass(frozen=True)
class StripBatch:
    """Strips with what is written on them."""

    image: Tensor
    """float32 `[B, 1, 32, W]` in [0, 1], light ink on dark ground; behind a strip's width there is ground."""
    target: Tensor
    """int64, the classes of all strips, one strip after the other: places in `ALPHABET`, from 1."""
    lengths: Tensor
    """int64 `[B]`: how many of them are each strip's; 0 where there is no number."""
    widths: Tensor
    """int64 `[B]`: the strips' widths in pixels, multiples of `STEP`, at least 2·length − 1 steps."""

    def texts(self) -> list[str]:
        """What is written on each strip."""
        return [string_of(part.numpy()) for part in self.target.split(self.lengths.tolist())]


Round = tuple[Lines, Pieces, Strokes, NDArray[np.int64]]
"""The lines of `ROUND` batches, their characters and strokes, and which of them are those of each batch,
`[ROUND, B]`."""


class Strips:
    """Batches of strips, each a function of the seed, the step and the size, whatever was asked for before.

    Args:
        digits: Training images with their digits; every digit must occur.
        seed: Another seed, other strips.
        watch: May show how the drawing of digits goes on, before the first batch.
        count: Digits that are drawn beforehand; fewer will do for fewer strips.
        writers: Those by whose pens most of these are.
        loose: The share of them that are loose.

    Raises:
        DataError: `digits` lacks a digit.
    """

    def __init__(
        self, digits: DigitSet, seed: int, watch: Watch = iter, count: int | None = None,
        writers: Collection[int] = range(WRITERS), loose: float = 0.0,
    ) -> None:  # fmt: skip
        self.seed = seed
        self.bank = Bank.of(digits, DRAWN_DIGITS if count is None else count, seed, watch, writers, loose)
        self.latest: tuple[tuple[int, int], Round] | None = None

    def batch(self, step: int, size: int, strength: float = 1.0) -> StripBatch:
        """`size` strips of similar widths.

        `strength` multiplies the shares of what lies under the writing and of what becomes of its picture, not of what
        is written: without it, strips are plain ink on plain ground.
        """
        lines, pieces, strokes, batches = self.round(step // ROUND, size)
        chosen = batches[step % ROUND]
        width = torch.from_numpy(lines.width[chosen])
        canvas = np.zeros((size, HEIGHT, int(width.max()) + 2 * EDGE), np.float32)
        rank = np.full(len(lines.width), -1)
        rank[chosen] = np.arange(size)
        pens.written(self.bank, of_batch(pieces, rank), canvas)
        pens.stroked(of_batch(strokes, rank), canvas)

        generator = torch.Generator().manual_seed(mixed(self.seed, step, size))
        draw = Draw(size, generator, torch.device("cpu"), strength)
        first, last = lines.around[chosen, 0, 0], lines.around[chosen, 1, 1]
        free = torch.from_numpy(np.stack([first, lines.width[chosen] - last], 1)).float()
        image = on_paper(torch.from_numpy(canvas)[:, :, EDGE:-EDGE], width, free, draw)
        image = pictured(image, width, torch.from_numpy(lines.em[chosen]).float(), draw)
        targets = torch.from_numpy(lines.text.targets[chosen])
        return StripBatch(image[:, None], targets[targets > 0], (targets > 0).sum(1), width)

    def round(self, number: int, size: int) -> Round:
        """The lines of `ROUND` batches that follow each other; the latest are kept."""
        key = number, size
        if self.latest is None or self.latest[0] != key:
            random = np.random.default_rng([self.seed, number, size])
            lines, pieces, strokes = compose(self.bank, texts.texts(ROUND * size, random), random)
            batches = random.permutation(np.argsort(lines.width, kind="stable").reshape(ROUND, size))
            self.latest = key, (lines, pieces, strokes, batches)
        return self.latest[1]


def of_batch(parts: Part, rank: NDArray[np.int64]) -> Part:
    """The parts of the lines with a `rank`, which becomes their strip."""
    some = rank[parts.strip] >= 0
    values = {name: value[some] for name, value in vars(parts).items()}
    return type(parts)(**values | {"strip": rank[values["strip"]]})


def mixed(*numbers: int) -> int:
    """One seed of several."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)

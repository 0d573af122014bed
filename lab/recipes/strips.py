"""Compose training strips: pictures of one line of digits, made while a network learns to read numbers of any length.

The network reads a number in one look, by connectionist temporal classification (CTC: Graves and others, 2006). So the
target of a strip is only its text, not the places of the characters. Everything is made of MNIST's training images and
of drawn characters: `data/texts` chooses the text, `compose` places it, `data/pens` writes it, and `data/papers` adds
the paper and the camera. It contains no font, and nothing of the strips that measure a network. One core composes about
5,000 strips a second, in batches of 64 (measured over 6,144 strips).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.recipes import pens, texts
from lab.recipes.glyphs import Watch
from lab.recipes.papers import on_paper, pictured
from lab.recipes.pens import CURRENCY, DRAWN, EDGE, HASH, LETTER, SCRAWL, STAR, Bank, Pieces, Strokes
from lab.recipes.texts import MOST, NONE, Flags, Random, Texts, Whole, string_of
from sumnist.data.augment import Draw
from sumnist.data.mnist import DigitSet
from sumnist.data.pen_digits import WRITERS
from sumnist.inference.alphabet import HEIGHT, STEP

# Sources of the characters.

DRAWN_SHARES = 0.3, 0.65, 0.4, 0.3, 0.45, 0.4, 0.3, 0.6, 0.35, 0.5
"""Share of each digit that is drawn (`data/glyphs`), not MNIST's: higher where other countries write it differently."""
ONE_WRITER_SHARE, SAME_FORM = 0.6, 0.7
"""`ONE_WRITER_SHARE`: share of the lines by one writer, whose digits have one source and a similar slant. `SAME_FORM`:
probability that a digit by this writer uses the line's own image for that digit."""
ONE_HAND = 0.03
"""Share of a digit's images, side by side in the bank, from which the images of one writer are taken."""

# Handwriting, in ems.

OVERLAPPING_SHARE, OVERLAP, MOST_OVERLAP = 0.45, (-0.2, 0.02), 0.3
WIDE_SHARE, WIDE_GAP = 0.15, (0.35, 0.9)
GAP, UNEVEN_GAP = (0.02, 0.3), 0.3
"""Gaps between digits. `OVERLAPPING_SHARE`: share of the lines with overlapping digits. `OVERLAP`: the gaps of these
lines. `MOST_OVERLAP`: the most of the narrower digit that may lie over the other, so that people can read it.
`WIDE_SHARE`: share of the lines with wide gaps. `WIDE_GAP`: the gaps of these lines. `GAP`: the gaps of other lines.
`UNEVEN_GAP`: standard deviation of each gap, relative to the line's."""
ROOMY = 7
"""Largest number of digits with gaps as wide as drawn; longer lines have gaps that are narrower in proportion."""
GROUP_GAP = 0.2, 0.5
"""Range of the addition to gaps between the thousands of a grouped number."""
SIGN_WIDTH, DASH_WIDTH = (0.08, 0.4), (0.3, 0.6)
"""Ranges of the room between digits. `SIGN_WIDTH`: for a stop or comma. `DASH_WIDTH`: for a dash."""
COMMA_TAIL = 0.14, 0.3
"""Range of the length of a comma."""
LEAST_GAP = 0.03
"""Least gap between digits with a sign, in addition to the sign's room."""
LEAST_ADVANCE, LEAST_REPEAT = 4, 8
"""Least pixels from the beginning of a character to the next. `LEAST_ADVANCE`: one step of the network. `LEAST_REPEAT`:
two steps, if the next character has the same class or a sign stands between them."""
TALL = 15
"""Least height, in pixels of its image, of a character of full height. A lower character stays lower in its line."""
ASPECT, SCRAWL_ASPECT = (0.75, 1.35), 1.8
"""`ASPECT`: range of the width of a line's characters, relative to their images. `SCRAWL_ASPECT`: additional factor for
scribbles."""
NARROWEST = 0.4
"""Least width of a character relative to its height, except for a 1."""
UNEVEN = 0.02, 0.1
"""Range of the standard deviation of the sizes of a line's characters."""
SMALL_ZEROS_SHARE, SMALL_ZERO = 0.15, (0.5, 0.85)
"""`SMALL_ZEROS_SHARE`: share of the lines whose zeros, except a first digit, are smaller. `SMALL_ZERO`: range of their
size."""
RAISED_SHARE, RAISED, UNDERLINED_SHARE = 0.4, (0.5, 0.75), 0.6
"""`RAISED_SHARE`: share of the lines whose decimals, if they have any, are smaller and raised. `RAISED`: range of their
size. `UNDERLINED_SHARE`: share of these lines with a line below the decimals."""
DESCENDING_SHARE, DESCENT, DESCENDERS = 0.2, (0.1, 0.3), (4, 7, 9)
"""`DESCENDING_SHARE`: share of the lines in which some digits reach below the others. `DESCENT`: range of how far they
reach. `DESCENDERS`: the digits that do."""
CLIMB, WOBBLE = 0.03, (0.01, 0.07)
"""`CLIMB`: standard deviation of a line's rise from digit to digit. `WOBBLE`: range of the standard deviation of a
digit's distance from the line."""
SLANT, OWN_SLANT, KEPT_SLANT = (0.08, 0.25), 0.05, (0.3, 0.9)
"""`SLANT`: mean and standard deviation of the slant to the right that a line's characters share. `OWN_SLANT`: deviation
of each character's own slant. `KEPT_SLANT`: how much of the slant of their images they keep, in lines by one writer and
in lines by several."""
TURN, BEND = 0.05, 0.35
"""Standard deviations. `TURN`: of a character's angle, in radians. `BEND`: of its bending, in pixels of its image."""
PEN, PEN_SPREAD, PENS = (0.045, 0.18), (2.0, 2.8), (1.6, 5.5)
"""`PEN`: range of the width of a line's pen. `PEN_SPREAD`: parameters of its beta distribution over this range, in
which thin pens are likelier. `PENS`: limits of the width in pixels."""
WIDEST_PEN = 0.2, 0.12
"""Widest pen relative to a character's height: for digits, and for letters and signs, whose strokes lie close."""
LIGHT, STEEP = (0.65, 1.0), (1.2, 2.5)
"""`LIGHT`: range of the intensity of a line's ink. `STEEP`: range of the factor by which its edges are steeper than
resampling leaves them."""
JOINED_SHARE, JOINED_GAP = 0.4, 0.25
"""`JOINED_SHARE`: share of the lines in which a stroke joins zeros that follow each other closely. `JOINED_GAP`: the
widest gap that is joined, because a stroke over a wider gap is a dash."""
AROUND_WIDTH = {
    "nothing": (0.0, 0.0), "dash": (0.25, 0.7), "line": (0.8, 3.0), "equals": (0.3, 0.6), "stop": (0.1, 0.3),
    "stop and dash": (0.5, 1.0), "colon": (0.1, 0.25), "currency": (0.5, 0.8), "hash": (0.5, 0.8), "stars": (0.4, 1.5),
}  # fmt: skip
"""Range of the width of each kind of ink before or after the text."""
AROUND_GAP = 0.05, 0.5
"""Range of the room between this ink and the text."""
AROUND_IMAGES = {"currency": (CURRENCY, 0.9), "hash": (HASH, 0.8), "stars": (STAR, 0.5)}
"""The kinds that are written with images, with the kind of image and its height."""
MOST_STARS = 3
AROUND_STROKES = {
    "dash": [(0.0, 0.45, 1.0, 0.45)], "line": [(0.0, 0.45, 1.0, 0.45)], "stop": [(0.5, 0.0, 0.3, -0.1)],
    "equals": [(0.0, 0.3, 1.0, 0.3), (0.0, 0.6, 1.0, 0.6)], "colon": [(0.5, 0.1, 0.5, 0.1), (0.5, 0.55, 0.5, 0.55)],
    "stop and dash": [(0.1, 0.0, 0.05, -0.1), (0.35, 0.4, 1.0, 0.4)],
}  # fmt: skip
"""The kinds that are drawn with strokes: from (x, y) to (x, y), x relative to the width, y in ems above the line."""
SHAKY = 0.05
"""Standard deviation of the displacement of the ends of strokes."""
RAISED_STOP_SHARE = 0.15
"""Share of the lines whose stops stand halfway up."""

# Places in the strip.

HEIGHTS, HEIGHT_SPREAD = (0.4, 1.0), (2.6, 1.4)
"""`HEIGHTS`: range of the ink's height, relative to the strip's. `HEIGHT_SPREAD`: parameters of its beta distribution,
which is highest at 0.88."""
CUT_SHARE, CUT = 0.06, 0.08
"""`CUT_SHARE`: share of the lines that touch the strip's upper or lower edge. `CUT`: the most that is cut off, relative
to the strip's height."""
MARGIN, WIDE_MARGIN_SHARE, WIDE_MARGIN = (0.0, 0.4), 0.1, (0.5, 2.0)
"""`MARGIN`: room beside the text, relative to the strip's height. `WIDE_MARGIN_SHARE`: share of the sides with much
more room. `WIDE_MARGIN`: the room on such a side."""
BLANK_WIDTH = 0.3, 4.0
"""Range of the width of a blank line, in ems."""
NEIGHBOUR_SHARE, NEIGHBOURS = 0.08, 3
"""`NEIGHBOUR_SHARE`: share of the lines with ink of other lines at the edges. `NEIGHBOURS`: the largest number of its
characters."""
ENTERING, ENTERING_SIDE = (0.04, 0.2), (1, 4)
"""`ENTERING`: how far this ink enters from above and below, relative to the strip's height. `ENTERING_SIDE`: how far it
enters from the sides, in pixels."""
BESIDE = 9
"""Width of a margin in pixels above which a neighbour may enter it."""
ZIGZAG_SHARE, CROSSINGS, BARS = 0.5, 10, (3, 6)
"""`ZIGZAG_SHARE`: share of the crossed-out numbers with a zigzag. `CROSSINGS`: number of its strokes. `BARS`: range of
the number of strokes of other crossings; the upper end is excluded."""

Floats = NDArray[np.float64]
Part = TypeVar("Part", Pieces, Strokes)


@dataclass(frozen=True)
class Lines:
    """Texts with the places of their characters, in pixels of their strips.

    A property of a line is an array `[N]`. A property of its characters is an array `[N, 12]`.
    """

    text: Texts
    place: Whole
    """`[N, 12]`: indices of images in the bank."""
    one_writer: Flags
    """Whether the line is by one writer."""
    wide: Floats
    """`[N, 12]`: pixels of the strip for one pixel of the image, across."""
    high: Floats
    """`[N, 12]`: pixels of the strip for one pixel of the image, down."""
    left: Floats
    """`[N, 12]`: left side of the box of each character, without slant."""
    right: Floats
    """`[N, 12]`: right side of this box."""
    top: Floats
    """`[N, 12]`: upper side of this box."""
    bottom: Floats
    """`[N, 12]`: lower side of this box."""
    around: Floats
    """`[N, 2, 2]`: where the ink before the text, and the ink after it, begins and ends."""
    base: Floats
    """`[N, 12]`: y of the line on which each character stands."""
    em: Floats
    """Height of a digit of full size."""
    raised: Flags
    """Whether the decimals are raised."""
    width: Whole
    """Width of the strip, a multiple of `STEP`."""
    slant: Floats
    """Pixels to the right for one pixel upwards."""
    pen: Floats
    """Width of the pen."""
    light: Floats
    """Intensity of the ink, 0 to 1."""
    steep: Floats
    """Factor by which edges are steeper than resampling leaves them."""


def compose(bank: Bank, text: Texts, random: Random) -> tuple[Lines, Pieces, Strokes]:
    """Place these texts. Returns the lines, and the characters and strokes of which they are made."""
    lines = placed(bank, text, random)
    pieces = [make(bank, lines, random) for make in (characters, signs_around, neighbours)]
    return lines, together(pieces), together([*strokes_of(lines, random)])


def together(parts: list[Part]) -> Part:
    """Join these pieces, or strokes, into one."""
    return type(parts[0])(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


# Places.


class Chance:
    """Random values for `count` lines."""

    def __init__(self, count: int, random: Random) -> None:
        self.count, self.random = count, random

    def some(self, share: float, *shape: int) -> Flags:
        """Which entries to choose, each with probability `share`: `[N, *shape]`."""
        return self.random.random((self.count, *shape)) < share

    def between(self, limits: tuple[float, float], *shape: int) -> Floats:
        """Uniform values, `[N, *shape]`."""
        return self.random.uniform(*limits, (self.count, *shape))

    def normal(self, deviation: float, *shape: int) -> Floats:
        """Normal values around 0, `[N, *shape]`."""
        return self.random.normal(0, deviation, (self.count, *shape))


def placed(bank: Bank, text: Texts, random: Random) -> Lines:
    """Place the characters of each text."""
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
    """Choose the images of the characters, `[N, 12]`, and the lines that are by one writer, `[N]`."""
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
    """Place characters along their lines.

    Args:
        text: The texts.
        broad: The widths of the characters, `[N, 12]`.
        em: The height of a digit of each line, `[N]`.
        lean: How far slanted characters reach beyond their boxes, `[N]`.
        chance: The random values.

    Returns:
        Where the characters begin, `[N, 12]`. Where the ink around the text begins and ends, `[N, 2, 2]`. The widths of
        the strips, `[N]`.
    """
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
    """Gaps between each character and the next, in ems, `[N, 12]`, including the room for a sign."""
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
    """Pieces of the digits, letters and scribbles."""
    strip, slot = np.nonzero(lines.text.there)
    place = lines.place[strip, slot]
    x, y = (lines.left + lines.right)[strip, slot] / 2, (lines.top + lines.bottom)[strip, slot] / 2
    return pieces_at(bank, lines, strip, place, x, y, lines.wide[strip, slot], lines.high[strip, slot], random)


def pieces_at(
    bank: Bank, lines: Lines, strip: Whole, place: Whole, x: Floats, y: Floats, wide: Floats, high: Floats,
    random: Random,
) -> Pieces:  # fmt: skip
    """Pieces of images at these places, with the style of their lines."""
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
    """How large to write the images at `place` so that they are `tall` pixels high: pixels of the strip for one pixel
    of the image, across and down."""
    high = tall / (bank.bottom - bank.top)[place]
    return high * random.uniform(*ASPECT, len(place)), high


def signs_around(bank: Bank, lines: Lines, random: Random) -> Pieces:
    """Pieces before and after the text: stars, a # or a sign of a currency."""
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
    """The y of the line on which the characters stand, at the beginning and at the end of the text: `[N, 2]`."""
    last = np.maximum(lines.text.length - 1, 0)
    return np.stack([lines.base[:, 0], np.take_along_axis(lines.base, last[:, None], 1)[:, 0]], 1)


def neighbours(bank: Bank, lines: Lines, random: Random) -> Pieces:
    """Pieces of other lines and columns that enter a little at the edges."""
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
    # Enter from the sides only where the margin is wide enough.
    first, last = lines.around[:, 0, 0], lines.around[:, 1, 1]
    left, right = first[strip] > BESIDE, lines.width[strip] - last[strip] > BESIDE
    enters = random.uniform(*ENTERING_SIDE, len(strip))
    at_left, at_right = beside & left & (above | ~right), beside & right & ~(above & left)
    x = np.where(at_left, enters - broad / 2, np.where(at_right, lines.width[strip] - enters + broad / 2, x))
    y = np.where(at_left | at_right, lines.base[strip, 0] - tall / 2, y)
    return pieces_at(bank, lines, strip, place, x, y, wide, high, random)


# Strokes.


def strokes_of(lines: Lines, random: Random) -> Iterator[Strokes]:
    """Yield strokes of signs between the digits, strokes around the text, joins, underlines and crossings."""
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
    """Strokes by the lines' pens, `thick` times as wide, with slightly displaced ends."""
    ends = np.stack([x, y, to_x, to_y]) + random.normal(0, SHAKY, (4, len(strip))) * lines.em[strip]
    radius = lines.pen[strip] / 2 * random.uniform(0.8, 1.2, len(strip)) * thick
    light = lines.light[strip] * random.uniform(0.85, 1, len(strip))
    return Strokes(strip, *(value.astype(np.float32) for value in (*ends, radius, light)))


def signs_between(lines: Lines, random: Random) -> Strokes:
    """Stops, commas and dashes between digits, kept above the strip's lower edge."""
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
    """Strokes that join a zero to the next one."""
    text, some = lines.text, random.random((len(lines.em), 1)) < JOINED_SHARE
    zero = (text.digit == 0) & text.there & ~np.isin(text.kind, (texts.WORD, texts.SCRIBBLE))[:, None]
    close = lines.left[:, 1:] - lines.right[:, :-1] < JOINED_GAP * lines.em[:, None]
    strip, slot = np.nonzero(zero[:, :-1] & zero[:, 1:] & (text.sign[:, :-1] == NONE) & close & some)
    x, to_x = lines.right[strip, slot] - 1, lines.left[strip, slot + 1] + 1
    y, to_y = (0.75 * lines.top[strip, at] + 0.25 * lines.bottom[strip, at] for at in (slot, slot + 1))
    return strokes_at(lines, strip, x, y, to_x, to_y, random, 0.8)


def underlines(lines: Lines, random: Random) -> Strokes:
    """Lines below raised decimals."""
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
    """Zigzags or bars through numbers that are crossed out."""
    rows = np.flatnonzero(lines.text.kind == texts.CROSSED)
    zigzag = (random.random(len(rows)) < ZIGZAG_SHARE)[:, None]
    corner = np.arange(CROSSINGS + 1)
    heights = np.where(corner % 2, 0.9, 0.1) + random.normal(0, 0.1, (len(rows), CROSSINGS + 1))
    bars = random.uniform(0.15, 0.85, (2, len(rows), CROSSINGS))
    there = zigzag | (corner[:-1] < random.integers(*BARS, len(rows))[:, None])
    # Where each stroke begins and ends: how far along the number, and how far above the line in ems.
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
"""Number of batches that are composed together and share out their strips by width, which leaves little padding."""


@dataclass(frozen=True)
class StripBatch:
    """A batch of strips with their texts."""

    image: Tensor
    """float32 `[B, 1, 32, W]` in [0, 1], light ink on dark ground; beyond a strip's width there is only ground."""
    target: Tensor
    """int64: the classes of all strips, one strip after the other, as places in `ALPHABET` from 1."""
    lengths: Tensor
    """int64 `[B]`: how many classes each strip has; 0 where there is no number."""
    widths: Tensor
    """int64 `[B]`: widths of the strips in pixels. A width is a multiple of `STEP`, and gives at least 2·length − 1
    steps."""

    def texts(self) -> list[str]:
        """The text to read on each strip."""
        return [string_of(part.numpy()) for part in self.target.split(self.lengths.tolist())]


Round = tuple[Lines, Pieces, Strokes, NDArray[np.int64]]
"""The lines of `ROUND` batches, their characters and strokes, and the indices of the lines of each batch,
`[ROUND, B]`."""


class Strips:
    """Batches of strips. Each batch depends only on the seed, the step and the size, not on earlier batches.

    Args:
        digits: Training images with their digits; every digit must occur.
        seed: Another seed gives other strips.
        watch: Shows the progress of drawing digits, before the first batch.
        count: Digits that are drawn beforehand; fewer suffice for fewer strips.
        writers: Pen writers. Half of these digits have their strokes, and three quarters of the loose ones.
        loose: Share of the drawn digits that are loose.

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

        `strength` multiplies the shares of paper and camera effects, not of variations in the writing. At 0, strips are
        plain ink on plain ground.
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
        """The lines of `ROUND` consecutive batches. The latest result is kept."""
        key = number, size
        if self.latest is None or self.latest[0] != key:
            random = np.random.default_rng([self.seed, number, size])
            lines, pieces, strokes = compose(self.bank, texts.texts(ROUND * size, random), random)
            batches = random.permutation(np.argsort(lines.width, kind="stable").reshape(ROUND, size))
            self.latest = key, (lines, pieces, strokes, batches)
        return self.latest[1]


def of_batch(parts: Part, rank: NDArray[np.int64]) -> Part:
    """The parts of the lines whose `rank` is at least 0. The rank becomes the index of their strip."""
    some = rank[parts.strip] >= 0
    values = {name: value[some] for name, value in vars(parts).items()}
    return type(parts)(**values | {"strip": rank[values["strip"]]})


def mixed(*numbers: int) -> int:
    """Combine several numbers into one seed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)

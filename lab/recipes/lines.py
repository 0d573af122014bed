"""Compose lines of writing: pictures of what people write where numbers stand, made while a network learns to read.

A line is chosen as a text (`texts`), written by one hand (`written`), put on paper and seen by a camera (`pictured`),
and then prepared as the reader prepares what it is shown (`line_of`). Nothing of it is removed: borders, rulings,
neighbours and shadows are there for the network to see. The target of a line is its text in the characters of
`WRITING`.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lab.recipes.glyphs import Watch
from lab.recipes.hands import Hand, Part, Points, Random, Strokes, drawn_hand, hands_in, pen_hands
from lab.recipes.marks import CROSSINGS, FILLERS, mark
from lab.recipes.texts import number, spelt_out, text_of
from sumnist.data.mnist import DigitSet
from sumnist.data.pen_digits import WRITERS
from sumnist.inference.alphabet import HEIGHT, STEP, WRITING
from sumnist.inference.numbers import WIDEST

LEAST_CONTRAST = 0.06
"""The least difference between ink and ground that is stretched to the whole range."""
FINE = 4
"""Resolution at which ink is drawn, as a multiple of the line's."""
HIGH = HEIGHT * FINE
EM = 40
"""Height of a printed digit in pixels of its image."""
REAL_SHARE, BOXED_SHARE, NEIGHBOUR_SHARE = 0.1, 0.12, 0.12
"""Shares of the lines: strings as someone wrote them; boxes of forms; lines with ink of another line at an edge."""
IMAGES_SHARE, PRINTED_SHARE, DRAWN_SHARE = 0.3, 0.22, 0.14
"""Shares of the other lines: with MNIST's digits, printed, and in drawn ways; people's strokes write the rest."""
SLANTED = 0.16
"""How far a 1 is turned beside upright digits, as a standard deviation in radians; it is no slash."""
HANDS, ROUND = 400, 16
"""`HANDS`: how many hands are drawn. `ROUND`: batches that are composed together and share out their lines by width."""
Grey = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Line:
    """A composed line: its picture as the network sees it, float32 `[HEIGHT, W]`, and its text."""

    picture: Grey
    text: str

    @property
    def width(self) -> int:
        """The width of the picture in pixels."""
        return int(self.picture.shape[1])


# How it is written.


class Writers:
    """All hands that lines are written by.

    Args:
        people: Hands with pen strokes, by name; those of one source begin with its name and a colon.
        drawn_hands: Hands that write in drawn ways.
        images: MNIST's images, uint8 `[N, 28, 28]`.
        digits: Their digits.
        fonts: A folder with more fonts than matplotlib's; empty for none.
    """

    def __init__(
        self, people: dict[str, Hand], drawn_hands: list[Hand], images: Bytes, digits: NDArray[np.int64],
        fonts: str = "",
    ) -> None:  # fmt: skip
        self.fonts, self.drawn = printed_hands(fonts), drawn_hands
        self.people = [hand for hand in people.values() if sum(map(len, hand.ways.values())) >= 5]
        self.with_strings = [hand for hand in people.values() if hand.strings]
        self.images, self.of_digit = images, [np.flatnonzero(digits == digit) for digit in range(10)]
        self.having: dict[str, list[Hand]] = defaultdict(list)
        for hand in self.people:
            for character in hand.ways:
                self.having[character].append(hand)

    def way(self, hand: Hand, spare: Hand, character: str, random: Random) -> Strokes:
        """How a hand writes a character; how someone else does, if this hand lacks it."""
        ways = hand.ways.get(character)
        if not ways:
            others = self.having[character]
            use_spare = spare.ways.get(character) and (not others or random.random() < 0.3)
            ways = spare.ways[character] if use_spare else others[random.integers(len(others))].ways[character]
        return ways[random.integers(len(ways))]


def varied(strokes: Strokes, random: Random, loose: float, turned: float) -> Strokes:
    """Strokes bent by slow waves, stretched and turned a little."""
    phase, often = random.uniform(0, 6.3, 2), random.uniform(1.5, 5, 2)
    high = random.normal(0, 0.035 * loose, 2)
    turn, wide = random.normal(0, turned * loose), np.exp(random.normal(0, 0.08 * loose))
    matrix = np.array([[wide, -turn], [turn, 1]], np.float32)
    return [
        (stroke + (high * np.sin(often * stroke[:, ::-1] + phase)).astype(np.float32)) @ matrix.T for stroke in strokes
    ]


class Stamp(NamedTuple):
    """An image of a character, light on dark, on its way to a canvas: where its left upper corner is, how many ems one
    of its pixels takes, across and down, and how far it is turned. The strokes of print keep their width."""

    image: Bytes
    x: float
    y: float
    across: float
    down: float
    turn: float
    is_print: bool


@dataclass
class Placed:
    """What is written, from x = 0 to x = `right`, on the line y = 0, in heights of a digit."""

    strokes: list[Strokes]
    stamps: list[Stamp]
    right: float = 0.0


@dataclass(frozen=True)
class Style:
    """How a line is written: by which hand, and how evenly and widely, in heights of a digit.

    Attributes:
        answer: The places of the characters that are written if the others are printed in the `font`: an answer behind
            an equals sign, any number of a sum, or the sign of a comparison, some of them in a box or a circle.
        large: The size of an answer.
        by_images: Whether digits are MNIST's images.
        zeros: The size of zeros behind another digit.
        raised: The size of decimals; those that are smaller are raised.
        apart: The most room beside signs of arithmetic.
        joins: Whether strokes join zeros that follow each other closely.
    """

    hand: Hand
    spare: Hand
    font: dict[str, tuple[Bytes, float]]
    answer: range
    large: float
    by_images: bool
    loose: float
    gap: float
    uneven: float
    wobble: float
    climb: float
    wide: float
    thousands: float
    zeros: float
    raised: float
    apart: float
    joins: bool

    @classmethod
    def of(cls, writers: Writers, text: str, random: Random) -> Style:
        """A style for a text."""
        source = random.random()
        is_printed = IMAGES_SHARE < source < IMAGES_SHARE + PRINTED_SHARE and "#" not in text
        spare = writers.drawn[random.integers(len(writers.drawn))]
        answers = r"[<>=]" if set(text) & set("<>") and random.random() < 0.5 else r"[\d.,]+"
        numbers = [match.span() for match in re.finditer(answers, text)] if set(text) & set("=<>≈") else []
        answered = numbers and random.random() < 0.75
        gaps = random.uniform(-0.18, 0.03), random.uniform(0.02, 0.3), random.uniform(0.3, 1.0)
        return cls(
            spare if source > 1 - DRAWN_SHARE else writers.people[random.integers(len(writers.people))], spare,
            writers.fonts[random.integers(len(writers.fonts))] if is_printed else {},
            range(*numbers[-1 if random.random() < 0.75 else random.integers(len(numbers))]) if answered else range(0),
            random.uniform(0.8, 1.8), source < IMAGES_SHARE or (is_printed and random.random() < 0.3),
            random.uniform(0.3, 1.5),
            gaps[random.choice(3, p=[0.3, 0.55, 0.15])], random.uniform(0.01, 0.08), random.uniform(0.01, 0.07),
            random.normal(0, 0.02), random.uniform(0.75, 1.3), random.uniform(0.15, 0.4) * (random.random() < 0.2),
            random.uniform(0.5, 0.85) if random.random() < 0.2 else 1.0,
            random.uniform(0.5, 0.8) if random.random() < 0.15 and re.search(r"[.,]\d\d?\b", text) else 1.0,
            random.uniform(0.1, 1.8) if random.random() < 0.5 and set(text) & set("+×÷=<>≈") else 0.0,
            not is_printed and random.random() < 0.4,
        )  # fmt: skip

    def room(self, characters: str, place: int, random: Random) -> float:
        """The room behind a character: more beside signs, and perhaps between thousands."""
        room, following = random.normal(self.gap, 0.04), len(characters) - 1 - place
        if set(characters[place : place + 2]) & set(".,'-:=+×÷"):
            room = max(room, 0.04) + random.uniform(0, 0.15)
        if set(characters[place : place + 2]) & set("+-×÷=/:<>≈"):
            room += random.uniform(0, self.apart)
        return room + (self.thousands if characters.isdigit() and following and following % 3 == 0 else 0.0)


def written(writers: Writers, text: str, random: Random) -> Placed:
    """Write a text."""
    style, placed, x, begin, struck = Style.of(writers, text, random), Placed([], []), 0.0, 0.0, list[float]()
    characters, targets = spelt_out(text, random)
    for place, (character, target) in enumerate(zip(characters, targets, strict=True)):
        if character == " ":
            x += random.uniform(0.9, 2.5)
            continue
        size, y = float(np.exp(random.normal(0, style.uneven))), random.normal(0, style.wobble) + style.climb * place
        before = characters[max(0, place - 1) : place]
        if character == "0" and before.isdigit():
            size *= style.zeros
        if (
            re.fullmatch(r".*[.,]\d?", characters[:place])
            and character.isdigit()
            and not re.search(r"[.,]\d\d\d", characters)
        ):
            y -= 1 - style.raised
            size *= style.raised
        turned = SLANTED if character == "1" else 0.06
        if style.font and place in style.answer:
            size *= style.large
            x += random.uniform(-0.3, 0.9) if place == style.answer.start and place else 0.0
            begin = x if place == style.answer.start else begin
        if character in style.font and place not in style.answer:
            image, top = style.font[character]
            width = image.shape[1] / EM
            placed.stamps.append(Stamp(image, x, top, 1 / EM, 1 / EM, 0.0, True))
        elif character.isdigit() and style.by_images:
            image = writers.images[random.choice(writers.of_digit[int(character)])]
            rows, columns = np.flatnonzero(image.max(1) > 64), np.flatnonzero(image.max(0) > 64)
            down = size / max(rows[-1] + 1 - rows[0], 14)
            across = down * style.wide
            width = (columns[-1] + 1 - columns[0]) * across
            left, top, turn = x - columns[0] * across, y - (rows[-1] + 1) * down, random.normal(0, turned)
            placed.stamps.append(Stamp(image, left, top, across, down, turn, False))
        else:
            if character == "~" and random.random() < 0.6:
                way = marked(True, random.uniform(0.6, 1.6), random)
            else:
                way = writers.way(style.hand, style.spare, character, random)
            strokes = varied(way, random, style.loose, turned)
            points = np.concatenate(strokes)
            left, width = float(points[:, 0].min()), float(np.ptp(points[:, 0])) * size * style.wide
            placed.strokes.append([(one - (left, 0)) * (size * style.wide, size) + (x, y) for one in strokes])
        struck += [x, x + width] if target == "#" else []
        if style.joins and before == character == "0" and x - placed.right < 0.3:
            high = y - random.uniform(0.5, 1.0) * size + random.normal(0, 0.05, 3)
            bridge = [placed.right - random.uniform(0, 0.2), (placed.right + x) / 2, x + random.uniform(0, 0.2)]
            placed.strokes.append([np.column_stack([bridge, high]).astype(np.float32)])
        placed.right = x + width
        x += max(width + style.room(characters, place, random), 0.12)
        if style.font and place == style.answer.stop - 1 and random.random() < (0.5 if targets[place + 1 :] else 0.2):
            ways, wide = around(begin - 0.2, placed.right + 0.2, random.uniform(1.2, 1.6) * size, random)
            placed.strokes.append(ways)
            x, placed.right = max(x, wide + 0.05), max(placed.right, wide)
    if struck:
        placed.strokes.append(struck_through(struck[0], struck[-1], random))
    return placed


def font_files() -> list[Path]:
    """Fonts that come with matplotlib."""
    files = Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")
    return sorted(one for one in files if re.match(r"DejaVuS(?!.*Dis)|STIXGeneral|cm(r|ss|tt|b)10", one.stem))


def printed_hands(more: str = "") -> list[dict[str, tuple[Bytes, float]]]:
    """For each font that comes with matplotlib or stands in the folder `more`, the image of each character, light on
    dark, and where its top is."""
    hands = []
    for file in [*font_files(), *(Path(more).rglob("*.[ot]tf") if more else ())]:
        if re.search(r"Thin|Hairline|Black|Dyslexic|chorus|MathTeX", file.stem):
            continue
        font = ImageFont.truetype(str(file), 52)
        high = -font.getbbox("8", anchor="ls")[1]
        font = ImageFont.truetype(str(file), round(52 * EM / high))
        glyphs, missing = {}, bytes(font.getmask("\uffff"))
        for character in WRITING.rstrip(" ~#?¤"):
            left, top, right, bottom = font.getbbox(character, anchor="ls")
            lacks = bytes(font.getmask(character)) == missing or (character in "×÷≈" and file.stem.startswith("cm"))
            if lacks or right <= left or bottom <= top:
                continue
            image = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
            ImageDraw.Draw(image).text((1 - left, 1 - top), character, fill=255, font=font, anchor="ls")
            glyphs[character] = np.asarray(image), (top - 1) / EM
        hands.append(glyphs)
    return hands


def around(left: float, right: float, high: float, random: Random) -> tuple[Strokes, float]:
    """A box, a circle, a cloud or brackets around an answer between two places, and where it ends."""
    corners = [(left, 0.2), (right, 0.2), (right, -high), (left, -high), (left, 0.2)]
    if random.random() < 0.45:
        return [np.array(corners, np.float32)], right
    middle, radius = np.array([(left + right) / 2, 0.1 - high / 2]), np.array([right - left, high + 0.4]) * 0.6
    angle = np.linspace(0, 6.3, 60)
    teeth = random.uniform(0.03, 0.14) * np.sin(random.integers(7, 17) * angle) * (random.random() < 0.5)
    path = middle + radius * (1 + teeth)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return [path.astype(np.float32)], float(path[:, 0].max())


def struck_through(left: float, right: float, random: Random) -> Strokes:
    """Bars, a cross or a zigzag over what stands between two places."""
    if random.random() < 0.5:
        return [stroke + np.array([left, 0], np.float32) for stroke in marked(False, right - left, random)]
    left, right = left - random.uniform(0, 0.3), right + random.uniform(0, 0.3)
    kind = random.random()
    if kind < 0.4:
        count = int(random.integers(1, 3)) if right - left > 1.2 else int(random.integers(2, 4))
        ends = -random.uniform(0.3, 0.7, (count, 2))
        return [np.array([[left, a], [right, b]], np.float32) for a, b in ends]
    if kind < 0.6:
        return [np.array([[left, -a], [right, -1 + a]], np.float32) for a in (random.uniform(-0.1, 0.2), 1.0)]
    teeth = int(random.integers(3, 12))
    x = np.linspace(left, right, teeth) + random.normal(0, 0.05, teeth)
    y = np.where(np.arange(teeth) % 2, -0.85, -0.1) + random.normal(0, 0.1, teeth)
    return [np.stack([x, y], 1).astype(np.float32)]


def marked(is_filler: bool, wide: float, random: Random) -> Strokes:
    """A filler of an empty box, or what crosses writing out, over an area of `wide` heights of a digit."""
    paths = mark(FILLERS if is_filler else CROSSINGS, (0.0, 24 * wide, -24.0, 0.0), random)
    return [(path / 24).astype(np.float32) for path in paths]


def real_string(writers: Writers, random: Random) -> tuple[str, Placed] | None:
    """A whole text that someone wrote, with its strokes."""
    if not writers.with_strings:
        return None
    hand = writers.with_strings[random.integers(len(writers.with_strings))]
    text, strokes = hand.strings[random.integers(len(hand.strings))]
    points = np.concatenate(strokes)
    if not set(text) <= set(WRITING) or np.ptp(points[:, 0]) < 0.25 * len(text) * np.ptp(points[:, 1]):  # several lines
        return None
    low, high = np.quantile(points[:, 1], (0.02, 0.98))
    em = max(float(high - low), 1.0) * (0.75 if set(text) & set("()/,") else 0.95)
    moved = [((stroke - (points[:, 0].min(), high)) / em).astype(np.float32) for stroke in strokes]
    wide = float(np.exp(random.normal(0, 0.1)))
    moved = [stroke * (wide, 1) for stroke in moved]
    return text, Placed([moved], [], float(np.ptp(points[:, 0])) / em * wide)


# How it is drawn.


def drawn(placed: Placed, text: str, random: Random) -> Bytes:
    """The ink of a line, `[HIGH, W]`, with room around it."""
    is_print = any(stamp.is_print for stamp in placed.stamps)
    slant = random.normal(0, 0.03 if is_print else 0.12) if placed.stamps else random.normal(0.08, 0.2)
    points = [stroke for strokes in placed.strokes for stroke in strokes]
    tops = [float(one[:, 1].min()) for one in points] + [stamp.y for stamp in placed.stamps]
    bottoms = [float(one[:, 1].max()) for one in points]
    bottoms += [min(0.3, stamp.y + len(stamp.image) * stamp.down) for stamp in placed.stamps]
    top, bottom = min(tops, default=-1.0), max(bottoms, default=0.0)
    high = max(bottom - top, 0.5 if set(text) <= set("-.,'=~:+×÷") else 0.8)
    em = HIGH * (0.28 + 0.7 * random.beta(2.6, 1.4)) / high
    base = -top * em + (HIGH - em * (bottom - top)) * random.uniform(-0.03, 1.03)
    spread, start, wide = across(placed.right * em, abs(slant) * high * em / 2, text, random)
    canvas = np.zeros((HIGH, wide), np.uint8)
    matrix = np.array([[em * spread, -slant * em], [0, em], [start, base]], np.float32)
    pen = em * (0.03 + 0.17 * random.beta(1.8, 3))
    light = int(random.uniform(70, 256)) if is_print else 255  # answers by pencil beside print
    for stamp in placed.stamps:
        stamped(canvas, stamp, matrix, pen, random)
    for strokes in placed.strokes:
        width = max(1, round(pen * random.uniform(0.9, 1.1)))
        lines = [np.rint((stroke @ matrix[:2].T + matrix[2]) * 16).astype(np.int32) for stroke in strokes]
        cv2.polylines(canvas, lines, False, light, width, cv2.LINE_8, 4)
        for line in lines:
            if len(line) < 3 and np.ptp(line, 0).max() < 16 * width:  # a dot
                cv2.circle(canvas, tuple(map(int, line[0])), 16 * max(1, round(width * 0.55)), light, -1, cv2.LINE_8, 4)
    return warped(canvas, random) if random.random() < 0.3 else canvas


def across(inner: float, lean: float, text: str, random: Random) -> tuple[float, float, int]:
    """How a line of `inner` pixels lies across its canvas: how far it is spread, so that each character has its steps;
    where it begins; and how wide the canvas is. Slanted ink leans out by `lean` pixels."""
    if not text:
        return 1.0, 0.0, int(HIGH * 10 ** random.uniform(-0.4, 1.0))
    margins = HIGH * np.where(random.random(2) < 0.18, random.uniform(0.4, 3.0, 2), random.uniform(0.02, 0.45, 2))
    needed = 1.1 * STEP * FINE * (len(text) + sum(a == b for a, b in pairwise(text)) + 1)
    spread = float(np.clip((needed - margins.sum()) / max(inner, 1.0), 1.0, 1.6))
    return spread, margins[0] + lean, int(max(inner * spread + margins.sum() + 2 * lean, needed, HIGH * 0.4))


def stamped(canvas: Bytes, stamp: Stamp, matrix: Points, pen: float, random: Random) -> None:
    """Put an image of a character on the canvas; unless it is print, its strokes are about as wide as the pen's."""
    image = stamp.image
    grow = matrix[:2] @ np.diag([stamp.across, stamp.down]) @ np.array([[1, -stamp.turn], [stamp.turn, 1]])
    move = matrix[:2] @ np.array([stamp.x, stamp.y]) + matrix[2]
    high, wide = image.shape
    columns = (grow @ np.array([[0, wide, 0, wide], [0, 0, high, high]]) + move[:, None])[0]
    left = max(0, int(columns.min()) - 4)
    part = canvas[:, left : max(left + 1, int(columns.max()) + 5)]
    if not part.size:
        return
    move[0] -= left
    ink = cv2.warpAffine(image, np.column_stack([grow, move]), part.shape[::-1], flags=cv2.INTER_CUBIC)
    stroke = 2.6 * stamp.down * float(matrix[1, 1])  # about the width of MNIST's pen
    off = 0 if stamp.is_print else min(round((stroke - pen) / 2), int(stroke * 0.3))
    if off > 0:
        ink = cv2.convertScaleAbs(cv2.erode(ink, nib(off)), alpha=random.uniform(1.2, 2.2))
    elif off < -1:
        ink = cv2.dilate(ink, nib(min(-off, max(1, int(stroke * 0.4)))))
    np.maximum(part, ink, out=part)


def nib(radius: int) -> Bytes:
    """A round kernel."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.uint8)


def boxed(writers: Writers, random: Random) -> tuple[str, Bytes]:
    """The text and the ink, `[HIGH, W]`, of a box of a form, with what reaches in from the boxes beside it."""
    digit = str(random.integers(10))
    text = (digit, "~", "#", "", str(random.integers(10, 1000)))[random.choice(5, p=[0.55, 0.14, 0.14, 0.12, 0.05])]
    pitch, shift = HIGH * random.uniform(0.65, 0.95), random.normal(0, 0.07, 3)
    ink = np.zeros((HIGH, int(pitch * random.uniform(1.0, 1.35))), np.uint8)
    for place in (-1, 0, 1):
        what = text if place == 0 else "~" if random.random() < 0.1 else number(random, 1)
        part = drawn(written(writers, what, random), what, random)
        columns = np.flatnonzero(part.max(0) > 80)
        if not len(columns) or (place and random.random() < 0.5):
            continue
        part = part[:, columns[0] : columns[-1] + 1]
        scale = min(1.0, random.uniform(0.8, 1.2) * pitch / part.shape[1])
        left = ink.shape[1] / 2 + (place + shift[place]) * pitch - part.shape[1] * scale / 2
        move = np.array([[scale, 0, left], [0, scale, (1 - scale) * HIGH / 2]])
        np.maximum(ink, cv2.warpAffine(part, move, ink.shape[::-1]), out=ink)
    return text, ink


def warped(ink: Bytes, random: Random) -> Bytes:
    """Ink moved by a smooth random field."""
    high, wide = ink.shape
    cell = HIGH // 2
    field = random.normal(0, random.uniform(0.5, 3.5), (high // cell + 2, wide // cell + 2, 2)).astype(np.float32)
    away = cv2.resize(field, (wide, high), interpolation=cv2.INTER_CUBIC)
    x, y = away[..., 0] + np.arange(wide, dtype=np.float32), away[..., 1] + np.arange(high, dtype=np.float32)[:, None]
    return cv2.remap(ink, x, y, cv2.INTER_LINEAR).astype(np.uint8, copy=False)


# Paper and camera.


def pictured(inked: Bytes, others: Bytes | None, random: Random, strength: float = 1.0, is_box: bool = False) -> Grey:
    """The picture that a camera or scanner takes of ink on paper, float32 `[h, w]` in [0, 1].

    Args:
        inked: The ink, `[HIGH, W]`.
        others: Ink of another line, of which a part may enter at the edges; None for none.
        random: The random values.
        strength: Multiplies the shares of effects.
        is_box: Whether it is a box of a form.
    """

    def chance(share: float) -> bool:
        return bool(random.random() < share * strength)

    prints = np.zeros_like(inked)
    high, wide = inked.shape
    if chance(0.22):
        ruled(prints, random)
    if is_box or chance(0.3):
        framed(prints, random, 0.95 if is_box else 0.6)
    if others is not None:
        entering(prints, others, random)
    # Seen at some resolution.
    seen = int(HEIGHT * np.exp(random.uniform(np.log(0.42), np.log(2.2)))) if chance(0.7) else HEIGHT * 2
    size = max(4, round(wide * seen / high)), seen
    ink, printed = (
        cv2.resize(one, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255 for one in (inked, prints)
    )
    high, wide = ink.shape
    contrast = random.uniform(0.08, 0.3) if chance(0.15) else random.uniform(0.3, 1.0)
    paper: Grey = np.ones(ink.shape, np.float32)
    if chance(0.35):
        patterned(paper, random, 0.45 * contrast)
    if chance(0.35):
        slope = random.normal(0, 0.02 + 0.25 * contrast, 2)
        y, x = np.ogrid[-0.5 : 0.5 : high * 1j, -0.5 : 0.5 : wide * 1j]
        paper *= (1 + slope[0] * x + slope[1] * y).astype(np.float32)
    if chance(0.08):
        x = np.arange(wide) - random.uniform(0, wide)
        edge = 1 / (1 + np.exp(np.minimum(-x / random.uniform(0.5, 15), 50)))
        paper *= (1 - random.uniform(0.1, 0.8) * contrast * edge).astype(np.float32)
    if chance(0.07):
        cell = max(3, high // 6)
        gone = random.random((high // cell + 2, wide // cell + 2)).astype(np.float32)
        ink = ink * (1 - random.uniform(0.3, 0.7) * cv2.resize(gone, (wide, high)))
    light = random.uniform(max(0.35, contrast), 1.0)
    print_contrast = contrast * random.uniform(0.2, 1.1)
    picture = light * paper * (1 - np.maximum(ink * contrast / light, printed * print_contrast / light))
    if chance(0.35):
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 0.045 * high + 0.3))
    if chance(0.1):
        picture += (picture - cv2.GaussianBlur(picture, (0, 0), 1.2)) * random.uniform(0.3, 1.5)
    if chance(0.4):
        noise = random.normal(0, 1, picture.shape).astype(np.float32)
        picture = picture + noise * contrast * (random.random() ** 2 * 0.2)
    if chance(0.04):
        specks = random.random(picture.shape) < 0.003
        picture = np.where(specks, random.uniform(0, 1), picture)
    picture = picture.clip(0, 1).astype(np.float32)
    if chance(0.12):
        stream = io.BytesIO()
        Image.fromarray((picture * 255).astype(np.uint8)).save(stream, "JPEG", quality=int(random.integers(15, 70)))
        picture = np.asarray(Image.open(stream), np.float32) / 255
    if chance(0.1):
        picture = (picture > float(picture.mean()) - 0.3 * float(picture.std())).astype(np.float32)
    seen_as: Grey = 1 - picture if random.random() < 0.3 else picture
    return seen_as


def ruled(printed: Bytes, random: Random) -> None:
    """Print lines to write on, or squares, some dotted."""
    high, wide = printed.shape
    light, thick = random.uniform(0.3, 1), int(random.integers(1, 6))
    tilt = random.normal(0, 0.012) * wide
    lines, rows = np.zeros(printed.shape, np.uint8), random.uniform(-0.05, 1.05, random.integers(1, 4)) * high
    if random.random() < 0.3:
        pitch, off = random.uniform(0.25, 0.9) * high, random.uniform(0, high, 2)
        rows, light = np.arange(off[0] - high, 2 * high, pitch), light * 0.7
        for x in np.arange(off[1] - high, wide, pitch):
            cv2.line(lines, (int(x), 0), (int(x), high), 255, thick)
    for y in rows:
        cv2.line(lines, (0, int(y - tilt)), (wide, int(y + tilt)), 255, thick)
    if random.random() < 0.35:
        lines[:, np.arange(wide) // int(random.integers(4, 14)) % 2 == 0] = 0
    np.maximum(printed, cv2.convertScaleAbs(lines, alpha=light), out=printed)


def framed(printed: Bytes, random: Random, share: float) -> None:
    """Print a share of the sides of a box or of cells, or a black margin as scanners leave it."""
    high, wide = printed.shape
    lines = np.zeros(printed.shape, np.uint8)
    thick = int(random.integers(2, 11))
    tilt = random.normal(0, 0.02, 4) * high
    inset = random.uniform(-0.03, 0.16, 4) * high
    right, low = wide - inset[3], high - inset[1]
    sides = ((0, inset[0], wide, inset[0] + tilt[0]), (0, low, wide, low + tilt[1]),
             (inset[2], 0, inset[2] + tilt[2], high), (right, 0, right + tilt[3], high))  # fmt: skip
    for x, y, to_x, to_y in sides:
        if random.random() < share:
            cv2.line(lines, (int(x), int(y)), (int(to_x), int(to_y)), 255, thick)
    if random.random() < 0.15:
        dash = int(random.integers(8, 24))
        lines[(np.arange(high)[:, None] + np.arange(wide)) // dash % 2 == 0] = 0
    if random.random() < 0.12:
        margin = int(random.uniform(0.02, 0.3) * high)
        np.rot90(lines, int(random.integers(4)))[:margin] = 255
    np.maximum(printed, cv2.convertScaleAbs(lines, alpha=random.uniform(0.4, 1.2)), out=printed)


def entering(printed: Bytes, others: Bytes, random: Random) -> None:
    """Let the edge of another line enter above or below."""
    high, wide = printed.shape
    rows = np.flatnonzero(others.max(1) > 80)
    if not len(rows):
        return
    reach = int(random.uniform(0.04, 0.2) * high)
    begin, is_above = int(random.integers(0, max(1, wide - others.shape[1]))), random.random() < 0.5
    part = others[max(0, rows[-1] + 1 - reach) : rows[-1] + 1] if is_above else others[rows[0] : rows[0] + reach]
    place = (printed[: len(part)] if is_above else printed[high - len(part) :])[:, begin : begin + others.shape[1]]
    np.maximum(place, part[:, : place.shape[1]], out=place)


def patterned(paper: Grey, random: Random, most: float) -> None:
    """Print a fine pattern, clouds or curves of security paper."""
    high, wide = paper.shape
    y, x = np.ogrid[0:high, 0:wide]
    depth = random.uniform(0.03, most)
    kind = random.random()
    if kind < 0.4:
        cell = int(random.integers(3, 16))
        field = random.random((high // cell + 2, wide // cell + 2)).astype(np.float32)
        paper *= 1 - depth * cv2.resize(field, (wide, high))
        return
    swing = random.uniform(0, 4) * np.sin(x / random.uniform(4, 25) + random.uniform(0, 6))
    pitch = random.uniform(0.6, 3.0)
    waves = np.sin((y + swing + random.normal(0, 0.4) * x) / pitch)
    if kind < 0.6:
        waves = waves * np.sin(x / pitch)
    paper *= (1 - depth * waves.clip(random.uniform(-0.5, 0.5), 1)).astype(np.float32)


# Lines.


def line_of(grey: Grey) -> Grey:
    """The grey picture `[h, w]` of a line, in [0, 1], as the network sees it: `[HEIGHT, W]`, `W` a multiple of `STEP`,
    the ground about 0, the ink about 1. Nothing is removed; only size and light are evened."""
    high, wide = grey.shape
    width = -(-min(max(STEP, round(wide * HEIGHT / high)), WIDEST) // STEP) * STEP
    method = Image.Resampling.BOX if high > HEIGHT else Image.Resampling.BILINEAR
    picture = np.asarray(Image.fromarray(grey).resize((width, HEIGHT), method))
    ground = float(np.median(picture))
    away = picture - ground if picture.mean() > ground else ground - picture
    contrast = max(float(np.quantile(away, 0.98)), LEAST_CONTRAST)
    evened: Grey = (away / contrast).clip(-0.5, 1.5).astype(np.float32)
    return evened


def line(writers: Writers, random: Random, strength: float = 1.0) -> Line:
    """Compose one line that is wide enough for its text."""
    while True:
        is_box = random.random() < BOXED_SHARE
        if is_box:
            text, ink = boxed(writers, random)
        else:
            found = real_string(writers, random) if random.random() < REAL_SHARE else None
            text = text_of(random) if found is None else found[0]
            ink = drawn(written(writers, text, random) if found is None else found[1], text, random)
        others = None
        if random.random() < NEIGHBOUR_SHARE:
            others = drawn(written(writers, number(random, 6), random), "1", random)
        picture = line_of(pictured(ink, others, random, strength, is_box))
        if picture.shape[1] // STEP >= len(text) + sum(a == b for a, b in pairwise(text)):
            return Line(picture, text)


@dataclass(frozen=True)
class LineBatch:
    """A batch of lines with their texts."""

    image: Tensor
    """float32 `[B, 1, HEIGHT, W]`: the ground about 0, the ink about 1; beyond a line's width 0."""
    target: Tensor
    """int64: the classes of all lines, one line after the other, as places in `WRITING` from 1."""
    lengths: Tensor
    """int64 `[B]`: how many classes each line has; 0 where nothing is written."""
    widths: Tensor
    """int64 `[B]`: widths of the lines in pixels, multiples of `STEP`, with enough steps for their classes."""

    def texts(self) -> list[str]:
        """The text of each line."""
        parts = self.target.split(self.lengths.tolist())
        return ["".join(WRITING[place - 1] for place in part.tolist()) for part in parts]


class Lines:
    """Batches of lines. Each batch depends only on the seed, the step, the size and the strength.

    Args:
        digits: Training images with their digits; every digit must occur.
        seed: Another seed gives other lines.
        watch: Shows the progress of drawing hands, before the first batch.
        count: How many hands are drawn beforehand.
        writers: Writers of the pen digits.
        people: The file `pen-writers.jsonl`; without it, signs are drawn, and no strings are as people wrote them.
        part: Which writers of this file write.
        fonts: A folder with more fonts.
    """

    def __init__(
        self, digits: DigitSet, seed: int, watch: Watch = iter, count: int | None = None,
        writers: Collection[int] = range(WRITERS), people: str = "", part: Part = "training",
        fonts: str = "",
    ) -> None:  # fmt: skip
        random = np.random.default_rng([seed, 0x4A4D])
        drawn_hands = [drawn_hand(random) for _ in watch(range(HANDS if count is None else count))]
        hands = pen_hands(writers) | (hands_in(Path(people), part) if people else {})
        self.seed, self.writers = seed, Writers(hands, drawn_hands, digits.images, digits.digits, fonts)
        self.latest: tuple[Any, list[list[Line]]] | None = None

    def batch(self, step: int, size: int, strength: float = 1.0) -> LineBatch:
        """`size` lines of similar widths. `strength` multiplies the shares of effects of paper and camera."""
        number, place = divmod(step, ROUND)
        key = number, size, strength
        if self.latest is None or self.latest[0] != key:
            random = np.random.default_rng([self.seed, number, size])
            lines = sorted(
                (line(self.writers, random, strength) for _ in range(ROUND * size)), key=lambda one: one.width
            )
            batches = [lines[start : start + size] for start in range(0, len(lines), size)]
            self.latest = key, [batches[place] for place in random.permutation(ROUND)]
        lines = self.latest[1][place]
        image = torch.zeros(size, 1, HEIGHT, max(one.width for one in lines))
        for row, one in zip(image, lines, strict=True):
            row[0, :, : one.width] = torch.from_numpy(one.picture)
        classes = [[WRITING.index(character) + 1 for character in one.text] for one in lines]
        return LineBatch(
            image, torch.tensor([place for text in classes for place in text], dtype=torch.int64),
            torch.tensor([len(text) for text in classes]), torch.tensor([one.width for one in lines]),
        )  # fmt: skip

"""Draw filled forms as cells, photographs or scans, with every number known, to measure how well forms are read.

`sheet_truth` decides what is meant and written. The ink is real writers' single digits, put into boxes and side by side
on strips: MNIST's test images, or scans of single digits in the folders 0 to 9. Nobody knows who wrote which digit, so
a sheet mixes digits of many writers. A hand sets only how large, how slanted and how close they are written. Signs and
crossings-out are drawn.

The printed page is the form's own PDF. Cells are cut out of it with the ink on them, as if from a photograph: the
registration is slightly off, the picture is a little blurred and noisy, and the brightness of the ground is not quite
known.

Photographs and scans are drawn: a page as a hand-held telephone or a scanner sees it. No camera was involved. A page
lies on a desk, flat or curved, and is seen from a little aside and turned. Light falls unevenly, with a soft shadow
across. The picture is out of focus or shaken by realistic amounts, noisy, and a JPEG. For each point of the page, its
place on the picture is known. Some things are missing: crumpled or folded pages, flash, the colour of light, other
sheets beneath. Points of a picture are measured from its top left corner: the middle of the first pixel is (½, ½).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, reduce
from io import BytesIO
from itertools import pairwise, product
from math import ceil, cos, sin
from operator import add
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lab.suites.digits import HALVES, Half, Random, check_half, cropped
from lab.suites.out_of_distribution import draw_stroke
from lab.suites.photographs import FAINT, rotated
from lab.suites.sheet_truth import FILLERS, Truth, random_of, truth
from lab.suites.strips import BLOCK
from sumnist.data.mnist import DISPUTED_TEST_LABELS, load_mnist
from sumnist.errors import DataError
from sumnist.sheets.layout import Layout, Page, Person, Rectangle
from sumnist.sheets.printing import pdf

Grey = NDArray[np.uint8]
"""Grey levels, `[H, W]`."""
Cover = NDArray[np.float32]
"""The share of each pixel that ink covers, in [0, 1], `[h, w]`."""

SCALE = 12
"""Pixels per millimetre: 305 per inch."""
REACH = 3
"""Millimetres by which ink may lie outside its boxes."""
HEIGHTS = 4.5, 8.0
"""Height of digits in millimetres, least and most. Each hand has a height, and its digits are near that height."""
WIDEST = 7.5
"""Largest width of a digit in a box, in millimetres."""
SECOND_PEN = 0.15
"""Share of fields that are written with another pen than the rest of the sheet. Half of the corrections have another
pen."""
GREYS = {"blue": (0.18, 0.45), "black": (0.03, 0.22), "pencil": (0.28, 0.46)}
"""Share of light that the ink of each pen reflects, least and most; even the palest ink differs from the printed
lines."""
PENS = {"blue": 0.5, "black": 0.35, "pencil": 0.15}
"""How often each pen is used."""
THREADBARE = 0.3
"""Largest share of a pencil's line that the grain of the paper leaves white."""
CUT = 3
"""Pixels cut off at each side of a scan: they show lines of the table that the scan was cut from."""
EDGE = 10
"""A component that lies within this many pixels of a side is also a line of the table."""
SPECK = 0.03
"""Components with at most this share of the largest one's ink are specks of dust."""
PAPER, PALEST = 0.08, 0.1
"""`PAPER`: pixels that are darker than paper by less than this are paper. `PALEST`: the least contrast of ink."""


@dataclass(frozen=True)
class Ink:
    """Pictures of single digits of one half.

    Attributes:
        name: What tables call them.
        digits: The pictures of each digit 0..9, uint8 `[h, w]` each, ink light on 0, cropped to the ink.
    """

    name: str
    digits: tuple[tuple[Grey, ...], ...]

    @classmethod
    def mnist(cls, half: Half) -> Ink:
        """Take MNIST's test images of a half, as in the suite of strips, without images whose label is disputed: nobody
        could say which digit is meant. Raises `ConfigError`, `DataError`."""
        test, places = load_mnist("test"), np.arange(10_000)
        chosen = (places // BLOCK % 2 == HALVES.index(check_half(half))) & ~np.isin(places, DISPUTED_TEST_LABELS)
        kept = test.part(np.flatnonzero(chosen))
        digits = [kept.images[kept.digits == digit] for digit in range(10)]
        return cls("MNIST", tuple(tuple(cropped(image, FAINT, 1) for image in images) for images in digits))

    @classmethod
    def scanned(cls, folder: Path, half: Half) -> Ink:
        """Take the scans in the folders 0 to 9: files with an even number for development, with an odd number for the
        report. Raises `ConfigError`, and `DataError` if a digit has no scans."""
        parity, found = HALVES.index(check_half(half)), []
        for digit in range(10):
            numbered = (path for path in sorted((folder / str(digit)).glob("*.*")) if path.stem.isdecimal())
            kept = (ink_of_scan(path) for path in numbered if int(path.stem) % 2 == parity)
            found.append(tuple(cropped(ink, FAINT, 1) for ink in kept if (ink >= FAINT).any()))
            if not found[-1]:
                raise DataError(
                    f"{folder / str(digit)}: no pictures of the {half} half, expected files such as 00{digit}1.png: "
                    "check the name"
                )
        return cls("scans", tuple(found))


def ink_of_scan(path: Path) -> Grey:
    """Return the ink on a scan, light on 0. Raises `DataError`."""
    from scipy import ndimage  # only measuring needs scans

    try:
        with Image.open(path) as picture:
            grey = np.asarray(picture.convert("L"), np.float32)[CUT:-CUT, CUT:-CUT]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}), expected a picture: take it out") from error
    ink = 1 - grey / np.median(grey)
    ink = np.clip((ink - PAPER) / max(PALEST, float(np.quantile(ink, 0.985)) - PAPER), 0, 1)
    parts, count = ndimage.label(ink > (FAINT - 1) / 255, np.ones((3, 3)))
    if not count:
        return np.zeros(ink.shape, np.uint8)
    places = np.array([(rows.start, rows.stop, columns.start, columns.stop)
                       for rows, columns in ndimage.find_objects(parts)])  # fmt: skip
    top, bottom, left, right = places.T
    high, wide = ink.shape
    aside = (bottom <= EDGE) | (top >= high - EDGE) | (right <= EDGE) | (left >= wide - EDGE)
    masses = np.where(aside, 0, ndimage.sum_labels(ink, parts, np.arange(1, count + 1)))
    kept = np.isin(parts, 1 + np.flatnonzero(masses > SPECK * masses.max()))
    near = np.asarray(Image.fromarray(kept).filter(ImageFilter.MaxFilter(3)))
    return np.asarray(ink * near * 255, np.uint8)


class Mark(NamedTuple):
    """The ink on a part of a page.

    Attributes:
        left: Where the part begins, in pixels from the left edge of the page.
        top: Where it begins, in pixels from the upper edge.
        cover: The share of each pixel that ink covers.
        grey: The share of light that the ink reflects.
    """

    left: int
    top: int
    cover: Cover
    grey: float


class Pen(NamedTuple):
    """A pen.

    Attributes:
        grey: The share of light that its ink reflects.
        level: The level at which it takes the edge of a digit: a low level makes the digit thick.
        width: The width of drawn strokes in pixels.
        grain: How much the grain of the paper shows.
    """

    grey: float
    level: float
    width: float
    grain: float


class Hand(NamedTuple):
    """How the digits of a sheet are written.

    Attributes:
        ink: The pictures of digits.
        height: The height of the digits in pixels.
        slant: The slant of the digits.
        gap: The gap between digits on a strip, as a share of their height.
    """

    ink: Ink
    height: float
    slant: float
    gap: float


def marks(layout: Layout, truth: Truth, ink: Ink, random: Random) -> dict[str, tuple[Mark, Mark]]:
    """Draw the ink of each field and of its correction."""
    pen = pen_of(random)
    hand = Hand(ink, random.uniform(*HEIGHTS) * SCALE, random.normal(0, 0.08), random.uniform(-0.05, 0.2))
    found = {}
    for place in Page.of(layout).places:
        entry, strip = truth.entries[place.name], layout.field(place.name).kind == "strip"
        used = pen_of(random) if random.random() < SECOND_PEN else pen
        other = pen_of(random) if random.random() < 0.5 else used
        crossed = entry.manner == "corrected"
        found[place.name] = (
            mark(place.boxes, entry.written, strip, used, hand, random, crossed),
            mark(place.correction, entry.correction, strip, other, hand, random, False),
        )
    return found


def pen_of(random: Random) -> Pen:
    """Choose a pen at random."""
    kind = str(random.choice(list(PENS), p=list(PENS.values())))
    grain = random.uniform(0.1, THREADBARE) if kind == "pencil" else random.uniform(0, 0.06)
    return Pen(random.uniform(*GREYS[kind]), random.uniform(0.38, 0.56), random.uniform(0.35, 0.8) * SCALE, grain)


def mark(
    boxes: Sequence[Rectangle], written: Sequence[str], strip: bool, pen: Pen, hand: Hand, random: Random, crossed: bool
) -> Mark:
    """Write in boxes or on a strip, and cross the writing out if `crossed`."""
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
        on_strip(cover, frames[0], written[0], pen, hand, random)
    else:
        for frame, text in zip(frames, written, strict=True):
            x, y, wide, tall = frame
            middle = x + wide / 2 + random.normal(0, 0.06) * wide, y + tall / 2 + random.normal(0, 0.05) * tall
            if text.isdecimal():
                put(cover, digit(text, pen, hand, random, WIDEST * SCALE), middle)
            else:
                signs(cover, [frame], [text], pen, random)
    if crossed:
        cross_out(cover, pen, random)
    if pen.grain > 0:
        row, column = random.integers(64, size=2)
        cover *= 1 - pen.grain * grain()[row : row + height, column : column + width]
    return Mark(left, top, cover.clip(0, 1), pen.grey)


@cache
def grain() -> Cover:
    """Return the grain of paper, from 0 to 2."""
    noise = np.random.default_rng(0).standard_normal((320, 2048)).astype(np.float32)
    smooth = noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))
    return np.clip(1 + smooth / 3, 0, 2)


# Digits.

Point = tuple[float, float]
Frame = tuple[float, float, float, float]
"""Left, top, width and height of a box, in pixels of a cover."""


def on_strip(cover: Cover, frame: Frame, text: str, pen: Pen, hand: Hand, random: Random) -> None:
    """Draw a number onto a strip, digit beside digit, smaller if it is too wide."""
    x, y, width, height = frame
    parts = [None if sign in ",." else digit(sign, pen, hand, random) for sign in text]
    gaps = [hand.height * (hand.gap + random.normal(0, 0.06)) for _ in parts]
    point = 0.35 * hand.height
    widths = ((point if part is None else part.shape[1]) + gap for part, gap in zip(parts, gaps, strict=True))
    whole = reduce(add, widths)  # not `sum`, whose last digits depend on the version of Python
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


def digit(text: str, pen: Pen, hand: Hand, random: Random, widest: float = np.inf) -> Cover:
    """Draw a digit as the hand and the pen write it."""
    pictures = hand.ink.digits[int(text)]
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
    if down > 2:  # smooths the edges of enlarged pixels
        source = source.filter(ImageFilter.GaussianBlur(0.4))
    drawn = source.transform(tuple(size.tolist()), Image.Transform.AFFINE, values, Image.Resampling.BICUBIC)
    steep = max(1.4, down / 2)
    edge = np.asarray(drawn, np.float32) * (steep / 255)
    return np.asarray(np.clip(edge + (0.5 - pen.level * steep), 0, 1), np.float32)


def put(cover: Cover, drawn: Cover, middle: Point) -> None:
    """Lay `drawn` over a cover around a point, and cut off what lies outside."""
    tall, wide = drawn.shape
    left, top = round(middle[0] - wide / 2), round(middle[1] - tall / 2)
    rows, columns = slice(max(0, top), max(0, top + tall)), slice(max(0, left), max(0, left + wide))
    place = cover[rows, columns]
    inside = drawn[rows.start - top :, columns.start - left :][: place.shape[0], : place.shape[1]]
    np.maximum(place, inside, out=place)


# Strokes.


def stroke(cover: Cover, points: Sequence[Point], width: float) -> None:
    """Draw a pen's line through points."""
    canvas = Image.new("L", (cover.shape[1], cover.shape[0]))
    draw_stroke(ImageDraw.Draw(canvas), points, width)
    np.maximum(cover, np.asarray(canvas, np.float32) / 255, out=cover)


def line(cover: Cover, start: Point, end: Point, width: float, random: Random) -> None:
    """Draw a pen's line that is not quite straight."""
    (x, y), (u, v) = start, end
    bow, share = random.normal(0, 0.05), np.linspace(0, 1, 9)
    away = 4 * bow * share * (1 - share)
    across, down = x + share * (u - x) - away * (v - y), y + share * (v - y) + away * (u - x)
    stroke(cover, list(zip(across.tolist(), down.tolist(), strict=True)), width)


def lines(sign: str, frame: Frame) -> Iterator[tuple[Point, Point]]:
    """Yield the start and the end of each stroke of a sign in a frame."""
    x, y, width, height = frame
    if sign == "–":
        yield (x, y + height / 2), (x + width, y + height / 2)
    else:
        yield (x, y + height), (x + width, y)
    if sign == "X":
        yield (x, y), (x + width, y + height)


def signs(cover: Cover, frames: Sequence[Frame], written: Sequence[str], pen: Pen, random: Random) -> None:
    """Draw signs for nothing: one in each box, or one over all boxes if these have the same sign."""
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
            line(cover, *ends, pen.width, random)


def cross_out(cover: Cover, pen: Pen, random: Random) -> None:
    """Cross out the ink: by one line or two, an X, or a scribble."""
    rows, columns = (np.flatnonzero((cover > 0.3).any(axis)) for axis in (1, 0))
    top, left = rows[0], columns[0] - random.uniform(0.2, 1.2) * SCALE
    tall, wide = rows[-1] - top, columns[-1] - left + random.uniform(0.2, 1.2) * SCALE
    kind = random.choice(["line", "lines", "X", "scribble"], p=(0.4, 0.2, 0.2, 0.2))
    heights = {"line": [0.5], "lines": [0.35, 0.65]}.get(kind, [])
    for height in heights:
        ends = (top + tall * (height + random.normal(0, 0.12)) for _ in range(2))
        line(cover, (left, next(ends)), (left + wide, next(ends)), pen.width, random)
    if kind == "X":
        for start, end in lines("X", (left, top, wide, tall)):
            line(cover, start, end, pen.width, random)
    if kind == "scribble":
        teeth = int(random.integers(7, 14)) + round(wide / tall * 4)
        across = left + wide * (np.linspace(0, 1, teeth) + random.normal(0, 0.02, teeth))
        down = top + tall * (np.arange(teeth) % 2 * 0.8 + 0.1 + random.normal(0, 0.08, teeth))
        stroke(cover, list(zip(across.tolist(), down.tolist(), strict=True)), pen.width)


Cell = NDArray[np.float32]
"""The picture of a box or strip, light ink on 0, `[36, w]`."""
Cells = dict[str, tuple[list[Cell], list[Cell]]]
"""For each field, the cells of its boxes, or of its strip, and those of its correction."""

CELL_SCALE, CELL_MARGIN = 3, 1
"""Pixels per millimetre of a cell's picture, and millimetres around the box that belong to it."""
HALVED = SCALE // 2
"""Pixels per millimetre of a page that is halved, before it is blurred."""
OFF, OFF_HERE = 0.1, 0.08
"""Errors of a registration in millimetres: of the whole page, and of each place in addition; standard deviations."""
TURNED = 0.004
"""Error of a registration by turning or stretching; standard deviation."""
CELL_BLUR = 0.12, 0.28
"""Standard deviation of the blur in millimetres: from that of a photograph of 12 megapixels to that of 1.5
megapixels."""
CELL_NOISE = 0.004, 0.025
"""Standard deviation of the noise, as a share of white: least and most."""
GROUND = 0.96, 1.02
"""Assumed brightness of the ground divided by its true brightness: least and most."""


@lru_cache(8)
def printed(layout: Layout, identity: str | None = None) -> Grey:
    """Return the printed page, grey `[H, W]`, `SCALE` pixels per millimetre; read-only."""
    document = pypdfium2.PdfDocument(pdf(layout, [] if identity is None else [Person(identity)]))
    try:  # a little less than the scale: else a page whose side is a whole number of pixels gets one more
        page = document[0].render(scale=SCALE * 25.4 / 72 * (1 - 1e-6), grayscale=True).to_numpy().copy()
    finally:
        document.close()
    page.setflags(write=False)
    return np.asarray(page, np.uint8)


def filled(layout: Layout, identity: str, found: Mapping[str, tuple[Mark, Mark]]) -> Grey:
    """Return a person's page with ink on it, grey `[H, W]`."""
    page = printed(layout, identity).copy()
    for mark in (mark for both in found.values() for mark in both):
        if mark.cover.any():
            part = part_of(page, mark)
            part[:] = with_mark(part, mark)
    return page


def part_of(page: Grey, mark: Mark) -> Grey:
    """Return the part of a page that a mark is on."""
    tall, wide = mark.cover.shape
    return page[mark.top : mark.top + tall, mark.left : mark.left + wide]


def with_mark(part: Grey, mark: Mark) -> Grey:
    """Return a part of a page with the ink of a mark on it."""
    return np.asarray(part * (1 - mark.cover * np.float32(1 - mark.grey)) + np.float32(0.5), np.uint8)


def cells(layout: Layout, found: Mapping[str, tuple[Mark, Mark]], random: Random) -> Cells:
    """Cut the cells out of a filled form as if from a photograph: misplaced, distorted, blurred and noisy, with a
    slightly wrong idea of the ground's brightness."""
    page, off = printed(layout), random.normal(0, OFF, 2)
    skew = np.eye(2) + random.normal(0, TURNED, (2, 2))
    blur, noise, ground = random.uniform(*CELL_BLUR), random.uniform(*CELL_NOISE), np.float32(random.uniform(*GROUND))

    def cut(boxes: Sequence[Rectangle], mark: Mark) -> list[Cell]:
        """Cut out boxes that stand in a row."""
        part, away = part_of(page, mark), off + random.normal(0, OFF_HERE, 2)  # millimetres to the right and down
        source = Image.fromarray(with_mark(part, mark) if mark.cover.any() else part).reduce(SCALE // HALVED)
        source = source.filter(ImageFilter.GaussianBlur(blur * HALVED))
        left, top = boxes[0].x - CELL_MARGIN, boxes[0].y - CELL_MARGIN
        wide, tall = boxes[-1].right + CELL_MARGIN - left, boxes[0].height + 2 * CELL_MARGIN
        size = round(wide * CELL_SCALE), round(tall * CELL_SCALE)
        steps = skew * (HALVED / CELL_SCALE)
        middle = np.array([wide, tall]) / 2 + (left - mark.left / SCALE, top - mark.top / SCALE) + away
        start = middle * HALVED - steps @ (np.array(size) / 2)
        values = (*steps[0], start[0], *steps[1], start[1])
        row = np.asarray(source.transform(size, Image.Transform.AFFINE, values, Image.Resampling.BILINEAR), np.float32)
        row = row / np.float32(255) + np.float32(noise) * random.standard_normal(row.shape, np.float32)
        row = np.clip(1 - row / ground, 0, 1)
        edges = [round((box.x - CELL_MARGIN - left) * CELL_SCALE) for box in boxes]
        widths = [round((box.width + 2 * CELL_MARGIN) * CELL_SCALE) for box in boxes]
        return [row[:, edge : edge + width] for edge, width in zip(edges, widths, strict=True)]

    places = Page.of(layout).places
    return {p.name: (cut(p.boxes, found[p.name][0]), cut(p.correction, found[p.name][1])) for p in places}


Points = NDArray[np.float64]
"""`[N, 2]`: x and y."""

SIZES = (4032, 3024), (3264, 2448), (2592, 1944), (2048, 1536), (1600, 1200), (1280, 960)
"""Longer and shorter side of a photograph, in pixels."""
FOCAL = 0.72
"""Focal length divided by the longer side: that of a lens of about 26 mm on film, as in telephones."""
TILT = 30.0
"""Largest angle between the camera's direction and straight down on the page, in degrees."""
TURN = 4.0
"""Standard deviation of a page's turn, in degrees; a share `QUARTERS` of the photographs is also turned by right
angles."""
QUARTERS = 0.12
FILLS = 0.78, 0.97
"""Share of the picture's width or height that the page takes: least and most."""
BENT, BEND = 0.25, (0.5, 4.0)
"""`BENT`: the share of pages that are bent. `BEND`: by how many millimetres their middle is higher than their sides,
or, for half of them, lower: least and most."""
MESH = 48
"""Pixels between the points at which the picture of a bent page is exact; between these it is bilinear."""
DEFOCUS = 0.04, 0.22
"""Standard deviation of the defocus blur, in millimetres on the page: least and most."""
SHAKEN, MOTION = 0.2, (0.1, 0.6)
"""Share of photographs that are shaken, and by how many millimetres on the page: least and most."""
SHADOWED = 0.6
"""Share of photographs with a shadow across."""
NOISE = 0.004, 0.022
"""Standard deviation of the sensor's noise, as a share of white: least and most."""
QUALITY = 70, 96
"""Quality of JPEG: the least, and the end of the range (exclusive)."""
DPI = 200, 301
"""Pixels per inch of scans: the least, and the end of the range (exclusive)."""
SKEW, SHIFT = 0.7, 1.5
"""How far a page lies askew in a scanner, in degrees, and how far it is shifted, in millimetres; standard
deviations."""


@dataclass(frozen=True)
class View:
    """How a camera or a scanner sees a page.

    Attributes:
        matrix: The map from millimetres on a flat page to pixels of the picture, `[3, 3]`, homogeneous.
        lift: What a millimetre of height above the desk adds to the homogeneous pixels, `[3]`.
        axis: The axis along which the height of a bent page changes: 0 for its width, 1 for its height.
        length: The size of the page along this axis, in millimetres.
        bend: The height of the page's middle above its sides, in millimetres; negative if it is lower. 0 for a flat
            page.
    """

    matrix: NDArray[np.float64]
    lift: NDArray[np.float64]
    axis: int = 0
    length: float = 1.0
    bend: float = 0.0

    @property
    def profile(self) -> NDArray[np.float64]:
        """Points across a bent page, `[3, N]`: their places on the page, the places on the desk below them, and their
        heights."""
        along = np.linspace(-self.length, 2 * self.length, 1201)
        turn = np.where((along >= 0) & (along <= self.length), np.pi / self.length, 0.0)
        steep = self.bend * turn * np.cos(turn * along)
        above = np.concatenate([[0], np.cumsum(np.sqrt(1 - (steep[1:] ** 2 + steep[:-1] ** 2) / 2) * np.diff(along))])
        return np.stack([along, above - above[600] + self.length / 2, self.bend * np.sin(turn * along)])

    def seen(self, points: Points) -> Points:
        """Map points of the page, in millimetres, to the picture."""
        desk, high = np.array(points, float), np.zeros(len(points))
        if self.bend:
            along, above, heights = self.profile
            place = desk[:, self.axis]
            high, desk[:, self.axis] = np.interp(place, along, heights), np.interp(place, along, above)
        found = desk @ self.matrix[:, :2].T + self.matrix[:, 2] + high[:, None] * self.lift
        return np.asarray(found[:, :2] / found[:, 2:])

    def unseen(self, pixels: Points) -> Points:
        """Map points of the picture back to the page, in millimetres."""
        rays = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(self.matrix).T
        lift, high = np.linalg.solve(self.matrix, self.lift), np.zeros(len(pixels))
        for _ in range(8 if self.bend else 1):  # in turn: the point at this height, and the height at this point
            scale = (1 + high * lift[2]) / rays[:, 2]
            desk = rays[:, :2] * scale[:, None] - high[:, None] * lift[:2]
            if self.bend:
                along, above, heights = self.profile
                high = np.interp(desk[:, self.axis], above, heights)
        if self.bend:
            desk[:, self.axis] = np.interp(desk[:, self.axis], above, along)
        return np.asarray(desk)


class Photograph(NamedTuple):
    """A picture of a page, and everything known about it.

    Attributes:
        data: The file, a JPEG in grey.
        view: How the camera sees the page.
        size: Width and height in pixels.
        tilt: The angle between the camera's direction and straight down on the page, in degrees.
        quarter: By how many right angles the page is turned, clockwise, 0 to 3.
        blur: Standard deviation of the defocus, in millimetres on the page.
        motion: How far the picture was shaken, in millimetres on the page.
    """

    data: bytes
    view: View
    size: tuple[int, int]
    tilt: float = 0.0
    quarter: int = 0
    blur: float = 0.0
    motion: float = 0.0


def photographed(page: Grey, random: Random, size: tuple[int, int] | None = None, bent: float = BENT) -> Photograph:
    """Photograph a page.

    Args:
        page: The page, grey `[H, W]`, `SCALE` pixels per millimetre.
        random: The random generator.
        size: Longer and shorter side in pixels; one of `SIZES` if None.
        bent: The share of pages that are bent.
    """
    longer, shorter = SIZES[random.integers(len(SIZES))] if size is None else size
    quarter = int(random.integers(1, 4)) if random.random() < QUARTERS else 0
    wide, high = (longer, shorter) if quarter % 2 else (shorter, longer)
    tilt = TILT * random.beta(1.2, 2.2)
    view = view_of((page.shape[1] / SCALE, page.shape[0] / SCALE), (wide, high), quarter, tilt, random)
    if random.random() < bent:
        axis, bend = int(random.integers(2)), random.uniform(*BEND) * float(random.choice([-1, 1]))
        view = View(view.matrix, view.lift, axis, page.shape[1 - axis] / SCALE, bend)
    outline = view.seen(edge_of(page))
    x, y = outline.T
    area = float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
    scale = float(np.sqrt(area / page.size)) * SCALE  # pixels per millimetre
    picture = Image.composite(drawn(page, view, (wide, high), scale), desk((wide, high), random),
                              inside(outline, (wide, high)))  # fmt: skip
    picture = ImageChops.multiply(picture, light((wide, high), random))
    blur, motion = random.uniform(*DEFOCUS), random.uniform(*MOTION) if random.random() < SHAKEN else 0.0
    picture = picture.filter(ImageFilter.GaussianBlur(blur * scale))
    picture = shaken(picture, motion * scale, random)
    return Photograph(file_of(picture, random), view, (wide, high), tilt, quarter, blur, motion)


def scanned(page: Grey, random: Random) -> Photograph:
    """Scan a page, grey `[H, W]`, `SCALE` pixels per millimetre: in its size, a little askew."""
    scale, angle = random.integers(*DPI) / 25.4, np.radians(random.normal(0, SKEW))
    size = round(page.shape[1] / SCALE * scale), round(page.shape[0] / SCALE * scale)
    middle = np.array([page.shape[1], page.shape[0]]) / SCALE / 2
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array(size) / 2 - turn @ (middle + random.normal(0, SHIFT, 2))
    view = View(np.vstack([np.column_stack([turn, shift]), [0, 0, 1]]), np.zeros(3))
    around = Image.new("L", size, int(random.integers(225, 256)))
    picture = Image.composite(drawn(page, view, size, scale), around, inside(view.seen(edge_of(page)), size))
    picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 0.8)))
    return Photograph(file_of(picture, random), view, size)


# Where the page is.


def view_of(page: tuple[float, float], size: tuple[int, int], quarter: int, tilt: float, random: Random) -> View:
    """Choose how a flat page, whose size is in millimetres, is seen."""
    turn = np.radians(90 * quarter + random.normal(0, TURN))
    camera = np.diag([FOCAL * max(size)] * 2 + [1.0])
    rotation = rotated((0.0, 0.0, 1.0), turn)
    aside = random.uniform(0, 2 * np.pi)
    rotation = rotated((np.cos(aside), np.sin(aside), 0.0), np.radians(tilt)) @ rotation
    corners = np.array(list(product((0, page[0]), (0, page[1]))))

    def view_from(far: float) -> View:
        to_middle = np.array([[1, 0, -page[0] / 2], [0, 1, -page[1] / 2], [0, 0, 0.0]])
        matrix = camera @ (rotation @ to_middle + np.outer([0, 0, far], [0, 0, 1]))
        return View(matrix, camera @ rotation @ [0, 0, -1.0])

    near, far = max(page), 10.0 * max(page)
    fill = random.uniform(*FILLS)
    for _ in range(30):
        between = (near + far) / 2
        taken = np.ptp(view_from(between).seen(corners), axis=0) / size
        near, far = (between, far) if taken.max() > fill else (near, between)
    view = view_from(far)
    seen = view.seen(corners)
    free = np.array(size) - np.ptp(seen, axis=0)
    start = free * random.uniform(0.2, 0.8, 2) - seen.min(0)
    shift = np.array([[1, 0, start[0]], [0, 1, start[1]], [0, 0, 1]])
    return View(shift @ view.matrix, shift @ view.lift)


def edge_of(page: Grey) -> Points:
    """Return points around a page, in millimetres."""
    high, wide = np.array(page.shape) / SCALE
    share = np.linspace(0, 1, 41)[:, None]
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high], [0, 0]])
    return np.concatenate([(1 - share) * one + share * other for one, other in pairwise(corners)])


# What the picture shows.


def drawn(page: Grey, view: View, size: tuple[int, int], scale: float) -> Image.Image:
    """Draw a page as it is seen, at about `scale` pixels per millimetre."""
    factor = max(1, int(SCALE / scale))
    source = Image.fromarray(page).reduce(factor)
    if not view.bend:
        back = np.diag([SCALE / factor, SCALE / factor, 1]) @ np.linalg.inv(view.matrix)
        values = (back / back[2, 2]).ravel()[:8].tolist()
        return source.transform(size, Image.Transform.PERSPECTIVE, values, Image.Resampling.BILINEAR, fillcolor=255)
    across, down = (np.arange(0, side + MESH, MESH) for side in size)
    nodes = np.stack(np.meshgrid(across, down), 2).reshape(-1, 2).astype(float)
    places = (view.unseen(nodes) * SCALE / factor).reshape(len(down), len(across), 2)
    mesh = [
        ((x, y, x + MESH, y + MESH), (*places[j, i], *places[j + 1, i], *places[j + 1, i + 1], *places[j, i + 1]))
        for (j, y), (i, x) in product(enumerate(down[:-1].tolist()), enumerate(across[:-1].tolist()))
    ]
    whole = (int(across[-1]), int(down[-1]))
    seen = source.transform(whole, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=255)
    return seen.crop((0, 0, *size))


def inside(outline: Points, size: tuple[int, int]) -> Image.Image:
    """Return a mask: white where the page is."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([*map(tuple, outline.tolist())], fill=255)
    return mask


def desk(size: tuple[int, int], random: Random) -> Image.Image:
    """Draw a desk of one grey, or with the grain of wood."""
    grain = random.standard_normal((3, 200)) if random.random() < 0.6 else random.standard_normal((40, 40))
    grey = random.uniform(30, 190) + random.uniform(1, 14) * (grain if random.random() < 0.5 else grain.T)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def light(size: tuple[int, int], random: Random) -> Image.Image:
    """Draw the light: brighter on one side, darker in the corners, mostly with a soft shadow across."""
    y, x = (np.mgrid[:96, :96] + 0.5) / 96 - 0.5
    angle, turn = random.uniform(0, 2 * np.pi, 2)
    shade = 1 + random.uniform(0, 0.5) * (np.cos(angle) * x + np.sin(angle) * y)
    shade -= random.uniform(0, 0.5) * (x * x + y * y)
    if random.random() < SHADOWED:
        across, on = np.cos(turn) * x + np.sin(turn) * y, np.sin(turn) * x - np.cos(turn) * y
        edge = across + random.uniform(-0.3, 0.3) * on**2 - random.uniform(-0.35, 0.35)
        shade *= 1 - random.uniform(0.15, 0.5) / (1 + np.exp(edge / random.uniform(0.015, 0.12)))
    shade *= random.uniform(0.6, 1.0) / shade.max()
    return Image.fromarray(np.rint(255 * shade).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def shaken(picture: Image.Image, length: float, random: Random) -> Image.Image:
    """Blur a picture as if it had moved by `length` pixels in some direction while it was taken."""
    steps, angle, moved = max(1, round(length)), random.uniform(0, 2 * np.pi), picture
    for step, away in enumerate(np.arange(steps) - (steps - 1) / 2):
        copy = ImageChops.offset(picture, round(away * np.cos(angle)), round(away * np.sin(angle)))
        moved = Image.blend(moved, copy, 1 / (step + 1))
    return moved


def file_of(picture: Image.Image, random: Random) -> bytes:
    """Encode a picture as a JPEG, with the noise of a sensor."""
    pixels = np.asarray(picture)
    steps = NormalDist(0, 255 * random.uniform(*NOISE))
    levels = np.array([round(steps.inv_cdf((level + 0.5) / 256)) for level in range(256)], np.int16)
    noise = levels[random.integers(256, size=pixels.shape, dtype=np.uint8)]
    noise += pixels
    stream = BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=int(random.integers(*QUALITY)))
    return stream.getvalue()


@dataclass(frozen=True)
class Sheets:
    """The sheets of one form, without end. Each sheet depends only on the attributes and its place.

    Attributes:
        layout: The form.
        ink: The pictures of its digits, of the same half.
        half: "development", for choices, or "reported", to be looked at once.
        seed: Each seed gives other sheets of the half.
        wrong: The share of sheets with a wrong total.

    Raises:
        ConfigError: `half` is unknown.

    Examples:
        >>> from lab.suites.sheet_truth import LAYOUTS
        >>> sheets = Sheets(LAYOUTS["cover"], Ink.mnist("development"), "development")
        >>> main, correction = sheets.cells(0)["q1"]
        >>> [cell.shape for cell in main]
        [(36, 30), (36, 30)]
    """

    layout: Layout
    ink: Ink
    half: Half
    seed: int = 0
    wrong: float = 0.0

    def __post_init__(self) -> None:
        check_half(self.half)

    def truth(self, index: int) -> Truth:
        """Return what is meant and written on a sheet."""
        return truth(self.layout, self.half, self.seed, index, self.wrong)

    def cells(self, index: int) -> Cells:
        """Return the cells of a sheet, cut out of its page without a photograph."""
        return cells(self.layout, self.marks(index), self.random("cells", index))

    def page(self, index: int) -> Grey:
        """Return the page of a sheet, grey `[H, W]`, `SCALE` pixels per millimetre."""
        return filled(self.layout, self.truth(index).identity, self.marks(index))

    def photographed(self, index: int, size: tuple[int, int] | None = None, bent: float = BENT) -> Photograph:
        """Photograph a sheet; `size`: longer and shorter side in pixels; `bent`: the share of pages that are bent."""
        return photographed(self.page(index), self.random("photograph", index), size, bent)

    def scanned(self, index: int) -> Photograph:
        """Scan a sheet."""
        return scanned(self.page(index), self.random("scan", index))

    def marks(self, index: int) -> Mapping[str, tuple[Mark, Mark]]:
        """Return the ink of each field of a sheet and of its correction."""
        return marks(self.layout, self.truth(index), self.ink, self.random("ink", index))

    def random(self, use: str, index: int) -> Random:
        """Return the random generator for one `use` on a sheet."""
        return random_of(self.half, self.seed, use, index)

"""Drawn characters: letters, signs and digits as strokes, and shapes that mean nothing, each time another hand's.

Training draws them, so that a network knows what is no digit (outlier exposure: Hendrycks, Mazeika and Dietterich,
2019), and digits with the same pen, so that it does not tell them apart by how they were drawn. Everything here is
the project's own: no font and no data set is in it, and no generator of the suites.
"""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters, digits
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sumnist.data.sampling import NO_DIGIT

__all__ = ["SIGNS", "characters"]

SIDE, BOX, MIDDLE = 28, 20, 14
NARROWEST_DIGIT = 0.45
"""Width by height of the grid; it may be 0.7 more."""
FINE = 4
"""Drawn at this multiple of the resolution."""
THINNEST, THICKEST, THICKEST_DIGIT = 1.3, 4.8, 5.8
"""Pixels of the image that a pen is wide; thin ones are likelier."""
COARSE_SHARE = 0.15
COARSE = 10, 17
"""This share of the drawings is first reduced to 10 to 16 pixels a side, as a very small picture is."""
LETTER_SHARE = 0.75
"""Share of the signs that are letters."""
SERIFS = 0.2
"""Share of the letters that have serifs."""
CURVE = 6
"""Straight pieces between two points of a curved stroke."""

Points = NDArray[np.float64]
"""Points (x, y) `[N, 2]` of a stroke, about 0..1."""
Random = np.random.Generator

# Each variant is a list of strokes, each stroke a list of points xy on a grid of 0..8, (0, 0) at the upper left; a
# stroke that begins with ~ is a curve through its points, the others have corners.
SIGNS: dict[str, tuple[str, ...]] = {
    "0": ("~40 12 06 48 76 72 40", "~50 11 16 48 76 71 30", "~40 12 06 48 76 72 40, 71 17"),
    "1": ("40 48", "12 40 48", "13 50 58, 28 88", "60 28", "22 50 48", "05 50 58", "06 60 68", "23 40 48, 18 68"),
    "2": ("~12 30 61 63 18, 18 78", "~02 20 61 64 27 07 36 78", "~12 40 71 54 08, 08 88", "~13 20 60 62 18, ~18 36 88"),
    "3": ("~11 40 71 63 34, ~34 74 77 38 07", "00 70 33, ~33 74 67 28 07", "~11 50 72 44 76 48 07"),
    "4": ("50 05 85, 50 58", "10 14 74, 70 78", "~10 13 34 74, ~70 64 48", "20 05 75, 52 58", "~50 14 25 74, 80 48",
          "~30 04 24 74, ~80 74 58", "10 04 84, 60 58"),
    "5": ("70 10 13, ~13 53 75 58 08", "10 13, ~13 53 75 58 08, 10 80", "~70 30 23 53 65 48 07",
          "80 20 14, ~14 54 66 48 08"),
    "6": ("~60 23 06 38 76 54 15", "~50 12 06 48 75 34 06", "~70 25 06 38 76 64 16"),
    "7": ("00 80 38", "00 80 48, 24 74", "02 00 80 38", "~01 30 80 53 38", "10 80 28, 24 64"),
    "8": ("~71 30 12 44 76 48 16 44 72 60 30", "~40 11 32 54 76 48 16 44 71 40", "~40 12 44 72 40, ~44 16 48 76 44"),
    "9": ("~71 30 12 44 71, 71 68", "~71 40 12 33 71, ~71 75 58 28", "~62 40 13 35 62, 60 68",
          "~61 30 12 34 70, 70 58", "~72 51 13 35 72, ~72 76 48 17", "~71 40 22 34 63 70, 70 38"),
    "A": ("08 40 88, 25 65", "~08 24 40 64 88, 25 65", "08 30 50 88, 15 75"),
    "C": ("~82 60 20 04 28 68 86", "~71 30 04 48 87", "~61 50 23 16 38 67", "~72 81 60 14 16 48 77, 71 73",
          "~70 40 14 27 58 87", "~61 40 11 04 17 48 76"),
    "E": ("80 00 08 88, 04 64", "~71 30 11 44 06 48 77", "~81 20 04 28 88, 04 64"),
    "F": ("80 00 08, 04 64", "00 80, ~20 24 18, 14 64"),
    "G": ("~82 60 20 04 28 68 85, 55 85 88", "~71 30 05 48 75, 45 75", "~61 30 04 18 58 75, 45 75",
          "~72 50 14 16 48 76 74, 44 84 88", "~70 23 05 28 67 65, 45 85", "~71 40 13 17 48 77 74 44",
          "~70 40 04 18 58 75, 54 84, 75 78", "~62 40 12 06 38 66 55 35"),
    "H": ("00 08, 80 88, 04 84", "10 08, 70 68, 05 74", "~00 14 08, ~80 74 88, 14 74", "00 18, 60 78, 14 74",
          "20 08, 80 68, 14 74", "~10 14 08, ~60 64 68 87, 14 64"),
    "J": ("~60 65 48 18 06", "20 80, ~50 56 38 07", "~50 46 28 07, 20 70", "~60 65 48 16, 30 80", "~71 75 58 27 16",
          "~50 55 38 18"),
    "K": ("00 08, 80 04 88", "00 08, 70 14, 24 88", "10 18, 70 14 78", "~00 14 08, ~70 34 14, ~14 46 88"),
    "L": ("00 08 78", "~20 14 08 88", "10 18 78 76", "~30 22 18 08, ~18 36 88", "~10 15 18 78", "20 08 68"),
    "M": ("08 00 45 80 88", "08 20 45 60 88", "~08 10 46 70 88"),
    "N": ("08 00 88 80", "~08 10 44 78 80"),
    "P": ("08 00, ~00 60 82 64 04", "18 10, ~01 50 72 54 14", "28 20, ~11 50 72 54 24, 08 48"),
    "Q": ("~40 02 06 48 86 82 40, 55 88", "~30 04 48 84 50 30, ~46 66 89", "~50 12 06 48 75 61 40, 46 88",
          "~40 11 05 37 66 72 40, ~35 57 88"),
    "R": ("08 00, ~00 60 82 64 04, 44 88", "18 10, ~01 50 72 44 14 88", "18 10, ~10 50 62 44 14, ~44 66 88",
          "08 00, ~00 50 62 43 04, ~33 65 78", "10 28, ~10 51 62 43 14, 34 78"),
    "V": ("00 48 80", "~00 25 48 60 80", "00 38 70 80"),
    "W": ("00 28 43 68 80", "~00 17 43 67 80", "~00 07 38 43 58 87 80"),
    "X": ("00 88, 80 08", "~00 34 88, ~80 54 08"),
    "Y": ("00 44 80, 44 48", "~00 24 53, 80 28", "00 34, 80 18", "~00 14 44 70, 80 38", "00 35 80, 35 38",
          "~10 24 54 70, ~70 56 38 07", "00 44 70, ~44 38 28", "~00 23 44, ~80 44 28"),
    "a": ("~72 30 05 38 75, 70 78", "~11 50 73 78, ~74 24 16 38 76", "~71 30 05 48 72, ~71 76 88",
          "~71 40 03 16 47 72, ~70 77 88", "~22 61 64 68, ~64 24 17 48 66, 68 88", "~62 30 06 28 65, ~62 66 78 88",
          "~00 30 62 65 28 05 34 65, ~65 78 88", "~64 31 05 37 65, 61 68"),
    "c": ("~73 40 04 38 77",),
    "d": ("~74 43 06 38 76, 70 78", "~74 33 06 38 74, ~70 76 88", "~63 33 06 28 65, ~70 65 67 88",
          "~60 62 66 78, ~64 34 06 38 66"),
    "e": ("~04 74 72 40 05 38 78", "~15 63 61 40 05 38 87", "05 83, ~83 60 13 16 48 87", "~06 53 61 30 04 28 77",
          "~04 63 50 20 03 07 38 77", "~25 74 60 20 04 18 58 86"),
    "f": ("~80 50 32 38, 04 64", "~70 51 44 38 17, 14 74", "~15 62 60 40 34 38 16 46", "~70 40 34 38, 14 64",
          "~71 50 44 48, 24 74, 28 68"),
    "h": ("00 08, ~05 33 65 68", "~10 08, ~06 33 65 88", "~15 50 30 28, ~26 54 66 88", "10 08, ~05 43 64 58",
          "~20 14 08, ~06 44 66 58 78"),
    "j": ("~50 56 38 07, 40 50", "~60 66 48 28, 50 61", "~42 47 28 08, 40 41", "~60 65 37 16, 60 61",
          "50 56, ~56 38 17, 50 51", "~40 45 28, 40 41"),
    "k": ("00 08, 63 05 78", "~40 20 08, ~05 43 55 16 88"),
    "m": ("02 08, ~04 22 44 48, ~44 62 84 88", "~08 12 34 38, ~38 42 64 68 88"),
    "n": ("02 08, ~04 42 74 78", "~02 28, ~28 42 64 88", "~01 12 18, ~14 41 63 66 78 88", "~00 14 08, ~04 32 55 58",
          "08 02, ~05 32 53 58 78"),
    "p": ("00 08, ~01 40 72 54 04", "~10 08, ~02 41 63 44 15"),
    "r": ("02 08, ~05 32 72", "~01 28, ~25 42 82", "11 18, ~14 41 62, 08 38", "~00 14 08, ~04 41 72",
          "~02 22 28, ~24 51 82"),
    "t": ("40 47 68, 13 73", "~40 36 58 77, 12 72", "40 48, 02 82"),
    "u": ("~00 05 38 75 70, 70 78", "~00 05 38 64 60, ~60 65 88", "~00 06 48 86 80", "~00 06 38 65, ~60 66 88"),
    "+": ("40 48, 04 84",),
    "=": ("02 82, 06 86",),
    "#": ("20 18, 60 58, 03 83, 05 85",),
    "?": ("~02 30 72 54 45, 47 48",),
    "!": ("40 45, 47 48",),
    "%": ("80 08, ~20 01 22 41 20, ~67 46 68 87 67",),
    "&": ("~88 32 40 62 05 18 48 85",),
    "@": ("~65 45 33 53 65 62 84 72 40 04 28 78",),
    "$": ("~71 30 12 65 48 07, 40 48",),
    "*": ("40 48, 02 86, 82 06",),
    "check": ("04 38 80",),
    "heart": ("~48 03 10 42, ~42 70 83 48",),
    "triangle": ("08 40 88 08", "00 80 48 00"),
    "square": ("00 80 88 08 00",),
    "diamond": ("40 04 48 84 40",),
    "house": ("08 04 40 84 88 08, 58 55 35 38",),
    "arrow": ("04 84, 51 84 57", "08 80, 40 80 84", "48 40, 13 40 73"),
    "five-pointed": ("18 40 78 03 83 18",),
    "face": ("~40 02 06 48 86 82 40, 33 32, 53 52, ~25 46 65",),
    "sun": ("~42 24 46 64 42, 40 41, 47 48, 04 14, 74 84, 11 22, 77 66, 17 26, 71 62",),
    "tree": ("48 45, ~45 04 21 40 62 84 45",),
    "pi": ("01 81, 21 18, 61 78",),
    "psi": ("~00 14 45 74 80, 40 48",),
    "lambda": ("10 78, 43 08",),
    "omega": ("08 38, ~38 04 20 60 84 58, 58 88",),
    "sigma": ("80 00 44 08 88",),
    "zhe": ("00 88, 80 08, 40 48",),
    "i short": ("00 08 80 88",),
    "sha": ("00 08 88 80, 40 48",),
    "yu": ("00 08, 04 24, ~50 22 26 58 86 82 50",),
    "ya": ("80 88, ~80 20 02 24 84, 54 08",),
    "man": ("40 08, 42 88",),
    "big": ("03 83, 40 08, 43 88",),
    "sun sign": ("10 70 78 18 10, 14 74",),
    "field": ("00 80 88 08 00, 04 84, 40 48",),
    "mountain": ("03 08 88 83, 40 48",),
    "river": ("~10 14 08, 40 47, 80 88",),
    "tree sign": ("03 83, 40 48, 43 08, 43 88",),
    "infinity": ("~44 12 04 16 44 72 84 76 44",),
}  # fmt: skip
"""What is drawn: letters that look like no digit, signs, Greek, Cyrillic, Chinese, and the digits."""


def characters(count: int, share: float, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """`count` drawn images, uint8 `[N, 28, 28]`, by MNIST's convention, and what digit each shows, int64 `[N]`.

    The share `share` of them are digits; the others, labelled `NO_DIGIT`, are letters and signs (more than half),
    strokes without meaning, filled forms and textures.
    """
    random = np.random.default_rng([seed, 0x5167])
    labels = np.where(random.random(count) < share, random.integers(0, 10, count), NO_DIGIT)
    images = np.stack([image_of(int(label), random) for label in labels]) if count else np.empty((0, SIDE, SIDE))
    return np.rint(images * 255).astype(np.uint8), labels


def image_of(label: int, random: Random) -> NDArray[np.float64]:
    """One image of the digit `label`, or of something else: `[28, 28]` in [0, 1]."""
    if label != NO_DIGIT:
        return drawn(written(SIGNS[str(label)], random, NARROWEST_DIGIT), random, THICKEST_DIGIT)
    kind: Callable[[Random], NDArray[np.float64]] = KINDS[random.choice(len(KINDS), p=SHARES)]
    return kind(random)


def sign(random: Random) -> NDArray[np.float64]:
    """A letter, or a sign."""
    letter = random.random() < LETTER_SHARE
    known = LETTERS if letter else OTHERS
    paths = written((known[random.integers(len(known))],), random)
    return drawn(with_serifs(paths, random) if letter and random.random() < SERIFS else paths, random)


def with_serifs(paths: list[Points], random: Random) -> list[Points]:
    """The strokes, and a short line across the ends of each."""
    half = np.array([random.uniform(0.06, 0.15), 0])
    ends = [end for path in paths for end in (path[0], path[-1])]
    return [*paths, *(np.stack([end - half, end + half]) for end in ends)]


def written(variants: tuple[str, ...], random: Random, narrowest: float = 0.6) -> list[Points]:
    """The strokes of one of `variants`, as no two writings are the same: bent, slanted, wide or narrow, turned."""
    paths = []
    careless = random.uniform(0.01, 0.07)
    for stroke in variants[random.integers(len(variants))].split(", "):
        path = np.array([[int(xy[0]), int(xy[1])] for xy in stroke.lstrip("~").split()]) / 8
        path = path + random.normal(0, careless, path.shape)
        rounded = len(path) > 2 and stroke[:2] != stroke[-2:] and random.random() < 0.1
        paths.append(curve(path) if stroke[0] == "~" or rounded else path)
    return mapped(paths, random.uniform(narrowest, narrowest + 0.7), random)


def mapped(paths: list[Points], wide: float, random: Random) -> list[Points]:
    """Strokes made `wide`, slanted and turned at random."""
    angle, slant = random.normal(0, 0.08), random.normal(0.08, 0.16)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.array([[wide, 0], [-slant, 1]]) @ turn
    return [path @ matrix for path in paths]


def curve(points: Points) -> Points:
    """A smooth path through `points` (Catmull and Rom, 1974)."""
    closed = np.hypot(*(points[0] - points[-1])) < 0.2 and len(points) > 3
    before, after = (points[-2:-1], points[1:2]) if closed else (points[:1], points[-1:])
    p = np.concatenate([before, points, after])
    t = np.linspace(0, 1, CURVE, endpoint=False)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    path = b + t * ((c - a) + t * (2 * a - 5 * b + 4 * c - d + t * (3 * b - a - 3 * c + d))) / 2
    return np.concatenate([path.reshape(-1, 2), points[-1:]])


# Strokes without meaning.


def strokes(random: Random) -> NDArray[np.float64]:
    """Three to six strokes of any form."""
    count = int(random.integers(3, 7))
    return drawn([piece(random) + random.random(2) for _ in range(count)], random)


def piece(random: Random) -> Points:
    """A line or an arc of some length and direction."""
    size = random.uniform(0.2, 0.9)
    if random.random() < 0.5:
        return np.array([[0.0, 0.0], size * turned(random)])
    angle = random.uniform(0, 2 * np.pi) + np.linspace(0, random.uniform(1, 6), 16)
    stretched: Points = size / 2 * np.stack([np.cos(angle), random.uniform(0.4, 1) * np.sin(angle)], 1)
    return stretched


def turned(random: Random) -> Points:
    angle = random.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def wandering(random: Random) -> NDArray[np.float64]:
    """One long stroke that keeps changing its mind about where to go."""
    steps = int(random.integers(40, 160))
    turning = np.cumsum(random.normal(0, random.uniform(0.15, 0.6), steps)) + random.normal(0, 0.08) * np.arange(steps)
    path = np.cumsum(np.stack([np.cos(turning), np.sin(turning)], 1), 0)
    return drawn([path], random)


def swinging(random: Random) -> NDArray[np.float64]:
    """A figure of Lissajous: two swings at once, three or more of one of them."""
    t = np.linspace(0, 2 * np.pi, 120)
    fast, slow = random.integers(3, 7), random.integers(1, 4)
    path = np.stack([np.sin(fast * t + random.uniform(0, 2 * np.pi)), np.sin(slow * t)], 1)
    return drawn([path if random.random() < 0.5 else path[:, ::-1]], random)


def corners(random: Random) -> NDArray[np.float64]:
    """A closed outline with corners, and often a line through it."""
    count = int(random.integers(3, 9))
    angle = np.sort(random.uniform(0, 2 * np.pi, count))
    outline = random.uniform(0.4, 1, (count, 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
    through = [random.uniform(-1, 1, (2, 2)) for _ in range(random.integers(0, 3))]
    return drawn([np.concatenate([outline, outline[:1]]), *through], random)


def drawn(paths: list[Points], random: Random, thickest: float = THICKEST) -> NDArray[np.float64]:
    """Strokes of one pen in a 20×20 box, with their centre of mass in the middle."""
    width = THINNEST + (thickest - THINNEST) * random.beta(1, 2)
    ink, pen = canvas()
    for path in fitted(paths, BOX - width):
        points = [(float(x), float(y)) for x, y in (path + SIDE / 2) * FINE]
        pen.line(points, fill=255, width=max(1, round(width * FINE)), joint="curve")
        for x, y in (points[0], points[-1]):
            r = width * FINE / 2
            pen.ellipse([x - r, y - r, x + r, y + r], fill=255)
    if random.random() > COARSE_SHARE:
        return centred(bright(reduced(ink)))
    coarse = bright(reduced(ink, int(random.integers(*COARSE))))
    return centred(((coarse - 0.5) * random.uniform(1, 3) + 0.5).clip(0, 1))


def fitted(paths: list[Points], size: float) -> list[Points]:
    """Paths around (0, 0), their longer side `size` long."""
    everything = np.concatenate(paths)
    low, high = everything.min(0), everything.max(0)
    factor = size / max(float((high - low).max()), 1e-6)
    return [(path - (low + high) / 2) * factor for path in paths]


def canvas() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (SIDE * FINE, SIDE * FINE))
    return image, ImageDraw.Draw(image)


def reduced(ink: Image.Image, side: int = SIDE) -> NDArray[np.float64]:
    """A canvas as an image in [0, 1], by way of `side` pixels a side."""
    small = ink.resize((side, side), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float64) / 255


def centred(image: NDArray[Any]) -> NDArray[np.float64]:
    """The image moved by whole pixels until its centre of mass is in the middle; what would leave it comes back."""
    places, mass = np.arange(SIDE), max(float(image.sum()), 1e-6)
    down = round(MIDDLE - float(image.sum(1) @ places) / mass)
    right = round(MIDDLE - float(image.sum(0) @ places) / mass)
    return np.roll(image, (down, right), (0, 1))


# Forms and textures.


def form(random: Random) -> NDArray[np.float64]:
    """One to four filled forms, plain, shaded or patterned."""
    ink, pen = canvas()
    outlines = []
    for _ in range(random.integers(1, 5)):
        count = int(random.integers(3, 10))
        angle = np.sort(random.uniform(0, 2 * np.pi, count))
        least = random.uniform(0.4, 1)
        if random.random() < 0.3:
            angle, least = np.linspace(0, 2 * np.pi, 24), 0.97
        outline = random.uniform(least, 1, (len(angle), 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
        outlines.append(outline * random.uniform(0.4, 1, 2) + random.uniform(-0.6, 0.6, 2))
    for outline in fitted(outlines, BOX):
        points = [(float(x), float(y)) for x, y in (outline + SIDE / 2) * FINE]
        pen.polygon(points, fill=int(random.integers(100, 256)))
    shade = 1 - random.uniform(0, 0.8) * waves(random) if random.random() < 0.7 else 1.0
    return centred(bright(reduced(ink) * shade))


def texture(random: Random) -> NDArray[np.float64]:
    """Random waves of every length, some in a frame, some of two levels only."""
    field = waves(random)
    if random.random() < 0.4:
        field = np.clip((field - random.uniform(0.4, 0.7)) * 20, 0, 1)
    if random.random() < 0.6:
        inside = np.zeros((SIDE, SIDE))
        inside[4:24, 4:24] = 1
        field = field * inside
    return bright(field)


def waves(random: Random) -> NDArray[np.float64]:
    """Noise whose power falls with the frequency, slowly or fast, often more in one direction: in [0, 1]."""
    y, x = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij")
    along = turned(random)
    frequency = np.hypot(x, y) + random.uniform(0, 0.3) * np.abs(x * along[0] + y * along[1]) + 1 / SIDE
    power = frequency ** -random.uniform(0, 2.5)
    field = np.fft.irfft2(power * np.exp(2j * np.pi * random.random(power.shape)), (SIDE, SIDE))
    low, high = np.quantile(field, (0.02, 0.98))
    levels: NDArray[np.float64] = ((field - low) / (high - low)).clip(0, 1)
    return levels


def bright(image: NDArray[Any]) -> NDArray[np.float64]:
    """The image with its brightest pixel at 1."""
    levels: NDArray[np.float64] = image / max(float(image.max()), 1e-6)
    return levels


LETTERS = tuple(variant for name, variants in SIGNS.items() if name in ascii_letters for variant in variants)
OTHERS = tuple(
    variant for name, variants in SIGNS.items() if name not in digits + ascii_letters for variant in variants
)
KINDS = (sign, strokes, wandering, swinging, corners, form, texture)
SHARES = (0.70, 0.07, 0.05, 0.02, 0.02, 0.08, 0.06)

"""Draw characters as strokes, each by a different writer: letters, signs, digits, and shapes without meaning.

Training adds these images so that a network learns which images show no digit (outlier exposure: Hendrycks, Mazeika and
Dietterich, 2019). Digits drawn with the same pens are among them, so that the network cannot go by the manner of
drawing. The strokes are the project's own (`glyphs.json`, `numerals.json`) and those of the pen digits (`pen_paths`).
The module uses no font, and no generator of the suites.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from importlib.resources import files
from string import ascii_letters, digits

import numpy as np
from numpy.typing import NDArray

from sumnist.data.pen_digits import (
    BOX,
    FINE,
    SIDE,
    THICKEST,
    THICKEST_DIGIT,
    WRITERS,
    Drawing,
    Points,
    Random,
    bright,
    canvas,
    centred,
    drawn,
    fitted,
    legible,
    pen_paths,
    reduced,
)
from sumnist.data.sampling import NO_DIGIT

HOOKED, HOOK = 0.15, (0.05, 0.14)
"""`HOOKED`: share of the writers whose strokes end in small hooks. `HOOK`: range of a hook's length, relative to the
character's height."""
NARROWEST, NARROWEST_DIGIT, WIDER = 0.6, 0.45, 0.7
"""Widths relative to the height. `NARROWEST`: least width of a character. `NARROWEST_DIGIT`: least width of a digit.
`WIDER`: how much wider a character may be than the least width."""
CARELESS = 0.01, 0.07
"""Range of the standard deviation of a point's displacement, relative to the height of a character."""
TURN, SLANT, SLANT_MEAN = 0.08, 0.16, 0.08
"""`TURN`: standard deviation of a character's angle, in radians. `SLANT`: standard deviation of its slant to the right,
a shear. `SLANT_MEAN`: mean slant."""
ROUNDED = 0.1
"""Share of the strokes with corners that are drawn as curves."""
LETTER_SHARE = 0.75
"""Share of the signs that are letters."""
SERIFS = 0.2
"""Share of the letters that have serifs."""
EVEN, UPRIGHT, HOLLOW = 0.4, 0.4, 0.3
"""`EVEN`: share of the forms that are symmetric. `UPRIGHT`: share of the forms that are narrow. `HOLLOW`: share of the
forms that are hollow. A hollow form has bright edges around dim ink, like a filled form once uneven light is removed
from a picture."""
OPEN, SHADED = 0.5, 0.6
"""`OPEN`: probability that a figure is open below, and likewise above. `SHADED`: share of the figures that are
shaded."""
UPRIGHT_WIDTH = 0.3, 0.6
"""Range of the factor that makes forms narrow; they stay wider than the stroke of a 1."""
BACK = 3
"""Points before the end of a stroke that give its direction there."""
CURVE = 6
"""Number of straight pieces between two points of a curved stroke."""


Watch = Callable[[Iterable[int]], Iterable[int]]
"""A function that passes its items on and may show progress: `iter`, or a progress bar."""

SIGNS: dict[str, list[str]] = json.loads(files("lab.recipes").joinpath("glyphs.json").read_text(encoding="utf-8"))
"""The ways of writing each character: letters that look like no digit, signs, Greek, Cyrillic, Chinese, and the digits.

Each way is a list of strokes, each stroke a list of points xy on a grid of 0..8 with (0, 0) at the upper left. A stroke
that begins with ~ is a curve through its points; other strokes have corners. The ways of a digit go from the most to
the least common: the first is `COMMONER` times as likely as the last.
"""
NUMERALS: dict[str, list[str]] = {
    digit: SIGNS[digit] + ways
    for digit, ways in json.loads(files("lab.recipes").joinpath("numerals.json").read_text(encoding="utf-8")).items()
}
"""The ways of writing each digit within a number, where its neighbours show that it is a digit. They include hasty
forms that alone could pass for letters."""
COMMONER = 2.5
PENNED = 0.5
"""Default share of the drawn digits that have the strokes of one of these writers."""
ROUNDER_SHARE, ROUNDER = 0.6, (0.5, 0.06)
"""`ROUNDER_SHARE`: share of the strokes of loose digits that are smoothed. `ROUNDER`: the standard deviation of the
smoothing, in points, lies between `ROUNDER[0]` and 1 + `ROUNDER[1]` × the number of points."""
ENDS_SHARE, LONGER, ASTRAY = 0.375, (-0.12, 0.15), 0.4
"""`ENDS_SHARE`: share of the stroke ends of loose digits that become longer or shorter. `LONGER`: range of the change,
relative to the digit's height. `ASTRAY`: standard deviation of the angle, in radians, at which a longer end goes on."""
APART, UNLIKE = 0.06, 0.1
"""Standard deviations for each stroke of a loose digit with several strokes. `APART`: of its displacement, relative to
the digit's height. `UNLIKE`: of the logarithm of its scale."""
WAVE, WAVES = 0.05, (0.5, 1.2)
"""`WAVE`: standard deviation of the height of the waves that bend a loose digit, relative to the digit's height.
`WAVES`: range of the number of waves."""
STRETCHED = 0.8, 1.25
"""Range of the factor that stretches the width of a pen writer's digit."""
LETTERS = [way for name, ways in SIGNS.items() if name in ascii_letters for way in ways]
OTHERS = [way for name, ways in SIGNS.items() if name not in digits + ascii_letters for way in ways]


def characters(
    count: int,
    share: float,
    seed: int,
    watch: Watch = iter,
    numerals: dict[str, list[str]] = SIGNS,
    writers: Collection[int] = range(WRITERS),
    penned: float = PENNED,
    loose: bool = False,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw `count` images, uint8 `[N, 28, 28]`, by MNIST's convention. Also return the digit of each image, int64
    `[N]`.

    A fraction `share` of the images show digits. The others, labelled `NO_DIGIT`, are letters and signs (more than
    half), strokes without meaning, forms and textures. A fraction `penned` of the digits have the strokes of the
    `writers`; they come first, ordered by writer. The other digits are written in the ways of `numerals`. If `loose`,
    the strokes of all digits are distorted.
    """
    random = np.random.default_rng([seed, 0x5167])
    labels = np.where(random.random(count) < share, random.integers(0, 10, count), NO_DIGIT)
    images, order, (paths_of, shown, who) = np.empty((count, SIDE, SIDE)), np.full(count, WRITERS), pen_paths()
    by_pen = [np.flatnonzero((shown == digit) & np.isin(who, [*writers])) for digit in range(10)]
    for place, label in enumerate(watch(labels.tolist())):
        if label == NO_DIGIT:
            images[place] = KINDS[random.choice(len(KINDS), p=SHARES)](random)
            continue
        if len(by_pen[label]) and random.random() < penned:
            one = by_pen[label][random.integers(len(by_pen[label]))]
            order[place] = who[one]
            paths, wide = paths_of[one], STRETCHED
        else:
            ways = numerals[str(label)]
            likely = np.linspace(COMMONER, 1, len(ways))
            paths = bent(ways[random.choice(len(ways), p=likely / likely.sum())], random)
            wide = NARROWEST_DIGIT, NARROWEST_DIGIT + WIDER
        paths = leaning(loosened(paths, random) if loose else paths, random.uniform(*wide), random)
        images[place] = drawn(paths, random, min(THICKEST_DIGIT, legible(paths)))
    order = np.argsort(order, kind="stable")
    return np.rint(images[order] * 255).astype(np.uint8), labels[order]


def sign(random: Random) -> Drawing:
    """Draw a letter or a sign."""
    letter = random.random() < LETTER_SHARE
    ways = LETTERS if letter else OTHERS
    paths = written(ways[random.integers(len(ways))], random)
    if letter and random.random() < SERIFS:  # a short line across the ends of each stroke
        half = np.array([random.uniform(0.06, 0.15), 0])
        ends = [end for path in paths for end in (path[0], path[-1])]
        paths += [np.stack([end - half, end + half]) for end in ends]
    return drawn(paths, random, min(THICKEST, legible(paths)))


def written(way: str, random: Random) -> list[Points]:
    """The strokes of a `way`, varied as in handwriting: bent, hooked, wide or narrow, slanted and turned."""
    return leaning(bent(way, random), random.uniform(NARROWEST, NARROWEST + WIDER), random)


def bent(way: str, random: Random) -> list[Points]:
    """The strokes of a `way`, bent and hooked."""
    paths = []
    careless = random.uniform(*CARELESS)
    for stroke in way.split(", "):
        path = np.array([[int(xy[0]), int(xy[1])] for xy in stroke.lstrip("~").split()]) / 8
        path = path + random.normal(0, careless, path.shape)
        rounded = len(path) > 2 and stroke[:2] != stroke[-2:] and random.random() < ROUNDED
        paths.append(curve(path) if stroke[0] == "~" or rounded else path)
    return [hooked(path, random) for path in paths] if random.random() < HOOKED else paths


def loosened(paths: list[Points], random: Random) -> list[Points]:
    """The strokes of a digit as another hand might write them: rounder, with longer or shorter ends, with displaced
    strokes, and bent by slow waves."""
    everything = np.concatenate(paths)
    low, size = everything.min(0), max(float(np.ptp(everything, 0).max()), 1e-6)
    high, often, phase = random.normal(0, WAVE, (2, 2)), random.uniform(*WAVES, (2, 2)), random.random((2, 2))
    parts = []
    for path in paths:
        stroke = free(path, size, random)
        parts.append(stroke if len(paths) == 1 else apart(stroke, size, random))
    waves = (high * np.sin(2 * np.pi * (often * (path - low)[:, None] / size + phase)) for path in parts)
    return [path + size * wave.sum(2) for path, wave in zip(parts, waves, strict=True)]


def free(path: Points, size: float, random: Random) -> Points:
    """Make a stroke of a character of this `size` rounder, and change its ends."""
    if len(path) > BACK and random.random() < ROUNDER_SHARE:
        spread = random.uniform(ROUNDER[0], 1 + ROUNDER[1] * len(path))
        for _ in range(round(2 * spread**2)):  # each pass adds 1/2 to the variance
            path = np.concatenate([path[:1], (path[:-2] + 2 * path[1:-1] + path[2:]) / 4, path[-1:]])
    for _ in range(2):  # one end, then the other
        if len(path) > BACK and random.random() < ENDS_SHARE:
            path = ending(path, size * random.uniform(*LONGER), random.normal(0, ASTRAY))
        path = path[::-1]
    return path


def apart(path: Points, size: float, random: Random) -> Points:
    """Move and scale one of several strokes of a character of this `size`."""
    middle = path.mean(0)
    larger, away = np.exp(random.normal(0, UNLIKE, 2)), random.normal(0, APART, 2) * size
    moved: Points = middle + (path - middle) * larger + away
    return moved


def ending(path: Points, longer: float, angle: float, back: int = BACK) -> Points:
    """Lengthen the end of a stroke by `longer`, turned by an `angle` from the direction of its last `back` points. If
    `longer` is negative, shorten the end."""
    if longer < 0:
        left = np.cumsum(np.hypot(*np.diff(path[::-1], axis=0).T))[::-1]
        return path[: max(2, int((left > min(-longer, left[0] / 4)).sum()))]
    ahead = path[-1] - path[-1 - back]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.concatenate([path, path[-1:] + longer * (ahead / max(float(np.hypot(*ahead)), 1e-6)) @ turn])


def leaning(paths: list[Points], wide: float, random: Random) -> list[Points]:
    """Make strokes `wide` times as wide, slant them and turn them."""
    angle, slant = random.normal(0, TURN), random.normal(SLANT_MEAN, SLANT)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.array([[wide, 0], [-slant, 1]]) @ turn
    return [path @ matrix for path in paths]


def hooked(path: Points, random: Random) -> Points:
    """Half of the time, add a small hook to the end of a stroke, to one side."""
    if random.random() < 0.5 or not (path[-1] - path[-2]).any():
        return path
    angle = random.choice((-1, 1)) * random.uniform(0.8, 2.4)
    return ending(path, random.uniform(*HOOK), angle, 1)


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


def strokes(random: Random) -> Drawing:
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
    """A random direction, `[2]`."""
    angle = random.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def wandering(random: Random) -> Drawing:
    """One long stroke whose direction changes at random."""
    steps = int(random.integers(40, 160))
    turning = np.cumsum(random.normal(0, random.uniform(0.15, 0.6), steps)) + random.normal(0, 0.08) * np.arange(steps)
    path = np.cumsum(np.stack([np.cos(turning), np.sin(turning)], 1), 0)
    return drawn([path], random)


def swinging(random: Random) -> Drawing:
    """A Lissajous figure: two oscillations at once, one of three to six periods."""
    t = np.linspace(0, 2 * np.pi, 120)
    fast, slow = random.integers(3, 7), random.integers(1, 4)
    path = np.stack([np.sin(fast * t + random.uniform(0, 2 * np.pi)), np.sin(slow * t)], 1)
    return drawn([path if random.random() < 0.5 else path[:, ::-1]], random)


def corners(random: Random) -> Drawing:
    """A closed outline with corners, often with one or two lines through it."""
    count = int(random.integers(3, 9))
    angle = np.sort(random.uniform(0, 2 * np.pi, count))
    outline = random.uniform(0.4, 1, (count, 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
    through = [random.uniform(-1, 1, (2, 2)) for _ in range(random.integers(0, 3))]
    return drawn([np.concatenate([outline, outline[:1]]), *through], random)


# Forms and textures.


def form(random: Random) -> Drawing:
    """One to four forms, filled or hollow; plain, shaded or patterned; some symmetric, some narrow.

    They may be as large as the image: only a digit is fitted into a digit's box.
    """
    ink, pen = canvas()
    hollow = random.random() < HOLLOW
    outlines: list[Points] = []
    for _ in range(random.integers(2 if hollow else 1, 5)):  # a single hollow one may be a 0
        count = int(random.integers(3, 10))
        angle = np.sort(random.uniform(0, 2 * np.pi, count))
        least = random.uniform(0.4, 1)
        if random.random() < 0.3:
            angle, least = np.linspace(0, 2 * np.pi, 24), 0.97
        outline = random.uniform(least, 1, (len(angle), 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
        outlines.append(outline * random.uniform(0.4, 1, 2) + random.uniform(-0.6, 0.6, 2))
    if random.random() < EVEN:
        outlines += [outline * (-1, 1) for outline in outlines]
    if random.random() < UPRIGHT:
        outlines = [outline * (random.uniform(*UPRIGHT_WIDTH), 1) for outline in outlines]
    for outline in fitted(outlines, random.uniform(BOX - 2, SIDE)):
        points = [(float(x), float(y)) for x, y in (outline + SIDE / 2) * FINE]
        edge, inside = int(random.integers(100, 256)), int(random.integers(50, 120))
        width = int(random.uniform(1, 2.5) * FINE)
        pen.polygon(points, inside if hollow else edge, edge, width if hollow else 1)
    shade = 1 - random.uniform(0, 0.8) * waves(random) if random.random() < 0.7 else 1.0
    return centred(bright(reduced(ink) * shade))


def texture(random: Random) -> Drawing:
    """Random waves of every length, some within a frame, some black and white."""
    field = waves(random)
    if random.random() < 0.4:
        field = np.clip((field - random.uniform(0.4, 0.7)) * 20, 0, 1)
    if random.random() < 0.6:
        inside = np.zeros((SIDE, SIDE))
        inside[4:24, 4:24] = 1
        field = field * inside
    return bright(field)


def waves(random: Random) -> Drawing:
    """Noise in [0, 1] whose power falls with the frequency, slowly or fast, often more in one direction."""
    y, x = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij")
    along = turned(random)
    frequency = np.hypot(x, y) + random.uniform(0, 0.3) * np.abs(x * along[0] + y * along[1]) + 1 / SIDE
    power = frequency ** -random.uniform(0, 2.5)
    field = np.fft.irfft2(power * np.exp(2j * np.pi * random.random(power.shape)), (SIDE, SIDE))
    low, high = np.quantile(field, (0.02, 0.98))
    intensities: Drawing = ((field - low) / (high - low)).clip(0, 1)
    return intensities


def figure(random: Random) -> Drawing:
    """A symmetric body with limbs, far broader than any pen: filled, shaded, open below or above, or only outlined."""
    ink, pen = canvas()
    hollow, high, broad = random.random() < HOLLOW, random.uniform(0.5, 1), random.uniform(0.2, 0.45)
    side = np.array([[-broad * random.uniform(0.7, 1.3), high * down] for down in (0, 0.5, 1)])
    outlines = [np.concatenate([side, side[::-1] * (-1, 1)])]
    for _ in range(random.integers(1 if hollow else 0, 3)):  # the outline of a body alone may be a 0
        down, angle = random.uniform(0, high), random.uniform(0.1, 1.6)
        end = (-broad / 2, down) + random.uniform(0.15, 0.5) * np.array([-np.sin(angle), np.cos(angle)])
        aside = np.array([np.cos(angle), np.sin(angle)]) * random.uniform(0.08, 0.16)  # a thin pair may be a 1
        limb = np.array([[0, down - aside[1]], [-broad / 2, down], end - aside, end + aside, [0, down + 2 * aside[1]]])
        outlines += [limb, limb * (-1, 1)]
    gap = random.uniform(0, 0.3) * broad
    below = np.array([[0, high * random.uniform(0.2, 0.9)], [-gap, high], [gap, high]])
    above = np.array([[-gap, 0], [gap, 0], [0, random.uniform(0, 0.3)]])
    *outlines, below, above = fitted([*outlines, below, above], random.uniform(BOX - 2, BOX + 2))
    shade, line = int(random.integers(120, 256)), int(random.uniform(1, 2.5) * FINE)
    for outline in outlines:
        points = [(float(x), float(y)) for x, y in (outline + SIDE / 2) * FINE]
        if hollow:
            pen.line([*points, points[0]], shade, line)
        else:
            pen.polygon(points, shade)
    for opening in (below, above):
        if random.random() < OPEN:
            pen.polygon([(float(x), float(y)) for x, y in (opening + SIDE / 2) * FINE], 0)
    dim = 1 - random.uniform(0, 0.7) * waves(random) if random.random() < SHADED else 1.0
    return centred(bright(reduced(ink) * dim))


KINDS = (sign, strokes, wandering, swinging, corners, form, figure, texture)
SHARES = (0.54, 0.06, 0.06, 0.02, 0.03, 0.13, 0.11, 0.05)
"""Share of each kind among the images without a digit."""

"""Pictures of no digit, which a reader should refuse: clothes, letters, scribbles, noise, empty paper.

The clothes are from Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017). The scribbles and the noise are drawn here for
testing only; training has its own generators, which share nothing with these. The letters are by the writers of the
requested half. Letters that look like a digit are a kind of their own; their list was fixed before anything was
measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from lab.suites.digits import HALVES, Half, Random, characters, check_half, generator, stored_images
from lab.suites.photographs import blank_photographs, smooth_noise
from sumnist.pictures.decode import Picture

LOOK_ALIKES = "OoIliSsZzBbgqDUTy"
"""Letters that look like a digit, upright or turned a little: a reader may take them for one."""
COUNT = 500
"""How many scribbles, noises and blanks there are in each half."""
SIDES = 64, 201


def clothes(half: Half) -> list[Picture]:
    """Images of Fashion-MNIST, 28×28, light on black: 400 of its training images for development, 800 of its test
    images for the report."""
    return list(stored_images(f"fashion_{check_half(half)}"))


def letters(half: Half) -> list[Picture]:
    """Every letter except the look-alikes, by each writer of the half: dark on light, 64 to 160 pixels a side."""
    return list(characters(half, "".join(sorted(set(ascii_letters) - set(LOOK_ALIKES))))[0])


def scribbles(half: Half, count: int = COUNT) -> list[Picture]:
    """Scribbles as people draw them to try a pen: loops, zigzags, tangles, hatching, crosses, dots. Dark on light."""
    return [scribble(generator(HALVES.index(check_half(half)), "scribble", place)) for place in range(count)]


def noise(half: Half, count: int = COUNT) -> list[Picture]:
    """White noise, coarse noise, salt and pepper, stripes, clouds; a third of them 28×28, the others up to 200×200."""
    return [noisy(generator(HALVES.index(check_half(half)), "noise", place), place) for place in range(count)]


def blanks(half: Half, count: int = COUNT) -> list[Picture]:
    """Synthetic photographs of empty paper, plain, ruled or squared; one picture in ten is a single grey instead."""
    seed = HALVES.index(check_half(half))
    plain = [np.full((100, 80), grey, np.uint8) for grey in np.linspace(0, 255, max(1, count // 10)).astype(int)]
    return [*plain, *blank_photographs(count - len(plain), 1000 + seed)]


def scribble(random: Random) -> NDArray[np.uint8]:
    """One scribble, up to 200 pixels a side."""
    side = int(random.integers(*SIDES))
    paths = SHAPES[random.integers(len(SHAPES))](random)
    size = side * random.uniform(0.5, 0.85)
    corner = random.uniform(0.05, 0.95 - size / side, 2) * side
    fine, wide = 4, max(2, round(side * random.uniform(0.02, 0.06)))
    canvas = Image.new("L", (side * fine, side * fine))
    pen = ImageDraw.Draw(canvas)
    for path in paths:
        draw_stroke(pen, [(float(x), float(y)) for x, y in (corner + path * size) * fine], wide * fine)
    ink = np.asarray(canvas.resize((side, side), Image.Resampling.BOX)) / 255
    paper, dark = random.uniform(200, 255), random.uniform(0, 90)
    pixels: NDArray[np.uint8] = np.rint(paper + (dark - paper) * ink).astype(np.uint8)
    return pixels


def draw_stroke(pen: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], width: float) -> None:
    """Draw a line through points, with round ends."""
    pen.line(points, fill=255, width=round(width), joint="curve")
    for x, y in (points[0], points[-1]):
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)


Path = NDArray[np.float64]
"""Points (x, y) `[N, 2]` of a stroke, in [0, 1]."""


def tangle(random: Random) -> list[Path]:
    """One long stroke through random points, smooth."""
    points = random.random((int(random.integers(8, 20)), 2))
    along = np.linspace(0, len(points) - 1, 400)
    step = along.astype(int).clip(0, len(points) - 2)
    rest = along - step
    rest = (rest * rest * (3 - 2 * rest))[:, None]
    return [points[step] * (1 - rest) + points[step + 1] * rest]


def loops(random: Random) -> list[Path]:
    """A row of loops, as of someone who is learning to write."""
    turns = random.uniform(3, 7)
    angle = np.linspace(0, turns * 2 * np.pi, 400)
    high = random.uniform(0.15, 0.35)
    x = angle / angle[-1] * 0.7 + 0.15 + 0.12 * np.cos(angle)
    return [np.stack([x, 0.5 + high * np.sin(angle)], 1)]


def teeth(random: Random) -> list[Path]:
    """A zigzag to and fro, wide or narrow."""
    count = int(random.integers(6, 16))
    across = np.linspace(0, 1, count)
    aside = np.where(np.arange(count) % 2, random.uniform(0.6, 1), random.uniform(0, 0.4))
    path = np.stack([across, (aside + random.normal(0, 0.05, count)).clip(0, 1)], 1)
    return [path if random.random() < 0.5 else path[:, ::-1]]


def hatching(random: Random) -> list[Path]:
    """Many short strokes side by side; half of the time they are crossed."""
    count, wobble = int(random.integers(5, 10)), 0.03
    places = np.linspace(0, 0.9, count)
    lines = [np.array([[x, 0.05], [x + 0.1, 0.95]]) + random.normal(0, wobble, (2, 2)) for x in places]
    if random.random() < 0.5:
        lines += [line[:, ::-1] for line in lines]
    return [line.clip(0, 1) for line in lines]


def star(random: Random) -> list[Path]:
    """Strokes through one point: crosses and asterisks of five to nine rays."""
    rays = int(random.integers(3, 6))
    angles = random.uniform(0, np.pi) + np.arange(rays) * np.pi / rays
    return [0.5 + 0.5 * np.array([[-np.cos(a), -np.sin(a)], [np.cos(a), np.sin(a)]]) for a in angles]


def spiral(random: Random) -> list[Path]:
    """Three to five turns from the middle outwards."""
    turn = np.linspace(0, random.uniform(3, 5) * 2 * np.pi, 500) * random.choice([-1, 1])
    radius = 0.5 * np.abs(turn / turn[-1])
    return [np.stack([0.5 + radius * np.cos(turn), 0.5 + radius * np.sin(turn)], 1)]


def blots(random: Random) -> list[Path]:
    """Dots and dashes all over."""
    starts = random.random((int(random.integers(7, 16)), 2))
    return [np.stack([start, start + random.normal(0, 0.06, 2)]).clip(0, 1) for start in starts]


SHAPES = (tangle, loops, teeth, hatching, star, spiral, blots)


def noisy(random: Random, place: int) -> NDArray[np.uint8]:
    """One picture of noise; `place` decides its kind and whether it has the size of an image."""
    side = 28 if place % 3 == 0 else int(random.integers(*SIDES))
    field = FIELDS[place % len(FIELDS)](side, random)
    low, high = field.min(), field.max()
    pixels: NDArray[np.uint8] = np.rint((field - low) / (high - low) * 255).astype(np.uint8)
    return pixels


def white(side: int, random: Random) -> NDArray[Any]:
    """White noise: each pixel is independent."""
    return random.standard_normal((side, side))


def coarse(side: int, random: Random) -> NDArray[Any]:
    """Squares of random grey."""
    points = int(random.integers(4, 15))
    mesh = Image.fromarray(random.random((points, points)).astype(np.float32))
    return np.array(mesh.resize((side, side), Image.Resampling.NEAREST))


def clouds(side: int, random: Random) -> NDArray[Any]:
    """Smooth spots; half of the time they have hard edges, like ink blots."""
    field = smooth_noise((side, side), int(random.integers(4, 9)), random).astype(np.float32)
    return field if random.random() < 0.5 else np.asarray(field > np.quantile(field, 0.8), float)


def specks(side: int, random: Random) -> NDArray[Any]:
    """Salt and pepper on white, on black or on grey."""
    field = np.full((side, side), random.choice([0.0, 0.5, 1.0]))
    hit = random.random((side, side)) < random.uniform(0.05, 0.3)
    return np.where(hit, random.integers(0, 2, (side, side)), field)


def stripes(side: int, random: Random) -> NDArray[Any]:
    """A grating of some width and direction, with noise on it."""
    y, x = np.mgrid[:side, :side]
    angle, waves = random.uniform(0, np.pi), random.uniform(2, 8)
    grating: NDArray[Any] = np.sin((np.cos(angle) * x + np.sin(angle) * y) * 2 * np.pi * waves / side)
    return grating + random.uniform(0.05, 0.5) * random.standard_normal((side, side))


def smeared(side: int, random: Random) -> NDArray[Any]:
    """White noise, blurred into spots of several pixels and made black and white."""
    field = Image.fromarray((random.random((side, side)) * 255).astype(np.uint8))
    soft = np.asarray(field.filter(ImageFilter.GaussianBlur(random.uniform(1, 3) * side / 64)), float)
    return np.asarray(soft > np.quantile(soft, random.uniform(0.6, 0.9)), float)


FIELDS = (white, coarse, clouds, specks, stripes, smeared, white)

OUT_OF_DISTRIBUTION: dict[str, Callable[..., list[Picture]]] = {
    "clothes": clothes,
    "letters": letters,
    "look-alikes": lambda half: list(characters(half, LOOK_ALIKES)[0]),
    "scribbles": scribbles,
    "noise": noise,
    "blank": blanks,
}
"""The kinds of pictures, by name: half → pictures."""

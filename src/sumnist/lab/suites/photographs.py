"""Synthetic photographs: ink on paper, as a telephone might take it. No camera was involved.

They are drawn: paper with its texture, ruled or squared or plain, ink of some pen, a sheet seen a little from the side,
uneven light, a shadow, blur, the noise of a sensor, JPEG. What makes real photographs hard in other ways (crumpled
sheets, flash, a second writer's digits) is not in them, so an accuracy on them is no accuracy on real photographs. The
table around the sheet is in those of `scenes`. Nothing here is used in training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFilter

from sumnist.lab.suites.chance import generator

__all__ = ["blank_photographs", "photograph", "photographs"]

Field = NDArray[np.float64]
Colours = NDArray[np.floating[Any]]
"""RGB from 0 to 1, `[H, W, 3]`, of 32 or 64 bits."""

PAPERS = ((252, 251, 248), (246, 243, 233), (238, 239, 241), (250, 240, 205), (226, 236, 244), (205, 184, 152))
"""White, cream, grey, yellow, blue, packing paper: RGB of what they reflect."""
INKS = ((28, 30, 36), (26, 44, 122), (88, 88, 92), (158, 28, 34), (20, 92, 58))
"""Black, blue, pencil, red, green."""
LINES = ((150, 180, 214), (176, 178, 184), (222, 164, 164))
SIDES = 200, 601
"""Pixels of a photograph's shorter side: from, and to but not including."""
MARGIN = 1.3
"""The sheet is drawn this much larger than the photograph, whose corners so never look past it."""


@dataclass(frozen=True)
class Scene:
    """What is drawn once per photograph: `side` in pixels, the share `tall` of it that the digit takes, its place."""

    side: int
    tall: float
    down: float
    right: float

    @property
    def sheet(self) -> int:
        """Pixels of the sheet's side."""
        return int(self.side * MARGIN)


def photographs(inks: Sequence[NDArray[np.uint8]], seed: int = 0, index: ArrayLike | None = None) -> list[bytes]:
    """One synthetic photograph for each of `inks`, as the bytes of a JPEG file.

    `inks`: uint8 `[H, W]` each, any size, ink light on 0, as MNIST's images are; `index`: the place of each in its set,
    0, 1, … if None. A photograph depends on the ink, `seed` and its place alone.
    """
    places = np.arange(len(inks)) if index is None else np.asarray(index)
    return [photograph(ink, seed, int(place)) for ink, place in zip(inks, places, strict=True)]


def blank_photographs(count: int, seed: int = 0) -> list[bytes]:
    """`count` synthetic photographs of empty paper, as JPEG; some of it ruled or squared."""
    return [photograph(None, seed, place) for place in range(count)]


def photograph(ink: NDArray[np.uint8] | None, seed: int = 0, index: int = 0) -> bytes:
    """A synthetic photograph of `ink` (uint8 `[H, W]`, light on 0) on paper; of empty paper for None. JPEG, RGB, 200 to
    600 pixels a side."""
    random = generator(seed, "photograph", index)
    tall = random.uniform(0.3, 0.7)
    free = 0.4 - tall / 2  # so far may the digit's middle be from the photograph's
    scene = Scene(int(random.integers(*SIDES)), tall, *random.uniform(-free, free, 2))
    sheet = paper(scene, random)
    sheet = np.minimum(sheet, ruled(scene, sheet, random))
    if ink is not None:
        sheet = written(scene, sheet, ink, random)
    light = lit(seen_aslant(scene, sheet, random), random)
    return taken(light, scene.side / 300, random)


def paper(scene: Scene, random: np.random.Generator) -> Field:
    """Plain paper `[S, S, 3]` in [0, 1]: a colour, with fibres and clouds."""
    colour = np.array(PAPERS[random.choice(len(PAPERS), p=(0.4, 0.2, 0.15, 0.1, 0.1, 0.05))]) / 255
    fibres = 0.012 * random.uniform(0.3, 1.5) * random.standard_normal((scene.sheet, scene.sheet))
    clouds = 0.015 * smooth_noise(fibres.shape, 12, random)
    return np.clip(colour * (1 + fibres + clouds)[:, :, None], 0, 1)


def ruled(scene: Scene, sheet: Field, random: np.random.Generator) -> Field:
    """The sheet with printed lines: on half of the sheets none, on a quarter ruled, on a quarter squared."""
    kind = random.choice(["plain", "ruled", "squared"], p=(0.5, 0.25, 0.25))
    if kind == "plain":
        return sheet
    spacing = scene.side * scene.tall * (random.uniform(0.7, 1.6) if kind == "ruled" else random.uniform(0.25, 0.7))
    width = random.uniform(0.7, 1.9) * scene.side / 300
    strength = random.uniform(0.35, 0.95)
    covered = np.zeros((scene.sheet, scene.sheet))
    for axis in (0, 1) if kind == "squared" else (0,):
        line = repeated_line(np.arange(scene.sheet) - random.uniform(0, spacing), spacing, width)
        covered = np.maximum(covered, line[:, None] if axis == 0 else line[None])
    colour = np.array(LINES[random.integers(len(LINES))]) / 255
    return sheet * (1 - strength * covered[:, :, None]) + sheet * colour * strength * covered[:, :, None]


def repeated_line(place: Colours, spacing: float, width: float) -> Colours:
    """How much of each `place`, in pixels, is covered by lines that are `width` wide and `spacing` apart: 0 to 1."""
    apart = np.abs((place + spacing / 2) % spacing - spacing / 2)
    line: Colours = np.clip(width / 2 + 0.5 - apart, 0, 1)
    return line


def written(scene: Scene, sheet: Field, ink: NDArray[np.uint8], random: np.random.Generator) -> Field:
    """The sheet with `ink` on it."""
    cover = strokes(ink, round(scene.tall * scene.side))
    height, width = cover.shape
    middle = scene.sheet / 2
    top = round(middle + scene.down * scene.side - height / 2)
    left = round(middle + scene.right * scene.side - width / 2)
    whole = np.zeros((scene.sheet, scene.sheet))
    whole[top : top + height, left : left + width] = cover
    return inked(sheet, whole, random)


def inked(sheet: Field, whole: Field, random: np.random.Generator) -> Field:
    """`sheet` `[H, W, 3]` with ink where `whole` `[H, W]` is 1, in the colour of some pen and with its unevenness."""
    pencil = (choice := int(random.choice(len(INKS), p=(0.4, 0.3, 0.15, 0.1, 0.05)))) == 2
    grain = random.standard_normal(whole.shape) * (0.22 if pencil else 0.05)
    pressure = 0.1 * smooth_noise(whole.shape, 6, random)
    opacity = random.uniform(0.65, 0.9) if pencil else random.uniform(0.85, 1.0)
    cover = np.clip(whole * (opacity + grain + pressure), 0, 1)[:, :, None]
    return sheet * (1 - cover) + np.array(INKS[choice]) / 255 * cover


def strokes(ink: NDArray[np.uint8], tall: int) -> Field:
    """`ink`, cut to what has ink and enlarged to `tall` pixels on its longer side, with edges as sharp as a pen's."""
    rows, columns = np.flatnonzero((ink > 40).any(1)), np.flatnonzero((ink > 40).any(0))
    ink = np.pad(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    factor = tall / max(ink.shape)
    size = max(1, round(ink.shape[1] * factor)), max(1, round(ink.shape[0] * factor))
    large = Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(factor / 6))
    intensity = np.asarray(large) / max(1, ink.max())
    # Two pixels from paper to ink, but no sharper than a very small ink can tell.
    steep = min(max(1.5, factor / 2.5), max(ink.shape) / 6.5)
    edge = np.clip((intensity - 0.5) * steep + 0.5, 0, 1)
    return np.asarray(edge * edge * (3 - 2 * edge), np.float64)


def seen_aslant(scene: Scene, sheet: Field, random: np.random.Generator) -> Field:
    """The part of the sheet that the camera sees, turned by up to 8° and a little in perspective: `[side, side, 3]`."""
    angle, half = np.radians(random.uniform(-8, 8)), scene.side / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    moved = corners @ turn.T + random.uniform(-0.04, 0.04, (4, 2)) * scene.side
    values = perspective(corners + half, moved + scene.sheet / 2)
    channels = [
        Image.fromarray(sheet[:, :, i].astype(np.float32)).transform(
            (scene.side, scene.side), Image.Transform.PERSPECTIVE, values, Image.Resampling.BICUBIC
        )
        for i in range(3)
    ]
    return np.stack([np.asarray(channel, np.float64) for channel in channels], 2)


def perspective(target: Field, source: Field) -> list[float]:
    """The eight numbers by which Pillow maps `target` to `source`, four points `[4, 2]` (x, y) each."""
    rows, right = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    values: list[float] = np.linalg.solve(np.array(rows), np.array(right)).tolist()
    return values


def lit(colours: Colours, random: np.random.Generator) -> Colours:
    """Under uneven light: brighter on one side, darker in the corners, every other time with a shadow across."""
    height, width = colours.shape[:2]
    longer = max(height, width)
    y = (np.arange(height)[:, None] / longer - height / longer / 2).astype(colours.dtype)
    x = (np.arange(width) / longer - width / longer / 2).astype(colours.dtype)
    angle = random.uniform(0, 2 * np.pi)
    along = math.cos(angle) * x + math.sin(angle) * y
    light = 1 + random.uniform(0, 0.35) * along - random.uniform(0, 0.35) * (x * x + y * y)
    if random.random() < 0.5:
        turn = random.uniform(0, 2 * np.pi)
        cos, sin = math.cos(turn), math.sin(turn)  # no numbers of NumPy, which would make 64 bits of 32
        across, on = cos * x + sin * y, sin * x - cos * y
        bent = across + random.uniform(-0.3, 0.3) * on**2
        depth = random.uniform(0.15, 0.45)
        softness = random.uniform(0.03, 0.2)
        light = light * (1 - depth / (1 + np.exp((bent - random.uniform(-0.3, 0.3)) / softness)))
    warmth = random.uniform(-0.06, 0.06)
    cast = np.array([1 + warmth, 1, 1 - warmth], colours.dtype)
    result: Colours = colours * (light * random.uniform(0.68, 1.0))[:, :, None]
    result *= cast
    return result


def taken(light: Colours, scale: float, random: np.random.Generator) -> bytes:
    """What the camera makes of `light`: blur of 0.3 to 1.2 times `scale` pixels, the noise of a sensor, JPEG."""
    spread, noise = random.uniform(0.3, 1.2) * scale, random.uniform(0.003, 0.025)
    picture = as_image(light)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(spread))) / light.dtype.type(255)
    grain = random.standard_normal(pixels.shape, light.dtype)
    pixels = pixels + noise * np.sqrt(pixels + 0.1) * grain
    stream = BytesIO()
    as_image(pixels).save(stream, "JPEG", quality=int(random.integers(45, 93)))
    return stream.getvalue()


def as_image(light: Colours) -> Image.Image:
    """RGB of 8 bits, for values from 0 to 1."""
    return Image.fromarray(np.rint(light.clip(0, 1) * 255).astype(np.uint8))


def smooth_noise(shape: tuple[int, ...], points: int, random: np.random.Generator) -> Field:
    """Normal noise on a mesh of `points`² made smooth in between: `[H, W]` of `shape`."""
    mesh = Image.fromarray(random.standard_normal((points, points)).astype(np.float32))
    return np.asarray(mesh.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float64)

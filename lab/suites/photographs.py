"""Draw synthetic photographs: ink on paper, and a sheet on a desk, as a telephone might take them.

No camera was involved. This module draws paper with its texture, ruled, squared or plain; ink of some pen; a sheet seen
at an angle; uneven light and a shadow; blur, the noise of a sensor, and JPEG. Other difficulties of real photographs
are missing (crumpled sheets, flash, hands, a second writer's digits, things that lie about on a desk), so an accuracy
on these pictures is no accuracy on real photographs. Nothing here is used in training.

`photographs` show only paper. For pages, which `pages` writes, this module draws what lies around and below them: the
desk with its grain, boards, threads or specks, the sheet with its contact shadow and a curled edge, and the gloss of
the desk. About half of the desks of the reported half appear in none of the development half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lab.suites import digits as suite
from lab.suites.digits import HALVES, Half, Random, generator

Field = NDArray[np.float64]
Colours = NDArray[np.floating[Any]]
"""RGB from 0 to 1, `[H, W, 3]`, of 32 or 64 bits."""

Plane = NDArray[np.float32]
"""One value per pixel of the picture, `[H, W]`; RGB from 0 to 1 if `[H, W, 3]`."""
Points = NDArray[np.float64]
"""Points (x, y), `[N, 2]`."""
Matrix = NDArray[np.floating[Any]]
"""A perspective map, `[3, 3]`."""

PAPERS = ((252, 251, 248), (246, 243, 233), (238, 239, 241), (250, 240, 205), (226, 236, 244), (205, 184, 152))
"""RGB reflectance of papers: white, cream, grey, yellow, blue, packing paper."""
INKS = ((28, 30, 36), (26, 44, 122), (88, 88, 92), (158, 28, 34), (20, 92, 58))
"""RGB of inks: black, blue, pencil, red, green."""
LINES = ((150, 180, 214), (176, 178, 184), (222, 164, 164))
SIDES = 200, 601
"""Side of a photograph in pixels: the least, and the end of the range (exclusive)."""
FAINT = 41
"""Least intensity of a pixel that counts as ink."""
MARGIN = 1.3
"""The sheet is drawn this many times as large as the photograph, so that the photograph never shows its edge."""

UNIT = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
"""The corners of a square, clockwise from the upper left one."""

BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC


def photographs(inks: Sequence[NDArray[np.uint8]], seed: int = 0) -> list[bytes]:
    """Draw one synthetic photograph for each of `inks`, and return each as the bytes of a JPEG file.

    `inks`: uint8 `[H, W]` each, of any size, ink light on 0, as in MNIST's images. A photograph depends only on its
    ink, `seed` and its place.
    """
    return [photograph(ink, seed, place) for place, ink in enumerate(inks)]


def blank_photographs(count: int, seed: int = 0) -> list[bytes]:
    """Draw `count` synthetic photographs of empty paper, as JPEG; some of it is ruled or squared."""
    return [photograph(None, seed, place) for place in range(count)]


def photograph(ink: NDArray[np.uint8] | None, seed: int = 0, index: int = 0) -> bytes:
    """Draw a synthetic photograph of `ink` (uint8 `[H, W]`, light on 0) on paper, or of empty paper for None: JPEG,
    RGB, 200 to 600 pixels a side."""
    random = generator(seed, "photograph", index)
    tall = random.uniform(0.3, 0.7)  # the share of the photograph's side that the digit takes
    free = 0.4 - tall / 2  # how far the digit's middle may be from the photograph's
    side = int(random.integers(*SIDES))
    down, right = random.uniform(-free, free, 2)
    whole = int(side * MARGIN)
    colour = np.array(PAPERS[random.choice(len(PAPERS), p=(0.4, 0.2, 0.15, 0.1, 0.1, 0.05))]) / 255
    fibres = 0.012 * random.uniform(0.3, 1.5) * random.standard_normal((whole, whole))
    clouds = 0.015 * smooth_noise(fibres.shape, 12, random)
    sheet: Field = np.clip(colour * (1 + fibres + clouds)[:, :, None], 0, 1)  # [S, S, 3]
    kind = random.choice(["plain", "ruled", "squared"], p=(0.5, 0.25, 0.25))
    if kind != "plain":
        spacing = side * tall * (random.uniform(0.7, 1.6) if kind == "ruled" else random.uniform(0.25, 0.7))
        width, strength = random.uniform(0.7, 1.9) * side / 300, random.uniform(0.35, 0.95)
        covered = np.zeros((whole, whole))
        for axis in (0, 1) if kind == "squared" else (0,):
            line = repeated_line(np.arange(whole) - random.uniform(0, spacing), spacing, width)
            covered = np.maximum(covered, line[:, None] if axis == 0 else line)
        colour = np.array(LINES[random.integers(len(LINES))]) / 255
        weight = strength * covered[:, :, None]
        sheet = np.minimum(sheet, sheet * (1 - weight) + sheet * colour * strength * covered[:, :, None])
    if ink is not None:
        cover = strokes(ink, round(tall * side))
        height, width = cover.shape
        top, left = (round(whole / 2 + away * side - size / 2) for away, size in ((down, height), (right, width)))
        inked_at = np.zeros((whole, whole))
        inked_at[top : top + height, left : left + width] = cover
        sheet = inked(sheet, inked_at, random)
    # The camera sees a part of the sheet, turned by up to 8° and a little in perspective.
    angle = np.radians(random.uniform(-8, 8))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = side * UNIT
    moved = corners @ turn.T + random.uniform(-0.04, 0.04, (4, 2)) * side
    way = perspective(corners + side / 2, moved + whole / 2)
    channels = [resampled(sheet[:, :, i].astype(np.float32), way, (side, side), BICUBIC) for i in range(3)]
    return taken(lit(np.stack(channels, 2).astype(np.float64), random), side / 300, random)


def repeated_line(place: Colours, spacing: float, width: float) -> Colours:
    """Return the share of each `place`, in pixels, that is covered by lines `width` wide and `spacing` apart: 0 to
    1."""
    apart = np.abs((place + spacing / 2) % spacing - spacing / 2)
    line: Colours = np.clip(width / 2 + 0.5 - apart, 0, 1)
    return line


def inked(sheet: Field, whole: Field, random: Random) -> Field:
    """Put ink on `sheet` `[H, W, 3]` where `whole` `[H, W]` is 1, in the uneven colour of some pen."""
    pencil = (choice := int(random.choice(len(INKS), p=(0.4, 0.3, 0.15, 0.1, 0.05)))) == 2
    grain = random.standard_normal(whole.shape) * (0.22 if pencil else 0.05)
    pressure = 0.1 * smooth_noise(whole.shape, 6, random)
    opacity = random.uniform(0.65, 0.9) if pencil else random.uniform(0.85, 1.0)
    cover = np.clip(whole * (opacity + grain + pressure), 0, 1)[:, :, None]
    return sheet * (1 - cover) + np.array(INKS[choice]) / 255 * cover


def strokes(ink: NDArray[np.uint8], tall: int) -> Field:
    """Crop `ink`, enlarge its longer side to `tall` pixels, and make its edges as sharp as a pen's."""
    ink = suite.cropped(ink, FAINT, 1)
    factor = tall / max(ink.shape)
    size = max(1, round(ink.shape[1] * factor)), max(1, round(ink.shape[0] * factor))
    large = Image.fromarray(ink).resize(size, BICUBIC).filter(ImageFilter.GaussianBlur(factor / 6))
    intensity = np.asarray(large) / max(1, ink.max())
    # An edge goes from paper to ink in two pixels; a very small ink has softer edges.
    steep = min(max(1.5, factor / 2.5), max(ink.shape) / 6.5)
    edge = np.clip((intensity - 0.5) * steep + 0.5, 0, 1)
    return np.asarray(edge * edge * (3 - 2 * edge), np.float64)


def perspective(target: Field, source: Field) -> Matrix:
    """Return the perspective map `[3, 3]` of `target` to `source`, four points `[4, 2]` (x, y) each."""
    rows, right = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(right)), 1).reshape(3, 3)


def resampled(values: Plane, matrix: Matrix, size: tuple[int, int], method: Image.Resampling = BILINEAR) -> Plane:
    """Return a picture of this size. Each pixel has the value of `values` at the point to which `matrix` maps the
    pixel; 0 outside `values`."""
    numbers = (matrix / matrix[2, 2]).ravel()[:8].tolist()
    return np.array(Image.fromarray(values).transform(size, Image.Transform.PERSPECTIVE, numbers, method))


def lit(colours: Colours, random: Random) -> Colours:
    """Light a picture unevenly: brighter on one side, darker in the corners, and half of the time with a shadow
    across."""
    height, width = colours.shape[:2]
    longer = max(height, width)
    y = (np.arange(height)[:, None] / longer - height / longer / 2).astype(colours.dtype)
    x = (np.arange(width) / longer - width / longer / 2).astype(colours.dtype)
    angle = random.uniform(0, 2 * np.pi)
    along = math.cos(angle) * x + math.sin(angle) * y
    light = 1 + random.uniform(0, 0.35) * along - random.uniform(0, 0.35) * (x * x + y * y)
    if random.random() < 0.5:
        turn = random.uniform(0, 2 * np.pi)
        cos, sin = math.cos(turn), math.sin(turn)  # Python's floats: NumPy's would turn 32 bits into 64
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


def taken(light: Colours, scale: float, random: Random) -> bytes:
    """Take a picture of `light`: blur of 0.3 to 1.2 times `scale` pixels, the noise of a sensor, JPEG."""
    spread, noise = random.uniform(0.3, 1.2) * scale, random.uniform(0.003, 0.025)
    picture = as_image(light)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(spread))) / light.dtype.type(255)
    grain = random.standard_normal(pixels.shape, light.dtype)
    pixels = pixels + noise * np.sqrt(pixels + 0.1) * grain
    stream = BytesIO()
    as_image(pixels).save(stream, "JPEG", quality=int(random.integers(45, 93)))
    return stream.getvalue()


def as_image(light: Colours) -> Image.Image:
    """Convert values from 0 to 1 to RGB of 8 bits."""
    return Image.fromarray(np.rint(light.clip(0, 1) * 255).astype(np.uint8))


def smooth_noise(shape: tuple[int, ...], points: int, random: Random) -> Field:
    """Draw normal noise on a mesh of `points`², and interpolate it smoothly to `shape` `[H, W]`."""
    mesh = Image.fromarray(random.standard_normal((points, points)).astype(np.float32))
    return np.asarray(mesh.resize((shape[1], shape[0]), BICUBIC), np.float64)


@dataclass(frozen=True)
class Laid:
    """Where the sheet lies on the desk, and how the camera sees it.

    In the plane of the desk the sheet lies straight, with its middle at the origin. A unit of the plane is about a
    pixel.

    Attributes:
        width: The width of the picture in pixels.
        height: The height of the picture in pixels.
        camera: Maps the plane to the picture, `[3, 3]`.
        sheet: Width and height of the sheet in the plane.
        turn: By how many radians the sheet is turned in the picture, clockwise.
    """

    width: int
    height: int
    camera: Matrix
    sheet: tuple[float, float]
    turn: float

    @property
    def short(self) -> float:
        """The sheet's shorter side."""
        return min(self.sheet)

    @property
    def frame(self) -> Points:
        """The picture's corners in the picture."""
        return np.array((UNIT + 0.5) * (self.width, self.height), np.float64)

    def plane(self, turn: float = 0.0) -> tuple[Plane, Plane]:
        """Return the place of each pixel in the plane, in axes turned by `turn` radians: x and y, `[H, W]` each."""
        back = turned(turn) @ np.linalg.inv(self.camera)
        x = np.arange(self.width, dtype=np.float32) + np.float32(0.5)
        y = np.arange(self.height, dtype=np.float32)[:, None] + np.float32(0.5)
        right, down, depth = (np.float32(a) * x + np.float32(b) * y + np.float32(c) for a, b, c in back)
        return right / depth, down / depth

    def clouds(self, along: float, across: float, random: Random, turn: float = 0.0) -> Plane:
        """Draw smooth normal noise in the plane, in axes turned by `turn`: one value for each `along` units of the
        first axis and each `across` units of the second."""
        back = turned(turn) @ np.linalg.inv(self.camera)
        border = mapped(back, self.frame)
        cells = np.array([along, across])
        low = border.min(0) - 2 * cells
        points = np.ceil((border.max(0) - low) / cells + 2).astype(int)
        scale = np.diag([*(1 / cells), 1.0])
        scale[:2, 2] = -low / cells
        return resampled(random.standard_normal(points[::-1], np.float32), scale @ back, (self.width, self.height))


def mapped(matrix: Matrix, points: Points) -> Points:
    """Apply the perspective map `matrix` `[3, 3]` to `points`."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def turned(angle: float) -> Matrix:
    """Return the matrix `[3, 3]` that gives points in axes turned by `angle`."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def rotated(axis: tuple[float, float, float], angle: float) -> Matrix:
    """Return the rotation `[3, 3]` around an axis of length 1, clockwise on the picture (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


# The desk and the sheet.

WOODS = {
    "light wood": ((222, 190, 146), (186, 146, 98)),
    "pale wood": ((228, 210, 180), (204, 180, 144)),
    "dark wood": ((104, 72, 50), (58, 38, 28)),
    "reddish wood": ((160, 92, 62), (108, 52, 36)),
}
"""The two colours between which the grain of each wood lies."""
LAMINATES = {
    "dark laminate": (52, 54, 58),
    "black laminate": (28, 28, 30),
    "grey laminate": (150, 152, 154),
    "white laminate": (238, 238, 235),
    "green board": (58, 104, 86),
}
CLOTHS = ((96, 108, 132), (170, 156, 132), (142, 48, 52), (228, 224, 214), (70, 84, 66))
"""Colours of one of a cloth's two kinds of threads."""
COMMON = ("light wood", "dark wood", "grey laminate", "white laminate") * 2 + ("print",)
DESKS = {
    HALVES[0]: (*COMMON, "light wood", "dark laminate", "dark laminate"),
    HALVES[1]: (*COMMON, *("pale wood", "reddish wood", "cloth", "cork") * 2, "black laminate", "green board", "stone"),
}
"""What the desks of each half are made of; a material that is listed twice is twice as frequent."""


def ground(half: Half, laid: Laid, random: Random) -> Plane:
    """Draw what the sheet lies on, `[H, W, 3]`."""
    name = DESKS[half][random.integers(len(DESKS[half]))]
    unit = max(laid.width, laid.height) / 1000 * random.uniform(0.7, 1.5)
    turn = -laid.turn + math.radians(random.normal(0, 10)) + math.pi / 2 * int(random.integers(2))

    def clouds(size: float, across: float | None = None, turn: float = 0.0) -> Plane:
        return laid.clouds(size, across or size, random, turn)

    if name in WOODS:
        return wood(laid, WOODS[name], unit, turn, random)
    if name == "cloth":
        return cloth(laid, unit, turn, random)
    if name in LAMINATES:  # worn a little
        worn = 1 + 0.02 * clouds(unit * 200) + 0.012 * clouds(unit * 3)
        return tinted(LAMINATES[name], worn)
    if name == "cork":  # grains, some of them dark
        grains = clouds(unit * 7) + 0.8 * clouds(unit * 3)
        specks = np.clip(clouds(unit * 9, unit * 6, turn) - np.float32(1.25), 0, 0.8)
        return tinted((196, 150, 102), 1 + 0.1 * grains - 0.75 * specks)
    if name == "stone":  # speckled, or what imitates it
        dark = np.clip(clouds(unit * 4, turn=turn) - np.float32(0.8), 0, 1)
        light = np.clip(clouds(unit * 3) - np.float32(1), 0, 1)
        colour = ((186, 182, 176), (110, 110, 114), (206, 196, 180))[random.integers(3)]
        return tinted(colour, 1 + 0.05 * clouds(unit * 60) - 0.4 * dark + 0.3 * light)
    # A newspaper: columns of grey lines, broken into words.
    along, across = laid.plane(turn)
    line, column = unit * random.uniform(8, 14), unit * random.uniform(130, 260)
    height = np.abs((across / np.float32(line)) % 1 - np.float32(0.5))
    words = clouds(line * 0.35, line * 0.3, turn) + clouds(line * 2.2, line, turn)
    text = np.clip(2 * (words + np.float32(0.9)), 0, 1) * np.clip((np.float32(0.27) - height) * 12, 0, 1)
    between = np.clip((np.abs((along / np.float32(column)) % 1 - np.float32(0.5)) - np.float32(0.03)) * 40, 0, 1)
    return tinted((216, 212, 202), 1 - random.uniform(0.12, 0.42) * text * between)


def wood(laid: Laid, colours: tuple[tuple[int, ...], ...], unit: float, turn: float, random: Random) -> Plane:
    """Draw boards with rings, streaks and pores along them."""
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


def cloth(laid: Laid, unit: float, turn: float, random: Random) -> Plane:
    """Draw a weave of two kinds of threads."""
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


def tinted(colour: tuple[int, ...], tone: Plane) -> Plane:
    """Multiply `colour` by the brightness `tone` of each pixel."""
    return np.asarray(tone[:, :, None] * (np.array(colour, np.float32) / 255), np.float32)


def lined(laid: Laid, surface: Plane, spacing: float, random: Random) -> Plane:
    """Print lines on `surface`: half of the surfaces stay plain, a third are ruled, the others squared."""
    kind = random.choice(["plain", "ruled", "squared"], p=(0.5, 0.33, 0.17))
    if kind == "plain":
        return surface
    spacing *= random.uniform(0.7, 1.5) * (0.6 if kind == "squared" else 1)
    width, strength = random.uniform(0.03, 0.06) * spacing, random.uniform(0.3, 0.9)
    axes = laid.plane()
    offset = np.float32(random.uniform(0, spacing))
    covered = np.maximum.reduce(
        [repeated_line(place + offset, spacing, width) for place in (axes if kind == "squared" else axes[1:])]
    )
    colour = np.array(LINES[random.integers(len(LINES))], np.float32) / 255
    return np.asarray(surface + (np.float32(strength) * covered)[:, :, None] * (colour - 1) * surface, np.float32)


def on_desk(surface: Plane, laid: Laid, random: Random) -> Plane:
    """Lay the sheet on the `surface`, with its contact shadow but without ink."""
    short = laid.short
    bend = (short * random.uniform(-0.008, 0.008, 2)).astype(np.float32)
    x, y = laid.plane()
    x, y = x + bend[0] * np.cos(y * np.float32(3 / short)), y + bend[1] * np.cos(x * np.float32(3 / short))
    covered = np.clip(0.5 - distance(laid.sheet, x, y), 0, 1)[:, :, None]
    # Light comes from above and one side: the edges away from it throw a wider shadow.
    thick = min(short, 600) * random.uniform(0.004, 0.02)
    from_x, from_y = thick * random.uniform(-1, 1), thick * random.uniform(0.2, 1)
    away = distance(laid.sheet, x - np.float32(from_x), y - np.float32(from_y))
    shadow = random.uniform(0.25, 0.6) / (
        1 + np.exp(np.clip(away / np.float32(thick * random.uniform(0.5, 1.2)), -30, 30))
    )
    surface *= (1 - shadow)[:, :, None]
    if random.random() < 0.3:  # a window or a lamp that the desk reflects: a bright place with a soft border
        shine = [
            (np.arange(side, dtype=np.float32) / side - random.uniform(0, 1)) / random.uniform(0.1, 0.4)
            for side in (laid.width, laid.height)
        ]
        glow = random.uniform(0.05, 0.3) * np.exp(-(shine[1] * shine[1]))[:, None] * np.exp(-(shine[0] * shine[0]))
        surface += np.asarray(glow, np.float32)[:, :, None]
    # The sheet, as if it went on for ever; one edge curls towards the light or away from it.
    colour = PAPERS[random.choice(len(PAPERS), p=(0.45, 0.2, 0.15, 0.08, 0.08, 0.04))]
    tone = 1 + 0.015 * random.uniform(0.3, 1.5) * random.standard_normal(x.shape, np.float32)
    across, size = ((x, laid.sheet[0]), (y, laid.sheet[1]))[random.integers(2)]
    side = int(random.choice([-1, 1]))
    inwards = np.clip(size / 2 - side * across, 0, None) / np.float32(short * random.uniform(0.06, 0.3))
    tone += random.uniform(-0.14, 0.08) * np.exp(-inwards)
    sheet = tinted(colour, np.asarray(tone, np.float32))
    sheet = lined(laid, sheet, max(short * random.uniform(0.025, 0.06), 12), random)
    sheet -= surface
    sheet *= covered
    surface += sheet
    return surface


def distance(sheet: tuple[float, float], x: Plane, y: Plane) -> Plane:
    """Return how far each (x, y) is outside the sheet; negative on the sheet."""
    return np.maximum(np.abs(x) - np.float32(sheet[0] / 2), np.abs(y) - np.float32(sheet[1] / 2))

"""Finds the numbers on a picture with a network, and cuts each one out as a strip with its corners.

The network (`model/finder_network`) looks at a picture at several sizes. It first sees a copy so small that it costs
little. Then it sees copies each twice as large, but only where there is detail that the smaller copy did not explain.
At each size, the network's maps have a peak at the middle of every character. If a picture, or a group of characters on
it, is not upright, the network looks once more at the picture, turned so that the characters are clearest. Characters
that point at each other make a number; a word or a wide gap ends it. A number is cut out along its line. The network's
map of ink says which ink belongs to it; other ink is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.files import FINDER
from sumnist.inference.alphabet import CHARACTERS
from sumnist.inference.onnx import OnnxFile
from sumnist.pictures.filters import LEAST_GROUND, plane_of, spread

PICTURE, MAPS, INK = "picture", "maps", "ink"
"""`PICTURE`: the input of the file, float32 `[batch, 1, H, W]` in [0, 1], sides multiples of 16. `MAPS`: an output, the
maps with one place for each 4×4 pixels, `[batch, 33, H / 4, W / 4]`. `INK`: an output, the logits of ink,
`[batch, 1, H, W]`."""
KINDS_KEY = "characters"
"""The key of the metadata whose value is `CHARACTERS`."""
FIELDS = 11
"""The number of maps before those of the characters (`model/finder_network.FIELDS`)."""
HEAT, EM, WIDTH, OFF_X, OFF_Y, COS, SIN, NEXT_X, NEXT_Y, LINKED, STRUCK = range(FIELDS)
DIGITS, OTHER = 10, len(CHARACTERS) - 1
"""Classes of characters below `DIGITS` are digits. `OTHER` is the class of every character that is no digit and no
sign."""
CELL, STRIDE, UNIT = 4, 16, 16.0
"""`CELL`: pixels of a side of one place of the maps. `STRIDE`: sides of pictures are multiples of it. `UNIT`: the
height of a digit in pixels whose logarithm is 0 in the map `EM`."""
LEAST_WHOLE, SMALLEST, WHOLE, WINDOW, OVERLAP = 64, 128, 256, 192, 48
"""All in pixels. `LEAST_WHOLE`: a smaller picture is enlarged until its longer side has this many pixels. `SMALLEST`:
the longer side of the smallest copy. `WHOLE`: the longer side of the largest copy that is looked at whole. `WINDOW`:
the side of a window on a larger copy. `OVERLAP`: by how much windows overlap."""
ROOM = 0.15
"""The ground put around a small picture, as a share of its shorter side. A crop need not have any ground."""
TOGETHER = 8
"""Windows in one batch."""
SEEN, SUSPECTED = 0.35, 0.2
"""`SEEN`: a character counts from this probability on. `SUSPECTED`: a sign makes a number doubtful from this
probability on."""
SURELY = 0.6
"""A character with this probability need not be looked at in a larger copy."""
OTHERS = 0.2
"""The factor on the probability of the class `OTHER`. Other characters are rarer where people look for numbers than in
training, and the networks that read judge each number again."""
SIZES, LARGE = (7.0, 115.0), 35.0
"""`SIZES`: the least and greatest height of a digit that we believe, in pixels of the copy looked at. `LARGE`: the
least height on the smallest copy, where we take only digits that are too large for the next copy."""
CLEAR = 13.0
"""The height of a digit in pixels from which a larger copy would not show it better."""
WORTH = (7.0, 16.0, 70.0, 115.0), (0.5, 1.0, 1.0, 0.6)
"""Heights of digits, in pixels of the copy looked at, and how well the network sees each height."""
ASLANT, NEIGHBOUR, AROUND = 0.25, 2.5, 1.0
"""`ASLANT`: a picture whose characters lean by more than this angle, in radians, is looked at once more; so is a group
that leans by more than half of it. `NEIGHBOUR`: how near the next character of a leaning group is, in digit heights.
`AROUND`: how much of the picture around the group is looked at, in digit heights."""
ALONG = 4
"""Lines count as parallel by the cosine between them, to this power."""
MOST_TURNED, AT_ONCE = 1 << 24, 1 << 17
"""`MOST_TURNED`: the most pixels of a turned part. `AT_ONCE`: how many pixels of it are computed at once."""
CLEARLY, CLARITY, LEAST_CLEAR, HARDLY_LESS, SAMPLE, PRIOR = 0.9, 4, 0.3, 0.7, 30, 8.0
"""`CLEARLY`: characters are surely upright if the mean probability of their classes reaches this. `CLARITY`: the
clarity of a character is the probability of its class to this power. `LEAST_CLEAR`: a picture is turned only if the
mean clarity of its characters is then at least this. `HARDLY_LESS`: the clarity after turning must be at least so many
times what it was. `SAMPLE`: how many characters are compared. `PRIOR`: to be turned upside down, a picture of n
characters must become 1 + `PRIOR` / n times as clear."""
SAME, INSIDE, WITHIN = 0.42, 0.3, 0.45
"""Two characters are the same one if they are nearer to each other than `SAME` heights of the smaller one, or `INSIDE`
heights of the larger one. If one is far larger, and they are nearer than `WITHIN` of its height, one of them was seen
at the wrong size."""
EXPLAINED, EXPLAINS = 0.75, 0.5
"""A character explains all detail within `EXPLAINED` of its height from its middle, if ink there reaches the
probability `EXPLAINS`. A page on a dark desk may pass for a 0, but has no ink, so it does not explain what is written
on it."""
BEFORE, OFF, BEHIND, CLOSE = 0.9, 0.7, 1.6, 0.6
"""Distances, in heights of the larger of a number and its neighbour. `BEFORE`: how far before or behind a number a sign
of the number may stand. `OFF`: how far off the number's line such a sign may stand. `BEHIND`: a character no farther
behind a number continues it. `CLOSE`: a character nearer than this may belong to the number."""
SHIFTED = (".", 0.45), (",", 0.5), ("'", -0.45)
"""Signs that stand above or below the middle of the line, and how far below it, in digit heights."""
STARTS, ENDS = "=+¤", "=-.,'¤"
"""`STARTS`: signs before a number that do not change what it means. `ENDS`: signs behind a number that do not change
what it means."""
WIDE_GAP, WIDER, WORD_GAP, A_WORD, OF_A_WORD = 0.55, 1.6, 0.4, 3, 3
"""A gap parts two numbers if it is wider than `WIDE_GAP`, in digit heights, plus `WIDER` times the usual gap. A gap
wider than `WORD_GAP` parts a word and a number. `A_WORD`: this many letters are a word whatever the gap is.
`OF_A_WORD`: fewer digits than this belong to a word if they are nearer to it than `WORD_GAP`."""
ASTRAY = 0.8
"""How far the next character may be from the place that a character points at, in heights of the pointing character."""
ALIKE, TURNED = 2.2, 0.5
"""`ALIKE`: how many times as high as its neighbour a character may be. `TURNED`: the least cosine between the direction
of a character's line and the way to the next character; and, on a turned picture, between that direction and the
right."""
STRAIGHT, FRAME, ON_LINE = 0.8, 0.06, 0.5
"""`STRAIGHT`: the least cosine between the lines of characters of one group, in either direction. `FRAME`: the room
between characters and corners, in digit heights. `ON_LINE`: how far off its line a number on the same row may be, in
digit heights."""
THOUSANDS, THOUSANDS_APART = 3, (0.5, 1.1)
"""`THOUSANDS`: the number of digits behind a gap that separates thousands. `THOUSANDS_APART`: if the gap is at most the
first width, in digit heights, these digits belong to the number before it; if it is at most the second width, they
may."""
APART, LEVEL = 1.6, 0.6
"""Limits for two numbers that may be one, in digit heights. `APART`: the widest gap between them. `LEVEL`: how far they
may be off each other's line."""
DETAIL = 0.08
"""A difference between neighbouring pixels that may be an edge of ink."""
EM_CUT, BEYOND, MARGIN = 40.0, 0.35, 0.12
"""`EM_CUT`: the height of a digit in a cut, in pixels. `BEYOND`: how far a cut looks beyond a number's corners, in
digit heights. `MARGIN`: the room left around the ink, in digit heights."""
INKED, SURELY_NONE, SOLID, NEARBY = 0.3, 0.12, 0.3, 2
"""`INKED`: a pixel is ink from this probability on. `SURELY_NONE`: below this one it is ground. `SOLID`: a pixel this
dark counts as ink. `NEARBY`: a stroke reaches this many pixels around its ink."""
REACHING, LEAST_INK = 0.6, 1e-6
"""`REACHING`: beyond a number's corners, ink of this probability still belongs to it. `LEAST_INK`: added to the weight
of each pixel, so that the weights are never all zero."""
FULL, LEAST_CONTRAST = 0.98, 0.02
"""`FULL`: ink at this quantile of darkness is surely ink, and pixels more than half as dark are strokes.
`LEAST_CONTRAST`: the least contrast of a stroke."""

Floats = NDArray[np.float32]


class Characters(NamedTuple):
    """Characters that were found: an array `[N]` for each property. Places and lengths are in pixels of the picture.

    Attributes:
        x: The x of each character's middle.
        y: The y of each character's middle.
        em: The height of a digit of the writing.
        width: The width of the character.
        cos: The cosine of the direction of its line.
        sin: The sine of the direction of its line.
        next_x: The x of the place where the next character should be.
        next_y: The y of this place.
        linked: The probability that there is a next character.
        struck: The probability that the character is struck out.
        seen: The probability that there is a character.
        kinds: The probabilities of `CHARACTERS`, `[N, 22]`.
        scale: Pixels of the copy looked at, for one pixel of the picture.
    """

    x: Floats
    y: Floats
    em: Floats
    width: Floats
    cos: Floats
    sin: Floats
    next_x: Floats
    next_y: Floats
    linked: Floats
    struck: Floats
    seen: Floats
    kinds: Floats
    scale: Floats

    @property
    def are_digits(self) -> NDArray[np.bool_]:
        """Which characters are most probably digits, `[N]`."""
        digits: NDArray[np.bool_] = self.kinds.argmax(1) < DIGITS
        return digits

    @property
    def are_signs(self) -> NDArray[np.bool_]:
        """Which characters are most probably signs, `[N]`."""
        kinds = self.kinds.argmax(1)
        signs: NDArray[np.bool_] = (kinds >= DIGITS) & (kinds < OTHER)
        return signs

    def of(self, some: Any) -> Characters:
        """The characters at these indices, or those that a mask selects."""
        return Characters._make([values[some] for values in self])


@dataclass(frozen=True)
class Found:
    """A number that was found, not yet read.

    Attributes:
        characters: Its characters, in order.
        places: The indices of its characters among all characters of the picture.
        corners: Its upper left, upper right, lower right and lower left corner along its own line, as (x, y) in pixels
            of the picture.
        angle: The angle of its line, clockwise, in radians.
        em: The height of its digits in pixels.
        suspect: Whether another character may change what the number means (`has_beside`).
    """

    characters: Characters
    places: NDArray[np.int64]
    corners: NDArray[np.float64]
    angle: float
    em: float
    suspect: bool = False

    @property
    def text(self) -> str:
        """The text as the finder itself reads it."""
        return "".join(CHARACTERS[kind] for kind in self.characters.kinds.argmax(1).tolist())

    @property
    def digits(self) -> Floats:
        """The probabilities of the ten digits, for each character that is a digit, `[N, 10]`."""
        return self.characters.kinds[self.characters.are_digits, :DIGITS]

    @property
    def weight(self) -> float:
        """How much the number counts beside others: more if it is surer, larger or longer."""
        return float(self.em * len(self.digits) ** 0.5 * self.characters.seen.mean())


class Sight(NamedTuple):
    """A picture as the finder saw it.

    Attributes:
        grey: The picture looked at, uint8 or float32 `[H, W]`.
        ink: How probably each pixel is ink of a number, uint8 `[h, w]`, from 0 to 255.
        scale: Pixels of `ink` for one pixel of `grey`.
        characters: All characters that were seen.
        matrix: The map `[2, 3]` from `grey` to the given picture, which may be turned.
    """

    grey: NDArray[Any]
    ink: NDArray[np.uint8]
    scale: float
    characters: Characters
    matrix: NDArray[np.float64] = np.eye(2, 3)

    @property
    def angle(self) -> float:
        """How far the picture was turned counter-clockwise before the look, in radians."""
        return math.atan2(self.matrix[1, 0], self.matrix[0, 0])

    def placed(self, found: Found) -> tuple[NDArray[np.float64], float]:
        """The corners of a number on the given picture, and the angle of its line there."""
        corners = found.corners @ self.matrix[:, :2].T + self.matrix[:, 2]
        return corners, math.remainder(found.angle + self.angle, 2 * math.pi)

    @property
    def sure(self) -> Characters:
        """The characters that are sure enough to count."""
        return self.characters.of(self.characters.seen >= SEEN)

    @property
    def is_small(self) -> bool:
        """Whether a larger copy may show more: some writing is small, or no character is sure."""
        em = self.sure.em
        return bool((em < CLEAR).any()) or not len(em)


Find = Callable[[NDArray[Any]], tuple[list[Found], Sight]]
"""A function that finds the numbers on a picture."""


class Finder(OnnxFile):
    """The network that finds numbers, in an ONNX file. Any number of threads may share it, and it can be pickled.

    Args:
        model: The path of the file, or its content; by default the network that comes with the package.
        threads: How many processor threads a call may use.

    Raises:
        RunError: The file cannot be read or holds another network, or the network's answers are not finite.
    """

    def __init__(self, model: str | Path | bytes = FINDER, threads: int = 1) -> None:
        super().__init__(model, threads)
        if set(self.inputs) != {PICTURE} or not {MAPS, INK} <= set(self.outputs):
            raise self.another("pages")
        if self.metadata.get(KINDS_KEY) != CHARACTERS:
            raise self.another("pages")
        if not np.isfinite(self.answer(np.zeros((1, STRIDE, STRIDE), np.float32))[0]).all():
            raise self.no_number()

    def __call__(self, grey: NDArray[Any]) -> tuple[list[Found], Sight]:
        """Find the numbers on a picture, uint8 or float32 in [0, 1] `[H, W]`. Returns the numbers in reading order, and
        what the finder saw.

        A picture that is not upright is turned and looked at once more. So is a group of characters whose line runs
        another way.
        """
        grey, room = with_room(grey)
        sight, matrix = self.look(grey), np.eye(2, 3)
        if angle := self.angle_of(sight):
            high, wide = grey.shape
            way, size = part_of(np.array([(0, 0), (wide, 0), (0, high), (wide, high)]), 0, angle, 1)
            turned = self.through(grey, way, size)
            if clarity(turned.characters) > HARDLY_LESS * clarity(sight.characters):
                sight, matrix = turned, way
        sight = sight._replace(characters=self.upright(sight), matrix=matrix - [[0, 0, room]])
        found = in_order(apart(numbers_of(sight.characters)))
        return doubted(joined(found, sight.characters, are_thousands)), sight

    def angle_of(self, sight: Sight) -> float:
        """The angle against which to turn a picture so that its characters are clearest. 0 if the picture should stay
        as it is."""
        every = sight.sure
        if len(every.x) < 2:
            return 0
        axis = axis_of(every)
        is_level = abs(axis) <= ASLANT
        if is_level and every.seen @ every.cos > 0 and every.kinds.max(1).mean() >= CLEARLY:
            return 0
        angles = [axis + turns * math.pi / 2 for turns in range(0, 4, 2 if is_level else 1)]
        now, clear = self.clear(sight.grey, every, angles)
        best, count = int(np.argmax(clear)), len(every.x)
        least = max(now * (1 + PRIOR / count if is_level else HARDLY_LESS), LEAST_CLEAR * min(count, SAMPLE))
        quarters = round(angles[best] / (math.pi / 2)) * math.pi / 2
        angle = quarters if abs(angles[best] - quarters) <= ASLANT else angles[best]
        return angle if clear[best] > least else 0

    def upright(self, sight: Sight) -> Characters:
        """The characters of a picture, after a second look at each leaning group. For that look, the picture is turned
        so that the group is clearest. The characters that it shows replace the group if they are clearer."""
        rest, seen = sight.characters, []
        for group in aslant(rest):
            angles = [axis_of(group), axis_of(group) + math.pi]
            now, clear = self.clear(sight.grey, group, angles)
            if max(clear) > now:
                seen.append(self.turned(sight.grey, group, angles[int(np.argmax(clear))]))
                rest = rest.of(~(np.isin(rest.x, group.x) & np.isin(rest.y, group.y)))
        return distinct([rest, *seen]) if seen else rest

    def clear(self, grey: NDArray[Any], group: Characters, angles: Sequence[float]) -> tuple[float, list[float]]:
        """How clear a sample of a group of characters is now, and how clear it is with the picture turned against each
        of the `angles`."""
        longest = max((one.characters for one in chains_of(group)), key=clarity, default=group)
        first = (longest.seen * longest.are_digits).argmax()
        apart = np.hypot(group.x - longest.x[first], group.y - longest.y[first])
        some = group.of(np.argsort(apart)[:SAMPLE])
        return clarity(some.of(some.cos > TURNED)), [clarity(self.turned(grey, some, angle)) for angle in angles]

    def turned(self, grey: NDArray[Any], group: Characters, angle: float) -> Characters:
        """The upright characters that stand in the place of a group if the picture is turned against an angle."""
        middles, least = np.stack([group.x, group.y], 1).astype(np.float64), float(group.em.min())
        matrix, size = part_of(middles, group.em * (0.5 + AROUND), angle, max(1, least / (2 * UNIT)))
        seen = self.through(grey, matrix, size).characters
        return moved(seen.of(seen.cos > TURNED), matrix)

    def through(self, grey: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int]) -> Sight:
        """Look at a part of a picture. `matrix` maps the part to the picture, and `size` is the height and width of the
        part."""
        part = warped(grey, matrix, size)  # we change it in place, since a page may have millions of pixels
        return self.look(np.rint(np.multiply(part, 255, out=part), out=part).astype(np.uint8))

    def look(self, grey: NDArray[Any]) -> Sight:
        """Look at a picture as it lies."""
        seen: list[Characters] = []
        ink, finest = np.zeros((1, 1), np.uint8), 1.0
        for picture, scale in levels(grey):
            windows = [*self.windows(picture, scale, together(seen), ink)]
            if not windows:
                continue
            ink = np.asarray(Image.fromarray(ink).resize(picture.shape[::-1], Image.Resampling.BILINEAR)).copy()
            finest = scale
            for rows, columns in windows:
                ink[rows, columns] = 0
            seen = [clearer(together(seen), windows, scale)]
            least = LARGE if scale < 1 and max(picture.shape) <= SMALLEST else SIZES[0]
            for start in range(0, len(windows), TOGETHER):
                some = windows[start : start + TOGETHER]
                parts = [padded(in_unit(picture[rows, columns])) for rows, columns in some]
                for (rows, columns), maps, logits in zip(some, *self.answer(np.stack(parts)), strict=True):
                    part = ink[rows, columns]
                    shares = 255 / (1 + np.exp(-logits[0, : part.shape[0], : part.shape[1]]))
                    np.maximum(part, shares.astype(np.uint8), out=part)
                    inner = inside(rows, columns, picture.shape)
                    here = characters_of(maps, rows.start, columns.start, scale, part.shape, inner)
                    seen.append(here.of(here.em * scale >= least))
        return Sight(grey, ink, finest, distinct(seen))

    def answer(self, pictures: Floats) -> tuple[Floats, Floats]:
        """The maps and the logits of ink of pictures `[B, H, W]`."""
        maps, ink = self.run([MAPS, INK], {PICTURE: np.ascontiguousarray(pictures, np.float32)[:, None]})
        return maps, ink

    def windows(
        self, picture: NDArray[Any], scale: float, found: Characters, ink: NDArray[np.uint8]
    ) -> Iterator[tuple[slice, slice]]:
        """The parts of a copy of a picture to look at. A small copy is looked at whole. A larger copy is looked at in
        windows, where it has detail that is not explained by well-seen characters, and their ink, on a smaller copy."""
        high, wide = picture.shape
        if max(high, wide) <= WHOLE:
            yield slice(0, high), slice(0, wide)
            return
        detail, coarse = fine(picture), 8 * len(ink) / high
        clear = found.of((found.em * found.scale >= CLEAR) & (found.seen >= SURELY))
        for x, y, em, width in np.stack([clear.x, clear.y, clear.em, clear.width], 1) * np.float32(scale):
            reach = EXPLAINED * max(em, width)
            sides = [(max(0, int((middle - reach) / 8)), int((middle + reach) / 8) + 1) for middle in (y, x)]
            rows, columns = (slice(int(start * coarse), math.ceil(end * coarse)) for start, end in sides)
            if ink[rows, columns].max(initial=0) > 255 * EXPLAINS:
                detail[slice(*sides[0]), slice(*sides[1])] = 0
        for top in starts(high):
            for left in starts(wide):
                if (detail[top // 8 : (top + WINDOW) // 8, left // 8 : (left + WINDOW) // 8] > DETAIL).sum() >= 2:
                    yield slice(top, min(top + WINDOW, high)), slice(left, min(left + WINDOW, wide))


def with_room(grey: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """A picture with ground around it, and the width of this ground in pixels. On each side, the ground is as bright as
    the median of that edge. The ground is so narrow that the picture can still be looked at whole."""
    room = max(0, min(math.ceil(ROOM * min(grey.shape)), (WHOLE - max(grey.shape)) // 2))
    above, below, left, right = (np.median(side) for side in (grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    return np.pad(grey, room, constant_values=((above, below), (left, right))), room


def clarity(characters: Characters) -> float:
    """The sum of the clarity of all characters that count."""
    return float((characters.kinds[characters.seen >= SEEN].max(1) ** CLARITY).sum())


def axis_of(characters: Characters) -> float:
    """The angle along which most characters run, in either direction, from −π / 2 to π / 2. If the characters make
    numbers, the lines of the numbers decide, because they are better known than the direction of each character."""
    lines = [(one.angle, len(one.digits)) for one in chains_of(characters) if len(one.digits) > 1]
    own = zip(np.arctan2(characters.sin, characters.cos).tolist(), characters.seen.tolist(), strict=True)
    angles, weights = np.array(lines or [*own]).T
    alike = np.cos(angles[:, None] - angles) ** ALONG
    weights = weights * alike[(alike @ weights).argmax()]
    return math.atan2(float(weights @ np.sin(2 * angles)), float(weights @ np.cos(2 * angles))) / 2


def aslant(characters: Characters) -> Iterator[Characters]:
    """Groups of neighbouring characters that do not run to the right."""
    rest = characters.of((characters.seen >= SEEN) & (np.abs(np.arctan2(characters.sin, characters.cos)) > ASLANT / 2))
    while len(rest.x):
        group, added = np.arange(len(rest.x)) == 0, [0]
        while added:
            i = added.pop()
            near = np.hypot(rest.x - rest.x[i], rest.y - rest.y[i]) < NEIGHBOUR * np.minimum(rest.em, rest.em[i])
            near &= np.abs(rest.cos[i] * rest.cos + rest.sin[i] * rest.sin) > STRAIGHT
            added += np.flatnonzero(near & ~group).tolist()
            group |= near
        some = rest.of(group)
        if len(some.x) > 1 and some.are_digits.any():
            yield some
        rest = rest.of(~group)


def part_of(
    points: NDArray[np.float64], reach: float | Floats, angle: float, step: float
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """A part of a picture, turned against an angle. Returns the map from the part to the picture, and the part's height
    and width.

    Args:
        points: The part holds everything near these points.
        reach: How near, in pixels of the picture.
        angle: The angle, in radians.
        step: How many pixels of the picture one pixel of the part is wide, at least.
    """
    along, down = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    low = np.array([(points @ axis - reach).min() for axis in (along, down)])
    end = np.array([(points @ axis + reach).max() for axis in (along, down)])
    step = max(step, math.sqrt((end - low).prod() / MOST_TURNED))
    wide, high = (max(STRIDE, round(side / step)) for side in (end - low).tolist())
    return np.column_stack([along * step, down * step, along * low[0] + down * low[1]]), (high, wide)


def moved(seen: Characters, matrix: NDArray[np.float64]) -> Characters:
    """Turn characters of a part of a picture into characters of the picture, by the map from the part to the
    picture."""
    step = math.hypot(matrix[0, 0], matrix[1, 0])

    def at(x: Floats, y: Floats) -> list[Floats]:
        return [(row[0] * x + row[1] * y + row[2]).astype(np.float32) for row in matrix]

    (x, y), (to_x, to_y) = at(seen.x, seen.y), at(seen.next_x, seen.next_y)
    cos, sin = (((row[0] * seen.cos + row[1] * seen.sin) / step).astype(np.float32) for row in matrix)
    return seen._replace(
        x=x, y=y, em=seen.em * np.float32(step), width=seen.width * np.float32(step), cos=cos, sin=sin, next_x=to_x,
        next_y=to_y, scale=seen.scale / np.float32(step),
    )  # fmt: skip


def enlarged(found: list[Found], sight: Sight, grey: NDArray[Any], factor: int) -> tuple[list[Found], Sight]:
    """Turn the numbers and the `Sight` of a picture into those of `grey`, the same picture `factor` times as large."""
    larger = np.eye(2, 3) * factor
    every = [replace(one, characters=moved(one.characters, larger), corners=one.corners * factor, em=one.em * factor)
             for one in found]  # fmt: skip
    characters = moved(sight.characters, larger)
    return every, sight._replace(grey=grey, scale=sight.scale / factor, characters=characters)


def starts(side: int) -> list[int]:
    """Where windows begin along a side of this many pixels. All windows end within the side."""
    return [*range(0, side - WINDOW, WINDOW - OVERLAP), max(0, side - WINDOW)]


def clearer(seen: Characters, windows: Sequence[tuple[slice, slice]], scale: float) -> Characters:
    """Leave out the small characters inside these windows, because the larger copy in the windows shows them better."""
    x, y, within = seen.x * scale, seen.y * scale, np.zeros(len(seen.x), bool)
    for rows, columns in windows:
        within |= (x >= columns.start) & (x < columns.stop) & (y >= rows.start) & (y < rows.stop)
    return seen.of(~(within & (seen.em * seen.scale < CLEAR)))


def in_unit(picture: NDArray[Any]) -> Floats:
    """A picture of uint8 or of floats in [0, 1] as float32 in [0, 1]."""
    scale = np.float32(255 if picture.dtype == np.uint8 else 1)
    return (picture / scale).astype(np.float32, copy=False)


def levels(grey: NDArray[Any]) -> Iterator[tuple[NDArray[Any], float]]:
    """Copies of a picture at several sizes, the smallest first, each with its scale: its pixels for one pixel of the
    picture."""
    high, wide = grey.shape
    if max(high, wide) < LEAST_WHOLE:
        factor = -(-LEAST_WHOLE // max(high, wide))
        large = Image.fromarray(grey).resize((wide * factor, high * factor), Image.Resampling.BICUBIC)
        yield in_unit(np.asarray(large)).clip(0, 1), float(factor)
        return
    factor = 1 << max(0, math.ceil(math.log2(max(high, wide) / SMALLEST)))
    while factor:
        small = grey if factor == 1 else np.asarray(Image.fromarray(grey).reduce(factor))
        yield small, 1 / factor
        factor //= 2


def fine(picture: NDArray[Any]) -> Floats:
    """The greatest difference between neighbouring pixels, in each 8×8 pixels of a picture."""
    high, wide = (side // 8 * 8 for side in picture.shape)
    upper, lower = (picture[start:high:2, :wide] for start in (0, 1))  # slices, since reducing short axes is slow
    most, least = (of(of(upper[:, ::2], upper[:, 1::2]), of(lower[:, ::2], lower[:, 1::2]))
                   for of in (np.maximum, np.minimum))  # fmt: skip
    apart = (most - least).reshape(high // 8, 4, wide // 2).max(1)
    return in_unit(np.max([apart[:, start::4] for start in range(4)], 0))


def padded(picture: Floats) -> Floats:
    """A picture extended by copies of its edges until its sides are multiples of `STRIDE`."""
    high, wide = picture.shape
    return np.pad(picture, ((0, -high % STRIDE), (0, -wide % STRIDE)), mode="edge")


def inside(rows: slice, columns: slice, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """The part of a window whose characters belong to it: left, top, right and bottom in pixels of the window. A
    character in two overlapping windows belongs to the window in which it is farther from the edge."""
    near = OVERLAP / 2
    return (
        near if columns.start else -1.0, near if rows.start else -1.0,
        columns.stop - columns.start - (near if columns.stop < shape[1] else -1.0),
        rows.stop - rows.start - (near if rows.stop < shape[0] else -1.0),
    )  # fmt: skip


def characters_of(
    maps: Floats, top: int, left: int, scale: float, size: tuple[int, int], inner: tuple[float, float, float, float]
) -> Characters:
    """The characters at the peaks of a window's maps, in pixels of the picture."""
    heat = maps[HEAT]
    around = np.pad(heat, 1, constant_values=-np.inf)
    high, wide = heat.shape
    best = np.max([around[i : i + high, j : j + wide] for i in range(3) for j in range(3)], 0)
    row, column = np.nonzero((heat >= best) & (heat > math.log(SUSPECTED / (1 - SUSPECTED))))
    said = maps[:, row, column]
    em = UNIT * np.exp(said[EM].clip(-3, 3))
    x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
    at_x, at_y = x + said[OFF_X] * em, y + said[OFF_Y] * em
    length = np.maximum(np.hypot(said[COS], said[SIN]), 1e-6)
    kinds = np.exp(said[FIELDS:].T - said[FIELDS:].T.max(1, keepdims=True))
    kinds[:, OTHER] *= OTHERS
    good = (em >= SIZES[0]) & (em <= SIZES[1]) & (x < size[1]) & (y < size[0])
    good &= (at_x >= inner[0]) & (at_y >= inner[1]) & (at_x < inner[2]) & (at_y < inner[3])
    values = (
        (at_x + left) / scale, (at_y + top) / scale, em / scale, em * np.exp(said[WIDTH].clip(-3, 2)) / scale,
        said[COS] / length, said[SIN] / length, (x + said[NEXT_X] * em + left) / scale,
        (y + said[NEXT_Y] * em + top) / scale, *(1 / (1 + np.exp(-said[one])) for one in (LINKED, STRUCK, HEAT)),
        kinds / kinds.sum(1, keepdims=True), np.full(len(em), scale),
    )  # fmt: skip
    found = Characters._make([value.astype(np.float32) for value in values])
    return found.of(good)


def together(found: Sequence[Characters]) -> Characters:
    """Join the characters of several windows."""
    none = [np.zeros((0, len(CHARACTERS)) if name == "kinds" else 0, np.float32) for name in Characters._fields]
    return Characters._make([np.concatenate(values) for values in zip(none, *found, strict=True)])


def distinct(found: Sequence[Characters]) -> Characters:
    """Each character once, however many windows and copies show it.

    Of several finds of a character, the most probable one is kept. The probability is weighed by how well the network
    sees the character's size, and a find that counts comes before any other. Characters that are only the ink of a sign
    (`are_of_signs`) are left out.
    """
    every = together(found)
    worth = every.seen * np.interp(every.em * every.scale, *WORTH)
    every = every.of(np.lexsort((-worth, every.seen < SEEN)))
    kept: list[int] = []
    rest = np.arange(len(every.x))
    while len(rest):
        kept.append(int(rest[0]))
        x, y, em = (values[rest[0]] for values in (every.x, every.y, every.em))
        apart, others = np.hypot(every.x[rest] - x, every.y[rest] - y), every.em[rest]
        smaller, larger = np.minimum(others, em), np.maximum(others, em)
        alike = apart < np.maximum(SAME * smaller, INSIDE * larger)
        rest = rest[~(alike | ((apart < WITHIN * larger) & (larger > ALIKE * smaller)))]
    characters = every.of(kept)
    return characters.of(~are_of_signs(characters))


def are_of_signs(characters: Characters) -> NDArray[np.bool_]:
    """Which characters are only the ink of a sign that stands above or below the middle of its line, `[N]`. In a larger
    copy, a comma may pass for a 1."""
    x, y, em = characters.x, characters.y, characters.em
    shifts = np.zeros(len(CHARACTERS), np.float32)
    for sign, shift in SHIFTED:
        shifts[CHARACTERS.index(sign)] = shift
    shift = shifts[characters.kinds.argmax(1)] * em
    signs = np.flatnonzero((shift != 0) & (characters.seen >= SEEN))
    at_x, at_y = x - shift * characters.sin, y + shift * characters.cos
    apart = np.hypot(x[:, None] - at_x[signs], y[:, None] - at_y[signs])
    found: NDArray[np.bool_] = ((apart < WITHIN * em[signs]) & (em[signs] > ALIKE * em[:, None])).any(1)
    return found


def numbers_of(characters: Characters) -> Iterator[Found]:
    """The numbers that characters make."""
    return with_beside(chains_of(characters), characters)


def chains_of(characters: Characters) -> Iterator[Found]:
    """Numbers from characters that point at each other. What stands beside a number is not looked at."""
    (x, y, em, _, cos, sin, *_), count = characters, len(characters.x)
    sure = characters.seen >= SEEN
    pairs: list[tuple[float, int, int]] = []
    for i in np.flatnonzero((characters.linked > 0.5) & sure).tolist():
        apart, right, below = np.hypot(x - characters.next_x[i], y - characters.next_y[i]) / em[i], x - x[i], y - y[i]
        good = sure & (em < ALIKE * em[i]) & (em[i] < ALIKE * em) & (apart < ASTRAY)
        good &= right * cos[i] + below * sin[i] >= TURNED * np.hypot(right, below)
        good[i] = False
        pairs += [(float(apart[j]), i, j) for j in np.flatnonzero(good).tolist()]
    following, before = [-1] * count, [-1] * count
    for _, i, j in sorted(pairs):
        if following[i] < 0 and before[j] < 0 and not leads(following, j, i):
            following[i], before[j] = j, i
    for first in range(count):
        if before[first] < 0 and sure[first]:
            chain, i = [], first
            while i >= 0:
                chain.append(i)
                i = following[i]
            line = characters.of(chain)
            for part in parted(line):
                yield found_of(line.of(part), np.array(chain)[part])


def apart(found: Iterable[Found]) -> list[Found]:
    """Leave out each number whose middle lies within another number that counts more: it is part of that number's
    strokes."""
    every = sorted(found, key=lambda one: -one.weight)
    corners = np.array([one.corners for one in every]).reshape(-1, 4, 2)
    sides, middles = corners[:, [1, 3]] - corners[:, :1], corners.mean(1)
    kept: list[int] = []
    for i, middle in enumerate(middles):
        shares = np.einsum("nsd,nd->ns", sides[kept], middle - corners[kept, 0]) / (sides[kept] ** 2).sum(2)
        if not ((shares > 0) & (shares < 1)).all(1).any():
            kept.append(i)
    return [every[i] for i in kept]


def parted(line: Characters) -> Iterator[slice]:
    """The parts of a chain of characters that are numbers. A chain is parted where a word begins or ends, and where a
    gap is far wider than the others. One or two digits belong to a word if they are as near to it as its letters are to
    each other."""
    kinds = line.kinds.argmax(1)
    letters = kinds == OTHER
    apart, em = np.hypot(np.diff(line.x), np.diff(line.y)), np.minimum(line.em[1:], line.em[:-1])
    gaps = (apart - (line.width[1:] + line.width[:-1]) / 2) / em
    starts, close = [0], [False]
    for i, gap in enumerate(gaps.tolist()):
        rest = np.delete(gaps, i)
        usual = max(float(np.median(rest)), 0.0) if len(rest) > 1 else math.inf
        is_wide = gap > (WIDE_GAP + WIDER * usual) * line.linked[i] and not may_part_thousands(kinds, i + 1)
        word = np.append(letters[i::-1] if letters[i] else letters[i + 1 :], False).argmin()
        is_word = letters[i] != letters[i + 1] and (gap > WORD_GAP or word >= A_WORD)
        if is_wide or is_word:
            starts.append(i + 1)
            close.append(bool(is_word and gap < WORD_GAP))
    for (start, end), near in zip(pairwise([*starts, len(line.x)]), np.add(close, [*close[1:], False]), strict=True):
        digits = int(line.are_digits[start:end].sum())
        if digits > letters[start:end].sum() and not (near and digits < OF_A_WORD):
            yield slice(start, end)


def may_part_thousands(kinds: NDArray[np.int64], place: int) -> bool:
    """Whether the gap before a place in a chain may separate thousands: one to three digits stand before the gap, and
    groups of three behind it."""
    return place <= THOUSANDS and (len(kinds) - place) % THOUSANDS == 0 and bool((kinds < DIGITS).all())


def surest(sight: Sight) -> list[Found]:
    """The most probable digit as a number, for a picture without a sure digit. Empty if no character may be a digit."""
    digits = np.flatnonzero(sight.characters.are_digits)
    best = digits[sight.characters.seen[digits].argmax()] if len(digits) else 0
    return [found_of(sight.characters.of([best]), np.array([best]))] if len(digits) else []


def with_beside(numbers: Iterable[Found], characters: Characters) -> Iterator[Found]:
    """Mark the numbers that other characters of their picture make suspect."""
    signs = characters.are_signs
    may_be = signs | (characters.seen >= SEEN)
    for number in numbers:
        (x, y), reach = number.corners.mean(0), float(np.ptp(number.corners, 0).sum()) / 2
        far = (BEHIND + OFF) * ALIKE * number.em  # `has_beside` looks no further
        near = may_be & (np.hypot(characters.x - x, characters.y - y) < reach + far + characters.width)
        near[number.places] = False
        beside, are_signs = characters.of(near), signs[near]
        yield replace(number, suspect=has_beside(number, beside.of(are_signs), beside.of(~are_signs)))


def has_beside(number: Found, signs: Characters, others: Characters) -> bool:
    """Whether a sign or another character beside a number may change what the number means.

    A sign before, among or behind the digits may change it, unless the sign only starts or ends the number (`STARTS`,
    `ENDS`). A sign ends a number only if no other character follows. Any other character may change it if it is so near
    that it may belong to the number.
    """
    digits, (x, y) = number.characters.of(number.characters.are_digits), number.corners.mean(0).tolist()
    cosine, sine, em = math.cos(number.angle), math.sin(number.angle), number.em

    def placed(some: Characters) -> tuple[Floats, NDArray[np.bool_], Floats]:
        """For characters around the number: how far along its line they stand, from its middle; which of them are on
        the line; and the larger of the heights of the character and the number."""
        right, below, larger = some.x - x, some.y - y, np.maximum(some.em, em)
        alike = larger < ALIKE * np.minimum(some.em, em)
        return right * cosine + below * sine, alike & (np.abs(below * cosine - right * sine) < OFF * larger), larger

    (at, near, high), (on, there, tall), (own, _, _) = placed(signs), placed(others), placed(digits)
    half, kinds = float(np.ptp(number.corners @ (cosine, sine))) / 2, signs.kinds.argmax(1)
    near &= np.abs(at) < half + BEFORE * high
    goes_on = bool((there & (on > half) & (on < half + BEHIND * tall)).any())
    close = there & (np.abs(on) - others.width / 2 < half + CLOSE * tall)
    harmless = np.isin(kinds, [CHARACTERS.index(one) for one in STARTS]) & (at < own[0])
    if not goes_on:
        harmless |= np.isin(kinds, [CHARACTERS.index(one) for one in ENDS]) & (at > own[-1])
    return bool((near & ~harmless).any() or close.any())


def leads(following: list[int], start: int, end: int) -> bool:
    """Whether the character `end` follows from the character `start`."""
    while start >= 0:
        if start == end:
            return True
        start = following[start]
    return False


def found_of(line: Characters, places: NDArray[np.int64], angle: float | None = None) -> Found:
    """The number that these characters make, with its corners. `angle` is the angle of its line, if it is known."""
    told, digit = angle is not None, line.are_digits
    angle = math.atan2(float(line.sin.sum()), float(line.cos.sum())) if angle is None else angle
    digits = line.of(digit)
    if len(digits.x) > 1 and not told:  # a line through the digits' middles is better known than the direction of each
        angle = math.atan2(float(digits.y[-1] - digits.y[0]), float(digits.x[-1] - digits.x[0]))
    em = float(np.median(digits.em))
    cosine, sine = math.cos(angle), math.sin(angle)
    u, v = line.x * cosine + line.y * sine, line.y * cosine - line.x * sine
    left, right = float((u - line.width / 2).min()), float((u + line.width / 2).max())
    top, bottom = float((v - line.em / 2)[digit].min()), float((v + line.em / 2)[digit].max())
    room = FRAME * em
    corners = [
        (left - room, top - room),
        (right + room, top - room),
        (right + room, bottom + room),
        (left - room, bottom + room),
    ]
    return Found(
        line, places, np.array([(a * cosine - b * sine, a * sine + b * cosine) for a, b in corners]), angle, em
    )


def follows(last: Found, one: Found, apart: float = APART) -> bool:
    """Whether `one` continues `last`, with a gap of at most `apart`, in digit heights."""
    along, down = (math.cos(last.angle), math.sin(last.angle)), (-math.sin(last.angle), math.cos(last.angle))
    gap = float((one.corners @ along).min() - (last.corners @ along).max())
    off = abs(float((one.corners.mean(0) - last.corners.mean(0)) @ down))
    em = max(one.em, last.em)
    return -0.3 * em < gap < apart * em and off < LEVEL * em and em < ALIKE * min(one.em, last.em)


def are_thousands(last: Found, one: Found, apart: float = THOUSANDS_APART[0]) -> bool:
    """Whether two numbers are the thousands and the rest of one number, with a gap of at most `apart`."""
    are_digits = all(len(each.digits) == len(each.characters.x) for each in (last, one))
    return are_digits and len(last.digits) <= THOUSANDS == len(one.digits) and follows(last, one, apart)


def doubted(found: list[Found]) -> list[Found]:
    """Mark two neighbours as suspect if they may be the thousands and the rest of one number."""
    pairs = {i for i, (last, one) in enumerate(pairwise(found)) if are_thousands(last, one, THOUSANDS_APART[1])}
    return [replace(one, suspect=True) if {i - 1, i} & pairs else one for i, one in enumerate(found)]


def joined(found: Sequence[Found], every: Characters, are_one: Callable[[Found, Found], bool] = follows) -> list[Found]:
    """Join neighbours that are one number. By default, neighbours on one line are joined if the gap is not too wide for
    digits of one number; `are_one` can decide otherwise. `every` has all characters of the picture."""
    rest: list[Found] = []
    for one in found:  # in reading order
        last = rest[-1] if rest else None
        if last is not None and are_one(last, one):
            characters = together([last.characters, one.characters])
            rest[-1] = next(with_beside([found_of(characters, np.concatenate([last.places, one.places]))], every))
        else:
            rest.append(one)
    return rest


def in_order(found: list[Found]) -> list[Found]:
    """Sort numbers in reading order: row by row, and along each row. Rows run in the direction of most numbers, so one
    turned number does not change the order of the others."""
    if not found:
        return []
    angles = np.array([one.angle for one in found])
    apart = [np.abs(np.remainder(angle - angles + math.pi, 2 * math.pi) - math.pi).sum() for angle in angles]
    middle = np.lexsort((np.abs(angles), np.round(apart, 4)))[0]  # the median direction; of two, the upright one
    angle = float(angles[middle])
    middles = np.array([one.corners.mean(0) for one in found])
    along = middles @ (math.cos(angle), math.sin(angle))
    down = middles @ (-math.sin(angle), math.cos(angle))
    rows: list[list[int]] = []
    for i in np.argsort(down, kind="stable").tolist():
        row = rows[-1] if rows else []
        if row and abs(down[i] - np.mean(down[row])) < ON_LINE * min(found[i].em, found[row[-1]].em):
            row.append(i)
        else:
            rows.append([i])
    return [found[i] for row in rows for i in sorted(row, key=lambda i: float(along[i]))]


# A number as a strip.


class Cut(NamedTuple):
    """A number cut out along its line. Pictures are float32 `[h, w]` in [0, 1], light ink on dark ground.

    Attributes:
        image: The picture with all ink.
        alone: The picture without other characters beside the number.
        bare: The picture with only what the finder takes for the number's ink.
        dark: Whether the ink was darker than the ground.
        digits: The columns of each of the digits. Empty if the picture has no ink.
    """

    image: Floats
    alone: Floats
    bare: Floats
    dark: bool
    digits: tuple[slice, ...] = ()


def cut(sight: Sight, found: Found) -> Cut:
    """Cut a number out of a picture: upright, evenly lit, and without the ink of other characters."""
    along, down = (
        np.array([math.cos(found.angle), math.sin(found.angle)]),
        np.array([-math.sin(found.angle), math.cos(found.angle)]),
    )
    across, height = found.corners @ along, found.corners @ down
    tall = float(np.ptp(height)) + 2 * BEYOND * found.em
    left, top = float(across.min()) - BEYOND * found.em, float(height.mean()) - tall / 2
    wide = float(np.ptp(across)) + 2 * BEYOND * found.em
    step = max(found.em / EM_CUT, 0.5)
    size = max(8, round(tall / step)), max(8, round(wide / step))
    origin = along * left + down * top
    matrix = np.column_stack([along * step, down * step, origin])
    grey, ink = warped(sight.grey, matrix, size), warped(sight.ink, matrix * sight.scale, size)
    room = round(BEYOND * found.em / step)
    inner = np.zeros(size, bool)
    within_it = tuple(slice(min(room, side - 1), max(room + 1, side - room)) for side in size)
    inner[within_it] = True  # all ink between the corners, and ink that reaches out
    own, bare = (spread(ink > least, 2 * NEARBY + 1) for least in (REACHING, np.where(inner, INKED, REACHING)))
    own |= inner
    others = sight.characters
    apart = np.hypot(others.x - found.corners[:, 0].mean(), others.y - found.corners[:, 1].mean())
    near = (apart < (wide + tall) / 2 + others.em) & (others.seen >= SEEN)
    near[found.places] = False
    without(own, others.of(near), np.linalg.inv(np.vstack([matrix, [0, 0, 1]])))
    bare &= own
    light, dark = evened(grey, bare if bare.any() else own, ink, inner)
    light *= within(sight.grey.shape, matrix, size)
    alone, only = light * own, light * bare
    rows, columns = (np.flatnonzero((alone > SOLID).any(axis)) for axis in (1, 0))
    if not len(rows):
        return Cut(light, alone, only, dark)
    room = max(1, round(MARGIN * EM_CUT))
    part = tuple(slice(max(0, int(side[0]) - room), int(side[-1]) + 1 + room) for side in (rows, columns))
    line = found.characters.of(found.characters.are_digits)
    middles = (line.x * along[0] + line.y * along[1] - left) / step - part[1].start
    digits = [
        slice(max(0, round(middle - half)), max(1, round(middle + half)))
        for middle, half in zip(middles.tolist(), (0.5 * line.width / step + 1).tolist(), strict=True)
    ]
    whole, alone, only = (np.ascontiguousarray(one[part]) for one in (light, alone, only))
    return Cut(whole, alone, only, dark, tuple(digits))


def without(own: NDArray[np.bool_], characters: Characters, near: NDArray[np.float64]) -> None:
    """Clear the places of other characters in the mask `own`. `near` maps the picture to the cut."""
    step = float(np.hypot(near[0, 0], near[1, 0]))
    for x, y, em, width in zip(characters.x, characters.y, characters.em, characters.width, strict=True):
        column, row, _ = near @ (x, y, 1)
        half, high = 0.5 * float(width) * step + 1, 0.55 * float(em) * step  # the edge of a stroke is a pixel wide
        own[
            max(0, int(row - high)) : max(0, int(row + high)),
            max(0, int(column - half)) : max(0, math.ceil(column + half)),
        ] = False


def evened(grey: Floats, own: NDArray[np.bool_], ink: Floats, inner: NDArray[np.bool_]) -> tuple[Floats, bool]:
    """The ink of a cut, from 0 on the ground to 1, and whether it is darker than the ground.

    Args:
        grey: The cut.
        own: Which pixels belong to the strokes.
        ink: How probably each pixel is ink of a number.
        inner: Which pixels lie between the corners.
    """
    few = max(SURELY_NONE, float(np.median(ink[inner])))  # inside frames, the whole ground looks a little like ink
    ground, stroke = float(np.median(grey[inner & (ink <= few)])), float(np.average(grey, weights=ink**2 + LEAST_INK))
    clear = ~spread(ink > few, 3) & (np.abs(grey - ground) < abs(ground - stroke) / 2 + LEAST_CONTRAST)
    apart, dark = plane_of(grey, clear if clear.sum() >= LEAST_GROUND else ~own) - grey, stroke <= ground
    light = apart if dark else -apart
    strokes = light[own]
    strokes = strokes[strokes > float(np.quantile(strokes, FULL)) / 2] if own.any() else strokes
    contrast = max(float(np.median(strokes)) if len(strokes) else 0.0, LEAST_CONTRAST)
    return (light / contrast).clip(0, 1).astype(np.float32), dark


def warped(picture: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    """A picture, in [0, 1], under a map from the result's (column, row) to the picture's (x, y). Beyond the picture,
    its edges are repeated."""
    step = math.hypot(matrix[0, 0], matrix[1, 0])
    high, wide = size
    corners = matrix @ [[0, wide, 0, wide], [0, 0, high, high], [1, 1, 1, 1]]
    low = np.floor(corners.min(1)).astype(int).clip(0, (picture.shape[1] - 1, picture.shape[0] - 1)) - 2
    end = np.ceil(corners.max(1)).astype(int) + 3
    left, top = (max(0, int(side)) for side in low)
    picture = in_unit(picture[top : max(top + 1, int(end[1])), left : max(left + 1, int(end[0]))])
    matrix = matrix - [[0, 0, left], [0, 0, top]]
    if step > 2:  # reduce first, so that thin strokes are not lost between pixels
        factor = min(int(step), *picture.shape)
        picture, matrix = np.asarray(Image.fromarray(picture).reduce(factor)), matrix / factor
    rows = max(1, AT_ONCE // wide)
    parts = [bilinear(picture, matrix, range(start, min(start + rows, high)), wide) for start in range(0, high, rows)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def bilinear(picture: Floats, matrix: NDArray[np.float64], rows: range, wide: int) -> Floats:
    """Some rows of the result of `warped`. Each pixel is interpolated from four pixels of the picture."""
    x, y = np.arange(wide) + 0.5, np.arange(rows.start, rows.stop)[:, None] + 0.5
    at_x, at_y = (matrix[i, 0] * x + matrix[i, 1] * y + matrix[i, 2] - 0.5 for i in (0, 1))
    at_x, at_y = at_x.clip(0, picture.shape[1] - 1.001), at_y.clip(0, picture.shape[0] - 1.001)
    column, row = at_x.astype(np.int64), at_y.astype(np.int64)
    a, b = (at_x - column).astype(np.float32), (at_y - row).astype(np.float32)
    to_column, to_row = (
        np.minimum(at + 1, side - 1) for at, side in ((column, picture.shape[1]), (row, picture.shape[0]))
    )
    upper = picture[row, column] * (1 - a) + picture[row, to_column] * a
    lower = picture[to_row, column] * (1 - a) + picture[to_row, to_column] * a
    result: Floats = upper * (1 - b) + lower * b
    return result


def within(shape: tuple[int, ...], matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels of a map's result lie within a picture of this shape, `[h, w]`."""
    x, y = np.arange(size[1]) + 0.5, np.arange(size[0])[:, None] + 0.5
    right, down = (row[0] * x + row[1] * y + row[2] for row in matrix)
    inside: NDArray[np.bool_] = (right >= 0) & (right <= shape[1]) & (down >= 0) & (down <= shape[0])
    return inside

"""Characters that are put somewhere by hand, and what a perfect finder says of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.inference import finder
from sumnist.inference.alphabet import CHARACTERS
from sumnist.inference.finder import Characters, Finder, Found, Sight, numbers_of

Floats = NDArray[np.float32]

PITCH, BROAD = 0.8, dict.fromkeys("-.,'/:", 0.3)
"""From one middle to the next, and how wide signs are, by the height of a digit; others are `WIDE`."""
WIDE = 0.6


class Character(NamedTuple):
    """A character in pixels of a picture, as the rows of `data/scenes` have it: its middle, the height of a digit, its
    width, the angle of its line, which of `CHARACTERS` it is, the place of the next one or −1, struck out or not."""

    x: float
    y: float
    em: float
    width: float
    angle: float
    kind: int
    following: int = -1
    struck: float = 0.0


def written(
    text: str, x: float, y: float, em: float, angle: float = 0.0, first: int = 0, struck: float = 0.0
) -> list[Character]:
    """A line of characters, whose first one has its middle at (x, y); `first`: its place among all."""
    ways = PITCH * em * math.cos(angle), PITCH * em * math.sin(angle)
    return [
        Character(x + i * ways[0], y + i * ways[1], em, BROAD.get(one, WIDE) * em, angle, CHARACTERS.index(one),
                  first + i + 1 if i + 1 < len(text) else -1, struck)
        for i, one in enumerate(text)
    ]  # fmt: skip


def maps_of(characters: Sequence[Character], owner: NDArray[np.int64]) -> Floats:
    """What a perfect network says of them, `[33, h, w]`, given which of them each place of 4×4 pixels speaks for; what
    it says for −1 is nonsense."""
    maps = np.full((finder.FIELDS + len(CHARACTERS), *owner.shape), 0.5, np.float32)
    maps[finder.HEAT] = -12
    for row, column in np.argwhere(owner >= 0).tolist():
        one = characters[owner[row, column]]
        x, y = 4 * column + 2, 4 * row + 2
        after = characters[one.following] if one.following >= 0 else one
        here = int(one.x // 4) == column and int(one.y // 4) == row
        maps[: finder.FIELDS, row, column] = (
            12 if here else -12, math.log(one.em / 16), math.log(one.width / one.em), (one.x - x) / one.em,
            (one.y - y) / one.em, math.cos(one.angle), math.sin(one.angle), (after.x - x) / one.em,
            (after.y - y) / one.em, 12 if one.following >= 0 else -12, 24 * one.struck - 12,
        )  # fmt: skip
        maps[finder.FIELDS :, row, column] = np.where(np.arange(len(CHARACTERS)) == one.kind, 15, 0)
    return maps


def nearest(characters: Sequence[Character], high: int, wide: int) -> NDArray[np.int64]:
    """Which character is nearest to each place of 4×4 pixels of a picture, but that of a middle is its own."""
    row, column = np.mgrid[: high // 4, : wide // 4] * 4 + 2
    if not characters:
        return np.full(row.shape, -1)
    owner: NDArray[np.int64] = np.argmin([np.hypot(one.x - column, one.y - row) for one in characters], 0)
    for place, one in enumerate(characters):
        if 0 <= one.x < wide and 0 <= one.y < high:
            owner[int(one.y // 4), int(one.x // 4)] = place
    return owner


def turned(characters: Sequence[Character], wide: int) -> list[Character]:
    """Where they are on a picture so wide after a quarter turn against the clock."""
    return [one._replace(x=one.y, y=wide - one.x, angle=one.angle - math.pi / 2) for one in characters]


class Perfect(Finder):
    """A finder whose network sees the characters of a picture in each part that it is shown, if they are large enough
    there, and takes what is dark for their ink."""

    def __init__(self, characters: Sequence[Character]) -> None:
        self.characters = self.now = [*characters]
        self.views = list[tuple[float, float, float]]()
        self.frames: list[tuple[NDArray[Any], list[Character]]] = []

    def through(self, grey: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int]) -> Sight:
        near, step = np.linalg.inv(np.vstack([matrix, [0, 0, 1]])), math.hypot(*matrix[:, 0])
        angle = math.atan2(matrix[1, 0], matrix[0, 0])
        before = next((characters for other, characters in self.frames if other is grey), self.characters)
        self.now = []
        for one in before:
            x, y, _ = near @ (one.x, one.y, 1)
            em, width = one.em / step, one.width / step
            self.now.append(one._replace(x=x, y=y, em=em, width=width, angle=one.angle - angle))
        sight = super().through(grey, matrix, size)
        self.frames.append((sight.grey, self.now))
        return sight

    def windows(
        self, picture: NDArray[Any], scale: float, found: Characters, ink: NDArray[np.uint8]
    ) -> Iterator[tuple[slice, slice]]:
        for rows, columns in super().windows(picture, scale, found, ink):
            self.views.append((columns.start, rows.start, scale))
            yield rows, columns

    def answer(self, pictures: Floats) -> tuple[Floats, Floats]:
        views, self.views = self.views[: len(pictures)], self.views[len(pictures) :]
        return np.stack([self.maps(*view, *pictures.shape[1:]) for view in views]), np.where(pictures < 0.5, 9, -9)[
            :, None
        ]

    def maps(self, left: float, top: float, scale: float, high: int, wide: int) -> Floats:
        """Those of a part of the picture."""
        moved = [
            one._replace(x=one.x * scale - left, y=one.y * scale - top, em=one.em * scale, width=one.width * scale)
            for one in self.now
        ]
        seen = [place for place, one in enumerate(moved) if finder.SIZES[0] <= one.em <= finder.SIZES[1]]
        some = nearest([moved[place] for place in seen], high, wide)
        return maps_of(moved, np.where(some >= 0, np.array([*seen, -1])[some], -1))


def seen(characters: Sequence[Character]) -> Characters:
    """Characters as a finder has them."""
    (x, y, em, width, angle, kind, following, struck) = np.array(characters, float).reshape(-1, 8).T
    after = np.where(following >= 0, following, np.arange(len(x))).astype(int)
    values = (
        x, y, em, width, np.cos(angle), np.sin(angle), x[after], y[after], following >= 0, struck, np.ones(len(x)),
        0.999 * np.eye(len(CHARACTERS))[kind.astype(int)] + 0.001 / len(CHARACTERS), np.ones(len(x)),
    )  # fmt: skip
    return Characters(*(value.astype(np.float32) for value in values))


def several(*lines: tuple[Any, ...]) -> tuple[list[Found], Characters]:
    """The numbers that were found where these lines, each as `written` takes it, stand, and all characters."""
    characters = list[Character]()
    for line in lines:
        text, x, y, em, angle = (*line, 0.0)[:5]
        characters += written(text, x, y, em, angle, len(characters))
    every = seen(characters)
    return [*numbers_of(every)], every


def number(text: str, x: float = 50, y: float = 50, em: float = 40, angle: float = 0.0, struck: float = 0.0) -> Found:
    """A number that was found alone."""
    (found,) = numbers_of(seen(written(text, x, y, em, angle, struck=struck)))
    return found


class Finding:
    """Finds the same on every picture, and counts how often it is asked."""

    def __init__(self, *found: Found, sight: Sight | None = None) -> None:
        self.found, self.sight, self.asked = [*found], sight, 0

    def __call__(self, grey: NDArray[Any]) -> tuple[list[Found], Sight]:
        self.asked += 1
        return self.found, self.sight or Sight(grey, ((grey < 0.5) * 255).astype(np.uint8), 1.0, seen([]))

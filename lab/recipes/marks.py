"""Draw marks that are not digits, as paths of a pen: fillers of cells that stay empty, and crossings of written cells.

A path is float64 `[N, 2]`: points (x, y) in pixels, y pointing down. An area is left, right, top and bottom. The
constants in each function are shares of half the area's width and height, and angles in radians. We chose them by
looking at many marks. A crossing covers the area of the ink that it crosses out. It also reaches beyond the strokes
that belong to digits: the bar of a 7 and the slash of a 0 are shorter.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Path = NDArray[np.float64]
Area = tuple[float, float, float, float]
Random = np.random.Generator
Mark = Callable[[float, float, float, float, Random], list[Path]]
"""A function of the middle (x, y) of an area, half its width and height, and a random generator; it returns paths."""

POINTS = 5
"""Points of an almost straight stroke."""
BOW, SHAKE = 0.05, 0.012
"""Standard deviations, relative to the length of a stroke. `BOW`: of its bow. `SHAKE`: of the shake of each of its
points."""
LEAST = 6.0
"""Least width or height of an area, in pixels (2 mm). A smaller area, such as that of a 1, counts as so large."""


def stroke(x: float, y: float, to_x: float, to_y: float, random: Random) -> Path:
    """An almost straight stroke."""
    along = np.linspace(0, 1, POINTS)
    ends = np.array([[x, y], [to_x, to_y]])
    length = float(np.hypot(*(ends[1] - ends[0])))
    normal = np.array([ends[0, 1] - ends[1, 1], ends[1, 0] - ends[0, 0]]) / max(length, 1e-6)
    bow = random.normal(0, BOW) * length * 4 * along * (1 - along)
    path: Path = ends[0] + along[:, None] * (ends[1] - ends[0]) + bow[:, None] * normal
    return path + random.normal(0, SHAKE * length, path.shape)


def at_angle(x: float, y: float, angle: float, half: float, random: Random) -> Path:
    """A stroke with its middle at (x, y) and `half` pixels to either end, rising by `angle` radians."""
    across, up = np.cos(angle) * half, np.sin(angle) * half
    return stroke(x - across, y + up, x + across, y - up, random)


# Fillers of an area: a box, or a part of a strip.


def cross(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """An X, or a small ×."""
    size = random.uniform(0.25, 1.05)
    wide, high = min(wide, high * 1.2) * size * random.uniform(0.75, 1.1), high * size * random.uniform(0.75, 1.1)
    turn = random.normal(0, 0.12)
    angles = np.arctan2(high, wide) + turn, np.pi - np.arctan2(high, wide) + turn
    lengths = np.hypot(wide, high) * random.uniform(0.8, 1.15, 2)
    offsets = random.normal(0, 0.08 * np.hypot(wide, high), (2, 2))
    return [
        at_angle(x + dx, y + dy, angle, length, random)
        for angle, length, (dx, dy) in zip(angles, lengths, offsets, strict=True)
    ]


def dash(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """A dash: –."""
    half = min(wide, 1.4 * high) * random.uniform(0.3, 1.05)
    return [at_angle(x, y + random.normal(0, 0.15) * high, random.normal(0.02, 0.12), half, random)]


def double_dash(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """A double dash: =."""
    apart = high * random.uniform(0.15, 0.4)
    (first,), angle = dash(x, y, wide, high, random), random.normal(0, 0.08)
    x, y = first.mean(0)
    half = float(np.ptp(first[:, 0])) / 2
    return [at_angle(x, y + sign * apart, angle, half * random.uniform(0.85, 1.1), random) for sign in (-1, 1)]


def slash(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """A / from corner to corner, unlike a 1; rarely two."""
    angle = np.arctan2(high, min(wide, 1.3 * high)) + random.normal(0, 0.08)
    half = np.hypot(min(wide, 1.3 * high), high) * random.uniform(0.75, 1.1)
    apart = random.uniform(0.25, 0.6) * min(wide, high)
    places = (-apart / 2, apart / 2) if random.random() < 0.12 else (0.0,)
    return [at_angle(x + place, y, angle + random.normal(0, 0.03), half, random) for place in places]


def backslash(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    r"""A \, of any size."""
    angle = np.pi - np.arctan2(high, min(wide, 1.3 * high)) + random.normal(0, 0.15)
    return [at_angle(x, y, angle, np.hypot(min(wide, high), high) * random.uniform(0.5, 1.1), random)]


def wave(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """A ~ of 0.8 to 3 periods."""
    half, periods = min(wide, 2.2 * high) * random.uniform(0.5, 1.0), random.uniform(0.8, 3)
    along = np.linspace(-1, 1, 24)
    swing = high * random.uniform(0.08, 0.35) * np.sin(along * np.pi * periods + random.uniform(0, 2 * np.pi))
    tilt = random.normal(0, 0.12)
    return [np.stack([x + along * half, y + random.normal(0, 0.1) * high + swing - tilt * along * half], 1)]


def dot(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """A dot of the pen."""
    place = np.array([x + random.normal(0, 0.2) * wide, y + random.normal(0.1, 0.25) * high])
    return [place + random.normal(0, 0.6, (4, 2))]


FILLERS: dict[Mark, float] = {
    cross: 0.34, dash: 0.26, double_dash: 0.04, slash: 0.16, backslash: 0.07, wave: 0.09, dot: 0.03,
}  # fmt: skip
"""Shares of the fillers."""


# Crossings. The area is that of the ink to cross out.


def one_line(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """One line, longer than a stroke of the digit."""
    narrow = wide < 0.55 * high
    wide, high = max(wide, LEAST / 2), max(high, LEAST / 2)
    diagonal = np.arctan2(high, wide)
    chance = random.random()
    if chance < 0.4 or narrow:
        angle = random.normal(0, 0.35 if narrow else 0.2)
    elif chance < 0.85:
        angle = (diagonal if random.random() < 0.67 else np.pi - diagonal) + random.normal(0, 0.15)
    else:
        angle = random.uniform(0, np.pi)
    across, up = max(abs(np.cos(angle)), 1e-3), max(abs(np.sin(angle)), 1e-3)
    half = max(min(wide / across, high / up) * random.uniform(1.1, 1.9), random.uniform(0.8, 1.15) * high)
    x, y = x + random.normal(0, 0.12) * wide, y + random.normal(0, 0.14) * high
    return [at_angle(x, y, angle, half, random)]


def lines(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """Two to five lines beside each other."""
    count, angle = int(random.integers(2, 6)), random.normal(*((0.1, 0.25) if random.random() < 0.5 else (0.8, 0.2)))
    half = max(wide, 0.5 * high) * random.uniform(0.95, 1.5)
    spread = np.linspace(-1, 1, count) * high * random.uniform(0.25, 0.85)
    return [
        at_angle(
            x + random.normal(0, 0.1) * half, y + place, angle + random.normal(0, 0.1), half * random.uniform(0.8, 1.1),
            random,
        )
        for place in spread
    ]  # fmt: skip


def crossed(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """An X over the ink."""
    wide, high = max(wide, 0.5 * high) * random.uniform(0.9, 1.5), high * random.uniform(0.7, 1.3)
    angle, half = np.arctan2(high, wide), np.hypot(wide, high)
    return [
        at_angle(
            x + random.normal(0, 0.12) * wide, y + random.normal(0, 0.12) * high, one + random.normal(0, 0.1),
            half * random.uniform(0.75, 1.1), random,
        )
        for one in (angle, np.pi - angle)
    ]  # fmt: skip


def zigzag(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """A zigzag from left to right or from top to bottom, sometimes so dense that all is black."""
    wide, high = max(wide, 0.45 * high) * random.uniform(0.9, 1.3), high * random.uniform(0.5, 1.15)
    turns = int(random.integers(4, 9)) if random.random() < 0.65 else int(random.integers(9, 18))
    along = np.linspace(-1, 1, turns + 1) + random.normal(0, 0.3 / turns, turns + 1)
    swing = np.where(np.arange(turns + 1) % 2, 1, -1) * random.uniform(0.7, 1.1, turns + 1)
    if random.random() < 0.5:
        along, swing = swing, along
    turn = random.normal(0, 0.3)
    path = np.stack([along * wide, swing * high], 1)
    cosine, sine = np.cos(turn), np.sin(turn)
    return [path @ np.array([[cosine, -sine], [sine, cosine]]) + (x, y)]


def loops(x: float, y: float, wide: float, high: float, random: Random) -> list[Path]:
    """Loops from side to side, or a tangle in one place."""
    wide, high = max(wide, 0.4 * high) * random.uniform(0.8, 1.2), high * random.uniform(0.5, 1.1)
    rounds = random.uniform(2.5, 6)
    t = np.linspace(0, 1, int(9 * rounds))
    loop = random.uniform(0.25, 0.9)
    drift = np.linspace(-1, 1, len(t)) * (1 - loop) * (1 if random.random() < 0.7 else -1)
    sizes = 1 + 0.12 * np.cumsum(random.normal(0, 0.6, len(t))) / np.sqrt(len(t))
    turn = 2 * np.pi * rounds * t + random.uniform(0, 2 * np.pi)
    return [np.stack([x + wide * (drift + loop * np.cos(turn) * sizes), y + high * np.sin(turn) * sizes], 1)]


CROSSINGS: dict[Mark, float] = {
    one_line: 0.38, lines: 0.16, crossed: 0.17, zigzag: 0.16, loops: 0.13,
}  # fmt: skip
"""Share of each way of crossing out."""


def mark(shares: dict[Mark, float], area: Area, random: Random) -> list[Path]:
    """A mark on the area, of a kind drawn by these shares."""
    left, right, top, bottom = area
    kind = [*shares][bisect([*accumulate(shares.values())], random.random() * sum(shares.values())) % len(shares)]
    return kind((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2, random)

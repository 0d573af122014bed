"""Digits that stand apart on a line, each cut out by itself: → images as MNIST's makers would have made them.

Where a digit stands is known by then, and what is its ink is plain if no component of the ink is under two digits. A
line is not cut through: pieces of digits that touch each other look like other digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sumnist.pictures.components import Components, components_of
from sumnist.pictures.decode import Grey
from sumnist.pictures.ink import SOLID
from sumnist.pictures.normalize import cropped, placed

__all__ = ["digits_apart"]

NEAR = 0.35
"""Of the line's height, or of the mean way from digit to digit if that is less: a component that is under no digit
belongs to the nearest one if it is so near to its middle, as the bar of a 5 does."""
LOWEST = 0.15
"""Of the line's height: what is lower is no digit, but a dash or a dot."""


def digits_apart(line: Grey, middles: NDArray[np.float64]) -> list[Grey | None]:
    """The image `[28, 28]` of each digit of a line; None of one that does not stand apart.

    Args:
        line: The picture of the line, `[h, w]` in [0, 1], light ink on dark ground.
        middles: The column of each digit's middle, in ascending order.
    """
    components = components_of(line >= SOLID, line)
    if not len(components):
        return [None] * len(middles)
    left, right = components.boxes[:, 2:].T
    away = np.maximum(np.maximum(left[:, None] - middles, middles - right[:, None]), 0)  # [components, digits]
    pitch = (middles[-1] - middles[0]) / (len(middles) - 1) if len(middles) > 1 else np.inf
    under = away == 0
    owners = np.where(away.min(1) <= NEAR * min(len(line), pitch), away.argmin(1), -1)
    owners[under.sum(1) > 1] = -1
    shared = under[under.sum(1) > 1].any(0)
    return [
        None if shared[digit] else image_of(line, components.kept(owners == digit)) for digit in range(len(middles))
    ]


def image_of(line: Grey, digit: Components) -> Grey | None:
    """The image of a digit by its components; None if they are none, or too low."""
    if not len(digit) or np.ptp(digit.boxes[:, :2]) < LOWEST * len(line):
        return None
    return placed(cropped(line, digit))

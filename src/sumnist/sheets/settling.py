"""A sheet that is not quite flat: how far its boxes are from where the corner tags say, by their own pale lines.

Each group of boxes is moved over the page until its lines lie best on what is printed: along the lines, the median of
the ink counts, so that what is written across them does not. Between groups, the shifts are averaged by distance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sumnist.sheets.homography import Floats
from sumnist.sheets.page import Page, Rectangle
from sumnist.sheets.registration import Registered, averaged

__all__ = ["settled"]

SCALE = 6.0
"""Pixels of a millimetre at which lines are looked for, 0.25 wide."""
REACH = 1.5
"""Millimetres by which a group may be off: boxes are 10 apart, and a row never lies on another one's lines."""
AROUND = 0.5
"""Millimetres on both sides of a line that are bare paper, as far as it goes."""
PALE = 0.3
"""Ink that counts at most: lines are paler, and what is written is darker."""
LEAST = 0.04
"""Ink of a line above that around it, on average over the lines of a group: with less, they are not seen."""
CLEAR = 0.7
"""Of the best place's ink, what any other place that is not beside it may have."""
SOLID, DASHED = 50, 80
"""Percentile of the ink along a line: half of a dashed one is bare."""
FLAT = 0.08
"""Millimetres by which half of the groups are off at least on a sheet that is not flat: two thirds of a pixel of a page
at 200 to an inch."""
APART = 0.6
"""Millimetres by which a group may differ from those around it: with more, something else was taken for its lines."""


def settled(sheet: Registered) -> Registered:
    """The sheet with its boxes where their lines are seen, by up to 1.5 mm from where its corner tags say; from where
    those around them are, if some are that far off. A flat sheet stays as it is: tags are placed better than lines."""
    once = nearer(sheet)
    if not len(once.shifts) or np.median(np.linalg.norm(once.shifts[:, 2:], axis=1)) < FLAT:
        return sheet
    far = np.abs(once.shifts[:, 2:]).max() > REACH / 2
    return nearer(once) if far else once


def nearer(sheet: Registered) -> Registered:
    """The sheet with its boxes where their lines are seen, by up to 1.5 mm from where they are now."""
    found = []
    for boxes, percentile in groups(sheet.page):
        middle, shift = middle_of(boxes), shift_of(sheet, boxes, percentile)
        if shift is not None:
            found.append([*middle, *(averaged(sheet.shifts, middle) + shift)])
    if not found:
        return sheet
    shifts = np.array(found)
    others = [averaged(np.delete(shifts, place, 0), shifts[place, :2]) for place in range(len(shifts))]
    agreeing = np.linalg.norm(shifts[:, 2:] - np.array(others), axis=1) <= APART
    return sheet.shifted(shifts[agreeing])


def groups(page: Page) -> Iterator[tuple[Sequence[Rectangle], int]]:
    """Boxes that stand in a row, and the percentile of the ink along their lines."""
    for place in (*page.places, *([page.identity] if page.identity else [])):
        yield place.boxes, SOLID
        yield place.correction, DASHED


def middle_of(boxes: Sequence[Rectangle]) -> Floats:
    """The middle of a row of boxes, `[2]`."""
    return np.array([boxes[0].x + boxes[-1].right, boxes[0].y + boxes[0].bottom]) / 2


def shift_of(sheet: Registered, boxes: Sequence[Rectangle], percentile: int) -> Floats | None:
    """By how many millimetres a row of boxes is moved to the right and down; None if its lines are not seen."""
    first, last = boxes[0], boxes[-1]
    area = Rectangle(first.x, first.y, last.right - first.x, first.height).grown(REACH + AROUND + 0.5)
    ink = np.minimum(sheet.ink(area, SCALE), PALE)
    columns = np.concatenate([part(box.x - area.x, box.width) for box in boxes])
    rows = part(first.y - area.y, first.height)
    edges = np.unique(np.round([[box.x - area.x, box.right - area.x] for box in boxes], 6))
    right = place_of(np.percentile(ink[rows], percentile, 0), edges)
    down = place_of(np.percentile(ink[:, columns], percentile, 1), np.array([first.y, first.bottom]) - area.y)
    return None if right is None or down is None else np.array([right, down])


def part(start: float, length: float) -> np.ndarray[tuple[int], np.dtype[np.int_]]:
    """Pixels of a stretch in millimetres, without its ends, which another line crosses."""
    return np.arange(round((start + 1) * SCALE), round((start + length - 1) * SCALE))


def place_of(profile: Floats, lines: Floats) -> float | None:
    """By how many millimetres parallel lines are moved, given where they should be and the ink along each place; None
    if they are not clearly seen."""
    ink = np.convolve(profile, np.ones(3) / 3, "same")
    by = np.arange(-round(REACH * SCALE), round(REACH * SCALE) + 1) / SCALE
    at = (lines[:, None] + by) * SCALE - 0.5

    def seen(places: Floats) -> Floats:
        return np.interp(places, np.arange(len(ink)), ink)

    around = (seen(at - AROUND * SCALE) + seen(at + AROUND * SCALE)) / 2
    score = (seen(at) - around).mean(0)
    best = int(score.argmax())
    elsewhere = score[np.abs(by - by[best]) > AROUND]
    if score[best] < LEAST or elsewhere.max(initial=0.0) > CLEAR * score[best] or best in (0, len(by) - 1):
        return None
    before, at_best, after = score[best - 1 : best + 2]
    return float(by[best] + (before - after) / (before - 2 * at_best + after) / 2 / SCALE)

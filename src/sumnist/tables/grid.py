"""Finds the rows and columns of a table, ruled or not, on a slanted or curled page, and puts characters into cells.

Numbers beside each other on a line, and below each other in a column, show how the page is bent. Two smooth maps
straighten it: u across and v down. Robust least squares give the middles of numbers on a line the same v, and the right
ends of numbers in a column the same u. Where many numbers have about the same v, there is a row. Columns are separated
where few numbers stand. Each character belongs to the row and the column where it stands, even if the finder joined it
to characters of other cells.

Printed lines run along u or v, much farther than strokes do. The program erases them where no ink crosses them, since a
network takes a piece of a line for a 1. Then the finder looks once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.inference.finder import CLEAR, OTHER, SEEN, Find, Found, Sight, enlarged, found_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Search:
    """The limits of the search for rows and columns. An em is the height of digits."""

    next: float = 12.0
    """The greatest distance to the next number on a line, in ems."""
    below: float = 6.0
    """The greatest distance to the number below, in ems."""
    slope: float = 0.1
    """How many pixels a line may rise or fall for each pixel to its next number."""
    on_line: float = 0.4
    """How far from its line the next number may be besides, in ems."""
    overlap: float = 0.3
    """If one number stands below another, they overlap by at least this share of the narrower one."""
    spread: float = 0.25
    """How far numbers stray from their line, in ems."""
    rounds: int = 8
    """How often iterations repeat their step."""
    bent: tuple[float, ...] = (0.1, 0.1, 0.03, 0.03, 0.03, 0.03)
    """The prior standard deviation of each term of a bend, relative to the page; it keeps a page with few numbers
    straight."""
    blur: float = 0.2
    """The standard deviation of the middles of numbers in a row, in ems."""
    apart: float = 0.6
    """The least distance of two rows, in ems."""
    off: float = 0.6
    """How far from the middle of its row a character may stand, in ems."""
    inset: float = 0.15
    """The margin inside the left and right edges of a cell, in ems."""
    tall: float = 0.7
    """How far a cell reaches up and down from the middle of its row, at most, in ems."""
    like: float = 1.6
    """The height of a number in a table differs from the usual height by less than this factor, up or down."""
    valley: float = 0.4
    """Two columns are separated at a place that few numbers cover: at most this share of the numbers in the shorter
    column."""
    looked_at: int = 1_600
    """A picture whose longer side has at least twice this many pixels is first looked at in a smaller copy."""
    fine: int = 20
    """Steps per digit height of the search for rows and columns."""


SEARCH = Search()


@dataclass(frozen=True)
class Bend:
    """A smooth map of a page's points to one coordinate.

    Attributes:
        axis: The axis of the coordinate: 0 is across, 1 is down.
        middle: The mean of the points that the map was fitted to, `[2]`. The map keeps the points of the line through
            it along the axis.
        scale: Half the greatest extent of these points, in pixels.
        weights: The weights of the terms, `[6]`.
    """

    axis: int
    middle: Floats
    scale: float
    weights: Floats

    def __call__(self, points: Floats) -> Floats:
        """The coordinate of points `[N, 2]`, in pixels, `[N]`."""
        found: Floats = points[:, self.axis] + self.scale * (self.terms(points) @ self.weights)
        return found

    def terms(self, points: Floats) -> Floats:
        """The terms of the map at points `[N, 2]`: polynomials that are zero where the map keeps points, `[N, 6]`."""
        both = (points - self.middle) / self.scale
        along, other = both[:, self.axis], both[:, 1 - self.axis]
        return np.stack([other, other * along, other**2, other**3, other * along**2, other**2 * along], 1)


def bend_of(points: Floats, pairs: Integers, axis: int, em: float) -> Bend:
    """The bend that gives both points of each pair the same coordinate. `pairs` `[P, 2]` are indices of points."""
    bend = Bend(axis, points.mean(0), max(float(np.ptp(points, 0).max()) / 2, em), np.zeros(6))
    terms, first, second = bend.terms(points), pairs[:, 0], pairs[:, 1]
    steps, apart = terms[second] - terms[first], (points[second] - points[first])[:, axis] / bend.scale
    ridge = np.diag((SEARCH.spread * em / bend.scale / np.array(SEARCH.bent)) ** 2)
    weights: Floats = bend.weights
    for _ in range(SEARCH.rounds):
        believed = 1 / (1 + ((apart + steps @ weights) * bend.scale / (SEARCH.spread * em)) ** 2)
        normal = steps.T @ (steps * believed[:, None]) + ridge
        weights = np.asarray(-np.linalg.solve(normal, steps.T @ (believed * apart)), np.float64)
    return Bend(axis, bend.middle, bend.scale, weights)


@dataclass(frozen=True)
class Grid:
    """The places of rows and columns.

    Attributes:
        em: The height of digits, in pixels.
        across: The map u.
        down: The map v.
        rows: v of the middle of each row, `[R]`.
        edges: u of the edges of the columns, `[C + 1]`.
    """

    em: float
    across: Bend
    down: Bend
    rows: Floats
    edges: Floats

    def places(self, points: Floats) -> tuple[Integers, Integers]:
        """The row and the column of each point `[N, 2]`; −1 for a point outside."""
        u, v = self.across(points), self.down(points)
        rows = np.abs(v[:, None] - self.rows).argmin(1)
        rows = np.where(np.abs(v - self.rows[rows]) < SEARCH.off * self.em, rows, -1)
        columns = np.searchsorted(self.edges, u) - 1
        return rows, np.where(columns < len(self.edges) - 1, columns, -1)

    def points(self, at: Floats) -> Floats:
        """The points `[N, 2]` with these u and v."""
        points = at.astype(np.float64).copy()
        for _ in range(SEARCH.rounds):
            points += at - np.stack([self.across(points), self.down(points)], 1)
        return points

    def room(self, row: int, column: int) -> Floats:
        """The corners of a cell, `[4, 2]`: at most half-way to the rows above and below, and just inside the edges of
        the column."""
        left, right = self.edges[column] + SEARCH.inset * self.em, self.edges[column + 1] - SEARCH.inset * self.em
        half = [SEARCH.tall * self.em] * 2
        for side, beside in enumerate((row - 1, row + 1)):
            if 0 <= beside < len(self.rows):
                half[side] = min(half[side], abs(self.rows[beside] - self.rows[row]) / 2)
        top, bottom = self.rows[row] - half[0], self.rows[row] + half[1]
        return self.points(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]))


def grid_of(found: Sequence[Found]) -> Grid | None:
    """The grid of numbers; None if there are none. Numbers with two or more digits determine the bend. All numbers of
    about the usual height determine the rows and columns."""
    several = [one for one in found if len(one.digits) > 1] or list(found)
    if not several:
        return None
    em = float(np.median([one.em for one in several]))
    middles, lefts, rights = sides_of(several)
    beside, below = neighbours(middles, lefts[:, 0], rights[:, 0], em)
    down, across = bend_of(middles, beside, 1, em), bend_of(rights, below, 0, em)
    middles, lefts, rights = sides_of([one for one in found if is_like(one, em)])
    return Grid(em, across, down, rows_of(down(middles), em), edges_of(across(lefts), across(rights), em))


def is_like(one: Found, em: float) -> bool:
    """Whether a number is about as high as the usual digits, `em` pixels."""
    return 1 / SEARCH.like < one.em / em < SEARCH.like


def sides_of(found: Sequence[Found]) -> tuple[Floats, Floats, Floats]:
    """The middles of numbers, and the middles of their left and right sides, `[N, 2]` each."""
    corners = np.array([one.corners for one in found])
    return corners.mean(1), corners[:, [0, 3]].mean(1), corners[:, 1:3].mean(1)


def neighbours(middles: Floats, lefts: Floats, rights: Floats, em: float) -> tuple[Integers, Integers]:
    """Pairs of numbers next to each other on a line, and pairs one below the other: indices, `[P, 2]` each."""
    x, y = (middles[None, :, axis] - middles[:, None, axis] for axis in (0, 1))
    common = np.minimum(rights, rights[:, None]) - np.maximum(lefts, lefts[:, None])
    narrower = np.minimum(rights - lefts, (rights - lefts)[:, None])
    pairs = []
    for good, far in (
        ((x > em / 2) & (np.abs(y) < SEARCH.slope * x + SEARCH.on_line * em) & (x < SEARCH.next * em), x),
        ((y > SEARCH.off * em) & (y < SEARCH.below * em) & (common > SEARCH.overlap * narrower), y),
    ):
        first = np.flatnonzero(good.any(1))
        pairs.append(np.stack([first, np.where(good, far, np.inf)[first].argmin(1)], 1).astype(np.int64))
    return pairs[0], pairs[1]


def rows_of(v: Floats, em: float) -> Floats:
    """The middles of rows: the peaks in the density of the middles of numbers."""
    at = np.arange(v.min() - em, v.max() + em, em / SEARCH.fine)
    many = np.exp(-0.5 * ((at[:, None] - v) / (SEARCH.blur * em)) ** 2).sum(1)
    tops = 1 + np.flatnonzero((many[1:-1] >= many[:-2]) & (many[1:-1] > many[2:]))
    kept: list[float] = []
    for place in at[tops[np.argsort(-many[tops])]].tolist():
        if all(abs(place - other) > SEARCH.apart * em for other in kept):
            kept.append(place)
    return np.array(sorted(kept))


def edges_of(lefts: Floats, rights: Floats, em: float) -> Floats:
    """The edges of columns: the places that the fewest numbers cover, if these are few enough (`SEARCH.valley`)."""
    at = np.arange(lefts.min() - em, rights.max() + em, em / SEARCH.fine)
    many = ((at[:, None] >= lefts) & (at[:, None] <= rights)).sum(1).astype(np.float64)
    near = np.hanning(SEARCH.fine)
    many = np.convolve(many, near / near.sum(), "same")
    tops = 1 + np.flatnonzero((many[1:-1] >= many[:-2]) & (many[1:-1] > many[2:]) & (many[1:-1] > 0.5))
    cuts = [first + int(many[first : last + 1].argmin()) for first, last in pairwise(tops)]
    heights = many[tops].tolist()
    while cuts:
        shares = [many[cut] / min(heights[place : place + 2]) for place, cut in enumerate(cuts)]
        worst = int(np.argmax(shares))
        if shares[worst] <= SEARCH.valley:
            break
        heights[worst] = max(heights[worst], heights.pop(worst + 1))
        cuts.pop(worst)
    return np.array([at[0], *(at[cut] for cut in cuts), at[-1]])


def cells_of(grid: Grid, sight: Sight) -> dict[tuple[int, int], Found]:
    """The number in each cell with a digit, by row and column. Other writing in the cell makes the number suspect."""
    characters = sight.characters
    points = np.stack([characters.x, characters.y], 1).astype(np.float64)
    rows, columns = grid.places(points)
    kinds, u = characters.kinds.argmax(1), grid.across(points)
    good = np.flatnonzero((characters.seen >= SEEN) & (rows >= 0) & (columns >= 0))
    good = good[np.lexsort((u[good], columns[good], rows[good]))]
    found = {}
    keys = rows[good] * len(grid.edges) + columns[good]
    for every in np.split(good, np.flatnonzero(np.diff(keys)) + 1):
        group = every[kinds[every] < OTHER]
        line = characters.of(group)
        if line.are_digits.any():
            place = int(rows[group[0]]), int(columns[group[0]])
            found[place] = replace(found_of(line, group), suspect=len(group) < len(every))
    return found


# Printed lines.


@dataclass(frozen=True)
class Ruling:
    """The limits of the search for printed lines, on a straightened page."""

    em: float = 16.0
    """The height of a digit on the straightened page, in pixels."""
    mesh: int = 64
    """The page is straightened in squares with sides of this many pixels."""
    broken: int = 3
    """The longest gap in a line, in pixels of the straightened page."""
    long: tuple[float, float] = (4.0, 2.5)
    """The least length of lines down and across, in ems."""
    wide: float = 0.25
    """The greatest width of a line, in ems."""
    faint: float = 0.4
    """The least darkness of a line, relative to ink."""
    ground: int = 32
    """The side, in pixels, of the squares in which the brightness of the ground is measured."""


RULING = Ruling()


def without_lines(grid: Grid, sight: Sight) -> NDArray[Any] | None:
    """The picture with its printed lines erased; None if it has none."""
    grey, scale = sight.grey, RULING.em / grid.em
    if grey.dtype != np.uint8:
        grey = np.rint(255 * grey).astype(np.uint8)
    high, wide = grey.shape
    rim = np.array([(x, y) for x in np.linspace(0, wide, 9) for y in np.linspace(0, high, 9)])
    u, v = grid.across(rim), grid.down(rim)
    origin, size = np.array([u.min(), v.min()]), (int(np.ptp(u) * scale) + 1, int(np.ptp(v) * scale) + 1)
    finer = max(1, int(1 / scale))
    small = Image.fromarray(grey).reduce(finer)

    def straight(at: Floats) -> Floats:
        return grid.points(at / scale + origin) / finer

    flat = np.asarray(bent(small, size, straight, Image.Resampling.BILINEAR))
    on_page = np.asarray(bent(Image.new("L", small.size, 1), size, straight, Image.Resampling.NEAREST)) > 0
    dark = darkness(sight, grey)
    is_dark = dark(np.where(on_page, flat, 0)) & on_page  # places beside the page must not count as bright ground
    ruled = np.zeros(flat.shape, np.uint8)
    for bit, axis, long in ((1, 0, RULING.long[0]), (2, 1, RULING.long[1])):
        lines = runs(joined(is_dark, axis), axis) >= long * RULING.em
        ruled |= np.where(grown(lines), bit, 0).astype(np.uint8)
    if not ruled.any():
        return None
    back = bent(
        Image.fromarray(ruled), (wide, high),
        lambda at: (np.stack([grid.across(at), grid.down(at)], 1) - origin) * scale, Image.Resampling.NEAREST,
    )  # fmt: skip
    ruled, inked = np.asarray(back), dark(grey)
    erased = (ruled & 1 > 0) & inked & (runs(inked, 1) <= RULING.wide * grid.em)
    erased |= (ruled & 2 > 0) & inked & (runs(inked, 0) <= RULING.wide * grid.em)
    grounds = np.asarray(Image.fromarray(ground_of(grey)).resize((wide, high), Image.Resampling.BILINEAR))
    return np.where(grown(erased) & (ruled > 0), grounds, grey)


def darkness(sight: Sight, grey: NDArray[np.uint8]) -> Callable[[NDArray[np.uint8]], NDArray[np.bool_]]:
    """A function that says which pixels of a picture are at least as dark as a line."""
    small = np.asarray(Image.fromarray(grey).resize(sight.ink.shape[::-1], Image.Resampling.BOX))
    weights = (sight.ink / 255.0) ** 2 + 1e-6
    stroke, ground = float(np.average(small, weights=weights)), float(np.median(small))
    # As a share of the ground nearby, which may be in a shadow.
    darkest = 1 - RULING.faint * (ground - stroke) / max(ground, 1.0)

    def dark(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
        near = Image.fromarray(ground_of(picture)).resize(picture.shape[::-1], Image.Resampling.BILINEAR)
        least: NDArray[np.uint8] = np.asarray(near.point([int(darkest * level) for level in range(256)]))
        return picture < least

    return dark


def ground_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The brightness of the ground in each square (`RULING.ground`). A square that is all black, as beside a page, gets
    the brightness of its neighbours."""
    high, wide = (-(-side // RULING.ground) * RULING.ground for side in picture.shape)
    whole = np.pad(picture, ((0, high - picture.shape[0]), (0, wide - picture.shape[1])), mode="edge")
    blocks = whole.reshape(high // RULING.ground, RULING.ground, wide // RULING.ground, RULING.ground).swapaxes(1, 2)
    few = blocks[:, :, ::4, ::4].reshape(*blocks.shape[:2], -1)
    ground = np.quantile(few, 0.8, axis=2, method="nearest").astype(np.uint8)
    while ground.any() and not ground.all():
        around = np.lib.stride_tricks.sliding_window_view(np.pad(ground, 1), (3, 3)).max((2, 3))
        ground = np.where(ground, ground, around)
    return ground


def bent(
    picture: Image.Image, size: tuple[int, int], to: Callable[[Floats], Floats], method: Image.Resampling
) -> Image.Image:
    """A picture of another size, warped from `picture`: the map `to` takes each point of the new picture to its point
    in `picture`."""
    sides = [sorted({*range(0, side, RULING.mesh), side}) for side in size]
    corners = to(np.stack(np.meshgrid(*sides), -1).reshape(-1, 2).astype(np.float64))
    at = corners.reshape(len(sides[1]), len(sides[0]), 2)
    quads = np.concatenate([at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]], -1).reshape(-1, 8).tolist()
    boxes = [(left, top, right, bottom) for top, bottom in zip(sides[1], sides[1][1:], strict=False)
             for left, right in zip(sides[0], sides[0][1:], strict=False)]  # fmt: skip
    pieces = list(zip(boxes, map(tuple, quads), strict=True))
    return picture.transform(size, Image.Transform.MESH, pieces, method, fillcolor=255 if method else 0)


def runs(some: NDArray[np.bool_], axis: int) -> NDArray[np.int32]:
    """For each true pixel the length of its run along an axis; 0 for other pixels."""
    if axis == 0:
        return np.ascontiguousarray(runs(np.ascontiguousarray(some.T), 1).T)
    padded = np.pad(some, ((0, 0), (1, 1))).reshape(-1)
    ends = np.flatnonzero(padded[1:] != padded[:-1]) + 1
    lengths, found = ends[1::2] - ends[::2], np.zeros(len(padded), np.int32)
    found[padded] = np.repeat(lengths, lengths)
    return found.reshape(len(some), -1)[:, 1:-1]


def joined(some: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """The mask with short gaps along an axis filled."""
    return some | ((runs(~some, axis) <= RULING.broken) & ~some)


def grown(some: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask, grown by one pixel to each side."""
    padded = np.pad(some, 1)
    return padded[1:-1, :-2] | padded[1:-1, 2:] | padded[:-2, 1:-1] | padded[2:, 1:-1] | some


class Laid(NamedTuple):
    """The grid of a page, and what the finder saw there."""

    grid: Grid
    sight: Sight


def laid(grey: NDArray[Any], find: Find) -> Laid | None:
    """The grid of a picture, uint8 or float32 `[H, W]`, and what the finder sees once printed lines are erased; None if
    the picture shows no numbers."""
    found, sight = looked(grey, find)
    grid = grid_of(found)
    if grid is None:
        return None
    clean = without_lines(grid, sight)
    if clean is not None:
        again, look = looked(clean, find)
        if (better := grid_of(again)) is not None:
            matrix = np.vstack([sight.matrix, [0, 0, 1]]) @ np.vstack([look.matrix, [0, 0, 1]])
            grid, sight = better, look._replace(matrix=matrix[:2])
    return Laid(grid, sight)


def looked(grey: NDArray[Any], find: Find) -> tuple[list[Found], Sight]:
    """The numbers on a picture, and what the finder saw. If the picture and its digits are large, a look at a smaller
    copy is enough."""
    factor = max(grey.shape) // SEARCH.looked_at
    if factor > 1:
        found, sight = find(np.asarray(Image.fromarray(grey).reduce(factor)))
        if found and float(np.median([one.em for one in found])) >= CLEAR and not sight.angle:
            return enlarged(found, sight, grey, factor)
    return find(grey)

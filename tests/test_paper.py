"""Paper on a desk: what is cut out is the drawn sheet with its ink, and nothing of the desk."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from drawings import SEVEN
from sumnist.pictures.paper import Paper, filled, hull, otsu, papers_on

HEIGHT, WIDTH = 300, 400
INK = np.kron(SEVEN, np.ones((3, 3), np.uint8)) > 128
"""The ink on every sheet: `[84, 84]`."""
SHEETS = {
    "straight": ((60, 40), (330, 40), (330, 260), (60, 260)),
    "turned by 15°": ((110, 30), (342, 92), (290, 285), (58, 223)),
    "over the left edge": ((-20, 40), (260, 40), (260, 260), (-20, 260)),
    "over a corner": ((150, 60), (420, 60), (420, 320), (150, 320)),
}
"""Corners (x, y) of sheets on a picture of 300×400."""
SURFACES = {
    "a darker desk": (70, 225, 30),
    "a brighter desk": (240, 150, 20),
    "a darker desk, light ink": (20, 90, 240),
}
"""The brightness of the desk, the sheet and the ink."""

Mask = NDArray[np.bool_]


def sheet_mask(corners: tuple[tuple[int, int], ...]) -> Mask:
    canvas = Image.new("1", (WIDTH, HEIGHT))
    ImageDraw.Draw(canvas).polygon(corners, fill=1)
    return np.asarray(canvas)


def drawn(corners: tuple[tuple[int, int], ...], surface: str) -> tuple[NDArray[np.float32], Mask, Mask]:
    """A picture with noise, where its sheet is, and where its ink, in the middle of what is seen of the sheet."""
    desk, sheet, pen = SURFACES[surface]
    on_sheet = sheet_mask(corners)
    middle = np.argwhere(on_sheet).mean(0).astype(int) - 42
    ink = np.zeros_like(on_sheet)
    ink[middle[0] : middle[0] + 84, middle[1] : middle[1] + 84] = INK
    values = np.where(ink, pen, np.where(on_sheet, sheet, desk))
    noisy = values + np.random.default_rng(0).normal(0, 3, values.shape)
    return (noisy / 255).clip(0, 1).astype(np.float32), on_sheet, ink


def whole(paper: Paper, ground: float = np.nan) -> NDArray[np.float64]:
    """The sheet where it lies on its picture, and NaN elsewhere."""
    values = np.full((HEIGHT, WIDTH), ground)
    height, width = paper.grey.shape
    values[paper.top : paper.top + height, paper.left : paper.left + width] = paper.grey
    return values


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("place", SHEETS)
def test_what_is_cut_out_is_the_ink_on_the_paper_and_nothing_of_the_desk(place: str, surface: str) -> None:
    grey, on_sheet, ink = drawn(SHEETS[place], surface)
    desk, sheet, pen = (value / 255 for value in SURFACES[surface])
    papers = list(papers_on(grey))
    good = []
    for paper in papers:
        values = whole(paper)
        seen = ~np.isnan(values)
        holds_ink = bool(np.array_equal(values[ink], grey[ink].astype(float)))
        of_the_desk = np.abs(values[seen] - desk) < min(abs(desk - sheet), abs(desk - pen)) / 3
        good.append(holds_ink and not of_the_desk.any())
        if good[-1]:
            assert np.median(values[seen & ~ink]) == pytest.approx(sheet, abs=0.01)
            kept = (values == grey) & on_sheet
            assert kept.sum() > 0.75 * on_sheet.sum()
    assert sum(good) == 1


@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_a_picture_of_one_grey_and_a_small_one_have_no_paper(brightness: int) -> None:
    assert list(papers_on(np.full((200, 300), brightness / 255, np.float32))) == []
    grey = np.full((23, 300), 0.2, np.float32)
    grey[3:20, 50:200] = 0.9
    assert list(papers_on(grey)) == []


def test_a_digit_on_a_white_page_has_no_paper_around_its_strokes() -> None:
    page = np.full((HEIGHT, WIDTH), 1, np.float32)
    page[100:184, 150:234][INK] = 0
    assert list(papers_on(page)) == []


@pytest.mark.parametrize("fall", [0.2, 0.4, 0.6])
def test_light_that_falls_off_across_a_page_is_no_edge_of_paper_but_a_desk_as_dark_is(fall: float) -> None:
    across = np.tile(np.linspace(0, 1, 400, dtype=np.float32), (300, 1))
    assert not list(papers_on(1 - fall * across))
    assert list(papers_on(np.where(across > 0.6, 1 - fall, 1).astype(np.float32)))


def test_the_ground_around_the_sheet_is_its_own() -> None:
    grey, on_sheet, _ = drawn(SHEETS["turned by 15°"], "a darker desk")
    (paper,) = papers_on(grey)
    values = whole(paper)
    outside = ~np.isnan(values) & ~on_sheet
    assert outside.sum() > 1000
    assert len(np.unique(values[outside])) == 1


def inside_by_hand(point: tuple[int, int], corners: list[tuple[int, int]]) -> bool:
    """Whether a point lies within or on a convex polygon: on the same side of all of its edges."""
    sides = set()
    for (y, x), (v, u) in zip(corners, [*corners[1:], corners[0]], strict=True):
        cross = (v - y) * (point[1] - x) - (u - x) * (point[0] - y)
        sides.add((cross > 0) - (cross < 0))
    return not {1, -1} <= sides


@pytest.mark.parametrize("seed", range(30))
def test_the_hull_has_the_corners_that_brute_force_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.integers(0, 12, (int(random.integers(4, 25)), 2))
    corners = hull(points)
    distinct = sorted({(int(y), int(x)) for y, x in points})
    assert all(inside_by_hand(point, corners) for point in distinct)

    def between_others(point: tuple[int, int]) -> bool:
        """Whether it lies in a triangle or on a line of other points, so that it is no corner."""
        others = [other for other in distinct if other != point]
        for a, b, c in permutations(others, 3):
            area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
            if area > 0 and inside_by_hand(point, [a, b, c]):
                return True
        return any(
            (b[0] - a[0]) * (point[1] - a[1]) == (b[1] - a[1]) * (point[0] - a[0]) and min(a, b) <= point <= max(a, b)
            for a, b in permutations(others, 2)
        )

    assert sorted(corners) == [point for point in distinct if not between_others(point)]


def test_the_hull_of_a_square_full_of_points_is_its_four_corners_in_order() -> None:
    square = np.argwhere(np.ones((5, 9), bool))
    assert hull(square) == [(0, 0), (4, 0), (4, 8), (0, 8)] or hull(square) == [(0, 0), (0, 8), (4, 8), (4, 0)]
    assert filled(hull(square + 2), (12, 15)).sum() == 45


def test_one_point_and_a_line_have_a_hull() -> None:
    assert hull(np.array([[3, 4]])) == [(3, 4)]
    assert sorted(hull(np.array([[0, 0], [1, 1], [2, 2]]))) == [(0, 0), (2, 2)]
    assert not filled([(3, 4)], (9, 9)).any()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_threshold_lies_between_two_kinds(share: float) -> None:
    random = np.random.default_rng(0)
    low, high = random.normal(0.3, 0.03, 5000), random.normal(0.7, 0.03, 5000)
    values = np.where(random.random(5000) < share, high, low).astype(np.float32)[None]
    threshold = otsu(values)
    candidates = (np.arange(1, 64) / 64).tolist()
    spreads = [sum(part.size * part.var() for part in (values[values <= t], values[values > t]) if part.size)
               for t in candidates]  # fmt: skip
    assert 0.4 < threshold < 0.6
    assert sum(part.size * part.var() for part in (values[values <= threshold], values[values > threshold])) == (
        pytest.approx(min(spreads), rel=0.01)
    )

"""How finding is measured: polygons beside sampled points, pages beside their ink, figures of answers made by hand."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.suites.found import Answer, Points, Said, There, overlap, page_figures, sign_figures
from lab.suites.pages import ALONE, INKED, KINDS, Images, Strokes, page, sign
from lab.suites.sheets import Ink

pytestmark = pytest.mark.long


def box(left: float, top: float, wide: float = 40, high: float = 20, turn: float = 0.0) -> Points:
    """The corners of a rectangle, clockwise, turned around its first one."""
    cos, sin = np.cos(turn), np.sin(turn)
    corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], float)
    return np.asarray(corners @ np.array([[cos, sin], [-sin, cos]]) + (left, top))


def value_of(text: str) -> int | Decimal:
    """The number that is written, by a decimal sign or with a gap after the thousands."""
    plain = re.sub("[' ]", "", text).replace(",", ".")
    return Decimal(plain) if "." in plain else int(plain)


def said(text: str, corners: Points, accepted: bool = True) -> Said:
    return Said(text, value_of(text), accepted, corners)


def there(text: str, corners: Points | None) -> There:
    return There(text, value_of(text), corners)


def inside(points: NDArray[np.float64], corners: Points) -> NDArray[np.bool_]:
    """Which points are on the same side of all edges."""
    ends = np.roll(corners, -1, 0) - corners
    sides = [dx * (points[:, 1] - y) - dy * (points[:, 0] - x) for (x, y), (dx, dy) in zip(corners, ends, strict=True)]
    return np.asarray((np.array(sides) >= 0).all(0) | (np.array(sides) <= 0).all(0))


@pytest.mark.parametrize("seed", range(4))
def test_overlap_is_the_share_of_sampled_points_that_are_in_both(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = (box(*random.uniform((0, 0, 20, 20, 0), (20, 20, 60, 60, 6))) for _ in range(2))
    points = random.uniform(-90, 110, (200_000, 2))
    first, second = inside(points, one), inside(points, other[::-1])
    assert overlap(one, other[::-1]) == pytest.approx((first & second).sum() / (first | second).sum(), abs=0.02)
    assert overlap(one, other) == pytest.approx(overlap(other, one)) == pytest.approx(overlap(one[::-1], other))


# Figures.


def test_figures_of_a_page_made_by_hand() -> None:
    """Each number stands 200 below the one before it."""
    numbers = [there(text, box(0, 200 * row)) for row, text in enumerate(("12", "34", "56", "78", "91"))]
    numbers += [there("5", box(300, 0)), there("6", box(350, 0))]
    answer = Answer("a", numbers, [
        said("12", box(1, 1)), said("34", box(1, 201), False), said("57", box(1, 401)), said("7", box(0, 600, 22)),
        said("56", box(300, 0, 90)), said("4", box(900, 900)), said("2", box(950, 950), False),
    ])  # fmt: skip
    row = page_figures([answer])
    assert (row["numbers"], row["recall"], row["precision"]) == (7, pytest.approx(4 / 7), pytest.approx(4 / 7))
    assert (row["read"], row["accuracy_accepted"]) == (pytest.approx(2 / 7), pytest.approx(1 / 5))


@pytest.mark.parametrize(("numbers", "read", "wrong"), [
    (["-12"], ["12"], 1), (["-12"], ["-12"], 0), (["3", "4"], ["3"], 1), (["3", "4"], ["4", "3"], 0),
    ([None], ["12"], 1), ([None], [], 0), (["1234"], ["1", "234"], 1),
])  # fmt: skip
def test_what_is_accepted_of_signs_is_wrong_if_it_is_not_all_that_is_meant(
    numbers: list[str | None], read: list[str], wrong: int
) -> None:
    meant = [There(text or "3/4", None if text is None else value_of(text), box(0, 0)) for text in numbers]
    row = sign_figures([Answer("a", meant, [said(text, box(0, 0)) for text in read])])
    assert row["wrong"] == wrong


# Pages.


def strokes(folder: Path) -> Path:
    """A file of pen strokes in which two writers write each digit as a slash."""
    text = "".join(
        f'.SEGMENT DIGIT 0 ? "{digit}"\n.COMMENT {digit} {writer} 1\n.PEN_DOWN\n 10 10\n 60 90\n.PEN_UP\n'
        for writer in (1, 2) for digit in range(10)
    )  # fmt: skip
    path = folder / "strokes.tes"
    path.write_text(text)
    return path


@pytest.mark.parametrize("place", [4, 14])
def test_corners_of_a_page_lie_around_the_ink(place: int) -> None:
    made = page("development", Images(Ink.mnist("development")), place)
    height, width = made.pen.shape
    y, x = np.mgrid[:height, :width]
    for one in made.there:
        assert one.corners is not None
        low, high = np.floor(one.corners.min(0) - 4).astype(int), np.ceil(one.corners.max(0) + 5).astype(int)
        rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
        ink = made.pen[rows, columns] > INKED
        points = np.stack([x[rows, columns][ink], y[rows, columns][ink]], 1) + 0.5
        middle = one.corners.mean(0)
        assert inside(points, middle + 1.05 * (one.corners - middle)).mean() > 0.97
        assert not inside(points, middle + 0.8 * (one.corners - middle)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sign_means_what_is_written(kind: str, tmp_path: Path) -> None:
    _, meant = sign("development", Strokes(strokes(tmp_path), "development"), kind, 1)
    assert [one.value is not None for one in meant] == [kind in ALONE] * len(meant)
    assert all(one.value == value_of(one.text) for one in meant if one.value is not None)
    assert len(meant) == 1 + (kind == "two lines")

"""Pieces of ink: against a flood fill, one pixel at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sumnist.pictures.components import grown, marks_of, union


def flooded(mask: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """The pieces of `mask`, each as the set of its pixels."""
    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    pieces = []
    while left:
        piece, edge = set(), [min(left)]
        left.discard(edge[0])
        while edge:
            row, column = edge.pop()
            piece.add((row, column))
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            edge += near
        pieces.append(piece)
    return pieces


def noise(height: int, width: int, seed: int, share: float) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    return random.random((height, width)) < share, random.random((height, width)).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_pieces_are_those_of_a_flood_fill(height: int, width: int, seed: int, share: float) -> None:
    mask, ink = noise(height, width, seed, share)
    marks, pieces = marks_of(mask, ink), flooded(mask)
    assert len(marks) == len(pieces)
    assert np.array_equal(marks.mask(), mask)
    for i in range(len(marks)):
        one = marks.kept(np.arange(len(marks)) == i)
        pixels = {(int(row), int(column)) for row, column in zip(*np.nonzero(one.mask()), strict=True)}
        assert pixels in pieces
        rows, columns = zip(*pixels, strict=True)
        box = min(rows), max(rows) + 1, min(columns), max(columns) + 1
        assert (tuple(marks.boxes[i]), marks.areas[i]) == (box, len(pixels))
        assert union(one.boxes) == box
        assert marks.sizes[i] == max(box[1] - box[0], box[3] - box[2])
        assert np.isclose(marks.masses[i], sum(ink[pixel] for pixel in pixels), atol=1e-4)
        assert np.array_equal(one.mask(box), one.mask()[box[0] : box[1], box[2] : box[3]])


def test_the_pieces_that_touch_a_place() -> None:
    mask, ink = noise(20, 20, 0, 0.3)
    where = np.zeros_like(mask)
    where[5:9, 3:12] = True
    marks = marks_of(mask, ink)
    alone = [bool((marks.kept(np.arange(len(marks)) == i).mask() & where).any()) for i in range(len(marks))]
    assert marks.touched(where).tolist() == alone


def test_a_picture_without_ink_has_no_pieces() -> None:
    marks = marks_of(np.zeros((9, 9), bool), np.zeros((9, 9), np.float32))
    assert len(marks) == 0
    assert not marks.mask().any()


def test_a_box_grows_as_far_as_the_picture_goes() -> None:
    assert grown((3, 8, 0, 5), 4, (10, 20)) == (0, 10, 0, 9)

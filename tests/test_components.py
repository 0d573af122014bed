"""Connected components of ink: against a flood fill, one pixel at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sumnist.pictures.components import components_of, extent, grown, part, union


def flooded(mask: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """The components of `mask`, each as the set of its pixels."""
    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    components = []
    while left:
        component, edge = set(), [min(left)]
        left.discard(edge[0])
        while edge:
            row, column = edge.pop()
            component.add((row, column))
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            edge += near
        components.append(component)
    return components


def noise(height: int, width: int, seed: int, share: float) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    return random.random((height, width)) < share, random.random((height, width)).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_components_are_those_of_a_flood_fill(height: int, width: int, seed: int, share: float) -> None:
    mask, ink = noise(height, width, seed, share)
    components, expected = components_of(mask, ink), flooded(mask)
    assert len(components) == len(expected)
    assert np.array_equal(components.mask(), mask)
    for i in range(len(components)):
        component = components.kept(np.arange(len(components)) == i)
        pixels = {(int(row), int(column)) for row, column in zip(*np.nonzero(component.mask()), strict=True)}
        assert pixels in expected
        rows, columns = zip(*pixels, strict=True)
        box = min(rows), max(rows) + 1, min(columns), max(columns) + 1
        assert tuple(components.boxes[i]) == union(component.boxes) == box
        assert extent(box) == mask[part(box)].shape
        assert components.sizes[i] == max(box[1] - box[0], box[3] - box[2])
        assert np.isclose(components.masses[i], sum(ink[pixel] for pixel in pixels), atol=1e-4)
        assert np.array_equal(component.mask(box), component.mask()[box[0] : box[1], box[2] : box[3]])


def test_a_picture_without_ink_has_no_components() -> None:
    components = components_of(np.zeros((9, 9), bool), np.zeros((9, 9), np.float32))
    assert len(components) == 0
    assert not components.mask().any()


def test_a_box_grows_as_far_as_the_picture_goes() -> None:
    assert grown((3, 8, 0, 5), 4, (10, 20)) == (0, 10, 0, 9)

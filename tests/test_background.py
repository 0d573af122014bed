"""Even light: shading that is known is taken out again, and ink is told from ground whichever is the darker."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sumnist.data.mnist import load_mnist
from sumnist.pictures.background import evened, ink_is_dark
from sumnist.pictures.filters import closing, median, running_max, spread

TEST = load_mnist("test").images[:100]
Y, X = np.mgrid[:240, :320] / 240
SHADES = {
    "from the left": 0.5 + 0.3 * X,
    "darker corners": 0.9 - 0.25 * ((X - 0.66) ** 2 + (Y - 0.5) ** 2),
    "a shadow": 0.85 - 0.35 / (1 + np.exp(-(X - 0.5 - 0.4 * Y) / 0.06)),
    "a shadow along the edge": 0.85 - 0.35 / (1 + np.exp((Y - 0.1) / 0.03)),
}


def page(image: NDArray[np.uint8], depth: float = 0.7) -> NDArray[np.float64]:
    """The share of light that ink `image` in the middle of a sheet lets through: `[240, 320]`."""
    whole = np.ones((240, 320))
    whole[50:190, 90:230] = 1 - depth * np.kron(image / 255, np.ones((5, 5)))
    return whole


@pytest.mark.parametrize("name", SHADES)
@pytest.mark.parametrize("noise", [0.006, 0.012])
def test_the_contrast_is_that_of_the_ink_whatever_the_light(name: str, noise: float) -> None:
    random = np.random.default_rng(0)
    for image in TEST[:8]:
        ink = page(image)
        light = (SHADES[name] * ink + noise * random.standard_normal(ink.shape)).clip(0, 1).astype(np.float32)
        assert ink_is_dark(light)
        even = evened(light, dark=True)
        assert not even.flat
        assert even.noise < noise / 0.4 + 0.01
        assert np.abs(even.contrast - (1 - ink)).mean() < 0.01 + noise
        assert np.quantile(even.contrast[ink > 0.99], 0.99) < 0.06 + 4 * noise


def test_on_one_brightness_the_contrast_is_exact() -> None:
    ink = page(TEST[0])
    for grey, dark in (((0.8 * ink).astype(np.float32), True), ((1 - 0.8 * ink).astype(np.float32), False)):
        even = evened(grey, dark)
        assert (even.flat, even.noise) == (True, 0)
        assert np.allclose(even.contrast, 1 - ink, atol=1e-5)


def test_polarity_is_told_of_digits_on_any_ground() -> None:
    for image in TEST:
        light = image.astype(np.float32) / 255
        for low, high in ((0.0, 1.0), (0.0, 0.3), (0.4, 0.6)):
            assert not ink_is_dark(low + (high - low) * light)
            assert ink_is_dark(high - (high - low) * light)


def test_spread_is_the_largest_of_the_neighbours() -> None:
    values = np.random.default_rng(0).random((7, 9))
    largest = spread(values, 5)
    for row in range(7):
        for column in range(9):
            near = values[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
            assert largest[row, column] == near.max()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("window", [1, 2, 3, 5, 8, 13, 20])
def test_a_running_maximum_is_the_largest_in_each_window(window: int, axis: int) -> None:
    random = np.random.default_rng(window)
    for values in (random.random((23, 31), np.float32), random.random((20, 20)) < 0.05):
        expected = sliding_window_view(values, window, axis).max(-1)
        largest = running_max(values, window, axis)
        assert largest.dtype == values.dtype
        np.testing.assert_array_equal(largest, expected)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.6, 1.0])
@pytest.mark.parametrize("count", [1, 2, 100, 4_001, 10_000])
def test_a_median_is_numpys_however_many_values_are_the_same(count: int, share: float) -> None:
    random = np.random.default_rng(count)
    values = random.random(count, np.float32)
    values[random.permutation(count)[: round(share * count)]] = 0.7
    assert median(values) == np.median(values)


def test_a_closing_fills_what_its_window_does_not_fit_into() -> None:
    mask = np.zeros((40, 40), np.int8)
    mask[10:30, 10:30] = 1
    mask[12:15, 12:28] = 0  # 3 rows high
    mask[18:25, 12:20] = 0  # 7 rows high
    assert np.array_equal(closing(mask, 3), mask)
    filled = mask.copy()
    filled[12:15, 12:28] = 1
    assert np.array_equal(closing(mask, 5), filled)

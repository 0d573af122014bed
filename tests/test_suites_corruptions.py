"""The corruptions: what each of them does, by oracles of its own, and that an image keeps its own randomness."""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sumnist.data.mnist import DigitSet
from sumnist.errors import ConfigError
from sumnist.lab.suites.corruptions import CORRUPTIONS, Chance, blurred, corrupted, edges

COUNT = 60
PUBLISHED_MIB = {
    "shot_noise": 15.05, "impulse_noise": 24.61, "glass_blur": 35.91, "motion_blur": 32.45, "shear": 27.73,
    "scale": 17.41, "rotate": 27.09, "brightness": 20.52, "translate": 20.88, "stripe": 23.09, "fog": 35.76,
    "spatter": 29.67, "dotted_line": 24.45, "zigzag": 25.91, "canny_edges": 13.23,
}  # fmt: skip
"""The 70,000 images of the published data set, each a PNG in a record (TensorFlow Datasets, `mnist_corrupted`)."""
PUBLISHED_CLEAN_MIB = 21.00


@pytest.fixture(scope="module")
def images(mnist_train: DigitSet) -> NDArray[np.uint8]:
    return mnist_train.images[:COUNT]


def middle_of_mass(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Column and row, from the middle of the image."""
    levels = image / image.sum()
    places = np.arange(28) - 13.5
    return np.array([levels.sum(0) @ places, levels.sum(1) @ places])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_keeps_shape_and_type_and_changes_every_image(name: str, images: NDArray[np.uint8]) -> None:
    before = images.copy()
    after = corrupted(name, images)
    assert after.shape == images.shape
    assert after.dtype == np.uint8
    assert (after != images).any((1, 2)).all()
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_alike_in_any_company(name: str, images: NDArray[np.uint8]) -> None:
    whole = corrupted(name, images, seed=3)
    np.testing.assert_array_equal(corrupted(name, images, seed=3), whole)
    part = np.array([41, 7, 20])
    np.testing.assert_array_equal(corrupted(name, images[part], seed=3, index=part), whole[part])


def png_bytes(images: NDArray[np.uint8]) -> float:
    """The mean size of the images as PNG files: it tells how much noise, blur and ink they have."""
    total = 0
    for image in images:
        stream = BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        total += len(stream.getvalue())
    return total / len(images)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_images_take_as_many_bytes_as_the_published_ones(name: str, mnist_train: DigitSet) -> None:
    images = mnist_train.images[:1000]
    growth = png_bytes(corrupted(name, images)) - png_bytes(images)  # what a record holds besides cancels out
    published = (PUBLISHED_MIB[name] - PUBLISHED_CLEAN_MIB) * 2**20 / 70_000
    assert growth == pytest.approx(published, abs=8)  # of 180 to 500


def test_an_unknown_corruption_is_an_error() -> None:
    assert list(CORRUPTIONS) == list(PUBLISHED_MIB)
    with pytest.raises(ConfigError, match=r"^corruption 'snow': unknown, expected one of shot_noise, impulse_noise, "):
        corrupted("snow", np.zeros((1, 28, 28), np.uint8))


def test_shot_noise_counts_photons() -> None:
    level = 102  # 0.4 of white: a mean of 1.2 photons
    counts = np.rint(corrupted("shot_noise", np.full((100, 28, 28), level, np.uint8)) / 85).astype(int)  # at most 3
    share = np.bincount(counts.ravel(), minlength=4) / counts.size
    poisson = [math.exp(-1.2) * 1.2**k / math.factorial(k) for k in range(3)]
    np.testing.assert_allclose(share, [*poisson, 1 - sum(poisson)], atol=0.006)


def test_impulses_are_17_percent_half_of_them_white() -> None:
    after = corrupted("impulse_noise", np.full((100, 28, 28), 100, np.uint8))
    assert np.mean(after == 0) == pytest.approx(0.085, abs=0.004)
    assert np.mean(after == 255) == pytest.approx(0.085, abs=0.004)


def test_glass_blur_scatters_ink_to_neighbours_and_keeps_it() -> None:
    bar = np.zeros((200, 28, 28), np.uint8)
    bar[:, 10:18, 13:15] = 255
    mean = corrupted("glass_blur", bar).mean(0)
    assert mean.sum() == pytest.approx(bar[0].sum(), rel=0.03)
    assert mean[:, 11:17].sum() > 0.9 * mean.sum()  # most of it stays within two pixels
    assert mean[:, 13:15].sum() < 0.7 * mean.sum()  # and much of it leaves its column
    lying = np.ascontiguousarray(np.swapaxes(bar, 1, 2))  # which loses more: columns alone are softened
    assert corrupted("glass_blur", lying).max((1, 2)).mean() < corrupted("glass_blur", bar).max((1, 2)).mean()


def test_motion_blur_smears_to_one_side_and_keeps_the_ink(images: NDArray[np.uint8]) -> None:
    after = corrupted("motion_blur", images)
    np.testing.assert_allclose(after.sum((1, 2)), images.sum((1, 2), dtype=float), rtol=0.03)
    moved = [middle_of_mass(new)[0] - middle_of_mass(old)[0] for new, old in zip(after, images, strict=True)]
    # A half Gaussian of spread 3 has its middle at about 2.1 pixels; cos 45° to cos 0° of that is to the left.
    assert -2.4 < min(moved) <= max(moved) < -1.2


@pytest.mark.parametrize(("name", "slope"), [("rotate", math.tan(0.4)), ("shear", math.sin(0.4))])
def test_rotate_and_shear_slant_an_upright_line_as_stated(name: str, slope: float) -> None:
    line = np.zeros((20, 28, 28), np.uint8)
    line[:, 6:22, 13:15] = 255
    found = set()
    for image in corrupted(name, line):
        rows = np.arange(10, 18)
        columns = (image[rows] * np.arange(28.0)).sum(1) / image[rows].sum(1)
        found.add(round(float(np.polyfit(rows, columns, 1)[0]), 2))
    assert sorted(found) == pytest.approx([-slope, slope], abs=0.02)


def test_scale_shrinks_to_seventy_percent() -> None:
    square = np.zeros((1, 28, 28), np.uint8)
    square[:, 4:24, 4:24] = 255
    after = corrupted("scale", square)
    assert after.sum() / square.sum(dtype=float) == pytest.approx(0.49, abs=0.005)
    np.testing.assert_allclose(middle_of_mass(after[0]), 0, atol=1e-6)


def test_brightness_adds_half_of_white(images: NDArray[np.uint8]) -> None:
    np.testing.assert_allclose(corrupted("brightness", images), np.minimum(images + 127.5, 255), atol=0.51)


def test_translate_moves_every_pixel_three_to_a_side(images: NDArray[np.uint8]) -> None:
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3)))
    ways = {(y, x): padded[:, 3 - y : 31 - y, 3 - x : 31 - x] for y in (-3, 3) for x in (-3, 3)}
    after = corrupted("translate", images)
    found = [[way for way, moved in ways.items() if np.array_equal(after[i], moved[i])] for i in range(COUNT)]
    assert all(len(way) == 1 for way in found)
    assert {way[0] for way in found} == set(ways)


def test_stripe_inverts_seven_columns_on_either_side(images: NDArray[np.uint8]) -> None:
    expected = images.copy()
    expected[:, :, :7] = 255 - images[:, :, :7]
    expected[:, :, 21:] = 255 - images[:, :, 21:]
    np.testing.assert_array_equal(corrupted("stripe", images), expected)


def test_fog_leaves_a_quarter_of_the_contrast(images: NDArray[np.uint8]) -> None:
    after = corrupted("fog", images).astype(float)
    black = corrupted("fog", np.zeros_like(images))
    assert not black.any()  # as bright as before: black stays black
    only = np.zeros_like(images)
    only[:, 0, 0] = brightest = images.max((1, 2))  # the same brightness, so the same fog, without the digit
    digit = after - corrupted("fog", only)
    share = brightest / (brightest + 3 * 255.0)
    np.testing.assert_allclose(digit[:, 1:], images[:, 1:] * share[:, None, None], atol=1.01)


def test_a_dotted_line_has_every_other_two_columns(images: NDArray[np.uint8]) -> None:
    black = corrupted("dotted_line", np.zeros_like(images))
    lit = black.max(1) > 0  # [N, 28]: the columns with anything in them
    expected = [column // 2 % 2 == 1 and column < 27 for column in range(28)]
    np.testing.assert_array_equal(lit, np.tile(expected, (COUNT, 1)))


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"scale", "brightness", "stripe", "canny_edges"}))
def test_another_seed_and_another_place_give_other_corruptions(name: str, images: NDArray[np.uint8]) -> None:
    assert (corrupted(name, images, seed=0) != corrupted(name, images, seed=1)).any()
    same = np.repeat(images[:1], 20, 0)
    assert len({one.tobytes() for one in corrupted(name, same)}) > 1


def test_glass_blur_softens_columns_alone() -> None:
    upright, lying = np.zeros((2, 100, 28, 28), np.uint8)
    upright[:, :, 13:15] = 255
    lying[:, 13:15] = 255
    assert corrupted("glass_blur", lying).max((1, 2)).mean() < corrupted("glass_blur", upright).max((1, 2)).mean()


def test_spatter_paints_grey_drops(images: NDArray[np.uint8]) -> None:
    black = corrupted("spatter", np.zeros_like(images))
    drops = black[black > 0]
    assert drops.min() >= 0.8 * 63 - 1
    assert drops.max() == 63
    assert 0.05 < np.mean(black > 0) < 0.35


def test_a_zigzag_runs_from_column_2_to_column_25_and_turns(images: NDArray[np.uint8]) -> None:
    black = corrupted("zigzag", np.zeros_like(images)).astype(float)
    for image in black:
        columns = np.flatnonzero(image.any(0))
        assert columns.min() >= 1
        assert columns.max() <= 25
        rows = (image * np.arange(28)[:, None]).sum(0)[columns] / image.sum(0)[columns]
        if rows.min() > 6 and rows.max() < 21:  # not cut by the border
            assert np.count_nonzero(np.diff(np.sign(np.diff(rows)))) >= 4


def test_the_edges_of_a_square_are_its_outline() -> None:
    square = np.zeros((1, 28, 28))
    square[:, 8:20, 8:20] = 1
    found = edges(square)[0]
    assert 30 <= found.sum() <= 60
    assert not found[11:17, 11:17].any()  # nothing inside, nothing far outside
    assert not found[:6].any()
    np.testing.assert_array_equal(found, found.T)


def test_a_blurred_point_is_a_gaussian() -> None:
    point = np.zeros((1, 28, 28))
    point[0, 14, 14] = 1
    after = blurred(point, 1.5)[0]
    assert after.sum() == pytest.approx(1)
    assert after[14, 16] / after[14, 14] == pytest.approx(math.exp(-0.5 * (2 / 1.5) ** 2))


def test_chance_is_uniform_and_normal_and_of_each_image_its_own() -> None:
    chance = Chance(0, "test", np.arange(2000))
    uniform, normal = chance.uniform(50), chance.normal(50)
    assert uniform.mean() == pytest.approx(0.5, abs=0.003)
    assert uniform.var() == pytest.approx(1 / 12, abs=0.002)
    assert normal.mean() == pytest.approx(0, abs=0.01)
    assert normal.std() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(uniform[:-1].ravel(), uniform[1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(uniform[:, 0], uniform[:, 1])[0, 1]) < 0.07
    assert len(np.unique(uniform)) == uniform.size
    alone = Chance(0, "test", [1234])
    np.testing.assert_array_equal(alone.uniform(50)[0], uniform[1234])
    np.testing.assert_array_equal(alone.normal(50)[0], normal[1234])
    assert (Chance(0, "other", [1234]).uniform(50) != uniform[1234]).all()
    whole = Chance(1, "test", np.arange(3000)).whole(-5, 5)
    assert set(whole.tolist()) == set(range(-5, 5))

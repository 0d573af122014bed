"""The corruptions: what each of them does, by oracles of its own, beside `test_drawn_alike`, by which none moves."""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sumnist.data.mnist import DigitSet
from sumnist.errors import ConfigError
from sumnist.lab.suites.corruptions import CORRUPTIONS, Chance, blurred, canny_edges, corrupted

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
    levels, places = image / image.sum(), np.arange(28) - 13.5
    return np.array([levels.sum(0) @ places, levels.sum(1) @ places])


def png_bytes(images: NDArray[np.uint8]) -> float:
    """The mean size of the images as PNG files: it tells how much noise, blur and ink they have."""
    streams = [BytesIO() for _ in images]
    for image, stream in zip(images, streams, strict=True):
        Image.fromarray(image).save(stream, "PNG")
    return sum(stream.tell() for stream in streams) / len(images)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_images_take_as_many_bytes_as_the_published_ones_and_each_is_another(
    name: str, mnist_train: DigitSet
) -> None:
    images = mnist_train.images[:1000]
    after = corrupted(name, images)
    assert after.shape == images.shape
    assert after.dtype == np.uint8
    assert (after != images).any((1, 2)).all()
    growth = png_bytes(after) - png_bytes(images)  # what a record holds besides cancels out
    published = (PUBLISHED_MIB[name] - PUBLISHED_CLEAN_MIB) * 2**20 / 70_000
    assert growth == pytest.approx(published, abs=8)  # of 180 to 500


def test_an_unknown_corruption_is_an_error() -> None:
    assert list(CORRUPTIONS) == list(PUBLISHED_MIB)
    with pytest.raises(ConfigError, match=r"^corruption 'snow': unknown, expected one of shot_noise, impulse_noise, "):
        corrupted("snow", np.zeros((1, 28, 28), np.uint8))


def test_shot_noise_counts_photons_and_impulses_are_17_percent_half_of_them_white() -> None:
    grey = np.full((100, 28, 28), 102, np.uint8)  # 0.4 of white: a mean of 1.2 photons
    counts = np.rint(corrupted("shot_noise", grey) / 85).astype(int)  # at most 3
    share = np.bincount(counts.ravel(), minlength=4) / counts.size
    poisson = [math.exp(-1.2) * 1.2**k / math.factorial(k) for k in range(3)]
    np.testing.assert_allclose(share, [*poisson, 1 - sum(poisson)], atol=0.006)
    after = corrupted("impulse_noise", grey)
    assert [np.mean(after == level) for level in (0, 255)] == pytest.approx([0.085] * 2, abs=0.004)


def test_glass_blur_scatters_ink_to_neighbours_keeps_it_and_softens_columns_alone() -> None:
    bar = np.zeros((200, 28, 28), np.uint8)
    bar[:, 10:18, 13:15] = 255
    mean = corrupted("glass_blur", bar).mean(0)
    assert mean.sum() == pytest.approx(bar[0].sum(), rel=0.03)
    assert mean[:, 11:17].sum() > 0.9 * mean.sum()  # most of it stays within two pixels
    assert mean[:, 13:15].sum() < 0.7 * mean.sum()  # and much of it leaves its column
    lying = np.ascontiguousarray(np.swapaxes(bar, 1, 2))  # which loses more
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
    rows, after = np.arange(10, 18), corrupted(name, line)[:, 10:18]
    columns = (after * np.arange(28.0)).sum(2) / after.sum(2)
    found = {round(float(np.polyfit(rows, one, 1)[0]), 2) for one in columns}
    assert sorted(found) == pytest.approx([-slope, slope], abs=0.02)


def test_scale_shrinks_to_seventy_percent_and_brightness_adds_half_of_white(images: NDArray[np.uint8]) -> None:
    square = np.zeros((1, 28, 28), np.uint8)
    square[:, 4:24, 4:24] = 255
    after = corrupted("scale", square)
    assert after.sum() / square.sum(dtype=float) == pytest.approx(0.49, abs=0.005)
    np.testing.assert_allclose(middle_of_mass(after[0]), 0, atol=1e-6)
    np.testing.assert_allclose(corrupted("brightness", images), np.minimum(images + 127.5, 255), atol=0.51)


def test_translate_moves_every_pixel_three_to_a_side_and_stripe_inverts_seven_columns_on_either_side(
    images: NDArray[np.uint8],
) -> None:
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3)))
    ways = {(y, x): padded[:, 3 - y : 31 - y, 3 - x : 31 - x] for y in (-3, 3) for x in (-3, 3)}
    after = corrupted("translate", images)
    found = [[way for way, moved in ways.items() if np.array_equal(after[i], moved[i])] for i in range(COUNT)]
    assert all(len(way) == 1 for way in found)
    assert {way[0] for way in found} == set(ways)
    outer = (np.arange(28) < 7) | (np.arange(28) > 20)
    np.testing.assert_array_equal(corrupted("stripe", images), np.where(outer, 255 - images, images))


def test_fog_leaves_a_quarter_of_the_contrast(images: NDArray[np.uint8]) -> None:
    after = corrupted("fog", images).astype(float)
    assert not corrupted("fog", np.zeros_like(images)).any()  # as bright as before: black stays black
    only = np.zeros_like(images)
    only[:, 0, 0] = brightest = images.max((1, 2))  # the same brightness, so the same fog, without the digit
    digit, share = after - corrupted("fog", only), brightest / (brightest + 3 * 255.0)
    np.testing.assert_allclose(digit[:, 1:], images[:, 1:] * share[:, None, None], atol=1.01)


def test_what_is_drawn_on_black_are_grey_drops_every_other_two_columns_of_a_line_and_a_zigzag_that_turns(
    images: NDArray[np.uint8],
) -> None:
    black = np.zeros_like(images)
    drops = corrupted("spatter", black)
    assert drops[drops > 0].min() >= 0.8 * 63 - 1
    assert drops.max() == 63
    assert 0.05 < np.mean(drops > 0) < 0.35
    dotted = [column // 2 % 2 == 1 and column < 27 for column in range(28)]
    np.testing.assert_array_equal(corrupted("dotted_line", black).max(1) > 0, np.tile(dotted, (COUNT, 1)))
    for image in corrupted("zigzag", black).astype(float):
        columns = np.flatnonzero(image.any(0))
        assert 1 <= columns.min() < columns.max() <= 25
        rows = (image * np.arange(28)[:, None]).sum(0)[columns] / image.sum(0)[columns]
        if rows.min() > 6 and rows.max() < 21:  # not cut by the border
            assert np.count_nonzero(np.diff(np.sign(np.diff(rows)))) >= 4


def test_the_edges_of_a_square_are_its_outline_and_a_blurred_point_is_a_gaussian() -> None:
    square, point = np.zeros((2, 1, 28, 28))
    square[:, 8:20, 8:20] = point[0, 14, 14] = 1
    found = canny_edges(square, Chance(0, "test", [0]))[0]
    assert 30 <= found.sum() <= 60
    assert not found[11:17, 11:17].any()  # nothing inside, nothing far outside
    assert not found[:6].any()
    np.testing.assert_array_equal(found, found.T)
    after = blurred(point, 1.5)[0]
    assert after.sum() == pytest.approx(1)
    assert after[14, 16] / after[14, 14] == pytest.approx(math.exp(-0.5 * (2 / 1.5) ** 2))


def test_chance_is_uniform_and_normal_and_of_each_image_its_own() -> None:
    chance = Chance(0, "test", np.arange(2000))
    uniform, normal = chance.uniform(50), chance.normal(50)
    assert (uniform.mean(), uniform.var()) == pytest.approx((0.5, 1 / 12), abs=0.003)
    assert (normal.mean(), normal.std()) == pytest.approx((0, 1), abs=0.01)
    assert abs(np.corrcoef(uniform[:-1].ravel(), uniform[1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(uniform[:, 0], uniform[:, 1])[0, 1]) < 0.07
    assert len(np.unique(uniform)) == uniform.size
    alone = Chance(0, "test", [1234])
    np.testing.assert_array_equal([alone.uniform(50)[0], alone.normal(50)[0]], [uniform[1234], normal[1234]])
    for other in (Chance(0, "other", [1234]), Chance(1, "test", [1234])):
        assert (other.uniform(50) != uniform[1234]).all()
    assert set(Chance(1, "test", np.arange(3000)).whole(-5, 5).tolist()) == set(range(-5, 5))

"""Pictures to images: MNIST's own convention, whatever the ink, the ground and the size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from drawings import AS_FLOAT, SEVEN, TEST, close, drawing, encoded, image_of, placed
from sumnist.pictures.decode import intensities_of
from sumnist.pictures.normalize import ready_arrays, ready_image

# MNIST's own convention


def test_every_test_image_comes_out_bit_equal() -> None:
    for pixels in TEST.images[::20]:
        assert np.array_equal(image_of(pixels), pixels.astype(np.float32) / 255)


def follows_the_convention(image: NDArray[np.uint8]) -> bool:
    """Whether MNIST's makers could have made an image, one pixel at a time."""
    inked = [(row, column, int(image[row, column])) for row in range(28) for column in range(28) if image[row, column]]
    if not inked or max(value for *_, value in inked) < 0.9 * 255:
        return False
    rows, columns, values = zip(*inked, strict=True)
    on_edge = sum(row in (0, 27) or column in (0, 27) for row, column, _ in inked)
    middles = [sum(p * v for p, v in zip(places, values, strict=True)) / sum(values) for places in (rows, columns)]
    longer = max(max(rows) - min(rows), max(columns) - min(columns)) + 1
    return on_edge < 54 and all(abs(middle - 14) < 1 for middle in middles) and 18 <= longer <= 20


def test_images_are_told_from_other_arrays_by_mnists_convention_many_at_once_or_alone() -> None:
    images = TEST.images[:150]
    arrays = [*images, *np.roll(images, 1, 2), *np.roll(images, 3, 2), *(images // 2), *(images // 8 * 7),
              *(255 - images), np.zeros((28, 28), np.uint8), np.pad(images[0, 4:24, 4:24], 3)]  # fmt: skip
    together = ready_arrays(arrays)
    expected = [
        place for place, array in enumerate(arrays) if array.shape == (28, 28) and follows_the_convention(array)
    ]
    assert sorted(together) == expected
    assert expected[:150] == list(range(150))
    assert 150 < len(expected) < 600
    for place, array in enumerate(arrays):
        alone = ready_image(intensities_of(array).grey) if array.shape == (28, 28) else None
        assert (alone is not None and not alone.dark) == (place in together)
        if place in together:
            assert alone is not None
            assert np.array_equal(alone.image, together[place])
            assert np.array_equal(together[place], array / np.float32(255))


def test_what_is_no_array_of_bytes_has_to_be_looked_at_first() -> None:
    others = [Image.fromarray(SEVEN), encoded(Image.fromarray(SEVEN)), SEVEN / 255, SEVEN[:, :, None], SEVEN[1:]]
    assert ready_arrays(others) == {}
    assert list(ready_arrays([*others, SEVEN])) == [5]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "I", "F"])
def test_an_mnist_image_in_any_mode_comes_out_bit_equal(mode: str) -> None:
    picture = Image.fromarray(SEVEN).convert(mode) if mode != "I;16" else Image.fromarray(SEVEN.astype(np.uint16) * 257)
    kind = "TIFF" if mode in ("I", "F") else "PNG"
    assert np.array_equal(image_of(encoded(picture, kind)), AS_FLOAT)
    assert np.array_equal(image_of(picture), AS_FLOAT)


def test_a_path_as_text_or_as_path_bytes_and_arrays_all_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "seven.png"
    Image.fromarray(SEVEN).save(path)
    rgb = np.repeat(SEVEN[:, :, None], 3, 2)
    floats = SEVEN / 255
    opaque = np.concatenate([rgb, np.full_like(rgb[:, :, :1], 255)], 2)
    for picture in (
        path,
        str(path),
        path.read_bytes(),
        bytearray(path.read_bytes()),
        SEVEN,
        SEVEN[:, :, None],
        rgb,
        opaque,
    ):
        assert np.array_equal(image_of(picture), AS_FLOAT)
    for array in (floats, floats.astype(np.float32), floats[:, :, None]):
        assert np.array_equal(image_of(array), AS_FLOAT)
    for array in (np.repeat(floats[:, :, None], 3, 2), np.stack([floats, np.ones_like(floats)], 2), opaque / 255):
        assert np.allclose(image_of(array), AS_FLOAT, atol=1e-6)


def differences(scale: int, left: int, top: int, page: tuple[int, int]) -> list[float]:
    return [
        float(np.abs(image_of(placed(pixels, scale, left, top, page)) - pixels / 255).mean())
        for pixels in TEST.images[:60]
    ]


@pytest.mark.parametrize(("scale", "left", "top"), [(3, 0, 0), (5, 50, 11), (6, 17, 13)])
def test_enlarging_inverting_and_moving_an_mnist_image_is_undone(scale: int, left: int, top: int) -> None:
    apart = differences(scale, left, top, (190, 195))
    assert float(np.median(apart)) < 0.006
    assert float(np.mean(apart)) < 0.01


@pytest.mark.parametrize("width", [1, 2, 5, 14, 30])
@pytest.mark.parametrize("size", [60, 280, 900])
def test_a_drawing_gets_mnists_size_place_and_brightness(width: int, size: int) -> None:
    image = image_of(drawing(width, size=size))
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    mass = image.sum()
    assert abs((image.sum(1) @ np.arange(28)) / mass - 14) <= 0.5
    assert abs((image.sum(0) @ np.arange(28)) / mass - 14) <= 0.5
    assert image.max() == 1


# Polarity, contrast, dust


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 0), (30, 200), (210, 40), (100, 130), (128, 255), (60, 0)])
def test_ink_and_ground_of_any_brightness_give_the_same_image(ink: int, ground: int) -> None:
    assert close(image_of(drawing(ink=ink, ground=ground)), image_of(drawing()), 0.002)

"""Pictures to images: MNIST's own convention, whatever the ink, the ground and the size."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from drawings import AS_FLOAT, SEVEN, TEST, close, drawing, encoded, image_of, placed
from sumnist.data.mnist import load_mnist
from sumnist.errors import ImageError, SumnistError
from sumnist.pictures.normalize import Seen, see, see_each
from sumnist.pictures.outlines import stroke_width

# MNIST's own convention


def test_every_test_image_comes_out_bit_equal() -> None:
    for pixels in TEST.images[::20]:
        assert np.array_equal(image_of(pixels), pixels.astype(np.float32) / 255)


def test_many_pictures_at_once_give_what_each_gives_alone(tmp_path: Path) -> None:
    images = load_mnist("test").images[:300]
    shifted = np.roll(images, 3, axis=2)  # no longer centred
    cropped = images[:, 4:24, 4:24]
    dim = images // 2
    pictures = [*images, *(255 - images), *shifted, *cropped, *dim, np.zeros((28, 28), np.uint8), b"none", "no.png"]
    together = see_each(pictures, first=7)
    for place, (picture, seen) in enumerate(zip(pictures, together, strict=True)):
        name = f"picture {7 + place + 1}"
        if isinstance(seen, SumnistError):
            with pytest.raises(ImageError, match=re.escape(str(seen))):
                see(picture, name)
        else:
            assert see(picture, name) == seen
            assert np.array_equal(see(picture, name).image, seen.image)
    assert [str(error) for error in together if isinstance(error, SumnistError)] == [
        f"picture {7 + len(pictures) - 1}: not a picture, expected PNG, JPEG or another format that Pillow opens: "
        "save it as PNG",
        "no.png: does not exist, expected a picture: check the name",
    ]
    assert sum(isinstance(seen, Seen) and seen.problem == "blank" for seen in together) == 1


def test_an_array_that_is_an_image_is_seen_as_it_is() -> None:
    for seen in (see(SEVEN), *see_each([SEVEN, SEVEN])):
        assert isinstance(seen, Seen)
        assert (seen.problem, seen.digit_count, seen.dark, seen.box) == (None, 1, False, (0, 28, 0, 28))
        assert np.array_equal(seen.image, AS_FLOAT)
        assert 1.5 < stroke_width(seen.image) < 3


def test_every_inverted_test_image_comes_out_bit_equal() -> None:
    for pixels in TEST.images[::20]:
        assert np.array_equal(image_of(255 - pixels), pixels.astype(np.float32) / 255)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "I", "F"])
def test_an_mnist_image_in_any_mode_comes_out_bit_equal(mode: str) -> None:
    picture = Image.fromarray(SEVEN).convert(mode) if mode != "I;16" else Image.fromarray(SEVEN.astype(np.uint16) * 257)
    kind = "TIFF" if mode in ("I", "F") else "PNG"
    assert np.array_equal(image_of(encoded(picture, kind)), AS_FLOAT)
    assert np.array_equal(image_of(picture), AS_FLOAT)


def test_a_saved_palette_picture_and_a_gif_come_out_bit_equal() -> None:
    assert np.array_equal(image_of(encoded(Image.fromarray(SEVEN).convert("P"))), AS_FLOAT)
    assert np.array_equal(image_of(encoded(Image.fromarray(SEVEN), "GIF")), AS_FLOAT)


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


def test_the_result_is_float32_in_0_to_1_of_28_by_28() -> None:
    for picture in (SEVEN, drawing(), drawing(ink=90, ground=180)):
        image = image_of(picture)
        assert image.shape == (28, 28)
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1


@pytest.mark.parametrize(("scale", "left", "top"), [(3, 0, 0), (5, 300, 11), (10, 17, 130)])
def test_enlarging_inverting_and_moving_an_mnist_image_is_undone(scale: int, left: int, top: int) -> None:
    differences = [
        np.abs(image_of(placed(pixels, scale, left, top)) - pixels / 255).mean() for pixels in TEST.images[:60]
    ]
    assert float(np.median(differences)) < 0.006
    assert float(np.mean(differences)) < 0.01


@pytest.mark.parametrize("width", [1, 2, 5, 14, 30])
@pytest.mark.parametrize("size", [60, 280, 900])
def test_a_drawing_gets_mnists_size_place_and_strokes(width: int, size: int) -> None:
    image = image_of(drawing(width, size=size))
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    mass = image.sum()
    assert abs((image.sum(1) @ np.arange(28)) / mass - 14) <= 0.5
    assert abs((image.sum(0) @ np.arange(28)) / mass - 14) <= 0.5
    inks = TEST.images[TEST.digits == 7].mean((1, 2)) / 255
    if width < size / 10:
        assert inks.min() < image.mean() < inks.max()
    assert image.max() > 0.9


def test_a_lone_stroke_stays_narrow() -> None:
    page = np.full((100, 100), 255, np.uint8)
    page[10:90, 40:52] = 0
    image = image_of(page)
    assert np.flatnonzero(image.any(0)).size == 3
    assert np.flatnonzero(image.any(1)).size == 20


# Polarity, contrast, dust


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 0), (30, 200), (210, 40), (100, 130), (128, 255), (60, 0)])
def test_ink_and_ground_of_any_brightness_give_the_same_image(ink: int, ground: int) -> None:
    assert close(image_of(drawing(ink=ink, ground=ground)), image_of(drawing()), 0.002)


def test_noise_and_a_line_along_the_edge_do_not_turn_the_polarity() -> None:
    page = np.asarray(drawing(ground=230)).astype(int)
    page += np.random.default_rng(0).integers(-6, 7, page.shape)
    assert close(image_of(page.clip(0, 255).astype(np.uint8)), image_of(drawing()), 0.01)
    glare = np.asarray(drawing(ink=80, ground=160)).copy()
    glare[200:204, 200:204] = 255
    assert close(image_of(glare), image_of(drawing()), 0.01)


def test_specks_far_from_the_digit_are_dropped() -> None:
    picture = drawing()
    for spot in [(3, 5), (270, 8), (275, 275), (200, 268)]:
        picture.putpixel(spot, 0)
    assert close(image_of(picture), image_of(drawing()), 0.001)


def test_jpeg_changes_little() -> None:
    assert close(image_of(encoded(drawing(), "JPEG", quality=60)), image_of(drawing()), 0.02)


def test_ten_font_digits_are_nearest_to_their_own_inverted_selves() -> None:
    font = ImageFont.load_default(150)

    def written(digit: int, ink: int, ground: int, place: tuple[int, int]) -> NDArray[np.float32]:
        picture = Image.new("L", (280, 280), ground)
        ImageDraw.Draw(picture).text(place, str(digit), fill=ink, font=font)
        return image_of(picture)

    dark = [written(digit, 0, 255, (20, 10)) for digit in range(10)]
    light = [written(digit, 220, 20, (130, 70)) for digit in range(10)]
    distance = np.array([[np.abs(inverted - image).mean() for image in dark] for inverted in light])
    assert distance.argmin(1).tolist() == list(range(10))


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 30), st.integers(8, 30), st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.5, 1.0]))
def test_any_array_gives_an_image_black_only_if_blank(height: int, width: int, seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    array = random.integers(0, 256, (height, width)).astype(np.uint8) * (random.random((height, width)) < share)
    seen = see(array)
    assert np.isfinite(seen.image).all()
    assert seen.image.min() >= 0
    assert seen.image.max() <= 1
    assert (seen.problem == "blank") == (seen.box is None) == (not seen.image.any())


def test_the_module_needs_no_torch() -> None:
    code = "import sys; import sumnist.pictures.normalize; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Everything that Pillow opens, and an error message for all the rest."""

from __future__ import annotations

import os
import sys
import warnings
import zlib
from importlib import import_module
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from drawings import (
    AS_FLOAT,
    close,
    drawing,
    encoded,
    every,
    first,
    image_of,
    images_or_message,
    ink_box,
    message,
)
from sumnist.errors import MissingExtraError
from sumnist.pictures.decode import intensities_of

# What Pillow opens


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA"])
def test_formats(kind: str) -> None:
    assert close(image_of(encoded(drawing(mode="RGB", ink="black", ground="white"), kind)), image_of(drawing()), 0.01)


def test_transparency_is_white() -> None:
    expected = image_of(drawing())
    clear = drawing(mode="RGBA", ink=(0, 0, 0, 255), ground=(0, 0, 0, 0))
    assert close(image_of(encoded(clear)), expected, 0.001)
    assert close(image_of(np.asarray(clear)), expected, 0.001)
    assert close(image_of(np.asarray(clear) / 255), expected, 0.001)
    assert close(image_of(np.asarray(drawing(mode="LA", ink=(0, 255), ground=(0, 0))) / 255), expected, 0.001)
    palette = drawing(mode="P", ink=1, ground=0)
    palette.putpalette([0, 0, 0, 0, 0, 0])
    assert close(image_of(encoded(palette, transparency=0)), expected, 0.001)


def test_one_bit_colour_and_cmyk_pictures() -> None:
    expected = image_of(drawing())
    assert close(image_of(encoded(drawing(mode="1", ink=0, ground=1))), expected, 0.001)
    assert close(image_of(encoded(drawing(mode="RGB", ink="navy", ground="ivory"))), expected, 0.005)
    assert close(
        image_of(encoded(drawing(mode="RGB", ink="navy", ground="ivory").convert("CMYK"), "JPEG")), expected, 0.02
    )
    assert close(image_of(drawing(mode="RGB", ink="black", ground="white").convert("HSV")), expected, 0.005)
    neutral = Image.new("L", (280, 280), 128)
    assert close(image_of(Image.merge("LAB", (drawing(), neutral, neutral))), expected, 0.001)


def test_sixteen_bits_are_scaled_not_cut() -> None:
    grey = np.asarray(drawing(ink=3, ground=77)).astype(np.uint16) * 257
    for kind in ("PNG", "TIFF"):
        assert close(image_of(encoded(Image.fromarray(grey), kind)), image_of(drawing()), 0.001)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = drawing(size=120)
    data = encoded(stored, "PNG", exif=exif)
    with Image.open(BytesIO(data)) as picture:
        upright = ImageOps.exif_transpose(picture)
    assert np.array_equal(image_of(data), image_of(upright))


def test_a_large_jpeg_is_decoded_small_and_looks_the_same() -> None:
    picture = drawing(size=4000, width=200, mode="RGB", ink="navy", ground="ivory")
    assert close(image_of(encoded(picture, "JPEG", quality=90)), image_of(picture), 0.01)
    assert np.allclose(
        first(encoded(picture, "JPEG", quality=90)).box, ink_box(np.asarray(picture.convert("L")) < 128), atol=25
    )


def test_a_heic_file_without_its_library_is_an_error_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = (24).to_bytes(4, "big") + b"ftypheic" + bytes(200)
    with pytest.raises(MissingExtraError) as caught:
        intensities_of(data, "five.heic")
    assert str(caught.value) == (
        "five.heic is a HEIC picture; reading it needs pillow-heif, which is not installed; install it with: "
        'pip install "sumnist[heic]"'
    )


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_heic_file_with_its_library_is_read_the_way_up_it_was_taken(
    monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    heif = import_module("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = orientation
    held = drawing(mode="RGB").transpose(Image.Transpose.ROTATE_90) if orientation == 6 else drawing(mode="RGB")
    stream = BytesIO()
    heif.from_pillow(held).save(stream, quality=95, exif=exif.tobytes())
    assert stream.getvalue()[4:12] == b"ftypheic"
    assert close(image_of(stream.getvalue()), image_of(drawing()), 0.02)


def test_a_webp_that_takes_much_memory_is_refused() -> None:
    data = encoded(Image.new("L", (4_100, 4_000)), "WEBP")
    assert message(data) == "picture: too large, expected at most 16 million pixels: crop it or scale it down"


# Errors


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "five.png"
    assert message(path) == f"{path}: does not exist, expected a picture: check the name"
    assert message(str(path)) == message(path)


def test_a_folder(tmp_path: Path) -> None:
    assert message(tmp_path) == f"{tmp_path}: is a folder, expected a picture: name a file in it"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "pipe"
    assert message(path) == f"{path}: not a plain file, expected a picture: copy it to a file first"


def test_names_that_no_file_has() -> None:
    assert message("a\0b.png") == "'a\\x00b.png': not a file name, expected the path of a picture: check the name"
    assert message("n" * 5000).endswith("(file name too long), expected a picture: check its name and permissions")


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "five.png"
    path.touch()
    assert message(path) == f"{path}: empty, expected a picture: copy or save it again"
    assert message(b"") == "picture: empty, expected a picture: copy or save it again"


def test_what_is_not_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "five.png"
    path.write_text("five")
    expected = "not a picture, expected PNG, JPEG or another format that Pillow opens: save it as PNG"
    assert message(path) == f"{path}: {expected}"
    assert message(b"five", name="upload.png") == f"upload.png: {expected}"
    assert message(encoded(drawing(mode="RGB", ink="black", ground="white"), "EPS")) == f"picture: {expected}"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP"])
def test_a_cut_picture(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "five"
    data = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)), kind)
    path.write_bytes(data[: len(data) // 2])
    assert message(path) == f"{path}: corrupt or cut short, expected a whole picture: copy or save it again"


@pytest.mark.parametrize("brightness", [0, 120, 255])
def test_a_blank_picture_is_no_error_and_proposes_nothing(brightness: int, tmp_path: Path) -> None:
    path = tmp_path / "five.png"
    Image.new("L", (100, 100), brightness).save(path)
    assert every(path) == []


def test_a_dot_the_grain_of_white_paper_and_images_of_one_grey_propose_nothing() -> None:
    dot = np.full((100, 100), 255, np.uint8)
    dot[50:52, 50:53] = 0
    paper = np.random.default_rng(0).integers(247, 253, (100, 100)).astype(np.uint8)
    for picture in (dot, paper, paper[:28, :28], np.zeros((28, 28), np.uint8), np.ones((28, 28))):
        assert every(picture) == []


def test_a_picture_needs_8_pixels_on_its_longer_side() -> None:
    expected = "expected at least 8 on the longer side: use a larger picture"
    assert message(np.zeros((7, 5), np.uint8)) == f"picture: 5×7 pixels, {expected}"
    assert message(encoded(Image.new("L", (7, 7)))) == f"picture: 7×7 pixels, {expected}"
    assert message(np.zeros((0, 30))) == f"picture: 30×0 pixels, {expected}"
    for height, width in ((8, 1), (1, 8), (7, 30), (8, 8)):
        values = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
        assert intensities_of(values).grey.shape == (height, width)
        assert np.array_equal(intensities_of(encoded(Image.fromarray(values))).grey, np.float32(values / 255))
    image_of(drawing(size=8, width=1))


@pytest.mark.parametrize("side", [8_001, 11_000, 30_000])
def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(side: int) -> None:
    # A header that promises side × side pixels, and nothing behind it: 8,001² is over the limit, 11,000² makes Pillow
    # warn, 30,000² makes it raise.
    data = bytearray(encoded(Image.new("L", (8, 8))))
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert message(bytes(data)) == "picture: too large, expected at most 64 million pixels: crop it or scale it down"


def test_arrays_of_a_wrong_shape() -> None:
    mend = "put the channels last, and give several pictures as a list"
    for shape, shown in [((28, 28, 5), "28×28×5"), ((2, 1, 28, 28), "2×1×28×28"), ((784,), "784"), ((), "none")]:
        assert message(np.zeros(shape, np.uint8)) == (
            f"picture: array of shape {shown}, expected [height, width] or [height, width, 1 to 4 channels]: {mend}"
        )
    assert message(np.zeros((1, 28, 28), np.uint8)).startswith("picture: array of shape 1×28×28, expected")


@pytest.mark.parametrize("dtype", ["int64", "uint16", "bool", "complex128", "object", "<U3"])
def test_arrays_of_a_wrong_type(dtype: str) -> None:
    assert message(np.zeros((28, 28), dtype)) == (
        f"picture: array of {np.dtype(dtype)}, expected uint8 (0 to 255) or floats (0 to 1): convert it, such as with "
        'array.astype("uint8")'
    )


def test_arrays_with_values_out_of_range() -> None:
    high, low, strange = AS_FLOAT * 255, AS_FLOAT - 1, AS_FLOAT.copy()
    mend = "divide by the largest value there can be, or give uint8"
    assert message(high) == f"picture: array of floats from 0 to 255, expected 0 to 1: {mend}"
    assert message(low) == f"picture: array of floats from -1 to 0, expected 0 to 1: {mend}"
    for value in (np.nan, np.inf):
        strange[0, 0] = value
        assert message(strange) == (
            "picture: array with NaN or infinite values, expected floats from 0 to 1: replace them first"
        )


def test_32_bit_pictures_with_values_out_of_range() -> None:
    assert message(Image.fromarray(np.full((9, 9), -1.0, np.float32))) == (
        "picture: values from -1 to -1, expected finite ones from 0: save it as 8-bit PNG"
    )
    assert "values from nan to nan" in message(Image.fromarray(np.full((9, 9), np.nan, np.float32)))
    large = np.zeros((1100, 1100), np.float32)
    large[-1, -1] = np.nan
    assert "values from nan to nan" in message(Image.fromarray(large))  # also where a later strip alone has it


def test_objects_of_another_kind() -> None:
    assert message(7) == "picture: int, expected a path, bytes, a PIL image or a numpy array"
    assert message(None, "first") == "first: NoneType, expected a path, bytes, a PIL image or a numpy array"


def test_a_closed_picture(tmp_path: Path) -> None:
    path = tmp_path / "five.png"
    drawing().save(path)
    with Image.open(path) as picture:
        pass
    assert message(picture) == f"{path}: corrupt or cut short, expected a whole picture: copy or save it again"


PNG = encoded(drawing(size=40, width=4), exif=bytes(Image.Exif()))
JPEG = encoded(drawing(size=40, width=4), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([PNG, JPEG]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    st.integers(0, 10_000),
    st.booleans(),
)
def test_no_bytes_raise_anything_but_an_image_error(
    data: bytes, changes: list[tuple[int, int]], length: int, cut: bool
) -> None:
    mutated = bytearray(data)
    for place, value in changes:
        mutated[place % len(data)] = value
    check_outcome(bytes(mutated[: length % len(data)] if cut else mutated))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([b"", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"P5 ", b"\0\0\1\0", b"8BPS", PNG[:8]]), st.binary())
def test_no_made_up_file_raises_anything_but_an_image_error(start: bytes, rest: bytes) -> None:
    check_outcome(start + rest)


def check_outcome(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = images_or_message(data)
    if isinstance(images, str):
        assert images.startswith("picture: ")
        return
    for image in images:
        assert image.shape == (28, 28)
        assert np.isfinite(image).all()


@pytest.mark.parametrize("error", [MemoryError(), OSError("codec error -9: out of memory when reading image file")])
def test_a_picture_that_needs_more_memory_than_there_is_says_so(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def none_left(*_: object) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", none_left)
    expected = "picture: needs more memory than there is, expected a smaller picture: crop it or scale it down"
    assert message(encoded(drawing())) == expected

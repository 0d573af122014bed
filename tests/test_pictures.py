"""Pictures: what is decoded, what is refused, what a plain one looks like, and the steps to its digit as drawn."""

from __future__ import annotations

import os
import sys
import warnings
import zlib
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

import drawings
from drawings import AS_FLOAT, SEVEN, TEST, close, drawing, encoded, first, image_of, message, plain
from sumnist.config import InkColour
from sumnist.data.mnist import load_mnist
from sumnist.errors import MissingExtraError
from sumnist.inference.reader import Reader
from sumnist.pictures.decode import Intensities, Picture, intensities_of
from sumnist.pictures.normalize import ready_arrays
from sumnist.pictures.proposals import LineProposal, forms, line_of

Grey = NDArray[np.float32]

TRAIN = load_mnist("train").images[:40]

# What is decoded.

PRINTED = drawing(mode="RGB", ink="black", ground="white")
NAVY = drawing(mode="RGB", ink="navy", ground="ivory")
CLEAR = drawing(mode="RGBA", ink=(0, 0, 0, 255), ground=(0, 0, 0, 0))
PALETTE = drawing(mode="P", ink=1, ground=0)
PALETTE.putpalette([0, 0, 0, 0, 0, 0])
NEUTRAL = Image.new("L", (280, 280), 128)
SIXTEEN = Image.fromarray(np.asarray(drawing(ink=3, ground=77)).astype(np.uint16) * 257)
"""16 bits, of which few are used: to be scaled, not cut."""
SAME: dict[str, tuple[Picture, float]] = {
    **{kind: (encoded(PRINTED, kind), 0.01) for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA")},
    "transparent": (encoded(CLEAR), 0.001),
    "transparent bytes": (np.asarray(CLEAR), 0.001),
    "transparent floats": (np.asarray(CLEAR) / 255, 0.001),
    "transparent grey": (np.asarray(drawing(mode="LA", ink=(0, 255), ground=(0, 0))) / 255, 0.001),
    "transparent palette": (encoded(PALETTE, transparency=0), 0.001),
    "one bit": (encoded(drawing(mode="1", ink=0, ground=1)), 0.001),
    "coloured": (encoded(NAVY), 0.005),
    "CMYK": (encoded(NAVY.convert("CMYK"), "JPEG"), 0.02),
    "HSV": (PRINTED.convert("HSV"), 0.005),
    "LAB": (Image.merge("LAB", (drawing(), NEUTRAL, NEUTRAL)), 0.001),
    "16-bit PNG": (encoded(SIXTEEN), 0.001),
    "16-bit TIFF": (encoded(SIXTEEN, "TIFF"), 0.001),
    **{
        f"ink {ink} on {ground}": (drawing(ink=ink, ground=ground), 0.002)
        for ink, ground in [(255, 0), (30, 200), (210, 40), (100, 130), (128, 255), (60, 0)]
    },
}


@pytest.mark.parametrize(("picture", "within"), SAME.values(), ids=SAME)
def test_the_same_drawing_in_any_format_mode_and_brightness_gives_the_same_image(
    picture: Picture, within: float
) -> None:
    assert close(image_of(picture), image_of(drawing()), within)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation: int) -> None:
    data = encoded(drawing(size=120), "PNG", exif=turned(orientation))
    with Image.open(BytesIO(data)) as picture:
        assert np.array_equal(image_of(data), image_of(ImageOps.exif_transpose(picture)))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_heic_file_with_its_library_is_read_the_way_up_it_was_taken(
    monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    heif = import_module("pillow_heif")
    held = PRINTED.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else PRINTED
    stream = BytesIO()
    heif.from_pillow(held).save(stream, quality=95, exif=turned(orientation).tobytes())
    assert stream.getvalue()[4:12] == b"ftypheic"
    assert close(image_of(stream.getvalue()), image_of(drawing()), 0.02)


def test_a_heic_file_without_its_library_is_an_error_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtraError, match=r'^five\.heic is a HEIC .* pip install "sumnist\[heic\]"$'):
        intensities_of((24).to_bytes(4, "big") + b"ftypheic" + bytes(200), "five.heic")


def test_a_path_as_text_or_as_path_bytes_and_arrays_all_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "seven.png"
    Image.fromarray(SEVEN).save(path)
    rgb = np.repeat(SEVEN[:, :, None], 3, 2)
    opaque = np.concatenate([rgb, np.full_like(rgb[:, :, :1], 255)], 2)
    for picture in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), SEVEN[:, :, None], rgb, opaque):
        assert np.array_equal(image_of(picture), AS_FLOAT)
    for array in (AS_FLOAT, AS_FLOAT[:, :, None], opaque / 255, np.stack([AS_FLOAT, np.ones_like(AS_FLOAT)], 2)):
        assert np.allclose(image_of(array), AS_FLOAT, atol=1e-6)


# What is refused.

NOT_A_PICTURE = "not a picture, expected PNG, JPEG or another format that Pillow opens: save it as PNG"
CUT_SHORT = "corrupt or cut short, expected a whole picture: copy or save it again"
AT_LEAST = "expected at least 8 on the longer side: use a larger picture"
OF_ANOTHER_KIND = "expected a path, bytes, a PIL image or a numpy array"
OUT_OF_RANGE = "expected 0 to 1: divide by the largest value there can be, or give uint8"
NO_NUMBER = np.where(np.arange(784).reshape(28, 28) == 9, np.nan, AS_FLOAT)
LARGE = np.zeros((1100, 1100), np.float32)
LARGE[-1, -1] = np.nan
REFUSED: list[tuple[Any, str]] = [
    (b"five", NOT_A_PICTURE),
    (encoded(PRINTED, "EPS"), NOT_A_PICTURE),
    (b"", "empty, expected a picture: copy or save it again"),
    (encoded(Image.new("L", (4_100, 4_000)), "WEBP"),
     "too large, expected at most 16 million pixels: crop it or scale it down"),
    (np.zeros((7, 5), np.uint8), f"5×7 pixels, {AT_LEAST}"),
    (encoded(Image.new("L", (7, 7))), f"7×7 pixels, {AT_LEAST}"),
    (np.zeros((0, 30)), f"30×0 pixels, {AT_LEAST}"),
    *((np.zeros(shape, np.uint8), f"array of shape {shown}, expected [height, width] or [height, width, 1 to 4 "
       "channels]: put the channels last, and give several pictures as a list")
      for shape, shown in [((28, 28, 5), "28×28×5"), ((784,), "784"), ((), "none"), ((1, 28, 28), "1×28×28")]),
    *((np.zeros((28, 28), dtype), f"array of {np.dtype(dtype)}, expected uint8 (0 to 255) or floats (0 to 1): convert "
       'it, such as with array.astype("uint8")')
      for dtype in ("int64", "uint16", "bool", "complex128", "object", "<U3")),
    (AS_FLOAT * 255, f"array of floats from 0 to 255, {OUT_OF_RANGE}"),
    (AS_FLOAT - 1, f"array of floats from -1 to 0, {OUT_OF_RANGE}"),
    (NO_NUMBER, "array with NaN or infinite values, expected floats from 0 to 1: replace them first"),
    (Image.fromarray(np.full((9, 9), -1.0, np.float32)),
     "values from -1 to -1, expected finite ones from 0: save it as 8-bit PNG"),
    (Image.fromarray(LARGE), "values from nan to nan, expected finite ones from 0: save it as 8-bit PNG"),
    (7, f"int, {OF_ANOTHER_KIND}"),
    (None, f"NoneType, {OF_ANOTHER_KIND}"),
]  # fmt: skip


@pytest.mark.parametrize(("picture", "expected"), REFUSED)
def test_what_is_no_picture_is_refused_with_what_was_given_and_expected(picture: Any, expected: str) -> None:
    assert message(picture) == f"picture: {expected}"
    assert message(picture, "upload.png") == f"upload.png: {expected}"


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "five.png"
    assert message(path) == message(str(path)) == f"{path}: does not exist, expected a picture: check the name"
    assert message(tmp_path) == f"{tmp_path}: is a folder, expected a picture: name a file in it"
    path.touch()
    assert message(path) == f"{path}: empty, expected a picture: copy or save it again"
    drawing().save(path)
    with Image.open(path) as closed:
        pass
    assert message(closed) == f"{path}: {CUT_SHORT}"
    assert message("a\0b.png") == "'a\\x00b.png': not a file name, expected the path of a picture: check the name"
    assert message("n" * 5000).endswith("(file name too long), expected a picture: check its name and permissions")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert message(tmp_path / "pipe").startswith(f"{tmp_path / 'pipe'}: not a plain file")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP"])
def test_a_cut_picture(kind: str) -> None:
    data = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)), kind)
    assert message(data[: len(data) // 2]) == f"picture: {CUT_SHORT}"


@pytest.mark.parametrize("side", [8_001, 11_000, 30_000])
def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(side: int) -> None:
    # A header that promises side × side pixels, and nothing behind it: 8,001² is over the limit, 11,000² makes Pillow
    # warn, 30,000² makes it raise.
    data = bytearray(encoded(Image.new("L", (8, 8))))
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert message(bytes(data)) == "picture: too large, expected at most 64 million pixels: crop it or scale it down"


PNG = encoded(drawing(size=40, width=4), exif=bytes(Image.Exif()))
JPEG = encoded(drawing(size=40, width=4), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00")
STARTS = [b"", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"P5 ", b"\0\0\1\0", b"8BPS", PNG[:8]]
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6)


def damaged(data: bytes, changes: list[tuple[int, int]], length: int) -> bytes:
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(data)] = value
    return bytes(changed[: length % (2 * len(data))])  # half of the time not cut


@settings(max_examples=150, deadline=None)
@given(
    st.builds(damaged, st.sampled_from([PNG, JPEG]), CHANGES, st.integers(0, 10_000))
    | st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary())
)
def test_no_bytes_raise_anything_but_an_image_error(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = drawings.images_or_message(data)
    if isinstance(images, str):
        assert images.startswith("picture: ")
    else:
        assert all(image.shape == (28, 28) and np.isfinite(image).all() for image in images)


# The image of a digit.


def test_arrays_of_mnist_are_ready_and_others_are_not() -> None:
    images = [*TEST.images[:100], *TEST.images[:100] // 2, *(255 - TEST.images[:100]), SEVEN[1:], SEVEN / 255]
    found = ready_arrays([*images, Image.fromarray(SEVEN)])
    assert sorted(found) == list(range(100))
    assert all(np.array_equal(found[place], image_of(images[place])) for place in found)


@pytest.mark.parametrize("width", [1, 2, 5, 14, 30])
@pytest.mark.parametrize("size", [60, 900])
def test_a_drawing_gets_mnists_size_place_and_brightness(width: int, size: int) -> None:
    image = image_of(drawing(width, size=size))
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    middles = np.array([image.sum(1), image.sum(0)]) @ np.arange(28) / image.sum()
    assert np.abs(middles - 14).max() <= 0.5
    assert image.max() == 1


# Plain looks: what is taken for the digit, where it lies, and what is in the way.

PAGE = 255 - np.pad(np.kron(SEVEN, np.ones((4, 4), np.uint8)), 20)
"""Dark ink in the middle of a page of 152×152."""


def test_ink_of_either_polarity_is_proposed_and_on_plain_ground_no_other() -> None:
    assert [one.how for one in plain(PAGE)] == ["dark ink"]
    assert [one.how for one in plain(255 - PAGE)] == ["light ink"]


PAPER = np.random.default_rng(0).integers(247, 253, (100, 100)).astype(np.uint8)


@pytest.mark.parametrize("picture", [*(np.full((100, 100), grey, np.uint8) for grey in (0, 120, 255)), PAPER,
                                     PAPER[:28, :28], np.zeros((28, 28), np.uint8), np.ones((28, 28))])  # fmt: skip
def test_on_a_blank_picture_and_the_grain_of_paper_there_is_nothing(reader: Reader, picture: Picture) -> None:
    assert plain(picture) == []
    assert line_of(intensities_of(picture)) is None
    assert reader.read(picture, 0).reason == "blank"


@pytest.mark.parametrize("side", range(4))
def test_a_digit_that_runs_out_of_the_picture_is_cut_off_but_not_a_tight_crop(side: int) -> None:
    cut, whole = list[bool](), list[bool]()
    for image in TRAIN[:40]:
        page = 255 - np.rot90(np.pad(np.kron(image, np.ones((6, 6), np.uint8)), 60), side)
        ink = np.flatnonzero((page < 128).any(1))
        cut.append(first(page[ink[0] + (ink[-1] - ink[0]) // 4 :]).problem == "cut off")
        top, bottom, left, right = drawings.ink_box(page < 215)
        whole += [one.problem == "cut off" for one in plain(page[top:bottom, left:right])]
    assert np.mean(cut) >= 0.9
    assert np.mean(whole) <= 0.05


def test_what_is_too_small_or_too_faint_is_told() -> None:
    small = np.full((200, 300), 255, np.uint8)
    small[50:54, 80:82] = 0
    faint = (np.asarray(drawing()).astype(int) // 17 + 230).astype(np.uint8)
    assert [first(picture).problem for picture in (small, faint, drawing())] == ["too small", "faint", None]


SHAPES = st.tuples(st.integers(1, 45), st.integers(8, 45)) | st.tuples(st.integers(1, 6), st.integers(8, 1024))


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.sampled_from(["auto", "dark", "light"]))
def test_any_picture_is_looked_at_for_digits_and_lines_of_the_ink_that_is_known(
    shape: tuple[int, int], seed: int, ruled: bool, upright: bool, ink: InkColour
) -> None:
    random = np.random.default_rng(seed)
    (down, across), step, (grey, other) = np.indices(shape), random.integers(1, 9, 2), random.random(2)
    lines = np.where((down % step[0] == 0) | (across % step[1] == 0), grey, other)
    values = (lines if ruled else random.random(shape)).astype(np.float32)
    values = values.T if upright else values
    height, width = values.shape
    digits, line = plain(values, ink), line_of(Intensities(values), ink)
    rows = [line, *forms(line)] if line else []
    for proposal in digits:
        assert proposal.image.dtype == np.float32
        assert proposal.image.shape == (28, 28)
        assert 0 <= proposal.image.min() <= proposal.image.max() <= 1
        assert 0 < proposal.weight <= 1
        assert ink == "auto" or proposal.dark == (ink == "dark")
    assert all(np.isfinite(row.image).all() for row in rows)
    for top, bottom, left, right in [digit.box for digit in digits] + [row.box for row in rows]:
        assert 0 <= top < bottom <= height
        assert 0 <= left < right <= width


# Lines of digits.

ROW = np.ones((70, 200), np.float32)
"""Ten strokes beside each other, about as many along the line's height as hands write, dark on light."""
for LEFT in range(40, 160, 12):
    ROW[20:50, LEFT : LEFT + 5] = 0


def line_on(grey: Grey, **given: Any) -> LineProposal:
    line = line_of(Intensities(grey), **given)
    assert line is not None
    return line


@pytest.mark.parametrize("dark", [True, False])
def test_a_picture_without_its_empty_margins_is_the_line_with_its_ink_light_on_dark(dark: bool) -> None:
    line = line_on(ROW if dark else 1 - ROW)
    down, right = round(0.09 * 30), round(0.25 * 30)
    box = 20 - down, 50 + down, 40 - right, 153 + right
    assert (line.how, line.weight, line.box) == ("dark ink" if dark else "light ink", 1, box)
    assert line.image.shape == (box[1] - box[0], box[3] - box[2])
    assert np.allclose(line.image, 1 - ROW[box[0] : box[1], box[2] : box[3]], atol=1e-6)
    told = [line_on(ROW if dark else 1 - ROW, ink=ink).how for ink in ("dark", "light")]
    assert told == ["dark ink", "light ink"]


@pytest.mark.parametrize("error", [MemoryError(), OSError("codec error -9: out of memory when reading image file")])
def test_a_picture_that_needs_more_memory_than_there_is_says_so(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def none_left(*_: object) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", none_left)
    expected = "picture: needs more memory than there is, expected a smaller picture: crop it or scale it down"
    assert message(encoded(drawing())) == expected

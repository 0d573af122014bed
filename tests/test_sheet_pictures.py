"""All pixels of pictures and of pages of PDF files, in grey and in colours; those that are refused, with what to do."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from sumnist.errors import FormatError, ImageError, MissingExtraError, SizeError
from sumnist.pictures.decode import intensities_of
from sumnist.sheets.pictures import PdfPage, colours_of, grey_of, is_pdf, pages_of


def scene(height: int = 300, width: int = 200) -> NDArray[np.uint8]:
    """A picture in colours, of which no two parts are alike."""
    rng = np.random.default_rng(5)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (9, 6, 3), np.uint8)).resize((width, height)))


def saved(path: Path, picture: Image.Image, **told: Any) -> Path:
    picture.save(path, **told)
    return path


# Pictures.


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "CMYK", "I;16", "LAB"])
def test_all_pixels_are_as_the_small_ones_are(mode: str) -> None:
    grey = Image.fromarray(scene()).convert("L")
    picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else None
    if mode == "LAB":
        picture = Image.merge("LAB", [grey, grey, grey])
    picture = picture or Image.fromarray(scene()).convert(mode)
    pixels = grey_of(picture)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (300, 200)
    assert np.abs(pixels / 255 - intensities_of(picture).grey).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_of_32_bits_are_scaled_by_their_white(mode: str) -> None:
    values = np.asarray(Image.fromarray(scene(1_500, 900)).convert("L"))
    picture = Image.fromarray(values.astype({"I": np.int32, "F": np.float32}[mode]))
    assert (grey_of(picture) == values).all()


def test_a_large_picture_is_not_reduced_and_its_strips_fit_together() -> None:
    large = Image.fromarray(scene(2_500, 1_700))
    assert (grey_of(large) == np.asarray(large.convert("L"))).all()


def test_transparent_parts_of_a_picture_are_white() -> None:
    picture = Image.new("RGBA", (1_200, 1_100), (0, 0, 0, 0))
    picture.putpixel((3, 2), (0, 0, 0, 255))
    pixels = grey_of(picture)
    assert pixels[2, 3] == 0
    assert np.count_nonzero(pixels != 255) == 1


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pixels_are_upright_however_the_camera_was_held(orientation: int, kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"picture.{kind}", Image.fromarray(scene()), format=kind, exif=exif)
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)
    assert colours_of(path).tobytes() == upright.tobytes()
    assert np.abs(grey_of(path) - np.asarray(upright.convert("L"), int)).max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "CMYK", "I;16", "I", "F"])
def test_colours_are_those_of_the_picture_and_as_bright_as_its_grey(mode: str) -> None:
    picture = Image.fromarray(scene()).convert({"I;16": "I"}.get(mode, mode))
    if mode in ("I", "F", "I;16"):
        picture = Image.fromarray(np.asarray(picture) * (257 if mode != "F" else 1)).convert(mode)
    found = colours_of(picture)
    assert (found.mode, found.size) == ("RGB", (200, 300))
    assert np.abs(np.asarray(found.convert("L")).astype(int) - grey_of(picture)).max() <= 2
    if mode in ("RGB", "RGBA"):
        assert (np.asarray(found) == scene()).all()


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("nothing")
    with pytest.raises(FormatError, match=r"a\.png: not a picture"):
        grey_of(tmp_path / "a.png")
    with pytest.raises(SizeError, match="picture: too large, expected at most 64 million pixels"):
        grey_of(Image.new("1", (8_001, 8_000)))
    with pytest.raises(ImageError, match="scan: 3×2 pixels, expected at least 8"):
        grey_of(np.zeros((2, 3), np.uint8), "scan")


# PDF files.


def document(path: Path, width: float = 210, height: float = 297, pages: int = 1, password: str = "") -> str:
    """A PDF file whose pages, in millimetres, have a black square of 50 mm and pale lines from the middle on."""
    lock = StandardEncryption(password) if password else None
    canvas = Canvas(str(path), (width * mm, height * mm), encrypt=lock)
    for _ in range(pages):
        canvas.rect(0, (height - 50) * mm, 50 * mm, 50 * mm, fill=1)
        canvas.setFillColorRGB(180 / 255, 203 / 255, 226 / 255)
        canvas.rect(width / 2 * mm, 0, width / 2 * mm, height / 2 * mm, stroke=0, fill=1)
        canvas.showPage()
    canvas.save()
    return str(path)


def refused(page: PdfPage, error: type[ImageError] = ImageError) -> str:
    with pytest.raises(error) as caught:
        grey_of(page)
    return str(caught.value)


def test_a_page_has_200_pixels_to_an_inch(tmp_path: Path) -> None:
    path = document(tmp_path / "a.pdf", pages=3)
    assert pages_of(path) == 3
    pixels = grey_of(PdfPage(path, 3))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (2339, 1654)
    square = round(50 * 200 / 25.4)
    assert (pixels[: square - 2, : square - 2] == 0).all()
    assert (pixels[: square - 2, square + 3 :] == 255).all()
    assert pixels[-5, -5] == pytest.approx(0.78 * 255, abs=2)


def test_a_page_has_its_colours_at_the_same_pixels(tmp_path: Path) -> None:
    page = PdfPage(document(tmp_path / "a.pdf"), 1)
    found = colours_of(page)
    assert (found.mode, found.size) == ("RGB", (1654, 2339))
    assert np.abs(np.array(found.getpixel((1650, 2335))) - (180, 203, 226)).max() <= 1
    assert np.abs(np.asarray(found.convert("L")).astype(int) - grey_of(page)).max() <= 3


def test_without_the_extra_pictures_are_opened_and_pdf_files_ask_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = document(tmp_path / "a.pdf")
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert colours_of(scene()).size == (200, 300)
    for call in (pages_of, lambda _: colours_of(PdfPage(path, 1))):
        with pytest.raises(MissingExtraError) as caught:
            call(path)
        assert str(caught.value) == (
            f"{path} is a PDF; reading it needs pypdfium2, which is not installed; install it with: pip install "
            '"sumnist[sheets]"'
        )


@pytest.mark.parametrize(
    ("sides", "shape"),
    [((1_000, 1_414), (4_096, 2_897)), ((70, 99), (2_000, 1_414)), ((297, 420), (3_308, 2_339))],
)
def test_a_page_that_is_not_as_large_as_paper_has_a_useful_size(
    sides: tuple[float, float], shape: tuple[int, int], tmp_path: Path
) -> None:
    pixels = grey_of(PdfPage(document(tmp_path / "a.pdf", *sides), 1))
    assert np.abs(np.subtract(pixels.shape, shape)).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(6_000, 100), (200, 20_000), (2, 50)])
def test_a_page_without_a_useful_size_is_refused_with_it(width: float, height: float, tmp_path: Path) -> None:
    path = document(tmp_path / "a.pdf", width, height)
    assert refused(PdfPage(path, 1), SizeError) == (
        f"{path}#page=1: {width:,}×{height:,} mm, expected sides of 5 to 5,080 mm: save it in the size of its paper"
    )


def test_a_page_with_a_huge_picture_in_it_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a.pdf", Image.new("1", (16_000, 8_001)), resolution=1_200)
    assert refused(PdfPage(str(tmp_path / "a.pdf"), 1), SizeError) == (
        f"{tmp_path / 'a.pdf'}#page=1: has a picture of 16,000×8,001 pixels in it, expected at most 128 million: scan "
        "it at 300 for each inch"
    )


def test_a_locked_pdf_is_refused(tmp_path: Path) -> None:
    path = document(tmp_path / "a.pdf", password="secret")
    told = f"{path}: is locked with a password, expected an open PDF: save it again without one"
    assert refused(PdfPage(path, 1)) == told
    with pytest.raises(ImageError) as error:
        pages_of(path)
    assert str(error.value) == told


@pytest.mark.parametrize("data", [b"nothing", b"%PDF-1.4\n"])
def test_a_file_that_is_no_pdf_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(data)
    assert refused(PdfPage(str(tmp_path / "a.pdf"), 1)) == (
        f"{tmp_path / 'a.pdf'}: is no PDF, or damaged, expected a whole one: copy or save it again"
    )


def test_a_pdf_that_is_damaged_anywhere_is_read_or_refused(tmp_path: Path) -> None:
    whole = Path(document(tmp_path / "whole.pdf", pages=2)).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.pdf"
    for _ in range(30):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 8):
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data[: rng.integers(len(data) // 2, len(data))]))
        try:
            assert grey_of(PdfPage(str(path), 1)).ndim == 2
        except ImageError as error:
            assert str(error).startswith(str(path))  # noqa: PT017


def test_a_page_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = document(tmp_path / "a.pdf", pages=2)
    for number in (0, 3, -1):
        assert refused(PdfPage(path, number)) == (
            f"{path}#page={number}: there is no such page, expected 1 to 2: name one of these"
        )
    missing = str(tmp_path / "none.pdf")
    assert refused(PdfPage(missing, 1)) == f"{missing}: does not exist, expected a picture: check the name"
    assert refused(PdfPage(str(tmp_path), 1)).startswith(f"{tmp_path}: is a folder")


def test_of_many_pages_one_is_open_at_a_time_and_none_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = document(tmp_path / "a.pdf", pages=500)
    opened: list[pypdfium2.PdfDocument] = []

    class Counted(pypdfium2.PdfDocument):  # type: ignore[misc]
        def __init__(self, *given: object) -> None:
            assert all(not document.raw for document in opened)
            opened.append(self)
            super().__init__(*given)

    monkeypatch.setattr(pypdfium2, "PdfDocument", Counted)
    assert pages_of(path) == 500
    assert grey_of(PdfPage(path, 499)).shape == (2339, 1654)
    assert len(opened) == 2
    assert all(not document.raw for document in opened)


def test_a_page_has_a_name_and_can_be_sent_to_another_process() -> None:
    page = PdfPage("scans/a.pdf", 3)
    assert str(page) == "scans/a.pdf#page=3"
    assert pickle.loads(pickle.dumps(page)) == page
    assert [is_pdf(name) for name in ("a.pdf", Path("b.PDF"), "pdf", "a.pdf.png")] == [True, True, False, False]

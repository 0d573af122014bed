"""All pixels of pictures and of pages of PDF files, in grey and in colours; those that are refused, with what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from sumnist import sheets, tables
from sumnist.errors import ImageError, MissingExtraError, SizeError
from sumnist.pictures.decode import intensities_of, size_of
from sumnist.sheets.layout import Layout
from sumnist.sheets.pictures import FilePage, colours_of, grey_of, has_pages, pages_of


def scene(height: int = 300, width: int = 200) -> NDArray[np.uint8]:
    """A picture in colours, of which no two parts are alike."""
    rng = np.random.default_rng(5)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (9, 6, 3), np.uint8)).resize((width, height)))


# Pictures.


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "CMYK", "I;16", "I", "F"])
def test_all_pixels_are_as_the_small_ones_are_and_as_bright_in_colours_as_in_grey(mode: str) -> None:
    picture = Image.fromarray(scene()).convert({"I;16": "I"}.get(mode, mode))
    if mode in ("I", "I;16"):
        picture = Image.fromarray(np.asarray(picture) * 257).convert(mode)
    grey, colours = grey_of(picture), colours_of(picture)
    assert grey.dtype == np.uint8
    assert grey.shape == (300, 200)
    assert np.abs(grey / 255 - intensities_of(picture).grey).max() <= 0.5 / 255 + 1e-6
    assert (colours.mode, colours.size) == ("RGB", (200, 300))
    assert np.abs(np.asarray(colours.convert("L")).astype(int) - grey).max() <= 2
    if mode in ("RGB", "RGBA"):
        assert (np.asarray(colours) == scene()).all()


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


def test_a_page_has_200_pixels_to_an_inch_and_its_colours_at_the_same_pixels(tmp_path: Path) -> None:
    path = document(tmp_path / "a.pdf", pages=3)
    assert pages_of(path) == 3
    pixels, found = grey_of(FilePage(path, 3)), colours_of(FilePage(path, 1))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (2339, 1654)
    square = round(50 * 200 / 25.4)
    assert (pixels[: square - 2, : square - 2] == 0).all()
    assert (pixels[: square - 2, square + 3 :] == 255).all()
    assert pixels[-5, -5] == pytest.approx(0.78 * 255, abs=2)
    assert (found.mode, found.size) == ("RGB", (1654, 2339))
    assert np.abs(np.array(found.getpixel((1650, 2335))) - (180, 203, 226)).max() <= 1
    assert np.abs(np.asarray(found.convert("L")).astype(int) - pixels).max() <= 3


def test_without_the_extra_pictures_are_opened_and_pdf_files_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert colours_of(scene()).size == (200, 300)
    for call in (pages_of, lambda path: colours_of(FilePage(path, 1))):
        with pytest.raises(MissingExtraError, match=r'^a\.pdf is a PDF; .* pip install "sumnist\[sheets\]"$'):
            call("a.pdf")


@pytest.mark.parametrize(
    ("sides", "shape"), [((1_000, 1_414), (4_096, 2_897)), ((70, 99), (2_000, 1_414)), ((297, 420), (3_308, 2_339))]
)
def test_a_page_that_is_not_as_large_as_paper_has_a_useful_size(
    sides: tuple[float, float], shape: tuple[int, int], tmp_path: Path
) -> None:
    pixels = grey_of(FilePage(document(tmp_path / "a.pdf", *sides), 1))
    assert np.abs(np.subtract(pixels.shape, shape)).max() <= 1


SIDES = ", expected sides of 5 to 5,080 mm: save it in the size of its paper"
REFUSED: list[tuple[Callable[[Path], object], int, type[ImageError], str]] = [
    (lambda path: document(path, 6_000, 100), 1, SizeError, "#page=1: 6,000×100 mm" + SIDES),
    (lambda path: document(path, 200, 20_000), 1, SizeError, "#page=1: 200×20,000 mm" + SIDES),
    (lambda path: document(path, 2, 50), 1, SizeError, "#page=1: 2×50 mm" + SIDES),
    (lambda path: Image.new("1", (16_000, 8_001)).save(path, resolution=1_200), 1, SizeError,
     "#page=1: 16,000×8,001 pixels in a picture: scan it at 300 dpi"),
    (lambda path: document(path, password="secret"), 1, ImageError,
     ": is locked with a password, expected none: save it without one"),
    *((lambda path, data=data: path.write_bytes(data), 1, ImageError,
       ": is no PDF, or damaged, expected a whole one: copy or save it again") for data in (b"nothing", b"%PDF-1.4\n")),
    *((document, number, ImageError, f"#page={number}: there is no such page, expected 1 to 1: name one of these")
      for number in (-1, 0, 2)),
    (Path.exists, 1, ImageError, ": does not exist, expected a picture: check the name"),
    (Path.mkdir, 1, ImageError, ": is a folder, expected a picture: name a file in it"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "page", "error", "message"), REFUSED)
def test_a_page_that_is_of_no_use_is_refused_with_the_mend(
    tmp_path: Path, make: Callable[[Path], object], page: int, error: type[ImageError], message: str
) -> None:
    make(path := tmp_path / "a.pdf")
    with pytest.raises(error) as caught:
        grey_of(FilePage(str(path), page))
    assert str(caught.value) == f"{path}{message}"


# TIFF files.


def scan(path: Path, shades: tuple[int, ...] = (10, 90, 200), small_copy: bool = False) -> Path:
    """A TIFF file with a page of each shade, and perhaps with a smaller copy of the first one, as some cameras add."""
    pages = [Image.new("RGB", (60 + shade, 80), (shade, shade, 255)) for shade in shades]
    if small_copy:
        pages.append(pages[0].resize((7, 8)))
        pages[-1].encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


def test_every_page_of_a_tiff_is_read_from_a_file_and_from_its_bytes(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.tif", small_copy=True)
    for name, content in ((str(path), None), ("picture 1", path.read_bytes())):
        assert has_pages(name, content)
        assert pages_of(name, content) == 3
        for number, shade in enumerate((10, 90, 200), 1):
            page = FilePage(name, number, content)
            assert colours_of(page).size == (60 + shade, 80)
            assert colours_of(page).getpixel((5, 5)) == (shade, shade, 255)
            assert (grey_of(page) == grey_of(colours_of(page))).all()
        with pytest.raises(ImageError, match="#page=4: there is no such page, expected 1 to 3: name one of these"):
            grey_of(FilePage(name, 4, content))


def test_where_one_picture_is_read_a_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.tif")
    for picture, name in ((path, str(path)), (path.read_bytes(), "picture")):
        for read in (grey_of, colours_of, intensities_of, size_of):
            with pytest.raises(ImageError) as caught:
                read(picture)
            assert str(caught.value) == (
                f"{name}: has 3 pages, expected a single picture: save each page as a file of its own"
            )
    for damaged in (b"II*\0", path.read_bytes()[:2000]):
        path.write_bytes(damaged)
        with pytest.raises(ImageError, match=r"a\.tif: (corrupt or cut short|not a picture), expected"):
            pages_of(path)


@pytest.mark.parametrize("size", [(20_000, 20), (20, 20_000), (1_000, 2), (2, 1_000), (8, 1), (60_000, 1_000)])
@pytest.mark.parametrize("door", [partial(sheets.read, layout=Layout.of_line("9,7")), tables.read])
def test_a_picture_that_is_too_narrow_is_refused_before_any_library_sees_it(
    size: tuple[int, int], door: Callable[[Any], object]
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, size[::-1], np.uint8)
    with pytest.raises(SizeError, match="sides of at least 8, one of them at most 50 times the other: crop"):
        door(picture)


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
            assert grey_of(FilePage(str(path), 1)).ndim == 2
        except ImageError as error:
            assert str(error).startswith(str(path))  # noqa: PT017

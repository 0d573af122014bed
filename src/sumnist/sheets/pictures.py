"""Decodes any picture of a sheet, or page of a PDF or TIFF file, to all its pixels, in grey or in colour.

PDFium, which renders the PDFs, is not thread-safe: one page is rendered at a time, under the lock of all decoders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.errors import ImageError, MissingExtraError, SizeError
from sumnist.pictures import decode
from sumnist.pictures.decode import LIMITS, Picture, check_shape, decoding, plain_file

if TYPE_CHECKING:
    import pypdfium2

DPI = 200
"""Pixels per inch of a page: 8 per millimetre, at which handwriting is sharp."""
POINT = 25.4 / 72
"""Millimetres in a point."""
LONGER_SIDE = 2_000, 4_096
"""The least and the most pixels of a page's longer side. Many programs turn a photograph into a page that is smaller or
larger than the paper."""
SIDES = 5.0, 5_080.0
"""The least and the most millimetres of a page's sides; the PDF standard sets the most."""
MOST_INSIDE = 2 * LIMITS.most_pixels
"""The most pixels of a picture inside a page, which PDFium decodes as a whole. An A3 page at 600 pixels per inch has
fewer."""
TIFF_SUFFIXES = ".tif", ".tiff"
TIFF_STARTS = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
"""The first bytes of a TIFF file, by its byte order and the size of its offsets."""
PDF_MARK, PDF_MARK_WITHIN = b"%PDF-", 1024
"""What a PDF file begins with; viewers allow so many bytes up to its end."""
PASSWORD = 4
"""PDFium's error code for a document that is locked."""


class FilePage(NamedTuple):
    """A page of a PDF file, or of a TIFF file, as scanners write it.

    Attributes:
        path: The path of the file, or its name if there is `content`.
        page: The number of the page, from 1.
        content: The bytes of the file; if None, the file is opened.
    """

    path: str
    page: int
    content: bytes | None = None

    def __str__(self) -> str:
        return f"{self.path}#page={self.page}"


def has_pages(path: str | os.PathLike[str], content: bytes | None = None) -> bool:
    """Whether a file may have several pages: a PDF or TIFF file, by the bytes in `content`, or else by its name."""
    if content is None:
        return os.fsdecode(path).lower().endswith((".pdf", *TIFF_SUFFIXES))
    return is_tiff(path, content) or PDF_MARK in content[:PDF_MARK_WITHIN]


def is_tiff(path: str | os.PathLike[str], content: bytes | None = None) -> bool:
    """Whether a file is a TIFF file, by the first bytes in `content`, or else by its name."""
    return os.fsdecode(path).lower().endswith(TIFF_SUFFIXES) if content is None else content[:4] in TIFF_STARTS


def pages_of(path: str | os.PathLike[str], content: bytes | None = None) -> int:
    """How many pages a PDF or TIFF file has; the arguments are those of `FilePage`. Raises `ImageError`."""
    path = os.fsdecode(path)
    if is_tiff(path, content):
        with open_tiff(path, content) as picture:
            return len(decode.tiff_pages(picture))
    with open_pdf(path, content) as document:
        return len(document)


def grey_of(picture: Picture | FilePage, name: str | None = None) -> NDArray[np.uint8]:
    """All pixels of a picture, upright, or of a page of a file; a page of a PDF has 200 per inch if it is as large as
    paper.

    Args:
        picture: A picture as `intensities_of` takes it, or a page of a PDF or TIFF file.
        name: The name that messages use for a picture without a path.

    Returns:
        uint8 `[H, W]`, black to white; transparent parts are white.

    Raises:
        ImageError: It cannot be read: `FormatError` if it is no picture, `SizeError` if it is too large.
        MissingExtraError: It is a PDF or HEIC file, and the library for those is not installed.
    """
    return np.asarray(page_of(picture, "L")) if isinstance(picture, FilePage) else decode.pixels_of(picture, name)


def colours_of(picture: Picture | FilePage) -> Image.Image:
    """The same pixels as from `grey_of`, but in colour: an RGB picture."""
    return page_of(picture, "RGB") if isinstance(picture, FilePage) else decode.colours_of(picture)


def page_of(page: FilePage, mode: str) -> Image.Image:
    """A page as a picture of mode "L" or "RGB". Raises `ImageError`."""
    if is_tiff(page.path, page.content):
        with open_tiff(page.path, page.content) as picture:
            frames = decode.tiff_pages(picture)
            check_page(page, len(frames))
            picture.seek(frames[page.page - 1])
            colours = decode.colours_of if mode == "RGB" else decode.pixels_of
            return Image.fromarray(np.asarray(colours(picture, str(page))))
    with open_pdf(page.path, page.content) as document:
        check_page(page, len(document))
        from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

        sheet = document[page.page - 1]
        try:
            for item in sheet.get_objects([FPDF_PAGEOBJ_IMAGE]):
                size = item.get_metadata()
                if size.width * size.height > MOST_INSIDE:
                    raise SizeError(f"{page}: {size.width:,}×{size.height:,} pixels in a picture: scan it at 300 dpi")
            sides = sheet.get_size()
            width, height = (side * POINT for side in sides)
            if not SIDES[0] <= min(width, height) <= max(width, height) <= SIDES[1]:
                expected = f"sides of {SIDES[0]:.0f} to {SIDES[1]:,.0f} mm: save it in the size of its paper"
                raise SizeError(f"{page}: {width:,.0f}×{height:,.0f} mm, expected {expected}")
            pixels = min(max(LONGER_SIDE[0], DPI / 72 * max(sides)), LONGER_SIDE[1])
            bitmap = sheet.render(scale=float(pixels / max(sides)), grayscale=mode == "L")
            rendered: Image.Image = bitmap.to_pil().convert(mode)  # a copy: the bitmap ends with the document
            check_shape(rendered.size, str(page))
            return rendered
        finally:
            sheet.close()


def check_page(page: FilePage, count: int) -> None:
    """Raise `ImageError` if a file of `count` pages has no such page."""
    if not 1 <= page.page <= count:
        raise ImageError(f"{page}: there is no such page, expected 1 to {count}: name one of these")


@contextmanager
def open_tiff(path: str, content: bytes | None = None) -> Iterator[Image.Image]:
    """Open a TIFF file while no other thread decodes. Raises `ImageError` for any fault of the file."""
    with (
        plain_file(path) if content is None else BytesIO(content) as stream,
        decoding(path),
        Image.open(stream, formats=["TIFF"]) as picture,
    ):
        yield picture


@contextmanager
def open_pdf(path: str, content: bytes | None = None) -> Iterator[pypdfium2.PdfDocument]:
    """Open a PDF file while no other thread decodes. Raises `ImageError` for any fault of the file."""
    try:
        import pypdfium2
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error, f"{path} is a PDF; reading it") from error
    with plain_file(path) if content is None else BytesIO(content) as stream, decoding(path):
        try:
            document = pypdfium2.PdfDocument(stream)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) == PASSWORD or "password" in str(error).lower():
                raise ImageError(f"{path}: is locked with a password, expected none: save it without one") from error
            raise ImageError(f"{path}: is no PDF, or damaged, expected a whole one: copy or save it again") from error
        try:
            yield document
        finally:
            document.close()

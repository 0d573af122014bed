"""Decodes any picture of a sheet, or page of a PDF, to all its pixels, in grey or in colour.

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
from sumnist.pictures.decode import MOST_PIXELS, Picture, decoding, pixels_of, plain_file

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
MOST_INSIDE = 2 * MOST_PIXELS
"""The most pixels of a picture inside a page, which PDFium decodes as a whole. An A3 page at 600 pixels per inch has
fewer."""
PASSWORD = 4
"""PDFium's error code for a document that is locked."""


class PdfPage(NamedTuple):
    """A page of a PDF file.

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


def is_pdf(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends in .pdf."""
    return os.fsdecode(path).lower().endswith(".pdf")


def pages_of(path: str | os.PathLike[str], content: bytes | None = None) -> int:
    """How many pages a PDF file has; the arguments are those of `PdfPage`. Raises `ImageError`."""
    with opened(os.fsdecode(path), content) as document:
        return len(document)


def grey_of(picture: Picture | PdfPage, name: str | None = None) -> NDArray[np.uint8]:
    """All pixels of a picture, upright, or of a page of a PDF file, at 200 per inch if the page has the size of paper.

    Args:
        picture: A picture as `intensities_of` takes it, or a page of a PDF file.
        name: The name that messages use for a picture without a path.

    Returns:
        uint8 `[H, W]`, black to white; transparent parts are white.

    Raises:
        ImageError: It cannot be read: `FormatError` if it is no picture, `SizeError` if it is too large.
        MissingExtraError: It is a PDF or HEIC file, and the library for those is not installed.
    """
    return np.asarray(page_of(picture, "L")) if isinstance(picture, PdfPage) else pixels_of(picture, name)


def colours_of(picture: Picture | PdfPage) -> Image.Image:
    """The same pixels as from `grey_of`, but in colour: an RGB picture."""
    return page_of(picture, "RGB") if isinstance(picture, PdfPage) else decode.colours_of(picture)


def page_of(page: PdfPage, mode: str) -> Image.Image:
    """A page as a picture of mode "L" or "RGB". Raises `ImageError`."""
    with opened(page.path, page.content) as document:
        if not 1 <= page.page <= len(document):
            raise ImageError(f"{page}: there is no such page, expected 1 to {len(document)}: name one of these")
        from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

        sheet = document[page.page - 1]
        try:
            for item in sheet.get_objects([FPDF_PAGEOBJ_IMAGE]):
                told = item.get_metadata()
                if told.width * told.height > MOST_INSIDE:
                    raise SizeError(
                        f"{page}: has a picture of {told.width:,}×{told.height:,} pixels in it, expected at most "
                        f"{MOST_INSIDE // 10**6} million: scan it at 300 for each inch"
                    )
            sides = sheet.get_size()
            width, height = (side * POINT for side in sides)
            if not SIDES[0] <= min(width, height) <= max(width, height) <= SIDES[1]:
                raise SizeError(
                    f"{page}: {width:,.0f}×{height:,.0f} mm, expected sides of {SIDES[0]:.0f} to {SIDES[1]:,.0f} mm: "
                    "save it in the size of its paper"
                )
            pixels = min(max(LONGER_SIDE[0], DPI / 72 * max(sides)), LONGER_SIDE[1])
            bitmap = sheet.render(scale=float(pixels / max(sides)), grayscale=mode == "L")
            picture: Image.Image = bitmap.to_pil().convert(mode)  # a copy: the bitmap ends with the document
            return picture
        finally:
            sheet.close()


@contextmanager
def opened(path: str, content: bytes | None = None) -> Iterator[pypdfium2.PdfDocument]:
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
                raise ImageError(
                    f"{path}: is locked with a password, expected an open PDF: save it again without one"
                ) from error
            raise ImageError(f"{path}: is no PDF, or damaged, expected a whole one: copy or save it again") from error
        try:
            yield document
        finally:
            document.close()

"""What the QR code of a sheet says: which layout it is of, and whose it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import zxingcpp
from numpy.typing import NDArray

from sumnist.errors import SheetError
from sumnist.pictures.decode import Picture
from sumnist.sheets.layout import FORMAT, Layout
from sumnist.sheets.page import QUIET, Page
from sumnist.sheets.pictures import PdfPage, grey_of
from sumnist.sheets.registration import Registered, register
from sumnist.sheets.settling import settled

__all__ = ["Code", "code_of", "registered"]

SCALES = 8.0, 5.0, 12.0
"""Pixels of a millimetre at which the code is looked for, the first that mostly does first: a cell of it has 0.6 mm."""
QR = zxingcpp.barcode_formats_from_str("QRCode")
BINARIZERS = zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram
"""What makes grey black and white: with the light around it, and with that of all."""


class Code(NamedTuple):
    """What the QR code of a sheet says.

    Attributes:
        format: Of the pages of that time.
        layout: The id of its layout.
        version: That of its layout when it was printed.
        identity: Whose it is, "" if it is nobody's in particular.
    """

    format: int
    layout: str
    version: int
    identity: str


def registered(
    picture: Picture | PdfPage, layout: Layout, page: Page, name: str | None = None
) -> tuple[Registered, Code]:
    """The sheet in a picture, or on a page of a PDF file, and what its code says.

    Args:
        picture: What `intensities_of` takes, or a page of a PDF file.
        layout: That of the sheet.
        page: The page of the layout.
        name: What messages call a picture that has no path.

    Raises:
        ImageError: The picture cannot be read: `SheetError` if no sheet of that layout can be in it.
        MissingExtraError: It is a HEIC file, and the library for those is not installed.
    """
    name = name or (str(picture) if isinstance(picture, PdfPage | str | os.PathLike) else "picture")
    sheet = register(grey_of(picture, name), page, name)
    code = code_of(sheet, layout, name)
    return settled(sheet), code


def code_of(sheet: Registered, layout: Layout, name: str) -> Code:
    """What the code of a sheet says that is to be one of a layout, of any version.

    Raises:
        SheetError: No code can be read, it is not one of ours, or it is one of another layout.
    """
    for picture in pictures(sheet):
        for binarizer in BINARIZERS:
            for data in texts(picture, binarizer):
                return checked(parsed(data, name), layout, name)
    raise SheetError(
        f"{name}: its QR code cannot be read, expected the one that is printed on the sheet: photograph it sharp and "
        "uncovered"
    )


def pictures(sheet: Registered) -> Iterator[NDArray[np.uint8]]:
    """Pictures of the code of a sheet, and at last the whole picture."""
    place = sheet.page.code.grown(QUIET)
    for scale in SCALES:
        yield np.asarray(sheet.pixels(place, scale))
    yield sheet.grey


def texts(picture: NDArray[np.uint8], binarizer: zxingcpp.Binarizer) -> list[bytes]:
    """What the QR codes in a picture say."""
    found = zxingcpp.read_barcodes(picture, formats=QR, binarizer=binarizer)
    return [bytes(code.bytes) for code in found]


def parsed(data: bytes, name: str) -> Code:
    """A code from what it says. Raises `SheetError`."""
    try:
        program, form, layout, version, identity = data.decode().split(":", 4)
        if program != "sumnist":
            raise ValueError(program)
        return Code(int(form), layout, int(version), identity)
    except ValueError as error:
        said = data[:60].decode(errors="replace")
        raise SheetError(
            f"{name}: its QR code says {said!r}, expected one of `sumnist sheet new`: cover other codes in the picture"
        ) from error


def checked(code: Code, layout: Layout, name: str) -> Code:
    """The code, if it is one of a layout. Raises `SheetError`."""
    if code.format != FORMAT:
        raise SheetError(
            f"{name}: was printed in format {code.format}, expected {FORMAT}: read it with the sumnist that printed it"
        )
    if code.layout != layout.id:
        raise SheetError(
            f"{name}: is of layout {code.layout}, expected {layout.id}: read it with --layout of its own TOML file"
        )
    return code

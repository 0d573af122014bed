"""What the QR code of a sheet says: which layout it is of, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import zxingcpp
from numpy.typing import NDArray

from sumnist.errors import SheetError
from sumnist.sheets.layout import FORMAT, Layout
from sumnist.sheets.page import QUIET
from sumnist.sheets.registration import Registered

__all__ = ["Code", "code_of"]

SCALES = 8.0, 5.0, 12.0
"""Pixels of a millimetre at which the code is looked for, the first that mostly does first: a cell of it has 0.6 mm."""
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
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode, binarizer=binarizer)
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

"""What the QR code of a photographed sheet says, and from any picture to a sheet whose parts are known."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import segno
from PIL import Image

from sheet_photographs import as_jpeg, camera, printed, taken_by_hand, warped
from sumnist.errors import ImageError, SheetError
from sumnist.sheets.codes import Code, registered
from sumnist.sheets.layout import Layout
from sumnist.sheets.page import Page
from sumnist.sheets.people import Person
from sumnist.sheets.pictures import PdfPage
from sumnist.sheets.printing import pdf

EXAM = replace(Layout.of_line("9,7.5,13,12"), version=12)
PAGE = Page.of(EXAM)
SIZE = (1200, 1600)


def photograph(sheet: Image.Image, tilt: tuple[float, float] = (10, -5), blur: float = 0.7) -> Image.Image:
    return taken_by_hand(warped(sheet, PAGE, camera(PAGE, SIZE, tilt, 5), SIZE), blur, noise=4)


def coded(text: str | bytes | None) -> Image.Image:
    """A sheet with another code in the place of its own, or with none."""
    sheet, mm = printed(pdf(EXAM)).copy(), printed(pdf(EXAM)).width / PAGE.width
    place = PAGE.code.grown(2)
    left, top, right, low = (round(edge * mm) for edge in (place.x, place.y, place.right, place.bottom))
    sheet.paste(255, (left, top, right, low))
    if text is not None:
        segno.make(text, error="m", micro=False).save(data := BytesIO(), "png", scale=10, border=3)
        sheet.paste(Image.open(data).convert("L").resize((right - left, low - top)), (left, top))
    return sheet


def refused(sheet: Image.Image, layout: Layout = EXAM) -> str:
    with pytest.raises(SheetError) as error:
        registered(photograph(sheet), layout, PAGE, "photo")
    return str(error.value)


@pytest.mark.parametrize(
    "identity", ["", "1", "20731", "Ελένη Παπαδοπούλου", "Анна", "Ştefan Šťastný", "a:b c,d::", "ß" * 30, "é", "山田"]
)
def test_a_code_says_whose_sheet_it_is_in_any_script(identity: str) -> None:
    text = EXAM.code(identity)
    sheet = coded(text.encode())
    found, code = registered(as_jpeg(photograph(sheet)), EXAM, PAGE)
    assert code == Code(1, EXAM.id, 12, identity)
    assert found.error < 2


def test_the_printed_code_is_read() -> None:
    sheet = printed(pdf(EXAM, [Person("Zoë: 17")]))
    assert registered(photograph(sheet), EXAM, PAGE)[1] == Code(1, EXAM.id, 12, "Zoë: 17")


def test_another_version_of_a_layout_is_told_and_read() -> None:
    assert registered(photograph(coded(replace(EXAM, version=3).code("7"))), EXAM, PAGE)[1].version == 3


def test_a_dim_and_blurred_code_is_read() -> None:
    dim = np.asarray(photograph(printed(pdf(EXAM)), (0, 0), blur=1.7)) // 4 + 20
    assert registered(dim.astype(np.uint8), EXAM, PAGE)[1].layout == EXAM.id


def test_a_code_that_is_elsewhere_in_the_picture_is_found() -> None:
    sheet = coded(None)
    segno.make(EXAM.code("7"), error="m").save(data := BytesIO(), "png", scale=8, border=4)
    sheet.paste(Image.open(data).convert("L"), (400, 2200))
    assert registered(photograph(sheet), EXAM, PAGE)[1].identity == "7"


def test_a_sheet_without_a_code_is_refused() -> None:
    assert refused(coded(None)) == (
        "photo: its QR code cannot be read, expected the one that is printed on the sheet: photograph it sharp and "
        "uncovered"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://example.org", "'https://example.org'"),
        ("sumnist", "'sumnist'"),
        ("sumnist:1:abc:x:", "'sumnist:1:abc:x:'"),
        (b"\xff\xfe\xff:1:a:1:\xff", "'\ufffd\ufffd\ufffd:1:a:1:\ufffd'"),
    ],
)
def test_a_code_of_others_is_refused(text: str | bytes, shown: str) -> None:
    assert refused(coded(text)) == (
        f"photo: its QR code says {shown}, expected one of `sumnist sheet new`: cover other codes in the picture"
    )


def test_a_sheet_of_another_layout_or_format_is_refused() -> None:
    other = Layout.of_line("9,9")
    assert refused(printed(pdf(EXAM)), other) == (
        f"photo: is of layout {EXAM.id}, expected {other.id}: read it with --layout of its own TOML file"
    )
    assert refused(coded(f"sumnist:2:{EXAM.id}:1:")) == (
        "photo: was printed in format 2, expected 1: read it with the sumnist that printed it"
    )


def test_messages_name_the_file_and_the_page(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("L", (50, 50), "white").save(path)
    with pytest.raises(SheetError, match=r"photo\.png: no corner tag is found"):
        registered(path, EXAM, PAGE)
    Image.new("L", (50, 50), "white").save(path.with_suffix(".pdf"))
    with pytest.raises(SheetError, match=r"photo\.pdf#page=1: no corner tag is found"):
        registered(PdfPage(str(path.with_suffix(".pdf")), 1), EXAM, PAGE)
    with pytest.raises(ImageError, match="does not exist"):
        registered(tmp_path / "none.png", EXAM, PAGE)


def test_a_printed_pile_is_read_page_by_page(tmp_path: Path) -> None:
    (tmp_path / "pile.pdf").write_bytes(pdf(EXAM, [Person("17"), Person("18", "Ann")]))
    pages = [registered(PdfPage(str(tmp_path / "pile.pdf"), number), EXAM, PAGE) for number in (1, 2)]
    assert [code.identity for _, code in pages] == ["17", "18"]
    assert all(sheet.error < 0.1 and round(sheet.dpi) == 200 for sheet, _ in pages)

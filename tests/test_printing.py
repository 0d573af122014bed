"""Printed forms, looked at as a camera does: tags and code where the page has them, nothing cut, nothing left out."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
import zxingcpp
from numpy.typing import NDArray

from simulated_sheets import rendered as picture_of
from sumnist.cli import main
from sumnist.errors import DataError, LayoutError
from sumnist.formulas import Relation
from sumnist.sheets.layout import Field, Identity, Layout, Page, Person, Rectangle, read_people
from sumnist.sheets.printing import FONT, pdf

DPI = 200
MM = DPI / 25.4
"""Pixels of a millimetre."""

EXAM = Layout.of_line("9,7.5,13,12")
MANY = Layout.of_line(",".join(["13"] * 44), paper="Letter")
STOCK = Layout(
    "Απογραφή",
    (
        Field("paid", "Πληρωμένο ποσό σε λεπτά", "strip", 6, 999_999),
        Field("price", "Цена", "strip", 6, 999_999),
        Field("serial", "Serial number, on the back", "boxes", 12, 10**12 - 1),
        Field("change", "Rest", "strip", 6, 999_999),
    ),
    (Relation("change", ((1, "paid"), (-1, "price"))),),
    identity=Identity("digits", 8),
)


def rendered(data: bytes, page: int = 0) -> NDArray[np.uint8]:
    """A page as a grey picture `[H, W]`, at 200 pixels an inch."""
    return np.asarray(picture_of(data, DPI, page))


def texts(data: bytes) -> list[str]:
    """The text of each page."""
    with closing(pypdfium2.PdfDocument(data)) as document:
        return [page.get_textpage().get_text_range() for page in document]


def part(picture: NDArray[np.uint8], box: Rectangle) -> NDArray[np.uint8]:
    """The pixels of a rectangle."""
    top, bottom, left, right = (round(edge * MM) for edge in (box.y, box.bottom, box.x, box.right))
    return picture[top:bottom, left:right]


LAYOUTS = pytest.mark.parametrize("layout", [EXAM, MANY, STOCK], ids=["exam", "many", "stock"])


@LAYOUTS
def test_a_threshold_leaves_the_boxes_empty_and_finds_their_outlines(layout: Layout) -> None:
    picture = rendered(pdf(layout))
    for place in Page.of(layout).places:
        for box in (*place.boxes, *place.correction):
            assert part(picture, box.grown(0.5)).min() > 0.6 * 255
            assert (part(picture, box.grown(-0.5)) == 255).all()
            around = part(picture, box.grown(0.3))
            assert (around[[*range(5), *range(-5, 0)]].min(0) < 240).mean() > 0.4


def test_there_is_a_page_for_each_person_the_same_every_time_with_their_names_and_codes() -> None:
    people = [Person("17", "Ελένη Παπαδοπούλου"), Person("Анна Каренина"), Person("18", "Zoe\u0308 Ångström")]
    data = pdf(EXAM, people)
    words = ["Ελένη Παπαδοπούλου · 17", "Анна Каренина", "Zoë Ångström · 18"]
    for place, (page, person, word) in enumerate(zip(texts(data), people, words, strict=True)):
        assert word in page
        assert "Question 1" in page
        assert "Name" not in page
        (code,) = zxingcpp.read_barcodes(rendered(data, place))
        assert code.text == EXAM.code(person.identity)
    assert pdf(EXAM, people) == data != pdf(EXAM, people[::-1])


# What cannot be printed.


def refused(layout: Layout, people: Sequence[Person] = (), font: Path | None = None) -> str:
    with pytest.raises(LayoutError) as error:
        pdf(layout, people, font)
    return str(error.value)


LONG, *OTHERS = MANY.fields
REFUSED = [
    (EXAM, "山田", "山 (U+5C71, cjk unified ideograph-5c71) in '山田 · 18': is not in DejaVuSans: name another --font"),
    (replace(EXAM, title="☃"), "", "☃ (U+2603, snowman) in '☃': is not in DejaVuSans"),
    (replace(MANY, fields=(replace(LONG, label="Donaudampfschiffahrt"), *OTHERS)), "",
     "label 'Donaudampfschiffahrt': does not fit into 20 mm beside its boxes: shorten it"),
    (replace(EXAM, title="W" * 100), "", f"'{'W' * 60}': is wider than the 132 mm for it: make it shorter"),
    (STOCK, "Ann", "identity 'digits', and people to print, expected 'printed'"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "name", "message"), REFUSED)
def test_what_cannot_be_printed_is_named_with_the_mend(layout: Layout, name: str, message: str) -> None:
    assert refused(layout, [Person("18", name)] if name else []).startswith(message)


def test_another_font_is_used_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    import matplotlib

    sans = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"  # of the same name as ours, with more letters
    assert "☃" in texts(pdf(replace(EXAM, title="☃"), font=sans))[0]
    data = gzip.decompress(FONT.read_bytes())
    for bad in (b"", b"nothing", data[:1000], data[:50_000], b"OTTO" + data[4:]):
        path = tmp_path / "bad.ttf"
        path.write_bytes(bad)
        assert refused(EXAM, font=path).startswith(f"--font {path}: ")
    assert refused(EXAM, font=tmp_path).startswith(f"--font {tmp_path}: ")


# People.


def people_of(tmp_path: Path, data: bytes | str) -> list[Person]:
    path = tmp_path / "people.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_people(path)


@pytest.mark.parametrize(
    "data",
    [
        "17,Ann\n18,Bob\n", "ID;Name\r\n17;Ann\r\n18;Bob\r\n", "Number\tname\n17\tAnn\n\n18\tBob\n",
        "\ufeffid,name\n 17 , Ann\n,\n18,Bob\n", '"17","Ann"\n"18","Bob"\n',
    ],
)  # fmt: skip
def test_people_are_read_whatever_program_wrote_them(tmp_path: Path, data: str) -> None:
    assert people_of(tmp_path, data) == [Person("17", "Ann"), Person("18", "Bob")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("id,name\n\n", "nobody is in it, expected a line for each person"),
        ("1,a\n2,b,c\n", "line 2: 3 columns, expected an identity, and perhaps a name"),
        ("1,a\n1,b\n", "line 2: '1' is there twice, expected each once"),
        (",a\n", "line 1: identity '': expected one line of 1 to 60 characters"),
        ('"a\n', "line 1: is not CSV (unexpected end of data), expected"),
        ("ß" * 31, f"line 1: '{'ß' * 30}'… has 62 bytes, expected 60"),
        ("1," + "a" * 101, f"line 1: name '{'a' * 60}': expected one line of 1 to 100 characters"),
        (b"\xff\xfe1\0", "is not in UTF-8 (invalid start byte): save it as CSV"),
        (b"a\n" * 500_001, "1,000,002 bytes, expected at most 1,000,000: print a part"),
    ],
)  # fmt: skip
def test_a_list_of_people_that_is_none_is_refused_by_the_line(tmp_path: Path, data: bytes | str, message: str) -> None:
    with pytest.raises(DataError) as error:
        people_of(tmp_path, data)
    assert str(error.value).startswith(f"{tmp_path / 'people.csv'}: {message}")


# The command.


def run(*words: str) -> int:
    return main(["sheet", *words])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_line_becomes_a_form_and_its_layout_which_prints_the_same_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new", "9,7,13,12", "--out", "deep/er/cover.pdf", "--title", "Physics", "--paper", "Letter") == 0
    told, warned = capsys.readouterr().out.splitlines()
    assert told == "deep/er/cover.pdf: 1 page; deep/er/cover.toml: the layout, which reading them needs"
    for path in Path("deep/er").iterdir():
        path.rename(path.name)
    assert warned.startswith("Nobody is named in its code: name people with --")
    layout = Layout.of_line("9,7,13,12", "Physics", "Letter")
    assert Layout.load("cover.toml") == layout
    assert Path("cover.pdf").read_bytes() == pdf(layout)
    assert run("new", "--from", "cover.toml", "--out", "again.pdf") == 0
    assert Path("again.pdf").read_bytes() == pdf(layout)
    assert "Nobody is named" in capsys.readouterr().out
    Path("class.csv").write_text("id,name\n17,Ann\n18,Bob\n")
    assert run("new", "--from", "cover.toml", "--people", "class.csv", "--out", "pile.pdf") == 0
    assert capsys.readouterr().out == "pile.pdf: 2 pages\n"
    assert Path("pile.pdf").read_bytes() == pdf(layout, [Person("17", "Ann"), Person("18", "Bob")])
    for kind in ("digits", "none"):  # it is asked for, or nobody wants to know
        Path("class.csv").write_text(replace(layout, identity=Identity(kind)).to_toml())
        assert run("new", "--from", "class.csv", "--out", "again.pdf") == 0
        assert capsys.readouterr().out == "again.pdf: 1 page\n"
    assert {path.suffix for path in Path().iterdir()} == {".pdf", ".csv", ".toml", ""}


def test_a_layout_that_was_changed_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new", "9,7", "--out", "cover.pdf") == run("new", "9,7", "--out", "cover.pdf") == 0
    changed = Path("cover.toml").read_text().replace("Question 1", "First")
    Path("cover.toml").write_text(changed)
    printed = Path("cover.pdf").read_bytes()
    capsys.readouterr()
    assert run("new", "9,7", "--out", "cover.pdf") == 1
    assert capsys.readouterr().err.startswith("sumnist: cover.toml: is another layout than the new one: print it with")
    assert (Path("cover.toml").read_text(), Path("cover.pdf").read_bytes()) == (changed, printed)

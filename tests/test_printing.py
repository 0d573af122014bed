"""Printed forms, looked at as a camera does: tags and code where the page has them, nothing cut, nothing left out."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
import zxingcpp
from numpy.typing import NDArray

from sumnist.cli import main
from sumnist.errors import DataError, LayoutError
from sumnist.sheets.formulas import Formula
from sumnist.sheets.layout import Field, Identity, Layout, Page, Person, Rectangle, read_people
from sumnist.sheets.printing import FONT, pdf
from sumnist.sheets.registration import detector

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
    (Formula("change", ((1, "paid"), (-1, "price"))),),
    identity=Identity("digits", 8),
)


def rendered(data: bytes, page: int = 0) -> NDArray[np.uint8]:
    """A page as a grey picture `[H, W]`, at 200 pixels an inch."""
    document = pypdfium2.PdfDocument(data)
    try:
        return np.asarray(document[page].render(scale=DPI / 72).to_pil().convert("L"))
    finally:
        document.close()


def texts(data: bytes) -> list[str]:
    """The text of each page."""
    document = pypdfium2.PdfDocument(data)
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def part(picture: NDArray[np.uint8], box: Rectangle) -> NDArray[np.uint8]:
    """The pixels of a rectangle."""
    top, bottom, left, right = (round(edge * MM) for edge in (box.y, box.bottom, box.x, box.right))
    return picture[top:bottom, left:right]


@pytest.mark.parametrize("layout", [EXAM, MANY, STOCK], ids=["exam", "many", "stock"])
def test_the_corner_tags_are_found_where_the_page_has_them(layout: Layout) -> None:
    page, picture = Page.of(layout), rendered(pdf(layout))
    found = {tag.tag_id: tag for tag in detector().detect(picture)}
    scale = np.array(picture.shape[::-1]) / (page.width, page.height)  # its sides are whole pixels
    assert sorted(found) == [0, 1, 2, 3]
    for number, box in enumerate(page.tags):
        # Its corners begin at the lower left and go on to the lower right; a pixel's middle is at its half.
        corners = [(box.x, box.bottom), (box.right, box.bottom), (box.right, box.y), (box.x, box.y)]
        distance = np.linalg.norm(found[number].corners - np.array(corners) * scale, axis=1)
        assert found[number].hamming == 0
        assert distance.max() <= 0.5


@pytest.mark.parametrize("identity", ["1", "Ελένη: a,b", "ß" * 30, "x" * 60])
def test_the_code_says_which_layout_it_is_and_whose(identity: str) -> None:
    layout = replace(EXAM, version=12)
    (code,) = zxingcpp.read_barcodes(rendered(pdf(layout, [Person(identity)])))
    assert code.text == f"sumnist:1:{layout.id}:12:{identity}"
    box = Page.of(layout).code
    corners = np.array([[point.x, point.y] for point in (code.position.top_left, code.position.bottom_right)]) / MM
    assert corners == pytest.approx(np.array([[box.x, box.y], [box.right, box.bottom]]), abs=1.0)


@pytest.mark.parametrize("layout", [EXAM, MANY, STOCK], ids=["exam", "many", "stock"])
def test_a_threshold_leaves_the_boxes_empty_and_finds_their_outlines(layout: Layout) -> None:
    picture = rendered(pdf(layout))
    for place in Page.of(layout).places:
        for box in (*place.boxes, *place.correction):
            assert part(picture, box.grown(0.5)).min() > 0.6 * 255
            assert (part(picture, box.grown(-0.5)) == 255).all()
            around = part(picture, box.grown(0.3))
            assert (around[[*range(5), *range(-5, 0)]].min(0) < 240).mean() > 0.4


def test_every_word_is_on_the_page() -> None:
    (exam,) = texts(pdf(EXAM))
    for word in ("Exam", "Question 1 · of 9", "Question 2 · of 7½", "Total · of 41½", "correction", "Name", EXAM.id):
        assert word in exam
    assert "Cross out a mistake" in exam
    assert "A half is a 5 behind the point." in exam
    (many,) = texts(pdf(MANY))
    assert many.count("of 13") == 44
    assert "Question 44" in many
    assert "half" not in many
    (stock,) = texts(pdf(STOCK))
    for word in ("Απογραφή", "Πληρωμένο ποσό σε λεπτά", "Цена", "Number", "Serial number, on the back"):
        assert word in stock
    assert "of 999" not in stock


def test_there_is_a_page_for_each_person_with_their_names() -> None:
    people = [Person("17", "Ελένη Παπαδοπούλου"), Person("Анна Каренина"), Person("18", "Zoë Ångström")]
    data = pdf(EXAM, people)
    pages = texts(data)
    assert len(pages) == 3
    for page, words in zip(pages, ["Ελένη Παπαδοπούλου · 17", "Анна Каренина", "Zoë Ångström · 18"], strict=True):
        assert words in page
        assert "Question 1" in page
        assert "Name" not in page
    for place, person in enumerate(people):
        (code,) = zxingcpp.read_barcodes(rendered(data, place))
        assert code.text == EXAM.code(person.identity)


def test_a_very_long_name_is_cut_and_stays_beside_the_code() -> None:
    name = "Maximiliane " * 8
    data = pdf(EXAM, [Person("17", name.strip())])
    (page,) = texts(data)
    assert "Maximiliane Maximiliane" in page
    picture = rendered(data)
    box = Page.of(EXAM).person
    assert (part(picture, box) < 128).any()
    assert (part(picture, Rectangle(box.right, box.y, 3.5, box.height)) > 240).all()


def test_nobody_writes_a_name_where_nobody_is_to_be_known() -> None:
    assert "Name" not in texts(pdf(replace(EXAM, identity=Identity("none"))))[0]


def test_the_same_form_is_the_same_file_to_the_byte() -> None:
    people = [Person("17", "Ελένη"), Person("18")]
    assert pdf(EXAM, people) == pdf(EXAM, people)
    assert pdf(EXAM, people) != pdf(EXAM, people[::-1])


def test_a_letter_with_its_accent_apart_is_printed_as_one() -> None:
    (page,) = texts(pdf(EXAM, [Person("17", "Zoe\u0308")]))
    assert "Zo\u00eb" in page


# What cannot be printed.


def fonts_of(data: bytes) -> set[str]:
    """The names of the fonts of a page's text."""
    document = pypdfium2.PdfDocument(data)
    try:
        items = document[0].get_objects([pypdfium2.raw.FPDF_PAGEOBJ_TEXT])
        return {item.get_font().get_base_name() for item in items}
    finally:
        document.close()


def refused(layout: Layout, people: Sequence[Person] = (), font: Path | None = None) -> str:
    with pytest.raises(LayoutError) as error:
        pdf(layout, people, font)
    return str(error.value)


def test_a_character_that_the_font_lacks_is_named_with_the_mend() -> None:
    assert refused(EXAM, [Person("17", "Ann"), Person("18", "山田")]) == (
        "山 (U+5C71, cjk unified ideograph-5c71) in '山田 · 18': is not in the font DejaVuSans: name a font that has "
        "it, --font file.ttf"
    )
    assert refused(replace(EXAM, title="☃")).startswith("☃ (U+2603, snowman) in '☃': is not in the font")


@pytest.mark.parametrize("name", ["שלום", "سلام", "कि", "q\u0323\u0307"])
def test_a_script_that_needs_shaping_is_refused_rather_than_printed_wrongly(name: str) -> None:
    assert refused(EXAM, [Person("17", name)]).endswith(
        ": is of a script whose letters are joined or go from right to left, expected one that is not: write it in "
        "another script"
    )


def test_another_font_is_used_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    import matplotlib

    serif = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSerif.ttf"
    own, other = pdf(EXAM), pdf(EXAM, font=serif)
    assert fonts_of(own).isdisjoint(fonts_of(other))
    copy = tmp_path / "copy.ttf"
    copy.write_bytes((serif.parent / "DejaVuSans.ttf").read_bytes())  # of the same name as ours, with more letters
    assert "☃" in texts(pdf(replace(EXAM, title="☃"), font=copy))[0]
    assert (pdf(EXAM), pdf(EXAM, font=serif)) == (own, other)
    data = gzip.decompress(FONT.read_bytes())
    for bad in (b"", b"nothing", data[:1000], data[:50_000], b"OTTO" + data[4:]):
        path = tmp_path / "bad.ttf"
        path.write_bytes(bad)
        assert refused(EXAM, font=path).startswith(f"--font {path}: ")
    assert refused(EXAM, font=tmp_path).startswith(f"--font {tmp_path}: ")


def test_a_label_or_a_title_without_room_is_refused() -> None:
    first, *others = MANY.fields
    assert refused(replace(MANY, fields=(replace(first, label="Donaudampfschiffahrt"), *others))) == (
        "label 'Donaudampfschiffahrt': does not fit into the 20 mm beside its boxes: make it shorter"
    )
    assert refused(replace(EXAM, title="W" * 100)).endswith(": is wider than the 132 mm for it: make it shorter")


def test_people_need_a_layout_that_prints_who_they_are() -> None:
    assert refused(STOCK, [Person("17")]) == (
        "identity of kind 'digits', and people to print, expected the kind 'printed': change it, or leave --people out"
    )


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


def test_people_may_have_one_column(tmp_path: Path) -> None:
    assert people_of(tmp_path, "Ελένη\nAnn Lee\n") == [Person("Ελένη"), Person("Ann Lee")]
    assert people_of(tmp_path, '"Lee, Ann"\n') == [Person("Lee, Ann")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("id,name\n\n", "nobody is in it, expected a line for each person: add some"),
        ("1,a\n2,b,c\n", "line 2: 3 columns, expected an identity, and perhaps a name: leave the others out"),
        ("1,a\n1,b\n", "line 2: '1' is there twice, expected each once: tell them apart"),
        (",a\n", "line 1: identity '': expected one line of 1 to 60 characters: give it another one"),
        ('"a\n', "line 1: is not CSV (unexpected end of data), expected an identity and a name"),
        ("ß" * 31, f"line 1: '{'ß' * 30}'… has 62 bytes, expected at most 60, for its QR code: put a short number "
         "first, and the name behind it"),
        ("1," + "a" * 101, f"line 1: name '{'a' * 60}': expected one line of 1 to 100 characters: give it another one"),
        (b"\xff\xfe1\0", "is not in UTF-8 (invalid start byte): save it as CSV in UTF-8"),
        (b"a\n" * 500_001, "1,000,002 bytes, expected at most 1,000,000: print a part of these people at a time"),
    ],
)  # fmt: skip
def test_a_list_of_people_that_is_none_is_refused_by_the_line(tmp_path: Path, data: bytes | str, message: str) -> None:
    with pytest.raises(DataError) as error:
        people_of(tmp_path, data)
    assert str(error.value) == f"{tmp_path / 'people.csv'}: {message}"


def test_people_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"people\.csv: cannot be read \(no such file or directory\)"):
        read_people(tmp_path / "people.csv")


# The command.


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    return main(["sheet", *words])


def test_a_line_becomes_a_form_and_its_layout_which_prints_the_same_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("new", "9,7,13,12", "--out", "cover.pdf", "--title", "Physics", "--paper", "Letter") == 0
    told, warned = capsys.readouterr().out.splitlines()
    assert told == "cover.pdf: 1 page; cover.toml: the layout, which reading them needs"
    assert warned == (
        "Nobody is named in its code, so reading cannot tell whose a sheet is: name them with --people, or change "
        '[identity] in cover.toml to kind = "digits" and print that with --from'
    )
    layout = Layout.of_line("9,7,13,12", "Physics", "Letter")
    assert Layout.load("cover.toml") == layout
    assert Path("cover.pdf").read_bytes() == pdf(layout)
    assert run("new", "--from", "cover.toml", "--out", "again.pdf") == 0
    assert Path("again.pdf").read_bytes() == pdf(layout)
    assert "Nobody is named" in capsys.readouterr().out
    for kind in ("digits", "none"):  # it is asked for, or nobody wants to know
        Path("other.toml").write_text(replace(layout, identity=Identity(kind)).to_toml())
        assert run("new", "--from", "other.toml", "--out", "again.pdf") == 0
        assert capsys.readouterr().out == "again.pdf: 1 page\n"
    Path("other.toml").unlink()
    assert sorted(path.name for path in here.iterdir()) == ["again.pdf", "cover.pdf", "cover.toml"]


def test_a_pile_has_a_page_for_each_person(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("class.csv").write_text("id,name\n17,Ann\n18,Bob\n")
    Path("layout.toml").write_text(EXAM.to_toml(), encoding="utf-8")
    assert run("new", "--from", "layout.toml", "--people", "class.csv", "--out", "pile.pdf") == 0
    assert capsys.readouterr().out == "pile.pdf: 2 pages\n"
    assert Path("pile.pdf").read_bytes() == pdf(EXAM, [Person("17", "Ann"), Person("18", "Bob")])


def test_a_layout_that_was_changed_is_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new", "9,7", "--out", "cover.pdf") == 0
    assert run("new", "9,7", "--out", "cover.pdf") == 0
    changed = Path("cover.toml").read_text().replace("Question 1", "First")
    Path("cover.toml").write_text(changed)
    printed = Path("cover.pdf").read_bytes()
    capsys.readouterr()
    assert run("new", "9,7", "--out", "cover.pdf") == 1
    assert capsys.readouterr().err == (
        "sumnist: cover.toml: is another layout than the new one: print it with --from cover.toml, or choose another "
        "--out\n"
    )
    assert (Path("cover.toml").read_text(), Path("cover.pdf").read_bytes()) == (changed, printed)


EITHER = "sheet new: expected either MARKS, such as 9,7,13,12, or --from layout.toml: give one of them"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("", 2, "sheet new: the following arguments are required: --out; see `sumnist sheet new --help`"),
        ("--out a.pdf", 2, EITHER),
        ("9 --from a.toml --out a.pdf", 2, EITHER),
        ("--from a.toml --title T --out a.pdf", 2, "--title T: is in a.toml: change it there"),
        ("--from a.toml --paper A4 --out a.pdf", 2, "--paper A4: is in a.toml: change it there"),
        ("9 --out a.toml", 1, "a.toml: is the name of a layout, expected that of a PDF: choose another --out"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, status: int, message: str
) -> None:
    assert run("new", *words.split()) == status
    assert capsys.readouterr().err == f"sumnist: {message}\n"
    assert list(here.iterdir()) == []


def test_sheet_alone_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    listed = capsys.readouterr().out
    assert listed == (
        "usage: sumnist sheet COMMAND [OPTIONS]\n\ncommands:\n"
        "  sheet new    Print a form for handwritten numbers, whose total checks them.\n"
        "  sheet read   Read photographed or scanned forms, checked by their totals.\n"
        "  sheet review Look at the sheets that need a person, on a page in the browser.\n"
    )
    assert run("--help") == 0
    assert capsys.readouterr().out == listed

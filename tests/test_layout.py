"""Layouts of forms: what a TOML file says is what is read, what contradicts itself is refused by name, and the page."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from hashlib import sha256
from itertools import combinations, product
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from sumnist.errors import LayoutError
from sumnist.formulas import LARGEST_FACTOR, Relation
from sumnist.sheets.layout import (
    BOX,
    QUIET,
    UNPRINTED,
    Field,
    Identified,
    Identity,
    Kind,
    Layout,
    Page,
    Paper,
    Place,
    Rectangle,
)
from sumnist.tables.layout import Observed, Station, TableLayout
from sumnist.tables.rules import COLUMN, ROW, Rule, letters, moved

TOML = """
title = "Mathematics"
version = 3
paper = "Letter"
identity = {kind = "digits", digits = 8}
field = [{name = "q1", label = "Question 1", largest = 9}, {name = "q2", digits = 2, kind = "strip"},\
 {name = "q3", largest = 7.5, halves = true}]
total = [{name = "part", formula = "part = q1 + q2"}, {name = "total", label = "Total", formula = "total = part + q3"}]
"""


def of(text: str) -> Layout:
    return Layout.of_toml(text.encode())


# What a layout is.


def test_a_file_says_what_is_on_the_form_and_the_totals_follow_from_their_formulas() -> None:
    layout = of(TOML)
    assert (layout.title, layout.version, layout.paper) == ("Mathematics", 3, "Letter")
    assert layout.identity == Identity("digits", 8)
    assert layout.fields == (
        Field("q1", "Question 1", "boxes", 1, 9),
        Field("q2", "q2", "strip", 2, 99),
        Field("q3", "q3", "boxes", 1, 15, halves=True),
        Field("part", "part", "boxes", 3, 108),
        Field("total", "Total", "boxes", 3, 231, halves=True),
    )
    assert layout.formulas == (
        Relation("part", ((1, "q1"), (1, "q2"))),
        Relation("total", ((1, "part"), (1, "q3"))),
    )


def test_a_layout_that_is_written_is_read_as_the_same() -> None:
    others = replace(of(TOML), title='A "quote" \\ Ω', note=""), replace(of(TOML), note="Ω", lines=("Course", 'A "b"'))
    for layout in (of(TOML), Layout.of_line("9,7.5,13"), *others, replace(of(TOML), lines=())):
        assert of(layout.to_toml()) == layout
        assert of(layout.to_toml()).to_toml() == layout.to_toml()
        tomllib.loads(layout.to_toml())


def test_an_exam_has_a_note_and_lines_to_write_on_and_another_form_what_its_file_says() -> None:
    exam = Layout.of_line("9,7")
    assert (exam.note, exam.lines) == ("For the marker only", ("Date", "Marked by", "Signature"))
    assert (of(TOML).note, of(TOML).lines) == ("", ())
    for written, lines in (("[]", ()), ('"Course"', ("Course",)), ('["Course", "Date"]', ("Course", "Date"))):
        layout = of(f'note = "Ω"\nlines = {written}\n{TOML}')
        assert (layout.note, layout.lines) == ("Ω", lines)


def test_a_line_of_largest_marks_is_an_exam_with_a_total_in_halves_if_one_of_them_is() -> None:
    layout = Layout.of_line("9, 7,13,12", "Physics", "Letter")
    assert [field.largest for field in layout.fields] == [9, 7, 13, 12, 41]
    assert [field.digits for field in layout.fields] == [1, 1, 2, 2, 2]
    assert [field.label for field in layout.fields] == [*(f"Question {place}" for place in range(1, 5)), "Total"]
    assert [formula.text for formula in layout.formulas] == ["total = q1 + q2 + q3 + q4"]
    assert (layout.title, layout.paper) == ("Physics", "Letter")
    layout = Layout.of_line("9,7.5")
    assert [(field.largest, field.halves) for field in layout.fields] == [(9, False), (15, True), (33, True)]
    assert [field.shown(field.largest) for field in layout.fields] == ["9", "7½", "16½"]
    assert layout.fields[1].shown(1) == "½"


def test_totals_may_come_before_their_parts_and_be_differences() -> None:
    layout = of(
        'title = "t"\n'
        + total("all = part + c")
        + total("part = a − b")
        + "".join(f'[[field]]\nname = "{name}"\ndigits = {digits}\n' for name, digits in (("a", 3), ("b", 4), ("c", 1)))
    )
    assert [(field.name, field.largest) for field in layout.totals] == [("all", 1008), ("part", 999)]
    assert layout.formulas[1].terms == ((1, "a"), (-1, "b"))
    assert Layout("t", layout.fields[::-1], layout.formulas).names == ("c", "b", "a", "part", "all")


def test_the_id_changes_with_what_reading_needs_and_with_nothing_else() -> None:
    layout = Layout.of_line("9,7,13")
    q1, *others = layout.fields
    changed: dict[str, Any] = {"largest": 8, "kind": "strip", "digits": 2}
    same = [
        replace(layout, title="Other", version=2, fields=(replace(q1, label="First"), *others)),
        replace(layout, identity=Identity("printed", 9)),
        replace(layout, note="", lines=("Course",)),
    ]
    different = [
        *(replace(layout, fields=(replace(q1, **{key: value}), *others)) for key, value in changed.items()),
        *(replace(layout, identity=one) for one in (Identity("digits", 6), Identity("digits", 7), Identity("none"))),
        replace(layout, paper="Letter"),
        replace(layout, fields=(others[0], q1, *others[1:])),
        replace(layout, formulas=(Relation("total", ((1, "q1"), (1, "q2"))),)),
        Layout.of_line("9,7,13.0"),
    ]
    assert {other.id for other in same} == {layout.id}
    assert len({other.id for other in (*different, layout)}) == len(different) + 1
    assert Layout.of_line("9,7,13,12").code("17") == "sumnist:1:sqgdhtcx:1:17"


def test_a_field_may_be_in_several_totals_and_a_total_have_several_formulas() -> None:
    text = (
        fields(A, B, 'name = "c"\ndigits = 1')
        + total("r = a + b")
        + total("u = 2 * a + c")
        + ('[[total]]\nname = "t"\nformula = ["t = r + c", "t = u - a + b"]\n')
    )
    layout = of(text)
    assert [formula.text for formula in layout.formulas] == ["r = a + b", "u = 2 * a + c", "t = r + c", "t = u - a + b"]
    assert layout.field("u").largest == 27
    assert of(layout.to_toml()) == layout


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,31}", fullmatch=True)
LINES = st.text(st.characters(exclude_categories=sorted(UNPRINTED)), min_size=1, max_size=20).filter(str.strip)


@st.composite
def formulas(draw: st.DrawFn, total: str, names: Sequence[str]) -> Relation:
    """A sum, a mean or a product of some fields, some with the largest factors that there may be."""
    some = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    factor, divisor = st.sampled_from([1, 2, LARGEST_FACTOR]), draw(st.sampled_from([1, 2, LARGEST_FACTOR]))
    if len(some) > 1 and draw(st.booleans()):
        return Relation(total, ((draw(factor), some[0]), *((1, name) for name in some[1:])), divisor, times=True)
    terms = tuple((draw(factor) * draw(st.sampled_from([1, -1])), name) for name in some)
    return Relation(total, terms, divisor)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """A form with fields of all kinds, long names and labels, several formulas, and lines in any script."""
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    texts = [draw(formulas(names[-1], names[:-1])) for _ in range(draw(st.integers(0, 2)))]
    whole = any(text.times for text in texts)
    fields = [
        Field(name, draw(LINES), draw(st.sampled_from(get_args(Kind))), digits := draw(st.integers(1, 12)),
              10**digits - 1, not whole and draw(st.booleans()))
        for name in names[:-1]
    ]  # fmt: skip
    try:
        return Layout(
            draw(LINES), (*fields, Field(names[-1], draw(LINES), "boxes", 12, 2 * 10**12 - 1, halves=True)),
            tuple(dict.fromkeys(texts)), draw(st.integers(1, 9_999)), draw(st.sampled_from(get_args(Paper))),
            Identity(draw(st.sampled_from(get_args(Identified))), draw(st.integers(1, 10))), draw(st.just("") | LINES),
            tuple(draw(st.lists(LINES, max_size=12))),
        )  # fmt: skip
    except LayoutError:
        reject()


SIGNS = st.characters(exclude_categories=["Cs"])
STATIONS = st.builds(
    Station, NAMES, name=st.text(SIGNS), lat=st.just("NA") | st.floats(-90, 90),
    lon=st.just("NA") | st.integers(-180, 180), source=st.just("NA") | st.text(SIGNS), period=st.text(SIGNS),
    days=st.just(()) | st.just((0, 1, 2, 6)),
)  # fmt: skip


@st.composite
def table_layouts(draw: st.DrawFn) -> TableLayout:
    """A layout of a table whose columns have names, with or without rules that repeat themselves."""
    places = st.integers(0, 701)
    named = draw(st.lists(NAMES.filter(is_name_of_column), max_size=4, unique=True))
    columns = draw(st.lists(places, min_size=len(named), max_size=len(named), unique=True))
    rules = list[Rule]()
    for _ in range(draw(st.integers(0, 3))):
        lines = draw(st.lists(st.integers(1, 20), min_size=2, max_size=4, unique=True))
        of_rows = draw(st.booleans())
        first, *others = [f"r{line}" if of_rows else letters(line) for line in lines]
        others += [f"{first}_above"] * (not of_rows and draw(st.booleans()))
        where = draw(st.none() | st.frozensets(st.integers(0, 30), min_size=1))
        rule = Rule(draw(formulas(first, others)), where)
        rules += [moved(rule, 25 * time) for time in range(draw(st.integers(1, 3)))] if of_rows else [rule]
    observed = draw(st.dictionaries(places, st.builds(Observed, NAMES, st.text(SIGNS), st.text(SIGNS)), max_size=2))
    return TableLayout(
        draw(st.text(SIGNS)), dict(zip(columns, named, strict=True)), draw(st.dictionaries(places, st.integers(0, 6))),
        draw(st.none() | st.just(tuple(dict.fromkeys(rules)))), observed, draw(st.none() | STATIONS),
    )  # fmt: skip


def is_name_of_column(name: str) -> bool:
    return not (ROW.fullmatch(name) or COLUMN.fullmatch(name) or name.endswith("_above"))


@settings(max_examples=300, deadline=None)
@given(st.one_of(layouts(), table_layouts()))
def test_every_layout_that_is_written_is_read_back_as_the_same(layout: Layout | TableLayout) -> None:
    text = layout.to_toml()
    again = type(layout).of_toml(text.encode())
    assert again.to_toml() == text
    if isinstance(layout, TableLayout):  # rules that repeat themselves are written as one
        layout, rules = replace(layout, rules=again.rules), layout.rules
        assert again.rules is rules is None or set(again.rules or ()) == set(rules or ())
    assert again == layout


def test_of_long_names_in_many_bytes_a_layout_stays_within_what_is_read() -> None:
    lines = tuple(f"{chr(0x2A6D6) * 79}{place}" for place in range(10))
    layout = replace(of(TOML), lines=lines)
    assert of(layout.to_toml()) == layout
    names = [f"{'a' * 29}{number}" for number in range(100, 199)]
    fields = tuple(Field(name, name, "boxes", 1, 9) for name in (*names, "t"))
    with pytest.raises(LayoutError, match=r"formula of t: 3,4\d\d characters when written out, expected at most 2,000"):
        Layout("Long", fields, (Relation("t", tuple((1, name) for name in names)),))


# What is refused.


def fields(*lines: str) -> str:
    return 'title = "t"\n' + "".join(f"[[field]]\n{line}\n" for line in lines)


A, B = 'name = "a"\ndigits = 1', 'name = "b"\ndigits = 1'


def total(formula: str, *lines: str) -> str:
    return "\n".join(["[[total]]", f'name = "{formula.partition(" ")[0]}"', f'formula = "{formula}"', *lines]) + "\n"


def message_of(text: str) -> str:
    with pytest.raises(LayoutError) as error:
        of(text)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (fields(A, A), "field a: is there twice, expected a name for each field: give one"),
        (fields(A) + total("a = a"), "field a: is there twice"),
        (fields(A, B) + total("t = a + c"), "formula 't = a + c': no field is named c, expected those there are: add"),
        (fields(A, B) + total("t = a") + total("t = b"), "field t: is there twice, expected a name for each field"),
        (fields(A, B) + total("t = a + b + a"), "field a: is twice in the formula of t, expected it once: write 2"),
        (fields(A) + total("t = s + a") + total("s = t"), "field t: is a part of itself, by t of s of t, expected"),
        (fields(A + "\nhalves = true") + total("t = a", "halves = false", "digits = 2"),
         "field t: is whole, and a in its formula has halves, expected halves in both: add"),
        (fields(A, B) + total("t = a + b", "largest = 17"), "field t: largest 17, expected at least 18"),
        (fields(A, B) + total("t = a + b", "digits = 1"), "field t: largest 18, expected at least 1 and at most 9"),
        (fields(A, B) + '[[total]]\nname = "t"\nformula = "s = a + b"', "field t: its formula is of s, expected t = …"),
        (fields(A) + '[[total]]\nname = "t"', "field t: no formula, expected one: add formula = …"),
        (fields("name = 5\ndigits = 1"), "field 1: name = '5', expected a text in quotes: write it so"),
        (fields("digits = 1"), "field 1: no name, expected one: add name = …"),
        (fields(A).replace('"a"', '"a b"'), "field 'a b': expected a name of up to 32 letters from a to z"),
        ('title = "t"\nfield = [5]', "field 1: '5', expected a table, [[field]] or [[total]]: write it so"),
        ('title = "t"\nfield = 5', "the layout: field = '5', expected tables: write it so"),
        ('title = "t"\nfield = []', "0 fields, expected 1 to 100: make two layouts of it, or add one"),
        (fields(*(f'name = "q{place}"\ndigits = 1' for place in range(101))), "101 fields, expected 1 to 100"),
        ('title = "t"', "the layout: no field, expected one: add field = …"),
        ("titel = 't'", "the layout: key titel: expected one of title, version, paper, note, lines, identity, field,"),
        ("lines = 5\n" + fields(A), "the layout: lines = '5', expected a text in quotes, or several in brackets"),
        ('lines = ["a", 5]\n' + fields(A), "the layout: lines = '5', expected a text in quotes: write it so"),
        ('lines = ["a", " "]\n' + fields(A), "line ' ': expected one line of 1 to 80 characters: give it another one"),
        ("lines = [" + '"a",' * 13 + "]\n" + fields(A), "13 lines, expected at most 12: leave some out"),
        (f'note = "{"a" * 81}"\n' + fields(A), f"note '{'a' * 60}': expected one line of 1 to 80 characters"),
        ('paper = "A5"\n' + fields(A), "paper A5: expected one of A4, Letter"),
        ("version = 0\n" + fields(A), "version 0, expected 1 to 9,999: begin again at 1"),
        (fields(A).replace('"t"', '""'), "title '': expected one line of 1 to 100 characters: give it another one"),
        (fields(A) + '[identity]\nkind = "print"', "identity: kind print: expected one of printed, digits, none; did"),
        (fields(A) + '[identity]\nkind = "digits"\ndigits = 11', "identity: digits 11, expected 1 to 10: ask for a"),
        (fields(A) + "[identity]\nname = 1", "identity: key name: expected one of kind, digits"),
        ("x" * 50_001, "50,001 bytes, expected a layout of at most 50,000 in lines of at most 2,500: give another"),
        ("x" * 2_501, "a line of 2,501 bytes, expected a layout of at most 50,000"),
    ],
)  # fmt: skip
def test_a_layout_that_contradicts_itself_is_refused_by_name(text: str, message: str) -> None:
    assert message_of(text).startswith(message)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "neither digits nor largest, expected one of them: add digits = 2, say"),
        ("digits = 13", "digits 13, expected 1 to 12: make two fields"), ("digits = -1", "digits -1, expected 1 to 12"),
        ("digits = 1" + "0" * 200, "digits of more than 100 digits, expected 1 to 12"),
        ("digits = 1\nlargest = 10", "largest 10, expected at least 1 and at most 9"),
        ("digits = 1\nhalves = true\nlargest = 10.0", "largest 10, expected at least ½ and at most 9½"),
        ("largest = 0", "largest 0, expected at least 1 and at most 9"),
        *((f"largest = {value}", f"largest {value}, expected a whole number, or one of halves with")
          for value in ("7.5", "nan", "-inf")),
        ("largest = " + "9" * 2000, "largest of more than 100 digits, expected a whole number"),
        ("halves = true\nlargest = 7.25", "largest 7.25, expected a whole number of halves: change it"),
        ('digits = 1\nlabel = "x\\ny"', r"label 'x\ny': expected one line of 1 to 80 characters"),
        ('digits = 1\nlabel = "  "', "label '  ': expected one line of 1 to 80 characters"),
        ('digits = 1\nkind = "box"', "kind box: expected one of boxes, strip; did you mean boxes?"),
        ("digits = 1.0", "digits = '1.0', expected a whole number: write it so"),
        ("digits = true", "digits = 'True', expected a whole number"),
        ('largest = "9"', "largest = '9', expected a number: write it so"),
        ("digit = 1", "key digit: expected one of name, label, kind, digits, largest, halves; did"),
        ('digits = 1\nformula = "a = b"', "key formula: expected one of name, label, kind, digits"),
    ],
)  # fmt: skip
def test_a_field_that_makes_no_sense_is_refused_by_its_key(lines: str, message: str) -> None:
    assert message_of(fields(f'name = "a"\n{lines}')).startswith(f"field a: {message}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        *((line, f"question {place}: largest mark {mark!r}, expected a number such as 9 or 7.5: write them as in")
          for line, place, mark in [("", 1, ""), ("9,,7", 2, ""), ("9,7.3", 2, "7.3"), ("-1", 1, "-1"),
                                    ("1e9", 1, "1e9"), ("٣", 1, "٣"), ("9" * 13, 1, "9" * 13)]),
        ("9,0", "field q2: largest 0, expected at least 1"), ("9," * 999 + "9", "1,001 fields, expected 1 to 100"),
    ],
)  # fmt: skip
def test_a_line_that_is_none_of_marks_is_refused_by_the_question(line: str, message: str) -> None:
    with pytest.raises(LayoutError, match=f"^{re.escape(message)}"):
        Layout.of_line(line)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe", b"title = 1\ntitle = 2", b"a=" + b"[" * 2_400, b"a=" + b"{a=" * 800, b"a=" + b"[\n" * 20_000,
        b"a=" + b"9" * 2_400, b"a=0x" + b"9" * 2_400, (b"a." * 1_200 + b"a=1\n") * 20, b"[[field]]\n" * 4_900,
        b"identity = 1979-05-27", b'title="t"\nfield=[{name="a",digits=1},{name={}}]',
        b'title="t"\ntotal={}\nfield=[{name="a",digits=1}]',
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_in_one_line_that_begins_with_its_name(data: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "layout.toml").write_bytes(data)
    with pytest.raises(LayoutError) as error:
        Layout.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value)) < len(str(path)) + 500


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from(["title", "version", "paper", "note", "lines", "identity", "field", "total"]), VALUES)
def test_no_value_of_any_key_leads_to_another_error(key: str, value: object) -> None:
    text = re.sub(rf"^{key} = .*$", "", TOML, flags=re.MULTILINE)
    with suppress(LayoutError):
        of(f"{key} = {toml(value)}\n{text}")


def toml(value: object) -> str:
    """A value as TOML has it, mostly."""
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f").replace(": ", " = ")
    return text.replace("null", "{}").replace("NaN", "nan").replace("Infinity", "inf")


def test_a_file_is_read_with_its_mark_of_utf_8_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    (path := tmp_path / "layout.toml").write_text(TOML, encoding="utf-8-sig")
    assert Layout.load(path) == of(TOML)
    for none, why in ((tmp_path / "none.toml", "no such file or directory"), (tmp_path, "is a directory")):
        with pytest.raises(LayoutError, match=rf"^{none}: cannot be read \({why}\), expected a layout: check the"):
            Layout.load(none)


# The page: everything is on it, nothing overlaps, and what does not fit is refused.


PAPERS: dict[Paper, tuple[float, float]] = {"A4": (210, 297), "Letter": (215.9, 279.4)}

KINDS: tuple[Kind, ...] = ("boxes", "strip")


def overlap(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles share more than an edge."""
    return (
        min(one.right, other.right) - max(one.x, other.x) > 1e-6
        and min(one.bottom, other.bottom) - max(one.y, other.y) > 1e-6
    )


def places_of(page: Page) -> list[Place]:
    return [*([page.identity] if page.identity else []), *page.places]


def parts_of(page: Page) -> Iterator[Rectangle]:
    """Whatever is drawn, tags and code with the white around them."""
    yield from (tag.grown(QUIET / 2) for tag in page.tags)
    yield page.code.grown(QUIET / 2)
    yield from (page.title, page.person, page.example, page.instruction, page.note, page.footer, *page.headings)
    for place in places_of(page):
        yield from (place.label, *place.boxes, *place.correction)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Fields of any kind, some of them with totals, which may be parts of others."""
    fields, formulas, free = [], [], []
    for place in range(draw(st.integers(1, 44))):
        digits, halves = draw(st.integers(1, draw(st.sampled_from((2, 4, 8))))), draw(st.booleans())
        kind = draw(st.sampled_from(KINDS))
        fields.append(Field(f"q{place}", f"Question {place}", kind, digits, 10**digits - 1, halves))
        free.append(fields[-1])
        if len(free) > 1 and draw(st.integers(0, 4)) == 0:
            largest = sum(part.largest * part.step for part in free)
            total = Field(f"t{place}", "Total", "boxes", len(str(largest // 2)), largest, halves=True)
            formulas.append(Relation(total.name, tuple((1, part.name) for part in free)))
            fields.append(total)
            free = [total] if draw(st.booleans()) else []
    paper = draw(st.sampled_from(sorted(PAPERS)))
    identity = draw(st.sampled_from((Identity(), Identity("digits", 8), Identity("none"))))
    return Layout("Any", tuple(fields), tuple(formulas), paper=paper, identity=identity)


@settings(deadline=None, max_examples=60)
@given(layouts())
def test_whatever_is_on_a_page_is_within_it_nothing_overlaps_and_every_digit_has_its_box(layout: Layout) -> None:
    try:
        page = Page.of(layout)
    except LayoutError:
        return
    assert (page.width, page.height) == PAPERS[layout.paper]
    for part in parts_of(page):
        assert part.width > 0
        assert part.height > 0
        assert part.x >= 8 - 1e-6
        assert part.y >= 8 - 1e-6
        assert part.right <= page.width - 8 + 1e-6
        assert part.bottom <= page.height - 8 + 1e-6
    for one, other in combinations(parts_of(page), 2):
        assert not overlap(one, other), (one, other)
    for free, other in product(page.free, (*parts_of(page), *(place.frame for place in page.places if place.frame))):
        assert not overlap(free, other), (free, other)
    assert page.free[1].height >= 10 - 1e-6
    assert tuple(place.name for place in page.places) == layout.names
    totals = {field.name for field in layout.totals}
    for field, place in zip(layout.fields, page.places, strict=True):
        assert len(place.boxes) == (1 if field.kind == "strip" else field.digits + field.halves)
        assert [box.width for box in place.boxes] == pytest.approx([box.width for box in place.correction])
        assert all(box.height == BOX[1] and box.width >= BOX[0] - 1e-9 for box in place.boxes)
        assert list(place.boxes) == sorted(place.boxes, key=lambda box: box.x)
        assert (place.frame is not None) == (place.name in totals)
        if place.frame:
            inside = [place.label, *place.boxes, *place.correction]
            assert all(place.frame.x < part.x and part.right < place.frame.right for part in inside)
            assert all(place.frame.y < part.y and part.bottom < place.frame.bottom for part in inside)
            for near in (beside for beside in places_of(page) if beside is not place):
                assert not any(overlap(place.frame, box) for box in (*near.boxes, *near.correction))


def test_the_digits_of_one_place_stand_below_each_other() -> None:
    page = Page.of(Layout.of_line("9,13,7.5,120"))
    assert len({place.boxes[-1 - (place.name in ("q3", "total"))].x for place in page.places}) == 1
    assert len({place.correction[-1 - (place.name in ("q3", "total"))].x for place in page.places}) == 1


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize(("count", "columns"), [(1, 1), (12, 1), (30, 2), (40, 3), (44, 3)])
def test_up_to_about_forty_fields_fit_in_as_few_columns_as_will_do(paper: Paper, count: int, columns: int) -> None:
    page = Page.of(Layout.of_line(",".join(["13"] * count), paper=paper))
    assert len({place.boxes[0].x for place in page.places[:-1]}) == columns
    assert len(page.headings) == columns


def test_a_wide_number_is_corrected_beneath() -> None:
    page = Page.of(Layout.of_line("13," + "9" * 11))
    narrow, wide, total = page.places
    assert narrow.correction[0].y == narrow.boxes[0].y
    for place in (wide, total):
        assert place.correction[0].x == pytest.approx(place.boxes[0].x)
        assert place.correction[0].y > place.boxes[0].bottom
    assert len(page.headings) == 3  # above those beside, and before each of those beneath


def test_a_page_depends_on_nothing_but_what_the_id_tells() -> None:
    layout = Layout.of_line("9,7,13,12")
    others = tuple(replace(field, label="Ω" * 80) for field in layout.fields)
    assert Page.of(replace(layout, title="x" * 100, version=7, fields=others)) == Page.of(layout)


def test_printed_forms_stay_readable_since_pages_stay_as_they_are() -> None:
    page = Page.of(Layout.of_line("9,7.5,13"))
    corners = [(10, 10), (187, 10), (187, 274), (10, 274)]
    assert [(tag.x, tag.y, tag.width) for tag in page.tags] == [(*corner, 13) for corner in corners]
    assert page.code == Rectangle(163, 10, 20, 20)
    found = [edge for place in page.places for edge in (place.boxes[0].x, place.boxes[0].y, place.correction[-1].right)]
    assert found == pytest.approx([147.5, 44, 186.5, 147.5, 60, 197.5, 139.5, 76, 186.5, 139.5, 92.5, 197.5], abs=0.01)


@pytest.mark.parametrize(
    ("layout", "digest"),
    [
        (Layout.of_line("9,7,13,12"), "95df55db"), (Layout.of_line("9,7.5,13,12", paper="Letter"), "d3ddcb39"),
        (Layout.of_line(",".join(["13"] * 12)), "e0eae410"), (Layout.of_line(",".join(["9"] * 56)), "27b0abda"),
        (Layout.of_line(",".join(["13"] * 44), paper="Letter"), "11f81aed"), (of(TOML), "ea03c3e8"),
    ],
)  # fmt: skip
def test_fields_tags_and_code_are_where_they_were_when_reading_was_measured(layout: Layout, digest: str) -> None:
    page = Page.of(layout)
    parts = [*page.tags, page.code]
    for place in places_of(page):
        parts += [place.label, *place.boxes, *place.correction, *([place.frame] if place.frame else [])]
    told = json.dumps([[round(edge, 6) for edge in astuple(part)] for part in parts])
    assert sha256(told.encode()).hexdigest()[:8] == digest, "raise FORMAT, and measure again"
    assert Page.of(replace(layout, note="", lines=())) == page


def test_what_does_not_fit_on_a_page_is_refused() -> None:
    for numbers, paper, size in ((["13"] * 60, "A4", "210×297"), (["9" * 11] * 10, "Letter", "215.9×279.4")):
        with pytest.raises(LayoutError, match=rf"^{len(numbers) + 1} fields.* do not fit on {paper}, {size} mm, expec"):
            Page.of(Layout.of_line(",".join(numbers), paper=paper))  # type: ignore[arg-type]

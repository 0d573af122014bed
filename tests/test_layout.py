"""Layouts of forms: what a TOML file says is what is read, what contradicts itself is refused by name, and the page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import FrozenInstanceError, asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from sumnist.errors import LayoutError
from sumnist.formulas import LARGEST_FACTOR, Relation
from sumnist.sheets.layout import Field, FieldKind, Identified, Identity, Layout, Page, Paper
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
    layout = Layout.of_toml(TOML.encode("utf-8-sig"))
    with pytest.raises(FrozenInstanceError):
        TableLayout().title = layout.title  # type: ignore[misc]
    assert (layout.title, layout.version, layout.paper) == ("Mathematics", 3, "Letter")
    assert layout.identity == Identity("digits", 8)
    assert layout.fields == (
        Field("q1", "Question 1", "boxes", 1, 9),
        Field("q2", "q2", "strip", 2, 99),
        Field("q3", "q3", "boxes", 1, 15, halves=True),
        Field("part", "part", "boxes", 3, 108),
        Field("total", "Total", "boxes", 3, 231, halves=True),
    )
    assert layout.formulas == (Relation("part", ((1, "q1"), (1, "q2"))), Relation("total", ((1, "part"), (1, "q3"))))


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


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,31}", fullmatch=True)
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20).filter(str.strip)


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
        Field(name, draw(LINES), draw(st.sampled_from(get_args(FieldKind))), digits := draw(st.integers(1, 12)),
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


@settings(max_examples=150, deadline=None)
@given(st.one_of(layouts(), table_layouts()))
def test_every_layout_that_is_written_is_read_back_as_the_same(layout: Layout | TableLayout) -> None:
    text = layout.to_toml()
    again = type(layout).of_toml(text.encode())
    assert again.to_toml() == text
    if isinstance(layout, TableLayout) and isinstance(again, TableLayout):  # repeated rules are written as one
        layout, rules = replace(layout, rules=again.rules), layout.rules
        assert again.rules is rules is None or set(again.rules or ()) == set(rules or ())
    assert again == layout


# What is refused.


def fields(*lines: str) -> str:
    return 'title = "t"\n' + "".join(f"[[field]]\n{line}\n" for line in lines)


A, B = 'name = "a"\ndigits = 1', 'name = "b"\ndigits = 1'


def total(formula: str, *lines: str) -> str:
    return "\n".join(["[[total]]", f'name = "{formula.partition(" ")[0]}"', f'formula = "{formula}"', *lines]) + "\n"


REFUSED = {
    "field a:": [
        fields(A, A), fields(A) + total("a = a"),
        *(fields(f'name = "a"\n{lines}') for lines in (
            "", "digits = 13", "digits = -1", "digits = 1" + "0" * 200, "digits = 1\nlargest = 10", "largest = 0",
            "digits = 1\nhalves = true\nlargest = 10.0", "largest = 7.5", "largest = nan", "largest = -inf",
            "largest = " + "9" * 2000, "halves = true\nlargest = 7.25", 'digits = 1\nlabel = "x\\ny"',
            'digits = 1\nlabel = "  "', f'digits = 1\nlabel = "{"x" * 81}"', 'digits = 1\nkind = "box"', "digits = 1.0",
            "digits = true", 'largest = "9"', "digit = 1", 'digits = 1\nformula = "a = b"',
        )),
    ],
    "field t:": [
        fields(A, B) + total("t = a") + total("t = b"), fields(A, B) + total("t = a + b", "largest = 17"),
        fields(A) + total("t = s + a") + total("s = t"), fields(A, B) + total("t = a + b", "digits = 1"),
        fields(A + "\nhalves = true") + total("t = a", "halves = false", "digits = 2"),
        fields(A + "\nhalves = true", B) + total("t = a * b"), fields(A) + '[[total]]\nname = "t"',
        fields(A, B) + '[[total]]\nname = "t"\nformula = "s = a + b"',
    ],
    "formula 't = a + c': no field is named c": [fields(A, B) + total("t = a + c")],
    "a: is twice in the formula of t": [fields(A, B) + total("t = a + b + a")],
    "field 1:": [fields("name = 5\ndigits = 1"), fields("digits = 1"), 'title = "t"\nfield = [5]'],
    "field 'a b':": [fields(A).replace('"a"', '"a b"')],
    "the layout:": ['title = "t"', "titel = 't'", "lines = 5\n" + fields(A), 'lines = ["a", 5]\n' + fields(A),
                    'title = "t"\nfield = 5'],
    "0 fields": ['title = "t"\nfield = []'],
    "101 fields": [fields(*(f'name = "q{place}"\ndigits = 1' for place in range(101)))],
    "line ' '": ['lines = ["a", " "]\n' + fields(A)],
    "13 lines": ["lines = [" + '"a",' * 13 + "]\n" + fields(A)],
    "note": [f'note = "{"a" * 81}"\n' + fields(A)],
    "paper A5": ['paper = "A5"\n' + fields(A)],
    "version 0": ["version = 0\n" + fields(A)],
    "title ''": [fields(A).replace('"t"', '""')],
    "identity:": [fields(A) + f"[identity]\n{line}" for line in ('kind = "print"', "digits = 11", "name = 1")],
    "50,001 bytes": ["x" * 50_001],
    "a line of 2,501 bytes": ["x" * 2_501],
}  # fmt: skip
"""Layouts that contradict themselves or go beyond a limit, by what their messages begin with."""


@pytest.mark.parametrize("beginning", REFUSED)
def test_a_layout_that_contradicts_itself_is_refused_by_name(beginning: str) -> None:
    for text in REFUSED[beginning]:
        with pytest.raises(LayoutError, match=f"^{re.escape(beginning)}.*expected"):
            of(text)


@pytest.mark.parametrize("line", ["", "9,,7", "9,7.3", "-1", "1e9", "٣", "9" * 13, "9,0", "9," * 999 + "9"])
def test_a_line_that_is_none_of_marks_is_refused(line: str) -> None:
    with pytest.raises(LayoutError, match="expected"):
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
@pytest.mark.parametrize("kind", [Layout, TableLayout])
def test_a_hostile_file_is_refused_in_one_line_that_begins_with_its_name(
    kind: type[Layout] | type[TableLayout], data: bytes, tmp_path: Path
) -> None:
    (path := tmp_path / "layout.toml").write_bytes(data)
    with pytest.raises(LayoutError) as error:
        kind.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value)) < len(str(path)) + 500
    with pytest.raises(LayoutError, match=f"^{tmp_path}: cannot be read"):
        kind.load(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
KEYS = ["title", "version", "paper", "note", "lines", "identity", "field", "total", "columns", "rules", "station"]


@given(st.sampled_from([(Layout, TOML), (TableLayout, 'columns.B.name = "max"\n')]), st.sampled_from(KEYS), VALUES)
def test_no_value_of_any_key_leads_to_another_error(kind: Any, key: str, value: object) -> None:
    text = re.sub(rf"^{key}[ .].*$", "", kind[1], flags=re.MULTILINE)
    toml = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f").replace(": ", " = ")
    with suppress(LayoutError):
        kind[0].of_toml(f"{key} = {toml.replace('null', '{}').replace('NaN', 'nan')}\n{text}".encode())


# The page.

MANY = 'title = "Many"\n' + "".join(f'[[field]]\nname = "f{one}"\ndigits = {1 + one % 5}\n' for one in range(24))
WIDE = 'title = "Wide"\nidentity.kind = "none"\n' + "".join(
    f'[[field]]\nname = "w{one}"\ndigits = {9 + one % 4}\nkind = "{("boxes", "strip")[one % 2]}"\n' for one in range(5)
)
PRINTED = {
    "3c984f77": Layout.of_line("9,7.5,13,12", paper="Letter"), "092d5977": Layout.of_line(",".join(["9"] * 56)),
    "7f35657b": of(TOML), "43365e9b": of(MANY + total("t = f0 + … + f23")), "a2e0a5a8": of(WIDE + total("t = w0 - w1")),
}  # fmt: skip
"""Layouts in one to four columns, with corrections beside and beneath their fields, by the digests of their pages."""


@pytest.mark.parametrize("digest", PRINTED)
def test_printed_forms_stay_readable_since_pages_stay_as_they_are(digest: str) -> None:
    layout = PRINTED[digest]
    page = Page.of(layout)
    edges = json.loads(json.dumps(asdict(page)), parse_float=lambda edge: round(float(edge), 6))
    assert sha256(json.dumps(edges).encode()).hexdigest()[:8] == digest, "raise FORMAT, and measure again"
    other = replace(layout, title="Other", note="", lines=(), version=2)
    assert (other.id, Page.of(other)) == (layout.id, page)


def test_what_does_not_fit_on_a_page_is_refused() -> None:
    for numbers, paper in ((["13"] * 60, "A4"), (["9" * 11] * 10, "Letter")):
        with pytest.raises(LayoutError, match=rf"^{len(numbers) + 1} fields.* do not fit on {paper}, expected"):
            Page.of(Layout.of_line(",".join(numbers), paper=paper))  # type: ignore[arg-type]

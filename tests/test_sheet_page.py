"""The page of a form: everything is on it, nothing overlaps, and what does not fit is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumnist.errors import LayoutError
from sumnist.sheets.formulas import Formula
from sumnist.sheets.layout import BOX, QUIET, Field, Identity, Kind, Layout, Page, Paper, Place, Rectangle

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
    yield from (page.title, page.person, page.instruction, page.footer, *page.headings)
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
            formulas.append(Formula(total.name, tuple((1, part.name) for part in free)))
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


def test_what_does_not_fit_on_a_page_is_refused() -> None:
    for numbers, paper, size in ((["13"] * 60, "A4", "210×297"), (["9" * 11] * 10, "Letter", "215.9×279.4")):
        with pytest.raises(LayoutError, match=rf"^{len(numbers) + 1} fields.* do not fit on {paper}, {size} mm, expec"):
            Page.of(Layout.of_line(",".join(numbers), paper=paper))  # type: ignore[arg-type]

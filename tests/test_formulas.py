"""Formulas of forms: as they are written, as they are printed, and what makes no forest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumnist.errors import LayoutError
from sumnist.sheets.formulas import Formula, in_order


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("t = a", "+a"),
        ("t=a+b", "+a+b"),
        ("t = a − b - c", "+a-b-c"),
        ("t = - a + b", "-a+b"),
        ("t = q1 + … + q4", "+q1+q2+q3+q4"),
        ("t = q1 + ... + q4 - x", "+q1+q2+q3+q4-x"),
        ("t = x - q08 - … - q11", "+x-q08-q09-q10-q11"),
        ("t = q1 + … + q2", "+q1+q2"),
        ("t = a1b2 + … + a1b4", "+a1b2+a1b3+a1b4"),
    ],
)
def test_a_formula_is_read_as_its_terms(text: str, terms: str) -> None:
    formula = Formula.of(text)
    assert formula.total == "t"
    assert "".join("+-"[sign < 0] + name for sign, name in formula.terms) == terms


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,31}", fullmatch=True)


@given(NAMES, st.lists(st.tuples(st.sampled_from((1, -1)), NAMES), min_size=1, max_size=20))
def test_every_formula_that_is_written_is_read_as_the_same(total: str, terms: list[tuple[int, str]]) -> None:
    formula = Formula(total, tuple(terms))
    assert Formula.of(formula.text) == formula


@given(st.text(max_size=60) | st.text("q12 =+-−….ab", max_size=40))
def test_whatever_is_written_as_a_formula_is_one_or_is_refused(text: str) -> None:
    try:
        formula = Formula.of(text)
    except LayoutError:
        return
    assert Formula.of(formula.text) == formula


DOTS = (
    ": its dots do not stand between two names that count up, with one sign, expected as in 'q1 + … + q12', over at "
    "most 200 fields: write the terms out"
)
NAME = "expected a name of up to 32 letters from a to z, digits and _, a letter first: correct it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("total", ": expected one = in at most 2,000 characters: write it as in 'total = q1 + q2'"),
        ("t = " + "a + " * 600 + "a", ": expected one = in at most 2,000 characters: write it as in 'total = q1 + q2'"),
        ("t =", f": '' where a field is named, {NAME}"),
        ("= a", f": '' where a field is named, {NAME}"),
        ("t = a b", f": 'a b' where a field is named, {NAME}"),
        ("t = a + + b", f": '' where a field is named, {NAME}"),
        ("t = a +", f": '' where a field is named, {NAME}"),
        ("t = 2 * a", f": '2 * a' where a field is named, {NAME}"),
        ("a = b = c", f": 'b = c' where a field is named, {NAME}"),
        ("t = Ω", f": 'Ω' where a field is named, {NAME}"),
        ("t = " + "a" * 33, f": '{'a' * 33}' where a field is named, {NAME}"),
        ("t = q1 + …", DOTS),
        ("t = … + q3", DOTS),
        ("t = …", DOTS),
        ("t = a + … + q3", DOTS),
        ("t = p1 + … + q3", DOTS),
        ("t = q3 + … + q1", DOTS),
        ("t = q1 + … - q4", DOTS),
        ("t = q1 - … + q4", DOTS),
        ("t = q1 + … + q202", DOTS),
        ("t = q1 + … + q" + "9" * 30, DOTS),
    ],
)
def test_what_is_no_formula_is_refused(text: str, message: str) -> None:
    with pytest.raises(LayoutError) as error:
        Formula.of(text)
    assert str(error.value) == f"formula {text[:80]!r}{message}"


@st.composite
def forests(draw: st.DrawFn) -> list[Formula]:
    """Formulas over n0, n1, …: each name but the last may be given to one total with a larger number."""
    count = draw(st.integers(2, 12))
    parents = {place: draw(st.integers(place + 1, count) | st.none()) for place in range(count)}
    parts = {total: [place for place, above in parents.items() if above == total] for total in range(count + 1)}
    formulas = [
        Formula(f"n{total}", tuple((1, f"n{part}") for part in below)) for total, below in parts.items() if below
    ]
    return draw(st.permutations(formulas))


@given(forests())
def test_formulas_that_are_trees_come_with_parts_before_totals(formulas: list[Formula]) -> None:
    ordered = in_order(formulas, [f"n{place}" for place in range(20)])
    assert sorted(formula.total for formula in ordered) == sorted(formula.total for formula in formulas)
    totals = {formula.total for formula in formulas}
    seen: set[str] = set()
    for formula in ordered:
        assert {name for _, name in formula.terms} & totals <= seen
        seen.add(formula.total)


@given(forests(), st.data())
def test_one_more_term_that_makes_no_tree_is_refused(formulas: list[Formula], data: st.DataObject) -> None:
    if not formulas:
        return
    where = data.draw(st.integers(0, len(formulas) - 1))
    used = [name for formula in formulas for _, name in formula.terms]
    extra = data.draw(st.sampled_from([*used, formulas[where].total, "elsewhere"]))
    worse = replace(formulas[where], terms=(*formulas[where].terms, (-1, extra)))
    with pytest.raises(LayoutError):
        in_order([*formulas[:where], worse, *formulas[where + 1 :]], [f"n{place}" for place in range(20)])

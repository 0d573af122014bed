"""What is said of all sheets together."""

from __future__ import annotations

from typing import Any

from sumnist.sheets.layout import Layout
from sumnist.sheets.people import Person
from sumnist.sheets.summary import Roster, Summary, summary, visible

EXAM = Layout.of_line("9,7")


def row(path: str, identity: str | None = None, state: str | None = "adds up", **more: Any) -> dict[str, Any]:
    return {"path": path, "identity": identity, "state": state, "layout": EXAM.id, "version": 1, **more}


def test_nothing_odd_is_one_line() -> None:
    assert summary([], EXAM).text() == "0 sheets"
    assert summary([row("a.jpg", "Ada")], EXAM).text() == "1 sheet: adds up 1"
    rows = [row("a.jpg", "Ada"), row("b.jpg", "Bo", "doubtful"), row("c.jpg", "Cy")]
    people = [Person("Ada"), Person("Bo"), Person("Cy")]
    assert summary(rows, EXAM, people).text() == "3 sheets: adds up 2, doubtful 1"


def test_what_is_odd_is_told_with_its_files() -> None:
    rows = [
        row("a.jpg", "Ada"), row("b.jpg", "Ada", "corrected"), row("c.jpg", "Zoe", version=3), row("d.jpg"),
        {"path": "e.jpg", "error": "too dark\nto read", "state": None},
    ]  # fmt: skip
    assert summary(rows, EXAM, [Person("Ada", "Ada Lovelace"), Person("Bo", "Bob")]).text().split("\n") == [
        "5 sheets: adds up 3, corrected 1, unreadable 1",
        r"Unreadable, 1: e.jpg · too dark\nto read",
        "People without a readable sheet, 1: Bo · Bob",
        "On several sheets, 1: Ada · Ada Lovelace · a.jpg, b.jpg",
        "Not among the people, 2: Zoe · c.jpg; (none) · d.jpg",
        f"Of another layout or version, 1: {EXAM.id} · version 3 · 1 sheet",
    ]


def test_long_lists_are_cut_in_print_and_nowhere_else() -> None:
    found = summary([], EXAM, [Person(f"p{number}") for number in range(1, 1013)])
    last = found.text().split("\n")[-1]
    assert last.startswith("People without a readable sheet, 1,012: p1; p2; ")
    assert last.endswith("; p10; and 1,002 more")
    assert len(found.missing) == 1012


def test_without_people_nobody_is_missing_or_unknown() -> None:
    found = Summary(EXAM)
    found.add(row("a.jpg", "Ada"))
    found.add(row("b.jpg", "Ada"))
    assert (found.missing, found.unknown, found.duplicates) == ([], [], {"Ada": ["a.jpg", "b.jpg"]})


def test_zeros_before_a_number_do_not_matter_where_it_is_clear_who_is_meant() -> None:
    seven, other, ada = Person("7"), Person("07"), Person("0042", "Ada")
    roster = Roster([seven, other, ada])
    assert [roster.find(text) for text in ("7", "07", "007", "42", "000042", "420", "", "0", None)] == [
        seven, other, None, ada, ada, None, None, None, None,
    ]  # fmt: skip
    found = summary([row("a.jpg", "42"), row("b.jpg", "0042")], EXAM, [ada])
    assert found.duplicates == {"0042": ["a.jpg", "b.jpg"]}
    assert Roster([Person("000")]).find("0") == Person("000")


def test_characters_that_cannot_be_seen_are_escaped_and_others_stay() -> None:
    assert visible("Zoë 😀 שלום\t\u2028\x7f") == r"Zoë 😀 שלום\t\u2028\x7f"

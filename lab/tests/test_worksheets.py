"""Composed pages of sums: what is drawn is what is read."""

from __future__ import annotations

import pytest

import sumnist
from lab.suites.pages import Images
from lab.suites.sheets import Ink
from lab.suites.worksheets import columns, page, pages_of_sums

WRITERS = Images(Ink.mnist("development"))


@pytest.mark.parametrize("place", [0, 1])
def test_sums_in_columns_are_read_with_their_signs_and_without_their_carries(place: int) -> None:
    picture, sums = columns("development", WRITERS, place)
    found = sumnist.load().sums(picture)
    assert {(one.text, one.verdict) for one in found} == {(one.text, one.verdict) for one, _ in sums}


def test_each_half_has_its_own_pages_and_each_page_is_always_the_same() -> None:
    first, again = (page("development", WRITERS, 3) for _ in range(2))
    assert first[0] == again[0]
    assert first[1] != page("reported", WRITERS, 3)[1]


def test_figures_of_pages_count_every_sum_once() -> None:
    counts = pages_of_sums(sumnist.load(), "development", WRITERS, "columns", 2)
    assert counts["sums"] == counts["judged"] == sum(len(columns("development", WRITERS, place)[1]) for place in (0, 1))
    assert counts["sums"] >= counts["found"] >= counts["text"] > 0
    assert counts["given"] >= counts["given_right"] > 0

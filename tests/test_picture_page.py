"""The page finds every number on a picture: outlines, the list and the sum, corrections, and what can go wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from drawings import encoded
from example_page import PLACES
from example_page import page as example
from page_checks import (
    choose,
    white,
)  # fmt: skip
from page_in_node import in_node, modules
from static_page import PAGE
from sumnist.arithmetic.values import Value, plain
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import UNSURE, FoundNumber
from sumnist.inference.page import column_of

ROOM, FIND = "#picture-task", "**/v1/find"
LABELS = "#picture-task .frame span"
Corners = Sequence[tuple[float, float]]


def box(left: float, top: float, right: float, bottom: float) -> Corners:
    return (left, top), (right, top), (right, bottom), (left, bottom)


def number(
    shares: dict[str, float], corners: Corners, reason: str | None = None, written: str | None = None
) -> FoundNumber:
    """A number that was found, with the probabilities of what it may be."""
    values: list[Value] = [Decimal(text) if "." in text else int(text) for text in shares]
    several = tuple(
        Candidate(text, value, share) for (text, share), value in zip(shares.items(), values, strict=True)
    )  # fmt: skip
    text, share = next(iter(shares.items()))
    return FoundNumber(
        text, values[0], share, several, 1 - math.fsum(shares.values()), reason is None, reason, 1.0, (), (0, 9, 0, 9),
        "dark ink, found", None, (), tuple(corners), 0.0, text if written is None else written,
    )  # fmt: skip


UPPER, LOWER = (box(*place) for place in PLACES)
DOUBTED = number({"1480": 0.75, "8480": 0.2}, UPPER, UNSURE)
AMOUNT = number({"12.50": 0.98, "17.50": 0.01}, LOWER)


def finding(page: Page, *numbers: FoundNumber) -> None:
    """Go to the task, and have these numbers found on every picture; then show one."""
    body = {"width": 640, "height": 420, "numbers": [one.as_dict() for one in numbers]}
    page.route(FIND, lambda route: route.fulfill(json=body))
    choose(page, "A picture")
    show(page)


def show(page: Page, picture: bytes | None = None) -> None:
    content = encoded(example()) if picture is None else picture
    page.set_input_files("#picture-file", {"name": "page.png", "mimeType": "image/png", "buffer": content})


def part(page: Page, name: str) -> Locator:
    return page.locator(f"{ROOM} [data-part={name}]")


def rows(page: Page) -> Locator:
    return part(page, "list").get_by_role("button")


def readings(page: Page) -> list[str]:
    """What stands beside the outlines."""
    return page.locator(LABELS).all_inner_texts()


def boxes(page: Page, selector: str) -> list[list[float]]:
    """Where elements are on the screen: left, top, right and bottom."""
    found: list[list[float]] = page.locator(selector).evaluate_all(
        """all => all.map((one) => one.getBoundingClientRect()).map(
          ({ left, top, right, bottom }) => [left, top, right, bottom])"""
    )
    return found


# The sum, and what a person says.


@pytest.mark.browser
def test_a_correction_changes_outline_list_and_sum_and_a_number_that_is_left_out_is_not_added(page: Page) -> None:
    finding(page, DOUBTED, AMOUNT)
    expect(part(page, "verdict")).to_have_text("2 numbers, 1 in doubt.")
    expect(part(page, "value")).to_have_text("1492.50")
    assert readings(page) == ["1480?", "12.50"]
    page.get_by_role("button", name="Check the doubtful numbers").click()
    expect(part(page, "title")).to_have_text("Number 1")
    page.get_by_role("button", name="8480 20.0 %", exact=True).click()
    expect(part(page, "card")).to_be_hidden()
    expect(part(page, "value")).to_have_text("8492.50")
    assert readings(page) == ["8480", "12.50"]
    expect(page.locator(f"{ROOM} svg g").first).to_have_attribute("data-state", "good")
    expect(rows(page).first).to_have_text(re.compile(r"8480\s*Read as 1480"))
    rows(page).nth(1).click()
    page.get_by_role("textbox", name="It is").fill("−0.5")
    expect(part(page, "value")).to_have_text("8479.5")
    page.get_by_role("textbox", name="It is").fill("twelve")
    expect(part(page, "wrong")).to_have_text("This is no number, such as 1480, −3 or 12.50.")
    page.get_by_label("Add it to the sum").uncheck()
    page.get_by_role("textbox", name="It is").fill("")
    page.get_by_role("button", name="Done").click()
    expect(part(page, "value")).to_have_text("8480")


# No numbers, many, and no answer.


@pytest.mark.browser
def test_a_blank_picture_one_that_is_too_large_and_a_server_that_is_gone_are_told_in_a_sentence(page: Page) -> None:
    choose(page, "A picture")
    show(page, white())
    expect(part(page, "verdict")).to_have_text("No number was found on this picture.")
    show(page, b"twelve and seven")
    expect(part(page, "verdict")).to_have_text("Not a picture of a format that is read here.")
    page.route(FIND, lambda route: route.abort())
    show(page)
    expect(part(page, "verdict")).to_have_text("The server cannot be reached.")
    page.unroute(FIND)
    page.locator(f"{ROOM} [data-part=again]").click()
    expect(rows(page).first).to_be_visible()


# Arithmetic.


def added(numbers: Sequence[FoundNumber]) -> dict[str, float]:
    """The sums of the page, in Node."""
    for name in ("additions.js", "column.js", "decimals.js"):
        (modules() / name).write_bytes((PAGE / name).read_bytes())
    program = 'const { Adder, sharesOf } = await import("./column.js"); return new Adder().add(given.map(sharesOf));'
    return {one["value"]: one["share"] for one in in_node(program, [one.as_dict() for one in numbers])}


def test_sums_are_those_of_the_package_to_the_last_decimal() -> None:
    random = np.random.default_rng(7)
    for _ in range(5):
        numbers = []
        for _ in range(int(random.integers(1, 6))):
            digits = random.integers(-(10**5), 10**5, 4).tolist()
            texts = {str(Decimal(value).scaleb(-int(random.integers(0, 4)))): 0.0 for value in digits}
            shares = random.dirichlet(np.ones(len(texts) + 1)).tolist()
            numbers.append(number(dict(zip(texts, shares, strict=False)), UPPER))
        column = column_of(numbers)
        assert column is not None
        expected = {Decimal(str(plain(value))): share for value, share in column.sum.probabilities.items()}
        assert {Decimal(value): share for value, share in added(numbers).items()} == pytest.approx(expected)


TYPED: dict[str, Any] = {
    "1480": "1480", "−3": "-3", "- 3": "-3", "12.50": "12.50", "12,5": "12.5", "1,480": "1480",
    "1,234,567.5": "1234567.5", "1'234": "1234", "1 234": "1234", "1.480": "1.480", "0,125": "0.125",
    "+7": "7", "007": "7", "": None, "x": None, "1.2.3": None, "--1": None, ".5": None, "1,23,456": None,
}  # fmt: skip


def test_what_is_typed_is_a_number_as_people_write_it() -> None:
    (modules() / "decimals.js").write_bytes((PAGE / "decimals.js").read_bytes())
    program = 'const { typed } = await import("./decimals.js"); return given.map(typed);'
    assert dict(zip(TYPED, in_node(program, list(TYPED)), strict=True)) == TYPED

"""The page without a server: built, served by Python's server of files from a path below its root, and met by a
browser; its modules beside those that they are ports of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from page_checks import expect_answer, need
from page_driver import DIGITS, draw, hosting, until, write
from static_page import SIZES, WEB
from static_page import static as build
from sumnist.errors import SumnistError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page, below the one to be served."""
    need(WEB / "node_modules" / "onnxruntime-web", f"npm ci --prefix {WEB}")
    out = tmp_path_factory.mktemp("host") / "some" / "where"
    build(out)
    return out


@pytest.fixture(scope="module")
def server(built: Path) -> Iterator[str]:
    """The URL of the page."""
    with hosting(built.parent.parent) as url:
        yield f"{url}some/where/"


# In a browser.


@pytest.mark.browser
def test_digits_and_numbers_are_read_without_a_server(page: Page) -> None:
    assert page.locator("a", has_text=re.compile("^API$")).count() == 0
    draw(page, DIGITS[4])
    expect_answer(page, 4, 7)
    page.fill("#number", "-9007199254740982")
    expect_answer(page, 4, -9007199254740982)
    page.fill("#number", "10")
    expect(page.locator("#learned-says")).to_contain_text("It has no input for 10")
    page.click("#clear")
    page.locator("[name=task][value=number]").check(force=True)
    write(page, "38")
    expect(page.locator("#digit")).to_have_text("38")
    expect(page.locator("#sum")).to_have_text("48")


@pytest.mark.browser
def test_a_page_that_was_open_once_works_when_its_host_is_gone(browser: Browser, built: Path) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        with hosting(built.parent) as url:
            page.goto(f"{url}where/")
            until(page, "navigator.serviceWorker.ready.then(() => true)")
        page.reload()
        draw(page, DIGITS[3])
        expect_answer(page, 3, 7)


# The build.


def test_the_page_takes_less_than_ten_megabytes_over_the_wire(built: Path) -> None:
    sizes = json.loads((built / SIZES).read_text())
    assert sizes["all"]["gzip"] == sum(size["gzip"] for size in sizes["files"].values())
    assert sizes["all"]["gzip"] < 10_000_000


def test_a_folder_with_other_files_is_not_built_over(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    need(WEB / "node_modules" / "onnxruntime-web", f"npm ci --prefix {WEB}")
    with pytest.raises(SumnistError, match="holds other files, which would be deleted: name another folder"):
        build(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"

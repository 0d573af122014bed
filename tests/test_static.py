"""The page without a server: built, served by Python's server of files from a path below its root, and met by a
browser; its modules beside those that they are ports of."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, expect

from drawings import encoded
from example_page import page as example
from page_checks import LEFT_OUT, expect_answer, need, white
from page_driver import DIGITS, draw, hosting, until, write
from page_in_node import DRAWINGS, compared, in_node, read_in_browser
from static_page import NETWORKS, SIZES, WEB
from static_page import static as build
from sumnist.data.mnist import load_mnist
from sumnist.errors import SumnistError
from sumnist.files import PRETRAINED
from sumnist.inference.reader import Reader
from sumnist.pictures.decode import size_of
from sumnist.pictures.filters import resized

EVERY = 40
"""Of the recorded drawings, one of so many is read here."""
ASK = """async ([bytes, ink, wanted]) => {
    const { answerTo } = await import(new URL("static/engine.js", document.baseURI).href);
    const picture = async () => new Blob([Uint8Array.from(atob(bytes), (one) => one.charCodeAt())]);
    const question = { kind: "digit", picture, fields: { number: 7, ink }, ...wanted };
    return answerTo(question, new AbortController().signal);
}"""
"""Asks the page's engine about a picture."""


def ask(page: Page, picture: bytes, ink: str = "auto", **wanted: Any) -> dict[str, Any]:
    """What the page's engine answers."""
    answer: dict[str, Any] = page.evaluate(ASK, [b64encode(picture).decode(), ink, wanted])
    return answer


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
    write(page, "204")
    expect(page.locator("#digit")).to_have_text("204")
    expect(page.locator("#sum")).to_have_text("214")


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


@pytest.mark.browser
def test_drawings_are_read_as_the_package_reads_them(page: Page) -> None:
    reader = Reader()
    drawings = json.loads(DRAWINGS.read_text(encoding="utf-8"))[::EVERY]
    assert len(drawings) == 13
    for drawing in drawings:
        picture, other = read_in_browser(page, drawing)
        reading = reader.read(picture, 7, ink="dark")
        row = compared(reading, other)
        assert all(row[name][0] == row[name][1] for name in ("digit", "accepted", "reason", "how")), drawing
        assert row["images_equal"]
        assert row["probability_difference"] < 1e-3
        expected = json.loads(json.dumps(reading.as_dict(image=True) | {"sum_confidence": reading.sum_confidence}))
        assert {name for name in other if name != "beside"} == set(expected)
        assert [other[name] for name in ("sum", "sums", "advice", "number", "format")] == [
            expected[name] for name in ("sum", "sums", "advice", "number", "format")
        ]


@pytest.mark.browser
def test_what_else_the_engine_answers_is_what_the_package_says(page: Page) -> None:
    assert ask(page, b"no picture at all")["problem"]["title"] == "This picture cannot be read."
    blank = ask(page, white(), "dark", inside=True, evidence=True)["reading"]
    assert (blank["reason"], blank["how"], blank["evidence"]) == ("blank", None, None)
    assert [step["caption"] for step in blank["inside"]["steps"]] == ["as read", "what the network sees: blank"]
    mnist = encoded(Image.fromarray(load_mnist("test").images[1]))
    reader = Reader()
    for ink in ("auto", "light"):
        answer, reading = ask(page, mnist, ink)["reading"], reader.read(mnist, 7, ink=ink)
        assert (answer["digit"], answer["how"]) == (reading.digit, reading.how)
        assert reading.image is not None
        assert np.array_equal(np.array(answer["image"], np.float32), reading.image)
        assert np.allclose(answer["digit_probabilities"], reading.digit_probabilities, atol=1e-5)
    drawings = json.loads(DRAWINGS.read_text(encoding="utf-8"))
    picture, _ = read_in_browser(page, drawings[0])
    for number in (0, 4, 9):
        fields = {"number": number, "ink": "dark"}
        found = ask(page, picture, "dark", fields=fields)["reading"]["beside"]
        expected = Reader(PRETRAINED / NETWORKS["learned"]).read(picture, number, "dark")
        assert (found["digit"], found["sum"], found["accepted"]) == (expected.digit, expected.sum, expected.accepted)
        assert (found["sums"], found["left_out"]) == ([*range(19)], LEFT_OUT)
        assert found["sum_probabilities"] == pytest.approx(expected.sum_probabilities, abs=1e-4)


@pytest.mark.browser
def test_all_numbers_are_found_on_pictures_of_any_kind_as_by_the_package(page: Page) -> None:
    reader, blank = Reader(), Image.new("RGB", (1800, 1300), (235, 225, 210))
    blank.paste((30, 40, 120), (200, 100), mask=ImageOps.invert(example().resize((1500, 984))))
    clear = example().convert("RGBA")
    clear.putalpha(ImageOps.invert(example()))
    for picture in (encoded(blank), encoded(clear), encoded(blank, "JPEG")):
        answer, found = ask(page, picture, kind="find", fields={})["reading"], reader.find(picture)
        assert (answer["width"], answer["height"]) == size_of(picture)
        assert [one["text"] for one in answer["numbers"]] == [one.text for one in found]
        for one, other in zip(answer["numbers"], found, strict=True):
            assert np.array(one["corners"]) == pytest.approx(
                np.array(other.corners), abs=4 if picture[0] == 0xFF else 1
            )


# The modules, in Node.

FILTERED = """
const { Grid } = await import("./pictures/arrays.js");
const { BICUBIC, reduced, resampled, resized, spread } = await import("./pictures/filters.js");
const plain = (one) => ({ ...one, values: [...one.values] });
return given.map(({ height, width, values }) => {
  const one = new Grid(height, width, Float32Array.from(values));
  const whole = new Grid(height, width, Uint8Array.from(values, (value) => 255 * value));
  return {
    reduced: [2, 3, 5].map((factor) => plain(reduced(one, factor))),
    resized: [[20, true], [96, true], [13, false]].map((how) => plain(resized(one, ...how))),
    spread: plain(spread(one, 3)), cubic: plain(resampled(one, 3 * height, 3 * width, BICUBIC)),
    whole: [reduced(whole, 2), reduced(whole, 3), resampled(whole, 2 * height - 1, 2 * width)].map(plain),
  };
});
"""


def test_pictures_are_reduced_resized_and_spread_as_by_pillow() -> None:
    def array(made: dict[str, Any]) -> NDArray[np.float32]:
        return np.array(made["values"], np.float32).reshape(made["height"], made["width"])

    random = np.random.default_rng(5)
    noise = [random.random(shape, np.float32) for shape in ((140, 140), (33, 57), (1, 9), (20, 13), (7, 64))]
    given = [{"height": one.shape[0], "width": one.shape[1], "values": one.ravel().tolist()} for one in noise]
    for made, values in zip(in_node(FILTERED, given), noise, strict=True):
        picture, whole = Image.fromarray(values), Image.fromarray((255 * values.astype(float)).astype(np.uint8))
        wide, high = picture.size
        for factor, one in zip((2, 3, 5), made["reduced"], strict=True):
            assert np.array_equal(array(one), np.asarray(picture.reduce(factor)))
        for (longer, grow), one in zip(((20, True), (96, True), (13, False)), made["resized"], strict=True):
            assert np.array_equal(array(one), resized(values, longer, grow))
        around = sliding_window_view(np.pad(values, 1), (3, 3))
        assert np.array_equal(array(made["spread"]), around.max((2, 3)))
        cubic = np.asarray(picture.resize((3 * wide, 3 * high), Image.Resampling.BICUBIC))
        assert array(made["cubic"]) == pytest.approx(cubic, abs=1e-6)
        doubled = whole.resize((2 * wide, 2 * high - 1), Image.Resampling.BILINEAR)
        for one, other in zip(made["whole"], (whole.reduce(2), whole.reduce(3), doubled), strict=True):
            assert np.array_equal(array(one), np.asarray(other))


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

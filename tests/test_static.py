"""The page without a server: built, served by Python's server of files from a path below its root, and met by a
browser; its modules beside those that they are ports of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from build import NETWORKS, SIZES, WEB
from build import static as build
from compare import DRAWINGS, compared, hosting, read_in_browser
from drawings import encoded
from page_checks import expect_answer, need, white
from page_driver import DIGITS, draw, until, write
from sumnist.data.mnist import load_mnist
from sumnist.errors import SumnistError
from sumnist.files import PRETRAINED
from sumnist.inference.inside import evidence_of, read_inside
from sumnist.inference.reader import Reader
from sumnist.lab.study.runs import LEFT_OUT
from sumnist.pictures.components import components_of
from sumnist.pictures.filters import closing, resized

EVERY = 20
"""Of the recorded drawings, one of so many is read here."""
ASK = """async ([bytes, ink, wanted]) => {
    const { answerTo } = await import(new URL("static/engine.js", document.baseURI).href);
    const picture = async () => new Blob([Uint8Array.from(bytes)]);
    const question = { kind: "digit", picture, fields: { number: 7, ink }, ...wanted };
    return answerTo(question, new AbortController().signal);
}"""
"""Asks the page's engine about a picture."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page, below the one to be served."""
    need(WEB / "node_modules" / "onnxruntime-web", f"npm ci --prefix {WEB}")
    out = tmp_path_factory.mktemp("host") / "some" / "where"
    build(out)
    return out


@pytest.fixture(scope="module")
def host(built: Path) -> Iterator[str]:
    """The URL of the page."""
    with hosting(built.parent.parent) as url:
        yield f"{url}some/where/"


@pytest.fixture
def page(browser: Browser, host: str) -> Iterator[Page]:
    """The page; in the end it has asked no other host for anything, and no script had failed or was refused."""
    requested: list[str] = []
    wrong: list[str] = []
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        context.on("request", lambda request: requested.append(request.url))
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(host)
        yield page
    assert [url for url in requested if not url.startswith(host)] == []
    assert wrong == []


# In a browser.


@pytest.mark.browser
@pytest.mark.parametrize("digit", [0, 4, 8])
def test_a_drawn_digit_and_its_sum_are_read_without_a_server(page: Page, digit: int) -> None:
    draw(page, DIGITS[digit])
    expect_answer(page, digit, 7)
    page.fill("#number", "-9007199254740982")
    expect_answer(page, digit, -9007199254740982)


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
def test_a_new_version_is_taken_once_the_old_page_is_closed(browser: Browser, built: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    shutil.copytree(built, out)
    with browser.new_context() as context, hosting(tmp_path) as url:
        page = context.new_page()
        page.goto(f"{url}page/")
        until(page, "navigator.serviceWorker.ready.then(() => true)")
        build(out, {"how": "elsewhere"})
        page.evaluate("navigator.serviceWorker.ready.then((registration) => registration.update())")
        until(page, "navigator.serviceWorker.ready.then(({ waiting }) => waiting && true)")
        page.close()
        page = context.new_page()
        page.goto(f"{url}page/")
        expect(page.locator("[data-docs=how]")).to_have_attribute("href", "elsewhere")


@pytest.mark.browser
def test_what_is_on_the_page_is_for_drawings(page: Page) -> None:
    expect(page.locator("footer")).to_contain_text("photographs are read by sumnist serve")
    expect(page.locator("#file")).to_be_hidden()
    assert page.locator("a", has_text=re.compile("^API$")).count() == 0


@pytest.mark.browser
def test_a_photograph_is_refused_with_a_word_of_what_reads_it(page: Page) -> None:
    shade = np.linspace(40, 250, 300, dtype=np.uint8)
    photograph = encoded(Image.fromarray(np.broadcast_to(shade, (300, 300)).copy()))
    for picture in (photograph, b"no picture at all"):
        answer = page.evaluate(ASK, [list(picture), "auto", {}])
        assert answer == {
            "problem": {
                "title": "Only drawings are read here.",
                "detail": "Photographs and scans are read by `sumnist serve` on your own computer.",
            }
        }


@pytest.mark.browser
def test_drawings_are_read_as_the_package_reads_them(page: Page) -> None:
    reader = Reader()
    drawings = json.loads(DRAWINGS.read_text(encoding="utf-8"))[::EVERY]
    assert len(drawings) == 25
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
@pytest.mark.parametrize("ink", ["auto", "light"])
def test_an_image_of_mnist_is_read_as_it_is(page: Page, ink: str) -> None:
    image = load_mnist("test").images[1]
    answer = page.evaluate(ASK, [list(encoded(Image.fromarray(image))), ink, {}])["reading"]
    reading = Reader().read(encoded(Image.fromarray(image)), 7, ink=ink)  # type: ignore[call-overload]
    assert (answer["digit"], answer["how"]) == (reading.digit, reading.how)
    assert np.array_equal(np.array(answer["image"], np.float32), reading.image)
    assert np.allclose(answer["digit_probabilities"], reading.digit_probabilities, atol=1e-5)


@pytest.mark.browser
def test_how_a_reading_came_about_is_what_the_package_says(page: Page) -> None:
    drawing = next(one for one in json.loads(DRAWINGS.read_text(encoding="utf-8")) if one["kind"] == "dirt")
    picture, _ = read_in_browser(page, drawing)
    found = page.evaluate(ASK, [list(picture), "dark", {"inside": True, "evidence": True}])["reading"]
    reader = Reader()
    reading, inside = read_inside(reader, picture, 7, "dark")
    for step, other in zip(found["inside"]["steps"], inside.as_dict()["steps"], strict=True):
        names = ("caption", "width", "height")
        assert [step[name] for name in names] == [other[name] for name in names]
        assert np.abs(levels(step["pixels"]) - levels(other["pixels"])).max() <= 1
    for proposal, other in zip(found["inside"]["proposals"], inside.as_dict()["proposals"], strict=True):
        assert proposal == other | {
            name: pytest.approx(other[name], abs=1e-4) for name in ("confidence", "is_digit", "weight", "score")
        }
    for layer, other in zip(found["inside"]["layers"], inside.as_dict()["layers"], strict=True):
        assert [layer[name] for name in ("name", "channels", "side", "field")] == [
            other[name] for name in ("name", "channels", "side", "field")
        ]
        assert np.abs(levels(layer["maps"]) - levels(other["maps"])).max() <= 1
    evidence = evidence_of(reader, reading)
    assert evidence is not None
    expected = evidence.as_dict()
    assert found["evidence"] == expected | {
        "probabilities": pytest.approx(expected["probabilities"], abs=1e-4),
        "changes": pytest.approx(expected["changes"], abs=0.01),
    }


def levels(text: str) -> NDArray[np.int64]:
    return np.frombuffer(b64decode(text), np.uint8).astype(np.int64)


@pytest.mark.browser
@pytest.mark.parametrize("number", [0, 4, 9])
def test_the_network_that_learned_to_add_says_what_it_says_in_python(page: Page, number: int) -> None:
    drawing = json.loads(DRAWINGS.read_text(encoding="utf-8"))[0]
    picture, _ = read_in_browser(page, drawing)
    found = page.evaluate(ASK, [list(picture), "dark", {"fields": {"number": number, "ink": "dark"}}])["reading"][
        "beside"
    ]
    expected = Reader(PRETRAINED / NETWORKS["learned"]).read(picture, number, "dark")
    assert (found["digit"], found["sum"], found["accepted"]) == (expected.digit, expected.sum, expected.accepted)
    assert found["sums"] == list(range(19))
    assert found["left_out"] == LEFT_OUT.tolist()
    assert found["sum_probabilities"] == pytest.approx(expected.sum_probabilities, abs=1e-4)


@pytest.mark.browser
def test_the_network_that_learned_to_add_has_no_input_for_ten(page: Page) -> None:
    page.fill("#number", "10")
    draw(page, DIGITS[6])
    expect(page.locator("#sum")).to_have_text("16")
    expect(page.locator("#learned-says")).to_contain_text("It has no input for 10")


@pytest.mark.browser
def test_a_number_is_read_too(page: Page) -> None:
    page.locator("[name=task][value=number]").check(force=True)
    write(page, "204")
    expect(page.locator("#digit")).to_have_text("204")
    expect(page.locator("#sum")).to_have_text("211")


@pytest.mark.browser
def test_a_blank_picture_is_said_to_be_blank(page: Page) -> None:
    reading = page.evaluate(ASK, [list(white()), "dark", {"inside": True, "evidence": True}])["reading"]
    assert (reading["reason"], reading["how"], reading["evidence"]) == ("blank", None, None)
    assert [step["caption"] for step in reading["inside"]["steps"]] == ["as read", "what the network sees: blank"]


# The modules, in Node.


def in_node(built: Path, code: str, given: Any = None) -> Any:
    """What `code` returns for `given`, in the folder of the page's modules."""
    node = shutil.which("node")
    need(Path(node or "node"), "install Node")
    program = f"const given = JSON.parse(await new Response(process.stdin).text());\n{code}"
    command = [str(node), "--input-type=module", "--eval", program]
    done = subprocess.run(command, input=json.dumps(given), cwd=built / "static", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def grid(values: NDArray[Any]) -> dict[str, Any]:
    return {"height": values.shape[0], "width": values.shape[1], "values": values.ravel().tolist()}


def array(made: dict[str, Any]) -> NDArray[np.float32]:
    return np.array(made["values"], np.float32).reshape(made["height"], made["width"])


GRIDS = """
import { Grid } from "./pictures/arrays.js";
const grids = given.map(({ height, width, values }) => new Grid(height, width, Float32Array.from(values)));
const say = (made) => console.log(JSON.stringify(made.map((one) => ({ ...one, values: [...one.values] }))));
"""


@pytest.fixture
def noise() -> list[NDArray[np.float32]]:
    random = np.random.default_rng(5)
    shapes = [(140, 140), (33, 57), (1, 9), (20, 13), (7, 64)]
    return [random.random(shape, np.float32) for shape in shapes]


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_pictures_are_reduced_as_pillow_reduces_them(
    built: Path, noise: list[NDArray[np.float32]], factor: int
) -> None:
    made = in_node(built, GRIDS + f"""
        import {{ reduced }} from "./pictures/filters.js";
        say(grids.map((one) => reduced(one, {factor})));
    """, list(map(grid, noise)))  # fmt: skip
    for one, values in zip(made, noise, strict=True):
        assert np.array_equal(array(one), np.asarray(Image.fromarray(values).reduce(factor)))


@pytest.mark.parametrize(("longer", "grow"), [(20, "true"), (96, "true"), (13, "false")])
def test_pictures_are_resized_as_pillow_resizes_them(
    built: Path, noise: list[NDArray[np.float32]], longer: int, grow: str
) -> None:
    made = in_node(built, GRIDS + f"""
        import {{ resized }} from "./pictures/filters.js";
        say(grids.map((one) => resized(one, {longer}, {grow})));
    """, list(map(grid, noise)))  # fmt: skip
    for one, values in zip(made, noise, strict=True):
        assert np.array_equal(array(one), resized(values, longer, grow == "true"))


def test_closings_are_those_of_the_package(built: Path, noise: list[NDArray[np.float32]]) -> None:
    made = in_node(built, GRIDS + """
        import { closing } from "./pictures/filters.js";
        say(grids.map((one) => closing(one, 7)));
    """, list(map(grid, noise)))  # fmt: skip
    for one, values in zip(made, noise, strict=True):
        assert np.array_equal(array(one), closing(values, 7))


def test_components_are_those_of_the_package(built: Path, noise: list[NDArray[np.float32]]) -> None:
    made = in_node(built, GRIDS + """
        import { componentsOf } from "./pictures/components.js";
        console.log(JSON.stringify(grids.map((one) => componentsOf(one, 0.75))));
    """, list(map(grid, noise)))  # fmt: skip
    for one, values in zip(made, noise, strict=True):
        expected = components_of(values >= 0.75, values)
        assert one["boxes"] == expected.boxes.tolist()
        assert one["masses"] == expected.masses.tolist()
        assert [run["label"] for run in one["runs"]] == expected.labels.tolist()


def test_medians_quantiles_sums_and_halves_are_those_of_numpy(built: Path) -> None:
    random = np.random.default_rng(6)
    lists = [random.random(count, np.float32) for count in (1, 2, 7, 8, 129, 1000)]
    made = in_node(built, """
        import { median, quantile, round, sum } from "./pictures/arrays.js";
        console.log(JSON.stringify(given.map((values) => [
            median(values), quantile(values, 0.95), sum(values), ...values.map((value) => round(4 * value) / 4),
        ])));
    """, [values.tolist() for values in lists])  # fmt: skip
    for (middle, quantile, total, *rounded), values in zip(made, lists, strict=True):
        assert middle == np.median(values)
        assert quantile == pytest.approx(np.quantile(values, 0.95), abs=1e-6)
        assert total == values.astype(np.float64).sum()
        assert rounded == (np.rint(values.astype(np.float64) * 4) / 4).tolist()


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

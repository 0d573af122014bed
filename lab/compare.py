"""Compare how the page without a server and the package read the same drawings.

    python -m lab.compare drawings           digits, and drawings of no digit: docs/results/static.jsonl
    python -m lab.compare numbers            numbers: docs/results/static-numbers.jsonl

Digits: in Chromium, the page's own pad draws the strokes of `tests/drawings.json`. The page reads the pad's picture in
the browser, the package reads it here. Numbers: the page's modules run in Node, with the page's networks. The drawings
are strings of MNIST's digits of the development half, enlarged, with edges as sharp as the pad's. The package must be
committed, and its commit is in the row.
"""

from __future__ import annotations

import argparse
import atexit
import json
import shutil
import subprocess
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page
from tqdm import tqdm

from lab.build import NETWORKS, ORT, RUNTIME, WEB, constants, static
from lab.evidence import RESULTS, ROOT, Row, add, clean_commit, with_envelope
from lab.page_driver import chromium, hosting
from lab.suites.strips import SPACINGS, strings
from sumnist.files import PRETRAINED
from sumnist.inference.reader import Reader, Reading

DRAWINGS = ROOT / "tests/drawings.json"
NUMBER = 7
PIXEL = 1 / 255
"""Images that differ by less than one step of intensity are equal."""
HEIGHT = 280
"""Height of a pad and of a drawing, in pixels."""
READ = """async ([{ width, pen, strokes }, height]) => {
    const found = (name) => import(new URL(`static/${name}`, document.baseURI).href);
    const [{ Pad }, { answerTo }] = [await found("pad.js"), await found("engine.js")];
    const canvas = document.createElement("canvas");
    const size = { width: `${(width * height) / 1000}px`, height: `${height}px` };
    Object.assign(canvas.style, { position: "fixed", left: 0, top: 0, ...size });
    canvas.setPointerCapture = () => {}; // there is no pointer
    document.body.append(canvas);
    const pad = new Pad(canvas, () => {});
    const send = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
        pointerId: 1, pointerType: "pen", pressure: pen / 1000 - 0.5,
        clientX: (x * height) / 1000, clientY: (y * height) / 1000,
    }));
    for (const stroke of strokes) {
        for (let i = 0; i < stroke.length; i += 2) send(i ? "pointermove" : "pointerdown", stroke[i], stroke[i + 1]);
        send("pointerup", 0, 0);
    }
    const [file, pixels] = [await pad.file(), pad.pixels()];
    canvas.remove();
    const fields = { number: 7, ink: "dark" };
    const question = { kind: "digit", picture: async () => file, pixels: () => pixels, fields };
    const outcome = await answerTo(question, new AbortController().signal);
    const bytes = new Uint8Array(await file.arrayBuffer());
    return { ...outcome, png: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) };
}"""
"""Draws strokes on a pad of the page, and returns the picture that the pad makes, and the page's reading of it."""


def read_in_browser(page: Page, drawing: Row) -> tuple[bytes, Row]:
    """Return the picture that the pad makes of a drawing, and the page's reading of it."""
    answer = page.evaluate(READ, [drawing, HEIGHT])
    if "reading" not in answer:
        raise RuntimeError(f"no reading: {answer['problem']}")
    return b64decode(answer["png"]), answer["reading"]


def compared(reading: Reading, other: Row) -> Row:
    """Return the readings of the package and of the page, and how far apart they are."""
    assert reading.image is not None
    image = float(np.abs(reading.image - np.array(other["image"])).max())
    shares = np.abs(np.array(reading.digit_probabilities) - np.array(other["digit_probabilities"])).max()
    assert reading.is_digit_probability is not None
    return {
        "digit": [reading.digit, other["digit"]],
        "accepted": [reading.accepted, other["accepted"]],
        "reason": [reading.reason, other["reason"]],
        "how": [reading.how, other["how"]],
        "images_equal": image < PIXEL,
        "image_difference": image,
        "probability_difference": float(shares),
        "is_digit_difference": abs(reading.is_digit_probability - other["is_digit_probability"]),
    }


# Numbers.

WIDTHS = 500, 1000
"""Least and greatest width of a drawing, in pixels."""
SCALES = 3.0, 6.0
"""Least and greatest factor by which strings are enlarged."""
EDGE = 96, 32
"""Intensity of an enlarged string at which ink begins, and the range of intensities over which its edge is spread."""
LENGTHS = range(1, 9)
"""Numbers of digits."""
COUNT = 5
"""Number of candidates, as on the page."""

Grey = NDArray[np.uint8]


@cache
def modules() -> Path:
    """Make a folder of the page's modules, with the constants that they take from the package."""
    folder = Path(tempfile.mkdtemp(prefix="sumnist-web-"))
    atexit.register(shutil.rmtree, folder)
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns("node_modules", "package*.json"), dirs_exist_ok=True)
    (folder / "constants.js").write_text(constants(networks=NETWORKS), encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return folder


@cache
def with_networks() -> Path:
    """Add the networks, and what runs them, to the folder of modules, and return the folder."""
    (modules() / "ort").mkdir()
    for name in ORT:
        shutil.copy(RUNTIME / name, modules() / "ort")
    for name in NETWORKS.values():
        shutil.copy(PRETRAINED / name, modules())
    return modules()


def in_node(body: str, given: Any) -> Any:
    """Run the body of a JavaScript function of `given` in Node, in the folder of the page's modules, and return its
    result."""
    program = f"""
        import {{ readFileSync }} from "node:fs";
        const packed = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
        const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
        const floats = (text) => new Float32Array(bytes(text).buffer);
        const given = JSON.parse(readFileSync(0, "utf8"));
        const found = await (async () => {{ {body} }})();
        process.stdout.write(JSON.stringify(found));
    """
    node = ["node", "--input-type=module", "--eval", program]
    done = subprocess.run(node, input=json.dumps(given), cwd=modules(), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def packed(values: NDArray[Any]) -> str:
    """Encode an array's bytes for JSON."""
    return b64encode(np.ascontiguousarray(values).tobytes()).decode()


def drawing_of(picture: Grey) -> Row:
    """Encode a drawing `[H, W]`, black on white, for JSON."""
    return {"pixels": packed(picture), "height": picture.shape[0], "width": picture.shape[1]}


def read_in_node(pictures: Sequence[Grey], kind: str, fields: Row) -> list[Row]:
    """Return the page's readings of pictures, made by its networks in Node; `kind`: the kind of question."""
    with_networks()
    read: list[Row] = in_node(
        """
        const { networks } = await import("./constants.js");
        const { Finder } = await import("./inference/finder.js");
        const { OnnxNetwork, floats, sessionWith } = await import("./inference/onnx.js");
        const { metadataOf } = await import("./inference/protobuf.js");
        const { read } = await import("./inference/reader.js");
        const { NumberReader } = await import("./numbers/reading.js");
        const { intensitiesIn } = await import("./pictures/decode.js");
        const file = (name) => new Uint8Array(readFileSync(networks[name]));
        const [digits, finder] = [await OnnxNetwork.from(file("digits")), await Finder.from(file("finder"))];
        const session = await sessionWith(file("numbers"));
        const run = (strip, shape) => session.run({ strip: floats(strip, shape) });
        const numbers = new NumberReader(run, metadataOf(file("numbers")), digits);
        const kinds = {
          digit: async (seen, { number, ink }) => (await read(digits, seen, number, ink)).reading,
          number: (seen, fields) => numbers.read(seen, fields),
          find: (seen, fields) => numbers.find(seen, fields),
        };
        const readings = [];
        for (const { pixels, height, width } of given.pictures) {
          const grey = bytes(pixels);
          const colours = (top, high) => {
            const data = new Uint8Array(4 * width * high);
            for (let i = 0; i < data.length; i++) data[i] = grey[top * width + (i >> 2)];
            return { data };
          };
          const picture = intensitiesIn({ height, width }, colours);
          const [find, findFiner] = [() => finder.find(picture.grey), () => finder.find(picture.pixels())];
          readings.push(await kinds[given.kind]({ picture, find, findFiner }, given.fields));
        }
        return readings;
        """,
        {"pictures": [drawing_of(picture) for picture in pictures], "kind": kind, "fields": fields},
    )
    return read


def drawn_numbers(count: int) -> tuple[list[Grey], list[str]]:
    """Return drawings of numbers, and the numbers written on them."""
    random = np.random.default_rng(18)
    sets = [(digits, spacing) for digits in LENGTHS for spacing in (SPACINGS[:1] if digits == 1 else SPACINGS)]
    each = -(-count // len(sets))
    made = [strings("development", digits, spacing, each) for digits, spacing in sets]
    places = random.permutation(each * len(sets))[:count]
    pictures = [drawn(picture, random) for one in made for picture in one.pictures]
    texts = [text for one in made for text in one.texts]
    return [pictures[place] for place in places], [texts[place] for place in places]


def drawn(strip: Grey, random: np.random.Generator) -> Grey:
    """Turn a string, light ink on dark ground, into a drawing: larger, with sharp edges, black on white."""
    height, width = strip.shape
    scale = min(random.uniform(*SCALES), HEIGHT / height, WIDTHS[1] / width)
    high, wide = int(scale * height), int(scale * width)
    large = np.asarray(Image.fromarray(strip).resize((wide, high), Image.Resampling.BICUBIC)).astype(float)
    page = np.full((HEIGHT, max(wide, int(random.integers(*WIDTHS)))), 255, np.uint8)
    top, left = random.integers(0, HEIGHT - high + 1), random.integers(0, page.shape[1] - wide + 1)
    page[top : top + high, left : left + wide] = 255 - np.rint(255 * ((large - EDGE[0]) / EDGE[1]).clip(0, 1))
    return page


def farthest(one: Row, other: Row) -> float:
    """Return the largest difference between two readings, in the probability of any value or in their other
    probabilities."""
    shares, others = ({each["value"]: each["probability"] for each in read["candidates"]} for read in (one, other))
    gaps: list[float] = [abs(shares.get(value, 0.0) - others.get(value, 0.0)) for value in shares | others]
    gaps += [abs(one[key] - other[key]) for key in ("confidence", "other", "is_number_probability")]
    return max(gaps)


def compared_numbers(pictures: Sequence[Grey], texts: Sequence[str]) -> Row:
    """Count how often the two readings of a drawing agree, and how often they are right."""
    read = read_in_node(pictures, "number", {"count": COUNT, "ink": "dark"})
    wanted = [reading.as_dict() for reading in Reader().read_number([*pictures], ink="dark", count=COUNT)]
    pairs = list(zip(read, wanted, strict=True))
    return {
        "drawings": len(pairs),
        "text_equal": sum(one["text"] == other["text"] for one, other in pairs),
        "accepted_equal": sum(one["accepted"] == other["accepted"] for one, other in pairs),
        "right": sum(one["digits"] == text for one, text in zip(read, texts, strict=True)),
        "right_in_python": sum(one["digits"] == text for one, text in zip(wanted, texts, strict=True)),
        "accepted": sum(one["accepted"] for one in read),
        "largest_difference": max(farthest(*pair) for pair in pairs),
    }


# The program.


def drawings(rows: Path) -> None:
    """Compare the readings of all drawings of digits, and write their row in place of the old one."""
    read, reader = [], Reader()
    with tempfile.TemporaryDirectory() as folder:
        static(Path(folder) / "page")
        with hosting(Path(folder)) as host, chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{host}page/")
            for place, drawing in enumerate(tqdm(json.loads(DRAWINGS.read_text(encoding="utf-8")))):
                picture, other = read_in_browser(page, drawing)
                about = {"drawing": place, "kind": drawing["kind"], "what": drawing["what"]}
                read.append(about | compared(reader.read(picture, NUMBER, ink="dark"), other))
            row = with_envelope("page-agreement", browser=browser.version, drawings=read)
    rows.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Compare what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("drawings", "numbers"))
    parser.add_argument("--count", type=int, default=100, help="numbers")
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args()
    clean_commit("compare")
    if given.what == "drawings":
        drawings(given.rows or RESULTS / "static.jsonl")
    else:
        row = with_envelope("drawings") | compared_numbers(*drawn_numbers(given.count))
        add(given.rows or RESULTS / "static-numbers.jsonl", row)


if __name__ == "__main__":
    main()

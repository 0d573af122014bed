"""The page's modules in Node, and the page without a server in a browser: what they read, and how far that is from what
the package reads."""

from __future__ import annotations

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
from playwright.sync_api import Page

from static_page import NETWORKS, ORT, RUNTIME, UNUSED, WEB, constants
from sumnist.files import PRETRAINED
from sumnist.inference.reader import Reading

Row = dict[str, Any]
Grey = NDArray[np.uint8]

DRAWINGS = Path(__file__).with_name("drawings.json")
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


# The modules in Node.


@cache
def modules() -> Path:
    """Make a folder of the page's modules, with the constants that they take from the package."""
    folder = Path(tempfile.mkdtemp(prefix="sumnist-web-"))
    atexit.register(shutil.rmtree, folder)
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns(*UNUSED), dirs_exist_ok=True)
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


def farthest(one: Row, other: Row) -> float:
    """Return the largest difference between two readings, in the probability of any value or in their other
    probabilities."""
    shares, others = ({each["value"]: each["probability"] for each in read["candidates"]} for read in (one, other))
    gaps: list[float] = [abs(shares.get(value, 0.0) - others.get(value, 0.0)) for value in shares | others]
    gaps += [abs(one[key] - other[key]) for key in ("confidence", "other", "is_number_probability")]
    return max(gaps)

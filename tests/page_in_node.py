"""The page's modules in Node: what they read."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from static_page import NETWORKS, ORT, RUNTIME, UNUSED, WEB, constants
from sumnist.files import PRETRAINED

Row = dict[str, Any]
Grey = NDArray[np.uint8]

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

"""Compare how the page without a server and the package read the same drawings.

    python scripts/compare_static.py docs/results/static.jsonl

Both read the picture that the page's own pad makes of the strokes in `tests/drawings.json`, in Chromium: the page in
the browser, the package here. One row a drawing, then one that says where and with what. The package must be committed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from playwright.sync_api import Page
from tqdm import tqdm

from build_static import build
from measure import clean_commit, machine
from page_driver import chromium
from sumnist.environment import now
from sumnist.inference.reader import Reader, Reading

__all__ = ["DRAWINGS", "Row", "compared", "hosting", "read_in_browser"]

DRAWINGS = Path(__file__).resolve().parent.parent / "tests" / "drawings.json"
NUMBER = 7
PIXEL = 1 / 255
"""Images that differ by less than one of their steps are equal."""
HEIGHT = 280
"""Pixels of a pad's height."""
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
"""Draws strokes on a pad of the page: the picture that it makes of them, and what the page reads there."""

Row = dict[str, Any]


class Quiet(SimpleHTTPRequestHandler):
    """Python's server of files, which says nothing."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def hosting(folder: Path) -> Iterator[str]:
    """The URL of a server of the files in `folder`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def read_in_browser(page: Page, drawing: Row) -> tuple[bytes, Row]:
    """The picture that the pad makes of a drawing, and the page's reading of it."""
    answer = page.evaluate(READ, [drawing, HEIGHT])
    if "reading" not in answer:
        raise RuntimeError(f"no reading: {answer['problem']}")
    return b64decode(answer["png"]), answer["reading"]


def compared(reading: Reading, other: Row) -> Row:
    """The readings of the package and of the page, and how far apart they are."""
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


def compare(page: Page, drawings: Sequence[Row]) -> Iterator[Row]:
    """A row for each drawing."""
    reader = Reader()
    for place, drawing in enumerate(drawings):
        picture, other = read_in_browser(page, drawing)
        found = compared(reader.read(picture, NUMBER, ink="dark"), other)
        yield {"drawing": place, "kind": drawing["kind"], "what": drawing["what"], **found}


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    args = parser.parse_args()
    commit = clean_commit("compare_static")
    drawings = json.loads(DRAWINGS.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "page")
        with hosting(Path(folder)) as host, chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{host}page/")
            rows = list(tqdm(compare(page, drawings), total=len(drawings)))
            about = {"browser": browser.version, "commit": commit, "time": now(), "machine": machine()}
    args.rows.write_text("".join(json.dumps(row) + "\n" for row in [*rows, about]), encoding="utf-8")
    print(summary(rows))


def summary(rows: Sequence[Row]) -> str:
    """What the rows say, in short."""
    equal = [row for row in rows if row["images_equal"]]
    same = {name: sum(row[name][0] == row[name][1] for row in rows) for name in ("digit", "accepted", "reason", "how")}
    return (
        f"{len(rows)} drawings: the same {same}; image equal {len(equal)}, and the probabilities there to "
        f"{max(row['probability_difference'] for row in equal):.1e}"
    )


if __name__ == "__main__":
    main()

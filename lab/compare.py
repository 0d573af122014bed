"""Compare how the page without a server and the package read the same drawings.

    python -m lab compare drawings           digits, and drawings of no digit: docs/results/static.jsonl
    python -m lab compare numbers            numbers: docs/results/static-numbers.jsonl

Digits: in Chromium, the page's own pad draws the strokes of `tests/drawings.json`. The page reads the pad's picture in
the browser, the package reads it here. Numbers: the page's modules run in Node, with the page's networks. The drawings
are strings of MNIST's digits of the development half, enlarged, with edges as sharp as the pad's. The package must be
committed, and its commit is in the row.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from lab.evidence import RESULTS, Row, add, clean_commit, with_envelope
from lab.suites.strips import SPACINGS, strings
from page_driver import chromium, hosting
from page_in_node import DRAWINGS, HEIGHT, Grey, compared, farthest, read_in_browser, read_in_node
from static_page import static
from sumnist.inference.reader import Reader

NUMBER = 7
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


def main(words: Sequence[str] | None = None) -> None:
    """Compare what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("drawings", "numbers"))
    parser.add_argument("--count", type=int, default=100, help="numbers")
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args(words)
    clean_commit("compare")
    if given.what == "drawings":
        drawings(given.rows or RESULTS / "static.jsonl")
    else:
        row = with_envelope("drawings") | compared_numbers(*drawn_numbers(given.count))
        add(given.rows or RESULTS / "static-numbers.jsonl", row)

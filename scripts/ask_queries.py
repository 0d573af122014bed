"""Ask the queries of the page on arithmetic, and write what they are answered to docs/results/queries.jsonl.

    python scripts/ask_queries.py

Beside the pictures of `examples`, they are of strings of MNIST's test digits that touch, from the development half of
the suite `numbers`: the first ones of which the reader is unsure. docs/images/queries.png shows them side by side.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

import sumnist
from measure import RESULTS, clean_commit
from sumnist.environment import now
from sumnist.errors import EquationError
from sumnist.inference.demo import solution_described
from sumnist.lab.study.rows import Row, append_jsonl
from sumnist.lab.suites.strips import strings

ROWS = RESULTS.with_name("queries.jsonl")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
UNSURE = 0.5, 0.9
"""Confidence of the readings of those strings, from and to."""
STRINGS = {"a.png": 3, "b.png": 3, "c.png": 2}
"""Those pictures, and how many digits each has."""
SHOWN, ENLARGED, APART = RESULTS.parent.parent / "images/queries.png", 3, 24
"""Where they are shown, how many times as large, and pixels between them."""
SEARCHED = 300
"""Strings that are looked through for an unsure one."""


def main() -> None:
    """Ask all queries in a folder of their pictures."""
    head = clean_commit("ask_queries")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in ("five.png", "1480.png"):
            shutil.copy(EXAMPLES / name, name)
        reader = sumnist.load()
        truth = {name: unsure(reader, name, digits, place) for place, (name, digits) in enumerate(STRINGS.items())}
        show([*STRINGS])
        ROWS.unlink(missing_ok=True)
        for query in queries(truth):
            append_jsonl(ROWS, asked(reader, query) | {"part": "queries", "date": now(), "commit": head})


def unsure(reader: sumnist.Reader, name: str, digits: int, place: int) -> int:
    """Save the picture of a string of which the reader is unsure, the one after `place` others, and give its number."""
    made = strings("development", digits, "touching", SEARCHED)
    readings = reader.read_number(list(made.pictures), ink="light")
    found = [i for i, one in enumerate(readings) if UNSURE[0] < one.confidence < UNSURE[1]]
    Image.fromarray(255 - made.pictures[found[place]]).save(name)
    return int(made.texts[found[place]])


def show(names: list[str]) -> None:
    """Draw pictures beside each other."""
    large = [ImageOps.scale(Image.open(name), ENLARGED) for name in names]
    sheet = Image.new("L", (sum(one.width + APART for one in large) - APART, max(one.height for one in large)), 255)
    left = 0
    for one in large:
        sheet.paste(one, (left, 0))
        left += one.width + APART
    sheet.save(SHOWN, optimize=True)


def queries(truth: dict[str, int]) -> list[str]:
    """Ten queries; totals that are known are those of what is written."""
    a, b, c = truth.values()
    return [
        "five.png + _ = 12",
        "1480.png - five.png = _",
        f"a.png + b.png = {a + b}",
        f"a.png + b.png + c.png = {a + b + c}",
        f"a.png + 47 = {str(a + 47)[:-1]}_",
        f"c.png + c.png = {2 * c}",
        f"a.png + _ = {a + 1000}",
        "1480.png + five.png = 1_8_",
        "c.png - b.png + 1000 = _",
        "five.png + five.png = 11",
    ]


def asked(reader: sumnist.Reader, query: str) -> Row:
    """The query with its answer, or why there is none."""
    try:
        answer = solution_described(sumnist.solve(query, reader=reader))
    except EquationError as error:
        answer = str(error)
    return {"query": query, "answer": answer}


if __name__ == "__main__":
    main()

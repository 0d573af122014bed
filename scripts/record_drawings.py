"""Make the drawings on which the page without a server is compared with the package: strokes, as a pad records them.

    python scripts/record_drawings.py tests/drawings.json

Digits of all forms that the package knows, hasty ones too, of many sizes, slants, pens and places, some with dirt
beside them, some on the border; and what is no digit: letters, scribbles, two digits, blots and specks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from string import digits
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.data.glyphs import NARROWEST, NARROWEST_DIGIT, NUMERALS, SIGNS, fitted, piece, written

SEED = 18
COUNT = 500
KINDS = {
    "digit": 0.62,
    "dirt": 0.09,
    "border": 0.09,
    "tiny": 0.04,
    "letter": 0.07,
    "scribble": 0.03,
    "two": 0.04,
    "blot": 0.02,
}
"""Shares of what is drawn; a blot fills most of the pad."""
UNIT = 1000
"""Strokes are in thousandths of the pad's height."""
ASPECTS, SQUARE = (800, 1300, 1700), 0.8
"""Widths of pads that are not square, in these units, and the share of those that are."""
THINNEST, WIDEST = 500, 1500
"""Widths of pens, in thousandths of the page's own: what a pen of a tablet can press."""
SPARED = 0.012
"""Points nearer than this to the line through their neighbours are left out, as the pad bends its strokes anyway."""

Points = NDArray[np.float64]
Random = np.random.Generator


def drawing(kind: str, digit: int, random: Random) -> dict[str, Any]:
    """One drawing of a kind: `what` it shows, the `width` of its pad, the `pen`, and its `strokes`, x and y in turn."""
    wide = UNIT if random.random() < SQUARE else int(random.choice(ASPECTS))
    middle, size = np.array([wide / UNIT / 2, 0.5]), random.uniform(0.35, 0.9) * min(1, wide / UNIT)
    what, paths = shape(kind, digit, random)
    size = {"tiny": random.uniform(0.02, 0.2), "blot": 1.05}.get(kind, size)
    paths = fitted(paths, size)
    room = (middle - size / 2).clip(0)
    middle = middle + random.uniform(-1, 1, 2) * room
    if kind == "border":
        middle = middle + random.choice((-1, 1), 2) * random.uniform(0, 1, 2) * (room + 0.15)
    paths = [path + middle for path in paths]
    if kind == "dirt":
        paths += [
            random.uniform(0, 1, 2) * (wide / UNIT, 1) + piece(random) * 0.03 for _ in range(random.integers(1, 4))
        ]
    strokes = [np.rint(UNIT * spared(path)).astype(int).ravel().tolist() for path in paths]
    pen = int(random.uniform(THINNEST, WIDEST)) if random.random() < 0.5 else 1000
    return {"what": what, "width": wide, "pen": pen, "strokes": strokes}


def shape(kind: str, digit: int, random: Random) -> tuple[str, list[Points]]:
    """What it shows, and its strokes, of any size."""
    if kind == "letter":
        name = str(random.choice([name for name in SIGNS if name not in digits]))
        return name, written(str(random.choice(SIGNS[name])), random, NARROWEST)
    if kind == "scribble":
        return "scribble", [piece(random) + random.random(2) for _ in range(random.integers(1, 6))]
    if kind == "two":
        aside = np.array([random.uniform(0.8, 1.4), 0])
        return "two digits", one_of(digit, random) + [path + aside for path in one_of(digit, random)]
    if kind == "blot":
        rows = np.linspace(0, 1, int(random.integers(8, 30)))
        return "blot", [np.stack([np.arange(len(rows)) % 2 * random.uniform(0.5, 1), rows], 1)]
    return str(digit), one_of(digit, random)


def one_of(digit: int, random: Random) -> list[Points]:
    """The strokes of a digit, in any of its forms."""
    return written(str(random.choice(NUMERALS[str(digit)])), random, NARROWEST_DIGIT)


def spared(path: Points) -> Points:
    """The points of a stroke without those that lie nearly on the line between others (Ramer, 1972)."""
    start, end = path[0], path[-1]
    along = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
    off = np.abs((path - start) @ (-along[1], along[0])) if (start != end).any() else np.hypot(*(path - start).T)
    far = int(off.argmax())
    if off[far] < SPARED:
        return np.stack([start, end])
    return np.concatenate([spared(path[: far + 1])[:-1], spared(path[far:])])


def main() -> None:
    """Write all drawings, one a line."""
    random = np.random.default_rng(SEED)
    kinds = random.choice(list(KINDS), COUNT, p=list(KINDS.values()))
    rows = [{"kind": str(kind)} | drawing(str(kind), i % 10, random) for i, kind in enumerate(kinds)]
    text = ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows)
    Path(sys.argv[1]).write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()

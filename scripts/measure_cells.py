"""Read scans of single digits as if they stood in the boxes of a form.

    python scripts/measure_cells.py --folder DIR --half even

DIR has a folder of scans for each digit, 0 to 9, dark ink on light ground. The last number in a file's name says which
half it is in: even, by which choices may be made; odd, reported. Each scan becomes the ink of a box, 5 to 8 mm high
(chosen by its name), on plain paper. Printed are the share of right ones among the ten digits, that among all classes,
and how many are taken for crossed out or for a filler.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.inference.cells import CELL_CLASSES, CELL_HEIGHT, CELL_SCALE, LEAST_WIDTH, CellReader
from sumnist.pictures.components import components_of

HALVES = "even", "odd"
INKED = 0.15
"""Ink from which a pixel counts for the box around the digit."""
SMALLEST, STEPS = 5.0, 13
"""Millimetres of height of the smallest digit, and how many heights there are, a quarter of a millimetre apart."""
THIN, AT_EDGE, LONG, SPECK = 8, 10, 0.55, 0.1
"""Pixels of a scan up to which a component is thin, and from its edge; the length of a line by the scan's width; and
the mass of a speck by that of the digit."""
CROSSED, FILLER = CELL_CLASSES.index("crossed"), CELL_CLASSES.index("filler")


def main() -> None:
    """Read a folder."""
    parser = argparse.ArgumentParser(description="Read scans of single digits as boxes of a form.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--half", choices=HALVES, default="even")
    given = parser.parse_args()
    print(json.dumps(figures(given.folder, given.half, CellReader())))


def figures(folder: Path, half: str, reader: CellReader) -> dict[str, float]:
    """What is printed."""
    files = [
        (digit, path)
        for digit in range(10)
        for path in sorted((folder / str(digit)).iterdir())
        if int(re.findall(r"\d+", path.stem)[-1]) % 2 == HALVES.index(half)
    ]
    said = reader([box_of(path) for _, path in files])
    said -= np.logaddexp.reduce(said, axis=1, keepdims=True)
    digits = np.array([digit for digit, _ in files])
    best = said.argmax(1)
    return {
        "count": len(files), "right_of_ten": float((said[:, :10].argmax(1) == digits).mean()),
        "right": float((best == digits).mean()), "taken_for_crossed": float((best == CROSSED).mean()),
        "taken_for_filler": float((best == FILLER).mean()),
        "mean_crossed": float(np.exp(said[:, CROSSED]).mean()), "mean_filler": float(np.exp(said[:, FILLER]).mean()),
    }  # fmt: skip


def box_of(path: Path) -> NDArray[np.float32]:
    """A scan as the ink of a box, float32 `[36, 30]`."""
    grey = np.asarray(Image.open(path).convert("L"), np.float32)
    ground = np.maximum(np.quantile(grey, 0.9), 1)
    ink = np.clip(1 - grey / ground, 0, 1)
    top, bottom, left, right = digit_box(ink)
    ink = ink[top:bottom, left:right]
    tall = (SMALLEST + zlib.crc32(path.name.encode()) % STEPS / 4) * CELL_SCALE
    size = min(max(1, round(ink.shape[1] * tall / ink.shape[0])), LEAST_WIDTH - 2), round(tall)
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX))
    box = np.zeros((CELL_HEIGHT, LEAST_WIDTH), np.float32)
    top, left = (CELL_HEIGHT - size[1]) // 2, (LEAST_WIDTH - size[0]) // 2
    box[top : top + size[1], left : left + size[0]] = small
    return box


def digit_box(ink: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the digit in a scan: of its components with ink in the middle, but for specks and
    for what is left of the lines of a form, long and thin or thin and at the scan's edge."""
    high, wide = ink.shape
    central = np.zeros_like(ink)
    inner = slice(high // 5, high - high // 5), slice(wide // 5, wide - wide // 5)
    central[inner] = ink[inner]
    found = components_of(ink > INKED, central)
    top, bottom, left, right = found.boxes.T
    longer, shorter = np.maximum(right - left, bottom - top), np.minimum(right - left, bottom - top)
    at_edge = (np.minimum(left, top) < AT_EDGE) | (right > wide - AT_EDGE) | (bottom > high - AT_EDGE)
    line = (shorter <= THIN) & (at_edge | (longer > LONG * wide))
    masses = np.where(line, 0, found.masses) if not line.all() else found.masses
    boxes = found.boxes[masses >= SPECK * masses.max()]
    return int(boxes[:, 0].min()), int(boxes[:, 1].max()), int(boxes[:, 2].min()), int(boxes[:, 3].max())


if __name__ == "__main__":
    main()

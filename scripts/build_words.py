"""Build src/sumnist/lab/suites/words.npz: the letters of eight fonts, of which the suite of numbers sets words.

    python scripts/build_words.py

The fonts are those that come with matplotlib and Pillow, in the environment of `make`. `NOTICE-SUITES.txt` beside the
result names their licences.
"""

from __future__ import annotations

from pathlib import Path
from string import ascii_letters

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from build_mnist import write_npz
from sumnist.lab.suites.archive import INTENSITIES, WORDS
from sumnist.lab.suites.strips import FONTS

FILES = {
    "Aileron": None, "DejaVu Sans": "DejaVuSans.ttf", "DejaVu Sans Mono": "DejaVuSansMono-Oblique.ttf",
    "DejaVu Serif": "DejaVuSerif.ttf", "DejaVu Serif Bold": "DejaVuSerif-BoldItalic.ttf",
    "DejaVu Sans Bold": "DejaVuSans-Bold.ttf", "STIX": "STIXGeneral.ttf", "STIX Italic": "STIXGeneralItalic.ttf",
}  # fmt: skip
"""The file of each font; None for the one that Pillow holds itself."""
SIZE = 30
"""Pixels of an em."""


def build(target: Path) -> None:
    """Draw all letters of all fonts and write them to `target`, font by font, letter by letter."""
    letters = [letter for font in FONTS for letter in alphabet(font)]
    arrays = {
        "pixels": np.concatenate([letter.ravel() for letter in letters]),
        "sizes": np.array([letter.shape for letter in letters], np.uint8),
    }
    write_npz(arrays, target)


def alphabet(font: str) -> list[NDArray[np.uint8]]:
    """The letters `[H, advance]`, light on 0, intensities 0..15, all with the line at the same height."""
    file = FILES[font]
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    face = ImageFont.load_default(SIZE) if file is None else ImageFont.truetype(folder / file, SIZE)
    assert isinstance(face, ImageFont.FreeTypeFont)
    drawn = []
    for letter in ascii_letters:
        left, _, right, _ = (round(edge) for edge in face.getbbox(letter, anchor="ls"))
        before = max(0, -left)
        canvas = Image.new("L", (before + max(right, round(face.getlength(letter))), 2 * SIZE))
        ImageDraw.Draw(canvas).text((before, round(1.4 * SIZE)), letter, font=face, fill=255, anchor="ls")
        drawn.append(np.rint(np.asarray(canvas) / 255 * (INTENSITIES - 1)).astype(np.uint8))
    inked = np.flatnonzero(np.concatenate(drawn, 1).any(1))
    return [letter[inked[0] : inked[-1] + 1] for letter in drawn]


if __name__ == "__main__":
    build(WORDS)

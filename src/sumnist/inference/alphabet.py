"""What the networks of text lines, boxes and pages can say, and the sizes of the pictures they are shown."""

from __future__ import annotations

import re

WRITING = "0123456789.,'-+×÷/:=%()<>≈¤?#~ "
"""The characters of a line, in the order of their classes, from 1; class 0 is the blank of CTC. `¤` is a sign of a
currency, `?` other writing, `#` a number that is struck out, `~` a filler of an empty box, and a space a wide gap."""
HEIGHT = 32
"""Height of a strip in pixels."""
STEP = 4
"""Pixels along a strip for one step of the network; the widths of strips are multiples of it."""
CHARACTERS = "0123456789-.,'/+×=%:¤?"
"""Characters that a finder distinguishes: digits, signs, a sign of a currency (¤), and any other character (?)."""
CELL_CLASSES = (*"0123456789", "number", "empty", "filler", "crossed")
"""A digit; "number": a number of several digits; "empty"; "filler": an X, a dash or a slash, a sign for nothing;
"crossed": digits that were crossed out or scribbled over, and no longer count."""
CELL_SCALE = 3.0
"""Pixels of a cell's picture for one millimetre of paper."""
CELL_MARGIN = 1.0
"""Millimetres of paper around a cell that its picture shows."""
CELL_HEIGHT = 36
"""Height of a cell's picture in pixels: a cell is 10 mm high, and its margins add 2 mm."""
LENGTHS = (0.09, 0.16, 0.15, 0.16, 0.15, 0.10, 0.06, 0.04, 0.03, 0.025, 0.02, 0.015)
"""Shares of the lines with 1, 2, ... 12 digits, relative to their sum."""
DIGITS = frozenset("0123456789")
SEPARATORS = frozenset(" .,-'’_\u00a0\u2009\u202f")
"""What may stand between the digits of a label."""


def digits_written(label: str) -> str | None:
    """The digits of a label, without separators; None if it is no number in digits. A label that ends in .0, as tables
    of floats have whole numbers, is whole."""
    label = re.sub(r"(?<=[0-9])\.0$", "", label.strip())
    digits = "".join(character for character in label if character in DIGITS)
    return digits if digits and not set(label) - DIGITS - SEPARATORS else None

"""Draw the picture of the steps that docs/your-own-pictures.md shows, docs/images/steps.png, as `sumnist predict` does.

    python scripts/picture_steps.py

The picture is a synthetic photograph of the suites: a 7 of the development half's fonts, squared paper, a shadow.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sumnist.cli import main as sumnist
from sumnist.lab.suites.digits import font_digits, ink_of
from sumnist.lab.suites.photographs import photograph

TARGET = Path(__file__).resolve().parent.parent / "docs/images/steps.png"
FONT_DIGIT, SCENE = 299, 47
"""Places of the digit in its set and of the scene among the photographs: squares, and a shadow over a corner."""


def main() -> int:
    """Take the photograph, read it, and keep the strip; the exit status of `sumnist predict`."""
    ink = font_digits("development").pictures[FONT_DIGIT]
    assert not isinstance(ink, bytes)
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "seven.jpg"
        picture.write_bytes(photograph(ink_of(ink), 0, SCENE))
        return sumnist(["predict", str(picture), "--number", "5", "--show", str(TARGET)])


if __name__ == "__main__":
    raise SystemExit(main())

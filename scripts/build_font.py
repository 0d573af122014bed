"""Build src/sumnist/sheets/DejaVuSans.ttf.gz: the letters of DejaVu Sans that forms are printed with.

    python scripts/build_font.py

The font comes with matplotlib, fontTools with it, in the environment of `make`. `LICENSE-DEJAVU.txt` beside the result
has its licence. Instructions for screens and tables for shaping go: no printer needs the first, reportlab reads none of
the second. So do scripts that cannot be set without shaping.
"""

from __future__ import annotations

import gzip
from io import BytesIO
from pathlib import Path

import matplotlib
from fontTools import subset
from fontTools.ttLib import TTFont

from sumnist.sheets.printing import FONT

SCRIPTS = {
    "Latin, with signs": (0x20, 0x24F), "Greek": (0x370, 0x3FF), "Cyrillic": (0x400, 0x52F), "Armenian": (0x531, 0x58A),
    "Georgian": (0x10D0, 0x10FC), "Latin, for Vietnamese and others": (0x1E00, 0x1EFF), "Greek, with accents":
    (0x1F00, 0x1FFF), "punctuation": (0x2010, 0x205E), "currencies": (0x20A0, 0x20BF), "numero": (0x2116, 0x2116),
    "arithmetic": (0x2212, 0x2212),
}  # fmt: skip
"""The first and the last character of each block that is kept."""
WITHOUT = ["GDEF", "GPOS", "GSUB", "kern", "FFTM", "DSIG"]
"""Tables that are left out."""


def build() -> bytes:
    """The font."""
    font = TTFont(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", recalcTimestamp=False)
    options = subset.Options(hinting=False, drop_tables=[*subset.Options().drop_tables, *WITHOUT], notdef_outline=True)
    chosen = subset.Subsetter(options)
    chosen.populate(unicodes=[code for first, last in SCRIPTS.values() for code in range(first, last + 1)])
    chosen.subset(font)
    font.save(data := BytesIO())
    return data.getvalue()


if __name__ == "__main__":
    FONT.write_bytes(gzip.compress(build(), mtime=0))
    print(f"{FONT}: {FONT.stat().st_size:,} bytes")

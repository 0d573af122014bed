"""A page with the two examples on it, which tests look for and read."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PLACES = (120, 40, 540, 190), (330, 230, 470, 370)
"""Where the examples stand on the page: left, top, right and bottom."""


def page(quarters: int = 0) -> Image.Image:
    """1480 above five on a white page, turned by quarters clockwise."""
    made = Image.new("L", (640, 420), 255)
    for name, (left, top, right, bottom) in zip(("1480.png", "five.png"), PLACES, strict=True):
        with Image.open(EXAMPLES / name) as picture:
            made.paste(picture.convert("L").resize((right - left, bottom - top)), (left, top))
    return made.rotate(-90 * quarters, expand=True)

"""Draws the steps from a picture to what the network sees, as a strip of small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sumnist.pictures.proposals import Step

__all__ = ["Step", "as_png", "strip"]

SIDE = 224
"""The side of a panel in pixels."""
GAP = 12
CAPTION = 24
"""Pixels from a panel to the part below its caption."""
FONT_SIZE = 14
PAPER, PEN, MOUNT = 255, 0, 160
"""Grey values. `PAPER`: the ground of the strip. `PEN`: its captions and frames. `MOUNT`: the ground behind a picture
that does not fill its panel."""


def strip(steps: Sequence[Step]) -> Image.Image:
    """Draw steps side by side.

    Args:
        steps: Captions and pictures, such as `Proposal.steps`.

    Returns:
        A PIL image of mode "L", with a square, framed panel for each step and its caption below.
    """
    drawing = Image.new("L", (GAP + len(steps) * (SIDE + GAP), SIDE + GAP + CAPTION), PAPER)
    pen, font = ImageDraw.Draw(drawing), ImageFont.load_default(FONT_SIZE)
    for left, step in zip(range(GAP, drawing.width, SIDE + GAP), steps, strict=True):
        drawing.paste(panel(step), (left, GAP))
        pen.rectangle([left - 1, GAP - 1, left + SIDE, GAP + SIDE], outline=PEN)
        pen.text((left, GAP + SIDE + 3), step.caption, PEN, font)
    return drawing


def as_png(strips: Sequence[Image.Image]) -> bytes:
    """The strips below each other, as a PNG file."""
    size = max(strip.width for strip in strips), sum(strip.height for strip in strips)
    sheet = Image.new(strips[0].mode, size, "white")
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    stream = BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def panel(step: Step) -> Image.Image:
    """A square picture that shows the values of `step` as large as possible."""
    values = Image.fromarray(np.rint(step.values.clip(0, 1) * 255).astype(np.uint8))
    factor = SIDE / max(values.size)
    width, height = (max(1, round(side * factor)) for side in values.size)
    method = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
    square = Image.new("L", (SIDE, SIDE), MOUNT)
    square.paste(values.resize((width, height), method), ((SIDE - width) // 2, (SIDE - height) // 2))
    return square

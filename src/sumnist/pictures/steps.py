"""Draws the steps from a picture to what the network sees, as a strip of small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sumnist.pictures.proposals import Step


@dataclass(frozen=True)
class PanelLook:
    """How a strip of steps is drawn, in pixels and grey values."""

    side: int = 224
    """The side of a panel."""
    gap: int = 12
    """The room around panels and captions."""
    caption: int = 24
    """From a panel to the part below its caption."""
    font_size: int = 14
    """The font size of captions."""
    paper: int = 255
    """The ground of the strip."""
    pen: int = 0
    """Its captions and frames."""
    mount: int = 160
    """The ground behind a picture that does not fill its panel."""


PANEL = PanelLook()


def strip(steps: Sequence[Step]) -> Image.Image:
    """Draw steps side by side.

    Args:
        steps: Captions and pictures, such as `Proposal.steps`.

    Returns:
        A PIL image of mode "L", with a square, framed panel for each step and its caption below.
    """
    drawing = Image.new(
        "L", (PANEL.gap + len(steps) * (PANEL.side + PANEL.gap), PANEL.side + PANEL.gap + PANEL.caption), PANEL.paper
    )
    pen, font = ImageDraw.Draw(drawing), ImageFont.load_default(PANEL.font_size)
    for left, step in zip(range(PANEL.gap, drawing.width, PANEL.side + PANEL.gap), steps, strict=True):
        drawing.paste(panel(step), (left, PANEL.gap))
        pen.rectangle([left - 1, PANEL.gap - 1, left + PANEL.side, PANEL.gap + PANEL.side], outline=PANEL.pen)
        pen.text((left, PANEL.gap + PANEL.side + 3), step.caption, PANEL.pen, font)
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
    factor = PANEL.side / max(values.size)
    width, height = (max(1, round(side * factor)) for side in values.size)
    method = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
    square = Image.new("L", (PANEL.side, PANEL.side), PANEL.mount)
    square.paste(values.resize((width, height), method), ((PANEL.side - width) // 2, (PANEL.side - height) // 2))
    return square

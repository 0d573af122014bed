"""What was done to a picture on its way to the network, as a strip of small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sumnist.pictures.decode import Grey, Picture, levels_of
from sumnist.pictures.normalize import seen_of
from sumnist.pictures.segment import Ink, ink_of

__all__ = ["as_png", "steps"]

SIDE = 224
"""Pixels of a panel's side."""
GAP = 8
CAPTION = 16
PAPER, PEN = 255, 0
DROPPED = 0.35
"""The brightness of ink that is not the digit's."""


def steps(picture: Picture, name: str | None = None) -> Image.Image:
    """A strip of five panels: `picture` as it was read, under even light, its ink (what is not the digit's is grey),
    the digit in its box, and the image that the network sees, with the problem if there is one. Raises `ImageError`."""
    levels = levels_of(picture, name)
    seen, ink = seen_of(levels.grey, levels.reduction), ink_of(levels.grey, levels.reduction)
    panels = {
        "as read": levels.grey,
        "light evened": stretched(ink.light.contrast),
        "ink found": ink_found(ink),
        "the digit": cut_out(ink),
        f"what the network sees{f': {seen.problem}' if seen.problem else ''}": seen.image,
    }
    strip = Image.new("L", (GAP + len(panels) * (SIDE + GAP), SIDE + 2 * GAP + CAPTION), PAPER)
    pen = ImageDraw.Draw(strip)
    for i, (caption, values) in enumerate(panels.items()):
        left = GAP + i * (SIDE + GAP)
        strip.paste(panel(values), (left, GAP))
        pen.text((left, SIDE + GAP + 2), caption, fill=PEN)
    return strip


def as_png(strips: Sequence[Image.Image]) -> bytes:
    """The strips below each other, as a PNG file."""
    sheet = Image.new("L", (max(one.width for one in strips), sum(one.height for one in strips)), PAPER)
    top = 0
    for one in strips:
        sheet.paste(one, (0, top))
        top += one.height
    stream = BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def stretched(values: Grey) -> Grey:
    """`values` with the largest at 1."""
    return values / max(float(values.max()), 1e-6)


def ink_found(ink: Ink) -> NDArray[Any]:
    """All ink, that which is not the digit's in grey."""
    if ink.digit is None:
        return ink.levels * np.float32(DROPPED)
    return np.where(ink.digit.mask(), 1, ink.levels * np.float32(DROPPED))


def cut_out(ink: Ink) -> NDArray[Any]:
    """The digit's box of the ink, nothing if there is none."""
    if ink.box is None:
        return np.zeros_like(ink.levels)
    top, bottom, left, right = ink.box
    return ink.levels[top:bottom, left:right]


def panel(values: NDArray[Any]) -> Image.Image:
    """`values` `[H, W]` in [0, 1] as a square picture, as large as they fit in."""
    small = Image.fromarray(np.rint(np.asarray(values, np.float32).clip(0, 1) * 255).astype(np.uint8))
    factor = SIDE / max(small.size)
    size = max(1, round(small.width * factor)), max(1, round(small.height * factor))
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
    square = Image.new("L", (SIDE, SIDE), 128)
    square.paste(small.resize(size, how), ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return square

"""The line of digits that was looked at on a picture, with what was read where, drawn for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from sumnist.pictures.components import Box
from sumnist.pictures.decode import Grey, Intensities
from sumnist.pictures.steps import CAPTION, FONT_SIZE, GAP, PEN

__all__ = ["Mark", "marked"]

Mark = tuple[str, tuple[float, float]]
"""A character, and the left and right end of its place in pixels of the picture."""

WIDTH = 696
HEIGHT, LINE_HEIGHT = 160, 200
"""The most pixels of the picture and of its line; each is enlarged until it has as many on one side."""
GROUNDS = "#17324d", "#4a2f12"
"""The ground of the places, in turn."""
COLOURS = "#1f6feb", "#bc6c00"
"""Of the marks and the characters below them."""
FRAME, OUTLINE = "#a0a0a0", "#d1242f"
"""What frames the picture, and the line on it."""
LARGEST, SMALLEST = 40, 8
"""Font sizes of the characters, by the room that there is."""


def marked(
    picture: Intensities, box: Box | None, line: Grey | None, marks: Sequence[Mark], captions: Sequence[str]
) -> Image.Image:
    """The picture with its line framed, below it that line with its characters, each in its place, and captions.

    Args:
        picture: As it was read.
        box: Top, bottom, left and right of the line, in pixels of the picture; None if there is none.
        line: What was looked at, `[h, w]` in [0, 1], light ink on dark ground; None if nothing was.
        marks: The characters that were read.
        captions: What stands below, a line each.

    Returns:
        A PIL image of mode "RGB".
    """
    whole = enlarged(picture.grey, HEIGHT).convert("RGB")
    pen, parts = ImageDraw.Draw(whole), [whole]
    pen.rectangle((0, 0, whole.width - 1, whole.height - 1), outline=FRAME)
    if box is not None and line is not None:
        scale = whole.width / (picture.grey.shape[1] * picture.reduction)
        top, bottom, left, right = (round(scale * side) for side in box)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=OUTLINE, width=2)
        parts.append(with_characters(enlarged(line, LINE_HEIGHT), box, marks))
    height = GAP + sum(part.height + GAP for part in parts) + CAPTION * len(captions)
    drawing = Image.new("RGB", (WIDTH + 2 * GAP, height), "white")
    pen, top = ImageDraw.Draw(drawing), GAP
    for part in parts:
        drawing.paste(part, (GAP, top))
        top += part.height + GAP
    for caption in captions:
        pen.text((GAP, top), caption.strip().replace("−", "-"), PEN, ImageFont.load_default(FONT_SIZE))
        top += CAPTION
    return drawing


def enlarged(values: Grey, most: int) -> Image.Image:
    """A picture of values in [0, 1], as large as it fits into `WIDTH` and a height of `most`."""
    picture = Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))
    factor = min(WIDTH / picture.width, most / picture.height)
    size = max(1, round(factor * picture.width)), max(1, round(factor * picture.height))
    return picture.resize(size, Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX)


def with_characters(line: Image.Image, box: Box, marks: Sequence[Mark]) -> Image.Image:
    """A line with a ground of its own under each place, and its character below it."""
    _, _, left, right = box
    scale = line.width / (right - left)
    places = [tuple(round(scale * (end - left)) for end in ends) for _, ends in marks]
    room = min((end - start for start, end in places), default=0)
    size = min(LARGEST, max(SMALLEST, round(1.5 * room)))
    drawing = Image.new("RGB", (line.width, line.height + (GAP + round(1.4 * size) if marks else 0)), "white")
    drawing.paste(line)
    pen, font = ImageDraw.Draw(drawing), ImageFont.load_default(size)
    for turn, ((character, _), (start, end)) in enumerate(zip(marks, places, strict=True)):
        if end > start:
            part = line.crop((start, 0, end, line.height))
            drawing.paste(ImageOps.colorize(part, GROUNDS[turn % 2], "white"), (start, 0))
        pen.rectangle((start + 1, line.height + 2, max(start + 1, end - 2), line.height + 4), fill=COLOURS[turn % 2])
        pen.text(((start + end) / 2, line.height + GAP), character, COLOURS[turn % 2], font, anchor="ma")
    return drawing

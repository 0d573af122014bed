"""Draws for people what was read on a picture: one line with its characters, or all numbers with their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from sumnist.pictures.decode import Grey, Intensities
from sumnist.pictures.proposals import Box
from sumnist.pictures.steps import PANEL

Mark = tuple[str, tuple[float, float]]
"""A character, and the left and right end of its place, in pixels of the picture."""


@dataclass(frozen=True)
class LineLook:
    """How one line is drawn, in pixels."""

    width: int = 696
    """The greatest width of the picture, and of its line; both are scaled until they fill one side."""
    height: int = 160
    """The greatest height of the picture."""
    line_height: int = 200
    """The greatest height of its line."""
    grounds: tuple[str, str] = ("#17324d", "#4a2f12")
    """The ground behind the characters, in turn."""
    colours: tuple[str, str] = ("#1f6feb", "#bc6c00")
    """The colours of the marks and of the characters below them, in turn."""
    frame: str = "#a0a0a0"
    """The colour of the frame around the picture."""
    outline: str = "#d1242f"
    """The colour of the frame around its line."""
    largest: int = 40
    """The largest font size of the characters. Within the limits, the font fills the room."""
    smallest: int = 8
    """The smallest font size."""


LOOK = LineLook()


@dataclass(frozen=True)
class PageLook:
    """How all numbers on a picture are drawn."""

    longest: int = 1600
    """A larger picture is reduced to this longer side, in pixels."""
    shortest: int = 800
    """A smaller picture is enlarged to this longer side."""
    good: str = "#1a7f37"
    """The colour of accepted numbers."""
    doubtful: str = "#b35900"
    """The colour of the other numbers."""
    opaque: int = 255
    """The opacity of the outlines, of 255."""
    tint: int = 28
    """The opacity of their inside, of 255."""
    smooth: int = 3
    """Outlines are first drawn this many times larger, so that slanted lines are smooth."""
    legible: int = 18
    """The least font size of a reading."""
    fitting: float = 0.5
    """Its usual font size, as a share of the digits' height."""
    loud: float = 1 / 27
    """Its greatest font size, as a share of the drawing's longer side."""


PAGE_LOOK = PageLook()


RING = [(0.5 + 0.4 * float(np.cos(turn)), 0.5 + 0.4 * float(np.sin(turn))) for turn in np.linspace(0, 6.4, 25)]
TICKS: dict[str, tuple[str, list[list[tuple[float, float]]]]] = {
    "right": ("#1a7f37", [[(0.05, 0.55), (0.35, 0.9), (0.95, 0.05)]]),
    "wrong": ("#d1242f", [[(0.1, 0.1), (0.9, 0.9)], [(0.9, 0.1), (0.1, 0.9)]]), "unanswered": ("#57606a", [RING]),
    "can't tell": ("#b35900", [[(0.2, 0.3), (0.3, 0.1), (0.6, 0.08), (0.78, 0.28), (0.5, 0.5), (0.5, 0.68)],
                               [(0.48, 0.88), (0.52, 0.92)]]),
}  # fmt: skip
"""The colour and the strokes of each verdict's mark, in a square of side 1."""


def marked(
    picture: Intensities, box: Box | None, line: Grey | None, marks: Sequence[Mark], captions: Sequence[str]
) -> Image.Image:
    """Draw the picture with a frame around its line; below it the line, each character in its place; then the captions.

    Args:
        picture: The picture as it was read.
        box: Top, bottom, left and right of the line, in pixels of the picture; None if there is no line.
        line: The line as the recognizer saw it, `[h, w]` in [0, 1], light ink on dark ground; None if there is none.
        marks: The characters that were read, with their places.
        captions: The captions, one per line.

    Returns:
        A PIL image of mode "RGB".
    """
    whole = enlarged(picture.grey, LOOK.height).convert("RGB")
    pen, parts = ImageDraw.Draw(whole), [whole]
    pen.rectangle((0, 0, whole.width - 1, whole.height - 1), outline=LOOK.frame)
    if box is not None and line is not None:
        scale = whole.width / (picture.grey.shape[1] * picture.reduction)
        top, bottom, left, right = (round(scale * side) for side in box)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=LOOK.outline, width=2)
        parts.append(with_characters(enlarged(line, LOOK.line_height), box, marks))
    height = PANEL.gap + sum(part.height + PANEL.gap for part in parts) + PANEL.caption * len(captions)
    drawing = Image.new("RGB", (LOOK.width + 2 * PANEL.gap, height), "white")
    pen, top = ImageDraw.Draw(drawing), PANEL.gap
    for part in parts:
        drawing.paste(part, (PANEL.gap, top))
        top += part.height + PANEL.gap
    font = ImageFont.load_default(PANEL.font_size)
    for caption in captions:
        pen.text((PANEL.gap, top), caption.strip().replace("−", "-"), PANEL.pen, font)
        top += PANEL.caption
    return drawing


def enlarged(values: Grey, most: int) -> Image.Image:
    """A picture of values in [0, 1], scaled to fit into `WIDTH` and a height of `most`."""
    picture = Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))
    factor = min(LOOK.width / picture.width, most / picture.height)
    size = max(1, round(factor * picture.width)), max(1, round(factor * picture.height))
    return picture.resize(size, Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX)


def with_characters(line: Image.Image, box: Box, marks: Sequence[Mark]) -> Image.Image:
    """The line with a coloured ground behind each character, and the character below it."""
    _, _, left, right = box
    scale = line.width / (right - left)
    places = [tuple(round(scale * (end - left)) for end in ends) for _, ends in marks]
    room = min((end - start for start, end in places), default=0)
    size = min(LOOK.largest, max(LOOK.smallest, round(1.5 * room)))
    drawing = Image.new("RGB", (line.width, line.height + (PANEL.gap + round(1.4 * size) if marks else 0)), "white")
    drawing.paste(line)
    pen, font = ImageDraw.Draw(drawing), ImageFont.load_default(size)
    for turn, ((character, _), (start, end)) in enumerate(zip(marks, places, strict=True)):
        if end > start:
            part = line.crop((start, 0, end, line.height))
            drawing.paste(ImageOps.colorize(part, LOOK.grounds[turn % 2], "white"), (start, 0))
        pen.rectangle(
            (start + 1, line.height + 2, max(start + 1, end - 2), line.height + 4), fill=LOOK.colours[turn % 2]
        )
        pen.text(((start + end) / 2, line.height + PANEL.gap), character, LOOK.colours[turn % 2], font, anchor="ma")
    return drawing


# All numbers on a picture.


Place = tuple[float, float, float, float]
"""Left, top, right and bottom."""


class Outline(NamedTuple):
    """A number on a picture.

    Attributes:
        corners: Its corners, from the upper left one along the number's own line, as (x, y) in pixels of the picture.
        said: The text beside it.
        accepted: Whether it is accepted.
    """

    corners: Sequence[Sequence[float]]
    said: str
    accepted: bool


def outlined(picture: Image.Image, numbers: Sequence[Outline]) -> Image.Image:
    """Draw the picture with each number outlined, and its text beside it, where there is room.

    Args:
        picture: An RGB picture, such as from `colours_of`.
        numbers: The numbers found on the picture.

    Returns:
        A PIL image of mode "RGB". Its longer side is within the limits of `PageLook`, plus a margin.
    """
    longer = max(picture.size)
    factor = min(PAGE_LOOK.longest, max(PAGE_LOOK.shortest, longer)) / longer
    wide, high = (max(1, round(factor * side)) for side in picture.size)
    scaled = picture.convert("RGB").resize((wide, high), Image.Resampling.BICUBIC, reducing_gap=2)
    corners = [factor * np.array(one.corners, float) for one in numbers]
    fonts = [font_for(float(np.hypot(*(one[3] - one[0]))), PAGE_LOOK.loud * max(wide, high)) for one in corners]
    margin = round(max((font.size for font in fonts), default=0)) + 2 * PANEL.gap
    drawing = Image.new("RGB", (wide + 2 * margin, high + 2 * margin), "white")
    drawing.paste(scaled, (margin, margin))
    ImageDraw.Draw(drawing).rectangle((margin - 1, margin - 1, margin + wide, margin + high), outline=LOOK.frame)
    corners = [one + margin for one in corners]
    for colour, accepted in ((PAGE_LOOK.good, True), (PAGE_LOOK.doubtful, False)):
        large = Image.new("L", (PAGE_LOOK.smooth * drawing.width, PAGE_LOOK.smooth * drawing.height))
        pen = ImageDraw.Draw(large)
        for one in (one for one, number in zip(corners, numbers, strict=True) if number.accepted == accepted):
            points = [tuple(point) for point in PAGE_LOOK.smooth * one]
            pen.polygon(points, PAGE_LOOK.tint)
            pen.line([*points, *points[:2]], PAGE_LOOK.opaque, 2 * PAGE_LOOK.smooth, "curve")
        drawing.paste(colour, mask=large.reduce(PAGE_LOOK.smooth))
    taken = [(*one.min(0), *one.max(0)) for one in corners]
    pen = ImageDraw.Draw(drawing)
    for number, font, frame in zip(numbers, fonts, taken.copy(), strict=True):
        colour, said = PAGE_LOOK.good if number.accepted else PAGE_LOOK.doubtful, number.said.replace("−", "-")
        room = pen.textlength(said, font) + 10, font.size + 8
        place = min(beside(frame, room, drawing.size), key=lambda one: lost(one, taken))
        pen.rounded_rectangle(place, 4, "white", colour)
        pen.text(((place[0] + place[2]) / 2, (place[1] + place[3]) / 2), said, colour, font, anchor="mm")
        taken.append(place)
    return drawing


def ticked(picture: Image.Image, sums: Sequence[Outline]) -> Image.Image:
    """Draw the picture with a small mark behind each sum, or before a sum that ends at the border: a tick if it is
    right, a cross if it is wrong, a ring if it has no answer, and a question mark if nobody can tell.

    Args:
        picture: An RGB picture.
        sums: The sums on the picture; what is said of each is its verdict.

    Returns:
        A PIL image of mode "RGB", of the same size, or reduced to the longest side of `PageLook`.
    """
    drawing = picture.convert("RGB")
    drawing.thumbnail((PAGE_LOOK.longest, PAGE_LOOK.longest), Image.Resampling.BICUBIC, reducing_gap=2)
    large = drawing.resize((PAGE_LOOK.smooth * drawing.width, PAGE_LOOK.smooth * drawing.height))
    pen, scale = ImageDraw.Draw(large), large.width / picture.width
    placed = scale * np.array([one.corners for one in sums], float).reshape(-1, 4, 2)
    along, down = (placed[:, place] - placed[:, 0] for place in (1, 3))
    long, high = np.hypot(*along.T), np.hypot(*down.T)  # sums in columns are high
    least = PAGE_LOOK.smooth * PAGE_LOOK.legible / 2
    size = max(least, float(np.median(np.minimum(0.6 * high, 0.2 * long)))) if sums else least
    for one, corners, apart in zip(sums, placed, 0.9 * size * along / np.maximum(long, 1)[:, None], strict=True):
        behind, before = corners[1:3].mean(0) + apart, corners[[0, 3]].mean(0) - apart
        middle = before if behind[0] + size / 2 > large.width else behind
        x, y = middle.clip(size / 2, np.array(large.size) - size / 2)
        colour, shapes = TICKS[one.said]
        for shape in shapes:
            pen.line([(x + size * (a - 0.5), y + size * (b - 0.5)) for a, b in shape], colour, round(size / 8), "curve")
    return large.resize(drawing.size, Image.Resampling.BOX)


def font_for(height: float, most: float) -> ImageFont.FreeTypeFont:
    """The font for a reading beside digits of this height in pixels, with a size of at most `most`."""
    font = ImageFont.load_default(max(PAGE_LOOK.legible, round(min(PAGE_LOOK.fitting * height, most))))
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def beside(frame: Place, room: tuple[float, float], size: tuple[int, int]) -> Iterator[Place]:
    """Places for a text of size `room` beside a frame, in a picture of this size, the best places first."""
    left, top, right, bottom = frame
    (wide, high), (most_x, most_y) = room, (side - taken - 1 for side, taken in zip(size, room, strict=True))
    gap, middle = PANEL.gap / 3, (top + bottom - high) / 2
    for x, y in (
        (right + gap, middle), (left, top - gap - high), (left, bottom + gap), (left - gap - wide, middle),
        (right - wide, top - gap - high), (right - wide, bottom + gap), (right + gap, top - high),
        (right + gap, bottom),
    ):  # fmt: skip
        inner_x, inner_y = max(0.0, min(x, most_x)), max(0.0, min(y, most_y))
        yield inner_x, inner_y, inner_x + wide, inner_y + high


def lost(place: Place, taken: Sequence[Place]) -> float:
    """How many pixels of a place are already taken."""
    ends = [(*map(max, place[:2], one[:2]), *map(min, place[2:], one[2:])) for one in taken]
    return sum(max(0.0, right - left) * max(0.0, bottom - top) for left, top, right, bottom in ends)

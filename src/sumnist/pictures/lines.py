"""Where on a picture a line of digits may stand: proposals, in rounds, the likeliest first, for a network to judge.

The first round takes the picture whole, and the line of ink that is found on it; the second one the other polarity, the
picture without its borders, and other lines. No line is cut into digits, and of what is on it nothing is taken away:
rulings, patterns and curls are left to the network, which has seen them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sumnist.config import InkColour
from sumnist.pictures.background import evened
from sumnist.pictures.components import Box, Components, components_of, extent, part, union
from sumnist.pictures.decode import Grey, Intensities
from sumnist.pictures.ink import (
    CLEAN_CONTRAST,
    NOISE,
    PAPER_CONTRAST,
    SOLID,
    ink_contrast,
    without_debris,
    without_specks,
)
from sumnist.pictures.proposals import polarity, reduced, within

__all__ = ["LineProposal", "lines"]

GROUND, INK = 0.9, 0.002
"""Quantiles of the intensities, counted from the darkest for dark ink, that become the ground and the ink."""
TRIMS = 0.06, 0.12
"""Shares of each side that may be a border."""
MARGIN = 0.12, 0.35
"""Ground above and below a line and beside it, by its height."""
LINES = 2
"""Lines of ink that are proposed, the one with most ink first."""
SMALLEST = 4
"""Pixels of the shorter side of a part that is looked at."""
OTHER_POLARITY, OTHER_VIEW, OTHER_LINE = 0.4, 0.95, 0.5
"""Weights of light ink on what is probably a picture of dark ink, or the reverse; of a part instead of the whole; of a
line with less ink."""
SHORT = 0.4
"""Of the height of the line's tallest ink: ink that lies within its rows by half counts to the line if it is as tall;
what is smaller is taken along where it stands."""


@dataclass(frozen=True)
class LineProposal:
    """What the line of digits on a picture may be.

    `image`: float32 `[h, w]` in [0, 1], light ink on dark ground. `how`: what was taken for the line, in words.
    `weight`: how much such a proposal counts beside the others, up to 1. `dark`: whether the ink is darker than the
    ground. `box`: top, bottom, left and right of `image` in pixels of the picture.
    """

    image: Grey = field(repr=False, compare=False)
    how: str
    weight: float
    dark: bool
    box: Box
    inked: bool = True


def lines(picture: Intensities, ink: InkColour = "auto") -> Iterator[list[LineProposal]]:
    """The proposals for a picture, in rounds: whoever finds one beyond doubt need not ask for the next round.

    Args:
        picture: Its intensities.
        ink: Whether the ink is darker or lighter than its ground, if that is known.
    """
    grey = picture.grey
    if min(grey.shape) < 1 or np.ptp(grey) < CLEAN_CONTRAST:
        return
    likelier, other = polarity(grey, reduced(grey))
    dark = likelier if ink == "auto" else ink == "dark"
    found = lines_of_ink(grey, dark)
    yield [proposal(picture, whole(grey), dark, 1.0, "whole")]
    yield [proposal(picture, box, dark, OTHER_VIEW, "the line of ink") for box in found[:1]]
    second = [proposal(picture, box, dark, OTHER_LINE, f"line {k}") for k, box in enumerate(found[1:], 2)]
    second += [proposal(picture, box, dark, OTHER_VIEW, how) for box, how in trimmed(grey)]
    if ink == "auto":
        second.append(proposal(picture, whole(grey), not dark, other, "whole"))
        second += [
            proposal(picture, box, not dark, other * OTHER_VIEW, "the line of ink")
            for box in lines_of_ink(grey, not dark)[:1]
        ]
    yield second


def whole(grey: Grey) -> Box:
    return 0, grey.shape[0], 0, grey.shape[1]


def trimmed(grey: Grey) -> Iterator[tuple[Box, str]]:
    """The picture without its borders."""
    height, width = grey.shape
    for share in TRIMS:
        by = round(share * height)
        if by and height - 2 * by >= SMALLEST and width - 2 * by >= SMALLEST:
            yield (by, height - by, by, width - by), f"{share:.0%} of the height cut off each side"


def proposal(picture: Intensities, box: Box, dark: bool, weight: float, how: str) -> LineProposal:
    """What `box` of a picture shows, its ground at 0 and its ink at 1."""
    grey = picture.grey[part(box)]
    light = 1 - grey if dark else grey
    ground, ink = np.quantile(light, (1 - GROUND, 1 - INK))
    image = ((light - ground) / max(ink - ground, CLEAN_CONTRAST)).clip(0, 1).astype(np.float32)
    finer = picture.reduction
    height, width = (round(finer * side) for side in picture.grey.shape)
    place = (*within(finer * box[0], finer * box[1], height), *within(finer * box[2], finer * box[3], width))
    return LineProposal(image, f"{'dark' if dark else 'light'} ink, {how}", weight, dark, place)


def lines_of_ink(grey: Grey, dark: bool) -> list[Box]:
    """The boxes of the lines of ink on a picture, that with most ink first."""
    light = evened(grey, dark)
    peak = ink_contrast(light.contrast, max(CLEAN_CONTRAST if light.flat else PAPER_CONTRAST, NOISE * light.noise))
    if peak is None:
        return []
    intensities = (light.contrast / np.float32(peak)).clip(0, 1)
    components = without_debris(without_specks(components_of(intensities >= SOLID, intensities)))
    found: list[tuple[float, Box]] = []
    while len(components) and len(found) < LINES:
        line = of_line(components)
        found.append((float(components.masses[line].sum()), around(union(components.boxes[line]), grey.shape)))
        components = components.kept(~line)
    return [box for _, box in sorted(found, key=lambda one: -one[0])]


def of_line(components: Components) -> np.ndarray:
    """Which components stand in a line with the one that has most ink, `[N]`."""
    boxes, first = components.boxes, int(components.masses.argmax())
    line = np.zeros(len(components), bool)
    line[first] = True
    top, bottom = boxes[first, :2]
    overlap = np.minimum(boxes[:, 1], bottom) - np.maximum(boxes[:, 0], top)
    line |= overlap >= 0.5 * np.minimum(boxes[:, 1] - boxes[:, 0], bottom - top)
    return line


def around(box: Box, shape: tuple[int, int]) -> Box:
    """`box` with a margin, as far as the picture goes."""
    high = extent(box)[0]
    down, right = (round(share * high) for share in MARGIN)
    return max(0, box[0] - down), min(shape[0], box[1] + down), max(0, box[2] - right), min(shape[1], box[3] + right)

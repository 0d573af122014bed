"""Where on a picture a line of digits may stand: proposals, in rounds, the likeliest first, for a network to judge.

The first round takes the picture whole but for its empty margins, the next one the line of ink that is found on it,
which may be the same, and the last one ink of the other polarity. On a photograph narrow strokes come before that: they
are ink, and the desk and its shadows are not. Other forms of the best proposal, narrower, wider and with more ground
around it, are for whoever is still in doubt. No line is cut into digits, and nothing of what is on it is taken away:
rulings, patterns and curls are left to the network, which has seen such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sumnist.config import InkColour
from sumnist.pictures.background import WIDEST_STROKE, flat_ground, ink_is_dark
from sumnist.pictures.components import Box, Components, extent, part, union
from sumnist.pictures.decode import Grey, Intensities
from sumnist.pictures.filters import resampled
from sumnist.pictures.ink import (
    BAND,
    CLEAN_CONTRAST,
    EDGE,
    FINE_STROKE,
    LONG,
    SOLID,
    found_on,
    without_outlines,
    without_specks,
)
from sumnist.pictures.proposals import SMALLEST_SCENE, polarity, reduced, within

__all__ = ["LineProposal", "forms", "lines", "shown"]

GROUND, INK = 0.9, 0.998
"""Quantiles of the intensities of ink: a tenth of a line, at least, is ground at its plainest, and a five-hundredth
ink at its strongest."""
MARGIN = 0.12, 0.35
"""Ground above and below a line and beside it, by its height."""
SAME_ROWS = 0.5
"""What stands in a line has so much of its height, or of the line's if that is less, in the line's rows."""
SLIM = 5.0
"""An upright ruling is so many times as high as wide, at least."""
EMPTY, TRIMMED = 0.25, (0.09, 0.25)
"""Ink below which a row or a column is empty, and the ground that is left around the others, as in `MARGIN`."""
STROKES, MIDDLE = 1.4, (0.15, 0.85)
"""A row of a usual line crosses so many strokes, at least, along a length of the line's height, and between which
shares of its height rows are looked at. On a line with fewer, digits are wide and far apart."""
NARROWEST = 0.5
"""Such a line is made narrower, but not more than that."""
ALIKE = 0.3
"""Of the height: boxes whose sides lie no further apart show the same."""
WIDTHS = (0.7, "much narrower"), (0.85, "narrower"), (1.2, "wider"), (1.4, "much wider")
"""How wide the other forms of a line are, and what that is called."""
WIDER = 0.05, 0.2
"""Ground that is put above and below a line and beside it, by its height."""
OTHER_VIEW = 0.85
"""Weight of a part of the picture instead of the whole."""


@dataclass(frozen=True)
class LineProposal:
    """What the line of digits on a picture may be.

    `image`: float32 `[h, w]` in [0, 1], light ink on dark ground. `how`: what was taken for the line, in words.
    `weight`: how much such a proposal counts beside the others, up to 1. `dark`: whether the ink is darker than the
    ground. `box`: top, bottom, left and right of `image` in pixels of the picture. `found`: whether ink was found.
    `varied`: whether the image is another form of what is there, which tells nothing of where.
    """

    image: Grey = field(repr=False, compare=False)
    how: str
    weight: float
    dark: bool
    box: Box
    found: bool = field(compare=False)
    varied: bool = False


def lines(picture: Intensities, ink: InkColour = "auto") -> Iterator[list[LineProposal]]:
    """The proposals for a picture, in rounds: whoever finds one beyond doubt need not ask for the next round. An image
    may come again, with ink found on it.

    Args:
        picture: Its intensities.
        ink: Whether the ink is darker or lighter than its ground, if that is known.
    """
    grey = picture.grey
    if np.ptp(grey) < CLEAN_CONTRAST:
        return
    small = reduced(grey)
    dark = ink_is_dark(small) if ink == "auto" else ink == "dark"
    if min(grey.shape) >= SMALLEST_SCENE and ink != "light" and flat_ground(small if dark else 1 - small) is None:
        yield inked(picture, small, True, 1.0, fine=True)
    everything = 0, grey.shape[0], 0, grey.shape[1]
    whole = trimmed(picture, proposal(picture, everything, dark, 1.0))
    first = of_usual_width(whole)
    yield [first]
    line = inked(picture, small, dark, OTHER_VIEW)
    yield [replace(first, found=True) if alike(one.box, whole.box) else of_usual_width(one) for one in line]
    if ink == "auto":
        _, other = polarity(grey, small)
        unlikely = proposal(picture, everything, not dark, other)
        yield [unlikely, *inked(picture, small, not dark, other * OTHER_VIEW)]


def inked(picture: Intensities, small: Grey, dark: bool, weight: float, fine: bool = False) -> list[LineProposal]:
    """The line with most ink of a picture, by a reduced copy of it; `fine`: of narrow strokes."""
    found = found_on(small, dark, FINE_STROKE if fine else WIDEST_STROKE)
    if found is None:
        return []
    components = without_specks(without_outlines(found[1]) if fine else without_rulings(found[1]))
    if not len(components):
        return []
    box = around(union(components.boxes[in_line(components)]), small.shape)
    scale = max(picture.grey.shape) / max(small.shape)
    top, bottom = within(scale * box[0], scale * box[1], picture.grey.shape[0])
    left, right = within(scale * box[2], scale * box[3], picture.grey.shape[1])
    what = "a line of narrow strokes" if fine else "the line with most of it"
    return [proposal(picture, (top, bottom, left, right), dark, weight, what)]


def without_rulings(components: Components) -> Components:
    """The components without those that run along the upper or lower border, or from one to the other at a side, if
    there are others. Unlike a single digit's picture, one of a line has digits near its sides."""
    (height, width), boxes = components.shape, components.boxes
    high, wide = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    along = (boxes[:, 1] <= BAND * height) | (boxes[:, 0] >= (1 - BAND) * height)
    along &= ((boxes[:, 0] <= EDGE * height) | (boxes[:, 1] >= (1 - EDGE) * height)) & (wide >= LONG * high)
    upright = (high >= (1 - EDGE) * height) & (high >= SLIM * wide)
    upright &= (boxes[:, 2] <= BAND * width) | (boxes[:, 3] >= (1 - BAND) * width)
    rulings = along | upright
    return components if rulings.all() else components.kept(~rulings)


def trimmed(picture: Intensities, one: LineProposal) -> LineProposal:
    """The same without margins on which there is nothing, but for a little ground: the larger the digits, the surer."""
    inked = one.image >= EMPTY
    rows = np.flatnonzero(inked.any(1))
    if not len(rows):
        return one
    columns = np.flatnonzero(inked[rows[0] : rows[-1] + 1].any(0))
    box = around((rows[0], rows[-1] + 1, columns[0], columns[-1] + 1), one.image.shape, TRIMMED)
    return replace(one, image=one.image[part(box)], box=in_pixels(picture, box))


def of_usual_width(one: LineProposal) -> LineProposal:
    """The same, made narrower if its digits are wider than hands write them, or far apart."""
    height = len(one.image)
    ink = one.image[slice(*(round(share * height) for share in MIDDLE))] >= SOLID
    columns = np.flatnonzero(ink.any(0))
    if not len(columns):
        return one
    crossed = ink[:, 0] + np.count_nonzero(ink[:, 1:] > ink[:, :-1], axis=1)
    along = float(columns[-1] + 1 - columns[0]) / height
    share = max(NARROWEST, float(crossed[crossed > 0].mean()) / along / STROKES)
    return one if share >= 1 else replace(one, image=widened(one.image, share))


def widened(image: Grey, share: float) -> Grey:
    """A line so many times as wide."""
    height, width = image.shape
    return resampled(image, (height, max(1, round(share * width)))).clip(0, 1)


def alike(box: Box, other: Box) -> bool:
    """Whether two boxes show the same, or nearly so."""
    return max(abs(side - its) for side, its in zip(box, other, strict=True)) <= ALIKE * extent(other)[0]


def forms(one: LineProposal) -> list[LineProposal]:
    """Other forms of a proposal: hands differ in how wide they write, and several looks are surer than one."""
    wider = [
        replace(one, image=widened(one.image, share), how=f"{one.how}, {what}", varied=True) for share, what in WIDTHS
    ]
    return [*wider, with_ground(one)]


def with_ground(one: LineProposal) -> LineProposal:
    """The same with more ground around it, which a crop need not have."""
    height, width = one.image.shape
    down, right = (max(1, round(share * min(height, SLIM * width))) for share in WIDER)  # a sliver would become a wall
    image = np.pad(one.image, ((down, down), (right, right)))
    return replace(one, image=image, how=f"{one.how}, more ground", varied=True)


def shown(picture: Intensities, one: LineProposal) -> Grey:
    """What a proposal shows as it stands on the picture, whatever form its image has."""
    finer, (height, width) = picture.reduction, picture.grey.shape
    top, bottom, left, right = (side / finer for side in one.box)
    box = *within(top, bottom, height), *within(left, right, width)
    return proposal(picture, box, one.dark, one.weight).image


def in_line(components: Components) -> NDArray[np.bool_]:
    """Which components stand in a line with the one that has most ink, `[N]`."""
    boxes, first = components.boxes, int(components.masses.argmax())
    top, bottom = boxes[first, :2]
    shared = np.minimum(boxes[:, 1], bottom) - np.maximum(boxes[:, 0], top)
    line: NDArray[np.bool_] = shared >= SAME_ROWS * np.minimum(boxes[:, 1] - boxes[:, 0], bottom - top)
    return line


def around(box: Box, shape: tuple[int, ...], margin: tuple[float, float] = MARGIN) -> Box:
    """`box` with ground around it, as far as the picture goes."""
    high = extent(box)[0]
    down, right = (round(share * high) for share in margin)
    return max(0, box[0] - down), min(shape[0], box[1] + down), max(0, box[2] - right), min(shape[1], box[3] + right)


def proposal(picture: Intensities, box: Box, dark: bool, weight: float, what: str = "") -> LineProposal:
    """What `box` of a picture shows, `what` that is, its ground at 0 and its ink at 1."""
    grey = picture.grey[part(box)]
    light = 1 - grey if dark else grey
    places = [round(share * (light.size - 1)) for share in (1 - GROUND, INK)]
    ground, ink = np.partition(light, places, axis=None)[places]
    image = ((light - ground) / max(ink - ground, CLEAN_CONTRAST)).clip(0, 1).astype(np.float32)
    how = "dark ink" if dark else "light ink"
    return LineProposal(image, f"{how}, {what}" if what else how, weight, dark, in_pixels(picture, box), bool(what))


def in_pixels(picture: Intensities, box: Box) -> Box:
    """A box of a picture's intensities, in pixels of the picture."""
    finer = picture.reduction
    height, width = [round(finer * side) for side in picture.grey.shape]
    return (*within(finer * box[0], finer * box[1], height), *within(finer * box[2], finer * box[3], width))

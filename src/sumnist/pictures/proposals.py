"""What the digit on a picture may look like: proposals, in rounds, the likeliest first, for a network to judge.

No rule decides alone where and what the ink is. The first round takes the picture whole, with its likelier polarity;
the later ones try the other polarity, the picture without its borders, where lines of a form may be, and the picture
with more ground around it, which a tight crop lacks. On a photograph narrow strokes come before all that: they are ink,
and the sheet, the desk below it, and shadows are not. Each proposal is an image by MNIST's convention, with a weight:
how much less likely such a proposal is right than the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.config import InkColour
from sumnist.pictures.background import flat_ground, ink_is_dark
from sumnist.pictures.components import Box, Components, extent, union
from sumnist.pictures.decode import Grey, Intensities
from sumnist.pictures.ink import CLEAN_CONTRAST, PAPER_CONTRAST, Ink, ink_of, looked_closer
from sumnist.pictures.normalize import SIDE, cropped, placed, ready_image

__all__ = ["Problem", "Proposal", "Step", "rounds"]

Problem = Literal["too small", "faint", "cut off"]

FIND = 160
"""Pixels of the longer side of the copy on which a digit is looked for, give or take a quarter."""
CLEAR = 56
"""Pixels of a digit's longer side on that copy: one with fewer is looked at again in the picture itself."""
TRIMS = 0.07, 0.13, 0.2
"""Shares of each side that may be a border."""
MARGIN, LEAST_MARGIN = 0.3, 4
"""Ground that is put around a tight crop: of its longer side, and in pixels at least."""
SLIMMEST = 25
"""How many times as long as wide the crop of a 1 may be; ground around longer ones would be mostly memory."""
LARGEST_CROP = 200
"""Pixels of the shorter side: a larger picture with uneven light shows more than a tight crop."""
GROUND = 0.05
"""A quantile of the intensities, counted from the lightest for dark ink, that is the ground of a tight crop."""
SMALLEST_SCENE = 200
"""Pixels of the shorter side of a picture on which there may be more than a sheet: smaller ones are crops."""
SMALLEST_VIEW = 8
"""Pixels of the shorter side of a part that is looked at."""

OTHER_POLARITY, DOUBTFUL_POLARITY = 0.4, 0.85
"""Weights of ink of the less likely polarity: where the border of the picture agrees that the other one is likelier,
and where it does not."""
OTHER_GROUP, FINE_GROUP, OTHER_VIEW, OTHER_IMAGE = 0.3, 0.95, 0.95, 0.7
"""Weights of each group after the largest, the same of narrow strokes, of a part instead of the whole, and of what is
found on a picture of 28×28 pixels, which is likelier an image as it is."""

SMALLEST_DIGIT = 5
"""Pixels of the picture on the longer side of a digit that can be read."""
FAINT, FAINT_ON_PAPER = 0.08, 0.2
"""Ink with less contrast than this can be seen, but not be read for sure; on a picture with noise."""
ROOM = 0.1
"""Of the digit's longer side: a picture with more room opposite to a cut was not cropped to its digit."""
ACROSS = 0.85
"""Of the picture's side: what is so long runs across it."""
SMALLEST_CUT = 32
"""On a picture with a shorter side than this, no digit is said to be cut off."""
DROPPED = 0.35
"""How bright the step that shows the ink has that which is not the digit's."""


class Step(NamedTuple):
    """A step from a picture to what the network sees: what was done, and the picture after it, `[H, W]` in [0, 1]."""

    caption: str
    values: NDArray[Any]


@dataclass(frozen=True)
class Proposal:
    """What the digit on a picture may look like.

    `image`: float32 `[28, 28]` in [0, 1], light ink on dark ground. `how`: what was taken for the digit, in words.
    `weight`: how much such a proposal counts beside the others, up to 1: less for what is seldom right, and by the
    square root of the share of the ink that it explains. `dark`: whether the ink is darker than the ground.
    `box`: top, bottom, left and right of the digit in pixels of the picture, bottom and right excluded. `problem`: what
    is in the way of reading it. `view`: the part of the picture and the polarity that it shares with its rivals;
    `wider`: the view in which there may be others.
    `whole`: whether it is ink of the picture whole, not of a part or with more around it. `across`: whether it runs
    from side to side of the picture, as the line of a form does. `steps`: how the image came about.
    """

    image: Grey = field(repr=False, compare=False)
    how: str
    weight: float = 1.0
    dark: bool = False
    box: Box = (0, SIDE, 0, SIDE)
    problem: Problem | None = None
    view: str = ""
    wider: str = ""
    whole: bool = True
    across: bool = False
    steps: tuple[Step, ...] = field(default=(), repr=False, compare=False)

    @property
    def size(self) -> int:
        """The longer side of the digit in pixels of the picture."""
        return max(extent(self.box))


class View(NamedTuple):
    """A part of a picture: `grey` `[h, w]`, where in the picture its first pixel lies, what it is, in words, whether it
    was cut out of more, and whether only its narrow strokes count."""

    grey: Grey
    top: int = 0
    left: int = 0
    how: str = ""
    trimmed: bool = False
    fine: bool = False


def rounds(picture: Intensities, ink: InkColour = "auto", steps: bool = False) -> Iterator[list[Proposal]]:
    """The proposals for a picture, in rounds: whoever finds one beyond doubt need not ask for the next round.

    Args:
        picture: Its intensities.
        ink: Whether the ink is darker or lighter than its ground, if that is known.
        steps: Whether each proposal shall have the steps that led to it.
    """
    grey = picture.grey
    images: list[Proposal] = []
    if grey.shape == (SIDE, SIDE) and np.ptp(grey) >= CLEAN_CONTRAST:
        images = as_they_are(grey, ink, steps)
        yield from ([image] for image in images)
        if images and ready_image(grey) is not None:
            return
    small = reduced(grey)
    likelier, other = polarity(grey, small)
    dark = likelier if ink == "auto" else ink == "dark"
    look = Look(picture, dark, other, steps)
    flat = flat_ground(small if dark else 1 - small) is not None
    if images and not flat:  # so few pixels hold no ground to tell ink from
        return
    if not flat and min(grey.shape) >= SMALLEST_SCENE:
        yield look.at(View(grey, how="narrow strokes", fine=True), ink != "light", small)
    yield look.at(View(grey), dark, small)
    others = [] if ink != "auto" else look.at(View(grey), not dark, small)
    for seen_dark in (dark, not dark)[: 2 if ink == "auto" else 1]:
        for view in (*trimmed(grey), *padded(grey, seen_dark)):
            others += look.at(view, seen_dark)
    yield others


def polarity(grey: Grey, small: Grey) -> tuple[bool, float]:
    """Whether the ink on a picture is likelier dark, by a reduced copy of it, and what the other polarity weighs."""
    dark = ink_is_dark(small)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    border_is_bright = bool(2 * np.median(border) > small.min() + small.max())
    return dark, OTHER_POLARITY if dark == border_is_bright else DOUBTFUL_POLARITY


def reduced(grey: Grey) -> Grey:
    """`grey` divided by the whole number that brings its longer side nearest to `FIND` pixels."""
    factor = min(max(1, round(max(grey.shape) / FIND)), *grey.shape)
    return grey if factor == 1 else np.asarray(Image.fromarray(grey).reduce(factor))


def as_they_are(grey: Grey, ink: InkColour, steps: bool) -> list[Proposal]:
    """The picture `[28, 28]` itself, and inverted; the likelier one first."""
    ready = ready_image(grey)
    dark_is_likelier, other = polarity(grey, grey)
    found = []
    for dark in (False, True):
        if ink == ("light" if dark else "dark") or (ready is not None and ready.dark != dark):
            continue
        image = ready.image if ready is not None else 1 - grey if dark else grey
        inverted = ", inverted" if dark else ""
        how = f"as it is{inverted}"
        shown = (Step("as read", grey), Step(f"what the network sees{inverted}", image)) if steps else ()
        weight = 1.0 if ink != "auto" or dark == dark_is_likelier else other
        found.append(Proposal(image, how, weight, dark, view=how, steps=shown))
    return sorted(found, key=lambda proposal: -proposal.weight)


def trimmed(grey: Grey) -> Iterator[View]:
    """The picture without its borders."""
    height, width = grey.shape
    for share in TRIMS:
        down, right = round(share * height), round(share * width)
        part = grey[down : height - down, right : width - right]
        if min(part.shape) >= SMALLEST_VIEW:
            yield View(part, down, right, f"{share:.0%} of each side cut off", trimmed=True)


def padded(grey: Grey, dark: bool) -> Iterator[View]:
    """The picture with ground around it, unless it has hardly more than grain, is a sliver, or is a photograph of some
    size: beside even ground its light would be ink."""
    shorter, longer = sorted(grey.shape)
    if np.ptp(grey) < PAPER_CONTRAST or longer > SLIMMEST * shorter:
        return
    if shorter >= LARGEST_CROP and flat_ground(grey if dark else 1 - grey) is None:
        return
    by = max(LEAST_MARGIN, int(MARGIN * max(grey.shape)))
    ground = np.quantile(grey, 1 - GROUND if dark else GROUND)
    yield View(np.pad(grey, by, constant_values=ground), -by, -by, "more ground around it")


@dataclass(frozen=True)
class Look:
    """Looks for the digit in parts of a picture, whose ink is probably `dark` or light; `other`: the weight of ink of
    the other polarity."""

    picture: Intensities
    dark: bool
    other: float
    steps: bool

    def at(self, view: View, dark: bool, small: Grey | None = None) -> list[Proposal]:
        """What may be the digit in a part of the picture, of which there may be a reduced copy."""
        small = reduced(view.grey) if small is None else small
        scale = max(view.grey.shape) / max(small.shape)
        ink = ink_of(small, dark, self.picture.reduction * scale, view.fine)
        if ink is None:
            return []
        whole = "dark ink" if dark else "light ink"
        how = f"{whole}, {view.how}" if view.how else whole
        likely = 1.0 if view.fine else (1 if dark == self.dark else self.other) * (OTHER_VIEW if view.how else 1)
        likely *= OTHER_IMAGE if self.picture.grey.shape == (SIDE, SIDE) else 1
        proposals = []
        for place, (group, share) in enumerate(zip(ink.groups, ink.shares, strict=True)):
            if view.trimmed and touches(group):  # not the digit's end, but the cut's
                continue
            closer = None
            if view.fine or (scale > 1 and max(extent(union(group.boxes))) < CLEAR):
                closer = looked_closer(view.grey, group, dark)
            digit = cropped(*(closer or (ink.intensities, group)))
            image, weight = (
                placed(digit),
                likely * (FINE_GROUP**place if view.fine else share**0.5 * OTHER_GROUP**place),
            )
            box = self.box_of(group, view, scale)
            proposals.append(
                Proposal(
                    image, how + (f", part {place + 1}" if place else ""), weight, dark, box, self.problem_of(ink, box),
                    how, how if view.fine else whole, not view.how, self.runs_across(box),
                    self.taken(view, ink, group, digit, image),
                )
            )  # fmt: skip
        return proposals

    def box_of(self, group: Components, view: View, scale: float) -> Box:
        """Where a group of components lies on the picture, in its pixels."""
        finer, (height, width) = self.picture.reduction, self.picture.grey.shape
        top, bottom, left, right = (side * scale for side in union(group.boxes))
        return (
            *within(finer * (top + view.top), finer * (bottom + view.top), round(finer * height)),
            *within(finer * (left + view.left), finer * (right + view.left), round(finer * width)),
        )

    def problem_of(self, ink: Ink, box: Box) -> Problem | None:
        """What is in the way of reading the digit in `box`."""
        if max(extent(box)) < SMALLEST_DIGIT:
            return "too small"
        if ink.peak < (FAINT if ink.light.flat else FAINT_ON_PAPER):
            return "faint"
        return "cut off" if self.is_cut_off(box) else None

    def runs_across(self, box: Box) -> bool:
        """Whether `box` reaches from side to side of the picture, or nearly so."""
        sides = (side * self.picture.reduction for side in self.picture.grey.shape)
        return any(length >= ACROSS * side for length, side in zip(extent(box), sides, strict=True))

    def is_cut_off(self, box: Box) -> bool:
        """Whether ink runs out of the picture on one side while there is room on the other. A picture that was cropped
        to its digit has ink on opposite sides."""
        height, width = (round(side * self.picture.reduction) for side in self.picture.grey.shape)
        if min(height, width) < SMALLEST_CUT:
            return False
        rooms = (box[0], height - box[1]), (box[2], width - box[3])
        return any(min(room) <= 0 and max(room) > ROOM * max(extent(box)) for room in rooms)

    def taken(
        self, view: View, ink: Ink, group: Components, digit: NDArray[np.float64], image: Grey
    ) -> tuple[Step, ...]:
        """The steps to an image, if they are wanted, with what is not the digit's in grey."""
        if not self.steps:
            return ()
        contrast = ink.light.contrast
        part = [Step(view.how, view.grey)] if view.how else []
        return (
            Step("as read", self.picture.grey), *part,
            Step("light evened", contrast / (float(contrast.max()) or 1.0)),
            Step("ink found", np.where(group.mask(), 1, ink.intensities * np.float32(DROPPED))),
            Step("the digit", digit), Step("what the network sees", image),
        )  # fmt: skip


def within(start: float, end: float, most: int) -> tuple[int, int]:
    """A stretch of whole pixels, one at least, from 0 to `most`."""
    first = min(max(0, round(start)), most - 1)
    return first, min(max(first + 1, round(end)), most)


def touches(group: Components) -> bool:
    """Whether any of the components reaches the border of its picture."""
    top, bottom, left, right = union(group.boxes)
    return top == 0 or left == 0 or bottom == group.shape[0] or right == group.shape[1]

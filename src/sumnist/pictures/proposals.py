"""Proposes images of the digit, or of the line of digits, on a plain picture, for a network to judge.

On a plain picture, all ink that stands out from an even ground is taken for the digit, or for the line. That costs
little. If the network is not sure of it, the caller asks the finder (`inference/finder`), which finds numbers on any
picture. A proposal is an image by MNIST's convention, or a line, with light ink on dark ground. Its weight says how
much less likely it is right than the first proposal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.config import InkColour
from sumnist.pictures.decode import Grey, Intensities
from sumnist.pictures.filters import plane_of, resampled
from sumnist.pictures.normalize import INK_THRESHOLD, SIDE, bounds_of, placed, ready_image, stretched

Box = tuple[int, int, int, int]
"""Top, bottom, left and right in pixels; bottom and right are excluded."""
Problem = Literal["too small", "faint", "cut off"]


@dataclass(frozen=True)
class Ink:
    """How ink is told from its ground."""

    looked_at: int = 160
    """The longer side of the reduced picture in which ink is searched, in pixels."""
    clean_contrast: float = 0.04
    """The least contrast between ink and an even ground."""
    paper_contrast: float = 0.12
    """The least contrast on an uneven ground, where the ink may be a shadow."""
    faint: float = 0.08
    """Ink with less contrast to an even ground is visible but cannot be read reliably."""
    faint_on_paper: float = 0.2
    """The same on an uneven ground."""
    room: float = 0.1
    """A digit that touches one side is cut off if it has more room than this share of its longer side on the opposite
    side. With less room, the picture was cropped to the digit."""
    smallest_cut: int = 32
    """If the shorter side of a picture is less than this, no digit counts as cut off, and no ink as a border."""
    within: float = 0.3
    """Ink that reaches a side of the picture may be the line of a form. It counts as one if less than this share of the
    ink lies farther from all sides than"""
    border: float = 0.15
    """this share of the picture's height or width."""
    like_a_border: float = 0.3
    """The weight of ink that may be the line of a form."""
    touching: float = 0.5
    """The weight of a digit that may be cut off."""
    lit: float = 0.35
    """A pixel may be ground up to this share of the whole contrast."""
    flat: tuple[tuple[float, float], ...] = ((16, 0.0), (64, 0.25), (np.inf, 0.45))
    """The ground counts as even if a large enough share of the picture is as bright as the ground. Pairs: a limit of
    the picture's shorter side in pixels, and the share for pictures below this limit."""
    band: float = 2.5
    """How much an even ground varies, of 255."""
    uneven: float = 0.9
    """The weight of ink on an uneven ground, where nothing is beyond doubt."""
    other_polarity: float = 0.7
    """The weight of ink of the less likely polarity."""
    ground: float = 0.9
    """A quantile of intensities: at least a tenth of a line is pure ground."""
    ink: float = 0.998
    """A quantile of intensities: at least a five-hundredth of a line is ink at its strongest."""


INKED = Ink()


@dataclass(frozen=True)
class LineForms:
    """How a line is trimmed, and which other forms of it are tried."""

    empty: float = 0.25
    """A row or column is empty if its ink stays below this."""
    trimmed: tuple[float, float] = (0.09, 0.25)
    """The ground that is left around the other rows and columns, above and below, and at both sides, as shares of the
    line's height."""
    strokes: float = 1.4
    """A row of a usual line crosses at least this many strokes in a length equal to the line's height. If it crosses
    fewer, the digits are wide and far apart."""
    middle: tuple[float, float] = (0.15, 0.85)
    """The rows looked at, as shares of the height."""
    solid: float = 0.4
    """A pixel is a stroke from this intensity on."""
    narrowest: float = 0.5
    """The least factor by which such a wide line is squeezed."""
    widths: tuple[tuple[float, str], ...] = (
        (0.7, "much narrower"),
        (0.85, "narrower"),
        (1.2, "wider"),
        (1.4, "much wider"),
    )
    """The other forms of a line: the factor on its width, and the word for the form."""
    wider: tuple[float, float] = (0.05, 0.2)
    """The ground added above and below a line, and at both sides, as shares of its height."""
    slim: float = 5.0
    """A line that is more than this many times as high as wide counts as this many times its width high."""


LINES = LineForms()


SMALLEST_DIGIT = 5
"""The least longer side of a digit that can be read, in pixels of the picture."""


class Step(NamedTuple):
    """A step from a picture to what the network sees.

    Attributes:
        caption: What was done.
        values: The picture after the step, `[H, W]` in [0, 1].
    """

    caption: str
    values: NDArray[Any]


@dataclass(frozen=True)
class Proposal:
    """An image that may show the digit on a picture.

    Attributes:
        image: float32 `[28, 28]` in [0, 1], light ink on dark ground.
        how: What was taken for the digit, in words.
        weight: How much the proposal counts beside the others, up to 1.
        dark: Whether the ink is darker than the ground.
        box: Where the digit is, in pixels of the picture.
        problem: What is wrong with the picture, or None.
        witness: Another network's probabilities of the digits, `[10]`, or None.
        steps: How the image came about.
    """

    image: Grey = field(repr=False, compare=False)
    how: str
    weight: float = 1.0
    dark: bool = False
    box: Box = (0, SIDE, 0, SIDE)
    problem: Problem | None = None
    witness: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    steps: tuple[Step, ...] = field(default=(), repr=False, compare=False)


def as_they_are(grey: Grey, ink: InkColour, steps: bool = False) -> list[Proposal]:
    """A picture `[28, 28]` as an image, and inverted, the likelier one first. If one of the two follows MNIST's
    convention, only that one is proposed. There are no proposals for a picture of another size or without contrast."""
    if grey.shape != (SIDE, SIDE) or np.ptp(grey) < INKED.clean_contrast:
        return []
    ready, likelier = ready_image(grey), is_dark(grey)
    found = []
    for dark in (False, True):
        if ink == ("light" if dark else "dark") or (ready is not None and ready.dark != dark):
            continue
        image = ready.image if ready is not None else 1 - grey if dark else grey
        inverted = ", inverted" if dark else ""
        shown = (Step("as read", grey), Step(f"what the network sees{inverted}", image)) if steps else ()
        weight = 1.0 if ink != "auto" or dark == likelier else INKED.other_polarity
        found.append(Proposal(image, f"as it is{inverted}", weight, dark, steps=shown))
    return sorted(found, key=lambda proposal: -proposal.weight)


def is_dark(grey: Grey) -> bool:
    """Whether the ink is darker than the ground, by the sign of the third moment about the median: ink is scarce and
    stands out far."""
    return float(((grey - np.median(grey)) ** 3).sum()) < 0


def ground_of(light: Grey) -> Grey | np.float32:
    """The brightness of the ground under lighter ink: one value if the ground is even, as in a drawing or a scan, else
    a plane."""
    counts = np.array(Image.fromarray((light * 255 + 0.5).astype(np.uint8)).histogram())
    usual = int(counts.argmax())
    bare = np.abs(light * 255 - usual) <= INKED.band
    share = next(share for side, share in INKED.flat if min(light.shape) < side)
    if np.count_nonzero(bare) >= share * light.size:
        return np.float32(light[bare].mean())
    places = [round(share * (light.size - 1)) for share in (1 - INKED.ground, INKED.ink)]
    least, most = np.partition(light, places, axis=None)[places]
    return plane_of(light, light <= least + INKED.lit * (most - least))


def wholes(picture: Intensities, ink: InkColour = "auto", steps: bool = False) -> Iterator[Proposal]:
    """All ink of a picture as a digit, for each polarity, the likelier one first. A polarity without ink gives no
    proposal."""
    grey = picture.grey
    small = reduced(grey)
    likelier = is_dark(small)
    for dark in (likelier, not likelier) if ink == "auto" else (ink == "dark",):
        light = 1 - small if dark else small
        ground = ground_of(light)
        even = np.ndim(ground) == 0
        least = INKED.clean_contrast if even else INKED.paper_contrast
        faint = INKED.faint if even else INKED.faint_on_paper
        share = 1.0 if even else INKED.uneven
        contrast = (light - ground).clip(0, None)
        strong = contrast[contrast > np.float32(0.5) * contrast.max()]
        peak = float(np.median(strong)) if len(strong) else 0.0
        if peak >= least:
            weight = share * (1.0 if ink != "auto" or dark == likelier else INKED.other_polarity)
            yield whole(picture, (contrast / np.float32(peak)).astype(np.float32), dark, weight, peak < faint, steps)


def whole(picture: Intensities, ink: Grey, dark: bool, weight: float, faint: bool, steps: bool) -> Proposal:
    """All `ink` of a picture as a digit. `faint` says whether the ink has too little contrast."""
    inked = ink >= INK_THRESHOLD
    part = bounds_of(inked)
    digit = stretched(ink[part].clip(0, 1))
    image = placed(digit)
    sides = [round(picture.reduction * side) for side in picture.grey.shape]
    scales = sides[0] / len(ink), sides[1] / ink.shape[1]
    box: Any = tuple(round(scale * end) for at, scale in zip(part, scales, strict=True) for end in (at.start, at.stop))
    size = max(box[1] - box[0], box[3] - box[2])
    problem: Problem | None = "too small" if size < SMALLEST_DIGIT else "faint" if faint else None
    if problem is None and is_cut_off(box, sides):
        problem = "cut off"
    down, across = (round(INKED.border * side) for side in ink.shape)
    inner = np.count_nonzero(inked[down : len(ink) - down, across : ink.shape[1] - across])
    touches = any(side.any() for side in (inked[0], inked[-1], inked[:, 0], inked[:, -1]))
    if touches and min(sides) >= INKED.smallest_cut and inner < INKED.within * np.count_nonzero(inked):
        weight *= INKED.like_a_border
    elif problem == "cut off":
        weight *= INKED.touching
    shown = shown_steps(picture.grey, ink.clip(0, 1), digit, image) if steps else ()
    return Proposal(image, "dark ink" if dark else "light ink", weight, dark, box, problem, steps=shown)


def shown_steps(*values: NDArray[Any]) -> tuple[Step, ...]:
    """The steps from a picture by its ink and the cropped digit to the image."""
    return tuple(map(Step, ("as read", "ink found", "the digit", "what the network sees"), values))


def reduced(grey: Grey) -> Grey:
    """`grey`, reduced by the whole number that brings its longer side nearest to `LOOKED_AT` pixels."""
    factor = min(max(1, round(max(grey.shape) / INKED.looked_at)), *grey.shape)
    return grey if factor == 1 else np.asarray(Image.fromarray(grey).reduce(factor))


def is_cut_off(box: tuple[int, ...], sides: list[int]) -> bool:
    """Whether ink runs out of the picture on one side while there is room on the opposite side. In a picture that was
    cropped to its digit, the ink reaches both sides."""
    top, bottom, left, right = box
    size, (height, width) = max(bottom - top, right - left), sides
    rooms = (top, height - bottom), (left, width - right)
    return min(sides) >= INKED.smallest_cut and any(min(room) <= 0 and max(room) > INKED.room * size for room in rooms)


# Lines.


@dataclass(frozen=True)
class LineProposal:
    """An image that may show the line of digits on a picture.

    Attributes:
        image: float32 `[h, w]` in [0, 1], light ink on dark ground.
        how: What was taken for the line, in words.
        weight: How much the proposal counts beside the others, up to 1.
        box: Where the line is, in pixels of the picture.
        varied: Whether `image` has another form, made by `forms`.
    """

    image: Grey = field(repr=False, compare=False)
    how: str
    weight: float
    box: Box
    varied: bool = False


def line_of(picture: Intensities, ink: InkColour = "auto") -> LineProposal | None:
    """A picture as a line, without its empty margins; None if it has no contrast."""
    grey = picture.grey
    if np.ptp(grey) < INKED.clean_contrast:
        return None
    dark = is_dark(grey) if ink == "auto" else ink == "dark"
    light = 1 - grey if dark else grey
    places = [round(share * (light.size - 1)) for share in (1 - INKED.ground, INKED.ink)]
    ground, full = np.partition(light, places, axis=None)[places]
    image = ((light - ground) / max(full - ground, INKED.clean_contrast)).clip(0, 1).astype(np.float32)
    inked = image >= LINES.empty
    top, bottom, left, right = 0, len(image), 0, image.shape[1]
    if inked.any():
        rows, columns = bounds_of(inked)
        down, across = (round(share * (rows.stop - rows.start)) for share in LINES.trimmed)
        top, bottom = max(0, rows.start - down), min(bottom, rows.stop + down)
        left, right = max(0, columns.start - across), min(right, columns.stop + across)
    line = image[top:bottom, left:right]
    scale = picture.reduction
    box = round(scale * top), round(scale * bottom), round(scale * left), round(scale * right)
    return of_usual_width(LineProposal(line, "dark ink" if dark else "light ink", 1.0, box))


def of_usual_width(one: LineProposal) -> LineProposal:
    """Make a line narrower if its digits are wider than handwriting, or far apart."""
    height = len(one.image)
    ink = one.image[slice(*(round(share * height) for share in LINES.middle))] >= LINES.solid
    columns = np.flatnonzero(ink.any(0))
    if not len(columns):
        return one
    crossed = ink[:, 0] + np.count_nonzero(ink[:, 1:] > ink[:, :-1], axis=1)
    along = float(columns[-1] + 1 - columns[0]) / height
    share = max(LINES.narrowest, float(crossed[crossed > 0].mean()) / along / LINES.strokes)
    return one if share >= 1 else replace(one, image=widened(one.image, share))


def widened(image: Grey, share: float) -> Grey:
    """A line whose width is multiplied by `share`."""
    height, width = image.shape
    return resampled(image, (height, max(1, round(share * width)))).clip(0, 1)


def forms(one: LineProposal) -> Iterator[LineProposal]:
    """Other forms of a line: narrower, wider, and with more ground around it. People write with different widths, crops
    need not have any ground, and several looks are surer than one."""
    for share, what in LINES.widths:
        yield replace(one, image=widened(one.image, share), how=f"{one.how}, {what}", varied=True)
    height, width = one.image.shape
    down, right = (
        max(1, round(share * min(height, LINES.slim * width))) for share in LINES.wider
    )  # a sliver would become a wall
    image = np.pad(one.image, ((down, down), (right, right)))
    yield replace(one, image=image, how=f"{one.how}, more ground", varied=True)

"""Change training images at random: a whole batch at once, each image in its own way, with one resampling.

Shift moves an image by whole pixels. The other kinds build on each other. Affine: rotation, scale, shear and shift.
Elastic: the affine map plus a smooth random displacement (Simard, Steinkraus and Platt, 2003), made here from noise on
a coarse mesh, interpolated. Handwriting: elastic, with wider or narrower strokes, as other pens make them. Robust:
handwriting plus the disturbances of `disturbed`. Each disturbance changes a small share of the images of a batch: half
of the images meet no disturbance, few meet more than one. None of the disturbances is one of the corruptions that
measure robustness (`lab/suites/corruptions`), though some are similar.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from sumnist.config import Augmentation

SIDE = 28
COARSE = (9, 11, 14, 18, 22)
"""Pixels per side of a reduced image: 11 leave 8 for the digit's box, 22 leave 16."""
COARSE_SHARE = 0.12
LIGHT_SHARE = BLUR_SHARE = NOISE_SHARE = COVER_SHARE = EDGE_SHARE = 0.08
DARKEST = 0.5
"""Largest amount by which the brightest ink is darkened."""
SLOPE = 0.5
"""Highest intensity of a lit ground. The light rises from one side to the other."""
NOISE = 0.25
"""Largest standard deviation of the noise."""
COVER = 3, 9
"""Range of the sides of the rectangle that covers part of an image, in pixels; the upper end is excluded."""
COVER_INK_SHARE = 0.25
"""Share of the covering rectangles that are ink; the others are ground."""
LEAST_CONTRAST = 0.2
"""Least contrast between ink and ground in an image with changed light."""
STEEP = 6.0
"""Largest factor by which an edge from ground to ink is made steeper."""
LINE_SHARE = OUTLINE_SHARE = STRIPE_SHARE = WORN_SHARE = 0.04
MOST_LINES = 3
"""Largest number of lines across an image."""
LINE = 0.4, 1.2
"""Range of half the width of a line across an image, in pixels."""
STRIPE = 0.2, 0.6
"""Range of the width of a stripe, as a share of the image's side."""
GAPS = 9
"""Cells per side of the noise that makes ink fade."""


def disturbed(image: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Images `[B, 1, 28, 28]` in [0, 1] → as many, some of them coarse, dim, blurred, noisy, partly covered or sharp.

    `strength` multiplies the share of the images that each disturbance changes.
    """
    draw = Draw(len(image), generator, image.device, strength)
    for disturb in (outlined, worn, crossed, striped, coarse, blurred, sharpened, lit, covered, noisy):
        image = disturb(image, draw)
    return image.clamp_(0, 1)


class Draw:
    """Random values for `count` images."""

    def __init__(self, count: int, generator: torch.Generator, device: torch.device, strength: float) -> None:
        self.count, self.generator, self.device, self.strength = count, generator, device, strength

    def uniform(self) -> Tensor:
        """Uniform values in [0, 1), `[B, 1, 1, 1]`."""
        return torch.rand(self.count, 1, 1, 1, generator=self.generator, device=self.device)

    def chosen(self, share: float) -> Tensor:
        """Choose images, each with probability `share`: `[B, 1, 1, 1]`, 1 for a chosen image, 0 for the others."""
        return (self.uniform() < share * self.strength).float()

    def some(self, share: float) -> Tensor:
        """Indices of a random `share` of the images, for a change that is costly to compute."""
        order = torch.randperm(self.count, generator=self.generator, device=self.device)
        return order[: round(share * self.strength * self.count)]

    def between(self, low: float, high: float, count: int) -> Tensor:
        """Uniform values from `low` to `high`, `[count, 1, 1]`."""
        return low + (high - low) * torch.rand(count, 1, 1, generator=self.generator, device=self.device)


def coarse(image: Tensor, draw: Draw) -> Tensor:
    """Reduce some images to fewer pixels and enlarge them again."""
    order = torch.randperm(draw.count, generator=draw.generator, device=draw.device)
    each = round(COARSE_SHARE * draw.strength * draw.count / len(COARSE))
    result = image.clone()
    for i, side in enumerate(COARSE):
        some = order[i * each : (i + 1) * each]
        if len(some):
            small = functional.interpolate(image[some], size=(side, side), mode="area")
            result[some] = functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return result


def blurred(image: Tensor, draw: Draw) -> Tensor:
    """Blur some images: move each pixel part of the way to the mean over 3×3 pixels, taken once or twice."""
    amount = draw.chosen(BLUR_SHARE) * draw.uniform() * 2
    once = smooth(image)
    twice = smooth(once)
    return image.lerp(once, amount.clamp_max(1)).lerp(twice, (amount - 1).clamp_min(0))


def smooth(image: Tensor) -> Tensor:
    """The mean of each pixel's 3×3 neighbourhood, along one axis and then the other; pixels outside are dark."""
    for axis, pad in ((2, (0, 0, 1, 1)), (3, (1, 1, 0, 0))):
        padded = functional.pad(image, pad)
        image = (padded.narrow(axis, 0, SIDE) + image + padded.narrow(axis, 2, SIDE)) / 3
    return image


def sharpened(image: Tensor, draw: Draw) -> Tensor:
    """Give some images harder edges, up to black and white, and wider or narrower strokes."""
    steep = 1 + draw.chosen(EDGE_SHARE) * draw.uniform() * (STEEP - 1)
    middle = 0.3 + 0.4 * draw.uniform()
    return torch.where(steep > 1, ((image - middle) * steep + 0.5).clamp(0, 1), image)


def lit(image: Tensor, draw: Draw) -> Tensor:
    """Give some images fainter ink on a lighter, unevenly lit ground."""
    chosen = draw.chosen(LIGHT_SHARE)
    ink = 1 - chosen * draw.uniform() * DARKEST
    angle = draw.uniform() * (2 * torch.pi)
    place = torch.linspace(-1, 1, SIDE, device=image.device)
    across = angle.cos() * place + angle.sin() * place[:, None]  # [B, 1, 28, 28]
    ground = chosen * draw.uniform() * SLOPE * (0.5 + across * 0.5 * draw.uniform()).clamp(0, 1)
    return ground + image * (ink - ground).clamp_min(LEAST_CONTRAST)


def covered(image: Tensor, draw: Draw) -> Tensor:
    """Cover part of some images with a rectangle of ground or, more rarely, of ink."""
    chosen = draw.chosen(COVER_SHARE) > 0
    least, most = COVER
    place = torch.arange(SIDE, device=image.device)
    inside = chosen
    for along in (place, place[:, None]):
        first, length = 2 + draw.uniform() * 20, least + draw.uniform() * (most - least)
        inside = inside & (along >= first) & (along < first + length)
    return torch.where(inside, (draw.uniform() < COVER_INK_SHARE).float(), image)


def noisy(image: Tensor, draw: Draw) -> Tensor:
    """Add noise to every pixel of some images."""
    amount = draw.chosen(NOISE_SHARE) * draw.uniform() * NOISE
    noise = torch.randn(image.shape, generator=draw.generator, device=draw.device)
    return image + noise * amount


def outlined(image: Tensor, draw: Draw) -> Tensor:
    """Replace the strokes of some images by the edges of the strokes, as in an outline font."""
    some = draw.some(OUTLINE_SHARE)
    solid = (image[some] > draw.between(0.3, 0.7, len(some))[:, None]).float()
    wider = functional.max_pool2d(solid, 3, 1, 1)
    inner, outer = solid + functional.max_pool2d(-solid, 3, 1, 1), wider - solid
    return image.index_copy(0, some, torch.where(draw.between(0, 1, len(some))[:, None] < 0.5, inner, outer))


def worn(image: Tensor, draw: Draw) -> Tensor:
    """Make the ink of some images fade here and there, like that of a dry pen."""
    some = draw.some(WORN_SHARE)
    noise = torch.rand(len(some), 1, GAPS, GAPS, generator=draw.generator, device=draw.device)
    noise = functional.interpolate(noise, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    gaps = ((noise - draw.between(0.45, 0.7, len(some))[:, None]) * 8).clamp(0, 1)
    return image.index_copy(0, some, image[some] * (1 - gaps * draw.between(0.4, 1, len(some))[:, None]))


def crossed(image: Tensor, draw: Draw) -> Tensor:
    """Draw straight lines, some of them dotted, across some images."""
    some = draw.some(LINE_SHARE)
    lined, place = image[some, 0], torch.linspace(-1, 1, SIDE, device=image.device) * (SIDE / 2)
    for i in range(MOST_LINES):
        angle = draw.between(0, math.pi, len(some))
        across = angle.cos() * place + angle.sin() * place[:, None] - draw.between(-10, 10, len(some))
        along = angle.cos() * place[:, None] - angle.sin() * place
        ink = (draw.between(*LINE, len(some)) - across.abs() + 0.5).clamp(0, 1) * draw.between(0.5, 1, len(some))
        dotted = draw.between(0, 1, len(some)) < 0.4
        gaps = (along * draw.between(0.8, 2.5, len(some))).sin() < 0
        there = (draw.between(0, 1, len(some)) < 1 / (i + 1)) & ~(dotted & gaps)
        lined = torch.maximum(lined, ink * there)
    return image.index_copy(0, some, lined[:, None])


def striped(image: Tensor, draw: Draw) -> Tensor:
    """Exchange ink and ground of some images within an upright or level stripe."""
    some = draw.some(STRIPE_SHARE)
    place = torch.linspace(0, 1, SIDE, device=image.device)
    first, wide = draw.between(0, 1 - STRIPE[0], len(some)), draw.between(*STRIPE, len(some))
    upright = draw.between(0, 1, len(some)) < 0.5
    along = torch.where(upright, place, place[:, None])
    inside = ((along >= first) & (along < first + wide))[:, None]
    return image.index_copy(0, some, torch.where(inside, 1 - image[some], image[some]))


ROTATION = math.radians(12)
SCALE = 0.12
SHEAR = 0.15
SHIFT = 2 / 14
"""Largest shift: 2 pixels, in half-widths of the image."""
MOST_SHIFT = 2
"""Largest shift by `shifted`, in whole pixels."""
MESH = 5
WARP = 0.055
"""Standard deviation of a mesh point's displacement, in half-widths of the image: 0.77 pixels."""
STROKE = 0.4
"""Standard deviation of the change at either side of a stroke, in pixels; a negative one makes it narrower."""
MOST_STROKE = 0.8
"""Largest change at either side of a stroke, in pixels."""


Change = Callable[[Tensor, torch.Generator, float], Tensor]
"""A function of images `[B, 1, 28, 28]`, a generator, and an intensity from 0 to 1 that returns as many images."""


def augmentation(kind: Augmentation) -> Change | None:
    """The function that `PairBatches` applies for `kind`, or None for "none"."""
    if kind == "none":
        return None
    return shifted if kind == "shift" else Augment(kind)


def shifted(image: Tensor, generator: torch.Generator, intensity: float = 1.0) -> Tensor:
    """Move each image `[B, 1, 28, 28]` by up to `MOST_SHIFT` whole pixels, drawn from `generator`.

    Every pixel keeps its value. Resampling would make images softer than those that a network will read.
    """
    count, device = len(image), image.device
    moved = torch.randint(0, 2 * MOST_SHIFT + 1, (2, count, 1), generator=generator, device=device)
    rows, columns = moved + torch.arange(SIDE, device=device)  # [B, 28] each, in the padded image
    padded = functional.pad(image[:, 0], [MOST_SHIFT] * 4)
    place = torch.arange(count, device=device)[:, None, None]
    return padded[place, rows[:, :, None], columns[:, None, :]][:, None]


class Augment:
    """Map each image `[B, 1, 28, 28]` in [0, 1] at random; areas from outside the image are dark.

    `strength` multiplies the size of every change.
    """

    def __init__(self, kind: Augmentation, strength: float = 1.0) -> None:
        self.elastic, self.strokes = kind in ("elastic", "handwriting", "robust"), kind in ("handwriting", "robust")
        self.disturbs, self.strength = kind == "robust", strength

    def __call__(self, image: Tensor, generator: torch.Generator, intensity: float = 1.0) -> Tensor:
        """Map each image in its own way, drawn from `generator`; `intensity` scales the disturbances of "robust"."""
        count, device = len(image), image.device
        grid = functional.affine_grid(self.maps(count, generator, device), list(image.shape), align_corners=False)
        if self.elastic:
            mesh = torch.randn(count, 2, MESH, MESH, generator=generator, device=device).mul_(WARP * self.strength)
            warp = functional.interpolate(mesh, size=(28, 28), mode="bicubic", align_corners=True)  # [B, 2, 28, 28]
            grid = grid + warp.permute(0, 2, 3, 1)  # [B, 28, 28, 2]
        image = functional.grid_sample(image, grid, align_corners=False)
        if self.strokes:
            width = torch.randn(count, 1, 1, 1, generator=generator, device=device).mul_(STROKE * self.strength)
            image = with_strokes(image, width.clamp_(-MOST_STROKE, MOST_STROKE))
        return disturbed(image, generator, self.strength * intensity) if self.disturbs else image

    def maps(self, count: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """`count` random affine maps from output to input coordinates, `[B, 2, 3]`."""
        angle, wide, high, shear, right, down = (
            torch.rand(6, count, generator=generator, device=device).mul_(2).sub_(1).mul_(self.strength).unbind()
        )
        angle, wide, high, shear = angle * ROTATION, 1 + wide * SCALE, 1 + high * SCALE, shear * SHEAR
        cosine, sine = angle.cos(), angle.sin()
        rows = [wide * cosine, wide * (shear * cosine - sine), right * SHIFT,
                high * sine, high * (shear * sine + cosine), down * SHIFT]  # fmt: skip
        return torch.stack(rows, 1).view(count, 2, 3)


def with_strokes(image: Tensor, width: Tensor) -> Tensor:
    """Make the strokes of each image `[B, 1, 28, 28]` wider by `width` `[B, 1, 1, 1]` pixels on either side, -1 to 1.

    Each pixel moves part of the way to its brightest neighbour or, for a negative width, to its darkest.
    """
    wider, thinner = widest(image), -widest(-image)
    return torch.where(width > 0, image.lerp(wider, width.clamp_min(0)), image.lerp(thinner, (-width).clamp_min(0)))


def widest(image: Tensor) -> Tensor:
    """The largest value of each pixel's 3×3 neighbourhood in images `[..., 28, 28]`.

    The function takes maxima along one axis and then along the other, which is eight times as fast as `max_pool2d`.
    """
    for axis in (-2, -1):
        pairs = torch.maximum(image.narrow(axis, 0, SIDE - 1), image.narrow(axis, 1, SIDE - 1))
        inner = torch.maximum(pairs.narrow(axis, 0, SIDE - 2), image.narrow(axis, 2, SIDE - 2))
        image = torch.cat([pairs.narrow(axis, 0, 1), inner, pairs.narrow(axis, SIDE - 2, 1)], axis)
    return image

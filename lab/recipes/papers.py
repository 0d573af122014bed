"""Add paper and camera effects to scenes: printed patterns, light, blur, noise.

Each effect changes a random share of the pictures of a batch, all at once. Pictures are `[B, 32, W]`, light ink on dark
ground. `draw` gives the random values, and its strength multiplies all shares. No effect hides the writing.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from sumnist.data.augment import Draw

GUILLOCHE_SHARE, WOVEN_SHARE, CLOUDED_SHARE = 0.35, 0.1, 0.12
"""Shares of the pictures with a print: curves, a woven pattern, and blotches."""
PATTERN = 0.05, 0.28
"""Range of the intensity of a printed ground."""
FAMILIES, ONE_FAMILY_SHARE = 2, 0.5
"""`FAMILIES`: number of families of printed curves. `ONE_FAMILY_SHARE`: share of the grounds with curves that have only
one family."""
PITCH, WEAVE = (1.8, 6.0), (2.0, 6.0)
"""`PITCH`: range of the pixels from one printed curve to the next. `WEAVE`: range of the pixels from one thread to the
next."""
SWING, SWING_LENGTH = 3.0, (15.0, 120.0)
"""`SWING`: largest swing of a printed curve up and down, in pixels. `SWING_LENGTH`: range of the length of one swing,
in pixels."""
STEEP_SHARE, STEEP_SLOPE, ARCH = 0.3, (0.4, 1.2), 0.004
"""`STEEP_SHARE`: share of the families that rise steeply. `STEEP_SLOPE`: range of their slope. `ARCH`: deviation of a
family's arch, per pixel squared."""
BLOTCH = 8
"""Pixels from one value of the noise in blotches to the next."""
SPECKED_SHARE, SPECKS = 0.06, 0.003
"""Share of the pictures with specks, and share of the pixels of these pictures that are specks."""
WORN_SHARE, WORN, WORN_CELL = 0.06, (0.3, 0.6), 6
"""`WORN_SHARE`: share of the pictures with fading ink. `WORN`: range of how much fades. `WORN_CELL`: pixels from one
value of the fading to the next."""
LIT_SHARE, GROUND, INK, LEAST_CONTRAST = 0.6, 0.3, 0.35, 0.45
"""`LIT_SHARE`: share of the pictures with changed light. `GROUND`: lightest ground. `INK`: largest amount by which the
ink is darkened. `LEAST_CONTRAST`: least contrast between ink and ground."""
SHADED_SHARE, SHADE, SOFT = 0.1, (0.1, 0.3), (1.0, 12.0)
"""`SHADED_SHARE`: share of the pictures with changed light that have the edge of a shadow. `SHADE`: range of how much
lighter the ground is in the shadow. `SOFT`: range of the width of the edge, in pixels."""
BLUR_SHARE, SHARPEN_SHARE, SHARPEN, NOISE_SHARE, NOISE = 0.4, 0.12, (0.3, 1.2), 0.3, 0.09
"""`BLUR_SHARE`: share of blurred pictures. `SHARPEN_SHARE`: share of sharpened pictures. `SHARPEN`: range of how much
of the difference to a blurred picture is added. `NOISE_SHARE`: share of noisy pictures. `NOISE`: the noise's largest
standard deviation."""
MOST_BLUR = 1.6
"""Largest number of times that a picture is averaged over its neighbourhood."""
BLURRED_EM = 24.0
"""Height of a digit in pixels from which the blur has its full width; smaller digits are blurred less."""
JPEG_SHARE, QUALITY = 0.1, (12, 50)
"""`JPEG_SHARE`: share of the pictures that are compressed. `QUALITY`: range of the JPEG quality; the upper end is
excluded."""


def some(draw: Draw, share: float) -> tuple[Tensor, int]:
    """Indices of the pictures that an effect changes, each chosen with the same probability, and their number."""
    chosen = draw.chosen(share).flatten().nonzero()[:, 0]
    return chosen, len(chosen)


def places(image: Tensor) -> tuple[Tensor, Tensor]:
    """Middles of the columns, `[W]`, and of the rows, `[32, 1]`, in pixels."""
    return torch.arange(image.shape[2]) + 0.5, (torch.arange(image.shape[1]) + 0.5)[:, None]


def noise(count: int, image: Tensor, cell: int, draw: Draw) -> Tensor:
    """Smooth noise `[count, 32, W]` in [0, 1]: one value for every `cell` pixels, interpolated."""
    high, wide = image.shape[1:]
    values = torch.rand(count, 1, high // cell + 2, wide // cell + 2, generator=draw.generator)
    return functional.interpolate(values, size=(high, wide), mode="bilinear", align_corners=True)[:, 0]


# Printed grounds. Each function adds to the paper `[B, 32, W]`.


def guilloche(paper: Tensor, draw: Draw) -> None:
    """Print families of fine curves, as on security paper."""
    chosen, count = some(draw, GUILLOCHE_SHARE)
    x, y = places(paper)
    pattern, turn = torch.zeros(count, *paper.shape[1:]), 2 * math.pi
    for number in range(FAMILIES):
        slope = draw.between(-0.2, 0.2, count)
        steep = draw.between(*STEEP_SLOPE, count) * (draw.between(-1, 1, count)).sign()
        slope = torch.where(draw.between(0, 1, count) < STEEP_SHARE, steep, slope)
        arch = ARCH * torch.randn(count, 1, 1, generator=draw.generator)
        swing = (x / draw.between(*SWING_LENGTH, count) + draw.between(0, 1, count)).mul_(turn).sin_()
        rise = swing * draw.between(0, SWING, count) + slope * x + arch * (x - draw.between(0, 1, count) * len(x)) ** 2
        curves = ((y + rise) * (turn / draw.between(*PITCH, count))).sin_()  # count, 32, W
        curves = curves.sub_(draw.between(-0.5, 0.5, count)).clamp_(0, 1)
        light = draw.between(*PATTERN, count)
        if number:
            light = light * (draw.between(0, 1, count) > ONE_FAMILY_SHARE)
        pattern += curves.mul_(light)
    paper[chosen] += pattern


def woven(paper: Tensor, draw: Draw) -> None:
    """Print woven threads, across and down."""
    chosen, count = some(draw, WOVEN_SHARE)
    waves = [
        ((place / draw.between(*WEAVE, count) + draw.between(0, 1, count)) * (2 * math.pi)).sin()
        for place in places(paper)
    ]
    paper[chosen] += (waves[0] * waves[1]).clamp_min_(-0.3).add_(0.3) * draw.between(*PATTERN, count)


def clouded(paper: Tensor, draw: Draw) -> None:
    """Print blotches."""
    chosen, count = some(draw, CLOUDED_SHARE)
    paper[chosen] += noise(count, paper, BLOTCH, draw) * draw.between(*PATTERN, count)


def specked(paper: Tensor, draw: Draw) -> None:
    """Add specks of dirt."""
    chosen, count = some(draw, SPECKED_SHARE)
    chance = torch.rand(count, *paper.shape[1:], generator=draw.generator)
    paper[chosen] += (chance < SPECKS) * draw.between(0.3, 0.9, count)


def worn(ink: Tensor, draw: Draw) -> Tensor:
    """Ink `[B, 32, W]` that fades here and there on some strips."""
    chosen, count = some(draw, WORN_SHARE)
    gone = draw.between(*WORN, count) * noise(count, ink, WORN_CELL, draw)
    return ink.index_copy(0, chosen, ink[chosen] * (1 - gone))


# Changes to the picture. Each function changes the pictures `[B, 32, W]` in place.


def lit(image: Tensor, draw: Draw) -> None:
    """Make the ink fainter, on a lighter, unevenly lit ground, sometimes with the edge of a shadow."""
    chosen, count = some(draw, LIT_SHARE)
    x, y = places(image)
    x, y = 2 * x / len(x) - 1, 2 * y / len(y) - 1
    angle = draw.between(0, 2 * math.pi, count)
    across = angle.cos() * x + angle.sin() * y * 0.5  # count, 32, W
    ground = draw.between(0, 1, count) ** 2 * GROUND * (1 + 0.5 * across * draw.between(0, 1, count))
    shaded = (draw.between(0, 1, count) < SHADED_SHARE).flatten().nonzero()[:, 0]
    if len(shaded):
        edge = draw.between(-0.6, 0.6, len(shaded))
        soft = 16 / draw.between(*SOFT, len(shaded))
        ground[shaded] += draw.between(*SHADE, len(shaded)) * ((across[shaded] - edge) * soft).sigmoid()
    ink = 1 - draw.between(0, 1, count) * INK
    image[chosen] = ground + image[chosen] * (ink - ground).clamp_min_(LEAST_CONTRAST)


def smooth(image: Tensor) -> Tensor:
    """The weighted mean of each pixel's 3×3 neighbourhood in pictures `[B, 32, W]`. The weights are 1 2 1 along each
    axis."""
    wide = functional.pad(image[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    down = (wide[:, :-2] + wide[:, 2:]).add_(wide[:, 1:-1], alpha=2)
    return (down[:, :, :-2] + down[:, :, 2:]).add_(down[:, :, 1:-1], alpha=2).div_(16)


def blurred(image: Tensor, em: Tensor, draw: Draw) -> None:
    """Blur: move each pixel towards the mean of its neighbourhood, taken once or twice; blur small digits less."""
    chosen, count = some(draw, BLUR_SHARE)
    once = smooth(image[chosen])
    amount = draw.between(0, MOST_BLUR, count) * (em[chosen] / BLURRED_EM).clamp_(max=1)[:, None, None]
    image[chosen] = image[chosen].lerp_(once, amount.clamp(max=1)).lerp_(smooth(once), (amount - 1).clamp_(0, 1))


def sharpened(image: Tensor, draw: Draw) -> None:
    """Sharpen edges with overshoot, as a scanner does."""
    chosen, count = some(draw, SHARPEN_SHARE)
    part = image[chosen]
    image[chosen] = part + (part - smooth(smooth(part))) * draw.between(*SHARPEN, count)


def noisy(image: Tensor, draw: Draw) -> None:
    """Add noise to every pixel."""
    chosen, count = some(draw, NOISE_SHARE)
    values = torch.randn(count, *image.shape[1:], generator=draw.generator)
    image[chosen] += values.mul_(draw.between(0, 1, count) ** 2 * NOISE)


def compressed(image: Tensor, width: Tensor, draw: Draw) -> None:
    """Compress by JPEG, at a low quality."""
    chosen, count = some(draw, JPEG_SHARE)
    quality = torch.randint(*QUALITY, (count,), generator=draw.generator)
    for place, level in zip(chosen.tolist(), quality.tolist(), strict=True):
        strip = image[place, :, : int(width[place])]
        stream = io.BytesIO()
        Image.fromarray((strip.numpy() * 255).astype(np.uint8)).save(stream, "JPEG", quality=level)
        strip.copy_(torch.from_numpy(np.array(Image.open(stream), np.float32) / 255))

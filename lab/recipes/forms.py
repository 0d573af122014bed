"""Add print and camera effects to cells of forms: printed lines, dirt, remains of shadows, a tone curve, blur, coarse
pixels, noise, JPEG.

Cells are `[B, 36, W]`, light ink on dark ground. Each effect changes a random share of the cells of a batch, as in
`data/papers`, where some of the effects are defined. Ink lets light through as a filter does: where two inks overlap,
the shares of light that they let through are multiplied.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lab.recipes.papers import blurred, coarse, compressed, noise, places, sharpened, smooth, some
from sumnist.data.augment import Draw
from sumnist.inference.alphabet import CELL_MARGIN, CELL_SCALE

EDGE = CELL_MARGIN * CELL_SCALE
"""Pixels from the edge of the picture to the printed line."""
SHIFT, STRETCH, SKEW = 0.75, 0.012, 0.01
"""Standard deviations, because the registration of a page is not perfect. `SHIFT`: of the lines' shift, in pixels.
`STRETCH`: of the cell's scale. `SKEW`: of its slopes."""
MOST_SHIFT = 2.0
LINE_LIGHT, LINE_WIDTH = (0.04, 0.34), (0.55, 1.3)
"""`LINE_LIGHT`: range of the printed lines' ink, which cameras see paler or darker than it is. `LINE_WIDTH`: range of
their width in pixels."""
UNLINED_SHARE, DASHED_SHARE, BESIDE_SHARE = 0.06, 0.3, 0.65
"""`UNLINED_SHARE`: share of the cells without lines. `DASHED_SHARE`: share of the cells with dashed lines.
`BESIDE_SHARE`: probability of another cell on each side."""
DASH = 9.0
"""Length of a printed dash and the gap after it, in pixels."""
POINT_SHARE, POINT = 0.08, 1.5
"""Share of the cells beside a printed point, and its radius in pixels."""
TEXTURE_SHARE, TEXTURE, FIBRE_SHARE, FIBRE = 0.5, 0.07, 0.4, 0.05
"""`TEXTURE_SHARE`: share of the cells with a cloudy ground. `TEXTURE`: the most ink that this ground counts as.
`FIBRE_SHARE`: share of the cells with paper fibres. `FIBRE`: the most ink that fibres count as."""
RULED_SHARE, RULING, PITCH = 0.05, (0.05, 0.3), (12.0, 30.0)
"""`RULED_SHARE`: share of the cells on ruled paper. `RULING`: range of the rulings' ink. `PITCH`: range of their
distance in pixels."""
DIRTY_SHARE, DIRT, DIRT_RADIUS, MOST_DIRT = 0.14, (0.1, 0.8), (0.3, 1.4), 3
"""`DIRTY_SHARE`: share of the cells with specks. `DIRT`: range of the specks' ink. `DIRT_RADIUS`: range of their radius
in pixels. `MOST_DIRT`: their largest number."""
GROUND_SHARE, GROUND, SLOPE = 0.6, (-0.03, 0.1), 0.06
"""`GROUND_SHARE`: share of the cells whose ground was not estimated exactly. `GROUND`: range of the error, as ink.
`SLOPE`: the most by which the error grows from the middle to an edge."""
SHADOW_SHARE, SHADOW, SOFT = 0.08, (0.05, 0.25), (2.0, 20.0)
"""`SHADOW_SHARE`: share of the cells with the edge of a shadow. `SHADOW`: range of the shadow, as ink. `SOFT`: range of
the width in pixels over which it rises."""
TONE_SHARE, TONE, GAIN = 0.6, 0.22, 0.12
"""`TONE_SHARE`: share of the pictures with another tone curve. `TONE`: deviation of the logarithm of its exponent.
`GAIN`: deviation of the logarithm of its gain."""
NOISE_SHARE, NOISE = 0.5, 0.06
"""Share of the noisy pictures, and the noise's largest standard deviation."""


def on_form(ink: Tensor, draw: Draw) -> Tensor:
    """Ink `[B, 36, W]`, with printed lines, paper and dirt added."""
    clear = 1 - ink
    for printed in (lined, pointed, textured, fibrous, ruled, dirty):
        printed(clear, draw)
    return 1 - clear


def photographed(image: Tensor, em: Tensor, draw: Draw) -> Tensor:
    """Cells `[B, 36, W]` in [0, 1] as a camera sees them. `em` is the height of their digits in pixels, `[B]`."""
    blurred(image, em, draw)
    coarse(image, em, draw)
    toned(image, draw)
    shaded(image, draw)
    sharpened(image, draw)
    noisy(image, draw)
    image.clamp_(0, 1)
    compressed(image, torch.full((len(image),), image.shape[2]), draw)
    return image


def normal(deviation: float, count: int, draw: Draw) -> Tensor:
    """Normal values around 0, `[count, 1, 1]`."""
    return deviation * torch.randn(count, 1, 1, generator=draw.generator)


# Marks on the paper. Each function changes `clear`, the light `[B, 36, W]` that the paper lets through.


def lined(clear: Tensor, draw: Draw) -> None:
    """Print the lines of the cell, and those of neighbouring cells, which run on to the picture's edge."""
    count, high, wide = clear.shape
    x, y = places(clear)
    skew = normal(SKEW, count, draw)
    x, y = x - wide / 2, y - high / 2
    x, y = x + skew * y, y - (skew + normal(SKEW / 3, count, draw)) * x  # count, 36, W
    shift = [normal(SHIFT, count, draw).clamp_(-MOST_SHIFT, MOST_SHIFT) for _ in "xy"]
    x, y = (place * (1 + normal(STRETCH, count, draw)) + off for place, off in zip((x, y), shift, strict=True))
    half_wide, half_high = wide / 2 - EDGE, high / 2 - EDGE
    dashed = draw.between(0, 1, count) < DASHED_SHARE
    phase, light = draw.between(0, DASH, count), draw.between(*LINE_LIGHT, count)
    half = draw.between(*LINE_WIDTH, count) / 2
    beside = [draw.between(0, 1, count) < BESIDE_SHARE for _ in "lr"]
    within = (x.abs() < half_wide + 0.5) | torch.where(x < 0, beside[0], beside[1])
    ink = torch.zeros_like(clear)
    for distance, along, there in (
        ((y.abs() - half_high).abs(), x, within), ((x.abs() - half_wide).abs(), y, y.abs() < half_high + 0.5)
    ):  # fmt: skip
        line = (half + 0.5 - distance).clamp_(0, 1) * there
        gap = dashed & ((along + phase) % DASH > DASH / 2)
        torch.maximum(ink, line * ~gap, out=ink)
    clear *= 1 - ink * light * (draw.between(0, 1, count) < (1 - UNLINED_SHARE) * draw.strength)


def pointed(clear: Tensor, draw: Draw) -> None:
    """Print a point beside the cell, mostly out of view."""
    chosen, count = some(draw, POINT_SHARE)
    x, y = places(clear)
    right = draw.between(0, 1, count) < 0.5
    where = torch.where(right, clear.shape[2] + POINT, torch.full_like(right, -POINT, dtype=torch.float32))
    across, down = x - where - normal(0.9, count, draw), y - clear.shape[1] + 2 * EDGE - normal(0.9, count, draw)
    clear[chosen] *= 1 - (POINT + 0.5 - torch.hypot(across, down)).clamp_(0, 1) * draw.between(0.6, 1, count)


def textured(clear: Tensor, draw: Draw) -> None:
    """Make the ground cloudy."""
    chosen, count = some(draw, TEXTURE_SHARE)
    for cell in (4, 10):
        amount = draw.between(0, 1, count) ** 2 * TEXTURE
        clear[chosen] *= 1 - noise(count, clear, cell, draw) * amount


def fibrous(clear: Tensor, draw: Draw) -> None:
    """Add the grain of the paper, two pixels wide."""
    chosen, count = some(draw, FIBRE_SHARE)
    grain = torch.randn(count, *clear.shape[1:], generator=draw.generator)
    clear[chosen] *= 1 - smooth(grain) * draw.between(0, 1, count) * FIBRE


def ruled(clear: Tensor, draw: Draw) -> None:
    """Add rulings of the paper: level ones and, on squared paper, upright ones too."""
    chosen, count = some(draw, RULED_SHARE)
    x, y = places(clear)
    pitch, light = draw.between(*PITCH, count), draw.between(*RULING, count)
    for number, place in enumerate((y, x)):
        across = (place + normal(0.02, count, draw) * (x if number == 0 else y) + draw.between(0, 30, count)) % pitch
        there = 1.0 if number == 0 else draw.between(0, 1, count) < 0.5
        clear[chosen] *= 1 - (1 - (across - 1).abs()).clamp_(0, 1) * light * there


def dirty(clear: Tensor, draw: Draw) -> None:
    """Add specks."""
    chosen, count = some(draw, DIRTY_SHARE)
    x, y = places(clear)
    for number in range(MOST_DIRT):
        apart = torch.hypot(x - draw.between(0, len(x), count), y - draw.between(0, len(y), count))
        light = draw.between(*DIRT, count) * (draw.between(0, 1, count) < 1 / (number + 1))
        clear[chosen] *= 1 - (draw.between(*DIRT_RADIUS, count) + 0.5 - apart).clamp_(0, 1) * light


# Changes to the picture. Each function changes the cells `[B, 36, W]` in place.


def shaded(image: Tensor, draw: Draw) -> None:
    """Make the ground darker or lighter than it was estimated, and add remains of shadows."""
    x, y = places(image)
    x, y = 2 * x / len(x) - 1, 2 * y / len(y) - 1
    for share, rising in ((GROUND_SHARE, False), (SHADOW_SHARE, True)):
        chosen, count = some(draw, share)
        angle = draw.between(0, 2 * math.pi, count)
        across = angle.cos() * x + angle.sin() * y
        if rising:
            ground = (
                draw.between(*SHADOW, count)
                * ((across - draw.between(-1, 1, count)) * 30 / draw.between(*SOFT, count)).sigmoid()
            )
        else:
            ground = draw.between(*GROUND, count) + across * draw.between(0, SLOPE, count)
        image[chosen] = 1 - (1 - image[chosen]) * (1 - ground)


def toned(image: Tensor, draw: Draw) -> None:
    """Apply another tone curve."""
    chosen, count = some(draw, TONE_SHARE)
    image[chosen] = image[chosen].clamp_(0, 1) ** normal(TONE, count, draw).exp() * normal(GAIN, count, draw).exp()


def noisy(image: Tensor, draw: Draw) -> None:
    """Add noise to every pixel, coarser in some pictures."""
    chosen, count = some(draw, NOISE_SHARE)
    values = torch.randn(count, *image.shape[1:], generator=draw.generator)
    values = torch.where(draw.between(0, 1, count) < 0.4, 2 * smooth(values), values)
    image[chosen] += values * (draw.between(0, 1, count) ** 2 * NOISE)

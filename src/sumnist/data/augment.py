"""Random changes to training images: a whole batch at once, each image its own, one resampling for all of them.

Affine: rotation, scale, shear and shift. Elastic: the affine map plus a smooth random displacement (Simard, Steinkraus
and Platt, 2003), here noise on a coarse mesh, interpolated. Handwriting: elastic, and strokes of another width, as
other pens make them. Robust: handwriting, and the disturbances of `data/disturb`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from sumnist.config import Augmentation
from sumnist.data.disturb import disturbed

__all__ = ["Augment", "augmentation"]

ROTATION = math.radians(12)
SCALE = 0.12
SHEAR = 0.15
SHIFT = 2 / 14
"""2 pixels, in half-widths of the image."""
MOST_SHIFT = 2
"""Whole pixels, for `Shift`."""
SIDE = 28
MESH = 5
WARP = 0.055
"""Standard deviation of a mesh point's displacement, in half-widths of the image: 0.77 pixels."""
STROKE = 0.4
"""Standard deviation of what is added to either side of a stroke, in pixels; a negative value is taken away."""
MOST_STROKE = 0.8
"""The most that is added or taken away, in pixels."""


Change = Callable[[Tensor, torch.Generator, float], Tensor]
"""Images `[B, 1, 28, 28]`, a source of randomness, and an intensity from 0 to 1 → as many images."""


def augmentation(kind: Augmentation, strength: float = 1.0) -> Change | None:
    """The function that `PairBatches` applies for `kind`, or None for "none"."""
    if kind == "none":
        return None
    return Shift(strength) if kind == "shift" else Augment(kind, strength)


class Shift:
    """Images `[B, 1, 28, 28]` → as many, each moved by up to `MOST_SHIFT` × `strength` whole pixels: every pixel keeps
    its value, where a resampled image is softer than the images that a network will read."""

    def __init__(self, strength: float = 1.0) -> None:
        self.most = round(MOST_SHIFT * strength)

    def __call__(self, image: Tensor, generator: torch.Generator, intensity: float = 1.0) -> Tensor:
        """Each image moved its own way, drawn from `generator`."""
        count, side, device = len(image), image.shape[-1], image.device
        moved = torch.randint(0, 2 * self.most + 1, (2, count, 1), generator=generator, device=device)
        rows, columns = moved + torch.arange(side, device=device)  # [B, 28] each, in the padded image
        padded = functional.pad(image[:, 0], [self.most] * 4)
        place = torch.arange(count, device=device)[:, None, None]
        return padded[place, rows[:, :, None], columns[:, None, :]][:, None]


class Augment:
    """Images `[B, 1, 28, 28]` in [0, 1] → as many, each mapped at random; what comes in from outside is dark.

    `strength` multiplies the size of every change.
    """

    def __init__(self, kind: Augmentation, strength: float = 1.0) -> None:
        self.elastic, self.strokes = kind in ("elastic", "handwriting", "robust"), kind in ("handwriting", "robust")
        self.disturbs, self.strength = kind == "robust", strength

    def __call__(self, image: Tensor, generator: torch.Generator, intensity: float = 1.0) -> Tensor:
        """Each image mapped its own way, drawn from `generator`; `intensity`: of what "robust" adds to that."""
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
    """Each image `[B, 1, 28, 28]` with its strokes wider by `width` `[B, 1, 1, 1]` pixels on either side, -1 to 1:
    part of the way to the brightest, or the darkest, of each pixel's neighbours."""
    wider, thinner = widest(image), -widest(-image)
    return torch.where(width > 0, image.lerp(wider, width.clamp_min(0)), image.lerp(thinner, (-width).clamp_min(0)))


def widest(image: Tensor) -> Tensor:
    """The largest value of each pixel's 3×3 neighbourhood, by one axis and then the other: eight times as fast as
    `max_pool2d`."""
    for axis in (2, 3):
        pairs = torch.maximum(image.narrow(axis, 0, SIDE - 1), image.narrow(axis, 1, SIDE - 1))
        inner = torch.maximum(pairs.narrow(axis, 0, SIDE - 2), image.narrow(axis, 2, SIDE - 2))
        image = torch.cat([pairs.narrow(axis, 0, 1), inner, pairs.narrow(axis, SIDE - 2, 1)], axis)
    return image

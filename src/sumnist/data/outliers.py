"""What a training batch has besides its pairs: images that show no digit, and drawn digits in the same hand.

Some are made of the batch's own digits: mirrored, turned, with their quarters in another place, or two side by side;
some are drawn beforehand (`data/shapes`), and some are characters of handwriting fonts, as the reader sees them
(`hands.npz`; `NOTICE-HANDS.txt` says whose). There are digits among the last two, so that whether an image shows one is
not told by the ink it is made of.
"""

from __future__ import annotations

import zlib
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sumnist.data.draws import NO_DIGIT
from sumnist.data.pairs import as_image
from sumnist.data.shapes import characters
from sumnist.errors import DataError

__all__ = ["HANDS", "Outliers", "hands"]

HANDS = Path(__file__).with_name("hands.npz")
LEVELS = 16
"""Grey levels of its images."""

DRAWN = 20_000
"""Images that are drawn beforehand."""
DRAWN_DIGITS = 0.35
"""Share of them that are digits."""
MADE = 0.25
"""Share of the extra images that are made of the batch's own."""
WRITTEN = 0.4
"""Share of them that are characters of fonts."""
MIRRORED = (3, 4, 7, 9)
TURNED = (2, 3, 4, 5, 7)
"""Digits that are no digit any more, nor like one, when they are mirrored, or turned by a quarter."""


class Outliers:
    """`share` of a batch's images more, made or drawn anew for each batch from its generator."""

    def __init__(self, share: float, seed: int, device: torch.device) -> None:
        self.share = share
        drawn, written = characters(DRAWN, DRAWN_DIGITS, seed), hands()
        self.drawn = len(drawn[0])
        self.images = torch.tensor(np.concatenate([drawn[0], written[0]]), device=device)
        self.digits = torch.tensor(np.concatenate([drawn[1], written[1]]), device=device)

    def __call__(self, image: Tensor, digit: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images `[B, 1, 28, 28]` and digits `[B]` of a batch → those to be added to it, and what they show: a digit,
        or `NO_DIGIT`."""
        count = round(self.share * len(image))
        own = self.made(image, digit, round(MADE * count), generator)
        written = round(WRITTEN * count)
        ranges = (0, self.drawn, count - len(own) - written), (self.drawn, len(self.images), written)
        place = torch.cat([
            torch.randint(low, high, (share,), generator=generator, device=image.device) for low, high, share in ranges
        ])  # fmt: skip
        label = torch.cat([self.digits[place], torch.full((len(own),), NO_DIGIT, device=image.device)])
        return torch.cat([as_image(self.images[place]), own]), label

    def made(self, image: Tensor, digit: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """At most `count` images that are no digits, of some of the batch's that are."""
        kinds = (count + 3) // 4
        order = torch.randperm(len(image), generator=generator, device=image.device)
        mirrored, turned = (
            some[torch.isin(digit[some], torch.tensor(fit, device=image.device))][:kinds]
            for some, fit in ((order, MIRRORED), (order.flip(0), TURNED))
        )
        two, other = order[:kinds], order.flip(0)[:kinds]
        return torch.cat([
            image[mirrored].flip(3), image[turned].rot90(1, (2, 3)), quarters(image[other]),
            torch.cat([narrow(image[two]), narrow(image[other])], 3),
        ])[:count]  # fmt: skip


@cache
def hands() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The characters of fonts, uint8 `[N, 28, 28]`, and what digit each shows, or `NO_DIGIT`, int64 `[N]`; not to be
    changed. Raises `DataError` if the file is missing or damaged."""
    try:
        with files("sumnist.data").joinpath(HANDS.name).open("rb") as stream, np.load(stream) as archive:
            images, codes = archive["images"] * np.uint8(255 // (LEVELS - 1)), archive["characters"].astype(np.int64)
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as error:
        raise DataError(f"the packaged characters cannot be read ({error}): reinstall sumnist") from error
    digits = codes - ord("0")
    return images, np.where((digits >= 0) & (digits < 10), digits, NO_DIGIT)


def narrow(image: Tensor) -> Tensor:
    """Images `[B, 1, 28, 28]` of half the width, `[B, 1, 28, 14]`."""
    return functional.avg_pool2d(image, (1, 2))


def quarters(image: Tensor) -> Tensor:
    """Images `[B, 1, 28, 28]` with their quarters moved round by one place."""
    top, bottom = image.chunk(2, 2)
    (a, b), (c, d) = top.chunk(2, 3), bottom.chunk(2, 3)
    return torch.cat([torch.cat([c, a], 3), torch.cat([d, b], 3)], 2)

"""Images added to a training batch: some that show no digit, and some drawn digits with the same pen.

Of the images, 30 % are made of the batch's own digits: mirrored, turned, with their quarters in another place, or two
side by side. The rest is drawn beforehand (`data/glyphs`). So neither MNIST's ink nor the drawing pen tells whether an
image shows a digit.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sumnist.data.glyphs import Watch, characters
from sumnist.data.pairs import as_image
from sumnist.data.sampling import NO_DIGIT

__all__ = ["Outliers"]

DRAWN = 20_000
"""Images that are drawn beforehand."""
DRAWN_DIGITS = 0.35
"""Share of them that are digits."""
MADE = 0.3
"""Share of the added images that are made of the batch's own."""
MIRRORED = (3, 4, 7, 9)
TURNED = (2, 3, 4, 5, 7)
"""Digits that no longer look like any digit when they are mirrored, or turned by a quarter."""


class Outliers:
    """Images to be added to each batch, `share` times as many as it has. `watch` may show how the drawing goes on."""

    def __init__(self, share: float, seed: int, device: torch.device, watch: Watch = iter) -> None:
        self.share = share
        images, digits = characters(DRAWN, DRAWN_DIGITS, seed, watch)
        self.images = torch.tensor(images, device=device)
        self.digits = torch.tensor(digits, device=device)

    def __call__(self, image: Tensor, digit: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images `[B, 1, 28, 28]` and digits `[B]` of a batch → the images to be added to it, and the digit that each
        shows, or `NO_DIGIT`."""
        count = round(self.share * len(image))
        own = self.made(image, digit, round(MADE * count), generator)
        place = torch.randint(len(self.images), (count - len(own),), generator=generator, device=image.device)
        label = torch.cat([self.digits[place], torch.full((len(own),), NO_DIGIT, device=image.device)])
        return torch.cat([as_image(self.images[place]), own]), label

    def made(self, image: Tensor, digit: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """At most `count` images of no digit, made of some of the batch's digits, as many of each of four kinds."""
        each = (count + 3) // 4
        order = torch.randperm(len(image), generator=generator, device=image.device)
        mirrored, turned = (
            place[torch.isin(digit[place], torch.tensor(fit, device=image.device))][:each]
            for place, fit in ((order, MIRRORED), (order.flip(0), TURNED))
        )
        two, other = order[:each], order.flip(0)[:each]
        return torch.cat([
            image[mirrored].flip(3), image[turned].rot90(1, (2, 3)), quarters(image[other]),
            torch.cat([narrow(image[two]), narrow(image[other])], 3),
        ])[:count]  # fmt: skip


def narrow(image: Tensor) -> Tensor:
    """Images `[B, 1, 28, 28]` of half the width, `[B, 1, 28, 14]`."""
    return functional.avg_pool2d(image, (1, 2))


def quarters(image: Tensor) -> Tensor:
    """Images `[B, 1, 28, 28]` with their quarters moved round by one place."""
    top, bottom = image.chunk(2, 2)
    (a, b), (c, d) = top.chunk(2, 3), bottom.chunk(2, 3)
    return torch.cat([torch.cat([c, a], 3), torch.cat([d, b], 3)], 2)

"""Make images to add to a training batch: images without a digit, drawn digits by the same pens, and loose digits.

Some images without a digit are made of the batch's own digits: mirrored, turned, with their quarters in other places,
two side by side, with ink and ground exchanged, or small beside the printed lines of a cell. A reader sees images like
the last two kinds if it mistakes what the ink is, or where the ink is. The other images are drawn beforehand
(`data/glyphs`). So neither MNIST's ink nor the drawing pen tells whether an image shows a digit. Loose digits show
forms that few writers use. Some pass for another digit, so the end of a training has none.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional

from lab.recipes.glyphs import Watch, characters
from sumnist.data.pairs import as_image
from sumnist.data.pen_digits import WRITERS
from sumnist.data.sampling import NO_DIGIT

DRAWN = 120_000
"""Number of images that are drawn beforehand, besides half as many loose digits."""
DRAWN_DIGITS, PENNED = 0.6, 0.75
"""`DRAWN_DIGITS`: share of the drawn images that are digits. `PENNED`: share of these digits, and of the loose digits,
with the strokes of pen writers; we chose it by leaving out half of the writers."""
MADE = 0.35
"""Share of the added images, apart from loose digits, that are made of the batch's own digits."""
LOOSE = 0.75
"""Number of loose digits for each of the other added images, at full intensity."""
MIRRORED = (3, 4, 7, 9)
TURNED = (2, 3, 4, 5, 7)
INVERTED = (0, 2, 3, 4, 5, 6, 7, 8, 9)
"""Digits that look like no digit once they are mirrored, turned by a quarter, or inverted."""
INKED = 0.25
"""Intensity above which a pixel counts for the box around a digit's ink."""
SIDE, BOX = 28, (4, 24)
"""`SIDE`: side of an image in pixels. `BOX`: where the box of a fitted picture begins and ends."""


class Outliers:
    """Makes the images to add to each batch.

    Args:
        share: How many images to add for each image of the batch, apart from loose digits.
        seed: Fixes the drawn images.
        device: Where the images are made.
        watch: Shows the progress of drawing.
        writers: The pen writers whose strokes some of the drawn digits have.
    """

    def __init__(
        self, share: float, seed: int, device: torch.device, watch: Watch = iter,
        writers: Collection[int] = range(WRITERS),
    ) -> None:  # fmt: skip
        self.share = share
        pools = (  # of all kinds, and loose digits
            characters(DRAWN, DRAWN_DIGITS, seed, watch, writers=writers, penned=PENNED),
            characters(DRAWN // 2, 1.0, seed, watch, writers=writers, penned=PENNED, loose=True),
        )
        self.pools = [[torch.tensor(values, device=device) for values in pool] for pool in pools]

    def __call__(
        self, image: Tensor, digit: Tensor, generator: torch.Generator, intensity: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """The images to add to a batch, and the digit that each shows, or `NO_DIGIT`.

        Args:
            image: The images of the batch, `[B, 1, 28, 28]`.
            digit: The digits of the batch, `[B]`.
            generator: Draws the images.
            intensity: A lower intensity adds fewer loose digits. At 1, there are `LOOSE` of them for each other added
                image.
        """
        count = round(self.share * len(image))
        own = self.made(image, digit, round(MADE * count), generator)
        images, digits = [], []
        for (drawn, shown), some in zip(self.pools, (count - len(own), round(LOOSE * intensity * count)), strict=True):
            place = torch.randint(len(drawn), (some,), generator=generator, device=image.device)
            images.append(as_image(drawn[place]))
            digits.append(shown[place])
        digits.append(torch.full((len(own),), NO_DIGIT, device=image.device))
        return torch.cat([*images, own]), torch.cat(digits)

    def made(self, image: Tensor, digit: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Make at most `count` images without a digit from the batch's digits, about equally many of each of six
        kinds."""
        if not count:
            return image[:0]
        each = (count + 5) // 6
        order = torch.randperm(len(image), generator=generator, device=image.device)
        mirrored, turned, ground = (
            place[torch.isin(digit[place], torch.tensor(fit, device=image.device))][:each]
            for place, fit in ((order, MIRRORED), (order.flip(0), TURNED), (order.roll(each), INVERTED))
        )
        two, other = order[:each], order.flip(0)[:each]
        return torch.cat([
            image[mirrored].flip(3), image[turned].rot90(1, (2, 3)), quarters(image[other]),
            functional.avg_pool2d(torch.cat([image[two], image[other]], 3), (1, 2)), inverted(image[ground]),
            centred(bordered(image[order.roll(-each)[:each]], generator)),
        ])[:count]  # fmt: skip


def quarters(image: Tensor) -> Tensor:
    """Rotate the quarters of images `[B, 1, 28, 28]` by one place."""
    top, bottom = image.chunk(2, 2)
    (a, b), (c, d) = top.chunk(2, 3), bottom.chunk(2, 3)
    return torch.cat([torch.cat([c, a], 3), torch.cat([d, b], 3)], 2)


def inverted(image: Tensor) -> Tensor:
    """Exchange ink and ground of images `[B, 1, 28, 28]` inside the box around the ink; outside the box all is dark."""
    inside = [within(image, axis) for axis in (3, 2)]
    return (1 - image) * (inside[0].unsqueeze(3) & inside[1].unsqueeze(2))


def bordered(image: Tensor, generator: torch.Generator) -> Tensor:
    """Reduce images `[B, 1, 28, 28]` to 60 to 80 % of their size, or less for lack of room, and draw straight lines
    beside them.

    The lines run along one to three sides of the box of a fitted picture, as a printed cell's border does: for example
    an L, a ⊓, or two lines side by side.
    """
    count, device = len(image), image.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator, device=device)

    rank = uniform(0, 1, 2, 2).flatten(1).argsort(1).argsort(1)
    chosen = (rank < uniform(1, 4, 1).long()).view(count, 2, 2)  # by axis, down and across, and by end
    thick = torch.randint(1, 4, (count,), generator=generator, device=device)
    place = torch.arange(SIDE, device=device)
    in_box = (place >= BOX[0]) & (place < BOX[1])
    first = in_box & (place < BOX[0] + thick[:, None])
    ends = torch.stack([first, first.flip(1)], 1)[:, None] & chosen[..., None]  # count, axis, end, place
    down, across = ends.any(2).unbind(1)
    lines = down[:, :, None] & in_box | across[:, None, :] & in_box[:, None]

    # Fit the box of the digit's ink into the room that the lines leave, a little apart from them.
    apart = chosen * (thick[:, None] + uniform(1, 2.5, 1))[..., None]
    free = torch.stack([BOX[0] + apart[..., 0], BOX[1] - apart[..., 1]], 2)  # count, axis, low and high
    inside = torch.stack([within(image, axis, 0)[:, 0] for axis in (3, 2)], 1)
    low = (inside * 1.0).argmax(2)
    high = low + inside.sum(2)
    room = ((free[..., 1] - free[..., 0]) / (high - low).clamp(min=1)).amin(1)
    scale = torch.minimum(uniform(0.6, 0.8), room)[:, None]
    half = scale * (high - low) / 2
    middle = free[..., 0] + half + uniform(0, 1, 2) * (free[..., 1] - free[..., 0] - 2 * half)
    from_middle, to_middle = (2 * where / SIDE - 1 for where in ((low + high) / 2, middle))
    shift = (from_middle - to_middle / scale).flip(1)
    zoom = torch.eye(2, device=device) / scale[:, None]
    grid = functional.affine_grid(torch.cat([zoom, shift[..., None]], 2), [count, 1, SIDE, SIDE], align_corners=False)
    small = functional.grid_sample(image, grid, align_corners=False)
    return torch.maximum(small, (lines * uniform(0.4, 1)[:, None, None])[:, None])


def within(image: Tensor, axis: int, least: float = INKED) -> Tensor:
    """Which rows (`axis` 3, which is reduced) or columns (`axis` 2) of images lie between the first and the last one
    with ink above `least`: `[B, 1, 28]`."""
    inked = (image > least).any(axis)
    return (inked.cumsum(2) > 0) & (inked.flip(2).cumsum(2) > 0).flip(2)


def centred(image: Tensor) -> Tensor:
    """Move images `[B, 1, 28, 28]` by whole pixels, at most four, until their centre of mass is about in the middle."""
    place = torch.arange(SIDE, device=image.device)
    mass = image.sum((1, 2, 3)).clamp(min=1e-6)
    for axis in (2, 3):
        middle = (image.sum(5 - axis)[:, 0] * place).sum(1) / mass
        moved = (SIDE / 2 - middle).round().clamp(-BOX[0], BOX[0])
        source = (place - moved[:, None].long()) % SIDE
        source = source[:, None, :, None] if axis == 2 else source[:, None, None]
        image = image.gather(axis, source.expand_as(image))
    return image

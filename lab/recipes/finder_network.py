"""Define the network that finds characters on a picture, says which form a number, and marks their ink.

For every 4×4 pixels the network says which character has its middle there, if any, how large the character is, which
way its line runs, and where the next character of its number stands. For every pixel it says whether the pixel is ink
of a number.

The network is fully convolutional and takes pictures of any size. Fine maps show details, and maps of a sixteenth of
the picture's height and width show the surroundings, as in a U-net (Ronneberger and others, 2015). The middles of
characters are peaks of a heat map, as in CenterNet (Zhou and others, 2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.recipes.scenes import CELL, OTHER, SceneBatch
from sumnist.config import Config
from sumnist.errors import ImageError
from sumnist.inference.alphabet import CHARACTERS
from sumnist.model.checkpoint import Calibration, Saved

FIELDS = ("heat", "em", "width", "off_x", "off_y", "cos", "sin", "next_x", "next_y", "linked", "struck")
"""Names of the maps, in their order; the logits of `CHARACTERS` follow. `heat`: the logit that a character has its
middle here. `em`: the logarithm of the height of a digit, in units of 16 pixels. All other lengths are in units of the
height of a digit. `width`: the logarithm of the character's width. `off_x`, `off_y`: the way from here to its middle.
`cos`, `sin`: the direction of its line. `next_x`, `next_y`: the way from here to the next character. `linked`: the
logit that there is a next character. `struck`: the logit that the character is struck out."""
MAPS = len(FIELDS) + len(CHARACTERS)
UNIT = 16.0
"""The height of a digit in pixels whose logarithm is 0 in the map `em`."""
STRIDE = 16
"""The sides of pictures are multiples of this number."""
SIGN_WEIGHT = 2.0
"""How many times more a missed sign costs than a missed digit or letter. Signs are small, and change what a number
means."""
RARE = 0.01
"""Share of the cells in which a new network expects a character."""


class Step(nn.Sequential):
    """Convolution of 3×3 → batch normalisation → ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
            nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        )  # fmt: skip


class FinderNet(Saved):
    """The network: pictures `[B, 1, H, W]` in [0, 1], with sides that are multiples of 16 → maps
    `[B, 33, H / 4, W / 4]` and logits of ink `[B, 1, H, W]`. Raises `ImageError` for pictures of another shape.

    >>> maps, ink = FinderNet().eval()(torch.zeros(2, 1, 64, 96))
    >>> maps.shape, ink.shape
    (torch.Size([2, 33, 16, 24]), torch.Size([2, 1, 64, 96]))
    """

    tasks = ("finder",)

    def __init__(self) -> None:
        super().__init__()
        self.config = Config(task="finder")
        self.first = Step(1, 16, stride=2, kernel=5)  # [B, 16, H/2]
        self.quarter = nn.Sequential(Step(16, 32, stride=2), Step(32, 48))  # H/4
        self.eighth = nn.Sequential(Step(48, 72, stride=2), Step(72, 72))  # H/8
        self.around = nn.ModuleList((Step(72, 96, stride=2), *(Step(96, 96, dilation=d) for d in (1, 2, 4))))  # H/16
        self.up_8 = nn.Conv2d(96, 72, 1)
        self.at_8 = Step(72, 72)
        self.up_4 = nn.Conv2d(72, 48, 1)
        self.at_4 = Step(48, 64)
        self.said = nn.Sequential(Step(64, 64), nn.Conv2d(64, MAPS, 1))
        self.up_2 = nn.Conv2d(64, 16, 1)
        self.at_2 = Step(16, 16)
        self.ink = nn.Conv2d(16, 4, 3, padding=1)
        self.calibration = Calibration()
        with torch.no_grad():
            bias = self.said[1].bias
            assert isinstance(bias, Tensor)
            bias[0] = math.log(RARE / (1 - RARE))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Maps and ink, in float32 even if the rest is in bf16."""
        good = (
            picture.ndim == 4 and picture.shape[1] == 1 and picture.shape[2] % STRIDE == picture.shape[3] % STRIDE == 0
        )
        if not torch.compiler.is_compiling() and not good:
            raise ImageError(
                f"picture of shape {list(picture.shape)}: expected [B, 1, H, W], sides multiples of {STRIDE}"
            )
        half = self.first(picture - 0.5)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        around = self.around[0](eighth)
        for step in self.around[1:]:
            around = around + step(around)
        eighth = self.at_8(eighth + doubled(self.up_8(around)))
        quarter = self.at_4(quarter + doubled(self.up_4(eighth)))
        half = self.at_2(half + doubled(self.up_2(quarter)))
        return self.said(quarter).float(), functional.pixel_shuffle(self.ink(half), 2).float()


def doubled(maps: Tensor) -> Tensor:
    """Maps of twice the height and width, with each value in 2×2 places."""
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def finder_losses(maps: Tensor, ink: Tensor, scenes: SceneBatch, smoothing: float = 0.0) -> dict[str, Tensor]:
    """The losses that training adds up, by name.

    The heat has the focal loss (Law and Deng, 2018), divided by the number of characters. The ink has a mean over all
    pixels, and every other loss a mean over the cells that answer for a character.
    """
    device = maps.device
    heat, owner, characters = (part.to(device) for part in (scenes.heat, scenes.owner, scenes.characters))
    chance = maps[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
    middle = heat >= 1
    hit = -((1 - chance) ** 2) * chance.log() * middle
    if len(characters):
        kind = characters[owner.clamp_min(0), 6]
        hit = torch.where((kind >= CHARACTERS.index("-")) & (kind < OTHER), SIGN_WEIGHT * hit, hit)
    miss = -((1 - heat) ** 4) * chance**2 * (1 - chance).log() * ~middle
    losses = {"heat": (hit + miss).sum() / middle.sum().clamp_min(1)}
    scene, row, column = (owner >= 0).nonzero(as_tuple=True)
    said = maps[scene, :, row, column]  # cells, 33
    truth = characters[owner[scene, row, column]]
    here = torch.stack([column, row], 1) * CELL + CELL / 2
    em, angle, following = truth[:, 3:4], truth[:, 5], truth[:, 7].long()
    place = {name: number for number, name in enumerate(FIELDS)}
    wanted = torch.cat([
        (em / UNIT).log(), (truth[:, 4:5] / em).log(), (truth[:, 1:3] - here) / em,
        torch.stack([angle.cos(), angle.sin()], 1),
    ], 1)  # fmt: skip
    count = max(len(truth), 1)
    losses["place"] = functional.smooth_l1_loss(said[:, 1:7], wanted, beta=0.1, reduction="sum") / count
    linked = (following >= 0).float()
    ahead = (characters[following.clamp_min(0), 1:3] - here) / em
    apart = functional.smooth_l1_loss(said[:, place["next_x"] : place["next_y"] + 1], ahead, beta=0.1, reduction="none")
    losses["next"] = (apart.sum(1) * linked).sum() / count
    yes = functional.binary_cross_entropy_with_logits
    losses["linked"] = yes(said[:, place["linked"]], linked, reduction="sum") / count
    losses["struck"] = yes(said[:, place["struck"]], truth[:, 8], reduction="sum") / count
    kinds = said[:, len(FIELDS) :]
    losses["kind"] = (
        functional.cross_entropy(kinds, truth[:, 6].long(), reduction="sum", label_smoothing=smoothing) / count
    )
    losses["ink"] = yes(ink, scenes.ink.to(device)) * 4
    return losses

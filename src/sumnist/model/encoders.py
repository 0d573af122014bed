"""Build the encoders, which turn images `[B, 1, 28, 28]` in [0, 1] into features `[B, F]`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.config import EncoderName

FEATURES: dict[EncoderName, int] = {
    "tiny": 32, "edges": 64, "default": 128, "wide": 128, "original": 256, "lenet": 84,
}  # fmt: skip
"""Width of each encoder's features, F."""


def build_encoder(name: EncoderName) -> nn.Sequential:
    """The encoder `name`, freshly initialised."""
    makers = {"tiny": tiny, "edges": edges, "default": default, "wide": wide, "original": original, "lenet": lenet}
    return makers[name]()


def tiny() -> nn.Sequential:
    """For tests: 2 convolutions, 1 linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(),  # [B, 8, 12, 12]
        nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),  # [B, 16, 5, 5]
        nn.Flatten(), nn.Linear(400, 32), nn.ReLU(),
    )  # fmt: skip


class ConvNorm(nn.Sequential):
    """Convolution without bias → max-pooling if `pool` → batch normalisation → ReLU.

    Pooling comes before normalisation and ReLU because it leaves them a quarter of the work. ReLU gives the same result
    before and after pooling.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 1, pool: bool = False
    ) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        pooling = [nn.MaxPool2d(2)] if pool else []
        super().__init__(convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class MomentNorm(nn.Module):
    """Moment normalisation (Casey, 1970): shear, centre and stretch the ink of each image, so that digits look more
    alike than they were written.

    Afterwards no digit leans: its rows and columns are not correlated. Its centre of mass is in the middle. Along both
    axes, its standard deviation is half-way (geometrically) to `USUAL`. Nothing is learned.

    Args:
        side: The side of the square that is left of an image, in pixels.
    """

    USUAL = 5.5
    """The standard deviation of the rows of ink in a usual digit, in pixels."""
    LEAST = 0.3
    """The least standard deviation that is reckoned with, in pixels: a thin line would be stretched without end."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, image: Tensor) -> Tensor:
        """Images `[B, 1, 28, 28]` in [0, 1] → `[B, 1, side, side]`, in float32 at least."""
        with torch.autocast(image.device.type, enabled=False):
            image = image.to(torch.promote_types(image.dtype, torch.float32))
            ink = image[:, 0]
            pixels = ink.shape[-1]
            place = torch.arange(pixels, dtype=ink.dtype, device=ink.device) - (pixels - 1) / 2
            rows, columns, slant = ink.sum(2), ink.sum(1), ink @ place
            whole = rows.sum(1, keepdim=True).clamp(min=1)  # blank images have none

            def mean(weighted: Tensor) -> Tensor:
                return weighted.sum(1, keepdim=True) / whole

            middle_y, middle_x = mean(rows * place), mean(columns * place)
            y, x = place - middle_y, place - middle_x  # [B, 28]
            spread_y = mean(rows * y * y).clamp(min=self.LEAST**2)
            covariance = mean((slant - middle_x * rows) * y)
            shear = covariance / spread_y
            spread_x = (mean(columns * x * x) - shear * covariance).clamp(min=self.LEAST**2)
            to = torch.arange(self.side, dtype=ink.dtype, device=ink.device) - (self.side - 1) / 2
            to_y, to_x = ((spread / self.USUAL**2) ** 0.25 * to for spread in (spread_y, spread_x))  # [B, side]
            from_x = (middle_x + shear * to_y)[:, :, None] + to_x[:, None]
            from_y = (middle_y + to_y)[:, :, None].expand_as(from_x)
            grid = torch.stack([from_x, from_y]).permute(1, 2, 3, 0) * (2 / pixels)
            return functional.grid_sample(image, grid, align_corners=False)


class Edges(nn.Module):
    """Filters that are not learned: each answers where the ink rises in its direction.

    They are the first derivatives of a Gaussian (Freeman and Adelson, 1991) in `count` directions, 5×5, each with
    absolute weights that sum to two. No file of weights has them, since their formula gives them.
    """

    SCALE = 1.2
    """The standard deviation of the Gaussian, in pixels."""
    weight: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        place = torch.arange(-2.0, 3.0)
        angle = 2 * math.pi * torch.arange(count)[:, None, None] / count
        slope = angle.cos() * place + angle.sin() * place[:, None]  # [count, 5, 5]
        filters = slope * (-(place**2 + place[:, None] ** 2) / (2 * self.SCALE**2)).exp()
        filters = 2 * filters / filters.abs().sum((1, 2), keepdim=True)
        self.register_buffer("weight", filters[:, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Images `[B, 1, H, W]` → answers `[B, count, H', W']`, at every second pixel."""
        return functional.conv2d(image, self.weight, stride=2)


class Flatten(nn.Module):
    """All channels of the first place, then of the second, and so on, as they lie in memory in the order channels last.
    For the order of `nn.Flatten` they would be copied, and their gradients would be slow."""

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` → `[B, H · W · C]`."""
        return x.permute(0, 2, 3, 1).flatten(1)


def edges() -> nn.Sequential:
    """The encoder that trains fastest on two processor cores. What can be known before is not learned: how a digit
    leans, how large it is, and where its edges are. So the network is small, and learns from few images."""
    return nn.Sequential(
        MomentNorm(23),  # [B, 1, 23, 23]
        Edges(8), nn.ReLU(inplace=True),  # [B, 8, 10, 10]
        ConvNorm(8, 32, 4, stride=2, padding=0),  # [B, 32, 4, 4]
        Flatten(), nn.Linear(512, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(inplace=True),
    )  # fmt: skip


def default() -> nn.Sequential:
    """A strided first convolution, then 3×3 convolutions with more channels as the picture shrinks, then a linear
    layer."""
    return widening(64, 96, 96)


def wide() -> nn.Sequential:
    """`default` with more channels where the picture is small, for a network that also learns other pens, printed lines
    and non-digits."""
    return widening(96, 128, 128)


def widening(third: int, fourth: int, fifth: int) -> nn.Sequential:
    """`default` or `wide`, given the channels of the last three of five convolutions."""
    return nn.Sequential(
        ConvNorm(1, 32, 5, stride=2, padding=2),  # [B, 32, 14, 14]
        ConvNorm(32, 48, pool=True),  # [B, 48, 7, 7]
        ConvNorm(48, third),  # [B, third, 7, 7]
        ConvNorm(third, fourth, padding=0),  # [B, fourth, 5, 5]
        ConvNorm(fourth, fifth, padding=0),  # [B, fifth, 3, 3]
        nn.Flatten(),
        nn.Linear(9 * fifth, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(inplace=True), nn.Dropout(0.3),
    )  # fmt: skip


def original() -> nn.Sequential:
    """The task author's encoder: four unpadded convolutions, one linear layer with no activation after it, no
    biases."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, bias=False), nn.ReLU(),  # [B, 32, 26, 26]
        nn.Conv2d(32, 32, 3, bias=False), nn.ReLU(),  # [B, 32, 24, 24]
        nn.Conv2d(32, 64, 3, bias=False), nn.ReLU(),  # [B, 64, 22, 22]
        nn.Conv2d(64, 64, 3, bias=False), nn.ReLU(),  # [B, 64, 20, 20]
        nn.Flatten(), nn.Linear(64 * 20 * 20, 256, bias=False),
    )  # fmt: skip


def lenet() -> nn.Sequential:
    """The encoder of DeepProbLog (Manhaeve and others, 2018) and of the methods that are compared with it on sums.

    It has the two convolutions of LeNet-5, with ReLU after pooling, and two of its three linear layers; the fusion has
    the third. The dropout is ours: with images that never change, it keeps the network from learning the totals by
    heart.
    """
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.ReLU(),  # [B, 6, 12, 12]
        nn.Conv2d(6, 16, 5), nn.MaxPool2d(2), nn.ReLU(),  # [B, 16, 4, 4]
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
    )  # fmt: skip


def count_parameters(module: nn.Module) -> int:
    """The number of trainable parameters in `module`."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)

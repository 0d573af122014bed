"""Build the encoders, which turn images `[B, 1, 28, 28]` in [0, 1] into features `[B, F]`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.config import EncoderName

FEATURES: dict[EncoderName, int] = {
    "tiny": 32, "nano": 8, "micro": 27, "small": 64, "edges": 64, "centred": 64, "fast": 128, "default": 128,
    "upright": 128, "wide": 128, "original": 256, "lenet": 84,
}  # fmt: skip
"""Width of each encoder's features, F."""


def build_encoder(name: EncoderName) -> nn.Sequential:
    """The encoder `name`, freshly initialised."""
    makers = {"tiny": tiny, "nano": nano, "micro": micro, "small": small, "edges": edges,
              "centred": centred, "fast": fast, "default": default, "upright": upright, "wide": wide,
              "original": original, "lenet": lenet}  # fmt: skip
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


def depthwise(channels: int, size: int | tuple[int, int], padding: int = 0) -> nn.Conv2d:
    """A convolution with one filter for each channel, without bias."""
    return nn.Conv2d(channels, channels, size, padding=padding, groups=channels, bias=False)


class PlainNorm(nn.BatchNorm2d):
    """Batch normalisation that evaluates as one product and one sum. So a file has two numbers for each channel, and
    not four, where a convolution cannot absorb them."""

    def forward(self, input: Tensor) -> Tensor:
        """`[B, C, H, W]` → the same shape."""
        if self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return input * scale[:, None, None] + shift[:, None, None]


class Repeated(nn.Module):
    """A step that is taken `times` times, with the same weights: one filter for each channel, and a mixture of the
    channels. Each time has a batch normalisation of its own. Half of the times are before max-pooling."""

    def __init__(self, channels: int, times: int) -> None:
        super().__init__()
        filters, mixture = depthwise(channels, 3, padding=1), nn.Conv2d(channels, channels, 1, bias=False)
        self.convolution = nn.Sequential(filters, mixture)
        self.norms = nn.ModuleList(PlainNorm(channels) for _ in range(times))
        self.activation = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` → `[B, C, H // 2, W // 2]`."""
        for time, norm in enumerate(self.norms):
            if time == len(self.norms) // 2:
                x = functional.max_pool2d(x, 2)
            x = self.activation(norm(self.convolution(x)))
        return x


def nano() -> nn.Sequential:
    """The encoder with the fewest parameters. One step serves four times, and three filters see the image."""
    return nn.Sequential(
        MomentNorm(28),
        nn.Conv2d(1, 3, 3, bias=False), nn.Conv2d(3, 8, 1, bias=False),
        nn.MaxPool2d(2), PlainNorm(8), nn.GELU(),  # [B, 8, 13, 13]
        depthwise(8, 3), nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.GELU(),  # [B, 8, 11, 11]
        Repeated(8, times=4),  # [B, 8, 5, 5]
        depthwise(8, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def micro() -> nn.Sequential:
    """An encoder with few parameters. Its last filters are products of a column and a row."""
    return nn.Sequential(MomentNorm(27), *separable(6, 12, 27, 27, (5, 1), (1, 5)))


def small() -> nn.Sequential:
    """`micro` with more channels and with whole last filters, for weights of few bits."""
    return separable(12, 24, 48, 64, (5, 5))


def separable(first: int, second: int, third: int, fourth: int, *last: tuple[int, int]) -> nn.Sequential:
    """`micro` or `small`, given the channels of the four stages and the sizes of the last filters. Where the picture is
    small, a convolution is two: one filter for each channel, and a mixture of the channels. The features are weighted
    means over all places, with weights for each channel."""
    return nn.Sequential(
        ConvNorm(1, first, 5, stride=2, padding=0),  # [B, first, 12, 12], of 27 or 28 pixels
        ConvNorm(first, second, padding=0), nn.MaxPool2d(2),  # [B, second, 5, 5]
        depthwise(second, 3, padding=1),
        ConvNorm(second, third, 1, padding=0),  # [B, third, 5, 5]
        depthwise(third, 3, padding=1),
        ConvNorm(third, fourth, 1, padding=0),  # [B, fourth, 5, 5]
        *(depthwise(fourth, size) for size in last), nn.Flatten(),
    )  # fmt: skip


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


def centred() -> nn.Sequential:
    """`edges` with features whose mean is zero, for totals of many digits. Whatever all images have in common says
    nothing about such a total, but disturbs the steps of the training."""
    return nn.Sequential(*edges(), nn.BatchNorm1d(FEATURES["centred"], affine=False))


def fast() -> nn.Sequential:
    """An encoder that trains in seconds on two processor cores. The first convolution halves the picture at once, since
    most of the work is where pixels are many. The channels stay few until hardly any pixels are left."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(inplace=True),  # [B, 8, 12, 12]
        ConvNorm(8, 16, padding=0, pool=True),  # [B, 16, 5, 5]
        ConvNorm(16, 64, padding=0),  # [B, 64, 3, 3]
        nn.Flatten(), nn.Linear(576, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(inplace=True),
    )  # fmt: skip


def default() -> nn.Sequential:
    """A strided first convolution, then 3×3 convolutions with more channels as the picture shrinks, then a linear
    layer."""
    return widening(64, 96, 96)


def upright() -> nn.Sequential:
    """`default` on digits that moment normalisation has set upright, in a smaller square."""
    return nn.Sequential(MomentNorm(24), *widening(64, 96, 96, last=2))


def wide() -> nn.Sequential:
    """`default` with more channels where the picture is small, for a network that also learns other pens, printed lines
    and non-digits."""
    return widening(96, 128, 128)


def widening(third: int, fourth: int, fifth: int, last: int = 3) -> nn.Sequential:
    """`default`, `upright` or `wide`, given the channels of the last three of five convolutions, and the side of the
    last map. The shapes are those of 28 pixels."""
    return nn.Sequential(
        ConvNorm(1, 32, 5, stride=2, padding=2),  # [B, 32, 14, 14]
        ConvNorm(32, 48, pool=True),  # [B, 48, 7, 7]
        ConvNorm(48, third),  # [B, third, 7, 7]
        ConvNorm(third, fourth, padding=0),  # [B, fourth, 5, 5]
        ConvNorm(fourth, fifth, padding=0),  # [B, fifth, 3, 3]
        nn.Flatten(),
        nn.Linear(last**2 * fifth, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(inplace=True), nn.Dropout(0.3),
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

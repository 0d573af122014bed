"""Encoders: image `[B, 1, 28, 28]` in [0, 1] → features `[B, F]`."""

from __future__ import annotations

from torch import nn

from sumnist.config import Encoder

__all__ = ["FEATURES", "build_encoder", "count_parameters"]

FEATURES: dict[Encoder, int] = {"tiny": 32, "fast": 128, "default": 96, "original": 256}
"""Width of each encoder's features, F."""


def build_encoder(name: Encoder) -> nn.Sequential:
    """The encoder `name`, freshly initialised."""
    return {"tiny": tiny, "fast": fast, "default": default, "original": original}[name]()


def tiny() -> nn.Sequential:
    """For tests: 2 convolutions, 1 linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(),  # [B, 8, 12, 12]
        nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),  # [B, 16, 5, 5]
        nn.Flatten(), nn.Linear(400, 32), nn.ReLU(),
    )  # fmt: skip


def fast() -> nn.Sequential:
    """Seconds on two processor cores: the first convolution halves the picture at once, where pixels are many."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(),  # [B, 16, 12, 12]
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),  # [B, 32, 5, 5]
        nn.Conv2d(32, 32, 3), nn.ReLU(),  # [B, 32, 3, 3]
        nn.Flatten(), nn.Linear(288, 128), nn.ReLU(),
    )  # fmt: skip


class ConvNorm(nn.Sequential):
    """Convolution without bias → batch normalisation → ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


def default() -> nn.Sequential:
    """A strided stem, then 3×3 convolutions, then the mean over positions."""
    return nn.Sequential(
        ConvNorm(1, 24, 5, stride=2),  # [B, 24, 14, 14]
        ConvNorm(24, 48), ConvNorm(48, 48), nn.MaxPool2d(2),  # [B, 48, 7, 7]
        ConvNorm(48, 96), ConvNorm(96, 96),  # [B, 96, 7, 7]
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),  # [B, 96]
    )  # fmt: skip


def original() -> nn.Sequential:
    """The task author's: four unpadded convolutions, one linear layer with no activation after it, no biases."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, bias=False), nn.ReLU(),  # [B, 32, 26, 26]
        nn.Conv2d(32, 32, 3, bias=False), nn.ReLU(),  # [B, 32, 24, 24]
        nn.Conv2d(32, 64, 3, bias=False), nn.ReLU(),  # [B, 64, 22, 22]
        nn.Conv2d(64, 64, 3, bias=False), nn.ReLU(),  # [B, 64, 20, 20]
        nn.Flatten(), nn.Linear(64 * 20 * 20, 256, bias=False),
    )  # fmt: skip


def count_parameters(module: nn.Module) -> int:
    """Trainable numbers in `module`."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)



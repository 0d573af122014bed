"""The encoders of the study: the small one on which designs are compared, and published ones in full."""

from __future__ import annotations

from torch import nn

from sumnist.lab.study.recipe import EncoderName
from sumnist.model.encoders import FEATURES
from sumnist.model.encoders import build_encoder as preset_encoder

__all__ = ["build_encoder"]


def build_encoder(name: EncoderName, channels: int = 1) -> tuple[nn.Sequential, int]:
    """The encoder `name`, freshly initialised, for images of so many channels, and the width of its features."""
    if name == "small":
        net = preset_encoder("fast")
        net[0] = nn.Conv2d(channels, 8, 5, stride=2)
        return net, FEATURES["fast"]
    if name == "original":
        return preset_encoder("original"), FEATURES["original"]
    return (four_convolutions(), 128) if name == "four-convolutions" else (narrow(), 15)


def four_convolutions() -> nn.Sequential:
    """That of the most accurate published design: four convolutions, three linear layers, dropout between."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.Conv2d(32, 32, 5), nn.BatchNorm2d(32), nn.ReLU(),  # [B, 32, 20, 20]
        nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.BatchNorm2d(64), nn.ReLU(),  # [B, 64, 6, 6]
        nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(576, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.25),
        nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.25),
    )  # fmt: skip


def narrow() -> nn.Sequential:
    """That of the smallest of the good published designs: six narrow convolutions and a mean over positions."""

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, bias=False), nn.ReLU(), nn.BatchNorm2d(outputs), nn.Dropout(0.1)]

    return nn.Sequential(
        *block(1, 10), *block(10, 30), nn.Conv2d(30, 15, 1), nn.MaxPool2d(2),  # [B, 15, 12, 12]
        *block(15, 15), *block(15, 15), *block(15, 15), nn.AvgPool2d(6), nn.Flatten(),
    )  # fmt: skip

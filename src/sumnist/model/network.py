"""The network of two inputs and two outputs: an encoder for the image, a fusion that the number enters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.config import Config, EncoderName, Fusion, NumberEncoding, SumTarget, Task
from sumnist.data.sampling import NUMBERS
from sumnist.errors import ConfigError, ImageError, NumberError, OutputError, RunError
from sumnist.files import CONFIG, PRETRAINED, WEIGHTS
from sumnist.model.calibration import Calibration
from sumnist.model.checkpoint import load_config, load_tensors, save_config, save_tensors
from sumnist.model.encoders import FEATURES, build_encoder
from sumnist.model.folder import STATE, checksum_of_file, placed, remove_stale, replaced, steadily
from sumnist.model.fusion import AnyFusion, Heads, Outputs, build_fusion

__all__ = ["Network", "TwoInputNet", "flaw", "load_network", "load_of_task", "load_with_checksum", "save_network"]

AnyNet = TypeVar("AnyNet", bound=nn.Module)

OTHER_TASKS = "numbers", "cells"
"""The tasks of other networks."""


class Network(nn.Module):
    """Any encoder with any fusion: image `[B, 1, 28, 28]` and number `[B]` → log-probabilities of digit and sum."""

    encoder: nn.Module
    fusion: nn.Module

    def heads(self, image: Tensor, number: Tensor) -> Heads:
        """The raw heads, which only the loss and `outputs` understand."""
        check_inputs(image, number)
        return self.fuse(self.encoder(image), number)

    def forward(self, image: Tensor, number: Tensor) -> Outputs:
        """Log-probabilities of digit `[B, 10]` and sum `[B, 19]`. Raises `NumberError` for a number outside 0..9."""
        return self.outputs(self.heads(image, number), number)

    def fuse(self, features: Tensor, number: Tensor) -> Heads:
        """Heads from features `[B, F]`: the rest of the network, once the encoder has seen the image."""
        heads: Heads = self.fusion(features, number)
        return heads

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Log-probabilities from heads, in float32 whatever the heads were computed in."""
        raw = Heads(heads.digit.float(), None if heads.sum is None else heads.sum.float())
        outputs: Outputs = self.fusion.outputs(raw, number)  # type: ignore[operator]  # a method of every fusion
        return outputs


class TwoInputNet(Network):
    """The network: image `[B, 1, 28, 28]` in [0, 1] and number int64 `[B]` in 0..9 → log-probabilities.

    Calling it gives `digit` `[B, 10]` and `sum` `[B, 19]`, and raises `NumberError` or `ImageError` for other inputs.

    Args:
        encoder: How the image becomes features.
        fusion: How the number meets them: `exact` computes the sum, the others learn it.
        number_encoding: How a learned fusion is given the number.
        sum_target: Whether a learned fusion's sum is one of 19 classes or five bits.
        smoothing: The label smoothing of its training, which its outputs solve for.

    Examples:
        >>> net = TwoInputNet("tiny", fusion="exact").eval()
        >>> digit, total = net(torch.zeros(3, 1, 28, 28), torch.tensor([0, 5, 9]))
        >>> digit.shape, total.shape
        (torch.Size([3, 10]), torch.Size([3, 19]))
    """

    encoder: nn.Sequential
    fusion: AnyFusion

    def __init__(
        self,
        encoder: EncoderName = "default",
        fusion: Fusion = "exact",
        number_encoding: NumberEncoding = "one-hot",
        sum_target: SumTarget = "classes",
        smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = Config(
            encoder=encoder, fusion=fusion, number_encoding=number_encoding, sum_target=sum_target,
            label_smoothing=smoothing,
        )  # fmt: skip
        self.encoder = build_encoder(encoder)
        self.fusion = build_fusion(fusion, FEATURES[encoder], number_encoding, sum_target, smoothing)
        self.calibration = Calibration()

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Log-probabilities from heads; the digit's are calibrated."""
        return super().outputs(Heads(self.calibration(heads.digit.float()), heads.sum), number)

    def is_digit(self, heads: Heads) -> Tensor:
        """The log-probability that the image shows a digit at all, `[B]`, if it was trained with outliers."""
        return functional.logsigmoid(heads.digit.float().logsumexp(1))

    @classmethod
    def from_config(cls, config: Config) -> TwoInputNet:
        """The network that `config` describes, freshly initialised. Raises `ConfigError` for one of another task."""
        if config.task in OTHER_TASKS:
            raise ConfigError(
                f"--task {config.task}: expected digits or addition, for a network of one digit and a number"
            )
        net = cls(config.encoder, config.fusion, config.number_encoding, config.sum_target, config.last_smoothing)
        net.config = config
        return net

    @classmethod
    def from_pretrained(cls, folder: str | Path = PRETRAINED) -> TwoInputNet:
        """A trained network, ready to evaluate.

        Args:
            folder: A run, or a folder that `save_pretrained` wrote; by default that of the packaged network.

        Raises:
            RunError: The folder holds no trained network.
        """
        return load_network(folder)[0]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors`, the layout of a model repository.

        They take the place of the network that the folder holds, in one step, and with it go the files of its run and
        what was made from its weights. Other files stay.

        Args:
            folder: Made if it is not there.

        Raises:
            OutputError: A file cannot be written, or the folder holds a training that is not finished.
            RunError: The weights are not finite numbers.
        """
        if wrong := flaw(self.state_dict()):
            raise RunError(f"{folder}: not written: {wrong}")
        with replaced(Path(folder)) as build:
            if (Path(folder) / STATE).exists():
                raise OutputError(
                    f"{folder}: holds a training that is not finished: name another folder, or finish it with --resume"
                )
            save_config(self.config, build)
            save_tensors(build / WEIGHTS, self.state_dict())


def check_inputs(image: Tensor, number: Tensor) -> None:
    """Raise `NumberError` or `ImageError` for inputs of another shape, type or range."""
    if torch.compiler.is_compiling():
        return
    if image.ndim != 4 or image.shape[1:] != (1, 28, 28):
        raise ImageError(f"image of shape {list(image.shape)}: expected [B, 1, 28, 28]")
    if number.dtype != torch.int64 or number.shape != image.shape[:1]:
        raise NumberError(
            f"number of type {number.dtype} and shape {list(number.shape)}: "
            f"expected torch.int64 of shape [{len(image)}]"
        )
    wrong = number[(number < 0) | (number >= NUMBERS)]
    if len(wrong):
        raise NumberError(f"number {int(wrong[0])}: expected a whole number from 0 to 9")


def save_network(net: nn.Module, folder: Path) -> None:
    """Write the weights of a network, whole or not at all, and remove what was made from others.

    Args:
        net: On any device.
        folder: That of a run; `model.safetensors` is written into it.

    Raises:
        OutputError: The file cannot be written.
    """
    save_tensors(folder / WEIGHTS, net.state_dict())
    remove_stale(folder)


def load_network(folder: str | Path, device: torch.device | str = "cpu") -> tuple[TwoInputNet, Config]:
    """The trained network of a run, in evaluation mode, and its configuration.

    Args:
        folder: The run, or a folder that `save_pretrained` wrote.
        device: Where the network shall be.

    Raises:
        RunError: The folder is no run, or its weights are damaged, no numbers, or belong to another network.
    """
    return load_with_checksum(folder, device)[:2]


def load_with_checksum(folder: str | Path, device: torch.device | str = "cpu") -> tuple[TwoInputNet, Config, str]:
    """`load_network`, and the checksum of the weights, which what is made from them is to carry."""
    net, config, checksum = steadily(Path(folder), lambda: read_network(Path(folder)))
    return net.to(device).eval(), config, checksum


def read_network(folder: Path) -> tuple[TwoInputNet, Config, str]:
    config = load_config(folder)
    if config.task in OTHER_TASKS:
        raise RunError(f"{folder}: a network of --task {config.task}: expected one of --task digits or addition")
    net = TwoInputNet.from_config(config)
    return net, config, load_fitting(net, folder)


def load_of_task(
    task: Task, build: Callable[[Config], AnyNet], folder: str | Path, device: torch.device | str
) -> tuple[AnyNet, Config, str]:
    """The trained network of a run of a task, in evaluation mode, its configuration, and the checksum of its weights.
    `build` makes the network that a configuration describes.

    Raises `RunError`: the folder is no such run, or its weights are damaged, no numbers, or belong to another network.
    """

    def read() -> tuple[AnyNet, Config, str]:
        config = load_config(folder)
        if config.task != task:
            raise RunError(f"{folder}: a network of --task {config.task}: expected one of --task {task}")
        net = build(config)
        return net, config, load_fitting(net, Path(folder))

    net, config, checksum = steadily(Path(folder), read)
    return net.to(device).eval(), config, checksum


def load_fitting(net: nn.Module, folder: Path) -> str:
    """Load the weights in `folder` into `net`: their checksum. Raises `RunError` unless they are whole, and fit."""
    path = placed(folder, WEIGHTS)
    if not path.is_file():
        raise RunError(f"{path}: missing, expected the trained weights: train the run again")
    try:
        tensors, _ = load_tensors(path)
        checksum = checksum_of_file(path)
    except (ValueError, OSError) as error:
        raise RunError(
            f"{path}: not a whole safetensors file ({error}): train the run again, or copy it again"
        ) from error
    check_fit(tensors, net.state_dict(), path)
    if wrong := flaw(tensors):
        raise RunError(f"{path}: {wrong}: train the run again, with a lower --lr")
    net.load_state_dict(tensors)
    return checksum


def flaw(weights: Mapping[str, Tensor]) -> str | None:
    """What is wrong with the numbers of a network, by the names of its tensors; None if nothing is."""
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            return f"{name} is not finite, expected numbers"
    temperature, *thresholds = (weights[f"calibration.{name}"].item() for name in Calibration.NAMES)
    if temperature <= 0:
        return f"calibration.temperature is {temperature:g}, expected a number above 0"
    if not all(0 <= threshold <= 1 for threshold in thresholds):
        return f"the thresholds of calibration are {thresholds[0]:g} and {thresholds[1]:g}, expected shares from 0 to 1"
    return None


def check_fit(given: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: Path) -> None:
    """Raise `RunError`, naming the first tensor that differs, unless `given` has the names and shapes of `expected`."""
    for name in sorted(expected.keys() | given.keys()):
        shape, wanted = (list(tensors[name].shape) if name in tensors else "none" for tensors in (given, expected))
        if shape != wanted:
            raise RunError(
                f"{path}: weights of another network: {name} is {shape}, expected {wanted} by {CONFIG}: "
                "the two files are not of one run"
            )

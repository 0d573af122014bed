"""Define the network of two inputs and two outputs: an encoder for the image, and a fusion in which the number
joins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.config import EncoderName, Fusion, Training
from sumnist.data.sampling import NUMBERS
from sumnist.errors import ImageError, NumberError, OutputError, RunError
from sumnist.files import PRETRAINED, make_folder
from sumnist.model.checkpoint import Calibration, Saved, flaw, save_config, save_network
from sumnist.model.encoders import FEATURES, build_encoder
from sumnist.model.export_spec import ExportSpec
from sumnist.model.folder import STATE, UNFINISHED, held, remove_run
from sumnist.model.fusion import AnyFusion, Heads, Outputs, build_fusion


class Network(nn.Module):
    """Any encoder with any fusion: image `[B, 1, 28, 28]` and number `[B]` → log-probabilities of digit and sum."""

    encoder: nn.Module
    fusion: nn.Module

    def heads(self, image: Tensor, number: Tensor) -> Heads:
        """The raw heads; the loss and `outputs` interpret them."""
        check_inputs(image, number)
        return self.fuse(self.encoder(image), number)

    def forward(self, image: Tensor, number: Tensor) -> Outputs:
        """Log-probabilities of digit `[B, 10]` and sum `[B, 19]`. Raises `NumberError` for a number outside 0..9."""
        return self.outputs(self.heads(image, number), number)

    def fuse(self, features: Tensor, number: Tensor) -> Heads:
        """The heads from features `[B, F]`, computed by the part of the network behind the encoder."""
        heads: Heads = self.fusion(features, number)
        return heads

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Log-probabilities from heads, in float32 even if the heads are in bf16."""
        raw = Heads(heads.digit.float(), None if heads.sum is None else heads.sum.float())
        outputs: Outputs = self.fusion.outputs(raw, number)  # type: ignore[operator]  # a method of every fusion
        return outputs

    def is_digit(self, heads: Heads) -> Tensor:
        """The log-probability that the image shows a digit at all, `[B]`. It has a meaning only if the network was
        trained with outliers."""
        return functional.logsigmoid(heads.digit.float().logsumexp(1))

    def spec(self, metadata: Mapping[str, str], *more: str) -> ExportSpec:
        """The description of an ONNX file with the log-probabilities of digit and sum, `more` outputs, which `Exported`
        computes, and the layers of the encoder."""
        inputs = {"image": torch.zeros(2, 1, 28, 28), "number": torch.zeros(2, dtype=torch.int64)}
        outputs, layers = ("digit", "sum"), layers_of(self.encoder)
        return ExportSpec(
            Exported(self, more), inputs, (*outputs, *more, *layers), {**metadata, "layers": json.dumps(layers)},
            outputs, tolerance=1e-3,
        )  # fmt: skip


class Exported(nn.Module):
    """A network that returns what its ONNX file returns.

    Args:
        net: The network.
        more: Names of outputs besides digit and sum: `is_digit`, `features`.
    """

    def __init__(self, net: Network, more: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self.more = net, more

    def forward(self, image: Tensor, number: Tensor) -> tuple[Tensor, ...]:
        """The log-probabilities of the digit `[B, 10]` and of the sum `[B, 19]`. Then what else was asked for: the
        log-probability that there is a digit `[B]`, and the features `[B, F]`. Then what each activation of the encoder
        answers, `[B, C, S, S]` or `[B, C]`."""
        features, layers = image, []
        for part in parts_of(self.net.encoder):
            features = part(features)
            layers += [features] if isinstance(part, ACTIVATIONS) else []
        heads = self.net.fuse(features, number)
        values = {"features": features}
        if "is_digit" in self.more:
            values["is_digit"] = self.net.is_digit(heads)
        return *self.net.outputs(heads, number), *(values[name] for name in self.more), *layers


ACTIVATIONS = nn.ReLU, nn.GELU
"""What ends a layer that is shown."""


def parts_of(encoder: nn.Module) -> list[nn.Module]:
    """The modules that an encoder calls one after the other."""
    return [each for part in encoder for each in parts_of(part)] if isinstance(encoder, nn.Sequential) else [encoder]


def layers_of(encoder: nn.Module) -> dict[str, tuple[int, int, int] | None]:
    """The outputs of the encoder's activations, by their names in a file: the pixels of the image that a place of their
    maps sees, along one side.

    Place i sees `size` pixels, beginning at `start` + i · `step`: (start, step, size). None if that is not known, as
    after a linear layer.
    """
    layers: dict[str, tuple[int, int, int] | None] = {}
    field: tuple[int, int, int] | None = (0, 1, 1)
    for part in parts_of(encoder):
        if field and isinstance(part, nn.Conv2d | nn.MaxPool2d):
            (start, step, size), sizes = field, (part.kernel_size, part.stride, part.padding)
            kernel, stride, padding = (one[0] if isinstance(one, tuple) else int(one) for one in sizes)
            field = start - padding * step, step * stride, size + (kernel - 1) * step
        elif not isinstance(part, (*ACTIVATIONS, nn.BatchNorm2d, nn.Dropout)):
            field = None
        if isinstance(part, ACTIVATIONS):
            layers[f"layer_{len(layers) + 1}"] = field
    return layers


class TwoInputNet(Saved, Network):
    """The network: image `[B, 1, 28, 28]` in [0, 1] and number int64 `[B]` in 0..9 → log-probabilities.

    A call returns `digit` `[B, 10]` and `sum` `[B, 19]`, and raises `NumberError` or `ImageError` for other inputs.

    Args:
        encoder: How the image becomes features.
        fusion: How the number meets the features: `exact` computes the sum, the others learn it.

    Examples:
        >>> net = TwoInputNet("tiny", fusion="exact").eval()
        >>> digit, total = net(torch.zeros(3, 1, 28, 28), torch.tensor([0, 5, 9]))
        >>> digit.shape, total.shape
        (torch.Size([3, 10]), torch.Size([3, 19]))
    """

    scores = "fusion.digit"
    config: Training
    encoder: nn.Sequential
    fusion: AnyFusion

    def __init__(self, encoder: EncoderName = "default", fusion: Fusion = "exact") -> None:
        super().__init__()
        self.config = Training(encoder=encoder, fusion=fusion)
        self.encoder = build_encoder(encoder)
        self.fusion = build_fusion(fusion, FEATURES[encoder])
        self.calibration = Calibration()

    @property
    def knows_digits(self) -> bool:
        """Whether the network was trained with outliers and calibrated, so that `is_digit` means something."""
        return bool(self.calibration.least_is_digit > 0)

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Log-probabilities from heads. The log-probabilities of the digit are calibrated."""
        return super().outputs(Heads(self.calibration(heads.digit.float()), heads.sum), number)

    def export_spec(self) -> ExportSpec:
        """The description of the network's ONNX file. It has the features for a hand, unless the network learned the
        sum from them."""
        calibration = {name: f"{getattr(self.calibration, name).item():.9g}" for name in Calibration.NAMES}
        more = ["is_digit"] if self.knows_digits else []
        more += ["features"] if self.config.fusion == "exact" else []
        return self.spec({"fusion": self.config.fusion, "encoder": self.config.encoder, **calibration}, *more)

    @classmethod
    def from_config(cls, config: Training) -> TwoInputNet:
        """The network that `config` describes, freshly initialised."""
        net = cls(config.encoder, config.fusion)
        net.config, net.fusion.smoothing = config, config.last_smoothing
        return net

    @classmethod
    def from_pretrained(cls, folder: str | Path = PRETRAINED) -> TwoInputNet:
        """Load a trained network, ready to evaluate.

        Args:
            folder: A run, or a folder that `save_pretrained` wrote; by default the packaged network's.

        Raises:
            RunError: The folder holds no trained network.
        """
        return load_network(folder)[0]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors`, the layout of a model repository.

        The two files replace the network that the folder holds, in one step. The files of its run, and files that were
        made from its weights, are removed. Other files stay.

        Args:
            folder: The folder, which is made if it does not exist.

        Raises:
            OutputError: A file cannot be written, or the folder holds a training that is not finished.
            RunError: The weights are not finite numbers.
        """
        if wrong := flaw(self.state_dict()):
            raise RunError(f"{folder}: not written: {wrong}")
        folder = Path(folder)
        make_folder(folder)
        with held(folder):
            if (folder / STATE).exists() or (folder / UNFINISHED).exists():
                raise OutputError(
                    f"{folder}: holds a training that is not finished: name another folder, or finish it with --resume"
                )
            save_network(self, folder, self.config)
            save_config(self.config, folder)
            remove_run(folder)


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


def load_network(folder: str | Path, device: torch.device | str = "cpu") -> tuple[TwoInputNet, Training]:
    """Load the trained network of a run, in evaluation mode, and its configuration.

    Args:
        folder: The run, or a folder that `save_pretrained` wrote.
        device: Where to put the network.

    Raises:
        RunError: The folder is no run, or its weights are damaged, not numbers, or those of another network.
    """
    return TwoInputNet.load(folder, device)[:2]

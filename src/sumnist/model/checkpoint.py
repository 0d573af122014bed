"""Save and load a network: `model.safetensors` has its weights, and `config.json` beside it says which network it
is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from sumnist.config import Run, Training
from sumnist.errors import RunError
from sumnist.files import CONFIG, WEIGHTS, make_folder, write_atomically
from sumnist.model.folder import CHECKSUM, CONFIGURATION, metadata_in, remove_stale
from sumnist.typed import typed

R = TypeVar("R", bound=Run)


class Calibration(nn.Module):
    """Three numbers that are saved with the weights. `sumnist.training.calibrate` determines them.

    The digit's logits are divided by `temperature` (Guo, Pleiss, Sun and Weinberger, 2017). An answer is accepted if
    the probability that the image shows a digit is at least `least_is_digit`, and the probability of the most probable
    digit is at least `least_confidence`. A network that was not calibrated has temperature 1 and accepts every answer.
    """

    NAMES = ("temperature", "least_is_digit", "least_confidence")

    temperature: Tensor
    least_is_digit: Tensor
    least_confidence: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, value in zip(self.NAMES, (1.0, 0.0, 0.0), strict=True):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, logits: Tensor) -> Tensor:
        """The digit's logits `[B, 10]`, temperature-scaled."""
        return logits / self.temperature

    @torch.no_grad()
    def set(self, temperature: float = 1.0, least_is_digit: float = 0.0, least_confidence: float = 0.0) -> None:
        """Replace all three numbers."""
        self.temperature.fill_(temperature)
        self.least_is_digit.fill_(least_is_digit)
        self.least_confidence.fill_(least_confidence)


class Saved(nn.Module):
    """A network that is kept as a run: it has settings and can be loaded."""

    scores: ClassVar[str] = ""
    """The layer whose scores a hand corrects, by its name; empty if there is none."""
    settings: ClassVar[type[Run]] = Training
    """The class of the settings of its training."""
    config: Any

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """The network that `config` describes, freshly initialised."""
        net = cls()
        net.config = config
        return net

    @classmethod
    @typed
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> tuple[Self, Any, str]:
        """Load the trained network of a run, in evaluation mode, with its configuration and the checksum of its
        weights.

        Every file that is made from the weights should carry their checksum.

        Args:
            folder: The run.
            device: Where to put the network.

        Raises:
            RunError: The folder is no run of a network of this class, or its weights are damaged, not numbers, or those
                of another network.
        """
        tensors, config, checksum = load_weights(Path(folder), cls.settings)
        net = cls.from_config(config)
        fit(net, tensors, Path(folder, WEIGHTS))
        return net.to(device).eval(), config, checksum


def save_config(config: Run, folder: Path) -> None:
    """Write `config` into `folder`, which is made if it does not exist. Raises `OutputError`."""
    make_folder(folder)
    write_atomically(folder / CONFIG, config.to_json())


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file with a checksum of its content. Raises `OutputError`."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    about = {**(metadata or {}), "format": "pt"}
    write_atomically(path, in_order(save(plain, about | {CHECKSUM: checksum_of(plain, about)})))


def in_order(content: bytes) -> bytes:
    """Sort the metadata of a safetensors file by name: the library's own order differs from run to run."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the header to 8 bytes
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file. Raises `ValueError` if the file is damaged, or does not match
    the checksum in it."""
    try:
        content = path.read_bytes()  # read once: another file may take its place meanwhile
        tensors, metadata = load(content), metadata_in(content)
    except (SafetensorError, OSError, KeyError) as error:
        raise ValueError(str(error)) from error
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum_of(tensors, metadata):
        raise ValueError("its content is not what was written")
    metadata.setdefault(CHECKSUM, hashlib.sha256(content).hexdigest())
    return tensors, metadata


def checksum_of(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """The SHA-256 of the names, types, shapes and bits of the tensors, and of the other metadata."""
    told = (item for item in sorted(metadata.items()) if item[0] not in ("format", CHECKSUM))
    digest = hashlib.sha256(repr(list(told)).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_weights(folder: Path, kind: type[R] = Training) -> tuple[dict[str, Tensor], R, str]:  # type: ignore[assignment]
    """The tensors of the network in `folder`, its configuration of this kind, and the checksum of the weights. The file
    of weights is read once. Raises `RunError`."""
    config, path = read_config(folder, kind), folder / WEIGHTS
    if not path.is_file():
        raise RunError(f"{path}: missing, expected the trained weights: train the run again")
    try:
        tensors, metadata = load_tensors(path)
    except ValueError as error:
        raise RunError(
            f"{path}: not a whole safetensors file ({error}): train the run again, or copy it again"
        ) from error
    return tensors, config_in(metadata, path, kind) or config, metadata[CHECKSUM]


def load_config(folder: str | Path, kind: type[R] = Training) -> R:  # type: ignore[assignment]
    """The configuration of the network in `folder`. Raises `RunError` if it is no run, or one of another kind."""
    config, path = read_config(folder, kind), Path(folder, WEIGHTS)
    return (config_in(metadata_in(path.read_bytes()), path, kind) if path.is_file() else None) or config


def config_in(metadata: Mapping[str, str], path: Path, kind: type[R]) -> R | None:
    """The configuration in the metadata of weights; None if an older version wrote them."""
    return kind.from_json(metadata[CONFIGURATION], str(path)) if CONFIGURATION in metadata else None


def read_config(folder: str | Path, kind: type[R] = Training) -> R:  # type: ignore[assignment]
    """The configuration in the `config.json` of the run `folder`, which people may read and change. Raises `RunError`
    if the folder is no run."""
    path = Path(folder, CONFIG)
    if not path.is_file():
        what = "a file" if Path(folder).is_file() else "no run" if Path(folder).is_dir() else "missing"
        raise RunError(f"{folder}: {what}, expected a run folder, as `sumnist train --out {folder}` writes it")
    try:
        return kind.from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read ({error}): train the run again") from error


def save_network(net: nn.Module, folder: Path, config: Run | None = None) -> None:
    """Write the weights of a network, whole or not at all, and remove files that were made from other weights.

    Args:
        net: The network, on any device.
        folder: The folder of the run; `model.safetensors` is written into it.
        config: The network's configuration, which goes into the same file; None leaves it to the `config.json` there.

    Raises:
        OutputError: The file cannot be written.
    """
    save_tensors(folder / WEIGHTS, net.state_dict(), {CONFIGURATION: config.to_json()} if config else None)
    remove_stale(folder)


def load_fitting(net: Saved, folder: Path) -> str:
    """Load the weights in `folder` into `net`, and return their checksum. Raises `RunError` unless the weights are
    whole and fit."""
    tensors, _, checksum = load_weights(folder, net.settings)
    fit(net, tensors, folder / WEIGHTS)
    return checksum


def fit(net: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load the `tensors` of the file `path` into `net`. Raises `RunError` unless they fit and are numbers."""
    expected = net.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        shape, wanted = (list(some[name].shape) if name in some else "none" for some in (tensors, expected))
        if shape != wanted:
            raise RunError(
                f"{path}: weights of another network: {name} is {shape}, expected {wanted} by {CONFIG}: "
                "the two files are not of one run"
            )
    if wrong := flaw(tensors):
        raise RunError(f"{path}: {wrong}: train the run again, with a lower --lr")
    net.load_state_dict(tensors)


def flaw(weights: Mapping[str, Tensor]) -> str | None:
    """What is wrong with the weights or the calibration of a network; None if nothing is wrong. `weights` are given by
    name."""
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            return f"{name} is not finite, expected numbers"
    temperature, *thresholds = (weights[f"calibration.{name}"].item() for name in Calibration.NAMES)
    if temperature <= 0:
        return f"calibration.temperature is {temperature:g}, expected a number above 0"
    if not all(0 <= threshold <= 1 for threshold in thresholds):
        return f"the thresholds of calibration are {thresholds[0]:g} and {thresholds[1]:g}, expected shares from 0 to 1"
    return None

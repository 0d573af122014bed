"""A network on disk: `model.safetensors` beside the `config.json` that says which network it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from sumnist.config import Config, Task
from sumnist.errors import RunError
from sumnist.files import CONFIG, WEIGHTS, make_folder, write_atomically
from sumnist.model.folder import CHECKSUM, CONFIGURATION, metadata_in, remove_stale


class Calibration(nn.Module):
    """Three numbers, saved with the weights; `sumnist.training.calibrate` determines them.

    The digit's logits are divided by `temperature` (Guo, Pleiss, Sun and Weinberger, 2017). An answer is accepted if
    the probability that the image shows a digit is at least `least_is_digit`, and that of the most probable digit at
    least `least_confidence`. A network that was not calibrated has temperature 1 and accepts every answer.
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
        """Replace all three."""
        self.temperature.fill_(temperature)
        self.least_is_digit.fill_(least_is_digit)
        self.least_confidence.fill_(least_confidence)


class Saved(nn.Module):
    """A network that is kept as a run: it has a configuration, and can be loaded."""

    tasks: ClassVar[tuple[Task, ...]]
    """Those of the runs that it is of."""
    config: Config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The network that `config` describes, freshly initialised."""
        net = cls()
        net.config = config
        return net

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> tuple[Self, Config, str]:
        """The trained network of a run, in evaluation mode, its configuration, and the checksum of its weights, which
        what is made from them is to carry.

        Args:
            folder: The run.
            device: Where the network shall be.

        Raises:
            RunError: The folder is no run of such a network, or its weights are damaged, no numbers, or belong to
                another one.
        """
        tensors, config, checksum = load_weights(Path(folder))
        if config.task not in cls.tasks:
            tasks = " or ".join(cls.tasks)
            raise RunError(f"{folder}: a network of --task {config.task}: expected one of --task {tasks}")
        net = cls.from_config(config)
        fit(net, tensors, Path(folder, WEIGHTS))
        return net.to(device).eval(), config, checksum


def save_config(config: Config, folder: Path) -> None:
    """Write `config` into `folder`, which is made if it is not there. Raises `OutputError`."""
    make_folder(folder)
    write_atomically(folder / CONFIG, config.to_json())


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, with a checksum of what is in it. Raises `OutputError`."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    about = {**(metadata or {}), "format": "pt"}
    write_atomically(path, in_order(save(plain, about | {CHECKSUM: checksum_of(plain, about)})))


def in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata in alphabetical order: the library's own differs from run to run."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the header to 8 bytes
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file, whose checksum is compared if it has one. Raises
    `ValueError`."""
    try:
        content = path.read_bytes()  # at once: another file may take its place meanwhile
        tensors, metadata = load(content), metadata_in(content)
    except (SafetensorError, OSError, KeyError) as error:
        raise ValueError(str(error)) from error
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum_of(tensors, metadata):
        raise ValueError("its content is not what was written")
    metadata.setdefault(CHECKSUM, hashlib.sha256(content).hexdigest())
    # Version 0.1 named one of them otherwise.
    return {name.replace(".least_known", ".least_is_digit"): value for name, value in tensors.items()}, metadata


def checksum_of(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """The SHA-256 of the names, types, shapes and bits of the tensors, and of what else the metadata say."""
    told = (item for item in sorted(metadata.items()) if item[0] not in ("format", CHECKSUM))
    digest = hashlib.sha256(repr(list(told)).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_weights(folder: Path) -> tuple[dict[str, Tensor], Config, str]:
    """The tensors of the network in `folder`, what they are weights of, and their checksum, all from one file that is
    read once. Raises `RunError`."""
    config, path = read_config(folder), folder / WEIGHTS
    if not path.is_file():
        raise RunError(f"{path}: missing, expected the trained weights: train the run again")
    try:
        tensors, metadata = load_tensors(path)
    except ValueError as error:
        raise RunError(
            f"{path}: not a whole safetensors file ({error}): train the run again, or copy it again"
        ) from error
    return tensors, config_in(metadata, path) or config, metadata[CHECKSUM]


def load_config(folder: str | Path) -> Config:
    """The configuration of the network in `folder`. Raises `RunError` if it is no run."""
    config, path = read_config(folder), Path(folder, WEIGHTS)
    return (config_in(metadata_in(path.read_bytes()), path) if path.is_file() else None) or config


def config_in(metadata: Mapping[str, str], path: Path) -> Config | None:
    """The configuration that weights carry in their metadata; None of those that an older version wrote."""
    return Config.from_json(metadata[CONFIGURATION], str(path)) if CONFIGURATION in metadata else None


def read_config(folder: str | Path) -> Config:
    """The configuration in the run `folder` as people see it, and may change it. Raises `RunError` if it is no run."""
    path = Path(folder, CONFIG)
    if not path.is_file():
        kind = "a file" if Path(folder).is_file() else "no run" if Path(folder).is_dir() else "missing"
        raise RunError(f"{folder}: {kind}, expected a run folder, as `sumnist train --out {folder}` writes it")
    try:
        return Config.from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read ({error}): train the run again") from error


def save_network(net: nn.Module, folder: Path, config: Config | None = None) -> None:
    """Write the weights of a network, whole or not at all, and remove what was made from others.

    Args:
        net: On any device.
        folder: That of a run; `model.safetensors` is written into it.
        config: What they are weights of; None leaves that to the `config.json` there.

    Raises:
        OutputError: The file cannot be written.
    """
    save_tensors(folder / WEIGHTS, net.state_dict(), {CONFIGURATION: config.to_json()} if config else None)
    remove_stale(folder)


def load_fitting(net: nn.Module, folder: Path) -> str:
    """Load the weights in `folder` into `net`: their checksum. Raises `RunError` unless they are whole, and fit."""
    tensors, _, checksum = load_weights(folder)
    fit(net, tensors, folder / WEIGHTS)
    return checksum


def fit(net: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load the tensors in the file `path`. Raises `RunError` unless they fit, and are numbers."""
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

"""A network on disk: `model.safetensors` beside the `config.json` that says which network it is."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from sumnist.config import Config
from sumnist.errors import RunError
from sumnist.files import CONFIG, WEIGHTS, make_folder, write_atomically
from sumnist.model.network import TwoInputNet

__all__ = ["load_config", "load_network", "save_config", "save_network"]


def save_config(config: Config, folder: Path) -> None:
    """Write `config` into `folder`, which is made if it is not there. Raises `OutputError`."""
    make_folder(folder)
    write_atomically(folder / CONFIG, config.to_json())


def save_network(net: TwoInputNet, folder: Path) -> None:
    """Write the weights of `net` into `folder`, whole or not at all. Raises `OutputError`."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))


def load_config(folder: str | Path) -> Config:
    """The configuration of the run `folder`. Raises `RunError` if it is not one."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        kind = "a file" if Path(folder).is_file() else "no run" if Path(folder).is_dir() else "missing"
        raise RunError(f"{folder}: {kind}, expected a run folder, as `sumnist train --out {folder}` writes it")
    try:
        return Config.from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read ({error}): train the run again") from error


def load_network(folder: str | Path, device: torch.device | str = "cpu") -> tuple[TwoInputNet, Config]:
    """The trained network of the run `folder`, ready to evaluate, and its configuration.

    Raises `RunError` if the folder is no run, or its weights are cut short or belong to another network.
    """
    config = load_config(folder)
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise RunError(f"{path}: missing, expected the trained weights: train the run again")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise RunError(
            f"{path}: not a whole safetensors file ({error}): train the run again, or copy it again"
        ) from error
    net = TwoInputNet.from_config(config)
    check_fit(tensors, net.state_dict(), path)
    net.load_state_dict(tensors)
    return net.to(device).eval(), config


def check_fit(given: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: Path) -> None:
    """Raise `RunError`, naming the first tensor that differs, unless `given` has the names and shapes of `expected`."""
    for name in sorted(expected.keys() | given.keys()):
        found = list(given[name].shape) if name in given else "none"
        wanted = list(expected[name].shape) if name in expected else "none"
        if found != wanted:
            raise RunError(
                f"{path}: weights of another network: {name} is {found}, expected {wanted} by {CONFIG}: "
                "the two files are not of one run"
            )

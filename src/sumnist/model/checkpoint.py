"""A network on disk: `model.safetensors` beside the `config.json` that says which network it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from sumnist.config import Config
from sumnist.errors import RunError
from sumnist.files import CONFIG, WEIGHTS, make_folder, write_atomically
from sumnist.model.network import TwoInputNet

__all__ = ["load_config", "load_network", "load_tensors", "save_config", "save_network", "save_tensors"]

DIGEST = "sha256"


def save_config(config: Config, folder: Path) -> None:
    """Write `config` into `folder`, which is made if it is not there. Raises `OutputError`."""
    make_folder(folder)
    write_atomically(folder / CONFIG, config.to_json())


def save_network(net: TwoInputNet, folder: Path) -> None:
    """Write the weights of `net` into `folder`, whole or not at all. Raises `OutputError`."""
    save_tensors(folder / WEIGHTS, net.state_dict())


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, sealed with the digest of what is in it. Raises `OutputError`."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    written = save(plain, {**(metadata or {}), "format": "pt", DIGEST: digest_of(plain, metadata or {})})
    write_atomically(path, in_order(written))


def in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata in alphabetical order: the library's own differs from run to run."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # what the format asks for
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file; if it is sealed, the seal is checked. Raises `ValueError`."""
    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError, KeyError) as error:
        raise ValueError(str(error)) from error
    own = {name: value for name, value in metadata.items() if name not in ("format", DIGEST)}
    if DIGEST in metadata and metadata[DIGEST] != digest_of(tensors, own):
        raise ValueError("its content is not what was written")
    return tensors, own


def digest_of(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    """What changes with any bit of the tensors or the metadata."""
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
        tensors, _ = load_tensors(path)
    except ValueError as error:
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

"""A network on disk: `model.safetensors` beside the `config.json` that says which network it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from sumnist.config import Config
from sumnist.errors import RunError
from sumnist.files import CONFIG, make_folder, write_atomically
from sumnist.model.folder import CHECKSUM, placed

__all__ = ["load_config", "load_tensors", "save_config", "save_tensors"]


def save_config(config: Config, folder: Path) -> None:
    """Write `config` into `folder`, which is made if it is not there. Raises `OutputError`."""
    make_folder(folder)
    write_atomically(folder / CONFIG, config.to_json())


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, with a checksum of what is in it. Raises `OutputError`."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    written = save(plain, {**(metadata or {}), "format": "pt", CHECKSUM: checksum_of(plain, metadata or {})})
    write_atomically(path, in_order(written))


def in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata in alphabetical order: the library's own differs from run to run."""
    header, end = header_of(content)
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the header to 8 bytes
    return len(text).to_bytes(8, "little") + text + content[end:]


def header_of(content: bytes) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where it ends."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), end


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file, whose checksum is compared if it has one. Raises
    `ValueError`."""
    try:
        content = path.read_bytes()  # at once: another file may take its place meanwhile
        tensors = load(content)
        metadata = header_of(content)[0].get("__metadata__") or {}
    except (SafetensorError, OSError, KeyError) as error:
        raise ValueError(str(error)) from error
    own = {name: value for name, value in metadata.items() if name not in ("format", CHECKSUM)}
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum_of(tensors, own):
        raise ValueError("its content is not what was written")
    return {renamed(name): value for name, value in tensors.items()}, own


def renamed(name: str) -> str:
    """The name of a tensor today, from that of version 0.1."""
    return name.replace("calibration.least_known", "calibration.least_is_digit")


def checksum_of(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    """The SHA-256 of the names, types, shapes and bits of the tensors, and of the metadata."""
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_config(folder: str | Path) -> Config:
    """The configuration of the run `folder`. Raises `RunError` if it is not one."""
    path = placed(Path(folder), CONFIG)
    if not path.is_file():
        kind = "a file" if Path(folder).is_file() else "no run" if Path(folder).is_dir() else "missing"
        raise RunError(f"{folder}: {kind}, expected a run folder, as `sumnist train --out {folder}` writes it")
    try:
        return Config.from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read ({error}): train the run again") from error

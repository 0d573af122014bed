"""The names of files, and writing them so that one finds the old one or the new one whole, never half of either."""

from __future__ import annotations

import os
from pathlib import Path

from sumnist.errors import OutputError

__all__ = ["CONFIG", "ONNX", "PRETRAINED", "WEIGHTS", "make_folder", "write_atomically"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
ONNX = "model.onnx"
PRETRAINED = Path(__file__).parent / "pretrained"
"""The folder of the network that comes with the package."""


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write `data` to `path` by way of a neighbour that then takes its name. Raises `OutputError`."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def make_folder(path: Path) -> None:
    """Create the folder `path` and its parents. Raises `OutputError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error to raise when `path` could not be written."""
    reason = (error.strerror or str(error)).lower()
    return OutputError(f"{path}: cannot be written ({reason}): free some space or choose another place")

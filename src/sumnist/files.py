"""The names of files, their formats, and writing them whole: a reader finds the old file or the new one, never half."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sumnist.errors import OutputError, RunError

__all__ = ["CONFIG", "ONNX", "PRETRAINED", "WEIGHTS", "check_format", "make_folder", "write_atomically"]

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


def check_format(values: Mapping[str, Any], source: str | Path, newest: int) -> None:
    """Raise `RunError` if the JSON object `values`, read from `source`, is of a format that is not known.

    Its key "format" says which it has, from 1 to `newest`; without that key it is of format 1.
    """
    given = values.get("format", 1)
    if type(given) is not int or given < 1:
        raise RunError(f"{source}: format {given!r}, expected a whole number from 1 to {newest}: copy the file again")
    if given > newest:
        raise RunError(
            f"{source}: written by a newer sumnist: format {given}, expected at most {newest}: upgrade sumnist"
        )


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error to raise when `path` could not be written."""
    reason = (error.strerror or str(error)).lower()
    return OutputError(f"{path}: cannot be written ({reason}): free some space or choose another place")

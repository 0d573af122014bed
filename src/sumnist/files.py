"""The names of files, their formats, and writing them whole: a reader finds the old file or the new one, never half."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sumnist.errors import OutputError, RunError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["CONFIG", "ONNX", "PRETRAINED", "WEIGHTS", "check_format", "lock", "make_folder", "write_atomically"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
ONNX = "model.onnx"
PRETRAINED = Path(__file__).parent / "pretrained"
"""The folder of the network that comes with the package."""


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write `data` to `path` by way of a neighbour that then takes its name; a link stays, and what it leads to is
    replaced. Raises `OutputError`, also for what is there and is no file: a folder, a device."""
    check_replaceable(path)
    path = Path(os.path.realpath(path))
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            lock(stream)
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise cannot_write(path, error) from error
    remove_abandoned(path)


def check_replaceable(path: Path) -> None:
    """Raise `OutputError` if something is at `path` that is no file."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise OutputError(f"{path}: is {kind}, expected the name of a file: give another name")


def remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed in writing `path` have left beside it: whoever still writes has a lock."""
    for name in glob.iglob(f".{glob.escape(path.name)}.partial-*", root_dir=path.parent):
        partial = path.with_name(name)
        try:
            with partial.open("rb") as stream:
                if lock(stream):
                    partial.unlink()
        except OSError:  # another one was faster
            continue


def lock(stream: IO[Any] | int) -> bool:
    """Lock an open file, or folder, for this process until it is closed, which the system does for one that is killed.

    Returns False if another process has it. Where there are no locks, on Windows and on some network file systems,
    everyone is let in.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


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

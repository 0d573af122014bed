"""The folder of a network: which files are its own, which were made from its weights, and how a new network takes the
place of an old one by one renaming.

The weights carry their configuration, so that `model.safetensors` alone is the network, and `config.json` says the same
to people. A run that is to replace another is built in `.unfinished` inside the folder. Once its weights are renamed
over the old ones it is the network there; its other files follow, and what was made from other weights is known by the
checksum in it. Who is killed in between leaves the rest to the next one that writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sumnist.errors import OutputError
from sumnist.files import CONFIG, ONNX, WEIGHTS, cannot_write, lock, writing

RECORD = "record.json"
METRICS = "metrics.jsonl"
STATE = "state.safetensors"
INT8 = "model.int8.onnx"
EVALUATION = "evaluation.json"
PLOTS = "plots"
DRAWN = tuple(
    f"{PLOTS}/{name}.png" for name in ("confusion-digit", "confusion-sum", "reliability", "mistakes", "training")
)
DERIVED = (ONNX, INT8, EVALUATION, *DRAWN)
"""What is made from the weights, and carries their checksum."""
OF_RUN = (RECORD, METRICS, STATE, "tensorboard/events.out.tfevents.*")
"""Patterns of what a training writes besides the network; nothing else in its folder is touched."""

UNFINISHED = ".unfinished"
"""A run that is to replace the one in the folder, and is itself the folder of a run until it does."""

CHECKSUM, CONFIGURATION = "sha256", "config"
"""The keys, in the metadata of a safetensors file, of the checksum of its tensors and of their configuration."""


def begun(folder: Path) -> Path:
    """The folder of the run that a resume goes on with: one that is to replace another, or `folder` itself."""
    return folder / UNFINISHED if (folder / UNFINISHED / CONFIG).exists() else folder


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the run `folder`; empty if there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


# Derived files.


def metadata_in(weights: bytes) -> dict[str, Any]:
    """The metadata in the header of a safetensors file; empty if it has none, or is no such file."""
    try:
        metadata = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def checksum_of_file(weights: Path) -> str:
    """The checksum of the tensors in the safetensors file `weights`, as its header has it; of one without, or of what
    is no such file, that of all its bytes. Raises `OSError`."""
    content = weights.read_bytes()
    given = str(metadata_in(content).get(CHECKSUM))
    return given if re.fullmatch("[0-9a-f]{64}", given) else hashlib.sha256(content).hexdigest()


def carries(derived: Path, checksum: str) -> bool:
    """Whether the file `derived` says that it was made from the weights with this checksum. Raises `OSError`."""
    return checksum.encode() in derived.read_bytes()


def remove_stale(folder: Path, names: Iterable[str] = DERIVED) -> None:
    """Remove those of the derived files that were made from other weights than those in `folder`. Raises
    `OutputError`."""
    with writing(folder):
        if files := list(matching(folder, names)):
            checksum = checksum_of_file(folder / WEIGHTS) if (folder / WEIGHTS).exists() else None
            remove_files(path for path in files if checksum is None or not carries(path, checksum))


# One network takes the place of another.


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Whether no other process writes a network into `folder`; none begins to as long as the context lasts. Raises
    `OutputError`."""
    if os.name == "nt":  # no locks, and folders cannot be opened
        yield True
        return
    try:
        place = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield lock(place)
    finally:
        os.close(place)


def busy(folder: Path) -> OutputError:
    """The error to raise when another process writes into `folder`."""
    return OutputError(f"{folder}: another process writes a run there: wait until it has ended, or name another folder")


def take_place(build: Path, folder: Path) -> None:
    """Have the network that was built in `build`, a folder inside `folder`, take the place of the one there, or go on
    with that. For who holds `folder`. Raises `OutputError`."""
    with writing(folder):
        if (build / WEIGHTS).exists():
            (build / WEIGHTS).replace(folder / WEIGHTS)
        remove_stale(folder)
        if (build / CONFIG).exists():  # nothing has followed yet
            remove_files(path for path in matching(folder, OF_RUN) if not (build / path.relative_to(folder)).exists())
        files = [path for path in build.rglob("*") if not path.is_dir()]
        for path in sorted(files, key=lambda path: (path.name == RECORD, path.name != CONFIG, path)):
            target = folder / path.relative_to(build)
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
        shutil.rmtree(build)


def settle_if_free(folder: Path) -> None:
    """Finish what one that was killed has left of putting a network in its place, unless another process writes there.
    Raises `OutputError`."""
    build = folder / UNFINISHED
    if read_record(build).get("finished") and not (build / WEIGHTS).exists():
        with held(folder) as free:
            if free:
                take_place(build, folder)


def remove_run(folder: Path) -> None:
    """Remove what a run has written into `folder` besides its network, and what was made from other weights. Raises
    `OutputError`."""
    with writing(folder):
        remove_stale(folder)
        remove_files(matching(folder, OF_RUN))


def matching(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """The files in `folder` that match one of these patterns."""
    for name in names:
        yield from (path for path in folder.glob(name) if path.is_file() or path.is_symlink())


def remove_files(files: Iterable[Path]) -> None:
    """Remove files; the folders that they were in stay. Raises `OSError`."""
    for path in list(files):
        path.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove a folder and all that is in it, if it is there. Raises `OutputError`."""
    with writing(folder):
        if folder.is_dir():
            shutil.rmtree(folder)

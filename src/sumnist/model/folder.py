"""Keep the folder of a network in order: its own files, and files made from its weights.

The weights carry their configuration, so `model.safetensors` alone is the network; `config.json` tells people the same.
Each file that was made from weights has the checksum of these weights, so files of other weights are recognised. A run
that is to replace another is built in `.unfinished` inside the folder; the renaming of its weights makes it the run.
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
from sumnist.files import CONFIG, ONNX, WEIGHTS, lock, writing

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
"""Files that are made from the weights and carry their checksum."""
EVENTS = "tensorboard/events.out.tfevents.*"
OF_RUN = (RECORD, METRICS, STATE, EVENTS)
"""Patterns of the files that a training writes besides the network. It touches no other file in its folder."""

UNFINISHED = ".unfinished"
"""The folder, inside a run's folder, of a new run that is to replace this run. Until it does, it is the folder of a run
itself."""

CHECKSUM, CONFIGURATION = "sha256", "config"
"""Keys in the metadata of a safetensors file, for the checksum of the tensors and for their configuration."""


def begun(folder: Path) -> Path:
    """The folder of the run that a resume continues: `.unfinished` in `folder` if a run there is to replace the one in
    `folder`, otherwise `folder` itself."""
    return folder / UNFINISHED if (folder / UNFINISHED / CONFIG).exists() else folder


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the run `folder`; empty if there is no readable record."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


# Derived files.


def metadata_in(weights: bytes) -> dict[str, Any]:
    """The metadata in the header of a safetensors file; empty if there are none, or if the file is of another kind."""
    try:
        metadata = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def checksum_of_file(weights: Path) -> str:
    """The checksum in the header of the safetensors file `weights`. If there is none, the SHA-256 of the whole file.
    Raises `OSError`."""
    content = weights.read_bytes()
    given = str(metadata_in(content).get(CHECKSUM))
    return given if re.fullmatch("[0-9a-f]{64}", given) else hashlib.sha256(content).hexdigest()


def carries(derived: Path, checksum: str) -> bool:
    """Whether the file `derived` carries this checksum of weights. Raises `OSError`."""
    return checksum.encode() in derived.read_bytes()


def remove_stale(folder: Path, names: Iterable[str] = DERIVED) -> None:
    """Remove derived files that were not made from the weights in `folder`. Raises `OutputError`."""
    with writing(folder):
        if files := list(matching(folder, names)):
            checksum = checksum_of_file(folder / WEIGHTS) if (folder / WEIGHTS).exists() else None
            remove_files(path for path in files if checksum is None or not carries(path, checksum))


# One process writes, and replaces what is there.


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock `folder` as long as the context lasts, so that no other process writes a network there. Raises
    `OutputError` if another process does."""
    if os.name == "nt":  # no locks, and folders cannot be opened
        yield
        return
    with writing(folder):
        place = os.open(folder, os.O_RDONLY)
    try:
        if not lock(place):
            raise OutputError(
                f"{folder}: another process writes a run there: wait until it has ended, or name another folder"
            )
        yield
    finally:
        os.close(place)


def publish(build: Path, folder: Path) -> None:
    """Put the finished run that was built in `build`, a folder inside `folder`, in the place of the run in `folder`, or
    finish doing so. The weights come first, and the record, by which a resume knows that there is more to do, comes
    last. The caller must hold `folder`. Raises `OutputError`."""
    with writing(folder):
        if (build / WEIGHTS).exists():
            remove_files(matching(folder, (STATE, EVENTS)))
            (build / WEIGHTS).replace(folder / WEIGHTS)
        remove_stale(folder)
        files = [path for path in build.rglob("*") if not path.is_dir()]
        for path in sorted(files, key=lambda path: (path.name == RECORD, path)):
            target = folder / path.relative_to(build)
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
        shutil.rmtree(build)


def remove_run(folder: Path) -> None:
    """Remove everything that a run has written into `folder` except its network, and files made from other weights.
    Raises `OutputError`."""
    with writing(folder):
        remove_stale(folder)
        remove_files(matching(folder, OF_RUN))


def matching(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """The files in `folder` that match one of the patterns `names`."""
    for name in names:
        yield from (path for path in folder.glob(name) if path.is_file() or path.is_symlink())


def remove_files(files: Iterable[Path]) -> None:
    """Remove files, but not their folders. Raises `OSError`."""
    for path in list(files):
        path.unlink(missing_ok=True)

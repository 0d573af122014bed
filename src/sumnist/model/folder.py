"""The folder of a network: which files are its own, which were made from its weights, and how a new network takes the
place of an old one in one step.

What is to replace a network is built in a hidden folder inside its own. One renaming, to `.complete`, makes it the
network of the folder: from then on it is read there (`placed`). The rest is tidying up (`settle`): what the new one
lacks is removed, a second renaming, to `.arriving`, says that this is done, and its files move into the folder. Who is
killed on the way leaves the rest to the next one that writes; who reads finds one network, whole, at every moment.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sumnist.errors import OutputError, RunError, SumnistError
from sumnist.files import CONFIG, ONNX, WEIGHTS, cannot_write, lock, make_folder

__all__ = [
    "CHECKSUM", "DRAWN", "EVALUATION", "INT8", "METRICS", "PLOTS", "RECORD", "STATE", "UNFINISHED", "begun", "busy",
    "carries", "checksum_of_file", "held", "own_files", "placed", "remove", "remove_files", "remove_stale", "replaced",
    "settle", "settle_if_free", "steadily", "take_place",
]  # fmt: skip

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
OWN = (CONFIG, WEIGHTS, RECORD, METRICS, STATE, *DERIVED, "tensorboard/events.out.tfevents.*")
"""Patterns of all files that a run writes; nothing else in its folder is touched."""

UNFINISHED = ".unfinished"
"""A run that is to replace the one in the folder, and is itself the folder of a run until it does."""
SAVING, COMPLETE, ARRIVING = ".saving", ".complete", ".arriving"

CHECKSUM = "sha256"
"""The key, in the metadata of a safetensors file, of the checksum of its tensors."""

TRIES = 1000
"""How often a network is read anew that is replaced meanwhile: nobody who trains is as quick as that."""

T = TypeVar("T")


def placed(folder: Path, name: str) -> Path:
    """Where the file `name` of the network in `folder` lies, if it has one: in the folder, unless a new network was
    stopped while it took its place."""
    if (folder / COMPLETE).is_dir():
        return folder / COMPLETE / name
    arriving = folder / ARRIVING / name
    return arriving if arriving.exists() else folder / name


def begun(folder: Path) -> Path:
    """The folder of the run that a resume goes on with: one that is to replace another, or `folder` itself."""
    return folder / UNFINISHED if (folder / UNFINISHED / CONFIG).exists() else folder


def steadily(folder: Path, read: Callable[[], T]) -> T:
    """What `read` gives of the network in `folder`: read again if another one took its place meanwhile. Raises
    `RunError` if that happens every time."""
    for _ in range(TRIES):
        before = version(folder)
        try:
            value = read()
        except SumnistError:
            if version(folder) == before:
                raise
            continue
        if version(folder) == before:
            return value
    raise RunError(f"{folder}: another network took its place {TRIES} times while it was read: wait, and try again")


def version(folder: Path) -> list[tuple[object, ...]]:
    """What changes when configuration or weights are replaced, or moved."""
    found: list[tuple[object, ...]] = []
    for path in (placed(folder, CONFIG), placed(folder, WEIGHTS)):
        try:
            facts = path.stat()
        except OSError:
            continue
        found.append((path, facts.st_ino, facts.st_mtime_ns))
    return found


# Derived files.


def checksum_of_file(weights: Path) -> str:
    """The checksum of the tensors in the safetensors file `weights`, as its header has it; of one without, or of what
    is no such file, that of all its bytes. Raises `OSError`."""
    try:
        with weights.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > weights.stat().st_size:
                raise ValueError("not a safetensors file")
            checksum = json.loads(stream.read(size))["__metadata__"][CHECKSUM]
        if len(bytes.fromhex(checksum)) == hashlib.sha256().digest_size:
            return str(checksum)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def carries(derived: Path, checksum: str) -> bool:
    """Whether the file `derived` says that it was made from the weights with this checksum. Raises `OSError`."""
    return checksum.encode() in derived.read_bytes()


def remove_stale(folder: Path, names: Iterable[str] = DERIVED) -> None:
    """Remove those of the derived files that were made from other weights than those in `folder`. Raises
    `OutputError`."""
    try:
        files = list(matching(folder, names))
        checksum = checksum_of_file(folder / WEIGHTS) if files else ""
        remove_files(path for path in files if not carries(path, checksum))
    except OSError as error:
        raise cannot_write(folder, error) from error


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


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """An empty folder for the files of a network, which takes the place of the one in `folder` when the context ends.
    Raises `OutputError`, also if another process writes into `folder`."""
    make_folder(folder)
    with held(folder) as free:
        if not free:
            raise busy(folder)
        settle(folder)
        build = folder / SAVING
        make_folder(build)
        try:
            yield build
        except BaseException:
            shutil.rmtree(build, ignore_errors=True)
            raise
        take_place(build, folder)


def take_place(build: Path, folder: Path) -> None:
    """Have the network that was built in `build`, a folder inside `folder`, take the place of the one there."""
    try:
        build.rename(folder / COMPLETE)
    except OSError as error:
        raise cannot_write(folder, error) from error
    settle(folder)


def settle(folder: Path) -> None:
    """Finish what one that was killed has left of putting a network in its place. For who holds `folder`. Raises
    `OutputError`."""
    complete = folder / COMPLETE
    remove(folder / SAVING)
    try:
        arrive(folder)
        if complete.is_dir():
            new = {path.relative_to(complete) for path in complete.rglob("*")}
            remove_files(path for path in own_files(folder) if path.relative_to(folder) not in new)
            complete.rename(folder / ARRIVING)
            arrive(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def settle_if_free(folder: Path) -> None:
    """`settle`, if there is something to be done, and no other process at work that will do it."""
    if any((folder / name).is_dir() for name in (COMPLETE, ARRIVING)):
        with held(folder) as free:
            if free:
                settle(folder)


def arrive(folder: Path) -> None:
    """Move the files in `.arriving` into the folder."""
    arriving = folder / ARRIVING
    if arriving.is_dir():
        for path in sorted(arriving.rglob("*")):
            target = folder / path.relative_to(arriving)
            if path.is_dir():
                target.mkdir(exist_ok=True)
            else:
                path.replace(target)
        shutil.rmtree(arriving)


def own_files(folder: Path) -> Iterator[Path]:
    """All files in `folder` that a run writes."""
    return matching(folder, OWN)


def matching(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        yield from (path for path in folder.glob(name) if path.is_file() or path.is_symlink())


def remove_files(files: Iterable[Path]) -> None:
    """Remove files; the folders that they were in stay. Raises `OSError`."""
    for path in list(files):
        path.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove a folder and all that is in it, if it is there. Raises `OutputError`."""
    try:
        if folder.is_dir():
            shutil.rmtree(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error

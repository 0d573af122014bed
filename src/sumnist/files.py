"""Names files, checks their formats, and writes them atomically: a reader finds the old file or the new one, never half
of one."""

from __future__ import annotations

import errno
import glob
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO, Any

from sumnist.errors import ConfigError, OutputError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
ONNX = "model.onnx"
PRETRAINED = Path(__file__).parent / "pretrained"
"""The folder of the network that comes with the package."""
NUMBERS = PRETRAINED / "numbers.onnx"
"""The file of the network that reads numbers of any length."""
FINDER = PRETRAINED / "finder.onnx"
"""The file of the network that finds numbers on a picture."""
LEARNED = PRETRAINED / "learned.onnx"
"""The file of the small network that learned to add, without some of the pairs."""


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write `data` to `path` as `replacing` does. Raises `OutputError`."""
    with replacing(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A stream to a temporary file beside `path`, which replaces `path` at the end. If `path` is a link, its target is
    replaced.

    Raises `OutputError`, also if `path` is a folder or a device. After any error, `path` is unchanged.
    """
    check_replaceable(path)
    path = Path(os.path.realpath(path))
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    with writing(path):
        try:
            with partial.open("wb") as stream:
                lock(stream)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                os.replace(partial, path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
    remove_abandoned(path)


def check_replaceable(path: Path) -> None:
    """Raise `OutputError` if `path` exists and is not a file."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise OutputError(f"{path}: is {kind}, expected the name of a file: give another name")


def check_suffix(flag: str, path: Path, *suffixes: str) -> None:
    """Raise `ConfigError` if `path`, the value of `flag`, has none of the suffixes."""
    if path.suffix not in suffixes:
        *others, last = suffixes
        expected = f"{', '.join(others)} or {last}" if others else last
        raise ConfigError(f"{flag} {path}: expected a name that ends in {expected}")


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files that killed processes left beside `path`. Processes that still write hold a lock."""
    for name in glob.iglob(f".{glob.escape(path.name)}.partial-*", root_dir=path.parent):
        partial = path.with_name(name)
        try:
            with partial.open("rb") as stream:
                if lock(stream):
                    partial.unlink()
        except OSError:  # another process was faster
            continue


def lock(stream: IO[Any] | int) -> bool:
    """Lock an open file or folder for this process until it is closed; the system closes it if the process is killed.

    Returns False if another process holds the lock. Windows and some network file systems have no locks; there it
    always returns True.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


class Journal:
    """An open file of JSON objects, one a line, to which one process at a time appends. Closing it without lines
    removes the file.

    A process that is killed, or finds the disk full, leaves whole lines and perhaps a part of one. The next process
    that opens the file cuts this part off.
    """

    def __init__(self, path: Path, busy: str) -> None:
        """Open the file, or create it.

        Raises `OutputError` if the file cannot be written or is not a journal, and with the message `busy` if another
        process has it open.
        """
        check_replaceable(path)
        self.path, self.size = path, 0
        with writing(path):
            self.stream = FileIO(path, "a+")
            try:
                if not lock(self.stream) or not self.is_there():
                    raise OutputError(busy)
                self.mend()
            except BaseException:
                self.stream.close()
                raise

    def is_there(self) -> bool:
        """Whether the open file still has its name; another process may just have removed it."""
        try:
            return os.path.samestat(os.fstat(self.stream.fileno()), os.stat(self.path))
        except FileNotFoundError:
            return False

    def mend(self) -> None:
        """If the last line lacks only its line end, add it; cut off a JSON object that is incomplete."""
        last = b""
        with self.path.open("rb") as stream:
            for last in stream:
                self.size += len(last)
        if not last or last.endswith(b"\n"):
            return
        try:
            parse_json(last)
        except ValueError as error:
            if not last.startswith(b"{"):
                raise OutputError(
                    f"{self.path}: its last line is no JSON, expected a JSON object on each line: name another file"
                ) from error
            self.size -= len(last)
            self.stream.truncate(self.size)
        else:
            write_all(self.stream, b"\n")
            self.size += 1

    @property
    def lines(self) -> Iterator[bytes]:
        """The lines of the file, read one by one, without line ends."""
        with self.path.open("rb") as stream:
            for line in stream:
                yield line.removesuffix(b"\n")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, line: str, *, sync: bool = True) -> None:
        """Append a line, and with `sync` return when it is on the disk. If that fails, leave the file unchanged and
        raise `OutputError`."""
        data = line.encode() + b"\n"
        with writing(self.path):
            try:
                write_all(self.stream, data)
                if sync:
                    os.fsync(self.stream.fileno())
            except OSError:
                with suppress(OSError):
                    self.stream.truncate(self.size)
                raise
        self.size += len(data)

    def clear(self) -> None:
        """Remove all lines."""
        with writing(self.path):
            self.stream.truncate(0)
        self.size = 0

    def remove(self) -> None:
        """Remove the file, with all its lines."""
        with writing(self.path):
            self.path.unlink()
        self.stream.close()

    def close(self) -> None:
        """Close the file, which releases the lock; remove it if it has no lines."""
        if not self.stream.closed and not self.size:
            with suppress(OSError):
                self.path.unlink()
        self.stream.close()


def write_all(stream: FileIO, data: bytes) -> None:
    """Write all of `data`, although the system may take only a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


def make_folder(path: Path) -> None:
    """Create the folder `path` and its parents. Raises `OutputError`."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def read_whole(path: Path) -> bytes:
    """The content of a file. Raises `OSError`, also for a folder, and for a device or a pipe, which may be endless."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return path.read_bytes()


def parse_json(text: str | bytes) -> Any:
    """The value of the JSON text `text`. Raises `ValueError`, also if the value is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def fits(value: Any, shape: Any) -> bool:
    """Whether a value from a JSON file has a shape.

    A shape is one of these: None; a type, where `float` is any number that a float can hold; a dict of required keys
    with a shape for each value; a list of one shape, for a list of any length; a list of several shapes, for a list of
    that length; a tuple of alternative shapes.
    """
    match shape:
        case None:
            return value is None
        case dict():
            return isinstance(value, dict) and all(key in value and fits(value[key], of) for key, of in shape.items())
        case list():
            places = shape * len(value) if isinstance(value, list) and len(shape) == 1 else shape
            return isinstance(value, list) and len(value) == len(places) and all(map(fits, value, places))
        case tuple():
            return any(fits(value, one) for one in shape)
    if shape is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    return type(value) is shape


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises `OutputError` instead of an `OSError` from writing `path`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error to raise when `path` could not be written."""
    reason = (error.strerror or str(error)).lower()
    return OutputError(f"{path}: cannot be written ({reason}): free some space or choose another place")

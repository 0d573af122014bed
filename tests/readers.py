"""Readers for the processes of a server, which load them by these functions."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from sumnist.inference.numbers import Numbers
from sumnist.inference.reader import Reader, Reading
from sumnist.serve.reading import Readers


class Learned(Reader):
    """As if it had learned to add."""

    def __init__(self) -> None:
        super().__init__()
        self.exact = False


def learned() -> Readers:
    return Learned(), None


def learned_beside() -> Readers:
    return Reader(), Learned()


class Broken(Reader):
    """A reader that fails as it is told to."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def read(self, picture: Any, number: Any = 0, ink: Any = "auto") -> Any:
        raise self.error


def broken(error: BaseException) -> Readers:
    return Broken(error), None


class Slow(Reader):
    """A reader that makes a file when it begins, and waits until another one is there."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def read(self, picture: Any, number: Any = 0, ink: Any = "auto") -> Any:
        (self.folder / "begun").touch()
        end = time.monotonic() + 20
        while not (self.folder / "go").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        return super().read(picture, number, ink)


def slow(folder: Path) -> Readers:
    return Slow(folder), None


class Mortal(Reader):
    """A reader whose process is killed by the number 9."""

    def read(self, picture: Any, number: Any = 0, ink: Any = "auto") -> Any:
        if number == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        reading: Reading = super().read(picture, number, ink)
        return reading


def mortal() -> Readers:
    return Mortal(), None


def stillborn(parent: int) -> Readers:
    """Can be loaded by the process `parent` alone."""
    if os.getpid() != parent:
        raise OSError("no memory for the network")
    return Reader(), None


def without_numbers() -> Readers:
    """A reader whose network of strips is missing."""
    reader = Reader()
    reader.numbers = Numbers("missing.onnx")
    return reader, None

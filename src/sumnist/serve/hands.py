"""Keeps hands on a server for some days, as files in a folder, by names that nobody can guess."""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sumnist.errors import ConfigError, HandError, OutputError
from sumnist.files import make_folder, write_atomically
from sumnist.inference.hand import Hand

NAME = re.compile(r"[0-9a-f]{32}")
"""The name of a hand."""
DAY = 86_400
"""Seconds in a day."""


@dataclass(frozen=True)
class Hands:
    """A folder of at most `most` hands, each kept for `days` after its last use."""

    folder: Path
    days: float
    most: int

    def make(self) -> None:
        """Make the folder. Raises `ConfigError`."""
        try:
            make_folder(self.folder)
        except OutputError as error:
            raise ConfigError(f"--hands {error}, expected a folder, or a place for a new one") from error

    def add(self, hand: Hand) -> str:
        """Keep a hand, and return its name. Raises `OutputError`, and `HandError` if there are too many hands."""
        there = [path for path in self.folder.glob("*.hand") if self.is_kept(path)]
        if len(there) >= self.most:
            raise HandError(f"{len(there):,} hands are kept, expected at most {self.most:,}: delete one, or wait")
        self.make()
        name = secrets.token_hex(16)
        write_atomically(self.folder / f"{name}.hand", hand.to_json())
        return name

    def content(self, name: str) -> bytes:
        """The content of a hand's file, whose days begin anew. Raises `HandError`."""
        path = self.folder / f"{name}.hand"
        if NAME.fullmatch(name) and self.is_kept(path):
            with suppress(OSError):
                os.utime(path)
                return path.read_bytes()
        raise HandError(f"hand {name:.40}: is not kept here any more, or never was: learn it again")

    def remove(self, name: str) -> bool:
        """Delete a hand; returns whether there was one."""
        path = self.folder / f"{name}.hand"
        there = bool(NAME.fullmatch(name)) and self.is_kept(path)
        path.unlink(missing_ok=True) if there else None
        return there

    def is_kept(self, path: Path) -> bool:
        """Whether a hand is there; a hand whose time is over is deleted."""
        try:
            if time.time() - path.stat().st_mtime < self.days * DAY:
                return True
            path.unlink()
        except OSError:
            pass
        return False

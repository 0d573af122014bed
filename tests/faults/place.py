"""Where the commands run, and whether this machine can have faults put into them."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MISSING", "quick_folder"]

MEMORY = Path("/dev/shm")
ENOUGH = 500_000_000
"""Bytes that must be free for it to be of use."""

ASKS = Path("/proc/sys/kernel/seccomp/actions_avail")
"""Where Linux says what its filters can do."""
MISSING = (
    "" if platform.machine() in ("x86_64", "aarch64") and ASKS.exists() and "user_notif" in ASKS.read_text()
    else "Linux 5.9 or newer on x86-64 or ARM64 is needed: its filters for system calls can ask another process"
)  # fmt: skip
"""What this machine lacks to have faults put in; nothing on most."""


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder to try commands in, in memory where there is some: a disk's syncs would take most of the time."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH
    with tempfile.TemporaryDirectory(prefix="faults-", dir=MEMORY if roomy else None) as folder:
        yield Path(os.path.realpath(folder))

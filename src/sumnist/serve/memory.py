"""Memory that is freed goes back to the system, so that a server does not keep what its largest pictures once took.

glibc gives each thread a heap of its own and takes ever larger blocks from them, which come to lie in pieces: without
this, a worker grows and grows under damaged and huge pictures (benchmarks/serving.py, part "hostile").
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["give_back_what_is_freed"]

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Numbers of the settings in glibc's malloc.h."""
MIB = 2**20
SETTINGS = {
    MMAP_THRESHOLD: 4 * MIB,  # larger blocks are the system's, each by itself; a smaller limit costs speed
    TRIM_THRESHOLD: 8 * MIB,
    ARENA_MAX: 1,  # the interpreter's lock lets hardly two threads allocate at once
}


def give_back_what_is_freed() -> bool:
    """Set the allocator of this process up so, before it has threads; whether that was done, as it is with glibc."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    done = [mallopt(setting, value) for setting, value in SETTINGS.items()]
    return done == [1] * len(SETTINGS)

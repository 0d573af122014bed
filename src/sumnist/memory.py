"""What the C library does with memory that is freed: keep it for the next step, or give it back to the system.

Both set up glibc's allocator for the whole process; where there is another C library they do nothing.
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""The settings' numbers in glibc's malloc.h; see mallopt(3)."""
MIB = 2**20


def keep_freed_memory() -> bool:
    """Keep freed blocks for the next step; whether that was done.

    Every step of a training allocates the same tensors; fetching them as fresh pages each time costs up to half of a
    small network's step.
    """
    return set_up({MMAP_THRESHOLD: 1024 * MIB, TRIM_THRESHOLD: 2**31 - 1})


def return_freed_memory() -> bool:
    """Give large blocks back as soon as they are freed; whether that was done. To be called before there are threads.

    By itself glibc gives each thread a heap of its own and takes ever larger blocks from them, which come to lie in
    pieces: a server would keep growing under damaged and huge pictures. With a smaller limit for the blocks that are
    the system's, each by itself, it would be slower; and Python's lock lets hardly two threads allocate at once.
    """
    return set_up({MMAP_THRESHOLD: 4 * MIB, TRIM_THRESHOLD: 8 * MIB, ARENA_MAX: 1})


def set_up(settings: dict[int, int]) -> bool:
    """Whether the C library took all of `settings`."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return False
    taken = [mallopt(number, value) for number, value in settings.items()]
    return taken == [1] * len(settings)

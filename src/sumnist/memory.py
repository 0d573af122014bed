"""Makes the C library keep freed memory for the next step, or give it back to the system.

Both functions set up glibc's allocator for the whole process. With another C library they do nothing.
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""The numbers of these settings in glibc's malloc.h; see mallopt(3)."""
MIB = 2**20


def keep_freed_memory() -> bool:
    """Keep freed blocks for the next step. Returns whether the C library does so.

    Every step of a training allocates the same tensors. Fresh pages for them would cost up to half the time of a small
    network's step.
    """
    return set_up({MMAP_THRESHOLD: 1024 * MIB, TRIM_THRESHOLD: 2**31 - 1})


def return_freed_memory() -> bool:
    """Give large blocks back as soon as they are freed. Call this before threads start. Returns whether the C library
    does so.

    By default, glibc gives each thread its own heap and takes ever larger blocks from it. The heaps become fragmented,
    so a server that receives damaged and huge pictures would keep growing. Blocks above the limit come from the system,
    one by one; a smaller limit would be slower. One heap is enough, since Python's lock rarely lets two threads
    allocate at once.
    """
    return set_up({MMAP_THRESHOLD: 4 * MIB, TRIM_THRESHOLD: 8 * MIB, ARENA_MAX: 1})


def set_up(settings: dict[int, int]) -> bool:
    """Set up the allocator; whether the C library took all of `settings`."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return False
    taken = [mallopt(number, value) for number, value in settings.items()]
    return taken == [1] * len(settings)

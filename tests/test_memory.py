"""What the allocator does with memory that is freed: a block between others, with glibc's defaults and without."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CHURN = """
import ctypes, re, sys
from pathlib import Path
from sumnist.memory import keep_freed_memory, return_freed_memory

def used():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

assert {"returned": return_freed_memory, "kept": keep_freed_memory, "as it is": lambda: True}[sys.argv[1]]()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.malloc.argtypes, libc.memset.argtypes = [ctypes.c_size_t], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free(libc.malloc(31 * 2**20))  # from now on glibc takes blocks of up to this size from its heap
before, blocks = used(), []
for _ in range(20):  # blocks, and between them something that stays
    blocks.append(libc.malloc(8 * 2**20))
    libc.memset(blocks[-1], 1, 8 * 2**20)
    libc.malloc(100_000)
for block in blocks:
    libc.free(block)
print(used() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize(("how", "least", "most"), [("returned", -1, 10), ("kept", 100, 200), ("as it is", 100, 200)])
def test_freed_blocks_between_others_are_returned_or_kept(how: str, least: int, most: int) -> None:
    done = subprocess.run([sys.executable, "-c", CHURN, how], capture_output=True, text=True, check=True)
    assert least < float(done.stdout) < most

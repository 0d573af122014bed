"""The system calls that change files: their numbers, what each changes, and the filter that makes the kernel ask first.

A filter (seccomp, the user notification of Linux 5.9 and later) stops every one of these calls in a process and in all
that it starts, until another process has said what shall become of it. So nothing escapes: no library that writes by
itself, no thread, no worker. What only reads is not stopped.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import NamedTuple

__all__ = ["KINDS", "Call", "call_of", "install_filter", "text_at"]


class Shape(NamedTuple):
    """A system call. `kind`: what it does. `numbers`: on x86-64 and on ARM64, None where there is none. `paths`: the
    places of its arguments that are file descriptors ("f"), names ("n"), or names in a folder ("d", the folder's
    descriptor, with the name behind it)."""

    kind: str
    numbers: tuple[int | None, int | None]
    paths: tuple[str, ...]


SHAPES = {
    "open": Shape("open", (2, None), ("n0",)),
    "creat": Shape("open", (85, None), ("n0",)),
    "openat": Shape("open", (257, 56), ("d0",)),
    "openat2": Shape("open", (437, 437), ("d0",)),
    "mknod": Shape("open", (133, None), ("n0",)),
    "mknodat": Shape("open", (259, 33), ("d0",)),
    "write": Shape("write", (1, 64), ("f0",)),
    "pwrite64": Shape("write", (18, 68), ("f0",)),
    "writev": Shape("write", (20, 66), ("f0",)),
    "pwritev": Shape("write", (296, 70), ("f0",)),
    "pwritev2": Shape("write", (328, 287), ("f0",)),
    "sendfile": Shape("write", (40, 71), ("f0",)),
    "copy_file_range": Shape("write", (326, 285), ("f2",)),
    "splice": Shape("write", (275, 76), ("f2",)),
    "fsync": Shape("sync", (74, 82), ("f0",)),
    "fdatasync": Shape("sync", (75, 83), ("f0",)),
    "rename": Shape("rename", (82, None), ("n0", "n1")),
    "renameat": Shape("rename", (264, 38), ("d0", "d2")),
    "renameat2": Shape("rename", (316, 276), ("d0", "d2")),
    "link": Shape("link", (86, None), ("n0", "n1")),
    "linkat": Shape("link", (265, 37), ("d0", "d2")),
    "symlink": Shape("link", (88, None), ("n1",)),
    "symlinkat": Shape("link", (266, 36), ("d1",)),
    "unlink": Shape("unlink", (87, None), ("n0",)),
    "unlinkat": Shape("unlink", (263, 35), ("d0",)),
    "rmdir": Shape("unlink", (84, None), ("n0",)),
    "mkdir": Shape("mkdir", (83, None), ("n0",)),
    "mkdirat": Shape("mkdir", (258, 34), ("d0",)),
    "truncate": Shape("truncate", (76, 45), ("n0",)),
    "ftruncate": Shape("truncate", (77, 46), ("f0",)),
    "fallocate": Shape("truncate", (285, 47), ("f0",)),
    "flock": Shape("lock", (73, 32), ("f0",)),
    "utimensat": Shape("attributes", (280, 88), ("d0",)),
    "utimes": Shape("attributes", (235, None), ("n0",)),
    "utime": Shape("attributes", (132, None), ("n0",)),
    "chmod": Shape("attributes", (90, None), ("n0",)),
    "fchmod": Shape("attributes", (91, 52), ("f0",)),
    "fchmodat": Shape("attributes", (268, 53), ("d0",)),
    "fchmodat2": Shape("attributes", (452, 452), ("d0",)),
    "chown": Shape("attributes", (92, None), ("n0",)),
    "lchown": Shape("attributes", (94, None), ("n0",)),
    "fchown": Shape("attributes", (93, 55), ("f0",)),
    "fchownat": Shape("attributes", (260, 54), ("d0",)),
}
KINDS = tuple(dict.fromkeys(shape.kind for shape in SHAPES.values()))

MACHINE = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
"""Which of the numbers are this machine's; None where there are none for it."""
ARCHITECTURE, SECCOMP = ((0xC000003E, 317), (0xC00000B7, 277))[MACHINE or 0]
NAMES = {number: name for name, shape in SHAPES.items() if (number := shape.numbers[MACHINE or 0]) is not None}
FLAGS_OF_OPEN = {"open": 1, "openat": 2}
"""Where these have their flags: opening to read is not stopped."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
HERE = -100
"""The descriptor that stands for the working folder, AT_FDCWD."""

libc = ctypes.CDLL(None, use_errno=True)


class Call(NamedTuple):
    """A call that is to change something: what `kind`, the `name` of the system call, the paths, and its arguments."""

    kind: str
    name: str
    paths: tuple[str, ...]
    arguments: tuple[int, ...]


def call_of(process: int, number: int, arguments: tuple[int, ...]) -> Call:
    """The call that `process` waits in."""
    shape = SHAPES[NAMES[number]]
    paths = tuple(path_of(process, how[0], arguments[int(how[1]) :]) for how in shape.paths)
    return Call(shape.kind, NAMES[number], paths, arguments)


def path_of(process: int, how: str, arguments: tuple[int, ...]) -> str:
    """The absolute path that the first of `arguments`, or the first two, stand for in `process`."""
    proc = f"/proc/{process}"
    if how == "f":
        return os.readlink(f"{proc}/fd/{arguments[0] & 0xFFFFFFFF}")
    pointer = arguments[0] if how == "n" else arguments[1]
    name = os.fsdecode(text_at(process, pointer)) if pointer else ""
    folder = ctypes.c_int(arguments[0] & 0xFFFFFFFF).value if how == "d" else HERE
    base = os.readlink(f"{proc}/cwd" if folder == HERE else f"{proc}/fd/{folder}")
    return os.path.normpath(os.path.join(base, name))


def text_at(process: int, pointer: int) -> bytes:
    """The text that ends with a zero, at `pointer` in the memory of `process`."""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        found = b""
        while b"\0" not in found:  # to the end of each page: the next one may not be there
            found += os.pread(memory.fileno(), 4096 - (pointer + len(found)) % 4096, pointer + len(found))
        return found[: found.index(b"\0")]


def install_filter() -> int:
    """Have the kernel ask before every such call of this process, from now on; whom it asks: the descriptor to answer
    on. Raises `OSError`."""
    program = program_of(sorted(NAMES))
    code = ctypes.create_string_buffer(b"".join(program), 8 * len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)), 16)
    no_new_privileges, set_filter, new_listener, only_a_kill_interrupts = 38, 1, 8, 32
    if libc.prctl(no_new_privileges, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs was refused")
    for flags in (new_listener | only_a_kill_interrupts, new_listener):  # the second for Linux before 5.19
        listener: int = libc.syscall(SECCOMP, set_filter, flags, header)
        if listener >= 0:
            return listener
    raise OSError(ctypes.get_errno(), "the filter for system calls was refused")


def program_of(numbers: list[int]) -> list[bytes]:
    """The filter as instructions of BPF: ask for these calls, allow all others and what opens to read."""
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    allow, ask = 0x7FFF0000, 0x7FC00000
    opens = [number for number in numbers if NAMES[number] in FLAGS_OF_OPEN]
    plain = [number for number in numbers if number not in opens]
    end = 3 + len(plain) + 3 * len(opens)  # where "allow" is, and "ask" behind it

    def line(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_so, if_not, value)

    program = [line(load, 4), line(equal, ARCHITECTURE, 0, end - 2), line(load, 0)]
    program += [line(equal, number, end - 3 - place) for place, number in enumerate(plain)]
    for number in opens:
        left = end - len(program)
        flags = 16 + 8 * FLAGS_OF_OPEN[NAMES[number]]
        program += [line(equal, number, 0, 2), line(load, flags), line(any_bit, WRITES, left - 2, left - 3)]
    return [*program, line(answer, allow), line(answer, ask)]

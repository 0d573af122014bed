"""The system calls that change files, stopped in a process and in all that it starts.

A filter (seccomp, the user notification of Linux 5.9 and later) makes the kernel ask what shall become of each of them.
So nothing escapes: no library that writes by itself, no thread, no worker. What only reads is not stopped. A `Watch`
lets every call go on, but the one that a fault is for.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import signal
import struct
import time
from dataclasses import dataclass, field
from typing import NamedTuple


class Shape(NamedTuple):
    """A system call. `kind`: what it does. `paths`: the places of its arguments that are file descriptors ("f"), names
    ("n"), or names in a folder ("d", the folder's descriptor, with the name behind it)."""

    kind: str
    name: str
    paths: tuple[str, ...]


CALLS = {
    "open": "open 2 - n0, creat 85 - n0, openat 257 56 d0, openat2 437 437 d0, mknod 133 - n0, "
    "mknodat 259 33 d0",
    "write": "write 1 64 f0, pwrite64 18 68 f0, writev 20 66 f0, pwritev 296 70 f0, pwritev2 328 287 f0, "
    "sendfile 40 71 f0, copy_file_range 326 285 f2, splice 275 76 f2",
    "sync": "fsync 74 82 f0, fdatasync 75 83 f0",
    "rename": "rename 82 - n0+n1, renameat 264 38 d0+d2, renameat2 316 276 d0+d2",
    "link": "link 86 - n0+n1, linkat 265 37 d0+d2, symlink 88 - n1, symlinkat 266 36 d1",
    "unlink": "unlink 87 - n0, unlinkat 263 35 d0, rmdir 84 - n0",
    "mkdir": "mkdir 83 - n0, mkdirat 258 34 d0",
    "truncate": "truncate 76 45 n0, ftruncate 77 46 f0, fallocate 285 47 f0",
    "lock": "flock 73 32 f0",
    "attributes": "utimensat 280 88 d0, utimes 235 - n0, utime 132 - n0, chmod 90 - n0, fchmod 91 52 f0, "
    "fchmodat 268 53 d0, fchmodat2 452 452 d0, chown 92 - n0, lchown 94 - n0, fchown 93 55 f0, "
    "fchownat 260 54 d0",
}  # fmt: skip
"""What each call does: its name, its numbers on x86-64 and on ARM64, and its paths, as `Shape` has them."""

MACHINE = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
"""Which of the numbers are this machine's; None where there are none for it."""
ARCHITECTURE, SECCOMP = ((0xC000003E, 317), (0xC00000B7, 277))[MACHINE or 0]
SHAPES = {
    int(words[1 + (MACHINE or 0)]): Shape(kind, words[0], tuple(words[3].split("+")))
    for kind, calls in CALLS.items()
    for words in map(str.split, calls.split(","))
    if words[1 + (MACHINE or 0)] != "-"
}
"""The calls of this machine by their numbers."""
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
    kind, name, places = SHAPES[number]
    return Call(kind, name, tuple(path_of(process, how[0], arguments[int(how[1]) :]) for how in places), arguments)


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
    program = program_of(sorted(SHAPES))
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
    opens = [number for number in numbers if SHAPES[number].name in FLAGS_OF_OPEN]
    plain = [number for number in numbers if number not in opens]
    end = 3 + len(plain) + 3 * len(opens)  # where "allow" is, and "ask" behind it

    def line(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_so, if_not, value)

    program = [line(load, 4), line(equal, ARCHITECTURE, 0, end - 2), line(load, 0)]
    program += [line(equal, number, end - 3 - place) for place, number in enumerate(plain)]
    for number in opens:
        left = end - len(program)
        flags = 16 + 8 * FLAGS_OF_OPEN[SHAPES[number].name]
        program += [line(equal, number, 0, 2), line(load, flags), line(any_bit, WRITES, left - 2, left - 3)]
    return [*program, line(answer, allow), line(answer, ask)]


FAULTS = ("ENOSPC", "EIO", "SIGKILL", "SIGKILL in it")
"""What befalls a call.

ENOSPC: the disk is full, and stays full: of a write, half is taken; every later call that needs space fails as well.
EIO: this one call fails, and has done nothing. SIGKILL: the process is killed before the call. SIGKILL in it: killed
when half of the bytes were written; it befalls writes alone.
"""
RECEIVE, SEND = 0xC0502100, 0xC0182101
"""The requests (ioctl) of the user notification."""
GO_ON = 1
PIDFD_GETFD = 438
NEED_SPACE = {"write", "mkdir", "link", "truncate"}
"""Kinds of calls that fail on a full disk, besides those that make a file."""


class Fault(NamedTuple):
    """What befalls the call number `at`, counted from 1."""

    at: int
    what: str


@dataclass
class Watch:
    """What a process does to the files under `root`, and what a fault makes of it.

    Attributes:
        calls: Kind and path of every call so far, as text.
        struck: The call that the fault has befallen; None if it did not come to it.
    """

    root: str
    fault: Fault | None = None
    calls: list[str] = field(default_factory=list)
    struck: str | None = None
    full: bool = False

    def until_all_are_gone(self, listener: int, seconds: float) -> bool:
        """Answer until no process is left under the filter; whether that was so in time."""
        poll, end = select.poll(), time.monotonic() + seconds
        poll.register(listener, select.POLLIN)
        while (left := end - time.monotonic()) > 0:
            for _, event in poll.poll(1000 * left):
                if not event & select.POLLIN:
                    return True
                self.answer_one(listener)
        return False

    def answer_one(self, listener: int) -> None:
        """Answer the next call."""
        request = bytearray(80)
        try:
            fcntl.ioctl(listener, RECEIVE, request)
        except OSError:  # it was killed meanwhile
            return
        key, process, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", request)
        value, error, flags = 0, 0, GO_ON
        try:
            call = call_of(process, number, tuple(arguments))
            if any(path == self.root or path.startswith(self.root + "/") for path in call.paths):
                value, error = self.fate(call, process)
                flags = 0 if value or error else GO_ON
        except (OSError, ProcessLookupError):  # a descriptor that is not open, a process that is gone: the kernel's
            pass
        try:
            fcntl.ioctl(listener, SEND, struct.pack("QqiI", key, value, -error, flags))
        except OSError:
            return

    def fate(self, call: Call, process: int) -> tuple[int, int]:
        """What the call returns, and with which error; (0, 0): let it go on."""
        self.calls.append(self.text(call))
        if self.full:
            makes = call.kind == "open" and not os.path.lexists(call.paths[0])
            return 0, errno.ENOSPC if makes or call.kind in NEED_SPACE else 0
        if self.fault is None or len(self.calls) != self.fault.at:
            return 0, 0
        self.struck = self.calls[-1]
        if self.fault.what == "EIO":
            return 0, errno.EIO
        written = write_half(call, process) if self.fault.what != "SIGKILL" else 0
        if self.fault.what == "ENOSPC":
            self.full = True
            return written, 0 if written else errno.ENOSPC
        os.kill(process, signal.SIGKILL)
        return 0, errno.EINTR

    def text(self, call: Call) -> str:
        """Kind and paths, from the root; the numbers of processes in names are left out."""
        names = [re.sub(r"(partial-)\d+", r"\1N", os.path.relpath(path, self.root)) for path in call.paths]
        return f"{call.kind} {' '.join(names)}"


def write_half(call: Call, process: int) -> int:
    """Do the first half of a write; how many bytes that is."""
    if call.name not in ("write", "pwrite64", "writev"):
        return 0
    target, where, size = call.arguments[:3]
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        parts = [(where, size)]
        if call.name == "writev":
            parts = list(struct.iter_unpack("PN", os.pread(memory.fileno(), 16 * size, where)))
        data = b"".join(os.pread(memory.fileno(), length, start) for start, length in parts)
    half = data[: len(data) // 2]
    pidfd = os.pidfd_open(group_of(process))
    copy = libc.syscall(PIDFD_GETFD, pidfd, ctypes.c_int(target & 0xFFFFFFFF), 0)
    os.close(pidfd)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "the file of another process could not be had")
    try:
        return os.pwrite(copy, half, call.arguments[3]) if call.name == "pwrite64" else os.write(copy, half)
    finally:
        os.close(copy)


def group_of(thread: int) -> int:
    """The process that a thread is of."""
    with open(f"/proc/{thread}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Tgid:"))

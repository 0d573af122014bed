"""Answering the kernel for a process under the filter: every call goes on, but the one that a fault is for."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import select
import signal
import struct
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from faults.calls import Call, call_of, libc

__all__ = ["FAULTS", "Fault", "Watch"]

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

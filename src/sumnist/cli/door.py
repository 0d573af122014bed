"""Prints the output of the command line, and turns an error into one line and an exit code."""

from __future__ import annotations

import errno
import os
import platform
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

from sumnist.errors import MissingExtraError, SumnistError, visible
from sumnist.files import cannot_write

BROKEN_PIPE, INTERRUPTED, UNFORESEEN = 141, 130, 70
"""Exit codes: those that a shell shows for SIGPIPE and SIGINT, and EX_SOFTWARE of sysexits.h."""
MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Error numbers of trouble with the machine, not with one file."""
NO_MEMORY = r"out of memory|not enough memory|allocate memory|bad_alloc"
"""A pattern of messages. torch and ONNX Runtime raise errors of their own with such messages where other libraries
raise `MemoryError`."""


def open_streams() -> None:
    """Connect closed standard streams to the null device, so that no file takes their place. Let the other streams
    write every character, as an escape if their encoding lacks it."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = Path(os.devnull).open("r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
        elif isinstance(stream, TextIOWrapper) and (stream.errors, stream.encoding) != ("surrogateescape", "utf-8"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print `text`. Raises `OutputError`, and `BrokenPipeError` if the program that reads the output, such as `head`,
    has ended."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop(sys.stdout)
        raise cannot_write(Path("standard output"), error) from error


def drop(stream: object) -> None:
    """Send the unwritten rest of a standard stream to the null device; the interpreter would fail on it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]


def complain(message: str) -> None:
    """Print `message` as one line of standard error, if that can be written."""
    try:
        print(f"sumnist: {visible(message)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        drop(sys.stderr)


def answer(error: BaseException, words: Sequence[str], shows: bool) -> int:
    """Print in one line what went wrong.

    Args:
        error: The error that ended the command.
        words: The command line.
        shows: Whether to show the traceback of an error that is not one of this package's own.

    Returns:
        The exit code.
    """
    if isinstance(error, ModuleNotFoundError):
        with suppress(ModuleNotFoundError):
            error = MissingExtraError.of(error, f"sumnist {words[0]}")
    if isinstance(error, SumnistError):
        message, code = str(error), error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        message, code = "stopped", INTERRUPTED
    elif isinstance(error, BrokenPipeError):  # nobody reads the output any more: no message
        drop(sys.stdout)
        return BROKEN_PIPE
    else:
        text = "".join(traceback.format_exception(error))
        if shows:
            show(text)
        message, code = known(error), 1
        if not message:
            what = traceback.format_exception_only(error)[-1].strip()[:300]
            place = "its traceback is above" if shows else f"the report of it is {report(text, words)}"
            message = f"an error that was not foreseen ({what}): {place}: send it to the makers of sumnist"
            code = UNFORESEEN
    complain(message)
    return code


def known(error: BaseException) -> str:
    """The message for an error of the machine or of a file, which is no fault of this package; empty for others."""
    if isinstance(error, MemoryError) or re.search(NO_MEMORY, str(error), re.IGNORECASE):
        return (
            "out of memory: end other programs, or ask for less at once: a smaller --batch-size, fewer --workers, "
            "a smaller picture"
        )
    if not isinstance(error, OSError):
        return ""
    reason = (error.strerror or str(error)).lower()
    if error.filename is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else error.filename
        return f"{name}: cannot be used ({reason}): check its name and permissions"
    return f"the system says: {reason}: mend that, and run the command again" if error.errno in MACHINE else ""


def report(text: str, words: Sequence[str]) -> str:
    """Write a report with the traceback `text` into the folder for temporary files, or, if that fails, on standard
    error. Returns where the report is."""
    from sumnist import __version__

    head = f"sumnist: {__version__}\ncommand: {shlex.join(['sumnist', *words])}\n"
    text = f"{head}python: {sys.version}\nsystem: {platform.platform()}\n\n{text}"
    try:
        handle, name = tempfile.mkstemp(".txt", "sumnist-report-")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError:
        show(text)
        return "above"
    return f"in {name}"


def show(text: str) -> None:
    """Print `text` on standard error, if that can be written."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)

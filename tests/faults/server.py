"""A process that has everything imported and forks: each command starts within some milliseconds, as if from the shell.

    python -m faults.server

reads jobs, a line of JSON each, from standard input, and answers each with a line. The first job is `{"import": […]}`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from faults.calls import install_filter
from faults.watch import Fault, Watch

Job = dict[str, Any]


def serve() -> Job | None:
    """Do jobs until there are no more; in the process that is to do one, that job."""
    questions, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    for line in questions:
        job: Job = json.loads(line)
        if "import" in job:
            answer: Any = import_all(job["import"])
        else:
            ours, theirs = socket.socketpair()
            child = os.fork()
            if not child:
                for stream in (questions, answers, ours):
                    stream.close()
                begin(job, theirs)
                return job
            theirs.close()
            with ours:
                answer = supervise(job, child, ours)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return None


def import_all(names: list[str]) -> int:
    """Import what can be imported, of modules that a command had loaded, without ONNX Runtime and what needs it: it
    starts a thread, which no fork has. How many threads there are, which must be one."""
    sys.modules["onnxruntime"] = None  # type: ignore[assignment]
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    del sys.modules["onnxruntime"]
    gc.collect()
    gc.freeze()
    return len(os.listdir("/proc/self/task"))


def begin(job: Job, server: socket.socket) -> None:
    """Make this process that of a command, with the kernel asking the server before each call that changes files."""
    os.setsid()
    os.chdir(job["root"])
    os.environ.update(job["environment"])
    tempfile.tempdir = None  # of the server, if it has asked for it
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    listener = install_filter()
    socket.send_fds(server, [b"."], [listener])
    server.close()
    os.close(listener)


def supervise(job: Job, child: int, connection: socket.socket) -> Job:
    """Answer the kernel until the command has ended, and all that it started."""
    began = time.monotonic()
    _, (listener,), _, _ = socket.recv_fds(connection, 1, 1)
    watch = Watch(job["root"], Fault(*job["fault"]) if job["fault"] else None)
    ended = watch.until_all_are_gone(listener, job["timeout"])
    os.close(listener)
    with contextlib.suppress(ProcessLookupError):
        if not ended:
            os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {"status": os.waitstatus_to_exitcode(status), "calls": watch.calls, "struck": watch.struck, "ended": ended,
            "seconds": time.monotonic() - began}  # fmt: skip


def perform(job: Job) -> int:
    """What the command line would do."""
    if job["cold"]:
        os.execv(sys.executable, [sys.executable, "-m", "sumnist", *job["words"]])
    if job["modules"]:
        atexit.register(lambda: Path(job["modules"]).write_text(json.dumps(sorted(sys.modules))))
    main = importlib.util.spec_from_loader("sumnist.__main__", None)
    sys.modules["__main__"].__spec__ = main  # so that worker processes start as those of `python -m sumnist` do
    exec(job["before"], {})
    if job["code"]:
        exec(job["code"], {})
        return 0
    from sumnist.cli import main as command

    return command(job["words"])


def leave(status: int) -> None:
    """End as the interpreter does, but for taking down every module one by one, which takes longer than a command."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


if __name__ == "__main__":
    if job := serve():
        try:
            status: int | str | None = perform(job)
        except SystemExit as stop:
            status = stop.code
        except BaseException:
            traceback.print_exc()
            status = 1
        if isinstance(status, str):
            sys.stderr.write(f"{status}\n")
            status = 1
        leave(status or 0)

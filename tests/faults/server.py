"""A process that has everything imported and forks: each command starts within some milliseconds, as if from the shell.

    python -m faults.server

reads jobs, a line of JSON each, from standard input, and answers each with a line. The first job is `{"import": […]}`.
A `Server` starts such a process, and asks it.
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
import subprocess
import sys
import tempfile
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.calls import Fault, Watch, install_filter

Job = dict[str, Any]
TESTS = Path(__file__).resolve().parent.parent
FIRST = ("sumnist.cli", "sumnist.training.loop", "sumnist.training.evaluate", "sumnist.batch.sources")
"""What is imported before the first command; of every later one, what that one had loaded."""
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""A process with threads cannot be forked; and two servers share the cores."""


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    Attributes:
        status: Its exit status; minus the number of the signal that killed it.
        calls: Kind and paths of each call of it, and of what it started, that was to change files.
        struck: The call that the fault befell; None if it did not come to that.
        ended: Whether it ended in time, and all that it started.
        output: What it printed.
        errors: What it printed on standard error.
    """

    status: int
    calls: list[str]
    struck: str | None
    ended: bool
    output: str
    errors: str


class Server:
    """A server with a folder of its own, in which commands run in `root`. To be closed.

    Commands run with the package that the environment's PYTHONPATH leads to, else with the installed one.
    """

    patience = 60.0
    """Seconds that a command may take, with all that it has started."""

    def __init__(self, place: Path) -> None:
        self.place, self.root = place, place / "root"
        paths = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "faults.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **THREADS, "PYTHONPATH": paths}, cwd=place,
        )  # fmt: skip
        self.known: set[str] = set()
        self.import_all(FIRST)

    def close(self) -> None:
        """End the server."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, job: dict[str, Any]) -> Any:
        """The answer to one job."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def import_all(self, names: tuple[str, ...] | list[str]) -> None:
        """Have the server import modules, so that no command need do it again."""
        new = [name for name in names if name not in self.known]
        self.known.update(new)
        threads = self.ask({"import": new}) if new else 1
        assert threads == 1, f"an import started {threads - 1} threads, which no fork would have"

    def run(
        self, words: tuple[str, ...], code: str, before: str, fault: Fault | None = None, learn: bool = False
    ) -> Outcome:
        """Run a command in `root`.

        Args:
            words: The words of the command line behind `sumnist`.
            code: Python to run instead of a command.
            before: Python to run before it, in the same process.
            fault: What shall befall one of its calls.
            learn: Whether the server shall import what the command had loaded.
        """
        names = {name: str(self.place / name) for name in ("stdout", "stderr", "modules")}
        job = {
            "root": str(self.root), "words": words, "code": code, "before": before, "fault": fault,
            "timeout": self.patience, **names,
            "environment": {"TMPDIR": str(self.root / "tmp"), "GIT_DIR": os.devnull},  # git may be too slow to answer
            "modules": names["modules"] if learn else "",
        }  # fmt: skip
        answer = self.ask(job)
        if learn and answer["status"] in (0, 1):
            self.import_all(json.loads(Path(names["modules"]).read_text()))
        output, errors = (Path(names[name]).read_text(errors="replace") for name in ("stdout", "stderr"))
        return Outcome(**answer, output=output, errors=errors)


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
    _, (listener,), _, _ = socket.recv_fds(connection, 1, 1)
    watch = Watch(job["root"], Fault(*job["fault"]) if job["fault"] else None)
    ended = watch.until_all_are_gone(listener, job["timeout"])
    os.close(listener)
    with contextlib.suppress(ProcessLookupError):
        if not ended:
            os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {"status": os.waitstatus_to_exitcode(status), "calls": watch.calls, "struck": watch.struck, "ended": ended}


def perform(job: Job) -> int:
    """What the command line would do."""
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
            status: object = perform(job)
        except SystemExit as stop:
            status = stop.code or 0
        except BaseException:
            status = traceback.format_exc()
        if not isinstance(status, int):
            sys.stderr.write(f"{status}\n")
            status = 1
        leave(status)

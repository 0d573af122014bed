"""Asking the server of `server.py` to run a command, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.watch import Fault

__all__ = ["Outcome", "Server"]

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
        seconds: How long it took.
    """

    status: int
    calls: list[str]
    struck: str | None
    ended: bool
    output: str
    errors: str
    seconds: float


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
        self,
        words: tuple[str, ...] = (),
        code: str = "",
        before: str = "",
        fault: Fault | None = None,
        cold: bool = False,
        learn: bool = False,
    ) -> Outcome:
        """Run a command in `root`.

        Args:
            words: The words of the command line behind `sumnist`.
            code: Python to run instead of a command.
            before: Python to run before it, in the same process.
            fault: What shall befall one of its calls.
            cold: Whether to start a new interpreter for it, instead of a fork; then without `before`.
            learn: Whether the server shall import what the command had loaded.
        """
        names = {name: str(self.place / name) for name in ("stdout", "stderr", "modules")}
        job = {
            "root": str(self.root), "words": words, "code": code, "before": before, "fault": fault, "cold": cold,
            "timeout": self.patience, "environment": {"TMPDIR": str(self.root / "tmp")}, **names,
            "modules": names["modules"] if learn else "",
        }  # fmt: skip
        answer = self.ask(job)
        if learn and answer["status"] in (0, 1):
            self.import_all(json.loads(Path(names["modules"]).read_text()))
        output, errors = (Path(names[name]).read_text(errors="replace") for name in ("stdout", "stderr"))
        return Outcome(**answer, output=output, errors=errors)

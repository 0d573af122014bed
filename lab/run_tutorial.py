"""Run docs/tutorial.md as a reader would, and write the output of its commands and its Python into it.

    python -m lab tutorial

Blocks of `console` have commands behind `$`, and the output of each command below it. The output of a block of `python`
stands in a block of `text` behind it. All Python runs in one session. `sumnist serve` keeps running while the next
commands run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/tutorial.md"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```\n(?:\n```text\n.*?^```\n)?", re.MULTILINE | re.DOTALL)
ADDRESS = "127.0.0.1:8000"
"""The server's address on the page; the real server takes a free port instead."""


def ran(page: str, place: Path) -> str:
    """Return the page with the output that its blocks have now.

    Args:
        page: The Markdown of the page.
        place: An empty folder to run the page in.
    """
    shutil.copytree(ROOT / "examples", place / "examples")
    programs = place / ".venv/bin"
    programs.mkdir(parents=True)
    for name, words in (("python", ""), ("sumnist", "-m sumnist ")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (programs / name).chmod(0o755)
    with ExitStack() as servers:
        session = Session(place, servers)
        return BLOCK.sub(lambda block: session.console(block[2]) if block[1] == "console" else session.python(block[2]),
                         page)  # fmt: skip


class Session:
    """Runs commands in one folder, and Python in one interpreter."""

    def __init__(self, place: Path, servers: ExitStack) -> None:
        self.place, self.servers, self.address = place, servers, ADDRESS
        self.names: dict[str, Any] = {}
        programs = os.pathsep.join([str(place / ".venv/bin"), os.environ["PATH"]])
        self.environment = os.environ | {"PATH": programs, "COLUMNS": "80", "OMP_NUM_THREADS": "1"}

    def console(self, block: str) -> str:
        """Run a block of commands, and return it with the output of each."""
        commands = [line for line in block.splitlines() if line.startswith("$ ")]
        said = "".join(f"{command}\n{self.said(command.removeprefix('$ '))}" for command in commands)
        return f"```console\n{said}```\n"

    def said(self, command: str) -> str:
        """Run a command, and return its output, errors included."""
        if command == "sumnist serve":
            return self.served()
        result = subprocess.run(
            command.replace(ADDRESS, self.address), shell=True, cwd=self.place, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        return result.stdout

    def served(self) -> str:
        """Start a server that runs until the page ends, and return the first line that it prints."""
        words = [sys.executable, "-m", "sumnist", "serve", "--port", "0"]
        server = self.servers.enter_context(
            subprocess.Popen(words, cwd=self.place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
        self.servers.callback(server.terminate)
        assert server.stdout is not None
        line = server.stdout.readline()
        self.address = line.partition("http://")[2].partition(" ")[0]
        return line.replace(self.address, ADDRESS)

    def python(self, code: str) -> str:
        """Run the code, and return it with its output, if any, behind it."""
        before, printed = Path.cwd(), StringIO()
        os.chdir(self.place)
        try:
            with redirect_stdout(printed):
                exec(code, self.names)
        finally:
            os.chdir(before)
        output = f"\n```text\n{printed.getvalue()}```\n" if printed.getvalue() else ""
        return f"```python\n{code}```\n{output}"


def main(words: Sequence[str] | None = None) -> None:
    """Rewrite the page with its output."""
    with tempfile.TemporaryDirectory() as place:
        PAGE.write_text(ran(PAGE.read_text(encoding="utf-8"), Path(place)), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: written")

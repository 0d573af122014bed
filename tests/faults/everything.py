"""Every fault at every call of every command, as a table.

    python -m faults.everything docs/results/faults.jsonl [COMMAND …]

writes a row for each command and prints what was promised and not kept; exits with 1 if there is anything. With names
of commands it tries these alone, and writes no rows.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from faults.commands import COMMANDS, Command
from faults.trial import MISSING, Finding, Trial, Workshop, every_fault, quick_folder
from sumnist.environment import core_count, describe_machine, now
from sumnist.files import write_atomically

HERE = threading.local()
"""The workshop of each thread, which waits for a server of its own."""


def try_everything(command: Command, stack: ExitStack) -> tuple[dict[str, Any], list[Finding]]:
    """The row of a command, and its findings."""
    if not hasattr(HERE, "workshop"):
        HERE.workshop = Workshop(stack.enter_context(quick_folder()))
        stack.callback(HERE.workshop.close)
    began = time.monotonic()
    trial = Trial(HERE.workshop, command)
    trial.try_all(every_fault(trial.calls))
    seconds = time.monotonic() - began
    print(f"{command.name}: {trial.tried} faults, {len(trial.findings)} findings, {seconds:.0f} s", flush=True)
    return trial.row() | {"seconds": seconds}, trial.findings


def main(words: list[str]) -> int:
    """Try all, or some."""
    if MISSING:
        raise SystemExit(MISSING)
    path, *names = words
    commands = [command for command in COMMANDS if command.name in names or not names]
    with ExitStack() as stack, ThreadPoolExecutor(core_count()) as pool:
        tried = list(pool.map(lambda command: try_everything(command, stack), commands))
    for _, findings in tried:
        print("".join(f"  {finding}\n" for finding in findings), end="")
    machine = describe_machine()
    facts = {"part": "faults", "date": now(), "commit": machine.pop("commit"), "machine": machine}
    if not names:
        write_atomically(Path(path), "".join(json.dumps(facts | row) + "\n" for row, _ in tried))
    return 1 if any(findings for _, findings in tried) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

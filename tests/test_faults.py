"""Everything that writes files keeps its promises when a call fails or the process is killed (`faults.py`).

`make test` tries a sample of the faults, `make test-long` every fault at every call.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sumnist
from faults import MACHINE, WRITERS, WRONG

ASKS = Path("/proc/sys/kernel/seccomp/actions_avail")
SAMPLE = "a file", "a correction", "a table, killed before", "a run, over an older one"


def tried(*words: str) -> subprocess.CompletedProcess[str]:
    """Try some writers in a process without threads."""
    if not (MACHINE and ASKS.exists() and "user_notif" in ASKS.read_text()):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs Linux 5.9 or newer on x86-64 or ARM64")
    path = os.pathsep.join(["tests", ".", os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, "tests/faults.py", *words]
    root = Path(__file__).parent.parent
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=environment)


def test_whatever_fails_nothing_is_lost_and_nothing_is_silently_wrong() -> None:
    done = tried("--every", "13", *SAMPLE)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.long
@pytest.mark.parametrize("writer", WRITERS)
def test_no_call_can_fail_or_die_with_a_loss(writer: str) -> None:
    done = tried(writer)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.long
def test_a_writer_that_breaks_a_promise_is_found() -> None:
    found = tried(*WRONG).stdout
    for expected in (
        "real.txt is neither as it was nor complete", "it ends without an error, but differs in ['real.txt']",
        "again, differs in ['aside-", "it ends with 70",
    ):  # fmt: skip
        assert expected in found


CHANGE = {"write_text", "write_bytes", "unlink", "rename", "rmdir", "rmtree", "mkdir", "makedirs", "truncate",
          "symlink_to", "touch", "to_file", "tofile", "save_file", "removedirs"}  # fmt: skip
ALLOWED = {"files.py", "model/folder.py", "training/folder.py"}
"""The modules that change files on their own, all of which are tried above; all others write through them."""
ELSEWHERE = {("serve/hands.py", "unlink")}
"""The server removes a hand that has expired."""


def test_no_other_module_changes_files_on_its_own() -> None:
    root = Path(sumnist.__file__).parent
    found = {
        (str(path.relative_to(root)), node.attr)
        for path in root.rglob("*.py") if str(path.relative_to(root)) not in ALLOWED
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in CHANGE
    }  # fmt: skip
    assert found == ELSEWHERE

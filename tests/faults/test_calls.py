"""The harness sees every call that changes a file: as many, of the same kinds and paths, as strace sees; and a fork of
the server behaves as a new interpreter does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from faults.calls import SHAPES
from faults.commands import COMMANDS, OLD, SAVE, TRAIN, Command, Step
from faults.trial import Trial, Workshop
from faults.watch import Fault

pytestmark = pytest.mark.heavy

READ = {
    "read", "pread64", "readv", "preadv", "preadv2", "lseek", "close", "close_range", "stat", "fstat", "lstat",
    "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd",
    "chdir", "fchdir", "fcntl", "ioctl", "dup", "dup2", "dup3", "poll", "ppoll", "select", "pselect6", "execve",
    "execveat", "getxattr", "lgetxattr", "fgetxattr", "listxattr", "statfs", "fstatfs", "fadvise64", "readahead",
    "epoll_ctl", "epoll_wait", "inotify_add_watch", "name_to_handle_at",
}  # fmt: skip
"""System calls on files that change none; one that is in neither this set nor `SHAPES` fails the test."""
OPENS = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
SHARED = re.compile(r"PROT_WRITE.*MAP_SHARED")
SCORING = """
from sumnist.cli import main
from sumnist.inference import table
table.SAVE_EVERY = 1e9  # seconds: under strace the time of a note would come sooner
main("score INPUTS/table.csv --out table.csv --workers 2".split())
"""
CASES = {
    "train --overwrite": ((OLD,), f"{TRAIN} --overwrite", ""),
    "export --int8": ((OLD,), "export run --int8", ""),
    "save_pretrained": ((), "", SAVE),
    "score": ((), "", SCORING),
    "predict": ((), "predict INPUTS/pictures/3.png --number 7 --show steps.png", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_strace_sees_the_same_calls(name: str, workshop: Workshop) -> None:
    strace = shutil.which("strace")
    if strace is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("strace is missing: apt-get install strace")
    steps, words, code = CASES[name]
    workshop.begin_with(steps)
    ours = Counter(call for call in workshop.run(words, code, shorter=False).calls if " tmp/" not in call)
    workshop.begin_with(steps)
    arguments = (
        ["-c", code.replace("INPUTS", str(workshop.inputs))] if code else ["-m", "sumnist", *workshop.words(words)]
    )
    log, root = workshop.place / "strace", workshop.server.root
    subprocess.run(
        [str(strace), "-f", "-y", "-s", "0", "-e", "trace=%file,%desc", "-o", str(log), sys.executable, *arguments],
        cwd=root, env={**os.environ, "TMPDIR": str(root / "tmp")}, capture_output=True, check=True,
    )  # fmt: skip
    theirs = Counter(
        text for line in log.read_text().splitlines() if (text := changed(line, root)) and " tmp/" not in text
    )
    assert len(theirs) > 4
    assert ours == theirs


def changed(line: str, root: Path) -> str:
    """Kind and paths of a call that strace has noted, as the harness has them; nothing for one that changes nothing
    under `root`."""
    match = re.match(r"\d+ +(\w+)\((.*)", line)
    if match is None or "resumed>" in line:
        return ""
    name, arguments = match.groups()
    reads = name in READ or (name.startswith("open") and not OPENS.search(arguments))
    if reads or (name == "mmap" and not SHARED.search(arguments)):
        return ""
    kind, parts = (SHAPES[name].kind, SHAPES[name].paths[0]) if name in SHAPES else (f"unknown: {name}", "n0")
    paths = paths_in(arguments, parts, root)
    if not any(path == str(root) or path.startswith(f"{root}/") for path in paths):
        return ""
    names = [re.sub(r"(partial-)\d+", r"\1N", os.path.relpath(path, root)) for path in paths]
    return f"{kind} {' '.join(names)}"


def paths_in(arguments: str, parts: str, root: Path) -> list[str]:
    """The paths in the arguments of a call, as strace writes them with -y: `3</open/file>`, `"name"`."""
    found = re.findall(r'(\d+|AT_FDCWD)<([^>]*)>|"((?:[^"\\]|\\.)*)"', arguments)
    if parts.startswith("f"):
        files = [file for _, file, _ in found if file]
        return files[-1:] if parts == "f2" else files[:1]
    paths, base = [], str(root)
    for _, folder, name in found:
        if folder:
            base = folder
        else:
            paths.append(os.path.normpath(os.path.join(base, name)))
            base = str(root)
    return paths


@pytest.mark.parametrize(("at", "what"), [(5, "EIO"), (12, "SIGKILL in it"), (20, "ENOSPC"), (28, "SIGKILL"), (0, "")])
def test_a_fork_of_the_server_behaves_as_a_new_interpreter_does(at: int, what: str, workshop: Workshop) -> None:
    trial = Trial(workshop, next(command for command in COMMANDS if command.name == "train"))
    seen = []
    for cold in (False, True):
        trial.begin()
        fault = Fault(at, what) if what else None
        outcome = workshop.run(trial.command.words, fault=fault, cold=cold)
        messages = [line for line in outcome.errors.splitlines() if line.startswith("sumnist: ")]
        tree = trial.tree() if not what else sorted(trial.tree())  # what was cut short has times in it
        seen.append((outcome.status, outcome.calls, outcome.struck, outcome.ended, messages, tree))
    assert seen[0] == seen[1]


def test_a_scoring_with_workers_in_a_new_interpreter_ends_as_in_a_fork(workshop: Workshop) -> None:
    words = "score INPUTS/table.csv --out table.csv --workers 2"
    trees = []
    for cold in (False, True):
        trial = Trial(workshop, Command("score", words, keeps=False, steps=()))
        trial.begin()
        outcome = workshop.run(words, cold=cold, shorter=False)
        assert (outcome.status, outcome.ended, outcome.errors) == (1, True, "")
        trees.append(trial.tree())
    assert trees[0] == trees[1]


def test_nothing_is_asked_about_a_file_that_is_only_read(workshop: Workshop) -> None:
    workshop.begin_with((Step(code="open('table.txt', 'w').close()"),))
    assert workshop.run(code="open('table.txt').read()").calls == []
    assert workshop.run(code="open('table.txt', 'r+').close()").calls == ["open table.txt"]

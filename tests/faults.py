"""Tries writers of files with a fault at every system call that changes a file.

    python tests/faults.py [--every N] [--rows FILE] [WRITER …]

A filter (seccomp, the user notification of Linux 5.9 and later) makes the kernel ask before each such call of a process
and of all that it starts, so nothing escapes: no library that writes by itself, no thread. Each fault befalls one call:
the disk is full from then on ("full": of a write, half is taken), the call fails ("error"), or the process is killed
before it ("killed") or in the middle of a write ("killed in it"). Then the files that were there before must be as they
were or complete, an exit without an error must have done all, and the same call again must come to the same files as
undisturbed. Prints what is violated; `--every` tries each N-th fault, `--rows` writes a row for each writer.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import fcntl
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from struct import pack, unpack
from typing import Any, ClassVar

import numpy as np
import torch

from sumnist.batch.score import csv_line, tabulate
from sumnist.batch.sources import Row, Source
from sumnist.config import preset
from sumnist.data.mnist import FILES, load_mnist
from sumnist.environment import describe_machine, now
from sumnist.errors import SumnistError
from sumnist.files import Journal, write_atomically
from sumnist.model.folder import checksum_of_file
from sumnist.model.network import TwoInputNet
from sumnist.training import loop as training

# The kernel asks.

CALLS = """open 2 - n1, open 85 - n0, open 257 56 d2, write 1 64 f, write 18 68 f, write 20 66 f, sync 74 82 f,
sync 75 83 f, rename 82 - n, rename 264 38 d, rename 316 276 d, link 86 - n, link 265 37 d, unlink 87 - n,
unlink 263 35 d, unlink 84 - n, mkdir 83 - n, mkdir 258 34 d, truncate 76 45 n, truncate 77 46 f, truncate 285 47 f,
lock 73 32 f"""
"""What each call does; its numbers on x86-64 and on ARM64; whether it names its file by a descriptor ("f"), by its name
("n"), or by the descriptor of a folder and a name in it ("d"); and where an `open` has its flags."""
MACHINE = {"x86_64": 1, "aarch64": 2}.get(platform.machine(), 0)
KINDS = {int(words[MACHINE]): (words[0], words[3]) for words in map(str.split, CALLS.split(","))
         if MACHINE and words[MACHINE] != "-"}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
RECEIVE, SEND, GO_ON = 0xC0502100, 0xC0182101, 1
FAULTS = "full", "error", "killed", "killed in it"
NEED_SPACE = {"write", "mkdir", "link", "truncate"}
libc = ctypes.CDLL(None, use_errno=True)


def install_filter() -> int:
    """Have the kernel ask before every such call of this process, from now on. Returns the descriptor to answer on."""
    jumps = [pack("HBBI", 0x15, len(KINDS) - place, 0, number) for place, number in enumerate(KINDS)]
    allow, ask = (pack("HBBI", 6, 0, 0, answer) for answer in (0x7FFF0000, 0x7FC00000))
    program = b"".join([pack("HBBI", 0x20, 0, 0, 0), *jumps, allow, ask])
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)), 16)
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges
    listener: int = libc.syscall({1: 317, 2: 277}[MACHINE], 1, 8, header)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "the filter for system calls was refused")
    return listener


def path_of(process: int, how: str, arguments: list[int]) -> str:
    """The path of the file of a call."""
    if how == "f":
        return os.readlink(f"/proc/{process}/fd/{arguments[0] & 0xFFFFFFFF}")
    folder, pointer = -100, arguments[0]
    if how[0] == "d":
        folder, pointer = ctypes.c_int(arguments[0] & 0xFFFFFFFF).value, arguments[1]
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        found = b""
        while b"\0" not in found:  # to the end of each page: the next one may not be there
            found += os.pread(memory.fileno(), 4096 - (pointer + len(found)) % 4096, pointer + len(found))
    base = os.readlink(f"/proc/{process}/" + ("cwd" if folder == -100 else f"fd/{folder}"))
    return os.path.normpath(os.path.join(base, os.fsdecode(found[: found.index(b"\0")])))


def without_process(path: str) -> str:
    """A path without the number of a process in it."""
    return re.sub("(partial-).*", r"\1N", path)


def write_half(process: int, arguments: list[int]) -> int:
    """Do the first half of a write. Returns how many bytes that is."""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        half = os.pread(memory.fileno(), arguments[2] // 2, arguments[1])
    file = os.open(f"/proc/{process}/fd/{arguments[0]}", os.O_WRONLY | os.O_APPEND)
    try:
        return os.write(file, half)
    finally:
        os.close(file)


def supervise(listener: int, root: str, at: int = 0, fault: str = "") -> list[str]:
    """Answer the kernel until no process is left under the filter: the call number `at` of those in the folder `root`
    meets the fault. Returns the kinds and paths of all calls."""
    calls, full, poll = list[str](), False, select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        events = poll.poll(60_000)
        assert events, f"the writer does not end, after {calls}"
        if not events[0][1] & select.POLLIN:
            return calls
        request = bytearray(80)
        with suppress(OSError):  # it was killed meanwhile
            fcntl.ioctl(listener, RECEIVE, request)
            key, process, _, number, _, _, *arguments = unpack("QIIiIQ6Q", request)
            kind, how = KINDS[number]
            value, error = 0, 0
            with suppress(OSError):  # a descriptor that is not open is the kernel's business
                path = path_of(process, how, arguments)
                reads = kind == "open" and len(how) == 2 and how != "n0" and not arguments[int(how[1])] & WRITES
                if path.startswith(root) and not reads:
                    calls.append(f"{kind} {without_process(os.path.relpath(path, root))}")
                    if full:
                        makes = kind == "open" and not os.path.lexists(path)
                        error = errno.ENOSPC if makes or kind in NEED_SPACE else 0
                    elif len(calls) == at:
                        halves = kind == "write" and fault in ("full", "killed in it")
                        value = write_half(process, arguments) if halves else 0
                        full = fault == "full"
                        error = 0 if value else errno.EIO if fault == "error" else errno.ENOSPC
                        if fault.startswith("killed"):
                            os.kill(process, signal.SIGKILL)
            fcntl.ioctl(listener, SEND, pack("QqiI", key, value, -error, 0 if value or error else GO_ON))


# The writers.


@dataclass(frozen=True)
class Writer:
    """What writes files in the current folder.

    Attributes:
        write: Writes. If it is stopped, the same call goes on or begins anew.
        before: Makes what is there before.
        whole: Whether every file that can be seen must be complete at any moment, not only those that were there.
        killed: Whether `write` was killed once in the middle before.
        again: Goes on where `write` was stopped; None for `write` itself.
    """

    write: Callable[[], object]
    before: Callable[[], object] = lambda: None
    whole: bool = True
    killed: bool = False
    again: Callable[[], object] | None = None


class Lengths:
    """A task of a batch without a network: the length of each text."""

    columns: ClassVar[tuple[str, ...]] = ("path", "length")
    chunk: ClassVar[int] = 2

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        return values

    def settings(self) -> dict[str, Any]:
        return {"task": "lengths"}

    def start(self) -> Any:
        return lambda texts, _: [{"length": len(text)} if len(text) > 1 else "too short" for text in texts]


def score(out: str, overwrite: bool = False, texts: str = "one two three b four five six") -> None:
    """Write a table of nine rows, and a file that is made from it."""
    rows = [Row(text, None, text) for text in texts.split()]
    source = Source((row for row in rows), len(rows), [], {"texts": texts})
    made = Path("made.txt")
    tabulate(source, Path(out), Lengths(), {"source": "texts"}, workers=1, overwrite=overwrite, progress=False,
             then=lambda: write_atomically(made, csv_line({"size": Path(out).stat().st_size})))  # fmt: skip


def correct() -> None:
    """Add a line to a file, if it is not there."""
    with Journal(Path("corrections.jsonl"), "busy") as journal:
        if not list(journal.lines):
            journal.add('{"row": 1}')


def train(seed: int, **flags: Any) -> None:
    """Train a small network on a few images."""
    config = preset("tiny", data_dir=Path(os.environ["DIGITS"]), validation=100, epochs=2, batch_size=100, seed=seed,
                    device="cpu", threads=1)  # fmt: skip
    training.train(config, "run", progress=False, **flags)


def train_or_resume(seed: int) -> None:
    """Train, or go on with the run that is there."""
    train(seed, resume=Path("run/config.json").exists())


def older_run() -> None:
    """A finished run of another seed, with files that were made from its weights, and one of the user."""
    train(1)
    checksum = checksum_of_file(Path("run/model.safetensors"))
    for name in ("evaluation.json", "model.onnx"):
        Path("run", name).write_text(f'{{"weights": "{checksum}"}}')
    Path("run/mine.txt").write_text("of the user")


def save_pretrained() -> None:
    """Put a network into the folder of a run."""
    torch.manual_seed(2)
    TwoInputNet.from_config(preset("tiny", seed=2)).save_pretrained("run")


def older_file() -> None:
    """A file, and a link to it that is written through."""
    Path("real.txt").write_text("old")
    Path("file.txt").symlink_to("real.txt")


older_table = partial(score, "table.csv", texts="other texts")
WRITERS = {
    "a file": Writer(lambda: write_atomically(Path("file.txt"), "new" * 9), older_file),
    "a correction": Writer(correct, lambda: Path("corrections.jsonl").write_bytes(b'{"half of a li'), whole=False),
    "a table": Writer(partial(score, "table.csv")),
    "a table of JSON lines": Writer(partial(score, "table.jsonl")),
    "a table, killed before": Writer(partial(score, "table.csv"), killed=True),
    "a table, over an older one": Writer(partial(score, "table.csv", overwrite=True), older_table),
    "a run": Writer(partial(train, 2), whole=False, again=partial(train_or_resume, 2)),
    "a run, killed before": Writer(partial(train_or_resume, 2), whole=False, killed=True),
    "a run, over an older one": Writer(partial(train, 2, overwrite=True), older_run),
    "a run, over an older one, killed before": Writer(
        partial(train, 2, overwrite=True), older_run, killed=True, again=partial(train, 2, resume=True)
    ),
    "a network, over an older run": Writer(save_pretrained, older_run),
}


def swallow() -> None:
    """Write, and go on whatever happens."""
    with suppress(SumnistError):
        write_atomically(Path("file.txt"), "new")


def leave_over() -> None:
    """Write aside by a name that nobody finds again."""
    aside = Path(f"aside-{os.getpid()}")
    aside.write_text("new")
    aside.replace("file.txt")


WRONG = {
    "emptied first": Writer(lambda: Path("file.txt").write_text("new"), older_file),
    "swallowed": Writer(swallow, older_file),
    "left over": Writer(leave_over, older_file),
}
"""Writers that break a promise, by what they do: a check that cannot fail proves nothing."""


# A trial.

TIMES = re.compile(rb'(\\?"(?:time|started|ended|date|commit|seconds|cpu_seconds|images_per_second)\\?": ?)'
                   rb'(\\?"[^"]*"|[-+.\deE]+|null)|("sha256": ?)"[0-9a-f]{64}"(?=[^}]*cpu_seconds)')  # fmt: skip
Tree = dict[str, bytes]


def tree_of(root: Path) -> Tree:
    """The content of each file, without times; where a link leads; b"" for a folder."""
    tree = {}
    for path in sorted(root.rglob("*")):
        content = os.readlink(path).encode() if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        if b"cpu_seconds" in content and b"__metadata__" in content:  # the state of a training, without its length
            content = re.sub(rb" +", b" ", content[8:])
        tree[without_process(str(path.relative_to(root)))] = TIMES.sub(rb"\1_", content)
    return tree


def run(write: Callable[[], object], root: Path, at: int = 0, fault: str = "") -> tuple[int, list[str]]:
    """Write in a process of its own. Returns its exit status, 1 for an error of ours, and its calls."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        status = 70
        try:
            os.chdir(root)
            listener = install_filter()
            socket.send_fds(theirs, [b"."], [listener])
            os.close(listener)
            write()
            status = 0
        except SumnistError:
            status = 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    theirs.close()
    with ours:
        listener = socket.recv_fds(ours, 1, 1)[1][0]
    calls = supervise(listener, f"{root}/", at, fault)
    os.close(listener)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), calls


class Trial:
    """A writer, undisturbed and with faults.

    Attributes:
        calls: Its calls, undisturbed.
        tried: How many faults were tried.
        findings: What was violated.
    """

    def __init__(self, writer: Writer, place: Path) -> None:
        self.writer, self.root, self.start = writer, place / "root", place / "start"
        self.again = writer.again or writer.write
        self.start.mkdir()
        assert run(writer.before, self.start)[0] == 0
        write = writer.write
        if writer.killed:
            at = len(self.run(write)[1]) // 2
            self.run(write, at, "killed")
            shutil.rmtree(self.start)
            self.root.rename(self.start)
            write = self.again
        self.write, self.before = write, tree_of(self.start)
        status, self.calls = self.run(write)
        self.wanted, self.tried, self.findings = tree_of(self.root), 0, list[str]()
        self.judged: dict[str, list[str]] = {}
        assert status == 0

    def run(self, write: Callable[[], object], at: int = 0, fault: str = "") -> tuple[int, list[str]]:
        """Write from the start."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.start, self.root, symlinks=True)
        return run(write, self.root, at, fault)

    def try_each(self, every: int = 1) -> None:
        """Try each `every`-th fault."""
        faults = [(at, fault) for at, call in enumerate(self.calls, 1) for fault in FAULTS
                  if call.startswith("write") or fault != FAULTS[-1]]  # fmt: skip
        for at, fault in faults[::every]:
            status, _ = self.run(self.write, at, fault)
            self.tried += 1
            wrong = list(self.wrong(status, fault.startswith("killed")))
            self.findings += [f"{fault} at call {at}, {self.calls[at - 1]}: {one}" for one in wrong]

    def wrong(self, status: int, killed: bool) -> Iterator[str]:
        """What is wrong after a fault."""
        found = tree_of(self.root)
        if status == 0 and found != self.wanted:
            yield f"it ends without an error, but {difference(found, self.wanted)}"
        if status not in (0, 1) and not (killed and status == -signal.SIGKILL):
            yield f"it ends with {status}"
        key = repr(found)
        if key not in self.judged:  # many faults leave the same
            self.judged[key] = list(self.wrong_with(found))
        yield from self.judged[key]

    def wrong_with(self, found: Tree) -> Iterator[str]:
        """What is wrong with the files that are left, and with what comes of writing again."""
        for name in sorted(name for name in found.keys() | self.before.keys() if "/." not in f"/{name}"):
            now_is, was, to_be = (tree.get(name) for tree in (found, self.before, self.wanted))
            if now_is not in (was, to_be) and (self.writer.whole or was == to_be is not None):
                yield f"{name} is neither as it was nor complete"
        if found == self.wanted:
            return
        status, _ = run(self.again, self.root)
        if status or (at_last := tree_of(self.root)) != self.wanted:
            yield f"again, it ends with {status}" if status else f"again, {difference(at_last, self.wanted)}"


def difference(found: Tree, wanted: Tree) -> str:
    """In which files two folders differ."""
    return f"differs in {sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))}"


def write_digits(folder: Path) -> None:
    """Write some images of MNIST as IDX files."""
    digits = load_mnist("train")
    for split, part in (("train", slice(0, 400)), ("test", slice(400, 450))):
        for key, array in (("x", digits.images[part]), ("y", digits.digits[part].astype(np.uint8))):
            header = b"\0\0\x08" + bytes([array.ndim]) + pack(f">{array.ndim}I", *array.shape)
            (folder / FILES[f"{key}_{split}"]).write_bytes(header + array.tobytes())


def main() -> int:
    """Try writers. Returns 1 if anything is violated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("writers", nargs="*", metavar="WRITER")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args()
    names, rows, violations = given.writers or list(WRITERS), [], 0
    torch.set_num_threads(1)
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads cannot be forked"
    machine = describe_machine()
    facts = {"part": "faults", "date": now(), "commit": machine.pop("commit"), "machine": machine}
    os.environ["GIT_DIR"] = os.devnull  # a commit beside a trial changes no record
    quick = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=quick if os.access(quick, os.W_OK) else None) as place:
        os.environ["DIGITS"] = place
        write_digits(Path(place))
        for number, name in enumerate(names):
            (folder := Path(place, str(number))).mkdir()
            trial = Trial((WRITERS | WRONG)[name], folder)
            trial.try_each(given.every)
            kinds = dict(Counter(call.partition(" ")[0] for call in trial.calls))
            print(f"{name}: {trial.tried} faults at {len(trial.calls)} calls, {len(trial.findings)} violations")
            print("".join(f"  {finding}\n" for finding in trial.findings), end="", flush=True)
            violations += len(trial.findings)
            rows.append(facts | {"writer": name, "calls": kinds, "tried": trial.tried, "states": len(trial.judged),
                                 "violations": len(trial.findings)})  # fmt: skip
    if given.rows:
        write_atomically(given.rows, "".join(json.dumps(row) + "\n" for row in rows))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

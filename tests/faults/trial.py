"""A command, undisturbed and then with each fault at each of its calls: what was promised, and what was not kept."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import re
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np

from faults.calls import FAULTS, Fault
from faults.commands import SHORTER, Command, Step, make_inputs
from faults.server import Outcome, Server

# Where commands run.

MEMORY = Path("/dev/shm")
ENOUGH = 500_000_000
"""Bytes that must be free for it to be of use."""

ASKS = Path("/proc/sys/kernel/seccomp/actions_avail")
"""Where Linux says what its filters can do."""
MISSING = (
    "" if platform.machine() in ("x86_64", "aarch64") and ASKS.exists() and "user_notif" in ASKS.read_text()
    else "Linux 5.9 or newer on x86-64 or ARM64 is needed: its filters for system calls can ask another process"
)  # fmt: skip
"""What this machine lacks to have faults put in; nothing on most."""


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder to try commands in, in memory where there is some: a disk's syncs would take most of the time."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH
    with tempfile.TemporaryDirectory(prefix="faults-", dir=MEMORY if roomy else None) as folder:
        yield Path(os.path.realpath(folder))


# What is there.

Tree = dict[str, bytes]
"""The content of each file by its path; of a folder `FOLDER`, of a link where it leads."""
FOLDER = b"a folder"
TIMES = re.compile(
    rb'(\\?"(?:started|ended|date|commit|seconds|cpu_seconds|images_per_second)\\?": ?)(\\?"[^"]*"|[-+.\deE]+|null)'
)
CHECKSUM = re.compile(rb'("sha256": ?")[0-9a-f]{64}')
CREATED = re.compile(rb"<dcterms:[^<]*")
"""When a workbook was written, as it says itself."""
NOT_OURS = "tmp"
"""The folder for temporary files: a process that is killed may leave some."""


def tree_of(root: Path) -> Tree:
    """All that lies under `root`, but for temporary files."""
    tree = {}
    for folder, folders, files in os.walk(root):
        if Path(folder) == root and NOT_OURS in folders:
            folders.remove(NOT_OURS)
        for name in (*folders, *files):
            path = Path(folder, name)
            known = re.sub(r"(partial-)\d+", r"\1N", str(path.relative_to(root)))
            tree[known] = content_of(path)
    return tree


def content_of(path: Path) -> bytes:
    """The content of a file without its times."""
    if path.is_symlink():
        return b"a link to " + os.fsencode(path.readlink())
    if path.is_dir():
        return FOLDER
    if path.suffix == ".xlsx" and is_zipfile(path):
        with ZipFile(path) as book:
            return b"".join(os.fsencode(name) + CREATED.sub(b"", book.read(name)) for name in book.namelist())
    content = TIMES.sub(rb"\1_", path.read_bytes())
    if b"cpu_seconds" in content and b"__metadata__" in content:  # a state: its header, its length and its checksum
        content = re.sub(rb" +", b" ", CHECKSUM.sub(rb"\1", content[8:]))
    return content


def digest_of(tree: Tree) -> str:
    """The same text for the same tree."""
    digest = hashlib.sha256()
    for name in sorted(tree):
        digest.update(b"%d %d " % (len(name), len(tree[name])) + os.fsencode(name) + tree[name])
    return digest.hexdigest()


def put(source: Path, root: Path) -> None:
    """Make `root` the same as `source`."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(source, root, symlinks=True)


# What must hold.

UNSEEMLY = ("Traceback", "Exception ignored", "Warning", "terminate called", "core dumped")
"""What no command may print on standard error, whatever happens."""
LINE = re.compile(r"^sumnist: .", re.MULTILINE)

LOOK = """
import json
import numpy as np
import torch
import sumnist
from sumnist.data.mnist import load_mnist
from sumnist.errors import SumnistError
from sumnist.model.checkpoint import load_config
from sumnist.training.evaluate import compare_runs
from sumnist.model.folder import EVALUATION, read_record
from pathlib import Path

torch.set_num_threads(1)
run, test = Path(RUN), load_mnist("test", DATA)


def asked(question):
    try:
        return question()
    except SumnistError:
        return None


def reads():
    return [reading.digit_probabilities for reading in sumnist.load(run).read(list(test.images), 3)]


def weights():
    net = sumnist.TwoInputNet.from_pretrained(run).eval()
    images = torch.from_numpy(test.images[:, None].astype(np.float32) / 255)
    with torch.inference_mode():
        return net(images, torch.full((len(test),), 3))[0].exp().tolist()


def evaluated():
    compare_runs([run])
    return json.loads((run / EVALUATION).read_text())["digit"]["value"]


own, config = asked(weights), asked(lambda: load_config(run).to_json())
right = own and float((np.argmax(own, 1) == test.digits).mean())
print(json.dumps({"reads": asked(reads), "weights": own, "right": right, "evaluated": asked(evaluated),
                  "config": config, "finished": bool(read_record(run).get("finished"))}))
"""
"""What a user sees of the run RUN: how it reads, how its weights would, what `compare` says of it."""

Look = dict[str, Any]


def succeeded(outcome: Outcome, usual: int) -> bool:
    """Whether a command, which undisturbed ends with the status `usual`, says that it has done its work."""
    failed = LINE.search(outcome.errors) or "Traceback" in outcome.errors
    return outcome.ended and outcome.status == usual and not (usual and failed)


def of_messages(outcome: Outcome, usual: int, killed: bool = False) -> list[str]:
    """What is wrong with how a command ended and with what it said, `killed` or not."""
    errors = outcome.errors
    wrong = [f"it says {word!r}: {errors[errors.index(word) :][-300:]!r}" for word in UNSEEMLY if word in errors]
    lines = len(LINE.findall(outcome.errors))
    if not outcome.ended:
        wrong.append("it does not end, or leaves processes behind")
    elif not succeeded(outcome, usual) and not (killed and outcome.status == -signal.SIGKILL):
        if outcome.status != 1:
            wrong.append(f"its exit status is {outcome.status}: {outcome.errors[-300:]!r}")
        elif lines != 1 and not wrong:
            wrong.append(f"it fails with {lines} messages: {outcome.errors[-300:]!r}")
    return wrong


def of_files(found: Tree, before: Tree, wanted: Tree, keeps: bool) -> list[str]:
    """What is wrong with the files that were there `before`: each must be as it was, or as `wanted`; hidden ones are
    the command's own.

    `keeps`: what was there was complete, and may not be replaced by anything that is not. Otherwise files that the
    undisturbed command changes may be on their way.
    """
    wrong = []
    for name in sorted(name for name in found.keys() | before.keys() if "/." not in f"/{name}"):
        is_now, was, to_be = (of.get(name) for of in (found, before, wanted))
        if is_now not in (was, to_be) and (keeps or was == to_be is not None):
            state = "gone" if is_now is None else "neither as it was nor complete"
            wrong.append(f"{name} {'was there, and ' if was is not None else ''}is {state}")
    return wrong


def of_looks(found: Look, before: Look, wanted: Look, keeps: bool) -> list[str]:
    """What is wrong with a run as users see it."""
    wrong = []
    if found["reads"] is not None and not same(found["reads"], found["weights"]):
        wrong.append("it reads otherwise than its weights would")
    if found["evaluated"] is not None and found["evaluated"] != found["right"]:
        wrong.append(f"compare says {found['evaluated']}, its weights are right in {found['right']}")
    old, new = (found["config"] == of["config"] and same(found["weights"], of["weights"]) for of in (before, wanted))
    if keeps and before["weights"] is not None and not old and not new:
        wrong.append("it is neither the run that was there nor the new one")
    elif keeps and old and not new and before["evaluated"] is not None and found["evaluated"] is None:
        wrong.append("the run that was there has lost its evaluation")
    elif keeps and old and not new and found["reads"] is None:
        wrong.append("the run that was there is refused")
    if found["finished"] and not new and not (old and before["finished"]):
        wrong.append("it says that it is finished, and is not")
    return wrong


def same(one: list[list[float]] | None, other: list[list[float]] | None) -> bool:
    """Whether two networks give the same probabilities, as far as two libraries can."""
    return one is other if one is None or other is None else np.allclose(one, other, rtol=0, atol=1e-3)


# Trying.


@dataclass(frozen=True)
class Finding:
    """Something that was promised and not kept: of which command, after which fault at which call."""

    command: str
    fault: Fault | None
    call: str
    wrong: str

    def __str__(self) -> str:
        where = f"{self.fault.what} at call {self.fault.at}, `{self.call}`" if self.fault else "undisturbed"
        return f"{self.command}: {where}: {self.wrong}"


class Workshop:
    """A server, what commands read, and each state of a folder from which commands start, made once."""

    def __init__(self, place: Path) -> None:
        self.place, self.inputs = place, place / "inputs"
        place.mkdir(parents=True, exist_ok=True)
        self.server = Server(place)
        self.made: dict[str, Path] = {}
        make_inputs(self.inputs)
        self.begin_with(())
        other = (
            "train --preset tiny --data-dir INPUTS/digits --validation 0 --epochs 1 --threads 1 --device cpu --seed 9"
        )
        self.do(Step(f"{other} --out {self.inputs / 'other'}"), self.begin_with(()))

    def words(self, text: str) -> tuple[str, ...]:
        """The words of a command line, with the inputs in their place."""
        return tuple(text.replace("INPUTS", str(self.inputs)).split())

    def begin_with(self, steps: tuple[Step, ...]) -> Path:
        """Bring the root to where it is after `steps`. What is there lies in the folder that this returns."""
        key = repr(steps)
        if key in self.made:
            put(self.made[key], self.server.root)
            return self.made[key]
        if steps:
            self.do(steps[-1], self.begin_with(steps[:-1]))
        else:
            for name in ("tmp", "run"):
                (self.server.root / name).mkdir(parents=True, exist_ok=True)
            for name in ("mine.txt", "run/mine.txt"):
                (self.server.root / name).write_text("of the user, and not to be touched")
        self.made[key] = self.place / f"made-{len(self.made)}"
        put(self.server.root, self.made[key])
        return self.made[key]

    def do(self, step: Step, start: Path) -> None:
        """Do one step, where the root is as `start`."""
        outcome = self.run(step.words, step.code)
        assert outcome.status in (0, 1 if "score" in step.words else 0), (step, outcome)
        if step.stopped:
            text, times = step.stopped
            places = [place for place, call in enumerate(outcome.calls, 1) if call.startswith(text)]
            put(start, self.server.root)
            fault = Fault(places[times - 1], "SIGKILL in it" if text.startswith("write") else "SIGKILL")
            outcome = self.run(step.words, step.code, fault)
            assert outcome.status == -9, (step, outcome)

    def run(self, words: str = "", code: str = "", fault: Fault | None = None) -> Outcome:
        """Run a command in the root, after what makes it short, or Python."""
        before = "".join(code for name, code in SHORTER.items() if f"{words} ".startswith(f"{name} "))
        code, before = (text.replace("INPUTS", str(self.inputs)) for text in (code, before))
        return self.server.run(self.words(words), code, before, fault, learn=not fault)

    def close(self) -> None:
        """End the server."""
        self.server.close()


@dataclass
class Trial:
    """One command in a workshop.

    Attributes:
        start: The folder that it begins with.
        calls: Its calls, undisturbed.
        wanted: What it then leaves.
        findings: What was promised and not kept, so far.
        tried: How many faults were tried.
        judged: What is wrong with each state that a fault has left, by its digest: many leave the same.
    """

    workshop: Workshop
    command: Command
    findings: list[Finding] = field(default_factory=list)
    tried: int = 0
    judged: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        command = self.command
        self.start = self.workshop.begin_with(command.steps)
        self.before, self.old = self.tree(), self.look()
        self.run()  # the first time it imports
        self.begin()
        undisturbed = self.run()
        self.status, self.calls = undisturbed.status, undisturbed.calls
        self.wanted, self.new = self.tree(), self.look()
        assert succeeded(undisturbed, 1 if self.status else 0), undisturbed
        wrong = of_messages(undisturbed, self.status)
        wrong += of_files(self.wanted, self.before, self.wanted, command.keeps)
        wrong += of_looks(self.new, self.old, self.new, command.keeps) if command.run else []
        self.note(None, "", wrong)

    def begin(self) -> None:
        """Bring the root to where the command begins."""
        put(self.start, self.workshop.server.root)

    def run(self, words: str | None = None, fault: Fault | None = None) -> Outcome:
        """Run the command, or with other words."""
        command = self.command
        return self.workshop.run(command.words if words is None else words, command.code, fault)

    def tree(self) -> Tree:
        """What is in the root now."""
        return tree_of(self.workshop.server.root)

    def look(self) -> Look:
        """The run, as users see it now; nothing where there is none."""
        if not self.command.run:
            return {}
        outcome = self.workshop.run("", f"RUN, DATA = {self.command.run!r}, 'INPUTS/digits'\n{LOOK}")
        assert outcome.status == 0, outcome
        return dict(json.loads(outcome.output))

    def note(self, fault: Fault | None, call: str, wrong: list[str]) -> None:
        """Keep what is wrong."""
        self.findings += [Finding(self.command.name, fault, call, one) for one in dict.fromkeys(wrong)]

    def try_all(self, faults: Iterable[Fault]) -> None:
        """Try some faults."""
        for fault in faults:
            self.begin()
            outcome = self.run(fault=fault)
            self.tried += 1
            self.note(fault, outcome.struck or "", list(self.wrong_after(fault, outcome)))

    def wrong_after(self, fault: Fault, outcome: Outcome) -> Iterator[str]:
        """What is wrong after a fault."""
        killed = fault.what.startswith("SIGKILL") and outcome.struck is not None
        yield from of_messages(outcome, self.status, killed)
        found = self.tree()
        if succeeded(outcome, self.status) and found != self.wanted:
            yield f"it ends with {outcome.status}, and {difference(found, self.wanted)}"
        key = digest_of(found)
        if key not in self.judged:
            self.judged[key] = list(self.wrong_with(found))
        yield from self.judged[key]

    def wrong_with(self, found: Tree) -> Iterator[str]:
        """What is wrong with the files that a fault has left, and with what comes of doing the same again."""
        command = self.command
        yield from of_files(found, self.before, self.wanted, command.keeps)
        if command.run:
            yield from of_looks(self.look(), self.old, self.new, command.keeps)
        if found == self.wanted:
            return
        again = self.run()
        if again.status and "--resume" in again.errors and "--resume" not in command.words:
            again = self.run(f"{command.words} --resume")  # as the refusal to begin again says
        at_last = self.tree()
        yield from (f"done again: {wrong}" for wrong in of_messages(again, self.status))
        if not succeeded(again, self.status):
            yield f"done again, it fails: {again.errors[-300:]!r}"
        elif at_last != self.wanted:
            yield f"done again, {difference(at_last, self.wanted)}"

    def row(self) -> dict[str, object]:
        """What was tried, for a table; `violations`: after how many faults a promise was not kept."""
        kinds = Counter(map(kind_of, self.calls))
        faults, broken = list(every_fault(self.calls)), {finding.fault for finding in self.findings}
        return {"command": self.command.name, "calls": dict(kinds), "faults": len(faults), "tried": self.tried,
                "states": len(self.judged), "violations": len(broken)}  # fmt: skip


def difference(found: Tree, wanted: Tree) -> str:
    """In which files two folders differ."""
    parts = {
        "left over": found.keys() - wanted.keys(),
        "missing": wanted.keys() - found.keys(),
        "other than undisturbed": {name for name in found.keys() & wanted.keys() if found[name] != wanted[name]},
    }
    return "; ".join(f"{', '.join(sorted(names))}: {kind}" for kind, names in parts.items() if names)


def every_fault(calls: list[str]) -> Iterator[Fault]:
    """Each fault at each of the calls."""
    for place, call in enumerate(calls, 1):
        yield from (Fault(place, what) for what in (FAULTS if call.startswith("write") else FAULTS[:3]))


def sample(calls: list[str], seed: int) -> list[Fault]:
    """A call of each kind, by chance, each with one of the faults in turn: with three seeds in a row, each kind meets
    each fault. A write is also cut short."""
    chance, faults = random.Random(seed), []
    for place, kind in enumerate(dict.fromkeys(map(kind_of, calls))):
        places = [at for at, call in enumerate(calls, 1) if kind_of(call) == kind]
        faults.append(Fault(chance.choice(places), FAULTS[(seed + place) % 3]))
        if kind == "write":
            faults.append(Fault(chance.choice(places), FAULTS[3]))
    return sorted(faults)


def kind_of(call: str) -> str:
    """The first word of a call."""
    return call.partition(" ")[0]

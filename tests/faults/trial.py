"""A command, undisturbed and then with each fault at each of its calls: what was promised, and what was not kept."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from faults.client import Outcome, Server
from faults.commands import SHORTER, Command, Step, make_inputs
from faults.tree import FOLDER, Tree, digest_of, put, tree_of
from faults.verdicts import LOOK, Look, look_of, of_files, of_looks, of_messages, succeeded, tells_another_way
from faults.watch import FAULTS, Fault

__all__ = ["Finding", "Trial", "Workshop", "every_fault", "sample"]


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

    def run(
        self, words: str = "", code: str = "", fault: Fault | None = None, *, cold: bool = False, shorter: bool = True
    ) -> Outcome:
        """Run a command in the root, or Python; `shorter`: after what makes it short."""
        before = "".join(code for name, code in SHORTER.items() if shorter and f"{words} ".startswith(f"{name} "))
        code, before = (text.replace("INPUTS", str(self.inputs)) for text in (code, before))
        return self.server.run(self.words(words), code, before, fault, cold, learn=not (fault or cold))

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
        self.note(None, "", wrong + self.unlike())

    def unlike(self) -> list[str]:
        """Which files are other than after the command of which this one should leave the same."""
        if not self.command.like:
            return []
        self.workshop.begin_with(())
        outcome = self.run(self.command.like)
        assert succeeded(outcome, self.status), outcome
        found, wanted = (
            {name: content for name, content in tree.items() if content != FOLDER}
            for tree in (self.wanted, self.tree())
        )
        return [difference(found, wanted)] if found != wanted else []

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
        return look_of(outcome)

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
        if (words := tells_another_way(again, command.words)) is not None:
            again = self.run(words)
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
        "left over": sorted(found.keys() - wanted.keys()),
        "missing": sorted(wanted.keys() - found.keys()),
        "other than undisturbed": sorted(name for name in found.keys() & wanted.keys() if found[name] != wanted[name]),
    }
    return "; ".join(f"{', '.join(names)}: {kind}" for kind, names in parts.items() if names)


def every_fault(calls: list[str]) -> Iterator[Fault]:
    """Each fault at each of the calls."""
    for place, call in enumerate(calls, 1):
        for what in FAULTS:
            if what != "SIGKILL in it" or call.startswith("write"):
                yield Fault(place, what)


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

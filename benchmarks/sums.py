"""Sums of two numbers of uncertain digits, side by side: queries, steps of training, whether answers agree, and growth.

Each system has a process of its own with one thread, which is ended if it takes too long or too much memory. They are
asked in turn, round after round, so that only one computes at a time and a noisy machine treats all alike.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sum_systems import SYSTEMS, System, found
from sumnist.arithmetic import Digits, Sum
from sumnist.config import preset
from sumnist.data.additions import SumBatches, totals
from sumnist.data.mnist import load_mnist
from sumnist.model.encoders import FEATURES, build_encoder
from timing import Row, seconds, status_of

DIGITS, BATCHES = (1, 2, 3, 4), (1, 128)
STEP_DIGITS, STEP_SUMS = (1, 2, 3, 4, 15), 16
AGREEING, AGREE_SUMS = ("KLay, the circuit of its experiment", "KLay, carries by hand",
                        "KLay, carries by hand, no logarithms", "DeepProbLog, query asked before"), 4  # fmt: skip
"""What has exact answers, each once, and of how many sums they are compared."""
ROUNDS = 5
LIMIT, MEMORY = 90, 8
"""Seconds that getting ready with a first query, or a round, may take, and GiB that a process may hold."""
SLOW = 5.0
"""Seconds from which on there is one round alone."""
MOMENT = 0.3
"""Seconds that the calls of a round take together, if one is no longer."""


class Task(NamedTuple):
    """What a system is asked: one total, all totals, or a step of training, of how many sums."""

    question: Literal["one", "all", "step"]
    digits: int
    batch: int
    double: bool = False
    """Whether in float64."""

    def no_easier_than(self, other: Task) -> bool:
        """Whether who cannot do the other cannot do this."""
        return self.question in (other.question, "all") and self.digits >= other.digits and self.batch >= other.batch


def queries() -> Iterator[Row]:
    """The time of one total's log-probability, each sum its own, and of all totals'."""
    return timed([Task(question, digits, batch)
                  for digits in DIGITS for question in ("one", "all") for batch in BATCHES])  # fmt: skip


def step() -> Iterator[Row]:
    """The time of a training step on the images of some sums: the encoder, the loss of the system, and Adam."""
    return timed([Task("step", digits, STEP_SUMS) for digits in STEP_DIGITS])


def timed(tasks: Iterable[Task]) -> Iterator[Row]:
    """The seconds of each system for each task, None where there was no answer, round after round."""
    systems = {name: Process(name) for name in found()}
    lost: dict[str, list[Task]] = {name: [] for name in systems}
    for task in tasks:
        going: Row = {}
        for name, system in systems.items():
            hopeless = any(task.no_easier_than(other) for other in lost[name])
            going[name] = None if hopeless else system.ask("ready", task)
        for turn in range(ROUNDS):
            for name, ready in list(going.items()):
                answer = ready and systems[name].ask("time", task)
                yield {"name": name, "question": task.question, "digits": task.digits, "batch": task.batch,
                       "round": turn, "seconds": None, "limit_seconds": LIMIT, "limit_gib": MEMORY,
                       **(ready or {}), **(answer or {}), "packages": SYSTEMS[name].versions}  # fmt: skip
                if not answer:
                    lost[name].append(task)
                if not answer or answer["seconds"] > SLOW:
                    del going[name]
    for system in systems.values():
        system.end()


def agree() -> Iterator[Row]:
    """The largest difference between probabilities of others and ours, as a share of ours, in float64."""
    others = [name for name in found() if name in AGREEING]
    systems = {name: Process(name) for name in ("Sumnist", *others)}
    lost: list[tuple[str, Task]] = []
    for digits in DIGITS:
        for question in ("one", "all"):
            task = Task(question, digits, AGREE_SUMS, double=True)
            ours = systems["Sumnist"].ask("answer", task)
            for name in others:
                hopeless = any(name == one and task.no_easier_than(other) for one, other in lost)
                theirs = None if hopeless else systems[name].ask("answer", task)
                difference = None if theirs is None else float(np.abs(np.expm1(theirs - ours)).max())
                yield {"name": name, "question": question, "digits": digits, "answers": ours.size,
                       "difference": difference, "limit_seconds": LIMIT, "limit_gib": MEMORY,
                       "packages": SYSTEMS[name].versions}  # fmt: skip
                lost += [(name, task)] if theirs is None else []
    for system in systems.values():
        system.end()


class Process:
    """A system in a process of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begin()

    def begin(self) -> None:
        """Start the process, and wait until it has."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.name), daemon=True)
        self.process.start()
        theirs.close()
        self.pipe.recv()

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def ask(self, command: str, task: Task) -> Any:
        """What `Served` answers; None if it took too long or too much memory, and it begins anew."""
        try:
            self.pipe.send((command, task))
            answer = self.pipe.recv() if self.pipe.poll(LIMIT) else None
        except (EOFError, OSError):  # PySDD ends the process itself where there is no memory
            answer = None
        if answer is None:
            self.end()
            self.begin()
        return answer


def serve(pipe: Connection, name: str) -> None:
    """Say that it has begun, and answer, in a process of its own; None if there is no memory."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY * 2**30, MEMORY * 2**30))
    served, answer = Served(SYSTEMS[name].make), None
    while True:
        pipe.send(answer)
        command, task = pipe.recv()
        try:
            answer = getattr(served, command)(task)
        except (MemoryError, RuntimeError) as error:
            if "alloc" not in str(error) and not isinstance(error, MemoryError):
                raise
            answer = None


class Served:
    """A system, made anew for each number of digits, and what it was asked last."""

    def __init__(self, make: Callable[[int], System]) -> None:
        self.make = make
        self.digits, self.seconds_to_make = 0, 0.0

    def work(self, task: Task) -> Callable[[], Tensor]:
        """The task as a function, of a system that is made."""
        if self.digits != task.digits:
            began = time.perf_counter()
            self.system = self.make(task.digits)
            self.digits, self.seconds_to_make = task.digits, time.perf_counter() - began
        return training_step(self.system, task) if task.question == "step" else query(self.system, task)

    def ready(self, task: Task) -> dict[str, float]:
        """Do it once; how long making the system took, and what came first."""
        self.asked = self.work(task)
        return {"made_seconds": self.seconds_to_make, "first_seconds": seconds(self.asked)}

    def time(self, task: Task) -> Row:
        """The median time of the task that was asked last."""
        spent: list[float] = []
        while sum(spent) < MOMENT:
            spent.append(seconds(self.asked))
        return {"seconds": float(np.median(spent)), "calls": len(spent)}

    def answer(self, task: Task) -> NDArray[Any]:
        """What it answers."""
        return self.work(task)().numpy()


def query(system: System, task: Task) -> Callable[[], Tensor]:
    """A query, that needs no gradient."""
    scores, truth = drawn(task.batch, 2, task.digits)
    scores = scores if task.double else scores.float()
    asked = (scores,) if task.question == "all" else (scores, truth)
    method: Callable[..., Tensor] = system.of_all if task.question == "all" else system.of_one
    return lambda: torch.no_grad()(method)(*asked)


def drawn(batch: int, addends: int, digits: int) -> tuple[Tensor, NDArray[Any]]:
    """Log-probabilities of digits `[batch, addends, digits, 10]` and totals `[batch]`, the same each time."""
    scores = torch.randn(batch, addends, digits, 10, dtype=torch.float64, generator=torch.manual_seed(0))
    return scores.log_softmax(-1), totals(np.random.default_rng(0).integers(10, size=scores.shape[:3]), "add")


def training_step(system: System, task: Task) -> Callable[[], Tensor]:
    """A step of training on the images of some sums, the same for all systems but for the loss."""
    torch.manual_seed(0)
    net = nn.Sequential(build_encoder("lenet"), nn.Linear(FEATURES["lenet"], 10), nn.LogSoftmax(1))
    optimizer = torch.optim.Adam(net.parameters())
    config = preset("addition", digits=task.digits)
    sums = SumBatches(load_mnist("test"), config, torch.device("cpu")).of(torch.arange(task.batch))

    def step() -> Tensor:
        scores = net(sums.image).view(*sums.digit.shape, 10)
        loss = system.loss(scores, sums.total)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


# How the time and the memory of exact sums grow, with the digits of the numbers and with how many are added.

SIZES = [*((2, digits) for digits in (10, 30, 100, 200, 500, 1000)), *((addends, 10) for addends in (5, 10, 30, 100))]
"""Numbers in a sum, and digits of each."""
CALLS, LONGER = 3, 0.5
"""Calls of a round at least, and the seconds that they take together, if these are more."""
RESET_PEAK = "5"
"""What makes Linux forget the most memory that a process held until now, in its /proc/self/clear_refs."""


def growth() -> Iterator[Row]:
    """The time of a known total's log-probability and of the posterior, and the memory of a first such query, each in a
    new process with one thread."""
    for turn in range(ROUNDS):
        for addends, digits in SIZES:
            for question in ("log_prob", "posterior"):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    yield {"question": question, "addends": addends, "digits": digits, "round": turn,
                           **pool.apply(grown, (question, addends, digits))}  # fmt: skip


def grown(question: str, addends: int, digits: int) -> Row:
    """The median seconds of a query, and the most bytes that were resident while the first was answered, more than
    before."""
    torch.set_num_threads(1)
    asked(question, 2, 1)()  # whatever is loaded late
    ask = asked(question, addends, digits)
    Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")
    before = status_of("self", "VmRSS")
    ask()
    peak = status_of("self", "VmHWM") - before
    spent: list[float] = []
    while sum(spent) < LONGER or len(spent) < CALLS:
        spent.append(seconds(ask))
    return {"seconds": float(np.median(spent)), "calls": len(spent), "peak_bytes": max(0, peak)}


def asked(question: str, addends: int, digits: int) -> Callable[[], Any]:
    """A query about one sum of numbers with float32 digits."""
    scores, (total,) = drawn(1, addends, digits)
    numbers = [Digits(one) for one in scores[0].float()]
    return lambda: getattr(Sum.of(*numbers), question)(total)

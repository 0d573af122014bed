"""The benchmarks of exact sums beside other packages, and the tables that are made of their rows."""

from __future__ import annotations

import itertools
import math
import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sum_systems
import sums
from sum_systems import Listed, Sumnist, System, all_totals, one_total
from sums import Process, Served, Task, drawn

Row = dict[str, Any]
PAGE = (Path(__file__).resolve().parent.parent / "docs/arithmetic.md").read_text(encoding="utf-8")


# What is compared.


class Circuit:
    """A circuit that is evaluated while it is written, from the weights of its literals."""

    def __init__(self, weights: list[float]) -> None:
        self.weights, self.roots = weights, list[float]()

    def true_node(self) -> float:
        return 1.0

    def literal_node(self, literal: int) -> float:
        return self.weights[literal - 1]

    def and_node(self, nodes: list[float]) -> float:
        return math.prod(nodes)

    def or_node(self, nodes: list[float]) -> float:
        return sum(nodes)

    def set_root(self, node: float) -> None:
        self.roots.append(node)


def by_enumeration(probabilities: np.ndarray[Any, Any]) -> list[float]:
    """The probabilities of all totals of two numbers with digits `[2, N, 10]`."""
    found: Counter[int] = Counter()
    for digits in itertools.product(range(10), repeat=probabilities[..., 0].size):
        places = np.reshape(digits, probabilities.shape[:2])
        shares = np.take_along_axis(probabilities, places[..., None], -1)
        found[sum(int("".join(map(str, number))) for number in places)] += shares.prod()
    return [found[total] for total in range(2 * 10 ** probabilities.shape[1] - 1)]


@pytest.mark.parametrize("digits", [1, 2])
def test_the_circuits_written_by_hand_are_those_of_the_addition(digits: int) -> None:
    scores, (total,) = drawn(1, 2, digits)
    probabilities = scores[0].exp().numpy()
    expected = by_enumeration(probabilities)
    every = Circuit(probabilities.flatten().tolist())
    all_totals(every, digits)
    assert every.roots == pytest.approx(expected)
    told = np.eye(10)[total // 10 ** np.arange(digits + 1) % 10]
    one = Circuit([*probabilities.flatten(), *told.flatten()])
    one_total(one, digits)
    assert one.roots == pytest.approx([expected[total]])


def test_sumnist_is_asked_for_one_total_for_all_and_for_a_loss() -> None:
    scores, totals = drawn(3, 2, 1)
    system = Sumnist(1)
    expected = np.log([by_enumeration(one) for one in scores.exp().numpy()])
    assert system.of_all(scores).numpy() == pytest.approx(expected)
    assert system.of_one(scores, totals).numpy() == pytest.approx(expected[range(3), totals])
    assert float(system.loss(scores, totals)) == pytest.approx(-expected[range(3), totals].mean())


def test_the_most_literal_system_picks_one_total_from_all() -> None:
    class Bare(System):
        def of_all(self, scores: torch.Tensor) -> torch.Tensor:
            return Sumnist(self.digits).of_all(scores)

    scores, totals = drawn(3, 2, 2)
    assert torch.allclose(Bare(2).of_one(scores, totals), Sumnist(2).of_one(scores, totals))


def test_packages_that_are_not_installed_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sum_systems, "library_version", lambda name: "1" if name == "sumnist" else "not installed")
    assert list(sum_systems.found()) == ["Sumnist"]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == len(sum_systems.SYSTEMS) - 1
    assert told[0] == "KLay, the circuit of its experiment is left out: pip install klaycircuits PySDD"


# Measuring.


def test_a_system_is_made_once_for_each_number_of_digits() -> None:
    made: list[int] = []

    def make(digits: int) -> System:
        made.append(digits)
        return Sumnist(digits)

    served = Served(make)
    for task in (Task("one", 1, 1), Task("all", 1, 2), Task("one", 2, 1)):
        assert set(served.ready(task)) == {"made_seconds", "first_seconds"}
        assert served.time(task)["calls"] >= 1
    assert made == [1, 2]
    assert served.answer(Task("all", 2, 3, double=True)).shape == (3, 199)
    assert served.answer(Task("one", 2, 3, double=True)).dtype == np.float64


def test_a_step_changes_weights() -> None:
    served = Served(Sumnist)
    served.ready(Task("step", 1, 4))
    second = served.asked().numpy()
    assert second < served.answer(Task("step", 1, 4))  # which is the first one of the same training


@pytest.mark.parametrize(
    ("other", "lost"),
    [
        (Task("one", 2, 1), True), (Task("one", 3, 128), True), (Task("all", 2, 1), True),
        (Task("one", 1, 128), False), (Task("step", 2, 16), False),
    ],
)  # fmt: skip
def test_who_cannot_do_a_task_is_not_asked_for_more(other: Task, lost: bool) -> None:
    assert other.no_easier_than(Task("one", 2, 1)) == lost


class InThisProcess:
    """A stand-in for a system in a process of its own, which fails from two digits on if it is not Sumnist."""

    def __init__(self, name: str) -> None:
        self.name, self.served = name, Served(Sumnist)

    def ask(self, command: str, task: Task) -> Any:
        if self.name != "Sumnist" and task.digits > 1:
            return None
        answer = getattr(self.served, command)(task)
        return {**answer, "seconds": 9.0} if command == "time" and self.name == "KLay, carries by hand" else answer

    def end(self) -> None:
        pass


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three systems, of which one is slow and two fail with two digits."""
    names = "Sumnist", "KLay, carries by hand", "DeepProbLog, query asked before"
    monkeypatch.setattr(sums, "found", lambda: {name: Listed(Sumnist, ("sumnist",)) for name in names})
    monkeypatch.setattr(sums, "Process", InThisProcess)
    monkeypatch.setattr(sums, "DIGITS", (1, 2))
    monkeypatch.setattr(sums, "BATCHES", (1,))
    monkeypatch.setattr(sums, "MOMENT", 1e-9)


@pytest.mark.usefixtures("three")
def test_all_are_asked_in_turn_the_slow_once_and_who_fails_no_more() -> None:
    rows = list(sums.queries())
    one = [row for row in rows if row["question"] == "one"]
    assert [row["name"][0] for row in one] == [*"SKD", *("SD" * 4), *"SKD", *("S" * 4)]
    assert [row["round"] for row in one[-4:]] == [1, 2, 3, 4]
    lost = [row for row in one if row["digits"] == 2 and row["name"] != "Sumnist"]
    assert [(row["seconds"], "calls" in row, row["limit_seconds"]) for row in lost] == [(None, False, 90)] * 2
    assert set(one[0]["packages"]) == {"sumnist"}


@pytest.mark.usefixtures("three")
def test_answers_of_others_are_compared_with_ours() -> None:
    rows = list(sums.agree())
    assert [(row["name"][0], row["question"], row["digits"], row["difference"]) for row in rows] == [
        ("K", "one", 1, 0.0), ("D", "one", 1, 0.0), ("K", "all", 1, 0.0), ("D", "all", 1, 0.0),
        ("K", "one", 2, None), ("D", "one", 2, None), ("K", "all", 2, None), ("D", "all", 2, None),
    ]  # fmt: skip
    assert [row["answers"] for row in rows[::2]] == [4, 4 * 19, 4, 4 * 199]


@pytest.mark.heavy
def test_a_system_in_its_process_answers_and_one_that_takes_too_long_or_dies_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = Process("Sumnist")
    task = Task("one", 1, 2, double=True)
    scores, totals = drawn(2, 2, 1)
    try:
        assert system.ask("answer", task) == pytest.approx(Sumnist(1).of_one(scores, totals).numpy())
        before = system.process.pid
        monkeypatch.setattr(sums, "LIMIT", 0.0)
        assert system.ask("answer", Task("all", 4, 128)) is None  # it takes a while
        monkeypatch.undo()
        assert system.process.pid != before
        assert set(system.ask("ready", task)) == {"made_seconds", "first_seconds"}
        system.process.kill()
        system.process.join()
        assert system.ask("answer", task) is None
        assert system.ask("answer", task).shape == (2,)
    finally:
        system.end()


def test_the_memory_of_a_query_is_the_most_beyond_what_was_there() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # this process has memory to spare
        row = pool.apply(sums.grown, ("posterior", 100, 10))
    assert 10e6 < row["peak_bytes"] < 1e9  # log-weights of 100 columns of sums, several at once
    assert row["calls"] >= sums.CALLS

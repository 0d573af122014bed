"""The benchmarks: cases in turn, what is watched and killed, numbers read with everything, exact sums beside others."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import number_engines
import run
import sum_systems
import sums
import timing
from evidence import answered
from figures import FIGURES
from number_engines import encoded, one_by_one
from sum_systems import Listed, Sumnist, System, all_totals, one_total
from sumnist.inference.reader import Reader
from sumnist.lab.suites.strips import strings
from sums import Process, Served, Task, drawn

Row = dict[str, Any]


# Rounds, memory, kills.


def test_cases_come_in_turn_and_rounds_that_warm_up_do_not_count() -> None:
    asked: list[tuple[str, int]] = []

    def case(name: str, turn: int) -> Row:
        asked.append((name, turn))
        return {"p50": len(asked)}

    cases = {"a": partial(case, "a"), (("name", "b"), ("batch", 4)): partial(case, "b")}
    rows = list(timing.alternating(cases, 2, warm=1))
    assert asked == [(name, turn) for turn in (-1, 0, 1) for name in "ab"]
    assert rows[:2] == [{"name": "a", "round": 0, "p50": 3}, {"name": "b", "batch": 4, "round": 0, "p50": 4}]
    assert len(rows) == 4


def test_memory_of_a_command_and_of_its_children_is_watched() -> None:
    child = "b = 60_000_000 * b'x'; import time; time.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    row = timing.watched([sys.executable, "-c", parent])
    assert 60e6 < row["peak_bytes"] < 600e6
    assert row["seconds"] > 0.5
    assert (
        timing.status_of(10**8, "VmRSS") == 0 < timing.status_of("self", "VmRSS") <= timing.status_of("self", "VmHWM")
    )


WRITES = """
import pathlib, sys, time
out = pathlib.Path(sys.argv[-1]); partial = out.with_name(f".{out.name}.partial")
for place in range(len(partial.read_bytes()) if partial.exists() else 0, 20):
    with partial.open("a") as stream:
        stream.write("x")
    time.sleep(0.03)
partial.replace(out)
"""


def test_what_is_killed_again_and_again_is_compared_with_what_was_left_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES]
    row = timing.interrupted(command, "--out", tmp_path / "alone", tmp_path / "killed", 2)
    assert (row["kills"], row["identical"]) == (2, True)
    other = WRITES.replace('"x"', "out.name[0]")
    assert not timing.interrupted([sys.executable, "-c", other], "--out", tmp_path / "a", tmp_path / "k", 1)[
        "identical"
    ]
    with pytest.raises(SystemExit, match="it ended before it was killed"):
        timing.kill_at([sys.executable, "-c", "pass"], tmp_path / "none", 1)


def test_the_benchmarks_begin_with_the_machine_and_what_was_chosen_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = {"processor": "a (avx2)", "cores": 2, "versions": {"torch": "2"}}
    monkeypatch.setattr(run, "describe_machine", lambda: machine | {"chosen": {"precision": "bf16", "threads": 2}})
    assert run.introduction() == "a (avx2), 2 cores; torch 2\nprecision: bf16\nthreads: 2"


def test_rows_of_a_part_replace_its_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PARTS", {"size": lambda: iter([{"name": "new"}])})
    rows = tmp_path / "bench.jsonl"
    rows.write_text('{"part": "size", "name": "old"}\n{"part": "rows"}\n')
    monkeypatch.setattr(sys, "argv", ["run", "--results", str(rows)])
    run.main()
    assert [(row["part"], row.get("name")) for row in run.read_jsonl(rows)] == [("rows", None), ("size", "new")]


# Numbers.


def test_the_network_of_single_digits_reads_digits_that_stand_apart() -> None:
    made, reader = strings("development", 3, "spaced", 20), Reader()
    right = [one_by_one(reader, encoded(picture)) == text
             for picture, text in zip(made.pictures, made.texts, strict=True)]  # fmt: skip
    assert sum(right) / len(right) >= 0.7
    assert one_by_one(reader, encoded(0 * made.pictures[0])) == ""


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Bare:
        def reader(self, engine: str) -> list[Any]:
            if engine != "ours":
                raise ImportError("not installed")
            return []

    monkeypatch.setattr(number_engines, "Numbers", Bare)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert list(number_engines.engines()) == ["ours", "digit by digit"]
    assert capsys.readouterr().err == "ocr is left out: not installed\nboth is left out: not installed\n"
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/tesseract")
    assert list(number_engines.engines()) == ["ours", "tesseract", "digit by digit"]


def test_tesseract_gets_the_file_and_gives_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = "import sys; print(' 1 2,x', len(sys.stdin.buffer.read()))"
    monkeypatch.setattr(number_engines, "TESSERACT", [sys.executable, "-c", stand_in])
    (tmp_path / "x.png").write_bytes(b"123456")
    assert number_engines.tesseract(tmp_path / "x.png") == "126"
    assert number_engines.tesseract(b"12") == "122"


BESIDE = """
from = "numbers-accuracy"
by = ["name"]
columns = [["read with", "{name}"], ["strings", "{sum strings}"]]
across = "spacing"
each = [["{spacing}", "{mean right:.2%}"]]
"""


def test_the_benchmarks_of_numbers_give_the_rows_that_the_page_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_engines, "engines", lambda: {"twelve": lambda _: "12", "none": lambda _: ""})
    for name, value in {"STRINGS": 40, "LENGTHS": (2,), "ROUNDS": 2, "CALLS": 2, "SECONDS": 0.05}.items():
        monkeypatch.setattr(number_engines, name, value)
    rows = [{"part": f"numbers-{name}", **row} for name in ("accuracy", "latency", "rate")
            for row in getattr(number_engines, name)()]  # fmt: skip
    share = strings("reported", 2, "spaced", 40).texts.count("12") / 40
    lines = answered(BESIDE, rows).strip().splitlines()[2:]
    assert lines == [f"| twelve | 120 |{f' {100 * share:.2f} |' * 3}", f"| none | 120 |{' 0.00 |' * 3}"]
    cells = FIGURES["numbers-speed"](rows).strip().splitlines()[2].strip("| ").split(" | ")
    assert [cell[-3:] for cell in cells[1:3]] == [" ms", " ms"]
    assert int(cells[3].replace(",", "")) > 0
    assert cells[4:] == ["–", "–"]


# Exact sums, beside others.


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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_the_memory_of_a_query_is_the_most_beyond_what_was_there() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # this process has memory to spare
        row = pool.apply(sums.grown, ("posterior", 100, 10))
    assert 10e6 < row["peak_bytes"] < 1e9  # log-weights of 100 columns of sums, several at once
    assert row["calls"] >= sums.CALLS

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

import sum_growth
import sum_systems
import sums
import write_docs
from arithmetic_tables import TABLES
from sum_systems import Listed, Sumnist, System, all_totals, one_total
from sums import Process, Served, Task, drawn
from tables import cells

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
        row = pool.apply(sum_growth.grown, ("posterior", 100, 10))
    assert 10e6 < row["peak_bytes"] < 1e9  # log-weights of 100 columns of sums, several at once
    assert row["calls"] >= sum_growth.CALLS


# Tables.


def page_rows() -> list[Row]:
    machine = {"processor": "made up", "cores": 2, "versions": {"torch": "2.9"}}
    common = {"date": "2026-12-01", "machine": machine}
    limits = {"limit_seconds": 90, "limit_gib": 8, "packages": {"klaycircuits": "0.1.2"}}

    def query(part: str, name: str, digits: int, batch: int, question: str, seconds: float | None) -> Row:
        ready = {"made_seconds": 0.25, "first_seconds": 0.5} if seconds else {}
        return {"part": part, "name": name, "question": question, "digits": digits, "batch": batch, "round": 0,
                "seconds": seconds, **ready, **limits, **common}  # fmt: skip

    queries = [query("addition-queries", name, digits, batch, question,
                     None if name == "B" and digits == 2 else 0.002 * digits)
               for name in "AB" for digits in (1, 2) for batch in (1, 128) for question in ("one", "all")]  # fmt: skip
    queries.append({**queries[0], "round": 1, "seconds": 0.004})
    steps = [query("addition-step", name, digits, 16, "step", 2.5) for name in "AB" for digits in (1, 15)]
    answers = [{"part": "addition-agree", "name": "B", "question": question, "digits": digits, "answers": 4,
                "difference": None if digits == 2 else 1.4e-15, **limits, **common}
               for question in ("one", "all") for digits in (1, 2)]  # fmt: skip
    growth = [{"part": "addition-growth", "question": question, "addends": addends, "digits": digits, "round": 0,
               "seconds": 1e-5 * digits * addends, "peak_bytes": 10_000 * digits * addends, **common}
              for question in ("log_prob", "posterior")
              for addends, digits in ((2, 10), (2, 100), (2, 300), (2, 1000), (5, 10))]  # fmt: skip
    return [*queries, *steps, *answers, *growth]


def test_times_are_medians_and_no_answer_is_told() -> None:
    text = TABLES["arithmetic-one"](page_rows())
    assert "| one total; digits of a number | sums at once | 1 | 2 |" in text
    assert cells(text, "A", "1") == ["3 ms", "4 ms"]
    assert cells(text, "B", "128") == ["2 ms", "none"]
    assert cells(TABLES["arithmetic-all"](page_rows()), "A", "128") == ["2 ms", "4 ms"]


def test_the_first_answer_has_all_that_is_made_for_it() -> None:
    text = TABLES["arithmetic-first"](page_rows())
    assert (cells(text, "A"), cells(text, "B")) == (["750 ms", "750 ms"], ["750 ms", "none"])


def test_steps_and_differences_have_a_line_each() -> None:
    text = TABLES["arithmetic-steps"](page_rows())
    assert "a step with 16 sums; digits of a number | 1 | 15 |" in text
    assert cells(text, "B") == ["2.5 s", "2.5 s"]
    assert cells(TABLES["arithmetic-agree"](page_rows()), "B", "all totals") == ["1e-15", "none"]


def test_growth_has_times_memory_and_a_slope() -> None:
    text = TABLES["arithmetic-growth-digits"](page_rows())
    assert "| digits of each of 2 numbers | `log_prob` | memory | `posterior` | memory |" in text
    assert cells(text, "1,000") == ["20 ms", "20.0 MB", "20 ms", "20.0 MB"]
    text = TABLES["arithmetic-growth-addends"](page_rows())
    assert "| numbers of 10 digits |" in text
    assert cells(text, "5") == ["0.5 ms", "0.5 MB", "0.5 ms", "0.5 MB"]
    slope = TABLES["arithmetic-slope"]
    assert slope(page_rows()) == "1.00 (`log_prob`) and 1.00 (`posterior`) from 100 to 1,000 digits"
    steeper = [
        {**row, "seconds": row["seconds"] ** 2} if row["part"] == "addition-growth" else row for row in page_rows()
    ]
    assert slope(steeper) == "2.00 (`log_prob`) and 2.00 (`posterior`) from 100 to 1,000 digits"


def test_where_and_with_what_is_told() -> None:
    assert TABLES["arithmetic-beside-measured"](page_rows()) == (
        "One thread of made up, 2 cores; torch 2.9; klaycircuits 0.1.2; medians of 2 rounds; "
        "none: no answer within 90 s and 8 GiB"
    )
    assert TABLES["arithmetic-growth-measured"](page_rows()) == "One thread of made up, 2 cores; torch 2.9"


def test_what_was_not_measured_is_said_so() -> None:
    for name, written in TABLES.items():
        assert written([]).strip() == "*Not measured yet.*", name


@pytest.mark.parametrize("part", ["addition-queries", "addition-step", "addition-agree", "addition-growth"])
def test_a_changed_row_changes_the_page(part: str) -> None:
    rows = page_rows()
    names = [name for name in TABLES if f"figure:{name} -->" in PAGE]
    assert len(names) == len(TABLES)

    def written() -> str:
        return "".join(write_docs.FIGURES[name](rows) for name in names)

    before = written()
    row = next(row for row in rows if row["part"] == part)
    row |= {key: 7 * value for key, value in row.items() if isinstance(value, float)}
    assert written() != before

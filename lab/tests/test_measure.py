"""What is measured for the pages, by fakes that read as they are told: which pictures, which rows, and that what is
reported is looked at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from finding import Finding
from lab import evidence, measure
from lab.measure import Outcome, outcome_of
from lab.records import RUNS, row_of
from lab.suites import measure as suite
from lab.suites.sheet_truth import LAYOUTS, Entry, Mistake, Truth
from lab.suites.strips import NO_NUMBERS
from sumnist.config import preset
from sumnist.environment import describe_machine
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NumberReader, NumberReading
from sumnist.model.encoders import count_parameters
from sumnist.model.network import TwoInputNet

pytestmark = pytest.mark.long
HEAD = "c" * 40

Row = dict[str, Any]
Run = Callable[..., list[Row]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The rows that there are after `measure.py` was given these words, at a commit without changes."""
    monkeypatch.setattr(measure, "clean_commit", lambda program: HEAD)
    described = describe_machine() | {"commit": HEAD}
    monkeypatch.setattr(evidence, "describe_machine", lambda: dict(described))
    rows = tmp_path / "rows.jsonl"

    def measured(*words: object) -> list[Row]:
        measure.main([*map(str, words), "--rows", str(rows)])
        return [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []

    return measured


# Runs and pictures.


def test_a_plan_is_trained_evaluated_and_not_measured_twice(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = preset("tiny", validation=0)
    monkeypatch.setitem(measure.PLANS, "fast-exact", tiny)
    parameters = count_parameters(TwoInputNet.from_config(tiny))
    monkeypatch.setitem(RUNS, "fast-exact", row_of(tiny) | {"parameters": parameters})
    words = "runs", "fast-exact", "--seeds", 3, "--threads", 1, "--runs", tmp_path / "runs"
    (row,) = run(*words)
    assert (row["part"], row["plan"], row["seed"], row["commit"]) == ("run", "fast-exact", 3, row["commit"])
    assert row["evaluation"]["digit"]["value"] > 0.8
    assert (row["config"]["threads"], row["evaluation"]["parameters"] > 0) == (1, True)
    assert run(*words) == [row]
    assert "fast-exact, seed 3: measured already" in capsys.readouterr().out


def test_real_pictures_are_read_by_half_and_the_reported_one_once(run: Run, tmp_path: Path) -> None:
    for digit, place in ((5, 1), (5, 2), (7, 4)):
        (tmp_path / f"scans/{digit}").mkdir(parents=True, exist_ok=True)
        Image.open(evidence.ROOT / "examples/five.png").save(tmp_path / f"scans/{digit}/{place}.png")
    words = "real", "scans", tmp_path / "scans"
    even, odd = run(*words, "development")[0], run(*words, "reported")[1]
    assert (even["pictures"], even["accuracy"], odd["pictures"], odd["accuracy"]) == (2, 0.5, 1, 1.0)
    assert len(run(*words, "development")) == 3
    with pytest.raises(SystemExit, match="measured already, and to be looked at once: half reported, name scans"):
        run(*words, "reported")
    with pytest.raises(SystemExit, match="no pictures of the reported half in sub-folders 0 to 9"):
        run("real", "none", tmp_path, "reported")


# Numbers.


class Twelve:
    """A reader of one network that reads 12 everywhere."""

    content = b"network"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.said: tuple[str, Any] = ("12", 12)

    def reader(self) -> NumberReader:
        recognizer: Any = self
        return NumberReader(recognizer, Finding())

    def read_each(self, pictures: list[Any], **_: Any) -> list[NumberReading]:
        self.seen += [getattr(picture, "name", "strip") for picture in pictures]
        one = Candidate(*self.said, 0.75)
        return [NumberReading(*self.said, 0.75, (one,), 0.25, True, None, 1.0) for _ in pictures]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Twelve:
    found = Twelve()
    monkeypatch.setattr(measure, "Numbers", lambda: found)
    monkeypatch.setattr(suite, "STRINGS", {1: 2, 2: 2})
    monkeypatch.setattr(suite, "COUNTS", dict.fromkeys(NO_NUMBERS, 2))
    return found


@pytest.fixture
def strips(tmp_path: Path) -> Path:
    """A folder with labels: the pictures with even numbers show 12, those with odd ones 13."""
    rows = [f"{place:03}.png,{12 + place % 2}" for place in range(8)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,text", *rows]))
    return tmp_path


def test_a_row_says_what_was_measured_with_what(run: Run, fake: Twelve, strips: Path) -> None:
    """The numbers in the names of the pictures say which half they are in."""
    words = "numbers", "--folder", f"real cells={strips}"
    (odd,) = run(*words)
    assert fake.seen == [f"00{place}.png" for place in (1, 3, 5, 7)]
    assert (odd["half"], odd["pictures"], odd["accuracy"]) == ("reported", 4, 0.0)
    assert odd["misses"] == [{"cause": "2 for 3", "count": 4}]
    causes = [measure.miss_of("12", read) for read in ("", "1", "121", "21", "1.2")]
    assert causes == ["nothing read", "digits lost", "digits added", "several digits", "decimals"]
    _, one = run(*words, "--half", "development")
    assert fake.seen[4:] == [f"00{place}.png" for place in (0, 2, 4, 6)]
    assert (one["half"], one["pictures"], one["accuracy"]) == ("development", 4, 1.0)
    assert (one["set"], one["kind"], one["name"]) == ("real cells", "real", "real cells")
    assert (one["commit"], one["part"], one["path"]) == (HEAD, "strips", measure.PATHS["numbers"])
    assert one["machine"]["processor"]
    assert one["model_sha256"].startswith("3009be769fb8f956")  # printf network | sha256sum
    assert one["engine"] == "ours"
    assert one["accuracy_accepted"] == 1.0
    assert one["ece"] == pytest.approx(0.25)


def test_a_reported_set_is_looked_at_once_for_each_network_and_path(
    run: Run, fake: Twelve, strips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "numbers", "--folder", f"cells={strips}"
    run(*words)
    looked = len(fake.seen)
    with pytest.raises(SystemExit, match=r"measured already, .* set cells, .*engine ours"):
        run(*words)
    with pytest.raises(SystemExit, match=r"measured already, .* set cells, .*engine ours"):
        run(*words, "--suite")
    assert len(fake.seen) == looked
    assert len(run(*words, "--half", "development")) == 2
    assert len(run(*words, "--half", "development")) == 3
    fake.content = b"another network"
    assert len(run(*words)) == 4
    monkeypatch.setitem(measure.PATHS, "numbers", measure.PATHS["numbers"] + 1)  # designed anew
    assert len(run(*words)) == 5


# Numbers found.


# Filled forms.


def reading(
    state: str, values: Mapping[str, int | None], read: Mapping[str, int | None] | None = None, wrong: str = ""
) -> Any:
    """A reading, in which one total is said to be wrong or none."""
    told = [SimpleNamespace(field=wrong)] if wrong else []
    return SimpleNamespace(state=state, values=values, read=values if read is None else read, wrong=told)


def sheet(mistake: Mistake | None = None) -> Truth:
    """One on which 4 and 5 make 9, or something else."""
    values = {"a": 4, "b": 5, "total": 19 if mistake else 9}
    entries = {name: Entry(value, "number", (str(value),), ("",)) for name, value in values.items()}
    return Truth(LAYOUTS["cover"], "000000", entries, mistake)


RIGHT = {"a": 4, "b": 5, "total": 9}
CARRY = Mistake("total", "carry", 9)


@pytest.mark.parametrize(
    ("mistake", "given", "before", "after", "told"),
    [
        (None, reading("adds up", RIGHT), True, True, True),
        (None, reading("corrected", RIGHT, RIGHT | {"a": 9}), False, True, True),
        (None, reading("adds up", {"a": 3, "b": 6, "total": 9}, RIGHT), True, False, True),
        (None, reading("doubtful", RIGHT | {"b": None}), False, False, True),
        (None, reading("does not add up", RIGHT | {"a": 9}, wrong="total"), False, False, False),
        (None, None, False, False, False),
        (CARRY, reading("adds up", RIGHT), False, False, False),
        (CARRY, reading("does not add up", RIGHT | {"total": 19}, wrong="total"), True, True, True),
        (CARRY, reading("does not add up", RIGHT | {"total": 19}, wrong="subtotal"), True, True, False),
    ],
)
def test_an_outcome_says_what_was_right_before_and_after_and_whether_the_mistake_is_told(
    mistake: Mistake | None, given: Any, before: bool, after: bool, told: bool
) -> None:
    state = given.state if given else "unreadable"
    expected = Outcome(state, before, after, mistake.kind if mistake else None, told)
    assert outcome_of(sheet(mistake), given) == expected

"""What is measured for the pages, by fakes that read as they are told: which pictures, which rows, and that what is
reported is looked at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import evidence
import measure
import measure_addition
import measure_numbers
import measure_sheets
from measure_numbers import PLACES, Read, answer_to, drawn, sums, triple_figures
from measure_sheets import Outcome, is_measured, outcome_of, read, registrations
from sumnist.arithmetic import Values
from sumnist.arithmetic.values import Value
from sumnist.config import PRESETS, preset
from sumnist.data.mnist import DigitSet
from sumnist.environment import describe_machine
from sumnist.errors import DataError, ImageError
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import Line, NumberReader, NumberReading
from sumnist.inference.reader import Reader
from sumnist.lab.suites import measure as suite
from sumnist.lab.suites.sheet_truth import LAYOUTS, Entry, Mistake, Truth
from sumnist.lab.suites.sheets import Ink, Sheets
from sumnist.lab.suites.strips import NO_NUMBERS
from sumnist.model.network import TwoInputNet
from sumnist.sheets.layout import Page
from sumnist.sheets.registration import corners_of

HEAD = "c" * 40
KINDS = "all", "settled", "accepted"

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


def test_a_package_with_changes_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "commit", lambda: f"{HEAD}+changes")
    with pytest.raises(SystemExit, match=r"expected a clean commit"):
        measure.main(["robustness", "development"])


def test_every_task_has_a_file_of_rows_and_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        measure.main(["--help"])
    said = capsys.readouterr().out
    assert all(f"measure.py {task}" in said for task in measure.TASKS)
    assert all((evidence.RESULTS / f"{task}.jsonl").exists() for task in measure.TASKS)
    with pytest.raises(SystemExit, match="2"):
        measure.main(["robustness", "development", "--epochs", "3"])


# Runs and pictures.


@pytest.mark.long
def test_a_plan_is_trained_evaluated_and_not_measured_twice(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(measure.PLANS, "fast-exact", preset("tiny", validation=0))
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


def test_each_rule_is_switched_off_and_on_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.zeros((2, 28, 28), np.uint8)
    monkeypatch.setattr(measure, "ruled", lambda scanned: {"blank": ([*pictures], [-2, -2])})
    rows = run("rules")
    assert [row["without"] for row in rows] == [*measure.RULES]
    assert {str(row["figures"]) for row in rows[:2]} == {"{'blank': [0.0, 0.0, 0.0]}"}


# Learning from sums.


@pytest.fixture
def learn(run: Run, tmp_path: Path, idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run`, with presets of a second."""
    small = preset(
        "addition", encoder="tiny", data_dir=idx_folder, epochs=1, validation=5, batch_size=64, device="cpu"
    )  # fmt: skip
    monkeypatch.setitem(PRESETS, "addition", small)
    monkeypatch.setitem(PRESETS, "addition-best", replace(small, preset="addition-best", augment="shift"))
    monkeypatch.setattr(measure_addition, "HELD_OUT", 200)
    return lambda *words: run("addition", *words, "--runs", tmp_path / "runs")


def test_a_row_says_what_was_learned_and_is_not_measured_twice_whatever_the_threads(
    learn: Run, idx_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "lenet", "own", "--digits", "1", "2", "--seeds", "3"
    rows = learn(*words)
    assert [(row["name"], row["config"]["digits"]) for row in rows] == [
        ("lenet", 1), ("own", 1), ("lenet", 2), ("own", 2),
    ]  # fmt: skip
    one = rows[0]
    assert (one["part"], one["set"], one["commit"], one["seed"]) == ("addition", "test", HEAD, 3)
    assert (one["config"]["validation"], one["config"]["threads"], one["config"]["supervision"]) == (0, 1, "sums")
    assert (one["evaluation"]["data"], one["evaluation"]["sums"]) == (f"{idx_folder} test", 100)
    assert (one["restarts"], one["renamed"]) == (0, 0)
    capsys.readouterr()
    assert learn(*words, "--threads", "2") == rows
    assert capsys.readouterr().out.startswith("lenet, 1 digits, seed 3: measured already\n")
    others = (["--supervision", "digits"], ["--operation", "sub"], ["--choose"])
    assert [len(learn("lenet", "--digits", "1", "--seeds", "3", *other)) for other in others] == [5, 6, 7]


def test_a_row_tells_what_its_encoder_drops_and_where() -> None:
    for encoder, dropped in (("lenet", {"before 256→120": 0.3}), ("default", {"before the fusion": 0.3}), ("tiny", {})):
        assert measure_addition.dropout_of(TwoInputNet.from_config(preset("addition", encoder=encoder))) == dropped


def test_settings_are_chosen_by_images_that_are_held_out(learn: Run, idx_folder: Path) -> None:
    words = "lenet", "--digits", "1", "--seeds", "0"
    for wrong, message in (
        (("--lr", "0.01"), "--lr 0.01: settings are changed to choose by; add --cho"),
        (("--choose", "--learning", "1"), "addition: .*--learning: no such flag"),
        (("--digits", "1001"), "addition: --digits 1001: expected"),
    ):
        with pytest.raises(SystemExit, match=f"^measure: {message}"):
            learn(*words, *wrong)
    learn(*words, "--choose", "--lr", "0.01", "--no-soft-labels")
    one, two = learn(*words, "--choose", "--lr", "0.02")
    assert [row["config"]["lr"] for row in (one, two)] == [0.01, 0.02]
    assert one["set"] == two["set"] == "held out"
    assert (one["evaluation"]["images"], one["dropout"]) == (200, {})
    assert one["evaluation"]["data"] == f"{idx_folder} train"


# Numbers.


class Engine:
    """A reader of one network, or of two with "both"."""

    content = b"network"

    def of(self, engine: str) -> list[Any]:
        return [self] * (2 if engine == "both" else 1)

    def reader(self, engine: str) -> NumberReader:
        return NumberReader(self.of(engine))


class Twelve(Engine):
    """A reader that reads 12 everywhere."""

    def __init__(self) -> None:
        self.trust = 1.0
        self.seen: list[tuple[str, str]] = []

    def read_each(self, pictures: list[Any], engine: str, **_: Any) -> list[NumberReading]:
        self.seen += [(engine, getattr(picture, "name", "strip")) for picture in pictures]
        one = Candidate("12", 12, 0.75)
        return [NumberReading("12", 12, 0.75, (one,), 0.25, True, None, 1.0) for _ in pictures]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Twelve:
    found = Twelve()
    monkeypatch.setattr(measure_numbers, "Numbers", lambda: found)
    monkeypatch.setattr(suite, "STRINGS", {1: 2, 2: 2})
    monkeypatch.setattr(suite, "COUNTS", dict.fromkeys(NO_NUMBERS, 2))
    return found


@pytest.fixture
def strips(tmp_path: Path) -> Path:
    """A folder with labels: the pictures with even numbers show 12, those with odd ones 13."""
    rows = [f"{place:03}.png,{12 + place % 2}" for place in range(8)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,text", *rows]))
    return tmp_path


def test_a_row_says_what_was_measured_with_what_and_what_is_misread(run: Run, fake: Twelve, strips: Path) -> None:
    """The numbers in the names of the pictures say which half they are in."""
    words = "numbers", "--folder", f"real cells={strips}"
    (odd,) = run(*words)
    assert [name for _, name in fake.seen] == [f"00{place}.png" for place in (1, 3, 5, 7)]
    assert (odd["half"], odd["pictures"], odd["accuracy"]) == ("reported", 4, 0.0)
    named = {"read": "12", "accepted": True, "in_candidates": False}
    assert odd["misread"] == [{"picture": f"00{place}", **named} for place in (1, 3, 5, 7)]
    _, one, two = run(*words, "--half", "development", "--engines", "ours", "both")
    assert [name for _, name in fake.seen[4:]] == [f"00{place}.png" for place in (0, 2, 4, 6)] * 2
    assert (one["half"], one["pictures"], one["accuracy"], one["misread"]) == ("development", 4, 1.0, [])
    assert (one["set"], one["kind"], one["name"]) == ("real cells", "real", "real cells")
    assert (one["commit"], one["part"], one["path"]) == (HEAD, "strips", measure_numbers.PATH)
    assert one["machine"]["processor"]
    assert one["model_sha256"].startswith("3009be769fb8f956")  # printf network | sha256sum
    assert one["model_sha256"] != two["model_sha256"]
    assert (one["engine"], two["engine"]) == ("ours", "both")
    assert one["accuracy_accepted"] == 1.0
    assert one["ece"] == pytest.approx(0.25)


def test_the_network_of_ocr_alone_is_shown_whole_pictures_and_says_the_digits_of_its_best_path(
    run: Run, fake: Twelve, strips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[NDArray[np.float32]] = []

    class Said:
        def lines(self, pictures: list[NDArray[np.float32]]) -> list[Line]:
            shown.extend(pictures)
            path = [1, 0, 2, 2, 11, 0, 3]  # 0, 1, a stop, 2
            return [Line(np.log(0.01 + np.eye(14, dtype=np.float32)[path]), 1.0) for _ in pictures]

    monkeypatch.setattr(measure_numbers, "OcrRecognizer", Said)
    for place in range(8):
        Image.fromarray(np.full((6, 10), 51 * (place % 2), np.uint8)).save(strips / f"{place:03}.png")
    (row,) = run("numbers", "--folder", f"cells={strips}", "--engines", "ocr alone", "--half", "development", "--suite")
    assert (row["engine"], row["pictures"], row["accuracy"], row["nll"]) == ("ocr alone", 4, 1.0, None)
    assert [picture.shape for picture in shown] == [(6, 10)] * 4
    assert all((picture == 1).all() for picture in shown)
    assert not fake.seen
    assert run("numbers", "--folder", f"cells={strips}", "--engines", "ocr alone")[1]["accuracy"] == 0.0


def test_the_suite_has_a_row_for_each_set_and_kind(run: Run, fake: Twelve) -> None:
    words = "numbers", "--suite", "--half", "development", "--engines"
    rows = run(*words, "ours", "ocr")
    counts = Counter((row["set"], row["engine"], row["kind"]) for row in rows)
    sets = {"strings": 7, "no number": len(NO_NUMBERS)}
    assert counts == {("suite", engine, kind): sets[kind] for engine in ("ours", "ocr") for kind in sets}
    assert {row["pictures"] for row in run(*words, "ours", "--count", 1)[len(rows) : len(rows) + 4]} == {1}


def test_how_much_a_closer_look_counts_is_chosen_by_the_development_half_alone(
    run: Run, fake: Twelve, strips: Path, tmp_path: Path
) -> None:
    words = "numbers", "--folder", f"cells={strips}", "--suite", "--trusts", 0, 0.5
    with pytest.raises(SystemExit, match="development half: add --half development"):
        run(*words)
    with pytest.raises(SystemExit, match="ocr alone, which takes no closer look: leave that engine out"):
        run(*words, "--half", "development", "--engines", "ocr alone")
    rows = run(*words, "--half", "development")
    assert [row["trust"] for row in rows] == [0.0] * 5 + [0.5] * 5
    assert {(row["part"], row["half"]) for row in rows} == {("strips-closer", "development")}
    assert fake.trust == 0.5
    assert [row["name"] for row in rows[:5]] == [
        "cells", "1 digit", "2 to 12 digits, spaced", "2 to 12 digits, close", "2 to 12 digits, touching",
    ]  # fmt: skip


def test_a_reported_set_is_looked_at_once_for_each_network_engine_and_path(
    run: Run, fake: Twelve, strips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "numbers", "--folder", f"cells={strips}"
    run(*words)
    assert len(run(*words, "--engines", "ocr")) == 2
    looked = len(fake.seen)
    with pytest.raises(SystemExit, match=r"measured already, .* set cells, engine ours"):
        run(*words, "--engines", "both", "ours")
    with pytest.raises(SystemExit, match=r"measured already, .* set cells, engine ours"):
        run(*words, "--suite")
    assert len(fake.seen) == looked
    assert len(run(*words, "--half", "development")) == 3
    assert len(run(*words, "--half", "development")) == 4
    fake.content = b"another network"
    assert len(run(*words)) == 5
    monkeypatch.setattr(measure_numbers, "PATH", measure_numbers.PATH + 1)  # designed anew
    assert len(run(*words)) == 6


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("path,text\n000.png,twelve\n", r"line 2: text 'twelve': expected a number in digits"),
        ("path,text\na.png,12\n", r"a\.png: no number in its name: mend labels\.csv"),
        ("path,text\n000.png,12\n", r"no pictures with odd numbers in labels\.csv"),
    ],
)
def test_labels_that_are_no_good_end_it_before_anything_is_read(
    run: Run, fake: Twelve, strips: Path, labels: str, message: str
) -> None:
    (strips / "labels.csv").write_text(labels)
    with pytest.raises(SystemExit, match=rf"^measure: numbers: .*{message}"):
        run("numbers", "--folder", f"cells={strips}")
    assert not fake.seen
    assert not (strips / "rows.jsonl").exists()


# Known totals.

LABELS = np.random.default_rng(1).permutation(np.repeat(np.arange(10), np.arange(12, 22)))
"""Of made-up images: from 12 of the digit 0 to 21 of the digit 9."""


def test_triples_add_up_and_are_shown_by_images_of_their_digits_none_of_them_twice() -> None:
    digits, shown = drawn(LABELS, 500, np.random.default_rng(0))
    one, other, total = (digits[:, place] @ 10 ** np.arange(place.stop - place.start)[::-1] for place in PLACES)
    assert (one + other == total).all()
    assert digits.shape == (500, 10)
    assert one.min() < 20
    assert one.max() > 980
    assert (LABELS[shown] == digits).all()
    assert all(len(set(row)) == 10 for row in shown.tolist())
    assert len(np.unique(shown)) == len(LABELS)


def by_listing(log_probs: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Of a triple with log-probabilities `[10, 10]` the most probable digits together, and one by one, by going through
    all pairs of numbers."""
    of_number = [np.array([sum(one) for one in product(*log_probs[place])]) for place in PLACES]
    total = np.add.outer(np.arange(1000), np.arange(1000))
    weights = of_number[0][:, None] + of_number[1] + of_number[2][total]
    one, other = divmod(int(weights.argmax()), 1000)
    together = [int(digit) for digit in f"{one:03}{other:03}{one + other:04}"]
    shares = np.exp(weights - weights.max())
    totals = np.bincount(total.ravel(), shares.ravel(), minlength=10**4)
    marginals = [(shares.sum(1), 3), (shares.sum(0), 3), (totals, 4)]
    alone = [int(marginal.reshape([10] * n).sum(tuple({*range(n)} - {place})).argmax())
             for marginal, n in marginals for place in range(n)]  # fmt: skip
    return together, alone


def test_what_triples_become_agrees_with_going_through_all_pairs_of_numbers() -> None:
    random = np.random.default_rng(5)
    digits, _ = drawn(LABELS, 12, random)
    log_probs = random.normal(size=(12, 10, 10)) + 2.5 * (digits[..., None] == np.arange(10))
    log_probs -= np.log(np.exp(log_probs).sum(-1, keepdims=True))
    together, alone = (np.array(found) for found in zip(*map(by_listing, log_probs), strict=True))
    assert (together != alone).any()
    wrong = {"before": log_probs.argmax(-1) != digits, "after": together != digits, "by_digit": alone != digits}
    expected = {f"wrong_{name}": found.any(1).mean() for name, found in wrong.items()}
    expected |= {f"digits_wrong_{name}": found.mean() for name, found in wrong.items()}
    assert triple_figures(log_probs, digits) == pytest.approx({"triples": 12} | expected)
    assert 0 < expected["digits_wrong_after"] < expected["digits_wrong_before"]


# Sums.


def read_as(truth: int, **shares: float) -> Read:
    """A picture of `truth`, with the probabilities of values `_12=0.9`; what is left is of no candidate."""
    known: dict[Value, float] = {int(name[1:]): share for name, share in shares.items()}
    return Read(truth, Values(known, 1 - sum(known.values())))


NINE = [read_as(number, **{f"_{number}": 1.0}) for number in range(21, 30)]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([read_as(14, _19=0.75, _14=0.25)], (1, 0, True, True)),  # settled by the total
        ([read_as(14, _19=0.75, _14=0.25), read_as(37, _37=0.75, _32=0.25)], (1, 0, True, False)),  # or 19 + 32
        ([read_as(14, _19=0.75, _14=0.25), read_as(37, _37=0.6, _32=0.4)], (1, 2, True, False)),
        ([read_as(14, _19=0.7, _11=0.3)], (1, 1, False, False)),  # no candidates make the total
        ([Read(14, Values({}, 1.0))], (1, 1, False, False)),
        # How sure a sum is counts that a picture shows none of its candidates.
        ([read_as(14, _14=0.991)], (0, 0, True, True)),
        ([read_as(14, _14=0.98)], (0, 0, True, False)),
        ([read_as(14, _14=0.55)], (0, 0, True, False)),
        ([read_as(14, _14=0.45)], (0, 0, False, False)),
    ],
)
def test_a_total_settles_a_sum_of_ten_if_candidates_make_it_and_alone_if_no_others_do(
    others: list[Read], expected: tuple[int, int, bool, bool]
) -> None:
    answer = answer_to([*NINE[: 10 - len(others)], *others])
    assert (answer.wrong_before, answer.wrong_after, answer.settled, answer.accepted) == expected


def test_the_rows_of_sums_tell_of_all_of_the_settled_and_of_the_accepted() -> None:
    pictures = [*NINE, read_as(14, _19=0.7, _14=0.3)]  # the only sum of ten
    rows = list(sums(pictures, np.random.default_rng(0), 3))
    shares = {"share": 1.0, "numbers_wrong_before": 0.1, "numbers_wrong_after": 0.0, "sums_wrong_before": 1.0,
              "sums_wrong_after": 0.0}  # fmt: skip
    assert rows == [pytest.approx({"kind": kind, "sums": 3, **shares}) for kind in KINDS]
    *_, accepted = sums([*NINE, read_as(14, _19=1.0)], np.random.default_rng(0), 3)
    assert (accepted["sums"], accepted["share"], accepted["numbers_wrong_after"]) == (0, 0.0, None)
    with pytest.raises(DataError, match="9 pictures of whole numbers in a half, expected 10 at least"):
        list(sums(NINE, np.random.default_rng(0), 3))


class Named(Engine):
    """A reader that reads every 14 as a 19, or perhaps a 14, any other number as it is named, and 99 not at all."""

    def read_each(self, pictures: list[Path], engine: str, count: int) -> list[NumberReading | ImageError]:
        (picture,) = pictures
        name = int(picture.stem.partition("-")[0])
        if name == 99:
            return [ImageError("99: cannot be read")]
        shares = {19: 0.75, 14: 0.25} if name == 14 else {name: 1.0}
        found = tuple(Candidate(str(value), value, share) for value, share in shares.items())
        return [NumberReading(str(name), name, 0.75, found, 0.0, True, None, 1.0)]


@pytest.fixture
def check(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run`, with a reader of names of files."""
    monkeypatch.setattr(measure_numbers, "Numbers", Named)
    monkeypatch.setattr(measure_numbers, "SUMS", 5)
    return lambda *words: run("checksums", *words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Labels of eleven pictures with even numbers, of which one is a fraction, and as many with odd ones."""
    texts = ["14", *map(str, range(21, 30))]
    rows = [f"{text}-{2 * place + odd}.png,{text}" for odd in (0, 1) for place, text in enumerate(texts)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,text", *rows, "7-100.png,7.5", "99-101.png,99"]))
    return tmp_path


def test_sums_of_a_folder_are_measured_by_half_and_engine_the_reported_one_once(check: Run, folder: Path) -> None:
    words = "--folder", f"cells={folder}", "--half"
    rows = check(*words, "development", "--engines", "ours", "both", "--seed", "3")
    assert [(row["engine"], row["kind"]) for row in rows] == [(one, kind) for one in ("ours", "both") for kind in KINDS]
    expected = {"part": "checksum-sums", "set": "cells", "half": "development", "commit": HEAD, "seed": 3, "sums": 5,
                "pictures": 10, "left_out": 1, "sums_wrong_before": 1.0, "sums_wrong_after": 0.0}  # fmt: skip
    assert rows[0] | expected == rows[0]
    assert rows[0]["model_sha256"].startswith("3009be769fb8f956")  # printf network | sha256sum
    assert rows[0]["model_sha256"] != rows[-1]["model_sha256"]
    reported = check(*words, "reported")[6:]
    assert {(row["half"], row["pictures"], row["left_out"]) for row in reported} == {("reported", 11, 0)}
    assert reported[0]["share"] > reported[1]["share"]  # what cannot be read is in it
    with pytest.raises(SystemExit, match="looked at once: set cells, half reported, engine ours"):
        check(*words, "reported")
    assert [len(check(*words, "reported", "--engines", "ocr")), len(check(*words, "development"))] == [12, 15]


def test_triples_are_read_as_the_package_reads_images(
    check: Run, monkeypatch: pytest.MonkeyPatch, mnist_train: DigitSet, reader: Reader
) -> None:
    images = mnist_train.part(np.arange(300))
    seen: list[Any] = []

    def noted(*given: Any) -> Row:
        seen.append(given)
        return triple_figures(*given)

    monkeypatch.setattr(measure_numbers, "TRIPLES", 50)
    monkeypatch.setattr(measure_numbers, "load_mnist", lambda split: images)
    monkeypatch.setattr(measure_numbers, "triple_figures", noted)
    (row,) = check("--triples")
    ((log_probs, digits),) = seen
    assert (row["part"], row["triples"], row["images"], row["seed"]) == ("checksum-triples", 50, 300, 0)
    read = np.array([reading.digit for reading in reader.read(list(images.images), 0)])
    assert row["images_wrong"] == (read != images.digits).mean()
    assert row["wrong_before"] == pytest.approx((log_probs.argmax(-1) != digits).any(1).mean())
    assert np.exp(log_probs).sum(-1) == pytest.approx(1)


def test_what_makes_no_sense_is_refused(check: Run, folder: Path) -> None:
    with pytest.raises(SystemExit, match=r"^measure: nothing to measure, expected --triples or --folder$"):
        check()
    (folder / "labels.csv").write_text("path,text\n1.png,12\n")
    with pytest.raises(SystemExit, match=r"^measure: checksums: no pictures with even numbers in labels\.csv$"):
        check("--folder", f"cells={folder}", "--half", "development")


# Filled forms.

BLOCKS = Ink("MNIST", ((np.full((20, 12), 255, np.uint8),),) * 10)


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


class Knowing:
    """A reader that knows the truth, sheet by sheet; every fourth sheet it cannot read, and every other one it reads
    with the first number wrong, alone and together."""

    def __init__(self, sheets: Sheets) -> None:
        self.sheets, self.place = sheets, -1

    def of_cells(self, cells: Mapping[str, Any]) -> Any:
        assert cells.keys() == set(self.sheets.layout.names)
        return self.read(b"\xff\xd8")

    def read(self, picture: bytes) -> Any:
        assert picture.startswith(b"\xff\xd8")
        self.place += 1
        truth = self.sheets.truth(self.place)
        if self.place % 4 == 3:
            raise ImageError("no sheet")
        values = truth.values
        wrong = values | {"q1": values["q1"] + 1} if self.place % 2 else values
        return reading("adds up", wrong)


@pytest.mark.parametrize(
    "source", ["cells", *(pytest.param(name, marks=pytest.mark.long) for name in ("photographed", "scanned"))]
)
def test_outcomes_are_counted_whatever_the_sheets_are_read_from(source: Any) -> None:
    made = Sheets(LAYOUTS["cover"], BLOCKS, "development")
    fake: Any = Knowing(made)
    row = read(fake, made, range(4), source)
    told = {"mistake": None}
    assert row["outcomes"] == [
        {"state": "adds up", "before": False, "after": False, **told, "told": True, "sheets": 1},
        {"state": "adds up", "before": True, "after": True, **told, "told": True, "sheets": 2},
        {"state": "unreadable", "before": False, "after": False, **told, "told": False, "sheets": 1},
    ]
    entries = [entry for place in range(3) for entry in made.truth(place).entries.values()]
    counts = {row["manner"]: (row["fields"], row["wrong_before"], row["wrong_after"]) for row in row["fields"]}
    assert {manner: count[0] for manner, count in counts.items()} == {
        manner: sum(entry.manner == manner for entry in entries) for manner in {entry.manner for entry in entries}
    }
    assert [sum(count[place] for count in counts.values()) for place in (1, 2)] == [1, 1]


@pytest.mark.long
def test_registration_is_measured_where_boxes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = Sheets(LAYOUTS["cover"], BLOCKS, "development")

    def off_by_a_millimetre(grey: NDArray[np.uint8], page: Page, name: str) -> Any:
        if name == "9":
            raise ImageError("9: no tags, expected four: take it again")
        view = sheets.photographed(int(name)).view
        return SimpleNamespace(corners=lambda box: view.seen(np.add(corners_of(box), (0.6, 0.8))))

    monkeypatch.setattr(measure_sheets, "register", off_by_a_millimetre)
    monkeypatch.setattr(measure_sheets, "settled", lambda sheet: sheet)
    flat, none, *bent = registrations(sheets, range(8, 12))["photographs"]
    assert (none["error"], none["reason"]) == (None, "no tags, expected four: take it again")
    assert [row["error"] for row in (flat, *bent)] == pytest.approx([200 / 25.4] * 3, abs=0.01)
    assert (flat["bend"], flat["longer"]) == (0, 1280)
    assert all(row["bend"] > 0.5 for row in bent)


@pytest.fixture
def fill(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run`, with a reader that reads every number as 0."""
    monkeypatch.setattr(Ink, "mnist", lambda half: BLOCKS)

    def reader_of(layout: Any, mistake: float, engine: str) -> Any:
        said = reading(f"{mistake:g} {engine}", dict.fromkeys(layout.names, 0))
        return SimpleNamespace(of_cells=lambda cells: said, read=lambda picture: said)

    monkeypatch.setattr(measure_sheets, "reader_of", reader_of)
    return lambda *words: run("sheets", *words)


def test_a_part_is_measured_for_each_form_and_seed_and_what_is_there_is_left_out(fill: Run) -> None:
    rows = fill("cells", "epsilon", "--count", 2, "--seeds", 0, 1)
    assert [(row["part"], row["seed"], row["factor"]) for row in rows] == [
        ("sheet-" + part, seed, factor)
        for seed in (0, 1)
        for part, factor in (("cells", 1.0), ("epsilon", 0.2), ("epsilon", 1.0), ("epsilon", 5.0))
    ]
    states = [row["outcomes"][0]["state"] for row in rows]
    assert states == ["0.02 ours", "0.004 ours", "0.02 ours", "0.1 ours"] * 2
    first = rows[0]
    assert (first["commit"], first["half"], first["ink"], first["layout"]) == (HEAD, "reported", "MNIST", "cover")
    assert first["machine"]["processor"]
    assert sum(outcome["sheets"] for outcome in first["outcomes"]) == first["count"] == 2
    assert len(fill("cells", "--count", 2, "--seeds", 0, 1, 2)) == 9


def test_engines_are_compared_in_a_part_of_their_own(fill: Run) -> None:
    rows = fill("engines", "cells", "--count", 1, "--half", "development", "--engines", "ours", "both")
    assert [(row["part"], row["engine"]) for row in rows] == [
        *[("sheet-engines", "ours"), ("sheet-engines", "both")] * 2, ("sheet-cells", "ours"),
    ]  # fmt: skip


def test_the_reported_half_is_looked_at_once_whatever_the_commit() -> None:
    row = {"half": "reported", "commit": "a", "seed": 0}
    assert is_measured([row], row | {"commit": "b"})
    assert not is_measured([row], row | {"seed": 1})
    assert not is_measured([row | {"half": "development"}], row | {"half": "development", "commit": "b"})

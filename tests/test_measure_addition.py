"""The measuring of what is learned from sums, and the tables that are made of its rows."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import addition_tables
import measure_addition
from addition_tables import PUBLISHED, TABLES, TITLES
from sumnist.config import PRESETS, Config, preset
from sumnist.evaluation.additions import SumEvaluation
from sumnist.evaluation.metrics import Accuracy
from sumnist.model.network import TwoInputNet
from tables import cells

HEAD = "c" * 40

Row = dict[str, Any]
Run = Callable[..., list[Row]]


@pytest.fixture
def run(tmp_path: Path, idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The rows that there are after the script has run with these words, with a preset of a second."""
    small = preset(
        "addition", encoder="tiny", data_dir=idx_folder, epochs=1, validation=5, batch_size=64, device="cpu"
    )  # fmt: skip
    monkeypatch.setitem(PRESETS, "addition", small)
    monkeypatch.setitem(PRESETS, "addition-best", replace(small, preset="addition-best", augment="shift"))
    monkeypatch.setattr(measure_addition, "HELD_OUT", 200)
    monkeypatch.setattr(measure_addition, "clean_commit", lambda program: HEAD)
    rows = tmp_path / "rows.jsonl"

    def measured(*words: str) -> list[Row]:
        monkeypatch.setattr(sys, "argv", [
            "measure_addition", "--rows", str(rows), "--runs", str(tmp_path / "runs"), *words
        ])  # fmt: skip
        measure_addition.main()
        return [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []

    return measured


def test_a_row_says_what_was_learned_from_all_images_and_measured_on_the_test_images(
    run: Run, idx_folder: Path
) -> None:
    one, two, *more = run("lenet", "own", "--digits", "1", "2", "--seeds", "3")
    assert [(row["name"], row["config"]["digits"]) for row in (one, two, *more)] == [
        ("lenet", 1), ("own", 1), ("lenet", 2), ("own", 2),
    ]  # fmt: skip
    assert (one["part"], one["set"], one["commit"], one["seed"]) == ("addition", "test", HEAD, 3)
    assert (one["config"]["validation"], one["config"]["threads"], one["config"]["supervision"]) == (0, 1, "sums")
    assert (one["evaluation"]["data"], one["evaluation"]["sums"]) == (f"{idx_folder} test", 100)
    assert (one["restarts"], one["renamed"]) == (0, 0)
    assert one["seconds"] > 0
    assert one["machine"]["processor"]


def test_the_same_is_not_measured_twice_whatever_the_threads(run: Run, capsys: Any) -> None:
    words = "lenet", "--digits", "1", "--seeds", "0"
    (row,) = run(*words)
    assert "lenet, 1 digits, seed 0: " in capsys.readouterr().out
    assert run(*words, "--threads", "2") == [row]
    assert capsys.readouterr().out == "lenet, 1 digits, seed 0: measured already\n"
    others = (["--supervision", "digits"], ["--operation", "sub"], ["--addends", "3"], ["--choose"])
    assert [len(run(*words, *other)) for other in others] == [2, 3, 4, 5]


def test_a_row_tells_what_its_encoder_drops_and_where() -> None:
    for encoder, dropped in (("lenet", {"before 256→120": 0.3}), ("default", {"before the fusion": 0.3}), ("tiny", {})):
        assert measure_addition.dropout_of(TwoInputNet.from_config(preset("addition", encoder=encoder))) == dropped


def test_settings_are_chosen_by_images_that_are_held_out(run: Run, idx_folder: Path) -> None:
    words = "lenet", "--digits", "1", "--seeds", "0"
    with pytest.raises(SystemExit, match=r"^measure_addition: --lr 0.01: settings are changed to choose by; add --cho"):
        run(*words, "--lr", "0.01")
    rows = run(*words, "--choose", "--lr", "0.01", "--no-soft-labels")
    rows = run(*words, "--choose", "--lr", "0.02")
    assert [row["config"]["lr"] for row in rows] == [0.01, 0.02]
    assert {row["set"] for row in rows} == {"held out"}
    assert rows[0]["evaluation"]["images"] == 200
    assert rows[0]["dropout"] == {}
    assert rows[0]["evaluation"]["data"] == f"{idx_folder} train"
    with pytest.raises(SystemExit, match=r"^measure_addition: .*--learning: no such flag"):
        run(*words, "--choose", "--learning", "1")
    with pytest.raises(SystemExit, match=r"^measure_addition: --digits 1001: expected"):
        run("lenet", "--digits", "1001", "--seeds", "0")


def test_a_package_with_changes_is_not_measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("measure.commit", lambda: f"{HEAD}+changes")
    monkeypatch.undo()
    monkeypatch.setattr("measure.commit", lambda: f"{HEAD}+changes")
    monkeypatch.setattr(sys, "argv", ["measure_addition", "lenet", "--digits", "1", "--seeds", "0"])
    with pytest.raises(SystemExit, match=r"expected a clean commit"):
        measure_addition.main()


# Tables.


def row_of(name: str, digits: int, seed: int, right: float, **changes: Any) -> Row:
    """The row of a run whose figures are all made of `right`; `changes` are of the row, or of its configuration."""
    own = {key: changes.pop(key) for key in list(changes) if key in Config.__dataclass_fields__}
    config: Any = {"validation": 0, "threads": 1} | own
    plan = preset(measure_addition.PLANS[name], digits=digits, seed=seed, **config)
    share = Accuracy(right, right, right, "wilson")
    evaluation = SumEvaluation(
        "MNIST test", 10_000, digits, plan.addends, plan.operation, 5000 // digits, share, 0.5, right + 0.001, 1.0, 100,
        right - 0.001, 0.01, replace(share, value=1 - (1 - right) / 10), 0.02,
    )  # fmt: skip
    return {
        "part": "addition", "name": name, "set": "test", "date": "2026-12-01", "commit": "0123456789abcdef",
        "seed": seed, "config": json.loads(plan.to_json()), "seconds": 90.0, "restarts": 0, "renamed": 0,
        "evaluation": asdict(evaluation), "machine": {"processor": "made up"},
    } | changes  # fmt: skip


def page_rows() -> list[Row]:
    return [
        *(row_of("lenet", 1, seed, right) for seed, right in ((0, 0.98), (1, 0.982), (2, 0.984))),
        row_of("lenet", 15, 0, 0.81, restarts=1, renamed=2), row_of("own", 15, 0, 0.915),
        row_of("lenet", 15, 0, 0.80, supervision="digits"), row_of("lenet", 15, 1, 0.85, supervision="digits"),
        row_of("lenet", 2, 0, 0.7, operation="sub"), row_of("lenet", 1, 0, 0.6, addends=10),
        row_of("lenet", 15, 0, 0.5, set="held out", validation=10_000),
        row_of("lenet", 15, 0, 0.6, set="held out", validation=10_000, lr=1e-2),
        row_of("lenet", 15, 0, 0.4, set="held out", validation=10_000, dropout={"before 256→120": 0.3}),
    ]  # fmt: skip


def test_without_rows_everything_says_that_it_was_not_measured() -> None:
    for name, make in TABLES.items():
        assert make([]).strip() == "*Not measured yet.*", name
        assert make([{"part": "latency", "date": "2027"}, {"plan": "fast-exact", "seed": 0}]) == make([]), name


def test_our_sums_stand_beside_the_published_ones() -> None:
    text = TABLES["addition-beside"](page_rows())
    columns = cells(text, "sums right, %; digits of a number")
    assert columns == ["1", "2", "4", "15", "100", "200", "500"]
    assert cells(text, TITLES["lenet"]) == ["98.20 ± 0.20", "–", "–", "81.00", "–", "–", "–"]
    assert cells(text, TITLES["own"]) == ["–", "–", "–", "91.50", "–", "–", "–"]
    for system, shares in PUBLISHED.items():
        assert cells(text, system) == [shares.get(int(digits), "–") for digits in columns]
    longer = [*page_rows(), row_of("lenet", 1000, 0, 0.1)]
    assert cells(TABLES["addition-beside"](longer), TITLES["lenet"])[-1] == "10.00"


def test_the_full_table_has_digits_regroupings_and_what_went_wrong() -> None:
    text = TABLES["addition-learned"](page_rows())
    assert cells(text, TITLES["lenet"], "15") == [
        "333", "81.00", "80.90", "81.10", "98.10", "0.500", "1.5", "1", "1", "1",
    ]  # fmt: skip
    assert cells(text, TITLES["lenet"], "1")[:2] == ["5,000", "98.20 ± 0.20"]
    assert cells(text, TITLES["lenet"], "1")[-3:] == ["3", "0", "0"]


def test_twins_are_compared_seed_by_seed() -> None:
    assert cells(TABLES["addition-twins"](page_rows()), TITLES["lenet"], "15") == ["98.10", "98.00", "+0.10", "1"]
    rows = [*page_rows(), row_of("lenet", 15, 1, 0.82)]
    assert cells(TABLES["addition-twins"](rows), TITLES["lenet"], "15") == [
        "98.15 ± 0.07", "98.25 ± 0.35", "−0.10 ± 0.28", "2",
    ]  # fmt: skip


def test_differences_and_longer_sums_have_a_table_of_their_own() -> None:
    text = TABLES["addition-others"](page_rows())
    assert cells(text, TITLES["lenet"], "the difference of 2 numbers", "2")[0] == "70.00"
    assert cells(text, TITLES["lenet"], "10 numbers added", "1")[0] == "60.00"
    assert len(text.strip().splitlines()) == 4


def test_what_was_tried_is_listed_best_first() -> None:
    lines = [line for line in TABLES["addition-chosen"](page_rows()).splitlines() if TITLES["lenet"] in line]
    usual = str(preset("addition").lr)
    assert [re.findall(r"lr ([\d.]+)", line)[0] for line in lines] == ["0.01", usual, usual]
    assert [re.findall(r"[^,]*dropout[^|]*", line)[0].strip() for line in lines] == [
        "no dropout", "no dropout", "dropout 0.3 before 256→120",
    ]  # fmt: skip


def test_rows_of_other_settings_are_not_quoted() -> None:
    rows = page_rows()
    for strange in ({"lr": 0.123}, {"epochs": 7}, {"encoder": "fast"}, {"validation": 5}):
        assert TABLES["addition-learned"]([*rows, row_of("lenet", 4, 0, 0.9, **strange)]) == TABLES["addition-learned"](
            rows
        )
    assert TABLES["addition-learned"]([*rows, row_of("lenet", 4, 0, 0.9)]) != TABLES["addition-learned"](rows)


def test_a_changed_row_changes_every_table() -> None:
    rows, other = page_rows(), page_rows()
    for row in other:
        row["evaluation"]["sum"]["value"] -= 0.1
        row["evaluation"]["digit"]["value"] -= 0.01 * (row["config"]["supervision"] == "sums")
        row["commit"] = "fedcba9876543210"
    for name, make in TABLES.items():
        assert make(rows) != make(other), name


def test_it_is_said_where_and_with_what_it_was_measured() -> None:
    assert addition_tables.measured(page_rows()) == "one thread of made up; at 012345678"

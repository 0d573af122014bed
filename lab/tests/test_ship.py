"""What ships: calibrated networks within their size, none that is worse than what it replaces, measured once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lab import ship
from lab.evidence import RESULTS
from lab.recipes import cells as cells_module
from lab.recipes import pens
from lab.recipes.cells import PRIORS
from lab.recipes.settings import CellTraining
from lab.recipes.tasks import CellTask
from lab.records import row_of, same
from lab.study.rows import read_jsonl
from sumnist.config import Training, preset
from sumnist.files import CELLS, NUMBERS
from sumnist.inference.cells import CellReader
from sumnist.inference.reader import Reader
from sumnist.training.calibrate import RIGHT_OF_HANDS
from sumnist.training.loop import train

pytestmark = pytest.mark.long
ABOUT = {path: json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for path in (NUMBERS, CELLS)}


def test_a_network_is_calibrated_on_what_others_say_of_images_they_have_not_seen_and_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = preset("tiny", validation=0, augment="shift", threads=1)

    def plan() -> dict[str, Training]:
        return {"fold-1": replace(small, fold=1), "final": small}

    monkeypatch.setattr(ship, "plan", plan)
    monkeypatch.setattr("lab.recipes.outliers.DRAWN", 500)
    runs, into, rows = tmp_path / "runs", tmp_path / "into", tmp_path / "rows.jsonl"
    ship.digits(runs, into, rows)
    row = json.loads(rows.read_text())
    assert row["images"] == 12_000
    assert [fold["images"] for fold in row["folds"]] == [12_000]
    assert 1_500 < row["pictures"] <= 6 * ship.PICTURES
    assert 0.1 < row["whole_path"]["accuracy"] < 1
    assert row["accuracy"] == pytest.approx(np.mean([fold["accuracy"] for fold in row["folds"]]))
    assert row["nll"] <= row["nll_before"]
    assert row["hands"]["right_accepted"] >= RIGHT_OF_HANDS
    assert 0 < row["accepted"] < 1
    reader = Reader(into)
    assert reader.read(np.eye(28, dtype=np.uint8) * 255, 3).is_digit_probability is not None
    card = (into / "README.md").read_text()
    assert f"temperature, {row['temperature']:.3f}" in card
    assert json.loads((into / "evaluation.json").read_text())["images"] == 10_000

    better = json.loads((into / "evaluation.json").read_text())
    better["digit"]["value"] = 0.9999
    (into / "evaluation.json").write_text(json.dumps(better))
    before = (into / "model.onnx").read_bytes()
    with pytest.raises(SystemExit, match="right, expected at least"):
        ship.digits(runs, into, rows)
    assert (into / "model.onnx").read_bytes() == before
    assert len(rows.read_text().splitlines()) == 1
    capsys.readouterr()


def test_cells_are_calibrated_measured_once_and_installed_and_a_network_below_the_bar_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells_module, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 5))
    monkeypatch.setattr(CellTask, "held_drawn", 100)
    monkeypatch.setattr(CellTask, "held_batches", (1, 128, 1))
    for name, value in {"TEST_BATCHES": 1, "LEAST": {"box": 0.0}}.items():
        monkeypatch.setattr(ship, name, value)
    run, into, rows = tmp_path / "run", tmp_path / "cells.onnx", tmp_path / "rows.jsonl"
    tiny = CellTraining(epochs=1, strips=32, batch_size=16, threads=1)
    train(tiny, run, progress=False, task=CellTask)
    ship.cells(run, into, rows)
    about = json.loads(into.with_suffix(".json").read_text())
    (row,) = read_jsonl(rows)
    assert about["bytes"] == into.stat().st_size <= ship.LARGEST_CELLS
    assert (about["calibration"]["cells"], about["test"]["cells"]) == (128, 128)
    assert row["model_sha256"] == hashlib.sha256(into.read_bytes()).hexdigest()
    assert row["figures"] == about["test"]
    assert f"{about['parameters']:,} parameters" in into.with_suffix(".md").read_text()
    assert CellReader(into)([np.zeros((36, 30), np.float32)]).shape == (1, 14)

    ship.cells(run, into, rows)
    assert len(read_jsonl(rows)) == 1

    before = into.read_bytes()
    monkeypatch.setattr(ship, "LEAST", {"strip": 1.01})
    with pytest.raises(SystemExit, match=r"right, expected at least 101\.00%"):
        ship.cells(run, into, rows)
    assert into.read_bytes() == before


def test_the_packaged_network_of_cells_is_of_its_preset_and_has_the_card_that_the_script_writes() -> None:
    about = ABOUT[CELLS]
    assert about["bytes"] == CELLS.stat().st_size <= ship.LARGEST_CELLS
    assert CELLS.with_suffix(".md").read_text(encoding="utf-8") == ship.card("cell", **about)
    assert same(about["config"], row_of(CellTraining(threads=1), **ship.NAMED["cell"]), {"seed"})


def test_the_packaged_network_of_cells_keeps_its_bar_and_has_its_row_and_the_priors_of_its_training() -> None:
    about, checksum = ABOUT[CELLS], hashlib.sha256(CELLS.read_bytes()).hexdigest()
    (row,) = (row for row in read_jsonl(RESULTS / "cells.jsonl") if row["model_sha256"] == checksum)
    assert row["figures"] == about["test"]
    assert all(about["calibration"][name] >= least for name, least in ship.LEAST.items())
    assert np.exp(CellReader().log_priors) == pytest.approx(np.array(PRIORS))


def test_the_packaged_network_computes_in_eight_bits_the_same_on_every_processor() -> None:
    graph = onnx.load(NUMBERS).graph
    kinds = [node.op_type for node in graph.node]
    assert "Cast" not in kinds
    convolutions = kinds.count("Conv")
    weights = [onnx.numpy_helper.to_array(tensor).astype(int) for tensor in graph.initializer if tensor.data_type == 3]
    weights = [weight for weight in weights if weight.ndim == 4]
    assert len(weights) == convolutions == 10
    assert 32 <= max(np.abs(weight).max() for weight in weights) <= 64  # else two products overflow 16 bits

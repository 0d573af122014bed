"""What ships of the reader of cells: a calibrated network within its size and above its bar, measured once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import measure_cells
import ship_cells
from sumnist.config import Config, preset
from sumnist.data import cells as cells_module
from sumnist.data import pens
from sumnist.data.cells import PRIORS
from sumnist.files import CELLS
from sumnist.inference.cells import CellReader
from sumnist.lab.study.rows import read_jsonl
from sumnist.training import cells
from sumnist.training.loop import train

ABOUT = json.loads(CELLS.with_suffix(".json").read_text(encoding="utf-8"))


def test_a_run_is_calibrated_measured_once_and_installed_and_one_below_the_bar_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells_module, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 5))
    monkeypatch.setattr(cells, "HELD_DRAWN", 100)
    monkeypatch.setattr(cells, "HELD_CELLS", 128)
    for name, value in {"HELD_DRAWN": 100, "TEST_BATCHES": 1, "LEAST": {"box": 0.0}}.items():
        monkeypatch.setattr(ship_cells, name, value)
    run, into, rows = tmp_path / "run", tmp_path / "cells.onnx", tmp_path / "rows.jsonl"
    train(preset("cells", epochs=1, strips=32, batch_size=16, threads=1), run, progress=False)
    ship_cells.install(run, into, rows)
    about = json.loads(into.with_suffix(".json").read_text())
    (row,) = read_jsonl(rows)
    assert about["bytes"] == into.stat().st_size <= ship_cells.LARGEST
    assert (about["calibration"]["cells"], about["test"]["cells"]) == (128, 128)
    assert row["model_sha256"] == hashlib.sha256(into.read_bytes()).hexdigest()
    assert row["figures"] == about["test"]
    assert f"{about['parameters']:,} parameters" in into.with_suffix(".md").read_text()
    assert CellReader(into)([np.zeros((36, 30), np.float32)]).shape == (1, 14)

    ship_cells.install(run, into, rows)
    assert len(read_jsonl(rows)) == 1

    before = into.read_bytes()
    monkeypatch.setattr(ship_cells, "LEAST", {"strip": 1.01})
    with pytest.raises(SystemExit, match=r"right, expected at least 101\.00%"):
        ship_cells.install(run, into, rows)
    assert into.read_bytes() == before


def test_a_run_of_digits_is_not_installed(tmp_path: Path) -> None:
    train(preset("tiny", validation=0), tmp_path / "run", progress=False)
    with pytest.raises(SystemExit, match="expected a finished run with --task cells"):
        ship_cells.install(tmp_path / "run", tmp_path / "cells.onnx", tmp_path / "rows.jsonl")


def test_the_packaged_network_keeps_its_size_and_its_bar_and_its_card_is_what_the_script_writes() -> None:
    assert ABOUT["bytes"] == CELLS.stat().st_size <= ship_cells.LARGEST
    assert all(ABOUT["calibration"][name] >= least for name, least in ship_cells.LEAST.items())
    assert CELLS.with_suffix(".md").read_text(encoding="utf-8") == ship_cells.card(ABOUT)


def test_the_packaged_network_has_its_row_and_the_priors_of_its_training() -> None:
    checksum = hashlib.sha256(CELLS.read_bytes()).hexdigest()
    (row,) = (row for row in read_jsonl(ship_cells.ROWS) if row["model_sha256"] == checksum)
    assert row["figures"] == ABOUT["test"]
    assert np.exp(CellReader().log_priors) == pytest.approx(np.array(PRIORS))


def test_the_packaged_network_is_of_the_preset() -> None:
    trained = Config.from_json(json.dumps(ABOUT["config"]), "cells.json")
    assert trained == replace(preset("cells", threads=1), seed=trained.seed)


def test_a_scan_becomes_the_ink_of_a_box_without_the_lines_at_its_edge(tmp_path: Path) -> None:
    scan = np.full((140, 90), 230, np.uint8)
    scan[30:110, 40:50] = 20
    scan[:, 84:88] = 60  # the line of a form
    Image.fromarray(scan).save(tmp_path / "00001.png")
    box = measure_cells.box_of(tmp_path / "00001.png")
    rows, columns = np.flatnonzero(box.max(1) > 0.5), np.flatnonzero(box.max(0) > 0.5)
    assert box.shape == (36, 30)
    assert 15 <= len(rows) <= 24
    assert abs(columns.mean() - 14.5) < 1
    assert len(columns) <= 4
    assert box.max() == pytest.approx(1 - 20 / 230, abs=0.01)

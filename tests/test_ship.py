"""What ships: two runs of one configuration, a calibration from the first, and nothing installed that is worse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ship
from sumnist.config import Config, preset
from sumnist.inference.reader import Reader
from sumnist.training.loop import train


def test_the_plan_is_one_configuration_with_a_fold_left_out_and_with_none() -> None:
    plan = ship.plan()
    assert list(plan) == ["fold-1", "final"]
    assert [config.fold for config in plan.values()] == [1, 0]
    assert len({replace(config, fold=0) for config in plan.values()}) == 1
    assert all(config.validation == 0 and config.preset == "best" for config in plan.values())


@pytest.mark.heavy
def test_a_network_is_calibrated_on_what_others_say_of_images_they_have_not_seen_and_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = preset("tiny", validation=0, augment="shift", outliers=0.2, threads=1)

    def plan() -> dict[str, Config]:
        return {"fold-1": replace(small, fold=1), "final": small}

    monkeypatch.setattr(ship, "plan", plan)
    monkeypatch.setattr("sumnist.data.outliers.DRAWN", 500)
    runs, into, rows = tmp_path / "runs", tmp_path / "into", tmp_path / "rows.jsonl"
    for name, config in plan().items():
        train(config, runs / name, progress=False)
    ship.install(runs, into, rows)
    row = json.loads(rows.read_text())
    assert row["images"] == 12_000
    assert [fold["images"] for fold in row["folds"]] == [12_000]
    assert 1_500 < row["pictures"] <= 6 * ship.PICTURES
    assert 0.1 < row["whole_path"]["accuracy"] < 1
    assert row["accuracy"] == pytest.approx(np.mean([fold["accuracy"] for fold in row["folds"]]))
    assert row["nll"] <= row["nll_before"]
    assert 0.99 < row["accepted"] < 1
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
        ship.install(runs, into, rows)
    assert (into / "model.onnx").read_bytes() == before
    assert len(rows.read_text().splitlines()) == 1
    capsys.readouterr()


def test_a_run_of_another_configuration_does_not_calibrate(tmp_path: Path, small_run: Path) -> None:
    (tmp_path / "fold-1").symlink_to(small_run)
    with pytest.raises(SystemExit, match="not the run of the preset `best` without fold 1"):
        ship.calibration_row(tmp_path)

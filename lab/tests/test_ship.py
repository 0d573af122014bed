"""What ships: calibrated networks within their size, none that is worse than what it replaces, measured once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lab import ship
from sumnist.config import Training, preset
from sumnist.files import FINDER, NUMBERS
from sumnist.inference.reader import Reader
from sumnist.training.calibrate import RIGHT_OF_HANDS

pytestmark = pytest.mark.long


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


@pytest.mark.parametrize(("file", "template", "largest"), [
    (NUMBERS, "line", ship.LARGEST_NUMBERS), (FINDER, "finder", ship.LARGEST_FINDER),
])  # fmt: skip
def test_the_packaged_networks_have_the_cards_that_the_script_writes(file: Path, template: str, largest: int) -> None:
    about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert about["bytes"] == file.stat().st_size <= largest
    assert file.with_suffix(".md").read_text(encoding="utf-8") == ship.card(template, **about)


def test_the_packaged_network_computes_in_eight_bits_the_same_on_every_processor() -> None:
    graph = onnx.load(NUMBERS).graph
    kinds = [node.op_type for node in graph.node]
    assert "Cast" not in kinds
    convolutions = kinds.count("Conv")
    weights = [onnx.numpy_helper.to_array(tensor).astype(int) for tensor in graph.initializer if tensor.data_type == 3]
    weights = [weight for weight in weights if weight.ndim == 4]
    assert len(weights) == convolutions == 10
    assert 32 <= max(np.abs(weight).max() for weight in weights) <= 64  # else two products overflow 16 bits

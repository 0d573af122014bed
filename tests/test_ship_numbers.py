"""What ships of the reader of numbers: a calibrated network within its size, and none that is worse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import ship_numbers
from sumnist.config import Config, preset
from sumnist.data import strips
from sumnist.files import NUMBERS
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.training import numbers
from sumnist.training.devices import Team
from sumnist.training.export_strips import right_of
from sumnist.training.loop import train

ABOUT = json.loads(NUMBERS.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.mark.heavy
def test_a_run_is_calibrated_and_installed_and_a_worse_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strips, "DRAWN_DIGITS", 500)
    monkeypatch.setattr(numbers, "HELD_STRIPS", 128)
    run, into = tmp_path / "run", tmp_path / "numbers.onnx"
    train(preset("numbers", epochs=1, strips=128, threads=1), run, progress=False)
    ship_numbers.install(run, into)
    about = json.loads(into.with_suffix(".json").read_text())
    assert about["bytes"] == into.stat().st_size <= ship_numbers.LARGEST
    assert about["calibration"]["strips"] == 128
    assert f"{about['parameters']:,} parameters" in into.with_suffix(".md").read_text()
    (reading,) = Numbers(into).read_each([np.eye(28, dtype=np.uint8) * 255])
    assert isinstance(reading, NumberReading)

    strips_held = numbers.NumberTask(preset("numbers"), torch.device("cpu"), Team()).held_strips
    right = right_of(into, strips_held)
    assert right == about["right_in_eight_bits"] == pytest.approx(about["calibration"]["right"], abs=0.05)

    before = into.read_bytes()
    monkeypatch.setattr(ship_numbers, "right_of", lambda model, batches: 0.9 if model == into else 0.89)
    with pytest.raises(SystemExit, match=r"89\.00% right, expected at least 89\.50%"):
        ship_numbers.install(run, into)
    assert into.read_bytes() == before


def test_a_run_of_digits_is_not_installed(tmp_path: Path) -> None:
    train(preset("tiny", validation=0), tmp_path / "run", progress=False)
    with pytest.raises(SystemExit, match="expected a finished run with --task numbers"):
        ship_numbers.install(tmp_path / "run", tmp_path / "numbers.onnx")


def test_the_packaged_network_keeps_its_size_and_its_card_is_what_the_script_writes() -> None:
    assert ABOUT["bytes"] == NUMBERS.stat().st_size <= ship_numbers.LARGEST
    assert NUMBERS.with_suffix(".md").read_text(encoding="utf-8") == ship_numbers.card(ABOUT)


def test_the_packaged_network_computes_in_eight_bits_the_same_on_every_processor() -> None:
    graph = onnx.load(NUMBERS).graph
    kinds = [node.op_type for node in graph.node]
    assert "Cast" not in kinds
    convolutions = kinds.count("Conv")
    weights = [onnx.numpy_helper.to_array(tensor).astype(int) for tensor in graph.initializer if tensor.data_type == 3]
    weights = [weight for weight in weights if weight.ndim == 4]
    assert len(weights) == convolutions == 10
    assert 32 <= max(np.abs(weight).max() for weight in weights) <= 64  # else two products overflow 16 bits


def test_the_packaged_network_accepts_by_the_thresholds_of_its_calibration() -> None:
    recognizer = Numbers().recognizer("ours")
    for name in ("least_is_digit", "least_confidence"):
        assert getattr(recognizer, name) == pytest.approx(ABOUT["calibration"][name], abs=1e-7)


def test_the_packaged_network_is_of_the_preset() -> None:
    config = preset("numbers", threads=2)
    trained = Config.from_json(json.dumps(ABOUT["config"]), "numbers.json")
    assert trained == replace(config, seed=trained.seed)

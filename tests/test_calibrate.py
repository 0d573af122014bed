"""Calibration: the temperature against a grid, the thresholds against counting, and that both end up in the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sumnist.config import Config
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.strips import StripBatch
from sumnist.evaluation.metrics import risk_curve
from sumnist.inference.reader import NOT_A_DIGIT, UNSURE, Reader
from sumnist.model.checkpoint import save_network
from sumnist.model.network import load_network
from sumnist.training.calibrate import (
    ACCEPTED_SHARE,
    RIGHT,
    accepting,
    calibrate,
    calibrate_strips,
    digit_logits,
    fitted_temperature,
    log_probabilities,
    nll_of,
)  # fmt: skip
from sumnist.training.export import export_run
from sumnist.training.loop import train
from sumnist.training.tasks import split


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def bold_logits(
    temperature: float, count: int = 20_000, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits `temperature` times too bold for the digits drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, 10)) * 3
    drawn = (logits + random.gumbel(size=logits.shape)).argmax(1)
    return (logits * temperature).astype(np.float32), drawn.astype(np.int64)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_logits_that_are_too_bold_by_a_factor_get_that_temperature(temperature: float) -> None:
    logits, digits = bold_logits(temperature)
    assert fitted_temperature(logits, digits, 0.0) == pytest.approx(temperature, rel=0.03)


@pytest.mark.parametrize("seed", [0, 3, 7, 23])
def test_no_temperature_of_a_fine_grid_has_less_loss(seed: int) -> None:
    """With label smoothing the loss has several valleys, and two of them may be as deep."""
    logits, digits = bold_logits(1.7, 2000, seed)
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 600))
    least = min(nll_of(log_probabilities(logits, 0.05, t), digits) for t in grid)
    fitted = fitted_temperature(logits, digits, 0.05)
    assert nll_of(log_probabilities(logits, 0.05, fitted), digits) <= least


@pytest.mark.parametrize(("temperature", "limit"), [(0.01, 0.25), (50.0, 4.0)])
def test_a_temperature_beyond_the_limits_is_the_limit(temperature: float, limit: float) -> None:
    assert fitted_temperature(*bold_logits(temperature, 2000), 0.0) == pytest.approx(limit, rel=1e-6)


def test_the_calibration_says_what_it_does_and_a_network_without_outliers_gets_a_temperature_alone() -> None:
    logits, digits = bold_logits(2.0)
    found, alone = calibrate(logits, digits, 0.0), calibrate(logits, digits, 0.0, with_outliers=False)
    assert found["images"] == len(digits)
    assert found["nll"] < found["nll_before"]
    assert found["accepted"] == pytest.approx(ACCEPTED_SHARE, abs=1e-3)
    assert found["nll"] == pytest.approx(nll_of(log_probabilities(logits, 0.0, found["temperature"]), digits))
    assert (alone["least_is_digit"], alone["least_confidence"], alone["accepted"]) == (0, 0, 1)
    assert alone["temperature"] == found["temperature"] == pytest.approx(2, rel=0.05)


def test_the_risk_of_the_surest_answers_is_what_sorting_them_gives(random: np.random.Generator) -> None:
    confidence, right = random.permutation(1000) / 1000, random.random(1000) < 0.8
    order = np.argsort(-confidence)
    for coverage, risk in risk_curve(confidence, right):
        assert risk == pytest.approx(1 - right[order[: round(coverage * 1000)]].mean())
    equals = np.array([False] * 10 + [True] * 90)  # of one confidence, they share their errors
    assert {round(risk, 9) for _, risk in risk_curve(np.ones(100), equals)} == {0.1}


def test_a_run_with_outliers_is_calibrated_on_the_images_that_it_held_out(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.data.outliers.DRAWN", 500)
    config = replace(small_config, outliers=0.3)
    net, _ = load_network(train(config, tmp_path / "held", progress=False).folder)
    _, held = split(load_mnist("train", config.data_dir), config)
    assert held is not None
    found = calibrate(digit_logits(net, held), held.digits, config.last_smoothing)
    assert net.calibration.temperature.item() == pytest.approx(found["temperature"], rel=1e-3)
    assert net.calibration.least_is_digit.item() == pytest.approx(found["least_is_digit"], rel=1e-5)
    assert net.calibration.least_confidence.item() > 0
    whole = train(replace(config, validation=0), tmp_path / "whole", progress=False).folder
    assert load_network(whole)[0].calibration.least_is_digit.item() == 0


@pytest.fixture(scope="module")
def taught(small_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that was trained with outliers, calibrated and exported."""
    config = replace(small_config, augment="robust", outliers=0.5, label_smoothing=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sumnist.data.outliers.DRAWN", 500)
        folder = train(config, tmp_path_factory.mktemp("taught") / "run", progress=False).folder
    net, _ = load_network(folder)
    net.calibration.set(1.5, 0.6, 0.4)
    save_network(net, folder)
    export_run(folder)
    return folder


def test_a_calibrated_run_answers_alike_with_torch_and_with_onnx_and_refuses_below_its_thresholds_only(
    taught: Path, tmp_path: Path, random: np.random.Generator
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((taught / name).read_bytes())
    pictures = [np.asarray(image) for image in load_mnist("test").images[:150]]
    pictures += [random.integers(0, 256, (28, 28)).astype(np.uint8) for _ in range(10)]
    readings = Reader(taught).read(pictures, 3)
    assert {reading.reason for reading in readings} > {None}  # accepted ones, and others
    for one, other in zip(readings, Reader(tmp_path).read(pictures, 3), strict=True):
        assert one.is_digit_probability is not None
        assert one.is_digit_probability == pytest.approx(other.is_digit_probability, abs=1e-5)
        assert one.digit_probabilities == pytest.approx(other.digit_probabilities, abs=1e-5)
        expected = NOT_A_DIGIT if one.is_digit_probability < 0.6 else UNSURE if one.confidence < 0.4 else None
        assert (one.reason, one.accepted, other.reason) == (expected, expected is None, expected)


def test_the_temperature_divides_the_logits_of_the_digit(taught: Path) -> None:
    net, config = load_network(taught)
    part = DigitSet(load_mnist("test").images[:20], load_mnist("test").digits[:20], "part")
    logits = digit_logits(net, part)
    with torch.no_grad():
        digit, _ = net(torch.tensor(part.images[:, None] / 255).float(), torch.zeros(20, dtype=torch.int64))
    assert digit.numpy() == pytest.approx(log_probabilities(logits, config.last_smoothing, 1.5), abs=1e-4)


# Strips.


def batch(random: np.random.Generator, count: int, heat: float) -> tuple[Tensor, StripBatch]:
    """Strips of one digit, or of none, each of three steps, and logits that say which, `heat` times as sharp as they
    should be."""
    scores = np.zeros((count, 3, 14))
    scores[:, ::2, 0] = 12.0  # blank before and after
    scores[:, 1] = random.normal(0, 4.0, (count, 14))
    scores[:, 1, 11:] = -12.0  # no signs
    odds = np.exp(scores[:, 1])
    drawn = (np.cumsum(odds / odds.sum(1, keepdims=True), 1) > random.random((count, 1))).argmax(1)
    there = drawn > 0
    strips = StripBatch(
        torch.zeros(count, 1, 32, 12), torch.from_numpy(drawn[there]), torch.from_numpy(there.astype(np.int64)),
        torch.full((count,), 12),
    )  # fmt: skip
    return torch.from_numpy(heat * scores).float().log_softmax(2), strips


@pytest.mark.parametrize("heat", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_how_much_too_sharp_the_logits_are_and_what_is_accepted_is_right(heat: float) -> None:
    random = np.random.default_rng(5)
    logits, strips = zip(*(batch(random, 500, heat) for _ in range(4)), strict=True)
    fitted = calibrate_strips(logits, strips)
    assert fitted["temperature"] == pytest.approx(heat, rel=0.1)
    assert fitted["nll"] <= fitted["nll_before"]
    assert fitted["strips"] == 2000
    assert 0 < fitted["accepted"] < 1
    assert fitted["right"] < RIGHT <= fitted["right_of_accepted"]


def test_a_threshold_is_the_lowest_that_keeps_the_share_of_right_ones() -> None:
    confidence = np.linspace(1, 0, 1001)
    right = np.arange(1001) % 200 != 199  # one in 200 is wrong
    right[600:] = False
    least = accepting(confidence, right, 0.99)
    kept = confidence >= least
    assert right[kept].mean() >= 0.99
    assert right[confidence >= least - 0.002].mean() < 0.99
    assert kept.sum() > 600
    assert accepting(np.linspace(0.9, 0.1, 100), np.zeros(100, bool)) == 1.0

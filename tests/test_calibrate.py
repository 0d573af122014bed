"""Calibration: the temperature against a grid, the thresholds against counting, and that both end up in the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sumnist.config import Config
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.evaluation.metrics import risk_curve
from sumnist.inference.reader import NOT_A_DIGIT, UNSURE, Reader
from sumnist.model.network import load_network, save_network
from sumnist.training.calibrate import (
    ACCEPTED_SHARE,
    calibrate,
    digit_logits,
    fitted_temperature,
    is_digit_probability,
    log_probabilities,
    nll_of,
    thresholds,
)  # fmt: skip
from sumnist.training.digits import split
from sumnist.training.export import export_run
from sumnist.training.loop import train


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


@pytest.mark.parametrize("seed", [*range(10), 23])
def test_no_temperature_of_a_fine_grid_has_less_loss(seed: int) -> None:
    """With label smoothing the loss has several valleys, and two of them may be as deep."""
    logits, digits = bold_logits(1.7, 2000, seed)
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 600))
    least = min(nll_of(log_probabilities(logits, 0.05, t), digits) for t in grid)
    fitted = fitted_temperature(logits, digits, 0.05)
    assert nll_of(log_probabilities(logits, 0.05, fitted), digits) <= least


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_the_temperature_is_where_another_method_finds_the_least_loss(smoothing: float) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    logits, digits = bold_logits(1.7, 2000)
    best = optimize.minimize_scalar(
        lambda place: nll_of(log_probabilities(logits, smoothing, float(np.exp(place))), digits),
        bounds=(np.log(0.25), np.log(4)), method="bounded", options={"xatol": 1e-7},
    )  # fmt: skip
    assert fitted_temperature(logits, digits, smoothing) == pytest.approx(np.exp(best.x), rel=3e-5)


@pytest.mark.parametrize(("temperature", "limit"), [(0.01, 0.25), (50.0, 4.0)])
def test_a_temperature_beyond_the_limits_is_the_limit(temperature: float, limit: float) -> None:
    assert fitted_temperature(*bold_logits(temperature, 2000), 0.0) == pytest.approx(limit, rel=1e-6)


def test_thresholds_accept_the_share_that_is_asked_for(random: np.random.Generator) -> None:
    is_digit, confidence = random.random(10_000), random.random(10_000)
    least_is_digit, least_confidence = thresholds(is_digit, confidence, accepted=0.95, unsure=0.02)
    assert (confidence < least_confidence).mean() == pytest.approx(0.02, abs=1e-3)
    assert ((is_digit >= least_is_digit) & (confidence >= least_confidence)).mean() == pytest.approx(0.95, abs=1e-3)


def test_the_probability_of_a_digit_is_that_of_the_logsumexp(random: np.random.Generator) -> None:
    logits = random.normal(size=(6, 10)).astype(np.float32)
    total = np.exp(logits.astype(float)).sum(1)
    assert is_digit_probability(logits) == pytest.approx(total / (1 + total))


def test_the_calibration_says_what_it_does() -> None:
    logits, digits = bold_logits(2.0)
    found = calibrate(logits, digits, 0.0)
    assert found.images == len(digits)
    assert found.nll < found.nll_before
    assert found.accepted == pytest.approx(ACCEPTED_SHARE, abs=1e-3)
    assert found.nll == pytest.approx(nll_of(log_probabilities(logits, 0.0, found.temperature), digits))


def test_a_network_that_knows_no_outliers_gets_a_temperature_alone() -> None:
    found = calibrate(*bold_logits(2.0), 0.0, with_outliers=False)
    assert (found.least_is_digit, found.least_confidence, found.accepted) == (0, 0, 1)
    assert found.temperature == pytest.approx(2, rel=0.05)


def test_the_risk_of_the_surest_answers_is_what_sorting_them_gives(random: np.random.Generator) -> None:
    confidence, right = random.permutation(1000) / 1000, random.random(1000) < 0.8
    order = np.argsort(-confidence)
    for coverage, risk in risk_curve(confidence, right):
        assert risk == pytest.approx(1 - right[order[: round(coverage * 1000)]].mean())


def test_answers_of_one_confidence_share_their_errors() -> None:
    right = np.array([False] * 10 + [True] * 90)
    assert {round(risk, 9) for _, risk in risk_curve(np.ones(100), right)} == {0.1}
    assert {round(risk, 9) for _, risk in risk_curve(np.ones(100), right[::-1])} == {0.1}


def test_a_run_with_outliers_is_calibrated_on_the_images_that_it_held_out(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.data.outliers.DRAWN", 500)
    config = replace(small_config, outliers=0.3)
    net, _ = load_network(train(config, tmp_path / "held", progress=False).folder)
    _, held = split(load_mnist("train", config.data_dir), config)
    assert held is not None
    found = calibrate(digit_logits(net, held), held.digits, config.last_smoothing)
    assert net.calibration.temperature.item() == pytest.approx(found.temperature, rel=1e-3)
    assert net.calibration.least_is_digit.item() == pytest.approx(found.least_is_digit, rel=1e-5)
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


def test_a_calibrated_run_answers_alike_with_torch_and_with_onnx(
    taught: Path, tmp_path: Path, random: np.random.Generator
) -> None:
    alone = tmp_path / "torch"
    alone.mkdir()
    for name in ("config.json", "model.safetensors"):
        (alone / name).write_bytes((taught / name).read_bytes())
    pictures = [np.asarray(image) for image in load_mnist("test").images[:40]]
    pictures += [random.integers(0, 256, (28, 28)).astype(np.uint8) for _ in range(10)]
    for one, other in zip(Reader(taught).read(pictures, 3), Reader(alone).read(pictures, 3), strict=True):
        assert one.is_digit_probability is not None
        assert one.is_digit_probability == pytest.approx(other.is_digit_probability, abs=1e-5)
        assert one.digit_probabilities == pytest.approx(other.digit_probabilities, abs=1e-5)
        assert (one.accepted, one.reason) == (other.accepted, other.reason)


def test_readings_are_refused_below_the_thresholds_and_only_there(taught: Path) -> None:
    pictures = [np.asarray(image) for image in load_mnist("test").images[:200]]
    readings = Reader(taught).read(pictures, 0)
    assert {reading.reason for reading in readings} > {None}  # accepted ones, and others
    for reading in readings:
        assert reading.is_digit_probability is not None
        expected = NOT_A_DIGIT if reading.is_digit_probability < 0.6 else UNSURE if reading.confidence < 0.4 else None
        assert (reading.reason, reading.accepted) == (expected, expected is None)


def test_the_temperature_divides_the_logits_of_the_digit(taught: Path) -> None:
    net, config = load_network(taught)
    part = DigitSet(load_mnist("test").images[:20], load_mnist("test").digits[:20], "part")
    logits = digit_logits(net, part)
    with torch.no_grad():
        digit, _ = net(torch.tensor(part.images[:, None] / 255).float(), torch.zeros(20, dtype=torch.int64))
    assert digit.numpy() == pytest.approx(log_probabilities(logits, config.last_smoothing, 1.5), abs=1e-4)


def test_a_network_trained_without_outliers_has_no_probability_of_a_digit(small_run: Path) -> None:
    reading = Reader(small_run).read(load_mnist("test").images[0], 1)
    assert reading.is_digit_probability is None
    assert reading.accepted


def test_a_run_without_one_fold_is_measured_on_it(small_config: Config, tmp_path: Path) -> None:
    config = replace(small_config, epochs=1, validation=0, fold=2)
    run = train(config, tmp_path / "fold", progress=False)
    record = (run.folder / "record.json").read_text()
    assert '"train_images": 800' in record
    assert "validation_digit" in run.metrics[0]

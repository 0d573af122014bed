"""The recipes of lines and scenes: batches, losses, figures, calibration; Muon beside the singular value
decomposition and AdamW."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lab.__main__ as program
from ctc_oracle import log_prob
from lab.recipes import calibrate as fitting
from lab.recipes import lines, texts
from lab.recipes import tasks as recipes
from lab.recipes.lines import LineBatch
from lab.recipes.muon import Muon, orthogonal
from lab.recipes.networks import CLASSES, text_nll
from lab.recipes.settings import Composition, LineTraining
from lab.recipes.tasks import TASKS, Composed, FinderTask, LineTask
from sumnist.errors import ConfigError
from sumnist.inference.alphabet import WRITING
from sumnist.training.loop import train, training_step

CPU = torch.device("cpu")
pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, few_scenes: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Few characters to compose of, and few batches to measure on."""
    few_scenes(monkeypatch)
    monkeypatch.setattr(lines, "HANDS", 20)
    monkeypatch.setattr(LineTask, "held_batches", (2, 8, 1))
    monkeypatch.setattr(LineTask, "held_drawn", 20)
    monkeypatch.setattr(FinderTask, "held_batches", (2, 16, 1))
    monkeypatch.setattr(FinderTask, "held_drawn", 100)


@pytest.fixture
def config_of(idx_folder: Path) -> Callable[[str], Composition]:
    """A training of a second or two of a task."""

    def config(task: str) -> Composition:
        shared = {"data_dir": idx_folder, "validation": 200, "epochs": 2, "threads": 1, "device": "cpu"}
        made: Composition = TASKS[task].network.settings(strips=24, batch_size=8, precision="fp32", **shared)
        return made

    return config


@pytest.mark.parametrize("task", ["lines", "finder"])
def test_a_run_that_was_stopped_comes_to_the_weights_that_it_would_have_had(
    task: str, idx_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"train {task} data_dir={idx_folder} validation=200 epochs=2 strips=24 batch_size=8 threads=1 device=cpu"
    assert program.main([*words.split(), "--out", str(tmp_path / "alone")]) == 0
    row = json.loads((tmp_path / "alone/metrics.jsonl").read_text().splitlines()[-1])
    assert TASKS[task].in_words(row) in capsys.readouterr().out
    steps = iter(range(1, 100))

    def step(*given: Any) -> Any:
        if next(steps) == 5:
            raise KeyboardInterrupt
        return training_step(*given)

    run = [*words.split(), "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.training_step", step)
        assert program.main(run) == 130
    assert program.main([*run, "--resume"]) == 0
    assert (tmp_path / "run/model.safetensors").read_bytes() == (tmp_path / "alone/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("kind", "name", "strengths", "wanted"),
    [(LineTask, "lines", (1.0, 1.0), "a line"), (FinderTask, "finder", (0.7, 0.75), "two scenes")],
)
def test_the_batches_of_an_epoch_are_new_ones(
    kind: type[Composed], name: str, strengths: tuple[float, float], wanted: str,
    config_of: Callable[[str], Composition],
) -> None:  # fmt: skip
    task = kind(config_of(name), CPU)
    task.prepare(False)
    first, second = ([batch.image for batch in task.epoch(epoch, 1.0)] for epoch in range(2))
    assert len(first) == len(second) == 3
    assert not any(map(torch.equal, first, second))
    task.batches = SimpleNamespace(batch=lambda step, size, strength: (step, size, strength))
    for intensity, strength in zip((0.1, 0.75), strengths, strict=True):  # lines are disturbed fully
        assert list(task.epoch(2, intensity)) == [(step, 8, strength) for step in (6, 7, 8)]
    if kind is not LineTask:
        with pytest.raises(ConfigError, match=f"--batch-size 1: expected at least {wanted}"):
            kind(replace(config_of(name), batch_size=1), CPU)


def emissions_of_classes(*paths: list[int]) -> torch.Tensor:
    """Emissions `[B, T, 32]` whose best path is the one given."""
    return functional.one_hot(torch.tensor(paths), CLASSES).float().log_softmax(2)


def batch_of(texts: list[str], steps: list[int]) -> LineBatch:
    classes = [[WRITING.index(character) + 1 for character in text] for text in texts]
    return LineBatch(
        torch.zeros(len(texts), 1, 32, 4 * max(steps)), torch.tensor([one for text in classes for one in text]),
        torch.tensor([len(text) for text in texts]), 4 * torch.tensor(steps),
    )  # fmt: skip


def test_the_loss_is_that_of_the_exact_scoring_of_the_empty_text_too() -> None:
    torch.manual_seed(0)
    emissions, texts = torch.randn(3, 9, CLASSES).log_softmax(2), ["11.5", "", "÷"]
    batch = batch_of(texts, [9, 7, 5])
    expected = [
        -log_prob(emissions[place, :steps].numpy(), [text], WRITING)[0]
        for place, (text, steps) in enumerate(zip(texts, [9, 7, 5], strict=True))
    ]
    assert batch.texts() == texts
    assert text_nll(emissions, batch).tolist() == pytest.approx(expected, rel=1e-5)
    assert text_nll(torch.zeros(1, 2, CLASSES).log_softmax(2), batch_of(["22"], [2])).item() == 0  # no path


def test_the_best_path_is_read_without_repetitions_and_blanks_and_no_step_beyond_the_line_counts() -> None:
    emissions = emissions_of_classes([0, 2, 2, 0, 2, 11, 6, 6], [1, 1, 13, 1, 0, 0, 9, 9], [0] * 8)
    texts = recipes.texts_read(emissions, torch.tensor([8, 5, 8]))
    assert texts == ["11.5", "0'0", ""]
    assert LineTask.right(emissions, batch_of(["11.5", "0'08", ""], [8, 5, 8])) == 2


def test_two_hundred_steps_on_single_digits_teach_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "TEXTS", (*texts.TEXTS[:1], (0.02, lambda random: "")))
    monkeypatch.setattr(LineTask, "held_batches", (2, 64, 1))
    small = LineTraining(epochs=1, strips=12_800, batch_size=64, lr=1e-2, ema=0.9, threads=1)
    row = train(small, tmp_path, progress=False, task=LineTask).metrics[-1]
    assert row["validation_text"] > 0.25  # who reads nothing is right where nothing is written: on one of eight
    assert row["validation_nll"] < 2.4  # what guessing costs


def batch(random: np.random.Generator, count: int, heat: float) -> tuple[Tensor, LineBatch]:
    """Lines of one digit, or of none, each of three steps, and logits that say which, `heat` times as sharp as they
    should be."""
    scores = np.zeros((count, 3, CLASSES))
    scores[:, ::2, 0] = 12.0  # blank before and after
    scores[:, 1] = random.normal(0, 4.0, (count, CLASSES))
    scores[:, 1, 11:] = -12.0  # no signs
    odds = np.exp(scores[:, 1])
    drawn = (np.cumsum(odds / odds.sum(1, keepdims=True), 1) > random.random((count, 1))).argmax(1)
    batch = batch_of([WRITING[place - 1] if place else "" for place in drawn.tolist()], [3] * count)
    return torch.from_numpy(heat * scores).float().log_softmax(2), batch


@pytest.mark.parametrize("heat", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_how_much_too_sharp_the_logits_are_and_what_is_accepted_is_right(heat: float) -> None:
    random = np.random.default_rng(5)
    logits, batches = zip(*(batch(random, 500, heat) for _ in range(4)), strict=True)
    fitted = fitting.calibrate_lines(logits, batches)
    assert fitted["temperature"] == pytest.approx(heat, rel=0.1)
    assert fitted["nll"] <= fitted["nll_before"]
    assert fitted["lines"] == 2000
    assert 0 < fitted["accepted"] < 1
    assert fitted["right"] < fitting.RIGHT <= fitted["right_of_accepted"]


def test_a_threshold_is_the_lowest_that_keeps_the_share_of_right_ones() -> None:
    confidence = np.linspace(1, 0, 1001)
    right = np.arange(1001) % 200 != 199  # one in 200 is wrong
    right[600:] = False
    least = fitting.accepting(confidence, right, 0.99)
    kept = confidence >= least
    assert right[kept].mean() >= 0.99
    assert right[confidence >= least - 0.002].mean() < 0.99
    assert kept.sum() > 600
    assert fitting.accepting(np.linspace(0.9, 0.1, 100), np.zeros(100, bool)) == 1.0


# Muon, beside the singular value decomposition and AdamW.


LR, BETAS, DECAY = 1e-2, (0.9, 0.99), 0.1


def small_net() -> nn.Sequential:
    """First weights, inner ones of both shapes, last ones, and what is no matrix."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 40, 1), nn.Flatten(), nn.Linear(640, 3),
    )  # fmt: skip


def gradients(net: nn.Module) -> list[Tensor]:
    """What one backward pass leaves, of every parameter."""
    net(torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))).square().mean().backward()
    return [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("shape", [(30, 70), (70, 30), (40, 40), (1, 9)])
def test_an_orthogonal_matrix_keeps_the_singular_vectors_and_loses_the_values(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonal(matrix) @ right.T
    assert torch.allclose(found, torch.diag(found.diagonal()), atol=1e-9)
    strong = values > 0.02 * matrix.norm()
    assert (found.diagonal()[strong] > 0.65).all()
    assert (found.diagonal() < 1.25).all()
    assert not orthogonal(torch.zeros(3, 5)).any()


def test_first_and_last_weights_and_what_is_no_matrix_are_stepped_by_adamw() -> None:
    once, twin = small_net(), small_net()
    gradients(once), gradients(twin)
    Muon(once, LR, BETAS, DECAY).step()
    torch.optim.AdamW(twin.parameters(), LR, BETAS, weight_decay=DECAY).step()
    alike = {
        name: torch.allclose(mine, theirs, atol=1e-6)
        for (name, mine), theirs in zip(once.named_parameters(), twin.parameters(), strict=True)
    }
    assert {name for name, same in alike.items() if not same} == {"2.weight", "4.weight"}

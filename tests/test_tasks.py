"""Numbers, cells and sums: losses and figures against counting, how a training goes, lost networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from conftest import write_idx
from ctc_oracle import log_prob
from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.data import cells, pens, strips, texts
from sumnist.data.mnist import FILES, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.data.strips import StripBatch
from sumnist.errors import ConfigError, DataError, RunError, TrainingError
from sumnist.model.cell_network import CellNet
from sumnist.model.losses import text_nll
from sumnist.model.network import TwoInputNet, load_network
from sumnist.model.strip_network import StripNet
from sumnist.training import tasks
from sumnist.training.devices import ProcessGroup
from sumnist.training.evaluate import compare_runs, evaluate_run, evaluate_sums
from sumnist.training.folder import Learner
from sumnist.training.loop import RunResult, build_optimizer, train, training_step
from sumnist.training.tasks import LEAST_INTENSITY, TASKS, AdditionTask, CellTask, Loss, NumberTask, Tally, digits_read

CPU = torch.device("cpu")
FIVE = Path(__file__).resolve().parent.parent / "examples/five.png"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few characters to compose of, and few batches to measure on."""
    monkeypatch.setattr(strips, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(cells, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 5))
    monkeypatch.setattr(NumberTask, "held_batches", (2, 8, 1))
    monkeypatch.setattr(CellTask, "held_batches", (2, 16, 1))
    monkeypatch.setattr(CellTask, "held_drawn", 100)


@pytest.fixture
def config_of(idx_folder: Path) -> Callable[[str], Config]:
    """A training of a second or two of a task."""

    def of(task: str) -> Config:
        own = {"encoder": "tiny", "batch_size": 64} if task == "addition" else {"strips": 24, "batch_size": 8}
        shared = {"data_dir": idx_folder, "validation": 200, "epochs": 2, "threads": 1, "device": "cpu"}
        return preset(task, **own, **shared, precision="fp32")

    return of


@pytest.fixture
def config(config_of: Callable[[str], Config]) -> Config:
    """That of the task addition, in three epochs."""
    return replace(config_of("addition"), epochs=3)


# What all tasks have in common.


def stop_at(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ctrl-C come at the n-th step."""
    steps = iter(range(1, count + 1))

    def step(*arguments: Any, **named: Any) -> Any:
        if next(steps) == count:
            raise KeyboardInterrupt
        return training_step(*arguments, **named)

    monkeypatch.setattr("sumnist.training.loop.training_step", step)


@pytest.mark.parametrize("task", ["numbers", "cells"])
def test_a_run_that_was_stopped_comes_to_the_weights_that_it_would_have_had(
    task: str, config_of: Callable[[str], Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config_of(task), validation=0)
    alone = train(config, tmp_path / "alone", progress=False)
    with monkeypatch.context() as patch:
        stop_at(5, patch)
        stopped = train(config, tmp_path / "run", progress=False)
    assert (stopped.finished, stopped.steps) == (False, 4)
    resumed = train(config, tmp_path / "run", progress=False, resume=True)
    assert (resumed.finished, resumed.steps) == (True, 6)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (alone.folder / "model.safetensors").read_bytes()
    assert isinstance(train(config, tmp_path / "run", resume=True).net, TASKS[task].network)


@pytest.mark.parametrize("kind", [NumberTask, CellTask])
def test_the_batches_of_an_epoch_are_new_ones_and_processes_share_them(
    kind: type[NumberTask | CellTask], config_of: Callable[[str], Config]
) -> None:
    config = config_of("numbers" if kind is NumberTask else "cells")

    def images(team: ProcessGroup, epoch: int) -> list[torch.Tensor]:
        task = kind(config, CPU, team)
        task.prepare(False)
        return [batch.image for batch in task.epoch(epoch, 1.0)]

    first, second, shares = (
        images(ProcessGroup(), 0),
        images(ProcessGroup(), 1),
        [images(ProcessGroup(rank, 2), 0) for rank in range(2)],
    )
    assert [len(part) for part in (first, second, *shares)] == [3] * 4
    for one, other in ((first, second), shares):
        assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    wanted = "a strip" if kind is NumberTask else "two cells"
    with pytest.raises(ConfigError, match=f"--batch-size 8: expected at least {wanted} for each process"):
        kind(config, CPU, ProcessGroup(0, 9))


SAID = {
    "numbers": ("on strips of held-out images: numbers {validation_number:.2%}\n",
                "on the training strips as they came by: numbers {train_number:.2%}\n"),
    "cells": ("on cells of held-out images: boxes {validation_box:.2%}, strips {validation_strip:.2%}\n",
              "on the training cells as they came by: {train_cell:.2%}\n"),
    "addition": ("on the held-out images: digit {validation_digit:.2%}, sum {validation_sum:.2%}\n",
                 "on the training images as they came by: digit {train_digit:.2%}, sum {train_sum:.2%}\n"),
}  # fmt: skip


@pytest.mark.parametrize(("task", "validation"), [*((task, 200) for task in SAID), ("cells", 0)])
def test_a_training_says_what_it_reads(
    task: str, validation: int, idx_folder: Path, tmp_path: Path, capsys: Any
) -> None:
    words = f"--preset {task} --data-dir {idx_folder} --validation {validation} --epochs 1 --threads 1 --device cpu"
    words += " --encoder tiny --digits 2" if task == "addition" else " --strips 24 --batch-size 8"
    assert main(["train", *words.split(), "--out", str(tmp_path / "run")]) == 0
    (row,) = (json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    assert SAID[task][validation == 0].format(**row) in capsys.readouterr().out
    assert json.loads((tmp_path / "run/record.json").read_text())["train_images"] == 1000 - validation
    assert any(name.endswith("s_per_second") for name in row)


# Numbers.


def emissions_of_classes(*paths: list[int]) -> torch.Tensor:
    """Emissions `[B, T, 14]` whose best path is the one given."""
    return functional.one_hot(torch.tensor(paths), 14).float().log_softmax(2)


def batch_of(written: list[list[int]], steps: list[int]) -> StripBatch:
    return StripBatch(
        torch.zeros(len(written), 1, 32, 4 * max(steps)), torch.tensor([one for classes in written for one in classes]),
        torch.tensor([len(classes) for classes in written]), 4 * torch.tensor(steps),
    )  # fmt: skip


def test_the_loss_is_that_of_the_exact_scoring_of_the_empty_text_too() -> None:
    torch.manual_seed(0)
    emissions = torch.randn(3, 9, 14).log_softmax(2)
    batch = batch_of([[2, 2, 11, 6], [], [14 - 1]], [9, 7, 5])
    expected = [
        -log_prob(emissions[place, :steps].numpy(), [text])[0]
        for place, (text, steps) in enumerate(zip(batch.texts(), [9, 7, 5], strict=True))
    ]
    assert batch.texts() == ["11.5", "", "-"]
    assert text_nll(emissions, batch).tolist() == pytest.approx(expected, rel=1e-5)
    no_path = batch_of([[3, 3]], [2])
    assert text_nll(torch.zeros(1, 2, 14).log_softmax(2), no_path).item() == 0


def test_the_best_path_is_read_without_repetitions_blanks_and_separators_and_is_right_whatever_these() -> None:
    emissions = emissions_of_classes([0, 2, 2, 0, 2, 11, 6, 6], [1, 1, 13, 1, 0, 0, 9, 9], [0] * 8)
    read = digits_read(emissions, torch.tensor([8, 5, 8]))
    assert [classes.tolist() for classes in read] == [[2, 2, 6], [1, 1], []]
    emissions = emissions_of_classes([2, 11, 3, 0], [2, 0, 3, 0], [2, 3, 4, 0], [0, 0, 12, 0])
    assert tasks.right(emissions, batch_of([[2, 3], [2, 12, 3], [2, 3], []], [4] * 4)) == 3


def test_the_tally_is_the_mean_over_all_strips_whatever_the_batches(config_of: Callable[[str], Config]) -> None:
    emissions, batch = emissions_of_classes([2, 3], [4, 5]), batch_of([[2, 3], [4, 6]], [2, 2])
    tally = Tally(NumberTask(config_of("numbers"), CPU, ProcessGroup(0, 2)))
    tally.add(StripNet(), emissions, Loss(torch.tensor(3.0)), batch)
    tally.add(StripNet(), emissions[:1], Loss(torch.tensor(0.0)), batch_of([[2, 3]], [2]))
    assert tally.figures()["train_number"] == pytest.approx(2 / 3)
    assert tally.text() == "loss 2.000, numbers 66.67%"


@pytest.mark.parametrize(("kind", "expected"), [(NumberTask, (LEAST_INTENSITY, 0.75)), (CellTask, (1.0, 1.0))])
def test_strips_are_disturbed_with_a_least_intensity_and_cells_fully(
    kind: type[NumberTask | CellTask], expected: tuple[float, float], config_of: Callable[[str], Config]
) -> None:
    task = kind(config_of("numbers" if kind is NumberTask else "cells"), CPU, ProcessGroup())
    task.batches = SimpleNamespace(batch=lambda step, size, strength: (step, size, strength))
    for intensity, strength in zip((0.1, 0.75), expected, strict=True):
        assert list(task.epoch(2, intensity)) == [(6, 8, strength), (7, 8, strength), (8, 8, strength)]


@pytest.mark.long
def test_two_hundred_steps_on_single_digits_teach_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "LENGTHS", (1.0,) + (0.0,) * 11)
    monkeypatch.setattr(NumberTask, "held_batches", (2, 64, 1))
    small = preset("numbers", epochs=1, strips=12_800, batch_size=64, lr=1e-2, warmup=0.3, ema=0.9, threads=1)
    row = train(small, tmp_path, progress=False).metrics[-1]
    assert row["validation_number"] > 0.25  # who reads nothing is right where there is no number: on one of eight
    assert row["validation_nll"] < 2.4  # what guessing costs


# Cells.


def test_the_temperature_of_cells_is_the_best_of_a_fine_grid_and_the_figures_are_counts(
    config_of: Callable[[str], Config],
) -> None:
    task, net = CellTask(config_of("cells"), CPU, ProcessGroup()), CellNet()
    net([torch.rand(4, 1, 36, 30), torch.rand(2, 1, 36, 54)])
    fitted, batches = task.calibrate(net), task.composed
    assert net.calibration.temperature.item() == pytest.approx(fitted["temperature"])
    assert task.measure(net)["box"] == fitted["box"]
    net.calibration.set()
    with torch.no_grad():
        said = torch.cat([net([batch.boxes, batch.strips]) for batch in batches])
        of_boxes = torch.cat([net(batch.boxes).argmax(1) == batch.target[: len(batch.boxes)] for batch in batches])
    target = torch.cat([batch.target for batch in batches])
    grid = np.geomspace(0.25, 4, 400)
    best = min(functional.nll_loss((said / t).log_softmax(1), target).item() for t in grid.tolist())
    assert fitted["nll"] == pytest.approx(best, abs=1e-3)
    assert fitted["nll"] <= fitted["nll_before"] + 1e-9
    assert fitted["box"] == pytest.approx(of_boxes.double().mean().item())


# Sums.


def weights_of(config: Config, folder: Path) -> bytes:
    tensors = train(config, folder, progress=False).net.state_dict()
    return b"".join(value.numpy().tobytes() for value in tensors.values())


@pytest.mark.parametrize(("validation", "supervision"), [(0, "sums"), (200, "sums"), (200, "digits")])
def test_other_digits_with_the_same_totals_give_the_same_weights_unless_digits_are_told(
    config: Config, tmp_path: Path, validation: int, supervision: Any
) -> None:
    config = replace(config, validation=validation, supervision=supervision, epochs=1)
    digits = load_mnist("train", config.data_dir)
    rest, held = hold_out(np.zeros(len(digits), np.int64), validation)
    pairs = rest[AdditionTask(config, CPU, ProcessGroup()).batches.place[:, :, 0].numpy()]  # [S, 2]
    swapped = digits.digits.copy()
    swapped[pairs] = digits.digits[pairs[:, ::-1]]
    swapped[held] = 9 - digits.digits[held]
    assert (swapped != digits.digits).sum() > 600
    write_idx(tmp_path / FILES["x_train"], digits.images)
    write_idx(tmp_path / FILES["y_train"], swapped.astype(np.uint8))
    same = weights_of(config, tmp_path / "one") == weights_of(replace(config, data_dir=tmp_path), tmp_path / "two")
    assert same == (supervision == "sums")


def test_the_same_network_learns_from_digits_with_the_loss_of_digits(config: Config) -> None:
    config = replace(config, digits=3)
    task, net = AdditionTask(config, CPU, ProcessGroup()), TwoInputNet.from_config(config)
    sums = next(task.epoch(0, 1.0))
    scores, losses = task.forward(net, sums, replace(config, supervision="digits"))
    again, others = task.forward(net, sums, config)
    assert torch.equal(scores, again)
    rows = scores.detach().reshape(-1, 10)
    expected = [float(row[digit]) for row, digit in zip(rows, sums.digit.flatten(), strict=True)]
    assert losses.total.item() == pytest.approx(-np.mean(expected), rel=1e-5)
    assert others.total.item() > 2 * losses.total.item()
    torch.nn.init.constant_(net.fusion.digit.bias, float("inf"))
    with pytest.raises(TrainingError, match=r"the network's answers are no numbers any more: try a lower --lr"):
        task.forward(net, sums, config)


def test_the_tally_counts_sums_and_digits(config: Config) -> None:
    task = AdditionTask(replace(config, batch_size=4), CPU, ProcessGroup())
    sums = next(task.epoch(0, 1.0))
    scores = functional.one_hot(sums.digit, 10).float()
    wrong = scores.clone()
    wrong[0, 0, 0] = scores[0, 0, 0].roll(1)
    tally = Tally(task)
    tally.add(TwoInputNet("tiny"), scores, Loss(torch.tensor(1.0)), sums)
    tally.add(TwoInputNet("tiny"), wrong, Loss(torch.tensor(2.0)), sums)
    figures = tally.figures()
    assert (figures["loss"], figures["train_sum"], figures["train_digit"]) == (1.5, 0.75, 0.875)
    assert tally.text() == "loss 1.500, sums 75.00%, digits 87.50%"


def test_the_held_out_figures_are_those_of_the_saved_weights(config: Config, tmp_path: Path) -> None:
    result = train(replace(config, digits=2), tmp_path, progress=False)
    _, held = tasks.split(load_mnist("train", config.data_dir), config)
    assert held is not None
    net, images = load_network(tmp_path)[0], torch.tensor(held.images)[:, None].float() / 255
    with torch.no_grad():
        answer = net(images, torch.zeros(200, dtype=torch.int64)).digit.argmax(1).numpy()
    weights = [10, 1, 10, 1]
    right = (answer.reshape(50, 4) @ weights == held.digits.reshape(50, 4) @ weights).mean()
    assert result.metrics[-1]["validation_sum"] == pytest.approx(right)
    assert result.metrics[-1]["validation_digit"] == pytest.approx((answer == held.digits).mean())


@pytest.fixture
def prepared(config: Config) -> Callable[..., tuple[AdditionTask, Learner]]:
    """The task with some settings changed, and the packaged network after a tiny step of training."""

    def make(**changes: Any) -> tuple[AdditionTask, Learner]:
        task, net = AdditionTask(replace(config, **changes), CPU, ProcessGroup()), TwoInputNet.from_pretrained()
        task.prepare(progress=True)
        learner = Learner(net, build_optimizer(net, replace(config, lr=1e-6)), deepcopy(net))
        net(torch.rand(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)).digit.sum().backward()
        learner.optimizer.step()
        return task, learner

    return make


@pytest.mark.parametrize(("operation", "shift"), [("sub", 7), ("add", 5)])
def test_digits_that_were_learned_by_other_names_are_renamed(
    operation: str, shift: int, prepared: Callable[..., tuple[AdditionTask, Learner]], capsys: Any
) -> None:
    task, learner = prepared(digits=15, operation=operation)
    row = {"epoch": 1.0}
    assert not task.trouble(learner, row, [])
    assert "renamed_by" not in row
    before = {name: value.clone() for name, value in learner.tensors().items()}
    tasks.rename(learner, -shift)
    for name, value in learner.tensors().items():
        follows = ".fusion.digit." in name or (name.startswith("optimizer.") and value.ndim and len(value) == 10)
        assert torch.equal(value, before[name].roll(-shift, 0) if follows else before[name]), name
    assert sum(len(value) == 10 for value in before.values() if value.ndim) == 8  # two, their average and moments
    assert not task.trouble(learner, row, [])
    assert row["renamed_by"] == shift
    assert all(torch.equal(value, before[name]) for name, value in learner.tensors().items())
    assert f"each digit was named for another one: {shift} is added to all of them" in capsys.readouterr().err


def test_a_network_that_says_one_digit_for_all_is_lost_once_it_had_its_time(
    prepared: Callable[..., tuple[AdditionTask, Learner]],
) -> None:
    task, learner = prepared(epochs=9)
    assert not task.trouble(learner, {"epoch": 3.0}, [])
    ways = np.convolve(np.ones(10), np.ones(10)) / 100
    assert task.guessing() == pytest.approx(-np.log(ways[task.named_by.total.astype(int)]).mean(), rel=1e-5)
    with torch.no_grad():
        for parameter in learner.net.fusion.digit.parameters():  # type: ignore[union-attr]
            parameter.zero_()
    assert not task.trouble(learner, {"epoch": 2.0}, [])
    assert task.trouble(learner, {"epoch": 3.0}, []).startswith("too little was learned, the loss is 2.")
    told, _ = prepared(epochs=9, supervision="digits")
    assert not told.trouble(learner, {"epoch": 3.0}, [])


def test_a_network_that_has_settled_on_wrong_names_is_lost_at_once(
    prepared: Callable[..., tuple[AdditionTask, Learner]], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, learner = prepared(epochs=90, digits=15)
    heads: Any = learner.net.heads
    assert not task.trouble(learner, {"epoch": 4.0, "loss": 0.1}, [{"loss": 0.1}])  # it has learned all there is

    def misnamed(image: torch.Tensor, number: torch.Tensor) -> Any:
        said = heads(image, number)
        return said._replace(digit=(said.digit.softmax(1)[:, [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]] * 0.9 + 0.01).log())

    monkeypatch.setattr(learner.net, "heads", misnamed)
    lost = task.trouble(learner, {"epoch": 4.0, "loss": 14.6}, [{"loss": 14.9}])
    assert lost.startswith("too little was learned, the loss is ")
    assert not task.trouble(learner, {"epoch": 4.0, "loss": 13.0}, [{"loss": 14.9}])  # it still learns
    assert not task.trouble(learner, {"epoch": 1.0, "loss": 14.6}, [])


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a network learns is too little."""
    monkeypatch.setattr(tasks, "LOST", 0.0)


def rates_of(run: Callable[[], RunResult], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of every step."""
    rates = []

    def step(net: Any, optimizer: torch.optim.Optimizer, *rest: Any, **named: Any) -> Any:
        rates.append(optimizer.param_groups[0]["lr"])
        return training_step(net, optimizer, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.training_step", step)
        run()
    return rates


@pytest.mark.usefixtures("lost")
def test_a_lost_network_begins_anew_twice_at_half_the_rate_says_so_and_is_kept_in_the_end(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    rates = rates_of(lambda: train(config, tmp_path), monkeypatch)
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["restarts"], record["epochs"], record["steps"]) == (2, 3, 3 * 13)
    assert [row["epoch"] for row in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())] == [1, 2, 3]
    assert len(rates) == (1 + 1 + 3) * 13
    assert rates[13:26] == pytest.approx([rate / 2 for rate in rates[:13]])
    assert rates[26:39] == pytest.approx([rate / 4 for rate in rates[:13]])
    told = [line for line in capsys.readouterr().err.splitlines() if "too little was learned" in line]
    assert [line.rpartition(": ")[2] for line in told[:2]] == ["begun anew with other weights, at half the rate"] * 2
    assert [line.partition(":")[0] for line in told] == ["epoch 1/3"] * 3 + ["epoch 2/3", "epoch 3/3"]
    assert all("try a lower --lr" in line for line in told[2:])


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("last", [20, 45])
def test_a_run_that_began_anew_and_was_stopped_comes_to_the_weights_that_it_would_have_had(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    config = replace(config, digits=2, augment="shift")
    alone = train(config, tmp_path / "alone", progress=False)
    with monkeypatch.context() as patch:
        stop_at(last, patch)
        assert not train(config, tmp_path / "run", progress=False).finished
    resumed = train(config, tmp_path / "run", progress=False, resume=True)
    assert (resumed.finished, resumed.steps) == (True, alone.steps)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (alone.folder / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "run/record.json").read_text())["restarts"] == 2


@pytest.mark.parametrize(
    ("changes", "processes", "message"),
    [
        ({"digits": 401}, 1, "a sum takes 802 images, and there are 800 training ones"),
        ({"digits": 101}, 1, "a sum takes 202 images, and there are 200 held-out ones"),
        ({"digits": 10, "addends": 21}, 1, "a sum takes 210 images, and there are 200 held-out ones"),
        ({"digits": 10}, 3, "--batch-size 64: expected a sum of 20 images for each of 3 processes"),
    ],
)
def test_too_few_images_for_a_sum_or_sums_for_the_processes_are_errors(
    changes: dict[str, Any], processes: int, message: str, config: Config
) -> None:
    with pytest.raises(ConfigError, match=message):
        AdditionTask(replace(config, **changes), CPU, ProcessGroup(0, processes))


def test_a_network_that_learned_from_sums_is_evaluated_and_exported_but_sent_where_it_belongs(
    config: Config, small_run: Path, tmp_path: Path, capsys: Any
) -> None:
    run = train(replace(config, digits=19, operation="sub", epochs=1), tmp_path / "run", progress=False).folder
    assert main(["evaluate", str(run), "--json"]) == 0
    figures, written = json.loads(capsys.readouterr().out), json.loads((run / "evaluation.json").read_text())
    assert {key: written[key] for key in figures} == figures
    assert (figures["images"], figures["sums"], figures["operation"]) == (200, 5, "sub")
    assert main(["export", str(run)]) == 0
    assert main(["predict", str(FIVE), "-n", "7", "--model", str(run)]) == 0
    for ask, folder, message in (
        (evaluate_run, run, "a network of --task addition: expected one of --task digits; `sumnist evaluate`"),
        (evaluate_sums, small_run, "a network of --task digits: expected one of --task addition"),
        (lambda folder: compare_runs([folder]), run, "a network of --task addition: expected runs of --task digits"),
    ):
        with pytest.raises(RunError, match=message):
            ask(folder)  # type: ignore[operator]
    test = load_mnist("test").part(np.arange(37))
    write_idx(tmp_path / FILES["x_test"], test.images)
    write_idx(tmp_path / FILES["y_test"], test.digits.astype(np.uint8))
    with pytest.raises(DataError, match=r"37 images, expected at least 38, of which a sum is made"):
        evaluate_sums(run, tmp_path)


@pytest.mark.long
def test_an_epoch_of_sums_of_two_digits_teaches_to_read(tmp_path: Path) -> None:
    config = preset("addition", digits=2, epochs=1, validation=40_000, threads=1, device="cpu")
    row = train(config, tmp_path, progress=False).metrics[-1]
    assert row["validation_digit"] > 0.9
    assert row["validation_sum"] > 0.7

"""Learning from sums: that no digit is told, wrong names, lost networks, resuming, and what the commands do."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import write_idx
from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.data.mnist import FILES, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.errors import ConfigError, DataError, RunError, TrainingError
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training import addition
from sumnist.training.addition import AdditionTask, SumLosses, Tally
from sumnist.training.devices import Team
from sumnist.training.evaluate import compare_runs, evaluate_run, evaluate_sums
from sumnist.training.folder import Learner
from sumnist.training.loop import RunResult, build_optimizer, train, training_step

CPU = torch.device("cpu")
FIVE = Path(__file__).resolve().parent.parent / "examples/five.png"


@pytest.fixture
def config(idx_folder: Path) -> Config:
    """A training of a second."""
    return preset(
        "addition", encoder="tiny", data_dir=idx_folder, validation=200, epochs=3, batch_size=64, threads=1,
        device="cpu", precision="fp32",
    )  # fmt: skip


def weights_of(config: Config, folder: Path) -> bytes:
    return (train(config, folder, progress=False).folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("validation", "supervision"), [(0, "sums"), (200, "sums"), (200, "digits")])
def test_other_digits_with_the_same_totals_give_the_same_weights_unless_digits_are_told(
    config: Config, tmp_path: Path, validation: int, supervision: Any
) -> None:
    config = replace(config, validation=validation, supervision=supervision, epochs=1)
    digits = load_mnist("train", config.data_dir)
    rest, held = hold_out(np.zeros(len(digits), np.int64), validation)
    pairs = rest[AdditionTask(config, CPU, Team()).batches.place[:, :, 0].numpy()]  # [S, 2]
    swapped = digits.digits.copy()
    swapped[pairs] = digits.digits[pairs[:, ::-1]]
    swapped[held] = 9 - digits.digits[held]
    assert (swapped != digits.digits).sum() > 600
    write_idx(tmp_path / FILES["x_train"], digits.images)
    write_idx(tmp_path / FILES["y_train"], swapped.astype(np.uint8))
    same = weights_of(config, tmp_path / "one") == weights_of(replace(config, data_dir=tmp_path), tmp_path / "two")
    assert same == (supervision == "sums")


def test_the_same_network_learns_from_digits_with_the_loss_of_digits(config: Config) -> None:
    task = AdditionTask(replace(config, digits=3), CPU, Team())
    net, sums = task.network(config), next(task.epoch(0, 1.0))
    told = replace(config, digits=3, supervision="digits")
    scores, losses = task.forward(net, sums, told)
    again = task.forward(net, sums, replace(config, digits=3))
    assert torch.equal(scores, again[0])
    rows = scores.detach().reshape(-1, 10)
    expected = [float(row[digit]) for row, digit in zip(rows, sums.digit.flatten(), strict=True)]
    assert losses.total.item() == pytest.approx(-np.mean(expected), rel=1e-5)
    assert again[1].total.item() > 2 * losses.total.item()


def test_the_tally_counts_sums_and_digits(config: Config) -> None:
    task = AdditionTask(replace(config, batch_size=4), CPU, Team())
    sums = next(task.epoch(0, 1.0))
    scores = torch.nn.functional.one_hot(sums.digit, 10).float()
    wrong = scores.clone()
    wrong[0, 0, 0] = scores[0, 0, 0].roll(1)
    tally = Tally(config, processes=2)
    tally.add(TwoInputNet("tiny"), scores, SumLosses(torch.tensor(1.0)), sums)
    tally.add(TwoInputNet("tiny"), wrong, SumLosses(torch.tensor(2.0)), sums)
    figures = tally.figures()
    assert (figures["loss"], figures["train_sum"], figures["train_digit"]) == (1.5, 0.75, 0.875)
    assert tally.text() == "loss 1.500, sums 75.00%, digits 87.50%"


# Wrong names, and lost networks.


def learner_of(net: TwoInputNet, config: Config) -> Learner:
    """One that has been trained for a step, a tiny one."""
    learner = Learner(net, build_optimizer(net, replace(config, lr=1e-6)), deepcopy(net))
    net(torch.rand(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)).digit.sum().backward()
    learner.optimizer.step()
    return learner


@pytest.fixture
def reading() -> TwoInputNet:
    """A network that reads digits."""
    return TwoInputNet.from_pretrained()


@pytest.mark.parametrize(("operation", "shift"), [("sub", 7), ("add", 5)])
def test_digits_that_were_learned_by_other_names_are_renamed(
    reading: TwoInputNet, config: Config, operation: Any, shift: int, capsys: Any
) -> None:
    config = replace(config, digits=15, operation=operation)
    task = AdditionTask(config, CPU, Team())
    task.prepare(progress=True)
    learner, row = learner_of(reading, config), {"epoch": 1.0}
    assert not task.trouble(learner, row, [])
    assert "renamed_by" not in row
    before = {name: value.clone() for name, value in learner.tensors().items()}
    addition.rename(learner, -shift)
    for name, value in learner.tensors().items():
        follows = ".fusion.digit." in name or (name.startswith("optimizer.") and value.ndim and len(value) == 10)
        assert torch.equal(value, before[name].roll(-shift, 0) if follows else before[name]), name
    assert sum(len(value) == 10 for name, value in before.items() if value.ndim) == 8  # two, their average and moments
    assert not task.trouble(learner, row, [])
    assert row["renamed_by"] == shift
    assert all(torch.equal(value, before[name]) for name, value in learner.tensors().items())
    assert f"each digit was named for another one: {shift} is added to all of them" in capsys.readouterr().err


def test_a_network_that_says_one_digit_for_all_is_lost_once_it_had_its_time(
    reading: TwoInputNet, config: Config
) -> None:
    config = replace(config, epochs=9)
    task = AdditionTask(config, CPU, Team())
    task.prepare(progress=False)
    learner = learner_of(reading, config)
    assert not task.trouble(learner, {"epoch": 3.0}, [])
    with torch.no_grad():
        reading.fusion.digit.weight.zero_()
        reading.fusion.digit.bias.zero_()
    assert not task.trouble(learner, {"epoch": 2.0}, [])
    assert task.trouble(learner, {"epoch": 3.0}, []).startswith("too little was learned, the loss is 2.")
    told = AdditionTask(replace(config, supervision="digits"), CPU, Team())
    told.prepare(progress=False)
    assert not told.trouble(learner, {"epoch": 3.0}, [])


def test_a_network_that_has_settled_on_wrong_names_is_lost_at_once(reading: TwoInputNet, config: Config) -> None:
    config = replace(config, epochs=90, digits=15)
    task = AdditionTask(config, CPU, Team())
    task.prepare(progress=False)
    learner = learner_of(reading, config)
    twos_are_threes = [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]
    heads = reading.heads

    def misnamed(image: torch.Tensor, number: torch.Tensor) -> Any:
        said = heads(image, number)
        return said._replace(digit=(said.digit.softmax(1)[:, twos_are_threes] * 0.9 + 0.01).log())

    reading.heads = misnamed  # type: ignore[method-assign]
    lost = task.trouble(learner, {"epoch": 4.0, "loss": 14.6}, [{"loss": 14.9}])
    assert lost.startswith("too little was learned, the loss is ")
    assert not task.trouble(learner, {"epoch": 4.0, "loss": 13.0}, [{"loss": 14.9}])  # it still learns
    assert not task.trouble(learner, {"epoch": 1.0, "loss": 14.6}, [])
    reading.heads = heads  # type: ignore[method-assign]
    assert not task.trouble(learner, {"epoch": 4.0, "loss": 0.1}, [{"loss": 0.1}])  # it has learned all there is


def test_guessing_costs_what_all_sums_of_two_equally_probable_digits_cost(config: Config) -> None:
    task = AdditionTask(config, CPU, Team())
    task.prepare(progress=False)
    ways = np.convolve(np.ones(10), np.ones(10)) / 100
    assert task.guessing() == pytest.approx(-np.log(ways[task.looked_at.total.astype(int)]).mean(), rel=1e-5)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a network learns is too little."""
    monkeypatch.setattr(addition, "LOST", 0.0)


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
def test_a_lost_network_begins_anew_twice_at_half_the_rate_and_says_so(
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
def test_a_network_that_is_lost_in_the_end_is_kept(config: Config, tmp_path: Path, capsys: Any) -> None:
    train(replace(config, epochs=1), tmp_path)
    assert json.loads((tmp_path / "record.json").read_text())["restarts"] == 0
    assert "try a lower --lr" in capsys.readouterr().err


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("last", [10, 20, 30, 45])
def test_a_run_that_was_stopped_comes_to_the_weights_that_it_would_have_had(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    config = replace(config, digits=2, augment="shift")
    alone = train(config, tmp_path / "alone", progress=False)
    steps = iter(range(1, last + 1))

    def step(*arguments: Any, **named: Any) -> Any:
        if next(steps) == last:
            raise KeyboardInterrupt
        return training_step(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.training_step", step)
        assert not train(config, tmp_path / "run", progress=False).finished
    resumed = train(config, tmp_path / "run", progress=False, resume=True)
    assert (resumed.finished, resumed.steps) == (True, alone.steps)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (alone.folder / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "run/record.json").read_text())["restarts"] == 2
    again = train(config, tmp_path / "run", progress=False, resume=True)
    assert torch.equal(again.net.fusion.digit.weight, resumed.net.fusion.digit.weight)


# What is refused.


def test_too_few_images_for_a_sum_or_sums_for_the_processes_are_errors(config: Config, tmp_path: Path) -> None:
    for changes, images, kind in (
        ({"digits": 401}, "802", "800 training"),
        ({"digits": 101}, "202", "200 held-out"),
        ({"digits": 10, "addends": 21}, "210", "200 held-out"),
    ):
        with pytest.raises(ConfigError, match=rf"a sum takes {images} images, and there are {kind} ones"):
            AdditionTask(replace(config, **changes), CPU, Team())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"--batch-size 64: expected a sum of 20 images for each of 3 processes"):
        AdditionTask(replace(config, digits=10), CPU, Team(0, 3))
    AdditionTask(replace(config, digits=10), CPU, Team(0, 2))


def test_answers_that_are_no_numbers_stop_the_training(config: Config) -> None:
    task = AdditionTask(config, CPU, Team())
    net = task.network(config)
    torch.nn.init.constant_(net.fusion.digit.bias, float("inf"))
    with pytest.raises(TrainingError, match=r"the network's answers are no numbers any more: try a lower --lr"):
        task.forward(net, next(task.epoch(0, 1.0)), config)


# The commands.


@pytest.fixture
def run(config: Config, tmp_path: Path) -> Path:
    """A run that was trained on differences of numbers of 19 digits."""
    train(replace(config, digits=19, operation="sub", epochs=1), tmp_path / "run", progress=False)
    return tmp_path / "run"


def test_a_training_says_what_it_reads_and_its_evaluation_how_sums_are(
    config: Config, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = f"--preset addition --encoder tiny --data-dir {config.data_dir} --validation 200 --epochs 1 --digits 2"
    assert main(["train", *words.split(), "--threads", "1", "--device", "cpu"]) == 0
    (row,) = (json.loads(line) for line in Path("runs/addition-2-seed0/metrics.jsonl").read_text().splitlines())
    assert {"loss", "train_sum", "train_digit", "validation_sum", "validation_digit", "validation_nll"} <= set(row)
    told = capsys.readouterr().out
    assert told.startswith("runs/addition-2-seed0: ")
    assert f"on the held-out images: digit {row['validation_digit']:.2%}, sum {row['validation_sum']:.2%}\n" in told
    assert main(["evaluate", "runs/addition-2-seed0"]) == 0
    told = capsys.readouterr().out
    assert "200 images, 50 sums of 2 numbers of 2 digits" in told.replace("\n", " ")
    assert main(["evaluate", "runs/addition-2-seed0", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    written = json.loads(Path("runs/addition-2-seed0/evaluation.json").read_text())
    assert {key: written[key] for key in figures} == figures
    assert f"{100 * figures['digit']['value']:.2f} %" in told


def test_the_held_out_figures_are_those_of_the_saved_weights(config: Config, tmp_path: Path) -> None:
    result = train(replace(config, digits=2), tmp_path, progress=False)
    _, held = addition.split_unseen(load_mnist("train", config.data_dir), config)
    assert held is not None
    net, images = load_network(tmp_path)[0], torch.tensor(held.images)[:, None].float() / 255
    with torch.no_grad():
        answer = net(images, torch.zeros(200, dtype=torch.int64)).digit.argmax(1).numpy()
    weights = [10, 1, 10, 1]
    right = (answer.reshape(50, 4) @ weights == held.digits.reshape(50, 4) @ weights).mean()
    assert result.metrics[-1]["validation_sum"] == pytest.approx(right)
    assert result.metrics[-1]["validation_digit"] == pytest.approx((answer == held.digits).mean())


def test_a_network_that_learned_from_sums_reads_and_is_exported_like_any_other(
    run: Path, tmp_path: Path, capsys: Any
) -> None:
    assert main(["export", str(run)]) == 0
    assert main(["predict", str(FIVE), "-n", "7", "--model", str(run)]) == 0
    assert "digit" in capsys.readouterr().out


def test_a_run_of_another_task_is_sent_where_it_belongs(run: Path, small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a network of --task addition: expected one of --task digits; `sumnist eval"):
        evaluate_run(run, plots=False)
    with pytest.raises(RunError, match=r"a network of --task digits: expected one of --task addition"):
        evaluate_sums(small_run)
    with pytest.raises(RunError, match=r"a network of --task addition: expected runs of --task digits"):
        compare_runs([run])
    few = tmp_path / "few"
    few.mkdir()
    test = load_mnist("test").part(np.arange(37))
    write_idx(few / FILES["x_test"], test.images)
    write_idx(few / FILES["y_test"], test.digits.astype(np.uint8))
    with pytest.raises(DataError, match=r"37 images, expected at least 38, of which a sum is made"):
        evaluate_sums(run, few)
    assert evaluate_sums(run, device="cpu").sums == 5


@pytest.mark.heavy
def test_an_epoch_of_sums_of_two_digits_teaches_to_read(tmp_path: Path) -> None:
    config = preset("addition", digits=2, epochs=1, validation=40_000, threads=1, device="cpu")
    row = train(config, tmp_path, progress=False).metrics[-1]
    assert row["validation_digit"] > 0.9
    assert row["validation_sum"] > 0.7

"""A training from its first step to its folder: the same to the bit, interrupted, by several processes, or begun with
other weights; losses and figures against counting; calibration against a grid."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from conftest import write_idx
from noise_task import NoiseTask
from sumnist.cli import main
from sumnist.config import Training, preset
from sumnist.data.mnist import FILES, load_mnist
from sumnist.data.pairs import PairBatches
from sumnist.data.sampling import hold_out
from sumnist.errors import ConfigError, DataError, RunError, TrainingError
from sumnist.evaluation.metrics import answer_grid, risk_curve
from sumnist.files import CONFIG, WEIGHTS
from sumnist.inference.reader import HALF, NOT_A_DIGIT, REASONS, UNSURE, UNUSUAL, Reader
from sumnist.model.checkpoint import save_config, save_network
from sumnist.model.folder import RECORD, STATE
from sumnist.model.losses import joint_loss
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training import calibrate as fitting
from sumnist.training import tasks
from sumnist.training.devices import choose_device
from sumnist.training.evaluate import evaluate_run, evaluate_sums
from sumnist.training.export import export_run
from sumnist.training.folder import Learner
from sumnist.training.loop import train, training_step
from sumnist.training.optimizer import UncompiledAdamW, learning_rate, move_average
from sumnist.training.tasks import MANY, AdditionTask, DigitTask, Tally

CPU = torch.device("cpu")

# The loop.


def stop_at(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ctrl-C come at the n-th step."""
    steps = iter(range(1, count + 1))

    def step(*arguments: Any, **named: Any) -> Any:
        if next(steps) == count:
            raise KeyboardInterrupt
        return training_step(*arguments, **named)

    monkeypatch.setattr("sumnist.training.loop.training_step", step)


def rows(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_folder_holds_config_record_metrics_and_weights(small_run: Path, small_config: Training) -> None:
    assert Training.from_json((small_run / "config.json").read_text(), "config.json") == small_config
    record = json.loads((small_run / "record.json").read_text())
    expected = {"finished": True, "steps": 26, "seed": 0, "epochs": 2, "train_images": 800, "restarts": 0}
    assert {name: record[name] for name in expected} == expected
    assert record["versions"]["torch"] == torch.__version__
    assert set(record) >= {
        "commit", "started", "ended", "seconds", "device", "threads", "precision", "cores", "processor",
    }  # fmt: skip
    lines, (net, _) = rows(small_run), load_network(small_run)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all({"validation_joint", "images_per_second", "seconds"} <= line.keys() for line in lines)
    assert lines[1]["digit_loss"] < lines[0]["digit_loss"]
    _, held = tasks.split(load_mnist("train", small_config.data_dir), small_config)
    assert held is not None
    answers = answer_grid(net, held)
    assert answers.digit_right.mean() == pytest.approx(lines[-1]["validation_digit"])
    assert answers.sum_nll.mean() == pytest.approx(lines[-1]["validation_sum_nll"])


def test_the_optimizer_takes_torchs_steps() -> None:
    ours = TwoInputNet("tiny")
    theirs = deepcopy(ours)
    given = {"lr": 1e-2, "betas": (0.8, 0.9), "weight_decay": 0.1, "fused": True}
    for net, kind in ((ours, UncompiledAdamW), (theirs, torch.optim.AdamW)):
        optimizer = kind(net.parameters(), **given)  # type: ignore[arg-type]
        for turn in range(3):
            images = torch.rand(8, 1, 28, 28, generator=torch.manual_seed(turn))
            net(images, torch.zeros(8, dtype=torch.int64))[0].square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, two)
    with_particulars = DigitTask(preset("default"), CPU).optimizer(ours).param_groups[0]
    assert (with_particulars["weight_decay"], with_particulars["betas"]) == (0.1, (0.9, 0.99))


@pytest.mark.long
def test_a_training_does_not_import_torchs_compiler(tmp_path: Path, idx_folder: Path) -> None:
    """It takes seconds, and nothing is compiled."""
    code = (
        "import sys; from sumnist import preset, train\n"
        f"config = preset('tiny', data_dir={str(idx_folder)!r}, validation=0)\n"
        f"train(config, {str(tmp_path / 'run')!r}, progress=False)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("capability", "precision", "changes", "task"),
    [("amx_bf16", "bf16", {"augment": "elastic", "ema": 0.9, "fusion": "concat"}, None),
     ("avx2", "fp32", {"augment": "robust"}, NoiseTask)],
)  # fmt: skip
def test_the_same_seed_gives_the_same_weights_to_the_bit_in_the_precision_that_suits_the_processor(
    small_config: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: str, precision: str,
    changes: Any, task: type[DigitTask] | None,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True}, raising=False)
    config = replace(small_config, epochs=1, **changes)
    first, again, other = (
        train(replace(config, seed=seed), tmp_path / name, progress=False, task=task).folder
        for seed, name in ((0, "first"), (0, "again"), (1, "other"))
    )
    assert (first / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes() != (other / WEIGHTS).read_bytes()
    record = json.loads((first / RECORD).read_text())
    assert (record["precision"], record["chosen"]["bf16"]) == (precision, precision == "bf16")


def test_the_learning_rate_climbs_to_its_peak_and_falls_to_its_floor() -> None:
    for name, warmup, floor in (("fast", 0.25, 0.0), ("default", 0.15, 0.08)):
        config = preset(name, lr=0.5)
        steps = [learning_rate(step / 1000, config) for step in range(1001)]
        peak = round(1000 * warmup)
        assert (max(steps), steps.index(max(steps)), steps[-1]) == pytest.approx((0.5, peak, 0.5 * floor))
        assert steps[0] < 0.03
        for step, (one, other) in enumerate(pairwise(steps)):
            assert one < other if step < peak else one > other or other == 0.5 * floor
    assert steps[500] == pytest.approx(0.25 * (1 + np.cos(np.pi * 0.35 / 0.85)))
    assert learning_rate(0.7, preset("original-as-written")) == 1e-3


def test_label_smoothing_and_the_intensity_of_disturbances_follow_the_learning_rate(
    small_config: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, made = replace(small_config, label_smoothing=0.1), DigitTask.epoch
    seen, intensities = list[float](), list[float]()

    def spy(task: Any, learner: Any, batch: Any, smoothing: float, autocast: Any) -> Any:
        seen.append(smoothing)
        return training_step(task, learner, batch, smoothing, autocast)

    def epoch(task: DigitTask, epoch: int, intensity: float) -> Any:
        intensities.append(intensity)
        return made(task, epoch, intensity)

    monkeypatch.setattr("sumnist.training.loop.training_step", spy)
    monkeypatch.setattr(DigitTask, "epoch", epoch)
    train(config, tmp_path, progress=False)
    assert seen == pytest.approx([0.1 * learning_rate(step / 26, config) / config.lr for step in range(26)])
    assert intensities == pytest.approx([learning_rate(done / 2, config) / config.lr for done in range(2)])


def test_averages_follow_the_recurrence_of_an_exponential_average_and_what_is_whole_stays() -> None:
    net = TwoInputNet("default")
    average = deepcopy(net)
    expected = {name: value.clone() for name, value in net.state_dict().items()}
    for step in range(30):
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in net.state_dict().items():
            value.copy_(torch.rand_like(value) if value.is_floating_point() else torch.tensor(5))
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value
        move_average(average, net, 0.9, step)
    for name, value in average.state_dict().items():
        assert torch.allclose(value, expected[name], atol=1e-5), name


def test_the_tally_is_the_mean_over_all_pairs_whatever_the_batch_sizes(small_config: Training) -> None:
    net, digits = TwoInputNet.from_config(small_config), load_mnist("train", small_config.data_dir)
    figures = []
    for size in (1000, 64):
        tally = Tally(DigitTask(small_config, torch.device("cpu")))
        for pairs in PairBatches(digits, size, 0, torch.device("cpu")).epoch(0):
            heads = net.heads(pairs.image, pairs.number)
            tally.add(net, heads, joint_loss(heads, pairs.digit, pairs.sum, small_config.particulars), pairs)
        figures.append(tally.figures())
    for name in ("digit_loss", "sum_loss", "train_digit", "train_sum"):
        assert figures[0][name] == pytest.approx(figures[1][name], rel=1e-4)


def test_a_loss_that_is_no_number_stops_with_when_and_what_to_try(
    small_config: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(*given: Any) -> Any:
        outputs, losses = training_step(*given)
        return outputs, losses._replace(total=losses.total * float("nan"))

    monkeypatch.setattr("sumnist.training.loop.training_step", spoiled)
    for batch_size, step in ((8, 20), (64, 13)):  # and the last step of an epoch
        with pytest.raises(TrainingError) as caught:
            train(replace(small_config, batch_size=batch_size), tmp_path / str(step), progress=False)
        assert f"in epoch 1, by step {step} (digit " in str(caught.value)
        assert str(caught.value).startswith("the loss is nan")
        assert "expected a finite number: try a lower --lr (it is 0.01)" in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device("cuda")
    assert str(caught.value) == "--device cuda: this machine, or this build of torch, has none; use --device cpu"


@pytest.mark.long
def test_an_epoch_of_fast_reads_and_two_of_a_learned_fusion_add_nearly_as_well(tmp_path: Path) -> None:
    result = train(preset("fast"), tmp_path / "exact", progress=False)
    assert result.metrics[-1]["validation_digit"] > 0.985
    result = train(preset("fast", fusion="concat", epochs=2), tmp_path / "concat", progress=False)
    assert result.metrics[-1]["validation_digit"] > 0.985
    assert result.metrics[-1]["validation_sum"] > 0.975


@pytest.mark.parametrize(("step", "validation"), [(6, 200), (20, 0), (20, 200)])
def test_ctrl_c_says_what_was_measured_and_after_a_first_epoch_only(
    idx_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, step: int,
    validation: int,
) -> None:  # fmt: skip
    out = tmp_path / "run"
    stop_at(step, monkeypatch)
    words = f"train --preset tiny --data-dir {idx_folder} --validation {validation} --epochs 9 --batch-size 64"
    assert main([*words.split(), "--threads", "1", "--device", "cpu", "--out", str(out)]) == 130
    shown, record = capsys.readouterr(), json.loads((out / "record.json").read_text())
    epochs = 0 if step < 14 else 1
    assert (record["finished"], record["steps"], record["epochs"]) == (False, step - 1, epochs)
    assert f"sumnist: stopped in epoch {epochs + 1}; the weights of this moment are in {out}" in shown.err
    said = f"stopped in its first epoch, at step {step - 1}: not evaluated\n"
    if epochs:
        name, images = ("validation", "held-out images") if validation else ("train", "training images as they came by")
        digit, total = (rows(out)[0][f"{name}_{output}"] for output in ("digit", "sum"))
        said = f"on the {images} after epoch 1: digit {digit:.2%}, sum {total:.2%}\n"
    assert shown.out.endswith(f" s of training; {said}")
    load_network(out)


# Begun with other weights.


@pytest.fixture
def further(small_config: Training, small_run: Path) -> Training:
    return replace(small_config, start_from=small_run, seed=1)


def test_it_begins_with_those_weights_without_their_calibration_and_names_them_by_their_checksum(
    further: Training, small_run: Path, tmp_path: Path
) -> None:
    start = tmp_path / "calibrated"
    net, begun = load_network(shutil.copytree(small_run, start))
    net.calibration.set(2.0, 0.5, 0.25)
    save_network(net, start, begun)
    run = train(replace(further, epochs=1, lr=1e-30, start_from=start), tmp_path / "run", progress=False)
    for name, value in load_file(small_run / WEIGHTS).items():
        assert torch.equal(run.net.state_dict()[name], value), name
    assert json.loads((run.folder / RECORD).read_text())["started_from"] == TwoInputNet.load(start)[2]
    assert json.loads((run.folder / CONFIG).read_text())["start_from"] == str(start)


def test_one_that_was_stopped_goes_on_without_the_run_that_it_started_from(
    further: Training, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = shutil.copytree(small_run, tmp_path / "start")
    further = replace(further, start_from=start, ema=0.9)
    alone = train(further, tmp_path / "alone", progress=False)

    def stop(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.end_training", stop)
        with pytest.raises(MemoryError):
            train(further, tmp_path / "run", progress=False)
    assert (tmp_path / "run" / STATE).exists()
    shutil.rmtree(start)
    resumed = train(further, tmp_path / "run", progress=False, resume=True)
    assert (resumed.folder / WEIGHTS).read_bytes() == (alone.folder / WEIGHTS).read_bytes()
    assert resumed.finished


@pytest.mark.parametrize("changes", [{"encoder": "lenet"}, {"fusion": "concat"}])
def test_weights_of_another_design_are_refused_before_anything_is_written(
    further: Training, small_run: Path, tmp_path: Path, changes: dict[str, str]
) -> None:
    message = f"^--start-from {small_run}: its weights do not fit .*weights of another network.*same --task"
    with pytest.raises(RunError, match=message):
        train(replace(further, **changes), tmp_path / "run", progress=False)  # type: ignore[arg-type]
    assert not [*(tmp_path / "run").glob("*.json")]
    assert train(replace(further, epochs=1), tmp_path / "run", progress=False).finished


# One process, and its threads.


def test_a_process_of_several_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_config: Training
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"WORLD_SIZE 2 in the environment: .* start it without torchrun"):
        train(small_config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_the_threads_of_one_training_are_not_those_of_the_next(
    small_config: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: now[-1])
    monkeypatch.setattr(torch, "set_num_threads", now.append)
    config = replace(small_config, epochs=1, threads=1)
    train(config, tmp_path / "run", progress=False)
    with pytest.raises(DataError):
        train(replace(config, data_dir=tmp_path), tmp_path / "none", progress=False)
    train(replace(config, threads=0), tmp_path / "other", progress=False)
    assert now == [2, 1, 2, 1, 2, 2, 2]
    records = [json.loads((tmp_path / name / "record.json").read_text()) for name in ("run", "other")]
    assert [record["threads"] for record in records] == [1, 2]


# Sums.


@pytest.fixture
def config(idx_folder: Path) -> Training:
    """A training of a second or two from sums."""
    return preset("addition", encoder="tiny", batch_size=64, data_dir=idx_folder, validation=200, epochs=3, threads=1,
                  device="cpu", precision="fp32")  # fmt: skip


@pytest.mark.parametrize("validation", [0, 200])
def test_other_digits_with_the_same_totals_give_the_same_weights(
    config: Training, tmp_path: Path, validation: int
) -> None:
    config = replace(config, validation=validation, epochs=1)
    digits = load_mnist("train", config.data_dir)
    rest, held = hold_out(np.zeros(len(digits), np.int64), validation)
    pairs = rest[AdditionTask(config, CPU).batches.place[:, :, 0].numpy()]  # [S, 2]
    swapped = digits.digits.copy()
    swapped[pairs] = digits.digits[pairs[:, ::-1]]
    swapped[held] = 9 - digits.digits[held]
    assert (swapped != digits.digits).sum() > 600
    write_idx(tmp_path / FILES["x_train"], digits.images)
    write_idx(tmp_path / FILES["y_train"], swapped.astype(np.uint8))
    one, two = (
        train(replace(config, data_dir=data), tmp_path / name, progress=False)
        for name, data in (("one", config.data_dir), ("two", tmp_path))
    )
    assert all(torch.equal(value, two.net.state_dict()[name]) for name, value in one.net.state_dict().items())
    if validation:  # the held-out figures are those of the saved weights
        shown = digits.part(held)
        net, images = load_network(tmp_path / "one")[0], torch.tensor(shown.images)[:, None].float() / 255
        with torch.no_grad():
            answer = net(images, torch.zeros(200, dtype=torch.int64)).digit.argmax(1).numpy()
        right = answer.reshape(100, 2).sum(1) == shown.digits.reshape(100, 2).sum(1)
        assert one.metrics[-1]["validation_sum"] == pytest.approx(right.mean())
        assert one.metrics[-1]["validation_digit"] == pytest.approx((answer == shown.digits).mean())


@pytest.fixture
def prepared(config: Training) -> Callable[..., tuple[AdditionTask, Learner]]:
    """The task with some settings changed, and the packaged network after a tiny step of training."""

    def make(**changes: Any) -> tuple[AdditionTask, Learner]:
        task, net = AdditionTask(replace(config, **changes), CPU), TwoInputNet.from_pretrained()
        task.prepare(progress=True)
        learner = Learner(net, UncompiledAdamW(net.parameters(), 1e-6), deepcopy(net))
        net(torch.rand(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)).digit.sum().backward()
        learner.optimizer.step()
        return task, learner

    return make


def test_digits_that_were_learned_by_other_names_are_renamed(
    prepared: Callable[..., tuple[AdditionTask, Learner]], capsys: Any
) -> None:
    shift = 5
    task, learner = prepared(digits=15)
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


def test_a_network_that_says_one_digit_for_all_is_lost_in_time_and_one_that_settled_on_wrong_names_at_once(
    prepared: Callable[..., tuple[AdditionTask, Learner]], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, learner = prepared(epochs=90, digits=15)
    heads: Any = learner.net.heads
    assert not task.trouble(learner, {"epoch": 4.0, "loss": 0.1}, [{"loss": 0.1}])  # it has learned all there is

    def misnamed(image: torch.Tensor, number: torch.Tensor) -> Any:
        said = heads(image, number)
        return said._replace(digit=(said.digit.softmax(1)[:, [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]] * 0.9 + 0.01).log())

    with monkeypatch.context() as patch:
        patch.setattr(learner.net, "heads", misnamed)
        assert task.trouble(learner, {"epoch": 4.0, "loss": 14.6}, [{"loss": 14.9}]).startswith(
            "too little was learned"
        )
        assert not task.trouble(learner, {"epoch": 4.0, "loss": 13.0}, [{"loss": 14.9}])  # it still learns
        assert not task.trouble(learner, {"epoch": 1.0, "loss": 14.6}, [])

    task, learner = prepared(epochs=9)
    assert not task.trouble(learner, {"epoch": 3.0}, [])
    ways = np.convolve(np.ones(10), np.ones(10)) / 100
    guess = task.loss_of(torch.full((*task.named_by.digit.shape, 10), 0.1).log())
    assert guess == pytest.approx(-np.log(ways[task.named_by.total.astype(int)]).mean(), rel=1e-5)
    for parameter in learner.net.fusion.digit.parameters():  # type: ignore[union-attr]
        torch.nn.init.zeros_(parameter)
    assert not task.trouble(learner, {"epoch": 2.0}, [])
    said = task.trouble(learner, {"epoch": 3.0}, [])
    assert said.startswith("too little was learned, the loss is 2.")
    assert said.endswith(f" and that of guessing {guess:.2f}")
    many, _ = prepared(epochs=9, addends=MANY)
    assert not many.trouble(learner, {"epoch": 3.0}, [])  # their total varies, however well they are read


def test_a_lost_network_begins_anew_twice_at_half_the_rate_says_so_and_is_kept_in_the_end(
    config: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(tasks, "LOST", 0.0)  # whatever a network learns is too little
    rates = list[float]()

    def step(task: Any, learner: Learner, *rest: Any) -> Any:
        rates.append(learner.optimizer.param_groups[0]["lr"])
        return training_step(task, learner, *rest)

    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.training_step", step)
        train(config, tmp_path)
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["restarts"], record["epochs"], record["steps"]) == (2, 3, 3 * 13)
    assert [row["epoch"] for row in rows(tmp_path)] == [1, 2, 3]
    assert len(rates) == (1 + 1 + 3) * 13
    assert rates[13:26] == pytest.approx([rate / 2 for rate in rates[:13]])
    assert rates[26:39] == pytest.approx([rate / 4 for rate in rates[:13]])
    told = [line for line in capsys.readouterr().err.splitlines() if "too little was learned" in line]
    assert [line.rpartition(": ")[2] for line in told[:2]] == ["begun anew with other weights, at half the rate"] * 2
    assert [line.partition(":")[0] for line in told] == ["epoch 1/3"] * 3 + ["epoch 2/3", "epoch 3/3"]
    assert all("try a lower --lr" in line for line in told[2:])


def test_a_run_that_began_anew_and_was_stopped_comes_to_the_weights_that_it_would_have_had(
    config: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "LOST", 0.0)
    config = replace(config, digits=2, augment="shift")
    alone = train(config, tmp_path / "alone", progress=False)
    with monkeypatch.context() as patch:
        stop_at(45, patch)
        assert not train(config, tmp_path / "run", progress=False).finished
    resumed = train(config, tmp_path / "run", progress=False, resume=True)
    assert (resumed.finished, resumed.steps) == (True, alone.steps)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (alone.folder / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "run/record.json").read_text())["restarts"] == 2


@pytest.mark.parametrize(
    ("digits", "message"),
    [(401, "a sum takes 802 images, and there are 800 training ones"),
     (101, "a sum takes 202 images, and there are 200 held-out ones")],
)  # fmt: skip
def test_too_few_images_for_a_sum_are_an_error(digits: int, message: str, config: Training) -> None:
    with pytest.raises(ConfigError, match=message):
        AdditionTask(replace(config, digits=digits), CPU)


def test_a_network_that_learned_from_sums_is_evaluated_and_exported_but_sent_where_it_belongs(
    config: Training, small_run: Path, tmp_path: Path, capsys: Any
) -> None:
    run = train(replace(config, digits=19, epochs=1), tmp_path / "run", progress=False).folder
    assert main(["evaluate", str(run), "--json"]) == 0
    figures, written = json.loads(capsys.readouterr().out), json.loads((run / "evaluation.json").read_text())
    assert {key: written[key] for key in figures} == figures
    assert (figures["images"], figures["sums"]) == (200, 5)
    assert main(["export", str(run)]) == 0
    assert (
        main(
            ["predict", str(Path(__file__).resolve().parents[1] / "examples/five.png"), "-n", "7", "--model", str(run)]
        )
        == 0
    )
    for ask, folder, message in (
        (evaluate_run, run, "a network of --task addition: expected one of --task digits; `sumnist evaluate`"),
        (evaluate_sums, small_run, "a network of --task digits: expected one of --task addition"),
    ):
        with pytest.raises(RunError, match=message):
            ask(folder)
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


# Calibration.


def bold_logits(
    temperature: float, count: int = 20_000, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits `temperature` times too bold for the digits drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, 10)) * 3
    drawn = (logits + random.gumbel(size=logits.shape)).argmax(1)
    return (logits * temperature).astype(np.float32), drawn.astype(np.int64)


@pytest.mark.parametrize(
    ("heat", "expected"), [(0.6, 0.6), (1.0, 1.0), (2.5, 2.5), (0.01, 0.25), (50.0, 4.0)]
)  # the last two are the limits
def test_logits_that_are_too_bold_by_a_factor_get_that_temperature_within_limits(heat: float, expected: float) -> None:
    assert fitting.fitted_temperature(*bold_logits(heat), 0.0) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("seed", [0, 3, 7, 23])
def test_no_temperature_of_a_fine_grid_has_less_loss(seed: int) -> None:
    """With label smoothing the loss has several valleys, and two of them may be as deep."""
    logits, digits = bold_logits(1.7, 2000, seed)
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 600))
    least = min(fitting.nll_of(fitting.log_probabilities(logits, 0.05, t), digits) for t in grid)
    fitted = fitting.fitted_temperature(logits, digits, 0.05)
    assert fitting.nll_of(fitting.log_probabilities(logits, 0.05, fitted), digits) <= least


def test_the_calibration_says_what_it_does() -> None:
    logits, digits = bold_logits(2.0)
    found = fitting.calibrate(logits, digits, 0.0)
    assert found["images"] == len(digits)
    assert found["nll"] < found["nll_before"]
    assert found["accepted"] == pytest.approx(fitting.LIKE_SHARE - fitting.UNSURE_SHARE, abs=1.5e-3)
    scores = fitting.log_probabilities(logits, 0.0, found["temperature"])
    assert found["nll"] == pytest.approx(fitting.nll_of(scores, digits))
    assert found["temperature"] == pytest.approx(2, rel=0.05)


def test_of_the_accepted_digits_of_strange_hands_so_many_are_right_as_is_said_and_no_fewer_are_accepted() -> None:
    logits, digits = bold_logits(1.0, 4000, 5)
    strange, shown = bold_logits(3.0, 4000, 6)  # surer than it should be
    found = fitting.calibrate(logits, digits, 0.0, temperature=1.0, hands=(strange, shown))
    told = fitting.log_probabilities(strange, 0.0)
    like = fitting.likeness(strange) >= found["least_is_digit"]
    right, sure = told.argmax(1) == shown, np.exp(told.max(1))
    assert right[like & (sure >= found["least_confidence"])].mean() >= fitting.RIGHT_OF_HANDS
    lower = like & (sure >= found["least_confidence"] - 1e-3)
    assert (
        right[lower].mean() < fitting.RIGHT_OF_HANDS
        or lower.sum() == (like & (sure >= found["least_confidence"])).sum()
    )
    assert found["hands"]["accepted"] < fitting.calibrate(logits, digits, 0.0)["accepted"]


def test_the_risk_of_the_surest_answers_is_what_sorting_them_gives() -> None:
    random = np.random.default_rng(0)
    confidence, right = random.permutation(1000) / 1000, random.random(1000) < 0.8
    order = np.argsort(-confidence)
    for coverage, risk in risk_curve(confidence, right):
        assert risk == pytest.approx(1 - right[order[: round(coverage * 1000)]].mean())
    equals = np.array([False] * 10 + [True] * 90)  # of one confidence, they share their errors
    assert {round(risk, 9) for _, risk in risk_curve(np.ones(100), equals)} == {0.1}


@pytest.fixture(scope="module")
def taught(small_config: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that was trained with outliers, and so calibrated."""
    config = replace(small_config, augment="robust", label_smoothing=0.05)
    return train(config, tmp_path_factory.mktemp("taught") / "run", progress=False, task=NoiseTask).folder


def test_a_run_with_outliers_is_calibrated_on_the_images_that_it_held_out_if_there_are_any(
    taught: Path, tmp_path: Path
) -> None:
    net, config = load_network(taught)
    _, held = tasks.split(load_mnist("train", config.data_dir), config)
    assert held is not None
    strange = fitting.digits_of(tasks.split_writers(config)[1])
    hands = fitting.digit_logits(net, strange), strange.digits
    found = fitting.calibrate(fitting.digit_logits(net, held), held.digits, config.last_smoothing, hands=hands)
    assert found["hands"]["digits"] == len(strange.digits) > 0
    assert net.calibration.temperature.item() == pytest.approx(found["temperature"], rel=1e-3)
    assert net.calibration.least_is_digit.item() == pytest.approx(found["least_is_digit"], rel=1e-5)
    assert net.calibration.least_confidence.item() > 0
    assert net.knows_digits
    whole = train(replace(config, validation=0, epochs=1), tmp_path, progress=False, task=NoiseTask).net
    assert not whole.knows_digits


def test_a_calibrated_run_answers_alike_with_torch_and_with_onnx_and_refuses_below_its_thresholds_only(
    taught: Path, tmp_path: Path
) -> None:
    net, config = load_network(taught)
    net.calibration.set(1.5, 0.6, 0.4)
    for folder in (tmp_path / "torch", tmp_path / "onnx"):
        save_config(config, folder)
        save_network(net, folder)
    export_run(tmp_path / "onnx")
    pictures = [np.asarray(image) for image in load_mnist("test").images[:150]]
    pictures += [*np.random.default_rng(0).integers(0, 256, (10, 28, 28)).astype(np.uint8)]
    readings = Reader(tmp_path / "onnx").read(pictures, 3)
    assert {reading.reason for reading in readings} > {None}  # accepted ones, and others
    for one, other in zip(readings, Reader(tmp_path / "torch").read(pictures, 3), strict=True):
        assert one.is_digit_probability is not None
        assert one.is_digit_probability == pytest.approx(other.is_digit_probability, abs=1e-5)
        assert one.digit_probabilities == pytest.approx(other.digit_probabilities, abs=1e-5)
        refused = UNUSUAL if one.is_digit_probability >= HALF else NOT_A_DIGIT
        expected = refused if one.is_digit_probability < 0.6 else UNSURE if one.confidence < 0.4 else None
        if one.reason == REASONS["several"]:  # which the finder may see in noise
            expected = one.reason
        assert (one.reason, one.accepted, other.reason) == (expected, expected is None, expected)
    part = load_mnist("test").part(np.arange(20))
    scaled = fitting.log_probabilities(fitting.digit_logits(net, part), config.last_smoothing, 1.5)
    assert np.exp(scaled) == pytest.approx(np.array([one.digit_probabilities for one in readings[:20]]), abs=1e-4)

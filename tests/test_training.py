"""A training of any task from its first step to its folder: the same to the bit, interrupted, by several processes, or
begun with other weights; losses and figures against counting; calibration against a grid."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import write_idx
from ctc_oracle import log_prob
from lab.recipes import cells, strips, texts
from lab.recipes.networks import CellNet, StripNet, text_nll
from lab.recipes.strips import StripBatch
from lab.recipes.tasks import CellTask, Composed, FinderTask, NumberTask  # fmt: skip
from sumnist.cli import main
from sumnist.config import Config, Fusion, preset
from sumnist.data.mnist import FILES, load_mnist
from sumnist.data.pairs import Batch, PairBatches, Pairs
from sumnist.data.sampling import NO_DIGIT, hold_out
from sumnist.errors import ConfigError, DataError, OutputError, RunError, TrainingError
from sumnist.evaluation.metrics import answer_grid, risk_curve
from sumnist.files import CONFIG, WEIGHTS
from sumnist.inference.reader import HALF, NOT_A_DIGIT, REASONS, UNSURE, UNUSUAL, Reader
from sumnist.model.checkpoint import save_config, save_network
from sumnist.model.folder import RECORD, STATE
from sumnist.model.losses import MANY, cross_entropy, joint_loss
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training import calibrate as fitting
from sumnist.training import tasks
from sumnist.training.devices import Graphs, ProcessGroup, choose_bf16, choose_device, in_parts, process_group, threads
from sumnist.training.evaluate import compare_runs, evaluate_run, evaluate_sums
from sumnist.training.export import export_run
from sumnist.training.folder import Learner
from sumnist.training.loop import (
    Muon,
    build_optimizer,
    learning_rate,
    move_average,
    orthogonal,
    set_learning_rate,
    train,
    training_step,
)
from sumnist.training.tasks import TASKS, AdditionTask, DigitTask, Loss, Tally

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


def test_a_run_folder_holds_config_record_metrics_and_weights(small_run: Path, small_config: Config) -> None:
    assert Config.from_json((small_run / "config.json").read_text(), "config.json") == small_config
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


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_an_uncompiled_optimizer_takes_torchs_steps(name: Any, kind: Any) -> None:
    config = preset("tiny", optimizer=name, weight_decay=0.1, betas=(0.8, 0.9))
    ours = TwoInputNet.from_config(config)
    theirs = deepcopy(ours)
    steps = [(ours, build_optimizer(ours, config)),
             (theirs, kind(theirs.parameters(), config.lr, (0.8, 0.9), weight_decay=0.1, fused=True))]  # fmt: skip
    for net, optimizer in steps:
        for turn in range(3):
            images = torch.rand(8, 1, 28, 28, generator=torch.manual_seed(turn))
            net(images, torch.zeros(8, dtype=torch.int64))[0].square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, two)


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
    ("capability", "precision", "changes"),
    [("amx_bf16", "bf16", {"augment": "elastic", "ema": 0.9, "fusion": "concat"}),
     ("avx2", "fp32", {"augment": "robust", "outliers": 0.3})],
)  # fmt: skip
def test_the_same_seed_gives_the_same_weights_to_the_bit_in_the_precision_that_suits_the_processor(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: str, precision: str, changes: Any
) -> None:
    monkeypatch.setattr("lab.recipes.outliers.DRAWN", 500)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True}, raising=False)
    config = replace(small_config, epochs=1, **changes)
    first, again, other = (
        train(replace(config, seed=seed), tmp_path / name, progress=False).folder
        for seed, name in ((0, "first"), (0, "again"), (1, "other"))
    )
    assert (first / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes() != (other / WEIGHTS).read_bytes()
    record = json.loads((first / RECORD).read_text())
    assert (record["precision"], record["chosen"]["bf16"]) == (precision, precision == "bf16")


def test_the_gradient_of_a_batch_in_parts_is_the_mean_of_those_of_its_parts(small_config: Config) -> None:
    config = replace(small_config, encoder="fast", fusion="concat", numbers_per_image=2)
    net, count = TwoInputNet.from_config(config).train(), 7
    number, digit = torch.arange(2 * count) % 10, torch.arange(count).repeat_interleave(2)
    batch = Pairs(torch.rand(count, 1, 28, 28), number, digit, digit + number)
    parts = [Pairs(batch.image[:3], number[:6], digit[:6], batch.sum[:6]),
             Pairs(batch.image[3:], number[6:], digit[6:], batch.sum[6:])]  # fmt: skip
    expected, said, total = [torch.zeros_like(one) for one in net.parameters()], [], 0.0
    for part in parts:
        alone, share = deepcopy(net), len(part.image) / count
        heads, losses = DigitTask.forward(alone, part, config)
        losses.total.backward()
        for whole, parameter in zip(expected, alone.parameters(), strict=True):
            whole += share * parameter.grad if parameter.grad is not None else 0
        said.append(heads.digit)
        total += share * losses.total.item()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    with threads(2), in_parts(net, 2) as apart:
        optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
        heads, losses = training_step(net, optimizer, batch, config, nullcontext(), parts=apart)
        assert torch.get_num_threads() == 1
    for parameter, old, gradient in zip(net.parameters(), before, expected, strict=True):
        assert torch.allclose(old - parameter, gradient, atol=1e-6)
    assert torch.allclose(heads.digit, torch.cat(said), atol=1e-5)
    assert losses.total.item() == pytest.approx(total)


def test_a_training_in_parts_gives_the_same_weights_with_one_thread_as_with_more(
    small_config: Config, tmp_path: Path
) -> None:
    config = replace(small_config, epochs=1, parts=3)
    one, *others = (train(replace(config, threads=count), tmp_path / str(count), progress=False) for count in (1, 2, 3))
    for other in others:
        assert all(torch.equal(*both) for both in zip(one.net.parameters(), other.net.parameters(), strict=True))


def test_training_is_in_fp32_where_the_processor_only_emulates_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    for capability, expected in (("avx2", False), ("avx512_bf16", True), ("amx_bf16", True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=capability: {name: True}, raising=False)
        found = [choose_bf16(asked, torch.device("cpu")) for asked in ("auto", "fp32", "bf16")]
        assert found == [expected, False, True]


def test_the_learning_rate_climbs_to_its_peak_and_falls_to_zero() -> None:
    config = preset("default", lr=0.5, warmup=0.25, lr_floor=0.0)
    steps = [learning_rate(step / 1000, config) for step in range(1001)]
    assert (max(steps), steps.index(max(steps)), steps[-1]) == pytest.approx((0.5, 250, 0))
    assert steps[0] < 0.03
    assert all(a < b if step < 250 else a > b for step, (a, b) in enumerate(pairwise(steps)))
    assert learning_rate(0.7, preset("original-as-written")) == 1e-3
    floored = preset("default", lr=0.5, warmup=0.25, lr_floor=0.1)
    assert learning_rate(0.0, floored) < 0.05
    assert learning_rate(0.5, floored) == steps[500]
    assert learning_rate(0.99, floored) == 0.05


@pytest.mark.parametrize("fades", [False, True])
def test_fading_label_smoothing_and_the_intensity_of_disturbances_follow_the_learning_rate(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fades: bool
) -> None:
    config, made = replace(small_config, label_smoothing=0.1, smoothing_fades=fades), DigitTask.epoch
    seen, intensities = list[float](), list[float]()

    def spy(*arguments: Any, smoothing: float, **named: Any) -> Any:
        seen.append(smoothing)
        return training_step(*arguments, smoothing=smoothing, **named)

    def epoch(task: DigitTask, epoch: int, intensity: float) -> Any:
        intensities.append(intensity)
        return made(task, epoch, intensity)

    monkeypatch.setattr("sumnist.training.loop.training_step", spy)
    monkeypatch.setattr(DigitTask, "epoch", epoch)
    train(config, tmp_path, progress=False)
    share = [learning_rate(step / 26, config) / config.lr if fades else 1.0 for step in range(26)]
    assert seen == pytest.approx([0.1 * of_peak for of_peak in share])
    assert intensities == pytest.approx([learning_rate(done / 2, config) / config.lr for done in range(2)])


def in_whole_steps(weight: torch.Tensor, most: int) -> torch.Tensor:
    """Each output's weights, rounded to whole steps of which the largest is `most`."""
    rows = [(row * most / row.abs().max()).round() * (row.abs().max() / most) for row in weight.detach()]
    return torch.stack(rows)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("bits", "most"), [(4, 7), (8, 127), (24, 2**23 - 1)])
def test_a_step_with_weights_of_few_bits_moves_the_weights_by_the_gradients_at_their_rounded_values(
    bits: int, most: int, parts: int
) -> None:
    config = preset("tiny", weight_bits=bits, optimizer="adam", fusion="exact", parts=parts)
    torch.manual_seed(0)
    net = TwoInputNet.from_config(config)
    at, moved = deepcopy(net), deepcopy(net)
    large = [name for name, one in net.named_parameters() if one.ndim > 1 and one.numel() >= 1000]
    assert large == ["encoder.2.weight", "encoder.5.weight"]
    for name in large:
        at.get_parameter(name).data = in_whole_steps(net.get_parameter(name), most)
    batch = next(PairBatches(load_mnist("train").part(np.arange(64)), 64, 0, torch.device("cpu")).epoch(0))
    DigitTask.forward(at, batch, config)[1].total.backward()
    for own, rounded in zip(moved.parameters(), at.parameters(), strict=True):
        own.grad = rounded.grad
    build_optimizer(moved, config).step()
    with in_parts(net, parts) as together:
        training_step(net, build_optimizer(net, config), batch, config, nullcontext(), parts=together)
    for (name, got), want in zip(net.named_parameters(), moved.parameters(), strict=True):
        assert torch.allclose(got, want, atol=1e-5), name


def test_a_network_trained_with_weights_of_four_bits_is_saved_and_measured_with_fifteen_values_for_each_output(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(small_config, weight_bits=4, ema=0.9)
    done = train(config, tmp_path / "run", progress=False)
    saved, large = load_network(done.folder)[0], 0
    for name, weight in saved.named_parameters():
        assert torch.equal(weight, done.net.get_parameter(name))
        if weight.ndim > 1 and weight.numel() >= 1000:
            large += 1
            assert torch.allclose(weight, in_whole_steps(weight, 7), atol=1e-7)
            assert max(len(row.unique()) for row in weight) in range(8, 16)
    assert large == 2
    _, held = tasks.split(load_mnist("train", config.data_dir), config)
    assert held is not None
    assert answer_grid(saved, held).digit_right.mean() == pytest.approx(rows(done.folder)[-1]["validation_digit"])
    stop_at(20, monkeypatch)
    stopped = train(config, tmp_path / "stopped", progress=False)
    assert torch.equal(next(stopped.net.parameters()), next(load_network(stopped.folder)[0].parameters()))
    monkeypatch.setattr("sumnist.training.loop.training_step", training_step)
    train(config, tmp_path / "stopped", progress=False, resume=True)
    assert (tmp_path / "stopped" / WEIGHTS).read_bytes() == (done.folder / WEIGHTS).read_bytes()


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


def test_the_tally_is_the_mean_over_all_pairs_whatever_the_batch_sizes(small_config: Config) -> None:
    net, digits = TwoInputNet.from_config(small_config), load_mnist("train", small_config.data_dir)
    figures = []
    for size in (1000, 64):
        tally = Tally(DigitTask(small_config, torch.device("cpu"), ProcessGroup()))
        for pairs in PairBatches(digits, size, 0, torch.device("cpu")).epoch(0):
            heads = net.heads(pairs.image, pairs.number)
            tally.add(net, heads, joint_loss(heads, pairs.digit, pairs.sum, small_config), pairs)
        figures.append(tally.figures())
    for name in ("digit_loss", "sum_loss", "train_digit", "train_sum"):
        assert figures[0][name] == pytest.approx(figures[1][name], rel=1e-4)


def test_a_loss_that_is_no_number_stops_with_when_and_what_to_try(small_config: Config, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        train(replace(small_config, lr=100.0, encoder="default", optimizer="adam", betas=(0.0, 0.0), batch_size=8,
                      fusion="concat", number_encoding="scalar", precision="fp32", schedule="constant",
                      digit_weight=1e38, sum_weight=1e38), tmp_path, progress=False)  # fmt: skip
    assert "in epoch 1, by step 20" in str(caught.value)
    assert str(caught.value).startswith("the loss is ")
    assert str(caught.value).endswith("expected a finite number: try a lower --lr (it is 100)")


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


@pytest.mark.parametrize("fusion", ["exact", "concat"])
def test_a_network_learns_what_its_teachers_answer_and_not_the_labels(
    fusion: Fusion, small_config: Config, small_run: Path, tmp_path: Path
) -> None:
    net, begun = load_network(small_run)
    with torch.no_grad():  # it answers the next digit
        for value in (net.fusion.digit.weight, net.fusion.digit.bias):
            value.copy_(value.roll(1, 0))
    teacher = tmp_path / "teachers/next"
    save_config(begun, teacher)
    save_network(net, teacher, begun)
    taught = replace(small_config, teachers=teacher.parent, fusion=fusion, epochs=4, numbers_per_image=2)
    run = train(taught, tmp_path / "run", progress=False)
    assert json.loads((run.folder / RECORD).read_text())["taught_by"] == [TwoInputNet.load(teacher)[2]]
    held = load_mnist("train", small_config.data_dir)
    answers = answer_grid(run.net, held)
    assert (answers.digit == (held.digits[:, None] + 1) % 10).mean() > 0.7
    assert (answers.sum == (held.digits[:, None] + 1) % 10 + np.arange(10)).mean() > 1.5 * answers.sum_right.mean()
    with pytest.raises(RunError, match=r"--teachers .*: no run there: name the folder of a run, or of several runs"):
        train(replace(taught, teachers=tmp_path / "none"), tmp_path / "not", progress=False)
    assert not (tmp_path / "not" / CONFIG).exists()


@pytest.fixture
def further(small_config: Config, small_run: Path) -> Config:
    return replace(small_config, start_from=small_run, seed=1)


def test_it_begins_with_those_weights_without_their_calibration_and_names_them_by_their_checksum(
    further: Config, small_run: Path, tmp_path: Path
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
    further: Config, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.parametrize("changes", [{"encoder": "fast"}, {"fusion": "concat"}])
def test_weights_of_another_design_are_refused_before_anything_is_written(
    further: Config, small_run: Path, tmp_path: Path, changes: dict[str, str]
) -> None:
    message = f"^--start-from {small_run}: its weights do not fit .*weights of another network.*same --task"
    with pytest.raises(RunError, match=message):
        train(replace(further, **changes), tmp_path / "run", progress=False)  # type: ignore[arg-type]
    assert not [*(tmp_path / "run").glob("*.json")]
    assert train(replace(further, epochs=1), tmp_path / "run", progress=False).finished


# Several processes.


LOST = """
import os, sys, torch
from pathlib import Path
from sumnist.errors import SumnistError
from sumnist.training.devices import process_group

def work():
    with process_group(torch.device("cpu")) as processes:
        processes.average([torch.ones(3)])
        if processes.rank == 1:
            os._exit(0)
        for _ in range(1000):
            processes.average([torch.ones(3)])

try:
    work()
except SumnistError as error:
    print(error)
left = [name for name in Path("/proc/self/task").glob("*/comm") if "gloo" in name.read_text()]
assert left == [], left
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ON_LOOPBACK = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONWARNINGS": "ignore"}


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a module or script in two processes that torchrun starts on loopback.

    Two faults of torch's own are met by doing all again, at most twice. Torchrun can miss a process's leaving and wait
    for it for five minutes after all work is done. And a process can abort as it ends: if a thread of torch wants
    Python's lock while the interpreter shuts down, Python before 3.14 ends that thread, which unwinds through C++ that
    must not be unwound (pytorch issue 190489). Our processes leave no such thread behind, which a test checks.
    """
    for timeout in (90, 90, 330):
        launch = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
        try:
            done = subprocess.run([sys.executable, *launch, *words], env=os.environ | ON_LOOPBACK, text=True,
                                  capture_output=True, check=False, timeout=timeout)  # fmt: skip
        except subprocess.TimeoutExpired:
            continue
        if "terminate called without an active exception" not in done.stderr:
            break
    return done


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to tell of threads")
def test_a_process_that_loses_another_says_so_and_leaves_no_thread_of_the_group() -> None:
    there = {"WORLD_SIZE": "2", "MASTER_PORT": str(free_port()), "MASTER_ADDR": "127.0.0.1"}
    started = [
        subprocess.Popen([sys.executable, "-c", LOST], env=os.environ | ON_LOOPBACK | there | {"RANK": str(rank)},
                         text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rank in range(2)
    ]  # fmt: skip
    (out, err), _ = (process.communicate(timeout=90) for process in started)
    assert started[0].returncode == 0, err
    assert out.startswith("process 0 of 2 has lost another one (")
    assert out.endswith("): see why that one ended, and start all of them again, with --resume\n")


def test_two_processes_take_the_step_that_one_takes(small_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(small_config, batch_size=63)  # an odd batch: the shares differ
    digits, sent = load_mnist("train", config.data_dir), list[torch.Tensor]()

    def step(rank: int, size: int, exchanged: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """The weights after a step of one process, which gets `exchanged` from all of them together."""

        def all_reduce(tensor: torch.Tensor) -> None:
            sent.append(tensor.clone())
            if exchanged is not None:
                tensor.copy_(exchanged)

        monkeypatch.setattr("torch.distributed.all_reduce", all_reduce)
        torch.manual_seed(0)
        net = TwoInputNet.from_config(config)
        pairs = next(PairBatches(digits, 63, 0, torch.device("cpu"), share=(rank, size)).epoch(0))
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        training_step(net, optimizer, pairs, config, nullcontext(), processes=ProcessGroup(rank, size))
        return net.state_dict()

    step(0, 2), step(1, 2)
    together = sent[0] + sent[1]
    alone = step(0, 1)
    for rank in range(2):
        for name, value in step(rank, 2, together).items():
            assert torch.allclose(value, alone[name], atol=1e-6), name


@pytest.mark.heavy
def test_processes_train_together_and_one_of_them_writes(small_config: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = f"--preset tiny --data-dir {small_config.data_dir} --validation 200 --epochs 2 --batch-size 64 --threads 1"
    done = torchrun("-m", "sumnist", "train", *words.split(), "--device", "cpu", "--out", str(out), "--overwrite")
    assert (done.returncode, done.stdout.count("s of training")) == (0, 1), done.stderr
    record = json.loads((out / "record.json").read_text())
    assert (record["processes"], record["steps"]) == (2, 2 * 13)
    assert [row["epoch"] for row in rows(out)] == [1, 2]
    load_network(out)


def test_the_error_of_the_leading_process_is_raised_in_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[object]] = []

    def broadcast(box: list[object], src: int) -> None:
        assert src == 0
        sent.append(list(box))
        box[:] = sent[0]

    def fail() -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("torch.distributed.broadcast_object_list", broadcast)
    for rank in range(2):
        with pytest.raises(OutputError, match="the disk is full"):
            ProcessGroup(rank, 2).from_leader(fail if rank == 0 else lambda: pytest.fail("the leader alone does it"))


def test_the_threads_of_one_training_are_not_those_of_the_next(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_without_torchrun_a_process_is_alone_and_an_exchange_that_fails_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group(torch.device("cpu")) as processes:
        assert (processes.rank, processes.size, processes.leads) == (0, 1, True)
        assert processes.from_leader(lambda: "x") == "x"

    def fail() -> None:
        raise RuntimeError("Connection closed by peer\nframe #0")

    with pytest.raises(TrainingError) as caught:
        ProcessGroup(1, 3).exchange(fail)
    assert str(caught.value) == (
        "process 1 of 3 has lost another one (Connection closed by peer): "
        "see why that one ended, and start all of them again, with --resume"
    )


# The tasks.


CPU = torch.device("cpu")
FIVE = Path(__file__).resolve().parent.parent / "examples/five.png"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, few_scenes: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Few characters to compose of, and few batches to measure on."""
    few_scenes(monkeypatch)
    monkeypatch.setattr(strips, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(cells, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(NumberTask, "held_batches", (2, 8, 1))
    for task in (CellTask, FinderTask):
        monkeypatch.setattr(task, "held_batches", (2, 16, 1))
        monkeypatch.setattr(task, "held_drawn", 100)


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


@pytest.mark.parametrize("task", ["numbers", "cells", "finder"])
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


@pytest.mark.parametrize(
    ("kind", "name", "strengths", "wanted"),
    [(NumberTask, "numbers", (0.5, 0.75), "a strip"), (CellTask, "cells", (1.0, 1.0), "two cells"),
     (FinderTask, "finder", (0.7, 0.75), "two scenes")],
)  # fmt: skip
def test_the_batches_of_an_epoch_are_new_ones_and_processes_share_them(
    kind: type[Composed], name: str, strengths: tuple[float, float], wanted: str, config_of: Callable[[str], Config]
) -> None:
    config = config_of(name)

    def images(team: ProcessGroup, epoch: int) -> list[torch.Tensor]:
        task = kind(config, CPU, team)
        task.prepare(False)
        return [batch.image for batch in task.epoch(epoch, 1.0)]

    first, second = (images(ProcessGroup(), epoch) for epoch in range(2))
    shares = [images(ProcessGroup(rank, 2), 0) for rank in range(2)]
    assert [len(part) for part in (first, second, *shares)] == [3] * 4
    for one, other in ((first, second), shares):
        assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    task = kind(config, CPU, ProcessGroup())
    task.batches = SimpleNamespace(batch=lambda step, size, strength: (step, size, strength))
    for intensity, strength in zip((0.1, 0.75), strengths, strict=True):  # cells are disturbed fully
        assert list(task.epoch(2, intensity)) == [(step, 8, strength) for step in (6, 7, 8)]
    with pytest.raises(ConfigError, match=f"--batch-size 8: expected at least {wanted} for each process"):
        kind(config, CPU, ProcessGroup(0, 9))


SAID = {
    "numbers": ("on strips of held-out images: numbers {validation_number:.2%}\n",
                "on the training strips as they came by: numbers {train_number:.2%}\n"),
    "cells": ("on cells of held-out images: boxes {validation_box:.2%}, strips {validation_strip:.2%}\n",
              "on the training cells as they came by: {train_cell:.2%}\n"),
    "finder": ("on scenes of held-out images: characters found {validation_found:.2%}, right {validation_kind:.2%}\n",
               "on the training scenes as they came by: characters right {train_kind:.2%}\n"),
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
    (row,) = rows(tmp_path / "run")
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
    read = tasks.digits_read(emissions, torch.tensor([8, 5, 8]))
    assert [classes.tolist() for classes in read] == [[2, 2, 6], [1, 1], []]
    emissions = emissions_of_classes([2, 11, 3, 0], [2, 0, 3, 0], [2, 3, 4, 0], [0, 0, 12, 0])
    assert NumberTask.right(emissions, batch_of([[2, 3], [2, 12, 3], [2, 3], []], [4] * 4)) == 3


def test_the_tally_is_the_mean_over_all_strips_or_sums_and_digits_whatever_the_batches(
    config_of: Callable[[str], Config],
) -> None:
    emissions, batch = emissions_of_classes([2, 3], [4, 5]), batch_of([[2, 3], [4, 6]], [2, 2])
    tally = Tally(NumberTask(config_of("numbers"), CPU, ProcessGroup(0, 2)))
    tally.add(StripNet(), emissions, Loss(torch.tensor(3.0)), batch)
    tally.add(StripNet(), emissions[:1], Loss(torch.tensor(0.0)), batch_of([[2, 3]], [2]))
    assert tally.figures()["train_number"] == pytest.approx(2 / 3)
    assert tally.text() == "loss 2.000, numbers 66.67%"
    task = AdditionTask(replace(config_of("addition"), batch_size=4), CPU, ProcessGroup())
    tally, sums = Tally(task), next(task.epoch(0, 1.0))
    scores = functional.one_hot(sums.digit, 10).float()
    tally.add(TwoInputNet("tiny"), scores, Loss(torch.tensor(1.0)), sums)
    scores[0, 0, 0] = scores[0, 0, 0].roll(1)
    tally.add(TwoInputNet("tiny"), scores, Loss(torch.tensor(2.0)), sums)
    assert tally.figures().items() >= {"loss": 1.5, "train_sum": 0.75, "train_digit": 0.875}.items()
    assert tally.text() == "loss 1.500, sums 75.00%, digits 87.50%"


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
    one, two = (
        train(replace(config, data_dir=data), tmp_path / name, progress=False)
        for name, data in (("one", config.data_dir), ("two", tmp_path))
    )
    alike = [torch.equal(value, two.net.state_dict()[name]) for name, value in one.net.state_dict().items()]
    assert all(alike) == (supervision == "sums")
    if validation:  # the held-out figures are those of the saved weights
        shown = digits.part(held)
        net, images = load_network(tmp_path / "one")[0], torch.tensor(shown.images)[:, None].float() / 255
        with torch.no_grad():
            answer = net(images, torch.zeros(200, dtype=torch.int64)).digit.argmax(1).numpy()
        right = answer.reshape(100, 2).sum(1) == shown.digits.reshape(100, 2).sum(1)
        assert one.metrics[-1]["validation_sum"] == pytest.approx(right.mean())
        assert one.metrics[-1]["validation_digit"] == pytest.approx((answer == shown.digits).mean())


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
    told, _ = prepared(epochs=9, supervision="digits")
    assert not told.trouble(learner, {"epoch": 3.0}, [])
    many, _ = prepared(epochs=9, addends=MANY)
    assert not many.trouble(learner, {"epoch": 3.0}, [])  # their total varies, however well they are read


def test_a_lost_network_begins_anew_twice_at_half_the_rate_says_so_and_is_kept_in_the_end(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(tasks, "LOST", 0.0)  # whatever a network learns is too little
    rates = list[float]()

    def step(net: Any, optimizer: torch.optim.Optimizer, *rest: Any, **named: Any) -> Any:
        rates.append(optimizer.param_groups[0]["lr"])
        return training_step(net, optimizer, *rest, **named)

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
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    ("changes", "processes", "message"),
    [
        ({"digits": 401}, 1, "a sum takes 802 images, and there are 800 training ones"),
        ({"digits": 101}, 1, "a sum takes 202 images, and there are 200 held-out ones"),
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


def test_the_calibration_says_what_it_does_and_a_network_without_outliers_gets_a_temperature_alone() -> None:
    logits, digits = bold_logits(2.0)
    found, alone = fitting.calibrate(logits, digits, 0.0), fitting.calibrate(logits, digits, 0.0, with_outliers=False)
    assert found["images"] == len(digits)
    assert found["nll"] < found["nll_before"]
    assert found["accepted"] == pytest.approx(fitting.LIKE_SHARE - fitting.UNSURE_SHARE, abs=1.5e-3)
    scores = fitting.log_probabilities(logits, 0.0, found["temperature"])
    assert found["nll"] == pytest.approx(fitting.nll_of(scores, digits))
    assert (alone["least_is_digit"], alone["least_confidence"], alone["accepted"]) == (0, 0, 1)
    assert alone["temperature"] == found["temperature"] == pytest.approx(2, rel=0.05)


def test_what_is_like_a_digit_is_so_on_pictures_by_the_whole_path_as_well() -> None:
    logits, digits = bold_logits(2.0)
    like = 0.5 * fitting.likeness(logits)
    found = fitting.calibrate(logits, digits, 0.0, like=like)
    taken = [(of >= found["least_is_digit"]).mean() for of in (fitting.likeness(logits), like)]
    assert np.mean(taken) == pytest.approx(fitting.LIKE_SHARE, abs=1e-3)


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
def taught(small_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that was trained with outliers, and so calibrated."""
    config = replace(small_config, augment="robust", outliers=0.5, label_smoothing=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.recipes.outliers.DRAWN", 500)
        return train(config, tmp_path_factory.mktemp("taught") / "run", progress=False).folder


def test_a_run_with_outliers_is_calibrated_on_the_images_that_it_held_out_if_there_are_any(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    monkeypatch.setattr("lab.recipes.outliers.DRAWN", 500)
    whole = train(replace(config, validation=0, epochs=1), tmp_path, progress=False).folder
    assert load_network(whole)[0].calibration.least_is_digit.item() == 0


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
    fitted = fitting.calibrate_strips(logits, strips)
    assert fitted["temperature"] == pytest.approx(heat, rel=0.1)
    assert fitted["nll"] <= fitted["nll_before"]
    assert fitted["strips"] == 2000
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


# Graphs of steps, replayed on a CPU.


class Replayed(Graphs):
    """On a CPU, a recorded step is run anew each time, on what is where its first batch was copied to."""

    def __init__(self, device: torch.device, processes: ProcessGroup) -> None:
        self.records, self.replays, self.warm, self.recorded = 0, 0, Counter(), {}

    def aside(self, step: Callable[..., Any], *tensors: Tensor) -> Any:
        return step(*tensors)

    def record(self, step: Callable[..., Any], *places: Tensor) -> Callable[[], Any]:
        self.records += 1

        def replay() -> Any:
            self.replays += 1
            return step(*places)

        return replay


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[Replayed]:
    """All graphs that a training makes."""
    made: list[Replayed] = []

    def make(*given: Any) -> Replayed:
        made.append(Replayed(*given))
        return made[-1]

    monkeypatch.setattr("sumnist.training.loop.Graphs", make)
    return made


def test_replayed_steps_train_the_network_that_steps_one_by_one_train(
    small_config: Config, tmp_path: Path, replayed: list[Replayed]
) -> None:
    config = replace(small_config, epochs=2, label_smoothing=0.2, smoothing_fades=True, ema=0.9, lr=1e-3)
    usual = train(config, tmp_path / "usual", progress=False)
    graph = train(replace(config, graph=True), tmp_path / "graph", progress=False)
    (graphs,) = replayed
    assert graphs.records in (1, 2)  # sizes of batches
    assert graphs.replays == usual.steps - Graphs.WARM_UP * graphs.records
    for one, two in zip(usual.net.parameters(), graph.net.parameters(), strict=True):
        assert torch.allclose(one, two, atol=2e-4)
    for one, two in zip(usual.metrics, graph.metrics, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-3)


def test_a_graph_sees_each_new_learning_rate_in_the_same_place(small_config: Config) -> None:
    config = replace(small_config, graph=True)
    optimizer = build_optimizer(TwoInputNet.from_config(config), config)
    (group,) = optimizer.param_groups
    place = group["lr"]
    set_learning_rate(optimizer, 0.125)
    assert group["lr"] is place
    assert float(place) == 0.125


def test_results_are_those_of_each_batch_whatever_its_size() -> None:
    graphs = Replayed(torch.device("cpu"), ProcessGroup())
    for n in range(20):
        batch = torch.full((5 + n % 2,), float(n))
        assert torch.equal(graphs.step(lambda x: x * 3, batch), batch * 3)
    assert (graphs.records, graphs.replays) == (2, 20 - 2 * Graphs.WARM_UP)


def test_a_graph_without_a_gpu_is_refused(small_config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--graph: --device cpu and processes: 1, expected cuda and 1"):
        train(replace(small_config, graph=True, device="cpu"), tmp_path / "run", progress=False)
    for changes in (
        {"soft_labels": True},
        {"teachers": "runs"},
        {"optimizer": "muon"},
        {"task": "cells"},
        {"fusion": "concat"},
        {"parts": 2},
        {"outliers": 0.5},
    ):
        with pytest.raises(ConfigError, match="--graph"):
            preset("fast", graph=True, **changes)


class Waiting(TorchDispatchMode):
    """Notes operations that a GPU would have to finish before Python can go on. They cannot be recorded."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        name = function.overloadpacket.__name__
        mask = name in ("index", "index_put_") and any(one is not None and one.dtype == torch.bool for one in given[1])
        if mask or name in ("_local_scalar_dense", "nonzero", "equal", "masked_select", "unique"):
            self.found.append(name)
        return function(*given, **(named or {}))


@pytest.mark.parametrize("encoder", ["edges", "default", "upright", "tiny", "lenet", "fast", "nano", "small"])
def test_a_step_that_can_be_recorded_waits_for_no_result(encoder: Any) -> None:
    config = preset("tiny", encoder=encoder, graph=True)
    net = TwoInputNet.from_config(config)
    optimizer = build_optimizer(net, config)
    digit = torch.arange(8)
    pairs = Pairs(torch.rand(8, 1, 28, 28), digit, digit, 2 * digit)
    for _ in range(2):
        with Waiting() as waiting:
            training_step(net, optimizer, pairs, config, nullcontext(), smoothing=torch.tensor(0.1))
    assert not waiting.found
    with Waiting() as waiting:
        training_step(net, optimizer, Batch(*pairs, torch.rand(8, 10)), config, nullcontext())
    assert waiting.found  # soft labels pick the images that show digits, so this watch is awake


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_a_smoothing_that_is_a_tensor_gives_the_same_loss(smoothing: float) -> None:
    scores = torch.randn(40, 10, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    digit = torch.arange(40) % 11
    digit[digit == 10] = NO_DIGIT
    expected = functional.cross_entropy(scores, digit, label_smoothing=smoothing, ignore_index=NO_DIGIT)
    found = cross_entropy(scores, digit, torch.tensor(smoothing, dtype=torch.float64))
    assert torch.allclose(found, expected, atol=1e-12)


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


@pytest.mark.parametrize("weakest", [1e-1, 1e-2, 1e-3])
def test_rounding_errors_of_a_matrix_with_weak_directions_do_not_grow(weakest: float) -> None:
    scales = torch.logspace(0, torch.tensor(weakest).log10().item(), 100)
    matrix = torch.randn(300, 100, generator=torch.Generator().manual_seed(3)) * scales
    exact = orthogonal(matrix.double())
    assert (orthogonal(matrix) - exact).abs().max() < 1e-3
    assert torch.linalg.matrix_norm(exact, 2) < 1.25


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


def test_a_step_of_an_inner_layer_follows_the_singular_vectors_of_its_gradient_and_has_the_size_of_adams() -> None:
    net = small_net()
    weight = next(net[2].parameters()).detach()
    before, gradient = weight.clone(), gradients(net)[4].flatten(1)
    Muon(net, LR, BETAS, 0.0).step()
    step = (before - weight).flatten(1)
    left, _, right = torch.linalg.svd(gradient, full_matrices=False)
    along = (left.T @ step @ right.T).diagonal()
    assert (along > 0).all()
    assert along.max() / along.min() < 2
    assert step.square().mean().sqrt() == pytest.approx(0.2 * LR, rel=0.3)


def test_weights_decay_by_the_learning_rate_times_the_decay() -> None:
    net = small_net()
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    Muon(net, LR, BETAS, DECAY).step()
    for old, new in zip(before, net.parameters(), strict=True):
        assert torch.allclose(new, old * (1 - LR * DECAY))

"""A training from its first step to its folder: the same to the bit, interrupted, or begun with other weights."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.data import glyphs
from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import PairBatches
from sumnist.errors import ConfigError, OutputError, RunError, TrainingError
from sumnist.evaluation.metrics import answer_grid
from sumnist.files import CONFIG, WEIGHTS
from sumnist.model.checkpoint import save_network
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.devices import ProcessGroup, choose_bf16, choose_device
from sumnist.training.folder import RECORD, STATE
from sumnist.training.loop import learning_rate, move_average, train, training_step
from sumnist.training.tasks import DigitTask, Tally, split


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
    _, held = split(load_mnist("train", small_config.data_dir), small_config)
    assert held is not None
    answers = answer_grid(net, held)
    assert answers.digit_right.mean() == pytest.approx(lines[-1]["validation_digit"])
    assert answers.sum_nll.mean() == pytest.approx(lines[-1]["validation_sum_nll"])


PROCESSORS = {"bf16": {"amx_bf16": True}, "fp32": {"avx2": True}}
"""What torch tells of a processor that is fast at bf16, and of one that emulates it, by the precision that follows."""


@pytest.fixture(params=sorted(PROCESSORS))
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have torch tell that it runs on a processor of this kind; the precision that "auto" then chooses."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: PROCESSORS[request.param], raising=False)
    return str(request.param)


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize(
    "changes", [{"augment": "elastic", "ema": 0.9, "fusion": "concat"}, {"augment": "robust", "outliers": 0.3}]
)
def test_the_same_seed_gives_the_same_weights_to_the_bit(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setattr("sumnist.data.outliers.DRAWN", 500)
    config = replace(small_config, epochs=1, **changes)  # type: ignore[arg-type]
    first = train(config, tmp_path / "first", progress=False).folder / "model.safetensors"
    again = train(config, tmp_path / "again", progress=False).folder / "model.safetensors"
    other = train(replace(config, seed=1), tmp_path / "other", progress=False).folder / "model.safetensors"
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


@pytest.mark.parametrize("asked", ["auto", "same"])
def test_either_precision_trains_and_says_so(small_config: Config, tmp_path: Path, processor: str, asked: str) -> None:
    precision: Any = "auto" if asked == "auto" else processor
    result = train(replace(small_config, epochs=1, precision=precision), tmp_path, progress=False)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["precision"] == processor
    assert record["chosen"]["bf16"] is (processor == "bf16")
    assert result.metrics[0]["digit_loss"] < math.log(10)


def test_training_is_in_fp32_where_the_processor_only_emulates_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, expected in (({"avx2": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda value=capabilities: value, raising=False)
        assert choose_bf16("auto", torch.device("cpu")) is expected
    assert choose_bf16("fp32", torch.device("cpu")) is False
    assert choose_bf16("bf16", torch.device("cpu")) is True


def test_the_learning_rate_climbs_to_its_peak_and_falls_to_zero() -> None:
    config = preset("default", lr=0.5, warmup=0.25, lr_floor=0.0)
    steps = [learning_rate(step / 1000, config) for step in range(1001)]
    assert max(steps) == pytest.approx(0.5)
    assert steps.index(max(steps)) == 250
    assert steps[0] < 0.03
    assert steps[-1] == pytest.approx(0, abs=1e-9)
    assert all(a < b for a, b in pairwise(steps[:251]))
    assert all(a > b for a, b in pairwise(steps[250:]))
    assert learning_rate(0.7, preset("original-as-written")) == 1e-3
    floored = preset("default", lr=0.5, warmup=0.25, lr_floor=0.1)
    assert learning_rate(0.0, floored) < 0.05
    assert learning_rate(0.5, floored) == steps[500]
    assert learning_rate(0.99, floored) == 0.05


def test_fading_label_smoothing_and_the_intensity_of_disturbances_follow_the_learning_rate(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(small_config, label_smoothing=0.1)
    made = DigitTask.epoch
    for fades in (False, True):
        seen, intensities = list[float](), list[float]()

        def spy(*arguments: Any, smoothing: float, seen: list[float] = seen, **named: Any) -> Any:
            seen.append(smoothing)
            return training_step(*arguments, smoothing=smoothing, **named)

        def epoch(task: DigitTask, epoch: int, intensity: float, seen: list[float] = intensities) -> Any:
            seen.append(intensity)
            return made(task, epoch, intensity)

        monkeypatch.setattr("sumnist.training.loop.training_step", spy)
        monkeypatch.setattr(DigitTask, "epoch", epoch)
        train(replace(config, smoothing_fades=fades), tmp_path / str(fades), progress=False)
        assert len(seen) == 26
        share = [learning_rate(step / len(seen), config) / config.lr if fades else 1.0 for step in range(len(seen))]
        assert seen == pytest.approx([0.1 * of_peak for of_peak in share])
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


def test_the_tally_is_the_mean_over_all_pairs_whatever_the_batch_sizes(small_config: Config) -> None:
    torch.manual_seed(0)
    net = TwoInputNet.from_config(small_config)
    digits = load_mnist("train", small_config.data_dir)
    from sumnist.model.losses import joint_loss

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


def test_a_folder_that_holds_a_run_is_not_overwritten_unless_asked(small_config: Config, tmp_path: Path) -> None:
    config = replace(small_config, epochs=1)
    train(config, tmp_path, progress=False)
    before = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(OutputError) as caught:
        train(replace(config, seed=1), tmp_path, progress=False)
    assert str(caught.value) == (
        f"--out {tmp_path}: holds a run already, expected a new folder: name another, or add --resume to finish it "
        "or --overwrite to replace it"
    )
    assert (tmp_path / "model.safetensors").read_bytes() == before
    (tmp_path / "model.onnx").write_bytes(b"of the old weights")
    train(replace(config, seed=1), tmp_path, overwrite=True, progress=False)
    assert (tmp_path / "model.safetensors").read_bytes() != before
    assert not (tmp_path / "model.onnx").exists()


def test_a_training_that_fails_at_once_leaves_the_run_that_it_was_to_replace(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small_config, tmp_path, progress=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_: object) -> None:
        raise TrainingError("the loss is nan")

    monkeypatch.setattr("sumnist.training.loop.check_finite", fail)
    with pytest.raises(TrainingError):
        train(replace(small_config, seed=1), tmp_path, overwrite=True, progress=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


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
    out, steps = tmp_path / "run", iter(range(1, step + 1))

    def stop(*arguments: Any, **named: Any) -> Any:
        if next(steps) == step:
            raise KeyboardInterrupt
        return training_step(*arguments, **named)

    monkeypatch.setattr("sumnist.training.loop.training_step", stop)
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


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_before_the_first_outlier_is_drawn_if_it_is_asked_for(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, progress: bool
) -> None:
    def draw(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(glyphs, "image_of", draw)
    with pytest.raises(MemoryError):
        train(replace(small_config, outliers=0.3), tmp_path, progress=progress)
    assert capsys.readouterr().err == ("drawing outliers\n" if progress else "")


def test_ctrl_c_leaves_a_usable_run(idx_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "sumnist", "train", "--preset", "tiny", "--data-dir", str(idx_folder), "--epochs",
               "100000", "--validation", "0", "--threads", "1", "--device", "cpu", "--out", str(out)]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not ((out / "metrics.jsonl").exists() and len(rows(out)) > 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert f"the weights of this moment are in {out}" in errors
    record = json.loads((out / "record.json").read_text())
    assert record["finished"] is False
    assert record["epochs"] >= 2
    load_network(out)


@pytest.fixture
def config(small_config: Config, small_run: Path) -> Config:
    return replace(small_config, start_from=small_run, seed=1)


def test_it_begins_with_those_weights_and_names_them_by_their_checksum(
    config: Config, small_run: Path, tmp_path: Path
) -> None:
    run = train(replace(config, epochs=1, lr=1e-30), tmp_path / "run", progress=False)
    for name, value in load_file(small_run / WEIGHTS).items():
        assert torch.equal(run.net.state_dict()[name], value), name
    assert json.loads((run.folder / RECORD).read_text())["started_from"] == TwoInputNet.load(small_run)[2]
    assert json.loads((run.folder / CONFIG).read_text())["start_from"] == str(small_run)


def test_what_it_was_calibrated_to_is_not_taken_over(config: Config, small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run, tmp_path / "calibrated")
    net, _ = load_network(tmp_path / "calibrated")
    net.calibration.set(2.0, 0.5, 0.25)
    save_network(net, tmp_path / "calibrated")
    nets = [train(replace(config, epochs=1, start_from=start), tmp_path / name, progress=False).net.state_dict()
            for name, start in (("one", small_run), ("other", tmp_path / "calibrated"))]  # fmt: skip
    assert all(torch.equal(value, nets[1][name]) for name, value in nets[0].items())


def test_one_that_was_stopped_goes_on_without_the_run_that_it_started_from(
    config: Config, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = shutil.copytree(small_run, tmp_path / "start")
    config = replace(config, start_from=start, ema=0.9)
    alone = train(config, tmp_path / "alone", progress=False)

    def stop(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.end_training", stop)
        with pytest.raises(MemoryError):
            train(config, tmp_path / "run", progress=False)
    assert (tmp_path / "run" / STATE).exists()
    shutil.rmtree(start)
    resumed = train(config, tmp_path / "run", progress=False, resume=True)
    assert (resumed.folder / WEIGHTS).read_bytes() == (alone.folder / WEIGHTS).read_bytes()
    assert resumed.finished


@pytest.mark.parametrize("changes", [{"encoder": "fast"}, {"fusion": "concat"}])
def test_weights_of_another_design_are_refused_before_anything_is_written(
    config: Config, small_run: Path, tmp_path: Path, changes: dict[str, str]
) -> None:
    message = f"^--start-from {small_run}: its weights do not fit .*weights of another network.*same --task"
    with pytest.raises(RunError, match=message):
        train(replace(config, **changes), tmp_path / "run", progress=False)  # type: ignore[arg-type]
    assert not [*(tmp_path / "run").glob("*.json")]
    assert train(replace(config, epochs=1), tmp_path / "run", progress=False).finished


def test_a_folder_without_weights_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--preset", "tiny", "--start-from", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"sumnist: --start-from {tmp_path / 'none'}: its weights do not fit")
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["data_dir", "start_from"])
def test_a_folder_is_a_path_or_text(name: str) -> None:
    assert getattr(preset("tiny", **{name: "runs/one"}), name) == Path("runs/one")
    assert getattr(preset("tiny", **{name: ""}), name) == Path()
    with pytest.raises(ConfigError, match=r"^--(data-dir|start-from) 5: expected the path of a folder$"):
        preset("tiny", **{name: 5})

"""Training on strips: its loss and figures against the exact scoring, and that it is resumed to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.data import pens, strips, texts
from sumnist.data.strips import StripBatch, Strips
from sumnist.inference.ctc import log_prob
from sumnist.model.losses import text_nll
from sumnist.model.strip_network import StripNet, load_strip_network
from sumnist.training import numbers
from sumnist.training.devices import Team
from sumnist.training.export_strips import in_half
from sumnist.training.loop import train, training_step
from sumnist.training.numbers import LEAST_INTENSITY, NumberTask, digits_read

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of few characters, and few of them to measure on."""
    monkeypatch.setattr(strips, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 5))
    monkeypatch.setattr(numbers, "HELD_STRIPS", 16)
    monkeypatch.setattr(numbers, "HELD_BATCH", 8)


@pytest.fixture
def config(idx_folder: Path) -> Config:
    """A training of a second or two."""
    return preset(
        "numbers", data_dir=idx_folder, validation=200, epochs=2, strips=24, batch_size=8, threads=1, device="cpu"
    )


def emissions_of_classes(*paths: list[int]) -> torch.Tensor:
    """Emissions `[B, T, 14]` whose best path is the one given."""
    return torch.nn.functional.one_hot(torch.tensor(paths), 14).float().log_softmax(2)


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


def test_a_text_without_a_path_costs_nothing() -> None:
    assert text_nll(torch.zeros(1, 2, 14).log_softmax(2), batch_of([[3, 3]], [2])).item() == 0


def test_the_best_path_is_read_without_repetitions_blanks_and_separators_to_the_end_of_the_strip() -> None:
    emissions = emissions_of_classes([0, 2, 2, 0, 2, 11, 6, 6], [1, 1, 13, 1, 0, 0, 9, 9], [0] * 8)
    read = digits_read(emissions, torch.tensor([8, 5, 8]))
    assert [classes.tolist() for classes in read] == [[2, 2, 6], [1, 1], []]


def test_a_number_is_right_whatever_its_separators() -> None:
    emissions = emissions_of_classes([2, 11, 3, 0], [2, 0, 3, 0], [2, 3, 4, 0], [0, 0, 12, 0])
    batch = batch_of([[2, 3], [2, 12, 3], [2, 3], []], [4] * 4)
    assert numbers.right(emissions, batch) == 3


def test_the_tally_is_the_mean_over_all_strips() -> None:
    emissions, batch = emissions_of_classes([2, 3], [4, 5]), batch_of([[2, 3], [4, 6]], [2, 2])
    tally, net = numbers.Tally(processes=2), StripNet()
    tally.add(net, emissions, numbers.StripLosses(torch.tensor(3.0)), batch)
    tally.add(net, emissions[:1], numbers.StripLosses(torch.tensor(0.0)), batch_of([[2, 3]], [2]))
    figures = tally.figures()
    assert figures["loss"] == 2.0
    assert figures["train_number"] == pytest.approx(2 / 3)
    assert tally.text() == "loss 2.000, numbers 66.67%"


def test_the_strips_of_an_epoch_are_new_ones_and_processes_share_them(config: Config) -> None:
    def images(team: Team, epoch: int) -> Iterator[torch.Tensor]:
        task = NumberTask(config, CPU, team)
        task.prepare(False)
        assert task.steps() == 3
        return (batch.image for batch in task.epoch(epoch, 1.0))

    first, second = list(images(Team(), 0)), list(images(Team(), 1))
    assert [len(image) for image in first] == [8, 8, 8]
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    shares = [list(images(Team(rank, 2), 0)) for rank in range(2)]
    assert [len(image) for image in shares[0]] == [4, 4, 4]
    assert not any(torch.equal(a, b) for a, b in zip(*shares, strict=True))


def test_disturbances_fade_with_the_learning_rate_but_stay_strong(
    config: Config, tmp_path: Path, monkeypatch: Any
) -> None:
    seen: list[float] = []
    made = Strips.batch

    def batch(self: Strips, step: int, size: int, strength: float = 1.0) -> StripBatch:
        seen.append(strength)
        return made(self, step, size, strength)

    monkeypatch.setattr(Strips, "batch", batch)
    train(replace(config, epochs=3, validation=0, warmup=0.0), tmp_path, progress=False)
    assert seen == pytest.approx([1.0] * 3 + [0.75] * 3 + [LEAST_INTENSITY] * 3)


def test_a_run_on_strips_says_how_many_numbers_it_reads(config: Config, tmp_path: Path, capsys: Any) -> None:
    words = f"--preset numbers --data-dir {config.data_dir} --validation 200 --epochs 1 --strips 24 --batch-size 8"
    assert main(["train", *words.split(), "--threads", "1", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    (row,) = (json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    assert {"loss", "train_number", "validation_number", "validation_nll", "strips_per_second"} <= set(row)
    assert f"on strips of held-out images: numbers {row['validation_number']:.2%}\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "run/record.json").read_text())["train_images"] == 800
    picture = str(tmp_path / "picture.png")
    Image.new("L", (64, 32), 255).save(picture)
    assert main(["predict", "--numbers", picture, "--model", str(tmp_path / "run")]) != 0
    assert "a run that is not exported, expected an ONNX file for --numbers" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "run")]) == 0
    assert "on 134 strips log-probabilities differ" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(tmp_path / "run/model.onnx", providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    net, _, checksum = load_strip_network(tmp_path / "run")
    assert (metadata["characters"], metadata["weights"]) == ("0123456789.,-", checksum)
    assert main(["predict", "--numbers", picture, "--model", str(tmp_path / "run")]) == 0
    assert main(["predict", "-n", "1", picture, "--model", str(tmp_path / "run")]) != 0
    assert "expected one that `sumnist export` wrote of a run of --task digits" in capsys.readouterr().err
    strip = torch.rand(1, 1, 32, 77)
    with torch.no_grad():
        assert np.allclose(session.run(None, {"strip": strip.numpy()})[0], in_half(net)(strip), atol=1e-5)
    assert main(["export", str(tmp_path / "run"), "--int8"]) == 0
    assert "before it is rounded to 8 bits, on 134 strips" in (said := capsys.readouterr().out)
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["fp16", "int8"]
    small = tmp_path / "run/model.int8.onnx"
    assert small.stat().st_size < 0.6 * (tmp_path / "run/model.onnx").stat().st_size
    given = onnxruntime.InferenceSession(small, providers=["CPUExecutionProvider"])
    assert given.get_modelmeta().custom_metadata_map | {"sha256": ""} == metadata | {"sha256": ""}
    with torch.no_grad():
        assert np.allclose(np.exp(given.run(None, {"strip": strip.numpy()})[0]), in_half(net)(strip).exp(), atol=0.1)
    assert main(["evaluate", str(tmp_path / "run")]) != 0
    assert "a network of --task numbers: expected one of --task digits" in capsys.readouterr().err


def test_a_run_that_was_stopped_comes_to_the_weights_that_it_would_have_had(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = train(config, tmp_path / "alone", progress=False)
    steps = iter(range(1, 6))

    def step(*arguments: Any, **named: Any) -> Any:
        if next(steps) == 5:
            raise KeyboardInterrupt
        return training_step(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.training_step", step)
        stopped = train(config, tmp_path / "run", progress=False)
    assert (stopped.finished, stopped.steps) == (False, 4)
    resumed = train(config, tmp_path / "run", progress=False, resume=True)
    assert (resumed.finished, resumed.steps) == (True, 6)
    assert isinstance(resumed.net, StripNet)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (alone.folder / "model.safetensors").read_bytes()
    again = train(config, tmp_path / "run", progress=False, resume=True)
    assert isinstance(again.net, StripNet)


def test_more_processes_than_strips_in_a_batch_are_an_error(config: Config) -> None:
    with pytest.raises(ValueError, match="--batch-size 8: expected at least a strip for each process"):
        NumberTask(config, CPU, Team(0, 9))


@pytest.mark.heavy
def test_two_hundred_steps_on_single_digits_teach_something(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "LENGTHS", (1.0,) + (0.0,) * 11)
    monkeypatch.setattr(numbers, "HELD_STRIPS", 128)
    small = replace(
        config, epochs=1, strips=12_800, batch_size=64, lr=1e-2, warmup=0.3, ema=0.9, data_dir=None, validation=5000
    )
    row = train(small, tmp_path, progress=False).metrics[-1]
    assert row["validation_number"] > 0.25  # who reads nothing is right where there is no number: on one of eight
    assert row["validation_nll"] < 2.4  # what guessing costs

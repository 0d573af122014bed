"""The networks of strips and of cells: what they say of any width, that nothing behind a strip counts, their files."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from ctc_oracle import is_number_probability
from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.data import cells, pens, strips
from sumnist.data.cells import PRIORS
from sumnist.data.mnist import load_mnist
from sumnist.errors import ConfigError, ExportError, ImageError, RunError
from sumnist.files import CELLS, NUMBERS
from sumnist.inference.cells import CELL_CLASSES, CellReader
from sumnist.inference.onnx import with_checksum
from sumnist.inference.recognizers import EMISSIONS, IS_NUMBER, STRIP
from sumnist.model.cell_network import CellNet
from sumnist.model.checkpoint import save_config, save_network
from sumnist.model.network import TwoInputNet
from sumnist.model.strip_network import CLASSES, StripNet
from sumnist.training.export import export_run, in_half, to_onnx
from sumnist.training.loop import train
from sumnist.training.tasks import CellTask, NumberTask

WIDTHS = (1, 2, 3, 4, 5, 30, 64, 149, 150, 151)
"""Pixels of strips; one of each remainder of the four of a step."""
CELL_WIDTHS = (30, 54, 78, 183)


@pytest.fixture(scope="module")
def nets() -> dict[str, Any]:
    """Networks whose normalisations shift and scale, as those of trained ones do: zeros do not stay zeros."""
    torch.manual_seed(0)
    nets = {"numbers": StripNet(), "cells": CellNet()}
    for net in nets.values():
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 2)
                nn.init.normal_(layer.bias, 0.1, 0.2)
        net.eval()
    return nets


@pytest.fixture(scope="module")
def files(nets: dict[str, Any]) -> dict[str, bytes]:
    """Their files, with weights of half precision."""
    return {name: to_onnx(in_half(net), {}) for name, net in nets.items()}


@pytest.fixture
def net(nets: dict[str, Any]) -> StripNet:
    found: StripNet = nets["numbers"]
    return found


@pytest.fixture
def cell_net(nets: dict[str, Any]) -> CellNet:
    found: CellNet = nets["cells"]
    return found


# What they say.


@torch.no_grad()
def test_there_is_a_distribution_for_every_four_pixels_of_a_strip_and_for_every_cell(
    net: StripNet, cell_net: CellNet
) -> None:
    for width in WIDTHS:
        emissions = net(torch.rand(2, 1, 32, width))
        assert emissions.shape == (2, -(-width // 4), CLASSES)
        assert torch.allclose(emissions.exp().sum(2), torch.ones(2, emissions.shape[1]), atol=1e-5)
    for width in CELL_WIDTHS:
        said = cell_net(torch.rand(3, 1, 36, width))
        assert said.shape == (3, len(CELL_CLASSES))
        assert said.logsumexp(1).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(torch.rand(1, 1, 32, 40)).dtype == torch.float32


@torch.no_grad()
def test_a_strip_in_a_batch_of_wider_ones_is_read_as_alone_if_the_widths_are_told(net: StripNet) -> None:
    alone = [torch.rand(1, 1, 32, width) for width in WIDTHS]
    batch = torch.rand(len(WIDTHS), 1, 32, 160)  # behind a strip there may be anything
    for place, strip in enumerate(alone):
        batch[place, :, :, : strip.shape[3]] = strip[0]
    together = net(batch, torch.tensor(WIDTHS))
    for place, strip in enumerate(alone):
        expected = net(strip)[0]
        assert torch.allclose(together[place, : len(expected)], expected, atol=1e-5), WIDTHS[place]
    assert not torch.allclose(net(batch)[6, :16], net(alone[6])[0], atol=1e-3)


@torch.no_grad()
def test_cells_of_several_widths_are_read_as_alone(cell_net: CellNet) -> None:
    boxes, long = torch.rand(3, 1, 36, 30), torch.rand(2, 1, 36, 78)
    assert torch.allclose(cell_net([boxes, long]), torch.cat([cell_net(boxes), cell_net(long)]), atol=1e-5)


def test_training_normalises_the_pixels_of_all_widths_together() -> None:
    """With two halves of one batch as its parts, it gives what it gives for the whole."""
    net, images = CellNet(), torch.rand(6, 1, 36, 30)
    net.dropout.p = 0.0
    assert torch.allclose(net([images[:4], images[4:]]), net(images), atol=1e-4)


def test_a_step_depends_on_ten_to_thirty_steps_around_it(net: StripNet) -> None:
    strip = torch.rand(1, 1, 32, 400, requires_grad=True)
    net(strip)[0, 50].square().sum().backward()
    assert strip.grad is not None
    columns = strip.grad.abs().sum((0, 1, 2)).nonzero()[:, 0]
    assert 10 < (200 - int(columns.min())) / 4 < 30
    assert 10 < (int(columns.max()) - 203) / 4 < 30


@pytest.mark.parametrize("shape", [(1, 1, 28, 40), (1, 3, 32, 40), (1, 32, 40), (1, 3, 36, 30), (1, 36, 30)])
def test_another_shape_is_an_error(nets: dict[str, Any], shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError) as caught:
        nets["numbers"](torch.zeros(shape))
    assert str(caught.value) == f"strip of shape {list(shape)}: expected [B, 1, 32, W]"
    with pytest.raises(ImageError, match=r"expected \[B, 1, 36, W\]"):
        nets["cells"](torch.zeros(shape))


# On disk.


def test_a_saved_network_comes_back_and_networks_of_other_tasks_are_told_apart(
    nets: dict[str, Any], tmp_path: Path
) -> None:
    for task, net in {**nets, "default": TwoInputNet()}.items():
        save_config(preset(task), tmp_path / task)
        save_network(net, tmp_path / task)
    kinds: dict[str, Any] = {"numbers": StripNet, "cells": CellNet, "digits or addition": TwoInputNet}
    for task, net in nets.items():
        loaded, found, checksum = kinds[task].load(tmp_path / task)
        assert (found, len(checksum), loaded.training) == (preset(task), 64, False)
        assert all(torch.equal(loaded.state_dict()[name], value) for name, value in net.state_dict().items())
        for other, kind in kinds.items():
            if other != task:
                with pytest.raises(RunError) as caught:
                    kind.load(tmp_path / task)
                expected = f"{tmp_path / task}: a network of --task {task}: expected one of --task {other}"
                assert str(caught.value) == expected
        with pytest.raises(ConfigError, match=f"--task {task}: expected digits or addition"):
            TwoInputNet.from_config(preset(task))


def test_a_config_of_before_there_were_tasks_is_of_the_digits() -> None:
    config = Config.from_json('{"preset": "default", "epochs": 3}', "config.json")
    assert (config.task, config.epochs) == ("digits", 3)


# ONNX.


def test_files_keep_their_budgets_and_half_precision_changes_no_probability(
    nets: dict[str, Any], files: dict[str, bytes]
) -> None:
    assert len(files["numbers"]) <= 3_000_000
    assert sum(parameter.numel() for parameter in nets["cells"].parameters()) < 210_000
    assert CELLS.stat().st_size <= 450_000
    strip = torch.rand(3, 1, 32, 120)
    session = onnxruntime.InferenceSession(files["numbers"], providers=["CPUExecutionProvider"])
    with torch.no_grad():
        exact = nets["numbers"](strip)
    assert torch.allclose(torch.from_numpy(session.run([EMISSIONS], {STRIP: strip.numpy()})[0]).exp(), exact.exp(),
                          atol=2e-3)  # fmt: skip
    halves = [one for one in onnx.load_from_string(files["numbers"]).graph.initializer if one.name.endswith(".half")]
    assert sum(math.prod(one.dims) for one in halves) > 1_000_000


@pytest.mark.parametrize("task", ["numbers", "cells"])
def test_a_network_that_rounding_changes_is_not_exported(
    task: str, nets: dict[str, Any], idx_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = type(nets[task])().eval()
    nn.init.constant_((other.character if task == "numbers" else other.kind).bias[:3], 2.0)
    monkeypatch.setattr("sumnist.training.export.in_half", lambda net: other)
    save_network(nets[task], tmp_path)
    save_config(preset(task, data_dir=idx_folder), tmp_path)
    with pytest.raises(ExportError, match="half precision"):
        export_run(tmp_path, tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


@torch.no_grad()
def test_onnx_gives_what_torch_gives_for_any_width_and_number_of_strips(
    nets: dict[str, Any], files: dict[str, bytes]
) -> None:
    session = onnxruntime.InferenceSession(files["numbers"], providers=["CPUExecutionProvider"])
    (given,), (answer, is_number) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == (STRIP, "tensor(float)", ["batch", 1, 32, "width"])
    assert (answer.name, answer.type, answer.shape) == (EMISSIONS, "tensor(float)", ["batch", "step", CLASSES])
    assert (is_number.name, is_number.type, is_number.shape) == (IS_NUMBER, "tensor(float)", ["batch"])
    net = in_half(nets["numbers"])
    for count, width in ((1, 1), (2, 5), (5, 151), (1, 1000)):
        strip = torch.rand(count, 1, 32, width)
        emissions, there = session.run(None, {STRIP: strip.numpy()})
        assert np.allclose(emissions, net(strip), atol=1e-5)
        for said, probability in zip(emissions, there, strict=True):
            assert math.exp(probability) == pytest.approx(is_number_probability(said), abs=1e-5)


@pytest.fixture
def trained(idx_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """The run of a training of a second of a task."""
    for module in (strips, cells):
        monkeypatch.setattr(module, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 5))
    for task in (NumberTask, CellTask):
        monkeypatch.setattr(task, "held_batches", (2, 8, 1))
    monkeypatch.setattr(CellTask, "held_drawn", 100)

    def run(task: str) -> Path:
        config = preset(task, data_dir=idx_folder, validation=200, epochs=1, strips=24, batch_size=8, device="cpu")
        return train(config, tmp_path / "run", progress=False).folder

    return run


def test_a_run_on_strips_is_exported_in_half_precision_and_in_8_bits(
    trained: Callable[[str], Path], tmp_path: Path, capsys: Any
) -> None:
    run, picture = trained("numbers"), str(tmp_path / "picture.png")
    Image.new("L", (64, 32), 255).save(picture)
    assert main(["predict", "--numbers", picture, "--model", str(run)]) != 0
    assert "a run that is not exported, expected an ONNX file for --numbers" in capsys.readouterr().err
    assert main(["export", str(run)]) == 0
    assert "on 134 strips log-probabilities differ" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(run / "model.onnx", providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    net, _, checksum = StripNet.load(run)
    assert (metadata["characters"], metadata["weights"]) == ("0123456789.,-", checksum)
    assert main(["predict", "--numbers", picture, "--model", str(run)]) == 0
    assert main(["predict", "-n", "1", picture, "--model", str(run)]) != 0
    assert "expected one that `sumnist export` wrote of a run of --task digits" in capsys.readouterr().err
    assert main(["export", str(run), "--int8"]) == 0
    assert "before it is rounded to 8 bits, on 134 strips" in (said := capsys.readouterr().out)
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["fp16", "int8"]
    assert (run / "model.int8.onnx").stat().st_size < 0.6 * (run / "model.onnx").stat().st_size
    small = onnxruntime.InferenceSession(run / "model.int8.onnx", providers=["CPUExecutionProvider"])
    assert small.get_modelmeta().custom_metadata_map | {"sha256": ""} == metadata | {"sha256": ""}
    strip = torch.rand(1, 1, 32, 77)
    with torch.no_grad():
        expected = in_half(net)(strip)
    assert np.allclose(session.run(None, {STRIP: strip.numpy()})[0], expected, atol=1e-5)
    assert np.allclose(np.exp(small.run(None, {STRIP: strip.numpy()})[0]), expected.exp(), atol=0.1)
    assert main(["evaluate", str(run)]) != 0
    assert "a network of --task numbers: expected one of --task digits" in capsys.readouterr().err


def test_a_run_on_cells_is_exported(trained: Callable[[str], Path], capsys: Any) -> None:
    run = trained("cells")
    assert main(["export", str(run)]) == 0
    assert "on 132 cells log-probabilities differ" in capsys.readouterr().out
    net, _, checksum = CellNet.load(run)
    reader = CellReader(run / "model.onnx")
    assert reader.metadata["weights"] == checksum
    for width in CELL_WIDTHS:
        images = torch.rand(5, 1, 36, width)
        with torch.no_grad():
            assert np.allclose(reader.posteriors(images.numpy()), in_half(net)(images), atol=1e-5)
    assert main(["export", str(run), "--int8"]) != 0
    assert "--int8: of networks of --task digits or numbers" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["classes", "box_prior", "strip_prior"])
def test_a_file_without_its_classes_or_priors_is_another_network(key: str) -> None:
    model = onnx.load(CELLS)
    for entry in model.metadata_props:
        entry.value = "0 1" if entry.key == key else "0" * 64 if entry.key == "sha256" else entry.value
    with pytest.raises(RunError, match="expected one that `sumnist export` wrote of a run of --task cells"):
        CellReader(with_checksum(model.SerializeToString()))
    with pytest.raises(RunError, match="of a run of --task cells"):
        CellReader(NUMBERS)


# The reader of cells, with the network that ships.


@pytest.fixture(scope="module")
def reader() -> CellReader:
    return CellReader()


def test_likelihoods_are_posteriors_without_the_prior_of_boxes_or_of_strips(reader: CellReader) -> None:
    random = np.random.default_rng(0)
    for width, prior in ((30, PRIORS[0]), (54, PRIORS[1])):
        images = random.random((3, 36, width), np.float32)
        restored = np.exp(reader([*images])) * prior
        expected = np.exp(reader.posteriors(images[:, None]))
        assert restored == pytest.approx(expected, abs=1e-6)
        assert expected.sum(1) == pytest.approx(1, abs=1e-5)


def test_a_cell_is_read_alike_among_others_of_all_widths(reader: CellReader) -> None:
    random = np.random.default_rng(0)
    images = [random.random((36, width), np.float32) for width in (30, 78, 30, 54, 78, 30, 183)]
    together = reader(images)
    assert together.dtype == np.float64
    for image, expected in zip(images, together, strict=True):
        assert reader([image])[0] == pytest.approx(expected, abs=1e-4)
    assert reader([]).shape == (0, 14)
    assert pickle.loads(pickle.dumps(reader))(images) == pytest.approx(together)


@pytest.mark.parametrize("shape", [(35, 30), (36, 29), (36, 30, 1)])
def test_a_cell_of_another_size_is_an_error(reader: CellReader, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="expected a height of 36 and a width of at least 30"):
        reader([np.zeros((36, 30), np.float32), np.zeros(shape, np.float32)])


def test_clean_boxes_of_test_digits_are_read_and_blank_paper_is_empty(reader: CellReader) -> None:
    test, random = load_mnist("test").part(np.arange(0, 10_000, 10)), np.random.default_rng(0)
    for ink in (0.4, 0.9):
        boxes = np.pad(test.images * np.float32(ink / 255), ((0, 0), (4, 4), (1, 1)))
        assert (reader([*boxes]).argmax(1) == test.digits).mean() >= 0.985
    for width in CELL_WIDTHS:
        blank = [np.zeros((36, width), np.float32), random.uniform(0, 0.04, (36, width)).astype(np.float32)]
        assert [CELL_CLASSES[one] for one in reader(blank).argmax(1)] == ["empty", "empty"]

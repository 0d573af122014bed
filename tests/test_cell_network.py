"""The network of cells: trained, resumed, calibrated, exported, read; and the one that ships."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional

from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.data import cells as cells_module
from sumnist.data import pens
from sumnist.data.cells import PRIORS
from sumnist.data.mnist import load_mnist
from sumnist.errors import ConfigError, ExportError, ImageError, RunError
from sumnist.files import CELLS, NUMBERS
from sumnist.inference.cells import CELL_CLASSES, CELL_HEIGHT, CellReader
from sumnist.inference.onnx import with_checksum
from sumnist.model.cell_network import CellNet, load_cell_network
from sumnist.model.checkpoint import save_config
from sumnist.model.network import TwoInputNet, save_network
from sumnist.training import cells
from sumnist.training.cells import CellTask, calibrate_cells, cell_figures
from sumnist.training.devices import Team
from sumnist.training.export_cells import cells_to_onnx, export_cells, in_half
from sumnist.training.loop import train, training_step

CPU = torch.device("cpu")
WIDTHS = (30, 54, 78, 183)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of few characters, and few of them to measure on."""
    monkeypatch.setattr(cells_module, "DRAWN_DIGITS", 100)
    monkeypatch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 5))
    monkeypatch.setattr(cells, "HELD_DRAWN", 100)
    monkeypatch.setattr(cells, "HELD_CELLS", 32)
    monkeypatch.setattr(cells, "HELD_BATCH", 16)


@pytest.fixture
def config(idx_folder: Path) -> Config:
    """A training of a second or two."""
    return preset(
        "cells", data_dir=idx_folder, validation=200, epochs=2, strips=24, batch_size=8, threads=1, device="cpu"
    )


@pytest.fixture(scope="module")
def net() -> CellNet:
    """A network whose normalisations are not as new."""
    torch.manual_seed(0)
    net = CellNet()
    for _ in range(3):
        net([torch.rand(4, 1, 36, 30), torch.rand(2, 1, 36, 54)])
    return net.eval()


# The network.


@pytest.mark.parametrize("width", WIDTHS)
def test_there_is_a_distribution_for_every_cell(net: CellNet, width: int) -> None:
    said = net(torch.rand(3, 1, CELL_HEIGHT, width))
    assert said.shape == (3, len(CELL_CLASSES))
    assert said.logsumexp(1).tolist() == pytest.approx([0, 0, 0], abs=1e-5)


def test_cells_of_several_widths_are_read_as_alone(net: CellNet) -> None:
    boxes, strips = torch.rand(3, 1, 36, 30), torch.rand(2, 1, 36, 78)
    assert torch.allclose(net([boxes, strips]), torch.cat([net(boxes), net(strips)]), atol=1e-5)


def test_training_normalises_the_pixels_of_all_widths_together() -> None:
    """With two halves of one batch as its parts, it gives what it gives for the whole."""
    torch.manual_seed(0)
    net, images = CellNet(), torch.rand(6, 1, 36, 30)
    net.dropout.p = 0.0
    assert torch.allclose(net([images[:4], images[4:]]), net(images), atol=1e-4)


def test_the_network_keeps_its_budget(net: CellNet) -> None:
    assert sum(parameter.numel() for parameter in net.parameters()) < 210_000


@pytest.mark.parametrize("shape", [(1, 36, 30), (1, 1, 32, 30), (1, 3, 36, 30)])
def test_another_shape_is_an_error(net: CellNet, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"expected \[B, 1, 36, W\]"):
        net(torch.zeros(shape))


def test_networks_of_other_tasks_are_told_apart(tmp_path: Path) -> None:
    save_config(preset("numbers"), tmp_path)
    with pytest.raises(RunError, match="a network of --task numbers: expected one of --task cells"):
        load_cell_network(tmp_path)
    with pytest.raises(ConfigError, match="--task cells: expected digits or addition"):
        TwoInputNet.from_config(preset("cells"))


# Training.


def test_a_run_on_cells_says_how_many_it_reads_and_is_exported(config: Config, tmp_path: Path, capsys: Any) -> None:
    words = f"--preset cells --data-dir {config.data_dir} --validation 200 --epochs 1 --strips 24 --batch-size 8"
    assert main(["train", *words.split(), "--threads", "1", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    (row,) = (json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    assert {"loss", "train_cell", "validation_box", "validation_strip", "validation_nll"} <= set(row)
    said = f"boxes {row['validation_box']:.2%}, strips {row['validation_strip']:.2%}\n"
    assert "on cells of held-out images: " + said in capsys.readouterr().out
    assert main(["export", str(tmp_path / "run")]) == 0
    assert "on 132 cells log-probabilities differ" in capsys.readouterr().out
    net, _, checksum = load_cell_network(tmp_path / "run")
    reader = CellReader(tmp_path / "run/model.onnx")
    assert reader.metadata["weights"] == checksum
    for width in WIDTHS:
        images = torch.rand(5, 1, CELL_HEIGHT, width)
        with torch.no_grad():
            expected = in_half(net)(images).numpy()
        assert np.allclose(reader.posteriors(images.numpy()), expected, atol=1e-5)
    assert main(["export", str(tmp_path / "run"), "--int8"]) != 0
    assert "--int8: of networks of --task digits or numbers" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "run")]) != 0
    assert "a network of --task cells: expected one of --task digits" in capsys.readouterr().err


def test_a_run_without_held_out_images_tells_of_the_training_cells(config: Config, tmp_path: Path, capsys: Any) -> None:
    words = f"--preset cells --data-dir {config.data_dir} --validation 0 --epochs 1 --strips 8 --batch-size 8"
    assert main(["train", *words.split(), "--threads", "1", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    assert "on the training cells as they came by: " in capsys.readouterr().out


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
    assert isinstance(resumed.net, CellNet)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (alone.folder / "model.safetensors").read_bytes()


def test_processes_share_an_epoch(config: Config) -> None:
    def images(team: Team) -> list[torch.Tensor]:
        task = CellTask(config, CPU, team)
        task.prepare(False)
        return [batch.boxes for batch in task.epoch(0, 1.0)]

    first, second = images(Team(0, 2)), images(Team(1, 2))
    assert len(first) == len(second) == 3
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_more_processes_than_pairs_of_cells_in_a_batch_are_an_error(config: Config) -> None:
    with pytest.raises(ConfigError, match="--batch-size 8: expected at least two cells for each process"):
        CellTask(config, CPU, Team(0, 5))


def test_the_temperature_is_the_best_of_a_fine_grid_and_the_figures_are_counts(config: Config, net: CellNet) -> None:
    batches = CellTask(config, CPU, Team()).held_cells
    fitted = calibrate_cells(net, batches)
    net.calibration.set()
    with torch.no_grad():
        said = torch.cat([net([batch.boxes, batch.strips]) for batch in batches])
    target = torch.cat([batch.target for batch in batches])
    grid = np.geomspace(0.25, 4, 400)
    best = min(functional.nll_loss((said / t).log_softmax(1), target).item() for t in grid.tolist())
    assert fitted.nll == pytest.approx(best, abs=1e-3)
    assert fitted.nll <= fitted.nll_before + 1e-9
    of_boxes = torch.cat([batch.target[: len(batch.boxes)] for batch in batches])
    with torch.no_grad():
        best_of_boxes = torch.cat([net(batch.boxes).argmax(1) for batch in batches])
    right = (best_of_boxes == of_boxes).double().mean().item()
    assert cell_figures(net, batches)["box"] == fitted.box == pytest.approx(right)


# The file.


def test_a_network_that_rounding_changes_is_not_exported(
    net: CellNet, idx_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CellNet().eval()
    torch.nn.init.constant_(other.kind.bias[:3], 2.0)
    monkeypatch.setattr("sumnist.training.export_cells.in_half", lambda net: other)
    save_network(net, tmp_path)
    save_config(preset("cells", data_dir=idx_folder), tmp_path)
    with pytest.raises(ExportError, match="half precision"):
        export_cells(tmp_path, tmp_path / "cells.onnx")
    assert not (tmp_path / "cells.onnx").exists()


@pytest.mark.parametrize("key", ["classes", "box_prior", "strip_prior"])
def test_a_file_without_its_classes_or_priors_is_another_network(net: CellNet, key: str) -> None:
    model = onnx.load_model_from_string(cells_to_onnx(in_half(net), {}))
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = "0 1"
    content = with_checksum(model.SerializeToString())
    with pytest.raises(RunError, match="expected one that `sumnist export` wrote of a run of --task cells"):
        CellReader(content)


def test_a_file_of_strips_is_another_network() -> None:
    with pytest.raises(RunError, match="of a run of --task cells"):
        CellReader(NUMBERS)


# The reader, with the network that ships.


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


@pytest.mark.parametrize("shape", [(35, 30), (36, 29), (36, 30, 1), (30, 36)])
def test_a_cell_of_another_size_is_an_error(reader: CellReader, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="expected a height of 36 and a width of at least 30"):
        reader([np.zeros((36, 30), np.float32), np.zeros(shape, np.float32)])


def test_clean_boxes_of_test_digits_are_read(reader: CellReader) -> None:
    test = load_mnist("test").part(np.arange(0, 10_000, 10))
    for ink in (0.4, 0.9):
        boxes = np.pad(test.images * np.float32(ink / 255), ((0, 0), (4, 4), (1, 1)))
        assert (reader([*boxes]).argmax(1) == test.digits).mean() >= 0.985


def test_blank_paper_is_empty(reader: CellReader) -> None:
    random = np.random.default_rng(0)
    for width in WIDTHS:
        blank = [np.zeros((36, width), np.float32), random.uniform(0, 0.04, (36, width)).astype(np.float32)]
        assert [CELL_CLASSES[one] for one in reader(blank).argmax(1)] == ["empty", "empty"]


def test_the_file_keeps_its_size() -> None:
    assert CELLS.stat().st_size <= 450_000
